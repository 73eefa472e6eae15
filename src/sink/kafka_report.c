/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_report.c - what librdkafka tells: delivery reports, errors, log lines
 *
 * librdkafka tells the fate of each message by on_acknowledgement(), on its own
 * threads: in the queue of events it would have to be fetched by a thread that
 * is woken for it, which then wakes the delivery's own (a fifth of what an
 * event costs). There it must not be called back, nor kept waiting: a report is
 * a task posted, and a worker is called to hand over the next batch.
 *
 * Errors and log lines wait in librdkafka's queue; it writes an eventfd when
 * the queue stops being empty, which wakes the reader, one of the workers. It
 * takes a bounded number of events in one turn of its loop and rings itself for
 * the rest.
 *
 * What an error means is in one table: its class for the metric, and whether it
 * speaks of the message, of its topic, or of the cluster. A batch fails as a
 * whole even when one message is at fault, so a message is refused for good
 * only where it travelled alone, in the solo lane (or with `ordered`, when all
 * do); before that it is sent there (kafka_lazy.c). */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "kafka.h"

#define EVENTS_PER_TURN 64
/* So many timeouts in a row and the topic is down. */
#define TIMEOUTS_MAX 3

/* --- what errors mean ----------------------------------------------------- */

enum blame {
	NOBODY,	     /* a passing trouble */
	THE_MESSAGE, /* or another of its batch */
	THE_TOPIC,   /* nothing can be written there now */
	THE_BROKER,  /* it did not answer in time, or could not take it */
	THE_PRODUCER /* it is of no use any more */
};

struct fault {
	rd_kafka_resp_err_t code;
	enum blame blame;
	const char *class;  /* of sink_errors_total */
	const char *reason; /* of a dead letter */
};

static const struct fault faults[] = {
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, THE_BROKER, "timeout", NULL},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, THE_BROKER, "timeout", NULL},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, THE_BROKER, "timeout", NULL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, THE_BROKER, "timeout", NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, THE_BROKER, "replicas", NULL},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, THE_BROKER, "replicas",
	NULL},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, THE_BROKER, "storage", NULL},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, THE_BROKER, "leader", NULL},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, THE_BROKER, "leader", NULL},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, THE_TOPIC, "unknown_topic", NULL},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, THE_TOPIC, "unknown_topic", NULL},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, THE_TOPIC, "unknown_topic", NULL},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, THE_TOPIC, "unknown_topic", NULL},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, THE_TOPIC, "authorization",
	NULL},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, THE_TOPIC, "authorization",
	NULL},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, NOBODY, "authentication", NULL},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, NOBODY, "authentication",
	NULL},
    {RD_KAFKA_RESP_ERR__SSL, NOBODY, "tls", NULL},
    {RD_KAFKA_RESP_ERR__RESOLVE, NOBODY, "resolve", NULL},
    {RD_KAFKA_RESP_ERR__TRANSPORT, NOBODY, "transport", NULL},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, NOBODY, "all_brokers_down", NULL},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, NOBODY, "throttled", NULL},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, NOBODY, "queue_full", NULL},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, NOBODY, "purged", NULL},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, NOBODY, "purged", NULL},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, THE_MESSAGE, "too_large",
	"too-large"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, THE_MESSAGE, "too_large",
	"too-large"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, THE_MESSAGE, "refused", "refused"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, THE_MESSAGE, "refused", "refused"},
    {RD_KAFKA_RESP_ERR__FATAL, THE_PRODUCER, "fatal", NULL},
};

static const struct fault *
fault_of(rd_kafka_resp_err_t code)
{
	static const struct fault other = {
	    RD_KAFKA_RESP_ERR_UNKNOWN, NOBODY, "other", NULL};

	for (size_t i = 0; i < HB_COUNT(faults); i++)
		if (faults[i].code == code)
			return &faults[i];
	return &other;
}

/* --- one delivery --------------------------------------------------------- */

static void
confirm(struct hb_kafka_topic *topic, struct hb_delivery *delivery)
{
	if (atomic_load(&topic->timeouts) != 0)
		atomic_store(&topic->timeouts, 0);
	if (atomic_load(&topic->setbacks) != 0)
		atomic_store(&topic->setbacks, 0);
	if (!atomic_load(&topic->kafka->is_alive))
		atomic_store(&topic->kafka->is_alive, true);
	hb_delivery_report(delivery, HB_REPORT_CONFIRMED, NULL);
}

/* The producer is of no use any more: the watch replaces it. */
static void
condemn(struct hb_kafka_lane *lane)
{
	atomic_store(&lane->is_fatal, true);
	hb_kafka_watch_ring(lane->kafka);
}

/* Draws the consequences for what is to blame. */
static void
blame(struct hb_kafka_lane *lane, struct hb_kafka_topic *topic,
    const struct fault *fault)
{
	switch (fault->blame) {
	case THE_TOPIC:
		hb_kafka_watch_suspect(topic, fault->code);
		break;
	case THE_BROKER:
		if (atomic_fetch_add(&topic->timeouts, 1) + 1 >= TIMEOUTS_MAX)
			hb_kafka_watch_suspect(topic, fault->code);
		/* The whole cluster may be gone. */
		hb_kafka_watch_ring(topic->kafka);
		break;
	case THE_PRODUCER:
		condemn(lane);
		break;
	case NOBODY:
	case THE_MESSAGE:
		break;
	}
}

