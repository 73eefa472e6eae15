/* SPDX-License-Identifier: Apache-2.0 */
/* kafka.h - the Kafka sink's parts, one file each
 *
 *   kafka.c           the sink: settings, open, send, drain, close
 *   kafka_conf.c      our settings and the operator's, as librdkafka takes them
 *   kafka_handle.c    the producers, and who may use them
 *   kafka_partition.c the partitions of a topic, and which one a key has
 *   kafka_queue.c     one batch at a time for each partition
 *   kafka_turn.c      when the queues are looked at
 *   kafka_report.c    what librdkafka tells: reports, errors, log lines
 *   kafka_lazy.c      the lanes that few sinks need, made when they are
 *   kafka_watch.c     asks for metadata, moves health, replaces a producer
 *   kafka_inspect.c   reads the topics' settings and warns of weak ones
 *
 * Threads: workers send; one of them, the reader, takes librdkafka's events;
 * the watch is a loop of our own, because asking for metadata and making and
 * destroying a producer block. */
#ifndef HB_SINK_KAFKA_H
#define HB_SINK_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "hookbridge/sink.h"

/* The settings of one Kafka sink, filled by the table in kafka.c. */
struct hb_kafka_conf {
	struct hb_strings brokers;
	struct hb_pairs properties;
	bool ordered;
};

/* What librdkafka makes of them, where we go by it too. */
struct hb_kafka_limits {
	size_t message_max; /* message.max.bytes */
	size_t batch_size;  /* batch.size, in bytes */
	size_t batch_count; /* batch.num.messages */
	size_t queue_count; /* queue.buffering.max.messages */
	uint64_t refresh_ms; /* topic.metadata.refresh.interval.ms; 0: never */
	bool lingers; /* linger.ms is not 0: librdkafka makes the batches */
	const struct hb_kafka_partitioner *partitioner;
};

struct hb_kafka;

enum hb_kafka_kind {
	HB_KAFKA_MAIN,	  /* for deliveries that are waited for */
	HB_KAFKA_PATIENT, /* for those that are on disk: large batches */
	HB_KAFKA_SOLO,	  /* no two messages in one batch */
	HB_KAFKA_KINDS
};

/* A producer, and who is in it. All but the main one are made when they are
 * needed first. */
struct hb_kafka_lane {
	struct hb_kafka *kafka;
	enum hb_kafka_kind kind;

	/* Under hb_kafka.lock. */
	rd_kafka_t *rk;	      /* NULL while there is none */
	bool accepting;	      /* whether deliveries may enter */
	uint64_t outstanding; /* have entered and are not yet reported */
	unsigned users;	      /* threads that are using it */
	/* Have entered and wait for the watch; see kafka_lazy.c. */
	struct hb_delivery *first, **end;
	bool is_called; /* the watch, or it is producing them */

	struct hb_task call;	 /* to the watch */
	_Atomic bool is_fatal;	 /* rk is of no use any more */
	rd_kafka_queue_t *queue; /* rk's, and as old */
};

/* A partition, and what waits for it: see kafka_queue.c. It lives as long as
 * the sink. */
struct hb_kafka_part {
	struct hb_kafka_topic *topic;
	int32_t number;

	/* Under hb_kafka.lock. */
	uint64_t outstanding; /* handed over and not yet reported */
	uint64_t handed_us;   /* when the last of them were */
	struct hb_delivery *first, **end; /* wait */
	bool is_ready;			  /* is in hb_kafka.ready */
	bool is_going;			  /* a batch is being handed over */
	struct hb_kafka_part *next_ready;
};

/* A destination of the sink. */
struct hb_kafka_topic {
	struct hb_kafka *kafka;
	const struct hb_dest_conf *dest;
	/* The lanes' producers', and as old. */
	rd_kafka_topic_t *rkts[HB_KAFKA_KINDS];

	/* As many as the latest metadata had; 0 before the first. */
	_Atomic int32_t part_count;
	/* Under hb_kafka.lock. */
	struct hb_kafka_part **parts; /* by number; become only more */
	int32_t part_room;	      /* so many; not less than part_count */
	int32_t sticky; /* what has no key goes there, modulo part_count */

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
	struct hb_kafka_limits limits;
	bool is_ordered; /* all batches hold one message */
	struct hb_kafka_topic *topics;
	size_t topic_count;
	struct hb_kafka_topic **by_dest; /* by hb_dest_conf.index */

	pthread_mutex_t lock; /* what follows, to the next blank line */
	pthread_cond_t idle;  /* a lane's outstanding or users are 0 */
	struct hb_kafka_lane main, patient, solo;
	struct hb_kafka_part *ready; /* to be handed over */
	bool is_called;		     /* a worker, to do that */
	bool is_swept; /* somebody may wait: the reader looks after it */
	rd_kafka_resp_err_t trouble; /* what librdkafka last complained of */
	char trouble_text[128];

