/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - one destination: what is read, and when
 *
 *   start ─► RUNNING ─┬─ all were read ──────────► WAITING ─ on_more ───────┐
 *               ▲     ├─ the next one is held ───► HELD ─ it was reported ──┤
 *               │     └─ it cannot be sent ──────► DOWN ─ the timer ────────┤
 *               │        or read just now                                   │
 *               │  in any state: a failure ──────► RESTING ─ the timer, and │
 *               │                                  nothing is in flight ────┤
 *               └───────────────────────────────────────────────────────────┘
 *
 * A record is held while its first delivery is at its sink still.
 *
 * A turn sends what window and room admit, but not more than so many records:
 * then it is the next one's turn, and that of what was reported. Reports, the
 * timer and others wake a reader; what it does next is decided in its turn
 * alone.
 *
 * Outside of RUNNING and WAITING there is no walk, hence no open file. A new
 * one begins at the oldest record, or, while something is in flight, behind the
 * last one that was read.
 *
 * Where the order is kept one record is under way, and after a failure it is
 * the first to be read again. Elsewhere records pass each other only while
 * they are under way together.
 *
 * Invariants: (1) no record is under way twice; (2) in a rest nothing is
 * sent, and it ends with nothing in flight; (3) a reader that waits for room
 * is in line. */
#include "hookbridge/backoff.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define WINDOW_RECORDS 512
#define WINDOW_BYTES ((uint64_t)4 * 1024 * 1024)
#define RECORDS_PER_TURN 64
#define REST_MIN_MS 1000
#define REST_MAX_MS 60000
#define LOOK_MIN_MS 100
#define LOOK_MAX_MS 1000

static struct hb_loop *
loop_of(const struct hb_reader *reader)
{
	return reader->replay->env.loop;
}

void
hb_reader_wake(struct hb_reader *reader)
{
	if (!reader->turn.posted)
		hb_loop_defer(loop_of(reader), &reader->turn);
}

/* --- walking -------------------------------------------------------------- */

static void
on_more(void *arg)
{
	struct hb_reader *reader = arg;

	reader->has_more = true;
	hb_reader_wake(reader);
}

static void
open_walk(struct hb_reader *reader)
{
	const struct hb_walk_filter filter = { .kind = HB_SHELF_DELIVERIES,
		.dest = reader->dest };

	if (reader->in_flight == 0)
		reader->from = 0;
	reader->walk = hb_walk_new(reader->replay->env.store, &filter,
	    loop_of(reader), on_more, reader);
	if (reader->from > 0)
		hb_walk_seek(reader->walk, reader->from);
}

static void
close_walk(struct hb_reader *reader)
{
	if (reader->walk != NULL)
		hb_walk_free(reader->walk);
	reader->walk = NULL;
	reader->has_more = false;
	reader->expected = 0;
}

/* --- pauses --------------------------------------------------------------- */

static void
halt(struct hb_reader *reader, enum hb_reader_state state)
{
	close_walk(reader);
	reader->state = state;
	reader->is_due = false;
}

static void
on_timer(struct hb_timer *timer)
{
	struct hb_reader *reader =
	    hb_container_of(timer, struct hb_reader, timer);

	reader->is_due = true;
	hb_reader_wake(reader);
}

static void
log_retry(const struct hb_reader *reader, const struct hb_error *why,
    uint64_t delay_ms)
{
	hb_log_limited(HB_LOG_WARNING, "delivery.retry",
	    HB_F_STR("sink", reader->dest->sink->name),
	    HB_F_STR("dst", reader->dest->name),
	    HB_F_STR("reason", why->reason), HB_F_STR("why", why->text),
	    HB_F_U64("in_ms", delay_ms));
}

void
hb_reader_rest(struct hb_reader *reader, const struct hb_error *why)
{
	uint64_t delay_ms;

	if (reader->state == HB_READER_RESTING)
		return;
	if (reader->suspect.confirmed > 0)
		reader->fruitless = 0;
	delay_ms = hb_backoff_ms(REST_MIN_MS, REST_MAX_MS, reader->fruitless);
	halt(reader, HB_READER_RESTING);
	hb_timer_set(&reader->timer, delay_ms);
	log_retry(reader, why, delay_ms);
}

