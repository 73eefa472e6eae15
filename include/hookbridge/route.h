/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - which destinations an event goes to; pure
 *
 * Routes are compiled once and indexed by the values they ask for (channel,
 * endpoint, status, metadata), so that only routes which can match are tried.
 * Every matching route contributes its destinations; the first to name one
 * decides its key, format, headers.
 * Thread: a router is read-only and shared. */
#ifndef HOOKBRIDGE_ROUTE_H
#define HOOKBRIDGE_ROUTE_H

#include "hookbridge/cfg.h"
#include "hookbridge/event.h"

#define HB_MAX_DESTINATIONS 32

struct hb_router;
struct hb_router *hb_router_new(const struct hb_config *cfg);
void hb_router_free(struct hb_router *router);

/* Where one copy goes. */
struct hb_leg {
	const struct hb_target_conf *target;
	const struct hb_dest_conf *dest; /* NULL: refused, see reason */
	struct hb_span channel;          /* of the route; absent if none */
	struct hb_span key;              /* never absent for an accepted leg */
	/* The configured key had no usable value: job_id took its place. */
	bool key_replaced;
	/* Why this copy goes to the dead letters: "name-missing",
	 * "name-not-allowed", "name-invalid"; NULL when accepted. */
	const char *reason;
	/* For a refused leg: what was expanded; its template as written where
	 * a value was missing. */
	struct hb_span name;
};

struct hb_plan {
	struct hb_leg legs[HB_MAX_DESTINATIONS];
	size_t leg_count;
	/* The whole event is for the dead letters: "unrouted",
	 * "too-many-destinations"; NULL otherwise. */
	const char *reason;
};

/* Cannot fail: what cannot be routed is said in the plan. Expansions are made
 * in the event's arena. */
void hb_route(const struct hb_router *router, struct hb_event *ev,
    struct hb_plan *plan);

/* A leg to one of the target's destinations, whatever the routes say. */
void hb_route_leg(struct hb_event *ev, const struct hb_target_conf *target,
    const struct hb_dest_conf *dest, struct hb_leg *leg);

/* A template's text for one leg, whose channel is {channel}; the absent span
 * when a value is missing. Made in the event's arena. */
struct hb_span hb_route_expand(const struct hb_tmpl *tmpl,
    struct hb_event *ev, struct hb_span channel);

/* Why a route matched or not, for explain: the first row of `when` that does
 * not hold, or NULL when all do; *channel as the leg would have it. */
const struct hb_predicate_conf *hb_route_mismatch(const struct hb_event *ev,
    const struct hb_route_conf *route, struct hb_span *channel);

#endif
