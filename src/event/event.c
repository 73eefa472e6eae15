/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - an event, its arena, its references
 *
 * The event sits in its own arena, which is sized so that a webhook of
 * ordinary size needs no second chunk for spans, rendered values and the
 * tracker. The body stays where it was received. */
#include "hookbridge/event.h"

#include <stdlib.h>

#include "hookbridge/budget.h"

/* Room for the spans, the tracker and two deliveries; a value for a sink is
 * about the body again. Larger ones get a chunk of their own. */
#define ARENA_BASE 7168
#define ARENA_BODY_MAX (32 * 1024)

/* Everything not yet known is absent. */
struct hb_event *
hb_event_new(const struct hb_config *cfg,
    const struct hb_endpoint_conf *endpoint, char *body_take, size_t body_len)
{
	size_t body_room =
	    body_len < ARENA_BODY_MAX ? body_len : ARENA_BODY_MAX;
	struct hb_arena *arena = hb_arena_new(ARENA_BASE + body_room);
	struct hb_event *ev = hb_arena_calloc(arena, 1, sizeof(*ev));

	atomic_init(&ev->refs, 1);
	ev->arena = arena;
	ev->cfg = hb_config_ref(cfg);
	ev->endpoint = endpoint;
	ev->body_mem = body_take;
	ev->body = hb_span_make(body_take, body_len);
	ev->status_class = HB_STATUS_OTHER;
	ev->vars = hb_arena_calloc(arena, cfg->var_count, sizeof(*ev->vars));
	ev->present =
	    hb_arena_calloc(arena, cfg->var_count, sizeof(*ev->present));
	return ev;
}

const struct hb_event *
hb_event_ref(const struct hb_event *ev)
{
	/* The count is the one part of a sealed event that changes. */
	struct hb_event *counted = (struct hb_event *)(uintptr_t)ev;

	atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
	return ev;
}

/* The last reference gives back memory, budget and configuration. */
void
hb_event_unref(const struct hb_event *ev)
{
	struct hb_event *counted = (struct hb_event *)(uintptr_t)ev;
	const struct hb_config *cfg = ev->cfg;

	if (atomic_fetch_sub_explicit(
		&counted->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (ev->charged > 0)
		hb_budget_give(ev->budget, ev->endpoint->share, ev->charged);
	free(ev->body_mem);
	hb_arena_free(ev->arena);
	hb_config_unref(cfg);
}

const char *
hb_status_class_name(enum hb_status_class class)
{
	static const char *const names[HB_STATUS_CLASSES] = {
	    [HB_STATUS_COMPLETED] = "completed",
	    [HB_STATUS_FAILED] = "failed",
	    [HB_STATUS_CANCELLED] = "cancelled",
	    [HB_STATUS_OTHER] = "other",
	};

	return names[class];
}
