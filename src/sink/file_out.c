/* SPDX-License-Identifier: Apache-2.0 */
/* file_out.c - the file: opened with care, appended to and synced
 *
 * Appending is all or nothing: the file's size is noted, the lines are written
 * and synced, and when either fails (a full disk gives a short write first)
 * the file is truncated to what it was. A sync that fails is never tried again
 * on the same descriptor: the kernel reports a lost page once, and a second
 * sync would succeed without it. Its pages are cut off, so that no hole of
 * theirs ever stands before a line that is confirmed later.
 *
 * Truncating must not hit the lines of another writer, hence a lock: flock(),
 * which goes with the descriptor and hinders nobody who only rotates or reads.
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
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "hookbridge/dir.h"

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

/* Whether somebody must see to it, or it may pass (a full disk, too many open
 * files). */
static enum hb_code
code_of(int error)
{
	switch (error) {
	case EACCES:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case ENODEV:
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case EPERM:
	case EROFS:
		return HB_E_CONFIG;
	default:
		return HB_E_RETRY;
	}
}

static bool
fail_to_open(const char *path, struct hb_error *err)
{
	return hb_fail(err, code_of(errno), "%s: %s", path,
	    errno == ELOOP ? "this is a symbolic link" : strerror(errno));
}

/* A name is safe once its directory is: also that of a file somebody else has
 * made (logrotate does), or we did before we died. */
static bool
sync_name(int file, const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash == path ? 1 : (int)(slash - path);
	char name[PATH_MAX];
	int fd;
	bool ok;

	snprintf(name, sizeof(name), "%.*s", len, path);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) /* we may write there, but not read */
		return errno == EACCES && syncfs(file) == 0;
	ok = hb_dir_sync(fd);
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

	/* O_CREAT only where it is needed: in a directory that is sticky it
	 * would not open other people's files. */
	return fd < 0 && errno == ENOENT ? open(path, flags | O_CREAT, MODE)
					 : fd;
}

/* What the name leads to must be a file that has no other name and no other
 * writer. */
static bool
check_file(int fd, const char *path, struct stat *st, struct hb_error *err)
{
	if (fstat(fd, st) != 0)
		return fail_to_open(path, err);
	if (!S_ISREG(st->st_mode))
		return hb_fail(
		    err, HB_E_CONFIG, "%s: this is not a regular file", path);
	if (st->st_nlink > 1)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: this file has other names (hard links)", path);
	/* Other errors: file systems that have no locks. */
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: another sink or process writes this file", path);
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
		return fail_to_open(out->path, err);
	if (!check_file(fd, out->path, &st, err) ||
	    (!sync_name(fd, out->path) && !fail_to_open(out->path, err))) {
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

/* Whether the name still leads to the file that is open. */
static bool
has_its_name(const struct hb_file_out *out)
{
	struct stat named, held;

	return out->fd >= 0 && lstat(out->path, &named) == 0 &&
	       fstat(out->fd, &held) == 0 && named.st_dev == held.st_dev &&
	       named.st_ino == held.st_ino;
}

bool
hb_file_out_reopen(struct hb_file_out *out, struct hb_error *err)
{
	struct hb_file_out fresh = {.path = out->path, .fd = -1};

	if (out->path == NULL || has_its_name(out))
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

/* Takes back what was written of the lines; not if somebody else has changed
 * the file meanwhile. */
static bool
take_back(const struct hb_file_out *out, off_t size, size_t written)
{
	struct stat st;

	return fstat(out->fd, &st) == 0 &&
	       st.st_size == size + (off_t)written &&
	       ftruncate(out->fd, size) == 0;
}

static enum hb_file_result
append_to_file(
    struct hb_file_out *out, const char *text, size_t len, struct hb_error *err)
{
	enum hb_file_result result;
	struct stat st;
	size_t done;

	if (!terminate(out) || fstat(out->fd, &st) != 0)
		return fail(out, HB_FILE_NOT_WRITTEN, "", err);
	done = write_all(out, text, len);
	if (done == len && fdatasync(out->fd) == 0)
		return HB_FILE_WRITTEN;
	result = done < len ? fail(out, HB_FILE_NOT_WRITTEN, "", err)
			    : fail(out, HB_FILE_UNKNOWN, "cannot sync: ", err);
	if (take_back(out, st.st_size, done) && done < len)
		return result;
	/* Opening it again will see to the end of its last line. */
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
