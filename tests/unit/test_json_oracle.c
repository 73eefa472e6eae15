/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_oracle.c - jansson's opinion of what no table thinks of
 *
 * The bodies in tests/samples are damaged in thousands of ways, the same in
 * every run. Both must agree on what is valid, but for what is known:
 *
 *   jansson refuses numbers beyond its range, lone surrogates, and NUL in a
 *   name. Each is then replaced by something harmless, and jansson must agree
 *   with what that leaves;
 *   we refuse more than 512 levels, at the byte where the 513th begins;
 *   jansson passes over a NUL byte right behind a number or a word (its stream
 *   takes a byte put back for its buffer's end). With a space instead of it
 *   both must agree again.
 *
 * Where both accept, jansson's tree must be what our spans say. */
#include "json_rig.h"

#include <ctype.h>
#include <jansson.h>

#define ROOM 32768
#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

static const char *const samples[] = {"01-parse-completed-inline",
    "02-parse-completed-thin", "03-parse-completed-url-result",
    "04-parse-completed-bare-result", "05-extract-completed",
    "06-extract-completed-legacy", "07-split-completed", "08-edit-completed",
    "09-pipeline-completed", "10-failed-thin", "11-failed-with-reason",
    "12-metadata-mixed-types", "13-metadata-unicode", "14-metadata-absent",
    "15-metadata-null", "16-metadata-not-object", "17-enveloped",
    "18-job-id-short-form", "19-unknown-status-extra-fields"};

struct body {
	char text[ROOM];
	size_t len;
};

/* The sample, up to its last bracket. */
static void
body_read(struct body *body, const char *sample)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/samples/%s.json", getenv("HB_TESTS"),
	    sample);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("cannot open %s", path);
	body->len = fread(body->text, 1, sizeof(body->text), file);
	fclose(file);
	assert_in_range(body->len, 2, ROOM / 2);
	while (body->len > 0 && body->text[body->len - 1] != '}')
		body->len--;
}

/* --- what is known -------------------------------------------------------- */

enum verdict {
	BOTH_ACCEPT,
	BOTH_REFUSE,
	ONLY_WE_ACCEPT, /* for a known reason */
	ONLY_WE_REFUSE, /* likewise */
	VERDICT_COUNT
};

enum reason { NUMBER, SURROGATE, NUL_NAME, DEPTH, LOST_NUL, REASON_COUNT };

static const char *const reason_names[] = {
    "number range", "lone surrogate", "NUL in a name", "depth", "lost NUL"};

/* Why jansson says no to what we accept. */
static enum reason
reason_of(const struct body *body, const json_error_t *e)
{
	switch ((int)json_error_code(e)) {
	case json_error_numeric_overflow:
		return NUMBER;
	case json_error_null_byte_in_key:
		return NUL_NAME;
	case json_error_invalid_syntax:
		if (strncmp(e->text, "invalid Unicode '\\u", 19) == 0)
			return SURROGATE;
		break;
	default:
		break;
	}
	fail_msg("only we accept it (jansson: %s, byte %d): %.*s", e->text,
	    e->position, (int)body->len, body->text);
	return REASON_COUNT;
}

/* Replaces the number that ends at or before a place by a small one. */
static void
heal_number(struct body *body, size_t end)
{
	static const char chars[] = "0123456789+-.eE";
	size_t start;

	while (end > 0 && memchr(chars, body->text[end - 1], 15) == NULL)
		end--;
	start = end;
	while (start > 0 && memchr(chars, body->text[start - 1], 15) != NULL)
		start--;
	assert_true(end - start > 1); /* a digit is in nobody's way */
	memset(body->text + start, ' ', end - start);
	body->text[start] = '1';
}

/* Replaces all \u escapes of surrogates and NUL by a letter's. */
static void
heal_escapes(struct body *body)
{
	for (size_t i = 0; i + 5 < body->len; i++) {
		char *p = body->text + i, digits[5] = {0};
		unsigned long c;

		if (*p != '\\')
			continue;
		i++; /* over what is escaped */
		if (p[1] != 'u')
			continue;
		memcpy(digits, p + 2, 4);
		c = strtoul(digits, NULL, 16);
		if (c == 0 || (c >= 0xd800 && c <= 0xdfff))
			memcpy(p + 2, "0041", 4);
	}
}

