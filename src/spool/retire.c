/* SPDX-License-Identifier: Apache-2.0 */
/* retire.c - settled segments become files to use again
 *
 * A segment without live records is of no use, but it may hold settlements of
 * records in segments that are. Those are written again before its file goes,
 * which takes three steps of the writer: begin (off the list, pages marked),
 * a group that writes and syncs the pages, end. While they cannot be written
 * the file waits, unless the disk is full: then it is the room to write them.
 *
 * The last segment stays until there is another one: it knows how far numbers
 * have been given out. One that somebody reads stays until he has done. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

void
hb_spool_retire(struct hb_spool *spool, struct hb_spool_segment *seg)
{
	hb_spool_segment_remove(spool, seg);
	if (spool->retired_count == spool->retired_size) {
		spool->retired_size += 8;
		spool->retired = hb_xreallocarray(spool->retired,
		    spool->retired_size, sizeof(struct hb_spool_segment *));
	}
	spool->retired[spool->retired_count++] = seg;
}

static bool
is_done(const struct hb_spool *spool, size_t i)
{
	const struct hb_spool_segment *seg = spool->segments[i];

	return seg->live == 0 && seg->pins == 0 && !seg->is_active &&
	       i + 1 < spool->segment_count;
}

/* Those before first were there already. */
static void
mark_pages(struct hb_spool *spool, size_t first)
{
	for (size_t i = first; i < spool->retired_count; i++) {
		const struct hb_spool_segment *seg = spool->retired[i];

		for (size_t k = 0; k < seg->page_count; k++)
			if (hb_spool_page_matters(spool, seg->pages[k]))
				hb_spool_bits_mark(
				    &spool->live, seg->pages[k]);
	}
}

bool
hb_spool_retire_begin(struct hb_spool *spool)
{
	size_t before = spool->retired_count;
	bool any;

	pthread_mutex_lock(&spool->lock);
	if (spool->wants_retiring) {
		spool->wants_retiring = false;
		for (size_t i = spool->segment_count; i-- > 0;)
			if (is_done(spool, i))
				hb_spool_retire(spool, spool->segments[i]);
		mark_pages(spool, before);
	}
	any = spool->retired_count > 0;
	pthread_mutex_unlock(&spool->lock);
	return any;
}

/* Sources of a compaction may still be read. */
void
hb_spool_retire_end(struct hb_spool *spool)
{
	size_t kept = 0;

	if (spool->is_behind && spool->state != HB_SPOOL_FULL)
		return;
	for (size_t i = 0; i < spool->retired_count; i++) {
		struct hb_spool_segment *seg = spool->retired[i];
		bool is_read;

		pthread_mutex_lock(&spool->lock);
		is_read = seg->pins > 0;
		if (!is_read)
			hb_spool_file_forget(seg);
		pthread_mutex_unlock(&spool->lock);
		if (is_read) {
			spool->retired[kept++] = seg;
			continue;
		}
		if (seg->is_damaged)
			hb_spool_store_quarantine(
			    &spool->store, seg->header.number);
		else
			hb_spool_store_recycle(&spool->store,
			    seg->header.number, seg->file_size);
		hb_spool_segment_free(seg);
	}
	if (kept < spool->retired_count)
		hb_spool_state_eased(spool);
	spool->retired_count = kept;
}
