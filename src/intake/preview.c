/* SPDX-License-Identifier: Apache-2.0 */
/* preview.c - the journey of exchange.c and tracker.c, told instead of taken
 *
 *   read_head    head ► path ► method ► media type
 *   prove        address, token, signature, with the body's size in between
 *   take_over    the event, paid for
 *   plan         body ► members ► routes ► legs
 *   pack         legs ► messages, sized; claim checks for what is too large,
 *                dead letters for what cannot go
 *
 * Every stage is the daemon's own function and has its own answer; the first
 * one that answers ends the preview. What is missing, on purpose: repetitions,
 * for there is no memory of earlier events, health, for nothing is connected,
 * and how full the disk is.
 * The order here has to be the order there; a test sends the same requests both
 * ways and compares. */
#include "hookbridge/preview.h"

#include <stdlib.h>

#include "hookbridge/claim.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/normalize.h"
#include "parts.h"

static bool
answer(struct hb_preview *p, const struct hb_http_reply *reply,
    const char *outcome)
{
	p->answer = *reply;
	p->outcome = outcome;
	return false;
}

static bool
answer_refusal(struct hb_preview *p, const struct hb_http_refusal *refusal)
{
	return answer(p, &refusal->reply, refusal->reason);
}

/* --- the head ------------------------------------------------------------- */

/* Finds whose request it is. */
static bool
read_head(struct hb_preview *p, const struct hb_preview_request *req,
    struct hb_span *path_token)
{
	const struct hb_http_reply *reply;
	struct hb_http_refusal refusal;
	struct hb_paths *paths;

	if (!hb_http_head_read(&req->cfg->http, req->head, p->arena, &p->head,
		&refusal))
		return answer_refusal(p, &refusal);
	paths = hb_paths_new(req->cfg);
	reply = hb_answer_head(paths, &p->head, &p->endpoint, path_token);
	hb_paths_free(paths);
	return reply == NULL || answer(p, reply, "rejected");
}

/* --- verification --------------------------------------------------------- */

/* An address that the endpoint's list holds. */
static struct in6_addr
allowed_peer(const struct hb_endpoint_conf *endpoint)
{
	struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;

	if (endpoint->allow.count == 0)
		return peer;
	memcpy(peer.s6_addr, endpoint->allow.items[0].addr,
	    sizeof(peer.s6_addr));
	if (endpoint->allow.items[0].bits < 128)
		peer.s6_addr[15] |= 1; /* "::" would be no address */
	return peer;
}

/* Whether a failure is one that can be passed over: a token in the body must
 * not go on to where the event goes. */
static bool
is_passable(const struct hb_preview *p)
{
	const char *reason = p->refusal.reason;

	return strcmp(reason, "address") != 0 &&
	    (p->endpoint->mode != HB_MODE_DIRECT ||
		p->endpoint->token.in != HB_TOKEN_METADATA ||
		strcmp(reason, "token_missing") == 0);
}

/* A failed verification: the end, or not. */
static bool
fail(struct hb_preview *p, const struct hb_preview_request *req)
{
	p->is_passable = is_passable(p);
	if (p->is_passable && req->lenient) {
		p->verdict = HB_VERDICT_PASSED_OVER;
		return true;
	}
	p->verdict = HB_VERDICT_BAD;
	return answer(p, &hb_reply_unauthorized, "unauthorized");
}

/* Ends an attempt; body loses the token that stands in it. */
static bool
finish(struct hb_preview *p, const struct hb_preview_request *req,
    struct hb_verify *attempt, char *body, struct hb_verified *verified)
{
	hb_verify_update(attempt, body, req->body.len);
	if (!hb_verify_finish(attempt, body, req->body.len, req->at_ms,
		verified, &p->refusal)) {
		*verified = (struct hb_verified){ .body_len = req->body.len };
		return fail(p, req);
	}
	p->verdict = HB_VERDICT_GOOD;
	p->key = verified->key;
	return true;
}

/* Whether the body may come in: for its size, and into an idle daemon's
 * memory for what is not verified. */
static bool
let_body_in(struct hb_preview *p, const struct hb_preview_request *req)
{
	uint64_t bytes = req->head.len + req->body.len;
	struct hb_http_refusal refusal;

	if (!hb_http_body_may_come(&req->cfg->http, &p->head,
		p->endpoint->body_size, &refusal))
		return answer_refusal(p, &refusal);
	if (!hb_budget_take_unverified(&p->budget, bytes))
		return answer(p, &hb_reply_unavailable, "memory");
	p->unverified = bytes;
	return true;
}

