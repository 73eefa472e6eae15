/* SPDX-License-Identifier: Apache-2.0 */
/* compact.c - segments with few records left become one
 *
 * One record that cannot be delivered holds a whole segment. When more than
 * half of the budget is taken, neighbours whose live records together fill half
 * a segment at most are copied, in order and with their numbers, into a new
 * one, which then takes their place. Nothing is copied for less gain than that;
 * and when nothing can be, any two neighbours hold half a segment, so that a
 * spool takes about four times what lives in it at most.
 *
 *   pick ─► copy, a megabyte each turn ─► seal, sync ─► swap ─► sources retire
 *
 * The writer goes on with its groups between the steps. Until the swap the
 * copy counts for nothing, whatever happens. Records that are settled while
 * they are copied are left out at the swap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/crc32c.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define STEP_SIZE (1u << 20)
#define ENTRIES_AT_ONCE 64
#define INTERVAL_MS 1000
#define SETBACK_MS 30000

struct hb_spool_compaction {
	struct hb_spool_segment **sources;
	size_t source_count;
	size_t source; /* which is being copied, up to its entry at */
	size_t at;
	/* Its lanes' numbers in the copy, one more each; 0: not yet known. */
	uint32_t *numbers;
	int fd;
	struct hb_spool_output out;
	struct hb_spool_buf buf;
};

/* --- pick ----------------------------------------------------------------- */

struct run {
	size_t first, count;
	uint64_t bytes, entries, pages, names;
};

static void
run_add(struct run *run, const struct hb_spool_segment *seg, bool add)
{
	uint64_t sign = add ? 1 : UINT64_MAX; /* times -1 */

	run->count += (size_t)sign;
	run->bytes += sign * seg->live_bytes;
	run->entries += sign * seg->live;
	run->pages += sign * seg->page_count;
	run->names += sign * seg->lane_count;
}

/* Names stand in a record and in the footer. */
static bool
run_fits(const struct hb_spool *spool, const struct run *run)
{
	uint64_t half = spool->segment_size / 2;

	return run->bytes <= half && run->entries <= HB_SPOOL_ENTRIES_MAX &&
	       run->pages <= HB_SPOOL_PAGES_MAX &&
	       run->names <= HB_SPOOL_LANES_MAX &&
	       run->entries * HB_SPOOL_ENTRY_SIZE +
		       run->pages * HB_SPOOL_PAGE_SIZE +
		       run->names * (HB_SPOOL_HEAD_SIZE +
					2 * HB_SPOOL_NAME_MAX) <=
		   half - 2 * HB_SPOOL_BLOCK;
}

/* The longest run that fits, among all but the last segment. */
static struct run
find_run(const struct hb_spool *spool)
{
	struct run run = {0}, best = {0};

	for (size_t i = 0; i + 1 < spool->segment_count; i++) {
		run_add(&run, spool->segments[i], true);
		while (run.count > 0 && !run_fits(spool, &run))
			run_add(&run, spool->segments[run.first++], false);
		if (run.count > best.count)
			best = run;
	}
	return best;
}

/* Under the lock; NULL if it is not worth it. */
static struct hb_spool_compaction *
pick(struct hb_spool *spool)
{
	struct run run = find_run(spool);
	struct hb_spool_compaction *c;

	if (run.count < 2)
		return NULL;
	c = hb_xcalloc(1, sizeof(*c));
	c->fd = c->out.fd = -1;
	c->sources = hb_xreallocarray(
	    NULL, run.count, sizeof(struct hb_spool_segment *));
	c->source_count = run.count;
	for (size_t i = 0; i < run.count; i++) {
		c->sources[i] = spool->segments[run.first + i];
		c->sources[i]->pins++;
	}
	return c;
}

/* --- begin, end ----------------------------------------------------------- */

static void
compaction_free(struct hb_spool *spool, struct hb_spool_compaction *c)
{
	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < c->source_count; i++)
		c->sources[i]->pins--;
	spool->wants_retiring = true;
	pthread_mutex_unlock(&spool->lock);
	if (c->fd >= 0)
		close(c->fd);
	hb_spool_buf_fini(&c->buf);
	free(c->numbers);
	free(c->sources);
	free(c);
	spool->compaction = NULL;
}

void
hb_spool_compact_abort(struct hb_spool *spool)
{
	struct hb_spool_compaction *c = spool->compaction;
	struct hb_spool_segment *seg;

	if (c == NULL)
		return;
	seg = c->out.seg;
	if (seg != NULL) {
		hb_spool_output_close(&c->out);
		hb_spool_store_drop(&spool->store, HB_SPOOL_SEGMENT_FILE,
		    seg->header.number, seg->file_size);
		hb_spool_segment_free(seg);
	}
	compaction_free(spool, c);
	spool->compact_ms = hb_clock_mono_ms() + SETBACK_MS;
}

