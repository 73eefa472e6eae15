/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_kafka.c - the Kafka sink: the contract of all sinks, its settings,
 * and what it makes of brokers that fail in their own ways
 *
 * Against the simulated cluster, or with HB_KAFKA_BROKERS against a real one;
 * a few tests are for one of the two. */
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

/* Sets one more property for the sink that is opened next. It reads them again
 * for each producer: reset when it is closed. */
static void
set_property(const char *name, const char *value)
{
	property_list[settings.properties.count++] =
	    (struct hb_pair){.name = name, .value = value};
	assert_true(settings.properties.count <= HB_COUNT(property_list));
}

static void
reset_properties(void)
{
	settings.properties.count = 1;
}

static void
await_dest(struct contract_rig *rig, size_t dest, enum hb_health wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (hb_dest_health(rig->sink, rig->dests[dest]) != wanted)
		if (!contract_wait(since_ms))
			fail_msg("%s is not %d", rig->dests[dest]->name,
			    (int)wanted);
}

static unsigned
count_reports(
    const struct contract_item *items, size_t count, enum hb_report report)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += items[i].delivery.report == report;
	return n;
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

typedef rd_kafka_conf_t *conf_fn(const struct hb_kafka_conf *conf,
    const struct hb_config *cfg, struct hb_error *err);

/* The value librdkafka ends up with. */
static void
assert_setting(conf_fn *make, struct hb_kafka_conf *conf,
    uint64_t ack_timeout_ms, const char *name, const char *value)
{
	struct hb_config cfg = {
	    .memory = 64 << 20, .delivery = {.ack_timeout_ms = ack_timeout_ms}};
	struct hb_error err;
	rd_kafka_conf_t *rk_conf = make(conf, &cfg, &err);
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
    {"linger.ms", "0.5"},
    {"message.timeout.ms", "1800"},
    {"socket.timeout.ms", "1440"},
    {"request.timeout.ms", "1440"},
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
	conf_fn *usual = hb_kafka_conf_new, *solo = hb_kafka_conf_new_solo;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(ours); i++)
		assert_setting(usual, &plain, 3000, ours[i][0], ours[i][1]);
	assert_setting(usual, &plain, 10000, "message.timeout.ms", "8800");
	assert_setting(usual, &plain, 1000, "message.timeout.ms", "500");
	assert_setting(usual, &plain, 1000, "socket.timeout.ms", "400");
	assert_setting(usual, &plain, 3000, "enable.idempotence",
	    rd_kafka_version() >= 0x020503ff ? "true" : "false");
	assert_setting(usual, &own, 3000, "linger.ms", "20");
	assert_setting(usual, &own, 3000, "enable.idempotence", "true");
	/* Alone whatever the operator says. */
	assert_setting(solo, &own, 3000, "acks", "-1");
	assert_setting(solo, &own, 3000, "message.timeout.ms", "1800");
	assert_setting(solo, &own, 3000, "batch.num.messages", "1");
	assert_setting(solo, &own, 3000, "linger.ms", "0");
	assert_setting(solo, &own, 3000, "enable.idempotence", "false");
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

/* Produce requests answered with an error; what comes of the message, and
 * whether the topic goes down for it. What a batch is blamed for takes two: the
 * second one met the message alone. */
static const struct {
	const char *error;
	unsigned times;
	enum hb_report report;
	const char *reason;
	bool topic_down;
} answers[] = {
    {"NOT_ENOUGH_REPLICAS", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"NOT_LEADER_FOR_PARTITION", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"KAFKA_STORAGE_ERROR", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"_TRANSPORT", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"MSG_SIZE_TOO_LARGE", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"MSG_SIZE_TOO_LARGE", 2, HB_REPORT_REFUSED, "too-large", false},
    {"RECORD_LIST_TOO_LARGE", 2, HB_REPORT_REFUSED, "too-large", false},
    {"POLICY_VIOLATION", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"POLICY_VIOLATION", 2, HB_REPORT_REFUSED, "refused", false},
    {"INVALID_RECORD", 2, HB_REPORT_REFUSED, "refused", false},
    {"INVALID_MSG", 1, HB_REPORT_RETRY, NULL, false},
    {"INVALID_REQUIRED_ACKS", 1, HB_REPORT_RETRY, NULL, false},
    {"UNKNOWN", 1, HB_REPORT_RETRY, NULL, false},
    {"THROTTLING_QUOTA_EXCEEDED", 1, HB_REPORT_RETRY, NULL, false},
    {"TOPIC_AUTHORIZATION_FAILED", 1, HB_REPORT_RETRY, NULL, true},
    {"CLUSTER_AUTHORIZATION_FAILED", 1, HB_REPORT_RETRY, NULL, true},
};

