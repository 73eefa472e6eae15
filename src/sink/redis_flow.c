/* SPDX-License-Identifier: Apache-2.0 */
/* redis_flow.c - on a connection: commands out, replies in, deadlines
 *
 *   send ─► redis_queue.c ─► ring, output ─end of the turn─► write ─► server
 *                            redis_ring.c                               │
 *   report ◄── redis_settle.c ◄── a whole reply ◄── read ◄──────────────┘
 *
 * What is put out during one turn of the loop is written at its end; what the
 * socket does not take waits for it to become writable. */
#include <errno.h>
#include <sys/uio.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "redis.h"

#define UNPARSED_MAX ((size_t)1024 * 1024)
#define READ_SIZE ((size_t)16 * 1024)
#define READS_PER_TURN 8
#define IOV_MAX_COUNT 64

/* --- commands out --------------------------------------------------------- */

/* The loop writes at the end of this turn. */
static void
write_soon(struct hb_redis_conn *conn)
{
	if (!conn->is_blocked && !conn->flush.posted)
		hb_loop_defer(conn->loop, &conn->flush);
}

struct hb_redis_cmd *
hb_redis_issue(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	write_soon(conn);
	return hb_redis_ring_add(conn, kind);
}

void
hb_redis_flow_add(struct hb_redis_conn *conn, struct hb_delivery *delivery,
    enum hb_redis_kind kind)
{
	const struct hb_message *msg = &delivery->msg;
	struct hb_redis_cmd *cmd = hb_redis_issue(conn, kind);

	cmd->delivery = delivery;
	cmd->scope = &conn->redis->scopes[msg->dest->index];
	conn->adds++;
	conn->wants_wait = conn->redis->conf->wait.replicas > 0;
	hb_redis_put_message(&conn->out, kind, msg);
	hb_redis_conn_wake_at(
	    conn, cmd->started_ms + conn->redis->conf->timeout_ms);
}

/* Why nothing can be taken now, or NULL. */
static const char *
obstacle(const struct hb_redis_conn *conn)
{
	if (conn->draining)
		return "shutting down";
	return conn->state == HB_REDIS_READY ? NULL : "not connected";
}

void
hb_redis_flow_send(struct hb_redis_conn *conn, struct hb_delivery *delivery)
{
	const char *text = obstacle(conn);

	delivery->word[1] = false; /* it is not overdue */
	conn->unreported++;
	if (text == NULL)
		hb_redis_queue_add(conn, delivery);
	else
		hb_redis_report_unsent(conn, delivery, text);
}

bool
hb_redis_flow_ready(const struct hb_redis_conn *conn)
{
	return obstacle(conn) == NULL;
}

void
hb_redis_ping(struct hb_redis_conn *conn)
{
	uint8_t random[8];

	hb_random(random, sizeof(random));
	hb_hex(random, sizeof(random), conn->nonce);
	hb_redis_issue(conn, HB_REDIS_PING);
	hb_redis_out_array(&conn->out, 2);
	hb_redis_out_bulk(&conn->out, HB_SPAN("PING"));
	hb_redis_out_bulk(&conn->out, hb_span_of(conn->nonce));
}

bool
hb_redis_is_pong(const struct hb_redis_conn *conn)
{
	return conn->reply.type == REDIS_REPLY_STRING &&
	       hb_redis_reply_is(&conn->reply, conn->nonce);
}

/* Called where the output is about to be written anyway. */
static void
put_wait(struct hb_redis_conn *conn)
{
	const struct hb_redis_wait *wait = &conn->redis->conf->wait;

	conn->wants_wait = false;
	hb_redis_ring_add(conn, HB_REDIS_WAIT);
	hb_redis_out_array(&conn->out, 3);
	hb_redis_out_bulk(&conn->out, HB_SPAN("WAIT"));
	hb_redis_out_number(&conn->out, wait->replicas);
	hb_redis_out_number(&conn->out, wait->timeout_ms);
}

/* The server has closed, perhaps with a last word that tells why. */
static void
on_write_error(struct hb_redis_conn *conn)
{
	int error = errno;

	hb_redis_flow_read(conn);
	if (conn->stream != NULL)
		hb_redis_lose(conn, "lost", "%s", strerror(error));
}

