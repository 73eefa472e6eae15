/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - open, close, what is shown
 *
 * Two spools below spool.directory, so that neither deliveries that wait nor
 * dead letters that nobody looks at can take all of the disk from the other:
 *
 *   dead         dead_share percent of max_size
 *   deliveries   the rest
 *
 * A part that is too small for several segments of segment_size has smaller
 * ones, which bounds what it takes as one record. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/dir.h"
#include "parts.h"

#define SEGMENTS_MIN 8
#define SEGMENT_MIN (64u * 1024)
#define SEGMENT_STEP 4096u
/* What of a segment no record is in, and how many segments are in reserve. */
#define SEGMENT_OVERHEAD (2 * SEGMENT_STEP)
#define RESERVED 2

/* --- the directory -------------------------------------------------------- */

/* Who may write here can put other directories in the place of ours. */
static bool
prepare_directory(const char *path, struct hb_error *err)
{
	int dir = hb_dir_make(AT_FDCWD, path, path, err);

	if (dir >= 0)
		close(dir);
	return dir >= 0;
}

char *
hb_store_directory(const struct hb_config *cfg, enum hb_shelf_kind kind)
{
	const char *parent = cfg->spool.directory;
	const char *name = kind == HB_SHELF_DEAD ? "dead" : "deliveries";
	char *path = hb_xmalloc(strlen(parent) + strlen(name) + 2);

	sprintf(path, "%s/%s", parent, name);
	return path;
}

/* --- the spools ----------------------------------------------------------- */

static uint64_t
fit_segment(uint64_t max_size, uint64_t segment_size)
{
	uint64_t most = max_size / SEGMENTS_MIN / SEGMENT_STEP * SEGMENT_STEP;

	if (segment_size > most)
		segment_size = most;
	return segment_size < SEGMENT_MIN ? SEGMENT_MIN : segment_size;
}

static uint64_t
capacity_of(uint64_t max_size, uint64_t segment_size)
{
	uint64_t segments = max_size / segment_size;

	return segments > RESERVED
		   ? (segments - RESERVED) * (segment_size - SEGMENT_OVERHEAD)
		   : 0;
}

static void
part_init(struct hb_store *store, enum hb_shelf_kind kind)
{
	const struct hb_spool_conf *conf = &store->cfg->spool;
	struct hb_store_part *part = &store->parts[kind];
	uint64_t dead = hb_store_percent(conf->max_size, conf->dead_share);

	part->store = store;
	part->kind = kind;
	part->directory = hb_store_directory(store->cfg, kind);
	part->max_size =
	    kind == HB_SHELF_DEAD ? dead : conf->max_size - dead;
	part->segment_size = fit_segment(part->max_size, conf->segment_size);
	part->capacity = capacity_of(part->max_size, part->segment_size);
	part->end = &part->first;
	hb_store_books_init(part, store->cfg);
}

static bool
part_open(struct hb_store_part *part, struct hb_error *err)
{
	struct hb_spool_options options = {.directory = part->directory,
	    .max_size = part->max_size,
	    .segment_size = part->segment_size,
	    .group_size = part->store->cfg->spool.group_size};

	part->spool = hb_spool_open(&options, err);
	if (part->spool == NULL)
		return false;
	hb_store_shelves_find(part);
	return true;
}

static void
part_fini(struct hb_store_part *part)
{
	hb_spool_close(part->spool);
	hb_store_shelves_free(part);
	hb_store_books_fini(&part->books);
	free(part->directory);
}

/* --- gauges --------------------------------------------------------------- */

/* All of a configured sink's, whether it has anything on disk or not. */
static void
sinks_begin(struct hb_store *store)
{
	const struct hb_config *cfg = store->cfg;
	const struct hb_store_part *part = &store->parts[HB_SHELF_DELIVERIES];

	store->oldest = hb_xcalloc(cfg->sink_count + 1, sizeof(void *));
	for (size_t i = 0; i < cfg->sink_count; i++) {
		const struct hb_store_account *account = &part->books.sinks[i];
		const char *name = account->name;
		uint64_t most = account->limit < part->capacity
				    ? account->limit
				    : part->capacity;

		store->oldest[i] = hb_metric_get(
		    HB_M_SPOOL_OLDEST, name, NULL, NULL, NULL);
		hb_metric_set(hb_metric_get(HB_M_SPOOL_CAPACITY, name, NULL,
				  NULL, NULL),
		    (int64_t)most);
		hb_metric_get(HB_M_SPOOL_RECORDS, name, NULL, NULL, NULL);
		hb_metric_get(HB_M_SPOOL_BYTES, name, NULL, NULL, NULL);
	}
	hb_metric_get(HB_M_SPOOL_ORPHANED, NULL, NULL, NULL, NULL);
}

