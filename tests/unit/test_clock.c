/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock.c - ISO time, and clocks that stand still */
#include "hookbridge/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static void
test_iso(void **state)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {1767225600500, "2026-01-01T00:00:00.500Z"},
	    {951782400007, "2000-02-29T00:00:00.007Z"},
	    {-1, "1969-12-31T23:59:59.999Z"},
	    {-1000, "1969-12-31T23:59:59.000Z"},
	    {-30610224000000, "1000-01-01T00:00:00.000Z"},
	    {-30610224000001, "999-12-31T23:59:59.999Z"},
	    {253402300799999, "9999-12-31T23:59:59.999Z"},
	    {253402300800000, "10000-01-01T00:00:00.000Z"},
	    {INT64_MAX, "292278994-08-17T07:12:55.807Z"},
	    {INT64_MIN, "-292275055-05-16T16:47:04.192Z"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char text[HB_TIME_ISO_SIZE];

		assert_int_equal(hb_clock_iso(cases[i].wall_ms, text),
		    strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

static void
test_running(void **state)
{
	int64_t before = (int64_t)time(NULL) * 1000;
	uint64_t us = hb_clock_mono_us(), ms = hb_clock_mono_ms();

	(void)state;
	assert_true(ms >= us / 1000);
	assert_true(hb_clock_mono_us() >= us);
	assert_true(hb_clock_wall_ms() >= before - 1000);
}

static void
test_frozen(void **state)
{
	(void)state;
	hb_clock_freeze(5000, -7);
	assert_int_equal(hb_clock_mono_ms(), 5000);
	assert_int_equal(hb_clock_mono_us(), 5000000);
	assert_true(hb_clock_wall_ms() == -7);
	hb_clock_freeze(5001, 8);
	assert_int_equal(hb_clock_mono_ms(), 5001);
	assert_int_equal(hb_clock_wall_ms(), 8);
	hb_clock_thaw();
	assert_true(hb_clock_wall_ms() > 1000000000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_iso),
	    cmocka_unit_test(test_running),
	    cmocka_unit_test(test_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
