/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_kept.c - what is told of what is kept, and what becomes of it */
#include "admin_rig.h"

#include <fcntl.h>
#include <inttypes.h>

static int
setup(void **state)
{
	(void)state;
	office_open();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	office_close();
	return 0;
}

static uint64_t
keep(int endpoint, int dest, const char *id)
{
	return depot_keep(&office.depot, endpoint, dest, id).ref.seq;
}

static uint64_t
keep_dead(int endpoint, const char *reason, const char *id)
{
	return depot_keep_dead(&office.depot, endpoint, reason, id).ref.seq;
}

/* "/api/v1/dead/17/retry"; static. */
static const char *
path_of(const char *what, uint64_t seq, const char *verb)
{
	static char path[128];

	snprintf(path, sizeof(path), "/api/v1/%s/%llu%s", what,
	    (unsigned long long)seq, verb);
	return path;
}

/* --- status and readiness ------------------------------------------------- */

static void
test_status(void **state)
{
	json_t *doc;

	(void)state;
	keep(DEPOT_ONE, DEPOT_A, "msg_1");
	keep(DEPOT_TWO, DEPOT_A, "msg_2");
	keep(DEPOT_ONE, DEPOT_SPARE_A, "msg_3");
	keep_dead(DEPOT_ONE, "unrouted", "msg_4");
	keep_dead(DEPOT_TWO, "unrouted", "msg_5");
	keep_dead(DEPOT_TWO, "not-json", "msg_6");
	hb_metric_add(hb_metric_get(HB_M_EVENTS, "one", "failed", "confirmed",
		NULL), 3);
	hb_metric_add(hb_metric_get(HB_M_EVENTS, "two", "other", "confirmed",
		NULL), 2);
	hb_metric_add(hb_metric_get(HB_M_EVENTS, "two", "other", "duplicate",
		NULL), 1);
	hb_sink_set_health(&office.sinks[DEPOT_SPARE], HB_DOWN, "refused");
	hb_dest_set_health(&office.sinks[DEPOT_MAIN],
	    &office.depot.dests[DEPOT_B], HB_SLOW, "a \xff byte");
	office.budget.used = 12;
	doc = take_doc(get("/api/v1/status"), 200);
	expect_at(doc, "version", "\"" PACKAGE_VERSION "\"");
	expect_at(doc, "config", "\"/etc/test.yaml\"");
	expect_at(doc, "ready", "true");
	expect_at(doc, "events",
	    "{\"in_flight\":7,\"confirmed\":5,\"spooled\":0,"
	    "\"dead_lettered\":0,\"duplicate\":1}");
	expect_at(doc, "memory", "{\"used\":12,\"limit\":1000}");
	expect_at(doc, "sinks.0.name", "\"main\"");
	expect_at(doc, "sinks.0.type", "\"test\"");
	expect_at(doc, "sinks.0.health", "\"up\"");
	expect_at(doc, "sinks.0.why", "null");
	expect_at(doc, "sinks.0.destinations.0.name", "\"a\"");
	expect_at(doc, "sinks.0.destinations.0.spooled", "2");
	expect_at(doc, "sinks.0.destinations.0.pending", "0");
	expect_at(doc, "sinks.0.destinations.1.health", "\"slow\"");
	expect_at(doc, "sinks.0.destinations.1.why_base64", "\"YSD/IGJ5dGU=\"");
	expect_at(doc, "sinks.0.destinations.1.spooled", "0");
	expect_at(doc, "sinks.0.destinations.1.oldest_ms", "null");
	expect_at(doc, "sinks.0.destinations.3", "-");
	expect_at(doc, "sinks.1.health", "\"down\"");
	expect_at(doc, "sinks.1.why", "\"refused\"");
	expect_at(doc, "sinks.1.destinations.0.spooled", "1");
	expect_at(doc, "spool.state", "\"ok\"");
	expect_at(doc, "spool.why", "null");
	expect_at(doc, "spool.records", "3");
	expect_at(doc, "spool.orphaned", "0");
	expect_at(doc, "spool.lost", "0");
	expect_at(doc, "dead.records", "3");
	expect_at(doc, "dead.reasons",
	    "[{\"reason\":\"unrouted\",\"records\":2},"
	    "{\"reason\":\"not-json\",\"records\":1}]");
	expect_at(doc, "dedup.max_entries", "1000");
	expect_at(doc, "dedup.lasts", "true");
	expect_at(doc, "claims.count", "0");
	json_decref(doc);
}

