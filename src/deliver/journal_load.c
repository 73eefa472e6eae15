/* SPDX-License-Identifier: Apache-2.0 */
/* journal_load.c - what earlier lives have left
 *
 * First all headers are looked at: where one is of a version that we do not
 * know, nothing is touched. Then the files are read, oldest first, so that of
 * too many entries the newest stay. Ages are by the wall clock, of what seems
 * to be of the future none.
 *
 * The last file is written on: what is torn at its end is cut off. Nothing that
 * stands in a file can hinder the start, other than its version: what is
 * damaged is passed over, counted and logged, and goes with its window. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "journal_parts.h"

struct found {
	uint64_t number, size;
	enum hb_journal_got got;
	struct hb_journal_header header;
};

struct owner {
	uint64_t hash;
	unsigned endpoint;
};

struct loading {
	struct hb_journal *journal;
	struct owner *owners, *recent; /* sorted; the one found last */
	uint32_t now_s;
	int64_t wall_s;
	struct hb_journal_file file;
	uint64_t damaged;

	struct found *found;
	size_t count;
};

/* --- whose it is ---------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint64_t
hash_of(const struct hb_journal *journal, const char *name)
{
	struct hb_span pieces[] = {
	    {(const char *)journal->seed, sizeof(journal->seed)},
	    hb_span_of(name)};
	uint8_t digest[HB_SHA256_SIZE];
	uint64_t hash;

	hb_sha256_pieces(pieces, HB_COUNT(pieces), digest);
	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

/* Today's endpoints, for the files to be read and for those to be written. */
static void
set_owners(struct loading *loading, const struct hb_config *cfg)
{
	struct hb_journal *journal = loading->journal;
	size_t count = cfg->endpoint_count;

	loading->owners = hb_xcalloc(count, sizeof(*loading->owners));
	loading->recent = loading->owners;
	for (size_t i = 0; i < count; i++) {
		journal->endpoints[i] =
		    hash_of(journal, cfg->endpoints[i].name);
		loading->owners[i] = (struct owner){
		    journal->endpoints[i], cfg->endpoints[i].index};
	}
	if (count > 0)
		qsort(loading->owners, count, sizeof(struct owner), compare);
}

static bool
find_owner(struct loading *loading, uint64_t hash)
{
	size_t count = loading->journal->endpoint_count;
	struct owner key = {.hash = hash}, *owner;

	if (count > 0 && loading->recent->hash == hash)
		return true;
	owner = count > 0 ? bsearch(&key, loading->owners, count,
				sizeof(key), compare)
			  : NULL;
	if (owner != NULL)
		loading->recent = owner;
	return owner != NULL;
}

/* --- records -------------------------------------------------------------- */

/* Seconds, at most the window. */
static uint32_t
age_of(const struct loading *loading, int64_t then_s)
{
	uint64_t age = then_s < loading->wall_s
			   ? (uint64_t)loading->wall_s - (uint64_t)then_s
			   : 0;
	uint64_t window_s = loading->journal->window_s;

	return (uint32_t)(age < window_s ? age : window_s);
}

static void
load_record(struct loading *loading, const struct hb_journal_record *record)
{
	struct hb_journal *journal = loading->journal;
	struct hb_seen_item item = {.key = {record->key[0], record->key[1]},
	    .digest = record->digest};
	uint32_t age = age_of(loading, record->settled_s);

	item.settled_s = loading->now_s - age;
	if (item.settled_s > loading->file.newest_s)
		loading->file.newest_s = item.settled_s;
	if (record->type == HB_JOURNAL_FORGET) {
		hb_seen_forget(journal->seen, record->key);
	} else if (age < journal->window_s &&
		   find_owner(loading, record->endpoint)) {
		item.endpoint = loading->recent->endpoint & INT32_MAX;
		hb_seen_load(journal->seen, &item);
	}
}

