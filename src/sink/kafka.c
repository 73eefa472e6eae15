/* SPDX-License-Identifier: Apache-2.0 */
/* kafka.c - events become messages of Kafka topics
 *
 * One librdkafka producer serves all destinations of the sink and all workers:
 * the main lane's.
 *
 *   send (any worker) ─► queue ─► produce ─► … broker … ─► librdkafka's thread
 *                          │  ▲      │                        │  │
 *                          │  └──────────── the next batch ───┘  │
 *                          └─ not accepted, refused at once ──┴──┴─► report
 *
 * Values are not copied: the message is the event's until its report. Keys and
 * headers are copied by librdkafka. Everything is confirmed by all in-sync
 * replicas or not at all; what times out is reported before the ack deadline
 * and may be there all the same (HB_REPORT_UNKNOWN).
 *
 * When the broker refuses a batch for what is in it, its messages go a second
 * way, one by one: the solo lane. What is kept on disk goes by a third, the
 * patient lane, so that a backlog neither delays what is waited for nor is
 * limited to its time; from one thread it goes to librdkafka in the order sent,
 * without our queues. Both have producers of their own (kafka_lazy.c).
 *
 * The sink begins down and is let up by the first metadata (kafka_watch.c). */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "kafka.h"

/* What drain may take beyond its timeout: purged messages are only to be
 * handed over. */
#define HAND_OVER_MS 5000

/* What a message of format 2 costs beyond its bytes, at most: the batch's
 * head, then lengths, offset and time stamp of the record; for each header
 * two lengths. */
#define BATCH_OVERHEAD 61
#define RECORD_OVERHEAD 36
#define HEADER_OVERHEAD 10

/* --- settings ------------------------------------------------------------- */

static const struct hb_key keys[] = {
    {.name = "brokers",
	.type = HB_KEY_STRINGS,
	.offset = offsetof(struct hb_kafka_conf, brokers),
	.flags = HB_KEY_REQUIRED,
	.help = "host:port of some brokers; they name the others"},
    {.name = "properties",
	.type = HB_KEY_PAIRS,
	.offset = offsetof(struct hb_kafka_conf, properties),
	.help = "librdkafka's own settings, but those that delivery relies on"},
    {.name = "ordered",
	.type = HB_KEY_BOOL,
	.offset = offsetof(struct hb_kafka_conf, ordered),
	.def = "false",
	.help = "each topic's events one by one, in the order received"},
    {.name = NULL},
};

