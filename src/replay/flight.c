/* SPDX-License-Identifier: Apache-2.0 */
/* flight.c - one record: sent, reported, settled or set aside
 *
 *   hb_flight_new ─► read ─► begin ─┬─► sink ─► report ─┬─ confirmed ─► settled
 *                                   │                   ├─ retry, unknown:
 *                         too large │           refused │   it stays on disk,
 *                                   │            poison │   the reader rests
 *                                   ▼                   ▼
 *                      kept for dead_letter (copy.c) ─► settled
 *                                   │ no, or not now    ▲
 *                                   └─► dead letter kept
 *
 * A record is settled only when what takes its place is safe: confirmed by its
 * broker, or synced for another one, or among the dead letters. Whoever settles
 * it first counts it: an operator may drop it meanwhile, and then what took its
 * place is taken back.
 *
 * After the replay was stopped only confirmations matter; the rest is for the
 * next start. */
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define PLACE_SIZE 512

/* --- making and freeing --------------------------------------------------- */

struct hb_flight *
hb_flight_new(struct hb_reader *reader)
{
	struct hb_replay *replay = reader->replay;
	struct hb_flight *flight;

	atomic_fetch_add(&replay->in_flight, 1);
	if (atomic_load(&replay->stopped)) {
		atomic_fetch_sub(&replay->in_flight, 1);
		return NULL;
	}
	flight = hb_xcalloc(1, sizeof(*flight));
	flight->reader = reader;
	return flight;
}

void
hb_flight_free(struct hb_flight *flight)
{
	struct hb_replay *replay = flight->reader->replay;

	hb_record_fini(&flight->rec);
	free(flight);
	atomic_fetch_sub(&replay->in_flight, 1);
}

uint64_t
hb_flight_cost(const struct hb_flight *flight)
{
	return sizeof(*flight) + flight->rec.kept.ref.len +
	    flight->rec.header_count * sizeof(*flight->rec.headers);
}

/* Nothing of it is under way any more. */
static void
end(struct hb_flight *flight)
{
	struct hb_reader *reader = flight->reader;
	uint64_t bytes = flight->bytes;

	hb_flight_free(flight);
	reader->in_flight--;
	reader->bytes -= bytes;
	hb_room_give(&reader->replay->room, bytes);
	hb_reader_wake(reader);
}

/* --- what is told --------------------------------------------------------- */

static void
tell(const struct hb_flight *flight, const char *word, const char *outcome)
{
	const struct hb_dest_conf *dest = flight->reader->dest;
	struct hb_tail *tail = flight->reader->replay->env.tail;
	const struct hb_record *rec = &flight->rec;
	int64_t now_ms = hb_clock_wall_ms();
	char place[PLACE_SIZE];

	if (!hb_tail_is_watched(tail))
		return;
	snprintf(place, sizeof(place), "%s%s%s", dest->sink->name,
	    dest->name[0] != '\0' ? ":" : "", dest->name);
	hb_tail_tell(tail, &(struct hb_tail_event){ .word = word,
	    .endpoint = rec->endpoint,
	    .id = rec->id,
	    .job_id = rec->job_id,
	    .outcome = outcome,
	    .destinations = hb_span_of(place),
	    .reason = flight->reason,
	    .wall_ms = now_ms,
	    .took_ms = now_ms - rec->received_ms });
}

static void
note_replayed(const struct hb_flight *flight)
{
	const struct hb_reader *reader = flight->reader;
	const struct hb_record *rec = &flight->rec;

	hb_metric_inc(reader->confirmed);
	hb_metric_inc(reader->replayed);
	hb_log(HB_LOG_DEBUG, "delivery.replayed",
	    HB_F_SPAN("endpoint", rec->endpoint), HB_F_SPAN("id", rec->id),
	    HB_F_STR("sink", reader->dest->sink->name),
	    HB_F_STR("dst", reader->dest->name));
	tell(flight, "delivery.replayed", "confirmed");
}

static void
note_dead(const struct hb_flight *flight)
{
	const struct hb_record *rec = &flight->rec;

	hb_metric_inc(flight->reader->dead_lettered);
	hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS, flight->reason, NULL,
	    NULL, NULL));
	hb_log_limited(HB_LOG_WARNING, "dead.added",
	    HB_F_STR("reason", flight->reason),
	    HB_F_SPAN("endpoint", rec->endpoint), HB_F_SPAN("id", rec->id),
	    HB_F_SPAN("job", rec->job_id));
	tell(flight, "dead.added", "dead-lettered");
}

