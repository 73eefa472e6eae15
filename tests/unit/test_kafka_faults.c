/* SPDX-License-Identifier: Apache-2.0 */
/* test_kafka_faults.c - what the Kafka sink makes of brokers that fail in their
 * own ways: the simulated cluster commits them on request */
#include "kafka_rig.h"

/* --- brokers that fail ---------------------------------------------------- */

/* Produce requests answered with an error; what comes of the message, and
 * whether the topic goes down for it. What a batch is blamed for takes two: the
 * second one met the message alone. */
static const struct {
	const char *error;
	unsigned times;
	enum hb_report report;
	const char *reason;
	bool topic_down;
} answers[] = {
    {"NOT_ENOUGH_REPLICAS", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"NOT_LEADER_FOR_PARTITION", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"KAFKA_STORAGE_ERROR", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"_TRANSPORT", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"MSG_SIZE_TOO_LARGE", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"MSG_SIZE_TOO_LARGE", 2, HB_REPORT_REFUSED, "too-large", false},
    {"RECORD_LIST_TOO_LARGE", 2, HB_REPORT_REFUSED, "too-large", false},
    {"POLICY_VIOLATION", 1, HB_REPORT_CONFIRMED, NULL, false},
    {"POLICY_VIOLATION", 2, HB_REPORT_REFUSED, "refused", false},
    {"INVALID_RECORD", 2, HB_REPORT_REFUSED, "refused", false},
    {"INVALID_MSG", 1, HB_REPORT_RETRY, NULL, false},
    {"INVALID_REQUIRED_ACKS", 1, HB_REPORT_RETRY, NULL, false},
    {"UNKNOWN", 1, HB_REPORT_RETRY, NULL, false},
    {"THROTTLING_QUOTA_EXCEEDED", 1, HB_REPORT_RETRY, NULL, false},
    {"TOPIC_AUTHORIZATION_FAILED", 1, HB_REPORT_RETRY, NULL, true},
    {"CLUSTER_AUTHORIZATION_FAILED", 1, HB_REPORT_RETRY, NULL, true},
};

static enum hb_report
expected_report(size_t i)
{
	/* Newer ones try again by themselves. */
	if (strcmp(answers[i].error, "INVALID_MSG") == 0 &&
	    rd_kafka_version() >= 0x020400ff)
		return HB_REPORT_CONFIRMED;
	return answers[i].report;
}

static void
check_answer(struct contract_rig *rig, size_t i)
{
	struct contract_item *item = contract_items(rig, 1);
	char command[80];

	snprintf(command, sizeof(command), "fail 0 %s %u", answers[i].error,
	    answers[i].times);
	kafka_mock_tell(&cluster, command);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	if (item->delivery.report != expected_report(i))
		fail_msg("%s: report %d: %s", answers[i].error,
		    (int)item->delivery.report, item->delivery.why.text);
	if (answers[i].reason != NULL)
		assert_string_equal(
		    item->delivery.why.reason, answers[i].reason);
	if (answers[i].topic_down) {
		assert_true(contract_await_health(rig, HB_DOWN));
		assert_true(contract_await_health(rig, HB_UP));
	}
	contract_send_until_confirmed(rig);
	free(item);
}

static void
answers_are_understood(void **state)
{
	struct contract_rig rig;

	(void)state;
	start_solo(&rig);
	for (size_t i = 0; i < HB_COUNT(answers); i++)
		check_answer(&rig, i);
	contract_stop(&rig);
}

/* Of a refused batch each message is sent alone: the one that is refused once
 * more is refused for good, all others arrive. */
static void
refused_batch_is_taken_apart(void **state)
{
	enum { COUNT = 40 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	set_property("linger.ms", "500"); /* one batch */
	start_solo(&rig);
	for (unsigned guilty = 0; guilty < 3; guilty++) {
		char command[80];

		items = contract_items(&rig, COUNT);
		snprintf(command, sizeof(command),
		    "fail 0 MSG_SIZE_TOO_LARGE %u", 1 + guilty);
		kafka_mock_tell(&cluster, command);
		contract_send(items, COUNT);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_int_equal(
		    count_reports(items, COUNT, HB_REPORT_REFUSED), guilty);
		for (size_t i = 0; i < COUNT; i++)
			if (items[i].delivery.report == HB_REPORT_CONFIRMED)
				contract_check_arrived(&rig, &items[i], 1);
		assert_int_equal(
		    count_reports(items, COUNT, HB_REPORT_CONFIRMED),
		    COUNT - guilty);
		free(items);
	}
	contract_stop(&rig);
	reset_properties();
}

/* So many are in the solo lane. */
static uint64_t
solo_count(struct contract_rig *rig)
{
	struct hb_kafka *kafka = (struct hb_kafka *)rig->sink;
	uint64_t count;

	pthread_mutex_lock(&kafka->lock);
	count = kafka->solo.outstanding;
	pthread_mutex_unlock(&kafka->lock);
	return count;
}

/* What is sent alone is given back by a drain like all the rest. */
static void
drain_empties_the_solo_lane(void **state)
{
	enum { COUNT = 20 };
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_ms;

	(void)state;
	set_property("linger.ms", "500");
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	kafka_mock_tell(&cluster, "fail 0 MSG_SIZE_TOO_LARGE");
	/* And then for ever something that is tried again. */
	kafka_mock_tell(&cluster, "fail 0 NOT_ENOUGH_REPLICAS 1000");
	contract_send(items, COUNT);
	since_ms = hb_clock_mono_ms();
	while (solo_count(&rig) < COUNT)
		assert_true(contract_wait(since_ms));
	rig.peer->ops->drain(rig.sink, 0);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_REFUSED), 0);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_CONFIRMED), 0);
	contract_close(&rig);
	kafka_mock_tell(&cluster, "heal 0");
	reset_properties();
	free(items);
}

