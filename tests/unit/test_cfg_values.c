/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_values.c - what values are read as, and what stands in for those
 * that are not there */
#include "cfg_rig.h"

#include "../../src/cfg/values.h"

static void
defaults_are_filled_in(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);
	const struct hb_endpoint_conf *endpoint = &cfg->endpoints[0];

	(void)state;
	assert_in_range(cfg->workers, 1, 256);
	assert_int_equal(cfg->http.head_size, 16 << 10);
	assert_int_equal(cfg->http.headers, 100);
	assert_int_equal(cfg->http.target_size, 2 << 10);
	assert_int_equal(cfg->http.body_size, 8 << 20);
	assert_int_equal(cfg->http.head_timeout_ms, 10000);
	assert_int_equal(cfg->http.body_timeout_ms, 30000);
	assert_int_equal(cfg->http.body_rate, 8 << 10);
	assert_int_equal(cfg->http.idle_timeout_ms, 75000);
	assert_int_equal(cfg->http.linger_timeout_ms, 2000);
	assert_int_equal(cfg->http.connections, 10000);
	assert_int_equal(cfg->http.connections_per_address, 256);
	assert_int_equal(cfg->http.requests_per_connection, 100000);
	assert_int_equal(cfg->memory, 256 << 20);
	assert_int_equal(cfg->log.level, HB_LOG_INFO);
	assert_int_equal(cfg->log.format, HB_LOG_KV);
	assert_int_equal(cfg->log.access, HB_LOG_INFO);
	assert_int_equal(cfg->delivery.ack_timeout_ms, 3000);
	assert_int_equal(cfg->delivery.hard_timeout_ms, 10000);
	assert_int_equal(cfg->delivery.drain_timeout_ms, 30000);
	assert_int_equal(cfg->dedup.window_ms, 48 * 3600000);
	assert_int_equal(cfg->dedup.max_entries, 4000000);
	assert_null(cfg->dead_letter);
	assert_int_equal(endpoint->tolerance_ms, 300000);
	assert_int_equal(endpoint->body_size, 2 << 20);
	assert_int_equal(endpoint->metadata_size, 64 << 10);
	assert_true(endpoint->dedup);
	assert_null(endpoint->job_type);
	assert_int_equal(endpoint->channel_count, 0);
	assert_int_equal(endpoint->allow.count, 0);
	assert_string_equal(endpoint->source, "https://platform.reducto.ai/#e");
	assert_string_equal(cfg->routes[0].name, "route-1");
	hb_config_unref(cfg);
}

/* Direct bodies carry whole results; no endpoint goes beyond http.body_size. */
static void
body_sizes_follow_the_mode(void **state)
{
	static const char direct[] = LISTEN
	    "endpoints: {d: {path: /d, mode: direct,"
	    " token: {in: bearer, secret: \"file:token\"}}}\n" SINKS ROUTES;
	struct hb_config *cfg = cfg_load_good(direct);

	(void)state;
	assert_int_equal(cfg->endpoints[0].body_size, 8 << 20);
	assert_int_equal(cfg->endpoints[0].tolerance_ms, 0);
	hb_config_unref(cfg);
	cfg = cfg_load_good(BASE "http: {body_size: 1MiB}\n");
	assert_int_equal(cfg->endpoints[0].body_size, 1 << 20);
	hb_config_unref(cfg);
}

/* What YAML would take for a number or a truth value is the text it is. */
static void
texts_are_taken_as_written(void **state)
{
	static const char *const texts[] = {
	    "08", "no", "1.50", "0x10", "2026-01-01", "1e3", "Null "};
	struct hb_config *cfg = cfg_load_good(LISTEN ENDPOINT("") SINKS
	    "routes:\n"
	    "  - when: {metadata.a: [08, no, 1.50, 0x10, 2026-01-01, 1e3,"
	    " \"Null \"]}\n"
	    "    to: {sink: f}\n"
	    "  - to: {sink: f}\n");
	const struct hb_strings *values = &cfg->routes[0].when[0].values;

	(void)state;
	assert_int_equal(values->count, HB_COUNT(texts));
	for (size_t i = 0; i < values->count; i++)
		assert_string_equal(values->items[i], texts[i]);
	hb_config_unref(cfg);
}

