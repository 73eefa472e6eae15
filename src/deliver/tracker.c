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
 * Before anything is sent, all parcels are made and paid for (parcel.c), and
 * their destinations looked at: an event that cannot settle now costs its
 * other destinations no duplicate.
 *
 * The receipt is given once: when nothing is pending, at the first failure, or
 * at the ack deadline, whichever comes first. The tracker itself ends when
 * nothing is pending; then its claim ends, and what waits for it is told.
 *
 * Invariants: (1) pending counts parcels that were sent and not reported;
 * (2) an event is marked seen only when no delivery of it failed. */
#include <stdatomic.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

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

/* --- couriers ------------------------------------------------------------- */

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

/* --- sending and reports -------------------------------------------------- */

static void on_report(struct hb_delivery *delivery);

static void
send_parcel(struct hb_parcel *parcel)
{
	struct hb_delivery *delivery = &parcel->delivery;

	hb_parcel_note_sent(parcel);
	parcel->tracker->pending++;
	delivery->on_report = on_report;
	delivery->sent_us = hb_clock_mono_us();
	delivery->sink->ops->send(delivery->sink, delivery);
}

static void
confirm(const struct hb_parcel *parcel)
{
	hb_parcel_note_confirmed(parcel);
	if (parcel->dead_reason != NULL)
		parcel->tracker->dead_lettered = true;
}

static void
fail(const struct hb_parcel *parcel)
{
	hb_parcel_note_failed(parcel);
	parcel->tracker->failed = true;
}

/* Sends its copy to the dead letters instead, if there is a way. */
static bool
refer(const struct hb_parcel *refused)
{
	struct hb_parcel *copy = hb_parcel_refer(refused);

	if (copy != NULL)
		send_parcel(copy);
	return copy != NULL;
}

/* Moves one delivery to the state its report says. */
static void
settle(const struct hb_parcel *parcel)
{
	switch (parcel->delivery.report) {
	case HB_REPORT_CONFIRMED:
		confirm(parcel);
		return;
	case HB_REPORT_REFUSED:
		if (refer(parcel))
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
	struct hb_parcel *parcel =
	    hb_container_of(delivery, struct hb_parcel, delivery);
	struct hb_tracker *tracker = parcel->tracker;

	hb_parcel_note_reported(parcel);
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
	if (!hb_parcels_pack(tracker, plan))
		return "no-dead-letter";
	if (!all_reachable(tracker))
		return "sink-down";
	return hb_parcels_pay(tracker) ? NULL : "memory";
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
