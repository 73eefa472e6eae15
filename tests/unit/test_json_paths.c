/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_paths.c - how paths are spelled, what is found, at what cost
 *
 * The linker puts us between the search and the iterator (--wrap): the cost is
 * counted in members and bytes, not in time. */
#include "json_rig.h"

/* --- between the search and the iterator ---------------------------------- */

static struct {
	size_t names, bytes;
	const char *pos; /* everything before it has been passed */
} cost;

bool __real_hb_json_iter_name(
    struct hb_json_iter *it, struct hb_json_member *member);
bool __wrap_hb_json_iter_name(
    struct hb_json_iter *it, struct hb_json_member *member);
void __real_hb_json_iter_value(
    struct hb_json_iter *it, struct hb_json_member *member);
void __wrap_hb_json_iter_value(
    struct hb_json_iter *it, struct hb_json_member *member);

bool
__wrap_hb_json_iter_name(struct hb_json_iter *it, struct hb_json_member *member)
{
	const char *from = it->pos;
	bool found;

	assert_true(from >= cost.pos); /* never back */
	found = __real_hb_json_iter_name(it, member);
	cost.names++;
	cost.bytes += (size_t)(it->pos - from);
	cost.pos = it->pos;
	return found;
}

void
__wrap_hb_json_iter_value(
    struct hb_json_iter *it, struct hb_json_member *member)
{
	const char *from = it->pos;

	assert_true(from >= cost.pos);
	__real_hb_json_iter_value(it, member);
	cost.bytes += (size_t)(it->pos - from);
	cost.pos = it->pos;
}

/* --- sets ----------------------------------------------------------------- */

static struct hb_json_paths *
paths_of(const char *const *texts, size_t count)
{
	struct hb_json_paths *paths = hb_json_paths_new();

	for (size_t i = 0; i < count && texts[i] != NULL; i++) {
		struct hb_error err;

		if (hb_json_paths_add(paths, hb_span_of(texts[i]), &err) < 0)
			fail_msg("%s", err.text);
	}
	return paths;
}

static void
find(const struct hb_json_paths *paths, struct hb_span text,
    struct hb_json_found *found)
{
	memset(found, 0x5a, hb_json_paths_count(paths) * sizeof(*found));
	cost.names = cost.bytes = 0;
	cost.pos = NULL;
	hb_json_paths_find(paths, text, found);
}

/* --- spelling ------------------------------------------------------------- */

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16
#define X256 X64 X64 X64 X64
#define A8 "a.a.a.a.a.a.a.a."

