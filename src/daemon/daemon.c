/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - what exists, in the order in which it is built
 *
 *   loops      main (signals), helper (what blocks), scanner (large bodies),
 *              one for each worker
 *   shared     budget ► gate ► dedup ► sinks ► deliver ► intake
 *   workers    one HTTP server for each worker's loop
 *   listeners  bound, so that what cannot be is found now
 *   threads    all loops run
 *   accepting  last: from here on the world can come in, and from here on
 *              starting cannot fail
 *
 * and is taken down in reverse. Draining, on SIGTERM or SIGINT:
 *
 *   RUNNING ──signal──► SERVING  the workers stop accepting, then the listeners
 *                          │     close; requests that have begun are served,
 *                          │     then their connections close
 *       nothing in flight, │
 *       or drain_timeout   ▼
 *                       FLUSHING sinks report all they still have; what they
 *                          │     did not deliver is answered 503; connections
 *                          │     that are left are closed
 *                          ▼
 *                       stopped
 *
 * Invariant: when the loops stop there is no connection, no exchange and no
 * tracker, hence nothing in a mailbox that refers to one. */
#include "hookbridge/daemon.h"

#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hookbridge/budget.h"
#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/http.h"
#include "hookbridge/intake.h"
#include "hookbridge/log.h"
#include "hookbridge/loop.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "hookbridge/sink.h"
#include "hookbridge/tracker.h"
#include "listen.h"
#include "versions.h"

/* How often a drain looks whether it is done. */
#define DRAIN_POLL_MS 10
/* After drain_timeout the sinks get this long to give back what they have. */
#define FLUSH_MS 2000
/* What then only has to be handed over takes no time worth speaking of. */
#define HAND_OVER_MS 20000

struct worker {
	struct hb_daemon *daemon;
	struct hb_loop *loop;
	struct hb_intake_worker *intake;
	bool started;
	struct hb_task accept, drain, close;
};

struct hb_daemon {
	const struct hb_config *cfg;
	struct hb_loop *main, *helper, *scanner;
	bool helper_started, scanner_started;
	struct hb_budget budget;
	struct hb_http_gate *gate;
	struct hb_dedup *dedup;
	struct hb_sinks *sinks;
	struct hb_deliver *deliver;
	struct hb_intake *intake;
	struct worker *workers;
	size_t worker_count;
	struct hb_listener *listeners;
	size_t listener_count;
	/* Workers that still accept, that still have connections. */
	_Atomic size_t accepting, serving;
	struct event *signals[3]; /* TERM, INT, HUP */
	struct hb_task unlisten;
	struct hb_timer drain_poll;
	uint64_t drain_due_ms;
	bool draining;
};

/* --- building ------------------------------------------------------------- */

