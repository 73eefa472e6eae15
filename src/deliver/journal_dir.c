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
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/mem.h"
#include "journal_parts.h"

#define FOLDER "seen"

bool
hb_journal_dir_open(
    struct hb_journal_dir *dir, const char *spool, struct hb_error *err)
{
	size_t size = strlen(spool) + sizeof("/" FOLDER);
	int parent;

	*dir = (struct hb_journal_dir){hb_xmalloc(size), -1, -1};
	snprintf(dir->path, size, "%s/" FOLDER, spool);
	parent = hb_dir_make(AT_FDCWD, spool, spool, err);
	if (parent < 0)
		return false;
	dir->fd = hb_dir_make(parent, FOLDER, dir->path, err);
	close(parent);
	if (dir->fd < 0)
		return false;
	dir->lock = hb_dir_lock(dir->fd, "lock", dir->path, err);
	if (dir->lock < 0)
		return false;
	/* Only for people to read: on a full disk it is left out. */
	(void)hb_dir_sign(dir->lock);
	return true;
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

static bool
fail(const struct hb_journal_dir *dir, struct hb_error *err)
{
	return hb_fail(
	    err, HB_E_CONFIG, "%s: %s", dir->path, strerror(errno));
}

bool
hb_journal_dir_list(const struct hb_journal_dir *dir, uint64_t **numbers,
    size_t *count, struct hb_error *err)
{
	DIR *stream = hb_dir_stream(dir->fd);
	struct dirent *entry;
	uint64_t number;
	bool ok;

	*numbers = NULL;
	*count = 0;
	if (stream == NULL)
		return fail(dir, err);
	while (errno = 0, (entry = readdir(stream)) != NULL) {
		if (!is_generation(dir, entry->d_name, &number))
			continue;
		*numbers = hb_xreallocarray(
		    *numbers, *count + 1, sizeof(**numbers));
		(*numbers)[(*count)++] = number;
	}
	ok = errno == 0 || fail(dir, err);
	closedir(stream);
	if (*count > 0)
		qsort(*numbers, *count, sizeof(**numbers), compare);
	return ok;
}
