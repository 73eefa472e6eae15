/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_failures.c - what cannot be delivered: again, in order, or set
 * aside, and how often it is tried */
#include "replay_rig.h"

/* --- failures ------------------------------------------------------------- */

/* Whatever fails, nothing is sent until all is reported; then what is left is
 * sent again, from the oldest on, once. */
static void
test_failure(void **state)
{
	static const enum hb_report reports[] = { HB_REPORT_RETRY,
		HB_REPORT_UNKNOWN };

	(void)state;
	for (size_t r = 0; r < HB_COUNT(reports); r++) {
		struct books before;
		struct fake *fake;
		struct site site;

		site_open(&site);
		fake = &site.fakes[MAIN];
		before = read_books(dest_named(&site, "a"), "none");
		fill(&site, dest_named(&site, "a"), 0, 6);
		site_replay(&site);
		AWAIT(&site, fake_held(fake) == 6);
		fake_report(fake, 1, reports[r], NULL);
		site_turn(&site);
		fill(&site, dest_named(&site, "a"), 6, 1);
		fake_report(fake, 3, reports[r], "timeout"); /* 4 */
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
		assert_int_equal(fake_sent(fake), 6);
		assert_int_equal(fake_held(fake), 1);
		assert_int_equal(rests.count, 1);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		AWAIT(&site, fake_held(fake) == 3);
		site_turn(&site);
		expect_sent(fake, 6, "1 4 6");
		fake_report_all(fake, HB_REPORT_CONFIRMED);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		expect_books(dest_named(&site, "a"), "none", &before, 7, 0);
		site_close(&site);
	}
}

/* What fails before it could be sent does no harm to those that are. */
static void
test_failure_while_reading(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 1000);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 512);
	fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	while (kept(&site, HB_SHELF_DELIVERIES) > 0) {
		site_wait(&site);
		fake_report_all(fake, HB_REPORT_CONFIRMED);
	}
	assert_int_equal(fake_sent(fake), 1001);
	assert_int_equal(fake->sent[512], 0);
	for (unsigned i = 513; i < 1001; i++)
		assert_int_equal(fake->sent[i], i - 1);
	site_turn(&site);
	site_close(&site);
}

/* Each failure makes it wait longer, until something is confirmed. */
static void
test_backoff(void **state)
{
	static const unsigned failures[] = { 0, 1, 2, 0, 0, 1 };
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 3);
	site_replay(&site);
	for (int i = 0; i < 3; i++) {
		AWAIT(&site, fake_held(fake) == 3);
		fake_report_all(fake, HB_REPORT_RETRY);
		AWAIT(&site, rests.count == (size_t)i + 1);
	}
	AWAIT(&site, fake_held(fake) == 3);
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	fake_report_all(fake, HB_REPORT_RETRY);
	for (int i = 0; i < 2; i++) {
		AWAIT(&site, fake_held(fake) == 2);
		fake_report_all(fake, HB_REPORT_RETRY);
		site_turn(&site);
	}
	AWAIT(&site, fake_held(fake) == 2);
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(rests.count, HB_COUNT(failures));
	for (size_t i = 0; i < HB_COUNT(failures); i++)
		assert_int_equal(rests.failures[i], failures[i]);
	site_close(&site);
}

/* Another destination of the same sink goes on meanwhile. */
static void
test_only_one_rests(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 2);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 2);
	fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	site_turn(&site);
	fill(&site, dest_named(&site, "b"), 2, 2);
	AWAIT(&site, fake_held(fake) == 3);
	expect_sent(fake, 0, "0 1 2 3");
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL); /* 1 */
	AWAIT(&site, fake_held(fake) == 3);
	expect_sent(fake, 4, "0");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- the order ------------------------------------------------------------ */

/* One by one, and none before its predecessor; however often that fails. */
static void
test_ordered(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[LINED];
	fill(&site, dest_named(&site, "o"), 0, 4);
	site_replay(&site);
	for (int i = 0; i < 10; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		site_turn(&site);
		fake_report(fake, 0, i % 5 == 0 ? HB_REPORT_CONFIRMED
					       : HB_REPORT_RETRY, NULL);
		site_turn(&site);
	}
	for (int i = 0; i < 2; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
	}
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	expect_sent(fake, 0, "0 1 1 1 1 1 2 2 2 2 2 3");
	site_close(&site);
}

/* What is refused lets its successor pass only when it is set aside. */
static void
test_ordered_and_refused(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[LINED];
	fill(&site, dest_named(&site, "o"), 0, 2);
	site_replay(&site);
	for (dead_refusals = 2; dead_refusals > 0;) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
		site_turn(&site);
	}
	AWAIT(&site, fake_held(fake) == 1);
	fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
	AWAIT(&site, fake_held(fake) == 1);
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 1);
	expect_sent(fake, 0, "0 0 0 1");
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- dead letters --------------------------------------------------------- */

