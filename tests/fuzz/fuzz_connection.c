/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_connection.c - a whole connection: the real server on a socket pair
 *
 * The input is a byte of options, the cuts, and what a client sends. It is sent
 * twice, each time over a connection of its own: at once, and in the pieces of
 * the cuts. Handler and client must see the same both times, each request is
 * told of exactly once, the client has an answer for each, and in the end
 * nothing is left of the connection.
 *
 * A request whose body was accepted is shown to evhttp and http-parser
 * (oracles.h): one of them at least has to see the same body, and the next
 * request where we see it. We may be stricter than both, never laxer.
 *
 * What the handler does is chosen by the path: /now answers from the head on,
 * /soon at the first piece of a body, /hold when all has been sent; any other
 * at once. Methods are dealt with as the intake does: POST or 405. */
#include <event2/event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/http/conn.h"
#include "fuzz.h"
#include "hookbridge/budget.h"
#include "hookbridge/clock.h"
#include "oracles.h"

#define BODY_MAX 2048
#define NOTES_MAX 65536

/* Options. */
enum { HALF_CLOSE = 1 };

static const struct hb_http_conf conf = {
    .head_size = 1024,
    .headers = 8,
    .target_size = 64,
    .body_size = BODY_MAX,
    .head_timeout_ms = 3600000,
    .body_timeout_ms = 3600000,
    .body_rate = 1,
    .idle_timeout_ms = 3600000,
    .linger_timeout_ms = 3600000,
    .connections = 10,
    .connections_per_address = 10,
    .requests_per_connection = 20,
};

/* One sending of the input. */
struct session {
	struct hb_span sent; /* of the input */
	int client;
	/* Where in the input the request that is being served begins, its body
	 * begins, and it ends. */
	size_t begin, body, end;
	unsigned begun, done;
	struct hb_http_request *held;
	bool asks; /* the oracles */

	int codes[64]; /* as told to the handler, but for those of lost ones */
	size_t code_count;

	/* What the handler saw, and what the client was sent. */
	size_t notes_len, answers_len;
	char notes[NOTES_MAX], answers[NOTES_MAX];
};

static struct hb_loop *loop;
static struct hb_budget budget;
static struct hb_http_gate *gate;
static struct hb_http_server *server;
static struct session *now; /* the one that is going on */

/* --- notes ---------------------------------------------------------------- */

static void
note(struct hb_span s)
{
	fuzz_require(s.len < sizeof(now->notes) - now->notes_len);
	if (s.len > 0)
		memcpy(now->notes + now->notes_len, s.ptr, s.len);
	now->notes_len += s.len;
	now->notes[now->notes_len++] = '\n';
}

/* How much of what was sent the connection has taken. */
static size_t
taken(const struct hb_http_request *pub)
{
	const struct request *req =
	    hb_container_of(pub, const struct request, pub);
	int unread = 0;

	fuzz_require(
	    ioctl(hb_stream_fd(req->conn->stream), FIONREAD, &unread) == 0);
	return now->sent.len - (size_t)unread - req->conn->input.len;
}

/* --- the oracles ---------------------------------------------------------- */

/* Both speak to us, and of the same: or else they would prove nothing. */
static void
require_oracles(void)
{
	struct hb_span request = HB_SPAN("POST / HTTP/1.1\r\nHost: h\r\n"
					 "Content-Length: 5\r\n\r\nhello");

	fuzz_require(
	    oracles_ask(request, HB_SPAN("hello")) == (HTTP_PARSER | EVHTTP));
	fuzz_require(oracles_ask(request, HB_SPAN("world")) == 0);
}

/* Where a chunked body's trailers begin, or its last line. */
static size_t
trailers_of(struct hb_span request, size_t head_len)
{
	struct hb_http_chunks chunks;
	size_t at = head_len;

	hb_http_chunks_init(&chunks, BODY_MAX);
	for (; at < request.len; at++) {
		struct hb_http_fault fault;
		struct hb_span piece;
		size_t used;

		hb_http_chunks_feed(&chunks, hb_span_make(request.ptr + at, 1),
		    &used, &piece, &fault);
		if (chunks.trailer_len > 0)
			break;
	}
	return at;
}

/* A header whose name only begins so is for http-parser this one, next to which
 * it wants no length. */
static void
rename_lookalikes(char *head, size_t len)
{
	static const struct hb_span name = {"Transfer-Encoding", 17};

	for (size_t i = 1; i + name.len < len; i++)
		if (head[i - 1] == '\n' && head[i + name.len] != ':' &&
		    hb_span_eq_nocase(hb_span_make(head + i, name.len), name))
			head[i] = 'X';
}

/* A request without what the oracles are too strict about: trailers, which
 * http-parser takes for headers, tabs around values, and what it takes for
 * Transfer-Encoding. For free(). */
