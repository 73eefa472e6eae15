/* SPDX-License-Identifier: Apache-2.0 */
/* redis_forget.c - takes an event out of the idempotent script's memory
 *
 * Whoever asks for that wants the event to be added again, some time later. A
 * DEL for each stream that may remember it goes out on any connection that
 * takes commands, the replay's first; nobody waits for the answer, and what
 * could not be deleted is told in the log.
 *
 *   forget ─► replay's loop ─► not connected ─► a worker's ─► …
 *                 └─► DEL hb:dedup:… for each stream */
#include <stdlib.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "redis.h"

/* On its way from one loop to the next. */
struct forgetting {
	struct hb_task task;
	struct hb_redis_conn *conn;
	size_t others; /* so many connections were not asked yet */
	struct hb_span endpoint, id;
	char text[]; /* theirs */
};

static void
put_del(struct hb_redis_conn *conn, const struct hb_dest_conf *dest,
    const struct forgetting *forgetting)
{
	char key[HB_REDIS_DEDUP_KEY_MAX];
	size_t len = hb_redis_dedup_key(
	    dest, forgetting->endpoint, forgetting->id, key);

	hb_redis_issue(conn, HB_REDIS_DEL);
	hb_redis_out_array(&conn->out, 2);
	hb_redis_out_bulk(&conn->out, HB_SPAN("DEL"));
	hb_redis_out_bulk(&conn->out, hb_span_make(key, len));
}

static void
put_all(struct hb_redis_conn *conn, const struct forgetting *forgetting)
{
	const struct hb_redis *redis = conn->redis;

	for (size_t i = 0; i < redis->sink.cfg->dest_count; i++)
		if (redis->scopes[i].remembers)
			put_del(conn, redis->scopes[i].dest, forgetting);
}

static void
ask(struct forgetting *forgetting, struct hb_redis *redis, size_t conn)
{
	forgetting->conn = redis->conns[conn];
	forgetting->others = conn;
	hb_loop_post(forgetting->conn->loop, &forgetting->task);
}

static void
on_forget(struct hb_task *task)
{
	struct forgetting *forgetting =
	    hb_container_of(task, struct forgetting, task);
	struct hb_redis_conn *conn = forgetting->conn;
	struct hb_redis *redis = conn->redis;

	if (redis != NULL && !hb_redis_flow_ready(conn) &&
	    forgetting->others > 0) {
		ask(forgetting, redis, forgetting->others - 1);
		return;
	}
	if (redis != NULL && hb_redis_flow_ready(conn))
		put_all(conn, forgetting);
	else if (redis != NULL)
		hb_log_limited(HB_LOG_WARNING, "sink.forget",
		    HB_F_STR("sink", redis->sink.conf->name),
		    HB_F_STR("reason", "not connected"));
	free(forgetting);
}

/* --- who remembers -------------------------------------------------------- */

static void
note_memory(struct hb_redis *redis, const struct hb_target_conf *target)
{
	const struct hb_redis_target *settings = target->settings;

	if (target->sink != redis->sink.conf || settings->idempotent_ms == 0)
		return;
	for (size_t i = 0; i < target->dest_count; i++)
		redis->scopes[target->dests[i]->index].remembers = true;
}

/* Dead letters are always added, whatever their target says. */
void
hb_redis_note_memories(struct hb_redis *redis)
{
	const struct hb_config *cfg = redis->sink.cfg;

	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t j = 0; j < cfg->routes[i].to_count; j++)
			note_memory(redis, cfg->routes[i].to[j]);
}

/* Whether any stream has a memory. */
static bool
remembers(const struct hb_redis *redis)
{
	for (size_t i = 0; i < redis->sink.cfg->dest_count; i++)
		if (redis->scopes[i].remembers)
			return true;
	return false;
}

/* --- asking --------------------------------------------------------------- */

void
hb_redis_forget(struct hb_sink *sink, struct hb_span endpoint,
    struct hb_span id)
{
	struct hb_redis *redis = (struct hb_redis *)sink;
	struct forgetting *forgetting;

	if (!remembers(redis))
		return;
	forgetting =
	    hb_xcalloc(1, sizeof(*forgetting) + endpoint.len + id.len);
	memcpy(forgetting->text, endpoint.ptr, endpoint.len);
	memcpy(forgetting->text + endpoint.len, id.ptr, id.len);
	forgetting->endpoint = hb_span_make(forgetting->text, endpoint.len);
	forgetting->id =
	    hb_span_make(forgetting->text + endpoint.len, id.len);
	forgetting->task.run = on_forget;
	ask(forgetting, redis, redis->conn_count - 1);
}

