/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_lazy.c - the lanes that few sinks need, made when they are
 *
 * A producer costs threads and connections. So two lanes have none before
 * somebody wants to send there:
 *
 *   patient   what is kept on disk and may take its time: large batches, and
 *             none of them before or between those that are waited for
 *   solo      the messages of a refused batch, one by one. "Too large",
 *             "invalid record" and the like are said of a whole batch, no
 *             matter which message of it is at fault. What is refused there
 *             is refused for good, the others were only in bad company.
 *
 *   lazy_send ─┬─ there is a producer, nobody waits ─────────► produce
 *              └─► first … end ─► the watch, which opens the lane ─┘
 *   lazy_add  ───────┘
 *
 * (The watch, because making a producer blocks; what comes by lazy_add comes
 * from a thread of librdkafka's, which may not produce.) Once it is there it
 * stays until the sink is closed or it goes fatal, and the next one is made in
 * the same way.
 *
 * Order: what one thread sends reaches librdkafka in the order it was sent. As
 * long as the watch has anything to produce, is_called, whatever comes waits
 * behind it. Who is sent alone may arrive behind its successors: where order is
 * asked for (`ordered`) all batches hold one message, and nobody has to be.
 *
 * Time: a message of a refused batch has its time to be confirmed anew. That it
 * may end after the ack deadline is the tracker's to cope with. */
#include "hookbridge/mem.h"
#include "kafka.h"

/* --- who waits ------------------------------------------------------------ */

/* What becomes of one that wants to enter. */
enum entry {
	REFUSED,
	GOES,  /* it is to be produced by its sender */
	WAITS, /* for the watch, which is busy */
	CALLS  /* the same, and the watch is to be called */
};

/* With the lock held. */
static enum entry
append(struct hb_kafka_lane *lane, struct hb_delivery *delivery)
{
	enum entry entry = lane->is_called ? WAITS : CALLS;

	delivery->next = NULL;
	*lane->end = delivery;
	lane->end = &delivery->next;
	lane->is_called = true;
	return entry;
}

/* Who enters holds the lane, as by hb_kafka_enter(). */
static enum entry
enter(struct hb_kafka_lane *lane, struct hb_delivery *delivery, bool may_go)
{
	enum entry entry = REFUSED;

	pthread_mutex_lock(&lane->kafka->lock);
	if (lane->accepting) {
		lane->outstanding++;
		lane->users++;
		if (may_go && lane->rk != NULL && !lane->is_called)
			entry = GOES;
		else
			entry = append(lane, delivery);
	}
	pthread_mutex_unlock(&lane->kafka->lock);
	return entry;
}

/* All that wait; the watch is done when there are none. */
static struct hb_delivery *
take_all(struct hb_kafka_lane *lane)
{
	struct hb_delivery *first;

	pthread_mutex_lock(&lane->kafka->lock);
	first = lane->first;
	lane->first = NULL;
	lane->end = &lane->first;
	lane->is_called = first != NULL;
	pthread_mutex_unlock(&lane->kafka->lock);
	return first;
}

/* --- the watch ------------------------------------------------------------ */

/* The watch alone opens and closes the lane, and so may ask for its producer
 * without the lock. */
static bool
need_producer(struct hb_kafka_lane *lane, struct hb_error *err)
{
	if (lane->rk != NULL)
		return true;
	if (atomic_load(&lane->kafka->closing))
		return hb_fail(
		    err, HB_E_RETRY, "kafka: not sent before the shutdown");
	return hb_kafka_lane_open(lane, err);
}

static void
give_back(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    const struct hb_error *why)
{
	hb_delivery_report(delivery, HB_REPORT_RETRY, why);
	hb_kafka_exit(lane, 1);
	hb_kafka_release(lane);
}

static void
on_call(struct hb_task *task)
{
	struct hb_kafka_lane *lane =
	    hb_container_of(task, struct hb_kafka_lane, call);
	struct hb_delivery *delivery, *next;
	struct hb_error why;
	bool is_open = need_producer(lane, &why);

	while ((delivery = take_all(lane)) != NULL)
		for (; delivery != NULL; delivery = next) {
			next = delivery->next; /* before it is another's */
			if (is_open)
				hb_kafka_produce_freely(lane, delivery);
			else
				give_back(lane, delivery, &why);
		}
}

/* --- sending -------------------------------------------------------------- */

void
hb_kafka_lazy_init(struct hb_kafka_lane *lane)
{
	lane->end = &lane->first;
	lane->call.run = on_call;
	lane->accepting = true;
}

void
hb_kafka_lazy_renew(struct hb_kafka_lane *lane)
{
	struct hb_kafka *kafka = lane->kafka;

	pthread_mutex_lock(&kafka->lock);
	lane->accepting = !atomic_load(&kafka->closing);
	pthread_mutex_unlock(&kafka->lock);
}

void
hb_kafka_lazy_send(struct hb_kafka_lane *lane, struct hb_delivery *delivery)
{
	struct hb_kafka *kafka = lane->kafka;

	switch (enter(lane, delivery, true)) {
	case REFUSED:
		hb_kafka_report_not_now(
		    kafka->by_dest[delivery->msg.dest->index], delivery);
		break;
	case GOES:
		hb_kafka_produce_freely(lane, delivery);
		break;
	case CALLS:
		hb_loop_post(kafka->watch, &lane->call);
		break;
	case WAITS:
		break;
	}
}

bool
hb_kafka_lazy_add(struct hb_kafka_lane *lane, struct hb_delivery *delivery)
{
	enum entry entry = enter(lane, delivery, false);

	if (entry == CALLS)
		hb_loop_post(lane->kafka->watch, &lane->call);
	return entry != REFUSED;
}
