/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.c - reads a lane
 *
 * A cursor is a place in the order of sequence numbers and knows the segment
 * it is in by number, as segments come and go between two calls. For each
 * record it asks the lane which segment is next, pins it, goes through a window
 * of its index and reads the one record; only then may the segment change
 * again. So it holds one window and a share in one descriptor, whatever the
 * backlog.
 *
 * With many lanes most of an index is others'. The lock is taken once for a
 * window of it, of which only the lane's own records are kept: hundreds of
 * cursors do not hold up who appends. Whether a record has been settled since
 * is asked again when its turn comes.
 *
 * A disk may refuse to read for a while: a record is given up only after some
 * attempts, which the caller makes when he likes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define WINDOW 256 /* entries */
#define ATTEMPTS 5 /* to read a record that the disk refuses */

struct hb_spool_cursor {
	struct hb_spool_lane *lane;
	struct hb_loop *loop;
	void (*on_more)(void *arg);
	void *arg;
	struct hb_task task;
	bool is_waiting; /* under the lock: to be told */
	bool is_gone;	 /* the loop's: freed while the task is posted */
	struct hb_spool_cursor *next_in_lane;

	uint64_t seq;	 /* what was before is done */
	uint64_t number; /* of the segment; the rest is about it */
	struct hb_spool_file *file;
	size_t at; /* the first entry behind the window */
	size_t place, count;
	bool is_unreadable; /* the next window */
	unsigned attempts;  /* to read the record at place */
	struct hb_spool_entry window[WINDOW];
};

/* --- making, freeing, telling --------------------------------------------- */

static void
on_task(struct hb_task *task)
{
	struct hb_spool_cursor *cursor =
	    hb_container_of(task, struct hb_spool_cursor, task);

	if (cursor->is_gone)
		free(cursor);
	else
		cursor->on_more(cursor->arg);
}

struct hb_spool_cursor *
hb_spool_cursor_new(struct hb_spool_lane *lane, struct hb_loop *loop,
    void (*on_more)(void *arg), void *arg)
{
	struct hb_spool_cursor *cursor = hb_xcalloc(1, sizeof(*cursor));

	cursor->lane = lane;
	cursor->loop = loop;
	cursor->on_more = on_more;
	cursor->arg = arg;
	cursor->task.run = on_task;
	pthread_mutex_lock(&lane->spool->lock);
	cursor->next_in_lane = lane->cursors;
	lane->cursors = cursor;
	pthread_mutex_unlock(&lane->spool->lock);
	return cursor;
}

void
hb_spool_cursor_free(struct hb_spool_cursor *cursor)
{
	struct hb_spool_cursor **link;
	bool is_posted;

	if (cursor == NULL)
		return;
	hb_spool_file_put(cursor->lane->spool, cursor->file);
	pthread_mutex_lock(&cursor->lane->spool->lock);
	link = &cursor->lane->cursors;
	while (*link != cursor)
		link = &(*link)->next_in_lane;
	*link = cursor->next_in_lane;
	is_posted = cursor->task.posted;
	cursor->is_gone = true;
	pthread_mutex_unlock(&cursor->lane->spool->lock);
	if (!is_posted)
		free(cursor);
}

void
hb_spool_cursors_tell(struct hb_spool_lane *lane)
{
	for (struct hb_spool_cursor *cursor = lane->cursors; cursor != NULL;
	     cursor = cursor->next_in_lane) {
		if (!cursor->is_waiting)
			continue;
		cursor->is_waiting = false;
		hb_loop_post(cursor->loop, &cursor->task);
	}
}

/* --- segments ------------------------------------------------------------- */

/* The segment of the next record, pinned; NULL at the end. */
static struct hb_spool_segment *
pin_next(struct hb_spool_cursor *cursor)
{
	struct hb_spool *spool = cursor->lane->spool;
	struct hb_spool_segment *seg = NULL;
	struct hb_spool_share *share;

	pthread_mutex_lock(&spool->lock);
	share = hb_spool_lane_share(cursor->lane, cursor->seq);
	if (share != NULL) {
		seg = share->seg;
		seg->pins++;
	} else {
		/* Not while its last call is on its way: that one comes. */
		cursor->is_waiting =
		    cursor->loop != NULL && !cursor->task.posted;
	}
	pthread_mutex_unlock(&spool->lock);
	return seg;
}

static void
unpin(struct hb_spool *spool, struct hb_spool_segment *seg)
{
	pthread_mutex_lock(&spool->lock);
	if (--seg->pins == 0 && seg->live == 0) {
		spool->wants_retiring = true;
		hb_spool_writer_wake(spool);
	}
	pthread_mutex_unlock(&spool->lock);
}

/* At the end of the lane, where it may rest for long: a file that has been
 * removed meanwhile would still take its space. */
static void
close_file(struct hb_spool_cursor *cursor)
{
	hb_spool_file_put(cursor->lane->spool, cursor->file);
	cursor->file = NULL;
}

static void
leave(struct hb_spool_cursor *cursor)
{
	close_file(cursor);
	cursor->number = 0;
	cursor->at = cursor->place = cursor->count = 0;
	cursor->attempts = 0;
}

static bool
enter(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg,
    struct hb_error *err)
{
	if (cursor->number != seg->header.number)
		leave(cursor);
	else if (cursor->file != NULL)
		return true;
	cursor->file = hb_spool_file_get(cursor->lane->spool, seg, err);
	if (cursor->file == NULL)
		return false;
	cursor->number = seg->header.number;
	return true;
}

