/* SPDX-License-Identifier: Apache-2.0 */
/* store_rig.h - a store in a directory of its own, and things to keep in it
 *
 * A depot has a configuration made by hand: endpoints "one" and "two", sinks
 * "main" and "spare" of a type "test", and destinations by their names:
 *
 *   main:a  main:b  main:wild  spare:a
 *
 * of which "wild" comes from a template. What depot_keep() and its like return
 * is settled one way or the other; done runs on a loop with a thread. */
#ifndef HOOKBRIDGE_TESTS_STORE_RIG_H
#define HOOKBRIDGE_TESTS_STORE_RIG_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/store/parts.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

#define DEPOT_MIB (UINT64_C(1) << 20)
#define DEPOT_SEGMENT (64u * 1024)

enum { DEPOT_ONE, DEPOT_TWO, DEPOT_ENDPOINTS };
enum { DEPOT_MAIN, DEPOT_SPARE, DEPOT_SINKS };
enum { DEPOT_A, DEPOT_B, DEPOT_WILD, DEPOT_SPARE_A, DEPOT_DESTS };

struct depot {
	char directory[64];
	struct hb_arena *arena;
	struct hb_config cfg;
	struct hb_endpoint_conf endpoints[DEPOT_ENDPOINTS];
	struct hb_sink_conf sinks[DEPOT_SINKS];
	struct hb_dest_conf dests[DEPOT_DESTS];
	const struct hb_dest_conf *dest_list[DEPOT_DESTS];
	struct hb_target_conf targets[2]; /* fixed, templated */
	struct hb_target_conf *target_list[2];
	struct hb_route_conf route;
	struct hb_store *store;
	struct hb_loop *loop;
};

/* --- configuration -------------------------------------------------------- */

static const struct hb_sink_type depot_type = {.name = "test"};

static inline int
depot_resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	(void)arg;
	(void)name;
	(void)err;
	return HB_VAR_STATUS;
}

static inline void
depot_add_dest(struct depot *depot, int which, int sink, const char *name)
{
	depot->dests[which] = (struct hb_dest_conf){
	    (unsigned)which, &depot->sinks[sink], name, name};
	depot->dest_list[which] = &depot->dests[which];
}

/* All of it; what a test wants otherwise it changes before depot_open(). */
static inline void
depot_configure(struct depot *depot)
{
	static const char *const endpoints[] = {"one", "two"};
	static const char *const sinks[] = {"main", "spare"};

	for (unsigned i = 0; i < DEPOT_ENDPOINTS; i++)
		depot->endpoints[i] = (struct hb_endpoint_conf){
		    .index = i, .name = endpoints[i], .mode = HB_MODE_SVIX};
	for (unsigned i = 0; i < DEPOT_SINKS; i++)
		depot->sinks[i] = (struct hb_sink_conf){
		    .index = i, .name = sinks[i], .type = &depot_type};
	depot_add_dest(depot, DEPOT_A, DEPOT_MAIN, "a");
	depot_add_dest(depot, DEPOT_B, DEPOT_MAIN, "b");
	depot_add_dest(depot, DEPOT_WILD, DEPOT_MAIN, "wild");
	depot_add_dest(depot, DEPOT_SPARE_A, DEPOT_SPARE, "a");
	for (int i = 0; i < 2; i++) {
		const char *text = i == 0 ? "a" : "{status}";

		depot->targets[i] = (struct hb_target_conf){
		    .sink = &depot->sinks[DEPOT_MAIN],
		    .name = hb_tmpl_compile(depot->arena, hb_span_of(text),
			depot_resolve, NULL, NULL),
		    .dests =
			&depot->dest_list[i == 0 ? DEPOT_A : DEPOT_WILD],
		    .dest_count = 1,
		};
		depot->target_list[i] = &depot->targets[i];
	}
	depot->route = (struct hb_route_conf){
	    .name = "all", .to = depot->target_list, .to_count = 2};
	depot->cfg = (struct hb_config){.endpoints = depot->endpoints,
	    .endpoint_count = DEPOT_ENDPOINTS,
	    .sinks = depot->sinks,
	    .sink_count = DEPOT_SINKS,
	    .routes = &depot->route,
	    .route_count = 1,
	    .dests = depot->dest_list,
	    .dest_count = DEPOT_DESTS,
	    .spool = {.directory = depot->directory,
		.max_size = 8 * DEPOT_MIB,
		.segment_size = DEPOT_MIB,
		.sink_share = 50,
		.dead_share = 20},
	    .refs = 1};
}

