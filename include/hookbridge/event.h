/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - one webhook on its way: built by one thread, sealed, then read
 *
 * struct hb_event * is mine to change, const struct hb_event * is sealed and
 * shared. Everything of an event sits in its arena, and it keeps the
 * configuration it was made under.
 * Thread: building one; sealed any. hb_event_unref() any. */
#ifndef HOOKBRIDGE_EVENT_H
#define HOOKBRIDGE_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/arena.h"
#include "hookbridge/cfg.h"
#include "hookbridge/span.h"

/* For metrics: a fixed list. */
enum hb_status_class {
	HB_STATUS_COMPLETED,
	HB_STATUS_FAILED,
	HB_STATUS_CANCELLED,
	HB_STATUS_OTHER,
	HB_STATUS_CLASSES
};

struct hb_event {
	_Atomic unsigned refs;
	struct hb_arena *arena;
	const struct hb_config *cfg; /* a reference of our own */
	const struct hb_endpoint_conf *endpoint;

	/* --- received and verified (verify, exchange) --- */
	char *body_mem;             /* malloc'ed, ours */
	struct hb_span body;        /* as it came, a direct token cut out */
	struct hb_span webhook_id;  /* absent in direct mode */
	int64_t webhook_timestamp;  /* seconds; 0 in direct mode */
	int64_t received_ms;        /* wall clock at the last body byte */
	struct hb_span traceparent, tracestate;
	uint8_t digest[32];         /* SHA-256 of body; direct mode only */

	/* --- normalized (normalize) --- */
	bool usable;
	struct hb_span id;          /* webhook_id, or "direct-" + hex digest */
	struct hb_span job_id;      /* decoded */
	struct hb_span job_id_text; /* verbatim JSON, with quotes */
	struct hb_span status;      /* folded: completed, failed, … unknown */
	struct hb_span status_text; /* verbatim JSON; absent if it was */
	enum hb_status_class status_class;
	struct hb_span job_type;    /* absent when nothing tells */
	struct hb_span metadata, result; /* likewise */
	/* Unknown members, verbatim: each span is one or more in a row, with
	 * the commas between them ("name": value, "name": value). */
	struct hb_span *extra;
	size_t extra_count;
	struct hb_span *envelope;   /* likewise, around an enveloped body */
	size_t envelope_count;
	struct hb_span *channels;
	size_t channel_count;
	const char *ce_type;        /* "ai.reducto.job.completed", … */

	/* What predicates and templates read, by enum hb_var: canonical text
	 * (strings decoded, true, false, numbers as written); absent for null,
	 * arrays, objects. cfg->var_count of them. HB_VAR_CHANNEL is unused: a
	 * route has its own idea of it. */
	struct hb_span *vars;
	/* Whether the member is there with any value but null. */
	bool *present;

	/* Bytes held of the budget; given back with the last reference. */
	struct hb_budget *budget;
	uint64_t charged;
};

/* Takes a body (malloc'ed) of which `charged` bytes stand in the budget under
 * the endpoint's share. */
struct hb_event *hb_event_new(const struct hb_config *cfg,
    const struct hb_endpoint_conf *endpoint, char *body_take, size_t body_len);
const struct hb_event *hb_event_ref(const struct hb_event *ev);
void hb_event_unref(const struct hb_event *ev);

const char *hb_status_class_name(enum hb_status_class class);

#endif
