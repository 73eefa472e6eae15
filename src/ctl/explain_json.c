/* SPDX-License-Identifier: Apache-2.0 */
/* explain_json.c - the report as one JSON document
 *
 * Its members are described in hookbridgectl(1); names may be added, none
 * changes. Numbers are raw: bytes, and codes. What is absent is null. */
#include <stdlib.h>

#include "explain.h"
#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "json_doc.h"

/* --- values --------------------------------------------------------------- */

/* null for the absent span. */
static json_t *
text_json(struct hb_span s)
{
	return hb_span_is_set(s) ? hb_json_doc_text(s) : json_null();
}

static json_t *
cstr_json(const char *text)
{
	return text_json(hb_span_of(text));
}

static json_t *
time_json(int64_t ms)
{
	char iso[HB_TIME_ISO_SIZE];

	return json_stringn(iso, hb_clock_iso(ms, iso));
}

static json_t *
texts_json(const struct hb_span *texts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, text_json(texts[i]));
	return list;
}

static json_t *
base64_json(struct hb_span s)
{
	char *text = hb_xmalloc((s.len + 2) / 3 * 4 + 1);
	size_t len =
	    hb_base64_encode((const uint8_t *)s.ptr, s.len, text);
	json_t *json = json_stringn(text, len);

	free(text);
	return json;
}

/* The bytes of a value, its text or its kind. */
static json_t *
value_json(struct hb_span value)
{
	return json_pack("{s:I, s:s}", "bytes", (json_int_t)value.len, "kind",
	    hb_explain_json_kind(value));
}

static json_int_t
runs_bytes(const struct hb_span *runs, size_t count)
{
	json_int_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += (json_int_t)runs[i].len;
	return bytes;
}

/* --- sections ------------------------------------------------------------- */

static json_t *
verdict_json(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;
	bool failed = p->verdict == HB_VERDICT_BAD ||
	    p->verdict == HB_VERDICT_PASSED_OVER;

	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:b, s:o}",
	    "result", hb_explain_verdict_word(p->verdict),
	    "proof_given", x->has_proof,
	    "reason", failed ? cstr_json(p->refusal.reason) : json_null(),
	    "detail", failed ? cstr_json(p->refusal.text) : json_null(),
	    "key", p->verdict == HB_VERDICT_GOOD ? json_integer(p->key)
	    : json_null(),
	    "address_checked", x->req.peer != NULL,
	    "advice", text_json(hb_explain_advice(x)));
}

static json_t *
variables_json(const struct hb_explain *x)
{
	const struct hb_event *ev = x->preview.ev;
	size_t count = hb_json_paths_count(ev->cfg->metadata_paths);
	json_t *map = json_object();

	for (size_t i = 0; i < count; i++) {
		struct hb_span name =
		    hb_explain_path_name(x->arena, ev->cfg, i);

		json_object_setn_new(map, name.ptr, name.len,
		    text_json(ev->vars[HB_VAR_METADATA + i]));
	}
	return map;
}

static json_t *
event_json(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;
	const struct hb_event *ev = p->ev;

	if (ev == NULL)
		return json_null();
	return json_pack("{s:b, s:o, s:o, s:o, s:b, s:o, s:s, s:o, s:o, s:o,"
	    " s:o, s:o, s:o, s:o, s:I, s:I, s:o}",
	    "usable", ev->usable,
	    "reason", ev->usable ? json_null() : cstr_json(p->fault.reason),
	    "detail", ev->usable ? json_null() : cstr_json(p->fault.text),
	    "id", text_json(ev->id), "id_made_up", p->id_is_made_up,
	    "type", ev->usable ? cstr_json(ev->ce_type) : json_null(),
	    "source", ev->endpoint->source,
	    "job_id", text_json(ev->job_id),
	    "status", text_json(ev->status),
	    "status_raw", text_json(ev->status_text),
	    "job_type", text_json(ev->job_type),
	    "channels", texts_json(ev->channels, ev->channel_count),
	    "metadata", value_json(ev->metadata),
	    "result", value_json(ev->result),
	    "extra_bytes", runs_bytes(ev->extra, ev->extra_count),
	    "envelope_bytes", runs_bytes(ev->envelope, ev->envelope_count),
	    "variables", variables_json(x));
}

static json_t *
row_json(const struct hb_explain *x, const struct hb_predicate_conf *row)
{
	const struct hb_event *ev = x->preview.ev;
	bool channel;

	if (row == NULL)
		return json_null();
	channel = row->var == HB_VAR_CHANNEL;
	return json_pack("{s:s, s:o, s:o, s:b}", "name", row->name,
	    "condition", text_json(hb_explain_condition(x->arena, row)),
	    "found", channel ? texts_json(ev->channels, ev->channel_count)
	    : text_json(ev->vars[row->var]),
	    "present", channel ? ev->channel_count > 0
	    : ev->present[row->var] || hb_span_is_set(ev->vars[row->var]));
}

