/* SPDX-License-Identifier: Apache-2.0 */
/* dedup.c - settled ids in one pool, claims under way in a small table
 *
 * An identity is hashed with a random seed to 128 bits, which stand for it
 * from then on: 40 bytes an entry, whatever the ids' length.
 *
 *            claim: not known                     end: settled
 *   (none) ───────────────────► under way ───────────────────► seen
 *      ▲                            │ end: unsettled             │
 *      └────────────────────────────┴──── window over, evicted ──┘
 *
 * The pool and the buckets are allocated at their largest size at once and
 * touched as they fill, so that nothing is ever rehashed under the lock. Each
 * endpoint's entries form a list in the order of settling: expiry and eviction
 * take from its old end.
 *
 * Invariants: (1) seen + under way <= max_entries, and of each endpoint
 * <= share_max: whoever has one endpoint's secret can fill its share and no
 * more; (2) a claim makes its room when it is made, so that ending it always
 * finds some. */
#include "hookbridge/dedup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

#define FLIGHT_BUCKETS 4096u

struct seen {
	uint64_t key[2];
	uint64_t digest;
	uint32_t settled_s; /* monotonic, since the table was made */
	uint32_t endpoint;
	uint32_t chain; /* next in the bucket; 0 ends, as in all links */
	uint32_t newer; /* next in the endpoint's list, or in the free list */
};

struct ages {
	uint32_t oldest, newest;
	uint64_t count; /* seen and under way */
};

struct hb_dedup {
	pthread_mutex_t lock;
	uint8_t seed[16];
	uint64_t start_ms, window_s, min_age_s, max_entries, share_max;

	struct seen *pool; /* [1 .. max_entries] */
	uint32_t used, free;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint64_t count; /* seen and under way */

	struct ages *endpoints;
	size_t endpoint_count;

