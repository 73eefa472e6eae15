/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment.c - a segment file whose bytes are hostile
 *
 * The input is a whole file, short of trailing zeros. What recovery reads of a
 * file is read of it: header, footer, and a scan with and without a known end;
 * then each record by its entry. To get past the checksums, an input whose
 * first byte is '*' is mended first: its header is replaced by a good one, and
 * what follows is a list of records and a footer to be made well-formed:
 * (type, lane, len, seq, synced) of one byte each, payloads taken from the
 * input itself, so that lengths, numbers and order are what is tried. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/spool/parts.h"
#include "hookbridge/crc32c.h"
#include "hookbridge/mem.h"

#define FILE_SIZE HB_SPOOL_FILE_MIN
#define ENTRIES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct hb_spool_entry entries[ENTRIES_MAX];
	size_t count;
	uint64_t next_seq;
	struct hb_spool_bits settled;
};

static void
on_lane(void *arg, uint32_t number, struct hb_span name)
{
	(void)arg;
	if (number >= HB_SPOOL_LANES_MAX || name.len == 0 ||
	    name.len > HB_SPOOL_NAME_MAX)
		abort();
}

static void
on_settled(void *arg, const struct hb_spool_settled *settled)
{
	struct seen *seen = arg;

	if (seen->settled.page_count < 64)
		hb_spool_bits_add_settled(&seen->settled, settled);
}

/* Numbers go up, whatever the file says. */
static void
on_data(void *arg, const struct hb_spool_entry *entry)
{
	struct seen *seen = arg;

	if (entry->seq < seen->next_seq ||
	    entry->lane >= HB_SPOOL_LANES_MAX ||
	    entry->offset + entry->len > FILE_SIZE)
		abort();
	seen->next_seq = entry->seq + 1;
	if (seen->count < ENTRIES_MAX)
		seen->entries[seen->count++] = *entry;
}

static void
read_records(int fd, const struct hb_spool_header *header,
    const struct seen *seen)
{
	struct hb_spool_segment *seg = hb_spool_segment_new(header);

	for (size_t i = 0; i < seen->count; i++) {
		struct hb_spool_head head;
		char *bytes;

		if (hb_spool_read_record(
			fd, seg, &seen->entries[i], &head, &bytes))
			free(bytes);
	}
	hb_spool_segment_free(seg);
}

/* --- one way to read it --------------------------------------------------- */

static void
scan(int fd, const struct hb_spool_header *header, uint64_t limit)
{
	struct seen *seen = hb_xcalloc(1, sizeof(*seen));
	struct hb_spool_visitor visitor = {on_lane, on_settled, on_data, seen};
	struct hb_spool_scan result;

	hb_spool_scan(fd, header, FILE_SIZE, limit, &visitor, &result);
	if (result.end < HB_SPOOL_BLOCK || result.end > FILE_SIZE)
		abort();
	read_records(fd, header, seen);
	hb_spool_bits_fini(&seen->settled);
	free(seen);
}

static void
read_footer(int fd, const struct hb_spool_header *header)
{
	struct seen *seen = hb_xcalloc(1, sizeof(*seen));
	struct hb_spool_visitor visitor = {on_lane, on_settled, on_data, seen};
	struct hb_spool_footer footer;

	if (hb_spool_footer_read(fd, header, FILE_SIZE, &footer)) {
		if (hb_spool_footer_visit(
			&footer, header->first_seq, &visitor))
			read_records(fd, header, seen);
		hb_spool_footer_fini(&footer);
	}
	hb_spool_bits_fini(&seen->settled);
	free(seen);
}

/* --- mending -------------------------------------------------------------- */

static void
mend_records(uint8_t *file, struct hb_spool_key key, const uint8_t *data,
    size_t size)
{
	uint64_t at = HB_SPOOL_BLOCK;

	for (; size >= 5 && at < FILE_SIZE - 2 * HB_SPOOL_BLOCK;
	     data += 5, size -= 5) {
		struct hb_spool_head head = {
		    .type = (enum hb_spool_type)(data[0] & 7),
		    .lane = data[1],
		    .len = data[2] * 13u,
		    .seq = 1000u + data[3],
		    .synced = HB_SPOOL_BLOCK + data[4] * 64u};
		size_t len = head.len < size ? head.len : size;

		if ((data[0] & 0x80) != 0) /* a hole, or a damaged head */
			at += 8;
		memcpy(file + at + HB_SPOOL_HEAD_SIZE, data, len);
		head.payload_crc = hb_crc32c(
		    key.seed, file + at + HB_SPOOL_HEAD_SIZE, head.len);
		if ((data[0] & 0x40) != 0)
			head.payload_crc ^= 1;
		hb_spool_head_put(&head, key, file + at);
		at += hb_spool_record_size(head.len);
	}
}

/* Its footer is the input as it is, under a trailer that vouches for it. */
static void
mend_trailer(uint8_t *file, struct hb_spool_key key, uint64_t number,
    const uint8_t *data, size_t size)
{
	struct hb_spool_trailer trailer = {.number = number,
	    .end = FILE_SIZE - 2 * HB_SPOOL_BLOCK,
	    .next_seq = 1000u + data[1],
	    .entry_count = data[2] & 15u,
	    .page_count = data[2] >> 7,
	    .lane_count = data[3] & 15u};

	if (size > HB_SPOOL_BLOCK)
		size = HB_SPOOL_BLOCK;
	trailer.footer_len = (uint32_t)size;
	memcpy(file + trailer.end, data, size);
	trailer.footer_crc = hb_crc32c(key.seed, data, size);
	hb_spool_trailer_put(
	    &trailer, key, file + FILE_SIZE - HB_SPOOL_BLOCK);
}

static void
mend(uint8_t *file, const uint8_t *data, size_t size)
{
	struct hb_spool_header header = {
	    .number = 1, .first_seq = 1000, .file_size = FILE_SIZE};
	struct hb_spool_key key = hb_spool_header_key(&header);

	memset(file, 0, FILE_SIZE);
	hb_spool_header_put(&header, file);
	mend_records(file, key, data, size);
	if (size >= 4 && (data[0] & 1) != 0)
		mend_trailer(file, key, header.number, data, size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_SIZE];
	struct hb_spool_header header;
	int fd = memfd_create("segment", MFD_CLOEXEC);

	if (fd < 0 || size > FILE_SIZE)
		goto out;
	memset(file, 0, sizeof(file));
	if (size > 1 && data[0] == '*')
		mend(file, data + 1, size - 1);
	else if (size > 0)
		memcpy(file, data, size);
	if (write(fd, file, sizeof(file)) != (ssize_t)sizeof(file) ||
	    hb_spool_read_header(fd, &header) != HB_SPOOL_HEADER_GOOD)
		goto out;
	read_footer(fd, &header);
	scan(fd, &header, 0);
	scan(fd, &header, HB_SPOOL_BLOCK + 1000);
out:
	if (fd >= 0)
		close(fd);
	return 0;
}
