/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c - what a record looks like, byte by byte
 *
 * stderr is a file in memory while a record is written; the clocks stand
 * still. The JSON records are read back by jansson. */
#include "hookbridge/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

#define STAMP "2026-01-01T00:00:00.500Z "
#define FIELDS(...)                                   \
	(const struct hb_log_field[])                 \
	{                                             \
		__VA_ARGS__,                          \
		{                                     \
			HB_LOG_F_END, NULL, {0, 0}, 0 \
		}                                     \
	}

static char captured[65536];
static int real_stderr, memory;

static void
capture_begin(void)
{
	fflush(stderr);
	memory = memfd_create("stderr", MFD_CLOEXEC);
	real_stderr = dup(STDERR_FILENO);
	dup2(memory, STDERR_FILENO);
}

static const char *
capture_end(void)
{
	ssize_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	len = pread(memory, captured, sizeof(captured) - 1, 0);
	captured[len > 0 ? len : 0] = '\0';
	close(memory);
	return captured;
}

static int
freeze(void **state)
{
	(void)state;
	hb_clock_freeze(1000000, 1767225600500);
	unsetenv("JOURNAL_STREAM");
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	return 0;
}

static int
thaw(void **state)
{
	(void)state;
	hb_clock_thaw();
	return 0;
}

static void
test_kv(void **state)
{
	(void)state;
	capture_begin();
	hb_log(HB_LOG_INFO, "event.settled", HB_F_STR("endpoint", "production"),
	    HB_F_U64("job", UINT64_MAX), HB_F_I64("diff", -3),
	    HB_F_STR("absent", NULL), HB_F_STR("empty", ""));
	assert_string_equal(capture_end(),
	    STAMP "info event.settled endpoint=production "
		  "job=18446744073709551615 diff=-3 empty=\"\"\n");
}

