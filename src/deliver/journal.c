/* SPDX-License-Identifier: Apache-2.0 */
/* journal.c - changes are noted in memory, and soon written
 *
 *   hb_journal_add()         flush                 sync
 *   (under the lock) ──────► (helper, 20 ms) ────► (helper, within a second)
 *     filling                 writing, file         file, synced
 *
 * Two buffers of a fixed size change places: noting a change is a copy under
 * the lock, without a system call. Who notes the first one in a buffer wakes
 * the helper. When the disk is so slow that both are full, changes are dropped,
 * counted and logged: each may cost a duplicate after a restart, never an
 * event.
 *
 * A change is noted when an event is settled everywhere: what is said here was
 * confirmed or synced before, so that no power cut can leave an id as seen
 * whose event is lost. The other way round it may: what settled in the last
 * second may come again.
 *
 * After a write or a sync that failed the file is left alone, and what is still
 * in memory goes to a new one, a second later. What was written to the old one
 * and not synced may be lost.
 *
 * A file is a generation: it is full with an eighth of max_entries, or after an
 * eighth of the window, and goes when all of it is older than the window. As
 * long as fewer events settle within a window than max_entries, that is all.
 * With more, those that the table has evicted must not push those that it has
 * kept off the disk, least of all another endpoint's: all is rewritten from the
 * table then (journal_rewrite.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "journal_parts.h"

#define FLUSH_MS 20
#define SYNC_MS 700
#define RETRY_MS 1000
#define GENERATIONS 8
#define GENERATION_RECORDS_MIN 512

/* --- changes -------------------------------------------------------------- */

bool
hb_journal_add(struct hb_journal *journal, const struct hb_seen_item *item)
{
	bool wake = !journal->is_woken;

	if (journal->filled == HB_JOURNAL_BUFFER) {
		journal->dropped++;
		return false;
	}
	journal->filling[journal->filled++] = *item;
	journal->is_woken = true;
	return wake;
}

void
hb_journal_wake(struct hb_journal *journal)
{
	if (journal->helper != NULL)
		hb_loop_post(journal->helper, &journal->wake);
}

/* Takes what was noted, once all that was taken before is written. */
static void
take(struct hb_journal *journal)
{
	struct hb_seen_item *items = journal->writing;
	uint64_t dropped;

	pthread_mutex_lock(journal->lock);
	journal->writing = journal->filling;
	journal->to_write = journal->filled;
	journal->filling = items;
	journal->filled = 0;
	journal->is_woken = false;
	dropped = journal->dropped;
	journal->dropped = 0;
	pthread_mutex_unlock(journal->lock);
	journal->written = 0;
	if (dropped > 0)
		hb_log_limited(HB_LOG_WARNING, "dedup.dropped",
		    HB_F_U64("records", dropped),
		    HB_F_STR("directory", journal->dir.path),
		    HB_F_STR("reason", "the disk is too slow"));
}

void
hb_journal_records_of(const struct hb_journal *journal,
    const struct hb_seen_item *items, size_t count,
    struct hb_journal_record *records)
{
	uint32_t now_s = hb_seen_now_s(journal->seen);
	int64_t wall_s = hb_clock_wall_ms() / 1000;

	for (size_t i = 0; i < count; i++)
		records[i] = (struct hb_journal_record){
		    .type = items[i].forgotten ? HB_JOURNAL_FORGET
					       : HB_JOURNAL_SEEN,
		    .key = {items[i].key[0], items[i].key[1]},
		    .digest = items[i].digest,
		    .endpoint = journal->endpoints[items[i].endpoint],
		    .settled_s = wall_s - (now_s - items[i].settled_s)};
}

/* --- generations ---------------------------------------------------------- */

void
hb_journal_show_bytes(struct hb_journal *journal)
{
	size_t count = journal->file_count + (journal->out.fd >= 0 ? 1 : 0);

	journal->bytes = count * HB_JOURNAL_BLOCK +
			 hb_journal_records(journal) * HB_JOURNAL_RECORD_SIZE;
}

uint64_t
hb_journal_records(const struct hb_journal *journal)
{
	uint64_t records = journal->out.fd >= 0 ? journal->out.file.records : 0;

	for (size_t i = 0; i < journal->file_count; i++)
		records += journal->files[i].records;
	return records;
}

void
hb_journal_add_file(
    struct hb_journal *journal, const struct hb_journal_file *file)
{
	journal->files = hb_xreallocarray(
	    journal->files, journal->file_count + 1, sizeof(*journal->files));
	journal->files[journal->file_count++] = *file;
}

/* A file that cannot be removed is found again at the next start. */
void
hb_journal_drop_files(struct hb_journal *journal, size_t count)
{
	char name[HB_JOURNAL_NAME];

	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		hb_journal_dir_name(journal->files[i].number, name);
		if (unlinkat(journal->dir.fd, name, 0) != 0 && errno != ENOENT)
			hb_journal_trouble(journal, "removing");
	}
	journal->file_count -= count;
	memmove(journal->files, journal->files + count,
	    journal->file_count * sizeof(*journal->files));
}

