/* SPDX-License-Identifier: Apache-2.0 */
/* http_site.c - the handler, the site and its clients */
#include "http_site.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <sys/un.h>

static char big_reply[BIG_REPLY];

/* --- the handler ---------------------------------------------------------- */

static bool
path_is(const struct hb_http_request *req, const char *path)
{
	return hb_span_eq(req->head.path, hb_span_of(path));
}

static void
reply(struct hb_http_request *req, int code)
{
	char body[64];
	struct hb_http_reply r = {.code = code,
	    .retry_after_s = code == 503 ? 7 : 0,
	    .allow = code == 405 ? "POST" : NULL,
	    .challenge = code == 401 ? "Webhook" : NULL,
	    .close = code == 405};

	snprintf(body, sizeof(body), "{\"length\":%zu}\n", req->body_len);
	r.body = hb_span_of(body);
	if (path_is(req, "/big"))
		r.body = hb_span_make(big_reply, BIG_REPLY);
	hb_http_reply(req, &r);
}

/* The code a path asks for, if it is one that there is. */
static int
code_of(struct hb_span digits)
{
	static const int codes[] = {200, 401, 405, 413, 503};

	for (size_t i = 0; i < HB_COUNT(codes); i++) {
		char text[8];

		snprintf(text, sizeof(text), "%d", codes[i]);
		if (hb_span_eq(digits, hb_span_of(text)))
			return codes[i];
	}
	return 404;
}

static void
on_head(void *arg, struct hb_http_request *req)
{
	struct site *site = arg;

	site->begun++;
	req->user = hb_xcalloc(1, sizeof(struct pieces));
	assert_int_equal(strlen(req->peer_text) > 0, 1);
	assert_true(req->peer_local);
	if (hb_span_starts(req->head.path, HB_SPAN("/now/")))
		reply(req, code_of(hb_span_skip(req->head.path, 5)));
	else if (path_is(req, "/echo") || path_is(req, "/hold") ||
		 path_is(req, "/big") || path_is(req, "/soon/401"))
		hb_http_accept_body(req, BODY_LIMIT);
	else if (path_is(req, "/pieces"))
		hb_http_accept_optional_body(req, BODY_LIMIT);
	else if (path_is(req, "/vast"))
		hb_http_accept_body(req, UINT64_MAX);
	else
		reply(req, 404);
}

static void
on_data(void *arg, struct hb_http_request *req, const char *data, size_t len)
{
	struct pieces *seen = req->user;

	(void)arg;
	assert_true(len > 0);
	assert_ptr_equal(data + len, req->body + req->body_len);
	seen->data = hb_xrealloc(seen->data, seen->len + len);
	memcpy(seen->data + seen->len, data, len);
	seen->len += len;
	if (path_is(req, "/soon/401"))
		reply(req, 401);
}

static void
on_body(void *arg, struct hb_http_request *req)
{
	struct site *site = arg;
	struct pieces *seen = req->user;

	site->delivered++;
	assert_true(req->charged >= req->body_len);
	assert_true(req->body_us >= req->head_us);
	/* of a trailer nothing is seen */
	assert_false(hb_span_is_set(
	    hb_http_header(&req->head, HB_SPAN("trailer-field"), NULL)));
	hb_budget_give_unverified(site->books, req->charged);
	if (path_is(req, "/hold")) {
		assert_true(site->held_count < HB_COUNT(site->held));
		site->held[site->held_count++] = req;
		return;
	}
	if (path_is(req, "/pieces")) {
		site->pieces = req;
		return;
	}
	assert_int_equal(seen->len, req->body_len);
	if (seen->len > 0)
		assert_memory_equal(seen->data, req->body, seen->len);
	if (path_is(req, "/echo"))
		hb_http_vouch(req);
	reply(req, 200);
}

static void
on_done(void *arg, const struct hb_http_done *done)
{
	struct site *site = arg;

	if (done->req != NULL) {
		struct pieces *seen = done->req->user;

		free(site->last.data);
		site->last = *seen;
		free(seen);
		site->done++;
	}
	site->last_code = done->code;
	site->last_lost = done->lost;
	site->last_bytes = done->bytes;
	snprintf(site->last_reason, sizeof(site->last_reason), "%s",
	    done->reason != NULL ? done->reason : "");
	snprintf(site->last_peer, sizeof(site->last_peer), "%s",
	    done->peer_text);
}