static void
fail(struct hb_spool *spool, const struct hb_error *err)
{
	hb_log_limited(HB_LOG_WARNING, "spool.error",
	    HB_F_STR("directory", spool->store.path),
	    HB_F_STR("error", err->text));
	hb_spool_compact_abort(spool);
}

static bool
open_output(struct hb_spool *spool, struct hb_spool_compaction *c,
    struct hb_error *err)
{
	struct hb_spool_segment *last = c->sources[c->source_count - 1];
	struct hb_spool_header header = {.flags = HB_SPOOL_COMPACTED,
	    .first_seq = c->sources[0]->header.first_seq,
	    .next_seq = last->next_seq};

	if (header.next_seq - header.first_seq > UINT32_MAX ||
	    header.next_seq == header.first_seq)
		return hb_fail(err, HB_E_RESOURCE,
		    "the range of numbers is too long, or empty");
	if (!hb_spool_output_open(spool, &c->out, &header, err))
		return false;
	for (size_t i = 0; i < c->source_count; i++)
		for (size_t k = 0; k < c->sources[i]->page_count; k++)
			hb_spool_segment_add_page(
			    c->out.seg, c->sources[i]->pages[k]);
	return true;
}

static bool
begin(struct hb_spool *spool)
{
	struct hb_error err;

	if (hb_clock_mono_ms() < spool->compact_ms ||
	    !hb_spool_store_is_pressed(&spool->store) ||
	    !hb_spool_store_has_room(&spool->store, HB_SPOOL_FOR_COMPACTION))
		return false;
	spool->compact_ms = hb_clock_mono_ms() + INTERVAL_MS;
	pthread_mutex_lock(&spool->lock);
	spool->compaction = pick(spool);
	pthread_mutex_unlock(&spool->lock);
	if (spool->compaction == NULL)
		return false;
	if (open_output(spool, spool->compaction, &err))
		return true;
	fail(spool, &err);
	return false;
}

/* --- copy ----------------------------------------------------------------- */

static void
put_record(struct hb_spool_compaction *c, struct hb_spool_head *head,
    const void *payload)
{
	struct hb_spool_key key = c->out.seg->key;
	size_t size = (size_t)hb_spool_record_size(head->len);
	uint8_t *out = hb_spool_buf_add(&c->buf, size);

	memset(out + size - 8, 0, 8);
	memcpy(out + HB_SPOOL_HEAD_SIZE, payload, head->len);
	head->synced = HB_SPOOL_BLOCK;
	head->payload_crc = hb_crc32c(key.seed, payload, head->len);
	hb_spool_head_put(head, key, out);
}

/* The lane's number in the new segment, where it is told its name. */
static uint32_t
number_lane(struct hb_spool_compaction *c, struct hb_spool_lane *lane)
{
	struct hb_spool_segment *seg = c->out.seg;
	struct hb_spool_head head = {.type = HB_SPOOL_LANE,
	    .lane = (uint32_t)seg->lane_count,
	    .len = (uint32_t)lane->name_len};

	for (uint32_t i = 0; i < seg->lane_count; i++)
		if (seg->lanes[i] == lane)
			return i;
	put_record(c, &head, lane->name);
	hb_spool_segment_add_lane(seg, lane);
	return head.lane;
}

/* Looked for once in each source. */
static uint32_t
lane_number(struct hb_spool_compaction *c, uint32_t number)
{
	if (c->numbers[number] == 0)
		c->numbers[number] =
		    number_lane(c, c->sources[c->source]->lanes[number]) + 1;
	return c->numbers[number] - 1;
}

/* False: the disk refuses, perhaps for now. */
static bool
copy_record(struct hb_spool *spool, struct hb_spool_compaction *c,
    const struct hb_spool_entry *entry)
{
	struct hb_spool_segment *source = c->sources[c->source];
	struct hb_spool_entry copy = *entry;
	struct hb_spool_head head;
	char *bytes;

	if (!hb_spool_read_record(c->fd, source, entry, &head, &bytes)) {
		if (errno != EBADMSG)
			return false;
		hb_spool_lose(spool, source, entry);
		return true;
	}
	copy.lane = lane_number(c, entry->lane);
	copy.offset = c->out.end + c->buf.len;
	head.lane = copy.lane;
	put_record(c, &head, bytes);
	hb_spool_segment_add_entry(c->out.seg, &copy);
	free(bytes);
	return true;
}

