/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_kafka.c - the Kafka sink: the contract of all sinks, sizes, topics,
 * and a producer that has to be replaced
 *
 * Against the simulated cluster, or with HB_KAFKA_BROKERS against a real one;
 * a few tests are for one of the two. What brokers do wrong is in
 * test_kafka_faults.c, who waits for whom in test_kafka_queue.c, settings are
 * in test_kafka_conf.c. */
#include "kafka_wrap.h"

/* --- sizes ---------------------------------------------------------------- */

/* Whatever fits is taken; what does not is far from any limit of ours. */
static void
what_fits_is_taken(void **state)
{
	static char value[2097152];
	struct contract_rig rig;
	struct contract_item *item;
	struct hb_error err;
	size_t len = sizeof(value);

	(void)state;
	memset(value, '7', sizeof(value));
	start_solo(&rig);
	item = contract_items(&rig, 1);
	item->delivery.msg.value = hb_span_make(value, len);
	assert_false(hb_sink_kafka.fits(rig.sink, &item->delivery.msg, &err));
	assert_string_equal(err.reason, "too-large");
	while (!hb_sink_kafka.fits(rig.sink, &item->delivery.msg, &err))
		item->delivery.msg.value.len = --len;
	assert_true(sizeof(value) - len < 300);
	/* The same is said without a broker. */
	assert_true(hb_sink_would_fit(&rig.cfg, &item->delivery.msg, &err));
	item->delivery.msg.value.len++;
	assert_false(hb_sink_would_fit(&rig.cfg, &item->delivery.msg, &err));
	assert_string_equal(err.reason, "too-large");
	item->delivery.msg.value.len--;
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&rig, item, 1);
	contract_stop(&rig);
	free(item);
}

/* librdkafka's own refusal concerns this message alone, whatever else is under
 * way. */
static void
too_large_is_refused(void **state)
{
	static char value[3 << 20];
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	memset(value, '7', sizeof(value));
	start_solo(&rig);
	items = contract_items(&rig, 2);
	items[1].delivery.msg.value = hb_span_make(value, sizeof(value));
	if (cluster.mock != 0)
		kafka_mock_tell(&cluster, "rtt 300");
	contract_send(items, 1);
	contract_settle(&rig);
	contract_send(items + 1, 1);
	contract_await_reports(items + 1, 1);
	if (cluster.mock != 0)
		kafka_mock_tell(&cluster, "rtt 0");
	assert_int_equal(items[1].delivery.report, HB_REPORT_REFUSED);
	assert_string_equal(items[1].delivery.why.reason, "too-large");
	contract_await_reports(items, 1);
	contract_check_confirmed(items, 1);
	contract_stop(&rig);
	free(items);
}

/* --- topics --------------------------------------------------------------- */

/* An event without a byte is a value all the same, not a tombstone. */
static void
empty_value_is_no_tombstone(void **state)
{
	struct contract_rig rig;
	struct contract_item *item;

	(void)state;
	start_solo(&rig);
	item = contract_items(&rig, 1);
	item->delivery.msg.value = HB_SPAN_NONE;
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&rig, item, 1);
	assert_non_null(
	    kafka_peer_find(&cluster, &item->delivery.msg)->payload);
	contract_stop(&rig);
	free(item);
}

/* A topic that is not there stops that topic alone, until it is. */
static void
unknown_topic_is_down_alone(void **state)
{
	struct contract_peer half = peer;
	struct contract_rig rig;

	(void)state;
	half.dests[1] = "hb.late";
	kafka_mock_tell(&cluster, "topic hb.late 1");
	kafka_mock_tell(&cluster, "topic-error hb.late UNKNOWN_TOPIC_OR_PART");
	contract_open(&rig, &half);
	contract_run(&rig);
	await_dest(&rig, 0, HB_UP);
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[1]), HB_DOWN);
	kafka_mock_tell(&cluster, "topic-error hb.late NO_ERROR");
	assert_true(contract_await_health(&rig, HB_UP));
	contract_stop(&rig);
}

