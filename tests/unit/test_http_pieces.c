/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_pieces.c - answers in pieces: their form, and those who do not read
 * them or leave */
#include "http_site.h"

#define ASK "GET /pieces HTTP/1.1\r\n" HOST "\r\n"

static const struct hb_http_reply plain = {
	.code = 200, .media_type = "text/plain", .body = { "one", 3 }
};

/* A client whose request waits for the first piece. */
static struct client
ask(struct site *site, const char *request)
{
	struct client c = client_open(site);
	uint64_t since_ms = hb_clock_mono_ms();

	client_say(&c, request);
	while (site->pieces == NULL)
		site_wait(site, since_ms, "the request");
	return c;
}

static void
end(struct site *site)
{
	struct hb_http_request *req = site->pieces;

	site->pieces = NULL;
	hb_http_end(req);
}

/* Everything up to the end; what stands behind the head is compared. */
static void
expect_rest(struct client *c, const char *head, const char *body)
{
	uint64_t since_ms = hb_clock_mono_ms();
	const char *rest;

	while (!c->eof) {
		site_wait(c->site, since_ms, "the end");
		client_pull(c);
	}
	c->in = hb_xrealloc(c->in, c->in_len + 1);
	c->in[c->in_len] = '\0';
	rest = strstr(c->in, "\r\n\r\n");
	assert_non_null(rest);
	assert_string_equal(rest + 4, body);
	assert_non_null(strstr(c->in, head));
	assert_null(strstr(c->in, "Content-Length"));
}

/* --- the form ------------------------------------------------------------- */

struct form {
	const char *request;
	const char *head, *body; /* what is said */
};

static void
test_form(void **state)
{
	static const char chunked[] =
	    "\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
	    "Connection: close\r\n\r\n";
	static const char bare[] =
	    "\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
	static const char pieces[] =
	    "3\r\none\r\n10\r\n sixteen letters\r\n0\r\n\r\n";
	static const struct form cases[] = {
		{ ASK, chunked, pieces },
		{ POST("/pieces", "2") "ab", chunked, pieces },
		{ CHUNKED("/pieces") "2\r\nab\r\n0\r\n\r\n", chunked, pieces },
		{ "GET /pieces HTTP/1.0\r\n\r\n", bare,
		    "one sixteen letters" },
		{ "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		    bare, "one sixteen letters" },
		{ "HEAD /pieces HTTP/1.1\r\n" HOST "\r\n", chunked, "" },
		/* What stands behind it is not served. */
		{ ASK "GET /now/404 HTTP/1.1\r\n" HOST "\r\n", chunked,
		    pieces },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct site site;
		struct client c;

		site_open(&site, &site_usual);
		c = ask(&site, cases[i].request);
		assert_true(hb_http_begin(site.pieces, &plain));
		assert_true(hb_http_piece(site.pieces, HB_SPAN("")));
		assert_true(hb_http_piece(
		    site.pieces, HB_SPAN(" sixteen letters")));
		assert_int_equal(hb_http_backlog(site.pieces), 0);
		assert_int_equal(site.done, 0);
		end(&site);
		assert_int_equal(site.done, 1);
		assert_int_equal(site.last_code, 200);
		assert_false(site.last_lost);
		expect_rest(&c, cases[i].head, cases[i].body);
		client_close(&c);
		assert_int_equal(site.left, 0);
		assert_int_equal(site.drained, 0);
		assert_int_equal(site.begun, 1);
		site_close(&site);
	}
}

/* A request that need not have a body has limits all the same, and one that is
 * answered at once keeps its connection. */
static void
test_optional_body(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_int_equal(site.pieces->body_len, 0);
	hb_http_reply(site.pieces, &plain);
	client_expect(&c, 200);
	assert_true(client_was_told(&c, "\r\nContent-Type: text/plain\r\n"));
	assert_false(client_was_told(&c, CLOSING));
	client_say(&c, POST("/pieces", "4194305"));
	client_expect(&c, 413);
	client_close(&c);
	site.pieces = NULL;
	site_close(&site);
}

static void
test_peer_uid(void **state)
{
	struct site site;
	struct client c;
	uid_t uid = (uid_t)-1;

	(void)state;
	site_open_at(&site, &site_usual, 256 * MIB, AF_UNIX);
	c = ask(&site, ASK);
	assert_true(hb_http_peer_uid(site.pieces, &uid));
	assert_int_equal(uid, geteuid());
	client_close(&c);
	/* Once it is found to be gone, nobody knows who it was. */
	assert_true(hb_http_peer_uid(site.pieces, &uid));
	assert_false(hb_http_begin(site.pieces, &plain));
	assert_false(hb_http_peer_uid(site.pieces, &uid));
	end(&site);
	site_close(&site);

	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_false(hb_http_peer_uid(site.pieces, &uid));
	hb_http_reply(site.pieces, &plain);
	site.pieces = NULL;
	client_close(&c);
	site_close(&site);
}

/* --- who does not read ---------------------------------------------------- */

static char block[64 * 1024];

/* Writes until the socket takes no more, and twice as much again. */
static size_t
fill(struct site *site)
{
	size_t len = 0;

	memset(block, 'x', sizeof(block));
	while (hb_http_backlog(site->pieces) == 0) {
		assert_true(hb_http_piece(
		    site->pieces, hb_span_make(block, sizeof(block))));
		len += sizeof(block);
	}
	for (size_t twice = len; twice > 0; twice -= sizeof(block)) {
		size_t before = hb_http_backlog(site->pieces);

		assert_true(hb_http_piece(
		    site->pieces, hb_span_make(block, sizeof(block))));
		assert_true(hb_http_backlog(site->pieces) >=
		    before + sizeof(block));
		len += sizeof(block);
	}
	return len;
}

/* The letters that came; no two bytes of them are lost or moved. */
static size_t
count_letters(const struct client *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->in_len; i++)
		n += c->in[i] == 'x';
	return n;
}

