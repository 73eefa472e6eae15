/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - libevent's loop with a mailbox
 *
 * The mailbox is a list under a mutex and an eventfd. Who posts into an empty
 * mailbox writes the eventfd; the loop takes the whole list at once and runs
 * it, so that a burst of posts costs one wake-up. A task may post itself again
 * from inside run().
 *
 * Deferred tasks hang on an event that is activated by hand: libevent puts it
 * behind the callbacks that this turn has already activated.
 *
 * The event_base itself is touched by its own thread only, hence NOLOCK. */
#include "hookbridge/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hookbridge/mem.h"

struct tasks {
	struct hb_task *first, **end;
};

struct hb_loop {
	char *name;
	struct event_base *base;
	struct event *wakeup, *deferral;
	int wake_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* the mailbox's */
	struct tasks mailbox;

	struct tasks deferred; /* the loop's thread only */
	struct tasks at_free;  /* likewise */
	struct hb_task stop;
	atomic_flag stopping; /* stop is in the mailbox */
};

static _Thread_local struct hb_loop *current;

/* --- lists of tasks ------------------------------------------------------- */

static void
tasks_init(struct tasks *tasks)
{
	tasks->first = NULL;
	tasks->end = &tasks->first;
}

static void
tasks_add(struct tasks *tasks, struct hb_task *task)
{
	if (task->posted)
		hb_bug("task %p is posted twice", (void *)task);
	task->posted = true;
	task->next = NULL;
	*tasks->end = task;
	tasks->end = &task->next;
}

static struct hb_task *
tasks_take(struct tasks *tasks)
{
	struct hb_task *first = tasks->first;

	tasks_init(tasks);
	return first;
}

static void
tasks_run(struct hb_task *task)
{
	while (task != NULL) {
		struct hb_task *next = task->next; /* run() may free task */

		task->posted = false;
		task->run(task);
		task = next;
	}
}

/* --- the mailbox ---------------------------------------------------------- */

/* Runs what is in the mailbox; true if there was anything. */
static bool
mailbox_run(struct hb_loop *loop)
{
	struct hb_task *first;
	bool any;

	pthread_mutex_lock(&loop->lock);
	first = tasks_take(&loop->mailbox);
	pthread_mutex_unlock(&loop->lock);
	any = first != NULL; /* afterwards first may be freed */
	tasks_run(first);
	return any;
}

static void
on_wakeup(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	/* Emptied before the mailbox is taken: a post after that writes again.
	 */
	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	mailbox_run(arg);
}

/* Any thread. The task runs once on the loop's thread. */
void
hb_loop_post(struct hb_loop *loop, struct hb_task *task)
{
	const uint64_t one = 1;
	bool was_empty;

	pthread_mutex_lock(&loop->lock);
	was_empty = loop->mailbox.first == NULL;
	tasks_add(&loop->mailbox, task);
	pthread_mutex_unlock(&loop->lock);
	if (!was_empty)
		return;
	while (write(loop->wake_fd, &one, sizeof(one)) < 0)
		if (errno != EINTR)
			hb_bug("loop %s: eventfd: %s", loop->name,
			    strerror(errno));
}

static void
on_deferral(evutil_socket_t fd, short what, void *arg)
{
	struct hb_loop *loop = arg;

	(void)fd;
	(void)what;
	tasks_run(tasks_take(&loop->deferred));
}

void
hb_loop_defer(struct hb_loop *loop, struct hb_task *task)
{
	if (loop->deferred.first == NULL)
		event_active(loop->deferral, EV_TIMEOUT, 1);
	tasks_add(&loop->deferred, task);
}

void
hb_loop_at_free(struct hb_loop *loop, struct hb_task *task)
{
	tasks_add(&loop->at_free, task);
}

static void
on_stop(struct hb_task *task)
{
	struct hb_loop *loop = hb_container_of(task, struct hb_loop, stop);

	atomic_flag_clear(&loop->stopping);
	event_base_loopbreak(loop->base);
}

/* --- making and freeing --------------------------------------------------- */

