/* SPDX-License-Identifier: Apache-2.0 */
/* test_file_faults.c - what the file sink makes of syncs that hang or fail, of
 * full disks and of descriptors that break */
#include "file_rig.h"

/* --- groups --------------------------------------------------------------- */

/* What gathers while one group is synced shares the next sync. */
static void
groups_share_a_sync(void **state)
{
	enum { COUNT = 20000, GROUPS = 5 }; /* of at most 4096 each */
	struct contract_item *items;
	struct contract_rig rig;
	unsigned begun;

	(void)state;
	remove_file();
	start(&rig);
	items = contract_items(&rig, COUNT + 1);
	pthread_mutex_lock(&gate);
	begun = atomic_load(&syncs);
	contract_send(&items[COUNT], 1);
	await_syncs(begun + 1);
	contract_send(items, COUNT);
	contract_settle(&rig);
	pthread_mutex_unlock(&gate);
	contract_await_reports(items, COUNT + 1);
	contract_check_confirmed(items, COUNT + 1);
	assert_int_equal(atomic_load(&syncs), begun + 1 + GROUPS);
	contract_stop(&rig);
	free(items);
}

/* Nothing is confirmed before it is synced, also not at the end. */
static void
drains_while_a_sync_hangs(void **state)
{
	enum { WAITING = 4 };
	struct contract_item *begun, *waiting;
	struct contract_rig rig;
	unsigned before;

	(void)state;
	remove_file();
	start(&rig);
	begun = contract_items(&rig, 1);
	waiting = contract_items(&rig, WAITING);
	pthread_mutex_lock(&gate);
	before = atomic_load(&syncs);
	contract_lend(begun);
	contract_send(begun, 1);
	await_syncs(before + 1);
	for (int i = 0; i < WAITING; i++)
		contract_lend(&waiting[i]);
	contract_send(waiting, WAITING);
	contract_settle(&rig);
	rig.sink->ops->drain(rig.sink, 50);
	contract_settle(&rig);
	contract_check_reports(begun, 1);
	contract_check_reports(waiting, WAITING);
	assert_int_equal(begun->delivery.report, HB_REPORT_UNKNOWN);
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(
		    waiting[i].delivery.report, HB_REPORT_RETRY);
	pthread_mutex_unlock(&gate);
	contract_close(&rig);
	contract_check_reports(begun, 1);
	contract_check_reports(waiting, WAITING);
	free(begun);
	free(waiting);
}

/* In the middle of whatever the helper does, rendering too. */
static void
drains_at_any_moment(void **state)
{
	enum { ROUNDS = 40, COUNT = 40, SIZE = 50000 };
	char *large = hb_xmalloc(SIZE);

	(void)state;
	memset(large, 'x', SIZE);
	large[0] = large[SIZE - 1] = '"';
	remove_file();
	for (int i = 0; i < ROUNDS; i++) {
		struct contract_item *items;
		struct contract_rig rig;

		start(&rig);
		items = contract_lend_items(&rig, COUNT, large, SIZE);
		/* Nothing is reported because it is done. */
		pthread_mutex_lock(&gate);
		contract_send(items, COUNT);
		/* A little later each time. */
		for (uint64_t until = hb_clock_mono_us() + 50 * (uint64_t)i;
		     hb_clock_mono_us() < until;)
			;
		rig.sink->ops->drain(rig.sink, 0);
		contract_settle(&rig);
		contract_check_reports(items, COUNT);
		pthread_mutex_unlock(&gate);
		contract_close(&rig);
		free(items);
	}
	free(large);
}

/* --- a full disk ---------------------------------------------------------- */

static void
full_disks_keep_whole_lines(void **state)
{
	enum { COUNT = 40 };
	struct contract_item *items;
	struct contract_rig rig;
	size_t len, confirmed = 0;
	char *text;

	(void)state;
	remove_file();
	start(&rig);
	expect_confirmed(&rig, 2);
	limit_size(200);
	items = exchange(&rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct hb_delivery *delivery = &items[i].delivery;
		bool is_confirmed = delivery->report == HB_REPORT_CONFIRMED;

		confirmed += is_confirmed;
		if (!is_confirmed) {
			assert_int_equal(delivery->report, HB_REPORT_RETRY);
			assert_non_null(
			    strstr(delivery->why.text, strerror(EFBIG)));
		}
		assert_int_equal(
		    count_lines(path, delivery->msg.value), is_confirmed);
	}
	assert_true(confirmed < COUNT);
	text = slurp(path, &len);
	assert_in_range(len, 1, 200);
	assert_int_equal(text[len - 1], '\n');
	free(text);
	free(items);
	/* Down, and up again by itself. */
	limit_size(RLIM_INFINITY);
	contract_send_until_confirmed(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 2);
	contract_stop(&rig);
}

/* A file system of our own that really is full; nobody else sees it. */
static bool
mount_small(const char *where)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", where, "tmpfs", 0, "size=1m") == 0;
}

