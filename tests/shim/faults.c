/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - makes file operations of a program fail, one or all from one on
 *
 * Preloaded (LD_PRELOAD), it stands before glibc's system calls; build it with
 * make tests/shim/faults.so. It looks at files below one directory only, by
 * where they really are: sockets, logs and libraries are left alone. Builds
 * with sanitizers stand there themselves: use it with plain ones.
 *
 *   HB_FAULTS_BELOW  the directory, absolute; it may not be there yet
 *   HB_FAULTS        what fails: KIND:N:HOW[:on], several with commas between
 *   HB_FAULTS_TELL   a file that tells at any time, a line for each kind, how
 *                    many calls were seen and how many of them failed:
 *                    "write 12 1"
 *
 *   KIND  write     write, pwrite, writev, pwritev, pwritev2
 *         sync      fsync, fdatasync, syncfs
 *         open      open, openat, creat: to write, or with O_CREAT
 *         rename    rename, renameat, renameat2
 *         truncate  truncate, ftruncate
 *         allocate  fallocate, posix_fallocate
 *         unlink    unlink, unlinkat
 *         close     it is closed, and fails all the same
 *         any       each of these
 *   N     the first, 1, or a later one of its kind
 *   HOW   an errno, as EIO or 5: nothing is done; or short: half of the bytes
 *         are written, of other kinds nothing is changed
 *   on    and each later one, too
 *
 * A disk that is full in the middle of the third write, and stays so:
 *
 *   HB_FAULTS=write:3:short,write:4:ENOSPC:on
 *
 * To try every call there is, run the same thing with any:1:EIO, any:2:EIO, …
 * until the file says that none failed. Calls are counted over all threads;
 * which is the n-th depends on them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define ALIAS(name) __attribute__((alias(#name), visibility("default")))
#define FAULTS_MAX 8
#define LINE 40
#define SHORT (-1) /* instead of an errno */

enum kind {
	WRITE,
	SYNC,
	OPEN,
	RENAME,
	TRUNCATE,
	ALLOCATE,
	UNLINK,
	CLOSE,
	ANY,
	KINDS
};

static const char *const names[KINDS] = {"write", "sync", "open", "rename",
    "truncate", "allocate", "unlink", "close", "any"};

static const struct {
	const char *name;
	int error;
} errors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
    {"EFBIG", EFBIG},   {"EROFS", EROFS},   {"EINTR", EINTR},
    {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EACCES", EACCES},
    {"ENOMEM", ENOMEM}, {"EINVAL", EINVAL}, {"EOPNOTSUPP", EOPNOTSUPP},
    {"short", SHORT},
};

static struct fault {
	enum kind kind;
	unsigned long n;
	int error;
	bool is_lasting;
} faults[FAULTS_MAX];
static unsigned fault_count;

static char below[PATH_MAX];
static size_t below_len;
static char *told; /* the file, KINDS lines */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long seen[KINDS], failed[KINDS];

/* --- what is asked for ---------------------------------------------------- */

static void
refuse(const char *what)
{
	dprintf(STDERR_FILENO, "faults.so: %s\n", what);
	_exit(EXIT_FAILURE);
}

static bool
take_kind(const char *text, struct fault *fault)
{
	for (int kind = 0; kind < KINDS; kind++) {
		fault->kind = (enum kind)kind;
		if (text != NULL && strcmp(text, names[kind]) == 0)
			return true;
	}
	return false;
}

static bool
take_error(const char *text, struct fault *fault)
{
	for (size_t i = 0; text != NULL && i < sizeof(errors) / sizeof(*errors);
	     i++)
		if (strcmp(text, errors[i].name) == 0) {
			fault->error = errors[i].error;
			return true;
		}
	fault->error = text != NULL ? atoi(text) : 0;
	return fault->error > 0;
}

static void
take_fault(char *text)
{
	struct fault *fault = &faults[fault_count++];
	char *rest = text;
	const char *kind = strsep(&rest, ":"), *n = strsep(&rest, ":"),
		   *how = strsep(&rest, ":"), *on = strsep(&rest, ":");

	fault->n = n != NULL ? strtoul(n, NULL, 10) : 0;
	fault->is_lasting = on != NULL;
	if (!take_kind(kind, fault) || !take_error(how, fault) ||
	    fault->n == 0 || (on != NULL && strcmp(on, "on") != 0))
		refuse("HB_FAULTS is KIND:N:HOW[:on],...");
}

static void
tell(enum kind kind)
{
	char line[LINE + 1];

	if (told == NULL)
		return;
	snprintf(line, sizeof(line), "%s %lu %lu", names[kind], seen[kind],
	    failed[kind]);
	memset(line + strlen(line), ' ', LINE - 1 - strlen(line));
	line[LINE - 1] = '\n';
	memcpy(told + (size_t)kind * LINE, line, LINE);
}

static void
open_told(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
	    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	if (fd >= 0 && syscall(SYS_ftruncate, fd, (long)(KINDS * LINE)) == 0)
		map = mmap(NULL, KINDS * LINE, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		refuse("HB_FAULTS_TELL cannot be written");
	syscall(SYS_close, fd);
	told = map;
	for (int kind = 0; kind < KINDS; kind++)
		tell((enum kind)kind);
}

/* Before main(). */
static void __attribute__((constructor))
prepare(void)
{
	const char *list = getenv("HB_FAULTS");
	const char *directory = getenv("HB_FAULTS_BELOW");
	char *copy, *rest, *text;

	if (directory == NULL || directory[0] != '/')
		refuse("HB_FAULTS_BELOW is an absolute path");
	if (getenv("HB_FAULTS_TELL") != NULL)
		open_told(getenv("HB_FAULTS_TELL"));
	rest = copy = strdup(list != NULL ? list : "");
	while ((text = strsep(&rest, ",")) != NULL)
		if (text[0] != '\0' && fault_count < FAULTS_MAX)
			take_fault(text);
	free(copy);
	/* Only from here on any file is ours. */
	if (realpath(directory, below) == NULL)
		snprintf(below, sizeof(below), "%s", directory);
	below_len = strlen(below);
}

/* --- whether it fails ----------------------------------------------------- */

static bool
is_below(const char *path)
{
	return below_len > 0 && strncmp(path, below, below_len) == 0 &&
	       (path[below_len] == '/' || path[below_len] == '\0');
}

static bool
path_of(int fd, char path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/self/cwd");
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool
fd_is_below(int fd)
{
	char path[PATH_MAX];
	int before = errno;
	bool is = below_len > 0 && path_of(fd, path) && is_below(path);

	errno = before;
	return is;
}

/* Links on the way are not followed: programs name the files of their own
 * directories as they are. */
static bool
name_is_below(int dir, const char *name)
{
	return name != NULL &&
	       (name[0] == '/' ? is_below(name) : fd_is_below(dir));
}

static bool
fits(const struct fault *fault, enum kind kind)
{
	return (fault->kind == kind || fault->kind == ANY) &&
	       (seen[fault->kind] == fault->n ||
		   (fault->is_lasting && seen[fault->kind] > fault->n));
}

/* Counts the call; the errno that it is to fail with, SHORT, or 0. */
static int
fault_of(enum kind kind)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	seen[kind]++;
	seen[ANY]++;
	for (unsigned i = 0; error == 0 && i < fault_count; i++)
		if (fits(&faults[i], kind))
			error = faults[i].error;
	failed[kind] += error != 0;
	failed[ANY] += error != 0;
	tell(kind);
	tell(ANY);
	pthread_mutex_unlock(&lock);
	return error;
}

/* Whether this call fails, with errno. */
static bool
fails(enum kind kind, bool is_ours)
{
	int error = is_ours ? fault_of(kind) : 0;

	if (error > 0)
		errno = error;
	return error > 0;
}

/* --- writing -------------------------------------------------------------- */

static ssize_t
write_some(int fd, const struct iovec *parts, int count, off_t offset,
    int flags)
{
	return syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
}

/* Half of the bytes, and one at least. */
static ssize_t
write_half(int fd, const struct iovec *parts, int count, off_t offset,
    int flags)
{
	struct iovec some[IOV_MAX];
	size_t rest = 0;
	int i;

	for (i = 0; i < count; i++)
		rest += parts[i].iov_len;
	rest = (rest + 1) / 2;
	for (i = 0; i < count && i < IOV_MAX && rest > 0; i++) {
		some[i] = parts[i];
		if (some[i].iov_len > rest)
			some[i].iov_len = rest;
		rest -= some[i].iov_len;
	}
	return write_some(fd, some, i, offset, flags);
}

/* All of these calls; offset -1: where the file stands. */
static ssize_t
do_write(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	int error = fd_is_below(fd) ? fault_of(WRITE) : 0;

	if (error == SHORT)
		return write_half(fd, parts, count, offset, flags);
	if (error != 0) {
		errno = error;
		return -1;
	}
	return write_some(fd, parts, count, offset, flags);
}

EXPORT ssize_t
write(int fd, const void *data, size_t len)
{
	struct iovec part = {(void *)(uintptr_t)data, len};

	/* What cannot be told from others is not to be touched. */
	if (!fd_is_below(fd))
		return syscall(SYS_write, fd, data, len);
	return do_write(fd, &part, 1, -1, 0);
}

EXPORT ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	struct iovec part = {(void *)(uintptr_t)data, len};

	if (offset < 0) {
		errno = EINVAL;
		return -1;
	}
	return do_write(fd, &part, 1, offset, 0);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
    ALIAS(pwrite);

EXPORT ssize_t
writev(int fd, const struct iovec *parts, int count)
{
	if (!fd_is_below(fd))
		return syscall(SYS_writev, fd, parts, count);
	return do_write(fd, parts, count, -1, 0);
}

EXPORT ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (offset < 0) {
		errno = EINVAL;
		return -1;
	}
	return do_write(fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
    ALIAS(pwritev);

EXPORT ssize_t
pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
	return do_write(fd, parts, count, offset, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t offset,
    int flags) ALIAS(pwritev2);

/* --- syncing, sizes, closing ---------------------------------------------- */

EXPORT int
fsync(int fd)
{
	return fails(SYNC, fd_is_below(fd)) ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORT int
fdatasync(int fd)
{
	return fails(SYNC, fd_is_below(fd)) ? -1
					    : (int)syscall(SYS_fdatasync, fd);
}

EXPORT int
syncfs(int fd)
{
	return fails(SYNC, fd_is_below(fd)) ? -1 : (int)syscall(SYS_syncfs, fd);
}

EXPORT int
ftruncate(int fd, off_t len)
{
	return fails(TRUNCATE, fd_is_below(fd))
		   ? -1
		   : (int)syscall(SYS_ftruncate, fd, len);
}
int ftruncate64(int fd, off_t len) ALIAS(ftruncate);

EXPORT int
truncate(const char *path, off_t len)
{
	return fails(TRUNCATE, name_is_below(AT_FDCWD, path))
		   ? -1
		   : (int)syscall(SYS_truncate, path, len);
}
int truncate64(const char *path, off_t len) ALIAS(truncate);

EXPORT int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fails(ALLOCATE, fd_is_below(fd))
		   ? -1
		   : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}
int fallocate64(int fd, int mode, off_t offset, off_t len) ALIAS(fallocate);

/* It returns its error. */
EXPORT int
posix_fallocate(int fd, off_t offset, off_t len)
{
	int before = errno, error = 0;

	if (fallocate(fd, 0, offset, len) != 0)
		error = errno;
	errno = before;
	return error;
}
int posix_fallocate64(int fd, off_t offset, off_t len) ALIAS(posix_fallocate);

EXPORT int
close(int fd)
{
	bool is_ours = fd_is_below(fd);
	int rc = (int)syscall(SYS_close, fd);

	return fails(CLOSE, is_ours) ? -1 : rc;
}

/* --- names ---------------------------------------------------------------- */

static int
do_open(int dir, const char *name, int flags, mode_t mode)
{
	bool is_ours = ((flags & O_ACCMODE) != O_RDONLY ||
			   (flags & (O_CREAT | O_TRUNC)) != 0) &&
		       name_is_below(dir, name);

	return fails(OPEN, is_ours)
		   ? -1
		   : (int)syscall(SYS_openat, dir, name, flags, mode);
}

static bool
has_mode(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

EXPORT int
openat(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (has_mode(flags))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return do_open(dir, name, flags, mode);
}
int openat64(int dir, const char *name, int flags, ...) ALIAS(openat);

EXPORT int
open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (has_mode(flags))
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return do_open(AT_FDCWD, name, flags, mode);
}
int open64(const char *name, int flags, ...) ALIAS(open);

EXPORT int
creat(const char *name, mode_t mode)
{
	return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *name, mode_t mode) ALIAS(creat);

/* What callers become that are built with _FORTIFY_SOURCE. */
int __open_2(const char *name, int flags);
int __openat_2(int dir, const char *name, int flags);

EXPORT int
__open_2(const char *name, int flags)
{
	return do_open(AT_FDCWD, name, flags, 0);
}
int __open64_2(const char *name, int flags) ALIAS(__open_2);

EXPORT int
__openat_2(int dir, const char *name, int flags)
{
	return do_open(dir, name, flags, 0);
}
int __openat64_2(int dir, const char *name, int flags) ALIAS(__openat_2);

EXPORT int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
    unsigned flags)
{
	bool is_ours =
	    name_is_below(from_dir, from) || name_is_below(to_dir, to);

	return fails(RENAME, is_ours)
		   ? -1
		   : (int)syscall(
			 SYS_renameat2, from_dir, from, to_dir, to, flags);
}

EXPORT int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return renameat2(from_dir, from, to_dir, to, 0);
}

EXPORT int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int
unlinkat(int dir, const char *name, int flags)
{
	return fails(UNLINK, name_is_below(dir, name))
		   ? -1
		   : (int)syscall(SYS_unlinkat, dir, name, flags);
}

EXPORT int
unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}
