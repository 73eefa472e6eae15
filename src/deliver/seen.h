/* SPDX-License-Identifier: Apache-2.0 */
/* seen.h - the settled ids: a table of bounded size, in the order of settling
 *
 * Thread: any, one at a time: its owner has a lock. */
#ifndef HB_DELIVER_SEEN_H
#define HB_DELIVER_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hookbridge/cfg.h"

struct hb_metric;

struct hb_seen_item {
	uint64_t key[2];
	uint64_t digest;
	uint32_t settled_s; /* by hb_seen_now_s() */
	uint32_t endpoint : 31;
	uint32_t forgotten : 1; /* settled, but shall be so no more */
};

struct hb_seen_entry;
struct hb_seen_ages;

struct hb_seen {
	uint64_t start_ms, window_s, min_age_s, max_entries, share_max;

	struct hb_seen_entry *pool; /* [1 .. max_entries] */
	uint32_t used, free;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint64_t count;     /* entries and held room */
	uint64_t forgotten; /* part of count: they hold room, and no more */

	struct hb_seen_ages *endpoints;
	size_t endpoint_count;

	struct {
		size_t endpoint;
		uint32_t next;
	} walk;
	struct hb_metric *metric_evictions;
};

/* Makes an empty table of the configured size. */
void hb_seen_init(struct hb_seen *seen, const struct hb_config *cfg);
void hb_seen_fini(struct hb_seen *seen);

/* Seconds, monotonic. What settled as long ago as the window before the table
 * was made has a time, too. */
uint32_t hb_seen_now_s(const struct hb_seen *seen);

/* What is known of a key within its window, or NULL. */
const struct hb_seen_item *hb_seen_find(
    const struct hb_seen *seen, const uint64_t key[2]);

/* Room for one more entry of an endpoint: held until it settles or is given
 * back. */
enum hb_seen_room { HB_SEEN_FREE, HB_SEEN_EVICTED, HB_SEEN_FULL };
enum hb_seen_room hb_seen_hold(struct hb_seen *seen, unsigned endpoint);
void hb_seen_release(struct hb_seen *seen, unsigned endpoint);
/* In room that is held: the newest of its endpoint. */
void hb_seen_settle(struct hb_seen *seen, const struct hb_seen_item *item);

/* The key is not known any more. False: it was not, or not any more. */
bool hb_seen_forget(struct hb_seen *seen, const uint64_t key[2]);

/* An entry of an earlier life, the newest of its endpoint so far: the oldest
 * ones make room for it, however young they are. */
void hb_seen_load(struct hb_seen *seen, const struct hb_seen_item *item);
/* Says that a key will be asked for in a moment. */
void hb_seen_prefetch(const struct hb_seen *seen, const uint64_t key[2]);

/* All entries, some at each call, of each endpoint the oldest first; 0 at the
 * end. What is made meanwhile may be among them or not. One walk at a time. */
void hb_seen_walk_begin(struct hb_seen *seen);
size_t hb_seen_walk(
    struct hb_seen *seen, struct hb_seen_item *items, size_t max);

#endif
