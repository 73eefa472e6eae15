/* SPDX-License-Identifier: Apache-2.0 */
/* tracker.c - the only place that moves a delivery's state
 *
 *   leg of the plan ─► PENDING ──confirmed────► CONFIRMED
 *         │               │ │
 *         │       refused │ └─retry, unknown──► FAILED
 *         ▼               ▼                       ▲
 *   refused, too large ─► its copy PENDING ───────┘ anything else
 *                         at dead_letter ──confirmed──► DEAD
 *
 * The copy is a delivery of its own, of the destination dead_letter; that it
 * stands in for is settled with it, and with it only.
 *
 * Before anything is sent, all deliveries are rendered, sized, paid for from
 * the budget, and their destinations looked at: an event that cannot settle
 * now costs its other destinations no duplicate.
 *
 * The receipt is given once: when nothing is pending, at the first failure, or
 * at the ack deadline, whichever comes first. The tracker itself ends when
 * nothing is pending; then its claim ends, and what waits for it is told.
 *
 * Invariants: (1) pending counts parcels that were sent and not reported;
 * (2) an event is marked seen only when no delivery of it failed; (3) of each
 * destination, deliveries sent = confirmed + dead-lettered + failed + pending,
 * in metrics too: what was not admitted is not counted. */
#include "hookbridge/tracker.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/deadline.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

struct dest_metrics {
	struct hb_metric *confirmed, *dead_lettered, *failed, *pending;
	struct hb_metric *keys_replaced, *headers_left_out;
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
	bool key_replaced;
	/* A copy for the dead letters: why; NULL for an ordinary delivery. */
	const char *dead_reason;
	/* Where it could not go; NULL: the copy is of the event as a whole. */
	const struct hb_dest_conf *stands_in_for;
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
	uint64_t unpaid; /* cost of parcels not sent yet */
	uint64_t paid;   /* taken from the budget for those that were */

	struct hb_deadline ack;
	bool late;                 /* it has passed */
	hb_receipt_fn *on_receipt; /* NULL before start and once given */
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
	m->keys_replaced = hb_metric_get(HB_M_KEYS_REPLACED, sink, dest->label,
	    NULL, NULL);
	m->headers_left_out = hb_metric_get(HB_M_HEADERS_LEFT_OUT, sink,
	    dest->label, NULL, NULL);
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
	struct hb_tracker *tracker =
	    hb_container_of(ack, struct hb_tracker, ack);

	tracker->late = true;
	give_receipt(tracker, HB_UNSETTLED, "deadline");
}

bool
hb_tracker_is_late(const struct hb_tracker *tracker)
{
	return tracker->late;
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
	    HB_F_SPAN("job", ev->job_id),
	    HB_F_STR("outcome", hb_outcome_word(outcome)),
	    HB_F_STR("dst", dst),
	    HB_F_I64("ms", hb_clock_wall_ms() - ev->received_ms));
}