static void
test_spelling(void **state)
{
	static const struct {
		const char *path, *error; /* NULL: it is right */
	} cases[] = {
	    {"a", NULL},
	    {"a.b", NULL},
	    {"a.b.c.d.e", NULL},
	    {"a\\.b", NULL},
	    {"\\.", NULL},
	    {"\\\\", NULL},
	    {"\\\\.\\\\", NULL},
	    {"with space.and\"quote", NULL},
	    {"Zo\xc3\xab", NULL},
	    {X256, NULL},
	    {X256 "." X256, NULL},
	    {A8 A8 A8 "a.a.a.a.a.a.a.a", NULL}, /* 32 names */
	    {"", "path \"\": a name is empty"},
	    {".", "path \".\": a name is empty"},
	    {".a", "path \".a\": a name is empty"},
	    {"a.", "path \"a.\": a name is empty"},
	    {"a..b", "path \"a..b\": a name is empty"},
	    {"\\", "path \"\\\": a backslash must stand before a dot or a "
		   "backslash"},
	    {"a\\", "path \"a\\\": a backslash must stand before a dot or a "
		    "backslash"},
	    {"a\\n", "path \"a\\n\": a backslash must stand before a dot or a "
		     "backslash"},
	    {"a.\\u0061", "path \"a.\\u0061\": a backslash must stand before a "
			  "dot or a backslash"},
	    {A8 A8 A8 A8 "a", "path \"" A8 A8 A8 A8
			      "a\": it has more than 32 names"},
	    /* However long the path, the reason is told. */
	    {X256 "x", "path \"" X64 X16 X16
		       "xxxx...\": a name is longer than 256 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_json_paths *paths = hb_json_paths_new();
		struct hb_error err = {.code = HB_OK};
		struct hb_span path = hb_span_of(cases[i].path);
		char *copy = exact_copy(path);
		int index = hb_json_paths_add(
		    paths, hb_span_make(copy, path.len), &err);

		free(copy);
		if (cases[i].error == NULL) {
			assert_int_equal(index, 0);
			assert_int_equal(hb_json_paths_count(paths), 1);
			assert_span(hb_json_paths_text(paths, 0), path);
		} else {
			assert_int_equal(index, -1);
			assert_int_equal(err.code, HB_E_CONFIG);
			assert_string_equal(err.text, cases[i].error);
			assert_int_equal(hb_json_paths_count(paths), 0);
		}
		hb_json_paths_free(paths);
	}
	hb_json_paths_free(NULL);
}

static void
test_indices(void **state)
{
	static const struct {
		const char *path;
		int index;
	} adds[] = {{"a.b", 0}, {"c", 1}, {"a.b", 0}, {"a", 2}, {"a\\.b", 3},
	    {"a.b.c", 4}, {"x..y", -1}, {"c", 1}, {"x", 5}};
	struct hb_json_paths *paths = hb_json_paths_new();

	(void)state;
	assert_int_equal(hb_json_paths_count(NULL), 0);
	assert_int_equal(hb_json_paths_count(paths), 0);
	for (size_t i = 0; i < HB_COUNT(adds); i++)
		assert_int_equal(hb_json_paths_add(paths,
				     hb_span_of(adds[i].path), NULL),
		    adds[i].index);
	assert_int_equal(hb_json_paths_count(paths), 6);
	assert_span(hb_json_paths_text(paths, 0), HB_SPAN("a.b"));
	assert_span(hb_json_paths_text(paths, 3), HB_SPAN("a\\.b"));
	assert_span(hb_json_paths_text(paths, 5), HB_SPAN("x"));
	hb_json_paths_free(paths);
}

/* --- finding -------------------------------------------------------------- */

#define MOST 6

static const struct {
	const char *paths[MOST];
	struct hb_span text;
	struct {
		const char *value, *whole; /* NULL: absent */
		bool repeated;
	} want[MOST];
} finds[] = {
    /* one level */
    {{"a", "b", "c"}, HB_SPAN("{\"b\" : [1,{\"a\":2}] ,\"a\":\"x\"}"),
	{{"\"x\"", "\"a\":\"x\""},
	    {"[1,{\"a\":2}]", "\"b\" : [1,{\"a\":2}]"}, {NULL}}},
    {{"a"}, HB_SPAN("{}"), {{NULL}}},
    {{"a"}, HB_SPAN("{\"a\":null}"), {{"null", "\"a\":null"}}},
    {{"a"}, HB_SPAN("{\"a\":false }"), {{"false", "\"a\":false"}}},
    {{"a"}, HB_SPAN("{\"A\":1,\"aa\":2,\"\":3}"), {{NULL}}},
    /* what is no object has none of them */
    {{"a"}, HB_SPAN_NONE, {{NULL}}},
    {{"a"}, HB_SPAN("[{\"a\":1}]"), {{NULL}}},
    {{"a"}, HB_SPAN("\"{\\\"a\\\":1}\""), {{NULL}}},
    {{"a"}, HB_SPAN("null"), {{NULL}}},
    /* levels */
    {{"a.b.c"}, HB_SPAN("{\"x\":{\"a\":0},\"a\":{\"b\":{\"c\":7 } } }"),
	{{"7", "\"c\":7"}}},
    {{"a.b.c"}, HB_SPAN("{\"a\":{\"b\":{\"d\":7}},\"c\":1,\"b\":{\"c\":2}}"),
	{{NULL}}},
    {{"a.b"}, HB_SPAN("{\"b\":1,\"a\":{\"a\":{\"b\":2}}}"), {{NULL}}},
    {{"a.b", "c.d"}, HB_SPAN("{\"a\":{\"d\":1},\"c\":{\"b\":2,\"d\":3}}"),
	{{NULL}, {"3", "\"d\":3"}}},
    /* no object on the way */
    {{"a.b"}, HB_SPAN("{\"a\":[{\"b\":1}]}"), {{NULL}}},
    {{"a.b"}, HB_SPAN("{\"a\":\"{\\\"b\\\":1}\"}"), {{NULL}}},
    {{"a.b"}, HB_SPAN("{\"a\":null}"), {{NULL}}},
    {{"a.0"}, HB_SPAN("{\"a\":[1]}"), {{NULL}}},
    /* a prefix of another, in either order */
    {{"a", "a.b"}, HB_SPAN("{ \"a\" : { \"b\" : 1 } , \"c\":2}"),
	{{"{ \"b\" : 1 }", "\"a\" : { \"b\" : 1 }"}, {"1", "\"b\" : 1"}}},
    {{"a.b.c", "a.b", "a"}, HB_SPAN("{\"a\":{\"b\":{\"c\":[]}}}"),
	{{"[]", "\"c\":[]"}, {"{\"c\":[]}", "\"b\":{\"c\":[]}"},
	    {"{\"b\":{\"c\":[]}}", "\"a\":{\"b\":{\"c\":[]}}"}}},
    {{"a", "a.b"}, HB_SPAN("{\"a\":[1]}"), {{"[1]", "\"a\":[1]"}, {NULL}}},
    {{"a", "a.b"}, HB_SPAN("{\"a\":{}}"), {{"{}", "\"a\":{}"}, {NULL}}},
    /* escapes in the paths */
    {{"a\\.b", "a.b", "\\\\", "\\."},
	HB_SPAN("{\"a.b\":1,\"a\":{\"b\":2},\"\\\\\":3,\".\":4}"),
	{{"1", "\"a.b\":1"}, {"2", "\"b\":2"}, {"3", "\"\\\\\":3"},
	    {"4", "\".\":4"}}},
    {{"x.a\\.b.c"}, HB_SPAN("{\"x\":{\"a\":{\"b\":0},\"a.b\":{\"c\":1}}}"),
	{{"1", "\"c\":1"}}},
    /* escapes in the text */
    {{"a.b", "\xc3\xa9", "\xf0\x9f\x98\x80", "\""},
	HB_SPAN("{\"\\u0061\":{\"\\u0062\":1},\"\\u00E9\":2,"
		"\"\\ud83d\\ude00\":3,\"\\\"\":4}"),
	{{"1", "\"\\u0062\":1"}, {"2", "\"\\u00E9\":2"},
	    {"3", "\"\\ud83d\\ude00\":3"}, {"4", "\"\\\"\":4"}}},
    {{"a\\.b"}, HB_SPAN("{\"a\\u002eb\":1}"), {{"1", "\"a\\u002eb\":1"}}},
    {{"a.b"}, HB_SPAN("{\"a\\u002eb\":1}"), {{NULL}}},
    /* names that are no text of ours */
    {{"a", "b"}, HB_SPAN("{\"a\\u0000\":1,\"\\ud800b\":2,\"\\u0000\":3}"),
	{{NULL}, {NULL}}},
    /* repeated: the first is what is found */
    {{"a", "b"}, HB_SPAN("{\"a\":1,\"b\":2,\"a\":3}"),
	{{"1", "\"a\":1", true}, {"2", "\"b\":2"}}},
    {{"a"}, HB_SPAN("{\"a\":1,\"\\u0061\":2,\"a\":3}"),
	{{"1", "\"a\":1", true}}},
    {{"a"}, HB_SPAN("{\"\\u0061\":1,\"a\":2}"),
	{{"1", "\"\\u0061\":1", true}}},
    {{"a.b"}, HB_SPAN("{\"a\":{\"b\":1,\"b\":2}}"),
	{{"1", "\"b\":1", true}}},
    {{"a.b"}, HB_SPAN("{\"a\":{\"b\":1},\"a\":{\"b\":2}}"),
	{{"1", "\"b\":1", true}}},
    {{"a.b"}, HB_SPAN("{\"a\":{\"b\":1},\"\\u0061\":0}"),
	{{"1", "\"b\":1", true}}},
    {{"a.b"}, HB_SPAN("{\"a\":0,\"a\":{\"b\":1}}"), {{NULL, NULL, true}}},
    {{"a.b"}, HB_SPAN("{\"a\":{},\"a\":{\"b\":1}}"), {{NULL, NULL, true}}},
    {{"a.b.c", "a.x", "d", "a"},
	HB_SPAN("{\"a\":{\"b\":{\"c\":1},\"x\":2},\"d\":3,\"a\":4}"),
	{{"1", "\"c\":1", true}, {"2", "\"x\":2", true}, {"3", "\"d\":3"},
	    {"{\"b\":{\"c\":1},\"x\":2}",
		"\"a\":{\"b\":{\"c\":1},\"x\":2}", true}}},
    {{"a.b.c", "a", "a.x"},
	HB_SPAN("{\"a\":{\"b\":{\"c\":1},\"x\":2,\"b\":{}}}"),
	{{"1", "\"c\":1", true},
	    {"{\"b\":{\"c\":1},\"x\":2,\"b\":{}}",
		"\"a\":{\"b\":{\"c\":1},\"x\":2,\"b\":{}}"},
	    {"2", "\"x\":2"}}},
    /* repeated, but not on the way */
    {{"a.b"}, HB_SPAN("{\"b\":0,\"a\":{\"b\":1,\"c\":0,\"c\":1},\"b\":2}"),
	{{"1", "\"b\":1"}}},
    {{"a.b", "c.b"}, HB_SPAN("{\"a\":{\"b\":1},\"c\":{\"b\":2}}"),
	{{"1", "\"b\":1"}, {"2", "\"b\":2"}}},
    {{"a"}, HB_SPAN("{\"a\":{\"a\":1,\"a\":[{\"a\":0,\"a\":0}]}}"),
	{{"{\"a\":1,\"a\":[{\"a\":0,\"a\":0}]}",
	    "\"a\":{\"a\":1,\"a\":[{\"a\":0,\"a\":0}]}"}}},
};

static void
assert_found(const struct hb_json_found *got, struct hb_span text,
    const char *value, const char *whole, bool repeated)
{
	assert_int_equal(got->repeated, repeated);
	assert_int_equal(got->value.kind == HB_JSON_NONE, value == NULL);
	assert_span(got->value.text, hb_span_of(value));
	assert_span(got->whole, hb_span_of(whole));
	if (value == NULL)
		return;
	assert_in_range((uintptr_t)got->whole.ptr, (uintptr_t)text.ptr,
	    (uintptr_t)text.ptr + text.len);
	assert_ptr_equal(got->value.text.ptr + got->value.text.len,
	    got->whole.ptr + got->whole.len);
}

static void
test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(finds); i++) {
		struct hb_json_paths *paths = paths_of(finds[i].paths, MOST);
		struct hb_json_found found[MOST];
		struct hb_span text = finds[i].text;
		struct hb_json_value value;
		char *copy = exact_copy(text);

		if (hb_span_is_set(text)) {
			assert_true(hb_json_validate(text, &value, NULL));
			text.ptr = copy;
		}
		find(paths, text, found);
		for (size_t p = 0; p < hb_json_paths_count(paths); p++)
			assert_found(&found[p], text, finds[i].want[p].value,
			    finds[i].want[p].whole, finds[i].want[p].repeated);
		free(copy);
		hb_json_paths_free(paths);
	}
}

