/* SPDX-License-Identifier: Apache-2.0 */
/* test_exchange.c - one webhook after the other through two workers, from the
 * socket to sinks that do what the test says
 *
 * Each worker has a socket of its own, so that a test decides on whose loop a
 * request is. After each test the books are added up: what was asked, what was
 * answered, what was counted. */
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/http.h"
#include "hookbridge/intake.h"
#include "hookbridge/log.h"
#include "hookbridge/tracker.h"

#include "fake_sink.h"
#include "http_client.h"

#define PATIENCE_MS 60000
#define WORKERS 2

/* --- the site ------------------------------------------------------------- */

struct tasked {
	struct hb_task task;
	void (*run)(void *arg);
	void *arg;
	sem_t done;
};

struct site {
	char dir[64];
	struct hb_config *cfg;
	struct fakes fakes;
	struct fake *a, *b, *dead;
	struct hb_budget budget;
	struct hb_http_gate *gate;
	struct hb_dedup *dedup;
	struct hb_deliver *deliver;
	struct hb_intake *intake;
	struct hb_loop *scanner, *loops[WORKERS];
	struct hb_intake_worker *workers[WORKERS];
	char sockets[WORKERS][96];
	int listeners[WORKERS];
	unsigned posted; /* requests with a complete head */
	struct sums {
		int64_t requests, good, events, deliveries;
	} before;
};