static void
end_rest(struct hb_reader *reader)
{
	if (hb_suspect_end_round(&reader->suspect))
		reader->fruitless = 0;
	else
		reader->fruitless++;
}

/* Returns when it will be tried again. */
static uint64_t
go_down(struct hb_reader *reader)
{
	uint64_t delay_ms =
	    hb_backoff_ms(LOOK_MIN_MS, LOOK_MAX_MS, reader->looks++);

	halt(reader, HB_READER_DOWN);
	hb_timer_set(&reader->timer, delay_ms);
	return delay_ms;
}

static void
on_released(struct hb_task *task)
{
	struct hb_reader *reader =
	    hb_container_of(task, struct hb_reader, released);

	reader->is_asked = false;
	hb_reader_wake(reader);
}

/* Whether the record's first delivery is at its sink still; then the reader is
 * HELD, and told when it is not. There is one task: while it is to come for
 * another record, which a failure has put behind us, this one waits too. */
static bool
is_held(struct hb_reader *reader, const struct hb_record *rec)
{
	if (!reader->is_asked &&
	    !hb_store_is_held(reader->replay->env.store, rec, loop_of(reader),
		&reader->released))
		return false;
	reader->is_asked = true;
	halt(reader, HB_READER_HELD);
	return true;
}

/* Whether what the reader waits for is there. */
static bool
may_go_on(const struct hb_reader *reader)
{
	switch (reader->state) {
	case HB_READER_RUNNING:
		break;
	case HB_READER_WAITING:
		return reader->has_more;
	case HB_READER_HELD:
		return !reader->is_asked;
	case HB_READER_RESTING:
		return reader->is_due && reader->in_flight == 0;
	case HB_READER_DOWN:
		return reader->is_due;
	}
	return true;
}

/* --- reading -------------------------------------------------------------- */

static bool
window_admits(const struct hb_reader *reader, uint64_t bytes)
{
	if (reader->in_flight == 0)
		return true;
	return !reader->is_ordered &&
	    !hb_suspect_is_alone(&reader->suspect) &&
	    reader->in_flight < WINDOW_RECORDS &&
	    reader->bytes + bytes <= WINDOW_BYTES;
}

/* Whether so many bytes may be under way in addition. If not, a report wakes
 * the reader, or the room calls it. */
static bool
admits(struct hb_reader *reader, uint64_t bytes)
{
	return window_admits(reader, bytes) &&
	    hb_room_admits(&reader->replay->room, reader, bytes);
}

static bool
is_reachable(const struct hb_reader *reader)
{
	struct hb_sink *sink = reader->sink;

	return hb_dest_health(sink, reader->dest) != HB_DOWN &&
	    (sink->ops->ready == NULL ||
		sink->ops->ready(sink, &reader->probe));
}

/* The record will be read again. */
static void
put_back(struct hb_reader *reader, struct hb_flight *flight)
{
	hb_walk_seek(reader->walk, reader->from);
	hb_flight_free(flight);
}

/* What becomes of a record that was read; whether there may be another. */
static bool
take(struct hb_reader *reader, struct hb_flight *flight)
{
	const struct hb_record *rec = &flight->rec;
	uint64_t bytes = hb_flight_cost(flight);

	reader->from = rec->kept.ref.seq;
	hb_suspect_note_read(&reader->suspect, rec->kept.ref.seq);
	if (rec->ticket != 0 && is_held(reader, rec)) {
		hb_flight_free(flight);
		return false;
	}
	/* By its first delivery, after it was read. */
	if (rec->ticket != 0 && hb_store_is_settled(&rec->kept)) {
		hb_flight_free(flight);
		return true;
	}
	if (!admits(reader, bytes)) {
		reader->expected = bytes;
		put_back(reader, flight);
		return false;
	}
	reader->expected = 0;
	reader->from++;
	hb_flight_begin(flight);
	return true;
}

