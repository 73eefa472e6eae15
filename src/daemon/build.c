/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - what exists, in the order in which it is built
 *
 *   loops      main (signals), helper (what blocks), scanner (large bodies),
 *              replay, admin, one for each worker
 *   shared     budget ► gate ► tail ► store ► claims ► dedup ► sinks ► deliver
 *              ► intake ► replay ► redeliver ► admin
 *   workers    one HTTP server for each worker's loop
 *   listeners  bound, so that what cannot be is found now
 *   threads    all loops run
 *   accepting  last: from here on the world can come in, and from here on
 *              starting cannot fail
 *
 * and is taken down in reverse. What is on disk has been recovered by then: who
 * is told "ready" finds everything as it was left. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "hookbridge/admin.h"
#include "hookbridge/claim.h"
#include "hookbridge/dedup.h"
#include "hookbridge/http.h"
#include "hookbridge/intake.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/redeliver.h"
#include "hookbridge/replay.h"
#include "hookbridge/sink.h"
#include "hookbridge/store.h"
#include "hookbridge/tail.h"
#include "hookbridge/tracker.h"
#include "parts.h"

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

/* --- loops ---------------------------------------------------------------- */

static struct hb_loop *
loop_of(const struct hb_daemon *daemon, enum hb_daemon_loop_name name)
{
	return daemon->loops[name].loop;
}

static bool
make_workers(struct hb_daemon *daemon, struct hb_error *err)
{
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
make_loops(struct hb_daemon *daemon, struct hb_error *err)
{
	static const char *const names[HB_DAEMON_LOOPS] = {
		[HB_DAEMON_HELPER] = "helper",
		[HB_DAEMON_SCANNER] = "scanner",
		[HB_DAEMON_REPLAY] = "replay",
		[HB_DAEMON_ADMIN] = "admin",
	};

	daemon->main = hb_loop_new("main", err);
	if (daemon->main == NULL)
		return false;
	for (size_t i = 0; i < HB_DAEMON_LOOPS; i++) {
		daemon->loops[i].loop = hb_loop_new(names[i], err);
		if (daemon->loops[i].loop == NULL)
			return false;
	}
	return make_workers(daemon, err);
}

static bool
start_loops(struct hb_daemon *daemon, struct hb_error *err)
{
	for (size_t i = 0; i < HB_DAEMON_LOOPS; i++) {
		struct hb_daemon_loop *loop = &daemon->loops[i];

		loop->started = hb_loop_start(loop->loop, err);
		if (!loop->started)
			return false;
	}
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct hb_daemon_worker *worker = &daemon->workers[i];

		worker->started = hb_loop_start(worker->loop, err);
		if (!worker->started)
			return false;
	}
	return true;
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
	for (size_t i = HB_DAEMON_LOOPS; i-- > 0;)
		stop_loop(daemon->loops[i].loop, daemon->loops[i].started);
}

/* --- what is shared ------------------------------------------------------- */

static int64_t
oldest_delivery(void *arg)
{
	return hb_store_oldest_ms(arg);
}

/* What is on disk, as far as it is configured. Deliveries that are kept may
 * refer to claims. */
static bool
open_disk(struct hb_daemon *daemon, struct hb_error *err)
{
	const struct hb_config *cfg = daemon->cfg;
	struct hb_loop *helper = loop_of(daemon, HB_DAEMON_HELPER);

	if (cfg->spool.directory != NULL) {
		daemon->store = hb_store_open(cfg, err);
		if (daemon->store == NULL)
			return false;
	}
	if (cfg->claims.directory != NULL) {
		daemon->claims = hb_claims_open(cfg, helper, err);
		if (daemon->claims == NULL)
			return false;
	}
	if (daemon->claims != NULL && daemon->store != NULL)
		hb_claims_guard(daemon->claims, oldest_delivery,
		    daemon->store);
	daemon->dedup = hb_dedup_new(cfg, helper, err);
	return daemon->dedup != NULL;
}

/* Deliveries come from the workers, and from the replay if there is any. */
static bool
open_sinks(struct hb_daemon *daemon, struct hb_error *err)
{
	size_t count = daemon->worker_count;
	struct hb_loop **loops = hb_xcalloc(count + 1, sizeof(*loops));
	struct hb_sink_env env = { .cfg = daemon->cfg,
		.loops = loops,
		.helper = loop_of(daemon, HB_DAEMON_HELPER) };

	for (size_t i = 0; i < count; i++)
		loops[i] = daemon->workers[i].loop;
	if (daemon->store != NULL)
		loops[count++] = loop_of(daemon, HB_DAEMON_REPLAY);
	env.loop_count = count;
	daemon->sinks = hb_sinks_open(&env, err);
	free(loops);
	return daemon->sinks != NULL;
}

/* From a webhook to its destinations. */
static void
make_path(struct hb_daemon *daemon)
{
	const struct hb_config *cfg = daemon->cfg;

	daemon->deliver = hb_deliver_new(&(struct hb_deliver_env){ .cfg = cfg,
	    .sinks = daemon->sinks,
	    .dedup = daemon->dedup,
	    .budget = &daemon->budget,
	    .store = daemon->store,
	    .claims = daemon->claims,
	    .tail = daemon->tail });
	daemon->intake = hb_intake_new(&(struct hb_intake_env){ .cfg = cfg,
	    .deliver = daemon->deliver,
	    .dedup = daemon->dedup,
	    .budget = &daemon->budget,
	    .gate = daemon->gate,
	    .scanner = loop_of(daemon, HB_DAEMON_SCANNER) });
	for (size_t i = 0; i < daemon->worker_count; i++)
		daemon->workers[i].intake = hb_intake_worker_new(
		    daemon->intake, daemon->workers[i].loop);
}

