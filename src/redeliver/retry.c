/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - a dead letter becomes an event again
 *
 * With the identity and the times that it had, read and routed as today. What
 * could not go to one destination goes there only: by the leg that today's
 * routes have for it, or else by the first target that names it. What is still
 * unusable, or still refused, is set aside anew, and then the old record goes.
 *
 * A message that was refused when it was replayed has no body to begin anew
 * with: it goes back among the deliveries of its destination. */
#include <stdlib.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/normalize.h"
#include "parts.h"

static void
fail(struct hb_redeliver_work *work, enum hb_code code, const char *reason,
    const char *text)
{
	struct hb_error err;

	hb_fail_reason(&err, code, reason, "dead letter %llu: %s",
	    (unsigned long long)work->job->seq, text);
	hb_redeliver_fail(work, &err);
}

static void
fail_no_destination(struct hb_redeliver_work *work)
{
	fail(work, HB_E_REJECT, "no-destination",
	    "its destination is not configured any more");
}

/* --- messages ------------------------------------------------------------- */

/* Today's destination of the same sink, type and name. */
static const struct hb_dest_conf *
find_own(const struct hb_config *cfg, const struct hb_record *rec)
{
	return hb_config_dest(cfg, rec->sink_type, rec->sink, rec->name);
}

static void
retry_message(struct hb_redeliver_work *work)
{
	const struct hb_dest_conf *dest =
	    find_own(work->redeliver->env.cfg, &work->rec);

	if (dest == NULL)
		fail_no_destination(work);
	else
		hb_redeliver_move(work, dest);
}

/* --- legs ----------------------------------------------------------------- */

/* Whether the place is "sink:name". */
static bool
is_place(struct hb_span place, const char *sink, struct hb_span name)
{
	size_t len = strlen(sink);

	return place.len == len + 1 + name.len &&
	    memcmp(place.ptr, sink, len) == 0 && place.ptr[len] == ':' &&
	    hb_span_eq(hb_span_skip(place, len + 1), name);
}

static bool
leads_to(const struct hb_leg *leg, struct hb_span place)
{
	return is_place(place, leg->target->sink->name,
	    leg->dest != NULL ? hb_span_of(leg->dest->name) : leg->name);
}

/* A leg by the first target of the routes that names the place. */
static bool
make_leg(struct hb_event *ev, struct hb_span place,
    const struct hb_route_conf *route, struct hb_leg *leg)
{
	for (size_t i = 0; i < route->to_count; i++) {
		const struct hb_target_conf *target = route->to[i];

		for (size_t j = 0; j < target->dest_count; j++) {
			const struct hb_dest_conf *dest = target->dests[j];

			if (!is_place(place, dest->sink->name,
				hb_span_of(dest->name)))
				continue;
			hb_route_leg(ev, target, dest, leg);
			return true;
		}
	}
	return false;
}

/* Leaves nothing of the plan but the way to one place; false: there is none. */
static bool
narrow(struct hb_event *ev, struct hb_span place, struct hb_plan *plan)
{
	struct hb_leg only;
	bool found = false;

	for (size_t i = 0; i < plan->leg_count && !found; i++) {
		found = leads_to(&plan->legs[i], place);
		only = plan->legs[i];
	}
	for (size_t i = 0; i < ev->cfg->route_count && !found; i++)
		found = make_leg(ev, place, &ev->cfg->routes[i], &only);
	if (!found)
		return false;
	plan->legs[0] = only;
	plan->leg_count = 1;
	plan->reason = NULL;
	return true;
}

/* Where it goes; what cannot be read goes to the dead letters again. */
static bool
plan_event(const struct hb_redeliver_work *work, struct hb_event *ev,
    struct hb_plan *plan)
{
	struct hb_error fault = { .code = HB_OK };
	bool is_usable = hb_normalize(ev, &fault);