static void
test_the_empty_set(void **state)
{
	struct hb_json_paths *paths = hb_json_paths_new();
	struct hb_json_found none;

	(void)state;
	find(paths, HB_SPAN("{\"a\":1}"), &none);
	assert_int_equal(cost.names, 0);
	/* A path that was refused half way leaves nothing to find. */
	assert_int_equal(hb_json_paths_add(paths, HB_SPAN("a..b"), NULL), -1);
	find(paths, HB_SPAN("{\"a\":{\"b\":1}}"), &none);
	hb_json_paths_free(paths);
}

/* Names as long as may be, and longer ones that begin like them. */
static void
test_long_names(void **state)
{
	static const char *const texts[] = {X256, X64};
	struct hb_json_paths *paths = paths_of(texts, 2);
	struct hb_json_found found[2];

	(void)state;
	find(paths,
	    HB_SPAN("{\"" X256 "x\":1,\"" X256 "\":2,\"" X64 "\":3,\"" X256
		    "\\u0078\":4,\"" X64 X64 X64 X64 X64 X64 "\":5}"),
	    found);
	assert_span(found[0].value.text, HB_SPAN("2"));
	assert_span(found[1].value.text, HB_SPAN("3"));
	assert_false(found[0].repeated || found[1].repeated);
	/* Escapes: just as long, and longer by one, at either end. */
	find(paths,
	    HB_SPAN("{\"\\u0078" X256 "\":3,\"" X256 "\\u0078\":2,"
		    "\"\\u0078" X64 X64 X64 X16 X16 X16
		    "xxxxxxxxxxxxxx\\u0078\":1}"),
	    found);
	assert_span(found[0].value.text, HB_SPAN("1"));
	hb_json_paths_free(paths);
}

