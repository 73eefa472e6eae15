/* SPDX-License-Identifier: Apache-2.0 */
/* test_dedup.c - identities settle, join, conflict, expire, are evicted */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

#define WINDOW_MS (48 * 3600 * 1000ull)

struct fixture {
	struct hb_endpoint_conf endpoints[3];
	struct hb_config cfg;
	struct hb_dedup *dedup;
	struct hb_metric *evictions;
	int64_t evictions_before;
};

static void
fixture_init(struct fixture *f, size_t endpoints, uint64_t max_entries)
{
	memset(f, 0, sizeof(*f));
	for (unsigned i = 0; i < HB_COUNT(f->endpoints); i++)
		f->endpoints[i] = (struct hb_endpoint_conf){ .index = i,
			.name = i == 0 ? "one" : i == 1 ? "two" : "three",
			.mode = HB_MODE_SVIX,
			.tolerance_ms = 300000,
			.dedup = true };
	f->cfg.endpoints = f->endpoints;
	f->cfg.endpoint_count = endpoints;
	f->cfg.dedup.window_ms = WINDOW_MS;
	f->cfg.dedup.max_entries = max_entries;
	hb_clock_freeze(1000000, 0);
	f->dedup = hb_dedup_new(&f->cfg, NULL, NULL);
	f->evictions =
	    hb_metric_get(HB_M_DEDUP_EVICTIONS, NULL, NULL, NULL, NULL);
	f->evictions_before = hb_metric_value(f->evictions);
}

static void
fixture_fini(struct fixture *f)
{
	hb_dedup_free(f->dedup);
	hb_clock_thaw();
}

static void
pass_seconds(uint64_t seconds)
{
	hb_clock_freeze(hb_clock_mono_ms() + seconds * 1000, 0);
}

static enum hb_claim
claim(struct fixture *f, unsigned endpoint, const char *id, uint64_t digest,
    struct hb_dedup_flight *flight)
{
	static struct hb_dedup_waiter unused;

	return hb_dedup_claim(f->dedup, &f->endpoints[endpoint], hb_span_of(id),
	    digest, flight, &unused);
}

/* Claims and settles; false when the claim was not new. */
static bool
settle(struct fixture *f, unsigned endpoint, const char *id)
{
	struct hb_dedup_flight flight;

	if (claim(f, endpoint, id, 0, &flight) != HB_CLAIM_NEW)
		return false;
	hb_dedup_end(f->dedup, &flight, HB_CONFIRMED);
	return true;
}

static void
test_settled_is_seen(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;

	(void)state;
	fixture_init(&f, 2, 100);
	assert_true(settle(&f, 0, "msg_1"));
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_SEEN);
	/* The same id on another endpoint is another event. */
	assert_true(settle(&f, 1, "msg_1"));
	fixture_fini(&f);
}

static void
test_unsettled_is_forgotten(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;

	(void)state;
	fixture_init(&f, 1, 100);
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_NEW);
	hb_dedup_end(f.dedup, &flight, HB_UNSETTLED);
	assert_true(settle(&f, 0, "msg_1"));
	fixture_fini(&f);
}

static void
test_window_ends(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;

	(void)state;
	fixture_init(&f, 1, 100);
	assert_true(settle(&f, 0, "msg_1"));
	pass_seconds(WINDOW_MS / 1000 - 1);
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_SEEN);
	pass_seconds(1);
	assert_true(settle(&f, 0, "msg_1"));
	fixture_fini(&f);
}

static void
test_another_body_conflicts(void **state)
{
	struct hb_dedup_flight first, second;
	struct fixture f;

	(void)state;
	fixture_init(&f, 1, 100);
	assert_int_equal(claim(&f, 0, "direct-1", 7, &first), HB_CLAIM_NEW);
	assert_int_equal(claim(&f, 0, "direct-1", 8, &second),
	    HB_CLAIM_CONFLICT);
	hb_dedup_end(f.dedup, &first, HB_CONFIRMED);
	assert_int_equal(claim(&f, 0, "direct-1", 8, &second),
	    HB_CLAIM_CONFLICT);
	assert_int_equal(claim(&f, 0, "direct-1", 7, &second), HB_CLAIM_SEEN);
	fixture_fini(&f);
}

