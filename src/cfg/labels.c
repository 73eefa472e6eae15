/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c - the channels of all endpoints seen together
 *
 * A label that two endpoints give lets the holder of one secret send what looks
 * like the other's, unless the routes look at the endpoint too.
 *
 * The labels are sorted by text and, among equal ones, by their order in the
 * file: each is found by halves, and those who share one stand together. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/near.h"
#include "load.h"

/* One label that an endpoint may give, and where the file says so. */
struct hb_label {
	const char *text;
	const struct hb_endpoint_conf *endpoint;
	const struct hb_node *node;
	size_t order;
};

/* --- collecting ----------------------------------------------------------- */

static size_t
count_labels(const struct hb_config *cfg)
{
	size_t count = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		for (size_t j = 0; j < cfg->endpoints[i].channel_count; j++)
			count += 1 + cfg->endpoints[i].channels[j].values.count;
	return count;
}

static void
add(struct hb_load *ld, const struct hb_endpoint_conf *endpoint,
    const struct hb_node *node, const char *text)
{
	struct hb_label *label = &ld->labels[ld->label_count];

	*label = (struct hb_label){ text, endpoint, node, ld->label_count };
	ld->label_count++;
}

static void
collect_channel(struct hb_load *ld, const struct hb_endpoint_conf *endpoint,
    const struct hb_node *map, size_t index)
{
	const struct hb_channel_conf *channel = &endpoint->channels[index];
	const struct hb_node *node =
	    hb_node_item(hb_node_get(map, "channels"), index);
	const struct hb_node *values = hb_node_get(node, "values");

	if (channel->label == NULL) {
		ld->labels_are_incomplete = true;
		return;
	}
	if (hb_tmpl_is_static(channel->label)) {
		add(ld, endpoint, node, hb_tmpl_constant(ld, channel->label));
		return;
	}
	if (values == NULL)
		values = hb_node_get(map, "channel_values");
	for (size_t i = 0; i < channel->values.count; i++)
		add(ld, endpoint, hb_node_item(values, i),
		    channel->values.items[i]);
}

static int
compare(const void *a, const void *b)
{
	const struct hb_label *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->order > y->order) -
		(x->order < y->order);
}

void
hb_collect_labels(struct hb_load *ld)
{
	const struct hb_node *map = hb_node_get(ld->root, "endpoints");
	const struct hb_config *cfg = ld->cfg;

	ld->labels = hb_arena_calloc(ld->scratch, count_labels(cfg),
	    sizeof(*ld->labels));
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		for (size_t j = 0; j < cfg->endpoints[i].channel_count; j++)
			collect_channel(ld, &cfg->endpoints[i],
			    hb_node_child(map, i), j);
	qsort(ld->labels, ld->label_count, sizeof(*ld->labels), compare);
}

/* --- asking --------------------------------------------------------------- */

static int
compare_text(const void *text, const void *label)
{
	return strcmp(text, ((const struct hb_label *)label)->text);
}

/* Warns when no endpoint gives it. */
void
hb_check_label(struct hb_load *ld, const struct hb_node *node,
    const char *text)
{
	struct hb_near near;

	if (ld->labels_are_incomplete ||
	    (ld->label_count > 0 &&
		bsearch(text, ld->labels, ld->label_count, sizeof(*ld->labels),
		    compare_text) != NULL))
		return;
	hb_report_warn(ld->report, node, "no endpoint has the channel \"%s\"",
	    hb_report_quote(ld->report, text));
	hb_near_init(&near, text);
	for (size_t i = 0; i < ld->label_count; i++)
		hb_near_offer(&near, ld->labels[i].text);
	hb_report_near(ld->report, &near);
}

/* --- labels of two endpoints ---------------------------------------------- */

static void
refuse_claimed(struct hb_load *ld, const struct hb_label *label,
    const struct hb_label *other)
{
	const struct hb_route_conf *route =
	    hb_route_trusting_label(ld->cfg, label->text);

	if (route == NULL)
		return;
	hb_report_expected(ld->report, label->node,
	    "a channel of its own (endpoint \"%s\" has it too, and route "
	    "\"%s\" goes by it alone)", other->endpoint->name, route->name);
	hb_report_remedy(ld->report,
	    "rename it, or let the route test the endpoint as well");
}

/* The first of its equals in the file is right, those of other endpoints are
 * wrong; disabled endpoints claim nothing. */
void
hb_check_labels(struct hb_load *ld)
{
	const struct hb_label *first = NULL;

	for (size_t i = 0; i < ld->label_count; i++) {
		const struct hb_label *label = &ld->labels[i];

		if (label->endpoint->mode == HB_MODE_DISABLED)
			continue;
		if (first == NULL || strcmp(first->text, label->text) != 0)
			first = label;
		else if (first->endpoint != label->endpoint)
			refuse_claimed(ld, label, first);
	}
}
