/* SPDX-License-Identifier: Apache-2.0 */
/* redis_conn.c - a worker's connection: dial, log in, lose, dial again
 *
 *   WAITING ──on_timer──► DIALLING ──on_connect──► LOGIN ──last answer──► READY
 *      ▲                     │                       │                      │
 *      └─────── lose ◄───────┴───────────────────────┴──────────────────────┘
 *                 └─ while draining, as soon as all is reported ─► SHUT
 *
 * The login is put out at once: AUTH and SELECT where configured, ROLE, CLIENT
 * SETNAME, PING. Its first bad answer ends the connection. ROLE keeps us
 * from replicas, which take a connection but no writes; PING tells a server
 * that does not serve yet (LOADING, MISCONF) and one that does not listen.
 *
 * A connection's memory is its loop's: tasks that are posted or deferred when
 * the sink is closed still run when the loop is freed, and find redis NULL. */
#include <stdarg.h>
#include <stdlib.h>

#include "hookbridge/backoff.h"
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "redis.h"

#define REDIAL_MIN_MS 50
#define REDIAL_MAX_MS 2000
/* A password is never moved about by a growing buffer. */
#define LOGIN_SIZE ((size_t)16 * 1024)

/* --- the timer ------------------------------------------------------------ */

void
hb_redis_conn_wake_at(struct hb_redis_conn *conn, uint64_t due_ms)
{
	uint64_t now_ms;

	if (due_ms >= conn->timer_due_ms)
		return;
	now_ms = hb_clock_mono_ms();
	conn->timer_due_ms = due_ms;
	hb_timer_set(&conn->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void
enter(struct hb_redis_conn *conn, enum hb_redis_state state)
{
	conn->state = state;
	hb_timer_cancel(&conn->timer);
	conn->timer_due_ms = UINT64_MAX;
}

static void
wake_after(struct hb_redis_conn *conn, uint64_t delay_ms)
{
	hb_redis_conn_wake_at(conn, hb_clock_mono_ms() + delay_ms);
}

/* --- losing and shutting -------------------------------------------------- */

static void
hang_up(struct hb_redis_conn *conn)
{
	hb_stream_close(conn->stream);
	conn->stream = NULL;
	if (conn->reader != NULL)
		redisReaderFree(conn->reader);
	conn->reader = NULL;
}

/* Draining: shuts the connection when nothing is left to report. */
static void
rest(struct hb_redis_conn *conn)
{
	struct hb_redis *redis = conn->redis;

	if (!conn->draining || conn->unreported > 0 ||
	    conn->state == HB_REDIS_SHUT)
		return;
	hang_up(conn);
	hb_redis_flow_abort(conn, "shutting down");
	enter(conn, HB_REDIS_SHUT);
	hb_timer_cancel(&conn->trial);
	pthread_mutex_lock(&redis->lock);
	if (--redis->undrained == 0)
		pthread_cond_signal(&redis->drained);
	pthread_mutex_unlock(&redis->lock);
}

/* Also the end of an attempt that failed. One that served for a while was
 * good, and its successor comes soon. */
void
hb_redis_lose(
    struct hb_redis_conn *conn, const char *class, const char *fmt, ...)
{
	char text[HB_REDIS_TEXT_MAX + 1], why[sizeof(text) + 300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* Who dials says itself what it has dialled. */
	if (conn->state == HB_REDIS_DIALLING)
		snprintf(why, sizeof(why), "%s", text);
	else
		snprintf(
		    why, sizeof(why), "%s: %s", conn->redis->url.text, text);
	hang_up(conn);
	hb_redis_flow_abort(conn, text);
	hb_sink_count_error(&conn->redis->sink, class);
	hb_redis_note_lost(conn, why);
	if (conn->state == HB_REDIS_READY &&
	    hb_clock_mono_ms() - conn->ready_ms >= REDIAL_MAX_MS)
		conn->failures = 0;
	enter(conn, HB_REDIS_WAITING);
	wake_after(conn,
	    hb_backoff_ms(REDIAL_MIN_MS, REDIAL_MAX_MS, conn->failures++));
}

/* --- logging in ----------------------------------------------------------- */

static void
put_command(struct hb_redis_conn *conn, enum hb_redis_kind kind,
    const struct hb_span *args, size_t count)
{
	hb_redis_issue(conn, kind);
	hb_redis_out_array(&conn->out, count);
	for (size_t i = 0; i < count; i++)
		hb_redis_out_bulk(&conn->out, args[i]);
}

static void
put_auth(struct hb_redis_conn *conn)
{
	const struct hb_redis *redis = conn->redis;
	const struct hb_secret *password = redis->conf->password;
	struct hb_span args[3] = {HB_SPAN("AUTH")};
	size_t count = 1;

	if (password == NULL)
		return;
	if (redis->url.user[0] != '\0')
		args[count++] = hb_span_of(redis->url.user);
	args[count++] =
	    hb_span_make((const char *)password->data, password->len);
	put_command(conn, HB_REDIS_AUTH, args, count);
}

static void
put_select(struct hb_redis_conn *conn)
{
	char db[16];
	int len = snprintf(db, sizeof(db), "%u", conn->redis->url.db);

	if (conn->redis->url.db > 0)
		put_command(conn, HB_REDIS_SELECT,
		    (struct hb_span[]){
			HB_SPAN("SELECT"), hb_span_make(db, (size_t)len)},
		    2);
}

static void
log_in(struct hb_redis_conn *conn)
{
	hb_redis_out_reserve(&conn->out, LOGIN_SIZE);
	put_auth(conn);
	put_select(conn);
	put_command(
	    conn, HB_REDIS_ROLE, (struct hb_span[]){HB_SPAN("ROLE")}, 1);
	put_command(conn, HB_REDIS_SETNAME,
	    (struct hb_span[]){
		HB_SPAN("CLIENT"), HB_SPAN("SETNAME"), HB_SPAN("hookbridge")},
	    3);
	hb_redis_ping(conn);
}

/* Everything is answered, hence written: nothing waits in the output. */
static void
on_ready(struct hb_redis_conn *conn)
{
	hb_redis_out_wipe(&conn->out);
	enter(conn, HB_REDIS_READY);
	conn->ready_ms = hb_clock_mono_ms();
	if (conn->was_ready)
		hb_metric_inc(conn->redis->sink.metric_reconnects);
	conn->was_ready = true;
	hb_redis_note_ready(conn);
	hb_redis_flow_tick(conn);
}

/* The words of a server that refuses a password may repeat it: they are told
 * only if they are in the table. */
static void
on_login_error(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	static const char *const commands[] = {
	    [HB_REDIS_AUTH] = "AUTH",
	    [HB_REDIS_SELECT] = "SELECT",
	    [HB_REDIS_SETNAME] = "CLIENT SETNAME",
	    [HB_REDIS_ROLE] = "ROLE",
	    [HB_REDIS_PING] = "PING",
	};
	struct hb_span error = hb_span_of(conn->reply.text);
	const struct hb_redis_rule *rule = hb_redis_rule_of(error);
	char text[HB_REDIS_TEXT_MAX + 1];

	hb_redis_error_text(rule, error, text, sizeof(text));
	if (kind == HB_REDIS_AUTH && rule->saying == NULL)
		snprintf(text, sizeof(text), "refused (%s)", rule->prefix);
	if (kind == HB_REDIS_AUTH &&
	    hb_span_starts(error, HB_SPAN("ERR AUTH <password> called")))
		snprintf(text, sizeof(text),
		    "the server has no password for the default user");
	hb_redis_lose(conn, rule->class, "%s: %s", commands[kind], text);
}

/* Only a master is logged in to. */
static void
on_role(struct hb_redis_conn *conn)
{
	const struct hb_redis_reply *reply = &conn->reply;
	bool is_role = reply->type == REDIS_REPLY_ARRAY;

	if (is_role && hb_redis_reply_is(reply, "master"))
		return;
	if (is_role && hb_redis_reply_is(reply, "slave"))
		hb_redis_lose(conn, "readonly",
		    "this is a replica, events go to the master only");
	else if (is_role && hb_redis_reply_is(reply, "sentinel"))
		hb_redis_lose(conn, "readonly",
		    "this is a sentinel, name the master instead");
	else
		hb_redis_lose(conn, "protocol", "a reply that ROLE never has");
}

/* The last answer. */
static void
on_login_ping(struct hb_redis_conn *conn)
{
	if (hb_redis_is_pong(conn))
		on_ready(conn);
	else
		hb_redis_lose(conn, "protocol", "a reply that PING never has");
}

void
hb_redis_on_login(struct hb_redis_conn *conn, enum hb_redis_kind kind)
{
	const struct hb_redis_reply *reply = &conn->reply;

	/* The name is for people who look at CLIENT LIST. */
	if (kind == HB_REDIS_SETNAME)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		on_login_error(conn, kind);
	else if (kind == HB_REDIS_ROLE)
		on_role(conn);
	else if (kind == HB_REDIS_PING)
		on_login_ping(conn);
	else if (reply->type != REDIS_REPLY_STATUS ||
		 !hb_redis_reply_is(reply, "OK"))
		hb_redis_lose(
		    conn, "protocol", "a login's reply that is not OK");
}

/* --- callbacks ------------------------------------------------------------ */

static void
on_readable(void *arg)
{
	struct hb_redis_conn *conn = arg;

	hb_redis_flow_read(conn);
	rest(conn);
}

static void
on_writable(void *arg)
{
	struct hb_redis_conn *conn = arg;

	hb_redis_flow_write(conn);
	rest(conn);
}

static void
on_connect(void *arg, const struct hb_error *err)
{
	struct hb_redis_conn *conn = arg;

	if (err != NULL) {
		hb_redis_lose(conn, "connect", "%s", err->text);
		rest(conn);
		return;
	}
	enter(conn, HB_REDIS_LOGIN);
	conn->reader = hb_redis_reader_new(&conn->reply);
	conn->heard_ms = hb_clock_mono_ms();
	hb_stream_want(conn->stream, true, false);
	log_in(conn);
	wake_after(conn, conn->redis->conf->timeout_ms);
}

static void
dial(struct hb_redis_conn *conn)
{
	static const struct hb_stream_ops ops = {
	    on_readable, on_writable, on_connect};
	const struct hb_redis *redis = conn->redis;

	enter(conn, HB_REDIS_DIALLING);
	conn->stream = hb_stream_dial(conn->loop, redis->url.host,
	    redis->url.port, (unsigned)redis->conf->timeout_ms, &ops, conn);
}

static void
on_timer(struct hb_timer *timer)
{
	struct hb_redis_conn *conn =
	    hb_container_of(timer, struct hb_redis_conn, timer);

	conn->timer_due_ms = UINT64_MAX;
	if (conn->state == HB_REDIS_WAITING)
		dial(conn);
	else if (conn->state == HB_REDIS_LOGIN)
		hb_redis_lose(conn, "timeout", "no login within %llu ms",
		    (unsigned long long)conn->redis->conf->timeout_ms);
	else if (conn->state == HB_REDIS_READY)
		hb_redis_flow_tick(conn);
	rest(conn);
}

/* --- tasks ---------------------------------------------------------------- */

static void
on_gone(struct hb_task *task)
{
	free(hb_container_of(task, struct hb_redis_conn, gone));
}

static void
on_start(struct hb_task *task)
{
	struct hb_redis_conn *conn =
	    hb_container_of(task, struct hb_redis_conn, start);

	hb_loop_at_free(conn->loop, &conn->gone);
	if (conn->redis != NULL)
		dial(conn);
}

static void
on_flush(struct hb_task *task)
{
	struct hb_redis_conn *conn =
	    hb_container_of(task, struct hb_redis_conn, flush);

	if (conn->redis == NULL)
		return;
	/* The connection it was deferred for may be gone. */
	if (conn->stream != NULL && conn->state >= HB_REDIS_LOGIN)
		hb_redis_flow_write(conn);
	rest(conn);
}

static void
on_drain(struct hb_task *task)
{
	struct hb_redis_conn *conn =
	    hb_container_of(task, struct hb_redis_conn, drain);

	conn->draining = true;
	rest(conn);
}

/* Drained for long enough. */
static void
on_abandon(struct hb_task *task)
{
	struct hb_redis_conn *conn =
	    hb_container_of(task, struct hb_redis_conn, abandon);

	hb_redis_flow_abort(conn, "shutting down");
	rest(conn);
}

/* --- making and closing --------------------------------------------------- */

struct hb_redis_conn *
hb_redis_conn_new(struct hb_redis *redis, struct hb_loop *loop)
{
	struct hb_redis_conn *conn = hb_xcalloc(1, sizeof(*conn));

	conn->redis = redis;
	conn->loop = loop;
	conn->state = HB_REDIS_WAITING;
	conn->timer_due_ms = UINT64_MAX;
	conn->start.run = on_start;
	conn->flush.run = on_flush;
	conn->drain.run = on_drain;
	conn->abandon.run = on_abandon;
	conn->gone.run = on_gone;
	hb_timer_init(&conn->timer, loop, on_timer);
	hb_redis_health_init(conn);
	hb_loop_post(loop, &conn->start);
	return conn;
}

void
hb_redis_conn_close(struct hb_redis_conn *conn)
{
	if (conn->unreported > 0)
		hb_bug("sink %s: closed with %zu deliveries outstanding",
		    conn->redis->sink.conf->name, conn->unreported);
	hang_up(conn);
	hb_redis_flow_fini(conn);
	hb_redis_health_fini(conn);
	hb_timer_fini(&conn->timer);
	conn->state = HB_REDIS_SHUT;
	conn->redis = NULL;
}
