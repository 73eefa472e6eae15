/* SPDX-License-Identifier: Apache-2.0 */
/* bits.c - sets of sequence numbers, one bit each, in pages that come and go
 *
 * A page (4096 numbers) exists while it has a member or is marked, so that the
 * set of live records takes a bit for each in a dense backlog and 600 bytes
 * for each straggler in a sparse one, however far the numbers have gone.
 * Numbers are asked for mostly in order: the page found last is tried first.
 *
 * What is not in the set of live records and was given out is settled: no
 * other set is kept of that. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define FIRST_BUCKETS 64

static struct hb_spool_page **
bucket_of(const struct hb_spool_bits *bits, uint64_t number)
{
	uint64_t hash = number * UINT64_C(0x9e3779b97f4a7c15);

	return &bits->buckets[(hash >> 32) & (bits->bucket_count - 1)];
}

static struct hb_spool_page *
page_find(struct hb_spool_bits *bits, uint64_t number)
{
	struct hb_spool_page *page = bits->recent;

	if (page != NULL && page->number == number)
		return page;
	if (bits->bucket_count == 0)
		return NULL;
	page = *bucket_of(bits, number);
	while (page != NULL && page->number != number)
		page = page->next;
	if (page != NULL)
		bits->recent = page;
	return page;
}

static void
grow(struct hb_spool_bits *bits)
{
	struct hb_spool_bits before = *bits;

	bits->bucket_count = before.bucket_count > 0 ? before.bucket_count * 2
						     : FIRST_BUCKETS;
	bits->buckets = hb_xcalloc(bits->bucket_count, sizeof(*bits->buckets));
	for (size_t i = 0; i < before.bucket_count; i++) {
		struct hb_spool_page *page = before.buckets[i], *next;

		for (; page != NULL; page = next) {
			struct hb_spool_page **bucket =
			    bucket_of(bits, page->number);

			next = page->next;
			page->next = *bucket;
			*bucket = page;
		}
	}
	free(before.buckets);
}

static struct hb_spool_page *
page_get(struct hb_spool_bits *bits, uint64_t number)
{
	struct hb_spool_page *page = page_find(bits, number), **bucket;

	if (page != NULL)
		return page;
	if (bits->page_count >= bits->bucket_count)
		grow(bits);
	page = hb_xcalloc(1, sizeof(*page));
	page->number = number;
	bucket = bucket_of(bits, number);
	page->next = *bucket;
	*bucket = page;
	bits->page_count++;
	bits->recent = page;
	return page;
}

static void
page_free(struct hb_spool_bits *bits, struct hb_spool_page *page)
{
	struct hb_spool_page **link = bucket_of(bits, page->number);

	while (*link != page)
		link = &(*link)->next;
	*link = page->next;
	if (bits->recent == page)
		bits->recent = NULL;
	bits->page_count--;
	free(page);
}

static uint64_t *
word_of(struct hb_spool_page *page, uint64_t seq)
{
	return &page->words[seq % HB_SPOOL_PAGE_SEQS / 64];
}

bool
hb_spool_bits_has(struct hb_spool_bits *bits, uint64_t seq)
{
	struct hb_spool_page *page = page_find(bits, seq / HB_SPOOL_PAGE_SEQS);

	return page != NULL && (*word_of(page, seq) >> seq % 64 & 1) != 0;
}

bool
hb_spool_bits_add(struct hb_spool_bits *bits, uint64_t seq)
{
	struct hb_spool_page *page = page_get(bits, seq / HB_SPOOL_PAGE_SEQS);
	uint64_t *word = word_of(page, seq), bit = UINT64_C(1) << seq % 64;

	if ((*word & bit) != 0)
		return false;
	*word |= bit;
	page->count++;
	return true;
}

static void
page_mark(struct hb_spool_bits *bits, struct hb_spool_page *page)
{
	if (page->is_dirty)
		return;
	page->is_dirty = true;
	page->next_dirty = bits->dirty;
	bits->dirty = page;
}

bool
hb_spool_bits_remove(struct hb_spool_bits *bits, uint64_t seq)
{
	struct hb_spool_page *page = page_find(bits, seq / HB_SPOOL_PAGE_SEQS);
	uint64_t bit = UINT64_C(1) << seq % 64;

	if (page == NULL || (*word_of(page, seq) & bit) == 0)
		return false;
	*word_of(page, seq) &= ~bit;
	page->count--;
	page_mark(bits, page);
	return true;
}

void
hb_spool_bits_add_settled(
    struct hb_spool_bits *bits, const struct hb_spool_settled *settled)
{
	struct hb_spool_page *page = page_get(bits, settled->number);

	page->count = 0;
	for (size_t i = 0; i < HB_SPOOL_PAGE_WORDS; i++) {
		page->words[i] |= settled->words[i];
		page->count +=
		    (unsigned)__builtin_popcountll(page->words[i]);
	}
}

void
hb_spool_bits_mark(struct hb_spool_bits *bits, uint64_t page_number)
{
	page_mark(bits, page_get(bits, page_number));
}

void
hb_spool_bits_get_settled(struct hb_spool_bits *bits, uint64_t page_number,
    uint64_t limit, struct hb_spool_settled *settled)
{
	struct hb_spool_page *page = page_find(bits, page_number);
	uint64_t seq = page_number * HB_SPOOL_PAGE_SEQS;

	settled->number = page_number;
	for (size_t i = 0; i < HB_SPOOL_PAGE_WORDS; i++, seq += 64) {
		uint64_t word = page != NULL ? ~page->words[i] : UINT64_MAX;

		if (limit <= seq)
			word = 0;
		else if (limit - seq < 64)
			word &= (UINT64_C(1) << (limit - seq)) - 1;
		settled->words[i] = word;
	}
}

bool
hb_spool_bits_unmark(struct hb_spool_bits *bits, uint64_t *page_number)
{
	struct hb_spool_page *page = bits->dirty;

	if (page == NULL)
		return false;
	bits->dirty = page->next_dirty;
	page->is_dirty = false;
	*page_number = page->number;
	if (page->count == 0)
		page_free(bits, page);
	return true;
}

uint64_t
hb_spool_bits_count_beyond(
    struct hb_spool_bits *bits, struct hb_spool_bits *others)
{
	uint64_t count = 0;

	for (size_t i = 0; i < bits->bucket_count; i++) {
		const struct hb_spool_page *page = bits->buckets[i];

		for (; page != NULL; page = page->next) {
			struct hb_spool_settled absent;

			hb_spool_bits_get_settled(
			    others, page->number, UINT64_MAX, &absent);
			for (size_t k = 0; k < HB_SPOOL_PAGE_WORDS; k++)
				count += (unsigned)__builtin_popcountll(
				    page->words[k] & absent.words[k]);
		}
	}
	return count;
}

void
hb_spool_bits_fini(struct hb_spool_bits *bits)
{
	for (size_t i = 0; i < bits->bucket_count; i++) {
		struct hb_spool_page *page = bits->buckets[i], *next;

		for (; page != NULL; page = next) {
			next = page->next;
			free(page);
		}
	}
	free(bits->buckets);
	*bits = (struct hb_spool_bits){0};
}
