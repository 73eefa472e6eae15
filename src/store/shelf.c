/* SPDX-License-Identifier: Apache-2.0 */
/* shelf.c - shelves: found at opening, made when they are needed
 *
 * A shelf is a lane of a spool, whose name says what it is for:
 *
 *   deliveries    TYPE TAB SINK TAB NAME TAB ENDPOINT
 *   dead letters  REASON TAB ENDPOINT
 *
 * None of these has a TAB in it, but for what comes last, which may be
 * anything. A shelf of deliveries belongs to the destination of today's
 * configuration that has this sink, type and name; without one its deliveries
 * are orphaned: kept and counted, until an operator moves or drops them.
 *
 * Who keeps a delivery finds its shelf in a table, by two numbers. */
#include <stdlib.h>

#include "hookbridge/log.h"
#include "parts.h"

#define PARTS_MAX 4 /* of a name */

/* --- names ---------------------------------------------------------------- */

/* Room for what the spool takes. */
struct name {
	char bytes[HB_RECORD_NAME_MAX];
	size_t len;
};

/* False: it is too long. */
static bool
join(const struct hb_span *parts, size_t count, struct name *name)
{
	name->len = 0;
	for (size_t i = 0; i < count; i++) {
		size_t tab = i > 0;

		if (parts[i].len + tab > sizeof(name->bytes) - name->len)
			return false;
		if (tab > 0)
			name->bytes[name->len++] = '\t';
		if (parts[i].len > 0)
			memcpy(name->bytes + name->len, parts[i].ptr,
			    parts[i].len);
		name->len += parts[i].len;
	}
	return true;
}

/* What comes last gets all the rest; what is not there is empty. */
static void
split(struct hb_span name, struct hb_span *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *tab = memchr(name.ptr, '\t', name.len);

		parts[i] = name;
		if (tab == NULL || i + 1 == count) {
			name = hb_span_skip(name, name.len);
			continue;
		}
		parts[i].len = (size_t)(tab - name.ptr);
		name = hb_span_skip(name, parts[i].len + 1);
	}
}

static void
name_parts(struct hb_shelf *shelf, struct hb_span name)
{
	struct hb_span parts[PARTS_MAX];

	if (shelf->kind == HB_SHELF_DEAD) {
		split(name, parts, 2);
		shelf->reason = parts[0];
		shelf->endpoint = parts[1];
	} else {
		split(name, parts, 4);
		shelf->sink_type = parts[0];
		shelf->sink = parts[1];
		shelf->name = parts[2];
		shelf->endpoint = parts[3];
	}
}

/* --- today's configuration ------------------------------------------------ */

static const struct hb_dest_conf *
find_dest(const struct hb_config *cfg, const struct hb_shelf *shelf)
{
	return hb_config_dest(
	    cfg, shelf->sink_type, shelf->sink, shelf->name);
}

/* --- making --------------------------------------------------------------- */

static void
find_metrics(struct hb_store_shelf *shelf)
{
	struct hb_store_accounts *accounts = &shelf->accounts;
	const struct hb_dest_conf *dest = shelf->shelf.dest;

	if (shelf->shelf.kind == HB_SHELF_DEAD) {
		char *reason = hb_xstrndup(shelf->shelf.reason);

		accounts->records = hb_metric_get(
		    HB_M_DEAD_LETTERS_KEPT, reason, NULL, NULL, NULL);
		accounts->bytes = hb_metric_get(
		    HB_M_DEAD_LETTER_BYTES, reason, NULL, NULL, NULL);
		free(reason);
	} else if (dest != NULL) {
		accounts->records = hb_metric_get(HB_M_SPOOL_RECORDS,
		    dest->sink->name, NULL, NULL, NULL);
		accounts->bytes = hb_metric_get(
		    HB_M_SPOOL_BYTES, dest->sink->name, NULL, NULL, NULL);
	} else {
		accounts->records = hb_metric_get(
		    HB_M_SPOOL_ORPHANED, NULL, NULL, NULL, NULL);
	}
}

static struct hb_store_shelf *
shelf_new(struct hb_store_part *part, struct hb_spool_lane *lane)
{
	const struct hb_config *cfg = part->store->cfg;
	struct hb_store_shelf *shelf = hb_xcalloc(1, sizeof(*shelf));
	struct hb_shelf *face = &shelf->shelf;

	shelf->part = part;
	face->kind = part->kind;
	face->lane = lane;
	face->accounts = &shelf->accounts;
	name_parts(face, hb_spool_lane_name(lane));
	if (face->kind == HB_SHELF_DELIVERIES)
		face->dest = find_dest(cfg, face);
	hb_store_accounts_find(part, face->dest,
	    hb_config_endpoint(cfg, face->endpoint), &shelf->accounts);
	find_metrics(shelf);
	return shelf;
}

static struct hb_store_shelf **
bucket_of(struct hb_store_part *part, const struct hb_spool_lane *lane)
{
	return &part->buckets[(uintptr_t)lane / 64 % HB_STORE_BUCKETS];
}

/* Under the lock. It can be seen by others once it is complete. */
static struct hb_store_shelf *
shelf_add(struct hb_store_part *part, struct hb_spool_lane *lane)
{
	struct hb_store_shelf *shelf = shelf_new(part, lane);
	struct hb_store_shelf **bucket = bucket_of(part, lane);

	shelf->next_in_bucket = *bucket;
	*bucket = shelf;
	*part->end = &shelf->shelf;
	part->end = &shelf->shelf.next;
	hb_store_walks_tell(part->store, shelf);
	return shelf;
}

