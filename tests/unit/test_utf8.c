/* SPDX-License-Identifier: Apache-2.0 */
/* test_utf8.c - against the table of well-formed byte sequences (RFC 3629,
 * section 4; Unicode, table 3-7) and against every character there is */
#include "hookbridge/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

/* From the table, row by row. */
static const struct {
	unsigned char first[2], second[2];
	size_t len;
} rows[] = {
    {{0x00, 0x7f}, {0, 0}, 1},
    {{0xc2, 0xdf}, {0x80, 0xbf}, 2},
    {{0xe0, 0xe0}, {0xa0, 0xbf}, 3},
    {{0xe1, 0xec}, {0x80, 0xbf}, 3},
    {{0xed, 0xed}, {0x80, 0x9f}, 3},
    {{0xee, 0xef}, {0x80, 0xbf}, 3},
    {{0xf0, 0xf0}, {0x90, 0xbf}, 4},
    {{0xf1, 0xf3}, {0x80, 0xbf}, 4},
    {{0xf4, 0xf4}, {0x80, 0x8f}, 4},
};

static bool
is_between(unsigned char byte, const unsigned char range[2])
{
	return byte >= range[0] && byte <= range[1];
}

/* The length of the sequence at the front of p, or 0. */
static size_t
well_formed(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < HB_COUNT(rows); i++) {
		if (!is_between(p[0], rows[i].first))
			continue;
		if (len < rows[i].len)
			return 0;
		if (rows[i].len > 1 && !is_between(p[1], rows[i].second))
			return 0;
		for (size_t at = 2; at < rows[i].len; at++)
			if ((p[at] & 0xc0) != 0x80)
				return 0;
		return rows[i].len;
	}
	return 0;
}

/* The bytes in a block of exactly their size: nothing behind is read. */
static size_t
next_exact(const unsigned char *bytes, size_t len)
{
	char *copy = hb_xmalloc(len);
	size_t taken;
	uint32_t c;

	memcpy(copy, bytes, len);
	taken = hb_utf8_next(hb_span_make(copy, len), &c);
	free(copy);
	return taken;
}

static void
assert_as_in_table(const unsigned char *bytes, size_t len)
{
	if (next_exact(bytes, len) != well_formed(bytes, len))
		fail_msg("%zu bytes: %02x %02x %02x %02x", len, bytes[0],
		    bytes[1], bytes[2], bytes[3]);
}

/* All pairs of bytes, followed by what may matter, cut everywhere. */
static void
test_sequences(void **state)
{
	static const unsigned char rest[][2] = {{0x80, 0x80}, {0xbf, 0xbf},
	    {0x7f, 0x80}, {0xc0, 0x80}, {0x80, 0x7f}, {0xbf, 0xc0}, {0x41, 0}};

	(void)state;
	for (unsigned pair = 0; pair < 0x10000; pair++) {
		for (size_t i = 0; i < HB_COUNT(rest); i++) {
			const unsigned char bytes[] = {
			    (unsigned char)(pair >> 8), (unsigned char)pair,
			    rest[i][0], rest[i][1]};

			assert_as_in_table(bytes, 4);
			if (i > 1)
				continue;
			for (size_t len = 1; len < 4; len++)
				assert_as_in_table(bytes, len);
		}
	}
}

static size_t
encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static void
test_every_character(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x110400; c++) {
		bool exists = c < 0xd800 || (c >= 0xe000 && c <= 0x10ffff);
		char text[4];
		size_t len = encode(c, text), taken;
		uint32_t got = UINT32_MAX;

		taken = hb_utf8_next(hb_span_make(text, len), &got);
		if (exists ? taken != len || got != c : taken != 0)
			fail_msg("U+%04X: length %zu, U+%04X", c, taken, got);
	}
}

/* Only the first is read. */
static void
test_next(void **state)
{
	struct hb_span s = HB_SPAN("a\xc3\xa9\xf0\x9f\x93\x84\0\xff");
	static const uint32_t want[] = {'a', 0xe9, 0x1f4c4, 0};
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(want); i++) {
		size_t len = hb_utf8_next(s, &c);

		assert_true(len > 0);
		assert_int_equal(c, want[i]);
		s = hb_span_skip(s, len);
	}
	assert_int_equal(s.len, 1);
	assert_int_equal(hb_utf8_next(s, &c), 0);
}

static void
test_is_control(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x300; c++)
		assert_int_equal(hb_utf8_is_control(c),
		    c <= 0x1f || c == 0x7f || (c >= 0x80 && c <= 0x9f));
	assert_false(hb_utf8_is_control(0x2028)); /* Zl, not Cc */
	assert_false(hb_utf8_is_control(0xfeff)); /* Cf */
	assert_false(hb_utf8_is_control(0x10ffff));
}

static void
test_is_valid(void **state)
{
	static const struct {
		struct hb_span text;
		bool valid;
	} cases[] = {
	    {HB_SPAN_NONE, true},
	    {HB_SPAN(""), true},
	    {HB_SPAN("plain"), true},
	    {HB_SPAN("a\0b"), true},
	    {HB_SPAN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\x84"), true},
	    {HB_SPAN("\xef\xbb\xbf\xef\xbf\xbf"), true},
	    {HB_SPAN("ends early \xe2\x82"), false},
	    {HB_SPAN("\xe2\x82 in the middle"), false},
	    {HB_SPAN("caf\xe9"), false},
	    {HB_SPAN("\x80"), false},
	    {HB_SPAN("a\xc0\x80"), false},
	    {HB_SPAN("\xed\xa0\xbd\xed\xb8\x80"), false}, /* CESU-8 */
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		assert_int_equal(
		    hb_utf8_is_valid(cases[i].text), cases[i].valid);
}

static void
test_is_plain(void **state)
{
	static const struct {
		struct hb_span text;
		bool plain;
	} cases[] = {
	    {HB_SPAN_NONE, true},
	    {HB_SPAN(""), true},
	    {HB_SPAN("plain"), true},
	    {HB_SPAN("caf\xc3\xa9 \xf0\x9f\x93\x84"), true},
	    {HB_SPAN("\xe2\x80\xa8"), true}, /* U+2028 */
	    {HB_SPAN("a\0b"), false},
	    {HB_SPAN("\n"), false},
	    {HB_SPAN("ends with DEL\x7f"), false},
	    {HB_SPAN("C1 \xc2\x85"), false},
	    {HB_SPAN("caf\xe9"), false},
	    {HB_SPAN("ends early \xe2\x82"), false},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		assert_int_equal(
		    hb_utf8_is_plain(cases[i].text), cases[i].plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sequences),
	    cmocka_unit_test(test_every_character),
	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_is_control),
	    cmocka_unit_test(test_is_valid),
	    cmocka_unit_test(test_is_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
