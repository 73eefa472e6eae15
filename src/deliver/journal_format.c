/* SPDX-License-Identifier: Apache-2.0 */
/* journal_format.c - the bytes of a file of the journal
 *
 * All numbers are little-endian; (n) is a size in bytes. A generation is a file
 * NNNNNNNNNNNNNNNN.seen (its number, 16 hexadecimal digits):
 *
 *   0       header block (1024): the header at 0, again at 512, else zeros
 *   1024    records (48), one after the other, to the end of the file
 *
 * Header (128):
 *     0 (8) "HB-SEEN\n"     16 (8) number                   48 (16) seed
 *     8 (4) version, 1      24 (8) created, s since 1970    64 (60) zero
 *    12 (4) flags           32 (16) salt                   124 (4) CRC of 0-123
 *   In every version magic, version and checksum are what and where they are
 *   here: a version is foreign only when its checksum says that no bit of it
 *   has changed.
 *   The seed is that of all keys: in every file of a directory the same. Where
 *   they differ, that of the newest counts, and the others' keys are unknown.
 *   Flag 1, rewritten: this file has all that counts of those before it, which
 *   are removed.
 *
 * Record (48):
 *     0 (4) CRC of 4-47     24 (8) digest (0 where no other body can be)
 *     4 (4) type            32 (8) endpoint
 *     8 (8) key, first      40 (8) settled, s since 1970
 *    16 (8) key, second
 *   The key is the first half of SHA-256(seed, endpoint's name, NUL, event id),
 *   the endpoint the first 8 bytes of SHA-256(seed, its name).
 *   Types: 1 SEEN, the event is settled; 2 FORGET, it shall be settled no more
 *   (digest 0, settled: the time of that).
 *
 * The salt is drawn anew for each file; the CRC of salt and number (as 8 bytes)
 * is what the checksum of every record begins with, so that no record counts
 * in another file than its own. Records are found by their place: a bad one
 * costs no other. */
#include <string.h>

#include "hookbridge/crc32c.h"
#include "hookbridge/le.h"
#include "journal_parts.h"

static const char magic[8] = "HB-SEEN\n";

/* --- header --------------------------------------------------------------- */

void
hb_journal_header_put(
    const struct hb_journal_header *header, uint8_t block[HB_JOURNAL_BLOCK])
{
	memset(block, 0, HB_JOURNAL_BLOCK);
	memcpy(block, magic, sizeof(magic));
	hb_le_put32(block + 8, HB_JOURNAL_VERSION);
	hb_le_put32(block + 12, header->flags);
	hb_le_put64(block + 16, header->number);
	hb_le_put64(block + 24, (uint64_t)header->created_s);
	memcpy(block + 32, header->salt, sizeof(header->salt));
	memcpy(block + 48, header->seed, sizeof(header->seed));
	hb_le_put32(block + 124, hb_crc32c(0, block, 124));
	memcpy(block + HB_JOURNAL_HEADER_COPY, block, HB_JOURNAL_HEADER_SIZE);
}

static enum hb_journal_got
copy_get(const uint8_t *in, struct hb_journal_header *header)
{
	uint32_t version = hb_le_get32(in + 8);

	if (memcmp(in, magic, sizeof(magic)) != 0 ||
	    hb_le_get32(in + 124) != hb_crc32c(0, in, 124))
		return HB_JOURNAL_BAD;
	if (version < HB_JOURNAL_VERSION_MIN || version > HB_JOURNAL_VERSION)
		return HB_JOURNAL_FOREIGN;
	*header = (struct hb_journal_header){
	    .flags = hb_le_get32(in + 12),
	    .number = hb_le_get64(in + 16),
	    .created_s = (int64_t)hb_le_get64(in + 24),
	};
	memcpy(header->salt, in + 32, sizeof(header->salt));
	memcpy(header->seed, in + 48, sizeof(header->seed));
	return (header->flags & ~HB_JOURNAL_REWRITTEN) == 0 ? HB_JOURNAL_GOOD
							    : HB_JOURNAL_BAD;
}

/* One copy that is not bad is enough. */
enum hb_journal_got
hb_journal_header_get(
    const uint8_t block[HB_JOURNAL_BLOCK], struct hb_journal_header *header)
{
	enum hb_journal_got got = copy_get(block, header);

	return got != HB_JOURNAL_BAD
		   ? got
		   : copy_get(block + HB_JOURNAL_HEADER_COPY, header);
}

uint32_t
hb_journal_crc_seed(const struct hb_journal_header *header)
{
	uint8_t number[8];

	hb_le_put64(number, header->number);
	return hb_crc32c(hb_crc32c(0, header->salt, sizeof(header->salt)),
	    number, sizeof(number));
}

/* --- records -------------------------------------------------------------- */

void
hb_journal_record_put(const struct hb_journal_record *record,
    uint32_t crc_seed, uint8_t out[HB_JOURNAL_RECORD_SIZE])
{
	hb_le_put32(out + 4, record->type);
	hb_le_put64(out + 8, record->key[0]);
	hb_le_put64(out + 16, record->key[1]);
	hb_le_put64(out + 24, record->digest);
	hb_le_put64(out + 32, record->endpoint);
	hb_le_put64(out + 40, (uint64_t)record->settled_s);
	hb_le_put32(
	    out, hb_crc32c(crc_seed, out + 4, HB_JOURNAL_RECORD_SIZE - 4));
}

bool
hb_journal_record_get(const uint8_t in[HB_JOURNAL_RECORD_SIZE],
    uint32_t crc_seed, struct hb_journal_record *record)
{
	uint32_t type = hb_le_get32(in + 4);

	if (hb_le_get32(in) !=
		hb_crc32c(crc_seed, in + 4, HB_JOURNAL_RECORD_SIZE - 4) ||
	    (type != HB_JOURNAL_SEEN && type != HB_JOURNAL_FORGET))
		return false;
	*record = (struct hb_journal_record){
	    .type = (enum hb_journal_type)type,
	    .key = {hb_le_get64(in + 8), hb_le_get64(in + 16)},
	    .digest = hb_le_get64(in + 24),
	    .endpoint = hb_le_get64(in + 32),
	    .settled_s = (int64_t)hb_le_get64(in + 40),
	};
	return true;
}
