/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - what the files of intake share */
#ifndef HB_INTAKE_PARTS_H
#define HB_INTAKE_PARTS_H

#include "hookbridge/deadline.h"
#include "hookbridge/event.h"
#include "hookbridge/http.h"
#include "hookbridge/intake.h"
#include "hookbridge/metric.h"
#include "hookbridge/outcome.h"
#include "hookbridge/route.h"
#include "hookbridge/tracker.h"
#include "hookbridge/verify.h"

/* --- paths.c: which endpoint a path belongs to ---------------------------- */

struct hb_paths;
struct hb_paths *hb_paths_new(const struct hb_config *cfg);
void hb_paths_free(struct hb_paths *paths);
/* NULL when there is none. *token: what stands in place of "{token}". */
const struct hb_endpoint_conf *hb_paths_find(const struct hb_paths *paths,
    struct hb_span path, struct hb_span *token);

/* --- media.c: what a body may be ------------------------------------------ */

/* JSON, or nothing said; no content encoding; neither said twice. */
bool hb_media_is_json(const struct hb_http_head *head);

/* --- trace.c: W3C trace context ------------------------------------------- */

/* The request's traceparent and tracestate, copied into the event, if single
 * and well-formed. */
void hb_trace_copy(const struct hb_http_head *head, struct hb_event *ev);

/* --- tally.c: counters and the access line -------------------------------- */

enum hb_answer_kind {
	HB_ANSWER_CONFIRMED,
	HB_ANSWER_SPOOLED,
	HB_ANSWER_DEAD_LETTERED,
	HB_ANSWER_DUPLICATE,
	HB_ANSWER_KINDS
};

/* The series of one endpoint, or of requests that have none. */
struct hb_tally;
struct hb_tally *hb_tally_new(const struct hb_endpoint_conf *endpoint);
void hb_tally_free(struct hb_tally *tally);
void hb_tally_request(struct hb_tally *tally, const struct hb_http_done *done);
void hb_tally_verified(struct hb_tally *tally, unsigned key);
void hb_tally_refused(struct hb_tally *tally, const char *reason);
void hb_tally_event(struct hb_tally *tally, enum hb_status_class status,
    enum hb_answer_kind kind);
void hb_tally_access(const struct hb_config *cfg, const char *endpoint,
    const char *outcome, const struct hb_http_done *done);

/* --- answer.c: what the sender reads -------------------------------------- */

extern const struct hb_http_reply hb_reply_unauthorized, hb_reply_unavailable;
/* Finds whose webhook a head brings (NULL: nobody's), and the token if it
 * stands in the path. The reply if path, method or media type are refused;
 * NULL: none of them is. */
const struct hb_http_reply *hb_answer_head(const struct hb_paths *paths,
    const struct hb_http_head *head, const struct hb_endpoint_conf **endpoint,
    struct hb_span *path_token);
/* The body that says how an event ended. An id has up to 128 visible
 * characters, in JSON of 6 bytes each at worst. */
#define HB_EVENT_ID_MAX 128
#define HB_OUTCOME_TEXT (HB_EVENT_ID_MAX * 6 + 128)
struct hb_span hb_outcome_text(struct hb_span id, const char *outcome,
    char out[HB_OUTCOME_TEXT]);
/* 200 or 202, with the event's id and the word. */
void hb_answer_outcome(struct hb_http_request *req, int code,
    struct hb_span id, const char *outcome);

/* --- the shared objects --------------------------------------------------- */

struct hb_intake {
	struct hb_intake_env env;
	struct hb_router *router;
	struct hb_paths *paths;
	struct hb_verifier **verifiers; /* by endpoint index */
	struct hb_tally **tallies;      /* likewise; the last: no endpoint */
};

struct hb_intake_worker {
	struct hb_intake *intake;
	struct hb_loop *loop;
	struct hb_http_server *server;
	struct hb_verify_bench *bench;
	struct hb_courier *courier;
	struct hb_deadlines hard; /* of exchanges */
};

/* --- exchange.c ----------------------------------------------------------- */

extern const struct hb_http_handler hb_exchange_handler;
void hb_exchange_on_hard_due(struct hb_deadline *deadline);

#endif
