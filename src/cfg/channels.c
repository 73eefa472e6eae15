/* SPDX-License-Identifier: Apache-2.0 */
/* channels.c - the labels that an endpoint gives its events
 *
 *   channels: [production, "{metadata.environment}"]
 *   channel_values: [staging, test]       # what the template may become
 *
 * or, with a list for each template:
 *
 *   channels: [{template: "{metadata.environment}", values: [staging]}]
 *
 * A template reads only what the webhook's own content says. */
#include <string.h>

#include "load.h"

#define MAX_LABEL 128

const struct hb_key hb_keys_channel[] = {
	{ .name = "template", .type = HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "such as \"{metadata.environment}\"" },
	{ .name = "values", .type = HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "a list of what it may become" },
	{ .name = NULL },
};

/* A label is what Svix takes for a channel. */
static bool
is_label(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= MAX_LABEL &&
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789-_.:+") == len;
}

static void
check_label(struct hb_load *ld, const struct hb_node *node, const char *label)
{
	if (!is_label(label))
		hb_report_expected(ld->report, node,
		    "a label of 1 to 128 letters, digits and \"-_.:+\"");
}

/* One-to-one with the nodes, so that one is "" after a fault. */
static void
read_labels(struct hb_load *ld, const struct hb_node *node,
    struct hb_strings *out)
{
	out->count = hb_node_item_count(node);
	out->items = hb_arena_calloc(ld->arena, out->count, sizeof(char *));
	if (out->count == 0)
		hb_report_expected(ld->report, node, "at least one label");
	for (size_t i = 0; i < out->count; i++) {
		const struct hb_node *item = hb_node_item(node, i);

		out->items[i] = "";
		if (hb_read_text(ld, item, &out->items[i]))
			check_label(ld, item, out->items[i]);
	}
}

/* {template: …, values: […]} */
static void
read_pair(struct hb_load *ld, const struct hb_node *map,
    struct hb_channel_conf *channel)
{
	const struct hb_node *tmpl = hb_node_get(map, "template");
	const struct hb_node *values = hb_node_get(map, "values");

	hb_keys_fill(ld, map, hb_keys_channel, channel);
	if (tmpl != NULL)
		channel->label = hb_read_tmpl(ld, tmpl, HB_VARS_SIGNED);
	if (values != NULL)
		read_labels(ld, values, &channel->values);
	if (channel->label != NULL && hb_tmpl_is_static(channel->label))
		hb_report_expected(ld->report, tmpl,
		    "a template such as \"{metadata.environment}\"");
}

/* {metadata.environment} without quotes; its reader says so. */
static bool
is_unquoted(const struct hb_node *map)
{
	return map->first != NULL && map->first->kind == HB_NODE_NULL;
}

/* Returns whether it takes its values from channel_values. */
static bool
read_short(struct hb_load *ld, const struct hb_node *node,
    const struct hb_node *values, const struct hb_strings *shared,
    struct hb_channel_conf *channel)
{
	channel->label = hb_read_tmpl(ld, node, HB_VARS_SIGNED);
	if (channel->label == NULL)
		return values != NULL;
	if (hb_tmpl_is_static(channel->label)) {
		check_label(ld, node, hb_tmpl_constant(ld, channel->label));
		return false;
	}
	channel->values = *shared;
	if (values == NULL) {
		hb_report_error(ld->report, node,
		    "expected channel_values for a templated channel, got "
		    "none");
		hb_report_remedy(ld->report,
		    "list what it may become: channel_values: [staging, "
		    "production]");
	}
	return true;
}

void
hb_load_channels(struct hb_load *ld, const struct hb_node *endpoint_node,
    struct hb_endpoint_conf *endpoint)
{
	const struct hb_node *list = hb_node_get(endpoint_node, "channels");
	const struct hb_node *values =
	    hb_node_get(endpoint_node, "channel_values");
	struct hb_strings shared = { NULL, 0 };
	bool is_used = false;

	if (values != NULL)
		read_labels(ld, values, &shared);
	if (list != NULL && list->kind != HB_NODE_BROKEN)
		endpoint->channel_count = hb_node_item_count(list);
	endpoint->channels = hb_arena_calloc(ld->arena,
	    endpoint->channel_count, sizeof(*endpoint->channels));
	for (size_t i = 0; i < endpoint->channel_count; i++) {
		const struct hb_node *node = hb_node_item(list, i);
		struct hb_channel_conf *channel = &endpoint->channels[i];

		if (node->kind == HB_NODE_MAP && !is_unquoted(node))
			read_pair(ld, node, channel);
		else
			is_used |= read_short(ld, node, values, &shared,
			    channel);
	}
	if (values != NULL && !is_used)
		hb_report_warn(ld->report, values,
		    "not used: no channel is a template without values of its "
		    "own");
}
