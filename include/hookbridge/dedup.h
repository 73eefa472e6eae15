/* SPDX-License-Identifier: Apache-2.0 */
/* dedup.h - which webhooks are settled, and which are under way
 *
 * Identity is (endpoint, event id). The first to claim one carries it; those
 * that come while it is under way wait and share its answer; those that come
 * within the window after it settled are duplicates. An id is marked only when
 * its event is settled everywhere.
 * Thread: any; one lock of its own. Waiters are told on their home loop.
 * Bounded: max_entries, settled and under way together. No endpoint of several
 * holds more than half: at its half it makes room among its own. The oldest go
 * first, but none that a replayed signature could still use (min_age): rather
 * than that, claims are refused. */
#ifndef HOOKBRIDGE_DEDUP_H
#define HOOKBRIDGE_DEDUP_H

#include <stdint.h>

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "hookbridge/outcome.h"
#include "hookbridge/span.h"

struct hb_dedup;
/* With a spool.directory, what was settled before is read from its folder
 * "seen", and what is settled from now on is written there: by the helper's
 * loop, soon, and synced within a second. Without one it is forgotten at the
 * end. NULL when the directory cannot be used. */
struct hb_dedup *hb_dedup_new(const struct hb_config *cfg,
    struct hb_loop *helper, struct hb_error *err);
/* Writes what is not written yet. No loop runs. NULL is allowed. */
void hb_dedup_free(struct hb_dedup *dedup);

enum hb_claim {
	HB_CLAIM_NEW,      /* yours: end it with hb_dedup_end() */
	HB_CLAIM_SEEN,     /* settled before */
	HB_CLAIM_JOINED,   /* under way: the waiter will be told */
	HB_CLAIM_CONFLICT, /* the same identity, but another body */
	HB_CLAIM_FULL      /* no room that may be made */
};

/* One claim under way; embedded in who carries it. */
struct hb_dedup_flight {
	uint64_t key[2];
	uint64_t digest;
	unsigned endpoint;
	struct hb_dedup_flight *next;      /* hash chain */
	struct hb_dedup_waiter *waiters;
};

struct hb_dedup_waiter {
	struct hb_loop *home;
	/* Runs on home, unless hb_dedup_leave() came first. */
	void (*on_end)(struct hb_dedup_waiter *waiter);
	enum hb_outcome outcome;
	struct hb_dedup_flight *flight; /* NULL once told */
	struct hb_dedup_waiter *next, **prev;
	struct hb_task task;
};

/* digest: the first 8 bytes of the body's digest where another body under the
 * same identity is a conflict (direct mode), else 0. */
enum hb_claim hb_dedup_claim(struct hb_dedup *dedup,
    const struct hb_endpoint_conf *endpoint, struct hb_span id,
    uint64_t digest, struct hb_dedup_flight *flight,
    struct hb_dedup_waiter *waiter);
/* The event is settled (any outcome but HB_UNSETTLED: it is marked seen) or
 * given up. Tells the waiters. */
void hb_dedup_end(struct hb_dedup *dedup, struct hb_dedup_flight *flight,
    enum hb_outcome outcome);
/* The next webhook of this identity is a new one. False: it was not known as
 * settled. What is under way goes on. */
bool hb_dedup_forget(struct hb_dedup *dedup,
    const struct hb_endpoint_conf *endpoint, struct hb_span id);

struct hb_dedup_stats {
	uint64_t entries, under_way, max_entries;
	uint64_t bytes; /* on disk */
	bool lasts;     /* they outlive the process */
	bool broken;    /* the disk refused the last write */
};
void hb_dedup_stats(struct hb_dedup *dedup, struct hb_dedup_stats *stats);
/* The waiter waits no longer. False when it is being told at this moment: its
 * on_end will still run. */
bool hb_dedup_leave(struct hb_dedup *dedup, struct hb_dedup_waiter *waiter);

#endif