static void
test_eviction_spares_the_young(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;
	char id[32];

	(void)state;
	fixture_init(&f, 1, 10);
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "msg_%d", i);
		assert_true(settle(&f, 0, id));
	}
	/* A replayed signature could still be valid: no room can be made. */
	assert_int_equal(claim(&f, 0, "new", 0, &flight), HB_CLAIM_FULL);
	pass_seconds(2 * 300 + 60);
	assert_true(settle(&f, 0, "new"));
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_SEEN);
	assert_int_equal(claim(&f, 0, "new", 0, &flight), HB_CLAIM_SEEN);
	fixture_fini(&f);
}

/* Whoever holds one endpoint's secret fills that endpoint's half and no more:
 * the others' claims find room, and their entries stay. */
static void
test_half_for_each_endpoint(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;
	char id[32];

	(void)state;
	fixture_init(&f, 2, 10);
	assert_true(settle(&f, 1, "quiet"));
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "msg_%d", i);
		assert_true(settle(&f, 0, id));
	}
	/* The table has room, but not for the greedy one. */
	assert_int_equal(claim(&f, 0, "msg_5", 0, &flight), HB_CLAIM_FULL);
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "other_%d", i);
		assert_true(settle(&f, 1, id));
	}
	pass_seconds(2 * 300 + 60);
	/* The quiet one's entry is the oldest, but the greedy one pays. */
	assert_true(settle(&f, 0, "msg_5"));
	assert_int_equal(claim(&f, 1, "quiet", 0, &flight), HB_CLAIM_SEEN);
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_SEEN);
	assert_true(settle(&f, 0, "msg_0")); /* it was the one to go */
	fixture_fini(&f);
}

/* Only endpoints that use the table share it. */
static void
test_no_half_for_the_others(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;
	char id[32];

	(void)state;
	for (int without = 0; without < 2; without++) {
		fixture_init(&f, 2, 10);
		hb_dedup_free(f.dedup);
		f.endpoints[1].dedup = without != 0;
		if (without != 0)
			f.endpoints[1].mode = HB_MODE_DISABLED;
		f.dedup = hb_dedup_new(&f.cfg, NULL, NULL);
		for (int i = 0; i < 10; i++) {
			snprintf(id, sizeof(id), "msg_%d", i);
			assert_true(settle(&f, 0, id));
		}
		assert_int_equal(claim(&f, 0, "more", 0, &flight),
		    HB_CLAIM_FULL);
		fixture_fini(&f);
	}
}

/* Three at their ease: the table is full before anyone has half of it, and the
 * oldest of all goes. */
static void
test_oldest_of_all_goes(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;
	char id[32];

	(void)state;
	fixture_init(&f, 3, 9);
	for (unsigned i = 0; i < 9; i++) {
		snprintf(id, sizeof(id), "msg_%u", i);
		assert_true(settle(&f, 2 - i % 3, id));
		pass_seconds(60);
	}
	assert_int_equal(claim(&f, 0, "new", 0, &flight), HB_CLAIM_FULL);
	pass_seconds(120);
	assert_true(settle(&f, 0, "new"));
	assert_int_equal(hb_metric_value(f.evictions) - f.evictions_before, 1);
	assert_int_equal(claim(&f, 1, "msg_1", 0, &flight), HB_CLAIM_SEEN);
	assert_int_equal(claim(&f, 0, "new", 0, &flight), HB_CLAIM_SEEN);
	pass_seconds(60);
	assert_true(settle(&f, 2, "msg_0")); /* at the expense of msg_1 */
	pass_seconds(60);
	assert_true(settle(&f, 1, "msg_1")); /* and this of msg_2 */
	assert_int_equal(hb_metric_value(f.evictions) - f.evictions_before, 3);
	fixture_fini(&f);
}

