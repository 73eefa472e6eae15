/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - kept, found again, settled, and counted */
#include "store_rig.h"

#include "hookbridge/clock.h"

/* --- keeping -------------------------------------------------------------- */

static void
check_delivery(struct depot *depot)
{
	struct hb_record rec;
	struct hb_message msg;

	depot_first(depot, HB_SHELF_DELIVERIES, &rec);
	depot_expect(rec.endpoint, "two");
	depot_expect(rec.id, "msg_1");
	depot_expect(rec.job_id, "job-1");
	depot_expect(rec.reason, NULL);
	assert_int_equal(rec.received_ms, 1767225601234);
	assert_int_equal(rec.ticket, 0);
	assert_true(rec.appended_ms > 1577836800000);
	assert_ptr_equal(rec.kept.shelf->dest, &depot->dests[DEPOT_SPARE_A]);
	depot_expect(rec.kept.shelf->endpoint, "two");
	depot_expect(rec.kept.shelf->sink_type, "test");
	depot_expect(rec.kept.shelf->sink, "spare");
	depot_expect(rec.kept.shelf->name, "a");
	hb_record_message(&rec, &depot->targets[0], rec.kept.shelf->dest,
	    &msg);
	assert_ptr_equal(msg.target, &depot->targets[0]);
	depot_expect(msg.key, "key");
	depot_expect(msg.value, "value");
	depot_expect(msg.id, "msg_1");
	depot_expect(msg.endpoint, "two");
	assert_int_equal(msg.header_count, 2);
	depot_expect(msg.headers[0].name, "ce_id");
	depot_expect(msg.headers[0].value, "msg");
	depot_expect(msg.headers[1].value, "");
	assert_true(msg.dedup);
	assert_false(msg.dead_letter);
	hb_record_fini(&rec);
}

static void
test_delivery(void **state)
{
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, "msg_1");
	check_delivery(&depot);
	depot_reopen(&depot);
	check_delivery(&depot);
	depot_end(&depot);
}

static void
check_dead(struct depot *depot)
{
	struct hb_record rec;

	depot_first(depot, HB_SHELF_DEAD, &rec);
	assert_false(rec.is_message);
	depot_expect(rec.endpoint, "one");
	depot_expect(rec.reason, "no-job-id");
	depot_expect(rec.place, "main:a");
	depot_expect(rec.body, "{\"job_id\":\"job-1\"}");
	depot_expect(rec.webhook_id, "msg_1");
	assert_int_equal(rec.webhook_timestamp, 1767225600);
	depot_expect(rec.kept.shelf->reason, "no-job-id");
	depot_expect(rec.kept.shelf->endpoint, "one");
	assert_null(rec.kept.shelf->dest);
	hb_record_fini(&rec);
}

static void
test_dead(void **state)
{
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep_dead(&depot, DEPOT_ONE, "no-job-id", "msg_1");
	check_dead(&depot);
	depot_reopen(&depot);
	check_dead(&depot);
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "");
	depot_end(&depot);
}

/* An event without most things: no job_id, no webhook's id, no place. */
static void
test_dead_bare(void **state)
{
	struct depot_keep item;
	struct hb_record rec;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep_init(&depot, &item);
	item.ev = depot_event(&depot, DEPOT_ONE, "direct-1");
	item.ev->job_id = item.ev->webhook_id = HB_SPAN_NONE;
	hb_store_keep_dead(depot.store, &item.keep, item.ev, "not-json",
	    HB_SPAN_NONE);
	depot_wait(&item);
	assert_true(item.keep.ok);
	depot_first(&depot, HB_SHELF_DEAD, &rec);
	depot_expect(rec.id, "direct-1");
	depot_expect(rec.job_id, NULL);
	depot_expect(rec.webhook_id, NULL);
	depot_expect(rec.place, NULL);
	hb_record_fini(&rec);
	depot_end(&depot);
}

/* A delivery is refused when it is replayed, is refused again, and goes to
 * another destination in the end: the message stays what it was. */
static void
test_refused_and_moved(void **state)
{
	struct hb_record rec;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_TWO, DEPOT_WILD, "msg_1");
	depot_first(&depot, HB_SHELF_DELIVERIES, &rec);
	depot_keep_record(&depot, &rec, "too-large", 0);
	hb_record_fini(&rec);
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "");

	depot_first(&depot, HB_SHELF_DEAD, &rec);
	assert_true(rec.is_message);
	depot_expect(rec.reason, "too-large");
	depot_expect(rec.place, "main:wild");
	depot_expect(rec.value, "value");
	assert_int_equal(rec.header_count, 2);
	depot_keep_record(&depot, &rec, "poison", 0);
	hb_record_fini(&rec);

	depot_first(&depot, HB_SHELF_DEAD, &rec);
	depot_expect(rec.reason, "poison");
	depot_expect(rec.place, "main:wild");
	depot_keep_record(&depot, &rec, NULL, DEPOT_SPARE_A);
	hb_record_fini(&rec);
	assert_string_equal(depot_all(&depot, HB_SHELF_DEAD), "");
	check_delivery(&depot);
	depot_end(&depot);
}

