/* SPDX-License-Identifier: Apache-2.0 */
/* redis_settle.c - what a reply settles, and what else it tells
 *
 *   XADD, scripts   the delivery: confirmed by its entry's id, unless a WAIT
 *                   has to follow; an error means that nothing was added
 *   WAIT            everything added before it: confirmed, if enough replicas
 *                   have it
 *   DEL             nothing, or that an event is not forgotten
 *   PING            that the server is there and listens
 *   the rest        belongs to the login (redis_conn.c)
 *
 * An error may speak of more than its own command: redis_reply.c says of what,
 * here it has its consequences. */
#include "hookbridge/log.h"
#include "redis.h"

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

/* --- commands ------------------------------------------------------------- */

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
			hb_redis_flow_add(conn, delivery, HB_REDIS_EVAL);
		return;
	}
	if (delivery != NULL)
		hb_redis_report_failed(conn, cmd,
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
		hb_redis_report_confirmed(conn, cmd);
}

/* Settles everything added before this WAIT, whose number is given. */
static void
settle_waiting(struct hb_redis_conn *conn, uint64_t wait, const char *failure)
{
	for (uint64_t i = conn->settled; i < wait; i++) {
		struct hb_redis_cmd *cmd = hb_redis_cmd_at(conn, i);

		if (cmd->delivery == NULL)
			continue;
		if (failure == NULL)
			hb_redis_report_confirmed(conn, cmd);
		else
			hb_redis_report_failed(
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

/* It speaks of a right that adding does without: no consequences. */
static void
on_del(struct hb_redis_conn *conn)
{
	char text[HB_REDIS_TEXT_MAX + 1];

	if (conn->reply.type == REDIS_REPLY_ERROR) {
		rule_of_reply(conn, text, sizeof(text));
		hb_log_limited(HB_LOG_WARNING, "sink.forget",
		    HB_F_STR("sink", conn->redis->sink.conf->name),
		    HB_F_STR("reason", text));
	} else if (conn->reply.type != REDIS_REPLY_INTEGER) {
		on_unexpected(conn, "DEL");
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
	} else if (!hb_redis_is_pong(conn)) {
		on_unexpected(conn, "PING");
	}
}

static void
dispatch(struct hb_redis_conn *conn, uint64_t number)
{
	struct hb_redis_cmd *cmd = hb_redis_cmd_at(conn, number);

	if (hb_redis_is_add(cmd->kind))
		on_add(conn, cmd);
	else if (cmd->kind == HB_REDIS_WAIT)
		on_wait(conn, number);
	else if (cmd->kind == HB_REDIS_DEL)
		on_del(conn);
	else if (cmd->kind == HB_REDIS_PING && conn->state == HB_REDIS_READY)
		on_ping(conn);
	else
		hb_redis_on_login(conn, cmd->kind);
}

/* What is still being written can only have been refused, by a server that
 * reads no further. */
void
hb_redis_settle(struct hb_redis_conn *conn)
{
	bool written;

	if (conn->answered == conn->issued) {
		hb_redis_lose(conn, "protocol", "a reply to nothing");
		return;
	}
	written = hb_redis_ring_is_written(conn, conn->answered);
	if (written || conn->reply.type == REDIS_REPLY_ERROR)
		dispatch(conn, conn->answered++);
	if (conn->stream == NULL)
		return;
	if (written)
		hb_redis_ring_release(conn);
	else
		hb_redis_lose(conn, "protocol", "a reply to half of a command");
}
