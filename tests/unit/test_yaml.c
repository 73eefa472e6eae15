/* SPDX-License-Identifier: Apache-2.0 */
/* test_yaml.c - YAML to nodes that know their place; what is refused, and that
 * a hostile text costs no more than its size */
#include "cfg_rig.h"

#include "../../src/cfg/report.h"
#include "../../src/cfg/yaml.h"

/* clang-format off */

static const struct cfg_case bad_documents[] = {
	{"",
	    "1:1: expected a configuration, got an empty file\n"
	    "1 error\n"},
	{"# nothing but a comment\n",
	    "1:1: expected a configuration, got an empty file\n"
	    "1 error\n"},
	{"---\n",
	    "2:1: listen: expected a value, got nothing\n"
	    "    listen: a list of addresses: [{address: "
	    "\"127.0.0.1:8080\"}]\n"
	    "2:1: endpoints: expected a value, got nothing\n"
	    "    endpoints: a map of names to what receives webhooks\n"
	    "2:1: sinks: expected a value, got nothing\n"
	    "    sinks: a map of names to where events go\n"
	    "2:1: routes: expected a value, got nothing\n"
	    "    routes: a list of rules: which events go to which "
	    "sinks\n"
	    "4 errors\n"},
	{"a: 1\n"
	 "---\n"
	 "b: 2\n",
	    "2:1: expected one document, got a second one\n"
	    "1 error\n"},
	{"? [a, b]\n"
	 ": c\n",
	    "1:3: expected a name, got a list or a map\n"
	    "    a text that begins with { or [ needs quotes\n"
	    "1 error\n"},
	{"{[a]: b}\n",
	    "1:2: expected a name, got a list or a map\n"
	    "    a text that begins with { or [ needs quotes\n"
	    "1 error\n"},
	{"a: \"x\\0y\"\n",
	    "1:4: a text may not hold the character NUL\n"
	    "1 error\n"},
	{"a: [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n",
	    "1:19: nested more than 16 levels deep\n"
	    "1 error\n"},
};

