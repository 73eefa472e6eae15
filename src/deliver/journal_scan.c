/* SPDX-License-Identifier: Apache-2.0 */
/* journal_scan.c - reads the records of a file, whatever stands in it
 *
 * In pieces of a fixed size: a file may be of any length. */
#include <errno.h>

#include "hookbridge/io.h"
#include "journal_parts.h"

/* So much without a single good record, and nothing good is behind it: a file
 * may be larger than its disk. */
#define HOLE_MAX (UINT64_C(64) << 20)

enum hb_journal_got
hb_journal_read_header(int fd, struct hb_journal_header *header)
{
	uint8_t block[HB_JOURNAL_BLOCK] = {0};

	if (hb_pread_all(fd, block, sizeof(block), 0) < HB_JOURNAL_BLOCK)
		return HB_JOURNAL_BAD;
	return hb_journal_header_get(block, header);
}

/* What is bad before a good one is damage; behind the last, the torn end of a
 * write. */
static void
take(const uint8_t *bytes, size_t count, uint64_t offset, uint32_t crc_seed,
    const struct hb_journal_visitor *visitor, struct hb_journal_scan *scan)
{
	struct hb_journal_record records[HB_JOURNAL_BATCH];
	size_t good = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t at = offset + i * HB_JOURNAL_RECORD_SIZE;

		if (!hb_journal_record_get(bytes + i * HB_JOURNAL_RECORD_SIZE,
			crc_seed, &records[good]))
			continue;
		good++;
		scan->bad += (at - scan->end) / HB_JOURNAL_RECORD_SIZE;
		scan->end = at + HB_JOURNAL_RECORD_SIZE;
	}
	scan->good += good;
	if (good > 0)
		visitor->on_records(visitor->arg, records, good);
}

void
hb_journal_scan(int fd, uint32_t crc_seed,
    const struct hb_journal_visitor *visitor, struct hb_journal_scan *scan)
{
	uint8_t bytes[HB_JOURNAL_BATCH * HB_JOURNAL_RECORD_SIZE];
	uint64_t offset = HB_JOURNAL_BLOCK;
	ssize_t n;

	*scan = (struct hb_journal_scan){.end = offset};
	do {
		n = hb_pread_all(fd, bytes, sizeof(bytes), offset);
		if (n < 0) {
			scan->error = errno;
			return;
		}
		take(bytes, (size_t)n / HB_JOURNAL_RECORD_SIZE, offset,
		    crc_seed, visitor, scan);
		offset += (uint64_t)n;
	} while ((size_t)n == sizeof(bytes) && offset - scan->end < HOLE_MAX);
}
