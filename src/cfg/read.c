/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - one value of the file read as a row's type
 *
 * The row decides what a scalar is, never its looks: where text is expected,
 * 08, no and 1.50 are text, byte for byte; where a number is expected, "5" in
 * quotes is none. */
#include "read.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hookbridge/near.h"
#include "hookbridge/secret.h"
#include "values.h"

/* --- lists: a scalar is a list of one ------------------------------------- */

static void
check_count(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, size_t count)
{
	if (count < key->min)
		hb_report_error(ld->report, node,
		    "expected at least %" PRIu64 ", got %zu", key->min, count);
	else if (key->max > 0 && count > key->max)
		hb_report_error(ld->report, node,
		    "expected at most %" PRIu64 ", got %zu", key->max, count);
}

/* --- numbers -------------------------------------------------------------- */

static void
print_uint(uint64_t value, char out[HB_VALUE_SIZE])
{
	snprintf(out, HB_VALUE_SIZE, "%" PRIu64, value);
}

static const struct number {
	enum hb_value (*read)(const char *text, uint64_t *out);
	void (*print)(uint64_t value, char out[HB_VALUE_SIZE]);
	const char *what, *example, *units;
} numbers[] = {
	[HB_KEY_UINT] = { hb_value_uint, print_uint, "a number", "a number",
	    NULL },
	[HB_KEY_SIZE] = { hb_value_size, hb_value_print_size, "a size",
	    "a size such as 64KiB", "sizes take B, KiB, MiB and GiB" },
	[HB_KEY_DURATION] = { hb_value_duration, hb_value_print_duration,
	    "a duration", "a duration such as 500ms, 3s or 48h",
	    "durations take ms, s, m, h and d" },
	[HB_KEY_PERCENT] = { hb_value_percent, hb_value_print_percent,
	    "a percentage", "a percentage such as 50%",
	    "percentages are whole numbers, with or without %" },
};

/* Without a limit of the row's there is still that of 64 bits. */
static void
refuse_range(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, bool is_too_large)
{
	const struct number *number = &numbers[key->type];
	char min[HB_VALUE_SIZE], max[HB_VALUE_SIZE];

	number->print(key->min, min);
	number->print(key->max > 0 ? key->max : UINT64_MAX, max);
	if (key->max == 0 && !is_too_large)
		hb_report_expected(ld->report, node, "%s of at least %s",
		    number->what, min);
	else
		hb_report_expected(ld->report, node, "%s from %s to %s",
		    number->what, min, max);
}

static void
refuse_number(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node)
{
	const struct number *number = &numbers[key->type];

	hb_report_expected(ld->report, node, "%s", number->example);
	if (node->kind != HB_NODE_SCALAR)
		return;
	if (node->text[0] == '0' && node->text[1] >= '0' &&
	    node->text[1] <= '9')
		hb_report_remedy(ld->report, "write it without leading zeros");
	else if (number->units != NULL)
		hb_report_remedy(ld->report, "%s", number->units);
	else if (node->quoted)
		hb_report_remedy(ld->report, "write it without quotes");
}

void
hb_key_read_number(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	uint64_t value = 0;
	enum hb_value result = HB_VALUE_MALFORMED;

	/* "64 KiB" may be quoted, a bare number is not text. */
	if (node->kind == HB_NODE_SCALAR &&
	    !(node->quoted && key->type == HB_KEY_UINT))
		result = numbers[key->type].read(node->text, &value);
	if (result == HB_VALUE_TOO_LARGE ||
	    (result == HB_VALUE_OK &&
		(value < key->min || (key->max > 0 && value > key->max))))
		refuse_range(ld, key, node, result == HB_VALUE_TOO_LARGE);
	else if (result != HB_VALUE_OK)
		refuse_number(ld, key, node);
	else
		*(uint64_t *)field = value;
}

/* --- words ---------------------------------------------------------------- */

bool
hb_read_bool(struct hb_load *ld, const struct hb_node *node, bool *out)
{
	bool is_plain = node->kind == HB_NODE_SCALAR && !node->quoted;

	if (is_plain && strcmp(node->text, "true") == 0)
		return *out = true, true;
	if (is_plain && strcmp(node->text, "false") == 0)
		return *out = false, true;
	hb_report_expected(ld->report, node, "true or false");
	if (node->kind == HB_NODE_SCALAR && node->quoted)
		hb_report_remedy(ld->report, "write it without quotes");
	return false;
}

void
hb_key_read_bool(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	(void)key;
	(void)hb_read_bool(ld, node, field);
}

/* "\"svix\", \"direct\" or \"disabled\"" */
static const char *
join_words(struct hb_load *ld, const struct hb_key_word *words)
{
	const char *text = "";

	for (const struct hb_key_word *w = words; w->word != NULL; w++)
		text = hb_arena_printf(ld->scratch, "%s%s\"%s\"", text,
		    w == words                ? ""
			: w[1].word == NULL ? " or "
					    : ", ",
		    w->word).ptr;
	return text;
}

void
hb_key_read_enum(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	struct hb_near near;

	if (node->kind != HB_NODE_SCALAR) {
		hb_report_expected(ld->report, node, "%s",
		    join_words(ld, key->values));
		return;
	}
	hb_near_init(&near, node->text);
	for (const struct hb_key_word *w = key->values; w->word != NULL; w++) {
		if (strcmp(node->text, w->word) == 0) {
			*(int *)field = w->value;
			return;
		}
		hb_near_offer(&near, w->word);
	}
	hb_report_expected(ld->report, node, "%s", join_words(ld, key->values));
	hb_report_near(ld->report, &near);
}

/* --- texts ---------------------------------------------------------------- */

