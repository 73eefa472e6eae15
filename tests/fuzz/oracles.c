/* SPDX-License-Identifier: Apache-2.0 */
/* oracles.c - what evhttp and http-parser make of a request
 *
 * Reads packets from stdin, each a request; writes two packets for each to
 * stdout. Behind the request both are given a second one: whoever finds that
 * one right behind the first agrees on the length. */
#include "oracles.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char second[] = "GET /second HTTP/1.1\r\nHost: test\r\n\r\n";
#define SECOND_LEN (sizeof(second) - 1)

/* What an oracle says of the request at hand. */
static struct {
	struct oracle_answer head;
	char body[ORACLES_MAX];
} answer;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
take_body(const char *data, size_t len)
{
	if (len > sizeof(answer.body) - answer.head.body_len)
		return;
	memcpy(answer.body + answer.head.body_len, data, len);
	answer.head.body_len += (uint32_t)len;
}

static void
tell(void)
{
	size_t len = sizeof(answer.head) + answer.head.body_len;

	if (write(STDOUT_FILENO, &answer, len) != (ssize_t)len)
		exit(0); /* nobody asks any more */
}

/* --- http-parser ---------------------------------------------------------- */

static int
on_parser_body(http_parser *parser, const char *at, size_t len)
{
	(void)parser;
	take_body(at, len);
	return 0;
}

static int
on_parser_complete(http_parser *parser)
{
	answer.head.accepts = parser->method == HTTP_POST;
	http_parser_pause(parser, 1);
	return 0;
}

static void
ask_parser(const char *text, size_t len)
{
	static const http_parser_settings settings = {
	    .on_body = on_parser_body,
	    .on_message_complete = on_parser_complete,
	};
	http_parser parser;
	size_t parsed;

	memset(&answer.head, 0, sizeof(answer.head));
	http_parser_init(&parser, HTTP_REQUEST);
	parsed =
	    http_parser_execute(&parser, &settings, text, len + SECOND_LEN);
	/* Paused at the last byte of the message. */
	if (HTTP_PARSER_ERRNO(&parser) != HPE_PAUSED || parsed != len)
		answer.head.accepts = 0;
}

/* --- evhttp --------------------------------------------------------------- */

static struct event_base *base;
static struct sockaddr_in address = {.sin_family = AF_INET};
static unsigned requests; /* of the connection at hand */

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(in);

	(void)arg;
	if (++requests == 1) {
		if (len > 0)
			take_body((char *)evbuffer_pullup(in, -1), len);
	} else {
		answer.head.accepts =
		    requests == 2 &&
		    strcmp(evhttp_request_get_uri(req), "/second") == 0;
		event_base_loopbreak(base);
	}
	if (requests == 1 && evhttp_request_get_command(req) != EVHTTP_REQ_POST)
		requests = 99; /* whatever comes then */
	evhttp_send_reply(req, 200, "OK", NULL);
}

static void
start_evhttp(void)
{
	struct evhttp_bound_socket *bound;
	socklen_t len = sizeof(address);
	struct evhttp *http;

	base = event_base_new();
	http = base != NULL ? evhttp_new(base) : NULL;
	if (http == NULL)
		die("evhttp_new");
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
				 (struct sockaddr *)&address, &len) != 0)
		die("evhttp_bind_socket");
	evhttp_set_max_body_size(http, ORACLES_MAX);
	evhttp_set_max_headers_size(http, ORACLES_MAX);
	evhttp_set_allowed_methods(http, 0xffff);
	evhttp_set_gencb(http, on_request, NULL);
}

/* The server has said its last word, or it is silent. */
static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	char buf[4096];

	(void)arg;
	if ((what & EV_TIMEOUT) != 0 || recv(fd, buf, sizeof(buf), 0) <= 0)
		event_base_loopbreak(base);
}

static void
ask_evhttp(const char *text, size_t len)
{
	const struct timeval silence = {0, 500000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct event *client;

	memset(&answer.head, 0, sizeof(answer.head));
	requests = 0;
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("connect");
	/* It all fits into the socket's buffer. */
	if (send(fd, text, len + SECOND_LEN, MSG_NOSIGNAL) < 0)
		die("send");
	client = event_new(base, fd, EV_READ | EV_PERSIST, on_client, NULL);
	event_add(client, &silence);
	event_base_dispatch(base);
	event_free(client);
	close(fd);
	/* So that the server notices. */
	event_base_loop(base, EVLOOP_NONBLOCK);
}

int
main(void)
{
	static char text[ORACLES_MAX + SECOND_LEN];
	ssize_t len;

	start_evhttp();
	while ((len = read(STDIN_FILENO, text, ORACLES_MAX)) > 0) {
		memcpy(text + len, second, SECOND_LEN);
		ask_parser(text, (size_t)len);
		tell();
		ask_evhttp(text, (size_t)len);
		tell();
	}
	return 0;
}