static struct hb_store_shelf *
shelf_of_lane(struct hb_store_part *part, struct hb_spool_lane *lane)
{
	struct hb_store_shelf *shelf;

	pthread_mutex_lock(&part->store->lock);
	shelf = *bucket_of(part, lane);
	while (shelf != NULL && shelf->shelf.lane != lane)
		shelf = shelf->next_in_bucket;
	if (shelf == NULL)
		shelf = shelf_add(part, lane);
	pthread_mutex_unlock(&part->store->lock);
	return shelf;
}

static struct hb_store_shelf *
shelf_of_parts(
    struct hb_store_part *part, const struct hb_span *parts, size_t count)
{
	struct hb_spool_lane *lane;
	struct name name;

	if (!join(parts, count, &name))
		return NULL;
	lane = hb_spool_lane(part->spool, hb_span_make(name.bytes, name.len));
	return lane != NULL ? shelf_of_lane(part, lane) : NULL;
}

struct hb_store_shelf *
hb_store_shelf_named(struct hb_store *store, const struct hb_dest_conf *dest,
    struct hb_span endpoint)
{
	const struct hb_span parts[] = {hb_span_of(dest->sink->type->name),
	    hb_span_of(dest->sink->name), hb_span_of(dest->name), endpoint};

	return shelf_of_parts(
	    &store->parts[HB_SHELF_DELIVERIES], parts, HB_COUNT(parts));
}

struct hb_store_shelf *
hb_store_shelf_dead(
    struct hb_store *store, const char *reason, struct hb_span endpoint)
{
	const struct hb_span parts[] = {hb_span_of(reason), endpoint};

	return shelf_of_parts(
	    &store->parts[HB_SHELF_DEAD], parts, HB_COUNT(parts));
}

struct hb_store_shelf *
hb_store_shelf_get(struct hb_store *store, const struct hb_dest_conf *dest,
    const struct hb_endpoint_conf *endpoint)
{
	struct hb_store_shelf *_Atomic *place =
	    &store->table[dest->index * store->cfg->endpoint_count +
			  endpoint->index];
	struct hb_store_shelf *shelf = *place;

	if (shelf == NULL)
		*place = shelf = hb_store_shelf_named(
		    store, dest, hb_span_of(endpoint->name));
	return shelf;
}

/* --- losses --------------------------------------------------------------- */

void
hb_store_shelf_balance(struct hb_store_shelf *shelf)
{
	struct hb_spool_lane_stats stats;
	uint64_t records, bytes;

	pthread_mutex_lock(&shelf->part->store->lock);
	hb_spool_lane_stats(shelf->shelf.lane, &stats);
	records = stats.lost - shelf->lost;
	bytes = stats.lost_bytes - shelf->lost_bytes;
	shelf->lost = stats.lost;
	shelf->lost_bytes = stats.lost_bytes;
	pthread_mutex_unlock(&shelf->part->store->lock);
	if (records > 0)
		hb_store_give_back(&shelf->accounts, records, bytes);
}

/* --- finding -------------------------------------------------------------- */

static void
tell_orphaned(const struct hb_shelf *shelf, uint64_t records)
{
	hb_log(HB_LOG_WARNING, "delivery.orphaned",
	    HB_F_SPAN("endpoint", shelf->endpoint),
	    HB_F_SPAN("type", shelf->sink_type),
	    HB_F_SPAN("sink", shelf->sink), HB_F_SPAN("dst", shelf->name),
	    HB_F_U64("records", records),
	    HB_F_STR("remedy",
		"hookbridgectl spool reroute, or drop, or configure it "
		"again"));
}

void
hb_store_shelves_find(struct hb_store_part *part)
{
	struct hb_spool_lane *lane = NULL;

	while ((lane = hb_spool_lane_next(part->spool, lane)) != NULL) {
		struct hb_spool_lane_stats stats;
		struct hb_store_shelf *shelf;

		hb_spool_lane_stats(lane, &stats);
		if (stats.records == 0)
			continue;
		shelf = shelf_of_lane(part, lane);
		hb_store_recharge(
		    &shelf->accounts, stats.records, stats.bytes);
		if (part->kind == HB_SHELF_DELIVERIES &&
		    shelf->shelf.dest == NULL)
			tell_orphaned(&shelf->shelf, stats.records);
	}
}

/* --- looking from outside ------------------------------------------------- */

struct survey {
	const struct hb_config *cfg;
	void (*each)(void *arg, const struct hb_shelf *shelf, uint64_t records);
	void *arg;
};

static void
on_lane(void *arg, struct hb_span name,
    const struct hb_spool_lane_stats *stats)
{
	const struct survey *survey = arg;
	struct hb_shelf shelf = {.kind = HB_SHELF_DELIVERIES};

	name_parts(&shelf, name);
	if (find_dest(survey->cfg, &shelf) == NULL)
		survey->each(survey->arg, &shelf, stats->records);
}

bool
hb_store_survey_orphans(const struct hb_config *cfg,
    void (*each)(void *arg, const struct hb_shelf *shelf, uint64_t records),
    void *arg, struct hb_error *err)
{
	struct survey survey = {cfg, each, arg};
	char *directory = hb_store_directory(cfg, HB_SHELF_DELIVERIES);
	bool ok = hb_spool_survey(directory, on_lane, &survey, err);

	free(directory);
	return ok;
}

/* --- the end -------------------------------------------------------------- */

/* What they showed is not there any more. */
void
hb_store_shelves_free(struct hb_store_part *part)
{
	struct hb_shelf *face = part->first, *next;

	for (; face != NULL; face = next) {
		struct hb_store_shelf *shelf = hb_store_shelf_of(face);

		next = face->next;
		hb_metric_set(shelf->accounts.records, 0);
		if (shelf->accounts.bytes != NULL)
			hb_metric_set(shelf->accounts.bytes, 0);
		free(shelf);
	}
}
