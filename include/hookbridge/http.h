/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - a strict HTTP/1.1 server (RFC 9110, RFC 9112)
 *
 * One stack for the public and the admin listener. It knows no webhooks: a
 * handler is told of each request head, lets the body in or answers, and
 * answers exactly once. Requests of a connection are served one at a time.
 * Thread: a server belongs to one loop; a gate is shared by all of them.
 * Owns: a request belongs to the server until on_body, then to the handler
 * until its hb_http_reply(), which may come after the connection is gone. */
#ifndef HOOKBRIDGE_HTTP_H
#define HOOKBRIDGE_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/types.h>

#include "hookbridge/cfg.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

struct hb_loop;
struct hb_budget;

/* --- request heads: pure, parse.c ----------------------------------------- */

struct hb_http_header {
	struct hb_span name;
	struct hb_span value; /* without white space around it */
};

struct hb_http_head {
	struct hb_span method, target;
	struct hb_span path;  /* target up to '?', as received */
	struct hb_span query; /* after '?', or absent */
	struct hb_http_header *headers;
	size_t header_count;
	bool keep_alive, chunked, has_length, expect_continue;
	bool http10; /* 1.0; everything later speaks 1.1 */
	uint64_t content_length;
};

/* Finds a header by its name, any case. With several of one name the first;
 * *count (may be NULL) is how many there are. */
struct hb_span hb_http_header(const struct hb_http_head *head,
    struct hb_span name, size_t *count);
/* A Content-Type without its parameters. */
struct hb_span hb_http_bare_type(struct hb_span type);

/* --- requests that are there as a whole, without a server: offline.c ------ */

struct hb_arena;
struct hb_http_refusal;

/* Reads a head as a server with these settings reads it, into spans of it and
 * a table in the arena; false and *refusal when the server would answer. */
bool hb_http_head_read(const struct hb_http_conf *conf, struct hb_span text,
    struct hb_arena *arena, struct hb_http_head *head,
    struct hb_http_refusal *refusal) HB_MUST_CHECK;
/* Whether the server would let the body of such a request in where a handler
 * lets in limit bytes. */
bool hb_http_body_may_come(const struct hb_http_conf *conf,
    const struct hb_http_head *head, uint64_t limit,
    struct hb_http_refusal *refusal) HB_MUST_CHECK;

/* --- requests ------------------------------------------------------------- */

struct hb_http_request {
	struct hb_http_head head; /* spans into the request's own memory */
	struct hb_loop *loop;
	const char *listener;
	struct in6_addr peer;     /* IPv4 mapped; all zero on a Unix socket */
	char peer_text[48];       /* "203.0.113.9", "unix" */
	bool peer_local;          /* loopback or Unix socket */
	char *body;               /* malloc'ed; grows while it is read */
	size_t body_len;
	/* Taken from the budget as unverified for this head and body. From
	 * on_body on the handler answers for these bytes: it verifies or gives
	 * them back. */
	uint64_t charged;
	uint64_t head_us, body_us; /* mono: head complete, last body byte */
	void *user;                /* the handler's */
};

struct hb_http_reply {
	int code;
	struct hb_span body;      /* copied */
	const char *media_type;   /* NULL: application/json */
	unsigned retry_after_s;   /* 0: none */
	const char *allow;        /* for 405 */
	const char *challenge;    /* WWW-Authenticate, for 401 */
	bool close;
};

/* What the server itself answers, and why ("bad-header"). */
struct hb_http_refusal {
	struct hb_http_reply reply;
	const char *reason;
};

/* How a request ended: told exactly once for each, malformed ones too. */
struct hb_http_done {
	struct hb_http_request *req; /* NULL when no head could be parsed */
	const char *peer_text;
	int code;           /* 499: the peer left before its body's end */
	const char *reason; /* why http itself answered: "bad-header"; NULL */
	bool lost;          /* the peer was gone when the answer came */
	uint64_t bytes;     /* head and body received */
};

