/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c - opens, checks and locks directories
 *
 * The lock is flock()'s: it goes with the process that has it, however that
 * ends, and what an earlier one wrote into the file means nothing. */
#include "hookbridge/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HERE (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
/* Whatever has the lock's name, opening it waits for nobody. */
#define LOCK (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

/* Says what errno says; errno stays. */
static int
fail(struct hb_error *err, const char *path, const char *what)
{
	int error = errno;

	hb_fail(err, HB_E_CONFIG, "%s: %s%s", path, what, strerror(error));
	errno = error;
	return -1;
}

/* --- opening -------------------------------------------------------------- */

int
hb_dir_open(int at, const char *name, const char *path, struct hb_error *err)
{
	int dir = openat(at, name, HERE | O_NOFOLLOW);
	int error = errno;

	if (dir >= 0)
		return dir;
	if (error != ELOOP && error != ENOTDIR)
		return fail(err, path, "");
	hb_fail(err, HB_E_CONFIG,
	    "%s: not a directory (symbolic links are not followed)", path);
	errno = error;
	return -1;
}

bool
hb_dir_check(int dir, const char *path, struct hb_error *err)
{
	struct stat st;

	if (fstat(dir, &st) != 0)
		return fail(err, path, "") == 0;
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

/* Where we may not read, its whole file system is synced. */
static bool
sync_parent(int dir)
{
	int parent = openat(dir, "..", HERE);
	bool ok = parent >= 0 ? hb_dir_sync(parent)
			      : errno == EACCES && syncfs(dir) == 0;
	int error = errno;

	if (parent >= 0)
		close(parent);
	errno = error;
	return ok;
}

int
hb_dir_make(int at, const char *name, const char *path, struct hb_error *err)
{
	int dir;

	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return fail(err, path, "");
	dir = hb_dir_open(at, name, path, err);
	if (dir < 0)
		return -1;
	if (hb_dir_check(dir, path, err) &&
	    (sync_parent(dir) || fail(err, path, "syncing its parent: ") == 0))
		return dir;
	close(dir);
	return -1;
}

/* --- the lock ------------------------------------------------------------- */

static long
read_pid(int lock)
{
	char text[24] = "";

	return pread(lock, text, sizeof(text) - 1, 0) > 0 ? atol(text) : 0;
}

int
hb_dir_lock(int dir, const char *name, const char *path, struct hb_error *err)
{
	int lock = openat(dir, name, O_RDWR | O_CREAT | LOCK, 0600);
	int error;

	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
		return lock;
	error = errno;
	if (lock < 0)
		hb_fail(err, HB_E_CONFIG, "%s/%s: %s", path, name,
		    strerror(error));
	else if (error == EWOULDBLOCK)
		hb_fail(err, HB_E_CONFIG,
		    "%s: process %ld uses this directory", path,
		    read_pid(lock));
	else
		hb_fail(err, HB_E_CONFIG, "%s/%s: locking: %s", path, name,
		    strerror(error));
	if (lock >= 0)
		close(lock);
	return -1;
}

bool
hb_dir_sign(int lock)
{
	char pid[24];
	int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	return ftruncate(lock, 0) == 0 &&
	       pwrite(lock, pid, (size_t)len, 0) == len;
}

bool
hb_dir_is_locked(int dir, const char *name)
{
	int lock = openat(dir, name, O_RDONLY | LOCK);
	bool is_locked;

	if (lock < 0)
		return false;
	is_locked =
	    flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(lock);
	return is_locked;
}

/* --- names ---------------------------------------------------------------- */

bool
hb_dir_sync(int dir)
{
	/* EINVAL: file systems that have no such thing. */
	return fsync(dir) == 0 || errno == EINVAL;
}

DIR *
hb_dir_stream(int dir)
{
	int fd = openat(dir, ".", HERE);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

	if (stream == NULL && fd >= 0)
		close(fd);
	return stream;
}