static void
on_records(void *arg, const struct hb_journal_record *records, size_t count)
{
	struct loading *loading = arg;

	for (size_t i = 0; i < count; i++)
		hb_seen_prefetch(loading->journal->seen, records[i].key);
	for (size_t i = 0; i < count; i++)
		load_record(loading, &records[i]);
}

/* --- files ---------------------------------------------------------------- */

static int
open_file(const struct loading *loading, uint64_t number, int flags)
{
	char name[HB_JOURNAL_NAME];

	hb_journal_dir_name(number, name);
	return openat(loading->journal->dir.fd, name,
	    flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static void
tell_damage(struct loading *loading, uint64_t number, const char *what,
    uint64_t records)
{
	char name[HB_JOURNAL_NAME];

	hb_journal_dir_name(number, name);
	loading->damaged += records;
	hb_log(HB_LOG_WARNING, "dedup.damaged",
	    HB_F_STR("directory", loading->journal->dir.path),
	    HB_F_STR("file", name), HB_F_STR("reason", what),
	    HB_F_U64("records", records));
}

static bool
look_at(struct loading *loading, struct found *found, struct hb_error *err)
{
	const char *path = loading->journal->dir.path;
	int fd = open_file(loading, found->number, O_RDONLY);
	char name[HB_JOURNAL_NAME];
	struct stat st;

	hb_journal_dir_name(found->number, name);
	if (fd < 0 || fstat(fd, &st) != 0) {
		hb_fail(err, HB_E_CONFIG, "%s/%s: %s", path, name,
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	found->size = (uint64_t)st.st_size;
	found->got = hb_journal_read_header(fd, &found->header);
	close(fd);
	if (found->got == HB_JOURNAL_FOREIGN)
		return hb_fail(err, HB_E_CONFIG,
		    "%s/%s: another version of hookbridge wrote this; run that "
		    "one, or remove the directory, after which repeated "
		    "webhooks are delivered again", path, name);
	if (found->header.number != found->number)
		found->got = HB_JOURNAL_BAD;
	return true;
}

static bool
look_at_all(struct loading *loading, struct hb_error *err)
{
	uint64_t *numbers;
	bool ok = hb_journal_dir_list(
	    &loading->journal->dir, &numbers, &loading->count, err);

	loading->found = hb_xcalloc(loading->count, sizeof(*loading->found));
	for (size_t i = 0; i < loading->count && ok; i++) {
		loading->found[i].number = numbers[i];
		ok = look_at(loading, &loading->found[i], err);
	}
	free(numbers);
	return ok;
}

/* The newest one's, if any has one. */
static void
choose_seed(struct loading *loading)
{
	struct hb_journal *journal = loading->journal;

	for (size_t i = loading->count; i-- > 0;)
		if (loading->found[i].got == HB_JOURNAL_GOOD) {
			memcpy(journal->seed, loading->found[i].header.seed,
			    sizeof(journal->seed));
			return;
		}
}

/* A crash may have left what was rewritten already. */
static size_t
first_that_counts(const struct loading *loading)
{
	for (size_t i = loading->count; i-- > 0;)
		if (loading->found[i].got == HB_JOURNAL_GOOD &&
		    (loading->found[i].header.flags & HB_JOURNAL_REWRITTEN))
			return i;
	return 0;
}

static void
remove_file(const struct loading *loading, uint64_t number)
{
	char name[HB_JOURNAL_NAME];

	hb_journal_dir_name(number, name);
	(void)unlinkat(loading->journal->dir.fd, name, 0);
}

/* Goes on writing to a file, without what is torn at its end. */
static bool
adopt(struct loading *loading, const struct found *found, uint64_t end)
{
	struct hb_journal_out *out = &loading->journal->out;
	int fd = open_file(loading, found->number, O_RDWR);

	if (fd >= 0 && ftruncate(fd, (off_t)end) == 0) {
		*out = (struct hb_journal_out){.fd = fd,
		    .file = loading->file,
		    .begun_s = loading->now_s -
			       age_of(loading, found->header.created_s),
		    .crc_seed = hb_journal_crc_seed(&found->header),
		    .is_dirty = true};
		return true;
	}
	hb_journal_trouble(loading->journal, "opening");
	if (fd >= 0)
		close(fd);
	return false;
}

/* Keeps what cannot be read until its window is over; a header that was torn
 * when a file was begun is not worth a word. */
static void
load_damaged(struct loading *loading, const struct found *found,
    const char *what, bool is_last)
{
	struct hb_journal_file file = {.number = found->number,
	    .records = found->size / HB_JOURNAL_RECORD_SIZE,
	    .newest_s = loading->now_s};

	if (is_last && found->size <= HB_JOURNAL_BLOCK) {
		remove_file(loading, found->number);
		return;
	}
	tell_damage(loading, found->number, what, file.records);
	hb_journal_add_file(loading->journal, &file);
}

static void
load_file(struct loading *loading, const struct found *found, bool is_last)
{
	struct hb_journal_visitor visitor = {on_records, loading};
	struct hb_journal_scan scan = {.end = HB_JOURNAL_BLOCK};
	int fd = open_file(loading, found->number, O_RDONLY);

	loading->file = (struct hb_journal_file){.number = found->number};
	if (fd >= 0) {
		hb_journal_scan(fd, hb_journal_crc_seed(&found->header),
		    &visitor, &scan);
		close(fd);
	}
	if (scan.error != 0)
		tell_damage(loading, found->number, strerror(scan.error), 0);
	if (!is_last && found->size > scan.end)
		scan.bad += (found->size - scan.end) / HB_JOURNAL_RECORD_SIZE;
	if (scan.bad > 0)
		tell_damage(loading, found->number, "checksum", scan.bad);
	loading->file.records =
	    (scan.end - HB_JOURNAL_BLOCK) / HB_JOURNAL_RECORD_SIZE;
	if (!is_last || scan.error != 0 || !adopt(loading, found, scan.end))
		hb_journal_add_file(loading->journal, &loading->file);
}

static void
load_all(struct loading *loading)
{
	const struct hb_journal *journal = loading->journal;
	size_t first = first_that_counts(loading);

	for (size_t i = 0; i < loading->count; i++) {
		const struct found *found = &loading->found[i];
		bool is_last = i + 1 == loading->count;

		if (i < first)
			remove_file(loading, found->number);
		else if (found->got != HB_JOURNAL_GOOD)
			load_damaged(loading, found, "header", is_last);
		else if (memcmp(found->header.seed, journal->seed,
			     sizeof(journal->seed)) != 0)
			load_damaged(loading, found, "seed", is_last);
		else
			load_file(loading, found, is_last);
	}
	(void)unlinkat(journal->dir.fd, HB_JOURNAL_DRAFT, 0);
}

static void
tell_loaded(const struct loading *loading, uint64_t begun_ms)
{
	const struct hb_seen *seen = loading->journal->seen;

	hb_log(HB_LOG_INFO, "dedup.loaded",
	    HB_F_U64("entries", seen->count - seen->forgotten),
	    HB_F_U64("files", loading->count),
	    HB_F_U64("damaged", loading->damaged),
	    HB_F_U64("ms", hb_clock_mono_ms() - begun_ms));
}

bool
hb_journal_load(struct hb_journal *journal, const struct hb_config *cfg,
    struct hb_error *err)
{
	struct loading loading = {.journal = journal,
	    .now_s = hb_seen_now_s(journal->seen),
	    .wall_s = hb_clock_wall_ms() / 1000};
	uint64_t begun_ms = hb_clock_mono_ms();
	bool ok = look_at_all(&loading, err);

	if (ok) {
		choose_seed(&loading);
		set_owners(&loading, cfg);
		load_all(&loading);
		if (loading.count > 0)
			journal->next_number =
			    loading.found[loading.count - 1].number + 1;
		tell_loaded(&loading, begun_ms);
	}
	free(loading.owners);
	free(loading.found);
	return ok;
}
