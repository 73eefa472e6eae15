/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_shares.c - who may hold how much, and what becomes of a store
 * whose disk is full or refuses
 *
 * The disk is the spool's rig's; a record of BYTES has five in a segment. */
#include "spool_rig.h"

#include "hookbridge/clock.h"
#include "store_rig.h"

#define BYTES 10800

/* --- shares --------------------------------------------------------------- */

/* Small enough to be filled, in segments of the least size. */
static void
start_small(struct depot *depot, unsigned segments)
{
	depot_init(depot);
	depot->cfg.spool.max_size = 2 * segments * DEPOT_SEGMENT;
	depot->cfg.spool.dead_share = 50;
	depot->cfg.spool.segment_size = DEPOT_SEGMENT;
	depot_open(depot);
}

static struct hb_store_books *
books_of(struct depot *depot)
{
	return &depot->store->parts[HB_SHELF_DELIVERIES].books;
}

/* One more of BYTES would be beyond the limit, and none is. */
static void
expect_at_limit(const struct hb_store_account *account, size_t bytes)
{
	assert_true(account->used <= account->limit);
	assert_true(account->used + bytes + 200 > account->limit);
}

static bool
may_keep(struct depot *depot, int endpoint, int dest, struct hb_error *err)
{
	return hb_store_has_room(depot->store, &depot->endpoints[endpoint],
	    &depot->dests[dest], BYTES, err);
}

static void
expect_refused(struct depot *depot, int endpoint, int dest,
    enum hb_code code, const char *reason)
{
	struct depot_keep item;
	struct hb_error err = {0};
	static char value[BYTES];

	assert_false(may_keep(depot, endpoint, dest, &err));
	assert_int_equal(err.code, code);
	assert_string_equal(err.reason, reason);
	depot_send(depot, &item, endpoint, dest, "more",
	    hb_span_make(value, BYTES), true);
	depot_wait(&item);
	assert_false(item.keep.ok);
	assert_int_equal(item.keep.err.code, code);
	assert_string_equal(item.keep.err.reason, reason);
	assert_null(item.keep.kept.shelf);
	assert_int_equal(item.keep.ticket, 0);
	assert_int_equal(depot->store->holds.count, 0);
}

static void
settle_all(struct depot *depot, enum hb_shelf_kind kind)
{
	struct hb_walk *walk = hb_walk_new(depot->store,
	    &(struct hb_walk_filter){.kind = kind}, NULL, NULL, NULL);
	struct hb_record rec;
	struct hb_error err;

	while (hb_walk_next(walk, &rec, &err) == HB_SPOOL_RECORD) {
		assert_true(hb_store_settle(&rec.kept));
		hb_record_fini(&rec);
	}
	hb_walk_free(walk);
}

/* A limit from both sides, and the same after a restart; who is not over it
 * goes on, and when all is settled, so does who was. */
struct limit {
	const char *reason;
	enum hb_code code;
	int endpoint, dest; /* who fills */
	int other_endpoint, other_dest;
	bool one_endpoint; /* only the first is enabled */
	uint64_t sink_share;
};

static const struct limit limits[] = {
    {"sink-share", HB_E_RESOURCE, DEPOT_ONE, DEPOT_A, DEPOT_ONE,
	DEPOT_SPARE_A, true, 30},
    {"sink-share", HB_E_RESOURCE, DEPOT_ONE, DEPOT_A, DEPOT_TWO,
	DEPOT_SPARE_A, false, 40},
    {"endpoint-share", HB_E_RESOURCE, DEPOT_ONE, DEPOT_A, DEPOT_TWO, DEPOT_A,
	false, 80},
    {"destination-share", HB_E_DEAD, DEPOT_ONE, DEPOT_WILD, DEPOT_ONE,
	DEPOT_B, false, 60},
};

static const struct hb_store_account *
account_of(struct depot *depot, const struct limit *limit)
{
	const struct hb_store_books *books = books_of(depot);

	if (strcmp(limit->reason, "sink-share") == 0)
		return &books->sinks[DEPOT_MAIN];
	if (strcmp(limit->reason, "endpoint-share") == 0)
		return &books->endpoints[limit->endpoint];
	return &books->dests[limit->dest];
}