/* Reads a record; whether there may be another. */
static bool
read_next(struct hb_reader *reader)
{
	struct hb_flight *flight = hb_flight_new(reader);
	struct hb_error err = { HB_OK, NULL, "" };

	if (flight == NULL)
		return false;
	if (reader->walk == NULL)
		open_walk(reader);
	switch (hb_walk_next(reader->walk, &flight->rec, &err)) {
	case HB_SPOOL_RECORD:
		return take(reader, flight);
	case HB_SPOOL_END:
		reader->state = HB_READER_WAITING;
		break;
	case HB_SPOOL_LATER:
		log_retry(reader, &err, go_down(reader));
		break;
	}
	hb_flight_free(flight);
	return false;
}

/* --- turns ---------------------------------------------------------------- */

/* Sends until something is in the way, or it is the next one's turn. */
static void
run(struct hb_reader *reader)
{
	for (unsigned i = 0; i < RECORDS_PER_TURN; i++) {
		if (!window_admits(reader, reader->expected))
			return;
		if (!is_reachable(reader)) {
			go_down(reader);
			return;
		}
		reader->looks = 0;
		if (!admits(reader, reader->expected) || !read_next(reader))
			return;
	}
	if (!reader->turn.posted)
		hb_loop_post(loop_of(reader), &reader->turn);
}

static void
on_turn(struct hb_task *task)
{
	struct hb_reader *reader =
	    hb_container_of(task, struct hb_reader, turn);

	if (atomic_load(&reader->replay->stopped))
		return;
	if (may_go_on(reader)) {
		if (reader->state == HB_READER_RESTING)
			end_rest(reader);
		reader->state = HB_READER_RUNNING;
		reader->has_more = false;
		run(reader);
	}
	hb_room_pass(&reader->replay->room, reader);
}

/* --- making and freeing --------------------------------------------------- */

static bool
names(const struct hb_target_conf *target, const struct hb_dest_conf *dest)
{
	for (size_t i = 0; i < target->dest_count; i++)
		if (target->dests[i] == dest)
			return true;
	return false;
}

/* The first that has such a destination, as for an event that matches all
 * routes. */
static const struct hb_target_conf *
target_of(const struct hb_config *cfg, const struct hb_dest_conf *dest)
{
	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t k = 0; k < cfg->routes[i].to_count; k++)
			if (names(cfg->routes[i].to[k], dest))
				return cfg->routes[i].to[k];
	return cfg->dead_letter;
}

static void
init_metrics(struct hb_reader *reader)
{
	const char *sink = reader->dest->sink->name;
	const char *label = reader->dest->label;

	reader->confirmed = hb_metric_get(HB_M_DELIVERIES, sink, label,
	    "confirmed", NULL);
	reader->dead_lettered = hb_metric_get(HB_M_DELIVERIES, sink, label,
	    "dead_lettered", NULL);
	reader->replayed =
	    hb_metric_get(HB_M_SPOOL_REPLAYED, sink, NULL, NULL, NULL);
}

void
hb_reader_init(struct hb_reader *reader, struct hb_replay *replay,
    const struct hb_dest_conf *dest)
{
	const struct hb_replay_env *env = &replay->env;

	*reader = (struct hb_reader){ .replay = replay, .dest = dest };
	reader->target = target_of(env->cfg, dest);
	reader->sink = hb_sinks_of(env->sinks, dest);
	reader->is_ordered = hb_sink_is_ordered(reader->sink);
	reader->probe = (struct hb_delivery){
		.msg = { .target = reader->target, .dest = dest },
		.sink = reader->sink,
		.home = env->loop,
		.patient = true
	};
	reader->released.run = on_released;
	reader->turn.run = on_turn;
	hb_timer_init(&reader->timer, env->loop, on_timer);
	init_metrics(reader);
	hb_loop_post(env->loop, &reader->turn);
}

void
hb_reader_fini(struct hb_reader *reader)
{
	close_walk(reader);
	hb_timer_fini(&reader->timer);
}