static void
sinks_end(struct hb_store *store)
{
	const struct hb_config *cfg = store->cfg;

	for (size_t i = 0; i < cfg->sink_count; i++) {
		hb_metric_set(store->oldest[i], 0);
		hb_metric_set(hb_metric_get(HB_M_SPOOL_CAPACITY,
				  cfg->sinks[i].name, NULL, NULL, NULL),
		    0);
	}
	free(store->oldest);
}

/* When the sinks' oldest deliveries were kept, into an array by sink. */
static void
look_at_shelves(struct hb_store *store, enum hb_shelf_kind kind,
    int64_t *oldest_ms)
{
	for (struct hb_shelf *face = store->parts[kind].first; face != NULL;
	     face = face->next) {
		struct hb_spool_lane_stats stats;
		int64_t *oldest;

		hb_store_shelf_balance(hb_store_shelf_of(face));
		hb_spool_lane_stats(face->lane, &stats);
		if (face->dest == NULL || stats.oldest_ms == 0)
			continue;
		oldest = &oldest_ms[face->dest->sink->index];
		if (*oldest == 0 || stats.oldest_ms < *oldest)
			*oldest = stats.oldest_ms;
	}
}

int64_t
hb_store_oldest_ms(struct hb_store *store)
{
	const struct hb_shelf *face =
	    hb_store_shelves(store, HB_SHELF_DELIVERIES);
	int64_t oldest_ms = 0;

	for (; face != NULL; face = face->next) {
		struct hb_spool_lane_stats stats;

		hb_spool_lane_stats(face->lane, &stats);
		if (stats.oldest_ms != 0 &&
		    (oldest_ms == 0 || stats.oldest_ms < oldest_ms))
			oldest_ms = stats.oldest_ms;
	}
	return oldest_ms;
}

void
hb_store_show(struct hb_store *store)
{
	size_t count = store->cfg->sink_count;
	int64_t *oldest_ms = hb_xcalloc(count + 1, sizeof(*oldest_ms));
	int64_t now_ms = hb_clock_wall_ms();

	look_at_shelves(store, HB_SHELF_DEAD, oldest_ms);
	look_at_shelves(store, HB_SHELF_DELIVERIES, oldest_ms);
	for (size_t i = 0; i < count; i++) {
		int64_t age_ms =
		    oldest_ms[i] != 0 ? now_ms - oldest_ms[i] : 0;

		/* Wall clocks are set back. */
		hb_metric_set(
		    store->oldest[i], age_ms > 0 ? age_ms / 1000 : 0);
	}
	free(oldest_ms);
}

void
hb_store_stats(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats)
{
	hb_spool_stats(store->parts[kind].spool, stats);
	stats->lost += store->parts[kind].damaged;
}

const struct hb_shelf *
hb_store_shelves(struct hb_store *store, enum hb_shelf_kind kind)
{
	return store->parts[kind].first;
}

/* --- opening and closing -------------------------------------------------- */

static struct hb_store *
store_new(const struct hb_config *cfg)
{
	struct hb_store *store = hb_xcalloc(1, sizeof(*store));

	store->cfg = cfg;
	pthread_mutex_init(&store->lock, NULL);
	hb_store_holds_init(&store->holds);
	store->table = hb_xcalloc(
	    cfg->dest_count * cfg->endpoint_count + 1, sizeof(void *));
	part_init(store, HB_SHELF_DELIVERIES);
	part_init(store, HB_SHELF_DEAD);
	sinks_begin(store);
	return store;
}

struct hb_store *
hb_store_open(const struct hb_config *cfg, struct hb_error *err)
{
	struct hb_store *store = store_new(cfg);

	if (prepare_directory(cfg->spool.directory, err) &&
	    part_open(&store->parts[HB_SHELF_DELIVERIES], err) &&
	    part_open(&store->parts[HB_SHELF_DEAD], err))
		return store;
	hb_error_prefix(err, "spool: ");
	hb_store_close(store);
	return NULL;
}

void
hb_store_close(struct hb_store *store)
{
	if (store == NULL)
		return;
	part_fini(&store->parts[HB_SHELF_DELIVERIES]);
	part_fini(&store->parts[HB_SHELF_DEAD]);
	sinks_end(store);
	hb_store_holds_fini(&store->holds);
	pthread_mutex_destroy(&store->lock);
	free(store->table);
	free(store);
}