static struct hb_span
simplify(struct hb_span request, size_t head_len, bool chunked)
{
	char *text = hb_xmalloc(request.len);
	size_t len = request.len;

	memcpy(text, request.ptr, request.len);
	for (size_t i = 0; i < head_len; i++)
		if (text[i] == '\t')
			text[i] = ' ';
	rename_lookalikes(text, head_len);
	if (chunked) {
		len = trailers_of(request, head_len);
		memcpy(text + len, "\r\n", 2);
		len += 2;
	}
	return hb_span_make(text, len);
}

/* Of the two, http-parser is good at lengths: it alone is believed where one is
 * announced. */
static bool
is_seen_so(struct hb_span request, struct hb_span body, bool chunked)
{
	unsigned who = oracles_ask(request, body);

	return (who & HTTP_PARSER) != 0 || (chunked && who != 0);
}

static bool
is_agreed(struct hb_span body, bool chunked)
{
	struct hb_span request =
	    hb_span_make(now->sent.ptr + now->begin, now->end - now->begin);
	struct hb_span simple;
	bool so;

	if (is_seen_so(request, body, chunked))
		return true;
	simple = simplify(request, now->body - now->begin, chunked);
	so = is_seen_so(simple, body, chunked);
	free((char *)(uintptr_t)simple.ptr);
	return so;
}

/* --- the handler ---------------------------------------------------------- */

static void
reply(struct hb_http_request *req, int code)
{
	struct hb_http_reply r = {.code = code,
	    .body = HB_SPAN("{}"),
	    .allow = code == 405 ? "POST" : NULL,
	    .close = code == 405};

	hb_http_reply(req, &r);
}

static void
on_head(void *arg, struct hb_http_request *req)
{
	const struct hb_http_head *head = &req->head;

	(void)arg;
	now->begun++;
	now->begin = now->end;
	now->body = now->end = taken(req);
	fuzz_require(now->end > now->begin);
	note(head->method);
	note(head->target);
	for (size_t i = 0; i < head->header_count; i++) {
		note(head->headers[i].name);
		note(head->headers[i].value);
	}
	if (!hb_span_eq(head->method, HB_SPAN("POST")))
		reply(req, 405);
	else if (hb_span_eq(head->path, HB_SPAN("/now")))
		reply(req, 404);
	else
		hb_http_accept_body(req, BODY_MAX);
}

static void
on_data(void *arg, struct hb_http_request *req, const char *data, size_t len)
{
	(void)arg;
	fuzz_require(len > 0);
	fuzz_require(data + len == req->body + req->body_len);
	if (hb_span_eq(req->head.path, HB_SPAN("/soon")))
		reply(req, 401);
}

static void
on_body(void *arg, struct hb_http_request *req)
{
	struct hb_span body = hb_span_make(req->body, req->body_len);

	(void)arg;
	fuzz_require(body.len <= BODY_MAX && req->charged >= body.len);
	fuzz_require(req->head.chunked || body.len == req->head.content_length);
	hb_budget_give_unverified(&budget, req->charged);
	now->end = taken(req);
	note(body);
	if (now->asks && !is_agreed(body, req->head.chunked))
		hb_bug("accepted by nobody else: %.*s",
		    (int)(now->end - now->begin), now->sent.ptr + now->begin);
	if (hb_span_eq(req->head.path, HB_SPAN("/hold")))
		now->held = req;
	else
		reply(req, 200);
}

static void
on_done(void *arg, const struct hb_http_done *done)
{
	char text[64];

	(void)arg;
	now->done += done->req != NULL;
	fuzz_require(now->done == now->begun);
	snprintf(text, sizeof(text), "%d %s", done->code,
	    done->reason != NULL ? done->reason : "");
	note(hb_span_of(text));
	if (done->code == 499)
		return;
	fuzz_require(now->code_count < HB_COUNT(now->codes));
	now->codes[now->code_count++] = done->code;
}

static const struct hb_http_handler handler = {
    .on_head = on_head,
    .on_data = on_data,
    .on_body = on_body,
    .on_done = on_done,
};

/* --- the server ----------------------------------------------------------- */

/* A Unix socket with an address of the kernel's choice. Nobody connects to it:
 * what counts is that connections seem to come from it. */
static int
listen_somewhere(void)
{
	const struct sockaddr address = {.sa_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	fuzz_require(fd >= 0);
	fuzz_require(bind(fd, &address, sizeof(address.sa_family)) == 0);
	fuzz_require(listen(fd, 1) == 0);
	return fd;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	hb_clock_freeze(1000000, INT64_C(1767225600000));
	loop = hb_loop_new("fuzz", NULL);
	fuzz_require(loop != NULL);
	hb_budget_init(&budget, 1 << 24);
	gate = hb_http_gate_new(&conf, &budget);
	server = hb_http_server_new(loop, &conf, gate, &handler, NULL);
	hb_http_server_listen(server, listen_somewhere(), "fuzz");
	require_oracles();
	return 0;
}

/* Until nothing is ready: what comes at once is read at once. */
static void
turn(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(hb_loop_base(loop), EVLOOP_NONBLOCK);
}

/* --- the client ----------------------------------------------------------- */

static void
connect_client(struct session *s)
{
	static const struct in6_addr nobody = IN6ADDR_ANY_INIT;
	int pair[2];

	fuzz_require(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		pair) == 0);
	fuzz_require(hb_http_gate_enter(gate, &nobody) == HB_GATE_OPEN);
	hb_http_conn_new(server->listenings, pair[0], &nobody);
	s->client = pair[1];
}

