/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_limits.c - real disks that are full, small or not to be written
 *
 * What the other tests make up by failing calls, done by the system: a tmpfs of
 * 1 MiB in a mount namespace of our own, a read-only remount, a limit on the
 * size of files. */
#include "spool_rig.h"
/* clang-format off */
#include "skip.h"
/* clang-format on */

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define LEN 18000 /* three in a segment */
#define TMPFS "size=1m,mode=0700"

static char bytes[LEN];
static bool can_mount;

/* Before there is any thread. */
static int
setup(void **state)
{
	can_mount = unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	signal(SIGXFSZ, SIG_IGN);
	return rig_setup(state);
}

static bool
mount_small(struct rig *rig)
{
	rig_path(rig->path);
	return can_mount && mkdir(rig->path, 0700) == 0 &&
	       mount("none", rig->path, "tmpfs", 0, TMPFS) == 0;
}

static void
unmount(struct rig *rig)
{
	assert_int_equal(umount2(rig->path, 0), 0);
	assert_int_equal(rmdir(rig->path), 0);
}

static unsigned
count_records(struct rig *rig)
{
	struct hb_spool_stats stats;

	hb_spool_stats(rig->spool, &stats);
	return (unsigned)stats.records;
}

/* Reads all of the lane, settles it, and tells how many there were. */
static unsigned
drain(struct rig *rig)
{
	struct hb_spool_cursor *cursor =
	    hb_spool_cursor_new(rig_lane(rig, "a"), NULL, NULL, NULL);
	struct hb_spool_record record;
	struct hb_error err;
	unsigned count = 0;

	while (hb_spool_cursor_next(cursor, &record, &err) ==
	       HB_SPOOL_RECORD) {
		assert_int_equal(record.ref.len, LEN);
		assert_memory_equal(record.bytes, bytes, LEN);
		assert_true(hb_spool_settle(&record.ref));
		free(record.bytes);
		count++;
	}
	hb_spool_cursor_free(cursor);
	return count;
}

/* Until it is refused; how many were taken. */
static unsigned
fill_up(struct rig *rig, struct hb_error *err)
{
	struct hb_spool_lane *lane = rig_lane(rig, "a");
	unsigned count = 0;

	while (rig_append(rig, lane, bytes, LEN, err).seq > 0)
		count++;
	return count;
}

/* The budget is larger than the disk. It says so, keeps what it has said to
 * have, and takes records again when some are settled. */
static void
test_full_disk(void **state)
{
	struct hb_spool_stats stats;
	struct hb_spool_check check;
	struct hb_error err = {0};
	unsigned count;
	struct rig rig;

	(void)state;
	if (!mount_small(&rig))
		SKIP("no tmpfs can be mounted here");
	rig_open(&rig);
	for (int round = 0; round < 3; round++) {
		count = fill_up(&rig, &err);
		assert_in_range(count, 30, 45);
		assert_int_equal(err.code, HB_E_RESOURCE);
		assert_non_null(strstr(err.text, "No space left"));
		hb_spool_stats(rig.spool, &stats);
		assert_int_equal(stats.state, HB_SPOOL_FULL);
		rig_close(&rig);
		assert_true(
		    hb_spool_verify(rig.path, &check, NULL, NULL, &err));
		assert_int_equal(check.damaged, 0);
		rig_open(&rig);
		assert_int_equal(count_records(&rig), count);
		assert_int_equal(drain(&rig), count);
		rig_rest(&rig);
	}
	assert_true(fill_up(&rig, &err) > 0);
	rig_close(&rig);
	unmount(&rig);
}

/* Somebody else's files fill the disk, and go: nobody has to append for it to
 * be noticed. */
static void
test_a_disk_full_of_others(void **state)
{
	struct hb_spool_stats stats;
	char name[RIG_PATH + 16];
	struct hb_error err = {0};
	struct rig rig;
	int fd;

	(void)state;
	if (!mount_small(&rig))
		SKIP("no tmpfs can be mounted here");
	rig_open(&rig);
	snprintf(name, sizeof(name), "%s/others", rig.path);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(
	    syscall(SYS_fallocate, fd, 0, (off_t)0, (off_t)(900 << 10)), 0);
	close(fd);
	assert_in_range(fill_up(&rig, &err), 0, 4);
	assert_int_equal(err.code, HB_E_RESOURCE);
	assert_int_equal(unlink(name), 0);
	do {
		usleep(1000);
		hb_spool_stats(rig.spool, &stats);
	} while (stats.state != HB_SPOOL_OK);
	assert_true(fill_up(&rig, &err) > 25);
	rig_close(&rig);
	unmount(&rig);
}

/* A file system that became read-only: it can be verified, not opened. */
static void
test_read_only(void **state)
{
	struct hb_spool_options options = {
	    .max_size = 64 * RIG_SEGMENT, .segment_size = RIG_SEGMENT};
	struct hb_spool_check check;
	struct hb_error err = {0};
	struct rig rig;

	(void)state;
	if (!mount_small(&rig))
		SKIP("no tmpfs can be mounted here");
	rig_open(&rig);
	rig_append(&rig, rig_lane(&rig, "a"), bytes, LEN, NULL);
	rig_close(&rig);
	assert_int_equal(mount("none", rig.path, NULL,
			     MS_REMOUNT | MS_RDONLY, TMPFS),
	    0);
	options.directory = rig.path;
	assert_null(hb_spool_open(&options, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "Read-only file system"));
	assert_true(hb_spool_verify(rig.path, &check, NULL, NULL, &err));
	assert_int_equal(check.unsettled, 1);
	assert_int_equal(mount("none", rig.path, NULL, MS_REMOUNT, TMPFS), 0);
	rig_open(&rig);
	assert_int_equal(drain(&rig), 1);
	rig_close(&rig);
	unmount(&rig);
}

/* RLIMIT_FSIZE: a full disk, not the end of the process. */
static void
test_file_size_limit(void **state)
{
	const rlim_t limits[] = {0, 4096, RIG_SEGMENT - 1};
	struct hb_error err = {0};
	struct rlimit before;
	struct rig rig;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	for (size_t i = 0; i < HB_COUNT(limits); i++) {
		struct rlimit low = {limits[i], before.rlim_max};
		struct hb_spool_stats stats;

		rig_start(&rig);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
		rig_append(&rig, rig_lane(&rig, "a"), bytes, LEN, &err);
		hb_spool_stats(rig.spool, &stats);
		rig_close(&rig);
		rig_open(&rig); /* with the limit: its pid is left out */
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(err.code, HB_E_RESOURCE);
		assert_int_equal(stats.state, HB_SPOOL_FULL);
		assert_non_null(strstr(stats.why, "File too large"));
		assert_true(rig_append(&rig, rig_lane(&rig, "a"), bytes, LEN,
				NULL)
				.seq > 0);
		rig_end(&rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_a_disk_full_of_others),
	    cmocka_unit_test(test_read_only),
	    cmocka_unit_test(test_file_size_limit),
	};

	return cmocka_run_group_tests(tests, setup, rig_teardown);
}
