/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_faults.c - a disk that refuses, at every call there is
 *
 * The same small history runs with the n-th call failing, for n from 1 until
 * none fails any more; once for a single failure, once for a disk that stays
 * broken from there on. Whatever was said to be on disk must be there after a
 * crash at the end; nothing else is promised, and nothing may hang. */
#include "spool_rig.h"

#define RECORDS 9
#define LEN 18000 /* three in a segment: the history begins new ones */

struct history {
	bool ok[RECORDS];
	bool settled[RECORDS];
	enum hb_code code; /* of the last refusal */
};

static void
fill_bytes(char *bytes, int i)
{
	memset(bytes, 'A' + i, LEN);
}

/* One after the other; the early ones are settled, so that a file is used
 * again. */
static void
run_history(struct rig *rig, struct history *history)
{
	struct hb_spool_lane *lane = rig_lane(rig, "a");
	char *bytes = hb_xmalloc(LEN);

	*history = (struct history){0};
	for (int i = 0; i < RECORDS; i++) {
		struct hb_error err = {0};
		struct hb_spool_ref ref;

		fill_bytes(bytes, i);
		ref = rig_append(rig, lane, bytes, LEN, &err);
		history->ok[i] = ref.seq > 0;
		if (!history->ok[i])
			history->code = err.code;
		if (history->ok[i] && i < 4) {
			hb_spool_settle(&ref);
			history->settled[i] = true;
		}
	}
	free(bytes);
}

/* What a crash now would leave. */
static void
check_history(struct rig *rig, const struct history *history, unsigned n)
{
	struct rig copy;
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_error err;
	bool has[RECORDS] = {0};
	int last = -1;

	rig_snapshot(rig, copy.path);
	rig_open(&copy);
	cursor = hb_spool_cursor_new(rig_lane(&copy, "a"), NULL, NULL, NULL);
	while (hb_spool_cursor_next(cursor, &record, &err) ==
	       HB_SPOOL_RECORD) {
		int i = record.bytes[0] - 'A';

		assert_true(record.ref.len == LEN && i > last && i < RECORDS);
		has[i] = true;
		last = i;
		free(record.bytes);
	}
	hb_spool_cursor_free(cursor);
	for (int i = 0; i < RECORDS; i++)
		if (history->ok[i] && !history->settled[i] && !has[i])
			fail_msg("call %u: record %d is lost", n, i);
	/* It works again. */
	assert_true(rig_put(&copy, "b", "well").seq > 0);
	rig_end(&copy);
}

/* How many calls the history makes when none fails. */
static unsigned
count_calls(void)
{
	struct history history;
	struct rig rig;
	unsigned before;

	rig_start(&rig);
	before = rig_all;
	run_history(&rig, &history);
	for (int i = 0; i < RECORDS; i++)
		assert_true(history.ok[i]);
	before = rig_all - before;
	rig_end(&rig);
	return before;
}

static void
fail_each(unsigned count, int error, bool is_short)
{
	unsigned calls = count_calls();

	for (unsigned n = 1; n <= calls; n++) {
		struct history history;
		struct rig rig;

		rig_start(&rig);
		rig_fail_short = is_short;
		rig_fail(n, count, error);
		run_history(&rig, &history);
		rig_fail(0, 0, 0);
		check_history(&rig, &history, n);
		rig_end(&rig);
	}
}

static void
test_one_failure(void **state)
{
	(void)state;
	fail_each(1, EIO, false);
	fail_each(1, ENOSPC, true);
	fail_each(1, EINTR, false);
}

static void
test_two_failures(void **state)
{
	(void)state;
	fail_each(2, EIO, true);
}

static void
test_broken_from_there_on(void **state)
{
	(void)state;
	fail_each(UINT32_MAX / 2, EIO, false);
	fail_each(UINT32_MAX / 2, ENOSPC, true);
}

