/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_recover.c - what a crash or a bad disk leaves
 *
 * A sample is written once; its files are copied as they are while the spool
 * runs (a crash) and once it is closed. Then copies are damaged at every byte
 * that matters, and at some of those that do not (HB_SPOOL_ALL=1: at all of
 * them, for some minutes): whatever comes back must be records of the sample,
 * in their order, and all of them but those that were hit. */
#include "hookbridge/crc32c.h"
#include "spool_rig.h"

static const char *const texts[] = {"alpha", "beta", "gamma-gamma", "delta",
    "epsilon", "zeta", "eta-eta-eta-eta-eta", "theta"};
#define TEXTS HB_COUNT(texts)
#define SETTLED 2 /* this one */

static char crashed[RIG_PATH], closed[RIG_PATH];
/* Where each record begins, and the last one ends. */
static uint64_t offsets[TEXTS + 1];

static int
make_sample(void **state)
{
	struct hb_spool_ref refs[TEXTS];
	struct hb_spool_segment *seg;
	struct rig rig;

	if (rig_setup_fast(state) != 0)
		return -1;
	rig_start(&rig);
	for (size_t i = 0; i < TEXTS; i++) {
		refs[i] = rig_put(&rig, "a", texts[i]);
		if (i != SETTLED)
			continue;
		hb_spool_settle(&refs[i]);
		rig_rest(&rig);
	}
	seg = rig.spool->segments[0];
	for (size_t i = 0; i < TEXTS; i++)
		offsets[i] = seg->entries[i].offset;
	offsets[TEXTS] =
	    offsets[TEXTS - 1] +
	    hb_spool_record_size(seg->entries[TEXTS - 1].len);
	rig_copy(rig.path, rig_path(crashed));
	rig_close(&rig);
	rig_copy(rig.path, rig_path(closed));
	rig_remove(rig.path);
	return 0;
}

static int
remove_sample(void **state)
{
	rig_remove(crashed);
	rig_remove(closed);
	return rig_teardown(state);
}

/* --- what came back ------------------------------------------------------- */

struct result {
	bool has[TEXTS];
	unsigned count;
	unsigned quarantined;
};

/* Opens the directory, empties it and removes it. */
static struct result
recover(const char *path)
{
	struct result result = {0};
	struct rig rig;
	size_t next = 0;
	char *rest, *word;

	snprintf(rig.path, sizeof(rig.path), "%s", path);
	rig_open_to_read(&rig, 64 * RIG_SEGMENT);
	rest = rig_texts(&rig, "a");
	if (rest[0] == '\0') /* the lane's name was hit */
		rest = rig_texts(&rig, "lost+found");
	while ((word = strtok_r(rest, " ", &rest)) != NULL) {
		while (next < TEXTS && strcmp(texts[next], word) != 0)
			next++;
		if (next == TEXTS)
			fail_msg("%s is invented, or out of order", word);
		result.has[next++] = true;
		result.count++;
	}
	rig_close(&rig);
	result.quarantined = rig_count_files(path, ".quarantined");
	rig_remove(path);
	return result;
}

static char damaged[RIG_PATH];

static const char *
damage_begin(const char *sample)
{
	rig_copy(sample, rig_path(damaged));
	return rig_segment(damaged, false);
}

static struct result
flip(const char *sample, uint64_t offset, uint8_t bits)
{
	int fd = open(damage_begin(sample), O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= bits;
	assert_int_equal(
	    syscall(SYS_pwrite64, fd, &byte, (size_t)1, (off_t)offset), 1);
	close(fd);
	return recover(damaged);
}

/* All are there but the settled one and perhaps the one that was hit. */
static void
check_all_but(const struct result *result, uint64_t offset)
{
	for (size_t i = 0; i < TEXTS; i++) {
		bool is_hit =
		    offset >= offsets[i] && offset < offsets[i + 1];

		if (i != SETTLED && !is_hit && !result->has[i])
			fail_msg("byte %llu: %s is lost",
			    (unsigned long long)offset, texts[i]);
	}
}

/* --- tests ---------------------------------------------------------------- */

static void
test_undamaged(void **state)
{
	const char *samples[] = {crashed, closed};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		struct result result;

		damage_begin(samples[i]);
		result = recover(damaged);
		check_all_but(&result, 0);
		assert_false(result.has[SETTLED]);
		assert_int_equal(result.quarantined, 0);
	}
}

static void
flip_some(const char *sample, uint64_t from, uint64_t to, unsigned step)
{
	for (uint64_t offset = from; offset < to; offset += step) {
		struct result result =
		    flip(sample, offset, (uint8_t)(1 << offset % 8));

		check_all_but(&result, offset);
	}
}