static void
test_without_a_store(void **state)
{
	json_t *doc;

	(void)state;
	depot_init(&office.depot);
	office_start(false);
	doc = take_doc(get("/api/v1/status"), 200);
	expect_at(doc, "spool", "null");
	expect_at(doc, "dead", "null");
	expect_at(doc, "claims", "null");
	json_decref(doc);
	doc = take_doc(get("/api/v1/spool"), 404);
	json_decref(doc);
	doc = take_doc(get("/api/v1/dead"), 404);
	json_decref(doc);
	doc = take_doc(post("/api/v1/dead/1/retry", NULL), 404);
	json_decref(doc);
	doc = take_doc(post("/api/v1/spool/reroute", "{}"), 404);
	json_decref(doc);
	doc = take_doc(get("/api/v1/claims"), 404);
	expect_at(doc, "detail",
	    "\"there are no claims: claims.directory is not configured\"");
	json_decref(doc);
	/* Now it is the sinks that have to be there. */
	doc = take_doc(get("/readyz"), 200);
	expect_at(doc, "checks.1",
	    "{\"name\":\"sink main\",\"ok\":true,\"required\":true,"
	    "\"detail\":\"ok\"}");
	json_decref(doc);
	hb_sink_set_health(&office.sinks[DEPOT_MAIN], HB_DOWN, "no route");
	doc = take_doc(get("/readyz"), 503);
	expect_at(doc, "ready", "false");
	expect_at(doc, "checks.1.detail", "\"no route\"");
	json_decref(doc);
	hb_sink_set_health(&office.sinks[DEPOT_MAIN], HB_UP, NULL);
	office_close();
}

static void
test_ready(void **state)
{
	json_t *doc;

	(void)state;
	hb_sink_set_health(&office.sinks[DEPOT_MAIN], HB_DOWN, "no route");
	doc = take_doc(get("/readyz"), 200);
	expect_at(doc, "checks",
	    "[{\"name\":\"running\",\"ok\":true,\"required\":true,"
	    "\"detail\":\"ok\"},"
	    "{\"name\":\"spool\",\"ok\":true,\"required\":true,"
	    "\"detail\":\"ok\"},"
	    "{\"name\":\"dead letters\",\"ok\":true,\"required\":false,"
	    "\"detail\":\"ok\"},"
	    "{\"name\":\"sink main\",\"ok\":false,\"required\":false,"
	    "\"detail\":\"no route\"},"
	    "{\"name\":\"sink spare\",\"ok\":true,\"required\":false,"
	    "\"detail\":\"ok\"}]");
	json_decref(doc);
	office.draining = true;
	doc = take_doc(get("/readyz"), 503);
	expect_at(doc, "checks.0.detail", "\"the daemon stops\"");
	json_decref(doc);
	office.draining = false;
	/* Dead letters that find no place keep nobody else out. */
	office.state[HB_SHELF_DEAD] = HB_SPOOL_BROKEN;
	doc = take_doc(get("/readyz"), 200);
	expect_at(doc, "checks.2.ok", "false");
	expect_at(doc, "checks.2.detail", "\"as it is told\"");
	json_decref(doc);
	office.state[HB_SHELF_DELIVERIES] = HB_SPOOL_FULL;
	doc = take_doc(get("/readyz"), 503);
	expect_at(doc, "checks.1.detail", "\"as it is told\"");
	json_decref(doc);
	doc = take_doc(get("/api/v1/status"), 200);
	expect_at(doc, "ready", "false");
	expect_at(doc, "spool.state", "\"full\"");
	expect_at(doc, "spool.why", "\"as it is told\"");
	expect_at(doc, "dead.state", "\"broken\"");
	json_decref(doc);
	doc = take_doc(get("/healthz"), 200);
	json_decref(doc);
}

