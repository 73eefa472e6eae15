/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - open, close, look into, settle, state, counts
 *
 * A record's way, and who knows of it:
 *
 *   hb_spool_append() ─► queue ─► group ─► file, synced ─► live ─► settled
 *   the caller's memory  writer.c group.c  output.c        bits.c, lane.c
 *
 * A segment's way: roll.c begins and ends it, retire.c or compact.c makes a
 * file to use again of it, and recover.c brings it back after a crash. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define SEGMENT_SIZE (64u << 20)
#define GROUP_SIZE (4u << 20)
#define SEGMENTS_MIN 4
#define PROBE_MS 5000
/* A directory is looked through again when files went meanwhile. */
#define LOOKS_MAX 8
/* What a segment needs besides its longest record: header, trailer, a lane's
 * name, twice, settlements, the rest of the footer. */
#define SEGMENT_OVERHEAD (4 * HB_SPOOL_BLOCK)

/* --- opening and closing -------------------------------------------------- */

static bool
check_options(const struct hb_spool *spool, struct hb_error *err)
{
	uint64_t size = spool->segment_size;

	if (size < HB_SPOOL_FILE_MIN || size > HB_SPOOL_FILE_MAX ||
	    size % HB_SPOOL_BLOCK != 0)
		return hb_fail(err, HB_E_CONFIG,
		    "segment_size: expected a multiple of 4 KiB from 64 KiB "
		    "to 1 GiB");
	if (spool->store.max_size / size < SEGMENTS_MIN)
		return hb_fail(err, HB_E_CONFIG,
		    "max_size: expected at least %d segments of %llu bytes",
		    SEGMENTS_MIN, (unsigned long long)size);
	return true;
}

static struct hb_spool *
spool_new(const struct hb_spool_options *options)
{
	struct hb_spool *spool = hb_xcalloc(1, sizeof(*spool));
	pthread_condattr_t attr;

	pthread_mutex_init(&spool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&spool->wake, &attr);
	pthread_condattr_destroy(&attr);
	spool->segment_size =
	    options->segment_size > 0 ? options->segment_size : SEGMENT_SIZE;
	spool->group_size =
	    options->group_size > 0 ? options->group_size : GROUP_SIZE;
	spool->record_max = (uint32_t)(spool->segment_size - SEGMENT_OVERHEAD);
	spool->store.dir = spool->store.lock = -1;
	spool->store.max_size = options->max_size;
	spool->store.segment_size = spool->segment_size;
	spool->lanes_end = &spool->lanes;
	spool->queue.end = &spool->queue.first;
	spool->pending.end = &spool->pending.first;
	spool->out.fd = -1;
	spool->next_number = spool->next_seq = 1;
	spool->wants_retiring = true;
	spool->sync_duration =
	    hb_metric_get(HB_M_SPOOL_SYNC_DURATION, NULL, NULL, NULL, NULL);
	spool->appends =
	    hb_metric_get(HB_M_SPOOL_APPENDS, NULL, NULL, NULL, NULL);
	return spool;
}

static void
log_open(const struct hb_spool *spool)
{
	hb_log(HB_LOG_INFO, "spool.open",
	    HB_F_STR("directory", spool->store.path),
	    HB_F_U64("max_size", spool->store.max_size),
	    HB_F_U64("segment_size", spool->segment_size),
	    HB_F_U64("disk_bytes", spool->store.used));
}

struct hb_spool *
hb_spool_open(const struct hb_spool_options *options, struct hb_error *err)
{
	struct hb_spool *spool = spool_new(options);

	if (check_options(spool, err) &&
	    hb_spool_store_open(
		&spool->store, options->directory, true, err) &&
	    hb_spool_recover(spool, err) &&
	    hb_spool_writer_start(spool, err)) {
		log_open(spool);
		return spool;
	}
	hb_spool_close(spool);
	return NULL;
}

void
hb_spool_close(struct hb_spool *spool)
{
	if (spool == NULL)
		return;
	hb_spool_writer_stop(spool);
	for (size_t i = 0; i < spool->segment_count; i++)
		hb_spool_segment_free(spool->segments[i]);
	for (size_t i = 0; i < spool->retired_count; i++)
		hb_spool_segment_free(spool->retired[i]);
	free(spool->segments);
	free(spool->retired);
	hb_spool_lanes_free(spool);
	hb_spool_bits_fini(&spool->live);
	hb_spool_group_fini(&spool->group);
	hb_spool_store_close(&spool->store);
	pthread_cond_destroy(&spool->wake);
	pthread_mutex_destroy(&spool->lock);
	free(spool);
}

/* --- looking into one from outside ---------------------------------------- */

/* all: no file went meanwhile. */
static bool
find(struct hb_spool *spool, const char *directory, bool *all,
    struct hb_error *err)
{
	*all = true;
	if (hb_spool_store_open(&spool->store, directory, false, err))
		return hb_spool_look(spool, all, err);
	return errno == ENOENT;
}

