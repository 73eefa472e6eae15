/* SPDX-License-Identifier: Apache-2.0 */
/* test_manual.c - hookbridge.yaml(5) says of keys what their tables say
 *
 * In the page's section KEYS each map has a heading, and below it an item for
 * each of its keys:
 *
 *   .Ss http
 *   .It Ic head_size : Ar size
 *   ...
 *   Default: 16KiB; from 1KiB to 1MiB.
 *
 * The tables are walked: each key that the code knows has its item, with its
 * type and with one line of its default and bounds, and occurs in an example.
 * Then the page is walked: there are no other items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/cfg/load.h"
#include "../../src/cfg/values.h"
#include "hookbridge/mem.h"
#include "hookbridge/sink.h"

#define PAGE "/../packaging/man/hookbridge.yaml.5"
#define ITEM "\n.It Ic "
#define HEADING "\n.Ss "
#define TOP "Top level"
#define KNOWN_MAX 200
#define BOUNDS_SIZE (2 * HB_VALUE_SIZE + 32)

struct manual {
	char *text;     /* the section KEYS */
	char *examples; /* its literal blocks, one after the other */
	/* What was looked for: "\n.Ss HEADING\n" and "\n.It Ic NAME : ". */
	struct mark {
		char section[128], item[128];
	} known[KNOWN_MAX];
	size_t known_count;
};

/* --- the page ------------------------------------------------------------- */

static char *
read_page(void)
{
	char path[512], *text = hb_xcalloc(1, 262144);
	FILE *file;

	snprintf(path, sizeof(path), "%s" PAGE, getenv("HB_TESTS"));
	file = fopen(path, "re");
	assert_non_null(file);
	assert_in_range(fread(text, 1, 262143, file), 1, 262142);
	assert_int_equal(fclose(file), 0);
	return text;
}

static char *
collect_examples(const char *text)
{
	char *examples = hb_xcalloc(1, strlen(text) + 2), *out = examples;

	*out++ = '\n';
	while ((text = strstr(text, "\n.Bd -literal")) != NULL) {
		const char *begin = strchr(text + 1, '\n') + 1;
		const char *end = strstr(begin, "\n.Ed");

		assert_non_null(end);
		out = (char *)mempcpy(out, begin, (size_t)(end + 1 - begin));
		text = end;
	}
	return examples;
}

static int
open_manual(void **state)
{
	struct manual *manual = hb_xcalloc(1, sizeof(*manual));
	char *page = read_page();
	char *begin = strstr(page, "\n.Sh KEYS\n"), *end;

	assert_non_null(begin);
	end = strstr(begin + 1, "\n.Sh ");
	assert_non_null(end);
	manual->text = strndup(begin, (size_t)(end - begin));
	manual->examples = collect_examples(manual->text);
	free(page);
	*state = manual;
	return 0;
}

static int
close_manual(void **state)
{
	struct manual *manual = *state;

	free(manual->text);
	free(manual->examples);
	free(manual);
	return 0;
}

/* A copy of what follows the mark, up to the next of its kind; NULL when there
 * is none. */
static char *
cut_out(const char *text, const char *mark, const char *kind)
{
	const char *begin = strstr(text, mark), *end;

	if (begin == NULL)
		return NULL;
	begin += strlen(mark);
	end = strstr(begin, kind);
	return end != NULL ? strndup(begin, (size_t)(end - begin))
			   : strdup(begin);
}

/* --- what an item must say ------------------------------------------------ */

/* How the page calls a type; with a blank at its end: only how it begins. */
static void
print_type(const struct hb_key *key, char out[128])
{
	static const char *const names[] = { [HB_KEY_BOOL] = "Cm true | false",
		[HB_KEY_UINT] = "Ar number",
		[HB_KEY_SIZE] = "Ar size",
		[HB_KEY_DURATION] = "Ar duration",
		[HB_KEY_PERCENT] = "Ar percentage",
		[HB_KEY_ENUM] = "Cm",
		[HB_KEY_STRING] = "Ar ",
		[HB_KEY_STRINGS] = "Ar list of ",
		[HB_KEY_SECRET] = "Ar secret",
		[HB_KEY_SECRETS] = "Ar list of secrets",
		[HB_KEY_CIDRS] = "Ar list of networks",
		[HB_KEY_PAIRS] = "Ar map of ",
		[HB_KEY_SECTION] = "Ar map",
		[HB_KEY_CUSTOM] = "" };
	size_t len = (size_t)snprintf(out, 128, "%s", names[key->type]);

	if (key->type != HB_KEY_ENUM)
		return;
	for (const struct hb_key_word *w = key->values; w->word != NULL; w++)
		len += (size_t)snprintf(out + len, 128 - len, "%s %s",
		    w == key->values ? "" : " |", w->word);
}

