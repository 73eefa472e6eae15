/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_segment.c - segment files whose bytes are hostile
 *
 * The input is a whole file, short of trailing zeros. What recovery reads of a
 * file is read of it: header, footer, and a scan with and without a known end;
 * then each record by its entry. The scan is done again by a reader that has
 * the whole file in memory and decodes it by the table in format.c: both must
 * come to the same records, end and damage.
 *
 * To get past the checksums, an input that begins with '*' is mended first: it
 * has a good header, and what follows is a list of records and a footer to be
 * made well-formed, so that lengths, numbers and order are what is tried. Two
 * files are made of one that begins with '+': they are a directory, in which a
 * spool is opened and read to its end. Each record is settled once, and the
 * counts must come to nothing. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../../src/spool/parts.h"
#include "fuzz.h"
#include "hookbridge/crc32c.h"
#include "hookbridge/log.h"

#define FILE_SIZE HB_SPOOL_FILE_MIN
#define ENTRIES_MAX 2048 /* more do not fit */
#define FIRST_SEQ 1000u

/* What came of reading a file. */
struct result {
	struct hb_spool_entry entries[ENTRIES_MAX];
	size_t count;
	size_t lanes, pages;
	uint64_t next_seq;
	struct hb_spool_scan scan;
};

static char directory[] = "/dev/shm/hb-fuzz-XXXXXX";
static int memory; /* a file */

/* Empty again: all of it is large, and most of it unused. */
static struct result *
result_begin(struct result *result, uint64_t first_seq)
{
	result->count = result->lanes = result->pages = 0;
	result->next_seq = first_seq;
	result->scan = (struct hb_spool_scan){0};
	return result;
}

/* --- the first reader ----------------------------------------------------- */

static void
on_lane(void *arg, uint32_t number, struct hb_span name)
{
	struct result *result = arg;

	fuzz_require(number < HB_SPOOL_LANES_MAX);
	fuzz_require(name.len > 0 && name.len <= HB_SPOOL_NAME_MAX);
	result->lanes++;
}

static void
on_settled(void *arg, const struct hb_spool_settled *settled)
{
	struct result *result = arg;

	fuzz_require(settled->number < HB_SPOOL_SEQ_MAX / HB_SPOOL_PAGE_SEQS);
	result->pages++;
}

/* Numbers go up, whatever the file says. */
static void
on_data(void *arg, const struct hb_spool_entry *entry)
{
	struct result *result = arg;

	fuzz_require(entry->seq >= result->next_seq);
	fuzz_require(entry->lane < HB_SPOOL_LANES_MAX);
	fuzz_require(result->count < ENTRIES_MAX);
	result->next_seq = entry->seq + 1;
	result->entries[result->count++] = *entry;
}

/* All of them if they come of a scan, which has seen that they are good. */
static void
read_records(const struct hb_spool_header *header, const struct result *result,
    bool are_good)
{
	struct hb_spool_segment *seg = hb_spool_segment_new(header);

	for (size_t i = 0; i < result->count; i++) {
		struct hb_spool_head head;
		char *bytes = NULL;
		bool ok = hb_spool_read_record(
		    memory, seg, &result->entries[i], &head, &bytes);

		fuzz_require(ok || !are_good);
		free(bytes);
	}
	hb_spool_segment_free(seg);
}

static void
read_footer(const struct hb_spool_header *header)
{
	static struct result kept;
	struct result *result = result_begin(&kept, 0);
	struct hb_spool_visitor visitor = {
	    on_lane, on_settled, on_data, result};
	struct hb_spool_footer footer;

	if (hb_spool_footer_read(memory, header, FILE_SIZE, &footer)) {
		const struct hb_spool_trailer *trailer = &footer.trailer;

		if (hb_spool_footer_visit(
			&footer, header->first_seq, &visitor)) {
			fuzz_require(result->count == trailer->entry_count);
			fuzz_require(result->pages == trailer->page_count);
			fuzz_require(result->lanes == trailer->lane_count);
		}
		read_records(header, result, false);
		hb_spool_footer_fini(&footer);
	}
}

/* --- the second reader ---------------------------------------------------- */

struct judge {
	const uint8_t *file;
	struct hb_spool_key key;
	uint8_t tag[4]; /* of the key, as it is written */
	uint64_t first_seq, limit;
	bool all_synced;
	struct result result;
	/* Bad places of which it is not known what they are, and the records
	 * that wait for it. */
	uint64_t suspects, first_suspect;
	struct hb_spool_entry held[ENTRIES_MAX];
	size_t held_count;
};

