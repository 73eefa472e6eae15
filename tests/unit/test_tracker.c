/* SPDX-License-Identifier: Apache-2.0 */
/* test_tracker.c - an event's way to its destinations: what is reported, and
 * what is then answered, counted and remembered */
#include "tracker_rig.h"

/* --- confirmed ------------------------------------------------------------ */

static void
test_confirmed(void **state)
{
	struct books before[DESTS];
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t legs = 1; legs <= DESTS; legs++) {
		for (size_t i = 0; i < DESTS; i++)
			before[i] = read_books(site.targets[i]);
		ship(&s, &site, legs);
		assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
		start(&s);
		for (size_t i = 0; i < legs; i++) {
			assert_int_equal(s.receipts, 0);
			expect_books(site.targets[i], &before[i], 0, 0, 0, 1);
			site_report(&site, site.main_sink, 0,
			    HB_REPORT_CONFIRMED);
		}
		expect_receipt(&s, HB_CONFIRMED, NULL);
		expect_end(&s, HB_CONFIRMED);
		for (size_t i = 0; i < DESTS; i++)
			expect_books(site.targets[i], &before[i],
			    i < legs ? 1 : 0, 0, 0, 0);
	}
	site_close(&site);
}

/* A sink that reports from inside send() does not answer before all is sent. */
static void
test_reports_come_later(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	site.main_sink->answers = true;
	site.main_sink->answer = HB_REPORT_CONFIRMED;
	ship(&s, &site, DESTS);
	start(&s);
	assert_int_equal(site.main_sink->sent_count, DESTS);
	assert_int_equal(s.receipts, 0);
	site_turn(&site);
	expect_receipt(&s, HB_CONFIRMED, NULL);
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
}

static void
test_every_report_at_every_place(void **state)
{
	static const enum hb_report reports[] = { HB_REPORT_RETRY,
		HB_REPORT_UNKNOWN, HB_REPORT_REFUSED };
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t which = 0; which < DESTS; which++)
		for (size_t r = 0; r < HB_COUNT(reports); r++) {
			bool refused = reports[r] == HB_REPORT_REFUSED;
			enum hb_outcome outcome =
			    refused ? HB_DEAD_LETTERED : HB_UNSETTLED;
			struct books before = read_books(site.targets[which]);
			struct shipment s;

			ship(&s, &site, DESTS);
			start(&s);
			site_report(&site, site.main_sink, which, reports[r]);
			if (refused)
				site_report(&site, site.dead_sink, 0,
				    HB_REPORT_CONFIRMED);
			else
				expect_receipt(&s, outcome, "delivery-failed");
			/* The others are not held back. */
			site_report(&site, site.main_sink, 0,
			    HB_REPORT_CONFIRMED);
			site_report(&site, site.main_sink, 0,
			    HB_REPORT_CONFIRMED);
			expect_receipt(&s, outcome,
			    refused ? NULL : "delivery-failed");
			expect_end(&s, outcome);
			expect_books(site.targets[which], &before, 0,
			    refused ? 1 : 0, refused ? 0 : 1, 0);
		}
	site_close(&site);
}

/* --- dead letters --------------------------------------------------------- */

/* A broker's refusal: the copy is a delivery of its own, and until it is there
 * the one it stands in for is not settled. */
static void
test_refused_by_the_sink(void **state)
{
	struct books before, dead_before;
	const struct hb_message *msg;
	int64_t letters = dead_letters("policy");
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	before = read_books(site.targets[0]);
	dead_before = read_books(site.dead);
	ship(&s, &site, 2);
	start(&s);
	fake_report(site.main_sink, 0, HB_REPORT_REFUSED, "policy");
	site_turn(&site);
	assert_int_equal(s.receipts, 0);
	assert_int_equal(fake_held(site.dead_sink), 1);
	msg = &site.dead_sink->held[0]->msg;
	assert_true(msg->dead_letter);
	assert_text(msg->value, BODY);
	assert_text(header_of(msg, "hb_reason"), "policy");
	assert_text(header_of(msg, "hb_destination"), "main:a");
	expect_books(site.targets[0], &before, 0, 0, 0, 1);
	expect_books(site.dead, &dead_before, 0, 0, 0, 1);
	site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
	assert_int_equal(s.receipts, 0); /* the other is under way */
	assert_int_equal(dead_letters("policy"), letters + 1);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_DEAD_LETTERED, NULL);
	expect_end(&s, HB_DEAD_LETTERED);
	expect_books(site.targets[0], &before, 0, 1, 0, 0);
	expect_books(site.dead, &dead_before, 1, 0, 0, 0);
	site_close(&site);
}

static void
test_refused_without_a_reason(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, 1);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
	assert_text(header_of(&site.dead_sink->held[0]->msg, "hb_reason"),
	    "refused");
	site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_DEAD_LETTERED);
	site_close(&site);
}