static void
print_value(const struct hb_key *key, uint64_t value, char out[HB_VALUE_SIZE])
{
	if (key->type == HB_KEY_SIZE)
		hb_value_print_size(value, out);
	else if (key->type == HB_KEY_DURATION)
		hb_value_print_duration(value, out);
	else if (key->type == HB_KEY_PERCENT)
		hb_value_print_percent(value, out);
	else
		snprintf(out, HB_VALUE_SIZE, "%llu", (unsigned long long)value);
}

/* "; from 1KiB to 1MiB", "; at most 8 entries", "" where nothing is said. */
static void
print_bounds(const struct hb_key *key, char out[BOUNDS_SIZE])
{
	bool is_text = key->type == HB_KEY_STRING;
	bool is_number = key->type == HB_KEY_UINT ||
	    key->type == HB_KEY_SIZE || key->type == HB_KEY_DURATION ||
	    key->type == HB_KEY_PERCENT;
	char min[HB_VALUE_SIZE], max[HB_VALUE_SIZE];

	print_value(key, key->min, min);
	print_value(key, key->max, max);
	out[0] = '\0';
	if (key->max > 0 && !is_number)
		snprintf(out, BOUNDS_SIZE, "; at most %s %s", max,
		    is_text ? "characters" : "entries");
	else if (key->max > 0 && key->min > 0)
		snprintf(out, BOUNDS_SIZE, "; from %s to %s", min, max);
	else if (key->max > 0)
		snprintf(out, BOUNDS_SIZE, "; at most %s", max);
	else if (is_number && key->min > 0)
		snprintf(out, BOUNDS_SIZE, "; at least %s", min);
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void
check_type(const char *name, const struct hb_key *key, const char *item)
{
	char type[128];
	size_t len;

	print_type(key, type);
	len = strlen(type);
	if (!begins(item, type) ||
	    (len > 0 && type[len - 1] != ' ' && item[len] != '\n'))
		fail_msg("%s: expected \"%s\" in: %s", name, type, item);
}

/* The one line of an item that begins with "Default: " or "Required"; for
 * free(). */
static char *
find_facts(const char *name, const char *item)
{
	char *facts = NULL;

	for (const char *line = item; line != NULL;
	     line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!begins(line, "Default: ") && !begins(line, "Required"))
			continue;
		if (facts != NULL)
			fail_msg("%s: two lines of facts: %s", name, item);
		facts = strndup(line, strcspn(line, "\n"));
	}
	if (facts == NULL)
		fail_msg("%s: no \"Default: \" nor \"Required\": %s", name,
		    item);
	return facts;
}

static bool
ends_with_bounds(const char *facts, const char *bounds)
{
	char end[BOUNDS_SIZE + 2];
	size_t len;

	snprintf(end, sizeof(end), "%s.", bounds);
	len = strlen(end);
	return strlen(facts) >= len &&
	    strcmp(facts + strlen(facts) - len, end) == 0 &&
	    (bounds[0] != '\0' || strpbrk(facts, ";") == NULL);
}

static void
check_facts(const char *name, const struct hb_key *key, const char *item)
{
	char bounds[BOUNDS_SIZE], expected[256];
	char *facts = find_facts(name, item);

	print_bounds(key, bounds);
	if (!ends_with_bounds(facts, bounds))
		fail_msg("%s: expected \"%s.\" at the end of \"%s\"", name,
		    bounds, facts);
	if ((key->flags & HB_KEY_REQUIRED) != 0 && !begins(facts, "Required"))
		fail_msg("%s: it is required, not \"%s\"", name, facts);
	if (key->def != NULL) {
		snprintf(expected, sizeof(expected), "Default: %s%s.",
		    key->def, bounds);
		assert_string_equal(facts, expected);
	}
	free(facts);
}

/* --- the walk ------------------------------------------------------------- */

/* Whether the examples have a key of this name. */
static bool
is_shown(const struct manual *manual, const char *name)
{
	size_t len = strlen(name);
	const char *found = manual->examples;

	while ((found = strstr(found, name)) != NULL) {
		if (found[len] == ':' && strchr(" {\n", found[-1]) != NULL)
			return true;
		found += len;
	}
	return false;
}

