/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what only several parts together can show: limits and endpoints
 *
 * Each check copes with parts that an earlier stage left incomplete. */
#include <string.h>

#include "load.h"
#include "values.h"

#define MINUTE_MS (UINT64_C(60) * 1000)
#define KAFKA_ACK_MIN_MS 1500
/* Svix's two times: for an answer, and until it closes an idle connection. */
#define SENDER_GIVES_UP_MS 15000
#define SENDER_CLOSES_MS 20000

/* --- limits --------------------------------------------------------------- */

const struct hb_node *
hb_setting(const struct hb_load *ld, const char *section, const char *key)
{
	const struct hb_node *map = hb_node_get(ld->root, section);
	const struct hb_node *node = hb_node_get(map, key);

	if (node != NULL)
		return node;
	return map != NULL ? map : ld->root;
}

/* What is wrong with two settings together may stand at either, or at none
 * where both have their defaults: the sentence names them and the value. */
static void
refuse_duration(struct hb_load *ld, const struct hb_node *node,
    uint64_t got_ms, const char *what, uint64_t than_ms, const char *why)
{
	char got[HB_VALUE_SIZE], than[HB_VALUE_SIZE];

	hb_value_print_duration(got_ms, got);
	hb_value_print_duration(than_ms, than);
	hb_report_error(ld->report, node, "expected %s %s (%s), got %s", what,
	    than, why, got);
}

static void
check_dedup(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	uint64_t tolerance = 0, least;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode == HB_MODE_SVIX &&
		    cfg->endpoints[i].dedup &&
		    cfg->endpoints[i].tolerance_ms > tolerance)
			tolerance = cfg->endpoints[i].tolerance_ms;
	least = 2 * tolerance + MINUTE_MS;
	if (tolerance == 0 || cfg->dedup.window_ms >= least)
		return;
	refuse_duration(ld, hb_setting(ld, "dedup", "window"),
	    cfg->dedup.window_ms, "a dedup.window of at least", least,
	    "twice the longest tolerance and a minute");
}

static bool
has_svix(const struct hb_config *cfg)
{
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode == HB_MODE_SVIX)
			return true;
	return false;
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
	const struct hb_node *ack = hb_setting(ld, "delivery", "ack_timeout");

	if (delivery->ack_timeout_ms >= delivery->hard_timeout_ms)
		refuse_duration(ld, ack, delivery->ack_timeout_ms,
		    "an ack_timeout below", delivery->hard_timeout_ms,
		    "the hard_timeout");
	if (delivery->hard_timeout_ms >= SENDER_GIVES_UP_MS && has_svix(cfg))
		hb_report_warn(ld->report,
		    hb_setting(ld, "delivery", "hard_timeout"),
		    "Svix waits 15s for an answer: what is confirmed later is "
		    "sent again");
	if (has_kafka(cfg) && delivery->ack_timeout_ms < KAFKA_ACK_MIN_MS)
		refuse_duration(ld, ack, delivery->ack_timeout_ms,
		    "an ack_timeout of at least", KAFKA_ACK_MIN_MS,
		    "to Kafka, messages must expire before it");
}

static void
check_http(struct hb_load *ld)
{
	const struct hb_node *memory = hb_node_get(ld->root, "memory");
	const struct hb_config *cfg = ld->cfg;
	char shown[HB_VALUE_SIZE];

	if (cfg->http.target_size >= cfg->http.head_size)
		hb_report_error(ld->report,
		    hb_setting(ld, "http", "target_size"),
		    "expected a target_size below the head_size");
	if (cfg->http.idle_timeout_ms <= SENDER_CLOSES_MS && has_svix(cfg))
		hb_report_warn(ld->report,
		    hb_setting(ld, "http", "idle_timeout"),
		    "Svix closes idle connections after 20s: what closes them "
		    "earlier may cross a webhook on its way");
	if (cfg->http.body_size <= cfg->memory / 4)
		return;
	hb_value_print_size(cfg->memory / 4, shown);
	hb_report_warn(ld->report, memory != NULL ? memory
		: hb_setting(ld, "http", "body_size"),
	    "bodies not yet verified may hold a quarter of memory, %s: larger "
	    "ones are refused, whatever http.body_size says", shown);
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

static void
check_any_enabled(struct hb_load *ld, const struct hb_node *map)
{
	const struct hb_config *cfg = ld->cfg;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode != HB_MODE_DISABLED)
			return;
	if (cfg->endpoint_count > 0 && hb_report_errors(ld->report) == 0)
		hb_report_warn(ld->report, map,
		    "every endpoint is disabled: nothing is received");
}

void
hb_check_endpoints(struct hb_load *ld)
{
	const struct hb_node *map = hb_node_get(ld->root, "endpoints");

	check_any_enabled(ld, map);
	for (size_t i = 0; i < ld->cfg->endpoint_count; i++) {
		const struct hb_node *node = hb_node_child(map, i);

		check_path(ld, node, &ld->cfg->endpoints[i]);
		check_exposure(ld, node, &ld->cfg->endpoints[i]);
	}
	hb_check_labels(ld);
}
