/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_model.c - random histories against a list
 *
 * Appending, settling, closing, opening, reading and crashing in random order.
 * A crash is a copy of the files at some moment, often with a piece of what was
 * not yet synced cut off or garbled; the history goes on from the copy. After
 * each opening:
 *
 *   every record that was done and not settled is there       nothing is lost
 *   every record there is one that was appended, once         nothing invented
 *   in the order they were appended, lane by lane              nor reordered
 *   one that was settled before a clean close is gone         nor forgotten
 *   as many as a look from outside has counted before
 *
 * One that was settled shortly before a crash may be there: that is the price
 * of settlements without a sync. The seed is told when it fails; HB_SPOOL_SEED
 * runs that one, HB_SPOOL_ROUNDS more of them. */
#include "spool_rig.h"

#define LANES 3
#define MAX_RECORDS 3000
#define STEPS 120

struct model_record {
	struct hb_spool_ref ref; /* of this opening */
	uint32_t len;
	unsigned lane;
	bool is_done, is_settled;
	bool may_return; /* settled, and not yet safely so */
};

struct model {
	struct rig rig;
	struct model_record records[MAX_RECORDS];
	unsigned count;
	uint64_t random;
};

static const char *const lane_names[LANES] = {"a", "b", "c"};

static unsigned
draw(struct model *m, unsigned limit)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->random >> 33) % limit;
}

/* A record's bytes tell which one it is. */
static void
render(char *bytes, unsigned number, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (char)(number * 31 + i * 7);
	memcpy(bytes, &number, sizeof(number));
}

/* --- steps ---------------------------------------------------------------- */

/* Some at once. */
static void
step_append(struct model *m)
{
	static struct rig_item items[16];
	static char bytes[16][9000];
	unsigned count = 1 + draw(m, 16), first = m->count;

	if (m->count + count > MAX_RECORDS)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct model_record *record = &m->records[m->count++];

		record->len = 4 + draw(m, draw(m, 8) == 0 ? 8900 : 300);
		record->lane = draw(m, LANES);
		render(bytes[i], first + i, record->len);
		rig_send(&m->rig, &items[i],
		    rig_lane(&m->rig, lane_names[record->lane]), bytes[i],
		    record->len);
	}
	for (unsigned i = 0; i < count; i++) {
		m->records[first + i].is_done = rig_wait(&items[i]);
		m->records[first + i].ref = items[i].append.ref;
	}
}

static void
settle(struct model_record *record)
{
	if (!record->is_done || record->is_settled)
		return;
	hb_spool_settle(&record->ref);
	record->is_settled = record->may_return = true;
}

/* The oldest ones, or some anywhere. */
static void
step_settle(struct model *m)
{
	unsigned count = draw(m, 40);

	if (draw(m, 2) == 0) {
		for (unsigned i = 0; i < m->count && count > 0; i++)
			if (!m->records[i].is_settled) {
				settle(&m->records[i]);
				count--;
			}
	} else {
		for (; count > 0 && m->count > 0; count--)
			settle(&m->records[draw(m, m->count)]);
	}
}

/* --- what is there -------------------------------------------------------- */

/* Reads a lane; marks what is there, and takes the new names of it. */
static void
read_lane(struct model *m, unsigned lane, bool *there)
{
	static char bytes[9000];
	struct hb_spool_cursor *cursor = hb_spool_cursor_new(
	    rig_lane(&m->rig, lane_names[lane]), NULL, NULL, NULL);
	struct hb_spool_record got;
	struct hb_error err;
	unsigned next = 0;

	while (hb_spool_cursor_next(cursor, &got, &err) == HB_SPOOL_RECORD) {
		unsigned number;

		memcpy(&number, got.bytes, sizeof(number));
		assert_true(number >= next && number < m->count);
		assert_int_equal(m->records[number].lane, lane);
		assert_int_equal(m->records[number].len, got.ref.len);
		render(bytes, number, got.ref.len);
		assert_memory_equal(got.bytes, bytes, got.ref.len);
		assert_true(got.ref.seq > 0);
		there[number] = true;
		m->records[number].ref = got.ref;
		next = number + 1;
		free(got.bytes);
	}
	hb_spool_cursor_free(cursor);
}

static void
check(struct model *m)
{
	bool *there = hb_xcalloc(MAX_RECORDS, sizeof(*there));
	struct hb_spool_stats stats;
	uint64_t count = 0;

	for (unsigned lane = 0; lane < LANES; lane++)
		read_lane(m, lane, there);
	for (unsigned i = 0; i < m->count; i++) {
		struct model_record *record = &m->records[i];

		count += there[i];
		if (record->is_done && !record->is_settled && !there[i])
			fail_msg("record %u is lost", i);
		if (there[i] && record->is_settled && !record->may_return)
			fail_msg("record %u came back", i);
		/* It is as it is, from now on. */
		if (there[i]) {
			record->is_done = true;
			record->is_settled = false;
		} else if (!record->is_settled) {
			record->is_settled = true;
			record->may_return = false;
		}
	}
	hb_spool_stats(m->rig.spool, &stats);
	assert_int_equal(stats.records, count);
	assert_int_equal(stats.lost, 0);
	free(there);
}

