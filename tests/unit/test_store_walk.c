/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_walk.c - reading shelves in the order of keeping, while others
 * keep; and deliveries that are at their sinks still */
#include "store_rig.h"

#include <event2/event.h>

/* --- filters -------------------------------------------------------------- */

static void
test_filters(void **state)
{
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "1a");
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "2a");
	depot_keep(&depot, DEPOT_ONE, DEPOT_B, "1b");
	depot_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, "2s");
	depot_keep(&depot, DEPOT_ONE, DEPOT_A, "1a'");
	depot_keep_dead(&depot, DEPOT_ONE, "unrouted", "1u");
	depot_keep_dead(&depot, DEPOT_TWO, "unrouted", "2u");
	depot_keep_dead(&depot, DEPOT_TWO, "too-large", "2t");

	const struct {
		struct hb_walk_filter filter;
		const char *ids;
	} table[] = {
	    {{.kind = HB_SHELF_DELIVERIES}, "1a 2a 1b 2s 1a' "},
	    {{.kind = HB_SHELF_DEAD}, "1u 2u 2t "},
	    {{.dest = &depot.dests[DEPOT_A]}, "1a 2a 1a' "},
	    {{.dest = &depot.dests[DEPOT_WILD]}, ""},
	    {{.endpoint = HB_SPAN("one")}, "1a 1b 1a' "},
	    {{.endpoint = HB_SPAN("")}, ""},
	    {{.sink = HB_SPAN("main")}, "1a 2a 1b 1a' "},
	    {{.sink = HB_SPAN("main"), .endpoint = HB_SPAN("two")}, "2a "},
	    {{.orphaned = true}, ""},
	    {{.kind = HB_SHELF_DEAD, .reason = HB_SPAN("unrouted")}, "1u 2u "},
	    {{.kind = HB_SHELF_DEAD,
		 .reason = HB_SPAN("unrouted"),
		 .endpoint = HB_SPAN("two")},
		"2u "},
	};

	for (size_t i = 0; i < HB_COUNT(table); i++)
		assert_string_equal(
		    depot_list(&depot, &table[i].filter), table[i].ids);
	depot_end(&depot);
}

/* Each once, until told otherwise; what is settled meanwhile is not read, even
 * if it had been read ahead. */
static void
test_seek(void **state)
{
	static const struct hb_walk_filter all = {.kind = HB_SHELF_DELIVERIES};
	struct hb_kept kept[4];
	struct hb_record rec;
	struct hb_error err;
	struct hb_walk *walk;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	kept[0] = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
	kept[1] = depot_keep(&depot, DEPOT_ONE, DEPOT_B, "1");
	kept[2] = depot_keep(&depot, DEPOT_ONE, DEPOT_A, "2");
	kept[3] = depot_keep(&depot, DEPOT_ONE, DEPOT_B, "3");
	walk = hb_walk_new(depot.store, &all, NULL, NULL, NULL);
	assert_string_equal(depot_ids(walk), "0 1 2 3 ");
	assert_string_equal(depot_ids(walk), "");
	hb_walk_seek(walk, kept[2].ref.seq);
	assert_string_equal(depot_ids(walk), "2 3 ");
	hb_walk_seek(walk, kept[1].ref.seq);
	assert_int_equal(hb_walk_next(walk, &rec, &err), HB_SPOOL_RECORD);
	hb_record_fini(&rec);
	/* Now 2 is ahead, and so will be 3. */
	assert_true(hb_store_settle(&kept[2]));
	assert_string_equal(depot_ids(walk), "3 ");
	hb_walk_seek(walk, 0);
	assert_int_equal(hb_walk_next(walk, &rec, &err), HB_SPOOL_RECORD);
	hb_record_fini(&rec);
	assert_true(hb_store_settle(&kept[1]));
	assert_true(hb_store_settle(&kept[3]));
	assert_string_equal(depot_ids(walk), "");
	/* A walk from there on sees what comes, on new shelves, too. */
	hb_walk_seek(walk, kept[3].ref.seq + 2);
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "4");
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "5");
	depot_keep(&depot, DEPOT_TWO, DEPOT_B, "6");
	assert_string_equal(depot_ids(walk), "5 6 ");
	hb_walk_free(walk);
	depot_end(&depot);
}

