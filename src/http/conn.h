/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - a connection and its request, for conn.c, request.c and body.c */
#ifndef HB_HTTP_CONN_H
#define HB_HTTP_CONN_H

#include "hookbridge/mem.h"
#include "server.h"

enum conn_state {
	CONN_HEAD,    /* waits for a head, or has a part of it */
	CONN_BODY,    /* the body comes in */
	CONN_HANDLER, /* the request is at the handler */
	CONN_PIECES,  /* the handler answers piece by piece */
	CONN_WRITE,   /* the socket does not take all of the answer yet */
	CONN_LINGER,  /* FIN is sent: what still comes is thrown away */
	CONN_DEAD     /* unlinked; freed by whoever holds it busy */
};

struct conn {
	struct hb_http_server *server;
	struct listening *listening;
	struct hb_stream *stream;
	struct ring all, stranger, upload;
	struct hb_deadline deadline;
	struct hb_deadlines *waits; /* where the deadline is set, or NULL */
	struct request *req;	    /* from its head to its answer */
	enum conn_state state;
	bool busy;    /* a function up the stack goes on with it */
	bool closing; /* after the answer */
	uint64_t requests, lingered;

	/* What is not taken yet: in the server's scratch buffer while it is
	 * looked at, else at the front of kept. */
	struct hb_span input;
	size_t searched; /* of input, for the end of a head */
	char *kept;
	size_t kept_size; /* paid for as unverified */

	/* What the socket did not take, in CONN_PIECES and CONN_WRITE. */
	char *out;
	size_t out_len, out_pos;
	size_t out_size; /* of pieces */

	struct in6_addr peer;
	char peer_text[48];
};

struct request {
	struct hb_http_request pub;
	struct hb_http_server *server;
	struct conn *conn; /* NULL once it is gone */
	uint64_t head_len;
	size_t size;	  /* this allocation: paid for together with the body */
	bool accepted;	  /* the handler lets the body in */
	bool optional;	  /* or none */
	bool delivered;	  /* it is the handler's, by on_body */
	bool in_pieces;	  /* so it is answered; what follows is of that */
	bool framed;	  /* in chunks */
	bool mute;	  /* without a body: HEAD */
	bool inside;	  /* a call of the handler's: it needs no callback */
	int code;	  /* of the answer */
	uint64_t limit;	  /* of the body */
	size_t body_size; /* allocated */
	size_t body_paid; /* of it */
	struct hb_http_chunks chunks;
	uint64_t paces[HB_HTTP_PACES]; /* body_len at the last looks */
	uint64_t pace_count;
	struct hb_http_header headers[]; /* and the head's text behind them */
};

/* conn.c */
struct conn *hb_http_conn_of_ring(struct ring *all);
struct conn *hb_http_conn_of_stranger(struct ring *stranger);
void hb_http_conn_new(
    struct listening *listening, int fd, const struct in6_addr *peer);
/* At once, without an answer. */
void hb_http_conn_kill(struct conn *conn);
/* The same, but a request that has not arrived as a whole is answered 503. Not
 * from inside the connection's own calls. */
void hb_http_conn_evict(struct conn *conn, const char *reason);
/* Closes it if it is idle; a request that has reached us is still served. */
void hb_http_conn_drain(struct conn *conn);
/* Does what can be done with the input, one request after the other; then
 * waits for what the state waits for. */
void hb_http_conn_serve(struct conn *conn);
/* The answer is on its way as a whole: the next request, or the end. */
void hb_http_conn_next(struct conn *conn);
/* For the server's deadlines. */
void hb_http_conn_on_head_due(struct hb_deadline *deadline);
void hb_http_conn_on_body_due(struct hb_deadline *deadline);
void hb_http_conn_on_write_due(struct hb_deadline *deadline);
void hb_http_conn_on_close_due(struct hb_deadline *deadline);

/* reply.c */
void hb_http_conn_on_writable(void *arg);
/* The server answers by itself, tells the handler why, and closes. */
void hb_http_conn_refuse(struct conn *conn, int code, const char *reason);
void hb_http_conn_refuse_malformed(
    struct conn *conn, const struct hb_http_fault *fault);

/* pieces.c */
void hb_http_pieces_on_writable(struct conn *conn);

/* request.c */
/* Makes a request of the complete head that the input begins with, and asks
 * the handler about it. */
void hb_http_request_begin(struct conn *conn, size_t head_len);
/* Tells how the request ended and frees it; it has left its connection. */
void hb_http_request_end(
    struct request *req, int code, const char *reason, bool lost);

/* body.c */
struct hb_http_fault hb_http_body_obstacle(
    const struct hb_http_head *head, uint64_t limit);
/* The handler let the body in: makes room, or refuses. */
void hb_http_body_begin(struct conn *conn);
/* Takes what belongs to the body from the input. */
void hb_http_body_take(struct conn *conn);
/* Reads from the socket to where the bytes stay; for announced lengths. */
void hb_http_body_read(struct conn *conn);
/* Whether it comes in too slowly; to be asked once each pace. */
bool hb_http_body_is_late(struct request *req);
/* Takes unverified bytes from the budget, at the expense of the slowest
 * bodies if need be. conn: for whom. */
bool hb_http_charge(struct conn *conn, uint64_t bytes) HB_MUST_CHECK;

#endif
