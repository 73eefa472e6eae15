/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - events as they end, one after the other, as server-sent events
 *
 * What is told is written at once. Who does not read it finds it waiting, up
 * to BEHIND_MAX; then the connection is cut, for memory is for webhooks. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/outcome.h"
#include "hookbridge/tail.h"
#include "parts.h"

#define BEHIND_MAX ((size_t)1024 * 1024)

struct tail {
	struct hb_call *call;
	struct hb_tail_listener listener;
	struct hb_timer keep_alive;
};

static void
tail_free(void *work)
{
	struct tail *tail = work;

	hb_tail_leave(tail->call->admin->env.tail, &tail->listener);
	hb_timer_fini(&tail->keep_alive);
	free(tail);
}

/* --- what is said --------------------------------------------------------- */

/* False: the call is over, and the tail with it. */
static bool
say(struct tail *tail, struct hb_span text)
{
	struct hb_http_request *req = tail->call->req;

	if (hb_http_backlog(req) + text.len > BEHIND_MAX) {
		hb_http_cut(req);
		return false;
	}
	if (!hb_http_piece(req, text)) {
		hb_http_end(req);
		return false;
	}
	return true;
}

/* JSON has no line ends of its own, so that it is one line of data. */
static bool
say_event(struct tail *tail, const char *word, json_t *doc_take)
{
	size_t data_len, len;
	char *data = hb_admin_print(doc_take, &data_len);
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);
	bool there;

	if (out == NULL)
		hb_bug("open_memstream failed");
	fprintf(out, "event: %s\ndata: %s\n", word, data);
	if (fclose(out) != 0)
		hb_bug("out of memory");
	there = say(tail, hb_span_make(text, len));
	free(text);
	free(data);
	return there;
}

static json_t *
list_of(struct hb_span text)
{
	json_t *list = json_array();

	while (text.len > 0) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma != NULL
		    ? (size_t)(comma - text.ptr) : text.len;

		json_array_append_new(list, json_stringn(text.ptr, len));
		text = hb_span_skip(text, comma != NULL ? len + 1 : len);
	}
	return list;
}

static json_t *
describe(const struct hb_tail_event *event)
{
	json_t *doc = json_object();

	hb_admin_set(doc, "endpoint", event->endpoint);
	hb_admin_set(doc, "id", event->id);
	hb_admin_set(doc, "job_id", event->job_id);
	hb_admin_set(doc, "status", event->status);
	hb_admin_set(doc, "outcome", hb_span_of(event->outcome));
	json_object_set_new(
	    doc, "destinations", list_of(event->destinations));
	hb_admin_set(doc, "reason", hb_span_of(event->reason));
	json_object_set_new(doc, "at_ms", json_integer(event->wall_ms));
	json_object_set_new(doc, "took_ms", json_integer(event->took_ms));
	return doc;
}

/* --- what comes ----------------------------------------------------------- */

static bool
is_wanted(const struct hb_call *call, const struct hb_tail_event *event)
{
	struct hb_span endpoint = call->params[HB_TAIL_ENDPOINT];
	struct hb_span outcome = call->params[HB_TAIL_OUTCOME];

	return (!hb_span_is_set(endpoint) ||
		   hb_span_eq(endpoint, event->endpoint)) &&
	    (!hb_span_is_set(outcome) ||
		hb_span_eq(outcome, hb_span_of(event->outcome)));
}

static void
on_event(struct hb_tail_listener *listener, const struct hb_tail_event *event,
    uint64_t missed)
{
	struct tail *tail = hb_container_of(listener, struct tail, listener);

	if (missed > 0 &&
	    !say_event(tail, "missed",
		json_pack("{s:I}", "count", (json_int_t)missed)))
		return;
	if (is_wanted(tail->call, event))
		say_event(tail, event->word, describe(event));
}

static void
on_keep_alive(struct hb_timer *timer)
{
	struct tail *tail = hb_container_of(timer, struct tail, keep_alive);

	if (say(tail, HB_SPAN(": keep-alive\n\n")))
		hb_timer_set(timer, tail->call->admin->keep_alive_ms);
}

static void
on_left(struct hb_call *call)
{
	hb_http_end(call->req);
}

/* --- beginning ------------------------------------------------------------ */

static bool
is_outcome(struct hb_span word)
{
	for (int o = HB_CONFIRMED; o <= HB_UNSETTLED; o++)
		if (hb_span_eq(word, hb_span_of(
			hb_outcome_word((enum hb_outcome)o))))
			return true;
	return hb_span_eq(word, HB_SPAN("duplicate"));
}

/* A filter that nothing can pass is a mistake. */
static bool
check_filter(struct hb_call *call)
{
	struct hb_span endpoint = call->params[HB_TAIL_ENDPOINT];
	struct hb_span outcome = call->params[HB_TAIL_OUTCOME];

	if (hb_span_is_set(endpoint) &&
	    hb_config_endpoint(call->admin->env.cfg, endpoint) == NULL)
		return hb_admin_refuse(call, 400,
		    "endpoint: the configuration has no such endpoint");
	return !hb_span_is_set(outcome) || is_outcome(outcome) ||
	    hb_admin_refuse(call, 400, "outcome: expected confirmed, spooled, "
		"dead-lettered, unsettled or duplicate");
}

/* The first comment tells that the tail is there. */
void
hb_admin_tail(struct hb_call *call)
{
	static const struct hb_call_work work = {
		.on_left = on_left, .free = tail_free
	};
	const struct hb_http_reply reply = { .code = 200,
		.media_type = "text/event-stream",
		.body = HB_SPAN(": hookbridge\n\n") };
	struct hb_admin *admin = call->admin;
	struct tail *tail;

	if (!check_filter(call))
		return;
	tail = hb_xcalloc(1, sizeof(*tail));
	tail->call = call;
	tail->listener.loop = admin->env.loop;
	tail->listener.on_event = on_event;
	hb_tail_join(admin->env.tail, &tail->listener);
	hb_timer_init(&tail->keep_alive, admin->env.loop, on_keep_alive);
	hb_timer_set(&tail->keep_alive, admin->keep_alive_ms);
	call->doing = &work;
	call->work = tail;
	if (!hb_http_begin(call->req, &reply) || hb_admin_is_head(call))
		hb_http_end(call->req);
}
