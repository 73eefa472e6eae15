/* SPDX-License-Identifier: Apache-2.0 */
/* redis.h - the Redis sink's parts, one file each
 *
 *   redis.c          the sink: open, send, drain, close
 *   redis_conf.c     settings, and the url taken apart
 *   redis_conn.c     a worker's connection: dial, log in, lose, dial again
 *   redis_flow.c     on a connection: commands out, replies in, deadlines
 *   redis_queue.c    deliveries that wait for room on it
 *   redis_forget.c   takes an event out of the idempotent script's memory
 *   redis_ring.c     commands under way, and what is reported of them
 *   redis_settle.c   what a reply settles, and what else it tells
 *   redis_command.c  a message as XADD or as the idempotent script
 *   redis_out.c      RESP that waits to be written
 *   redis_reply.c    RESP that was read, and what errors mean
 *   redis_health.c   what is down, for how long
 *
 * Threads: every connection belongs to one worker's loop and is touched there
 * only. They share struct hb_redis: what changes of it is under its lock, or in
 * a scope, which is atomic or its guard's. */
#ifndef HB_SINK_REDIS_H
#define HB_SINK_REDIS_H

#include <hiredis/hiredis.h>
#include <pthread.h>

#include "hookbridge/sink.h"
#include "hookbridge/stream.h"

struct iovec;
struct hb_redis_conn;

/* --- redis_conf.c --------------------------------------------------------- */

struct hb_redis_wait {
	uint64_t replicas; /* 0: no WAIT */
	uint64_t timeout_ms;
};

/* The settings of one Redis sink, filled by hb_redis_keys. */
struct hb_redis_conf {
	const char *url;
	struct hb_secret *password; /* NULL: no AUTH */
	uint64_t timeout_ms;
	uint64_t pipeline;
	struct hb_redis_wait wait;
};

/* Those of a target, filled by hb_redis_target_keys. */
struct hb_redis_target {
	uint64_t maxlen;	/* 0: nothing is trimmed */
	uint64_t idempotent_ms; /* 0: plain XADD */
};

struct hb_redis_url {
	char user[128]; /* "" for the default user */
	char host[256]; /* or the socket's path, with port 0 */
	char text[264]; /* host:port or the path: for people */
	unsigned port, db;
};

extern const struct hb_key hb_redis_keys[], hb_redis_target_keys[];
bool hb_redis_url_parse(const char *text, struct hb_redis_url *url,
    struct hb_error *err) HB_MUST_CHECK;
/* hb_sink_type.check() and .valid_name() */
void hb_redis_conf_check(const struct hb_sink_conf *sink,
    void (*complain)(void *arg, const char *key, const char *fmt, ...)
	HB_PRINTF(3, 4),
    void *arg);
bool hb_redis_valid_name(struct hb_span name);

/* --- redis_out.c ---------------------------------------------------------- */

/* A piece of the output that is not copied. */
struct hb_redis_ref {
	uint64_t at; /* where it begins, in bytes ever put out */
	const char *ptr;
	size_t len;
};

struct hb_redis_out {
	char *text;
	size_t head, tail, size; /* text[head .. tail) is unsent */
	struct hb_redis_ref *refs;
	size_t ref_head, ref_tail, ref_size;
	uint64_t end, sent; /* bytes ever put out, and ever written */
};

void hb_redis_out_fini(struct hb_redis_out *out);
/* Forgets everything, and leaves nothing of it in memory. */
void hb_redis_out_wipe(struct hb_redis_out *out);
/* Makes room for so many bytes of text. */
void hb_redis_out_reserve(struct hb_redis_out *out, size_t len);
/* "*3", then three arguments by the functions below. */
void hb_redis_out_array(struct hb_redis_out *out, size_t count);
void hb_redis_out_bulk(struct hb_redis_out *out, struct hb_span arg);
void hb_redis_out_number(struct hb_redis_out *out, uint64_t number);
/* The same by reference when it is large: it stays where it is until it is
 * written or the output wiped. */
void hb_redis_out_large(struct hb_redis_out *out, struct hb_span arg);
/* What to write next, and that so much of it was. */
int hb_redis_out_iov(
    const struct hb_redis_out *out, struct iovec *iov, int max);
void hb_redis_out_advance(struct hb_redis_out *out, size_t len);

