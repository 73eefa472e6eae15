/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - the configuration file itself
 *
 * Who can write the file, or put another one in its place, decides where
 * events go. So the file and its directory (and the directory of what it
 * points to, if it is a link) belong to root or to us, and nobody else may
 * write there, neither a group nor the world. A sticky directory such as /tmp
 * may be world-writable, because there only the owner replaces a file; that
 * owner must then be us.
 *
 * Until all that holds, nothing the file says is looked at. "-" is stdin: who
 * started us has chosen it, and secrets are looked for in our own directory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

#define MAX_FILE (1024 * 1024)

static const struct hb_place whole_file = { 0, 0 };

static const char *
directory_of(struct hb_arena *arena, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return ".";
	if (slash == file)
		return "/";
	return hb_arena_dup(arena,
	    hb_span_make(file, (size_t)(slash - file))).ptr;
}

static bool
is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Who else may write: NULL for nobody. */
static const char *
other_writers(const struct stat *st)
{
	if (st->st_mode & S_IWOTH)
		return "everybody";
	if (st->st_mode & S_IWGRP)
		return "its group";
	return NULL;
}

static bool
is_sticky_for_us(const struct stat *directory, const struct stat *file)
{
	return (directory->st_mode & S_ISVTX) && directory->st_uid == 0 &&
	    file->st_uid == geteuid();
}

static bool
refuse(struct hb_load *ld, const char *what, const char *path,
    const struct stat *st)
{
	if (!is_ours(st)) {
		hb_report_error_at(ld->report, whole_file,
		    "expected %s that belongs to root or to us, \"%s\" "
		    "belongs to user %u", what, path, (unsigned)st->st_uid);
		return false;
	}
	hb_report_error_at(ld->report, whole_file,
	    "expected %s that only its owner can write, \"%s\" can be written "
	    "by %s", what, path, other_writers(st));
	hb_report_remedy(ld->report, "chmod go-w %s", path);
	return false;
}

static bool
check_directory(struct hb_load *ld, const char *directory,
    const struct stat *file)
{
	struct stat st;

	if (stat(directory, &st) != 0) {
		hb_report_error_at(ld->report, whole_file,
		    "cannot look at the directory \"%s\": %s", directory,
		    strerror(errno));
		return false;
	}
	if (is_ours(&st) &&
	    (other_writers(&st) == NULL || is_sticky_for_us(&st, file)))
		return true;
	return refuse(ld, "a directory", directory, &st);
}

static bool
check_target_directory(struct hb_load *ld, const char *file,
    const struct stat *st)
{
	char target[PATH_MAX];

	if (realpath(file, target) == NULL)
		return true; /* opened it is; only its name is gone */
	return check_directory(ld, directory_of(ld->scratch, target), st);
}

static bool
check_file(struct hb_load *ld, int fd, const char *file)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		hb_report_error_at(ld->report, whole_file,
		    "expected a regular file");
		return false;
	}
	if (st.st_size > MAX_FILE) {
		hb_report_error_at(ld->report, whole_file,
		    "expected a file of at most 1MiB");
		return false;
	}
	if (!is_ours(&st) || other_writers(&st) != NULL)
		return refuse(ld, "a file", file, &st);
	return check_directory(ld, ld->directory, &st) &&
	    check_target_directory(ld, file, &st);
}

static struct hb_span
read_all(struct hb_load *ld, int fd)
{
	char *text = hb_arena_alloc(ld->scratch, MAX_FILE + 1);
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, text + len, MAX_FILE + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return hb_span_make(text, len);
		if (n > 0 && (len += (size_t)n) <= MAX_FILE)
			continue;
		hb_report_error_at(ld->report, whole_file, "cannot read it: %s",
		    n < 0 ? strerror(errno) : "it grows beyond 1MiB");
		return HB_SPAN_NONE;
	}
}

struct hb_span
hb_source_read(struct hb_load *ld, const char *file)
{
	struct hb_span text = HB_SPAN_NONE;
	int fd;

	if (strcmp(file, "-") == 0) {
		ld->directory = ".";
		return read_all(ld, STDIN_FILENO);
	}
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		hb_report_error_at(ld->report, whole_file, "cannot open it: %s",
		    strerror(errno));
		return text;
	}
	ld->directory = directory_of(ld->arena, file);
	if (check_file(ld, fd, file))
		text = read_all(ld, fd);
	close(fd);
	return text;
}
