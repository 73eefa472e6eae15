/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_rig.h - Kafka sinks against one cluster, and what their tests wait for
 *
 * Included by one .c file of a program, which calls kafka_rig_run(). */
#ifndef HOOKBRIDGE_TESTS_KAFKA_RIG_H
#define HOOKBRIDGE_TESTS_KAFKA_RIG_H

#include "../../src/sink/kafka.h"
#include "hookbridge/log.h"
#include "kafka_peer.h"

static struct kafka_peer cluster;

/* What cfg would have made of the file. */
static const char *broker_list[1];
static struct hb_pair property_list[4] = {
    {"message.max.bytes", "2097152", false}};
static struct hb_kafka_conf settings = {
    .brokers = {broker_list, 1}, .properties = {property_list, 1}};

static struct contract_peer peer = {
    .ops = &hb_sink_kafka,
    .settings = &settings,
    .dests = {"hb.contract.one", "hb.contract.two"},
    .arrived = kafka_peer_arrived,
    .down = kafka_peer_down,
    .up = kafka_peer_up,
    .arg = &cluster,
};

/* One topic with one partition. */
static struct contract_peer solo_peer = {
    .ops = &hb_sink_kafka,
    .settings = &settings,
    .dests = {"hb.solo"},
    .arrived = kafka_peer_arrived,
    .arg = &cluster,
};

static inline void
start_solo(struct contract_rig *rig)
{
	contract_open(rig, &solo_peer);
	contract_run(rig);
	assert_true(contract_await_health(rig, HB_UP));
}

/* Sets one more property for the sink that is opened next. It reads them again
 * for each producer: reset when it is closed. */
static inline void
set_property(const char *name, const char *value)
{
	property_list[settings.properties.count++] =
	    (struct hb_pair){.name = name, .value = value};
	assert_true(settings.properties.count <= HB_COUNT(property_list));
}

static inline void
reset_properties(void)
{
	settings.properties.count = 1;
}

static inline void
await_dest(struct contract_rig *rig, size_t dest, enum hb_health wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (hb_dest_health(rig->sink, rig->dests[dest]) != wanted)
		if (!contract_wait(since_ms))
			fail_msg("%s is not %d", rig->dests[dest]->name,
			    (int)wanted);
}

static inline unsigned
count_reports(
    const struct contract_item *items, size_t count, enum hb_report report)
{
	unsigned n = 0;

	for (size_t i = 0; i < count; i++)
		n += items[i].delivery.report == report;
	return n;
}

/* Runs what goes anywhere, then what only a simulated cluster does, or with
 * HB_KAFKA_BROKERS what only a real one does. */
static inline int
kafka_rig_run(const struct CMUnitTest *anywhere, size_t anywhere_count,
    const struct CMUnitTest *simulated, size_t simulated_count,
    const struct CMUnitTest *real, size_t real_count)
{
	struct CMUnitTest tests[64];
	const struct CMUnitTest *more = simulated;
	size_t more_count = simulated_count;
	int failures;

	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_DEBUG, HB_LOG_KV);
	kafka_peer_open(&cluster);
	if (cluster.mock == 0) {
		peer.down = peer.up = NULL;
		more = real;
		more_count = real_count;
	}
	assert_true(anywhere_count + more_count <= HB_COUNT(tests));
	memcpy(tests, anywhere, anywhere_count * sizeof(*tests));
	if (more_count > 0)
		memcpy(tests + anywhere_count, more,
		    more_count * sizeof(*tests));
	broker_list[0] = cluster.brokers;
	failures = _cmocka_run_group_tests(
	    "tests", tests, anywhere_count + more_count, NULL, NULL);
	kafka_peer_close(&cluster);
	return failures;
}

#endif
