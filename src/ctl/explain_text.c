/* SPDX-License-Identifier: Apache-2.0 */
/* explain_text.c - the report for people
 *
 * Sections in the order of the journey, each of lines with a label and a text:
 *
 *   Routes
 *     invoices      match, channel production
 *     failures      no match: status: {not: completed}, but it is
 *                   "completed"
 *
 * Every text is escaped, then wrapped so that no line is longer than 80
 * columns: between words if there are any, inside of them if there are not. */
#include <stdlib.h>

#include "ctl.h"
#include "explain.h"
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"

#define COLUMNS 80
#define INDENT 2
#define LABEL 16 /* where texts begin */

#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

struct page {
	const struct hb_explain *x;
	FILE *out;
	bool colour;
};

/* --- lines ---------------------------------------------------------------- */

/* How many columns a character takes: two for the wide ones of East Asia and
 * for pictures. */
static int
columns_of(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} wide[] = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf },
		{ 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },
		{ 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff },
		{ 0x20000, 0x3fffd } };

	for (size_t i = 0; i < HB_COUNT(wide); i++)
		if (c >= wide[i].first && c <= wide[i].last)
			return 2;
	return 1;
}

static int
width(struct hb_span s)
{
	int columns = 0;
	uint32_t c;

	while (s.len > 0) {
		size_t len = hb_utf8_next(s, &c);

		columns += len > 0 ? columns_of(c) : 1;
		s = hb_span_skip(s, len > 0 ? len : 1);
	}
	return columns;
}

/* Whether the word at the front of a text is too long for any line. */
static bool
is_endless(struct hb_span s, int room)
{
	const char *space = memchr(s.ptr, ' ', s.len);

	if (space != NULL)
		s.len = (size_t)(space - s.ptr);
	return width(s) > room;
}

/* How much of a text fits into so many columns: whole words, if there is one
 * and the next is not to be cut anyway. */
static size_t
front(struct hb_span s, int room)
{
	size_t pos = 0, space = 0;
	int columns = 0;
	uint32_t c = 0;

	while (pos < s.len) {
		size_t len = hb_utf8_next(hb_span_skip(s, pos), &c);

		columns += len > 0 ? columns_of(c) : 1;
		if (columns > room)
			return space > 0 &&
			    !is_endless(hb_span_skip(s, space), room)
			    ? space : pos;
		pos += len > 0 ? len : 1;
		if (c == ' ')
			space = pos;
	}
	return pos;
}

static void
put_wrapped(const struct page *page, struct hb_span safe, int column)
{
	while (safe.len > 0) {
		size_t len = front(safe, COLUMNS - column);
		size_t shown = len;

		while (shown > 0 && shown < safe.len &&
		    safe.ptr[shown - 1] == ' ')
			shown--;
		fwrite(safe.ptr, 1, shown, page->out);
		safe = hb_span_skip(safe, len);
		if (safe.len > 0)
			fprintf(page->out, "\n%*s", column, "");
	}
	fputc('\n', page->out);
}

/* The text as hb_ctl_put() prints it. */
static struct hb_span
make_safe(struct hb_arena *arena, struct hb_span text)
{
	struct hb_span safe;
	size_t len;
	char *data;
	FILE *out = open_memstream(&data, &len);

	if (out == NULL)
		hb_bug("no memory for a line");
	hb_ctl_put(out, text);
	if (fclose(out) != 0)
		hb_bug("no memory for a line");
	safe = hb_arena_dup(arena, hb_span_make(data, len));
	free(data);
	return safe;
}

static void
put_head(const struct page *page, const char *title)
{
	fprintf(page->out, "%s%s%s\n", page->colour ? BOLD : "", title,
	    page->colour ? PLAIN : "");
}

/* One label and its text; colour: of the label, or NULL. */
static void
put_line(const struct page *page, struct hb_span label, const char *colour,
    struct hb_span text)
{
	struct hb_span safe = make_safe(page->x->arena, label);
	int used = INDENT + width(safe);

