/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - accepts connections and says how long they may take
 *
 * Several servers, one on each worker's loop, poll the same listening sockets.
 * Each takes one connection a wake-up, and one that has more than its share of
 * them steps aside for a moment, so that the others get what comes next: a
 * connection may live for days, and its worker with it.
 *
 * When descriptors run out, accepting pauses: polling a socket that cannot be
 * accepted from would burn the CPU.
 *
 * A connection is a stranger until the handler vouches for it. When connections
 * run out, the oldest stranger has to go, whatever it is doing: neither a slow
 * body nor a chain of requests that are refused keeps a place. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"

/* How long accepting pauses. */
#define SHORTAGE_MS 100
#define OVERWEIGHT_MS 1
/* What the kernel may hold of answers that a peer does not read: a few hundred
 * of them. It would grow to megabytes, and hide for as long that nobody
 * reads. */
#define UNSENT_MAX (64 * 1024)

/* --- rings ---------------------------------------------------------------- */

void
hb_ring_init(struct ring *ring)
{
	ring->next = ring->prev = ring;
}

void
hb_ring_add(struct ring *ring, struct ring *entry)
{
	entry->prev = ring->prev;
	entry->next = ring;
	entry->prev->next = entry->next->prev = entry;
}

void
hb_ring_remove(struct ring *entry)
{
	if (entry->next == NULL)
		return;
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = entry->prev = NULL;
}

/* --- accepting ------------------------------------------------------------ */

/* Another server was faster, or that connection has failed already: neither
 * says anything about the next one (accept(2)). */
