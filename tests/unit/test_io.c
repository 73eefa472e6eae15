/* SPDX-License-Identifier: Apache-2.0 */
/* test_io.c - short calls, signals, ends of files
 *
 * The calls go through this file, and do what a script says: n > 0, n bytes at
 * most; 0, nothing; below 0, fail with that errno. Behind its end they do all
 * that they are asked. */
#include "hookbridge/io.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hookbridge/mem.h"

#define LEN 10
#define ALL 100 /* more than there is */
#define END ALL

static const char text[LEN] = "0123456789";
static const int *script; /* NULL: all is as it is */
static unsigned calls;

/* How many bytes this call may take; -1: it fails. */
static ssize_t
play(size_t len)
{
	int step = script != NULL ? *script : ALL;

	calls++;
	if (script != NULL && step != END)
		script++;
	if (step < 0)
		errno = -step;
	if (step < 0)
		return -1;
	return (size_t)step < len ? step : (ssize_t)len;
}

ssize_t
write(int fd, const void *data, size_t len)
{
	ssize_t n = script != NULL ? play(len) : (ssize_t)len;

	return n > 0 ? syscall(SYS_write, fd, data, n) : n;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	ssize_t n = play(len);

	return n > 0 ? syscall(SYS_pwrite64, fd, data, n, offset) : n;
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t n = play(len);

	return n > 0 ? syscall(SYS_pread64, fd, data, n, offset) : n;
}

static const struct {
	int script[5];
	unsigned calls;
	int error; /* of writing; 0: it is well */
	ssize_t got; /* of reading; -1: the error */
} cases[] = {
    {{END}, 1, 0, LEN},
    {{1, END}, 2, 0, LEN},
    {{3, 3, 3, END}, 4, 0, LEN},
    {{-EINTR, 4, -EINTR, END}, 4, 0, LEN},
    {{-EIO, END}, 1, EIO, -1},
    {{5, -EIO, END}, 2, EIO, -1},
    {{5, -ENOSPC, END}, 2, ENOSPC, -1},
    {{0, END}, 1, ENOSPC, 0},
    {{7, 0, END}, 2, ENOSPC, 7},
};

static int
open_file(void)
{
	int fd = memfd_create("test_io", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* It has the text, from offset on. */
static void
assert_whole(int fd, off_t offset)
{
	char found[LEN + 1];

	assert_int_equal(syscall(SYS_pread64, fd, found, sizeof(found), offset),
	    LEN);
	assert_memory_equal(found, text, LEN);
}

static void
begin(size_t i)
{
	script = cases[i].script;
	calls = 0;
}

static void
end(void)
{
	script = NULL;
}

static void
test_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int fd = open_file();
		int error;
		bool ok;

		begin(i);
		ok = hb_write_all(fd, text, LEN);
		error = errno;
		end();
		assert_int_equal(calls, cases[i].calls);
		assert_int_equal(ok, cases[i].error == 0);
		if (ok)
			assert_whole(fd, 0);
		else
			assert_int_equal(error, cases[i].error);
		close(fd);
	}
}

static void
test_writing_at_a_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int fd = open_file();
		int error;
		bool ok;

		begin(i);
		ok = hb_pwrite_all(fd, text, LEN, 77);
		error = errno;
		end();
		assert_int_equal(calls, cases[i].calls);
		assert_int_equal(ok, cases[i].error == 0);
		if (ok)
			assert_whole(fd, 77);
		else
			assert_int_equal(error, cases[i].error);
		close(fd);
	}
}

static void
test_reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char found[LEN];
		int fd = open_file();
		int error;
		ssize_t n;

		assert_true(hb_pwrite_all(fd, text, LEN, 77));
		begin(i);
		n = hb_pread_all(fd, found, LEN, 77);
		error = errno;
		end();
		assert_int_equal(calls, cases[i].calls);
		assert_int_equal(n, cases[i].got);
		if (n >= 0)
			assert_memory_equal(found, text, (size_t)n);
		else
			assert_int_equal(error, cases[i].error);
		close(fd);
	}
}

/* A file that is shorter. */
static void
test_ends(void **state)
{
	char found[LEN];
	int fd = open_file();

	(void)state;
	assert_true(hb_pwrite_all(fd, text, LEN, 0));
	assert_int_equal(hb_pread_all(fd, found, LEN, 4), LEN - 4);
	assert_memory_equal(found, text + 4, LEN - 4);
	assert_int_equal(hb_pread_all(fd, found, LEN, LEN), 0);
	assert_int_equal(hb_pread_all(fd, found, 0, 0), 0);
	assert_true(hb_write_all(fd, NULL, 0));
	assert_true(hb_pwrite_all(fd, NULL, 0, 0));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_writing_at_a_place),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
