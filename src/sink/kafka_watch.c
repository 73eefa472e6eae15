/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_watch.c - asks for metadata, moves health, replaces a producer
 *
 * The watch is a loop of the sink's own because what it does blocks. It alone
 * moves the health of the sink and its topics; errors and reports only ring
 * it. In a round it
 *   1. replaces a producer that has gone fatal (the patient lane's by none: the
 *      next delivery has another one made);
 *   2. asks the cluster for the metadata of all our topics: an answer, and the
 *      sink is up; no answer, and it is down, unless something was confirmed
 *      meanwhile (one broker of several may hang, and be the one asked);
 *   3. goes through the topics of the answer:
 *
 *          ┌──── not in the cluster, not authorized ────► missing ─┐
 *          UP ◄──────────── found by a later round ────────────────┤
 *          └─ writes fail ─► suspended ── found, and backoff over ─┘
 *
 *      Metadata cannot tell whether writes succeed, so that letting a
 *      suspended topic up is a trial: what is written next decides, and the
 *      backoff grows until something is confirmed.
 *
 *   4. learns how many partitions they have.
 *
 * Rounds come at once after trouble (but not in a row), soon while the sink is
 * down, by backoff while a topic is, and while everything is well as often as
 * librdkafka refreshes its metadata (topic.metadata.refresh.interval.ms), for
 * the sake of topics that grow. */
#include <stdlib.h>

#include "hookbridge/backoff.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "kafka.h"

#define ANSWER_MS 1000	  /* a cluster that is well takes a few */
#define ROUND_GAP_MS 200  /* between two rounds, however much rings */
#define DOWN_PAUSE_MS 500 /* librdkafka reconnects with its own backoff */
#define MISSING_MIN_MS 500
#define MISSING_MAX_MS 5000
#define SUSPENDED_MIN_MS 1000
#define SUSPENDED_MAX_MS 60000
#define LIFE_MS 60000 /* a producer that lived so long was good */
#define REOPEN_MIN_MS 250
#define REOPEN_MAX_MS 30000
#define EMPTY_MS 1000

/* --- when ----------------------------------------------------------------- */

static bool
is_down(const struct hb_kafka_topic *topic)
{
	return topic->is_missing || topic->is_suspended;
}

static bool
any_is_fatal(const struct hb_kafka *kafka)
{
	return atomic_load(&kafka->main.is_fatal) ||
	       atomic_load(&kafka->patient.is_fatal);
}

/* When the next round is due; UINT64_MAX: never, for all that is known now. */
static uint64_t
next_round_ms(const struct hb_kafka *kafka, uint64_t now_ms)
{
	uint64_t refresh_ms = kafka->limits.refresh_ms;
	uint64_t due_ms = refresh_ms > 0 ? now_ms + refresh_ms : UINT64_MAX;

	if (kafka->main.rk == NULL)
		return kafka->reopen_ms;
	if (kafka->failures > 0 || any_is_fatal(kafka))
		return now_ms + hb_backoff_ms(DOWN_PAUSE_MS, DOWN_PAUSE_MS, 0);
	for (size_t i = 0; i < kafka->topic_count; i++) {
		const struct hb_kafka_topic *topic = &kafka->topics[i];

		if (is_down(topic) && topic->due_ms < due_ms)
			due_ms = topic->due_ms;
	}
	return due_ms;
}

