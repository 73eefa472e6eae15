/* SPDX-License-Identifier: Apache-2.0 */
/* test_dir.c - which directories are ours alone, and who has the lock
 *
 * Calls that hardly ever fail go through this file, which can make them. */
#include "hookbridge/dir.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hookbridge/mem.h"
#include "skip.h"

#define NOBODY 65534
#define LOCK ".lock"

/* --- calls ---------------------------------------------------------------- */

/* What they fail with, or 0. */
static struct {
	int parent, sync, sync_all, lock, write;
} fails;
static int syncs, syncs_of_all;

static int
refuse(int error, int otherwise)
{
	errno = error;
	return error != 0 ? -1 : otherwise;
}

int
openat(int dir, const char *name, int flags, ...)
{
	int mode = 0;
	va_list ap;

	if ((flags & O_CREAT) != 0) {
		va_start(ap, flags);
		mode = va_arg(ap, int);
		va_end(ap);
	}
	if (strcmp(name, "..") == 0 && fails.parent != 0)
		return refuse(fails.parent, 0);
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

int
fsync(int fd)
{
	(void)fd;
	syncs++;
	return refuse(fails.sync, 0);
}

int
syncfs(int fd)
{
	(void)fd;
	syncs_of_all++;
	return refuse(fails.sync_all, 0);
}

int
flock(int fd, int operation)
{
	return fails.lock != 0 ? refuse(fails.lock, 0)
			       : (int)syscall(SYS_flock, fd, operation);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return fails.write != 0
		   ? refuse(fails.write, 0)
		   : syscall(SYS_pwrite64, fd, data, len, offset);
}

/* --- a place -------------------------------------------------------------- */

static char top[64];
static int at;

static int
set_up(void **state)
{
	(void)state;
	memset(&fails, 0, sizeof(fails));
	snprintf(top, sizeof(top), "/tmp/hb-dir-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -1 : 0;
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	close(at);
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static int
make(struct hb_error *err)
{
	return hb_dir_make(at, "d", "the/d", err);
}

static int
make_well(void)
{
	struct hb_error err;
	int dir = make(&err);

	if (dir < 0)
		fail_msg("%s", err.text);
	return dir;
}

/* The fault is told as such, by this sentence. */
static void
assert_refused(int fd, const struct hb_error *err, const char *sentence)
{
	assert_int_equal(fd, -1);
	assert_int_equal(err->code, HB_E_CONFIG);
	assert_string_equal(err->text, sentence);
}

static unsigned
mode_of_it(void)
{
	struct stat st;

	assert_int_equal(fstatat(at, "d", &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* --- directories ---------------------------------------------------------- */

static void
test_is_made_if_only_it_is_missing(void **state)
{
	mode_t mask = umask(0);
	struct hb_error err;
	int dir = make_well();

	(void)state;
	umask(mask);
	assert_int_equal(mode_of_it(), 0700);
	assert_int_equal(fcntl(dir, F_GETFD), FD_CLOEXEC);
	close(dir);
	/* That it is there is fine, and what it is like stays. */
	assert_int_equal(fchmodat(at, "d", 0755, 0), 0);
	close(make_well());
	assert_int_equal(mode_of_it(), 0755);
	assert_refused(hb_dir_make(at, "no/d", "the/no/d", &err), &err,
	    "the/no/d: No such file or directory");
	assert_int_equal(hb_dir_make(at, "no/d", "the/no/d", NULL), -1);
}

static void
test_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool ok;
	} cases[] = {
	    {0700, true},
	    {0755, true},
	    {0500, true},
	    {01755, true},
	    {02750, true},
	    {0720, false},
	    {0702, false},
	    {0770, false},
	    {0777, false},
	    {01777, false},
	};
	struct hb_error err;

	(void)state;
	assert_int_equal(mkdirat(at, "d", 0700), 0);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int dir;

		assert_int_equal(fchmodat(at, "d", cases[i].mode, 0), 0);
		dir = make(&err);
		if (!cases[i].ok)
			assert_refused(dir, &err,
			    "the/d: others may write to this directory; chmod "
			    "0700 it");
		else
			assert_true(dir >= 0);
		if (dir >= 0)
			close(dir);
	}
}

static void
test_owners(void **state)
{
	static const struct {
		uid_t owner;
		uid_t we;
		bool ok;
	} cases[] = {
	    {0, 0, true},
	    {0, NOBODY, true},
	    {NOBODY, NOBODY, true},
	    {NOBODY, 0, false},
	    {NOBODY, NOBODY - 1, false},
	};
	struct hb_error err = {HB_OK, NULL, ""};
	int dir;

	(void)state;
	if (geteuid() != 0)
		SKIP("only root gives directories away");
	dir = make_well();
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		bool ok;

		assert_int_equal(fchown(dir, cases[i].owner, (gid_t)-1), 0);
		assert_int_equal(seteuid(cases[i].we), 0);
		ok = hb_dir_check(dir, "the/d", &err);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(ok, cases[i].ok);
	}
	assert_string_equal(err.text,
	    "the/d: this directory belongs to another user (uid 65534)");
	assert_refused(make(&err), &err,
	    "the/d: this directory belongs to another user (uid 65534)");
	close(dir);
}

/* Neither is followed, and neither is waited for. */
static void
test_what_is_no_directory(void **state)
{
	static const char sentence[] =
	    "the/d: not a directory (symbolic links are not followed)";
	struct hb_error err;

	(void)state;
	assert_int_equal(mkdirat(at, "other", 0700), 0);
	assert_int_equal(symlinkat("other", at, "d"), 0);
	assert_refused(make(&err), &err, sentence);
	assert_int_equal(unlinkat(at, "d", 0), 0);
	assert_int_equal(mkfifoat(at, "d", 0600), 0);
	assert_refused(make(&err), &err, sentence);
	assert_refused(hb_dir_open(at, "d", "the/d", &err), &err, sentence);
	assert_int_equal(errno, ENOTDIR);
}

/* To read it, it may be anybody's; but it must be there. */
static void
test_opening(void **state)
{
	struct hb_error err;
	int dir;

	(void)state;
	assert_refused(hb_dir_open(at, "d", "the/d", &err), &err,
	    "the/d: No such file or directory");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(hb_dir_open(at, "d", "the/d", NULL), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mkdirat(at, "d", 0700), 0);
	assert_int_equal(fchmodat(at, "d", 0777, 0), 0);
	dir = hb_dir_open(at, "d", "the/d", &err);
	assert_true(dir >= 0);
	close(dir);
}

/* --- its name on disk ----------------------------------------------------- */

static void
test_parents_are_synced(void **state)
{
	static const struct {
		int parent, sync, sync_all; /* what fails */
		int syncs, syncs_of_all;
		const char *sentence; /* NULL: it is well */
	} cases[] = {
	    {0, 0, 0, 1, 0, NULL},
	    {0, EINVAL, 0, 1, 0, NULL},
	    {0, EIO, 0, 1, 0, "the/d: syncing its parent: Input/output error"},
	    {EACCES, 0, 0, 0, 1, NULL},
	    {EACCES, 0, EIO, 0, 1,
		"the/d: syncing its parent: Input/output error"},
	    {EMFILE, 0, 0, 0, 0,
		"the/d: syncing its parent: Too many open files"},
	};
	struct hb_error err;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int dir;

		fails.parent = cases[i].parent;
		fails.sync = cases[i].sync;
		fails.sync_all = cases[i].sync_all;
		syncs = syncs_of_all = 0;
		dir = make(&err);
		assert_int_equal(syncs, cases[i].syncs);
		assert_int_equal(syncs_of_all, cases[i].syncs_of_all);
		if (cases[i].sentence != NULL)
			assert_refused(dir, &err, cases[i].sentence);
		else
			assert_true(dir >= 0);
		if (dir >= 0)
			close(dir);
	}
}

static void
test_syncing(void **state)
{
	(void)state;
	assert_true(hb_dir_sync(at));
	fails.sync = EINVAL;
	assert_true(hb_dir_sync(at));
	fails.sync = EIO;
	assert_false(hb_dir_sync(at));
	assert_int_equal(errno, EIO);
}

/* --- the lock ------------------------------------------------------------- */

static int
lock(struct hb_error *err)
{
	return hb_dir_lock(at, LOCK, "the/d", err);
}

static void
write_lock(const char *text)
{
	int fd = openat(at, LOCK, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
assert_lock_says(const char *expected)
{
	char text[64] = "";
	int fd = openat(at, LOCK, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, expected);
}

static void
test_second_locker(void **state)
{
	char sentence[96], pid[32];
	struct hb_error err;
	int first;

	(void)state;
	assert_false(hb_dir_is_locked(at, LOCK)); /* there is none */
	first = lock(&err);
	assert_true(first >= 0);
	assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
	assert_true(hb_dir_sign(first));
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	assert_lock_says(pid);
	assert_true(hb_dir_is_locked(at, LOCK));
	snprintf(sentence, sizeof(sentence),
	    "the/d: process %ld uses this directory", (long)getpid());
	assert_refused(lock(&err), &err, sentence);
	assert_int_equal(lock(NULL), -1);
	close(first);
	assert_false(hb_dir_is_locked(at, LOCK));
	first = lock(&err);
	assert_true(first >= 0);
	close(first);
}

/* What an earlier process wrote, or somebody else, stops nobody; and is in the
 * sentence only as far as it is a number. */
static void
test_stale_text(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} cases[] = {
	    {"", "the/d: process 0 uses this directory"},
	    {"1\n", "the/d: process 1 uses this directory"},
	    {"4194304 and much that is longer than any pid is\n",
		"the/d: process 4194304 uses this directory"},
	    {"\xff rubbish", "the/d: process 0 uses this directory"},
	};
	char pid[32];
	struct hb_error err;

	(void)state;
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int mine;

		write_lock(cases[i].text);
		mine = lock(&err);
		assert_true(mine >= 0);
		assert_lock_says(cases[i].text);
		assert_refused(lock(&err), &err, cases[i].sentence);
		assert_true(hb_dir_sign(mine));
		assert_lock_says(pid);
		close(mine);
	}
}

/* However it ends. */
static void
test_lock_goes_with_its_process(void **state)
{
	char sentence[96], byte;
	struct hb_error err;
	int ready[2], mine;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		mine = lock(NULL);
		if (mine < 0 || !hb_dir_sign(mine) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	snprintf(sentence, sizeof(sentence),
	    "the/d: process %ld uses this directory", (long)child);
	assert_refused(lock(&err), &err, sentence);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	mine = lock(&err);
	assert_true(mine >= 0);
	close(mine);
}

static void
test_what_is_no_lock(void **state)
{
	struct hb_error err;
	int mine;

	(void)state;
	assert_int_equal(mkdirat(at, LOCK, 0700), 0);
	assert_refused(lock(&err), &err, "the/d/.lock: Is a directory");
	assert_int_equal(unlinkat(at, LOCK, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("elsewhere", at, LOCK), 0);
	assert_refused(lock(&err), &err,
	    "the/d/.lock: Too many levels of symbolic links");
	assert_false(hb_dir_is_locked(at, LOCK));
	assert_int_equal(faccessat(at, "elsewhere", F_OK, 0), -1);
	assert_int_equal(unlinkat(at, LOCK, 0), 0);
	/* Nobody is waited for; a lock is a lock. */
	assert_int_equal(mkfifoat(at, LOCK, 0600), 0);
	assert_false(hb_dir_is_locked(at, LOCK));
	mine = lock(&err);
	assert_true(mine >= 0);
	assert_false(hb_dir_sign(mine));
	assert_refused(lock(&err), &err,
	    "the/d: process 0 uses this directory");
	close(mine);
}

static void
test_unreadable_lock(void **state)
{
	struct hb_error err;

	(void)state;
	write_lock("1\n");
	assert_int_equal(fchmodat(at, LOCK, 0, 0), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(top, NOBODY, (gid_t)-1), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	assert_false(hb_dir_is_locked(at, LOCK));
	assert_refused(lock(&err), &err, "the/d/.lock: Permission denied");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

static void
test_locks_that_fail(void **state)
{
	struct hb_error err;
	int mine;

	(void)state;
	fails.lock = ENOLCK;
	assert_refused(lock(&err), &err,
	    "the/d/.lock: locking: No locks available");
	assert_false(hb_dir_is_locked(at, LOCK));
	fails.lock = 0;
	/* A full disk takes nothing from it but the pid. */
	fails.write = ENOSPC;
	mine = lock(&err);
	assert_true(mine >= 0);
	assert_false(hb_dir_sign(mine));
	assert_int_equal(errno, ENOSPC);
	assert_true(hb_dir_is_locked(at, LOCK));
	close(mine);
}

/* --- streams -------------------------------------------------------------- */

static unsigned
count_names(DIR *stream)
{
	unsigned count = 0;

	assert_non_null(stream);
	while (readdir(stream) != NULL)
		count++;
	return count;
}

static void
test_streams_have_positions(void **state)
{
	DIR *first, *second;

	(void)state;
	write_lock("");
	first = hb_dir_stream(at);
	assert_int_equal(count_names(first), 3);
	second = hb_dir_stream(at);
	assert_int_equal(count_names(second), 3);
	assert_int_equal(closedir(first), 0);
	assert_int_equal(closedir(second), 0);
	assert_true(fcntl(at, F_GETFD) >= 0);
	assert_null(hb_dir_stream(-1));
	assert_int_equal(errno, EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_is_made_if_only_it_is_missing),
		TEST(test_modes),
		TEST(test_owners),
		TEST(test_what_is_no_directory),
		TEST(test_opening),
		TEST(test_parents_are_synced),
		TEST(test_syncing),
		TEST(test_second_locker),
		TEST(test_stale_text),
		TEST(test_lock_goes_with_its_process),
		TEST(test_what_is_no_lock),
		TEST(test_unreadable_lock),
		TEST(test_locks_that_fail),
		TEST(test_streams_have_positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
