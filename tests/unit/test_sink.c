/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink.c - what all sinks share: reports, health and its metrics, the
 * opening of a whole configuration */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/sink/file.h"
#include "../../src/sink/kafka.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/sink.h"

/* Two sinks; the first has a destination of its own and two of a template. */
static struct hb_sink_conf sink_confs[2] = {
    {.index = 0, .name = "main"}, {.index = 1, .name = "other"}};
static const struct hb_dest_conf dest_confs[] = {
    {0, &sink_confs[0], "orders", "orders"},
    {1, &sink_confs[1], "orders", "orders"},
    {2, &sink_confs[0], "jobs.a", "jobs.{channel}"},
    {3, &sink_confs[0], "jobs.b", "jobs.{channel}"}};
static const struct hb_dest_conf *dests[] = {
    &dest_confs[0], &dest_confs[1], &dest_confs[2], &dest_confs[3]};
static struct hb_config cfg = {.sinks = sink_confs,
    .sink_count = 2,
    .dests = dests,
    .dest_count = HB_COUNT(dests)};
static const struct hb_sink_ops no_ops;

static void
make_sink(struct hb_sink *sink, enum hb_health health)
{
	struct hb_sink_env env = {.cfg = &cfg};

	hb_sink_init(sink, &no_ops, &sink_confs[0], &env, health);
}

static int64_t
destination_up(const char *label)
{
	return hb_metric_value(
	    hb_metric_get(HB_M_DESTINATION_UP, "main", label, NULL, NULL));
}

/* --- health --------------------------------------------------------------- */

static void
the_worse_health_counts(void **state)
{
	static const enum hb_health all[] = {HB_UP, HB_SLOW, HB_DOWN};
	struct hb_sink sink;

	(void)state;
	make_sink(&sink, HB_UP);
	for (size_t i = 0; i < HB_COUNT(all); i++)
		for (size_t k = 0; k < HB_COUNT(all); k++) {
			hb_sink_set_health(&sink, all[i], "a reason");
			hb_dest_set_health(&sink, dests[0], all[k], "another");
			assert_int_equal(hb_dest_health(&sink, dests[0]),
			    all[i > k ? i : k]);
			assert_int_equal(
			    hb_dest_health(&sink, dests[2]), all[i]);
		}
	hb_sink_fini(&sink);
}

static void
begins_as_said(void **state)
{
	struct hb_sink sink;

	(void)state;
	make_sink(&sink, HB_DOWN);
	assert_int_equal(hb_dest_health(&sink, dests[0]), HB_DOWN);
	assert_int_equal(destination_up("orders"), 0);
	assert_int_equal(hb_metric_value(sink.metric_up), 0);
	/* Both have to come up. */
	hb_sink_set_health(&sink, HB_UP, NULL);
	assert_int_equal(hb_metric_value(sink.metric_up), 1);
	assert_int_equal(hb_dest_health(&sink, dests[0]), HB_DOWN);
	assert_int_equal(destination_up("orders"), 0);
	hb_dest_set_health(&sink, dests[0], HB_UP, NULL);
	assert_int_equal(hb_dest_health(&sink, dests[0]), HB_UP);
	assert_int_equal(destination_up("orders"), 1);
	hb_sink_fini(&sink);
}

/* One series for all that a template names: up when all of them are. */
static void
a_label_is_up_when_all_are(void **state)
{
	struct hb_sink sink;

	(void)state;
	make_sink(&sink, HB_UP);
	assert_int_equal(destination_up("jobs.{channel}"), 1);
	hb_dest_set_health(&sink, dests[2], HB_DOWN, "unknown topic");
	assert_int_equal(destination_up("jobs.{channel}"), 0);
	hb_dest_set_health(&sink, dests[3], HB_DOWN, "unknown topic");
	hb_dest_set_health(&sink, dests[2], HB_UP, NULL);
	assert_int_equal(destination_up("jobs.{channel}"), 0);
	hb_dest_set_health(&sink, dests[3], HB_SLOW, "slow");
	assert_int_equal(destination_up("jobs.{channel}"), 1);
	assert_int_equal(destination_up("orders"), 1);
	hb_sink_set_health(&sink, HB_DOWN, "refused");
	assert_int_equal(destination_up("jobs.{channel}"), 0);
	assert_int_equal(destination_up("orders"), 0);
	assert_int_equal(hb_metric_value(sink.metric_up), 0);
	hb_sink_fini(&sink);
}

