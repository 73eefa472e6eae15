/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c - the broker's own round trip: what a daemon's latency is measured
 * against
 *
 *   direct --redis PORT --rate R --requests N --size BYTES STREAM
 *   direct --kafka BROKERS --rate R --requests N --size BYTES TOPIC
 *
 * One thread sends entries or messages in an open loop: number i is due at
 * start + i / rate, and its latency is from then to its confirmation. What is
 * due goes out at once, as a daemon would send it. Prints the percentiles as
 * JSON. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "histogram.h"
#include "hookbridge/clock.h"
#include "hookbridge/error.h"
#include "hookbridge/mem.h"

static struct {
	const char *redis, *kafka, *place;
	double rate;
	size_t requests, size;
} opts = { NULL, NULL, NULL, 1000, 1000, 2048 };

static struct histogram histogram;
static uint64_t start_us;
static size_t sent, confirmed;

static void HB_NORETURN
die(const char *what, const char *why)
{
	fprintf(stderr, "direct: %s: %s\n", what, why);
	exit(EX_UNAVAILABLE);
}

/* --- the loop ------------------------------------------------------------- */

static uint64_t
due_us(size_t index)
{
	return start_us + (uint64_t)((double)index * 1e6 / opts.rate);
}

static void
confirm(size_t index)
{
	histogram_add(&histogram, hb_clock_mono_us() - due_us(index));
	confirmed++;
}

/* Waits for fd, or until the next one is due. */
static void
wait_for(int fd)
{
	struct pollfd item = { .fd = fd, .events = POLLIN };
	struct timespec until = { 0, 100000000 };
	uint64_t now = hb_clock_mono_us(), due = due_us(sent);

	if (sent < opts.requests)
		until.tv_nsec =
		    due > now ? (long)((due - now) % 1000000 * 1000) : 0;
	(void)ppoll(&item, 1, &until, NULL);
}

static size_t
count_due(void)
{
	size_t due = sent;

	while (due < opts.requests && due_us(due) <= hb_clock_mono_us())
		due++;
	return due - sent;
}

/* --- Redis ---------------------------------------------------------------- */

static int
redis_connect(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(opts.redis)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		die("connect", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			die("write", strerror(errno));
		data += n;
		len -= (size_t)n;
	}
}

/* A reply is an id: two lines. */
static void
redis_read(int fd)
{
	static size_t lines;
	char data[65536];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("read", n == 0 ? "closed" : strerror(errno));
	for (ssize_t i = 0; i < n; i++) {
		if (data[i] == '-')
			if (lines % 2 == 0)
				die("redis", "an error reply");
		if (data[i] == '\n' && ++lines % 2 == 0)
			confirm(confirmed);
	}
}

static void
run_redis(const char *body)
{
	char *command = hb_xmalloc(opts.size + 256);
	size_t len = (size_t)sprintf(command,
	    "*8\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n"
	    "$5\r\n20000\r\n$1\r\n*\r\n$4\r\ndata\r\n$%zu\r\n%s\r\n",
	    strlen(opts.place), opts.place, opts.size, body);
	int fd = redis_connect();

	start_us = hb_clock_mono_us();
	while (confirmed < opts.requests) {
		for (size_t n = count_due(); n > 0; n--, sent++)
			write_all(fd, command, len);
		wait_for(fd);
		redis_read(fd);
	}
	close(fd);
	free(command);
}

/* --- Kafka ---------------------------------------------------------------- */

static void
on_report(rd_kafka_t *kafka, const rd_kafka_message_t *msg, void *arg)
{
	(void)kafka;
	(void)arg;
	if (msg->err != 0)
		die("kafka", rd_kafka_err2str(msg->err));
	confirm((size_t)(uintptr_t)msg->_private);
}

