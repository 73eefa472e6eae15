/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what the sender reads
 *
 * Bodies are short JSON and reflect nothing of the request but the event's id.
 * Svix shows them on its dashboard, so they are written for the person there.
 * One 401 for every failed verification and one 404 for unknown and disabled
 * endpoints: what differs would tell a stranger what exists. */
#include <stdio.h>

#include "parts.h"

/* The first retry of a Svix sender comes after 5 s whatever is said here. */
#define RETRY_AFTER_S 5

#define ERROR_BODY(word, detail) \
	HB_SPAN("{\"error\":\"" word "\",\"detail\":\"" detail "\"}\n")

static const struct hb_http_reply unknown_path = { .code = 404,
	.body = ERROR_BODY("not-found", "no webhook endpoint at this path") };

static const struct hb_http_reply wrong_method = { .code = 405,
	.allow = "POST",
	.close = true,
	.body = ERROR_BODY("method-not-allowed",
	    "webhooks are delivered by POST") };

static const struct hb_http_reply wrong_media_type = { .code = 415,
	.body = ERROR_BODY("unsupported-media-type",
	    "send JSON, without a content encoding") };

const struct hb_http_reply hb_reply_unauthorized = { .code = 401,
	.challenge = "Webhook",
	.body = ERROR_BODY("unauthorized",
	    "the request could not be verified; compare the endpoint's "
	    "secret and the clocks") };

const struct hb_http_reply hb_reply_unavailable = { .code = 503,
	.retry_after_s = RETRY_AFTER_S,
	.body = ERROR_BODY("unavailable",
	    "not accepted now; nothing is lost if you retry") };

const struct hb_http_reply *
hb_answer_head(const struct hb_paths *paths, const struct hb_http_head *head,
    const struct hb_endpoint_conf **endpoint, struct hb_span *path_token)
{
	bool is_post = hb_span_eq(head->method, HB_SPAN("POST"));

	*endpoint = hb_paths_find(paths, head->path, path_token);
	/* "OPTIONS *" and CONNECT name no path at all. */
	if (*endpoint == NULL &&
	    (is_post || hb_span_starts(head->path, HB_SPAN("/"))))
		return &unknown_path;
	if (!is_post)
		return &wrong_method;
	return hb_media_is_json(head) ? NULL : &wrong_media_type;
}

struct hb_span
hb_outcome_text(struct hb_span id, const char *outcome,
    char out[HB_OUTCOME_TEXT])
{
	char quoted[HB_EVENT_ID_MAX * 6 + 3];
	size_t len = hb_json_quote(id, quoted);
	int n = snprintf(out, HB_OUTCOME_TEXT,
	    "{\"id\":%.*s,\"outcome\":\"%s\"}\n", (int)len, quoted, outcome);

	return hb_span_make(out, (size_t)n);
}

void
hb_answer_outcome(struct hb_http_request *req, int code, struct hb_span id,
    const char *outcome)
{
	char text[HB_OUTCOME_TEXT];
	struct hb_http_reply reply = { .code = code,
		.body = hb_outcome_text(id, outcome, text) };

	hb_http_reply(req, &reply);
}
