/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_limits.c - deadlines, counts, memory and descriptors that run out
 */
#include "http_site.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>

/* A size that no machine has is refused by malloc(), as it would be without a
 * sanitizer. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* --- deadlines ------------------------------------------------------------ */

/* Sends a byte now and then until something comes. */
static void
trickle(struct client *c)
{
	for (int i = 0; i < 200 && !c->eof && c->in_len == 0; i++) {
		client_say(c, "P");
		usleep(10000);
		client_pull(c);
	}
}

static void
test_head_timeout(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client silent, slow;

	(void)state;
	conf.head_timeout_ms = 100;
	site_open(&site, &conf);
	silent = client_open(&site);
	slow = client_open(&site);
	client_say(&slow, "POST /echo HT");
	client_expect_end(&silent);
	client_expect(&slow, 408);
	client_expect_end(&slow);
	assert_string_equal(site.last_reason, "head-timeout");
	assert_int_equal(site.last_bytes, 13);
	client_close(&silent);
	client_close(&slow);
	/* bytes now and then do not help, in the first head or a later one */
	slow = client_open(&site);
	usleep(60000); /* the first is due when it was accepted, not begun */
	trickle(&slow);
	client_expect(&slow, 408);
	assert_in_range(site.last_bytes, 1, 10);
	client_close(&slow);
	slow = client_open(&site);
	client_say(&slow, POST("/echo", "0") "P");
	client_expect(&slow, 200);
	trickle(&slow);
	client_expect(&slow, 408);
	client_close(&slow);
	site_close(&site);
}

/* What drips in is read to where it stays: nothing is moved for each byte, or
 * a large head would cost its square. */
static void
test_dripping_head(void **state)
{
	static const char begin[] = "POST /echo HTTP/1.1\r\n" HOST "X: ";
	struct site site;
	struct client c;
	size_t moves = 0;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, begin);
	for (int i = 0; i < 3000; i++) {
		char *scratch = site.server->scratch;

		memset(scratch, 'S', 64);
		client_send(&c, "x", 1);
		moves += scratch[0] != 'S';
	}
	site_turn(&site);
	assert_int_equal(moves, 0);
	assert_int_equal(
	    site_newest(&site)->input.len, sizeof(begin) - 1 + 3000);
	assert_int_equal(site_newest(&site)->kept_size, 4096);
	assert_int_equal(site.budget.unverified, 4096);
	client_say(&c, "\r\nContent-Length: 0\r\n\r\n");
	client_expect(&c, 200);
	assert_int_equal(site.budget.unverified, 0);
	client_close(&c);
	site_close(&site);
}

static void
test_idle_timeout(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;

	(void)state;
	conf.idle_timeout_ms = 100;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/echo", "0"));
	client_expect(&c, 200);
	client_expect_end(&c);
	client_close(&c);
	site_close(&site);
}