static void
write_text(const struct site *site, const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", site->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Endpoints /e, /twice (without dedup); routes by metadata.to: "a", "b" or
 * both. more: further sections. */
static struct hb_config *
load(struct site *site, const char *more)
{
	struct hb_config *cfg;
	char text[4096], path[128], *said = NULL;
	size_t said_len;
	FILE *report = open_memstream(&said, &said_len);

	snprintf(site->dir, sizeof(site->dir), "/tmp/hb-exchange-XXXXXX");
	assert_non_null(mkdtemp(site->dir));
	write_text(site, "token", HTTP_TOKEN "\n");
	snprintf(text, sizeof(text),
	    "listen: {address: \"127.0.0.1:1\"}\n"
	    "endpoints:\n"
	    "  e: {path: /e, mode: direct,\n"
	    "      token: {in: bearer, secret: \"file:token\"}}\n"
	    "  twice: {path: /twice, mode: direct, dedup: false,\n"
	    "      token: {in: bearer, secret: \"file:token\"}}\n"
	    "sinks:\n"
	    "  a: {type: file, path: /a}\n"
	    "  b: {type: file, path: /b}\n"
	    "  dead: {type: file, path: /dead}\n"
	    "routes:\n"
	    "  - {when: {metadata.to: [b, both]}, to: {sink: b}}\n"
	    "  - {when: {metadata.to: both}, to: {sink: a}}\n"
	    "  - {default: true, to: {sink: a}}\n"
	    "dead_letter: {sink: dead}\n"
	    "%s", more);
	write_text(site, "hookbridge.yaml", text);
	snprintf(path, sizeof(path), "%s/hookbridge.yaml", site->dir);
	cfg = hb_config_load(path, hb_sink_types(), report);
	fclose(report);
	if (cfg == NULL) /* it warns of the common token, too */
		fail_msg("%s", said);
	free(said);
	return cfg;
}

static int
listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(addr.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void
open_worker(struct site *site, size_t i)
{
	char name[16];

	snprintf(name, sizeof(name), "worker-%zu", i);
	snprintf(site->sockets[i], sizeof(site->sockets[i]), "%s/%s",
	    site->dir, name);
	site->loops[i] = hb_loop_new(name, NULL);
	site->workers[i] = hb_intake_worker_new(site->intake, site->loops[i]);
	site->listeners[i] = listen_at(site->sockets[i]);
	hb_intake_worker_listen(site->workers[i], site->listeners[i], name);
	assert_true(hb_loop_start(site->loops[i], NULL));
}

/* --- the books ------------------------------------------------------------ */

static int64_t
counted(enum hb_metric_family family, const char *l1, const char *l2,
    const char *l3)
{
	return hb_metric_value(hb_metric_get(family, l1, l2, l3, NULL));
}

static int64_t
requests(const char *endpoint, const char *code)
{
	return counted(HB_M_HTTP_REQUESTS, endpoint, code, NULL);
}

static int64_t
events(const char *endpoint, const char *outcome)
{
	static const char *const statuses[] = { "completed", "failed",
		"cancelled", "other" };
	int64_t sum = 0;

	for (size_t i = 0; i < HB_COUNT(statuses); i++)
		sum += counted(HB_M_EVENTS, endpoint, statuses[i], outcome);
	return sum;
}

static const char *
label_of(const struct site *site, size_t sink)
{
	for (size_t i = 0; i < site->cfg->dest_count; i++)
		if (site->cfg->dests[i]->sink->index == sink)
			return site->cfg->dests[i]->label;
	fail_msg("sink %zu has no destination", sink);
	return NULL;
}

static struct sums
add_up(const struct site *site)
{
	static const char *const endpoints[] = { "e", "twice", "-" };
	static const char *const codes[] = { "200", "202", "400", "401", "404",
		"405", "411", "413", "415", "499", "503" };
	static const char *const outcomes[] = { "confirmed", "dead_lettered",
		"duplicate" };
	static const char *const ends[] = { "confirmed", "dead_lettered",
		"failed" };
	struct sums sums = { 0, 0, 0, 0 };

	for (size_t i = 0; i < HB_COUNT(endpoints); i++)
		for (size_t j = 0; j < HB_COUNT(codes); j++) {
			int64_t n = requests(endpoints[i], codes[j]);

			sums.requests += n;
			sums.good += codes[j][0] == '2' ? n : 0;
		}
	for (size_t i = 0; i + 1 < HB_COUNT(endpoints); i++)
		for (size_t j = 0; j < HB_COUNT(outcomes); j++)
			sums.events += events(endpoints[i], outcomes[j]);
	for (size_t i = 0; i < site->cfg->sink_count; i++)
		for (size_t j = 0; j < HB_COUNT(ends); j++)
			sums.deliveries += counted(HB_M_DELIVERIES,
			    site->cfg->sinks[i].name, label_of(site, i),
			    ends[j]);
	return sums;
}

/* Received = answered, good answers = events by outcome, sent = deliveries by
 * their end; nothing is under way, and nothing held. */
static void
check_books(const struct site *site)
{
	struct sums now = add_up(site);
	unsigned sent = 0;

	assert_int_equal(now.requests - site->before.requests, site->posted);
	assert_int_equal(now.good - site->before.good,
	    now.events - site->before.events);
	for (size_t i = 0; i < site->fakes.count; i++)
		sent += site->fakes.items[i].sent_count;
	assert_int_equal(now.deliveries - site->before.deliveries, sent);
	for (size_t i = 0; i < site->cfg->sink_count; i++)
		assert_int_equal(counted(HB_M_DELIVERIES_PENDING,
		    site->cfg->sinks[i].name, label_of(site, i), NULL), 0);
	assert_int_equal(counted(HB_M_EVENTS_IN_FLIGHT, NULL, NULL, NULL), 0);
	assert_int_equal(site->budget.used, 0);
	assert_int_equal(site->budget.unverified, 0);
}

/* --- opening and closing -------------------------------------------------- */

static void
site_open(struct site *site, const char *more)
{
	struct hb_sink_conf *confs[3];

	*site = (struct site){ .posted = 0 };
	site->cfg = load(site, more);
	for (size_t i = 0; i < HB_COUNT(confs); i++)
		confs[i] = &site->cfg->sinks[i];
	fakes_open(&site->fakes, site->cfg, confs, HB_COUNT(confs));
	site->a = &site->fakes.items[0];
	site->b = &site->fakes.items[1];
	site->dead = &site->fakes.items[2];
	hb_budget_init(&site->budget, site->cfg->memory);
	site->gate = hb_http_gate_new(&site->cfg->http, &site->budget);
	site->dedup = hb_dedup_new(site->cfg, NULL, NULL);
	site->deliver = hb_deliver_new(&(struct hb_deliver_env){
	    .cfg = site->cfg,
	    .sinks = fakes_as_sinks(&site->fakes),
	    .dedup = site->dedup,
	    .budget = &site->budget });
	site->scanner = hb_loop_new("scanner", NULL);
	site->intake = hb_intake_new(&(struct hb_intake_env){
	    .cfg = site->cfg,
	    .deliver = site->deliver,
	    .dedup = site->dedup,
	    .budget = &site->budget,
	    .gate = site->gate,
	    .scanner = site->scanner });
	site->before = add_up(site);
	assert_true(hb_loop_start(site->scanner, NULL));
	for (size_t i = 0; i < WORKERS; i++)
		open_worker(site, i);
}

static void
on_tasked(struct hb_task *task)
{
	struct tasked *t = hb_container_of(task, struct tasked, task);

	t->run(t->arg);
	sem_post(&t->done);
}

/* Runs it on the loop and waits for that. */
static void
run_on(struct hb_loop *loop, void (*run)(void *arg), void *arg)
{
	struct tasked t = { .task = { .run = on_tasked }, .run = run,
		.arg = arg };

	sem_init(&t.done, 0, 0);
	hb_loop_post(loop, &t.task);
	while (sem_wait(&t.done) != 0)
		;
	sem_destroy(&t.done);
}

static void
close_worker(void *arg)
{
	hb_intake_worker_close(arg);
}

static void
await_idle(struct site *site)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (hb_deliver_in_flight(site->deliver) > 0) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("%u events in flight",
			    hb_deliver_in_flight(site->deliver));
		usleep(1000);
	}
}

