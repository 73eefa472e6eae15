/* SPDX-License-Identifier: Apache-2.0 */
/* format.h - a segment file's bytes, put and got; the layout is in format.c
 *
 * Thread: pure functions. Everything that is got is hostile: a get function
 * says no unless each length and number is within the bounds given here. */
#ifndef HB_SPOOL_FORMAT_H
#define HB_SPOOL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hookbridge/span.h"

#define HB_SPOOL_VERSION 1
#define HB_SPOOL_BLOCK 4096	/* header and trailer have one each */
#define HB_SPOOL_HEADER_SIZE 384
#define HB_SPOOL_HEADER_COPY 2048 /* where in its block the second one is */
#define HB_SPOOL_TRAILER_SIZE 64
#define HB_SPOOL_HEAD_SIZE 40 /* of a record */
#define HB_SPOOL_ENTRY_SIZE 16
#define HB_SPOOL_SALT_SIZE 16
#define HB_SPOOL_ENDS_MAX 16

#define HB_SPOOL_NAME_MAX 512	    /* bytes of a lane's name */
#define HB_SPOOL_ENTRIES_MAX 262144 /* DATA records in a segment */
#define HB_SPOOL_LANES_MAX 4096	    /* lanes in a segment */
#define HB_SPOOL_PAGES_MAX 8192	    /* settled pages in a segment */
#define HB_SPOOL_SEQ_MAX (UINT64_C(1) << 62)
#define HB_SPOOL_FILE_MIN (16 * HB_SPOOL_BLOCK)
#define HB_SPOOL_FILE_MAX (UINT64_C(1) << 30)

/* Sequence numbers are kept in pages of bits. */
#define HB_SPOOL_PAGE_SEQS 4096
#define HB_SPOOL_PAGE_WORDS (HB_SPOOL_PAGE_SEQS / 64)
#define HB_SPOOL_PAGE_SIZE (8 + HB_SPOOL_PAGE_SEQS / 8)
/* Pages in one SETTLED record. */
#define HB_SPOOL_SETTLED_MAX 64
/* No payload but that of DATA is longer. */
#define HB_SPOOL_SMALL_MAX (HB_SPOOL_SETTLED_MAX * HB_SPOOL_PAGE_SIZE)

#define HB_SPOOL_COMPACTED 1u /* a header's flag */

/* Where the records of an unsealed segment end. */
struct hb_spool_end {
	uint64_t number, offset;
};

struct hb_spool_header {
	uint32_t flags;
	uint64_t number, first_seq;
	uint64_t next_seq; /* HB_SPOOL_COMPACTED: one past its range */
	uint64_t file_size;
	int64_t created_ms;
	uint8_t salt[HB_SPOOL_SALT_SIZE];
	uint32_t end_count;
	struct hb_spool_end ends[HB_SPOOL_ENDS_MAX];
};

enum hb_spool_got_header {
	HB_SPOOL_HEADER_GOOD,
	HB_SPOOL_HEADER_BAD,
	HB_SPOOL_HEADER_FOREIGN /* another version's: not ours to judge */
};

/* What tells this use of a file from all others: see format.c. */
struct hb_spool_key {
	uint32_t seed, tag;
};

enum hb_spool_type {
	HB_SPOOL_DATA = 1,
	HB_SPOOL_SETTLED,
	HB_SPOOL_LANE,
	HB_SPOOL_TYPE_END
};

struct hb_spool_head {
	enum hb_spool_type type;
	uint32_t lane; /* its number in this segment */
	uint32_t len;  /* of the payload */
	uint32_t payload_crc;
	uint64_t synced; /* offset: what is before it was synced by then */
	uint64_t seq;
	int64_t appended_ms;
};

struct hb_spool_entry {
	uint64_t offset, seq;
	uint32_t len, lane;
};

/* A page of sequence numbers; bit 1: settled. */
struct hb_spool_settled {
	uint64_t number; /* seq / HB_SPOOL_PAGE_SEQS */
	uint64_t words[HB_SPOOL_PAGE_WORDS];
};

struct hb_spool_trailer {
	uint64_t number;
	uint64_t end; /* of the records; the footer begins */
	uint64_t next_seq;
	uint32_t entry_count, page_count, lane_count;
	uint32_t footer_len, footer_crc;
};

/* The whole block, both copies. */
void hb_spool_header_put(
    const struct hb_spool_header *header, uint8_t block[HB_SPOOL_BLOCK]);
enum hb_spool_got_header hb_spool_header_get(
    const uint8_t block[HB_SPOOL_BLOCK], struct hb_spool_header *header);
struct hb_spool_key hb_spool_header_key(const struct hb_spool_header *header);

void hb_spool_head_put(const struct hb_spool_head *head,
    struct hb_spool_key key, uint8_t out[HB_SPOOL_HEAD_SIZE]);
/* A record's head at this offset of a segment whose records end at limit. */
bool hb_spool_head_get(const uint8_t in[HB_SPOOL_HEAD_SIZE],
    struct hb_spool_key key, uint64_t offset, uint64_t limit,
    struct hb_spool_head *head);
/* What can be seen of it at a glance. */
bool hb_spool_head_glance(
    const uint8_t in[HB_SPOOL_HEAD_SIZE], struct hb_spool_key key);

void hb_spool_entry_put(const struct hb_spool_entry *entry, uint64_t first_seq,
    uint8_t out[HB_SPOOL_ENTRY_SIZE]);
/* An entry in a segment with these first sequence number and end of records. */
bool hb_spool_entry_get(const uint8_t in[HB_SPOOL_ENTRY_SIZE],
    uint64_t first_seq, uint64_t end, struct hb_spool_entry *entry);

void hb_spool_settled_put(
    const struct hb_spool_settled *settled, uint8_t out[HB_SPOOL_PAGE_SIZE]);
bool hb_spool_settled_get(
    const uint8_t in[HB_SPOOL_PAGE_SIZE], struct hb_spool_settled *settled);

/* A lane's name in a footer: its length in two bytes, then itself. */
void hb_spool_name_put(struct hb_span name, uint8_t *out);
/* The name at the start of rest; rest goes past it. */
bool hb_spool_name_get(struct hb_span *rest, struct hb_span *name);

void hb_spool_trailer_put(const struct hb_spool_trailer *trailer,
    struct hb_spool_key key, uint8_t out[HB_SPOOL_TRAILER_SIZE]);
bool hb_spool_trailer_get(const uint8_t in[HB_SPOOL_TRAILER_SIZE],
    const struct hb_spool_header *header, struct hb_spool_trailer *trailer);

static inline uint64_t
hb_spool_pad(uint64_t len)
{
	return (len + 7) & ~UINT64_C(7);
}

/* Bytes of a record with that payload. */
static inline uint64_t
hb_spool_record_size(uint32_t len)
{
	return HB_SPOOL_HEAD_SIZE + hb_spool_pad(len);
}

#endif
