/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool.c - the contract of spool.h, on a disk that is well */
#include <sched.h>
#include <sys/resource.h>

#include "spool_rig.h"

static void
test_append_settle_reopen(void **state)
{
	struct rig rig;
	struct hb_spool_ref two;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	two = rig_put(&rig, "a", "two");
	rig_put(&rig, "b", "three");
	rig_put(&rig, "a", "");
	rig_put(&rig, "a", "four");
	assert_string_equal(rig_texts(&rig, "a"), "one two  four ");
	assert_true(hb_spool_settle(&two));
	assert_false(hb_spool_settle(&two));
	assert_string_equal(rig_texts(&rig, "a"), "one  four ");
	rig_close(&rig);

	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "one  four ");
	assert_string_equal(rig_texts(&rig, "b"), "three ");
	two.lane = rig_lane(&rig, "a"); /* numbers outlive the process */
	assert_false(hb_spool_settle(&two));
	rig_put(&rig, "a", "five");
	assert_string_equal(rig_texts(&rig, "a"), "one  four five ");
	rig_close(&rig);

	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "one  four five ");
	rig_end(&rig);
}

/* Several parts are one record; numbers go up over lanes and openings. */
static void
test_parts_and_numbers(void **state)
{
	struct iovec parts[] = {{(char *)(uintptr_t)"ab", 2},
	    {NULL, 0}, {(char *)(uintptr_t)"cde", 3}};
	struct rig_item item = {0};
	struct hb_spool_ref before, after;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	before = rig_put(&rig, "x", "first");
	item.append = (struct hb_spool_append){.lane = rig_lane(&rig, "x"),
	    .parts = parts,
	    .part_count = 3,
	    .home = rig.loop,
	    .done = rig_on_done};
	hb_spool_append(&item.append);
	assert_true(rig_wait(&item));
	assert_int_equal(item.append.ref.len, 5);
	assert_true(item.append.ref.seq > before.seq);
	assert_string_equal(rig_texts(&rig, "x"), "first abcde ");
	hb_spool_settle(&before);
	hb_spool_settle(&item.append.ref);
	rig_close(&rig);
	/* With nothing left, too. */
	rig_open(&rig);
	after = rig_put(&rig, "x", "later");
	assert_true(after.seq > item.append.ref.seq);
	rig_end(&rig);
}

static void
test_lanes(void **state)
{
	char name[HB_SPOOL_NAME_MAX + 2];
	struct hb_spool_lane_stats stats;
	struct hb_spool_lane *lane;
	struct hb_spool_stats all;
	struct hb_spool_ref ref;
	struct rig rig;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[HB_SPOOL_NAME_MAX + 1] = '\0';
	rig_start(&rig);
	assert_null(hb_spool_lane_next(rig.spool, NULL));
	assert_null(rig_lane(&rig, ""));
	assert_null(rig_lane(&rig, name));
	name[HB_SPOOL_NAME_MAX] = '\0';
	ref = rig_put(&rig, name, "12345");
	rig_put(&rig, name, "678");
	rig_put(&rig, "other", "9");
	hb_spool_settle(&ref);
	rig_close(&rig);

	rig_open(&rig);
	lane = hb_spool_lane_next(rig.spool, NULL);
	assert_ptr_equal(lane, rig_lane(&rig, name));
	assert_int_equal(hb_spool_lane_name(lane).len, HB_SPOOL_NAME_MAX);
	hb_spool_lane_stats(lane, &stats);
	assert_int_equal(stats.records, 1);
	assert_int_equal(stats.bytes, 3);
	assert_true(stats.oldest_ms > 0);
	lane = hb_spool_lane_next(rig.spool, lane);
	assert_ptr_equal(lane, rig_lane(&rig, "other"));
	assert_null(hb_spool_lane_next(rig.spool, lane));
	hb_spool_stats(rig.spool, &all);
	assert_int_equal(all.records, 2);
	assert_int_equal(all.bytes, 4);
	assert_int_equal(all.state, HB_SPOOL_OK);
	assert_string_equal(all.why, "");
	hb_spool_lane_stats(rig_lane(&rig, "empty"), &stats);
	assert_int_equal(stats.records, 0);
	assert_int_equal(stats.oldest_ms, 0);
	rig_end(&rig);
}

