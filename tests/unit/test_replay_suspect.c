/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_suspect.c - when one record is to blame, and when it is not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/replay/suspect.h"
#include "hookbridge/mem.h"

/* What happens, one after the other:
 *   c  one is confirmed   f7 7 failed, no poison   p7 7 failed: it is poison
 *   r7 7 is read          /  the round ends
 *   +  records are sent one by one                 -  they are not */
static const struct {
	const char *name, *story;
} cases[] = {
	{ "nothing is wrong", "- c c c / - c / -" },
	{ "three rounds, then alone",
	    "c f2 / - c f2 / - c f2 / + r2 f2 / + f2 / + p2 + r3 - / -" },
	{ "confirmed before it is accused", "c f2 / c f2 / c f4 / c f4 / - "
					    "c f4 / +" },
	{ "confirmed alone: it begins anew",
	    "c f2 / c f2 / c f2 / + f2 / + f2 / c r3 - / - "
	    "c f4 / c f4 / - c f4 / + f4 / f4 / p4" },
	{ "nothing passes: nobody is to blame",
	    "f1 f2 / f1 f2 / f1 f2 / - f1 / f1 / f1 / f1 / -" },
	{ "rounds in which nothing passes do not count",
	    "c f2 / f2 / f2 / - c f2 / - f2 / - c f2 / +" },
	{ "rounds without a failure change nothing",
	    "c f2 / c / c f2 / c / - c f2 / +" },
	{ "the lowest, in whatever order they fail",
	    "c f9 f2 f5 / c f5 f2 / c f2 f9 / + f2 / f2 / p2" },
	{ "another is lowest: it begins anew", "c f5 / c f5 / c f3 / - "
					       "c f5 / - c f5 / - c f5 / +" },
	{ "another fails while it is alone", "c f5 / c f5 / c f5 / + f4 / + "
					     "f4 / + f4 / + f4 / + "
					     "f5 / f5 / p5" },
	{ "another one is to blame after all", "c f5 / c f5 / c f5 / + f5 / "
					       "c f4 / - c f4 / c f4 / + "
					       "f4 / f4 / p4" },
	{ "what passes before it does not clear it",
	    "c f5 / c f5 / c f5 / + f5 / r4 c r5 f5 / + p5" },
	{ "poison stays poison until it is gone",
	    "c f2 / c f2 / c f2 / f2 / f2 / p2 / + p2 / + p2 r3 -" },
	{ "somebody else settles it",
	    "c f2 / c f2 / c f2 / + r1 + r2 + r3 - / -" },
	{ "reading does not clear who is not alone",
	    "c f2 / c f2 / r3 - c f2 / +" },
};

static void
play_step(struct hb_suspect *suspect, const char *step)
{
	uint64_t seq = strtoull(step + 1, NULL, 10);
	bool any = suspect->confirmed > 0;

	switch (*step) {
	case 'c':
		hb_suspect_note_confirmed(suspect);
		break;
	case 'f':
		assert_false(hb_suspect_note_failed(suspect, seq));
		break;
	case 'p':
		assert_true(hb_suspect_note_failed(suspect, seq));
		break;
	case 'r':
		hb_suspect_note_read(suspect, seq);
		break;
	case '/':
		assert_int_equal(hb_suspect_end_round(suspect), any);
		break;
	case '+':
		assert_true(hb_suspect_is_alone(suspect));
		break;
	case '-':
		assert_false(hb_suspect_is_alone(suspect));
		break;
	default:
		fail_msg("what is %s?", step);
	}
}

static void
test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_suspect suspect = { .seq = 0 };

		print_message("%s\n", cases[i].name);
		for (const char *step = cases[i].story; *step != '\0';) {
			play_step(&suspect, step);
			step++;
			while (*step == ' ' || (*step >= '0' && *step <= '9'))
				step++;
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
