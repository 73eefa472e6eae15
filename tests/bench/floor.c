/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c - the least that a webhook can cost: what a daemon for large bodies
 * is measured against
 *
 * Receives a request into its connection's buffer, feeds each piece to
 * HMAC-SHA256, scans the body as JSON, answers 200. No limits, no deadlines,
 * no signature, no event; a request must be what tests/bench/load sends.
 *
 *   floor         prints the port it listens on, serves until it is killed */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "hookbridge/crypto.h"
#include "hookbridge/json_span.h"
#include "hookbridge/mem.h"

#define HEAD_MAX 4096
#define EVENTS_MAX 256

struct peer {
	int fd;
	char *data; /* head and body of one request */
	size_t size, len;
	size_t head_len, body_len; /* 0: the head is not complete */
};

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "Content-Length: 2\r\n\r\n{}";

static struct hb_hmac_key *key;
static struct hb_hmac *mac;
static int epoll;

static void HB_NORETURN
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(EX_OSERR);
}

static void
watch(int fd, void *ptr)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl");
}

static void
accept_peer(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer *peer;
	const int on = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	peer = hb_xcalloc(1, sizeof(*peer));
	peer->fd = fd;
	peer->size = HEAD_MAX;
	peer->data = hb_xmalloc(peer->size);
	watch(fd, peer);
}

static void
hang_up(struct peer *peer)
{
	close(peer->fd);
	free(peer->data);
	free(peer);
}

/* Once the head is there: how much body follows, and room for it. */
static void
read_head(struct peer *peer)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *end = memmem(peer->data, peer->len, "\r\n\r\n", 4);
	const char *length =
	    memmem(peer->data, peer->len, field, strlen(field));

	if (end == NULL || length == NULL)
		return;
	peer->head_len = (size_t)(end - peer->data) + 4;
	peer->body_len = strtoul(length + strlen(field), NULL, 10);
	if (peer->size < peer->head_len + peer->body_len) {
		peer->size = peer->head_len + peer->body_len;
		peer->data = hb_xrealloc(peer->data, peer->size);
	}
	hb_hmac_begin(mac, key);
}

/* What a sender's signature would cost; one mac for all: a hash that another
 * connection's piece has spoilt costs the same. */
static void
read_piece(struct peer *peer, size_t from)
{
	if (peer->head_len == 0)
		read_head(peer);
	if (peer->head_len == 0)
		return;
	from = from < peer->head_len ? peer->head_len : from;
	hb_hmac_update(mac, peer->data + from, peer->len - from);
}

static void
finish(struct peer *peer)
{
	struct hb_span body =
	    hb_span_make(peer->data + peer->head_len, peer->body_len);
	uint8_t digest[HB_SHA256_SIZE];
	struct hb_json_value value;
	struct hb_error err;

	hb_hmac_final(mac, digest);
	hb_hmac_begin(mac, key); /* for whoever is in the middle of a body */
	if (!hb_json_validate(body, &value, &err)) {
		fprintf(stderr, "floor: %s\n", err.text);
		exit(EX_DATAERR);
	}
	if (write(peer->fd, answer, strlen(answer)) < 0)
		die("write");
	peer->len = peer->head_len = peer->body_len = 0;
}

static void
on_readable(struct peer *peer)
{
	size_t from = peer->len;
	ssize_t n = read(peer->fd, peer->data + from, peer->size - from);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(peer);
		return;
	}
	peer->len += (size_t)n;
	read_piece(peer, from);
	if (peer->head_len > 0 && peer->len == peer->head_len + peer->body_len)
		finish(peer);
}

static int
listen_anywhere(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 ||
	    listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
		die("listen");
	printf("%u\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

int
main(void)
{
	static const uint8_t secret[24];
	struct epoll_event events[EVENTS_MAX];
	int listener;

	key = hb_hmac_key_new(secret, sizeof(secret));
	mac = hb_hmac_new();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_anywhere();
	watch(listener, NULL);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr == NULL)
				accept_peer(listener);
			else
				on_readable(events[i].data.ptr);
	}
}
