/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c - the journey of one webhook, stage by stage
 *
 *   on_head   path ► method ► media type ► address, token, signature's shape
 *   on_data   each piece of the body ► the signature's hash
 *   on_body   verify ► take over ► read, a large one on the scanner's loop
 *   onward    claim ► seen | full | joined | new: plan ► deliver
 *   end       the tracker's receipt, another's end, or the hard deadline ►
 *             one answer ► on_done
 *
 * An exchange begins with a request's head and ends with its answer; on_done
 * frees it. What it started may go on: the tracker and its event live until
 * every destination has reported. Both clocks, the tracker's and the hard one,
 * run from the last byte of the body.
 *
 * Where it can be between on_body and the answer:
 *
 *   SCANNING ──► onward ──► TRACKED   the tracker's receipt answers
 *                   └─────► JOINED    another request carries this event; its
 *                                     end answers
 *
 * The hard deadline answers 503 from TRACKED and JOINED. From SCANNING onward
 * does, if it is late: the scanner has the event in its hands, and for
 * milliseconds only.
 *
 * preview.c tells the same journey without taking it: a stage that moves here
 * moves there. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/normalize.h"
#include "parts.h"

/* A body from here on is read on the scanner's loop: 1 MB takes about 0.6 ms,
 * for which no other connection should wait. */
#define SCAN_ELSEWHERE (1024 * 1024)

enum where { RECEIVING, SCANNING, TRACKED, JOINED };

struct exchange {
	struct hb_intake_worker *worker;
	struct hb_http_request *req;
	const struct hb_endpoint_conf *endpoint; /* NULL: unknown path */
	struct hb_verify *attempt;               /* while the body comes in */
	struct hb_event *ev;        /* valid from take_over() to the answer */
	struct hb_tracker *tracker; /* likewise */
	struct hb_dedup_waiter waiter;
	struct hb_deadline hard;
	struct hb_task scan;
	struct hb_error fault; /* why the body is unusable; HB_OK: it is not */
	const char *outcome;   /* for the access line */
	enum where where;
};

/* The journey's later stages. */
static void onward(struct exchange *x);
static void on_receipt(void *arg, const struct hb_receipt *receipt);
static void on_shared_end(struct hb_dedup_waiter *waiter);

/* --- answers -------------------------------------------------------------- */

static struct hb_tally *
tally_of(const struct hb_intake *intake, const struct exchange *x)
{
	size_t i = x != NULL && x->endpoint != NULL
	    ? x->endpoint->index : intake->env.cfg->endpoint_count;

	return intake->tallies[i];
}

/* Verified and not accepted: the sender tries again. Ends the exchange. */
static void
answer_later(struct exchange *x, const char *why)
{
	x->outcome = why;
	hb_http_reply(x->req, &hb_reply_unavailable);
}

/* Settled, now or before. Ends the exchange. */
static void
answer_settled(struct exchange *x, enum hb_answer_kind kind, int code,
    const char *outcome)
{
	x->outcome = outcome;
	hb_tally_event(tally_of(x->worker->intake, x), x->ev->status_class,
	    kind);
	hb_answer_outcome(x->req, code, x->ev->id, outcome);
}

/* Answers as the event ended, for who carried it and for who joined. */
static void
answer_end(struct exchange *x, enum hb_outcome outcome, const char *reason)
{
	bool joined = x->where == JOINED;

	switch (outcome) {
	case HB_CONFIRMED:
		answer_settled(x, joined ? HB_ANSWER_DUPLICATE
		    : HB_ANSWER_CONFIRMED, 200, hb_outcome_word(outcome));
		return;
	case HB_SPOOLED:
		answer_settled(x, joined ? HB_ANSWER_DUPLICATE
		    : HB_ANSWER_SPOOLED, 202, hb_outcome_word(outcome));
		return;
	case HB_DEAD_LETTERED:
		answer_settled(x, joined ? HB_ANSWER_DUPLICATE
		    : HB_ANSWER_DEAD_LETTERED, 202, hb_outcome_word(outcome));
		return;
	case HB_UNSETTLED:
		answer_later(x, reason);
		return;
	}
}

static void
answer_refused(struct exchange *x, const struct hb_error *err)
{
	hb_tally_refused(tally_of(x->worker->intake, x), err->reason);
	hb_log_limited(HB_LOG_WARNING, "verify.failed",
	    HB_F_STR("endpoint", x->endpoint->name),
	    HB_F_STR("reason", err->reason),
	    HB_F_STR("peer", x->req->peer_text));
	x->outcome = "unauthorized";
	hb_http_reply(x->req, &hb_reply_unauthorized);
}

