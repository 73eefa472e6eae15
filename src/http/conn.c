/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - one connection: one request at a time, a deadline at every moment
 *
 *           ┌───────────────── next request ─────────────────┐
 *           ▼                                                │
 *   accept─►HEAD ─complete─► on_head ─accepted─► BODY        │
 *            │                  │                 │ complete │
 *            │ fault,           │ replied         ▼          │
 *            │ deadline         │       on_body: HANDLER     │
 *            ▼                  ▼                 │ replied  │
 *   reply.c: answer() ◄─────────┴─────────────────┘          │
 *            ├─ all sent ──────────────► next() ─────────────┘
 *            ├─ a part ─► WRITE ─────────►┘ │ closing
 *            ▼                              ▼
 *           DEAD ◄─────────────────────── LINGER
 *
 * Or, from HANDLER, an answer in pieces (pieces.c): PIECES, then WRITE or
 * LINGER as the last of them was sent or not, or DEAD when the peer has left.
 *
 * LINGER: FIN is sent, and what still comes is thrown away for a while. Had we
 * just closed, unread bytes would make the kernel send a reset, which may
 * overtake the answer.
 *
 * Bytes are read into the server's scratch buffer, but for the bulk of a body,
 * which is read where it stays. serve() takes what it can from them; what is
 * left (a part of a head, or pipelined requests while one is at the handler)
 * is kept with the connection by rest(), which also makes deadline and wanted
 * events fit the state, and what comes then is read behind it: a byte is moved
 * a few times at most, however slowly they drip. A connection that waits for a
 * request holds no buffer. While a request is at the handler nothing is read;
 * the read event is left alone, though, until it fires: most answers are
 * faster.
 *
 * Invariants: (1) every request is told to on_done exactly once; (2) busy is
 * set while a function of ours may still use the connection after a callback:
 * then nobody frees it, and serve() is not entered twice; (3) after rest(),
 * serve(), answer() or kill() a connection that is not busy may be gone. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"
#include "hookbridge/budget.h"

#define LINGER_MAX (256 * 1024)
#define KEPT_FIRST 512

struct conn *
hb_http_conn_of_ring(struct ring *all)
{
	return hb_container_of(all, struct conn, all);
}

struct conn *
hb_http_conn_of_stranger(struct ring *stranger)
{
	return hb_container_of(stranger, struct conn, stranger);
}

/* --- what is kept between reads ------------------------------------------- */

static void
drop_kept(struct conn *conn)
{
	if (conn->kept == NULL)
		return;
	hb_budget_give_unverified(
	    hb_http_gate_budget(conn->server->gate), conn->kept_size);
	free(conn->kept);
	conn->kept = NULL;
	conn->kept_size = 0;
}

/* Room for len bytes at least, with what is kept at its front. */
static bool
grow_kept(struct conn *conn, size_t len)
{
	size_t size = conn->kept_size > 0 ? conn->kept_size : KEPT_FIRST;

	while (size < len)
		size *= 2;
	if (!hb_http_charge(conn, size - conn->kept_size))
		return false;
	conn->kept = hb_xrealloc(conn->kept, size);
	conn->kept_size = size;
	return true;
}

/* Moves the input to where it outlasts this read; false: no memory. */
static bool
keep(struct conn *conn)
{
	size_t len = conn->input.len;

	if (len == 0) {
		drop_kept(conn);
		return true;
	}
	if (conn->input.ptr == conn->kept)
		return true;
	if (len > conn->kept_size && !grow_kept(conn, len))
		return false;
	memmove(conn->kept, conn->input.ptr, len);
	conn->input.ptr = conn->kept;
	return true;
}

/* Where the next bytes go; false: no memory. */
static bool
find_room(struct conn *conn, char **to, size_t *room)
{
	size_t have = conn->input.len;

	*to = conn->server->scratch;
	*room = HB_HTTP_READ_SIZE;
	if (have == 0)
		return true;
	if (have == conn->kept_size) {
		if (!grow_kept(conn, have + 1))
			return false;
		conn->input.ptr = conn->kept;
	}
	*to = conn->kept + have;
	if (*room > conn->kept_size - have)
		*room = conn->kept_size - have;
	return true;
}

/* --- resting -------------------------------------------------------------- */

/* Sets the deadline in this queue; one that is set there stands. */
static void
wait_in(struct conn *conn, struct hb_deadlines *queue)
{
	if (conn->waits == queue)
		return;
	hb_deadline_cancel(&conn->deadline);
	conn->waits = queue;
	if (queue != NULL)
		hb_deadline_set(queue, &conn->deadline);
}