/* From the first look at the head to the last byte of the body. */
static bool
prove_with(struct hb_preview *p, const struct hb_preview_request *req,
    struct hb_verify *attempt, char *body, struct hb_verified *verified)
{
	*verified = (struct hb_verified){ .body_len = req->body.len };
	if (attempt == NULL && !fail(p, req))
		return false;
	if (!let_body_in(p, req)) {
		if (attempt != NULL)
			hb_verify_abandon(attempt);
		p->verdict = HB_VERDICT_NOT_REACHED;
		return false;
	}
	return attempt == NULL ||
	    finish(p, req, attempt, body, verified);
}

static bool
prove(struct hb_preview *p, const struct hb_preview_request *req,
    struct hb_span path_token, char *body, struct hb_verified *verified)
{
	struct hb_verifier *verifier = hb_verifier_new(p->endpoint);
	struct hb_verify_bench *bench = hb_verify_bench_new();
	struct in6_addr peer =
	    req->peer != NULL ? *req->peer : allowed_peer(p->endpoint);
	struct hb_verify *attempt = hb_verify_begin(verifier, bench, &p->head,
	    &peer, path_token, req->at_ms, &p->refusal);
	bool ok = prove_with(p, req, attempt, body, verified);

	hb_verify_bench_free(bench);
	hb_verifier_free(verifier);
	return ok;
}

/* --- the event ------------------------------------------------------------ */

/* Of the header of either family. */
static struct hb_span
given(const struct hb_http_head *head, struct hb_span svix,
    struct hb_span webhook)
{
	struct hb_span value = hb_http_header(head, svix, NULL);

	return value.len > 0 ? value : hb_http_header(head, webhook, NULL);
}

static bool
is_visible(struct hb_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return s.len > 0;
}

/* What verification would have found in the head, or something like it. */
static void
make_up_identity(struct hb_preview *p, const struct hb_preview_request *req,
    struct hb_verified *verified)
{
	struct hb_span id = given(&p->head, HB_SPAN("svix-id"),
	    HB_SPAN("webhook-id"));
	struct hb_span stamp = given(&p->head, HB_SPAN("svix-timestamp"),
	    HB_SPAN("webhook-timestamp"));
	char digits[16] = "";

	p->id_is_made_up = !is_visible(id) || id.len > HB_EVENT_ID_MAX;
	verified->webhook_id = p->id_is_made_up ? HB_SPAN("msg_unknown") : id;
	if (stamp.len > 0 && stamp.len < sizeof(digits))
		memcpy(digits, stamp.ptr, stamp.len);
	verified->webhook_timestamp = strtoll(digits, NULL, 10);
	if (verified->webhook_timestamp <= 0)
		verified->webhook_timestamp = req->at_ms / 1000;
}

/* The event of a body that is a known sender's; takes body. */
static void
take_over(struct hb_preview *p, const struct hb_preview_request *req,
    char *body, struct hb_verified *verified)
{
	if (p->verdict == HB_VERDICT_PASSED_OVER &&
	    p->endpoint->mode == HB_MODE_SVIX)
		make_up_identity(p, req, verified);
	p->ev = hb_event_new(req->cfg, p->endpoint, body, verified->body_len);
	p->ev->webhook_id = hb_arena_dup(p->ev->arena, verified->webhook_id);
	p->ev->webhook_timestamp = verified->webhook_timestamp;
	p->ev->received_ms = req->at_ms;
	hb_trace_copy(&p->head, p->ev);
}

/* --- memory --------------------------------------------------------------- */

/* Whether the verified request fits into what its endpoint may hold. */
static bool
pay_for_request(struct hb_preview *p)
{
	if (!hb_budget_verify(&p->budget, p->endpoint->share, p->unverified))
		return answer(p, &hb_reply_unavailable, "memory");
	p->paid = p->unverified;
	p->unverified = 0;
	return true;
}

static bool
pay_for_messages(struct hb_preview *p)
{
	uint64_t cost = 0;

	for (size_t i = 0; i < p->parcel_count; i++)
		if (p->parcels[i].msg.dest != NULL)
			cost += hb_message_cost(&p->parcels[i].msg);
	if (!hb_budget_take(&p->budget, p->endpoint->share, cost))
		return answer(p, &hb_reply_unavailable, "memory");
	p->paid += cost;
	return true;
}

/* --- routes --------------------------------------------------------------- */