static uint64_t
percent_of(struct depot *depot, const struct limit *limit)
{
	uint64_t capacity = depot->store->parts[HB_SHELF_DELIVERIES].capacity;

	if (strcmp(limit->reason, "endpoint-share") == 0)
		return capacity / 2;
	if (strcmp(limit->reason, "sink-share") == 0)
		return capacity * limit->sink_share / 100;
	return capacity * limit->sink_share / 100 / 4;
}

static void
check_limit(const struct limit *limit)
{
	struct hb_error err = {0};
	struct depot depot;

	depot_init(&depot);
	depot.cfg.spool.max_size = 2 * 24 * DEPOT_SEGMENT;
	depot.cfg.spool.dead_share = 50;
	depot.cfg.spool.segment_size = DEPOT_SEGMENT;
	depot.cfg.spool.sink_share = limit->sink_share;
	if (limit->one_endpoint)
		depot.endpoints[DEPOT_TWO].mode = HB_MODE_DISABLED;
	depot_open(&depot);
	assert_int_equal(
	    account_of(&depot, limit)->limit, percent_of(&depot, limit));
	assert_true(may_keep(&depot, limit->endpoint, limit->dest, &err));
	assert_true(depot_fill(&depot, limit->endpoint, limit->dest, BYTES,
			&err) > 3);
	assert_string_equal(err.reason, limit->reason);
	expect_at_limit(account_of(&depot, limit), BYTES);
	for (int i = 0; i < 2; i++) {
		expect_refused(&depot, limit->endpoint, limit->dest,
		    limit->code, limit->reason);
		assert_true(may_keep(&depot, limit->other_endpoint,
		    limit->other_dest, &err));
		depot_keep(
		    &depot, limit->other_endpoint, limit->other_dest, "other");
		if (i == 0)
			depot_reopen(&depot);
	}
	settle_all(&depot, HB_SHELF_DELIVERIES);
	assert_int_equal(account_of(&depot, limit)->used, 0);
	assert_true(may_keep(&depot, limit->endpoint, limit->dest, &err));
	depot_keep(&depot, limit->endpoint, limit->dest, "again");
	depot_end(&depot);
}

static void
test_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(limits); i++)
		check_limit(&limits[i]);
}

/* To the byte. */
static void
test_exact(void **state)
{
	struct depot_keep item;
	struct hb_error err = {0};
	struct depot depot;
	struct hb_store_account *account;

	(void)state;
	start_small(&depot, 8);
	account = &books_of(&depot)->dests[DEPOT_B];
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_B, "0", HB_SPAN("v"),
	    false);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_int_equal(
	    account->used, item.keep.kept.ref.len + HB_STORE_RECORD_COST);
	account->limit = 2 * account->used;
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_B, "0", HB_SPAN("v"),
	    false);
	depot_wait(&item);
	assert_true(item.keep.ok);
	assert_int_equal(account->used, account->limit);
	assert_true(hb_store_settle(&item.keep.kept));
	depot_send(&depot, &item, DEPOT_ONE, DEPOT_B, "0", HB_SPAN("vv"),
	    false);
	depot_wait(&item);
	assert_false(item.keep.ok);
	assert_true(hb_store_has_room(depot.store, depot.endpoints,
	    &depot.dests[DEPOT_B],
	    account->limit - account->used - HB_STORE_RECORD_COST, &err));
	assert_false(hb_store_has_room(depot.store, depot.endpoints,
	    &depot.dests[DEPOT_B],
	    account->limit - account->used - HB_STORE_RECORD_COST + 1, &err));
	depot_end(&depot);
}

/* What was refused for one owner is charged to no other. */
static void
test_undone(void **state)
{
	struct hb_error err = {0};
	struct depot depot;
	uint64_t sink, dest;

	(void)state;
	start_small(&depot, 24);
	books_of(&depot)->sinks[DEPOT_MAIN].limit = UINT64_MAX;
	depot_fill(&depot, DEPOT_ONE, DEPOT_B, BYTES, &err);
	sink = books_of(&depot)->sinks[DEPOT_MAIN].used;
	dest = books_of(&depot)->dests[DEPOT_B].used;
	expect_refused(
	    &depot, DEPOT_ONE, DEPOT_B, HB_E_RESOURCE, "endpoint-share");
	assert_int_equal(books_of(&depot)->sinks[DEPOT_MAIN].used, sink);
	assert_int_equal(books_of(&depot)->dests[DEPOT_B].used, dest);
	assert_int_equal(depot_gauge(HB_M_SPOOL_BYTES, "main"), sink);
	depot_end(&depot);
}

