/* SPDX-License-Identifier: Apache-2.0 */
/* test_kafka_patient.c - the Kafka sink's lane for what is kept on disk, and
 * what is sent one by one
 *
 * What is promised of batches is counted where they are written. */
#include "kafka_wire.h"

static struct hb_kafka *
kafka_of(struct contract_rig *rig)
{
	return (struct hb_kafka *)rig->sink;
}

static bool
has_producer(struct hb_kafka_lane *lane)
{
	bool has = hb_kafka_hold(lane) != NULL;

	if (has)
		hb_kafka_release(lane);
	return has;
}

static void
start(struct contract_rig *rig, const struct contract_peer *at)
{
	contract_open(rig, at);
	contract_run(rig);
	assert_true(contract_await_health(rig, HB_UP));
	wire_reset();
}

/* All arrived once, and those of a partition in the order of the array. */
static void
check_order(
    struct contract_rig *rig, struct contract_item *items, size_t count)
{
	const rd_kafka_message_t **found =
	    hb_xcalloc(count, sizeof(const rd_kafka_message_t *));

	contract_check_arrived(rig, items, count);
	for (size_t i = 0; i < count; i++) {
		const struct hb_message *msg = &items[i].delivery.msg;

		found[i] = kafka_peer_find(&cluster, msg);
		assert_int_equal(kafka_peer_arrived(&cluster, msg), 1);
		for (size_t j = 0; j < i; j++)
			if (items[j].delivery.msg.dest == msg->dest &&
			    found[j]->partition == found[i]->partition &&
			    found[j]->offset >= found[i]->offset)
				fail_msg("%zu is behind %zu", j, i);
	}
	free(found);
}

/* --- batches -------------------------------------------------------------- */

/* A producer, its threads and connections are there when they are needed. */
static void
lane_is_made_when_needed(void **state)
{
	struct contract_rig rig;
	struct contract_item *item;

	(void)state;
	start(&rig, &solo_peer);
	contract_send_until_confirmed(&rig);
	assert_false(has_producer(&kafka_of(&rig)->patient));
	item = contract_patient_items(&rig, 1);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&rig, item, 1);
	assert_true(has_producer(&kafka_of(&rig)->patient));
	contract_stop(&rig);
	free(item);
}

/* As many as the replay sends at once make a few requests, in order: before
 * there is a producer, and when there is. */
static void
batches_are_few(void **state)
{
	enum { COUNT = 512, ROUNDS = 3 };
	struct contract_rig rig;

	(void)state;
	start(&rig, &solo_peer);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct contract_item *items =
		    contract_patient_items(&rig, COUNT);

		wire_reset();
		contract_send(items, COUNT);
		contract_await_reports(items, COUNT);
		contract_check_confirmed(items, COUNT);
		check_order(&rig, items, COUNT);
		/* A slow machine may take some turns of 5 ms. */
		assert_in_range(atomic_load(&wire.patient), 1, COUNT / 16);
		assert_int_equal(atomic_load(&wire.prompt), 0);
		free(items);
	}
	contract_stop(&rig);
}

