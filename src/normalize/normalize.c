/* SPDX-License-Identifier: Apache-2.0 */
/* normalize.c - from a verified body to the members of an event
 *
 * In order, and each step tells why it cannot go on:
 *
 *   1. The body's members are found (members.c).
 *   2. job_id and status are decoded; the identity follows from them.
 *   3. One pass over metadata finds all paths that the configuration uses.
 *      What cannot be read in one way only (a repeated name, a value too long
 *      to compare) is refused: readers behind us might see another value.
 *   4. The job's type and the channels follow from what is known by then.
 *
 * A body that fails keeps what has been found until then, gets an identity, a
 * status and its endpoint's fixed channels, so that its dead letter can be
 * listed like any event. Everything is a span of the body or static text; only
 * decoded strings and expansions are made in the arena, bounded. */
#include "hookbridge/normalize.h"

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "members.h"

#define JOB_ID_MAX 256
#define STATUS_MAX 64
#define JOB_TYPE_MAX 64
#define VALUE_MAX 4096 /* of a metadata value that decides */

/* --- job_id and status ---------------------------------------------------- */

/* Any text that can be a key, a header and a name in a log. */
static bool
read_job_id(struct hb_event *ev, const struct hb_json_value *value,
    struct hb_error *err)
{
	struct hb_span text;

	if (value->kind == HB_JSON_NONE || value->kind == HB_JSON_NULL)
		return hb_fail_reason(err, HB_E_DEAD, "no-job-id",
		    "the body has no job_id");
	if (value->kind != HB_JSON_STRING)
		return hb_fail_reason(err, HB_E_DEAD, "bad-job-id",
		    "job_id is not a string");
	text = hb_json_decode(value->text, ev->arena);
	if (!hb_span_is_set(text) || text.len < 1 || text.len > JOB_ID_MAX ||
	    !hb_utf8_is_plain(text))
		return hb_fail_reason(err, HB_E_DEAD, "bad-job-id",
		    "job_id is not a text of 1 to %d bytes without control "
		    "characters", JOB_ID_MAX);
	ev->job_id = text;
	ev->job_id_text = value->text;
	return true;
}

static struct hb_span
lower(struct hb_span text, struct hb_arena *arena)
{
	char *out = hb_arena_alloc(arena, text.len);

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	return hb_span_make(out, text.len);
}

/* [a-z0-9_-]{1,64}: what may be a label, a topic, a header. */
static bool
is_word(struct hb_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '_' || c == '-'))
			return false;
	}
	return text.len > 0 && text.len <= STATUS_MAX;
}

/* The one spelling of a status word; what is no word is "unknown". */
static struct hb_span
fold_status(struct hb_span text, struct hb_arena *arena)
{
	static const struct {
		struct hb_span from, to;
	} folds[] = {
		{ HB_SPAN("canceled"), HB_SPAN("cancelled") },
		{ HB_SPAN("succeeded"), HB_SPAN("completed") },
		{ HB_SPAN("complete"), HB_SPAN("completed") },
		{ HB_SPAN("error"), HB_SPAN("failed") },
	};

	if (text.len > STATUS_MAX)
		return HB_SPAN("unknown");
	text = lower(text, arena);
	for (size_t i = 0; i < HB_COUNT(folds); i++)
		if (hb_span_eq(text, folds[i].from))
			return folds[i].to;
	return is_word(text) ? text : HB_SPAN("unknown");
}

/* Everything but the three words of the API's end states is an update. */
static void
set_status(struct hb_event *ev, struct hb_span status)
{
	static const struct {
		struct hb_span status;
		enum hb_status_class class;
		const char *ce_type;
	} types[] = {
		{ HB_SPAN("completed"), HB_STATUS_COMPLETED,
		    "ai.reducto.job.completed" },
		{ HB_SPAN("failed"), HB_STATUS_FAILED,
		    "ai.reducto.job.failed" },
		{ HB_SPAN("cancelled"), HB_STATUS_CANCELLED,
		    "ai.reducto.job.cancelled" },
	};

	ev->status = status;
	ev->status_class = HB_STATUS_OTHER;
	ev->ce_type = "ai.reducto.job.updated";
	for (size_t i = 0; i < HB_COUNT(types); i++)
		if (hb_span_eq(status, types[i].status)) {
			ev->status_class = types[i].class;
			ev->ce_type = types[i].ce_type;
		}
}