/* A spool that has no writer; NULL and err. */
static struct hb_spool *
look(const char *directory, struct hb_error *err)
{
	bool ok, all;

	for (int i = 1;; i++) {
		struct hb_spool *spool =
		    spool_new(&(struct hb_spool_options){.directory = NULL});

		ok = find(spool, directory, &all, err);
		if (ok && (all || i == LOOKS_MAX))
			return spool;
		hb_spool_close(spool);
		if (!ok)
			return NULL;
	}
}

bool
hb_spool_survey(const char *directory,
    void (*each)(void *arg, struct hb_span lane,
	const struct hb_spool_lane_stats *stats),
    void *arg, struct hb_error *err)
{
	struct hb_spool *spool = look(directory, err);
	struct hb_spool_lane *lane = NULL;

	if (spool == NULL)
		return false;
	while ((lane = hb_spool_lane_next(spool, lane)) != NULL) {
		struct hb_spool_lane_stats stats;

		hb_spool_lane_stats(lane, &stats);
		if (stats.records > 0)
			each(arg, hb_spool_lane_name(lane), &stats);
	}
	hb_spool_close(spool);
	return true;
}

/* --- settling ------------------------------------------------------------- */

bool
hb_spool_settle(const struct hb_spool_ref *ref)
{
	struct hb_spool_lane *lane = ref->lane;
	struct hb_spool *spool = lane->spool;
	struct hb_spool_share *share;
	bool is_news;

	pthread_mutex_lock(&spool->lock);
	share = hb_spool_lane_share(lane, ref->seq);
	is_news = share != NULL && share->seg->header.first_seq <= ref->seq &&
		  hb_spool_bits_remove(&spool->live, ref->seq);
	if (is_news) {
		hb_spool_lane_remove(lane, share, ref->len);
		hb_spool_writer_expect(spool);
	}
	pthread_mutex_unlock(&spool->lock);
	return is_news;
}

bool
hb_spool_is_live(struct hb_spool *spool, uint64_t seq)
{
	bool is_live;

	pthread_mutex_lock(&spool->lock);
	is_live = hb_spool_bits_has(&spool->live, seq);
	pthread_mutex_unlock(&spool->lock);
	return is_live;
}

bool
hb_spool_is_settled(const struct hb_spool_ref *ref)
{
	return !hb_spool_is_live(ref->lane->spool, ref->seq);
}

/* --- state ---------------------------------------------------------------- */

/* An error is that records are refused from now on. */
static void
log_state(const struct hb_spool *spool, enum hb_spool_state state,
    const struct hb_error *err)
{
	const char *path = spool->store.path;

	if (state == HB_SPOOL_OK)
		hb_log(HB_LOG_INFO, "spool.well", HB_F_STR("directory", path));
	else if (state == HB_SPOOL_FULL)
		hb_log(HB_LOG_ERROR, "spool.full", HB_F_STR("directory", path),
		    HB_F_STR("error", err->text));
	else
		hb_log(HB_LOG_ERROR, "spool.error",
		    HB_F_STR("directory", path), HB_F_STR("error", err->text));
}

/* When the disk is tried next, should nobody append until then. */
static uint64_t
probe_time(const struct hb_spool *spool)
{
	uint64_t now_ms = hb_clock_mono_ms();

	return spool->retry_ms > now_ms ? spool->retry_ms : now_ms + PROBE_MS;
}

void
hb_spool_set_state(struct hb_spool *spool, enum hb_spool_state state,
    const struct hb_error *err)
{
	bool is_news;

	pthread_mutex_lock(&spool->lock);
	is_news = spool->state != state;
	spool->state = state;
	spool->probe_ms = 0;
	if (state != HB_SPOOL_OK) {
		memcpy(spool->why, err->text, sizeof(spool->why));
		spool->probe_ms = probe_time(spool);
	}
	pthread_mutex_unlock(&spool->lock);
	if (is_news)
		log_state(spool, state, err);
}

void
hb_spool_state_eased(struct hb_spool *spool)
{
	if (spool->state == HB_SPOOL_FULL &&
	    hb_spool_store_has_room(&spool->store, HB_SPOOL_FOR_RECORDS))
		hb_spool_set_state(spool, HB_SPOOL_OK, NULL);
}

void
hb_spool_stats(struct hb_spool *spool, struct hb_spool_stats *stats)
{
	const struct hb_spool_store *store = &spool->store;

	pthread_mutex_lock(&spool->lock);
	*stats = (struct hb_spool_stats){.state = spool->state,
	    .disk_bytes = store->used,
	    .max_size = store->max_size,
	    .segments = spool->segment_count,
	    .pool = store->pool_count,
	    .quarantined = store->quarantined,
	    .lost = spool->lost,
	    .groups = spool->groups};
	if (spool->state != HB_SPOOL_OK)
		memcpy(stats->why, spool->why, sizeof(stats->why));
	for (const struct hb_spool_lane *lane = spool->lanes; lane != NULL;
	     lane = lane->next_in_all) {
		stats->records += lane->records;
		stats->bytes += lane->bytes;
	}
	pthread_mutex_unlock(&spool->lock);
}
