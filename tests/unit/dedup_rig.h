/* SPDX-License-Identifier: Apache-2.0 */
/* dedup_rig.h - a table that lasts, in a directory of its own
 *
 * rig_open() and rig_close() are a life of it; clocks stand still, and
 * rig_pass() moves both. The helper's loop runs when it is told to: until the
 * files have a size, rig_run(). */
#ifndef HB_TEST_DEDUP_RIG_H
#define HB_TEST_DEDUP_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/deliver/journal_parts.h"
#include "hookbridge/clock.h"
#include "hookbridge/crc32c.h"
#include "hookbridge/dedup.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

#define RIG_WINDOW_S (48 * 3600)
#define RIG_WALL_MS INT64_C(1800000000000)
#define RIG_FILES_MAX 256

struct rig {
	struct hb_endpoint_conf endpoints[3];
	struct hb_config cfg;
	char path[64];   /* spool.directory */
	char folder[80]; /* where the journal is */
	struct hb_loop *helper;
	struct hb_dedup *dedup;
	uint64_t mono_ms;
	int64_t wall_ms;

	struct hb_timer poll;
	bool (*is_done)(struct rig *rig);
	uint64_t wanted;
};

static inline void
rig_set_clocks(struct rig *rig)
{
	hb_clock_freeze(rig->mono_ms, rig->wall_ms);
}

static inline void
rig_pass(struct rig *rig, uint64_t seconds)
{
	rig->mono_ms += seconds * 1000;
	rig->wall_ms += (int64_t)seconds * 1000;
	rig_set_clocks(rig);
}

