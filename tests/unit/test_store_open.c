/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_open.c - what a store finds when it is opened: another
 * configuration, damage, directories that it must not use */
#include "store_rig.h"

#include <sys/stat.h>

/* --- other configurations ------------------------------------------------- */

/* "1 of one to main:a (test), ": what would be orphaned, as seen from outside,
 * whether the store is open or not. */
static void
add_orphans(void *arg, const struct hb_shelf *shelf, uint64_t records)
{
	char *text = arg;
	size_t len = strlen(text);

	assert_int_equal(shelf->kind, HB_SHELF_DELIVERIES);
	snprintf(text + len, 256 - len, "%d of %.*s to %.*s:%.*s (%.*s), ",
	    (int)records, (int)shelf->endpoint.len, shelf->endpoint.ptr,
	    (int)shelf->sink.len, shelf->sink.ptr, (int)shelf->name.len,
	    shelf->name.ptr, (int)shelf->sink_type.len, shelf->sink_type.ptr);
}

static void
expect_orphans(const struct depot *depot, const char *wanted)
{
	struct hb_error err = {0};
	char text[256] = "";

	if (!hb_store_survey_orphans(&depot->cfg, add_orphans, text, &err))
		fail_msg("%s", err.text);
	assert_string_equal(text, wanted);
}

/* How a destination ceases to be: each leaves its deliveries orphaned. */
static const struct hb_sink_type other_type = {.name = "other"};

static void
rename_dest(struct depot *depot)
{
	depot->dests[DEPOT_A].name = "another";
}

static void
rename_sink(struct depot *depot)
{
	depot->sinks[DEPOT_MAIN].name = "another";
}

static void
change_type(struct depot *depot)
{
	depot->sinks[DEPOT_MAIN].type = &other_type;
}

static void
test_orphaned(void **state)
{
	static void (*const changes[])(struct depot *) = {
	    rename_dest, rename_sink, change_type};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(changes); i++) {
		const struct hb_walk_filter orphans = {.orphaned = true};
		const struct hb_shelf *shelf;
		struct hb_record rec;
		struct depot depot;
		int64_t oldest_ms;

		depot_start(&depot);
		depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
		oldest_ms = hb_store_oldest_ms(depot.store);
		depot_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, "1");
		expect_orphans(&depot, "");
		depot_close(&depot);
		expect_orphans(&depot, "");
		changes[i](&depot);
		expect_orphans(&depot, "1 of one to main:a (test), ");
		depot_open(&depot);
		expect_orphans(&depot, "1 of one to main:a (test), ");
		depot_expect_gauges(&depot,
		    (struct depot_gauges){.spare = 1, .orphaned = 1});
		shelf = hb_store_shelves(depot.store, HB_SHELF_DELIVERIES);
		assert_null(shelf->dest);
		assert_int_equal(
		    hb_store_oldest_ms(depot.store), oldest_ms);
		depot_expect(shelf->sink_type, "test");
		depot_expect(shelf->sink, "main");
		depot_expect(shelf->name, "a");
		assert_string_equal(depot_list(&depot, &orphans), "0 ");
		assert_string_equal(
		    depot_all(&depot, HB_SHELF_DELIVERIES), "0 1 ");
		/* It is moved. */
		depot_first(&depot, HB_SHELF_DELIVERIES, &rec);
		depot_keep_record(&depot, &rec, NULL, DEPOT_SPARE_A);
		hb_record_fini(&rec);
		depot_expect_gauges(&depot, (struct depot_gauges){.spare = 2});
		assert_string_equal(depot_list(&depot, &orphans), "");
		depot_end(&depot);
	}
}

/* An endpoint that is gone takes nothing along. */
static void
test_endpoint_gone(void **state)
{
	struct hb_record rec;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "0");
	depot_keep_dead(&depot, DEPOT_TWO, "unrouted", "1");
	depot_close(&depot);
	depot.cfg.endpoint_count = 1;
	expect_orphans(&depot, "");
	depot_open(&depot);
	depot_expect_gauges(
	    &depot, (struct depot_gauges){.main = 1, .unrouted = 1});
	depot_first(&depot, HB_SHELF_DELIVERIES, &rec);
	assert_ptr_equal(rec.kept.shelf->dest, &depot.dests[DEPOT_A]);
	depot_expect(rec.endpoint, "two");
	/* To its own shelf, which is found by name. */
	depot_keep_record(&depot, &rec, NULL, DEPOT_A);
	hb_record_fini(&rec);
	depot_first(&depot, HB_SHELF_DELIVERIES, &rec);
	assert_null(
	    hb_store_shelves(depot.store, HB_SHELF_DELIVERIES)->next);
	assert_true(hb_store_settle(&rec.kept));
	hb_record_fini(&rec);
	depot_expect_gauges(&depot, (struct depot_gauges){.unrouted = 1});
	depot_end(&depot);
}

