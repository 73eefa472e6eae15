/* SPDX-License-Identifier: Apache-2.0 */
/* test_dedup_disk.c - what settled is known in the next life, and no more than
 * that */
#include "dedup_rig.h"

#define RECORD HB_JOURNAL_RECORD_SIZE

/* Nobody cuts the power, and there are many lives. */
int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}

int
fsync(int fd)
{
	(void)fd;
	return 0;
}

/* --- lives ---------------------------------------------------------------- */

static void
test_settled_lasts(void **state)
{
	struct hb_dedup_flight flight;
	struct rig rig;

	(void)state;
	rig_init(&rig, 2, 100);
	rig_open(&rig);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	assert_int_equal(
	    rig_claim(&rig, 0, "direct-1", 7, &flight), HB_CLAIM_NEW);
	hb_dedup_end(rig.dedup, &flight, HB_SPOOLED);
	assert_int_equal(
	    rig_claim(&rig, 0, "msg_2", 0, &flight), HB_CLAIM_NEW);
	hb_dedup_end(rig.dedup, &flight, HB_UNSETTLED);
	for (int life = 0; life < 3; life++) {
		rig_reopen(&rig);
		assert_true(rig_is_seen(&rig, 0, "msg_1"));
		assert_false(rig_is_seen(&rig, 1, "msg_1"));
		assert_int_equal(
		    rig_claim(&rig, 0, "direct-1", 7, &flight), HB_CLAIM_SEEN);
		assert_int_equal(rig_claim(&rig, 0, "direct-1", 8, &flight),
		    HB_CLAIM_CONFLICT);
		assert_false(rig_is_seen(&rig, 0, "msg_2"));
		assert_int_equal(rig_stats(&rig).entries, 2);
		assert_int_equal(rig_count_files(&rig), 1);
	}
	rig_end(&rig);
}

/* The loop may go first, with a wake-up still in its mailbox. */
static void
test_loop_goes_first(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	hb_loop_free(rig.helper);
	hb_dedup_free(rig.dedup);
	rig_open(&rig);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	rig_end(&rig);
}

/* Written soon, without an end in order: killed as it were, after the helper
 * had its turn. */
static void
test_written_soon(void **state)
{
	struct rig rig;
	uint8_t *bytes;
	size_t size;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).bytes, 0);
	rig_settle_many(&rig, 0, 0, 3, 0);
	rig_run(&rig, HB_JOURNAL_BLOCK + 3 * RECORD);
	bytes = rig_read(&rig, "0000000000000000.seen", &size);
	assert_int_equal(size, HB_JOURNAL_BLOCK + 3 * RECORD);
	rig_close(&rig);
	rig_empty(&rig);
	rig_put(&rig, "0000000000000000.seen", bytes, size);
	free(bytes);
	rig_open(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 3), 3);
	rig_end(&rig);
}

static void
test_forgotten_stays_forgotten(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 2, 100);
	rig_open(&rig);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	assert_true(rig_settle(&rig, 1, "msg_1"));
	assert_true(rig_settle(&rig, 0, "msg_2"));
	assert_true(hb_dedup_forget(
	    rig.dedup, &rig.endpoints[0], hb_span_of("msg_1")));
	assert_false(hb_dedup_forget(
	    rig.dedup, &rig.endpoints[0], hb_span_of("msg_1")));
	assert_int_equal(rig_stats(&rig).entries, 2);
	for (int life = 0; life < 2; life++) {
		assert_false(rig_is_seen(&rig, 0, "msg_1"));
		assert_true(rig_is_seen(&rig, 1, "msg_1"));
		assert_true(rig_is_seen(&rig, 0, "msg_2"));
		rig_reopen(&rig);
	}
	/* And is new like any other. */
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_reopen(&rig);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	rig_end(&rig);
}

/* Settled twice on disk, since the table had no room to know it: forgotten is
 * both. */
static void
test_evicted_and_forgotten(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 4);
	rig_open(&rig);
	for (unsigned round = 0; round < 2; round++)
		rig_settle_many(&rig, 0, 0, 8, 700);
	assert_false(hb_dedup_forget(
	    rig.dedup, &rig.endpoints[0], hb_span_of("msg_0")));
	assert_true(hb_dedup_forget(
	    rig.dedup, &rig.endpoints[0], hb_span_of("msg_7")));
	rig.cfg.dedup.max_entries = 100;
	rig_reopen(&rig);
	assert_false(rig_is_seen(&rig, 0, "msg_0"));
	assert_false(rig_is_seen(&rig, 0, "msg_7"));
	assert_int_equal(rig_count_seen(&rig, 0, 1, 6), 6);
	rig_end(&rig);
}

