/* SPDX-License-Identifier: Apache-2.0 */
/* tracker_rig.h - a courier at work, events for it, and the books */
#ifndef HOOKBRIDGE_TESTS_TRACKER_RIG_H
#define HOOKBRIDGE_TESTS_TRACKER_RIG_H

#include <event2/event.h>
#include <time.h>

#include "fake_sink.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/tracker.h"
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

static inline void
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

static inline void
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
	site->dedup = hb_dedup_new(&site->rig.cfg, NULL, NULL);
	site->deliver = hb_deliver_new(&(struct hb_deliver_env){
	    .cfg = &site->rig.cfg,
	    .sinks = fakes_as_sinks(&site->fakes),
	    .dedup = site->dedup,
	    .budget = &site->budget });
	site->courier = hb_courier_new(site->deliver, site->loop);
}

static inline void
site_open(struct site *site)
{
	site_open_at(site, LONG_MS, MEMORY);
}

/* Nothing is left of any event. */
static inline void
site_check_idle(struct site *site)
{
	assert_int_equal(hb_deliver_in_flight(site->deliver), 0);
	assert_int_equal(hb_metric_value(hb_metric_get(HB_M_EVENTS_IN_FLIGHT,
	    NULL, NULL, NULL, NULL)), 0);
	assert_int_equal(site->budget.used, 0);
	assert_int_equal(site->rig.share.used, 0);
	assert_int_equal(site->rig.cfg.refs, 1);
}

static inline void
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
static inline void
site_turn(struct site *site)
{
	event_base_loop(hb_loop_base(site->loop), EVLOOP_NONBLOCK);
}

static inline void
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

static inline void
on_receipt(void *arg, const struct hb_receipt *receipt)
{
	struct shipment *s = arg;

	s->receipts++;
	s->receipt = *receipt;
}

static inline void
on_end(struct hb_dedup_waiter *waiter)
{
	hb_container_of(waiter, struct shipment, waiter)->told++;
}

static inline enum hb_claim
claim(struct shipment *s, struct hb_dedup_flight *flight)
{
	s->waiter.home = s->site->loop;
	s->waiter.on_end = on_end;
	return hb_dedup_claim(s->site->dedup, &s->site->rig.endpoint,
	    hb_span_of(s->id), 0, flight, &s->waiter);
}

/* An event with its body in the budget, on its way to the first `legs` of a,
 * b, c; not started. */
static inline void
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
static inline void
refuse_leg(struct shipment *s, size_t which, const char *reason)
{
	struct hb_leg *leg = &s->plan.legs[which];

	leg->dest = NULL;
	leg->reason = reason;
	leg->name = HB_SPAN("no such");
}

/* Claims and starts it; then another request with its id joins, if it can. */
static inline void
start(struct shipment *s)
{
	struct hb_dedup_flight unused;

	assert_int_equal(claim(s, hb_tracker_flight(s->tracker)),
	    HB_CLAIM_NEW);
	hb_tracker_start(s->tracker, &s->plan, true, on_receipt, s);
	if (s->receipts == 0)
		assert_int_equal(claim(s, &unused), HB_CLAIM_JOINED);
}

static inline void
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
static inline bool
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
static inline void
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

static inline int64_t
deliveries(const struct hb_dest_conf *dest, const char *outcome)
{
	return hb_metric_value(hb_metric_get(HB_M_DELIVERIES, dest->sink->name,
	    dest->label, outcome, NULL));
}

static inline struct books
read_books(const struct hb_target_conf *target)
{
	const struct hb_dest_conf *dest = target->dests[0];

	return (struct books){ deliveries(dest, "confirmed"),
		deliveries(dest, "dead_lettered"), deliveries(dest, "failed"),
		hb_metric_value(hb_metric_get(HB_M_DELIVERIES_PENDING,
		    dest->sink->name, dest->label, NULL, NULL)) };
}

/* What has been booked since then. */
static inline void
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

static inline int64_t
dead_letters(const char *reason)
{
	return hb_metric_value(
	    hb_metric_get(HB_M_DEAD_LETTERS, reason, NULL, NULL, NULL));
}

static inline struct hb_span
header_of(const struct hb_message *msg, const char *name)
{
	for (size_t i = 0; i < msg->header_count; i++)
		if (hb_span_eq(msg->headers[i].name, hb_span_of(name)))
			return msg->headers[i].value;
	return HB_SPAN_NONE;
}

static inline void
assert_text(struct hb_span got, const char *want)
{
	if (!hb_span_eq(got, hb_span_of(want)))
		fail_msg("got %.*s, want %s", HB_SPAN_ARG(got), want);
}

/* --- time ----------------------------------------------------------------- */

/* The clock stands still; deadlines fall due only when it is moved on. */
static inline void
freeze(void)
{
	hb_clock_freeze(1000000, 1767225600000);
}

static inline void
pass_ms(uint64_t ms)
{
	hb_clock_freeze(hb_clock_mono_ms() + ms, hb_clock_wall_ms());
}

static inline void
await_late(struct shipment *s)
{
	time_t since = time(NULL);

	while (!hb_tracker_is_late(s->tracker)) {
		if (time(NULL) - since > SAFETY_MS / 1000)
			fail_msg("the deadline does not come");
		site_turn(s->site);
	}
}

#endif
