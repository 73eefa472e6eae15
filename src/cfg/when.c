/* SPDX-License-Identifier: Apache-2.0 */
/* when.c - the conditions of a route, to rows that must all hold
 *
 *   status: completed                 any of one
 *   channel: [production, staging]    any of several
 *   status: {not: completed}          present and none of them; also
 *                                     {not: {prefix: …}} and the like
 *   metadata.kind: {prefix: inv}      {glob: "inv*"}
 *   metadata.user: {exists: true}
 *   metadata.pages: {ge: 10, lt: 100} several words become several rows */
#include <string.h>

#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "load.h"
#include "values.h"

/* The name whose conditions are being read. */
struct subject {
	struct hb_load *ld;
	struct hb_route_conf *route;
	const char *name;
	int var;
	bool negate;
};

static struct hb_predicate_conf *
add_row(const struct subject *subject, enum hb_predicate_op op)
{
	struct hb_route_conf *route = subject->route;
	struct hb_predicate_conf *row = &route->when[route->when_count++];

	row->name = subject->name;
	row->var = subject->var;
	row->op = op;
	row->negate = subject->negate;
	return row;
}

/* --- what a value may be -------------------------------------------------- */

/* Statuses arrive folded: lower case, and one spelling of each. */
static void
check_status(struct hb_load *ld, const struct hb_node *node, const char *text)
{
	static const struct {
		const char *alias, *folded;
	} aliases[] = {
		{ "canceled", "cancelled" },
		{ "succeeded", "completed" },
		{ "complete", "completed" },
		{ "error", "failed" },
	};
	struct hb_near near;

	for (size_t i = 0; i < HB_COUNT(aliases); i++) {
		if (strcmp(text, aliases[i].alias) != 0)
			continue;
		hb_report_error(ld->report, node,
		    "the status \"%s\" arrives as \"%s\"", text,
		    aliases[i].folded);
		return;
	}
	if (text[0] != '\0' && strlen(text) <= 64 &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") ==
		strlen(text))
		return;
	hb_report_expected(ld->report, node, "a status in lower case");
	hb_near_init(&near, text);
	hb_near_offer(&near, "completed");
	hb_near_offer(&near, "failed");
	hb_near_offer(&near, "cancelled");
	hb_report_near(ld->report, &near);
}

static void
check_endpoint(struct hb_load *ld, const struct hb_node *node,
    const char *text)
{
	const struct hb_config *cfg = ld->cfg;
	struct hb_near near;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (strcmp(cfg->endpoints[i].name, text) == 0)
			return;
	hb_near_init(&near, text);
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		hb_near_offer(&near, cfg->endpoints[i].name);
	hb_report_expected(ld->report, node, "the name of an endpoint");
	hb_report_near(ld->report, &near);
}

static void
check_word(const struct subject *subject, const struct hb_node *node,
    const char *text)
{
	if (subject->var == HB_VAR_STATUS)
		check_status(subject->ld, node, text);
	else if (subject->var == HB_VAR_ENDPOINT)
		check_endpoint(subject->ld, node, text);
	else if (subject->var == HB_VAR_CHANNEL)
		hb_check_label(subject->ld, node, text);
}

/* --- conditions ----------------------------------------------------------- */

/* One value as text; an empty one is a value here. */
static const char *
read_value(struct hb_load *ld, const struct hb_node *node)
{
	if (node->kind == HB_NODE_SCALAR)
		return hb_arena_strdup(ld->arena, node->text);
	hb_report_expected(ld->report, node, "a text");
	if (node->kind == HB_NODE_NULL)
		hb_report_remedy(ld->report,
		    "absence is tested by {exists: false}, the text by quotes");
	return NULL;
}

static void
read_any_of(const struct subject *subject, const struct hb_node *node)
{
	struct hb_predicate_conf *row = add_row(subject, HB_P_ANY_OF);
	size_t count = hb_node_item_count(node);
	struct hb_load *ld = subject->ld;

	if (node->kind == HB_NODE_LIST && !hb_is_list(ld, node, "values"))
		return;
	row->values.items = hb_arena_calloc(ld->arena, count, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		const struct hb_node *item = hb_node_item(node, i);
		const char *text = read_value(ld, item);

		if (text == NULL)
			continue;
		row->values.items[row->values.count++] = text;
		check_word(subject, item, text);
	}
}

static void
read_one(const struct subject *subject, const struct hb_node *node,
    enum hb_predicate_op op)
{
	struct hb_predicate_conf *row = add_row(subject, op);
	struct hb_strings one = { NULL, 1 };

	one.items = hb_arena_calloc(subject->ld->arena, 1, sizeof(char *));
	if (hb_read_text(subject->ld, node, &one.items[0]))
		row->values = one;
}

