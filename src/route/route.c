/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - from an event to its legs
 *
 *   event ─index.c─► routes worth trying ─predicate.c─► routes that match
 *         ─► their targets ─► legs, no destination twice
 *
 * Routes are tried in the configuration's order until one that is final has
 * matched. Default routes follow, where no other has matched.
 *
 * Channels. An event may have several, or none. A route is about one of them:
 * the first for which all its rows on channels hold is the channel of its legs.
 * A negated row speaks of all: {not: production} keeps events away that have
 * production among their channels. Without such rows it is the event's first
 * channel.
 *
 * Names. What a template expands to is data. It is only compared with the list
 * of destinations in the configuration; what is not there becomes a leg with a
 * reason, for the dead letters. */
#include "hookbridge/route.h"

#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "index.h"
#include "predicate.h"

#define KEY_MAX 1024

struct hb_router {
	const struct hb_config *cfg;
	struct hb_route_index *index;
};

struct hb_router *
hb_router_new(const struct hb_config *cfg)
{
	struct hb_router *router = hb_xcalloc(1, sizeof(*router));

	router->cfg = cfg;
	router->index = hb_route_index_new(cfg);
	return router;
}

void
hb_router_free(struct hb_router *router)
{
	if (router == NULL)
		return;
	hb_route_index_free(router->index);
	free(router);
}

/* --- conditions ----------------------------------------------------------- */

/* Whether all rows on channels among the first count of them hold. */
static bool
accepts_channel(
    const struct hb_route_conf *route, size_t count, struct hb_span channel)
{
	for (size_t i = 0; i < count; i++)
		if (route->when[i].var == HB_VAR_CHANNEL &&
		    !hb_predicate_holds(&route->when[i], channel, true))
			return false;
	return true;
}

static bool
all_channels_hold(
    const struct hb_predicate_conf *row, const struct hb_event *ev)
{
	for (size_t i = 0; i < ev->channel_count; i++)
		if (!hb_predicate_holds(row, ev->channels[i], true))
			return false;
	return true;
}

/* Whether row number `nth`, on channels, holds together with those before it;
 * *channel, which satisfies those, moves on to the first that satisfies all. */
static bool
channel_row_holds(const struct hb_route_conf *route, size_t nth,
    const struct hb_event *ev, size_t *channel)
{
	const struct hb_predicate_conf *row = &route->when[nth];

	if (ev->channel_count == 0)
		return hb_predicate_holds(row, HB_SPAN_NONE, false);
	if (row->negate && !all_channels_hold(row, ev))
		return false;
	for (; *channel < ev->channel_count; ++*channel)
		if (accepts_channel(route, nth + 1, ev->channels[*channel]))
			return true;
	return false;
}

static bool
row_holds(const struct hb_predicate_conf *row, const struct hb_event *ev)
{
	struct hb_span value = ev->vars[row->var];

	return hb_predicate_holds(
	    row, value, ev->present[row->var] || hb_span_is_set(value));
}

const struct hb_predicate_conf *
hb_route_mismatch(const struct hb_event *ev, const struct hb_route_conf *route,
    struct hb_span *channel)
{
	size_t nth = 0;

	for (size_t i = 0; i < route->when_count; i++) {
		const struct hb_predicate_conf *row = &route->when[i];
		bool holds = row->var == HB_VAR_CHANNEL
				 ? channel_row_holds(route, i, ev, &nth)
				 : row_holds(row, ev);

		if (!holds) {
			*channel = HB_SPAN_NONE;
			return row;
		}
	}
	*channel = ev->channel_count > 0 ? ev->channels[nth] : HB_SPAN_NONE;
	return NULL;
}

/* --- templates ------------------------------------------------------------ */

struct scope {
	const struct hb_event *ev;
	struct hb_span channel;
};

static struct hb_span
on_value(void *arg, int var)
{
	const struct scope *scope = arg;

	return var == HB_VAR_CHANNEL ? scope->channel : scope->ev->vars[var];
}

struct hb_span
hb_route_expand(
    const struct hb_tmpl *tmpl, struct hb_event *ev, struct hb_span channel)
{
	struct scope scope = {ev, channel};

	return hb_tmpl_expand(tmpl, ev->arena, on_value, &scope, NULL);
}

/* --- legs ----------------------------------------------------------------- */

static const struct hb_dest_conf *
find_dest(const struct hb_target_conf *target, struct hb_span name)
{
	for (size_t i = 0; i < target->dest_count; i++)
		if (hb_span_eq(hb_span_of(target->dests[i]->name), name))
			return target->dests[i];
	return NULL;
}

static const char *
why_not_listed(const struct hb_target_conf *target, struct hb_span name)
{
	bool (*valid_name)(struct hb_span) = target->sink->type->valid_name;

	return valid_name == NULL || valid_name(name) ? "name-not-allowed"
						      : "name-invalid";
}

