/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h - posts jobs over a Unix socket, as a sender in direct mode
 *
 * Blocking, for daemons and workers that run in other threads or processes.
 * The token is HTTP_TOKEN, as bearer. */
#ifndef HOOKBRIDGE_TESTS_HTTP_CLIENT_H
#define HOOKBRIDGE_TESTS_HTTP_CLIENT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hookbridge/mem.h"

#define HTTP_TOKEN "0123456789abcdef0123456789abcdef"
#define HTTP_PATIENCE_S 60

/* -1: nobody listens there. */
static inline int
http_try_connect(const char *path)
{
	struct timeval patience = { .tv_sec = HTTP_PATIENCE_S };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(strlen(path) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, path, strlen(path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int
http_connect(const char *path)
{
	int fd = http_try_connect(path);

	assert_true(fd >= 0);
	return fd;
}

/* False when the peer has closed. */
static inline bool
http_send(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* more: header lines, with their ends. */
static inline bool
http_send_head(int fd, const char *target, size_t length, const char *more)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\n"
	    "Authorization: Bearer " HTTP_TOKEN "\r\n"
	    "Content-Length: %zu\r\n%s\r\n", target, length, more);

	return http_send(fd, head, (size_t)n);
}

static inline bool
http_post(int fd, const char *target, const char *body)
{
	size_t len = strlen(body);

	return http_send_head(fd, target, len, "") &&
	    http_send(fd, body, len);
}

/* A completed job with a result of that size; malloc'ed. */
static inline char *
http_job(const char *id, size_t size)
{
	char *body = hb_xmalloc(size + 128);
	int n = snprintf(body, 128, "{\"job_id\":\"%s\",\"status\":"
	    "\"Completed\",\"result\":\"", id);

	memset(body + n, 'x', size);
	memcpy(body + (size_t)n + size, "\"}", 3);
	return body;
}

struct http_answer {
	int code; /* 0: closed before it was complete */
	bool closing;
	char head[1024], body[1024];
};

/* What comes until a blank line. */
static inline void
http_read_head(int fd, struct http_answer *answer)
{
	size_t len = 0;

	*answer = (struct http_answer){ .code = 0 };
	while (len + 1 < sizeof(answer->head)) {
		if (recv(fd, answer->head + len, 1, 0) <= 0)
			return;
		answer->head[++len] = '\0';
		if (len >= 4 &&
		    strcmp(answer->head + len - 4, "\r\n\r\n") == 0) {
			answer->code =
			    atoi(answer->head + strlen("HTTP/1.1 "));
			return;
		}
	}
}

static inline void
http_read_answer(int fd, struct http_answer *answer)
{
	const char *length;
	size_t size, len = 0;

	http_read_head(fd, answer);
	if (answer->code == 0)
		return;
	answer->closing = strstr(answer->head, "Connection: close") != NULL;
	length = strstr(answer->head, "Content-Length: ");
	assert_non_null(length);
	size = (size_t)atol(length + strlen("Content-Length: "));
	assert_true(size < sizeof(answer->body));
	while (len < size) {
		ssize_t n = recv(fd, answer->body + len, size - len, 0);

		if (n <= 0) {
			answer->code = 0;
			return;
		}
		len += (size_t)n;
	}
}

#endif