static enum hb_report
expected_report(size_t i)
{
	/* Newer ones try again by themselves. */
	if (strcmp(answers[i].error, "INVALID_MSG") == 0 &&
	    rd_kafka_version() >= 0x020400ff)
		return HB_REPORT_CONFIRMED;
	return answers[i].report;
}

static void
check_answer(struct contract_rig *rig, size_t i)
{
	struct contract_item *item = contract_items(rig, 1);
	char command[80];

	snprintf(command, sizeof(command), "fail 0 %s %u", answers[i].error,
	    answers[i].times);
	kafka_mock_tell(&cluster, command);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	if (item->delivery.report != expected_report(i))
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
	start_solo(&rig);
	for (size_t i = 0; i < HB_COUNT(answers); i++)
		check_answer(&rig, i);
	contract_stop(&rig);
}

/* Of a refused batch each message is sent alone: the one that is refused once
 * more is refused for good, all others arrive. */
static void
refused_batch_is_taken_apart(void **state)
{
	enum { COUNT = 40 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	set_property("linger.ms", "500"); /* one batch */
	start_solo(&rig);
	for (unsigned guilty = 0; guilty < 3; guilty++) {
		char command[80];

		items = contract_items(&rig, COUNT);
		snprintf(command, sizeof(command),
		    "fail 0 MSG_SIZE_TOO_LARGE %u", 1 + guilty);
		kafka_mock_tell(&cluster, command);
		contract_send(items, COUNT);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_int_equal(
		    count_reports(items, COUNT, HB_REPORT_REFUSED), guilty);
		for (size_t i = 0; i < COUNT; i++)
			if (items[i].delivery.report == HB_REPORT_CONFIRMED)
				contract_check_arrived(&rig, &items[i], 1);
		assert_int_equal(
		    count_reports(items, COUNT, HB_REPORT_CONFIRMED),
		    COUNT - guilty);
		free(items);
	}
	contract_stop(&rig);
	reset_properties();
}

/* So many are in the solo lane. */
static uint64_t
solo_count(struct contract_rig *rig)
{
	struct hb_kafka *kafka = (struct hb_kafka *)rig->sink;
	uint64_t count;

	pthread_mutex_lock(&kafka->lock);
	count = kafka->solo.outstanding;
	pthread_mutex_unlock(&kafka->lock);
	return count;
}

/* What is sent alone is given back by a drain like all the rest. */
static void
drain_empties_the_solo_lane(void **state)
{
	enum { COUNT = 20 };
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_ms;

	(void)state;
	set_property("linger.ms", "500");
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	kafka_mock_tell(&cluster, "fail 0 MSG_SIZE_TOO_LARGE");
	/* And then for ever something that is tried again. */
	kafka_mock_tell(&cluster, "fail 0 NOT_ENOUGH_REPLICAS 1000");
	contract_send(items, COUNT);
	since_ms = hb_clock_mono_ms();
	while (solo_count(&rig) < COUNT)
		assert_true(contract_wait(since_ms));
	rig.peer->ops->drain(rig.sink, 0);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_REFUSED), 0);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_CONFIRMED), 0);
	contract_close(&rig);
	kafka_mock_tell(&cluster, "heal 0");
	reset_properties();
	free(items);
}

