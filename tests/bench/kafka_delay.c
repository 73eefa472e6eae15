/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_delay.c - passes TCP connections on, and everything later
 *
 *   kafka_delay LISTEN-PORT SERVER-PORT DELAY-US
 *
 * on loopback: each byte is passed on DELAY-US after it came, each way, so that
 * a round trip takes twice as long. What limits a real distance, bandwidth and
 * loss, is not there.
 *
 *   one end ─► ring of bytes, marks "up to here at this time" ─► other end
 *
 * One thread; epoll is edge triggered and wakes for the earliest mark. A full
 * ring is not read into until something of it has left. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"

#define RING_SIZE (8 << 20)
#define MARKS_MAX 4096
#define CONNS_MAX 256
#define EVENTS_MAX 64

struct mark {
	uint64_t due_us, end; /* bytes since the beginning */
};

/* One direction. */
struct flow {
	int from, to;
	char *ring;
	uint64_t in, out; /* bytes since the beginning */
	struct mark marks[MARKS_MAX];
	size_t mark_in, mark_out;
	bool at_end, ended; /* of what comes; said to whom it goes */
};

struct conn {
	struct flow flows[2];
};

static struct conn *conns[CONNS_MAX];
static size_t conn_count;
static uint64_t delay_us;
static uint16_t server_port;
static int epoll;

static void
die(const char *what)
{
	fprintf(stderr, "kafka_delay: %s: %s\n", what, strerror(errno));
	exit(EX_UNAVAILABLE);
}

/* --- one direction -------------------------------------------------------- */

/* The part of the ring from byte pos to byte end, which may wrap. */
static int
span_ring(struct flow *flow, uint64_t pos, uint64_t end, struct iovec iov[2])
{
	size_t at = pos % RING_SIZE, len = end - pos;
	size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;

	iov[0] = (struct iovec){flow->ring + at, first};
	iov[1] = (struct iovec){flow->ring, len - first};
	return len > first ? 2 : 1;
}

/* Takes in what has come. */
static void
pull(struct flow *flow)
{
	struct iovec iov[2];

	while (!flow->at_end && flow->in - flow->out < RING_SIZE &&
	       flow->mark_in - flow->mark_out < MARKS_MAX) {
		int count =
		    span_ring(flow, flow->in, flow->out + RING_SIZE, iov);
		ssize_t got = readv(flow->from, iov, count);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			flow->at_end = true; /* a reset, too, is an end */
		else
			flow->in += (uint64_t)got;
		flow->marks[flow->mark_in++ % MARKS_MAX] =
		    (struct mark){hb_clock_mono_us() + delay_us, flow->in};
	}
}

/* Passes on what is due; when the next is, or UINT64_MAX. */
static uint64_t
push(struct flow *flow, uint64_t now_us)
{
	struct iovec iov[2];

	while (flow->mark_out < flow->mark_in) {
		struct mark *mark = &flow->marks[flow->mark_out % MARKS_MAX];

		if (mark->due_us > now_us)
			return mark->due_us;
		while (flow->out < mark->end) {
			int count = span_ring(flow, flow->out, mark->end, iov);
			ssize_t put = writev(flow->to, iov, count);

			if (put < 0 && errno == EAGAIN)
				return UINT64_MAX; /* epoll tells */
			flow->out = put < 0 ? mark->end
					    : flow->out + (uint64_t)put;
		}
		flow->mark_out++;
	}
	if (flow->at_end && !flow->ended) {
		flow->ended = true;
		shutdown(flow->to, SHUT_WR);
	}
	return UINT64_MAX;
}

/* --- connections ---------------------------------------------------------- */

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void
watch(int fd, void *ptr)
{
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	    .data.ptr = ptr};
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll");
}

static void
conn_open(int client)
{
	struct sockaddr_in addr = loopback(server_port);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct conn *conn;

	if (conn_count == CONNS_MAX || server < 0 ||
	    connect(server, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		close(client);
		if (server >= 0)
			close(server);
		return;
	}
	conn = hb_xcalloc(1, sizeof(*conn));
	conn->flows[0] = (struct flow){.from = client, .to = server};
	conn->flows[1] = (struct flow){.from = server, .to = client};
	conn->flows[0].ring = hb_xmalloc(RING_SIZE);
	conn->flows[1].ring = hb_xmalloc(RING_SIZE);
	conns[conn_count++] = conn;
	watch(client, conn);
	watch(server, conn);
}

static void
conn_close(struct conn *conn)
{
	close(conn->flows[0].from);
	close(conn->flows[1].from);
	free(conn->flows[0].ring);
	free(conn->flows[1].ring);
	free(conn);
}

/* Passes on what is due on all connections; when the next is. */
static uint64_t
serve(void)
{
	uint64_t next_us = UINT64_MAX, now_us = hb_clock_mono_us();

	for (size_t i = conn_count; i-- > 0;) {
		struct flow *flows = conns[i]->flows;

		for (int way = 0; way < 2; way++) {
			uint64_t due_us;

			pull(&flows[way]);
			due_us = push(&flows[way], now_us);
			if (due_us < next_us)
				next_us = due_us;
		}
		if (flows[0].ended && flows[1].ended) {
			conn_close(conns[i]);
			conns[i] = conns[--conn_count];
		}
	}
	return next_us;
}

/* --- the loop ------------------------------------------------------------- */

static int
listen_on(uint16_t port)
{
	struct sockaddr_in addr = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    listen(fd, 64) != 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("listen");
	return fd;
}

/* Sleeps until something comes or until_us. */
static bool
await(uint64_t until_us)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now_us = hb_clock_mono_us();
	uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
	struct timespec left = {.tv_sec = (time_t)(left_us / 1000000),
	    .tv_nsec = (long)(left_us % 1000000) * 1000};
	bool called = false;
	int count = epoll_pwait2(epoll, events, EVENTS_MAX,
	    until_us == UINT64_MAX ? NULL : &left, NULL);

	for (int i = 0; i < count; i++)
		called |= events[i].data.ptr == NULL;
	return called;
}

int
main(int argc, char **argv)
{
	int listener;

	if (argc != 4) {
		fputs("usage: kafka_delay LISTEN-PORT SERVER-PORT DELAY-US\n",
		    stderr);
		return EX_USAGE;
	}
	server_port = (uint16_t)atoi(argv[2]);
	delay_us = strtoull(argv[3], NULL, 10);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on((uint16_t)atoi(argv[1]));
	for (;;) {
		int client;

		if (!await(serve()))
			continue;
		client = accept(listener, NULL, NULL);
		if (client >= 0)
			conn_open(client);
	}
}