	/* librdkafka makes wake_fd readable when a lane has events. */
	int wake_fd;
	struct event *wake;
	struct hb_kafka_joining *joining; /* until it has run */
	struct hb_kafka_turn **turns;	  /* of the workers */
	size_t turn_count;
	/* The reader's, once it has joined. */
	struct hb_timer sweep;
	bool sweep_is_set;

	_Atomic bool closing; /* no health, no new producer any more */

	/* How others call the watch. */
	_Atomic bool is_alive; /* something was confirmed since it was reset */
	atomic_flag is_rung;
	struct hb_task bell;

	/* The watch's. */
	struct hb_timer round;
	uint64_t last_round_ms;
	unsigned failures;		/* of rounds, in a row */
	rd_kafka_resp_err_t down_by[2]; /* what was said of it last */
	bool was_up;
	uint64_t opened_ms, reopen_ms; /* the main producer */
	unsigned short_lives;	       /* of producers, in a row */
};

/* --- kafka.c -------------------------------------------------------------- */

/* What a message is to librdkafka, or a little more. */
size_t hb_kafka_message_size(const struct hb_message *msg);

/* --- kafka_conf.c --------------------------------------------------------- */

extern const char *const hb_kafka_public_properties[];
/* hb_sink_type.check() */
void hb_kafka_conf_check(const struct hb_sink_conf *sink,
    void (*complain)(void *arg, const char *key, const char *fmt, ...)
	HB_PRINTF(3, 4),
    void *arg);
/* Everything a producer needs; NULL with err when librdkafka refuses. */
rd_kafka_conf_t *hb_kafka_conf_new(enum hb_kafka_kind kind,
    const struct hb_kafka_conf *conf, const struct hb_config *cfg,
    struct hb_error *err);
/* What of it concerns us. */
void hb_kafka_conf_limits(
    const rd_kafka_conf_t *conf, struct hb_kafka_limits *limits);

/* --- kafka_handle.c ------------------------------------------------------- */

void hb_kafka_lane_init(struct hb_kafka_lane *lane, struct hb_kafka *kafka,
    enum hb_kafka_kind kind);
/* Makes a producer with a topic object for each destination, and lets senders
 * in. Main thread, then the watch. */
bool hb_kafka_lane_open(
    struct hb_kafka_lane *lane, struct hb_error *err) HB_MUST_CHECK;
/* The way back; nobody may be using it. */
void hb_kafka_lane_close(struct hb_kafka_lane *lane);
/* Waits until nothing is outstanding; false: there is, after timeout_ms. */
bool hb_kafka_lane_await(struct hb_kafka_lane *lane, unsigned timeout_ms);
/* Lets no sender in any more and gives everything outstanding back through the
 * reader; waits for that. false: not within timeout_ms. */
bool hb_kafka_lane_empty(struct hb_kafka_lane *lane, unsigned timeout_ms);
/* Between hold and release the producer is not closed. NULL: there is none. */
rd_kafka_t *hb_kafka_hold(struct hb_kafka_lane *lane);
void hb_kafka_release(struct hb_kafka_lane *lane);
/* A sender goes in with a delivery; false: report a retry. It holds the lane
 * and releases it when the delivery has been produced or reported. */
bool hb_kafka_enter(struct hb_kafka_lane *lane) HB_MUST_CHECK;
/* After the report of so many deliveries, with the lock held. */
void hb_kafka_leave(struct hb_kafka_lane *lane, uint64_t count);
/* The same without it, of deliveries that are in no partition's queue. */
void hb_kafka_exit(struct hb_kafka_lane *lane, uint64_t count);
/* Makes what librdkafka becomes the owner of, and the way back. */
void hb_kafka_pack(struct hb_delivery *delivery);
void hb_kafka_unpack(struct hb_delivery *delivery);
/* Hands the packed message of a delivery that has entered to librdkafka, for
 * the partition of that number or one of its choice (RD_KAFKA_PARTITION_UA).
 * false: it was reported that it cannot be, and leaves. The caller holds the
 * lane. */
bool hb_kafka_produce(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    int32_t partition) HB_MUST_CHECK;
/* Whether the calling thread is in hb_kafka_produce() with it. */
bool hb_kafka_is_being_produced(const struct hb_delivery *delivery);
/* The same for one that belongs to no queue: it leaves and is let go. */
void hb_kafka_produce_freely(
    struct hb_kafka_lane *lane, struct hb_delivery *delivery);

/* --- kafka_partition.c ---------------------------------------------------- */

/* The one of that name (the property partitioner). */
const struct hb_kafka_partitioner *hb_kafka_partitioner_of(const char *name);
/* The partition that a key has among count; -1: any, there is no key. */
int32_t hb_kafka_partition_of(const struct hb_kafka_partitioner *partitioner,
    struct hb_span key, int32_t count);
/* Watch: the topic has so many partitions. */
void hb_kafka_partitions_learn(struct hb_kafka_topic *topic, int32_t count);
/* For what has no key. With the lock held; there are partitions. */
struct hb_kafka_part *hb_kafka_partition_sticky(
    struct hb_kafka_topic *topic, uint64_t now_us);
