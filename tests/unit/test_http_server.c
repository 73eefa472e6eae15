/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_server.c - requests, answers, pipelining, and how they end */
#include "http_site.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* --- one request ---------------------------------------------------------- */

static void
test_answer_form(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/echo", "5") "hello");
	client_expect(&c, 200);
	assert_int_equal(strncmp(c.head, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
	assert_true(
	    client_was_told(&c, " GMT\r\nContent-Type: application/json\r\n"
				"Content-Length: 13\r\n\r\n"));
	client_say(&c, POST("/now/503", "0"));
	client_expect(&c, 503);
	assert_true(client_was_told(&c, "\r\nRetry-After: 7\r\n"));
	assert_false(
	    client_was_told(&c, CLOSING)); /* nothing of it was left unread */
	client_say(&c, POST("/now/401", "0"));
	client_expect(&c, 401);
	assert_true(client_was_told(&c, "\r\nWWW-Authenticate: Webhook\r\n"));
	client_say(&c, POST("/now/405", "0"));
	client_expect(&c, 405);
	assert_true(client_was_told(&c, "\r\nAllow: POST\r\n"));
	assert_true(client_was_told(&c, CLOSING));
	client_expect_end(&c);
	client_close(&c);
	assert_int_equal(site.done, 4);
	site_close(&site);
}

/* What the server itself makes of strange requests. */
struct strange {
	const char *text;
	int code;
	bool stays;
	const char *reason; /* of the last on_done */
};

static void
check_strange(const struct strange *strange, size_t i, bool drip)
{
	struct site site;
	struct client c;

	site_open(&site, &site_usual);
	c = client_open(&site);
	if (drip)
		client_drip(&c, strange->text, strlen(strange->text));
	else
		client_say(&c, strange->text);
	client_expect(&c, strange->code);
	if (client_was_told(&c, CLOSING) == strange->stays)
		fail_msg("case %zu: closing is wrong", i);
	assert_string_equal(site.last_reason, strange->reason);
	assert_int_equal(site.last_code, strange->code);
	assert_false(site.last_lost);
	assert_true(site.last_bytes > 0);
	if (strange->stays) {
		client_expect_silence(&c);
		client_say(&c, POST("/echo", "1") "x");
		client_expect(&c, 200);
	} else {
		client_expect_end(&c);
	}
	client_close(&c);
	site_close(&site);
}

static void
test_table(void **state)
{
	static const struct strange cases[] = {
	    {POST("/echo", "0"), 200, true, ""},
	    {POST("/echo?x", "2") "ab", 200, true, ""},
	    {CHUNKED("/echo") "5\r\nhello\r\n0\r\nTrailer-Field: x\r\n\r\n",
		200, true, ""},
	    {CHUNKED("/echo") "0\r\n\r\n", 200, true, ""},
	    {"POST http://a/echo HTTP/1.1\r\n" HOST
	     "Content-Length: 1\r\n\r\nx",
		200, true, ""},
	    {"POST /echo HTTP/1.1\r\n" HOST "Connection: keep-alive, close\r\n"
	     "Content-Length: 0\r\n\r\n",
		200, false, ""},
	    {"POST /echo HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n"
	     "Connection: upgrade\r\nContent-Length: 5\r\n\r\nhello",
		200, true, ""},
	    {"POST /echo HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 200, false,
		""},
	    {"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n"
	     "Content-Length: 0\r\n\r\n",
		200, true, ""},
	    {"GET /now/404 HTTP/1.1\r\n" HOST "\r\n", 404, true, ""},
	    {"PATCH /now/405 HTTP/1.1\r\n" HOST "\r\n", 405, false, ""},
	    {"CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", 404, true, ""},
	    /* a body that nobody wants is not taken for a request */
	    {POST("/now/404", "30") "GET /now/200 HTTP/1.1\r\n" HOST "\r\n",
		404, false, ""},
	    {CHUNKED("/now/404") "0\r\n\r\n", 404, false, ""},
	    {"POST /echo HTTP/1.1\r\n" HOST "\r\n", 411, false, "no-length"},
	    {POST("/echo", "4194305"), 413, false, "body-too-large"},
	    {POST("/echo", "9223372036854775807"), 413, false,
		"body-too-large"},
	    {POST("/echo", "9223372036854775808"), 413, false,
		"body-too-large"},
	    {POST("/echo", "99999999999999999999"), 413, false,
		"body-too-large"},
	    {CHUNKED("/echo") "400001\r\n", 413, false, "body-too-large"},
	    {CHUNKED("/echo") "5\r\nhelloXX", 400, false, "bad-chunk"},
	    {POST("/soon/401", "5") "hello", 401, false, ""},
	    {POST("/soon/401", "50") "h", 401, false, ""},
	    {CHUNKED("/soon/401") "1\r\nh", 401, false, ""},
	    {POST("/echo", "5, 5") "hello", 400, false, "bad-content-length"},
	    {"BREW /echo HTTP/1.1\r\n" HOST "\r\n", 501, false,
		"unknown-method"},
	    {"post /echo HTTP/1.1\r\n" HOST "\r\n", 501, false,
		"unknown-method"},
	    {"POST /echo HTTP/2.0\r\n" HOST "\r\n", 505, false,
		"version-not-supported"},
	    {"POST /echo HTTP/1.1\r\n" HOST "Expect: tea\r\n"
	     "Content-Length: 5\r\n\r\n",
		417, false, "unknown-expectation"},
	    {"\x16\x03\x01\x02", 400, false, "bad-request-line"},
	    {"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400, false,
		"no-host"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		check_strange(&cases[i], i, false);
		check_strange(&cases[i], i, true);
	}
}

static void
test_head_method(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, "HEAD /now/404 HTTP/1.1\r\n" HOST "\r\n");
	client_expect_to(&c, 404, true);
	client_expect_silence(&c);
	/* its body would pass for a request: the connection ends */
	client_say(&c,
	    "HEAD /now/404 HTTP/1.1\r\n" HOST "Content-Length: 37\r\n\r\n"
	    "GET /now/200 HTTP/1.1\r\nHost: test\r\n\r\n");
	client_expect_to(&c, 404, true);
	assert_true(client_was_told(&c, CLOSING));
	client_expect_end(&c);
	client_close(&c);
	assert_int_equal(site.begun, 2);
	site_close(&site);
}

static void
test_http10_keep_alive(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n"
		       "Content-Length: 0\r\n\r\n");
	client_expect(&c, 200);
	assert_true(client_was_told(&c, "\r\nConnection: keep-alive\r\n"));
	client_close(&c);
	site_close(&site);
}

/* Each address family has its way to say who the peer is. */
static void
test_peers(void **state)
{
	static const struct {
		sa_family_t family;
		const char *text;
	} cases[] = {
	    {AF_INET, "127.0.0.1"}, {AF_INET6, "::1"}, {AF_UNIX, "unix"}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct site site;
		struct client c;

		if (!site_has(cases[i].family))
			continue; /* no IPv6 here */
		site_open_at(&site, &site_usual, 256 * MIB, cases[i].family);
		c = client_open(&site);
		client_say(&c, POST("/echo", "0"));
		client_expect(&c, 200);
		assert_string_equal(site.last_peer, cases[i].text);
		client_close(&c);
		site_close(&site);
	}
}

static void
test_accepted_socket(void **state)
{
	struct site site;
	struct client c;
	int fd, on = 0, unsent = 0;
	socklen_t len = sizeof(on);

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	fd = hb_stream_fd(site_newest(&site)->stream);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(
	    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_true(on);
	/* twice what was asked for: the kernel counts its own part */
	assert_int_equal(
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &unsent, &len), 0);
	assert_int_equal(unsent, 2 * 64 * 1024);
	client_close(&c);
	site_close(&site);
}

/* --- pieces --------------------------------------------------------------- */

/* Two pipelined requests, cut anywhere in two, and byte by byte. */
static void
test_every_split(void **state)
{
	static const char text[] = POST("/echo", "5") "hello" CHUNKED(
	    "/echo") "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n";
	size_t len = sizeof(text) - 1;
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	for (size_t cut = 0; cut <= len; cut++) {
		client_send(&c, text, cut);
		site_turn(&site);
		client_send(&c, text + cut, len - cut);
		for (int i = 0; i < 2; i++) {
			client_expect(&c, 200);
			assert_int_equal(
			    c.body_len, strlen("{\"length\":5}\n"));
		}
		client_expect_silence(&c);
	}
	client_drip(&c, text, len);
	client_expect(&c, 200);
	client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

static void
test_large_bodies(void **state)
{
	static const size_t sizes[] = {
	    1, 4095, 16 * 1024, 65535, 65536, 65537, MIB, BODY_LIMIT};
	char *data = hb_xmalloc(BODY_LIMIT);
	struct site site;
	struct client c;

	(void)state;
	for (size_t i = 0; i < BODY_LIMIT; i++)
		data[i] = (char)(i * 31 + i / 251);
	site_open(&site, &site_usual);
	c = client_open(&site);
	for (size_t i = 0; i < HB_COUNT(sizes); i++) {
		char head[256];

		snprintf(head, sizeof(head), POST("/echo", "%zu"), sizes[i]);
		client_send(&c, head, strlen(head));
		client_send(&c, data, sizes[i]);
		client_expect(&c, 200);
		assert_int_equal(site.last.len, sizes[i]);
		assert_memory_equal(site.last.data, data, sizes[i]);
		client_say(&c, CHUNKED("/echo"));
		snprintf(head, sizeof(head), "%zx\r\n", sizes[i]);
		client_send(&c, head, strlen(head));
		client_send(&c, data, sizes[i]);
		client_say(&c, "\r\n0\r\n\r\n");
		client_expect(&c, 200);
		assert_int_equal(site.last.len, sizes[i]);
		assert_memory_equal(site.last.data, data, sizes[i]);
	}
	client_close(&c);
	site_close(&site);
	free(data);
}

/* --- pipelining ----------------------------------------------------------- */

static void
test_pipelining(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/hold", "1") "a" POST(
			   "/hold", "1") "b"
					 "GET /now/404 HTTP/1.1\r\n" HOST
					 "\r\n" POST("/echo", "2") "c");
	assert_int_equal(site.begun, 1); /* one at a time */
	client_say(&c, "d");		 /* not even read */
	assert_int_equal(site.begun, 1);
	site_release(&site, 200);
	site_turn(&site);
	assert_int_equal(site.begun, 2);
	client_expect(&c, 200);
	client_expect_silence(&c);
	site_release(&site, 202);
	client_expect(&c, 202);
	client_expect(&c, 404);
	client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

/* More than what one read takes waits in the socket. */
static void
test_pipelined_flood(void **state)
{
	static const char one[] = POST("/echo", "3") "abc";
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/hold", "0"));
	for (int i = 0; i < 500; i++)
		client_send(&c, one, sizeof(one) - 1);
	assert_int_equal(site.begun, 1);
	site_release(&site, 200);
	for (int i = 0; i < 501; i++)
		client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

/* However large a head may be: behind a request that is at the handler, no more
 * than one read is kept, and paid for. */
static void
test_pipelined_bytes(void **state)
{
	enum { FILLER = 100000, FLOOD = 150000 };
	static const char hold[] = "\r\n" HOST "Content-Length: 0\r\n\r\n";
	static const char one[] = POST("/echo", "3") "abc";
	char *flood = hb_xmalloc(FLOOD);
	size_t len, echoes = 0;
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;

	(void)state;
	conf.head_size = MIB;
	site_open(&site, &conf);
	c = client_open(&site);
	/* A head in two parts, the second with its successors. */
	memset(flood, 'x', FILLER);
	for (len = FILLER; len + sizeof(hold) + sizeof(one) < FLOOD;) {
		const char *part = len == FILLER ? hold : one;

		memcpy(flood + len, part, strlen(part));
		len += strlen(part);
		echoes += part == one;
	}
	client_say(&c, "POST /hold HTTP/1.1\r\nX: ");
	client_send(&c, flood, FILLER / 2);
	site_turn(&site);
	assert_int_equal(site.begun, 0);
	client_send(&c, flood + FILLER / 2, len - FILLER / 2);
	site_turn(&site);
	assert_int_equal(site.begun, 1);
	assert_in_range(
	    site_newest(&site)->input.len, 1, HB_HTTP_READ_SIZE);
	assert_int_equal(
	    site.budget.unverified, site_newest(&site)->kept_size);
	site_release(&site, 200);
	for (size_t i = 0; i < 1 + echoes; i++)
		client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
	free(flood);
}

static void
test_requests_per_connection(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;

	(void)state;
	conf.requests_per_connection = 3;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/echo", "0") POST("/echo", "0") POST("/echo", "0")
			   POST("/echo", "0"));
	for (int i = 1; i <= 3; i++) {
		client_expect(&c, 200);
		assert_int_equal(client_was_told(&c, CLOSING), i == 3);
	}
	client_expect_end(&c);
	client_close(&c);
	assert_int_equal(site.begun, 3);
	site_close(&site);
}

/* --- 100-continue --------------------------------------------------------- */

static void
test_continue(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, EXPECTING("/echo", "5"));
	client_expect(&c, 100);
	client_expect_silence(&c);
	client_say(&c, "hello");
	client_expect(&c, 200);
	/* no word where the body has come already, or where there is none */
	client_say(&c, EXPECTING("/echo", "5") "hello");
	client_expect(&c, 200);
	client_say(&c, EXPECTING("/echo", "0"));
	client_expect(&c, 200);
	/* a final answer instead */
	client_say(&c, EXPECTING("/echo", "4194305"));
	client_expect(&c, 413);
	client_expect_end(&c);
	client_close(&c);
	c = client_open(&site);
	client_say(&c, EXPECTING("/now/401", "5"));
	client_expect(&c, 401);
	assert_true(client_was_told(&c, CLOSING));
	client_expect_end(&c);
	client_close(&c);
	site_close(&site);
}