static void
fills_a_file_system(void **state)
{
	enum { COUNT = 40, SIZE = 40000 };
	struct contract_item *items;
	size_t len, confirmed = 0;
	char small[64], file[80], *text, *value = hb_xmalloc(SIZE);
	struct hb_file_conf conf = {.path = file};
	struct contract_peer on_it = peer;
	struct contract_rig rig;

	(void)state;
	snprintf(small, sizeof(small), "%s/small", dir);
	snprintf(file, sizeof(file), "%s/events", small);
	assert_int_equal(mkdir(small, 0700), 0);
	if (!mount_small(small)) {
		rmdir(small);
		free(value);
		SKIP("only root may mount a small disk");
	}
	on_it.settings = &conf;
	on_it.arg = file;
	memset(value, 'x', SIZE);
	value[0] = value[SIZE - 1] = '"';
	contract_open(&rig, &on_it);
	contract_run(&rig);
	items = contract_items(&rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		contract_fill_special(&items[i], value, SIZE, "", 0);
		contract_send(&items[i], 1);
		contract_await_reports(&items[i], 1);
		contract_check_reports(&items[i], 1);
		if (items[i].delivery.report == HB_REPORT_CONFIRMED)
			confirmed++;
		else
			assert_non_null(strstr(
			    items[i].delivery.why.text, strerror(ENOSPC)));
	}
	/* Neither a byte too few nor half a line. */
	assert_in_range(confirmed, 20, 27);
	text = slurp(file, &len);
	assert_int_equal(len, confirmed * (SIZE + 1));
	for (size_t i = 0; i < confirmed; i++)
		assert_memory_equal(text + i * (SIZE + 1), value, SIZE);
	free(text);
	free(items);
	/* There is room again. */
	assert_int_equal(truncate(file, 0), 0);
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	assert_int_equal(umount2(small, MNT_DETACH), 0);
	rmdir(small);
	free(value);
}

static void
full_disks_put_the_destination_down(void **state)
{
	struct contract_item *item;
	struct contract_rig rig;

	(void)state;
	remove_file();
	start(&rig);
	limit_size(10);
	item = exchange(&rig, 1);
	assert_int_equal(item->delivery.report, HB_REPORT_RETRY);
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_DOWN);
	limit_size(RLIM_INFINITY);
	/* Nothing is sent: it is let up on trial. */
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 1);
	contract_stop(&rig);
	free(item);
}

/* --- a descriptor that fails ---------------------------------------------- */

/* /dev/full takes no byte, and cannot be truncated: nobody knows what a file
 * like that holds, and it is opened again by its name. */
static void
broken_descriptors_are_left(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	put_file(path, "");
	assert_true(full >= 0);
	assert_true(hb_file_out_open(&out, &err));
	assert_true(dup2(full, out.fd) >= 0);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	assert_non_null(strstr(err.text, strerror(ENOSPC)));
	assert_int_equal(out.fd, -1);
	assert_int_equal(
	    hb_file_out_append(&out, "2\n", 2, &err), HB_FILE_WRITTEN);
	expect_file(path, "2\n");
	hb_file_out_close(&out);
	close(full);
}

/* A descriptor that takes bytes but no fdatasync. */
static void
failed_syncs_are_not_repeated(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	put_file(path, "");
	assert_true(null >= 0);
	assert_true(hb_file_out_open(&out, &err));
	assert_true(dup2(null, out.fd) >= 0);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	assert_non_null(strstr(err.text, "cannot sync"));
	assert_int_equal(out.fd, -1);
	assert_int_equal(
	    hb_file_out_append(&out, "2\n", 2, &err), HB_FILE_WRITTEN);
	expect_file(path, "2\n");
	/* A file whose disk fails. */
	atomic_store(&syncs_to_fail, 1);
	assert_int_equal(
	    hb_file_out_append(&out, "3\n", 2, &err), HB_FILE_UNKNOWN);
	assert_int_equal(out.fd, -1);
	expect_file(path, "2\n");
	close(null);
}

/* The group of a sync that fails is not known, and gone from the file; the
 * next is written on a new descriptor. */
static void
failed_syncs_fail_their_group(void **state)
{
	struct contract_item *good, *bad;
	struct contract_rig rig;
	char expected[200];

	(void)state;
	remove_file();
	start(&rig);
	good = exchange(&rig, 1);
	contract_check_confirmed(good, 1);
	atomic_store(&syncs_to_fail, 1);
	bad = exchange(&rig, 1);
	assert_int_equal(bad->delivery.report, HB_REPORT_UNKNOWN);
	assert_non_null(strstr(bad->delivery.why.text, "cannot sync"));
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_DOWN);
	snprintf(expected, sizeof(expected), "%s\n", good->value);
	expect_file(path, expected);
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 2);
	contract_stop(&rig);
	free(good);
	free(bad);
}

/* Who was truncated meanwhile is not made longer again. */
static void
foreign_changes_are_not_undone(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;

	(void)state;
	put_file(path, "before\n");
	assert_true(hb_file_out_open(&out, &err));
	truncated_meanwhile = path;
	atomic_store(&syncs_to_fail, 1);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	truncated_meanwhile = NULL;
	expect_file(path, "");
	hb_file_out_close(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(groups_share_a_sync, open_gate),
	    cmocka_unit_test_teardown(drains_while_a_sync_hangs, open_gate),
	    cmocka_unit_test_teardown(drains_at_any_moment, open_gate),
	    cmocka_unit_test_teardown(full_disks_keep_whole_lines, lift_limit),
	    cmocka_unit_test_teardown(
		full_disks_put_the_destination_down, lift_limit),
	    cmocka_unit_test(fills_a_file_system),
	    cmocka_unit_test(broken_descriptors_are_left),
	    cmocka_unit_test(failed_syncs_are_not_repeated),
	    cmocka_unit_test(failed_syncs_fail_their_group),
	    cmocka_unit_test(foreign_changes_are_not_undone),
	};

	if (!file_rig_begin())
		return 99;
	return file_rig_end(cmocka_run_group_tests(tests, NULL, NULL));
}
