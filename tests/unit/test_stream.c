/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream.c - dialling in all its outcomes, then bytes in both directions
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "hookbridge/loop.h"
#include "hookbridge/mem.h"
#include "hookbridge/stream.h"
#include "skip.h"

/* Ends a test that waits for something that does not come. */
enum { SAFETY_MS = 20000 };

struct probe {
	struct hb_loop *loop;
	struct hb_stream *stream;
	struct hb_timer safety;
	int connects, readables, writables;
	bool failed, close_in_callback;
	struct hb_error err;
};

static void
on_safety(struct hb_timer *timer)
{
	(void)timer;
	fail_msg("nothing happened for %d ms", SAFETY_MS);
}

static void
probe_init(struct probe *p)
{
	*p = (struct probe){.loop = hb_loop_new("test", NULL)};
	assert_non_null(p->loop);
	hb_timer_init(&p->safety, p->loop, on_safety);
}

static void
probe_fini(struct probe *p)
{
	hb_stream_close(p->stream);
	hb_timer_fini(&p->safety);
	hb_loop_free(p->loop);
}

/* Runs until a callback stops the loop. */
static void
run(struct probe *p)
{
	hb_timer_set(&p->safety, SAFETY_MS);
	hb_loop_run(p->loop);
}

/* One callback for each run: the loop stops a turn later. */
static void
finish_callback(struct probe *p)
{
	hb_stream_want(p->stream, false, false);
	if (p->close_in_callback) {
		hb_stream_close(p->stream);
		p->stream = NULL;
	}
	hb_loop_stop(p->loop);
}

static void
on_connect(void *arg, const struct hb_error *err)
{
	struct probe *p = arg;

	p->connects++;
	p->failed = err != NULL;
	finish_callback(p);
	if (err != NULL) /* stays readable after the close */
		p->err = *err;
}

static void
on_readable(void *arg)
{
	struct probe *p = arg;

	p->readables++;
	finish_callback(p);
}

static void
on_writable(void *arg)
{
	struct probe *p = arg;

	p->writables++;
	finish_callback(p);
}

static const struct hb_stream_ops ops = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_connect = on_connect,
};

/* --- peers ---------------------------------------------------------------- */

static int
listen_on(const struct sockaddr *addr, socklen_t len, int backlog)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (bind(fd, addr, len) != 0 || listen(fd, backlog) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
listen_v4(int backlog, unsigned *port)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = listen_on((struct sockaddr *)&addr, len, backlog);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

static int
listen_v6(unsigned *port)
{
	struct sockaddr_in6 addr = {
	    .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(addr);
	int fd = listen_on((struct sockaddr *)&addr, len, 16);

	if (fd < 0)
		return -1;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin6_port);
	return fd;
}

/* A port where nobody listens. */
static unsigned
closed_port(void)
{
	unsigned port;

	close(listen_v4(1, &port));
	return port;
}

static int
option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* --- dialling ------------------------------------------------------------- */

static void
dial(struct probe *p, const char *host, unsigned port, unsigned timeout_ms)
{
	p->stream = hb_stream_dial(p->loop, host, port, timeout_ms, &ops, p);
	assert_non_null(p->stream);
	assert_int_equal(p->connects, 0); /* never from inside the call */
	run(p);
	assert_int_equal(p->connects, 1);
}

static void
test_dial_numeric(void **state)
{
	struct probe p;
	unsigned port;
	int listener = listen_v4(16, &port), fd;

	(void)state;
	probe_init(&p);
	dial(&p, "127.0.0.1", port, 5000);
	assert_false(p.failed);
	fd = hb_stream_fd(p.stream);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY));
	assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE));
	probe_fini(&p);
	close(listener);
}

static void
test_dial_v6(void **state)
{
	struct probe p;
	unsigned port = 0;
	int listener = listen_v6(&port);

	(void)state;
	if (listener < 0)
		SKIP("there is no IPv6");
	probe_init(&p);
	dial(&p, "::1", port, 5000);
	assert_false(p.failed);
	probe_fini(&p);
	close(listener);
}

/* hosts gives 127.0.0.1, and often ::1 first, where nobody listens. */
static void
test_dial_name(void **state)
{
	struct probe p;
	unsigned port;
	int listener = listen_v4(16, &port);

	(void)state;
	probe_init(&p);
	for (int i = 0; i < 3; i++) {
		p.connects = 0;
		dial(&p, "localhost", port, 5000);
		assert_false(p.failed);
		hb_stream_close(p.stream);
		p.stream = NULL;
	}
	probe_fini(&p);
	close(listener);
}

static void
test_dial_unix(void **state)
{
	char path[] = "/tmp/hb-stream-XXXXXX";
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct probe p;
	int listener;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	memcpy(addr.sun_path, path, sizeof(path));
	listener = listen_on((struct sockaddr *)&addr, sizeof(addr), 16);
	assert_true(listener >= 0);
	probe_init(&p);
	dial(&p, path, 0, 5000);
	assert_false(p.failed);
	probe_fini(&p);
	close(listener);
	unlink(path);
}

static void
test_dial_fails(void **state)
{
	char long_path[200];
	unsigned port = closed_port();
	char v4[64], name[64];
	struct {
		const char *host;
		unsigned port;
		const char *says, *why;
	} cases[] = {
	    {"127.0.0.1", port, v4, "refused"},
	    {"localhost", port, name, "refused"},
	    {"/nonexistent/redis.sock", 0,
		"/nonexistent/redis.sock: ", "No such file"},
	    {long_path, 0, "/xxxx", "too long"},
	};

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	snprintf(v4, sizeof(v4), "127.0.0.1:%u: ", port);
	snprintf(name, sizeof(name), "localhost:%u (", port);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct probe p;

		probe_init(&p);
		p.close_in_callback = i % 2 == 0;
		dial(&p, cases[i].host, cases[i].port, 5000);
		assert_true(p.failed);
		assert_int_equal(p.err.code, HB_E_RETRY);
		assert_non_null(strstr(p.err.text, cases[i].says));
		assert_non_null(strstr(p.err.text, cases[i].why));
		probe_fini(&p);
	}
}