/* The Java clients' hash: a key's partition is the same for all producers. */
static uint32_t
java_murmur2(const char *key, size_t len)
{
	const unsigned char *p = (const unsigned char *)key;
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28c ^ (uint32_t)len;

	for (; len >= 4; p += 4, len -= 4) {
		uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 |
			     (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

		k *= m;
		k ^= k >> 24;
		k *= m;
		h *= m;
		h ^= k;
	}
	for (size_t i = len; i-- > 0;)
		h ^= (uint32_t)p[i] << (8 * i);
	if (len > 0)
		h *= m;
	h ^= h >> 13;
	h *= m;
	return h ^ (h >> 15);
}

static void
keys_choose_partitions(void **state)
{
	enum { COUNT = 28 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	/* From the tests of the Java client. */
	assert_int_equal((int32_t)java_murmur2("21", 2), -973932308);
	assert_int_equal((int32_t)java_murmur2("foobar", 6), -790332482);
	assert_int_equal(
	    (int32_t)java_murmur2("a-little-bit-long-string", 24), -985981536);
	contract_open(&rig, &peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_items(&rig, COUNT);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct hb_message *msg = &items[i].delivery.msg;
		uint32_t hash = java_murmur2(msg->key.ptr, msg->key.len);
		/* Two destinations in turn: of three and of two partitions. */
		uint32_t partitions = i % 2 == 0 ? 3 : 2;

		assert_int_equal(kafka_peer_find(&cluster, msg)->partition,
		    (hash & 0x7fffffff) % partitions);
	}
	contract_stop(&rig);
	free(items);
}

/* An event without a byte is a value all the same, not a tombstone. */
static void
empty_value_is_no_tombstone(void **state)
{
	struct contract_rig rig;
	struct contract_item *item;

	(void)state;
	start_solo(&rig);
	item = contract_items(&rig, 1);
	item->delivery.msg.value = HB_SPAN_NONE;
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&rig, item, 1);
	assert_non_null(
	    kafka_peer_find(&cluster, &item->delivery.msg)->payload);
	contract_stop(&rig);
	free(item);
}

/* A topic that is not there stops that topic alone, until it is. */
static void
unknown_topic_is_down_alone(void **state)
{
	struct contract_peer half = peer;
	struct contract_rig rig;

	(void)state;
	half.dests[1] = "hb.late";
	kafka_mock_tell(&cluster, "topic hb.late 1");
	kafka_mock_tell(&cluster, "topic-error hb.late UNKNOWN_TOPIC_OR_PART");
	contract_open(&rig, &half);
	contract_run(&rig);
	await_dest(&rig, 0, HB_UP);
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[1]), HB_DOWN);
	kafka_mock_tell(&cluster, "topic-error hb.late NO_ERROR");
	assert_true(contract_await_health(&rig, HB_UP));
	contract_stop(&rig);
}

/* The same of a real cluster: made, removed and made again under our feet. */
static void
topic_comes_and_goes(void **state)
{
	struct contract_peer half = peer;
	struct contract_rig rig;

	(void)state;
	half.dests[1] = "hb.late";
	kafka_peer_delete(&cluster, "hb.late");
	contract_open(&rig, &half);
	contract_run(&rig);
	for (int round = 0; round < 2; round++) {
		uint64_t since_ms;
		struct contract_item *items;

		await_dest(&rig, 0, HB_UP);
		await_dest(&rig, 1, HB_DOWN);
		kafka_peer_create(&cluster, "hb.late", 1, NULL, NULL);
		since_ms = hb_clock_mono_ms();
		await_dest(&rig, 1, HB_UP);
		/* The longest pause between two looks is five seconds. */
		assert_true(hb_clock_mono_ms() - since_ms < 7000);
		items = contract_items(&rig, 2);
		contract_send(items, 2);
		contract_await_reports(items, 2);
		contract_check_confirmed(items, 2);
		free(items);
		if (round > 0)
			break;
		/* Nobody is told; what is sent next finds out. */
		kafka_peer_delete(&cluster, "hb.late");
		while (hb_dest_health(rig.sink, rig.dests[1]) == HB_UP) {
			items = contract_items(&rig, 2);
			contract_send(items, 2);
			contract_await_reports(items, 2);
			contract_check_reports(items, 2);
			contract_check_confirmed(items, 1);
			free(items);
		}
	}
	contract_stop(&rig);
	kafka_peer_delete(&cluster, "hb.late");
}

/* One message is too large for its topic, and with it every batch it is in;
 * nobody else suffers. */
