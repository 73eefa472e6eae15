/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_turn.c - when the queues are looked at
 *
 *   a worker   at the end of the turn of its loop in which it sent something:
 *              requests that arrived together go into one batch; and when
 *              reports have made room for those that wait: the worker that is
 *              woken by one of them is called, librdkafka's thread may not
 *              produce
 *   the reader as long as anybody waits every SWEEP_MS, for who has waited for
 *              too long
 *
 * What hangs on a worker's loop may outlive the sink: it is freed with the
 * loop. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "kafka.h"

/* How often is looked, and how old is too old. */
#define SWEEP_MS (HB_KAFKA_WAIT_MAX_MS / 2)

/* Hands over what is ready. */
static void
go(struct hb_kafka *kafka)
{
	if (hb_kafka_hold(&kafka->main) == NULL)
		return; /* then nobody waits */
	hb_kafka_queue_go(kafka);
	hb_kafka_release(&kafka->main);
}

/* --- a worker's turn ------------------------------------------------------ */

struct hb_kafka_turn {
	struct hb_kafka *kafka; /* NULL once that is closed */
	struct hb_loop *loop;
	struct hb_task start, end, call, gone;
};

static void
on_gone(struct hb_task *task)
{
	free(hb_container_of(task, struct hb_kafka_turn, gone));
}

static void
on_start(struct hb_task *task)
{
	struct hb_kafka_turn *turn =
	    hb_container_of(task, struct hb_kafka_turn, start);

	hb_loop_at_free(turn->loop, &turn->gone);
}

static void
on_end(struct hb_task *task)
{
	struct hb_kafka_turn *turn =
	    hb_container_of(task, struct hb_kafka_turn, end);
	struct hb_kafka *kafka = turn->kafka;

	if (kafka != NULL)
		go(kafka);
}

static void
on_call(struct hb_task *task)
{
	struct hb_kafka_turn *turn =
	    hb_container_of(task, struct hb_kafka_turn, call);
	struct hb_kafka *kafka = turn->kafka;

	if (kafka == NULL)
		return;
	hb_kafka_queue_answer_call(kafka);
	go(kafka);
}

static struct hb_kafka_turn *
turn_new(struct hb_kafka *kafka, struct hb_loop *loop)
{
	struct hb_kafka_turn *turn = hb_xcalloc(1, sizeof(*turn));

	turn->kafka = kafka;
	turn->loop = loop;
	turn->start.run = on_start;
	turn->end.run = on_end;
	turn->call.run = on_call;
	turn->gone.run = on_gone;
	hb_loop_post(loop, &turn->start);
	return turn;
}

void
hb_kafka_turns_open(
    struct hb_kafka *kafka, struct hb_loop *const *loops, size_t count)
{
	kafka->turns = hb_xcalloc(count, sizeof(*kafka->turns));
	for (; kafka->turn_count < count; kafka->turn_count++)
		kafka->turns[kafka->turn_count] =
		    turn_new(kafka, loops[kafka->turn_count]);
}

void
hb_kafka_turns_close(struct hb_kafka *kafka)
{
	for (size_t i = 0; i < kafka->turn_count; i++)
		kafka->turns[i]->kafka = NULL;
	free(kafka->turns);
}

static struct hb_kafka_turn *
turn_of(const struct hb_kafka *kafka, const struct hb_loop *loop)
{
	for (size_t i = 0; i < kafka->turn_count; i++)
		if (kafka->turns[i]->loop == loop)
			return kafka->turns[i];
	hb_bug("sink %s: sent from loop %s, which is no worker's",
	    kafka->sink.conf->name, hb_loop_name(loop));
}

void
hb_kafka_turn_call(struct hb_kafka *kafka, const struct hb_loop *loop)
{
	struct hb_kafka_turn *turn = turn_of(kafka, loop);

	hb_loop_post(turn->loop, &turn->call);
}

/* --- sending -------------------------------------------------------------- */

static void
end_turn_soon(struct hb_kafka_turn *turn)
{
	if (!turn->end.posted)
		hb_loop_defer(turn->loop, &turn->end);
}

static void
report_refusal(struct hb_kafka_topic *topic, struct hb_delivery *delivery,
    enum hb_kafka_admission admission)
{
	hb_kafka_unpack(delivery);
	if (admission == HB_KAFKA_FULL)
		hb_kafka_report_unsent(&topic->kafka->main, delivery,
		    RD_KAFKA_RESP_ERR__QUEUE_FULL);
	else
		hb_kafka_report_not_now(topic, delivery);
}

void
hb_kafka_turn_send(struct hb_kafka_topic *topic, struct hb_delivery *delivery)
{
	struct hb_kafka_turn *turn = turn_of(topic->kafka, delivery->home);
	enum hb_kafka_admission admission;
	bool is_swept = true;

	hb_kafka_pack(delivery);
	/* Once it waits it may be reported any time. */
	admission = hb_kafka_queue_add(topic, delivery, &is_swept);
	if (admission == HB_KAFKA_NOT_NOW || admission == HB_KAFKA_FULL)
		report_refusal(topic, delivery, admission);
	else if (!is_swept)
		hb_kafka_reader_wake(topic->kafka);
	if (admission == HB_KAFKA_IS_READY)
		end_turn_soon(turn);
}

/* --- the reader's timer --------------------------------------------------- */

static void
set_sweep(struct hb_kafka *kafka)
{
	kafka->sweep_is_set = true;
	hb_timer_set(&kafka->sweep, SWEEP_MS);
}

static void
on_sweep(struct hb_timer *timer)
{
	struct hb_kafka *kafka = hb_container_of(timer, struct hb_kafka, sweep);

	kafka->sweep_is_set = false;
	if (hb_kafka_hold(&kafka->main) == NULL)
		return;
	if (hb_kafka_queue_sweep(
		kafka, hb_clock_mono_us() - SWEEP_MS * UINT64_C(1000)))
		set_sweep(kafka);
	hb_kafka_release(&kafka->main);
	go(kafka); /* those that wait for one that was refused */
}

/* Whether the sweep is due, that has to be begun. */
static bool
is_swept(struct hb_kafka *kafka)
{
	bool is;

	pthread_mutex_lock(&kafka->lock);
	is = kafka->is_swept;
	pthread_mutex_unlock(&kafka->lock);
	return is;
}

/* --- the reader ----------------------------------------------------------- */

void
hb_kafka_turn_join(struct hb_kafka *kafka)
{
	hb_timer_init(&kafka->sweep, kafka->reader, on_sweep);
}

/* The reader was woken, perhaps because somebody waits. */
void
hb_kafka_sweep_look(struct hb_kafka *kafka)
{
	if (!kafka->sweep_is_set && is_swept(kafka))
		set_sweep(kafka);
}

void
hb_kafka_turn_quit(struct hb_kafka *kafka)
{
	hb_timer_fini(&kafka->sweep);
}
