/* SPDX-License-Identifier: Apache-2.0 */
/* kafka.h - the Kafka sink's parts, one file each
 *
 *   kafka.c         the sink: settings, open, send, drain, close
 *   kafka_conf.c    our settings and the operator's, as librdkafka takes them
 *   kafka_handle.c  the producer, and who may use it
 *   kafka_report.c  what librdkafka tells: delivery reports, errors, log lines
 *   kafka_watch.c   asks for metadata, moves health, replaces the producer
 *
 * Threads: workers send; one of them, the reader, takes librdkafka's events;
 * the watch is a loop of our own, because asking for metadata and destroying
 * a producer block. */
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

/* A destination of the sink. */
struct hb_kafka_topic {
	struct hb_kafka *kafka;
	const struct hb_dest_conf *dest;
	rd_kafka_topic_t *rkt; /* the producer's, and as old */

	/* Under hb_kafka.lock: how many messages are on their way, and how
	 * many ever were; they tell whether a message travelled alone. */
	uint64_t outstanding, sent;

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

	pthread_mutex_t lock;	     /* what follows, to the next blank line */
	pthread_cond_t idle;	     /* outstanding or users have become 0 */
	rd_kafka_t *rk;		     /* NULL while it is being replaced */
	bool accepting;		     /* false: send() reports a retry */
	uint64_t outstanding;	     /* taken by send() and not yet reported */
	unsigned users;		     /* threads in rk that are no senders */
	rd_kafka_resp_err_t trouble; /* what librdkafka last complained of */
	char trouble_text[128];

	/* librdkafka makes wake_fd readable when it has events. */
	rd_kafka_queue_t *queue;
	int wake_fd;
	struct event *wake;
	struct hb_kafka_joining *joining; /* until it has run */

	_Atomic bool closing; /* no health, no new producer any more */

	/* How others call the watch. */
	_Atomic bool is_fatal; /* rk is */
	atomic_flag is_rung;
	struct hb_task bell;

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
/* The value of a numeric property. */
size_t hb_kafka_conf_number(const rd_kafka_conf_t *conf, const char *name);

/* --- kafka_handle.c ------------------------------------------------------- */

/* Makes a producer with a topic object for each destination, and lets senders
 * in. Main thread, then the watch. */
bool hb_kafka_handle_open(
    struct hb_kafka *kafka, struct hb_error *err) HB_MUST_CHECK;
/* The way back; nobody may be using it. */
void hb_kafka_handle_close(struct hb_kafka *kafka);
/* Lets no sender in any more and gives everything outstanding back through the
 * reader; waits for that, and for the users. false: not within timeout_ms. */
bool hb_kafka_handle_empty(struct hb_kafka *kafka, unsigned timeout_ms);
/* Between hold and release the producer is not closed. NULL: there is none. */
rd_kafka_t *hb_kafka_hold(struct hb_kafka *kafka);
void hb_kafka_release(struct hb_kafka *kafka);
/* A sender goes in with a delivery; false: report a retry. The delivery leaves
 * when it is reported, which keeps the producer as a hold does. */
bool hb_kafka_enter(
    struct hb_kafka_topic *topic, struct hb_delivery *delivery) HB_MUST_CHECK;
void hb_kafka_leave(struct hb_kafka_topic *topic, uint64_t count);

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

/* --- kafka_watch.c -------------------------------------------------------- */

bool hb_kafka_watch_start(
    struct hb_kafka *kafka, struct hb_error *err) HB_MUST_CHECK;
void hb_kafka_watch_stop(struct hb_kafka *kafka);
/* Any thread: something may have changed, look soon. */
void hb_kafka_watch_ring(struct hb_kafka *kafka);
/* Any thread: nothing can be written there, or so it seems. */
void hb_kafka_watch_suspect(
    struct hb_kafka_topic *topic, rd_kafka_resp_err_t code);

#endif
