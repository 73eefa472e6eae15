/* SPDX-License-Identifier: Apache-2.0 */
/* targets.c - one entry of a route's "to", and dead_letter
 *
 * Which keys there are depends on the sink's type: its own name for a
 * destination ("topic") and for the list that a templated one needs
 * ("topics"), and its own settings. Keys that only other types have are known
 * by name, to say so instead of "unknown key".
 *
 * A pair of sink and concrete name is one destination, however many targets
 * name it: add_dest() finds it again. */
#include <string.h>

#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "load.h"

#define MAX_HEADERS 32

static const struct hb_key_word format_words[] = {
	{ "json", HB_FORMAT_JSON },
	{ "cloudevents", HB_FORMAT_CLOUDEVENTS },
	{ "raw", HB_FORMAT_RAW },
	{ NULL, 0 },
};

static const struct hb_key_word oversize_words[] = {
	{ "dead-letter", HB_OVERSIZE_DEAD_LETTER },
	{ "claim-check", HB_OVERSIZE_CLAIM_CHECK },
	{ NULL, 0 },
};

const struct hb_key hb_keys_target[] = {
	{ "sink", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "the name of a sink" },
	{ "key", HB_KEY_CUSTOM,
	    .help = "a template; default: job_id" },
	{ "format", HB_KEY_ENUM, offsetof(struct hb_target_conf, format),
	    "json", .values = format_words, .help = "of the value" },
	{ "headers", HB_KEY_CUSTOM,
	    .help = "a map of names to templates" },
	{ "oversize", HB_KEY_ENUM, offsetof(struct hb_target_conf, oversize),
	    "dead-letter", .values = oversize_words,
	    .help = "what becomes of an event that is too large" },
	{ .name = NULL },
};

const struct hb_key hb_keys_dead_letter[] = {
	{ "sink", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "the name of a sink" },
	{ .name = NULL },
};

static const struct hb_key no_keys[] = { { .name = NULL } };

/* --- the sink ------------------------------------------------------------- */

static const struct hb_sink_conf *
find_sink(struct hb_load *ld, const struct hb_node *map)
{
	const struct hb_node *node = hb_node_get(map, "sink");
	const struct hb_config *cfg = ld->cfg;
	struct hb_near near;
	const char *name;

	if (node == NULL || !hb_read_text(ld, node, &name))
		return NULL;
	for (size_t i = 0; i < cfg->sink_count; i++)
		if (strcmp(cfg->sinks[i].name, name) == 0)
			return &cfg->sinks[i];
	hb_near_init(&near, name);
	for (size_t i = 0; i < cfg->sink_count; i++)
		hb_near_offer(&near, cfg->sinks[i].name);
	hb_report_expected(ld->report, node, "the name of a sink");
	hb_report_near(ld->report, &near);
	return NULL;
}

/* NULL after a fault of the sink's. */
static const struct hb_sink_type *
type_of(const struct hb_target_conf *target)
{
	return target->sink != NULL ? target->sink->type : NULL;
}

/* --- keys by type --------------------------------------------------------- */

static size_t
count_keys(const struct hb_key *keys)
{
	size_t count = 0;

	while (keys != NULL && keys[count].name != NULL)
		count++;
	return count;
}

/* What the one destination of dead letters is called, as a table. */
static const struct hb_key *
fixed_dest_key(struct hb_load *ld, const struct hb_sink_type *type)
{
	struct hb_key *keys = hb_arena_calloc(ld->scratch, 2, sizeof(*keys));

	if (type != NULL && type->dest_key != NULL)
		keys[0] = (struct hb_key){ .name = type->dest_key,
			.type = HB_KEY_CUSTOM,
			.flags = HB_KEY_REQUIRED,
			.help = "a name, not a template" };
	return keys;
}

