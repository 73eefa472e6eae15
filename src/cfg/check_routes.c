/* SPDX-License-Identifier: Apache-2.0 */
/* check_routes.c - routes seen together: names, destinations that two of them
 * name, routes that can never act, and channels that a route trusts */
#include <string.h>

#include "load.h"

/* --- channels ------------------------------------------------------------- */

/* "*" and "?" on bytes; goes back at most to the last star. */
static bool
glob_matches(const char *glob, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*glob == '*') {
			star = glob++;
			resume = text;
		} else if (*glob != '\0' && (*glob == '?' || *glob == *text)) {
			glob++;
			text++;
		} else if (star != NULL) {
			glob = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

static bool
is_among(const struct hb_strings *values, const char *text)
{
	for (size_t i = 0; i < values->count; i++)
		if (strcmp(values->items[i], text) == 0)
			return true;
	return false;
}

/* Whether a row on the channel holds for this label. */
static bool
row_accepts(const struct hb_predicate_conf *row, const char *label)
{
	bool holds = true;

	switch (row->op) {
	case HB_P_ANY_OF:
		holds = is_among(&row->values, label);
		break;
	case HB_P_PREFIX:
		holds = row->values.count > 0 &&
		    strncmp(label, row->values.items[0],
			strlen(row->values.items[0])) == 0;
		break;
	case HB_P_GLOB:
		holds = row->values.count > 0 &&
		    glob_matches(row->values.items[0], label);
		break;
	case HB_P_ABSENT:
		return false;
	case HB_P_EXISTS:
	case HB_P_GT:
	case HB_P_GE:
	case HB_P_LT:
	case HB_P_LE:
		return true;
	}
	return holds != row->negate;
}

/* Whether the name of a destination is made from the channel. */
static bool
names_by_channel(const struct hb_route_conf *route)
{
	for (size_t i = 0; i < route->to_count; i++)
		if (route->to[i]->name != NULL &&
		    hb_tmpl_uses(route->to[i]->name, HB_VAR_CHANNEL))
			return true;
	return false;
}

/* Whether the route decides by this label and by no endpoint. */
static bool
trusts_label(const struct hb_route_conf *route, const char *label)
{
	bool decides = names_by_channel(route);

	for (size_t i = 0; i < route->when_count; i++) {
		const struct hb_predicate_conf *row = &route->when[i];

		if (row->var == HB_VAR_ENDPOINT)
			return false;
		if (row->var != HB_VAR_CHANNEL)
			continue;
		if (!row_accepts(row, label))
			return false;
		decides |= !row->negate && row->op != HB_P_EXISTS;
	}
	return decides;
}

const struct hb_route_conf *
hb_route_trusting_label(const struct hb_config *cfg, const char *label)
{
	for (size_t i = 0; i < cfg->route_count; i++)
		if (trusts_label(&cfg->routes[i], label))
			return &cfg->routes[i];
	return NULL;
}

/* --- destinations named more than once ------------------------------------ */

/* The first target to name a destination; the one whose key, format and
 * headers count where several do. */
struct owner {
	const struct hb_route_conf *route;
	const struct hb_target_conf *target;
};

static bool
equal_templates(const struct hb_tmpl *a, const struct hb_tmpl *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return hb_span_eq(hb_tmpl_text(a), hb_tmpl_text(b));
}

static bool
equal_targets(const struct hb_target_conf *a, const struct hb_target_conf *b)
{
	const struct hb_key *keys = a->sink->type->target_keys;

	if (a->format != b->format || a->oversize != b->oversize ||
	    a->header_count != b->header_count ||
	    !equal_templates(a->key, b->key))
		return false;
	for (size_t i = 0; i < a->header_count; i++)
		if (strcmp(a->headers[i].name, b->headers[i].name) != 0 ||
		    !equal_templates(a->headers[i].value, b->headers[i].value))
			return false;
	return keys == NULL || hb_keys_equal(keys, a->settings, b->settings);
}

static void
warn_repeated(struct hb_load *ld, const struct hb_node *node,
    const struct hb_route_conf *route, const struct owner *owner,
    const struct hb_dest_conf *dest)
{
	const char *colon = dest->name[0] != '\0' ? ":" : "";

	if (owner->route == route)
		hb_report_warn(ld->report, node,
		    "names %s%s%s a second time in one route",
		    dest->sink->name, colon, dest->name);
	else
		hb_report_warn(ld->report, node,
		    "names %s%s%s as route \"%s\" does, but with another key, "
		    "format, headers or settings; where both match, those of "
		    "\"%s\" count", dest->sink->name, colon, dest->name,
		    owner->route->name, owner->route->name);
}

/* One warning for each target is enough. */
static void
check_target(struct hb_load *ld, const struct hb_node *node,
    const struct hb_route_conf *route, const struct hb_target_conf *target,
    struct owner *owners)
{
	bool warned = false;

	for (size_t i = 0; i < target->dest_count; i++) {
		const struct hb_dest_conf *dest = target->dests[i];
		struct owner *owner = &owners[dest->index];

		if (owner->target == NULL) {
			*owner = (struct owner){ route, target };
		} else if (!warned && (owner->route == route ||
			!equal_targets(owner->target, target))) {
			warn_repeated(ld, node, route, owner, dest);
			warned = true;
		}
	}
}

static void
check_targets(struct hb_load *ld, const struct hb_node *routes)
{
	const struct hb_config *cfg = ld->cfg;
	struct owner *owners = hb_arena_calloc(ld->scratch, cfg->dest_count,
	    sizeof(*owners));

	for (size_t i = 0; i < cfg->route_count; i++) {
		const struct hb_route_conf *route = &cfg->routes[i];
		const struct hb_node *to =
		    hb_node_get(hb_node_child(routes, i), "to");

		for (size_t j = 0; j < route->to_count; j++)
			check_target(ld, hb_node_item(to, j), route,
			    route->to[j], owners);
	}
}

/* --- names, and routes that never act ------------------------------------- */

static void
check_name(struct hb_load *ld, const struct hb_node *map,
    const struct hb_route_conf *route)
{
	const struct hb_node *name = hb_node_get(map, "name");

	for (size_t i = 0; i < route->index; i++) {
		if (strcmp(ld->cfg->routes[i].name, route->name) != 0)
			continue;
		hb_report_error(ld->report, name != NULL ? name : map,
		    "expected a name of its own, \"%s\" is routes[%zu] too",
		    hb_report_quote(ld->report, route->name), i);
		return;
	}
}

/* Matches every event. */
static bool
is_catch_all(const struct hb_node *map, const struct hb_route_conf *route)
{
	return !route->is_default && route->when_count == 0 &&
	    (hb_node_get(map, "when") == NULL ||
		hb_node_get(map, "when")->count == 0);
}

static void
check_reach(struct hb_load *ld, const struct hb_node *routes)
{
	const struct hb_config *cfg = ld->cfg;
	const struct hb_route_conf *any = NULL, *last = NULL;

	for (size_t i = 0; i < cfg->route_count; i++)
		if (any == NULL &&
		    is_catch_all(hb_node_child(routes, i), &cfg->routes[i]))
			any = &cfg->routes[i];
	for (size_t i = 0; i < cfg->route_count; i++) {
		const struct hb_route_conf *route = &cfg->routes[i];
		const struct hb_node *map = hb_node_child(routes, i);

		if (route->is_default && any != NULL)
			hb_report_warn(ld->report, map,
			    "route \"%s\" never acts: \"%s\" matches every "
			    "event, and this is a default", route->name,
			    any->name);
		else if (last != NULL)
			hb_report_warn(ld->report, map,
			    "route \"%s\" never acts: \"%s\" before it matches "
			    "every event and is final", route->name,
			    last->name);
		else if (route->final && is_catch_all(map, route))
			last = route;
	}
}

/* --- what leads nowhere --------------------------------------------------- */

static bool
leads_to(const struct hb_target_conf *target, const struct hb_sink_conf *sink)
{
	return target != NULL && target->sink == sink;
}

static bool
is_used(const struct hb_config *cfg, const struct hb_sink_conf *sink)
{
	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t j = 0; j < cfg->routes[i].to_count; j++)
			if (leads_to(cfg->routes[i].to[j], sink))
				return true;
	return leads_to(cfg->dead_letter, sink);
}

