/* SPDX-License-Identifier: Apache-2.0 */
/* redis_ring.c - commands under way, and what is reported of them
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
 * goes through the commands as their time passes: a delivery's owner is told
 * that it is overdue, once, and its report comes all the same, with the reply
 * or the end of the connection.
 *
 * Invariants: (1) a delivery whose command was put out is in the ring until its
 * report; (2) commands in the ring were started in order, hence are due in
 * order; (3) nothing that is to be written refers to a delivery that was
 * reported: a reply to half of a command ends the connection. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "redis.h"

/* --- the ring ------------------------------------------------------------- */

static void
grow(struct hb_redis_conn *conn)
{
	size_t size = conn->cmd_size > 0 ? 2 * conn->cmd_size : 64;
	struct hb_redis_cmd *cmds = hb_xcalloc(size, sizeof(*cmds));

	for (uint64_t i = conn->settled; i < conn->issued; i++)
		cmds[i & (size - 1)] = *hb_redis_cmd_at(conn, i);
	free(conn->cmds);
	conn->cmds = cmds;
	conn->cmd_size = size;
}

struct hb_redis_cmd *
hb_redis_ring_add(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	struct hb_redis_cmd *cmd;

	if (conn->issued - conn->settled == conn->cmd_size)
		grow(conn);
	cmd = hb_redis_cmd_at(conn, conn->issued++);
	*cmd = (struct hb_redis_cmd){
	    .kind = kind,
	    .scope = &conn->redis->server,
	    .at = conn->out.end,
	    .started_ms = hb_clock_mono_ms(),
	};
	return cmd;
}

void
hb_redis_ring_release(struct hb_redis_conn *conn)
{
	for (; conn->settled < conn->answered; conn->settled++) {
		const struct hb_redis_cmd *cmd =
		    hb_redis_cmd_at(conn, conn->settled);

		if (cmd->delivery != NULL)
			break;
		conn->adds -= hb_redis_is_add(cmd->kind);
	}
	if (conn->expired < conn->settled)
		conn->expired = conn->settled;
}

uint64_t
hb_redis_ring_bytes(const struct hb_redis_conn *conn)
{
	return conn->answered < conn->issued
		   ? conn->out.end - hb_redis_cmd_at(conn, conn->answered)->at
		   : 0;
}

bool
hb_redis_ring_is_written(const struct hb_redis_conn *conn, uint64_t number)
{
	uint64_t end = number + 1 < conn->issued
			   ? hb_redis_cmd_at(conn, number + 1)->at
			   : conn->out.end;

	return end <= conn->out.sent;
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

void
hb_redis_report_unsent(struct hb_redis_conn *conn,
    struct hb_delivery *delivery, const char *text)
{
	struct hb_error why;

	hb_fail(&why, HB_E_RETRY, "redis stream %s: %s",
	    delivery->msg.dest->name, text);
	conn->unreported--;
	hb_delivery_report(delivery, HB_REPORT_RETRY, &why);
}

void
hb_redis_report_confirmed(
    struct hb_redis_conn *conn, struct hb_redis_cmd *cmd)
{
	hb_redis_note_confirmed(conn, cmd->scope);
	report(conn, cmd, HB_REPORT_CONFIRMED, NULL);
}

void
hb_redis_report_failed(struct hb_redis_conn *conn, struct hb_redis_cmd *cmd,
    enum hb_report what, const char *reason, const char *text)
{
	struct hb_error why;

	hb_fail_reason(&why, what == HB_REPORT_REFUSED ? HB_E_DEAD : HB_E_RETRY,
	    reason, "redis stream %s: %s", cmd->scope->dest->name, text);
	report(conn, cmd, what, &why);
}

/* Counts it; a script that is sent in full may be overdue again. */
static void
note_overdue(struct hb_redis_conn *conn, struct hb_delivery *delivery)
{
	hb_sink_count_error(&conn->redis->sink, "timeout");
	if (hb_redis_is_overdue(delivery))
		return;
	delivery->word[1] = true;
	if (delivery->on_overdue != NULL)
		delivery->on_overdue(delivery);
}

void
hb_redis_ring_expire(struct hb_redis_conn *conn, uint64_t now_ms)
{
	uint64_t timeout_ms = conn->redis->conf->timeout_ms;

	while (conn->expired < conn->issued) {
		const struct hb_redis_cmd *cmd =
		    hb_redis_cmd_at(conn, conn->expired);

		if (cmd->started_ms + timeout_ms > now_ms)
			return;
		conn->expired++;
		if (cmd->delivery != NULL)
			note_overdue(conn, cmd->delivery);
	}
}

/* What never left us was not written; of the rest nobody knows. */
void
hb_redis_ring_abort(struct hb_redis_conn *conn, const char *why)
{
	for (uint64_t i = conn->settled; i < conn->issued; i++) {
		struct hb_redis_cmd *cmd = hb_redis_cmd_at(conn, i);

		if (cmd->delivery != NULL)
			hb_redis_report_failed(conn, cmd,
			    cmd->at >= conn->out.sent ? HB_REPORT_RETRY
						      : HB_REPORT_UNKNOWN,
			    NULL, why);
	}
	conn->settled = conn->answered = conn->expired = conn->issued = 0;
	conn->adds = 0;
}

void
hb_redis_ring_fini(struct hb_redis_conn *conn)
{
	free(conn->cmds);
	conn->cmds = NULL;
	conn->cmd_size = 0;
}
