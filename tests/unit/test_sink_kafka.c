/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_kafka.c - the Kafka sink: the contract of all sinks, its settings,
 * and what it makes of brokers that fail in their own ways */
#include "../../src/sink/kafka.h"
#include "hookbridge/log.h"
#include "kafka_peer.h"

static struct kafka_peer cluster;

/* What cfg would have made of the file. */
static const char *broker_list[1];
static struct hb_pair property_list[4] = {
    {"message.max.bytes", "2097152", false}};
static struct hb_kafka_conf settings = {
    .brokers = {broker_list, 1}, .properties = {property_list, 1}};

static struct contract_peer peer = {
    .ops = &hb_sink_kafka,
    .settings = &settings,
    .dests = {"hb.contract.one", "hb.contract.two"},
    .arrived = kafka_peer_arrived,
    .down = kafka_peer_down,
    .up = kafka_peer_up,
    .arg = &cluster,
};

static const char *const watched[] = {
    "hb.contract.one", "hb.contract.two", "hb.solo", NULL};

/* One topic with one partition. */
static struct contract_peer solo_peer = {
    .ops = &hb_sink_kafka,
    .settings = &settings,
    .dests = {"hb.solo"},
    .arrived = kafka_peer_arrived,
    .arg = &cluster,
};

static void
start_solo(struct contract_rig *rig)
{
	contract_open(rig, &solo_peer);
	contract_run(rig);
	assert_true(contract_await_health(rig, HB_UP));
}

