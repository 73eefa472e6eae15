/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - the JSON texts that we publish
 *
 * Format json: an object with these members in this order; what an event does
 * not have is left out.
 *
 *   job_id             string, as it came
 *   status             string, folded: completed, failed, … unknown
 *   status_raw         as it came
 *   job_type           string
 *   channels           array of strings
 *   metadata, result   as they came
 *   dataref            urn:hookbridge:claim:…   claim checks only, which have
 *   dataref_size       number, of bytes         no result: where the body as
 *   dataref_sha256     64 hex digits            received is, and what it is
 *   endpoint, mode     strings
 *   webhook_id         string            signed webhooks only
 *   webhook_timestamp  ISO 8601, UTC     signed webhooks only
 *   received_at        ISO 8601, UTC
 *   extra              object of the members that have no meaning here
 *   envelope           object of the members around an enveloped event
 *
 * "As it came" is byte for byte, white space inside of values too. Format
 * cloudevents: the attributes as string members, then datacontenttype, then
 * data, which is the object above.
 *
 * A text is written twice by the same function: first without memory, which
 * tells how much it takes at most, then into one allocation of that size. */
#include "value.h"

#include <inttypes.h>
#include <stdio.h>

#include "hookbridge/clock.h"

#define MEMBER(name) HB_SPAN(",\"" name "\":")

struct text {
	char *out; /* NULL: only measured */
	size_t len;
};

/* --- writing -------------------------------------------------------------- */

static void
put(struct text *text, struct hb_span s)
{
	if (text->out != NULL && s.len > 0)
		memcpy(text->out + text->len, s.ptr, s.len);
	text->len += s.len;
}

static void
put_string(struct text *text, struct hb_span s)
{
	if (text->out != NULL)
		text->len += hb_json_quote(s, text->out + text->len);
	else
		text->len += 6 * s.len + 2;
}

static void
put_string_member(struct text *text, struct hb_span label, struct hb_span s)
{
	if (!hb_span_is_set(s))
		return;
	put(text, label);
	put_string(text, s);
}

static void
put_verbatim_member(struct text *text, struct hb_span label, struct hb_span s)
{
	if (!hb_span_is_set(s))
		return;
	put(text, label);
	put(text, s);
}

/* Runs of members, verbatim, as one object. */
static void
put_runs_member(struct text *text, struct hb_span label,
    const struct hb_span *runs, size_t count)
{
	if (count == 0)
		return;
	put(text, label);
	for (size_t i = 0; i < count; i++) {
		put(text, i == 0 ? HB_SPAN("{") : HB_SPAN(","));
		put(text, runs[i]);
	}
	put(text, HB_SPAN("}"));
}

static void
put_strings_member(struct text *text, struct hb_span label,
    const struct hb_span *strings, size_t count)
{
	if (count == 0)
		return;
	put(text, label);
	for (size_t i = 0; i < count; i++) {
		put(text, i == 0 ? HB_SPAN("[") : HB_SPAN(","));
		put_string(text, strings[i]);
	}
	put(text, HB_SPAN("]"));
}

/* --- json ----------------------------------------------------------------- */

struct times {
	struct hb_span webhook, received;
};

static void
put_claim(struct text *text, const struct hb_value_claim *claim)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, claim->size);

	put_string_member(text, MEMBER("dataref"), claim->urn);
	put_verbatim_member(text, MEMBER("dataref_size"),
	    hb_span_make(digits, (size_t)len));
	put_string_member(text, MEMBER("dataref_sha256"), claim->digest);
}

static void
write_json(struct text *text, const struct hb_event *ev,
    const struct times *times, const struct hb_value_claim *claim)
{
	const struct hb_endpoint_conf *endpoint = ev->endpoint;

	put(text, HB_SPAN("{\"job_id\":"));
	put(text, ev->job_id_text);
	put_string_member(text, MEMBER("status"), ev->status);
	put_verbatim_member(text, MEMBER("status_raw"), ev->status_text);
	put_string_member(text, MEMBER("job_type"), ev->job_type);
	put_strings_member(
	    text, MEMBER("channels"), ev->channels, ev->channel_count);
	put_verbatim_member(text, MEMBER("metadata"), ev->metadata);
	if (claim != NULL)
		put_claim(text, claim);
	else
		put_verbatim_member(text, MEMBER("result"), ev->result);
	put_string_member(text, MEMBER("endpoint"), hb_span_of(endpoint->name));
	put_string_member(text, MEMBER("mode"),
	    endpoint->mode == HB_MODE_DIRECT ? HB_SPAN("direct")
					     : HB_SPAN("svix"));
	put_string_member(text, MEMBER("webhook_id"), ev->webhook_id);
	put_string_member(text, MEMBER("webhook_timestamp"), times->webhook);
	put_string_member(text, MEMBER("received_at"), times->received);
	put_runs_member(text, MEMBER("extra"), ev->extra, ev->extra_count);
	put_runs_member(
	    text, MEMBER("envelope"), ev->envelope, ev->envelope_count);
	put(text, HB_SPAN("}"));
}

struct hb_span
hb_value_json(struct hb_event *ev, struct hb_span received_at,
    const struct hb_value_claim *claim)
{
	struct times times = {HB_SPAN_NONE, received_at};
	struct text text = {NULL, 0};
	char iso[HB_TIME_ISO_SIZE];

	if (hb_span_is_set(ev->webhook_id))
		times.webhook = hb_span_make(
		    iso, hb_clock_iso(ev->webhook_timestamp * 1000, iso));
	write_json(&text, ev, &times, claim);
	text = (struct text){hb_arena_alloc(ev->arena, text.len), 0};
	write_json(&text, ev, &times, claim);
	return hb_span_make(text.out, text.len);
}

/* --- cloudevents ---------------------------------------------------------- */

static void
write_cloudevent(struct text *text, const struct hb_header *attributes,
    size_t count, struct hb_span json)
{
	for (size_t i = 0; i < count; i++) {
		put(text, i == 0 ? HB_SPAN("{\"") : HB_SPAN(",\""));
		put(text, hb_span_skip(attributes[i].name, strlen("ce_")));
		put(text, HB_SPAN("\":"));
		put_string(text, attributes[i].value);
	}
	put(text, MEMBER("datacontenttype"));
	put(text, HB_SPAN("\"application/json\""));
	put(text, MEMBER("data"));
	put(text, json);
	put(text, HB_SPAN("}"));
}

struct hb_span
hb_value_cloudevent(struct hb_arena *arena, const struct hb_header *attributes,
    size_t count, struct hb_span json)
{
	struct text text = {NULL, 0};

	write_cloudevent(&text, attributes, count, json);
	text = (struct text){hb_arena_alloc(arena, text.len), 0};
	write_cloudevent(&text, attributes, count, json);
	return hb_span_make(text.out, text.len);
}