/* A cluster that hangs: what times out may be there; the sink goes down. */
static void
hanging_cluster_is_down(void **state)
{
	enum { COUNT = 20 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_solo(&rig);
	items = contract_items(&rig, COUNT);
	kafka_mock_pause(&cluster);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_true(contract_await_health(&rig, HB_DOWN));
	kafka_mock_resume(&cluster);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* Writes that keep timing out while metadata is fine: the topic is down, and
 * gets another trial. */
static void
repeated_timeouts_are_down(void **state)
{
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_solo(&rig);
	items = contract_items(&rig, 3);
	kafka_mock_tell(&cluster, "fail 0 NOT_ENOUGH_REPLICAS 1000");
	contract_send(items, 3);
	contract_await_reports(items, 3);
	contract_check_reports(items, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_true(contract_await_health(&rig, HB_DOWN));
	kafka_mock_tell(&cluster, "heal 0");
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* librdkafka's queue takes no more: that is reported, nothing waits. */
static void
full_queue_is_reported(void **state)
{
	enum { COUNT = 3000 }; /* the least limit is 1000 */
	struct contract_rig rig;
	struct contract_item *items;
	size_t full = 0;

	(void)state;
	solo_peer.memory = 64 << 10;
	start_solo(&rig);
	solo_peer.memory = 0;
	items = contract_items(&rig, COUNT);
	kafka_mock_tell(&cluster, "rtt 300");
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		full +=
		    items[i].delivery.report == HB_REPORT_RETRY &&
		    strstr(items[i].delivery.why.text, "Queue full") != NULL;
	assert_true(full > 0);
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(items);
}

/* An outage is noticed and its end too, both within seconds. */
static void
outage_is_short(void **state)
{
	struct contract_rig rig;
	uint64_t since_ms;

	(void)state;
	start_solo(&rig);
	for (int round = 0; round < 2; round++) {
		kafka_mock_tell(&cluster, "down");
		since_ms = hb_clock_mono_ms();
		assert_true(contract_await_health(&rig, HB_DOWN));
		assert_true(hb_clock_mono_ms() - since_ms < 4000);
		kafka_mock_tell(&cluster, "up");
		since_ms = hb_clock_mono_ms();
		assert_true(contract_await_health(&rig, HB_UP));
		assert_true(hb_clock_mono_ms() - since_ms < 4000);
		contract_send_until_confirmed(&rig);
	}
	contract_stop(&rig);
}

/* A broker that does not answer when it is asked: what the linker is told to
 * put between the watch and rd_kafka_metadata(). */
static struct {
	_Atomic bool is_deaf;
	_Atomic bool with_traffic; /* others confirm meanwhile */
	_Atomic unsigned asked, confirmed;
} deafness;

rd_kafka_resp_err_t __real_rd_kafka_metadata(rd_kafka_t *rk, int all,
    rd_kafka_topic_t *only, const struct rd_kafka_metadata **found,
    int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_metadata(rd_kafka_t *rk, int all,
    rd_kafka_topic_t *only, const struct rd_kafka_metadata **found,
    int timeout_ms);

rd_kafka_resp_err_t
__wrap_rd_kafka_metadata(rd_kafka_t *rk, int all, rd_kafka_topic_t *only,
    const struct rd_kafka_metadata **found, int timeout_ms)
{
	unsigned before = atomic_load(&deafness.confirmed);
	uint64_t since_ms = hb_clock_mono_ms();

	if (!atomic_load(&deafness.is_deaf))
		return __real_rd_kafka_metadata(
		    rk, all, only, found, timeout_ms);
	/* The second one was sent after we were asked. */
	while (atomic_load(&deafness.with_traffic) &&
	       atomic_load(&deafness.confirmed) < before + 2)
		if (!contract_wait(since_ms))
			break;
	atomic_fetch_add(&deafness.asked, 1);
	return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* One broker of several hangs, and is the one that is asked: as long as others
 * confirm, the sink is up. */
static void
one_hanging_broker_is_not_all(void **state)
{
	struct contract_rig rig;

	(void)state;
	start_solo(&rig);
	atomic_store(&deafness.with_traffic, true);
	atomic_store(&deafness.is_deaf, true);
	while (atomic_load(&deafness.asked) < 3) {
		struct contract_item *item = contract_items(&rig, 1);

		hb_kafka_watch_ring((struct hb_kafka *)rig.sink);
		contract_send(item, 1);
		contract_await_reports(item, 1);
		contract_check_confirmed(item, 1);
		free(item);
		atomic_fetch_add(&deafness.confirmed, 1);
		assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_UP);
	}
	atomic_store(&deafness.with_traffic, false);
	hb_kafka_watch_ring((struct hb_kafka *)rig.sink);
	assert_true(contract_await_health(&rig, HB_DOWN));
	atomic_store(&deafness.is_deaf, false);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_stop(&rig);
}

int
main(void)
{
	const struct CMUnitTest anywhere[] = {
	    cmocka_unit_test(one_hanging_broker_is_not_all),
	};
	const struct CMUnitTest simulated[] = {
	    cmocka_unit_test(answers_are_understood),
	    cmocka_unit_test(refused_batch_is_taken_apart),
	    cmocka_unit_test(drain_empties_the_solo_lane),
	    cmocka_unit_test(hanging_cluster_is_down),
	    cmocka_unit_test(repeated_timeouts_are_down),
	    cmocka_unit_test(full_queue_is_reported),
	    cmocka_unit_test(outage_is_short),
	};

	return kafka_rig_run(anywhere, HB_COUNT(anywhere), simulated,
	    HB_COUNT(simulated), NULL, 0);
}
