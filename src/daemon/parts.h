/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the daemon's parts, one file each
 *
 *   daemon.c     the whole: starts, serves signals, stops
 *   build.c      what exists, in the order in which it is built
 *   drain.c      the way from a signal to where nothing is under way
 *   listen.c     sockets by address
 *   advice.c     what is said of a configuration that is only tested
 *   versions.c   of what we are built with
 *
 * Everything here belongs to the main thread, but for what is atomic. */
#ifndef HB_DAEMON_PARTS_H
#define HB_DAEMON_PARTS_H

#include <stdatomic.h>

#include "hookbridge/budget.h"
#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "listen.h"

struct hb_daemon;

struct hb_daemon_worker {
	struct hb_daemon *daemon;
	struct hb_loop *loop;
	struct hb_intake_worker *intake;
	bool started;
	struct hb_task accept, drain, close;
};

/* A loop besides the workers'. */
struct hb_daemon_loop {
	struct hb_loop *loop;
	bool started;
};

enum hb_daemon_loop_name {
	HB_DAEMON_HELPER,  /* what blocks */
	HB_DAEMON_SCANNER, /* large bodies */
	HB_DAEMON_REPLAY,  /* from the store to the sinks */
	HB_DAEMON_ADMIN,
	HB_DAEMON_LOOPS
};

struct hb_daemon {
	const struct hb_config *cfg;
	struct hb_loop *main;
	struct hb_daemon_loop loops[HB_DAEMON_LOOPS];
	struct hb_daemon_worker *workers;
	size_t worker_count;

	struct hb_budget budget;
	struct hb_http_gate *gate;
	struct hb_tail *tail;
	struct hb_store *store;   /* NULL: nothing is kept on disk */
	struct hb_claims *claims; /* NULL: no claim checks */
	struct hb_dedup *dedup;
	struct hb_sinks *sinks;
	struct hb_deliver *deliver;
	struct hb_intake *intake;
	struct hb_replay *replay;       /* NULL like the store */
	struct hb_redeliver *redeliver; /* likewise */
	struct hb_admin *admin;

	struct hb_listener *listeners;
	size_t listener_count;
	struct hb_listener admin_listener;
	struct hb_task admin_listen, admin_close;
	_Atomic bool admin_is_open;

	/* Workers that still accept, that still have connections. */
	_Atomic size_t accepting, serving;
	struct event *signals[3]; /* TERM, INT, HUP */
	struct hb_task unlisten;
	struct hb_timer drain_poll;
	uint64_t drain_due_ms;
	_Atomic bool draining;
};

/* --- build.c -------------------------------------------------------------- */

/* Makes everything and lets its loops run; nobody is let in yet. After a
 * failure as after success, hb_daemon_release() is the way back. */
bool hb_daemon_build(struct hb_daemon *daemon, struct hb_error *err)
    HB_MUST_CHECK;
/* Lets the world in. */
void hb_daemon_open(struct hb_daemon *daemon);
/* Nothing is under way: ends the loops, gives everything back. */
void hb_daemon_release(struct hb_daemon *daemon);

/* --- drain.c -------------------------------------------------------------- */

void hb_daemon_drain_init(struct hb_daemon *daemon);
/* Stops accepting; ends the main loop once what has begun is served, or after
 * drain_timeout. */
void hb_daemon_drain(struct hb_daemon *daemon, const char *signal_name);
/* The main loop has ended: settles or gives back whatever is under way. */
void hb_daemon_flush(struct hb_daemon *daemon);

#endif