/* A shelf that is empty is not found again, until it is needed. */
static void
test_empty_shelves(void **state)
{
	struct hb_kept kept;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	assert_null(hb_store_shelves(depot.store, HB_SHELF_DELIVERIES));
	kept = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	depot_keep(&depot, DEPOT_ONE, DEPOT_B, "1");
	assert_true(hb_store_settle(&kept));
	depot_reopen(&depot);
	assert_ptr_equal(
	    hb_store_shelves(depot.store, HB_SHELF_DELIVERIES)->dest,
	    &depot.dests[DEPOT_B]);
	assert_null(
	    hb_store_shelves(depot.store, HB_SHELF_DELIVERIES)->next);
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "2");
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "1 2 ");
	depot_end(&depot);
}

/* Lanes whose names are not ours: what they hold stays, and can be seen. */
static void
test_foreign_lane(void **state)
{
	static const struct {
		const char *lane, *type, *sink, *name, *endpoint;
	} table[] = {
	    {"x", "x", "", "", ""},
	    {"t\ts", "t", "s", "", ""},
	    {"test\tmain\ta\tone\tmore", "test", "main", "a", "one\tmore"},
	    {"\t\t\t", "", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(table); i++) {
		const struct hb_shelf *shelf;
		struct depot depot;

		depot_start(&depot);
		depot_append_raw(&depot, table[i].lane, HB_SPAN("bytes"));
		depot_reopen(&depot);
		shelf = hb_store_shelves(depot.store, HB_SHELF_DELIVERIES);
		assert_non_null(shelf);
		depot_expect(shelf->sink_type, table[i].type);
		depot_expect(shelf->sink, table[i].sink);
		depot_expect(shelf->name, table[i].name);
		depot_expect(shelf->endpoint, table[i].endpoint);
		assert_null(shelf->next);
		depot_end(&depot);
	}
}

/* --- damage --------------------------------------------------------------- */

static uint64_t
lost(struct depot *depot)
{
	struct hb_spool_stats stats;

	hb_store_stats(depot->store, HB_SHELF_DELIVERIES, &stats);
	return stats.lost;
}

/* What cannot be taken apart is passed over and stays: a later version may know
 * what it is. It counts once. */
static void
test_damaged(void **state)
{
	struct hb_record rec;
	struct hb_error err;
	struct hb_walk *walk;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	depot_append_raw(&depot, "test\tmain\ta\tone", HB_SPAN("\x02..."));
	depot_append_raw(&depot, "test\tmain\ta\tone", HB_SPAN(""));
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "1");
	walk = hb_walk_new(depot.store, &(struct hb_walk_filter){.dest = NULL},
	    NULL, NULL, NULL);
	assert_string_equal(depot_ids(walk), "0 1 ");
	assert_int_equal(lost(&depot), 2);
	hb_walk_seek(walk, 0);
	assert_string_equal(depot_ids(walk), "0 1 ");
	assert_int_equal(lost(&depot), 2);
	hb_walk_free(walk);
	assert_false(hb_store_get(
	    depot.store, HB_SHELF_DELIVERIES, 2, &rec, &err));
	depot_reopen(&depot);
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "0 1 ");
	assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), 4);
	depot_end(&depot);
}

/* Overwrites the payload of all records that are on disk. */
static void
spoil(struct depot *depot)
{
	char command[256];

	snprintf(command, sizeof(command),
	    "for f in '%s'/deliveries/*.seg; do"
	    " LC_ALL=C sed -i 's/msg_spoiled/MSG_SPOILED/g' \"$f\"; done",
	    depot->directory);
	assert_int_equal(system(command), 0);
}

