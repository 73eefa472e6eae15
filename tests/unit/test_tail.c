/* SPDX-License-Identifier: Apache-2.0 */
/* test_tail.c - telling and listening, by one thread and by many */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/tail.h"

struct ear {
	struct hb_tail_listener listener;
	struct hb_tail *tail;
	uint64_t heard, missed;
	bool leaves;   /* at the first event */
	char last[64]; /* the last event's id */
	struct hb_tail_event event;
};

static void
on_event(struct hb_tail_listener *listener, const struct hb_tail_event *event,
    uint64_t missed)
{
	struct ear *ear = hb_container_of(listener, struct ear, listener);

	ear->heard++;
	ear->missed += missed;
	ear->event = *event;
	snprintf(ear->last, sizeof(ear->last), "%.*s", HB_SPAN_ARG(event->id));
	if (ear->leaves)
		hb_tail_leave(ear->tail, listener);
}

static void
join(struct ear *ear, struct hb_tail *tail, struct hb_loop *loop)
{
	*ear = (struct ear){ .tail = tail,
		.listener = { .loop = loop, .on_event = on_event } };
	hb_tail_join(tail, &ear->listener);
}

static void
tell(struct hb_tail *tail, const char *id)
{
	hb_tail_tell(tail,
	    &(struct hb_tail_event){ .word = "event.settled",
		.id = hb_span_of(id),
		.outcome = "confirmed" });
}

static void
turn(struct hb_loop *loop)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(hb_loop_base(loop), EVLOOP_NONBLOCK);
}

/* --- one thread ----------------------------------------------------------- */

static void
test_copies(void **state)
{
	struct hb_loop *loop = hb_loop_new("test", NULL);
	struct hb_tail *tail = hb_tail_new();
	char id[] = "msg_1", job[] = "81", status[] = "completed";
	char endpoint[] = "production", places[] = "main:a,streams:b";
	struct ear ear;

	(void)state;
	assert_false(hb_tail_is_watched(NULL));
	assert_false(hb_tail_is_watched(tail));
	hb_tail_tell(NULL, NULL);
	tell(tail, "unheard");
	join(&ear, tail, loop);
	assert_true(hb_tail_is_watched(tail));
	hb_tail_tell(tail,
	    &(struct hb_tail_event){ .word = "event.settled",
		.endpoint = hb_span_of(endpoint),
		.id = hb_span_of(id),
		.job_id = hb_span_of(job),
		.status = hb_span_of(status),
		.outcome = "dead-lettered",
		.destinations = hb_span_of(places),
		.reason = "unrouted",
		.wall_ms = 17,
		.took_ms = 4 });
	memset(id, '!', sizeof(id)); /* the teller's, and its to change */
	memset(job, '!', sizeof(job));
	assert_int_equal(ear.heard, 0);
	turn(loop);
	assert_int_equal(ear.heard, 1);
	assert_string_equal(ear.last, "msg_1");
	assert_int_equal(ear.missed, 0);
	assert_string_equal(ear.event.word, "event.settled");
	assert_string_equal(ear.event.outcome, "dead-lettered");
	assert_string_equal(ear.event.reason, "unrouted");
	assert_int_equal(ear.event.wall_ms, 17);
	assert_int_equal(ear.event.took_ms, 4);
	assert_int_equal(ear.event.endpoint.len, 10);
	assert_int_equal(ear.event.status.len, 9);
	assert_int_equal(ear.event.destinations.len, strlen(places));
	hb_tail_leave(tail, &ear.listener);
	assert_false(hb_tail_is_watched(tail));
	hb_tail_free(tail);
	hb_loop_free(loop);
}

static void
test_absent_stays_absent(void **state)
{
	struct hb_loop *loop = hb_loop_new("test", NULL);
	struct hb_tail *tail = hb_tail_new();
	struct ear ear;

	(void)state;
	join(&ear, tail, loop);
	hb_tail_tell(tail,
	    &(struct hb_tail_event){ .word = "dead.added",
		.job_id = HB_SPAN("") });
	turn(loop);
	assert_int_equal(ear.heard, 1);
	assert_false(hb_span_is_set(ear.event.id));
	assert_true(hb_span_is_set(ear.event.job_id)); /* empty, but there */
	assert_false(hb_span_is_set(ear.event.destinations));
	assert_null(ear.event.reason);
	hb_tail_leave(tail, &ear.listener);
	hb_tail_free(tail);
	hb_loop_free(loop);
}

