/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_space.c - files used again, a budget that is used up, compaction,
 * and what verifying says of it */
#include "spool_rig.h"

#define LEN 10800 /* five in a segment; three fill half of one */
#define BUDGET (8 * RIG_SEGMENT)
/* Two segments are kept for settlements and compaction. */
#define FULL (6 * 5)

static char bytes[LEN];

static struct hb_spool_ref
put_numbered(struct rig *rig, const char *lane, unsigned number,
    struct hb_error *err)
{
	memset(bytes, (int)('A' + number % 26), LEN);
	memcpy(bytes, &number, sizeof(number));
	return rig_append(rig, rig_lane(rig, lane), bytes, LEN, err);
}

/* The numbers of a lane's records must be these, ascending. */
static void
expect_numbers(
    struct rig *rig, const char *lane, const unsigned *numbers, size_t count)
{
	struct hb_spool_cursor *cursor =
	    hb_spool_cursor_new(rig_lane(rig, lane), NULL, NULL, NULL);
	struct hb_spool_record record;
	struct hb_error err;

	for (size_t i = 0; i < count; i++) {
		unsigned number;

		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_RECORD);
		memcpy(&number, record.bytes, sizeof(number));
		assert_int_equal(number, numbers[i]);
		assert_int_equal(
		    record.bytes[LEN - 1], 'A' + (int)(number % 26));
		free(record.bytes);
	}
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_END);
	hb_spool_cursor_free(cursor);
}

static struct hb_spool_check
verify(const char *path)
{
	struct hb_spool_check check;
	struct hb_error err;

	assert_true(hb_spool_verify(path, &check, NULL, NULL, &err));
	return check;
}

/* --- files used again ----------------------------------------------------- */

/* Many times over: the disk does not grow, and what an earlier use left in a
 * file never comes back, whenever it crashes. */
static void
test_recycling(void **state)
{
	struct hb_spool_stats stats;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 100; i++) {
		struct hb_spool_ref ref = put_numbered(&rig, "a", i, NULL);

		if (i % 20 == 17) { /* half of the file is an older use's */
			struct rig copy;

			rig_copy(rig.path, rig_path(copy.path));
			/* Nor does it look like damage. */
			assert_int_equal(verify(copy.path).damaged, 0);
			rig_open(&copy);
			/* Settlements of the last moments may be forgotten,
			 * by no more than the segments that are there. */
			hb_spool_stats(copy.spool, &stats);
			assert_in_range(stats.records, 1, 9);
			hb_spool_stats(rig.spool, &stats);
			rig_end(&copy);
		}
		hb_spool_settle(&ref);
	}
	rig_rest(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, 0);
	assert_int_equal(stats.segments, 1);
	assert_true(stats.pool >= 1);
	assert_true(stats.disk_bytes <= 6 * RIG_SEGMENT);
	assert_int_equal(stats.disk_bytes,
	    (stats.segments + stats.pool) * RIG_SEGMENT);
	/* Nor would an old name, should a crash bring it back. */
	assert_false(rig_reused_too_early);
	rig_close(&rig);
	rig_open(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, 0);
	rig_end(&rig);
}

static void
put_small(struct rig *rig, const char *lane, struct hb_spool_ref *refs,
    unsigned count)
{
	struct rig_item *items = hb_xcalloc(count, sizeof(*items));

	for (unsigned i = 0; i < count; i++)
		rig_send(rig, &items[i], rig_lane(rig, lane), "x", 1);
	for (unsigned i = 0; i < count; i++) {
		assert_true(rig_wait(&items[i]));
		refs[i] = items[i].append.ref;
	}
	free(items);
}

/* A settlement outlives the segment it was written to, as long as its record's
 * segment lives. Pages of settlements are written whole: to have one that no
 * later settlement writes again, records are more than a page. */
static void
test_settlements_move_on(void **state)
{
	enum { FIRST = HB_SPOOL_PAGE_SEQS + 100, SECOND = 3000 };
	struct hb_spool_ref *refs = hb_xcalloc(FIRST, sizeof(*refs));
	struct hb_spool_stats stats;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	put_small(&rig, "a", refs, FIRST);
	for (unsigned i = 1; i < FIRST; i++)
		hb_spool_settle(&refs[i]);
	rig_rest(&rig);
	/* Now they stand in the last segment, which drains in turn. */
	put_small(&rig, "b", refs, SECOND);
	for (unsigned i = 0; i < SECOND; i++)
		hb_spool_settle(&refs[i]);
	rig_rest(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.segments, 2);
	rig_close(&rig);
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "x ");
	free(refs);
	rig_end(&rig);
}

