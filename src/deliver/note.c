/* SPDX-License-Identifier: Apache-2.0 */
/* note.c - what is counted and logged of parcels and events
 *
 * Invariant: of each destination, deliveries begun = confirmed + spooled +
 * dead-lettered + failed + pending, where one that was spooled and is confirmed
 * later counts once more, as confirmed, when its record goes. What was not
 * admitted is not counted.
 *
 * A dead letter that is kept on disk belongs to no destination; its copy at the
 * destination dead_letter is counted there like a delivery. Without a store
 * that copy is the dead letter. */
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "parts.h"

/* --- parcels -------------------------------------------------------------- */

/* Whether the parcel itself is a delivery to its destination, and not only
 * something on disk with a copy at one. */
static bool
is_delivery(const struct hb_parcel *parcel)
{
	return parcel->metrics != NULL &&
	    (parcel->dead_reason == NULL || !parcel->will_keep);
}

void
hb_parcel_note_started(const struct hb_parcel *parcel)
{
	const struct hb_dest_metrics *m = parcel->metrics;
	unsigned left_out = parcel->delivery.msg.headers_left_out;

	if (parcel->stands_in_for != NULL)
		hb_metric_inc(parcel->stands_in_for->pending);
	if (!is_delivery(parcel))
		return;
	hb_metric_inc(m->pending);
	if (parcel->key_replaced)
		hb_metric_inc(m->keys_replaced);
	if (left_out > 0)
		hb_metric_add(m->headers_left_out, left_out);
}

static void
log_dead_letter(const struct hb_parcel *letter)
{
	const struct hb_event *ev = letter->tracker->ev;

	hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS, letter->dead_reason,
	    NULL, NULL, NULL));
	hb_log_limited(HB_LOG_WARNING, "dead.added",
	    HB_F_STR("reason", letter->dead_reason),
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_SPAN("job", ev->job_id), HB_F_SPAN("dst", letter->place));
}

/* Of a dead letter the sink's words stand for the store's too. */
static const char *
why_text(const struct hb_parcel *parcel)
{
	if (parcel->delivery.sink != NULL &&
	    parcel->delivery.why.text[0] != '\0')
		return parcel->delivery.why.text;
	return parcel->keep != NULL ? parcel->keep->err.text
				    : "it takes too long";
}

static void
log_failed(const struct hb_parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->delivery.msg.dest;
	const struct hb_event *ev = parcel->tracker->ev;

	hb_log_limited(HB_LOG_WARNING, "delivery.failed",
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_STR("sink", dest != NULL ? dest->sink->name : NULL),
	    HB_F_STR("dst", dest != NULL ? dest->name : "dead letters"),
	    HB_F_STR("why", why_text(parcel)));
}

/* Adds one to where the state is counted. */
static void
count_state(const struct hb_dest_metrics *m, enum hb_parcel_state state)
{
	switch (state) {
	case HB_PARCEL_CONFIRMED:
		hb_metric_inc(m->confirmed);
		return;
	case HB_PARCEL_SPOOLED:
		hb_metric_inc(m->spooled);
		return;
	case HB_PARCEL_DEAD:
		hb_metric_inc(m->dead_lettered);
		return;
	case HB_PARCEL_FAILED:
		hb_metric_inc(m->failed);
		return;
	case HB_PARCEL_PENDING:
	case HB_PARCEL_REFERRED: /* counted for what stands in for it */
		return;
	}
}

void
hb_parcel_note_state(const struct hb_parcel *parcel,
    enum hb_parcel_state state)
{
	const struct hb_dest_metrics *origin = parcel->stands_in_for;

	if (is_delivery(parcel)) {
		hb_metric_dec(parcel->metrics->pending);
		count_state(parcel->metrics, state == HB_PARCEL_DEAD
		    ? HB_PARCEL_CONFIRMED : state);
	}
	if (origin != NULL) {
		hb_metric_dec(origin->pending);
		count_state(origin, state);
	}
	if (state == HB_PARCEL_DEAD)
		log_dead_letter(parcel);
	else if (state == HB_PARCEL_FAILED)
		log_failed(parcel);
}

void
hb_parcel_note_confirmed_late(const struct hb_parcel *parcel)
{
	hb_metric_inc(parcel->metrics->confirmed);
}

void
hb_parcel_note_copy_sent(const struct hb_parcel *parcel)
{
	if (!is_delivery(parcel))
		hb_metric_inc(parcel->metrics->pending);
}

void
hb_parcel_note_copy_reported(const struct hb_parcel *parcel)
{
	if (is_delivery(parcel))
		return;
	hb_metric_dec(parcel->metrics->pending);
	count_state(parcel->metrics,
	    parcel->delivery.report == HB_REPORT_CONFIRMED
	    ? HB_PARCEL_CONFIRMED : HB_PARCEL_FAILED);
}

/* --- events --------------------------------------------------------------- */

/* "main:reducto.invoices,streams:reducto:production", as many as fit whole. */
static void
list_destinations(const struct hb_tracker *tracker, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < tracker->parcel_count; i++) {
		const struct hb_dest_conf *dest =
		    tracker->parcels[i].delivery.msg.dest;
		int n;

		if (dest == NULL ||
		    tracker->parcels[i].state == HB_PARCEL_REFERRED)
			continue;
		n = snprintf(out + len, size - len, "%s%s%s%s",
		    len > 0 ? "," : "", dest->sink->name,
		    dest->name[0] != '\0' ? ":" : "", dest->name);
		if ((size_t)n >= size - len) {
			out[len] = '\0';
			return;
		}
		len += (size_t)n;
	}
}

/* Why the event, or the first part of it, is a dead letter. */
static const char *
dead_reason_of(const struct hb_tracker *tracker)
{
	for (size_t i = 0; i < tracker->parcel_count; i++)
		if (tracker->parcels[i].dead_reason != NULL)
			return tracker->parcels[i].dead_reason;
	return NULL;
}

void
hb_tracker_note_settled(const struct hb_tracker *tracker,
    enum hb_outcome outcome)
{
	struct hb_tail *tail = tracker->courier->deliver->env.tail;
	const struct hb_event *ev = tracker->ev;
	int64_t now_ms;
	char dst[512];

	if (!hb_log_enabled(HB_LOG_INFO) && !hb_tail_is_watched(tail))
		return;
	now_ms = hb_clock_wall_ms();
	list_destinations(tracker, dst, sizeof(dst));
	hb_log(HB_LOG_INFO, "event.settled",
	    HB_F_STR("endpoint", ev->endpoint->name), HB_F_SPAN("id", ev->id),
	    HB_F_SPAN("job", ev->job_id),
	    HB_F_STR("outcome", hb_outcome_word(outcome)), HB_F_STR("dst", dst),
	    HB_F_I64("ms", now_ms - ev->received_ms));
	if (hb_tail_is_watched(tail))
		hb_tail_tell(tail, &(struct hb_tail_event){
		    .word = "event.settled",
		    .endpoint = hb_span_of(ev->endpoint->name),
		    .id = ev->id,
		    .job_id = ev->job_id,
		    .status = ev->status,
		    .outcome = hb_outcome_word(outcome),
		    .destinations = hb_span_of(dst),
		    .reason = dead_reason_of(tracker),
		    .wall_ms = now_ms,
		    .took_ms = now_ms - ev->received_ms });
}
