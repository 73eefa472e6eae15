/* SPDX-License-Identifier: Apache-2.0 */
/* test_claim_faults.c - a disk that refuses: nothing is promised that is not
 * there, nothing stays that was not promised
 *
 * The system calls that change a disk go through this file, which counts those
 * of the helper's thread and can make some of them fail. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "claim_rig.h"

#define ABC                                \
	"ba7816bf8f01cfea414140de5dae2223" \
	"b00361a396177a9cb410ff61f20015ad"

/* --- the disk ------------------------------------------------------------- */

/* Calls since the last fail_calls(), which of them fail (from the first to
 * before the end), and how many did. */
static _Atomic unsigned calls, first, end, failed;
static _Atomic int error;
static _Atomic bool is_short; /* a write that is to fail does half its work */

static void
fail_calls(unsigned from, unsigned count, int with)
{
	error = with;
	calls = failed = 0;
	first = from;
	end = from + count;
}

static bool
fails(void)
{
	unsigned n = ++calls;

	if (n < first || n >= end)
		return false;
	failed++;
	errno = error;
	return true;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	/* Loops wake each other by eight bytes. */
	if (len != 8 && fails()) {
		if (is_short && len > 1)
			return syscall(SYS_write, fd, data, len / 2);
		errno = error;
		return -1;
	}
	return syscall(SYS_write, fd, data, len);
}

int
fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int
futimens(int fd, const struct timespec times[2])
{
	return fails() ? -1
		       : (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

int
openat(int dir, const char *name, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	return fails() ? -1
		       : (int)syscall(SYS_openat, dir, name, flags, mode);
}

int
mkdirat(int dir, const char *name, mode_t mode)
{
	return fails() ? -1 : (int)syscall(SYS_mkdirat, dir, name, mode);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails() ? -1
		       : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int
unlinkat(int dir, const char *name, int flags)
{
	return fails() ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}

static void
heal(void)
{
	fail_calls(0, 0, 0);
}

/* --- one put -------------------------------------------------------------- */

static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS, EINTR};

static void
assert_refused(const struct hb_claim_put *put, int with)
{
	bool is_full = with == ENOSPC || with == EDQUOT;

	assert_int_equal(
	    put->err.code, is_full ? HB_E_RESOURCE : HB_E_IO);
	assert_string_equal(
	    put->err.reason, is_full ? "claims-full" : "claims-broken");
}

/* The n-th call of a first put fails; whether there was one. */
static bool
fail_new(unsigned n, unsigned count, int with)
{
	struct hb_claim_put put;
	bool was_reached;
	struct rig rig;

	rig_start(&rig);
	fail_calls(n, count, with);
	put = rig_put(&rig, RIG_ONE, HB_SPAN("abc"));
	was_reached = failed > 0;
	heal();
	if (put.ok) {
		rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
		rig_assert_stats(&rig, 1, 3);
	} else {
		assert_refused(&put, with);
		rig_assert_stats(&rig, 0, 0);
		assert_int_equal(count > 1 ? 0 : rig_count(&rig, "one"), 0);
	}
	/* It is no worse for the next. */
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_keep(&rig, RIG_ONE, HB_SPAN("other"));
	rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
	rig_assert_stats(&rig, 2, 8);
	assert_int_equal(rig_count(&rig, "one"), 2);
	rig_close(&rig);
	return was_reached;
}

static void
every_call_of_the_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(errors); i++) {
		unsigned n = 1;

		while (fail_new(n, 1, errors[i]))
			n++;
		assert_in_range(n, 9, 14);
		/* And all from one on: what is in the way cannot be removed
		 * either. */
		for (unsigned from = 1; from < n; from++)
			if (errors[i] != EINTR)
				assert_true(fail_new(from, 1000, errors[i]));
	}
}

/* A body that is kept stays so, whatever becomes of putting it again. */
static bool
fail_again(unsigned n, unsigned count, int with)
{
	struct hb_claim_put put;
	bool was_reached;
	struct rig rig;

	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	fail_calls(n, count, with);
	put = rig_put(&rig, RIG_ONE, HB_SPAN("abc"));
	was_reached = failed > 0;
	heal();
	if (!put.ok)
		assert_refused(&put, with);
	rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
	rig_assert_stats(&rig, 1, 3);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(rig_count(&rig, "one"), 1);
	rig_close(&rig);
	rig_open(&rig);
	rig_assert_stats(&rig, 1, 3);
	rig_close(&rig);
	return was_reached;
}

