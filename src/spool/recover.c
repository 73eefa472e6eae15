/* SPDX-License-Identifier: Apache-2.0 */
/* recover.c - what is on disk becomes what is in memory
 *
 *   survey     the directory and all headers; a version that is not ours ends
 *              it here, before anything is changed
 *   limit      headers say where the records of older unsealed segments end
 *   supersede  a sealed compacted segment replaces its sources; one that is
 *              not sealed counts for nothing
 *   load       from the newest to the oldest: settlements come after what they
 *              settle, so that those of a segment are all known when its turn
 *              comes, and only live records are ever counted
 *
 * A segment is loaded from its footer, else by a scan. Of the last one the scan
 * finds the torn end; writing goes on in a new segment, whose header says so.
 * A number that belongs to a later segment is never taken from an earlier one,
 * and none that a settlement tells of is given out again, though the segment
 * that had it may be gone: a new record would be taken for settled.
 *
 * Who only looks does the same, and leaves the files as they are. A daemon may
 * be at work there meanwhile: a file that is listed and then gone was used
 * again, because its records were settled, or are in another one by now. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* The lane of records whose lane's name was damaged. */
#define LOST_AND_FOUND HB_SPAN("lost+found")

enum fate { LOAD, QUARANTINE, RECYCLE, GONE };

struct found {
	uint64_t number, size;
	struct hb_spool_header header;
	uint64_t limit; /* where its records end, if a header tells */
	bool is_sealed; /* a compacted one */
	enum fate fate;
};

struct recovery {
	struct hb_spool *spool;
	struct found *found;
	size_t count, size;
	uint64_t *surplus; /* pool files that are of no use: number, size */
	size_t surplus_count, surplus_size;
	bool only_looks;
	size_t gone; /* files, under its eyes */
	struct hb_spool_bits settled;
	uint64_t settled_end; /* one past the last number in it */
	uint64_t damaged, torn;

	/* The segment that is being loaded. */
	struct hb_spool_segment *seg;
	uint64_t seq_limit; /* where the next one begins */
	bool is_cut;	    /* it had records beyond that */
};

/* --- survey --------------------------------------------------------------- */

static void
found_add(struct recovery *rec, uint64_t number, uint64_t size)
{
	if (rec->count == rec->size) {
		rec->size = rec->size > 0 ? rec->size * 2 : 64;
		rec->found = hb_xreallocarray(
		    rec->found, rec->size, sizeof(*rec->found));
	}
	rec->found[rec->count++] =
	    (struct found){.number = number, .size = size};
}

static void
surplus_add(struct recovery *rec, uint64_t number, uint64_t size)
{
	if (rec->surplus_count == rec->surplus_size) {
		rec->surplus_size += 16;
		rec->surplus = hb_xreallocarray(rec->surplus,
		    rec->surplus_size, 2 * sizeof(*rec->surplus));
	}
	rec->surplus[2 * rec->surplus_count] = number;
	rec->surplus[2 * rec->surplus_count++ + 1] = size;
}

static void
pool_add(struct recovery *rec, uint64_t number, uint64_t size)
{
	struct hb_spool_store *store = &rec->spool->store;

	/* Who was killed may not have synced the name. */
	store->is_renamed = true;
	if (number >= store->pool_next)
		store->pool_next = number + 1;
	if (size == store->segment_size &&
	    store->pool_count < HB_SPOOL_POOL_MAX)
		store->pool[store->pool_count++] = number;
	else
		surplus_add(rec, number, size);
}

static void
on_file(void *arg, enum hb_spool_kind kind, uint64_t number, uint64_t size)
{
	struct recovery *rec = arg;
	struct hb_spool *spool = rec->spool;

	spool->store.used += size;
	if (kind == HB_SPOOL_POOL_FILE) {
		pool_add(rec, number, size);
		return;
	}
	if (number >= spool->next_number && number < UINT64_MAX)
		spool->next_number = number + 1;
	if (kind == HB_SPOOL_SEGMENT_FILE)
		found_add(rec, number, size);
	else
		hb_spool_store_note_quarantined(&spool->store);
}

/* The segment's file. -1: there is none, and it is GONE, or err. */
static int
open_found(struct recovery *rec, struct found *found, struct hb_error *err)
{
	int fd = hb_spool_store_read(
	    &rec->spool->store, found->number, NULL, err);

	if (fd < 0 && errno == ENOENT && rec->only_looks) {
		found->fate = GONE;
		rec->gone++;
	}
	return fd;
}

