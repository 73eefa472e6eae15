/* SPDX-License-Identifier: Apache-2.0 */
/* test_arena.c - alignment, copies, growth and cleanups */
#include "hookbridge/arena.h"

#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

#define PIECES 2000

/* Every piece is aligned, keeps its bytes, and touches no other. */
static void
test_many_sizes(void **state)
{
	static const size_t first[] = {0, 1, 256, 4096, 1 << 20};
	unsigned char *piece[PIECES];

	(void)state;
	for (size_t f = 0; f < HB_COUNT(first); f++) {
		struct hb_arena *arena = hb_arena_new(first[f]);

		for (size_t i = 0; i < PIECES; i++) {
			size_t size = i * 7 % 611;

			piece[i] = hb_arena_alloc(arena, size);
			assert_non_null(piece[i]);
			assert_int_equal(
			    (uintptr_t)piece[i] % alignof(max_align_t), 0);
			memset(piece[i], (int)(i & 0xff), size);
		}
		for (size_t i = 0; i < PIECES; i++)
			for (size_t at = 0; at < i * 7 % 611; at++)
				assert_int_equal(piece[i][at], i & 0xff);
		hb_arena_free(arena);
	}
}

static void
test_size_counts_what_is_held(void **state)
{
	struct hb_arena *arena = hb_arena_new(1000);
	size_t before = hb_arena_size(arena);

	(void)state;
	assert_true(before >= 1000);
	hb_arena_alloc(arena, 900);
	assert_int_equal(hb_arena_size(arena), before);
	hb_arena_alloc(arena, 5 << 20);
	assert_true(hb_arena_size(arena) >= before + (5u << 20));
	assert_true(hb_arena_size(arena) < before + (6u << 20));
	hb_arena_free(arena);
}

static void
test_a_large_piece_leaves_the_chunk_in_use(void **state)
{
	struct hb_arena *arena = hb_arena_new(1024);
	size_t size;

	(void)state;
	hb_arena_alloc(arena, 1 << 20);
	size = hb_arena_size(arena);
	hb_arena_alloc(arena, 512);
	assert_int_equal(hb_arena_size(arena), size);
	hb_arena_free(arena);
}

static void
test_copies(void **state)
{
	struct hb_arena *arena = hb_arena_new(0);
	struct hb_span s;
	const int *zero;

	(void)state;
	s = hb_arena_dup(arena, hb_span_make("a\0bcd", 3));
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a\0b", 4);
	s = hb_arena_dup(arena, HB_SPAN(""));
	assert_true(hb_span_is_set(s));
	assert_int_equal(s.len, 0);
	assert_false(hb_span_is_set(hb_arena_dup(arena, HB_SPAN_NONE)));
	assert_string_equal(hb_arena_strdup(arena, "hello"), "hello");
	s = hb_arena_printf(arena, "%s-%0300d", "x", 5);
	assert_int_equal(s.len, 302);
	assert_int_equal(strlen(s.ptr), 302);
	assert_memory_equal(s.ptr, "x-000", 5);
	zero = hb_arena_calloc(arena, 100, sizeof(*zero));
	for (int i = 0; i < 100; i++)
		assert_int_equal(zero[i], 0);
	hb_arena_free(arena);
}

static char order[8];

static void
note(void *arg)
{
	strcat(order, arg);
}

static void
test_cleanups_run_last_first(void **state)
{
	struct hb_arena *arena = hb_arena_new(0);

	(void)state;
	order[0] = '\0';
	hb_arena_on_free(arena, note, hb_arena_strdup(arena, "a"));
	hb_arena_on_free(arena, note, hb_arena_strdup(arena, "b"));
	hb_arena_on_free(arena, note, hb_arena_strdup(arena, "c"));
	assert_string_equal(order, "");
	hb_arena_free(arena);
	assert_string_equal(order, "cba");
	hb_arena_free(NULL);
}

/* A size whose sum with a header would be small again is refused. */
static void
test_absurd_sizes_abort(void **state)
{
	(void)state;
	for (int fault = 0; fault < 3; fault++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			volatile size_t size = SIZE_MAX - 8;
			struct hb_arena *arena;

			signal(SIGABRT, SIG_DFL);
			close(STDERR_FILENO);
			arena = hb_arena_new(fault == 0 ? size : 0);
			if (fault == 1)
				hb_arena_alloc(arena, size);
			if (fault == 2)
				hb_arena_calloc(arena, size, 2);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many_sizes),
	    cmocka_unit_test(test_size_counts_what_is_held),
	    cmocka_unit_test(test_a_large_piece_leaves_the_chunk_in_use),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_cleanups_run_last_first),
	    cmocka_unit_test(test_absurd_sizes_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
