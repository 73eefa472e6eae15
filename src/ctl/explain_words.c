/* SPDX-License-Identifier: Apache-2.0 */
/* explain_words.c - what happened, in sentences that end in what to do next
 *
 * Texts are put together in memory and escaped by whoever prints them: they
 * hold pieces of the request. */
#include <inttypes.h>
#include <stdlib.h>

#include "explain.h"
#include "hookbridge/mem.h"

/* --- texts that grow ------------------------------------------------------ */

struct text {
	FILE *out;
	char *data;
	size_t len;
};

static void
text_open(struct text *text)
{
	text->out = open_memstream(&text->data, &text->len);
	if (text->out == NULL)
		hb_bug("no memory for a sentence");
}

static struct hb_span
text_close(struct text *text, struct hb_arena *arena)
{
	struct hb_span span;

	if (fclose(text->out) != 0)
		hb_bug("no memory for a sentence");
	span = hb_arena_dup(arena, hb_span_make(text->data, text->len));
	free(text->data);
	return span;
}

static void
put_span(struct text *text, struct hb_span s)
{
	if (s.len > 0)
		fwrite(s.ptr, 1, s.len, text->out);
}

/* --- conditions ----------------------------------------------------------- */

/* As it may stand in YAML without quotes, or with them. */
static void
put_value(struct text *text, const char *value)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
	    "YZ0123456789_.-/";
	bool bare = value[0] != '\0' && strspn(value, plain) == strlen(value);

	fprintf(text->out, bare ? "%s" : "\"%s\"", value);
}

static void
put_values(struct text *text, const struct hb_strings *values)
{
	if (values->count == 1) {
		put_value(text, values->items[0]);
		return;
	}
	for (size_t i = 0; i < values->count; i++) {
		fputs(i == 0 ? "[" : ", ", text->out);
		put_value(text, values->items[i]);
	}
	fputc(']', text->out);
}

static const char *
word_of(enum hb_predicate_op op)
{
	switch (op) {
	case HB_P_ANY_OF:
		return NULL;
	case HB_P_PREFIX:
		return "prefix";
	case HB_P_GLOB:
		return "glob";
	case HB_P_EXISTS:
	case HB_P_ABSENT:
		return "exists";
	case HB_P_GT:
		return "gt";
	case HB_P_GE:
		return "ge";
	case HB_P_LT:
		return "lt";
	case HB_P_LE:
		return "le";
	}
	hb_bug("predicate %d", (int)op);
}

struct hb_span
hb_explain_condition(struct hb_arena *arena,
    const struct hb_predicate_conf *row)
{
	const char *word = word_of(row->op);
	struct text text;

	text_open(&text);
	if (row->negate)
		fputs("{not: ", text.out);
	if (word != NULL)
		fprintf(text.out, "{%s: ", word);
	if (row->op == HB_P_EXISTS || row->op == HB_P_ABSENT)
		fputs(row->op == HB_P_EXISTS ? "true" : "false", text.out);
	else
		put_values(&text, &row->values);
	if (word != NULL)
		fputc('}', text.out);
	if (row->negate)
		fputc('}', text.out);
	return text_close(&text, arena);
}

/* --- what was found ------------------------------------------------------- */

static struct hb_span
found_channels(struct hb_arena *arena, const struct hb_event *ev)
{
	struct text text;

	if (ev->channel_count == 0)
		return HB_SPAN("the event has no channel");
	text_open(&text);
	fputs(ev->channel_count == 1 ? "its channel is " : "its channels are ",
	    text.out);
	for (size_t i = 0; i < ev->channel_count; i++) {
		fputs(i > 0 ? ", " : "", text.out);
		put_span(&text, ev->channels[i]);
	}
	return text_close(&text, arena);
}

struct hb_span
hb_explain_found(struct hb_arena *arena, const struct hb_predicate_conf *row,
    const struct hb_event *ev)
{
	struct hb_span value;

	if (row->var == HB_VAR_CHANNEL)
		return found_channels(arena, ev);
	value = ev->vars[row->var];
	if (hb_span_is_set(value))
		return hb_arena_printf(arena, "it is \"%.*s\"",
		    HB_SPAN_ARG(value));
	return ev->present[row->var]
	    ? HB_SPAN("it is there, but no text, number, true or false")
	    : HB_SPAN("it is not there");
}