/* A sink or endpoint that is alone may have all there is. */
static void
test_alone(void **state)
{
	struct hb_error err = {0};
	struct depot depot;

	(void)state;
	depot_init(&depot);
	depot.cfg.spool.max_size = 2 * 8 * DEPOT_SEGMENT;
	depot.cfg.spool.dead_share = 50;
	depot.cfg.spool.segment_size = DEPOT_SEGMENT;
	depot.cfg.sink_count = 1;
	depot.cfg.dest_count = DEPOT_SPARE_A;
	depot.endpoints[DEPOT_TWO].mode = HB_MODE_DISABLED;
	depot_open(&depot);
	/* Two segments of eight are kept for settlements and compaction. */
	assert_int_equal(
	    depot_fill(&depot, DEPOT_ONE, DEPOT_A, BYTES, &err), 6 * 5);
	assert_int_equal(err.code, HB_E_RESOURCE);
	assert_string_equal(err.reason, "spool-full");
	assert_int_equal(depot_gauge(HB_M_SPOOL_CAPACITY, "main"),
	    depot.store->parts[HB_SHELF_DELIVERIES].capacity);
	assert_in_range(depot_gauge(HB_M_SPOOL_BYTES, "main"),
	    depot_gauge(HB_M_SPOOL_CAPACITY, "main") * 9 / 10,
	    depot_gauge(HB_M_SPOOL_CAPACITY, "main"));
	depot_end(&depot);
}

/* Dead letters: of one endpoint, and of all. */
static void
test_dead_shares(void **state)
{
	struct hb_error err = {0};
	struct depot_keep item;
	struct hb_event *ev;
	struct depot depot;
	static const char *const reasons[] = {"endpoint-share", "dead-full"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned count = 0;

		start_small(&depot, 8);
		if (i == 1)
			depot.store->parts[HB_SHELF_DEAD]
			    .books.endpoints[DEPOT_ONE]
			    .limit = UINT64_MAX;
		for (;; count++) {
			depot_keep_init(&depot, &item);
			ev = item.ev = depot_event(&depot, DEPOT_ONE, "x");
			free(ev->body_mem);
			ev->body_mem = hb_xcalloc(1, BYTES);
			ev->body = hb_span_make(ev->body_mem, BYTES);
			hb_store_keep_dead(depot.store, &item.keep, ev,
			    "unrouted", HB_SPAN_NONE);
			depot_wait(&item);
			if (!item.keep.ok)
				break;
		}
		assert_int_equal(count, i == 0 ? 15 : 30);
		assert_int_equal(item.keep.err.code, HB_E_RESOURCE);
		assert_string_equal(item.keep.err.reason, reasons[i]);
		assert_false(hb_store_has_room(depot.store,
		    &depot.endpoints[DEPOT_ONE], NULL, BYTES, &err));
		assert_string_equal(err.reason, reasons[i]);
		/* Deliveries have a spool of their own. */
		depot_keep(&depot, DEPOT_ONE, DEPOT_A, "0");
		settle_all(&depot, HB_SHELF_DEAD);
		assert_int_equal(
		    depot_gauge(HB_M_DEAD_LETTER_BYTES, "unrouted"), 0);
		depot_end(&depot);
	}
}

/* What stays in order goes behind what is kept of its own destination. */
static void
test_backlog(void **state)
{
	struct depot depot;

	(void)state;
	start_small(&depot, 8);
	assert_false(hb_store_has_backlog(depot.store, &depot.dests[0]));
	depot_keep(&depot, DEPOT_TWO, DEPOT_A, "0");
	assert_true(hb_store_has_backlog(depot.store, &depot.dests[DEPOT_A]));
	assert_false(
	    hb_store_has_backlog(depot.store, &depot.dests[DEPOT_SPARE_A]));
	depot_reopen(&depot);
	assert_true(hb_store_has_backlog(depot.store, &depot.dests[DEPOT_A]));
	settle_all(&depot, HB_SHELF_DELIVERIES);
	assert_false(hb_store_has_backlog(depot.store, &depot.dests[DEPOT_A]));
	depot_end(&depot);
}

/* --- a spool that is full ------------------------------------------------- */