static void
flip_all(const char *sample, uint64_t from, uint64_t to)
{
	flip_some(sample, from, to, 1);
}

/* What stands nowhere near a record. */
static void
test_flips_in_between(void **state)
{
	const uint64_t trailer = RIG_SEGMENT - HB_SPOOL_BLOCK;
	unsigned step = getenv("HB_SPOOL_ALL") != NULL ? 1 : 509;

	(void)state;
	flip_some(crashed, HB_SPOOL_HEADER_SIZE, HB_SPOOL_BLOCK, step);
	flip_some(crashed, offsets[TEXTS] + 64, RIG_SEGMENT, step);
	flip_some(closed, 0, HB_SPOOL_HEADER_COPY, step);
	flip_some(closed, HB_SPOOL_HEADER_COPY + HB_SPOOL_HEADER_SIZE,
	    HB_SPOOL_BLOCK, step);
	flip_some(closed, offsets[TEXTS] + 700, trailer, step);
	flip_some(
	    closed, trailer + HB_SPOOL_TRAILER_SIZE, RIG_SEGMENT, step);
}

static void
test_flips_in_records(void **state)
{
	(void)state;
	flip_all(crashed, HB_SPOOL_BLOCK, offsets[TEXTS] + 64);
	flip_all(closed, HB_SPOOL_BLOCK, offsets[TEXTS]);
}

static void
test_flips_in_header(void **state)
{
	(void)state;
	flip_all(crashed, 0, HB_SPOOL_HEADER_SIZE);
	flip_all(closed, HB_SPOOL_HEADER_COPY,
	    HB_SPOOL_HEADER_COPY + HB_SPOOL_HEADER_SIZE);
}

/* A footer that does not match is as good as none. */
static void
test_flips_in_footer(void **state)
{
	const uint64_t trailer = RIG_SEGMENT - HB_SPOOL_BLOCK;

	(void)state;
	flip_all(closed, offsets[TEXTS], offsets[TEXTS] + 700);
	flip_all(closed, trailer, trailer + HB_SPOOL_TRAILER_SIZE);
}

static struct result
cut(const char *sample, uint64_t size)
{
	assert_int_equal(
	    truncate(damage_begin(sample), (off_t)size), 0);
	return recover(damaged);
}

/* Whatever ends before the cut is there, and nothing of what does not. */
static void
check_cut(const struct result *result, uint64_t size)
{
	for (size_t i = 0; i < TEXTS; i++) {
		uint64_t end = offsets[i] + hb_spool_record_size(
						(uint32_t)strlen(texts[i]));

		if (i != SETTLED && result->has[i] != (size >= end))
			fail_msg("cut at %llu: %s", (unsigned long long)size,
			    texts[i]);
	}
}

static void
cut_some(const char *sample, uint64_t from, uint64_t to, unsigned step)
{
	for (uint64_t size = from; size < to; size += step) {
		struct result result = cut(sample, size);

		check_cut(&result, size);
	}
}

static void
test_cuts(void **state)
{
	unsigned step = getenv("HB_SPOOL_ALL") != NULL ? 1 : 509;
	const char *samples[] = {crashed, closed};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		cut_some(samples[i], 0, HB_SPOOL_BLOCK, step);
		cut_some(samples[i], HB_SPOOL_BLOCK, offsets[TEXTS] + 16, 1);
		cut_some(samples[i], offsets[TEXTS] + 16, RIG_SEGMENT, step);
	}
	cut_some(closed, RIG_SEGMENT - HB_SPOOL_BLOCK,
	    RIG_SEGMENT - HB_SPOOL_BLOCK + HB_SPOOL_TRAILER_SIZE + 8, 1);
}

/* Damage that later records prove is kept for a closer look, once the rest is
 * settled; a torn end is not. */
static void
test_quarantine(void **state)
{
	struct hb_spool_cursor *cursor;
	struct hb_spool_record record;
	struct hb_spool_stats stats;
	struct hb_error err;
	struct rig rig;
	int fd;

	(void)state;
	fd = open(damage_begin(crashed), O_RDWR);
	assert_int_equal(syscall(SYS_pwrite64, fd, "X", (size_t)1,
			     (off_t)offsets[4] + HB_SPOOL_HEAD_SIZE),
	    1);
	close(fd);
	snprintf(rig.path, sizeof(rig.path), "%s", damaged);
	rig_open(&rig);
	rig_put(&rig, "a", "next"); /* the damaged one is no longer the last */
	cursor = hb_spool_cursor_new(rig_lane(&rig, "a"), NULL, NULL, NULL);
	for (size_t i = 0; i < TEXTS - 1; i++) {
		assert_int_equal(hb_spool_cursor_next(cursor, &record, &err),
		    HB_SPOOL_RECORD);
		hb_spool_settle(&record.ref);
		free(record.bytes);
	}
	hb_spool_cursor_free(cursor);
	rig_rest(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.quarantined, 1);
	assert_int_equal(rig_count_files(rig.path, ".quarantined"), 1);
	assert_int_equal(stats.records, 0);
	rig_end(&rig);
}

