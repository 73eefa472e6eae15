/* SPDX-License-Identifier: Apache-2.0 */
/* test_redeliver.c - operators' jobs: what goes where, what becomes of the
 * record, and what is said of it
 *
 * A real store and a real tracker, sinks that do what the test says, all on one
 * loop, which turns when the test waits for something. */
#include <event2/event.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fake_sink.h"
#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/log.h"
#include "hookbridge/metric.h"
#include "hookbridge/redeliver.h"
#include "hookbridge/tracker.h"

#define PATIENCE_MS 20000
#define ID "direct-0123"
#define PLAIN "{\"job_id\": \"job-1\", \"status\": \"Completed\"}"
#define BOTH "{\"job_id\": \"job-1\", \"metadata\": {\"to\": \"both\"}}"

struct site {
	char dir[64];
	struct hb_config *cfg;
	struct fakes fakes;
	struct fake *main_sink, *spare_sink;
	struct hb_budget budget;
	struct hb_loop *loop;
	struct hb_store *store;
	struct hb_dedup *dedup;
	struct hb_deliver *deliver;
	struct hb_redeliver *redeliver;
};

struct job {
	struct hb_redeliver_job job;
	struct site *site;
	bool is_done;
};

struct kept {
	struct hb_keep keep;
	bool is_done;
};

/* --- the site ------------------------------------------------------------- */

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

/* Everything goes to main:jobs; with metadata.to "both" to main:other, too;
 * with "spare" to spare:jobs only. */
static struct hb_config *
load(struct site *site)
{
	struct hb_config *cfg;
	char text[2048], path[128], *said = NULL;
	size_t said_len;
	FILE *report = open_memstream(&said, &said_len);

	write_text(site, "token", "0123456789abcdef0123456789abcdef\n");
	snprintf(text, sizeof(text),
	    "listen: {address: \"127.0.0.1:1\"}\n"
	    "endpoints:\n"
	    "  e: {path: /e, mode: direct,\n"
	    "      token: {in: bearer, secret: \"file:token\"}}\n"
	    "sinks:\n"
	    "  main: {type: kafka, brokers: \"127.0.0.1:1\"}\n"
	    "  spare: {type: kafka, brokers: \"127.0.0.1:1\"}\n"
	    "routes:\n"
	    "  - {when: {metadata.to: both}, to: {sink: main, topic: other}}\n"
	    "  - {when: {metadata.to: spare}, final: true,\n"
	    "     to: {sink: spare, topic: jobs, key: \"k-{status}\"}}\n"
	    "  - {to: {sink: main, topic: jobs}}\n"
	    "spool: {directory: \"%s/spool\", max_size: 64MiB,\n"
	    "    segment_size: 1MiB}\n"
	    "http: {body_size: 100KiB}\n", site->dir);
	write_text(site, "hookbridge.yaml", text);
	snprintf(path, sizeof(path), "%s/hookbridge.yaml", site->dir);
	cfg = hb_config_load(path, hb_sink_types(), report);
	fclose(report);
	if (cfg == NULL)
		fail_msg("%s", said);
	free(said);
	return cfg;
}