static void
remove_files(struct site *site)
{
	static const char *const names[] = { "token", "hookbridge.yaml",
		"worker-0", "worker-1" };
	char path[128];

	for (size_t i = 0; i < HB_COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", site->dir, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(site->dir), 0);
}

/* As the daemon does it: connections, what is under way, loops, the rest. */
static void
site_close(struct site *site)
{
	for (size_t i = 0; i < WORKERS; i++)
		run_on(site->loops[i], close_worker, site->workers[i]);
	await_idle(site);
	for (size_t i = 0; i < WORKERS; i++) {
		hb_loop_stop(site->loops[i]);
		hb_loop_join(site->loops[i]);
		hb_intake_worker_free(site->workers[i]);
		hb_loop_free(site->loops[i]);
		close(site->listeners[i]);
	}
	hb_loop_stop(site->scanner);
	hb_loop_join(site->scanner);
	hb_loop_free(site->scanner);
	check_books(site);
	hb_intake_free(site->intake);
	hb_deliver_free(site->deliver);
	hb_dedup_free(site->dedup);
	hb_http_gate_free(site->gate);
	fakes_close(&site->fakes);
	assert_int_equal(site->cfg->refs, 1);
	hb_config_unref(site->cfg);
	remove_files(site);
}

/* --- requests ------------------------------------------------------------- */

static void
do_nothing(void *arg)
{
	(void)arg;
}

/* The workers are done with everything that was answered before. */
static int
post(struct site *site, size_t worker, const char *target, const char *body)
{
	int fd = http_connect(site->sockets[worker]);

	for (size_t i = 0; i < WORKERS; i++)
		run_on(site->loops[i], do_nothing, NULL);
	assert_true(http_post(fd, target, body));
	site->posted++;
	return fd;
}

/* A job of that id, to a, b or both. */
static int
post_job(struct site *site, size_t worker, const char *id, const char *to)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"job_id\":\"%s\",\"status\":"
	    "\"Completed\",\"metadata\":{\"to\":\"%s\"}}", id, to);
	return post(site, worker, "/e", body);
}

/* outcome: NULL for a refusal. */
static void
expect(int fd, int code, const char *outcome)
{
	struct http_answer answer;
	char wanted[64];

	http_read_answer(fd, &answer);
	close(fd);
	assert_int_equal(answer.code, code);
	if (outcome == NULL) {
		assert_null(strstr(answer.body, "outcome"));
		return;
	}
	snprintf(wanted, sizeof(wanted), "\"outcome\":\"%s\"", outcome);
	assert_non_null(strstr(answer.body, wanted));
}

static void
expect_later(int fd)
{
	struct http_answer answer;

	http_read_answer(fd, &answer);
	close(fd);
	assert_int_equal(answer.code, 503);
	assert_non_null(strstr(answer.head, "\r\nRetry-After: "));
}

static void
await_held(struct fake *fake, size_t count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (fake_held(fake) < count) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("%s does not get it", fake->sink.conf->name);
		usleep(1000);
	}
	assert_int_equal(fake_held(fake), count);
}

/* Waits until so many events are in flight, and the worker has gone as far
 * with each as it can. */