static void
on_drained(void *arg, struct hb_http_request *req)
{
	struct site *site = arg;

	assert_ptr_equal(req, site->pieces);
	assert_int_equal(hb_http_backlog(req), 0);
	site->drained++;
}

static void
on_left(void *arg, struct hb_http_request *req)
{
	struct site *site = arg;

	assert_ptr_equal(req, site->pieces);
	assert_false(hb_http_piece(req, HB_SPAN("too late")));
	site->left++;
	site->pieces = NULL;
	hb_http_end(req);
}

const struct hb_http_handler site_handler = {
    .on_head = on_head,
    .on_data = on_data,
    .on_body = on_body,
    .on_done = on_done,
    .on_drained = on_drained,
    .on_left = on_left,
};

/* Answers the request held longest. */
void
site_release(struct site *site, int code)
{
	struct hb_http_request *req = site->held[0];

	assert_true(site->held_count > 0);
	site->held_count--;
	memmove(site->held, site->held + 1,
	    site->held_count * sizeof(site->held[0]));
	reply(req, code);
}

/* --- the site ------------------------------------------------------------- */

const struct hb_http_conf site_usual = {
    .head_size = 4096,
    .headers = 20,
    .target_size = 256,
    .body_size = 8 * MIB,
    .head_timeout_ms = 5000,
    .body_timeout_ms = 5000,
    .body_rate = 8192,
    .idle_timeout_ms = 5000,
    .linger_timeout_ms = 5000,
    .connections = 100,
    .connections_per_address = 90,
    .requests_per_connection = 1000,
};

/* Loopback, any port; of Unix sockets an address of the kernel's choice, in no
 * directory. */
static socklen_t
make_address(sa_family_t family, struct sockaddr_storage *addr)
{
	struct sockaddr_in *in = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;

	*addr = (struct sockaddr_storage){.ss_family = family};
	switch (family) {
	case AF_INET:
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*in);
	case AF_INET6:
		in6->sin6_addr = in6addr_loopback;
		return sizeof(*in6);
	default:
		return sizeof(sa_family_t);
	}
}

bool
site_has(sa_family_t family)
{
	struct sockaddr_storage addr;
	socklen_t len = make_address(family, &addr);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static void
listen_here(struct site *site, sa_family_t family)
{
	site->listen_fd =
	    socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(site->listen_fd >= 0);
	site->addr_len = make_address(family, &site->addr);
	assert_int_equal(bind(site->listen_fd, (struct sockaddr *)&site->addr,
			     site->addr_len),
	    0);
	assert_int_equal(listen(site->listen_fd, 128), 0);
	site->addr_len = sizeof(site->addr);
	assert_int_equal(getsockname(site->listen_fd,
			     (struct sockaddr *)&site->addr, &site->addr_len),
	    0);
}

void
site_open_at(struct site *site, const struct hb_http_conf *conf,
    uint64_t memory, sa_family_t family)
{
	*site = (struct site){.conf = *conf, .books = &site->budget};
	site->loop = hb_loop_new("test", NULL);
	assert_non_null(site->loop);
	hb_budget_init(&site->budget, memory);
	site->gate = hb_http_gate_new(&site->conf, &site->budget);
	site->server = hb_http_server_new(
	    site->loop, &site->conf, site->gate, &site_handler, site);
	listen_here(site, family);
	hb_http_server_listen(site->server, site->listen_fd, "test");
}

void
site_open(struct site *site, const struct hb_http_conf *conf)
{
	site_open_at(site, conf, 256 * MIB, AF_INET);
}

int64_t
site_metric(enum hb_metric_family family, const char *label, const char *reason)
{
	return hb_metric_value(
	    hb_metric_get(family, label, reason, NULL, NULL));
}

void
site_close(struct site *site)
{
	hb_http_server_free(site->server);
	while (site->held_count > 0)
		site_release(site, 200);
	close(site->listen_fd);
	assert_int_equal(site->begun, site->done);
	assert_int_equal(site->budget.used, 0);
	assert_int_equal(site->budget.unverified, 0);
	assert_int_equal(site_metric(HB_M_HTTP_CONNECTIONS, "test", NULL), 0);
	hb_http_gate_free(site->gate);
	hb_loop_free(site->loop);
	free(site->last.data);
}

void
site_turn_once(struct site *site)
{
	event_base_loop(hb_loop_base(site->loop), EVLOOP_NONBLOCK);
}

void
site_turn(struct site *site)
{
	for (int i = 0; i < 10; i++)
		site_turn_once(site);
}

void
site_wait(struct site *site, uint64_t since_ms, const char *what)
{
	if (hb_clock_mono_ms() - since_ms > SAFETY_MS)
		fail_msg("waited too long for %s", what);
	site_turn_once(site);
	usleep(200);
}

void
site_await_connections(struct site *site, size_t count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (hb_http_server_connections(site->server) != count)
		site_wait(site, since_ms, "connections to come or go");
}

struct conn *
site_newest(struct site *site)
{
	assert_false(hb_ring_is_empty(&site->server->conns));
	return hb_http_conn_of_ring(site->server->conns.prev);
}

/* --- clients -------------------------------------------------------------- */

struct client
client_open(struct site *site)
{
	struct client c = {.site = site};

	c.fd = socket(site->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c.fd >= 0);
	assert_int_equal(
	    connect(c.fd, (struct sockaddr *)&site->addr, site->addr_len), 0);
	site_turn(site);
	return c;
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	site_turn(c->site);
}

/* Closes with a reset. */
void
client_reset(struct client *c)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	client_close(c);
}