static void
test_metrics(void **state)
{
	struct answer a;

	(void)state;
	keep(DEPOT_ONE, DEPOT_A, "msg_1");
	a = get("/metrics");
	assert_int_equal(a.code, 200);
	assert_non_null(strstr(
	    a.body, "\nhookbridge_spool_records{sink=\"main\"} 1\n"));
	assert_non_null(strstr(
	    a.body, "\nhookbridge_http_connections{listener=\"admin\"} 1\n"));
	forget(&a);
}

/* --- dead letters --------------------------------------------------------- */

/* "5 6 7 " of a page, and the next one's number or 0. */
static uint64_t
list(const char *query, char ids[256])
{
	char target[256];
	json_t *doc, *item;
	uint64_t next;
	size_t i, len = 0;

	snprintf(target, sizeof(target), "/api/v1/dead?%s", query);
	doc = take_doc(get(target), 200);
	ids[0] = '\0';
	json_array_foreach (json_object_get(doc, "dead"), i, item)
		len += (size_t)snprintf(ids + len, 256 - len, "%s ",
		    json_string_value(json_object_get(item, "event_id")));
	next = (uint64_t)json_integer_value(json_object_get(doc, "next"));
	json_decref(doc);
	return next;
}

static void
test_dead_list(void **state)
{
	char ids[256], query[64];
	uint64_t next;
	json_t *doc;

	(void)state;
	for (char i = '1'; i <= '7'; i++)
		keep_dead(i % 2 ? DEPOT_ONE : DEPOT_TWO,
		    i <= '3' ? "unrouted" : "not-json",
		    (char[]){ 'm', i, '\0' });
	assert_int_equal(list("", ids), 0);
	assert_string_equal(ids, "m1 m2 m3 m4 m5 m6 m7 ");
	assert_int_equal(list("endpoint=one", ids), 0);
	assert_string_equal(ids, "m1 m3 m5 m7 ");
	assert_int_equal(list("reason=not-json&endpoint=two", ids), 0);
	assert_string_equal(ids, "m4 m6 ");
	assert_int_equal(list("reason=nothing", ids), 0);
	assert_string_equal(ids, "");
	next = list("limit=3", ids);
	assert_string_equal(ids, "m1 m2 m3 ");
	assert_true(next > 0);
	snprintf(query, sizeof(query), "limit=3&after=%d", (int)next);
	next = list(query, ids);
	assert_string_equal(ids, "m4 m5 m6 ");
	snprintf(query, sizeof(query), "limit=3&after=%d", (int)next);
	assert_int_equal(list(query, ids), 0);
	assert_string_equal(ids, "m7 ");
	assert_int_equal(list("before_ms=1000", ids), 0);
	assert_string_equal(ids, "");
	assert_int_equal(list("before_ms=99999999999999", ids), 0);
	assert_string_equal(ids, "m1 m2 m3 m4 m5 m6 m7 ");
	doc = take_doc(get("/api/v1/dead?limit=1"), 200);
	expect_at(doc, "dead.0.reason", "\"unrouted\"");
	expect_at(doc, "dead.0.endpoint", "\"one\"");
	expect_at(doc, "dead.0.job_id", "\"job-1\"");
	expect_at(doc, "dead.0.destination", "\"main:a\"");
	expect_at(doc, "dead.0.received_ms", "1767225601234");
	expect_at(doc, "dead.0.size", "18");
	expect_at(doc, "dead.0.body", "-"); /* is not for everyone */
	expect_at(doc, "dead.0.webhook_id", "-");
	json_decref(doc);
}

/* A page ends after so much reading, even if it is empty. */
static void
test_dead_list_is_bounded(void **state)
{
	struct depot_keep *items;
	char ids[256], query[64];
	uint64_t next;

	(void)state;
	items = hb_xcalloc(1005, sizeof(*items));
	for (size_t i = 0; i < 1005; i++) {
		struct depot_keep *item = &items[i];

		depot_keep_init(&office.depot, item);
		item->ev = depot_event(&office.depot, DEPOT_ONE, "m");
		hb_store_keep_dead(office.depot.store, &item->keep, item->ev,
		    "unrouted", HB_SPAN_NONE);
	}
	for (size_t i = 0; i < 1005; i++)
		depot_wait(&items[i]);
	next = list("before_ms=1", ids);
	assert_string_equal(ids, "");
	assert_int_equal(next, items[999].keep.kept.ref.seq);
	snprintf(query, sizeof(query), "after=%d", (int)next);
	assert_int_equal(list(query, ids), 0);
	assert_string_equal(ids, "m m m m m ");
	free(items);
}