static const struct {
	const char *said; /* by the sink */
	size_t fits;      /* 0: it is sent, and refused */
	const char *reason;
} refusals[] = {
	{ "policy", 0, "policy" },
	{ NULL, 0, "refused" },
	{ NULL, 100, "too-large" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(refusals); i++) {
		const char *reason = refusals[i].reason;
		struct hb_record rec = { .bytes = NULL };
		const struct hb_dest_conf *a;
		struct books before;
		struct fake *fake;
		struct site site;
		char *value;

		site_open(&site);
		a = dest_named(&site, "a");
		fake = &site.fakes[MAIN];
		fake->fits = refusals[i].fits;
		before = read_books(a, reason);
		fill_sized(&site, a, 0, 1, 101);
		fill(&site, a, 1, 1);
		site_replay(&site);
		AWAIT(&site, fake_held(fake) == (fake->fits ? 1 : 2));
		if (fake->fits == 0)
			fake_report(fake, 0, HB_REPORT_REFUSED,
			    refusals[i].said);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 1);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		expect_books(a, reason, &before, 1, 1);
		read_only(&site, HB_SHELF_DEAD, &rec);
		value = make_value(0, 101);
		assert_true(rec.is_message);
		assert_true(hb_span_eq(rec.reason, hb_span_of(reason)));
		assert_true(hb_span_eq(rec.id, HB_SPAN("m0")));
		assert_true(hb_span_eq(rec.value, hb_span_make(value, 101)));
		assert_int_equal(rec.header_count, HB_COUNT(some_headers));
		free(value);
		hb_record_fini(&rec);
		assert_int_equal(rests.count, 0);
		site_close(&site);
	}
}

/* Where it cannot be set aside it stays, and nothing is sent for a while. */
static void
test_dead_letters_are_full(void **state)
{
	struct books before;
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	before = read_books(dest_named(&site, "a"), "policy");
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	dead_refusals = 3;
	for (size_t i = 0; i < 4; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		assert_int_equal(rests.count, i);
		fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
		site_turn(&site);
	}
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 1);
	expect_books(dest_named(&site, "a"), "policy", &before, 0, 1);
	assert_int_equal(rests.failures[2], 2);
	site_close(&site);
}

/* --- dropped by hand ------------------------------------------------------ */

static void
drop_first(struct site *site)
{
	struct hb_walk *walk = hb_walk_new(site->store,
	    &(struct hb_walk_filter){ .kind = HB_SHELF_DELIVERIES }, NULL,
	    NULL, NULL);
	struct hb_record rec = { .bytes = NULL };

	assert_int_equal(hb_walk_next(walk, &rec, NULL), HB_SPOOL_RECORD);
	assert_true(hb_store_settle(&rec.kept));
	hb_record_fini(&rec);
	hb_walk_free(walk);
}

/* Somebody settles it while it is under way: whatever is reported then, it is
 * not counted, does not come back and is no dead letter. */
static void
test_dropped_in_flight(void **state)
{
	static const enum hb_report reports[] = { HB_REPORT_CONFIRMED,
		HB_REPORT_RETRY, HB_REPORT_REFUSED };

	(void)state;
	for (size_t i = 0; i < HB_COUNT(reports); i++) {
		struct books before;
		struct fake *fake;
		struct site site;

		site_open(&site);
		fake = &site.fakes[MAIN];
		before = read_books(dest_named(&site, "a"), "refused");
		fill(&site, dest_named(&site, "a"), 0, 1);
		site_replay(&site);
		AWAIT(&site, fake_held(fake) == 1);
		drop_first(&site);
		fake_report(fake, 0, reports[i], NULL);
		AWAIT(&site, hb_replay_in_flight(site.replay) == 0);
		fill(&site, dest_named(&site, "a"), 1, 1);
		AWAIT(&site, fake_held(fake) == 1);
		expect_sent(fake, 0, "0 1");
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
		expect_books(dest_named(&site, "a"), "refused", &before, 1,
		    0);
		site_close(&site);
	}
}

/* --- poison --------------------------------------------------------------- */

/* Until record 0 is suspected enough: it fails in three rounds, in each of
 * which another is confirmed. Those are 1, 2, 3. */
