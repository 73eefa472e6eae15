/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_handle.c - the producers, and who may use them
 *
 *   none ──open──► ACCEPTING ──empty──► EMPTYING ──close──► none
 *
 * A lane has at most one producer. Three kinds of threads use it: senders, who
 * enter with a delivery that leaves when it is reported; the reader, who hands
 * over and who drains, who hold it; and the watch, which alone replaces it and
 * needs no hold. Entering is refused but in ACCEPTING. (All lanes but the main
 * one accept before they have a producer: what enters makes the watch open one,
 * see kafka_lazy.c.)
 *
 * A sender holds the lane too, until it is out of librdkafka: its message may
 * be confirmed, and its delivery leave, before rd_kafka_producev() returns.
 *
 * Reports come from librdkafka's own threads, which end before the producer is
 * gone.
 *
 * Invariant, under the lock: the producer is closed only when outstanding and
 * users are 0. */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "hookbridge/clock.h"
#include "kafka.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_THREAD__
#include "kafka_tsan.h"
#endif

/* How often purging is repeated: a sender that entered before may still have
 * been on its way to produce. */
#define PURGE_AGAIN_MS 50

/* --- users ---------------------------------------------------------------- */

void
hb_kafka_lane_init(struct hb_kafka_lane *lane, struct hb_kafka *kafka,
    enum hb_kafka_kind kind)
{
	*lane = (struct hb_kafka_lane){.kafka = kafka, .kind = kind};
}

/* Between hold and release the producer is not closed. */
rd_kafka_t *
hb_kafka_hold(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;
	rd_kafka_t *rk;

	pthread_mutex_lock(&kafka->lock);
	rk = lane->rk;
	if (rk != NULL)
		lane->users++;
	pthread_mutex_unlock(&kafka->lock);
	return rk;
}

void
hb_kafka_release(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;

	pthread_mutex_lock(&kafka->lock);
	if (--lane->users == 0)
		pthread_cond_broadcast(&kafka->idle);
	pthread_mutex_unlock(&kafka->lock);
}

/* Lets a delivery in, and holds the lane for its sender, unless the producer
 * is being emptied or replaced. */
bool
hb_kafka_enter(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;
	bool accepting;

	pthread_mutex_lock(&kafka->lock);
	accepting = lane->accepting;
	if (accepting) {
		lane->outstanding++;
		lane->users++;
	}
	pthread_mutex_unlock(&kafka->lock);
	return accepting;
}

/* After the report of count deliveries, with the lock held. */
void
hb_kafka_leave(struct hb_kafka_lane *lane, uint64_t count)
{
	lane->outstanding -= count;
	if (lane->outstanding == 0)
		pthread_cond_broadcast(&lane->kafka->idle);
}

void
hb_kafka_exit(struct hb_kafka_lane *lane, uint64_t count)
{
	pthread_mutex_lock(&lane->kafka->lock);
	hb_kafka_leave(lane, count);
	pthread_mutex_unlock(&lane->kafka->lock);
}

/* --- producing ------------------------------------------------------------ */

/* When a delivery is sent, by its own loop: what is handed over together should
 * be handed over quickly, because librdkafka begins to send the first of it
 * while it is given the rest. The headers are kept in the delivery. */
void
hb_kafka_pack(struct hb_delivery *delivery)
{
	const struct hb_message *msg = &delivery->msg;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(msg->header_count);

	for (size_t i = 0; i < msg->header_count; i++) {
		const struct hb_header *header = &msg->headers[i];

		rd_kafka_header_add(headers, header->name.ptr,
		    (ssize_t)header->name.len, header->value.ptr,
		    (ssize_t)header->value.len);
	}
	delivery->word[1] = (uintptr_t)headers;
}

static rd_kafka_headers_t *
headers_of(const struct hb_delivery *delivery)
{
	return (rd_kafka_headers_t *)(uintptr_t)delivery->word[1];
}

/* For one that librdkafka has not taken. */
void
hb_kafka_unpack(struct hb_delivery *delivery)
{
	rd_kafka_headers_destroy(headers_of(delivery));
}

static rd_kafka_resp_err_t
produce(struct hb_kafka_lane *lane, const struct hb_kafka_topic *topic,
    struct hb_delivery *delivery, int32_t partition)
{
	const struct hb_message *msg = &delivery->msg;
	/* No bytes are still a value; none at all would be a tombstone. */
	const char *value = msg->value.ptr != NULL ? msg->value.ptr : "";

