/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_span.c - the grammar, byte by byte; members as spans; decoding
 *
 * What is valid or not is said by tables here; test_json_oracle.c asks jansson
 * about what no table thinks of. */
#include "json_rig.h"

#include <jansson.h>

/* --- what is accepted ----------------------------------------------------- */

static const struct {
	struct hb_span text;
	enum hb_json_kind kind;
} accepted[] = {
    {HB_SPAN("null"), HB_JSON_NULL},
    {HB_SPAN("true"), HB_JSON_BOOL},
    {HB_SPAN("false"), HB_JSON_BOOL},
    /* number = [ minus ] int [ frac ] [ exp ] */
    {HB_SPAN("0"), HB_JSON_NUMBER},
    {HB_SPAN("-0"), HB_JSON_NUMBER},
    {HB_SPAN("7"), HB_JSON_NUMBER},
    {HB_SPAN("-19"), HB_JSON_NUMBER},
    {HB_SPAN("10"), HB_JSON_NUMBER},
    {HB_SPAN("1234567890"), HB_JSON_NUMBER},
    {HB_SPAN("12345678901234567890"), HB_JSON_NUMBER},
    {HB_SPAN("-12345678901234567890"), HB_JSON_NUMBER},
    {HB_SPAN("0.0"), HB_JSON_NUMBER},
    {HB_SPAN("-0.0"), HB_JSON_NUMBER},
    {HB_SPAN("1.50"), HB_JSON_NUMBER},
    {HB_SPAN("0e0"), HB_JSON_NUMBER},
    {HB_SPAN("0E+0"), HB_JSON_NUMBER},
    {HB_SPAN("1e05"), HB_JSON_NUMBER},
    {HB_SPAN("1E400"), HB_JSON_NUMBER},
    {HB_SPAN("-1.25e-400"), HB_JSON_NUMBER},
    {HB_SPAN("1e99999999999999999999"), HB_JSON_NUMBER},
    /* string */
    {HB_SPAN("\"\""), HB_JSON_STRING},
    {HB_SPAN("\"a\""), HB_JSON_STRING},
    {HB_SPAN("\"{[,:]}/\'\""), HB_JSON_STRING},
    {HB_SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), HB_JSON_STRING},
    {HB_SPAN("\"\\\\\""), HB_JSON_STRING},
    {HB_SPAN("\"\\u0000\""), HB_JSON_STRING},
    {HB_SPAN("\"\\u001f\\uABCD\\uabcd\\uFfFf\""), HB_JSON_STRING},
    {HB_SPAN("\"\\ud83d\\ude00\""), HB_JSON_STRING},
    {HB_SPAN("\"\\ud800\""), HB_JSON_STRING}, /* lone ones are grammar */
    {HB_SPAN("\"\\udc00\""), HB_JSON_STRING},
    {HB_SPAN("\"\\udc00\\ud800\""), HB_JSON_STRING},
    {HB_SPAN("\"\\ud800\\n\""), HB_JSON_STRING},
    {HB_SPAN("\"\x7f\""), HB_JSON_STRING},
    {HB_SPAN("\"\xc2\x80\xdf\xbf\""), HB_JSON_STRING},
    {HB_SPAN("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
	HB_JSON_STRING},
    {HB_SPAN("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), HB_JSON_STRING},
    {HB_SPAN("\"\xef\xbb\xbf\""), HB_JSON_STRING}, /* no mark in here */
    {HB_SPAN("\"\xe2\x80\xa8\xe2\x80\xa9\""), HB_JSON_STRING},
    {HB_SPAN("\"Zo\xc3\xab \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x93\x84.\""),
	HB_JSON_STRING},
    /* array */
    {HB_SPAN("[]"), HB_JSON_ARRAY},
    {HB_SPAN("[ \t\r\n]"), HB_JSON_ARRAY},
    {HB_SPAN("[1]"), HB_JSON_ARRAY},
    {HB_SPAN("[1,\"a\",null,[],{},true]"), HB_JSON_ARRAY},
    {HB_SPAN("[\n[\t] , [\r[ ] ]\n]"), HB_JSON_ARRAY},
    /* object */
    {HB_SPAN("{}"), HB_JSON_OBJECT},
    {HB_SPAN("{ \t\r\n}"), HB_JSON_OBJECT},
    {HB_SPAN("{\"\":0}"), HB_JSON_OBJECT},
    {HB_SPAN("{\"a\":{},\"b\":[],\"c\":\"\"}"), HB_JSON_OBJECT},
    {HB_SPAN("{\n\"a\"\t:\r1 , \"b\" : {\"c\":[{}]}\n}"), HB_JSON_OBJECT},
    {HB_SPAN("{\"a\":1,\"a\":2,\"\\u0061\":3}"), HB_JSON_OBJECT},
    {HB_SPAN("{\"\\u0000\":1,\"\\ud800\":2}"), HB_JSON_OBJECT},
};

/* Where a value may stand. */
static const struct {
	const char *before, *behind;
} places[] = {
    {"", ""},
    {" \t\r\n", "\n\r\t "},
    {"[", "]"},
    {"[ 0 ,\t", "\n, 0 ]"},
    {"{\"n\":", "}"},
    {"{\"n\"\t:\n", " , \"m\" : 0 }"},
    {"[{\"\":[[", "]]},{}]"},
};

static struct hb_span
joined(char *out, size_t size, const char *before, struct hb_span text,
    const char *behind)
{
	size_t head = strlen(before), tail = strlen(behind);

	assert_true(head + text.len + tail <= size);
	memcpy(out, before, head);
	memcpy(out + head, text.ptr, text.len);
	memcpy(out + head + text.len, behind, tail);
	return hb_span_make(out, head + text.len + tail);
}

static void
assert_accepted(struct hb_span text, struct hb_json_value *value)
{
	struct hb_error err;

	if (!validate_exact(text, value, &err))
		fail_msg("%.*s: %s", HB_SPAN_ARG(text), err.text);
}

static void
test_accepted(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(accepted); i++) {
		struct hb_json_value value;

		for (size_t p = 0; p < HB_COUNT(places); p++)
			assert_accepted(
			    joined(text, sizeof(text), places[p].before,
				accepted[i].text, places[p].behind),
			    &value);
		assert_accepted(joined(text, sizeof(text), "\r\n\t ",
				    accepted[i].text, "\r\n\t "),
		    &value);
		assert_int_equal(value.kind, accepted[i].kind);
		assert_span(value.text, accepted[i].text);
		assert_ptr_equal(value.text.ptr, text + 4);
		if (accepted[i].kind == HB_JSON_STRING)
			assert_accepted(joined(text, sizeof(text), "{ ",
					    accepted[i].text, " :0}"),
			    &value);
	}
}

/* --- what is refused, and where ------------------------------------------- */

#define A_VALUE "a value"
#define THE_END "the end"
#define NAME "a member's name in quotes"
#define QUOTE "the string's closing quote"
#define ESCAPE "a valid escape"
#define CONTROL "control characters to be escaped"
#define UTF8 "valid UTF-8"

static const struct {
	struct hb_span text;
	size_t at;
	const char *expected;
} refused[] = {
    {HB_SPAN(""), 0, A_VALUE},
    {HB_SPAN(" \t\r\n"), 4, A_VALUE},
    {HB_SPAN("\0"), 0, A_VALUE},
    {HB_SPAN("\xef\xbb\xbf{}"), 0, A_VALUE}, /* a byte order mark */
    {HB_SPAN("\xff\xfe{\0}\0"), 0, A_VALUE}, /* UTF-16 */
    {HB_SPAN("{\0}\0"), 1, NAME},
    {HB_SPAN("\v1"), 0, A_VALUE}, /* white space elsewhere */
    {HB_SPAN("\f1"), 0, A_VALUE},
    {HB_SPAN("\xc2\xa0\x31"), 0, A_VALUE},
    {HB_SPAN("[1,\v2]"), 3, A_VALUE},
    {HB_SPAN("// x\n1"), 0, A_VALUE},
    {HB_SPAN("1 /* x */"), 2, THE_END},
    /* words */
    {HB_SPAN("nul"), 0, A_VALUE},
    {HB_SPAN("nulL"), 0, A_VALUE},
    {HB_SPAN("nulll"), 4, THE_END},
    {HB_SPAN("True"), 0, A_VALUE},
    {HB_SPAN("tru"), 0, A_VALUE},
    {HB_SPAN("t"), 0, A_VALUE},
    {HB_SPAN("fals"), 0, A_VALUE},
    {HB_SPAN("falsehood"), 5, THE_END},
    {HB_SPAN("NaN"), 0, A_VALUE},
    {HB_SPAN("Infinity"), 0, A_VALUE},
    {HB_SPAN("undefined"), 0, A_VALUE},
    {HB_SPAN("'a'"), 0, A_VALUE},
    /* numbers */
    {HB_SPAN("-"), 1, "a digit"},
    {HB_SPAN("--1"), 1, "a digit"},
    {HB_SPAN("-a"), 1, "a digit"},
    {HB_SPAN("-Infinity"), 1, "a digit"},
    {HB_SPAN("+1"), 0, A_VALUE},
    {HB_SPAN(".5"), 0, A_VALUE},
    {HB_SPAN("-.5"), 1, "a digit"},
    {HB_SPAN("00"), 1, THE_END},
    {HB_SPAN("01"), 1, THE_END},
    {HB_SPAN("-01"), 2, THE_END},
    {HB_SPAN("0x1F"), 1, THE_END},
    {HB_SPAN("1."), 2, "a digit"},
    {HB_SPAN("1.e5"), 2, "a digit"},
    {HB_SPAN("0.-1"), 2, "a digit"},
    {HB_SPAN("1.2.3"), 3, THE_END},
    {HB_SPAN("1e"), 2, "a digit"},
    {HB_SPAN("1e+"), 3, "a digit"},
    {HB_SPAN("1E-"), 3, "a digit"},
    {HB_SPAN("1e+-1"), 3, "a digit"},
    {HB_SPAN("1e1.5"), 3, THE_END},
    {HB_SPAN("1e5e5"), 3, THE_END},
    {HB_SPAN("1_000"), 1, THE_END},
    {HB_SPAN("1,5"), 1, THE_END},
    {HB_SPAN("1 2"), 2, THE_END},
    {HB_SPAN("\xd9\xa1"), 0, A_VALUE}, /* a digit, but not ASCII */
    /* containers */
    {HB_SPAN("["), 1, A_VALUE},
    {HB_SPAN("]"), 0, A_VALUE},
    {HB_SPAN("[,]"), 1, A_VALUE},
    {HB_SPAN("[1,]"), 3, A_VALUE},
    {HB_SPAN("[,1]"), 1, A_VALUE},
    {HB_SPAN("[1,,2]"), 3, A_VALUE},
    {HB_SPAN("[1"), 2, "',' or ']'"},
    {HB_SPAN("[1 2]"), 3, "',' or ']'"},
    {HB_SPAN("[1}"), 2, "',' or ']'"},
    {HB_SPAN("[\"a\":1]"), 4, "',' or ']'"},
    {HB_SPAN("[}"), 1, A_VALUE},
    {HB_SPAN("[]]"), 2, THE_END},
    {HB_SPAN("[1],"), 3, THE_END},
    {HB_SPAN("[]\0"), 2, THE_END},
    {HB_SPAN("{"), 1, NAME},
    {HB_SPAN("}"), 0, A_VALUE},
    {HB_SPAN("{]"), 1, NAME},
    {HB_SPAN("{,}"), 1, NAME},
    {HB_SPAN("{a:1}"), 1, NAME},
    {HB_SPAN("{'a':1}"), 1, NAME},
    {HB_SPAN("{1:1}"), 1, NAME},
    {HB_SPAN("{null:1}"), 1, NAME},
    {HB_SPAN("{\"a\"}"), 4, "':'"},
    {HB_SPAN("{\"a\" 1}"), 5, "':'"},
    {HB_SPAN("{\"a\",1}"), 4, "':'"},
    {HB_SPAN("{\"a\"=1}"), 4, "':'"},
    {HB_SPAN("{\"a\""), 4, "':'"},
    {HB_SPAN("{\"a\":"), 5, A_VALUE},
    {HB_SPAN("{\"a\":}"), 5, A_VALUE},
    {HB_SPAN("{\"a\"::1}"), 5, A_VALUE},
    {HB_SPAN("{\"a\":1"), 6, "',' or '}'"},
    {HB_SPAN("{\"a\":1]"), 6, "',' or '}'"},
    {HB_SPAN("{\"a\":1,}"), 7, NAME},
    {HB_SPAN("{\"a\":1,,\"b\":2}"), 7, NAME},
    {HB_SPAN("{\"a\":1 \"b\":2}"), 7, "',' or '}'"},
    {HB_SPAN("{}{}"), 2, THE_END},
    {HB_SPAN("{} x"), 3, THE_END},
    {HB_SPAN("{\"a\":[1,{\"b\":2]}"), 14, "',' or '}'"},
    {HB_SPAN("[{\"a\":[1}]"), 8, "',' or ']'"},
    /* strings; all of these begin with their quote */
    {HB_SPAN("\""), 1, QUOTE},
    {HB_SPAN("\"a"), 2, QUOTE},
    {HB_SPAN("\"a\\\""), 4, QUOTE},
    {HB_SPAN("\"\\"), 1, ESCAPE},
    {HB_SPAN("\"\\x41\""), 1, ESCAPE},
    {HB_SPAN("\"\\'\""), 1, ESCAPE},
    {HB_SPAN("\"\\0\""), 1, ESCAPE},
    {HB_SPAN("\"\\a\""), 1, ESCAPE},
    {HB_SPAN("\"\\v\""), 1, ESCAPE},
    {HB_SPAN("\"\\U0041\""), 1, ESCAPE},
    {HB_SPAN("\"\\\n\""), 1, ESCAPE},
    {HB_SPAN("\"\\\0\""), 1, ESCAPE},
    {HB_SPAN("\"\\u\""), 1, ESCAPE},
    {HB_SPAN("\"\\u12\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123"), 1, ESCAPE},
    {HB_SPAN("\"\\u12G4\""), 1, ESCAPE},
    {HB_SPAN("\"\\u-123\""), 1, ESCAPE},
    {HB_SPAN("\"\\u 123\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123`\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123@\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123/\""), 1, ESCAPE},
    {HB_SPAN("\"\\u123:\""), 1, ESCAPE},
    {HB_SPAN("\"\\u{41}\""), 1, ESCAPE},
    {HB_SPAN("\"\\ud83d\\u\""), 7, ESCAPE},
    {HB_SPAN("\"a\nb\""), 2, CONTROL},
    {HB_SPAN("\"a\0b\""), 2, CONTROL},
    {HB_SPAN("\"\x80\""), 1, UTF8},
    {HB_SPAN("\"\xbf\""), 1, UTF8},
    {HB_SPAN("\"\xc0\x80\""), 1, UTF8}, /* NUL, overlong */
    {HB_SPAN("\"\xc1\xbf\""), 1, UTF8},
    {HB_SPAN("\"\xc3\""), 1, UTF8},
    {HB_SPAN("\"\xc3"), 1, UTF8},
    {HB_SPAN("\"\xc3("), 1, UTF8},
    {HB_SPAN("\"\xe0\x80\x80\""), 1, UTF8},
    {HB_SPAN("\"\xe0\x9f\xbf\""), 1, UTF8}, /* overlong */
    {HB_SPAN("\"\xe2\x82\""), 1, UTF8},
    {HB_SPAN("\"\xe2\x82"), 1, UTF8},
    {HB_SPAN("\"\xed\xa0\x80\""), 1, UTF8}, /* U+D800 */
    {HB_SPAN("\"\xed\xbf\xbf\""), 1, UTF8}, /* U+DFFF */
    {HB_SPAN("\"\xf0\x80\x80\x80\""), 1, UTF8},
    {HB_SPAN("\"\xf0\x8f\xbf\xbf\""), 1, UTF8}, /* overlong */
    {HB_SPAN("\"\xf0\x9f\x98\""), 1, UTF8},
    {HB_SPAN("\"\xf0\x9f\x98"), 1, UTF8},
    {HB_SPAN("\"\xf4\x90\x80\x80\""), 1, UTF8}, /* U+110000 */
    {HB_SPAN("\"\xf5\x80\x80\x80\""), 1, UTF8},
    {HB_SPAN("\"\xf8\x88\x80\x80\x80\""), 1, UTF8},
    {HB_SPAN("\"\xfe\""), 1, UTF8},
    {HB_SPAN("\"\xff\""), 1, UTF8},
    {HB_SPAN("\"\xc3\xa9\xc3\xa9\xe9\""), 5, UTF8}, /* then Latin-1 */
    {HB_SPAN("\"a\"b"), 3, THE_END},
    {HB_SPAN("\"a\" \"b\""), 4, THE_END},
};

static void
assert_refused(struct hb_span text, size_t at, const char *expected)
{
	struct hb_json_value value;
	struct hb_error err = {.code = HB_OK};
	char want[128];

	if (validate_exact(text, &value, &err))
		fail_msg("%.*s is accepted", HB_SPAN_ARG(text));
	snprintf(want, sizeof(want), "byte %zu: expected %s", at, expected);
	assert_int_equal(err.code, HB_E_REJECT);
	assert_null(err.reason);
	if (strcmp(err.text, want) != 0)
		fail_msg("%.*s: got \"%s\", want \"%s\"", HB_SPAN_ARG(text),
		    err.text, want);
}

static void
test_refused(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(refused); i++) {
		assert_refused(
		    refused[i].text, refused[i].at, refused[i].expected);
		assert_refused(joined(text, sizeof(text), "\n ",
				   refused[i].text, ""),
		    refused[i].at + 2, refused[i].expected);
	}
	assert_refused(HB_SPAN_NONE, 0, A_VALUE);
}

