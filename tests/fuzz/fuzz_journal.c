/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_journal.c - a file of the dedup journal whose bytes are hostile
 *
 * The input is a whole file. An input whose first byte is '*' is mended first,
 * to get past the checksums: its header is replaced by a good one, and each
 * further 6 bytes become a record: type, key, endpoint, and three of the time,
 * the last of which also tells whether its checksum is wrong.
 *
 * Whatever is read: records and damage add up to no more than the file, its end
 * is where a record can end, the table stays within its bounds, and what is
 * forgotten last is not there. */
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/deliver/journal_parts.h"
#include "fuzz.h"
#include "hookbridge/clock.h"

#define ENTRIES_MAX 16
#define ENDPOINTS 3
#define RECORDS_MAX 256

static struct hb_config cfg;
static struct hb_endpoint_conf endpoints[ENDPOINTS];

struct reading {
	struct hb_seen seen;
	uint64_t records;
};

/* --- mending -------------------------------------------------------------- */

static void
mend_record(struct hb_span *in, uint32_t crc_seed, uint8_t *out)
{
	struct hb_journal_record record = {
	    .type = (enum hb_journal_type)(fuzz_byte(in) % 4)};
	unsigned last;

	record.key[0] = fuzz_byte(in) % 32;
	record.endpoint = fuzz_byte(in) % (ENDPOINTS + 1);
	record.settled_s = (int64_t)((uint64_t)fuzz_byte(in) << 56);
	record.settled_s |= fuzz_byte(in) << 10;
	last = fuzz_byte(in);
	record.settled_s += last;
	hb_journal_record_put(&record, crc_seed, out);
	if (last % 8 == 7)
		out[0] ^= 1;
}

static size_t
mend(struct hb_span in, uint8_t *file)
{
	struct hb_journal_header header = {.number = 1};
	size_t size = HB_JOURNAL_BLOCK;

	hb_journal_header_put(&header, file);
	for (size_t i = 0; i < RECORDS_MAX && in.len > 0; i++) {
		mend_record(&in, hb_journal_crc_seed(&header), file + size);
		size += HB_JOURNAL_RECORD_SIZE;
	}
	return size;
}

/* --- reading -------------------------------------------------------------- */

static void
on_records(void *arg, const struct hb_journal_record *records, size_t count)
{
	struct reading *reading = arg;

	fuzz_require(count > 0 && count <= HB_JOURNAL_BATCH);
	reading->records += count;
	for (size_t i = 0; i < count; i++) {
		struct hb_seen_item item = {
		    .key = {records[i].key[0], records[i].key[1]},
		    .digest = records[i].digest,
		    .settled_s = hb_seen_now_s(&reading->seen),
		    .endpoint = (records[i].endpoint % ENDPOINTS) & 3};

		hb_seen_prefetch(&reading->seen, item.key);
		if (records[i].type == HB_JOURNAL_FORGET) {
			hb_seen_forget(&reading->seen, item.key);
			fuzz_require(!hb_seen_find(&reading->seen, item.key));
		} else {
			hb_seen_load(&reading->seen, &item);
			fuzz_require(hb_seen_find(&reading->seen, item.key));
		}
		fuzz_require(reading->seen.count <= ENTRIES_MAX);
	}
}

/* All that is there comes by once. */
static void
walk(struct hb_seen *seen)
{
	struct hb_seen_item items[5];
	uint64_t total = 0;
	size_t count;

	hb_seen_walk_begin(seen);
	while ((count = hb_seen_walk(seen, items, HB_COUNT(items))) > 0)
		total += count;
	fuzz_require(total == seen->count - seen->forgotten);
}

static void
read_file(int fd, size_t size, const struct hb_journal_header *header)
{
	struct reading reading = {.records = 0};
	struct hb_journal_visitor visitor = {on_records, &reading};
	struct hb_journal_scan scan;

	hb_seen_init(&reading.seen, &cfg);
	hb_journal_scan(fd, hb_journal_crc_seed(header), &visitor, &scan);
	fuzz_require(scan.error == 0);
	fuzz_require(scan.good == reading.records);
	fuzz_require(scan.end >= HB_JOURNAL_BLOCK && scan.end <= size);
	fuzz_require((scan.good + scan.bad) * HB_JOURNAL_RECORD_SIZE ==
		     scan.end - HB_JOURNAL_BLOCK);
	walk(&reading.seen);
	hb_seen_fini(&reading.seen);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < ENDPOINTS; i++)
		endpoints[i] = (struct hb_endpoint_conf){
		    .index = i, .mode = HB_MODE_SVIX, .dedup = true};
	cfg.endpoints = endpoints;
	cfg.endpoint_count = ENDPOINTS;
	cfg.dedup.max_entries = ENTRIES_MAX;
	cfg.dedup.window_ms = 3600000;
	hb_clock_freeze(1000, 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t
	    file[HB_JOURNAL_BLOCK + RECORDS_MAX * HB_JOURNAL_RECORD_SIZE];
	struct hb_journal_header header;
	int fd = memfd_create("journal", MFD_CLOEXEC);
	ssize_t written;

	fuzz_require(fd >= 0);
	if (size > 0 && data[0] == '*') {
		size = mend(fuzz_input(data + 1, size - 1), file);
		data = file;
	}
	written = write(fd, data, size);
	fuzz_require(written == (ssize_t)size);
	if (hb_journal_read_header(fd, &header) == HB_JOURNAL_GOOD)
		read_file(fd, size, &header);
	close(fd);
	return 0;
}