static bool
is_passing(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case EPERM:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

/* Once a second is enough to say it. */
static void
complain(struct listening *listening, int error)
{
	uint64_t now_ms = hb_clock_mono_ms();

	if (listening->complained_ms != 0 &&
	    now_ms - listening->complained_ms < 1000)
		return;
	listening->complained_ms = now_ms;
	hb_log(HB_LOG_ERROR, "listen.error",
	    HB_F_STR("address", listening->name),
	    HB_F_STR("why", strerror(error)),
	    HB_F_STR("remedy",
		error == EMFILE || error == ENFILE
		    ? "raise LimitNOFILE or lower http.connections"
		    : NULL));
}

/* Stops polling for a while. */
static void
step_aside(struct listening *listening, uint64_t ms)
{
	event_del(listening->acceptable);
	hb_timer_set(&listening->pause, ms);
}

/* Whether this server has clearly more than its share. */
static bool
is_overweight(const struct listening *listening)
{
	size_t servers = listening->door->servers;
	size_t all = listening->door->open;

	return listening->open_here * servers > all + all / 8 + servers;
}

/* The peer as an IPv6 address; all zero for a Unix socket. */
static struct in6_addr
peer_of(const struct sockaddr_storage *addr)
{
	struct in6_addr peer = IN6ADDR_ANY_INIT;

	if (addr->ss_family == AF_INET6) {
		peer = ((const struct sockaddr_in6 *)addr)->sin6_addr;
	} else if (addr->ss_family == AF_INET) {
		peer.s6_addr[10] = peer.s6_addr[11] = 0xff;
		memcpy(&peer.s6_addr[12],
		    &((const struct sockaddr_in *)addr)->sin_addr, 4);
	}
	return peer;
}

/* Whoever is at the handler stays: its request has arrived. */
static struct conn *
oldest_stranger(struct hb_http_server *server)
{
	for (struct ring *r = server->strangers.next; r != &server->strangers;
	     r = r->next) {
		struct conn *conn = hb_http_conn_of_stranger(r);

		if (conn->state != CONN_HANDLER)
			return conn;
	}
	return NULL;
}

/* When it gets crowded, the oldest stranger has to go. */
static enum hb_gate
enter(struct hb_http_server *server, const struct in6_addr *peer)
{
	enum hb_gate gate = hb_http_gate_enter(server->gate, peer);
	struct conn *stranger;

	if (gate == HB_GATE_ADDRESS || !hb_http_gate_crowded(server->gate))
		return gate;
	stranger = oldest_stranger(server);
	if (stranger == NULL)
		return gate;
	hb_metric_inc(stranger->listening->crowded);
	hb_http_conn_evict(stranger, "crowded");
	return gate == HB_GATE_FULL ? hb_http_gate_enter(server->gate, peer)
				    : gate;
}

static void
admit(struct listening *listening, int fd, const struct in6_addr *peer)
{
	enum hb_gate gate = enter(listening->server, peer);

	if (gate != HB_GATE_OPEN) {
		hb_metric_inc(listening->refused[gate]);
		close(fd);
		return;
	}
	hb_metric_inc(listening->total);
	hb_http_conn_new(listening, fd, peer);
}

static void
accept_one(struct listening *listening)
{
	struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);
	struct in6_addr peer;
	int fd = accept4(event_get_fd(listening->acceptable),
	    (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		peer = peer_of(&addr);
		admit(listening, fd, &peer);
	} else if (!is_passing(errno)) {
		complain(listening, errno);
		step_aside(listening, SHORTAGE_MS);
	}
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listening *listening = arg;

	(void)fd;
	(void)what;
	if (is_overweight(listening))
		step_aside(listening, OVERWEIGHT_MS);
	else
		accept_one(listening);
}

/* Nobody took what waited: then it is ours after all. */
static void
on_pause_over(struct hb_timer *timer)
{
	struct listening *listening =
	    hb_container_of(timer, struct listening, pause);

	event_add(listening->acceptable, NULL);
	accept_one(listening);
}

static void
find_metrics(struct listening *listening)
{
	const char *name = listening->name;

	listening->open =
	    hb_metric_get(HB_M_HTTP_CONNECTIONS, name, NULL, NULL, NULL);
	listening->total =
	    hb_metric_get(HB_M_HTTP_CONNECTIONS_TOTAL, name, NULL, NULL, NULL);
	listening->refused[HB_GATE_FULL] = hb_metric_get(
	    HB_M_HTTP_CONNECTIONS_REFUSED, name, "connections", NULL, NULL);
	listening->refused[HB_GATE_ADDRESS] = hb_metric_get(
	    HB_M_HTTP_CONNECTIONS_REFUSED, name, "address", NULL, NULL);
	listening->crowded = hb_metric_get(
	    HB_M_HTTP_CONNECTIONS_REFUSED, name, "crowded", NULL, NULL);
}

void
hb_http_server_listen(struct hb_http_server *server, int fd, const char *name)
{
	struct listening *listening = hb_xcalloc(1, sizeof(*listening));
	const int on = 1, unsent = UNSENT_MAX;

	listening->server = server;
	listening->name = name;
	find_metrics(listening);
	/* Inherited by what is accepted; meaningless on a Unix socket. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &unsent, sizeof(unsent));
	hb_timer_init(&listening->pause, server->loop, on_pause_over);
	listening->acceptable = event_new(hb_loop_base(server->loop), fd,
	    EV_READ | EV_PERSIST, on_acceptable, listening);
	if (listening->acceptable == NULL ||
	    event_add(listening->acceptable, NULL) != 0)
		hb_bug("cannot poll %s", name);
	listening->door = hb_http_gate_door(server->gate, fd);
	listening->door->servers++;
	listening->next = server->listenings;
	server->listenings = listening;
}

/* --- making, draining, freeing -------------------------------------------- */

static void
init_deadlines(struct hb_http_server *server)
{
	const struct hb_http_conf *conf = &server->conf;
	struct hb_loop *loop = server->loop;

	server->pace_ms = conf->body_timeout_ms < HB_HTTP_PACE_MS
			      ? conf->body_timeout_ms
			      : HB_HTTP_PACE_MS;
	hb_deadlines_init(&server->idle, loop, conf->idle_timeout_ms,
	    hb_http_conn_on_close_due);
	hb_deadlines_init(&server->head, loop, conf->head_timeout_ms,
	    hb_http_conn_on_head_due);
	hb_deadlines_init(
	    &server->body, loop, server->pace_ms, hb_http_conn_on_body_due);
	hb_deadlines_init(&server->pieces, loop, HB_HTTP_PIECES_MS,
	    hb_http_conn_on_write_due);
	hb_deadlines_init(
	    &server->write, loop, HB_HTTP_WRITE_MS, hb_http_conn_on_write_due);
	hb_deadlines_init(&server->linger, loop, conf->linger_timeout_ms,
	    hb_http_conn_on_close_due);
}

struct hb_http_server *
hb_http_server_new(struct hb_loop *loop, const struct hb_http_conf *conf,
    struct hb_http_gate *gate, const struct hb_http_handler *handler, void *arg)
{
	struct hb_http_server *server = hb_xcalloc(1, sizeof(*server));

	server->refs = 1;
	server->loop = loop;
	server->conf = *conf;
	server->gate = gate;
	server->handler = handler;
	server->arg = arg;
	server->date_s = -1;
	server->limits = hb_http_limits_of(conf);
	hb_ring_init(&server->conns);
	hb_ring_init(&server->strangers);
	hb_ring_init(&server->uploads);
	init_deadlines(server);
	return server;
}

/* Accepts no more. */
static void
close_listening(struct listening *listening)
{
	if (listening->acceptable == NULL)
		return;
	event_free(listening->acceptable);
	listening->acceptable = NULL;
	hb_timer_fini(&listening->pause);
	listening->door->servers--;
}

static void
free_listenings(struct hb_http_server *server)
{
	struct listening *next;

	for (struct listening *l = server->listenings; l != NULL; l = next) {
		next = l->next;
		close_listening(l);
		free(l);
	}
	server->listenings = NULL;
}

void
hb_http_server_drain(struct hb_http_server *server)
{
	if (server->draining)
		return;
	server->draining = true;
	for (struct listening *l = server->listenings; l != NULL; l = l->next)
		close_listening(l);
	/* Each once, taken from the front: any of them may vanish meanwhile. */
	for (size_t n = server->conn_count;
	     n > 0 && !hb_ring_is_empty(&server->conns); n--) {
		struct ring *first = server->conns.next;

		hb_ring_remove(first);
		hb_ring_add(&server->conns, first);
		hb_http_conn_drain(hb_http_conn_of_ring(first));
	}
}

size_t
hb_http_server_connections(const struct hb_http_server *server)
{
	return server->conn_count;
}

/* The last of the server and its requests at the handler. */
void
hb_http_server_unref(struct hb_http_server *server)
{
	if (--server->refs > 0)
		return;
	free(server);
}

void
hb_http_server_free(struct hb_http_server *server)
{
	if (server == NULL)
		return;
	while (!hb_ring_is_empty(&server->conns))
		hb_http_conn_evict(
		    hb_http_conn_of_ring(server->conns.next), "stopping");
	free_listenings(server);
	hb_deadlines_fini(&server->idle);
	hb_deadlines_fini(&server->head);
	hb_deadlines_fini(&server->body);
	hb_deadlines_fini(&server->pieces);
	hb_deadlines_fini(&server->write);
	hb_deadlines_fini(&server->linger);
	hb_http_server_unref(server);
}