static void
test_window_goes_on(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_pass(&rig, 3600);
	assert_true(rig_settle(&rig, 0, "msg_2"));
	rig_close(&rig);
	/* Another process: its monotonic clock may begin anywhere. */
	rig.mono_ms = 5;
	rig_pass(&rig, RIG_WINDOW_S - 3601);
	rig_open(&rig);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	rig_pass(&rig, 1);
	assert_false(rig_is_seen(&rig, 0, "msg_1"));
	assert_true(rig_is_seen(&rig, 0, "msg_2"));
	rig_reopen(&rig);
	assert_int_equal(rig_stats(&rig).entries, 1);
	assert_true(rig_is_seen(&rig, 0, "msg_2"));
	rig_end(&rig);
}

/* What seems to be of the future has no age. */
static void
test_clock_goes_back(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_close(&rig);
	rig.wall_ms -= INT64_C(1000) * 86400 * 365;
	rig_set_clocks(&rig);
	rig_open(&rig);
	rig_pass(&rig, RIG_WINDOW_S - 1);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	rig_pass(&rig, 1);
	assert_false(rig_is_seen(&rig, 0, "msg_1"));
	rig_end(&rig);
}

/* --- another configuration ------------------------------------------------ */

static void
test_endpoints_change(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 3, 100);
	rig_open(&rig);
	for (unsigned i = 0; i < 3; i++)
		assert_true(rig_settle(&rig, i, "msg_1"));
	rig_close(&rig);
	/* One goes, and the others change places. */
	rig.cfg.endpoint_count = 2;
	rig.endpoints[0].name = "three";
	rig.endpoints[1].name = "one";
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 2);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	assert_true(rig_is_seen(&rig, 1, "msg_1"));
	rig_close(&rig);
	rig.cfg.endpoint_count = 0;
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 0);
	rig_end(&rig);
}

/* Of too many the newest stay, and of one endpoint no more than its half. */
static void
test_table_shrinks(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 3, 1000);
	rig_open(&rig);
	rig_settle_many(&rig, 1, 0, 10, 1);
	rig_settle_many(&rig, 0, 0, 100, 1);
	rig_settle_many(&rig, 2, 0, 10, 1);
	rig_close(&rig);
	rig.cfg.dedup.max_entries = 40;
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 40);
	assert_int_equal(rig_count_seen(&rig, 1, 0, 10), 10);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 80), 0);
	assert_int_equal(rig_count_seen(&rig, 0, 80, 20), 20);
	assert_int_equal(rig_count_seen(&rig, 2, 0, 10), 10);
	rig_close(&rig);
	rig.cfg.dedup.max_entries = 24;
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 24);
	assert_int_equal(rig_count_seen(&rig, 1, 0, 10), 2);
	assert_int_equal(rig_count_seen(&rig, 0, 88, 12), 12);
	assert_int_equal(rig_count_seen(&rig, 2, 0, 10), 10);
	rig_end(&rig);
}

/* --- space ---------------------------------------------------------------- */

/* The number of the newest file, and one. */
static uint64_t
files_begun(const struct rig *rig)
{
	static char names[RIG_FILES_MAX][HB_JOURNAL_NAME];
	size_t count = rig_list(rig, names);

	return count > 0 ? strtoull(names[count - 1], NULL, 16) + 1 : 0;
}

static bool
has_begun_file(struct rig *rig)
{
	return files_begun(rig) > rig->wanted;
}

/* Files begin after an eighth of the window, and go after a whole one. */
static void
test_files_go_with_their_window(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 1000);
	rig_open(&rig);
	for (unsigned i = 0; i < 40; i++) {
		rig.wanted = files_begun(&rig);
		rig_settle_many(&rig, 0, i, 1, 0);
		rig_run_until(&rig, has_begun_file);
		rig_pass(&rig, RIG_WINDOW_S / 8 + 1);
		assert_true(rig_count_files(&rig) <= 10);
		if (i % 7 == 0)
			rig_reopen(&rig);
	}
	assert_int_equal(rig_count_seen(&rig, 0, 33, 7), 7);
	rig_pass(&rig, RIG_WINDOW_S);
	rig_reopen(&rig);
	assert_int_equal(rig_stats(&rig).entries, 0);
	assert_int_equal(rig_count_files(&rig), 1);
	rig_end(&rig);
}

static bool
is_small(struct rig *rig)
{
	return rig_stats(rig).bytes < rig->wanted;
}