static uint64_t
keep_dead_body(const char *body, size_t len)
{
	struct depot_keep item;
	struct hb_span bytes;
	char *copy = hb_xmalloc(len);

	memcpy(copy, body, len);
	bytes = hb_span_make(copy, len);
	depot_keep_init(&office.depot, &item);
	item.ev = depot_event(&office.depot, DEPOT_ONE, "msg_1");
	free(item.ev->body_mem);
	item.ev->body_mem = copy;
	item.ev->body = bytes;
	hb_store_keep_dead(office.depot.store, &item.keep, item.ev, "not-json",
	    HB_SPAN_NONE);
	depot_wait(&item);
	assert_true(item.keep.ok);
	return item.keep.kept.ref.seq;
}

static void
test_dead_show(void **state)
{
	uint64_t text = keep_dead_body("{\"a\":\"\xc3\xa4\"}", 10);
	uint64_t bytes = keep_dead_body("\xff\0x", 3);
	uint64_t control = keep_dead_body("a\0\x1b\xe2\x80\xa8", 6);
	json_t *doc;

	(void)state;
	doc = take_doc(get(path_of("dead", text, "")), 200);
	expect_at(doc, "message", "false");
	expect_at(doc, "webhook_id", "\"msg_1\"");
	expect_at(doc, "webhook_timestamp", "1767225600");
	expect_at(doc, "body", "\"{\\\"a\\\":\\\"\xc3\xa4\\\"}\"");
	expect_at(doc, "headers", "-");
	expect_at(doc, "destination", "null");
	json_decref(doc);
	doc = take_doc(get(path_of("dead", bytes, "")), 200);
	expect_at(doc, "body", "-");
	expect_at(doc, "body_base64", "\"/wB4\"");
	expect_at(doc, "size", "3");
	json_decref(doc);
	doc = take_doc(get(path_of("dead", control, "")), 200);
	expect_at(doc, "body_base64", "\"YQAb4oCo\"");
	json_decref(doc);
}

/* --- deliveries ----------------------------------------------------------- */

static void
test_spool(void **state)
{
	struct depot_keep held;
	uint64_t seq = keep(DEPOT_ONE, DEPOT_A, "msg_1");
	json_t *doc;

	(void)state;
	keep(DEPOT_ONE, DEPOT_A, "msg_2");
	keep(DEPOT_TWO, DEPOT_SPARE_A, "msg_3");
	doc = take_doc(get("/api/v1/spool"), 200);
	expect_at(doc, "shelves.0.sink", "\"main\"");
	expect_at(doc, "shelves.0.type", "\"test\"");
	expect_at(doc, "shelves.0.destination", "\"a\"");
	expect_at(doc, "shelves.0.endpoint", "\"one\"");
	expect_at(doc, "shelves.0.records", "2");
	expect_at(doc, "shelves.0.orphaned", "false");
	expect_at(doc, "shelves.1.sink", "\"spare\"");
	expect_at(doc, "shelves.2", "-");
	json_decref(doc);
	doc = take_doc(get(path_of("spool", seq, "")), 200);
	expect_at(doc, "sink", "\"main\"");
	expect_at(doc, "event_id", "\"msg_1\"");
	expect_at(doc, "key", "\"key\"");
	expect_at(doc, "headers", "{\"ce_id\":\"msg\",\"x\":\"\"}");
	expect_at(doc, "value", "\"value\"");
	expect_at(doc, "size", "5");
	expect_at(doc, "held", "false");
	json_decref(doc);

	/* It is told of what a sink has still. */
	depot_send(&office.depot, &held, DEPOT_ONE, DEPOT_A, "msg_4",
	    HB_SPAN("v"), true);
	depot_wait(&held);
	seq = held.keep.kept.ref.seq;
	doc = take_doc(get(path_of("spool", seq, "")), 200);
	expect_at(doc, "held", "true");
	json_decref(doc);
	hb_store_release(&held.keep);
	doc = take_doc(get(path_of("spool", seq, "")), 200);
	expect_at(doc, "held", "false");
	json_decref(doc);
}

