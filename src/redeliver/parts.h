/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - a job on a record, between its files
 *
 * Everything here lives on the replay's loop. */
#ifndef HB_REDELIVER_PARTS_H
#define HB_REDELIVER_PARTS_H

#include "hookbridge/redeliver.h"
#include "hookbridge/tracker.h"

struct hb_redeliver {
	struct hb_redeliver_env env;
	struct hb_router *router;
	struct hb_courier *courier;
	struct hb_redeliver_work *works; /* under way */
};

/* A job whose record is there. */
struct hb_redeliver_work {
	struct hb_redeliver *redeliver;
	struct hb_redeliver_job *job;
	struct hb_record rec;
	struct hb_keep keep;             /* of a record that moves */
	const struct hb_dest_conf *dest; /* where it moves to */
	struct hb_redeliver_work *next;
};

/* --- redeliver.c ---------------------------------------------------------- */

/* Both end the job and free the work. */
void hb_redeliver_end(struct hb_redeliver_work *work,
    enum hb_outcome outcome);
void hb_redeliver_fail(struct hb_redeliver_work *work,
    const struct hb_error *err);
/* Puts the record on another shelf, as the delivery it is or was. */
void hb_redeliver_move(struct hb_redeliver_work *work,
    const struct hb_dest_conf *dest);

/* --- retry.c -------------------------------------------------------------- */

/* Sends a dead letter on its way again. */
void hb_redeliver_retry(struct hb_redeliver_work *work);

#endif
