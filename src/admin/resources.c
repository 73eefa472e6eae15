/* SPDX-License-Identifier: Apache-2.0 */
/* resources.c - what there is to ask for
 *
 * A path is cut at its slashes and then decoded, so that an escaped slash is a
 * byte of its segment. */
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define SEGMENTS_MAX 8

/* clang-format off */
static const struct hb_resource resources[] = {
	{ "GET", "/healthz", .run = hb_admin_healthz },
	{ "GET", "/readyz", .run = hb_admin_readyz },
	{ "GET", "/metrics", .run = hb_admin_metrics },
	{ "GET", "/api/v1/config", .run = hb_admin_config },
	{ "GET", "/api/v1/status", .run = hb_admin_status },
	{ "GET", "/api/v1/spool", .run = hb_admin_spool_list },
	{ "GET", "/api/v1/spool/*", true, .run = hb_admin_spool_show },
	{ "POST", "/api/v1/spool/*/drop", true, .run = hb_admin_spool_drop },
	{ "POST", "/api/v1/spool/reroute", true,
	    .members = { "sink", "to", "limit", "after" },
	    .run = hb_admin_reroute },
	{ "GET", "/api/v1/dead", .params = {
		[HB_DEAD_ENDPOINT] = "endpoint", [HB_DEAD_REASON] = "reason",
		[HB_DEAD_BEFORE] = "before_ms", [HB_DEAD_AFTER] = "after",
		[HB_DEAD_LIMIT] = "limit" }, .run = hb_admin_dead_list },
	{ "GET", "/api/v1/dead/*", true, .run = hb_admin_dead_show },
	{ "POST", "/api/v1/dead/*/retry", true, .run = hb_admin_dead_retry },
	{ "POST", "/api/v1/dead/*/drop", true, .run = hb_admin_dead_drop },
	{ "GET", "/api/v1/claims", .run = hb_admin_claim_list },
	{ "GET", "/api/v1/claims/*", true, .run = hb_admin_claim_get },
	{ "POST", "/api/v1/dedup/forget", true,
	    .members = { "endpoint", "id" }, .run = hb_admin_dedup_forget },
	{ "GET", "/api/v1/tail", .params = {
		[HB_TAIL_ENDPOINT] = "endpoint", [HB_TAIL_OUTCOME] = "outcome"
		}, .run = hb_admin_tail },
};
/* clang-format on */

struct path {
	struct hb_span segments[SEGMENTS_MAX];
	size_t count;
};

/* The text up to the next slash, which goes with it. */
static struct hb_span
next_segment(struct hb_span *rest)
{
	const char *slash = memchr(rest->ptr, '/', rest->len);
	size_t len = slash != NULL ? (size_t)(slash - rest->ptr) : rest->len;
	struct hb_span segment = hb_span_make(rest->ptr, len);

	*rest = hb_span_skip(*rest, slash != NULL ? len + 1 : len);
	if (slash != NULL && rest->len == 0)
		*rest = HB_SPAN("");
	else if (slash == NULL)
		*rest = HB_SPAN_NONE;
	return segment;
}

/* False for a bad escape; more segments than any resource has are one more
 * than fit. */
static bool
cut(struct hb_arena *arena, struct hb_span text, struct path *path)
{
	*path = (struct path){ .count = 0 };
	if (text.len == 0 || text.ptr[0] != '/')
		return true; /* "*", or an authority */
	for (text = hb_span_skip(text, 1); hb_span_is_set(text);) {
		struct hb_span segment = next_segment(&text);

		if (path->count == SEGMENTS_MAX) {
			path->count = 0;
			return true;
		}
		if (!hb_admin_decode(
			arena, segment, &path->segments[path->count++]))
			return false;
	}
	return true;
}

static bool
matches(const struct hb_resource *resource, const struct path *path,
    struct hb_span *part)
{
	struct hb_span rest = hb_span_of(resource->path + 1);
	size_t i = 0;

	for (; hb_span_is_set(rest) && i < path->count; i++) {
		struct hb_span wanted = next_segment(&rest);

		if (hb_span_eq(wanted, HB_SPAN("*")) &&
		    path->segments[i].len > 0)
			*part = path->segments[i];
		else if (!hb_span_eq(wanted, path->segments[i]))
			return false;
	}
	return i == path->count && !hb_span_is_set(rest);
}

bool
hb_admin_is_head(const struct hb_call *call)
{
	return hb_span_eq(call->req->head.method, HB_SPAN("HEAD"));
}

static bool
has_method(const struct hb_resource *resource, const struct hb_call *call)
{
	struct hb_span method = hb_admin_is_head(call)
	    ? HB_SPAN("GET") : call->req->head.method;

	return hb_span_eq(method, hb_span_of(resource->method));
}

bool
hb_admin_find(struct hb_call *call)
{
	const struct hb_http_head *head = &call->req->head;
	const struct hb_resource *other = NULL;
	struct path path;

	if (!cut(call->arena, head->path, &path))
		return hb_admin_refuse(call, 400,
		    "the path has a bad percent escape");
	for (size_t i = 0; i < HB_COUNT(resources); i++) {
		const struct hb_resource *r = &resources[i];

		if (!matches(r, &path, &call->part))
			continue;
		other = r;
		if (!has_method(r, call))
			continue;
		call->resource = r;
		return hb_admin_read_query(call);
	}
	if (other == NULL)
		return hb_admin_refuse(call, 404, "there is no such resource");
	return hb_admin_refuse_method(call,
	    strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method);
}