/* What Kafka takes as a topic's name. */
static bool
valid_name(struct hb_span name)
{
	if (name.len < 1 || name.len > 249 || hb_span_eq(name, HB_SPAN(".")) ||
	    hb_span_eq(name, HB_SPAN("..")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

/* --- sending -------------------------------------------------------------- */

/* What is waited for goes by its partition's queue, unless the operator prefers
 * librdkafka's waiting for more (linger.ms), which knows no order. */
static void
kafka_send(struct hb_sink *sink, struct hb_delivery *delivery)
{
	struct hb_kafka *kafka = (struct hb_kafka *)sink;
	struct hb_kafka_topic *topic =
	    kafka->by_dest[delivery->msg.dest->index];

	if (delivery->patient)
		hb_kafka_lazy_send(&kafka->patient, delivery);
	else if (!kafka->limits.lingers || kafka->is_ordered)
		hb_kafka_turn_send(topic, delivery);
	else if (hb_kafka_enter(&kafka->main))
		hb_kafka_produce_freely(&kafka->main, delivery);
	else
		hb_kafka_report_not_now(topic, delivery);
}

size_t
hb_kafka_message_size(const struct hb_message *msg)
{
	size_t size =
	    BATCH_OVERHEAD + RECORD_OVERHEAD + msg->key.len + msg->value.len;

	for (size_t i = 0; i < msg->header_count; i++)
		size += HEADER_OVERHEAD + msg->headers[i].name.len +
			msg->headers[i].value.len;
	return size;
}

/* What librdkafka would refuse for its size, and a little more. */
static bool
fits_into(size_t message_max, const struct hb_message *msg,
    struct hb_error *err)
{
	size_t size = hb_kafka_message_size(msg);

	if (size <= message_max)
		return true;
	return hb_fail_reason(err, HB_E_DEAD, "too-large",
	    "kafka topic %s: %zu bytes, message.max.bytes is %zu",
	    msg->dest->name, size, message_max);
}

static bool
kafka_fits(const struct hb_sink *sink, const struct hb_message *msg,
    struct hb_error *err)
{
	return fits_into(
	    ((const struct hb_kafka *)sink)->limits.message_max, msg, err);
}

/* A configuration that librdkafka refuses takes nothing at all. */
static bool
kafka_would_fit(const struct hb_sink_conf *conf, const struct hb_config *cfg,
    const struct hb_message *msg, struct hb_error *err)
{
	rd_kafka_conf_t *rk_conf =
	    hb_kafka_conf_new(HB_KAFKA_MAIN, conf->conf, cfg, err);
	struct hb_kafka_limits limits;

	if (rk_conf == NULL)
		return false;
	hb_kafka_conf_limits(rk_conf, &limits);
	rd_kafka_conf_destroy(rk_conf);
	return fits_into(limits.message_max, msg, err);
}

static bool
kafka_is_ordered(const struct hb_sink_conf *conf)
{
	return ((const struct hb_kafka_conf *)conf->conf)->ordered;
}

/* --- opening and closing -------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
	const struct hb_kafka_topic *one = a, *other = b;

	return strcmp(one->dest->name, other->dest->name);
}

/* The destinations of this sink, by name for the watch, by index for send. */
static void
make_topics(struct hb_kafka *kafka, const struct hb_config *cfg)
{
	kafka->topics = hb_xcalloc(cfg->dest_count, sizeof(*kafka->topics));
	kafka->by_dest = hb_xcalloc(cfg->dest_count, sizeof(*kafka->by_dest));
	for (size_t i = 0; i < cfg->dest_count; i++) {
		if (cfg->dests[i]->sink != kafka->sink.conf)
			continue;
		kafka->topics[kafka->topic_count++] = (struct hb_kafka_topic){
		    .kafka = kafka, .dest = cfg->dests[i], .is_missing = true};
	}
	qsort(
	    kafka->topics, kafka->topic_count, sizeof(*kafka->topics), by_name);
	for (size_t i = 0; i < kafka->topic_count; i++)
		kafka->by_dest[kafka->topics[i].dest->index] =
		    &kafka->topics[i];
}

static void
init_lock(struct hb_kafka *kafka)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&kafka->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&kafka->idle, &attr);
	pthread_condattr_destroy(&attr);
}

/* Gives back what open made; the watch has stopped or never was. */
static void
release(struct hb_kafka *kafka)
{
	hb_kafka_lane_close(&kafka->main);
	hb_kafka_lane_close(&kafka->patient);
	hb_kafka_lane_close(&kafka->solo);
	hb_kafka_reader_quit(kafka);
	hb_kafka_turns_close(kafka);
	if (kafka->wake_fd >= 0)
		close(kafka->wake_fd);
	pthread_cond_destroy(&kafka->idle);
	pthread_mutex_destroy(&kafka->lock);
	for (size_t i = 0; i < kafka->topic_count; i++)
		hb_kafka_partitions_free(&kafka->topics[i]);
	free(kafka->topics);
	free(kafka->by_dest);
	hb_sink_fini(&kafka->sink);
	free(kafka);
}

static void
init_lanes(struct hb_kafka *kafka)
{
	hb_kafka_lane_init(&kafka->main, kafka, HB_KAFKA_MAIN);
	hb_kafka_lane_init(&kafka->patient, kafka, HB_KAFKA_PATIENT);
	hb_kafka_lazy_init(&kafka->patient);
	hb_kafka_lane_init(&kafka->solo, kafka, HB_KAFKA_SOLO);
	hb_kafka_lazy_init(&kafka->solo);
}

/* A worker's: several Kafka sinks are read by different ones. The last loop is
 * the replay's, which reads the disk. */
static struct hb_loop *
choose_reader(const struct hb_sink_conf *conf, const struct hb_sink_env *env)
{
	size_t workers = env->loop_count > 1 ? env->loop_count - 1 : 1;

	return env->loops[conf->index % workers];
}

static struct hb_sink *
kafka_open(const struct hb_sink_conf *conf, const struct hb_sink_env *env,
    struct hb_error *err)
{
	struct hb_kafka *kafka = hb_xcalloc(1, sizeof(*kafka));

	hb_sink_init(&kafka->sink, &hb_sink_kafka, conf, env, HB_DOWN);
	kafka->reader = choose_reader(conf, env);
	kafka->is_ordered = kafka_is_ordered(conf);
	atomic_flag_clear(&kafka->is_rung);
	init_lock(kafka);
	init_lanes(kafka);
	make_topics(kafka, env->cfg);
	hb_kafka_turns_open(kafka, env->loops, env->loop_count);
	kafka->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kafka->wake_fd < 0)
		hb_fail(err, HB_E_RESOURCE, "eventfd: %s", strerror(errno));
	else if (hb_kafka_lane_open(&kafka->main, err) &&
		 hb_kafka_watch_start(kafka, err)) {
		hb_kafka_reader_join(kafka);
		return &kafka->sink;
	}
	release(kafka);
	return NULL;
}

