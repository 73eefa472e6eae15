/* SPDX-License-Identifier: Apache-2.0 */
/* admin_rig.h - an admin with a store, claims, dedup and two sinks, asked over
 * a real Unix socket
 *
 * Its loop has a thread of its own, clients block in the test's. Who does what
 * operators ask is not here: hb_redeliver_begin() is ours, and keeps a job
 * until the test lets it end, or ends it as office.verdict says. Sinks have a
 * health and no more, and a spool is as full as office.state says. Whoever
 * includes this is linked with
 *
 *   --wrap=hb_redeliver_begin --wrap=hb_deliver_in_flight
 *   --wrap=hb_sinks_of --wrap=hb_sinks_forget --wrap=hb_store_stats */
#ifndef HOOKBRIDGE_TESTS_ADMIN_RIG_H
#define HOOKBRIDGE_TESTS_ADMIN_RIG_H

#include "store_rig.h"

#include <errno.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include "hookbridge/admin.h"
#include "hookbridge/claim.h"
#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/redeliver.h"
#include "hookbridge/sink.h"
#include "hookbridge/tail.h"

#define PATIENCE_S 60

/* Says how a job ends; NULL: it is held. */
typedef void verdict_fn(struct hb_redeliver_job *job);

static struct office {
	struct depot depot;
	struct hb_loop *loop, *helper;
	struct hb_budget budget;
	struct hb_claims *claims;
	struct hb_dedup *dedup;
	struct hb_tail *tail;
	struct hb_sink sinks[DEPOT_SINKS];
	_Atomic bool draining;
	const struct hb_config *shown; /* to the admin */
	struct hb_admin *admin;
	int listen_fd;
	struct sockaddr_un addr;
	socklen_t addr_len;

	verdict_fn *verdict;
	_Atomic int state[2]; /* enum hb_spool_state, by kind */
	pthread_mutex_t lock; /* of what follows */
	struct hb_redeliver_job *held[128];
	size_t held_count, most_held;
	char forgotten[64]; /* by the sinks */
} office;

/* --- what is not here ----------------------------------------------------- */

static const struct hb_sink_ops office_ops = { .type = { .name = "test" } };

void __wrap_hb_redeliver_begin(struct hb_redeliver *redeliver,
    struct hb_redeliver_job *job);
unsigned __wrap_hb_deliver_in_flight(const void *deliver);
struct hb_sink *__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest);
void __wrap_hb_sinks_forget(const struct hb_sinks *sinks,
    struct hb_span endpoint, struct hb_span id);

void __real_hb_store_stats(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats);
void __wrap_hb_store_stats(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats);

void
__wrap_hb_store_stats(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats)
{
	__real_hb_store_stats(store, kind, stats);
	stats->state = (enum hb_spool_state)office.state[kind];
	if (stats->state != HB_SPOOL_OK)
		snprintf(stats->why, sizeof(stats->why), "%s", "as it is told");
}

static inline void
on_job_task(struct hb_task *task)
{
	struct hb_redeliver_job *job =
	    hb_container_of(task, struct hb_redeliver_job, task);

	job->done(job);
}

/* From any thread, as the real one's. */
static inline void
end_job(struct hb_redeliver_job *job)
{
	job->task.run = on_job_task;
	hb_loop_post(job->home, &job->task);
}

void
__wrap_hb_redeliver_begin(struct hb_redeliver *redeliver,
    struct hb_redeliver_job *job)
{
	(void)redeliver;
	assert_ptr_equal(job->home, office.loop);
	if (office.verdict != NULL) {
		office.verdict(job);
		end_job(job);
		return;
	}
	pthread_mutex_lock(&office.lock);
	assert_true(office.held_count < HB_COUNT(office.held));
	office.held[office.held_count++] = job;
	if (office.held_count > office.most_held)
		office.most_held = office.held_count;
	pthread_mutex_unlock(&office.lock);
}

unsigned
__wrap_hb_deliver_in_flight(const void *deliver)
{
	(void)deliver;
	return 7;
}

struct hb_sink *
__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest)
{
	(void)sinks;
	return &office.sinks[dest->sink->index];
}

void
__wrap_hb_sinks_forget(const struct hb_sinks *sinks, struct hb_span endpoint,
    struct hb_span id)
{
	(void)sinks;
	pthread_mutex_lock(&office.lock);
	snprintf(office.forgotten, sizeof(office.forgotten), "%.*s:%.*s",
	    HB_SPAN_ARG(endpoint), HB_SPAN_ARG(id));
	pthread_mutex_unlock(&office.lock);
}

