/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the directory: names, the lock, the budget, files to use again
 *
 *   lock                           flock()ed, holds the pid of who has it
 *   pool-N                         a file whose bytes mean nothing any more
 *   NNNNNNNNNNNNNNNN.seg           a segment
 *   NNNNNNNNNNNNNNNN.quarantined   a segment that was found damaged, kept
 *
 * Writing over blocks that were written before costs the disk half of what new
 * blocks cost, so that settled segments go to the pool. A segment begins as a
 * pool file, new or old alike: it is given header and name only when both are
 * safe on disk. Hence every .seg file has, or had, a good header.
 *
 * The budget counts whole files. Files that are in the pool count too, and are
 * taken first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define LOCK "lock"

static void
count_error(const struct hb_spool_store *store)
{
	if (store->errors != NULL)
		hb_metric_inc(store->errors);
}

bool
hb_spool_store_fail(const struct hb_spool_store *store, struct hb_error *err,
    const char *what, const char *name)
{
	int error = errno;
	bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;

	count_error(store);
	hb_fail(err, is_full ? HB_E_RESOURCE : HB_E_IO, "%s: %s: %s", name,
	    what, strerror(error));
	errno = error;
	return false;
}

void
hb_spool_store_warn(
    const struct hb_spool_store *store, const char *what, const char *name)
{
	struct hb_error err;

	hb_spool_store_fail(store, &err, what, name);
	hb_log_limited(HB_LOG_WARNING, "spool.error",
	    HB_F_STR("directory", store->path), HB_F_STR("error", err.text));
}

/* --- opening -------------------------------------------------------------- */

static void
find_metrics(struct hb_spool_store *store)
{
	store->errors =
	    hb_metric_get(HB_M_SPOOL_ERRORS, NULL, NULL, NULL, NULL);
	store->in_quarantine =
	    hb_metric_get(HB_M_SPOOL_QUARANTINED, NULL, NULL, NULL, NULL);
}

static bool
open_for_writing(struct hb_spool_store *store, struct hb_error *err)
{
	find_metrics(store);
	store->dir = hb_dir_make(AT_FDCWD, store->path, store->path, err);
	if (store->dir < 0)
		return false;
	store->lock = hb_dir_lock(store->dir, LOCK, store->path, err);
	if (store->lock < 0)
		return false;
	/* Only for people to read: on a full disk it is left out. */
	if (!hb_dir_sign(store->lock))
		hb_spool_store_warn(store, "writing our pid", LOCK);
	return true;
}

bool
hb_spool_store_open(struct hb_spool_store *store, const char *path,
    bool for_writing, struct hb_error *err)
{
	store->path = hb_xstrdup(path);
	store->lock = -1;
	if (for_writing)
		return open_for_writing(store, err);
	store->dir = hb_dir_open(AT_FDCWD, path, path, err);
	return store->dir >= 0;
}

void
hb_spool_store_close(struct hb_spool_store *store)
{
	if (store->in_quarantine != NULL)
		hb_metric_add(
		    store->in_quarantine, -(int64_t)store->quarantined);
	if (store->lock >= 0)
		close(store->lock);
	if (store->dir >= 0)
		close(store->dir);
	free(store->path);
}

bool
hb_spool_store_in_use(const struct hb_spool_store *store)
{
	return hb_dir_is_locked(store->dir, LOCK);
}

/* --- names ---------------------------------------------------------------- */

void
hb_spool_store_name(
    enum hb_spool_kind kind, uint64_t number, char out[HB_SPOOL_FILE_NAME])
{
	switch (kind) {
	case HB_SPOOL_SEGMENT_FILE:
		snprintf(out, HB_SPOOL_FILE_NAME, "%016" PRIx64 ".seg", number);
		break;
	case HB_SPOOL_QUARANTINED_FILE:
		snprintf(out, HB_SPOOL_FILE_NAME, "%016" PRIx64 ".quarantined",
		    number);
		break;
	case HB_SPOOL_POOL_FILE:
		snprintf(out, HB_SPOOL_FILE_NAME, "pool-%" PRIu64, number);
		break;
	case HB_SPOOL_OTHER_FILE:
		hb_bug("a file that is not ours has no number");
	}
}