/* Names with the same hash (FNV-1a, 32 bits) are different names. */
static void
test_colliding_names(void **state)
{
	static const char *const texts[] = {
	    "costarring", "declinate", "macallums"};
	struct hb_json_paths *paths = paths_of(texts, 3);
	struct hb_json_found found[3];

	(void)state;
	find(paths,
	    HB_SPAN("{\"liquid\":1,\"macallums\":2,\"declinate\":3}"), found);
	assert_int_equal(found[0].value.kind, HB_JSON_NONE);
	assert_span(found[1].value.text, HB_SPAN("3"));
	assert_span(found[2].value.text, HB_SPAN("2"));
	for (size_t i = 0; i < HB_COUNT(texts); i++)
		assert_false(found[i].repeated);
	hb_json_paths_free(paths);
}

/* 32 names is as deep as a path goes. */
static void
test_deep(void **state)
{
	static const char *const texts[] = {A8 A8 A8 "a.a.a.a.a.a.a.a", "a"};
	struct hb_json_paths *paths = paths_of(texts, 2);
	struct hb_json_found found[2];
	char text[2048], *p = text;

	(void)state;
	for (int i = 0; i < 300; i++)
		p = stpcpy(p, "{\"a\":");
	p = stpcpy(p, "0");
	memset(p, '}', 300);
	find(paths, hb_span_make(text, (size_t)(p - text) + 300), found);
	/* From the 32nd name on, 268 more objects and a zero. */
	assert_int_equal(found[0].value.kind, HB_JSON_OBJECT);
	assert_int_equal(found[0].value.text.len, 268 * 6 + 1);
	assert_int_equal(found[1].value.text.len, 299 * 6 + 1);
	hb_json_paths_free(paths);
}