/* One failure is made up for: no caller sees it. */
static void
test_a_failed_sync_is_made_up_for(void **state)
{
	struct hb_spool_stats stats;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_fail(2, 1, EIO); /* the write, then the sync */
	assert_true(rig_put(&rig, "a", "two").seq > 0);
	rig_fail(1, 1, ENOSPC); /* the write */
	assert_true(rig_put(&rig, "a", "three").seq > 0);
	rig_fail(0, 0, 0);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.segments, 3);
	assert_int_equal(stats.state, HB_SPOOL_OK);
	assert_string_equal(rig_texts(&rig, "a"), "one two three ");
	rig_close(&rig);
	rig_open(&rig);
	/* What stood in the file that failed is not taken a second time. */
	assert_string_equal(rig_texts(&rig, "a"), "one two three ");
	rig_end(&rig);
}

/* Nor when another file has to be begun. */
static void
test_a_failed_beginning_is_made_up_for(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 6; n++) {
		struct rig rig;

		rig_start(&rig);
		rig_fail(n, 1, EIO);
		assert_true(rig_put(&rig, "a", "one").seq > 0);
		assert_true(rig_all >= rig_fail_first);
		rig_fail(0, 0, 0);
		assert_string_equal(rig_texts(&rig, "a"), "one ");
		rig_end(&rig);
	}
}

/* What close() says comes too late to matter, and is told. */
static void
test_a_failed_close(void **state)
{
	int64_t errors = rig_metric(HB_M_SPOOL_ERRORS);
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_fail(1, 1, EIO); /* the segment is given up */
	rig_fail_closes = 1;
	assert_true(rig_put(&rig, "a", "two").seq > 0);
	assert_int_equal(rig_fail_closes, 0);
	assert_int_equal(rig_metric(HB_M_SPOOL_ERRORS) - errors, 2);
	assert_string_equal(rig_texts(&rig, "a"), "one two ");
	rig_close(&rig);
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "one two ");
	rig_end(&rig);
}

/* A segment that was given up leaves the writer nothing to do. */
static void
test_it_sleeps_after_a_failure(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_fail(1, 1, EIO);
	assert_true(rig_put(&rig, "a", "two").seq > 0);
	rig_rest(&rig);
	rig_end(&rig);
}

/* Who looks at the state before he appends will see that it is well again. */
static void
test_it_heals_by_itself(void **state)
{
	static const int errors[] = {EIO, ENOSPC};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(errors); i++) {
		struct hb_spool_stats stats;
		struct rig rig;

		rig_start(&rig);
		rig_fail(1, UINT32_MAX / 2, errors[i]);
		assert_int_equal(rig_put(&rig, "a", "x").seq, 0);
		hb_spool_stats(rig.spool, &stats);
		assert_int_not_equal(stats.state, HB_SPOOL_OK);
		rig_fail(0, 0, 0);
		while (stats.state != HB_SPOOL_OK) {
			usleep(1000);
			hb_spool_stats(rig.spool, &stats);
		}
		assert_true(rig_put(&rig, "a", "y").seq > 0);
		rig_end(&rig);
	}
}

/* A disk that refuses to read for a while loses nothing; one that goes on
 * refusing does not hold up what is behind. */
static void
test_reads_that_fail(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_spool_stats stats;
	struct hb_error err;
	struct rig rig;
	unsigned later = 0;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_put(&rig, "a", "two");
	cursor = hb_spool_cursor_new(rig_lane(&rig, "a"), NULL, NULL, NULL);
	rig_fail_reads = 2;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_LATER);
		assert_int_equal(err.code, HB_E_IO);
	}
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_memory_equal(record.bytes, "one", 3);
	free(record.bytes);
	hb_spool_cursor_seek(cursor, 0);
	rig_fail_reads = 5;
	while (hb_spool_cursor_next(cursor, &record, &err) == HB_SPOOL_LATER)
		later++;
	assert_int_equal(later, 4);
	assert_memory_equal(record.bytes, "two", 3);
	free(record.bytes);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.lost, 1);
	assert_int_equal(stats.records, 1);
	hb_spool_cursor_free(cursor);
	rig_end(&rig);
}

/* Without its index the rest of a segment is passed over until the next
 * start. */
