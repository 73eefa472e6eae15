/* SPDX-License-Identifier: Apache-2.0 */
/* tracker.c - the only place that moves a delivery's state
 *
 *   leg of the plan ─► PENDING ──confirmed──► CONFIRMED
 *                         │ refused, or refused already by the plan
 *                         ├────────────────► DEAD: its copy to dead_letter
 *                         │                  is a delivery of its own
 *                         └──retry, unknown─► FAILED
 *
 * Before anything is sent, all deliveries are rendered, sized, paid for from
 * the budget, and their destinations looked at: an event that cannot settle
 * now costs its other destinations no duplicate.
 *
 * The receipt is given once: when nothing is pending, at the first failure, or
 * at the ack deadline, whichever comes first. The tracker itself ends when
 * nothing is pending; then its claim ends, and what waits for it is told.
 *
 * Invariants: (1) pending counts deliveries that were sent and not reported;
 * (2) an event is marked seen only when no delivery of it failed. */
#include "hookbridge/tracker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/deadline.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

struct dest_metrics {
	struct hb_metric *confirmed, *dead_lettered, *failed, *pending;
};

struct hb_deliver {
	const struct hb_config *cfg;
	struct hb_sinks *sinks;
	struct hb_dedup *dedup;
	struct hb_budget *budget;
	_Atomic unsigned in_flight;
	struct hb_metric *metric_in_flight;
	struct dest_metrics *dests; /* by hb_dest_conf.index */
};

struct hb_courier {
	struct hb_deliver *deliver;
	struct hb_loop *loop;
	struct hb_deadlines acks;
};

/* One delivery and what it is for. */
struct parcel {
	struct hb_delivery delivery;
	struct hb_tracker *tracker;
	/* A copy for the dead letters: why; NULL for an ordinary delivery. */
	const char *dead_reason;
};

struct hb_tracker {
	struct hb_courier *courier;
	struct hb_event *ev;
	struct hb_render render;
	struct hb_dedup_flight flight;
	bool claimed;

	struct parcel *parcels;
	size_t parcel_count, pending;
	bool failed, dead_lettered;
	uint64_t cost; /* of all parcels */
	uint64_t paid; /* taken from the budget when they were sent */

	struct hb_deadline ack;
	hb_receipt_fn *on_receipt; /* NULL once given */
	void *arg;
};

/* --- what all trackers share ---------------------------------------------- */

const char *
hb_outcome_word(enum hb_outcome outcome)
{
	switch (outcome) {
	case HB_CONFIRMED:
		return "confirmed";
	case HB_DEAD_LETTERED:
		return "dead-lettered";
	case HB_UNSETTLED:
		break;
	}
	return "unsettled";
}

static void
dest_metrics_init(struct dest_metrics *m, const struct hb_dest_conf *dest)
{
	const char *sink = dest->sink->name;

	m->confirmed = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "confirmed", NULL);
	m->dead_lettered = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "dead_lettered", NULL);
	m->failed = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "failed", NULL);
	m->pending = hb_metric_get(HB_M_DELIVERIES_PENDING, sink, dest->label,
	    NULL, NULL);
}

struct hb_deliver *
hb_deliver_new(const struct hb_config *cfg, struct hb_sinks *sinks,
    struct hb_dedup *dedup, struct hb_budget *budget)
{
	struct hb_deliver *deliver = hb_xcalloc(1, sizeof(*deliver));

	deliver->cfg = cfg;
	deliver->sinks = sinks;
	deliver->dedup = dedup;
	deliver->budget = budget;
	deliver->metric_in_flight = hb_metric_get(HB_M_EVENTS_IN_FLIGHT,
	    NULL, NULL, NULL, NULL);
	deliver->dests = hb_xcalloc(cfg->dest_count, sizeof(*deliver->dests));
	for (size_t i = 0; i < cfg->dest_count; i++)
		dest_metrics_init(&deliver->dests[i], cfg->dests[i]);
	return deliver;
}

void
hb_deliver_free(struct hb_deliver *deliver)
{
	if (deliver == NULL)
		return;
	free(deliver->dests);
	free(deliver);
}

unsigned
hb_deliver_in_flight(const struct hb_deliver *deliver)
{
	return atomic_load(&deliver->in_flight);
}

/* --- the receipt ---------------------------------------------------------- */