/* What we accept and jansson does not is accepted once the reasons that we
 * know are taken away. */
static void
heal(const struct body *original, json_error_t e, size_t reasons[])
{
	static struct body body;
	json_t *tree = NULL;

	body = *original;
	while (tree == NULL) {
		enum reason reason = reason_of(&body, &e);

		reasons[reason]++;
		if (reason == NUMBER)
			heal_number(&body, (size_t)e.position);
		else
			heal_escapes(&body);
		tree = json_loadb(body.text, body.len, FLAGS, &e);
	}
	json_decref(tree);
}

/* Where the container number 513 opens in a text that jansson accepts. */
static size_t
too_deep_at(const struct body *body)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < body->len; i++) {
		char c = body->text[i];

		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > HB_JSON_MAX_DEPTH)
				return i;
		} else if (c == ']' || c == '}') {
			depth--;
		}
	}
	return body->len;
}

/* Whether we object to a NUL that jansson has not seen; makes it a space. */
static bool
heal_lost_nul(struct body *body, const struct hb_error *err)
{
	size_t at;

	if (sscanf(err->text, "byte %zu: expected ", &at) != 1 || at == 0 ||
	    at >= body->len || body->text[at] != '\0' ||
	    !isalnum((unsigned char)body->text[at - 1]))
		return false;
	body->text[at] = ' ';
	return true;
}

static void
assert_too_deep(const struct body *body, const struct hb_error *err)
{
	char want[64];

	snprintf(want, sizeof(want), "byte %zu: nested deeper than 512 levels",
	    too_deep_at(body));
	if (strcmp(err->text, want) != 0)
		fail_msg("only we refuse it (%s): %.*s", err->text,
		    (int)body->len, body->text);
}

/* --- spans against the tree ----------------------------------------------- */

/* Between two members stands one comma, at the edges none. */
static void
assert_gap(const char *p, const char *end, int commas)
{
	for (; p < end; p++) {
		if (*p == ',')
			commas--;
		else
			assert_non_null(memchr(" \t\r\n", *p, 4));
	}
	assert_int_equal(commas, 0);
}

static json_t *tree_of(const struct hb_json_value *value);

/* An object as its members are, the last of equal names standing. */
static json_t *
object_of(struct hb_span text)
{
	struct hb_arena *arena = hb_arena_new(0);
	json_t *tree = json_object();
	const char *before = text.ptr + 1;
	struct hb_json_member member;
	struct hb_json_iter it;
	bool first = true;

	hb_json_iter_init(&it, text);
	while (hb_json_iter_next(&it, &member)) {
		struct hb_span name = hb_json_decode(
		    hb_span_make(member.name.ptr - 1, member.name.len + 2),
		    arena);

		assert_true(hb_span_is_set(name));
		assert_true(hb_json_name_is(&member, name));
		assert_ptr_equal(member.whole.ptr, member.name.ptr - 1);
		assert_ptr_equal(member.whole.ptr + member.whole.len,
		    member.value.text.ptr + member.value.text.len);
		assert_gap(before, member.whole.ptr, !first);
		before = member.whole.ptr + member.whole.len;
		first = false;
		json_object_setn_new(
		    tree, name.ptr, name.len, tree_of(&member.value));
	}
	assert_gap(before, text.ptr + text.len - 1, 0);
	assert_ptr_equal(it.pos, text.ptr + text.len);
	hb_arena_free(arena);
	return tree;
}

/* A text as our spans say; the elements of arrays are jansson's. */
static json_t *
tree_of(const struct hb_json_value *value)
{
	struct hb_arena *arena;
	struct hb_span text;
	json_t *tree;

	if (value->kind == HB_JSON_OBJECT)
		return object_of(value->text);
	tree = json_loadb(value->text.ptr, value->text.len, FLAGS, NULL);
	assert_non_null(tree);
	if (value->kind != HB_JSON_STRING)
		return tree;
	arena = hb_arena_new(0);
	text = hb_json_decode(value->text, arena);
	if (hb_span_is_set(text)) /* else it holds NUL */
		assert_true(hb_span_eq(text,
		    hb_span_make(json_string_value(tree),
			json_string_length(tree))));
	else
		assert_non_null(memchr(
		    json_string_value(tree), '\0', json_string_length(tree)));
	hb_arena_free(arena);
	return tree;
}