/* The scanner reads 16 bytes at once: the fault may stand anywhere in them. */
static void
test_refused_in_long_strings(void **state)
{
	char text[256];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(refused); i++) {
		char before[64] = "\"";

		if (refused[i].text.len < 2 || refused[i].text.ptr[0] != '"')
			continue;
		for (size_t n = 1; n < sizeof(before) - 1; n++) {
			before[n] = 'x';
			assert_refused(joined(text, sizeof(text), before,
					   hb_span_skip(refused[i].text, 1),
					   ""),
			    refused[i].at + n, refused[i].expected);
		}
	}
}

static void
test_control_characters(void **state)
{
	struct hb_json_value value;

	(void)state;
	for (char c = 0; c < ' '; c++) {
		char string[] = "[\"0123456789abcdef\"]";
		char name[] = "{\"0123456789abcdef\":0}";

		for (size_t at = 2; at < 18; at++) {
			char was = string[at];

			string[at] = name[at] = c;
			assert_refused(hb_span_make(string, sizeof(string) - 1),
			    at, CONTROL);
			assert_refused(
			    hb_span_make(name, sizeof(name) - 1), at, CONTROL);
			string[at] = name[at] = was;
		}
		assert_accepted(hb_span_of(string), &value);
		assert_accepted(hb_span_of(name), &value);
	}
}

