/* SPDX-License-Identifier: Apache-2.0 */
/* path.h - every sequence of choices, one after the other
 *
 *	struct path path = { .len = 0 };
 *	do
 *		try(&path); // which calls choose() as often as it likes
 *	while (next_path(&path)); */
#ifndef HOOKBRIDGE_TESTS_PATH_H
#define HOOKBRIDGE_TESTS_PATH_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>

#include "hookbridge/mem.h"

/* A sequence of choices; the next one differs in the last place that has an
 * alternative left. */
struct path {
	unsigned choice[32], limit[32];
	size_t len, pos;
};

static inline unsigned
choose(struct path *path, unsigned limit)
{
	if (path->pos == path->len) {
		assert_true(path->len < HB_COUNT(path->choice));
		path->choice[path->len] = 0;
		path->limit[path->len++] = limit;
	}
	assert_int_equal(path->limit[path->pos], limit);
	return path->choice[path->pos++];
}

static inline bool
next_path(struct path *path)
{
	path->pos = 0;
	while (path->len > 0 &&
	    ++path->choice[path->len - 1] == path->limit[path->len - 1])
		path->len--;
	return path->len > 0;
}

#endif
