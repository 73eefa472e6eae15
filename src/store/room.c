/* SPDX-License-Identifier: Apache-2.0 */
/* room.c - whether anything more can be kept
 *
 * That is asked for every event before any of it is sent, so it costs no lock
 * while all is well: each append leaves behind what it has met.
 *
 *            an append is refused
 *   OK ─────────────────────────────► FULL, BROKEN
 *    ▲                                   │   every LOOK_MS the spool is asked
 *    └───────────────────────────────────┘   how it is by now
 *        an append succeeds, or the spool says so
 *
 * A spool whose budget is used up says by itself when records were settled and
 * there is room again. One that the disk has refused looks by itself whether
 * the disk is well again, but only every few seconds: every TRY_MS who asks is
 * told that there is room, for TRY_OPEN_MS. That is long enough for one event,
 * which asks for each of its destinations and is kept for all or for none. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "parts.h"

#define LOOK_MS 100
#define TRY_MS 1000
#define TRY_OPEN_MS 10

/* --- the state ------------------------------------------------------------ */

static enum hb_spool_state
state_of(const struct hb_spool_append *append)
{
	if (append->ok)
		return HB_SPOOL_OK;
	return append->err.code == HB_E_RESOURCE ? HB_SPOOL_FULL
						 : HB_SPOOL_BROKEN;
}

void
hb_store_state_note(
    struct hb_store_part *part, const struct hb_spool_append *append)
{
	enum hb_spool_state state = state_of(append);

	/* Too long a record says nothing of the spool. */
	if (!append->ok && append->err.code == HB_E_DEAD)
		return;
	if (atomic_load_explicit(&part->state.now, memory_order_relaxed) !=
	    state)
		part->state.now = state;
}

/* As the spool judges it: without these, no segment can be begun. */
static bool
budget_is_used_up(
    const struct hb_store_part *part, const struct hb_spool_stats *stats)
{
	return stats->disk_bytes - stats->pool * part->segment_size +
		   3 * part->segment_size >
	       stats->max_size;
}

static void
look(struct hb_store_part *part)
{
	struct hb_spool_stats stats;

	hb_spool_stats(part->spool, &stats);
	part->state.tries = !budget_is_used_up(part, &stats);
	part->state.now = stats.state;
}

/* True once in that time, to one who asks. */
static bool
take_turn(_Atomic uint64_t *due_ms, uint64_t interval_ms)
{
	uint64_t now_ms = hb_clock_mono_ms(), due = *due_ms;

	return now_ms >= due && atomic_compare_exchange_strong(due_ms, &due,
				    now_ms + interval_ms);
}

/* Whether it is time to try; for a moment it stays so. */
static bool
may_try(struct hb_store_state *state)
{
	return take_turn(&state->try_ms, TRY_MS) ||
	       hb_clock_mono_ms() + TRY_MS < state->try_ms + TRY_OPEN_MS;
}

static bool
state_allows(struct hb_store_part *part, struct hb_error *err)
{
	struct hb_store_state *state = &part->state;

	if (state->now == HB_SPOOL_OK)
		return true;
	if (take_turn(&state->look_ms, LOOK_MS))
		look(part);
	if (state->now == HB_SPOOL_OK ||
	    (state->tries && may_try(state)))
		return true;
	if (state->now == HB_SPOOL_FULL)
		return hb_fail_reason(err, HB_E_RESOURCE,
		    part->kind == HB_SHELF_DEAD ? "dead-full" : "spool-full",
		    "%s: full", part->directory);
	return hb_fail_reason(err, HB_E_IO, "spool-broken",
	    "%s: the disk refuses", part->directory);
}

/* --- asking --------------------------------------------------------------- */

bool
hb_store_has_room(struct hb_store *store,
    const struct hb_endpoint_conf *endpoint, const struct hb_dest_conf *dest,
    uint64_t bytes, struct hb_error *err)
{
	struct hb_store_part *part = &store->parts[
	    dest != NULL ? HB_SHELF_DELIVERIES : HB_SHELF_DEAD];
	struct hb_store_accounts accounts;

	hb_store_accounts_find(part, dest, endpoint, &accounts);
	return hb_store_may_charge(&accounts, bytes, err) &&
	       state_allows(part, err);
}

/* A record is charged before it is appended, until it is settled. */
bool
hb_store_has_backlog(
    const struct hb_store *store, const struct hb_dest_conf *dest)
{
	const struct hb_store_part *part = &store->parts[HB_SHELF_DELIVERIES];

	return part->books.dests[dest->index].used > 0;
}

void
hb_store_explain(const struct hb_store_part *part, struct hb_error *err)
{
	bool is_dead = part->kind == HB_SHELF_DEAD;

	switch (err->code) {
	case HB_E_RESOURCE:
		err->reason = is_dead ? "dead-full" : "spool-full";
		break;
	case HB_E_DEAD:
		err->reason = "too-large";
		break;
	default:
		err->code = HB_E_IO;
		err->reason = "spool-broken";
		break;
	}
}