/* Of one or two bytes, only these are JSON. */
static bool
is_short_json(const char *p, size_t len)
{
	static const char space[] = " \t\r\n", digits[] = "0123456789";
	bool first, second;

	first = memchr(digits, p[0], 10) != NULL;
	if (len == 1)
		return first;
	second = memchr(digits, p[1], 10) != NULL;
	return (first && second && p[0] != '0') || (p[0] == '-' && second) ||
	       (first && memchr(space, p[1], 4) != NULL) ||
	       (second && memchr(space, p[0], 4) != NULL) ||
	       memcmp(p, "[]", 2) == 0 || memcmp(p, "{}", 2) == 0 ||
	       memcmp(p, "\"\"", 2) == 0;
}

static void
test_all_short_texts(void **state)
{
	struct hb_json_value value;

	(void)state;
	for (unsigned bytes = 0; bytes < 0x10000; bytes++) {
		const char text[] = {(char)(bytes >> 8), (char)bytes};

		for (size_t len = 1; len <= 2; len++)
			if (validate_exact(hb_span_make(text, len), &value,
				NULL) != is_short_json(text, len))
				fail_msg("%04x, %zu bytes", bytes, len);
	}
}

/* --- depth ---------------------------------------------------------------- */

/* One container in another around inner: level n is an object if the pattern
 * has an 'o' there. *last is where the innermost opens. */
