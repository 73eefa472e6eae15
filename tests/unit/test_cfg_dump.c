/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_dump.c - --dump-config loads again and shows no secret; every key of
 * every table is in it, and in conf/hookbridge.yaml with its default */
#include "cfg_rig.h"

#include "../../src/cfg/load.h"

#define PASSWORD "p4ssword-of-the-tests"
#define HIDDEN "h1dden-value-of-the-tests"

/* Every key there is, none with its default. */
static const char full_text[] =
    "listen: [{address: \"127.0.0.1:8081\"}, {address: \"[::1]:8081\"},\n"
    "  {address: \"unix:/run/hb.sock\"}]\n"
    "workers: 3\n"
    "memory: 513MiB\n"
    "http: {head_size: 17KiB, headers: 101, target_size: 3KiB,\n"
    "  body_size: 9MiB, head_timeout: 11s, body_timeout: 31s,\n"
    "  body_rate: 9KiB, idle_timeout: 76s, linger_timeout: 3s,\n"
    "  connections: 10001, connections_per_address: 0,\n"
    "  requests_per_connection: 100001}\n"
    "log: {level: debug, format: json, access: warning}\n"
    "delivery: {ack: spooled, ack_timeout: 2500ms, hard_timeout: 11s,"
    " drain_timeout: 31s}\n"
    "spool: {directory: /var/spool/hb, max_size: 11GiB,\n"
    "  segment_size: 65MiB, group_size: 5MiB, sink_share: 51 %,\n"
    "  dead_share: 21%}\n"
    "claims: {directory: /var/claims/hb, max_size: 12GiB, max_age: 31d}\n"
    "admin: {address: \"unix:/run/hb-admin.sock\","
    " operators: [root, daemon]}\n"
    "dedup: {window: 49h, max_entries: 4000001}\n"
    "endpoints:\n"
    "  signed:\n"
    "    path: /signed\n"
    "    mode: svix\n"
    "    secrets: [\"file:e.secret\", \"file:other.secret\"]\n"
    "    tolerance: 6m\n"
    "    allow: [10.0.0.0/8, \"2001:db8::/32\", 192.0.2.1]\n"
    "    channels: [production, \"{metadata.env|test}\"]\n"
    "    channel_values: [staging, test]\n"
    "    source: https://example.com/%C3%A4\n"
    "    job_type: \"{metadata.job_type|parse}\"\n"
    "    body_size: 1MiB\n"
    "    metadata_size: 63KiB\n"
    "    dedup: false\n"
    "    ack: confirmed\n"
    "  bearer:\n"
    "    path: /bearer\n"
    "    mode: direct\n"
    "    token: {in: bearer, secret: \"env:HB_TEST_TOKEN\"}\n"
    "    channels: [{template: \"{job_id}\", values: [a]}, b]\n"
    "  basic: {path: /basic, mode: direct,"
    " token: {in: basic, user: me, secret: \"file:token\"}}\n"
    "  query: {path: /query, mode: direct,"
    " token: {in: query.key, secret: \"file:token2\"}}\n"
    "  path: {path: \"/path/{token}/x\", mode: direct,"
    " token: {in: path, secret: \"file:token3\"}}\n"
    "  metadata: {path: /metadata, mode: direct,"
    " token: {in: 'metadata.a\\.b.c', secret: \"file:token4\"}}\n"
    "  off: {path: /off, mode: disabled}\n"
    "sinks:\n"
    "  kafka:\n"
    "    type: kafka\n"
    "    brokers: [\"k1:9092\", \"[::1]:9093\"]\n"
    "    properties:\n"
    "      compression.codec: lz4\n"
    "      security.protocol: sasl_ssl\n"
    "      sasl.mechanism: PLAIN\n"
    "      sasl.username: hookbridge\n"
    "      sasl.password: \"file:password\"\n"
    "      ssl.crl.location: " HIDDEN "\n"
    "  null:\n"
    "    type: redis\n"
    "    url: redis://user@127.0.0.1:6380/2\n"
    "    password: \"file:password\"\n"
    "    timeout: 3s\n"
    "    pipeline: 1025\n"
    "    wait: {replicas: 1, timeout: 2s}\n"
    "  file: {type: file, path: /var/log/\"events\".ndjson}\n"
    "routes:\n"
    "  - name: everything\n"
    "    when:\n"
    "      channel: [production, staging]\n"
    "      status: {not: [failed, cancelled]}\n"
    "      endpoint: {not: basic}\n"
    "      job_type: {prefix: pa}\n"
    "      metadata.kind: {glob: \"in*e\", not: {prefix: inter}}\n"
    "      metadata.pages: {ge: 2, lt: 1.5e2}\n"
    "      metadata.size: {gt: -1, le: \"10\"}\n"
    "      metadata.user: {exists: true}\n"
    "      metadata.test: {exists: false}\n"
    "      'metadata.a b\\.c': [\"\", \"~\", \"true\", \"08\", \"\\\"\"]\n"
    "    final: true\n"
    "    to:\n"
    "      - sink: kafka\n"
    "        topic: \"jobs.{metadata.region|eu}\"\n"
    "        topics: [jobs.eu, jobs.us]\n"
    "        key: \"{metadata.user}{{{job_id}}}\"\n"
    "        format: cloudevents\n"
    "        oversize: claim-check\n"
    "        headers: {x-a: \"{status}\", \"x|b\": \"\xe2\x80\xa8\"}\n"
    "      - sink: \"null\"\n"
    "        stream: \"jobs:{channel}\"\n"
    "        streams: [\"jobs:production\", \"jobs:staging\"]\n"
    "        maxlen: 1000\n"
    "        idempotent: 36h\n"
    "        format: raw\n"
    "  - {default: true, to: [{sink: file},"
    " {sink: \"null\", stream: \"{{tag}}:rest\"}]}\n"
    "dead_letter: {sink: kafka, topic: dead}\n";

