/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_queue.c - one batch at a time for each partition
 *
 * A produce request of librdkafka carries one partition, so that messages
 * which are spread over partitions make many small requests; waiting for more
 * of them (linger.ms) costs every message its share. Instead, while messages
 * of a partition are under way those that follow wait here, and all of them
 * are handed over when the last report has come:
 *
 *            send                  the turn ends
 *     FREE ────────► READY (others join) ──────► BUSY (others wait)
 *      ▲               ▲                          │
 *      │               └─ the last report, ───────┤
 *      │                  somebody waits          │
 *      └──────────────────── nobody waits ────────┘
 *
 * So the batches grow with the load and with the distance of the broker, and
 * who is alone waits for nobody. (kafka_turn.c says when it is looked.)
 *
 * Order: a partition's messages reach librdkafka in the order they were sent,
 * by one thread at a time, and it puts back in order what it repeats after a
 * connection has broken. It may cut a batch into several requests (it begins to
 * send while it is being given the rest): should the broker refuse one of them
 * and take the next, these change places, unless the producer is idempotent.
 * When a batch fails each of its messages is reported as it fared, and those
 * that wait are handed over all the same: nothing waits for a repetition that
 * is for others to decide.
 *
 * Where order is asked for (`ordered`) a batch holds one message, and who waits
 * does so until that is confirmed, or refused for good. When it has to be sent
 * again all that wait are given back, so that they can be kept behind it.
 *
 * Time: otherwise nothing waits here for longer than HB_KAFKA_WAIT_MAX_MS. What
 * does is handed over behind the batch that is out; from there on librdkafka's
 * own timeout counts. So a partition in trouble is left to librdkafka, which
 * alone knows what was written, and who is late is reported by it, once, before
 * the ack deadline.
 *
 * Invariants, under the lock: (1) who waits has entered the lane; (2) somebody
 * waits only in READY, where a turn is about to end or a worker is called, and
 * in BUSY, where reports are to come; (3) while somebody waits, is_swept; (4)
 * one thread at a time hands over messages of a partition, is_going. How many
 * wait and are under way together is bounded by librdkafka's own limit; their
 * bytes are paid for from the budget, which that limit follows (kafka_conf.c).
 *
 * With a linger.ms of the operator's none of this is used. */
#include "hookbridge/clock.h"
#include "kafka.h"

/* The sink's own word in a delivery. */
struct hb_kafka_part *
hb_kafka_queue_of(const struct hb_delivery *delivery)
{
	return (struct hb_kafka_part *)(uintptr_t)delivery->word[0];
}

/* --- one queue (all with the lock held) ----------------------------------- */

static void
add(struct hb_kafka_part *part, struct hb_delivery *delivery)
{
	delivery->word[0] = (uintptr_t)part;
	delivery->next = NULL;
	*part->end = delivery;
	part->end = &delivery->next;
}

static struct hb_delivery *
take_all(struct hb_kafka_part *part)
{
	struct hb_delivery *first = part->first;

	part->first = NULL;
	part->end = &part->first;
	return first;
}

/* The end of the list of those that one request holds. */
static struct hb_delivery **
end_of_batch(struct hb_kafka_part *part, uint64_t *count)
{
	const struct hb_kafka_limits *limits = &part->topic->kafka->limits;
	struct hb_delivery **end = &part->first;
	size_t size = 0;

	for (*count = 0; *end != NULL && *count < limits->batch_count;
	     (*count)++) {
		size += hb_kafka_message_size(&(*end)->msg);
		if (*count > 0 && size > limits->batch_size)
			break;
		end = &(*end)->next;
	}
	return end;
}

/* Takes those that wait, but not more than a request holds. They are
 * outstanding from now on. */
static struct hb_delivery *
take_batch(struct hb_kafka_part *part)
{
	struct hb_delivery *first = part->first, **end, *rest;
	uint64_t count;

	end = end_of_batch(part, &count);
	rest = *end;
	*end = NULL;
	part->first = rest;
	if (rest == NULL)
		part->end = &part->first;
	part->outstanding += count;
	part->handed_us = hb_clock_mono_us();
	hb_kafka_partition_unstick(part);
	return first;
}