/* Releases a tracker that has nothing pending, and the event it sits in. */
void
hb_tracker_free(struct hb_tracker *tracker)
{
	struct hb_deliver *deliver = tracker->courier->deliver;

	hb_deadline_cancel(&tracker->ack);
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

/* --- packing -------------------------------------------------------------- */

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

/* Addresses a parcel to the sink of its message's destination; false, and it
 * is no parcel any more, when it is too large for that. */
static bool
address(struct hb_tracker *tracker, struct parcel *parcel)
{
	const struct hb_message *msg = &parcel->delivery.msg;
	struct hb_sink *sink =
	    hb_sinks_of(tracker->courier->deliver->sinks, msg->dest);

	if (sink->ops->fits != NULL && !sink->ops->fits(sink, msg, NULL)) {
		*parcel = (struct parcel){ .tracker = NULL };
		tracker->parcel_count--;
		return false;
	}
	parcel->delivery.sink = sink;
	tracker->unpaid += hb_message_cost(msg);
	return true;
}

/* Makes the copy for the dead letters; NULL when there is nowhere to put it.
 * dest: where this delivery could not go, by name; NULL: the whole event could
 * go nowhere. */
static struct parcel *
add_dead_letter(struct hb_tracker *tracker, const char *reason,
    const struct hb_dest_conf *dest, struct hb_span name)
{
	struct hb_span place = HB_SPAN_NONE;
	const struct hb_target_conf *target =
	    tracker->courier->deliver->cfg->dead_letter;
	struct parcel *copy;

	if (target == NULL)
		return NULL;
	copy = add_parcel(tracker);
	copy->dead_reason = reason;
	copy->stands_in_for = dest;
	if (dest != NULL)
		place = hb_arena_printf(tracker->ev->arena, "%s:%.*s",
		    dest->sink->name, HB_SPAN_ARG(name));
	hb_render_dead_letter(&tracker->render, target, reason, place,
	    &copy->delivery.msg);
	return address(tracker, copy) ? copy : NULL;
}

/* Renders one leg of the plan into a parcel, or into a dead letter; NULL when
 * the event cannot settle. */
static struct parcel *
pack_leg(struct hb_tracker *tracker, const struct hb_leg *leg)
{
	struct parcel *parcel;

	if (leg->reason != NULL)
		return add_dead_letter(tracker, leg->reason,
		    leg->target->dests[0], leg->name);
	parcel = add_parcel(tracker);
	parcel->key_replaced = leg->key_replaced;
	hb_render_leg(&tracker->render, leg, &parcel->delivery.msg);
	return address(tracker, parcel) ? parcel
	    : add_dead_letter(tracker, "too-large", leg->dest,
		  hb_span_of(leg->dest->name));
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
		return add_dead_letter(tracker, plan->reason, NULL,
			   HB_SPAN_NONE) != NULL;
	for (size_t i = 0; i < plan->leg_count; i++)
		if (pack_leg(tracker, &plan->legs[i]) == NULL)
			return false;
	return true;
}

/* Takes what the new parcels cost from the budget, for as long as the event is
 * under way. */
static bool
pay(struct hb_tracker *tracker)
{
	uint64_t cost = tracker->unpaid;

	tracker->unpaid = 0;
	if (!hb_budget_take(tracker->courier->deliver->budget,
		tracker->ev->endpoint->share, cost))
		return false;
	tracker->paid += cost;
	return true;
}

/* --- sending -------------------------------------------------------------- */

static struct dest_metrics *
metrics_of(const struct parcel *parcel)
{
	return &parcel->tracker->courier->deliver
	    ->dests[parcel->delivery.msg.dest->index];
}

/* Of the destination that it stands in for, or NULL. */
static struct dest_metrics *
metrics_in_place_of(const struct parcel *parcel)
{
	return parcel->stands_in_for == NULL ? NULL
	    : &parcel->tracker->courier->deliver
	    ->dests[parcel->stands_in_for->index];
}

static void
count_sent(const struct parcel *parcel)
{
	struct dest_metrics *m = metrics_of(parcel);
	struct dest_metrics *other = metrics_in_place_of(parcel);

	hb_metric_inc(m->pending);
	if (other != NULL)
		hb_metric_inc(other->pending);
	if (parcel->key_replaced)
		hb_metric_inc(m->keys_replaced);
	if (parcel->delivery.msg.headers_left_out > 0)
		hb_metric_add(m->headers_left_out,
		    parcel->delivery.msg.headers_left_out);
}

static void
send_parcel(struct parcel *parcel)
{
	struct hb_delivery *delivery = &parcel->delivery;

	count_sent(parcel);
	parcel->tracker->pending++;
	delivery->sent_us = hb_clock_mono_us();
	delivery->sink->ops->send(delivery->sink, delivery);
}

/* --- reports -------------------------------------------------------------- */

static void
log_dead_letter(const struct parcel *copy)
{
	const struct hb_event *ev = copy->tracker->ev;

	hb_log_limited(HB_LOG_WARNING, "dead.added",
	    HB_F_STR("reason", copy->dead_reason),
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_SPAN("job", ev->job_id));
}

static void
log_failed(const struct parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->delivery.msg.dest;
	const struct hb_event *ev = parcel->tracker->ev;

	hb_log_limited(HB_LOG_WARNING, "delivery.failed",
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_STR("sink", dest->sink->name), HB_F_STR("dst", dest->name),
	    HB_F_STR("why", parcel->delivery.why.text));
}

static void
confirm(const struct parcel *parcel)
{
	struct dest_metrics *other = metrics_in_place_of(parcel);

	hb_metric_inc(metrics_of(parcel)->confirmed);
	if (other != NULL)
		hb_metric_inc(other->dead_lettered);
	if (parcel->dead_reason == NULL)
		return;
	parcel->tracker->dead_lettered = true;
	hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS, parcel->dead_reason,
	    NULL, NULL, NULL));
	log_dead_letter(parcel);
}