static unsigned
ms_until(uint64_t due_ms)
{
	uint64_t now_ms = hb_clock_mono_ms();

	return now_ms < due_ms ? (unsigned)(due_ms - now_ms) : 0;
}

/* Waits for what can be delivered in time: what waits goes as reports come, and
 * librdkafka lingers no more. */
static void
flush(struct hb_kafka_lane *lane, uint64_t due_ms)
{
	rd_kafka_t *rk = hb_kafka_hold(lane);

	if (rk == NULL)
		return;
	rd_kafka_flush(rk, (int)ms_until(due_ms));
	hb_kafka_lane_await(lane, ms_until(due_ms));
	hb_kafka_release(lane);
}

/* First what can be delivered in time is, then the rest is given back: the solo
 * lane's last, because the others' may come to it yet. */
static void
kafka_drain(struct hb_sink *sink, unsigned timeout_ms)
{
	struct hb_kafka *kafka = (struct hb_kafka *)sink;
	uint64_t due_ms = hb_clock_mono_ms() + timeout_ms;

	atomic_store(&kafka->closing, true);
	flush(&kafka->main, due_ms);
	flush(&kafka->patient, due_ms);
	flush(&kafka->solo, due_ms);
	if (!hb_kafka_lane_empty(&kafka->main, HAND_OVER_MS) ||
	    !hb_kafka_lane_empty(&kafka->patient, HAND_OVER_MS) ||
	    !hb_kafka_lane_empty(&kafka->solo, HAND_OVER_MS))
		hb_bug("sink %s: no reports for purged messages",
		    sink->conf->name);
}

static void
kafka_close(struct hb_sink *sink)
{
	struct hb_kafka *kafka = (struct hb_kafka *)sink;

	atomic_store(&kafka->closing, true);
	hb_kafka_watch_stop(kafka);
	release(kafka);
}

const struct hb_sink_ops hb_sink_kafka = {
    .type = {.name = "kafka",
	.keys = keys,
	.conf_size = sizeof(struct hb_kafka_conf),
	.dest_key = "topic",
	.dest_list_key = "topics",
	.check = hb_kafka_conf_check,
	.valid_name = valid_name,
	.public_properties = hb_kafka_public_properties},
    .open = kafka_open,
    .send = kafka_send,
    .fits = kafka_fits,
    .would_fit = kafka_would_fit,
    .is_ordered = kafka_is_ordered,
    .drain = kafka_drain,
    .close = kafka_close,
};