static void
test_claims_hold_their_room(void **state)
{
	struct hb_dedup_flight flights[4], one_more;
	struct fixture f;
	char id[32];

	(void)state;
	fixture_init(&f, 1, 4);
	for (int i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "msg_%d", i);
		assert_int_equal(claim(&f, 0, id, 0, &flights[i]),
		    HB_CLAIM_NEW);
	}
	assert_int_equal(claim(&f, 0, "x", 0, &one_more), HB_CLAIM_FULL);
	hb_dedup_end(f.dedup, &flights[0], HB_UNSETTLED);
	assert_int_equal(claim(&f, 0, "x", 0, &one_more), HB_CLAIM_NEW);
	hb_dedup_end(f.dedup, &one_more, HB_CONFIRMED);
	for (int i = 1; i < 4; i++)
		hb_dedup_end(f.dedup, &flights[i], HB_CONFIRMED);
	fixture_fini(&f);
}

/* Many identities through a small table: lists, chains and the free list stay
 * consistent, which the counts and the answers show. */
static void
test_long_run(void **state)
{
	struct hb_dedup_flight flight;
	struct fixture f;
	char id[32];

	(void)state;
	fixture_init(&f, 2, 64);
	for (int i = 0; i < 20000; i++) {
		snprintf(id, sizeof(id), "msg_%d", i);
		assert_true(settle(&f, (unsigned)i % 2, id));
		pass_seconds(60);
		assert_int_equal(claim(&f, (unsigned)i % 2, id, 0, &flight),
		    HB_CLAIM_SEEN);
	}
	for (int i = 20000 - 64; i < 20000; i++) {
		snprintf(id, sizeof(id), "msg_%d", i);
		assert_int_equal(claim(&f, (unsigned)i % 2, id, 0, &flight),
		    HB_CLAIM_SEEN);
	}
	fixture_fini(&f);
}

/* --- waiters -------------------------------------------------------------- */

struct waiting {
	struct hb_dedup_waiter waiter;
	int told;
};

static void
on_end(struct hb_dedup_waiter *waiter)
{
	((struct waiting *)(void *)waiter)->told++;
}

static void
test_waiters(void **state)
{
	struct hb_dedup_flight flight, unused;
	struct waiting stays = { 0 }, leaves = { 0 };
	struct hb_loop *loop = hb_loop_new("test", NULL);
	struct fixture f;

	(void)state;
	fixture_init(&f, 1, 100);
	stays.waiter.home = leaves.waiter.home = loop;
	stays.waiter.on_end = leaves.waiter.on_end = on_end;
	assert_int_equal(claim(&f, 0, "msg_1", 0, &flight), HB_CLAIM_NEW);
	assert_int_equal(hb_dedup_claim(f.dedup, &f.endpoints[0],
	    hb_span_of("msg_1"), 0, &unused, &leaves.waiter), HB_CLAIM_JOINED);
	assert_int_equal(hb_dedup_claim(f.dedup, &f.endpoints[0],
	    hb_span_of("msg_1"), 0, &unused, &stays.waiter), HB_CLAIM_JOINED);
	assert_true(hb_dedup_leave(f.dedup, &leaves.waiter));
	hb_dedup_end(f.dedup, &flight, HB_DEAD_LETTERED);
	assert_false(hb_dedup_leave(f.dedup, &stays.waiter));
	hb_loop_stop(loop);
	hb_loop_run(loop);
	hb_loop_free(loop);
	assert_int_equal(stays.told, 1);
	assert_int_equal(stays.waiter.outcome, HB_DEAD_LETTERED);
	assert_int_equal(leaves.told, 0);
	fixture_fini(&f);
}

/* --- threads -------------------------------------------------------------- */

/* Several loops claim the same few identities: each time one carries it, and
 * whoever joins and does not leave is told once, on its own loop. */
enum { THREADS = 4, ROUNDS = 2000, IDS = 3 };