static void
test_kv_values(void **state)
{
	static const struct {
		const char *value, *shown;
	} cases[] = {
	    {"plain-1.2:3/4", "plain-1.2:3/4"},
	    {"two words", "\"two words\""},
	    {"a=b", "\"a=b\""},
	    {"say \"x\"", "\"say \\\"x\\\"\""},
	    {"c:\\d", "\"c:\\\\d\""},
	    {"x\ninfo forged a=b", "\"x\\ninfo forged a=b\""},
	    {"\x1b[31m", "\"\\u001b[31m\""},
	    {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char want[256];

		snprintf(want, sizeof(want), STAMP "warning w v=%s\n",
		    cases[i].shown);
		capture_begin();
		hb_log(HB_LOG_WARNING, "w", HB_F_STR("v", cases[i].value));
		assert_string_equal(capture_end(), want);
	}
}

static void
test_escape(void **state)
{
	static const struct {
		struct hb_span in;
		const char *out;
	} cases[] = {
	    {{"", 0}, ""},
	    {{"a\0b", 3}, "a\\u0000b"},
	    {{"\t\r\n\x7f", 4}, "\\u0009\\u000d\\n\\u007f"},
	    {{"\"\\", 2}, "\\\"\\\\"},
	    {{"\xc2\x9b", 2}, "\\u009b"},     /* C1: CSI */
	    {{"\xe2\x80\xae", 3}, "\\u202e"}, /* right-to-left override */
	    {{"\xe2\x80\xa8", 3}, "\\u2028"}, /* line separator */
	    {{"\xe2\x80\xa9", 3}, "\\u2029"}, /* paragraph separator */
	    {{"\xc2\xad", 2}, "\\u00ad"},     /* soft hyphen */
	    {{"\xd8\x9c", 2}, "\\u061c"},     /* Arabic letter mark */
	    {{"\xef\xbb\xbf", 3}, "\\ufeff"}, /* byte order mark */
	    {{"\xf3\xa0\x81\x81", 4}, "\\udb40\\udc41"}, /* a tag: U+E0041 */
	    {{"\xe1\xa0\x8e", 3}, "\\u180e"}, /* Mongolian separator */
	    {{"\xe2\x81\xa0\xe2\x81\xaf", 6}, "\\u2060\\u206f"},
	    {{"\xef\xbf\xb9\xef\xbf\xbb", 6}, "\\ufff9\\ufffb"},
	    {{"\xf0\x91\x82\xbd", 4}, "\\ud804\\udcbd"}, /* Kaithi */
	    {{"\xf0\x9d\x85\xb3", 4}, "\\ud834\\udd73"}, /* a beam */
	    /* their neighbours may be shown */
	    {{" \xc2\xa0\xc2\xac\xc2\xae", 7}, " \xc2\xa0\xc2\xac\xc2\xae"},
	    {{"\xe2\x80\x8a\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf", 12},
		"\xe2\x80\x8a\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf"},
	    {{"\xf3\xa0\x82\x80", 4}, "\xf3\xa0\x82\x80"}, /* U+E0080 */
	    {{"\xf0\x9f\x98\x80", 4}, "\xf0\x9f\x98\x80"},
	    {{"\xed\x95\x9c", 3}, "\xed\x95\x9c"},
	    {{"\xc3", 1}, "\\\\xc3"}, /* ends too early */
	    {{"\xc3(", 2}, "\\\\xc3("},
	    {{"\xc0\xaf", 2}, "\\\\xc0\\\\xaf"}, /* overlong */
	    {{"\xe0\x80\xaf", 3}, "\\\\xe0\\\\x80\\\\xaf"},
	    {{"\xed\xa0\x80", 3}, "\\\\xed\\\\xa0\\\\x80"}, /* surrogate */
	    {{"\xf4\x90\x80\x80", 4}, "\\\\xf4\\\\x90\\\\x80\\\\x80"},
	    {{"\xff\xfe", 2}, "\\\\xff\\\\xfe"},
	    {{"\x80", 1}, "\\\\x80"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		assert_int_equal(hb_log_escape(cases[i].in, out, sizeof(out)),
		    strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
	}
}

static void
test_escape_cuts(void **state)
{
	static const struct {
		const char *in;
		size_t size;
		const char *out;
	} cases[] = {
	    {"abcdef", 7, "abcdef"}, /* fits exactly */
	    {"abcdefg", 7, "abc\xe2\x80\xa6"},
	    {"abcdefg", 5, "a\xe2\x80\xa6"},
	    {"abcdefg", 4, "\xe2\x80\xa6"},
	    {"abcdefg", 3, "ab"},
	    {"abcdefg", 1, ""},
	    {"ab\x1b\x1b", 9, "ab\xe2\x80\xa6"},
	    {"ab\x1b\x1b", 12,
		"ab\\u001b\xe2\x80\xa6"}, /* never half an escape */
	    {"ab\x1b\x1b", 15, "ab\\u001b\\u001b"},
	    {"\xc3\xa9\xc3\xa9\xc3\xa9", 6, "\xc3\xa9\xe2\x80\xa6"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		memset(out, '#', sizeof(out));
		assert_int_equal(
		    hb_log_escape(hb_span_of(cases[i].in), out, cases[i].size),
		    strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
		assert_int_equal(out[cases[i].size], '#');
	}
	assert_int_equal(hb_log_escape(HB_SPAN("x"), out, 0), 0);
}

static void
test_json(void **state)
{
	json_t *record;

	(void)state;
	hb_log_init(HB_LOG_INFO, HB_LOG_JSON);
	capture_begin();
	hb_log(HB_LOG_ERROR, "sink.down", HB_F_STR("sink", "ma\"in\x1b\n"),
	    HB_F_SPAN("raw", hb_span_make("\xff", 1)), HB_F_I64("code", -5));
	record = json_loads(capture_end(), 0, NULL);
	assert_non_null(record);
	assert_int_equal(strlen(captured), strcspn(captured, "\n") + 1);
	assert_int_equal(json_object_size(record), 6);
	assert_string_equal(json_string_value(json_object_get(record, "time")),
	    "2026-01-01T00:00:00.500Z");
	assert_string_equal(
	    json_string_value(json_object_get(record, "level")), "error");
	assert_string_equal(
	    json_string_value(json_object_get(record, "event")), "sink.down");
	assert_string_equal(
	    json_string_value(json_object_get(record, "sink")), "ma\"in\x1b\n");
	assert_string_equal(
	    json_string_value(json_object_get(record, "raw")), "\\xff");
	assert_int_equal(
	    json_integer_value(json_object_get(record, "code")), -5);
	json_decref(record);
}

static void
test_levels(void **state)
{
	(void)state;
	hb_log_init(HB_LOG_WARNING, HB_LOG_KV);
	assert_true(hb_log_enabled(HB_LOG_ERROR));
	assert_true(hb_log_enabled(HB_LOG_WARNING));
	assert_false(hb_log_enabled(HB_LOG_INFO));
	capture_begin();
	hb_log(HB_LOG_INFO, "w", HB_F_U64("n", 1));
	hb_log(HB_LOG_DEBUG, "w", HB_F_U64("n", 2));
	assert_string_equal(capture_end(), "");
}

static void
test_journal(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	capture_begin();
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	hb_log(HB_LOG_ERROR, "w", HB_F_U64("n", 1));
	hb_log(HB_LOG_WARNING, "w", HB_F_U64("n", 2));
	hb_log(HB_LOG_INFO, "w", HB_F_U64("n", 3));
	hb_log_init(HB_LOG_DEBUG, HB_LOG_JSON);
	hb_log(HB_LOG_DEBUG, "w", HB_F_U64("n", 4));
	assert_string_equal(capture_end(),
	    "<3>error w n=1\n<4>warning w n=2\n<6>info w n=3\n"
	    "<7>{\"level\":\"debug\",\"event\":\"w\",\"n\":4}\n");

	/* Somebody else's stream: stderr was redirected since. */
	capture_begin();
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	hb_log(HB_LOG_INFO, "w", HB_F_U64("n", 1));
	assert_string_equal(capture_end(), STAMP "info w n=1\n");
}

/* However much is asked for, the record is one line that a pipe takes whole. */
static void
test_long_records(void **state)
{
	static const enum hb_log_format formats[] = {HB_LOG_KV, HB_LOG_JSON};
	static char big[9000];
	struct hb_span s;

	(void)state;
	memset(big, '\x1b', sizeof(big));
	s = hb_span_make(big, sizeof(big));
	for (size_t i = 0; i < HB_COUNT(formats); i++) {
		json_t *record;

		hb_log_init(HB_LOG_INFO, formats[i]);
		capture_begin();
		hb_log_write(HB_LOG_INFO, "long",
		    FIELDS(HB_F_SPAN("a", s), HB_F_SPAN("b", s),
			HB_F_SPAN("c", s), HB_F_SPAN("d", s), HB_F_SPAN("e", s),
			HB_F_SPAN("f", s), HB_F_SPAN("g", s), HB_F_SPAN("h", s),
			HB_F_SPAN("i", s), HB_F_SPAN("j", s),
			HB_F_U64("last", 7)));
		capture_end();
		assert_true(strlen(captured) <= 4096);
		assert_int_equal(strlen(captured), strcspn(captured, "\n") + 1);
		assert_non_null(strstr(captured, "\xe2\x80\xa6"));
		assert_non_null(strstr(captured, "last"));
		if (formats[i] == HB_LOG_KV)
			continue;
		record = json_loads(captured, 0, NULL);
		assert_non_null(record);
		json_decref(record);
	}
}

static void
test_rate_limit(void **state)
{
	struct hb_metric *suppressed =
	    hb_metric_get(HB_M_LOG_SUPPRESSED, "t.limited", NULL, NULL, NULL);
	unsigned lines = 0;

	(void)state;
	capture_begin();
	for (int i = 0; i < 25; i++)
		hb_log_limited(HB_LOG_INFO, "t.limited", HB_F_I64("i", i));
	hb_log_limited(HB_LOG_INFO, "t.other", HB_F_U64("n", 1));
	for (const char *p = capture_end(); *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 11);
	assert_null(strstr(captured, "suppressed"));
	assert_non_null(strstr(captured, "t.other n=1\n"));
	assert_int_equal(hb_metric_value(suppressed), 15);

	/* The next second's first record tells, once. */
	hb_clock_freeze(1001000, 1767225600500);
	capture_begin();
	hb_log_limited(HB_LOG_INFO, "t.limited", HB_F_U64("n", 1));
	hb_log_limited(HB_LOG_INFO, "t.limited", HB_F_U64("n", 2));
	assert_string_equal(capture_end(), STAMP
	    "info t.limited n=1 suppressed=15\n" STAMP "info t.limited n=2\n");
	assert_int_equal(hb_metric_value(suppressed), 15);
}

/* --- threads -------------------------------------------------------------- */

#define THREADS 4
#define RECORDS 500

static void *
log_many(void *arg)
{
	for (int i = 0; i < RECORDS; i++) {
		hb_log(HB_LOG_INFO, "t.each", HB_F_STR("by", arg),
		    HB_F_I64("i", i));
		hb_log_limited(HB_LOG_INFO, "t.rare", HB_F_STR("by", arg));
	}
	return NULL;
}

/* Each record is a line of its own, and none goes uncounted. */
static void
test_threads(void **state)
{
	static char names[THREADS][2] = {"a", "b", "c", "d"};
	struct hb_metric *suppressed =
	    hb_metric_get(HB_M_LOG_SUPPRESSED, "t.rare", NULL, NULL, NULL);
	char *records = hb_xmalloc(THREADS * RECORDS * 64), *p, *end;
	int each[THREADS] = {0}, rare = 0;
	pthread_t threads[THREADS];
	ssize_t len;

	(void)state;
	capture_begin();
	/* As a pipe or a file that is appended to takes it. */
	fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many,
				     names[i]),
		    0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	len = pread(memory, records, THREADS * RECORDS * 64, 0);
	capture_end();
	assert_in_range(len, 1, THREADS * RECORDS * 64 - 1);
	records[len] = '\0';
	for (p = records; (end = strchr(p, '\n')) != NULL; p = end + 1) {
		int thread;
		char want[64];

		*end = '\0';
		if (strncmp(p, STAMP "info t.rare by=",
			strlen(STAMP "info t.rare by=")) == 0) {
			rare++;
			continue;
		}
		thread = p[strlen(STAMP "info t.each by=")] - 'a';
		assert_in_range(thread, 0, THREADS - 1);
		snprintf(want, sizeof(want), STAMP "info t.each by=%c i=%d",
		    'a' + thread, each[thread]++);
		assert_string_equal(p, want);
	}
	assert_string_equal(p, "");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(each[i], RECORDS);
	assert_int_equal(rare, 10); /* the clock stands still */
	assert_int_equal(
	    hb_metric_value(suppressed), THREADS * RECORDS - 10);
	free(records);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_kv, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_kv_values, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_escape, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_escape_cuts, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_json, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_levels, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_journal, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_long_records, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_rate_limit, freeze, thaw),
	    cmocka_unit_test_setup_teardown(test_threads, freeze, thaw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
