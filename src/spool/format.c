/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - the bytes of a segment file
 *
 * All numbers are little-endian; (n) is a size in bytes. A segment is a file
 * NNNNNNNNNNNNNNNN.seg (its number, 16 hexadecimal digits) of a fixed size:
 *
 *   0                  header block (4096): the header at 0, again at 2048
 *   4096               records, one after the other, each padded with zeros
 *                      to a multiple of 8
 *   trailer.end        footer, once the segment is sealed
 *   file_size - 4096   trailer, once the segment is sealed
 *
 * Header (384):
 *     0 (8) "HBSPOOL\n"      32 (8) next_seq if compacted  80 (256) ends
 *     8 (4) version, 1       40 (8) file_size             336 (44) zero
 *    12 (4) flags            48 (8) created, ms since 1970
 *    16 (8) number           56 (16) salt                 380 (4) CRC of 0-379
 *    24 (8) first_seq        72 (4) end_count
 *                            76 (4) zero
 *   Magic and version stay where they are in every version. Each of end_count
 *   ends, (8) number, (8) offset, tells of an older segment that was not sealed
 *   (a crash, a failed write) where its records end: what stands there beyond
 *   that was given up.
 *   Flag 1, compacted: this one replaces all older segments from first_seq to
 *   before next_seq, once it is sealed; while any of them is there and it is
 *   not, it counts for nothing.
 *
 * Files are used again. The salt is drawn anew for each use; the seed of every
 * checksum in the file is the CRC of salt and number, and each record bears
 * the salt's first four bytes as a tag. What an earlier use left behind, or a
 * sender smuggles into a payload, is therefore never taken for a record.
 *
 * Record head (40):
 *     0 (4) CRC of 4-39     12 (3) lane    20 (4) synced / 8
 *     4 (4) payload's CRC   15 (1) type    24 (8) seq
 *     8 (4) payload's len   16 (4) tag     32 (8) appended, ms since 1970
 *   synced: when this record was written, all before that offset was on disk.
 *   A bad record before it is damage; after it, the torn end of a write that
 *   nobody was promised.
 *   Payloads, by type:
 *     1 DATA     the owner's bytes
 *     2 SETTLED  1 to 64 pages: (8) number, (512) bits. Bit b of byte i is 1
 *                when the record with seq = number * 4096 + 8 * i + b is
 *                settled. Once set, always set: pages may be read in any order
 *     3 LANE     the name (1-512) that its lane number stands for in this
 *                segment; before the first DATA of it. Numbers go 0, 1, 2, …
 *   seq goes up from DATA to DATA: by one, and by more where compacted.
 *
 * Footer: entry_count entries (16) for the DATA records in order:
 *     0 (4) offset / 8   4 (4) len   8 (4) lane   12 (4) seq - first_seq
 *   then page_count pages (520) as in SETTLED, covering all that were written
 *   to this segment, then lane_count names: (2) length, (length) name.
 *
 * Trailer (64):
 *     0 (8) "HBSEALED"     24 (4) entry_count   40 (4) footer's CRC
 *     8 (8) end            28 (4) page_count    44 (4) zero
 *    16 (8) next_seq       32 (4) lane_count    48 (8) number
 *                          36 (4) footer_len    56 (4) tag
 *                                               60 (4) CRC of 0-59 */
#include "format.h"

#include <string.h>

#include "hookbridge/crc32c.h"
#include "hookbridge/le.h"

#define HEADER_MAGIC "HBSPOOL\n"
#define TRAILER_MAGIC "HBSEALED"

/* --- header --------------------------------------------------------------- */

