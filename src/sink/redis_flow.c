/* SPDX-License-Identifier: Apache-2.0 */
/* redis_flow.c - on a connection: commands out, replies in, deadlines
 *
 * Commands have numbers. Redis answers in order, so that one ring of those
 * under way and a few numbers say everything:
 *
 *   settled ≤ answered ≤ issued       settled ≤ expired ≤ issued
 *
 *      settled        answered                   issued
 *         │ XADD XADD    │ WAIT  XADD  XADD  WAIT   │
 *         └─ replied,    └─ the next reply          └─ the next command
 *            but not yet     belongs to this one
 *            replicated
 *
 * Without `wait`, settled is answered. With it, one WAIT follows what a turn of
 * the loop has put out; its answer settles everything before it. `expired`
 * goes through the commands as their deadlines pass: a delivery is then
 * reported unknown and forgotten, its command stays until its reply is there.
 *
 * Invariants: (1) a delivery is in the ring from send to report; (2) commands
 * in the ring were started in order, hence are due in order; (3) nothing in
 * the output refers to a delivery that was reported.
 *
 * What is put out during one turn of the loop is written at its end; what the
 * socket does not take waits for it to become writable. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "redis.h"

#define IN_FLIGHT_MAX ((uint64_t)16 * 1024 * 1024)
#define UNPARSED_MAX ((size_t)1024 * 1024)
#define READ_SIZE ((size_t)16 * 1024)
#define READS_PER_TURN 8
#define IOV_MAX_COUNT 64

/* --- the ring ------------------------------------------------------------- */

static struct hb_redis_cmd *
cmd_at(const struct hb_redis_conn *conn, uint64_t number)
{
	return &conn->cmds[number & (conn->cmd_size - 1)];
}

static void
grow(struct hb_redis_conn *conn)
{
	size_t size = conn->cmd_size > 0 ? 2 * conn->cmd_size : 64;
	struct hb_redis_cmd *cmds = hb_xcalloc(size, sizeof(*cmds));

	for (uint64_t i = conn->settled; i < conn->issued; i++)
		cmds[i & (size - 1)] = *cmd_at(conn, i);
	free(conn->cmds);
	conn->cmds = cmds;
	conn->cmd_size = size;
}

static bool
is_add(enum hb_redis_kind kind)
{
	return kind == HB_REDIS_XADD || kind == HB_REDIS_EVALSHA ||
	       kind == HB_REDIS_EVAL;
}

/* The loop writes at the end of this turn. */
static void
write_soon(struct hb_redis_conn *conn)
{
	if (!conn->is_blocked && !conn->flush.posted)
		hb_loop_defer(conn->loop, &conn->flush);
}

static struct hb_redis_cmd *
issue(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	struct hb_redis_cmd *cmd;

	if (conn->issued - conn->settled == conn->cmd_size)
		grow(conn);
	cmd = cmd_at(conn, conn->issued++);
	*cmd = (struct hb_redis_cmd){
	    .kind = kind,
	    .scope = &conn->redis->server,
	    .at = conn->out.end,
	    .started_ms = hb_clock_mono_ms(),
	};
	return cmd;
}

struct hb_redis_cmd *
hb_redis_issue(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	write_soon(conn);
	return issue(conn, kind);
}

/* Lets go of what is answered and owes no report. */
static void
release(struct hb_redis_conn *conn)
{
	while (conn->settled < conn->answered &&
	       cmd_at(conn, conn->settled)->delivery == NULL)
		conn->adds -= is_add(cmd_at(conn, conn->settled++)->kind);
	if (conn->expired < conn->settled)
		conn->expired = conn->settled;
}

/* --- reports -------------------------------------------------------------- */

static void
report(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd,
    enum hb_report report, const struct hb_error *why)
{
	struct hb_delivery *delivery = cmd->delivery;

	cmd->delivery = NULL;
	conn->unreported--;
	hb_delivery_report(delivery, report, why);
}

static void
report_confirmed(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd)
{
	hb_redis_confirmed(conn, cmd->scope);
	report(conn, cmd, HB_REPORT_CONFIRMED, NULL);
}

static void
report_failed(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd,
    enum hb_report what, const char *reason, const char *text)
{
	struct hb_error why;

