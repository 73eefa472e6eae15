/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - what a sink sends: key, value, headers
 *
 * Headers, in this order; what an event does not have is left out.
 *
 *   ce_specversion    1.0
 *   ce_id             the webhook's id, or "direct-" and a digest
 *   ce_source         the endpoint's source
 *   ce_type           ai.reducto.job.completed and the like;
 *                     ai.reducto.webhook.unrecognized for an unusable body
 *   ce_subject        job_id
 *   ce_time           when the last byte of the body was there
 *   ce_channel        the leg's channel; of a dead letter, the first
 *   ce_jobstatus, ce_jobtype
 *   ce_partitionkey   the message's key
 *   ce_dataref        of a claim check: where the body is
 *   content-type      of the value
 *   traceparent, tracestate
 *   the configured ones, or, of a dead letter:
 *   hb_reason, hb_endpoint, hb_received_at, hb_destination, hb_webhook_id
 *
 * That is CloudEvents' binary mode for Kafka, and by the same names for fields
 * of a Redis stream. In structured mode the value repeats the attributes. The
 * attributes' values are encoded (text.h); a configured header that cannot be
 * said as it is, is left out. */
#include "hookbridge/message.h"

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "text.h"
#include "value.h"

#define ATTRIBUTES_MAX 10
#define FIXED_MAX (ATTRIBUTES_MAX + 3)
#define DEAD_MAX (FIXED_MAX + HB_DEAD_REASONS)
#define VALUE_MAX 1024 /* of what data puts into a header */

#define MESSAGE_COST 512
#define HEADER_COST 128

#define UNRECOGNIZED HB_SPAN("ai.reducto.webhook.unrecognized")

/* Headers of one message, in an array that has room for all. */
struct headers {
	struct hb_header *items;
	size_t count;
};

/* --- parts ---------------------------------------------------------------- */

static struct headers
new_headers(struct hb_arena *arena, size_t most)
{
	return (struct headers){
	    hb_arena_alloc(arena, most * sizeof(struct hb_header)), 0};
}

/* An empty value counts as absent. */
static void
add(struct headers *headers, struct hb_span name, struct hb_span value)
{
	if (value.len > 0)
		headers->items[headers->count++] =
		    (struct hb_header){name, value};
}

static struct hb_span
iso_time(int64_t wall_ms, struct hb_arena *arena)
{
	char iso[HB_TIME_ISO_SIZE];
	size_t len = hb_clock_iso(wall_ms, iso);

	return hb_arena_dup(arena, hb_span_make(iso, len));
}

static struct hb_span
received_at(struct hb_render *render)
{
	const struct hb_event *ev = render->ev;

	if (!hb_span_is_set(render->received_at))
		render->received_at = iso_time(ev->received_ms, ev->arena);
	return render->received_at;
}

static struct hb_span
json(struct hb_render *render)
{
	if (!hb_span_is_set(render->json))
		render->json =
		    hb_value_json(render->ev, received_at(render), NULL);
	return render->json;
}

/* The digest is of the one body there is, or stands in for it once. */
static struct hb_span
claimed_json(struct hb_render *render, const struct hb_value_claim *claim)
{
	if (hb_span_eq(render->claim, claim->digest))
		return render->claimed_json;
	render->claim = hb_arena_dup(render->ev->arena, claim->digest);
	render->claimed_json =
	    hb_value_json(render->ev, received_at(render), claim);
	return render->claimed_json;
}

/* The job_id, unless it is what made the body unusable. */
static struct hb_span
subject_of(const struct hb_event *ev)
{
	bool fits = ev->job_id.len > 0 && ev->job_id.len <= VALUE_MAX;

	return fits ? ev->job_id : HB_SPAN_NONE;
}

