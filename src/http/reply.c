/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - one answer: sent in one piece if the socket takes it, then told
 *
 * It goes out before on_done is called, because its body may live in what the
 * handler frees there; and on_done is called before the next request is looked
 * at, because requests are served one at a time. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "conn.h"

/* --- sending -------------------------------------------------------------- */

static void
keep_unsent(struct conn *conn, const struct iovec iov[2], size_t sent)
{
	size_t first = iov[0].iov_len, second = iov[1].iov_len;

	conn->out = hb_xmalloc(first + second);
	memcpy(conn->out, iov[0].iov_base, first);
	if (second > 0)
		memcpy(conn->out + first, iov[1].iov_base, second);
	conn->out_len = first + second;
	conn->out_pos = sent;
	conn->state = CONN_WRITE;
}

/* Sends head and body at once; false when the peer is gone. */
static bool
send_answer(struct conn *conn, const struct hb_http_reply *reply,
    const struct hb_http_head *to)
{
	char head[HB_HTTP_ANSWER_MAX];
	bool keep_http10 = to != NULL && to->http10;
	struct iovec iov[2] = {
	    {head, 0}, {(void *)(uintptr_t)reply->body.ptr, reply->body.len}};
	ssize_t n;

	iov[0].iov_len = hb_http_answer_head(conn->server, reply,
	    HB_HTTP_BY_LENGTH,
	    conn->closing ? "close"
	    : keep_http10 ? "keep-alive"
			  : NULL,
	    head);
	if (to != NULL && hb_span_eq(to->method, HB_SPAN("HEAD")))
		iov[1].iov_len = 0;
	n = hb_stream_writev(conn->stream, iov, 2);
	if (n == HB_STREAM_ERROR) {
		hb_http_conn_kill(conn);
		return false;
	}
	if (n == (ssize_t)(iov[0].iov_len + iov[1].iov_len))
		hb_http_conn_next(conn);
	else
		keep_unsent(conn, iov, n > 0 ? (size_t)n : 0);
	return true;
}

void
hb_http_conn_on_writable(void *arg)
{
	struct conn *conn = arg;
	struct iovec iov = {
	    conn->out + conn->out_pos, conn->out_len - conn->out_pos};
	ssize_t n;

	if (conn->state == CONN_PIECES) {
		hb_http_pieces_on_writable(conn);
		return;
	}
	n = hb_stream_writev(conn->stream, &iov, 1);
	if (n == HB_STREAM_AGAIN)
		return;
	if (n == HB_STREAM_ERROR) {
		hb_http_conn_kill(conn);
		return;
	}
	conn->out_pos += (size_t)n;
	if (conn->out_pos < conn->out_len)
		return;
	free(conn->out);
	conn->out = NULL;
	hb_stream_want(conn->stream, true, false);
	hb_http_conn_next(conn);
	hb_http_conn_serve(conn);
}

/* --- answering ------------------------------------------------------------ */

/* Whether the connection ends with this request: the peer wants it, it has
 * had enough of them, or what was not read of the body would pass for the next
 * request. */
static bool
is_last(const struct conn *conn, const struct request *req)
{
	const struct hb_http_head *head = &req->pub.head;

	return !head->keep_alive ||
	       conn->requests >= conn->server->conf.requests_per_connection ||
	       (!req->delivered && (head->chunked || head->content_length > 0));
}

/* What could not become a request is told about all the same. */
static void
tell_malformed(
    struct conn *conn, int code, const char *reason, uint64_t bytes, bool lost)
{
	struct hb_http_server *server = conn->server;
	struct hb_http_done done = {
	    .peer_text = conn->peer_text,
	    .code = code,
	    .reason = reason,
	    .lost = lost,
	    .bytes = bytes,
	};

	server->handler->on_done(server->arg, &done);
}

/* Answers the request, or what should have become one, and ends it. */
static void
answer(struct conn *conn, const struct hb_http_reply *reply, const char *reason)
{
	struct request *req = conn->req;
	uint64_t bytes = conn->input.len;
	bool was_busy = conn->busy, lost;

	conn->busy = true;
	conn->req = NULL;
	hb_ring_remove(&conn->upload);
	if (reply->close || conn->server->draining ||
	    (req != NULL && is_last(conn, req)))
		conn->closing = true;
	if (conn->closing)
		conn->input = HB_SPAN_NONE;
	lost = !send_answer(conn, reply, req != NULL ? &req->pub.head : NULL);
	if (req != NULL)
		hb_http_request_end(req, reply->code, reason, lost);
	else
		tell_malformed(conn, reply->code, reason, bytes, lost);
	conn->busy = was_busy;
	if (!was_busy)
		hb_http_conn_serve(conn);
}

void
hb_http_reply(struct hb_http_request *pub, const struct hb_http_reply *reply)
{
	struct request *req = hb_container_of(pub, struct request, pub);

	if (req->conn != NULL)
		answer(req->conn, reply, NULL);
	else
		hb_http_request_end(req, reply->code, NULL, true);
}

void
hb_http_conn_refuse(struct conn *conn, int code, const char *reason)
{
	struct hb_http_reply reply = hb_http_answer_fault(code);

	answer(conn, &reply, reason);
}

void
hb_http_conn_refuse_malformed(
    struct conn *conn, const struct hb_http_fault *fault)
{
	hb_metric_inc(hb_metric_get(
	    HB_M_HTTP_MALFORMED, fault->reason, NULL, NULL, NULL));
	hb_http_conn_refuse(conn, fault->code, fault->reason);
}
