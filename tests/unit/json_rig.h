/* SPDX-License-Identifier: Apache-2.0 */
/* json_rig.h - texts for the tests of json_*.c
 * Included by the test programs; not installed, not part of the library. */
#ifndef HB_TESTS_JSON_RIG_H
#define HB_TESTS_JSON_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hookbridge/json_span.h"
#include "hookbridge/mem.h"

/* A text in a block of exactly its size, so that reading past its end is
 * seen. */
static inline char *
exact_copy(struct hb_span text)
{
	char *copy = hb_xmalloc(text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return copy;
}

/* Whether a text is valid, judged from such a copy; the value then lies in the
 * text itself. */
static inline bool
validate_exact(
    struct hb_span text, struct hb_json_value *value, struct hb_error *err)
{
	char *copy = exact_copy(text);
	bool valid =
	    hb_json_validate(hb_span_make(copy, text.len), value, err);

	if (valid)
		value->text.ptr = text.ptr + (value->text.ptr - copy);
	free(copy);
	return valid;
}

static inline void
assert_span(struct hb_span got, struct hb_span want)
{
	if (hb_span_is_set(got) == hb_span_is_set(want) &&
	    hb_span_eq(got, want))
		return;
	fail_msg("got \"%.*s\" (%zu), want \"%.*s\" (%zu)", HB_SPAN_ARG(got),
	    got.len, HB_SPAN_ARG(want), want.len);
}

/* Numbers that look random and are the same in every run (xorshift). */
static inline uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static inline size_t
random_below(uint32_t *seed, size_t limit)
{
	return next_random(seed) % limit;
}

#endif