static void
test_backlog(void **state)
{
	uint64_t since_ms = hb_clock_mono_ms();
	struct site site;
	struct client c;
	size_t len;

	(void)state;
	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	len = fill(&site);
	while (site.drained == 0) {
		site_wait(&site, since_ms, "the backlog to go");
		client_pull(&c);
	}
	assert_int_equal(site.drained, 1);
	/* Once more, and this time it ends with some of it unsent. */
	len += fill(&site);
	end(&site);
	assert_int_equal(site.done, 1);
	while (!c.eof) {
		site_wait(&site, since_ms, "the end");
		client_pull(&c);
	}
	assert_memory_equal(c.in + c.in_len - 7, "\r\n0\r\n\r\n", 7);
	assert_int_equal(count_letters(&c), len + 1); /* of "text" */
	client_close(&c);
	assert_int_equal(site.left, 0);
	site_close(&site);
}

/* Whoever takes nothing for long has left. */
static void
test_stuck(void **state)
{
	uint64_t since_ms = hb_clock_mono_ms();
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	site.server->pieces.timeout_ms = 50;
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	while (hb_clock_mono_ms() - since_ms < 100) /* nothing waits for it */
		site_turn(&site);
	assert_int_equal(site.left, 0);
	fill(&site);
	while (site.left == 0)
		site_wait(&site, since_ms, "the deadline");
	assert_int_equal(site.done, 1);
	assert_true(site.last_lost);
	site_await_connections(&site, 0);
	client_close(&c);
	site_close(&site);
}

/* --- who leaves ----------------------------------------------------------- */

