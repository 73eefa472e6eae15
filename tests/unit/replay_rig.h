/* SPDX-License-Identifier: Apache-2.0 */
/* replay_rig.h - a replay at work: a real store, sinks that do as they are told
 *
 * Two sinks, "main" and "lined"; the latter keeps the order. A sink keeps what
 * it is sent until the test reports it, or reports what its script says at
 * once. It notes the numbers of what it is sent, and refuses to have a record
 * twice at a time.
 *
 * The test runs the loop in its own thread (site_turn(), AWAIT()), unless it
 * starts it. The program is linked with --wrap for what stands below, and in
 * replay_wraps.h, as __wrap_. */
#ifndef HOOKBRIDGE_TESTS_REPLAY_RIG_H
#define HOOKBRIDGE_TESTS_REPLAY_RIG_H

#include <event2/event.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/metric.h"
#include "hookbridge/replay.h"
#include "replay_wraps.h"
#include "route_rig.h"

#define MIB (1024 * 1024)
#define SAFETY_MS 30000
#define TICK_MS 20
#define HELD_MAX 1024
#define SENT_MAX 200000

/* --- sinks ---------------------------------------------------------------- */

enum { MAIN, LINED, SINKS };
#define HOLD (-1)

struct fake {
	struct hb_sink sink; /* first: a struct hb_sink * is one of these */
	size_t fits;         /* longest value; 0: any */
	bool is_unready;
	/* What is reported at once, an enum hb_report or HOLD; NULL: HOLD. */
	int (*script)(struct fake *fake, const struct hb_delivery *delivery);

	pthread_mutex_t lock; /* of what follows */
	struct hb_delivery *held[HELD_MAX]; /* in the order of sending */
	size_t held_count;
	uint64_t held_bytes, most_bytes; /* of values: now, and ever */
	unsigned *sent; /* numbers, in the order of sending */
	size_t sent_count;
};

static inline unsigned
number_of(struct hb_span id)
{
	char text[16] = "";

	assert_true(id.len >= 2 && id.len < sizeof(text));
	memcpy(text, id.ptr + 1, id.len - 1);
	return (unsigned)strtoul(text, NULL, 10);
}

static inline void
fake_say(struct hb_delivery *delivery, enum hb_report report,
    const char *reason)
{
	struct hb_error why;

	hb_fail_reason(&why, HB_E_RETRY, reason, "as the test says");
	hb_delivery_report(delivery, report,
	    report == HB_REPORT_CONFIRMED ? NULL : &why);
}

/* Under the lock. */
static inline void
fake_hold(struct fake *fake, struct hb_delivery *delivery)
{
	assert_true(fake->held_count < HELD_MAX);
	for (size_t i = 0; i < fake->held_count; i++)
		assert_false(fake->held[i]->msg.dest == delivery->msg.dest &&
		    hb_span_eq(fake->held[i]->msg.id, delivery->msg.id));
	fake->held[fake->held_count++] = delivery;
	fake->held_bytes += delivery->msg.value.len;
	if (fake->held_bytes > fake->most_bytes)
		fake->most_bytes = fake->held_bytes;
}

static inline void
fake_send(struct hb_sink *sink, struct hb_delivery *delivery)
{
	struct fake *fake = (struct fake *)sink;
	int says = HOLD;

	assert_ptr_equal(delivery->msg.dest->sink, sink->conf);
	assert_ptr_equal(delivery->sink, sink);
	assert_true(delivery->patient);
	assert_null(delivery->on_overdue);
	pthread_mutex_lock(&fake->lock);
	assert_true(fake->sent_count < SENT_MAX);
	fake->sent[fake->sent_count++] = number_of(delivery->msg.id);
	if (fake->script != NULL)
		says = fake->script(fake, delivery);
	if (says == HOLD)
		fake_hold(fake, delivery);
	pthread_mutex_unlock(&fake->lock);
	if (says != HOLD)
		fake_say(delivery, (enum hb_report)says, NULL);
}

static inline bool
fake_fits(const struct hb_sink *sink, const struct hb_message *msg,
    struct hb_error *err)
{
	const struct fake *fake = (const struct fake *)sink;

	return fake->fits == 0 || msg->value.len <= fake->fits ||
	    hb_fail_reason(err, HB_E_DEAD, "too-large", "as the test says");
}

static inline bool
fake_ready(struct hb_sink *sink, const struct hb_delivery *delivery)
{
	assert_ptr_equal(delivery->msg.dest->sink, sink->conf);
	assert_true(delivery->patient);
	return !((struct fake *)sink)->is_unready;
}

static inline bool
fake_is_ordered(const struct hb_sink_conf *conf)
{
	return conf->index == LINED;
}

