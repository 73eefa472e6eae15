/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - the only place that moves a parcel's state
 *
 *   PENDING ──the broker has it──────────────────────────────► CONFIRMED
 *     │ │ │
 *     │ │ └──synced in the spool──► SPOOLED, until the replay, or a late
 *     │ │                           report, settles its record
 *     │ └──never will be taken──► REFERRED to a dead letter of its own, which
 *     │                           is PENDING till it is synced, or its copy
 *     │                           confirmed: DEAD
 *     └──neither, and nothing left to try──► FAILED
 *
 * A delivery may be with its sink and with the store at once: it took too long
 * and is kept meanwhile. Whichever answers first settles it. The record is held
 * back from the replay while the sink still has the delivery; if that is
 * confirmed, the record goes.
 *
 * Invariants: (1) whatever is lent comes back once: tracker->lent counts;
 * (2) a state that was left PENDING does not change any more. */
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "parts.h"

static void on_report(struct hb_delivery *delivery);
static void on_overdue(struct hb_delivery *delivery);

/* --- states --------------------------------------------------------------- */

static void
move(struct hb_parcel *parcel, enum hb_parcel_state state)
{
	struct hb_tracker *tracker = parcel->tracker;

	hb_parcel_note_state(parcel, state);
	parcel->state = state;
	tracker->unsettled--;
	if (state == HB_PARCEL_SPOOLED)
		tracker->spooled = true;
	else if (state == HB_PARCEL_DEAD)
		tracker->dead_lettered = true;
}

/* why: a word for the answer's log line. */
static void
fail(struct hb_parcel *parcel, const char *why)
{
	move(parcel, HB_PARCEL_FAILED);
	parcel->tracker->failed = true;
	parcel->tracker->why = why;
}

/* --- lending -------------------------------------------------------------- */

static void
send(struct hb_parcel *parcel)
{
	struct hb_delivery *delivery = &parcel->delivery;

	parcel->is_at_sink = true;
	parcel->tracker->lent++;
	if (parcel->dead_reason != NULL)
		hb_parcel_note_copy_sent(parcel);
	delivery->on_report = on_report;
	delivery->on_overdue = on_overdue;
	delivery->sent_us = hb_clock_mono_us();
	delivery->sink->ops->send(delivery->sink, delivery);
}

static void on_kept(struct hb_keep *keep);

/* The keep, and whose it is: made only for parcels that need one. */
struct keeping {
	struct hb_keep keep;
	struct hb_parcel *parcel;
};

static void
keep(struct hb_parcel *parcel)
{
	struct hb_tracker *tracker = parcel->tracker;
	struct hb_store *store = tracker->courier->deliver->env.store;
	struct keeping *keeping =
	    hb_arena_calloc(tracker->ev->arena, 1, sizeof(*keeping));

	keeping->parcel = parcel;
	keeping->keep.home = tracker->courier->loop;
	keeping->keep.done = on_kept;
	parcel->keep = &keeping->keep;
	parcel->is_at_store = true;
	tracker->lent++;
	if (parcel->dead_reason != NULL) {
		hb_store_keep_dead(store, parcel->keep, tracker->ev,
		    parcel->dead_reason, parcel->place);
		return;
	}
	parcel->is_held = parcel->is_at_sink;
	hb_store_keep_delivery(store, parcel->keep, tracker->ev,
	    &parcel->delivery.msg, parcel->is_held);
}

/* Whether keeping it was not tried yet and would be of use. */
static bool
may_keep(const struct hb_parcel *parcel)
{
	return parcel->state == HB_PARCEL_PENDING && parcel->keep == NULL &&
	    parcel->dead_reason == NULL &&
	    parcel->tracker->courier->deliver->env.store != NULL;
}

bool
hb_parcel_keep_late(struct hb_parcel *parcel)
{
	if (!may_keep(parcel))
		return false;
	keep(parcel);
	return true;
}

void
hb_parcel_start(struct hb_parcel *parcel)
{
	hb_parcel_note_started(parcel);
	parcel->tracker->unsettled++;
	if (parcel->will_keep)
		keep(parcel);
	if (parcel->will_send)
		send(parcel);
}

/* --- dead letters --------------------------------------------------------- */

/* Goes on as a dead letter; false: there is no way for one now. */
static bool
refer(struct hb_parcel *parcel, const char *reason)
{
	struct hb_parcel *letter = hb_parcel_refer(parcel, reason);
	struct hb_error err;

	if (letter == NULL || !hb_parcel_find_way(letter, &err))
		return false;
	hb_parcel_start(letter);
	move(parcel, HB_PARCEL_REFERRED);
	return true;
}

