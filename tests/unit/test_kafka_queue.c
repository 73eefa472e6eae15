/* SPDX-License-Identifier: Apache-2.0 */
/* test_kafka_queue.c - which partition a message goes to, and for whom it waits
 *
 * What was sent, handed to librdkafka and reported is noted with its time; the
 * promises are checked on those notes afterwards. */
#include "kafka_wrap.h"

/* --- notes ---------------------------------------------------------------- */

#define NOTES_MAX 8192

/* One message handed over. */
struct note {
	const struct hb_delivery *delivery;
	uint64_t at_us;
	uint64_t handed; /* under way with it */
	int32_t partition;
};

static struct {
	struct hb_kafka *kafka; /* NULL: nothing is noted */
	struct note notes[NOTES_MAX];
	_Atomic size_t count;
} noted;

/* The watch, kept a little before it hands over the first patient message. */
static struct {
	struct hb_kafka *kafka; /* NULL: it is not kept */
	_Atomic bool is_there, may_go;
	_Atomic unsigned begun; /* patient ones */
	struct hb_delivery *order[2];
} stall;

static void
keep_the_watch(const struct wrapped_produce *call)
{
	unsigned number = atomic_fetch_add(&stall.begun, 1);

	if (number < HB_COUNT(stall.order))
		stall.order[number] = call->delivery;
	if (hb_loop_current() != stall.kafka->watch)
		return;
	atomic_store(&stall.is_there, true);
	while (!atomic_load(&stall.may_go))
		usleep(1000);
}

static void
before_produce(const struct wrapped_produce *call)
{
	struct hb_kafka *kafka = noted.kafka;
	struct note *note;

	if (stall.kafka != NULL)
		keep_the_watch(call);
	if (kafka == NULL || call->rk != kafka->main.rk)
		return;
	note = &noted.notes[atomic_fetch_add(&noted.count, 1)];
	assert_true(note < noted.notes + NOTES_MAX);
	note->delivery = call->delivery;
	note->at_us = hb_clock_mono_us();
	note->partition = call->partition;
	pthread_mutex_lock(&kafka->lock);
	note->handed = hb_kafka_queue_of(call->delivery)->outstanding;
	pthread_mutex_unlock(&kafka->lock);
}

static void
after_produce(const struct wrapped_produce *call)
{
	(void)call;
}

static void
begin_notes(struct contract_rig *rig)
{
	atomic_store(&noted.count, 0);
	noted.kafka = (struct hb_kafka *)rig->sink;
}

static void
end_notes(void)
{
	noted.kafka = NULL;
}

static const struct note *
note_of(const struct hb_delivery *delivery)
{
	for (size_t i = 0; i < atomic_load(&noted.count); i++)
		if (noted.notes[i].delivery == delivery)
			return &noted.notes[i];
	return NULL;
}

static void
await_notes(size_t count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (atomic_load(&noted.count) < count)
		if (!contract_wait(since_ms))
			fail_msg("%zu handed over", atomic_load(&noted.count));
}

/* Items for one destination and one loop, in the order of the array. */
static struct contract_item *
make_items(struct contract_rig *rig, size_t count, size_t dest)
{
	struct contract_item *items = contract_items(rig, count);

	for (size_t i = 0; i < count; i++) {
		contract_fill(rig, &items[i], dest);
		items[i].delivery.home = rig->loops[1];
	}
	return items;
}

/* --- partitions ----------------------------------------------------------- */

static size_t
from_hex(const char *hex, char *out)
{
	size_t len = 0;

	for (; hex[0] != '-' && hex[0] != '\0'; hex += 2, len++) {
		unsigned byte;

		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[len] = (char)byte;
	}
	return len;
}

