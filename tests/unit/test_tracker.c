/* SPDX-License-Identifier: Apache-2.0 */
/* test_tracker.c - an event's way to its destinations, in every order in which
 * they may report */
#include "hookbridge/tracker.h"

#include <event2/event.h>
#include <time.h>

#include "fake_sink.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "route_rig.h"

#define SAFETY_MS 20000
#define LONG_MS 60000
#define MEMORY (1024 * 1024)
#define DESTS 3
#define BODY "{\"job_id\":\"job-1\"}"

/* --- a courier at work ---------------------------------------------------- */

/* Destinations a, b, c of the sink "main"; dead letters go to "dead:letters".
 * Labels are names, and every site counts on from the one before. */
struct site {
	struct rig rig;
	struct hb_sink_conf *confs[2];
	struct hb_target_conf *targets[DESTS], *dead;
	struct fakes fakes;
	struct fake *main_sink, *dead_sink;
	struct hb_loop *loop;
	struct hb_budget budget;
	struct hb_dedup *dedup;
	struct hb_deliver *deliver;
	struct hb_courier *courier;
	unsigned events; /* made so far */
};

static void
configure(struct site *site, uint64_t ack_timeout_ms)
{
	static const char *const names[DESTS] = { "a", "b", "c" };
	struct rig *rig = &site->rig;

	rig_init(rig);
	rig->endpoint.dedup = true;
	rig->cfg.dedup.window_ms = 3600 * 1000;
	rig->cfg.dedup.max_entries = 100000;
	rig->cfg.delivery.ack_timeout_ms = ack_timeout_ms;
	site->confs[0] = rig_sink(rig, "main");
	site->confs[1] = rig_sink(rig, "dead");
	site->confs[1]->index = 1;
	for (size_t i = 0; i < DESTS; i++)
		site->targets[i] =
		    rig_target(rig, site->confs[0], names[i], NULL, NULL);
	site->dead = rig_target(rig, site->confs[1], "letters", NULL, NULL);
	rig->cfg.dead_letter = site->dead;
}

static void
site_open_at(struct site *site, uint64_t ack_timeout_ms, uint64_t memory)
{
	*site = (struct site){ .events = 0 };
	configure(site, ack_timeout_ms);
	fakes_open(&site->fakes, &site->rig.cfg, site->confs, 2);
	site->main_sink = &site->fakes.items[0];
	site->dead_sink = &site->fakes.items[1];
	site->loop = hb_loop_new("test", NULL);
	assert_non_null(site->loop);
	hb_budget_init(&site->budget, memory);
	site->dedup = hb_dedup_new(&site->rig.cfg);
	site->deliver = hb_deliver_new(&site->rig.cfg,
	    fakes_as_sinks(&site->fakes), site->dedup, &site->budget);
	site->courier = hb_courier_new(site->deliver, site->loop);
}

static void
site_open(struct site *site)
{
	site_open_at(site, LONG_MS, MEMORY);
}

/* Nothing is left of any event. */
static void
site_check_idle(struct site *site)
{
	assert_int_equal(hb_deliver_in_flight(site->deliver), 0);
	assert_int_equal(hb_metric_value(hb_metric_get(HB_M_EVENTS_IN_FLIGHT,
	    NULL, NULL, NULL, NULL)), 0);
	assert_int_equal(site->budget.used, 0);
	assert_int_equal(site->rig.share.used, 0);
	assert_int_equal(site->rig.cfg.refs, 1);
}

static void
site_close(struct site *site)
{
	site_check_idle(site);
	hb_courier_free(site->courier);
	hb_loop_free(site->loop);
	hb_deliver_free(site->deliver);
	hb_dedup_free(site->dedup);
	fakes_close(&site->fakes);
	rig_fini(&site->rig);
}

/* Runs what is in the mailbox and what is due. */
static void
site_turn(struct site *site)
{
	event_base_loop(hb_loop_base(site->loop), EVLOOP_NONBLOCK);
}

static void
site_report(struct site *site, struct fake *fake, size_t which,
    enum hb_report report)
{
	fake_report(fake, which, report, NULL);
	site_turn(site);
}

/* --- events --------------------------------------------------------------- */

