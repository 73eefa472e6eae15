/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_solo.c - sends the messages of a refused batch one by one
 *
 * "Too large", "invalid record" and the like are said of a whole batch, no
 * matter which message of it is at fault. So each of them is sent once more by
 * a producer whose batches hold one message; what is refused there is refused
 * for good, the others were only in bad company.
 *
 *   report ─► enter the solo lane ─► suspects ─► watch ─► produce ─► report
 *                                                  └─ opens the lane if need be
 *
 * Most sinks never need that producer: the watch makes it for the first
 * suspect, and it stays. A suspect's time to be confirmed begins anew; that it
 * may end after the ack deadline is the tracker's to cope with. */
#include "hookbridge/mem.h"
#include "kafka.h"

static void
list_init(struct hb_kafka *kafka)
{
	kafka->suspects = NULL;
	kafka->suspects_end = &kafka->suspects;
}

static struct hb_delivery *
list_take(struct hb_kafka *kafka)
{
	struct hb_delivery *first;

	pthread_mutex_lock(&kafka->lock);
	first = kafka->suspects;
	list_init(kafka);
	pthread_mutex_unlock(&kafka->lock);
	return first;
}

/* There is no producer for it. */
static void
give_back(struct hb_kafka_lane *lane, struct hb_delivery *delivery,
    const struct hb_error *why)
{
	hb_delivery_report(delivery, HB_REPORT_RETRY, why);
	hb_kafka_exit(lane, 1);
	hb_kafka_release(lane);
}

/* The watch alone opens and closes the lane, and so may ask for its producer
 * without the lock. */
static bool
need_lane(struct hb_kafka_lane *lane, struct hb_error *err)
{
	if (lane->rk != NULL)
		return true;
	if (atomic_load(&lane->kafka->closing))
		return hb_fail(err, HB_E_RETRY,
		    "kafka: not sent again before the shutdown");
	return hb_kafka_lane_open(lane, err);
}

static void
on_suspects(struct hb_task *task)
{
	struct hb_kafka *kafka =
	    hb_container_of(task, struct hb_kafka, on_suspects);
	struct hb_delivery *delivery = list_take(kafka), *next;
	struct hb_error why;
	bool is_open = need_lane(&kafka->solo, &why);

	for (; delivery != NULL; delivery = next) {
		next = delivery->next; /* before it is somebody else's */
		if (is_open)
			hb_kafka_produce_freely(&kafka->solo, delivery);
		else
			give_back(&kafka->solo, delivery, &why);
	}
}

void
hb_kafka_solo_init(struct hb_kafka *kafka)
{
	list_init(kafka);
	kafka->on_suspects.run = on_suspects;
	kafka->solo.accepting = true;
}

bool
hb_kafka_solo_add(struct hb_kafka *kafka, struct hb_delivery *delivery)
{
	bool was_empty;

	if (!hb_kafka_enter(&kafka->solo))
		return false;
	delivery->next = NULL;
	pthread_mutex_lock(&kafka->lock);
	was_empty = kafka->suspects == NULL;
	*kafka->suspects_end = delivery;
	kafka->suspects_end = &delivery->next;
	pthread_mutex_unlock(&kafka->lock);
	if (was_empty)
		hb_loop_post(kafka->watch, &kafka->on_suspects);
	return true;
}
