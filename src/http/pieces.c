/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.c - answers that come bit by bit: long downloads, streams of events
 *
 * The connection is in CONN_PIECES from the first piece to the last; it then
 * goes the way of any answer that is the last of its connection. Each piece is
 * a chunk. What the socket does not take is appended to conn->out, whose length
 * the handler sees; the rest leaves as the socket becomes writable.
 *
 * While a call of the handler's runs (inside), nothing calls back: that the
 * peer is gone is its return value then. busy as everywhere: see conn.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "conn.h"

#define OUT_FIRST ((size_t)4 * 1024)

static struct request *
request_of(struct hb_http_request *pub)
{
	return hb_container_of(pub, struct request, pub);
}

static size_t
unsent(const struct conn *conn)
{
	return conn->out_len - conn->out_pos;
}

/* --- what the socket did not take ----------------------------------------- */

static void
make_room(struct conn *conn, size_t len)
{
	size_t size = conn->out_size > 0 ? conn->out_size : OUT_FIRST;

	if (conn->out_pos > 0) {
		memmove(
		    conn->out, conn->out + conn->out_pos, unsent(conn));
		conn->out_len = unsent(conn);
		conn->out_pos = 0;
	}
	while (size < conn->out_len + len)
		size *= 2;
	if (size == conn->out_size)
		return;
	conn->out = hb_xrealloc(conn->out, size);
	conn->out_size = size;
}

static void
append(struct conn *conn, const char *data, size_t len)
{
	if (len > conn->out_size - conn->out_len)
		make_room(conn, len);
	memcpy(conn->out + conn->out_len, data, len);
	conn->out_len += len;
}

/* Behind what waits already, or to the socket; false: the peer is gone. */
static bool
put(struct conn *conn, const struct iovec *iov, int count)
{
	ssize_t n = 0;
	size_t sent;

	if (unsent(conn) == 0)
		n = hb_stream_writev(conn->stream, iov, count);
	if (n == HB_STREAM_ERROR) {
		hb_http_conn_kill(conn);
		return false;
	}
	sent = n > 0 ? (size_t)n : 0;
	for (int i = 0; i < count; i++) {
		size_t here = sent < iov[i].iov_len ? sent : iov[i].iov_len;

		sent -= here;
		if (here < iov[i].iov_len)
			append(conn, (char *)iov[i].iov_base + here,
			    iov[i].iov_len - here);
	}
	return true;
}

/* The same from inside a call of the handler's. */
static bool
put_inside(struct request *req, const struct iovec *iov, int count)
{
	struct conn *conn = req->conn;
	bool was_busy, there;

	if (conn == NULL)
		return false;
	was_busy = conn->busy;
	conn->busy = req->inside = true;
	there = put(conn, iov, count);
	conn->busy = was_busy;
	req->inside = false;
	if (!was_busy)
		hb_http_conn_serve(conn);
	return there;
}

/* The socket takes something again. */
static void
flush(struct conn *conn)
{
	struct iovec iov = {conn->out + conn->out_pos, unsent(conn)};
	ssize_t n = hb_stream_writev(conn->stream, &iov, 1);

	if (n == HB_STREAM_ERROR)
		hb_http_conn_kill(conn);
	if (n <= 0)
		return;
	conn->out_pos += (size_t)n;
	hb_deadline_cancel(&conn->deadline); /* it begins anew */
	conn->waits = NULL;
	if (unsent(conn) > 0)
		return;
	free(conn->out);
	conn->out = NULL;
	conn->out_len = conn->out_pos = conn->out_size = 0;
	if (conn->server->handler->on_drained != NULL)
		conn->server->handler->on_drained(
		    conn->server->arg, &conn->req->pub);
}

void
hb_http_pieces_on_writable(struct conn *conn)
{
	conn->busy = true;
	flush(conn);
	conn->busy = false;
	hb_http_conn_serve(conn);
}

/* --- for the handler ------------------------------------------------------ */

bool
hb_http_begin(struct hb_http_request *pub, const struct hb_http_reply *reply)
{
	struct request *req = request_of(pub);
	struct conn *conn = req->conn;
	char head[HB_HTTP_ANSWER_MAX];
	struct iovec iov = {head, 0};

	if (!req->delivered || req->in_pieces)
		hb_bug("an answer begins at the wrong time");
	req->in_pieces = true;
	req->code = reply->code;
	req->framed = !pub->head.http10;
	req->mute = hb_span_eq(pub->head.method, HB_SPAN("HEAD"));
	if (conn == NULL)
		return false;
	conn->state = CONN_PIECES;
	conn->closing = true;
	conn->input = HB_SPAN_NONE;
	conn->out_len = conn->out_pos = conn->out_size = 0;
	iov.iov_len = hb_http_answer_head(conn->server, reply,
	    req->framed ? HB_HTTP_CHUNKED : HB_HTTP_UNTIL_CLOSE, "close",
	    head);
	return put_inside(req, &iov, 1) && hb_http_piece(pub, reply->body);
}

bool
hb_http_piece(struct hb_http_request *pub, struct hb_span piece)
{
	struct request *req = request_of(pub);
	char size[20];
	struct iovec iov[3] = {{size, 0},
	    {(void *)(uintptr_t)piece.ptr, piece.len},
	    {(void *)(uintptr_t)"\r\n", 2}};

	/* An empty chunk would be the last one. */
	if (piece.len == 0 || req->mute)
		return req->conn != NULL;
	if (!req->framed)
		return put_inside(req, &iov[1], 1);
	iov[0].iov_len =
	    (size_t)snprintf(size, sizeof(size), "%zx\r\n", piece.len);
	return put_inside(req, iov, 3);
}

size_t
hb_http_backlog(const struct hb_http_request *pub)
{
	const struct conn *conn =
	    hb_container_of(pub, const struct request, pub)->conn;

	return conn != NULL ? unsent(conn) : 0;
}

/* The answer has ended: its connection goes on without the request. */
static void
leave_pieces(struct conn *conn)
{
	conn->req = NULL;
	if (conn->state == CONN_DEAD)
		return;
	if (unsent(conn) > 0)
		conn->state = CONN_WRITE;
	else
		hb_http_conn_next(conn);
}

void
hb_http_end(struct hb_http_request *pub)
{
	struct request *req = request_of(pub);
	struct conn *conn = req->conn;
	struct iovec last = {(void *)(uintptr_t)"0\r\n\r\n", 5};
	bool was_busy, there = true;

	if (conn == NULL) {
		hb_http_request_end(req, req->code, NULL, true);
		return;
	}
	was_busy = conn->busy;
	conn->busy = req->inside = true;
	if (req->framed && !req->mute)
		there = put(conn, &last, 1);
	leave_pieces(conn);
	hb_http_request_end(req, req->code, NULL, !there);
	conn->busy = was_busy;
	if (!was_busy)
		hb_http_conn_serve(conn);
}

void
hb_http_cut(struct hb_http_request *pub)
{
	struct request *req = request_of(pub);

	req->inside = true;
	if (req->conn != NULL)
		hb_http_conn_kill(req->conn);
	hb_http_request_end(req, req->code, NULL, true);
}
