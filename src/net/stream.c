/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - a non-blocking socket on two libevent events
 *
 *   open:  a connected socket                     ──► open
 *   dial:  looking up ──► connecting ──► settled  ──► open    on_connect(NULL)
 *              └──────────────┴────────► settled  ──► failed  on_connect(err)
 *
 * What dialling needs is a struct dial of its own, gone once on_connect was
 * called. One timer serves it: first as the deadline of everything, then, when
 * the outcome is settled, to tell it from the loop: never from inside a call.
 *
 * A look-up outlives the stream that wanted it, because evdns answers even a
 * cancelled request: it then finds that nobody waits and frees itself.
 *
 * A stream may be closed from inside its own callbacks: nothing of it is
 * touched after a callback has returned. */
#include "hookbridge/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "hookbridge/loop.h"
#include "hookbridge/mem.h"
#include "resolver.h"

struct dial {
	struct hb_stream *stream;
	struct hb_timer timer; /* the deadline, then the report */
	unsigned timeout_ms;
	bool settled;
	struct hb_error failure;  /* code HB_OK: connected */
	struct hb_lookup *lookup; /* while the name is looked up */
	struct addrinfo *addresses, *next;
	char address[NI_MAXHOST]; /* the one being tried, as text */
	char peer[];		  /* as configured, for errors */
};

struct hb_stream {
	struct hb_loop *loop;
	const struct hb_stream_ops *ops;
	void *arg;
	int fd;				 /* -1 while there is none */
	struct event readable, writable; /* assigned while fd >= 0 */
	struct dial *dial;		 /* until on_connect */
};

/* --- readiness ------------------------------------------------------------ */

static void on_answered(struct hb_stream *stream);

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_stream *stream = arg;

	(void)fd;
	(void)what;
	stream->ops->on_readable(stream->arg);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_stream *stream = arg;

	(void)fd;
	(void)what;
	if (stream->dial != NULL)
		on_answered(stream);
	else
		stream->ops->on_writable(stream->arg);
}

static void
attach(struct hb_stream *stream, int fd)
{
	struct event_base *base = hb_loop_base(stream->loop);

	stream->fd = fd;
	event_assign(&stream->readable, base, fd, EV_READ | EV_PERSIST,
	    on_readable, stream);
	event_assign(&stream->writable, base, fd, EV_WRITE | EV_PERSIST,
	    on_writable, stream);
}

static void
detach(struct hb_stream *stream)
{
	if (stream->fd < 0)
		return;
	event_del(&stream->readable);
	event_del(&stream->writable);
	close(stream->fd);
	stream->fd = -1;
}

static void
set_wanted(struct event *event, bool wanted)
{
	if (wanted == (event_pending(event, EV_READ | EV_WRITE, NULL) != 0))
		return;
	if ((wanted ? event_add(event, NULL) : event_del(event)) != 0)
		hb_bug("event_%s failed", wanted ? "add" : "del");
}

void
hb_stream_want(struct hb_stream *stream, bool read, bool write)
{
	if (stream->fd < 0)
		return;
	set_wanted(&stream->readable, read);
	set_wanted(&stream->writable, write);
}

/* --- bytes ---------------------------------------------------------------- */

static ssize_t
word_of(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR
		   ? HB_STREAM_AGAIN
		   : HB_STREAM_ERROR;
}

ssize_t
hb_stream_read(struct hb_stream *stream, void *buf, size_t size)
{
	return word_of(recv(stream->fd, buf, size, 0));
}

ssize_t
hb_stream_writev(struct hb_stream *stream, const struct iovec *iov, int count)
{
	/* sendmsg() is the writev() that can do without SIGPIPE. */
	struct msghdr msg = {
	    .msg_iov = (struct iovec *)(uintptr_t)iov,
	    .msg_iovlen = (size_t)count,
	};

	return word_of(sendmsg(stream->fd, &msg, MSG_NOSIGNAL));
}

void
hb_stream_shutdown(struct hb_stream *stream)
{
	(void)shutdown(stream->fd, SHUT_WR);
}

void
hb_stream_abort(struct hb_stream *stream)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int
hb_stream_fd(const struct hb_stream *stream)
{
	return stream->fd;
}

/* --- making and closing --------------------------------------------------- */

static struct hb_stream *
make(struct hb_loop *loop, const struct hb_stream_ops *ops, void *arg)
{
	struct hb_stream *stream = hb_xcalloc(1, sizeof(*stream));

	stream->loop = loop;
	stream->ops = ops;
	stream->arg = arg;
	stream->fd = -1;
	return stream;
}

struct hb_stream *
hb_stream_open(
    struct hb_loop *loop, int fd, const struct hb_stream_ops *ops, void *arg)
{
	struct hb_stream *stream = make(loop, ops, arg);

	attach(stream, fd);
	return stream;
}

static void
dial_free(struct dial *dial)
{
	if (dial == NULL)
		return;
	hb_timer_fini(&dial->timer);
	hb_lookup_cancel(dial->lookup);
	if (dial->addresses != NULL)
		hb_lookup_free_addresses(dial->addresses);
	free(dial);
}

void
hb_stream_close(struct hb_stream *stream)
{
	if (stream == NULL)
		return;
	detach(stream);
	dial_free(stream->dial);
	free(stream);
}

/* --- dialling ------------------------------------------------------------- */

/* The outcome is known; on_connect comes from the loop. */
static void
settle(struct dial *dial)
{
	dial->settled = true;
	hb_timer_set(&dial->timer, 0);
}

