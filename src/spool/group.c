/* SPDX-License-Identifier: Apache-2.0 */
/* group.c - many records, one write, one sync
 *
 * A group is encoded into one buffer: settlements that are due, then for each
 * record its head and a copy of its parts (the copy is made while the checksum
 * has them in the cache; it spares us vectors, their limits and what to do when
 * one was written in part). Then, in this order:
 *
 *   write ─► fdatasync ─► index, bits, counts (under the lock) ─► done
 *
 * so that nobody sees a record that might still be lost. When write or sync
 * fails, the segment is given up and the group is encoded again, from the
 * callers' memory, into a new segment; when that fails too, all are refused.
 *
 * A spool that refuses is tried again when somebody appends, and by itself
 * after a while, lest those who ask for its state before they append never do.
 *
 * Settlements by themselves are written without a sync: a crash that forgets
 * them brings records twice. Only where they are to replace others, in files
 * that are about to be used again, they are synced too. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/clock.h"
#include "hookbridge/crc32c.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* Settled pages in one group; there are more in the next one. */
#define PAGES_AT_ONCE 512

/* --- settlements ---------------------------------------------------------- */

static bool
pages_are_full(const struct hb_spool *spool, size_t count)
{
	uint64_t records = count / HB_SPOOL_SETTLED_MAX + 1;

	return count >= PAGES_AT_ONCE ||
	       !hb_spool_output_fits(&spool->out,
		   records * HB_SPOOL_HEAD_SIZE +
		       (count + 1) * HB_SPOOL_PAGE_SIZE,
		   0, count + 1, 0);
}

/* Under the lock. Takes marked pages that still matter. */
static void
take_pages(struct hb_spool *spool, struct hb_spool_group *group)
{
	uint64_t number;

	while (!pages_are_full(spool, group->page_count) &&
	       hb_spool_bits_unmark(&spool->live, &number)) {
		if (!hb_spool_page_matters(spool, number))
			continue;
		if (group->pages == NULL)
			group->pages = hb_xreallocarray(
			    NULL, PAGES_AT_ONCE, sizeof(number));
		group->pages[group->page_count++] = number;
	}
}

/* One SETTLED record. */
static void
put_pages(struct hb_spool *spool, struct hb_spool_group *group, size_t at,
    size_t count)
{
	size_t len = count * HB_SPOOL_PAGE_SIZE;
	uint8_t *out =
	    hb_spool_buf_add(&group->buf, HB_SPOOL_HEAD_SIZE + len);
	uint8_t *payload = out + HB_SPOOL_HEAD_SIZE;
	struct hb_spool_head head = {.type = HB_SPOOL_SETTLED,
	    .len = (uint32_t)len,
	    .synced = spool->out.synced,
	    .appended_ms = group->now_ms};

	for (size_t i = 0; i < count; i++) {
		struct hb_spool_settled settled;

		hb_spool_bits_get_settled(&spool->live, group->pages[at + i],
		    spool->next_seq, &settled);
		hb_spool_settled_put(
		    &settled, payload + i * HB_SPOOL_PAGE_SIZE);
	}
	head.payload_crc = hb_crc32c(spool->out.seg->key.seed, payload, len);
	hb_spool_head_put(&head, spool->out.seg->key, out);
}

static void
put_settlements(struct hb_spool *spool, struct hb_spool_group *group)
{
	pthread_mutex_lock(&spool->lock);
	take_pages(spool, group);
	for (size_t at = 0; at < group->page_count;
	     at += HB_SPOOL_SETTLED_MAX) {
		size_t rest = group->page_count - at;

		put_pages(spool, group, at,
		    rest < HB_SPOOL_SETTLED_MAX ? rest : HB_SPOOL_SETTLED_MAX);
	}
	spool->flush_ms = 0;
	spool->is_behind = spool->live.dirty != NULL;
	if (spool->is_behind)
		hb_spool_writer_expect(spool);
	pthread_mutex_unlock(&spool->lock);
}

/* --- records -------------------------------------------------------------- */

static bool
has_number(const struct hb_spool *spool, const struct hb_spool_lane *lane)
{
	return lane->segment_number == spool->out.seg->header.number;
}