static void
test_dead_letter_fails(void **state)
{
	static const enum hb_report reports[] = { HB_REPORT_RETRY,
		HB_REPORT_UNKNOWN, HB_REPORT_REFUSED };
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t r = 0; r < HB_COUNT(reports); r++) {
		struct books before = read_books(site.targets[0]);
		struct books dead_before = read_books(site.dead);
		int64_t letters = dead_letters("refused");
		struct shipment s;

		ship(&s, &site, 1);
		start(&s);
		site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
		site_report(&site, site.dead_sink, 0, reports[r]);
		expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
		expect_end(&s, HB_UNSETTLED);
		expect_books(site.targets[0], &before, 0, 0, 1, 0);
		expect_books(site.dead, &dead_before, 0, 0, 1, 0);
		assert_int_equal(dead_letters("refused"), letters);
	}
	site_close(&site);
}

/* Refused by routing, or too large: known before anything is sent. */
static void
test_refused_before_sending(void **state)
{
	static const char *const reasons[] = { "name-not-allowed",
		"too-large" };
	static const char *const places[] = { "main:no such", "main:b" };
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < HB_COUNT(reasons); i++) {
		struct books before = read_books(site.targets[1]);
		struct hb_message *msg;
		struct shipment s;

		ship(&s, &site, DESTS);
		if (i == 0)
			refuse_leg(&s, 1, reasons[0]);
		else /* what stands raw is smaller than what is made of it */
			site.main_sink->fits = strlen(BODY);
		site.targets[0]->format = HB_FORMAT_RAW;
		site.targets[2]->format = HB_FORMAT_RAW;
		start(&s);
		assert_int_equal(fake_held(site.main_sink), 2);
		assert_int_equal(fake_held(site.dead_sink), 1);
		msg = &site.dead_sink->held[0]->msg;
		assert_text(header_of(msg, "hb_reason"), reasons[i]);
		assert_text(header_of(msg, "hb_destination"), places[i]);
		expect_books(site.targets[1], &before, 0, 0, 0, 1);
		site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
		expect_books(site.targets[1], &before, 0, 1, 0, 0);
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
		expect_receipt(&s, HB_DEAD_LETTERED, NULL);
		expect_end(&s, HB_DEAD_LETTERED);
	}
	site_close(&site);
}

/* Unusable, unrouted: one copy, in place of no destination. */
static void
test_whole_event_refused(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, 0);
	s.plan.reason = "unrouted";
	start(&s);
	assert_int_equal(site.main_sink->sent_count, 0);
	assert_text(header_of(&site.dead_sink->held[0]->msg, "hb_reason"),
	    "unrouted");
	assert_false(hb_span_is_set(header_of(&site.dead_sink->held[0]->msg,
	    "hb_destination")));
	site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_DEAD_LETTERED, NULL);
	expect_end(&s, HB_DEAD_LETTERED);
	site_close(&site);
}

/* --- not admitted --------------------------------------------------------- */

/* It ends at once; nothing was sent, booked or remembered. */
static void
expect_turned_away(struct shipment *s, const char *reason)
{
	struct site *site = s->site;
	struct books before[DESTS];

	for (size_t i = 0; i < DESTS; i++)
		before[i] = read_books(site->targets[i]);
	start(s);
	expect_receipt(s, HB_UNSETTLED, reason);
	assert_int_equal(site->main_sink->sent_count, 0);
	assert_int_equal(site->dead_sink->sent_count, 0);
	for (size_t i = 0; i < DESTS; i++)
		expect_books(site->targets[i], &before[i], 0, 0, 0, 0);
	assert_false(is_seen(s));
}

static void
test_no_dead_letter(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	site.rig.cfg.dead_letter = NULL;
	ship(&s, &site, DESTS);
	refuse_leg(&s, 2, "name-missing");
	expect_turned_away(&s, "no-dead-letter");
	ship(&s, &site, 0);
	s.plan.reason = "unrouted";
	expect_turned_away(&s, "no-dead-letter");
	site.main_sink->fits = 1;
	ship(&s, &site, DESTS);
	expect_turned_away(&s, "no-dead-letter");
	/* A broker's refusal comes when it is too late for that. */
	site.main_sink->fits = 0;
	ship(&s, &site, 1);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
	expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
	expect_end(&s, HB_UNSETTLED);
	site_close(&site);
}

/* What the dead letters cannot take is not tried on the others either. */
static void
test_dead_letter_does_not_fit(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	site.dead_sink->fits = strlen(BODY) - 1;
	ship(&s, &site, DESTS);
	refuse_leg(&s, 0, "name-invalid");
	expect_turned_away(&s, "no-dead-letter");
	ship(&s, &site, 1);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
	assert_int_equal(site.dead_sink->sent_count, 0);
	expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
	expect_end(&s, HB_UNSETTLED);
	site_close(&site);
}

