/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - the way from a signal to where nothing is under way
 *
 *   RUNNING ──signal──► SERVING  the workers stop accepting, then the listeners
 *                          │     close; requests that have begun are served,
 *                          │     then their connections close
 *       nothing in flight, │
 *       or drain_timeout   ▼
 *                       FLUSHING the replay sends nothing more; sinks report
 *                          │     all they still have; what they did not deliver
 *                          │     is kept on disk, or else answered 503;
 *                          │     connections that are left are closed
 *                          ▼
 *                       stopped
 *
 * A disk that does not answer cannot be waited for: then the process ends in
 * FLUSHING, as it would by a power cut. What was answered is safe by then.
 *
 * Invariant: when the loops stop there is no connection, no exchange, no
 * tracker, no replayed delivery and no job, hence nothing in a mailbox that
 * refers to one. */
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/admin.h"
#include "hookbridge/clock.h"
#include "hookbridge/intake.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/replay.h"
#include "hookbridge/sink.h"
#include "hookbridge/tracker.h"
#include "parts.h"

/* How often a drain looks whether it is done. */
#define DRAIN_POLL_MS 10
/* After drain_timeout the sinks get this long to give back what they have. */
#define FLUSH_MS 2000
/* What then only has to be handed over, or synced, takes no time worth
 * speaking of, unless the disk hangs. */
#define HAND_OVER_MS 20000

/* --- serving -------------------------------------------------------------- */

static size_t
connections(const struct hb_daemon *daemon)
{
	size_t count = 0;

	for (size_t i = 0; i < daemon->worker_count; i++)
		count += hb_intake_worker_connections(
		    daemon->workers[i].intake);
	return count;
}

/* Back on the main loop: no worker accepts any more. Who connects now is told
 * so at once, instead of waiting for a daemon that ends. */
static void
on_unlisten(struct hb_task *task)
{
	struct hb_daemon *daemon =
	    hb_container_of(task, struct hb_daemon, unlisten);

	for (size_t i = 0; i < daemon->listener_count; i++)
		hb_listener_close(&daemon->listeners[i]);
}

static void
on_drain(struct hb_task *task)
{
	struct hb_daemon_worker *worker =
	    hb_container_of(task, struct hb_daemon_worker, drain);
	struct hb_daemon *daemon = worker->daemon;

	hb_intake_worker_drain(worker->intake);
	if (atomic_fetch_sub(&daemon->accepting, 1) == 1)
		hb_loop_post(daemon->main, &daemon->unlisten);
}

static void
on_drain_poll(struct hb_timer *timer)
{
	struct hb_daemon *daemon =
	    hb_container_of(timer, struct hb_daemon, drain_poll);
	bool idle = daemon->accepting == 0 && connections(daemon) == 0 &&
	    hb_deliver_in_flight(daemon->deliver) == 0;

	if (idle || hb_clock_mono_ms() >= daemon->drain_due_ms)
		hb_loop_stop(daemon->main);
	else
		hb_timer_set(timer, DRAIN_POLL_MS);
}

void
hb_daemon_drain_init(struct hb_daemon *daemon)
{
	daemon->unlisten.run = on_unlisten;
	hb_timer_init(&daemon->drain_poll, daemon->main, on_drain_poll);
}

void
hb_daemon_drain(struct hb_daemon *daemon, const char *signal_name)
{
	daemon->draining = true;
	hb_log(HB_LOG_INFO, "daemon.drain", HB_F_STR("signal", signal_name),
	    HB_F_U64("in_flight", hb_deliver_in_flight(daemon->deliver)),
	    HB_F_U64("connections", connections(daemon)));
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct hb_daemon_worker *worker = &daemon->workers[i];

		worker->drain.run = on_drain;
		hb_loop_post(worker->loop, &worker->drain);
	}
	daemon->drain_due_ms =
	    hb_clock_mono_ms() + daemon->cfg->delivery.drain_timeout_ms;
	hb_timer_set(&daemon->drain_poll, DRAIN_POLL_MS);
}

/* --- flushing ------------------------------------------------------------- */

static size_t
events_in_flight(const struct hb_daemon *daemon)
{
	return hb_deliver_in_flight(daemon->deliver);
}

static size_t
replayed_in_flight(const struct hb_daemon *daemon)
{
	return daemon->replay != NULL ? hb_replay_in_flight(daemon->replay) : 0;
}

static size_t
workers_serving(const struct hb_daemon *daemon)
{
	return daemon->serving;
}

static size_t
admin_is_open(const struct hb_daemon *daemon)
{
	return daemon->admin_is_open;
}

static size_t
jobs_in_flight(const struct hb_daemon *daemon)
{
	return hb_admin_in_flight(daemon->admin);
}

static _Noreturn void
give_up(size_t left, const char *what)
{
	hb_log(HB_LOG_ERROR, "daemon.stop",
	    HB_F_STR("outcome", "given up: the disk does not answer"),
	    HB_F_U64("left", left), HB_F_STR("what", what));
	_exit(EXIT_FAILURE);
}

/* Waits until the loops have taken what is in their mailboxes, and the disk has
 * what it was given. */
static void
await_none(const struct hb_daemon *daemon,
    size_t (*left)(const struct hb_daemon *daemon), const char *what)
{
	for (int i = 0; i < HAND_OVER_MS / DRAIN_POLL_MS; i++) {
		if (left(daemon) == 0)
			return;
		usleep(DRAIN_POLL_MS * 1000);
	}
	give_up(left(daemon), what);
}

static void
on_close(struct hb_task *task)
{
	struct hb_daemon_worker *worker =
	    hb_container_of(task, struct hb_daemon_worker, close);

	hb_intake_worker_close(worker->intake);
	atomic_fetch_sub(&worker->daemon->serving, 1);
}

static void
close_connections(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct hb_daemon_worker *worker = &daemon->workers[i];

		worker->close.run = on_close;
		hb_loop_post(worker->loop, &worker->close);
	}
	await_none(daemon, workers_serving, "workers with connections");
}

static void
on_admin_close(struct hb_task *task)
{
	struct hb_daemon *daemon =
	    hb_container_of(task, struct hb_daemon, admin_close);

	hb_admin_close(daemon->admin);
	daemon->admin_is_open = false;
}

static void
close_admin(struct hb_daemon *daemon)
{
	daemon->admin_is_open = true;
	daemon->admin_close.run = on_admin_close;
	hb_loop_post(daemon->loops[HB_DAEMON_ADMIN].loop,
	    &daemon->admin_close);
	await_none(daemon, admin_is_open, "admin servers");
}

/* First what the sinks have comes back, so that it is answered, then what comes
 * in meanwhile. Before, operators begin nothing new any more; what their jobs
 * still begin are events, too. */
void
hb_daemon_flush(struct hb_daemon *daemon)
{
	close_admin(daemon);
	if (daemon->replay != NULL)
		hb_replay_stop(daemon->replay);
	hb_sinks_drain(daemon->sinks, FLUSH_MS);
	await_none(daemon, events_in_flight, "events in flight");
	close_connections(daemon);
	await_none(daemon, jobs_in_flight, "jobs of operators");
	await_none(daemon, events_in_flight, "events in flight");
	await_none(daemon, replayed_in_flight, "deliveries being replayed");
}