/* Sockets are our capacity: take all the descriptors we may have. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static bool
make_loops(struct hb_daemon *daemon, struct hb_error *err)
{
	daemon->main = hb_loop_new("main", err);
	daemon->helper = hb_loop_new("helper", err);
	daemon->scanner = hb_loop_new("scanner", err);
	if (daemon->main == NULL || daemon->helper == NULL ||
	    daemon->scanner == NULL)
		return false;
	daemon->worker_count = daemon->cfg->workers;
	daemon->workers =
	    hb_xcalloc(daemon->worker_count, sizeof(*daemon->workers));
	for (size_t i = 0; i < daemon->worker_count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "worker-%zu", i);
		daemon->workers[i].daemon = daemon;
		daemon->workers[i].loop = hb_loop_new(name, err);
		if (daemon->workers[i].loop == NULL)
			return false;
	}
	return true;
}

static bool
open_sinks(struct hb_daemon *daemon, struct hb_error *err)
{
	struct hb_loop **loops =
	    hb_xcalloc(daemon->worker_count, sizeof(struct hb_loop *));
	struct hb_sink_env env = { .cfg = daemon->cfg,
		.loops = loops,
		.loop_count = daemon->worker_count,
		.helper = daemon->helper };

	for (size_t i = 0; i < daemon->worker_count; i++)
		loops[i] = daemon->workers[i].loop;
	daemon->sinks = hb_sinks_open(&env, err);
	free(loops);
	return daemon->sinks != NULL;
}

static bool
make_shared(struct hb_daemon *daemon, struct hb_error *err)
{
	const struct hb_config *cfg = daemon->cfg;

	hb_budget_init(&daemon->budget, cfg->memory);
	daemon->gate = hb_http_gate_new(&cfg->http, &daemon->budget);
	daemon->dedup = hb_dedup_new(cfg);
	if (!open_sinks(daemon, err))
		return false;
	daemon->deliver = hb_deliver_new(cfg, daemon->sinks, daemon->dedup,
	    &daemon->budget);
	daemon->intake = hb_intake_new(&(struct hb_intake_env){ .cfg = cfg,
	    .deliver = daemon->deliver,
	    .dedup = daemon->dedup,
	    .budget = &daemon->budget,
	    .gate = daemon->gate,
	    .scanner = daemon->scanner });
	return true;
}

static bool
open_listeners(struct hb_daemon *daemon, struct hb_error *err)
{
	const struct hb_config *cfg = daemon->cfg;

	daemon->listeners =
	    hb_xcalloc(cfg->listen_count, sizeof(*daemon->listeners));
	for (size_t i = 0; i < cfg->listen_count; i++) {
		if (!hb_listener_open(&daemon->listeners[i],
			cfg->listen[i].address, err))
			return false;
		daemon->listener_count++;
	}
	return true;
}

static bool
start_loops(struct hb_daemon *daemon, struct hb_error *err)
{
	daemon->helper_started = hb_loop_start(daemon->helper, err);
	daemon->scanner_started =
	    daemon->helper_started && hb_loop_start(daemon->scanner, err);
	if (!daemon->scanner_started)
		return false;
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct worker *worker = &daemon->workers[i];

		worker->started = hb_loop_start(worker->loop, err);
		if (!worker->started)
			return false;
	}
	return true;
}

static void
on_accept(struct hb_task *task)
{
	struct worker *worker = hb_container_of(task, struct worker, accept);
	const struct hb_daemon *daemon = worker->daemon;

	for (size_t i = 0; i < daemon->listener_count; i++)
		hb_intake_worker_listen(worker->intake,
		    daemon->listeners[i].fd, daemon->listeners[i].address);
}

/* Lets the world in. */
static void
begin_accepting(struct hb_daemon *daemon)
{
	daemon->accepting = daemon->serving = daemon->worker_count;
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct worker *worker = &daemon->workers[i];

		worker->accept.run = on_accept;
		hb_loop_post(worker->loop, &worker->accept);
	}
}

/* --- stopping ------------------------------------------------------------- */

static size_t
connections(const struct hb_daemon *daemon)
{
	size_t count = 0;

	for (size_t i = 0; i < daemon->worker_count; i++)
		count += hb_intake_worker_connections(
		    daemon->workers[i].intake);
	return count;
}

static void
close_listeners(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < daemon->listener_count; i++)
		hb_listener_close(&daemon->listeners[i]);
}

/* The loops have ended or never ran: gives everything back. */
static void
release(struct hb_daemon *daemon)
{
	close_listeners(daemon);
	for (size_t i = 0; i < daemon->worker_count; i++)
		hb_intake_worker_free(daemon->workers[i].intake);
	if (daemon->sinks != NULL)
		hb_sinks_close(daemon->sinks);
	for (size_t i = 0; i < daemon->worker_count; i++)
		hb_loop_free(daemon->workers[i].loop);
	hb_loop_free(daemon->scanner);
	hb_loop_free(daemon->helper);
	hb_intake_free(daemon->intake);
	hb_deliver_free(daemon->deliver);
	hb_dedup_free(daemon->dedup);
	if (daemon->gate != NULL)
		hb_http_gate_free(daemon->gate);
	for (size_t i = 0; i < HB_COUNT(daemon->signals); i++)
		if (daemon->signals[i] != NULL)
			event_free(daemon->signals[i]);
	hb_timer_fini(&daemon->drain_poll);
	hb_loop_free(daemon->main);
	free(daemon->listeners);
	free(daemon->workers);
}

