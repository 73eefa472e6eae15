/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_copy.c - what is set aside goes to the destination dead_letter,
 * and where it does not, it is a dead letter on disk */
#include "replay_rig.h"

/* Dead letters go to "o" of the sink "lined". */
static void
open_with_letters(struct site *site)
{
	site_open(site);
	site->rig.cfg.dead_letter = site->rig.cfg.routes[0].to[1];
	assert_ptr_equal(site->rig.cfg.dead_letter->dests[0],
	    dest_named(site, "o"));
}

static int64_t
spooled(const char *sink)
{
	return hb_metric_value(hb_metric_get(HB_M_SPOOL_RECORDS, sink, NULL,
	    NULL, NULL));
}

/* All of it is delivered, and counted so. */
static void
end(struct site *site)
{
	AWAIT(site, kept(site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(spooled("main"), 0);
	assert_int_equal(spooled("lined"), 0);
	assert_int_equal(rests.count, 0);
	site_close(site);
}

static void
expect_header(const struct hb_message *msg, size_t which, const char *name,
    const char *value)
{
	assert_true(which < msg->header_count);
	assert_true(hb_span_eq(msg->headers[which].name, hb_span_of(name)));
	assert_true(hb_span_eq(msg->headers[which].value, hb_span_of(value)));
}

/* Reasons come behind the message's own headers. */
static void
expect_letter(const struct hb_message *msg, const char *reason, size_t size)
{
	const size_t own = HB_COUNT(some_headers);
	char *value = make_value(0, size);

	assert_true(msg->dead_letter);
	assert_true(msg->dedup);
	assert_true(hb_span_eq(msg->key, HB_SPAN("job-1")));
	assert_true(hb_span_eq(msg->id, HB_SPAN("m0")));
	assert_true(hb_span_eq(msg->value, hb_span_make(value, size)));
	for (size_t i = 0; i < own; i++)
		assert_true(hb_span_eq(msg->headers[i].name,
				some_headers[i].name) &&
		    hb_span_eq(msg->headers[i].value, some_headers[i].value));
	expect_header(msg, own, "hb_reason", reason);
	expect_header(msg, own + 1, "hb_endpoint", "production");
	expect_header(msg, own + 2, "hb_received_at",
	    "2026-01-01T00:00:01.234Z");
	expect_header(msg, own + 3, "hb_destination", "main:a");
	expect_header(msg, own + 4, "hb_webhook_id", "m0");
	assert_int_equal(msg->header_count, own + 5);
	free(value);
}

/* --- it goes there -------------------------------------------------------- */

static const struct {
	const char *said; /* by the sink */
	size_t fits;      /* 0: it is sent, and refused */
	const char *reason;
} refusals[] = {
	{ "policy", 0, "policy" },
	{ NULL, 0, "refused" },
	{ NULL, 100, "too-large" },
};

/* Nothing of it is left once it has arrived; until then it is tried again. */
static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(refusals); i++) {
		const char *reason = refusals[i].reason;
		const struct hb_dest_conf *a, *o;
		struct books before_a, before_o;
		struct fake *fake, *letters;
		struct site site;

		open_with_letters(&site);
		a = dest_named(&site, "a");
		o = dest_named(&site, "o");
		fake = &site.fakes[MAIN];
		letters = &site.fakes[LINED];
		fake->fits = refusals[i].fits;
		before_a = read_books(a, reason);
		before_o = read_books(o, "none");
		fill_sized(&site, a, 0, 1, 101);
		site_replay(&site);
		if (fake->fits == 0) {
			AWAIT(&site, fake_held(fake) == 1);
			fake_report(fake, 0, HB_REPORT_REFUSED,
			    refusals[i].said);
		}
		/* It may be sent before the other one is settled. */
		AWAIT(&site, fake_held(letters) == 1 &&
		    kept(&site, HB_SHELF_DELIVERIES) == 1);
		expect_letter(&letters->held[0]->msg, reason, 101);
		expect_books(a, reason, &before_a, 0, 1);
		assert_int_equal(spooled("main"), 0);
		assert_int_equal(spooled("lined"), 1);
		fake_report(letters, 0, HB_REPORT_RETRY, NULL);
		AWAIT(&site, rests.count == 1);
		rests.count = 0;
		AWAIT(&site, fake_held(letters) == 1);
		expect_letter(&letters->held[0]->msg, reason, 101);
		fake_report(letters, 0, HB_REPORT_CONFIRMED, NULL);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
		expect_books(o, "none", &before_o, 1, 0);
		expect_books(a, reason, &before_a, 0, 1);
		end(&site);
	}
}

