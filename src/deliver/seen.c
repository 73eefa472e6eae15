/* SPDX-License-Identifier: Apache-2.0 */
/* seen.c - a pool of entries, hashed by key and listed by age
 *
 * Pool and buckets are allocated at their largest size at once and touched as
 * they fill, so that nothing is ever rehashed under the lock. Each endpoint's
 * entries form a list in the order of settling: expiry and eviction take from
 * its old end, and only from there. What is forgotten leaves its bucket at once
 * and the list when its turn comes: the list has one direction.
 *
 * Invariants: (1) entries + held room <= max_entries, and of each endpoint
 * <= share_max: whoever has one endpoint's secret can fill its share and no
 * more; (2) an entry is made in room that was held, so that settling always
 * finds some. */
#include "seen.h"

#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

struct hb_seen_entry {
	struct hb_seen_item item;
	uint32_t chain; /* next in the bucket; 0 ends, as in all links */
	uint32_t newer; /* next in the endpoint's list, or in the free list */
};

struct hb_seen_ages {
	uint32_t oldest, newest;
	uint64_t count; /* entries and held room */
};

/* The longest time for which a captured signature may be replayed, doubled
 * because clocks may differ by the tolerance in either direction. */
static uint64_t
min_age_s(const struct hb_config *cfg)
{
	uint64_t tolerance_ms = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].tolerance_ms > tolerance_ms)
			tolerance_ms = cfg->endpoints[i].tolerance_ms;
	return (2 * tolerance_ms + 60000) / 1000;
}

/* Half of all, where several endpoints share it. */
static uint64_t
share_max(const struct hb_config *cfg)
{
	uint64_t max = cfg->dedup.max_entries;
	unsigned sharers = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode != HB_MODE_DISABLED &&
		    cfg->endpoints[i].dedup)
			sharers++;
	return sharers > 1 && max > 1 ? max / 2 : max;
}

void
hb_seen_init(struct hb_seen *seen, const struct hb_config *cfg)
{
	uint32_t buckets = 1024;

	*seen = (struct hb_seen){.start_ms = hb_clock_mono_ms(),
	    .window_s = cfg->dedup.window_ms / 1000,
	    .min_age_s = min_age_s(cfg),
	    .max_entries = cfg->dedup.max_entries,
	    .share_max = share_max(cfg),
	    .endpoint_count = cfg->endpoint_count,
	    .walk = {.endpoint = cfg->endpoint_count},
	    .metric_evictions = hb_metric_get(
		HB_M_DEDUP_EVICTIONS, NULL, NULL, NULL, NULL)};
	while (buckets < seen->max_entries && buckets < (1u << 31))
		buckets *= 2;
	seen->buckets = hb_xcalloc(buckets, sizeof(*seen->buckets));
	seen->bucket_mask = buckets - 1;
	seen->pool = hb_xcalloc(seen->max_entries + 1, sizeof(*seen->pool));
	seen->endpoints =
	    hb_xcalloc(cfg->endpoint_count, sizeof(*seen->endpoints));
}

void
hb_seen_fini(struct hb_seen *seen)
{
	free(seen->pool);
	free(seen->buckets);
	free(seen->endpoints);
}

uint32_t
hb_seen_now_s(const struct hb_seen *seen)
{
	return (uint32_t)((hb_clock_mono_ms() - seen->start_ms) / 1000 +
			  seen->window_s);
}

/* --- by key --------------------------------------------------------------- */

static uint32_t *
bucket_of(const struct hb_seen *seen, const uint64_t key[2])
{
	return &seen->buckets[(uint32_t)key[0] & seen->bucket_mask];
}

/* The link to the latest entry of a key, or to 0. */
static uint32_t *
link_of(const struct hb_seen *seen, const uint64_t key[2])
{
	uint32_t *link = bucket_of(seen, key);

	while (*link != 0) {
		struct hb_seen_entry *entry = &seen->pool[*link];

		if (entry->item.key[0] == key[0] &&
		    entry->item.key[1] == key[1])
			break;
		link = &entry->chain;
	}
	return link;
}

static bool
is_old(const struct hb_seen *seen, const struct hb_seen_item *item)
{
	return hb_seen_now_s(seen) - item->settled_s >= seen->window_s;
}

const struct hb_seen_item *
hb_seen_find(const struct hb_seen *seen, const uint64_t key[2])
{
	uint32_t i = *link_of(seen, key);

	return i != 0 && !is_old(seen, &seen->pool[i].item)
		   ? &seen->pool[i].item
		   : NULL;
}

void
hb_seen_prefetch(const struct hb_seen *seen, const uint64_t key[2])
{
	__builtin_prefetch(bucket_of(seen, key), 1);
}

/* --- by age --------------------------------------------------------------- */

/* Takes an entry out of its bucket. */
static void
unchain(struct hb_seen *seen, uint32_t i)
{
	uint32_t *link = bucket_of(seen, seen->pool[i].item.key);

	while (*link != i)
		link = &seen->pool[*link].chain;
	*link = seen->pool[i].chain;
}

/* Forgets an endpoint's oldest entry. */
static void
drop_oldest(struct hb_seen *seen, struct hb_seen_ages *ages)
{
	uint32_t i = ages->oldest;
	struct hb_seen_entry *entry = &seen->pool[i];

	if (entry->item.forgotten)
		seen->forgotten--;
	else
		unchain(seen, i);
	if (seen->walk.next == i)
		seen->walk.next = entry->newer;
	ages->oldest = entry->newer;
	if (ages->oldest == 0)
		ages->newest = 0;
	entry->newer = seen->free;
	seen->free = i;
	ages->count--;
	seen->count--;
}

