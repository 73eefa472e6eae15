/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_inspect.c - reads the topics' settings and warns of weak ones
 *
 * What "all in-sync replicas have it" is worth is the topic's to say: with
 * min.insync.replicas 1 a single broker may be all there is. And a topic may
 * take less than our message.max.bytes. Neither stops anything; each is said
 * once, when a topic is found, as destination.weak. Who may not read the
 * settings (they need a right of their own) is told nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "kafka.h"

#define INSPECT_MS 1000

static void
warn_of(const struct hb_kafka_topic *topic, const char *reason)
{
	hb_log_limited(HB_LOG_WARNING, "destination.weak",
	    HB_F_STR("sink", topic->kafka->sink.conf->name),
	    HB_F_STR("dst", topic->dest->name), HB_F_STR("reason", reason));
}

static void
judge(const struct hb_kafka_topic *topic, const char *name, uint64_t value)
{
	size_t message_max = topic->kafka->limits.message_max;
	char text[160];

	if (strcmp(name, "min.insync.replicas") == 0 && value < 2) {
		warn_of(topic,
		    "min.insync.replicas is 1: what is confirmed may be on "
		    "one broker alone");
	} else if (strcmp(name, "max.message.bytes") == 0 &&
		   value < message_max) {
		snprintf(text, sizeof(text),
		    "max.message.bytes is %" PRIu64
		    ", below our message.max.bytes of %zu: larger events "
		    "become dead letters",
		    value, message_max);
		warn_of(topic, text);
	}
}

static struct hb_kafka_topic *
find_topic(const struct hb_kafka *kafka, const char *name)
{
	for (size_t i = 0; i < kafka->topic_count; i++)
		if (strcmp(kafka->topics[i].dest->name, name) == 0)
			return &kafka->topics[i];
	return NULL;
}

static void
judge_all(
    const struct hb_kafka *kafka, const rd_kafka_ConfigResource_t *resource)
{
	const struct hb_kafka_topic *topic =
	    find_topic(kafka, rd_kafka_ConfigResource_name(resource));
	const rd_kafka_ConfigEntry_t **entries;
	size_t count;

	entries = rd_kafka_ConfigResource_configs(resource, &count);
	for (size_t i = 0; topic != NULL && i < count; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		if (value != NULL)
			judge(topic, rd_kafka_ConfigEntry_name(entries[i]),
			    strtoull(value, NULL, 10));
	}
}

static void
take_answer(const struct hb_kafka *kafka, rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * INSPECT_MS);
	const rd_kafka_DescribeConfigs_result_t *result =
	    event != NULL ? rd_kafka_event_DescribeConfigs_result(event) : NULL;
	const rd_kafka_ConfigResource_t **resources;
	size_t count = 0;

	resources = result != NULL
			? rd_kafka_DescribeConfigs_result_resources(
			      result, &count)
			: NULL;
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_ConfigResource_error(resources[i]) ==
		    RD_KAFKA_RESP_ERR_NO_ERROR)
			judge_all(kafka, resources[i]);
	if (event != NULL)
		rd_kafka_event_destroy(event);
}

/* The topics that are there and were not looked at yet. */
static size_t
list_topics(struct hb_kafka *kafka, rd_kafka_ConfigResource_t **list)
{
	size_t count = 0;

	for (size_t i = 0; i < kafka->topic_count; i++) {
		struct hb_kafka_topic *topic = &kafka->topics[i];

		if (topic->is_missing || topic->is_inspected)
			continue;
		topic->is_inspected = true;
		list[count++] = rd_kafka_ConfigResource_new(
		    RD_KAFKA_RESOURCE_TOPIC, topic->dest->name);
	}
	return count;
}

/* Whom to ask: any broker knows, and the one that has just answered is there.
 * Left to itself librdkafka would look for the controller. */
static int32_t
choose_broker(const rd_kafka_metadata_t *metadata)
{
	if (metadata->orig_broker_id >= 0 || metadata->broker_cnt == 0)
		return metadata->orig_broker_id;
	return metadata->brokers[0].id; /* it was not known by number yet */
}

void
hb_kafka_inspect(struct hb_kafka *kafka, const rd_kafka_metadata_t *metadata)
{
	rd_kafka_ConfigResource_t **list = hb_xcalloc(
	    kafka->topic_count, sizeof(rd_kafka_ConfigResource_t *));
	size_t count = list_topics(kafka, list);
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;

	if (count > 0) {
		options = rd_kafka_AdminOptions_new(
		    kafka->main.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
		rd_kafka_AdminOptions_set_request_timeout(
		    options, INSPECT_MS, NULL, 0);
		rd_kafka_AdminOptions_set_broker(
		    options, choose_broker(metadata), NULL, 0);
		queue = rd_kafka_queue_new(kafka->main.rk);
		rd_kafka_DescribeConfigs(
		    kafka->main.rk, list, count, options, queue);
		take_answer(kafka, queue);
		rd_kafka_queue_destroy(queue);
		rd_kafka_AdminOptions_destroy(options);
	}
	rd_kafka_ConfigResource_destroy_array(list, count);
	free(list);
}