static void
assert_same_tree(const struct hb_json_value *value, json_t *want)
{
	json_t *got = tree_of(value);

	if (!json_equal(got, want))
		fail_msg("spans and tree differ: %.*s",
		    HB_SPAN_ARG(value->text));
	json_decref(got);
}

struct visits {
	struct hb_json_iter it;
	size_t count;
};

/* Scan and iterator meet the same members. */
static bool
on_member(void *arg, const struct hb_json_member *member, struct hb_error *err)
{
	struct visits *visits = arg;
	struct hb_json_member same;

	(void)err;
	assert_true(hb_json_iter_next(&visits->it, &same));
	assert_ptr_equal(member->name.ptr, same.name.ptr);
	assert_int_equal(member->name.len, same.name.len);
	assert_int_equal(member->escaped, same.escaped);
	assert_int_equal(member->value.kind, same.value.kind);
	assert_ptr_equal(member->value.text.ptr, same.value.text.ptr);
	assert_int_equal(member->value.text.len, same.value.text.len);
	assert_ptr_equal(member->whole.ptr, same.whole.ptr);
	assert_int_equal(member->whole.len, same.whole.len);
	visits->count++;
	return true;
}

static void
assert_scan_meets_the_same(struct hb_json_value *value)
{
	struct hb_span text = value->text;
	struct hb_json_member member;
	struct visits visits = {0};

	hb_json_iter_init(&visits.it, text);
	assert_true(hb_json_scan(text, on_member, &visits, value, NULL));
	assert_false(hb_json_iter_next(&visits.it, &member));
	assert_span(value->text, text);
}

/* --- one text ------------------------------------------------------------- */

static enum verdict
judge(struct body *body, size_t reasons[])
{
	struct hb_span text = hb_span_make(body->text, body->len);
	struct hb_json_value value;
	struct hb_error err;
	bool accepted = validate_exact(text, &value, &err);
	json_error_t e;
	json_t *tree = json_loadb(body->text, body->len, FLAGS, &e);
	enum verdict verdict;

	if (accepted)
		assert_scan_meets_the_same(&value);
	if (accepted && tree != NULL) {
		assert_same_tree(&value, tree);
		verdict = BOTH_ACCEPT;
	} else if (accepted) {
		heal(body, e, reasons);
		verdict = ONLY_WE_ACCEPT;
	} else if (tree != NULL && heal_lost_nul(body, &err)) {
		judge(body, reasons);
		reasons[LOST_NUL]++;
		verdict = ONLY_WE_REFUSE;
	} else if (tree != NULL) {
		assert_too_deep(body, &err);
		reasons[DEPTH]++;
		verdict = ONLY_WE_REFUSE;
	} else {
		verdict = BOTH_REFUSE;
	}
	json_decref(tree);
	return verdict;
}

static void
test_samples_are_accepted(void **state)
{
	static struct body body;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		size_t reasons[REASON_COUNT] = {0};

		body_read(&body, samples[i]);
		assert_int_equal(judge(&body, reasons), BOTH_ACCEPT);
	}
}

static void
test_truncated_samples_are_refused(void **state)
{
	static struct body body;
	struct hb_json_value value;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		body_read(&body, samples[i]);
		for (size_t len = 0; len < body.len; len++)
			assert_false(validate_exact(
			    hb_span_make(body.text, len), &value, NULL));
	}
}

/* --- damage --------------------------------------------------------------- */