static bool
fits(const struct hb_spool *spool, const struct hb_spool_group *group,
    const struct hb_spool_append *append)
{
	uint64_t size = hb_spool_record_size(append->ref.len);
	size_t name_len = append->lane->name_len;

	/* A group is as long as it may be, but has one record at least. */
	if (group->entry_count > 0 &&
	    group->buf.len + size > spool->group_size)
		return false;
	if (has_number(spool, append->lane))
		name_len = 0;
	else if (spool->out.seg->lane_count >= HB_SPOOL_LANES_MAX)
		return false;
	else
		size += hb_spool_record_size((uint32_t)name_len);
	return hb_spool_output_fits(&spool->out, group->buf.len + size,
	    group->entry_count + 1, group->page_count, 2 + name_len);
}

static void
put_lane(struct hb_spool *spool, struct hb_spool_group *group,
    struct hb_spool_lane *lane)
{
	struct hb_spool_segment *seg = spool->out.seg;
	size_t size = (size_t)hb_spool_record_size((uint32_t)lane->name_len);
	uint8_t *out = hb_spool_buf_add(&group->buf, size);
	struct hb_spool_head head = {.type = HB_SPOOL_LANE,
	    .lane = (uint32_t)seg->lane_count,
	    .len = (uint32_t)lane->name_len,
	    .synced = spool->out.synced,
	    .appended_ms = group->now_ms};

	memset(out, 0, size);
	memcpy(out + HB_SPOOL_HEAD_SIZE, lane->name, lane->name_len);
	head.payload_crc =
	    hb_crc32c(seg->key.seed, lane->name, lane->name_len);
	hb_spool_head_put(&head, seg->key, out);
	lane->segment_number = seg->header.number;
	lane->number = head.lane;
	pthread_mutex_lock(&spool->lock);
	hb_spool_segment_add_lane(seg, lane);
	pthread_mutex_unlock(&spool->lock);
}

/* The payload, padded; returns its checksum. */
static uint32_t
put_parts(struct hb_spool_group *group, const struct hb_spool_append *append,
    uint32_t seed)
{
	size_t padded = (size_t)hb_spool_pad(append->ref.len);
	uint8_t *out = hb_spool_buf_add(&group->buf, padded);
	uint32_t crc = seed;

	for (size_t i = 0; i < append->part_count; i++) {
		const struct iovec *part = &append->parts[i];

		crc = hb_crc32c(crc, part->iov_base, part->iov_len);
		if (part->iov_len > 0)
			memcpy(out, part->iov_base, part->iov_len);
		out += part->iov_len;
	}
	memset(out, 0, padded - append->ref.len);
	return crc;
}

static void
add_entry(struct hb_spool_group *group, const struct hb_spool_entry *entry)
{
	if (group->entry_count == group->entries_size) {
		group->entries_size =
		    group->entries_size > 0 ? group->entries_size * 2 : 64;
		group->entries = hb_xreallocarray(group->entries,
		    group->entries_size, sizeof(*group->entries));
	}
	group->entries[group->entry_count++] = *entry;
}

static void
put_record(struct hb_spool *spool, struct hb_spool_group *group,
    struct hb_spool_append *append)
{
	struct hb_spool_segment *seg = spool->out.seg;
	size_t at = group->buf.len;
	struct hb_spool_head head = {.type = HB_SPOOL_DATA,
	    .lane = append->lane->number,
	    .len = append->ref.len,
	    .synced = spool->out.synced,
	    .seq = spool->next_seq + group->entry_count,
	    .appended_ms = group->now_ms};
	struct hb_spool_entry entry = {.offset = spool->out.end + at,
	    .seq = head.seq,
	    .len = head.len,
	    .lane = head.lane};

	hb_spool_buf_add(&group->buf, HB_SPOOL_HEAD_SIZE);
	head.payload_crc = put_parts(group, append, seg->key.seed);
	hb_spool_head_put(&head, seg->key, group->buf.ptr + at);
	add_entry(group, &entry);
	append->ref.seq = head.seq;
}

/* --- queues --------------------------------------------------------------- */