	fprintf(page->out, "%*s%s%.*s%s", INDENT, "",
	    page->colour && colour != NULL ? colour : "", HB_SPAN_ARG(safe),
	    page->colour && colour != NULL ? PLAIN : "");
	if (used + 1 > LABEL) {
		fputc('\n', page->out);
		used = 0;
	}
	fprintf(page->out, "%*s", LABEL - used, "");
	put_wrapped(page, make_safe(page->x->arena, text), LABEL);
}

/* Nothing where there is no text. */
static void
put(const struct page *page, const char *label, struct hb_span text)
{
	if (hb_span_is_set(text))
		put_line(page, hb_span_of(label), NULL, text);
}

/* --- the webhook ---------------------------------------------------------- */

static struct hb_span
time_text(const struct page *page, int64_t ms)
{
	char iso[HB_TIME_ISO_SIZE];
	size_t len = hb_clock_iso(ms, iso);

	return hb_arena_dup(page->x->arena, hb_span_make(iso, len));
}

static void
tell_request(const struct page *page)
{
	const struct hb_explain *x = page->x;
	const struct hb_preview *p = &x->preview;
	struct hb_arena *arena = x->arena;

	put_head(page, "Webhook");
	put(page, "endpoint", hb_arena_printf(arena, "%s, mode %s",
	    x->endpoint->name, hb_explain_mode_word(x->endpoint)));
	put(page, "path", hb_span_of(x->endpoint->path));
	put(page, "body", hb_explain_size(arena, x->req.body.len));
	put(page, "received at", time_text(page, x->req.at_ms));
	put_line(page, HB_SPAN("verification"),
	    p->verdict == HB_VERDICT_GOOD ? GREEN
	    : p->verdict == HB_VERDICT_BAD ? RED : NULL, hb_explain_verdict(x));
	put(page, "", hb_explain_advice(x));
	if (p->verdict == HB_VERDICT_BAD && p->is_passable)
		put(page, "", HB_SPAN("to see where it would go all the same, "
		    "add --no-verify"));
}

/* --- the event ------------------------------------------------------------ */

/* "1.2 KiB, object". */
static struct hb_span
value_text(const struct page *page, struct hb_span value)
{
	struct hb_span size;

	if (!hb_span_is_set(value))
		return HB_SPAN("none");
	size = hb_explain_size(page->x->arena, value.len);
	return hb_arena_printf(page->x->arena, "%.*s, %s", HB_SPAN_ARG(size),
	    hb_explain_json_kind(value));
}

static struct hb_span
runs_text(const struct page *page, const struct hb_span *runs, size_t count)
{
	size_t bytes = 0;

	if (count == 0)
		return HB_SPAN_NONE;
	for (size_t i = 0; i < count; i++)
		bytes += runs[i].len;
	return hb_explain_size(page->x->arena, bytes);
}

static struct hb_span
channels_text(const struct page *page, const struct hb_event *ev)
{
	struct hb_span text = HB_SPAN("none");

	for (size_t i = 0; i < ev->channel_count; i++)
		text = i == 0 ? ev->channels[0]
		    : hb_arena_printf(page->x->arena, "%.*s, %.*s",
			  HB_SPAN_ARG(text), HB_SPAN_ARG(ev->channels[i]));
	return text;
}

static struct hb_span
status_text(const struct page *page, const struct hb_event *ev)
{
	if (!hb_span_is_set(ev->status_text))
		return hb_arena_printf(page->x->arena,
		    "%.*s, for there is none", HB_SPAN_ARG(ev->status));
	return hb_arena_printf(page->x->arena, "%.*s, from %.*s",
	    HB_SPAN_ARG(ev->status), HB_SPAN_ARG(ev->status_text));
}

/* What routes and templates look at. */
static void
tell_variables(const struct page *page, const struct hb_event *ev)
{
	size_t count = hb_json_paths_count(ev->cfg->metadata_paths);

	for (size_t i = 0; i < count; i++) {
		struct hb_predicate_conf row = {
			.var = HB_VAR_METADATA + (int)i };
		struct hb_span name =
		    hb_explain_path_name(page->x->arena, ev->cfg, i);
		struct hb_span found =
		    hb_explain_found(page->x->arena, &row, ev);

		found = hb_span_skip(found, strlen("it "));
		put(page, i == 0 ? "looked at" : "",
		    hb_arena_printf(page->x->arena, "%.*s %.*s",
			HB_SPAN_ARG(name), HB_SPAN_ARG(found)));
	}
}

