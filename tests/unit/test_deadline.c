/* SPDX-License-Identifier: Apache-2.0 */
/* test_deadline.c - what is due runs in order and never early
 *
 * Mostly the clock stands still and the queue's timer is run by hand; what
 * ran is noted in a trace, one letter each. */
#include "hookbridge/deadline.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"

#define START 1000
#define TIMEOUT 50

static char trace[64];

struct item {
	struct hb_deadline deadline;
	char letter;
	/* What on_due() does besides noting. */
	struct hb_deadlines *set_in; /* itself, again, once */
	struct item *cancel;
	struct hb_loop *stop;
	bool free;
};

static void
on_due(struct hb_deadline *deadline)
{
	struct item *item = hb_container_of(deadline, struct item, deadline);
	struct hb_deadlines *set_in = item->set_in;
	size_t len = strlen(trace);

	assert_true(len < sizeof(trace) - 1);
	assert_true(hb_clock_mono_ms() >= deadline->due_ms);
	assert_null(deadline->next); /* it is not set any more */
	trace[len] = item->letter;
	trace[len + 1] = '\0';
	item->set_in = NULL;
	if (set_in != NULL)
		hb_deadline_set(set_in, deadline);
	if (item->cancel != NULL)
		hb_deadline_cancel(&item->cancel->deadline);
	if (item->stop != NULL)
		hb_loop_stop(item->stop);
	if (item->free)
		free(item);
}

static struct {
	struct hb_loop *loop;
	struct hb_deadlines queue;
	struct item a, b, c;
} fx;

static int
set_up(void **state)
{
	(void)state;
	hb_clock_freeze(START, 0);
	trace[0] = '\0';
	fx.loop = hb_loop_new("test", NULL);
	assert_non_null(fx.loop);
	hb_deadlines_init(&fx.queue, fx.loop, TIMEOUT, on_due);
	fx.a = (struct item){.letter = 'a'};
	fx.b = (struct item){.letter = 'b'};
	fx.c = (struct item){.letter = 'c'};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	hb_deadlines_fini(&fx.queue);
	hb_loop_free(fx.loop);
	hb_clock_thaw();
	return 0;
}

static bool
timer_is_set(const struct hb_deadlines *queue)
{
	return queue->timer.event != NULL &&
	       event_pending(queue->timer.event, EV_TIMEOUT, NULL) != 0;
}

/* The timer fires at this time: whoever waits must go on waiting. */
static void
fire_at(struct hb_deadlines *queue, uint64_t now_ms)
{
	hb_clock_freeze(now_ms, 0);
	hb_timer_cancel(&queue->timer); /* libevent has taken it off */
	queue->timer.run(&queue->timer);
	assert_int_equal(
	    timer_is_set(queue), queue->head.next != &queue->head);
}

static void
test_due_in_order(void **state)
{
	(void)state;
	assert_false(timer_is_set(&fx.queue));
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	assert_true(timer_is_set(&fx.queue));
	hb_clock_freeze(START + 10, 0);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	hb_deadline_set(&fx.queue, &fx.c.deadline);
	fire_at(&fx.queue, START + TIMEOUT - 1); /* early: nothing */
	assert_string_equal(trace, "");
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "a");
	fire_at(&fx.queue, START + TIMEOUT + 9);
	assert_string_equal(trace, "a");
	fire_at(&fx.queue, START + TIMEOUT + 10); /* both at once */
	assert_string_equal(trace, "abc");
	assert_false(timer_is_set(&fx.queue));
	/* It serves again. */
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	assert_true(timer_is_set(&fx.queue));
	fire_at(&fx.queue, START + 3 * TIMEOUT);
	assert_string_equal(trace, "abca");
}

/* However late the timer is, order and number stay. */
static void
test_late(void **state)
{
	struct item items[20];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(items); i++) {
		items[i] = (struct item){.letter = (char)('a' + i)};
		hb_clock_freeze(START + 7 * i, 0);
		hb_deadline_set(&fx.queue, &items[i].deadline);
	}
	fire_at(&fx.queue, START + 100000);
	assert_string_equal(trace, "abcdefghijklmnopqrst");
}

static void
test_cancel(void **state)
{
	(void)state;
	hb_deadline_cancel(&fx.a.deadline); /* not set */
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	hb_deadline_set(&fx.queue, &fx.c.deadline);
	hb_deadline_cancel(&fx.b.deadline);
	hb_deadline_cancel(&fx.b.deadline);
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "ac");
	hb_deadline_cancel(&fx.a.deadline); /* has run */

	/* The timer of one that is gone fires for nothing. */
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_deadline_cancel(&fx.a.deadline);
	fire_at(&fx.queue, START + 2 * TIMEOUT);
	assert_string_equal(trace, "ac");
}

