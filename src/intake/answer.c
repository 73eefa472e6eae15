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

void
hb_answer_unknown_path(struct hb_http_request *req)
{
	struct hb_http_reply reply = { .code = 404,
		.body = ERROR_BODY("not-found",
		    "no webhook endpoint at this path") };

	hb_http_reply(req, &reply);
}

void
hb_answer_method(struct hb_http_request *req)
{
	struct hb_http_reply reply = { .code = 405,
		.allow = "POST",
		.close = true,
		.body = ERROR_BODY("method-not-allowed",
		    "webhooks are delivered by POST") };

	hb_http_reply(req, &reply);
}

void
hb_answer_media_type(struct hb_http_request *req)
{
	struct hb_http_reply reply = { .code = 415,
		.body = ERROR_BODY("unsupported-media-type",
		    "send JSON, without a content encoding") };

	hb_http_reply(req, &reply);
}

void
hb_answer_unauthorized(struct hb_http_request *req)
{
	struct hb_http_reply reply = { .code = 401,
		.challenge = "Webhook",
		.body = ERROR_BODY("unauthorized",
		    "the request could not be verified; compare the endpoint's "
		    "secret and the clocks") };

	hb_http_reply(req, &reply);
}

void
hb_answer_unavailable(struct hb_http_request *req)
{
	struct hb_http_reply reply = { .code = 503,
		.retry_after_s = RETRY_AFTER_S,
		.body = ERROR_BODY("unavailable",
		    "not accepted now; nothing is lost if you retry") };

	hb_http_reply(req, &reply);
}

void
hb_answer_outcome(struct hb_http_request *req, int code, struct hb_span id,
    const char *outcome)
{
	/* An id has up to 128 visible characters, 6 bytes each at worst. */
	char body[128 * 6 + 128], quoted[128 * 6 + 3];
	size_t len = hb_json_quote(id, quoted);
	int n = snprintf(body, sizeof(body), "{\"id\":%.*s,\"outcome\":\"%s\"}\n",
	    (int)len, quoted, outcome);
	struct hb_http_reply reply = { .code = code,
		.body = hb_span_make(body, (size_t)n) };

	hb_http_reply(req, &reply);
}
