/* SPDX-License-Identifier: Apache-2.0 */
/* test_redis_late.c - replies that come late, or never, and what an event's
 * end leaves in the server: deliveries that are overdue, and forgetting */
#include "redis_rig.h"

/* --- overdue -------------------------------------------------------------- */

/* A server that does not run: each delivery is overdue when its own time is up,
 * and confirmed when the server goes on. Large values are not copied: they are
 * there until the report. */
static void
late_replies_settle(void **state)
{
	enum { COUNT = 12, SIZE = 1 << 20 };
	char *large = hb_xmalloc(SIZE);
	struct contract_item *items;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	solo_init(&solo);
	solo.conf.timeout_ms = 200;
	redis_do(&server, "DEL hb:solo");
	solo_start(&solo);
	items = contract_mixed_items(&solo.rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		if (i % 3 != 0)
			contract_fill_special(&items[i], large, SIZE, "", 0);
		contract_lend(&items[i]);
	}
	redis_peer_pause(&server);
	contract_send(items, COUNT);
	contract_await_overdue(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(atomic_load(&items[i].reports), 0);
	redis_peer_resume(&server);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&solo.rig, items, COUNT);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), COUNT);
	free(items);
	/* What follows is not overdue. */
	expect_confirmed(&solo, 10);
	contract_stop(&solo.rig);
	free(large);
	redis_do(&server, "DEL hb:solo");
}

/* Who has not asked for it is not told, and gets the same report. */
static void
nobody_has_to_be_told(void **state)
{
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.timeout_ms = 100;
	solo_start(&solo);
	items = contract_items(&solo.rig, 2);
	items[0].delivery.home = items[1].delivery.home;
	items[0].delivery.on_overdue = NULL;
	redis_peer_pause(&server);
	contract_send(items, 2);
	contract_await_overdue(&items[1], 1);
	redis_peer_resume(&server);
	contract_await_reports(items, 2);
	contract_check_confirmed(items, 2);
	assert_int_equal(atomic_load(&items[0].overdue), 0);
	contract_stop(&solo.rig);
	free(items);
}

/* Without any reply for long the connection is given up, and with it what was
 * overdue: nobody knows of it. */
static void
stalled_connections_are_closed(void **state)
{
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.timeout_ms = 100;
	contract_open(&solo.rig, &solo.peer);
	((struct hb_redis *)solo.rig.sink)->stalled_ms = 300;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	redis_peer_pause(&server);
	items = exchange(&solo, 2);
	for (size_t i = 0; i < 2; i++) {
		expect(&items[i], HB_REPORT_UNKNOWN, "no reply within 300 ms");
		assert_int_equal(atomic_load(&items[i].overdue), 1);
	}
	await_lost(&solo.rig, "no reply within 300 ms");
	/* Its kernel still accepts, but nobody answers. */
	await_lost(&solo.rig, "no login within 100 ms");
	assert_true(contract_await_health(&solo.rig, HB_DOWN));
	redis_peer_resume(&server);
	free(items);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	contract_stop(&solo.rig);
}

/* A late NOSCRIPT: what is then sent in full is late too, but told once. */
static void
overdue_is_told_once(void **state)
{
	static const struct fake_manners manners = {
	    .answer = "", .evalsha = ""};
	struct contract_item *item;
	struct fake_redis fake;
	const struct hb_metric *timeouts;
	struct solo solo;
	uint64_t since_ms;
	int64_t before;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 50;
	solo.target.idempotent_ms = 1000;
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	timeouts = hb_metric_get(HB_M_SINK_ERRORS, solo.rig.sink_conf.name,
	    "timeout", NULL, NULL);
	before = hb_metric_value(timeouts);
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	item = contract_items(&solo.rig, 1);
	contract_send(item, 1);
	contract_await_overdue(item, 1);
	fake_tell(&fake, "-NOSCRIPT no\r\n");
	await_count(&fake.adds, 1);
	/* The second one counts, too. */
	since_ms = hb_clock_mono_ms();
	while (hb_metric_value(timeouts) < before + 2)
		assert_true(contract_wait(since_ms));
	contract_settle(&solo.rig);
	assert_int_equal(atomic_load(&item->reports), 0);
	fake_tell(&fake, ENTRY);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	assert_int_equal(atomic_load(&item->overdue), 1);
	contract_stop(&solo.rig);
	fake_close(&fake);
	free(item);
}

