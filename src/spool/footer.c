/* SPDX-License-Identifier: Apache-2.0 */
/* footer.c - what is written when a segment is sealed, and read at opening
 *
 * The footer gathers what a scan of the segment would find: with it, opening
 * two gigabytes reads a hundredth of that. Of the settlements that were written
 * to the segment it has the pages as they are now, once each.
 *
 * The trailer, in a block of its own, vouches for the footer by a checksum:
 * should a crash leave one without the other, the segment is scanned. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/crc32c.h"
#include "hookbridge/io.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* --- writing -------------------------------------------------------------- */

static void
put_entries(struct hb_spool_buf *buf, const struct hb_spool_segment *seg)
{
	for (size_t i = 0; i < seg->entry_count; i++)
		hb_spool_entry_put(&seg->entries[i], seg->header.first_seq,
		    hb_spool_buf_add(buf, HB_SPOOL_ENTRY_SIZE));
}

/* Returns how many: a page whose records are all gone is left out. */
static size_t
put_pages(struct hb_spool *spool, struct hb_spool_buf *buf,
    const struct hb_spool_segment *seg)
{
	size_t count = 0;

	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < seg->page_count; i++) {
		struct hb_spool_settled settled;

		if (!hb_spool_page_matters(spool, seg->pages[i]))
			continue;
		hb_spool_bits_get_settled(
		    &spool->live, seg->pages[i], spool->next_seq, &settled);
		hb_spool_settled_put(
		    &settled, hb_spool_buf_add(buf, HB_SPOOL_PAGE_SIZE));
		count++;
	}
	pthread_mutex_unlock(&spool->lock);
	return count;
}

static void
put_names(struct hb_spool_buf *buf, const struct hb_spool_segment *seg)
{
	for (size_t i = 0; i < seg->lane_count; i++) {
		struct hb_span name = hb_spool_lane_name(seg->lanes[i]);

		hb_spool_name_put(name, hb_spool_buf_add(buf, 2 + name.len));
	}
}

static bool
write_trailer(struct hb_spool_output *out, struct hb_spool_trailer *trailer)
{
	const struct hb_spool_segment *seg = out->seg;
	uint8_t block[HB_SPOOL_BLOCK] = {0};

	trailer->number = seg->header.number;
	trailer->next_seq = seg->header.flags == HB_SPOOL_COMPACTED
				? seg->header.next_seq
				: seg->next_seq;
	trailer->entry_count = (uint32_t)seg->entry_count;
	trailer->lane_count = (uint32_t)seg->lane_count;
	hb_spool_trailer_put(trailer, seg->key, block);
	return hb_pwrite_all(out->fd, block, sizeof(block),
	    seg->header.file_size - HB_SPOOL_BLOCK);
}

static bool
write_both(struct hb_spool *spool, struct hb_spool_output *out,
    struct hb_spool_buf *buf, struct hb_error *err)
{
	struct hb_spool_trailer trailer = {.end = out->end};

	put_entries(buf, out->seg);
	trailer.page_count = (uint32_t)put_pages(spool, buf, out->seg);
	put_names(buf, out->seg);
	trailer.footer_len = (uint32_t)buf->len;
	trailer.footer_crc = hb_crc32c(out->seg->key.seed, buf->ptr, buf->len);
	if (buf->len > 0 && !hb_spool_output_write(out, buf, err))
		return false;
	out->end = trailer.end; /* of the records */
	return write_trailer(out, &trailer) ||
	       hb_spool_store_fail(&spool->store, err, "sealing a segment",
		   spool->store.path);
}

bool
hb_spool_footer_write(
    struct hb_spool *spool, struct hb_spool_output *out, struct hb_error *err)
{
	struct hb_spool_buf buf = {0};
	bool ok = write_both(spool, out, &buf, err) &&
		  hb_spool_output_sync(out, err);

	hb_spool_buf_fini(&buf);
	return ok;
}

/* --- reading -------------------------------------------------------------- */

bool
hb_spool_footer_read(int fd, const struct hb_spool_header *header,
    uint64_t file_size, struct hb_spool_footer *footer)
{
	uint8_t bytes[HB_SPOOL_TRAILER_SIZE];
	uint32_t seed = hb_spool_header_key(header).seed;
	struct hb_spool_trailer *trailer = &footer->trailer;

	footer->bytes = NULL;
	if (file_size < header->file_size ||
	    !hb_spool_read_all(fd, bytes, sizeof(bytes),
		header->file_size - HB_SPOOL_BLOCK) ||
	    !hb_spool_trailer_get(bytes, header, trailer))
		return false;
	/* Its length is within the file's, which has all its bytes. */
	footer->bytes = hb_xmalloc(trailer->footer_len + 1);
	if (hb_spool_read_all(
		fd, footer->bytes, trailer->footer_len, trailer->end) &&
	    hb_crc32c(seed, footer->bytes, trailer->footer_len) ==
		trailer->footer_crc)
		return true;
	hb_spool_footer_fini(footer);
	return false;
}

void
hb_spool_footer_fini(struct hb_spool_footer *footer)
{
	free(footer->bytes);
	footer->bytes = NULL;
}

static bool
visit_names(const struct hb_spool_footer *footer,
    const struct hb_spool_visitor *visitor)
{
	const struct hb_spool_trailer *trailer = &footer->trailer;
	size_t at = (size_t)trailer->entry_count * HB_SPOOL_ENTRY_SIZE +
		    (size_t)trailer->page_count * HB_SPOOL_PAGE_SIZE;
	struct hb_span rest = hb_span_make(
	    (const char *)footer->bytes + at, trailer->footer_len - at);

	for (uint32_t i = 0; i < trailer->lane_count; i++) {
		struct hb_span name;

		if (!hb_spool_name_get(&rest, &name))
			return false;
		visitor->on_lane(visitor->arg, i, name);
	}
	return rest.len == 0;
}

static bool
visit_pages(const struct hb_spool_footer *footer,
    const struct hb_spool_visitor *visitor)
{
	const uint8_t *page =
	    footer->bytes +
	    (size_t)footer->trailer.entry_count * HB_SPOOL_ENTRY_SIZE;

	for (uint32_t i = 0; i < footer->trailer.page_count; i++) {
		struct hb_spool_settled settled;

		if (!hb_spool_settled_get(page, &settled))
			return false;
		visitor->on_settled(visitor->arg, &settled);
		page += HB_SPOOL_PAGE_SIZE;
	}
	return true;
}

static bool
visit_entries(const struct hb_spool_footer *footer, uint64_t first_seq,
    const struct hb_spool_visitor *visitor)
{
	const struct hb_spool_trailer *trailer = &footer->trailer;
	const uint8_t *in = footer->bytes;
	uint64_t next_seq = first_seq;

	for (uint32_t i = 0; i < trailer->entry_count; i++) {
		struct hb_spool_entry entry;

		if (!hb_spool_entry_get(
			in, first_seq, trailer->end, &entry) ||
		    entry.seq < next_seq || entry.seq >= trailer->next_seq ||
		    entry.lane >= trailer->lane_count)
			return false;
		visitor->on_data(visitor->arg, &entry);
		next_seq = entry.seq + 1;
		in += HB_SPOOL_ENTRY_SIZE;
	}
	return true;
}

bool
hb_spool_footer_visit(const struct hb_spool_footer *footer, uint64_t first_seq,
    const struct hb_spool_visitor *visitor)
{
	return visit_names(footer, visitor) && visit_pages(footer, visitor) &&
	       visit_entries(footer, first_seq, visitor);
}