static struct hb_span
nested(char *out, const char *pattern, size_t depth, const char *inner,
    size_t *last)
{
	size_t period = strlen(pattern);
	char *p = out;

	for (size_t n = 0; n < depth; n++) {
		*last = (size_t)(p - out);
		p = stpcpy(p, pattern[n % period] == 'o' ? "{\"a\":" : "[");
	}
	p = stpcpy(p, inner);
	for (size_t n = depth; n-- > 0;)
		*p++ = pattern[n % period] == 'o' ? '}' : ']';
	return hb_span_make(out, (size_t)(p - out));
}

static const char *const patterns[] = {"a", "o", "ao", "oa", "aoo", "ooooa"};

static void
test_depth(void **state)
{
	static const size_t depths[] = {1, 63, 64, 65, 100, 128, 511, 512};
	static char text[8192];
	size_t last;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(patterns); i++) {
		struct hb_json_value value;
		struct hb_error err;
		struct hb_span deep;
		char want[64];

		for (size_t d = 0; d < HB_COUNT(depths); d++) {
			deep = nested(text, patterns[i], depths[d], "0", &last);
			assert_accepted(deep, &value);
			assert_span(value.text, deep);
		}
		deep = nested(text, patterns[i], 513, "0", &last);
		assert_false(validate_exact(deep, &value, &err));
		snprintf(want, sizeof(want),
		    "byte %zu: nested deeper than 512 levels", last);
		assert_string_equal(err.text, want);
		assert_int_equal(err.code, HB_E_REJECT);
		/* An empty container is one too. */
		deep = nested(text, patterns[i], 512, "[]", &last);
		assert_false(validate_exact(deep, &value, NULL));
		deep = nested(text, patterns[i], 512, "{}", &last);
		assert_false(validate_exact(deep, &value, NULL));
		/* What has ended does not count. */
		deep = nested(text, patterns[i], 511, "[],[]", &last);
		if (patterns[i][510 % strlen(patterns[i])] == 'a')
			assert_accepted(deep, &value);
	}
}