/* A drain waits for what is overdue like for the rest, then gives it back. */
static void
drain_gives_back_what_is_overdue(void **state)
{
	static const struct fake_manners manners = {.answer = ""};
	struct contract_item *items;
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 50;
	solo_start(&solo);
	items = contract_mixed_items(&solo.rig, 6);
	contract_send(items, 6);
	contract_await_overdue(items, 6);
	solo.peer.ops->drain(solo.rig.sink, 100);
	contract_settle(&solo.rig);
	contract_check_reports(items, 6);
	for (size_t i = 0; i < 6; i++)
		expect(&items[i], HB_REPORT_UNKNOWN, "shutting down");
	contract_close(&solo.rig);
	fake_close(&fake);
	free(items);
}

/* --- what the replay sends ------------------------------------------------ */

/* As many as it sends at once arrive in the order sent, on one connection. */
static void
a_backlog_keeps_its_order(void **state)
{
	enum { COUNT = 512 };
	struct contract_item *items;
	const struct redis_seen *seen;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	redis_do(&server, "DEL hb:solo");
	redis_forget_seen(&server);
	solo.conf.pipeline = 64;
	solo_start(&solo);
	items = contract_patient_items(&solo.rig, COUNT);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&solo.rig, items, COUNT);
	seen = redis_seen_of(&server, "hb:solo");
	assert_int_equal(seen->count, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		assert_true(
		    redis_same(seen->entries[i], &items[i].delivery.msg));
	contract_stop(&solo.rig);
	free(items);
	redis_do(&server, "DEL hb:solo");
}

/* --- forgetting ----------------------------------------------------------- */

/* Opens one that remembers, and sends one event. */
static struct contract_item *
start_remembering(struct solo *solo)
{
	struct contract_item *item;

	solo_init(solo);
	solo->target.idempotent_ms = 3600 * 1000;
	redis_do(&server, "DEL hb:solo hb:two");
	contract_open(&solo->rig, &solo->peer);
	solo->rig.endpoint.dedup = true;
	contract_run(&solo->rig);
	assert_true(contract_await_health(&solo->rig, HB_UP));
	item = exchange(solo, 1);
	contract_check_confirmed(item, 1);
	return item;
}

static void
forget(struct solo *solo, const struct contract_item *item)
{
	const struct hb_message *msg = &item->delivery.msg;

	solo->peer.ops->forget(solo->rig.sink, msg->endpoint, msg->id);
}

static void
await_forgotten(const struct contract_item *item)
{
	char key[HB_REDIS_DEDUP_KEY_MAX + 1] = {0};
	uint64_t since_ms = hb_clock_mono_ms();

	redis_rig_dedup_key(item, key);
	while (redis_do(&server, "EXISTS %s", key) != 0)
		assert_true(contract_wait(since_ms));
}

static void
send_again(struct contract_item *item)
{
	atomic_store(&item->reports, 0);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
}

/* Of this event alone, and then it is added again. */
static void
forgotten_events_are_added_again(void **state)
{
	struct contract_item *item, *other;
	char key[HB_REDIS_DEDUP_KEY_MAX + 1] = {0};
	struct solo solo;

	(void)state;
	item = start_remembering(&solo);
	other = exchange(&solo, 1);
	send_again(item);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 2);
	forget(&solo, item);
	await_forgotten(item);
	redis_rig_dedup_key(other, key);
	assert_int_equal(redis_do(&server, "EXISTS %s", key), 1);
	send_again(item);
	send_again(other);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 3);
	contract_stop(&solo.rig);
	free(item);
	free(other);
	redis_do(&server, "DEL hb:solo");
}

/* One of them, both of which remember. */
static void
all_streams_forget(void **state)
{
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.peer.dests[1] = "hb:two";
	solo.target.idempotent_ms = 3600 * 1000;
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	items = contract_items(&solo.rig, 2);
	items[1].delivery.msg.id = items[0].delivery.msg.id;
	contract_send(items, 2);
	contract_await_reports(items, 2);
	contract_check_confirmed(items, 2);
	forget(&solo, &items[0]);
	await_forgotten(&items[0]);
	await_forgotten(&items[1]);
	contract_stop(&solo.rig);
	free(items);
	redis_do(&server, "DEL hb:solo hb:two");
}

