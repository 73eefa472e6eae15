/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - delivers what the store keeps
 *
 *   shelves of a destination ─► walk ─► reader ─► sink ─► report ─► settled
 *        hb_walk_next()        reader.c    flight.c          │
 *                                 ▲                          ├─► dead letter
 *                                 └──── rests, begins anew ◄─┘
 *
 * Each destination has a reader of its own, so that none waits for another.
 * All of them are on one loop. A reader has so many records under way as its
 * window allows, and all readers together so many bytes as the room has
 * (room.c), hence what the replay needs of memory does not depend on how much
 * is kept.
 *
 * Who stops the replay may do so at any moment: a reader counts what it is
 * about to read as in flight before it looks whether it may. So once nothing
 * is in flight after stopping, nothing is ever again.
 *
 * What was posted to the loop may still sit in its mailbox when the replay is
 * freed: its memory goes with the loop. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* Of `memory`, for records under way. */
#define MEMORY_PART 8

static void
on_gone(struct hb_task *task)
{
	struct hb_replay *replay =
	    hb_container_of(task, struct hb_replay, gone);

	free(replay->readers);
	free(replay);
}

struct hb_replay *
hb_replay_new(const struct hb_replay_env *env)
{
	const struct hb_config *cfg = env->cfg;
	struct hb_replay *replay = hb_xcalloc(1, sizeof(*replay));

	replay->env = *env;
	replay->gone.run = on_gone;
	hb_room_init(&replay->room, cfg->memory / MEMORY_PART);
	replay->readers =
	    hb_xcalloc(cfg->dest_count, sizeof(*replay->readers));
	for (size_t i = 0; i < cfg->dest_count; i++)
		hb_reader_init(&replay->readers[i], replay, cfg->dests[i]);
	return replay;
}

void
hb_replay_stop(struct hb_replay *replay)
{
	atomic_store(&replay->stopped, true);
}

unsigned
hb_replay_in_flight(const struct hb_replay *replay)
{
	return atomic_load(&replay->in_flight);
}

void
hb_replay_free(struct hb_replay *replay)
{
	if (replay == NULL)
		return;
	hb_replay_stop(replay);
	for (size_t i = 0; i < replay->env.cfg->dest_count; i++)
		hb_reader_fini(&replay->readers[i]);
	hb_loop_at_free(replay->env.loop, &replay->gone);
}