static void
schedule(struct hb_kafka *kafka)
{
	uint64_t now_ms = hb_clock_mono_ms();
	uint64_t due_ms = next_round_ms(kafka, now_ms);

	if (due_ms == UINT64_MAX)
		hb_timer_cancel(&kafka->round);
	else
		hb_timer_set(
		    &kafka->round, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* --- topics --------------------------------------------------------------- */

static const char *
why_down(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: /* it has none left */
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return "unknown topic";
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return "not authorized";
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
		return "messages time out";
	default:
		return rd_kafka_err2str(code);
	}
}

static void
put_down(struct hb_kafka_topic *topic, rd_kafka_resp_err_t code)
{
	hb_dest_set_health(
	    &topic->kafka->sink, topic->dest, HB_DOWN, why_down(code));
}

static void
on_missing(struct hb_kafka_topic *topic, rd_kafka_resp_err_t code)
{
	topic->is_missing = true;
	topic->is_inspected = false; /* the next one may be another */
	topic->due_ms =
	    hb_clock_mono_ms() +
	    hb_backoff_ms(MISSING_MIN_MS, MISSING_MAX_MS, topic->misses++);
	put_down(topic, code);
}

static void
on_found(struct hb_kafka_topic *topic, int32_t part_count)
{
	/* A new one may have none yet. */
	if (part_count > 0)
		hb_kafka_partitions_learn(topic, part_count);
	if (!is_down(topic))
		return;
	topic->is_missing = false;
	topic->misses = 0;
	if (topic->is_suspended) {
		if (hb_clock_mono_ms() < topic->due_ms)
			return;
		topic->is_suspended = false;
		/* From here on the task may be posted again. */
		atomic_store(&topic->is_suspect, false);
	}
	hb_dest_set_health(&topic->kafka->sink, topic->dest, HB_UP, NULL);
}

/* A delivery has raised a suspicion. */
static void
on_suspect(struct hb_task *task)
{
	struct hb_kafka_topic *topic =
	    hb_container_of(task, struct hb_kafka_topic, on_suspect);

	if (atomic_load(&topic->kafka->closing))
		return;
	if (topic->kafka->failures > 0) { /* that explains it */
		atomic_store(&topic->is_suspect, false);
		return;
	}
	topic->is_suspended = true;
	topic->due_ms = hb_clock_mono_ms() +
			hb_backoff_ms(SUSPENDED_MIN_MS, SUSPENDED_MAX_MS,
			    atomic_fetch_add(&topic->setbacks, 1));
	put_down(topic, topic->suspicion);
	schedule(topic->kafka);
}

void
hb_kafka_watch_suspect(struct hb_kafka_topic *topic, rd_kafka_resp_err_t code)
{
	if (atomic_exchange(&topic->is_suspect, true))
		return;
	topic->suspicion = code;
	topic->on_suspect.run = on_suspect;
	hb_loop_post(topic->kafka->watch, &topic->on_suspect);
}

/* --- the cluster ---------------------------------------------------------- */

static int
by_name(const void *name, const void *topic)
{
	return strcmp(name, ((const struct hb_kafka_topic *)topic)->dest->name);
}

/* The cluster is there, again or for the first time. What topics suffered while
 * it was not is no fault of theirs. */
static void
on_recovery(struct hb_kafka *kafka)
{
	if (kafka->was_up)
		hb_metric_inc(kafka->sink.metric_reconnects);
	kafka->was_up = true;
	kafka->failures = 0;
	pthread_mutex_lock(&kafka->lock);
	kafka->trouble = RD_KAFKA_RESP_ERR_NO_ERROR;
	kafka->trouble_text[0] = '\0';
	pthread_mutex_unlock(&kafka->lock);
	for (size_t i = 0; i < kafka->topic_count; i++) {
		atomic_store(&kafka->topics[i].timeouts, 0);
		kafka->topics[i].due_ms = 0;
	}
	hb_sink_set_health(&kafka->sink, HB_UP, NULL);
}

static void
on_answer(struct hb_kafka *kafka, const rd_kafka_metadata_t *metadata)
{
	if (kafka->failures > 0 || !kafka->was_up)
		on_recovery(kafka);
	for (int i = 0; i < metadata->topic_cnt; i++) {
		const rd_kafka_metadata_topic_t *found = &metadata->topics[i];
		struct hb_kafka_topic *topic =
		    bsearch(found->topic, kafka->topics, kafka->topic_count,
			sizeof(*kafka->topics), by_name);

		if (topic == NULL)
			continue;
		if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			on_missing(topic, found->err);
		else
			on_found(topic, found->partition_cnt);
	}
}

/* Says why once for each kind of trouble: its text names brokers in turn. */
static void
on_no_answer(struct hb_kafka *kafka, rd_kafka_resp_err_t code)
{
	rd_kafka_resp_err_t trouble;
	char text[sizeof(kafka->trouble_text)];

	pthread_mutex_lock(&kafka->lock);
	trouble = kafka->trouble;
	memcpy(text, kafka->trouble_text, sizeof(text));
	pthread_mutex_unlock(&kafka->lock);
	if (kafka->failures++ > 0 && kafka->down_by[0] == code &&
	    kafka->down_by[1] == trouble)
		return;
	kafka->down_by[0] = code;
	kafka->down_by[1] = trouble;
	hb_sink_set_health(&kafka->sink, HB_DOWN,
	    text[0] != '\0' ? text : rd_kafka_err2str(code));
}

static void
ask(struct hb_kafka *kafka)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_resp_err_t code;

	atomic_store(&kafka->is_alive, false);
	code = rd_kafka_metadata(kafka->main.rk, 0, NULL, &metadata, ANSWER_MS);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		on_answer(kafka, metadata);
		hb_kafka_inspect(kafka, metadata);
		rd_kafka_metadata_destroy(metadata);
	} else if (kafka->failures > 0 || !kafka->was_up ||
		   !atomic_load(&kafka->is_alive)) {
		on_no_answer(kafka, code);
	}
}

/* --- the producer --------------------------------------------------------- */