/* The same of a real cluster: made, removed and made again under our feet. */
static void
topic_comes_and_goes(void **state)
{
	struct contract_peer half = peer;
	struct contract_rig rig;

	(void)state;
	half.dests[1] = "hb.late";
	kafka_peer_delete(&cluster, "hb.late");
	contract_open(&rig, &half);
	contract_run(&rig);
	for (int round = 0; round < 2; round++) {
		uint64_t since_ms;
		struct contract_item *items;

		await_dest(&rig, 0, HB_UP);
		await_dest(&rig, 1, HB_DOWN);
		kafka_peer_create(&cluster, "hb.late", 1, NULL, NULL);
		since_ms = hb_clock_mono_ms();
		await_dest(&rig, 1, HB_UP);
		/* The longest pause between two looks is five seconds. */
		assert_true(hb_clock_mono_ms() - since_ms < 7000);
		items = contract_items(&rig, 2);
		contract_send(items, 2);
		contract_await_reports(items, 2);
		contract_check_confirmed(items, 2);
		free(items);
		if (round > 0)
			break;
		/* Nobody is told; what is sent next finds out. */
		kafka_peer_delete(&cluster, "hb.late");
		while (hb_dest_health(rig.sink, rig.dests[1]) == HB_UP) {
			items = contract_items(&rig, 2);
			contract_send(items, 2);
			contract_await_reports(items, 2);
			contract_check_reports(items, 2);
			contract_check_confirmed(items, 1);
			free(items);
		}
	}
	contract_stop(&rig);
	kafka_peer_delete(&cluster, "hb.late");
}

/* One message is too large for its topic, and with it every batch it is in;
 * nobody else suffers. */
static void
topic_limit_hits_one_message(void **state)
{
	enum { COUNT = 60, GUILTY = 30 };
	static char value[50000];
	struct contract_peer small = solo_peer;
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	kafka_peer_delete(&cluster, "hb.small");
	kafka_peer_create(
	    &cluster, "hb.small", 1, "max.message.bytes", "20000");
	memset(value, '7', sizeof(value));
	small.dests[0] = "hb.small";
	set_property("linger.ms", "200"); /* one batch */
	contract_open(&rig, &small);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_items(&rig, COUNT);
	items[GUILTY].delivery.msg.value = hb_span_make(value, sizeof(value));
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	assert_int_equal(items[GUILTY].delivery.report, HB_REPORT_REFUSED);
	assert_string_equal(items[GUILTY].delivery.why.reason, "too-large");
	assert_int_equal(
	    count_reports(items, COUNT, HB_REPORT_CONFIRMED), COUNT - 1);
	contract_stop(&rig);
	reset_properties();
	free(items);
	kafka_peer_delete(&cluster, "hb.small");
}

/* What stderr has been given since it was turned to the file, which is read by
 * an offset of its own. */
static bool
was_logged(FILE *file, const char *word, const char *other)
{
	char path[64], line[1024];
	bool was = false;
	FILE *again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(file));
	again = fopen(path, "r");
	assert_non_null(again);
	while (!was && fgets(line, sizeof(line), again) != NULL)
		was = strstr(line, word) != NULL && strstr(line, other) != NULL;
	fclose(again);
	return was;
}

/* A topic that is less safe, or takes less, than one might think is told of
 * when it is found. */
static void
weak_topics_are_told_of(void **state)
{
	static const char *const reasons[] = {
	    "min.insync.replicas is 1", "max.message.bytes is 20000"};
	struct contract_peer weak = solo_peer;
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct contract_rig rig;

	(void)state;
	kafka_peer_create(&cluster, "hb.weak", 1, "max.message.bytes", "20000");
	weak.dests[0] = "hb.weak";
	dup2(fileno(file), STDERR_FILENO);
	contract_open(&rig, &weak);
	contract_run(&rig);
	for (size_t i = 0; i < HB_COUNT(reasons); i++) {
		uint64_t since_ms = hb_clock_mono_ms();

		while (!was_logged(file, "destination.weak", reasons[i]) &&
		       contract_wait(since_ms))
			;
	}
	contract_stop(&rig);
	dup2(saved, STDERR_FILENO);
	close(saved);
	for (size_t i = 0; i < HB_COUNT(reasons); i++)
		assert_true(was_logged(file, "destination.weak", reasons[i]));
	fclose(file);
	kafka_peer_delete(&cluster, "hb.weak");
}

/* --- a fatal producer ----------------------------------------------------- */