/* No later record of its file proves that the last one was promised; the next
 * file's header does. */
static void
test_damage_at_an_older_end(void **state)
{
	struct hb_spool_check check;
	struct hb_error err;
	struct rig rig;
	int fd;

	(void)state;
	damage_begin(crashed);
	snprintf(rig.path, sizeof(rig.path), "%s", damaged);
	rig_open(&rig);
	rig_put(&rig, "a", "next");
	rig_close(&rig);
	assert_true(hb_spool_verify(rig.path, &check, NULL, NULL, &err));
	assert_int_equal(check.damaged, 0);
	fd = open(rig_segment(rig.path, false), O_RDWR);
	assert_int_equal(syscall(SYS_pwrite64, fd, "X", (size_t)1,
			     (off_t)offsets[TEXTS - 1] + 8),
	    1);
	close(fd);
	assert_true(hb_spool_verify(rig.path, &check, NULL, NULL, &err));
	assert_int_equal(check.damaged, 1);
	rig_open(&rig);
	assert_true(rig.spool->segments[0]->is_damaged);
	assert_string_equal(rig_texts(&rig, "a"),
	    "alpha beta delta epsilon zeta eta-eta-eta-eta-eta next ");
	rig_end(&rig);
}

/* In a sealed segment it is found when the record is read. */
static void
test_damage_found_by_reading(void **state)
{
	struct hb_spool_stats stats;
	struct rig rig;
	int fd;

	(void)state;
	fd = open(damage_begin(closed), O_RDWR);
	assert_int_equal(syscall(SYS_pwrite64, fd, "X", (size_t)1,
			     (off_t)offsets[4] + HB_SPOOL_HEAD_SIZE),
	    1);
	close(fd);
	snprintf(rig.path, sizeof(rig.path), "%s", damaged);
	rig_open(&rig);
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, TEXTS - 1);
	assert_string_equal(rig_texts(&rig, "a"),
	    "alpha beta delta zeta eta-eta-eta-eta-eta theta ");
	hb_spool_stats(rig.spool, &stats);
	assert_int_equal(stats.records, TEXTS - 2);
	assert_int_equal(stats.lost, 1);
	rig_end(&rig);
}

/* Both copies of the header: the file is set aside, and the spool works. */
static void
test_no_header(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	fd = open(damage_begin(closed), O_RDWR);
	assert_int_equal(
	    syscall(SYS_pwrite64, fd, "X", (size_t)1, (off_t)20), 1);
	assert_int_equal(syscall(SYS_pwrite64, fd, "X", (size_t)1,
			     (off_t)HB_SPOOL_HEADER_COPY + 20),
	    1);
	close(fd);
	snprintf(rig.path, sizeof(rig.path), "%s", damaged);
	rig_open(&rig);
	assert_int_equal(rig_count_files(rig.path, ".quarantined"), 1);
	rig_put(&rig, "a", "new");
	rig_close(&rig);
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "new ");
	assert_int_equal(rig_count_files(rig.path, ".quarantined"), 1);
	rig_end(&rig);
}

/* Another version's segment: no start, and nothing is touched. */
static void
test_another_version(void **state)
{
	struct hb_spool_options options = {.directory = damaged,
	    .max_size = 64 * RIG_SEGMENT,
	    .segment_size = RIG_SEGMENT};
	struct hb_error err;
	unsigned files;
	int fd;

	(void)state;
	fd = open(damage_begin(closed), O_RDWR);
	assert_int_equal(
	    syscall(SYS_pwrite64, fd, "\2", (size_t)1, (off_t)8), 1);
	assert_int_equal(syscall(SYS_pwrite64, fd, "\2", (size_t)1,
			     (off_t)HB_SPOOL_HEADER_COPY + 8),
	    1);
	close(fd);
	files = rig_count_files(damaged, "");
	assert_null(hb_spool_open(&options, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "another version"));
	assert_int_equal(rig_count_files(damaged, ""), files);
	rig_remove(damaged);
}

