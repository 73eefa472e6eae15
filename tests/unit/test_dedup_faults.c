/* SPDX-License-Identifier: Apache-2.0 */
/* test_dedup_faults.c - a disk that refuses, at every call there is
 *
 * The system calls that change a disk go through here: they are counted, and
 * the n-th can be made to fail. What settled is still in memory then, so that
 * with a disk that works again nothing is missing; with one that does not, the
 * end comes all the same. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "dedup_rig.h"

static unsigned calls, syncs;
/* The calls from the first to before the end fail. */
static unsigned fail_first, fail_end;
static int fail_error;
static bool fail_short; /* writes: half of it, then the error */

static bool
fails(void)
{
	calls++;
	if (calls < fail_first || calls >= fail_end)
		return false;
	errno = fail_error;
	return true;
}

static void
fail_calls(unsigned n, unsigned count, int error)
{
	fail_error = error;
	fail_first = n > 0 ? calls + n : 0;
	fail_end = n > 0 ? calls + n + count : 0;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	if (fails()) {
		if (fail_short && len > 1)
			syscall(SYS_pwrite64, fd, data, len / 2, offset);
		errno = fail_error;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, offset);
}

int
fdatasync(int fd)
{
	(void)fd;
	syncs++;
	return fails() ? -1 : 0; /* nobody cuts the power */
}

int
fsync(int fd)
{
	(void)fd;
	return fails() ? -1 : 0;
}

int
ftruncate(int fd, off_t size)
{
	return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int
openat(int dir, const char *name, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if ((flags & O_ACCMODE) != O_RDONLY && fails())
		return -1;
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails() ? -1
		       : (int)syscall(
			     SYS_renameat, from_dir, from, to_dir, to);
}

int
unlinkat(int dir, const char *name, int flags)
{
	return fails() ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}

/* --- histories ------------------------------------------------------------ */

static bool
has_tried(struct rig *rig)
{
	return calls > rig->wanted || rig_stats(rig).broken;
}

/* A file each. */
static void
run_files(struct rig *rig)
{
	for (unsigned i = 0; i < 3; i++) {
		rig->wanted = calls;
		rig_settle_many(rig, 0, i, 1, 0);
		rig_run_until(rig, has_tried);
		rig_pass(rig, RIG_WINDOW_S / 8 + 1);
	}
}

static void
check_files(struct rig *rig)
{
	assert_int_equal(rig_count_seen(rig, 0, 0, 3), 3);
}

static bool
is_rewritten(struct rig *rig)
{
	uint64_t bytes = rig_stats(rig).bytes;

	return rig_stats(rig).broken ||
	       (bytes > 0 && bytes < 1024 * HB_JOURNAL_RECORD_SIZE);
}

/* So many that they are rewritten. */
static void
run_rewriting(struct rig *rig)
{
	rig_settle_many(rig, 1, 0, 10, 0);
	rig_settle_many(rig, 0, 0, 16 * 512, 11);
	rig_run_until(rig, is_rewritten);
}

static void
check_rewriting(struct rig *rig)
{
	assert_int_equal(rig_count_seen(rig, 1, 0, 10), 10);
	assert_int_equal(rig_count_seen(rig, 0, 16 * 512 - 50, 50), 50);
}

struct history {
	void (*run)(struct rig *rig);
	void (*check)(struct rig *rig);
};

/* How many calls it makes when none fails. */
static unsigned
count_calls(const struct history *history)
{
	struct rig rig;
	unsigned before;

	rig_init(&rig, 2, 128);
	rig_open(&rig);
	before = calls;
	history->run(&rig);
	assert_false(rig_stats(&rig).broken);
	rig_close(&rig);
	before = calls - before;
	rig_open(&rig);
	history->check(&rig);
	rig_end(&rig);
	return before;
}

/* One call fails, and the disk is well again. */
static void
fail_once(const struct history *history, int error, bool is_short)
{
	unsigned most = count_calls(history);

	for (unsigned n = 1; n <= most; n++) {
		struct rig rig;

		rig_init(&rig, 2, 128);
		rig_open(&rig);
		fail_short = is_short;
		fail_calls(n, 1, error);
		history->run(&rig);
		rig_close(&rig);
		fail_calls(0, 0, 0);
		rig_open(&rig);
		history->check(&rig);
		rig_end(&rig);
	}
}

/* Nothing works any more: what is lost is lost, but nothing hangs, nothing is
 * made up, and a better disk is a new beginning. */
static void
fail_from(const struct history *history, int error)
{
	unsigned most = count_calls(history);

	for (unsigned n = 1; n <= most; n++) {
		struct rig rig;

		rig_init(&rig, 2, 128);
		rig_open(&rig);
		fail_calls(n, UINT32_MAX / 2, error);
		history->run(&rig);
		rig_close(&rig);
		fail_calls(0, 0, 0);
		rig_open(&rig);
		assert_true(rig_stats(&rig).entries <= 128);
		assert_true(rig_settle(&rig, 0, "more"));
		rig_reopen(&rig);
		assert_true(rig_is_seen(&rig, 0, "more"));
		rig_end(&rig);
	}
}

static const struct history histories[] = {
    {run_files, check_files}, {run_rewriting, check_rewriting}};

static void
test_one_call_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(histories); i++) {
		fail_once(&histories[i], EIO, false);
		fail_once(&histories[i], ENOSPC, true);
	}
}