/* What the Java client itself answered: vectors/KafkaPartitions.java. */
static void
partitions_are_javas(void **state)
{
	const struct hb_kafka_partitioner *ours =
	    hb_kafka_partitioner_of("murmur2_random");
	char path[PATH_MAX], line[256], hex[130], key[64];
	int count, partition;
	size_t lines = 0;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/unit/vectors/kafka-partitions.txt",
	    getenv("HB_TESTS"));
	file = fopen(path, "r");
	assert_non_null(file);
	for (; fgets(line, sizeof(line), file) != NULL; lines++) {
		assert_int_equal(
		    sscanf(line, "%129s %d %d", hex, &count, &partition), 3);
		if (hb_kafka_partition_of(ours,
			hb_span_make(key, from_hex(hex, key)),
			count) != partition)
			fail_msg("%s", line);
	}
	assert_int_equal(lines, 384);
	fclose(file);
}

/* Who has no say gets none; who has one gets the same every time. */
static void
partitioners_differ_in_the_keyless(void **state)
{
	static const struct {
		const char *name;
		bool hashes_none, hashes_empty, hashes_key;
	} cases[] = {{"random", false, false, false},
	    {"consistent", true, true, true},
	    {"consistent_random", false, false, true},
	    {"murmur2", true, true, true},
	    {"murmur2_random", false, true, true},
	    {"fnv1a", true, true, true}, {"fnv1a_random", false, true, true}};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		const struct hb_kafka_partitioner *partitioner =
		    hb_kafka_partitioner_of(cases[i].name);
		const struct {
			struct hb_span key;
			bool hashes;
		} keys[] = {{HB_SPAN_NONE, cases[i].hashes_none},
		    {HB_SPAN(""), cases[i].hashes_empty},
		    {HB_SPAN("job-1"), cases[i].hashes_key}};

		for (size_t k = 0; k < HB_COUNT(keys); k++) {
			int32_t found = hb_kafka_partition_of(
			    partitioner, keys[k].key, 5);

			if ((found >= 0) != keys[k].hashes || found >= 5 ||
			    found != hb_kafka_partition_of(
					 partitioner, keys[k].key, 5))
				fail_msg("%s, key %zu: %d", cases[i].name, k,
				    found);
		}
	}
}

/* What has no key sticks to a partition until a batch of it leaves, and passes
 * over those that are slow; the number of partitions may change meanwhile. */
static void
keyless_stick(void **state)
{
	static struct hb_kafka kafka = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct hb_kafka_topic topic = {.kafka = &kafka};
	struct hb_kafka_part *first, *second, *third;
	uint64_t now_us = 10000000;

	(void)state;
	hb_kafka_partitions_learn(&topic, 3);
	first = hb_kafka_partition_sticky(&topic, now_us);
	assert_ptr_equal(hb_kafka_partition_sticky(&topic, now_us), first);
	hb_kafka_partition_unstick(first);
	second = hb_kafka_partition_sticky(&topic, now_us);
	assert_ptr_not_equal(second, first);
	hb_kafka_partition_unstick(first); /* it is not stuck there */
	assert_ptr_equal(hb_kafka_partition_sticky(&topic, now_us), second);
	second->outstanding = 1;
	second->handed_us = now_us - 50000;
	assert_ptr_equal(hb_kafka_partition_sticky(&topic, now_us), second);
	third = hb_kafka_partition_sticky(&topic, now_us + 1000000);
	assert_true(third != first && third != second);
	first->outstanding = third->outstanding = 1; /* all are slow */
	assert_non_null(hb_kafka_partition_sticky(&topic, now_us + 2000000));
	hb_kafka_partitions_learn(&topic, 1);
	assert_ptr_equal(
	    hb_kafka_partition_sticky(&topic, now_us), topic.parts[0]);
	hb_kafka_partitions_learn(&topic, 6);
	assert_int_equal(topic.part_room, 6);
	assert_ptr_equal(topic.parts[0], first); /* those that were stay */
	hb_kafka_partitions_free(&topic);
}

