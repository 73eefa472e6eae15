/* SPDX-License-Identifier: Apache-2.0 */
/* tracker.c - an event: when it starts, what it answers, when it ends
 *
 *   plan ─► parcels ─► paid for ─► ways found ─► (claim kept) ─► started
 *     │        │           │            │
 *     └────────┴───────────┴────────────┴─► not now: nothing was sent
 *
 * Before anything is sent, all parcels are made and paid for (parcel.c), and
 * each has a way to be settled (way.c). From then on each settles by itself
 * (settle.c), and hb_tracker_look() draws the conclusions:
 *
 *   all settled                  the claim ends, the receipt is given
 *   one failed, or all too late  the receipt is given: not settled
 *   nothing is lent any more     the tracker ends, and what is left with it
 *
 * At the ack deadline what is still with a sink is kept as well, and the
 * receipt waits for that, which takes milliseconds. What is sent later than
 * that, since the claim took so long, is kept at once.
 *
 * Invariant: an event is marked seen only when every parcel of it is settled,
 * and then only once. */
#include <stdatomic.h>
#include <stdlib.h>

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

	tracker->on_receipt = NULL;
	if (on_receipt != NULL)
		on_receipt(tracker->arg, &receipt);
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
	tracker->on_receipt = NULL;
}

/* --- the end -------------------------------------------------------------- */

static enum hb_outcome
outcome_of(const struct hb_tracker *tracker)
{
	if (tracker->failed)
		return HB_UNSETTLED;
	if (tracker->dead_lettered)
		return HB_DEAD_LETTERED;
	return tracker->spooled ? HB_SPOOLED : HB_CONFIRMED;
}

static void
end_claim(struct hb_tracker *tracker, enum hb_outcome outcome)
{
	if (tracker->claimed)
		hb_dedup_end(tracker->courier->deliver->env.dedup,
		    &tracker->flight, outcome);
	tracker->claimed = false;
}

/* Releases a tracker that has lent nothing, and the event it sits in. */
void
hb_tracker_free(struct hb_tracker *tracker)
{
	struct hb_deliver *deliver = tracker->courier->deliver;

	hb_deadline_cancel(&tracker->ack);
	if (tracker->paid > 0)
		hb_budget_give(deliver->env.budget,
		    tracker->ev->endpoint->share, tracker->paid);
	hb_event_unref(tracker->ev);
	atomic_fetch_sub(&deliver->in_flight, 1);
	hb_metric_dec(deliver->metric_in_flight);
}

/* Every parcel is settled: the event is, whatever still comes back. */
static void
end(struct hb_tracker *tracker)
{
	enum hb_outcome outcome = outcome_of(tracker);

	tracker->ended = true;
	hb_deadline_cancel(&tracker->ack);
	end_claim(tracker, outcome);
	hb_tracker_note_settled(tracker, outcome);
	give_receipt(tracker, outcome, NULL);
}

/* Whether the store will soon say that it has some of it. */
static bool
is_being_kept(const struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++)
		if (tracker->parcels[i].is_at_store)
			return true;
	return false;
}

/* Why the receipt can be given now, although not all is settled; or NULL. */
static const char *
setback(const struct hb_tracker *tracker)
{
	if (tracker->failed)
		return tracker->why;
	if (tracker->overdue)
		return "delivery-failed";
	return tracker->late && !is_being_kept(tracker) ? "deadline" : NULL;
}

void
hb_tracker_look(struct hb_tracker *tracker)
{
	const char *why = setback(tracker);

	if (tracker->started && tracker->unsettled == 0 && !tracker->failed &&
	    !tracker->ended)
		end(tracker);
	else if (why != NULL && !tracker->ended)
		give_receipt(tracker, HB_UNSETTLED, why);
	if (tracker->lent > 0)
		return;
	end_claim(tracker, HB_UNSETTLED);
	hb_tracker_free(tracker);
}

/* --- couriers ------------------------------------------------------------- */

/* What is still with a sink goes to the store too. */
static void
keep_late(struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++)
		if (tracker->parcels[i].is_at_sink)
			(void)hb_parcel_keep_late(&tracker->parcels[i]);
}

/* An event that was not started yet finds itself late. */
static void
on_ack_due(struct hb_deadline *ack)
{
	struct hb_tracker *tracker =
	    hb_container_of(ack, struct hb_tracker, ack);

	tracker->late = true;
	if (tracker->lent == 0)
		return;
	keep_late(tracker);
	hb_tracker_look(tracker);
}

struct hb_courier *
hb_courier_new(struct hb_deliver *deliver, struct hb_loop *loop)
{
	struct hb_courier *courier = hb_xcalloc(1, sizeof(*courier));

	courier->deliver = deliver;
	courier->loop = loop;
	hb_deadlines_init(&courier->acks, loop,
	    deliver->env.cfg->delivery.ack_timeout_ms, on_ack_due);
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

/* Starts the parcels that the plan has made. Reports come by the loop, never
 * from inside: all of them are on their way before the first is settled. What
 * has no way but to the dead letters adds parcels of its own, which it starts
 * itself. */
static void
start_parcels(struct hb_tracker *tracker)
{
	tracker->started = true;
	for (size_t i = 0, n = tracker->parcel_count; i < n; i++) {
		struct hb_parcel *parcel = &tracker->parcels[i];

		if (parcel->unfit != NULL)
			hb_parcel_set_aside(parcel, parcel->unfit);
		else
			hb_parcel_start(parcel);
	}
	if (tracker->late)
		keep_late(tracker);
	hb_tracker_look(tracker);
}

/* Why some parcel has no way to be settled now, or NULL. */
static const char *
find_ways(struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++) {
		struct hb_parcel *parcel = &tracker->parcels[i];
		struct hb_error err;

		if (hb_parcel_find_way(parcel, &err))
			continue;
		if (err.code != HB_E_DEAD || parcel->dead_reason != NULL)
			return err.reason;
		parcel->unfit = err.reason;
		if (!hb_parcel_may_set_aside(parcel, &err))
			return err.reason;
	}
	return NULL;
}

/* Why the event cannot be sent now, or NULL; then it is paid for. */
static const char *
admit(struct hb_tracker *tracker, const struct hb_plan *plan)
{
	const char *obstacle;

	if (!hb_parcels_pack(tracker, plan))
		return "no-dead-letter";
	obstacle = find_ways(tracker);
	if (obstacle != NULL)
		return obstacle;
	return hb_parcels_pay(tracker) ? NULL : "memory";
}

/* The body is kept, or cannot be: then those that needed it are set aside. */
static void
on_claim_kept(struct hb_claim_put *put)
{
	struct hb_tracker *tracker = hb_container_of(put,
	    struct hb_tracker_claim, put)->tracker;

	tracker->lent--;
	if (put->ok)
		hb_parcels_fill_in(tracker, put->digest);
	else
		hb_parcels_refuse_claimed(tracker, put->err.reason);
	start_parcels(tracker);
}

static void
keep_claim(struct hb_tracker *tracker)
{
	struct hb_claim_put *put = &tracker->claim->put;

	put->home = tracker->courier->loop;
	put->done = on_claim_kept;
	put->endpoint = tracker->ev->endpoint;
	put->body = tracker->ev->body;
	tracker->lent++;
	hb_claims_put(tracker->courier->deliver->env.claims, put);
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
		tracker->why = obstacle;
		hb_tracker_look(tracker);
	} else if (tracker->claim != NULL) {
		keep_claim(tracker);
	} else {
		start_parcels(tracker);
	}
}