static void
add_attributes(struct headers *headers, struct hb_render *render,
    struct hb_span channel, struct hb_span key)
{
	const struct hb_event *ev = render->ev;
	const struct hb_header attributes[ATTRIBUTES_MAX] = {
	    {HB_SPAN("ce_specversion"), HB_SPAN("1.0")},
	    {HB_SPAN("ce_id"), ev->id},
	    {HB_SPAN("ce_source"), hb_span_of(ev->endpoint->source)},
	    {HB_SPAN("ce_type"),
		ev->usable ? hb_span_of(ev->ce_type) : UNRECOGNIZED},
	    {HB_SPAN("ce_subject"), subject_of(ev)},
	    {HB_SPAN("ce_time"), received_at(render)},
	    {HB_SPAN("ce_channel"), channel},
	    {HB_SPAN("ce_jobstatus"), ev->status},
	    {HB_SPAN("ce_jobtype"), ev->job_type},
	    {HB_SPAN("ce_partitionkey"), key},
	};

	for (size_t i = 0; i < HB_COUNT(attributes); i++)
		add(headers, attributes[i].name,
		    hb_text_encode(attributes[i].value, ev->arena));
}

static void
add_trace(struct headers *headers, const struct hb_event *ev)
{
	add(headers, HB_SPAN("traceparent"), ev->traceparent);
	add(headers, HB_SPAN("tracestate"), ev->tracestate);
}

/* --- legs ----------------------------------------------------------------- */

/* The value in the target's format, and the header that tells it. */
static struct hb_span
make_value(struct hb_render *render, int format,
    const struct hb_value_claim *claim, struct headers *headers)
{
	struct hb_span type = HB_SPAN("application/json");
	struct hb_span value = render->ev->body;

	if (format != HB_FORMAT_RAW)
		value = claim != NULL ? claimed_json(render, claim)
				      : json(render);
	if (format == HB_FORMAT_CLOUDEVENTS) {
		type = HB_SPAN("application/cloudevents+json; charset=UTF-8");
		value = hb_value_cloudevent(render->ev->arena, headers->items,
		    headers->count, value);
	}
	add(headers, HB_SPAN("content-type"), type);
	return value;
}

/* Adds the target's own headers; how many had to be left out. */
static unsigned
add_configured(
    struct headers *headers, struct hb_event *ev, const struct hb_leg *leg)
{
	const struct hb_target_conf *target = leg->target;
	unsigned left_out = 0;

	for (size_t i = 0; i < target->header_count; i++) {
		const struct hb_header_conf *conf = &target->headers[i];
		struct hb_span value =
		    hb_route_expand(conf->value, ev, leg->channel);

		if (hb_span_is_set(value) && value.len <= VALUE_MAX &&
		    hb_utf8_is_plain(value))
			add(headers, hb_span_of(conf->name), value);
		else
			left_out++;
	}
	return left_out;
}

static void
finish(struct hb_message *msg, const struct hb_event *ev,
    const struct headers *headers)
{
	msg->headers = headers->items;
	msg->header_count = headers->count;
	msg->id = ev->id;
	msg->endpoint = hb_span_of(ev->endpoint->name);
	msg->dedup = ev->endpoint->dedup;
}

void
hb_render_init(struct hb_render *render, struct hb_event *ev)
{
	*render = (struct hb_render){.ev = ev};
}

/* claim: of a claim check; NULL: the whole event. */
static void
render_leg(struct hb_render *render, const struct hb_leg *leg,
    const struct hb_value_claim *claim, struct hb_message *msg)
{
	struct hb_event *ev = render->ev;
	const struct hb_target_conf *target = leg->target;
	size_t fixed = claim != NULL ? FIXED_MAX + 1 : FIXED_MAX;
	struct headers headers =
	    new_headers(ev->arena, fixed + target->header_count);

	*msg = (struct hb_message){
	    .target = target, .dest = leg->dest, .key = leg->key};
	add_attributes(&headers, render, leg->channel, leg->key);
	if (claim != NULL)
		add(&headers, HB_SPAN("ce_dataref"), claim->urn);
	msg->value = make_value(render, target->format, claim, &headers);
	add_trace(&headers, ev);
	msg->headers_left_out = add_configured(&headers, ev, leg);
	finish(msg, ev, &headers);
}