/* Where a list is expected its only item will do, a map as well. */
static void
lists_of_one_need_no_brackets(void **state)
{
	struct hb_config *cfg =
	    cfg_load_good(LISTEN ENDPOINT(", channels: c, allow: 10.0.0.1")
		"sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
		"routes: [{when: {channel: c}, to: {sink: k, topic:"
		" \"{status}\", topics: t}}, {to: {sink: k, topic: t}}]\n");

	(void)state;
	assert_int_equal(cfg->listen_count, 1);
	assert_int_equal(cfg->endpoints[0].secrets.count, 1);
	assert_int_equal(cfg->endpoints[0].channel_count, 1);
	assert_int_equal(cfg->endpoints[0].allow.count, 1);
	assert_int_equal(cfg->endpoints[0].allow.items[0].bits, 128);
	assert_int_equal(cfg->routes[0].to_count, 1);
	assert_int_equal(cfg->routes[0].to[0]->dest_count, 1);
	/* Both name the same one. */
	assert_int_equal(cfg->dest_count, 1);
	assert_ptr_equal(cfg->routes[0].to[0]->dests[0],
	    cfg->routes[1].to[0]->dests[0]);
	hb_config_unref(cfg);
}

typedef enum hb_value read_fn(const char *text, uint64_t *out);

static const struct {
	read_fn *read;
	const char *text;
	enum hb_value result;
	uint64_t value;
} value_cases[] = {
    {hb_value_uint, "0", HB_VALUE_OK, 0},
    {hb_value_uint, "18446744073709551615", HB_VALUE_OK, UINT64_MAX},
    {hb_value_uint, "18446744073709551616", HB_VALUE_TOO_LARGE, 0},
    {hb_value_uint, "", HB_VALUE_MALFORMED, 0},
    {hb_value_uint, "+1", HB_VALUE_MALFORMED, 0},
    {hb_value_uint, " 1", HB_VALUE_MALFORMED, 0},
    {hb_value_uint, "1 ", HB_VALUE_MALFORMED, 0},
    {hb_value_uint, "00", HB_VALUE_MALFORMED, 0},
    {hb_value_size, "5", HB_VALUE_OK, 5},
    {hb_value_size, "5B", HB_VALUE_OK, 5},
    {hb_value_size, "5 KiB", HB_VALUE_OK, 5 << 10},
    {hb_value_size, "0GiB", HB_VALUE_OK, 0},
    {hb_value_size, "17179869183GiB", HB_VALUE_OK, 17179869183u << 30},
    {hb_value_size, "17179869184GiB", HB_VALUE_TOO_LARGE, 0},
    {hb_value_size, "5K", HB_VALUE_MALFORMED, 0},
    {hb_value_size, "5kib", HB_VALUE_MALFORMED, 0},
    {hb_value_size, "5\tKiB", HB_VALUE_MALFORMED, 0},
    {hb_value_size, "5KiB ", HB_VALUE_MALFORMED, 0},
    {hb_value_size, "KiB", HB_VALUE_MALFORMED, 0},
    {hb_value_duration, "250ms", HB_VALUE_OK, 250},
    {hb_value_duration, "3s", HB_VALUE_OK, 3000},
    {hb_value_duration, "5 m", HB_VALUE_OK, 300000},
    {hb_value_duration, "2h", HB_VALUE_OK, 7200000},
    {hb_value_duration, "1d", HB_VALUE_OK, 86400000},
    {hb_value_duration, "0", HB_VALUE_OK, 0},
    {hb_value_duration, "3", HB_VALUE_NO_UNIT, 0},
    {hb_value_duration, "213503982334602d", HB_VALUE_TOO_LARGE, 0},
    {hb_value_duration, "3S", HB_VALUE_MALFORMED, 0},
    {hb_value_duration, "3min", HB_VALUE_MALFORMED, 0},
    {hb_value_duration, "1h30m", HB_VALUE_MALFORMED, 0},
};

