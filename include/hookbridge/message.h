/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - an event rendered for one destination; pure
 *
 * Sealed like its event: spans of the event's arena, valid while the event is.
 * Value and headers follow CloudEvents 1.0.2 (binary mode for json and raw,
 * structured for cloudevents); the header names are ours, "ce_*", "hb_*",
 * "content-type", and the configured ones. */
#ifndef HOOKBRIDGE_MESSAGE_H
#define HOOKBRIDGE_MESSAGE_H

#include "hookbridge/event.h"
#include "hookbridge/route.h"

struct hb_header {
	struct hb_span name, value;
};

struct hb_message {
	const struct hb_target_conf *target;
	const struct hb_dest_conf *dest;
	struct hb_span key, value;
	const struct hb_header *headers;
	size_t header_count;
	struct hb_span id;       /* the event's, for idempotent adds */
	struct hb_span endpoint; /* its name */
	bool dedup;              /* the endpoint's repetitions are unwanted */
	bool dead_letter; /* value is a body as received, maybe not JSON */
	/* Configured headers that could not be said: a value was missing, too
	 * long, or had control characters. */
	unsigned headers_left_out;
};

/* Values that do not depend on the destination are made once for an event. */
struct hb_render {
	struct hb_event *ev;
	struct hb_span json, received_at; /* absent until they are needed */
	struct hb_span claimed_json, claim; /* likewise: the digest in it */
};
void hb_render_init(struct hb_render *render, struct hb_event *ev);
void hb_render_leg(struct hb_render *render, const struct hb_leg *leg,
    struct hb_message *msg);

#define HB_CLAIM_DIGEST 64 /* hex digits */
#define HB_CLAIM_URN "urn:hookbridge:claim:"
/* The same without the result, whose place a reference to the body as received
 * takes, by its digest: not for raw. How long the message is does not depend
 * on the digest. */
void hb_render_claimed_leg(struct hb_render *render, const struct hb_leg *leg,
    const char *digest, uint64_t size, struct hb_message *msg);

/* "sink:name", as hb_destination has it; absent without dest. */
struct hb_span hb_render_place(const struct hb_render *render,
    const struct hb_dest_conf *dest, struct hb_span name);
/* The body as received with hb_reason, hb_endpoint, hb_received_at,
 * hb_destination ("sink:name"; absent: none) and hb_webhook_id. Its key is the
 * job_id, or the event's id where there is none. */
void hb_render_dead_letter(struct hb_render *render,
    const struct hb_target_conf *target, const char *reason,
    struct hb_span destination, struct hb_message *msg);

/* What a dead letter has besides: who set it aside, and why. What is absent is
 * left out. */
struct hb_dead_reasons {
	const char *reason;
	struct hb_span endpoint;
	int64_t received_ms;
	struct hb_span destination; /* "sink:name" */
	struct hb_span webhook_id;
};
#define HB_DEAD_REASONS 5 /* headers, at the most */
/* Says them by headers behind those that are there; their number then. */
size_t hb_render_reasons(const struct hb_dead_reasons *reasons,
    struct hb_arena *arena, struct hb_header *headers, size_t count);

/* What it costs while under way: bytes + 512 + 128 for each header. */
uint64_t hb_message_cost(const struct hb_message *msg);

#endif