/* Tells the routes of one rank, in order; whether any matched. */
static bool
tell_routes(struct hb_preview *p, bool defaults)
{
	bool matched = false, stopped = false;

	for (size_t i = 0; i < p->route_count; i++) {
		struct hb_preview_route *route = &p->routes[i];

		if (route->conf->is_default != defaults)
			continue;
		route->turn = HB_TURN_NOT_REACHED;
		if (stopped)
			continue;
		route->row = hb_route_mismatch(p->ev, route->conf,
		    &route->channel);
		route->turn = route->row == NULL ? HB_TURN_MATCH
		    : HB_TURN_NO_MATCH;
		if (route->row == NULL) {
			matched = true;
			stopped = route->conf->final;
		}
	}
	return matched;
}

static void
plan_routes(struct hb_preview *p)
{
	const struct hb_config *cfg = p->ev->cfg;

	p->route_count = cfg->route_count;
	p->routes =
	    hb_arena_calloc(p->arena, p->route_count, sizeof(*p->routes));
	for (size_t i = 0; i < p->route_count; i++)
		p->routes[i] = (struct hb_preview_route){ &cfg->routes[i],
			HB_TURN_NOT_NEEDED, NULL, HB_SPAN_NONE };
	if (!tell_routes(p, false))
		tell_routes(p, true);
	hb_route(p->router, p->ev, p->plan);
}

static void
plan(struct hb_preview *p, const struct hb_config *cfg)
{
	p->router = hb_router_new(cfg);
	p->plan = hb_arena_calloc(p->arena, 1, sizeof(*p->plan));
	if (hb_normalize(p->ev, &p->fault)) {
		p->fault.code = HB_OK;
		plan_routes(p);
	} else {
		p->plan->reason = p->fault.reason;
	}
}

/* --- packing -------------------------------------------------------------- */

static const struct hb_route_conf *
route_of(const struct hb_preview *p, const struct hb_target_conf *target)
{
	for (size_t i = 0; i < p->route_count; i++)
		for (size_t j = 0; j < p->routes[i].conf->to_count; j++)
			if (p->routes[i].conf->to[j] == target)
				return p->routes[i].conf;
	return NULL;
}

/* Renders the copy that goes to the destination dead_letter. */
static bool
pack_copy(struct hb_preview_parcel *parcel, struct hb_render *render,
    struct hb_span place)
{
	const struct hb_config *cfg = render->ev->cfg;

	if (cfg->dead_letter == NULL)
		return hb_fail(&parcel->copy_why, HB_E_CONFIG,
		    "dead_letter is not configured");
	hb_render_dead_letter(render, cfg->dead_letter, parcel->dead_reason,
	    place, &parcel->msg);
	return hb_sink_would_fit(cfg, &parcel->msg, &parcel->copy_why);
}

/* Turns a parcel into a dead letter. dest, name: where it could not go; NULL:
 * nowhere. */
static void
pack_dead_letter(struct hb_preview_parcel *parcel, struct hb_render *render,
    const char *reason, const struct hb_dest_conf *dest, struct hb_span name)
{
	bool copied;

	parcel->dead_reason = reason;
	parcel->claim[0] = '\0';
	copied = pack_copy(parcel, render, hb_render_place(render, dest, name));
	if (!copied)
		parcel->msg = (struct hb_message){ .target = NULL };
	parcel->kept = render->ev->cfg->spool.directory != NULL;
	parcel->nowhere = !parcel->kept && !copied;
}

/* Whether what is too large for its target could go by reference. */
static bool
may_claim(const struct hb_target_conf *target, const struct hb_config *cfg)
{
	return cfg->claims.directory != NULL &&
	    target->oversize == HB_OVERSIZE_CLAIM_CHECK &&
	    target->format != HB_FORMAT_RAW;
}

/* Makes a claim check of a message that is too large; NULL, or why it cannot be
 * one either. */
static const char *
pack_claimed(struct hb_preview_parcel *parcel, struct hb_render *render,
    const struct hb_leg *leg)
{
	const struct hb_event *ev = render->ev;
	uint8_t digest[HB_SHA256_SIZE];
	struct hb_error still;

	if (!may_claim(leg->target, ev->cfg))
		return "too-large";
	hb_sha256(ev->body, digest);
	hb_hex(digest, sizeof(digest), parcel->claim);
	hb_render_claimed_leg(render, leg, parcel->claim, ev->body.len,
	    &parcel->msg);
	if (!hb_sink_would_fit(ev->cfg, &parcel->msg, &still)) {
		hb_error_prefix(&still, "without its result, too: ");
		parcel->why = still;
		return "too-large";
	}
	if (hb_claims_could_keep(ev->cfg, ev->body.len, &still))
		return NULL;
	parcel->why = still;
	return still.reason;
}