/* However many partitions and topics there are. */
static void
partitions_are_in_order(void **state)
{
	enum { COUNT = 600 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start(&rig, &peer);
	items = contract_patient_items(&rig, COUNT);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	check_order(&rig, items, COUNT);
	contract_stop(&rig);
	free(items);
}

/* What is waited for passes by a backlog that does not move. */
static void
prompt_ones_do_not_wait(void **state)
{
	enum { COUNT = 512, PROMPT = 50 };
	struct contract_rig rig;
	struct contract_item *items, *prompt;
	uint64_t since_ms = hb_clock_mono_ms();

	(void)state;
	start(&rig, &solo_peer);
	atomic_store(&wire.holds_patient, true);
	items = contract_patient_items(&rig, COUNT);
	contract_send(items, COUNT);
	while (atomic_load(&wire.held) == 0)
		assert_true(contract_wait(since_ms));
	/* One after the other, from both loops. */
	prompt = contract_items(&rig, PROMPT);
	for (size_t i = 0; i < PROMPT; i++) {
		contract_send(&prompt[i], 1);
		contract_await_reports(&prompt[i], 1);
	}
	contract_check_confirmed(prompt, PROMPT);
	assert_int_equal(atomic_load(&wire.prompt), PROMPT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(atomic_load(&items[i].reports), 0);
	atomic_store(&wire.holds_patient, false);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	check_order(&rig, items, COUNT);
	contract_stop(&rig);
	free(items);
	free(prompt);
}

/* How much may be under way is for who sends it to say: the budget, which
 * bounds what is waited for, does not count here. */
static void
queue_does_not_refuse(void **state)
{
	enum { COUNT = 3000 }; /* the least limit of the budget's is 1000 */
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_ms = hb_clock_mono_ms();

	(void)state;
	solo_peer.memory = 64 << 10;
	start(&rig, &solo_peer);
	solo_peer.memory = 0;
	atomic_store(&wire.holds_patient, true);
	items = contract_patient_items(&rig, COUNT);
	contract_send(items, COUNT);
	contract_settle(&rig);
	while (atomic_load(&wire.held) == 0)
		assert_true(contract_wait(since_ms));
	atomic_store(&wire.holds_patient, false);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_stop(&rig);
	free(items);
}

/* --- trouble -------------------------------------------------------------- */

/* A cluster that is away for longer than anybody waits for an answer: what is
 * patient waits, and arrives, once and in order. */
static void
outages_are_outlasted(void **state)
{
	enum { COUNT = 200, PROMPT = 20 };
	struct contract_rig rig;

	(void)state;
	set_property("enable.idempotence", "true");
	start(&rig, &solo_peer);
	/* The second time there is a producer already. */
	for (int round = 0; round < 2; round++) {
		struct contract_item *items =
		    contract_patient_items(&rig, COUNT);
		struct contract_item *prompt = contract_items(&rig, PROMPT);

		kafka_peer_down(&cluster);
		contract_send(items, COUNT);
		contract_send(prompt, PROMPT);
		contract_await_reports(prompt, PROMPT);
		contract_check_reports(prompt, PROMPT);
		assert_int_equal(
		    count_reports(prompt, PROMPT, HB_REPORT_CONFIRMED), 0);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(atomic_load(&items[i].reports), 0);
		kafka_peer_up(&cluster);
		contract_await_reports(items, COUNT);
		contract_check_confirmed(items, COUNT);
		check_order(&rig, items, COUNT);
		assert_true(contract_await_health(&rig, HB_UP));
		contract_send_until_confirmed(&rig);
		free(items);
		free(prompt);
	}
	contract_stop(&rig);
	reset_properties();
}

static void
send_patient_until_confirmed(struct contract_rig *rig)
{
	uint64_t since_ms = hb_clock_mono_ms();
	bool confirmed = false;

	while (!confirmed) {
		struct contract_item *item = contract_patient_items(rig, 1);

		contract_send(item, 1);
		contract_await_reports(item, 1);
		contract_check_reports(item, 1);
		confirmed = item->delivery.report == HB_REPORT_CONFIRMED;
		if (!confirmed && !contract_wait(since_ms))
			fail_msg("%s", item->delivery.why.text);
		free(item);
	}
}

/* All of its deliveries are given back and there is another one, while the
 * other lanes go on as if nothing had happened. */
static void
fatal_producer_is_replaced(void **state)
{
	enum { COUNT = 200 };
	struct contract_rig rig;
	struct hb_kafka *kafka;
	rd_kafka_t *main_rk;

	(void)state;
	set_property("enable.idempotence", "true");
	start(&rig, &solo_peer);
	kafka = kafka_of(&rig);
	main_rk = kafka->main.rk;
	send_patient_until_confirmed(&rig);
	for (int round = 0; round < 2; round++) {
		rd_kafka_t *rk = hb_kafka_hold(&kafka->patient);
		struct contract_item *items =
		    contract_patient_items(&rig, COUNT);

		assert_non_null(rk);
		contract_send(items, COUNT / 2);
		rd_kafka_test_fatal_error(rk,
		    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
		hb_kafka_release(&kafka->patient);
		contract_send(items + COUNT / 2, COUNT / 2);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		contract_send_until_confirmed(&rig);
		send_patient_until_confirmed(&rig);
		assert_true(main_rk == kafka->main.rk);
		assert_false(atomic_load(&kafka->main.is_fatal));
		free(items);
	}
	contract_stop(&rig);
	reset_properties();
}

/* Nobody has to send anything for it; it is gone until somebody does. */
static void
idle_fatal_producer_is_closed(void **state)
{
	struct contract_rig rig;
	struct hb_kafka_lane *lane;
	uint64_t since_ms;
	rd_kafka_t *rk;

	(void)state;
	set_property("enable.idempotence", "true");
	start(&rig, &solo_peer);
	lane = &kafka_of(&rig)->patient;
	send_patient_until_confirmed(&rig);
	rk = hb_kafka_hold(lane);
	rd_kafka_test_fatal_error(
	    rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
	hb_kafka_release(lane);
	since_ms = hb_clock_mono_ms();
	while (has_producer(lane))
		assert_true(contract_wait(since_ms));
	send_patient_until_confirmed(&rig);
	assert_true(has_producer(lane));
	contract_stop(&rig);
	reset_properties();
}

/* What a broker says of a topic it says of it, whoever has sent there. */
static void
topics_suffer_the_same(void **state)
{
	struct contract_rig rig;
	struct contract_item *item;

	(void)state;
	start(&rig, &solo_peer);
	item = contract_patient_items(&rig, 1);
	kafka_mock_tell(&cluster, "fail 0 TOPIC_AUTHORIZATION_FAILED");
	contract_send(item, 1);
	contract_await_reports(item, 1);
	assert_int_equal(item->delivery.report, HB_REPORT_RETRY);
	assert_true(contract_await_health(&rig, HB_DOWN));
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	free(item);
}

/* A refused batch is taken apart like any other. */
static void
refused_batch_is_taken_apart(void **state)
{
	enum { COUNT = 40 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	set_property("linger.ms", "500"); /* one batch */
	start(&rig, &solo_peer);
	items = contract_patient_items(&rig, COUNT);
	kafka_mock_tell(&cluster, "fail 0 MSG_SIZE_TOO_LARGE 2");
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_REFUSED), 1);
	assert_int_equal(
	    count_reports(items, COUNT, HB_REPORT_CONFIRMED), COUNT - 1);
	contract_stop(&rig);
	reset_properties();
	free(items);
}

/* --- in order ------------------------------------------------------------- */

static void
start_ordered(struct contract_rig *rig)
{
	settings.ordered = true;
	start(rig, &solo_peer);
}

static void
stop_ordered(struct contract_rig *rig)
{
	contract_stop(rig);
	settings.ordered = false;
}

/* Items of one lane, from the replay's loop. */
static struct contract_item *
lane_items(struct contract_rig *rig, size_t count, bool patient)
{
	struct contract_item *items = contract_patient_items(rig, count);

	for (size_t i = 0; i < count; i++)
		items[i].delivery.patient = patient;
	return items;
}

/* Each message is a request of its own, even when they are sent at once. What
 * is waited for goes when its predecessor is confirmed, however often that had
 * to be sent, and however long it took. */
static void
ordered_is_one_by_one(void **state)
{
	enum { COUNT = 40, FAILURES = 5 }; /* each takes 100 ms */
	struct contract_rig rig;

	(void)state;
	start_ordered(&rig);
	for (int patient = 0; patient < 2; patient++) {
		struct contract_item *items =
		    lane_items(&rig, COUNT, patient);
		unsigned failures = patient ? 0 : FAILURES;

		wire_reset();
		if (!patient)
			kafka_mock_tell(
			    &cluster, "fail 0 NOT_ENOUGH_REPLICAS 5");
		contract_send(items, COUNT);
		contract_await_reports(items, COUNT);
		contract_check_confirmed(items, COUNT);
		check_order(&rig, items, COUNT);
		assert_int_equal(
		    atomic_load(patient ? &wire.patient : &wire.prompt),
		    COUNT + failures);
		free(items);
	}
	stop_ordered(&rig);
}

/* Nor does a broker that takes its time bring anybody before. */
static void
ordered_waits_for_slow_brokers(void **state)
{
	enum { COUNT = 5 };
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_ms = hb_clock_mono_ms();

	(void)state;
	start_ordered(&rig);
	items = lane_items(&rig, COUNT, false);
	/* Longer than who is not ordered waits. */
	kafka_mock_tell(&cluster, "rtt 400");
	kafka_mock_tell(&cluster, "fail 0 NOT_ENOUGH_REPLICAS");
	contract_send(items, COUNT);
	while (atomic_load(&wire.prompt) < 2)
		assert_true(contract_wait(since_ms));
	kafka_mock_tell(&cluster, "rtt 0");
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	check_order(&rig, items, COUNT);
	free(items);
	stop_ordered(&rig);
}

/* The replay sends one when the one before is confirmed. */
static void
ordered_backlog_stays_in_order(void **state)
{
	enum { COUNT = 12 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_ordered(&rig);
	items = contract_patient_items(&rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		if (i % 4 == 1)
			kafka_mock_tell(
			    &cluster, "fail 0 NOT_ENOUGH_REPLICAS 2");
		contract_send(&items[i], 1);
		contract_await_reports(&items[i], 1);
	}
	contract_check_confirmed(items, COUNT);
	check_order(&rig, items, COUNT);
	assert_int_equal(
	    atomic_load(&wire.patient), COUNT + 2 * (COUNT / 4));
	free(items);
	stop_ordered(&rig);
}

/* When it is not confirmed, nobody overtakes it who was sent meanwhile. */
static void
ordered_failures_are_not_overtaken(void **state)
{
	enum { COUNT = 10, FAILED = 4 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_ordered(&rig);
	items = lane_items(&rig, COUNT, false);
	contract_send(items, FAILED);
	contract_await_reports(items, FAILED);
	contract_check_confirmed(items, FAILED);
	kafka_mock_tell(&cluster, "rtt 100");
	kafka_mock_tell(&cluster, "fail 0 UNKNOWN");
	contract_send(items + FAILED, COUNT - FAILED);
	contract_await_reports(items, COUNT);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_reports(items, COUNT);
	for (size_t i = FAILED; i < COUNT; i++)
		assert_int_equal(items[i].delivery.report, HB_REPORT_RETRY);
	assert_int_equal(atomic_load(&wire.prompt), FAILED + 1);
	/* Later ones are none of theirs. */
	contract_send_until_confirmed(&rig);
	free(items);
	stop_ordered(&rig);
}

/* What is refused has nobody to share the blame with: it is not sent again
 * behind its successors. */
static void
ordered_refusals_are_final(void **state)
{
	enum { COUNT = 10 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	start_ordered(&rig);
	for (int patient = 0; patient < 2; patient++) {
		items = lane_items(&rig, COUNT, patient);
		kafka_mock_tell(&cluster, "fail 0 MSG_SIZE_TOO_LARGE");
		contract_send(items, COUNT);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_int_equal(items[0].delivery.report, HB_REPORT_REFUSED);
		assert_string_equal(items[0].delivery.why.reason, "too-large");
		contract_check_confirmed(items + 1, COUNT - 1);
		check_order(&rig, items + 1, COUNT - 1);
		assert_false(has_producer(&kafka_of(&rig)->solo));
		free(items);
	}
	stop_ordered(&rig);
}

int
main(void)
{
	const struct CMUnitTest anywhere[] = {
	    cmocka_unit_test(lane_is_made_when_needed),
	    cmocka_unit_test(batches_are_few),
	    cmocka_unit_test(partitions_are_in_order),
	    cmocka_unit_test(prompt_ones_do_not_wait),
	    cmocka_unit_test(queue_does_not_refuse),
	    cmocka_unit_test(fatal_producer_is_replaced),
	    cmocka_unit_test(idle_fatal_producer_is_closed),
	};
	const struct CMUnitTest simulated[] = {
	    cmocka_unit_test(outages_are_outlasted),
	    cmocka_unit_test(topics_suffer_the_same),
	    cmocka_unit_test(refused_batch_is_taken_apart),
	    cmocka_unit_test(ordered_is_one_by_one),
	    cmocka_unit_test(ordered_waits_for_slow_brokers),
	    cmocka_unit_test(ordered_backlog_stays_in_order),
	    cmocka_unit_test(ordered_failures_are_not_overtaken),
	    cmocka_unit_test(ordered_refusals_are_final),
	};

	return kafka_rig_run(anywhere, HB_COUNT(anywhere), simulated,
	    HB_COUNT(simulated), NULL, 0);
}
