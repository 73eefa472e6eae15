/* SPDX-License-Identifier: Apache-2.0 */
/* test_error.c - struct hb_error; hb_bug() and the allocators that abort */
#include "hookbridge/error.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static void
test_fail_fills(void **state)
{
	struct hb_error err = {0};

	(void)state;
	assert_false(hb_fail(&err, HB_E_RETRY, "redis %s: %d", "a:1", 7));
	assert_int_equal(err.code, HB_E_RETRY);
	assert_null(err.reason);
	assert_string_equal(err.text, "redis a:1: 7");

	assert_false(
	    hb_fail_reason(&err, HB_E_AUTH, "bad_key", "no %s", "key"));
	assert_int_equal(err.code, HB_E_AUTH);
	assert_string_equal(err.reason, "bad_key");
	assert_string_equal(err.text, "no key");

	assert_null(hb_fail_null(&err, HB_E_IO, "x"));
	assert_int_equal(err.code, HB_E_IO);
	assert_null(err.reason);
	assert_string_equal(err.text, "x");
}

static void
test_null_is_allowed(void **state)
{
	(void)state;
	assert_false(hb_fail(NULL, HB_E_IO, "x"));
	assert_false(hb_fail_reason(NULL, HB_E_IO, "r", "x"));
	assert_null(hb_fail_null(NULL, HB_E_IO, "x"));
	hb_error_prefix(NULL, "x");
}

static void
test_prefix(void **state)
{
	struct hb_error err;

	(void)state;
	hb_fail_reason(&err, HB_E_CONFIG, "word", "not a port");
	hb_error_prefix(&err, "sinks.%s: ", "main");
	hb_error_prefix(&err, "a.yaml:%d: ", 3);
	assert_string_equal(err.text, "a.yaml:3: sinks.main: not a port");
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_string_equal(err.reason, "word");
}

static void
test_long_texts_are_cut(void **state)
{
	struct hb_error err;
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	hb_fail(&err, HB_E_IO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	hb_error_prefix(&err, "%s", "before: ");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "before: xxx", 11);
	hb_error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* Runs fn in a child; its stderr goes to text. Returns the wait status. */
static int
in_child(void (*fn)(void), char *text, size_t size)
{
	int fds[2], status;
	ssize_t n;
	size_t len = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL); /* not cmocka's handler */
		dup2(fds[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (len < size - 1 &&
	       (n = read(fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
run_bug(void)
{
	hb_bug("task %d", 42);
}

static void
run_product_overflow(void)
{
	/* volatile: the compiler would see through a constant. */
	volatile size_t count = SIZE_MAX / 2 + 1;

	hb_xreallocarray(NULL, count, 2);
}

static void
test_aborts(void **state)
{
	static const struct {
		void (*fn)(void);
		const char *said;
	} cases[] = {
	    {run_bug, "task 42"}, {run_product_overflow, "out of memory"}};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int status = in_child(cases[i].fn, text, sizeof(text));

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
		assert_non_null(strstr(text, cases[i].said));
	}
}

static void
test_allocators(void **state)
{
	char *p = hb_xmalloc(3);
	int *n = hb_xcalloc(4, sizeof(*n));
	char *copy;

	(void)state;
	memcpy(p, "ab", 3);
	p = hb_xrealloc(p, 1000);
	assert_string_equal(p, "ab");
	assert_int_equal(n[3], 0);
	n = hb_xreallocarray(n, 8, sizeof(*n));
	assert_int_equal(n[0], 0);
	free(hb_xcalloc(0, 8));
	copy = hb_xstrndup((struct hb_span){"a\0bc", 3});
	assert_memory_equal(copy, "a\0b", 4);
	free(copy);
	copy = hb_xstrndup(HB_SPAN_NONE);
	assert_string_equal(copy, "");
	free(copy);
	copy = hb_xstrdup("xyz");
	assert_string_equal(copy, "xyz");
	free(copy);
	free(n);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fail_fills),
	    cmocka_unit_test(test_null_is_allowed),
	    cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_long_texts_are_cut),
	    cmocka_unit_test(test_aborts),
	    cmocka_unit_test(test_allocators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
