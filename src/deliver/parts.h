/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - a tracker and its parcels, which several files make up
 *
 *   tracker.c    sends, takes reports, and says how it ended
 *   parcel.c     makes what goes to each destination, and counts it
 *   deliver.c    what all trackers share
 *
 * Everything of a tracker sits in its event's arena and is touched on the
 * event's home loop only, but for what is lent: a parcel's delivery to its
 * sink, from send to report, and the flight to dedup, as long as it holds a
 * claim. */
#ifndef HB_DELIVER_PARTS_H
#define HB_DELIVER_PARTS_H

#include "hookbridge/deadline.h"
#include "hookbridge/tracker.h"

/* --- deliver.c ------------------------------------------------------------ */

/* What is counted of one destination. */
struct hb_dest_metrics {
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
	struct hb_dest_metrics *dests; /* by hb_dest_conf.index */
};

/* --- tracker.c ------------------------------------------------------------ */

struct hb_courier {
	struct hb_deliver *deliver;
	struct hb_loop *loop;
	struct hb_deadlines acks;
};

struct hb_tracker {
	struct hb_courier *courier;
	struct hb_event *ev;
	struct hb_render render;
	struct hb_dedup_flight flight;
	bool claimed;

	struct hb_parcel *parcels;
	size_t parcel_count, pending;
	bool failed, dead_lettered;
	uint64_t unpaid; /* cost of parcels not sent yet */
	uint64_t paid;   /* taken from the budget for those that were */

	struct hb_deadline ack;
	bool late;                 /* it has passed */
	hb_receipt_fn *on_receipt; /* NULL before start and once given */
	void *arg;
};

/* --- parcel.c ------------------------------------------------------------- */

/* One delivery and what it is for. */
struct hb_parcel {
	struct hb_delivery delivery;
	struct hb_tracker *tracker;
	bool key_replaced;
	/* A copy for the dead letters: why; NULL for an ordinary delivery. */
	const char *dead_reason;
	const struct hb_dest_metrics *metrics; /* its destination's */
	/* Those of where it could not go; NULL: it is of the whole event. */
	const struct hb_dest_metrics *stands_in_for;
};

/* Makes all parcels of the plan; false when one of them has nowhere to go. */
bool hb_parcels_pack(struct hb_tracker *tracker, const struct hb_plan *plan)
    HB_MUST_CHECK;
/* Takes what they cost from the budget, until the tracker ends. */
bool hb_parcels_pay(struct hb_tracker *tracker) HB_MUST_CHECK;
/* The sink will never take this event there: its copy for the dead letters,
 * paid for; NULL when there is nowhere to put it. */
struct hb_parcel *hb_parcel_refer(const struct hb_parcel *refused);

/* Its steps, counted for its destination and for what it stands in for. */
void hb_parcel_note_sent(const struct hb_parcel *parcel);
void hb_parcel_note_reported(const struct hb_parcel *parcel);
void hb_parcel_note_confirmed(const struct hb_parcel *parcel);
void hb_parcel_note_failed(const struct hb_parcel *parcel);

#endif