static void
settle_small(struct hb_spool_ref *refs, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		assert_true(hb_spool_settle(&refs[i]));
}

/* A disk that does not take them keeps the segment that has them. */
static void
test_settlements_wait_for_the_disk(void **state)
{
	enum { FIRST = HB_SPOOL_PAGE_SEQS + 100, SECOND = 3000 };
	struct hb_spool_ref *refs = hb_xcalloc(FIRST, sizeof(*refs));
	struct hb_spool_stats stats;
	struct rig rig, copy;
	unsigned calls;

	(void)state;
	rig_start(&rig);
	put_small(&rig, "a", refs, FIRST);
	settle_small(refs, 1, FIRST);
	rig_rest(&rig);
	put_small(&rig, "b", refs, SECOND);
	rig_fail_kinds = 1u << RIG_WRITE | 1u << RIG_SYNC;
	rig_fail(1, UINT32_MAX / 2, EIO);
	calls = rig_all;
	settle_small(refs, 0, SECOND);
	do {
		usleep(1000);
		hb_spool_stats(rig.spool, &stats);
	} while (stats.state != HB_SPOOL_BROKEN || rig_all < calls + 8);
	rig_snapshot(&rig, copy.path);
	rig_fail(0, 0, 0);
	rig_fail_kinds = UINT_MAX;
	rig_open(&copy);
	assert_string_equal(rig_texts(&copy, "a"), "x ");
	rig_end(&copy);

	rig_rest(&rig);
	rig_close(&rig);
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "x ");
	free(refs);
	rig_end(&rig);
}

/* --- a full budget -------------------------------------------------------- */

static void
test_full(void **state)
{
	struct hb_spool_ref refs[FULL + 1];
	struct hb_spool_stats stats;
	struct hb_error err = {0};
	struct rig rig;

	(void)state;
	rig_path(rig.path);
	rig_open_size(&rig, BUDGET);
	for (unsigned i = 0; i < FULL; i++) {
		refs[i] = put_numbered(&rig, "a", i, &err);
		assert_true(refs[i].seq > 0);
	}
	assert_int_equal(put_numbered(&rig, "a", FULL, &err).seq, 0);
	assert_int_equal(err.code, HB_E_RESOURCE);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.state, HB_SPOOL_FULL);
	assert_non_null(strstr(stats.why, "max_size"));
	assert_true(stats.disk_bytes <= BUDGET);

	/* Settlements still find their place. */
	for (unsigned i = 0; i < FULL; i += 3) /* in every segment */
		hb_spool_settle(&refs[i]);
	rig_rest(&rig);
	assert_int_equal(put_numbered(&rig, "a", FULL, &err).seq, 0);
	rig_close(&rig);
	rig_open_size(&rig, BUDGET);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, FULL - FULL / 3);
	rig_end(&rig);
}

static void
test_full_drains(void **state)
{
	struct hb_spool_ref refs[FULL];
	struct hb_spool_stats stats;
	struct hb_error err = {0};
	struct rig rig;

	(void)state;
	rig_path(rig.path);
	rig_open_size(&rig, BUDGET);
	for (unsigned i = 0; i < FULL; i++)
		refs[i] = put_numbered(&rig, "a", i, &err);
	assert_int_equal(put_numbered(&rig, "a", FULL, &err).seq, 0);
	for (unsigned i = 0; i < 5; i++)
		hb_spool_settle(&refs[i]);
	rig_rest(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.state, HB_SPOOL_OK);
	assert_true(put_numbered(&rig, "a", FULL, &err).seq > 0);
	assert_true(stats.disk_bytes <= BUDGET);
	rig_end(&rig);
}

/* --- compaction ----------------------------------------------------------- */

/* Not before that time. It is the writer's to know: while he sleeps. */
static void
let_compact(struct rig *rig, uint64_t mono_ms)
{
	rig_rest(rig);
	pthread_mutex_lock(&rig->spool->lock);
	rig->spool->compact_ms = mono_ms;
	pthread_mutex_unlock(&rig->spool->lock);
}

