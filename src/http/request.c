/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - from a complete head to on_done
 *
 *   begin ─ on_head ─┬─ accepted ─► body.c ─ on_body ─► handler ─► reply ─► end
 *                    └─ reply ─► end
 *
 * One allocation holds the request, its header table and its head's text. Who
 * owns it says http.h: we, until on_body; then the handler, until its reply or
 * the end of its pieces (pieces.c), even if the connection is gone by then
 * (conn == NULL). In that time the request holds a reference on the server. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conn.h"
#include "hookbridge/budget.h"
#include "hookbridge/clock.h"

static struct request *
request_of(struct hb_http_request *pub)
{
	return hb_container_of(pub, struct request, pub);
}

/* --- beginning ------------------------------------------------------------ */

static bool
is_local(const struct in6_addr *peer)
{
	return IN6_IS_ADDR_UNSPECIFIED(peer) || IN6_IS_ADDR_LOOPBACK(peer) ||
	       (IN6_IS_ADDR_V4MAPPED(peer) && peer->s6_addr[12] == 127);
}

/* A request with a copy of its head; NULL (fault) when that is malformed. */
static struct request *
request_new(struct conn *conn, struct hb_span head, struct hb_http_fault *fault)
{
	const struct hb_http_limits *limits = &conn->server->limits;
	size_t room = hb_http_head_room(head, limits);
	size_t table = room * sizeof(struct hb_http_header);
	size_t size = sizeof(struct request) + table + head.len;
	struct request *req = hb_xmalloc(size);
	char *text = (char *)req->headers + table;

	memset(req, 0, sizeof(*req));
	memcpy(text, head.ptr, head.len);
	if (!hb_http_head_parse(hb_span_make(text, head.len), limits,
		req->headers, &req->pub.head, fault)) {
		free(req);
		return NULL;
	}
	req->server = conn->server;
	req->conn = conn;
	req->head_len = head.len;
	req->size = size;
	req->pub.loop = conn->server->loop;
	req->pub.listener = conn->listening->name;
	req->pub.peer = conn->peer;
	memcpy(req->pub.peer_text, conn->peer_text, sizeof(conn->peer_text));
	req->pub.peer_local = is_local(&conn->peer);
	req->pub.head_us = hb_clock_mono_us();
	return req;
}

void
hb_http_request_begin(struct conn *conn, size_t head_len)
{
	struct hb_http_server *server = conn->server;
	struct hb_http_fault fault;
	struct request *req =
	    request_new(conn, hb_span_make(conn->input.ptr, head_len), &fault);

	if (req == NULL) {
		hb_http_conn_refuse_malformed(conn, &fault);
		return;
	}
	conn->input = hb_span_skip(conn->input, head_len);
	conn->requests++;
	conn->req = req;
	conn->state = CONN_HANDLER;
	server->handler->on_head(server->arg, &req->pub);
	if (conn->req != req)
		return; /* answered */
	if (!req->accepted)
		hb_bug("a head was neither accepted nor answered");
	hb_http_body_begin(conn);
}

/* Only notes it: what follows happens when on_head has returned. */
void
hb_http_accept_body(struct hb_http_request *pub, uint64_t limit)
{
	struct request *req = request_of(pub);
	uint64_t most = req->server->conf.body_size;

	req->accepted = true;
	req->limit = limit < most ? limit : most;
}

void
hb_http_accept_optional_body(struct hb_http_request *pub, uint64_t limit)
{
	hb_http_accept_body(pub, limit);
	request_of(pub)->optional = true;
}

void
hb_http_vouch(struct hb_http_request *pub)
{
	struct request *req = request_of(pub);

	if (req->conn != NULL)
		hb_ring_remove(&req->conn->stranger);
}

char *
hb_http_take_body(struct hb_http_request *pub)
{
	char *body = pub->body;

	pub->body = NULL;
	return body;
}

bool
hb_http_peer_uid(const struct hb_http_request *pub, uid_t *uid)
{
	const struct conn *conn =
	    hb_container_of(pub, const struct request, pub)->conn;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (conn == NULL || !IN6_IS_ADDR_UNSPECIFIED(&pub->peer) ||
	    getsockopt(hb_stream_fd(conn->stream), SOL_SOCKET, SO_PEERCRED,
		&cred, &len) != 0)
		return false;
	*uid = cred.uid;
	return true;
}

/* --- ending --------------------------------------------------------------- */

void
hb_http_request_end(
    struct request *req, int code, const char *reason, bool lost)
{
	struct hb_http_server *server = req->server;
	struct hb_http_done done = {
	    .req = &req->pub,
	    .peer_text = req->pub.peer_text,
	    .code = code,
	    .reason = reason,
	    .lost = lost,
	    .bytes = req->head_len + req->pub.body_len,
	};
	bool delivered = req->delivered;

	if (!delivered && req->pub.charged > 0)
		hb_budget_give_unverified(
		    hb_http_gate_budget(server->gate), req->pub.charged);
	server->handler->on_done(server->arg, &done);
	free(req->pub.body);
	free(req);
	if (delivered)
		hb_http_server_unref(server);
}
