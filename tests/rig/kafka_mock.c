/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_mock.c - librdkafka's simulated cluster as a program, for faults that
 * a real broker does not commit on request
 *
 *   kafka_mock BROKERS [TOPIC:PARTITIONS]...
 *
 * prints its bootstrap addresses on one line, then obeys commands from stdin,
 * one a line, each answered by "ok" or "error: ...", until stdin ends:
 *
 *   topic NAME PARTITIONS        make a topic
 *   topic-error NAME ERROR       what metadata says of it; NO_ERROR: nothing
 *   fail API ERROR [COUNT]       fail the next requests of an API, by number
 *                                (0: Produce, 3: Metadata); _TRANSPORT hangs up
 *   heal API                     forget failures that are still to come
 *   down [BROKER], up [BROKER]   refuse and accept connections; all brokers
 *   rtt MS [BROKER]              answer so late; all brokers
 *   leader TOPIC PARTITION BROKER
 *
 * ERROR is a name as librdkafka writes it ("TOPIC_AUTHORIZATION_FAILED") or a
 * number. An injected failure is answered without storing anything. Topics
 * that nobody made come into being with four partitions when asked for. A
 * partition keeps 5 MiB. To make the cluster hang, stop the process. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 5
#define FAILURES_MAX 1000

static rd_kafka_mock_cluster_t *cluster;

static bool
find_error(const char *name, rd_kafka_resp_err_t *code)
{
	const struct rd_kafka_err_desc *descs;
	size_t count;
	char *end;

	*code = (rd_kafka_resp_err_t)strtol(name, &end, 10);
	if (end != name && *end == '\0')
		return true;
	rd_kafka_get_err_descs(&descs, &count);
	for (size_t i = 0; i < count; i++)
		if (descs[i].name != NULL && strcmp(descs[i].name, name) == 0) {
			*code = descs[i].code;
			return true;
		}
	return false;
}

/* The broker named by a word, all of them when there is none. */
static int32_t
broker(const char *word)
{
	return word != NULL ? (int32_t)atoi(word) : -1;
}

static bool
do_topic(char **words)
{
	return rd_kafka_mock_topic_create(
		   cluster, words[1], atoi(words[2]), 1) == 0;
}

static bool
do_topic_error(char **words)
{
	rd_kafka_resp_err_t code;

	if (!find_error(words[2], &code))
		return false;
	rd_kafka_mock_topic_set_error(cluster, words[1], code);
	return true;
}

static bool
do_fail(char **words)
{
	rd_kafka_resp_err_t codes[FAILURES_MAX];
	size_t count =
	    words[3] != NULL ? (size_t)strtoul(words[3], NULL, 10) : 1;

	if (count > FAILURES_MAX || !find_error(words[2], &codes[0]))
		return false;
	for (size_t i = 1; i < count; i++)
		codes[i] = codes[0];
	rd_kafka_mock_push_request_errors_array(
	    cluster, (int16_t)atoi(words[1]), count, codes);
	return true;
}

static bool
do_heal(char **words)
{
	rd_kafka_mock_clear_request_errors(cluster, (int16_t)atoi(words[1]));
	return true;
}

static bool
do_down(char **words)
{
	return rd_kafka_mock_broker_set_down(cluster, broker(words[1])) == 0;
}

static bool
do_up(char **words)
{
	return rd_kafka_mock_broker_set_up(cluster, broker(words[1])) == 0;
}

static bool
do_rtt(char **words)
{
	return rd_kafka_mock_broker_set_rtt(
		   cluster, broker(words[2]), atoi(words[1])) == 0;
}

static bool
do_leader(char **words)
{
	return rd_kafka_mock_partition_set_leader(cluster, words[1],
		   (int32_t)atoi(words[2]), (int32_t)atoi(words[3])) == 0;
}

static const struct {
	const char *name;
	size_t words_min; /* with the name */
	bool (*run)(char **words);
} commands[] = {
    {"topic", 3, do_topic},
    {"topic-error", 3, do_topic_error},
    {"fail", 3, do_fail},
    {"heal", 2, do_heal},
    {"down", 1, do_down},
    {"up", 1, do_up},
    {"rtt", 2, do_rtt},
    {"leader", 4, do_leader},
};

/* Runs one line; NULL when it was done. */
static const char *
obey(char *line)
{
	char *words[WORDS_MAX + 1] = {NULL}, *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(line, " \t\n", &rest);
	     word != NULL && count < WORDS_MAX;
	     word = strtok_r(NULL, " \t\n", &rest))
		words[count++] = word;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (count == 0 || strcmp(commands[i].name, words[0]) != 0)
			continue;
		if (count < commands[i].words_min)
			return "too few words";
		return commands[i].run(words) ? NULL : "refused";
	}
	return "no such command";
}

static bool
make_topics(int count, char **topics)
{
	for (int i = 0; i < count; i++) {
		char *colon = strchr(topics[i], ':');

		if (colon == NULL)
			return false;
		*colon = '\0';
		if (rd_kafka_mock_topic_create(
			cluster, topics[i], atoi(colon + 1), 1) != 0)
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[200], line[512];
	rd_kafka_t *rk;

	signal(SIGPIPE, SIG_IGN);
	/* The cluster needs a client, which has nothing to say. */
	rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (rk == NULL) {
		fprintf(stderr, "kafka_mock: %s\n", text);
		return 1;
	}
	cluster = rd_kafka_mock_cluster_new(rk, argc > 1 ? atoi(argv[1]) : 1);
	if (cluster == NULL || !make_topics(argc - 2, argv + 2)) {
		fprintf(stderr,
		    "usage: kafka_mock BROKERS [TOPIC:PARTITIONS]...\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const char *why = obey(line);

		if (why != NULL)
			printf("error: %s\n", why);
		else
			puts("ok");
	}
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	return 0;
}