/* Links, directories and foreign names are left alone. */
static void
test_foreign_names(void **state)
{
	char name[RIG_PATH + 64];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_put(&rig, "a", "one");
	rig_close(&rig);
	snprintf(name, sizeof(name), "%s/00000000000000ff.seg", rig.path);
	assert_int_equal(symlink("/etc/passwd", name), 0);
	snprintf(name, sizeof(name), "%s/FF.seg", rig.path);
	close(open(name, O_CREAT | O_WRONLY, 0600));
	snprintf(name, sizeof(name), "%s/pool-007", rig.path);
	close(open(name, O_CREAT | O_WRONLY, 0600));
	rig_open(&rig);
	assert_string_equal(rig_texts(&rig, "a"), "one ");
	rig_close(&rig);
	assert_int_equal(rig_count_files(rig.path, "FF.seg"), 1);
	assert_int_equal(rig_count_files(rig.path, "ff.seg"), 1);
	assert_int_equal(rig_count_files(rig.path, "pool-007"), 1);
	rig_remove(rig.path);
}

/* --- numbers -------------------------------------------------------------- */

/* A segment that has one settlement, of number seq, and nothing else: the one
 * that had the record is gone. */
static void
write_settlement(const char *path, uint64_t seq)
{
	static uint8_t file[RIG_SEGMENT];
	struct hb_spool_header header = {
	    .number = 1, .first_seq = 1, .file_size = sizeof(file)};
	struct hb_spool_settled settled = {.number = seq / HB_SPOOL_PAGE_SEQS};
	struct hb_spool_head head = {.type = HB_SPOOL_SETTLED,
	    .len = HB_SPOOL_PAGE_SIZE,
	    .synced = HB_SPOOL_BLOCK};
	struct hb_spool_key key = hb_spool_header_key(&header);
	uint8_t *out = file + HB_SPOOL_BLOCK;
	char name[RIG_PATH + 32];
	int fd;

	memset(file, 0, sizeof(file));
	hb_spool_header_put(&header, file);
	settled.words[seq % HB_SPOOL_PAGE_SEQS / 64] = UINT64_C(1) << seq % 64;
	hb_spool_settled_put(&settled, out + HB_SPOOL_HEAD_SIZE);
	head.payload_crc = hb_crc32c(
	    key.seed, out + HB_SPOOL_HEAD_SIZE, HB_SPOOL_PAGE_SIZE);
	hb_spool_head_put(&head, key, out);
	mkdir(path, 0700);
	snprintf(name, sizeof(name), "%s/0000000000000001.seg", path);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, file, sizeof(file)), sizeof(file));
	close(fd);
}

/* A number that was settled is never given out again: the new record would be
 * taken for settled at the next start. */
static void
test_numbers_go_on(void **state)
{
	const uint64_t seqs[] = {1, 63, 64, 4095, 4096, 123456789};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(seqs); i++) {
		struct rig rig;

		write_settlement(rig_path(rig.path), seqs[i]);
		rig_open(&rig);
		assert_int_equal(rig_put(&rig, "a", "new").seq, seqs[i] + 1);
		rig_close(&rig);
		rig_open(&rig);
		assert_string_equal(rig_texts(&rig, "a"), "new ");
		rig_end(&rig);
	}
}

/* Nobody has counted that far: no record could be told apart behind it. */
static void
test_refuses_high_numbers(void **state)
{
	struct rig rig;
	struct hb_spool_options options = {.directory = rig.path,
	    .max_size = 64 * RIG_SEGMENT,
	    .segment_size = RIG_SEGMENT};
	struct hb_error err = {0};

	(void)state;
	write_settlement(rig_path(rig.path), HB_SPOOL_SEQ_MAX - 1);
	assert_null(hb_spool_open(&options, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	assert_non_null(strstr(err.text, "numbers"));
	assert_int_equal(rig_count_files(rig.path, ".seg"), 1);
	rig_remove(rig.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_undamaged),
	    cmocka_unit_test(test_flips_in_records),
	    cmocka_unit_test(test_flips_in_header),
	    cmocka_unit_test(test_flips_in_footer),
	    cmocka_unit_test(test_flips_in_between),
	    cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_quarantine),
	    cmocka_unit_test(test_damage_at_an_older_end),
	    cmocka_unit_test(test_damage_found_by_reading),
	    cmocka_unit_test(test_no_header),
	    cmocka_unit_test(test_another_version),
	    cmocka_unit_test(test_foreign_names),
	    cmocka_unit_test(test_numbers_go_on),
	    cmocka_unit_test(test_refuses_high_numbers),
	};

	return cmocka_run_group_tests(tests, make_sample, remove_sample);
}