	struct hb_dedup_flight *flights[FLIGHT_BUCKETS];
	struct hb_metric *metric_entries, *metric_evictions;
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

/* Makes an empty table of the configured size. */
struct hb_dedup *
hb_dedup_new(const struct hb_config *cfg)
{
	struct hb_dedup *dedup = hb_xcalloc(1, sizeof(*dedup));
	uint32_t buckets = 1024;

	pthread_mutex_init(&dedup->lock, NULL);
	hb_random(dedup->seed, sizeof(dedup->seed));
	dedup->start_ms = hb_clock_mono_ms();
	dedup->window_s = cfg->dedup.window_ms / 1000;
	dedup->min_age_s = min_age_s(cfg);
	dedup->max_entries = cfg->dedup.max_entries;
	dedup->share_max = share_max(cfg);
	while (buckets < dedup->max_entries && buckets < (1u << 31))
		buckets *= 2;
	dedup->buckets = hb_xcalloc(buckets, sizeof(*dedup->buckets));
	dedup->bucket_mask = buckets - 1;
	dedup->pool = hb_xcalloc(dedup->max_entries + 1, sizeof(*dedup->pool));
	dedup->endpoint_count = cfg->endpoint_count;
	dedup->endpoints = hb_xcalloc(cfg->endpoint_count,
	    sizeof(*dedup->endpoints));
	dedup->metric_entries = hb_metric_get(HB_M_DEDUP_ENTRIES,
	    NULL, NULL, NULL, NULL);
	hb_metric_set(dedup->metric_entries, 0);
	dedup->metric_evictions = hb_metric_get(HB_M_DEDUP_EVICTIONS,
	    NULL, NULL, NULL, NULL);
	return dedup;
}

/* Frees a table that nobody uses any more. */
void
hb_dedup_free(struct hb_dedup *dedup)
{
	if (dedup == NULL)
		return;
	pthread_mutex_destroy(&dedup->lock);
	free(dedup->pool);
	free(dedup->buckets);
	free(dedup->endpoints);
	free(dedup);
}

/* --- the seen ------------------------------------------------------------- */

static uint32_t
now_s(const struct hb_dedup *dedup)
{
	return (uint32_t)((hb_clock_mono_ms() - dedup->start_ms) / 1000);
}

static uint32_t *
bucket_of(struct hb_dedup *dedup, const uint64_t key[2])
{
	return &dedup->buckets[(uint32_t)key[0] & dedup->bucket_mask];
}

/* The entry of a key, or NULL. */
static struct seen *
seen_find(struct hb_dedup *dedup, const uint64_t key[2])
{
	uint32_t i = *bucket_of(dedup, key);

	while (i != 0) {
		struct seen *seen = &dedup->pool[i];

		if (seen->key[0] == key[0] && seen->key[1] == key[1])
			return seen;
		i = seen->chain;
	}
	return NULL;
}

/* Forgets an endpoint's oldest entry. */
static void
seen_drop_oldest(struct hb_dedup *dedup, struct ages *ages)
{
	uint32_t i = ages->oldest;
	struct seen *seen = &dedup->pool[i];
	uint32_t *link = bucket_of(dedup, seen->key);

	while (*link != i)
		link = &dedup->pool[*link].chain;
	*link = seen->chain;
	ages->oldest = seen->newer;
	if (ages->oldest == 0)
		ages->newest = 0;
	seen->newer = dedup->free;
	dedup->free = i;
	ages->count--;
	dedup->count--;
}

/* Makes an entry, the newest of its endpoint. */
static void
seen_add(struct hb_dedup *dedup, const struct hb_dedup_flight *flight)
{
	struct ages *ages = &dedup->endpoints[flight->endpoint];
	uint32_t i = dedup->free;
	struct seen *seen;
	uint32_t *bucket;

	if (i != 0)
		dedup->free = dedup->pool[i].newer;
	else
		i = ++dedup->used;
	seen = &dedup->pool[i];
	bucket = bucket_of(dedup, flight->key);
	*seen = (struct seen){ .key = { flight->key[0], flight->key[1] },
		.digest = flight->digest,
		.settled_s = now_s(dedup),
		.endpoint = flight->endpoint,
		.chain = *bucket };
	*bucket = i;
	if (ages->newest != 0)
		dedup->pool[ages->newest].newer = i;
	else
		ages->oldest = i;
	ages->newest = i;
}

/* Forgets what is older than the window. */
static void
expire(struct hb_dedup *dedup, struct ages *ages)
{
	uint32_t now = now_s(dedup);

	while (ages->oldest != 0 &&
	    now - dedup->pool[ages->oldest].settled_s >= dedup->window_s)
		seen_drop_oldest(dedup, ages);
}

/* The endpoint that has the oldest entry of all, or NULL. */
static struct ages *
find_oldest(struct hb_dedup *dedup)
{
	struct ages *oldest = NULL;

	for (size_t i = 0; i < dedup->endpoint_count; i++) {
		struct ages *ages = &dedup->endpoints[i];

		expire(dedup, ages);
		if (ages->oldest != 0 && (oldest == NULL ||
		    dedup->pool[ages->oldest].settled_s <
		    dedup->pool[oldest->oldest].settled_s))
			oldest = ages;
	}
	return oldest;
}

enum room { ROOM_FREE, ROOM_EVICTED, ROOM_NONE };

/* Forgets the oldest entry of these before its window ends, unless it must
 * stay. */
static enum room
evict(struct hb_dedup *dedup, struct ages *ages)
{
	if (ages == NULL || ages->oldest == 0 || now_s(dedup) -
	    dedup->pool[ages->oldest].settled_s < dedup->min_age_s)
		return ROOM_NONE;
	seen_drop_oldest(dedup, ages);
	hb_metric_inc(dedup->metric_evictions);
	return ROOM_EVICTED;
}

/* Makes room for one more claim of this endpoint. */
static enum room
make_room(struct hb_dedup *dedup, struct ages *mine)
{
	struct ages *oldest;

	expire(dedup, mine);
	if (mine->count >= dedup->share_max)
		return evict(dedup, mine);
	if (dedup->count < dedup->max_entries)
		return ROOM_FREE;
	oldest = find_oldest(dedup);
	return dedup->count < dedup->max_entries ? ROOM_FREE /* expired */
						 : evict(dedup, oldest);
}

/* --- claims under way ----------------------------------------------------- */

static struct hb_dedup_flight **
flight_find(struct hb_dedup *dedup, const uint64_t key[2])
{
	struct hb_dedup_flight **link =
	    &dedup->flights[key[0] % FLIGHT_BUCKETS];

	while (*link != NULL &&
	    ((*link)->key[0] != key[0] || (*link)->key[1] != key[1]))
		link = &(*link)->next;
	return link;
}

static void
waiter_add(struct hb_dedup_flight *flight, struct hb_dedup_waiter *waiter)
{
	waiter->flight = flight;
	waiter->next = flight->waiters;
	waiter->prev = &flight->waiters;
	if (waiter->next != NULL)
		waiter->next->prev = &waiter->next;
	flight->waiters = waiter;
}

static void
on_told(struct hb_task *task)
{
	struct hb_dedup_waiter *waiter =
	    hb_container_of(task, struct hb_dedup_waiter, task);

	waiter->on_end(waiter);
}

/* Takes all waiters off the flight and posts them its outcome. */
static void
tell_waiters(struct hb_dedup_flight *flight, enum hb_outcome outcome)
{
	while (flight->waiters != NULL) {
		struct hb_dedup_waiter *waiter = flight->waiters;

		flight->waiters = waiter->next;
		waiter->flight = NULL;
		waiter->outcome = outcome;
		waiter->task.run = on_told;
		hb_loop_post(waiter->home, &waiter->task);
	}
}

/* --- the calls ------------------------------------------------------------ */

static void
key_of(const struct hb_dedup *dedup, const struct hb_endpoint_conf *endpoint,
    struct hb_span id, uint64_t key[2])
{
	uint8_t digest[HB_SHA256_SIZE];
	struct hb_span pieces[] = {
		{ (const char *)dedup->seed, sizeof(dedup->seed) },
		{ endpoint->name, strlen(endpoint->name) + 1 }, /* and NUL */
		id,
	};