/* A greedy endpoint evicts its own entries again and again: its files stay
 * bounded, and what others settled long ago stays on disk. */
static void
test_rewritten_when_large(void **state)
{
	const unsigned records = 16 * 512; /* from which on it is */
	struct rig rig;

	(void)state;
	rig_init(&rig, 2, 128);
	rig_open(&rig);
	rig_settle_many(&rig, 1, 0, 10, 0);
	assert_true(hb_dedup_forget(
	    rig.dedup, &rig.endpoints[1], hb_span_of("msg_9")));
	for (unsigned i = 0; i < records; i += 512) {
		rig_settle_many(&rig, 0, i, 512, 11);
		if (i + 512 < records)
			rig_run(&rig, 512 * RECORD);
	}
	rig.wanted = 1024 * RECORD;
	rig_run_until(&rig, is_small);
	assert_true(rig_count_files(&rig) <= 2);
	assert_int_equal(rig_count_seen(&rig, 1, 0, 10), 9);
	for (int life = 0; life < 2; life++) {
		rig_reopen(&rig);
		assert_int_equal(rig_count_seen(&rig, 1, 0, 10), 9);
		assert_int_equal(
		    rig_count_seen(&rig, 0, records - 64, 64), 64);
		rig_settle_many(&rig, 1, 100 + (unsigned)life, 1, 0);
	}
	assert_int_equal(rig_count_seen(&rig, 1, 100, 1), 1);
	rig_end(&rig);
}

/* A crash may come before the old files are gone. */
static void
test_rewritten_twice_there(void **state)
{
	struct hb_journal_header header = {0};
	char names[RIG_FILES_MAX][HB_JOURNAL_NAME];
	struct rig rig;
	char path[160];
	uint8_t *bytes;
	size_t size;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	rig_settle_many(&rig, 0, 0, 3, 0);
	rig_close(&rig);
	bytes = rig_read(&rig, "0000000000000000.seen", &size);
	assert_int_equal(
	    hb_journal_header_get(bytes, &header), HB_JOURNAL_GOOD);
	header.number = 1;
	header.flags = HB_JOURNAL_REWRITTEN;
	hb_journal_header_put(&header, bytes);
	rig_put(&rig, "0000000000000001.seen", bytes, HB_JOURNAL_BLOCK);
	rig_put(&rig, HB_JOURNAL_DRAFT, bytes, HB_JOURNAL_BLOCK);
	free(bytes);
	rig_open(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 3), 0);
	assert_int_equal(rig_list(&rig, names), 1);
	assert_string_equal(names[0], "0000000000000001.seen");
	/* And no draft is left in the way. */
	rig_close(&rig);
	rig_file(&rig, HB_JOURNAL_DRAFT, path);
	assert_int_equal(access(path, F_OK), -1);
	rig_fini(&rig);
}

/* --- damage --------------------------------------------------------------- */

/* A file of some records, as its bytes. */
static uint8_t *
make_file(struct rig *rig, unsigned records, size_t *size)
{
	rig_init(rig, 1, 100);
	rig_open(rig);
	rig_settle_many(rig, 0, 0, records, 0);
	rig_close(rig);
	return rig_read(rig, "0000000000000000.seen", size);
}

/* Torn wherever it may be, what is whole before it counts, and what is written
 * after it, too. */
static void
test_torn_everywhere(void **state)
{
	struct rig rig;
	size_t size;
	uint8_t *bytes = make_file(&rig, 4, &size);

	(void)state;
	for (size_t cut = 0; cut < size; cut++) {
		unsigned whole = cut < HB_JOURNAL_BLOCK
				     ? 0
				     : (unsigned)((cut - HB_JOURNAL_BLOCK) /
					   RECORD);

		rig_empty(&rig);
		rig_put(&rig, "0000000000000000.seen", bytes, cut);
		rig_open(&rig);
		assert_int_equal(rig_stats(&rig).entries, whole);
		assert_int_equal(rig_count_seen(&rig, 0, 0, whole), whole);
		assert_true(rig_settle(&rig, 0, "more"));
		rig_reopen(&rig);
		assert_int_equal(rig_stats(&rig).entries, whole + 1);
		assert_true(rig_is_seen(&rig, 0, "more"));
		assert_int_equal(rig_count_files(&rig), 1);
		rig_close(&rig);
	}
	free(bytes);
	rig_fini(&rig);
}