/* From the store to the destinations. */
static void
make_way_back(struct hb_daemon *daemon)
{
	struct hb_loop *loop = loop_of(daemon, HB_DAEMON_REPLAY);

	if (daemon->store == NULL)
		return;
	daemon->replay = hb_replay_new(&(struct hb_replay_env){
	    .cfg = daemon->cfg,
	    .loop = loop,
	    .store = daemon->store,
	    .sinks = daemon->sinks,
	    .tail = daemon->tail });
	daemon->redeliver = hb_redeliver_new(&(struct hb_redeliver_env){
	    .cfg = daemon->cfg,
	    .loop = loop,
	    .store = daemon->store,
	    .deliver = daemon->deliver,
	    .budget = &daemon->budget });
}

static bool
make_admin(struct hb_daemon *daemon, struct hb_error *err)
{
	daemon->admin = hb_admin_new(&(struct hb_admin_env){
	    .cfg = daemon->cfg,
	    .loop = loop_of(daemon, HB_DAEMON_ADMIN),
	    .budget = &daemon->budget,
	    .claims = daemon->claims,
	    .dedup = daemon->dedup,
	    .deliver = daemon->deliver,
	    .redeliver = daemon->redeliver,
	    .replay = daemon->replay,
	    .sinks = daemon->sinks,
	    .store = daemon->store,
	    .tail = daemon->tail,
	    .draining = &daemon->draining }, err);
	return daemon->admin != NULL;
}

static bool
make_shared(struct hb_daemon *daemon, struct hb_error *err)
{
	const struct hb_config *cfg = daemon->cfg;

	hb_budget_init(&daemon->budget, cfg->memory);
	daemon->gate = hb_http_gate_new(&cfg->http, &daemon->budget);
	daemon->tail = hb_tail_new();
	if (!open_disk(daemon, err) || !open_sinks(daemon, err))
		return false;
	make_path(daemon);
	make_way_back(daemon);
	return make_admin(daemon, err);
}

/* --- listeners ------------------------------------------------------------ */

/* The default address is a convenience: where there is no such directory, or no
 * right to it, the daemon does its work all the same. */
static bool
open_admin_listener(struct hb_daemon *daemon, struct hb_error *err)
{
	const struct hb_admin_conf *conf = &daemon->cfg->admin;

	if (hb_listener_open(&daemon->admin_listener, conf->address, err))
		return true;
	if (!conf->is_default)
		return false;
	hb_log(HB_LOG_WARNING, "listen.error", HB_F_STR("error", err->text),
	    HB_F_STR("effect", "hookbridgectl cannot reach this daemon"),
	    HB_F_STR("remedy", "set admin.address"));
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
	return open_admin_listener(daemon, err);
}

static void
on_accept(struct hb_task *task)
{
	struct hb_daemon_worker *worker =
	    hb_container_of(task, struct hb_daemon_worker, accept);
	const struct hb_daemon *daemon = worker->daemon;

	for (size_t i = 0; i < daemon->listener_count; i++)
		hb_intake_worker_listen(worker->intake,
		    daemon->listeners[i].fd, daemon->listeners[i].address);
}

static void
on_admin_listen(struct hb_task *task)
{
	struct hb_daemon *daemon =
	    hb_container_of(task, struct hb_daemon, admin_listen);

	hb_admin_listen(daemon->admin, daemon->admin_listener.fd,
	    daemon->admin_listener.address);
}

void
hb_daemon_open(struct hb_daemon *daemon)
{
	daemon->accepting = daemon->serving = daemon->worker_count;
	for (size_t i = 0; i < daemon->worker_count; i++) {
		struct hb_daemon_worker *worker = &daemon->workers[i];

		worker->accept.run = on_accept;
		hb_loop_post(worker->loop, &worker->accept);
	}
	if (daemon->admin_listener.fd < 0)
		return;
	daemon->admin_listen.run = on_admin_listen;
	hb_loop_post(loop_of(daemon, HB_DAEMON_ADMIN), &daemon->admin_listen);
}

/* --- the whole ------------------------------------------------------------ */

bool
hb_daemon_build(struct hb_daemon *daemon, struct hb_error *err)
{
	raise_descriptor_limit();
	daemon->admin_listener.fd = -1;
	if (!make_loops(daemon, err) || !make_shared(daemon, err))
		return false;
	hb_daemon_drain_init(daemon);
	return open_listeners(daemon, err) && start_loops(daemon, err);
}

/* The loops do not run: what they own, and then they themselves. */
static void
free_loops(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < daemon->worker_count; i++)
		hb_intake_worker_free(daemon->workers[i].intake);
	hb_admin_free(daemon->admin);
	hb_redeliver_free(daemon->redeliver);
	hb_replay_free(daemon->replay);
	if (daemon->sinks != NULL)
		hb_sinks_close(daemon->sinks);
	for (size_t i = 0; i < daemon->worker_count; i++)
		hb_loop_free(daemon->workers[i].loop);
	for (size_t i = HB_DAEMON_LOOPS; i-- > 0;)
		hb_loop_free(daemon->loops[i].loop);
}

void
hb_daemon_release(struct hb_daemon *daemon)
{
	stop_loops(daemon);
	for (size_t i = 0; i < daemon->listener_count; i++)
		hb_listener_close(&daemon->listeners[i]);
	hb_listener_close(&daemon->admin_listener);
	free_loops(daemon);
	hb_intake_free(daemon->intake);
	hb_deliver_free(daemon->deliver);
	hb_dedup_free(daemon->dedup);
	hb_claims_close(daemon->claims);
	hb_store_close(daemon->store);
	hb_tail_free(daemon->tail);
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