struct hb_span
hb_explain_path_name(struct hb_arena *arena, const struct hb_config *cfg,
    size_t path)
{
	return hb_arena_printf(arena, "metadata.%.*s",
	    HB_SPAN_ARG(hb_json_paths_text(cfg->metadata_paths, path)));
}

/* --- verification --------------------------------------------------------- */

/* Where the request would carry what proves it. */
static const char *
proof_options(const struct hb_endpoint_conf *endpoint)
{
	if (endpoint->mode == HB_MODE_SVIX)
		return "--header 'svix-id: ...' --header 'svix-timestamp: ...' "
		       "--header 'svix-signature: ...'";
	switch (endpoint->token.in) {
	case HB_TOKEN_BEARER:
	case HB_TOKEN_BASIC:
		return "--header 'Authorization: ...'";
	case HB_TOKEN_QUERY:
	case HB_TOKEN_PATH:
		return "--target PATH";
	case HB_TOKEN_METADATA:
		return "a body with the token";
	case HB_TOKEN_NONE:
		break;
	}
	return "--peer ADDRESS";
}

/* What is proven by the request's own content. */
static const char *
thing_of(const struct hb_endpoint_conf *endpoint)
{
	if (endpoint->mode == HB_MODE_SVIX)
		return "signature";
	return endpoint->token.in == HB_TOKEN_NONE ? "address" : "token";
}

static struct hb_span
passed_over(const struct hb_explain *x)
{
	const struct hb_error *refusal = &x->preview.refusal;
	const char *thing = thing_of(x->endpoint);

	if (!x->has_proof)
		return hb_arena_printf(x->arena, "not checked: no %s was given",
		    thing);
	return hb_arena_printf(x->arena, "failed, and passed over: %s (%s)",
	    refusal->text, refusal->reason);
}

struct hb_span
hb_explain_verdict(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;

	switch (p->verdict) {
	case HB_VERDICT_NOT_REACHED:
		return HB_SPAN("not looked at: the answer came before");
	case HB_VERDICT_BAD:
		return hb_arena_printf(x->arena, "refused: %s (%s)",
		    p->refusal.text, p->refusal.reason);
	case HB_VERDICT_PASSED_OVER:
		return passed_over(x);
	case HB_VERDICT_GOOD:
		break;
	}
	if (x->endpoint->mode == HB_MODE_DIRECT &&
	    x->endpoint->token.in == HB_TOKEN_NONE)
		return x->req.peer != NULL || x->endpoint->allow.count == 0
		    ? HB_SPAN("verified: the address is allowed")
		    : HB_SPAN("not checked: no address was given");
	return hb_arena_printf(x->arena, "verified, by secret %u of %zu",
	    p->key + 1, x->endpoint->mode == HB_MODE_SVIX
	    ? x->endpoint->secrets.count : x->endpoint->token.secrets.count);
}

/* By the reason codes of the verifiers. */
static const struct {
	const char *reason, *advice;
} advices[] = {
	{ "address", "add its network to the endpoint's allow list, or leave "
	    "--peer out" },
	{ "missing_header", "give all three: svix-id, svix-timestamp and "
	    "svix-signature, or webhook-id, webhook-timestamp and "
	    "webhook-signature" },
	{ "duplicate_header", "give each header once, as it was sent" },
	{ "bad_id", "give the id header as it was sent: it has no spaces and "
	    "no dots" },
	{ "bad_timestamp", "give the timestamp header as it was sent: it is in "
	    "Unix seconds" },
	{ "timestamp_too_old", "add --at TIME to judge it as of the time when "
	    "it was received; if it was then too old, compare the clocks" },
	{ "timestamp_too_new", "compare this machine's clock with the "
	    "sender's, or judge it as of another time by --at TIME" },
	{ "no_matching_signature", "give the body byte for byte as it was sent "
	    "(a newline more is another body), and compare the endpoint's "
	    "secrets with the portal's" },
	{ "token_missing", "send the token where the endpoint's token.in "
	    "says" },
	{ "token_mismatch", "compare the endpoint's token with the sender's" },
	{ "token_repeated", "send the token once: two readers could take two "
	    "tokens" },
	{ "unparsable", "send valid JSON: the token stands in it" },
};

static struct hb_span
advice_for(const char *reason)
{
	for (size_t i = 0; i < HB_COUNT(advices); i++)
		if (strcmp(advices[i].reason, reason) == 0)
			return hb_span_of(advices[i].advice);
	return HB_SPAN_NONE;
}

