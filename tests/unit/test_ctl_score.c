/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_score.c - what "send" makes of the answers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sysexits.h>

#include "../../src/ctl/send.h"
#include "hookbridge/mem.h"

static const struct {
	const char *body, *says;
} sentences[] = {
	{ "{\"id\":\"msg_1\",\"outcome\":\"confirmed\"}\n", "confirmed" },
	{ "{\"error\":\"unauthorized\",\"detail\":\"compare the clocks\"}",
	    "compare the clocks" },
	{ "{\"error\":\"teapot\"}", "teapot" },
	{ "{\"detail\":\"\\u00e9 \\\"x\\\"\"}", "\xc3\xa9 \"x\"" },
	/* What the daemon does not say: its first line. */
	{ "", "" },
	{ "Bad Gateway\r\n<p>", "Bad Gateway" },
	{ "{\"detail\":1}", "{\"detail\":1}" },
	{ "[\"outcome\"]", "[\"outcome\"]" },
	{ "{\"outcome\":\"\\ud800\"}", "{\"outcome\":\"\\ud800\"}" },
};

static void
answers_have_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(sentences); i++) {
		struct hb_score score;

		hb_score_init(&score);
		hb_score_answer(&score, 200, hb_span_of(sentences[i].body), 1);
		assert_int_equal(score.row_count, 1);
		assert_string_equal(score.rows[0].says, sentences[i].says);
		hb_score_fini(&score);
	}
}

static void
a_long_answer_is_cut(void **state)
{
	struct hb_score score;
	char page[2000];

	(void)state;
	memset(page, 'x', sizeof(page));
	hb_score_init(&score);
	hb_score_answer(&score, 502, hb_span_make(page, sizeof(page)), 1);
	assert_int_equal(strlen(score.rows[0].says), 200);
	hb_score_fini(&score);
}

static void
equal_answers_are_counted(void **state)
{
	struct hb_score score;

	(void)state;
	hb_score_init(&score);
	hb_score_answer(&score, 200, HB_SPAN("{\"outcome\":\"a\"}"), 1);
	hb_score_answer(&score, 200, HB_SPAN("{\"outcome\":\"b\"}"), 1);
	hb_score_answer(&score, 202, HB_SPAN("{\"outcome\":\"a\"}"), 1);
	hb_score_answer(&score, 200, HB_SPAN("{\"outcome\":\"a\"}"), 1);
	assert_int_equal(hb_score_status(&score), EX_OK);
	hb_score_answer(&score, 401, HB_SPAN("no"), 1);
	assert_int_equal(hb_score_status(&score), 1);
	hb_score_failure(&score, "Connection refused");
	assert_int_equal(hb_score_status(&score), EX_UNAVAILABLE);
	assert_int_equal(score.row_count, 5);
	assert_int_equal(score.rows[0].count, 2);
	assert_int_equal(score.rows[4].code, HB_SCORE_NO_ANSWER);
	assert_int_equal(score.accepted, 4);
	assert_int_equal(score.refused, 1);
	assert_int_equal(score.unreachable, 1);
	hb_score_fini(&score);
}

static void
too_many_kinds_become_others(void **state)
{
	struct hb_score score;
	uint64_t sum = 0;

	(void)state;
	hb_score_init(&score);
	for (long code = 400; code < 440; code++)
		hb_score_answer(&score, code, HB_SPAN("no"), 1);
	assert_int_equal(score.row_count, HB_SCORE_ROWS);
	assert_int_equal(score.rows[HB_SCORE_ROWS - 1].code, HB_SCORE_OTHER);
	for (size_t i = 0; i < score.row_count; i++)
		sum += score.rows[i].count;
	assert_int_equal(sum, 40);
	assert_int_equal(score.refused, 40);
	hb_score_fini(&score);
}

static const struct {
	size_t count; /* latencies count, ..., 2, 1 */
	double share;
	uint32_t want;
} percentiles[] = {
	{ 0, 0.5, 0 }, { 1, 0, 1 }, { 1, 0.5, 1 }, { 1, 1, 1 },
	{ 4, 0, 1 }, { 4, 0.5, 2 }, { 4, 0.51, 3 }, { 4, 1, 4 },
	{ 5000, 0.5, 2500 }, { 5000, 0.9, 4500 }, { 5000, 0.99, 4950 },
	{ 5000, 1, 5000 },
};

static void
percentiles_are_exact(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(percentiles); i++) {
		struct hb_score score;

		hb_score_init(&score);
		for (size_t us = percentiles[i].count; us > 0; us--)
			hb_score_answer(&score, 200, HB_SPAN("x"), us);
		hb_score_close(&score);
		assert_int_equal(
		    hb_score_percentile(&score, percentiles[i].share),
		    percentiles[i].want);
		hb_score_fini(&score);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_have_a_sentence),
		cmocka_unit_test(a_long_answer_is_cut),
		cmocka_unit_test(equal_answers_are_counted),
		cmocka_unit_test(too_many_kinds_become_others),
		cmocka_unit_test(percentiles_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
