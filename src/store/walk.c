/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - reads shelves in the order of keeping
 *
 * A walk has a source for each shelf that its filter lets through: a cursor and
 * the record that it has read ahead. The next record of the walk is the one
 * with the least number. A source that has come to its end may get a lesser
 * number while others are being read; so those are asked again, until none has
 * anything new: what the walk then takes was there before all they will get.
 *
 * What is read ahead may be settled before its turn: it is asked for when it is
 * taken. Long records that wait are forgotten and read again, so that a walk
 * holds one of them whatever the number of shelves.
 *
 * A walk at its end waits for its cursors, any of which may call, and for new
 * shelves, of which it is told by a task of its own. */
#include <stdlib.h>

#include "hookbridge/log.h"
#include "parts.h"

#define READ_AHEAD_MAX (64u * 1024)

struct source {
	struct hb_store_shelf *shelf;
	struct hb_spool_cursor *cursor;
	struct source *next;
	bool is_ended; /* it had nothing when it was asked last */
	bool has_record;
	struct hb_spool_record record; /* bytes NULL: to be read again */
};

struct hb_walk {
	struct hb_store *store;
	struct hb_store_part *part;
	struct hb_walk_filter filter; /* with spans of our own */
	struct hb_loop *loop;
	void (*on_more)(void *arg);
	void *arg;

	struct source *sources, **sources_end;
	struct hb_shelf *_Atomic *unseen; /* behind the last one seen */
	uint64_t from;			  /* new sources begin here */
	bool is_waiting;		  /* for on_more */

	struct hb_task task;		/* there is a new shelf */
	bool wants_shelves;		/* under the store's lock: to be told */
	struct hb_walk *next_in_store;	/* likewise */
	bool is_gone;			/* freed while the task is posted */
};

/* --- waiting -------------------------------------------------------------- */

static void
wake(void *arg)
{
	struct hb_walk *walk = arg;

	if (!walk->is_waiting)
		return;
	walk->is_waiting = false;
	walk->on_more(walk->arg);
}

static void
on_new_shelf(struct hb_task *task)
{
	struct hb_walk *walk = hb_container_of(task, struct hb_walk, task);

	if (walk->is_gone)
		free(walk);
	else
		wake(walk);
}

/* False: there is a new shelf by now. */
static bool
begin_waiting(struct hb_walk *walk)
{
	bool is_at_end;

	pthread_mutex_lock(&walk->store->lock);
	is_at_end = *walk->unseen == NULL;
	/* Not while its last call is on its way: that one comes. */
	if (is_at_end && walk->loop != NULL && !walk->task.posted)
		walk->wants_shelves = true;
	pthread_mutex_unlock(&walk->store->lock);
	walk->is_waiting = is_at_end && walk->loop != NULL;
	return is_at_end;
}

/* --- shelves -------------------------------------------------------------- */

static bool
equals(struct hb_span wanted, struct hb_span span)
{
	return !hb_span_is_set(wanted) || hb_span_eq(wanted, span);
}

static bool
matches(const struct hb_walk_filter *filter, const struct hb_shelf *shelf)
{
	return filter->kind == shelf->kind &&
	       (filter->dest == NULL || filter->dest == shelf->dest) &&
	       (!filter->orphaned || shelf->dest == NULL) &&
	       equals(filter->endpoint, shelf->endpoint) &&
	       equals(filter->reason, shelf->reason) &&
	       equals(filter->sink, shelf->sink);
}

void
hb_store_walks_tell(
    struct hb_store *store, const struct hb_store_shelf *shelf)
{
	for (struct hb_walk *walk = store->walks; walk != NULL;
	     walk = walk->next_in_store) {
		if (!walk->wants_shelves ||
		    !matches(&walk->filter, &shelf->shelf))
			continue;
		walk->wants_shelves = false;
		hb_loop_post(walk->loop, &walk->task);
	}
}

static void
add_source(struct hb_walk *walk, struct hb_store_shelf *shelf)
{
	struct source *source = hb_xcalloc(1, sizeof(*source));

	source->shelf = shelf;
	source->cursor = hb_spool_cursor_new(
	    shelf->shelf.lane, walk->loop, wake, walk);
	if (walk->from > 0)
		hb_spool_cursor_seek(source->cursor, walk->from);
	*walk->sources_end = source;
	walk->sources_end = &source->next;
}