/* Gives the receipt, unless it was given. May free what arg points to. */
static void
give_receipt(struct hb_tracker *tracker, enum hb_outcome outcome,
    const char *reason)
{
	hb_receipt_fn *on_receipt = tracker->on_receipt;
	struct hb_receipt receipt = { outcome, reason };

	hb_deadline_cancel(&tracker->ack);
	tracker->on_receipt = NULL;
	if (on_receipt != NULL)
		on_receipt(tracker->arg, &receipt);
}

static void
on_ack_due(struct hb_deadline *ack)
{
	give_receipt(hb_container_of(ack, struct hb_tracker, ack), HB_UNSETTLED,
	    "deadline");
}

/* The answer is no longer wanted; the deliveries go on. */
void
hb_tracker_detach(struct hb_tracker *tracker)
{
	hb_deadline_cancel(&tracker->ack);
	tracker->on_receipt = NULL;
}

struct hb_courier *
hb_courier_new(struct hb_deliver *deliver, struct hb_loop *loop)
{
	struct hb_courier *courier = hb_xcalloc(1, sizeof(*courier));

	courier->deliver = deliver;
	courier->loop = loop;
	hb_deadlines_init(&courier->acks, loop,
	    deliver->cfg->delivery.ack_timeout_ms, on_ack_due);
	return courier;
}

void
hb_courier_free(struct hb_courier *courier)
{
	if (courier == NULL)
		return;
	hb_deadlines_fini(&courier->acks);
	free(courier);
}

/* --- the end of a tracker ------------------------------------------------- */

/* "main:reducto.invoices,streams:reducto:production", cut to the buffer. */
static void
list_destinations(const struct hb_tracker *tracker, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < tracker->parcel_count && len < size; i++) {
		const struct hb_dest_conf *dest =
		    tracker->parcels[i].delivery.msg.dest;
		int n = snprintf(out + len, size - len, "%s%s%s%s",
		    len > 0 ? "," : "", dest->sink->name,
		    dest->name[0] != '\0' ? ":" : "", dest->name);

		len += n > 0 ? (size_t)n : 0;
	}
}

static enum hb_outcome
outcome_of(const struct hb_tracker *tracker)
{
	if (tracker->failed)
		return HB_UNSETTLED;
	return tracker->dead_lettered ? HB_DEAD_LETTERED : HB_CONFIRMED;
}

static void
log_settled(const struct hb_tracker *tracker, enum hb_outcome outcome)
{
	const struct hb_event *ev = tracker->ev;
	char dst[512];

	if (outcome == HB_UNSETTLED || !hb_log_enabled(HB_LOG_INFO))
		return;
	list_destinations(tracker, dst, sizeof(dst));
	hb_log(HB_LOG_INFO, "event.settled",
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_SPAN("job", ev->job_id), HB_F_STR("outcome", hb_outcome_word(outcome)),
	    HB_F_STR("dst", dst),
	    HB_F_I64("ms", hb_clock_wall_ms() - ev->received_ms));
}

/* Releases a tracker that has nothing pending, and the event it sits in. */
void
hb_tracker_free(struct hb_tracker *tracker)
{
	struct hb_deliver *deliver = tracker->courier->deliver;

	if (tracker->paid > 0)
		hb_budget_give(deliver->budget, tracker->ev->endpoint->share,
		    tracker->paid);
	hb_event_unref(tracker->ev);
	atomic_fetch_sub(&deliver->in_flight, 1);
	hb_metric_dec(deliver->metric_in_flight);
}

/* Nothing is pending any more: ends the claim, answers, frees. */
static void
finish(struct hb_tracker *tracker, const char *reason)
{
	enum hb_outcome outcome = outcome_of(tracker);

	if (tracker->claimed)
		hb_dedup_end(tracker->courier->deliver->dedup, &tracker->flight,
		    outcome);
	log_settled(tracker, outcome);
	give_receipt(tracker, outcome, reason);
	hb_tracker_free(tracker);
}

/* --- sending and reports -------------------------------------------------- */

static void
send_parcel(struct hb_tracker *tracker, struct parcel *parcel)
{
	struct hb_deliver *deliver = tracker->courier->deliver;
	struct hb_delivery *delivery = &parcel->delivery;

	hb_metric_inc(deliver->dests[delivery->msg.dest->index].pending);
	tracker->pending++;
	delivery->sent_us = hb_clock_mono_us();
	delivery->sink->ops->send(delivery->sink, delivery);
}