/* --- jobs ----------------------------------------------------------------- */

static void
confirm(struct hb_redeliver_job *job)
{
	job->ok = true;
	job->outcome = HB_CONFIRMED;
}

static void
dead_letter(struct hb_redeliver_job *job)
{
	job->ok = true;
	job->outcome = HB_DEAD_LETTERED;
}

static void
refuse_held(struct hb_redeliver_job *job)
{
	hb_fail_reason(&job->err, HB_E_REJECT, "held", "it is at its sink");
}

static void
refuse_unknown(struct hb_redeliver_job *job)
{
	hb_fail_reason(&job->err, HB_E_REJECT, "not-found", "no such record");
}

static void
refuse_for_now(struct hb_redeliver_job *job)
{
	hb_fail_reason(&job->err, HB_E_RETRY, "sink-down", "main is down");
}

static void
test_jobs(void **state)
{
	static const struct {
		const char *target;
		verdict_fn *verdict;
		int code;
		const char *path, *says;
	} cases[] = {
		{ "/api/v1/dead/5/retry", confirm, 200, "outcome",
		    "\"confirmed\"" },
		{ "/api/v1/dead/5/retry", dead_letter, 200, "outcome",
		    "\"dead-lettered\"" },
		{ "/api/v1/dead/5/retry", refuse_held, 409, "reason",
		    "\"held\"" },
		{ "/api/v1/dead/5/retry", refuse_unknown, 404, "detail",
		    "\"there is no dead letter 5\"" },
		{ "/api/v1/dead/5/retry", refuse_for_now, 503, "title",
		    "\"Service Unavailable\"" },
		{ "/api/v1/dead/5/drop", confirm, 200, "dropped", "true" },
		{ "/api/v1/dead/5/drop", refuse_unknown, 404, "status",
		    "404" },
		{ "/api/v1/spool/5/drop", refuse_unknown, 404, "detail",
		    "\"there is no delivery 5\"" },
		{ "/api/v1/spool/5/drop", confirm, 200, "dropped", "true" },
		{ "/api/v1/spool/5/drop", refuse_held, 409, "title",
		    "\"Conflict\"" },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		json_t *doc;

		office.verdict = cases[i].verdict;
		doc = take_doc(post(cases[i].target, i % 2 ? "{}" : NULL),
		    cases[i].code);
		expect_at(doc, cases[i].path, cases[i].says);
		json_decref(doc);
	}
}

/* What the job is told. */
static void
test_job_arguments(void **state)
{
	int fd;
	struct answer a;

	(void)state;
	fd = begin_asking("POST", "/api/v1/spool/12/drop", "", NULL);
	await_held(1);
	assert_int_equal(office.held[0]->what, HB_REDELIVER_DROP);
	assert_int_equal(office.held[0]->kind, HB_SHELF_DELIVERIES);
	assert_int_equal(office.held[0]->seq, 12);
	assert_int_equal(hb_admin_in_flight(office.admin), 1);
	release_job(confirm);
	a = hear(fd);
	assert_int_equal(a.code, 200);
	forget(&a);
	assert_int_equal(hb_admin_in_flight(office.admin), 0);
}

static void
await_no_jobs(void)
{
	while (hb_admin_in_flight(office.admin) > 0)
		usleep(500);
}

/* Whoever asked is gone, and the admin is closed, before the job ends. */
static void
test_jobs_without_client(void **state)
{
	(void)state;
	close(begin_asking("POST", "/api/v1/dead/5/retry", "", NULL));
	begin_asking("POST", "/api/v1/dead/6/retry", "", NULL);
	await_held(2);
	release_job(confirm);
	on_loop(office_close_admin);
	assert_true(hb_admin_in_flight(office.admin) > 0);
	release_job(refuse_held);
	await_no_jobs();
}

/* --- rerouting ------------------------------------------------------------ */

