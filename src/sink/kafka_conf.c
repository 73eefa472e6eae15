/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_conf.c - what librdkafka is told, by us and by the operator
 *
 * Three layers, later ones win: our defaults, the operator's `properties`,
 * and what delivery relies on, which properties may not name (the table of
 * refused names says why for each).
 *
 * Each lane's producer differs a little:
 *
 *   main      message.timeout.ms stays below the ack deadline because messages
 *             may wait in our queue before it counts, and because librdkafka
 *             looks for expired messages once a second: what times out is
 *             reported before we answer. The queue limits follow the byte
 *             budget, so that the budget is what refuses events, not the queue.
 *   patient   nobody waits for an answer, and what is sent again may arrive
 *             twice: it is given a minute. Who sends there bounds how much.
 *   solo      one message in a batch, whatever the operator says
 *
 * `ordered` means one message in a batch and one batch under way, everywhere,
 * so that what a broker refuses is that message. The order itself rests on who
 * sends, and sends nothing before its predecessor is confirmed: librdkafka puts
 * the next batch together while one is under way, and when that fails the next
 * one goes first. */
#include <arpa/inet.h>
#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "kafka.h"

/* How long after message.timeout.ms a report may come, with some to spare: by
 * what the message waited before, and by librdkafka's second. */
#define REPORT_LAG_MS (HB_KAFKA_WAIT_MAX_MS + 1200)
#define MESSAGE_TIMEOUT_MIN_MS 500
#define PATIENT_TIMEOUT_MS 60000
/* A broker that has not answered for so long is asked no more. */
#define PATIENT_ANSWER_MS 10000
/* No event costs less of the budget (hb_message_cost()). */
#define MESSAGE_COST_MIN 512
/* The first version of librdkafka whose idempotent producer does not go fatal
 * after an ordinary disconnect (issues 4438 and 4736 of its tracker). */
#define IDEMPOTENCE_SINCE 0x020503ff

/* What a dump shows; of all others it shows the length. */
const char *const hb_kafka_public_properties[] = {
    "allow.auto.create.topics", "api.version.request",
    "batch.num.messages", "batch.size", "broker.address.family",
    "broker.address.ttl", "client.id", "client.rack", "compression.codec",
    "compression.level", "compression.type", "connections.max.idle.ms",
    "enable.idempotence", "linger.ms", "max.in.flight",
    "max.in.flight.requests.per.connection", "message.max.bytes",
    "message.send.max.retries", "metadata.max.age.ms", "partitioner",
    "receive.message.max.bytes", "reconnect.backoff.max.ms",
    "reconnect.backoff.ms", "request.timeout.ms", "retries", "retry.backoff.ms",
    "sasl.mechanism", "sasl.mechanisms", "sasl.username", "security.protocol",
    "socket.connection.setup.timeout.ms", "socket.keepalive.enable",
    "socket.nagle.disable", "socket.timeout.ms", "ssl.ca.location",
    "ssl.certificate.location", "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm", "ssl.key.location",
    "sticky.partitioning.linger.ms", "topic.metadata.refresh.interval.ms",
    NULL};

/* --- checking what the operator wrote ------------------------------------- */

/* Names are shell patterns. */
static const struct {
	const char *name, *why;
} refused[] = {
    {"acks", "confirmed means all in-sync replicas; how many those must be "
	     "is the topic's min.insync.replicas"},
    {"request.required.acks", "confirmed means all in-sync replicas"},
    {"message.timeout.ms", "it follows from delivery.ack_timeout"},
    {"delivery.timeout.ms", "it follows from delivery.ack_timeout"},
    {"transactional.id", "transactions are not supported"},
    {"bootstrap.servers", "list them under brokers"},
    {"metadata.broker.list", "list them under brokers"},
    {"delivery.report.only.error", "every delivery needs its report"},
    {"enable.gapless.guarantee", "one lost message would stop the sink"},
    {"queue.buffering.max.ms", "call it linger.ms"},
    {"queue.buffering.*", "the queue's limits follow from memory"},
    {"log.queue", "log lines are taken from librdkafka's queue"},
    {"statistics.interval.ms", "statistics are not read"},
    {"test.*", "it replaces the brokers by simulated ones"},
    {"plugin.library.paths", "it loads foreign code"},
    {"ssl.engine.*", "it loads foreign code"},
    {"sasl.kerberos.kinit.cmd", "it runs a shell"},
    {"*_cb", "callbacks cannot be configured"},
    {"debug", "it may write secrets to the log"},
};