/* --- against the simple way ----------------------------------------------- */

/* Looks for one path, name by name. */
static void
find_simply(
    const char *path, struct hb_span object, struct hb_json_found *found)
{
	*found = (struct hb_json_found){.value.kind = HB_JSON_NONE};
	while (path != NULL) {
		const char *dot = strchr(path, '.');
		struct hb_span name = hb_span_make(path,
		    dot != NULL ? (size_t)(dot - path) : strlen(path));
		struct hb_json_member member, first = {.escaped = false};
		struct hb_json_iter it;
		size_t count = 0;

		hb_json_iter_init(&it, object);
		while (hb_json_iter_next(&it, &member))
			if (hb_json_name_is(&member, name) && count++ == 0)
				first = member;
		found->repeated = found->repeated || count > 1;
		object = count > 0 ? first.value.text : HB_SPAN_NONE;
		if (dot == NULL) {
			found->value = first.value;
			found->whole = first.whole;
		}
		path = dot != NULL ? dot + 1 : NULL;
	}
}

static char *
random_object(char *p, int depth, uint32_t *seed)
{
	static const char *const names[] = {
	    "a", "b", "\\u0061", "\\u0062", "c", "ab", ""};
	static const char *const values[] = {
	    "1", "\"}\\\"{\"", "[{\"a\":1},[\"]\"]]", "null", "{}", "-2.5e1"};
	size_t count = random_below(seed, 4);

	*p++ = '{';
	for (size_t i = 0; i < count; i++) {
		p += sprintf(p, "%s\"%s\"%s:", i > 0 ? " ,\n" : "",
		    names[random_below(seed, HB_COUNT(names))],
		    next_random(seed) % 4 == 0 ? " " : "");
		if (depth > 0 && next_random(seed) % 4 != 0)
			p = random_object(p, depth - 1, seed);
		else
			p = stpcpy(p,
			    values[random_below(seed, HB_COUNT(values))]);
	}
	return stpcpy(p, "}");
}