static void
test_body_timeout(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;

	(void)state;
	conf.body_timeout_ms = 200;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/echo", "100") "abc");
	client_expect(&c, 408);
	client_expect_end(&c);
	assert_string_equal(site.last_reason, "body-timeout");
	client_close(&c);
	c = client_open(&site);
	client_say(&c, CHUNKED("/echo") "5\r\nab");
	client_expect(&c, 408);
	client_close(&c);
	assert_int_equal(site.delivered, 0);
	/* the handler may take longer than any of these */
	c = client_open(&site);
	client_say(&c, POST("/hold", "0"));
	usleep(300000);
	site_turn(&site);
	site_release(&site, 200);
	client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

/* Longer than body_timeout, but never slower than body_rate. */
static void
test_body_rate(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;
	char piece[1000];

	(void)state;
	memset(piece, 'x', sizeof(piece));
	conf.body_timeout_ms = 100;
	conf.body_rate = 1000;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/echo", "30000"));
	for (int i = 0; i < 30; i++) {
		client_send(&c, piece, sizeof(piece));
		usleep(15000);
	}
	client_expect(&c, 200);
	client_close(&c);
	/* what came fast is forgotten after a while: ten looks */
	c = client_open(&site);
	client_say(&c, POST("/echo", "30000"));
	for (int i = 0; i < 29; i++)
		client_send(&c, piece, sizeof(piece));
	client_expect(&c, 408);
	client_close(&c);
	site_close(&site);
}

/* What came by each second, from a body's first on; the second at which it is
 * late, or 0. body_timeout is 30 s, body_rate 8192. */
struct pace {
	size_t each, count; /* bytes, every so many seconds */
	size_t once, at;    /* bytes, in this second */
	unsigned late;
};

static unsigned
second_of_lateness(const struct pace *pace)
{
	struct hb_http_server server = {
	    .conf = {.body_timeout_ms = 30000, .body_rate = 8192},
	    .pace_ms = HB_HTTP_PACE_MS,
	};
	struct request *req = hb_xcalloc(1, sizeof(*req));
	unsigned second = 1;

	req->server = &server;
	for (; second <= 300; second++) {
		if (second % pace->count == 0)
			req->pub.body_len += pace->each;
		if (second == pace->at)
			req->pub.body_len += pace->once;
		if (hb_http_body_is_late(req))
			break;
	}
	free(req);
	return second <= 300 ? second : 0;
}

/* After body_timeout, the rate must hold over any ten seconds. */
static void
test_pace(void **state)
{
	static const struct pace paces[] = {
	    {8192, 1, 0, 0, 0},
	    {8191, 1, 0, 0, 30},
	    {0, 1, 0, 0, 30},
	    {81920, 10, 0, 0, 0},
	    {81920, 11, 0, 0, 32},
	    {0, 1, MIB, 1, 30},
	    {0, 1, MIB, 20, 30},
	    {0, 1, MIB, 25, 35},
	    {8192, 1, MIB, 100, 0},
	    {8191, 1, MIB, 25, 35},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(paces); i++)
		if (second_of_lateness(&paces[i]) != paces[i].late)
			fail_msg("pace %zu: late at %u", i,
			    second_of_lateness(&paces[i]));
}

/* Neither who reads nothing nor who reads slowly holds an answer for long. */
static void
test_write_deadline(void **state)
{
	static char buf[64 * 1024];
	struct site site;
	struct client c[2];
	uint64_t since_ms = hb_clock_mono_ms();
	size_t taken = 0;

	(void)state;
	site_open(&site, &site_usual);
	assert_int_equal(site.server->write.timeout_ms, 10000);
	site.server->write.timeout_ms = 150;
	for (int i = 0; i < 2; i++) {
		c[i] = client_open(&site);
		client_say(&c[i], POST("/big", "0"));
	}
	while (hb_http_server_connections(site.server) > 0) {
		ssize_t n = recv(c[0].fd, buf, sizeof(buf), MSG_DONTWAIT);

		taken += n > 0 ? (size_t)n : 0;
		assert_true(taken < BIG_REPLY); /* at this pace: 320 ms */
		usleep(5000);
		site_wait(&site, since_ms, "the write deadline");
	}
	assert_true(taken > sizeof(buf));
	assert_true(hb_clock_mono_ms() - since_ms >= 150);
	/* Nothing is kept for them: they are told by a reset. */
	for (int i = 0; i < 2; i++) {
		struct pollfd gone = {.fd = c[i].fd};

		assert_int_equal(poll(&gone, 1, 0), 1);
		assert_true(gone.revents & POLLHUP);
	}
	client_close(&c[0]);
	client_close(&c[1]);
	site_close(&site);
}

static void
test_linger(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;
	char *flood = hb_xcalloc(1, MIB);

	(void)state;
	/* What still comes does not hurt the answer. */
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/now/413", "1000000"));
	client_send(&c, flood, 100000);
	client_expect(&c, 413);
	client_expect_end(&c);
	assert_int_equal(hb_http_server_connections(site.server), 1);
	/* But not for ever: 256 KiB. */
	client_send(&c, flood, MIB);
	site_turn(&site);
	assert_int_equal(hb_http_server_connections(site.server), 0);
	client_close(&c);
	site_close(&site);
	/* And not for long. */
	conf.linger_timeout_ms = 50;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/now/413", "1000000"));
	client_expect(&c, 413);
	for (uint64_t since_ms = hb_clock_mono_ms();
	     hb_http_server_connections(site.server) > 0;)
		site_wait(&site, since_ms, "the end of lingering");
	client_close(&c);
	site_close(&site);
	free(flood);
}

/* --- limits --------------------------------------------------------------- */

static void
test_connection_limits(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c[4];
	int64_t refused;

	(void)state;
	conf.connections_per_address = 2;
	refused = site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "address");
	site_open(&site, &conf);
	for (int i = 0; i < 3; i++)
		c[i] = client_open(&site);
	client_expect_end(&c[2]);
	client_expect_silence(&c[1]);
	assert_int_equal(
	    site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "address"),
	    refused + 1);
	client_close(&c[2]);
	client_close(&c[0]);
	c[0] = client_open(&site); /* a place is free again */
	client_expect_silence(&c[0]);
	client_close(&c[0]);
	client_close(&c[1]);
	site_close(&site);

	/* A Unix socket has no address; all together count. */
	conf.connections = 3;
	refused =
	    site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "connections");
	site_open_at(&site, &conf, 256 * MIB, AF_UNIX);
	for (int i = 0; i < 4; i++) {
		c[i] = client_open(&site);
		if (i == 3)
			break;
		client_say(&c[i], POST("/echo", "0"));
		client_expect(&c[i], 200);
	}
	client_expect_end(&c[3]);
	assert_int_equal(
	    site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "connections"),
	    refused + 1);
	for (int i = 0; i < 4; i++)
		client_close(&c[i]);
	site_close(&site);
}