/* Moves as the real one does: the record is settled where it was. */
static void
move(struct hb_redeliver_job *job)
{
	struct hb_record rec;
	struct hb_error err;

	assert_int_equal(job->what, HB_REDELIVER_MOVE);
	assert_string_equal(job->to_sink, "spare");
	assert_true(hb_store_get(office.depot.store, job->kind, job->seq, &rec,
	    &err));
	assert_true(hb_store_settle(&rec.kept));
	hb_record_fini(&rec);
	job->ok = true;
}

static void
move_some(struct hb_redeliver_job *job)
{
	if (job->seq % 3 == 0)
		hb_fail_reason(&job->err, HB_E_REJECT, "no-destination",
		    "record %d has no destination there", (int)job->seq);
	else
		move(job);
}

static void
test_reroute(void **state)
{
	json_t *doc;

	(void)state;
	for (int i = 0; i < 10; i++)
		keep(i % 2 ? DEPOT_ONE : DEPOT_TWO, i % 3 ? DEPOT_A : DEPOT_B,
		    "msg");
	keep(DEPOT_ONE, DEPOT_SPARE_A, "not this one");
	office.verdict = move;
	doc = take_doc(post("/api/v1/spool/reroute",
	    "{\"sink\":\"main\",\"to\":\"spare\",\"limit\":4}"), 200);
	expect_at(doc, "moved", "4");
	expect_at(doc, "refused", "0");
	expect_at(doc, "left", "6");
	expect_at(doc, "next", "4");
	expect_at(doc, "why", "null");
	json_decref(doc);
	office.verdict = move_some;
	doc = take_doc(post("/api/v1/spool/reroute",
	    "{\"sink\":\"main\",\"to\":\"spare\"}"), 200);
	expect_at(doc, "moved", "4");
	expect_at(doc, "refused", "2");
	expect_at(doc, "left", "2");
	expect_at(doc, "next", "null");
	assert_non_null(strstr(at(doc, "why"), "has no destination there"));
	json_decref(doc);
	/* A sink that is no more, and has nothing left. */
	doc = take_doc(post("/api/v1/spool/reroute",
	    "{\"sink\":\"moon\",\"to\":\"spare\"}"), 200);
	expect_at(doc, "moved", "0");
	expect_at(doc, "left", "0");
	json_decref(doc);
}

/* The next part of the work; how many were moved. *after: 0 at the end. */
static int
reroute_part(uint64_t *after)
{
	char body[128];
	json_t *doc;
	int moved;

	snprintf(body, sizeof(body), "{\"sink\":\"main\",\"to\":\"spare\","
	    "\"limit\":2,\"after\":%" PRIu64 "}", *after);
	doc = take_doc(post("/api/v1/spool/reroute", body), 200);
	*after = (uint64_t)json_integer_value(json_object_get(doc, "next"));
	moved = (int)json_integer_value(json_object_get(doc, "moved"));
	json_decref(doc);
	return moved;
}

static void
refuse_first_six(struct hb_redeliver_job *job)
{
	if (job->seq <= 6)
		refuse_held(job);
	else
		move(job);
}

/* Those that cannot be moved do not hide those that can. */
static void
test_reroute_in_parts(void **state)
{
	uint64_t after = 0;
	int moved = 0, requests = 0;

	(void)state;
	for (int i = 0; i < 9; i++)
		keep(DEPOT_ONE, DEPOT_A, "msg");
	office.verdict = refuse_first_six;
	do {
		moved += reroute_part(&after);
		requests++;
	} while (after > 0);
	assert_int_equal(moved, 3);
	assert_int_equal(requests, 5);
}

/* Many are under way at once, but no more than that. */
static void
test_reroute_at_once(void **state)
{
	json_t *doc;
	int fd;

	(void)state;
	for (int i = 0; i < 70; i++)
		keep(DEPOT_ONE, DEPOT_A, "msg");
	fd = begin_asking("POST", "/api/v1/spool/reroute", "",
	    "{\"sink\":\"main\",\"to\":\"spare\"}");
	await_held(64);
	usleep(20 * 1000); /* time for what must not happen */
	assert_int_equal(office.most_held, 64);
	for (int i = 0; i < 70; i++) {
		await_held(1);
		release_job(move);
	}
	doc = take_doc(hear(fd), 200);
	expect_at(doc, "moved", "70");
	expect_at(doc, "left", "0");
	json_decref(doc);
	assert_int_equal(office.most_held, 64);
}