/* A bit costs its record, and of the header nothing. */
static void
test_flipped_everywhere(void **state)
{
	struct rig rig;
	size_t size;
	uint8_t *bytes = make_file(&rig, 4, &size);

	(void)state;
	for (size_t i = 0; i < size; i++) {
		unsigned lost = i >= HB_JOURNAL_BLOCK ? 1 : 0;

		/* All alike: the rest of a block is not read. */
		if (i % 512 >= HB_JOURNAL_HEADER_SIZE && lost == 0)
			continue;
		bytes[i] ^= (uint8_t)(1 << i % 8);
		rig_empty(&rig);
		rig_put(&rig, "0000000000000000.seen", bytes, size);
		rig_open(&rig);
		assert_int_equal(rig_stats(&rig).entries, 4 - lost);
		assert_int_equal(rig_count_seen(&rig, 0, 0, 4), 4 - lost);
		rig_close(&rig);
		bytes[i] ^= (uint8_t)(1 << i % 8);
	}
	free(bytes);
	rig_fini(&rig);
}

/* Of two files the older one, in every way: the rest counts. */
static void
test_damaged_older_file(void **state)
{
	struct rig rig;
	size_t size;
	uint8_t *bytes = make_file(&rig, 4, &size);

	(void)state;
	rig_empty(&rig);
	rig_put(&rig, "0000000000000000.seen", bytes, size);
	rig_pass(&rig, RIG_WINDOW_S / 4);
	rig_open(&rig);
	rig_settle_many(&rig, 0, 10, 2, 0);
	rig_close(&rig);
	assert_int_equal(rig_count_files(&rig), 2);
	/* Torn, both headers gone, a stranger of the same name. */
	rig_put(&rig, "0000000000000000.seen", bytes, size - 50);
	rig_open(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 20), 4);
	rig_close(&rig);
	memset(bytes, 0xff, 600);
	rig_put(&rig, "0000000000000000.seen", bytes, size);
	rig_open(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 20), 2);
	assert_int_equal(rig_count_files(&rig), 2);
	rig_close(&rig);
	/* It goes with a window of its own. */
	rig_pass(&rig, RIG_WINDOW_S);
	rig_open(&rig);
	rig_pass(&rig, RIG_WINDOW_S);
	rig_settle_many(&rig, 0, 30, 1, 0);
	rig_reopen(&rig);
	assert_int_equal(rig_count_files(&rig), 1);
	rig_close(&rig);
	free(bytes);
	rig_fini(&rig);
}

/* Gives a file's header another number. */
static void
renumber(uint8_t *bytes, uint64_t number)
{
	struct hb_journal_header header;

	assert_int_equal(
	    hb_journal_header_get(bytes, &header), HB_JOURNAL_GOOD);
	header.number = number;
	hb_journal_header_put(&header, bytes);
}

/* Another directory's file has another seed: its keys mean nothing here. */
static void
test_other_seed(void **state)
{
	struct rig rig, other;
	size_t size, own_size;
	uint8_t *bytes = make_file(&other, 4, &size), *own;

	(void)state;
	own = make_file(&rig, 4, &own_size);
	renumber(own, 7);
	rig_put(&rig, "0000000000000000.seen", bytes, size);
	rig_put(&rig, "0000000000000007.seen", own, HB_JOURNAL_BLOCK);
	free(own);
	free(bytes);
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 0);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_reopen(&rig);
	assert_int_equal(rig_stats(&rig).entries, 1);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	rig_end(&rig);
	rig_fini(&other);
}

/* A file that was copied under another number is not that file. */
static void
test_other_number(void **state)
{
	struct rig rig;
	size_t size;
	uint8_t *bytes = make_file(&rig, 4, &size);

	(void)state;
	rig_put(&rig, "0000000000000001.seen", bytes, size);
	rig_open(&rig);
	assert_int_equal(rig_stats(&rig).entries, 4);
	rig_close(&rig);
	renumber(bytes, 1);
	rig_put(&rig, "0000000000000001.seen", bytes, size);
	free(bytes);
	rig_open(&rig);
	/* Nor are its records another file's. */
	assert_int_equal(rig_stats(&rig).entries, 4);
	rig_end(&rig);
}