static void
test_an_index_that_cannot_be_read(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_spool_stats stats;
	struct hb_error err;
	struct rig rig;
	unsigned later = 0;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_close(&rig);
	rig_open(&rig);
	rig_put(&rig, "a", "two");
	cursor = hb_spool_cursor_new(rig_lane(&rig, "a"), NULL, NULL, NULL);
	rig_fail_reads = 5;
	while (hb_spool_cursor_next(cursor, &record, &err) == HB_SPOOL_LATER)
		later++;
	assert_int_equal(later, 4);
	assert_memory_equal(record.bytes, "two", 3);
	free(record.bytes);
	hb_spool_cursor_free(cursor);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.lost, 0);
	assert_int_equal(stats.records, 2);
	rig_close(&rig);
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "one two ");
	rig_end(&rig);
}

/* The disk's word decides the code; the next attempts wait, then it heals. */
static void
test_codes_and_backoff(void **state)
{
	const struct {
		int error;
		enum hb_code code;
		enum hb_spool_state state;
	} cases[] = {
	    {EIO, HB_E_IO, HB_SPOOL_BROKEN},
	    {EROFS, HB_E_IO, HB_SPOOL_BROKEN},
	    {ENOSPC, HB_E_RESOURCE, HB_SPOOL_FULL},
	    {EDQUOT, HB_E_RESOURCE, HB_SPOOL_FULL},
	    {EFBIG, HB_E_RESOURCE, HB_SPOOL_FULL},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_spool_stats stats;
		struct hb_error err = {0};
		struct rig rig;
		unsigned calls;

		rig_start(&rig);
		rig_fail(1, UINT32_MAX / 2, cases[i].error);
		assert_int_equal(
		    rig_append(&rig, rig_lane(&rig, "a"), "x", 1, &err).seq,
		    0);
		assert_int_equal(err.code, cases[i].code);
		hb_spool_stats(rig.spool, &stats);
		assert_int_equal(stats.state, cases[i].state);
		assert_string_equal(stats.why, err.text);
		calls = rig_all;
		assert_int_equal(rig_put(&rig, "a", "x").seq, 0);
		assert_int_equal(rig_all, calls); /* it does not even try */
		rig_fail(0, 0, 0);
		while (rig_put(&rig, "a", "y").seq == 0)
			usleep(10000);
		hb_spool_stats(rig.spool, &stats);
		assert_int_equal(stats.state, HB_SPOOL_OK);
		assert_string_equal(rig_texts(&rig, "a"), "y ");
		rig_end(&rig);
	}
}

/* File systems without fallocate() and without fsync() of a directory. */
static void
test_modest_file_systems(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_fail(2, 1, EOPNOTSUPP); /* create, allocate */
	assert_true(rig_put(&rig, "a", "one").seq > 0);
	rig_fail(0, 0, 0);
	rig_close(&rig);
	rig_open(&rig);
	/* create, allocate, write, sync, rename, sync */
	rig_fail(6, 1, EINVAL);
	assert_true(rig_put(&rig, "a", "two").seq > 0);
	assert_true(rig_all >= rig_fail_end);
	rig_fail(0, 0, 0);
	assert_string_equal(rig_texts(&rig, "a"), "one two ");
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_failure),
	    cmocka_unit_test(test_two_failures),
	    cmocka_unit_test(test_broken_from_there_on),
	    cmocka_unit_test(test_a_failed_sync_is_made_up_for),
	    cmocka_unit_test(test_a_failed_beginning_is_made_up_for),
	    cmocka_unit_test(test_a_failed_close),
	    cmocka_unit_test(test_it_sleeps_after_a_failure),
	    cmocka_unit_test(test_it_heals_by_itself),
	    cmocka_unit_test(test_reads_that_fail),
	    cmocka_unit_test(test_an_index_that_cannot_be_read),
	    cmocka_unit_test(test_codes_and_backoff),
	    cmocka_unit_test(test_modest_file_systems),
	};

	return cmocka_run_group_tests(tests, rig_setup_fast, rig_teardown);
}