static const struct hb_sink_ops fake_ops = {
	.send = fake_send,
	.fits = fake_fits,
	.ready = fake_ready,
	.is_ordered = fake_is_ordered,
};

static inline size_t
fake_held(struct fake *fake)
{
	size_t count;

	pthread_mutex_lock(&fake->lock);
	count = fake->held_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

static inline size_t
fake_sent(struct fake *fake)
{
	size_t count;

	pthread_mutex_lock(&fake->lock);
	count = fake->sent_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

/* Reports one of those held; on_report comes by the delivery's loop. */
static inline void
fake_report(struct fake *fake, size_t which, enum hb_report report,
    const char *reason)
{
	struct hb_delivery *delivery;

	pthread_mutex_lock(&fake->lock);
	assert_true(which < fake->held_count);
	delivery = fake->held[which];
	fake->held_count--;
	for (size_t i = which; i < fake->held_count; i++)
		fake->held[i] = fake->held[i + 1];
	fake->held_bytes -= delivery->msg.value.len;
	pthread_mutex_unlock(&fake->lock);
	fake_say(delivery, report, reason);
}

static inline void
fake_report_all(struct fake *fake, enum hb_report report)
{
	while (fake_held(fake) > 0)
		fake_report(fake, 0, report, NULL);
}

struct hb_sink *__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest);

struct hb_sink *
__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest)
{
	struct fake *fakes = (struct fake *)(uintptr_t)sinks;

	return &fakes[dest->sink->index].sink;
}

/* --- a site --------------------------------------------------------------- */

struct site {
	struct rig rig;
	char path[64];
	const struct hb_target_conf *target;
	struct fake fakes[SINKS];
	struct hb_store *store;
	struct hb_loop *loop;
	struct hb_tail *tail; /* NULL, unless the test makes one */
	struct hb_replay *replay;
	unsigned keeping; /* keeps that are not done */
};

struct site_options {
	uint64_t memory;   /* 0: 256 MiB */
	uint64_t max_size; /* of the spool; 0: 64 MiB */
	const char *names; /* of main's destinations; NULL: "a|b" */
};

static inline void
configure(struct site *site, const struct site_options *options)
{
	struct rig *rig = &site->rig;
	struct hb_sink_conf *sinks;
	struct hb_route_conf *route;

	rig_init(rig);
	sinks = hb_arena_calloc(rig->arena, SINKS, sizeof(*sinks));
	sinks[MAIN] = *rig_sink(rig, "main");
	sinks[LINED] = *rig_sink(rig, "lined");
	sinks[LINED].index = LINED;
	rig->cfg.sinks = sinks;
	rig->cfg.sink_count = SINKS;
	rig->cfg.memory = options->memory > 0 ? options->memory : 256 * MIB;
	rig->cfg.spool = (struct hb_spool_conf){ .directory = site->path,
		.max_size =
		    options->max_size > 0 ? options->max_size : 64 * MIB,
		.segment_size = MIB,
		.group_size = MIB,
		.sink_share = 100,
		.dead_share = 25 };
	route = rig_route(rig, "all");
	site->target = rig_to(rig, route, &sinks[MAIN], "{job_id}",
	    options->names != NULL ? options->names : "a|b", NULL);
	rig_to(rig, route, &sinks[LINED], "o", NULL, NULL);
}

static inline void
open_fakes(struct site *site)
{
	struct hb_sink_env env = { .cfg = &site->rig.cfg };

	for (size_t i = 0; i < SINKS; i++) {
		struct fake *fake = &site->fakes[i];

		hb_sink_init(&fake->sink, &fake_ops, &site->rig.cfg.sinks[i],
		    &env, HB_UP);
		pthread_mutex_init(&fake->lock, NULL);
		fake->sent = hb_xcalloc(SENT_MAX, sizeof(*fake->sent));
	}
}

/* Everything but the replay. */
static inline void
site_open_with(struct site *site, const struct site_options *options)
{
	struct hb_error err = { HB_OK, NULL, "" };

	*site = (struct site){ .path = "/tmp/hb-replay-XXXXXX" };
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	rests.count = looks.count = 0;
	times_asked = 0;
	dead_refusals = move_refusals = 0;
	assert_non_null(mkdtemp(site->path));
	configure(site, options);
	open_fakes(site);
	site->loop = hb_loop_new("replay", &err);
	assert_non_null(site->loop);
	site->store = hb_store_open(&site->rig.cfg, &err);
	if (site->store == NULL)
		fail_msg("%s", err.text);
}

static inline void
site_open(struct site *site)
{
	site_open_with(site, &(struct site_options){ .memory = 0 });
}