static void
await_in_flight(struct site *site, size_t worker, unsigned count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (hb_deliver_in_flight(site->deliver) < count) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("too few events in flight");
		usleep(1000);
	}
	run_on(site->loops[worker], do_nothing, NULL);
}

/* --- one by one ----------------------------------------------------------- */

static void
test_outcomes(void **state)
{
	static const struct {
		enum hb_report of_a, of_b;
		int code;
		const char *outcome;
	} cases[] = {
		{ HB_REPORT_CONFIRMED, HB_REPORT_CONFIRMED, 200, "confirmed" },
		{ HB_REPORT_CONFIRMED, HB_REPORT_REFUSED, 202,
		    "dead-lettered" },
		{ HB_REPORT_REFUSED, HB_REPORT_REFUSED, 202, "dead-lettered" },
		{ HB_REPORT_CONFIRMED, HB_REPORT_RETRY, 503, NULL },
		{ HB_REPORT_UNKNOWN, HB_REPORT_REFUSED, 503, NULL },
	};
	struct site site;

	(void)state;
	site_open(&site, "");
	site.a->answers = site.b->answers = site.dead->answers = true;
	site.dead->answer = HB_REPORT_CONFIRMED;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char id[16];

		snprintf(id, sizeof(id), "job-%zu", i);
		site.a->answer = cases[i].of_a;
		site.b->answer = cases[i].of_b;
		expect(post_job(&site, i % WORKERS, id, "both"), cases[i].code,
		    cases[i].outcome);
		site.a->answer = site.b->answer = HB_REPORT_CONFIRMED;
		/* The retry: settled is settled, the rest is sent again. */
		expect(post_job(&site, i % WORKERS, id, "both"), 200,
		    cases[i].outcome != NULL ? "duplicate" : "confirmed");
	}
	site_close(&site);
}

static void
test_refusals_are_counted(void **state)
{
	static const struct {
		const char *request;
		int code;
	} cases[] = {
		{ "POST /nowhere HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: 0\r\n\r\n", 404 },
		{ "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET /e HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "PATCH /e HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "TRACE /e HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
		  "Content-Type: text/plain\r\n\r\n", 415 },
		{ "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
		    401 },
		{ "POST /e HTTP/1.1\r\nHost: x\r\n"
		  "Authorization: Bearer " HTTP_TOKEN "\r\n\r\n", 411 },
		{ "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n"
		  "Authorization: Bearer " HTTP_TOKEN "\r\n\r\n", 413 },
		{ "POST /e HTTP/1.1\r\n\r\n", 400 },
	};
	struct site site;

	(void)state;
	site_open(&site, "");
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int fd = http_connect(site.sockets[0]);

		assert_true(http_send(fd, cases[i].request,
		    strlen(cases[i].request)));
		site.posted++;
		expect(fd, cases[i].code, NULL);
	}
	site_close(&site);
}

/* When connections run out, those stay whose sender is known, even from a
 * webhook that could not be settled; who failed to verify is a stranger. */
static void
test_known_senders_stay(void **state)
{
	struct site site;
	struct http_answer answer;
	int known, refused, strangers[20];
	char end;

	(void)state;
	site_open(&site, "http: {connections: 10}\n");
	site.a->answers = true;
	site.a->answer = HB_REPORT_RETRY;
	known = post_job(&site, 0, "job", "a");
	http_read_answer(known, &answer);
	assert_int_equal(answer.code, 503);
	refused = http_connect(site.sockets[0]);
	assert_true(http_send_head(refused, "/nowhere", 0, ""));
	site.posted++;
	http_read_answer(refused, &answer);
	assert_int_equal(answer.code, 404);
	for (size_t i = 0; i < HB_COUNT(strangers); i++)
		strangers[i] = http_connect(site.sockets[0]);
	assert_int_equal(recv(refused, &end, 1, 0), 0);
	assert_int_equal(recv(strangers[0], &end, 1, 0), 0);
	site.a->answer = HB_REPORT_CONFIRMED;
	assert_true(http_post(known, "/e", "{\"job_id\":\"job\"}"));
	site.posted++;
	expect(known, 200, "confirmed");
	close(refused);
	for (size_t i = 0; i < HB_COUNT(strangers); i++)
		close(strangers[i]);
	site_close(&site);
}

