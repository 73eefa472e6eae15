/* SPDX-License-Identifier: Apache-2.0 */
/* redis_peer.h - Redis servers for unit tests, a real one and a hostile one
 *
 * The real one is redis-server (or the same program by the name it has in
 * Debian's redis-tools) in a directory of its own, with a socket there and a
 * port on loopback. The oracle is hiredis on a connection of its own. The
 * hostile one is a thread of the test that logs clients in as they expect and
 * then says what the test tells it to. */
#ifndef HOOKBRIDGE_TESTS_REDIS_PEER_H
#define HOOKBRIDGE_TESTS_REDIS_PEER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "sink_contract.h"

#define REDIS_STREAMS_MAX 8

/* What a stream has been seen to hold. */
struct redis_seen {
	char name[64], last_id[48];
	redisReply **entries;
	size_t count;
};

struct redis_peer {
	char dir[64], path[80], program[128];
	char unix_url[96], tcp_address[32];
	unsigned port;
	pid_t pid;
	redisContext *oracle;
	struct redis_seen seen[REDIS_STREAMS_MAX];
};

/* --- the server ----------------------------------------------------------- */

/* false: it is not installed. */
static inline bool
redis_find_program(char *out, size_t size)
{
	static const char *const names[] = {"redis-server", "redis-check-rdb"};
	const char *path = getenv("PATH");

	for (size_t i = 0; path != NULL && i < HB_COUNT(names); i++)
		for (const char *dir = path; *dir != '\0';
		     dir += strcspn(dir, ":"), dir += *dir == ':') {
			snprintf(out, size, "%.*s/%s", (int)strcspn(dir, ":"),
			    dir, names[i]);
			if (access(out, X_OK) == 0)
				return true;
		}
	return false;
}

static inline unsigned
redis_free_port(void)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	return ntohs(addr.sin_port);
}

static inline void
redis_exec(const struct redis_peer *peer)
{
	char port[16];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	snprintf(port, sizeof(port), "%u", peer->port);
	/* It looks at the name it was called by. */
	execl(peer->program, "redis-server", "--port", port, "--bind",
	    "127.0.0.1", "--unixsocket", peer->path, "--dir", peer->dir,
	    "--save", "", "--appendonly", "no", (char *)NULL);
	_exit(127);
}

/* Waits until the server answers. */
static inline void
redis_open_oracle(struct redis_peer *peer)
{
	uint64_t since_ms = hb_clock_mono_ms();

	for (;;) {
		redisReply *reply = NULL;

		peer->oracle = redisConnectUnix(peer->path);
		if (peer->oracle != NULL && peer->oracle->err == 0)
			reply = redisCommand(peer->oracle, "PING");
		if (reply != NULL && reply->type == REDIS_REPLY_STATUS) {
			freeReplyObject(reply);
			return;
		}
		freeReplyObject(reply);
		if (peer->oracle != NULL)
			redisFree(peer->oracle);
		if (!contract_wait(since_ms))
			fail_msg("%s does not answer", peer->program);
	}
}

static inline void
redis_peer_up(void *arg)
{
	struct redis_peer *peer = arg;

	peer->pid = fork();
	assert_true(peer->pid >= 0);
	if (peer->pid == 0)
		redis_exec(peer);
	redis_open_oracle(peer);
}

static inline void
redis_peer_down(void *arg)
{
	struct redis_peer *peer = arg;

	redisFree(peer->oracle);
	peer->oracle = NULL;
	kill(peer->pid, SIGKILL);
	waitpid(peer->pid, NULL, 0);
	unlink(peer->path);
}