/* Only what we would write ourselves is a name of ours. */
static enum hb_spool_kind
kind_of(const char *name, uint64_t *number)
{
	bool in_pool = strncmp(name, "pool-", 5) == 0;
	char ours[HB_SPOOL_FILE_NAME];

	*number = strtoull(
	    in_pool ? name + 5 : name, NULL, in_pool ? 10 : 16);
	for (int kind = 0; kind < HB_SPOOL_OTHER_FILE; kind++) {
		hb_spool_store_name((enum hb_spool_kind)kind, *number, ours);
		if (strcmp(ours, name) == 0)
			return (enum hb_spool_kind)kind;
	}
	return HB_SPOOL_OTHER_FILE;
}

bool
hb_spool_store_list(const struct hb_spool_store *store,
    void (*each)(void *arg, enum hb_spool_kind kind, uint64_t number,
	uint64_t size),
    void *arg, struct hb_error *err)
{
	DIR *stream = hb_dir_stream(store->dir);
	struct dirent *entry;
	bool ok;

	if (stream == NULL)
		return hb_spool_store_fail(store, err, "reading", store->path);
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		uint64_t number;
		enum hb_spool_kind kind = kind_of(entry->d_name, &number);
		struct stat st;

		if (kind != HB_SPOOL_OTHER_FILE &&
		    fstatat(store->dir, entry->d_name, &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			each(arg, kind, number, (uint64_t)st.st_size);
	}
	ok = errno == 0 ||
	     hb_spool_store_fail(store, err, "reading", store->path);
	closedir(stream);
	return ok;
}

int
hb_spool_store_read(const struct hb_spool_store *store, uint64_t number,
    uint64_t *size, struct hb_error *err)
{
	char name[HB_SPOOL_FILE_NAME];
	struct stat st;
	int fd;

	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, name);
	fd = openat(store->dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		hb_spool_store_fail(store, err, "opening", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (size != NULL)
		*size = (uint64_t)st.st_size;
	return fd;
}

/* --- the pool ------------------------------------------------------------- */

/* Bytes of all files but those in the pool. */
static uint64_t
taken(const struct hb_spool_store *store)
{
	return store->used - store->pool_count * store->segment_size;
}

bool
hb_spool_store_is_pressed(const struct hb_spool_store *store)
{
	return taken(store) > store->max_size / 2;
}

bool
hb_spool_store_has_room(
    const struct hb_spool_store *store, enum hb_spool_reserve reserve)
{
	return taken(store) + store->segment_size * (1 + (uint64_t)reserve) <=
	       store->max_size;
}

/* Gives the file all its blocks, where the file system can. */
static bool
allocate(int fd, uint64_t size)
{
	int rc;

	do
		rc = fallocate(fd, 0, 0, (off_t)size);
	while (rc != 0 && errno == EINTR);
	if (rc != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		rc = ftruncate(fd, (off_t)size);
	return rc == 0;
}

static int
make_file(struct hb_spool_store *store, uint64_t number, struct hb_error *err)
{
	char name[HB_SPOOL_FILE_NAME];
	int fd;

	hb_spool_store_name(HB_SPOOL_POOL_FILE, number, name);
	fd = openat(store->dir, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		hb_spool_store_fail(store, err, "creating", name);
		return -1;
	}
	store->used += store->segment_size;
	if (allocate(fd, store->segment_size))
		return fd;
	hb_spool_store_fail(store, err, "allocating", name);
	close(fd);
	hb_spool_store_drop(
	    store, HB_SPOOL_POOL_FILE, number, store->segment_size);
	return -1;
}

static int
reuse_file(struct hb_spool_store *store, uint64_t number, struct hb_error *err)
{
	char name[HB_SPOOL_FILE_NAME];
	int fd;

	hb_spool_store_name(HB_SPOOL_POOL_FILE, number, name);
	fd = openat(store->dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		hb_spool_store_fail(store, err, "opening", name);
		hb_spool_store_drop(
		    store, HB_SPOOL_POOL_FILE, number, store->segment_size);
	}
	return fd;
}

static bool
sync_directory(struct hb_spool_store *store, struct hb_error *err)
{
	if (!hb_dir_sync(store->dir))
		return hb_spool_store_fail(store, err, "syncing", store->path);
	store->is_renamed = false;
	return true;
}

/* Before a file is written over it has lost its old name for good. Else a crash
 * could bring that back over another segment's bytes; and bring back segments
 * whose settlements are among what is written over. */
int
hb_spool_store_take(struct hb_spool_store *store, uint64_t *pool_number,
    struct hb_error *err)
{
	if (store->pool_count > 0) {
		if (store->is_renamed && !sync_directory(store, err))
			return -1;
		*pool_number = store->pool[--store->pool_count];
		return reuse_file(store, *pool_number, err);
	}
	*pool_number = store->pool_next++;
	return make_file(store, *pool_number, err);
}

bool
hb_spool_store_publish(struct hb_spool_store *store, uint64_t pool_number,
    uint64_t number, struct hb_error *err)
{
	char from[HB_SPOOL_FILE_NAME], to[HB_SPOOL_FILE_NAME];

	hb_spool_store_name(HB_SPOOL_POOL_FILE, pool_number, from);
	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, to);
	if (renameat(store->dir, from, store->dir, to) != 0) {
		hb_spool_store_fail(store, err, "renaming", from);
		hb_spool_store_drop(store, HB_SPOOL_POOL_FILE, pool_number,
		    store->segment_size);
		return false;
	}
	if (sync_directory(store, err))
		return true;
	hb_spool_store_drop(
	    store, HB_SPOOL_SEGMENT_FILE, number, store->segment_size);
	return false;
}

/* What cannot be removed goes on counting. */
void
hb_spool_store_drop(struct hb_spool_store *store, enum hb_spool_kind kind,
    uint64_t number, uint64_t size)
{
	char name[HB_SPOOL_FILE_NAME];

	hb_spool_store_name(kind, number, name);
	store->is_renamed = true;
	if (unlinkat(store->dir, name, 0) == 0 || errno == ENOENT)
		store->used -= size;
	else
		hb_spool_store_warn(store, "removing", name);
}

/* No sync: should the old name come back after a crash, so will the records,
 * and the settlements say what they are. */
void
hb_spool_store_recycle(
    struct hb_spool_store *store, uint64_t number, uint64_t size)
{
	char from[HB_SPOOL_FILE_NAME], to[HB_SPOOL_FILE_NAME];

	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, from);
	hb_spool_store_name(HB_SPOOL_POOL_FILE, store->pool_next, to);
	if (store->pool_count >= HB_SPOOL_POOL_MAX ||
	    size != store->segment_size) {
		hb_spool_store_drop(
		    store, HB_SPOOL_SEGMENT_FILE, number, size);
		return;
	}
	store->is_renamed = true;
	if (renameat(store->dir, from, store->dir, to) == 0) {
		store->pool[store->pool_count++] = store->pool_next++;
		return;
	}
	hb_spool_store_warn(store, "renaming", from);
	hb_spool_store_drop(store, HB_SPOOL_SEGMENT_FILE, number, size);
}

void
hb_spool_store_quarantine(struct hb_spool_store *store, uint64_t number)
{
	char from[HB_SPOOL_FILE_NAME], to[HB_SPOOL_FILE_NAME];

	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, from);
	hb_spool_store_name(HB_SPOOL_QUARANTINED_FILE, number, to);
	store->is_renamed = true;
	if (renameat(store->dir, from, store->dir, to) != 0) {
		hb_spool_store_warn(store, "setting aside", from);
		return;
	}
	hb_spool_store_note_quarantined(store);
	hb_log(HB_LOG_ERROR, "spool.quarantined",
	    HB_F_STR("directory", store->path), HB_F_STR("file", to));
}

void
hb_spool_store_note_quarantined(struct hb_spool_store *store)
{
	store->quarantined++;
	if (store->in_quarantine != NULL)
		hb_metric_inc(store->in_quarantine);
}