/* Fills the message of a leg that has a destination. */
void
hb_render_leg(
    struct hb_render *render, const struct hb_leg *leg, struct hb_message *msg)
{
	render_leg(render, leg, NULL, msg);
}

void
hb_render_claimed_leg(struct hb_render *render, const struct hb_leg *leg,
    const char *digest, uint64_t size, struct hb_message *msg)
{
	struct hb_value_claim claim = {.digest = hb_span_of(digest),
	    .size = size};

	if (leg->target->format == HB_FORMAT_RAW)
		hb_bug("a body as it is has no place for a claim");
	claim.urn = hb_arena_printf(
	    render->ev->arena, "%s%s", HB_CLAIM_URN, digest);
	render_leg(render, leg, &claim, msg);
}

/* --- dead letters --------------------------------------------------------- */

size_t
hb_render_reasons(const struct hb_dead_reasons *reasons,
    struct hb_arena *arena, struct hb_header *headers, size_t count)
{
	struct headers all = {headers, count};

	add(&all, HB_SPAN("hb_reason"), hb_span_of(reasons->reason));
	add(&all, HB_SPAN("hb_endpoint"), reasons->endpoint);
	add(&all, HB_SPAN("hb_received_at"),
	    iso_time(reasons->received_ms, arena));
	add(&all, HB_SPAN("hb_destination"),
	    hb_text_encode(
		hb_text_cut(reasons->destination, VALUE_MAX), arena));
	add(&all, HB_SPAN("hb_webhook_id"),
	    hb_text_encode(reasons->webhook_id, arena));
	return all.count;
}

static void
add_reasons(struct headers *headers, const struct hb_event *ev,
    const char *reason, struct hb_span destination)
{
	const struct hb_dead_reasons reasons = {.reason = reason,
	    .endpoint = hb_span_of(ev->endpoint->name),
	    .received_ms = ev->received_ms,
	    .destination = destination,
	    .webhook_id = ev->webhook_id};

	headers->count = hb_render_reasons(
	    &reasons, ev->arena, headers->items, headers->count);
}

struct hb_span
hb_render_place(const struct hb_render *render,
    const struct hb_dest_conf *dest, struct hb_span name)
{
	if (dest == NULL)
		return HB_SPAN_NONE;
	return hb_arena_printf(render->ev->arena, "%s:%.*s", dest->sink->name,
	    HB_SPAN_ARG(name));
}

/* Fills the message that goes to the dead letters instead of a leg's, or
 * instead of all. */
void
hb_render_dead_letter(struct hb_render *render,
    const struct hb_target_conf *target, const char *reason,
    struct hb_span destination, struct hb_message *msg)
{
	struct hb_event *ev = render->ev;
	struct headers headers = new_headers(ev->arena, DEAD_MAX);
	struct hb_span subject = subject_of(ev);

	*msg = (struct hb_message){
	    .target = target,
	    .dest = target->dests[0],
	    .key = hb_span_is_set(subject) ? subject : ev->id,
	    .value = ev->body,
	    .dead_letter = true,
	};
	add_attributes(&headers, render,
	    ev->channel_count > 0 ? ev->channels[0] : HB_SPAN_NONE, msg->key);
	add(&headers, HB_SPAN("content-type"),
	    ev->usable ? HB_SPAN("application/json")
		       : HB_SPAN("application/octet-stream"));
	add_trace(&headers, ev);
	add_reasons(&headers, ev, reason, destination);
	finish(msg, ev, &headers);
}

/* --- cost ----------------------------------------------------------------- */

uint64_t
hb_message_cost(const struct hb_message *msg)
{
	uint64_t cost = MESSAGE_COST + msg->key.len + msg->value.len;

	for (size_t i = 0; i < msg->header_count; i++)
		cost += HEADER_COST + msg->headers[i].name.len +
			msg->headers[i].value.len;
	return cost;
}