/* A daemon that stops begins no more of them. */
static void
test_reroute_and_closing(void **state)
{
	struct hb_spool_stats stats;

	(void)state;
	for (int i = 0; i < 70; i++)
		keep(DEPOT_ONE, DEPOT_A, "msg");
	close(begin_asking("POST", "/api/v1/spool/reroute", "",
	    "{\"sink\":\"main\",\"to\":\"spare\"}"));
	await_held(64);
	on_loop(office_close_admin);
	for (int i = 0; i < 64; i++)
		release_job(move);
	await_no_jobs();
	assert_int_equal(office.held_count, 0);
	hb_store_stats(office.depot.store, HB_SHELF_DELIVERIES, &stats);
	assert_int_equal(stats.records, 6);
}

/* --- claims --------------------------------------------------------------- */

static _Atomic bool put_done;

static void
on_put(struct hb_claim_put *put)
{
	assert_true(put->ok);
	atomic_store(&put_done, true);
}

static void
put_claim(struct hb_claim_put *put, struct hb_span body)
{
	*put = (struct hb_claim_put){ .home = office.depot.loop,
		.done = on_put,
		.endpoint = &office.depot.endpoints[DEPOT_ONE],
		.body = body };
	atomic_store(&put_done, false);
	hb_claims_put(office.claims, put);
	while (!atomic_load(&put_done))
		usleep(500);
}

/* A body in chunks, put together; the end has to be there. */
static char *
join_chunks(const struct answer *a, size_t *len)
{
	char *body = hb_xmalloc(a->len + 1);
	const char *p = a->body;

	*len = 0;
	for (;;) {
		char *data;
		size_t size = strtoul(p, &data, 16);

		assert_memory_equal(data, "\r\n", 2);
		data += 2;
		memcpy(body + *len, data, size);
		*len += size;
		p = data + size;
		assert_memory_equal(p, "\r\n", 2);
		p += 2;
		if (size == 0)
			break;
	}
	assert_ptr_equal(p, a->body + a->len);
	return body;
}

static void
test_claims(void **state)
{
	size_t size = 3 * 1024 * 1024 + 17, len;
	char *bytes = hb_xmalloc(size), *got, target[128];
	struct hb_claim_put put, empty;
	struct answer a;
	json_t *doc;

	(void)state;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 7 ^ i >> 9);
	put_claim(&put, hb_span_make(bytes, size));
	snprintf(target, sizeof(target), "/api/v1/claims/%s", put.digest);
	a = get(target);
	assert_int_equal(a.code, 200);
	assert_non_null(strstr(
	    a.text, "\r\nContent-Type: application/octet-stream\r\n"));
	got = join_chunks(&a, &len);
	assert_int_equal(len, size);
	assert_memory_equal(got, bytes, size);
	free(got);
	forget(&a);
	/* Somebody who reads nothing of it, and goes. */
	close(begin_asking("GET", target, "", NULL));
	put_claim(&empty, HB_SPAN(""));
	snprintf(target, sizeof(target), "/api/v1/claims/%s", empty.digest);
	a = get(target);
	assert_string_equal(a.body, "0\r\n\r\n");
	forget(&a);
	doc = take_doc(get("/api/v1/claims"), 200);
	expect_at(doc, "claims.0.endpoint", "\"one\"");
	expect_at(doc, "claims.0.size", "3145745");
	expect_at(doc, "claims.2", "-");
	json_decref(doc);
	a = get("/api/v1/claims/"
		"00000000000000000000000000000000"
		"00000000000000000000000000000000");
	assert_int_equal(a.code, 404);
	forget(&a);
	free(bytes);
}