static void
keys_choose_partitions(void **state)
{
	enum { COUNT = 28 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	contract_open(&rig, &peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_items(&rig, COUNT);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct hb_message *msg = &items[i].delivery.msg;
		/* Two destinations in turn: of three and of two partitions. */
		int32_t wanted = hb_kafka_partition_of(
		    hb_kafka_partitioner_of("murmur2_random"), msg->key,
		    i % 2 == 0 ? 3 : 2);

		assert_int_equal(
		    kafka_peer_find(&cluster, msg)->partition, wanted);
	}
	contract_stop(&rig);
	free(items);
}

/* Null keys arrive as such, and are spread over the partitions. */
static void
keyless_are_spread(void **state)
{
	enum { COUNT = 400 };
	struct contract_rig rig;
	struct contract_item *items;
	bool used[3] = {false};

	(void)state;
	contract_open(&rig, &peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = make_items(&rig, COUNT, 0);
	for (size_t i = 0; i < COUNT; i++)
		items[i].delivery.msg.key = HB_SPAN_NONE;
	for (size_t i = 0; i < COUNT; i += 10) {
		contract_send(items + i, 10);
		contract_settle(&rig);
	}
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const rd_kafka_message_t *message =
		    kafka_peer_find(&cluster, &items[i].delivery.msg);

		assert_null(message->key);
		used[message->partition] = true;
	}
	assert_true(used[0] && used[1] && used[2]);
	contract_stop(&rig);
	free(items);
}

/* A topic made anew has fewer partitions than we know of: what was meant for
 * the others is to be tried again, and then goes where it can. */
static void
lost_partitions_are_a_retry(void **state)
{
	enum { COUNT = 40 };
	struct contract_rig rig;
	struct contract_item *items;
	struct hb_kafka *kafka;
	unsigned confirmed;

	(void)state;
	start_solo(&rig);
	kafka = (struct hb_kafka *)rig.sink;
	hb_kafka_partitions_learn(&kafka->topics[0], 5);
	items = make_items(&rig, COUNT, 0);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	confirmed = count_reports(items, COUNT, HB_REPORT_CONFIRMED);
	assert_true(confirmed > 0 && confirmed < COUNT);
	assert_int_equal(
	    count_reports(items, COUNT, HB_REPORT_RETRY), COUNT - confirmed);
	assert_true(contract_await_health(&rig, HB_UP));
	free(items);
	items = make_items(&rig, COUNT, 0);
	while (atomic_load(&kafka->topics[0].part_count) != 1)
		usleep(1000);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_stop(&rig);
	free(items);
}

/* --- waiting -------------------------------------------------------------- */

/* The sink's own, and what the clock may be late by in its favour. */
#define WAIT_MIN_US (HB_KAFKA_WAIT_MAX_MS / 2 * 1000)

/* While one is under way those that follow wait, then go together and in
 * order. */
static void
one_batch_at_a_time(void **state)
{
	enum { COUNT = 60 };
	struct contract_rig rig;
	struct contract_item *items;
	unsigned batches = 1;

	(void)state;
	start_solo(&rig);
	items = make_items(&rig, COUNT, 0);
	kafka_mock_tell(&cluster, "rtt 60");
	begin_notes(&rig);
	contract_send(items, 1);
	await_notes(1);
	for (size_t i = 1; i < COUNT; i++) {
		contract_send(items + i, 1);
		usleep(1000);
	}
	contract_await_reports(items, COUNT);
	end_notes();
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_confirmed(items, COUNT);
	assert_int_equal(atomic_load(&noted.count), COUNT);
	for (size_t i = 1; i < COUNT; i++) {
		const struct note *note = &noted.notes[i];
		uint64_t pause_us = note->at_us - noted.notes[i - 1].at_us;

		/* In the order sent. */
		assert_ptr_equal(note->delivery, &items[i].delivery);
		/* A round trip later, or in the same go. */
		batches += pause_us > 30000;
	}
	assert_true(batches > 1 && batches < COUNT / 4);
	contract_check_arrived(&rig, items, COUNT);
	for (size_t i = 1; i < COUNT; i++)
		assert_true(
		    kafka_peer_find(&cluster, &items[i - 1].delivery.msg)
			->offset <
		    kafka_peer_find(&cluster, &items[i].delivery.msg)->offset);
	contract_stop(&rig);
	free(items);
}

/* Nobody waits for another partition's batch. */
static void
partitions_do_not_wait_for_each_other(void **state)
{
	struct contract_rig rig;
	struct contract_item *slow, *quick;

	(void)state;
	contract_open(&rig, &peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	slow = make_items(&rig, 1, 0);
	quick = make_items(&rig, 1, 1);
	kafka_mock_tell(&cluster, "rtt 1000");
	begin_notes(&rig);
	contract_send(slow, 1);
	await_notes(1);
	contract_send(quick, 1);
	await_notes(2);
	assert_int_equal(atomic_load(&slow->reports), 0);
	contract_await_reports(slow, 1);
	contract_await_reports(quick, 1);
	end_notes();
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_confirmed(slow, 1);
	contract_check_confirmed(quick, 1);
	/* Neither by the sweep. */
	assert_true(note_of(&quick->delivery)->at_us -
			quick->delivery.sent_us <
		    WAIT_MIN_US);
	contract_stop(&rig);
	free(slow);
	free(quick);
}

/* A request's worth at a time, however many wait. */
static void
batches_are_bounded(void **state)
{
	enum { COUNT = 40, MOST = 7 };
	struct contract_rig rig;
	struct contract_item *items;

	(void)state;
	set_property("batch.num.messages", "7");
	start_solo(&rig);
	items = make_items(&rig, COUNT, 0);
	begin_notes(&rig);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	end_notes();
	contract_check_confirmed(items, COUNT);
	assert_int_equal(atomic_load(&noted.count), COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_in_range(noted.notes[i].handed, 1, MOST);
	contract_stop(&rig);
	reset_properties();
	free(items);
}

/* When the batch that is out never comes back, those that wait for it do not
 * wait for ever: they are librdkafka's before long, and all of them have their
 * reports before the ack deadline, each its own. */
static void
nobody_waits_for_ever(void **state)
{
	enum { COUNT = 50 };
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_us;

	(void)state;
	start_solo(&rig);
	items = make_items(&rig, COUNT, 0);
	kafka_mock_pause(&cluster);
	begin_notes(&rig);
	since_us = hb_clock_mono_us();
	contract_send(items, 1);
	await_notes(1);
	contract_send(items + 1, COUNT - 1);
	await_notes(COUNT);
	contract_await_reports(items, COUNT);
	assert_true(hb_clock_mono_us() - since_us <
		    rig.cfg.delivery.ack_timeout_ms * 1000);
	end_notes();
	kafka_mock_resume(&cluster);
	contract_check_reports(items, COUNT);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_CONFIRMED), 0);
	for (size_t i = 1; i < COUNT; i++) {
		const struct hb_delivery *delivery = &items[i].delivery;
		uint64_t waited_us =
		    note_of(delivery)->at_us - delivery->sent_us;

		assert_true(waited_us >= WAIT_MIN_US);
	}
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_check_reports(items, COUNT);
	contract_stop(&rig);
	free(items);
}

/* A drain gives back what waits, too: it was never handed over. */
static void
drain_gives_back_who_waits(void **state)
{
	enum { COUNT = 30 };
	struct contract_rig rig;
	struct contract_item *items;
	size_t unsent = 0;

	(void)state;
	start_solo(&rig);
	items = make_items(&rig, COUNT, 0);
	kafka_mock_tell(&cluster, "rtt 5000");
	begin_notes(&rig);
	contract_send(items, 1);
	await_notes(1);
	contract_send(items + 1, COUNT - 1);
	contract_settle(&rig);
	rig.peer->ops->drain(rig.sink, 0);
	end_notes();
	contract_settle(&rig);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_reports(items, COUNT);
	assert_int_equal(count_reports(items, COUNT, HB_REPORT_CONFIRMED), 0);
	for (size_t i = 1; i < COUNT; i++)
		if (note_of(&items[i].delivery) == NULL) {
			assert_int_equal(
			    items[i].delivery.report, HB_REPORT_RETRY);
			unsent++;
		}
	assert_true(unsent > 0);
	contract_close(&rig);
	free(items);
}

/* --- order ---------------------------------------------------------------- */

/* Where the message came first: a retry may bring it twice. */
static int64_t
first_offset(const struct hb_message *msg)
{
	return kafka_peer_find(&cluster, msg)->offset;
}

/* Thousands of few keys, while the broker hangs up now and then, in the middle
 * of batches: those of a key are stored in the order sent. */
static void
keys_keep_their_order(void **state)
{
	enum { COUNT = 5000, KEYS = 7, BURST = 50, HANG_UPS = 4 };
	struct contract_rig rig;
	struct contract_item *items;
	int64_t last[KEYS] = {-1, -1, -1, -1, -1, -1, -1};
	size_t repeated = 0;

	(void)state;
	contract_open(&rig, &peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = make_items(&rig, COUNT, 0);
	kafka_mock_tell(&cluster, "rtt 20"); /* answers will be lost */
	for (size_t i = 0; i < COUNT; i += BURST) {
		contract_send(items + i, BURST);
		if (i % (COUNT / HANG_UPS) != 0) {
			contract_settle(&rig);
			continue;
		}
		kafka_mock_tell(&cluster, "down");
		kafka_mock_tell(&cluster, "up");
		/* librdkafka reconnects later each time: not in a row. */
		contract_await_reports(items, i + BURST);
	}
	contract_await_reports(items, COUNT);
	kafka_mock_tell(&cluster, "rtt 0");
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct hb_message *msg = &items[i].delivery.msg;
		size_t key = (size_t)(msg->key.ptr[4] - '0'); /* job-N */
		int64_t offset = first_offset(msg);

		if (offset <= last[key])
			fail_msg("message %zu of job-%zu is at %lld, the one "
				 "before at %lld",
			    i, key, (long long)offset, (long long)last[key]);
		last[key] = offset;
		repeated += kafka_peer_arrived(&cluster, msg) > 1;
	}
	assert_true(repeated > 0);
	contract_stop(&rig);
	free(items);
}

/* What is sent while the watch still hands over what waited for the patient
 * lane's producer goes behind that, though the producer is there. */
static void
patient_ones_do_not_overtake(void **state)
{
	struct contract_rig rig;
	struct contract_item *items;
	uint64_t since_ms = hb_clock_mono_ms();

	(void)state;
	start_solo(&rig);
	items = contract_patient_items(&rig, 2);
	stall.kafka = (struct hb_kafka *)rig.sink;
	contract_send(&items[0], 1);
	while (!atomic_load(&stall.is_there))
		assert_true(contract_wait(since_ms));
	contract_send(&items[1], 1);
	contract_settle(&rig);
	assert_int_equal(atomic_load(&stall.begun), 1);
	atomic_store(&stall.may_go, true);
	contract_await_reports(items, 2);
	contract_check_confirmed(items, 2);
	for (size_t i = 0; i < 2; i++)
		assert_ptr_equal(stall.order[i], &items[i].delivery);
	contract_stop(&rig);
	stall.kafka = NULL;
	free(items);
}

int
main(void)
{
	const struct CMUnitTest anywhere[] = {
	    cmocka_unit_test(partitions_are_javas),
	    cmocka_unit_test(partitioners_differ_in_the_keyless),
	    cmocka_unit_test(keyless_stick),
	    cmocka_unit_test(keys_choose_partitions),
	    cmocka_unit_test(keyless_are_spread),
	    cmocka_unit_test(lost_partitions_are_a_retry),
	    cmocka_unit_test(batches_are_bounded),
	    cmocka_unit_test(patient_ones_do_not_overtake),
	};
	const struct CMUnitTest simulated[] = {
	    cmocka_unit_test(one_batch_at_a_time),
	    cmocka_unit_test(partitions_do_not_wait_for_each_other),
	    cmocka_unit_test(nobody_waits_for_ever),
	    cmocka_unit_test(drain_gives_back_who_waits),
	    cmocka_unit_test(keys_keep_their_order),
	};

	return kafka_rig_run(anywhere, HB_COUNT(anywhere), simulated,
	    HB_COUNT(simulated), NULL, 0);
}
