/* SPDX-License-Identifier: Apache-2.0 */
/* test_daemon.c - starting, draining, stopping, with requests at every stage
 *
 * Each test runs the daemon in a child process, whose exit code is part of the
 * result, and talks to it over a Unix socket. Its events go to stdout, a pipe:
 * while nobody reads it, one larger than the pipe stays under way, until the
 * sink loses its patience after some seconds. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "hookbridge/clock.h"
#include "hookbridge/daemon.h"
#include "hookbridge/log.h"
#include "hookbridge/sink.h"
#include "http_client.h"

#define PATIENCE_MS 60000
#define NOT_STARTED 3
/* More than any pipe takes. */
#define LARGE ((size_t)400 * 1024)

/* --- the daemon ----------------------------------------------------------- */

struct daemon {
	char dir[64], config[96], socket[96], file[96];
	pid_t pid;
	int out; /* where its events come */
};

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* settings: of the section delivery; sink: a path, or - for the pipe. */
static void
configure(struct daemon *d, const char *settings, const char *sink)
{
	char path[128], text[2048];

	snprintf(d->dir, sizeof(d->dir), "/tmp/hb-daemon-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->config, sizeof(d->config), "%s/hookbridge.yaml", d->dir);
	snprintf(d->socket, sizeof(d->socket), "%s/public", d->dir);
	snprintf(d->file, sizeof(d->file), "%s/events.ndjson", d->dir);
	snprintf(path, sizeof(path), "%s/token", d->dir);
	write_text(path, HTTP_TOKEN "\n");
	snprintf(text, sizeof(text),
	    "listen: {address: \"unix:%s\"}\n"
	    "workers: 3\n"
	    "log: {level: error}\n"
	    "endpoints:\n"
	    "  e: {path: /e, mode: direct,\n"
	    "      token: {in: bearer, secret: \"file:token\"}}\n"
	    "sinks: {out: {type: file, path: \"%s\"}}\n"
	    "routes: [{to: {sink: out}}]\n"
	    "delivery: {%s}\n",
	    d->socket, strcmp(sink, "-") == 0 ? "-" : d->file, settings);
	write_text(d->config, text);
}

static void
run(const struct daemon *d)
{
	struct hb_config *cfg;
	struct hb_error err;
	sigset_t all;
	bool served;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	cfg = hb_config_load(d->config, hb_sink_types(), stderr);
	if (cfg == NULL)
		exit(EXIT_FAILURE);
	hb_log_init((enum hb_log_level)cfg->log.level, HB_LOG_KV);
	served = hb_daemon_run(cfg, &err);
	hb_config_unref(cfg);
	exit(served ? EXIT_SUCCESS : NOT_STARTED);
}

static void
launch(struct daemon *d)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fflush(NULL);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		run(d);
	}
	close(fds[1]);
	d->out = fds[0];
}

/* Waits, a little at a time, until `happened` says so. */
static void
await(const struct daemon *d, bool (*happened)(const struct daemon *d),
    const char *what)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (!happened(d)) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("waited too long for %s", what);
		usleep(1000);
	}
}