static const struct cfg_case fancy_yaml[] = {
	{"listen: &here {address: \"127.0.0.1:8080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:9: anchors (&name) are not supported\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: &r [{to: {sink: f}}]\n"
	 "log: *r\n",
	    "4:9: anchors (&name) are not supported\n"
	    "5:6: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [*r, {to: {sink: f}}]\n",
	    "4:10: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS ROUTES
	 "log: {level: !!str info}\n"
	 "http: !map {headers: !n 100}\n",
	    "5:14: tags (!name) are not supported\n"
	    "6:7: tags (!name) are not supported\n"
	    "6:22: tags (!name) are not supported\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("") SINKS ROUTES
	 "<<: {log: {level: info}}\n",
	    "5:1: <<: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "1 error\n"},
	{"*x\n",
	    "1:1: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "1 error\n"},
	{"a: &x b\n"
	 "*x : 1\n",
	    "1:4: anchors (&name) are not supported\n"
	    "2:1: aliases (*name) are not supported\n"
	    "    write the value out\n"
	    "2 errors\n"},
};

static const struct cfg_case repeated_names[] = {
	{BASE
	 "log: {level: info, format: kv, level: debug}\n"
	 "log: {level: info}\n",
	    "5:32: log.level: expected each name once, got it again "
	    "(first in line 5)\n"
	    "6:1: log: expected each name once, got it again (first in "
	    "line 5)\n"
	    "2 errors\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: svix, secrets: \"file:e.secret\"}, "
	 "e: {path: /f}}\n"
	 SINKS ROUTES,
	    "2:66: endpoints.e: expected each name once, got it again "
	    "(first in line 2)\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: {sink: f, \"sink\": g}}]\n",
	    "4:25: routes[0].to.sink: expected each name once, got it "
	    "again (first in line 4)\n"
	    "1 error\n"},
};

static const struct cfg_case hostile_names[] = {
	{BASE
	 "\"\\e[31mred\\u202e\": 1\n",
	    "5:1: \\u001b[31mred\\u202e: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "1 error\n"},
	{BASE
	 "log: {level: \"\\e]0;x\\a\\u0085\\u2028\\u200b\"}\n",
	    "5:14: log.level: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got "
	    "\"\\u001b]0;x\\u0007\\u0085\\u2028\\u200b\"\n"
	    "1 error\n"},
	{BASE
	 "\"a\\nb\": 1\n"
	 "\"a\\\"b\": 1\n",
	    "5:1: a\\nb: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "6:1: a\\\"b: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "2 errors\n"},
};

/* clang-format on */

static void
strange_documents_are_refused(void **state)
{
	(void)state;
	cfg_check_all(bad_documents);
}

static void
anchors_aliases_and_tags_are_refused(void **state)
{
	(void)state;
	cfg_check_all(fancy_yaml);
}

static void
names_are_unique(void **state)
{
	(void)state;
	cfg_check_all(repeated_names);
}

static void
terminals_are_safe(void **state)
{
	(void)state;
	cfg_check_all(hostile_names);
}

/* --- syntax --------------------------------------------------------------- */

/* What libyaml says differs from version to version; the place does not. */
static const struct {
	struct hb_span text;
	const char *begin;
} syntax_cases[] = {
    {HB_SPAN("listen: [1, 2\nsinks: {}\n"), "2:6: not valid YAML: "},
    {HB_SPAN("listen: \"x\n"), "2:1: not valid YAML: "},
    {HB_SPAN("a: b: c\n"), "1:5: not valid YAML: "},
    {HB_SPAN("a: @x\n"), "1:4: not valid YAML: "},
    {HB_SPAN("a: \"\\q\"\n"), "1:5: not valid YAML: "},
    {HB_SPAN("- a\nb: c\n"), "2:1: not valid YAML: "},
    {HB_SPAN("%YAML 2.0\n---\na: 1\n"), "1:1: not valid YAML: "},
    /* No UTF-8: a letter of Latin-1, an overlong one, a surrogate, UTF-16. */
    {HB_SPAN("a: 1\nb: caf\xe9\n"), "2:7: not valid YAML: "},
    {HB_SPAN("a: \xc0\xaf\n"), "1:4: not valid YAML: "},
    {HB_SPAN("a: \xed\xa0\x80\n"), "1:4: not valid YAML: "},
    {HB_SPAN("\xff\xfe" "a\0:\0"), "1:1: not valid YAML: "},
    {HB_SPAN("a: \"\x01\"\n"), "1:5: not valid YAML: "},
    {HB_SPAN("a: \0b\n"), "1:4: not valid YAML: "},
};

static void
syntax_errors_have_a_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(syntax_cases); i++) {
		const char *begin = syntax_cases[i].begin;
		char *report;

		cfg_write_mode(FILE_NAME, syntax_cases[i].text.ptr,
		    syntax_cases[i].text.len, 0600);
		assert_null(cfg_load_file(FILE_NAME, &report));
		if (strncmp(report, begin, strlen(begin)) != 0 ||
		    strstr(report, "\n1 error\n") == NULL)
			fail_msg("case %zu: %s", i, report);
		free(report);
	}
}

static void
tabs_have_a_remedy(void **state)
{
	char *report;

	(void)state;
	assert_null(cfg_load("listen:\n\t- address: x\n", &report));
	assert_non_null(strstr(
	    report, "\n    YAML is indented with spaces, not tabs\n1 error\n"));
	free(report);
}

/* --- nodes ---------------------------------------------------------------- */

static const char tree_text[] =
    "\xef\xbb\xbf" /* a byte order mark */
    "# comment\n"
    "map:\n"
    "  plain: a text\n"
    "  quoted: \"null\"\n"
    "  folded: >\n"
    "    one\n"
    "    two\n"
    "  nothing: ~\n"
    "list: [a, [b], {c: d}]\n";

static void
assert_node(const struct hb_node *node, enum hb_node_kind kind,
    const char *path, unsigned line, unsigned column)
{
	char text[128];

	assert_non_null(node);
	assert_int_equal(node->kind, kind);
	hb_node_path(node, text, sizeof(text));
	assert_string_equal(text, path);
	assert_int_equal(node->place.line, line);
	assert_int_equal(node->place.column, column);
}

static void
nodes_know_their_place(void **state)
{
	struct hb_arena *arena = hb_arena_new(0);
	struct hb_faults *report = hb_report_new("x");
	const struct hb_node *root = hb_yaml_read(
	    arena, hb_span_make(tree_text, sizeof(tree_text) - 1), report);
	const struct hb_node *map = hb_node_get(root, "map");
	const struct hb_node *list = hb_node_get(root, "list"), *node;

	(void)state;
	assert_int_equal(hb_report_errors(report), 0);
	assert_node(root, HB_NODE_MAP, "", 2, 1);
	assert_node(map, HB_NODE_MAP, "map", 3, 3);
	node = hb_node_get(map, "plain");
	assert_node(node, HB_NODE_SCALAR, "map.plain", 3, 10);
	assert_int_equal(node->name_place.column, 3);
	assert_string_equal(node->text, "a text");
	assert_false(node->quoted);
	node = hb_node_get(map, "quoted");
	assert_node(node, HB_NODE_SCALAR, "map.quoted", 4, 11);
	assert_true(node->quoted);
	assert_string_equal(hb_node_get(map, "folded")->text, "one two\n");
	assert_node(hb_node_get(map, "nothing"), HB_NODE_NULL, "map.nothing", 8,
	    12);
	assert_null(hb_node_get(map, "other"));
	assert_null(hb_node_get(list, "a"));
	assert_null(hb_node_get(NULL, "a"));

	assert_node(list, HB_NODE_LIST, "list", 9, 7);
	assert_int_equal(hb_node_item_count(list), 3);
	assert_node(hb_node_item(list, 0), HB_NODE_SCALAR, "list[0]", 9, 8);
	assert_node(hb_node_item(hb_node_item(list, 1), 0), HB_NODE_SCALAR,
	    "list[1][0]", 9, 12);
	node = hb_node_item(list, 2);
	assert_node(hb_node_get(node, "c"), HB_NODE_SCALAR, "list[2].c", 9, 20);
	/* What is no list stands for a list of itself. */
	assert_int_equal(hb_node_item_count(node), 1);
	assert_ptr_equal(hb_node_item(node, 0), node);
	hb_report_free(report);
	hb_arena_free(arena);
}

/* --- size ----------------------------------------------------------------- */

#define HUGE ((size_t)1000000)

/* count times piece, then end. */
static char *
repeat(const char *begin, const char *piece, size_t count)
{
	size_t begin_len = strlen(begin), len = strlen(piece);
	char *text = hb_xmalloc(begin_len + len * count + 1);

	memcpy(text, begin, begin_len);
	for (size_t i = 0; i < count; i++)
		memcpy(text + begin_len + i * len, piece, len);
	text[begin_len + len * count] = '\0';
	return text;
}

static void
depth_is_bounded(void **state)
{
	static const char *const pieces[] = {"[", "{a: ", "- ", "? "};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(pieces); i++) {
		char *text = repeat("", pieces[i], HUGE / strlen(pieces[i]));
		char *report;

		assert_null(cfg_load(text, &report));
		assert_non_null(strstr(report, "1 error\n"));
		free(report);
		free(text);
	}
}

/* A billion laughs: none is told. */
static void
nothing_is_expanded(void **state)
{
	char *text = repeat("a: &a [x, x, x, x, x, x, x, x]\n",
	    "- &a [*a, *a, *a, *a, *a, *a, *a, *a]\n", 2000);
	char *report;

	(void)state;
	assert_null(cfg_load(text, &report));
	free(report);
	free(text);
}

/* Each of these took minutes while looking for one thing meant looking at all
 * others. */
static void
width_costs_what_it_weighs(void **state)
{
	static const struct {
		const char *begin, *piece, *end;
		size_t count;
	} cases[] = {
	    {LISTEN ENDPOINT("") SINKS
		"routes: [{to: {sink: f}}, {when: {metadata.x: [",
		"a,", "b]}, to: {sink: f}}]\n", HUGE / 3},
	    {LISTEN "endpoints: {e: {path: /e, mode: svix,"
		    " secrets: \"file:e.secret\","
		    " channels: \"{metadata.x}\", channel_values: [",
		"a,", "a]}}\n" SINKS ROUTES, HUGE / 3},
	    {LISTEN "endpoints: {e: {path: /e, mode: svix,"
		    " secrets: \"file:e.secret\", channels: [",
		"a,", "a]}}\n" SINKS ROUTES, HUGE / 3},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char *text =
		    repeat(cases[i].begin, cases[i].piece, cases[i].count);
		size_t len = strlen(text), end_len = strlen(cases[i].end);

		text = hb_xrealloc(text, len + end_len + 1);
		memcpy(text + len, cases[i].end, end_len + 1);
		hb_config_unref(cfg_load_good(text));
		free(text);
	}
}

static void
size_is_bounded(void **state)
{
	char *text = repeat("", "# a comment\n", 100000), *report;

	(void)state;
	assert_null(cfg_load(text, &report));
	assert_string_equal(report,
	    " expected a file of at most 1MiB\n1 error\n");
	free(report);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strange_documents_are_refused),
	    cmocka_unit_test(anchors_aliases_and_tags_are_refused),
	    cmocka_unit_test(names_are_unique),
	    cmocka_unit_test(terminals_are_safe),
	    cmocka_unit_test(syntax_errors_have_a_place),
	    cmocka_unit_test(tabs_have_a_remedy),
	    cmocka_unit_test(nodes_know_their_place),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(nothing_is_expanded),
	    cmocka_unit_test(width_costs_what_it_weighs),
	    cmocka_unit_test(size_is_bounded),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
