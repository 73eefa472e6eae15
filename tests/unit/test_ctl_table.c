/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_table.c - tables on 80 columns, sizes, ages and times */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "../../src/ctl/table.h"
#include "../../src/ctl/units.h"
#include "hookbridge/mem.h"

/* --- tables --------------------------------------------------------------- */

static const struct hb_table_column columns[] = {
	{ "NUMBER", true, false },
	{ "NAME", false, true },
	{ "NOTE", false, false },
	{ NULL, false, false },
};

/* What a print writes; for free(). */
static char *
print(struct hb_table *table)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	hb_table_print(table, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void
put_row(struct hb_table *table, const char *a, const char *b, const char *c)
{
	hb_table_put(table, hb_span_of(a));
	hb_table_put(table, hb_span_of(b));
	hb_table_put(table, hb_span_of(c));
}

static void
columns_are_aligned(void **state)
{
	struct hb_table *table = hb_table_new(columns);
	char *text;

	(void)state;
	put_row(table, "1", "a", "x");
	put_row(table, "12345678", "", NULL);
	/* As wide as it looks, and no terminal obeys it. */
	put_row(table, "2", "\xc3\xa4\xc3\xb6", "\x1b[31m");
	put_row(table, "3", "four", "");
	text = print(table);
	assert_string_equal(text,
	    "  NUMBER  NAME  NOTE\n"
	    "       1  a     x\n"
	    "12345678        -\n"
	    "       2  \xc3\xa4\xc3\xb6    \\u001b[31m\n"
	    "       3  four\n");
	free(text);
	hb_table_free(table);
}

static void
a_line_has_80_columns(void **state)
{
	static const char dots[] = "...  note\n";
	struct hb_table *table = hb_table_new(columns);
	char name[200], *text, *end;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	put_row(table, "1", name, "note");
	text = print(table);
	end = strchr(text, '\n') + 1;
	assert_int_equal(strlen(end), 81);
	assert_string_equal(end + 81 - strlen(dots), dots);
	free(text);
	/* What is cut is a whole character. */
	for (size_t i = 0; i + 1 < sizeof(name) - 1; i += 2)
		memcpy(name + i, "\xc3\xa4", 2);
	put_row(table, "1", name, "note");
	text = print(table);
	assert_int_equal(strlen(text), 81 + 80 - 6 - 2 - 2 - 4 - 3);
	assert_non_null(strstr(text, "\xc3\xa4...  note\n"));
	free(text);
	hb_table_free(table);
}

/* The second page has the widths of the first, and no titles. */
static void
pages_are_one_table(void **state)
{
	struct hb_table *table = hb_table_new(columns);
	char *text;

	(void)state;
	put_row(table, "1", "abc", "x");
	free(print(table));
	put_row(table, "2", "a much longer name", "x");
	text = print(table);
	assert_string_equal(text, "     2  a...  x\n");
	free(text);
	hb_table_free(table);
}

/* The last column may be longer on later pages, if there is room. */
static void
the_last_column_has_the_rest(void **state)
{
	static const struct hb_table_column two[] = {
		{ "A", false, false },
		{ "B", false, true },
		{ NULL, false, false },
	};
	struct hb_table *table = hb_table_new(two);
	char *text;

	(void)state;
	hb_table_printf(table, "%d", 1);
	hb_table_printf(table, "%s", "short");
	free(print(table));
	hb_table_printf(table, "%d", 2);
	hb_table_printf(table, "%s", "longer than the first");
	text = print(table);
	assert_string_equal(text, "2  longer than the first\n");
	free(text);
	hb_table_free(table);
}

/* --- units ---------------------------------------------------------------- */

static const struct {
	uint64_t bytes;
	const char *text;
} sizes[] = {
	{ 0, "0 B" },
	{ 1023, "1023 B" },
	{ 1024, "1.0 KiB" },
	{ 1536, "1.5 KiB" },
	{ 1048524, "1023.9 KiB" },
	{ 1048530, "1.0 MiB" },
	{ UINT64_C(64) << 20, "64.0 MiB" },
	{ UINT64_C(10) << 30, "10.0 GiB" },
	{ UINT64_MAX, "16777216.0 TiB" },
};

static void
sizes_have_units(void **state)
{
	char text[HB_UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(sizes); i++)
		assert_string_equal(hb_units_bytes(sizes[i].bytes, text),
		    sizes[i].text);
}

static const struct {
	int64_t ms;
	const char *text;
} spans[] = {
	{ -5, "0 ms" },
	{ 999, "999 ms" },
	{ 1000, "1 s" },
	{ 59999, "59 s" },
	{ 60000, "1 m" },
	{ 3599999, "59 m" },
	{ 3600000, "1 h 0 m" },
	{ 86399999, "23 h 59 m" },
	{ 86400000, "1 d 0 h" },
	{ INT64_C(400) * 86400000 + 7200000, "400 d 2 h" },
};

static void
ages_have_two_units(void **state)
{
	char text[HB_UNITS_SIZE];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(spans); i++)
		assert_string_equal(hb_units_span(spans[i].ms, text),
		    spans[i].text);
	assert_string_equal(hb_units_ago(0, 5000, text), "-");
	assert_string_equal(hb_units_ago(4500, 5000, text), "now");
	assert_string_equal(hb_units_ago(6000, 5000, text), "now");
	assert_string_equal(hb_units_ago(1000, 5000, text), "4 s ago");
}

static const struct {
	const char *text;
	int64_t ms; /* -1: none */
} times[] = {
	{ "0", 0 },
	{ "1767225600", INT64_C(1767225600000) },
	{ "2026-01-01T00:00:00Z", INT64_C(1767225600000) },
	{ "2026-01-01T00:00:00.500Z", INT64_C(1767225600500) },
	{ "2026-02-30T00:00:00Z", -1 },
	{ "2026-01-01", -1 },
	{ "2026-01-01T00:00:00", -1 },
	{ "2026-01-01T00:00:00.5Z", -1 },
	{ "1234567890123", -1 },
	{ "-5", -1 },
	{ "yesterday", -1 },
	{ "", -1 },
};

static void
times_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(times); i++) {
		int64_t ms = -1;

		assert_int_equal(hb_units_read_time(times[i].text, &ms),
		    times[i].ms >= 0);
		if (times[i].ms >= 0)
			assert_int_equal(ms, times[i].ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(columns_are_aligned),
	    cmocka_unit_test(a_line_has_80_columns),
	    cmocka_unit_test(pages_are_one_table),
	    cmocka_unit_test(the_last_column_has_the_rest),
	    cmocka_unit_test(sizes_have_units),
	    cmocka_unit_test(ages_have_two_units),
	    cmocka_unit_test(times_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
