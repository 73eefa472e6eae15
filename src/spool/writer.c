/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c - the thread that writes
 *
 * It takes what waits and makes one group of it; while that is being synced the
 * next one gathers. So the number of records in a group follows the load by
 * itself, and a single record waits for nobody. But where many come together,
 * those of the last group were answered just now, and their senders' next ones
 * are on the way: the thread waits for them about as long as a sync takes. That
 * halves the syncs, and what they cost.
 *
 * It sleeps while nothing waits, at most until settlements are due, which ride
 * with the first group after some milliseconds, or until a spool that refused
 * records is to be tried again. They are written without a sync, which costs
 * next to nothing: a process that is killed then has forgotten few of them. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define FLUSH_MS 20
/* A group of so many is company; and what is waited for more, at most. */
#define COMPANY 8
#define GATHER_MAX_US 300

struct work {
	bool settlements, probe, others;
};

void
hb_spool_writer_wake(struct hb_spool *spool)
{
	if (!spool->is_asleep)
		return;
	spool->is_asleep = false;
	pthread_cond_signal(&spool->wake);
}

void
hb_spool_writer_expect(struct hb_spool *spool)
{
	if (spool->flush_ms != 0)
		return;
	spool->flush_ms = hb_clock_mono_ms() + FLUSH_MS;
	hb_spool_writer_wake(spool);
}

static void
on_done(struct hb_task *task)
{
	struct hb_spool_append *append =
	    hb_container_of(task, struct hb_spool_append, task);

	append->done(append);
}

/* What has more than any segment takes will be refused. */
static uint32_t
length_of(const struct hb_spool_append *append)
{
	uint64_t len = 0;

	for (size_t i = 0; i < append->part_count && len <= UINT32_MAX; i++)
		len += append->parts[i].iov_len;
	return len <= UINT32_MAX ? (uint32_t)len : UINT32_MAX;
}

void
hb_spool_append(struct hb_spool_append *append)
{
	struct hb_spool *spool = append->lane->spool;

	append->ref = (struct hb_spool_ref){
	    .lane = append->lane, .len = length_of(append)};
	append->task = (struct hb_task){.run = on_done};
	append->next = NULL;
	pthread_mutex_lock(&spool->lock);
	*spool->queue.end = append;
	spool->queue.end = &append->next;
	hb_spool_writer_wake(spool);
	pthread_mutex_unlock(&spool->lock);
}

/* --- the thread ----------------------------------------------------------- */

static void
sleep_until(struct hb_spool *spool, uint64_t mono_ms)
{
	struct timespec ts = {.tv_sec = (time_t)(mono_ms / 1000),
	    .tv_nsec = (long)(mono_ms % 1000 * 1000000)};

	spool->is_asleep = true;
	while (spool->is_asleep) {
		if (mono_ms == 0)
			pthread_cond_wait(&spool->wake, &spool->lock);
		else if (pthread_cond_timedwait(&spool->wake, &spool->lock,
			     &ts) == ETIMEDOUT)
			spool->is_asleep = false;
	}
}

/* What is due at that time, if it is not 0. */
static bool
is_due(uint64_t mono_ms)
{
	return mono_ms != 0 && mono_ms <= hb_clock_mono_ms();
}

/* The earlier of two times that may be 0: never. */
static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

/* Under the lock: what there is to do, if anything. */
static struct work
find_work(struct hb_spool *spool)
{
	return (struct work){
	    .settlements = spool->is_closing || is_due(spool->flush_ms),
	    .probe = !spool->is_closing && is_due(spool->probe_ms),
	    .others = spool->is_closing || spool->wants_retiring ||
		      spool->queue.first != NULL,
	};
}

/* Under the lock: waits for work, unless there is some that is known of. */
static struct work
wait_for_work(struct hb_spool *spool, bool is_busy)
{
	for (;;) {
		struct work work = find_work(spool);

		if (is_busy || work.settlements || work.probe || work.others)
			return work;
		sleep_until(
		    spool, earlier(spool->flush_ms, spool->probe_ms));
	}
}

static void
take_queue(struct hb_spool *spool)
{
	if (spool->queue.first == NULL)
		return;
	*spool->pending.end = spool->queue.first;
	spool->pending.end = spool->queue.end;
	spool->queue.first = NULL;
	spool->queue.end = &spool->queue.first;
}

/* One turn; true: there is more to do at once. */
static bool
turn(struct hb_spool *spool, const struct work *work)
{
	bool is_retiring = hb_spool_retire_begin(spool), has_more;

	has_more =
	    hb_spool_group_run(spool, work->settlements || is_retiring);
	hb_spool_retire_end(spool);
	if (work->probe && spool->state != HB_SPOOL_OK)
		hb_spool_probe(spool);
	return hb_spool_compact(spool) || has_more;
}

/* Under the lock, which it lets go: gives the company of the last group time to
 * come again. */
static void
gather(struct hb_spool *spool)
{
	uint64_t us = spool->sync_us;
	struct timespec ts = {.tv_nsec =
		(long)(us < GATHER_MAX_US ? us : GATHER_MAX_US) * 1000};

	if (spool->is_closing || spool->queue.first == NULL ||
	    spool->group.entry_count <= COMPANY)
		return;
	pthread_mutex_unlock(&spool->lock);
	nanosleep(&ts, NULL);
	pthread_mutex_lock(&spool->lock);
}

static void *
writer_main(void *arg)
{
	struct hb_spool *spool = arg;
	bool is_busy = false, is_closing = false;

	while (is_busy || !is_closing) {
		struct work work;

		pthread_mutex_lock(&spool->lock);
		work = wait_for_work(spool, is_busy);
		gather(spool);
		is_closing = spool->is_closing;
		take_queue(spool);
		pthread_mutex_unlock(&spool->lock);
		if (is_closing) {
			hb_spool_compact_abort(spool);
			spool->retry_ms = 0; /* the last chance */
		}
		is_busy = turn(spool, &work);
	}
	hb_spool_seal(spool);
	return NULL;
}

/* --- starting and stopping ------------------------------------------------ */

static bool
start_thread(struct hb_spool *spool)
{
	sigset_t all, before;
	int rc;

	/* Signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&spool->thread, NULL, writer_main, spool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0;
}

bool
hb_spool_writer_start(struct hb_spool *spool, struct hb_error *err)
{
	if (!start_thread(spool))
		return hb_fail(err, HB_E_RESOURCE, "%s: thread: %s",
		    spool->store.path, strerror(errno));
	pthread_setname_np(spool->thread, "spool");
	spool->is_running = true;
	return true;
}

void
hb_spool_writer_stop(struct hb_spool *spool)
{
	if (!spool->is_running)
		return;
	pthread_mutex_lock(&spool->lock);
	spool->is_closing = true;
	hb_spool_writer_wake(spool);
	pthread_mutex_unlock(&spool->lock);
	pthread_join(spool->thread, NULL);
	spool->is_running = false;
}