/* Whoever takes commands is asked; what it says is no trouble of adding. */
static void
refused_forgetting_has_no_consequences(void **state)
{
	static const char *const answers[] = {":1\r\n", ":0\r\n",
	    "-NOPERM no\r\n", "-ERR unknown command 'DEL'\r\n",
	    "-READONLY no\r\n"};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(answers); i++) {
		struct fake_manners manners = {
		    .answer = ENTRY, .del = answers[i]};
		struct contract_item *items;
		struct fake_redis fake;
		struct solo solo;

		fake_open(&fake, &manners);
		solo_init(&solo);
		solo.conf.url = fake.url;
		solo.target.idempotent_ms = 1000;
		solo_start(&solo);
		items = contract_items(&solo.rig, 1);
		forget(&solo, items);
		await_count(&fake.dels, 1);
		free(items);
		/* Behind its answer, on the same connection. */
		items = contract_patient_items(&solo.rig, 4);
		contract_send(items, 4);
		contract_await_reports(items, 4);
		contract_check_confirmed(items, 4);
		assert_true(contract_await_health(&solo.rig, HB_UP));
		assert_int_equal(
		    atomic_load(&fake.accepted), CONTRACT_LOOPS);
		assert_int_equal(atomic_load(&fake.dels), 1);
		contract_stop(&solo.rig);
		fake_close(&fake);
		free(items);
	}
}

/* The connection that is asked first is not there yet: the next one is. */
static void
any_connection_may_be_asked(void **state)
{
	static const struct fake_manners manners = {
	    .answer = ENTRY, .del = ":1\r\n"};
	struct contract_item *item;
	struct fake_redis fake;
	struct hb_error err;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.target.idempotent_ms = 1000;
	contract_open(&solo.rig, &solo.peer);
	assert_true(hb_loop_start(solo.rig.helper, &err));
	assert_true(hb_loop_start(solo.rig.loops[0], &err));
	assert_true(contract_await_health(&solo.rig, HB_SLOW));
	item = contract_items(&solo.rig, 1);
	forget(&solo, item); /* to a loop that has not even dialled */
	assert_int_equal(atomic_load(&fake.dels), 0);
	assert_true(hb_loop_start(solo.rig.loops[1], &err));
	solo.rig.running = true;
	await_count(&fake.dels, 1);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	contract_stop(&solo.rig);
	fake_close(&fake);
	free(item);
}

/* Nobody is asked who does not remember, nor when nobody is there; what is
 * still on its way when the sink is closed finds that out. */
static void
forgetting_may_come_to_nothing(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	contract_open(&solo.rig, &solo.peer);
	item = contract_items(&solo.rig, 1);
	forget(&solo, item);
	contract_close(&solo.rig);
	free(item);
	solo_init(&solo);
	solo.target.idempotent_ms = 1000;
	solo.conf.url = "unix:/nonexistent/socket";
	contract_open(&solo.rig, &solo.peer);
	item = contract_items(&solo.rig, 1);
	contract_run(&solo.rig);
	forget(&solo, item);
	for (size_t i = 0; i < CONTRACT_LOOPS; i++)
		contract_settle(&solo.rig);
	contract_stop(&solo.rig);
	free(item);
	contract_open(&solo.rig, &solo.peer);
	item = contract_items(&solo.rig, 1);
	forget(&solo, item); /* no loop runs */
	contract_close(&solo.rig);
	free(item);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(late_replies_settle),
	    cmocka_unit_test(nobody_has_to_be_told),
	    cmocka_unit_test(stalled_connections_are_closed),
	    cmocka_unit_test(overdue_is_told_once),
	    cmocka_unit_test(drain_gives_back_what_is_overdue),
	    cmocka_unit_test(a_backlog_keeps_its_order),
	    cmocka_unit_test(forgotten_events_are_added_again),
	    cmocka_unit_test(all_streams_forget),
	    cmocka_unit_test(refused_forgetting_has_no_consequences),
	    cmocka_unit_test(any_connection_may_be_asked),
	    cmocka_unit_test(forgetting_may_come_to_nothing),
	};

	if (!redis_rig_begin())
		return 0;
	return redis_rig_end(cmocka_run_group_tests(tests, NULL, NULL));
}
