/* SPDX-License-Identifier: Apache-2.0 */
/* spool_rig.h - a spool in a directory of its own, and a disk that fails
 *
 * rig_append() waits until its record is settled one way or the other. The
 * system calls that change a disk go through the rig: it counts them and can
 * make the n-th one fail. */
#ifndef HB_TEST_SPOOL_RIG_H
#define HB_TEST_SPOOL_RIG_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/spool/parts.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

/* --- the disk ------------------------------------------------------------- */

enum rig_call {
	RIG_WRITE,
	RIG_SYNC,
	RIG_OPEN,
	RIG_RENAME,
	RIG_ALLOCATE,
	RIG_UNLINK,
	RIG_CALLS
};

static _Atomic unsigned rig_calls[RIG_CALLS];
/* Which of all calls fail: from the first to before the last, so many of each
 * kind having gone before; with this error. */
static _Atomic unsigned rig_all, rig_fail_first, rig_fail_end;
static _Atomic int rig_fail_error;
static _Atomic unsigned rig_fail_kinds = UINT_MAX; /* bits: which kinds */
static _Atomic bool rig_fail_short; /* writes: half of it, then the error */
/* Syncs are counted, and fail, but are not done, nor is there a disk: no power
 * is cut, and there are thousands of them. */
static bool rig_skips_syncs;
/* Names have changed since a directory was synced; and whether a file that had
 * another name was written over then. */
static _Atomic bool rig_is_renamed, rig_reused_too_early;
/* So many reads, and closes, from the next one on: these are not counted. */
static _Atomic int rig_fail_reads, rig_fail_closes;

static inline bool
rig_fails(enum rig_call call)
{
	unsigned n = atomic_fetch_add(&rig_all, 1) + 1;

	atomic_fetch_add(&rig_calls[call], 1);
	if (n < rig_fail_first || n >= rig_fail_end ||
	    (rig_fail_kinds >> call & 1) == 0)
		return false;
	errno = rig_fail_error;
	return true;
}

/* The calls from the n-th (1: the next) to before the end fail. */
static inline void
rig_fail(unsigned n, unsigned count, int error)
{
	rig_fail_error = error;
	rig_fail_first = n > 0 ? rig_all + n : 0;
	rig_fail_end = n > 0 ? rig_all + n + count : 0;
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	if (rig_fails(RIG_WRITE)) {
		if (rig_fail_short && len > 1)
			syscall(SYS_pwrite64, fd, data, len / 2, offset);
		errno = rig_fail_error;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, data, len, offset);
}

int
fdatasync(int fd)
{
	if (rig_fails(RIG_SYNC))
		return -1;
	return rig_skips_syncs ? 0 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	if (rig_fails(RIG_SYNC))
		return -1;
	rig_is_renamed = false;
	return rig_skips_syncs ? 0 : (int)syscall(SYS_fsync, fd);
}

int
openat(int dir, const char *name, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = va_arg(ap, int);
	va_end(ap);
	if ((flags & O_ACCMODE) != O_RDONLY && rig_fails(RIG_OPEN))
		return -1;
	if (strncmp(name, "pool-", 5) == 0 && (flags & O_CREAT) == 0 &&
	    rig_is_renamed)
		rig_reused_too_early = true;
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	if (rig_fails(RIG_RENAME))
		return -1;
	rig_is_renamed = true;
	return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	return rig_fails(RIG_ALLOCATE)
		   ? -1
		   : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int
unlinkat(int dir, const char *name, int flags)
{
	if (rig_fails(RIG_UNLINK))
		return -1;
	rig_is_renamed = true;
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	if (rig_fail_reads > 0) {
		rig_fail_reads--;
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, len, offset);
}

/* It is closed whatever close() says; a sanitizer has to know. */
int
close(int fd)
{
	static int (*next)(int fd);
	int rc;

	if (next == NULL)
		next = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "close");
	rc = next(fd);
	if (rig_fail_closes > 0) {
		rig_fail_closes--;
		errno = EIO;
		return -1;
	}
	return rc;
}

/* --- directories ---------------------------------------------------------- */

#define RIG_PATH 128
#define RIG_SEGMENT HB_SPOOL_FILE_MIN

#define RIG_ROOT "/hb-spool-XXXXXX"

static char rig_root[32];

static inline int
rig_setup(void **state)
{
	(void)state;
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	snprintf(rig_root, sizeof(rig_root), "/tmp" RIG_ROOT);
	return mkdtemp(rig_root) != NULL ? 0 : -1;
}

static inline void
rig_each_file(
    const char *path, void (*each)(const char *name, const char *file))
{
	DIR *stream = opendir(path);
	struct dirent *entry;

	if (stream == NULL)
		return;
	while ((entry = readdir(stream)) != NULL) {
		char file[2 * RIG_PATH + 256];

		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.')
			each(entry->d_name, file);
	}
	closedir(stream);
}

static inline void
rig_remove_file(const char *name, const char *file)
{
	(void)name;
	unlink(file);
}

static inline void
rig_remove(const char *path)
{
	rig_each_file(path, rig_remove_file);
	rmdir(path);
}

