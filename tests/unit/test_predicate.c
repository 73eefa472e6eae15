/* SPDX-License-Identifier: Apache-2.0 */
/* test_predicate.c - decimals, globs, rows of `when` */
#include "../../src/route/predicate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

/* --- decimals ------------------------------------------------------------- */

#define NINES_15 "999999999999999"
#define ZEROS_20 "00000000000000000000"

/* Each line is larger than the one before; "=" joins spellings of one value. */
static const char *const ascending[] = {
    "-1e" NINES_15 NINES_15 "9",
    "-1e" NINES_15 NINES_15 "8",
    "-1e401",
    "-1e400",
    "-9007199254740993",
    "-9007199254740992 = -9.007199254740992e15 = -9007199254740992.000",
    "-10 = -1e1 = -1E+1 = -0.1e2 = -100e-1 = -10.0",
    "-9.9",
    "-1 = -1.0 = -1e0 = -1e-0 = -0.001e3",
    "-1e-400",
    "-1e-401",
    "-1e-" NINES_15 NINES_15,
    "0 = -0 = 0.0 = -0.000 = 0e5 = 0e" NINES_15 NINES_15 " = 0.0e-7",
    "1e-" NINES_15 NINES_15 "1",
    "1e-" NINES_15 NINES_15 " = 10e-1" ZEROS_20 "0000000000",
    "1e-400 = 0.1e-399 = 10e-401",
    "1e-10 = 0.0000000001 = 1e-0" ZEROS_20 "10",
    "0.1 = 1e-1 = 0.10 = 0.1" ZEROS_20,
    "0.1" ZEROS_20 "1",
    "1 = 1.0 = 1e0 = 1E+00 = 0.1e1 = 10e-1",
    "1"
    "." ZEROS_20 "1",
    "1.5 = 15e-1 = 0.15e1 = 1.50",
    "2",
    "9.99",
    "10 = 1e1 = 0.00001e6",
    "100.5 = 1005e-1 = 1.005e2",
    "9007199254740992",
    "9007199254740993 = 9007199254740993.0 = 0.9007199254740993e16",
    "18446744073709551615",
    "18446744073709551616",
    "1" ZEROS_20 " = 1e20",
    "1" ZEROS_20 "." ZEROS_20 "1",
    "1" ZEROS_20 "1",
    "1e400 = 10e399 = 0.001e403",
    "1.1e400",
    "1e9999999999999999",
    "1e10000000000000000",
    "1e99999999999999999999",
    "1e100000000000000000000 = 1000e99999999999999999997 = "
    "0.001e100000000000000000003",
    "1e" NINES_15 NINES_15,
};

/* The next spelling of a line, which is stepped over it. */
static bool
next_spelling(const char **line, struct hb_span *number)
{
	size_t len = strcspn(*line, " ");

	if (len == 0)
		return false;
	*number = hb_span_make(*line, len);
	*line += len;
	*line += strspn(*line, " =");
	return true;
}

static void
check_order(const char *left, const char *right, int want)
{
	struct hb_span a, b;

	while (next_spelling(&left, &a)) {
		const char *again = right;

		while (next_spelling(&again, &b)) {
			int order = 99;

			if (!hb_decimal_compare(a, b, &order) || order != want)
				fail_msg("%.*s against %.*s: %d, want %d",
				    HB_SPAN_ARG(a), HB_SPAN_ARG(b), order,
				    want);
		}
	}
}

static void
test_decimals(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(ascending); i++)
		for (size_t j = 0; j < HB_COUNT(ascending); j++)
			check_order(
			    ascending[i], ascending[j], (i > j) - (i < j));
}

static const char *const not_decimals[] = {
    "",
    "-",
    "+1",
    "01",
    "-01",
    "00",
    ".5",
    "5.",
    "1.e5",
    "1e",
    "1e+",
    "1e-",
    "1e5.0",
    "1e5e5",
    "0x10",
    "1 ",
    " 1",
    "1,5",
    "1_000",
    "NaN",
    "Infinity",
    "true",
    "--1",
    "1-",
    "1e 5",
    "e5",
    "-.5",
    "1.2.3",
};

static void
test_not_decimals(void **state)
{
	int order;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(not_decimals); i++) {
		struct hb_span s = hb_span_of(not_decimals[i]);

		if (hb_decimal_compare(s, HB_SPAN("1"), &order) ||
		    hb_decimal_compare(HB_SPAN("1"), s, &order))
			fail_msg("\"%s\" passes for a number", not_decimals[i]);
	}
	/* A span ends where it ends. */
	assert_true(hb_decimal_compare(
	    hb_span_make("12x", 2), hb_span_make("1234", 2), &order));
	assert_int_equal(order, 0);
}

/* --- globs ---------------------------------------------------------------- */

static const struct {
	const char *pattern, *text;
	bool matches;
} globs[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything", true},
    {"**", "", true},
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"?", "\xc3\xa4", false}, /* bytes, not characters */
    {"??", "\xc3\xa4", true},
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"abc", "ab", false},
    {"abc", "ABC", false},
    {"inv*", "invoice", true},
    {"inv*", "inv", true},
    {"inv*", "in", false},
    {"*ice", "invoice", true},
    {"*ice", "iceice", true},
    {"*ice", "icex", false},
    {"a*c", "abcabc", true},
    {"a*c", "ac", true},
    {"a*c", "acb", false},
    {"a*b*c", "a-b-b-c", true},
    {"a*b*c", "a-c-b", false},
    {"*a*b", "xaxb", true},
    {"*ab?d*", "ababcd!", true},
    {"a?c", "abc", true},
    {"a?*", "a", false},
    {"a*?", "ab", true},
    {"*?*?*", "a", false},
    {"*?*?*", "ab", true},
    {"[a]", "a", false}, /* only * and ? mean anything */
    {"[a]", "[a]", true},
    {"\\*", "\\x", true},
    {"a.c", "abc", false},
};

