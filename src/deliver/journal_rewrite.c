/* SPDX-License-Identifier: Apache-2.0 */
/* journal_rewrite.c - all that counts, in one file instead of many
 *
 * When there is twice as much on disk as the table can hold, at least half of
 * it was evicted. A draft is filled with the entries of the table, some at each
 * turn of the loop, while what changes meanwhile goes to a file that comes
 * after it. Once the draft is synced it gets its name, and all before it go.
 *
 * What is evicted while the table is walked may be in the draft, which costs
 * space; what is forgotten is forgotten in the file behind it; what is made may
 * be in both, which is the same twice. Whatever goes wrong, the draft goes, and
 * the files before it stay. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/mem.h"
#include "journal_parts.h"

/* Files end early where a disk fails now and then. */
#define FILES_MAX 64

static void on_step(struct hb_task *task);

/* Not again before it is worth it. */
static void
set_limit(struct hb_journal *journal)
{
	uint64_t least = 16 * journal->generation_records;
	uint64_t more =
	    hb_journal_records(journal) + 2 * journal->generation_records;

	journal->rewrite_above = more > least ? more : least;
}

void
hb_journal_rewrite_init(struct hb_journal *journal)
{
	journal->step.run = on_step;
	set_limit(journal);
}

void
hb_journal_rewrite_stop(struct hb_journal *journal)
{
	if (!journal->is_rewriting)
		return;
	journal->is_rewriting = false;
	(void)unlinkat(journal->dir.fd, HB_JOURNAL_DRAFT, 0);
	hb_journal_out_close(&journal->draft);
	set_limit(journal);
}

static void
fail(struct hb_journal *journal, const char *doing)
{
	hb_journal_trouble(journal, doing);
	hb_journal_rewrite_stop(journal);
}

static void
begin(struct hb_journal *journal)
{
	struct hb_journal_header header;

	(void)hb_journal_finish_out(journal);
	hb_journal_make_header(journal, journal->next_number++, &header);
	header.flags = HB_JOURNAL_REWRITTEN;
	journal->is_rewriting = true;
	if (!hb_journal_out_begin(&journal->draft, &journal->dir,
		HB_JOURNAL_DRAFT, &header)) {
		fail(journal, "beginning a draft");
		return;
	}
	pthread_mutex_lock(journal->lock);
	hb_seen_walk_begin(journal->seen);
	pthread_mutex_unlock(journal->lock);
	hb_loop_post(journal->helper, &journal->step);
}

void
hb_journal_rewrite_if_due(struct hb_journal *journal)
{
	if (!journal->is_rewriting &&
	    (hb_journal_records(journal) > journal->rewrite_above ||
		journal->file_count > FILES_MAX))
		begin(journal);
}

/* The draft takes the place of all that were there when it was begun. */
static void
replace(struct hb_journal *journal, const struct hb_journal_file *file)
{
	size_t before = 0;

	while (before < journal->file_count &&
	       journal->files[before].number < file->number)
		before++;
	hb_journal_drop_files(journal, before);
	hb_journal_add_file(journal, file);
	memmove(journal->files + 1, journal->files,
	    (journal->file_count - 1) * sizeof(*file));
	journal->files[0] = *file;
}

static void
finish(struct hb_journal *journal)
{
	struct hb_journal_file file = journal->draft.file;
	char name[HB_JOURNAL_NAME];

	hb_journal_dir_name(file.number, name);
	if (!hb_journal_out_sync(&journal->draft, &journal->dir) ||
	    renameat(journal->dir.fd, HB_JOURNAL_DRAFT, journal->dir.fd,
		name) != 0 ||
	    !hb_dir_sync(journal->dir.fd)) {
		fail(journal, "finishing a draft");
		(void)unlinkat(journal->dir.fd, name, 0);
		return;
	}
	hb_journal_out_close(&journal->draft);
	journal->is_rewriting = false;
	replace(journal, &file);
	set_limit(journal);
	hb_journal_show_bytes(journal);
}

/* Some more; false at the end, or when it failed. */
static bool
go_on(struct hb_journal *journal)
{
	struct hb_seen_item items[HB_JOURNAL_BATCH];
	struct hb_journal_record records[HB_JOURNAL_BATCH];
	size_t count;

	pthread_mutex_lock(journal->lock);
	count = hb_seen_walk(journal->seen, items, HB_COUNT(items));
	pthread_mutex_unlock(journal->lock);
	hb_journal_records_of(journal, items, count, records);
	if (!hb_journal_out_write(&journal->draft, records, count)) {
		fail(journal, "writing a draft");
		return false;
	}
	for (size_t i = 0; i < count; i++)
		if (items[i].settled_s > journal->draft.file.newest_s)
			journal->draft.file.newest_s = items[i].settled_s;
	if (count < HB_COUNT(items))
		finish(journal);
	return count == HB_COUNT(items);
}

static void
on_step(struct hb_task *task)
{
	struct hb_journal *journal =
	    hb_container_of(task, struct hb_journal, step);

	if (journal->is_rewriting && go_on(journal))
		hb_loop_post(journal->helper, task);
}
