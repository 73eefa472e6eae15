/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - reads a segment record by record, where there is no footer
 *
 * A record is bad when its head or its payload does not match its checksum. A
 * good head still says where the next one begins; after a bad one the next
 * good one is looked for, at every eighth byte. It bears the file's salt and a
 * checksum seeded by it, which no sender of a payload can know.
 *
 * A bad place is either damage to what was promised, or the torn end of a last
 * write that was not. Each head tells what was on disk before it was written
 * (synced), so that a later record which knows of the bad place proves damage:
 *
 *      good good BAD good good good(synced: past BAD)      damage, go on
 *      good good BAD good                                  torn, BAD is the end
 *
 * Until it is proven, records after a bad place are held back. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/crc32c.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define WINDOW_SIZE (128 * 1024)
#define NOWHERE UINT64_MAX

struct reader {
	int fd;
	struct hb_spool_key key;
	uint64_t first_seq, next_seq;
	uint64_t limit; /* no record goes past it */
	bool all_synced;
	const struct hb_spool_visitor *visitor;
	struct hb_spool_scan *scan;

	uint8_t *window;
	uint64_t window_at;
	size_t window_len;

	uint64_t suspect; /* the first bad place that may be a torn end */
	uint64_t suspects;
	struct hb_spool_entry *held;
	size_t held_count, held_size;
	size_t visited;
};

/* --- the window ----------------------------------------------------------- */

/* The bytes at offset, at most WINDOW_SIZE; NULL if they cannot be read. */
static const uint8_t *
look(struct reader *r, uint64_t offset, size_t len)
{
	uint64_t size;

	if (offset >= r->window_at &&
	    offset + len <= r->window_at + r->window_len)
		return r->window + (offset - r->window_at);
	if (len > r->limit - offset)
		return NULL;
	size = r->limit - offset < WINDOW_SIZE ? r->limit - offset
					       : WINDOW_SIZE;
	r->window_at = offset;
	r->window_len = 0;
	if (!hb_spool_read_all(r->fd, r->window, (size_t)size, offset))
		return NULL;
	r->window_len = (size_t)size;
	return r->window;
}

/* Whether the payload at offset matches its checksum. */
static bool
payload_is_good(
    struct reader *r, const struct hb_spool_head *head, uint64_t offset)
{
	uint32_t crc = r->key.seed;
	size_t rest = head->len;

	while (rest > 0) {
		size_t len = rest < WINDOW_SIZE / 2 ? rest : WINDOW_SIZE / 2;
		const uint8_t *bytes = look(r, offset, len);

		if (bytes == NULL)
			return false;
		crc = hb_crc32c(crc, bytes, len);
		offset += len;
		rest -= len;
	}
	return crc == head->payload_crc;
}

/* The first place from offset where a head stands, as far as the window has
 * all of it: a file may have millions of places. */
static uint64_t
find_in_window(const struct reader *r, uint64_t offset, bool *found)
{
	uint64_t end = r->window_at + r->window_len;
	struct hb_spool_head head;

	for (; offset + HB_SPOOL_HEAD_SIZE <= end; offset += 8) {
		const uint8_t *in = r->window + (offset - r->window_at);

		*found = hb_spool_head_glance(in, r->key) &&
			 hb_spool_head_get(
			     in, r->key, offset, r->limit, &head);
		if (*found)
			break;
	}
	return offset;
}

/* The first place from offset where a head stands; the limit if there is
 * none. */
static uint64_t
find_head(struct reader *r, uint64_t offset)
{
	bool found = false;

	while (offset + HB_SPOOL_HEAD_SIZE <= r->limit) {
		if (look(r, offset, HB_SPOOL_HEAD_SIZE) == NULL)
			offset = (offset | (HB_SPOOL_BLOCK - 8)) + 8;
		else
			offset = find_in_window(r, offset, &found);
		if (found)
			return offset;
	}
	return r->limit;
}

/* --- good and bad --------------------------------------------------------- */

static void
hold(struct reader *r, const struct hb_spool_entry *entry)
{
	if (r->held_count == r->held_size) {
		r->held_size = r->held_size > 0 ? r->held_size * 2 : 64;
		r->held = hb_xreallocarray(
		    r->held, r->held_size, sizeof(*r->held));
	}
	r->held[r->held_count++] = *entry;
}

static void
visit(struct reader *r, const struct hb_spool_entry *entry)
{
	r->visitor->on_data(r->visitor->arg, entry);
	r->visited++;
}

