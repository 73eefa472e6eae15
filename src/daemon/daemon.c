/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - builds, opens, serves signals until one says stop, and takes all
 * down again */
#include "hookbridge/daemon.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/metric.h"
#include "hookbridge/sink.h"
#include "hookbridge/mem.h"
#include "parts.h"
#include "versions.h"

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
	hb_daemon_drain(daemon, number == SIGTERM ? "TERM" : "INT");
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

/* The main loop has ended: a second signal now ends the process by itself. */
static void
give_up_signals(struct hb_daemon *daemon)
{
	for (size_t i = 0; i < 2; i++) {
		event_free(daemon->signals[i]);
		daemon->signals[i] = NULL;
	}
}

/* --- the whole ------------------------------------------------------------ */

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

	show_start(cfg);
	started =
	    hb_daemon_build(&daemon, err) && watch_signals(&daemon, err);
	if (started) {
		hb_daemon_open(&daemon);
		hb_log(HB_LOG_INFO, "daemon.ready",
		    HB_F_U64("listeners", daemon.listener_count));
		hb_loop_run(daemon.main);
		give_up_signals(&daemon);
		hb_daemon_flush(&daemon);
	}
	hb_daemon_release(&daemon);
	if (started)
		hb_log(HB_LOG_INFO, "daemon.stop",
		    HB_F_STR("outcome", "clean"));
	return started;
}
