/* SPDX-License-Identifier: Apache-2.0 */
/* test_kafka_conf.c - the Kafka sink's settings: what is refused, warned of,
 * and what librdkafka is told in the end */
#include "../../src/sink/kafka.h"
#include "sink_contract.h"

/* --- settings ------------------------------------------------------------- */

static void
names_are_checked(void **state)
{
	static char longest[249 + 1], too_long[250 + 1];
	const struct {
		const char *name;
		bool valid;
	} cases[] = {{"reducto.invoices", true}, {"a", true}, {"A_b-9.", true},
	    {"...", true}, {longest, true}, {too_long, false}, {"", false},
	    {".", false}, {"..", false}, {"bad topic", false}, {"a/b", false},
	    {"a:b", false}, {"caf\xc3\xa9", false}, {"a\n", false}};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		if (hb_sink_kafka.type.valid_name(hb_span_of(cases[i].name)) !=
		    cases[i].valid)
			fail_msg("\"%s\"", cases[i].name);
	assert_false(hb_sink_kafka.type.valid_name(hb_span_make("a\0b", 3)));
}

struct complaints {
	unsigned count;
	char key[160], text[256];
};

static void complain(void *arg, const char *key, const char *fmt, ...)
    HB_PRINTF(3, 4);

static void
complain(void *arg, const char *key, const char *fmt, ...)
{
	struct complaints *complaints = arg;
	va_list args;

	complaints->count++;
	snprintf(complaints->key, sizeof(complaints->key), "%s", key);
	va_start(args, fmt);
	vsnprintf(complaints->text, sizeof(complaints->text), fmt, args);
	va_end(args);
}

static struct complaints
check_with(const char *broker, const struct hb_pair *pair, bool ordered)
{
	const char *list[] = {broker};
	struct hb_pair properties[] = {*pair};
	struct hb_kafka_conf conf = {.brokers = {list, 1},
	    .properties = {properties, pair->name != NULL},
	    .ordered = ordered};
	struct hb_sink_conf sink = {.type = &hb_sink_kafka.type, .conf = &conf};
	struct complaints complaints = {0};

	hb_sink_kafka.type.check(&sink, complain, &complaints);
	return complaints;
}

static struct complaints
check(const char *broker, const struct hb_pair *pair)
{
	return check_with(broker, pair, false);
}

