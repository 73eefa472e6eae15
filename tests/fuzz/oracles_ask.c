/* SPDX-License-Identifier: Apache-2.0 */
/* oracles_ask.c - starts the oracles, and waits for them as long as is decent
 */
#include "oracles.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

#define PATIENCE_MS 5000

static pid_t pid; /* 0: they do not run */
static int packets;

/* Beside our own program, where libtool or a copy may have put it. */
static void
find_program(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 16);
	char *slash;

	fuzz_require(len > 0);
	path[len] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash + 1, "oracles", sizeof("oracles"));
}

static void
start(void)
{
	char path[4096];
	int pair[2];

	find_program(path, sizeof(path));
	fuzz_require(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	pid = fork();
	fuzz_require(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pair[1], STDIN_FILENO);
		dup2(pair[1], STDOUT_FILENO);
		execl(path, path, (char *)NULL);
		perror(path);
		_exit(127);
	}
	close(pair[1]);
	packets = pair[0];
}

/* They have exited, spin or wait for what will not come. */
static void
stop(void)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		hb_bug("the oracles cannot be started");
	close(packets);
	pid = 0;
}

/* Whether the next answer says that it is a request with this body. */
enum verdict { NO_ANSWER, OTHERWISE, THE_SAME };

static enum verdict
hear(struct hb_span body)
{
	char packet[sizeof(struct oracle_answer) + ORACLES_MAX];
	struct pollfd poller = {.fd = packets, .events = POLLIN};
	struct oracle_answer head;
	ssize_t len = -1;

	if (poll(&poller, 1, PATIENCE_MS) == 1)
		len = recv(packets, packet, sizeof(packet), 0);
	if (len < (ssize_t)sizeof(head))
		return NO_ANSWER;
	memcpy(&head, packet, sizeof(head));
	fuzz_require((size_t)len == sizeof(head) + head.body_len);
	return head.accepts != 0 &&
		       hb_span_eq(
			   hb_span_make(packet + sizeof(head), head.body_len),
			   body)
		   ? THE_SAME
		   : OTHERWISE;
}

/* http-parser always answers: if not, they died of the request before. */
static enum verdict
ask(struct hb_span request, struct hb_span body)
{
	enum verdict verdict = NO_ANSWER;

	fuzz_require(request.len <= ORACLES_MAX);
	for (int i = 0; i < 3 && verdict == NO_ANSWER; i++) {
		if (pid == 0)
			start();
		if (send(packets, request.ptr, request.len, MSG_NOSIGNAL) > 0)
			verdict = hear(body);
		if (verdict == NO_ANSWER)
			stop();
	}
	if (verdict == NO_ANSWER)
		hb_bug("the oracles do not answer");
	return verdict;
}

unsigned
oracles_ask(struct hb_span request, struct hb_span body)
{
	enum verdict parser = ask(request, body), evhttp = hear(body);

	if (evhttp == NO_ANSWER)
		stop();
	return (parser == THE_SAME ? HTTP_PARSER : 0) |
	       (evhttp == THE_SAME ? EVHTTP : 0);
}
