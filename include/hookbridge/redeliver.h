/* SPDX-License-Identifier: Apache-2.0 */
/* redeliver.h - what operators do with what the store keeps: send dead letters
 * again, move deliveries to another sink, drop either
 *
 * A dead letter goes through today's normalizing and routes, without
 * verification and dedup; one that belongs to a single destination goes there
 * only. It is settled once its event is settled again.
 * Thread: jobs are begun on any loop and end on their home loop; the work is
 * done on the replay's loop. */
#ifndef HOOKBRIDGE_REDELIVER_H
#define HOOKBRIDGE_REDELIVER_H

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "hookbridge/outcome.h"
#include "hookbridge/store.h"

struct hb_deliver;
struct hb_redeliver;

struct hb_redeliver_env {
	const struct hb_config *cfg;
	struct hb_loop *loop; /* the replay's */
	struct hb_store *store;
	struct hb_deliver *deliver;
	struct hb_budget *budget;
};
/* Made and freed while the loop does not run. */
struct hb_redeliver *hb_redeliver_new(const struct hb_redeliver_env *env);
void hb_redeliver_free(struct hb_redeliver *redeliver);

enum hb_redeliver_what {
	HB_REDELIVER_RETRY, /* a dead letter */
	HB_REDELIVER_DROP,  /* a dead letter or a delivery, by kind */
	HB_REDELIVER_MOVE   /* a delivery, to a destination of another sink */
};

/* One record; embedded by who asks. */
struct hb_redeliver_job {
	enum hb_redeliver_what what;
	enum hb_shelf_kind kind;
	uint64_t seq;
	const char *to_sink; /* of a move: its name */
	struct hb_loop *home;
	void (*done)(struct hb_redeliver_job *job);

	bool ok;
	/* If ok: of a retry how the event ended (HB_DEAD_LETTERED: again). */
	enum hb_outcome outcome;
	/* If not: HB_E_REJECT "not-found": no such record; "no-endpoint",
	 * "no-destination": today's configuration has none for it; "held": it
	 * is at its sink just now; HB_E_RETRY, HB_E_RESOURCE, HB_E_IO. */
	struct hb_error err;

	/* The redelivery's. */
	struct hb_redeliver *redeliver;
	struct hb_task task;
};
void hb_redeliver_begin(struct hb_redeliver *redeliver,
    struct hb_redeliver_job *job);

#endif
