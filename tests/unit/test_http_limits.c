/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_limits.c - deadlines, counts, memory and descriptors that run out
 */
#include "http_site.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/resource.h>

/* --- deadlines ------------------------------------------------------------ */

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
	/* also for a later head: bytes now and then do not help */
	slow = client_open(&site);
	client_say(&slow, POST("/echo", "0") "P");
	client_expect(&slow, 200);
	for (int i = 0; i < 100 && !slow.eof && slow.in_len == 0; i++) {
		client_say(&slow, "P");
		usleep(10000);
		client_pull(&slow);
	}
	client_expect(&slow, 408);
	client_close(&slow);
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
	site_open_at(&site, &conf, 256 * MIB, true);
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

/* At nine tenths, the stranger goes who has waited longest. */
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

/* The unverified quarter is 256 KiB: three bodies of 64 KiB, and no fifth. */
static void
test_shedding(void **state)
{
	static char data[64 * 1024];
	struct site site;
	struct client slow, c[3], late;

	(void)state;
	site_open_at(&site, &site_usual, MIB, false);
	slow = client_open(&site);
	client_say(&slow, POST("/echo", "65536") "x");
	usleep(20000);
	for (int i = 0; i < 3; i++) {
		c[i] = client_open(&site);
		client_say(&c[i], POST("/echo", "65536"));
		client_send(&c[i], data, 30000 + 1000 * (size_t)i);
	}
	assert_int_equal(site.budget.unverified, 256 * 1024);
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

/* All of the budget is in use by what is verified: nobody is shed for that. */
static void
test_budget_in_use(void **state)
{
	struct hb_budget_share share = {0};
	struct site site;
	struct client early, late;

	(void)state;
	site_open_at(&site, &site_usual, MIB, false);
	early = client_open(&site);
	client_say(&early, POST("/echo", "100") "x");
	assert_true(hb_budget_take(&site.budget, &share, MIB - 150));
	late = client_open(&site);
	client_say(&late, POST("/echo", "100") "x");
	client_expect(&late, 503);
	client_expect_silence(&early);
	hb_budget_give(&site.budget, &share, MIB - 150);
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
	site_open_at(&site, &site_usual, MIB, false);
	assert_true(hb_budget_take_unverified(&site.budget, 256 * 1024));
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

		site_open_at(&site, &conf, MIB / 2, storm % 2 == 0);
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
	    cmocka_unit_test(test_idle_timeout),
	    cmocka_unit_test(test_body_timeout),
	    cmocka_unit_test(test_body_rate),
	    cmocka_unit_test(test_linger),
	    cmocka_unit_test(test_connection_limits),
	    cmocka_unit_test(test_crowded),
	    cmocka_unit_test(test_shedding),
	    cmocka_unit_test(test_budget_in_use),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_out_of_descriptors),
	    cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