/* --- redis_reply.c -------------------------------------------------------- */

#define HB_REDIS_TEXT_MAX 255

/* A reply, as far as we look at any. */
struct hb_redis_reply {
	int type;      /* REDIS_REPLY_..., 0: something else */
	long long num; /* an integer; an array's number of elements */
	size_t len;    /* in full; text may be cut */
	/* A string, status or error; the first element of an array. */
	char text[HB_REDIS_TEXT_MAX + 1];
};

/* Fills *reply before redisReaderGetReply() gives something else than NULL. */
redisReader *hb_redis_reader_new(struct hb_redis_reply *reply);
void hb_redis_reply_reset(struct hb_redis_reply *reply);
/* The text, if it is all there. */
bool hb_redis_reply_is(const struct hb_redis_reply *reply, const char *text);
/* digits-digits: what XADD answers when it has added. */
bool hb_redis_reply_is_entry(const struct hb_redis_reply *reply);

/* What an error is to blame on. */
enum hb_redis_blame {
	HB_REDIS_NOBODY,     /* a passing trouble of this command */
	HB_REDIS_MESSAGE,    /* it never will be taken */
	HB_REDIS_DEST,	     /* nothing can be added to this stream */
	HB_REDIS_SERVER,     /* it takes nothing for now */
	HB_REDIS_CONNECTION, /* it is of no use: dial again */
	HB_REDIS_SCRIPT	     /* unknown there: send it in full */
};

struct hb_redis_rule {
	const char *prefix; /* of the error: whole words */
	enum hb_redis_blame blame;
	const char *class;  /* of sink_errors_total */
	const char *reason; /* of a dead letter */
	const char *saying; /* instead of the server's words */
};

const struct hb_redis_rule *hb_redis_rule_of(struct hb_span error);
/* The server's words or ours, safe to log. */
void hb_redis_error_text(const struct hb_redis_rule *rule, struct hb_span error,
    char *out, size_t size);

/* --- redis_command.c ------------------------------------------------------ */

enum hb_redis_kind {
	HB_REDIS_XADD,
	HB_REDIS_EVALSHA,
	HB_REDIS_EVAL,
	HB_REDIS_WAIT,
	HB_REDIS_DEL,
	HB_REDIS_PING,
	HB_REDIS_AUTH,
	HB_REDIS_SELECT,
	HB_REDIS_SETNAME,
	HB_REDIS_ROLE
};

/* How a message is to be added: XADD or EVALSHA. */
enum hb_redis_kind hb_redis_kind_for(const struct hb_message *msg);
/* Bytes of the command, nearly. */
size_t hb_redis_message_size(const struct hb_message *msg);
/* One of the first three kinds. */
void hb_redis_put_message(struct hb_redis_out *out, enum hb_redis_kind kind,
    const struct hb_message *msg);
/* "hb:dedup:{TAG}:" and 64 hex digits. */
#define HB_REDIS_DEDUP_KEY_MAX (sizeof("hb:dedup:{}:") + 256 + 64)
size_t hb_redis_dedup_key(const struct hb_dest_conf *dest,
    struct hb_span endpoint, struct hb_span id,
    char out[HB_REDIS_DEDUP_KEY_MAX]);
extern const char hb_redis_script[], hb_redis_script_sha1[];

/* --- redis_health.c ------------------------------------------------------- */

/* One destination, or (dest NULL) the server with all of them. */
struct hb_redis_scope {
	const struct hb_dest_conf *dest;
	bool remembers; /* what was added: some target is idempotent */
	_Atomic bool is_down;	   /* the connection that found out guards it */
	_Atomic unsigned setbacks; /* since something was confirmed */
	/* The guard's. */
	uint64_t due_ms;
	struct hb_redis_scope *next;
};

void hb_redis_health_init(struct hb_redis_conn *conn);
void hb_redis_health_fini(struct hb_redis_conn *conn);
/* A connection takes commands; it does so no more, or could not be made. */
void hb_redis_note_ready(struct hb_redis_conn *conn);
void hb_redis_note_lost(struct hb_redis_conn *conn, const char *why);
/* Puts a scope down for a while; on the connection's loop. */
void hb_redis_suspend(
    struct hb_redis_conn *conn, struct hb_redis_scope *scope, const char *why);