static bool
read_header(struct recovery *rec, struct found *found, struct hb_error *err)
{
	const struct hb_spool_store *store = &rec->spool->store;
	int fd = open_found(rec, found, err);
	struct hb_spool_footer footer;
	enum hb_spool_got_header got;

	if (fd < 0)
		return found->fate == GONE;
	got = hb_spool_read_header(fd, &found->header);
	if (got != HB_SPOOL_HEADER_GOOD ||
	    found->header.number != found->number) {
		found->fate = QUARANTINE;
	} else if (found->header.flags == HB_SPOOL_COMPACTED) {
		found->is_sealed = hb_spool_footer_read(
		    fd, &found->header, found->size, &footer);
		if (found->is_sealed)
			hb_spool_footer_fini(&footer);
	}
	close(fd);
	return got != HB_SPOOL_HEADER_FOREIGN ||
	       hb_fail(err, HB_E_CONFIG,
		   "%s: segment %016llx is of another version of hookbridge",
		   store->path, (unsigned long long)found->number);
}

static bool
survey(struct recovery *rec, struct hb_error *err)
{
	if (!hb_spool_store_list(&rec->spool->store, on_file, rec, err))
		return false;
	for (size_t i = 0; i < rec->count; i++)
		if (!read_header(rec, &rec->found[i], err))
			return false;
	return true;
}

/* --- limit and supersede -------------------------------------------------- */

static int
compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int
by_number(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return compare(x->number, y->number);
}

static int
by_seq(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = compare(x->header.first_seq, y->header.first_seq);

	return order != 0 ? order : compare(x->number, y->number);
}

/* Only an older one, by its place. */
static void
set_limit(struct recovery *rec, size_t place, const struct hb_spool_end *end)
{
	struct found key = {.number = end->number}, *older;

	older = bsearch(&key, rec->found, place, sizeof(key), by_number);
	if (older != NULL && end->offset >= HB_SPOOL_BLOCK)
		older->limit = end->offset;
}

static void
set_limits(struct recovery *rec)
{
	qsort(rec->found, rec->count, sizeof(*rec->found), by_number);
	for (size_t i = 0; i < rec->count; i++) {
		const struct hb_spool_header *header = &rec->found[i].header;

		for (size_t k = 0; rec->found[i].fate == LOAD &&
				   k < header->end_count;
		     k++)
			set_limit(rec, i, &header->ends[k]);
	}
}

static bool
is_source(const struct found *part, const struct found *whole)
{
	return part->fate == LOAD && part->number < whole->number &&
	       part->header.first_seq >= whole->header.first_seq &&
	       part->header.first_seq < whole->header.next_seq;
}

/* Of a compacted segment and its sources either it or they remain. Without a
 * footer it may be half of what it was to be; but the sources go only when it
 * is whole, so that without them its footer was damaged later. */
static void
choose(struct recovery *rec, struct found *whole)
{
	for (size_t i = 0; i < rec->count; i++) {
		struct found *part = &rec->found[i];

		if (!is_source(part, whole))
			continue;
		if (!whole->is_sealed) {
			whole->fate = RECYCLE;
			return;
		}
		part->fate = RECYCLE;
	}
}

/* The newest first: it may have compacted ones among its sources. */
static void
supersede(struct recovery *rec)
{
	for (size_t i = rec->count; i-- > 0;) {
		struct found *found = &rec->found[i];

		if (found->fate == LOAD &&
		    found->header.flags == HB_SPOOL_COMPACTED)
			choose(rec, found);
	}
	qsort(rec->found, rec->count, sizeof(*rec->found), by_seq);
}

/* --- load ----------------------------------------------------------------- */

/* Lanes are numbered as they come; those in between were damaged. */
static void
reach_lane(struct recovery *rec, uint32_t number, struct hb_span name)
{
	struct hb_spool_segment *seg = rec->seg;

	while (seg->lane_count < number)
		hb_spool_segment_add_lane(
		    seg, hb_spool_lane_get(rec->spool, LOST_AND_FOUND));
	if (seg->lane_count == number)
		hb_spool_segment_add_lane(
		    seg, hb_spool_lane_get(rec->spool, name));
}