static void
write_secrets(void)
{
	cfg_write("token2", TOKEN "-2");
	cfg_write("token3", TOKEN "-3");
	cfg_write("token4", TOKEN "-4");
	cfg_write("password", PASSWORD "\n");
	setenv("HB_TEST_TOKEN", "env-" TOKEN, 1);
}

/* Cuts the line out that holds the piece. */
static void
cut_line(char *text, const char *piece)
{
	char *line = text, *end;

	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (strstr(line, piece) != NULL)
			break;
		*end = '\n';
	}
	if (end == NULL)
		fail_msg("no line with \"%s\"", piece);
	else
		memmove(line, end + 1, strlen(end + 1) + 1);
}

static struct hb_config *
load_full(void)
{
	struct hb_config *cfg;
	char *report;

	write_secrets();
	cfg = cfg_load(full_text, &report);
	if (cfg == NULL)
		fail_msg("%s", report);
	free(report);
	return cfg;
}

static void
a_dump_loads_again(void **state)
{
	struct hb_config *cfg = load_full();
	char *dump = cfg_dump(cfg), *again, *report;

	(void)state;
	hb_config_unref(cfg);
	cfg = cfg_load(dump, &report);
	if (cfg == NULL)
		fail_msg("%s\n%s", dump, report);
	again = cfg_dump(cfg);
	/* What may not be shown is not in the dump's own configuration. */
	cut_line(dump, "ssl.crl.location");
	assert_string_equal(again, dump);
	hb_config_unref(cfg);
	free(report);
	free(dump);
	free(again);
}

static void
a_dump_shows_no_secret(void **state)
{
	static const char *const secrets[] = {SECRET, OTHER_SECRET, TOKEN,
	    PASSWORD, HIDDEN};
	struct hb_config *cfg = load_full();
	char *dump = cfg_dump(cfg);

	(void)state;
	for (size_t i = 0; i < HB_COUNT(secrets); i++) {
		const char *text = strchr(secrets[i], '_') != NULL
		    ? strchr(secrets[i], '_') + 1 : secrets[i];

		if (strstr(dump, text) != NULL)
			fail_msg("\"%s\" in\n%s", text, dump);
	}
	assert_non_null(
	    strstr(dump, "\n      - \"file:e.secret\"  # 38 bytes\n"));
	assert_non_null(
	    strstr(dump, "\n    password: \"file:password\"  # 21 bytes\n"));
	assert_non_null(strstr(
	    dump, "\n      sasl.password: \"file:password\"  # 21 bytes\n"));
	assert_non_null(strstr(dump,
	    "\n      # \"ssl.crl.location\": 25 bytes, not shown\n"));
	hb_config_unref(cfg);
	free(dump);
}

