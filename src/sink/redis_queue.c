/* SPDX-License-Identifier: Apache-2.0 */
/* redis_queue.c - deliveries that wait for room on a connection
 *
 * So many commands, and so many bytes of them, may be under way: what a server
 * that is slow makes us keep beyond the deliveries' own time is bounded by that
 * (redis_out.c). A delivery that finds no room waits here, in order, until
 * replies have made some. How many wait is bounded by the byte budget, from
 * which they are paid for.
 *
 *   send ──room, nobody waits──────────────► redis_flow.c
 *     └───────────► first … last ──replies───► redis_flow.c
 *                       └─ `timeout` passes, the connection is lost ─► retry
 *
 * Nothing of what waits was written: it may be sent again without a doubt. */
#include "hookbridge/clock.h"
#include "redis.h"

#define IN_FLIGHT_MAX ((uint64_t)16 * 1024 * 1024)

/* When it began to wait. */
static uint64_t
since_ms(const struct hb_delivery *delivery)
{
	return delivery->word[0];
}

/* One command may be under way however large it is. */
static bool
has_room(const struct hb_redis_conn *conn, const struct hb_message *msg)
{
	uint64_t bytes = hb_redis_ring_bytes(conn);

	return conn->adds < conn->redis->conf->pipeline &&
	       (bytes == 0 ||
		   bytes + hb_redis_message_size(msg) <= IN_FLIGHT_MAX);
}

static struct hb_delivery *
take_first(struct hb_redis_conn *conn)
{
	struct hb_delivery *delivery = conn->first_waiting;

	conn->first_waiting = delivery->next;
	return delivery;
}

void
hb_redis_queue_add(struct hb_redis_conn *conn, struct hb_delivery *delivery)
{
	if (conn->first_waiting == NULL && has_room(conn, &delivery->msg)) {
		hb_redis_flow_add(
		    conn, delivery, hb_redis_kind_for(&delivery->msg));
		return;
	}
	delivery->word[0] = hb_clock_mono_ms();
	delivery->next = NULL;
	if (conn->first_waiting == NULL)
		conn->first_waiting = delivery;
	else
		conn->last_waiting->next = delivery;
	conn->last_waiting = delivery;
	hb_redis_conn_wake_at(conn, hb_redis_queue_due_ms(conn));
}

void
hb_redis_queue_move(struct hb_redis_conn *conn)
{
	while (conn->first_waiting != NULL &&
	       has_room(conn, &conn->first_waiting->msg)) {
		struct hb_delivery *delivery = take_first(conn);

		hb_redis_flow_add(
		    conn, delivery, hb_redis_kind_for(&delivery->msg));
	}
}

uint64_t
hb_redis_queue_due_ms(const struct hb_redis_conn *conn)
{
	return conn->first_waiting == NULL
		   ? UINT64_MAX
		   : since_ms(conn->first_waiting) +
			 conn->redis->conf->timeout_ms;
}

void
hb_redis_queue_expire(struct hb_redis_conn *conn, uint64_t now_ms)
{
	while (hb_redis_queue_due_ms(conn) <= now_ms) {
		hb_sink_count_error(&conn->redis->sink, "timeout");
		hb_redis_report_unsent(conn, take_first(conn),
		    "too much waits for replies before it");
	}
}

void
hb_redis_queue_abort(struct hb_redis_conn *conn, const char *why)
{
	while (conn->first_waiting != NULL)
		hb_redis_report_unsent(conn, take_first(conn), why);
}