void
hb_spool_header_put(
    const struct hb_spool_header *header, uint8_t block[HB_SPOOL_BLOCK])
{
	memset(block, 0, HB_SPOOL_BLOCK);
	memcpy(block, HEADER_MAGIC, 8);
	hb_le_put32(block + 8, HB_SPOOL_VERSION);
	hb_le_put32(block + 12, header->flags);
	hb_le_put64(block + 16, header->number);
	hb_le_put64(block + 24, header->first_seq);
	hb_le_put64(block + 32, header->next_seq);
	hb_le_put64(block + 40, header->file_size);
	hb_le_put64(block + 48, (uint64_t)header->created_ms);
	memcpy(block + 56, header->salt, HB_SPOOL_SALT_SIZE);
	hb_le_put32(block + 72, header->end_count);
	for (size_t i = 0; i < header->end_count; i++) {
		hb_le_put64(block + 80 + 16 * i, header->ends[i].number);
		hb_le_put64(block + 88 + 16 * i, header->ends[i].offset);
	}
	hb_le_put32(block + 380, hb_crc32c(0, block, 380));
	memcpy(block + HB_SPOOL_HEADER_COPY, block, HB_SPOOL_HEADER_SIZE);
}

static bool
header_is_sane(const struct hb_spool_header *header)
{
	bool compacted = header->flags == HB_SPOOL_COMPACTED;

	return (header->flags & ~HB_SPOOL_COMPACTED) == 0 &&
	       header->end_count <= HB_SPOOL_ENDS_MAX &&
	       header->first_seq < HB_SPOOL_SEQ_MAX &&
	       header->next_seq < HB_SPOOL_SEQ_MAX &&
	       (compacted ? header->next_seq > header->first_seq
			  : header->next_seq == 0) &&
	       header->next_seq <= header->first_seq + UINT32_MAX &&
	       header->file_size >= HB_SPOOL_FILE_MIN &&
	       header->file_size <= HB_SPOOL_FILE_MAX &&
	       header->file_size % HB_SPOOL_BLOCK == 0;
}

static enum hb_spool_got_header
copy_get(const uint8_t *in, struct hb_spool_header *header)
{
	if (memcmp(in, HEADER_MAGIC, 8) != 0)
		return HB_SPOOL_HEADER_BAD;
	if (hb_le_get32(in + 8) != HB_SPOOL_VERSION)
		return HB_SPOOL_HEADER_FOREIGN;
	if (hb_le_get32(in + 380) != hb_crc32c(0, in, 380))
		return HB_SPOOL_HEADER_BAD;
	*header = (struct hb_spool_header){
	    .flags = hb_le_get32(in + 12),
	    .number = hb_le_get64(in + 16),
	    .first_seq = hb_le_get64(in + 24),
	    .next_seq = hb_le_get64(in + 32),
	    .file_size = hb_le_get64(in + 40),
	    .created_ms = (int64_t)hb_le_get64(in + 48),
	    .end_count = hb_le_get32(in + 72),
	};
	memcpy(header->salt, in + 56, HB_SPOOL_SALT_SIZE);
	for (size_t i = 0; i < HB_SPOOL_ENDS_MAX; i++) {
		header->ends[i].number = hb_le_get64(in + 80 + 16 * i);
		header->ends[i].offset = hb_le_get64(in + 88 + 16 * i);
	}
	return header_is_sane(header) ? HB_SPOOL_HEADER_GOOD
				      : HB_SPOOL_HEADER_BAD;
}

/* One good copy is enough; two of another version, where a flipped bit would
 * have changed only one, are foreign. */
enum hb_spool_got_header
hb_spool_header_get(
    const uint8_t block[HB_SPOOL_BLOCK], struct hb_spool_header *header)
{
	enum hb_spool_got_header first = copy_get(block, header), second;

	if (first == HB_SPOOL_HEADER_GOOD)
		return first;
	second = copy_get(block + HB_SPOOL_HEADER_COPY, header);
	return second == HB_SPOOL_HEADER_GOOD || second == first
		   ? second
		   : HB_SPOOL_HEADER_BAD;
}

struct hb_spool_key
hb_spool_header_key(const struct hb_spool_header *header)
{
	uint8_t number[8];
	uint32_t seed;

	hb_le_put64(number, header->number);
	seed = hb_crc32c(0, header->salt, HB_SPOOL_SALT_SIZE);
	seed = hb_crc32c(seed, number, sizeof(number));
	return (struct hb_spool_key){seed, hb_le_get32(header->salt)};
}

/* --- records -------------------------------------------------------------- */

