/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - one record, by its entry in the index
 *
 * Everything that is read is checked: the head against its checksum and the
 * entry, the payload against the head. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/crc32c.h"
#include "hookbridge/io.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* Entries read from a file at once. */
#define ENTRIES_AT_ONCE 256

bool
hb_spool_read_all(int fd, void *data, size_t len, uint64_t offset)
{
	ssize_t n = hb_pread_all(fd, data, len, offset);

	if (n >= 0 && (size_t)n < len)
		errno = EBADMSG;
	return n == (ssize_t)len;
}

enum hb_spool_got_header
hb_spool_read_header(int fd, struct hb_spool_header *header)
{
	uint8_t block[HB_SPOOL_BLOCK];

	if (!hb_spool_read_all(fd, block, sizeof(block), 0))
		return HB_SPOOL_HEADER_BAD;
	return hb_spool_header_get(block, header);
}

static bool
record_is_good(const uint8_t *record, const struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, struct hb_spool_head *head)
{
	return hb_spool_head_get(record, seg->key, entry->offset,
		   seg->header.file_size - HB_SPOOL_BLOCK, head) &&
	       head->type == HB_SPOOL_DATA && head->len == entry->len &&
	       head->seq == entry->seq && head->lane == entry->lane &&
	       hb_crc32c(seg->key.seed, record + HB_SPOOL_HEAD_SIZE,
		   head->len) == head->payload_crc;
}

bool
hb_spool_read_record(int fd, const struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, struct hb_spool_head *head,
    char **bytes)
{
	size_t size = HB_SPOOL_HEAD_SIZE + entry->len;
	uint8_t *record = hb_xmalloc(size);
	int error = EBADMSG;

	if (!hb_spool_read_all(fd, record, size, entry->offset)) {
		error = errno;
	} else if (record_is_good(record, seg, entry, head)) {
		memmove(record, record + HB_SPOOL_HEAD_SIZE, entry->len);
		*bytes = (char *)record;
		return true;
	}
	free(record);
	errno = error;
	return false;
}

/* --- the index ------------------------------------------------------------ */

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t
read_from_footer(int fd, const struct hb_spool_segment *seg, size_t at,
    struct hb_spool_entry *entries, size_t count)
{
	uint8_t bytes[ENTRIES_AT_ONCE * HB_SPOOL_ENTRY_SIZE];
	size_t i;

	count = least(count, ENTRIES_AT_ONCE);
	if (!hb_spool_read_all(fd, bytes, count * HB_SPOOL_ENTRY_SIZE,
		seg->end + at * HB_SPOOL_ENTRY_SIZE))
		return 0;
	for (i = 0; i < count; i++)
		if (!hb_spool_entry_get(bytes + i * HB_SPOOL_ENTRY_SIZE,
			seg->header.first_seq, seg->end, &entries[i]) ||
		    entries[i].lane >= seg->lane_count)
			break;
	errno = EBADMSG; /* should it be none */
	return i;
}

ssize_t
hb_spool_read_entries(struct hb_spool *spool, int fd,
    struct hb_spool_segment *seg, size_t at, struct hb_spool_entry *entries,
    size_t count)
{
	bool in_memory;

	pthread_mutex_lock(&spool->lock);
	count = least(count, seg->entry_count - at);
	in_memory = seg->entries != NULL;
	if (in_memory && count > 0)
		memcpy(entries, seg->entries + at, count * sizeof(*entries));
	pthread_mutex_unlock(&spool->lock);
	if (in_memory || count == 0)
		return (ssize_t)count;
	count = read_from_footer(fd, seg, at, entries, count);
	return count > 0 ? (ssize_t)count : -1;
}

void
hb_spool_lose(struct hb_spool *spool, struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry)
{
	char name[HB_SPOOL_FILE_NAME];
	struct hb_spool_ref ref = {.seq = entry->seq, .len = entry->len};
	bool is_lost;

	pthread_mutex_lock(&spool->lock);
	ref.lane = seg->lanes[entry->lane];
	seg->is_damaged = true;
	pthread_mutex_unlock(&spool->lock);
	is_lost = hb_spool_settle(&ref);
	pthread_mutex_lock(&spool->lock);
	if (is_lost) {
		spool->lost++;
		ref.lane->lost++;
		ref.lane->lost_bytes += entry->len;
	}
	pthread_mutex_unlock(&spool->lock);
	hb_metric_inc(spool->store.errors);
	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, seg->header.number, name);
	hb_log_limited(HB_LOG_ERROR, "spool.damaged",
	    HB_F_STR("directory", spool->store.path), HB_F_STR("file", name),
	    HB_F_STR("lane", ref.lane->name), HB_F_U64("seq", entry->seq),
	    HB_F_U64("offset", entry->offset));
}