static void
brokers_are_checked(void **state)
{
	static const struct {
		const char *broker;
		bool valid;
	} cases[] = {{"k1:9092", true}, {"10.0.0.1:1", true},
	    {"[::1]:9092", true}, {"a-b.example.com:65535", true},
	    {"k1", false}, {"k1:", false}, {":9092", false}, {"k1:0", false},
	    {"k1:65536", false}, {"k1:90x", false}, {"k1:+9", false},
	    {"::1:9092", false}, {"[::1:9092", false}, {"[]:9092", false},
	    {"a,b:1", false}, {"SSL://k1:9093", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct complaints found =
		    check(cases[i].broker, &(struct hb_pair){.name = NULL});

		if ((found.count == 0) != cases[i].valid)
			fail_msg("\"%s\": %u", cases[i].broker, found.count);
		if (!cases[i].valid)
			assert_string_equal(found.key, "brokers[0]");
	}
}

/* A word of the complaint, or NULL for none. */
static const struct {
	struct hb_pair pair;
	const char *word;
} property_cases[] = {
    {{"compression.codec", "lz4", false}, NULL},
    {{"linger.ms", "5", false}, NULL},
    {{"socket.nagle.disable", "false", false}, NULL},
    {{"enable.idempotence", "true", false}, NULL},
    {{"sasl.password", "hunter2", true}, NULL},
    {{"acks", "1", false}, "replicas"},
    {{"request.required.acks", "all", false}, "replicas"},
    {{"message.timeout.ms", "1", false}, "ack_timeout"},
    {{"delivery.timeout.ms", "1", false}, "ack_timeout"},
    {{"transactional.id", "x", false}, "transactions"},
    {{"bootstrap.servers", "k:1", false}, "brokers"},
    {{"metadata.broker.list", "k:1", false}, "brokers"},
    {{"delivery.report.only.error", "true", false}, "report"},
    {{"enable.gapless.guarantee", "true", false}, "stop"},
    {{"queue.buffering.max.messages", "1", false}, "memory"},
    {{"queue.buffering.max.ms", "1", false}, "linger.ms"},
    {{"log.queue", "false", false}, "log"},
    {{"statistics.interval.ms", "1", false}, "statistics"},
    {{"test.mock.num.brokers", "1", false}, "simulated"},
    {{"plugin.library.paths", "/x", false}, "code"},
    {{"ssl.engine.location", "/x", false}, "code"},
    {{"sasl.kerberos.kinit.cmd", "rm", false}, "shell"},
    {{"dr_msg_cb", "x", false}, "callbacks"},
    {{"debug", "all", false}, "secrets"},
    {{"sasl.password", "hunter2", false}, "file:"},
    {{"ssl.key.password", "hunter2", false}, "file:"},
    {{"ssl.key.pem", "-----BEGIN", false}, "file:"},
    {{"sasl.oauthbearer.client.secret", "hunter2", false}, "file:"},
    {{"sasl.oauthbearer.config", "hunter2", false}, "file:"},
    {{"lingr.ms", "1", false}, "No such configuration property"},
    {{"linger.ms", "soon", false}, "Invalid value"},
    {{"compression.codec", "rar", false}, "rar"},
    {{"compression.codec", "hunter2", true}, "refuses"},
};

static void
properties_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(property_cases); i++) {
		const struct hb_pair *pair = &property_cases[i].pair;
		const char *word = property_cases[i].word;
		struct complaints found = check("k:9092", pair);
		char key[160];

		if (found.count != (word != NULL))
			fail_msg(
			    "%s: %u %s", pair->name, found.count, found.text);
		if (word == NULL)
			continue;
		if (strstr(found.text, word) == NULL ||
		    strstr(found.text, "hunter2") != NULL)
			fail_msg("%s: \"%s\"", pair->name, found.text);
		snprintf(key, sizeof(key), "properties.%s", pair->name);
		assert_string_equal(found.key, key);
	}
}

/* Who wants the order kept does not say otherwise. */
static void
ordered_has_its_settings(void **state)
{
	static const struct hb_pair cases[] = {
	    {"max.in.flight", "5", false},
	    {"max.in.flight.requests.per.connection", "1", false},
	    {"batch.num.messages", "100", false}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct complaints found = check_with("k:9092", &cases[i], true);

		assert_int_equal(check("k:9092", &cases[i]).count, 0);
		assert_int_equal(found.count, 1);
		assert_non_null(strstr(found.text, "ordered"));
	}
}

static void
exposure_is_warned_of(void **state)
{
	static const struct hb_pair cases[] = {
	    {"ssl.endpoint.identification.algorithm", "none", false},
	    {"enable.ssl.certificate.verification", "false", false}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct complaints found = check("k:9092", &cases[i]);

		assert_int_equal(found.count, 1);
		assert_memory_equal(found.text, "warning: ", 9);
	}
}

/* The value librdkafka ends up with. */
static void
assert_setting(enum hb_kafka_kind kind, struct hb_kafka_conf *conf,
    uint64_t ack_timeout_ms, const char *name, const char *value)
{
	struct hb_config cfg = {
	    .memory = 64 << 20, .delivery = {.ack_timeout_ms = ack_timeout_ms}};
	struct hb_error err;
	rd_kafka_conf_t *rk_conf = hb_kafka_conf_new(kind, conf, &cfg, &err);
	char text[64];
	size_t size = sizeof(text);

	if (rk_conf == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(rd_kafka_conf_get(rk_conf, name, text, &size), 0);
	if (strcmp(text, value) != 0)
		fail_msg("%s: %s, not %s", name, text, value);
	rd_kafka_conf_destroy(rk_conf);
}

static const char *const ours[][2] = {
    {"bootstrap.servers", "k1:9092,[::1]:9092"},
    {"client.id", "hookbridge"},
    {"acks", "-1"},
    {"linger.ms", "0"},
    {"message.timeout.ms", "1600"},
    {"socket.timeout.ms", "1280"},
    {"request.timeout.ms", "1280"},
    {"socket.connection.setup.timeout.ms", "5000"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"retry.backoff.ms", "100"},
    {"queue.buffering.max.kbytes", "65536"},
    {"queue.buffering.max.messages", "131072"},
    {"batch.size", "1000000"},
    {"message.max.bytes", "1000000"},
    {"receive.message.max.bytes", "4194304"},
    {"partitioner", "murmur2_random"},
    {"topic.metadata.refresh.interval.ms", "60000"},
    {"allow.auto.create.topics", "false"},
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"broker.address.ttl", "1000"},
    {"log.queue", "true"},
    {"log_level", "6"},
    {"ssl.endpoint.identification.algorithm", "https"},
};

