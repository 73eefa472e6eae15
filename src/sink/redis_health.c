/* SPDX-License-Identifier: Apache-2.0 */
/* redis_health.c - what is down, for how long
 *
 * The sink is DOWN while no connection takes commands, SLOW while only some
 * do: those workers that have none report a retry. Beyond that, errors suspend
 * what they speak of, a destination or the whole server:
 *
 *   up ──error reply──► suspended ──backoff over──► up, on trial
 *                          ▲                          │
 *                          └───── the next error ─────┘
 *
 * Whether adding works is told by adding only (a probe would need rights of
 * its own, and memory, permissions or replicas may treat it otherwise), so
 * what is sent next decides. The backoff grows until something is confirmed.
 *
 * The connection that receives the error guards the suspension: its loop's
 * timer ends it, whatever becomes of the connection. Further errors while
 * suspended belong to what was sent before and change nothing. */
#include "hookbridge/backoff.h"
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "redis.h"

#define SUSPENDED_MIN_MS 500
#define SUSPENDED_MAX_MS 30000

/* Brings the sink's health in line. The lock is held, so that health changes
 * in the order of its causes. */
static void
renew(struct hb_redis *redis)
{
	if (redis->ready_count == 0)
		hb_sink_set_health(&redis->sink, HB_DOWN, redis->lost_why);
	else if (redis->is_suspended)
		hb_sink_set_health(&redis->sink, HB_DOWN, redis->server_why);
	else if (redis->ready_count < redis->conn_count)
		hb_sink_set_health(
		    &redis->sink, HB_SLOW, "some workers are not connected");
	else
		hb_sink_set_health(&redis->sink, HB_UP, NULL);
}

void
hb_redis_note_ready(struct hb_redis_conn *conn)
{
	struct hb_redis *redis = conn->redis;

	pthread_mutex_lock(&redis->lock);
	redis->ready_count++;
	renew(redis);
	pthread_mutex_unlock(&redis->lock);
}

void
hb_redis_note_lost(struct hb_redis_conn *conn, const char *why)
{
	struct hb_redis *redis = conn->redis;

	pthread_mutex_lock(&redis->lock);
	if (conn->state == HB_REDIS_READY)
		redis->ready_count--;
	snprintf(redis->lost_why, sizeof(redis->lost_why), "%s", why);
	renew(redis);
	pthread_mutex_unlock(&redis->lock);
}

/* --- suspensions ---------------------------------------------------------- */

static void
set_health(struct hb_redis *redis, struct hb_redis_scope *scope,
    enum hb_health health, const char *why)
{
	if (scope->dest != NULL) {
		hb_dest_set_health(&redis->sink, scope->dest, health, why);
		return;
	}
	pthread_mutex_lock(&redis->lock);
	redis->is_suspended = health == HB_DOWN;
	if (why != NULL)
		snprintf(
		    redis->server_why, sizeof(redis->server_why), "%s", why);
	renew(redis);
	pthread_mutex_unlock(&redis->lock);
}

static void
schedule(struct hb_redis_conn *conn, uint64_t now_ms)
{
	uint64_t due_ms = UINT64_MAX;

	for (struct hb_redis_scope *scope = conn->suspended; scope != NULL;
	     scope = scope->next)
		if (scope->due_ms < due_ms)
			due_ms = scope->due_ms;
	if (due_ms != UINT64_MAX)
		hb_timer_set(
		    &conn->trial, due_ms > now_ms ? due_ms - now_ms : 0);
}

void
hb_redis_suspend(
    struct hb_redis_conn *conn, struct hb_redis_scope *scope, const char *why)
{
	uint64_t now_ms = hb_clock_mono_ms();

	if (conn->state == HB_REDIS_SHUT ||
	    atomic_exchange(&scope->is_down, true))
		return;
	scope->due_ms = now_ms +
			hb_backoff_ms(SUSPENDED_MIN_MS, SUSPENDED_MAX_MS,
			    atomic_fetch_add(&scope->setbacks, 1));
	scope->next = conn->suspended;
	conn->suspended = scope;
	set_health(conn->redis, scope, HB_DOWN, why);
	schedule(conn, now_ms);
}

/* Lets up what has been down long enough. */
static void
on_trial(struct hb_timer *timer)
{
	struct hb_redis_conn *conn =
	    hb_container_of(timer, struct hb_redis_conn, trial);
	struct hb_redis_scope **link = &conn->suspended;
	uint64_t now_ms = hb_clock_mono_ms();

	while (*link != NULL) {
		struct hb_redis_scope *scope = *link;

		if (scope->due_ms > now_ms) {
			link = &scope->next;
			continue;
		}
		*link = scope->next;
		set_health(conn->redis, scope, HB_UP, NULL);
		/* From here on any connection may suspend it again. */
		atomic_store(&scope->is_down, false);
	}
	schedule(conn, now_ms);
}

void
hb_redis_note_confirmed(
    struct hb_redis_conn *conn, struct hb_redis_scope *scope)
{
	if (atomic_load(&scope->setbacks) != 0)
		atomic_store(&scope->setbacks, 0);
	if (atomic_load(&conn->redis->server.setbacks) != 0)
		atomic_store(&conn->redis->server.setbacks, 0);
}

void
hb_redis_health_init(struct hb_redis_conn *conn)
{
	hb_timer_init(&conn->trial, conn->loop, on_trial);
}

void
hb_redis_health_fini(struct hb_redis_conn *conn)
{
	hb_timer_fini(&conn->trial);
}
