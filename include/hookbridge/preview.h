/* SPDX-License-Identifier: Apache-2.0 */
/* preview.h - what would become of a webhook, found out without sending it
 *
 * Goes the way of a request through the daemon's own stages, up to where bytes
 * would leave the process: no network, no broker, no disk, no memory of earlier
 * events. So it cannot know of repetitions, of sinks that are down and of disks
 * that are full.
 * Called by: ctl/explain.c.
 * Thread: one at a time for each configuration, whose budget shares it uses.
 * Owns: the event, and everything it points to but the request. */
#ifndef HOOKBRIDGE_PREVIEW_H
#define HOOKBRIDGE_PREVIEW_H

#include <netinet/in.h>

#include "hookbridge/error.h"
#include "hookbridge/event.h"
#include "hookbridge/http.h"
#include "hookbridge/message.h"
#include "hookbridge/route.h"

struct hb_preview_request {
	const struct hb_config *cfg;
	struct hb_span head; /* as received, with the line that ends it */
	struct hb_span body; /* decoded, if it came in chunks */
	/* NULL: from an address that the endpoint allows. */
	const struct in6_addr *peer;
	int64_t at_ms; /* wall clock */
	/* Pass over a verification that fails, as long as nothing secret would
	 * be published by that: a wrong token in metadata cannot be cut out. */
	bool lenient;
};

enum hb_verdict {
	HB_VERDICT_NOT_REACHED, /* answered before */
	HB_VERDICT_GOOD,
	HB_VERDICT_BAD,
	HB_VERDICT_PASSED_OVER  /* bad, and lenient */
};

enum hb_turn {
	HB_TURN_MATCH,
	HB_TURN_NO_MATCH,
	HB_TURN_NOT_REACHED, /* behind a final route that matched */
	HB_TURN_NOT_NEEDED   /* a default, and another route matched */
};

/* What a route makes of the event. */
struct hb_preview_route {
	const struct hb_route_conf *conf;
	enum hb_turn turn;
	const struct hb_predicate_conf *row; /* no match: what does not hold */
	struct hb_span channel; /* match: of its legs, or absent */
};

/* One message that would be sent. */
struct hb_preview_parcel {
	const struct hb_leg *leg; /* NULL: the event as a whole */
	const struct hb_route_conf *route; /* that asked for the leg */
	/* Why it goes to the dead letters instead; NULL: it does not. */
	const char *dead_reason;
	/* The sentence for what is too large, or cannot be kept. */
	struct hb_error why;
	/* It is too large, and goes out as a claim check: the digest of the
	 * body, which is kept. "": it does not. */
	char claim[HB_CLAIM_DIGEST + 1];
	/* A dead letter that is kept in the spool's directory. Its message, if
	 * that has a destination, is a copy; if not, copy_why says why. */
	bool kept;
	struct hb_error copy_why;
	/* It is neither kept nor sent: the event is not accepted. */
	bool nowhere;
	struct hb_message msg;
};

struct hb_preview {
	struct hb_arena *arena;
	struct hb_http_head head;
	const struct hb_endpoint_conf *endpoint; /* NULL: no such path */
	enum hb_verdict verdict;
	struct hb_error refusal; /* bad, passed over: the reason */
	bool is_passable;        /* bad: lenient would pass over it */
	unsigned key;            /* good: the secret's place in its list */

	struct hb_event *ev; /* NULL: answered before there was one */
	bool id_is_made_up;  /* no webhook id was given */
	struct hb_error fault; /* why the body is unusable; HB_OK: it is not */
	/* Of a usable event. */
	struct hb_preview_route *routes;
	size_t route_count;
	struct hb_plan *plan;
	struct hb_preview_parcel *parcels;
	size_t parcel_count;

	/* What the sender is told when every message is confirmed in time, and
	 * the disk has room. */
	struct hb_http_reply answer;
	/* "confirmed", "spooled", "dead-lettered"; else why not, as the access
	 * log says:
	 * "unauthorized", "body-too-large", "no-dead-letter", … */
	const char *outcome;

	struct hb_router *router;
	struct hb_budget budget;
	uint64_t unverified, paid; /* held of the budget */
};

/* The request stays valid as long as the preview. */
void hb_preview_make(const struct hb_preview_request *req,
    struct hb_preview *preview);
void hb_preview_fini(struct hb_preview *preview);

#endif
