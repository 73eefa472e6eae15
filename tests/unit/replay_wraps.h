/* SPDX-License-Identifier: Apache-2.0 */
/* replay_wraps.h - what a replay asks of others, answered by the test
 *
 * Backoffs are noted, but last a millisecond; the store can be kept from
 * keeping, and something can happen just before it is asked. */
#ifndef HOOKBRIDGE_TESTS_REPLAY_WRAPS_H
#define HOOKBRIDGE_TESTS_REPLAY_WRAPS_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "hookbridge/backoff.h"
#include "hookbridge/mem.h"
#include "hookbridge/store.h"

#define BACKOFFS_MAX 256

/* The failures that backoffs were asked for with, by their least time. */
struct backoffs {
	unsigned failures[BACKOFFS_MAX];
	size_t count;
};
static struct backoffs rests, looks;

uint64_t __wrap_hb_backoff_ms(uint64_t min_ms, uint64_t max_ms,
    unsigned failures);

uint64_t
__wrap_hb_backoff_ms(uint64_t min_ms, uint64_t max_ms, unsigned failures)
{
	struct backoffs *backoffs = min_ms == 1000 ? &rests : &looks;

	assert_true((min_ms == 1000 && max_ms == 60000) ||
	    (min_ms == 100 && max_ms == 1000));
	if (backoffs->count < BACKOFFS_MAX)
		backoffs->failures[backoffs->count++] = failures;
	return 1;
}

/* Run once before the store is asked, as if another thread did it. */
static void (*before_is_held)(void *arg);
static void *before_is_held_arg;
static unsigned times_asked;

bool __real_hb_store_is_held(struct hb_store *store,
    const struct hb_record *rec, struct hb_loop *loop, struct hb_task *task);
bool __wrap_hb_store_is_held(struct hb_store *store,
    const struct hb_record *rec, struct hb_loop *loop, struct hb_task *task);

bool
__wrap_hb_store_is_held(struct hb_store *store, const struct hb_record *rec,
    struct hb_loop *loop, struct hb_task *task)
{
	void (*before)(void *arg) = before_is_held;

	before_is_held = NULL;
	times_asked++;
	if (before != NULL)
		before(before_is_held_arg);
	return __real_hb_store_is_held(store, rec, loop, task);
}

/* So many dead letters cannot be kept, and then they can. */
static unsigned dead_refusals;

void __real_hb_store_keep_dead_record(struct hb_store *store,
    struct hb_keep *keep, const struct hb_record *rec, const char *reason);
void __wrap_hb_store_keep_dead_record(struct hb_store *store,
    struct hb_keep *keep, const struct hb_record *rec, const char *reason);

static void
on_refusal(struct hb_task *task)
{
	struct hb_keep *keep =
	    hb_container_of(task, struct hb_keep, append.task);

	keep->done(keep);
}

static inline void
refuse(struct hb_keep *keep)
{
	keep->ok = false;
	hb_fail_reason(&keep->err, HB_E_RESOURCE, "spool-full",
	    "as the test says");
	keep->append.task.run = on_refusal;
	hb_loop_post(keep->home, &keep->append.task);
}

void
__wrap_hb_store_keep_dead_record(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const char *reason)
{
	if (dead_refusals == 0) {
		__real_hb_store_keep_dead_record(store, keep, rec, reason);
		return;
	}
	dead_refusals--;
	refuse(keep);
}

/* The same of deliveries that go to another shelf. */
static unsigned move_refusals;

void __real_hb_store_keep_moved(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const struct hb_dest_conf *dest);
void __wrap_hb_store_keep_moved(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const struct hb_dest_conf *dest);

void
__wrap_hb_store_keep_moved(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const struct hb_dest_conf *dest)
{
	if (move_refusals == 0) {
		__real_hb_store_keep_moved(store, keep, rec, dest);
		return;
	}
	move_refusals--;
	refuse(keep);
}

#endif
