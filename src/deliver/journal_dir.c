/* SPDX-License-Identifier: Apache-2.0 */
/* journal_dir.c - the directory: its safety, its lock, its names
 *
 *   lock                     flock()ed, holds the pid of who has it
 *   NNNNNNNNNNNNNNNN.seen    a generation
 *   draft                    one that is being rewritten, or never was finished
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/mem.h"
#include "journal_parts.h"

#define FOLDER "seen"

static bool
fail_errno(const char *path, struct hb_error *err)
{
	return hb_fail(err, HB_E_CONFIG, "%s: %s", path,
	    errno == ELOOP ? "this is a symbolic link" : strerror(errno));
}

/* Nobody but us, or root, may change what we will believe. */
static bool
check_directory(int fd, const char *path, struct hb_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail_errno(path, err);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: this directory belongs to another user (uid %u)",
		    path, (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: others may write to this directory; chmod 0700 it",
		    path);
	return true;
}

/* Makes a directory if there is none. Its name must outlive a crash, hence the
 * sync of where it is; EACCES: we may not read there, EINVAL: there is no such
 * thing. */
static int
open_directory(int at, const char *name, const char *path, struct hb_error *err)
{
	int fd, up;
	bool ok;

	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return fail_errno(path, err), -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(path, err), -1;
	up = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = up >= 0 ? fsync(up) == 0 || errno == EINVAL
		     : errno == EACCES && syncfs(fd) == 0;
	if (up >= 0)
		close(up);
	if ((ok || fail_errno(path, err)) && check_directory(fd, path, err))
		return fd;
	close(fd);
	return -1;
}

static long
read_pid(int fd)
{
	char text[24] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atol(text) : 0;
}

static bool
take_lock(struct hb_journal_dir *dir, struct hb_error *err)
{
	char pid[24];
	int len;

	dir->lock = openat(dir->fd, "lock",
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (dir->lock < 0)
		return hb_fail(err, HB_E_CONFIG, "%s/lock: %s", dir->path,
		    strerror(errno));
	if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: process %ld uses this directory", dir->path,
		    read_pid(dir->lock));
	len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* Only for people to read: on a full disk it is left out. */
	(void)!ftruncate(dir->lock, 0);
	(void)!pwrite(dir->lock, pid, (size_t)len, 0);
	return true;
}

bool
hb_journal_dir_open(
    struct hb_journal_dir *dir, const char *spool, struct hb_error *err)
{
	size_t size = strlen(spool) + sizeof("/" FOLDER);
	int parent;

	*dir = (struct hb_journal_dir){hb_xmalloc(size), -1, -1};
	snprintf(dir->path, size, "%s/" FOLDER, spool);
	parent = open_directory(AT_FDCWD, spool, spool, err);
	if (parent < 0)
		return false;
	dir->fd = open_directory(parent, FOLDER, dir->path, err);
	close(parent);
	return dir->fd >= 0 && take_lock(dir, err);
}

void
hb_journal_dir_close(struct hb_journal_dir *dir)
{
	if (dir->lock >= 0)
		close(dir->lock);
	if (dir->fd >= 0)
		close(dir->fd);
	free(dir->path);
}

bool
hb_journal_dir_sync(const struct hb_journal_dir *dir)
{
	return fsync(dir->fd) == 0 || errno == EINVAL;
}

/* --- names ---------------------------------------------------------------- */

void
hb_journal_dir_name(uint64_t number, char out[HB_JOURNAL_NAME])
{
	snprintf(out, HB_JOURNAL_NAME, "%016" PRIx64 ".seen", number);
}

/* Only what we would write ourselves is a name of ours; nobody counts to
 * numbers that leave no room for more. */
static bool
is_generation(
    const struct hb_journal_dir *dir, const char *name, uint64_t *number)
{
	char ours[HB_JOURNAL_NAME];
	struct stat st;

	*number = strtoull(name, NULL, 16);
	hb_journal_dir_name(*number, ours);
	return strcmp(ours, name) == 0 && *number < UINT64_MAX / 2 &&
	       fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A directory stream of its own position. */
static DIR *
open_stream(const struct hb_journal_dir *dir)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

	if (stream == NULL && fd >= 0)
		close(fd);
	return stream;
}

bool
hb_journal_dir_list(const struct hb_journal_dir *dir, uint64_t **numbers,
    size_t *count, struct hb_error *err)
{
	DIR *stream = open_stream(dir);
	struct dirent *entry;
	uint64_t number;
	bool ok;

	*numbers = NULL;
	*count = 0;
	if (stream == NULL)
		return fail_errno(dir->path, err);
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		if (!is_generation(dir, entry->d_name, &number))
			continue;
		*numbers = hb_xreallocarray(
		    *numbers, *count + 1, sizeof(**numbers));
		(*numbers)[(*count)++] = number;
	}
	ok = errno == 0 || fail_errno(dir->path, err);
	closedir(stream);
	if (*count > 0)
		qsort(*numbers, *count, sizeof(**numbers), compare);
	return ok;
}