static void
tell_event(const struct page *page)
{
	const struct hb_preview *p = &page->x->preview;
	const struct hb_event *ev = p->ev;

	put_head(page, "\nEvent");
	if (!ev->usable)
		put_line(page, HB_SPAN("unusable"), RED,
		    hb_arena_printf(page->x->arena, "%s (%s)", p->fault.text,
			p->fault.reason));
	put(page, "id", hb_arena_printf(page->x->arena, "%.*s%s",
	    HB_SPAN_ARG(ev->id), p->id_is_made_up
	    ? ", made up: no webhook id was given" : ""));
	if (ev->usable)
		put(page, "type", hb_span_of(ev->ce_type));
	put(page, "source", hb_span_of(ev->endpoint->source));
	put(page, "job", ev->job_id);
	put(page, "status", status_text(page, ev));
	put(page, "job type", hb_span_is_set(ev->job_type) ? ev->job_type
	    : HB_SPAN("unknown"));
	put(page, "channels", channels_text(page, ev));
	put(page, "metadata", value_text(page, ev->metadata));
	put(page, "result", value_text(page, ev->result));
	put(page, "extra", runs_text(page, ev->extra, ev->extra_count));
	put(page, "envelope",
	    runs_text(page, ev->envelope, ev->envelope_count));
	if (ev->usable)
		tell_variables(page, ev);
}

/* --- routes --------------------------------------------------------------- */

static struct hb_span
mismatch_text(const struct page *page, const struct hb_preview_route *route)
{
	struct hb_arena *arena = page->x->arena;
	struct hb_span condition = hb_explain_condition(arena, route->row);
	struct hb_span found =
	    hb_explain_found(arena, route->row, page->x->preview.ev);

	return hb_arena_printf(arena, "no match: %s: %.*s, but %.*s",
	    route->row->name, HB_SPAN_ARG(condition), HB_SPAN_ARG(found));
}

static struct hb_span
match_text(const struct page *page, const struct hb_preview_route *route)
{
	const struct hb_explain *x = page->x;
	size_t count = hb_explain_messages_of(x, route->conf);
	bool has_channel = hb_span_is_set(route->channel);
	struct hb_span text = hb_arena_printf(x->arena, "match%s%.*s",
	    has_channel ? ", channel " : "", HB_SPAN_ARG(has_channel
	    ? route->channel : HB_SPAN("")));

	if (count == route->conf->to_count || x->preview.plan->reason != NULL)
		return text;
	return hb_arena_printf(x->arena, "%.*s; %zu of its %zu destinations "
	    "were named by routes before", HB_SPAN_ARG(text),
	    route->conf->to_count - count, route->conf->to_count);
}

static struct hb_span
route_text(const struct page *page, const struct hb_preview_route *route)
{
	switch (route->turn) {
	case HB_TURN_MATCH:
		return match_text(page, route);
	case HB_TURN_NO_MATCH:
		return mismatch_text(page, route);
	case HB_TURN_NOT_REACHED:
		return HB_SPAN("not reached: a final route matched before");
	case HB_TURN_NOT_NEEDED:
		break;
	}
	return HB_SPAN("not needed: a default, and another route matched");
}

static void
tell_routes(const struct page *page)
{
	const struct hb_preview *p = &page->x->preview;

	put_head(page, "\nRoutes");
	for (size_t i = 0; i < p->route_count; i++)
		put_line(page, hb_span_of(p->routes[i].conf->name),
		    p->routes[i].turn == HB_TURN_MATCH ? GREEN : NULL,
		    route_text(page, &p->routes[i]));
}

/* --- deliveries ----------------------------------------------------------- */

/* "kafka sink main, topic jobs". */
static struct hb_span
place_text(const struct page *page, const struct hb_sink_conf *sink,
    struct hb_span name)
{
	const char *key = sink->type->dest_key;

	if (key == NULL)
		return hb_arena_printf(page->x->arena, "%s sink %s",
		    sink->type->name, sink->name);
	return hb_arena_printf(page->x->arena, "%s sink %s, %s %.*s",
	    sink->type->name, sink->name, key, HB_SPAN_ARG(name));
}