static inline int
rig_setup_fast(void **state)
{
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	rig_skips_syncs = true;
	snprintf(rig_root, sizeof(rig_root), "/dev/shm" RIG_ROOT);
	return mkdtemp(rig_root) != NULL ? 0 : rig_setup(state);
}

static inline int
rig_teardown(void **state)
{
	(void)state;
	rmdir(rig_root);
	return 0;
}

/* A name that is free. */
static inline const char *
rig_path(char path[RIG_PATH])
{
	static unsigned number;

	snprintf(path, RIG_PATH, "%s/%u", rig_root, number++);
	return path;
}

static const char *rig_copy_to;

static inline void
rig_copy_file(const char *name, const char *file)
{
	char to[2 * RIG_PATH + 256];
	static char bytes[RIG_SEGMENT];
	int in = open(file, O_RDONLY), out;
	ssize_t n;

	snprintf(to, sizeof(to), "%s/%s", rig_copy_to, name);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(out >= 0);
	while (in >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	if (in >= 0)
		close(in);
	close(out);
}

/* The files as they are now. */
static inline void
rig_copy(const char *from, const char *to)
{
	mkdir(to, 0700);
	rig_copy_to = to;
	rig_each_file(from, rig_copy_file);
}

static unsigned rig_counted;
static const char *rig_suffix;

static inline void
rig_count_file(const char *name, const char *file)
{
	(void)file;
	rig_counted += strstr(name, rig_suffix) != NULL;
}

static inline unsigned
rig_count_files(const char *path, const char *part)
{
	rig_counted = 0;
	rig_suffix = part;
	rig_each_file(path, rig_count_file);
	return rig_counted;
}

/* The segment file that was begun first, or last. */
static char rig_found[2 * RIG_PATH + 256];
static bool rig_want_last;

static inline void
rig_find_file(const char *name, const char *file)
{
	int order = strcmp(file, rig_found);

	if (strstr(name, ".seg") != NULL &&
	    (rig_found[0] == '\0' || (rig_want_last ? order > 0 : order < 0)))
		snprintf(rig_found, sizeof(rig_found), "%s", file);
}

static inline const char *
rig_segment(const char *path, bool last)
{
	rig_found[0] = '\0';
	rig_want_last = last;
	rig_each_file(path, rig_find_file);
	assert_true(rig_found[0] != '\0');
	return rig_found;
}

/* --- a spool -------------------------------------------------------------- */

struct rig {
	char path[RIG_PATH];
	struct hb_spool *spool;
	struct hb_loop *loop; /* where done runs */
};

/* To read: nothing can be appended. */
static inline void
rig_open_to_read(struct rig *rig, uint64_t max_size)
{
	struct hb_spool_options options = {.directory = rig->path,
	    .max_size = max_size,
	    .segment_size = RIG_SEGMENT};
	struct hb_error err = {0};

	rig->spool = hb_spool_open(&options, &err);
	if (rig->spool == NULL)
		fail_msg("%s", err.text);
	rig->loop = NULL;
}

static inline void
rig_open_size(struct rig *rig, uint64_t max_size)
{
	struct hb_error err = {0};

	rig_open_to_read(rig, max_size);
	rig->loop = hb_loop_new("home", &err);
	assert_non_null(rig->loop);
	assert_true(hb_loop_start(rig->loop, &err));
}

static inline void
rig_open(struct rig *rig)
{
	rig_open_size(rig, 64 * RIG_SEGMENT);
}

static inline void
rig_close(struct rig *rig)
{
	hb_spool_close(rig->spool);
	rig->spool = NULL;
	if (rig->loop == NULL)
		return;
	hb_loop_stop(rig->loop);
	hb_loop_join(rig->loop);
	hb_loop_free(rig->loop);
}

static inline void
rig_start(struct rig *rig)
{
	rig_path(rig->path);
	rig_open(rig);
}

static inline void
rig_end(struct rig *rig)
{
	rig_close(rig);
	rig_remove(rig->path);
}

static inline struct hb_spool_lane *
rig_lane(struct rig *rig, const char *name)
{
	return hb_spool_lane(rig->spool, hb_span_of(name));
}

/* --- appending ------------------------------------------------------------ */

static pthread_mutex_t rig_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rig_changed = PTHREAD_COND_INITIALIZER;

struct rig_item {
	struct hb_spool_append append;
	struct iovec part;
	bool is_done;
};

static inline void
rig_on_done(struct hb_spool_append *append)
{
	struct rig_item *item =
	    hb_container_of(append, struct rig_item, append);

	pthread_mutex_lock(&rig_lock);
	item->is_done = true;
	pthread_cond_broadcast(&rig_changed);
	pthread_mutex_unlock(&rig_lock);
}

static inline void
rig_send(struct rig *rig, struct rig_item *item, struct hb_spool_lane *lane,
    const void *bytes, size_t len)
{
	*item = (struct rig_item){.part = {(void *)(uintptr_t)bytes, len}};
	item->append.lane = lane;
	item->append.parts = &item->part;
	item->append.part_count = 1;
	item->append.home = rig->loop;
	item->append.done = rig_on_done;
	hb_spool_append(&item->append);
}

static inline bool
rig_wait(struct rig_item *item)
{
	pthread_mutex_lock(&rig_lock);
	while (!item->is_done)
		pthread_cond_wait(&rig_changed, &rig_lock);
	pthread_mutex_unlock(&rig_lock);
	return item->append.ok;
}

/* What it is settled by; a seq of 0 if it was refused. */
static inline struct hb_spool_ref
rig_append(struct rig *rig, struct hb_spool_lane *lane, const void *bytes,
    size_t len, struct hb_error *err)
{
	struct rig_item item;

	rig_send(rig, &item, lane, bytes, len);
	if (rig_wait(&item))
		return item.append.ref;
	if (err != NULL)
		*err = item.append.err;
	return (struct hb_spool_ref){.lane = lane};
}

static inline struct hb_spool_ref
rig_put(struct rig *rig, const char *lane, const char *text)
{
	return rig_append(
	    rig, rig_lane(rig, lane), text, strlen(text), NULL);
}

/* --- reading -------------------------------------------------------------- */

/* What a lane holds, each text followed by a blank. */
static inline char *
rig_texts(struct rig *rig, const char *lane)
{
	static char texts[64 * 1024];
	struct hb_spool_cursor *cursor =
	    hb_spool_cursor_new(rig_lane(rig, lane), NULL, NULL, NULL);
	struct hb_spool_record record;
	struct hb_error err;
	size_t len = 0;

	while (hb_spool_cursor_next(cursor, &record, &err) ==
	       HB_SPOOL_RECORD) {
		assert_true(len + record.ref.len + 2 < sizeof(texts));
		memcpy(texts + len, record.bytes, record.ref.len);
		len += record.ref.len;
		texts[len++] = ' ';
		free(record.bytes);
	}
	texts[len] = '\0';
	hb_spool_cursor_free(cursor);
	return texts;
}

/* --- counting ------------------------------------------------------------- */

/* "a 3 15, b 1 2, ": each lane with its records and bytes. */
struct rig_counts {
	char text[1024];
	size_t len;
};

static inline void
rig_add_counts(void *arg, struct hb_span lane,
    const struct hb_spool_lane_stats *stats)
{
	struct rig_counts *counts = arg;

	if (stats->records == 0)
		return;
	counts->len += (size_t)snprintf(counts->text + counts->len,
	    sizeof(counts->text) - counts->len, "%.*s %llu %llu, ",
	    (int)lane.len, lane.ptr, (unsigned long long)stats->records,
	    (unsigned long long)stats->bytes);
	assert_true(counts->len < sizeof(counts->text));
}

/* Of a directory, looked at from outside. */
static inline struct rig_counts
rig_survey(const char *path)
{
	struct rig_counts counts = {.len = 0};
	struct hb_error err = {0};

	if (!hb_spool_survey(path, rig_add_counts, &counts, &err))
		fail_msg("%s", err.text);
	return counts;
}

/* Of a spool that is open. */
static inline struct rig_counts
rig_counts(struct rig *rig)
{
	struct rig_counts counts = {.len = 0};
	struct hb_spool_lane *lane = NULL;

	while ((lane = hb_spool_lane_next(rig->spool, lane)) != NULL) {
		struct hb_spool_lane_stats stats;

		hb_spool_lane_stats(lane, &stats);
		rig_add_counts(&counts, hb_spool_lane_name(lane), &stats);
	}
	return counts;
}

/* --- the writer ----------------------------------------------------------- */

/* Whether the writer sleeps, with nothing under way. */
static inline bool
rig_is_asleep(struct rig *rig)
{
	bool is_asleep;

	pthread_mutex_lock(&rig->spool->lock);
	is_asleep = rig->spool->is_asleep;
	pthread_mutex_unlock(&rig->spool->lock);
	return is_asleep;
}

/* The files as they were at one moment: what a crash would leave. */
static inline const char *
rig_snapshot(struct rig *rig, char copy[RIG_PATH])
{
	for (;;) {
		unsigned calls = rig_all;
		bool was_asleep = rig_is_asleep(rig);

		rig_copy(rig->path, rig_path(copy));
		if (was_asleep && rig_is_asleep(rig) && rig_all == calls)
			return copy;
		rig_remove(copy);
	}
}

static inline int64_t
rig_metric(enum hb_metric_family family)
{
	return hb_metric_value(hb_metric_get(family, NULL, NULL, NULL, NULL));
}

/* Until the writer has written what was settled, and used files again. */
static inline void
rig_rest(struct rig *rig)
{
	bool is_asleep = false;

	while (!is_asleep) {
		usleep(1000);
		pthread_mutex_lock(&rig->spool->lock);
		is_asleep = rig->spool->is_asleep &&
			    rig->spool->flush_ms == 0 &&
			    !rig->spool->wants_retiring;
		pthread_mutex_unlock(&rig->spool->lock);
	}
}

#endif