	hb_fail_reason(&why, what == HB_REPORT_REFUSED ? HB_E_DEAD : HB_E_RETRY,
	    reason, "redis stream %s: %s", cmd->scope->dest->name, text);
	report(conn, cmd, what, &why);
}

/* --- commands out --------------------------------------------------------- */

static void
add(struct hb_redis_conn *conn, struct hb_delivery *delivery,
    enum hb_redis_kind kind)
{
	const struct hb_message *msg = &delivery->msg;
	struct hb_redis_cmd *cmd = hb_redis_issue(conn, kind);

	cmd->delivery = delivery;
	cmd->scope = &conn->redis->scopes[msg->dest->index];
	conn->adds++;
	conn->wants_wait = conn->redis->conf->wait.replicas > 0;
	hb_redis_put_message(&conn->out, kind, msg, delivery);
	hb_redis_conn_wake_at(
	    conn, cmd->started_ms + conn->redis->conf->timeout_ms);
}

/* Bytes put out and not yet answered. */
static uint64_t
in_flight(const struct hb_redis_conn *conn)
{
	return conn->answered < conn->issued
		   ? conn->out.end - cmd_at(conn, conn->answered)->at
		   : 0;
}

/* Why nothing can be taken now, or NULL. One command may be under way, however
 * large it is. */
static const char *
obstacle(const struct hb_redis_conn *conn, const struct hb_message *msg)
{
	uint64_t bytes = in_flight(conn);

	if (conn->draining)
		return "shutting down";
	if (conn->state != HB_REDIS_READY)
		return "not connected";
	if (conn->adds >= conn->redis->conf->pipeline)
		return "too many commands wait for their replies";
	if (bytes > 0 && bytes + hb_redis_message_size(msg) > IN_FLIGHT_MAX)
		return "too many bytes wait for their replies";
	return NULL;
}

void
hb_redis_flow_send(struct hb_redis_conn *conn, struct hb_delivery *delivery)
{
	const char *text = obstacle(conn, &delivery->msg);
	struct hb_error why;

	if (text == NULL) {
		conn->unreported++;
		add(conn, delivery, hb_redis_kind_for(&delivery->msg));
		return;
	}
	hb_fail(&why, HB_E_RETRY, "redis stream %s: %s",
	    delivery->msg.dest->name, text);
	hb_delivery_report(delivery, HB_REPORT_RETRY, &why);
}

bool
hb_redis_flow_ready(
    const struct hb_redis_conn *conn, const struct hb_delivery *delivery)
{
	return obstacle(conn, &delivery->msg) == NULL;
}

/* Asks for what only a server that listens can repeat. */
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