/* A record that the disk lost is nobody's, and charged to nobody. */
static void
test_lost(void **state)
{
	struct hb_store_account *account;
	struct depot depot;
	uint64_t used;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "msg_1");
	account = depot.store->parts[HB_SHELF_DELIVERIES].books.sinks;
	used = account->used;
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "msg_spoiled");
	depot_close(&depot);
	spoil(&depot);
	depot_open(&depot);
	account = depot.store->parts[HB_SHELF_DELIVERIES].books.sinks;
	assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), 2);
	assert_string_equal(
	    depot_all(&depot, HB_SHELF_DELIVERIES), "msg_1 ");
	assert_int_equal(lost(&depot), 1);
	for (int i = 0; i < 2; i++) {
		hb_store_show(depot.store);
		assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), 1);
		assert_int_equal(account->used, used);
	}
	depot_end(&depot);
}

/* --- directories ---------------------------------------------------------- */

static void
expect_refusal(struct depot *depot, const char *text)
{
	struct hb_error err = {0};
	struct hb_store *store = hb_store_open(&depot->cfg, &err);

	if (store != NULL || strstr(err.text, text) == NULL)
		fail_msg("%s", store != NULL ? "it opens" : err.text);
	assert_int_equal(err.code, HB_E_CONFIG);
}

static unsigned
mode_of(const char *directory, const char *name)
{
	char path[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", directory, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
test_directories(void **state)
{
	char path[96], link[96];
	struct depot depot;

	(void)state;
	depot_init(&depot);
	snprintf(path, sizeof(path), "%s/new", depot.directory);
	snprintf(link, sizeof(link), "%s/link", depot.directory);
	depot.cfg.spool.directory = path;
	expect_orphans(&depot, "");
	assert_int_equal(access(path, F_OK), -1);
	/* Made, where only it is missing. */
	depot_open(&depot);
	assert_int_equal(mode_of(path, ""), 0700);
	assert_int_equal(mode_of(path, "/deliveries"), 0700);
	assert_int_equal(mode_of(path, "/dead"), 0700);
	expect_refusal(&depot, "uses this directory");
	depot_close(&depot);
	/* Not when others may write there. */
	assert_int_equal(chmod(path, 0770), 0);
	expect_refusal(&depot, "others may write to this directory");
	assert_int_equal(chmod(path, 0702), 0);
	expect_refusal(&depot, "others may write to this directory");
	assert_int_equal(chmod(path, 0755), 0);
	depot_open(&depot);
	depot_close(&depot);
	assert_int_equal(symlink(path, link), 0);
	depot.cfg.spool.directory = link;
	expect_refusal(&depot, "symbolic links are not followed");
	depot.cfg.spool.directory = "/nowhere/at/all";
	expect_refusal(&depot, "spool: /nowhere/at/all: No such file");
	depot.cfg.spool.directory = path;
	depot.cfg.spool.max_size = 1024 * 1024;
	expect_refusal(&depot, "at least 4 segments");
	depot_fini(&depot);
}

/* The parts share max_size, and have several segments each. */
static void
test_parts(void **state)
{
	static const struct {
		uint64_t max_size, segment_size, dead_share;
		uint64_t sizes[2], segments[2];
	} table[] = {
	    {64 * DEPOT_MIB, DEPOT_MIB, 50, {32 * DEPOT_MIB, 32 * DEPOT_MIB},
		{DEPOT_MIB, DEPOT_MIB}},
	    {6400000, DEPOT_MIB, 10, {5760000, 640000}, {716800, 77824}},
	    {2000000, DEPOT_MIB, 50, {1000000, 1000000}, {122880, 122880}},
	    {1000000, DEPOT_MIB, 50, {500000, 500000}, {65536, 65536}},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(table); i++) {
		struct depot depot;

		depot_init(&depot);
		depot.cfg.spool.max_size = table[i].max_size;
		depot.cfg.spool.segment_size = table[i].segment_size;
		depot.cfg.spool.dead_share = table[i].dead_share;
		depot_open(&depot);
		for (int kind = 0; kind < 2; kind++) {
			struct hb_spool_stats stats;

			hb_store_stats(depot.store, (enum hb_shelf_kind)kind,
			    &stats);
			assert_int_equal(stats.max_size, table[i].sizes[kind]);
			assert_int_equal(
			    depot.store->parts[kind].segment_size,
			    table[i].segments[kind]);
		}
		depot_end(&depot);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_orphaned),
	    cmocka_unit_test(test_endpoint_gone),
	    cmocka_unit_test(test_empty_shelves),
	    cmocka_unit_test(test_foreign_lane),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_lost),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