static void
site_open(struct site *site)
{
	struct hb_sink_conf *confs[2];
	struct hb_error err = { .code = HB_OK };

	*site = (struct site){ .dir = "/tmp/hb-redeliver-XXXXXX" };
	assert_non_null(mkdtemp(site->dir));
	site->cfg = load(site);
	for (size_t i = 0; i < HB_COUNT(confs); i++)
		confs[i] = &site->cfg->sinks[i];
	fakes_open(&site->fakes, site->cfg, confs, HB_COUNT(confs));
	site->main_sink = &site->fakes.items[0];
	site->spare_sink = &site->fakes.items[1];
	hb_budget_init(&site->budget, site->cfg->memory);
	site->loop = hb_loop_new("test", NULL);
	site->store = hb_store_open(site->cfg, &err);
	if (site->store == NULL)
		fail_msg("%s", err.text);
	site->dedup = hb_dedup_new(site->cfg, site->loop, &err);
	site->deliver = hb_deliver_new(&(struct hb_deliver_env){
	    .cfg = site->cfg,
	    .sinks = fakes_as_sinks(&site->fakes),
	    .dedup = site->dedup,
	    .budget = &site->budget,
	    .store = site->store });
	site->redeliver = hb_redeliver_new(&(struct hb_redeliver_env){
	    .cfg = site->cfg,
	    .loop = site->loop,
	    .store = site->store,
	    .deliver = site->deliver,
	    .budget = &site->budget });
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
site_close(struct site *site)
{
	assert_int_equal(hb_deliver_in_flight(site->deliver), 0);
	assert_int_equal(site->budget.used, 0);
	hb_redeliver_free(site->redeliver);
	hb_loop_free(site->loop);
	hb_deliver_free(site->deliver);
	hb_dedup_free(site->dedup);
	hb_store_close(site->store);
	fakes_close(&site->fakes);
	hb_config_unref(site->cfg);
	assert_int_equal(
	    nftw(site->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Turns the loop until it is so. */
static void
await(struct site *site, const bool *is_so)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (!*is_so) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("it does not come");
		event_base_loop(hb_loop_base(site->loop), EVLOOP_NONBLOCK);
	}
}

/* Turns it until a sink has something. */
static struct hb_delivery *
await_sent(struct site *site, struct fake *fake)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (fake_held(fake) == 0) {
		if (hb_clock_mono_ms() - since_ms > PATIENCE_MS)
			fail_msg("nothing is sent");
		event_base_loop(hb_loop_base(site->loop), EVLOOP_NONBLOCK);
	}
	return fake->held[0];
}

/* --- what is kept --------------------------------------------------------- */

static void
on_kept(struct hb_keep *keep)
{
	hb_container_of(keep, struct kept, keep)->is_done = true;
}

static uint64_t
await_kept(struct site *site, struct kept *kept)
{
	await(site, &kept->is_done);
	if (!kept->keep.ok)
		fail_msg("%s", kept->keep.err.text);
	return kept->keep.kept.ref.seq;
}

/* An event of the past, of this endpoint. */
static struct hb_event *
make_event(struct site *site, const char *endpoint, const char *body)
{
	static struct hb_endpoint_conf past;
	struct hb_event *ev;

	past = site->cfg->endpoints[0];
	past.name = endpoint;
	ev = hb_event_new(site->cfg, &past, hb_xstrdup(body), strlen(body));
	ev->id = HB_SPAN(ID);
	ev->received_ms = 1767225600123;
	ev->traceparent = HB_SPAN(
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	return ev;
}

/* Keeps a dead letter; its number. */
static uint64_t
keep_dead(struct site *site, const char *endpoint, const char *body,
    const char *place)
{
	struct kept kept = { .keep = { .home = site->loop, .done = on_kept } };
	struct hb_event *ev = make_event(site, endpoint, body);
	uint64_t seq;

	hb_store_keep_dead(site->store, &kept.keep, ev, "refused",
	    hb_span_of(place));
	seq = await_kept(site, &kept);
	hb_event_unref(ev);
	return seq;
}

static const struct hb_dest_conf *
dest_of(const struct site *site, const char *sink, const char *name)
{
	for (size_t i = 0; i < site->cfg->dest_count; i++) {
		const struct hb_dest_conf *dest = site->cfg->dests[i];

		if (strcmp(dest->sink->name, sink) == 0 &&
		    strcmp(dest->name, name) == 0)
			return dest;
	}
	fail_msg("no %s:%s", sink, name);
	return NULL;
}

/* Keeps a delivery; its number. */
static uint64_t
keep_delivery(struct site *site, const struct hb_dest_conf *dest, bool held,
    struct kept *kept)
{
	struct hb_event *ev = make_event(site, "e", PLAIN);
	const struct hb_message msg = { .dest = dest,
		.key = HB_SPAN("key"),
		.value = HB_SPAN("value"),
		.id = ev->id,
		.endpoint = HB_SPAN("e") };
	uint64_t seq;

	*kept =
	    (struct kept){ .keep = { .home = site->loop, .done = on_kept } };
	hb_store_keep_delivery(site->store, &kept->keep, ev, &msg, held);
	seq = await_kept(site, kept);
	hb_event_unref(ev);
	return seq;
}

/* Keeps the message of a delivery as dead letter; its number. */
static uint64_t
keep_message(struct site *site, const struct hb_dest_conf *dest)
{
	struct kept first,
	    kept = { .keep = { .home = site->loop, .done = on_kept } };
	uint64_t seq = keep_delivery(site, dest, false, &first);
	struct hb_record rec;
	struct hb_error err;

	assert_true(hb_store_get(site->store, HB_SHELF_DELIVERIES, seq, &rec,
	    &err));
	hb_store_keep_dead_record(site->store, &kept.keep, &rec, "refused");
	seq = await_kept(site, &kept);
	assert_true(hb_store_settle(&rec.kept));
	hb_record_fini(&rec);
	return seq;
}

/* How many of a kind are kept; the last of them, if it is asked for. */
static unsigned
count(struct site *site, enum hb_shelf_kind kind, struct hb_record *last)
{
	const struct hb_walk_filter filter = { .kind = kind };
	struct hb_walk *walk =
	    hb_walk_new(site->store, &filter, NULL, NULL, NULL);
	struct hb_record rec;
	struct hb_error err;
	unsigned n = 0;

	while (hb_walk_next(walk, &rec, &err) == HB_SPOOL_RECORD) {
		if (n++ > 0 && last != NULL)
			hb_record_fini(last);
		if (last != NULL)
			*last = rec;
		else
			hb_record_fini(&rec);
	}
	hb_walk_free(walk);
	return n;
}

/* --- jobs ----------------------------------------------------------------- */

static void
on_done(struct hb_redeliver_job *done)
{
	struct job *job = hb_container_of(done, struct job, job);

	assert_ptr_equal(hb_loop_current(), NULL); /* run by hand */
	assert_false(job->is_done);
	job->is_done = true;
}

static void
begin(struct site *site, struct job *job, enum hb_redeliver_what what,
    enum hb_shelf_kind kind, uint64_t seq)
{
	*job = (struct job){ .site = site,
		.job = { .what = what,
		    .kind = kind,
		    .seq = seq,
		    .to_sink = "spare",
		    .home = site->loop,
		    .done = on_done } };
	hb_redeliver_begin(site->redeliver, &job->job);
}

static void
retry(struct site *site, struct job *job, uint64_t seq)
{
	begin(site, job, HB_REDELIVER_RETRY, HB_SHELF_DEAD, seq);
}

static void
expect_ok(struct job *job, enum hb_outcome outcome)
{
	await(job->site, &job->is_done);
	if (!job->job.ok)
		fail_msg("%s", job->job.err.text);
	assert_int_equal(job->job.outcome, outcome);
}

static void
expect_failure(struct job *job, enum hb_code code, const char *reason)
{
	await(job->site, &job->is_done);
	assert_false(job->job.ok);
	assert_string_equal(job->job.err.reason, reason);
	assert_int_equal(job->job.err.code, code);
}

/* --- retrying events ------------------------------------------------------ */

static struct hb_span
header_of(const struct hb_message *msg, const char *name)
{
	for (size_t i = 0; i < msg->header_count; i++)
		if (hb_span_eq(msg->headers[i].name, hb_span_of(name)))
			return msg->headers[i].value;
	return HB_SPAN_NONE;
}

static void
expect_text(struct hb_span got, const char *want)
{
	if (!hb_span_eq(got, hb_span_of(want)))
		fail_msg("got %.*s, want %s", HB_SPAN_ARG(got), want);
}

/* As it was received: its identity, not one of today's. */
static void
test_same_event_again(void **state)
{
	const struct hb_message *msg;
	struct site site;
	struct job job;
	uint64_t seq;

	(void)state;
	site_open(&site);
	seq = keep_dead(&site, "e", PLAIN, NULL);
	retry(&site, &job, seq);
	msg = &await_sent(&site, site.main_sink)->msg;
	assert_string_equal(msg->dest->name, "jobs");
	expect_text(msg->id, ID);
	expect_text(msg->endpoint, "e");
	expect_text(msg->key, "job-1");
	expect_text(header_of(msg, "traceparent"),
	    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	assert_non_null(memmem(msg->value.ptr, msg->value.len,
	    "2026-01-01T00:00:00.123Z", 24));
	assert_true(site.budget.used >= strlen(PLAIN));
	/* It is there until it is settled. */
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 1);
	fake_report(site.main_sink, 0, HB_REPORT_CONFIRMED, NULL);
	expect_ok(&job, HB_CONFIRMED);
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 0);
	retry(&site, &job, seq);
	expect_failure(&job, HB_E_REJECT, "not-found");
	site_close(&site);
}

/* Where it could not go, and nowhere else. */
static void
test_only_its_place(void **state)
{
	static const struct {
		const char *body, *place, *sink, *topic, *key;
	} cases[] = {
		{ BOTH, "main:other", "main", "other", "job-1" },
		{ BOTH, "main:jobs", "main", "jobs", "job-1" },
		/* Today's routes lead elsewhere. */
		{ PLAIN, "main:other", "main", "other", "job-1" },
		{ PLAIN, "spare:jobs", "spare", "jobs", "k-completed" },
	};
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		bool is_main = strcmp(cases[i].sink, "main") == 0;
		struct fake *fake =
		    is_main ? site.main_sink : site.spare_sink;
		const struct hb_message *msg;

		retry(&site, &job,
		    keep_dead(&site, "e", cases[i].body, cases[i].place));
		msg = &await_sent(&site, fake)->msg;
		assert_string_equal(msg->dest->name, cases[i].topic);
		expect_text(msg->key, cases[i].key);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		expect_ok(&job, HB_CONFIRMED);
	}
	assert_int_equal(site.main_sink->sent_count, 3);
	assert_int_equal(site.spare_sink->sent_count, 1);
	site_close(&site);
}