struct contender {
	struct hb_dedup *dedup;
	const struct hb_endpoint_conf *endpoint;
	struct hb_loop *loop;
	struct hb_task task;
	struct hb_dedup_flight flight;
	struct hb_dedup_waiter waiter;
	unsigned round, carried, told, left, repeated;
	uint32_t seed;
	bool misplaced;
};

static uint32_t
next_random(struct contender *c)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 17;
	c->seed ^= c->seed << 5;
	return c->seed;
}

static void on_round(struct hb_task *task);

static void
go_on(struct contender *c)
{
	if (++c->round == ROUNDS) {
		hb_loop_stop(c->loop);
		return;
	}
	c->task.run = on_round;
	hb_loop_post(c->loop, &c->task);
}

static void
on_told(struct hb_dedup_waiter *waiter)
{
	struct contender *c =
	    hb_container_of(waiter, struct contender, waiter);

	c->misplaced |= hb_loop_current() != c->loop;
	c->told++;
	go_on(c);
}

/* A turn later, so that others can join. */
static void
on_carried(struct hb_task *task)
{
	struct contender *c = hb_container_of(task, struct contender, task);

	hb_dedup_end(c->dedup, &c->flight,
	    next_random(c) % 2 == 0 ? HB_CONFIRMED : HB_UNSETTLED);
	go_on(c);
}

static void
on_round(struct hb_task *task)
{
	struct contender *c = hb_container_of(task, struct contender, task);
	char id[32];

	/* After a while everyone goes on to the next few. */
	snprintf(id, sizeof(id), "msg_%u", c->round / 20 * IDS +
	    next_random(c) % IDS);
	c->waiter.home = c->loop;
	c->waiter.on_end = on_told;
	switch (hb_dedup_claim(c->dedup, c->endpoint, hb_span_of(id), 0,
	    &c->flight, &c->waiter)) {
	case HB_CLAIM_NEW:
		c->carried++;
		c->task.run = on_carried;
		hb_loop_post(c->loop, &c->task);
		return;
	case HB_CLAIM_JOINED:
		if (next_random(c) % 2 == 0 ||
		    !hb_dedup_leave(c->dedup, &c->waiter))
			return; /* will be told */
		c->left++;
		break;
	case HB_CLAIM_SEEN:
		c->repeated++;
		break;
	default:
		c->misplaced = true;
	}
	go_on(c);
}

static void
test_threads(void **state)
{
	static struct contender contenders[THREADS];
	struct fixture f;

	(void)state;
	fixture_init(&f, 1, 100000);
	for (unsigned i = 0; i < THREADS; i++) {
		struct contender *c = &contenders[i];

		*c = (struct contender){ .dedup = f.dedup,
			.endpoint = &f.endpoints[0],
			.loop = hb_loop_new("contender", NULL),
			.task = { .run = on_round },
			.seed = 2463534242u + i };
		hb_loop_post(c->loop, &c->task);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(hb_loop_start(contenders[i].loop, NULL));
	for (unsigned i = 0; i < THREADS; i++)
		hb_loop_join(contenders[i].loop);
	for (unsigned i = 0; i < THREADS; i++) {
		struct contender *c = &contenders[i];

		hb_loop_free(c->loop);
		assert_false(c->misplaced);
		assert_int_equal(c->round, ROUNDS);
		assert_int_equal(c->carried + c->told + c->left + c->repeated,
		    ROUNDS);
	}
	fixture_fini(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settled_is_seen),
		cmocka_unit_test(test_unsettled_is_forgotten),
		cmocka_unit_test(test_window_ends),
		cmocka_unit_test(test_another_body_conflicts),
		cmocka_unit_test(test_eviction_spares_the_young),
		cmocka_unit_test(test_half_for_each_endpoint),
		cmocka_unit_test(test_no_half_for_the_others),
		cmocka_unit_test(test_oldest_of_all_goes),
		cmocka_unit_test(test_claims_hold_their_room),
		cmocka_unit_test(test_long_run),
		cmocka_unit_test(test_waiters),
		cmocka_unit_test(test_threads),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