/* --- records -------------------------------------------------------------- */

/* Of the entries that were read into the window the lane's own stay, unless
 * they are settled. */
static void
keep_wanted(struct hb_spool_cursor *cursor,
    const struct hb_spool_segment *seg, size_t count)
{
	struct hb_spool *spool = cursor->lane->spool;

	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < count; i++) {
		const struct hb_spool_entry *entry = &cursor->window[i];

		if (entry->seq >= cursor->seq &&
		    seg->lanes[entry->lane] == cursor->lane &&
		    hb_spool_bits_has(&spool->live, entry->seq))
			cursor->window[cursor->count++] = *entry;
	}
	pthread_mutex_unlock(&spool->lock);
}

/* Goes on to the next part of the index; false: there is no more in the segment
 * now, or it cannot be read. */
static bool
advance(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg)
{
	ssize_t n = hb_spool_read_entries(cursor->lane->spool,
	    cursor->file->fd, seg, cursor->at, cursor->window, WINDOW);

	cursor->is_unreadable = n < 0;
	cursor->place = cursor->count = 0;
	if (n <= 0)
		return false;
	cursor->at += (size_t)n;
	keep_wanted(cursor, seg, (size_t)n);
	return true;
}

/* The entry at place, which is not settled; NULL: there is none. */
static const struct hb_spool_entry *
find_entry(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg)
{
	do {
		for (; cursor->place < cursor->count; cursor->place++) {
			const struct hb_spool_entry *entry =
			    &cursor->window[cursor->place];

			if (hb_spool_is_live(
				cursor->lane->spool, entry->seq))
				return entry;
		}
	} while (advance(cursor, seg));
	return NULL;
}

/* The segment has no more for us: on to where it ends, unless it has grown.
 * What an index that cannot be read would lead to is passed over, not given up:
 * at the next start the segment is read record by record. */
static bool
pass(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg,
    struct hb_error *err)
{
	struct hb_spool *spool = cursor->lane->spool;

	if (cursor->is_unreadable && ++cursor->attempts < ATTEMPTS)
		return hb_spool_store_fail(&spool->store, err,
		    "reading the index of a segment", spool->store.path);
	if (cursor->is_unreadable)
		hb_spool_store_warn(&spool->store,
		    "passing over the rest of a segment", cursor->lane->name);
	pthread_mutex_lock(&spool->lock);
	if ((cursor->is_unreadable || cursor->at >= seg->entry_count) &&
	    cursor->seq < seg->next_seq)
		cursor->seq = seg->next_seq;
	pthread_mutex_unlock(&spool->lock);
	return true;
}

/* What was at place is done. */
static void
step(struct hb_spool_cursor *cursor, const struct hb_spool_entry *entry)
{
	cursor->seq = entry->seq + 1;
	cursor->place++;
	cursor->attempts = 0;
}

/* The record at place could not be read: LATER, or END where it is given up. */
static enum hb_spool_next
miss(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, struct hb_error *err)
{
	struct hb_spool *spool = cursor->lane->spool;

	if (errno != EBADMSG && ++cursor->attempts < ATTEMPTS) {
		hb_spool_store_fail(
		    &spool->store, err, "reading a record", spool->store.path);
		return HB_SPOOL_LATER;
	}
	hb_spool_lose(spool, seg, entry);
	step(cursor, entry);
	return HB_SPOOL_END;
}

static enum hb_spool_next
fetch(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, struct hb_spool_record *record,
    struct hb_error *err)
{
	struct hb_spool_head head;

	if (!hb_spool_read_record(
		cursor->file->fd, seg, entry, &head, &record->bytes))
		return miss(cursor, seg, entry, err);
	record->appended_ms = head.appended_ms;
	record->ref = (struct hb_spool_ref){
	    .lane = cursor->lane, .seq = entry->seq, .len = entry->len};
	step(cursor, entry);
	return HB_SPOOL_RECORD;
}

/* Looks in one segment: a record, or that it is to be tried again (END: in the
 * next one; LATER: not now). */
static enum hb_spool_next
look(struct hb_spool_cursor *cursor, struct hb_spool_segment *seg,
    struct hb_spool_record *record, struct hb_error *err)
{
	const struct hb_spool_entry *entry;

	if (!enter(cursor, seg, err))
		return HB_SPOOL_LATER;
	while ((entry = find_entry(cursor, seg)) != NULL) {
		enum hb_spool_next got =
		    fetch(cursor, seg, entry, record, err);

		if (got != HB_SPOOL_END)
			return got;
	}
	return pass(cursor, seg, err) ? HB_SPOOL_END : HB_SPOOL_LATER;
}

enum hb_spool_next
hb_spool_cursor_next(struct hb_spool_cursor *cursor,
    struct hb_spool_record *record, struct hb_error *err)
{
	struct hb_spool *spool = cursor->lane->spool;
	struct hb_spool_segment *seg;

	while ((seg = pin_next(cursor)) != NULL) {
		enum hb_spool_next got = look(cursor, seg, record, err);

		unpin(spool, seg);
		if (got != HB_SPOOL_END)
			return got;
	}
	close_file(cursor);
	return HB_SPOOL_END;
}

void
hb_spool_cursor_seek(struct hb_spool_cursor *cursor, uint64_t seq)
{
	leave(cursor);
	cursor->seq = seq;
}
