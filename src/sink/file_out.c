/* SPDX-License-Identifier: Apache-2.0 */
/* file_out.c - the file: opened with care, appended to and synced
 *
 * Appending is all or nothing: the file's size is noted, the lines are
 * written, and when that fails in the middle (a full disk gives a short write
 * first) the file is truncated to what it was. Only then are they synced, and
 * a sync that fails is never tried again on the same descriptor: the kernel
 * reports a lost page once, and a second sync would succeed without it.
 *
 * A line without an end at the end of the file is from a writer that died; it
 * gets its end before anything is appended.
 *
 * stdout may be a pipe or a terminal: then nothing can be taken back nor
 * synced, and a reader that stands still must not stop the helper for ever, so
 * that it is written in pieces that a pipe takes at once, when it can. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define MODE 0640
/* How long a pipe's reader may read nothing. */
#define READER_MS 2000

/* The journal announces the stream it gave us as "device:inode". */
bool
hb_file_is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (stream == NULL || fstat(fd, &st) != 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

/* --- opening -------------------------------------------------------------- */

/* A new file's name is safe once its directory is. */
static bool
sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len =
	    slash == NULL || slash == path ? 1 : (size_t)(slash - path);
	char name[PATH_MAX];
	int fd;
	bool ok;

	snprintf(
	    name, sizeof(name), "%.*s", (int)len, slash == NULL ? "." : path);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

/* Opens the file, making it if it is not there; -1 with errno. */
static int
open_or_make(const char *path)
{
	/* O_NONBLOCK: a FIFO of this name must not hold us. */
	const int flags =
	    O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, flags);
	int saved;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	fd = open(path, flags | O_CREAT | O_EXCL, MODE);
	if (fd < 0 || sync_directory_of(path))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* What the name leads to must be a file that has no other name. */
static bool
check_file(int fd, const char *path, struct stat *st, struct hb_error *err)
{
	if (fstat(fd, st) != 0)
		return hb_fail(
		    err, HB_E_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return hb_fail(
		    err, HB_E_CONFIG, "%s: this is not a regular file", path);
	if (st->st_nlink > 1)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: this file has other names (hard links)", path);
	return true;
}

static bool
is_torn(int fd, off_t size)
{
	char last;

	return size > 0 && (pread(fd, &last, 1, size - 1) != 1 || last != '\n');
}

static bool
terminate(struct hb_file_out *out)
{
	if (out->is_torn && write(out->fd, "\n", 1) == 1)
		out->is_torn = false;
	return !out->is_torn;
}

static bool
open_path(struct hb_file_out *out, struct hb_error *err)
{
	int fd = open_or_make(out->path);
	struct stat st;

	if (fd < 0)
		return hb_fail(err, HB_E_CONFIG, "%s: %s", out->path,
		    errno == ELOOP ? "this is a symbolic link"
				   : strerror(errno));
	if (!check_file(fd, out->path, &st, err)) {
		close(fd);
		return false;
	}
	out->fd = fd;
	out->is_regular = true;
	out->is_torn = is_torn(fd, st.st_size);
	/* Where that fails, appending will try again. */
	(void)terminate(out);
	return true;
}

static bool
open_stdout(struct hb_file_out *out, struct hb_error *err)
{
	struct stat st;

	if (hb_file_is_journal(STDOUT_FILENO))
		return hb_fail(err, HB_E_CONFIG,
		    "stdout is the journal, which is no place for events");
	out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (out->fd < 0 || fstat(out->fd, &st) != 0)
		return hb_fail(err, HB_E_CONFIG, "stdout: %s", strerror(errno));
	out->is_regular = S_ISREG(st.st_mode);
	return true;
}

bool
hb_file_out_open(struct hb_file_out *out, struct hb_error *err)
{
	return out->path != NULL ? open_path(out, err) : open_stdout(out, err);
}

void
hb_file_out_close(struct hb_file_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
}

bool
hb_file_out_reopen(struct hb_file_out *out, struct hb_error *err)
{
	struct hb_file_out fresh = {.path = out->path, .fd = -1};

	if (out->path == NULL)
		return true;
	if (!hb_file_out_open(&fresh, err))
		return false;
	hb_file_out_close(out);
	*out = fresh;
	return true;
}

/* --- writing -------------------------------------------------------------- */

/* Waits until a pipe or terminal takes something. */
static bool
await_reader(const struct hb_file_out *out)
{
	struct pollfd pfd = {.fd = out->fd, .events = POLLOUT};
	int n;

	do {
		n = poll(&pfd, 1, READER_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0;
}

/* Writes as much as goes; less than len with errno. */
static size_t
write_all(const struct hb_file_out *out, const char *text, size_t len)
{
	size_t done = 0, most;
	ssize_t n;

	while (done < len) {
		most = len - done;
		if (!out->is_regular) {
			if (!await_reader(out))
				return done;
			most = most < PIPE_BUF ? most : PIPE_BUF;
		}
		n = write(out->fd, text + done, most);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return done;
	}
	return done;
}

static const char *
name_of(const struct hb_file_out *out)
{
	return out->path != NULL ? out->path : "stdout";
}

static enum hb_file_result
fail(const struct hb_file_out *out, enum hb_file_result result,
    const char *what, struct hb_error *err)
{
	hb_fail(
	    err, HB_E_RETRY, "%s: %s%s", name_of(out), what, strerror(errno));
	return result;
}

/* Takes back what was written of the lines. */
static enum hb_file_result
undo(struct hb_file_out *out, off_t size, struct hb_error *err)
{
	enum hb_file_result result = fail(out, HB_FILE_NOT_WRITTEN, "", err);

	if (ftruncate(out->fd, size) == 0)
		return result;
	/* Opening it again will see to the end of its last line. */
	hb_file_out_close(out);
	return HB_FILE_UNKNOWN;
}

static enum hb_file_result
append_to_file(
    struct hb_file_out *out, const char *text, size_t len, struct hb_error *err)
{
	struct stat st;

	if (!terminate(out) || fstat(out->fd, &st) != 0)
		return fail(out, HB_FILE_NOT_WRITTEN, "", err);
	if (write_all(out, text, len) < len)
		return undo(out, st.st_size, err);
	if (fdatasync(out->fd) == 0)
		return HB_FILE_WRITTEN;
	(void)fail(out, HB_FILE_UNKNOWN, "cannot sync: ", err);
	hb_file_out_close(out);
	return HB_FILE_UNKNOWN;
}

static enum hb_file_result
append_to_stdout(
    struct hb_file_out *out, const char *text, size_t len, struct hb_error *err)
{
	size_t done;

	if (out->is_torn && write_all(out, "\n", 1) < 1)
		return fail(out, HB_FILE_NOT_WRITTEN, "", err);
	out->is_torn = false;
	done = write_all(out, text, len);
	if (done < len) {
		out->is_torn = done > 0 && text[done - 1] != '\n';
		return fail(out,
		    done > 0 ? HB_FILE_UNKNOWN : HB_FILE_NOT_WRITTEN, "", err);
	}
	if (out->is_regular && fdatasync(out->fd) != 0)
		return fail(out, HB_FILE_UNKNOWN, "cannot sync: ", err);
	return HB_FILE_WRITTEN;
}

/* What was removed would take lines that nobody ever reads. */
static void
leave_removed_file(struct hb_file_out *out)
{
	struct stat st;

	if (out->path != NULL && out->fd >= 0 && fstat(out->fd, &st) == 0 &&
	    st.st_nlink == 0)
		hb_file_out_close(out);
}

enum hb_file_result
hb_file_out_append(
    struct hb_file_out *out, const char *text, size_t len, struct hb_error *err)
{
	leave_removed_file(out);
	if (out->fd < 0 && !hb_file_out_open(out, err))
		return HB_FILE_NOT_WRITTEN;
	return out->path != NULL ? append_to_file(out, text, len, err)
				 : append_to_stdout(out, text, len, err);
}