/* Settles with "host:port: why", or "host:port (address): why". */
static void
fail(struct hb_stream *stream, const char *why)
{
	struct dial *dial = stream->dial;

	detach(stream);
	if (dial->address[0] != '\0')
		hb_fail(&dial->failure, HB_E_RETRY, "%s (%s): %s", dial->peer,
		    dial->address, why);
	else
		hb_fail(&dial->failure, HB_E_RETRY, "%s: %s", dial->peer, why);
	settle(dial);
}

/* What a connection to a broker has: no delay, and an end when the host at
 * the other side has vanished without a word. */
static void
set_tcp_options(int fd)
{
	const int on = 1, idle_s = 60, interval_s = 15, probes = 4;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Starts connecting to one address; false (errno) when it failed at once. */
static bool
try_address(
    struct hb_stream *stream, const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(
	    addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	if (addr->sa_family != AF_UNIX)
		set_tcp_options(fd);
	if (connect(fd, addr, len) != 0 && errno != EINPROGRESS) {
		int saved = errno;

		close(fd);
		errno = saved;
		return false;
	}
	attach(stream, fd);
	hb_stream_want(stream, false, true);
	return true;
}

/* Puts the address into words, unless the peer was given as just that. */
static void
note_address(struct dial *dial, const struct addrinfo *ai)
{
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, dial->address,
		sizeof(dial->address), NULL, 0, NI_NUMERICHOST) != 0 ||
	    strstr(dial->peer, dial->address) != NULL)
		dial->address[0] = '\0';
}

/* Goes on to the next address, or fails with the last one's error. */
static void
try_next(struct hb_stream *stream, int last_error)
{
	struct dial *dial = stream->dial;

	detach(stream);
	while (dial->next != NULL) {
		const struct addrinfo *ai = dial->next;

		dial->next = ai->ai_next;
		note_address(dial, ai);
		if (try_address(stream, ai->ai_addr, ai->ai_addrlen))
			return;
		last_error = errno;
	}
	fail(stream, strerror(last_error));
}

/* The socket has its answer to connect(). */
static void
on_answered(struct hb_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	(void)getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		try_next(stream, error);
		return;
	}
	hb_stream_want(stream, false, false);
	settle(stream->dial);
}

static void
on_addresses(void *arg, struct addrinfo *addresses, const char *why)
{
	struct hb_stream *stream = arg;
	struct dial *dial = stream->dial;

	dial->lookup = NULL;
	if (addresses == NULL) {
		fail(stream, why);
		return;
	}
	dial->addresses = dial->next = addresses;
	try_next(stream, 0);
}

/* Too late: says what we were waiting for. */
static void
fail_late(struct hb_stream *stream)
{
	struct dial *dial = stream->dial;
	char why[64];

	snprintf(why, sizeof(why), "%s within %u ms",
	    dial->lookup != NULL ? "no answer from the name server"
				 : "no connection",
	    dial->timeout_ms);
	hb_lookup_cancel(dial->lookup);
	dial->lookup = NULL;
	fail(stream, why);
}

static void
on_timer(struct hb_timer *timer)
{
	struct dial *dial = hb_container_of(timer, struct dial, timer);
	struct hb_stream *stream = dial->stream;
	struct hb_error failure;

	if (!dial->settled) {
		fail_late(stream);
		return;
	}
	failure = dial->failure;
	stream->dial = NULL;
	dial_free(dial);
	stream->ops->on_connect(
	    stream->arg, failure.code != HB_OK ? &failure : NULL);
}

static struct dial *
dial_new(struct hb_stream *stream, const char *host, unsigned port,
    unsigned timeout_ms)
{
	size_t size = strlen(host) + sizeof("[]:4294967295");
	struct dial *dial = hb_xcalloc(1, sizeof(*dial) + size);

	dial->stream = stream;
	dial->timeout_ms = timeout_ms;
	if (port == 0)
		snprintf(dial->peer, size, "%s", host);
	else if (strchr(host, ':') != NULL)
		snprintf(dial->peer, size, "[%s]:%u", host, port);
	else
		snprintf(dial->peer, size, "%s:%u", host, port);
	hb_timer_init(&dial->timer, stream->loop, on_timer);
	hb_timer_set(&dial->timer, timeout_ms);
	return dial;
}

static void
dial_unix(struct hb_stream *stream, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path)) {
		fail(stream, "this path is too long for a socket");
		return;
	}
	memcpy(addr.sun_path, path, strlen(path));
	if (!try_address(stream, (struct sockaddr *)&addr, sizeof(addr)))
		fail(stream, strerror(errno));
}

static void
dial_tcp(struct hb_stream *stream, const char *host, unsigned port)
{
	struct addrinfo *addresses = hb_lookup_numeric(host, port);

	if (addresses != NULL)
		on_addresses(stream, addresses, NULL);
	else
		stream->dial->lookup = hb_lookup_start(
		    stream->loop, host, port, on_addresses, stream);
}

struct hb_stream *
hb_stream_dial(struct hb_loop *loop, const char *host, unsigned port,
    unsigned timeout_ms, const struct hb_stream_ops *ops, void *arg)
{
	struct hb_stream *stream = make(loop, ops, arg);

	stream->dial = dial_new(stream, host, port, timeout_ms);
	if (port == 0)
		dial_unix(stream, host);
	else
		dial_tcp(stream, host, port);
	return stream;
}
