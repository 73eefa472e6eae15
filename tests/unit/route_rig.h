/* SPDX-License-Identifier: Apache-2.0 */
/* route_rig.h - configurations and events made by hand, for what routes and
 * renders
 *
 * A rig holds one configuration under construction: add sinks, routes, rows
 * and targets in order, then make events under it. Lists are written with
 * bars: "a|b". Metadata has the members kind, n and tag. */
#ifndef HOOKBRIDGE_TESTS_ROUTE_RIG_H
#define HOOKBRIDGE_TESTS_ROUTE_RIG_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>

#include "hookbridge/event.h"
#include "hookbridge/mem.h"
#include "hookbridge/route.h"

#define RIG_ROUTES 1024
#define RIG_ROWS 8
#define RIG_TARGETS 40
#define RIG_DESTS 1024
#define RIG_HEADERS 8

enum { RIG_KIND = HB_VAR_METADATA, RIG_N, RIG_TAG, RIG_VARS };

struct rig {
	struct hb_arena *arena;
	struct hb_config cfg;
	struct hb_endpoint_conf endpoint;
	struct hb_budget_share share;
};

static inline void
rig_init(struct rig *rig)
{
	*rig = (struct rig){.arena = hb_arena_new(65536)};
	rig->endpoint = (struct hb_endpoint_conf){.name = "production",
	    .mode = HB_MODE_SVIX,
	    .source = "https://platform.reducto.ai/#production",
	    .share = &rig->share};
	rig->cfg = (struct hb_config){.endpoints = &rig->endpoint,
	    .endpoint_count = 1,
	    .var_count = RIG_VARS,
	    .refs = 1};
	rig->cfg.routes =
	    hb_arena_calloc(rig->arena, RIG_ROUTES, sizeof(*rig->cfg.routes));
	rig->cfg.dests = hb_arena_calloc(
	    rig->arena, RIG_DESTS, sizeof(struct hb_dest_conf *));
}

/* Every event has to be gone. */
static inline void
rig_fini(struct rig *rig)
{
	assert_int_equal(rig->cfg.refs, 1);
	hb_arena_free(rig->arena);
}

/* --- texts ---------------------------------------------------------------- */

static inline int
rig_resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	static const char *const names[RIG_VARS] = {
	    [HB_VAR_JOB_ID] = "job_id",
	    [HB_VAR_STATUS] = "status",
	    [HB_VAR_CHANNEL] = "channel",
	    [HB_VAR_ENDPOINT] = "endpoint",
	    [HB_VAR_JOB_TYPE] = "job_type",
	    [RIG_KIND] = "metadata.kind",
	    [RIG_N] = "metadata.n",
	    [RIG_TAG] = "metadata.tag",
	};

	(void)arg;
	for (int i = 0; i < RIG_VARS; i++)
		if (hb_span_eq(name, hb_span_of(names[i])))
			return i;
	hb_fail(err, HB_E_CONFIG, "unknown");
	return -1;
}

static inline const struct hb_tmpl *
rig_tmpl(struct rig *rig, const char *text)
{
	const struct hb_tmpl *tmpl = hb_tmpl_compile(
	    rig->arena, hb_span_of(text), rig_resolve, NULL, NULL);

	assert_non_null(tmpl);
	return tmpl;
}

/* "a|b" taken apart; NULL is the empty list, "" the list of one empty text. */
static inline struct hb_strings
rig_list(struct rig *rig, const char *text)
{
	struct hb_strings list = {NULL, 0};
	char *rest, *item;

	if (text == NULL)
		return list;
	rest = hb_arena_strdup(rig->arena, text);
	list.items =
	    hb_arena_calloc(rig->arena, strlen(text) + 1, sizeof(char *));
	while ((item = strsep(&rest, "|")) != NULL)
		list.items[list.count++] = item;
	return list;
}

/* --- configuration -------------------------------------------------------- */

/* Topic names. */
static inline bool
rig_valid_name(struct hb_span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789._-",
			name.ptr[i]) == NULL ||
		    name.ptr[i] == '\0')
			return false;
	return name.len >= 1 && name.len <= 249;
}

static inline struct hb_sink_conf *
rig_sink(struct rig *rig, const char *name)
{
	static const struct hb_sink_type type = {
	    .name = "test", .valid_name = rig_valid_name};
	struct hb_sink_conf *sink =
	    hb_arena_calloc(rig->arena, 1, sizeof(*sink));

	sink->name = name;
	sink->type = &type;
	return sink;
}

static inline struct hb_route_conf *
rig_route(struct rig *rig, const char *name)
{
	struct hb_route_conf *route = &rig->cfg.routes[rig->cfg.route_count];

	assert_true(rig->cfg.route_count < RIG_ROUTES);
	route->index = (unsigned)rig->cfg.route_count++;
	route->name = name;
	route->when =
	    hb_arena_calloc(rig->arena, RIG_ROWS, sizeof(*route->when));
	route->to = hb_arena_calloc(
	    rig->arena, RIG_TARGETS, sizeof(struct hb_target_conf *));
	return route;
}