/* Properties whose values never stand in the file itself. */
static const char *const secret[] = {"*password*", "*passphrase*", "*secret*",
    "*.key.pem", "sasl.oauthbearer.config", "sasl.jaas.config"};

typedef void complain_fn(void *arg, const char *key, const char *fmt, ...)
    HB_PRINTF(3, 4);

static const char *
why_refused(const char *name)
{
	for (size_t i = 0; i < HB_COUNT(refused); i++)
		if (fnmatch(refused[i].name, name, 0) == 0)
			return refused[i].why;
	return NULL;
}

static bool
is_secret(const char *name)
{
	for (size_t i = 0; i < HB_COUNT(secret); i++)
		if (fnmatch(secret[i], name, 0) == 0)
			return true;
	return false;
}

/* The known name that was probably meant, in out, or an empty text. */
static void
find_near(const char *word, char out[128])
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct hb_near near;
	size_t count;
	const char **known = rd_kafka_conf_dump(conf, &count);

	hb_near_init(&near, word);
	/* The dump has no aliases, such as linger.ms. */
	for (size_t i = 0; hb_kafka_public_properties[i] != NULL; i++)
		hb_near_offer(&near, hb_kafka_public_properties[i]);
	/* Names and values in turn. */
	for (size_t i = 0; i < count; i += 2)
		if (why_refused(known[i]) == NULL)
			hb_near_offer(&near, known[i]);
	snprintf(out, 128, "%s", near.best != NULL ? near.best : "");
	rd_kafka_conf_dump_free(known, count);
	rd_kafka_conf_destroy(conf);
}

static void
try_property(const struct hb_pair *pair, const char *key,
    rd_kafka_conf_t *scratch, complain_fn *complain, void *arg)
{
	char text[256], near[128];
	rd_kafka_conf_res_t result = rd_kafka_conf_set(
	    scratch, pair->name, pair->value, text, sizeof(text));

	if (result == RD_KAFKA_CONF_UNKNOWN) {
		find_near(pair->name, near);
		complain(arg, key,
		    near[0] != '\0'
			? "No such configuration property: \"%s\"\n"
			  "did you mean \"%s\"?"
			: "No such configuration property: \"%s\"",
		    pair->name, near);
	} else if (result != RD_KAFKA_CONF_OK) {
		/* The text repeats the value, which may be a secret. */
		complain(arg, key, "%s",
		    pair->secret ? "librdkafka refuses the value" : text);
	}
}

/* What `ordered` says already. */
static const struct hb_pair one_by_one[] = {
    {"max.in.flight.requests.per.connection", "1", false},
    {"max.in.flight", "1", false},
    {"batch.num.messages", "1", false},
};

static bool
is_said_by_ordered(const char *name)
{
	for (size_t i = 0; i < HB_COUNT(one_by_one); i++)
		if (strcmp(one_by_one[i].name, name) == 0)
			return true;
	return false;
}

static void
check_property(const struct hb_kafka_conf *conf, const struct hb_pair *pair,
    rd_kafka_conf_t *scratch, complain_fn *complain, void *arg)
{
	const char *why = why_refused(pair->name);
	char key[160];

	if (conf->ordered && is_said_by_ordered(pair->name))
		why = "with ordered it is 1";
	snprintf(key, sizeof(key), "properties.%s", pair->name);
	if (why != NULL)
		complain(arg, key, "%s cannot be set: %s", pair->name, why);
	else if (is_secret(pair->name) && !pair->secret)
		complain(arg, key,
		    "%s is a secret: give it as \"file:PATH\" or \"env:NAME\"",
		    pair->name);
	else
		try_property(pair, key, scratch, complain, arg);
}