/* What a type's destinations are called. */
static const struct hb_key *
dest_keys(struct hb_load *ld, const struct hb_sink_type *type)
{
	struct hb_key *keys = hb_arena_calloc(ld->scratch, 3, sizeof(*keys));
	size_t n = 0;

	if (type != NULL && type->dest_key != NULL)
		keys[n++] = (struct hb_key){ .name = type->dest_key,
			.type = HB_KEY_CUSTOM,
			.flags = HB_KEY_REQUIRED,
			.help = "a name, or a template and the list of what "
				"it may become" };
	if (type != NULL && type->dest_list_key != NULL)
		keys[n++] = (struct hb_key){ .name = type->dest_list_key,
			.type = HB_KEY_CUSTOM };
	return keys;
}

static const struct hb_key *
target_keys(const struct hb_sink_type *type)
{
	return type != NULL && type->target_keys != NULL ? type->target_keys
							 : no_keys;
}

/* The names that other types know. */
static const struct hb_key *
foreign_keys(struct hb_load *ld, const struct hb_sink_type *own)
{
	struct hb_key *keys;
	size_t room = 1, n = 0;

	for (size_t i = 0; ld->types[i] != NULL; i++)
		room += 2 + count_keys(ld->types[i]->target_keys);
	keys = hb_arena_calloc(ld->scratch, room, sizeof(*keys));
	for (size_t i = 0; ld->types[i] != NULL; i++) {
		const struct hb_sink_type *type = ld->types[i];
		const struct hb_key *names[] = { dest_keys(ld, type),
			target_keys(type) };

		for (size_t j = 0; type != own && j < HB_COUNT(names); j++)
			for (const struct hb_key *key = names[j];
			     key->name != NULL; key++)
				keys[n++] = (struct hb_key){
					.name = key->name,
					.type = HB_KEY_CUSTOM
				};
	}
	return keys;
}

static bool
has_key(const struct hb_key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return true;
	return false;
}

/* Says which keys belong to sinks of another type. */
static void
refuse_foreign(struct hb_load *ld, const struct hb_node *map,
    const struct hb_sink_type *type, const struct hb_key_set sets[4])
{
	if (type == NULL || map->kind != HB_NODE_MAP)
		return;
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next) {
		if (has_key(sets[0].keys, node->name) ||
		    has_key(sets[1].keys, node->name) ||
		    has_key(sets[2].keys, node->name) ||
		    !has_key(sets[3].keys, node->name))
			continue;
		hb_report_name_error(ld->report, node,
		    "sinks of type %s have no %s", type->name, node->name);
		if (type->dest_key != NULL &&
		    !has_key(sets[1].keys, node->name))
			hb_report_remedy(ld->report, "they have %s",
			    type->dest_key);
	}
}

/* dest and own: what of the type's may stand here, besides the common keys. */
static void
apply_keys(struct hb_load *ld, const struct hb_node *map,
    struct hb_target_conf *target, const struct hb_key *common,
    const struct hb_key *dest, const struct hb_key *own)
{
	const struct hb_sink_type *type = type_of(target);
	const struct hb_key_set sets[] = {
		{ common, target },
		{ dest, target },
		{ own, target->settings },
		{ foreign_keys(ld, type), NULL },
	};

	hb_keys_apply(ld, map, sets, HB_COUNT(sets));
	refuse_foreign(ld, map, type, sets);
}

/* --- destinations --------------------------------------------------------- */

static const struct hb_dest_conf *
find_dest(const struct hb_config *cfg, const struct hb_sink_conf *sink,
    const char *name)
{
	for (size_t i = 0; i < cfg->dest_count; i++)
		if (cfg->dests[i]->sink == sink &&
		    strcmp(cfg->dests[i]->name, name) == 0)
			return cfg->dests[i];
	return NULL;
}

static void
append_dest(struct hb_load *ld, const struct hb_dest_conf *dest)
{
	struct hb_config *cfg = ld->cfg;
	const struct hb_dest_conf **grown;

	if (cfg->dest_count == ld->dest_capacity) {
		ld->dest_capacity = ld->dest_capacity * 2 + 16;
		grown = hb_arena_calloc(ld->arena, ld->dest_capacity,
		    sizeof(struct hb_dest_conf *));
		for (size_t i = 0; i < cfg->dest_count; i++)
			grown[i] = cfg->dests[i];
		cfg->dests = grown;
	}
	cfg->dests[cfg->dest_count++] = dest;
}