/* Takes what has been answered. */
static void
receive(struct session *s)
{
	ssize_t n;

	do {
		n = recv(s->client, s->answers + s->answers_len,
		    sizeof(s->answers) - s->answers_len, 0);
		if (n > 0)
			s->answers_len += (size_t)n;
		fuzz_require(s->answers_len < sizeof(s->answers));
	} while (n > 0);
}

static void
send_input(struct session *s, struct hb_span input, struct fuzz_cuts cuts)
{
	const char *start = input.ptr;

	while (input.len > 0) {
		struct hb_span piece = fuzz_piece(&cuts, &input);
		ssize_t n = send(s->client, piece.ptr, piece.len, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the server has had enough */
		fuzz_require(n == (ssize_t)piece.len);
		s->sent = hb_span_make(start, s->sent.len + piece.len);
		turn();
		receive(s);
	}
}

/* Replies to what is held, and then to what was waiting behind it. */
static void
release(struct session *s)
{
	while (s->held != NULL) {
		struct hb_http_request *req = s->held;

		s->held = NULL;
		reply(req, 200);
		turn();
		receive(s);
	}
}

static void
run(struct session *s, struct hb_span input, unsigned options,
    struct fuzz_cuts cuts)
{
	now = s;
	connect_client(s);
	send_input(s, input, cuts);
	release(s);
	if (options & HALF_CLOSE) {
		shutdown(s->client, SHUT_WR);
		turn();
		receive(s);
	}
	close(s->client);
	turn();
	fuzz_require(hb_http_server_connections(server) == 0);
	fuzz_require(s->begun == s->done);
	fuzz_require(budget.used == 0 && budget.unverified == 0);
}

/* --- what must hold ------------------------------------------------------- */

/* Takes the answers apart: none but those that were told, in their order, and
 * some that ask to continue, which depend on how the input came: those are
 * removed. */
static void
require_answers(struct session *s)
{
	static const struct hb_span go_on = {
	    "HTTP/1.1 100 Continue\r\n\r\n", 25};
	char *out = s->answers;
	struct hb_span rest = hb_span_make(s->answers, s->answers_len);
	size_t count = 0;

	while (rest.len > 0) {
		int code, length, used = 0;
		const char *end, *field;

		if (hb_span_starts(rest, go_on)) {
			rest = hb_span_skip(rest, go_on.len);
			continue;
		}
		fuzz_require(count < s->code_count);
		fuzz_require(sscanf(rest.ptr, "HTTP/1.1 %3d ", &code) == 1);
		fuzz_require(code == s->codes[count++]);
		end = memmem(rest.ptr, rest.len, "\r\n\r\n", 4);
		field = memmem(rest.ptr, rest.len, "\r\nContent-Length: ", 18);
		fuzz_require(end != NULL && field != NULL && field < end);
		length = atoi(field + 18);
		used = (int)(end - rest.ptr) + 4;
		/* Of HEAD only the head is answered, and then no more. */
		if ((size_t)(used + length) > rest.len)
			length = 0;
		memmove(out, rest.ptr, (size_t)(used + length));
		out += used + length;
		rest = hb_span_skip(rest, (size_t)(used + length));
	}
	fuzz_require(count == s->code_count);
	s->answers_len = (size_t)(out - s->answers);
}

static struct session *
session_new(void)
{
	struct session *s = hb_xmalloc(sizeof(*s));

	/* All but the large arrays, of which only what is written is read. */
	memset(s, 0, offsetof(struct session, notes));
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_cuts whole = {.count = 0};
	struct hb_span in = fuzz_input(data, size);
	unsigned options = fuzz_byte(&in);
	struct fuzz_cuts cuts = fuzz_cuts(&in);
	struct session *a = session_new(), *b = session_new();

	a->asks = true;
	run(a, in, options, whole);
	run(b, in, options, cuts);
	require_answers(a);
	require_answers(b);
	fuzz_require(hb_span_eq(hb_span_make(a->notes, a->notes_len),
	    hb_span_make(b->notes, b->notes_len)));
	fuzz_require(hb_span_eq(hb_span_make(a->answers, a->answers_len),
	    hb_span_make(b->answers, b->answers_len)));
	free(a);
	free(b);
	return 0;
}
