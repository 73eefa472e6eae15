/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h - delivers what the store keeps
 *
 * One reader for each destination of the configuration, on a loop of its own:
 * it reads in the order of keeping, sends patiently within a window, and
 * settles what is confirmed. What is refused goes to the destination
 * dead_letter, or becomes a dead letter. While a destination is down nothing is
 * read for it.
 * Thread: made and freed while the loop does not run; stop any. */
#ifndef HOOKBRIDGE_REPLAY_H
#define HOOKBRIDGE_REPLAY_H

#include "hookbridge/cfg.h"
#include "hookbridge/sink.h"
#include "hookbridge/store.h"
#include "hookbridge/tail.h"

struct hb_replay;

struct hb_replay_env {
	const struct hb_config *cfg;
	struct hb_loop *loop;
	struct hb_store *store;
	struct hb_sinks *sinks;
	struct hb_tail *tail; /* NULL: nobody listens */
};

/* Begins once the loop runs. */
struct hb_replay *hb_replay_new(const struct hb_replay_env *env);
/* Sends nothing more; what is at the sinks is reported when they drain. */
void hb_replay_stop(struct hb_replay *replay);
/* Deliveries at the sinks and records being set aside; any thread. */
unsigned hb_replay_in_flight(const struct hb_replay *replay);
/* Nothing is in flight and the loop has stopped. NULL is allowed. */
void hb_replay_free(struct hb_replay *replay);

#endif
