/* SPDX-License-Identifier: Apache-2.0 */
/* test_claim_guard.c - what deliveries that wait may refer to does not go */
#include <stdatomic.h>

#include "claim_rig.h"

#define ACK_MS 3000
#define HARD_MS 10000
/* From a body's put to when its delivery is kept, at the most. */
#define LEAD_MS (ACK_MS + HARD_MS + 60000)

static char room[1 << 12];

/* When the oldest delivery was kept; 0: none is. */
static _Atomic int64_t oldest_ms;

static int64_t
oldest_delivery(void *arg)
{
	const struct rig *rig = arg;

	assert_true(hb_loop_current() == rig->helper);
	return oldest_ms;
}

static void
init(struct rig *rig)
{
	rig_init(rig);
	rig->cfg.delivery.ack_timeout_ms = ACK_MS;
	rig->cfg.delivery.hard_timeout_ms = HARD_MS;
}

static void
open_guarded(struct rig *rig)
{
	rig_prepare(rig);
	hb_claims_guard(rig->claims, oldest_delivery, rig);
	rig_run(rig);
}

/* Keeps bodies of 100 bytes, as if they had been put so long ago; not open. */
static void
keep_aged(struct rig *rig, const int64_t *ages_ms, unsigned count,
    char digests[][HB_CLAIM_DIGEST + 1])
{
	rig_open(rig);
	for (unsigned i = 0; i < count; i++)
		memcpy(digests[i],
		    rig_keep(rig, RIG_ONE, rig_body(room, 100, i)),
		    sizeof(digests[i]));
	rig_close(rig);
	for (unsigned i = 0; i < count; i++)
		rig_age(rig, "one", digests[i], ages_ms[i]);
}

/* All are too old, but a delivery waits since two days: what was put somewhat
 * before it, or since, stays for as long as it does. */
static void
needed_bodies_stay(void **state)
{
	static const int64_t ages_ms[] = {
	    3 * RIG_DAY_MS,
	    2 * RIG_DAY_MS + LEAD_MS + 3000,
	    2 * RIG_DAY_MS + LEAD_MS - 3000,
	    2 * RIG_DAY_MS,
	    RIG_DAY_MS + 60000,
	};
	char digests[HB_COUNT(ages_ms)][HB_CLAIM_DIGEST + 1];
	struct rig rig;

	(void)state;
	init(&rig);
	keep_aged(&rig, ages_ms, HB_COUNT(ages_ms), digests);
	oldest_ms = hb_clock_wall_ms() - 2 * (int64_t)RIG_DAY_MS;
	open_guarded(&rig);
	rig_wait_count(&rig, 3);
	/* The sweep is over. */
	rig_keep(&rig, RIG_TWO, rig_body(room, 10, 100));
	rig_assert_stats(&rig, 4, 310);
	for (size_t i = 0; i < HB_COUNT(ages_ms); i++)
		assert_int_equal(
		    rig_exists(&rig, "one", digests[i]), i >= 2);
	rig_close(&rig);
	oldest_ms = 0;
	open_guarded(&rig);
	rig_wait_count(&rig, 1);
	rig_close(&rig);
}

/* Nor do they make room for others, until nothing waits. */
static void
needed_bodies_fill_it(void **state)
{
	static const int64_t ages_ms[] = {
	    2 * RIG_DAY_MS, 2 * RIG_DAY_MS, 2 * RIG_DAY_MS, 2 * RIG_DAY_MS};
	char digests[HB_COUNT(ages_ms)][HB_CLAIM_DIGEST + 1];
	struct rig rig;

	(void)state;
	init(&rig);
	rig.cfg.claims.max_size = 400;
	rig.endpoints[RIG_TWO].mode = HB_MODE_DISABLED;
	keep_aged(&rig, ages_ms, HB_COUNT(ages_ms), digests);
	oldest_ms = hb_clock_wall_ms() - 2 * (int64_t)RIG_DAY_MS;
	open_guarded(&rig);
	rig_refuse(&rig, RIG_ONE, rig_body(room, 100, 100), HB_E_RESOURCE,
	    "claims-full");
	rig_assert_stats(&rig, 4, 400);
	oldest_ms = 0;
	rig_keep(&rig, RIG_ONE, rig_body(room, 100, 100));
	rig_assert_stats(&rig, 1, 100);
	rig_close(&rig);
}

/* While it runs, by the time at which each was put. */
static void
put_while_it_waits(void **state)
{
	struct rig rig;

	(void)state;
	init(&rig);
	rig.cfg.claims.max_age_ms = 100;
	rig.cfg.claims.max_size = 200;
	rig.endpoints[RIG_TWO].mode = HB_MODE_DISABLED;
	oldest_ms = hb_clock_wall_ms();
	open_guarded(&rig);
	rig_keep(&rig, RIG_ONE, rig_body(room, 100, 1));
	usleep(150 * 1000);
	/* Its first sweep after that, or ours, finds both of them. */
	rig_keep(&rig, RIG_ONE, rig_body(room, 100, 2));
	rig_refuse(&rig, RIG_ONE, rig_body(room, 100, 3), HB_E_RESOURCE,
	    "claims-full");
	/* A younger delivery does not need them. */
	oldest_ms = hb_clock_wall_ms() + LEAD_MS + 1000;
	rig_wait_count(&rig, 0);
	rig_close(&rig);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(needed_bodies_stay),
	    cmocka_unit_test(needed_bodies_fill_it),
	    cmocka_unit_test(put_while_it_waits),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