/* Called where the output is about to be written anyway. */
static void
put_wait(struct hb_redis_conn *conn)
{
	const struct hb_redis_wait *wait = &conn->redis->conf->wait;

	conn->wants_wait = false;
	issue(conn, HB_REDIS_WAIT);
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
on_unexpected(struct hb_redis_conn *conn, const char *command)
{
	hb_redis_lose(conn, "protocol", "a reply that %s never has", command);
}

/* What an error tells about more than its own command. */
static void
draw_consequences(struct hb_redis_conn *conn, struct hb_redis_scope *scope,
    const struct hb_redis_rule *rule, const char *text)
{
	switch (rule->blame) {
	case HB_REDIS_DEST:
		hb_redis_suspend(conn, scope, text);
		break;
	case HB_REDIS_SERVER:
		hb_redis_suspend(conn, &conn->redis->server, text);
		break;
	case HB_REDIS_CONNECTION:
		hb_redis_lose(conn, rule->class, "%s", text);
		break;
	case HB_REDIS_NOBODY:
	case HB_REDIS_MESSAGE:
	case HB_REDIS_SCRIPT:
		break;
	}
}

static const struct hb_redis_rule *
rule_of_reply(struct hb_redis_conn *conn, char *text, size_t size)
{
	const struct hb_redis_reply *reply = &conn->reply;
	struct hb_span error = hb_span_make(reply->text, strlen(reply->text));
	const struct hb_redis_rule *rule = hb_redis_rule_of(error);

	hb_redis_error_text(rule, error, text, size);
	hb_sink_count_error(&conn->redis->sink, rule->class);
	return rule;
}

/* Nothing was added. */
static void
on_add_error(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd)
{
	char text[HB_REDIS_TEXT_MAX + 1];
	const struct hb_redis_rule *rule =
	    rule_of_reply(conn, text, sizeof(text));
	struct hb_redis_scope *scope = cmd->scope;
	struct hb_delivery *delivery = cmd->delivery;

	if (rule->blame == HB_REDIS_SCRIPT && cmd->kind == HB_REDIS_EVALSHA) {
		cmd->delivery = NULL;
		if (delivery != NULL)
			add(conn, delivery, HB_REDIS_EVAL);
		return;
	}
	if (delivery != NULL)
		report_failed(conn, cmd,
		    rule->blame == HB_REDIS_MESSAGE ? HB_REPORT_REFUSED
						    : HB_REPORT_RETRY,
		    rule->reason, text);
	draw_consequences(conn, scope, rule, text);
}

static void
on_add(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd)
{
	if (conn->reply.type == REDIS_REPLY_ERROR)
		on_add_error(conn, cmd);
	else if (!hb_redis_reply_is_entry(&conn->reply))
		on_unexpected(conn, "XADD");
	else if (cmd->delivery != NULL && conn->redis->conf->wait.replicas == 0)
		report_confirmed(conn, cmd);
}

/* Settles everything added before this WAIT, whose number is given. */
static void
settle_waiting(struct hb_redis_conn *conn, uint64_t wait, const char *failure)
{
	for (uint64_t i = conn->settled; i < wait; i++) {
		struct hb_redis_cmd *cmd = cmd_at(conn, i);

		if (cmd->delivery == NULL)
			continue;
		if (failure == NULL)
			report_confirmed(conn, cmd);
		else
			report_failed(
			    conn, cmd, HB_REPORT_UNKNOWN, NULL, failure);
	}
}

static void
on_wait_error(struct hb_redis_conn *conn, uint64_t wait)
{
	char text[HB_REDIS_TEXT_MAX + 1];
	const struct hb_redis_rule *rule =
	    rule_of_reply(conn, text, sizeof(text));

	settle_waiting(conn, wait, text);
	draw_consequences(conn, &conn->redis->server, rule, text);
}

/* Fewer replicas than asked: what was added is there, and will be added again
 * by the next attempt, so that attempts are not made without end. */
static void
on_wait(struct hb_redis_conn *conn, uint64_t wait)
{
	const struct hb_redis_conf *conf = conn->redis->conf;
	long long count = conn->reply.num;
	char text[96];

	if (conn->reply.type == REDIS_REPLY_ERROR) {
		on_wait_error(conn, wait);
	} else if (conn->reply.type != REDIS_REPLY_INTEGER || count < 0) {
		on_unexpected(conn, "WAIT");
	} else if ((uint64_t)count >= conf->wait.replicas) {
		settle_waiting(conn, wait, NULL);
	} else {
		snprintf(text, sizeof(text), "%lld of %llu replicas in time",
		    count, (unsigned long long)conf->wait.replicas);
		hb_sink_count_error(&conn->redis->sink, "replicas");
		settle_waiting(conn, wait, text);
		hb_redis_suspend(conn, &conn->redis->server, text);
	}
}

static void
on_ping(struct hb_redis_conn *conn)
{
	char text[HB_REDIS_TEXT_MAX + 1];
	const struct hb_redis_rule *rule;

	if (conn->reply.type == REDIS_REPLY_ERROR) {
		rule = rule_of_reply(conn, text, sizeof(text));
		draw_consequences(conn, &conn->redis->server, rule, text);
	} else if (conn->reply.type != REDIS_REPLY_STRING ||
		   !hb_redis_reply_is(&conn->reply, conn->nonce)) {
		on_unexpected(conn, "PING");
	}
}

/* Whether the command has been written to its end. */
static bool
is_written(const struct hb_redis_conn *conn, uint64_t number)
{
	uint64_t end = number + 1 < conn->issued ? cmd_at(conn, number + 1)->at
						 : conn->out.end;

	return end <= conn->out.sent;
}

static void
dispatch(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd)
{
	if (is_add(cmd->kind))
		on_add(conn, cmd);
	else if (cmd->kind == HB_REDIS_WAIT)
		on_wait(conn, conn->answered - 1);
	else if (cmd->kind == HB_REDIS_PING && conn->state == HB_REDIS_READY)
		on_ping(conn);
	else
		hb_redis_on_login(conn, cmd->kind);
}

/* Takes the reply to the oldest command that has none. What is still being
 * written can only have been refused, by a server that reads no further. */
static void
on_reply(struct hb_redis_conn *conn)
{
	bool written;

	if (conn->answered == conn->issued) {
		hb_redis_lose(conn, "protocol", "a reply to nothing");
		return;
	}
	written = is_written(conn, conn->answered);
	if (written || conn->reply.type == REDIS_REPLY_ERROR)
		dispatch(conn, cmd_at(conn, conn->answered++));
	if (conn->stream == NULL)
		return;
	if (written)
		release(conn);
	else
		hb_redis_lose(conn, "protocol", "a reply to half of a command");
}

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
		on_reply(conn);
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
}