/* Nothing more can be done now: waits for what the state waits for. */
static void
rest(struct conn *conn)
{
	struct hb_http_server *server = conn->server;
	bool unsent;

	if (!keep(conn)) {
		if (conn->state == CONN_HEAD) {
			hb_http_conn_refuse(conn, 503, "memory");
			return;
		}
		/* The pipelined requests are lost; their sender is told. */
		conn->closing = true;
		conn->input = HB_SPAN_NONE;
	}
	switch (conn->state) {
	case CONN_HEAD:
		wait_in(conn, conn->input.len > 0 || conn->requests == 0
				  ? &server->head
				  : &server->idle);
		break;
	case CONN_BODY:
		wait_in(conn, &server->body);
		break;
	case CONN_HANDLER:
		wait_in(conn, NULL);
		return;
	case CONN_PIECES: /* reading tells that the peer is gone */
		unsent = conn->out_len > conn->out_pos;
		wait_in(conn, unsent ? &server->pieces : NULL);
		hb_stream_want(conn->stream, true, unsent);
		return;
	case CONN_WRITE:
		wait_in(conn, &server->write);
		hb_stream_want(conn->stream, false, true);
		return;
	case CONN_LINGER:
		wait_in(conn, &server->linger);
		break;
	case CONN_DEAD:
		return;
	}
	hb_stream_want(conn->stream, true, false);
}

/* --- closing -------------------------------------------------------------- */

static void
conn_free(struct conn *conn)
{
	free(conn->out);
	free(conn);
}

/* Lets the request go: the handler may still be at it, or it is over. */
static void
abandon(struct conn *conn)
{
	struct request *req = conn->req;

	if (req == NULL)
		return;
	conn->req = NULL;
	req->conn = NULL;
	if (!req->delivered)
		hb_http_request_end(req, 499, NULL, true);
	else if (req->in_pieces && !req->inside)
		conn->server->handler->on_left(conn->server->arg, &req->pub);
}

void
hb_http_conn_kill(struct conn *conn)
{
	struct hb_http_server *server = conn->server;

	if (conn->state == CONN_DEAD)
		return;
	conn->state = CONN_DEAD;
	conn->input = HB_SPAN_NONE;
	drop_kept(conn);
	hb_deadline_cancel(&conn->deadline);
	hb_ring_remove(&conn->all);
	hb_ring_remove(&conn->stranger);
	hb_ring_remove(&conn->upload);
	hb_stream_close(conn->stream);
	hb_http_gate_leave(server->gate, &conn->peer);
	hb_metric_dec(conn->listening->open);
	conn->listening->door->open--;
	conn->listening->open_here--;
	server->conn_count--;
	abandon(conn);
	if (!conn->busy)
		conn_free(conn);
}

/* A sender whose body is on its way is told, as far as the socket takes it. */
void
hb_http_conn_evict(struct conn *conn, const char *reason)
{
	conn->busy = true;
	if (conn->state == CONN_BODY)
		hb_http_conn_refuse(conn, 503, reason);
	conn->busy = false;
	if (conn->state == CONN_DEAD)
		conn_free(conn);
	else
		hb_http_conn_kill(conn);
}

static void
begin_linger(struct conn *conn)
{
	conn->state = CONN_LINGER;
	hb_stream_shutdown(conn->stream);
}

void
hb_http_conn_next(struct conn *conn)
{
	wait_in(conn, NULL);
	if (conn->closing || conn->server->draining)
		begin_linger(conn);
	else
		conn->state = CONN_HEAD;
}

/* --- input ---------------------------------------------------------------- */

/* False while the head is not complete. */
static bool
take_head(struct conn *conn)
{
	struct hb_http_fault fault;
	size_t head_len;

	switch (hb_http_head_end(conn->input, &conn->server->limits,
	    &conn->searched, &head_len, &fault)) {
	case HB_PARSE_MORE:
		return false;
	case HB_PARSE_BAD:
		hb_http_conn_refuse_malformed(conn, &fault);
		return true;
	case HB_PARSE_DONE:
		break;
	}
	conn->searched = 0;
	hb_http_request_begin(conn, head_len);
	return true;
}

/* Takes something from the input; false when that has to wait. */
static bool
take(struct conn *conn)
{
	if (conn->state == CONN_HEAD)
		return take_head(conn);
	if (conn->state != CONN_BODY)
		return false;
	hb_http_body_take(conn);
	return true;
}

void
hb_http_conn_serve(struct conn *conn)
{
	conn->busy = true;
	while (conn->input.len > 0 && take(conn))
		;
	conn->busy = false;
	if (conn->state == CONN_DEAD)
		conn_free(conn);
	else
		rest(conn);
}