/* An event without a webhook's id has none to tell. */
static void
test_direct(void **state)
{
	const struct hb_message *msg;
	struct item *item;
	struct site site;

	(void)state;
	open_with_letters(&site);
	site.fakes[MAIN].fits = 10;
	item = item_new(&site, dest_named(&site, "a"), 0, 64);
	item->msg.id = HB_SPAN("direct-7");
	keep_item(item);
	AWAIT(&site, site.keeping == 0);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[LINED]) == 1);
	msg = &site.fakes[LINED].held[0]->msg;
	expect_header(msg, msg->header_count - 1, "hb_destination", "main:a");
	fake_report_all(&site.fakes[LINED], HB_REPORT_CONFIRMED);
	end(&site);
}

/* What keeps failing while others pass goes the same way. */
static void
test_poison(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	open_with_letters(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	for (unsigned i = 1; i <= 3; i++) {
		fill(&site, dest_named(&site, "a"), i, 1);
		AWAIT(&site, fake_held(fake) == 2);
		fake_report(fake, 1, HB_REPORT_CONFIRMED, NULL);
		fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	}
	for (unsigned i = 0; i < 3; i++) {
		AWAIT(&site, fake_held(fake) == 1);
		fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	}
	AWAIT(&site, fake_held(&site.fakes[LINED]) == 1);
	expect_letter(&site.fakes[LINED].held[0]->msg, "poison", 64);
	fake_report_all(&site.fakes[LINED], HB_REPORT_CONFIRMED);
	rests.count = 0;
	end(&site);
}

/* --- it does not ---------------------------------------------------------- */

/* Why it is a dead letter after all. */
enum obstacle { TOO_LARGE, NOT_KEPT, OBSTACLES };

/* As if there were no such destination. */
static void
test_obstacles(void **state)
{
	(void)state;
	for (int obstacle = 0; obstacle < OBSTACLES; obstacle++) {
		struct hb_record rec = { .bytes = NULL };
		const struct hb_dest_conf *a;
		struct books before;
		struct site site;

		open_with_letters(&site);
		a = dest_named(&site, "a");
		before = read_books(a, "policy");
		if (obstacle == TOO_LARGE)
			site.fakes[LINED].fits = 63;
		else
			move_refusals = 1;
		fill(&site, a, 0, 1);
		site_replay(&site);
		AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
		fake_report(&site.fakes[MAIN], 0, HB_REPORT_REFUSED, "policy");
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		assert_int_equal(move_refusals, 0);
		assert_int_equal(fake_sent(&site.fakes[LINED]), 0);
		expect_books(a, "policy", &before, 0, 1);
		read_only(&site, HB_SHELF_DEAD, &rec);
		assert_true(hb_span_eq(rec.reason, HB_SPAN("policy")));
		assert_true(hb_span_eq(rec.sink, HB_SPAN("main")));
		assert_false(rec.dead_letter);
		assert_int_equal(rec.header_count, HB_COUNT(some_headers));
		hb_record_fini(&rec);
		end(&site);
	}
}

/* Neither there nor among the dead letters: it stays where it is. */
static void
test_nowhere(void **state)
{
	struct books before;
	struct fake *fake;
	struct site site;

	(void)state;
	open_with_letters(&site);
	fake = &site.fakes[MAIN];
	before = read_books(dest_named(&site, "a"), "policy");
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	move_refusals = dead_refusals = 1;
	AWAIT(&site, fake_held(fake) == 1);
	fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
	AWAIT(&site, rests.count == 1);
	expect_books(dest_named(&site, "a"), "policy", &before, 0, 0);
	AWAIT(&site, fake_held(fake) == 1);
	fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
	AWAIT(&site, fake_held(&site.fakes[LINED]) == 1);
	fake_report_all(&site.fakes[LINED], HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	expect_books(dest_named(&site, "a"), "policy", &before, 0, 1);
	rests.count = 0;
	end(&site);
}

/* What dead_letter itself refuses: never to dead_letter again. */
static void
test_refused_twice(void **state)
{
	struct hb_record rec = { .bytes = NULL };
	struct books before;
	struct site site;

	(void)state;
	open_with_letters(&site);
	before = read_books(dest_named(&site, "o"), "quota");
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	fake_report(&site.fakes[MAIN], 0, HB_REPORT_REFUSED, "policy");
	AWAIT(&site, fake_held(&site.fakes[LINED]) == 1);
	fake_report(&site.fakes[LINED], 0, HB_REPORT_REFUSED, "quota");
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_turn(&site);
	assert_int_equal(fake_sent(&site.fakes[LINED]), 1);
	expect_books(dest_named(&site, "o"), "quota", &before, 0, 1);
	read_only(&site, HB_SHELF_DEAD, &rec);
	assert_true(hb_span_eq(rec.reason, HB_SPAN("quota")));
	assert_true(rec.dead_letter);
	assert_int_equal(rec.header_count, HB_COUNT(some_headers) + 5);
	hb_record_fini(&rec);
	end(&site);
}

/* A dead letter that was moved elsewhere does not come back from there. */
static void
test_moved_away(void **state)
{
	struct item *item;
	struct site site;

	(void)state;
	open_with_letters(&site);
	item = item_new(&site, dest_named(&site, "b"), 0, 64);
	item->msg.dead_letter = true;
	keep_item(item);
	AWAIT(&site, site.keeping == 0);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	fake_report(&site.fakes[MAIN], 0, HB_REPORT_REFUSED, NULL);
	AWAIT(&site, kept(&site, HB_SHELF_DEAD) == 1);
	assert_int_equal(fake_sent(&site.fakes[LINED]), 0);
	end(&site);
}

/* An event that was routed to the same destination, and refused there. */
static void
test_own_destination(void **state)
{
	struct site site;

	(void)state;
	open_with_letters(&site);
	fill(&site, dest_named(&site, "o"), 0, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[LINED]) == 1);
	fake_report(&site.fakes[LINED], 0, HB_REPORT_REFUSED, NULL);
	AWAIT(&site, kept(&site, HB_SHELF_DEAD) == 1);
	assert_int_equal(fake_sent(&site.fakes[LINED]), 1);
	end(&site);
}

/* --- dropped by hand ------------------------------------------------------ */

/* What was settled meanwhile is not set aside: the copy is taken back. */
static void
test_dropped_in_flight(void **state)
{
	const struct hb_dest_conf *a;
	struct hb_record rec = { .bytes = NULL };
	struct books before;
	struct site site;

	(void)state;
	open_with_letters(&site);
	hb_sink_set_health(&site.fakes[LINED].sink, HB_DOWN, "test");
	a = dest_named(&site, "a");
	before = read_books(a, "refused");
	fill(&site, a, 0, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	read_only(&site, HB_SHELF_DELIVERIES, &rec);
	assert_true(hb_store_settle(&rec.kept));
	hb_record_fini(&rec);
	fake_report(&site.fakes[MAIN], 0, HB_REPORT_REFUSED, NULL);
	AWAIT(&site, hb_replay_in_flight(site.replay) == 0);
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
	expect_books(a, "refused", &before, 0, 0);
	end(&site);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_poison),
		cmocka_unit_test(test_obstacles),
		cmocka_unit_test(test_nowhere),
		cmocka_unit_test(test_refused_twice),
		cmocka_unit_test(test_moved_away),
		cmocka_unit_test(test_own_destination),
		cmocka_unit_test(test_dropped_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