/* A listener whose queue is full lets connects wait. */
static void
test_dial_deadline(void **state)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fillers[4];
	struct probe p;
	unsigned port;
	int listener = listen_v4(0, &port);

	(void)state;
	addr.sin_port = htons((uint16_t)port);
	for (size_t i = 0; i < HB_COUNT(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(
		    fillers[i], (struct sockaddr *)&addr, sizeof(addr));
	}
	probe_init(&p);
	dial(&p, "127.0.0.1", port, 50);
	assert_true(p.failed);
	assert_non_null(strstr(p.err.text, "no connection within 50 ms"));
	probe_fini(&p);
	for (size_t i = 0; i < HB_COUNT(fillers); i++)
		close(fillers[i]);
	close(listener);
}

/* Whatever the name server says, or does not say: the name is in the error. */
static void
test_dial_unknown_name(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	dial(&p, "no-such-host.invalid", 6379, 300);
	assert_true(p.failed);
	assert_non_null(strstr(p.err.text, "no-such-host.invalid:6379: "));
	probe_fini(&p);
}

/* Closed before the outcome: no callback, nothing left behind. */
static void
test_close_while_dialling(void **state)
{
	static const char *const hosts[] = {
	    "127.0.0.1", "localhost", "no-such-host.invalid", "also.invalid"};
	unsigned port = closed_port();
	struct probe p;

	(void)state;
	probe_init(&p);
	for (size_t i = 0; i < HB_COUNT(hosts); i++)
		hb_stream_close(
		    hb_stream_dial(p.loop, hosts[i], port, 5000, &ops, &p));
	hb_loop_stop(p.loop);
	run(&p);
	assert_int_equal(p.connects, 0);
	probe_fini(&p);
}

/* The loop is freed while a cancelled look-up still waits for its answer. */
static void
test_free_while_looking_up(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	p.stream = hb_stream_dial(
	    p.loop, "no-such-host.invalid", 6379, 5000, &ops, &p);
	probe_fini(&p);
	assert_int_equal(p.connects, 0);
}

/* --- bytes ---------------------------------------------------------------- */

static void
open_pair(struct probe *p, int *peer)
{
	int fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	probe_init(p);
	p->stream = hb_stream_open(p->loop, fds[0], &ops, p);
	*peer = fds[1];
}

static void
test_read(void **state)
{
	struct probe p;
	char buf[8];
	int peer;

	(void)state;
	open_pair(&p, &peer);
	assert_int_equal(
	    hb_stream_read(p.stream, buf, sizeof(buf)), HB_STREAM_AGAIN);
	assert_int_equal(write(peer, "hello", 5), 5);
	hb_stream_want(p.stream, true, false);
	run(&p);
	assert_int_equal(p.readables, 1);
	assert_int_equal(hb_stream_read(p.stream, buf, 3), 3);
	hb_stream_want(p.stream, true, false);
	run(&p); /* level-triggered: two bytes are left */
	assert_int_equal(p.readables, 2);
	assert_int_equal(hb_stream_read(p.stream, buf, sizeof(buf)), 2);
	close(peer);
	hb_stream_want(p.stream, true, false);
	run(&p);
	assert_int_equal(
	    hb_stream_read(p.stream, buf, sizeof(buf)), HB_STREAM_EOF);
	probe_fini(&p);
}

static void
test_write(void **state)
{
	struct iovec iov[2] = {
	    {(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cd", 2}};
	struct probe p;
	char buf[8];
	int peer;

	(void)state;
	open_pair(&p, &peer);
	hb_stream_want(p.stream, false, true);
	run(&p);
	assert_int_equal(p.writables, 1);
	assert_int_equal(p.readables, 0);
	assert_int_equal(hb_stream_writev(p.stream, iov, 2), 4);
	assert_int_equal(read(peer, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "abcd", 4);
	hb_stream_shutdown(p.stream);
	assert_int_equal(read(peer, buf, sizeof(buf)), 0);
	assert_int_equal(write(peer, "x", 1), 1); /* reading goes on */
	assert_int_equal(hb_stream_read(p.stream, buf, sizeof(buf)), 1);
	close(peer);
	/* No SIGPIPE. */
	assert_int_equal(hb_stream_writev(p.stream, iov, 2), HB_STREAM_ERROR);
	assert_int_equal(errno, EPIPE);
	probe_fini(&p);
}

static void
test_close_in_callback(void **state)
{
	struct probe p;
	int peer;

	(void)state;
	open_pair(&p, &peer);
	p.close_in_callback = true;
	assert_int_equal(write(peer, "x", 1), 1);
	hb_stream_want(p.stream, true, true); /* both are ready */
	run(&p);
	assert_int_equal(p.readables + p.writables, 1);
	assert_null(p.stream);
	probe_fini(&p);
	close(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dial_numeric),
	    cmocka_unit_test(test_dial_v6),
	    cmocka_unit_test(test_dial_name),
	    cmocka_unit_test(test_dial_unix),
	    cmocka_unit_test(test_dial_fails),
	    cmocka_unit_test(test_dial_deadline),
	    cmocka_unit_test(test_dial_unknown_name),
	    cmocka_unit_test(test_close_while_dialling),
	    cmocka_unit_test(test_free_while_looking_up),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_write),
	    cmocka_unit_test(test_close_in_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