static inline void
site_replay(struct site *site)
{
	site->replay = hb_replay_new(&(struct hb_replay_env){
	    .cfg = &site->rig.cfg,
	    .loop = site->loop,
	    .store = site->store,
	    .sinks = (struct hb_sinks *)site->fakes,
	    .tail = site->tail });
}

static inline int
remove_file(const char *path, const struct stat *st, int type,
    struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

/* The replay has nothing in flight. */
static inline void
site_end_replay(struct site *site)
{
	hb_replay_stop(site->replay);
	assert_int_equal(hb_replay_in_flight(site->replay), 0);
	hb_replay_free(site->replay);
	site->replay = NULL;
}

static inline void
site_close(struct site *site)
{
	if (site->replay != NULL)
		site_end_replay(site);
	assert_int_equal(site->keeping, 0);
	hb_store_close(site->store);
	hb_loop_free(site->loop);
	for (size_t i = 0; i < SINKS; i++) {
		assert_int_equal(site->fakes[i].held_count, 0);
		pthread_mutex_destroy(&site->fakes[i].lock);
		free(site->fakes[i].sent);
		hb_sink_fini(&site->fakes[i].sink);
	}
	rig_fini(&site->rig);
	assert_int_equal(nftw(site->path, remove_file, 8,
	    FTW_DEPTH | FTW_PHYS), 0);
}

/* --- running -------------------------------------------------------------- */

static inline void
on_tick(struct hb_timer *timer)
{
	(void)timer;
}

/* Waits for something to happen, but not for long. */
static inline void
site_wait(struct site *site)
{
	struct hb_timer tick;

	hb_timer_init(&tick, site->loop, on_tick);
	hb_timer_set(&tick, TICK_MS);
	event_base_loop(hb_loop_base(site->loop), EVLOOP_ONCE);
	hb_timer_fini(&tick);
}

#define AWAIT(site, condition)                                              \
	do {                                                                \
		uint64_t since_ms = hb_clock_mono_ms();                     \
		while (!(condition)) {                                      \
			if (hb_clock_mono_ms() - since_ms > SAFETY_MS)      \
				fail_msg("%s:%d: never: %s", __FILE__,      \
				    __LINE__, #condition);                  \
			site_wait(site);                                    \
		}                                                           \
	} while (0)

/* Runs what there is to run, and what comes of that, timers included; so that
 * what has not happened then does not happen. */
static inline void
site_turn(struct site *site)
{
	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 20; k++)
			event_base_loop(hb_loop_base(site->loop),
			    EVLOOP_NONBLOCK);
		usleep(1000); /* backoffs last as long */
	}
}

/* --- keeping -------------------------------------------------------------- */

struct item {
	struct site *site;
	struct hb_keep keep;
	struct hb_event *ev;
	struct hb_message msg;
	char id[16];
	char *value;
	bool held;
};

static const struct hb_header some_headers[] = {
	{ HB_SPAN("ce_type"), HB_SPAN("ai.reducto.job.completed") },
	{ HB_SPAN("empty"), HB_SPAN("") },
};

static inline void
on_item_kept(struct hb_keep *keep)
{
	struct item *item = hb_container_of(keep, struct item, keep);

	if (!keep->ok)
		fail_msg("%s", keep->err.text);
	hb_event_unref(item->ev);
	free(item->value);
	item->site->keeping--;
	if (!item->held)
		free(item);
}

/* A value that tells its number; the rest is dots. */
static inline char *
make_value(unsigned number, size_t size)
{
	char *value = hb_xmalloc(size + 1);
	int n = snprintf(value, size + 1, "{\"n\":%u}", number);

	assert_true(n >= 0 && (size_t)n <= size);
	memset(value + n, '.', size - (size_t)n);
	return value;
}

static inline struct item *
item_new(struct site *site, const struct hb_dest_conf *dest, unsigned number,
    size_t size)
{
	struct item *item = hb_xcalloc(1, sizeof(*item));

	item->site = site;
	item->ev = rig_event(&site->rig, NULL, "{}");
	snprintf(item->id, sizeof(item->id), "m%u", number);
	item->ev->id = hb_arena_dup(item->ev->arena, hb_span_of(item->id));
	item->value = make_value(number, size);
	item->msg = (struct hb_message){ .target = site->target,
		.dest = dest,
		.key = HB_SPAN("job-1"),
		.value = { item->value, size },
		.headers = some_headers,
		.header_count = HB_COUNT(some_headers),
		.id = item->ev->id,
		.endpoint = hb_span_of(site->rig.endpoint.name),
		.dedup = true };
	return item;
}