static void
take_shelves(struct hb_walk *walk)
{
	struct hb_shelf *shelf;

	while ((shelf = *walk->unseen) != NULL) {
		if (matches(&walk->filter, shelf))
			add_source(walk, hb_store_shelf_of(shelf));
		walk->unseen = &shelf->next;
	}
}

/* --- making and freeing --------------------------------------------------- */

/* A copy, where there is one. */
static struct hb_span
copy(struct hb_span span)
{
	return hb_span_is_set(span)
		   ? hb_span_make(hb_xstrndup(span), span.len)
		   : HB_SPAN_NONE;
}

static void
free_copy(struct hb_span span)
{
	free((void *)(uintptr_t)span.ptr);
}

struct hb_walk *
hb_walk_new(struct hb_store *store, const struct hb_walk_filter *filter,
    struct hb_loop *loop, void (*on_more)(void *arg), void *arg)
{
	struct hb_walk *walk = hb_xcalloc(1, sizeof(*walk));

	walk->store = store;
	walk->part = &store->parts[filter->kind];
	walk->filter = *filter;
	walk->filter.endpoint = copy(filter->endpoint);
	walk->filter.reason = copy(filter->reason);
	walk->filter.sink = copy(filter->sink);
	walk->loop = loop;
	walk->on_more = on_more;
	walk->arg = arg;
	walk->task.run = on_new_shelf;
	walk->sources_end = &walk->sources;
	walk->unseen = &walk->part->first;
	pthread_mutex_lock(&store->lock);
	walk->next_in_store = store->walks;
	store->walks = walk;
	pthread_mutex_unlock(&store->lock);
	return walk;
}

static void
leave_store(struct hb_walk *walk)
{
	struct hb_walk **link = &walk->store->walks;

	while (*link != walk)
		link = &(*link)->next_in_store;
	*link = walk->next_in_store;
}

static void
forget_record(struct source *source)
{
	if (source->has_record)
		free(source->record.bytes);
	source->has_record = false;
}

static void
free_sources(struct hb_walk *walk)
{
	struct source *source = walk->sources, *next;

	for (; source != NULL; source = next) {
		next = source->next;
		hb_spool_cursor_free(source->cursor);
		forget_record(source);
		free(source);
	}
}

void
hb_walk_free(struct hb_walk *walk)
{
	bool is_posted;

	if (walk == NULL)
		return;
	pthread_mutex_lock(&walk->store->lock);
	leave_store(walk);
	is_posted = walk->task.posted;
	pthread_mutex_unlock(&walk->store->lock);
	free_sources(walk);
	free_copy(walk->filter.endpoint);
	free_copy(walk->filter.reason);
	free_copy(walk->filter.sink);
	walk->is_gone = true;
	if (!is_posted)
		free(walk);
}

/* --- records -------------------------------------------------------------- */

/* Reads one ahead; false: that is not possible now. */
static bool
ask(struct source *source, struct hb_error *err)
{
	switch (hb_spool_cursor_next(source->cursor, &source->record, err)) {
	case HB_SPOOL_RECORD:
		source->has_record = true;
		source->is_ended = false;
		return true;
	case HB_SPOOL_END:
		source->is_ended = true;
		return true;
	case HB_SPOOL_LATER:
		break;
	}
	return false;
}

/* Asks all that have no record ahead. */
static bool
ask_all(struct hb_walk *walk, bool ended_too, bool *has_news,
    struct hb_error *err)
{
	take_shelves(walk);
	for (struct source *source = walk->sources; source != NULL;
	     source = source->next) {
		if (source->has_record || (source->is_ended && !ended_too))
			continue;
		if (!ask(source, err))
			return false;
		*has_news |= source->has_record;
	}
	return true;
}

/* Each source has a record or, as all of them say one after the other, none. */
static bool
read_ahead(struct hb_walk *walk, struct hb_error *err)
{
	bool has_news = false;

	if (!ask_all(walk, false, &has_news, err))
		return false;
	do {
		has_news = false;
		if (!ask_all(walk, true, &has_news, err))
			return false;
	} while (has_news);
	return true;
}

static struct source *
find_least(const struct hb_walk *walk)
{
	struct source *least = NULL;

	for (struct source *source = walk->sources; source != NULL;
	     source = source->next)
		if (source->has_record &&
		    (least == NULL ||
			source->record.ref.seq < least->record.ref.seq))
			least = source;
	return least;
}