static void
stop_loop(struct hb_loop *loop, bool started)
{
	if (!started)
		return;
	hb_loop_stop(loop);
	hb_loop_join(loop);
}

static void
stop_loops(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < daemon->worker_count; i++)
		stop_loop(daemon->workers[i].loop, daemon->workers[i].started);
	stop_loop(daemon->scanner, daemon->scanner_started);
	stop_loop(daemon->helper, daemon->helper_started);
}

/* Back on the main loop: no worker accepts any more. Who connects now is told
 * so at once, instead of waiting for a daemon that ends. */
static void
on_unlisten(struct hb_task *task)
{
	close_listeners(hb_container_of(task, struct hb_daemon, unlisten));
}

static void
on_drain(struct hb_task *task)
{
	struct worker *worker = hb_container_of(task, struct worker, drain);
	struct hb_daemon *daemon = worker->daemon;

	hb_intake_worker_drain(worker->intake);
	if (atomic_fetch_sub(&daemon->accepting, 1) == 1)
		hb_loop_post(daemon->main, &daemon->unlisten);
}

static void
begin_drain(struct hb_daemon *daemon, const char *signal_name)
{
	daemon->draining = true;
	hb_log(HB_LOG_INFO, "daemon.drain", HB_F_STR("signal", signal_name),
	    HB_F_U64("in_flight", hb_deliver_in_flight(daemon->deliver)),
	    HB_F_U64("connections", connections(daemon)));
	daemon->unlisten.run = on_unlisten;
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct worker *worker = &daemon->workers[i];

		worker->drain.run = on_drain;
		hb_loop_post(worker->loop, &worker->drain);
	}
	daemon->drain_due_ms =
	    hb_clock_mono_ms() + daemon->cfg->delivery.drain_timeout_ms;
	hb_timer_set(&daemon->drain_poll, DRAIN_POLL_MS);
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

/* --- signals -------------------------------------------------------------- */

static void
on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	struct hb_daemon *daemon = arg;

	(void)what;
	if (daemon->draining) {
		hb_log(HB_LOG_WARNING, "daemon.stop",
		    HB_F_STR("outcome", "forced by a second signal"));
		_exit(EXIT_FAILURE);
	}
	begin_drain(daemon, number == SIGTERM ? "TERM" : "INT");
}

static void
on_hangup(evutil_socket_t number, short what, void *arg)
{
	struct hb_daemon *daemon = arg;

	(void)number;
	(void)what;
	hb_sinks_reopen(daemon->sinks);
	hb_log(HB_LOG_WARNING, "config.rejected",
	    HB_F_STR("reason", "files were reopened; reading the configuration "
			       "again needs a restart in this version"));
}

static bool
watch_signals(struct hb_daemon *daemon, struct hb_error *err)
{
	struct event_base *base = hb_loop_base(daemon->main);
	sigset_t wanted;

	daemon->signals[0] =
	    evsignal_new(base, SIGTERM, on_stop_signal, daemon);
	daemon->signals[1] = evsignal_new(base, SIGINT, on_stop_signal, daemon);
	daemon->signals[2] = evsignal_new(base, SIGHUP, on_hangup, daemon);
	for (size_t i = 0; i < HB_COUNT(daemon->signals); i++)
		if (daemon->signals[i] == NULL ||
		    evsignal_add(daemon->signals[i], NULL) != 0)
			return hb_fail(err, HB_E_RESOURCE,
			    "cannot watch signals");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	pthread_sigmask(SIG_UNBLOCK, &wanted, NULL);
	return true;
}

