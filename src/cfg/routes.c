/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the rules that send events to sinks */
#include "load.h"

#define MAX_DESTINATIONS 32 /* of one event */

#define AT(member) .offset = offsetof(struct hb_route_conf, member)

const struct hb_key hb_keys_route[] = {
	{ "name", HB_KEY_STRING, AT(name),
	    .help = "for logs, explain and warnings" },
	{ "when", HB_KEY_CUSTOM,
	    .help = "conditions that all must hold; default: every event" },
	{ "to", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "a list of sinks with topic or stream" },
	{ "final", HB_KEY_BOOL, AT(final), "false",
	    .help = "whether later routes are left out after a match" },
	{ "default", HB_KEY_BOOL, AT(is_default), "false",
	    .help = "whether it acts only where no other route matched" },
	{ .name = NULL },
};

static void
load_targets(struct hb_load *ld, const struct hb_node *list,
    struct hb_route_conf *route)
{
	size_t count = hb_node_item_count(list);

	if (list->kind == HB_NODE_BROKEN ||
	    !hb_is_list_of_maps(ld, list, "destinations"))
		return;
	if (count > MAX_DESTINATIONS)
		hb_report_error(ld->report, list,
		    "expected at most %d destinations, got %zu",
		    MAX_DESTINATIONS, count);
	route->to = hb_arena_calloc(ld->arena, count,
	    sizeof(struct hb_target_conf *));
	for (size_t i = 0; i < count; i++)
		route->to[route->to_count++] =
		    hb_load_target(ld, hb_node_item(list, i));
}

static void
set_name(struct hb_load *ld, const struct hb_node *node,
    struct hb_route_conf *route)
{
	if (route->name == NULL)
		route->name = hb_arena_printf(ld->arena, "route-%u",
		    route->index + 1).ptr;
	else if (!hb_is_name(route->name))
		hb_report_expected(ld->report, node,
		    "a name of 1 to 64 letters, digits, \".\", \"_\" and "
		    "\"-\"");
}

static void
load_route(struct hb_load *ld, const struct hb_node *map,
    struct hb_route_conf *route)
{
	const struct hb_node *when = hb_node_get(map, "when");
	const struct hb_node *to = hb_node_get(map, "to");

	route->index = (unsigned)map->index;
	hb_keys_fill(ld, map, hb_keys_route, route);
	set_name(ld, hb_node_get(map, "name"), route);
	if (when != NULL)
		hb_load_when(ld, when, route);
	if (to != NULL)
		load_targets(ld, to, route);
}

void
hb_load_routes(struct hb_load *ld, const struct hb_node *list)
{
	struct hb_config *cfg = ld->cfg;

	if (!hb_is_list(ld, list, "routes"))
		return;
	cfg->routes =
	    hb_arena_calloc(ld->arena, list->count, sizeof(*cfg->routes));
	cfg->route_count = list->count;
	for (const struct hb_node *node = list->first; node != NULL;
	     node = node->next)
		load_route(ld, node, &cfg->routes[node->index]);
}
