/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - posts signed webhooks and measures the answers
 *
 * One thread, N kept connections, one request at a time on each.
 *
 *   closed loop (default)  a connection sends its next request when it has its
 *                          answer; latency is from the first byte sent
 *   open loop (--rate)     request i is due at start + i / rate, whether or
 *                          not a connection is free; latency is from when it
 *                          was due, so a server that stalls cannot hide the
 *                          requests that had to wait (no coordinated omission)
 *
 * Prints one JSON object. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

#include "histogram.h"
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "requests.h"

#define ANSWER_MAX 16384
#define EVENTS_MAX 256

struct conn {
	int fd;
	bool busy;
	const struct request *request;
	size_t sent;
	uint64_t since_us;
	char answer[ANSWER_MAX];
	size_t answer_len;
};

static struct {
	struct request_spec spec;
	uint16_t port;
	size_t connections;
	double rate; /* 0: closed loop */
	double seconds;
} opts = { { "/", NULL, 2048, 64, 100000, 0 }, 0, 64, 0, 60 };

static struct requests requests;
static struct conn *conns;
static struct histogram histogram;
static uint64_t codes[600], errors, answers;
static size_t next_request;
static uint64_t start_us;
static int epoll;

/* --- command line --------------------------------------------------------- */

static const char usage_text[] =
    "usage: load --port PORT --secret whsec_… [--path PATH] [--requests N]\n"
    "            [--connections N] [--size BYTES] [--bodies N] [--rate R]\n"
    "            [--seconds S] [--seed X]\n"
    "\n"
    "Ends after N requests or S seconds, whichever comes first. Runs with the\n"
    "same seed post webhooks with the same ids; by default they are new.\n";

static void
parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "secret", required_argument, NULL, 's' },
		{ "path", required_argument, NULL, 'u' },
		{ "requests", required_argument, NULL, 'n' },
		{ "connections", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 'b' },
		{ "bodies", required_argument, NULL, 'k' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p': opts.port = (uint16_t)atoi(optarg); break;
		case 's': opts.spec.secret = optarg; break;
		case 'u': opts.spec.path = optarg; break;
		case 'n': opts.spec.count = strtoul(optarg, NULL, 10); break;
		case 'c': opts.connections = strtoul(optarg, NULL, 10); break;
		case 'b':
			opts.spec.body_size = strtoul(optarg, NULL, 10);
			break;
		case 'k': opts.spec.bodies = strtoul(optarg, NULL, 10); break;
		case 'r': opts.rate = atof(optarg); break;
		case 't': opts.seconds = atof(optarg); break;
		case 'x':
			opts.spec.seed = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default: fputs(usage_text, stderr); exit(EX_USAGE);
		}
	}
	if (opts.port == 0 || opts.spec.secret == NULL ||
	    opts.connections == 0 || opts.spec.bodies == 0 ||
	    opts.spec.count == 0) {
		fputs(usage_text, stderr);
		exit(EX_USAGE);
	}
	if (opts.spec.body_size < 256)
		opts.spec.body_size = 256;
}

/* --- connections ---------------------------------------------------------- */

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(EX_UNAVAILABLE);
}

static void
dial(struct conn *conn)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_port = htons(opts.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	const int on = 1;

	conn->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (conn->fd < 0 ||
	    connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect");
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fcntl(conn->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		die("epoll");
	conn->busy = false;
	conn->answer_len = 0;
}

static void
redial(struct conn *conn)
{
	if (conn->busy)
		errors++;
	close(conn->fd);
	dial(conn);
}

static void
want(struct conn *conn, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event) != 0)
		die("epoll");
}

/* --- one request ---------------------------------------------------------- */

static void
send_some(struct conn *conn)
{
	const struct request *r = conn->request;
	size_t skip = conn->sent;
	struct iovec iov[2];
	int count = 0;
	ssize_t n;

	if (skip < r->head_len)
		iov[count++] = (struct iovec){
			(char *)(uintptr_t)r->head + skip, r->head_len - skip };
	skip = skip > r->head_len ? skip - r->head_len : 0;
	iov[count++] = (struct iovec){ (char *)(uintptr_t)r->body + skip,
		r->body_len - skip };
	n = writev(conn->fd, iov, count);
	if (n < 0 && errno != EAGAIN) {
		redial(conn);
		return;
	}
	conn->sent += n > 0 ? (size_t)n : 0;
	if (conn->sent < r->head_len + r->body_len)
		want(conn, EPOLLIN | EPOLLOUT);
}

static bool
is_over(void)
{
	return next_request >= requests.count ||
	    (double)(hb_clock_mono_us() - start_us) > opts.seconds * 1e6;
}

static uint64_t
due_us(size_t index)
{
	return start_us + (uint64_t)((double)index * 1e6 / opts.rate);
}

