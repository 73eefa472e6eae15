/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - a request's body, from the head's last byte to on_body
 *
 * An announced body has one allocation of its size; a chunked one begins small
 * and doubles. Either is paid for as it comes, in steps of CHARGE_STEP or its
 * whole room if that is less: what is only announced costs nobody anything, for
 * untouched memory is none. The head is paid for with the first step. When the
 * unverified quarter of the budget is used up, the slowest body of this server
 * has to go, be it the one that asks.
 *
 * Pace: a body has body_timeout. One that takes longer must have brought
 * body_rate over the last ten seconds, whenever it is looked at: each second.
 *
 * Invariant: body_len <= body_paid <= body_size. */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "conn.h"
#include "hookbridge/budget.h"
#include "hookbridge/clock.h"

#define CHARGE_STEP ((size_t)64 * 1024)
#define CHUNKED_FIRST ((size_t)4 * 1024)
/* Reads of one wake-up: other connections wait. */
#define READS_MAX 8
/* Bodies that have to go for one that asks. */
#define SHED_MAX 16

/* --- paying --------------------------------------------------------------- */

/* How fast a body comes, in bytes per second. One second and one step are
 * added, lest those that have only begun pass for the slowest. */
static uint64_t
speed(const struct request *req, uint64_t now_us)
{
	uint64_t ms = (now_us - req->pub.head_us) / 1000 + 1000;

	return (req->pub.body_len + CHARGE_STEP) * 1000 / ms;
}

static struct conn *
slowest_upload(struct hb_http_server *server)
{
	uint64_t now_us = hb_clock_mono_us(), least = UINT64_MAX;
	struct conn *slowest = NULL;

	for (struct ring *r = server->uploads.next; r != &server->uploads;
	     r = r->next) {
		struct conn *conn = hb_container_of(r, struct conn, upload);
		uint64_t here = speed(conn->req, now_us);

		if (here < least) {
			slowest = conn;
			least = here;
		}
	}
	return slowest;
}

/* Whether it is the unverified quarter that these bytes do not fit into, though
 * they could. When all of the budget is in use, shedding bodies would only make
 * it worse. */
static bool
shedding_helps(const struct hb_budget *budget, uint64_t bytes)
{
	uint64_t quarter = budget->limit / 4;

	return bytes <= quarter &&
	       atomic_load(&budget->unverified) + bytes > quarter;
}

bool
hb_http_charge(struct conn *conn, uint64_t bytes)
{
	struct hb_http_server *server = conn->server;
	struct hb_budget *budget = hb_http_gate_budget(server->gate);

	for (int shed = 0; !hb_budget_take_unverified(budget, bytes); shed++) {
		struct conn *victim =
		    shed < SHED_MAX && shedding_helps(budget, bytes)
			? slowest_upload(server)
			: NULL;

		if (victim == NULL || victim == conn)
			return false;
		hb_http_conn_refuse(victim, 503, "memory");
	}
	return true;
}

static bool
charge_request(struct conn *conn, size_t bytes)
{
	if (!hb_http_charge(conn, bytes)) {
		hb_http_conn_refuse(conn, 503, "memory");
		return false;
	}
	conn->req->pub.charged += bytes;
	return true;
}

/* Pays for the body up to this length at least; or refuses. */
static bool
pay_for(struct conn *conn, size_t length)
{
	struct request *req = conn->req;
	size_t steps, target;

	if (length <= req->body_paid)
		return true;
	steps = (length + CHARGE_STEP - 1) / CHARGE_STEP * CHARGE_STEP;
	target = steps < req->body_size ? steps : req->body_size;
	if (!charge_request(conn, target - req->body_paid))
		return false;
	req->body_paid = target;
	return true;
}

/* The head, and the body's first step: who cannot pay them is not asked to
 * send. */
static bool
pay_first(struct conn *conn)
{
	struct request *req = conn->req;
	size_t first =
	    req->body_size < CHARGE_STEP ? req->body_size : CHARGE_STEP;

	if (!charge_request(conn, req->size + first))
		return false;
	req->body_paid = first;
	return true;
}

/* --- room ----------------------------------------------------------------- */

/* Why a body cannot come in; code 0: nothing is in its way. */
struct hb_http_fault
hb_http_body_obstacle(const struct hb_http_head *head, uint64_t limit)
{
	if (!head->has_length && !head->chunked)
		return (struct hb_http_fault){411, "no-length"};
	if (head->content_length > limit)
		return (struct hb_http_fault){413, "body-too-large"};
	return (struct hb_http_fault){0, NULL};
}

/* False when the request has been refused: a size that the peer chooses must
 * not be the end of us where memory is not overcommitted. */
static bool
set_room(struct conn *conn, size_t size)
{
	struct request *req = conn->req;
	/* A body of no bytes has an address too: handlers need not care. */
	char *body = realloc(req->pub.body, size > 0 ? size : 1);

	if (body == NULL) {
		hb_http_conn_refuse(conn, 503, "memory");
		return false;
	}
	req->pub.body = body;
	req->body_size = size;
	return true;
}

/* A chunked body grows; the decoder keeps it within its limit. */
static bool
make_room(struct conn *conn, size_t need)
{
	const struct request *req = conn->req;
	size_t size = req->body_size;

	if (need <= size)
		return true;
	while (size < need)
		size *= 2;
	return set_room(conn, size < req->limit ? size : (size_t)req->limit);
}

