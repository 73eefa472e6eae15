/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - copies of what is told, one queue for each listener
 *
 * Whoever tells looks at one atomic count; only if somebody listens does it
 * take the lock, copy the event into each listener's queue and post that
 * listener's task, if it is not posted already: a burst wakes a loop once. The
 * task takes the whole queue and tells it without the lock.
 *
 * A queue holds QUEUE_MAX bytes. What does not fit is missed, and counted on
 * the next one that does.
 *
 * A listener may leave while its task is in the mailbox, or from inside its own
 * on_event: its state is then freed by the task. */
#include "hookbridge/tail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hookbridge/mem.h"

#define QUEUE_MAX ((size_t)1024 * 1024)

/* An event and, behind it, its texts. */
struct copy {
	struct copy *next;
	struct hb_tail_event event;
	uint64_t missed; /* before it */
	char texts[];
};

/* What a listener has here. */
struct state {
	struct hb_tail *tail;
	struct hb_tail_listener *listener; /* NULL once it has left */
	struct hb_task task;
	/* Under the tail's lock. */
	struct copy *first, **end;
	size_t bytes;
	uint64_t missed;
	bool posted; /* or running */
};

struct hb_tail {
	_Atomic unsigned watchers;
	pthread_mutex_t lock;
	struct hb_tail_listener *listeners;
};

struct hb_tail *
hb_tail_new(void)
{
	struct hb_tail *tail = hb_xcalloc(1, sizeof(*tail));

	pthread_mutex_init(&tail->lock, NULL);
	return tail;
}

/* Nobody tells or listens any more. NULL is allowed. */
void
hb_tail_free(struct hb_tail *tail)
{
	if (tail == NULL)
		return;
	if (tail->listeners != NULL)
		hb_bug("somebody still listens");
	pthread_mutex_destroy(&tail->lock);
	free(tail);
}

/* --- queues --------------------------------------------------------------- */

static struct hb_span
copy_text(char **to, struct hb_span text)
{
	struct hb_span copied = {*to, text.len};

	if (text.ptr == NULL)
		return HB_SPAN_NONE;
	memcpy(*to, text.ptr, text.len);
	*to += text.len;
	return copied;
}

/* Words are constants; the rest belongs to the teller. */
static size_t
texts_size(const struct hb_tail_event *event)
{
	return event->endpoint.len + event->id.len + event->job_id.len +
	    event->status.len + event->destinations.len;
}

static struct copy *
copy_new(const struct hb_tail_event *event)
{
	struct copy *copy = hb_xmalloc(sizeof(*copy) + texts_size(event));
	char *to = copy->texts;

	*copy = (struct copy){ .event = *event };
	copy->event.endpoint = copy_text(&to, event->endpoint);
	copy->event.id = copy_text(&to, event->id);
	copy->event.job_id = copy_text(&to, event->job_id);
	copy->event.status = copy_text(&to, event->status);
	copy->event.destinations = copy_text(&to, event->destinations);
	return copy;
}

static void
empty(struct state *state)
{
	state->first = NULL;
	state->end = &state->first;
	state->bytes = 0;
}

static void
free_copies(struct copy *copy)
{
	for (struct copy *next; copy != NULL; copy = next) {
		next = copy->next;
		free(copy);
	}
}

/* Under the lock. */
static void
enqueue(struct state *state, const struct hb_tail_event *event)
{
	size_t size = sizeof(struct copy) + texts_size(event);
	struct copy *copy;

	if (size > QUEUE_MAX - state->bytes) {
		state->missed++;
		return;
	}
	copy = copy_new(event);
	copy->missed = state->missed;
	state->missed = 0;
	*state->end = copy;
	state->end = &copy->next;
	state->bytes += size;
	if (!state->posted) {
		state->posted = true;
		hb_loop_post(state->listener->loop, &state->task);
	}
}

/* --- telling -------------------------------------------------------------- */

bool
hb_tail_is_watched(const struct hb_tail *tail)
{
	return tail != NULL && atomic_load(&tail->watchers) > 0;
}

void
hb_tail_tell(struct hb_tail *tail, const struct hb_tail_event *event)
{
	if (!hb_tail_is_watched(tail))
		return;
	pthread_mutex_lock(&tail->lock);
	for (struct hb_tail_listener *l = tail->listeners; l != NULL;
	     l = l->next)
		enqueue(l->state, event);
	pthread_mutex_unlock(&tail->lock);
}

/* --- listening ------------------------------------------------------------ */

/* What has gathered. */
static struct copy *
take(struct state *state)
{
	struct copy *first;

	pthread_mutex_lock(&state->tail->lock);
	first = state->first;
	empty(state);
	pthread_mutex_unlock(&state->tail->lock);
	return first;
}

/* What was told meanwhile has its turn behind whatever else waits on the
 * loop. */
static void
go_on(struct state *state)
{
	pthread_mutex_lock(&state->tail->lock);
	state->posted = state->first != NULL;
	if (state->posted)
		hb_loop_post(state->listener->loop, &state->task);
	pthread_mutex_unlock(&state->tail->lock);
}

/* On the listener's loop. */
static void
on_task(struct hb_task *task)
{
	struct state *state = hb_container_of(task, struct state, task);
	struct copy *first = state->listener != NULL ? take(state) : NULL;

	for (struct copy *c = first; c != NULL && state->listener != NULL;
	     c = c->next)
		state->listener->on_event(
		    state->listener, &c->event, c->missed);
	free_copies(first);
	if (state->listener != NULL)
		go_on(state);
	else
		free(state);
}

void
hb_tail_join(struct hb_tail *tail, struct hb_tail_listener *listener)
{
	struct state *state = hb_xcalloc(1, sizeof(*state));

	state->tail = tail;
	state->listener = listener;
	state->task.run = on_task;
	empty(state);
	listener->state = state;
	pthread_mutex_lock(&tail->lock);
	listener->next = tail->listeners;
	tail->listeners = listener;
	pthread_mutex_unlock(&tail->lock);
	atomic_fetch_add(&tail->watchers, 1);
}

void
hb_tail_leave(struct hb_tail *tail, struct hb_tail_listener *listener)
{
	struct state *state = listener->state;
	struct hb_tail_listener **link = &tail->listeners;
	struct copy *left;

	atomic_fetch_sub(&tail->watchers, 1);
	pthread_mutex_lock(&tail->lock);
	while (*link != listener)
		link = &(*link)->next;
	*link = listener->next;
	left = state->first;
	empty(state);
	pthread_mutex_unlock(&tail->lock);
	free_copies(left);
	state->listener = NULL;
	listener->state = NULL;
	if (!state->posted)
		free(state);
}
