/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what only several parts together can show: limits and endpoints
 *
 * Each check copes with parts that an earlier stage left incomplete. */
#include <inttypes.h>
#include <string.h>

#include "load.h"
#include "values.h"

#define MINUTE_MS (UINT64_C(60) * 1000)
#define KAFKA_ACK_MIN_MS 1500

/* --- limits --------------------------------------------------------------- */

/* A setting's node, or the section's, or the file's top. */
static const struct hb_node *
setting(struct hb_load *ld, const char *section, const char *key)
{
	const struct hb_node *map = hb_node_get(ld->root, section);
	const struct hb_node *node = hb_node_get(map, key);

	if (node != NULL)
		return node;
	return map != NULL ? map : ld->root;
}

static void
check_dedup(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	uint64_t tolerance = 0, least;
	char shown[HB_VALUE_SIZE];

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode == HB_MODE_SVIX &&
		    cfg->endpoints[i].dedup &&
		    cfg->endpoints[i].tolerance_ms > tolerance)
			tolerance = cfg->endpoints[i].tolerance_ms;
	least = 2 * tolerance + MINUTE_MS;
	if (tolerance == 0 || cfg->dedup.window_ms >= least)
		return;
	hb_value_print_duration(least, shown);
	hb_report_expected(ld->report, setting(ld, "dedup", "window"),
	    "at least %s (twice the longest tolerance and a minute)", shown);
}

static bool
has_kafka(const struct hb_config *cfg)
{
	for (size_t i = 0; i < cfg->sink_count; i++)
		if (cfg->sinks[i].type != NULL &&
		    strcmp(cfg->sinks[i].type->name, "kafka") == 0)
			return true;
	return false;
}

static void
check_delivery(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	const struct hb_delivery_conf *delivery = &cfg->delivery;
	const struct hb_node *ack = setting(ld, "delivery", "ack_timeout");
	char shown[HB_VALUE_SIZE];

	if (delivery->ack_timeout_ms >= delivery->hard_timeout_ms) {
		hb_value_print_duration(delivery->hard_timeout_ms, shown);
		hb_report_error(ld->report, ack,
		    "expected ack_timeout below hard_timeout (%s)", shown);
	}
	if (has_kafka(cfg) && delivery->ack_timeout_ms < KAFKA_ACK_MIN_MS)
		hb_report_expected(ld->report, ack,
		    "at least 1500ms where a sink is of type kafka (a message "
		    "must expire 1200ms earlier)");
}

static void
check_http(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	char shown[HB_VALUE_SIZE];

	if (cfg->http.target_size >= cfg->http.head_size)
		hb_report_error(ld->report, setting(ld, "http", "target_size"),
		    "expected target_size below head_size");
	if (cfg->http.body_size <= cfg->memory / 4)
		return;
	hb_value_print_size(cfg->memory / 4, shown);
	hb_report_warn(ld->report, setting(ld, "memory", ""),
	    "bodies not yet verified may hold a quarter, %s: larger ones are "
	    "always refused, whatever http.body_size says", shown);
}

void
hb_check_limits(struct hb_load *ld)
{
	check_http(ld);
	check_delivery(ld);
	check_dedup(ld);
}

/* --- paths ---------------------------------------------------------------- */

#define TOKEN_SEGMENT "{token}"

static size_t
segment_len(const char *path)
{
	return strcspn(path + 1, "/") + 1;
}

static bool
is_token_segment(const char *path, size_t len)
{
	return hb_span_eq(hb_span_make(path + 1, len - 1),
	    HB_SPAN(TOKEN_SEGMENT));
}

/* Whether some path fits both. Where only one has a {token}, the other wins
 * for the path it spells, so that the two live beside each other. */
static bool
paths_collide(const char *a, const char *b)
{
	if (strcmp(a, b) == 0)
		return true;
	if (strstr(a, TOKEN_SEGMENT) == NULL ||
	    strstr(b, TOKEN_SEGMENT) == NULL)
		return false;
	while (*a == '/' && *b == '/') {
		size_t a_len = segment_len(a), b_len = segment_len(b);

		if (!is_token_segment(a, a_len) &&
		    !is_token_segment(b, b_len) &&
		    !hb_span_eq(hb_span_make(a, a_len), hb_span_make(b, b_len)))
			return false;
		a += a_len;
		b += b_len;
	}
	return *a == *b;
}