/* Whether the table would take nothing of it. */
static bool
is_old(const struct hb_journal *journal, const struct hb_journal_file *file)
{
	return hb_seen_now_s(journal->seen) - file->newest_s >=
	       journal->window_s;
}

static void
drop_old_files(struct hb_journal *journal)
{
	size_t count = 0;

	while (count < journal->file_count &&
	       is_old(journal, &journal->files[count]))
		count++;
	hb_journal_drop_files(journal, count);
}

/* --- the file that is written --------------------------------------------- */

void
hb_journal_trouble(struct hb_journal *journal, const char *doing)
{
	hb_log_limited(HB_LOG_WARNING, "dedup.error",
	    HB_F_STR("directory", journal->dir.path), HB_F_STR("doing", doing),
	    HB_F_STR("error", strerror(errno)));
	journal->is_broken = true;
}

/* The file becomes one of the older ones; one without a record is no loss. */
static void
leave_out(struct hb_journal *journal)
{
	char name[HB_JOURNAL_NAME];

	if (journal->out.fd < 0)
		return;
	if (journal->out.file.records > 0) {
		hb_journal_add_file(journal, &journal->out.file);
	} else {
		hb_journal_dir_name(journal->out.file.number, name);
		(void)unlinkat(journal->dir.fd, name, 0);
	}
	hb_journal_out_close(&journal->out);
}

static bool
sync_out(struct hb_journal *journal)
{
	if (journal->out.fd < 0)
		return true;
	if (hb_journal_out_sync(&journal->out, &journal->dir)) {
		journal->is_broken = false;
		return true;
	}
	hb_journal_trouble(journal, "syncing");
	leave_out(journal);
	return false;
}

bool
hb_journal_finish_out(struct hb_journal *journal)
{
	bool ok = sync_out(journal);

	leave_out(journal);
	return ok;
}

void
hb_journal_make_header(
    struct hb_journal *journal, uint64_t number, struct hb_journal_header *out)
{
	*out = (struct hb_journal_header){
	    .number = number, .created_s = hb_clock_wall_ms() / 1000};
	hb_random(out->salt, sizeof(out->salt));
	memcpy(out->seed, journal->seed, sizeof(out->seed));
}

static bool
is_full(const struct hb_journal *journal)
{
	const struct hb_journal_out *out = &journal->out;

	return out->file.records >= journal->generation_records ||
	       hb_seen_now_s(journal->seen) - out->begun_s >=
		   journal->window_s / GENERATIONS + 1;
}

/* A file that can be written to. */
static bool
need_out(struct hb_journal *journal)
{
	struct hb_journal_header header;
	char name[HB_JOURNAL_NAME];

	if (journal->out.fd >= 0 && is_full(journal)) {
		(void)hb_journal_finish_out(journal);
		drop_old_files(journal);
	}
	if (journal->out.fd >= 0)
		return true;
	hb_journal_make_header(journal, journal->next_number++, &header);
	hb_journal_dir_name(header.number, name);
	if (hb_journal_out_begin(
		&journal->out, &journal->dir, name, &header)) {
		journal->out.begun_s = hb_seen_now_s(journal->seen);
		return true;
	}
	hb_journal_trouble(journal, "beginning a file");
	leave_out(journal);
	return false;
}

/* Writes what was taken; what cannot be written stays. */
static bool
write_taken(struct hb_journal *journal)
{
	struct hb_journal_record records[HB_JOURNAL_BATCH];

	while (journal->written < journal->to_write) {
		const struct hb_seen_item *items =
		    journal->writing + journal->written;
		size_t count = journal->to_write - journal->written;

		if (count > HB_JOURNAL_BATCH)
			count = HB_JOURNAL_BATCH;
		hb_journal_records_of(journal, items, count, records);
		if (!need_out(journal))
			return false;
		if (!hb_journal_out_write(&journal->out, records, count)) {
			hb_journal_trouble(journal, "writing");
			leave_out(journal);
			return false;
		}
		journal->out.file.newest_s = items[count - 1].settled_s;
		journal->written += count;
	}
	return true;
}

static bool
write_all(struct hb_journal *journal)
{
	bool ok = write_taken(journal);

	if (ok) {
		take(journal);
		ok = write_taken(journal);
	}
	hb_journal_show_bytes(journal);
	return ok;
}

/* --- the helper ----------------------------------------------------------- */

static void
set_flush(struct hb_journal *journal, uint64_t delay_ms)
{
	if (!journal->flush_set)
		hb_timer_set(&journal->flush, delay_ms);
	journal->flush_set = true;
}

static void
on_wake(struct hb_task *task)
{
	struct hb_journal *journal =
	    hb_container_of(task, struct hb_journal, wake);

	if (!journal->is_closed)
		set_flush(journal, FLUSH_MS);
}