/* The body stays a body. */
static void
test_dead_again(void **state)
{
	struct hb_record rec;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep_dead(&depot, DEPOT_ONE, "unrouted", "msg_1");
	depot_first(&depot, HB_SHELF_DEAD, &rec);
	depot_keep_record(&depot, &rec, "no-job-id", 0);
	hb_record_fini(&rec);
	check_dead(&depot);
	depot_end(&depot);
}

/* A record that no segment can take, an empty value, and one by its number. */
static void
test_sizes(void **state)
{
	struct depot_keep item;
	struct hb_record rec;
	struct hb_error err;
	struct depot depot;
	char *value = hb_xcalloc(1, DEPOT_MIB);

	(void)state;
	depot_start(&depot);
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "msg_1",
	    hb_span_make(value, DEPOT_MIB), true);
	depot_wait(&item);
	assert_false(item.keep.ok);
	assert_int_equal(item.keep.err.code, HB_E_DEAD);
	assert_string_equal(item.keep.err.reason, "too-large");
	assert_null(item.keep.kept.shelf);
	assert_int_equal(depot_gauge(HB_M_SPOOL_BYTES, "main"), 0);
	assert_int_equal(depot.store->holds.count, 0);

	depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "msg_2", HB_SPAN(""),
	    false);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_true(hb_store_get(depot.store, HB_SHELF_DELIVERIES,
	    item.keep.kept.ref.seq, &rec, &err));
	depot_expect(rec.id, "msg_2");
	depot_expect(rec.value, "");
	hb_record_fini(&rec);
	free(value);
	depot_end(&depot);
}

/* --- settling ------------------------------------------------------------- */

static void
test_get_and_settle(void **state)
{
	struct hb_kept kept[3];
	struct hb_record rec;
	struct hb_error err = {0};
	struct depot depot;

	(void)state;
	depot_start(&depot);
	kept[0] = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	kept[1] = depot_keep(&depot, DEPOT_TWO, DEPOT_B, "1");
	kept[2] = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "2");
	for (int i = 0; i < 3; i++) {
		const char *id = i == 0 ? "0" : i == 1 ? "1" : "2";

		assert_true(hb_store_get(depot.store, HB_SHELF_DELIVERIES,
		    kept[i].ref.seq, &rec, &err));
		depot_expect(rec.id, id);
		assert_ptr_equal(rec.kept.shelf, kept[i].shelf);
		assert_false(hb_store_is_settled(&rec.kept));
		hb_record_fini(&rec);
	}
	assert_false(hb_store_get(
	    depot.store, HB_SHELF_DEAD, kept[0].ref.seq, &rec, &err));
	assert_false(hb_store_get(depot.store, HB_SHELF_DELIVERIES,
	    kept[2].ref.seq + 1, &rec, &err));
	assert_true(hb_store_settle(&kept[1]));
	assert_false(hb_store_settle(&kept[1]));
	assert_true(hb_store_is_settled(&kept[1]));
	assert_false(hb_store_get(depot.store, HB_SHELF_DELIVERIES,
	    kept[1].ref.seq, &rec, &err));
	assert_int_equal(err.code, HB_E_REJECT);
	assert_string_equal(err.reason, "not-found");
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "0 2 ");
	depot_reopen(&depot);
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "0 2 ");
	depot_end(&depot);
}

/* Two who settle the same records: each is settled once. */
#define RACES 500

struct racer {
	struct hb_kept *kept;
	pthread_barrier_t *barrier;
	unsigned won;
};

static void *
race(void *arg)
{
	struct racer *racer = arg;

	pthread_barrier_wait(racer->barrier);
	for (unsigned i = 0; i < RACES; i++)
		racer->won += hb_store_settle(&racer->kept[i]);
	return NULL;
}

static void
test_settled_once(void **state)
{
	static struct depot_keep items[RACES];
	static struct hb_kept kept[RACES];
	struct racer racers[2];
	pthread_barrier_t barrier;
	pthread_t thread;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	for (unsigned i = 0; i < RACES; i++)
		depot_send(&depot, &items[i], i % 2, (int)(i % 3), "msg",
		    HB_SPAN("v"), false);
	for (unsigned i = 0; i < RACES; i++) {
		depot_wait(&items[i]);
		kept[i] = items[i].keep.kept;
	}
	assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), RACES);
	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 2; i++)
		racers[i] = (struct racer){kept, &barrier, 0};
	assert_int_equal(pthread_create(&thread, NULL, race, &racers[0]), 0);
	race(&racers[1]);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(racers[0].won + racers[1].won, RACES);
	assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), 0);
	assert_int_equal(depot_gauge(HB_M_SPOOL_BYTES, "main"), 0);
	depot_end(&depot);
}

