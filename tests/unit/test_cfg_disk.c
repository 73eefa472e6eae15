/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_disk.c - spool, claims, admin, and the settings that need them */
#include "cfg_rig.h"

#define SPOOL "spool: {directory: /var/spool/hb}\n"

/* clang-format off */

static const struct cfg_case sizes[] = {
	{BASE SPOOL, ""},
	{BASE
	 "spool: {directory: var/spool, segment_size: 65MiB}\n"
	 "claims: {directory: claims}\n",
	    "5:20: spool.directory: expected an absolute path, got "
	    "\"var/spool\"\n"
	    "6:21: claims.directory: expected an absolute path, got "
	    "\"claims\"\n"
	    "2 errors\n"},
	{BASE
	 "spool: {directory: /s, segment_size: 65537KiB}\n",
	    "5:38: spool.segment_size: expected a multiple of 4KiB, got "
	    "\"65537KiB\"\n"
	    "1 error\n"},
	{BASE
	 "spool: {directory: /s, segment_size: 32KiB, sink_share: 0,"
	 " dead_share: 91%, max_size: 1KiB}\n",
	    "5:38: spool.segment_size: expected a size from 64KiB to 1GiB, "
	    "got \"32KiB\"\n"
	    "5:57: spool.sink_share: expected a percentage from 1% to 100%, "
	    "got \"0\"\n"
	    "5:72: spool.dead_share: expected a percentage from 1% to 90%, "
	    "got \"91%\"\n"
	    "5:87: spool.max_size: expected a size from 1MiB to 65536GiB, "
	    "got \"1KiB\"\n"
	    "4 errors\n"},
	{BASE
	 "spool: {directory: /s, sink_share: half}\n",
	    "5:36: spool.sink_share: expected a percentage such as 50%, got "
	    "\"half\"\n"
	    "    percentages are whole numbers, with or without %\n"
	    "1 error\n"},
	/* A segment holds the largest body twice. */
	{BASE
	 "spool: {directory: /s, segment_size: 4MiB}\n",
	    ""},
	{BASE
	 "spool: {directory: /s, segment_size: 4092KiB}\n",
	    "5:38: spool.segment_size: expected a segment_size of at least "
	    "4MiB, twice the largest body (body_size of endpoint \"e\")\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: svix, secrets: \"file:e.secret\"},"
	 " f: {path: /f, mode: disabled, body_size: 8MiB}}\n"
	 SINKS ROUTES
	 "spool: {directory: /s, segment_size: 4MiB}\n",
	    ""},
	/* So does one that was made smaller for a part of eight. */
	{BASE
	 "spool: {directory: /s, max_size: 160MiB}\n",
	    ""},
	{BASE
	 "spool: {directory: /s, max_size: 159MiB}\n",
	    "5:34: spool.max_size: expected a max_size of at least 160MiB "
	    "(20% of it are for dead letters, bodies have up to 2MiB), got "
	    "159MiB\n"
	    "    or lower the body_size of endpoints\n"
	    "1 error\n"},
	{BASE
	 "spool: {directory: /s, max_size: 160MiB, dead_share: 85%}\n",
	    "5:34: spool.max_size: expected a max_size of at least 214MiB "
	    "(15% of it are for deliveries, bodies have up to 2MiB), got "
	    "160MiB\n"
	    "    or lower the body_size of endpoints\n"
	    "1 error\n"},
	/* Four segments at the least. */
	{LISTEN ENDPOINT(", body_size: 32KiB") SINKS ROUTES
	 "spool: {directory: /s, max_size: 1280KiB}\n",
	    ""},
	{LISTEN ENDPOINT(", body_size: 32KiB") SINKS ROUTES
	 "spool: {directory: /s, max_size: 1279KiB}\n",
	    "5:34: spool.max_size: expected a max_size of at least 1280KiB "
	    "(20% of it are for dead letters, bodies have up to 32KiB), got "
	    "1279KiB\n"
	    "    or lower the body_size of endpoints\n"
	    "1 error\n"},
};

