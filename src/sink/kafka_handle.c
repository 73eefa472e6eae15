/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_handle.c - the producer, and who may use it
 *
 *   none ──open──► ACCEPTING ──empty──► EMPTYING ──close──► none
 *
 * There is at most one producer. Three kinds of threads use it: senders, who
 * enter with a delivery that leaves when it is reported; the reader and who
 * drains, who hold it; and the watch, which alone replaces it and needs no
 * hold. Entering is refused but in ACCEPTING.
 *
 * Invariants, under the lock: (1) outstanding > 0 or users > 0 implies that
 * there is a producer; (2) it is closed only when both are 0; (3) the reader
 * holds it while it reports, so that what librdkafka gives back is never read
 * from a producer that is gone. */
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

/* Between hold and release the producer is not closed. */
rd_kafka_t *
hb_kafka_hold(struct hb_kafka *kafka)
{
	rd_kafka_t *rk;

	pthread_mutex_lock(&kafka->lock);
	rk = kafka->rk;
	if (rk != NULL)
		kafka->users++;
	pthread_mutex_unlock(&kafka->lock);
	return rk;
}

void
hb_kafka_release(struct hb_kafka *kafka)
{
	pthread_mutex_lock(&kafka->lock);
	if (--kafka->users == 0)
		pthread_cond_broadcast(&kafka->idle);
	pthread_mutex_unlock(&kafka->lock);
}

/* Lets a delivery in, unless the producer is being emptied or replaced. Its
 * words say whether it was alone when it came, and which one it was. */
bool
hb_kafka_enter(struct hb_kafka_topic *topic, struct hb_delivery *delivery)
{
	struct hb_kafka *kafka = topic->kafka;
	bool accepting;

	pthread_mutex_lock(&kafka->lock);
	accepting = kafka->accepting;
	if (accepting) {
		delivery->word[0] = topic->outstanding == 0;
		delivery->word[1] = ++topic->sent;
		topic->outstanding++;
		kafka->outstanding++;
	}
	pthread_mutex_unlock(&kafka->lock);
	return accepting;
}

/* After the report of count deliveries. */
void
hb_kafka_leave(struct hb_kafka_topic *topic, uint64_t count)
{
	struct hb_kafka *kafka = topic->kafka;

	pthread_mutex_lock(&kafka->lock);
	topic->outstanding -= count;
	kafka->outstanding -= count;
	if (kafka->outstanding == 0)
		pthread_cond_broadcast(&kafka->idle);
	pthread_mutex_unlock(&kafka->lock);
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

/* Waits with the lock held; false when there is still something outstanding
 * after wait_ms. */
static bool
await_empty(struct hb_kafka *kafka, unsigned wait_ms)
{
	struct timespec due = in_ms(wait_ms);

	while (kafka->outstanding > 0)
		if (pthread_cond_timedwait(&kafka->idle, &kafka->lock, &due) ==
		    ETIMEDOUT)
			return kafka->outstanding == 0;
	return true;
}

/* Lets nobody in any more; whoever is in is given back. */
bool
hb_kafka_handle_empty(struct hb_kafka *kafka, unsigned timeout_ms)
{
	uint64_t since_ms = hb_clock_mono_ms();
	rd_kafka_t *rk;
	bool is_empty;

	pthread_mutex_lock(&kafka->lock);
	kafka->accepting = false;
	pthread_mutex_unlock(&kafka->lock);
	rk = hb_kafka_hold(kafka);
	if (rk == NULL)
		return true;
	do {
		rd_kafka_purge(
		    rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		pthread_mutex_lock(&kafka->lock);
		is_empty = await_empty(kafka, PURGE_AGAIN_MS);
		pthread_mutex_unlock(&kafka->lock);
	} while (!is_empty && hb_clock_mono_ms() - since_ms < timeout_ms);
	hb_kafka_release(kafka);
	return is_empty;
}

/* --- making and closing --------------------------------------------------- */

/* Signals are the main thread's: librdkafka's threads are born with all
 * blocked. On failure conf is freed. */
static rd_kafka_t *
producer_new(rd_kafka_conf_t *conf_take, struct hb_error *err)
{
	sigset_t all, before;
	char text[200];
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf_take, text, sizeof(text));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rk != NULL)
		return rk;
	rd_kafka_conf_destroy(conf_take);
	return hb_fail_null(err, HB_E_CONFIG, "librdkafka: %s", text);
}

/* Topic objects make librdkafka ask for their metadata at once. */
static bool
open_topics(struct hb_kafka *kafka, rd_kafka_t *rk, struct hb_error *err)
{
	for (size_t i = 0; i < kafka->topic_count; i++) {
		struct hb_kafka_topic *topic = &kafka->topics[i];

		topic->rkt = rd_kafka_topic_new(rk, topic->dest->name, NULL);
		if (topic->rkt == NULL)
			return hb_fail(err, HB_E_CONFIG, "topic %s: %s",
			    topic->dest->name,
			    rd_kafka_err2str(rd_kafka_last_error()));
	}
	return true;
}

static void
close_topics(struct hb_kafka *kafka)
{
	for (size_t i = 0; i < kafka->topic_count; i++) {
		if (kafka->topics[i].rkt != NULL)
			rd_kafka_topic_destroy(kafka->topics[i].rkt);
		kafka->topics[i].rkt = NULL;
	}
}

/* Events of the producer wake the reader through the eventfd. */
static void
open_queue(struct hb_kafka *kafka, rd_kafka_t *rk)
{
	static const uint64_t one = 1;

	rd_kafka_set_log_queue(rk, NULL);
	kafka->queue = rd_kafka_queue_get_main(rk);
	rd_kafka_queue_io_event_enable(
	    kafka->queue, kafka->wake_fd, &one, sizeof(one));
}

bool
hb_kafka_handle_open(struct hb_kafka *kafka, struct hb_error *err)
{
	rd_kafka_conf_t *conf =
	    hb_kafka_conf_new(kafka->sink.conf->conf, kafka->sink.cfg, err);
	rd_kafka_t *rk;

	if (conf == NULL)
		return false;
	if (kafka->message_max == 0) /* else workers may be reading it */
		kafka->message_max =
		    hb_kafka_conf_number(conf, "message.max.bytes");
	rk = producer_new(conf, err);
	if (rk == NULL)
		return false;
	if (!open_topics(kafka, rk, err)) {
		close_topics(kafka);
		rd_kafka_destroy(rk);
		return false;
	}
	open_queue(kafka, rk);
	pthread_mutex_lock(&kafka->lock);
	kafka->rk = rk;
	kafka->accepting = !atomic_load(&kafka->closing);
	pthread_mutex_unlock(&kafka->lock);
	/* For events that came before there was an eventfd to write to. */
	hb_kafka_reader_wake(kafka);
	return true;
}

/* Waits for the users; there is nothing outstanding. */
void
hb_kafka_handle_close(struct hb_kafka *kafka)
{
	rd_kafka_t *rk;

	pthread_mutex_lock(&kafka->lock);
	while (kafka->users > 0)
		pthread_cond_wait(&kafka->idle, &kafka->lock);
	if (kafka->outstanding > 0)
		hb_bug("sink %s: closed with %llu deliveries outstanding",
		    kafka->sink.conf->name,
		    (unsigned long long)kafka->outstanding);
	rk = kafka->rk;
	kafka->rk = NULL;
	kafka->accepting = false;
	pthread_mutex_unlock(&kafka->lock);
	if (rk == NULL)
		return;
	rd_kafka_queue_io_event_enable(kafka->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(kafka->queue);
	close_topics(kafka);
	rd_kafka_destroy(rk);
}