static void
fail(const struct parcel *parcel)
{
	struct dest_metrics *other = metrics_in_place_of(parcel);

	hb_metric_inc(metrics_of(parcel)->failed);
	if (other != NULL)
		hb_metric_inc(other->failed);
	parcel->tracker->failed = true;
	log_failed(parcel);
}

/* The sink will never take this event there: the dead letters may. */
static bool
refer_to_dead_letters(const struct parcel *parcel)
{
	struct hb_tracker *tracker = parcel->tracker;
	const struct hb_delivery *refused = &parcel->delivery;
	struct parcel *copy;

	if (parcel->dead_reason != NULL) /* the dead letters refused it too */
		return false;
	copy = add_dead_letter(tracker, refused->why.reason != NULL
	    ? refused->why.reason : "refused", refused->msg.dest,
	    hb_span_of(refused->msg.dest->name));
	if (copy == NULL || !pay(tracker))
		return false;
	send_parcel(copy);
	return true;
}

/* Moves one delivery to the state its report says. */
static void
settle(const struct parcel *parcel)
{
	switch (parcel->delivery.report) {
	case HB_REPORT_CONFIRMED:
		confirm(parcel);
		return;
	case HB_REPORT_REFUSED:
		if (refer_to_dead_letters(parcel))
			return;
		break;
	case HB_REPORT_RETRY:
	case HB_REPORT_UNKNOWN:
		break;
	}
	fail(parcel);
}

static void
on_report(struct hb_delivery *delivery)
{
	struct parcel *parcel =
	    hb_container_of(delivery, struct parcel, delivery);
	struct hb_tracker *tracker = parcel->tracker;
	struct dest_metrics *other = metrics_in_place_of(parcel);

	hb_metric_dec(metrics_of(parcel)->pending);
	if (other != NULL)
		hb_metric_dec(other->pending);
	tracker->pending--;
	settle(parcel);
	if (tracker->pending == 0)
		finish(tracker, tracker->failed ? "delivery-failed" : NULL);
	else if (tracker->failed)
		give_receipt(tracker, HB_UNSETTLED, "delivery-failed");
}

/* --- starting ------------------------------------------------------------- */

/* Makes the tracker of an event, in the event's own arena. Its time runs. */
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
	hb_deadline_set(&courier->acks, &tracker->ack);
	return tracker;
}

struct hb_dedup_flight *
hb_tracker_flight(struct hb_tracker *tracker)
{
	return &tracker->flight;
}

/* Whether every destination can take something now. */
static bool
all_reachable(const struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++) {
		const struct hb_delivery *delivery =
		    &tracker->parcels[i].delivery;
		struct hb_sink *sink = delivery->sink;

		if (hb_dest_health(sink, delivery->msg.dest) == HB_DOWN)
			return false;
		if (sink->ops->ready != NULL &&
		    !sink->ops->ready(sink, delivery))
			return false;
	}
	return true;
}

/* Why the event cannot be sent now, or NULL; then it is paid for. */
static const char *
admit(struct hb_tracker *tracker, const struct hb_plan *plan)
{
	if (!pack(tracker, plan))
		return "no-dead-letter";
	if (!all_reachable(tracker))
		return "sink-down";
	return pay(tracker) ? NULL : "memory";
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
	/* Reports come by the loop, never from inside send(): the parcels of
	 * this event are all on their way before the first is reported. */
	for (size_t i = 0, n = tracker->parcel_count; i < n; i++)
		send_parcel(&tracker->parcels[i]);
}