struct hb_http_handler {
	/* Decide: hb_http_accept_body() or hb_http_reply(). */
	void (*on_head)(void *arg, struct hb_http_request *req);
	/* Each piece of the body as it comes, before on_body; may be NULL. A
	 * reply from here ends the request. */
	void (*on_data)(void *arg, struct hb_http_request *req,
	    const char *data, size_t len);
	/* The body is complete. Reply now or later. */
	void (*on_body)(void *arg, struct hb_http_request *req);
	/* Release req->user here, and reply to nothing. req is freed after this
	 * returns. */
	void (*on_done)(void *arg, const struct hb_http_done *done);

	/* Of answers in pieces; NULL where there are none. Neither is called
	 * from inside the functions below. */
	/* The socket has taken all that had to wait. */
	void (*on_drained)(void *arg, struct hb_http_request *req);
	/* The peer is gone, or takes nothing any more: end the answer. */
	void (*on_left)(void *arg, struct hb_http_request *req);
};

/* Lets a body of at most limit bytes in. What stands against it (413, 411, no
 * memory) is answered once on_head has returned. */
void hb_http_accept_body(struct hb_http_request *req, uint64_t limit);
/* The same for a request that need not have a body: one without any length has
 * an empty one (RFC 9112, 6.3). */
void hb_http_accept_optional_body(struct hb_http_request *req, uint64_t limit);
/* Answers and ends the request, on its loop. The answer is sent, then on_done
 * is called, before this returns. */
void hb_http_reply(struct hb_http_request *req,
    const struct hb_http_reply *reply);
/* The handler knows who sent this: when connections run out, it is strangers
 * that have to go. */
void hb_http_vouch(struct hb_http_request *req);
/* The body's memory becomes the caller's, who frees it with free(). */
char *hb_http_take_body(struct hb_http_request *req);
/* Who connected, as the kernel knows it: of Unix sockets only, and while the
 * connection is there. */
bool hb_http_peer_uid(const struct hb_http_request *req, uid_t *uid);

/* --- answers in pieces: pieces.c ------------------------------------------ */

/* For a body whose length is not known yet, or that lasts: begin once, from
 * on_body on, instead of hb_http_reply(); then pieces; then end or cut. The
 * body is chunked, for HTTP/1.0 it lasts until the close; the connection ends
 * with it in any case. What the socket does not take is kept, without a limit:
 * whoever writes looks at the backlog. */

/* reply->body is the first piece. False: the peer is gone. The answer has to be
 * ended all the same. */
bool hb_http_begin(struct hb_http_request *req,
    const struct hb_http_reply *reply);
/* Copied. False as above. */
bool hb_http_piece(struct hb_http_request *req, struct hb_span piece);
/* Bytes that the socket has not taken yet. */
size_t hb_http_backlog(const struct hb_http_request *req);
/* The answer is complete; on_done is called before this returns. */
void hb_http_end(struct hb_http_request *req);
/* It never will be: the connection closes at once, so that the peer can tell.
 * on_done as above, lost. */
void hb_http_cut(struct hb_http_request *req);

/* --- servers -------------------------------------------------------------- */

/* What all servers share: connection counts, the per-address table, the byte
 * budget. */
struct hb_http_gate;
struct hb_http_gate *hb_http_gate_new(const struct hb_http_conf *conf,
    struct hb_budget *budget);
void hb_http_gate_free(struct hb_http_gate *gate);

struct hb_http_server;
struct hb_http_server *hb_http_server_new(struct hb_loop *loop,
    const struct hb_http_conf *conf, struct hb_http_gate *gate,
    const struct hb_http_handler *handler, void *arg);
/* Accepts from a bound, listening, non-blocking socket that other servers may
 * accept from too; the descriptor stays the caller's. name: as configured. */
void hb_http_server_listen(struct hb_http_server *server, int fd,
    const char *name);
/* No new connections; idle ones close; answers say Connection: close. Neither
 * this nor hb_http_server_free() from inside the handler's callbacks. */
void hb_http_server_drain(struct hb_http_server *server);
size_t hb_http_server_connections(const struct hb_http_server *server);
/* Closes what is left; who is still sending a body is told 503. Requests at the
 * handler stay valid for their reply. */
void hb_http_server_free(struct hb_http_server *server);

#endif