static void
read_number(const struct subject *subject, const struct hb_node *node,
    enum hb_predicate_op op)
{
	struct hb_faults *report = subject->ld->report;

	if (subject->var < HB_VAR_METADATA)
		hb_report_name_error(report, node,
		    "only metadata compares as a number");
	else if (node->kind != HB_NODE_SCALAR ||
	    !hb_value_is_decimal(node->text))
		hb_report_expected(report, node, "a number");
	else
		read_one(subject, node, op);
}

static void
read_exists(const struct subject *subject, const struct hb_node *node)
{
	bool exists;

	if (subject->negate) {
		hb_report_name_error(subject->ld->report, node,
		    "expected exists alone, got it below not");
		hb_report_remedy(subject->ld->report,
		    "write {exists: true} or {exists: false}");
		return;
	}
	if (hb_read_bool(subject->ld, node, &exists))
		add_row(subject, exists ? HB_P_EXISTS : HB_P_ABSENT);
}

static void read_condition(const struct subject *subject,
    const struct hb_node *node);

/* Below not stands one condition: "not (a and b)" is no row. */
static void
read_not(const struct subject *subject, const struct hb_node *node)
{
	struct subject negated = *subject;

	if (subject->negate ||
	    (node->kind == HB_NODE_MAP && node->count != 1)) {
		hb_report_error(subject->ld->report, node,
		    "expected one condition below not");
		return;
	}
	negated.negate = true;
	read_condition(&negated, node);
}

enum word { W_NOT, W_PREFIX, W_GLOB, W_EXISTS, W_GT, W_GE, W_LT, W_LE };

static const char *const words[] = { [W_NOT] = "not", [W_PREFIX] = "prefix",
	[W_GLOB] = "glob", [W_EXISTS] = "exists", [W_GT] = "gt", [W_GE] = "ge",
	[W_LT] = "lt", [W_LE] = "le" };

static void
refuse_word(struct hb_load *ld, const struct hb_node *node)
{
	struct hb_near near;

	hb_report_name_error(ld->report, node, "unknown condition");
	hb_near_init(&near, node->name);
	for (size_t i = 0; i < HB_COUNT(words); i++)
		hb_near_offer(&near, words[i]);
	if (near.best != NULL)
		hb_report_near(ld->report, &near);
	else
		hb_report_remedy(ld->report,
		    "known here: not, prefix, glob, exists, gt, ge, lt, le");
}

static void
read_word(const struct subject *subject, const struct hb_node *node)
{
	size_t word = 0;

	while (word < HB_COUNT(words) && strcmp(words[word], node->name) != 0)
		word++;
	switch (word) {
	case W_NOT:
		read_not(subject, node);
		break;
	case W_PREFIX:
		read_one(subject, node, HB_P_PREFIX);
		break;
	case W_GLOB:
		read_one(subject, node, HB_P_GLOB);
		break;
	case W_EXISTS:
		read_exists(subject, node);
		break;
	case W_GT:
		read_number(subject, node, HB_P_GT);
		break;
	case W_GE:
		read_number(subject, node, HB_P_GE);
		break;
	case W_LT:
		read_number(subject, node, HB_P_LT);
		break;
	case W_LE:
		read_number(subject, node, HB_P_LE);
		break;
	default:
		refuse_word(subject->ld, node);
		break;
	}
}

static void
read_condition(const struct subject *subject, const struct hb_node *node)
{
	if (node->kind == HB_NODE_BROKEN)
		return;
	if (node->kind != HB_NODE_MAP) {
		read_any_of(subject, node);
		return;
	}
	if (node->count == 0)
		hb_report_error(subject->ld->report, node,
		    "expected a condition, got an empty map");
	for (const struct hb_node *word = node->first; word != NULL;
	     word = word->next)
		if (word->kind != HB_NODE_BROKEN)
			read_word(subject, word);
}

/* An upper bound for the number of rows. */
static size_t
count_rows(const struct hb_node *map)
{
	size_t count = 0;

	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next)
		count += node->kind == HB_NODE_MAP ? node->count : 1;
	return count;
}

void
hb_load_when(struct hb_load *ld, const struct hb_node *map,
    struct hb_route_conf *route)
{
	struct subject subject = { .ld = ld, .route = route };

	if (map->kind == HB_NODE_BROKEN || map->kind == HB_NODE_NULL ||
	    !hb_is_map(ld, map, "names to conditions"))
		return;
	route->when = hb_arena_calloc(ld->arena, count_rows(map),
	    sizeof(*route->when));
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next) {
		if (node->kind == HB_NODE_BROKEN)
			continue;
		subject.var = hb_var_of_name(ld, node, HB_VARS_TESTED);
		subject.name = hb_arena_strdup(ld->arena, node->name);
		if (subject.var >= 0)
			read_condition(&subject, node);
	}
}