/* --- the whole ------------------------------------------------------------ */

static bool
start(struct hb_daemon *daemon, struct hb_error *err)
{
	if (!make_loops(daemon, err) || !make_shared(daemon, err))
		return false;
	hb_timer_init(&daemon->drain_poll, daemon->main, on_drain_poll);
	for (size_t i = 0; i < daemon->worker_count; i++)
		daemon->workers[i].intake = hb_intake_worker_new(
		    daemon->intake, daemon->workers[i].loop);
	return open_listeners(daemon, err) && start_loops(daemon, err) &&
	    watch_signals(daemon, err);
}

/* The main loop has ended: a second signal now ends the process by itself. */
static void
give_up_signals(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < 2; i++) {
		event_free(daemon->signals[i]);
		daemon->signals[i] = NULL;
	}
}

static size_t
events_in_flight(const struct hb_daemon *daemon)
{
	return hb_deliver_in_flight(daemon->deliver);
}

static size_t
workers_serving(const struct hb_daemon *daemon)
{
	return daemon->serving;
}

/* Waits until the workers have taken what is in their mailboxes. */
static void
await_none(const struct hb_daemon *daemon,
    size_t (*left)(const struct hb_daemon *daemon), const char *what)
{
	for (int i = 0; i < HAND_OVER_MS / DRAIN_POLL_MS; i++) {
		if (left(daemon) == 0)
			return;
		usleep(DRAIN_POLL_MS * 1000);
	}
	hb_bug("%zu %s left", left(daemon), what);
}

static void
on_close(struct hb_task *task)
{
	struct worker *worker = hb_container_of(task, struct worker, close);

	hb_intake_worker_close(worker->intake);
	atomic_fetch_sub(&worker->daemon->serving, 1);
}

static void
close_connections(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct worker *worker = &daemon->workers[i];

		worker->close.run = on_close;
		hb_loop_post(worker->loop, &worker->close);
	}
	await_none(daemon, workers_serving, "workers with connections");
}

/* Everything that is still on its way is delivered or given back: first what
 * the sinks have, so that it is answered, then what comes in meanwhile. */
static void
flush(struct hb_daemon *daemon)
{
	hb_sinks_drain(daemon->sinks, FLUSH_MS);
	await_none(daemon, events_in_flight, "events in flight");
	close_connections(daemon);
	await_none(daemon, events_in_flight, "events in flight");
}

static void
show_start(const struct hb_config *cfg)
{
	hb_metric_set(hb_metric_get(HB_M_BUILD_INFO, hb_version(),
			  hb_version_libevent(), hb_version_librdkafka(),
			  hb_version_openssl()), 1);
	hb_metric_set(hb_metric_get(HB_M_START_TIME, NULL, NULL, NULL, NULL),
	    hb_clock_wall_ms() / 1000);
	hb_log(HB_LOG_INFO, "daemon.start", HB_F_STR("version", hb_version()),
	    HB_F_STR("config", cfg->file), HB_F_U64("workers", cfg->workers),
	    HB_F_U64("endpoints", cfg->endpoint_count),
	    HB_F_U64("sinks", cfg->sink_count),
	    HB_F_U64("routes", cfg->route_count));
}

bool
hb_daemon_run(const struct hb_config *cfg, struct hb_error *err)
{
	struct hb_daemon daemon = { .cfg = cfg };
	bool started;

	raise_descriptor_limit();
	show_start(cfg);
	started = start(&daemon, err);
	if (started) {
		begin_accepting(&daemon);
		hb_log(HB_LOG_INFO, "daemon.ready",
		    HB_F_U64("listeners", daemon.listener_count));
		hb_loop_run(daemon.main);
		give_up_signals(&daemon);
		flush(&daemon);
	}
	stop_loops(&daemon);
	release(&daemon);
	if (started)
		hb_log(HB_LOG_INFO, "daemon.stop",
		    HB_F_STR("outcome", "clean"));
	return started;
}