/* Long records wait as numbers only. */
static void
test_long_records(void **state)
{
	static const struct hb_walk_filter all = {.kind = HB_SHELF_DELIVERIES};
	enum { LONG = 100 * 1024, COUNT = 6 };
	struct depot_keep items[COUNT];
	char *value = hb_xcalloc(1, LONG);
	struct hb_record rec;
	struct hb_error err;
	struct hb_walk *walk;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	for (int i = 0; i < COUNT; i++) {
		memset(value, '0' + i, LONG);
		depot_send(&depot, &items[i], DEPOT_ONE, i % 3, "long",
		    hb_span_make(value, LONG), false);
		depot_wait(&items[i]);
		assert_true(items[i].keep.ok);
	}
	walk = hb_walk_new(depot.store, &all, NULL, NULL, NULL);
	for (int i = 0; i < COUNT; i++) {
		if (i == 4) /* it waits: settled behind our back */
			continue;
		assert_int_equal(
		    hb_walk_next(walk, &rec, &err), HB_SPOOL_RECORD);
		assert_int_equal(
		    rec.kept.ref.seq, items[i].keep.kept.ref.seq);
		assert_int_equal(rec.value.len, LONG);
		assert_int_equal(rec.value.ptr[0], '0' + i);
		assert_int_equal(rec.value.ptr[LONG - 1], '0' + i);
		hb_record_fini(&rec);
		if (i == 3)
			assert_true(hb_store_settle(&items[4].keep.kept));
	}
	assert_int_equal(hb_walk_next(walk, &rec, &err), HB_SPOOL_END);
	hb_walk_free(walk);
	free(value);
	depot_end(&depot);
}

/* --- what is kept between two questions ----------------------------------- */

static struct {
	struct depot *depot;
	unsigned countdown; /* 0: nothing happens */
	int first, second;  /* destinations */
} hook;

enum hb_spool_next __real_hb_spool_cursor_next(struct hb_spool_cursor *cursor,
    struct hb_spool_record *record, struct hb_error *err);
enum hb_spool_next __wrap_hb_spool_cursor_next(struct hb_spool_cursor *cursor,
    struct hb_spool_record *record, struct hb_error *err);

enum hb_spool_next
__wrap_hb_spool_cursor_next(struct hb_spool_cursor *cursor,
    struct hb_spool_record *record, struct hb_error *err)
{
	if (hook.countdown > 0 && --hook.countdown == 0) {
		depot_keep(hook.depot, DEPOT_ONE, hook.first, "first");
		depot_keep(hook.depot, DEPOT_ONE, hook.second, "second");
	}
	return __real_hb_spool_cursor_next(cursor, record, err);
}

/* Two shelves are asked one after the other. Just before the second of them is,
 * something comes to it, and before that to one that was asked already, or that
 * was not there. */
static void
test_in_between(void **state)
{
	static const struct hb_walk_filter all = {.kind = HB_SHELF_DELIVERIES};
	static const int firsts[] = {DEPOT_A, DEPOT_WILD};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(firsts); i++) {
		struct hb_walk *walk;
		struct depot depot;

		depot_start(&depot);
		depot_keep(&depot, DEPOT_ONE, DEPOT_A, "a");
		depot_keep(&depot, DEPOT_ONE, DEPOT_B, "b");
		walk = hb_walk_new(depot.store, &all, NULL, NULL, NULL);
		assert_string_equal(depot_ids(walk), "a b ");
		hook.depot = &depot;
		hook.first = firsts[i];
		hook.second = DEPOT_B;
		hook.countdown = 2;
		assert_string_equal(depot_ids(walk), "first second ");
		assert_int_equal(hook.countdown, 0);
		hb_walk_free(walk);
		depot_end(&depot);
	}
}

/* --- walks while others keep ---------------------------------------------- */

#define ROUNDS 400
#define IN_FLIGHT 8

/* Keeps its share of records, one after the other, on its own loop. */
struct keeper {
	struct depot *depot;
	struct hb_loop *loop;
	int endpoint;
	unsigned begun, ended;
	struct depot_keep items[IN_FLIGHT];
	struct hb_task start;
	_Atomic bool is_over;
};

static void
keep_next(struct keeper *keeper, struct depot_keep *item)
{
	struct hb_keep *keep = &item->keep;
	int dest = (int)(keeper->begun % DEPOT_DESTS);
	void (*done)(struct hb_keep *keep) = keep->done;

	depot_keep_init(keeper->depot, item);
	keep->done = done;
	keep->home = keeper->loop;
	item->ev = depot_event(keeper->depot, keeper->endpoint, "msg");
	item->msg = (struct hb_message){.dest = &keeper->depot->dests[dest],
	    .value = HB_SPAN("value"),
	    .id = item->ev->id,
	    .endpoint = hb_span_of(item->ev->endpoint->name)};
	keeper->begun++;
	hb_store_keep_delivery(keeper->depot->store, keep, item->ev,
	    &item->msg, keeper->begun % 3 == 0);
}

