/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - answers: JSON, texts, and problem documents (RFC 9457) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define RETRY_AFTER_S 5

static const char *
title_of(int code)
{
	switch (code) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 415:
		return "Unsupported Media Type";
	default:
		return "Service Unavailable";
	}
}

static void
send_doc(struct hb_call *call, struct hb_http_reply reply, json_t *doc_take)
{
	size_t len;
	char *text = hb_admin_print(doc_take, &len);

	reply.body = hb_span_make(text, len);
	hb_http_reply(call->req, &reply);
	free(text);
}

void
hb_admin_say(struct hb_call *call, int code, json_t *doc_take)
{
	send_doc(call, (struct hb_http_reply){ .code = code }, doc_take);
}

void
hb_admin_say_text(struct hb_call *call, const char *media_type,
    char *text_take, size_t len)
{
	hb_http_reply(call->req,
	    &(struct hb_http_reply){ .code = 200,
		.media_type = media_type,
		.body = hb_span_make(text_take, len) });
	free(text_take);
}

/* --- problems ------------------------------------------------------------- */

static void
send_problem(struct hb_call *call, int code, const char *allow,
    const char *reason, struct hb_span detail)
{
	json_t *doc = json_pack("{s:s,s:s,s:i}", "type", "about:blank", "title",
	    title_of(code), "status", code);

	hb_admin_set(doc, "detail", detail);
	if (reason != NULL)
		hb_admin_set(doc, "reason", hb_span_of(reason));
	send_doc(call,
	    (struct hb_http_reply){ .code = code,
		.media_type = "application/problem+json",
		.allow = allow,
		.retry_after_s = code == 503 ? RETRY_AFTER_S : 0 },
	    doc);
}

bool
hb_admin_refuse(struct hb_call *call, int code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_problem(call, code, NULL, NULL, hb_span_of(text));
	return false;
}

bool
hb_admin_refuse_method(struct hb_call *call, const char *allow)
{
	send_problem(call, 405, allow, NULL,
	    HB_SPAN("this resource has another method"));
	return false;
}

void
hb_admin_refuse_error(struct hb_call *call, const struct hb_error *err)
{
	int code = 503;

	if (err->code == HB_E_REJECT)
		code = err->reason != NULL &&
			strcmp(err->reason, "not-found") == 0
		    ? 404 : 409;
	send_problem(call, code, NULL, err->reason, hb_span_of(err->text));
}
