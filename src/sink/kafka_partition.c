/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_partition.c - the partitions of a topic, and which one a key has
 *
 * A key's partition is the Java clients' choice, (murmur2(key) & 0x7fffffff)
 * modulo the number of partitions, so that all producers of a topic agree;
 * or what the property `partitioner` says instead, by librdkafka's functions.
 *
 * What has no key may go anywhere. It sticks to one partition, where it
 * gathers, until the batch leaves: a few large batches cost less than many
 * small ones. A partition that has not confirmed its batch
 * for a while is passed over.
 *
 * How many partitions there are is what the latest metadata says. When a topic
 * grows, a key may move to another partition, as it does for every other
 * producer: what waits stays where it was, and what comes later may overtake
 * it. Partitions never vanish from here: what waits for one that a topic made
 * anew does not have is refused by librdkafka and reported as a retry. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "kafka.h"

/* A partition is slow when its batch is out for so long. */
#define SLOW_US 100000

/* --- keys ----------------------------------------------------------------- */

typedef int32_t partition_fn(const rd_kafka_topic_t *topic, const void *key,
    size_t key_len, int32_t count, void *topic_opaque, void *msg_opaque);

/* Which messages have no say in where they go. */
enum keyless { NO_MESSAGE, NO_KEY, EMPTY_KEY, EVERY_MESSAGE };

struct hb_kafka_partitioner {
	const char *name;
	partition_fn *of_key; /* looks at the key and the count only */
	enum keyless keyless;
};

static const struct hb_kafka_partitioner partitioners[] = {
    {"murmur2_random", rd_kafka_msg_partitioner_murmur2, NO_KEY},
    {"murmur2", rd_kafka_msg_partitioner_murmur2, NO_MESSAGE},
    {"fnv1a_random", rd_kafka_msg_partitioner_fnv1a, NO_KEY},
    {"fnv1a", rd_kafka_msg_partitioner_fnv1a, NO_MESSAGE},
    {"consistent_random", rd_kafka_msg_partitioner_consistent, EMPTY_KEY},
    {"consistent", rd_kafka_msg_partitioner_consistent, NO_MESSAGE},
    {"random", rd_kafka_msg_partitioner_consistent, EVERY_MESSAGE},
};

const struct hb_kafka_partitioner *
hb_kafka_partitioner_of(const char *name)
{
	for (size_t i = 0; i < HB_COUNT(partitioners); i++)
		if (strcmp(partitioners[i].name, name) == 0)
			return &partitioners[i];
	hb_bug("librdkafka has a partitioner %s that we do not know", name);
}

static bool
is_keyless(enum keyless keyless, struct hb_span key)
{
	switch (keyless) {
	case NO_KEY:
		return key.ptr == NULL;
	case EMPTY_KEY:
		return key.len == 0;
	case EVERY_MESSAGE:
		return true;
	case NO_MESSAGE:
		break;
	}
	return false;
}

int32_t
hb_kafka_partition_of(const struct hb_kafka_partitioner *partitioner,
    struct hb_span key, int32_t count)
{
	if (is_keyless(partitioner->keyless, key))
		return -1;
	return partitioner->of_key(NULL, key.ptr, key.len, count, NULL, NULL);
}

/* --- no keys -------------------------------------------------------------- */

static bool
is_slow(const struct hb_kafka_part *part, uint64_t now_us)
{
	return part->outstanding > 0 && now_us > part->handed_us + SLOW_US;
}

struct hb_kafka_part *
hb_kafka_partition_sticky(struct hb_kafka_topic *topic, uint64_t now_us)
{
	int32_t count = atomic_load(&topic->part_count);

	for (int32_t tries = 1; tries < count; tries++) {
		struct hb_kafka_part *part =
		    topic->parts[topic->sticky % count];

		if (!is_slow(part, now_us))
			return part;
		hb_kafka_partition_unstick(part);
	}
	return topic->parts[topic->sticky % count];
}

void
hb_kafka_partition_unstick(struct hb_kafka_part *part)
{
	struct hb_kafka_topic *topic = part->topic;
	int32_t count = atomic_load(&topic->part_count);

	if (topic->sticky % count == part->number)
		topic->sticky = (part->number + 1) % count;
}

/* --- how many ------------------------------------------------------------- */

static struct hb_kafka_part *
part_new(struct hb_kafka_topic *topic, int32_t number)
{
	struct hb_kafka_part *part = hb_xcalloc(1, sizeof(*part));

	part->topic = topic;
	part->number = number;
	part->end = &part->first;
	return part;
}

/* A key is given its partition without the lock: first the partitions are
 * there, then they are counted. */
void
hb_kafka_partitions_learn(struct hb_kafka_topic *topic, int32_t count)
{
	if (count == atomic_load(&topic->part_count))
		return;
	pthread_mutex_lock(&topic->kafka->lock);
	if (count > topic->part_room)
		topic->parts = hb_xreallocarray(topic->parts, (size_t)count,
		    sizeof(struct hb_kafka_part *));
	for (; topic->part_room < count; topic->part_room++)
		topic->parts[topic->part_room] =
		    part_new(topic, topic->part_room);
	pthread_mutex_unlock(&topic->kafka->lock);
	atomic_store(&topic->part_count, count);
}

void
hb_kafka_partitions_free(struct hb_kafka_topic *topic)
{
	for (int32_t i = 0; i < topic->part_room; i++)
		free(topic->parts[i]);
	free(topic->parts);
}
