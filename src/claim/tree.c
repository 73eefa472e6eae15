/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - the directory: names, rights, the lock
 *
 *   .lock             flock()ed, holds the pid of who has it
 *   ENDPOINT/         a folder; endpoints' names are fit for that, and none
 *                     begins with a dot
 *     DIGEST          a body, by the 64 hex digits of its SHA-256
 *     .new            one that is being written
 *
 * What has another name is nobody's business here. Everything is opened from
 * the directory's descriptor on, and through no symbolic link. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define LOCK ".lock"
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define DIGITS "0123456789"
#define SMALL "abcdefghijklmnopqrstuvwxyz"
#define LARGE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool
hb_claims_fail(struct hb_error *err, const char *name, const char *what)
{
	bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

	return hb_fail_reason(err, is_full ? HB_E_RESOURCE : HB_E_IO,
	    is_full ? "claims-full" : "claims-broken", "claims: %s: %s: %s",
	    name, what, strerror(errno));
}

/* --- names ---------------------------------------------------------------- */

bool
hb_claims_is_endpoint(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= 64 && strchr("._-", name[0]) == NULL &&
	       strspn(name, DIGITS SMALL LARGE "._-") == len;
}

bool
hb_claims_is_digest(struct hb_span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (memchr(DIGITS "abcdef", name.ptr[i], 16) == NULL)
			return false;
	return name.len == HB_CLAIM_DIGEST;
}

/* --- rights --------------------------------------------------------------- */

/* Nobody but us, or root, may change what we will hand out. */
static bool
check_rights(int dir, const char *name, struct hb_error *err)
{
	struct stat st;

	if (fstat(dir, &st) != 0)
		return hb_claims_fail(err, name, "looking at it");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return hb_fail_reason(err, HB_E_IO, "claims-broken",
		    "claims: %s: this directory belongs to another user "
		    "(uid %u)",
		    name, (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return hb_fail_reason(err, HB_E_IO, "claims-broken",
		    "claims: %s: others may write to this directory; chmod "
		    "0700 it",
		    name);
	return true;
}

bool
hb_claims_sync(int dir, const char *name, struct hb_error *err)
{
	/* EINVAL: file systems that have no such thing. */
	return fsync(dir) == 0 || errno == EINVAL ||
	       hb_claims_fail(err, name, "syncing it");
}

/* --- opening -------------------------------------------------------------- */

static long
read_pid(int fd)
{
	char text[24] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atol(text) : 0;
}

static bool
take_lock(struct hb_claims_tree *tree, struct hb_error *err)
{
	char pid[24];
	int len;

	tree->lock = openat(tree->root, LOCK,
	    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (tree->lock < 0)
		return hb_claims_fail(err, tree->path, LOCK);
	if (flock(tree->lock, LOCK_EX | LOCK_NB) != 0)
		return hb_fail(err, HB_E_CONFIG,
		    "claims: %s: process %ld uses this directory", tree->path,
		    read_pid(tree->lock));
	len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* Only for people to read: on a full disk it is left out. */
	if (ftruncate(tree->lock, 0) != 0 ||
	    pwrite(tree->lock, pid, (size_t)len, 0) != len)
		hb_log(HB_LOG_DEBUG, "claim.error", HB_F_STR("file", LOCK),
		    HB_F_STR("error", strerror(errno)));
	return true;
}

/* Its own name must outlive a crash, too. */
static bool
sync_parent(const struct hb_claims_tree *tree, struct hb_error *err)
{
	int fd = openat(tree->root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EACCES: we may not read there; EINVAL: there is no such thing. */
	bool ok = fd >= 0 ? fsync(fd) == 0 || errno == EINVAL
			  : errno == EACCES && syncfs(tree->root) == 0;

	if (!ok)
		hb_claims_fail(err, tree->path, "syncing its parent");
	if (fd >= 0)
		close(fd);
	return ok;
}

bool
hb_claims_tree_open(
    struct hb_claims_tree *tree, const char *path, struct hb_error *err)
{
	*tree = (struct hb_claims_tree){hb_xstrdup(path), -1, -1};
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return hb_claims_fail(err, path, "making it");
	tree->root = open(path, DIRECTORY);
	if (tree->root < 0)
		return hb_claims_fail(err, path, "opening it");
	return check_rights(tree->root, path, err) && take_lock(tree, err) &&
	       sync_parent(tree, err) && hb_claims_sync(tree->root, path, err);
}

void
hb_claims_tree_close(struct hb_claims_tree *tree)
{
	if (tree->lock >= 0)
		close(tree->lock);
	if (tree->root >= 0)
		close(tree->root);
	free(tree->path);
}

/* --- folders -------------------------------------------------------------- */

int
hb_claims_folder_open(
    const struct hb_claims_tree *tree, const char *name, struct hb_error *err)
{
	int fd = openat(tree->root, name, DIRECTORY);
	bool is_none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;

	if (fd < 0) {
		hb_claims_fail(err, name, "opening this folder");
		if (is_none && err != NULL)
			err->code = HB_E_REJECT;
		return -1;
	}
	if (check_rights(fd, name, err))
		return fd;
	close(fd);
	return -1;
}

bool
hb_claims_folder_make(
    const struct hb_claims_tree *tree, const char *name, struct hb_error *err)
{
	if (mkdirat(tree->root, name, 0700) != 0 && errno != EEXIST)
		return hb_claims_fail(err, name, "making this folder");
	return hb_claims_sync(tree->root, tree->path, err);
}

DIR *
hb_claims_stream(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

	if (stream == NULL && fd >= 0)
		close(fd);
	return stream;
}
