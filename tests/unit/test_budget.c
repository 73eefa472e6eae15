/* SPDX-License-Identifier: Apache-2.0 */
/* test_budget.c - the limit, the quarter, the halves; then many threads */
#include "hookbridge/budget.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hookbridge/metric.h"

static void
test_unverified_quarter(void **state)
{
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, 1000);
	assert_true(hb_budget_take_unverified(&b, 250));
	assert_false(hb_budget_take_unverified(&b, 1));
	assert_int_equal(b.used, 250);
	hb_budget_give_unverified(&b, 250);
	assert_int_equal(b.used, 0);
	assert_int_equal(b.unverified, 0);
	assert_false(hb_budget_take_unverified(&b, 251));
	assert_false(hb_budget_take_unverified(&b, UINT64_MAX));
	assert_int_equal(b.used, 0);
}

static void
test_verified_bytes_leave_the_quarter(void **state)
{
	struct hb_budget_share share = {0};
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, 1000);
	assert_true(hb_budget_take_unverified(&b, 250));
	assert_true(hb_budget_verify(&b, &share, 250));
	assert_int_equal(b.unverified, 0);
	assert_int_equal(b.used, 250);
	assert_int_equal(share.used, 250);
	assert_true(hb_budget_take_unverified(&b, 250));
	hb_budget_give_unverified(&b, 250);
	hb_budget_give(&b, &share, 250);
	assert_int_equal(b.used, 0);
	assert_int_equal(share.used, 0);
}

static void
test_alone_a_share_may_hold_all(void **state)
{
	struct hb_budget_share share = {0};
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, 1000);
	assert_true(hb_budget_take(&b, &share, 1000));
	assert_false(hb_budget_take(&b, &share, 1));
	assert_false(hb_budget_take_unverified(&b, 1));
	assert_int_equal(share.used, 1000);
	assert_int_equal(b.unverified, 0);
	hb_budget_give(&b, &share, 1000);
	/* What nobody has verified yet does not count as company. */
	assert_true(hb_budget_take_unverified(&b, 100));
	assert_true(hb_budget_take(&b, &share, 900));
	assert_true(hb_budget_verify(&b, &share, 100));
	assert_int_equal(share.used, 1000);
}

static void
test_half_while_others_hold(void **state)
{
	struct hb_budget_share a = {0}, other = {0};
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, 1000);
	assert_true(hb_budget_take(&b, &other, 1));
	assert_true(hb_budget_take(&b, &a, 500));
	assert_false(hb_budget_take(&b, &a, 1));
	assert_true(hb_budget_take_unverified(&b, 10));
	assert_false(hb_budget_verify(&b, &a, 10));
	assert_int_equal(b.unverified, 10); /* as they were */
	assert_int_equal(b.used, 511);
	assert_true(hb_budget_verify(&b, &other, 10));
	hb_budget_give(&b, &other, 11);
	assert_true(hb_budget_take(&b, &a, 500)); /* alone again */
	assert_false(hb_budget_take(&b, &other, 1));
	assert_int_equal(other.used, 0);
	hb_budget_give(&b, &a, 600);
	assert_true(hb_budget_take(&b, &other, 500));
	assert_false(hb_budget_take(&b, &other, 1));
}

static void
test_gauges(void **state)
{
	struct hb_budget_share share = {0};
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, 4096);
	assert_int_equal(hb_metric_value(hb_metric_get(
			     HB_M_MEMORY_BUDGET, NULL, NULL, NULL, NULL)),
	    4096);
	assert_true(hb_budget_take_unverified(&b, 100));
	assert_true(hb_budget_take(&b, &share, 50));
	assert_int_equal(hb_metric_value(b.metric_used), 150);
	assert_true(hb_budget_verify(&b, &share, 100));
	assert_int_equal(hb_metric_value(b.metric_used), 150);
	hb_budget_give(&b, &share, 150);
	assert_int_equal(hb_metric_value(b.metric_used), 0);
}

/* --- threads -------------------------------------------------------------- */

#define LIMIT 10000
#define THREADS 4
#define ROUNDS 20000

struct worker {
	pthread_t thread;
	struct hb_budget *budget;
	struct hb_budget_share *share;
	unsigned seed;
	bool over;
};

static void *
work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t bytes =
		    (w->seed = w->seed * 1103515245 + 12345) % 4000;
		bool verified;

		if (i % 2 == 0) {
			if (!hb_budget_take(w->budget, w->share, bytes))
				continue;
			verified = true;
		} else {
			if (!hb_budget_take_unverified(w->budget, bytes))
				continue;
			verified = hb_budget_verify(w->budget, w->share, bytes);
		}
		w->over |= w->budget->used > LIMIT ||
			   w->budget->unverified > LIMIT / 4;
		if (verified)
			hb_budget_give(w->budget, w->share, bytes);
		else
			hb_budget_give_unverified(w->budget, bytes);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct hb_budget_share shares[2] = {0};
	struct worker workers[THREADS];
	struct hb_budget b;

	(void)state;
	hb_budget_init(&b, LIMIT);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
		    .budget = &b, .share = &shares[i % 2], .seed = i + 1};
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_false(workers[i].over);
	}
	assert_int_equal(b.used, 0);
	assert_int_equal(b.unverified, 0);
	assert_int_equal(shares[0].used, 0);
	assert_int_equal(shares[1].used, 0);
	assert_int_equal(hb_metric_value(b.metric_used), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unverified_quarter),
	    cmocka_unit_test(test_verified_bytes_leave_the_quarter),
	    cmocka_unit_test(test_alone_a_share_may_hold_all),
	    cmocka_unit_test(test_half_while_others_hold),
	    cmocka_unit_test(test_gauges),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