	hb_sha256_pieces(pieces, HB_COUNT(pieces), digest);
	memcpy(key, digest, 2 * sizeof(key[0]));
}

static enum hb_claim
claim_locked(struct hb_dedup *dedup, struct hb_dedup_flight *flight,
    struct hb_dedup_waiter *waiter, enum room *room)
{
	struct ages *ages = &dedup->endpoints[flight->endpoint];
	struct hb_dedup_flight **link = flight_find(dedup, flight->key);
	struct seen *seen;

	if (*link != NULL) {
		if ((*link)->digest != flight->digest)
			return HB_CLAIM_CONFLICT;
		waiter_add(*link, waiter);
		return HB_CLAIM_JOINED;
	}
	seen = seen_find(dedup, flight->key);
	if (seen != NULL &&
	    now_s(dedup) - seen->settled_s < dedup->window_s)
		return seen->digest == flight->digest ? HB_CLAIM_SEEN
						      : HB_CLAIM_CONFLICT;
	*room = make_room(dedup, ages);
	if (*room == ROOM_NONE)
		return HB_CLAIM_FULL;
	flight->next = NULL;
	flight->waiters = NULL;
	*link = flight;
	ages->count++;
	dedup->count++;
	return HB_CLAIM_NEW;
}

/* Claims an identity, or says who has it. */
enum hb_claim
hb_dedup_claim(struct hb_dedup *dedup, const struct hb_endpoint_conf *endpoint,
    struct hb_span id, uint64_t digest, struct hb_dedup_flight *flight,
    struct hb_dedup_waiter *waiter)
{
	enum room room = ROOM_FREE;
	enum hb_claim claim;

	key_of(dedup, endpoint, id, flight->key);
	flight->digest = digest;
	flight->endpoint = endpoint->index;
	pthread_mutex_lock(&dedup->lock);
	claim = claim_locked(dedup, flight, waiter, &room);
	hb_metric_set(dedup->metric_entries, (int64_t)dedup->count);
	pthread_mutex_unlock(&dedup->lock);
	if (room == ROOM_EVICTED)
		hb_log_limited(HB_LOG_WARNING, "dedup.evicted",
		    HB_F_STR("endpoint", endpoint->name),
		    HB_F_STR("remedy", "raise dedup.max_entries"));
	return claim;
}

/* Ends a claim that was HB_CLAIM_NEW. */
void
hb_dedup_end(struct hb_dedup *dedup, struct hb_dedup_flight *flight,
    enum hb_outcome outcome)
{
	pthread_mutex_lock(&dedup->lock);
	*flight_find(dedup, flight->key) = flight->next;
	tell_waiters(flight, outcome);
	if (outcome != HB_UNSETTLED) {
		seen_add(dedup, flight);
	} else {
		dedup->endpoints[flight->endpoint].count--;
		dedup->count--;
	}
	hb_metric_set(dedup->metric_entries, (int64_t)dedup->count);
	pthread_mutex_unlock(&dedup->lock);
}

/* Takes a waiter off, if it still waits. */
bool
hb_dedup_leave(struct hb_dedup *dedup, struct hb_dedup_waiter *waiter)
{
	bool waiting;

	pthread_mutex_lock(&dedup->lock);
	waiting = waiter->flight != NULL;
	if (waiting) {
		*waiter->prev = waiter->next;
		if (waiter->next != NULL)
			waiter->next->prev = waiter->prev;
		waiter->flight = NULL;
	}
	pthread_mutex_unlock(&dedup->lock);
	return waiting;
}