/* --- answers that do not fit ---------------------------------------------- */

static void
test_partial_write(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/big", "0") POST("/hold", "1") "x");
	site_turn(&site);
	assert_int_equal(site.begun, 1); /* the second waits for its turn */
	client_expect(&c, 200);
	assert_int_equal(c.body_len, BIG_REPLY);
	site_turn(&site);
	assert_int_equal(site.begun, 2);
	client_say(&c, POST("/echo", "0"));
	client_expect_silence(&c);
	site_release(&site, 202);
	client_expect(&c, 202);
	client_expect(&c, 200);
	client_close(&c);
	/* and one whose reader goes away in the middle */
	c = client_open(&site);
	client_say(&c, POST("/big", "0"));
	client_reset(&c);
	site_turn(&site);
	assert_int_equal(hb_http_server_connections(site.server), 0);
	site_close(&site);
}

/* --- endings -------------------------------------------------------------- */

static void
test_drain(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client idle, held, partial, sending, reading, fresh;

	(void)state;
	conf.idle_timeout_ms = 2 * SAFETY_MS; /* not what ends anything here */
	site_open(&site, &conf);
	idle = client_open(&site);
	held = client_open(&site);
	partial = client_open(&site);
	fresh = client_open(&site);
	client_say(&held, POST("/hold", "0"));
	client_say(&partial, "POST /echo HTTP/1.1\r\n");
	sending = client_open(&site);
	client_say(&sending, POST("/echo", "3") "a");
	reading = client_open(&site);
	client_say(&reading, POST("/big", "0"));
	/* in the socket, unread: still served */
	send(fresh.fd, POST("/echo", "0"), strlen(POST("/echo", "0")), 0);
	hb_http_server_drain(site.server);
	hb_http_server_drain(site.server);
	client_expect_end(&idle);
	client_expect(&fresh, 200);
	assert_true(client_was_told(&fresh, CLOSING));
	site_release(&site, 200);
	client_expect(&held, 200);
	assert_true(client_was_told(&held, CLOSING));
	client_expect_end(&held);
	client_say(&partial, HOST "Content-Length: 0\r\n\r\n");
	client_expect(&partial, 200);
	assert_true(client_was_told(&partial, CLOSING));
	client_say(&sending, "bc");
	client_expect(&sending, 200);
	assert_true(client_was_told(&sending, CLOSING));
	client_expect(&reading, 200);
	client_expect_end(&reading); /* its head promised nothing */
	client_close(&idle);
	client_close(&sending);
	client_close(&reading);
	client_close(&held);
	client_close(&partial);
	client_close(&fresh);
	site_turn(&site);
	assert_int_equal(hb_http_server_connections(site.server), 0);
	/* a new one waits in the listening socket */
	fresh = client_open(&site);
	client_say(&fresh, POST("/echo", "0"));
	client_expect_silence(&fresh);
	client_close(&fresh);
	site_close(&site);
}