/* For all of an announced body, for the beginning of a chunked one. */
static bool
make_first_room(struct conn *conn)
{
	struct request *req = conn->req;

	if (!req->pub.head.chunked)
		return set_room(conn, (size_t)req->pub.head.content_length);
	hb_http_chunks_init(&req->chunks, req->limit);
	return set_room(conn,
	    CHUNKED_FIRST < req->limit ? CHUNKED_FIRST : (size_t)req->limit);
}

/* --- arriving ------------------------------------------------------------- */

/* The body is there: from now on the request is the handler's. */
static void
deliver(struct conn *conn)
{
	struct request *req = conn->req;
	struct hb_http_server *server = conn->server;

	req->delivered = true;
	req->pub.body_us = hb_clock_mono_us();
	conn->state = CONN_HANDLER;
	hb_ring_remove(&conn->upload);
	server->refs++;
	server->handler->on_body(server->arg, &req->pub);
}

/* n bytes have come to those that were there. */
static void
grow(struct conn *conn, size_t n)
{
	struct request *req = conn->req;
	struct hb_http_request *pub = &req->pub;
	const struct hb_http_handler *handler = conn->server->handler;

	pub->body_len += n;
	if (handler->on_data != NULL)
		handler->on_data(
		    conn->server->arg, pub, pub->body + pub->body_len - n, n);
	if (conn->req == req && !pub->head.chunked &&
	    pub->body_len == pub->head.content_length)
		deliver(conn);
}

/* A piece of the body that stands somewhere else. */
static void
append(struct conn *conn, struct hb_span piece)
{
	struct request *req = conn->req;
	size_t len = req->pub.body_len;

	if (!make_room(conn, len + piece.len) ||
	    !pay_for(conn, len + piece.len))
		return;
	memcpy(req->pub.body + len, piece.ptr, piece.len);
	grow(conn, piece.len);
}

static void
take_chunks(struct conn *conn)
{
	struct hb_http_fault fault;
	struct hb_span piece;
	enum hb_parse found;
	size_t used;

	found = hb_http_chunks_feed(
	    &conn->req->chunks, conn->input, &used, &piece, &fault);
	conn->input = hb_span_skip(conn->input, used);
	if (found == HB_PARSE_BAD)
		hb_http_conn_refuse_malformed(conn, &fault);
	else if (found == HB_PARSE_DONE)
		deliver(conn);
	else if (piece.len > 0)
		append(conn, piece);
}

void
hb_http_body_take(struct conn *conn)
{
	const struct hb_http_request *pub = &conn->req->pub;
	struct hb_span piece = conn->input;
	uint64_t rest;

	if (pub->head.chunked) {
		take_chunks(conn);
		return;
	}
	rest = pub->head.content_length - pub->body_len;
	if (piece.len > rest)
		piece.len = (size_t)rest;
	conn->input = hb_span_skip(conn->input, piece.len);
	append(conn, piece);
}

void
hb_http_body_read(struct conn *conn)
{
	for (int i = 0; i < READS_MAX && conn->state == CONN_BODY; i++) {
		struct hb_http_request *pub = &conn->req->pub;
		size_t room;
		ssize_t n;

		if (!pay_for(conn, pub->body_len + 1))
			return;
		room = conn->req->body_paid - pub->body_len;
		n = hb_stream_read(
		    conn->stream, pub->body + pub->body_len, room);
		if (n == HB_STREAM_AGAIN)
			return;
		if (n <= 0) {
			hb_http_conn_kill(conn);
			return;
		}
		grow(conn, (size_t)n);
		if ((size_t)n < room) /* that was all; if not, we hear of it */
			return;
	}
}

/* --- beginning ------------------------------------------------------------ */

/* The sender waits for a word before it sends the body. */
static bool
say_continue(struct conn *conn)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec iov = {(void *)(uintptr_t)text, sizeof(text) - 1};

	return hb_stream_writev(conn->stream, &iov, 1) == (ssize_t)iov.iov_len;
}

/* What stands against this request's body. */
static struct hb_http_fault
obstacle_of(const struct request *req)
{
	const struct hb_http_head *head = &req->pub.head;

	if (req->optional && !head->has_length && !head->chunked)
		return (struct hb_http_fault){0, NULL};
	return hb_http_body_obstacle(head, req->limit);
}

void
hb_http_body_begin(struct conn *conn)
{
	struct request *req = conn->req;
	const struct hb_http_head *head = &req->pub.head;
	struct hb_http_fault fault = obstacle_of(req);

	if (fault.code != 0) {
		hb_http_conn_refuse(conn, fault.code, fault.reason);
		return;
	}
	if (!make_first_room(conn) || !pay_first(conn))
		return;
	if (!head->chunked && head->content_length == 0) {
		deliver(conn);
		return;
	}
	conn->state = CONN_BODY;
	hb_ring_add(&conn->server->uploads, &conn->upload);
	if (head->expect_continue && conn->input.len == 0 &&
	    !say_continue(conn))
		hb_http_conn_kill(conn);
}

/* --- pace ----------------------------------------------------------------- */

bool
hb_http_body_is_late(struct request *req)
{
	const struct hb_http_server *server = req->server;
	uint64_t looks = ++req->pace_count;
	uint64_t *oldest = &req->paces[looks % HB_HTTP_PACES];
	uint64_t span = looks < HB_HTTP_PACES ? looks : HB_HTTP_PACES;
	uint64_t came = req->pub.body_len - *oldest;

	*oldest = req->pub.body_len;
	return looks * server->pace_ms >= server->conf.body_timeout_ms &&
	       came * 1000 < server->conf.body_rate * span * server->pace_ms;
}