/* --- setting aside -------------------------------------------------------- */

static void
settle_dead(struct hb_flight *flight)
{
	if (hb_store_settle(&flight->rec.kept))
		note_dead(flight);
	else
		hb_store_settle(&flight->keep.kept);
}

static void
keep_dead(struct hb_flight *flight)
{
	flight->is_copied = false;
	hb_store_keep_dead_record(flight->reader->replay->env.store,
	    &flight->keep, &flight->rec, flight->reason);
}

static void
on_kept(struct hb_keep *keep)
{
	struct hb_flight *flight =
	    hb_container_of(keep, struct hb_flight, keep);

	if (!keep->ok && flight->is_copied) {
		keep_dead(flight);
		return;
	}
	if (keep->ok)
		settle_dead(flight);
	else
		hb_reader_rest(flight->reader, &keep->err);
	end(flight);
}

/* It will never be delivered: to the destination dead_letter, or among the
 * dead letters. */
static void
set_aside(struct hb_flight *flight, const char *reason)
{
	flight->reason = reason;
	flight->keep.home = flight->reader->replay->env.loop;
	flight->keep.done = on_kept;
	flight->is_copied = hb_copy_keep(flight);
	if (!flight->is_copied)
		keep_dead(flight);
}

/* --- reports -------------------------------------------------------------- */

static void
confirm(struct hb_flight *flight)
{
	hb_suspect_note_confirmed(&flight->reader->suspect);
	if (hb_store_settle(&flight->rec.kept))
		note_replayed(flight);
}

/* Whether it has failed so often, and alone, that it is to blame. Where the
 * order is kept nothing passes a failure, hence nothing is. */
static bool
is_poison(const struct hb_flight *flight)
{
	struct hb_reader *reader = flight->reader;

	return hb_dest_health(reader->sink, reader->dest) != HB_DOWN &&
	    hb_suspect_note_failed(&reader->suspect,
		flight->rec.kept.ref.seq);
}

/* Why it has to be set aside, or NULL. */
static const char *
verdict(const struct hb_flight *flight)
{
	const char *reason = flight->delivery.why.reason;

	if (flight->delivery.report == HB_REPORT_REFUSED)
		return reason != NULL ? reason : "refused";
	return is_poison(flight) ? "poison" : NULL;
}

/* Whether it is settled or to be sent again; false: it is being set aside. */
static bool
is_over(struct hb_flight *flight)
{
	const char *reason;

	if (flight->delivery.report == HB_REPORT_CONFIRMED) {
		confirm(flight);
		return true;
	}
	if (atomic_load(&flight->reader->replay->stopped))
		return true;
	reason = verdict(flight);
	if (reason != NULL)
		set_aside(flight, reason);
	else
		hb_reader_rest(flight->reader, &flight->delivery.why);
	return reason == NULL;
}

static void
on_report(struct hb_delivery *delivery)
{
	struct hb_flight *flight =
	    hb_container_of(delivery, struct hb_flight, delivery);

	if (is_over(flight))
		end(flight);
}

/* --- sending -------------------------------------------------------------- */

static bool
is_too_large(const struct hb_flight *flight)
{
	const struct hb_sink *sink = flight->reader->sink;

	return sink->ops->fits != NULL &&
	    !sink->ops->fits(sink, &flight->delivery.msg, NULL);
}

void
hb_flight_begin(struct hb_flight *flight)
{
	struct hb_reader *reader = flight->reader;
	struct hb_delivery *delivery = &flight->delivery;

	flight->bytes = hb_flight_cost(flight);
	hb_room_take(&reader->replay->room, flight->bytes);
	reader->in_flight++;
	reader->bytes += flight->bytes;
	hb_record_message(&flight->rec, reader->target, reader->dest,
	    &delivery->msg);
	if (is_too_large(flight)) {
		set_aside(flight, "too-large");
		return;
	}
	delivery->sink = reader->sink;
	delivery->home = reader->replay->env.loop;
	delivery->patient = true;
	delivery->on_report = on_report;
	delivery->sent_us = hb_clock_mono_us();
	reader->sink->ops->send(reader->sink, delivery);
}