/* Anywhere: along all of today's routes. */
static void
test_all_routes(void **state)
{
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	site.main_sink->answers = true;
	site.main_sink->answer = HB_REPORT_CONFIRMED;
	retry(&site, &job, keep_dead(&site, "e", BOTH, NULL));
	expect_ok(&job, HB_CONFIRMED);
	assert_int_equal(site.main_sink->sent_count, 2);
	site_close(&site);
}

/* The record stays for a better day. */
static void
test_nowhere_to_go(void **state)
{
	static const struct {
		const char *endpoint, *place, *reason;
	} cases[] = {
		{ "e", "main:gone", "no-destination" },
		{ "e", "gone:jobs", "no-destination" },
		{ "e", "main", "no-destination" },
		{ "e", "", "no-destination" },
		{ "gone", NULL, "no-endpoint" },
	};
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		retry(&site, &job, keep_dead(&site, cases[i].endpoint, PLAIN,
		    cases[i].place));
		expect_failure(&job, HB_E_REJECT, cases[i].reason);
		assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), i + 1);
	}
	site_close(&site);
}

static void
test_no_memory(void **state)
{
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	site.budget.limit = 10;
	retry(&site, &job, keep_dead(&site, "e", PLAIN, NULL));
	expect_failure(&job, HB_E_RESOURCE, "memory");
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 1);
	/* Enough for the body, and no more. */
	site.budget.limit = strlen(PLAIN) + 1;
	retry(&site, &job, job.job.seq);
	expect_failure(&job, HB_E_RESOURCE, "memory");
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 1);
	site_close(&site);
}