/* A terminal shows it as it is. */
static void
a_dump_is_printable(void **state)
{
	struct hb_config *cfg = load_full();
	char *dump = cfg_dump(cfg);

	(void)state;
	for (const char *c = dump; *c != '\0'; c++)
		assert_true((unsigned char)*c >= ' ' || *c == '\n');
	assert_non_null(strstr(dump, "\"x|b\": \"\\u2028\"\n"));
	hb_config_unref(cfg);
	free(dump);
}

/* --- every key ------------------------------------------------------------ */

/* Whether "name:" stands in the text as a name of its own. */
static bool
has_key(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *found = text;

	while ((found = strstr(found, name)) != NULL) {
		if (found[len] == ':' &&
		    (found == text || strchr(" #{\n", found[-1]) != NULL))
			return true;
		found += len;
	}
	return false;
}

struct search {
	const char *text, *where;
	bool with_short_forms;
	size_t count;
};

static void
look_for(struct search *search, const char *name)
{
	/* A dump has the long form of it. */
	if (strcmp(name, "channel_values") == 0 && !search->with_short_forms)
		return;
	if (!has_key(search->text, name))
		fail_msg("no key \"%s\" in %s", name, search->where);
	search->count++;
}

static void
look_for_all(struct search *search, const struct hb_key *keys)
{
	for (; keys != NULL && keys->name != NULL; keys++) {
		if (keys->later != NULL) {
			/* Of another map's key there may be one. */
			if (has_key(search->text, keys->name) &&
			    strcmp(keys->name, "user") != 0 &&
			    strcmp(keys->name, "token") != 0)
				fail_msg("\"%s\" is in %s, but not supported",
				    keys->name, search->where);
			continue;
		}
		look_for(search, keys->name);
		look_for_all(search, keys->sub);
	}
}

static void
look_for_keys(struct search *search)
{
	static const struct hb_key *const tables[] = {hb_keys_top,
	    hb_keys_listen, hb_keys_endpoint, hb_keys_channel, hb_keys_route,
	    hb_keys_target, hb_keys_dead_letter};

	for (size_t i = 0; i < HB_COUNT(tables); i++)
		look_for_all(search, tables[i]);
	look_for(search, "type");
	for (const struct hb_sink_type *const *type = hb_sink_types();
	     *type != NULL; type++) {
		look_for_all(search, (*type)->keys);
		look_for_all(search, (*type)->target_keys);
		if ((*type)->dest_key != NULL)
			look_for(search, (*type)->dest_key);
		if ((*type)->dest_list_key != NULL)
			look_for(search, (*type)->dest_list_key);
	}
	assert_true(search->count > 60);
}

static void
every_key_is_in_the_dump(void **state)
{
	struct hb_config *cfg = load_full();
	char *dump = cfg_dump(cfg);
	struct search search = {.text = dump, .where = "the dump"};

	(void)state;
	look_for_keys(&search);
	hb_config_unref(cfg);
	free(dump);
}

/* --- the files in conf/ --------------------------------------------------- */