static void
check_path(struct hb_load *ld, const struct hb_node *map,
    const struct hb_endpoint_conf *endpoint)
{
	for (size_t i = 0; i < endpoint->index; i++) {
		const struct hb_endpoint_conf *other =
		    &ld->cfg->endpoints[i];

		if (endpoint->path == NULL || other->path == NULL ||
		    !paths_collide(endpoint->path, other->path))
			continue;
		hb_report_expected(ld->report, hb_node_get(map, "path"),
		    "a path of its own (endpoint \"%s\" has \"%s\")",
		    hb_report_quote(ld->report, other->name),
		    hb_report_quote(ld->report, other->path));
		return;
	}
}

/* --- channels ------------------------------------------------------------- */

/* One label that an endpoint may give, and where the file says so. */
struct label {
	const struct hb_endpoint_conf *endpoint;
	const struct hb_node *node;
	const char *text;
};

struct labels {
	struct label *items;
	size_t count;
};

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
collect_channel(struct hb_load *ld, struct labels *labels,
    const struct hb_endpoint_conf *endpoint, const struct hb_node *map,
    size_t index)
{
	const struct hb_channel_conf *channel = &endpoint->channels[index];
	const struct hb_node *node =
	    hb_node_child(hb_node_get(map, "channels"), index);
	const struct hb_node *values = hb_node_get(node, "values");

	if (channel->label == NULL)
		return;
	if (hb_tmpl_is_static(channel->label)) {
		labels->items[labels->count++] = (struct label){ endpoint, node,
			hb_tmpl_constant(ld, channel->label) };
		return;
	}
	if (values == NULL)
		values = hb_node_get(map, "channel_values");
	for (size_t i = 0; i < channel->values.count; i++)
		labels->items[labels->count++] = (struct label){ endpoint,
			hb_node_child(values, i), channel->values.items[i] };
}

static void
collect_labels(struct hb_load *ld, const struct hb_node *endpoints,
    struct labels *labels)
{
	const struct hb_config *cfg = ld->cfg;

	labels->items = hb_arena_calloc(ld->scratch, count_labels(cfg),
	    sizeof(*labels->items));
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		const struct hb_endpoint_conf *endpoint = &cfg->endpoints[i];

		if (endpoint->mode == HB_MODE_DISABLED)
			continue;
		for (size_t j = 0; j < endpoint->channel_count; j++)
			collect_channel(ld, labels, endpoint,
			    hb_node_child(endpoints, i), j);
	}
}

/* A label that two endpoints give lets the holder of one secret send what
 * looks like the other's, unless the routes look at the endpoint too. */
static void
check_label(struct hb_load *ld, const struct labels *labels, size_t index)
{
	const struct label *label = &labels->items[index];

	for (size_t i = 0; i < index; i++) {
		const struct label *other = &labels->items[i];
		const struct hb_route_conf *route;

		if (other->endpoint == label->endpoint ||
		    strcmp(other->text, label->text) != 0)
			continue;
		route = hb_route_trusting_label(ld->cfg, label->text);
		if (route == NULL)
			return;
		hb_report_expected(ld->report, label->node,
		    "a channel of its own (endpoint \"%s\" has it too, and "
		    "route \"%s\" goes by it alone)", other->endpoint->name,
		    route->name);
		hb_report_remedy(ld->report,
		    "rename it, or let the route test the endpoint as well");
		return;
	}
}

static void
check_labels(struct hb_load *ld, const struct hb_node *endpoints)
{
	struct labels labels = { NULL, 0 };

	collect_labels(ld, endpoints, &labels);
	for (size_t i = 1; i < labels.count; i++)
		check_label(ld, &labels, i);
}

/* --- endpoints ------------------------------------------------------------ */

static void
check_exposure(struct hb_load *ld, const struct hb_node *map,
    const struct hb_endpoint_conf *endpoint)
{
	const struct hb_node *token = hb_node_get(map, "token");

	if (endpoint->mode != HB_MODE_DIRECT || token == NULL ||
	    hb_config_is_loopback(ld->cfg))
		return;
	hb_report_warn(ld->report, token,
	    "the token crosses the network unencrypted: a listener is not "
	    "loopback and has no TLS");
	hb_report_remedy(ld->report,
	    "listen on 127.0.0.1 behind a proxy that does TLS");
}

void
hb_check_endpoints(struct hb_load *ld)
{
	const struct hb_node *map = hb_node_get(ld->root, "endpoints");

	for (size_t i = 0; i < ld->cfg->endpoint_count; i++) {
		const struct hb_node *node = hb_node_child(map, i);

		check_path(ld, node, &ld->cfg->endpoints[i]);
		check_exposure(ld, node, &ld->cfg->endpoints[i]);
	}
	check_labels(ld, map);
}