/* Where a leg was to go. */
static struct hb_span
wanted_text(const struct page *page, const struct hb_leg *leg)
{
	return place_text(page, leg->target->sink, leg->dest != NULL
	    ? hb_span_of(leg->dest->name) : leg->name);
}

static void
tell_message(const struct page *page, const struct hb_preview_parcel *parcel)
{
	const struct hb_message *msg = &parcel->msg;
	struct hb_arena *arena = page->x->arena;
	struct hb_span size = hb_explain_size(arena, msg->value.len);

	put(page, "key", hb_arena_printf(arena, "%.*s%s", HB_SPAN_ARG(msg->key),
	    parcel->leg != NULL && parcel->leg->key_replaced &&
	    !msg->dead_letter ? ", the job's id: its own is not usable" : ""));
	put(page, "value", hb_arena_printf(arena, "%.*s, %s",
	    HB_SPAN_ARG(size), hb_explain_format_word(msg)));
	for (size_t i = 0; i < msg->header_count; i++)
		put(page, i == 0 ? "headers" : "", hb_arena_printf(arena,
		    "%.*s: %.*s", HB_SPAN_ARG(msg->headers[i].name),
		    HB_SPAN_ARG(msg->headers[i].value)));
	if (msg->headers_left_out > 0)
		put(page, "", hb_arena_printf(arena, "%u left out: their value "
		    "is missing, too long or has control characters",
		    msg->headers_left_out));
}

/* Where it goes: to a sink, to the disk, to both, or nowhere. */
static void
tell_place(const struct page *page, const struct hb_preview_parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->msg.dest;
	struct hb_arena *arena = page->x->arena;

	if (parcel->kept)
		put(page, "to", HB_SPAN("the dead letters on disk"));
	if (dest != NULL)
		put(page, parcel->kept ? "copy to" : "to",
		    place_text(page, dest->sink, hb_span_of(dest->name)));
	else if (parcel->nowhere)
		put(page, "to", hb_arena_printf(arena, "nowhere: %s",
		    parcel->copy_why.text));
	else if (page->x->req.cfg->dead_letter != NULL)
		put(page, "copy to", hb_arena_printf(arena, "nowhere: %s",
		    parcel->copy_why.text));
}

static void
tell_parcel(const struct page *page, const struct hb_preview_parcel *parcel)
{
	if (parcel->dead_reason != NULL) {
		put_line(page, HB_SPAN("dead letter"), RED,
		    hb_explain_dead(page->x, parcel));
		if (parcel->leg != NULL)
			put(page, "instead of", wanted_text(page, parcel->leg));
	}
	if (parcel->claim[0] != '\0')
		put(page, "claim check", hb_explain_claim(page->x, parcel));
	tell_place(page, parcel);
	if (parcel->route != NULL)
		put(page, "route", hb_span_of(parcel->route->name));
	if (parcel->msg.dest != NULL)
		tell_message(page, parcel);
}

static void
tell_parcels(const struct page *page)
{
	const struct hb_preview *p = &page->x->preview;
	char title[64];

	for (size_t i = 0; i < p->parcel_count; i++) {
		snprintf(title, sizeof(title), "\nMessage %zu of %zu", i + 1,
		    p->parcel_count);
		put_head(page, title);
		tell_parcel(page, &p->parcels[i]);
	}
}

/* --- the answer ----------------------------------------------------------- */

static void
tell_answer(const struct page *page)
{
	const struct hb_preview *p = &page->x->preview;
	struct hb_span body = p->answer.body;
	char code[16];

	if (body.len > 0 && body.ptr[body.len - 1] == '\n')
		body.len--;
	snprintf(code, sizeof(code), "%d", p->answer.code);
	put_head(page, "\nAnswer");
	put_line(page, hb_span_of(code), p->answer.code < 300 ? GREEN : RED,
	    body);
	put(page, "", hb_explain_answer(page->x));
}

void
hb_explain_text(const struct hb_explain *x, FILE *out, bool colour)
{
	struct page page = { x, out, colour };

	tell_request(&page);
	if (x->preview.ev != NULL) {
		tell_event(&page);
		if (x->preview.ev->usable)
			tell_routes(&page);
		tell_parcels(&page);
	}
	tell_answer(&page);
}
