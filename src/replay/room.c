/* SPDX-License-Identifier: Apache-2.0 */
/* room.c - the memory that all readers share
 *
 * A record's size is known when it was read. A reader that finds no room for
 * one forgets it, remembers its size and gets in line; the first in line is
 * called when so much is free, and nobody takes any before it has had its
 * turn. Thus small records do not keep a large one waiting for ever.
 *
 * Invariant: used is at most limit, or there is one record under way. */
#include "parts.h"

void
hb_room_init(struct hb_room *room, uint64_t limit)
{
	*room = (struct hb_room){ .limit = limit };
	room->end = &room->first;
}

static bool
fits(const struct hb_room *room, uint64_t bytes)
{
	return room->used == 0 || room->used + bytes <= room->limit;
}

static void
get_in_line(struct hb_room *room, struct hb_reader *reader)
{
	if (reader->in_line)
		return;
	reader->in_line = true;
	reader->next = NULL;
	*room->end = reader;
	room->end = &reader->next;
}

bool
hb_room_admits(struct hb_room *room, struct hb_reader *reader, uint64_t bytes)
{
	bool is_first = room->called != NULL ? room->called == reader
					     : room->first == NULL;

	if (is_first && fits(room, bytes))
		return true;
	get_in_line(room, reader);
	return false;
}

/* Who was called has taken: the next record waits in line like all others'. */
void
hb_room_take(struct hb_room *room, uint64_t bytes)
{
	room->used += bytes;
	room->called = NULL;
}

void
hb_room_give(struct hb_room *room, uint64_t bytes)
{
	room->used -= bytes;
}

/* Calls the first in line, if there is room for it. */
static void
call_next(struct hb_room *room)
{
	struct hb_reader *reader = room->first;

	if (reader == NULL || !fits(room, reader->expected))
		return;
	room->first = reader->next;
	if (room->first == NULL)
		room->end = &room->first;
	reader->in_line = false;
	room->called = reader;
	hb_reader_wake(reader);
}

void
hb_room_pass(struct hb_room *room, const struct hb_reader *reader)
{
	if (room->called == reader)
		room->called = NULL;
	if (room->called == NULL)
		call_next(room);
}