struct record {
	uint64_t offset, len, lane, type, synced, seq;
	bool has_head, is_good;
};

static uint64_t
number_at(const uint8_t *p, int bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | p[bytes];
	return value;
}

static bool
length_is_allowed(const struct record *record)
{
	if (record->type == 1)
		return true;
	if (record->type == 2)
		return record->len > 0 && record->len % 520 == 0 &&
		       record->len <= 64 * 520;
	return record->type == 3 && record->len > 0 && record->len <= 512;
}

static struct record
record_at(const struct judge *judge, uint64_t offset)
{
	const uint8_t *p = judge->file + offset;
	struct record record = {.offset = offset};
	uint64_t rest = judge->limit - offset - 40;

	record.len = number_at(p + 8, 4);
	record.lane = number_at(p + 12, 3);
	record.type = p[15];
	record.synced = number_at(p + 20, 4) * 8;
	record.seq = number_at(p + 24, 8);
	record.has_head =
	    number_at(p + 16, 4) == judge->key.tag && record.lane < 4096 &&
	    record.synced <= offset && record.seq < UINT64_C(1) << 62 &&
	    (record.len + 7) / 8 * 8 <= rest && length_is_allowed(&record) &&
	    number_at(p, 4) ==
		hb_crc32c_portable(judge->key.seed, p + 4, 36);
	record.is_good =
	    record.has_head &&
	    number_at(p + 4, 4) == hb_crc32c_portable(judge->key.seed, p + 40,
				       record.len) &&
	    (record.type != 1 ||
		(record.seq >= judge->result.next_seq &&
		    record.seq - judge->first_seq <= UINT32_MAX));
	return record;
}

static void
convict(struct judge *judge)
{
	struct result *result = &judge->result;

	for (size_t i = 0; i < judge->held_count; i++)
		result->entries[result->count++] = judge->held[i];
	result->scan.damaged += judge->suspects;
	judge->suspects = judge->held_count = 0;
}

static void
judge_bad(struct judge *judge, uint64_t offset)
{
	if (judge->suspects++ == 0)
		judge->first_suspect = offset;
	if (judge->all_synced)
		convict(judge);
}

static void
judge_good(struct judge *judge, const struct record *record)
{
	struct result *result = &judge->result;
	const uint8_t *payload = judge->file + record->offset + 40;
	struct hb_spool_entry entry = {.offset = record->offset,
	    .len = (uint32_t)record->len,
	    .lane = (uint32_t)record->lane,
	    .seq = record->seq};

	if (record->type == 3)
		result->lanes++;
	for (uint64_t i = 0; record->type == 2 && i < record->len; i += 520)
		result->pages += number_at(payload + i, 8) <
				 (UINT64_C(1) << 62) / 4096;
	if (record->type != 1)
		return;
	result->next_seq = record->seq + 1;
	if (judge->suspects > 0)
		judge->held[judge->held_count++] = entry;
	else
		result->entries[result->count++] = entry;
}

/* The next place from offset where a head stands, or the limit. */
static uint64_t
next_head(const struct judge *judge, uint64_t offset)
{
	/* The tag alone, at first: there are thousands of places. */
	while (offset + 40 <= judge->limit &&
	       (memcmp(judge->file + offset + 16, judge->tag, 4) != 0 ||
		   !record_at(judge, offset).has_head))
		offset += 8;
	return offset + 40 <= judge->limit ? offset : judge->limit;
}

static void
judge_file(struct judge *judge)
{
	uint64_t at = HB_SPOOL_BLOCK;

	judge->result.scan.end = at;
	while (at + 40 <= judge->limit) {
		struct record record = record_at(judge, at);

		if (!record.has_head) {
			judge_bad(judge, at);
			at = next_head(judge, at + 8);
			continue;
		}
		if (judge->suspects > 0 && record.synced > judge->first_suspect)
			convict(judge);
		if (record.is_good)
			judge_good(judge, &record);
		else
			judge_bad(judge, at);
		at += 40 + (record.len + 7) / 8 * 8;
		if (judge->suspects == 0)
			judge->result.scan.end = at;
	}
	judge->result.scan.torn = judge->held_count;
}

/* --- both ----------------------------------------------------------------- */