struct shipment {
	struct site *site;
	struct hb_tracker *tracker;
	struct hb_plan plan;
	char id[32];
	unsigned receipts;
	struct hb_receipt receipt; /* the last */
	/* Another request with the same id. */
	struct hb_dedup_waiter waiter;
	unsigned told;
};

static void
on_receipt(void *arg, const struct hb_receipt *receipt)
{
	struct shipment *s = arg;

	s->receipts++;
	s->receipt = *receipt;
}

static void
on_end(struct hb_dedup_waiter *waiter)
{
	hb_container_of(waiter, struct shipment, waiter)->told++;
}

static enum hb_claim
claim(struct shipment *s, struct hb_dedup_flight *flight)
{
	s->waiter.home = s->site->loop;
	s->waiter.on_end = on_end;
	return hb_dedup_claim(s->site->dedup, &s->site->rig.endpoint,
	    hb_span_of(s->id), 0, flight, &s->waiter);
}

/* An event with its body in the budget, on its way to the first `legs` of a,
 * b, c; not started. */
static void
ship(struct shipment *s, struct site *site, size_t legs)
{
	struct hb_event *ev = rig_event(&site->rig, NULL, BODY);

	*s = (struct shipment){ .site = site };
	snprintf(s->id, sizeof(s->id), "msg_%u", site->events++);
	ev->id = ev->webhook_id = hb_arena_dup(ev->arena, hb_span_of(s->id));
	assert_true(hb_budget_take(&site->budget, &site->rig.share,
	    strlen(BODY)));
	ev->budget = &site->budget;
	ev->charged = strlen(BODY);
	s->plan.leg_count = legs;
	for (size_t i = 0; i < legs; i++)
		s->plan.legs[i] = (struct hb_leg){ .target = site->targets[i],
			.dest = site->targets[i]->dests[0],
			.key = HB_SPAN("job-1") };
	s->tracker = hb_tracker_new(site->courier, ev);
}

/* A leg that routing refused already. */
static void
refuse_leg(struct shipment *s, size_t which, const char *reason)
{
	struct hb_leg *leg = &s->plan.legs[which];

	leg->dest = NULL;
	leg->reason = reason;
	leg->name = HB_SPAN("no such");
}

/* Claims and starts it; then another request with its id joins, if it can. */
static void
start(struct shipment *s)
{
	struct hb_dedup_flight unused;

	assert_int_equal(claim(s, hb_tracker_flight(s->tracker)),
	    HB_CLAIM_NEW);
	hb_tracker_start(s->tracker, &s->plan, true, on_receipt, s);
	if (s->receipts == 0)
		assert_int_equal(claim(s, &unused), HB_CLAIM_JOINED);
}

static void
expect_receipt(const struct shipment *s, enum hb_outcome outcome,
    const char *reason)
{
	assert_int_equal(s->receipts, 1);
	assert_int_equal(s->receipt.outcome, outcome);
	if (reason == NULL)
		assert_null(s->receipt.reason);
	else
		assert_string_equal(s->receipt.reason, reason);
}

/* Whether its id counts as settled; true leaves it so. */
static bool
is_seen(struct shipment *s)
{
	struct hb_dedup_flight flight;

	switch (claim(s, &flight)) {
	case HB_CLAIM_SEEN:
		return true;
	case HB_CLAIM_NEW:
		hb_dedup_end(s->site->dedup, &flight, HB_UNSETTLED);
		return false;
	default:
		fail_msg("still under way");
		return false;
	}
}

/* The tracker has ended: everyone knows, nothing is left. */
static void
expect_end(struct shipment *s, enum hb_outcome outcome)
{
	site_turn(s->site);
	site_check_idle(s->site);
	assert_int_equal(s->told, 1);
	assert_int_equal(s->waiter.outcome, outcome);
	assert_int_equal(is_seen(s), outcome != HB_UNSETTLED);
}

/* --- the books ------------------------------------------------------------ */

struct books {
	int64_t confirmed, dead_lettered, failed, pending;
};

static int64_t
deliveries(const struct hb_dest_conf *dest, const char *outcome)
{
	return hb_metric_value(hb_metric_get(HB_M_DELIVERIES, dest->sink->name,
	    dest->label, outcome, NULL));
}