/* Full for all, whoever is asked; when enough is settled it says so itself. */
static void
test_full(void **state)
{
	struct hb_error err = {0};
	struct depot depot;

	(void)state;
	start_small(&depot, 8);
	for (int i = 0; i < DEPOT_SINKS; i++)
		books_of(&depot)->sinks[i].limit = UINT64_MAX;
	for (int i = 0; i < DEPOT_ENDPOINTS; i++)
		books_of(&depot)->endpoints[i].limit = UINT64_MAX;
	depot_fill(&depot, DEPOT_ONE, DEPOT_A, BYTES, &err);
	assert_string_equal(err.reason, "spool-full");
	/* Nobody is sent to try, however long it takes. */
	for (int i = 0; i < 5; i++) {
		atomic_store(&depot.store->parts[0].state.look_ms, 0);
		atomic_store(&depot.store->parts[0].state.try_ms, 0);
		expect_refused(
		    &depot, DEPOT_TWO, DEPOT_SPARE_A, HB_E_RESOURCE,
		    "spool-full");
	}
	settle_all(&depot, HB_SHELF_DELIVERIES);
	while (!may_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, &err)) {
		assert_string_equal(err.reason, "spool-full");
		usleep(1000);
	}
	depot_keep(&depot, DEPOT_TWO, DEPOT_SPARE_A, "0");
	assert_string_equal(depot_all(&depot, HB_SHELF_DELIVERIES), "0 ");
	depot_end(&depot);
}

/* --- a disk that refuses -------------------------------------------------- */

static const struct {
	int error;
	enum hb_code code;
	const char *reason;
} faults[] = {
    {EIO, HB_E_IO, "spool-broken"},
    {ENOSPC, HB_E_RESOURCE, "spool-full"},
};

/* As if the time in which who asks is sent to try were over. */
static void
end_try(struct hb_store_state *state)
{
	atomic_fetch_sub(&state->try_ms, 100);
}

/* For a moment all who ask are sent to try, as one event does that has several
 * destinations; then they wait until it is time again. Once it works, all are
 * told. */
static void
test_broken(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(faults); i++) {
		struct hb_store_state *spool_state;
		struct hb_error err = {0};
		struct depot_keep item;
		struct depot depot;

		start_small(&depot, 8);
		spool_state = &depot.store->parts[HB_SHELF_DELIVERIES].state;
		rig_fail(1, 1u << 30, faults[i].error);
		depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "0",
		    HB_SPAN("v"), true);
		depot_wait(&item);
		assert_false(item.keep.ok);
		assert_int_equal(item.keep.err.code, faults[i].code);
		assert_string_equal(item.keep.err.reason, faults[i].reason);
		assert_int_equal(depot.store->holds.count, 0);
		assert_int_equal(depot_gauge(HB_M_SPOOL_BYTES, "main"), 0);
		assert_true(may_keep(&depot, DEPOT_ONE, DEPOT_A, &err));
		assert_true(may_keep(&depot, DEPOT_ONE, DEPOT_B, &err));
		end_try(spool_state);
		assert_false(may_keep(&depot, DEPOT_ONE, DEPOT_A, &err));
		assert_int_equal(err.code, faults[i].code);
		assert_string_equal(err.reason, faults[i].reason);
		atomic_store(&spool_state->try_ms, 0);
		assert_true(may_keep(&depot, DEPOT_TWO, DEPOT_B, &err));
		end_try(spool_state);
		assert_false(may_keep(&depot, DEPOT_TWO, DEPOT_B, &err));
		/* The disk is well again, which only a try finds out. */
		rig_fail(0, 0, 0);
		assert_false(may_keep(&depot, DEPOT_TWO, DEPOT_B, &err));
		do {
			depot_send(&depot, &item, DEPOT_ONE, DEPOT_A, "1",
			    HB_SPAN("v"), false);
			depot_wait(&item);
		} while (!item.keep.ok);
		assert_true(may_keep(&depot, DEPOT_TWO, DEPOT_B, &err));
		assert_true(may_keep(&depot, DEPOT_ONE, DEPOT_A, &err));
		assert_string_equal(
		    depot_all(&depot, HB_SHELF_DELIVERIES), "1 ");
		depot_end(&depot);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_exact),
	    cmocka_unit_test(test_undone),
	    cmocka_unit_test(test_alone),
	    cmocka_unit_test(test_dead_shares),
	    cmocka_unit_test(test_backlog),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_broken),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