/* --- opening and closing -------------------------------------------------- */

static inline void
depot_open(struct depot *depot)
{
	struct hb_error err = {0};

	depot->store = hb_store_open(&depot->cfg, &err);
	if (depot->store == NULL)
		fail_msg("%s", err.text);
	depot->loop = hb_loop_new("home", &err);
	assert_non_null(depot->loop);
	assert_true(hb_loop_start(depot->loop, &err));
}

static inline void
depot_close(struct depot *depot)
{
	hb_store_close(depot->store);
	hb_loop_stop(depot->loop);
	hb_loop_join(depot->loop);
	hb_loop_free(depot->loop);
	depot->store = NULL;
	assert_int_equal(depot->cfg.refs, 1);
}

static inline void
depot_reopen(struct depot *depot)
{
	depot_close(depot);
	depot_open(depot);
}

/* Not open yet. */
static inline void
depot_init(struct depot *depot)
{
	*depot = (struct depot){.directory = "/tmp/hb-store-XXXXXX"};
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	assert_non_null(mkdtemp(depot->directory));
	depot->arena = hb_arena_new(4096);
	depot_configure(depot);
}

static inline void
depot_fini(struct depot *depot)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", depot->directory);
	assert_int_equal(system(command), 0);
	hb_arena_free(depot->arena);
}

static inline void
depot_start(struct depot *depot)
{
	depot_init(depot);
	depot_open(depot);
}

static inline void
depot_end(struct depot *depot)
{
	depot_close(depot);
	depot_fini(depot);
}

/* --- keeping -------------------------------------------------------------- */

static pthread_mutex_t depot_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t depot_changed = PTHREAD_COND_INITIALIZER;

struct depot_keep {
	struct hb_keep keep;
	struct hb_event *ev;
	struct hb_message msg;
	bool is_done;
};

static inline void
depot_on_done(struct hb_keep *keep)
{
	struct depot_keep *item =
	    hb_container_of(keep, struct depot_keep, keep);

	pthread_mutex_lock(&depot_lock);
	item->is_done = true;
	pthread_cond_broadcast(&depot_changed);
	pthread_mutex_unlock(&depot_lock);
}

static inline void
depot_wait(struct depot_keep *item)
{
	pthread_mutex_lock(&depot_lock);
	while (!item->is_done)
		pthread_cond_wait(&depot_changed, &depot_lock);
	pthread_mutex_unlock(&depot_lock);
	if (item->ev != NULL)
		hb_event_unref(item->ev);
	item->ev = NULL;
}

static inline void
depot_keep_init(struct depot *depot, struct depot_keep *item)
{
	*item = (struct depot_keep){
	    .keep = {.home = depot->loop, .done = depot_on_done}};
}

/* A completed job whose id is the text. */
static inline struct hb_event *
depot_event(struct depot *depot, int endpoint, const char *id)
{
	char *body = hb_xstrdup("{\"job_id\":\"job-1\"}");
	struct hb_event *ev = hb_event_new(
	    &depot->cfg, &depot->endpoints[endpoint], body, strlen(body));

	ev->usable = true;
	ev->id = ev->webhook_id = hb_arena_dup(ev->arena, hb_span_of(id));
	ev->webhook_timestamp = 1767225600;
	ev->received_ms = 1767225601234;
	ev->job_id = HB_SPAN("job-1");
	return ev;
}

