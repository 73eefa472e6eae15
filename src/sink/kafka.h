/* SPDX-License-Identifier: Apache-2.0 */
/* kafka.h - the Kafka sink's parts, one file each
 *
 *   kafka.c         the sink: settings, open, send, drain, close
 *   kafka_conf.c    our settings and the operator's, as librdkafka takes them
 *   kafka_handle.c  the producers, and who may use them
 *   kafka_report.c  what librdkafka tells: delivery reports, errors, log lines
 *   kafka_solo.c    sends the messages of a refused batch one by one
 *   kafka_watch.c   asks for metadata, moves health, replaces a producer
 *   kafka_inspect.c reads the topics' settings and warns of weak ones
 *
 * Threads: workers send; one of them, the reader, takes librdkafka's events;
 * the watch is a loop of our own, because asking for metadata and making and
 * destroying a producer block. */
#ifndef HOOKBRIDGE_KAFKA_H
#define HOOKBRIDGE_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "hookbridge/sink.h"

/* The settings of one Kafka sink, filled by the table in kafka.c. */
struct hb_kafka_conf {
	struct hb_strings brokers;
	struct hb_pairs properties;
	bool ordered;
};

struct hb_kafka;

/* A producer, and who is in it. The solo lane's sends no two messages in one
 * batch; it is made when it is needed first. */
struct hb_kafka_lane {
	struct hb_kafka *kafka;
	bool is_solo;

	/* Under hb_kafka.lock. */
	rd_kafka_t *rk;	      /* NULL while there is none */
	bool accepting;	      /* whether deliveries may enter */
	uint64_t outstanding; /* have entered and are not yet reported */
	unsigned users;	      /* threads that are using it */

	rd_kafka_queue_t *queue; /* rk's, and as old */
};

/* A destination of the sink. */
struct hb_kafka_topic {
	struct hb_kafka *kafka;
	const struct hb_dest_conf *dest;
	rd_kafka_topic_t *rkts[2]; /* by is_solo; the producer's, and as old */

	_Atomic unsigned timeouts; /* since something was confirmed */
	/* A delivery says that nothing can be written; the watch is told by
	 * the task, once for each suspicion. */
	_Atomic bool is_suspect;
	rd_kafka_resp_err_t suspicion;
	struct hb_task on_suspect;
	_Atomic unsigned setbacks; /* suspicions since a confirmation */

	/* The watch's. A topic is up when it is neither. */
	bool is_missing;   /* by the metadata */
	bool is_suspended; /* the suspicion has been taken up */
	bool is_inspected; /* as long as it is not missing */
	unsigned misses;   /* in a row */
	uint64_t due_ms;   /* ask again; a suspended one is not up before */
};

struct hb_kafka {
	struct hb_sink sink; /* first: a struct hb_sink * is one of these */
	struct hb_loop *reader, *watch;
	size_t message_max; /* message.max.bytes */
	struct hb_kafka_topic *topics;
	size_t topic_count;
	struct hb_kafka_topic **by_dest; /* by hb_dest_conf.index */

	pthread_mutex_t lock; /* what follows, to the next blank line */
	pthread_cond_t idle;  /* a lane's outstanding or users are 0 */
	struct hb_kafka_lane main, solo;
	struct hb_delivery *suspects, **suspects_end; /* wait for the watch */
	rd_kafka_resp_err_t trouble; /* what librdkafka last complained of */
	char trouble_text[128];

	/* librdkafka makes wake_fd readable when a lane has events. */
	int wake_fd;
	struct event *wake;
	struct hb_kafka_joining *joining; /* until it has run */

	_Atomic bool closing; /* no health, no new producer any more */

	/* How others call the watch. */
	_Atomic bool is_fatal; /* main.rk is */
	_Atomic bool is_alive; /* something was confirmed since it was reset */
	atomic_flag is_rung;
	struct hb_task bell, on_suspects;

	/* The watch's. */
	struct hb_timer round;
	uint64_t last_round_ms;
	unsigned failures;		/* of rounds, in a row */
	rd_kafka_resp_err_t down_by[2]; /* what was said of it last */
	bool was_up;
	uint64_t opened_ms, reopen_ms; /* the producer */
	unsigned short_lives;	       /* of producers, in a row */
};