static void
accuse(struct site *site)
{
	struct fake *fake = &site->fakes[MAIN];

	fill(site, dest_named(site, "a"), 0, 2);
	site_replay(site);
	for (unsigned i = 0; i < 3; i++) {
		AWAIT(site, fake_held(fake) == 2);
		fake_report(fake, 1, HB_REPORT_CONFIRMED, NULL);
		fake_report(fake, 0, i == 1 ? HB_REPORT_UNKNOWN
					    : HB_REPORT_RETRY, NULL);
		/* Two more for when it is alone. */
		fill(site, dest_named(site, "a"), i + 2, i < 2 ? 1 : 2);
	}
	AWAIT(site, fake_held(fake) == 1);
	site_turn(site);
	expect_sent(fake, 0, "0 1 0 2 0 3 0");
}

/* It fails alone three times, and is set aside. */
static void
test_poison(void **state)
{
	static const unsigned failures[] = { 0, 0, 0, 0, 1 };
	struct hb_record rec = { .bytes = NULL };
	struct books before;
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	before = read_books(dest_named(&site, "a"), "poison");
	accuse(&site);
	for (int i = 0; i < 3; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		site_turn(&site);
		assert_int_equal(fake_held(fake), 1);
		fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	}
	AWAIT(&site, fake_held(fake) == 2);
	expect_sent(fake, 0, "0 1 0 2 0 3 0 0 0 4 5");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	expect_books(dest_named(&site, "a"), "poison", &before, 5, 1);
	read_only(&site, HB_SHELF_DEAD, &rec);
	assert_true(hb_span_eq(rec.reason, HB_SPAN("poison")));
	assert_true(hb_span_eq(rec.id, HB_SPAN("m0")));
	hb_record_fini(&rec);
	assert_int_equal(rests.count, HB_COUNT(failures));
	for (size_t i = 0; i < HB_COUNT(failures); i++)
		assert_int_equal(rests.failures[i], failures[i]);
	site_close(&site);
}

/* Alone it passes: then all of them are sent as ever. */
static void
test_no_poison(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	accuse(&site);
	fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	site_turn(&site);
	AWAIT(&site, fake_held(fake) == 1);
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	AWAIT(&site, fake_held(fake) == 2);
	expect_sent(fake, 7, "0 4 5");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
	site_close(&site);
}

/* Failures while the destination is down are held against nobody. */
static void
test_down_is_no_poison(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	accuse(&site);
	for (int i = 0; i < 8; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		hb_sink_set_health(&fake->sink, HB_DOWN, "test");
		fake_report(fake, 0, HB_REPORT_UNKNOWN, NULL);
		site_turn(&site);
		assert_int_equal(fake_held(fake), 0);
		hb_sink_set_health(&fake->sink, HB_UP, NULL);
	}
	for (int i = 0; i < 3; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
		fake_report(fake, 0, HB_REPORT_UNKNOWN, NULL);
		site_turn(&site);
	}
	AWAIT(&site, kept(&site, HB_SHELF_DEAD) == 1);
	AWAIT(&site, fake_held(fake) == 2);
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* An operator drops the suspect: nobody waits for it. */
static void
test_suspect_is_dropped(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	accuse(&site);
	drop_first(&site);
	fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	AWAIT(&site, fake_held(fake) == 2);
	expect_sent(fake, 7, "4 5");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* Poison that cannot be set aside is tried again, alone as before. */
static void
test_poison_while_dead_letters_are_full(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	accuse(&site);
	dead_refusals = 1;
	for (int i = 0; i < 4; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_RETRY, NULL);
		site_turn(&site);
	}
	AWAIT(&site, kept(&site, HB_SHELF_DEAD) == 1);
	AWAIT(&site, fake_held(fake) == 2);
	expect_sent(fake, 6, "0 0 0 0 4 5");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* Where nothing passes nobody is to blame: it is tried for as long as it
 * takes. */
static void
test_no_poison_in_order(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[LINED];
	fill(&site, dest_named(&site, "o"), 0, 3);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 1);
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	for (int i = 0; i < 20; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_RETRY, NULL);
		site_turn(&site);
	}
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
	for (int i = 0; i < 2; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
	}
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(fake->sent[fake->sent_count - 2], 1);
	assert_int_equal(fake->sent[fake->sent_count - 1], 2);
	site_close(&site);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_failure_while_reading),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_only_one_rests),
		cmocka_unit_test(test_ordered),
		cmocka_unit_test(test_ordered_and_refused),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_dead_letters_are_full),
		cmocka_unit_test(test_dropped_in_flight),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_no_poison),
		cmocka_unit_test(test_down_is_no_poison),
		cmocka_unit_test(test_suspect_is_dropped),
		cmocka_unit_test(test_poison_while_dead_letters_are_full),
		cmocka_unit_test(test_no_poison_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