/* Who is refused for its address makes nobody go. */
static void
test_refused_in_a_crowd(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c[10];

	(void)state;
	conf.connections = 10;
	conf.connections_per_address = 9;
	site_open(&site, &conf);
	for (int i = 0; i < 10; i++) {
		c[i] = client_open(&site);
		if (i < 8) /* at the handler nobody goes */
			client_say(&c[i], POST("/hold", "0"));
	}
	client_expect_end(&c[9]);
	client_expect_silence(&c[8]);
	for (int i = 0; i < 10; i++)
		client_close(&c[i]);
	site_close(&site);
}

struct visitor {
	const char *peer;
	enum hb_gate expected;
};

static void
check_visitors(
    struct hb_http_gate *gate, const struct visitor *visitors, size_t count)
{
	struct in6_addr peers[16];

	assert_true(count <= HB_COUNT(peers));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(
		    inet_pton(AF_INET6, visitors[i].peer, &peers[i]), 1);
		if (hb_http_gate_enter(gate, &peers[i]) != visitors[i].expected)
			fail_msg("%s", visitors[i].peer);
	}
	for (size_t i = 0; i < count; i++)
		if (visitors[i].expected == HB_GATE_OPEN)
			hb_http_gate_leave(gate, &peers[i]);
}

/* Who counts as one: an IPv4 address, a /64; Unix sockets as nobody. */
static void
test_gate(void **state)
{
	static const struct visitor few[] = {
	    {"2001:db8:1:2::1", HB_GATE_OPEN},
	    {"2001:db8:1:2:ffff:ffff:ffff:ffff", HB_GATE_OPEN},
	    {"2001:db8:1:2::3", HB_GATE_ADDRESS},
	    {"2001:db8:1:3::1", HB_GATE_OPEN}, /* the next network */
	    {"::ffff:192.0.2.1", HB_GATE_OPEN},
	    {"::ffff:192.0.2.1", HB_GATE_OPEN},
	    {"::ffff:192.0.2.1", HB_GATE_ADDRESS},
	    {"::ffff:192.0.2.2", HB_GATE_OPEN},
	    {"::", HB_GATE_OPEN},
	    {"::", HB_GATE_OPEN},
	    {"::", HB_GATE_FULL},
	    {"::ffff:192.0.2.3", HB_GATE_FULL},
	};
	static const struct visitor any[] = {
	    {"::ffff:192.0.2.1", HB_GATE_OPEN},
	    {"::ffff:192.0.2.1", HB_GATE_OPEN},
	    {"::ffff:192.0.2.1", HB_GATE_OPEN},
	};
	struct hb_http_conf conf = {
	    .connections = 8, .connections_per_address = 2};
	struct hb_http_gate *gate = hb_http_gate_new(&conf, NULL);

	(void)state;
	/* Again and again: refused ones leave nothing behind. */
	for (int i = 0; i < 100; i++)
		check_visitors(gate, few, HB_COUNT(few));
	hb_http_gate_free(gate);
	conf.connections_per_address = 0; /* no limit */
	gate = hb_http_gate_new(&conf, NULL);
	check_visitors(gate, any, HB_COUNT(any));
	hb_http_gate_free(gate);
}