	return rd_kafka_producev(lane->rk,
	    RD_KAFKA_V_RKT(topic->rkts[lane->kind]),
	    RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(0),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)value, msg->value.len),
	    RD_KAFKA_V_KEY(msg->key.ptr, msg->key.len),
	    RD_KAFKA_V_HEADERS(headers_of(delivery)),
	    RD_KAFKA_V_OPAQUE(delivery), RD_KAFKA_V_END);
}

/* What this thread is producing just now. */
static _Thread_local const struct hb_delivery *being_produced;

bool
hb_kafka_is_being_produced(const struct hb_delivery *delivery)
{
	return delivery == being_produced;
}

/* The sender has entered. Once librdkafka has the message, the delivery may be
 * reported any time and is not looked at again. */
bool
hb_kafka_produce(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    int32_t partition)
{
	const struct hb_kafka_topic *topic =
	    lane->kafka->by_dest[delivery->msg.dest->index];
	rd_kafka_resp_err_t code;

	being_produced = delivery;
	code = produce(lane, topic, delivery, partition);
	being_produced = NULL;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	hb_kafka_unpack(delivery); /* it is ours again */
	hb_kafka_report_unsent(lane, delivery, code);
	return false;
}

/* Without a queue: librdkafka chooses the partition and makes the batches. */
void
hb_kafka_produce_freely(
    struct hb_kafka_lane *lane, struct hb_delivery *delivery)
{
	delivery->word[0] = 0;
	hb_kafka_pack(delivery);
	if (!hb_kafka_produce(lane, delivery, RD_KAFKA_PARTITION_UA))
		hb_kafka_exit(lane, 1);
	hb_kafka_release(lane);
}

/* --- emptying ------------------------------------------------------------- */

static struct timespec
in_ms(unsigned ms)
{
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	due.tv_sec += ms / 1000;
	due.tv_nsec += (long)(ms % 1000) * 1000000;
	if (due.tv_nsec >= 1000000000) {
		due.tv_nsec -= 1000000000;
		due.tv_sec++;
	}
	return due;
}

bool
hb_kafka_lane_await(struct hb_kafka_lane *lane, unsigned timeout_ms)
{
	struct hb_kafka *kafka = lane->kafka;
	struct timespec due = in_ms(timeout_ms);
	bool is_empty;
	int rc = 0;

	pthread_mutex_lock(&kafka->lock);
	while (lane->outstanding > 0 && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&kafka->idle, &kafka->lock, &due);
	is_empty = lane->outstanding == 0;
	pthread_mutex_unlock(&kafka->lock);
	return is_empty;
}

/* What waits is given back by us, what librdkafka has by librdkafka. */
static void
purge(struct hb_kafka_lane *lane)
{
	rd_kafka_t *rk = hb_kafka_hold(lane);

	if (rk == NULL)
		return;
	if (lane->kind == HB_KAFKA_MAIN)
		hb_kafka_queue_give_back(lane->kafka);
	rd_kafka_purge(
	    rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	hb_kafka_release(lane);
}

/* Lets nobody in any more; whoever is in is given back. */
bool
hb_kafka_lane_empty(struct hb_kafka_lane *lane, unsigned timeout_ms)
{
	struct hb_kafka *kafka = lane->kafka;
	uint64_t since_ms = hb_clock_mono_ms();
	bool is_empty;

	pthread_mutex_lock(&kafka->lock);
	lane->accepting = false;
	pthread_mutex_unlock(&kafka->lock);
	do {
		purge(lane);
		is_empty = hb_kafka_lane_await(lane, PURGE_AGAIN_MS);
	} while (!is_empty && hb_clock_mono_ms() - since_ms < timeout_ms);
	return is_empty;
}

/* --- making and closing --------------------------------------------------- */

/* Signals are the main thread's: librdkafka's threads are born with all
 * blocked. On failure conf is the caller's still. */
static rd_kafka_t *
producer_new(rd_kafka_conf_t *conf, struct hb_error *err)
{
	sigset_t all, before;
	char text[200];
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rk != NULL)
		return rk;
	return hb_fail_null(err, HB_E_CONFIG, "librdkafka: %s", text);
}

/* Whether a producer can be made of it, which then knows no brokers. */
static bool
is_usable(const rd_kafka_conf_t *conf, struct hb_error *err)
{
	rd_kafka_conf_t *trial = rd_kafka_conf_dup(conf);
	rd_kafka_t *rk;
	char text[200];

	(void)rd_kafka_conf_set(
	    trial, "bootstrap.servers", "", text, sizeof(text));
	rk = producer_new(trial, err);
	if (rk == NULL)
		rd_kafka_conf_destroy(trial);
	else
		rd_kafka_destroy(rk);
	return rk != NULL;
}