void
hb_spool_head_put(const struct hb_spool_head *head, struct hb_spool_key key,
    uint8_t out[HB_SPOOL_HEAD_SIZE])
{
	hb_le_put32(out + 4, head->payload_crc);
	hb_le_put32(out + 8, head->len);
	hb_le_put32(out + 12, head->lane | (uint32_t)head->type << 24);
	hb_le_put32(out + 16, key.tag);
	hb_le_put32(out + 20, (uint32_t)(head->synced / 8));
	hb_le_put64(out + 24, head->seq);
	hb_le_put64(out + 32, (uint64_t)head->appended_ms);
	hb_le_put32(out, hb_crc32c(key.seed, out + 4, HB_SPOOL_HEAD_SIZE - 4));
}

bool
hb_spool_head_glance(
    const uint8_t in[HB_SPOOL_HEAD_SIZE], struct hb_spool_key key)
{
	return hb_le_get32(in + 16) == key.tag;
}

static bool
payload_is_sane(const struct hb_spool_head *head)
{
	switch (head->type) {
	case HB_SPOOL_DATA:
		return true; /* it ends before the limit */
	case HB_SPOOL_SETTLED:
		return head->len > 0 && head->len <= HB_SPOOL_SMALL_MAX &&
		       head->len % HB_SPOOL_PAGE_SIZE == 0;
	case HB_SPOOL_LANE:
		return head->len > 0 && head->len <= HB_SPOOL_NAME_MAX;
	case HB_SPOOL_TYPE_END:
		break;
	}
	return false;
}

bool
hb_spool_head_get(const uint8_t in[HB_SPOOL_HEAD_SIZE],
    struct hb_spool_key key, uint64_t offset, uint64_t limit,
    struct hb_spool_head *head)
{
	uint32_t word = hb_le_get32(in + 12);

	if (!hb_spool_head_glance(in, key) ||
	    hb_le_get32(in) !=
		hb_crc32c(key.seed, in + 4, HB_SPOOL_HEAD_SIZE - 4))
		return false;
	*head = (struct hb_spool_head){
	    .type = word >> 24 < HB_SPOOL_TYPE_END ? word >> 24
						   : HB_SPOOL_TYPE_END,
	    .lane = word & 0xffffff,
	    .len = hb_le_get32(in + 8),
	    .payload_crc = hb_le_get32(in + 4),
	    .synced = (uint64_t)hb_le_get32(in + 20) * 8,
	    .seq = hb_le_get64(in + 24),
	    .appended_ms = (int64_t)hb_le_get64(in + 32),
	};
	return head->lane < HB_SPOOL_LANES_MAX && head->synced <= offset &&
	       head->seq < HB_SPOOL_SEQ_MAX && offset <= limit &&
	       hb_spool_record_size(head->len) <= limit - offset &&
	       payload_is_sane(head);
}

/* --- settled pages -------------------------------------------------------- */

void
hb_spool_settled_put(
    const struct hb_spool_settled *settled, uint8_t out[HB_SPOOL_PAGE_SIZE])
{
	hb_le_put64(out, settled->number);
	for (size_t i = 0; i < HB_SPOOL_PAGE_WORDS; i++)
		hb_le_put64(out + 8 + 8 * i, settled->words[i]);
}

bool
hb_spool_settled_get(
    const uint8_t in[HB_SPOOL_PAGE_SIZE], struct hb_spool_settled *settled)
{
	settled->number = hb_le_get64(in);
	for (size_t i = 0; i < HB_SPOOL_PAGE_WORDS; i++)
		settled->words[i] = hb_le_get64(in + 8 + 8 * i);
	return settled->number < HB_SPOOL_SEQ_MAX / HB_SPOOL_PAGE_SEQS;
}

/* --- footer and trailer --------------------------------------------------- */

void
hb_spool_entry_put(const struct hb_spool_entry *entry, uint64_t first_seq,
    uint8_t out[HB_SPOOL_ENTRY_SIZE])
{
	hb_le_put32(out, (uint32_t)(entry->offset / 8));
	hb_le_put32(out + 4, entry->len);
	hb_le_put32(out + 8, entry->lane);
	hb_le_put32(out + 12, (uint32_t)(entry->seq - first_seq));
}