static bool
open_events(struct hb_loop *loop, struct hb_error *err)
{
	struct event_config *config = event_config_new();

	if (config == NULL)
		return hb_fail(
		    err, HB_E_RESOURCE, "loop %s: out of memory", loop->name);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->base == NULL || loop->wake_fd < 0)
		return hb_fail(err, HB_E_RESOURCE, "loop %s: %s", loop->name,
		    strerror(errno));
	loop->wakeup = event_new(
	    loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wakeup, loop);
	loop->deferral = event_new(loop->base, -1, 0, on_deferral, loop);
	if (loop->wakeup == NULL || loop->deferral == NULL ||
	    event_add(loop->wakeup, NULL) != 0)
		return hb_fail(err, HB_E_RESOURCE, "loop %s: cannot add events",
		    loop->name);
	return true;
}

static void
loop_release(struct hb_loop *loop)
{
	if (loop->deferral != NULL)
		event_free(loop->deferral);
	if (loop->wakeup != NULL)
		event_free(loop->wakeup);
	if (loop->base != NULL)
		event_base_free(loop->base);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop->name);
	free(loop);
}

struct hb_loop *
hb_loop_new(const char *name, struct hb_error *err)
{
	struct hb_loop *loop = hb_xcalloc(1, sizeof(*loop));

	loop->name = hb_xstrdup(name);
	loop->wake_fd = -1;
	loop->stop.run = on_stop;
	pthread_mutex_init(&loop->lock, NULL);
	atomic_flag_clear(&loop->stopping);
	tasks_init(&loop->mailbox);
	tasks_init(&loop->deferred);
	tasks_init(&loop->at_free);
	if (!open_events(loop, err)) {
		loop_release(loop);
		return NULL;
	}
	return loop;
}

/* Nobody may be in hb_loop_post() any more: join who posts first. */
void
hb_loop_free(struct hb_loop *loop)
{
	struct hb_loop *before = current;

	if (loop == NULL)
		return;
	/* What is left runs here as if the loop did: tasks may ask. */
	current = loop;
	do {
		tasks_run(tasks_take(&loop->deferred));
	} while (mailbox_run(loop) || loop->deferred.first != NULL);
	tasks_run(tasks_take(&loop->at_free));
	current = before;
	loop_release(loop);
}

/* --- running -------------------------------------------------------------- */

void
hb_loop_run(struct hb_loop *loop)
{
	current = loop;
	/* A loop that ended unasked would leave a daemon that looks alive. */
	if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
		hb_bug("loop %s: %s", loop->name, strerror(errno));
	current = NULL;
}

static void *
thread_main(void *arg)
{
	hb_loop_run(arg);
	return NULL;
}

/* Signals belong to the main thread: the new one is born with all blocked. */
bool
hb_loop_start(struct hb_loop *loop, struct hb_error *err)
{
	sigset_t all, before;
	char name[16];
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&loop->thread, NULL, thread_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return hb_fail(err, HB_E_RESOURCE, "thread %s: %s", loop->name,
		    strerror(rc));
	snprintf(name, sizeof(name), "%s", loop->name);
	pthread_setname_np(loop->thread, name);
	return true;
}

void
hb_loop_join(struct hb_loop *loop)
{
	pthread_join(loop->thread, NULL);
}

/* Any thread; changes nothing while an earlier call waits to be obeyed. */
void
hb_loop_stop(struct hb_loop *loop)
{
	if (!atomic_flag_test_and_set(&loop->stopping))
		hb_loop_post(loop, &loop->stop);
}

struct event_base *
hb_loop_base(struct hb_loop *loop)
{
	return loop->base;
}

const char *
hb_loop_name(const struct hb_loop *loop)
{
	return loop->name;
}

struct hb_loop *
hb_loop_current(void)
{
	return current;
}

/* --- timers --------------------------------------------------------------- */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hb_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->run(timer);
}

void
hb_timer_init(struct hb_timer *timer, struct hb_loop *loop,
    void (*run)(struct hb_timer *timer))
{
	*timer = (struct hb_timer){.run = run, .loop = loop};
}

void
hb_timer_set(struct hb_timer *timer, uint64_t delay_ms)
{
	struct timeval delay = {.tv_sec = (time_t)(delay_ms / 1000),
	    .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};

	if (timer->event == NULL)
		timer->event = evtimer_new(timer->loop->base, on_timer, timer);
	if (timer->event == NULL || evtimer_add(timer->event, &delay) != 0)
		hb_bug("loop %s: cannot add a timer", timer->loop->name);
}

void
hb_timer_cancel(struct hb_timer *timer)
{
	if (timer->event != NULL)
		evtimer_del(timer->event);
}

void
hb_timer_fini(struct hb_timer *timer)
{
	if (timer->event != NULL)
		event_free(timer->event);
	timer->event = NULL;
}