/* Forgets what is older than the window. */
static void
expire(struct hb_seen *seen, struct hb_seen_ages *ages)
{
	while (ages->oldest != 0 &&
	       is_old(seen, &seen->pool[ages->oldest].item))
		drop_oldest(seen, ages);
}

/* The endpoint that has the oldest entry of all, or NULL. */
static struct hb_seen_ages *
find_oldest(struct hb_seen *seen)
{
	struct hb_seen_ages *oldest = NULL;

	for (size_t i = 0; i < seen->endpoint_count; i++) {
		struct hb_seen_ages *ages = &seen->endpoints[i];

		expire(seen, ages);
		if (ages->oldest != 0 &&
		    (oldest == NULL ||
			seen->pool[ages->oldest].item.settled_s <
			    seen->pool[oldest->oldest].item.settled_s))
			oldest = ages;
	}
	return oldest;
}

/* --- room ----------------------------------------------------------------- */

/* Forgets the oldest entry of these before its window ends, unless it must
 * stay. */
static enum hb_seen_room
evict(struct hb_seen *seen, struct hb_seen_ages *ages)
{
	if (ages == NULL || ages->oldest == 0 ||
	    hb_seen_now_s(seen) - seen->pool[ages->oldest].item.settled_s <
		seen->min_age_s)
		return HB_SEEN_FULL;
	drop_oldest(seen, ages);
	hb_metric_inc(seen->metric_evictions);
	return HB_SEEN_EVICTED;
}

/* Makes room for one more entry of this endpoint. */
static enum hb_seen_room
make_room(struct hb_seen *seen, struct hb_seen_ages *mine)
{
	struct hb_seen_ages *oldest;

	expire(seen, mine);
	if (mine->count >= seen->share_max)
		return evict(seen, mine);
	if (seen->count < seen->max_entries)
		return HB_SEEN_FREE;
	oldest = find_oldest(seen);
	return seen->count < seen->max_entries ? HB_SEEN_FREE /* expired */
					       : evict(seen, oldest);
}

enum hb_seen_room
hb_seen_hold(struct hb_seen *seen, unsigned endpoint)
{
	struct hb_seen_ages *ages = &seen->endpoints[endpoint];
	enum hb_seen_room room = make_room(seen, ages);

	if (room != HB_SEEN_FULL) {
		ages->count++;
		seen->count++;
	}
	return room;
}

void
hb_seen_release(struct hb_seen *seen, unsigned endpoint)
{
	seen->endpoints[endpoint].count--;
	seen->count--;
}

/* --- entries -------------------------------------------------------------- */

void
hb_seen_settle(struct hb_seen *seen, const struct hb_seen_item *item)
{
	struct hb_seen_ages *ages = &seen->endpoints[item->endpoint];
	uint32_t *bucket = bucket_of(seen, item->key);
	uint32_t i = seen->free;

	if (i != 0)
		seen->free = seen->pool[i].newer;
	else
		i = ++seen->used;
	seen->pool[i] =
	    (struct hb_seen_entry){.item = *item, .chain = *bucket};
	*bucket = i;
	if (ages->newest != 0)
		seen->pool[ages->newest].newer = i;
	else
		ages->oldest = i;
	ages->newest = i;
}

void
hb_seen_load(struct hb_seen *seen, const struct hb_seen_item *item)
{
	struct hb_seen_ages *ages = &seen->endpoints[item->endpoint];
	struct hb_seen_ages *oldest = ages;

	if (ages->count < seen->share_max)
		oldest = seen->count < seen->max_entries ? NULL
							 : find_oldest(seen);
	if (oldest != NULL)
		drop_oldest(seen, oldest);
	ages->count++;
	seen->count++;
	hb_seen_settle(seen, item);
}

/* There may be older entries of the key: their windows were over, or another
 * life's table was full of them. */
bool
hb_seen_forget(struct hb_seen *seen, const uint64_t key[2])
{
	bool was_known = hb_seen_find(seen, key) != NULL;
	uint32_t *link;

	while (*(link = link_of(seen, key)) != 0) {
		struct hb_seen_entry *entry = &seen->pool[*link];

		*link = entry->chain;
		entry->item.forgotten = true;
		seen->forgotten++;
	}
	return was_known;
}

/* --- walking -------------------------------------------------------------- */

static void
walk_enter(struct hb_seen *seen, size_t endpoint)
{
	seen->walk.endpoint = endpoint;
	seen->walk.next = endpoint < seen->endpoint_count
			      ? seen->endpoints[endpoint].oldest
			      : 0;
}

void
hb_seen_walk_begin(struct hb_seen *seen)
{
	walk_enter(seen, 0);
}

size_t
hb_seen_walk(struct hb_seen *seen, struct hb_seen_item *items, size_t max)
{
	size_t count = 0;

	while (count < max && seen->walk.endpoint < seen->endpoint_count) {
		const struct hb_seen_entry *entry =
		    &seen->pool[seen->walk.next];

		if (seen->walk.next == 0) {
			walk_enter(seen, seen->walk.endpoint + 1);
			continue;
		}
		if (!entry->item.forgotten)
			items[count++] = entry->item;
		seen->walk.next = entry->newer;
	}
	return count;
}