/* One record in each segment stays: 1, 6, 11, … in lane "b". */
static size_t
make_sparse(struct rig *rig, unsigned *left)
{
	size_t count = 0;

	rig_path(rig->path);
	rig_open_size(rig, BUDGET);
	let_compact(rig, UINT64_MAX); /* not yet */
	for (unsigned i = 0; i < FULL; i++) {
		struct hb_error err;
		struct hb_spool_ref ref =
		    put_numbered(rig, i % 5 == 1 ? "b" : "a", i, &err);

		assert_true(ref.seq > 0);
		if (i % 5 == 1)
			left[count++] = i;
		else
			hb_spool_settle(&ref);
	}
	let_compact(rig, 0);
	return count;
}

static void
wait_for_segments(struct rig *rig, uint64_t wanted)
{
	struct hb_spool_stats stats;

	do {
		rig_rest(rig);
		hb_spool_stats(rig->spool, &stats);
		/* Gives the writer a turn. */
		rig_put(rig, "tick", "t");
	} while (stats.segments > wanted);
}

static void
test_compaction(void **state)
{
	struct hb_spool_lane_stats lane;
	struct hb_spool_stats stats;
	struct hb_spool_check check;
	unsigned left[FULL];
	struct rig rig;
	size_t count;

	(void)state;
	count = make_sparse(&rig, left);
	wait_for_segments(&rig, 4);
	expect_numbers(&rig, "b", left, count);
	hb_spool_lane_stats(rig_lane(&rig, "b"), &lane);
	assert_int_equal(lane.records, count);
	assert_int_equal(lane.bytes, count * LEN);
	assert_true(lane.oldest_ms > 0);
	/* There is room again. */
	assert_true(put_numbered(&rig, "c", 100, NULL).seq > 0);
	rig_close(&rig);
	check = verify(rig.path);
	assert_int_equal(check.damaged, 0);
	rig_open_size(&rig, BUDGET);
	hb_spool_stats(rig.spool, &stats);
	assert_true(stats.segments <= 5);
	expect_numbers(&rig, "b", left, count);
	rig_end(&rig);
}

/* A cursor in the middle of a segment that goes away under it. */
static void
test_compaction_under_a_cursor(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_error err;
	unsigned left[FULL], number;
	struct rig rig;
	size_t count;

	(void)state;
	count = make_sparse(&rig, left);
	cursor = hb_spool_cursor_new(rig_lane(&rig, "b"), NULL, NULL, NULL);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_RECORD);
		memcpy(&number, record.bytes, sizeof(number));
		assert_int_equal(number, left[i]);
		free(record.bytes);
		if (i == 1)
			wait_for_segments(&rig, 4);
	}
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_END);
	hb_spool_cursor_free(cursor);
	rig_end(&rig);
}

/* A crash at any moment of it: copies are taken as it goes, from another
 * thread's view of the directory. */
static void
test_compaction_and_crashes(void **state)
{
	struct hb_spool_stats stats;
	unsigned left[FULL];
	struct rig rig, copy;
	size_t count;

	(void)state;
	count = make_sparse(&rig, left);
	do {
		struct hb_spool_cursor *cursor;
		struct hb_spool_record record;
		struct rig_counts counts;
		struct hb_error err;
		size_t next = 0;

		hb_spool_stats(rig.spool, &stats);
		/* A copy is no snapshot: names go while it is made. The lock
		 * keeps the writer between two steps meanwhile, or nearly. */
		pthread_mutex_lock(&rig.spool->lock);
		rig_copy(rig.path, rig_path(copy.path));
		pthread_mutex_unlock(&rig.spool->lock);
		counts = rig_survey(copy.path);
		rig_open_size(&copy, BUDGET);
		assert_string_equal(rig_counts(&copy).text, counts.text);
		cursor = hb_spool_cursor_new(
		    rig_lane(&copy, "b"), NULL, NULL, NULL);
		while (hb_spool_cursor_next(cursor, &record, &err) ==
		       HB_SPOOL_RECORD) {
			unsigned number;

			memcpy(&number, record.bytes, sizeof(number));
			assert_int_equal(number, left[next]);
			next++;
			free(record.bytes);
		}
		assert_int_equal(next, count);
		hb_spool_cursor_free(cursor);
		rig_end(&copy);
		rig_put(&rig, "tick", "t");
	} while (stats.segments > 4);
	rig_end(&rig);
}

