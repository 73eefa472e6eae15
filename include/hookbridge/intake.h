/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h - the public edge: a webhook in, one answer out
 *
 * Called by: daemon.c. The journey of one webhook is exchange.c.
 * Thread: an intake is shared and read-only once made; a worker belongs to one
 * loop and is made and freed while that loop does not run, or on it.
 * Owns: verifiers, router, each worker's HTTP server. */
#ifndef HOOKBRIDGE_INTAKE_H
#define HOOKBRIDGE_INTAKE_H

#include <stddef.h>

#include "hookbridge/cfg.h"

struct hb_budget;
struct hb_dedup;
struct hb_deliver;
struct hb_http_gate;
struct hb_loop;

struct hb_intake_env {
	const struct hb_config *cfg;
	struct hb_deliver *deliver;
	struct hb_dedup *dedup;
	struct hb_budget *budget;
	struct hb_http_gate *gate;
	struct hb_loop *scanner; /* reads large bodies off the workers' loops */
};

struct hb_intake;
struct hb_intake *hb_intake_new(const struct hb_intake_env *env);
void hb_intake_free(struct hb_intake *intake);

struct hb_intake_worker;
struct hb_intake_worker *hb_intake_worker_new(struct hb_intake *intake,
    struct hb_loop *loop);
/* Accepts from a listening socket, which stays the caller's. */
void hb_intake_worker_listen(struct hb_intake_worker *worker, int fd,
    const char *name);
/* Accepts no more; requests already begun are served, then told to close. */
void hb_intake_worker_drain(struct hb_intake_worker *worker);
/* Any thread, until the worker is closed. */
size_t hb_intake_worker_connections(const struct hb_intake_worker *worker);
/* Closes every connection. What is under way goes on, without anyone to answer;
 * it has to be over before the worker is freed. */
void hb_intake_worker_close(struct hb_intake_worker *worker);
void hb_intake_worker_free(struct hb_intake_worker *worker);

#endif