/* At nine tenths the oldest stranger goes, whatever it is doing: silent, with
 * requests that are refused, with a slow body. */
static void
test_oldest_stranger(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client good, c[3], more[5];
	int64_t crowded =
	    site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "crowded");

	(void)state;
	conf.connections = 10;
	site_open(&site, &conf);
	for (int i = 0; i < 3; i++)
		c[i] = client_open(&site);
	good = client_open(&site);
	client_say(&good, POST("/echo", "0"));
	client_expect(&good, 200);
	client_say(&c[1], POST("/echo", "10") "x");
	client_say(&c[0], "GET /now/404 HTTP/1.1\r\n" HOST "\r\n");
	client_expect(&c[0], 404);
	client_say(&c[0], POST("/now/401", "0"));
	client_expect(&c[0], 401);
	for (int i = 0; i < 4; i++)
		more[i] = client_open(&site);
	for (int i = 0; i < 3; i++)
		client_expect_silence(&c[i]);
	more[4] = client_open(&site); /* the ninth of ten */
	client_expect_end(&c[0]);
	client_expect_silence(&c[1]);
	client_close(&c[0]);
	c[0] = client_open(&site);
	client_expect(&c[1], 503);
	client_expect_end(&c[1]);
	assert_string_equal(site.last_reason, "crowded");
	assert_int_equal(
	    site_metric(HB_M_HTTP_CONNECTIONS_REFUSED, "test", "crowded"),
	    crowded + 2);
	client_expect_silence(&c[2]);
	client_expect_silence(&good);
	for (int i = 0; i < 3; i++)
		client_close(&c[i]);
	for (int i = 0; i < 5; i++)
		client_close(&more[i]);
	client_close(&good);
	site_close(&site);
}

/* The same while the crowd grows; known peers and requests that have arrived
 * keep their places. */
static void
test_crowded(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client good, busy, c[12];

	(void)state;
	conf.connections = 10;
	site_open(&site, &conf);
	good = client_open(&site);
	client_say(&good, POST("/echo", "0"));
	client_expect(&good, 200);
	busy = client_open(&site);
	client_say(&busy, POST("/hold", "0"));
	for (int i = 0; i < 12; i++) {
		c[i] = client_open(&site);
		assert_true(hb_http_server_connections(site.server) <= 9);
	}
	for (int i = 0; i < 12; i++) {
		if (i < 6)
			client_expect_end(&c[i]);
		else
			client_expect_silence(&c[i]);
		client_close(&c[i]);
	}
	client_expect_silence(&good);
	site_release(&site, 401);
	client_expect(&busy, 401);
	client_close(&good);
	client_close(&busy);
	site_close(&site);
}

/* What is paid for: the head, and of the body what came, in steps of 64 KiB. */
static void
test_charging(void **state)
{
	static char data[128 * 1024];
	const size_t step = 64 * 1024;
	struct site site;
	struct client c;
	size_t head;

	(void)state;
	site_open(&site, &site_usual);
	c = client_open(&site);
	client_say(&c, POST("/echo", "0000100") "x");
	head = site.budget.unverified - 100;
	assert_in_range(head, strlen(POST("/echo", "0000100")), 1024);
	client_close(&c);
	assert_int_equal(site.budget.unverified, 0);
	c = client_open(&site);
	client_say(&c, POST("/echo", "4194304"));
	assert_int_equal(site.budget.unverified, head + step);
	client_send(&c, data, step - 1);
	site_turn(&site);
	assert_int_equal(site.budget.unverified, head + step);
	client_say(&c, "xy");
	assert_int_equal(site.budget.unverified, head + 2 * step);
	client_send(&c, data, 2 * step);
	site_turn(&site);
	assert_int_equal(site.budget.unverified, head + 4 * step);
	client_close(&c);
	/* a chunked one pays for no more than its room */
	c = client_open(&site);
	client_say(&c, CHUNKED("/echo") "5\r\nhello");
	assert_in_range(
	    site.budget.unverified, head + 4096, head + 4096 + 100);
	client_close(&c);
	site_close(&site);
}