/* Something was added there: its setbacks are over. */
void hb_redis_note_confirmed(
    struct hb_redis_conn *conn, struct hb_redis_scope *scope);

/* --- the sink and its connections ----------------------------------------- */

/* A command under way. */
struct hb_redis_cmd {
	enum hb_redis_kind kind;
	struct hb_delivery *delivery; /* NULL: nobody waits for a report */
	struct hb_redis_scope *scope; /* the destination's, or the server's */
	uint64_t at;		      /* where it begins in the output */
	uint64_t started_ms;
};

enum hb_redis_state {
	HB_REDIS_WAITING, /* to dial */
	HB_REDIS_DIALLING,
	HB_REDIS_LOGIN,
	HB_REDIS_READY,
	HB_REDIS_SHUT /* drained or closed, for good */
};

struct hb_redis_conn {
	struct hb_redis *redis; /* NULL once that is closed */
	struct hb_loop *loop;
	enum hb_redis_state state;
	struct hb_stream *stream;
	struct hb_timer timer; /* of the state: to dial, login's, deadlines */
	uint64_t timer_due_ms; /* UINT64_MAX: not set */
	unsigned failures;     /* in a row */
	uint64_t ready_ms;     /* since when it was READY */
	bool was_ready;	       /* ever */

	/* Commands by number, all of them below `issued`; see redis_ring.c. */
	struct hb_redis_cmd *cmds;
	size_t cmd_size; /* a power of two */
	uint64_t settled, answered, expired, issued;
	size_t adds;	   /* from settled on: XADD and scripts */
	size_t unreported; /* deliveries, those that wait for room too */
	bool wants_wait;   /* adds since the last WAIT */
	/* The list of those; see redis_queue.c. */
	struct hb_delivery *first_waiting, *last_waiting;

	struct hb_redis_out out;
	bool is_blocked; /* the socket takes no more: wait for writable */
	redisReader *reader;
	struct hb_redis_reply reply;
	size_t unparsed; /* bytes since the last reply */
	uint64_t heard_ms;
	char nonce[17]; /* of the PING under way */

	struct hb_redis_scope *suspended; /* guarded by this connection */
	struct hb_timer trial;

	bool draining;
	struct hb_task start, flush, drain, abandon, gone;
};

struct hb_redis {
	struct hb_sink sink; /* first: a struct hb_sink * is one of these */
	const struct hb_redis_conf *conf;
	struct hb_redis_url url;
	/* A PING after so long without a word, the end after so long without
	 * the reply that is due; tests are less patient. */
	uint64_t idle_ms, stalled_ms;
	struct hb_redis_conn **conns; /* one for each worker's loop */
	size_t conn_count;
	struct hb_redis_scope *scopes; /* by hb_dest_conf.index */
	struct hb_redis_scope server;

	pthread_mutex_t lock; /* what follows */
	size_t ready_count;
	char lost_why[160]; /* the last time */
	bool is_suspended;  /* the server is */
	char server_why[160];
	size_t undrained;
	pthread_cond_t drained; /* undrained has become 0 */
};

/* --- redis_conn.c --------------------------------------------------------- */

/* Dials once the loop runs. Its memory is the loop's. */
struct hb_redis_conn *hb_redis_conn_new(
    struct hb_redis *redis, struct hb_loop *loop);
/* The loop has stopped or never ran. */
void hb_redis_conn_close(struct hb_redis_conn *conn);
/* Gives the connection up and reports what is outstanding. class: of
 * sink_errors_total. */
void hb_redis_lose(struct hb_redis_conn *conn, const char *class,
    const char *fmt, ...) HB_PRINTF(3, 4);
/* Sees to it that the timer fires at due_ms or before. */
void hb_redis_conn_wake_at(struct hb_redis_conn *conn, uint64_t due_ms);
/* The answer to one of the login's commands. */
void hb_redis_on_login(struct hb_redis_conn *conn, enum hb_redis_kind kind);

/* --- redis_ring.c --------------------------------------------------------- */

static inline struct hb_redis_cmd *
hb_redis_cmd_at(const struct hb_redis_conn *conn, uint64_t number)
{
	return &conn->cmds[number & (conn->cmd_size - 1)];
}

static inline bool
hb_redis_is_add(enum hb_redis_kind kind)
{
	return kind == HB_REDIS_XADD || kind == HB_REDIS_EVALSHA ||
	       kind == HB_REDIS_EVAL;
}