static void
make_ready(struct hb_kafka_part *part)
{
	struct hb_kafka *kafka = part->topic->kafka;

	part->is_ready = true;
	part->next_ready = kafka->ready;
	kafka->ready = part;
}

/* One of those that are ready, or NULL. */
static struct hb_kafka_part *
take_ready(struct hb_kafka *kafka)
{
	struct hb_kafka_part *part = kafka->ready;

	if (part == NULL)
		return NULL;
	kafka->ready = part->next_ready;
	part->is_ready = false;
	return part;
}

/* So many that were handed over are reported. */
static void
settle(struct hb_kafka_part *part, uint64_t count)
{
	hb_kafka_leave(&part->topic->kafka->main, count);
	part->outstanding -= count;
	if (part->outstanding == 0 && part->first != NULL && !part->is_ready)
		make_ready(part);
}

/* --- handing over --------------------------------------------------------- */

/* Nobody has time for them any more, or they may not go without the one before
 * them. */
static void
give_back(struct hb_kafka *kafka, struct hb_delivery *list)
{
	struct hb_delivery *next;
	uint64_t count = 0;

	for (; list != NULL; list = next, count++) {
		next = list->next; /* before it is somebody else's */
		hb_kafka_unpack(list);
		hb_kafka_report_unsent(
		    &kafka->main, list, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
	}
	if (count > 0)
		hb_kafka_exit(&kafka->main, count);
}

/* With the lock held: those that may not follow what failed. */
static struct hb_delivery *
take_followers(struct hb_kafka_part *part, bool failed)
{
	return failed && part->topic->kafka->is_ordered ? take_all(part)
							: NULL;
}

bool
hb_kafka_queue_leave(struct hb_kafka_part *part, bool failed)
{
	struct hb_kafka *kafka = part->topic->kafka;
	struct hb_delivery *followers;
	bool calls;

	pthread_mutex_lock(&kafka->lock);
	followers = take_followers(part, failed);
	settle(part, 1);
	calls = kafka->ready != NULL && !kafka->is_called;
	kafka->is_called |= calls;
	pthread_mutex_unlock(&kafka->lock);
	give_back(kafka, followers);
	return calls;
}

void
hb_kafka_queue_answer_call(struct hb_kafka *kafka)
{
	pthread_mutex_lock(&kafka->lock);
	kafka->is_called = false;
	pthread_mutex_unlock(&kafka->lock);
}

/* So many were refused, and are reported. The lock is given away meanwhile. */
static void
settle_refused(struct hb_kafka_part *part, uint64_t count)
{
	struct hb_kafka *kafka = part->topic->kafka;
	struct hb_delivery *followers = take_followers(part, true);

	settle(part, count);
	pthread_mutex_unlock(&kafka->lock);
	give_back(kafka, followers);
	pthread_mutex_lock(&kafka->lock);
}

/* Hands over what waits in one queue, a request's worth. The lock is given
 * away meanwhile. Those that librdkafka refuses are reported, and leave. */
static void
hand_over(struct hb_kafka_part *part)
{
	struct hb_kafka *kafka = part->topic->kafka;
	struct hb_delivery *batch = take_batch(part), *next;
	uint64_t refused = 0;

	part->is_going = true;
	pthread_mutex_unlock(&kafka->lock);
	for (; batch != NULL; batch = next) {
		next = batch->next; /* before it is somebody else's */
		refused +=
		    !hb_kafka_produce(&kafka->main, batch, part->number);
	}
	pthread_mutex_lock(&kafka->lock);
	part->is_going = false;
	if (refused > 0)
		settle_refused(part, refused);
}

void
hb_kafka_queue_go(struct hb_kafka *kafka)
{
	struct hb_kafka_part *part;

	pthread_mutex_lock(&kafka->lock);
	while ((part = take_ready(kafka)) != NULL)
		if (part->outstanding == 0 && part->first != NULL)
			hand_over(part); /* not swept meanwhile */
	pthread_mutex_unlock(&kafka->lock);
}

/* --- sending -------------------------------------------------------------- */

/* With the lock held. */
static enum hb_kafka_admission
admit(struct hb_kafka_topic *topic, struct hb_delivery *delivery,
    int32_t number)
{
	struct hb_kafka *kafka = topic->kafka;
	struct hb_kafka_lane *lane = &kafka->main;
	struct hb_kafka_part *part;

	if (!lane->accepting)
		return HB_KAFKA_NOT_NOW;
	if (lane->outstanding >= kafka->limits.queue_count)
		return HB_KAFKA_FULL;
	part = number >= 0
		   ? topic->parts[number]
		   : hb_kafka_partition_sticky(topic, delivery->sent_us);
	lane->outstanding++;
	add(part, delivery);
	kafka->is_swept = true;
	if (part->is_ready || part->outstanding > 0)
		return HB_KAFKA_WAITS;
	make_ready(part);
	return HB_KAFKA_IS_READY;
}

enum hb_kafka_admission
hb_kafka_queue_add(struct hb_kafka_topic *topic, struct hb_delivery *delivery,
    bool *is_swept)
{
	struct hb_kafka *kafka = topic->kafka;
	int32_t count = atomic_load(&topic->part_count), number;
	enum hb_kafka_admission admission;

	if (count == 0) /* no metadata yet */
		return HB_KAFKA_NOT_NOW;
	number = hb_kafka_partition_of(
	    kafka->limits.partitioner, delivery->msg.key, count);
	pthread_mutex_lock(&kafka->lock);
	*is_swept = kafka->is_swept;
	admission = admit(topic, delivery, number);
	pthread_mutex_unlock(&kafka->lock);
	return admission;
}

/* --- all queues ----------------------------------------------------------- */

/* The partitions of all topics in turn, NULL after the last; with the lock
 * held, which may be given away in between. */
static struct hb_kafka_part *
next_part(struct hb_kafka *kafka, size_t *topic, int32_t *number)
{
	for (; *topic < kafka->topic_count; (*topic)++, *number = 0)
		if (*number < kafka->topics[*topic].part_room)
			return kafka->topics[*topic].parts[(*number)++];
	return NULL;
}

static bool
is_overdue(const struct hb_kafka_part *part, uint64_t before_us)
{
	return part->first != NULL && part->first->sent_us < before_us &&
	       !part->is_going && !part->topic->kafka->is_ordered;
}

bool
hb_kafka_queue_sweep(struct hb_kafka *kafka, uint64_t before_us)
{
	struct hb_kafka_part *part;
	size_t topic = 0;
	int32_t number = 0;
	bool any;

	pthread_mutex_lock(&kafka->lock);
	/* Who comes while the lock is given away, to a queue that has been
	 * looked at, says so anew. */
	kafka->is_swept = false;
	while ((part = next_part(kafka, &topic, &number)) != NULL) {
		while (is_overdue(part, before_us))
			hand_over(part);
		kafka->is_swept |= part->first != NULL;
	}
	any = kafka->is_swept;
	pthread_mutex_unlock(&kafka->lock);
	return any;
}

void
hb_kafka_queue_give_back(struct hb_kafka *kafka)
{
	struct hb_kafka_part *part;
	size_t topic = 0;
	int32_t number = 0;

	pthread_mutex_lock(&kafka->lock);
	while ((part = next_part(kafka, &topic, &number)) != NULL) {
		struct hb_delivery *list = take_all(part);

		pthread_mutex_unlock(&kafka->lock);
		give_back(kafka, list);
		pthread_mutex_lock(&kafka->lock);
	}
	while (take_ready(kafka) != NULL)
		; /* nobody waits there any more */
	pthread_mutex_unlock(&kafka->lock);
}