/* What fails while it copies changes nothing: neither one failure, nor a disk
 * that is gone from there on and leaves what was begun. */
static void
test_compaction_fails(void **state)
{
	unsigned left[FULL];
	struct rig rig, copy;
	size_t count;

	(void)state;
	for (unsigned n = 1; n < 24; n++) {
		count = make_sparse(&rig, left);
		rig_fail(n, n % 2 != 0 ? 1 : UINT32_MAX / 2, EIO);
		for (int i = 0; i < 4; i++)
			rig_put(&rig, "tick", "t");
		rig_snapshot(&rig, copy.path);
		rig_fail(0, 0, 0);
		rig_open_size(&copy, BUDGET);
		expect_numbers(&copy, "b", left, count);
		rig_end(&copy);
		expect_numbers(&rig, "b", left, count);
		rig_close(&rig);
		rig_open_size(&rig, BUDGET);
		expect_numbers(&rig, "b", left, count);
		rig_end(&rig);
	}
}

/* Its footer is damaged, its sources are gone: it is scanned. */
static void
test_compacted_without_footer(void **state)
{
	struct rig_counts counts;
	unsigned left[FULL];
	struct rig rig;
	size_t count;
	int fd;

	(void)state;
	count = make_sparse(&rig, left);
	wait_for_segments(&rig, 4);
	rig_close(&rig);
	for (uint64_t number = 0; number < 40; number++) {
		char name[HB_SPOOL_FILE_NAME], file[RIG_PATH + 64];

		hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, name);
		snprintf(file, sizeof(file), "%s/%s", rig.path, name);
		fd = open(file, O_RDWR);
		if (fd < 0)
			continue;
		assert_int_equal(
		    syscall(SYS_pwrite64, fd, "X", (size_t)1,
			(off_t)(RIG_SEGMENT - HB_SPOOL_BLOCK)),
		    1);
		close(fd);
	}
	counts = rig_survey(rig.path);
	rig_open_size(&rig, BUDGET);
	assert_string_equal(rig_counts(&rig).text, counts.text);
	expect_numbers(&rig, "b", left, count);
	rig_end(&rig);
}

/* --- verifying ------------------------------------------------------------ */

static unsigned sentences;

static void
on_sentence(void *arg, const char *sentence)
{
	(void)arg;
	assert_true(strlen(sentence) > 10);
	sentences++;
}

static void
test_verify(void **state)
{
	struct hb_spool_check check;
	struct hb_error err;
	struct hb_spool_ref ref;
	struct rig rig;
	int fd;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < 12; i++)
		ref = put_numbered(&rig, "a", i, NULL);
	hb_spool_settle(&ref);
	check = verify(rig.path);
	assert_true(check.in_use);
	assert_int_equal(check.records, 12);
	rig_close(&rig);
	check = verify(rig.path);
	assert_false(check.in_use);
	assert_int_equal(check.segments, 3);
	assert_int_equal(check.sealed, 3);
	assert_int_equal(check.records, 12);
	assert_int_equal(check.unsettled, 11);
	assert_int_equal(check.damaged, 0);

	fd = open(rig_segment(rig.path, false), O_RDWR);
	assert_int_equal(
	    syscall(SYS_pwrite64, fd, "?", (size_t)1, (off_t)30000), 1);
	close(fd);
	assert_true(
	    hb_spool_verify(rig.path, &check, on_sentence, NULL, &err));
	assert_int_equal(check.records, 11);
	assert_int_equal(check.damaged, 1);
	assert_int_equal(sentences, 2);
	/* It changed nothing. */
	rig_open(&rig);
	assert_int_equal(rig_count_files(rig.path, ".seg"), 3);
	rig_end(&rig);
	assert_false(hb_spool_verify(rig.path, &check, NULL, NULL, &err));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recycling),
	    cmocka_unit_test(test_settlements_move_on),
	    cmocka_unit_test(test_settlements_wait_for_the_disk),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_full_drains),
	    cmocka_unit_test(test_compaction),
	    cmocka_unit_test(test_compaction_under_a_cursor),
	    cmocka_unit_test(test_compaction_and_crashes),
	    cmocka_unit_test(test_compaction_fails),
	    cmocka_unit_test(test_compacted_without_footer),
	    cmocka_unit_test(test_verify),
	};

	return cmocka_run_group_tests(tests, rig_setup_fast, rig_teardown);
}