/* What is put in; most of it is harmless in one place and not in another. */
static const struct hb_span pieces[] = {HB_SPAN("{"), HB_SPAN("}"),
    HB_SPAN("["), HB_SPAN("]"), HB_SPAN(","), HB_SPAN(":"), HB_SPAN("\""),
    HB_SPAN("\\"), HB_SPAN(" "), HB_SPAN("\r\n\t"), HB_SPAN("\v"),
    HB_SPAN("\0"), HB_SPAN("\x01"), HB_SPAN("\x1f"), HB_SPAN("\x7f"),
    HB_SPAN("null"), HB_SPAN("true,"), HB_SPAN("-"), HB_SPAN("0"),
    HB_SPAN("1."), HB_SPAN(".5"), HB_SPAN("e9"), HB_SPAN("E+"),
    HB_SPAN("1E400"), HB_SPAN("-1E400,"), HB_SPAN("1e-400"),
    HB_SPAN("12345678901234567890"), HB_SPAN("-98765432109876543210,"),
    HB_SPAN("\"x\":1E400,"), HB_SPAN("\\u0000"), HB_SPAN("\\u12"),
    HB_SPAN("\\ud800"), HB_SPAN("\\udc00"), HB_SPAN("\\uD83D\\uDE00"),
    HB_SPAN("\\ud83d\\u0041"), HB_SPAN("\\n"), HB_SPAN("\\x"),
    HB_SPAN("\\u00e9"), HB_SPAN("\xc3\xa9"), HB_SPAN("\xe2\x82\xac"),
    HB_SPAN("\xf0\x9f\x93\x84"), HB_SPAN("\xf4\x8f\xbf\xbf"),
    HB_SPAN("\xc3"), HB_SPAN("\xa9"), HB_SPAN("\xc0\x80"),
    HB_SPAN("\xe0\x9f\xbf"), HB_SPAN("\xed\xa0\x80"),
    HB_SPAN("\xf0\x8f\xbf\xbf"), HB_SPAN("\xf4\x90\x80\x80"),
    HB_SPAN("\xff"), HB_SPAN("\xef\xbb\xbf"), HB_SPAN("/**/"),
    HB_SPAN("\"a\":1,"), HB_SPAN("\"\\u0061\":[2],"),
    HB_SPAN("\"status\":{},"), HB_SPAN("\"\":\"\\\\\","),
    HB_SPAN("\"\\u0000\":0,"), HB_SPAN("[[[]]],"), HB_SPAN("{\"a\":{}},"),
    HB_SPAN("[2\0],"), HB_SPAN("\"z\":null\0,")};

/* Any place, or one before which or behind which something may stand. */
static size_t
place_in(const struct body *body, uint32_t *seed)
{
	size_t at = random_below(seed, body->len + 1);

	if (next_random(seed) % 2 == 0)
		return at;
	for (; at < body->len; at++)
		if (memchr("{}[],:\"", body->text[at], 7) != NULL)
			return at + next_random(seed) % 2;
	return at;
}

static void
insert(struct body *body, size_t at, struct hb_span piece)
{
	if (body->len + piece.len > ROOM)
		return;
	memmove(body->text + at + piece.len, body->text + at, body->len - at);
	memcpy(body->text + at, piece.ptr, piece.len);
	body->len += piece.len;
}

static void
cut(struct body *body, size_t at, size_t len)
{
	if (len > body->len - at)
		len = body->len - at;
	memmove(body->text + at, body->text + at + len, body->len - at - len);
	body->len -= len;
}

/* Puts a piece of the body somewhere else, too. */
static void
repeat(struct body *body, size_t at, uint32_t *seed)
{
	char copy[64];
	size_t from = place_in(body, seed);
	size_t len = 1 + random_below(seed, sizeof(copy));

	if (len > body->len - from)
		len = body->len - from;
	memcpy(copy, body->text + from, len);
	insert(body, at, hb_span_make(copy, len));
}

/* Puts it all into arrays: about as many as we allow, or as jansson does. */
static void
wrap(struct body *body, uint32_t *seed)
{
	static char brackets[2200];
	size_t count = next_random(seed) % 3 == 0
			   ? 2000 + random_below(seed, 100)
			   : 500 + random_below(seed, 20);

	if (body->len + 2 * count > ROOM)
		return;
	memset(brackets, '[', count);
	insert(body, 0, hb_span_make(brackets, count));
	memset(brackets, ']', count);
	insert(body, body->len, hb_span_make(brackets, count));
}

static void
damage(struct body *body, uint32_t *seed)
{
	size_t at = place_in(body, seed);

	switch (next_random(seed) % 16) {
	case 0:
		if (at < body->len)
			body->text[at] ^= (char)(1u << next_random(seed) % 8);
		break;
	case 1:
		if (at < body->len)
			body->text[at] = (char)next_random(seed);
		break;
	case 2:
		cut(body, at, 1);
		break;
	case 3:
		cut(body, at, 1 + random_below(seed, 40));
		break;
	case 4:
		repeat(body, at, seed);
		break;
	case 5:
		body->len = at;
		break;
	case 6:
		wrap(body, seed);
		break;
	default:
		insert(
		    body, at, pieces[random_below(seed, HB_COUNT(pieces))]);
		break;
	}
}

#define ROUNDS 600 /* for each sample */

