/* SPDX-License-Identifier: Apache-2.0 */
/* file_rig.h - a file sink, and the disk under it in the test's hands
 *
 * Included by one .c file of a program: fsync() and fdatasync() are ours. */
#ifndef HOOKBRIDGE_TESTS_FILE_RIG_H
#define HOOKBRIDGE_TESTS_FILE_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../../src/sink/file.h"
#include "hookbridge/log.h"
#include "sink_contract.h"

static char dir[] = "/tmp/hb-file-XXXXXX";
static char path[64];
static struct hb_file_conf settings = {.path = path};

/* --- syncs, in our hands -------------------------------------------------- */

/* Of files: how many began, how many of the next fail, and a gate that a test
 * holds to keep one from ending. */
static _Atomic unsigned syncs, syncs_to_fail;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
/* A file that somebody truncates while it is synced. */
static const char *truncated_meanwhile;

int
fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	if (truncated_meanwhile != NULL)
		assert_int_equal(truncate(truncated_meanwhile, 0), 0);
	if (atomic_load(&syncs_to_fail) > 0) {
		atomic_fetch_sub(&syncs_to_fail, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* Also after a test that failed. */
static inline int
open_gate(void **state)
{
	(void)state;
	pthread_mutex_trylock(&gate);
	pthread_mutex_unlock(&gate);
	return 0;
}

/* Of directories. */
static _Atomic unsigned dir_syncs;
static _Atomic int dir_sync_error;

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if (!S_ISDIR(st.st_mode))
		return (int)syscall(SYS_fsync, fd);
	atomic_fetch_add(&dir_syncs, 1);
	errno = atomic_load(&dir_sync_error);
	return errno != 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

/* Waits until so many have begun. */
static inline void
await_syncs(unsigned wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (atomic_load(&syncs) < wanted)
		assert_true(contract_wait(since_ms));
}

/* --- the oracle ----------------------------------------------------------- */

/* All of a file, NUL-terminated; "" when there is none. */
static inline char *
slurp(const char *name, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char *text;
	struct stat st = {.st_size = 0};

	if (fd >= 0)
		assert_int_equal(fstat(fd, &st), 0);
	text = hb_xcalloc(1, (size_t)st.st_size + 1);
	*len = (size_t)st.st_size;
	if (fd < 0)
		return text;
	assert_int_equal(read(fd, text, *len), *len);
	close(fd);
	return text;
}

/* How often the line stands in the file of that name. */
static inline size_t
count_lines(const char *name, struct hb_span line)
{
	size_t len, count = 0;
	char *text = slurp(name, &len), *pos = text;

	while (pos < text + len) {
		char *end = memchr(pos, '\n', (size_t)(text + len - pos));

		if (end == NULL)
			break;
		count +=
		    hb_span_eq(hb_span_make(pos, (size_t)(end - pos)), line);
		pos = end + 1;
	}
	free(text);
	return count;
}

static inline size_t
arrived(void *arg, const struct hb_message *msg)
{
	return count_lines(arg, msg->value);
}

/* --- the disk ------------------------------------------------------------- */

/* A limit on the size of files stands for the disk: it too gives a short write
 * first. */
static inline void
limit_size(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void
disk_down(void *arg)
{
	(void)arg;
	limit_size(0);
}

static inline void
disk_up(void *arg)
{
	(void)arg;
	limit_size(RLIM_INFINITY);
}

static struct contract_peer peer = {
    .ops = &hb_sink_file,
    .settings = &settings,
    .dests = {""},
    .arrived = arrived,
    .down = disk_down,
    .up = disk_up,
    .arg = path,
    .json_only = true,
};

static inline void
start(struct contract_rig *rig)
{
	contract_open(rig, &peer);
	contract_run(rig);
}

static inline struct contract_item *
exchange(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = contract_items(rig, count);

	contract_send(items, count);
	contract_await_reports(items, count);
	contract_check_reports(items, count);
	return items;
}

static inline void
expect_confirmed(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = exchange(rig, count);

	contract_check_confirmed(items, count);
	contract_check_arrived(rig, items, count);
	free(items);
}

static inline void
put_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The whole file. */
static inline void
expect_file(const char *name, const char *text)
{
	size_t len;
	char *found = slurp(name, &len);

	assert_string_equal(found, text);
	assert_int_equal(len, strlen(text));
	free(found);
}

static inline void
remove_file(void)
{
	unlink(path);
}

/* Also after a test that failed. */
static inline int
lift_limit(void **state)
{
	(void)state;
	limit_size(RLIM_INFINITY);
	return 0;
}

/* False when there is no place for files. */
static inline bool
file_rig_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	if (mkdtemp(dir) == NULL)
		return false;
	snprintf(path, sizeof(path), "%s/events.ndjson", dir);
	return true;
}

static inline int
file_rig_end(int failures)
{
	remove_file();
	rmdir(dir);
	return failures;
}

#endif