struct hb_span
hb_explain_advice(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;

	if (p->verdict == HB_VERDICT_NOT_REACHED)
		return HB_SPAN_NONE;
	if (p->verdict == HB_VERDICT_GOOD)
		return x->endpoint->allow.count > 0 && x->req.peer == NULL
		    ? HB_SPAN("the address was not checked; --peer ADDRESS "
			  "does that") : HB_SPAN_NONE;
	if (!p->is_passable && p->endpoint->token.in == HB_TOKEN_METADATA &&
	    strcmp(p->refusal.reason, "address") != 0)
		return HB_SPAN("correct the token, or take it out of the body: "
		    "what cannot be cut out is not shown, --no-verify or not");
	if (x->newline_breaks)
		return HB_SPAN("without the newline at its end the signature "
		    "is right: the body was sent without it");
	if (p->verdict == HB_VERDICT_PASSED_OVER && !x->has_proof)
		return hb_arena_printf(x->arena, "to check it, give what the "
		    "request had: %s", proof_options(x->endpoint));
	return advice_for(p->refusal.reason);
}

/* --- messages ------------------------------------------------------------- */

size_t
hb_explain_messages_of(const struct hb_explain *x,
    const struct hb_route_conf *route)
{
	size_t count = 0;

	for (size_t i = 0; i < x->preview.parcel_count; i++)
		count += x->preview.parcels[i].route == route;
	return count;
}

/* What to do about an event that is not published as it should be. */
static const char *
remedy_of(const char *reason)
{
	static const struct {
		const char *reason, *remedy;
	} remedies[] = {
		{ "unrouted", "no route matched; add one, or a route with "
		    "default: true" },
		{ "too-many-destinations", "the routes that match name more "
		    "destinations than one event may have; merge some" },
		{ "name-missing", "a value that the name needs is missing; "
		    "give it a default: {metadata.x|other}" },
		{ "name-not-allowed", "the name is not in the destination's "
		    "list; add it there if it should be" },
		{ "name-invalid", "the sink has no such names; send another "
		    "value" },
		{ "too-large", "raise the sink's limit, or publish less" },
		{ "claims-full", "raise claims.max_size" },
		{ "endpoint-share", "raise claims.max_size: half of it is one "
		    "endpoint's" },
		{ "ambiguous", "send each name once, or raise the endpoint's "
		    "metadata_size" },
		{ "channel-not-allowed", "add the value to the endpoint's "
		    "channel_values if it should be a channel" },
	};

	for (size_t i = 0; i < HB_COUNT(remedies); i++)
		if (strcmp(remedies[i].reason, reason) == 0)
			return remedies[i].remedy;
	return "correct it where the webhook is made";
}

struct hb_span
hb_explain_dead(const struct hb_explain *x,
    const struct hb_preview_parcel *parcel)
{
	const struct hb_preview *p = &x->preview;
	const char *reason = parcel->dead_reason;
	const char *fact = "";

	if (parcel->leg == NULL && p->fault.code != HB_OK)
		fact = p->fault.text;
	else if (parcel->why.code != HB_OK)
		fact = parcel->why.text;
	return hb_arena_printf(x->arena, "%s: %s%s%s", reason, fact,
	    fact[0] != '\0' ? "; " : "", remedy_of(reason));
}

struct hb_span
hb_explain_claim(const struct hb_explain *x,
    const struct hb_preview_parcel *parcel)
{
	size_t len = x->preview.ev->body.len;
	struct hb_span size = hb_explain_size(x->arena, len);

	return hb_arena_printf(x->arena, "%s; it goes without its result, and "
	    "the body (%.*s) is kept: hookbridgectl claim get %s",
	    parcel->why.text, HB_SPAN_ARG(size), parcel->claim);
}

/* --- the answer ----------------------------------------------------------- */

/* Whether all of it is answered for by the disk. */
static bool
is_kept_first(const struct hb_explain *x)
{
	const struct hb_preview *p = &x->preview;

	if (p->endpoint->ack == HB_ACK_SPOOLED)
		return true;
	for (size_t i = 0; i < p->parcel_count; i++)
		if (!p->parcels[i].kept)
			return false;
	return true;
}