/* All but this one's. */
static void
forget_long_ones(struct hb_walk *walk, const struct source *but)
{
	for (struct source *source = walk->sources; source != NULL;
	     source = source->next) {
		if (source == but || !source->has_record ||
		    source->record.ref.len <= READ_AHEAD_MAX)
			continue;
		free(source->record.bytes);
		source->record.bytes = NULL;
	}
}

/* Whether the record may be taken; if not, another is to be read. */
static bool
is_ready(struct source *source)
{
	struct hb_spool_record *record = &source->record;
	bool is_settled = hb_spool_is_settled(&record->ref);

	if (!is_settled && record->bytes != NULL)
		return true;
	if (!is_settled)
		hb_spool_cursor_seek(source->cursor, record->ref.seq);
	forget_record(source);
	return false;
}

/* Told once for each; a walk that begins anew meets it again. */
static void
note_damage(struct hb_store_shelf *shelf, uint64_t seq,
    const struct hb_error *err)
{
	uint64_t last = shelf->damaged_seq;

	do
		if (seq <= last)
			return;
	while (!atomic_compare_exchange_weak(
	    &shelf->damaged_seq, &last, seq));
	shelf->part->damaged++;
	hb_log_limited(HB_LOG_ERROR, "record.damaged",
	    HB_F_STR("directory", shelf->part->directory),
	    HB_F_SPAN("endpoint", shelf->shelf.endpoint),
	    HB_F_U64("seq", seq), HB_F_STR("error", err->text));
}

/* Takes the source's record apart; false: that cannot be done. */
static bool
take(struct hb_walk *walk, struct source *source, struct hb_record *rec)
{
	const struct hb_spool_record *record = &source->record;
	struct hb_record_hold hold;
	struct hb_error err;

	*rec = (struct hb_record){
	    .kept = {&source->shelf->shelf, record->ref},
	    .appended_ms = record->appended_ms,
	    .bytes = record->bytes,
	};
	source->has_record = false;
	if (hb_record_get(rec, record->ref.len, &hold, &err)) {
		if (hold.boot == walk->store->holds.boot)
			rec->ticket = hold.ticket;
		return true;
	}
	note_damage(source->shelf, record->ref.seq, &err);
	hb_record_fini(rec);
	return false;
}

static enum hb_spool_next
end(struct hb_walk *walk)
{
	for (struct source *source = walk->sources; source != NULL;
	     source = source->next)
		hb_store_shelf_balance(source->shelf);
	return HB_SPOOL_END;
}

enum hb_spool_next
hb_walk_next(
    struct hb_walk *walk, struct hb_record *rec, struct hb_error *err)
{
	for (;;) {
		struct source *source;

		if (!read_ahead(walk, err))
			return HB_SPOOL_LATER;
		source = find_least(walk);
		if (source == NULL && begin_waiting(walk))
			return end(walk);
		if (source == NULL || !is_ready(source))
			continue;
		if (take(walk, source, rec)) {
			forget_long_ones(walk, source);
			return HB_SPOOL_RECORD;
		}
	}
}

void
hb_walk_seek(struct hb_walk *walk, uint64_t seq)
{
	walk->from = seq;
	walk->is_waiting = false;
	for (struct source *source = walk->sources; source != NULL;
	     source = source->next) {
		forget_record(source);
		hb_spool_cursor_seek(source->cursor, seq);
		source->is_ended = false;
	}
}

/* --- one record ----------------------------------------------------------- */

bool
hb_store_get(struct hb_store *store, enum hb_shelf_kind kind, uint64_t seq,
    struct hb_record *rec, struct hb_error *err)
{
	const struct hb_walk_filter filter = {.kind = kind};
	struct hb_walk *walk = hb_walk_new(store, &filter, NULL, NULL, NULL);
	enum hb_spool_next got;

	hb_walk_seek(walk, seq);
	got = hb_walk_next(walk, rec, err);
	hb_walk_free(walk);
	if (got == HB_SPOOL_LATER)
		return false;
	if (got == HB_SPOOL_RECORD && rec->kept.ref.seq == seq)
		return true;
	if (got == HB_SPOOL_RECORD)
		hb_record_fini(rec);
	return hb_fail_reason(err, HB_E_REJECT, "not-found",
	    "%s: there is no record %llu", store->parts[kind].directory,
	    (unsigned long long)seq);
}