/* Adds the pair to the target, and to the configuration if it is new. */
static void
add_dest(struct hb_load *ld, struct hb_target_conf *target, const char *name,
    const char *label)
{
	const struct hb_dest_conf *known =
	    find_dest(ld->cfg, target->sink, name);

	if (known == NULL) {
		struct hb_dest_conf *dest =
		    hb_arena_calloc(ld->arena, 1, sizeof(*dest));

		dest->index = (unsigned)ld->cfg->dest_count;
		dest->sink = target->sink;
		dest->name = hb_arena_strdup(ld->arena, name);
		dest->label = label;
		append_dest(ld, dest);
		known = dest;
	}
	for (size_t i = 0; i < target->dest_count; i++)
		if (target->dests[i] == known)
			return;
	target->dests[target->dest_count++] = known;
}

static void
add_named_dest(struct hb_load *ld, struct hb_target_conf *target,
    const struct hb_node *node, const char *name)
{
	const struct hb_sink_type *type = target->sink->type;

	if (type->valid_name != NULL && !type->valid_name(hb_span_of(name)))
		hb_report_expected(ld->report, node, "a valid name of a %s",
		    type->dest_key);
	else
		add_dest(ld, target, name,
		    hb_arena_dup(ld->arena, hb_tmpl_text(target->name)).ptr);
}

static void
load_listed_dests(struct hb_load *ld, const struct hb_node *node,
    const struct hb_node *list, struct hb_target_conf *target)
{
	const struct hb_sink_type *type = target->sink->type;
	size_t count;

	if (list == NULL) {
		hb_report_error(ld->report, node,
		    "expected a list %s for a templated %s, got none",
		    type->dest_list_key, type->dest_key);
		hb_report_remedy(ld->report,
		    "list what it may become: %s: [...]", type->dest_list_key);
		return;
	}
	count = hb_node_item_count(list);
	if (count == 0)
		hb_report_expected(ld->report, list, "at least one %s",
		    type->dest_key);
	target->dests =
	    hb_arena_calloc(ld->arena, count, sizeof(struct hb_dest_conf *));
	for (size_t i = 0; i < count; i++) {
		const struct hb_node *item = hb_node_item(list, i);
		const char *name;

		if (hb_read_text(ld, item, &name))
			add_named_dest(ld, target, item, name);
	}
}

/* The one destination that the sink or a name without variables gives; false
 * when there is a template. */
static bool
load_fixed_dest(struct hb_load *ld, const struct hb_node *node,
    struct hb_target_conf *target)
{
	const struct hb_sink_type *type = target->sink->type;

	target->dests =
	    hb_arena_calloc(ld->arena, 1, sizeof(struct hb_dest_conf *));
	if (type->dest_key == NULL) {
		add_dest(ld, target, "", target->sink->name);
		return true;
	}
	if (node != NULL)
		target->name = hb_read_tmpl(ld, node, HB_VARS_ALL);
	if (target->name == NULL)
		return true; /* reported already */
	if (!hb_tmpl_is_static(target->name))
		return false;
	add_named_dest(ld, target, node, hb_tmpl_constant(ld, target->name));
	return true;
}

static const struct hb_node *
get(const struct hb_node *map, const char *key)
{
	return key != NULL ? hb_node_get(map, key) : NULL;
}

static void
load_dests(struct hb_load *ld, const struct hb_node *map,
    struct hb_target_conf *target)
{
	const struct hb_sink_type *type = target->sink->type;
	const struct hb_node *node = get(map, type->dest_key);
	const struct hb_node *list = get(map, type->dest_list_key);

	if (!load_fixed_dest(ld, node, target))
		load_listed_dests(ld, node, list, target);
	else if (list != NULL && target->name != NULL)
		hb_report_name_error(ld->report, list,
		    "the %s is no template: a list has no use",
		    type->dest_key);
}

/* --- headers -------------------------------------------------------------- */