static json_t *
routes_json(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;
	json_t *list = json_array();

	for (size_t i = 0; i < p->route_count; i++) {
		const struct hb_preview_route *route = &p->routes[i];

		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:o, s:I, s:I, s:o}",
		    "name", route->conf->name,
		    "result", hb_explain_turn_word(route->turn),
		    "channel", text_json(route->channel),
		    "destinations", (json_int_t)route->conf->to_count,
		    "messages",
		    (json_int_t)hb_explain_messages_of(x, route->conf),
		    "failed", row_json(x, route->row)));
	}
	return list;
}

/* --- messages ------------------------------------------------------------- */

static json_t *
headers_json(const struct hb_message *msg)
{
	json_t *map = json_object();

	for (size_t i = 0; i < msg->header_count; i++)
		json_object_setn_new(map, msg->headers[i].name.ptr,
		    msg->headers[i].name.len,
		    text_json(msg->headers[i].value));
	return map;
}

/* A sink, and the name of what is its destination. */
static json_t *
place_json(const struct hb_sink_conf *sink, struct hb_span name)
{
	return json_pack("{s:s, s:s, s:o}", "sink", sink->name, "type",
	    sink->type->name, "name", text_json(name));
}

static void
add_content(json_t *json, const struct hb_preview_parcel *parcel)
{
	const struct hb_message *msg = &parcel->msg;
	bool is_text = hb_utf8_is_valid(msg->value);

	json_object_set_new(json, "format",
	    cstr_json(hb_explain_format_word(msg)));
	json_object_set_new(json, "key", text_json(msg->key));
	json_object_set_new(json, "key_replaced",
	    json_boolean(parcel->leg != NULL && parcel->leg->key_replaced &&
		!msg->dead_letter));
	json_object_set_new(json, "headers", headers_json(msg));
	json_object_set_new(json, "headers_left_out",
	    json_integer(msg->headers_left_out));
	json_object_set_new(json, "value_bytes",
	    json_integer((json_int_t)msg->value.len));
	json_object_set_new(json, is_text ? "value" : "value_base64",
	    is_text ? text_json(msg->value) : base64_json(msg->value));
}

static json_t *
wanted_json(const struct hb_leg *leg)
{
	return place_json(leg->target->sink, leg->dest != NULL
	    ? hb_span_of(leg->dest->name) : leg->name);
}

static json_t *
claim_json(const struct hb_explain *x, const struct hb_preview_parcel *parcel)
{
	if (parcel->claim[0] == '\0')
		return json_null();
	return json_pack("{s:s, s:I, s:o}", "digest", parcel->claim,
	    "bytes", (json_int_t)x->preview.ev->body.len,
	    "detail", text_json(hb_explain_claim(x, parcel)));
}

static json_t *
parcel_json(const struct hb_explain *x, const struct hb_preview_parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->msg.dest;
	bool dead = parcel->dead_reason != NULL;
	json_t *json = json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o}",
	    "to", dest == NULL ? json_null()
	    : place_json(dest->sink, hb_span_of(dest->name)),
	    "route", parcel->route != NULL ? cstr_json(parcel->route->name)
	    : json_null(),
	    "dead_letter", dead, "reason", cstr_json(parcel->dead_reason),
	    "detail", dead ? text_json(hb_explain_dead(x, parcel))
	    : json_null(),
	    "instead_of", dead && parcel->leg != NULL
	    ? wanted_json(parcel->leg) : json_null(),
	    "kept", parcel->kept, "claim", claim_json(x, parcel));

	if (dest != NULL)
		add_content(json, parcel);
	else
		json_object_set_new(json, "nowhere",
		    cstr_json(parcel->copy_why.text));
	return json;
}

static json_t *
parcels_json(const struct hb_explain *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < x->preview.parcel_count; i++)
		json_array_append_new(list,
		    parcel_json(x, &x->preview.parcels[i]));
	return list;
}

/* --- the whole ------------------------------------------------------------ */

static json_t *
answer_json(const struct hb_explain *x)
{
	const struct hb_http_reply *answer = &x->preview.answer;

	return json_pack("{s:i, s:s, s:o, s:i, s:o}", "code", answer->code,
	    "outcome", x->preview.outcome, "body", text_json(answer->body),
	    "retry_after", (int)answer->retry_after_s,
	    "explanation", text_json(hb_explain_answer(x)));
}

json_t *
hb_explain_json(const struct hb_explain *x)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:b}",
	    "endpoint", x->endpoint->name,
	    "mode", hb_explain_mode_word(x->endpoint),
	    "path", x->endpoint->path,
	    "received_at", time_json(x->req.at_ms),
	    "body_bytes", (json_int_t)x->req.body.len,
	    "verification", verdict_json(x), "event", event_json(x),
	    "routes", routes_json(x), "messages", parcels_json(x),
	    "answer", answer_json(x),
	    "accepted", x->preview.answer.code < 300);
}