static void
read_input(struct conn *conn)
{
	size_t have = conn->input.len, room;
	char *to;
	ssize_t n;

	if (!find_room(conn, &to, &room)) {
		hb_http_conn_refuse(conn, 503, "memory");
		return;
	}
	n = hb_stream_read(conn->stream, to, room);
	if (n == HB_STREAM_AGAIN)
		return;
	if (n <= 0) {
		hb_http_conn_kill(conn);
		return;
	}
	conn->input = hb_span_make(to - have, have + (size_t)n);
	hb_http_conn_serve(conn);
}

static void
read_linger(struct conn *conn)
{
	struct hb_http_server *server = conn->server;
	ssize_t n =
	    hb_stream_read(conn->stream, server->scratch, HB_HTTP_READ_SIZE);

	if (n == HB_STREAM_AGAIN)
		return;
	if (n > 0)
		conn->lingered += (uint64_t)n;
	if (n <= 0 || conn->lingered >= LINGER_MAX)
		hb_http_conn_kill(conn);
}

static void
on_readable(void *arg)
{
	struct conn *conn = arg;

	switch (conn->state) {
	case CONN_HEAD:
		read_input(conn);
		return;
	case CONN_BODY:
		if (conn->req->pub.head.chunked) {
			read_input(conn);
			return;
		}
		conn->busy = true;
		hb_http_body_read(conn);
		hb_http_conn_serve(conn);
		return;
	case CONN_PIECES: /* what may come is no request: this is the last */
	case CONN_LINGER:
		read_linger(conn);
		return;
	default: /* not now: rest() will want it again */
		hb_stream_want(conn->stream, false, conn->state == CONN_WRITE);
	}
}

/* --- deadlines ------------------------------------------------------------ */

static struct conn *
on_due(struct hb_deadline *deadline)
{
	struct conn *conn = hb_container_of(deadline, struct conn, deadline);

	conn->waits = NULL;
	return conn;
}

/* A part of a head deserves an answer, silence does not. */
void
hb_http_conn_on_head_due(struct hb_deadline *deadline)
{
	struct conn *conn = on_due(deadline);

	if (conn->input.len > 0)
		hb_http_conn_refuse(conn, 408, "head-timeout");
	else
		hb_http_conn_kill(conn);
}

void
hb_http_conn_on_body_due(struct hb_deadline *deadline)
{
	struct conn *conn = on_due(deadline);

	if (hb_http_body_is_late(conn->req))
		hb_http_conn_refuse(conn, 408, "body-timeout");
	else
		wait_in(conn, &conn->server->body);
}

/* Nor shall the kernel keep for minutes what nobody reads. */
void
hb_http_conn_on_write_due(struct hb_deadline *deadline)
{
	struct conn *conn = on_due(deadline);

	hb_stream_abort(conn->stream);
	hb_http_conn_kill(conn);
}

void
hb_http_conn_on_close_due(struct hb_deadline *deadline)
{
	hb_http_conn_kill(on_due(deadline));
}

/* --- making and draining -------------------------------------------------- */

static void
write_peer(const struct in6_addr *peer, char *out, socklen_t size)
{
	if (IN6_IS_ADDR_UNSPECIFIED(peer))
		memcpy(out, "unix", sizeof("unix"));
	else if (IN6_IS_ADDR_V4MAPPED(peer))
		inet_ntop(AF_INET, &peer->s6_addr[12], out, size);
	else
		inet_ntop(AF_INET6, peer, out, size);
}

void
hb_http_conn_new(
    struct listening *listening, int fd, const struct in6_addr *peer)
{
	static const struct hb_stream_ops ops = {.on_readable = on_readable,
	    .on_writable = hb_http_conn_on_writable};
	struct hb_http_server *server = listening->server;
	struct conn *conn = hb_xcalloc(1, sizeof(*conn));

	conn->server = server;
	conn->listening = listening;
	conn->peer = *peer;
	write_peer(peer, conn->peer_text, sizeof(conn->peer_text));
	conn->stream = hb_stream_open(server->loop, fd, &ops, conn);
	hb_ring_add(&server->conns, &conn->all);
	hb_ring_add(&server->strangers, &conn->stranger);
	server->conn_count++;
	listening->open_here++;
	listening->door->open++;
	hb_metric_inc(listening->open);
	rest(conn);
}

void
hb_http_conn_drain(struct conn *conn)
{
	struct hb_http_server *server = conn->server;
	ssize_t n;

	if (conn->state != CONN_HEAD || conn->input.len > 0)
		return;
	n = hb_stream_read(conn->stream, server->scratch, HB_HTTP_READ_SIZE);
	if (n == HB_STREAM_AGAIN) {
		begin_linger(conn);
		rest(conn);
	} else if (n <= 0) {
		hb_http_conn_kill(conn);
	} else {
		conn->input = hb_span_make(server->scratch, (size_t)n);
		hb_http_conn_serve(conn);
	}
}