/* Nothing is touched that a newer version has written. */
static void
test_other_version(void **state)
{
	struct rig rig;
	struct hb_error err = {0};
	size_t size, after_size;
	uint8_t *bytes = make_file(&rig, 4, &size), *after;
	uint32_t crc;

	(void)state;
	for (int copy = 0; copy < 2; copy++) {
		uint8_t *header = bytes + copy * HB_JOURNAL_HEADER_COPY;

		header[8] = HB_JOURNAL_VERSION + 1;
		crc = hb_crc32c(0, header, 124);
		for (int i = 0; i < 4; i++)
			header[124 + i] = (uint8_t)(crc >> 8 * i);
	}
	/* Torn, and a draft beside it: both would be seen to. */
	rig_put(&rig, "0000000000000000.seen", bytes, size - 5);
	rig_put(&rig, HB_JOURNAL_DRAFT, bytes, size);
	assert_false(rig_try_open(&rig, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "another version"));
	after = rig_read(&rig, "0000000000000000.seen", &after_size);
	assert_int_equal(after_size, size - 5);
	assert_memory_equal(after, bytes, after_size);
	free(after);
	after = rig_read(&rig, HB_JOURNAL_DRAFT, &after_size);
	assert_int_equal(after_size, size);
	free(after);
	free(bytes);
	rig_fini(&rig);
}

/* --- the directory -------------------------------------------------------- */

static void
test_refused_directories(void **state)
{
	struct hb_error err = {0};
	struct rig rig, second;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	second = rig;
	assert_false(rig_try_open(&second, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "uses this directory"));
	rig_close(&rig);
	assert_int_equal(chmod(rig.folder, 0770), 0);
	assert_false(rig_try_open(&rig, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "others may write"));
	assert_int_equal(chmod(rig.folder, 0700), 0);
	assert_int_equal(chmod(rig.path, 0702), 0);
	assert_false(rig_try_open(&rig, &err));
	assert_non_null(strstr(err.text, "others may write"));
	assert_int_equal(chmod(rig.path, 0700), 0);
	rig_empty(&rig);
	assert_int_equal(rmdir(rig.folder), 0);
	assert_int_equal(symlink("/tmp", rig.folder), 0);
	assert_false(rig_try_open(&rig, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_int_equal(unlink(rig.folder), 0);
	rig_fini(&rig);
}

/* --- threads -------------------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 3000 };

struct sender {
	struct rig *rig;
	unsigned number, round;
	struct hb_loop *loop;
	struct hb_task task;
};

static void
on_round(struct hb_task *task)
{
	struct sender *sender = hb_container_of(task, struct sender, task);
	char id[32];

	snprintf(id, sizeof(id), "msg_%u", sender->round++);
	assert_true(rig_settle(sender->rig, sender->number, id));
	if (sender->round % 100 == 0)
		(void)rig_stats(sender->rig);
	if (sender->round < ROUNDS)
		hb_loop_post(sender->loop, task);
	else
		hb_loop_stop(sender->loop);
}

/* All settle while the helper writes. */
static void
test_threads(void **state)
{
	struct sender senders[THREADS];
	struct rig rig;

	(void)state;
	rig_init(&rig, THREADS, 100000);
	hb_clock_thaw();
	rig_open(&rig);
	assert_true(hb_loop_start(rig.helper, NULL));
	for (unsigned i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){.rig = &rig,
		    .number = i,
		    .loop = hb_loop_new("sender", NULL),
		    .task = {.run = on_round}};
		hb_loop_post(senders[i].loop, &senders[i].task);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_true(hb_loop_start(senders[i].loop, NULL));
	for (unsigned i = 0; i < THREADS; i++) {
		hb_loop_join(senders[i].loop);
		hb_loop_free(senders[i].loop);
	}
	hb_loop_stop(rig.helper);
	hb_loop_join(rig.helper);
	rig_reopen(&rig);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(rig_count_seen(&rig, i, 0, ROUNDS), ROUNDS);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settled_lasts),
	    cmocka_unit_test(test_loop_goes_first),
	    cmocka_unit_test(test_written_soon),
	    cmocka_unit_test(test_forgotten_stays_forgotten),
	    cmocka_unit_test(test_evicted_and_forgotten),
	    cmocka_unit_test(test_window_goes_on),
	    cmocka_unit_test(test_clock_goes_back),
	    cmocka_unit_test(test_endpoints_change),
	    cmocka_unit_test(test_table_shrinks),
	    cmocka_unit_test(test_files_go_with_their_window),
	    cmocka_unit_test(test_rewritten_when_large),
	    cmocka_unit_test(test_rewritten_twice_there),
	    cmocka_unit_test(test_torn_everywhere),
	    cmocka_unit_test(test_flipped_everywhere),
	    cmocka_unit_test(test_damaged_older_file),
	    cmocka_unit_test(test_other_seed),
	    cmocka_unit_test(test_other_number),
	    cmocka_unit_test(test_other_version),
	    cmocka_unit_test(test_refused_directories),
	    cmocka_unit_test(test_threads),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
