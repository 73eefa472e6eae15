/* SPDX-License-Identifier: Apache-2.0 */
/* test_backoff.c - attempts become rare, and do not fall together */
#include "hookbridge/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static void
test_grows(void **state)
{
	static const struct {
		uint64_t min_ms, max_ms;
		unsigned failures;
		uint64_t most_ms;
	} cases[] = {
	    {50, 2000, 0, 50},
	    {50, 2000, 1, 100},
	    {50, 2000, 5, 1600},
	    {50, 2000, 6, 2000},
	    {50, 2000, 7, 2000},
	    {50, 2000, UINT_MAX, 2000},
	    {500, 500, 0, 500},
	    {500, 500, 9, 500},
	    {500, 100, 0, 100},
	    {0, 100, UINT_MAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		for (int n = 0; n < 100; n++)
			assert_in_range(
			    hb_backoff_ms(cases[i].min_ms, cases[i].max_ms,
				cases[i].failures),
			    cases[i].most_ms / 2, cases[i].most_ms);
}

/* Two who fail together seldom agree on when to try again. */
static void
test_jitter(void **state)
{
	unsigned equal = 0;

	(void)state;
	for (int n = 0; n < 100; n++)
		equal +=
		    hb_backoff_ms(50, 2000, 9) == hb_backoff_ms(50, 2000, 9);
	assert_true(equal < 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grows),
	    cmocka_unit_test(test_jitter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