/* Each row: what the client sends before it goes, and what is told. */
static void
test_peer_gone(void **state)
{
	static const struct {
		const char *text;
		unsigned begun;
		int code;
	} cases[] = {
	    {"POST /ec", 0, 0},
	    {POST("/echo", "10") "abc", 1, 499},
	    {CHUNKED("/echo") "5\r\nab", 1, 499},
	    {POST("/echo", "10"), 1, 499},
	};

	(void)state;
	for (size_t i = 0; i < 2 * HB_COUNT(cases); i++) {
		struct site site;
		struct client c;

		site_open(&site, &site_usual);
		c = client_open(&site);
		client_say(&c, cases[i / 2].text);
		if (i % 2 == 0)
			client_close(&c);
		else
			client_reset(&c);
		site_turn(&site);
		assert_int_equal(site.begun, cases[i / 2].begun);
		assert_int_equal(site.done, cases[i / 2].begun);
		assert_int_equal(site.last_code, cases[i / 2].code);
		assert_int_equal(site.delivered, 0);
		site_close(&site);
	}
}

static void
test_reply_to_nobody(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/hold", "3") "abc");
	client_reset(&c);
	site_turn(&site);
	assert_int_equal(site.done, 0);
	site_release(&site, 200);
	assert_int_equal(site.done, 1);
	assert_int_equal(site.last_code, 200);
	assert_true(site.last_lost);
	site_turn(&site);
	assert_int_equal(hb_http_server_connections(site.server), 0);
	site_close(&site);
	/* A peer that only has nothing more to say gets its answer. */
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/hold", "3") "abc");
	shutdown(c.fd, SHUT_WR);
	site_turn(&site);
	site_release(&site, 200);
	assert_false(site.last_lost);
	client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

static void
test_free_with_requests(void **state)
{
	struct site site;
	struct client held[2], sending, idle;

	(void)state;
	site_open(&site, &site_usual);
	for (int i = 0; i < 2; i++) {
		held[i] = client_open(&site);
		client_say(&held[i], POST("/hold", "3") "abc");
	}
	sending = client_open(&site);
	client_say(&sending, POST("/echo", "9") "abc");
	idle = client_open(&site);
	hb_http_server_free(site.server);
	site.server = NULL;
	assert_int_equal(site.done, 1); /* the one whose body was coming */
	assert_int_equal(site.last_code, 503);
	assert_string_equal(site.last_reason, "stopping");
	client_expect(&sending, 503);
	assert_true(client_was_told(&sending, "\r\nRetry-After: "));
	assert_true(client_was_told(&sending, CLOSING));
	assert_memory_equal(site.held[0]->body, "abc", 3);
	site_release(&site, 200);
	assert_true(site.last_lost);
	site_release(&site, 200);
	assert_int_equal(site.done, 3);
	client_expect_end(&idle);
	client_close(&held[0]);
	client_close(&held[1]);
	client_close(&sending);
	client_close(&idle);
	site_close(&site);
}

static void
test_taken_body(void **state)
{
	struct site site;
	struct client c;
	char *body;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/hold", "3") "abc");
	body = hb_http_take_body(site.held[0]);
	site_release(&site, 200);
	client_expect(&c, 200);
	assert_memory_equal(body, "abc", 3);
	free(body);
	client_close(&c);
	site_close(&site);
}

static void
test_malformed_is_counted(void **state)
{
	struct site site;
	struct client c;
	int64_t before = site_metric(HB_M_HTTP_MALFORMED, "no-host", NULL);

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, "GET / HTTP/1.1\r\n\r\n");
	client_expect(&c, 400);
	assert_int_equal(
	    site_metric(HB_M_HTTP_MALFORMED, "no-host", NULL), before + 1);
	assert_int_equal(site.last_bytes, 18);
	client_close(&c);
	site_close(&site);
}

