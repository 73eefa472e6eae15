/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h - many equal timeouts on one timer
 *
 * All deadlines of a queue lie the same time ahead when they are set, so they
 * are due in the order of setting: a list and one timer serve them, at no
 * allocation and constant cost each.
 * Thread: the loop's. A deadline is embedded in what it acts on. */
#ifndef HOOKBRIDGE_DEADLINE_H
#define HOOKBRIDGE_DEADLINE_H

#include <stdint.h>

#include "hookbridge/loop.h"

struct hb_deadline {
	struct hb_deadline *next, *prev; /* NULL while not set */
	uint64_t due_ms;
};

struct hb_deadlines {
	struct hb_deadline head; /* ring */
	struct hb_timer timer;
	uint64_t timeout_ms;
	void (*on_due)(struct hb_deadline *deadline);
};

/* A zeroed deadline is not set. */
void hb_deadlines_init(struct hb_deadlines *queue, struct hb_loop *loop,
    uint64_t timeout_ms, void (*on_due)(struct hb_deadline *deadline));
/* Deadlines still set are forgotten. */
void hb_deadlines_fini(struct hb_deadlines *queue);
/* One that is set, in this queue or another, is moved. */
void hb_deadline_set(struct hb_deadlines *queue, struct hb_deadline *deadline);
void hb_deadline_cancel(struct hb_deadline *deadline);

#endif
