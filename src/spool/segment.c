/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - a segment in memory, and the list of them
 *
 * A sealed segment takes some hundred bytes: its index is in its footer. One
 * that is being written, or could not be sealed, has its index here.
 *
 * The list is in the order of sequence numbers, and no two ranges overlap. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* Room for one more in an array that doubles. */
static void *
grow(void *array, size_t count, size_t *size, size_t each)
{
	if (count < *size)
		return array;
	*size = *size > 0 ? *size * 2 : 8;
	return hb_xreallocarray(array, *size, each);
}

struct hb_spool_segment *
hb_spool_segment_new(const struct hb_spool_header *header)
{
	struct hb_spool_segment *seg = hb_xcalloc(1, sizeof(*seg));

	seg->header = *header;
	seg->key = hb_spool_header_key(header);
	seg->file_size = header->file_size;
	seg->end = HB_SPOOL_BLOCK;
	seg->next_seq = header->first_seq;
	return seg;
}

void
hb_spool_segment_free(struct hb_spool_segment *seg)
{
	if (seg == NULL)
		return;
	free(seg->entries);
	free(seg->lanes);
	free(seg->pages);
	free(seg);
}

void
hb_spool_segment_add_entry(
    struct hb_spool_segment *seg, const struct hb_spool_entry *entry)
{
	seg->entries = grow(seg->entries, seg->entry_count,
	    &seg->entries_size, sizeof(*seg->entries));
	seg->entries[seg->entry_count++] = *entry;
	seg->next_seq = entry->seq + 1;
}

void
hb_spool_segment_drop_entries(struct hb_spool_segment *seg)
{
	free(seg->entries);
	seg->entries = NULL;
	seg->entries_size = 0;
}

/* Where the page is among the ascending numbers, or would be. */
static size_t
page_place(const struct hb_spool_segment *seg, uint64_t number)
{
	size_t low = 0, high = seg->page_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (seg->pages[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
hb_spool_segment_add_page(struct hb_spool_segment *seg, uint64_t number)
{
	size_t place = page_place(seg, number);

	if (place < seg->page_count && seg->pages[place] == number)
		return;
	seg->pages = grow(
	    seg->pages, seg->page_count, &seg->pages_size, sizeof(number));
	memmove(seg->pages + place + 1, seg->pages + place,
	    (seg->page_count - place) * sizeof(number));
	seg->pages[place] = number;
	seg->page_count++;
}

void
hb_spool_segment_add_lane(
    struct hb_spool_segment *seg, struct hb_spool_lane *lane)
{
	seg->lanes = grow(seg->lanes, seg->lane_count, &seg->lanes_size,
	    sizeof(struct hb_spool_lane *));
	seg->lanes[seg->lane_count++] = lane;
	seg->names_size += 2 + lane->name_len;
}

uint64_t
hb_spool_segment_footer_size(const struct hb_spool_segment *seg,
    size_t entries, size_t pages, size_t names_size)
{
	return (uint64_t)(seg->entry_count + entries) * HB_SPOOL_ENTRY_SIZE +
	       (uint64_t)(seg->page_count + pages) * HB_SPOOL_PAGE_SIZE +
	       seg->names_size + names_size;
}

/* --- the list ------------------------------------------------------------- */

/* The first segment that ends after seq. */
static size_t
place_of(const struct hb_spool *spool, uint64_t seq)
{
	size_t low = 0, high = spool->segment_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (spool->segments[middle]->next_seq <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Behind those that end where it begins, which may be empty. */
void
hb_spool_segment_insert(struct hb_spool *spool, struct hb_spool_segment *seg)
{
	size_t place = place_of(spool, seg->header.first_seq);

	spool->segments = grow(spool->segments, spool->segment_count,
	    &spool->segments_size, sizeof(seg));
	memmove(spool->segments + place + 1, spool->segments + place,
	    (spool->segment_count - place) * sizeof(seg));
	spool->segments[place] = seg;
	spool->segment_count++;
}

void
hb_spool_segment_remove(struct hb_spool *spool, struct hb_spool_segment *seg)
{
	size_t i = 0;

	while (spool->segments[i] != seg)
		i++;
	spool->segment_count--;
	memmove(spool->segments + i, spool->segments + i + 1,
	    (spool->segment_count - i) * sizeof(seg));
}

/* The last segment stays until there is another: also its records would come
 * back. */
bool
hb_spool_page_matters(struct hb_spool *spool, uint64_t page_number)
{
	uint64_t first = page_number * HB_SPOOL_PAGE_SEQS;

	for (size_t i = place_of(spool, first); i < spool->segment_count; i++) {
		struct hb_spool_segment *seg = spool->segments[i];

		if (seg->header.first_seq >= first + HB_SPOOL_PAGE_SEQS)
			break;
		if (seg->live > 0 || i + 1 == spool->segment_count)
			return true;
	}
	return false;
}