/* --- sharing a socket ----------------------------------------------------- */

/* The first of two servers is always asked first, and still it takes no more
 * than its share. */
static void
test_fair_share(void **state)
{
	struct site first, second;
	struct client c[80];
	size_t open[2];

	(void)state;
	site_open(&first, &site_usual);
	second = (struct site){.books = &first.budget};
	second.loop = hb_loop_new("second", NULL);
	second.server = hb_http_server_new(
	    second.loop, &site_usual, first.gate, &site_handler, &second);
	hb_http_server_listen(second.server, first.listen_fd, "test");
	for (size_t i = 0; i < HB_COUNT(c); i++) {
		c[i] = (struct client){.site = &first, .fd = -1};
		c[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
		    connect(c[i].fd, (struct sockaddr *)&first.addr,
			first.addr_len),
		    0);
		do {
			site_turn_once(&first);
			site_turn_once(&second);
			open[0] = hb_http_server_connections(first.server);
			open[1] = hb_http_server_connections(second.server);
		} while (open[0] + open[1] <= i);
	}
	assert_true(open[0] >= HB_COUNT(c) * 2 / 5);
	assert_true(open[1] >= HB_COUNT(c) * 2 / 5);
	for (size_t i = 0; i < HB_COUNT(c); i++)
		client_close(&c[i]);
	hb_http_server_free(second.server);
	hb_loop_free(second.loop);
	site_close(&first);
}