static void
test_too_long(void **state)
{
	struct hb_error err = {0};
	struct rig rig;
	char *bytes;

	(void)state;
	rig_start(&rig);
	bytes = hb_xcalloc(1, rig.spool->record_max + 1);
	assert_true(rig_append(&rig, rig_lane(&rig, "a"), bytes,
			rig.spool->record_max, NULL)
			.seq > 0);
	assert_int_equal(rig_append(&rig, rig_lane(&rig, "a"), bytes,
			     rig.spool->record_max + 1, &err)
			     .seq,
	    0);
	assert_int_equal(err.code, HB_E_DEAD);
	/* It hurts no other. */
	rig_put(&rig, "b", "short");
	assert_string_equal(rig_texts(&rig, "b"), "short ");
	free(bytes);
	rig_end(&rig);
}

/* --- groups --------------------------------------------------------------- */

/* Many at once need few syncs, and keep their order. */
static void
test_group_commit(void **state)
{
	enum { COUNT = 1000 };
	struct rig_item *items = hb_xcalloc(COUNT, sizeof(*items));
	struct hb_spool_lane *lane;
	struct rig rig;
	unsigned before;
	uint64_t last = 0;

	(void)state;
	rig_start(&rig);
	lane = rig_lane(&rig, "a");
	rig_put(&rig, "a", "warm");
	before = rig_calls[RIG_SYNC];
	for (int i = 0; i < COUNT; i++)
		rig_send(&rig, &items[i], lane, "0123456789", 10);
	for (int i = 0; i < COUNT; i++) {
		assert_true(rig_wait(&items[i]));
		assert_true(items[i].append.ref.seq > last);
		last = items[i].append.ref.seq;
	}
	assert_true(rig_calls[RIG_SYNC] - before < COUNT / 2);
	free(items);
	rig_end(&rig);
}

/* When done runs, a sync has covered the record: what is on disk at that
 * moment has it. */
static void
test_done_means_synced(void **state)
{
	struct rig rig, copy;
	unsigned syncs;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	for (int i = 0; i < 10; i++) {
		syncs = rig_calls[RIG_SYNC];
		rig_put(&rig, "a", "two");
		assert_true(rig_calls[RIG_SYNC] > syncs);
	}
	/* A sync that fails is never taken for one that did not. */
	rig_fail(1, UINT32_MAX / 2, EIO);
	assert_int_equal(rig_put(&rig, "a", "three").seq, 0);
	rig_fail(0, 0, 0);
	rig_path(copy.path);
	rig_copy(rig.path, copy.path);
	rig_open(&copy);
	assert_true(strncmp(rig_texts(&copy, "a"), "one two two ", 12) == 0);
	rig_end(&copy);
	rig_end(&rig);
}

/* --- cursors -------------------------------------------------------------- */

static void
test_cursor_goes_on(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_error err;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	cursor = hb_spool_cursor_new(rig_lane(&rig, "a"), NULL, NULL, NULL);
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_END);
	rig_put(&rig, "a", "one");
	rig_put(&rig, "b", "not ours");
	rig_put(&rig, "a", "two");
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_memory_equal(record.bytes, "one", 3);
	assert_true(record.appended_ms > 0);
	assert_ptr_equal(record.ref.lane, rig_lane(&rig, "a"));
	free(record.bytes);
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_memory_equal(record.bytes, "two", 3);
	hb_spool_settle(&record.ref);
	free(record.bytes);
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_END);
	hb_spool_cursor_seek(cursor, 0);
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_memory_equal(record.bytes, "one", 3);
	free(record.bytes);
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_END);
	hb_spool_cursor_free(cursor);
	hb_spool_cursor_free(NULL);
	rig_end(&rig);
}

/* The next record of the cursor is this; NULL: it is at its end. */
static void
expect_next(struct hb_spool_cursor *cursor, const char *text)
{
	struct hb_spool_record record;
	struct hb_error err;

	if (text == NULL) {
		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_END);
		return;
	}
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_int_equal(record.ref.len, strlen(text));
	assert_memory_equal(record.bytes, text, record.ref.len);
	free(record.bytes);
}

/* To a number, whether or not it is the lane's, settled, or far beyond; over
 * the records of a segment that is written and of one that is sealed. */