static void
test_down(void **state)
{
	struct hb_sink *sinks[2];
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	sinks[0] = &site.main_sink->sink;
	sinks[1] = &site.dead_sink->sink;
	/* One destination of three. */
	hb_dest_set_health(sinks[0], site.targets[2]->dests[0], HB_DOWN,
	    "unknown topic");
	ship(&s, &site, DESTS);
	expect_turned_away(&s, "sink-down");
	hb_dest_set_health(sinks[0], site.targets[2]->dests[0], HB_UP, NULL);
	/* A whole sink. */
	hb_sink_set_health(sinks[0], HB_DOWN, "refused");
	ship(&s, &site, 1);
	expect_turned_away(&s, "sink-down");
	hb_sink_set_health(sinks[0], HB_UP, NULL);
	/* One that is up, but could not take it just now. */
	site.main_sink->is_unready = true;
	ship(&s, &site, 1);
	expect_turned_away(&s, "sink-down");
	site.main_sink->is_unready = false;
	/* The dead letters, when one of the legs needs them. */
	hb_sink_set_health(sinks[1], HB_DOWN, "refused");
	ship(&s, &site, DESTS);
	refuse_leg(&s, 1, "name-missing");
	expect_turned_away(&s, "sink-down");
	/* And when none does. */
	ship(&s, &site, 1);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
}

/* Slow is not down: it is sent as ever. */
static void
test_slow(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	hb_sink_set_health(&site.main_sink->sink, HB_SLOW, "one of two");
	hb_dest_set_health(&site.main_sink->sink, site.targets[0]->dests[0],
	    HB_SLOW, "late");
	ship(&s, &site, 2);
	start(&s);
	site_report(&site, site.main_sink, 1, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_CONFIRMED, NULL);
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
}

/* --- the budget ----------------------------------------------------------- */

static uint64_t
cost_of_held(struct fake *fake)
{
	uint64_t cost = 0;

	for (size_t i = 0; i < fake->held_count; i++)
		cost += hb_message_cost(&fake->held[i]->msg);
	return cost;
}

/* Everything is paid for while the event is under way, late copies too. */
static void
test_budget_is_charged(void **state)
{
	uint64_t body = strlen(BODY), cost, copy;
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, DESTS);
	assert_int_equal(site.budget.used, body);
	start(&s);
	cost = cost_of_held(site.main_sink);
	assert_true(cost > DESTS * 512);
	assert_int_equal(site.budget.used, body + cost);
	assert_int_equal(site.rig.share.used, body + cost);
	site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
	copy = cost_of_held(site.dead_sink);
	assert_int_equal(site.budget.used, body + cost + copy);
	site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	assert_int_equal(site.budget.used, body + cost + copy);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_DEAD_LETTERED);
	site_close(&site);
}

static void
test_budget_is_exhausted(void **state)
{
	struct shipment s;
	struct site site;
	uint64_t used;

	(void)state;
	site_open(&site);
	ship(&s, &site, DESTS);
	start(&s);
	used = site.budget.used;
	while (site.main_sink->held_count > 0)
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	site_close(&site);
	/* One byte less than it takes. */
	site_open_at(&site, LONG_MS, used - 1);
	ship(&s, &site, DESTS);
	expect_turned_away(&s, "memory");
	site_close(&site);
	/* As much as it takes, but nothing for a copy. */
	site_open_at(&site, LONG_MS, used);
	ship(&s, &site, DESTS);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_REFUSED);
	expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
	assert_int_equal(site.dead_sink->sent_count, 0);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_UNSETTLED);
	site_close(&site);
}

/* --- time ----------------------------------------------------------------- */

static void
test_ack_deadline(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 2, MEMORY);
	ship(&s, &site, 2);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	pass_ms(1);
	site_turn(&site);
	assert_int_equal(s.receipts, 0);
	pass_ms(1);
	await_late(&s);
	expect_receipt(&s, HB_UNSETTLED, "deadline");
	/* It lives on, who waits for it waits on, and the late confirmation
	 * settles it for good. */
	assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
	assert_int_equal(s.told, 0);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_UNSETTLED, "deadline");
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
	hb_clock_thaw();
}

static void
test_late_failure(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 1, MEMORY);
	ship(&s, &site, 1);
	start(&s);
	pass_ms(1);
	await_late(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_UNKNOWN);
	expect_receipt(&s, HB_UNSETTLED, "deadline");
	expect_end(&s, HB_UNSETTLED);
	site_close(&site);
	hb_clock_thaw();
}