static void
test_agrees_with_the_simple_way(void **state)
{
	static const char *const all[] = {"a", "b", "ab", "a.a", "a.b", "b.a",
	    "b.ab.a", "a.a.a", "a.a.b", "a.b.a", "b.b.b", "c", "c.a.b.a",
	    "a.b.a.b", "a.a.a.a", "d"};
	static char text[65536];
	uint32_t seed = 3;
	size_t present = 0, repeated = 0;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		const char *chosen[HB_COUNT(all)];
		struct hb_json_found found[HB_COUNT(all)], want;
		struct hb_json_paths *paths;
		struct hb_json_value value;
		struct hb_span object;
		size_t count = 0;

		for (size_t i = 0; i < HB_COUNT(all); i++)
			if (next_random(&seed) % 2 == 0)
				chosen[count++] = all[i];
		paths = paths_of(chosen, count);
		object = hb_span_make(text,
		    (size_t)(random_object(text, 4, &seed) - text));
		assert_true(hb_json_validate(object, &value, NULL));
		find(paths, object, found);
		for (size_t i = 0; i < count; i++) {
			find_simply(chosen[i], object, &want);
			if (found[i].repeated != want.repeated ||
			    found[i].value.kind != want.value.kind ||
			    found[i].value.text.ptr != want.value.text.ptr ||
			    found[i].value.text.len != want.value.text.len ||
			    found[i].whole.ptr != want.whole.ptr ||
			    found[i].whole.len != want.whole.len)
				fail_msg("%s in %s", chosen[i], text);
			present += want.value.kind != HB_JSON_NONE;
			repeated += want.repeated;
		}
		hb_json_paths_free(paths);
	}
	assert_true(present > 1000 && repeated > 1000);
}

/* --- many paths, long texts ----------------------------------------------- */

#define MANY 1000

static struct hb_json_paths *
many_paths(void)
{
	struct hb_json_paths *paths = hb_json_paths_new();
	char path[32];

	for (int i = 0; i < MANY; i++) {
		int len = snprintf(
		    path, sizeof(path), "m.group%d.key%d", i % 10, i);

		assert_int_equal(hb_json_paths_add(paths,
				     hb_span_make(path, (size_t)len), NULL),
		    i);
	}
	return paths;
}