/* A host name, an IPv4 address, or an IPv6 address in brackets, and a port. */
static bool
is_broker(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
	char v6[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	char *end;
	long port;

	if (host_len == 0 || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > 65535)
		return false;
	if (text[0] == '[') {
		snprintf(v6, sizeof(v6), "%.*s", (int)host_len - 2, text + 1);
		return host_len > 2 && host_len - 2 < sizeof(v6) &&
		       text[host_len - 1] == ']' &&
		       inet_pton(AF_INET6, v6, &addr) == 1;
	}
	return strspn(text,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		   "0123456789.-_") == host_len;
}

static bool
is_set_to(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[128];
	size_t size = sizeof(text);

	return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK &&
	       strcasecmp(text, value) == 0;
}

/* What works and yet is probably not what one wants. conf holds what the
 * operator wrote, however it was spelled. */
static void
warn_of_exposure(const rd_kafka_conf_t *conf, complain_fn *complain, void *arg)
{
	if (is_set_to(conf, "security.protocol", "sasl_plaintext") &&
	    is_set_to(conf, "sasl.mechanism", "PLAIN"))
		complain(arg, "properties.security.protocol",
		    "warning: the password goes over the network in clear "
		    "text\nuse sasl_ssl");
	if (is_set_to(conf, "enable.ssl.certificate.verification", "false"))
		complain(arg, "properties.enable.ssl.certificate.verification",
		    "warning: anyone on the network can pose as the broker");
	if (is_set_to(conf, "ssl.endpoint.identification.algorithm", "none"))
		complain(arg,
		    "properties.ssl.endpoint.identification.algorithm",
		    "warning: any certificate of the CA can pose as the "
		    "broker");
}

void
hb_kafka_conf_check(
    const struct hb_sink_conf *sink, complain_fn *complain, void *arg)
{
	const struct hb_kafka_conf *conf = sink->conf;
	rd_kafka_conf_t *scratch = rd_kafka_conf_new();
	char key[32];

	if (conf->brokers.count == 0)
		complain(arg, "brokers",
		    "expected at least one host:port, got none");
	for (size_t i = 0; i < conf->brokers.count; i++) {
		snprintf(key, sizeof(key), "brokers[%zu]", i);
		if (!is_broker(conf->brokers.items[i]))
			complain(arg, key,
			    "expected host:port, got \"%s\"\n%s",
			    conf->brokers.items[i],
			    strchr(conf->brokers.items[i], ':') == NULL
				? "a port is missing: \"kafka1:9092\""
				: "such as \"kafka1:9092\" or \"[::1]:9092\"");
	}
	for (size_t i = 0; i < conf->properties.count; i++)
		check_property(conf, &conf->properties.items[i], scratch,
		    complain, arg);
	warn_of_exposure(scratch, complain, arg);
	rd_kafka_conf_destroy(scratch);
}

/* --- making a producer's configuration ------------------------------------ */

static const struct hb_pair defaults[] = {
    {"client.id", "hookbridge", false},
    /* A topic that is missing is a mistake of somebody's. */
    {"allow.auto.create.topics", "false", false},
    {"socket.nagle.disable", "true", false},
    {"socket.keepalive.enable", "true", false},
    {"socket.connection.setup.timeout.ms", "5000", false},
    {"reconnect.backoff.ms", "50", false},
    {"reconnect.backoff.max.ms", "1000", false},
    {"topic.metadata.refresh.interval.ms", "60000", false},
    {"receive.message.max.bytes", "4194304", false},
    /* The Java clients' choice: a key has one partition for all producers. */
    {"partitioner", "murmur2_random", false},
};

static const struct hb_pair musts[] = {
    {"acks", "all", false},
    {"log.queue", "true", false},
};

static bool
set(rd_kafka_conf_t *rk_conf, const char *name, const char *value,
    struct hb_error *err)
{
	char text[200];

	if (rd_kafka_conf_set(rk_conf, name, value, text, sizeof(text)) ==
	    RD_KAFKA_CONF_OK)
		return true;
	return hb_fail(err, HB_E_CONFIG, "%s", text);
}

static bool
set_all(rd_kafka_conf_t *rk_conf, const struct hb_pair *pairs, size_t count,
    struct hb_error *err)
{
	for (size_t i = 0; i < count; i++)
		if (!set(rk_conf, pairs[i].name, pairs[i].value, err))
			return false;
	return true;
}

static bool
set_number(rd_kafka_conf_t *rk_conf, const char *name, uint64_t value,
    uint64_t min, uint64_t max, struct hb_error *err)
{
	char text[24];

	if (value < min)
		value = min;
	if (value > max)
		value = max;
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return set(rk_conf, name, text, err);
}

static uint64_t
message_timeout_ms(const struct hb_config *cfg)
{
	uint64_t ack_ms = cfg->delivery.ack_timeout_ms;

	return ack_ms > REPORT_LAG_MS + MESSAGE_TIMEOUT_MIN_MS
		   ? ack_ms - REPORT_LAG_MS
		   : MESSAGE_TIMEOUT_MIN_MS;
}

/* Messages wait in our own queues, while others are under way; patient ones
 * for each other. */
static bool
set_linger(rd_kafka_conf_t *rk_conf, enum hb_kafka_kind kind,
    const struct hb_kafka_conf *conf, struct hb_error *err)
{
	bool lingers = kind == HB_KAFKA_PATIENT && !conf->ordered;

	return set(rk_conf, "linger.ms", lingers ? "5" : "0", err);
}

/* Our choices, which properties may change. */
static bool
set_defaults(rd_kafka_conf_t *rk_conf, enum hb_kafka_kind kind,
    const struct hb_kafka_conf *conf, const struct hb_config *cfg,
    struct hb_error *err)
{
	/* A broker that does not answer is given up while there is still time
	 * to send the message again. */
	uint64_t socket_ms = kind == HB_KAFKA_PATIENT
				 ? PATIENT_ANSWER_MS
				 : message_timeout_ms(cfg) * 4 / 5;

	return set_all(rk_conf, defaults, HB_COUNT(defaults), err) &&
	       set_linger(rk_conf, kind, conf, err) &&
	       set_number(
		   rk_conf, "socket.timeout.ms", socket_ms, 400, 60000, err) &&
	       set_number(
		   rk_conf, "request.timeout.ms", socket_ms, 400, 60000, err) &&
	       set(rk_conf, "enable.idempotence",
		   rd_kafka_version() >= IDEMPOTENCE_SINCE ? "true" : "false",
		   err);
}

/* For messages that somebody waits for, who pays for them from the budget. */
static bool
set_bounds(
    rd_kafka_conf_t *rk_conf, const struct hb_config *cfg, struct hb_error *err)
{
	return set_number(rk_conf, "message.timeout.ms",
		   message_timeout_ms(cfg), MESSAGE_TIMEOUT_MIN_MS, INT32_MAX,
		   err) &&
	       set_number(rk_conf, "queue.buffering.max.kbytes",
		   cfg->memory / 1024, 1024, INT32_MAX / 1024, err) &&
	       set_number(rk_conf, "queue.buffering.max.messages",
		   cfg->memory / MESSAGE_COST_MIN, 1000, 10 * 1000 * 1000, err);
}

/* As much as librdkafka can be told. */
static bool
set_patient_bounds(rd_kafka_conf_t *rk_conf, struct hb_error *err)
{
	return set_number(rk_conf, "message.timeout.ms", PATIENT_TIMEOUT_MS, 0,
		   INT32_MAX, err) &&
	       set_number(rk_conf, "queue.buffering.max.kbytes", INT32_MAX, 0,
		   INT32_MAX / 1024, err) &&
	       set_number(rk_conf, "queue.buffering.max.messages", INT32_MAX, 0,
		   10 * 1000 * 1000, err);
}

/* Messages that travel alone are few: what they cost does not matter, and a
 * producer that is not idempotent never goes fatal. */
static const struct hb_pair alone[] = {
    {"batch.num.messages", "1", false},
    {"linger.ms", "0", false},
    {"enable.idempotence", "false", false},
};

/* What delivery relies on. */
static bool
set_musts(rd_kafka_conf_t *rk_conf, enum hb_kafka_kind kind,
    const struct hb_kafka_conf *conf, const struct hb_config *cfg,
    struct hb_error *err)
{
	return set_all(rk_conf, musts, HB_COUNT(musts), err) &&
	       (kind == HB_KAFKA_PATIENT ? set_patient_bounds(rk_conf, err)
					 : set_bounds(rk_conf, cfg, err)) &&
	       (kind != HB_KAFKA_SOLO ||
		   set_all(rk_conf, alone, HB_COUNT(alone), err)) &&
	       (!conf->ordered ||
		   set_all(rk_conf, one_by_one, HB_COUNT(one_by_one), err));
}

static bool
set_brokers(rd_kafka_conf_t *rk_conf, const struct hb_strings *brokers,
    struct hb_error *err)
{
	size_t size = 1;
	char *list;
	bool ok;

	for (size_t i = 0; i < brokers->count; i++)
		size += strlen(brokers->items[i]) + 1;
	list = hb_xcalloc(1, size);
	for (size_t i = 0; i < brokers->count; i++) {
		strcat(list, i > 0 ? "," : "");
		strcat(list, brokers->items[i]);
	}
	ok = set(rk_conf, "bootstrap.servers", list, err);
	free(list);
	return ok;
}

/* All settings of a producer; owned by the caller until rd_kafka_new(). */
rd_kafka_conf_t *
hb_kafka_conf_new(enum hb_kafka_kind kind, const struct hb_kafka_conf *conf,
    const struct hb_config *cfg, struct hb_error *err)
{
	rd_kafka_conf_t *rk_conf = rd_kafka_conf_new();

	if (set_defaults(rk_conf, kind, conf, cfg, err) &&
	    set_all(
		rk_conf, conf->properties.items, conf->properties.count, err) &&
	    set_musts(rk_conf, kind, conf, cfg, err) &&
	    set_brokers(rk_conf, &conf->brokers, err)) {
		rd_kafka_conf_set_events(rk_conf, RD_KAFKA_EVENT_ERROR |
						      RD_KAFKA_EVENT_LOG);
		return rk_conf;
	}
	rd_kafka_conf_destroy(rk_conf);
	return NULL;
}

static void
get(const rd_kafka_conf_t *conf, const char *name, char text[32])
{
	size_t size = 32;

	if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
		hb_bug("librdkafka does not know %s", name);
}

static size_t
get_number(const rd_kafka_conf_t *conf, const char *name)
{
	char text[32];

	get(conf, name, text);
	return text[0] == '-' ? 0 : (size_t)strtoull(text, NULL, 10);
}

void
hb_kafka_conf_limits(
    const rd_kafka_conf_t *conf, struct hb_kafka_limits *limits)
{
	char linger[32], partitioner[32];

	get(conf, "linger.ms", linger);
	get(conf, "partitioner", partitioner);
	*limits = (struct hb_kafka_limits){
	    .message_max = get_number(conf, "message.max.bytes"),
	    .batch_size = get_number(conf, "batch.size"),
	    .batch_count = get_number(conf, "batch.num.messages"),
	    .queue_count = get_number(conf, "queue.buffering.max.messages"),
	    .refresh_ms =
		get_number(conf, "topic.metadata.refresh.interval.ms"),
	    .lingers = strtod(linger, NULL) > 0,
	    .partitioner = hb_kafka_partitioner_of(partitioner),
	};
}