/* A body that no machine has room for is refused, not the end of the daemon. */
static void
test_vast_body(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;
	struct client c;

	(void)state;
	conf.body_size = UINT64_MAX;
	site_open(&site, &conf);
	c = client_open(&site);
	client_say(&c, POST("/vast", "4611686018427387904"));
	client_expect(&c, 503);
	assert_string_equal(site.last_reason, "memory");
	client_expect_end(&c);
	client_close(&c);
	site_close(&site);
}

/* The unverified quarter is full of four bodies of 64 KiB: no fifth. */
static void
test_shedding(void **state)
{
	static char data[64 * 1024];
	struct site site;
	struct client slow, c[3], late;

	(void)state;
	site_open_at(&site, &site_usual, MIB, AF_INET);
	slow = client_open(&site);
	client_say(&slow, POST("/echo", "65536") "x");
	site.budget.limit = 4 * 4 * site.budget.unverified;
	usleep(20000);
	for (int i = 0; i < 3; i++) {
		c[i] = client_open(&site);
		client_say(&c[i], POST("/echo", "65536"));
		client_send(&c[i], data, 30000 + 1000 * (size_t)i);
	}
	assert_int_equal(site.budget.unverified, site.budget.limit / 4);
	late = client_open(&site);
	client_say(&late, POST("/echo", "65536"));
	client_expect(&slow, 503);
	assert_true(client_was_told(&slow, "\r\nRetry-After: "));
	assert_true(client_was_told(&slow, CLOSING));
	assert_string_equal(site.last_reason, "memory");
	client_send(&late, data, sizeof(data));
	client_expect(&late, 200);
	for (int i = 0; i < 3; i++) {
		client_send(&c[i], data, 65536 - 30000 - 1000 * (size_t)i);
		client_expect(&c[i], 200);
		client_close(&c[i]);
	}
	/* Alone over the quarter: it is the slowest itself. */
	client_say(&late, POST("/echo", "300000"));
	client_send(&late, data, sizeof(data));
	for (int i = 0; i < 3; i++)
		client_send(&late, data, sizeof(data));
	client_send(&late, data, 1000);
	client_expect(&late, 503);
	client_close(&slow);
	client_close(&late);
	site_close(&site);
}

/* Many tiny ones are not shed for a large one, only some: each costs a search
 * and brings nothing. */
static void
test_shedding_is_bounded(void **state)
{
	static char data[60000];
	struct site site;
	struct client big, tiny[20], late;
	size_t shed = 0;

	(void)state;
	site_open(&site, &site_usual);
	big = client_open(&site);
	client_say(&big, POST("/echo", "65536"));
	client_send(&big, data, sizeof(data));
	for (size_t i = 0; i < HB_COUNT(tiny); i++) {
		tiny[i] = client_open(&site);
		client_say(&tiny[i], POST("/echo", "2") "x");
	}
	site.budget.limit = 4 * site.budget.unverified;
	late = client_open(&site);
	client_say(&late, POST("/echo", "65536"));
	client_expect(&late, 503);
	client_expect_silence(&big);
	for (size_t i = 0; i < HB_COUNT(tiny); i++) {
		client_pull(&tiny[i]);
		shed += tiny[i].in_len > 0;
		client_close(&tiny[i]);
	}
	assert_int_equal(shed, 16);
	/* and none for one that could not have enough in any case */
	site.budget.limit = 4 * 65536;
	client_close(&late);
	late = client_open(&site);
	client_say(&late, POST("/echo", "65536"));
	client_expect(&late, 503);
	client_expect_silence(&big);
	client_close(&late);
	client_close(&big);
	site_close(&site);
}