void
hb_redis_flow_write(struct hb_redis_conn *conn)
{
	struct hb_redis_out *out = &conn->out;
	ssize_t n = 0;

	if (conn->wants_wait)
		put_wait(conn);
	while (out->sent < out->end && n >= 0) {
		struct iovec iov[IOV_MAX_COUNT];
		int count = hb_redis_out_iov(out, iov, IOV_MAX_COUNT);

		n = hb_stream_writev(conn->stream, iov, count);
		if (n > 0)
			hb_redis_out_advance(out, (size_t)n);
	}
	if (n == HB_STREAM_ERROR) {
		on_write_error(conn);
		return;
	}
	conn->is_blocked = n == HB_STREAM_AGAIN;
	hb_stream_want(conn->stream, true, conn->is_blocked);
}

/* --- replies in ----------------------------------------------------------- */

static void
parse(struct hb_redis_conn *conn)
{
	while (conn->stream != NULL) {
		void *reply = NULL;

		if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
			hb_redis_lose(
			    conn, "protocol", "%s", conn->reader->errstr);
			return;
		}
		if (reply == NULL)
			return;
		conn->unparsed = 0;
		hb_redis_settle(conn);
		hb_redis_reply_reset(&conn->reply);
	}
}

static void
take(struct hb_redis_conn *conn, const char *buf, size_t len)
{
	conn->heard_ms = hb_clock_mono_ms();
	conn->unparsed += len;
	if (redisReaderFeed(conn->reader, buf, len) != REDIS_OK) {
		hb_redis_lose(conn, "protocol", "%s", conn->reader->errstr);
		return;
	}
	parse(conn);
	if (conn->stream != NULL && conn->unparsed > UNPARSED_MAX)
		hb_redis_lose(conn, "protocol", "a reply without end");
}

void
hb_redis_flow_read(struct hb_redis_conn *conn)
{
	char buf[READ_SIZE];

	for (int i = 0; i < READS_PER_TURN && conn->stream != NULL; i++) {
		ssize_t n = hb_stream_read(conn->stream, buf, sizeof(buf));

		if (n > 0)
			take(conn, buf, (size_t)n);
		else if (n == HB_STREAM_EOF)
			hb_redis_lose(conn, "lost", "closed by the server");
		else if (n == HB_STREAM_ERROR)
			hb_redis_lose(conn, "lost", "%s", strerror(errno));
		if (n < (ssize_t)sizeof(buf))
			break;
	}
	hb_redis_queue_move(conn);
}

/* --- deadlines ------------------------------------------------------------ */

static uint64_t
sooner(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* When the timer is needed next. */
static uint64_t
next_due_ms(const struct hb_redis_conn *conn)
{
	const struct hb_redis *redis = conn->redis;
	uint64_t due_ms = conn->heard_ms + redis->idle_ms;

	if (conn->answered < conn->issued)
		due_ms = hb_redis_cmd_at(conn, conn->answered)->started_ms +
			 redis->stalled_ms;
	if (conn->expired < conn->issued)
		due_ms = sooner(due_ms,
		    hb_redis_cmd_at(conn, conn->expired)->started_ms +
			redis->conf->timeout_ms);
	return sooner(due_ms, hb_redis_queue_due_ms(conn));
}

/* Whether a reply is so late that none will come. */
static bool
is_stalled(const struct hb_redis_conn *conn, uint64_t now_ms)
{
	return conn->answered < conn->issued &&
	       hb_redis_cmd_at(conn, conn->answered)->started_ms +
		       conn->redis->stalled_ms <= now_ms;
}

void
hb_redis_flow_tick(struct hb_redis_conn *conn)
{
	const struct hb_redis *redis = conn->redis;
	uint64_t now_ms = hb_clock_mono_ms();

	hb_redis_ring_expire(conn, now_ms);
	hb_redis_queue_expire(conn, now_ms);
	if (is_stalled(conn, now_ms)) {
		hb_redis_lose(conn, "timeout", "no reply within %llu ms",
		    (unsigned long long)redis->stalled_ms);
		return;
	}
	if (conn->answered == conn->issued &&
	    conn->heard_ms + redis->idle_ms <= now_ms)
		hb_redis_ping(conn);
	hb_redis_conn_wake_at(conn, next_due_ms(conn));
}

/* --- the end -------------------------------------------------------------- */

void
hb_redis_flow_abort(struct hb_redis_conn *conn, const char *why)
{
	hb_redis_ring_abort(conn, why);
	hb_redis_queue_abort(conn, why);
	conn->wants_wait = conn->is_blocked = false;
	conn->unparsed = 0;
	hb_redis_out_wipe(&conn->out);
}

void
hb_redis_flow_fini(struct hb_redis_conn *conn)
{
	hb_redis_ring_fini(conn);
	hb_redis_out_fini(&conn->out);
}