/* A body that cannot be read to its end does not end. */
static void
test_claim_that_shrinks(void **state)
{
	static char bytes[1024 * 1024];
	struct hb_claim_put put;
	char target[128], command[256];
	struct answer a;
	int fd;

	(void)state;
	put_claim(&put, hb_span_make(bytes, sizeof(bytes)));
	snprintf(target, sizeof(target), "/api/v1/claims/%s", put.digest);
	fd = begin_asking("GET", target, "", NULL);
	/* The head is there: it is being sent. */
	assert_int_equal(recv(fd, command, 1, MSG_PEEK), 1);
	snprintf(command, sizeof(command),
	    "find '%s' -name '%s*' -exec truncate -s 1 {} +",
	    office.depot.cfg.claims.directory, put.digest);
	assert_int_equal(system(command), 0);
	a = hear(fd);
	assert_int_equal(a.code, 200);
	assert_true(a.len < sizeof(bytes));
	assert_null(strstr(a.body, "\r\n0\r\n\r\n"));
	forget(&a);
}

/* --- dedup ---------------------------------------------------------------- */

static void
test_forget(void **state)
{
	struct hb_dedup_flight flight;
	struct hb_dedup_waiter waiter;
	json_t *doc;

	(void)state;
	assert_int_equal(hb_dedup_claim(office.dedup,
		&office.depot.endpoints[DEPOT_ONE], HB_SPAN("msg_1"), 0,
		&flight, &waiter), HB_CLAIM_NEW);
	hb_dedup_end(office.dedup, &flight, HB_CONFIRMED);
	doc = take_doc(post("/api/v1/dedup/forget",
	    "{\"endpoint\":\"two\",\"id\":\"msg_1\"}"), 200);
	expect_at(doc, "forgotten", "false");
	json_decref(doc);
	doc = take_doc(post("/api/v1/dedup/forget",
	    "{\"endpoint\":\"one\",\"id\":\"msg_1\"}"), 200);
	expect_at(doc, "forgotten", "true");
	json_decref(doc);
	assert_string_equal(office.forgotten, "one:msg_1");
	doc = take_doc(post("/api/v1/dedup/forget",
	    "{\"endpoint\":\"one\",\"id\":\"msg_1\"}"), 200);
	expect_at(doc, "forgotten", "false");
	json_decref(doc);
}

/* --- the log -------------------------------------------------------------- */

/* Runs it with standard error in a file; what was written, static. */
static const char *
logged(void (*run)(void))
{
	static char text[8192];
	char path[] = "/tmp/hb-admin-log-XXXXXX";
	int file = mkstemp(path), kept = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(file >= 0 && kept >= 0);
	hb_log_init(HB_LOG_INFO, HB_LOG_KV);
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	run();
	dup2(kept, STDERR_FILENO);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	n = pread(file, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(file);
	close(kept);
	unlink(path);
	return text;
}

static void
ask_several(void)
{
	struct answer a;

	office.verdict = confirm;
	a = get("/api/v1/status");
	forget(&a);
	a = get("/api/v1/dead?limit=5");
	forget(&a);
	a = post("/api/v1/dead/5/retry", NULL);
	forget(&a);
	a = get("/api/v1/dead/6%0a");
	forget(&a);
	a = hear(begin_asking("DELETE", "/api/v1/dead/7", "", NULL));
	forget(&a);
}

/* Changes and views are, reading is not. */
static void
test_log(void **state)
{
	char uid[64];
	const char *text = logged(ask_several);

	(void)state;
	snprintf(uid, sizeof(uid), " info admin.request uid=%d ",
	    (int)geteuid());
	assert_non_null(strstr(text, uid));
	assert_non_null(strstr(
	    text, "method=POST path=/api/v1/dead/5/retry code=200\n"));
	assert_non_null(strstr(
	    text, "method=GET path=/api/v1/dead/6%0a code=404\n"));
	assert_null(strstr(text, "status"));
	assert_null(strstr(text, "limit"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		cmocka_unit_test(test_without_a_store),
		TEST(test_ready),
		TEST(test_metrics),
		TEST(test_dead_list),
		TEST(test_dead_list_is_bounded),
		TEST(test_dead_show),
		TEST(test_spool),
		TEST(test_jobs),
		TEST(test_job_arguments),
		TEST(test_jobs_without_client),
		TEST(test_reroute),
		TEST(test_reroute_in_parts),
		TEST(test_reroute_at_once),
		TEST(test_reroute_and_closing),
		TEST(test_claims),
		TEST(test_claim_that_shrinks),
		TEST(test_forget),
		TEST(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