/* The timer that the first left behind is early for the second. */
static void
test_cancel_the_first(void **state)
{
	(void)state;
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_clock_freeze(START + 20, 0);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	hb_deadline_cancel(&fx.a.deadline);
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "");
	fire_at(&fx.queue, START + TIMEOUT + 20);
	assert_string_equal(trace, "b");
}

/* Set while set: it is due once, at the later time, and the ring is whole. */
static void
test_set_again_moves(void **state)
{
	struct hb_deadlines other;

	(void)state;
	hb_deadlines_init(&other, fx.loop, 2 * TIMEOUT, on_due);
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	hb_clock_freeze(START + 10, 0);
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "b");
	hb_deadline_set(&fx.queue, &fx.a.deadline); /* the only one */
	fire_at(&fx.queue, START + TIMEOUT + 10);
	assert_string_equal(trace, "b");
	fire_at(&fx.queue, START + 2 * TIMEOUT);
	assert_string_equal(trace, "ba");

	/* From one queue to another. */
	hb_deadline_set(&fx.queue, &fx.c.deadline);
	hb_deadline_set(&other, &fx.c.deadline);
	fire_at(&fx.queue, START + 3 * TIMEOUT);
	assert_string_equal(trace, "ba");
	fire_at(&other, START + 4 * TIMEOUT);
	assert_string_equal(trace, "bac");
	hb_deadlines_fini(&other);
}

/* Whoever is due may set itself again, cancel others and free itself. */
static void
test_acting_when_due(void **state)
{
	struct item *gone = hb_xcalloc(1, sizeof(*gone));

	(void)state;
	*gone = (struct item){.letter = 'x', .free = true};
	fx.a.set_in = &fx.queue;
	fx.a.cancel = &fx.b;
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	hb_deadline_set(&fx.queue, &gone->deadline);
	hb_deadline_set(&fx.queue, &fx.c.deadline);
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "axc");
	fire_at(&fx.queue, START + 2 * TIMEOUT - 1);
	assert_string_equal(trace, "axc");
	fire_at(&fx.queue, START + 2 * TIMEOUT);
	assert_string_equal(trace, "axca");
}

/* Forgotten deadlines are not set: they may be set elsewhere. */
static void
test_fini_forgets(void **state)
{
	struct hb_deadlines other;

	(void)state;
	hb_deadlines_init(&other, fx.loop, TIMEOUT, on_due);
	hb_deadline_set(&other, &fx.a.deadline);
	hb_deadline_set(&other, &fx.b.deadline);
	hb_deadlines_fini(&other);
	assert_null(fx.a.deadline.next);
	assert_null(fx.b.deadline.next);
	memset(&other, 0x5a, sizeof(other));
	hb_deadline_cancel(&fx.a.deadline);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	fire_at(&fx.queue, START + TIMEOUT);
	assert_string_equal(trace, "b");
}

/* --- on a loop that runs -------------------------------------------------- */

static void
test_on_the_loop(void **state)
{
	struct hb_deadlines slow;

	(void)state;
	hb_clock_thaw();
	hb_deadlines_init(&slow, fx.loop, 3600 * 1000, on_due);
	fx.a.set_in = &fx.queue;
	fx.b.cancel = &fx.c;
	hb_deadline_set(&slow, &fx.c.deadline);
	hb_deadline_set(&fx.queue, &fx.a.deadline);
	hb_deadline_set(&fx.queue, &fx.b.deadline);
	fx.a.stop = fx.loop; /* obeyed twice */
	hb_loop_run(fx.loop);
	hb_loop_run(fx.loop);
	assert_string_equal(trace, "aba");
	hb_deadlines_fini(&slow);
}

struct look {
	struct hb_timer timer;
	uint64_t then_ms;
	char seen[sizeof(trace)];
};

/* Looks what has run, then lets the clock go on. */
static void
on_look(struct hb_timer *timer)
{
	struct look *look = hb_container_of(timer, struct look, timer);

	strcpy(look->seen, trace);
	hb_clock_freeze(look->then_ms, 0);
}

/* Our clock decides, not how long libevent has slept: its timer may be early
 * and is then set again. */
static void
test_the_clock_decides(void **state)
{
	struct hb_deadlines quick;
	struct look look = {.then_ms = START + 1};

	(void)state;
	hb_deadlines_init(&quick, fx.loop, 1, on_due);
	hb_timer_init(&look.timer, fx.loop, on_look);
	fx.a.stop = fx.loop;
	hb_deadline_set(&quick, &fx.a.deadline);
	hb_timer_set(&look.timer, 30);
	hb_loop_run(fx.loop);
	assert_string_equal(look.seen, "");
	assert_string_equal(trace, "a");
	hb_timer_fini(&look.timer);
	hb_deadlines_fini(&quick);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_due_in_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_cancel_the_first, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_set_again_moves, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_acting_when_due, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_fini_forgets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_on_the_loop, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_the_clock_decides, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