static void
errors_are_counted_by_class(void **state)
{
	struct hb_metric *metric =
	    hb_metric_get(HB_M_SINK_ERRORS, "main", "transport", NULL, NULL);
	int64_t before = hb_metric_value(metric);
	struct hb_sink sink;

	(void)state;
	make_sink(&sink, HB_UP);
	hb_sink_count_error(&sink, "transport");
	hb_sink_count_error(&sink, "timeout");
	assert_int_equal(hb_metric_value(metric), before + 1);
	hb_sink_fini(&sink);
}

/* People are told why, of the sink and of each destination. */
static void
reasons_are_told(void **state)
{
	struct hb_sink sink;
	char why[160];

	(void)state;
	make_sink(&sink, HB_DOWN);
	assert_int_equal(hb_sink_health(&sink, why), HB_DOWN);
	assert_string_equal(why, "");
	hb_sink_set_health(&sink, HB_SLOW, "one of two");
	hb_dest_set_health(&sink, dests[2], HB_DOWN, "unknown topic");
	assert_int_equal(hb_sink_health(&sink, why), HB_SLOW);
	assert_string_equal(why, "one of two");
	assert_int_equal(hb_sink_dest_health(&sink, dests[2], why), HB_DOWN);
	assert_string_equal(why, "unknown topic");
	hb_dest_set_health(&sink, dests[2], HB_UP, NULL);
	/* Not the worse of both. */
	assert_int_equal(hb_sink_dest_health(&sink, dests[2], why), HB_UP);
	assert_string_equal(why, "");
	hb_sink_fini(&sink);
}

/* --- reports -------------------------------------------------------------- */

struct trial {
	struct hb_delivery delivery;
	struct hb_task task;
	unsigned reported;
	bool reported_early, at_home;
};

static void
on_report(struct hb_delivery *delivery)
{
	struct trial *trial = hb_container_of(delivery, struct trial, delivery);

	trial->reported++;
	trial->at_home = hb_loop_current() == delivery->home;
	hb_loop_stop(delivery->home);
}

/* From inside send(), on the home loop. */
static void
on_trial(struct hb_task *task)
{
	struct trial *trial = hb_container_of(task, struct trial, task);

	hb_delivery_report(&trial->delivery, HB_REPORT_CONFIRMED, NULL);
	trial->reported_early = trial->reported > 0;
}

static void
reports_come_by_the_loop(void **state)
{
	struct hb_error err, why;
	struct hb_loop *loop = hb_loop_new("home", &err);
	struct hb_sink sink;
	struct trial trial = {.task = {.run = on_trial}};

	(void)state;
	make_sink(&sink, HB_UP);
	trial.delivery = (struct hb_delivery){
	    .sink = &sink, .home = loop, .on_report = on_report};
	hb_loop_post(loop, &trial.task);
	hb_loop_run(loop);
	assert_int_equal(trial.reported, 1);
	assert_false(trial.reported_early);
	assert_true(trial.at_home);
	assert_int_equal(trial.delivery.report, HB_REPORT_CONFIRMED);

	/* From another thread than the loop's, with a reason. */
	hb_fail(&why, HB_E_RETRY, "not now");
	hb_delivery_report(&trial.delivery, HB_REPORT_RETRY, &why);
	assert_int_equal(trial.reported, 1);
	hb_loop_run(loop);
	assert_int_equal(trial.reported, 2);
	assert_int_equal(trial.delivery.report, HB_REPORT_RETRY);
	assert_string_equal(trial.delivery.why.text, "not now");
	hb_loop_free(loop);
	hb_sink_fini(&sink);
}

/* --- what is logged ------------------------------------------------------- */

/* Runs the changes with stderr in a file; what they said. */
static void
capture(void (*change)(struct hb_sink *sink), char *out, size_t size)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct hb_sink sink;
	size_t len;

	assert_non_null(file);
	make_sink(&sink, HB_UP);
	hb_log_init(HB_LOG_INFO, HB_LOG_KV);
	dup2(fileno(file), STDERR_FILENO);
	change(&sink);
	dup2(saved, STDERR_FILENO);
	close(saved);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	hb_sink_fini(&sink);
	rewind(file);
	len = fread(out, 1, size - 1, file);
	out[len] = '\0';
	fclose(file);
}