static struct hb_kafka_topic *
topic_of(const struct hb_kafka_lane *lane, const struct hb_delivery *delivery)
{
	return lane->kafka->by_dest[delivery->msg.dest->index];
}

static void
report_failure(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    const struct fault *fault, rd_kafka_resp_err_t code, enum hb_report report)
{
	struct hb_kafka_topic *topic = topic_of(lane, delivery);
	struct hb_error why;

	hb_sink_count_error(&lane->kafka->sink, fault->class);
	blame(lane, topic, fault);
	hb_fail_reason(&why,
	    report == HB_REPORT_REFUSED ? HB_E_DEAD : HB_E_RETRY, fault->reason,
	    "kafka topic %s: %s%s", topic->dest->name, rd_kafka_err2str(code),
	    report == HB_REPORT_UNKNOWN ? "; it may have been written" : "");
	hb_delivery_report(delivery, report, &why);
}

void
hb_kafka_report_not_now(
    struct hb_kafka_topic *topic, struct hb_delivery *delivery)
{
	struct hb_error why;

	hb_fail(&why, HB_E_RETRY, "kafka topic %s: not now", topic->dest->name);
	hb_delivery_report(delivery, HB_REPORT_RETRY, &why);
}

/* librdkafka has not even taken it: nobody else can be to blame. */
void
hb_kafka_report_unsent(struct hb_kafka_lane *lane,
    struct hb_delivery *delivery, rd_kafka_resp_err_t code)
{
	const struct fault *fault = fault_of(code);

	report_failure(lane, delivery, fault, code,
	    fault->blame == THE_MESSAGE ? HB_REPORT_REFUSED : HB_REPORT_RETRY);
}

/* Whether the lane's batches hold one message. */
static bool
has_solo_batches(const struct hb_kafka_lane *lane)
{
	return lane->kind == HB_KAFKA_SOLO || lane->kafka->is_ordered;
}

/* Says how it ended, unless that has yet to be found out in the solo lane.
 * Whether it has to be sent again. */
static bool
report_sent(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    const rd_kafka_message_t *message)
{
	const struct fault *fault = fault_of(message->err);
	enum hb_report report = HB_REPORT_RETRY;

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		confirm(topic_of(lane, delivery), delivery);
		return false;
	}
	if (fault->blame == THE_MESSAGE && has_solo_batches(lane))
		report = HB_REPORT_REFUSED;
	else if (fault->blame == THE_MESSAGE &&
		 hb_kafka_lazy_add(&lane->kafka->solo, delivery))
		return false;
	else if (rd_kafka_message_status(message) ==
		 RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED)
		report = HB_REPORT_UNKNOWN;
	report_failure(lane, delivery, fault, message->err, report);
	return report != HB_REPORT_REFUSED;
}

/* --- acknowledgements ----------------------------------------------------- */

/* It was delivered, or never will be. What librdkafka does not even take it
 * may tell here as well, from within the call: that is its caller's to say. */
static rd_kafka_resp_err_t
on_acknowledgement(rd_kafka_t *rk, rd_kafka_message_t *message, void *arg)
{
	struct hb_kafka_lane *lane = arg;
	struct hb_delivery *delivery = message->_private;
	/* While it is not yet somebody else's. */
	struct hb_kafka_part *part = hb_kafka_queue_of(delivery);
	const struct hb_loop *home = delivery->home;
	bool failed;

	(void)rk;
	if (hb_kafka_is_being_produced(delivery))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	failed = report_sent(lane, delivery, message);
	if (part == NULL)
		hb_kafka_exit(lane, 1);
	else if (hb_kafka_queue_leave(part, failed))
		hb_kafka_turn_call(lane->kafka, home);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t
on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *arg, char *text,
    size_t text_size)
{
	(void)conf;
	(void)text;
	(void)text_size;
	return rd_kafka_interceptor_add_on_acknowledgement(
	    rk, "hookbridge", on_acknowledgement, arg);
}

/* rd_kafka_flush() takes errors out of the queue while the sink closes, and
 * writes them to stderr unless somebody else does not want them either. */
static void
ignore_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
	(void)rk;
	(void)code;
	(void)text;
	(void)arg;
}

/* Of a failure in on_new() librdkafka would only write a log line: it has one
 * when the name is taken. */
bool
hb_kafka_reports_ask(
    rd_kafka_conf_t *rk_conf, struct hb_kafka_lane *lane, struct hb_error *err)
{
	rd_kafka_resp_err_t code = rd_kafka_conf_interceptor_add_on_new(
	    rk_conf, "hookbridge", on_new, lane);

	rd_kafka_conf_set_error_cb(rk_conf, ignore_error);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	return hb_fail(err, HB_E_CONFIG, "librdkafka's interceptors: %s",
	    rd_kafka_err2str(code));
}

/* --- events --------------------------------------------------------------- */