static void
check_seek(struct rig *rig, const struct hb_spool_ref *refs)
{
	struct hb_spool_cursor *cursor =
	    hb_spool_cursor_new(rig_lane(rig, "a"), NULL, NULL, NULL);

	expect_next(cursor, "one");
	hb_spool_cursor_seek(cursor, refs[3].seq);
	expect_next(cursor, "four");
	expect_next(cursor, NULL);
	hb_spool_cursor_seek(cursor, refs[2].seq); /* settled */
	expect_next(cursor, "four");
	hb_spool_cursor_seek(cursor, refs[1].seq); /* another lane's */
	expect_next(cursor, "four");
	hb_spool_cursor_seek(cursor, refs[0].seq);
	expect_next(cursor, "one");
	expect_next(cursor, "four");
	hb_spool_cursor_seek(cursor, 0);
	expect_next(cursor, "one");
	hb_spool_cursor_seek(cursor, refs[3].seq + 1000);
	expect_next(cursor, NULL);
	hb_spool_cursor_seek(cursor, 0);
	expect_next(cursor, "one");
	hb_spool_cursor_free(cursor);
}

static void
test_cursor_seeks(void **state)
{
	static const char *const texts[] = {"one", "two", "three", "four"};
	struct hb_spool_ref refs[HB_COUNT(texts)];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (size_t i = 0; i < HB_COUNT(texts); i++)
		refs[i] = rig_put(&rig, i == 1 ? "b" : "a", texts[i]);
	hb_spool_settle(&refs[2]);
	check_seek(&rig, refs);
	rig_close(&rig);
	rig_open(&rig);
	check_seek(&rig, refs);
	rig_end(&rig);
}

struct watch {
	struct hb_loop *loop;
	struct hb_spool_cursor *cursor;
	unsigned told;
};

static void
on_more(void *arg)
{
	struct watch *watch = arg;

	watch->told++;
	hb_loop_stop(watch->loop);
}

/* Told once for each time the end was reached; not after it is freed. */
static void
test_cursor_is_told(void **state)
{
	struct hb_spool_record record;
	struct hb_error err;
	struct watch watch = {0};
	struct rig rig;

	(void)state;
	rig_start(&rig);
	watch.loop = hb_loop_new("replay", &err);
	watch.cursor = hb_spool_cursor_new(
	    rig_lane(&rig, "a"), watch.loop, on_more, &watch);
	rig_put(&rig, "a", "one"); /* it has not reached the end yet */
	while (hb_spool_cursor_next(watch.cursor, &record, &err) ==
	       HB_SPOOL_RECORD)
		free(record.bytes);
	rig_put(&rig, "b", "not ours");
	rig_put(&rig, "a", "two");
	rig_put(&rig, "a", "three");
	hb_loop_run(watch.loop);
	assert_int_equal(watch.told, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    hb_spool_cursor_next(watch.cursor, &record, &err),
		    HB_SPOOL_RECORD);
		free(record.bytes);
	}
	assert_int_equal(hb_spool_cursor_next(watch.cursor, &record, &err),
	    HB_SPOOL_END);
	rig_put(&rig, "a", "four");
	hb_spool_cursor_free(watch.cursor); /* its task is posted */
	hb_loop_free(watch.loop);
	assert_int_equal(watch.told, 1);
	rig_end(&rig);
}

/* Without a descriptor nothing is given up: it is read later. */
static void
test_cursor_without_descriptors(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_error err = {0};
	struct rlimit limit, none;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	cursor = hb_spool_cursor_new(rig_lane(&rig, "a"), NULL, NULL, NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_LATER);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_non_null(strstr(err.text, "Too many open files"));
	assert_int_equal(
	    hb_spool_cursor_next(cursor, &record, &err), HB_SPOOL_RECORD);
	assert_memory_equal(record.bytes, "one", 3);
	free(record.bytes);
	hb_spool_cursor_free(cursor);
	rig_end(&rig);
}

struct reader {
	struct rig *rig;
	const char *lane;
	unsigned wanted, next;
};

static void *
read_all(void *arg)
{
	struct reader *reader = arg;
	struct hb_spool_cursor *cursor = hb_spool_cursor_new(
	    rig_lane(reader->rig, reader->lane), NULL, NULL, NULL);
	struct hb_spool_record record;
	struct hb_error err;

	while (reader->next < reader->wanted) {
		unsigned number;

		if (hb_spool_cursor_next(cursor, &record, &err) !=
		    HB_SPOOL_RECORD) {
			sched_yield();
			continue;
		}
		memcpy(&number, record.bytes, sizeof(number));
		if (number != reader->next++)
			abort(); /* cmocka's are for the main thread */
		hb_spool_settle(&record.ref);
		free(record.bytes);
	}
	hb_spool_cursor_free(cursor);
	return NULL;
}

/* Readers, appenders and settlers at once, over files that come and go: each
 * record is read once, in order. */