/* It is the caller's to release() if it is held, else gone soon. */
static inline void
keep_item(struct item *item)
{
	struct site *site = item->site;

	site->keeping++;
	item->keep.home = site->loop;
	item->keep.done = on_item_kept;
	hb_store_keep_delivery(site->store, &item->keep, item->ev, &item->msg,
	    item->held);
}

/* Keeps one; NULL unless it is held. */
static inline struct item *
keep(struct site *site, const struct hb_dest_conf *dest, unsigned number,
    size_t size, bool held)
{
	struct item *item = item_new(site, dest, number, size);

	item->held = held;
	keep_item(item);
	return held ? item : NULL;
}

static inline struct item *
keep_held(struct site *site, const struct hb_dest_conf *dest, unsigned number)
{
	struct item *item = keep(site, dest, number, 64, true);

	AWAIT(site, site->keeping == 0);
	return item;
}

static inline void
release(void *arg)
{
	struct item *item = arg;

	hb_store_release(&item->keep);
	free(item);
}

static inline void
settle_and_release(void *arg)
{
	struct item *item = arg;

	assert_true(hb_store_settle(&item->keep.kept));
	release(item);
}

/* Keeps so many, with numbers from first on, and waits until they are. */
static inline void
fill_sized(struct site *site, const struct hb_dest_conf *dest, unsigned first,
    unsigned count, size_t size)
{
	for (unsigned i = 0; i < count; i++) {
		keep(site, dest, first + i, size, false);
		if (i % 1000 == 999)
			AWAIT(site, site->keeping == 0);
	}
	AWAIT(site, site->keeping == 0);
}

static inline void
fill(struct site *site, const struct hb_dest_conf *dest, unsigned first,
    unsigned count)
{
	fill_sized(site, dest, first, count, 64);
}

static inline uint64_t
kept(struct site *site, enum hb_shelf_kind kind)
{
	struct hb_spool_stats stats;

	hb_store_stats(site->store, kind, &stats);
	return stats.records;
}

/* The only record there is of that kind. */
static inline void
read_only(struct site *site, enum hb_shelf_kind kind, struct hb_record *rec)
{
	struct hb_walk *walk = hb_walk_new(site->store,
	    &(struct hb_walk_filter){ .kind = kind }, NULL, NULL, NULL);
	struct hb_record other = { .bytes = NULL };
	struct hb_error err;

	assert_int_equal(hb_walk_next(walk, rec, &err), HB_SPOOL_RECORD);
	assert_int_equal(hb_walk_next(walk, &other, &err), HB_SPOOL_END);
	hb_walk_free(walk);
}

static inline const struct hb_dest_conf *
dest_named(const struct site *site, const char *name)
{
	const struct hb_config *cfg = &site->rig.cfg;

	for (size_t i = 0; i < cfg->dest_count; i++)
		if (strcmp(cfg->dests[i]->name, name) == 0)
			return cfg->dests[i];
	fail_msg("no destination %s", name);
	return NULL;
}

/* --- what came of it ------------------------------------------------------ */

/* "0 1 2": what a sink was sent since then. */
static inline void
expect_sent(struct fake *fake, size_t since, const char *want)
{
	char got[1024] = "";
	size_t len = 0;

	for (size_t i = since; i < fake->sent_count; i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%u",
		    i > since ? " " : "", fake->sent[i]);
	assert_string_equal(got, want);
}

struct books {
	int64_t confirmed, dead_lettered, replayed, letters;
};

/* letters: dead letters of that reason. */
static inline struct books
read_books(const struct hb_dest_conf *dest, const char *reason)
{
	const char *sink = dest->sink->name;

	return (struct books){
		hb_metric_value(hb_metric_get(HB_M_DELIVERIES, sink,
		    dest->label, "confirmed", NULL)),
		hb_metric_value(hb_metric_get(HB_M_DELIVERIES, sink,
		    dest->label, "dead_lettered", NULL)),
		hb_metric_value(hb_metric_get(HB_M_SPOOL_REPLAYED, sink, NULL,
		    NULL, NULL)),
		hb_metric_value(hb_metric_get(HB_M_DEAD_LETTERS, reason, NULL,
		    NULL, NULL)),
	};
}

/* What has been booked since then; nothing else was replayed meanwhile. */
static inline void
expect_books(const struct hb_dest_conf *dest, const char *reason,
    const struct books *then, int64_t confirmed, int64_t dead_lettered)
{
	struct books now = read_books(dest, reason);

	assert_int_equal(now.confirmed - then->confirmed, confirmed);
	assert_int_equal(now.replayed - then->replayed, confirmed);
	assert_int_equal(now.dead_lettered - then->dead_lettered,
	    dead_lettered);
	assert_int_equal(now.letters - then->letters, dead_lettered);
}

#endif