static struct keeper keepers[DEPOT_ENDPOINTS];

static void
on_kept(struct hb_keep *keep)
{
	struct depot_keep *item =
	    hb_container_of(keep, struct depot_keep, keep);
	struct keeper *keeper =
	    &keepers[keep->kept.shelf->endpoint.ptr[0] == 't'];

	assert_true(keep->ok);
	hb_event_unref(item->ev);
	if (keep->ticket != 0)
		hb_store_release(keep);
	keeper->ended++;
	if (keeper->begun < ROUNDS)
		keep_next(keeper, item);
	else if (keeper->ended == ROUNDS)
		keeper->is_over = true;
}

static void
on_start(struct hb_task *task)
{
	struct keeper *keeper =
	    hb_container_of(task, struct keeper, start);

	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		keeper->items[i].keep.done = on_kept;
		keep_next(keeper, &keeper->items[i]);
	}
}

static void
keepers_start(struct depot *depot)
{
	struct hb_error err;

	for (int i = 0; i < DEPOT_ENDPOINTS; i++) {
		struct keeper *keeper = &keepers[i];

		*keeper = (struct keeper){.depot = depot,
		    .endpoint = i,
		    .start = {.run = on_start}};
		keeper->loop = hb_loop_new("keeper", &err);
		assert_true(hb_loop_start(keeper->loop, &err));
		hb_loop_post(keeper->loop, &keeper->start);
	}
}

static void
keepers_stop(void)
{
	for (int i = 0; i < DEPOT_ENDPOINTS; i++) {
		hb_loop_stop(keepers[i].loop);
		hb_loop_join(keepers[i].loop);
		hb_loop_free(keepers[i].loop);
	}
}

/* A reader on a loop of its own, which this thread runs: it is called whenever
 * there is more, and sees every number, going up. */
struct reader {
	struct depot *depot;
	struct hb_walk *walk;
	struct hb_loop *loop;
	uint64_t seq;
	unsigned count, wanted, calls;
	bool settles;
};

static void
read_all(struct reader *reader)
{
	struct hb_record rec;
	struct hb_error err;

	while (hb_walk_next(reader->walk, &rec, &err) == HB_SPOOL_RECORD) {
		assert_true(rec.kept.ref.seq > reader->seq);
		reader->seq = rec.kept.ref.seq;
		reader->count++;
		if (reader->settles)
			assert_true(hb_store_settle(&rec.kept));
		hb_record_fini(&rec);
	}
	if (reader->count == reader->wanted)
		hb_loop_stop(reader->loop);
}

static void
on_more(void *arg)
{
	struct reader *reader = arg;

	reader->calls++;
	read_all(reader);
}

static void
reader_open(struct reader *reader, struct depot *depot,
    const struct hb_walk_filter *filter, unsigned wanted)
{
	struct hb_error err;

	*reader = (struct reader){.depot = depot, .wanted = wanted};
	reader->loop = hb_loop_new("reader", &err);
	assert_non_null(reader->loop);
	reader->walk =
	    hb_walk_new(depot->store, filter, reader->loop, on_more, reader);
}

static void
reader_close(struct reader *reader)
{
	hb_walk_free(reader->walk);
	hb_loop_free(reader->loop);
}

static void
check_concurrent(bool settles)
{
	static const struct hb_walk_filter all = {.kind = HB_SHELF_DELIVERIES};
	struct reader reader;
	struct depot depot;

	depot_start(&depot);
	reader_open(&reader, &depot, &all, DEPOT_ENDPOINTS * ROUNDS);
	reader.settles = settles;
	read_all(&reader); /* there is nothing, not even a shelf */
	keepers_start(&depot);
	hb_loop_run(reader.loop);
	assert_int_equal(reader.count, DEPOT_ENDPOINTS * ROUNDS);
	assert_true(reader.calls > 0);
	reader_close(&reader);
	while (!keepers[0].is_over || !keepers[1].is_over)
		usleep(1000);
	keepers_stop();
	for (int i = 0; i < DEPOT_SINKS; i++)
		assert_int_equal(
		    depot_gauge(HB_M_SPOOL_RECORDS, depot.sinks[i].name),
		    settles ? 0
			    : DEPOT_ENDPOINTS * ROUNDS *
				  (i == DEPOT_MAIN ? 3 : 1) / 4);
	assert_int_equal(depot.store->holds.count, 0);
	depot_end(&depot);
}

