/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - the values of messages, as text */
#ifndef HB_RENDER_VALUE_H
#define HB_RENDER_VALUE_H

#include "hookbridge/message.h"

/* What stands for an event's result. */
struct hb_value_claim {
	struct hb_span urn, digest;
	uint64_t size;
};

/* A usable event as one JSON object, in its arena. claim: instead of its
 * result; NULL: the result. */
struct hb_span hb_value_json(struct hb_event *ev, struct hb_span received_at,
    const struct hb_value_claim *claim);

/* The same as the data of a CloudEvent in structured mode, whose attributes
 * stand in headers "ce_*". */
struct hb_span hb_value_cloudevent(struct hb_arena *arena,
    const struct hb_header *attributes, size_t count, struct hb_span json);

#endif