/* --- deadlines ------------------------------------------------------------ */

static void
expire(struct hb_redis_conn *conn, uint64_t now_ms)
{
	uint64_t timeout_ms = conn->redis->conf->timeout_ms;
	char text[64];

	snprintf(text, sizeof(text), "no reply within %llu ms",
	    (unsigned long long)timeout_ms);
	for (; conn->expired < conn->issued; conn->expired++) {
		struct hb_redis_cmd *cmd = cmd_at(conn, conn->expired);

		if (cmd->started_ms + timeout_ms > now_ms)
			break;
		if (cmd->delivery == NULL)
			continue;
		hb_redis_out_disown(&conn->out, cmd->delivery);
		hb_sink_count_error(&conn->redis->sink, "timeout");
		report_failed(conn, cmd, HB_REPORT_UNKNOWN, NULL, text);
	}
	release(conn);
}

/* When the timer is needed next. */
static uint64_t
next_due_ms(const struct hb_redis_conn *conn)
{
	const struct hb_redis *redis = conn->redis;
	uint64_t due_ms = conn->heard_ms + redis->idle_ms, next_ms;

	if (conn->answered < conn->issued)
		due_ms = cmd_at(conn, conn->answered)->started_ms +
			 redis->stalled_ms;
	if (conn->expired < conn->issued) {
		next_ms = cmd_at(conn, conn->expired)->started_ms +
			  redis->conf->timeout_ms;
		due_ms = next_ms < due_ms ? next_ms : due_ms;
	}
	return due_ms;
}

void
hb_redis_flow_tick(struct hb_redis_conn *conn)
{
	const struct hb_redis *redis = conn->redis;
	uint64_t now_ms = hb_clock_mono_ms();

	expire(conn, now_ms);
	if (conn->answered == conn->issued) {
		if (conn->heard_ms + redis->idle_ms <= now_ms)
			hb_redis_ping(conn);
	} else if (cmd_at(conn, conn->answered)->started_ms +
		       redis->stalled_ms <=
		   now_ms) {
		hb_redis_lose(conn, "timeout", "no reply within %llu ms",
		    (unsigned long long)redis->stalled_ms);
		return;
	}
	hb_redis_conn_wake_at(conn, next_due_ms(conn));
}

/* --- the end -------------------------------------------------------------- */

/* What never left us was not written; of the rest nobody knows. */
void
hb_redis_flow_abort(struct hb_redis_conn *conn, const char *why)
{
	for (uint64_t i = conn->settled; i < conn->issued; i++) {
		struct hb_redis_cmd *cmd = cmd_at(conn, i);

		if (cmd->delivery != NULL)
			report_failed(conn, cmd,
			    cmd->at >= conn->out.sent ? HB_REPORT_RETRY
						      : HB_REPORT_UNKNOWN,
			    NULL, why);
	}
	conn->settled = conn->answered = conn->expired = conn->issued = 0;
	conn->adds = 0;
	conn->wants_wait = conn->is_blocked = false;
	conn->unparsed = 0;
	hb_redis_out_wipe(&conn->out);
}

void
hb_redis_flow_fini(struct hb_redis_conn *conn)
{
	hb_redis_out_fini(&conn->out);
	free(conn->cmds);
	conn->cmds = NULL;
	conn->cmd_size = 0;
}
