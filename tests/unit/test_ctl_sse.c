/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_sse.c - server-sent events, however they are cut into pieces */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../src/ctl/sse.h"
#include "hookbridge/mem.h"

struct seen {
	char text[512];
	unsigned count, enough; /* 0: never */
};

static bool
on_event(void *arg, struct hb_span name, struct hb_span data)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "<%.*s|%.*s>",
	    HB_SPAN_ARG(name), HB_SPAN_ARG(data));
	return ++seen->count != seen->enough;
}

static const struct {
	const char *stream, *events;
} cases[] = {
	{ "event: a\ndata: {}\n\n", "<a|{}>" },
	{ "event:a\r\ndata:{}\r\n\r\n", "<a|{}>" },
	{ "data: 1\ndata: 2\n\ndata: 3\n\n", "<|1\n2><|3>" },
	{ ": keep-alive\n\nevent: a\ndata: 1\n\n", "<a|1>" },
	/* Without data there is no event, and its name is forgotten. */
	{ "event: a\n\ndata: 1\n\n", "<|1>" },
	{ "data:\n\n", "<|>" },
	{ "data\n\nid: 5\nretry: 9\ndata: 1\n\n", "<|1>" },
	{ "data:  two blanks\n\n", "<| two blanks>" },
	/* Not ended yet. */
	{ "event: a\ndata: 1\n", "" },
};

static void
events_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		size_t len = strlen(cases[i].stream);

		for (size_t step = 1; step <= len; step++) {
			struct seen seen = { .count = 0 };
			struct hb_sse sse = { .on_event = on_event,
				.arg = &seen };

			for (size_t at = 0; at < len; at += step)
				assert_true(hb_sse_take(&sse,
				    hb_span_make(cases[i].stream + at,
					len - at < step ? len - at : step)));
			assert_string_equal(seen.text, cases[i].events);
			hb_sse_fini(&sse);
		}
	}
}

static void
who_has_enough_gets_no_more(void **state)
{
	struct seen seen = { .enough = 2 };
	struct hb_sse sse = { .on_event = on_event, .arg = &seen };

	(void)state;
	assert_false(hb_sse_take(&sse,
	    HB_SPAN("data: 1\n\ndata: 2\n\ndata: 3\n\n")));
	assert_string_equal(seen.text, "<|1><|2>");
	hb_sse_fini(&sse);
}

/* Neither a line nor many lines together. */
static void
nothing_is_longer_than_allowed(void **state)
{
	static const char *const starts[] = { "data: ", "event: ", "x" };
	size_t len = (size_t)1 << 16;
	char *piece = hb_xmalloc(len);

	(void)state;
	memset(piece, 'x', len);
	for (size_t i = 0; i < HB_COUNT(starts); i++) {
		struct seen seen = { .count = 0 };
		struct hb_sse sse = { .on_event = on_event, .arg = &seen };
		size_t taken = 0;

		assert_true(hb_sse_take(&sse, hb_span_of(starts[i])));
		while (hb_sse_take(&sse, hb_span_make(piece, len)))
			taken += len;
		assert_in_range(taken, HB_SSE_MAX - 2 * len, HB_SSE_MAX);
		hb_sse_fini(&sse);
	}
	memcpy(piece, "data: ", 6);
	piece[len - 1] = '\n';
	{
		struct seen seen = { .count = 0 };
		struct hb_sse sse = { .on_event = on_event, .arg = &seen };
		size_t taken = 0;

		while (hb_sse_take(&sse, hb_span_make(piece, len)))
			taken += len;
		assert_in_range(taken, HB_SSE_MAX - 2 * len,
		    HB_SSE_MAX + 2 * len);
		hb_sse_fini(&sse);
	}
	free(piece);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(events_are_taken_apart),
	    cmocka_unit_test(who_has_enough_gets_no_more),
	    cmocka_unit_test(nothing_is_longer_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