static void
on_lane(void *arg, uint32_t number, struct hb_span name)
{
	reach_lane(arg, number, name);
}

/* One past the last number that the page says is settled. */
static uint64_t
end_of(const struct hb_spool_settled *settled)
{
	for (size_t i = HB_SPOOL_PAGE_WORDS; i-- > 0;)
		if (settled->words[i] != 0)
			return settled->number * HB_SPOOL_PAGE_SEQS +
			       64 * (i + 1) -
			       (uint64_t)__builtin_clzll(settled->words[i]);
	return 0;
}

static void
on_settled(void *arg, const struct hb_spool_settled *settled)
{
	struct recovery *rec = arg;
	uint64_t end = end_of(settled);

	if (end > rec->settled_end)
		rec->settled_end = end;
	hb_spool_bits_add_settled(&rec->settled, settled);
	if (rec->seg->page_count < HB_SPOOL_PAGES_MAX)
		hb_spool_segment_add_page(rec->seg, settled->number);
}

static void
on_data(void *arg, const struct hb_spool_entry *entry)
{
	struct recovery *rec = arg;

	if (entry->seq >= rec->seq_limit) {
		rec->is_cut = true;
		return;
	}
	reach_lane(rec, entry->lane, LOST_AND_FOUND);
	hb_spool_segment_add_entry(rec->seg, entry);
}

/* Takes it from the footer; false: records would be left over. */
static bool
take_footer(struct recovery *rec, const struct hb_spool_footer *footer)
{
	const struct hb_spool_visitor visitor = {
	    on_lane, on_settled, on_data, rec};
	const struct hb_spool_trailer *trailer = &footer->trailer;
	struct hb_spool_segment *seg = rec->seg;

	seg->end = trailer->end;
	/* Its checksum says that we wrote it: what is odd in it is a bug of
	 * ours, or malice, and is left out. */
	if (!hb_spool_footer_visit(footer, seg->header.first_seq, &visitor)) {
		seg->is_damaged = true;
		return false;
	}
	if (rec->is_cut || trailer->next_seq > rec->seq_limit)
		return false;
	seg->next_seq = trailer->next_seq;
	return true;
}

static void
take_scan(struct recovery *rec, int fd, const struct found *found)
{
	const struct hb_spool_visitor visitor = {
	    on_lane, on_settled, on_data, rec};
	struct hb_spool_scan scan;

	hb_spool_scan(
	    fd, &found->header, found->size, found->limit, &visitor, &scan);
	rec->seg->end = scan.end;
	rec->seg->is_damaged = scan.damaged > 0;
	rec->damaged += scan.damaged;
	rec->torn += scan.torn;
}

/* Fills the segment; true if its index is in its footer. */
static bool
take_file(struct recovery *rec, int fd, const struct found *found)
{
	struct hb_spool_footer footer;
	bool is_whole;

	rec->is_cut = false;
	if (!hb_spool_footer_read(fd, &found->header, found->size, &footer)) {
		take_scan(rec, fd, found);
		return false;
	}
	is_whole = take_footer(rec, &footer);
	hb_spool_footer_fini(&footer);
	return is_whole;
}

static int64_t
time_of(int fd, const struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry)
{
	uint8_t bytes[HB_SPOOL_HEAD_SIZE];
	struct hb_spool_head head;

	if (!hb_spool_read_all(fd, bytes, sizeof(bytes), entry->offset) ||
	    !hb_spool_head_get(bytes, seg->key, entry->offset,
		seg->file_size, &head))
		return seg->header.created_ms;
	return head.appended_ms;
}

/* Counts the records that are not settled. */
static void
count_live(struct recovery *rec, int fd)
{
	struct hb_spool_segment *seg = rec->seg;

	for (size_t i = 0; i < seg->entry_count; i++) {
		const struct hb_spool_entry *entry = &seg->entries[i];
		struct hb_spool_share *share;
		int64_t time = 0;

		if (hb_spool_bits_has(&rec->settled, entry->seq) ||
		    !hb_spool_bits_add(&rec->spool->live, entry->seq))
			continue;
		share = hb_spool_lane_share(
		    seg->lanes[entry->lane], entry->seq);
		if (share == NULL || share->seg != seg)
			time = time_of(fd, seg, entry);
		hb_spool_lane_add(seg, entry, time);
	}
}