static void
refuse(struct hb_spool_append *append, const struct hb_error *err)
{
	append->ok = false;
	append->err = *err;
	hb_loop_post(append->home, &append->task);
}

/* Takes the first one off. */
static struct hb_spool_append *
pop(struct hb_spool_queue *queue)
{
	struct hb_spool_append *append = queue->first;

	queue->first = append->next;
	if (queue->first == NULL)
		queue->end = &queue->first;
	return append;
}

static void
refuse_all(struct hb_spool *spool, const struct hb_error *err)
{
	while (spool->pending.first != NULL)
		refuse(pop(&spool->pending), err);
}

static void
refuse_long(struct hb_spool *spool)
{
	struct hb_error err;

	hb_fail(&err, HB_E_DEAD,
	    "%s: a record of %u bytes is longer than a segment takes (%u)",
	    spool->store.path, spool->pending.first->ref.len,
	    spool->record_max);
	refuse(pop(&spool->pending), &err);
}

static void
put_records(struct hb_spool *spool, struct hb_spool_group *group)
{
	struct hb_spool_append *append;

	while ((append = spool->pending.first) != NULL) {
		if (append->ref.len > spool->record_max) {
			refuse_long(spool);
			continue;
		}
		if (!fits(spool, group, append))
			break;
		if (!has_number(spool, append->lane))
			put_lane(spool, group, append->lane);
		put_record(spool, group, append);
		pop(&spool->pending);
		append->next = NULL;
		*group->end = append;
		group->end = &append->next;
	}
}

/* --- the group ------------------------------------------------------------ */

static void
group_reset(struct hb_spool_group *group)
{
	group->buf.len = 0;
	group->entry_count = 0;
	group->page_count = 0;
	group->first = NULL;
	group->end = &group->first;
	group->now_ms = hb_clock_wall_ms();
}

/* What was taken waits again. */
static void
give_back(struct hb_spool *spool, struct hb_spool_group *group)
{
	if (group->first != NULL) {
		*group->end = spool->pending.first;
		if (spool->pending.first == NULL)
			spool->pending.end = group->end;
		spool->pending.first = group->first;
	}
	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < group->page_count; i++)
		hb_spool_bits_mark(&spool->live, group->pages[i]);
	pthread_mutex_unlock(&spool->lock);
}

static void
set_failed(struct hb_spool *spool, const struct hb_error *err)
{
	hb_spool_set_state(spool,
	    err->code == HB_E_RESOURCE ? HB_SPOOL_FULL : HB_SPOOL_BROKEN, err);
}

/* Records need a file, and room for settlements besides. */
static bool
admit(struct hb_spool *spool, struct hb_error *err)
{
	if (spool->out.seg == NULL)
		return hb_spool_roll(spool, HB_SPOOL_FOR_RECORDS, err);
	return hb_spool_store_has_room(
		   &spool->store, HB_SPOOL_FOR_SETTLEMENTS) ||
	       hb_fail(err, HB_E_RESOURCE, "%s: full: max_size is used up",
		   spool->store.path);
}

/* Encodes the records that wait, as many as one group takes; those that cannot
 * be taken at all are refused. */
static void
fill_records(struct hb_spool *spool, struct hb_spool_group *group)
{
	struct hb_error err;

	if (spool->pending.first == NULL)
		return;
	if (admit(spool, &err)) {
		put_records(spool, group);
		if (group->buf.len > 0 || spool->pending.first == NULL)
			return;
		if (hb_spool_roll(spool, HB_SPOOL_FOR_RECORDS, &err)) {
			put_records(spool, group);
			return;
		}
	}
	set_failed(spool, &err);
	refuse_all(spool, &err);
}

/* Whether settlements wait; if not, nor does anybody wait for them. */
static bool
has_marks(struct hb_spool *spool)
{
	bool any;

	pthread_mutex_lock(&spool->lock);
	any = spool->live.dirty != NULL;
	if (!any)
		spool->flush_ms = 0;
	pthread_mutex_unlock(&spool->lock);
	return any;
}

/* Without a segment that has room they wait: until the next one is begun, or
 * one is begun for them. */
