/* SPDX-License-Identifier: Apache-2.0 */
/* test_metric.c - series are found again, counted, and written as text */
#include "hookbridge/metric.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

static char *
written(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	hb_metric_write(out);
	fclose(out);
	return text;
}

static void
assert_written(const char *part)
{
	char *text = written();

	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
	free(text);
}

static void
assert_not_written(const char *part)
{
	char *text = written();

	assert_null(strstr(text, part));
	free(text);
}

static void
test_same_labels_same_series(void **state)
{
	struct hb_metric *m =
	    hb_metric_get(HB_M_HTTP_REQUESTS, "a", "200", NULL, NULL);
	char copy[] = "a";

	(void)state;
	assert_ptr_equal(
	    m, hb_metric_get(HB_M_HTTP_REQUESTS, copy, "200", NULL, NULL));
	assert_ptr_not_equal(
	    m, hb_metric_get(HB_M_HTTP_REQUESTS, "a", "503", NULL, NULL));
	copy[0] = 'z';
	hb_metric_inc(m);
	hb_metric_add(m, 2);
	assert_int_equal(hb_metric_value(m), 3);
	assert_written("# HELP hookbridge_http_requests_total ");
	assert_written("# TYPE hookbridge_http_requests_total counter\n"
		       "hookbridge_http_requests_total{endpoint=\"a\",code="
		       "\"200\"} 3\n"
		       "hookbridge_http_requests_total{endpoint=\"a\",code="
		       "\"503\"} 0\n");
}

static void
test_gauge(void **state)
{
	struct hb_metric *m =
	    hb_metric_get(HB_M_EVENTS_IN_FLIGHT, NULL, NULL, NULL, NULL);

	(void)state;
	hb_metric_set(m, 5);
	hb_metric_dec(m);
	assert_written("# TYPE hookbridge_events_in_flight gauge\n"
		       "hookbridge_events_in_flight 4\n");
}

static void
test_empty_families_are_left_out(void **state)
{
	(void)state;
	assert_not_written("dedup_entries");
	hb_metric_get(HB_M_DEDUP_ENTRIES, NULL, NULL, NULL, NULL);
	assert_written("\nhookbridge_dedup_entries 0\n");
}

static void
test_label_values_are_escaped(void **state)
{
	(void)state;
	hb_metric_get(HB_M_SINK_UP, "a\"b\\c\nd\xc3\xa9", NULL, NULL, NULL);
	assert_written(
	    "hookbridge_sink_up{sink=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 0\n");
}

static void
test_histogram(void **state)
{
	static const uint64_t micros[] = {
	    0, 500, 501, 1000, 9999999, 10000000, 10000001, 60000000};
	struct hb_metric *m =
	    hb_metric_get(HB_M_DELIVERY_DURATION, "h", NULL, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < HB_COUNT(micros); i++)
		hb_metric_observe_us(m, micros[i]);
	assert_written("# TYPE hookbridge_delivery_duration_seconds histogram\n"
		       "hookbridge_delivery_duration_seconds_bucket{sink=\"h\","
		       "le=\"0.0005\"} 2\n"
		       "hookbridge_delivery_duration_seconds_bucket{sink=\"h\","
		       "le=\"0.001\"} 4\n");
	assert_written("{sink=\"h\",le=\"5\"} 4\n");
	assert_written("{sink=\"h\",le=\"10\"} 6\n");
	assert_written("{sink=\"h\",le=\"+Inf\"} 8\n"
		       "hookbridge_delivery_duration_seconds_sum{sink=\"h\"} "
		       "90.002001\n"
		       "hookbridge_delivery_duration_seconds_count{sink=\"h\"} "
		       "8\n");
}