static void
test_concurrent(void **state)
{
	(void)state;
	check_concurrent(false);
	check_concurrent(true);
}

static void
turn(struct hb_loop *loop)
{
	event_base_loop(hb_loop_base(loop), EVLOOP_NONBLOCK);
}

/* Once, for what passes the filter, and not before the end was reached. */
static void
test_on_more(void **state)
{
	struct hb_walk_filter filter = {.endpoint = HB_SPAN("two")};
	struct reader reader;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	reader_open(&reader, &depot, &filter, 100);
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "0");
	turn(reader.loop);
	assert_int_equal(reader.calls, 0);
	read_all(&reader);
	assert_int_equal(reader.count, 1);
	depot_keep(&depot, DEPOT_ONE, DEPOT_B, "1");
	turn(reader.loop);
	assert_int_equal(reader.calls, 0);
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "2");
	turn(reader.loop);
	assert_int_equal(reader.calls, 1);
	assert_int_equal(reader.count, 2);
	/* On a shelf that is new. */
	depot_keep(&depot, DEPOT_TWO, DEPOT_B, "3");
	while (reader.count < 3)
		turn(reader.loop);
	/* It may have been called for the shelf and again for the record. */
	assert_in_range(reader.calls, 2, 3);
	reader_close(&reader);
	depot_end(&depot);
}

/* Freed while it is being told. */
static void
test_free_told(void **state)
{
	struct hb_walk_filter filter = {.kind = HB_SHELF_DELIVERIES};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct reader reader;
		struct depot depot;

		depot_start(&depot);
		if (i == 1)
			depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
		reader_open(&reader, &depot, &filter, 100);
		read_all(&reader);
		depot_keep(&depot, DEPOT_ONE, DEPOT_A, "1");
		hb_walk_free(reader.walk);
		reader.walk = NULL;
		turn(reader.loop);
		assert_int_equal(reader.calls, 0);
		reader_close(&reader);
		depot_end(&depot);
	}
}

/* --- holds ---------------------------------------------------------------- */

struct waiter {
	struct hb_task task;
	unsigned runs;
};

static void
on_released(struct hb_task *task)
{
	hb_container_of(task, struct waiter, task)->runs++;
}

static void
read_one(struct depot *depot, struct hb_record *rec)
{
	const struct hb_walk_filter all = {.kind = HB_SHELF_DELIVERIES};
	struct hb_walk *walk =
	    hb_walk_new(depot->store, &all, NULL, NULL, NULL);
	struct hb_error err;

	assert_int_equal(hb_walk_next(walk, rec, &err), HB_SPOOL_RECORD);
	hb_walk_free(walk);
}

static void
test_held(void **state)
{
	struct waiter waiter = {.task = {.run = on_released}};
	struct depot_keep item;
	struct hb_record rec;
	struct hb_loop *loop = hb_loop_new("reader", NULL);
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "0", HB_SPAN("v"), true);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_int_not_equal(item.keep.ticket, 0);
	read_one(&depot, &rec);
	assert_int_equal(rec.ticket, item.keep.ticket);
	/* Only asking makes nobody wait. */
	assert_true(hb_store_is_held(depot.store, &rec, NULL, NULL));
	assert_true(
	    hb_store_is_held(depot.store, &rec, loop, &waiter.task));
	assert_true(hb_store_is_held(depot.store, &rec, NULL, NULL));
	turn(loop);
	assert_int_equal(waiter.runs, 0);
	hb_store_release(&item.keep);
	turn(loop);
	assert_int_equal(waiter.runs, 1);
	assert_false(
	    hb_store_is_held(depot.store, &rec, loop, &waiter.task));
	turn(loop);
	assert_int_equal(waiter.runs, 1);
	hb_record_fini(&rec);
	/* What nobody waits for is released as well. */
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "1", HB_SPAN("v"), true);
	depot_wait(&item);
	hb_store_release(&item.keep);
	assert_int_equal(depot.store->holds.count, 0);
	hb_loop_free(loop);
	depot_end(&depot);
}