static void
need_mock(void)
{
	if (cluster.mock == 0)
		skip();
}

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
check(const char *broker, const struct hb_pair *pair)
{
	const char *list[] = {broker};
	struct hb_pair properties[] = {*pair};
	struct hb_kafka_conf conf = {.brokers = {list, 1},
	    .properties = {properties, pair->name != NULL}};
	struct hb_sink_conf sink = {.type = &hb_sink_kafka.type, .conf = &conf};
	struct complaints complaints = {0};

	hb_sink_kafka.type.check(&sink, complain, &complaints);
	return complaints;
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
assert_setting(struct hb_kafka_conf *conf, uint64_t ack_timeout_ms,
    const char *name, const char *value)
{
	struct hb_config cfg = {
	    .memory = 64 << 20, .delivery = {.ack_timeout_ms = ack_timeout_ms}};
	struct hb_error err;
	rd_kafka_conf_t *rk_conf = hb_kafka_conf_new(conf, &cfg, &err);
	char text[64];
	size_t size = sizeof(text);

	if (rk_conf == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(rd_kafka_conf_get(rk_conf, name, text, &size), 0);
	assert_string_equal(text, value);
	rd_kafka_conf_destroy(rk_conf);
}

static void
settings_reach_librdkafka(void **state)
{
	static const char *brokers[] = {"k1:9092", "[::1]:9092"};
	static struct hb_pair pairs[] = {{"linger.ms", "20", false}};
	struct hb_kafka_conf plain = {.brokers = {brokers, 2}};
	struct hb_kafka_conf own = {
	    .brokers = {brokers, 2}, .properties = {pairs, 1}};

	(void)state;
	assert_setting(&plain, 3000, "bootstrap.servers", "k1:9092,[::1]:9092");
	assert_setting(&plain, 3000, "message.timeout.ms", "1800");
	assert_setting(&plain, 10000, "message.timeout.ms", "8800");
	assert_setting(&plain, 1000, "message.timeout.ms", "500");
	assert_setting(&plain, 3000, "acks", "-1");
	assert_setting(&plain, 3000, "linger.ms", "0.5");
	assert_setting(&own, 3000, "linger.ms", "20");
	assert_setting(&plain, 3000, "allow.auto.create.topics", "false");
	assert_setting(&plain, 3000, "queue.buffering.max.kbytes", "65536");
	assert_setting(&plain, 3000, "queue.buffering.max.messages", "131072");
	assert_setting(&plain, 3000, "enable.idempotence",
	    rd_kafka_version() >= 0x020503ff ? "true" : "false");
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

/* --- sizes ---------------------------------------------------------------- */

/* Whatever fits is taken; what does not is far from any limit of ours. */
static void
what_fits_is_taken(void **state)
{
	static char value[2097152];
	struct contract_rig rig;
	struct contract_item *item;
	struct hb_error err;
	size_t len = sizeof(value);

	(void)state;
	memset(value, '7', sizeof(value));
	start_solo(&rig);
	item = contract_items(&rig, 1);
	item->delivery.msg.value = hb_span_make(value, len);
	assert_false(hb_sink_kafka.fits(rig.sink, &item->delivery.msg, &err));
	assert_string_equal(err.reason, "too-large");
	while (!hb_sink_kafka.fits(rig.sink, &item->delivery.msg, &err))
		item->delivery.msg.value.len = --len;
	assert_true(sizeof(value) - len < 300);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&rig, item, 1);
	contract_stop(&rig);
	free(item);
}

/* librdkafka's own refusal concerns this message alone, whatever else is under
 * way. */
static void
too_large_is_refused(void **state)
{
	static char value[3 << 20];
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	memset(value, '7', sizeof(value));
	start_solo(&rig);
	items = contract_items(&rig, 2);
	items[1].delivery.msg.value = hb_span_make(value, sizeof(value));
	if (cluster.mock != 0)
		kafka_mock_tell(&cluster, "rtt 300");
	contract_send(items, 1);
	contract_settle(&rig);
	contract_send(items + 1, 1);
	contract_await_reports(items + 1, 1);
	if (cluster.mock != 0)
		kafka_mock_tell(&cluster, "rtt 0");
	assert_int_equal(items[1].delivery.report, HB_REPORT_REFUSED);
	assert_string_equal(items[1].delivery.why.reason, "too-large");
	contract_await_reports(items, 1);
	contract_check_confirmed(items, 1);
	contract_stop(&rig);
	free(items);
}

/* --- brokers that fail ---------------------------------------------------- */

/* One Produce request answered with an error, for a message that travels
 * alone; what comes of it, and whether the topic goes down for it. */
static const struct {
	const char *error;
	enum hb_report report;
	const char *reason;
	bool topic_down;
} answers[] = {
    {"NOT_ENOUGH_REPLICAS", HB_REPORT_CONFIRMED, NULL, false},
    {"NOT_LEADER_FOR_PARTITION", HB_REPORT_CONFIRMED, NULL, false},
    {"KAFKA_STORAGE_ERROR", HB_REPORT_CONFIRMED, NULL, false},
    {"_TRANSPORT", HB_REPORT_CONFIRMED, NULL, false},
    {"MSG_SIZE_TOO_LARGE", HB_REPORT_REFUSED, "too-large", false},
    {"POLICY_VIOLATION", HB_REPORT_REFUSED, "refused", false},
    {"INVALID_RECORD", HB_REPORT_REFUSED, "refused", false},
    {"INVALID_MSG", HB_REPORT_RETRY, NULL, false},
    {"UNKNOWN", HB_REPORT_RETRY, NULL, false},
    {"THROTTLING_QUOTA_EXCEEDED", HB_REPORT_RETRY, NULL, false},
    {"TOPIC_AUTHORIZATION_FAILED", HB_REPORT_RETRY, NULL, true},
    {"CLUSTER_AUTHORIZATION_FAILED", HB_REPORT_RETRY, NULL, true},
};

static void
check_answer(struct contract_rig *rig, size_t i)
{
	struct contract_item *item = contract_items(rig, 1);
	char command[80];

	snprintf(command, sizeof(command), "fail 0 %s", answers[i].error);
	kafka_mock_tell(&cluster, command);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	if (item->delivery.report != answers[i].report)
		fail_msg("%s: report %d: %s", answers[i].error,
		    (int)item->delivery.report, item->delivery.why.text);
	if (answers[i].reason != NULL)
		assert_string_equal(
		    item->delivery.why.reason, answers[i].reason);
	if (answers[i].topic_down) {
		assert_true(contract_await_health(rig, HB_DOWN));
		assert_true(contract_await_health(rig, HB_UP));
	}
	contract_send_until_confirmed(rig);
	free(item);
}

static void
answers_are_understood(void **state)
{
	struct contract_rig rig;

	(void)state;
	need_mock();
	start_solo(&rig);
	for (size_t i = 0; i < HB_COUNT(answers); i++)
		check_answer(&rig, i);
	contract_stop(&rig);
}

/* In a batch nobody knows whose fault it was: none is refused for good. */
static void
batches_are_not_refused(void **state)
{
	enum { COUNT = 40 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	need_mock();
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	/* Several are under way whenever a request fails. */
	kafka_mock_tell(&cluster, "rtt 100");
	kafka_mock_tell(&cluster, "fail 0 MSG_SIZE_TOO_LARGE");
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_REFUSED);
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* A topic that is not there stops that topic alone, until it is. */
static void
unknown_topic_is_down_alone(void **state)
{
	struct contract_peer half = peer;
	struct contract_rig rig;
	uint64_t since_ms;

	(void)state;
	need_mock();
	half.dests[1] = "hb.late";
	kafka_mock_tell(&cluster, "topic hb.late 1");
	kafka_mock_tell(&cluster, "topic-error hb.late UNKNOWN_TOPIC_OR_PART");
	contract_open(&rig, &half);
	contract_run(&rig);
	since_ms = hb_clock_mono_ms();
	while (hb_dest_health(rig.sink, rig.dests[0]) != HB_UP)
		assert_true(contract_wait(since_ms));
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[1]), HB_DOWN);
	kafka_mock_tell(&cluster, "topic-error hb.late NO_ERROR");
	assert_true(contract_await_health(&rig, HB_UP));
	contract_stop(&rig);
}

/* A cluster that hangs: what times out may be there; the sink goes down. */
static void
hanging_cluster_is_down(void **state)
{
	enum { COUNT = 20 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	need_mock();
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	kill(cluster.mock, SIGSTOP);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_true(contract_await_health(&rig, HB_DOWN));
	kill(cluster.mock, SIGCONT);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* Writes that keep timing out while metadata is fine: the topic is down, and
 * gets another trial. */
static void
repeated_timeouts_are_down(void **state)
{
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	need_mock();
	start_solo(&rig);
	items = contract_items(&rig, 3);
	kafka_mock_tell(&cluster, "fail 0 NOT_ENOUGH_REPLICAS 1000");
	contract_send(items, 3);
	contract_await_reports(items, 3);
	contract_check_reports(items, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_true(contract_await_health(&rig, HB_DOWN));
	kafka_mock_tell(&cluster, "heal 0");
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* librdkafka's queue takes no more: that is reported, nothing waits. */
static void
full_queue_is_reported(void **state)
{
	enum { COUNT = 3000 }; /* the least limit is 1000 */
	struct contract_rig rig;
	struct contract_item *items;
	size_t full = 0;

	(void)state;
	need_mock();
	solo_peer.memory = 64 << 10;
	start_solo(&rig);
	solo_peer.memory = 0;
	items = contract_items(&rig, COUNT);
	kafka_mock_tell(&cluster, "rtt 300");
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		full +=
		    items[i].delivery.report == HB_REPORT_RETRY &&
		    strstr(items[i].delivery.why.text, "Queue full") != NULL;
	assert_true(full > 0);
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* --- a fatal producer ----------------------------------------------------- */

/* All is given back, the producer is replaced, and the sink is up again. */
static void
fatal_producer_is_replaced(void **state)
{
	enum { COUNT = 200 };
	struct contract_rig rig;
	struct contract_item *items;
	struct hb_kafka *kafka;

	(void)state;
	property_list[1] =
	    (struct hb_pair){"enable.idempotence", "true", false};
	settings.properties.count = 2;
	contract_open(&rig, &solo_peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	kafka = (struct hb_kafka *)rig.sink;
	contract_send_until_confirmed(&rig);
	for (int round = 0; round < 2; round++) {
		rd_kafka_t *rk = hb_kafka_hold(kafka);

		assert_non_null(rk);
		items = contract_items(&rig, COUNT);
		contract_send(items, COUNT / 2);
		rd_kafka_test_fatal_error(rk,
		    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
		hb_kafka_release(kafka);
		contract_send(items + COUNT / 2, COUNT / 2);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_true(contract_await_health(&rig, HB_DOWN));
		assert_true(contract_await_health(&rig, HB_UP));
		contract_send_until_confirmed(&rig);
		free(items);
	}
	contract_stop(&rig);
	settings.properties.count = 1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(brokers_are_checked),
	    cmocka_unit_test(properties_are_checked),
	    cmocka_unit_test(exposure_is_warned_of),
	    cmocka_unit_test(settings_reach_librdkafka),
	    cmocka_unit_test(refuses_what_never_works),
	    HB_SINK_CONTRACT(&peer),
	    cmocka_unit_test(what_fits_is_taken),
	    cmocka_unit_test(too_large_is_refused),
	    cmocka_unit_test(answers_are_understood),
	    cmocka_unit_test(batches_are_not_refused),
	    cmocka_unit_test(unknown_topic_is_down_alone),
	    cmocka_unit_test(hanging_cluster_is_down),
	    cmocka_unit_test(repeated_timeouts_are_down),
	    cmocka_unit_test(full_queue_is_reported),
	    cmocka_unit_test(fatal_producer_is_replaced),
	};
	int failures;

	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	kafka_peer_open(&cluster, watched);
	if (cluster.mock == 0)
		peer.down = peer.up = NULL;
	broker_list[0] = cluster.brokers;
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	kafka_peer_close(&cluster);
	return failures;
}