/* A new directory, and the configuration of so many endpoints. */
static inline void
rig_init(struct rig *rig, size_t endpoints, uint64_t max_entries)
{
	static const char *const names[] = {"one", "two", "three"};
	const char *tmp = getenv("TMPDIR");

	memset(rig, 0, sizeof(*rig));
	for (unsigned i = 0; i < HB_COUNT(rig->endpoints); i++)
		rig->endpoints[i] = (struct hb_endpoint_conf){.index = i,
		    .name = names[i],
		    .mode = HB_MODE_SVIX,
		    .tolerance_ms = 300000,
		    .dedup = true};
	snprintf(rig->path, sizeof(rig->path), "%s/hb-dedup-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(rig->path));
	snprintf(rig->folder, sizeof(rig->folder), "%s/seen", rig->path);
	rig->cfg.endpoints = rig->endpoints;
	rig->cfg.endpoint_count = endpoints;
	rig->cfg.dedup.window_ms = RIG_WINDOW_S * UINT64_C(1000);
	rig->cfg.dedup.max_entries = max_entries;
	rig->cfg.spool.directory = rig->path;
	rig->mono_ms = 1000000;
	rig->wall_ms = RIG_WALL_MS;
	rig_set_clocks(rig);
}

static inline bool
rig_try_open(struct rig *rig, struct hb_error *err)
{
	rig->helper = hb_loop_new("helper", NULL);
	assert_non_null(rig->helper);
	rig->dedup = hb_dedup_new(&rig->cfg, rig->helper, err);
	if (rig->dedup == NULL)
		hb_loop_free(rig->helper);
	return rig->dedup != NULL;
}

static inline void
rig_open(struct rig *rig)
{
	struct hb_error err = {0};

	if (!rig_try_open(rig, &err))
		fail_msg("%s", err.text);
}

static inline void
rig_close(struct rig *rig)
{
	hb_dedup_free(rig->dedup);
	hb_loop_free(rig->helper);
}

static inline void
rig_reopen(struct rig *rig)
{
	rig_close(rig);
	rig_open(rig);
}

/* --- what is in the directory --------------------------------------------- */

/* Names of the generations, in order. */
static inline size_t
rig_list(const struct rig *rig, char names[][HB_JOURNAL_NAME])
{
	struct dirent **entries;
	int found = scandir(rig->folder, &entries, NULL, alphasort);
	size_t count = 0;

	assert_true(found >= 0);
	for (int i = 0; i < found; i++) {
		const char *name = entries[i]->d_name;

		if (strstr(name, ".seen") != NULL && count < RIG_FILES_MAX)
			snprintf(names[count++], HB_JOURNAL_NAME, "%.23s",
			    name);
		free(entries[i]);
	}
	free(entries);
	return count;
}

static inline size_t
rig_count_files(const struct rig *rig)
{
	static char names[RIG_FILES_MAX][HB_JOURNAL_NAME];

	return rig_list(rig, names);
}

static inline void
rig_file(const struct rig *rig, const char *name, char path[160])
{
	snprintf(path, 160, "%s/%s", rig->folder, name);
}

static inline uint8_t *
rig_read(const struct rig *rig, const char *name, size_t *size)
{
	char path[160];
	struct stat st;
	uint8_t *bytes;
	int fd;

	rig_file(rig, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*size = (size_t)st.st_size;
	bytes = hb_xmalloc(*size);
	assert_int_equal(read(fd, bytes, *size), st.st_size);
	close(fd);
	return bytes;
}

static inline void
rig_put(const struct rig *rig, const char *name, const uint8_t *bytes,
    size_t size)
{
	char path[160];
	int fd;

	rig_file(rig, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* Removes all in the folder. */
static inline void
rig_empty(const struct rig *rig)
{
	DIR *stream = opendir(rig->folder);
	struct dirent *entry;
	char path[340];

	if (stream == NULL)
		return;
	while ((entry = readdir(stream)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", rig->folder,
		    entry->d_name);
		(void)unlink(path);
	}
	closedir(stream);
}

static inline void
rig_fini(struct rig *rig)
{
	rig_empty(rig);
	(void)rmdir(rig->folder);
	assert_int_equal(rmdir(rig->path), 0);
	hb_clock_thaw();
}

static inline void
rig_end(struct rig *rig)
{
	rig_close(rig);
	rig_fini(rig);
}

/* --- ids ------------------------------------------------------------------ */

static inline enum hb_claim
rig_claim(struct rig *rig, unsigned endpoint, const char *id, uint64_t digest,
    struct hb_dedup_flight *flight)
{
	static struct hb_dedup_waiter unused;

	return hb_dedup_claim(rig->dedup, &rig->endpoints[endpoint],
	    hb_span_of(id), digest, flight, &unused);
}

/* Claims and settles; false when the claim was not new. */
static inline bool
rig_settle(struct rig *rig, unsigned endpoint, const char *id)
{
	struct hb_dedup_flight flight;

	if (rig_claim(rig, endpoint, id, 0, &flight) != HB_CLAIM_NEW)
		return false;
	hb_dedup_end(rig->dedup, &flight, HB_CONFIRMED);
	return true;
}

static inline void
rig_settle_many(struct rig *rig, unsigned endpoint, unsigned from,
    unsigned count, uint64_t seconds)
{
	char id[32];

	for (unsigned i = from; i < from + count; i++) {
		snprintf(id, sizeof(id), "msg_%u", i);
		assert_true(rig_settle(rig, endpoint, id));
		rig_pass(rig, seconds);
	}
}

/* Without a trace. */
static inline bool
rig_is_seen(struct rig *rig, unsigned endpoint, const char *id)
{
	struct hb_dedup_flight flight;
	enum hb_claim claim = rig_claim(rig, endpoint, id, 0, &flight);

	if (claim == HB_CLAIM_NEW)
		hb_dedup_end(rig->dedup, &flight, HB_UNSETTLED);
	return claim == HB_CLAIM_SEEN;
}

/* How many of msg_FROM, … are seen. */
static inline unsigned
rig_count_seen(
    struct rig *rig, unsigned endpoint, unsigned from, unsigned count)
{
	unsigned seen = 0;
	char id[32];

	for (unsigned i = from; i < from + count; i++) {
		snprintf(id, sizeof(id), "msg_%u", i);
		seen += rig_is_seen(rig, endpoint, id) ? 1 : 0;
	}
	return seen;
}

static inline struct hb_dedup_stats
rig_stats(struct rig *rig)
{
	struct hb_dedup_stats stats;

	hb_dedup_stats(rig->dedup, &stats);
	return stats;
}

/* --- the helper ----------------------------------------------------------- */

static inline void
rig_on_poll(struct hb_timer *timer)
{
	struct rig *rig = hb_container_of(timer, struct rig, poll);

	if (rig->is_done(rig))
		hb_loop_stop(rig->helper);
	else
		hb_timer_set(timer, 1);
}

/* Runs the helper until something is so. */
static inline void
rig_run_until(struct rig *rig, bool (*is_done)(struct rig *rig))
{
	rig->is_done = is_done;
	hb_timer_init(&rig->poll, rig->helper, rig_on_poll);
	hb_timer_set(&rig->poll, 1);
	hb_loop_run(rig->helper);
	hb_timer_fini(&rig->poll);
}

static inline bool
rig_has_size(struct rig *rig)
{
	return rig_stats(rig).bytes >= rig->wanted;
}

/* Until the files have that many bytes more than now. */
static inline void
rig_run(struct rig *rig, uint64_t more)
{
	rig->wanted = rig_stats(rig).bytes + more;
	rig_run_until(rig, rig_has_size);
}

#endif