static void
test_all_calls_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(histories); i++)
		fail_from(&histories[i], EIO);
}

/* --- state ---------------------------------------------------------------- */

static bool
is_broken(struct rig *rig)
{
	return rig_stats(rig).broken;
}

static bool
is_well(struct rig *rig)
{
	return !rig_stats(rig).broken;
}

/* Said while it is so, and tried again by itself. */
static void
test_broken_and_well_again(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_false(is_broken(&rig));
	fail_calls(1, UINT32_MAX / 2, EIO);
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_run_until(&rig, is_broken);
	assert_true(rig_settle(&rig, 0, "msg_2"));
	fail_calls(0, 0, 0);
	rig_run_until(&rig, is_well);
	rig_reopen(&rig);
	assert_true(rig_is_seen(&rig, 0, "msg_1"));
	assert_true(rig_is_seen(&rig, 0, "msg_2"));
	rig_end(&rig);
}

static bool
has_synced(struct rig *rig)
{
	return syncs > rig->wanted;
}

/* The sync comes by itself; one that fails is the file's last call. */
static void
test_synced_soon(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	rig.wanted = syncs;
	assert_true(rig_settle(&rig, 0, "msg_1"));
	rig_run_until(&rig, has_synced);
	assert_true(rig_settle(&rig, 0, "msg_2"));
	rig.wanted = calls;
	rig_run_until(&rig, has_tried); /* written */
	fail_calls(1, 1, EIO);
	rig_run_until(&rig, is_broken);
	assert_true(rig_settle(&rig, 0, "msg_3"));
	rig_run_until(&rig, is_well);
	assert_int_equal(rig_count_files(&rig), 2);
	rig_reopen(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 1, 3), 3);
	rig_end(&rig);
}

/* A limit gives a short write before it refuses. */
static void
test_file_size_limit(void **state)
{
	struct rlimit before, limit;
	struct rig rig;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = HB_JOURNAL_BLOCK + 5 * HB_JOURNAL_RECORD_SIZE + 20;
	rig_init(&rig, 1, 100);
	rig_open(&rig);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rig_settle_many(&rig, 0, 0, 10, 0);
	rig_run_until(&rig, is_broken);
	assert_int_equal(rig_count_files(&rig), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	rig_reopen(&rig);
	assert_int_equal(rig_count_seen(&rig, 0, 0, 10), 10);
	rig_end(&rig);
}

/* Nobody waits for a disk: what has no room is dropped, and known no more
 * after a restart. */
static void
test_slow_disk(void **state)
{
	const unsigned more = 100;
	struct rig rig;

	(void)state;
	rig_init(&rig, 1, HB_JOURNAL_BUFFER + more);
	rig_open(&rig);
	rig_settle_many(&rig, 0, 0, HB_JOURNAL_BUFFER + more, 0);
	assert_int_equal(rig_stats(&rig).entries, HB_JOURNAL_BUFFER + more);
	rig_reopen(&rig);
	assert_int_equal(rig_stats(&rig).entries, HB_JOURNAL_BUFFER);
	assert_int_equal(
	    rig_count_seen(&rig, 0, HB_JOURNAL_BUFFER - 10, 20), 10);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_call_fails),
	    cmocka_unit_test(test_all_calls_fail),
	    cmocka_unit_test(test_broken_and_well_again),
	    cmocka_unit_test(test_synced_soon),
	    cmocka_unit_test(test_file_size_limit),
	    cmocka_unit_test(test_slow_disk),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