/* Gives a free connection its next request, if there is one now. */
static void
begin(struct conn *conn)
{
	uint64_t now = hb_clock_mono_us();

	if (conn->busy || is_over() ||
	    (opts.rate > 0 && due_us(next_request) > now))
		return;
	conn->since_us = opts.rate > 0 ? due_us(next_request) : now;
	conn->request = &requests.items[next_request++];
	conn->sent = 0;
	conn->answer_len = 0;
	conn->busy = true;
	send_some(conn);
}

/* The length of a complete answer at the front of the buffer, or 0. */
static size_t
answer_length(const struct conn *conn)
{
	const char *end = memmem(conn->answer, conn->answer_len, "\r\n\r\n", 4);
	size_t head, body = 0;

	if (end == NULL)
		return 0;
	head = (size_t)(end - conn->answer) + 4;
	for (size_t i = 0; i + 16 < head; i++)
		if (strncasecmp(conn->answer + i, "content-length: ", 16) == 0)
			body = strtoul(conn->answer + i + 16, NULL, 10);
	return conn->answer_len >= head + body ? head + body : 0;
}

static void
receive(struct conn *conn)
{
	ssize_t n = read(conn->fd, conn->answer + conn->answer_len,
	    sizeof(conn->answer) - conn->answer_len);
	int code;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		redial(conn);
		return;
	}
	conn->answer_len += (size_t)n;
	if (answer_length(conn) == 0)
		return;
	code = atoi(conn->answer + strlen("HTTP/1.1 "));
	codes[code > 0 && code < 600 ? code : 0]++;
	answers++;
	histogram_add(&histogram, hb_clock_mono_us() - conn->since_us);
	conn->busy = false;
}

static void
on_event(const struct epoll_event *event)
{
	struct conn *conn = event->data.ptr;

	if (event->events & EPOLLOUT) {
		want(conn, EPOLLIN);
		send_some(conn);
	}
	if (event->events & ~(uint32_t)EPOLLOUT)
		receive(conn);
	begin(conn);
}

/* --- the run -------------------------------------------------------------- */

static bool
anybody_busy(void)
{
	for (size_t i = 0; i < opts.connections; i++)
		if (conns[i].busy)
			return true;
	return false;
}

/* How long epoll may wait: in an open loop, until the next request is due, but
 * for those that are due and find no connection free. */
static struct timespec
patience(void)
{
	uint64_t now = hb_clock_mono_us(), due;

	if (opts.rate <= 0 || is_over())
		return (struct timespec){ 0, 100000000 };
	due = due_us(next_request);
	return (struct timespec){ 0,
		due <= now ? 1000000 : (long)((due - now) % 1000000 * 1000) };
}

static void
run(void)
{
	struct epoll_event events[EVENTS_MAX];
	size_t turn = 0;

	start_us = hb_clock_mono_us();
	for (size_t i = 0; i < opts.connections; i++)
		begin(&conns[i]);
	while (!is_over() || anybody_busy()) {
		struct timespec wait = patience();
		int n = epoll_pwait2(epoll, events, EVENTS_MAX, &wait, NULL);

		for (int i = 0; i < n; i++)
			on_event(&events[i]);
		/* An open loop gives what is due to whoever is free. */
		for (size_t i = 0; opts.rate > 0 && i < opts.connections; i++)
			begin(&conns[turn++ % opts.connections]);
		if ((double)(hb_clock_mono_us() - start_us) >
		    opts.seconds * 1e6 + 20e6)
			break;
	}
}

static void
report(void)
{
	static const struct {
		const char *name;
		double share;
	} points[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 },
		{ "p99.9", 0.999 }, { "p99.99", 0.9999 } };
	double seconds = (double)(hb_clock_mono_us() - start_us) / 1e6;
	const char *comma = "";

	printf("{\"answers\":%llu,\"errors\":%llu,\"unanswered\":%llu,"
	       "\"seconds\":%.3f,\"rate\":%.0f,\"codes\":{",
	    (unsigned long long)answers, (unsigned long long)errors,
	    (unsigned long long)(next_request - answers - errors), seconds,
	    (double)answers / seconds);
	for (size_t i = 0; i < HB_COUNT(codes); i++)
		if (codes[i] > 0) {
			printf("%s\"%zu\":%llu", comma, i,
			    (unsigned long long)codes[i]);
			comma = ",";
		}
	printf("},\"us\":{");
	for (size_t i = 0; i < HB_COUNT(points); i++)
		printf("\"%s\":%llu,", points[i].name,
		    (unsigned long long)histogram_percentile(&histogram,
			points[i].share));
	printf("\"max\":%llu}}\n", (unsigned long long)histogram.max);
}

int
main(int argc, char **argv)
{
	struct rlimit limit;

	parse_options(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Who is due now wants to be woken now. */
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	requests = requests_make(&opts.spec);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	conns = hb_xcalloc(opts.connections, sizeof(*conns));
	for (size_t i = 0; i < opts.connections; i++)
		dial(&conns[i]);
	run();
	report();
	return answers > 0 && errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