bool
hb_spool_entry_get(const uint8_t in[HB_SPOOL_ENTRY_SIZE], uint64_t first_seq,
    uint64_t end, struct hb_spool_entry *entry)
{
	*entry = (struct hb_spool_entry){
	    .offset = (uint64_t)hb_le_get32(in) * 8,
	    .len = hb_le_get32(in + 4),
	    .lane = hb_le_get32(in + 8),
	    .seq = first_seq + hb_le_get32(in + 12),
	};
	return entry->offset >= HB_SPOOL_BLOCK && entry->offset <= end &&
	       hb_spool_record_size(entry->len) <= end - entry->offset &&
	       entry->lane < HB_SPOOL_LANES_MAX;
}

void
hb_spool_name_put(struct hb_span name, uint8_t *out)
{
	hb_le_put16(out, (uint16_t)name.len);
	memcpy(out + 2, name.ptr, name.len);
}

bool
hb_spool_name_get(struct hb_span *rest, struct hb_span *name)
{
	size_t len;

	if (rest->len < 2)
		return false;
	len = hb_le_get16((const uint8_t *)rest->ptr);
	if (len == 0 || len > HB_SPOOL_NAME_MAX || len > rest->len - 2)
		return false;
	*name = hb_span_make(rest->ptr + 2, len);
	*rest = hb_span_skip(*rest, 2 + len);
	return true;
}

void
hb_spool_trailer_put(const struct hb_spool_trailer *trailer,
    struct hb_spool_key key, uint8_t out[HB_SPOOL_TRAILER_SIZE])
{
	memset(out, 0, HB_SPOOL_TRAILER_SIZE);
	memcpy(out, TRAILER_MAGIC, 8);
	hb_le_put64(out + 8, trailer->end);
	hb_le_put64(out + 16, trailer->next_seq);
	hb_le_put32(out + 24, trailer->entry_count);
	hb_le_put32(out + 28, trailer->page_count);
	hb_le_put32(out + 32, trailer->lane_count);
	hb_le_put32(out + 36, trailer->footer_len);
	hb_le_put32(out + 40, trailer->footer_crc);
	hb_le_put64(out + 48, trailer->number);
	hb_le_put32(out + 56, key.tag);
	hb_le_put32(out + 60, hb_crc32c(key.seed, out, 60));
}

static bool
trailer_is_sane(const struct hb_spool_trailer *trailer,
    const struct hb_spool_header *header)
{
	uint64_t limit = header->file_size - HB_SPOOL_BLOCK;

	return trailer->number == header->number &&
	       trailer->end >= HB_SPOOL_BLOCK && trailer->end <= limit &&
	       trailer->footer_len <= limit - trailer->end &&
	       trailer->entry_count <= HB_SPOOL_ENTRIES_MAX &&
	       trailer->page_count <= HB_SPOOL_PAGES_MAX &&
	       trailer->lane_count <= HB_SPOOL_LANES_MAX &&
	       trailer->next_seq >= header->first_seq &&
	       trailer->next_seq < HB_SPOOL_SEQ_MAX &&
	       trailer->footer_len >=
		   (uint64_t)trailer->entry_count * HB_SPOOL_ENTRY_SIZE +
		       (uint64_t)trailer->page_count * HB_SPOOL_PAGE_SIZE;
}

bool
hb_spool_trailer_get(const uint8_t in[HB_SPOOL_TRAILER_SIZE],
    const struct hb_spool_header *header, struct hb_spool_trailer *trailer)
{
	struct hb_spool_key key = hb_spool_header_key(header);

	if (memcmp(in, TRAILER_MAGIC, 8) != 0 ||
	    hb_le_get32(in + 56) != key.tag ||
	    hb_le_get32(in + 60) != hb_crc32c(key.seed, in, 60))
		return false;
	*trailer = (struct hb_spool_trailer){
	    .number = hb_le_get64(in + 48),
	    .end = hb_le_get64(in + 8),
	    .next_seq = hb_le_get64(in + 16),
	    .entry_count = hb_le_get32(in + 24),
	    .page_count = hb_le_get32(in + 28),
	    .lane_count = hb_le_get32(in + 32),
	    .footer_len = hb_le_get32(in + 36),
	    .footer_crc = hb_le_get32(in + 40),
	};
	return trailer_is_sane(trailer, header);
}
