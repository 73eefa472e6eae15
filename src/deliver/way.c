/* SPDX-License-Identifier: Apache-2.0 */
/* way.c - whether a parcel is sent, or kept on disk, or neither
 *
 *                    │ no store    store: it has room    it has none
 *   ─────────────────┼──────────────────────────────────────────────
 *   ack: confirmed,  │
 *     it is up       │ send        send                  send
 *     it is down     │ not now     keep                  not now
 *   ack: spooled,    │
 *     it is up       │ -           keep                  send
 *     it is down     │ -           keep                  not now
 *   its order counts,│
 *     others are kept│ -           keep, behind them     not now
 *   dead letter      │ send        keep, and a copy      send
 *
 * All parcels of an event are asked before the first is sent: one that cannot
 * settle now costs the event's other destinations no duplicate. */
#include "parts.h"

static struct hb_store *
store_of(const struct hb_parcel *parcel)
{
	return parcel->tracker->courier->deliver->env.store;
}

/* Whether its sink would take it now. */
static bool
is_reachable(const struct hb_parcel *parcel)
{
	const struct hb_delivery *delivery = &parcel->delivery;
	struct hb_sink *sink = delivery->sink;

	if (sink == NULL ||
	    hb_dest_health(sink, delivery->msg.dest) == HB_DOWN)
		return false;
	return sink->ops->ready == NULL || sink->ops->ready(sink, delivery);
}

/* Whether the store would take it now. */
static bool
has_room(const struct hb_parcel *parcel, struct hb_error *err)
{
	const struct hb_event *ev = parcel->tracker->ev;
	const struct hb_message *msg = &parcel->delivery.msg;

	if (store_of(parcel) == NULL)
		return hb_fail_reason(err, HB_E_RETRY, "sink-down",
		    "it cannot be reached");
	if (parcel->dead_reason != NULL)
		return hb_store_has_room(store_of(parcel), ev->endpoint, NULL,
		    ev->body.len, err);
	return hb_store_has_room(store_of(parcel), ev->endpoint, msg->dest,
	    hb_message_cost(msg), err);
}

/* Whether it may not overtake what is kept. */
static bool
must_queue(const struct hb_parcel *parcel)
{
	return hb_sink_is_ordered(parcel->delivery.sink) &&
	    hb_store_has_backlog(store_of(parcel), parcel->delivery.msg.dest);
}

static bool
find_way_of_letter(struct hb_parcel *letter, struct hb_error *err)
{
	letter->will_keep = has_room(letter, err);
	letter->will_send = is_reachable(letter);
	return letter->will_keep || letter->will_send;
}

static bool
find_way_with_store(struct hb_parcel *parcel, struct hb_error *err)
{
	bool queues = must_queue(parcel);
	bool can_send = !queues && is_reachable(parcel);

	if (can_send && parcel->tracker->ev->endpoint->ack == HB_ACK_CONFIRMED)
		parcel->will_send = true;
	else if (has_room(parcel, err))
		parcel->will_keep = true;
	else
		parcel->will_send = can_send;
	return parcel->will_send || parcel->will_keep;
}

bool
hb_parcel_find_way(struct hb_parcel *parcel, struct hb_error *err)
{
	if (parcel->dead_reason != NULL)
		return find_way_of_letter(parcel, err);
	if (store_of(parcel) != NULL)
		return find_way_with_store(parcel, err);
	parcel->will_send = is_reachable(parcel);
	return parcel->will_send ||
	    hb_fail_reason(err, HB_E_RETRY, "sink-down", "%s is down",
		parcel->delivery.msg.dest->name);
}

/* The copy that a dead letter of it would have is asked about, though it is
 * not made yet. */
bool
hb_parcel_may_set_aside(const struct hb_parcel *parcel, struct hb_error *err)
{
	const struct hb_deliver *deliver = parcel->tracker->courier->deliver;
	const struct hb_target_conf *target = deliver->env.cfg->dead_letter;
	struct hb_parcel letter = { .tracker = parcel->tracker,
		.delivery = { .home = parcel->delivery.home },
		.dead_reason = parcel->unfit };

	if (target != NULL) {
		letter.delivery.msg.target = target;
		letter.delivery.msg.dest = target->dests[0];
		letter.delivery.sink =
		    hb_sinks_of(deliver->env.sinks, target->dests[0]);
	}
	return find_way_of_letter(&letter, err);
}