/* In librdkafka 2.0.2 a producer that cannot be made frees a part of its
 * configuration when there are interceptors, which then can be neither used nor
 * freed: first it is tried without. What fails still, for want of memory or
 * threads, leaves it behind. */
static rd_kafka_t *
reporting_producer_new(struct hb_kafka_lane *lane, rd_kafka_conf_t *conf_take,
    struct hb_error *err)
{
	if (is_usable(conf_take, err) &&
	    hb_kafka_reports_ask(conf_take, lane, err))
		return producer_new(conf_take, err);
	rd_kafka_conf_destroy(conf_take);
	return NULL;
}

/* Topic objects make librdkafka ask for their metadata at once. */
static bool
open_topics(struct hb_kafka_lane *lane, rd_kafka_t *rk, struct hb_error *err)
{
	struct hb_kafka *kafka = lane->kafka;

	for (size_t i = 0; i < kafka->topic_count; i++) {
		struct hb_kafka_topic *topic = &kafka->topics[i];
		rd_kafka_topic_t *rkt =
		    rd_kafka_topic_new(rk, topic->dest->name, NULL);

		if (rkt == NULL)
			return hb_fail(err, HB_E_CONFIG, "topic %s: %s",
			    topic->dest->name,
			    rd_kafka_err2str(rd_kafka_last_error()));
		topic->rkts[lane->kind] = rkt;
	}
	return true;
}

static void
close_topics(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;

	for (size_t i = 0; i < kafka->topic_count; i++) {
		rd_kafka_topic_t **rkt = &kafka->topics[i].rkts[lane->kind];

		if (*rkt != NULL)
			rd_kafka_topic_destroy(*rkt);
		*rkt = NULL;
	}
}

/* Events of the producer wake the reader through the eventfd. */
static void
open_queue(struct hb_kafka_lane *lane, rd_kafka_t *rk)
{
	static const uint64_t one = 1;

	rd_kafka_set_log_queue(rk, NULL);
	lane->queue = rd_kafka_queue_get_main(rk);
	rd_kafka_queue_io_event_enable(
	    lane->queue, lane->kafka->wake_fd, &one, sizeof(one));
}

static rd_kafka_conf_t *
make_conf(struct hb_kafka_lane *lane, struct hb_error *err)
{
	struct hb_kafka *kafka = lane->kafka;
	rd_kafka_conf_t *conf = hb_kafka_conf_new(
	    lane->kind, kafka->sink.conf->conf, kafka->sink.cfg, err);

	/* The main one is opened first. */
	if (conf != NULL && kafka->limits.message_max == 0)
		/* Else workers may be reading them. */
		hb_kafka_conf_limits(conf, &kafka->limits);
	return conf;
}

bool
hb_kafka_lane_open(struct hb_kafka_lane *lane, struct hb_error *err)
{
	struct hb_kafka *kafka = lane->kafka;
	rd_kafka_conf_t *conf = make_conf(lane, err);
	rd_kafka_t *rk;

	if (conf == NULL)
		return false;
	rk = reporting_producer_new(lane, conf, err);
	if (rk == NULL)
		return false;
	if (!open_topics(lane, rk, err)) {
		close_topics(lane);
		rd_kafka_destroy(rk);
		return false;
	}
	open_queue(lane, rk);
	pthread_mutex_lock(&kafka->lock);
	lane->rk = rk;
	lane->accepting = !atomic_load(&kafka->closing);
	pthread_mutex_unlock(&kafka->lock);
	/* For events that came before there was an eventfd to write to. */
	hb_kafka_reader_wake(kafka);
	return true;
}

/* Waits for the users; there is nothing outstanding. */
void
hb_kafka_lane_close(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;
	rd_kafka_t *rk;

	pthread_mutex_lock(&kafka->lock);
	while (lane->users > 0)
		pthread_cond_wait(&kafka->idle, &kafka->lock);
	if (lane->outstanding > 0)
		hb_bug("sink %s: closed with %llu deliveries outstanding",
		    kafka->sink.conf->name,
		    (unsigned long long)lane->outstanding);
	rk = lane->rk;
	lane->rk = NULL;
	lane->accepting = false;
	pthread_mutex_unlock(&kafka->lock);
	if (rk == NULL)
		return;
	rd_kafka_queue_io_event_enable(lane->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(lane->queue);
	close_topics(lane);
	rd_kafka_destroy(rk);
}
