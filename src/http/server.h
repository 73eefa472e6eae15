/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - what a server and its connections share; one loop */
#ifndef HB_HTTP_SERVER_H
#define HB_HTTP_SERVER_H

#include "gate.h"
#include "hookbridge/deadline.h"
#include "hookbridge/http.h"
#include "hookbridge/loop.h"
#include "hookbridge/metric.h"
#include "hookbridge/stream.h"
#include "parse.h"

#define HB_HTTP_WRITE_MS 10000
/* An answer in pieces may go to somebody who reads it on a screen. */
#define HB_HTTP_PIECES_MS 60000
/* The most that is read at once: most webhooks as a whole, and the most that
 * is kept of what is pipelined behind a request. */
#define HB_HTTP_READ_SIZE ((size_t)16 * 1024)
/* How often a body's rate is looked at, and over how many looks. */
#define HB_HTTP_PACE_MS 1000
#define HB_HTTP_PACES 10

struct conn;

/* A doubly linked ring of connections. */
struct ring {
	struct ring *next, *prev; /* NULL: in none */
};
void hb_ring_init(struct ring *ring);
void hb_ring_add(struct ring *ring, struct ring *entry); /* at the end */
void hb_ring_remove(struct ring *entry);		 /* if it is in one */
static inline bool
hb_ring_is_empty(const struct ring *ring)
{
	return ring->next == ring;
}

/* A socket we accept from. */
struct listening {
	struct listening *next;
	struct hb_http_server *server;
	const char *name;
	struct event *acceptable; /* NULL once we drain */
	struct hb_timer pause;	  /* while it is not polled */
	struct hb_door *door;
	size_t open_here; /* of the door's connections, this server's */
	uint64_t complained_ms;
	struct hb_metric *open, *total; /* of all servers */
	struct hb_metric *refused[HB_GATE_WORDS];
	struct hb_metric *crowded; /* strangers that had to go */
};

struct hb_http_server {
	unsigned refs; /* its own, and one for each request at the handler */
	bool draining;
	struct hb_loop *loop;
	struct hb_http_conf conf;
	struct hb_http_limits limits;
	struct hb_http_gate *gate;
	const struct hb_http_handler *handler;
	void *arg;
	struct listening *listenings;

	struct ring conns;
	/* Those that nobody has vouched for; the oldest comes first. */
	struct ring strangers;
	struct ring uploads;	   /* those whose unverified body comes in */
	_Atomic size_t conn_count; /* read by other threads */

	/* By when a connection must have moved on. */
	struct hb_deadlines idle, head, body, pieces, write, linger;
	uint64_t pace_ms; /* the body's */

	/* Bytes are read here first; a connection keeps only what it needs. */
	char scratch[HB_HTTP_READ_SIZE];

	char date[40]; /* the Date field of this second */
	int64_t date_s;
};

/* server.c */
void hb_http_server_unref(struct hb_http_server *server);

/* answer.c: writes an answer's head, returns its length. connection: the value
 * of that field, or NULL. */
#define HB_HTTP_ANSWER_MAX 512
enum hb_http_framing {
	HB_HTTP_BY_LENGTH,
	HB_HTTP_CHUNKED,
	HB_HTTP_UNTIL_CLOSE
};
size_t hb_http_answer_head(struct hb_http_server *server,
    const struct hb_http_reply *reply, enum hb_http_framing framing,
    const char *connection, char out[HB_HTTP_ANSWER_MAX]);
/* The server's own answers: 4xx and 5xx, closing. */
struct hb_http_reply hb_http_answer_fault(int code);

#endif