/* The time runs from when the tracker is made, started or not. */
static void
test_late_before_start(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 1, MEMORY);
	ship(&s, &site, 1);
	assert_false(hb_tracker_is_late(s.tracker));
	pass_ms(1);
	await_late(&s);
	assert_int_equal(s.receipts, 0);
	hb_tracker_free(s.tracker);
	site_close(&site);
	hb_clock_thaw();
}

/* A tracker that is not needed leaves no deadline behind. */
static void
test_never_started(void **state)
{
	struct shipment s, other;
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 1, MEMORY);
	ship(&s, &site, 1);
	assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
	hb_tracker_free(s.tracker);
	site_check_idle(&site);
	/* One that comes after it would find it in its way. */
	pass_ms(1);
	ship(&other, &site, 1);
	pass_ms(1);
	await_late(&other);
	hb_tracker_free(other.tracker);
	assert_int_equal(s.receipts, 0);
	site_close(&site);
	hb_clock_thaw();
}

/* The answer is given elsewhere: deliveries go on, silently. */
static void
test_detach(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, 2);
	start(&s);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	hb_tracker_detach(s.tracker);
	assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	assert_int_equal(s.receipts, 0);
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
}

/* The first failure decides for the sender, not for the others. */
static void
test_first_failure_answers(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, DESTS);
	start(&s);
	site_report(&site, site.main_sink, 1, HB_REPORT_UNKNOWN);
	expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
	assert_int_equal(fake_held(site.main_sink), 2);
	assert_int_equal(s.told, 0);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
	site_report(&site, site.main_sink, 0, HB_REPORT_RETRY);
	expect_receipt(&s, HB_UNSETTLED, "delivery-failed");
	expect_end(&s, HB_UNSETTLED);
	site_close(&site);
}

/* --- without a claim ------------------------------------------------------ */

static void
test_unclaimed(void **state)
{
	struct hb_dedup_flight flight;
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	ship(&s, &site, 1);
	hb_tracker_start(s.tracker, &s.plan, false, on_receipt, &s);
	assert_int_equal(claim(&s, &flight), HB_CLAIM_NEW);
	hb_dedup_end(site.dedup, &flight, HB_UNSETTLED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_CONFIRMED, NULL);
	assert_false(is_seen(&s));
	site_close(&site);
}

/* --- what rendering gave up ----------------------------------------------- */

static int64_t
count_of(enum hb_metric_family family, const struct hb_target_conf *target)
{
	return hb_metric_value(hb_metric_get(family,
	    target->sink->name, target->dests[0]->label, NULL, NULL));
}

static void
test_replacements_are_counted(void **state)
{
	int64_t keys, headers;
	struct shipment s;
	struct site site;

	(void)state;
	site_open(&site);
	keys = count_of(HB_M_KEYS_REPLACED, site.targets[0]);
	headers = count_of(HB_M_HEADERS_LEFT_OUT, site.targets[1]);
	rig_header(&site.rig, site.targets[1], "x-one", "{metadata.kind}");
	rig_header(&site.rig, site.targets[1], "x-two", "{metadata.tag}");
	ship(&s, &site, 2);
	s.plan.legs[0].key_replaced = true;
	start(&s);
	assert_int_equal(count_of(HB_M_KEYS_REPLACED, site.targets[0]),
	    keys + 1);
	assert_int_equal(count_of(HB_M_HEADERS_LEFT_OUT, site.targets[1]),
	    headers + 2);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_CONFIRMED);
	/* Not counted for what is not sent. */
	hb_sink_set_health(&site.main_sink->sink, HB_DOWN, "refused");
	ship(&s, &site, 2);
	s.plan.legs[0].key_replaced = true;
	start(&s);
	assert_int_equal(count_of(HB_M_KEYS_REPLACED, site.targets[0]),
	    keys + 1);
	assert_int_equal(count_of(HB_M_HEADERS_LEFT_OUT, site.targets[1]),
	    headers + 2);
	site_close(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_reports_come_later),
		cmocka_unit_test(test_every_report_at_every_place),
		cmocka_unit_test(test_refused_by_the_sink),
		cmocka_unit_test(test_refused_without_a_reason),
		cmocka_unit_test(test_dead_letter_fails),
		cmocka_unit_test(test_refused_before_sending),
		cmocka_unit_test(test_whole_event_refused),
		cmocka_unit_test(test_no_dead_letter),
		cmocka_unit_test(test_dead_letter_does_not_fit),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_budget_is_charged),
		cmocka_unit_test(test_budget_is_exhausted),
		cmocka_unit_test(test_ack_deadline),
		cmocka_unit_test(test_late_failure),
		cmocka_unit_test(test_late_before_start),
		cmocka_unit_test(test_never_started),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_first_failure_answers),
		cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_replacements_are_counted),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
