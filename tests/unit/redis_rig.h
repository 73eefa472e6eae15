/* SPDX-License-Identifier: Apache-2.0 */
/* redis_rig.h - a Redis sink with settings of the test's own, and what tests
 * wait for and expect of it
 *
 * Included by one .c file of a program: sendmsg() is ours. */
#ifndef HOOKBRIDGE_TESTS_REDIS_RIG_H
#define HOOKBRIDGE_TESTS_REDIS_RIG_H

#include "redis_peer.h"

#include <sys/syscall.h>

#include "../../src/sink/redis.h"
#include "hookbridge/log.h"

static struct redis_peer server;

/* Only streams write by this: the oracle and the hostile server do not. */
static _Atomic unsigned writes;

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	atomic_fetch_add(&writes, 1);
	return syscall(SYS_sendmsg, fd, msg, flags);
}

/* What cfg would have made of a file that sets only the url. */
static struct hb_redis_conf defaults = {
    .timeout_ms = 2000, .pipeline = 1024, .wait = {0, 1000}};

/* One stream, with settings of the test's own. */
struct solo {
	struct hb_redis_conf conf;
	struct hb_redis_target target;
	struct contract_peer peer;
	struct contract_rig rig;
};

static inline void
solo_init(struct solo *solo)
{
	solo->conf = defaults;
	solo->target = (struct hb_redis_target){0, 0};
	solo->peer = (struct contract_peer){
	    .ops = &hb_sink_redis,
	    .settings = &solo->conf,
	    .target_settings = &solo->target,
	    .dests = {"hb:solo"},
	    .arrived = redis_peer_arrived,
	    .arg = &server,
	};
}

static inline void
solo_run(struct solo *solo)
{
	contract_open(&solo->rig, &solo->peer);
	contract_run(&solo->rig);
}

static inline void
solo_start(struct solo *solo)
{
	solo_run(solo);
	assert_true(contract_await_health(&solo->rig, HB_UP));
}

/* Sends so many, to be freed, and waits for their reports. */
static inline struct contract_item *
exchange(struct solo *solo, size_t count)
{
	struct contract_item *items = contract_items(&solo->rig, count);

	contract_send(items, count);
	contract_await_reports(items, count);
	contract_check_reports(items, count);
	return items;
}

static inline void
expect(
    const struct contract_item *item, enum hb_report report, const char *says)
{
	const struct hb_delivery *delivery = &item->delivery;

	if (delivery->report != report ||
	    (says != NULL && strstr(delivery->why.text, says) == NULL))
		fail_msg("report %d: %s", (int)delivery->report,
		    delivery->report == HB_REPORT_CONFIRMED
			? "confirmed"
			: delivery->why.text);
}

static inline void
expect_confirmed(struct solo *solo, size_t count)
{
	struct contract_item *items = exchange(solo, count);

	contract_check_confirmed(items, count);
	contract_check_arrived(&solo->rig, items, count);
	free(items);
}

/* Waits until a connection was lost for that reason: some of its text. */
static inline void
await_lost(struct contract_rig *rig, const char *says)
{
	struct hb_redis *redis = (struct hb_redis *)rig->sink;
	uint64_t since_ms = hb_clock_mono_ms();
	char why[sizeof(redis->lost_why)];

	do {
		pthread_mutex_lock(&redis->lock);
		memcpy(why, redis->lost_why, sizeof(why));
		pthread_mutex_unlock(&redis->lock);
		if (strstr(why, says) != NULL)
			return;
	} while (contract_wait(since_ms));
	fail_msg("expected \"%s\", got \"%s\"", says, why);
}

/* The key under which the script remembers an item; key is all zero. */
static inline void
redis_rig_dedup_key(
    const struct contract_item *item, char key[HB_REDIS_DEDUP_KEY_MAX + 1])
{
	const struct hb_message *msg = &item->delivery.msg;

	hb_redis_dedup_key(msg->dest, msg->endpoint, msg->id, key);
}

static inline void
await_count(_Atomic unsigned *count, unsigned wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (atomic_load(count) < wanted)
		if (!contract_wait(since_ms))
			fail_msg("%u of %u", atomic_load(count), wanted);
}

#define ENTRY "$3\r\n1-1\r\n"

static inline struct hb_secret
secret(const char *text)
{
	return (struct hb_secret){
	    .data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

/* Starts the server; false, and TAP is told, when there is none. */
static inline bool
redis_rig_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	if (!redis_peer_open(&server)) {
		puts("1..0 # SKIP no redis-server: apt-get install "
		     "redis-tools");
		return false;
	}
	defaults.url = server.unix_url;
	return true;
}

static inline int
redis_rig_end(int failures)
{
	redis_peer_close(&server);
	return failures;
}

#endif