static void
pack_leg(struct hb_preview_parcel *parcel, struct hb_render *render,
    const struct hb_leg *leg)
{
	const char *reason;

	if (leg->reason != NULL) {
		pack_dead_letter(parcel, render, leg->reason,
		    leg->target->dests[0], leg->name);
		return;
	}
	hb_render_leg(render, leg, &parcel->msg);
	if (hb_sink_would_fit(render->ev->cfg, &parcel->msg, &parcel->why))
		return;
	reason = pack_claimed(parcel, render, leg);
	if (reason != NULL)
		pack_dead_letter(parcel, render, reason, leg->dest,
		    hb_span_of(leg->dest->name));
}

static void
pack(struct hb_preview *p)
{
	struct hb_render render;

	hb_render_init(&render, p->ev);
	p->parcels = hb_arena_calloc(p->arena, p->plan->leg_count + 1,
	    sizeof(*p->parcels));
	if (p->plan->reason != NULL) {
		p->parcel_count = 1;
		pack_dead_letter(&p->parcels[0], &render, p->plan->reason, NULL,
		    HB_SPAN_NONE);
		return;
	}
	for (size_t i = 0; i < p->plan->leg_count; i++) {
		struct hb_preview_parcel *parcel =
		    &p->parcels[p->parcel_count++];

		parcel->leg = &p->plan->legs[i];
		parcel->route = route_of(p, parcel->leg->target);
		pack_leg(parcel, &render, parcel->leg);
	}
}

/* --- the whole ------------------------------------------------------------ */

/* Whether its endpoint is answered before anything is sent. */
static bool
is_spooled_first(const struct hb_preview *p)
{
	return p->ev->cfg->spool.directory != NULL &&
	    p->endpoint->ack == HB_ACK_SPOOLED;
}

/* The worst of its parcels'. */
static enum hb_outcome
outcome_of(const struct hb_preview *p)
{
	enum hb_outcome outcome =
	    is_spooled_first(p) ? HB_SPOOLED : HB_CONFIRMED;

	for (size_t i = 0; i < p->parcel_count; i++)
		if (p->parcels[i].dead_reason != NULL)
			outcome = HB_DEAD_LETTERED;
	return outcome;
}

/* The answer when all that is to be sent is confirmed. */
static void
settle(struct hb_preview *p)
{
	enum hb_outcome outcome = outcome_of(p);
	char *text = hb_arena_alloc(p->arena, HB_OUTCOME_TEXT);

	for (size_t i = 0; i < p->parcel_count; i++) {
		if (p->parcels[i].nowhere) {
			answer(p, &hb_reply_unavailable, "no-dead-letter");
			return;
		}
	}
	if (!pay_for_messages(p))
		return;
	p->outcome = hb_outcome_word(outcome);
	p->answer = (struct hb_http_reply){
		.code = outcome == HB_CONFIRMED ? 200 : 202,
		.body = hb_outcome_text(p->ev->id, p->outcome, text) };
}

void
hb_preview_make(const struct hb_preview_request *req, struct hb_preview *p)
{
	struct hb_span path_token;
	struct hb_verified verified;
	char *body;

	*p = (struct hb_preview){ .arena = hb_arena_new(8192) };
	hb_budget_init(&p->budget, req->cfg->memory);
	if (!read_head(p, req, &path_token))
		return;
	body = hb_xmalloc(req->body.len + 1);
	if (req->body.len > 0)
		memcpy(body, req->body.ptr, req->body.len);
	if (!prove(p, req, path_token, body, &verified) ||
	    !pay_for_request(p)) {
		free(body);
		return;
	}
	take_over(p, req, body, &verified);
	plan(p, req->cfg);
	pack(p);
	settle(p);
}

void
hb_preview_fini(struct hb_preview *p)
{
	if (p->unverified > 0)
		hb_budget_give_unverified(&p->budget, p->unverified);
	if (p->paid > 0)
		hb_budget_give(&p->budget, p->endpoint->share, p->paid);
	if (p->ev != NULL)
		hb_event_unref(p->ev);
	hb_router_free(p->router);
	hb_arena_free(p->arena);
}