static unsigned
lines(const char *text)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void
change_all(struct hb_sink *sink)
{
	hb_sink_set_health(sink, HB_DOWN, "evil \x1b[2J\nbroker");
	hb_sink_set_health(sink, HB_DOWN, "evil \x1b[2J\nbroker");
	hb_sink_set_health(sink, HB_DOWN, "another reason");
	hb_sink_set_health(sink, HB_UP, NULL);
	hb_sink_set_health(sink, HB_UP, NULL);
	hb_dest_set_health(sink, dests[2], HB_DOWN, "missing");
	hb_dest_set_health(sink, dests[2], HB_SLOW, "slow");
	hb_dest_set_health(sink, dests[2], HB_UP, NULL);
}

/* Changes are told once, in the words of the manual, and what a broker says
 * does not reach a terminal as it is. */
static void
changes_are_logged(void **state)
{
	static const char *const expected[] = {
	    "warning sink.down sink=main reason=\"evil \\u001b[2J\\nbroker\"\n",
	    "warning sink.down sink=main reason=\"another reason\"\n",
	    "info sink.up sink=main\n",
	    "warning destination.down sink=main dst=jobs.a reason=missing\n",
	    "warning destination.slow sink=main dst=jobs.a reason=slow\n",
	    "info destination.up sink=main dst=jobs.a\n"};
	char text[4096], *at = text;

	(void)state;
	capture(change_all, text, sizeof(text));
	assert_int_equal(lines(text), HB_COUNT(expected));
	for (size_t i = 0; i < HB_COUNT(expected); i++) {
		at = strstr(at, expected[i]);
		if (at == NULL)
			fail_msg("no %s in %s", expected[i], text);
	}
}

static void
change_to_long(struct hb_sink *sink)
{
	char why[1000];

	memset(why, 'w', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	hb_sink_set_health(sink, HB_DOWN, why);
	hb_sink_set_health(sink, HB_DOWN, why);
}

/* A reason that is cut is the same reason the next time. */
static void
long_reasons_are_told_once(void **state)
{
	char text[4096];

	(void)state;
	capture(change_to_long, text, sizeof(text));
	assert_int_equal(lines(text), 1);
}

/* --- the list of types ---------------------------------------------------- */

static void
types_are_complete(void **state)
{
	const struct hb_sink_type *const *types = hb_sink_types();
	const char *const names[] = {"kafka", "redis", "file"};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(names); i++) {
		assert_non_null(types[i]);
		assert_string_equal(types[i]->name, names[i]);
		assert_non_null(types[i]->keys);
		assert_true(types[i]->conf_size > 0);
	}
	assert_null(types[HB_COUNT(names)]);
}

/* --- all sinks of a configuration ----------------------------------------- */

/* Two sinks with one destination each, on one worker. */
struct whole {
	struct hb_sink_conf sinks[2];
	struct hb_dest_conf dest_confs[2];
	const struct hb_dest_conf *dests[2];
	struct hb_config cfg;
	struct hb_loop *worker, *helper;
	struct hb_sink_env env;
};

static void
whole_make(struct whole *whole, const struct hb_sink_type *first, void *one,
    const struct hb_sink_type *second, void *two)
{
	struct hb_error err;

	*whole = (struct whole){
	    .sinks = {{.index = 0, .name = "first", .type = first, .conf = one},
		{.index = 1, .name = "second", .type = second, .conf = two}},
	    .dest_confs = {{0, &whole->sinks[0], "a", "a"},
		{1, &whole->sinks[1], "b", "b"}},
	    .dests = {&whole->dest_confs[0], &whole->dest_confs[1]}};
	whole->cfg = (struct hb_config){.sinks = whole->sinks,
	    .sink_count = 2,
	    .dests = whole->dests,
	    .dest_count = 2,
	    .memory = 1 << 20,
	    .delivery = {.ack_timeout_ms = 3000}};
	whole->worker = hb_loop_new("worker", &err);
	whole->helper = hb_loop_new("helper", &err);
	whole->env = (struct hb_sink_env){
	    &whole->cfg, &whole->worker, 1, whole->helper};
}