/* Two sinks that are one destination each, the same one: a file. */
static void
check_repeated(struct hb_load *ld, const struct hb_node *node,
    const struct hb_sink_conf *sink)
{
	for (unsigned i = 0; i < sink->index; i++) {
		const struct hb_sink_conf *other = &ld->cfg->sinks[i];

		if (sink->type == NULL || sink->type != other->type ||
		    sink->type->dest_key != NULL ||
		    ld->sink_is_faulty[sink->index] ||
		    !hb_keys_equal(sink->type->keys, sink->conf, other->conf))
			continue;
		hb_report_error(ld->report, node,
		    "expected a %s of its own, sink \"%s\" has the same",
		    sink->type->name, other->name);
		return;
	}
}

static void
check_sinks(struct hb_load *ld)
{
	const struct hb_node *map = hb_node_get(ld->root, "sinks");
	const struct hb_config *cfg = ld->cfg;

	for (size_t i = 0; i < cfg->sink_count; i++)
		check_repeated(ld, hb_node_child(map, i), &cfg->sinks[i]);
	if (hb_report_errors(ld->report) > 0)
		return; /* faulty routes lead nowhere: say no more */
	for (size_t i = 0; i < cfg->sink_count; i++)
		if (!is_used(cfg, &cfg->sinks[i]))
			hb_report_warn(ld->report, hb_node_child(map, i),
			    "no route leads here");
}

/* Events that match no route need somewhere to go. */
static void
check_unrouted(struct hb_load *ld, const struct hb_node *routes)
{
	const struct hb_config *cfg = ld->cfg;

	if (cfg->dead_letter != NULL || cfg->spool.directory != NULL ||
	    cfg->route_count == 0)
		return;
	for (size_t i = 0; i < cfg->route_count; i++)
		if (cfg->routes[i].when_count == 0)
			return;
	hb_report_warn(ld->report, routes,
	    "an event that matches none of them is answered 503, again and "
	    "again: there is no default, no dead_letter and no spool");
	hb_report_remedy(ld->report, "add a route with default: true, "
	    "dead_letter: {sink: ...}, or spool: {directory: ...}");
}

void
hb_check_routes(struct hb_load *ld)
{
	const struct hb_node *routes = hb_node_get(ld->root, "routes");

	for (size_t i = 0; i < ld->cfg->route_count; i++)
		check_name(ld, hb_node_child(routes, i), &ld->cfg->routes[i]);
	check_reach(ld, routes);
	check_targets(ld, routes);
	check_unrouted(ld, routes);
	check_sinks(ld);
}