/* A settled record that is not there may no longer return, once that is known
 * to be on disk. */
static void
forget_settled(struct model *m)
{
	for (unsigned i = 0; i < m->count; i++)
		m->records[i].may_return = false;
}

static void
open_again(struct model *m)
{
	struct rig_counts counts = rig_survey(m->rig.path);

	rig_open_size(&m->rig, 24 * RIG_SEGMENT);
	assert_string_equal(rig_counts(&m->rig).text, counts.text);
}

static void
step_reopen(struct model *m)
{
	rig_close(&m->rig);
	open_again(m);
	forget_settled(m);
	check(m);
}

/* What is behind the last record may be anything. */
static void
garble_tail(struct model *m, const char *path, uint64_t number, uint64_t end)
{
	char name[HB_SPOOL_FILE_NAME], file[RIG_PATH + 64], noise[64];
	int fd;

	hb_spool_store_name(HB_SPOOL_SEGMENT_FILE, number, name);
	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_RDWR);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)draw(m, 256);
	if (fd >= 0)
		syscall(SYS_pwrite64, fd, noise, sizeof(noise), (off_t)end);
	close(fd);
}

/* Where the last record ends, while the writer sleeps; or UINT64_MAX. */
static uint64_t
end_if_asleep(struct model *m, uint64_t *number)
{
	struct hb_spool *spool = m->rig.spool;
	uint64_t end = UINT64_MAX;

	pthread_mutex_lock(&spool->lock);
	if (spool->is_asleep) {
		end = spool->out.seg != NULL ? spool->out.end : 0;
		*number = end > 0 ? spool->out.seg->header.number : 0;
	}
	pthread_mutex_unlock(&spool->lock);
	return end;
}

/* The files as they were at one moment, settlements still waiting; returns
 * where the last record ends. */
static uint64_t
snapshot(struct model *m, char copy[RIG_PATH], uint64_t *number)
{
	for (;;) {
		unsigned calls = rig_all;
		uint64_t end = end_if_asleep(m, number);

		rig_copy(m->rig.path, rig_path(copy));
		if (end != UINT64_MAX && end_if_asleep(m, number) == end &&
		    rig_all == calls)
			return end;
		rig_remove(copy);
	}
}

static void
step_crash(struct model *m)
{
	char copy[RIG_PATH];
	uint64_t number, end = snapshot(m, copy, &number);

	if (end > 0 && end < RIG_SEGMENT - 2 * HB_SPOOL_BLOCK &&
	    draw(m, 2) == 0)
		garble_tail(m, copy, number, end);
	rig_end(&m->rig);
	snprintf(m->rig.path, sizeof(m->rig.path), "%s", copy);
	open_again(m);
	check(m);
}

/* A write or a sync fails somewhere in what follows. */
static void
step_fault(struct model *m)
{
	rig_fail_short = draw(m, 2) == 0;
	rig_fail(1 + draw(m, 12), 1, draw(m, 2) == 0 ? EIO : ENOSPC);
	step_append(m);
	step_append(m);
	rig_fail(0, 0, 0);
}

static void
run(uint64_t seed)
{
	struct model *m = hb_xcalloc(1, sizeof(*m));

	printf("# seed %llu\n", (unsigned long long)seed);
	m->random = seed;
	rig_path(m->rig.path);
	rig_open_size(&m->rig, 24 * RIG_SEGMENT);
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned choice = draw(m, 100);

		if (choice < 50)
			step_append(m);
		else if (choice < 84)
			step_settle(m);
		else if (choice < 88)
			step_fault(m);
		else if (choice < 94)
			step_reopen(m);
		else
			step_crash(m);
	}
	step_reopen(m);
	rig_end(&m->rig);
	free(m);
}

static void
test_random_histories(void **state)
{
	const char *seed = getenv("HB_SPOOL_SEED");
	const char *rounds = getenv("HB_SPOOL_ROUNDS");
	unsigned count = rounds != NULL ? (unsigned)atoi(rounds) : 12;

	(void)state;
	if (seed != NULL) {
		run(strtoull(seed, NULL, 10));
		return;
	}
	for (unsigned i = 1; i <= count; i++)
		run(i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_histories),
	};

	return cmocka_run_group_tests(tests, rig_setup_fast, rig_teardown);
}