static char *
read_conf(const char *name)
{
	char path[512], *text = hb_xcalloc(1, 65536);
	FILE *file;

	snprintf(path, sizeof(path), "%s/../conf/%s", getenv("HB_TESTS"), name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_in_range(fread(text, 1, 65535, file), 1, 65534);
	assert_int_equal(fclose(file), 0);
	return text;
}

/* The sample's settings that are off, a "#" before a name, switched on. */
static void
uncomment(char *text)
{
	char *out = text;

	for (bool at_start = true; *text != '\0'; text++) {
		if (at_start && *text == '#' &&
		    strchr("abcdefghijklmnopqrstuvwxyz-", text[1]) != NULL) {
			at_start = false;
			continue;
		}
		at_start = *text == '\n' || (at_start && *text == ' ');
		*out++ = *text;
	}
	*out = '\0';
}

static void
write_sample_secrets(void)
{
	cfg_write("production.secret", SECRET);
	cfg_write("analytics.secret", OTHER_SECRET);
	cfg_write("direct.token", TOKEN);
	cfg_write("kafka.password", PASSWORD);
	cfg_write("redis.password", PASSWORD);
}

static void
files_in_conf_are_valid(void **state)
{
	static const char *const names[] = {"hookbridge.yaml", "minimal.yaml",
	    "quickstart.yaml", "quickstart-kafka.yaml"};

	(void)state;
	write_sample_secrets();
	for (size_t i = 0; i < HB_COUNT(names); i++) {
		char *text = read_conf(names[i]);

		hb_config_unref(cfg_load_good(text));
		free(text);
	}
}

static void
every_key_is_in_the_sample(void **state)
{
	char *text = read_conf("hookbridge.yaml");
	struct search search = {.text = text,
	    .where = "conf/hookbridge.yaml",
	    .with_short_forms = true};

	(void)state;
	look_for_keys(&search);
	free(text);
}

/* Rows with a default have it. */
static void
assert_defaults(const struct hb_key *keys, const void *sample,
    const void *plain)
{
	for (; keys->name != NULL; keys++) {
		const struct hb_key one[] = {*keys, {.name = NULL}};
		const char *a = (const char *)sample + keys->offset;
		const char *b = (const char *)plain + keys->offset;

		if (keys->later != NULL || strcmp(keys->name, "mode") == 0)
			continue;
		if (keys->type == HB_KEY_SECTION)
			assert_defaults(keys->sub, a, b);
		else if (keys->def != NULL &&
		    !hb_keys_equal(one, sample, plain))
			fail_msg("\"%s\" is not %s in conf/hookbridge.yaml",
			    keys->name, keys->def);
	}
}

static const struct hb_sink_conf *
sink_of_type(const struct hb_config *cfg, const struct hb_sink_type *type)
{
	for (size_t i = 0; i < cfg->sink_count; i++)
		if (cfg->sinks[i].type == type)
			return &cfg->sinks[i];
	fail_msg("no sink of type %s", type->name);
	return NULL;
}

/* All that is off in the sample can be switched on, and what has a default
 * shows it. */
static void
the_sample_shows_defaults(void **state)
{
	static const char plain_text[] = LISTEN ENDPOINT("")
	    "sinks: {k: {type: kafka, brokers: \"k:1\"},"
	    " r: {type: redis, url: \"redis://127.0.0.1\"},"
	    " f: {type: file, path: /f}}\n"
	    "routes: [{to: [{sink: k, topic: t}, {sink: r, stream: s},"
	    " {sink: f}]}]\n";
	struct hb_config *sample, *plain = cfg_load_good(plain_text);
	char *text = read_conf("hookbridge.yaml"), *report;

	(void)state;
	write_sample_secrets();
	uncomment(text);
	sample = cfg_load(text, &report);
	if (sample == NULL)
		fail_msg("%s\n%s", text, report);
	free(report);
	free(text);
	assert_int_equal(sample->endpoint_count, 2);
	assert_int_equal(sample->sink_count, 3);
	assert_defaults(hb_keys_top, sample, plain);
	assert_defaults(
	    hb_keys_endpoint, &sample->endpoints[0], &plain->endpoints[0]);
	assert_int_equal(sample->endpoints[0].body_size, 2 << 20);
	assert_string_equal(sample->endpoints[0].source,
	    "https://platform.reducto.ai/#production");
	assert_int_equal(
	    sample->routes[0].to[0]->format, plain->routes[0].to[0]->format);
	assert_int_equal(sample->routes[0].final, plain->routes[0].final);
	for (const struct hb_sink_type *const *type = hb_sink_types();
	     *type != NULL; type++)
		assert_defaults((*type)->keys,
		    sink_of_type(sample, *type)->conf,
		    sink_of_type(plain, *type)->conf);
	hb_config_unref(sample);
	hb_config_unref(plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dump_loads_again),
	    cmocka_unit_test(a_dump_shows_no_secret),
	    cmocka_unit_test(a_dump_is_printable),
	    cmocka_unit_test(every_key_is_in_the_dump),
	    cmocka_unit_test(files_in_conf_are_valid),
	    cmocka_unit_test(every_key_is_in_the_sample),
	    cmocka_unit_test(the_sample_shows_defaults),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
