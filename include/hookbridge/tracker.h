/* SPDX-License-Identifier: Apache-2.0 */
/* tracker.h - takes an event to all its destinations, and says once how it
 * ended
 *
 * Once started, a tracker lives until each of its deliveries has been
 * reported, however long that takes: past the ack deadline it answers
 * HB_UNSETTLED and goes on, so that a retry finds the event under way or
 * settled. It is the only place that moves a delivery's state.
 * Thread: a tracker lives on one loop, its event's home. struct hb_deliver is
 * shared by all loops; its counters are atomic.
 * Owns: the event. */
#ifndef HOOKBRIDGE_TRACKER_H
#define HOOKBRIDGE_TRACKER_H

#include "hookbridge/dedup.h"
#include "hookbridge/event.h"
#include "hookbridge/outcome.h"
#include "hookbridge/route.h"
#include "hookbridge/sink.h"

struct hb_claims;
struct hb_store;
struct hb_tail;

struct hb_deliver_env {
	const struct hb_config *cfg;
	struct hb_sinks *sinks;
	struct hb_dedup *dedup;
	struct hb_budget *budget;
	struct hb_store *store;   /* NULL: nothing is kept on disk */
	struct hb_claims *claims; /* NULL: no claim checks */
	struct hb_tail *tail;     /* NULL: nobody listens */
};

struct hb_deliver; /* what all trackers share */
struct hb_deliver *hb_deliver_new(const struct hb_deliver_env *env);
void hb_deliver_free(struct hb_deliver *deliver);
/* Trackers alive, started or not; 0 means nothing is in flight. Any thread. */
unsigned hb_deliver_in_flight(const struct hb_deliver *deliver);

struct hb_courier; /* a loop's part: its ack deadlines */
struct hb_courier *hb_courier_new(struct hb_deliver *deliver,
    struct hb_loop *loop);
void hb_courier_free(struct hb_courier *courier);

/* What the answer will be made of. */
struct hb_receipt {
	enum hb_outcome outcome;
	/* Why unsettled: "no-dead-letter" (or it cannot take what it would
	 * get), "sink-down", "memory", or with a store "spool-full",
	 * "spool-broken", "dead-full", "sink-share", "endpoint-share": nothing
	 * was sent;
	 * "delivery-failed", "deadline": some may have arrived. NULL
	 * otherwise. */
	const char *reason;
};
typedef void hb_receipt_fn(void *arg, const struct hb_receipt *receipt);

struct hb_tracker;
/* Takes over an event whose body is complete: the ack deadline counts from
 * here. What is still to be read into the event may be read on another loop,
 * as long as the tracker is left alone. */
struct hb_tracker *hb_tracker_new(struct hb_courier *courier,
    struct hb_event *ev_take);
/* The ack deadline has passed: too late to start. */
bool hb_tracker_is_late(const struct hb_tracker *tracker);
/* Room for the event's claim, for hb_dedup_claim(). */
struct hb_dedup_flight *hb_tracker_flight(struct hb_tracker *tracker);
/* Sends the event along its plan; the event is sealed from here on. claimed:
 * the flight holds a claim, which the tracker ends. on_receipt may run before
 * this returns, and runs exactly once unless hb_tracker_detach() comes
 * first. */
void hb_tracker_start(struct hb_tracker *tracker, const struct hb_plan *plan,
    bool claimed, hb_receipt_fn *on_receipt, void *arg);
void hb_tracker_detach(struct hb_tracker *tracker);
/* Instead of start: the event is not sent. */
void hb_tracker_free(struct hb_tracker *tracker);

#endif
