/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_peer.h - a Kafka cluster for unit tests, and what it has stored
 *
 * Usually tests/rig/kafka_mock in a process of its own; with HB_KAFKA_BROKERS
 * set, the cluster at that address. The oracle is librdkafka's consumer, which
 * reads every partition from where it ended when the peer was made. */
#ifndef HOOKBRIDGE_TESTS_KAFKA_PEER_H
#define HOOKBRIDGE_TESTS_KAFKA_PEER_H

#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sink_contract.h"

struct kafka_peer {
	char brokers[256];
	pid_t mock; /* 0: a real cluster */
	FILE *to, *from;
	rd_kafka_t *consumer;
	rd_kafka_message_t **seen;
	size_t seen_count;
};

/* --- the cluster ---------------------------------------------------------- */

/* The program beside ours, wherever that was built. */
static inline void
kafka_mock_path(char path[PATH_MAX])
{
	static const char name[] = "/../rig/kafka_mock";
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));
	char *slash;

	assert_true(len > 0);
	path[len] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash, name, sizeof(name));
}

/* The topics that all tests may use: name, colon, partitions. */
#define KAFKA_PEER_TOPICS "hb.contract.one:3", "hb.contract.two:2", "hb.solo:1"

static inline void
kafka_mock_start(struct kafka_peer *peer, const char *brokers)
{
	char path[PATH_MAX];
	int to[2], from[2];

	kafka_mock_path(path);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	peer->mock = fork();
	assert_true(peer->mock >= 0);
	if (peer->mock == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(
		    path, path, brokers, KAFKA_PEER_TOPICS, (char *)NULL);
		perror(path);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	peer->to = fdopen(to[1], "w");
	peer->from = fdopen(from[0], "r");
	assert_non_null(
	    fgets(peer->brokers, sizeof(peer->brokers), peer->from));
	peer->brokers[strcspn(peer->brokers, "\n")] = '\0';
}

/* Gives the simulated cluster a command. */
static inline void
kafka_mock_tell(struct kafka_peer *peer, const char *command)
{
	char answer[128];

	fprintf(peer->to, "%s\n", command);
	fflush(peer->to);
	assert_non_null(fgets(answer, sizeof(answer), peer->from));
	if (strcmp(answer, "ok\n") != 0)
		fail_msg("%s: %s", command, answer);
}

/* Hangs the simulated cluster; when this returns all of it has stopped. */
static inline void
kafka_mock_pause(struct kafka_peer *peer)
{
	int status;

	assert_int_equal(kill(peer->mock, SIGSTOP), 0);
	assert_int_equal(waitpid(peer->mock, &status, WUNTRACED), peer->mock);
	assert_true(WIFSTOPPED(status));
}

static inline void
kafka_mock_resume(struct kafka_peer *peer)
{
	assert_int_equal(kill(peer->mock, SIGCONT), 0);
}

static inline void
kafka_peer_down(void *arg)
{
	kafka_mock_tell(arg, "down");
}

static inline void
kafka_peer_up(void *arg)
{
	kafka_mock_tell(arg, "up");
}

static inline void
kafka_mock_stop(struct kafka_peer *peer)
{
	fclose(peer->to);
	fclose(peer->from);
	waitpid(peer->mock, NULL, 0);
}

/* --- topics of a real cluster --------------------------------------------- */

/* Waits for the answer to an administrative request about one topic. */
static inline void
kafka_peer_await_admin(rd_kafka_queue_t *queue, rd_kafka_resp_err_t harmless)
{
	rd_kafka_event_t *event =
	    rd_kafka_queue_poll(queue, CONTRACT_PATIENCE_MS);
	const rd_kafka_topic_result_t **results = NULL;
	rd_kafka_resp_err_t code;
	size_t count = 0;

	assert_non_null(event);
	code = rd_kafka_event_error(event);
	if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
		results = rd_kafka_CreateTopics_result_topics(
		    rd_kafka_event_CreateTopics_result(event), &count);
	else
		results = rd_kafka_DeleteTopics_result_topics(
		    rd_kafka_event_DeleteTopics_result(event), &count);
	if (code == 0 && count > 0)
		code = rd_kafka_topic_result_error(results[0]);
	if (code != 0 && code != harmless)
		fail_msg("admin: %s", rd_kafka_err2str(code));
	rd_kafka_event_destroy(event);
}

/* Makes a topic, unless it is there; setting may be NULL. */
static inline void
kafka_peer_create(struct kafka_peer *peer, const char *name, int partitions,
    const char *setting, const char *value)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(peer->consumer);
	char text[200];
	rd_kafka_NewTopic_t *topic =
	    rd_kafka_NewTopic_new(name, partitions, 1, text, sizeof(text));

	assert_non_null(topic);
	if (setting != NULL)
		rd_kafka_NewTopic_set_config(topic, setting, value);
	rd_kafka_CreateTopics(peer->consumer, &topic, 1, NULL, queue);
	kafka_peer_await_admin(queue, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
}

static inline void
kafka_peer_delete(struct kafka_peer *peer, const char *name)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(peer->consumer);
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);

	rd_kafka_DeleteTopics(peer->consumer, &topic, 1, NULL, queue);
	kafka_peer_await_admin(queue, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
	rd_kafka_DeleteTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
}