static inline struct hb_predicate_conf *
rig_when(struct rig *rig, struct hb_route_conf *route, int var,
    enum hb_predicate_op op, const char *values)
{
	struct hb_predicate_conf *row = &route->when[route->when_count++];

	assert_true(route->when_count <= RIG_ROWS);
	row->var = var;
	row->op = op;
	row->values = rig_list(rig, values);
	return row;
}

static inline const struct hb_dest_conf *
rig_dest(struct rig *rig, const struct hb_sink_conf *sink, const char *name)
{
	struct hb_dest_conf *dest;

	for (size_t i = 0; i < rig->cfg.dest_count; i++)
		if (rig->cfg.dests[i]->sink == sink &&
		    strcmp(rig->cfg.dests[i]->name, name) == 0)
			return rig->cfg.dests[i];
	assert_true(rig->cfg.dest_count < RIG_DESTS);
	dest = hb_arena_calloc(rig->arena, 1, sizeof(*dest));
	*dest = (struct hb_dest_conf){
	    (unsigned)rig->cfg.dest_count, sink, name, name};
	rig->cfg.dests[rig->cfg.dest_count++] = dest;
	return dest;
}

/* name: a template or not, NULL for a sink that is one destination; list: what
 * a template may become; key: NULL for job_id. */
static inline struct hb_target_conf *
rig_target(struct rig *rig, const struct hb_sink_conf *sink, const char *name,
    const char *list, const char *key)
{
	struct hb_target_conf *target =
	    hb_arena_calloc(rig->arena, 1, sizeof(*target));
	struct hb_strings names = rig_list(rig, list != NULL   ? list
						: name != NULL ? name
							       : "");

	target->index = (unsigned)rig->cfg.target_count++;
	target->sink = sink;
	target->name = name != NULL ? rig_tmpl(rig, name) : NULL;
	target->dests = hb_arena_calloc(
	    rig->arena, names.count, sizeof(struct hb_dest_conf *));
	for (size_t i = 0; i < names.count; i++)
		target->dests[target->dest_count++] =
		    rig_dest(rig, sink, names.items[i]);
	target->key = key != NULL ? rig_tmpl(rig, key) : NULL;
	target->headers =
	    hb_arena_calloc(rig->arena, RIG_HEADERS, sizeof(*target->headers));
	return target;
}

static inline struct hb_target_conf *
rig_to(struct rig *rig, struct hb_route_conf *route,
    const struct hb_sink_conf *sink, const char *name, const char *list,
    const char *key)
{
	assert_true(route->to_count < RIG_TARGETS);
	return route->to[route->to_count++] =
		   rig_target(rig, sink, name, list, key);
}

static inline void
rig_header(struct rig *rig, struct hb_target_conf *target, const char *name,
    const char *value)
{
	assert_true(target->header_count < RIG_HEADERS);
	target->headers[target->header_count++] =
	    (struct hb_header_conf){name, rig_tmpl(rig, value)};
}

/* --- events --------------------------------------------------------------- */

static inline void
rig_set(struct hb_event *ev, int var, const char *value)
{
	ev->vars[var] = hb_span_of(value);
	ev->present[var] = value != NULL;
}

/* A completed job "job-1" with these channels. */
static inline struct hb_event *
rig_event(struct rig *rig, const char *channels, const char *body)
{
	struct hb_event *ev = hb_event_new(
	    &rig->cfg, &rig->endpoint, hb_xstrdup(body), strlen(body));
	struct hb_strings labels = rig_list(rig, channels);

	ev->usable = true;
	ev->id = ev->webhook_id = HB_SPAN("msg_1");
	ev->webhook_timestamp = 1767225600;
	ev->received_ms = 1767225601234;
	ev->job_id = HB_SPAN("job-1");
	ev->job_id_text = HB_SPAN("\"job-1\"");
	ev->status = HB_SPAN("completed");
	ev->status_class = HB_STATUS_COMPLETED;
	ev->ce_type = "ai.reducto.job.completed";
	ev->channel_count = labels.count;
	ev->channels =
	    hb_arena_calloc(ev->arena, labels.count, sizeof(*ev->channels));
	for (size_t i = 0; i < labels.count; i++)
		ev->channels[i] = hb_span_of(labels.items[i]);
	rig_set(ev, HB_VAR_JOB_ID, "job-1");
	rig_set(ev, HB_VAR_STATUS, "completed");
	rig_set(ev, HB_VAR_ENDPOINT, rig->endpoint.name);
	return ev;
}

#endif