/* --- two workers ---------------------------------------------------------- */

struct worker {
	struct site site; /* what its handler sees */
	struct hb_task stop;
};

static void
on_stop(struct hb_task *task)
{
	struct worker *w = hb_container_of(task, struct worker, stop);

	hb_http_server_free(w->site.server);
	hb_loop_stop(w->site.loop);
}

/* 64 connections, some requests on each, from this thread. */
static void
drive(const struct sockaddr_storage *addr, socklen_t len)
{
	int fds[64];
	char buf[1024];

	for (size_t i = 0; i < HB_COUNT(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
		    connect(fds[i], (const struct sockaddr *)addr, len), 0);
	}
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < HB_COUNT(fds); i++)
			assert_true(send(fds[i], POST("/echo", "3") "abc",
					strlen(POST("/echo", "3")) + 3,
					MSG_NOSIGNAL) > 0);
		for (size_t i = 0; i < HB_COUNT(fds); i++) {
			assert_true(recv(fds[i], buf, sizeof(buf), 0) > 0);
			assert_memory_equal(buf, "HTTP/1.1 200", 12);
		}
	}
	for (size_t i = 0; i < HB_COUNT(fds); i++)
		close(fds[i]);
}

static void
test_two_workers(void **state)
{
	struct site shared;
	struct worker workers[2];

	(void)state;
	site_open(&shared, &site_usual);
	hb_http_server_free(shared.server); /* only the socket and the gate */
	shared.server = NULL;
	for (int i = 0; i < 2; i++) {
		struct site *site = &workers[i].site;

		*site = (struct site){.books = &shared.budget};
		site->loop = hb_loop_new("worker", NULL);
		site->server = hb_http_server_new(
		    site->loop, &site_usual, shared.gate, &site_handler, site);
		hb_http_server_listen(site->server, shared.listen_fd, "test");
		workers[i].stop = (struct hb_task){.run = on_stop};
		assert_true(hb_loop_start(site->loop, NULL));
	}
	drive(&shared.addr, shared.addr_len);
	for (int i = 0; i < 2; i++) {
		struct site *site = &workers[i].site;

		hb_loop_post(site->loop, &workers[i].stop);
		hb_loop_join(site->loop);
		print_message("# worker %d: %u requests\n", i, site->begun);
		assert_int_equal(site->begun, site->done);
		hb_loop_free(site->loop);
		free(site->last.data);
	}
	assert_int_equal(workers[0].site.begun + workers[1].site.begun, 640);
	site_close(&shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answer_form),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_head_method),
	    cmocka_unit_test(test_http10_keep_alive),
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_accepted_socket),
	    cmocka_unit_test(test_every_split),
	    cmocka_unit_test(test_large_bodies),
	    cmocka_unit_test(test_pipelining),
	    cmocka_unit_test(test_pipelined_flood),
	    cmocka_unit_test(test_pipelined_bytes),
	    cmocka_unit_test(test_requests_per_connection),
	    cmocka_unit_test(test_continue),
	    cmocka_unit_test(test_partial_write),
	    cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_peer_gone),
	    cmocka_unit_test(test_reply_to_nobody),
	    cmocka_unit_test(test_free_with_requests),
	    cmocka_unit_test(test_taken_body),
	    cmocka_unit_test(test_malformed_is_counted),
	    cmocka_unit_test(test_fair_share),
	    cmocka_unit_test(test_two_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