static void
every_call_of_the_second(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(errors); i++) {
		unsigned n = 1;

		while (fail_again(n, 1, errors[i]))
			n++;
		assert_in_range(n, 4, 8);
		for (unsigned from = 1; from < n; from++)
			if (errors[i] != EINTR)
				assert_true(fail_again(from, 1000, errors[i]));
	}
}

/* A sync that failed is believed, and the bytes are written anew. */
static void
sync_of_a_known_one(void **state)
{
	struct stat before, after;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(stat(rig_file(&rig, "one", ABC), &before), 0);
	fail_calls(4, 1, EIO); /* folder, file, time, sync */
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(failed, 1);
	heal();
	assert_int_equal(stat(rig_file(&rig, "one", ABC), &after), 0);
	assert_true(after.st_ino != before.st_ino);
	rig_close(&rig);
}

/* --- sizes ---------------------------------------------------------------- */

static char room[1 << 16];

static void
short_writes(void **state)
{
	struct hb_span body = rig_body(room, sizeof(room), 1);
	const char *digest;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	is_short = true;
	fail_calls(3, 12, EIO); /* after folder and file: 64 KiB in halves */
	digest = rig_keep(&rig, RIG_ONE, body);
	assert_int_equal(failed, 12);
	is_short = false;
	heal();
	rig_assert_reads(&rig, digest, body);
	rig_close(&rig);
}

/* The system's own limit, and its signal. */
static void
file_size_limit(void **state)
{
	struct hb_span body = rig_body(room, sizeof(room), 2);
	struct rlimit before, limit;
	struct rig rig;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = sizeof(room) - 1;
	rig_start(&rig);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rig_refuse(&rig, RIG_ONE, body, HB_E_RESOURCE, "claims-full");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rig_count(&rig, "one"), 0);
	rig_assert_stats(&rig, 0, 0);
	rig_keep(&rig, RIG_ONE, body);
	rig_close(&rig);
}

/* --- the rest ------------------------------------------------------------- */

/* What cannot be removed counts, and goes when it can be. */
static void
expiry(void **state)
{
	struct rig_put waiter;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_close(&rig);
	rig_age(&rig, "one", ABC, RIG_DAY_MS + 2000);
	rig.cfg.claims.max_size = 10;
	rig_prepare(&rig);
	/* Put before the sweep, which has to make room; opening and what is
	 * needed to write goes well: folder made, synced, opened. */
	rig_begin(&rig, &waiter, RIG_ONE, HB_SPAN("xyz"));
	fail_calls(4, 1000, EIO);
	rig_run(&rig);
	rig_wait(&waiter);
	assert_false(waiter.put.ok);
	assert_string_equal(waiter.put.err.reason, "endpoint-share");
	rig_assert_stats(&rig, 1, 3);
	heal();
	rig_keep(&rig, RIG_ONE, HB_SPAN("xyz"));
	rig_assert_stats(&rig, 1, 3);
	assert_false(rig_exists(&rig, "one", ABC));
	rig_close(&rig);
}

/* Each call of opening: it opens, or says that it does not. */
static void
opening(void **state)
{
	struct rig rig;
	unsigned n = 1, opened = 0;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_close(&rig);
	for (bool was_reached = true; was_reached; n++) {
		struct hb_loop *helper = hb_loop_new("helper", NULL);
		struct hb_claims *claims;
		struct hb_error err = {0};

		rig_write(&rig, "one", ".new", "left");
		fail_calls(n, 1, EIO);
		claims = hb_claims_open(&rig.cfg, helper, &err);
		was_reached = failed > 0;
		heal();
		if (claims == NULL)
			assert_int_equal(err.code, HB_E_CONFIG);
		opened += claims != NULL;
		hb_claims_close(claims);
		hb_loop_free(helper);
	}
	/* The pid in the lock, the leftover: it opens without them; the last
	 * time nothing failed. */
	assert_in_range(opened, 2, 3);
	assert_in_range(n, 11, 14);
	rig_open(&rig);
	rig_assert_stats(&rig, 1, 3);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_call_of_the_first),
	    cmocka_unit_test(every_call_of_the_second),
	    cmocka_unit_test(sync_of_a_known_one),
	    cmocka_unit_test(short_writes),
	    cmocka_unit_test(file_size_limit),
	    cmocka_unit_test(expiry),
	    cmocka_unit_test(opening),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
