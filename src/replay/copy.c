/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - what is set aside, for the destination dead_letter
 *
 * With a destination dead_letter, what cannot be delivered goes there: the
 * message as it was to go, and headers that say why it did not. It is kept as a
 * delivery to that destination, takes the place of the record that is set
 * aside, and is gone once it is confirmed.
 *
 * What was kept for dead_letter is never kept for it again: if it is refused
 * there, it is a dead letter on disk like any other. */
#include "parts.h"

/* The event's id is the webhook's, unless that had none. */
static struct hb_span
webhook_id_of(const struct hb_record *rec)
{
	return hb_span_starts(rec->id, HB_SPAN("direct-")) ? HB_SPAN_NONE
							   : rec->id;
}

/* The destination's target; NULL: there is none for this one. */
static const struct hb_target_conf *
target_for(const struct hb_flight *flight)
{
	const struct hb_reader *reader = flight->reader;
	const struct hb_target_conf *target =
	    reader->replay->env.cfg->dead_letter;

	if (target == NULL || target->dests[0] == reader->dest ||
	    flight->rec.dead_letter)
		return NULL;
	return target;
}

/* The record as a dead letter; its headers are the arena's. */
static struct hb_record
make_letter(const struct hb_flight *flight, struct hb_arena *arena)
{
	const struct hb_dest_conf *dest = flight->reader->dest;
	struct hb_record letter = flight->rec;
	const struct hb_dead_reasons reasons = { .reason = flight->reason,
		.endpoint = letter.endpoint,
		.received_ms = letter.received_ms,
		.destination = hb_arena_printf(arena, "%s:%s",
		    dest->sink->name, dest->name),
		.webhook_id = webhook_id_of(&letter) };
	struct hb_header *headers = hb_arena_alloc(arena,
	    (letter.header_count + HB_DEAD_REASONS) * sizeof(*headers));

	for (size_t i = 0; i < letter.header_count; i++)
		headers[i] = letter.headers[i];
	letter.header_count = hb_render_reasons(&reasons, arena, headers,
	    letter.header_count);
	letter.headers = headers;
	letter.dead_letter = true;
	return letter;
}

static bool
fits(const struct hb_flight *flight, const struct hb_record *letter,
    const struct hb_target_conf *target)
{
	const struct hb_dest_conf *dest = target->dests[0];
	struct hb_sink *sink =
	    hb_sinks_of(flight->reader->replay->env.sinks, dest);
	struct hb_message msg;

	hb_record_message(letter, target, dest, &msg);
	return sink->ops->fits == NULL || sink->ops->fits(sink, &msg, NULL);
}

bool
hb_copy_keep(struct hb_flight *flight)
{
	const struct hb_target_conf *target = target_for(flight);
	struct hb_arena *arena;
	struct hb_record letter;
	bool ok;

	if (target == NULL)
		return false;
	arena = hb_arena_new(1024);
	letter = make_letter(flight, arena);
	ok = fits(flight, &letter, target);
	if (ok)
		hb_store_keep_moved(flight->reader->replay->env.store,
		    &flight->keep, &letter, target->dests[0]);
	hb_arena_free(arena);
	return ok;
}
