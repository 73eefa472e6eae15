/* SPDX-License-Identifier: Apache-2.0 */
/* parcel.c - what goes to each destination, made before any of it is sent
 *
 *   leg of the plan ─► message ──fits─────────────────────────► parcel
 *         │               │
 *         │               └ too large ─► by reference ──fits──► parcel
 *         │ refused                           │ too large
 *         └───────────────────────────────────┴──► parcel for the dead letters
 *
 * A parcel for the dead letters goes to the store, and a copy of it to the
 * destination dead_letter, where there are such; what it stands in for is
 * settled with it, and with it only.
 *
 * A message that refers to the body is made twice: with a digest of noughts, to
 * know its size, and with the true one once the body is kept. */
#include <string.h>

#include "parts.h"

/* --- packing -------------------------------------------------------------- */

/* A new parcel with everything but its message. */
static struct hb_parcel *
add_parcel(struct hb_tracker *tracker)
{
	struct hb_parcel *parcel = &tracker->parcels[tracker->parcel_count++];

	memset(parcel, 0, sizeof(*parcel));
	parcel->tracker = tracker;
	parcel->delivery.home = tracker->courier->loop;
	return parcel;
}

/* Addresses a parcel to the sink of its message's destination; false when it
 * is too large for that. */
static bool
address(struct hb_parcel *parcel)
{
	const struct hb_message *msg = &parcel->delivery.msg;
	const struct hb_deliver *deliver = parcel->tracker->courier->deliver;
	struct hb_sink *sink = hb_sinks_of(deliver->env.sinks, msg->dest);

	if (sink->ops->fits != NULL && !sink->ops->fits(sink, msg, NULL))
		return false;
	parcel->delivery.sink = sink;
	parcel->metrics = &deliver->dests[msg->dest->index];
	parcel->tracker->unpaid += hb_message_cost(msg);
	return true;
}

/* The last parcel is none after all. */
static void
take_back(struct hb_tracker *tracker)
{
	tracker->parcel_count--;
}

/* Renders the copy that goes to the destination dead_letter. */
static bool
pack_copy(struct hb_parcel *letter, const struct hb_target_conf *target)
{
	if (target == NULL)
		return false;
	hb_render_dead_letter(&letter->tracker->render, target,
	    letter->dead_reason, letter->place, &letter->delivery.msg);
	if (address(letter))
		return true;
	letter->delivery.msg = (struct hb_message){ .target = NULL };
	return false;
}

/* Makes a dead letter; NULL when there is nowhere to put it. dest: where this
 * delivery could not go, by name; NULL: the whole event could go nowhere. */
static struct hb_parcel *
add_dead_letter(struct hb_tracker *tracker, const char *reason,
    const struct hb_dest_conf *dest, struct hb_span name)
{
	const struct hb_deliver *deliver = tracker->courier->deliver;
	struct hb_parcel *letter = add_parcel(tracker);

	letter->dead_reason = reason;
	letter->place = hb_render_place(&tracker->render, dest, name);
	if (dest != NULL)
		letter->stands_in_for = &deliver->dests[dest->index];
	if (pack_copy(letter, deliver->env.cfg->dead_letter) ||
	    deliver->env.store != NULL)
		return letter;
	take_back(tracker);
	return NULL;
}

/* The same message by reference, where the target wants that. */
static bool
pack_claimed(struct hb_parcel *parcel, const struct hb_leg *leg)
{
	static const char noughts[] = "00000000000000000000000000000000"
				      "00000000000000000000000000000000";
	struct hb_tracker *tracker = parcel->tracker;
	struct hb_arena *arena = tracker->ev->arena;
	struct hb_leg *kept;

	if (tracker->courier->deliver->env.claims == NULL ||
	    leg->target->oversize != HB_OVERSIZE_CLAIM_CHECK ||
	    leg->target->format == HB_FORMAT_RAW)
		return false;
	hb_render_claimed_leg(&tracker->render, leg, noughts,
	    tracker->ev->body.len, &parcel->delivery.msg);
	if (!address(parcel))
		return false;
	kept = hb_arena_alloc(arena, sizeof(*kept));
	*kept = *leg;
	parcel->claimed = kept;
	if (tracker->claim == NULL) {
		tracker->claim =
		    hb_arena_calloc(arena, 1, sizeof(*tracker->claim));
		tracker->claim->tracker = tracker;
	}
	return true;
}

/* Renders one leg of the plan into a parcel, or into a dead letter; NULL when
 * the event cannot settle. */
static struct hb_parcel *
pack_leg(struct hb_tracker *tracker, const struct hb_leg *leg)
{
	struct hb_parcel *parcel;

	if (leg->reason != NULL)
		return add_dead_letter(tracker, leg->reason,
		    leg->target->dests[0], leg->name);
	parcel = add_parcel(tracker);
	parcel->key_replaced = leg->key_replaced;
	hb_render_leg(&tracker->render, leg, &parcel->delivery.msg);
	if (address(parcel) || pack_claimed(parcel, leg))
		return parcel;
	take_back(tracker);
	return add_dead_letter(tracker, "too-large", leg->dest,
	    hb_span_of(leg->dest->name));
}

bool
hb_parcels_pack(struct hb_tracker *tracker, const struct hb_plan *plan)
{
	/* Every leg may need a second parcel, for its dead letter: few do, so
	 * that each is cleared when it is needed. */
	size_t most = 2 * plan->leg_count + 1;

	tracker->parcels = hb_arena_alloc(tracker->ev->arena,
	    most * sizeof(*tracker->parcels));
	if (plan->reason != NULL)
		return add_dead_letter(tracker, plan->reason, NULL,
			   HB_SPAN_NONE) != NULL;
	for (size_t i = 0; i < plan->leg_count; i++)
		if (pack_leg(tracker, &plan->legs[i]) == NULL)
			return false;
	return true;
}

bool
hb_parcels_pay(struct hb_tracker *tracker)
{
	uint64_t cost = tracker->unpaid;

	tracker->unpaid = 0;
	if (!hb_budget_take(tracker->courier->deliver->env.budget,
		tracker->ev->endpoint->share, cost))
		return false;
	tracker->paid += cost;
	return true;
}

/* --- afterwards ----------------------------------------------------------- */

void
hb_parcels_fill_in(struct hb_tracker *tracker, const char *digest)
{
	for (size_t i = 0; i < tracker->parcel_count; i++) {
		struct hb_parcel *parcel = &tracker->parcels[i];

		if (parcel->claimed != NULL)
			hb_render_claimed_leg(&tracker->render,
			    parcel->claimed, digest, tracker->ev->body.len,
			    &parcel->delivery.msg);
	}
}

void
hb_parcels_refuse_claimed(struct hb_tracker *tracker, const char *reason)
{
	for (size_t i = 0; i < tracker->parcel_count; i++)
		if (tracker->parcels[i].claimed != NULL)
			tracker->parcels[i].unfit = reason;
}

/* A copy that there is no memory for is not sent; the store needs none. */
struct hb_parcel *
hb_parcel_refer(struct hb_parcel *refused, const char *reason)
{
	struct hb_tracker *tracker = refused->tracker;
	const struct hb_dest_conf *dest = refused->delivery.msg.dest;
	struct hb_parcel *letter;

	if (refused->dead_reason != NULL) /* the dead letters refused it too */
		return NULL;
	letter = add_dead_letter(tracker, reason, dest,
	    hb_span_of(dest->name));
	if (letter == NULL || hb_parcels_pay(tracker))
		return letter;
	letter->delivery.sink = NULL;
	return tracker->courier->deliver->env.store != NULL ? letter : NULL;
}
