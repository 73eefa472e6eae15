/* SPDX-License-Identifier: Apache-2.0 */
/* dedup.c - settled ids in one table, claims under way in another
 *
 * An identity is hashed with a random seed to 128 bits, which stand for it
 * from then on: 40 bytes an entry, whatever the ids' length.
 *
 *            claim: not known                     end: settled
 *   (none) ───────────────────► under way ───────────────────► seen
 *      ▲                            │ end: unsettled             │
 *      └────────────────────────────┴──── window over, evicted, ─┘
 *                                         forgotten
 *
 * Room for an entry (seen.c) is held when a claim is made. What settles is told
 * to the journal (journal.c), which has it written later: whoever ends a claim
 * never waits for a disk. */
#include "hookbridge/dedup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "hookbridge/crypto.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "journal.h"
#include "seen.h"

#define FLIGHT_BUCKETS 4096u

struct hb_dedup {
	pthread_mutex_t lock;
	uint8_t seed[HB_JOURNAL_SEED_SIZE];
	struct hb_seen seen;
	struct hb_journal *journal; /* NULL: nothing lasts */

	struct hb_dedup_flight *flights[FLIGHT_BUCKETS];
	uint64_t under_way;
	struct hb_metric *metric_entries;
};

static void
show_entries(const struct hb_dedup *dedup)
{
	hb_metric_set(dedup->metric_entries,
	    (int64_t)(dedup->seen.count - dedup->seen.forgotten));
}

/* Reads what is on disk, which may bring a seed along. */
static bool
open_journal(struct hb_dedup *dedup, const struct hb_config *cfg,
    struct hb_loop *helper, struct hb_error *err)
{
	dedup->journal = hb_journal_open(&(struct hb_journal_env){.cfg = cfg,
					     .helper = helper,
					     .lock = &dedup->lock,
					     .seen = &dedup->seen},
	    dedup->seed, err);
	return dedup->journal != NULL;
}

/* Makes a table of the configured size, with what lasts of earlier ones. */
struct hb_dedup *
hb_dedup_new(
    const struct hb_config *cfg, struct hb_loop *helper, struct hb_error *err)
{
	struct hb_dedup *dedup = hb_xcalloc(1, sizeof(*dedup));

	pthread_mutex_init(&dedup->lock, NULL);
	hb_random(dedup->seed, sizeof(dedup->seed));
	hb_seen_init(&dedup->seen, cfg);
	dedup->metric_entries =
	    hb_metric_get(HB_M_DEDUP_ENTRIES, NULL, NULL, NULL, NULL);
	if (cfg->spool.directory != NULL &&
	    !open_journal(dedup, cfg, helper, err)) {
		hb_dedup_free(dedup);
		return NULL;
	}
	show_entries(dedup);
	return dedup;
}

/* Frees a table that nobody uses any more. */
void
hb_dedup_free(struct hb_dedup *dedup)
{
	if (dedup == NULL)
		return;
	hb_journal_close(dedup->journal);
	hb_seen_fini(&dedup->seen);
	pthread_mutex_destroy(&dedup->lock);
	free(dedup);
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
    struct hb_dedup_waiter *waiter, enum hb_seen_room *room)
{
	struct hb_dedup_flight **link = flight_find(dedup, flight->key);
	const struct hb_seen_item *item;

	if (*link != NULL) {
		if ((*link)->digest != flight->digest)
			return HB_CLAIM_CONFLICT;
		waiter_add(*link, waiter);
		return HB_CLAIM_JOINED;
	}
	item = hb_seen_find(&dedup->seen, flight->key);
	if (item != NULL)
		return item->digest == flight->digest ? HB_CLAIM_SEEN
						      : HB_CLAIM_CONFLICT;
	*room = hb_seen_hold(&dedup->seen, flight->endpoint);
	if (*room == HB_SEEN_FULL)
		return HB_CLAIM_FULL;
	flight->next = NULL;
	flight->waiters = NULL;
	*link = flight;
	dedup->under_way++;
	return HB_CLAIM_NEW;
}