/* --- stages --------------------------------------------------------------- */

static struct exchange *
exchange_new(struct hb_intake_worker *worker, struct hb_http_request *req)
{
	struct exchange *x = hb_xcalloc(1, sizeof(*x));

	x->worker = worker;
	x->req = req;
	x->outcome = "rejected";
	req->user = x;
	return x;
}

/* Whether the whole request is authentic; its bytes are ours no more if not. */
static bool
verify(struct exchange *x, struct hb_verified *verified, struct hb_error *err)
{
	struct hb_intake *intake = x->worker->intake;
	struct hb_http_request *req = x->req;
	struct hb_verify *attempt = x->attempt;

	x->attempt = NULL;
	if (!hb_verify_finish(attempt, req->body, req->body_len,
		hb_clock_wall_ms(), verified, err)) {
		hb_budget_give_unverified(intake->env.budget, req->charged);
		return false;
	}
	hb_tally_verified(tally_of(intake, x), verified->key);
	hb_http_vouch(req);
	return true;
}

/* The body's bytes are now a known sender's: an event takes them over, and the
 * clocks run. */
static bool
take_over(struct exchange *x, const struct hb_verified *verified)
{
	const struct hb_intake_env *env = &x->worker->intake->env;
	struct hb_http_request *req = x->req;
	struct hb_event *ev;

	if (!hb_budget_verify(env->budget, x->endpoint->share, req->charged)) {
		hb_budget_give_unverified(env->budget, req->charged);
		return false;
	}
	ev = hb_event_new(env->cfg, x->endpoint, hb_http_take_body(req),
	    verified->body_len);
	ev->budget = env->budget;
	ev->charged = req->charged;
	ev->webhook_id = hb_arena_dup(ev->arena, verified->webhook_id);
	ev->webhook_timestamp = verified->webhook_timestamp;
	ev->received_ms = hb_clock_wall_ms();
	hb_trace_copy(&req->head, ev);
	x->ev = ev;
	x->tracker = hb_tracker_new(x->worker->courier, ev);
	hb_deadline_set(&x->worker->hard, &x->hard);
	return true;
}

/* Pure, on any loop: reads the body into the event, or says why it cannot. */
static void
read_body(struct exchange *x)
{
	if (hb_normalize(x->ev, &x->fault))
		x->fault.code = HB_OK;
}

static void
on_scanned(struct hb_task *task)
{
	onward(hb_container_of(task, struct exchange, scan));
}

static void
on_scan(struct hb_task *task)
{
	struct exchange *x = hb_container_of(task, struct exchange, scan);

	read_body(x);
	x->scan.run = on_scanned;
	hb_loop_post(x->worker->loop, &x->scan);
}

/* The same on the scanner's loop; then the journey goes on. */
static void
read_elsewhere(struct exchange *x)
{
	x->where = SCANNING;
	x->scan.run = on_scan;
	hb_loop_post(x->worker->intake->env.scanner, &x->scan);
}

/* Where another body under the same identity must not pass for a repetition:
 * in direct mode, whose identity is not signed. */
static uint64_t
conflict_digest(const struct hb_event *ev)
{
	uint64_t digest = 0;

	if (ev->endpoint->mode == HB_MODE_DIRECT)
		memcpy(&digest, ev->digest, sizeof(digest));
	return digest;
}

static enum hb_claim
claim(struct exchange *x)
{
	if (!x->endpoint->dedup)
		return HB_CLAIM_NEW;
	x->waiter.home = x->worker->loop;
	x->waiter.on_end = on_shared_end;
	return hb_dedup_claim(x->worker->intake->env.dedup, x->endpoint,
	    x->ev->id, conflict_digest(x->ev), hb_tracker_flight(x->tracker),
	    &x->waiter);
}

/* Where the event goes; an unusable one goes to the dead letters whole. */
static void
plan_event(struct exchange *x, enum hb_claim claim, struct hb_plan *plan)
{
	plan->leg_count = 0;
	if (claim == HB_CLAIM_CONFLICT)
		plan->reason = "conflict";
	else if (x->fault.code != HB_OK)
		plan->reason = x->fault.reason;
	else
		hb_route(x->worker->intake->router, x->ev, plan);
}

/* --- the journey ---------------------------------------------------------- */

