/* SPDX-License-Identifier: Apache-2.0 */
/* hold.c - deliveries that are at their sinks still
 *
 * What a sink has had for long is kept on disk while the sink still has it.
 * Its record may be read at once, on another loop; it must not be sent a second
 * time as long as the first may yet be confirmed. So the record bears a ticket,
 * which is held before it is appended and until the sink has reported; and the
 * process, drawn at random: in the next one nothing is at any sink.
 *
 * A set of tickets with open addressing. They are numbered one after the other
 * and live for about the same time, so that their places are next to each
 * other and seldom taken. */
#include <stdlib.h>

#include "hookbridge/crypto.h"
#include "parts.h"

#define PLACES_MIN 1024u /* a power of two */

static struct hb_store_hold *
places_new(size_t count)
{
	return hb_xcalloc(count, sizeof(struct hb_store_hold));
}

void
hb_store_holds_init(struct hb_store_holds *holds)
{
	*holds = (struct hb_store_holds){
	    .places = places_new(PLACES_MIN), .mask = PLACES_MIN - 1};
	pthread_mutex_init(&holds->lock, NULL);
	hb_random(&holds->boot, sizeof(holds->boot));
}

void
hb_store_holds_fini(struct hb_store_holds *holds)
{
	pthread_mutex_destroy(&holds->lock);
	free(holds->places);
}

/* --- the set -------------------------------------------------------------- */

/* The place of the ticket, or a free one. */
static struct hb_store_hold *
place_of(const struct hb_store_holds *holds, uint64_t ticket)
{
	size_t i = ticket & holds->mask;

	while (holds->places[i].ticket != 0 &&
	       holds->places[i].ticket != ticket)
		i = (i + 1) & holds->mask;
	return &holds->places[i];
}

static void
resize(struct hb_store_holds *holds, size_t count)
{
	struct hb_store_hold *old = holds->places;
	size_t old_count = holds->mask + 1;

	holds->places = places_new(count);
	holds->mask = count - 1;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].ticket != 0)
			*place_of(holds, old[i].ticket) = old[i];
	free(old);
}

/* Frees the place; those behind it that came by it move up. */
static void
vacate(struct hb_store_holds *holds, struct hb_store_hold *hold)
{
	size_t hole = (size_t)(hold - holds->places), i = hole;

	for (;;) {
		size_t home;

		i = (i + 1) & holds->mask;
		if (holds->places[i].ticket == 0)
			break;
		home = holds->places[i].ticket & holds->mask;
		if (((i - home) & holds->mask) < ((i - hole) & holds->mask))
			continue;
		holds->places[hole] = holds->places[i];
		hole = i;
	}
	holds->places[hole] = (struct hb_store_hold){.ticket = 0};
	holds->count--;
}

/* --- holding -------------------------------------------------------------- */

uint64_t
hb_store_hold(struct hb_store_holds *holds)
{
	uint64_t ticket;

	pthread_mutex_lock(&holds->lock);
	if (2 * (holds->count + 1) > holds->mask)
		resize(holds, 2 * (holds->mask + 1));
	ticket = ++holds->last;
	place_of(holds, ticket)->ticket = ticket;
	holds->count++;
	pthread_mutex_unlock(&holds->lock);
	return ticket;
}

void
hb_store_unhold(struct hb_store_holds *holds, uint64_t ticket)
{
	struct hb_store_hold *place, hold;

	if (ticket == 0)
		return;
	pthread_mutex_lock(&holds->lock);
	place = place_of(holds, ticket);
	hold = *place;
	if (hold.ticket != 0)
		vacate(holds, place);
	if (holds->count == 0 && holds->mask >= PLACES_MIN)
		resize(holds, PLACES_MIN);
	pthread_mutex_unlock(&holds->lock);
	if (hold.task != NULL)
		hb_loop_post(hold.loop, hold.task);
}

void
hb_store_release(struct hb_keep *keep)
{
	hb_store_unhold(&keep->store->holds, keep->ticket);
	keep->ticket = 0;
}

bool
hb_store_is_held(struct hb_store *store, const struct hb_record *rec,
    struct hb_loop *loop, struct hb_task *task)
{
	struct hb_store_holds *holds = &store->holds;
	struct hb_store_hold *hold;
	bool is_held;

	if (rec->ticket == 0)
		return false;
	pthread_mutex_lock(&holds->lock);
	hold = place_of(holds, rec->ticket);
	is_held = hold->ticket != 0;
	if (is_held && task != NULL) {
		hold->loop = loop;
		hold->task = task;
	}
	pthread_mutex_unlock(&holds->lock);
	return is_held;
}