static bool
is_token(const char *name)
{
	return name[0] != '\0' && strlen(name) <= 128 &&
	    strspn(name,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789!#$%&'*+-.^_`|~") == strlen(name);
}

/* Names of our own, and of what is passed on. */
static bool
is_reserved(const char *name)
{
	static const char *const names[] = { "content-type", "data",
		"traceparent", "tracestate" };

	if (strncasecmp(name, "ce_", 3) == 0 ||
	    strncasecmp(name, "hb_", 3) == 0)
		return true;
	for (size_t i = 0; i < HB_COUNT(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
is_repeated(const struct hb_target_conf *target, const char *name)
{
	for (size_t i = 0; i < target->header_count; i++)
		if (strcasecmp(target->headers[i].name, name) == 0)
			return true;
	return false;
}

static void
load_header(struct hb_load *ld, const struct hb_node *node,
    struct hb_target_conf *target)
{
	const struct hb_tmpl *value = hb_read_tmpl(ld, node, HB_VARS_ALL);

	if (!is_token(node->name)) {
		hb_report_name_error(ld->report, node,
		    "expected a header's name, got \"%s\"",
		    hb_report_quote(ld->report, node->name));
	} else if (is_reserved(node->name)) {
		hb_report_name_error(ld->report, node,
		    "headers of this name are hookbridge's own");
	} else if (is_repeated(target, node->name)) {
		hb_report_name_error(ld->report, node,
		    "expected each header once, got it again in other "
		    "letters");
	} else if (value != NULL) {
		target->headers[target->header_count++] =
		    (struct hb_header_conf){
			    hb_arena_strdup(ld->arena, node->name), value
		    };
	}
}

static void
load_headers(struct hb_load *ld, const struct hb_node *map,
    struct hb_target_conf *target)
{
	if (map->kind == HB_NODE_BROKEN || map->kind == HB_NODE_NULL ||
	    !hb_is_map(ld, map, "names to templates"))
		return;
	if (map->count > MAX_HEADERS)
		hb_report_error(ld->report, map,
		    "expected at most %d headers, got %zu", MAX_HEADERS,
		    map->count);
	target->headers =
	    hb_arena_calloc(ld->arena, map->count, sizeof(*target->headers));
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next)
		if (node->kind != HB_NODE_BROKEN)
			load_header(ld, node, target);
}

/* --- targets -------------------------------------------------------------- */

static struct hb_target_conf *
begin(struct hb_load *ld, const struct hb_node *map)
{
	struct hb_target_conf *target =
	    hb_arena_calloc(ld->arena, 1, sizeof(*target));

	target->index = (unsigned)ld->cfg->target_count++;
	target->sink = find_sink(ld, map);
	if (target->sink != NULL && target->sink->type != NULL)
		target->settings = hb_arena_calloc(ld->arena, 1,
		    target->sink->type->target_size);
	return target;
}

struct hb_target_conf *
hb_load_target(struct hb_load *ld, const struct hb_node *map)
{
	struct hb_target_conf *target = begin(ld, map);
	const struct hb_node *key = hb_node_get(map, "key");
	const struct hb_node *headers = hb_node_get(map, "headers");

	apply_keys(ld, map, target, hb_keys_target,
	    dest_keys(ld, type_of(target)), target_keys(type_of(target)));
	if (type_of(target) != NULL)
		load_dests(ld, map, target);
	if (key != NULL)
		target->key = hb_read_tmpl(ld, key, HB_VARS_ALL);
	if (headers != NULL)
		load_headers(ld, headers, target);
	return target;
}

/* The body as it came, to one fixed place. */
struct hb_target_conf *
hb_load_dead_letter(struct hb_load *ld, const struct hb_node *map)
{
	struct hb_target_conf *target = begin(ld, map);
	const struct hb_node *node;

	target->format = HB_FORMAT_RAW;
	apply_keys(ld, map, target, hb_keys_dead_letter,
	    fixed_dest_key(ld, type_of(target)), no_keys);
	if (type_of(target) == NULL)
		return target;
	/* Settings are for events: here they stay at their defaults. */
	hb_keys_fill(ld, NULL, target_keys(target->sink->type),
	    target->settings);
	node = get(map, target->sink->type->dest_key);
	if (!load_fixed_dest(ld, node, target))
		hb_report_expected(ld->report, node, "a fixed %s",
		    target->sink->type->dest_key);
	return target;
}