/* What does not fit is counted, and told with what comes next. */
static void
test_missed(void **state)
{
	static char vast[100 * 1024];
	struct hb_loop *loop = hb_loop_new("test", NULL);
	struct hb_tail *tail = hb_tail_new();
	struct hb_tail_event event = { .word = "event.settled" };
	struct ear ear;

	(void)state;
	memset(vast, 'v', sizeof(vast));
	event.id = hb_span_make(vast, sizeof(vast));
	join(&ear, tail, loop);
	for (int i = 0; i < 25; i++)
		hb_tail_tell(tail, &event);
	turn(loop);
	assert_int_equal(ear.heard, 10); /* of 1 MiB */
	assert_int_equal(ear.missed, 0);
	tell(tail, "next");
	tell(tail, "but one");
	turn(loop);
	assert_int_equal(ear.heard, 12);
	assert_int_equal(ear.missed, 15);
	assert_string_equal(ear.last, "but one");
	hb_tail_leave(tail, &ear.listener);
	hb_tail_free(tail);
	hb_loop_free(loop);
}

/* With events on their way, from inside an event, and with the tail gone. */
static void
test_leaving(void **state)
{
	struct hb_loop *loop = hb_loop_new("test", NULL);
	struct hb_tail *tail = hb_tail_new();
	struct ear a, b, c;

	(void)state;
	join(&a, tail, loop);
	join(&b, tail, loop);
	join(&c, tail, loop);
	b.leaves = true;
	for (int i = 0; i < 3; i++)
		tell(tail, "x");
	hb_tail_leave(tail, &a.listener);
	turn(loop);
	assert_int_equal(a.heard, 0);
	assert_int_equal(b.heard, 1);
	assert_int_equal(c.heard, 3);
	assert_true(hb_tail_is_watched(tail));
	tell(tail, "y");
	hb_tail_leave(tail, &c.listener);
	hb_tail_free(tail);
	turn(loop); /* c's task finds nothing to do */
	assert_int_equal(c.heard, 3);
	hb_loop_free(loop);
}

/* --- many threads --------------------------------------------------------- */

#define TELLERS 3
#define EACH 20000
#define EARS 4

struct crowd {
	struct hb_tail *tail;
	_Atomic unsigned told, ended;
};

static void *
tell_many(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < EACH; i++) {
		tell(crowd->tail, "many");
		atomic_fetch_add(&crowd->told, 1);
	}
	atomic_fetch_add(&crowd->ended, 1);
	return NULL;
}

/* A listener on a loop of its own that comes and goes; one of them stays. */
struct guest {
	struct crowd *crowd;
	struct hb_loop *loop;
	struct ear ear;
	struct hb_task visit;
	bool stays, asked;
	unsigned visits;
	uint64_t heard; /* at the last look */
};

/* Whether who stays has heard of everything: when its queue is empty, one more
 * event tells how many it has missed. */
static bool
has_all(struct guest *guest)
{
	struct ear *ear = &guest->ear;

	if (ear->heard == guest->heard && !guest->asked) {
		guest->asked = true;
		tell(guest->crowd->tail, "final");
	}
	guest->heard = ear->heard;
	return strcmp(ear->last, "final") == 0;
}

static void
on_visit(struct hb_task *task)
{
	struct guest *guest = hb_container_of(task, struct guest, visit);
	struct ear *ear = &guest->ear;
	bool ends = guest->crowd->ended == TELLERS;

	if (ear->listener.state == NULL) {
		join(ear, guest->crowd->tail, guest->loop);
		guest->visits++;
	} else if (!guest->stays || (ends && has_all(guest))) {
		hb_tail_leave(guest->crowd->tail, &ear->listener);
		if (ends) {
			hb_loop_stop(guest->loop);
			return;
		}
	}
	hb_loop_post(guest->loop, &guest->visit);
}

static void
test_threads(void **state)
{
	struct crowd crowd = { .tail = hb_tail_new() };
	pthread_t tellers[TELLERS];
	struct guest guests[EARS] = { { .crowd = NULL } };

	(void)state;
	for (size_t i = 0; i < EARS; i++) {
		struct guest *guest = &guests[i];

		guest->crowd = &crowd;
		guest->stays = i == 0;
		guest->visit.run = on_visit;
		guest->loop = hb_loop_new("guest", NULL);
		hb_loop_post(guest->loop, &guest->visit);
		assert_true(hb_loop_start(guest->loop, NULL));
	}
	while (!hb_tail_is_watched(crowd.tail))
		sched_yield();
	for (size_t i = 0; i < TELLERS; i++)
		assert_int_equal(pthread_create(
		    &tellers[i], NULL, tell_many, &crowd), 0);
	for (size_t i = 0; i < TELLERS; i++)
		pthread_join(tellers[i], NULL);
	for (size_t i = 0; i < EARS; i++) {
		hb_loop_join(guests[i].loop);
		hb_loop_free(guests[i].loop);
		assert_true(guests[i].visits > 0);
	}
	assert_int_equal(guests[0].visits, 1);
	assert_int_equal(guests[0].ear.heard + guests[0].ear.missed,
	    TELLERS * EACH + 1);
	assert_false(hb_tail_is_watched(crowd.tail));
	hb_tail_free(crowd.tail);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_absent_stays_absent),
		cmocka_unit_test(test_missed),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