/* All is given back, the producer is replaced, and the sink is up again. */
static void
fatal_producer_is_replaced(void **state)
{
	enum { COUNT = 200 };
	struct contract_rig rig;
	struct contract_item *items;
	struct hb_kafka *kafka;

	(void)state;
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	kafka = (struct hb_kafka *)rig.sink;
	contract_send_until_confirmed(&rig);
	for (int round = 0; round < 2; round++) {
		rd_kafka_t *rk = hb_kafka_hold(&kafka->main);

		assert_non_null(rk);
		items = contract_items(&rig, COUNT);
		contract_send(items, COUNT / 2);
		rd_kafka_test_fatal_error(rk,
		    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
		hb_kafka_release(&kafka->main);
		contract_send(items + COUNT / 2, COUNT / 2);
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		assert_true(contract_await_health(&rig, HB_DOWN));
		assert_true(contract_await_health(&rig, HB_UP));
		contract_send_until_confirmed(&rig);
		free(items);
	}
	contract_stop(&rig);
	reset_properties();
}

/* Nothing has to be sent for it. */
static void
idle_fatal_producer_is_replaced(void **state)
{
	struct contract_rig rig;
	struct hb_kafka *kafka;
	rd_kafka_t *rk;

	(void)state;
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	kafka = (struct hb_kafka *)rig.sink;
	rk = hb_kafka_hold(&kafka->main);
	rd_kafka_test_fatal_error(
	    rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
	hb_kafka_release(&kafka->main);
	assert_true(contract_await_health(&rig, HB_DOWN));
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	reset_properties();
}

/* A sender that librdkafka keeps a little longer. */
static struct {
	_Atomic bool wanted;
	struct hb_kafka *kafka;
	bool is_gone; /* the producer, while the sender was in it */
} lingering;

static bool
is_lane(struct hb_kafka_lane *lane, rd_kafka_t *rk, uint64_t most_outstanding)
{
	bool is;

	pthread_mutex_lock(&lane->kafka->lock);
	is = lane->rk == rk && lane->outstanding <= most_outstanding;
	pthread_mutex_unlock(&lane->kafka->lock);
	return is;
}

/* The message is reported and the watch wants another producer. */
static void
linger(rd_kafka_t *rk)
{
	struct hb_kafka_lane *lane = &lingering.kafka->main;
	uint64_t since_ms = hb_clock_mono_ms();

	rd_kafka_test_fatal_error(
	    rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test");
	while (is_lane(lane, rk, UINT64_MAX) && !is_lane(lane, rk, 0))
		if (!contract_wait(since_ms))
			break;
	/* Nothing may happen now. */
	since_ms = hb_clock_mono_ms();
	while (!lingering.is_gone && hb_clock_mono_ms() - since_ms < 500) {
		lingering.is_gone = !is_lane(lane, rk, 0);
		usleep(1000);
	}
}

static void
before_produce(const struct wrapped_produce *call)
{
	(void)call;
}

/* The reader cannot both stay there and take the report. */
static void
after_produce(const struct wrapped_produce *call)
{
	if (atomic_load(&lingering.wanted) &&
	    hb_loop_current() != lingering.kafka->reader &&
	    atomic_exchange(&lingering.wanted, false))
		linger(call->rk);
}

/* The producer is not destroyed under a sender that is still in it. */
static void
senders_keep_the_producer(void **state)
{
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	set_property("enable.idempotence", "true");
	start_solo(&rig);
	lingering.kafka = (struct hb_kafka *)rig.sink;
	atomic_store(&lingering.wanted, true);
	while (atomic_load(&lingering.wanted)) {
		/* The second one's home is not the loop of the reader. */
		items = contract_items(&rig, 2);
		contract_send(&items[1], 1);
		contract_await_reports(&items[1], 1);
		contract_check_reports(&items[1], 1);
		free(items);
	}
	assert_false(lingering.is_gone);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	reset_properties();
}

int
main(void)
{
	const struct CMUnitTest anywhere[] = {
	    HB_SINK_CONTRACT(&peer),
	    cmocka_unit_test(empty_value_is_no_tombstone),
	    cmocka_unit_test(what_fits_is_taken),
	    cmocka_unit_test(too_large_is_refused),
	    cmocka_unit_test(fatal_producer_is_replaced),
	    cmocka_unit_test(idle_fatal_producer_is_replaced),
	    cmocka_unit_test(senders_keep_the_producer),
	};
	const struct CMUnitTest simulated[] = {
	    cmocka_unit_test(unknown_topic_is_down_alone),
	};
	const struct CMUnitTest real[] = {
	    cmocka_unit_test(topic_comes_and_goes),
	    cmocka_unit_test(topic_limit_hits_one_message),
	    cmocka_unit_test(weak_topics_are_told_of),
	};

	return kafka_rig_run(anywhere, HB_COUNT(anywhere), simulated,
	    HB_COUNT(simulated), real, HB_COUNT(real));
}