/* --- gauges --------------------------------------------------------------- */

/* They survive a restart, and end with the store. */
static void
test_gauges(void **state)
{
	struct depot_gauges all = {2, 1, 0, 1, 1};
	struct hb_kept kept[5];
	struct depot depot;
	int64_t bytes;

	(void)state;
	depot_start(&depot);
	depot_expect_gauges(&depot, (struct depot_gauges){0});
	kept[0] = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	kept[1] = depot_keep(&depot, DEPOT_TWO, DEPOT_B, "1");
	kept[2] = depot_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, "2");
	kept[3] = depot_keep_dead(&depot, DEPOT_ONE, "unrouted", "3");
	kept[4] = depot_keep_dead(&depot, DEPOT_ONE, "too-large", "4");
	depot_expect_gauges(&depot, all);
	bytes = depot_gauge(HB_M_SPOOL_BYTES, "main");
	assert_int_equal(bytes, kept[0].ref.len + kept[1].ref.len + 128);
	depot_close(&depot);
	assert_int_equal(depot_gauge(HB_M_SPOOL_RECORDS, "main"), 0);
	assert_int_equal(depot_gauge(HB_M_DEAD_LETTERS_KEPT, "unrouted"), 0);
	depot_open(&depot);
	depot_expect_gauges(&depot, all);
	assert_int_equal(depot_gauge(HB_M_SPOOL_BYTES, "main"), bytes);
	for (int i = 0; i < 5; i++) {
		struct hb_record rec;
		struct hb_error err;
		enum hb_shelf_kind kind =
		    i < 3 ? HB_SHELF_DELIVERIES : HB_SHELF_DEAD;

		assert_true(hb_store_get(
		    depot.store, kind, kept[i].ref.seq, &rec, &err));
		assert_true(hb_store_settle(&rec.kept));
		hb_record_fini(&rec);
	}
	depot_expect_gauges(&depot, (struct depot_gauges){0});
	depot_end(&depot);
}

/* When the oldest delivery was kept; dead letters are none. */
static void
test_oldest_delivery(void **state)
{
	int64_t before_ms, between_ms;
	struct hb_kept first;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	assert_int_equal(hb_store_oldest_ms(depot.store), 0);
	depot_keep_dead(&depot, DEPOT_ONE, "policy", "0");
	assert_int_equal(hb_store_oldest_ms(depot.store), 0);
	before_ms = hb_clock_wall_ms();
	first = depot_keep(&depot, DEPOT_ONE, DEPOT_B, "1");
	between_ms = hb_clock_wall_ms();
	while (hb_clock_wall_ms() == between_ms)
		usleep(100);
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "2");
	depot_keep(&depot, DEPOT_ONE, DEPOT_SPARE_A, "3");
	assert_in_range(
	    hb_store_oldest_ms(depot.store), before_ms, between_ms);
	assert_true(hb_store_settle(&first));
	assert_true(hb_store_oldest_ms(depot.store) > between_ms);
	depot_end(&depot);
}

/* The oldest one's age is of the time of its keeping. */
static void
test_oldest(void **state)
{
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	depot_close(&depot);
	hb_clock_freeze(1000000, hb_clock_wall_ms() + 90000);
	depot_open(&depot);
	hb_store_show(depot.store);
	assert_in_range(depot_gauge(HB_M_SPOOL_OLDEST, "main"), 90, 120);
	assert_int_equal(depot_gauge(HB_M_SPOOL_OLDEST, "spare"), 0);
	depot_close(&depot);
	/* A clock that was set back. */
	hb_clock_freeze(1000000, 1000);
	depot_open(&depot);
	hb_store_show(depot.store);
	assert_int_equal(depot_gauge(HB_M_SPOOL_OLDEST, "main"), 0);
	depot_close(&depot);
	hb_clock_thaw();
	depot_fini(&depot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_delivery),
	    cmocka_unit_test(test_dead),
	    cmocka_unit_test(test_dead_bare),
	    cmocka_unit_test(test_refused_and_moved),
	    cmocka_unit_test(test_dead_again),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_get_and_settle),
	    cmocka_unit_test(test_settled_once),
	    cmocka_unit_test(test_gauges),
	    cmocka_unit_test(test_oldest_delivery),
	    cmocka_unit_test(test_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