static void
refer_or_fail(struct hb_parcel *parcel, const char *reason)
{
	if (!refer(parcel, reason != NULL ? reason : "refused"))
		fail(parcel, "delivery-failed");
}

void
hb_parcel_set_aside(struct hb_parcel *parcel, const char *reason)
{
	hb_parcel_note_started(parcel);
	parcel->tracker->unsettled++;
	refer_or_fail(parcel, reason);
}

/* Whether the sink, if it was asked, has reported so. */
static bool
has_reported(const struct hb_parcel *parcel, enum hb_report report)
{
	return parcel->delivery.on_report != NULL && !parcel->is_at_sink &&
	    parcel->delivery.report == report;
}

/* Neither the sink nor the store takes it. If one of them never will, it is
 * for the dead letters, whoever was asked first. */
static void
give_up(struct hb_parcel *parcel)
{
	const struct hb_error *err =
	    parcel->keep != NULL ? &parcel->keep->err : NULL;

	if (has_reported(parcel, HB_REPORT_REFUSED))
		refer_or_fail(parcel, parcel->delivery.why.reason);
	else if (err != NULL && err->code == HB_E_DEAD)
		refer_or_fail(parcel, err->reason);
	else
		fail(parcel, err != NULL ? err->reason : "delivery-failed");
}

/* --- what comes back from the store --------------------------------------- */

/* Nothing is with the sink or the store any more, or the record is of no use:
 * lets the replay have it, or settles it. */
static void
release_record(struct hb_parcel *parcel, bool is_delivered)
{
	if (is_delivered && hb_store_settle(&parcel->keep->kept) &&
	    parcel->state == HB_PARCEL_SPOOLED)
		hb_parcel_note_confirmed_late(parcel);
	if (parcel->is_held && !parcel->is_at_sink) {
		parcel->is_held = false;
		hb_store_release(parcel->keep);
	}
}

static void
on_kept_well(struct hb_parcel *parcel)
{
	if (parcel->state == HB_PARCEL_PENDING)
		move(parcel, parcel->dead_reason != NULL ? HB_PARCEL_DEAD
							 : HB_PARCEL_SPOOLED);
	release_record(parcel, has_reported(parcel, HB_REPORT_CONFIRMED));
}

/* The store cannot take it. The sink may yet, if it was asked too. */
static void
on_not_kept(struct hb_parcel *parcel)
{
	parcel->is_held = false;
	if (parcel->state == HB_PARCEL_PENDING && !parcel->is_at_sink)
		give_up(parcel);
}

static void
on_kept(struct hb_keep *kept)
{
	struct hb_parcel *parcel =
	    hb_container_of(kept, struct keeping, keep)->parcel;

	parcel->is_at_store = false;
	parcel->tracker->lent--;
	if (kept->ok)
		on_kept_well(parcel);
	else
		on_not_kept(parcel);
	hb_tracker_look(parcel->tracker);
}

/* --- what comes back from the sink ---------------------------------------- */

/* Not delivered: what can still be done about it. */
static void
on_not_delivered(struct hb_parcel *parcel)
{
	if (parcel->state != HB_PARCEL_PENDING || parcel->is_at_store)
		return;
	if (!has_reported(parcel, HB_REPORT_REFUSED) && may_keep(parcel))
		keep(parcel);
	else
		give_up(parcel);
}

static void
on_report(struct hb_delivery *delivery)
{
	struct hb_parcel *parcel =
	    hb_container_of(delivery, struct hb_parcel, delivery);
	bool is_delivered = delivery->report == HB_REPORT_CONFIRMED;

	parcel->is_at_sink = false;
	parcel->tracker->lent--;
	if (parcel->dead_reason != NULL)
		hb_parcel_note_copy_reported(parcel);
	if (!is_delivered)
		on_not_delivered(parcel);
	else if (parcel->state == HB_PARCEL_PENDING)
		move(parcel, parcel->dead_reason != NULL
		    ? HB_PARCEL_DEAD : HB_PARCEL_CONFIRMED);
	if (parcel->keep != NULL && !parcel->is_at_store && parcel->keep->ok)
		release_record(parcel, is_delivered);
	hb_tracker_look(parcel->tracker);
}

/* The sink has not given it up, but others would by now. */
static void
on_overdue(struct hb_delivery *delivery)
{
	struct hb_parcel *parcel =
	    hb_container_of(delivery, struct hb_parcel, delivery);

	if (hb_parcel_keep_late(parcel) || parcel->is_at_store ||
	    parcel->state != HB_PARCEL_PENDING)
		return;
	parcel->tracker->overdue = true;
	hb_tracker_look(parcel->tracker);
}