/* --- threads -------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 5000

static void *
count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		hb_metric_inc(hb_metric_get(HB_M_DEAD_LETTERS,
		    i % 2 == 0 ? "even" : "odd", NULL, NULL, NULL));
		hb_metric_observe_us(hb_metric_get(HB_M_HTTP_REQUEST_DURATION,
					 "t", NULL, NULL, NULL),
		    (uint64_t)i);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count, NULL);
	for (int i = 0; i < 20; i++)
		free(written());
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(hb_metric_value(hb_metric_get(
			     HB_M_DEAD_LETTERS, "even", NULL, NULL, NULL)),
	    THREADS * ROUNDS / 2);
	assert_int_equal(hb_metric_value(hb_metric_get(
			     HB_M_DEAD_LETTERS, "odd", NULL, NULL, NULL)),
	    THREADS * ROUNDS / 2);
	assert_written(
	    "hookbridge_http_request_duration_seconds_count{endpoint=\"t\"} "
	    "20000\n");
}

/* The whole table can be written: no family lacks its name or label names. */
static void
test_every_family(void **state)
{
	static const int labels[HB_M_FAMILY_COUNT] = {[HB_M_BUILD_INFO] = 4,
	    [HB_M_HTTP_CONNECTIONS] = 1,
	    [HB_M_HTTP_CONNECTIONS_TOTAL] = 1,
	    [HB_M_HTTP_CONNECTIONS_REFUSED] = 2,
	    [HB_M_HTTP_REQUESTS] = 2,
	    [HB_M_HTTP_REQUEST_DURATION] = 1,
	    [HB_M_HTTP_REQUEST_BYTES] = 1,
	    [HB_M_HTTP_MALFORMED] = 1,
	    [HB_M_VERIFY_FAILURES] = 2,
	    [HB_M_VERIFY_SUCCESS] = 2,
	    [HB_M_EVENTS] = 3,
	    [HB_M_DELIVERIES] = 3,
	    [HB_M_DELIVERY_DURATION] = 1,
	    [HB_M_DELIVERIES_PENDING] = 2,
	    [HB_M_KEYS_REPLACED] = 2,
	    [HB_M_HEADERS_LEFT_OUT] = 2,
	    [HB_M_DESTINATION_UP] = 2,
	    [HB_M_SINK_UP] = 1,
	    [HB_M_SINK_RECONNECTS] = 1,
	    [HB_M_SINK_ERRORS] = 2,
	    [HB_M_DEAD_LETTERS] = 1,
	    [HB_M_DEAD_LETTERS_KEPT] = 1,
	    [HB_M_DEAD_LETTER_BYTES] = 1,
	    [HB_M_SPOOL_RECORDS] = 1,
	    [HB_M_SPOOL_BYTES] = 1,
	    [HB_M_SPOOL_CAPACITY] = 1,
	    [HB_M_SPOOL_OLDEST] = 1,
	    [HB_M_SPOOL_REPLAYED] = 1,
	    [HB_M_DEDUP_HITS] = 1,
	    [HB_M_LOG_SUPPRESSED] = 1};
	char *text;
	int types = 0;

	(void)state;
	for (int i = 0; i < HB_M_FAMILY_COUNT; i++)
		assert_non_null(hb_metric_get((enum hb_metric_family)i,
		    labels[i] > 0 ? "1" : NULL, labels[i] > 1 ? "2" : NULL,
		    labels[i] > 2 ? "3" : NULL, labels[i] > 3 ? "4" : NULL));
	text = written();
	for (char *p = text; (p = strstr(p, "# TYPE hookbridge_")) != NULL; p++)
		types++;
	assert_int_equal(types, HB_M_FAMILY_COUNT);
	assert_null(strstr(text, "(null)"));
	free(text);
	assert_written("hookbridge_build_info{version=\"1\",libevent=\"2\","
		       "librdkafka=\"3\",openssl=\"4\"} 0\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_labels_same_series),
	    cmocka_unit_test(test_gauge),
	    cmocka_unit_test(test_empty_families_are_left_out),
	    cmocka_unit_test(test_label_values_are_escaped),
	    cmocka_unit_test(test_histogram),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_every_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