/* --- the oracle ----------------------------------------------------------- */

/* A topic that was made just now may not be known yet. */
static inline const rd_kafka_metadata_t *
kafka_peer_metadata(struct kafka_peer *peer, rd_kafka_topic_t *topic)
{
	const rd_kafka_metadata_t *metadata;
	uint64_t since_ms = hb_clock_mono_ms();

	for (;;) {
		assert_int_equal(rd_kafka_metadata(peer->consumer, 0, topic,
				     &metadata, CONTRACT_PATIENCE_MS),
		    0);
		assert_int_equal(metadata->topic_cnt, 1);
		if (metadata->topics[0].err == 0)
			return metadata;
		if (!contract_wait(since_ms))
			fail_msg("topic %s: %s", metadata->topics[0].topic,
			    rd_kafka_err2str(metadata->topics[0].err));
		rd_kafka_metadata_destroy(metadata);
	}
}

/* Adds the topic's partitions, each from its present end. */
static inline void
kafka_peer_watch(struct kafka_peer *peer, rd_kafka_topic_partition_list_t *list,
    const char *name)
{
	rd_kafka_topic_t *topic =
	    rd_kafka_topic_new(peer->consumer, name, NULL);
	const rd_kafka_metadata_t *metadata = kafka_peer_metadata(peer, topic);
	uint64_t since_ms = hb_clock_mono_ms();
	int64_t low, high;

	for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
		while (rd_kafka_query_watermark_offsets(
			   peer->consumer, name, i, &low, &high, 1000) != 0)
			assert_true(contract_wait(since_ms));
		rd_kafka_topic_partition_list_add(list, name, i)->offset = high;
	}
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
}