static void on_report(struct hb_delivery *delivery);

/* A new parcel with everything but its message. */
static struct parcel *
add_parcel(struct hb_tracker *tracker)
{
	struct parcel *parcel = &tracker->parcels[tracker->parcel_count++];

	parcel->tracker = tracker;
	parcel->delivery.home = tracker->courier->loop;
	parcel->delivery.on_report = on_report;
	return parcel;
}

/* Addresses a parcel to the sink of its message's destination. */
static void
address(struct hb_tracker *tracker, struct parcel *parcel)
{
	parcel->delivery.sink = hb_sinks_of(tracker->courier->deliver->sinks,
	    parcel->delivery.msg.dest);
	tracker->cost += hb_message_cost(&parcel->delivery.msg);
}

/* Makes the copy for the dead letters; NULL when there is nowhere to put it. */
static struct parcel *
add_dead_letter(struct hb_tracker *tracker, const char *reason,
    struct hb_span destination)
{
	const struct hb_target_conf *target =
	    tracker->courier->deliver->cfg->dead_letter;
	struct parcel *parcel;

	if (target == NULL)
		return NULL;
	parcel = add_parcel(tracker);
	parcel->dead_reason = reason;
	hb_render_dead_letter(&tracker->render, target, reason, destination,
	    &parcel->delivery.msg);
	address(tracker, parcel);
	return parcel;
}

static void
count_dead_letter(struct hb_tracker *tracker, const char *reason)
{
	tracker->dead_lettered = true;
	hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS, reason, NULL, NULL,
	    NULL));
	hb_log_limited(HB_LOG_WARNING, "dead.added", HB_F_STR("reason", reason),
	    HB_F_STR("endpoint", tracker->ev->endpoint->name),
	    HB_F_SPAN("id", tracker->ev->id),
	    HB_F_SPAN("job", tracker->ev->job_id));
}

static void
log_failed(const struct hb_tracker *tracker, const struct parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->delivery.msg.dest;

	hb_log_limited(HB_LOG_WARNING, "delivery.failed",
	    HB_F_STR("endpoint", tracker->ev->endpoint->name),
	    HB_F_SPAN("id", tracker->ev->id),
	    HB_F_STR("sink", dest->sink->name), HB_F_STR("dst", dest->name),
	    HB_F_STR("why", parcel->delivery.why.text));
}

/* The sink will never take this event there: the dead letters may. */
static bool
refer_to_dead_letters(struct hb_tracker *tracker, const struct parcel *parcel)
{
	struct parcel *copy;

	if (parcel->dead_reason != NULL) /* the dead letters refused it too */
		return false;
	copy = add_dead_letter(tracker, parcel->delivery.why.reason != NULL
	    ? parcel->delivery.why.reason : "refused",
	    hb_span_of(parcel->delivery.msg.dest->name));
	if (copy == NULL)
		return false;
	send_parcel(tracker, copy);
	return true;
}

/* Moves one delivery to the state its report says. */
static void
settle(struct hb_tracker *tracker, struct parcel *parcel)
{
	struct dest_metrics *m = &tracker->courier->deliver
	    ->dests[parcel->delivery.msg.dest->index];

	switch (parcel->delivery.report) {
	case HB_REPORT_CONFIRMED:
		hb_metric_inc(m->confirmed);
		if (parcel->dead_reason != NULL)
			count_dead_letter(tracker, parcel->dead_reason);
		return;
	case HB_REPORT_REFUSED:
		if (refer_to_dead_letters(tracker, parcel)) {
			hb_metric_inc(m->dead_lettered);
			return;
		}
		break;
	case HB_REPORT_RETRY:
	case HB_REPORT_UNKNOWN:
		break;
	}
	hb_metric_inc(m->failed);
	tracker->failed = true;
	log_failed(tracker, parcel);
}

static void
on_report(struct hb_delivery *delivery)
{
	struct parcel *parcel =
	    hb_container_of(delivery, struct parcel, delivery);
	struct hb_tracker *tracker = parcel->tracker;

	hb_metric_dec(tracker->courier->deliver
	    ->dests[delivery->msg.dest->index].pending);
	tracker->pending--;
	settle(tracker, parcel);
	if (tracker->pending == 0)
		finish(tracker, tracker->failed ? "delivery-failed" : NULL);
	else if (tracker->failed)
		give_receipt(tracker, HB_UNSETTLED, "delivery-failed");
}