static void
on_flush(struct hb_timer *timer)
{
	struct hb_journal *journal =
	    hb_container_of(timer, struct hb_journal, flush);

	journal->flush_set = false;
	if (!write_all(journal))
		set_flush(journal, RETRY_MS);
	if (!journal->sync_set && journal->out.fd >= 0)
		hb_timer_set(&journal->sync, SYNC_MS);
	journal->sync_set |= journal->out.fd >= 0;
	hb_journal_rewrite_if_due(journal);
}

static void
on_sync(struct hb_timer *timer)
{
	struct hb_journal *journal =
	    hb_container_of(timer, struct hb_journal, sync);

	journal->sync_set = false;
	(void)sync_out(journal);
	hb_journal_show_bytes(journal);
}

/* --- opening and closing -------------------------------------------------- */

static void
journal_unref(struct hb_journal *journal)
{
	if (--journal->refs > 0)
		return;
	free(journal->filling);
	free(journal->writing);
	free(journal->endpoints);
	free(journal->files);
	free(journal);
}

static void
stop_timers(struct hb_journal *journal)
{
	hb_timer_fini(&journal->flush);
	hb_timer_fini(&journal->sync);
}

/* A task may be in the mailbox when the journal is closed; the loop outlives
 * it then, and else goes first. */
static void
on_free(struct hb_task *task)
{
	struct hb_journal *journal =
	    hb_container_of(task, struct hb_journal, at_free);

	stop_timers(journal);
	journal->helper = NULL;
	journal_unref(journal);
}

static void
set_endpoints(struct hb_journal *journal, const struct hb_config *cfg)
{
	journal->endpoint_count = cfg->endpoint_count;
	journal->endpoints =
	    hb_xcalloc(cfg->endpoint_count, sizeof(*journal->endpoints));
}

static void
set_size(struct hb_journal *journal, const struct hb_config *cfg)
{
	journal->window_s = cfg->dedup.window_ms / 1000;
	journal->generation_records = cfg->dedup.max_entries / GENERATIONS;
	if (journal->generation_records < GENERATION_RECORDS_MIN)
		journal->generation_records = GENERATION_RECORDS_MIN;
	hb_journal_rewrite_init(journal);
}

static struct hb_journal *
journal_new(const struct hb_journal_env *env, const uint8_t *seed)
{
	struct hb_journal *journal = hb_xcalloc(1, sizeof(*journal));

	journal->refs = 1;
	journal->lock = env->lock;
	journal->seen = env->seen;
	journal->out.fd = journal->draft.fd = -1;
	journal->dir.fd = journal->dir.lock = -1;
	memcpy(journal->seed, seed, sizeof(journal->seed));
	journal->filling =
	    hb_xcalloc(HB_JOURNAL_BUFFER, sizeof(*journal->filling));
	journal->writing =
	    hb_xcalloc(HB_JOURNAL_BUFFER, sizeof(*journal->writing));
	set_endpoints(journal, env->cfg);
	set_size(journal, env->cfg);
	return journal;
}

/* From here on the loop knows of it. */
static void
join_loop(struct hb_journal *journal, struct hb_loop *helper)
{
	journal->helper = helper;
	journal->wake.run = on_wake;
	journal->at_free.run = on_free;
	hb_timer_init(&journal->flush, helper, on_flush);
	hb_timer_init(&journal->sync, helper, on_sync);
	hb_loop_at_free(helper, &journal->at_free);
	journal->refs++;
}

struct hb_journal *
hb_journal_open(const struct hb_journal_env *env,
    uint8_t seed[HB_JOURNAL_SEED_SIZE], struct hb_error *err)
{
	struct hb_journal *journal = journal_new(env, seed);

	if (!hb_journal_dir_open(
		&journal->dir, env->cfg->spool.directory, err) ||
	    !hb_journal_load(journal, env->cfg, err)) {
		hb_journal_out_close(&journal->out);
		hb_journal_dir_close(&journal->dir);
		journal_unref(journal);
		return NULL;
	}
	memcpy(seed, journal->seed, sizeof(journal->seed));
	drop_old_files(journal);
	hb_journal_show_bytes(journal);
	join_loop(journal, env->helper);
	return journal;
}

/* Once more, where a file broke just now: in a new one. */
static void
write_last(struct hb_journal *journal)
{
	for (int tries = 0; tries < 2; tries++)
		if (write_all(journal) && hb_journal_finish_out(journal))
			return;
	hb_log(HB_LOG_WARNING, "dedup.dropped",
	    HB_F_U64("records", journal->to_write - journal->written),
	    HB_F_STR("directory", journal->dir.path),
	    HB_F_STR("reason", "the disk refuses them"));
}

void
hb_journal_close(struct hb_journal *journal)
{
	if (journal == NULL)
		return;
	journal->is_closed = true;
	if (journal->helper != NULL)
		stop_timers(journal);
	hb_journal_rewrite_stop(journal);
	write_last(journal);
	leave_out(journal);
	hb_journal_dir_close(&journal->dir);
	journal_unref(journal);
}

void
hb_journal_stats(
    const struct hb_journal *journal, uint64_t *bytes, bool *broken)
{
	*bytes = journal->bytes;
	*broken = journal->is_broken;
}
