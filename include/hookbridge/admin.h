/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - what operators ask of a running daemon, over HTTP on a Unix socket
 *
 * GET reads, POST changes; answers are JSON, errors problem documents of RFC
 * 9457. The resources are listed in hookbridged(8).
 * Thread: one loop of its own, which may block on the disk for moments; made
 * and freed while it does not run. What it reads of others is atomic or has
 * its own lock. */
#ifndef HOOKBRIDGE_ADMIN_H
#define HOOKBRIDGE_ADMIN_H

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"

struct hb_budget;
struct hb_claims;
struct hb_dedup;
struct hb_deliver;
struct hb_redeliver;
struct hb_replay;
struct hb_sinks;
struct hb_store;
struct hb_tail;

/* store, redeliver, replay, claims may be NULL: there is no spool, no claims
 * directory. */
struct hb_admin_env {
	const struct hb_config *cfg;
	struct hb_loop *loop;
	struct hb_budget *budget;
	struct hb_claims *claims;
	struct hb_dedup *dedup;
	struct hb_deliver *deliver;
	struct hb_redeliver *redeliver;
	struct hb_replay *replay;
	struct hb_sinks *sinks;
	struct hb_store *store;
	struct hb_tail *tail;
	/* Whether the daemon is on its way out: not ready then. */
	const _Atomic bool *draining;
};

struct hb_admin;
struct hb_admin *hb_admin_new(const struct hb_admin_env *env,
    struct hb_error *err);
/* On the loop: serves a bound, listening Unix socket, which stays the
 * caller's. */
void hb_admin_listen(struct hb_admin *admin, int fd, const char *name);
/* On the loop: accepts no more and closes every connection; jobs under way
 * end by themselves. */
void hb_admin_close(struct hb_admin *admin);
/* Jobs under way; any thread. */
unsigned hb_admin_in_flight(const struct hb_admin *admin);
void hb_admin_free(struct hb_admin *admin);

#endif