/* Each value is its path's number; the groups hold others in between. */
static size_t
many_members(char *out)
{
	char *p = stpcpy(out, "{\"m\":{");

	for (int group = 0; group < 10; group++) {
		p += sprintf(p, "%s\"group%d\":{", group > 0 ? "," : "", group);
		for (int i = group; i < MANY; i += 10)
			p += sprintf(p, "%s\"key%d\":%d,\"other%d\":[{}]",
			    i > group ? "," : "", i, i, i);
		p = stpcpy(p, "}");
	}
	p = stpcpy(p, "}}");
	return (size_t)(p - out);
}

static void
test_many_paths(void **state)
{
	static struct hb_json_found found[MANY];
	static char text[100000];
	struct hb_json_paths *paths = many_paths();
	struct hb_span object = hb_span_make(text, many_members(text));
	struct hb_json_value value;

	(void)state;
	assert_true(hb_json_validate(object, &value, NULL));
	find(paths, object, found);
	for (int i = 0; i < MANY; i++) {
		char want[16];

		snprintf(want, sizeof(want), "%d", i);
		assert_span(found[i].value.text, hb_span_of(want));
		assert_false(found[i].repeated);
	}
	/* Each member and each end met once, each byte passed at most once
	 * (braces are stepped into by the search itself). */
	assert_int_equal(cost.names, 1 + 10 + 2 * MANY + 12);
	assert_int_equal(cost.bytes, object.len - 12);
	hb_json_paths_free(paths);
}

/* The cost of what no path leads to does not depend on the paths, and what is
 * met for the second time is passed over as a whole. */
static void
test_cost_is_the_walk(void **state)
{
	static struct hb_json_found found[MANY];
	struct hb_json_paths *many = many_paths();
	struct hb_json_paths *one = paths_of((const char *const[]){"m"}, 1);
	char *text = hb_xmalloc(1 << 20), *p = stpcpy(text, "{\"m\":{}");
	struct hb_span object;

	(void)state;
	for (int i = 0; i < 10000; i++)
		p = stpcpy(p, ",\"m\":{\"group1\":{\"key1\":[{},{}],\"x\":0}}");
	p = stpcpy(p, "}");
	object = hb_span_make(text, (size_t)(p - text));
	find(one, object, found);
	assert_int_equal(cost.names, 10002);
	assert_int_equal(cost.bytes, object.len - 1);
	assert_true(found[0].repeated);
	find(many, object, found);
	assert_int_equal(cost.names, 10003); /* and the end of {} */
	assert_int_equal(cost.bytes, object.len - 2);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(found[i].value.kind, HB_JSON_NONE);
		assert_true(found[i].repeated);
	}
	free(text);
	hb_json_paths_free(one);
	hb_json_paths_free(many);
}

/* A set has its limit, says so, and goes on working. */
static void
test_too_many_paths(void **state)
{
	struct hb_json_paths *paths = hb_json_paths_new();
	struct hb_json_found *found;
	struct hb_error err;
	char path[32];
	int count = 0;

	(void)state;
	for (;; count++) {
		int len = snprintf(path, sizeof(path), "key%d", count);
		int index = hb_json_paths_add(
		    paths, hb_span_make(path, (size_t)len), &err);

		if (index < 0)
			break;
		assert_int_equal(index, count);
		assert_true(count < 10000);
	}
	assert_in_range(count, 4 * MANY, 10000);
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "there are too many paths"));
	assert_int_equal(hb_json_paths_add(paths, HB_SPAN("key7"), NULL), 7);
	found = hb_xcalloc((size_t)count, sizeof(*found));
	find(paths, HB_SPAN("{\"key7\":1,\"key4000\":2}"), found);
	assert_span(found[7].value.text, HB_SPAN("1"));
	assert_span(found[4000].value.text, HB_SPAN("2"));
	free(found);
	hb_json_paths_free(paths);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spelling),
	    cmocka_unit_test(test_indices),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_the_empty_set),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_colliding_names),
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_agrees_with_the_simple_way),
	    cmocka_unit_test(test_many_paths),
	    cmocka_unit_test(test_cost_is_the_walk),
	    cmocka_unit_test(test_too_many_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