static void
test_unusable(void **state)
{
	struct site site;

	(void)state;
	site_open(&site, "");
	site.dead->answers = true;
	site.dead->answer = HB_REPORT_CONFIRMED;
	expect(post(&site, 0, "/e", "hello"), 202, "dead-lettered");
	expect(post(&site, 1, "/e", "hello"), 200, "duplicate");
	expect(post(&site, 1, "/e", "[]"), 202, "dead-lettered");
	assert_int_equal(site.dead->sent_count, 2);
	assert_int_equal(site.a->sent_count, 0);
	site_close(&site);
}

/* Without dedup every delivery is an event, and none is remembered. */
static void
test_without_dedup(void **state)
{
	struct site site;
	int first, second;

	(void)state;
	site_open(&site, "");
	first = post(&site, 0, "/twice", "{\"job_id\":\"a\"}");
	second = post(&site, 1, "/twice", "{\"job_id\":\"a\"}");
	await_held(site.a, 2);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(first, 200, "confirmed");
	expect(second, 200, "confirmed");
	/* Nor is another body a conflict. */
	first = post(&site, 0, "/twice", "{\"job_id\":\"a\", \"x\":1}");
	await_held(site.a, 1);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(first, 200, "confirmed");
	first = post(&site, 0, "/twice", "{\"job_id\":\"a\"}");
	await_held(site.a, 1);
	fake_report(site.a, 0, HB_REPORT_RETRY, NULL);
	expect_later(first);
	assert_int_equal(counted(HB_M_DEDUP_ENTRIES, NULL, NULL, NULL), 0);
	site_close(&site);
}

/* --- the same identity ---------------------------------------------------- */

/* Another on each loop waits with the first and shares its answer. */
static void
test_joined(void **state)
{
	static const struct {
		enum hb_report report;
		int code;
		const char *outcome;
	} cases[] = {
		{ HB_REPORT_CONFIRMED, 200, "confirmed" },
		{ HB_REPORT_REFUSED, 202, "dead-lettered" },
		{ HB_REPORT_UNKNOWN, 503, NULL },
	};
	struct site site;

	(void)state;
	site_open(&site, "");
	site.dead->answers = true;
	site.dead->answer = HB_REPORT_CONFIRMED;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int64_t duplicates = events("e", "duplicate");
		int64_t hits = counted(HB_M_DEDUP_HITS, "e", NULL, NULL);
		bool good = cases[i].outcome != NULL;
		int fds[3];
		char id[16];

		snprintf(id, sizeof(id), "job-%zu", i);
		fds[0] = post_job(&site, 0, id, "a");
		await_held(site.a, 1);
		fds[1] = post_job(&site, 1, id, "a");
		await_in_flight(&site, 1, 2);
		fds[2] = post_job(&site, 0, id, "a");
		await_in_flight(&site, 0, 3);
		assert_int_equal(fake_held(site.a), 1);
		fake_report(site.a, 0, cases[i].report, NULL);
		for (size_t j = 0; j < HB_COUNT(fds); j++)
			expect(fds[j], cases[i].code, cases[i].outcome);
		await_idle(&site);
		assert_int_equal(events("e", "duplicate") - duplicates,
		    good ? 2 : 0);
		assert_int_equal(counted(HB_M_DEDUP_HITS, "e", NULL, NULL) -
		    hits, good ? 2 : 0);
	}
	site_close(&site);
}

/* Another body under an identity that nobody signed: set aside, whether the
 * first is under way or settled. */
static void
test_conflict(void **state)
{
	int64_t letters =
	    counted(HB_M_DEAD_LETTERS, "conflict", NULL, NULL);
	struct site site;
	int first;

	(void)state;
	site_open(&site, "");
	site.dead->answers = true;
	site.dead->answer = HB_REPORT_CONFIRMED;
	first = post(&site, 0, "/e", "{\"job_id\":\"a\"}");
	await_held(site.a, 1);
	expect(post(&site, 1, "/e", "{\"job_id\":\"a\",\"x\":1}"), 202,
	    "dead-lettered");
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(first, 200, "confirmed");
	expect(post(&site, 1, "/e", "{\"job_id\":\"a\",\"x\":1}"), 202,
	    "dead-lettered");
	/* The true repetition is one all the same. */
	expect(post(&site, 1, "/e", "{\"job_id\":\"a\"}"), 200, "duplicate");
	/* Another status is another event. */
	site.a->answers = true;
	site.a->answer = HB_REPORT_CONFIRMED;
	expect(post(&site, 1, "/e", "{\"job_id\":\"a\",\"status\":\"x\"}"),
	    200, "confirmed");
	assert_int_equal(counted(HB_M_DEAD_LETTERS, "conflict", NULL, NULL),
	    letters + 2);
	site_close(&site);
}