/* Far more levels than are remembered. */
static void
test_endless_depth(void **state)
{
	struct hb_json_value value;
	struct hb_error err;
	char *text = hb_xmalloc(1000000);

	(void)state;
	memset(text, '[', 1000000);
	assert_false(
	    hb_json_validate(hb_span_make(text, 1000000), &value, &err));
	assert_string_equal(
	    err.text, "byte 512: nested deeper than 512 levels");
	free(text);
}

/* At every level it is known what is open there. */
static void
test_wrong_brackets(void **state)
{
	static char text[8192];
	size_t last;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(patterns); i++) {
		struct hb_span deep =
		    nested(text, patterns[i], 300, "0", &last);

		for (size_t at = deep.len - 300; at < deep.len; at++) {
			char was = text[at];

			text[at] = was == ']' ? '}' : ']';
			assert_refused(deep, at,
			    was == ']' ? "',' or ']'" : "',' or '}'");
			text[at] = was;
		}
	}
}

/* --- truncation ----------------------------------------------------------- */

static const struct hb_span complex_text = HB_SPAN(
    " {\"\" : \"\", \"\\u0061\\\"\":[1,-2.5E+3,true,false,null,[],{} ],\n"
    "\t\"Zo\xc3\xab\": {\"deep\":{\"er\":[[[\"\\ud83d\\ude00\"]]]} },"
    "\"text\":\"plain text longer than sixteen bytes, then \xf0\x9f\x93\x84 "
    "\xe2\x80\xa8 \\\\\\/\\b\\f\\n\\r\\t\" ,\r\n"
    "\"n\":12345678901234567890123456789012345678901234567890e0}");

static void
test_every_truncation_is_refused(void **state)
{
	struct hb_span whole = complex_text;
	struct hb_json_value value;

	(void)state;
	assert_accepted(whole, &value);
	for (size_t len = 0; len < whole.len; len++) {
		struct hb_error err;
		size_t at;

		assert_false(validate_exact(
		    hb_span_make(whole.ptr, len), &value, &err));
		assert_int_equal(sscanf(err.text, "byte %zu: ", &at), 1);
		assert_true(at <= len);
	}
}

/* --- members -------------------------------------------------------------- */

static const struct hb_span members_text =
    HB_SPAN(" { \"a\" : 1 , \"b\\u0041\"\t:[ {\"x\":{\"y\":[]}},\"]}\\\"\" ] "
	    ",\"\":\"\","
	    "\"a\":{\"c\" : null , \"d\":{ } } \r\n,\"t\" :true,\"n\":-5,"
	    "\"\\\\\":\"{\\\\\" , \"a\":false} ");

static const struct {
	struct hb_span name;
	bool escaped;
	enum hb_json_kind kind;
	struct hb_span text, whole;
} members[] = {
    {HB_SPAN("a"), false, HB_JSON_NUMBER, HB_SPAN("1"), HB_SPAN("\"a\" : 1")},
    {HB_SPAN("b\\u0041"), true, HB_JSON_ARRAY,
	HB_SPAN("[ {\"x\":{\"y\":[]}},\"]}\\\"\" ]"),
	HB_SPAN("\"b\\u0041\"\t:[ {\"x\":{\"y\":[]}},\"]}\\\"\" ]")},
    {HB_SPAN(""), false, HB_JSON_STRING, HB_SPAN("\"\""),
	HB_SPAN("\"\":\"\"")},
    {HB_SPAN("a"), false, HB_JSON_OBJECT,
	HB_SPAN("{\"c\" : null , \"d\":{ } }"),
	HB_SPAN("\"a\":{\"c\" : null , \"d\":{ } }")},
    {HB_SPAN("t"), false, HB_JSON_BOOL, HB_SPAN("true"),
	HB_SPAN("\"t\" :true")},
    {HB_SPAN("n"), false, HB_JSON_NUMBER, HB_SPAN("-5"),
	HB_SPAN("\"n\":-5")},
    {HB_SPAN("\\\\"), true, HB_JSON_STRING, HB_SPAN("\"{\\\\\""),
	HB_SPAN("\"\\\\\":\"{\\\\\"")},
    {HB_SPAN("a"), false, HB_JSON_BOOL, HB_SPAN("false"),
	HB_SPAN("\"a\":false")},
};

static void
assert_member(const struct hb_json_member *member, size_t i)
{
	assert_true(i < HB_COUNT(members));
	assert_span(member->name, members[i].name);
	assert_int_equal(member->escaped, members[i].escaped);
	assert_int_equal(member->value.kind, members[i].kind);
	assert_span(member->value.text, members[i].text);
	assert_span(member->whole, members[i].whole);
}

