/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.c - a ring in order of setting, one timer for its first
 *
 * Invariants: (1) the ring is sorted by due_ms, because every entry was put at
 * its end with the same distance; (2) when the ring is not empty the timer is
 * set, no later than the first entry is due. Cancelling leaves the timer alone:
 * it then fires once for nothing, which is cheaper than moving it each time. */
#include "hookbridge/deadline.h"

#include <stddef.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"

static void
arm(struct hb_deadlines *queue, uint64_t now_ms)
{
	uint64_t due_ms = queue->head.next->due_ms;

	hb_timer_set(&queue->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* Runs what is due, in order, then waits for the next. */
static void
on_timer(struct hb_timer *timer)
{
	struct hb_deadlines *queue =
	    hb_container_of(timer, struct hb_deadlines, timer);
	uint64_t now_ms = hb_clock_mono_ms();

	while (queue->head.next != &queue->head &&
	    queue->head.next->due_ms <= now_ms) {
		struct hb_deadline *due = queue->head.next;

		hb_deadline_cancel(due);
		queue->on_due(due);
	}
	if (queue->head.next != &queue->head)
		arm(queue, now_ms);
}

/* Makes an empty queue whose deadlines lie timeout_ms ahead. */
void
hb_deadlines_init(struct hb_deadlines *queue, struct hb_loop *loop,
    uint64_t timeout_ms, void (*on_due)(struct hb_deadline *deadline))
{
	queue->head.next = queue->head.prev = &queue->head;
	queue->timeout_ms = timeout_ms;
	queue->on_due = on_due;
	hb_timer_init(&queue->timer, loop, on_timer);
}

/* Forgets what is set and releases the timer. */
void
hb_deadlines_fini(struct hb_deadlines *queue)
{
	while (queue->head.next != &queue->head)
		hb_deadline_cancel(queue->head.next);
	hb_timer_fini(&queue->timer);
}

/* Puts the deadline at the end of the ring, wherever it was before. */
void
hb_deadline_set(struct hb_deadlines *queue, struct hb_deadline *deadline)
{
	uint64_t now_ms = hb_clock_mono_ms();
	bool first;

	hb_deadline_cancel(deadline);
	first = queue->head.next == &queue->head;
	deadline->due_ms = now_ms + queue->timeout_ms;
	deadline->prev = queue->head.prev;
	deadline->next = &queue->head;
	deadline->prev->next = deadline->next->prev = deadline;
	if (first)
		arm(queue, now_ms);
}

/* Takes it out; nothing happens if it is not set. */
void
hb_deadline_cancel(struct hb_deadline *deadline)
{
	if (deadline->next == NULL)
		return;
	deadline->prev->next = deadline->next;
	deadline->next->prev = deadline->prev;
	deadline->next = deadline->prev = NULL;
}