/* A batch leaves: the next one gathers elsewhere. With the lock held. */
void hb_kafka_partition_unstick(struct hb_kafka_part *part);
void hb_kafka_partitions_free(struct hb_kafka_topic *topic);

/* --- kafka_queue.c -------------------------------------------------------- */

/* How long a delivery waits in our queue at most. */
#define HB_KAFKA_WAIT_MAX_MS 200

/* What became of one that was to be added. */
enum hb_kafka_admission {
	HB_KAFKA_NOT_NOW, /* the sink closes, or there is no metadata yet */
	HB_KAFKA_FULL,
	HB_KAFKA_WAITS,	  /* for reports, or with one that is ready */
	HB_KAFKA_IS_READY /* hb_kafka_queue_go() is to be called soon */
};

/* Adds a packed delivery to its partition's queue. is_swept: whether somebody
 * waited already; else the reader is to be woken if this one does. */
enum hb_kafka_admission hb_kafka_queue_add(struct hb_kafka_topic *topic,
    struct hb_delivery *delivery, bool *is_swept) HB_MUST_CHECK;
/* The partition whose queue a delivery belongs to, or NULL. */
struct hb_kafka_part *hb_kafka_queue_of(const struct hb_delivery *delivery);
/* After the report of one delivery of a partition; failed: it has to be sent
 * again. Whether the caller has to call a worker, because somebody may go
 * now. */
bool hb_kafka_queue_leave(
    struct hb_kafka_part *part, bool failed) HB_MUST_CHECK;
/* Hands over what is ready. The caller holds the lane. */
void hb_kafka_queue_go(struct hb_kafka *kafka);
/* The worker that was called is there: the next may be. */
void hb_kafka_queue_answer_call(struct hb_kafka *kafka);
/* Hands over what was sent before a time; whether anybody still waits. The
 * caller holds the lane. */
bool hb_kafka_queue_sweep(struct hb_kafka *kafka, uint64_t before_us);
/* Reports a retry for all that wait; nobody enters any more. */
void hb_kafka_queue_give_back(struct hb_kafka *kafka);

/* --- kafka_turn.c --------------------------------------------------------- */

/* The workers' loops, which do not run yet. */
void hb_kafka_turns_open(
    struct hb_kafka *kafka, struct hb_loop *const *loops, size_t count);
void hb_kafka_turns_close(struct hb_kafka *kafka);
/* Sends a delivery by its partition's queue; it is reported whatever
 * happens. */
void hb_kafka_turn_send(
    struct hb_kafka_topic *topic, struct hb_delivery *delivery);
/* Any thread: has the worker of that loop hand over what is ready. */
void hb_kafka_turn_call(struct hb_kafka *kafka, const struct hb_loop *loop);
/* Reader: on its loop from now on; it was woken, somebody may wait; its loop
 * has stopped. */
void hb_kafka_turn_join(struct hb_kafka *kafka);
void hb_kafka_sweep_look(struct hb_kafka *kafka);
void hb_kafka_turn_quit(struct hb_kafka *kafka);

/* --- kafka_report.c ------------------------------------------------------- */

/* Adds the reader's event to its loop, which may be running already. */
void hb_kafka_reader_join(struct hb_kafka *kafka);
/* Any thread: there may be events. */
void hb_kafka_reader_wake(const struct hb_kafka *kafka);
/* The loops have stopped or never ran. */
void hb_kafka_reader_quit(struct hb_kafka *kafka);
/* Has a producer's reports come here. */
bool hb_kafka_reports_ask(rd_kafka_conf_t *rk_conf, struct hb_kafka_lane *lane,
    struct hb_error *err) HB_MUST_CHECK;
/* Reports a delivery that nobody takes now: the sink closes, or its topic's
 * partitions are not known yet. */
void hb_kafka_report_not_now(
    struct hb_kafka_topic *topic, struct hb_delivery *delivery);
/* Reports a delivery that the lane's producer refused to take. */
void hb_kafka_report_unsent(struct hb_kafka_lane *lane,
    struct hb_delivery *delivery, rd_kafka_resp_err_t code);

/* --- kafka_lazy.c --------------------------------------------------------- */

/* The lane has no producer; the first delivery has the watch make one. */
void hb_kafka_lazy_init(struct hb_kafka_lane *lane);
/* Sends a delivery from its own loop; it is reported whatever happens. */
void hb_kafka_lazy_send(
    struct hb_kafka_lane *lane, struct hb_delivery *delivery);
/* Has the watch send a delivery, from any thread; false: report a retry. */
bool hb_kafka_lazy_add(struct hb_kafka_lane *lane,
    struct hb_delivery *delivery) HB_MUST_CHECK;
/* Watch: the lane was closed, the next delivery may have it opened again. */
void hb_kafka_lazy_renew(struct hb_kafka_lane *lane);

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
