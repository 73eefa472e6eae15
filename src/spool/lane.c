/* SPDX-License-Identifier: Apache-2.0 */
/* lane.c - lanes, and which segments hold what of them
 *
 * A lane has a share in each segment that holds a record of it which is not
 * settled. Shares answer what is asked of a lane without a look at any record:
 * how many records, how old, where the next one is. They are few: lanes times
 * segments at most. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

static struct hb_spool_lane **
bucket_of(struct hb_spool *spool, struct hb_span name)
{
	uint32_t hash = 2166136261u; /* FNV-1a: names are the configuration's */

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (uint8_t)name.ptr[i]) * 16777619u;
	return &spool->buckets[hash % HB_SPOOL_LANE_BUCKETS];
}

static struct hb_spool_lane *
lane_new(struct hb_spool *spool, struct hb_span name)
{
	struct hb_spool_lane *lane = hb_xcalloc(1, sizeof(*lane));

	lane->spool = spool;
	lane->name = hb_xstrndup(name);
	lane->name_len = name.len;
	lane->segment_number = UINT64_MAX;
	*spool->lanes_end = lane;
	spool->lanes_end = &lane->next_in_all;
	return lane;
}

struct hb_spool_lane *
hb_spool_lane_get(struct hb_spool *spool, struct hb_span name)
{
	struct hb_spool_lane **link = bucket_of(spool, name);

	while (*link != NULL && !hb_span_eq(hb_spool_lane_name(*link), name))
		link = &(*link)->next;
	if (*link == NULL)
		*link = lane_new(spool, name);
	return *link;
}

struct hb_spool_lane *
hb_spool_lane(struct hb_spool *spool, struct hb_span name)
{
	struct hb_spool_lane *lane;

	if (name.len == 0 || name.len > HB_SPOOL_NAME_MAX)
		return NULL;
	pthread_mutex_lock(&spool->lock);
	lane = hb_spool_lane_get(spool, name);
	pthread_mutex_unlock(&spool->lock);
	return lane;
}

struct hb_spool_lane *
hb_spool_lane_next(struct hb_spool *spool, struct hb_spool_lane *lane)
{
	struct hb_spool_lane *next;

	pthread_mutex_lock(&spool->lock);
	next = lane != NULL ? lane->next_in_all : spool->lanes;
	pthread_mutex_unlock(&spool->lock);
	return next;
}

struct hb_span
hb_spool_lane_name(const struct hb_spool_lane *lane)
{
	return hb_span_make(lane->name, lane->name_len);
}

void
hb_spool_lane_stats(
    struct hb_spool_lane *lane, struct hb_spool_lane_stats *stats)
{
	pthread_mutex_lock(&lane->spool->lock);
	*stats = (struct hb_spool_lane_stats){
	    .records = lane->records,
	    .bytes = lane->bytes,
	    .oldest_ms = lane->share_count > 0 ? lane->shares[0].first_ms : 0,
	    .lost = lane->lost,
	    .lost_bytes = lane->lost_bytes,
	};
	pthread_mutex_unlock(&lane->spool->lock);
}

void
hb_spool_lanes_free(struct hb_spool *spool)
{
	struct hb_spool_lane *lane = spool->lanes, *next;

	for (; lane != NULL; lane = next) {
		next = lane->next_in_all;
		free(lane->shares);
		free(lane->name);
		free(lane);
	}
}

/* --- shares --------------------------------------------------------------- */

/* The place of the first share that ends after seq. */
static size_t
place_of(const struct hb_spool_lane *lane, uint64_t seq)
{
	size_t low = 0, high = lane->share_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (lane->shares[middle].seg->next_seq <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct hb_spool_share *
hb_spool_lane_share(struct hb_spool_lane *lane, uint64_t seq)
{
	size_t place = place_of(lane, seq);

	return place < lane->share_count ? &lane->shares[place] : NULL;
}

static struct hb_spool_share *
share_insert(struct hb_spool_lane *lane, size_t place)
{
	if (lane->share_count == lane->shares_size) {
		lane->shares_size =
		    lane->shares_size > 0 ? lane->shares_size * 2 : 4;
		lane->shares = hb_xreallocarray(lane->shares,
		    lane->shares_size, sizeof(*lane->shares));
	}
	memmove(lane->shares + place + 1, lane->shares + place,
	    (lane->share_count - place) * sizeof(*lane->shares));
	lane->share_count++;
	return &lane->shares[place];
}

static void
share_delete(struct hb_spool_lane *lane, size_t place)
{
	lane->share_count--;
	memmove(lane->shares + place, lane->shares + place + 1,
	    (lane->share_count - place) * sizeof(*lane->shares));
}

void
hb_spool_lane_add(struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, int64_t appended_ms)
{
	struct hb_spool_lane *lane = seg->lanes[entry->lane];
	size_t place = place_of(lane, entry->seq);
	struct hb_spool_share *share;

	if (place < lane->share_count && lane->shares[place].seg == seg) {
		share = &lane->shares[place];
	} else {
		share = share_insert(lane, place);
		*share = (struct hb_spool_share){
		    .seg = seg, .first_ms = appended_ms};
	}
	share->live++;
	share->bytes += entry->len;
	lane->records++;
	lane->bytes += entry->len;
	seg->live++;
	seg->live_bytes += hb_spool_record_size(entry->len);
}

void
hb_spool_lane_remove(
    struct hb_spool_lane *lane, struct hb_spool_share *share, uint32_t len)
{
	struct hb_spool_segment *seg = share->seg;

	lane->records--;
	lane->bytes -= len;
	seg->live--;
	seg->live_bytes -= hb_spool_record_size(len);
	share->bytes -= len;
	if (--share->live == 0)
		share_delete(lane, (size_t)(share - lane->shares));
	if (seg->live == 0)
		lane->spool->wants_retiring = true;
}

void
hb_spool_lanes_forget(struct hb_spool_segment *seg)
{
	for (size_t i = 0; i < seg->lane_count; i++) {
		struct hb_spool_lane *lane = seg->lanes[i];
		size_t place = 0;

		while (place < lane->share_count &&
		       lane->shares[place].seg != seg)
			place++;
		if (place == lane->share_count)
			continue;
		lane->records -= lane->shares[place].live;
		lane->bytes -= lane->shares[place].bytes;
		share_delete(lane, place);
	}
}