static void
read_status(struct hb_event *ev, const struct hb_json_value *value)
{
	struct hb_span text = HB_SPAN_NONE;

	ev->status_text = value->text;
	if (value->kind == HB_JSON_STRING)
		text = hb_json_decode(value->text, ev->arena);
	set_status(ev, hb_span_is_set(text) ? fold_status(text, ev->arena)
	    : HB_SPAN("unknown"));
}

/* --- identity ------------------------------------------------------------- */

/* "direct-" + the digest of what makes a delivery without an id the same as
 * another: endpoint, job and status; of an unusable body, the body. */
static void
set_direct_id(struct hb_event *ev)
{
	struct hb_span endpoint = hb_span_of(ev->endpoint->name);
	struct hb_span nul = HB_SPAN("\0");
	const struct hb_span job[] = {
		endpoint, nul, ev->job_id, nul, ev->status };
	const struct hb_span body[] = { endpoint, nul, ev->body };
	uint8_t digest[HB_SHA256_SIZE];
	struct hb_span prefix = HB_SPAN("direct-");
	char *id = hb_arena_alloc(ev->arena, prefix.len + 2 * sizeof(digest));

	if (hb_span_is_set(ev->job_id))
		hb_sha256_pieces(job, HB_COUNT(job), digest);
	else
		hb_sha256_pieces(body, HB_COUNT(body), digest);
	memcpy(id, prefix.ptr, prefix.len);
	hb_hex(digest, sizeof(digest), id + prefix.len);
	ev->id = hb_span_make(id, prefix.len + 2 * sizeof(digest));
}

static void
set_identity(struct hb_event *ev)
{
	if (ev->endpoint->mode == HB_MODE_DIRECT) {
		hb_sha256(ev->body, ev->digest);
		set_direct_id(ev);
	} else {
		ev->id = ev->webhook_id;
	}
}

/* --- metadata ------------------------------------------------------------- */

static bool
fail_ambiguous(struct hb_event *ev, size_t path, const char *what,
    struct hb_error *err)
{
	struct hb_span text = hb_json_paths_text(ev->cfg->metadata_paths, path);

	return hb_fail_reason(err, HB_E_DEAD, "ambiguous",
	    "metadata.%.*s %s", HB_SPAN_ARG(text), what);
}

/* The canonical text of a scalar: strings decoded, the rest as written. A
 * string that is no text (a lone surrogate, U+0000) has none. */
static struct hb_span
canonical_text(struct hb_event *ev, const struct hb_json_value *value)
{
	switch (value->kind) {
	case HB_JSON_STRING:
		return hb_json_decode(value->text, ev->arena);
	case HB_JSON_BOOL:
	case HB_JSON_NUMBER:
		return value->text;
	case HB_JSON_NONE:
	case HB_JSON_NULL:
	case HB_JSON_ARRAY:
	case HB_JSON_OBJECT:
		break;
	}
	return HB_SPAN_NONE;
}

static bool
read_path(struct hb_event *ev, size_t path, const struct hb_json_found *found,
    struct hb_error *err)
{
	size_t var = HB_VAR_METADATA + path;
	enum hb_json_kind kind = found->value.kind;
	bool scalar = kind != HB_JSON_ARRAY && kind != HB_JSON_OBJECT;

	if (found->repeated)
		return fail_ambiguous(ev, path, "occurs twice", err);
	if (scalar && found->value.text.len > VALUE_MAX)
		return fail_ambiguous(ev, path, "is too long to compare", err);
	ev->present[var] = kind != HB_JSON_NONE && kind != HB_JSON_NULL;
	ev->vars[var] = canonical_text(ev, &found->value);
	return true;
}

/* All configured paths, in one pass. */
static bool
read_metadata(struct hb_event *ev, const struct hb_json_value *metadata,
    struct hb_error *err)
{
	size_t count = hb_json_paths_count(ev->cfg->metadata_paths);
	struct hb_json_found *found;

	if (count == 0 || metadata->kind != HB_JSON_OBJECT)
		return true;
	if (metadata->text.len > ev->endpoint->metadata_size)
		return hb_fail_reason(err, HB_E_DEAD, "ambiguous",
		    "metadata of %zu bytes is too large to route",
		    metadata->text.len);
	found = hb_arena_calloc(ev->arena, count, sizeof(*found));
	hb_json_paths_find(ev->cfg->metadata_paths, metadata->text, found);
	for (size_t i = 0; i < count; i++)
		if (!read_path(ev, i, &found[i], err))
			return false;
	return true;
}

/* --- job type and channels ------------------------------------------------ */

static struct hb_span
value_of(void *arg, int var)
{
	const struct hb_event *ev = arg;

	return ev->vars[var];
}