/* The head is there: finds the endpoint, refuses what can be refused. */
static void
on_head(void *arg, struct hb_http_request *req)
{
	struct hb_intake_worker *worker = arg;
	struct hb_intake *intake = worker->intake;
	struct exchange *x = exchange_new(worker, req);
	const struct hb_http_reply *refusal;
	struct hb_span path_token;
	struct hb_error err;

	refusal = hb_answer_head(intake->paths, &req->head, &x->endpoint,
	    &path_token);
	if (refusal != NULL) {
		hb_http_reply(req, refusal);
		return;
	}
	x->attempt = hb_verify_begin(intake->verifiers[x->endpoint->index],
	    worker->bench, &req->head, &req->peer, path_token,
	    hb_clock_wall_ms(), &err);
	if (x->attempt == NULL) {
		answer_refused(x, &err);
		return;
	}
	hb_http_accept_body(req, x->endpoint->body_size);
}

static void
on_data(void *arg, struct hb_http_request *req, const char *data, size_t len)
{
	struct exchange *x = req->user;

	(void)arg;
	hb_verify_update(x->attempt, data, len);
}

/* The body is complete. */
static void
on_body(void *arg, struct hb_http_request *req)
{
	struct exchange *x = req->user;
	struct hb_verified verified;
	struct hb_error err;

	(void)arg;
	if (!verify(x, &verified, &err)) {
		answer_refused(x, &err);
		return;
	}
	if (!take_over(x, &verified)) {
		answer_later(x, "memory");
		return;
	}
	if (x->ev->body.len > SCAN_ELSEWHERE) {
		read_elsewhere(x);
		return;
	}
	read_body(x);
	onward(x);
}

/* From a body that has been read to its destinations. */
static void
onward(struct exchange *x)
{
	enum hb_claim claimed;
	struct hb_plan plan;

	if (hb_tracker_is_late(x->tracker)) {
		answer_later(x, "deadline");
		return;
	}
	claimed = claim(x);
	switch (claimed) {
	case HB_CLAIM_SEEN:
		answer_settled(x, HB_ANSWER_DUPLICATE, 200, "duplicate");
		return;
	case HB_CLAIM_FULL:
		answer_later(x, "dedup-full");
		return;
	case HB_CLAIM_JOINED:
		x->where = JOINED;
		return;
	case HB_CLAIM_NEW:
	case HB_CLAIM_CONFLICT:
		break;
	}
	plan_event(x, claimed, &plan);
	x->where = TRACKED;
	hb_tracker_start(x->tracker, &plan,
	    claimed == HB_CLAIM_NEW && x->endpoint->dedup, on_receipt, x);
}

/* The tracker knows how the event ended, or will not know in time. */
static void
on_receipt(void *arg, const struct hb_receipt *receipt)
{
	answer_end(arg, receipt->outcome, receipt->reason);
}

/* The request that carries this event has ended it for us too. */
static void
on_shared_end(struct hb_dedup_waiter *waiter)
{
	answer_end(hb_container_of(waiter, struct exchange, waiter),
	    waiter->outcome, "delivery-failed");
}

/* No answer may take longer. */
void
hb_exchange_on_hard_due(struct hb_deadline *deadline)
{
	struct exchange *x = hb_container_of(deadline, struct exchange, hard);

	if (x->where == SCANNING)
		return; /* onward() will find it late */
	if (x->where == JOINED &&
	    !hb_dedup_leave(x->worker->intake->env.dedup, &x->waiter))
		return; /* its answer is on the way */
	if (x->where == TRACKED)
		hb_tracker_detach(x->tracker);
	answer_later(x, "hard-deadline");
}

/* The request is over, answered or not: counts it, frees the exchange. */
static void
on_done(void *arg, const struct hb_http_done *done)
{
	struct hb_intake_worker *worker = arg;
	struct exchange *x = done->req != NULL ? done->req->user : NULL;

	hb_tally_request(tally_of(worker->intake, x), done);
	hb_tally_access(worker->intake->env.cfg,
	    x != NULL && x->endpoint != NULL ? x->endpoint->name : "-",
	    done->reason != NULL || x == NULL ? done->reason : x->outcome,
	    done);
	if (x == NULL)
		return;
	if (x->attempt != NULL)
		hb_verify_abandon(x->attempt);
	/* A tracker that was started frees itself. */
	if (x->tracker != NULL && x->where != TRACKED)
		hb_tracker_free(x->tracker);
	hb_deadline_cancel(&x->hard);
	free(x);
}

const struct hb_http_handler hb_exchange_handler = {
	.on_head = on_head,
	.on_data = on_data,
	.on_body = on_body,
	.on_done = on_done,
};