static void
test_dedup_is_full(void **state)
{
	struct site site;
	int first;

	(void)state;
	site_open(&site, "dedup: {max_entries: 1}\n");
	first = post_job(&site, 0, "one", "a");
	await_held(site.a, 1);
	expect_later(post_job(&site, 1, "two", "a"));
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(first, 200, "confirmed");
	/* The first is too young to go. */
	expect_later(post_job(&site, 1, "two", "a"));
	assert_int_equal(site.a->sent_count, 1);
	site_close(&site);
}

/* --- time ----------------------------------------------------------------- */

/* Past the ack deadline the event goes on; the retry joins it, waits as long
 * as an answer may take, or finds it settled. */
static void
test_deadlines(void **state)
{
	uint64_t begun_ms;
	struct site site;
	int fd;

	(void)state;
	site_open(&site, "delivery: {ack_timeout: 50ms, hard_timeout: 1s}\n");
	begun_ms = hb_clock_mono_ms();
	fd = post_job(&site, 0, "late", "a");
	expect_later(fd);
	assert_true(hb_clock_mono_ms() - begun_ms >= 50);
	assert_int_equal(hb_deliver_in_flight(site.deliver), 1);
	/* Of two that join, one cannot wait long enough. */
	begun_ms = hb_clock_mono_ms();
	expect_later(post_job(&site, 1, "late", "a"));
	assert_true(hb_clock_mono_ms() - begun_ms >= 1000);
	fd = post_job(&site, 1, "late", "a");
	await_in_flight(&site, 1, 2);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(fd, 200, "confirmed");
	expect(post_job(&site, 0, "late", "a"), 200, "duplicate");
	assert_int_equal(site.a->sent_count, 1);
	site_close(&site);
}

/* The end of the carrier and the hard deadline of who joined, at about the same
 * time on different loops, many times: one answer each. */
static void
test_hard_deadline_meets_the_end(void **state)
{
	struct site site;

	(void)state;
	site_open(&site, "delivery: {ack_timeout: 10ms, hard_timeout: 20ms}\n");
	for (int i = 0; i < 50; i++) {
		struct http_answer answer;
		char id[16];
		int fd;

		snprintf(id, sizeof(id), "job-%d", i);
		expect_later(post_job(&site, 0, id, "a"));
		fd = post_job(&site, 1, id, "a");
		await_in_flight(&site, 1, 2);
		usleep(17000 + (useconds_t)(i % 10) * 500);
		fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
		http_read_answer(fd, &answer);
		close(fd);
		assert_true(answer.code == 200 || answer.code == 503);
		await_idle(&site);
		expect(post_job(&site, 1, id, "a"), 200, "duplicate");
	}
	site_close(&site);
}

/* --- large bodies --------------------------------------------------------- */

/* Keeps the scanner from its work. */
struct blocker {
	struct hb_task task;
	sem_t go;
};

static void
on_blocker(struct hb_task *task)
{
	struct blocker *blocker =
	    hb_container_of(task, struct blocker, task);

	while (sem_wait(&blocker->go) != 0)
		;
}

static void
block(struct site *site, struct blocker *blocker)
{
	*blocker = (struct blocker){ .task = { .run = on_blocker } };
	sem_init(&blocker->go, 0, 0);
	hb_loop_post(site->scanner, &blocker->task);
}

static void
unblock(struct site *site, struct blocker *blocker)
{
	sem_post(&blocker->go);
	run_on(site->scanner, do_nothing, NULL);
	sem_destroy(&blocker->go);
}

static void
test_large_body(void **state)
{
	char *body = http_job("large", 2 * 1024 * 1024);
	struct blocker blocker;
	struct site site;
	int fd, small;

	(void)state;
	site_open(&site, "");
	block(&site, &blocker);
	fd = post(&site, 0, "/e", body);
	await_in_flight(&site, 0, 1);
	/* Others do not wait for it. */
	small = post_job(&site, 0, "small", "a");
	await_held(site.a, 1);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(small, 200, "confirmed");
	unblock(&site, &blocker);
	await_held(site.a, 1);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	expect(fd, 200, "confirmed");
	site_close(&site);
	free(body);
}