static void
test_all_at_once(void **state)
{
	enum { COUNT = 400 };
	static const char *const lanes[] = {"a", "b"};
	static char bytes[2 * COUNT][1000];
	struct rig_item *items = hb_xcalloc(2 * COUNT, sizeof(*items));
	struct reader readers[2];
	pthread_t threads[2];
	struct hb_spool_stats stats;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (int i = 0; i < 2; i++) {
		readers[i] = (struct reader){&rig, lanes[i], COUNT, 0};
		pthread_create(&threads[i], NULL, read_all, &readers[i]);
	}
	for (unsigned i = 0; i < 2 * COUNT; i++) {
		unsigned number = i / 2;

		memcpy(bytes[i], &number, sizeof(number));
		rig_send(&rig, &items[i], rig_lane(&rig, lanes[i % 2]),
		    bytes[i], sizeof(bytes[i]));
		if (i % 16 == 15)
			assert_true(rig_wait(&items[i]));
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 2 * COUNT; i++)
		assert_true(rig_wait(&items[i]));
	rig_rest(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, 0);
	assert_int_equal(stats.segments, 1);
	assert_int_equal(stats.lost, 0);
	free(items);
	rig_end(&rig);
}

struct settler {
	const struct hb_spool_ref *refs;
	unsigned count, news;
};

static void *
settle_all(void *arg)
{
	struct settler *settler = arg;

	for (unsigned i = 0; i < settler->count; i++)
		settler->news += hb_spool_settle(&settler->refs[i]);
	return NULL;
}

/* Of two threads that settle the same records exactly one is told so. */
static void
test_settled_once(void **state)
{
	enum { COUNT = 2000 };
	struct rig_item *items = hb_xcalloc(COUNT, sizeof(*items));
	struct hb_spool_ref refs[COUNT];
	struct settler settlers[2];
	struct hb_spool_lane_stats stats;
	pthread_t threads[2];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (unsigned i = 0; i < COUNT; i++)
		rig_send(&rig, &items[i], rig_lane(&rig, "a"), "x", 1);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(rig_wait(&items[i]));
		refs[i] = items[i].append.ref;
	}
	for (int i = 0; i < 2; i++) {
		settlers[i] = (struct settler){refs, COUNT, 0};
		pthread_create(&threads[i], NULL, settle_all, &settlers[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(settlers[0].news + settlers[1].news, COUNT);
	hb_spool_lane_stats(rig_lane(&rig, "a"), &stats);
	assert_int_equal(stats.records, 0);
	assert_int_equal(stats.bytes, 0);
	free(items);
	rig_end(&rig);
}

/* --- many lanes ----------------------------------------------------------- */

enum { LANES = 300 };

static unsigned
count_descriptors(void)
{
	return rig_count_files("/proc/self/fd", "");
}

static struct hb_spool_lane *
numbered_lane(struct rig *rig, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "lane-%u", number);
	return rig_lane(rig, name);
}

/* Records for each lane in turn: over several segments. */
static void
put_in_turn(struct rig *rig, unsigned rounds)
{
	static char bytes[100];
	struct rig_item *items =
	    hb_xcalloc((size_t)rounds * LANES, sizeof(*items));

	for (unsigned i = 0; i < rounds * LANES; i++)
		rig_send(rig, &items[i], numbered_lane(rig, i % LANES), bytes,
		    sizeof(bytes));
	for (unsigned i = 0; i < rounds * LANES; i++)
		assert_true(rig_wait(&items[i]));
	free(items);
}

/* A cursor for each, all of them under way: they share the descriptors of the
 * segments they are in, and leave none behind. */
static void
test_many_cursors(void **state)
{
	struct hb_spool_cursor *cursors[LANES];
	struct hb_spool_record record;
	struct hb_spool_stats stats;
	unsigned before, count = 0;
	struct hb_error err;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	put_in_turn(&rig, 8);
	hb_spool_stats(rig.spool, &stats);
	assert_in_range(stats.segments, 3, 10);
	before = count_descriptors();
	for (unsigned i = 0; i < LANES; i++)
		cursors[i] = hb_spool_cursor_new(
		    numbered_lane(&rig, i), NULL, NULL, NULL);
	for (unsigned round = 0; round < 8; round++)
		for (unsigned i = 0; i < LANES; i++, count++) {
			assert_int_equal(hb_spool_cursor_next(cursors[i],
					     &record, &err),
			    HB_SPOOL_RECORD);
			assert_true(hb_spool_settle(&record.ref));
			free(record.bytes);
			if (count % 100 == 0)
				assert_in_range(count_descriptors() - before, 1,
				    stats.segments);
		}
	for (unsigned i = 0; i < LANES; i++)
		assert_int_equal(hb_spool_cursor_next(cursors[i], &record,
				     &err),
		    HB_SPOOL_END);
	assert_int_equal(count_descriptors(), before);
	for (unsigned i = 0; i < LANES; i++)
		hb_spool_cursor_free(cursors[i]);
	rig_end(&rig);
}

/* --- metrics -------------------------------------------------------------- */

static void
test_metrics(void **state)
{
	int64_t appends = rig_metric(HB_M_SPOOL_APPENDS);
	int64_t errors = rig_metric(HB_M_SPOOL_ERRORS);
	char *text;
	size_t len;
	FILE *out;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (int i = 0; i < 3; i++)
		rig_put(&rig, "a", "x");
	assert_int_equal(rig_metric(HB_M_SPOOL_APPENDS) - appends, 3);
	assert_int_equal(rig_metric(HB_M_SPOOL_ERRORS) - errors, 0);
	rig_fail(1, 1, EIO); /* the write, which another file makes up for */
	assert_true(rig_put(&rig, "a", "x").seq > 0);
	assert_int_equal(rig_metric(HB_M_SPOOL_ERRORS) - errors, 1);
	assert_int_equal(rig_metric(HB_M_SPOOL_APPENDS) - appends, 4);
	rig_end(&rig);

	out = open_memstream(&text, &len);
	hb_metric_write(out);
	fclose(out);
	assert_null(
	    strstr(text, "hookbridge_spool_sync_duration_seconds_count 0\n"));
	assert_non_null(
	    strstr(text, "hookbridge_spool_sync_duration_seconds_count "));
	free(text);
}

/* --- opening -------------------------------------------------------------- */

static void
refuses(const struct hb_spool_options *options, const char *sentence)
{
	struct hb_error err = {0};

	assert_null(hb_spool_open(options, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, sentence));
}

static void
test_refuses_options(void **state)
{
	const uint64_t mib = 1 << 20;
	char path[RIG_PATH];
	const struct {
		uint64_t max_size, segment_size;
		const char *sentence;
	} cases[] = {
	    {64 * mib, 1000, "segment_size"},
	    {64 * mib, 32 * 1024, "segment_size"},
	    {64 * mib, mib + 1, "segment_size"},
	    {64 * 1024 * mib, 2048 * mib, "segment_size"},
	    {3 * mib, mib, "max_size"},
	    {0, 0, "max_size"},
	};

	(void)state;
	rig_path(path);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_spool_options options = {.directory = path,
		    .max_size = cases[i].max_size,
		    .segment_size = cases[i].segment_size};

		refuses(&options, cases[i].sentence);
	}
}