/* The bad places were damage. */
static void
convict(struct reader *r)
{
	r->scan->damaged += r->suspects;
	r->suspects = 0;
	r->suspect = NOWHERE;
	for (size_t i = 0; i < r->held_count; i++)
		visit(r, &r->held[i]);
	r->held_count = 0;
}

static void
suspect(struct reader *r, uint64_t offset)
{
	r->suspects++;
	if (r->suspect == NOWHERE)
		r->suspect = offset;
	if (r->all_synced)
		convict(r);
}

static void
take_settled(struct reader *r, const uint8_t *bytes, size_t len)
{
	struct hb_spool_settled settled;

	for (size_t i = 0; i < len; i += HB_SPOOL_PAGE_SIZE)
		if (hb_spool_settled_get(bytes + i, &settled))
			r->visitor->on_settled(r->visitor->arg, &settled);
}

static void
take_data(
    struct reader *r, const struct hb_spool_head *head, uint64_t offset)
{
	struct hb_spool_entry entry = {.offset = offset,
	    .seq = head->seq,
	    .len = head->len,
	    .lane = head->lane};

	r->next_seq = head->seq + 1;
	if (r->suspect == NOWHERE)
		visit(r, &entry);
	else
		hold(r, &entry);
}

/* A good record at offset. Settlements and names are true wherever they are
 * found. */
static void
take(struct reader *r, const struct hb_spool_head *head, uint64_t offset)
{
	const uint8_t *bytes = NULL;

	if (head->type != HB_SPOOL_DATA)
		bytes = look(r, offset + HB_SPOOL_HEAD_SIZE, head->len);
	if (head->type == HB_SPOOL_DATA)
		take_data(r, head, offset);
	else if (bytes != NULL && head->type == HB_SPOOL_SETTLED)
		take_settled(r, bytes, head->len);
	else if (bytes != NULL && head->type == HB_SPOOL_LANE)
		r->visitor->on_lane(r->visitor->arg, head->lane,
		    hb_span_make((const char *)bytes, head->len));
}

/* Numbers go up, and there are as many as a segment may have. */
static bool
has_its_place(const struct reader *r, const struct hb_spool_head *head)
{
	return head->type != HB_SPOOL_DATA ||
	       (head->seq >= r->next_seq &&
		   head->seq - r->first_seq <= UINT32_MAX &&
		   r->visited + r->held_count < HB_SPOOL_ENTRIES_MAX);
}

/* The record at offset; returns where the next one is, or the limit. */
static uint64_t
step(struct reader *r, uint64_t offset)
{
	const uint8_t *in = look(r, offset, HB_SPOOL_HEAD_SIZE);
	struct hb_spool_head head;

	if (in == NULL ||
	    !hb_spool_head_get(in, r->key, offset, r->limit, &head)) {
		suspect(r, offset);
		return find_head(r, offset + 8);
	}
	if (r->suspect != NOWHERE && head.synced > r->suspect)
		convict(r);
	if (has_its_place(r, &head) &&
	    payload_is_good(r, &head, offset + HB_SPOOL_HEAD_SIZE))
		take(r, &head, offset);
	else
		suspect(r, offset);
	offset += hb_spool_record_size(head.len);
	if (r->suspect == NOWHERE)
		r->scan->end = offset;
	return offset;
}

/* --- the scan ------------------------------------------------------------- */

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
hb_spool_scan(int fd, const struct hb_spool_header *header, uint64_t file_size,
    uint64_t limit, const struct hb_spool_visitor *visitor,
    struct hb_spool_scan *scan)
{
	uint64_t size = least(
	    file_size & ~UINT64_C(7), header->file_size - HB_SPOOL_BLOCK);
	struct reader r = {
	    .fd = fd,
	    .key = hb_spool_header_key(header),
	    .first_seq = header->first_seq,
	    .next_seq = header->first_seq,
	    .limit = limit > 0 ? least(limit, size) : size,
	    /* The sources of a compacted one went only then. */
	    .all_synced =
		limit > 0 || header->flags == HB_SPOOL_COMPACTED,
	    .visitor = visitor,
	    .scan = scan,
	    .window = hb_xmalloc(WINDOW_SIZE),
	    .suspect = NOWHERE,
	};
	uint64_t offset = HB_SPOOL_BLOCK;

	*scan = (struct hb_spool_scan){.end = offset};
	while (offset + HB_SPOOL_HEAD_SIZE <= r.limit)
		offset = step(&r, offset);
	scan->torn = r.held_count;
	if (limit > size)
		scan->damaged++; /* the file has lost its end */
	free(r.held);
	free(r.window);
}
