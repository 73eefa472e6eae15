/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_rates.c - events per second, with the clock in our hands */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <event2/event.h>

#include "../../src/admin/parts.h"
#include "hookbridge/clock.h"

static struct hb_endpoint_conf endpoints[] = { { .name = "one" },
	{ .index = 1, .name = "two" } };
static const struct hb_config cfg = { .endpoints = endpoints,
	.endpoint_count = 2 };
static struct hb_admin admin;

static void
count(const char *endpoint, const char *status, const char *outcome, int n)
{
	hb_metric_add(
	    hb_metric_get(HB_M_EVENTS, endpoint, status, outcome, NULL), n);
}

static void
expect(const char *wanted)
{
	size_t len;
	char *text = hb_admin_print(hb_rates_now(&admin), &len);

	assert_string_equal(text, wanted);
	free(text);
}

#define RATES(seconds, confirmed, dead)                                 \
	"{\"seconds\":" seconds ",\"confirmed\":" confirmed             \
	",\"spooled\":0.0,\"dead_lettered\":" dead                      \
	",\"duplicate\":0.0,\"replayed\":0.0}\n"

/* The second of the timer passes; the loop itself need not wait for it. */
static void
pass_second(uint64_t *now_ms)
{
	*now_ms += 1000;
	hb_clock_freeze(*now_ms, 0);
	admin.rates.timer.run(&admin.rates.timer);
}

static void
test_window(void **state)
{
	uint64_t now_ms = 5000;

	(void)state;
	hb_clock_freeze(now_ms, 0);
	admin.env.cfg = &cfg;
	admin.env.loop = hb_loop_new("test", NULL);
	hb_rates_init(&admin);
	count("one", "completed", "confirmed", 1000); /* before the start */
	hb_rates_start(&admin);
	expect(RATES("0", "0.0", "0.0"));
	count("one", "completed", "confirmed", 3);
	count("two", "failed", "confirmed", 4);
	count("two", "other", "dead_lettered", 1);
	hb_clock_freeze(now_ms += 500, 0);
	expect(RATES("1", "14.0", "2.0"));
	pass_second(&now_ms);
	expect(RATES("2", "4.7", "0.7")); /* of 1.5 seconds */
	for (int i = 0; i < 8; i++)
		pass_second(&now_ms);
	expect(RATES("10", "0.7", "0.1"));
	/* What came in the first second goes with it. */
	pass_second(&now_ms);
	expect(RATES("9", "0.0", "0.0"));
	count("one", "cancelled", "confirmed", 90);
	hb_clock_freeze(now_ms += 999, 0);
	expect(RATES("10", "9.0", "0.0"));
	hb_rates_stop(&admin);
	hb_rates_fini(&admin);
	hb_loop_free(admin.env.loop);
	hb_clock_thaw();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_window) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
