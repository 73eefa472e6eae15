/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - a tracker and its parcels, which several files make up
 *
 *   tracker.c    an event: when it starts, what it answers, when it ends
 *   parcel.c     makes what goes to each destination, before any of it goes
 *   way.c        whether a parcel is sent, or kept on disk, or neither
 *   settle.c     moves a parcel: sends, keeps, takes reports
 *   note.c       counts and logs what becomes of parcels
 *   deliver.c    what all trackers share
 *
 * Everything of a tracker sits in its event's arena and is touched on the
 * event's home loop only, but for what is lent: a parcel's delivery to its
 * sink, from send to report, its keep to the store, until done, and the flight
 * to dedup, as long as it holds a claim. */
#ifndef HB_DELIVER_PARTS_H
#define HB_DELIVER_PARTS_H

#include "hookbridge/claim.h"
#include "hookbridge/deadline.h"
#include "hookbridge/store.h"
#include "hookbridge/tail.h"
#include "hookbridge/tracker.h"

struct hb_parcel;

/* --- deliver.c ------------------------------------------------------------ */

/* What is counted of one destination. */
struct hb_dest_metrics {
	struct hb_metric *confirmed, *spooled, *dead_lettered, *failed;
	struct hb_metric *pending;
	struct hb_metric *keys_replaced, *headers_left_out;
};

struct hb_deliver {
	struct hb_deliver_env env;
	_Atomic unsigned in_flight;
	struct hb_metric *metric_in_flight;
	struct hb_dest_metrics *dests; /* by hb_dest_conf.index */
};

/* --- tracker.c ------------------------------------------------------------ */

struct hb_courier {
	struct hb_deliver *deliver;
	struct hb_loop *loop;
	struct hb_deadlines acks;
};

/* The body that some parcels refer to. */
struct hb_tracker_claim {
	struct hb_claim_put put;
	struct hb_tracker *tracker;
};

struct hb_tracker {
	struct hb_courier *courier;
	struct hb_event *ev;
	struct hb_render render;
	struct hb_dedup_flight flight;
	bool claimed; /* and the claim has not ended */

	struct hb_parcel *parcels;
	size_t parcel_count;
	size_t unsettled; /* parcels that are PENDING */
	size_t lent;      /* to sinks, to the store, to the claims */
	bool failed, dead_lettered, spooled;
	bool overdue; /* a sink takes too long, and the store is no help */
	const char *why; /* failed: a word */
	uint64_t unpaid; /* cost of parcels not sent yet */
	uint64_t paid;   /* taken from the budget for those that were */
	struct hb_tracker_claim *claim; /* NULL: nothing goes by reference */

	struct hb_deadline ack;
	bool late;                 /* it has passed */
	bool started;              /* the parcels are on their way */
	bool ended;                /* everything is settled, and was told so */
	hb_receipt_fn *on_receipt; /* NULL before start and once given */
	void *arg;
};

/* After anything has changed: answers, tells, ends. May free the tracker. */
void hb_tracker_look(struct hb_tracker *tracker);

/* --- parcel.c ------------------------------------------------------------- */

enum hb_parcel_state {
	HB_PARCEL_PENDING,
	HB_PARCEL_CONFIRMED,
	HB_PARCEL_SPOOLED,
	HB_PARCEL_DEAD,
	HB_PARCEL_REFERRED, /* another parcel stands in for it */
	HB_PARCEL_FAILED
};

/* One delivery and what it is for. */
struct hb_parcel {
	struct hb_tracker *tracker;
	enum hb_parcel_state state;
	bool will_send, will_keep; /* its way, once it is found */
	bool is_at_sink, is_at_store;
	bool is_held; /* what is kept must not be replayed yet */

	struct hb_delivery delivery; /* sink NULL: it goes to no sink */
	struct hb_keep *keep;        /* NULL: it was not tried to keep it */

	const char *unfit; /* it has to be set aside: why; or NULL */
	bool key_replaced;
	const struct hb_leg *claimed; /* goes by reference: its leg; or NULL */
	/* A dead letter: why; NULL for an ordinary delivery. */
	const char *dead_reason;
	struct hb_span place; /* where it could not go; absent: anywhere */
	const struct hb_dest_metrics *metrics; /* its destination's, or NULL */
	/* Those of where it could not go; NULL: it is of the whole event. */
	const struct hb_dest_metrics *stands_in_for;
};

/* Makes all parcels of the plan; false when one of them has nowhere to go. */
bool hb_parcels_pack(struct hb_tracker *tracker, const struct hb_plan *plan)
    HB_MUST_CHECK;
/* Takes what they cost from the budget, until the tracker ends. */
bool hb_parcels_pay(struct hb_tracker *tracker) HB_MUST_CHECK;
/* The body is kept under its digest now: completes those that refer to it. */
void hb_parcels_fill_in(struct hb_tracker *tracker, const char *digest);
/* It cannot be kept: those that would refer to it cannot be sent. */
void hb_parcels_refuse_claimed(struct hb_tracker *tracker, const char *reason);
/* It never can go there: its copy for the dead letters, paid for; NULL when
 * there is nowhere to put it. */
struct hb_parcel *hb_parcel_refer(struct hb_parcel *refused,
    const char *reason);

/* --- way.c ---------------------------------------------------------------- */

/* Finds the parcel's way, as things are now. False and *err: it has none, for
 * now (HB_E_RETRY, _RESOURCE, _IO), or never will (HB_E_DEAD). */
bool hb_parcel_find_way(struct hb_parcel *parcel, struct hb_error *err)
    HB_MUST_CHECK;

/* Whether a parcel that is unfit could be set aside, as things are now. */
bool hb_parcel_may_set_aside(const struct hb_parcel *parcel,
    struct hb_error *err) HB_MUST_CHECK;

/* --- settle.c ------------------------------------------------------------- */

/* Begins to settle a parcel whose way was found. */
void hb_parcel_start(struct hb_parcel *parcel);
/* Sets it aside, because it cannot be delivered. */
void hb_parcel_set_aside(struct hb_parcel *parcel, const char *reason);
/* It takes too long: keeps it, if that is of use; whether it will be kept. */
bool hb_parcel_keep_late(struct hb_parcel *parcel);

/* --- note.c --------------------------------------------------------------- */

/* A parcel's steps, counted for its destination and for what it stands in
 * for. */
void hb_parcel_note_started(const struct hb_parcel *parcel);
void hb_parcel_note_state(const struct hb_parcel *parcel,
    enum hb_parcel_state state);
/* What was kept has been confirmed after all. */
void hb_parcel_note_confirmed_late(const struct hb_parcel *parcel);
/* The copy of a dead letter at a sink. */
void hb_parcel_note_copy_sent(const struct hb_parcel *parcel);
void hb_parcel_note_copy_reported(const struct hb_parcel *parcel);
/* The event has ended so. */
void hb_tracker_note_settled(const struct hb_tracker *tracker,
    enum hb_outcome outcome);

#endif