/* The server neither runs nor closes; when this returns it does not run. */
static inline void
redis_peer_pause(struct redis_peer *peer)
{
	int status;

	assert_int_equal(kill(peer->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(peer->pid, &status, WUNTRACED), peer->pid);
	assert_true(WIFSTOPPED(status));
}

static inline void
redis_peer_resume(struct redis_peer *peer)
{
	assert_int_equal(kill(peer->pid, SIGCONT), 0);
}

static inline bool
redis_peer_open(struct redis_peer *peer)
{
	*peer = (struct redis_peer){.dir = "/tmp/hb-redis-XXXXXX"};
	if (!redis_find_program(peer->program, sizeof(peer->program)))
		return false;
	assert_non_null(mkdtemp(peer->dir));
	snprintf(peer->path, sizeof(peer->path), "%s/socket", peer->dir);
	snprintf(peer->unix_url, sizeof(peer->unix_url), "unix:%s", peer->path);
	peer->port = redis_free_port();
	snprintf(peer->tcp_address, sizeof(peer->tcp_address), "127.0.0.1:%u",
	    peer->port);
	redis_peer_up(peer);
	return true;
}

/* --- the oracle ----------------------------------------------------------- */

/* Gives the server a command; the reply by freeReplyObject(). */
static inline redisReply *redis_ask(
    struct redis_peer *peer, const char *fmt, ...) HB_PRINTF(2, 3);

static inline redisReply *
redis_ask(struct redis_peer *peer, const char *fmt, ...)
{
	redisReply *reply;
	va_list args;

	va_start(args, fmt);
	reply = redisvCommand(peer->oracle, fmt, args);
	va_end(args);
	if (reply == NULL)
		fail_msg("%s: %s", fmt, peer->oracle->errstr);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", fmt, reply->str);
	return reply;
}

/* The same where only an integer, or nothing of the reply, matters. */
#define redis_do(peer, ...)                                        \
	__extension__({                                            \
		redisReply *reply_ = redis_ask(peer, __VA_ARGS__); \
		long long num_ = reply_->integer;                  \
		freeReplyObject(reply_);                           \
		num_;                                              \
	})

static inline struct redis_seen *
redis_seen_of(struct redis_peer *peer, const char *name)
{
	for (size_t i = 0; i < REDIS_STREAMS_MAX; i++) {
		struct redis_seen *seen = &peer->seen[i];

		if (seen->name[0] == '\0') {
			snprintf(seen->name, sizeof(seen->name), "%s", name);
			strcpy(seen->last_id, "0");
		}
		if (strcmp(seen->name, name) == 0)
			return seen;
	}
	fail_msg("too many streams");
	return NULL;
}

/* Takes in what has been added by now. */
static inline void
redis_look(struct redis_peer *peer, struct redis_seen *seen)
{
	redisReply *reply;

	if (peer->oracle == NULL)
		return;
	reply = redis_ask(peer, "XRANGE %s (%s +", seen->name, seen->last_id);
	for (size_t i = 0; i < reply->elements; i++) {
		seen->entries = hb_xreallocarray(seen->entries, seen->count + 1,
		    sizeof(struct redisReply *));
		seen->entries[seen->count++] = reply->element[i];
		snprintf(seen->last_id, sizeof(seen->last_id), "%s",
		    reply->element[i]->element[0]->str);
		reply->element[i] = NULL;
	}
	freeReplyObject(reply);
}

static inline bool
redis_is(const redisReply *reply, struct hb_span text)
{
	return hb_span_eq(hb_span_make(reply->str, reply->len), text);
}

/* Every header in order, then the value, and nothing else. */
static inline bool
redis_same(const redisReply *entry, const struct hb_message *msg)
{
	const redisReply *fields = entry->element[1];
	size_t n = 2 * msg->header_count;

	if (fields->elements != n + 2 ||
	    !redis_is(fields->element[n], HB_SPAN("data")) ||
	    !redis_is(fields->element[n + 1], msg->value))
		return false;
	for (size_t i = 0; i < msg->header_count; i++)
		if (!redis_is(fields->element[2 * i], msg->headers[i].name) ||
		    !redis_is(
			fields->element[2 * i + 1], msg->headers[i].value))
			return false;
	return true;
}

static inline size_t
redis_peer_arrived(void *arg, const struct hb_message *msg)
{
	struct redis_peer *peer = arg;
	struct redis_seen *seen = redis_seen_of(peer, msg->dest->name);

	/* What has not been looked at yet is asked for only when needed. */
	for (int look = 0; look < 2; look++) {
		size_t count = 0;

		for (size_t i = 0; i < seen->count; i++)
			count += redis_same(seen->entries[i], msg);
		if (count > 0)
			return count;
		if (look == 0)
			redis_look(peer, seen);
	}
	return 0;
}

static inline void
redis_forget_seen(struct redis_peer *peer)
{
	for (size_t i = 0; i < REDIS_STREAMS_MAX; i++) {
		struct redis_seen *seen = &peer->seen[i];

		for (size_t j = 0; j < seen->count; j++)
			freeReplyObject(seen->entries[j]);
		free(seen->entries);
		*seen = (struct redis_seen){.count = 0};
	}
}

/* A replica leaves what it has been sent. */
static inline void
redis_remove_files(const struct redis_peer *peer)
{
	DIR *dir = opendir(peer->dir);
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

static inline void
redis_peer_close(struct redis_peer *peer)
{
	redis_peer_down(peer);
	redis_forget_seen(peer);
	redis_remove_files(peer);
	rmdir(peer->dir);
}

/* --- the hostile server --------------------------------------------------- */

#define FAKE_CLIENTS 16
#define FAKE_ROLE "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define FAKE_CLOSE "!" /* an answer: none, and the end */

/* What it says, and when. */
struct fake_manners {
	const char *role;  /* NULL: FAKE_ROLE */
	const char *nonce; /* instead of the one it was asked for */
	const char *ping;  /* at all, instead of a nonce, at the login */
	const char *auth;  /* to AUTH; NULL: there is none */
	/* Behind the login of the first client, and to every XADD and EVAL;
	 * flood: so many bytes of 'x' follow that. */
	const char *greeting, *answer;
	size_t flood;
	const char *const *answers; /* instead of answer, one after the other */
	size_t answer_count;
	const char *evalsha; /* NULL: like XADD */
	const char *wait;    /* to WAIT; NULL: none */
	const char *del;     /* to DEL; NULL: none */
	bool deaf;   /* reads no further when it has begun to read an XADD */
	bool closes; /* after its answer */
	size_t silent_after; /* PINGs; 0: answers all of them */
	size_t honest_for;   /* PINGs, before `nonce` is used */
};

struct fake_client {
	int fd;
	bool known, deaf;
	char in[65536];
	size_t len;
};

struct fake_redis {
	struct fake_manners manners;
	char dir[64], path[80], url[96];
	int fd, stop_fds[2];
	pthread_t thread;
	_Atomic unsigned accepted, adds, scripts, waits, dels, pings;
	_Atomic int last_fd; /* of the last command but PING */
	struct fake_client clients[FAKE_CLIENTS];
};

static inline void
fake_say(struct fake_client *client, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* they hung up: that is what tests want */
		text += n;
		len -= (size_t)n;
	}
}

static inline void
fake_say_text(struct fake_client *client, const char *text)
{
	if (text != NULL)
		fake_say(client, text, strlen(text));
}

/* One of its answers, which may be to hang up. */
static inline void
fake_say_answer(struct fake_client *client, const char *text)
{
	if (text != NULL && strcmp(text, FAKE_CLOSE) == 0) {
		shutdown(client->fd, SHUT_RDWR);
		client->deaf = true;
		return;
	}
	fake_say_text(client, text);
}

static inline void
fake_answer_ping(
    struct fake_redis *fake, struct fake_client *client, const char *nonce)
{
	const struct fake_manners *manners = &fake->manners;
	unsigned pings = atomic_fetch_add(&fake->pings, 1) + 1;

	if (manners->silent_after > 0 && pings > manners->silent_after)
		return;
	if (!client->known) {
		fake_say_text(client, manners->auth);
		fake_say_text(
		    client, manners->role != NULL ? manners->role : FAKE_ROLE);
		fake_say_text(client, "+OK\r\n"); /* the name */
	}
	if (manners->nonce != NULL && pings > manners->honest_for)
		nonce = manners->nonce;
	if (manners->ping != NULL && !client->known) {
		fake_say_text(client, manners->ping);
	} else {
		fake_say_text(client, "$16\r\n");
		fake_say(client, nonce, 16);
		fake_say_text(client, "\r\n");
	}
	if (!client->known)
		fake_say_text(client, manners->greeting);
	client->known = true;
}

static inline void
fake_answer_add(struct fake_redis *fake, struct fake_client *client)
{
	const struct fake_manners *manners = &fake->manners;
	unsigned adds = atomic_fetch_add(&fake->adds, 1);
	static char flood[4096];

	memset(flood, 'x', sizeof(flood));
	client->deaf = manners->deaf;
	fake_say_answer(client,
	    manners->answers != NULL
		? manners->answers[adds % manners->answer_count]
		: manners->answer);
	for (size_t said = 0; said < manners->flood; said += sizeof(flood))
		fake_say(client, flood, sizeof(flood));
	if (manners->closes)
		shutdown(client->fd, SHUT_RDWR);
}

static inline void
fake_answer_script(struct fake_redis *fake, struct fake_client *client)
{
	atomic_fetch_add(&fake->scripts, 1);
	if (fake->manners.evalsha != NULL)
		fake_say_answer(client, fake->manners.evalsha);
	else
		fake_answer_add(fake, client);
}

static inline void
fake_answer_wait(struct fake_redis *fake, struct fake_client *client)
{
	atomic_fetch_add(&fake->waits, 1);
	fake_say_answer(client, fake->manners.wait);
}

static inline void
fake_answer_del(struct fake_redis *fake, struct fake_client *client)
{
	atomic_fetch_add(&fake->dels, 1);
	fake_say_answer(client, fake->manners.del);
}

enum fake_word {
	FAKE_PING,
	FAKE_XADD,
	FAKE_EVAL,
	FAKE_EVALSHA,
	FAKE_WAIT,
	FAKE_DEL
};

/* The first of the commands it understands; NULL when there is none. */
static inline char *
fake_find(const struct fake_client *client, enum fake_word *word)
{
	static const char *const words[] = {[FAKE_PING] = "PING\r\n$16\r\n",
	    [FAKE_XADD] = "\r\nXADD\r\n",
	    [FAKE_EVAL] = "\r\nEVAL\r\n",
	    [FAKE_EVALSHA] = "\r\nEVALSHA\r\n",
	    [FAKE_WAIT] = "\r\nWAIT\r\n",
	    [FAKE_DEL] = "\r\nDEL\r\n"};
	char *first = NULL;

	for (unsigned i = 0; i < HB_COUNT(words); i++) {
		char *found = memmem(
		    client->in, client->len, words[i], strlen(words[i]));

		if (found == NULL || (first != NULL && found > first))
			continue;
		first = found;
		*word = (enum fake_word)i;
	}
	return first;
}

/* Answers what has been read; understands no more than it must. */
static inline void
fake_answer(struct fake_redis *fake, struct fake_client *client)
{
	enum fake_word word = FAKE_PING;
	char *found;

	while (!client->deaf && (found = fake_find(client, &word)) != NULL) {
		char *nonce = found + strlen("PING\r\n$16\r\n");

		if (word == FAKE_PING &&
		    client->in + client->len < nonce + 18)
			return; /* the rest comes */
		memset(found, '.', 7); /* no longer a command */
		if (word != FAKE_PING)
			atomic_store(&fake->last_fd, client->fd);
		if (word == FAKE_PING)
			fake_answer_ping(fake, client, nonce);
		else if (word == FAKE_EVALSHA)
			fake_answer_script(fake, client);
		else if (word == FAKE_WAIT)
			fake_answer_wait(fake, client);
		else if (word == FAKE_DEL)
			fake_answer_del(fake, client);
		else
			fake_answer_add(fake, client);
	}
	if (client->len > sizeof(client->in) / 2) { /* a long value */
		memmove(client->in, client->in + client->len - 64, 64);
		client->len = 64;
	}
}

static inline void
fake_read(struct fake_redis *fake, struct fake_client *client)
{
	ssize_t n = recv(client->fd, client->in + client->len,
	    sizeof(client->in) - client->len, 0);

	if (n <= 0) {
		close(client->fd);
		*client = (struct fake_client){.fd = -1};
		return;
	}
	client->len += (size_t)n;
	fake_answer(fake, client);
}

static inline void
fake_accept(struct fake_redis *fake)
{
	int fd = accept4(fake->fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; i < FAKE_CLIENTS; i++)
		if (fake->clients[i].fd < 0) {
			fake->clients[i].fd = fd;
			atomic_fetch_add(&fake->accepted, 1);
			return;
		}
	close(fd);
}

static inline void *
fake_main(void *arg)
{
	struct fake_redis *fake = arg;

	for (;;) {
		struct pollfd fds[FAKE_CLIENTS + 2] = {
		    {.fd = fake->stop_fds[0], .events = POLLIN},
		    {.fd = fake->fd, .events = POLLIN}};

		for (size_t i = 0; i < FAKE_CLIENTS; i++)
			fds[i + 2] = (struct pollfd){.fd = fake->clients[i].fd,
			    .events = fake->clients[i].deaf ? 0 : POLLIN};
		poll(fds, HB_COUNT(fds), -1);
		if (fds[0].revents != 0)
			return NULL;
		for (size_t i = 0; i < FAKE_CLIENTS; i++)
			if (fds[i + 2].revents != 0)
				fake_read(fake, &fake->clients[i]);
		if (fds[1].revents != 0)
			fake_accept(fake);
	}
}

/* Says something to the client whose command came last, unasked. Its own
 * thread has nothing to say meanwhile. */
static inline void
fake_tell(struct fake_redis *fake, const char *text)
{
	struct fake_client client = {.fd = atomic_load(&fake->last_fd)};

	fake_say_text(&client, text);
}

static inline void
fake_open(struct fake_redis *fake, const struct fake_manners *manners)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	*fake = (struct fake_redis){
	    .manners = *manners, .dir = "/tmp/hb-fake-XXXXXX"};
	for (size_t i = 0; i < FAKE_CLIENTS; i++)
		fake->clients[i].fd = -1;
	assert_non_null(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof(fake->path), "%s/socket", fake->dir);
	snprintf(fake->url, sizeof(fake->url), "unix:%s", fake->path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", fake->path);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(fake->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fake->fd, 16), 0);
	assert_int_equal(pipe2(fake->stop_fds, O_CLOEXEC), 0);
	assert_int_equal(
	    pthread_create(&fake->thread, NULL, fake_main, fake), 0);
}

static inline void
fake_close(struct fake_redis *fake)
{
	close(fake->stop_fds[1]);
	pthread_join(fake->thread, NULL);
	for (size_t i = 0; i < FAKE_CLIENTS; i++)
		if (fake->clients[i].fd >= 0)
			close(fake->clients[i].fd);
	close(fake->stop_fds[0]);
	close(fake->fd);
	unlink(fake->path);
	rmdir(fake->dir);
}

#endif