struct visits {
	size_t count, stop_at;
};

static bool
on_member(void *arg, const struct hb_json_member *member, struct hb_error *err)
{
	struct visits *visits = arg;

	assert_member(member, visits->count++);
	if (visits->count == visits->stop_at)
		return hb_fail_reason(err, HB_E_DEAD, "enough", "that will do");
	return true;
}

static void
test_scan_visits(void **state)
{
	struct visits visits = {0};
	struct hb_json_value value;
	char *text = exact_copy(members_text);
	struct hb_error err;

	(void)state;
	assert_true(hb_json_scan(hb_span_make(text, members_text.len),
	    on_member, &visits, &value, NULL));
	assert_int_equal(visits.count, HB_COUNT(members));
	assert_int_equal(value.kind, HB_JSON_OBJECT);
	assert_int_equal(value.text.len, members_text.len - 2);
	assert_ptr_equal(value.text.ptr, text + 1);
	for (size_t stop = 1; stop <= HB_COUNT(members); stop++) {
		visits = (struct visits){.stop_at = stop};
		assert_false(hb_json_scan(hb_span_make(text, members_text.len),
		    on_member, &visits, &value, &err));
		assert_int_equal(visits.count, stop);
		assert_int_equal(err.code, HB_E_DEAD);
		assert_string_equal(err.reason, "enough");
	}
	free(text);
}

/* Members are visited as they are met: each once its value has ended. (Here
 * no number is a number still when cut.) */
static void
test_scan_visits_before_a_fault(void **state)
{
	struct hb_json_value value;

	(void)state;
	for (size_t len = 0; len < members_text.len - 1; len++) {
		struct hb_span cut = hb_span_make(members_text.ptr, len);
		struct visits visits = {0};
		size_t want = 0, end = 0;
		char *text = exact_copy(cut);

		assert_false(hb_json_scan(hb_span_make(text, len), on_member,
		    &visits, &value, NULL));
		for (size_t i = 0; i < HB_COUNT(members); i++) {
			const char *at = memmem(members_text.ptr + end,
			    members_text.len - end, members[i].whole.ptr,
			    members[i].whole.len);

			end = (size_t)(at - members_text.ptr) +
			      members[i].whole.len;
			want += len >= end;
		}
		if (visits.count != want)
			fail_msg("%zu bytes: %zu visits, want %zu", len,
			    visits.count, want);
		free(text);
	}
}

static bool
on_no_member(void *arg, const struct hb_json_member *member,
    struct hb_error *err)
{
	(void)arg;
	(void)err;
	fail_msg("visited %.*s", HB_SPAN_ARG(member->whole));
	return true;
}

static void
test_only_objects_have_members(void **state)
{
	static const struct hb_span texts[] = {HB_SPAN("[{\"a\":1},{\"b\":2}]"),
	    HB_SPAN("\"{\\\"a\\\":1}\""), HB_SPAN("1"), HB_SPAN("null"),
	    HB_SPAN("{}"), HB_SPAN(" { } ")};
	struct hb_json_member member;
	struct hb_json_iter it;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(texts); i++) {
		struct hb_json_value value;

		assert_true(hb_json_scan(
		    texts[i], on_no_member, NULL, &value, NULL));
		hb_json_iter_init(&it, value.text);
		assert_false(hb_json_iter_next(&it, &member));
		assert_false(hb_json_iter_next(&it, &member));
	}
	hb_json_iter_init(&it, HB_SPAN_NONE);
	assert_false(hb_json_iter_next(&it, &member));
	hb_json_iter_init(&it, HB_SPAN(""));
	assert_false(hb_json_iter_next(&it, &member));
}

static void
test_iter(void **state)
{
	struct hb_span object = hb_span_make(
	    members_text.ptr + 1, members_text.len - 2);
	char *text = exact_copy(object);
	struct hb_json_member member;
	struct hb_json_iter it;
	size_t count = 0;

	(void)state;
	hb_json_iter_init(&it, hb_span_make(text, object.len));
	while (hb_json_iter_next(&it, &member))
		assert_member(&member, count++);
	assert_int_equal(count, HB_COUNT(members));
	assert_ptr_equal(it.pos, text + object.len);
	assert_false(hb_json_iter_next(&it, &member));
	free(text);
}

/* Into the objects on the way and out again, with one iterator. */
static void
test_iter_enters(void **state)
{
	static const struct hb_span text =
	    HB_SPAN("{\"a\":{\"b\":{},\"c\":{\"d\":[{\"x\":1}]}},\"e\":2}");
	static const char order[] = "abcde";
	struct hb_json_member member;
	struct hb_json_iter it;
	size_t depth = 1, seen = 0;

	(void)state;
	hb_json_iter_init(&it, text);
	while (depth > 0) {
		if (!hb_json_iter_name(&it, &member)) {
			depth--;
			assert_int_equal(it.pos[-1], '}');
			continue;
		}
		assert_int_equal(member.name.ptr[0], order[seen++]);
		assert_ptr_equal(it.pos, member.value.text.ptr);
		if (member.value.kind == HB_JSON_OBJECT) {
			it.pos++;
			depth++;
		} else {
			hb_json_iter_value(&it, &member);
			assert_ptr_equal(it.pos,
			    member.value.text.ptr + member.value.text.len);
		}
	}
	assert_int_equal(seen, 5);
	assert_ptr_equal(it.pos, text.ptr + text.len);
}