static rd_kafka_t *
kafka_new(void)
{
	static const char *const settings[][2] = { { "acks", "all" },
		{ "linger.ms", "0" }, { "socket.nagle.disable", "true" },
		{ "message.max.bytes", "2000000" } };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *kafka;
	char why[256];

	rd_kafka_conf_set(conf, "bootstrap.servers", opts.kafka, NULL, 0);
	for (size_t i = 0; i < HB_COUNT(settings); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1],
			why, sizeof(why)) != RD_KAFKA_CONF_OK)
			die("kafka", why);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (kafka == NULL)
		die("kafka", why);
	return kafka;
}

static void
produce(rd_kafka_t *kafka, const char *body, size_t index)
{
	char key[32];
	int len = snprintf(key, sizeof(key), "job-%06zu", index % 64);
	rd_kafka_resp_err_t code = rd_kafka_producev(kafka,
	    RD_KAFKA_V_TOPIC(opts.place), RD_KAFKA_V_KEY(key, (size_t)len),
	    RD_KAFKA_V_VALUE((char *)(uintptr_t)body, opts.size),
	    RD_KAFKA_V_OPAQUE((void *)(uintptr_t)index), RD_KAFKA_V_END);

	if (code != 0)
		die("kafka", rd_kafka_err2str(code));
}

/* The first message waits for metadata: it is sent before the clock runs. */
static void
kafka_warm_up(rd_kafka_t *kafka, const char *body)
{
	start_us = hb_clock_mono_us();
	produce(kafka, body, 0);
	while (confirmed == 0)
		rd_kafka_poll(kafka, 100);
	confirmed = 0;
	histogram = (struct histogram){ .count = 0 };
}

static void
run_kafka(const char *body)
{
	rd_kafka_t *kafka = kafka_new();
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(kafka);
	int ends[2];
	char drain[256];

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		die("pipe", strerror(errno));
	rd_kafka_queue_io_event_enable(queue, ends[1], "1", 1);
	kafka_warm_up(kafka, body);
	start_us = hb_clock_mono_us();
	while (confirmed < opts.requests) {
		for (size_t n = count_due(); n > 0; n--, sent++)
			produce(kafka, body, sent);
		wait_for(ends[0]);
		while (read(ends[0], drain, sizeof(drain)) > 0)
			;
		while (rd_kafka_poll(kafka, 0) > 0)
			;
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(kafka);
}

/* --- the command ---------------------------------------------------------- */

static void
parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "redis", required_argument, NULL, 'r' },
		{ "kafka", required_argument, NULL, 'k' },
		{ "rate", required_argument, NULL, 'p' },
		{ "requests", required_argument, NULL, 'n' },
		{ "size", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'r': opts.redis = optarg; break;
		case 'k': opts.kafka = optarg; break;
		case 'p': opts.rate = atof(optarg); break;
		case 'n': opts.requests = strtoul(optarg, NULL, 10); break;
		case 'b': opts.size = strtoul(optarg, NULL, 10); break;
		default: exit(EX_USAGE);
		}
	}
	opts.place = argv[optind];
	if (opts.place == NULL || opts.rate <= 0 ||
	    (opts.redis == NULL) == (opts.kafka == NULL)) {
		fputs("usage: direct --redis PORT|--kafka BROKERS --rate R "
		      "--requests N --size BYTES PLACE\n", stderr);
		exit(EX_USAGE);
	}
}

int
main(int argc, char **argv)
{
	char *body;

	parse_options(argc, argv);
	(void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	body = hb_xmalloc(opts.size + 1);
	memset(body, 'x', opts.size);
	body[opts.size] = '\0';
	if (opts.redis != NULL)
		run_redis(body);
	else
		run_kafka(body);
	printf("{\"p50\":%llu,\"p99\":%llu,\"p99.9\":%llu}\n",
	    (unsigned long long)histogram_percentile(&histogram, 0.5),
	    (unsigned long long)histogram_percentile(&histogram, 0.99),
	    (unsigned long long)histogram_percentile(&histogram, 0.999));
	free(body);
	return EXIT_SUCCESS;
}