static void
check_key(struct manual *manual, const char *heading, const struct hb_key *key)
{
	struct mark *mark = &manual->known[manual->known_count++];
	char *section, *item;

	assert_true(manual->known_count <= KNOWN_MAX);
	snprintf(mark->section, sizeof(mark->section), HEADING "%s\n",
	    heading);
	snprintf(mark->item, sizeof(mark->item), ITEM "%s : ", key->name);
	section = cut_out(manual->text, mark->section, HEADING);
	if (section == NULL)
		fail_msg("no heading \"%s\"", heading);
	item = cut_out(section, mark->item, ITEM);
	if (item == NULL)
		fail_msg("no item for \"%s\" below \"%s\"", key->name, heading);
	check_type(key->name, key, item);
	if (key->type != HB_KEY_SECTION)
		check_facts(key->name, key, item);
	if (!is_shown(manual, key->name))
		fail_msg("\"%s\" of \"%s\" is in no example", key->name,
		    heading);
	free(item);
	free(section);
}

/* The heading of a map inside of one: "http", "sinks.NAME.wait". */
static void
print_inner(const char *heading, const char *name, char out[128])
{
	if (strcmp(heading, TOP) == 0)
		snprintf(out, 128, "%s", name);
	else
		snprintf(out, 128, "%.*s.%s", (int)strcspn(heading, " "),
		    heading, name);
}

static void
check_table(struct manual *manual, const char *heading,
    const struct hb_key *keys)
{
	char inner[128];

	for (; keys != NULL && keys->name != NULL; keys++) {
		if (keys->later != NULL)
			continue;
		check_key(manual, heading, keys);
		print_inner(heading, keys->name, inner);
		check_table(manual, inner, keys->sub);
	}
}

/* A key that has no row of its own. */
static void
check_name(struct manual *manual, const char *heading, const char *name,
    unsigned flags)
{
	const struct hb_key key = { .name = name,
		.type = HB_KEY_CUSTOM,
		.flags = flags };

	if (name != NULL)
		check_key(manual, heading, &key);
}

static void
check_sink_type(struct manual *manual, const struct hb_sink_type *type)
{
	char heading[128];

	snprintf(heading, sizeof(heading), "sinks.NAME of type %s", type->name);
	check_table(manual, heading, type->keys);
	check_table(manual, "routes[N].to", type->target_keys);
	check_name(manual, "routes[N].to", type->dest_key, HB_KEY_REQUIRED);
	check_name(manual, "routes[N].to", type->dest_list_key, 0);
	check_name(manual, "dead_letter", type->dest_key, HB_KEY_REQUIRED);
}

static void
check_all_keys(struct manual *manual)
{
	static const struct {
		const char *heading;
		const struct hb_key *keys;
	} tables[] = { { TOP, hb_keys_top }, { "listen", hb_keys_listen },
		{ "endpoints.NAME", hb_keys_endpoint },
		{ "endpoints.NAME.channels", hb_keys_channel },
		{ "routes", hb_keys_route }, { "routes[N].to", hb_keys_target },
		{ "dead_letter", hb_keys_dead_letter } };

	for (size_t i = 0; i < HB_COUNT(tables); i++)
		check_table(manual, tables[i].heading, tables[i].keys);
	check_name(manual, "sinks.NAME", "type", HB_KEY_REQUIRED);
	for (const struct hb_sink_type *const *type = hb_sink_types();
	     *type != NULL; type++)
		check_sink_type(manual, *type);
	assert_true(manual->known_count > 60);
}

static bool
is_known(const struct manual *manual, const char *section, const char *item)
{
	for (size_t i = 0; i < manual->known_count; i++)
		if (begins(section, manual->known[i].section) &&
		    begins(item, manual->known[i].item))
			return true;
	return false;
}

/* No item but those that were looked for. */
static void
check_items(const struct manual *manual)
{
	const char *item = manual->text, *section = manual->text;

	while ((item = strstr(item, ITEM)) != NULL) {
		const char *next;

		while ((next = strstr(section + 1, HEADING)) != NULL &&
		    next < item)
			section = next;
		if (!is_known(manual, section, item))
			fail_msg("no key in the code:%.*s",
			    (int)strcspn(item + 1, "\n") + 1, item);
		item++;
	}
}

static void
every_key_is_in_the_manual(void **state)
{
	struct manual *manual = *state;

	check_all_keys(manual);
	check_items(manual);
}

/* The types that a sink can have, as the page lists them. */
static void
sink_types_are_listed(void **state)
{
	const struct manual *manual = *state;
	char line[128] = "\n.It Ic type : Cm";
	const char *bar = "";

	for (const struct hb_sink_type *const *type = hb_sink_types();
	     *type != NULL; type++, bar = " |") {
		strcat(line, bar);
		strcat(line, " ");
		strcat(line, (*type)->name);
	}
	strcat(line, "\n");
	assert_non_null(strstr(manual->text, line));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_is_in_the_manual),
	    cmocka_unit_test(sink_types_are_listed),
	};

	return cmocka_run_group_tests(tests, open_manual, close_manual);
}