/* Waits until so many jobs are held. */
static inline void
await_held(size_t count)
{
	for (;;) {
		size_t now;

		pthread_mutex_lock(&office.lock);
		now = office.held_count;
		pthread_mutex_unlock(&office.lock);
		if (now >= count)
			return;
		usleep(1000);
	}
}

/* Ends the job held longest. */
static inline void
release_job(verdict_fn *verdict)
{
	struct hb_redeliver_job *job;

	pthread_mutex_lock(&office.lock);
	assert_true(office.held_count > 0);
	job = office.held[0];
	memmove(office.held, office.held + 1,
	    --office.held_count * sizeof(office.held[0]));
	pthread_mutex_unlock(&office.lock);
	verdict(job);
	end_job(job);
}

/* --- opening and closing -------------------------------------------------- */

/* An address of the kernel's choice, which everybody may connect to. */
static inline void
office_bind(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	office.listen_fd = socket(
	    AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(office.listen_fd >= 0);
	assert_int_equal(bind(office.listen_fd, (struct sockaddr *)&addr,
			     sizeof(sa_family_t)), 0);
	assert_int_equal(listen(office.listen_fd, 128), 0);
	office.addr_len = sizeof(office.addr);
	assert_int_equal(getsockname(office.listen_fd,
			     (struct sockaddr *)&office.addr,
			     &office.addr_len), 0);
}

struct office_call {
	struct hb_task task;
	void (*run)(void);
	_Atomic bool over;
};

static inline void
on_office_call(struct hb_task *task)
{
	struct office_call *call =
	    hb_container_of(task, struct office_call, task);

	call->run();
	atomic_store(&call->over, true);
}

/* Runs it on the admin's loop, and waits. */
static inline void
on_loop(void (*run)(void))
{
	struct office_call call = { .task.run = on_office_call, .run = run };

	hb_loop_post(office.loop, &call.task);
	while (!atomic_load(&call.over))
		usleep(500);
}

static inline void
office_listen(void)
{
	hb_admin_listen(office.admin, office.listen_fd, "admin");
}

static inline void
office_close_admin(void)
{
	hb_admin_close(office.admin);
}

static inline void
office_make_sinks(void)
{
	const struct hb_sink_env env = { .cfg = &office.depot.cfg };

	for (size_t i = 0; i < DEPOT_SINKS; i++)
		hb_sink_init(&office.sinks[i], &office_ops,
		    &office.depot.sinks[i], &env, HB_UP);
}

static inline void
office_make_parts(void)
{
	struct hb_config *cfg = &office.depot.cfg;
	struct hb_error err;

	cfg->claims = (struct hb_claims_conf){
		.directory = hb_arena_printf(office.depot.arena, "%s/claims",
		    office.depot.directory).ptr,
		.max_size = 64 * DEPOT_MIB,
		.max_age_ms = 86400 * 1000,
	};
	cfg->dedup = (struct hb_dedup_conf){ 60 * 1000, 1000 };
	cfg->file = "/etc/test.yaml";
	office.claims = hb_claims_open(cfg, office.helper, &err);
	assert_non_null(office.claims);
	office.dedup = hb_dedup_new(cfg, office.helper, &err);
	assert_non_null(office.dedup);
}

static inline void
office_new_admin(bool has_store)
{
	struct hb_error err;

	office.admin = hb_admin_new(&(struct hb_admin_env){
	    .cfg = office.shown,
	    .loop = office.loop,
	    .budget = &office.budget,
	    .claims = has_store ? office.claims : NULL,
	    .dedup = office.dedup,
	    .store = has_store ? office.depot.store : NULL,
	    .tail = office.tail,
	    .draining = &office.draining }, &err);
	assert_non_null(office.admin);
}

/* depot_init() came before, and what the test wants otherwise. */
static inline void
office_start(bool has_store)
{
	if (office.shown == NULL)
		office.shown = &office.depot.cfg;
	pthread_mutex_init(&office.lock, NULL);
	office.verdict = NULL;
	office.state[HB_SHELF_DELIVERIES] = HB_SPOOL_OK;
	office.state[HB_SHELF_DEAD] = HB_SPOOL_OK;
	office.held_count = office.most_held = 0;
	office.forgotten[0] = '\0';
	office.draining = false;
	depot_open(&office.depot);
	office.loop = hb_loop_new("admin", NULL);
	office.helper = hb_loop_new("helper", NULL);
	office.tail = hb_tail_new();
	office.budget = (struct hb_budget){ .limit = 1000 };
	office_make_sinks();
	office_make_parts();
	office_new_admin(has_store);
	office_bind();
	assert_true(hb_loop_start(office.helper, NULL));
	assert_true(hb_loop_start(office.loop, NULL));
	on_loop(office_listen);
}

static inline void
office_open(void)
{
	depot_init(&office.depot);
	office_start(true);
}

static inline void
office_close(void)
{
	on_loop(office_close_admin);
	assert_int_equal(hb_admin_in_flight(office.admin), 0);
	hb_loop_stop(office.loop);
	hb_loop_join(office.loop);
	hb_loop_stop(office.helper);
	hb_loop_join(office.helper);
	hb_admin_free(office.admin);
	hb_loop_free(office.loop);
	hb_claims_close(office.claims);
	hb_loop_free(office.helper);
	hb_dedup_free(office.dedup);
	hb_tail_free(office.tail);
	for (size_t i = 0; i < DEPOT_SINKS; i++)
		hb_sink_fini(&office.sinks[i]);
	close(office.listen_fd);
	office.shown = NULL;
	depot_end(&office.depot);
}

/* --- asking --------------------------------------------------------------- */

static inline int
dial(void)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&office.addr,
			     office.addr_len), 0);
	return fd;
}