static void
settings_reach_librdkafka(void **state)
{
	static const char *brokers[] = {"k1:9092", "[::1]:9092"};
	static struct hb_pair pairs[] = {
	    {.name = "linger.ms", .value = "20"},
	    {.name = "batch.num.messages", .value = "7"},
	    {.name = "enable.idempotence", .value = "true"}};
	struct hb_kafka_conf plain = {.brokers = {brokers, 2}};
	struct hb_kafka_conf own = {
	    .brokers = {brokers, 2}, .properties = {pairs, 3}};
	enum hb_kafka_kind usual = HB_KAFKA_MAIN, solo = HB_KAFKA_SOLO;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(ours); i++)
		assert_setting(usual, &plain, 3000, ours[i][0], ours[i][1]);
	assert_setting(usual, &plain, 10000, "message.timeout.ms", "8600");
	assert_setting(usual, &plain, 1000, "message.timeout.ms", "500");
	assert_setting(usual, &plain, 1000, "socket.timeout.ms", "400");
	assert_setting(usual, &plain, 3000, "enable.idempotence",
	    rd_kafka_version() >= 0x020503ff ? "true" : "false");
	assert_setting(usual, &own, 3000, "linger.ms", "20");
	assert_setting(usual, &own, 3000, "enable.idempotence", "true");
	/* Alone whatever the operator says. */
	assert_setting(solo, &own, 3000, "acks", "-1");
	assert_setting(solo, &own, 3000, "message.timeout.ms", "1600");
	assert_setting(solo, &own, 3000, "batch.num.messages", "1");
	assert_setting(solo, &own, 3000, "linger.ms", "0");
	assert_setting(solo, &own, 3000, "enable.idempotence", "false");
}

/* What is different where nobody waits. */
static void
patient_settings_are_patient(void **state)
{
	static const char *brokers[] = {"k1:9092"};
	static const char *const patient[][2] = {
	    {"message.timeout.ms", "60000"}, {"linger.ms", "5"},
	    {"socket.timeout.ms", "10000"}, {"request.timeout.ms", "10000"},
	    {"queue.buffering.max.kbytes", "2097151"},
	    {"queue.buffering.max.messages", "10000000"}};
	static struct hb_pair pairs[] = {
	    {.name = "linger.ms", .value = "20"},
	    {.name = "socket.timeout.ms", .value = "30000"}};
	struct hb_kafka_conf plain = {.brokers = {brokers, 1}};
	struct hb_kafka_conf own = {
	    .brokers = {brokers, 1}, .properties = {pairs, HB_COUNT(pairs)}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(ours); i++) {
		const char *value = ours[i][1];

		for (size_t j = 0; j < HB_COUNT(patient); j++)
			if (strcmp(ours[i][0], patient[j][0]) == 0)
				value = patient[j][1];
		if (strcmp(ours[i][0], "bootstrap.servers") != 0)
			assert_setting(HB_KAFKA_PATIENT, &plain, 3000,
			    ours[i][0], value);
	}
	for (size_t i = 0; i < HB_COUNT(pairs); i++)
		assert_setting(HB_KAFKA_PATIENT, &own, 3000, pairs[i].name,
		    pairs[i].value);
}

