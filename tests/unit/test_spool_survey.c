/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_survey.c - a directory looked at from outside
 *
 * That a survey counts what opening would find, also between two steps of a
 * compaction and after any crash, is tested where those are made. */
#include "spool_rig.h"

/* --- a directory that changes under its eyes ------------------------------ */

/* When all names have been read, the directory becomes as another one is. */
static const char *change_from, *change_to;

static void
change_now(void)
{
	const char *from = change_from;

	change_from = NULL;
	rig_each_file(from, rig_remove_file);
	rig_copy(change_to, from);
}

int
closedir(DIR *stream)
{
	static int (*next)(DIR *stream);

	if (next == NULL)
		next =
		    (int (*)(DIR *))(uintptr_t)dlsym(RTLD_NEXT, "closedir");
	if (change_from != NULL)
		change_now();
	return next(stream);
}

/* --- samples -------------------------------------------------------------- */

/* Records of 10000 bytes, six in a segment, of two lanes by turns; the first of
 * all is settled. */
static void
fill(struct rig *rig, unsigned count)
{
	static char bytes[10000];
	struct hb_spool_ref ref, first = {.seq = 0};

	for (unsigned i = 0; i < count; i++) {
		ref = rig_append(rig, rig_lane(rig, i % 2 == 0 ? "a" : "b"),
		    bytes, sizeof(bytes), NULL);
		if (i == 0)
			first = ref;
	}
	assert_true(hb_spool_settle(&first));
	rig_rest(rig);
}

static void
expect(const char *path, const char *wanted)
{
	assert_string_equal(rig_survey(path).text, wanted);
}

static void
overwrite(const char *file, uint64_t offset, const char *byte)
{
	int fd = open(file, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(
	    syscall(SYS_pwrite64, fd, byte, (size_t)1, (off_t)offset), 1);
	close(fd);
}

/* --- tests ---------------------------------------------------------------- */

/* While it is written, as a crash leaves it, and closed. */
static void
test_counts(void **state)
{
	char copy[RIG_PATH];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	expect(rig.path, "");
	fill(&rig, 4); /* nothing is sealed */
	expect(rig.path, "a 1 10000, b 2 20000, ");
	rig_put(&rig, "c", "text");
	fill(&rig, 10);
	assert_string_equal(rig_counts(&rig).text,
	    "a 5 50000, b 7 70000, c 1 4, ");
	assert_true(rig_count_files(rig.path, ".seg") > 2);
	rig_snapshot(&rig, copy);
	/* The newest segment's lanes come first. */
	assert_int_equal(rig_survey(rig.path).len, rig_counts(&rig).len);
	expect(copy, rig_survey(rig.path).text);
	rig_close(&rig);
	expect(rig.path, rig_survey(copy).text);
	rig_open(&rig);
	assert_string_equal(
	    rig_counts(&rig).text, rig_survey(copy).text);
	rig_end(&rig);
	rig_remove(copy);
}

/* A segment that was ended whole is counted by its footer; one whose footer is
 * damaged is read, and what is damaged in it does not count. */
static void
test_damage(void **state)
{
	uint64_t offset;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	fill(&rig, 4);
	offset = rig.spool->segments[0]->entries[1].offset;
	rig_close(&rig);
	overwrite(rig_segment(rig.path, false), offset + 1000, "X");
	expect(rig.path, "a 1 10000, b 2 20000, ");
	overwrite(rig_segment(rig.path, false),
	    RIG_SEGMENT - HB_SPOOL_BLOCK, "X");
	expect(rig.path, "a 1 10000, b 1 10000, ");
	/* Without a header it cannot be told, and is left where it is. */
	overwrite(rig_segment(rig.path, false), 20, "X");
	overwrite(rig_segment(rig.path, false), HB_SPOOL_HEADER_COPY + 20, "X");
	expect(rig.path, "");
	assert_int_equal(rig_count_files(rig.path, ".seg"), 1);
	rig_remove(rig.path);
}

/* No file is opened for writing, written, renamed or removed, though recovery
 * would do all of it. */
static void
test_changes_nothing(void **state)
{
	unsigned calls;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	fill(&rig, 20);
	rig_close(&rig);
	overwrite(rig_segment(rig.path, false), 20, "X");
	overwrite(rig_segment(rig.path, false), HB_SPOOL_HEADER_COPY + 20, "X");
	calls = rig_all;
	assert_true(rig_survey(rig.path).len > 0);
	assert_int_equal(rig_all, calls);
	assert_int_equal(rig_count_files(rig.path, ".quarantined"), 0);
	assert_int_equal(rig_metric(HB_M_SPOOL_QUARANTINED), 0);
	rig_open(&rig);
	assert_int_equal(rig_count_files(rig.path, ".quarantined"), 1);
	rig_end(&rig);
}

/* Files that are gone by the time they would be read: it looks again. */
static void
test_files_go(void **state)
{
	struct rig_counts counts;
	struct rig rig, other;

	(void)state;
	rig_start(&rig);
	fill(&rig, 4);
	rig_close(&rig);
	rig_start(&other);
	fill(&other, 20);
	rig_close(&other);
	unlink(rig_segment(other.path, false)); /* no name in common */
	counts = rig_survey(other.path);
	assert_true(counts.len > 0);
	change_from = rig.path;
	change_to = other.path;
	expect(rig.path, counts.text);
	assert_null(change_from);
	rig_remove(rig.path);
	rig_remove(other.path);
}

static void
expect_refusal(const char *path, const char *text)
{
	struct rig_counts counts = {.len = 0};
	struct hb_error err = {0};

	assert_false(hb_spool_survey(path, rig_add_counts, &counts, &err));
	if (strstr(err.text, text) == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_int_equal(counts.len, 0);
}

static void
test_directories(void **state)
{
	char path[RIG_PATH + 8];
	struct rig rig;

	(void)state;
	expect("/nowhere/at/all", "");
	rig_start(&rig);
	snprintf(path, sizeof(path), "%s/new", rig.path);
	expect(path, "");
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/lock", rig.path);
	expect_refusal(path, "not a directory");
	fill(&rig, 4);
	rig_close(&rig);
	overwrite(rig_segment(rig.path, false), 8, "\2");
	overwrite(rig_segment(rig.path, false), HB_SPOOL_HEADER_COPY + 8, "\2");
	expect_refusal(rig.path, "another version");
	rig_remove(rig.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_changes_nothing),
	    cmocka_unit_test(test_files_go),
	    cmocka_unit_test(test_directories),
	};

	return cmocka_run_group_tests(tests, rig_setup_fast, rig_teardown);
}