static bool
load(struct recovery *rec, struct found *found, struct hb_error *err)
{
	struct hb_spool_segment *seg;
	bool has_footer;
	int fd = open_found(rec, found, err);

	if (fd < 0)
		return found->fate == GONE;
	seg = hb_spool_segment_new(&found->header);
	seg->file_size = found->size;
	rec->seg = seg;
	has_footer = take_file(rec, fd, found);
	count_live(rec, fd);
	close(fd);
	seg->is_sealed = has_footer;
	if (has_footer)
		hb_spool_segment_drop_entries(seg);
	rec->seq_limit = seg->header.first_seq;
	if (seg->next_seq > rec->spool->next_seq)
		rec->spool->next_seq = seg->next_seq;
	hb_spool_segment_insert(rec->spool, seg);
	return true;
}

/* --- all of it ------------------------------------------------------------ */

static void
dispose(struct recovery *rec)
{
	struct hb_spool_store *store = &rec->spool->store;

	for (size_t i = 0; i < rec->surplus_count; i++)
		hb_spool_store_drop(store, HB_SPOOL_POOL_FILE,
		    rec->surplus[2 * i], rec->surplus[2 * i + 1]);
	for (size_t i = 0; i < rec->count; i++) {
		const struct found *found = &rec->found[i];

		if (found->fate == QUARANTINE)
			hb_spool_store_quarantine(store, found->number);
		else if (found->fate == RECYCLE)
			hb_spool_store_recycle(
			    store, found->number, found->size);
	}
}

/* Where numbers go on. */
static bool
go_on(struct recovery *rec, struct hb_error *err)
{
	struct hb_spool *spool = rec->spool;

	if (rec->settled_end > spool->next_seq)
		spool->next_seq = rec->settled_end;
	return spool->next_seq < HB_SPOOL_SEQ_MAX / 2 ||
	       hb_fail(err, HB_E_CONFIG,
		   "%s: a segment claims numbers that no spool reaches",
		   spool->store.path);
}

static bool
load_all(struct recovery *rec, struct hb_error *err)
{
	rec->seq_limit = HB_SPOOL_SEQ_MAX;
	for (size_t i = rec->count; i-- > 0;)
		if (rec->found[i].fate == LOAD &&
		    !load(rec, &rec->found[i], err))
			return false;
	return go_on(rec, err);
}

static void
tell(const struct recovery *rec, uint64_t begun_ms)
{
	struct hb_spool_stats stats;

	hb_spool_stats(rec->spool, &stats);
	hb_log(rec->damaged > 0 ? HB_LOG_ERROR : HB_LOG_INFO,
	    "spool.recovered", HB_F_STR("directory", rec->spool->store.path),
	    HB_F_U64("records", stats.records),
	    HB_F_U64("bytes", stats.bytes),
	    HB_F_U64("segments", stats.segments),
	    HB_F_U64("damaged", rec->damaged), HB_F_U64("torn", rec->torn),
	    HB_F_U64("quarantined", stats.quarantined),
	    HB_F_U64("ms", hb_clock_mono_ms() - begun_ms));
}

static bool
find_all(struct recovery *rec, struct hb_error *err)
{
	if (!survey(rec, err))
		return false;
	if (rec->count == 0)
		return true;
	set_limits(rec);
	supersede(rec);
	return load_all(rec, err);
}

static void
recovery_fini(struct recovery *rec)
{
	hb_spool_bits_fini(&rec->settled);
	free(rec->surplus);
	free(rec->found);
}

bool
hb_spool_recover(struct hb_spool *spool, struct hb_error *err)
{
	struct recovery rec = {.spool = spool};
	uint64_t begun_ms = hb_clock_mono_ms();
	bool ok = find_all(&rec, err);

	if (ok) {
		dispose(&rec);
		if (rec.count > 0)
			tell(&rec, begun_ms);
	}
	recovery_fini(&rec);
	return ok;
}

bool
hb_spool_look(struct hb_spool *spool, bool *all, struct hb_error *err)
{
	struct recovery rec = {.spool = spool, .only_looks = true};
	bool ok = find_all(&rec, err);

	*all = rec.gone == 0;
	recovery_fini(&rec);
	return ok;
}
