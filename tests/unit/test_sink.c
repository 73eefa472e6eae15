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
#include <stdlib.h>
#include <string.h>

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_worse_health_counts),
	    cmocka_unit_test(begins_as_said),
	    cmocka_unit_test(a_label_is_up_when_all_are),
	    cmocka_unit_test(errors_are_counted_by_class),
	    cmocka_unit_test(reports_come_by_the_loop),
	    cmocka_unit_test(types_are_complete),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