/* Copies what lives of some entries; 0: the source has no more; -1: it cannot
 * be read. */
static ssize_t
copy_some(struct hb_spool *spool, struct hb_spool_compaction *c)
{
	struct hb_spool_entry entries[ENTRIES_AT_ONCE];
	ssize_t n = hb_spool_read_entries(spool, c->fd,
	    c->sources[c->source], c->at, entries, HB_COUNT(entries));

	for (ssize_t i = 0; i < n; i++)
		if (hb_spool_is_live(spool, entries[i].seq) &&
		    !copy_record(spool, c, &entries[i]))
			return -1;
	if (n > 0)
		c->at += (size_t)n;
	return n;
}

static bool
next_source(struct hb_spool *spool, struct hb_spool_compaction *c,
    struct hb_error *err)
{
	const struct hb_spool_segment *source = c->sources[c->source];

	if (c->fd >= 0)
		return true;
	free(c->numbers);
	c->numbers = hb_xcalloc(source->lane_count + 1, sizeof(*c->numbers));
	c->at = 0;
	c->fd = hb_spool_store_read(
	    &spool->store, source->header.number, NULL, err);
	return c->fd >= 0;
}

/* About a megabyte, or the rest of a source. */
static bool
copy(struct hb_spool *spool, struct hb_spool_compaction *c,
    struct hb_error *err)
{
	ssize_t n;

	if (!next_source(spool, c, err))
		return false;
	do
		n = copy_some(spool, c);
	while (n > 0 && c->buf.len < STEP_SIZE);
	if (n < 0)
		return hb_spool_store_fail(&spool->store, err,
		    "reading a segment to compact it", spool->store.path);
	if (n == 0) {
		close(c->fd);
		c->fd = -1;
		c->source++;
	}
	if (!hb_spool_output_fits(&c->out, c->buf.len, 0, 0, 0))
		return hb_fail(err, HB_E_RESOURCE, "it does not fit");
	if (c->buf.len > 0 && !hb_spool_output_write(&c->out, &c->buf, err))
		return false;
	c->buf.len = 0;
	return true;
}

/* --- swap ----------------------------------------------------------------- */

/* The lane's oldest record among the sources. */
static int64_t
oldest_of(struct hb_spool_lane *lane, uint64_t first_seq)
{
	struct hb_spool_share *share = hb_spool_lane_share(lane, first_seq);

	return share != NULL ? share->first_ms : 0;
}

/* Under the lock. */
static void
count_copies(struct hb_spool *spool, struct hb_spool_segment *seg,
    const int64_t *oldest)
{
	for (size_t i = 0; i < seg->entry_count; i++) {
		const struct hb_spool_entry *entry = &seg->entries[i];

		if (hb_spool_bits_has(&spool->live, entry->seq))
			hb_spool_lane_add(seg, entry, oldest[entry->lane]);
	}
	hb_spool_segment_drop_entries(seg);
}

static void
swap(struct hb_spool *spool, struct hb_spool_compaction *c)
{
	struct hb_spool_segment *seg = c->out.seg;
	int64_t *oldest = hb_xcalloc(seg->lane_count + 1, sizeof(*oldest));
	uint64_t records;

	hb_spool_output_close(&c->out);
	seg->is_sealed = true;
	seg->next_seq = seg->header.next_seq;
	pthread_mutex_lock(&spool->lock);
	for (size_t i = 0; i < seg->lane_count; i++)
		oldest[i] = oldest_of(seg->lanes[i], seg->header.first_seq);
	for (size_t i = 0; i < c->source_count; i++) {
		hb_spool_lanes_forget(c->sources[i]);
		hb_spool_retire(spool, c->sources[i]);
	}
	hb_spool_segment_insert(spool, seg);
	count_copies(spool, seg, oldest);
	records = seg->live;
	pthread_mutex_unlock(&spool->lock);
	free(oldest);
	hb_log(HB_LOG_INFO, "spool.compacted",
	    HB_F_STR("directory", spool->store.path),
	    HB_F_U64("segments", c->source_count),
	    HB_F_U64("records", records));
	compaction_free(spool, c);
	spool->compact_ms = 0; /* there may be more */
}

bool
hb_spool_compact(struct hb_spool *spool)
{
	struct hb_spool_compaction *c = spool->compaction;
	struct hb_error err;
	bool is_copied, ok;

	if (c == NULL)
		return begin(spool);
	is_copied = c->source == c->source_count;
	ok = is_copied ? hb_spool_footer_write(spool, &c->out, &err)
		       : copy(spool, c, &err);
	if (!ok)
		fail(spool, &err);
	else if (is_copied)
		swap(spool, c);
	return true;
}