/* Claims an identity, or says who has it. */
enum hb_claim
hb_dedup_claim(struct hb_dedup *dedup, const struct hb_endpoint_conf *endpoint,
    struct hb_span id, uint64_t digest, struct hb_dedup_flight *flight,
    struct hb_dedup_waiter *waiter)
{
	enum hb_seen_room room = HB_SEEN_FREE;
	enum hb_claim claim;

	key_of(dedup, endpoint, id, flight->key);
	flight->digest = digest;
	flight->endpoint = endpoint->index;
	pthread_mutex_lock(&dedup->lock);
	claim = claim_locked(dedup, flight, waiter, &room);
	show_entries(dedup);
	pthread_mutex_unlock(&dedup->lock);
	if (room == HB_SEEN_EVICTED)
		hb_log_limited(HB_LOG_WARNING, "dedup.evicted",
		    HB_F_STR("endpoint", endpoint->name),
		    HB_F_STR("remedy", "raise dedup.max_entries"));
	return claim;
}

/* Marks what a flight carried. True: the journal wants to be woken. */
static bool
settle(struct hb_dedup *dedup, const struct hb_dedup_flight *flight)
{
	struct hb_seen_item item = {.key = {flight->key[0], flight->key[1]},
	    .digest = flight->digest,
	    .settled_s = hb_seen_now_s(&dedup->seen),
	    .endpoint = flight->endpoint & INT32_MAX};

	hb_seen_settle(&dedup->seen, &item);
	return dedup->journal != NULL && hb_journal_add(dedup->journal, &item);
}

/* Ends a claim that was HB_CLAIM_NEW. */
void
hb_dedup_end(struct hb_dedup *dedup, struct hb_dedup_flight *flight,
    enum hb_outcome outcome)
{
	bool wake = false;

	pthread_mutex_lock(&dedup->lock);
	*flight_find(dedup, flight->key) = flight->next;
	dedup->under_way--;
	tell_waiters(flight, outcome);
	if (outcome != HB_UNSETTLED)
		wake = settle(dedup, flight);
	else
		hb_seen_release(&dedup->seen, flight->endpoint);
	show_entries(dedup);
	pthread_mutex_unlock(&dedup->lock);
	if (wake)
		hb_journal_wake(dedup->journal);
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

/* Told to the journal even if the table does not know it: the disk may know
 * what was evicted here. */
bool
hb_dedup_forget(struct hb_dedup *dedup,
    const struct hb_endpoint_conf *endpoint, struct hb_span id)
{
	struct hb_seen_item item = {
	    .endpoint = endpoint->index & INT32_MAX, .forgotten = true};
	bool was_known, wake;

	key_of(dedup, endpoint, id, item.key);
	pthread_mutex_lock(&dedup->lock);
	item.settled_s = hb_seen_now_s(&dedup->seen);
	was_known = hb_seen_forget(&dedup->seen, item.key);
	wake = dedup->journal != NULL && hb_journal_add(dedup->journal, &item);
	show_entries(dedup);
	pthread_mutex_unlock(&dedup->lock);
	if (wake)
		hb_journal_wake(dedup->journal);
	return was_known;
}

void
hb_dedup_stats(struct hb_dedup *dedup, struct hb_dedup_stats *stats)
{
	const struct hb_seen *seen = &dedup->seen;

	pthread_mutex_lock(&dedup->lock);
	*stats = (struct hb_dedup_stats){
	    .entries = seen->count - seen->forgotten - dedup->under_way,
	    .under_way = dedup->under_way,
	    .max_entries = seen->max_entries,
	    .lasts = dedup->journal != NULL};
	pthread_mutex_unlock(&dedup->lock);
	if (dedup->journal != NULL)
		hb_journal_stats(
		    dedup->journal, &stats->bytes, &stats->broken);
}