static void
topic_limit_hits_one_message(void **state)
{
	enum { COUNT = 60, GUILTY = 30 };
	static char value[50000];
	struct contract_peer small = solo_peer;
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	kafka_peer_delete(&cluster, "hb.small");
	kafka_peer_create(
	    &cluster, "hb.small", 1, "max.message.bytes", "20000");
	memset(value, '7', sizeof(value));
	small.dests[0] = "hb.small";
	set_property("linger.ms", "200"); /* one batch */
	contract_open(&rig, &small);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_items(&rig, COUNT);
	items[GUILTY].delivery.msg.value = hb_span_make(value, sizeof(value));
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	assert_int_equal(items[GUILTY].delivery.report, HB_REPORT_REFUSED);
	assert_string_equal(items[GUILTY].delivery.why.reason, "too-large");
	assert_int_equal(
	    count_reports(items, COUNT, HB_REPORT_CONFIRMED), COUNT - 1);
	contract_stop(&rig);
	reset_properties();
	free(items);
	kafka_peer_delete(&cluster, "hb.small");
}

/* What stderr has been given since it was turned to the file, which is read by
 * an offset of its own. */
static bool
was_logged(FILE *file, const char *word, const char *other)
{
	char path[64], line[1024];
	bool was = false;
	FILE *again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(file));
	again = fopen(path, "r");
	assert_non_null(again);
	while (!was && fgets(line, sizeof(line), again) != NULL)
		was = strstr(line, word) != NULL && strstr(line, other) != NULL;
	fclose(again);
	return was;
}

/* A topic that is less safe, or takes less, than one might think is told of
 * when it is found. */
static void
weak_topics_are_told_of(void **state)
{
	static const char *const reasons[] = {
	    "min.insync.replicas is 1", "max.message.bytes is 20000"};
	struct contract_peer weak = solo_peer;
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct contract_rig rig;

	(void)state;
	kafka_peer_create(&cluster, "hb.weak", 1, "max.message.bytes", "20000");
	weak.dests[0] = "hb.weak";
	dup2(fileno(file), STDERR_FILENO);
	contract_open(&rig, &weak);
	contract_run(&rig);
	for (size_t i = 0; i < HB_COUNT(reasons); i++) {
		uint64_t since_ms = hb_clock_mono_ms();

		while (!was_logged(file, "destination.weak", reasons[i]) &&
		       contract_wait(since_ms))
			;
	}
	contract_stop(&rig);
	dup2(saved, STDERR_FILENO);
	close(saved);
	for (size_t i = 0; i < HB_COUNT(reasons); i++)
		assert_true(was_logged(file, "destination.weak", reasons[i]));
	fclose(file);
	kafka_peer_delete(&cluster, "hb.weak");
}