static void
test_refuses_directories(void **state)
{
	char link[RIG_PATH];
	struct rig rig;
	struct hb_spool_options options = {.directory = rig.path,
	    .max_size = 64 * RIG_SEGMENT,
	    .segment_size = RIG_SEGMENT};
	char pid[32];

	(void)state;
	rig_start(&rig);
	snprintf(pid, sizeof(pid), "process %ld ", (long)getpid());
	refuses(&options, pid);
	rig_close(&rig);

	chmod(rig.path, 0770);
	refuses(&options, "others may write");
	chmod(rig.path, 0702);
	refuses(&options, "others may write");
	chmod(rig.path, 0700);
	rig_path(link);
	assert_int_equal(symlink(rig.path, link), 0);
	options.directory = link;
	refuses(&options, "");
	unlink(link);
	options.directory = "/nonexistent/spool";
	refuses(&options, "No such file");

	rig_open(&rig);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_append_settle_reopen),
	    cmocka_unit_test(test_parts_and_numbers),
	    cmocka_unit_test(test_lanes),
	    cmocka_unit_test(test_too_long),
	    cmocka_unit_test(test_group_commit),
	    cmocka_unit_test(test_done_means_synced),
	    cmocka_unit_test(test_cursor_goes_on),
	    cmocka_unit_test(test_cursor_seeks),
	    cmocka_unit_test(test_cursor_is_told),
	    cmocka_unit_test(test_cursor_without_descriptors),
	    cmocka_unit_test(test_all_at_once),
	    cmocka_unit_test(test_settled_once),
	    cmocka_unit_test(test_many_cursors),
	    cmocka_unit_test(test_metrics),
	    cmocka_unit_test(test_refuses_options),
	    cmocka_unit_test(test_refuses_directories),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
