/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_errors.c - what is said of limits that do not fit each other,
 * of many faults at once, and how lines look */
#include "cfg_rig.h"

/* clang-format off */

static const struct cfg_case bad_limits[] = {
	{BASE
	 "dedup: {window: 10m}\n",
	    "5:17: dedup.window: expected a dedup.window of at least 11m "
	    "(twice the longest tolerance and a minute), got 10m\n"
	    "1 error\n"},
	{BASE
	 "dedup: {window: 11m}\n",
	    ""},
	{LISTEN ENDPOINT(", tolerance: 1h") SINKS ROUTES
	 "dedup: {window: 2h}\n",
	    "5:17: dedup.window: expected a dedup.window of at least "
	    "121m (twice the longest tolerance and a minute), got 2h\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", dedup: false") SINKS ROUTES
	 "dedup: {window: 1s}\n",
	    ""},
	{LISTEN ENDPOINT(", tolerance: 1d") SINKS ROUTES
	 "dedup: {max_entries: 5}\n",
	    "5:8: dedup: expected a dedup.window of at least 2881m "
	    "(twice the longest tolerance and a minute), got 2d\n"
	    "1 error\n"},
	{BASE
	 "delivery: {ack_timeout: 10s}\n",
	    "5:25: delivery.ack_timeout: expected an ack_timeout below "
	    "10s (the hard_timeout), got 10s\n"
	    "1 error\n"},
	{BASE
	 "delivery: {hard_timeout: 2s}\n",
	    "5:11: delivery: expected an ack_timeout below 2s (the "
	    "hard_timeout), got 3s\n"
	    "1 error\n"},
	{BASE
	 "delivery: {hard_timeout: 15s}\n",
	    "5:26: warning: delivery.hard_timeout: Svix waits 15s for an "
	    "answer: what is confirmed later is sent again\n"
	    "1 warning\n"},
	{BASE
	 "delivery: {ack_timeout: 1499ms}\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "delivery: {ack_timeout: 1499ms}\n",
	    "5:25: delivery.ack_timeout: expected an ack_timeout of at "
	    "least 1500ms (to Kafka, messages must expire before "
	    "it), got 1499ms\n"
	    "1 error\n"},
	{BASE
	 "http: {idle_timeout: 20s}\n",
	    "5:22: warning: http.idle_timeout: Svix closes idle "
	    "connections after 20s: what closes them earlier may cross a "
	    "webhook on its way\n"
	    "1 warning\n"},
	{BASE
	 "http: {target_size: 16KiB}\n",
	    "5:21: http.target_size: expected a target_size below the "
	    "head_size\n"
	    "1 error\n"},
	{BASE
	 "memory: 16MiB\n",
	    "5:9: warning: memory: bodies not yet verified may hold a "
	    "quarter of memory, 4MiB: larger ones are refused, whatever "
	    "http.body_size says\n"
	    "1 warning\n"},
	{BASE
	 "http: {body_size: 65MiB}\n",
	    "5:19: warning: http.body_size: bodies not yet verified may "
	    "hold a quarter of memory, 64MiB: larger ones are refused, "
	    "whatever http.body_size says\n"
	    "1 warning\n"},
};

static const struct cfg_case many_faults[] = {
	{"routes:\n"
	 "  - {to: {sink: g}}\n"
	 "sinks: {f: {type: file, path: x}}\n"
	 "listen: {address: 80}\n"
	 "endpoints:\n"
	 "  e: {path: e, mode: svix, secrets: \"file:e.secret\", tolerence: "
	 "1}\n"
	 "  d: {path: /e, mode: direct, allow: 10.0.0.1}\n"
	 "zz: 1\n"
	 "log: {level: loud}\n",
	    "2:17: routes[0].to.sink: expected the name of a sink, got "
	    "\"g\"\n"
	    "3:31: sinks.f.path: expected the absolute path of a file, "
	    "or - for stdout\n"
	    "4:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"80\"\n"
	    "    a port is missing: \"127.0.0.1:8080\"\n"
	    "6:13: endpoints.e.path: expected a path that begins with /, "
	    "got \"e\"\n"
	    "6:54: endpoints.e.tolerence: unknown key\n"
	    "    did you mean \"tolerance\"?\n"
	    "7:38: warning: endpoints.d.allow: without a token, whoever "
	    "has one of these addresses can post here\n"
	    "8:1: zz: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "9:14: log.level: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got \"loud\"\n"
	    "7 errors, 1 warning\n"},
};

/* clang-format on */

CFG_TEST_OF(bad_limits)
/* In the file's order, with one line of totals. */
CFG_TEST_OF(many_faults)

/* A line says FILE:LINE:COLUMN: PATH: SENTENCE, the remedy is indented. */
static void
test_lines_are_whole(void **state)
{
	char expected[640], *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
	cfg_write(FILE_NAME, BASE "htpp: {}\n");
	assert_null(
	    hb_config_load(cfg_path(FILE_NAME), hb_sink_types(), out));
	assert_int_equal(fclose(out), 0);
	snprintf(expected, sizeof(expected),
	    "%s:5:1: htpp: unknown key\n"
	    "    did you mean \"http\"?\n"
	    "1 error\n",
	    cfg_path(FILE_NAME));
	assert_string_equal(report, expected);
	free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_limits),
	    cmocka_unit_test(test_many_faults),
	    cmocka_unit_test(test_lines_are_whole),
	};

	setenv("HB_TEST_TOKEN", "another-token-of-the-tests", 1);
	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
