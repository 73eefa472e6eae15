/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - one socket for each address, shared by all workers
 *
 * A Unix socket's file that nobody answers on is left from a crash and is
 * replaced; one that answers belongs to a living daemon and is not. */
#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hookbridge/log.h"

#define BACKLOG 1024
#define UNIX_PREFIX "unix:"

static bool
is_unix(const char *address)
{
	return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

static bool
fail(int fd, const char *address, const char *what, struct hb_error *err)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	return hb_fail(err, HB_E_IO, "listen %s: %s: %s", address, what,
	    strerror(saved));
}

/* --- Unix sockets --------------------------------------------------------- */

static bool
somebody_answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered = fd >= 0 &&
	    connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	if (fd >= 0)
		close(fd);
	return answered;
}

/* Removes a dead socket, and nothing but a socket. */
static bool
clear_path(const struct sockaddr_un *addr, const char *address,
    struct hb_error *err)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) != 0)
		return errno == ENOENT || fail(-1, address, "stat", err);
	if (!S_ISSOCK(st.st_mode))
		return hb_fail(err, HB_E_CONFIG,
		    "listen %s: a file that is not a socket is in the way",
		    address);
	if (somebody_answers(addr))
		return hb_fail(err, HB_E_IO,
		    "listen %s: another process serves this socket", address);
	return unlink(addr->sun_path) == 0 ||
	    fail(-1, address, "unlink", err);
}

static bool
open_unix(struct hb_listener *listener, const char *address,
    struct hb_error *err)
{
	const char *path = address + strlen(UNIX_PREFIX);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return hb_fail(err, HB_E_CONFIG,
		    "listen %s: a socket's path has at most %zu bytes", address,
		    sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	if (!clear_path(&addr, address, err))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(fd, address, "socket", err);
	mask = umask(0117); /* 0660 from the first moment */
	rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (rc != 0)
		return fail(fd, address, "bind", err);
	if (listen(fd, BACKLOG) != 0)
		return fail(fd, address, "listen", err);
	listener->fd = fd;
	hb_log(HB_LOG_INFO, "listen.open", HB_F_STR("address", address));
	return true;
}

/* --- TCP ------------------------------------------------------------------ */

/* "[::1]:80" and "host:80" to their parts. */
static bool
split(const char *address, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t len;

	if (colon == NULL || colon == address || colon[1] == '\0')
		return false;
	len = (size_t)(colon - address);
	if (address[0] == '[' && colon[-1] == ']') {
		address++;
		len -= 2;
	}
	if (len >= size)
		return false;
	memcpy(host, address, len);
	host[len] = '\0';
	*port = colon + 1;
	return true;
}

static void
log_bound(int fd, const char *address)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[64] = "", port[8] = "";

	if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
		(void)getnameinfo((struct sockaddr *)&addr, len, host,
		    sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	hb_log(HB_LOG_INFO, "listen.open", HB_F_STR("address", address),
	    HB_F_STR("host", host), HB_F_STR("port", port));
}

static bool
bind_first(struct hb_listener *listener, const struct addrinfo *ai,
    const char *address, struct hb_error *err)
{
	const int on = 1;
	int fd = socket(ai->ai_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(fd, address, "socket", err);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return fail(fd, address, "SO_REUSEADDR", err);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0)
		return fail(fd, address, "bind", err);
	if (listen(fd, BACKLOG) != 0)
		return fail(fd, address, "listen", err);
	listener->fd = fd;
	log_bound(fd, address);
	return true;
}

static bool
open_tcp(struct hb_listener *listener, const char *address,
    struct hb_error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	struct addrinfo *found;
	char host[256];
	const char *port;
	bool opened;
	int rc;

	if (!split(address, host, sizeof(host), &port))
		return hb_fail(err, HB_E_CONFIG,
		    "listen %s: expected host:port or [v6]:port", address);
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return hb_fail(err, HB_E_IO, "listen %s: %s", address,
		    gai_strerror(rc));
	opened = bind_first(listener, found, address, err);
	freeaddrinfo(found);
	return opened;
}

bool
hb_listener_open(struct hb_listener *listener, const char *address,
    struct hb_error *err)
{
	*listener = (struct hb_listener){ .address = address, .fd = -1 };
	return is_unix(address) ? open_unix(listener, address, err)
				: open_tcp(listener, address, err);
}

void
hb_listener_close(struct hb_listener *listener)
{
	if (listener->fd < 0)
		return;
	/* While it still answers: a successor that finds it dead replaces it,
	 * and it would be the successor's that we remove. */
	if (is_unix(listener->address))
		unlink(listener->address + strlen(UNIX_PREFIX));
	close(listener->fd);
	listener->fd = -1;
	hb_log(HB_LOG_INFO, "listen.close",
	    HB_F_STR("address", listener->address));
}