/* Set aside anew, under a new number; the old one goes. */
static void
test_dead_again(void **state)
{
	static const struct {
		const char *body, *reason;
	} cases[] = { { "nonsense", "not-json" }, { PLAIN, "forbidden" } };
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		uint64_t seq = keep_dead(&site, "e", cases[i].body, NULL);
		struct hb_record rec;

		retry(&site, &job, seq);
		if (i > 0) {
			(void)await_sent(&site, site.main_sink);
			fake_report(site.main_sink, 0, HB_REPORT_REFUSED,
			    "forbidden");
		}
		expect_ok(&job, HB_DEAD_LETTERED);
		assert_int_equal(count(&site, HB_SHELF_DEAD, &rec), i + 1);
		assert_true(rec.kept.ref.seq > seq);
		expect_text(rec.reason, cases[i].reason);
		expect_text(rec.id, ID);
		expect_text(rec.body, cases[i].body);
		assert_int_equal(rec.received_ms, 1767225600123);
		hb_record_fini(&rec);
	}
	site_close(&site);
}

/* Its sink is away: settled all the same, as a delivery. */
static void
test_spooled(void **state)
{
	struct site site;
	struct job job;

	(void)state;
	site_open(&site);
	site.main_sink->is_unready = true;
	retry(&site, &job, keep_dead(&site, "e", PLAIN, NULL));
	expect_ok(&job, HB_SPOOLED);
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 0);
	assert_int_equal(count(&site, HB_SHELF_DELIVERIES, NULL), 1);
	site_close(&site);
}

/* The second job on a record has nothing to do. */
static void
test_one_at_a_time(void **state)
{
	struct site site;
	struct job first, second;
	uint64_t seq;

	(void)state;
	site_open(&site);
	seq = keep_dead(&site, "e", PLAIN, NULL);
	retry(&site, &first, seq);
	(void)await_sent(&site, site.main_sink);
	retry(&site, &second, seq);
	expect_failure(&second, HB_E_RETRY, "held");
	begin(&site, &second, HB_REDELIVER_DROP, HB_SHELF_DEAD, seq);
	expect_failure(&second, HB_E_RETRY, "held");
	fake_report(site.main_sink, 0, HB_REPORT_CONFIRMED, NULL);
	expect_ok(&first, HB_CONFIRMED);
	assert_int_equal(site.main_sink->sent_count, 1);
	site_close(&site);
}

