/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - status lines, fields, and the server's own short bodies
 *
 * Nothing of a request is reflected. Content-Length is always there, so that a
 * kept connection never depends on anything else; but for answers in pieces,
 * which are the last of their connection. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "server.h"

/* As handlers say for theirs: Svix senders try again after 5 s anyway. */
#define RETRY_AFTER_S 5

struct answer {
	int code;
	struct hb_span line; /* "200 OK" */
	struct hb_span body; /* when the server itself answers */
};

#define TEXT(lit)                    \
	{                            \
		lit, sizeof(lit) - 1 \
	}
#define ERROR(word, detail) \
	TEXT("{\"error\":\"" word "\",\"detail\":\"" detail "\"}\n")

static const struct answer answers[] = {
    {200, TEXT("200 OK"), {NULL, 0}},
    {202, TEXT("202 Accepted"), {NULL, 0}},
    {400, TEXT("400 Bad Request"),
	ERROR("bad-request", "this is not valid HTTP/1.1")},
    {401, TEXT("401 Unauthorized"), {NULL, 0}},
    {403, TEXT("403 Forbidden"), {NULL, 0}},
    {404, TEXT("404 Not Found"), {NULL, 0}},
    {405, TEXT("405 Method Not Allowed"), {NULL, 0}},
    {408, TEXT("408 Request Timeout"),
	ERROR("timeout", "the request took too long to arrive")},
    {409, TEXT("409 Conflict"), {NULL, 0}},
    {411, TEXT("411 Length Required"),
	ERROR("length-required", "send Content-Length or a chunked body")},
    {413, TEXT("413 Content Too Large"),
	ERROR("body-too-large", "the body is larger than allowed here")},
    {414, TEXT("414 URI Too Long"),
	ERROR("target-too-long", "the request's path and query are too long")},
    {415, TEXT("415 Unsupported Media Type"), {NULL, 0}},
    {417, TEXT("417 Expectation Failed"),
	ERROR("unknown-expectation", "only 100-continue can be expected")},
    {429, TEXT("429 Too Many Requests"), {NULL, 0}},
    {431, TEXT("431 Request Header Fields Too Large"),
	ERROR("head-too-large", "too many or too long header fields")},
    {500, TEXT("500 Internal Server Error"), {NULL, 0}},
    {501, TEXT("501 Not Implemented"),
	ERROR("not-implemented", "unknown method or transfer coding")},
    {503, TEXT("503 Service Unavailable"),
	ERROR("unavailable", "too busy or stopping; retry later")},
    {505, TEXT("505 HTTP Version Not Supported"),
	ERROR("version-not-supported", "speak HTTP/1.1")},
};

static const struct answer *
answer_of(int code)
{
	for (size_t i = 0; i < HB_COUNT(answers); i++)
		if (answers[i].code == code)
			return &answers[i];
	hb_bug("no answer with code %d", code);
}

struct hb_http_reply
hb_http_answer_fault(int code)
{
	return (struct hb_http_reply){
	    .code = code,
	    .body = answer_of(code)->body,
	    .retry_after_s = code == 503 ? RETRY_AFTER_S : 0,
	    .close = true,
	};
}

/* RFC 9110, 6.6.1, in the form of 5.6.7; made once a second. */
static struct hb_span
date(struct hb_http_server *server)
{
	time_t now = (time_t)(hb_clock_wall_ms() / 1000);
	struct tm tm;

	if (now != server->date_s) {
		server->date_s = now;
		gmtime_r(&now, &tm);
		strftime(server->date, sizeof(server->date),
		    "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return hb_span_of(server->date);
}

/* --- the head ------------------------------------------------------------- */

struct writer {
	char *out;
	size_t len;
};

static void
put(struct writer *w, struct hb_span s)
{
	if (s.len > HB_HTTP_ANSWER_MAX - w->len)
		hb_bug("an answer's head of more than %d bytes",
		    HB_HTTP_ANSWER_MAX);
	memcpy(w->out + w->len, s.ptr, s.len);
	w->len += s.len;
}

/* "Name: value" behind the line before it; nothing when there is no value. */
static void
put_field(struct writer *w, struct hb_span name, const char *value)
{
	if (value == NULL)
		return;
	put(w, name);
	put(w, hb_span_of(value));
}

static void
put_number(struct writer *w, struct hb_span name, uint64_t value)
{
	char digits[24];
	char *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put(w, name);
	put(w, hb_span_make(p, (size_t)(digits + sizeof(digits) - p)));
}

size_t
hb_http_answer_head(struct hb_http_server *server,
    const struct hb_http_reply *reply, enum hb_http_framing framing,
    const char *connection, char out[HB_HTTP_ANSWER_MAX])
{
	struct writer w = {out, 0};

	put(&w, HB_SPAN("HTTP/1.1 "));
	put(&w, answer_of(reply->code)->line);
	put(&w, HB_SPAN("\r\nDate: "));
	put(&w, date(server));
	if (reply->media_type == NULL)
		put(&w, HB_SPAN("\r\nContent-Type: application/json"));
	put_field(&w, HB_SPAN("\r\nContent-Type: "), reply->media_type);
	if (framing == HB_HTTP_BY_LENGTH)
		put_number(
		    &w, HB_SPAN("\r\nContent-Length: "), reply->body.len);
	else if (framing == HB_HTTP_CHUNKED)
		put(&w, HB_SPAN("\r\nTransfer-Encoding: chunked"));
	if (reply->retry_after_s > 0)
		put_number(
		    &w, HB_SPAN("\r\nRetry-After: "), reply->retry_after_s);
	put_field(&w, HB_SPAN("\r\nAllow: "), reply->allow);
	put_field(&w, HB_SPAN("\r\nWWW-Authenticate: "), reply->challenge);
	put_field(&w, HB_SPAN("\r\nConnection: "), connection);
	put(&w, HB_SPAN("\r\n\r\n"));
	return w.len;
}