/* Begins to keep a delivery with that value. */
static inline void
depot_send(struct depot *depot, struct depot_keep *item, int endpoint,
    int dest, const char *id, struct hb_span value, bool held)
{
	static const struct hb_header headers[] = {
	    {{"ce_id", 5}, {"msg", 3}}, {{"x", 1}, {"", 0}}};

	depot_keep_init(depot, item);
	item->ev = depot_event(depot, endpoint, id);
	item->msg = (struct hb_message){.target = &depot->targets[0],
	    .dest = &depot->dests[dest],
	    .key = HB_SPAN("key"),
	    .value = value,
	    .headers = headers,
	    .header_count = HB_COUNT(headers),
	    .id = item->ev->id,
	    .endpoint = hb_span_of(item->ev->endpoint->name),
	    .dedup = true};
	hb_store_keep_delivery(
	    depot->store, &item->keep, item->ev, &item->msg, held);
}

static inline struct hb_kept
depot_keep(struct depot *depot, int endpoint, int dest, const char *id)
{
	struct depot_keep item;

	depot_send(depot, &item, endpoint, dest, id, HB_SPAN("value"), false);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_ptr_equal(item.keep.kept.shelf->dest, &depot->dests[dest]);
	return item.keep.kept;
}

static inline struct hb_kept
depot_keep_dead(
    struct depot *depot, int endpoint, const char *reason, const char *id)
{
	struct depot_keep item;

	depot_keep_init(depot, &item);
	item.ev = depot_event(depot, endpoint, id);
	hb_store_keep_dead(depot->store, &item.keep, item.ev, reason,
	    HB_SPAN("main:a"));
	depot_wait(&item);
	assert_true(item.keep.ok);
	return item.keep.kept;
}

/* --- bytes that are no record --------------------------------------------- */

struct depot_raw {
	struct hb_spool_append append;
	struct iovec part;
	bool is_done;
};

static inline void
depot_on_raw(struct hb_spool_append *append)
{
	struct depot_raw *raw =
	    hb_container_of(append, struct depot_raw, append);

	pthread_mutex_lock(&depot_lock);
	raw->is_done = true;
	pthread_cond_broadcast(&depot_changed);
	pthread_mutex_unlock(&depot_lock);
}

/* Appends to a lane of the deliveries' spool, past the store. */
static inline void
depot_append_raw(struct depot *depot, const char *lane, struct hb_span bytes)
{
	struct hb_spool *spool =
	    depot->store->parts[HB_SHELF_DELIVERIES].spool;
	struct depot_raw raw = {
	    .part = {(void *)(uintptr_t)bytes.ptr, bytes.len}};

	raw.append = (struct hb_spool_append){
	    .lane = hb_spool_lane(spool, hb_span_of(lane)),
	    .parts = &raw.part,
	    .part_count = 1,
	    .home = depot->loop,
	    .done = depot_on_raw};
	hb_spool_append(&raw.append);
	pthread_mutex_lock(&depot_lock);
	while (!raw.is_done)
		pthread_cond_wait(&depot_changed, &depot_lock);
	pthread_mutex_unlock(&depot_lock);
	assert_true(raw.append.ok);
}

/* --- filling -------------------------------------------------------------- */

/* Keeps deliveries of that many bytes until one is refused, which *err says;
 * returns how many were kept. */
static inline unsigned
depot_fill(struct depot *depot, int endpoint, int dest, size_t bytes,
    struct hb_error *err)
{
	char *value = hb_xcalloc(1, bytes);
	unsigned count = 0;

	for (;;) {
		struct depot_keep item;

		depot_send(depot, &item, endpoint, dest, "filler",
		    hb_span_make(value, bytes), false);
		depot_wait(&item);
		if (!item.keep.ok) {
			assert_null(item.keep.kept.shelf);
			*err = item.keep.err;
			break;
		}
		count++;
	}
	free(value);
	return count;
}

/* --- reading -------------------------------------------------------------- */