/* --- messages and deliveries ---------------------------------------------- */

/* Back to the deliveries, as it is. */
static void
test_message_again(void **state)
{
	struct hb_record rec;
	struct site site;
	struct job job;
	uint64_t seq;

	(void)state;
	site_open(&site);
	seq = keep_message(&site, dest_of(&site, "main", "other"));
	retry(&site, &job, seq);
	expect_ok(&job, HB_SPOOLED);
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 0);
	assert_int_equal(count(&site, HB_SHELF_DELIVERIES, &rec), 1);
	expect_text(rec.value, "value");
	expect_text(rec.key, "key");
	expect_text(rec.id, ID);
	assert_ptr_equal(
	    rec.kept.shelf->dest, dest_of(&site, "main", "other"));
	hb_record_fini(&rec);
	site_close(&site);
}

static int64_t
dropped(const char *sink, const char *label)
{
	return hb_metric_value(
	    hb_metric_get(HB_M_DELIVERIES, sink, label, "dropped", NULL));
}

static void
test_drop(void **state)
{
	struct site site;
	struct kept kept;
	struct job job;
	uint64_t seq;
	int64_t before = dropped("main", "jobs");

	(void)state;
	site_open(&site);
	seq = keep_dead(&site, "e", PLAIN, NULL);
	begin(&site, &job, HB_REDELIVER_DROP, HB_SHELF_DEAD, seq);
	expect_ok(&job, HB_CONFIRMED);
	assert_int_equal(count(&site, HB_SHELF_DEAD, NULL), 0);
	assert_int_equal(dropped("main", "jobs"), before);
	seq = keep_delivery(
	    &site, dest_of(&site, "main", "jobs"), false, &kept);
	begin(&site, &job, HB_REDELIVER_DROP, HB_SHELF_DELIVERIES, seq);
	expect_ok(&job, HB_CONFIRMED);
	assert_int_equal(count(&site, HB_SHELF_DELIVERIES, NULL), 0);
	assert_int_equal(dropped("main", "jobs"), before + 1);
	begin(&site, &job, HB_REDELIVER_DROP, HB_SHELF_DELIVERIES, seq);
	expect_failure(&job, HB_E_REJECT, "not-found");
	site_close(&site);
}

static void
test_move(void **state)
{
	struct hb_record rec;
	struct site site;
	struct kept kept;
	struct job job;
	uint64_t seq;

	(void)state;
	site_open(&site);
	seq = keep_delivery(
	    &site, dest_of(&site, "main", "jobs"), true, &kept);
	begin(&site, &job, HB_REDELIVER_MOVE, HB_SHELF_DELIVERIES, seq);
	expect_failure(&job, HB_E_RETRY, "held");
	hb_store_release(&kept.keep);
	begin(&site, &job, HB_REDELIVER_MOVE, HB_SHELF_DELIVERIES, seq);
	expect_ok(&job, HB_SPOOLED);
	assert_int_equal(count(&site, HB_SHELF_DELIVERIES, &rec), 1);
	assert_ptr_equal(
	    rec.kept.shelf->dest, dest_of(&site, "spare", "jobs"));
	expect_text(rec.value, "value");
	/* It is there already. */
	begin(&site, &job, HB_REDELIVER_MOVE, HB_SHELF_DELIVERIES,
	    rec.kept.ref.seq);
	expect_failure(&job, HB_E_REJECT, "no-destination");
	hb_record_fini(&rec);
	/* There is no such topic. */
	seq = keep_delivery(
	    &site, dest_of(&site, "main", "other"), false, &kept);
	begin(&site, &job, HB_REDELIVER_MOVE, HB_SHELF_DELIVERIES, seq);
	expect_failure(&job, HB_E_REJECT, "no-destination");
	assert_int_equal(count(&site, HB_SHELF_DELIVERIES, NULL), 2);
	site_close(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_event_again),
		cmocka_unit_test(test_only_its_place),
		cmocka_unit_test(test_all_routes),
		cmocka_unit_test(test_nowhere_to_go),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_dead_again),
		cmocka_unit_test(test_spooled),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_message_again),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_move),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