	/* The endpoint may have been of another mode, which has other ids. */
	ev->id = hb_arena_dup(ev->arena, work->rec.id);
	plan->leg_count = 0;
	plan->reason = fault.reason;
	if (!is_usable)
		return true;
	hb_route(work->redeliver->router, ev, plan);
	return !hb_span_is_set(work->rec.place) ||
	    narrow(ev, work->rec.place, plan);
}

/* --- events --------------------------------------------------------------- */

static char *
copy_body(struct hb_span body)
{
	char *copy = hb_xmalloc(body.len);

	if (body.len > 0)
		memcpy(copy, body.ptr, body.len);
	return copy;
}

/* The event as it was received; its body stands in the budget. */
static struct hb_event *
make_event(const struct hb_redeliver_env *env,
    const struct hb_endpoint_conf *endpoint, const struct hb_record *rec)
{
	struct hb_event *ev = hb_event_new(env->cfg, endpoint,
	    copy_body(rec->body), rec->body.len);

	ev->budget = env->budget;
	ev->charged = rec->body.len;
	ev->webhook_id = hb_arena_dup(ev->arena, rec->webhook_id);
	ev->webhook_timestamp = rec->webhook_timestamp;
	ev->received_ms = rec->received_ms;
	ev->traceparent = hb_arena_dup(ev->arena, rec->traceparent);
	ev->tracestate = hb_arena_dup(ev->arena, rec->tracestate);
	return ev;
}

/* Whether it waits for room, or for something to be well again. */
static enum hb_code
code_of(const char *reason)
{
	static const char *const rooms[] = { "endpoint-share", "memory",
		"sink-share", "spool-full" };

	for (size_t i = 0; i < HB_COUNT(rooms); i++)
		if (strcmp(reason, rooms[i]) == 0)
			return HB_E_RESOURCE;
	return strcmp(reason, "spool-broken") == 0 ? HB_E_IO : HB_E_RETRY;
}

static void
on_receipt(void *arg, const struct hb_receipt *receipt)
{
	struct hb_redeliver_work *work = arg;
	const struct hb_record *rec = &work->rec;

	if (receipt->outcome == HB_UNSETTLED) {
		fail(work, code_of(receipt->reason), receipt->reason,
		    "its event did not settle; try again later");
		return;
	}
	/* Nobody else settles it: a second job on it is refused. */
	(void)hb_store_settle(&rec->kept);
	hb_log(HB_LOG_INFO, "dead.retried",
	    HB_F_SPAN("endpoint", rec->endpoint), HB_F_SPAN("id", rec->id),
	    HB_F_SPAN("reason", rec->reason),
	    HB_F_STR("outcome", hb_outcome_word(receipt->outcome)));
	hb_redeliver_end(work, receipt->outcome);
}

static void
retry_event(struct hb_redeliver_work *work)
{
	const struct hb_redeliver_env *env = &work->redeliver->env;
	const struct hb_endpoint_conf *endpoint =
	    hb_config_endpoint(env->cfg, work->rec.endpoint);
	struct hb_tracker *tracker;
	struct hb_event *ev;
	struct hb_plan plan;

	if (endpoint == NULL) {
		fail(work, HB_E_REJECT, "no-endpoint",
		    "its endpoint is not configured any more");
		return;
	}
	if (!hb_budget_take(env->budget, endpoint->share,
		work->rec.body.len)) {
		fail(work, HB_E_RESOURCE, "memory", "no memory for its body");
		return;
	}
	ev = make_event(env, endpoint, &work->rec);
	tracker = hb_tracker_new(work->redeliver->courier, ev);
	if (plan_event(work, ev, &plan)) {
		hb_tracker_start(tracker, &plan, false, on_receipt, work);
	} else {
		hb_tracker_free(tracker);
		fail_no_destination(work);
	}
}

void
hb_redeliver_retry(struct hb_redeliver_work *work)
{
	if (work->rec.is_message)
		retry_message(work);
	else
		retry_event(work);
}