/* After a restart nothing is at any sink. */
static void
test_held_before(void **state)
{
	struct depot_keep item, other;
	struct hb_record rec;
	struct depot depot;

	(void)state;
	depot_start(&depot);
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "0", HB_SPAN("v"), true);
	depot_wait(&item);
	depot_reopen(&depot);
	/* The same number, another process. */
	depot_send(&depot, &other, DEPOT_ONE, DEPOT_A, "1", HB_SPAN("v"),
	    true);
	depot_wait(&other);
	assert_int_equal(other.keep.ticket, item.keep.ticket);
	read_one(&depot, &rec);
	assert_true(hb_span_eq(rec.id, HB_SPAN("0")));
	assert_int_equal(rec.ticket, 0);
	assert_false(hb_store_is_held(depot.store, &rec, NULL, NULL));
	hb_record_fini(&rec);
	hb_store_release(&other.keep);
	depot_end(&depot);
}

/* Many at once, released in any order: the set grows and shrinks. */
static void
test_many_holds(void **state)
{
	enum { MANY = 20000 };
	static uint64_t tickets[MANY];
	static struct hb_store store;
	struct hb_store_holds *holds = &store.holds;
	unsigned left = MANY;

	(void)state;
	hb_store_holds_init(holds);
	for (unsigned i = 0; i < MANY; i++)
		tickets[i] = hb_store_hold(holds);
	assert_int_equal(holds->count, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		unsigned which = (i * 7919u) % MANY;
		uint64_t ticket = tickets[which];

		hb_store_unhold(holds, ticket);
		hb_store_unhold(holds, ticket); /* it is gone */
		tickets[which] = 0;
		assert_int_equal(holds->count, --left);
		for (unsigned j = 0; left % 1000 == 1 && j < MANY; j++) {
			struct hb_record rec = {.ticket = tickets[j]};

			assert_int_equal(
			    hb_store_is_held(&store, &rec, NULL, NULL),
			    tickets[j] != 0);
		}
	}
	assert_true(holds->mask < 4096);
	hb_store_holds_fini(holds);
}

/* One releases while the other asks: whoever was told to wait is called. */
struct ask {
	struct depot *depot;
	struct hb_record rec;
	struct hb_loop *loop;
	struct waiter waiter;
	pthread_barrier_t *barrier;
	bool was_held;
};

static void *
ask_main(void *arg)
{
	struct ask *ask = arg;

	pthread_barrier_wait(ask->barrier);
	ask->was_held = hb_store_is_held(ask->depot->store, &ask->rec,
	    ask->loop, &ask->waiter.task);
	return NULL;
}

static void
test_release_race(void **state)
{
	unsigned outcomes[2] = {0, 0};
	struct hb_loop *loop = hb_loop_new("reader", NULL);
	struct depot depot;

	(void)state;
	depot_start(&depot);
	for (unsigned i = 0; i < 300; i++) {
		pthread_barrier_t barrier;
		struct depot_keep item = {.is_done = false};
		struct ask ask = {.depot = &depot,
		    .loop = loop,
		    .barrier = &barrier,
		    .waiter = {.task = {.run = on_released}}};
		pthread_t thread;

		item.keep.store = depot.store;
		item.keep.ticket = ask.rec.ticket =
		    hb_store_hold(&depot.store->holds);
		pthread_barrier_init(&barrier, NULL, 2);
		assert_int_equal(
		    pthread_create(&thread, NULL, ask_main, &ask), 0);
		pthread_barrier_wait(&barrier);
		hb_store_release(&item.keep);
		pthread_join(thread, NULL);
		pthread_barrier_destroy(&barrier);
		turn(loop);
		assert_int_equal(ask.waiter.runs, ask.was_held);
		outcomes[ask.was_held]++;
	}
	assert_int_equal(outcomes[0] + outcomes[1], 300);
	assert_int_equal(depot.store->holds.count, 0);
	hb_loop_free(loop);
	depot_end(&depot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_filters),
	    cmocka_unit_test(test_seek),
	    cmocka_unit_test(test_long_records),
	    cmocka_unit_test(test_in_between),
	    cmocka_unit_test(test_concurrent),
	    cmocka_unit_test(test_on_more),
	    cmocka_unit_test(test_free_told),
	    cmocka_unit_test(test_held),
	    cmocka_unit_test(test_held_before),
	    cmocka_unit_test(test_many_holds),
	    cmocka_unit_test(test_release_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
