/* SPDX-License-Identifier: Apache-2.0 */
/* http_site.h - a real server on loopback, and clients that misbehave
 *
 * Everything runs in one thread: a client that waits turns the server's loop.
 * What the handler does is chosen by the path:
 *   /echo      lets the body in, vouches for the peer, answers 200 with the
 *              body's length
 *   /hold      lets the body in, keeps the request until site_release()
 *   /now/CODE  answers CODE from the head on
 *   /soon/401  lets the body in, answers at its first piece
 *   /vast      lets any body in
 *   /big       like /echo, with a reply that fills any socket
 *   /pieces    lets a body in, or none, and leaves the answer to the test
 * site_close() checks the books: as many requests done as begun, no byte of
 * the budget held, no connection counted. */
#ifndef HB_TESTS_HTTP_SITE_H
#define HB_TESTS_HTTP_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/http/conn.h"
#include "hookbridge/budget.h"
#include "hookbridge/clock.h"
#include "hookbridge/http.h"
#include "hookbridge/loop.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

/* Ends a test that waits for what does not come. */
#define SAFETY_MS 20000
#define MIB ((size_t)1024 * 1024)
#define BIG_REPLY (4 * MIB)
#define BODY_LIMIT (4 * MIB)

/* A body as on_data saw it. */
struct pieces {
	char *data;
	size_t len;
};

struct site {
	struct hb_loop *loop;
	struct hb_http_conf conf;
	struct hb_budget budget, *books; /* the one in use */
	struct hb_http_gate *gate;
	struct hb_http_server *server;
	int listen_fd;
	struct sockaddr_storage addr;
	socklen_t addr_len;

	/* what the handler saw */
	unsigned begun, delivered, done;
	struct hb_http_request *held[64];
	size_t held_count;
	struct hb_http_request *pieces; /* to be answered in pieces */
	unsigned drained, left;         /* of those */
	int last_code;
	bool last_lost;
	char last_reason[32];
	uint64_t last_bytes;
	char last_peer[48];
	struct pieces last; /* of the last body */
};

extern const struct hb_http_handler site_handler;
extern const struct hb_http_conf site_usual; /* small, and never in the way */

void site_open(struct site *site, const struct hb_http_conf *conf);
void site_open_at(struct site *site, const struct hb_http_conf *conf,
    uint64_t memory, sa_family_t family);
/* Whether there is a loopback address of this family. */
bool site_has(sa_family_t family);
/* Frees the server, if the test has not, and replies to what is held. */
void site_close(struct site *site);
/* Answers the request held longest. */
void site_release(struct site *site, int code);
/* Turns the loop until nothing is ready. */
void site_turn(struct site *site);
void site_turn_once(struct site *site);
/* Turns until so many connections are open. */
void site_await_connections(struct site *site, size_t count);
/* The server's side of the connection that was accepted last. */
struct conn *site_newest(struct site *site);
/* One turn of many; fails once that lasts too long. */
void site_wait(struct site *site, uint64_t since_ms, const char *what);
int64_t site_metric(
    enum hb_metric_family family, const char *label, const char *reason);

struct client {
	struct site *site;
	int fd;
	char *in; /* what came and is not taken yet */
	size_t in_len;
	bool eof;
	int code; /* of the last answer */
	char head[1024];
	size_t body_len;
};

struct client client_open(struct site *site);
void client_close(struct client *c);
/* Closes with a reset. */
void client_reset(struct client *c);
void client_send(struct client *c, const char *data, size_t len);
void client_say(struct client *c, const char *text);
/* Byte by byte, each seen by the server alone. */
void client_drip(struct client *c, const char *text, size_t len);
/* Takes what has come; false when there was nothing. */
bool client_pull(struct client *c);
/* Waits for an answer, and for this one. */
void client_expect(struct client *c, int code);
void client_expect_to(struct client *c, int code, bool without_body);
/* Nothing but the end comes. */
void client_expect_end(struct client *c);
void client_expect_silence(struct client *c);
/* Whether the last answer's head has this. */
bool client_was_told(const struct client *c, const char *line);

#define CLOSING "\r\nConnection: close\r\n"
#define HOST "Host: test\r\n"
#define POST(path, len) \
	"POST " path " HTTP/1.1\r\n" HOST "Content-Length: " len "\r\n\r\n"
#define CHUNKED(path) \
	"POST " path " HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define EXPECTING(path, len)                                         \
	"POST " path " HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" \
	"Content-Length: " len "\r\n\r\n"

#endif