/* Finds the leg's destination, or why there is none. */
static void
resolve_dest(struct hb_leg *leg, struct hb_event *ev)
{
	const struct hb_target_conf *target = leg->target;

	if (target->name == NULL || hb_tmpl_is_static(target->name)) {
		leg->dest = target->dests[0];
		return;
	}
	leg->name = hb_route_expand(target->name, ev, leg->channel);
	if (!hb_span_is_set(leg->name)) {
		leg->name = hb_tmpl_text(target->name);
		leg->reason = "name-missing";
		return;
	}
	leg->dest = find_dest(target, leg->name);
	if (leg->dest == NULL)
		leg->reason = why_not_listed(target, leg->name);
}

/* An empty key would send all its events to one partition. */
static bool
is_usable_key(struct hb_span key)
{
	return key.len > 0 && key.len <= KEY_MAX && hb_utf8_is_valid(key);
}

static void
resolve_key(struct hb_leg *leg, struct hb_event *ev)
{
	leg->key = ev->job_id;
	if (leg->target->key == NULL)
		return;
	leg->key = hb_route_expand(leg->target->key, ev, leg->channel);
	if (is_usable_key(leg->key))
		return;
	leg->key = ev->job_id;
	leg->key_replaced = true;
}

void
hb_route_leg(struct hb_event *ev, const struct hb_target_conf *target,
    const struct hb_dest_conf *dest, struct hb_leg *leg)
{
	*leg = (struct hb_leg){.target = target, .dest = dest};
	if (ev->channel_count > 0)
		leg->channel = ev->channels[0];
	resolve_key(leg, ev);
}

/* Whether both go to the same place; refused ones: would have gone. */
static bool
same_place(const struct hb_leg *a, const struct hb_leg *b)
{
	if (a->dest != NULL || b->dest != NULL)
		return a->dest == b->dest;
	return a->target->sink == b->target->sink &&
	       hb_span_eq(a->name, b->name);
}

static bool
is_planned(const struct hb_plan *plan, const struct hb_leg *leg)
{
	for (size_t i = 0; i < plan->leg_count; i++)
		if (same_place(&plan->legs[i], leg))
			return true;
	return false;
}

static void
add_leg(struct hb_plan *plan, struct hb_event *ev,
    const struct hb_target_conf *target, struct hb_span channel)
{
	struct hb_leg leg = {.target = target, .channel = channel};

	resolve_dest(&leg, ev);
	if (is_planned(plan, &leg))
		return;
	if (plan->leg_count == HB_MAX_DESTINATIONS) {
		plan->reason = "too-many-destinations";
		return;
	}
	if (leg.dest != NULL)
		resolve_key(&leg, ev);
	plan->legs[plan->leg_count++] = leg;
}

/* --- routing -------------------------------------------------------------- */

/* Tries one route; whether it matched. */
static bool
try_route(const struct hb_route_conf *route, struct hb_event *ev,
    struct hb_plan *plan)
{
	struct hb_span channel;

	if (hb_route_mismatch(ev, route, &channel) != NULL)
		return false;
	for (size_t i = 0; i < route->to_count && plan->reason == NULL; i++)
		add_leg(plan, ev, route->to[i], channel);
	return true;
}

enum rank { ORDINARY, DEFAULT };

/* Tries the routes of a set that have this rank, in order; whether any
 * matched. */
static bool
try_routes(const struct hb_router *router, const uint64_t *set, enum rank rank,
    struct hb_event *ev, struct hb_plan *plan)
{
	size_t words = hb_route_index_words(router->index);
	bool matched = false;

	for (size_t i = 0; i < words; i++) {
		for (uint64_t left = set[i]; left != 0; left &= left - 1) {
			const struct hb_route_conf *route =
			    &router->cfg->routes[i * HB_ROUTES_PER_WORD +
						 (size_t)__builtin_ctzll(left)];

			if ((route->is_default ? DEFAULT : ORDINARY) != rank ||
			    !try_route(route, ev, plan))
				continue;
			matched = true;
			if (route->final || plan->reason != NULL)
				return true;
		}
	}
	return matched;
}

void
hb_route(
    const struct hb_router *router, struct hb_event *ev, struct hb_plan *plan)
{
	size_t words = hb_route_index_words(router->index);
	uint64_t *set = hb_arena_alloc(ev->arena, words * sizeof(*set));

	plan->leg_count = 0;
	plan->reason = NULL;
	hb_route_index_find(router->index, ev, set);
	if (!try_routes(router, set, ORDINARY, ev, plan) &&
	    !try_routes(router, set, DEFAULT, ev, plan))
		plan->reason = "unrouted";
	if (plan->reason != NULL)
		plan->leg_count = 0;
}