/* A member can be cut out where it stands, with one of its commas. */
static void
test_whole_can_be_cut(void **state)
{
	static const struct hb_span text =
	    HB_SPAN("{ \"a\":1 ,\t\"b\" : [ {\"a\":0} ,2]\n, \"c,\" :\"}\\\","
		    "\",\"d\":{ \"e\" : {} } , \"f\":false }");
	static const char *const names[] = {"a", "b", "c,", "d", "f"};
	struct hb_json_member member;
	struct hb_json_iter it;
	size_t count = 0;

	(void)state;
	hb_json_iter_init(&it, text);
	for (; hb_json_iter_next(&it, &member); count++) {
		char cut[256];
		size_t from = (size_t)(member.whole.ptr - text.ptr);
		size_t to = from + member.whole.len;
		json_t *got, *want;

		if (count > 0) /* back over the comma, else on over it */
			while (text.ptr[from] != ',')
				from--;
		else
			to = (size_t)((const char *)memchr(text.ptr + to, ',',
					  text.len - to) -
				 text.ptr) +
			     1;
		memcpy(cut, text.ptr, from);
		memcpy(cut + from, text.ptr + to, text.len - to);
		got = json_loadb(cut, from + text.len - to, 0, NULL);
		want = json_loadb(text.ptr, text.len, 0, NULL);
		assert_int_equal(json_object_del(want, names[count]), 0);
		assert_true(json_equal(got, want));
		json_decref(got);
		json_decref(want);
	}
	assert_int_equal(count, HB_COUNT(names));
}

/* --- names and texts ------------------------------------------------------ */

static struct hb_json_member
member_called(char *text, size_t size, struct hb_span name)
{
	struct hb_json_member member;
	struct hb_json_value value;
	struct hb_json_iter it;

	assert_accepted(
	    joined(text, size, "{\"", name, "\":0}"), &value);
	hb_json_iter_init(&it, value.text);
	assert_true(hb_json_iter_next(&it, &member));
	return member;
}

static void
test_name_is(void **state)
{
	static const struct {
		struct hb_span written, name;
		bool same;
	} cases[] = {
	    {HB_SPAN("a"), HB_SPAN("a"), true},
	    {HB_SPAN("\\u0061"), HB_SPAN("a"), true},
	    {HB_SPAN("\\u0061\\u0062"), HB_SPAN("ab"), true},
	    {HB_SPAN("job\\u005Fid"), HB_SPAN("job_id"), true},
	    {HB_SPAN("job\\u005fid"), HB_SPAN("job_id"), true},
	    {HB_SPAN("\\u0061"), HB_SPAN("\\u0061"), false},
	    {HB_SPAN("\\u0061"), HB_SPAN("ab"), false},
	    {HB_SPAN("\\u0061b"), HB_SPAN("a"), false},
	    {HB_SPAN("\\u0061"), HB_SPAN(""), false},
	    {HB_SPAN("a"), HB_SPAN("A"), false},
	    {HB_SPAN("ab"), HB_SPAN("a"), false},
	    {HB_SPAN("a"), HB_SPAN("ab"), false},
	    {HB_SPAN(""), HB_SPAN(""), true},
	    {HB_SPAN(""), HB_SPAN_NONE, true},
	    {HB_SPAN("\\n"), HB_SPAN_NONE, false},
	    {HB_SPAN("\\\""), HB_SPAN("\""), true},
	    {HB_SPAN("\\\\"), HB_SPAN("\\"), true},
	    {HB_SPAN("\\\\u0061"), HB_SPAN("\\u0061"), true},
	    {HB_SPAN("\\/"), HB_SPAN("/"), true},
	    {HB_SPAN("\\b\\f\\n\\r\\t"), HB_SPAN("\b\f\n\r\t"), true},
	    {HB_SPAN("Zo\xc3\xab"), HB_SPAN("Zo\xc3\xab"), true},
	    {HB_SPAN("Zo\\u00eB"), HB_SPAN("Zo\xc3\xab"), true},
	    {HB_SPAN("Zoe\xcc\x88"), HB_SPAN("Zo\xc3\xab"), false},
	    {HB_SPAN("\\uD83D\\uDE00"), HB_SPAN("\xf0\x9f\x98\x80"), true},
	    {HB_SPAN("\\u0000"), HB_SPAN(""), false},
	    {HB_SPAN("\\u0000"), HB_SPAN("\0"), false}, /* not our text */
	    {HB_SPAN("a\\u0000"), HB_SPAN("a"), false},
	    {HB_SPAN("\\ud800"), HB_SPAN("\xed\xa0\x80"), false},
	    {HB_SPAN("\\ud800"), HB_SPAN("\xef\xbf\xbd"), false},
	    {HB_SPAN("\\udc00"), HB_SPAN("\xef\xbf\xbd"), false},
	    {HB_SPAN("\\ud83d\\u0041"), HB_SPAN("A"), false},
	    {HB_SPAN("\\ud83dA"), HB_SPAN("A"), false},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_json_member member =
		    member_called(text, sizeof(text), cases[i].written);

		assert_span(member.name, cases[i].written);
		if (hb_json_name_is(&member, cases[i].name) != cases[i].same)
			fail_msg("\"%.*s\", \"%.*s\"",
			    HB_SPAN_ARG(cases[i].written),
			    HB_SPAN_ARG(cases[i].name));
	}
}

