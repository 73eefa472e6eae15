/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - a map of the file applied to tables of keys
 *
 * First every row gets its default, read as if it had been written; then each
 * member of the map finds its row and its type's reader; then required rows
 * are looked for. A reader reports what it does not like and leaves the
 * default.
 *
 * min and max bound a number's value, a text's length and a list's number of
 * entries. Required rows of a section count only where the section is
 * written. */
#include <string.h>

#include "hookbridge/near.h"
#include "load.h"
#include "read.h"

static void *
field_of(const struct hb_key *key, const void *conf)
{
	return (char *)conf + key->offset;
}

/* --- readers of the types ------------------------------------------------- */

static void
read_section(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	hb_keys_fill(ld, node, key->sub, field);
}

/* The caller of the table reads it. */
static void
read_custom(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	(void)ld, (void)key, (void)node, (void)field;
}

static void (*const readers[])(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field) = {
	[HB_KEY_BOOL] = hb_key_read_bool,
	[HB_KEY_UINT] = hb_key_read_number,
	[HB_KEY_SIZE] = hb_key_read_number,
	[HB_KEY_DURATION] = hb_key_read_number,
	[HB_KEY_PERCENT] = hb_key_read_number,
	[HB_KEY_ENUM] = hb_key_read_enum,
	[HB_KEY_STRING] = hb_key_read_string,
	[HB_KEY_STRINGS] = hb_key_read_strings,
	[HB_KEY_SECRET] = hb_key_read_secret,
	[HB_KEY_SECRETS] = hb_key_read_secrets,
	[HB_KEY_CIDRS] = hb_key_read_cidrs,
	[HB_KEY_PAIRS] = hb_key_read_pairs,
	[HB_KEY_SECTION] = read_section,
	[HB_KEY_CUSTOM] = read_custom,
};

/* --- applying ------------------------------------------------------------- */

static void
set_default(struct hb_load *ld, const struct hb_key *key, void *conf)
{
	const struct hb_node node = { .kind = HB_NODE_SCALAR,
		.text = key->def };
	unsigned errors = hb_report_errors(ld->report);

	if (key->type == HB_KEY_SECTION)
		hb_keys_fill(ld, NULL, key->sub, field_of(key, conf));
	else if (key->def != NULL)
		readers[key->type](ld, key, &node, field_of(key, conf));
	if (hb_report_errors(ld->report) != errors)
		hb_bug("default of key \"%s\"", key->name);
}

static void
set_defaults(struct hb_load *ld, const struct hb_key_set *set)
{
	if (set->conf == NULL)
		return;
	for (const struct hb_key *key = set->keys; key->name != NULL; key++)
		if (key->later == NULL)
			set_default(ld, key, set->conf);
}

static const struct hb_key *
find_key(const struct hb_key_set *sets, size_t set_count, const char *name,
    const struct hb_key_set **set)
{
	for (*set = sets; *set < sets + set_count; (*set)++)
		for (const struct hb_key *key = (*set)->keys; key->name != NULL;
		     key++)
			if (strcmp(key->name, name) == 0)
				return key;
	return NULL;
}

/* "known here: brokers, properties" where nothing is near. */
static void
suggest(struct hb_load *ld, const char *name, const struct hb_key_set *sets,
    size_t set_count)
{
	const char *known = "", *comma = "";
	struct hb_near near;

	hb_near_init(&near, name);
	for (size_t i = 0; i < set_count; i++)
		for (const struct hb_key *key = sets[i].keys; key->name != NULL;
		     key++) {
			if (sets[i].conf == NULL)
				continue;
			hb_near_offer(&near, key->name);
			if (key->later != NULL)
				continue;
			known = hb_arena_printf(ld->scratch, "%s%s%s", known,
			    comma, key->name).ptr;
			comma = ", ";
		}
	if (near.best != NULL)
		hb_report_near(ld->report, &near);
	else
		hb_report_remedy(ld->report, "known here: %s", known);
}

static void
apply_member(struct hb_load *ld, const struct hb_node *node,
    const struct hb_key_set *sets, size_t set_count)
{
	const struct hb_key_set *set;
	const struct hb_key *key =
	    find_key(sets, set_count, node->name, &set);

	if (node->kind == HB_NODE_BROKEN)
		return;
	if (key == NULL) {
		hb_report_name_error(ld->report, node, "unknown key");
		suggest(ld, node->name, sets, set_count);
	} else if (key->later != NULL) {
		hb_report_name_error(ld->report, node,
		    "not supported yet (%s)", key->later);
	} else if (set->conf != NULL) {
		unsigned errors = hb_report_errors(ld->report);

		readers[key->type](ld, key, node, field_of(key, set->conf));
		if (key->caution != NULL &&
		    hb_report_errors(ld->report) == errors)
			hb_report_warn(ld->report, node, "%s", key->caution);
	}
}

static void
require(struct hb_load *ld, const struct hb_node *map,
    const struct hb_key *key)
{
	if ((key->flags & HB_KEY_REQUIRED) == 0 || key->later != NULL ||
	    hb_node_get(map, key->name) != NULL)
		return;
	hb_report_missing(ld->report, map, key->name);
	if (key->help != NULL)
		hb_report_remedy(ld->report, "%s: %s", key->name, key->help);
}

void
hb_keys_apply(struct hb_load *ld, const struct hb_node *map,
    const struct hb_key_set *sets, size_t set_count)
{
	for (size_t i = 0; i < set_count; i++)
		set_defaults(ld, &sets[i]);
	if (map == NULL || map->kind == HB_NODE_BROKEN)
		return;
	if (map->kind != HB_NODE_NULL && !hb_is_map(ld, map, "settings"))
		return;
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next)
		apply_member(ld, node, sets, set_count);
	for (size_t i = 0; i < set_count; i++)
		for (const struct hb_key *key = sets[i].keys; key->name != NULL;
		     key++)
			require(ld, map, key);
}

void
hb_keys_fill(struct hb_load *ld, const struct hb_node *map,
    const struct hb_key *keys, void *conf)
{
	const struct hb_key_set set = { keys, conf };

	hb_keys_apply(ld, map, &set, 1);
}

/* --- comparing ------------------------------------------------------------ */

static bool
equal_texts(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
equal_lists(const struct hb_strings *a, const struct hb_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool
equal_fields(const struct hb_key *key, const void *a, const void *b)
{
	switch (key->type) {
	case HB_KEY_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case HB_KEY_UINT:
	case HB_KEY_SIZE:
	case HB_KEY_DURATION:
	case HB_KEY_PERCENT:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case HB_KEY_ENUM:
		return *(const int *)a == *(const int *)b;
	case HB_KEY_STRING:
		return equal_texts(*(const char *const *)a,
		    *(const char *const *)b);
	case HB_KEY_STRINGS:
		return equal_lists(a, b);
	case HB_KEY_SECTION:
		return hb_keys_equal(key->sub, a, b);
	case HB_KEY_SECRET:
	case HB_KEY_SECRETS:
	case HB_KEY_CIDRS:
	case HB_KEY_PAIRS:
	case HB_KEY_CUSTOM:
		break; /* not known to be equal */
	}
	return false;
}

bool
hb_keys_equal(const struct hb_key *keys, const void *a, const void *b)
{
	for (const struct hb_key *key = keys; key->name != NULL; key++)
		if (key->later == NULL &&
		    !equal_fields(key, field_of(key, a), field_of(key, b)))
			return false;
	return true;
}