/* Keeps the text for whoever declares the sink down, but for its tail "(after
 * 0ms in state CONNECT, 3 identical error(s) suppressed)". */
static void
note_trouble(struct hb_kafka *kafka, rd_kafka_resp_err_t code, const char *text)
{
	const char *tail = strstr(text, " (after ");

	pthread_mutex_lock(&kafka->lock);
	kafka->trouble = code;
	snprintf(kafka->trouble_text, sizeof(kafka->trouble_text), "%.*s",
	    tail != NULL ? (int)(tail - text) : INT_MAX, text);
	pthread_mutex_unlock(&kafka->lock);
}

/* Of a connection or of the producer. Whether the sink is down is not decided
 * here: the watch asks. */
static void
on_error(struct hb_kafka_lane *lane, rd_kafka_event_t *event)
{
	struct hb_kafka *kafka = lane->kafka;
	rd_kafka_resp_err_t code = rd_kafka_event_error(event);

	if (rd_kafka_event_error_is_fatal(event)) {
		/* The code may be its cause's. */
		code = RD_KAFKA_RESP_ERR__FATAL;
		condemn(lane);
	}
	hb_sink_count_error(&kafka->sink, fault_of(code)->class);
	/* Its text says less than those that came before it. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		note_trouble(kafka, code, rd_kafka_event_error_string(event));
	hb_kafka_watch_ring(kafka);
}

static void
on_log(struct hb_kafka *kafka, rd_kafka_event_t *event)
{
	const char *facility, *text;
	int priority; /* as in syslog(3) */

	if (rd_kafka_event_log(event, &facility, &text, &priority) != 0)
		return;
	hb_log_limited(priority <= 4 ? HB_LOG_WARNING : HB_LOG_DEBUG,
	    "sink.log", HB_F_STR("sink", kafka->sink.conf->name),
	    HB_F_STR("facility", facility), HB_F_STR("text", text));
}

static void
on_event(struct hb_kafka_lane *lane, rd_kafka_event_t *event)
{
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_ERROR:
		on_error(lane, event);
		break;
	case RD_KAFKA_EVENT_LOG:
		on_log(lane->kafka, event);
		break;
	default:
		break;
	}
}

/* --- the reader ----------------------------------------------------------- */

/* Any thread: there may be events. */
void
hb_kafka_reader_wake(const struct hb_kafka *kafka)
{
	if (eventfd_write(kafka->wake_fd, 1) != 0)
		hb_bug("sink %s: eventfd: %s", kafka->sink.conf->name,
		    strerror(errno));
}

/* A turn's share of a lane's events: whether there may be more. */
static bool
read_events(struct hb_kafka_lane *lane)
{
	rd_kafka_event_t *event;
	int count = 0;

	if (hb_kafka_hold(lane) == NULL)
		return false;
	while (count < EVENTS_PER_TURN &&
	       (event = rd_kafka_queue_poll(lane->queue, 0)) != NULL) {
		on_event(lane, event);
		rd_kafka_event_destroy(event);
		count++;
	}
	hb_kafka_release(lane);
	return count == EVENTS_PER_TURN;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct hb_kafka *kafka = arg;
	eventfd_t wakes;
	bool more;

	(void)what;
	/* Emptied before the queues: an event after that writes it again. */
	(void)eventfd_read(fd, &wakes);
	more = read_events(&kafka->main);
	more |= read_events(&kafka->patient);
	more |= read_events(&kafka->solo);
	hb_kafka_sweep_look(kafka);
	if (more)
		hb_kafka_reader_wake(kafka);
}

/* On its way to the reader's loop; by itself because it may arrive after the
 * sink is gone, when the loop never ran. */
struct hb_kafka_joining {
	struct hb_task task;
	struct hb_kafka *kafka; /* NULL: it is gone */
};

static void
on_joining(struct hb_task *task)
{
	struct hb_kafka_joining *joining =
	    hb_container_of(task, struct hb_kafka_joining, task);
	struct hb_kafka *kafka = joining->kafka;

	free(joining);
	if (kafka == NULL)
		return;
	kafka->joining = NULL;
	hb_kafka_turn_join(kafka);
	kafka->wake = event_new(hb_loop_base(kafka->reader), kafka->wake_fd,
	    EV_READ | EV_PERSIST, on_wake, kafka);
	if (kafka->wake == NULL || event_add(kafka->wake, NULL) != 0)
		hb_bug("loop %s: cannot add an event",
		    hb_loop_name(kafka->reader));
}

void
hb_kafka_reader_join(struct hb_kafka *kafka)
{
	kafka->joining = hb_xcalloc(1, sizeof(*kafka->joining));
	kafka->joining->kafka = kafka;
	kafka->joining->task.run = on_joining;
	hb_loop_post(kafka->reader, &kafka->joining->task);
}

void
hb_kafka_reader_quit(struct hb_kafka *kafka)
{
	if (kafka->joining != NULL)
		kafka->joining->kafka = NULL;
	if (kafka->wake == NULL)
		return;
	event_free(kafka->wake);
	hb_kafka_turn_quit(kafka);
}