static void
require_same(const struct result *a, const struct result *b)
{
	fuzz_require(a->count == b->count);
	fuzz_require(a->lanes == b->lanes && a->pages == b->pages);
	fuzz_require(a->scan.end == b->scan.end);
	fuzz_require(a->scan.damaged == b->scan.damaged);
	fuzz_require(a->scan.torn == b->scan.torn);
	for (size_t i = 0; i < a->count; i++)
		fuzz_require(a->entries[i].offset == b->entries[i].offset &&
			     a->entries[i].seq == b->entries[i].seq &&
			     a->entries[i].len == b->entries[i].len &&
			     a->entries[i].lane == b->entries[i].lane);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* A file of that size, whose records end at limit if that is known. */
static void
scan(const uint8_t *file, uint64_t size, const struct hb_spool_header *header,
    uint64_t limit)
{
	static struct result kept;
	static struct judge judge;
	struct result *result = result_begin(&kept, header->first_seq);
	struct hb_spool_visitor visitor = {
	    on_lane, on_settled, on_data, result};

	hb_spool_scan(memory, header, size, limit, &visitor, &result->scan);
	result_begin(&judge.result, header->first_seq);
	judge.suspects = judge.held_count = 0;
	judge.file = file;
	judge.key = hb_spool_header_key(header);
	memcpy(judge.tag, header->salt, 4);
	judge.first_seq = header->first_seq;
	size = least(size / 8 * 8, header->file_size - HB_SPOOL_BLOCK);
	judge.limit = limit > 0 ? least(limit, size) : size;
	judge.all_synced = limit > 0 || header->flags != 0;
	judge_file(&judge);
	judge.result.scan.damaged += limit > size;
	require_same(result, &judge.result);
	read_records(header, result, true);
}

/* --- mending -------------------------------------------------------------- */

/* Each record is five bytes of the input: type, lane, len, seq, synced; its
 * payload is the input from there on. Returns where they end. */
static uint64_t
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
		    .seq = FIRST_SEQ + data[3],
		    .synced = HB_SPOOL_BLOCK + data[4] * 64u};
		size_t len = head.len < size ? head.len : size;

		if ((data[0] & 0x80) != 0) /* a hole */
			at += 8;
		memcpy(file + at + HB_SPOOL_HEAD_SIZE, data, len);
		head.payload_crc = hb_crc32c(
		    key.seed, file + at + HB_SPOOL_HEAD_SIZE, head.len);
		if ((data[0] & 0x40) != 0)
			head.payload_crc ^= 1;
		hb_spool_head_put(&head, key, file + at);
		at += hb_spool_record_size(head.len);
	}
	return at;
}

/* Its footer is the input as it is, under a trailer that vouches for it. */
static void
mend_trailer(uint8_t *file, struct hb_spool_key key, uint64_t number,
    const uint8_t *data, size_t size)
{
	struct hb_spool_trailer trailer = {.number = number,
	    .end = FILE_SIZE - 2 * HB_SPOOL_BLOCK,
	    .next_seq = FIRST_SEQ + data[1],
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

/* Returns the file's size; without a trailer it is cut off soon after the last
 * record. */
static uint64_t
mend(uint8_t *file, struct hb_spool_header *header, const uint8_t *data,
    size_t size)
{
	struct hb_spool_key key;
	uint64_t end;

	memset(file, 0, FILE_SIZE);
	memset(header->salt, 0xa5, sizeof(header->salt)); /* as no zeros are */
	key = hb_spool_header_key(header);
	hb_spool_header_put(header, file);
	end = mend_records(file, key, data, size);
	if (size < 4 || (data[0] & 1) == 0)
		return end + data[0] % 64u;
	mend_trailer(file, key, header->number, data, size);
	return FILE_SIZE;
}

/* --- a directory ---------------------------------------------------------- */

static void
write_file(const uint8_t *file, uint64_t size, uint64_t number)
{
	char name[HB_SPOOL_FILE_NAME], path[64];
	int fd;

	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, name);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fuzz_require(fd >= 0);
	fuzz_require(write(fd, file, size) == (ssize_t)size);
	close(fd);
}

/* Two halves of the input; the second file may have others' ranges, replace the
 * first, or say where it ends. */
static void
write_files(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_SIZE];
	struct hb_spool_header one = {
	    .number = 1, .first_seq = FIRST_SEQ, .file_size = FILE_SIZE};
	struct hb_spool_header two = {.number = 2,
	    .first_seq = FIRST_SEQ + data[1],
	    .file_size = FILE_SIZE};

	if ((data[0] & 1) != 0) {
		two.flags = HB_SPOOL_COMPACTED;
		two.next_seq = two.first_seq + data[2] + 1u;
	}
	if ((data[0] & 2) != 0) {
		two.end_count = 1;
		two.ends[0] = (struct hb_spool_end){
		    1, HB_SPOOL_BLOCK + data[3] * 64u};
	}
	data += 4;
	size -= 4;
	write_file(file, mend(file, &one, data, size / 2), 1);
	data += size / 2;
	size -= size / 2;
	write_file(file, mend(file, &two, data, size), 2);
}

