/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h - tells whoever listens how events end, while they do
 *
 * Thread: telling any, lock-free while nobody listens; the listener is called
 * on its own loop. What is told is copied; who listens too slowly misses some,
 * and is told how many. */
#ifndef HOOKBRIDGE_TAIL_H
#define HOOKBRIDGE_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/loop.h"
#include "hookbridge/span.h"

/* An end of an event, or of one delivery that was replayed. */
struct hb_tail_event {
	const char *word; /* "event.settled", "delivery.replayed",
			   * "dead.added" */
	struct hb_span endpoint, id, job_id;
	struct hb_span status;      /* folded; absent when not known */
	const char *outcome;        /* hb_outcome_word(), or "duplicate" */
	struct hb_span destinations; /* "main:a,streams:b", or absent */
	const char *reason;         /* of a dead letter; NULL */
	int64_t wall_ms, took_ms;
};

struct hb_tail;
struct hb_tail *hb_tail_new(void);
void hb_tail_free(struct hb_tail *tail);
/* Cheap: whether telling is of any use. NULL is allowed: false. */
bool hb_tail_is_watched(const struct hb_tail *tail);
void hb_tail_tell(struct hb_tail *tail, const struct hb_tail_event *event);

/* Embedded by who listens. */
struct hb_tail_listener {
	struct hb_loop *loop;
	/* On the loop; missed: how many could not be told before this one. */
	void (*on_event)(struct hb_tail_listener *listener,
	    const struct hb_tail_event *event, uint64_t missed);

	/* The tail's. */
	struct hb_tail_listener *next;
	void *state;
};
/* Both on the listener's loop; afterwards on_event does not run. */
void hb_tail_join(struct hb_tail *tail, struct hb_tail_listener *listener);
void hb_tail_leave(struct hb_tail *tail, struct hb_tail_listener *listener);

#endif