/* The ids that a walk has next, each followed by a blank. */
static inline const char *
depot_ids(struct hb_walk *walk)
{
	static char ids[16 * 1024];
	struct hb_record rec;
	struct hb_error err;
	size_t len = 0;

	while (hb_walk_next(walk, &rec, &err) == HB_SPOOL_RECORD) {
		assert_true(len + rec.id.len + 2 < sizeof(ids));
		memcpy(ids + len, rec.id.ptr, rec.id.len);
		len += rec.id.len;
		ids[len++] = ' ';
		hb_record_fini(&rec);
	}
	ids[len] = '\0';
	return ids;
}

static inline const char *
depot_list(struct depot *depot, const struct hb_walk_filter *filter)
{
	struct hb_walk *walk =
	    hb_walk_new(depot->store, filter, NULL, NULL, NULL);
	const char *ids = depot_ids(walk);

	hb_walk_free(walk);
	return ids;
}

static inline const char *
depot_all(struct depot *depot, enum hb_shelf_kind kind)
{
	return depot_list(depot, &(struct hb_walk_filter){.kind = kind});
}

static inline int64_t
depot_gauge(enum hb_metric_family family, const char *label)
{
	return hb_metric_value(hb_metric_get(family, label, NULL, NULL, NULL));
}

/* The only record of a kind, or the first one. */
static inline void
depot_first(struct depot *depot, enum hb_shelf_kind kind, struct hb_record *rec)
{
	const struct hb_walk_filter filter = {.kind = kind};
	struct hb_walk *walk =
	    hb_walk_new(depot->store, &filter, NULL, NULL, NULL);
	struct hb_error err;

	assert_int_equal(hb_walk_next(walk, rec, &err), HB_SPOOL_RECORD);
	hb_walk_free(walk);
}

static inline void
depot_expect(struct hb_span span, const char *text)
{
	assert_true(hb_span_eq(span, hb_span_of(text)));
	assert_int_equal(hb_span_is_set(span), text != NULL);
}

/* Keeps what was read back, by one of the two ways. */
static inline void
depot_keep_record(struct depot *depot, const struct hb_record *rec,
    const char *reason, int dest)
{
	struct depot_keep item;

	depot_keep_init(depot, &item);
	if (reason != NULL)
		hb_store_keep_dead_record(
		    depot->store, &item.keep, rec, reason);
	else
		hb_store_keep_moved(
		    depot->store, &item.keep, rec, &depot->dests[dest]);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_true(hb_store_settle(&rec->kept));
}

/* --- gauges --------------------------------------------------------------- */

struct depot_gauges {
	int64_t main, spare, orphaned, unrouted, too_large;
};

static inline void
depot_expect_gauges(struct depot *depot, struct depot_gauges wanted)
{
	hb_store_show(depot->store);
	assert_int_equal(
	    depot_gauge(HB_M_SPOOL_RECORDS, "main"), wanted.main);
	assert_int_equal(
	    depot_gauge(HB_M_SPOOL_RECORDS, "spare"), wanted.spare);
	assert_int_equal(
	    depot_gauge(HB_M_SPOOL_ORPHANED, NULL), wanted.orphaned);
	assert_int_equal(depot_gauge(HB_M_DEAD_LETTERS_KEPT, "unrouted"),
	    wanted.unrouted);
	assert_int_equal(depot_gauge(HB_M_DEAD_LETTERS_KEPT, "too-large"),
	    wanted.too_large);
	/* Bytes are there where records are, and nowhere else. */
	assert_int_equal(
	    depot_gauge(HB_M_SPOOL_BYTES, "main") > 0, wanted.main > 0);
	assert_int_equal(
	    depot_gauge(HB_M_SPOOL_BYTES, "spare") > 0, wanted.spare > 0);
	assert_int_equal(depot_gauge(HB_M_DEAD_LETTER_BYTES, "unrouted") > 0,
	    wanted.unrouted > 0);
}

#endif