/* A cluster that hangs: what times out may be there; the sink goes down. */
static void
hanging_cluster_is_down(void **state)
{
	enum { COUNT = 20 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	kafka_mock_pause(&cluster);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_true(contract_await_health(&rig, HB_DOWN));
	kafka_mock_resume(&cluster);
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

/* An outage is noticed and its end too, both within seconds. */
static void
outage_is_short(void **state)
{
	struct contract_rig rig;
	uint64_t since_ms;

	(void)state;
	start_solo(&rig);
	for (int round = 0; round < 2; round++) {
		kafka_mock_tell(&cluster, "down");
		since_ms = hb_clock_mono_ms();
		assert_true(contract_await_health(&rig, HB_DOWN));
		assert_true(hb_clock_mono_ms() - since_ms < 4000);
		kafka_mock_tell(&cluster, "up");
		since_ms = hb_clock_mono_ms();
		assert_true(contract_await_health(&rig, HB_UP));
		assert_true(hb_clock_mono_ms() - since_ms < 4000);
		contract_send_until_confirmed(&rig);
	}
	contract_stop(&rig);
}

/* A broker that does not answer when it is asked: what the linker is told to
 * put between the watch and rd_kafka_metadata(). */
static struct {
	_Atomic bool is_deaf;
	_Atomic bool with_traffic; /* others confirm meanwhile */
	_Atomic unsigned asked, confirmed;
} deafness;

rd_kafka_resp_err_t __real_rd_kafka_metadata(rd_kafka_t *rk, int all,
    rd_kafka_topic_t *only, const struct rd_kafka_metadata **found,
    int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_metadata(rd_kafka_t *rk, int all,
    rd_kafka_topic_t *only, const struct rd_kafka_metadata **found,
    int timeout_ms);

rd_kafka_resp_err_t
__wrap_rd_kafka_metadata(rd_kafka_t *rk, int all, rd_kafka_topic_t *only,
    const struct rd_kafka_metadata **found, int timeout_ms)
{
	unsigned before = atomic_load(&deafness.confirmed);
	uint64_t since_ms = hb_clock_mono_ms();

	if (!atomic_load(&deafness.is_deaf))
		return __real_rd_kafka_metadata(
		    rk, all, only, found, timeout_ms);
	/* The second one was sent after we were asked. */
	while (atomic_load(&deafness.with_traffic) &&
	       atomic_load(&deafness.confirmed) < before + 2)
		if (!contract_wait(since_ms))
			break;
	atomic_fetch_add(&deafness.asked, 1);
	return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* One broker of several hangs, and is the one that is asked: as long as others
 * confirm, the sink is up. */
static void
one_hanging_broker_is_not_all(void **state)
{
	struct contract_rig rig;

	(void)state;
	start_solo(&rig);
	atomic_store(&deafness.with_traffic, true);
	atomic_store(&deafness.is_deaf, true);
	while (atomic_load(&deafness.asked) < 3) {
		struct contract_item *item = contract_items(&rig, 1);

		hb_kafka_watch_ring((struct hb_kafka *)rig.sink);
		contract_send(item, 1);
		contract_await_reports(item, 1);
		contract_check_confirmed(item, 1);
		free(item);
		atomic_fetch_add(&deafness.confirmed, 1);
		assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_UP);
	}
	atomic_store(&deafness.with_traffic, false);
	hb_kafka_watch_ring((struct hb_kafka *)rig.sink);
	assert_true(contract_await_health(&rig, HB_DOWN));
	atomic_store(&deafness.is_deaf, false);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_stop(&rig);
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
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	kafka = (struct hb_kafka *)rig.sink;
	contract_send_until_confirmed(&rig);
	for (int round = 0; round < 2; round++) {
		rd_kafka_t *rk = hb_kafka_hold(&kafka->main);

		assert_non_null(rk);
		items = contract_items(&rig, COUNT);
		contract_send(items, COUNT / 2);
		rd_kafka_test_fatal_error(rk,
		    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
		hb_kafka_release(&kafka->main);
		contract_send(items + COUNT / 2, COUNT / 2);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_true(contract_await_health(&rig, HB_DOWN));
		assert_true(contract_await_health(&rig, HB_UP));
		contract_send_until_confirmed(&rig);
		free(items);
	}
	contract_stop(&rig);
	reset_properties();
}

/* Nothing has to be sent for it. */
static void
idle_fatal_producer_is_replaced(void **state)
{
	struct contract_rig rig;
	struct hb_kafka *kafka;
	rd_kafka_t *rk;

	(void)state;
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	kafka = (struct hb_kafka *)rig.sink;
	rk = hb_kafka_hold(&kafka->main);
	rd_kafka_test_fatal_error(
	    rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
	hb_kafka_release(&kafka->main);
	assert_true(contract_await_health(&rig, HB_DOWN));
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	reset_properties();
}

/* A sender that librdkafka keeps a little longer: what the linker is told to
 * put between the sink and rd_kafka_producev(). */
static struct {
	_Atomic bool wanted;
	struct hb_kafka *kafka;
	bool is_gone; /* the producer, while the sender was in it */
} lingering;

rd_kafka_resp_err_t __real_rd_kafka_producev(rd_kafka_t *rk, ...);
rd_kafka_resp_err_t __wrap_rd_kafka_producev(rd_kafka_t *rk, ...);

static bool
is_lane(struct hb_kafka_lane *lane, rd_kafka_t *rk, uint64_t most_outstanding)
{
	bool is;

	pthread_mutex_lock(&lane->kafka->lock);
	is = lane->rk == rk && lane->outstanding <= most_outstanding;
	pthread_mutex_unlock(&lane->kafka->lock);
	return is;
}

/* The message is reported and the watch wants another producer. */
static void
linger(rd_kafka_t *rk)
{
	struct hb_kafka_lane *lane = &lingering.kafka->main;
	uint64_t since_ms = hb_clock_mono_ms();

	rd_kafka_test_fatal_error(
	    rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
	while (is_lane(lane, rk, UINT64_MAX) && !is_lane(lane, rk, 0))
		if (!contract_wait(since_ms))
			break;
	/* Nothing may happen now. */
	since_ms = hb_clock_mono_ms();
	while (!lingering.is_gone && hb_clock_mono_ms() - since_ms < 500) {
		lingering.is_gone = !is_lane(lane, rk, 0);
		usleep(1000);
	}
}

/* The arguments as the sink gives them. */
rd_kafka_resp_err_t
__wrap_rd_kafka_producev(rd_kafka_t *rk, ...)
{
	rd_kafka_topic_t *topic;
	rd_kafka_headers_t *headers;
	void *value, *opaque;
	const void *key;
	size_t value_len, key_len;
	rd_kafka_resp_err_t code;
	int flags;
	va_list args;

	va_start(args, rk);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_RKT);
	topic = va_arg(args, rd_kafka_topic_t *);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_MSGFLAGS);
	flags = va_arg(args, int);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_VALUE);
	value = va_arg(args, void *);
	value_len = va_arg(args, size_t);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_KEY);
	key = va_arg(args, const void *);
	key_len = va_arg(args, size_t);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_HEADERS);
	headers = va_arg(args, rd_kafka_headers_t *);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_OPAQUE);
	opaque = va_arg(args, void *);
	va_end(args);
	code = __real_rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic),
	    RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_VALUE(value, value_len),
	    RD_KAFKA_V_KEY(key, key_len), RD_KAFKA_V_HEADERS(headers),
	    RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
	if (atomic_exchange(&lingering.wanted, false))
		linger(rk);
	return code;
}