/* --- starting ------------------------------------------------------------- */

/* Makes the tracker of an event, in the event's own arena. */
struct hb_tracker *
hb_tracker_new(struct hb_courier *courier, struct hb_event *ev_take)
{
	struct hb_tracker *tracker =
	    hb_arena_calloc(ev_take->arena, 1, sizeof(*tracker));

	tracker->courier = courier;
	tracker->ev = ev_take;
	hb_render_init(&tracker->render, ev_take);
	atomic_fetch_add(&courier->deliver->in_flight, 1);
	hb_metric_inc(courier->deliver->metric_in_flight);
	return tracker;
}

struct hb_dedup_flight *
hb_tracker_flight(struct hb_tracker *tracker)
{
	return &tracker->flight;
}

/* Renders one leg of the plan into a parcel, or into a dead letter; NULL when
 * the event cannot settle. */
static struct parcel *
pack_leg(struct hb_tracker *tracker, const struct hb_leg *leg)
{
	struct hb_sinks *sinks = tracker->courier->deliver->sinks;
	struct parcel *parcel;
	struct hb_sink *sink;
	struct hb_error why;

	if (leg->reason != NULL)
		return add_dead_letter(tracker, leg->reason, leg->name);
	parcel = add_parcel(tracker);
	hb_render_leg(&tracker->render, leg, &parcel->delivery.msg);
	sink = hb_sinks_of(sinks, leg->dest);
	if (sink->ops->fits != NULL &&
	    !sink->ops->fits(sink, &parcel->delivery.msg, &why)) {
		tracker->parcel_count--;
		hb_metric_inc(tracker->courier->deliver
		    ->dests[leg->dest->index].dead_lettered);
		return add_dead_letter(tracker, "too-large",
		    hb_span_of(leg->dest->name));
	}
	address(tracker, parcel);
	return parcel;
}

/* Makes all parcels of the plan; false when one of them has nowhere to go. */
static bool
pack(struct hb_tracker *tracker, const struct hb_plan *plan)
{
	/* Every leg may need a second parcel, for its dead letter. */
	size_t most = 2 * plan->leg_count + 1;

	tracker->parcels = hb_arena_calloc(tracker->ev->arena, most,
	    sizeof(*tracker->parcels));
	if (plan->reason != NULL)
		return add_dead_letter(tracker, plan->reason,
			   HB_SPAN_NONE) != NULL;
	for (size_t i = 0; i < plan->leg_count; i++)
		if (pack_leg(tracker, &plan->legs[i]) == NULL)
			return false;
	return true;
}

/* Whether every destination can take something now. */
static bool
all_reachable(const struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++) {
		const struct hb_delivery *delivery =
		    &tracker->parcels[i].delivery;

		if (hb_dest_health(delivery->sink, delivery->msg.dest) ==
		    HB_DOWN)
			return false;
	}
	return true;
}

/* Why the event cannot be sent now, or NULL; then it is paid for. */
static const char *
admit(struct hb_tracker *tracker, const struct hb_plan *plan)
{
	uint64_t cost;

	if (!pack(tracker, plan))
		return "no-dead-letter";
	if (!all_reachable(tracker))
		return "sink-down";
	cost = tracker->cost;
	if (!hb_budget_take(tracker->courier->deliver->budget,
		tracker->ev->endpoint->share, cost))
		return "memory";
	tracker->paid = cost;
	return NULL;
}

/* Sends the event along its plan, whose legs are not needed afterwards. */
void
hb_tracker_start(struct hb_tracker *tracker, const struct hb_plan *plan,
    bool claimed, hb_receipt_fn *on_receipt, void *arg)
{
	const char *obstacle = admit(tracker, plan);

	tracker->claimed = claimed;
	tracker->on_receipt = on_receipt;
	tracker->arg = arg;
	if (obstacle != NULL) {
		tracker->failed = true;
		finish(tracker, obstacle);
		return;
	}
	hb_deadline_set(&tracker->courier->acks, &tracker->ack);
	/* Reports come by the loop, never from inside send(): the parcels of
	 * this event are all on their way before the first is reported. */
	for (size_t i = 0, n = tracker->parcel_count; i < n; i++)
		send_parcel(tracker, &tracker->parcels[i]);
}
