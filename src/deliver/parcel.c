/* SPDX-License-Identifier: Apache-2.0 */
/* parcel.c - what goes to each destination, made before any of it is sent
 *
 *   leg of the plan ─► message ──fits──► parcel
 *         │               │
 *         │ refused       │ too large
 *         └───────────────┴────────────► parcel for dead_letter
 *
 * A parcel for the dead letters is a delivery of its own, of the destination
 * dead_letter; what it stands in for is settled with it, and with it only.
 *
 * Invariant: of each destination, deliveries sent = confirmed + dead-lettered +
 * failed + pending, in metrics too: what was not admitted is not counted. */
#include "hookbridge/log.h"
#include "parts.h"

/* --- packing -------------------------------------------------------------- */

/* A new parcel with everything but its message. */
static struct hb_parcel *
add_parcel(struct hb_tracker *tracker)
{
	struct hb_parcel *parcel = &tracker->parcels[tracker->parcel_count++];

	parcel->tracker = tracker;
	parcel->delivery.home = tracker->courier->loop;
	return parcel;
}

/* Addresses a parcel to the sink of its message's destination; false, and it
 * is no parcel any more, when it is too large for that. */
static bool
address(struct hb_tracker *tracker, struct hb_parcel *parcel)
{
	const struct hb_message *msg = &parcel->delivery.msg;
	const struct hb_deliver *deliver = tracker->courier->deliver;
	struct hb_sink *sink = hb_sinks_of(deliver->sinks, msg->dest);

	if (sink->ops->fits != NULL && !sink->ops->fits(sink, msg, NULL)) {
		*parcel = (struct hb_parcel){ .tracker = NULL };
		tracker->parcel_count--;
		return false;
	}
	parcel->delivery.sink = sink;
	parcel->metrics = &deliver->dests[msg->dest->index];
	tracker->unpaid += hb_message_cost(msg);
	return true;
}

/* Makes the copy for the dead letters; NULL when there is nowhere to put it.
 * dest: where this delivery could not go, by name; NULL: the whole event could
 * go nowhere. */
static struct hb_parcel *
add_dead_letter(struct hb_tracker *tracker, const char *reason,
    const struct hb_dest_conf *dest, struct hb_span name)
{
	const struct hb_deliver *deliver = tracker->courier->deliver;
	const struct hb_target_conf *target = deliver->cfg->dead_letter;
	struct hb_parcel *copy;

	if (target == NULL)
		return NULL;
	copy = add_parcel(tracker);
	copy->dead_reason = reason;
	if (dest != NULL)
		copy->stands_in_for = &deliver->dests[dest->index];
	hb_render_dead_letter(&tracker->render, target, reason,
	    hb_render_place(&tracker->render, dest, name),
	    &copy->delivery.msg);
	return address(tracker, copy) ? copy : NULL;
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
	return address(tracker, parcel) ? parcel
	    : add_dead_letter(tracker, "too-large", leg->dest,
		  hb_span_of(leg->dest->name));
}

bool
hb_parcels_pack(struct hb_tracker *tracker, const struct hb_plan *plan)
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

bool
hb_parcels_pay(struct hb_tracker *tracker)
{
	uint64_t cost = tracker->unpaid;

	tracker->unpaid = 0;
	if (!hb_budget_take(tracker->courier->deliver->budget,
		tracker->ev->endpoint->share, cost))
		return false;
	tracker->paid += cost;
	return true;
}

struct hb_parcel *
hb_parcel_refer(const struct hb_parcel *refused)
{
	const struct hb_dest_conf *dest = refused->delivery.msg.dest;
	const char *reason = refused->delivery.why.reason;
	struct hb_parcel *copy;

	if (refused->dead_reason != NULL) /* the dead letters refused it too */
		return NULL;
	copy = add_dead_letter(refused->tracker,
	    reason != NULL ? reason : "refused", dest, hb_span_of(dest->name));
	return copy != NULL && hb_parcels_pay(refused->tracker) ? copy : NULL;
}

/* --- counting ------------------------------------------------------------- */

void
hb_parcel_note_sent(const struct hb_parcel *parcel)
{
	const struct hb_dest_metrics *m = parcel->metrics;

	hb_metric_inc(m->pending);
	if (parcel->stands_in_for != NULL)
		hb_metric_inc(parcel->stands_in_for->pending);
	if (parcel->key_replaced)
		hb_metric_inc(m->keys_replaced);
	if (parcel->delivery.msg.headers_left_out > 0)
		hb_metric_add(m->headers_left_out,
		    parcel->delivery.msg.headers_left_out);
}

void
hb_parcel_note_reported(const struct hb_parcel *parcel)
{
	hb_metric_dec(parcel->metrics->pending);
	if (parcel->stands_in_for != NULL)
		hb_metric_dec(parcel->stands_in_for->pending);
}

static void
log_dead_letter(const struct hb_parcel *copy)
{
	const struct hb_event *ev = copy->tracker->ev;

	hb_log_limited(HB_LOG_WARNING, "dead.added",
	    HB_F_STR("reason", copy->dead_reason),
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_SPAN("job", ev->job_id));
}

void
hb_parcel_note_confirmed(const struct hb_parcel *parcel)
{
	hb_metric_inc(parcel->metrics->confirmed);
	if (parcel->stands_in_for != NULL)
		hb_metric_inc(parcel->stands_in_for->dead_lettered);
	if (parcel->dead_reason == NULL)
		return;
	hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS, parcel->dead_reason,
	    NULL, NULL, NULL));
	log_dead_letter(parcel);
}

static void
log_failed(const struct hb_parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->delivery.msg.dest;
	const struct hb_event *ev = parcel->tracker->ev;

	hb_log_limited(HB_LOG_WARNING, "delivery.failed",
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_STR("sink", dest->sink->name), HB_F_STR("dst", dest->name),
	    HB_F_STR("why", parcel->delivery.why.text));
}

void
hb_parcel_note_failed(const struct hb_parcel *parcel)
{
	hb_metric_inc(parcel->metrics->failed);
	if (parcel->stands_in_for != NULL)
		hb_metric_inc(parcel->stands_in_for->failed);
	log_failed(parcel);
}