static struct hb_span
answer_of_event(const struct hb_explain *x)
{
	const struct hb_config *cfg = x->req.cfg;
	uint64_t ms = cfg->delivery.ack_timeout_ms;
	const char *what = x->preview.parcel_count == 1 ? "the message is"
							: "all messages are";

	if (cfg->spool.directory == NULL)
		return hb_arena_printf(x->arena, "once %s confirmed within %"
		    PRIu64 ".%01" PRIu64 " s; else 503, and the sender repeats "
		    "it", what, ms / 1000, ms % 1000 / 100);
	if (is_kept_first(x))
		return hb_arena_printf(x->arena, "once %s on disk; else 503, "
		    "and the sender repeats it", what);
	return hb_arena_printf(x->arena, "once %s confirmed; what is not after "
	    "%" PRIu64 ".%01" PRIu64 " s is spooled, and the answer is at "
	    "least 202", what, ms / 1000, ms % 1000 / 100);
}

struct hb_span
hb_explain_answer(const struct hb_explain *x)
{
	static const struct {
		const char *outcome, *text;
	} texts[] = {
		{ "unauthorized", "one answer for whatever is wrong; the "
		    "reason is in the log (verify.failed) and above" },
		{ "no-dead-letter", "until there is a place for dead letters: "
		    "set spool.directory, or a dead_letter that can take it, "
		    "or correct the cause above" },
		{ "body-too-large", "raise the endpoint's body_size and "
		    "http.body_size if such bodies should come" },
		{ "memory", "even an idle daemon has not enough: raise memory "
		    "(a body may take a quarter of it)" },
		{ "rejected", "correct the request: its path, or its content "
		    "type" },
	};
	const struct hb_preview *p = &x->preview;

	if (p->answer.code < 300)
		return answer_of_event(x);
	if (x->endpoint->mode == HB_MODE_DISABLED)
		return HB_SPAN("the endpoint is disabled: set its mode to "
		    "svix or direct");
	for (size_t i = 0; i < HB_COUNT(texts); i++)
		if (strcmp(texts[i].outcome, p->outcome) == 0)
			return hb_span_of(texts[i].text);
	return hb_arena_printf(x->arena, "the request is no good HTTP (%s): "
	    "correct what --header and --target say", p->outcome);
}

/* --- words ---------------------------------------------------------------- */

struct hb_span
hb_explain_size(struct hb_arena *arena, size_t bytes)
{
	if (bytes < 1024)
		return hb_arena_printf(arena, "%zu B", bytes);
	if (bytes < 1024 * 1024)
		return hb_arena_printf(arena, "%.1f KiB",
		    (double)bytes / 1024);
	return hb_arena_printf(arena, "%.1f MiB",
	    (double)bytes / (1024 * 1024));
}

const char *
hb_explain_verdict_word(enum hb_verdict verdict)
{
	static const char *const words[] = {
		[HB_VERDICT_NOT_REACHED] = "not-reached",
		[HB_VERDICT_GOOD] = "verified",
		[HB_VERDICT_BAD] = "refused",
		[HB_VERDICT_PASSED_OVER] = "passed-over" };

	return words[verdict];
}

const char *
hb_explain_turn_word(enum hb_turn turn)
{
	static const char *const words[] = {
		[HB_TURN_MATCH] = "match",
		[HB_TURN_NO_MATCH] = "no-match",
		[HB_TURN_NOT_REACHED] = "not-reached",
		[HB_TURN_NOT_NEEDED] = "not-needed" };

	return words[turn];
}

const char *
hb_explain_mode_word(const struct hb_endpoint_conf *endpoint)
{
	static const char *const words[] = {
		[HB_MODE_DISABLED] = "disabled",
		[HB_MODE_SVIX] = "svix",
		[HB_MODE_DIRECT] = "direct" };

	return words[endpoint->mode];
}

const char *
hb_explain_format_word(const struct hb_message *msg)
{
	static const char *const words[] = {
		[HB_FORMAT_JSON] = "json",
		[HB_FORMAT_CLOUDEVENTS] = "cloudevents",
		[HB_FORMAT_RAW] = "raw" };

	return msg->dead_letter ? "raw" : words[msg->target->format];
}

const char *
hb_explain_json_kind(struct hb_span value)
{
	static const char *const words[] = {
		[HB_JSON_NONE] = "none", [HB_JSON_NULL] = "null",
		[HB_JSON_BOOL] = "boolean", [HB_JSON_NUMBER] = "number",
		[HB_JSON_STRING] = "string", [HB_JSON_ARRAY] = "array",
		[HB_JSON_OBJECT] = "object" };
	struct hb_json_value found = { .kind = HB_JSON_NONE };

	if (hb_span_is_set(value) && !hb_json_validate(value, &found, NULL))
		return "broken";
	return words[found.kind];
}