static void
whole_run(struct whole *whole)
{
	struct hb_error err;

	assert_true(hb_loop_start(whole->worker, &err));
	assert_true(hb_loop_start(whole->helper, &err));
}

static void
whole_stop(struct whole *whole, struct hb_sinks *sinks)
{
	hb_loop_stop(whole->worker);
	hb_loop_join(whole->worker);
	hb_loop_stop(whole->helper);
	hb_loop_join(whole->helper);
	hb_sinks_close(sinks);
	hb_loop_free(whole->worker);
	hb_loop_free(whole->helper);
}

/* A delivery that is waited for. */
struct parcel {
	struct hb_delivery delivery;
	struct hb_task send;
	_Atomic unsigned reports;
};

static void
on_parcel_report(struct hb_delivery *delivery)
{
	struct parcel *parcel =
	    hb_container_of(delivery, struct parcel, delivery);

	atomic_fetch_add(&parcel->reports, 1);
}

static void
on_parcel_send(struct hb_task *task)
{
	struct parcel *parcel = hb_container_of(task, struct parcel, send);

	parcel->delivery.sent_us = hb_clock_mono_us();
	parcel->delivery.sink->ops->send(
	    parcel->delivery.sink, &parcel->delivery);
}

static void
send_to(struct parcel *parcel, struct whole *whole, struct hb_sinks *sinks,
    size_t dest)
{
	static struct hb_target_conf target;

	*parcel = (struct parcel){.send = {.run = on_parcel_send},
	    .delivery = {.msg = {.dest = whole->dests[dest],
			     .target = &target,
			     .endpoint = HB_SPAN("test"),
			     .key = HB_SPAN("k"),
			     .value = HB_SPAN("{}")},
		.sink = hb_sinks_of(sinks, whole->dests[dest]),
		.home = whole->worker,
		.on_report = on_parcel_report}};
	hb_loop_post(whole->worker, &parcel->send);
}

static void
await_report(struct parcel *parcel)
{
	for (int i = 0; i < 15000 && atomic_load(&parcel->reports) == 0; i++)
		usleep(2000);
	assert_int_equal(atomic_load(&parcel->reports), 1);
}

static char directory[] = "/tmp/hb-test-sink-XXXXXX";

static int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void
make_path(char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", directory, name);
}

static long
size_of(const char *path)
{
	FILE *file = fopen(path, "r");
	long size;

	if (file == NULL)
		return -1;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	fclose(file);
	return size;
}

static void
deliveries_find_their_sink(void **state)
{
	char paths[2][PATH_MAX], old[PATH_MAX];
	struct hb_file_conf one = {paths[0]}, two = {paths[1]};
	struct hb_error err;
	struct hb_sinks *sinks;
	struct parcel parcel;
	struct whole whole;

	(void)state;
	make_path(paths[0], "one");
	make_path(paths[1], "two");
	make_path(old, "old");
	whole_make(&whole, &hb_sink_file.type, &one, &hb_sink_file.type, &two);
	sinks = hb_sinks_open(&whole.env, &err);
	assert_non_null(sinks);
	assert_ptr_equal(
	    hb_sinks_of(sinks, whole.dests[0])->conf, &whole.sinks[0]);
	whole_run(&whole);
	send_to(&parcel, &whole, sinks, 1);
	await_report(&parcel);
	assert_int_equal(parcel.delivery.report, HB_REPORT_CONFIRMED);
	assert_int_equal(size_of(paths[0]), 0);
	assert_true(size_of(paths[1]) > 0);
	/* Reopened by name. */
	assert_int_equal(rename(paths[1], old), 0);
	hb_sinks_reopen(sinks);
	send_to(&parcel, &whole, sinks, 1);
	await_report(&parcel);
	assert_true(size_of(paths[1]) > 0);
	hb_sinks_drain(sinks, 1000);
	send_to(&parcel, &whole, sinks, 0);
	await_report(&parcel);
	assert_int_equal(parcel.delivery.report, HB_REPORT_RETRY);
	whole_stop(&whole, sinks);
	unlink(paths[0]);
	unlink(paths[1]);
	unlink(old);
}