static const struct cfg_case directories[] = {
	{BASE
	 "spool: {max_size: 20GiB}\n"
	 "claims: {max_age: 1d}\n",
	    ""},
	{BASE
	 "spool:\n"
	 "claims: {directory: /var/claims, max_age: 1d}\n",
	    ""},
	{BASE SPOOL
	 "claims: {directory: /var/spool/hb/}\n",
	    "6:21: claims.directory: expected a directory apart from the "
	    "spool's own, got \"/var/spool/hb/\"\n"
	    "1 error\n"},
	{BASE SPOOL
	 "claims: {directory: /var/spool/hb//deliveries/claims}\n",
	    "6:21: claims.directory: expected a directory apart from the "
	    "spool's own, got \"/var/spool/hb//deliveries/claims\"\n"
	    "1 error\n"},
	{BASE SPOOL
	 "claims: {directory: /var/spool/hb/dead}\n",
	    "6:21: claims.directory: expected a directory apart from the "
	    "spool's own, got \"/var/spool/hb/dead\"\n"
	    "1 error\n"},
	{BASE SPOOL
	 "claims: {directory: /var/spool/hb/deadly}\n",
	    ""},
	{BASE SPOOL
	 "claims: {directory: /var/spool/hb2}\n",
	    ""},
};

static const struct cfg_case needs[] = {
	{BASE
	 "delivery: {ack: spooled}\n",
	    "5:17: delivery.ack: expected a spool.directory with it: what is "
	    "answered when it is on disk needs a place there\n"
	    "    spool: {directory: /var/lib/hookbridge/spool}\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", ack: spooled") SINKS ROUTES,
	    "2:70: endpoints.e.ack: expected a spool.directory with it: what "
	    "is answered when it is on disk needs a place there\n"
	    "    spool: {directory: /var/lib/hookbridge/spool}\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", ack: spooled") SINKS ROUTES SPOOL
	 "delivery: {ack: spooled}\n",
	    ""},
	/* Only the directory itself is faulty. */
	{LISTEN ENDPOINT(", ack: spooled") SINKS
	 "routes: [{to: {sink: f, oversize: claim-check}}]\n"
	 "spool: {directory: \"\"}\n",
	    "5:20: spool.directory: expected a text, got an empty one\n"
	    "1 error\n"},
	{BASE
	 "delivery: {ack: spoold}\n",
	    "5:17: delivery.ack: expected \"confirmed\" or \"spooled\", got "
	    "\"spoold\"\n"
	    "    did you mean \"spooled\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: {sink: f, oversize: claim-check}}]\n",
	    "4:35: routes[0].to.oversize: expected a claims.directory with "
	    "it, where the bodies are kept\n"
	    "    spool: {directory: /var/lib/hookbridge/spool}, or claims: "
	    "{directory: ...}\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: [{sink: f, oversize: claim-check}]}]\n"
	 "claims: {directory: /var/claims}\n",
	    ""},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: [{sink: f, oversize: claim-check, format: raw}]}]\n"
	 SPOOL,
	    "4:36: routes[0].to[0].oversize: a body in format raw has no "
	    "place for a reference to itself\n"
	    "    format: json or cloudevents\n"
	    "1 error\n"},
	/* Of what two routes say of one destination, the first counts. */
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: a, to: {sink: f, oversize: claim-check}}\n"
	 "  - {name: b, to: {sink: f}}\n"
	 SPOOL,
	    "6:19: warning: routes[1].to: names f as route \"a\" does, but "
	    "with another key, format, headers or settings; where both "
	    "match, those of \"a\" count\n"
	    "1 warning\n"},
};

static const struct cfg_case admins[] = {
	{BASE
	 "admin: {address: \"unix:/run/a.sock\", operators: root}\n",
	    ""},
	{BASE
	 "admin: {address: \"127.0.0.1:9000\"}\n",
	    "5:18: admin.address: an address of TCP needs TLS and a token: "
	    "not supported yet\n"
	    "    unix: and an absolute path: "
	    "\"unix:/run/hookbridge/admin.sock\"\n"
	    "1 error\n"},
	{BASE
	 "admin: {address: \"unix:a.sock\"}\n",
	    "5:18: admin.address: expected unix: and an absolute path of at "
	    "most 107 characters, got \"unix:a.sock\"\n"
	    "1 error\n"},
	{BASE
	 "admin: {operators: [root, no-such-user-here]}\n",
	    "5:27: admin.operators[1]: expected the name of a user of this "
	    "machine, got \"no-such-user-here\"\n"
	    "1 error\n"},
	{"listen: {address: \"unix:/run/a.sock\"}\n" ENDPOINT("") SINKS ROUTES
	 "admin: {address: \"unix:/run/a.sock\"}\n",
	    "5:18: admin.address: expected an address of its own (listen[0] "
	    "has it), got \"unix:/run/a.sock\"\n"
	    "1 error\n"},
};

/* clang-format on */

CFG_TEST_OF(sizes)
CFG_TEST_OF(directories)
CFG_TEST_OF(needs)
CFG_TEST_OF(admins)