/* All of the budget is in use by what is verified: nobody is shed for that. */
static void
test_budget_in_use(void **state)
{
	struct hb_budget_share share = {0};
	uint64_t rest;
	struct site site;
	struct client early, late;

	(void)state;
	site_open_at(&site, &site_usual, MIB, AF_INET);
	early = client_open(&site);
	client_say(&early, POST("/echo", "100") "x");
	rest = MIB - site.budget.used - 50;
	assert_true(hb_budget_take(&site.budget, &share, rest));
	late = client_open(&site);
	client_say(&late, POST("/echo", "100") "x");
	client_expect(&late, 503);
	client_expect_silence(&early);
	hb_budget_give(&site.budget, &share, rest);
	for (int i = 0; i < 99; i++)
		client_say(&early, "y");
	client_expect(&early, 200);
	client_close(&early);
	client_close(&late);
	site_close(&site);
}

/* Nobody can be shed: who comes is refused before its body is read. */
static void
test_no_memory(void **state)
{
	struct site site;
	struct client c;

	(void)state;
	site_open_at(&site, &site_usual, MIB, AF_INET);
	c = client_open(&site);
	client_say(&c, "POST /echo HTTP/1.1\r\nX: ");
	assert_true(hb_budget_take_unverified(
	    &site.budget, 256 * 1024 - site.budget.unverified));
	for (int i = 0; i < 600; i++)
		client_send(&c, "x", 1);
	client_expect(&c, 503); /* the kept part cannot grow */
	client_close(&c);
	site.budget.unverified = site.budget.used = 256 * 1024;
	c = client_open(&site);
	client_say(&c, EXPECTING("/echo", "10"));
	client_expect(&c, 503);
	client_expect_end(&c);
	client_close(&c);
	c = client_open(&site);
	client_say(
	    &c, "POST /echo"); /* a part of a head is kept and paid for */
	client_expect(&c, 503);
	client_close(&c);
	hb_budget_give_unverified(&site.budget, 256 * 1024);
	site_close(&site);
}

/* Pipelined bytes that cannot be kept are lost, which their sender is told. */
static void
test_no_memory_for_pipelined(void **state)
{
	struct site site;
	struct client c;
	char text[2048];

	(void)state;
	site_open_at(&site, &site_usual, (size_t)4 * 1024, AF_INET);
	c = client_open(&site);
	snprintf(text, sizeof(text), POST("/hold", "0") "GET /%01500d", 0);
	client_say(&c, text);
	assert_int_equal(site.held_count, 1);
	site_release(&site, 200);
	client_expect(&c, 200);
	assert_true(client_was_told(&c, CLOSING));
	client_expect_end(&c);
	client_close(&c);
	site_close(&site);
}

/* A socket that is beyond repair does not burn the CPU either. */
static void
test_broken_listener(void **state)
{
	struct site site;

	(void)state;
	site_open(&site, &site_usual);
	assert_int_equal(shutdown(site.listen_fd, SHUT_RDWR), 0);
	site_turn_once(&site);
	assert_int_equal(event_base_get_num_events(hb_loop_base(site.loop),
			     EVENT_BASE_COUNT_ACTIVE),
	    0);
	assert_false(event_pending(
	    site.server->listenings->acceptable, EV_READ, NULL));
	site_close(&site);
}

static void
test_out_of_descriptors(void **state)
{
	struct rlimit before, low;
	struct site site;
	struct client c;
	int probe;

	(void)state;
	site_open(&site, &site_usual);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	c = client_open(&site); /* the metrics exist, the loop is warm */
	client_close(&c);
	c = (struct client){.site = &site};
	c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	probe = dup(c.fd);
	close(probe);
	low = before;
	low.rlim_cur = (rlim_t)probe; /* not one more */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(
	    connect(c.fd, (struct sockaddr *)&site.addr, site.addr_len), 0);
	site_turn(&site);
	assert_int_equal(hb_http_server_connections(site.server), 0);
	/* Accepting pauses: nothing is ready any more. */
	assert_int_equal(event_base_get_num_events(
			     hb_loop_base(site.loop), EVENT_BASE_COUNT_ACTIVE),
	    0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	client_send(&c, POST("/echo", "0"), strlen(POST("/echo", "0")));
	client_expect(&c, 200);
	client_close(&c);
	site_close(&site);
}

/* --- a storm -------------------------------------------------------------- */

#define PEERS 8

/* The same storm every time (a linear congruential generator). */
static size_t
random_below(size_t n)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(seed >> 33) % n;
}