bool
hb_read_text(struct hb_load *ld, const struct hb_node *node, const char **out)
{
	if (node->kind == HB_NODE_BROKEN)
		return false;
	if (node->kind != HB_NODE_SCALAR) {
		hb_report_expected(ld->report, node, "a text");
		return false;
	}
	if (node->text[0] == '\0') {
		hb_report_error(ld->report, node,
		    "expected a text, got an empty one");
		return false;
	}
	*out = hb_arena_strdup(ld->arena, node->text);
	return true;
}

static bool
read_texts(struct hb_load *ld, const struct hb_node *node,
    struct hb_strings *out)
{
	size_t count = hb_node_item_count(node);
	struct hb_strings list = { NULL, 0 };

	list.items = hb_arena_calloc(ld->arena, count, sizeof(char *));
	for (size_t i = 0; i < count; i++)
		if (hb_read_text(ld, hb_node_item(node, i),
			&list.items[list.count]))
			list.count++;
	if (list.count != count)
		return false;
	*out = list;
	return true;
}

void
hb_key_read_string(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	const char *text;
	size_t len;

	if (!hb_read_text(ld, node, &text))
		return;
	len = strlen(text);
	if (len < key->min)
		hb_report_error(ld->report, node,
		    "expected at least %" PRIu64 " characters, got %zu",
		    key->min, len);
	else if (key->max > 0 && len > key->max)
		hb_report_error(ld->report, node,
		    "expected at most %" PRIu64 " characters, got %zu",
		    key->max, len);
	else
		*(const char **)field = text;
}

void
hb_key_read_strings(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	struct hb_strings *list = field;

	if (read_texts(ld, node, list))
		check_count(ld, key, node, list->count);
}

bool
hb_is_list(struct hb_load *ld, const struct hb_node *node, const char *of_what)
{
	if (node->kind == HB_NODE_LIST && node->count > 0)
		return true;
	hb_report_expected(ld->report, node, "a list of %s", of_what);
	return false;
}

bool
hb_is_list_of_maps(struct hb_load *ld, const struct hb_node *node,
    const char *of_what)
{
	return node->kind == HB_NODE_MAP || hb_is_list(ld, node, of_what);
}

bool
hb_is_map(struct hb_load *ld, const struct hb_node *node, const char *of_what)
{
	if (node->kind == HB_NODE_MAP)
		return true;
	if (node->kind == HB_NODE_SCALAR)
		/* Not shown: a URL or a token in the wrong place. */
		hb_report_error(ld->report, node,
		    "expected a map of %s, got a text", of_what);
	else
		hb_report_expected(ld->report, node, "a map of %s", of_what);
	return false;
}

/* --- secrets, addresses, pairs -------------------------------------------- */

void
hb_key_read_secret(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	(void)key;
	*(struct hb_secret **)field = hb_secret_load(ld, node);
}

void
hb_key_read_secrets(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	size_t count = hb_node_item_count(node);
	struct hb_secrets list = { NULL, count };

	/* One-to-one with the nodes: a missing one stays NULL. */
	list.items =
	    hb_arena_calloc(ld->arena, count, sizeof(struct hb_secret *));
	for (size_t i = 0; i < count; i++)
		list.items[i] = hb_secret_load(ld, hb_node_item(node, i));
	check_count(ld, key, node, count);
	*(struct hb_secrets *)field = list;
}

static bool
read_cidr(struct hb_load *ld, const struct hb_node *node, struct hb_cidr *out)
{
	char shown[HB_VALUE_SIZE];
	bool base_is_exact;

	if (node->kind != HB_NODE_SCALAR ||
	    !hb_value_cidr(node->text, out, &base_is_exact)) {
		hb_report_expected(ld->report, node,
		    "an address or a network such as 203.0.113.0/24");
		return false;
	}
	if (base_is_exact)
		return true;
	hb_report_expected(ld->report, node,
	    "a network without bits beyond its prefix");
	hb_value_cut_cidr(out);
	hb_value_print_cidr(out, shown);
	hb_report_remedy(ld->report, "the network is %s", shown);
	return false;
}

void
hb_key_read_cidrs(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	size_t count = hb_node_item_count(node);
	struct hb_cidrs *list = field;

	list->items = hb_arena_calloc(ld->arena, count, sizeof(*list->items));
	list->count = 0;
	for (size_t i = 0; i < count; i++)
		if (read_cidr(ld, hb_node_item(node, i),
			&list->items[list->count]))
			list->count++;
	check_count(ld, key, node, count);
}

static bool
read_pair(struct hb_load *ld, const struct hb_node *node, struct hb_pair *out)
{
	const struct hb_secret *secret;

	if (node->kind != HB_NODE_SCALAR) {
		hb_report_expected(ld->report, node, "a text");
		return false;
	}
	out->name = hb_arena_strdup(ld->arena, node->name);
	out->secret = hb_secret_is_source(node->text);
	out->source = NULL;
	if (!out->secret) {
		out->value = hb_arena_strdup(ld->arena, node->text);
		return true;
	}
	secret = hb_secret_load(ld, node);
	if (secret == NULL)
		return false;
	out->value = (const char *)secret->data;
	out->source = secret->source;
	return true;
}

void
hb_key_read_pairs(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field)
{
	struct hb_pairs *pairs = field;

	if (node->kind == HB_NODE_NULL || !hb_is_map(ld, node, "texts"))
		return;
	pairs->items =
	    hb_arena_calloc(ld->arena, node->count, sizeof(*pairs->items));
	for (const struct hb_node *item = node->first; item != NULL;
	     item = item->next)
		if (read_pair(ld, item, &pairs->items[pairs->count]))
			pairs->count++;
	check_count(ld, key, node, node->count);
}
