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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define LOCK ".lock"

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
	struct hb_error why;

	return hb_dir_check(dir, name, &why) ||
	       hb_fail_reason(err, HB_E_IO, "claims-broken", "claims: %s",
		   why.text);
}

bool
hb_claims_sync(int dir, const char *name, struct hb_error *err)
{
	return hb_dir_sync(dir) || hb_claims_fail(err, name, "syncing it");
}

/* --- opening -------------------------------------------------------------- */

static bool
take(struct hb_claims_tree *tree, struct hb_error *err)
{
	const char *path = tree->path;

	tree->root = hb_dir_make(AT_FDCWD, path, path, err);
	if (tree->root >= 0)
		tree->lock = hb_dir_lock(tree->root, LOCK, path, err);
	return tree->lock >= 0;
}

bool
hb_claims_tree_open(
    struct hb_claims_tree *tree, const char *path, struct hb_error *err)
{
	*tree = (struct hb_claims_tree){hb_xstrdup(path), -1, -1};
	if (!take(tree, err)) {
		hb_error_prefix(err, "claims: ");
		return false;
	}
	/* Only for people to read: on a full disk it is left out. */
	if (!hb_dir_sign(tree->lock))
		hb_log(HB_LOG_DEBUG, "claim.error", HB_F_STR("file", LOCK),
		    HB_F_STR("error", strerror(errno)));
	return hb_claims_sync(tree->root, path, err);
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
	int fd = hb_dir_open(tree->root, name, name, NULL);
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