static void
values_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(value_cases); i++) {
		uint64_t value = 0;
		enum hb_value result =
		    value_cases[i].read(value_cases[i].text, &value);

		if (result != value_cases[i].result)
			fail_msg("\"%s\": %d", value_cases[i].text, result);
		if (result == HB_VALUE_OK)
			assert_int_equal(value, value_cases[i].value);
	}
}

static void
values_are_printed_as_they_are_read(void **state)
{
	static const uint64_t numbers[] = {0, 1, 1023, 1024, 1536, 1 << 20,
	    (1 << 20) + 1, UINT64_C(5) << 30, 1000, 60000, 90000, 3600000,
	    86400000, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(numbers); i++) {
		char text[HB_VALUE_SIZE];
		uint64_t value;

		hb_value_print_size(numbers[i], text);
		assert_int_equal(hb_value_size(text, &value), HB_VALUE_OK);
		assert_int_equal(value, numbers[i]);
		hb_value_print_duration(numbers[i], text);
		assert_int_equal(hb_value_duration(text, &value), HB_VALUE_OK);
		assert_int_equal(value, numbers[i]);
	}
}

/* printed: NULL where it is no network; exact: no bit beyond the prefix. */
static const struct {
	const char *text, *printed;
	bool exact;
} cidr_cases[] = {
    {"10.0.0.0/8", "10.0.0.0/8", true},
    {"203.0.113.7", "203.0.113.7/32", true},
    {"0.0.0.0/0", "0.0.0.0/0", true},
    {"2001:db8::/32", "2001:db8::/32", true},
    {"::1", "::1/128", true},
    {"::/0", "::/0", true},
    {"10.0.0.1/8", "10.0.0.0/8", false},
    {"2001:db8::1/33", "2001:db8::/33", false},
    {"10.0.0.0/33", NULL, false},
    {"::/129", NULL, false},
    {"10.0.0.0/8/8", NULL, false},
    {"10.0.0.0/ 8", NULL, false},
    {"10.0.0", NULL, false},
    {"localhost", NULL, false},
    {"fe80::1%eth0", NULL, false},
    {"", NULL, false},
};

static void
networks_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(cidr_cases); i++) {
		const char *wanted = cidr_cases[i].printed;
		char text[HB_VALUE_SIZE];
		struct hb_cidr cidr;
		bool exact;

		if (hb_value_cidr(cidr_cases[i].text, &cidr, &exact) !=
		    (wanted != NULL))
			fail_msg("\"%s\"", cidr_cases[i].text);
		if (wanted == NULL)
			continue;
		assert_int_equal(exact, cidr_cases[i].exact);
		hb_value_cut_cidr(&cidr);
		hb_value_print_cidr(&cidr, text);
		assert_string_equal(text, wanted);
	}
}

static void
decimals_are_those_of_json(void **state)
{
	static const char *const good[] = {"0", "-0", "10", "1.50", "-1.5e-3",
	    "1E400", "123456789012345678901234567890"};
	static const char *const bad[] = {"", "-", "+1", "01", ".5", "5.", "1e",
	    "1e+", "0x1", "1 ", "Infinity", "1,5", "--1"};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(good); i++)
		if (!hb_value_is_decimal(good[i]))
			fail_msg("\"%s\"", good[i]);
	for (size_t i = 0; i < HB_COUNT(bad); i++)
		if (hb_value_is_decimal(bad[i]))
			fail_msg("\"%s\"", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_filled_in),
	    cmocka_unit_test(body_sizes_follow_the_mode),
	    cmocka_unit_test(texts_are_taken_as_written),
	    cmocka_unit_test(lists_of_one_need_no_brackets),
	    cmocka_unit_test(values_are_read),
	    cmocka_unit_test(values_are_printed_as_they_are_read),
	    cmocka_unit_test(networks_are_read),
	    cmocka_unit_test(decimals_are_those_of_json),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