static void
check_leaving(void (*leave)(struct client *c), bool behind)
{
	uint64_t since_ms = hb_clock_mono_ms();
	struct site site;
	struct client c;

	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	if (behind)
		fill(&site);
	leave(&c);
	while (site.left == 0)
		site_wait(&site, since_ms, "the peer to be missed");
	assert_int_equal(site.left, 1);
	assert_int_equal(site.done, 1);
	assert_int_equal(site.last_code, 200);
	assert_true(site.last_lost);
	site_await_connections(&site, 0);
	site_close(&site);
}

static void
test_leaving(void **state)
{
	(void)state;
	check_leaving(client_close, false);
	check_leaving(client_close, true);
	check_leaving(client_reset, false);
	check_leaving(client_reset, true);
}

/* A piece that finds nobody says so itself. */
static void
test_piece_for_nobody(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open_at(&site, &site_usual, 256 * MIB, AF_UNIX);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	close(c.fd); /* and no turn of the loop sees it */
	c.fd = -1;
	assert_false(hb_http_piece(site.pieces, HB_SPAN("more")));
	assert_false(hb_http_piece(site.pieces, HB_SPAN("and more")));
	assert_int_equal(hb_http_backlog(site.pieces), 0);
	assert_int_equal(site.done, 0);
	end(&site);
	assert_int_equal(site.done, 1);
	assert_true(site.last_lost);
	client_close(&c);
	assert_int_equal(site.left, 0);

	/* The same of the first and of the last. */
	c = ask(&site, ASK);
	close(c.fd);
	c.fd = -1;
	assert_false(hb_http_begin(site.pieces, &plain));
	end(&site);
	client_close(&c);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	close(c.fd);
	c.fd = -1;
	end(&site);
	assert_true(site.last_lost);
	client_close(&c);
	assert_int_equal(site.done, 3);
	assert_int_equal(site.left, 0);
	site_close(&site);
}

static void
test_cut(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	hb_http_cut(site.pieces);
	assert_int_equal(site.done, 1);
	assert_true(site.last_lost);
	assert_int_equal(site.left, 0);
	expect_rest(&c, "chunked", "3\r\none\r\n"); /* but no last chunk */
	client_close(&c);
	site_close(&site);
}

/* --- the end of everything ------------------------------------------------ */

static void
test_drain_and_free(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	hb_http_server_drain(site.server);
	assert_true(hb_http_piece(site.pieces, HB_SPAN("two")));
	assert_int_equal(hb_http_server_connections(site.server), 1);
	hb_http_server_free(site.server);
	site.server = NULL;
	assert_int_equal(site.left, 1);
	assert_int_equal(site.done, 1);
	expect_rest(&c, "chunked", "3\r\none\r\n3\r\ntwo\r\n");
	client_close(&c);
	site_close(&site);
}

/* The answer may begin when server and connection are gone. */
static void
test_begin_behind_the_end(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open(&site, &site_usual);
	c = ask(&site, ASK);
	hb_http_server_free(site.server);
	site.server = NULL;
	assert_false(hb_http_begin(site.pieces, &plain));
	end(&site);
	assert_true(site.last_lost);
	assert_int_equal(site.left, 0);
	client_close(&c);
	site_close(&site);
}

/* Where connections run out, the oldest answer in pieces has to go. */
static void
test_crowd(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct client c, others[3];
	struct site site;

	(void)state;
	conf.connections = 4;
	site_open(&site, &conf);
	c = ask(&site, ASK);
	assert_true(hb_http_begin(site.pieces, &plain));
	for (size_t i = 0; i < HB_COUNT(others); i++)
		others[i] = client_open(&site);
	assert_int_equal(site.left, 1);
	expect_rest(&c, "chunked", "3\r\none\r\n");
	client_close(&c);
	for (size_t i = 0; i < HB_COUNT(others); i++)
		client_close(&others[i]);
	site_close(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_optional_body),
		cmocka_unit_test(test_peer_uid),
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_piece_for_nobody),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_drain_and_free),
		cmocka_unit_test(test_begin_behind_the_end),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