static void
test_damaged_samples(void **state)
{
	static struct body whole, body;
	size_t verdicts[VERDICT_COUNT] = {0}, reasons[REASON_COUNT] = {0};
	uint32_t seed = 20260101;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		body_read(&whole, samples[i]);
		for (int round = 0; round < ROUNDS; round++) {
			body = whole;
			for (int n = round % 3; n >= 0; n--)
				damage(&body, &seed);
			verdicts[judge(&body, reasons)]++;
		}
	}
	/* All of it has been asked, and more than once. */
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		if (verdicts[i] < 10)
			fail_msg("verdict %zu: only %zu", i, verdicts[i]);
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (reasons[i] < 5)
			fail_msg("%s: only %zu", reason_names[i], reasons[i]);
}

/* Every sequence of bytes that may matter, in a string. */
static void
test_utf8_agrees(void **state)
{
	static const char edges[] =
	    "\x41\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed"
	    "\xee\xef\xf0\xf1\xf3\xf4\xf5\xf8\xff";
	const size_t n = sizeof(edges) - 1;

	(void)state;
	for (size_t i = 0; i < n * n * n * n; i++) {
		const char text[] = {'"', edges[i % n], edges[i / n % n],
		    edges[i / n / n % n], edges[i / n / n / n], '"'};
		struct hb_json_value value;
		json_t *tree =
		    json_loadb(text, sizeof(text), JSON_DECODE_ANY, NULL);

		if (hb_json_validate(hb_span_make(text, sizeof(text)), &value,
			NULL) != (tree != NULL))
			fail_msg("%02x %02x %02x %02x", (unsigned char)text[1],
			    (unsigned char)text[2], (unsigned char)text[3],
			    (unsigned char)text[4]);
		json_decref(tree);
	}
}

/* --- quoting -------------------------------------------------------------- */

/* Any characters, among them often those that must be quoted. */
static size_t
random_text(char *out, size_t count, uint32_t *seed)
{
	static const char *const chars[] = {"\"", "\\", "/", "\x01", "\n",
	    "\x1f", "\x7f", "\xc2\x80", "\xe2\x80\xa8", "\xef\xbf\xbf",
	    "\xf0\x9f\x93\x84"};
	char *p = out;

	while (count-- > 0) {
		if (next_random(seed) % 4 == 0)
			p = stpcpy(p,
			    chars[random_below(seed, HB_COUNT(chars))]);
		else
			*p++ = (char)(next_random(seed) % 0x80);
	}
	return (size_t)(p - out);
}

static void
test_quote_round_trip(void **state)
{
	uint32_t seed = 7;
	char text[400];

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		size_t len = random_text(text, i % 100, &seed);
		char *copy = exact_copy(hb_span_make(text, len));
		char *quoted = hb_xmalloc(6 * len + 2);
		size_t quoted_len =
		    hb_json_quote(hb_span_make(copy, len), quoted);
		json_t *tree = json_loadb(quoted, quoted_len, FLAGS, NULL);

		assert_true(json_is_string(tree));
		assert_int_equal(json_string_length(tree), len);
		assert_memory_equal(json_string_value(tree), text, len);
		json_decref(tree);
		free(quoted);
		free(copy);
	}
}

/* What jansson writes, escaped as far as it can, we read. */
static void
test_decode_round_trip(void **state)
{
	uint32_t seed = 8;
	char text[400];

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		struct hb_arena *arena = hb_arena_new(0);
		size_t len = random_text(text, i % 100, &seed);
		json_t *tree;
		char *written, *copy;
		struct hb_span got;

		for (size_t at = 0; at < len; at++)
			if (text[at] == '\0')
				text[at] = '0';
		tree = json_stringn(text, len);
		written = json_dumps(tree, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		copy = exact_copy(hb_span_of(written));
		got = hb_json_decode(
		    hb_span_make(copy, strlen(written)), arena);
		assert_span(got, hb_span_make(text, len));
		free(copy);
		free(written);
		json_decref(tree);
		hb_arena_free(arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples_are_accepted),
	    cmocka_unit_test(test_truncated_samples_are_refused),
	    cmocka_unit_test(test_damaged_samples),
	    cmocka_unit_test(test_utf8_agrees),
	    cmocka_unit_test(test_quote_round_trip),
	    cmocka_unit_test(test_decode_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