static bool
has_ended(const struct daemon *d)
{
	siginfo_t info = { .si_pid = 0 };

	assert_int_equal(waitid(P_PID, (id_t)d->pid, &info,
	    WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid != 0;
}

/* The end, as waitpid tells it. */
static int
status_of(struct daemon *d)
{
	int status;

	await(d, has_ended, "the end");
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	d->pid = 0;
	return status;
}

static void
expect_exit(struct daemon *d, int code)
{
	int status = status_of(d);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static void
remove_files(struct daemon *d)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/token", d->dir);
	unlink(path);
	unlink(d->config);
	unlink(d->socket);
	unlink(d->file);
	assert_int_equal(rmdir(d->dir), 0);
	close(d->out);
}

/* --- requests ------------------------------------------------------------- */

static bool
is_there(const struct daemon *d)
{
	int fd = http_try_connect(d->socket);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
is_gone(const struct daemon *d)
{
	return access(d->socket, F_OK) != 0;
}

static bool
send_job(int fd, const char *id, size_t size)
{
	char *body = http_job(id, size);
	bool sent = http_post(fd, "/e", body);

	free(body);
	return sent;
}

static void
expect_answer(int fd, int code, bool closing)
{
	struct http_answer answer;

	http_read_answer(fd, &answer);
	assert_int_equal(answer.code, code);
	assert_int_equal(answer.closing, closing);
}

static void
expect_closed(int fd)
{
	char byte;

	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

/* A request whose body is awaited: its head has been answered. */
static int
begin_request(const struct daemon *d, const char *body)
{
	int fd = http_connect(d->socket);
	struct http_answer answer;

	assert_true(http_send_head(fd, "/e", strlen(body),
	    "Expect: 100-continue\r\n"));
	http_read_head(fd, &answer);
	assert_int_equal(answer.code, 100);
	return fd;
}

/* --- events --------------------------------------------------------------- */

static bool
is_writing(const struct daemon *d)
{
	struct pollfd out = { .fd = d->out, .events = POLLIN };

	return poll(&out, 1, 0) > 0;
}

/* Reads lines from the pipe until one has ended. */
static void
read_line(const struct daemon *d)
{
	static char buf[65536];
	ssize_t n;

	do {
		n = read(d->out, buf, sizeof(buf));
		assert_true(n > 0);
	} while (memchr(buf, '\n', (size_t)n) == NULL);
}

/* A large event that stays under way until the pipe is read. */
static int
begin_event(const struct daemon *d)
{
	int fd = http_connect(d->socket);

	assert_true(send_job(fd, "large", LARGE));
	await(d, is_writing, "the event at its sink");
	return fd;
}

static void
tell_to_stop(const struct daemon *d)
{
	assert_int_equal(kill(d->pid, SIGTERM), 0);
	await(d, is_gone, "the listener to close");
}

static void
open_daemon(struct daemon *d, const char *settings, const char *sink)
{
	configure(d, settings, sink);
	launch(d);
	await(d, is_there, "the listener");
}

/* Whether the main loop has ended: then the kernel ends the process at
 * SIGTERM. */
static bool
has_left_its_loop(const struct daemon *d)
{
	unsigned long long caught = 0;
	char path[64], line[256];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	status = fopen(path, "re");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	fclose(status);
	return (caught >> (SIGTERM - 1) & 1) == 0;
}

/* --- starting ------------------------------------------------------------- */

static void
test_stops_when_idle(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };

	(void)state;
	for (size_t i = 0; i < HB_COUNT(signals); i++) {
		struct daemon d;
		int idle;

		open_daemon(&d, "", "-");
		idle = http_connect(d.socket);
		assert_int_equal(kill(d.pid, signals[i]), 0);
		expect_closed(idle);
		expect_exit(&d, EXIT_SUCCESS);
		assert_true(is_gone(&d));
		remove_files(&d);
	}
}

/* What another process serves is not taken from it. */
static void
test_does_not_start(void **state)
{
	struct daemon first, second;

	(void)state;
	open_daemon(&first, "", "-");
	second = first;
	launch(&second);
	expect_exit(&second, NOT_STARTED);
	assert_true(is_there(&first));
	close(second.out);
	tell_to_stop(&first);
	expect_exit(&first, EXIT_SUCCESS);
	remove_files(&first);
}

/* What a crash has left behind is in nobody's way. */
static void
test_starts_after_a_crash(void **state)
{
	struct daemon d;

	(void)state;
	open_daemon(&d, "", "-");
	assert_int_equal(kill(d.pid, SIGKILL), 0);
	assert_true(WIFSIGNALED(status_of(&d)));
	close(d.out);
	assert_false(is_gone(&d));
	launch(&d);
	await(&d, is_there, "the listener");
	tell_to_stop(&d);
	expect_exit(&d, EXIT_SUCCESS);
	remove_files(&d);
}

/* --- draining ------------------------------------------------------------- */

static void
test_drain_settles(void **state)
{
	struct daemon d;
	int fd;

	(void)state;
	open_daemon(&d, "", "-");
	fd = begin_event(&d);
	tell_to_stop(&d);
	assert_false(has_ended(&d));
	read_line(&d);
	expect_answer(fd, 200, true);
	expect_closed(fd);
	expect_exit(&d, EXIT_SUCCESS);
	remove_files(&d);
}

/* A request whose head has come before is served. */
static void
test_drain_serves(void **state)
{
	char *body = http_job("a", 1000);
	struct daemon d;
	int fd;

	(void)state;
	open_daemon(&d, "", "-");
	fd = begin_request(&d, body);
	tell_to_stop(&d);
	usleep(200000); /* in which it must not lose patience */
	assert_false(has_left_its_loop(&d));
	assert_true(http_send(fd, body, strlen(body)));
	expect_answer(fd, 200, true);
	expect_closed(fd);
	read_line(&d);
	expect_exit(&d, EXIT_SUCCESS);
	remove_files(&d);
	free(body);
}

/* Past drain_timeout what is under way is refused. */
static void
test_drain_times_out(void **state)
{
	struct daemon d;
	int fd;

	(void)state;
	open_daemon(&d, "drain_timeout: 50ms, ack_timeout: 50s, "
	    "hard_timeout: 60s", "-");
	fd = begin_event(&d);
	tell_to_stop(&d);
	expect_answer(fd, 503, true);
	expect_closed(fd);
	expect_exit(&d, EXIT_SUCCESS);
	remove_files(&d);
}

/* Who is still sending then is not waited for, nor is who says nothing. */
static void
test_drain_waits_for_nobody(void **state)
{
	char *body = http_job("a", 1000);
	struct daemon d;
	int sending, silent;

	(void)state;
	open_daemon(&d, "drain_timeout: 50ms", "-");
	sending = begin_request(&d, body);
	silent = http_connect(d.socket);
	assert_true(http_send(silent, "POST", 4));
	assert_true(http_send(sending, body, 500));
	tell_to_stop(&d);
	expect_answer(sending, 503, true);
	close(sending);
	expect_exit(&d, EXIT_SUCCESS);
	close(silent);
	remove_files(&d);
	free(body);
}

/* --- second signals ------------------------------------------------------- */

static void
test_second_signal(void **state)
{
	char *body = http_job("a", 1000);
	struct daemon d;
	int fd;

	(void)state;
	open_daemon(&d, "drain_timeout: 50s", "-");
	fd = begin_request(&d, body);
	tell_to_stop(&d);
	assert_false(has_ended(&d));
	assert_int_equal(kill(d.pid, SIGTERM), 0);
	expect_exit(&d, EXIT_FAILURE);
	close(fd);
	remove_files(&d);
	free(body);
}

/* It counts, too, when the main loop has ended and the sinks are waited for. */
static void
test_second_signal_while_flushing(void **state)
{
	struct daemon d;
	int status, fd;

	(void)state;
	open_daemon(&d, "drain_timeout: 50ms, ack_timeout: 50s, "
	    "hard_timeout: 60s", "-");
	fd = begin_event(&d);
	tell_to_stop(&d);
	await(&d, has_left_its_loop, "the main loop to end");
	assert_int_equal(kill(d.pid, SIGTERM), 0);
	status = status_of(&d);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	close(fd);
	remove_files(&d);
}

/* --- under load ----------------------------------------------------------- */

#define POSTS_MAX 100000

/* A client that posts one job after the other until nobody answers. */
struct client {
	const struct daemon *d;
	pthread_t thread;
	unsigned number, posted;
	size_t size;
	bool leaves; /* without waiting for the answer */
	bool acknowledged[POSTS_MAX];
	_Atomic unsigned count; /* of those acknowledged */
	bool strange;           /* an answer that must not be */
};

static void
post_one(struct client *c, int *fd)
{
	struct http_answer answer = { .code = 0 };
	unsigned n = c->posted++ % POSTS_MAX;
	char id[32];

	if (*fd < 0)
		*fd = http_try_connect(c->d->socket);
	if (*fd < 0)
		return;
	snprintf(id, sizeof(id), "job-%u-%u", c->number, n);
	if (send_job(*fd, id, c->size) && !c->leaves) {
		http_read_answer(*fd, &answer);
		c->strange |= answer.code != 0 && answer.code != 200 &&
		    answer.code != 503;
		c->acknowledged[n] |= answer.code == 200;
		c->count += answer.code == 200;
	}
	if (answer.code != 200 || answer.closing) {
		close(*fd);
		*fd = -1;
	}
}

static void *
on_client(void *arg)
{
	struct client *c = arg;
	int fd = -1;

	while (!is_gone(c->d))
		post_one(c, &fd);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static char *
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	char *text;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	text = hb_xmalloc((size_t)st.st_size + 1);
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		assert_true(n > 0);
		len += (size_t)n;
	}
	text[len] = '\0';
	close(fd);
	return text;
}

/* The job is in the file, as a whole line. */
static void
check_arrived(const char *text, unsigned client, unsigned n)
{
	char wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "{\"job_id\":\"job-%u-%u\",", client,
	    n);
	at = strstr(text, wanted);
	if (at == NULL || strchr(at, '\n') == NULL)
		fail_msg("acknowledged and not there: %s", wanted);
}

/* Told to stop in the middle of it all: ends well, and what it acknowledged is
 * there. Bodies go past the scanner, and some of their senders leave. */
static void
test_stops_under_load(void **state)
{
	static const struct client fresh[] = { { .size = 100 },
		{ .size = 2000 }, { .size = 1500000 },
		{ .size = 1500000, .leaves = true } };
	static struct client clients[HB_COUNT(fresh)];
	struct daemon d;
	char *text;

	(void)state;
	for (int round = 0; round < 3; round++) {
		/* The last time with no patience at all. */
		open_daemon(&d, round < 2 ? "" : "drain_timeout: 1ms", "file");
		for (unsigned i = 0; i < HB_COUNT(clients); i++) {
			struct client *c = &clients[i];

			*c = fresh[i];
			c->d = &d;
			c->number = i;
			assert_int_equal(pthread_create(&c->thread, NULL,
			    on_client, c), 0);
		}
		while (clients[0].count < 20 || clients[2].count < 2)
			usleep(1000);
		assert_int_equal(kill(d.pid, SIGTERM), 0);
		for (size_t i = 0; i < HB_COUNT(clients); i++)
			pthread_join(clients[i].thread, NULL);
		expect_exit(&d, EXIT_SUCCESS);
		text = read_file(d.file);
		for (unsigned i = 0; i < HB_COUNT(clients); i++) {
			assert_false(clients[i].strange);
			for (unsigned n = 0; n < clients[i].posted; n++)
				if (clients[i].acknowledged[n])
					check_arrived(text, i, n);
		}
		free(text);
		remove_files(&d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stops_when_idle),
		cmocka_unit_test(test_does_not_start),
		cmocka_unit_test(test_starts_after_a_crash),
		cmocka_unit_test(test_drain_settles),
		cmocka_unit_test(test_drain_serves),
		cmocka_unit_test(test_drain_times_out),
		cmocka_unit_test(test_drain_waits_for_nobody),
		cmocka_unit_test(test_second_signal),
		cmocka_unit_test(test_second_signal_while_flushing),
		cmocka_unit_test(test_stops_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