/* --- kafka_conf.c --------------------------------------------------------- */

extern const char *const hb_kafka_public_properties[];
/* hb_sink_type.check() */
void hb_kafka_conf_check(const struct hb_sink_conf *sink,
    void (*complain)(void *arg, const char *key, const char *fmt, ...)
	HB_PRINTF(3, 4),
    void *arg);
/* Everything a producer needs; NULL with err when librdkafka refuses. */
rd_kafka_conf_t *hb_kafka_conf_new(const struct hb_kafka_conf *conf,
    const struct hb_config *cfg, struct hb_error *err);
/* The same for a producer that puts each message into a batch of its own. */
rd_kafka_conf_t *hb_kafka_conf_new_solo(const struct hb_kafka_conf *conf,
    const struct hb_config *cfg, struct hb_error *err);
/* The value of a numeric property. */
size_t hb_kafka_conf_number(const rd_kafka_conf_t *conf, const char *name);

/* --- kafka_handle.c ------------------------------------------------------- */

void hb_kafka_lane_init(struct hb_kafka_lane *lane, struct hb_kafka *kafka);
/* Makes a producer with a topic object for each destination, and lets senders
 * in. Main thread, then the watch. */
bool hb_kafka_lane_open(
    struct hb_kafka_lane *lane, struct hb_error *err) HB_MUST_CHECK;
/* The way back; nobody may be using it. */
void hb_kafka_lane_close(struct hb_kafka_lane *lane);
/* Lets no sender in any more and gives everything outstanding back through the
 * reader; waits for that. false: not within timeout_ms. */
bool hb_kafka_lane_empty(struct hb_kafka_lane *lane, unsigned timeout_ms);
/* Between hold and release the producer is not closed. NULL: there is none. */
rd_kafka_t *hb_kafka_hold(struct hb_kafka_lane *lane);
void hb_kafka_release(struct hb_kafka_lane *lane);
/* A sender goes in with a delivery; false: report a retry. It holds the lane
 * and releases it when the delivery has been produced or reported. */
bool hb_kafka_enter(struct hb_kafka_lane *lane) HB_MUST_CHECK;
/* After the report of so many deliveries. */
void hb_kafka_leave(struct hb_kafka_lane *lane, uint64_t count);
/* Hands the message of a delivery that has entered to librdkafka, or reports
 * at once that it cannot be; then releases the lane. */
void hb_kafka_produce(struct hb_kafka_lane *lane, struct hb_delivery *delivery);

/* --- kafka_report.c ------------------------------------------------------- */

/* Adds the reader's event to its loop, which may be running already. */
void hb_kafka_reader_join(struct hb_kafka *kafka);
/* Any thread: there may be events. */
void hb_kafka_reader_wake(const struct hb_kafka *kafka);
/* The loops have stopped or never ran. */
void hb_kafka_reader_quit(struct hb_kafka *kafka);
/* Reports a delivery that librdkafka refused to take. */
void hb_kafka_report_unsent(struct hb_kafka_topic *topic,
    struct hb_delivery *delivery, rd_kafka_resp_err_t code);

/* --- kafka_solo.c --------------------------------------------------------- */

void hb_kafka_solo_init(struct hb_kafka *kafka);
/* Has a delivery of a refused batch sent alone; false: report a retry. */
bool hb_kafka_solo_add(
    struct hb_kafka *kafka, struct hb_delivery *delivery) HB_MUST_CHECK;

/* --- kafka_watch.c -------------------------------------------------------- */

bool hb_kafka_watch_start(
    struct hb_kafka *kafka, struct hb_error *err) HB_MUST_CHECK;
void hb_kafka_watch_stop(struct hb_kafka *kafka);
/* Any thread: something may have changed, look soon. */
void hb_kafka_watch_ring(struct hb_kafka *kafka);
/* Any thread: nothing can be written there, or so it seems. */
void hb_kafka_watch_suspect(
    struct hb_kafka_topic *topic, rd_kafka_resp_err_t code);

/* --- kafka_inspect.c ------------------------------------------------------ */

/* Watch: looks at the topics that are there and were not looked at yet. Best
 * effort; blocks for a second or so at most. */
void hb_kafka_inspect(
    struct hb_kafka *kafka, const rd_kafka_metadata_t *metadata);

#endif