/* Its owner was told. */
static inline bool
hb_redis_is_overdue(const struct hb_delivery *delivery)
{
	return delivery->word[1] != 0;
}

/* Notes a command whose bytes the caller then puts out. */
struct hb_redis_cmd *hb_redis_ring_add(
    struct hb_redis_conn *conn, enum hb_redis_kind kind);
/* Lets go of what is answered and owes no report. */
void hb_redis_ring_release(struct hb_redis_conn *conn);
/* Bytes put out and not yet answered. */
uint64_t hb_redis_ring_bytes(const struct hb_redis_conn *conn);
/* Whether the command has been written to its end. */
bool hb_redis_ring_is_written(
    const struct hb_redis_conn *conn, uint64_t number);
/* Both take the delivery from a command that has one. */
void hb_redis_report_confirmed(
    struct hb_redis_conn *conn, struct hb_redis_cmd *cmd);
void hb_redis_report_failed(struct hb_redis_conn *conn,
    struct hb_redis_cmd *cmd, enum hb_report what, const char *reason,
    const char *text);
/* Of a delivery that no command was made for. */
void hb_redis_report_unsent(struct hb_redis_conn *conn,
    struct hb_delivery *delivery, const char *text);
/* Tells the owners of those whose time is over. */
void hb_redis_ring_expire(struct hb_redis_conn *conn, uint64_t now_ms);
/* Reports everything outstanding, and begins anew. */
void hb_redis_ring_abort(struct hb_redis_conn *conn, const char *why);
void hb_redis_ring_fini(struct hb_redis_conn *conn);

/* --- redis_queue.c -------------------------------------------------------- */

/* Puts the delivery's command out, now or when there is room for it. */
void hb_redis_queue_add(
    struct hb_redis_conn *conn, struct hb_delivery *delivery);
/* Puts out what there is room for. */
void hb_redis_queue_move(struct hb_redis_conn *conn);
/* When the first will have waited for too long, or UINT64_MAX. */
uint64_t hb_redis_queue_due_ms(const struct hb_redis_conn *conn);
/* Reports those that have waited for too long. */
void hb_redis_queue_expire(struct hb_redis_conn *conn, uint64_t now_ms);
/* Reports all of them. */
void hb_redis_queue_abort(struct hb_redis_conn *conn, const char *why);

/* --- redis_forget.c ------------------------------------------------------- */

/* Notes which streams have the script's memory, by the routes. */
void hb_redis_note_memories(struct hb_redis *redis);
/* hb_sink_ops.forget() */
void hb_redis_forget(
    struct hb_sink *sink, struct hb_span endpoint, struct hb_span id);

/* --- redis_settle.c ------------------------------------------------------- */

/* Takes conn->reply for the oldest command that has none. */
void hb_redis_settle(struct hb_redis_conn *conn);

/* --- redis_flow.c --------------------------------------------------------- */

/* Whether it would take a delivery now. */
bool hb_redis_flow_ready(const struct hb_redis_conn *conn);
/* Takes a delivery, or reports at once that it cannot. */
void hb_redis_flow_send(
    struct hb_redis_conn *conn, struct hb_delivery *delivery);
/* Puts a delivery's command out. */
void hb_redis_flow_add(struct hb_redis_conn *conn,
    struct hb_delivery *delivery, enum hb_redis_kind kind);
/* The same as hb_redis_ring_add(); it is written at the end of this turn. */
struct hb_redis_cmd *hb_redis_issue(
    struct hb_redis_conn *conn, enum hb_redis_kind kind);
/* Asks for what only a server that listens can repeat. */
void hb_redis_ping(struct hb_redis_conn *conn);
/* Whether conn->reply is what the PING under way asked for. */
bool hb_redis_is_pong(const struct hb_redis_conn *conn);
void hb_redis_flow_write(struct hb_redis_conn *conn);
void hb_redis_flow_read(struct hb_redis_conn *conn);
/* Deadlines of a READY connection. */
void hb_redis_flow_tick(struct hb_redis_conn *conn);
/* Reports everything outstanding: the connection is gone. */
void hb_redis_flow_abort(struct hb_redis_conn *conn, const char *why);
void hb_redis_flow_fini(struct hb_redis_conn *conn);

#endif