/* The producer is not destroyed under a sender that is still in it. */
static void
senders_keep_the_producer(void **state)
{
	struct contract_rig rig;
	struct contract_item *items, *item;

	(void)state;
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	/* The second one's home is not the loop that takes the reports. */
	items = contract_items(&rig, 2);
	item = &items[1];
	lingering.kafka = (struct hb_kafka *)rig.sink;
	atomic_store(&lingering.wanted, true);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_reports(item, 1);
	assert_false(lingering.is_gone);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	reset_properties();
	free(items);
}

/* What the simulated cluster does not do needs HB_KAFKA_BROKERS, and what a
 * real one does not do on request needs the simulated one. */
int
main(void)
{
	const struct CMUnitTest anywhere[] = {
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(brokers_are_checked),
	    cmocka_unit_test(properties_are_checked),
	    cmocka_unit_test(exposure_is_warned_of),
	    cmocka_unit_test(settings_reach_librdkafka),
	    cmocka_unit_test(refuses_what_never_works),
	    HB_SINK_CONTRACT(&peer),
	    cmocka_unit_test(keys_choose_partitions),
	    cmocka_unit_test(empty_value_is_no_tombstone),
	    cmocka_unit_test(what_fits_is_taken),
	    cmocka_unit_test(too_large_is_refused),
	    cmocka_unit_test(one_hanging_broker_is_not_all),
	    cmocka_unit_test(fatal_producer_is_replaced),
	    cmocka_unit_test(idle_fatal_producer_is_replaced),
	    cmocka_unit_test(senders_keep_the_producer),
	};
	const struct CMUnitTest simulated[] = {
	    cmocka_unit_test(answers_are_understood),
	    cmocka_unit_test(refused_batch_is_taken_apart),
	    cmocka_unit_test(drain_empties_the_solo_lane),
	    cmocka_unit_test(unknown_topic_is_down_alone),
	    cmocka_unit_test(hanging_cluster_is_down),
	    cmocka_unit_test(repeated_timeouts_are_down),
	    cmocka_unit_test(full_queue_is_reported),
	    cmocka_unit_test(outage_is_short),
	};
	const struct CMUnitTest real[] = {
	    cmocka_unit_test(topic_comes_and_goes),
	    cmocka_unit_test(topic_limit_hits_one_message),
	    cmocka_unit_test(weak_topics_are_told_of),
	};
	struct CMUnitTest tests[HB_COUNT(anywhere) + HB_COUNT(simulated)];
	size_t more = HB_COUNT(simulated);
	int failures;

	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	kafka_peer_open(&cluster);
	memcpy(tests, anywhere, sizeof(anywhere));
	memcpy(tests + HB_COUNT(anywhere), simulated, sizeof(simulated));
	if (cluster.mock == 0) {
		peer.down = peer.up = NULL;
		memcpy(tests + HB_COUNT(anywhere), real, sizeof(real));
		more = HB_COUNT(real);
	}
	broker_list[0] = cluster.brokers;
	failures = _cmocka_run_group_tests(
	    "tests", tests, HB_COUNT(anywhere) + more, NULL, NULL);
	kafka_peer_close(&cluster);
	return failures;
}