/* Whether the lane's producer is of no use any more, and why. */
static bool
is_dead(struct hb_kafka_lane *lane, char *text, size_t size)
{
	if (!atomic_load(&lane->is_fatal))
		return false;
	if (lane->rk != NULL && rd_kafka_fatal_error(lane->rk, text, size) !=
				    RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	/* Said of the one before, by a sender that was slow to say. */
	atomic_store(&lane->is_fatal, false);
	return false;
}

/* Gives a fatal producer's deliveries back and closes it. */
static bool
bury(struct hb_kafka_lane *lane)
{
	if (!hb_kafka_lane_empty(lane, EMPTY_MS))
		return false; /* somebody is slow: next round */
	hb_kafka_lane_close(lane);
	atomic_store(&lane->is_fatal, false);
	return true;
}

/* The next producer comes the later the shorter this one has lived. */
static void
retire_main(struct hb_kafka *kafka)
{
	uint64_t now_ms = hb_clock_mono_ms();
	char text[160];

	if (!is_dead(&kafka->main, text, sizeof(text)))
		return;
	kafka->failures++;
	hb_sink_set_health(&kafka->sink, HB_DOWN, text);
	if (!bury(&kafka->main))
		return;
	kafka->short_lives =
	    now_ms - kafka->opened_ms < LIFE_MS ? kafka->short_lives + 1 : 0;
	kafka->reopen_ms = now_ms + hb_backoff_ms(REOPEN_MIN_MS, REOPEN_MAX_MS,
					kafka->short_lives);
}

/* That it is dead says nothing about the cluster, nor of the other producers;
 * how soon there is another one is up to those who send. */
static void
retire_patient(struct hb_kafka *kafka)
{
	char text[160];

	if (is_dead(&kafka->patient, text, sizeof(text)) &&
	    bury(&kafka->patient))
		hb_kafka_lazy_renew(&kafka->patient);
}

/* A failure here (a certificate that is gone) may pass as well. */
static void
reopen(struct hb_kafka *kafka)
{
	struct hb_error err;

	if (hb_kafka_lane_open(&kafka->main, &err)) {
		kafka->opened_ms = hb_clock_mono_ms();
		return;
	}
	hb_sink_set_health(&kafka->sink, HB_DOWN, err.text);
	kafka->reopen_ms =
	    hb_clock_mono_ms() +
	    hb_backoff_ms(REOPEN_MIN_MS, REOPEN_MAX_MS, ++kafka->short_lives);
}

/* --- rounds --------------------------------------------------------------- */

static void
on_round(struct hb_timer *timer)
{
	struct hb_kafka *kafka = hb_container_of(timer, struct hb_kafka, round);

	if (atomic_load(&kafka->closing))
		return;
	retire_main(kafka);
	retire_patient(kafka);
	if (kafka->main.rk == NULL && hb_clock_mono_ms() >= kafka->reopen_ms)
		reopen(kafka);
	if (kafka->main.rk != NULL && !atomic_load(&kafka->main.is_fatal))
		ask(kafka);
	kafka->last_round_ms = hb_clock_mono_ms();
	schedule(kafka);
}

static void
on_bell(struct hb_task *task)
{
	struct hb_kafka *kafka = hb_container_of(task, struct hb_kafka, bell);
	uint64_t since_ms = hb_clock_mono_ms() - kafka->last_round_ms;

	atomic_flag_clear(&kafka->is_rung);
	if (atomic_load(&kafka->closing))
		return;
	if (any_is_fatal(kafka))
		hb_timer_set(&kafka->round, 0);
	else if (kafka->failures == 0 && kafka->main.rk != NULL)
		hb_timer_set(&kafka->round,
		    since_ms < ROUND_GAP_MS ? ROUND_GAP_MS - since_ms : 0);
	/* Otherwise a round is under way as it is. */
}

void
hb_kafka_watch_ring(struct hb_kafka *kafka)
{
	if (!atomic_flag_test_and_set(&kafka->is_rung))
		hb_loop_post(kafka->watch, &kafka->bell);
}

/* Makes the loop and starts it; the first round follows at once. */
bool
hb_kafka_watch_start(struct hb_kafka *kafka, struct hb_error *err)
{
	kafka->watch = hb_loop_new("kafka-watch", err);
	if (kafka->watch == NULL)
		return false;
	kafka->bell.run = on_bell;
	kafka->opened_ms = hb_clock_mono_ms();
	hb_timer_init(&kafka->round, kafka->watch, on_round);
	if (!hb_loop_start(kafka->watch, err)) {
		hb_loop_free(kafka->watch);
		return false;
	}
	hb_kafka_watch_ring(kafka);
	return true;
}

void
hb_kafka_watch_stop(struct hb_kafka *kafka)
{
	hb_loop_stop(kafka->watch);
	hb_loop_join(kafka->watch);
	hb_timer_fini(&kafka->round);
	hb_loop_free(kafka->watch);
}
