/* SPDX-License-Identifier: Apache-2.0 */
/* redis.c - events become entries of Redis streams
 *
 * Each worker has a connection of its own, on its own loop: a delivery never
 * changes threads.
 *
 *   send ─► queue ─► ring and output ─► turn's end: written ─► reply ─► report
 *     redis_queue.c    redis_flow.c         │
 *                                           ├─ late: its owner is told
 *                                           └─ lost: unknown
 *
 * An entry is confirmed by its id, and where `wait` is set by so many replicas
 * in addition. A Redis server may still lose what it has confirmed (see its
 * appendfsync, and failover), which `wait` makes less likely and nothing makes
 * impossible. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "redis.h"

/* Of a Redis server's proto-max-bulk-len, unless it is configured. */
#define VALUE_MAX ((size_t)512 * 1024 * 1024)
#define IDLE_MS 5000
#define STALLED_MS 10000

/* --- sending -------------------------------------------------------------- */

/* The connection of the delivery's worker. */
static struct hb_redis_conn *
conn_of(struct hb_sink *sink, const struct hb_delivery *delivery)
{
	struct hb_redis *redis = (struct hb_redis *)sink;

	for (size_t i = 0; i < redis->conn_count; i++)
		if (redis->conns[i]->loop == delivery->home)
			return redis->conns[i];
	hb_bug("sink %s: sent from loop %s, which is no worker's",
	    sink->conf->name, hb_loop_name(delivery->home));
}

static void
redis_send(struct hb_sink *sink, struct hb_delivery *delivery)
{
	hb_redis_flow_send(conn_of(sink, delivery), delivery);
}

/* A slow sink has workers without a connection. */
static bool
redis_ready(struct hb_sink *sink, const struct hb_delivery *delivery)
{
	return hb_redis_flow_ready(conn_of(sink, delivery));
}

static bool
value_fits(const struct hb_message *msg, struct hb_error *err)
{
	if (msg->value.len < VALUE_MAX)
		return true;
	return hb_fail_reason(err, HB_E_DEAD, "too-large",
	    "redis stream %s: %zu bytes, a value may have %zu", msg->dest->name,
	    msg->value.len, VALUE_MAX);
}

static bool
redis_fits(const struct hb_sink *sink, const struct hb_message *msg,
    struct hb_error *err)
{
	(void)sink;
	return value_fits(msg, err);
}

static bool
redis_would_fit(const struct hb_sink_conf *conf, const struct hb_config *cfg,
    const struct hb_message *msg, struct hb_error *err)
{
	(void)conf;
	(void)cfg;
	return value_fits(msg, err);
}

/* --- opening and closing -------------------------------------------------- */

static void
init_lock(struct hb_redis *redis)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&redis->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&redis->drained, &attr);
	pthread_condattr_destroy(&attr);
}

static struct hb_sink *
redis_open(const struct hb_sink_conf *conf, const struct hb_sink_env *env,
    struct hb_error *err)
{
	const struct hb_config *cfg = env->cfg;
	const struct hb_redis_conf *settings = conf->conf;
	struct hb_redis_url url;
	struct hb_redis *redis;

	if (!hb_redis_url_parse(settings->url, &url, err))
		return NULL;
	redis = hb_xcalloc(1, sizeof(*redis));
	/* What is down is the connection; of the streams nothing bad is
	 * known. */
	hb_sink_init(&redis->sink, &hb_sink_redis, conf, env, HB_UP);
	redis->conf = settings;
	redis->url = url;
	redis->idle_ms = IDLE_MS;
	redis->stalled_ms = STALLED_MS;
	init_lock(redis);
	redis->scopes = hb_xcalloc(cfg->dest_count, sizeof(*redis->scopes));
	for (size_t i = 0; i < cfg->dest_count; i++)
		redis->scopes[i].dest = cfg->dests[i];
	hb_redis_note_memories(redis);
	hb_sink_set_health(&redis->sink, HB_DOWN, "connecting");
	redis->conns =
	    hb_xcalloc(env->loop_count, sizeof(struct hb_redis_conn *));
	redis->conn_count = env->loop_count;
	for (size_t i = 0; i < env->loop_count; i++)
		redis->conns[i] = hb_redis_conn_new(redis, env->loops[i]);
	return &redis->sink;
}

/* Each connection shuts itself when all of its deliveries are reported; what
 * still waits for its reply at the end is reported as it is. */
static void
redis_drain(struct hb_sink *sink, unsigned timeout_ms)
{
	struct hb_redis *redis = (struct hb_redis *)sink;
	uint64_t due_ms = hb_clock_mono_ms() + timeout_ms;
	struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
	    .tv_nsec = (long)(due_ms % 1000) * 1000000};
	int rc = 0;

	pthread_mutex_lock(&redis->lock);
	redis->undrained = redis->conn_count;
	for (size_t i = 0; i < redis->conn_count; i++)
		hb_loop_post(redis->conns[i]->loop, &redis->conns[i]->drain);
	while (redis->undrained > 0 && rc != ETIMEDOUT)
		rc =
		    pthread_cond_timedwait(&redis->drained, &redis->lock, &due);
	if (redis->undrained > 0)
		for (size_t i = 0; i < redis->conn_count; i++)
			hb_loop_post(
			    redis->conns[i]->loop, &redis->conns[i]->abandon);
	while (redis->undrained > 0)
		pthread_cond_wait(&redis->drained, &redis->lock);
	pthread_mutex_unlock(&redis->lock);
}

static void
redis_close(struct hb_sink *sink)
{
	struct hb_redis *redis = (struct hb_redis *)sink;

	for (size_t i = 0; i < redis->conn_count; i++)
		hb_redis_conn_close(redis->conns[i]);
	pthread_cond_destroy(&redis->drained);
	pthread_mutex_destroy(&redis->lock);
	free(redis->conns);
	free(redis->scopes);
	hb_sink_fini(&redis->sink);
	free(redis);
}

const struct hb_sink_ops hb_sink_redis = {
    .type = {.name = "redis",
	.keys = hb_redis_keys,
	.conf_size = sizeof(struct hb_redis_conf),
	.dest_key = "stream",
	.dest_list_key = "streams",
	.target_keys = hb_redis_target_keys,
	.target_size = sizeof(struct hb_redis_target),
	.check = hb_redis_conf_check,
	.valid_name = hb_redis_valid_name},
    .open = redis_open,
    .send = redis_send,
    .fits = redis_fits,
    .would_fit = redis_would_fit,
    .ready = redis_ready,
    .forget = hb_redis_forget,
    .drain = redis_drain,
    .close = redis_close,
};