static void
test_globs(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(globs); i++)
		if (hb_glob_match(globs[i].pattern,
			hb_span_of(globs[i].text)) != globs[i].matches)
			fail_msg("%s on %s", globs[i].pattern, globs[i].text);
}

/* A matcher that tries every split would not come back from this. */
static void
test_glob_hostile(void **state)
{
	char text[4096];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_false(hb_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	    hb_span_make(text, sizeof(text))));
	text[sizeof(text) - 1] = 'b';
	assert_true(hb_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	    hb_span_make(text, sizeof(text))));
}

/* --- rows ----------------------------------------------------------------- */

static const struct {
	enum hb_predicate_op op;
	const char *values[3];
	const char *value; /* NULL: no scalar */
	bool present;
	bool holds, holds_negated;
} rows[] = {
    {HB_P_ANY_OF, {"a"}, "a", true, true, false},
    {HB_P_ANY_OF, {"a", "b"}, "b", true, true, false},
    {HB_P_ANY_OF, {"a", "b"}, "c", true, false, true},
    {HB_P_ANY_OF, {"a"}, "A", true, false, true},
    {HB_P_ANY_OF, {"a"}, "ab", true, false, true},
    {HB_P_ANY_OF, {""}, "", true, true, false},
    {HB_P_ANY_OF, {"a"}, "", true, false, true},
    {HB_P_ANY_OF, {"1.5"}, "1.50", true, false, true}, /* as written */
    {HB_P_ANY_OF, {"true"}, "true", true, true, false},
    {HB_P_ANY_OF, {"a"}, NULL, false, false, false},
    {HB_P_ANY_OF, {"a"}, NULL, true, false, false}, /* an object */
    {HB_P_PREFIX, {"inv"}, "invoice", true, true, false},
    {HB_P_PREFIX, {"inv"}, "inv", true, true, false},
    {HB_P_PREFIX, {"inv"}, "in", true, false, true},
    {HB_P_PREFIX, {"x", "inv"}, "invoice", true, true, false},
    {HB_P_PREFIX, {"inv"}, NULL, true, false, false},
    {HB_P_GLOB, {"*ice"}, "invoice", true, true, false},
    {HB_P_GLOB, {"x", "*ice"}, "invoice", true, true, false},
    {HB_P_GLOB, {"*ice"}, "invoices", true, false, true},
    {HB_P_GLOB, {"*"}, NULL, false, false, false},
    {HB_P_EXISTS, {NULL}, "a", true, true, false},
    {HB_P_EXISTS, {NULL}, "", true, true, false},
    {HB_P_EXISTS, {NULL}, NULL, true, true, false}, /* an object */
    {HB_P_EXISTS, {NULL}, NULL, false, false, true},
    {HB_P_ABSENT, {NULL}, "a", true, false, true},
    {HB_P_ABSENT, {NULL}, NULL, true, false, true},
    {HB_P_ABSENT, {NULL}, NULL, false, true, false},
    {HB_P_GT, {"10"}, "10.0", true, false, true},
    {HB_P_GT, {"10"}, "10.1", true, true, false},
    {HB_P_GT, {"9007199254740992"}, "9007199254740993", true, true, false},
    {HB_P_GE, {"10"}, "1e1", true, true, false},
    {HB_P_GE, {"10"}, "9", true, false, true},
    {HB_P_LT, {"10"}, "9", true, true, false},
    {HB_P_LT, {"10"}, "10", true, false, true},
    {HB_P_LT, {"10"}, "-1e400", true, true, false},
    {HB_P_LE, {"10"}, "10", true, true, false},
    {HB_P_LE, {"10"}, "11", true, false, true},
    {HB_P_GT, {"10"}, "many", true, false, false}, /* not a number */
    {HB_P_LE, {"10"}, "", true, false, false},
    {HB_P_LE, {"10"}, "true", true, false, false},
    {HB_P_LT, {"10"}, NULL, false, false, false},
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(rows); i++) {
		const char *values[3];
		struct hb_predicate_conf row = {
		    .op = rows[i].op, .values = {values, 0}};
		struct hb_span value = hb_span_of(rows[i].value);

		while (row.values.count < 3 &&
		       rows[i].values[row.values.count] != NULL) {
			values[row.values.count] =
			    rows[i].values[row.values.count];
			row.values.count++;
		}
		if (hb_predicate_holds(&row, value, rows[i].present) !=
		    rows[i].holds)
			fail_msg("row %zu", i);
		row.negate = true;
		if (hb_predicate_holds(&row, value, rows[i].present) !=
		    rows[i].holds_negated)
			fail_msg("row %zu, negated", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decimals),
	    cmocka_unit_test(test_not_decimals),
	    cmocka_unit_test(test_globs),
	    cmocka_unit_test(test_glob_hostile),
	    cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