/* Good requests, some of them damaged or cut. */
static size_t
make_noise(char *out, size_t size)
{
	/* clang-format off */
	static const char *const parts[] = {
		(POST("/echo", "5") "hello"),
		(CHUNKED("/echo")
		    "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n"),
		(POST("/hold", "3") "abc"),
		(POST("/hold", "70000")),
		(POST("/big", "0")),
		(POST("/now/401", "40")),
		(POST("/soon/401", "4") "abcd"),
		(EXPECTING("/echo", "4") "abcd"),
		("GET /now/404 HTTP/1.1\r\n" HOST "\r\n"),
		("HEAD /x HTTP/1.1\r\n" HOST "\r\n"),
		("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n"
		    "Content-Length: 1\r\n\r\nx"),
		"\r\n", "0",
	};
	/* clang-format on */
	size_t len = 0;

	for (size_t n = 1 + random_below(4); n > 0; n--) {
		const char *part = parts[random_below(HB_COUNT(parts))];

		assert_true(len + strlen(part) <= size);
		memcpy(out + len, part, strlen(part));
		len += strlen(part);
	}
	if (random_below(4) == 0)
		out[random_below(len)] = (char)random_below(256);
	return random_below(4) == 0 ? random_below(len) : len;
}

static void
make_trouble(struct client *c)
{
	static const char flood[70000];
	char noise[4096];
	size_t len = make_noise(noise, sizeof(noise));

	(void)send(c->fd, noise, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (random_below(5) == 0)
		(void)send(c->fd, flood, random_below(sizeof(flood)),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (random_below(2) == 0)
		site_turn(c->site);
	while (client_pull(c))
		c->in_len = 0;
	if (c->site->held_count > 0 && random_below(2) == 0)
		site_release(c->site, random_below(2) == 0 ? 200 : 503);
}

static void
leave(struct client *c)
{
	if (random_below(2) == 0)
		client_close(c);
	else
		client_reset(c);
	c->site = NULL;
}

/* Whatever happens in whatever order, site_close() finds the books balanced
 * (and a sanitizer finds nothing). */
static void
test_storm(void **state)
{
	struct hb_http_conf conf = site_usual;
	struct site site;

	(void)state;
	conf.head_timeout_ms = conf.body_timeout_ms = 30;
	conf.idle_timeout_ms = conf.linger_timeout_ms = 20;
	conf.requests_per_connection = 20;
	conf.connections = PEERS + 2;
	for (int storm = 0; storm < 6; storm++) {
		struct client peers[PEERS] = {0};

		site_open_at(&site, &conf, MIB / 2,
		    storm % 2 == 0 ? AF_UNIX : AF_INET);
		for (int step = 0; step < 700; step++) {
			struct client *c = &peers[random_below(PEERS)];

			if (c->site == NULL)
				*c = client_open(&site);
			make_trouble(c);
			if (c->eof || random_below(12) == 0)
				leave(c);
			if (random_below(100) == 0)
				usleep(25000);
			if (storm >= 4 && step == 600)
				hb_http_server_drain(site.server);
		}
		for (size_t i = 0; i < PEERS; i++)
			if (peers[i].site != NULL)
				leave(&peers[i]);
		assert_true(site.begun > 0);
		site_close(&site);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_head_timeout),
	    cmocka_unit_test(test_dripping_head),
	    cmocka_unit_test(test_idle_timeout),
	    cmocka_unit_test(test_body_timeout),
	    cmocka_unit_test(test_body_rate),
	    cmocka_unit_test(test_pace),
	    cmocka_unit_test(test_write_deadline),
	    cmocka_unit_test(test_linger),
	    cmocka_unit_test(test_gate),
	    cmocka_unit_test(test_refused_in_a_crowd),
	    cmocka_unit_test(test_connection_limits),
	    cmocka_unit_test(test_oldest_stranger),
	    cmocka_unit_test(test_crowded),
	    cmocka_unit_test(test_charging),
	    cmocka_unit_test(test_vast_body),
	    cmocka_unit_test(test_shedding),
	    cmocka_unit_test(test_shedding_is_bounded),
	    cmocka_unit_test(test_budget_in_use),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_no_memory_for_pipelined),
	    cmocka_unit_test(test_broken_listener),
	    cmocka_unit_test(test_out_of_descriptors),
	    cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