static inline void
kafka_peer_open_oracle(struct kafka_peer *peer)
{
	static const char *const all[] = {KAFKA_PEER_TOPICS, NULL};
	const char *const *topics = all;
	static const char *const settings[][2] = {{"group.id", "oracle"},
	    {"enable.auto.commit", "false"}, {"log_level", "0"},
	    {"reconnect.backoff.max.ms", "200"}, {"fetch.wait.max.ms", "10"}};
	rd_kafka_topic_partition_list_t *list =
	    rd_kafka_topic_partition_list_new(8);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[200] = "";

	for (size_t i = 0; i < HB_COUNT(settings); i++)
		rd_kafka_conf_set(
		    conf, settings[i][0], settings[i][1], NULL, 0);
	rd_kafka_conf_set(conf, "bootstrap.servers", peer->brokers, NULL, 0);
	peer->consumer =
	    rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (peer->consumer == NULL)
		fail_msg("oracle: %s", text);
	for (; *topics != NULL; topics++) {
		const char *colon = strchr(*topics, ':');
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)(colon - *topics),
		    *topics);
		if (peer->mock == 0)
			kafka_peer_create(
			    peer, name, atoi(colon + 1), NULL, NULL);
		kafka_peer_watch(peer, list, name);
	}
	assert_int_equal(rd_kafka_assign(peer->consumer, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Takes in what has been stored by now. */
static inline void
kafka_peer_look(struct kafka_peer *peer)
{
	rd_kafka_message_t *message;

	while ((message = rd_kafka_consumer_poll(peer->consumer, 5)) != NULL) {
		if (message->err != 0) { /* the cluster was away */
			rd_kafka_message_destroy(message);
			continue;
		}
		peer->seen = hb_xreallocarray(peer->seen, peer->seen_count + 1,
		    sizeof(struct rd_kafka_message_t *));
		peer->seen[peer->seen_count++] = message;
	}
}

static inline bool
kafka_same_headers(
    const rd_kafka_message_t *message, const struct hb_message *msg)
{
	rd_kafka_headers_t *headers;

	if (rd_kafka_message_headers(message, &headers) != 0)
		return msg->header_count == 0;
	if (rd_kafka_header_cnt(headers) != msg->header_count)
		return false;
	for (size_t i = 0; i < msg->header_count; i++) {
		const char *name;
		const void *value;
		size_t len;

		rd_kafka_header_get_all(headers, i, &name, &value, &len);
		if (!hb_span_eq(msg->headers[i].name, hb_span_of(name)) ||
		    !hb_span_eq(
			msg->headers[i].value, hb_span_make(value, len)))
			return false;
	}
	return true;
}

static inline bool
kafka_same(const rd_kafka_message_t *message, const struct hb_message *msg)
{
	return strcmp(rd_kafka_topic_name(message->rkt), msg->dest->name) ==
		   0 &&
	       hb_span_eq(
		   msg->key, hb_span_make(message->key, message->key_len)) &&
	       hb_span_eq(
		   msg->value, hb_span_make(message->payload, message->len)) &&
	       kafka_same_headers(message, msg);
}

static inline size_t
kafka_peer_arrived(void *arg, const struct hb_message *msg)
{
	struct kafka_peer *peer = arg;

	/* What has not been looked at yet is asked for only when needed. */
	for (int look = 0; look < 2; look++) {
		size_t count = 0;

		for (size_t i = 0; i < peer->seen_count; i++)
			count += kafka_same(peer->seen[i], msg);
		if (count > 0)
			return count;
		if (look == 0)
			kafka_peer_look(peer);
	}
	return 0;
}

/* A message that has arrived, as it was stored. */
static inline const rd_kafka_message_t *
kafka_peer_find(struct kafka_peer *peer, const struct hb_message *msg)
{
	for (size_t i = 0; i < peer->seen_count; i++)
		if (kafka_same(peer->seen[i], msg))
			return peer->seen[i];
	fail_msg("%.*s has not arrived", (int)msg->id.len, msg->id.ptr);
	return NULL;
}

/* --- both ----------------------------------------------------------------- */

static inline void
kafka_peer_open(struct kafka_peer *peer)
{
	const char *real = getenv("HB_KAFKA_BROKERS");

	*peer = (struct kafka_peer){.mock = 0};
	if (real != NULL && real[0] != '\0')
		snprintf(peer->brokers, sizeof(peer->brokers), "%s", real);
	else
		kafka_mock_start(peer, "1");
	kafka_peer_open_oracle(peer);
}

static inline void
kafka_peer_close(struct kafka_peer *peer)
{
	for (size_t i = 0; i < peer->seen_count; i++)
		rd_kafka_message_destroy(peer->seen[i]);
	free(peer->seen);
	rd_kafka_consumer_close(peer->consumer);
	rd_kafka_destroy(peer->consumer);
	if (peer->mock != 0)
		kafka_mock_stop(peer);
}

#endif
