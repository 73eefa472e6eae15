/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - a thread, its event_base and its mailbox
 *
 * A loop owns what was made on it; loops talk only by hb_loop_post(). Tasks
 * are embedded in what they act on: posting allocates nothing and cannot fail.
 * Thread: hb_loop_post() and hb_loop_stop() any, the rest as said.
 * Order: tasks that one thread posts to one loop run in the order posted. */
#ifndef HOOKBRIDGE_LOOP_H
#define HOOKBRIDGE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/error.h"

struct event_base;
struct hb_loop;

struct hb_task {
	struct hb_task *next;             /* the mailbox's, while posted */
	void (*run)(struct hb_task *task); /* may free what embeds the task */
	bool posted;                      /* asserted: never twice at once */
};

struct hb_loop *hb_loop_new(const char *name, struct hb_error *err);
/* Not while the loop runs. Tasks still in the mailbox are run first. */
void hb_loop_free(struct hb_loop *loop);

/* Start the loop in a thread of its own (all signals blocked, named after the
 * loop); wait for it to end. */
bool hb_loop_start(struct hb_loop *loop, struct hb_error *err) HB_MUST_CHECK;
void hb_loop_join(struct hb_loop *loop);
/* Or run it in the calling thread until hb_loop_stop(). */
void hb_loop_run(struct hb_loop *loop);
/* The loop ends after the tasks that are in its mailbox now. */
void hb_loop_stop(struct hb_loop *loop);

void hb_loop_post(struct hb_loop *loop, struct hb_task *task);
/* On the loop's own thread: run the task after the callbacks that this turn
 * of the loop has yet to run; for work that gathers over a turn. */
void hb_loop_defer(struct hb_loop *loop, struct hb_task *task);

/* On the loop's thread: run the task when the loop is freed, after all others;
 * for what a module keeps for each loop. */
void hb_loop_at_free(struct hb_loop *loop, struct hb_task *task);

struct event_base *hb_loop_base(struct hb_loop *loop);
const char *hb_loop_name(const struct hb_loop *loop);
/* The loop this thread runs, or NULL. */
struct hb_loop *hb_loop_current(void);

/* A one-shot monotonic timer of the loop, embedded in what it acts on. Used
 * on the loop's own thread only. Setting a pending timer moves it. */
struct hb_timer {
	void *event; /* struct event *, made at the first set */
	void (*run)(struct hb_timer *timer);
	struct hb_loop *loop;
};
void hb_timer_init(struct hb_timer *timer, struct hb_loop *loop,
    void (*run)(struct hb_timer *timer));
/* The delay counts from when this turn of the loop began, by a coarse clock:
 * for what must not be early, look at the clock when it runs. */
void hb_timer_set(struct hb_timer *timer, uint64_t delay_ms);
void hb_timer_cancel(struct hb_timer *timer);
void hb_timer_fini(struct hb_timer *timer);

#endif
