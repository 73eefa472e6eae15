/* SPDX-License-Identifier: Apache-2.0 */
/* sinks.c - where events go; each type brings its own table and checks */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/near.h"
#include "load.h"

static const struct hb_key type_keys[] = {
	{ .name = "type", .type = HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED },
	{ .name = NULL },
};

/* --- the type ------------------------------------------------------------- */

/* "kafka, redis or file" */
static const char *
known_types(struct hb_load *ld)
{
	const char *known = "";

	for (size_t i = 0; ld->types[i] != NULL; i++)
		known = hb_arena_printf(ld->scratch, "%s%s%s", known,
		    i == 0                       ? ""
			: ld->types[i + 1] == NULL ? " or "
						   : ", ",
		    ld->types[i]->name).ptr;
	return known;
}

static void
refuse_type(struct hb_load *ld, const struct hb_node *node, const char *name)
{
	struct hb_near near;

	hb_near_init(&near, name);
	for (size_t i = 0; ld->types[i] != NULL; i++)
		hb_near_offer(&near, ld->types[i]->name);
	hb_report_expected(ld->report, node, "%s", known_types(ld));
	hb_report_near(ld->report, &near);
}

static const struct hb_sink_type *
find_type(struct hb_load *ld, const struct hb_node *node)
{
	const char *name;

	if (!hb_read_text(ld, node, &name))
		return NULL;
	for (size_t i = 0; ld->types[i] != NULL; i++) {
		if (strcmp(ld->types[i]->name, name) != 0)
			continue;
		if (ld->types[i]->unsupported == NULL)
			return ld->types[i];
		hb_report_error(ld->report, node, "no sinks of type %s: %s",
		    name, ld->types[i]->unsupported);
		return NULL;
	}
	refuse_type(ld, node, name);
	return NULL;
}

/* --- complaints of a type's own check ------------------------------------- */

struct complaint {
	struct hb_load *ld;
	const struct hb_node *map;
};

/* "[1]" below a node, or NULL; the key goes on behind it. */
static const struct hb_node *
take_index(const struct hb_node *node, const char **key)
{
	size_t index = strtoul(*key + 1, NULL, 10);

	*key += strcspn(*key, "]");
	*key += **key == ']';
	*key += **key == '.';
	if (node->kind == HB_NODE_MAP ||
	    (node->kind == HB_NODE_LIST && index >= node->count))
		return NULL;
	return hb_node_item(node, index);
}

/* "properties" below a node, or NULL; the key goes on behind it. */
static const struct hb_node *
take_name(const struct hb_node *node, const char **key)
{
	size_t len = strcspn(*key, ".[");
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)len, *key);
	*key += len + ((*key)[len] == '.');
	return hb_node_get(node, name);
}

/* "brokers[1]" or "properties.compression.codec" below map; as far as the file
 * has it. A name may hold dots. */
static const struct hb_node *
find_node(const struct hb_node *node, const char *key)
{
	while (*key != '\0') {
		const struct hb_node *next = hb_node_get(node, key);

		if (next != NULL)
			return next;
		next = *key == '[' ? take_index(node, &key)
				   : take_name(node, &key);
		if (next == NULL)
			break;
		node = next;
	}
	return node;
}

static void complain(void *arg, const char *key, const char *fmt, ...)
    HB_PRINTF(3, 4);

/* A sentence that begins with "warning: " is no error; what stands behind a
 * newline is the remedy. */
static void
complain(void *arg, const char *key, const char *fmt, ...)
{
	static const char warning[] = "warning: ";
	const struct complaint *complaint = arg;
	struct hb_faults *report = complaint->ld->report;
	const struct hb_node *node = find_node(complaint->map, key);
	char text[512], *remedy;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	remedy = strchr(text, '\n');
	if (remedy != NULL)
		*remedy++ = '\0';
	if (strncmp(text, warning, strlen(warning)) == 0)
		hb_report_warn(report, node, "%s", text + strlen(warning));
	else if (node == complaint->map)
		hb_report_name_error(report, node, "%s", text);
	else
		hb_report_error(report, node, "%s", text);
	if (remedy != NULL && *remedy != '\0')
		hb_report_remedy(report, "%s", remedy);
}

/* --- one sink ------------------------------------------------------------- */

static const struct hb_sink_type *
type_of(struct hb_load *ld, const struct hb_node *map)
{
	const struct hb_node *node = hb_node_get(map, "type");

	if (node != NULL)
		return find_type(ld, node);
	hb_report_missing(ld->report, map, "type");
	hb_report_remedy(ld->report, "type: %s", known_types(ld));
	return NULL;
}

/* Whether a part of it was complained about when the file was read: what that
 * part would set is not there. */
static bool
is_broken(const struct hb_node *node)
{
	if (node->kind == HB_NODE_BROKEN)
		return true;
	for (node = node->first; node != NULL; node = node->next)
		if (is_broken(node))
			return true;
	return false;
}

static void
load_sink(struct hb_load *ld, const struct hb_node *map,
    struct hb_sink_conf *sink)
{
	unsigned errors = hb_report_errors(ld->report);
	struct complaint complaint = { ld, map };

	sink->index = (unsigned)map->index;
	sink->name = hb_arena_strdup(ld->arena, map->name);
	hb_check_name(ld, map);
	if (map->kind == HB_NODE_BROKEN || !hb_is_map(ld, map, "settings"))
		return;
	sink->type = type_of(ld, map);
	if (sink->type == NULL)
		return; /* which other keys there may be only it knows */
	sink->conf = hb_arena_calloc(ld->arena, 1, sink->type->conf_size);
	hb_keys_apply(ld, map,
	    (const struct hb_key_set[]){ { type_keys, NULL },
		{ sink->type->keys, sink->conf } }, 2);
	if (sink->type->check != NULL && !is_broken(map) &&
	    hb_report_errors(ld->report) == errors)
		sink->type->check(sink, complain, &complaint);
	ld->sink_is_faulty[sink->index] =
	    is_broken(map) || hb_report_errors(ld->report) != errors;
}

void
hb_load_sinks(struct hb_load *ld, const struct hb_node *map)
{
	struct hb_config *cfg = ld->cfg;

	if (!hb_is_map(ld, map, "names to sinks"))
		return;
	if (map->count == 0)
		hb_report_error(ld->report, map,
		    "expected at least one sink, got none");
	cfg->sinks = hb_arena_calloc(ld->arena, map->count,
	    sizeof(*cfg->sinks));
	cfg->sink_count = map->count;
	ld->sink_is_faulty =
	    hb_arena_calloc(ld->scratch, map->count, sizeof(bool));
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next)
		load_sink(ld, node, &cfg->sinks[node->index]);
}