static void
test_decode(void **state)
{
	static const struct {
		struct hb_span string, text;
	} cases[] = {
	    {HB_SPAN("\"\""), HB_SPAN("")},
	    {HB_SPAN("\"plain \xe2\x82\xac\""), HB_SPAN("plain \xe2\x82\xac")},
	    {HB_SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
		HB_SPAN("\"\\/\b\f\n\r\t")},
	    {HB_SPAN("\"\\\\u0041\""), HB_SPAN("\\u0041")},
	    {HB_SPAN("\"\\u0001\\u007f\""), HB_SPAN("\x01\x7f")},
	    {HB_SPAN("\"\\u0080\\u07ff\""), HB_SPAN("\xc2\x80\xdf\xbf")},
	    {HB_SPAN("\"\\u0800\\ud7ff\""),
		HB_SPAN("\xe0\xa0\x80\xed\x9f\xbf")},
	    {HB_SPAN("\"\\ue000\\uffff\""),
		HB_SPAN("\xee\x80\x80\xef\xbf\xbf")},
	    {HB_SPAN("\"\\ud800\\udc00\""), HB_SPAN("\xf0\x90\x80\x80")},
	    {HB_SPAN("\"\\uDBFF\\uDFFF\""), HB_SPAN("\xf4\x8f\xbf\xbf")},
	    {HB_SPAN("\"a\\u00e9b\\ncccccccccccccccccccccccccc\""),
		HB_SPAN("a\xc3\xa9"
			"b\ncccccccccccccccccccccccccc")},
	    {HB_SPAN("\"\\u0000\""), HB_SPAN_NONE},
	    {HB_SPAN("\"a\\u0000b\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\udbff\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\udc00\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\udfff\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800x\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800xxxxxx\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\n\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\nxxxx\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\u0041\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\udbff\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\ue000\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\ud800\\ud800\\udc00\""), HB_SPAN_NONE},
	    {HB_SPAN("\"\\udc00\\ud800\""), HB_SPAN_NONE},
	    {HB_SPAN("\"good until here: \\ud83d\""), HB_SPAN_NONE},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_arena *arena = hb_arena_new(0);
		char *copy = exact_copy(cases[i].string);
		struct hb_json_value value;
		struct hb_span text;

		assert_accepted(cases[i].string, &value);
		text = hb_json_decode(
		    hb_span_make(copy, cases[i].string.len), arena);
		assert_span(text, cases[i].text);
		/* Without escapes nothing is copied. */
		if (memchr(copy, '\\', cases[i].string.len) == NULL)
			assert_ptr_equal(text.ptr, copy + 1);
		free(copy);
		hb_arena_free(arena);
	}
}

static void
test_quote(void **state)
{
	static const struct {
		struct hb_span text, quoted;
	} cases[] = {
	    {HB_SPAN_NONE, HB_SPAN("\"\"")},
	    {HB_SPAN(""), HB_SPAN("\"\"")},
	    {HB_SPAN("plain"), HB_SPAN("\"plain\"")},
	    {HB_SPAN("a\"b\\c/d"), HB_SPAN("\"a\\\"b\\\\c/d\"")},
	    {HB_SPAN("\b\f\n\r\t"), HB_SPAN("\"\\b\\f\\n\\r\\t\"")},
	    {HB_SPAN("\0\x01\v\x1f"),
		HB_SPAN("\"\\u0000\\u0001\\u000b\\u001f\"")},
	    {HB_SPAN("\x7f"), HB_SPAN("\"\x7f\"")},
	    {HB_SPAN("\xc2\x80\xe2\x80\xa8\xf4\x8f\xbf\xbf"),
		HB_SPAN("\"\xc2\x80\xe2\x80\xa8\xf4\x8f\xbf\xbf\"")},
	    {HB_SPAN("0123456789abcdef\"0123456789abcdef\n"),
		HB_SPAN("\"0123456789abcdef\\\"0123456789abcdef\\n\"")},
	    /* What is not UTF-8, byte for byte. */
	    {HB_SPAN("a\xff"), HB_SPAN("\"a\xef\xbf\xbd\"")},
	    {HB_SPAN("\xc3"), HB_SPAN("\"\xef\xbf\xbd\"")},
	    {HB_SPAN("\xc3\"x"), HB_SPAN("\"\xef\xbf\xbd\\\"x\"")},
	    {HB_SPAN("\xc0\xaf"), HB_SPAN("\"\xef\xbf\xbd\xef\xbf\xbd\"")},
	    {HB_SPAN("\xed\xa0\x80"),
		HB_SPAN("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
	    {HB_SPAN("\xf0\x9f\x98"),
		HB_SPAN("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"")},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_json_value value;
		char *copy = exact_copy(cases[i].text);
		char *out = hb_xmalloc(6 * cases[i].text.len + 2);
		size_t len = hb_json_quote(
		    hb_span_is_set(cases[i].text)
			? hb_span_make(copy, cases[i].text.len)
			: HB_SPAN_NONE,
		    out);

		assert_span(hb_span_make(out, len), cases[i].quoted);
		assert_accepted(hb_span_make(out, len), &value);
		free(copy);
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_refused_in_long_strings),
	    cmocka_unit_test(test_control_characters),
	    cmocka_unit_test(test_all_short_texts),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_endless_depth),
	    cmocka_unit_test(test_wrong_brackets),
	    cmocka_unit_test(test_every_truncation_is_refused),
	    cmocka_unit_test(test_scan_visits),
	    cmocka_unit_test(test_scan_visits_before_a_fault),
	    cmocka_unit_test(test_only_objects_have_members),
	    cmocka_unit_test(test_iter),
	    cmocka_unit_test(test_iter_enters),
	    cmocka_unit_test(test_whole_can_be_cut),
	    cmocka_unit_test(test_name_is),
	    cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