void
client_send(struct client *c, const char *data, size_t len)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (len > 0) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return; /* the server has had enough */
		}
		site_wait(c->site, since_ms, "the server to read");
	}
}

void
client_say(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
	site_turn(c->site);
}

void
client_drip(struct client *c, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		client_send(c, text + i, 1);
		site_turn(c->site);
	}
}

/* Takes what has come; false when there was nothing. */
bool
client_pull(struct client *c)
{
	static char buf[256 * 1024];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		c->eof = true;
		return false;
	}
	c->in = hb_xrealloc(c->in, c->in_len + (size_t)n);
	memcpy(c->in + c->in_len, buf, (size_t)n);
	c->in_len += (size_t)n;
	return true;
}

/* Takes an answer off the input, if it is complete. */
static bool
take_answer(struct client *c, bool without_body)
{
	char *end =
	    c->in_len > 0 ? memmem(c->in, c->in_len, "\r\n\r\n", 4) : NULL;
	size_t head_len, whole;
	const char *length;

	if (end == NULL)
		return false;
	head_len = (size_t)(end - c->in) + 4;
	assert_true(head_len < sizeof(c->head));
	memcpy(c->head, c->in, head_len);
	c->head[head_len] = '\0';
	assert_int_equal(strncmp(c->head, "HTTP/1.1 ", 9), 0);
	c->code = atoi(c->head + 9);
	length = strstr(c->head, "\r\nContent-Length: ");
	assert_true(length != NULL || c->code == 100);
	c->body_len =
	    length == NULL || without_body
		? 0
		: (size_t)atol(length + strlen("\r\nContent-Length: "));
	whole = head_len + c->body_len;
	if (c->in_len < whole)
		return false;
	c->in_len -= whole;
	memmove(c->in, c->in + whole, c->in_len);
	return true;
}

void
client_expect_to(struct client *c, int code, bool without_body)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (!take_answer(c, without_body)) {
		if (c->eof)
			fail_msg("closed instead of %d", code);
		site_wait(c->site, since_ms, "an answer");
		client_pull(c);
	}
	assert_int_equal(c->code, code);
}

void
client_expect(struct client *c, int code)
{
	client_expect_to(c, code, false);
}

/* Nothing but the end comes. */
void
client_expect_end(struct client *c)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (!c->eof) {
		site_wait(c->site, since_ms, "the end");
		client_pull(c);
	}
	assert_int_equal(c->in_len, 0);
}

void
client_expect_silence(struct client *c)
{
	site_turn(c->site);
	client_pull(c);
	assert_int_equal(c->in_len, 0);
	assert_false(c->eof);
}

bool
client_was_told(const struct client *c, const char *line)
{
	return strstr(c->head, line) != NULL;
}
