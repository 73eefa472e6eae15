/* SPDX-License-Identifier: Apache-2.0 */
/* test_le.c - numbers and their bytes, at odd addresses too */
#include "hookbridge/le.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "hookbridge/mem.h"

static const struct {
	uint64_t number;
	uint8_t bytes[8];
} cases[] = {
    {0, {0}},
    {1, {1}},
    {0x80, {0x80}},
    {0xff00, {0x00, 0xff}},
    {0x80000000, {0x00, 0x00, 0x00, 0x80}},
    {UINT64_C(0x0123456789abcdef),
	{0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01}},
    {UINT64_C(0xfedcba9876543210),
	{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe}},
    {UINT64_MAX, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
};

/* So many bytes are there, and the ones around them are as they were. */
static void
assert_bytes(const uint8_t *out, size_t at, size_t count, size_t i)
{
	assert_memory_equal(out + at, cases[i].bytes, count);
	assert_int_equal(out[at - 1], 0x5a);
	assert_int_equal(out[at + count], 0x5a);
}

static void
test_putting(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		for (size_t at = 1; at < 9; at++) {
			uint8_t out[3][18];

			memset(out, 0x5a, sizeof(out));
			hb_le_put16(out[0] + at, (uint16_t)cases[i].number);
			hb_le_put32(out[1] + at, (uint32_t)cases[i].number);
			hb_le_put64(out[2] + at, cases[i].number);
			assert_bytes(out[0], at, 2, i);
			assert_bytes(out[1], at, 4, i);
			assert_bytes(out[2], at, 8, i);
		}
}

static void
test_getting(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		for (size_t at = 0; at < 8; at++) {
			uint64_t number = cases[i].number;
			uint8_t in[16];

			memset(in, 0x5a, sizeof(in));
			memcpy(in + at, cases[i].bytes, 8);
			assert_true(hb_le_get16(in + at) == (uint16_t)number);
			assert_true(hb_le_get32(in + at) == (uint32_t)number);
			assert_true(hb_le_get64(in + at) == number);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_putting),
		cmocka_unit_test(test_getting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