static void
remove_file(
    void *arg, enum hb_spool_kind kind, uint64_t number, uint64_t size)
{
	char name[HB_SPOOL_FILE_NAME];

	(void)size;
	hb_spool_store_name(kind, number, name);
	unlinkat(*(int *)arg, name, 0);
}

static void
remove_files(void)
{
	struct hb_spool_store store = {0};
	struct hb_error err;

	fuzz_require(hb_spool_store_open(&store, directory, false, &err));
	fuzz_require(
	    hb_spool_store_list(&store, remove_file, &store.dir, &err));
	hb_spool_store_close(&store);
}

static void
settle_all(struct hb_spool_lane *lane)
{
	struct hb_spool_cursor *cursor =
	    hb_spool_cursor_new(lane, NULL, NULL, NULL);
	struct hb_spool_record record;
	enum hb_spool_next next;
	uint64_t seq = 0;
	struct hb_error err;

	while ((next = hb_spool_cursor_next(cursor, &record, &err)) ==
	       HB_SPOOL_RECORD) {
		fuzz_require(record.ref.seq >= seq);
		seq = record.ref.seq + 1;
		fuzz_require(hb_spool_settle(&record.ref));
		fuzz_require(!hb_spool_settle(&record.ref));
		free(record.bytes);
	}
	fuzz_require(next == HB_SPOOL_END);
	hb_spool_cursor_free(cursor);
}

static void
recover(const uint8_t *data, size_t size)
{
	struct hb_spool_options options = {.directory = directory,
	    .max_size = 16 * FILE_SIZE,
	    .segment_size = FILE_SIZE};
	struct hb_spool_lane *lane = NULL;
	struct hb_spool_stats stats;
	struct hb_spool *spool;
	struct hb_error err = {0};

	write_files(data, size);
	spool = hb_spool_open(&options, &err);
	fuzz_require(spool != NULL || err.text[0] != '\0');
	if (spool != NULL) {
		while ((lane = hb_spool_lane_next(spool, lane)) != NULL)
			settle_all(lane);
		hb_spool_stats(spool, &stats);
		fuzz_require(stats.records == 0 && stats.bytes == 0);
		hb_spool_close(spool);
	}
	remove_files();
}

/* --- the target ----------------------------------------------------------- */

static void
remove_directory(void)
{
	char lock[64];

	snprintf(lock, sizeof(lock), "%s/lock", directory);
	unlink(lock);
	rmdir(directory);
}

/* Instead of hb_log_write(): what is damaged here is not worth a line. */
void __wrap_hb_log_write(enum hb_log_level level, const char *word,
    const struct hb_log_field *fields);

void
__wrap_hb_log_write(enum hb_log_level level, const char *word,
    const struct hb_log_field *fields)
{
	(void)level;
	fuzz_require(word[0] != '\0' && fields[0].kind != HB_LOG_F_END);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	memory = memfd_create("segment", MFD_CLOEXEC);
	fuzz_require(memory >= 0);
	fuzz_require(mkdtemp(directory) != NULL);
	return atexit(remove_directory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_SIZE];
	struct hb_spool_header header = {
	    .number = 1, .first_seq = FIRST_SEQ, .file_size = FILE_SIZE};
	uint64_t file_size = FILE_SIZE;

	if (size > FILE_SIZE)
		return 0;
	if (size > 6 && data[0] == '+') {
		recover(data + 1, size - 1);
		return 0;
	}
	if (size > 1 && data[0] == '*') {
		file_size = mend(file, &header, data + 1, size - 1);
	} else {
		memset(file, 0, sizeof(file));
		memcpy(file, data, size);
	}
	fuzz_require(pwrite(memory, file, FILE_SIZE, 0) == FILE_SIZE);
	if (hb_spool_read_header(memory, &header) != HB_SPOOL_HEADER_GOOD)
		return 0;
	read_footer(&header);
	scan(file, file_size, &header, 0);
	scan(file, file_size, &header, HB_SPOOL_BLOCK + 1000);
	return 0;
}