/* The time that reading took counts: what comes back late is not sent. */
static void
test_late_from_the_scanner(void **state)
{
	char *body = http_job("large", 2 * 1024 * 1024);
	struct blocker blocker;
	struct site site;
	int fd;

	(void)state;
	site_open(&site, "delivery: {ack_timeout: 20ms, hard_timeout: 40ms}\n");
	block(&site, &blocker);
	fd = post(&site, 0, "/e", body);
	await_in_flight(&site, 0, 1);
	usleep(60000); /* past both deadlines, which is to be shown */
	run_on(site.loops[0], do_nothing, NULL);
	unblock(&site, &blocker);
	expect_later(fd);
	await_idle(&site);
	assert_int_equal(site.a->sent_count, 0);
	site_close(&site);
	free(body);
}

/* --- senders that leave --------------------------------------------------- */

static void
test_sender_leaves(void **state)
{
	int64_t good = requests("e", "200");
	char *body = http_job("large", 2 * 1024 * 1024);
	struct blocker blocker;
	struct site site;
	int fd;

	(void)state;
	site_open(&site, "");
	/* While it is delivered; it counts as answered. */
	fd = post_job(&site, 0, "one", "a");
	await_held(site.a, 1);
	close(fd);
	/* While another carries its event. */
	fd = post_job(&site, 1, "one", "a");
	await_in_flight(&site, 1, 2);
	close(fd);
	run_on(site.loops[1], do_nothing, NULL);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	await_idle(&site);
	assert_int_equal(requests("e", "200") - good, 2);
	expect(post_job(&site, 1, "one", "a"), 200, "duplicate");
	/* While its body is read. */
	block(&site, &blocker);
	fd = post(&site, 0, "/e", body);
	await_in_flight(&site, 0, 1);
	close(fd);
	run_on(site.loops[0], do_nothing, NULL);
	unblock(&site, &blocker);
	await_held(site.a, 1);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	await_idle(&site);
	/* Before its body is complete. */
	good = requests("e", "499");
	fd = http_connect(site.sockets[0]);
	assert_true(http_send_head(fd, "/e", 100, ""));
	assert_true(http_send(fd, body, 50));
	close(fd);
	site.posted++;
	while (requests("e", "499") == good)
		usleep(1000);
	site_close(&site);
	free(body);
}

/* The site closes while requests are at every stage. */
static void
test_closing_with_requests(void **state)
{
	char *body = http_job("large", 2 * 1024 * 1024);
	struct blocker blocker;
	struct site site;
	int fds[4];

	(void)state;
	site_open(&site, "");
	block(&site, &blocker);
	fds[0] = post(&site, 0, "/e", body);
	await_in_flight(&site, 0, 1);
	fds[1] = post_job(&site, 0, "one", "a");
	await_held(site.a, 1);
	fds[2] = post_job(&site, 1, "one", "a");
	await_in_flight(&site, 1, 3);
	fds[3] = http_connect(site.sockets[1]);
	assert_true(http_send_head(fds[3], "/e", 100, "Expect: 100-continue"
	    "\r\n"));
	http_read_head(fds[3], &(struct http_answer){ .code = 0 });
	site.posted++;
	for (size_t i = 0; i < WORKERS; i++)
		run_on(site.loops[i], close_worker, site.workers[i]);
	assert_int_equal(hb_deliver_in_flight(site.deliver), 3);
	site.a->answers = true;
	site.a->answer = HB_REPORT_CONFIRMED;
	unblock(&site, &blocker);
	fake_report(site.a, 0, HB_REPORT_CONFIRMED, NULL);
	await_idle(&site);
	site_close(&site);
	for (size_t i = 0; i < HB_COUNT(fds); i++)
		close(fds[i]);
	free(body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_refusals_are_counted),
		cmocka_unit_test(test_known_senders_stay),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_without_dedup),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_dedup_is_full),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_hard_deadline_meets_the_end),
		cmocka_unit_test(test_large_body),
		cmocka_unit_test(test_late_from_the_scanner),
		cmocka_unit_test(test_sender_leaves),
		cmocka_unit_test(test_closing_with_requests),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