static void
fill_settlements(struct hb_spool *spool, struct hb_spool_group *group)
{
	struct hb_error err;

	spool->is_behind = has_marks(spool);
	if (!spool->is_behind)
		return;
	if ((spool->out.seg == NULL || pages_are_full(spool, 0)) &&
	    !hb_spool_roll(spool, HB_SPOOL_FOR_SETTLEMENTS, &err)) {
		set_failed(spool, &err);
		pthread_mutex_lock(&spool->lock);
		spool->flush_ms = 0;
		hb_spool_writer_expect(spool);
		pthread_mutex_unlock(&spool->lock);
		return;
	}
	put_settlements(spool, group);
}

static void
commit(struct hb_spool *spool, struct hb_spool_group *group)
{
	struct hb_spool_segment *seg = spool->out.seg;

	for (size_t i = 0; i < group->page_count; i++)
		hb_spool_segment_add_page(seg, group->pages[i]);
	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < group->entry_count; i++) {
		const struct hb_spool_entry *entry = &group->entries[i];

		hb_spool_segment_add_entry(seg, entry);
		hb_spool_bits_add(&spool->live, entry->seq);
		hb_spool_lane_add(seg, entry, group->now_ms);
		hb_spool_cursors_tell(seg->lanes[entry->lane]);
	}
	spool->next_seq += group->entry_count;
	spool->groups += group->entry_count > 0;
	pthread_mutex_unlock(&spool->lock);
	if (group->entry_count > 0)
		hb_spool_set_state(spool, HB_SPOOL_OK, NULL);
	hb_metric_add(spool->appends, (int64_t)group->entry_count);
	for (struct hb_spool_append *append = group->first, *next;
	     append != NULL; append = next) {
		next = append->next;
		append->ok = true;
		hb_loop_post(append->home, &append->task);
	}
}

static bool
write_group(
    struct hb_spool *spool, struct hb_spool_group *group, struct hb_error *err)
{
	bool wants_sync = group->entry_count > 0 || spool->retired_count > 0;
	uint64_t begun_us = hb_clock_mono_us();

	if (!hb_spool_output_write(&spool->out, &group->buf, err))
		return false;
	if (!wants_sync)
		return true;
	if (!hb_spool_output_sync(&spool->out, err))
		return false;
	spool->sync_us = hb_clock_mono_us() - begun_us;
	hb_metric_observe_us(spool->sync_duration, spool->sync_us);
	return true;
}

/* True: there is nothing more to do for this group. */
static bool
attempt(struct hb_spool *spool, bool with_settlements, struct hb_error *err)
{
	struct hb_spool_group *group = &spool->group;

	group_reset(group);
	if (with_settlements)
		fill_settlements(spool, group);
	fill_records(spool, group);
	if (group->buf.len == 0)
		return true;
	if (write_group(spool, group, err)) {
		commit(spool, group);
		return true;
	}
	hb_spool_give_up(spool, err);
	give_back(spool, group);
	return false;
}

/* More records wait, or more settlements than one group takes. */
static bool
has_more(struct hb_spool *spool)
{
	return spool->pending.first != NULL ||
	       (spool->group.page_count > 0 && has_marks(spool));
}

bool
hb_spool_group_run(struct hb_spool *spool, bool with_settlements)
{
	struct hb_error err;
	bool ok = attempt(spool, with_settlements, &err) ||
		  attempt(spool, with_settlements, &err);

	if (!ok) {
		spool->is_behind = true;
		set_failed(spool, &err);
		refuse_all(spool, &err);
	}
	/* The buffer is kept, unless one long record has made it large. */
	if (spool->group.buf.size > 2 * spool->group_size)
		hb_spool_buf_fini(&spool->group.buf);
	return ok && has_more(spool);
}

void
hb_spool_probe(struct hb_spool *spool)
{
	struct hb_error err;

	if (admit(spool, &err))
		hb_spool_set_state(spool, HB_SPOOL_OK, NULL);
	else
		set_failed(spool, &err);
}

void
hb_spool_group_fini(struct hb_spool_group *group)
{
	hb_spool_buf_fini(&group->buf);
	free(group->entries);
	free(group->pages);
}