static struct books
read_books(const struct hb_target_conf *target)
{
	const struct hb_dest_conf *dest = target->dests[0];

	return (struct books){ deliveries(dest, "confirmed"),
		deliveries(dest, "dead_lettered"), deliveries(dest, "failed"),
		hb_metric_value(hb_metric_get(HB_M_DELIVERIES_PENDING,
		    dest->sink->name, dest->label, NULL, NULL)) };
}

/* What has been booked since then. */
static void
expect_books(const struct hb_target_conf *target, const struct books *then,
    int64_t confirmed, int64_t dead_lettered, int64_t failed, int64_t pending)
{
	struct books now = read_books(target);

	assert_int_equal(now.confirmed - then->confirmed, confirmed);
	assert_int_equal(now.dead_lettered - then->dead_lettered,
	    dead_lettered);
	assert_int_equal(now.failed - then->failed, failed);
	assert_int_equal(now.pending, pending);
}

static int64_t
dead_letters(const char *reason)
{
	return hb_metric_value(
	    hb_metric_get(HB_M_DEAD_LETTERS, reason, NULL, NULL, NULL));
}

static struct hb_span
header_of(const struct hb_message *msg, const char *name)
{
	for (size_t i = 0; i < msg->header_count; i++)
		if (hb_span_eq(msg->headers[i].name, hb_span_of(name)))
			return msg->headers[i].value;
	return HB_SPAN_NONE;
}

static void
assert_text(struct hb_span got, const char *want)
{
	if (!hb_span_eq(got, hb_span_of(want)))
		fail_msg("got %.*s, want %s", HB_SPAN_ARG(got), want);
}

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

/* The clock stands still; deadlines fall due only when it is moved on. */
static void
freeze(void)
{
	hb_clock_freeze(1000000, 1767225600000);
}

static void
pass_ms(uint64_t ms)
{
	hb_clock_freeze(hb_clock_mono_ms() + ms, hb_clock_wall_ms());
}

static void
await_late(struct shipment *s)
{
	time_t since = time(NULL);

	while (!hb_tracker_is_late(s->tracker)) {
		if (time(NULL) - since > SAFETY_MS / 1000)
			fail_msg("the deadline does not come");
		site_turn(s->site);
	}
}

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

/* --- every interleaving --------------------------------------------------- */

/* A sequence of choices; the next one differs in the last place that has an
 * alternative left. */
struct path {
	unsigned choice[32], limit[32];
	size_t len, pos;
};

static unsigned
choose(struct path *path, unsigned limit)
{
	if (path->pos == path->len) {
		assert_true(path->len < HB_COUNT(path->choice));
		path->choice[path->len] = 0;
		path->limit[path->len++] = limit;
	}
	assert_int_equal(path->limit[path->pos], limit);
	return path->choice[path->pos++];
}

static bool
next_path(struct path *path)
{
	path->pos = 0;
	while (path->len > 0 &&
	    ++path->choice[path->len - 1] == path->limit[path->len - 1])
		path->len--;
	return path->len > 0;
}

/* What must be true, kept by the book. */
struct model {
	unsigned pending;
	bool failed, dead_lettered;
	bool answered, detached;
	struct hb_receipt receipt;
};

static void
model_answer(struct model *m, enum hb_outcome outcome, const char *reason)
{
	if (m->answered || m->detached)
		return;
	m->answered = true;
	m->receipt = (struct hb_receipt){ outcome, reason };
}

static enum hb_outcome
model_outcome(const struct model *m)
{
	return m->failed ? HB_UNSETTLED
	    : m->dead_lettered ? HB_DEAD_LETTERED : HB_CONFIRMED;
}

static void
model_report(struct model *m, bool of_copy, enum hb_report report)
{
	m->pending--;
	if (report == HB_REPORT_REFUSED && !of_copy)
		m->pending++; /* the copy */
	else if (report != HB_REPORT_CONFIRMED)
		m->failed = true;
	else if (of_copy)
		m->dead_lettered = true;
	if (m->failed)
		model_answer(m, HB_UNSETTLED, "delivery-failed");
	else if (m->pending == 0)
		model_answer(m, model_outcome(m), NULL);
}