/* The next descriptor that is free. */
static int
next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* One that never can work: those before it are closed again. */
static void
all_are_opened_or_none(void **state)
{
	static const char *brokers[] = {"127.0.0.1:1"};
	static struct hb_pair properties[] = {
	    {.name = "security.protocol", .value = "ssl"},
	    {.name = "ssl.ca.location", .value = "/nonexistent"}};
	struct hb_kafka_conf broken = {.brokers = {brokers, 1},
	    .properties = {properties, HB_COUNT(properties)}};
	char path[PATH_MAX];
	struct hb_file_conf file = {path};
	struct whole whole;
	struct hb_error err;
	int fd;

	(void)state;
	make_path(path, "one");
	whole_make(
	    &whole, &hb_sink_file.type, &file, &hb_sink_kafka.type, &broken);
	fd = next_fd();
	assert_null(hb_sinks_open(&whole.env, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_memory_equal(err.text, "sinks.second: ", 14);
	assert_int_equal(next_fd(), fd);
	hb_sinks_close(NULL);
	hb_loop_free(whole.worker);
	hb_loop_free(whole.helper);
	unlink(path);
}

/* What one sink waits for in vain the next one does not wait for again. */
static void
drains_share_their_time(void **state)
{
	static const char *brokers[] = {"127.0.0.1:1"};
	struct hb_kafka_conf away = {.brokers = {brokers, 1}};
	struct parcel parcels[2];
	struct hb_error err;
	struct hb_sinks *sinks;
	struct whole whole;
	uint64_t since_ms;

	(void)state;
	whole_make(
	    &whole, &hb_sink_kafka.type, &away, &hb_sink_kafka.type, &away);
	sinks = hb_sinks_open(&whole.env, &err);
	assert_non_null(sinks);
	whole_run(&whole);
	for (size_t i = 0; i < 2; i++)
		send_to(&parcels[i], &whole, sinks, i);
	since_ms = hb_clock_mono_ms();
	hb_sinks_drain(sinks, 700);
	assert_true(hb_clock_mono_ms() - since_ms < 1300);
	for (size_t i = 0; i < 2; i++) {
		await_report(&parcels[i]);
		assert_int_equal(parcels[i].delivery.report, HB_REPORT_RETRY);
	}
	whole_stop(&whole, sinks);
}

/* Only who can keep the order may be asked to; who remembers nothing forgets
 * nothing. */
static void
order_is_asked_for(void **state)
{
	static const char *brokers[] = {"127.0.0.1:1"};
	struct hb_kafka_conf usual = {.brokers = {brokers, 1}};
	struct hb_kafka_conf ordered = usual;
	char path[PATH_MAX];
	struct hb_file_conf file = {path};
	struct hb_kafka_conf *confs[] = {&usual, &ordered};

	(void)state;
	make_path(path, "one");
	ordered.ordered = true;
	for (size_t i = 0; i < HB_COUNT(confs); i++) {
		struct hb_error err;
		struct hb_sinks *sinks;
		struct whole whole;

		whole_make(&whole, &hb_sink_file.type, &file,
		    &hb_sink_kafka.type, confs[i]);
		sinks = hb_sinks_open(&whole.env, &err);
		assert_non_null(sinks);
		whole_run(&whole);
		assert_false(
		    hb_sink_is_ordered(hb_sinks_of(sinks, whole.dests[0])));
		assert_int_equal(
		    hb_sink_is_ordered(hb_sinks_of(sinks, whole.dests[1])),
		    confs[i]->ordered);
		hb_sinks_forget(sinks, HB_SPAN("test"), HB_SPAN("msg_1"));
		whole_stop(&whole, sinks);
	}
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_worse_health_counts),
	    cmocka_unit_test(begins_as_said),
	    cmocka_unit_test(reasons_are_told),
	    cmocka_unit_test(a_label_is_up_when_all_are),
	    cmocka_unit_test(errors_are_counted_by_class),
	    cmocka_unit_test(reports_come_by_the_loop),
	    cmocka_unit_test(changes_are_logged),
	    cmocka_unit_test(long_reasons_are_told_once),
	    cmocka_unit_test(types_are_complete),
	    cmocka_unit_test(deliveries_find_their_sink),
	    cmocka_unit_test(all_are_opened_or_none),
	    cmocka_unit_test(drains_share_their_time),
	    cmocka_unit_test(order_is_asked_for),
	};

	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