static void
nothing_is_kept_by_default(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);

	(void)state;
	assert_null(cfg->spool.directory);
	assert_int_equal(cfg->spool.max_size, UINT64_C(10) << 30);
	assert_int_equal(cfg->spool.segment_size, 64 << 20);
	assert_int_equal(cfg->spool.group_size, 4 << 20);
	assert_int_equal(cfg->spool.sink_share, 50);
	assert_int_equal(cfg->spool.dead_share, 20);
	assert_null(cfg->claims.directory);
	assert_int_equal(cfg->claims.max_size, UINT64_C(10) << 30);
	assert_int_equal(cfg->claims.max_age_ms, UINT64_C(30) * 86400000);
	assert_int_equal(cfg->delivery.ack, HB_ACK_CONFIRMED);
	assert_int_equal(cfg->endpoints[0].ack, HB_ACK_CONFIRMED);
	assert_int_equal(cfg->routes[0].to[0]->oversize,
	    HB_OVERSIZE_DEAD_LETTER);
	assert_string_equal(cfg->admin.address,
	    "unix:/run/hookbridge/admin.sock");
	assert_true(cfg->admin.is_default);
	assert_int_equal(cfg->admin.operators.count, 0);
	hb_config_unref(cfg);
}

static void
claims_lie_beside_the_spool(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE SPOOL);

	(void)state;
	assert_string_equal(cfg->claims.directory, "/var/spool/hb/claims");
	hb_config_unref(cfg);
	cfg = cfg_load_good(BASE SPOOL "claims: {directory: /var/claims}\n");
	assert_string_equal(cfg->claims.directory, "/var/claims");
	hb_config_unref(cfg);
}

static void
percentages_are_written_in_three_ways(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE
	    "spool: {directory: /s, sink_share: 100 %, dead_share: 1%}\n");

	(void)state;
	assert_int_equal(cfg->spool.sink_share, 100);
	hb_config_unref(cfg);
	cfg = cfg_load_good(BASE "spool: {directory: /s, sink_share: 33}\n");
	assert_int_equal(cfg->spool.sink_share, 33);
	hb_config_unref(cfg);
}

static void
endpoints_may_answer_otherwise(void **state)
{
	struct hb_config *cfg = cfg_load_good(LISTEN
	    "endpoints:\n"
	    "  e: {path: /e, mode: svix, secrets: \"file:e.secret\"}\n"
	    "  f: {path: /f, mode: svix, secrets: \"file:other.secret\","
	    " ack: confirmed}\n" SINKS ROUTES SPOOL
	    "delivery: {ack: spooled}\n"
	    "admin: {address: \"unix:/run/hookbridge/admin.sock\"}\n");

	(void)state;
	assert_int_equal(cfg->endpoints[0].ack, HB_ACK_SPOOLED);
	assert_int_equal(cfg->endpoints[1].ack, HB_ACK_CONFIRMED);
	assert_false(cfg->admin.is_default);
	hb_config_unref(cfg);
}

/* Whatever the rest of the file is, and without its secrets. */
static void
places_are_found_without_the_rest(void **state)
{
	static const char text[] = "listen: 5\nuser: hookbridge\nzz: {}\n"
	    "endpoints: {e: {path: e, mode: svix, secrets: \"file:gone\"}}\n"
	    SPOOL "admin: {address: \"unix:/run/a.sock\"}\n";
	struct hb_config *cfg;
	char *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
	cfg_write(FILE_NAME, text);
	cfg = hb_config_load_places(cfg_path(FILE_NAME), out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(report, "");
	assert_string_equal(cfg->spool.directory, "/var/spool/hb");
	assert_string_equal(cfg->claims.directory, "/var/spool/hb/claims");
	assert_string_equal(cfg->admin.address, "unix:/run/a.sock");
	hb_config_unref(cfg);
	free(report);
}

static void
places_must_be_right(void **state)
{
	struct hb_config *cfg;
	char *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
	cfg_write(FILE_NAME, "admin: {address: \"127.0.0.1:1\"}\n");
	cfg = hb_config_load_places(cfg_path(FILE_NAME), out);
	assert_int_equal(fclose(out), 0);
	assert_null(cfg);
	assert_non_null(strstr(report, ":1:18: admin.address: an address of "));
	free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_needs),
	    cmocka_unit_test(test_admins),
	    cmocka_unit_test(nothing_is_kept_by_default),
	    cmocka_unit_test(claims_lie_beside_the_spool),
	    cmocka_unit_test(percentages_are_written_in_three_ways),
	    cmocka_unit_test(endpoints_may_answer_otherwise),
	    cmocka_unit_test(places_are_found_without_the_rest),
	    cmocka_unit_test(places_must_be_right),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