/* The kind of job as the API spells it, where a body says it. */
static struct hb_span
said_job_type(struct hb_event *ev, const struct hb_json_value *type)
{
	static const struct hb_span kinds[] = {
		HB_SPAN("parse"), HB_SPAN("extract"), HB_SPAN("split"),
		HB_SPAN("edit"), HB_SPAN("pipeline"), HB_SPAN("classify") };
	struct hb_span text = canonical_text(ev, type);

	for (size_t i = 0; i < HB_COUNT(kinds); i++)
		if (hb_span_eq_nocase(text, kinds[i]))
			return kinds[i];
	return HB_SPAN_NONE;
}

/* The configured template, else what the body says, else what its result
 * looks like. */
static struct hb_span
find_job_type(struct hb_event *ev, const struct hb_json_value *type)
{
	const struct hb_tmpl *tmpl = ev->endpoint->job_type;
	struct hb_span found = HB_SPAN_NONE;

	if (tmpl != NULL)
		found = hb_tmpl_expand(tmpl, ev->arena, value_of, ev, NULL);
	if (found.len == 0 || found.len > JOB_TYPE_MAX)
		found = said_job_type(ev, type);
	return hb_span_is_set(found) ? found : hb_job_kind(ev->result);
}

static bool
is_listed(const struct hb_strings *values, struct hb_span label)
{
	for (size_t i = 0; i < values->count; i++)
		if (hb_span_eq(hb_span_of(values->items[i]), label))
			return true;
	return false;
}

static void
add_channel(struct hb_event *ev, struct hb_span label)
{
	for (size_t i = 0; i < ev->channel_count; i++)
		if (hb_span_eq(ev->channels[i], label))
			return;
	ev->channels[ev->channel_count++] = label;
}

/* One label of the endpoint; a template without a value gives none. */
static bool
read_channel(struct hb_event *ev, const struct hb_channel_conf *channel,
    struct hb_error *err)
{
	struct hb_span label =
	    hb_tmpl_expand(channel->label, ev->arena, value_of, ev, NULL);

	if (label.len == 0)
		return true;
	if (!hb_tmpl_is_static(channel->label) &&
	    !is_listed(&channel->values, label))
		return hb_fail_reason(err, HB_E_DEAD, "channel-not-allowed",
		    "channel %.*s: the value is not in its list",
		    HB_SPAN_ARG(hb_tmpl_text(channel->label)));
	add_channel(ev, label);
	return true;
}

/* The endpoint's labels, in its order; of an unusable body only those that
 * need nothing of it. */
static bool
read_channels(struct hb_event *ev, bool fixed_only, struct hb_error *err)
{
	const struct hb_endpoint_conf *endpoint = ev->endpoint;

	ev->channel_count = 0;
	ev->channels = hb_arena_calloc(ev->arena, endpoint->channel_count,
	    sizeof(*ev->channels));
	for (size_t i = 0; i < endpoint->channel_count; i++) {
		const struct hb_channel_conf *channel = &endpoint->channels[i];

		if (fixed_only && !hb_tmpl_is_static(channel->label))
			continue;
		if (!read_channel(ev, channel, err))
			return false;
	}
	return true;
}

/* --- the whole ------------------------------------------------------------ */

/* Steps 1 to 3. */
static bool
read_body(struct hb_event *ev, struct hb_json_value values[HB_MEMBERS],
    struct hb_error *err)
{
	if (!hb_members_read(ev, values, err) ||
	    !read_job_id(ev, &values[HB_MEMBER_JOB_ID], err))
		return false;
	read_status(ev, &values[HB_MEMBER_STATUS]);
	return read_metadata(ev, &values[HB_MEMBER_METADATA], err);
}

bool
hb_normalize(struct hb_event *ev, struct hb_error *err)
{
	struct hb_json_value values[HB_MEMBERS];

	set_status(ev, HB_SPAN("unknown"));
	ev->vars[HB_VAR_ENDPOINT] = hb_span_of(ev->endpoint->name);
	ev->usable = read_body(ev, values, err);
	ev->vars[HB_VAR_JOB_ID] = ev->job_id;
	ev->vars[HB_VAR_STATUS] = ev->status;
	set_identity(ev);
	if (ev->usable) {
		ev->job_type = find_job_type(ev, &values[HB_MEMBER_TYPE]);
		ev->vars[HB_VAR_JOB_TYPE] = ev->job_type;
		ev->usable = read_channels(ev, false, err);
	}
	if (!ev->usable)
		(void)read_channels(ev, true, NULL);
	return ev->usable;
}