static void
check_against(const struct model *m, struct shipment *s)
{
	struct site *site = s->site;

	assert_int_equal(s->receipts, m->answered ? 1 : 0);
	if (m->answered)
		expect_receipt(s, m->receipt.outcome, m->receipt.reason);
	assert_int_equal(fake_held(site->main_sink) +
	    fake_held(site->dead_sink), m->pending);
	if (m->pending > 0) {
		assert_int_equal(s->told, 0);
		assert_int_equal(hb_deliver_in_flight(site->deliver), 1);
	}
}

/* Reports one of those under way, as the path says. */
static void
report_chosen(struct path *path, struct model *m, struct shipment *s)
{
	struct site *site = s->site;
	size_t of_main = fake_held(site->main_sink);
	unsigned which = choose(path, m->pending);
	enum hb_report report = (enum hb_report)choose(path, 4);
	bool of_copy = which >= of_main;

	if (of_copy)
		site_report(site, site->dead_sink, which - of_main, report);
	else
		site_report(site, site->main_sink, which, report);
	model_report(m, of_copy, report);
}

enum interruption { REPORT, DEADLINE, DETACH, INTERRUPTIONS };

/* Before a report, time may be up or the answer no longer wanted. */
static void
interrupt_chosen(struct path *path, struct model *m, struct shipment *s)
{
	if (m->answered || m->detached)
		return;
	switch ((enum interruption)choose(path, INTERRUPTIONS)) {
	case DEADLINE:
		pass_ms(1);
		await_late(s);
		model_answer(m, HB_UNSETTLED, "deadline");
		break;
	case DETACH:
		hb_tracker_detach(s->tracker);
		m->detached = true;
		break;
	default:
		break;
	}
	check_against(m, s);
}

/* Plays every path with so many destinations; how many there were. */
static unsigned
play_all(struct site *site, size_t legs, bool interrupted)
{
	struct path path = { .len = 0 };
	unsigned played = 0;

	do {
		struct model m = { .pending = (unsigned)legs };
		struct shipment s;

		ship(&s, site, legs);
		start(&s);
		while (m.pending > 0) {
			if (interrupted)
				interrupt_chosen(&path, &m, &s);
			report_chosen(&path, &m, &s);
			check_against(&m, &s);
		}
		expect_end(&s, model_outcome(&m));
		check_against(&m, &s);
		played++;
	} while (next_path(&path));
	return played;
}

/* All orders of reports, of copies too, and all outcomes of each. */
static void
test_all_orders(void **state)
{
	struct books before[DESTS], all = { 0, 0, 0, 0 };
	unsigned played, sent = 0;
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < DESTS; i++)
		before[i] = read_books(site.targets[i]);
	played = play_all(&site, DESTS, false);
	/* n originals and c copies under way can go on in f(n, c) ways:
	 * f(n, c) = n (3 f(n-1, c) + f(n-1, c+1)) + 4 c f(n, c-1), f(0, 0) = 1.
	 */
	assert_int_equal(played, 11538);
	for (size_t i = 0; i < DESTS; i++) {
		struct books now = read_books(site.targets[i]);

		all.confirmed += now.confirmed - before[i].confirmed;
		all.dead_lettered +=
		    now.dead_lettered - before[i].dead_lettered;
		all.failed += now.failed - before[i].failed;
		assert_int_equal(now.pending, 0);
		sent += site.main_sink->sent[site.targets[i]->dests[0]->index];
	}
	assert_int_equal(sent, DESTS * played);
	assert_int_equal(all.confirmed + all.dead_lettered + all.failed, sent);
	assert_true(all.confirmed > 0 && all.dead_lettered > 0 &&
	    all.failed > 0);
	site_close(&site);
}

static void
test_all_interruptions(void **state)
{
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 1, MEMORY);
	assert_true(play_all(&site, 2, true) > 3 * 186);
	site_close(&site);
	hb_clock_thaw();
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
		cmocka_unit_test(test_all_orders),
		cmocka_unit_test(test_all_interruptions),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
