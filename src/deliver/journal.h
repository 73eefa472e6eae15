/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h - what settled and what was forgotten, on disk
 *
 * Made with a table (seen.h) that it fills with what is on disk, and whose
 * owner tells it of every change from then on.
 * Thread: opened and closed while no loop runs; adding under the owner's lock,
 *         waking without; the rest is done on the helper's loop.
 * Blocks: opening and closing; nothing else. */
#ifndef HB_DELIVER_JOURNAL_H
#define HB_DELIVER_JOURNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "seen.h"

#define HB_JOURNAL_SEED_SIZE 16

struct hb_journal;

struct hb_journal_env {
	const struct hb_config *cfg; /* has a spool.directory */
	struct hb_loop *helper;
	pthread_mutex_t *lock;
	struct hb_seen *seen;
};

/* The seed of all keys: read from disk; written there if there is none. */
struct hb_journal *hb_journal_open(const struct hb_journal_env *env,
    uint8_t seed[HB_JOURNAL_SEED_SIZE], struct hb_error *err);
/* Writes and syncs what is left. NULL is allowed. */
void hb_journal_close(struct hb_journal *journal);

/* Notes a change, unless the disk is so slow that there is no room for it.
 * Under the lock; true: hb_journal_wake() has to be called after it. */
bool hb_journal_add(
    struct hb_journal *journal, const struct hb_seen_item *item);
void hb_journal_wake(struct hb_journal *journal);

void hb_journal_stats(
    const struct hb_journal *journal, uint64_t *bytes, bool *broken);

#endif