static inline void
say(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the server has had enough */
		text += n;
		len -= (size_t)n;
	}
}

struct answer {
	int code;
	char *text; /* all of it */
	char *body; /* within */
	size_t len; /* of the body */
};

/* Everything until the connection ends. */
static inline struct answer
hear(int fd)
{
	struct answer a = { .text = NULL };
	size_t len = 0, size = 4096;
	ssize_t n;

	a.text = hb_xmalloc(size + 1);
	while ((n = recv(fd, a.text + len, size - len, 0)) > 0) {
		len += (size_t)n;
		if (len == size)
			a.text = hb_xrealloc(a.text, (size *= 2) + 1);
	}
	assert_true(n == 0 || errno == ECONNRESET || errno == EPIPE);
	a.text[len] = '\0';
	close(fd);
	a.body = strstr(a.text, "\r\n\r\n");
	assert_non_null(a.body);
	a.body += 4;
	a.len = len - (size_t)(a.body - a.text);
	a.code = atoi(a.text + strlen("HTTP/1.1 "));
	return a;
}

/* more: header lines, with their ends; a body is announced as JSON. */
static inline int
begin_asking(const char *method, const char *target, const char *more,
    const char *body)
{
	char head[8192];
	int fd = dial();

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: hookbridge\r\n"
	    "Connection: close\r\n%s", method, target, more);
	say(fd, head);
	if (body != NULL) {
		snprintf(head, sizeof(head), "Content-Length: %zu\r\n%s",
		    strlen(body), strstr(more, "Content-Type") != NULL ? ""
		    : "Content-Type: application/json\r\n");
		say(fd, head);
	}
	say(fd, "\r\n");
	if (body != NULL)
		say(fd, body);
	return fd;
}

static inline struct answer
get(const char *target)
{
	return hear(begin_asking("GET", target, "", NULL));
}

static inline struct answer
post(const char *target, const char *body)
{
	return hear(begin_asking("POST", target, "", body));
}

static inline void
forget(struct answer *a)
{
	free(a->text);
	a->text = NULL;
}

/* The document of an answer with that code; for json_decref(). */
static inline json_t *
take_doc(struct answer a, int code)
{
	json_error_t error;
	json_t *doc;

	if (a.code != code)
		fail_msg("expected %d, got: %s", code, a.text);
	doc = json_loadb(a.body, a.len, JSON_REJECT_DUPLICATES, &error);
	if (doc == NULL)
		fail_msg("%s: %s", error.text, a.body);
	forget(&a);
	return doc;
}

/* What stands at a path like "dead.0.reason", as JSON; static. */
static inline const char *
at(const json_t *doc, const char *path)
{
	static char texts[4][4096];
	static unsigned next;
	char *out = texts[next++ % 4], copy[256], *rest = copy, *part;
	char *text;

	snprintf(copy, sizeof(copy), "%s", path);
	while (doc != NULL && (part = strsep(&rest, ".")) != NULL)
		doc = json_is_array(doc)
		    ? json_array_get(doc, (size_t)atoi(part))
		    : json_object_get(doc, part);
	text = doc != NULL
	    ? json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	snprintf(out, sizeof(texts[0]), "%s", text != NULL ? text : "-");
	free(text);
	return out;
}

#define expect_at(doc, path, text) assert_string_equal(at(doc, path), text)

#endif