static void
ordered_settings_send_one_by_one(void **state)
{
	static const char *brokers[] = {"k1:9092"};
	struct hb_kafka_conf conf = {
	    .brokers = {brokers, 1}, .ordered = true};

	(void)state;
	for (int kind = 0; kind < HB_KAFKA_KINDS; kind++) {
		enum hb_kafka_kind lane = (enum hb_kafka_kind)kind;

		assert_setting(lane, &conf, 3000,
		    "max.in.flight.requests.per.connection", "1");
		assert_setting(lane, &conf, 3000, "batch.num.messages", "1");
		/* There is nobody to wait for. */
		assert_setting(lane, &conf, 3000, "linger.ms", "0");
	}
}

static struct hb_kafka_limits
limits_of(const struct hb_kafka_conf *conf)
{
	struct hb_config cfg = {
	    .memory = 64 << 20, .delivery = {.ack_timeout_ms = 3000}};
	struct hb_kafka_limits limits;
	struct hb_error err;
	rd_kafka_conf_t *rk_conf =
	    hb_kafka_conf_new(HB_KAFKA_MAIN, conf, &cfg, &err);

	if (rk_conf == NULL)
		fail_msg("%s", err.text);
	hb_kafka_conf_limits(rk_conf, &limits);
	rd_kafka_conf_destroy(rk_conf);
	return limits;
}

/* What we go by ourselves is what librdkafka goes by. */
static void
limits_are_librdkafkas(void **state)
{
	static const char *brokers[] = {"k1:9092"};
	static struct hb_pair pairs[] = {
	    {"linger.ms", "0.001", false}, {"batch.size", "2000", false},
	    {"batch.num.messages", "7", false}, {"partitioner", "fnv1a", false},
	    {"message.max.bytes", "3000", false},
	    {"topic.metadata.refresh.interval.ms", "-1", false}};
	struct hb_kafka_conf plain = {.brokers = {brokers, 1}};
	struct hb_kafka_conf own = {
	    .brokers = {brokers, 1}, .properties = {pairs, HB_COUNT(pairs)}};
	struct hb_kafka_limits limits;

	(void)state;
	limits = limits_of(&plain);
	assert_int_equal(limits.message_max, 1000000);
	assert_int_equal(limits.batch_size, 1000000);
	assert_int_equal(limits.batch_count, 10000);
	assert_int_equal(limits.queue_count, 131072);
	assert_int_equal(limits.refresh_ms, 60000);
	assert_false(limits.lingers);
	assert_ptr_equal(limits.partitioner,
	    hb_kafka_partitioner_of("murmur2_random"));
	limits = limits_of(&own);
	assert_int_equal(limits.message_max, 3000);
	assert_int_equal(limits.batch_size, 2000);
	assert_int_equal(limits.batch_count, 7);
	assert_int_equal(limits.refresh_ms, 0); /* never */
	assert_true(limits.lingers);
	assert_ptr_equal(
	    limits.partitioner, hb_kafka_partitioner_of("fnv1a"));
}

static void
refuses_what_never_works(void **state)
{
	static struct hb_pair pairs[] = {{"security.protocol", "ssl", false},
	    {"ssl.ca.location", "/nonexistent/ca.pem", false}};
	static const char *brokers[] = {"localhost:1"};
	struct hb_kafka_conf conf = {
	    .brokers = {brokers, 1}, .properties = {pairs, 2}};
	struct contract_peer unusable = {
	    .ops = &hb_sink_kafka, .settings = &conf, .dests = {"t"}};
	struct contract_rig rig;
	struct hb_sink_env env;
	struct hb_error err;

	(void)state;
	contract_configure(&rig, &unusable);
	rig.helper = rig.loops[0] = hb_loop_new("worker", &err);
	env = (struct hb_sink_env){&rig.cfg, rig.loops, 1, rig.helper};
	assert_null(hb_sink_kafka.open(&rig.sink_conf, &env, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "ssl.ca.location"));
	hb_loop_free(rig.helper);
	free(rig.target_settings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(brokers_are_checked),
	    cmocka_unit_test(properties_are_checked),
	    cmocka_unit_test(ordered_has_its_settings),
	    cmocka_unit_test(exposure_is_warned_of),
	    cmocka_unit_test(settings_reach_librdkafka),
	    cmocka_unit_test(patient_settings_are_patient),
	    cmocka_unit_test(ordered_settings_send_one_by_one),
	    cmocka_unit_test(limits_are_librdkafkas),
	    cmocka_unit_test(refuses_what_never_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
