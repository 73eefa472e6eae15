/* SPDX-License-Identifier: Apache-2.0 */
/* test_redis_faults.c - what the Redis sink makes of servers that are in
 * trouble, and of those that lie */
#include "redis_rig.h"

#include <sys/stat.h>

/* --- a server that is in trouble ------------------------------------------ */

static void
one_stream_may_be_down(void **state)
{
	struct contract_item *items;
	struct solo solo;
	struct contract_rig *rig = &solo.rig;

	(void)state;
	solo_init(&solo);
	solo.peer.dests[1] = "hb:wrong";
	redis_do(&server, "SET hb:wrong text");
	solo_start(&solo);
	items = exchange(&solo, 2);
	expect(&items[0], HB_REPORT_CONFIRMED, NULL);
	expect(&items[1], HB_REPORT_RETRY, "a key of this name");
	assert_int_equal(hb_dest_health(rig->sink, rig->dests[0]), HB_UP);
	assert_int_equal(hb_dest_health(rig->sink, rig->dests[1]), HB_DOWN);
	redis_do(&server, "DEL hb:wrong");
	free(items);
	assert_true(contract_await_health(rig, HB_UP));
	expect_confirmed(&solo, 2);
	/* The next time it is down it is so for as short a while as the
	 * first. */
	assert_int_equal(
	    atomic_load(&((struct hb_redis *)rig->sink)->scopes[1].setbacks),
	    0);
	redis_do(&server, "DEL hb:wrong");
	contract_stop(rig);
}

/* Only one of the streams may be written. */
static void
rights_are_by_stream(void **state)
{
	struct hb_secret password = secret("s3cret");
	struct contract_item *items;
	char url[64];
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.peer.dests[1] = "hb:other";
	snprintf(url, sizeof(url), "redis://hook@%s", server.tcp_address);
	solo.conf.url = url;
	solo.conf.password = &password;
	redis_do(&server, "ACL SETUSER hook reset on >s3cret ~hb:solo +role "
			  "+ping +xadd");
	solo_start(&solo);
	items = exchange(&solo, 2);
	expect(&items[0], HB_REPORT_CONFIRMED, NULL);
	expect(&items[1], HB_REPORT_RETRY, "NOPERM");
	assert_int_equal(
	    hb_dest_health(solo.rig.sink, solo.rig.dests[0]), HB_UP);
	assert_int_equal(
	    hb_dest_health(solo.rig.sink, solo.rig.dests[1]), HB_DOWN);
	free(items);
	contract_stop(&solo.rig);
	redis_do(&server, "ACL DELUSER hook");
}

static void
memory_may_be_full(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	redis_do(&server, "CONFIG SET maxmemory 1");
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "OOM");
	free(item);
	assert_true(contract_await_health(&solo.rig, HB_DOWN));
	redis_do(&server, "CONFIG SET maxmemory 0");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
}

/* The same where a script adds. */
static void
memory_may_be_full_for_scripts(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.target.idempotent_ms = 1000;
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	redis_do(&server, "CONFIG SET maxmemory 1");
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "OOM");
	redis_do(&server, "CONFIG SET maxmemory 0");
	contract_stop(&solo.rig);
	free(item);
}

static void
replicas_may_be_too_few(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	redis_do(&server, "CONFIG SET min-replicas-to-write 1");
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "NOREPLICAS");
	free(item);
	redis_do(&server, "CONFIG SET min-replicas-to-write 0");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
}

/* Saves, and waits until that has ended as it should. */
static void
save(const char *status)
{
	uint64_t since_ms = hb_clock_mono_ms();

	redis_do(&server, "BGSAVE");
	for (;;) {
		redisReply *reply = redis_ask(&server, "INFO persistence");
		bool done =
		    strstr(reply->str, "rdb_bgsave_in_progress:0") != NULL &&
		    strstr(reply->str, status) != NULL;

		freeReplyObject(reply);
		if (done)
			return;
		assert_true(contract_wait(since_ms));
	}
}

/* A server that cannot save takes no writes. */
static void
disk_may_be_broken(void **state)
{
	struct contract_item *item;
	char obstacle[80];
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	snprintf(obstacle, sizeof(obstacle), "%s/dump.rdb", server.dir);
	unlink(obstacle);
	assert_int_equal(mkdir(obstacle, 0700), 0);
	redis_do(&server, "CONFIG SET save %s", "3600 1000000");
	save("rdb_last_bgsave_status:err");
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "MISCONF");
	free(item);
	assert_int_equal(rmdir(obstacle), 0);
	save("rdb_last_bgsave_status:ok");
	redis_do(&server, "CONFIG SET save %s", "");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
}

/* Somebody's script runs and runs. */
static void
server_may_be_busy(void **state)
{
	redisContext *other = redisConnectUnix(server.path);
	uint64_t since_ms = hb_clock_mono_ms();
	struct contract_item *item;
	struct solo solo;
	void *killed;
	int done = 0;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	redis_do(&server, "CONFIG SET lua-time-limit 1");
	redisAppendCommand(other, "EVAL %s 0", "while true do end");
	while (done == 0)
		assert_int_equal(redisBufferWrite(other, &done), REDIS_OK);
	do {
		item = exchange(&solo, 1);
		done = item->delivery.report == HB_REPORT_RETRY;
		if (done != 0)
			expect(item, HB_REPORT_RETRY, "BUSY");
		free(item);
	} while (done == 0 && contract_wait(since_ms));
	assert_int_not_equal(done, 0);
	redis_do(&server, "SCRIPT KILL");
	assert_int_equal(redisGetReply(other, &killed), REDIS_OK);
	freeReplyObject(killed);
	redisFree(other);
	redis_do(&server, "CONFIG SET lua-time-limit 5000");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
}

/* A message that the server will never take is refused for good. */
static void
too_large_for_the_server(void **state)
{
	enum { SIZE = 3 << 20 };
	struct contract_item *items;
	char *large = hb_xmalloc(SIZE);
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	solo_init(&solo);
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	redis_do(&server, "CONFIG SET proto-max-bulk-len 1048576");
	items = contract_items(&solo.rig, 1);
	contract_fill_special(items, large, SIZE, "", 0);
	contract_send(items, 1);
	contract_await_reports(items, 1);
	contract_check_reports(items, 1);
	expect(items, HB_REPORT_REFUSED, "proto-max-bulk-len");
	assert_string_equal(items->delivery.why.reason, "too-large");
	free(items);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	redis_do(&server, "CONFIG SET proto-max-bulk-len 536870912");
	contract_stop(&solo.rig);
	free(large);
}

/* Of those sent to a server that does not answer, so many are put out, and
 * overdue after a while; the others wait for room, until that. */
static void
expect_bounded(struct contract_item *items, size_t count, unsigned put_out)
{
	unsigned overdue = 0, confirmed = 0;

	redis_peer_pause(&server);
	contract_send(items, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t since_ms = hb_clock_mono_ms();

		while (atomic_load(&items[i].reports) == 0 &&
		       atomic_load(&items[i].overdue) == 0)
			assert_true(contract_wait(since_ms));
		overdue += atomic_load(&items[i].overdue);
	}
	redis_peer_resume(&server);
	assert_int_equal(overdue, put_out);
	contract_await_reports(items, count);
	contract_check_reports(items, count);
	for (size_t i = 0; i < count; i++) {
		if (items[i].delivery.report == HB_REPORT_CONFIRMED)
			confirmed++;
		else
			expect(&items[i], HB_REPORT_RETRY, "too much waits");
	}
	assert_int_equal(confirmed, put_out);
}

static void
outstanding_commands_are_bounded(void **state)
{
	enum { COUNT = 20 };
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.timeout_ms = 200;
	solo.conf.pipeline = 4;
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	expect_bounded(items, COUNT, 4 * CONTRACT_LOOPS);
	free(items);
	contract_stop(&solo.rig);
	redis_do(&server, "DEL hb:solo");
}

static void
outstanding_bytes_are_bounded(void **state)
{
	enum { COUNT = 8 * CONTRACT_LOOPS, SIZE = 5 << 20 };
	char *large = hb_xmalloc(SIZE);
	struct contract_item *items;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	solo_init(&solo);
	solo.conf.timeout_ms = 200;
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		contract_fill_special(&items[i], large, SIZE, "", 0);
	expect_bounded(items, COUNT, 3 * CONTRACT_LOOPS); /* 15 of 16 MiB */
	free(items);
	contract_stop(&solo.rig);
	free(large);
	redis_do(&server, "DEL hb:solo");
}

static void
who_waits_for_room_gets_it(void **state)
{
	enum { COUNT = 50 };
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.timeout_ms = 10000;
	solo.conf.pipeline = 4;
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	redis_peer_pause(&server);
	contract_send(items, COUNT);
	contract_settle(&solo.rig);
	redis_peer_resume(&server);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&solo.rig, items, COUNT);
	free(items);
	contract_stop(&solo.rig);
}

/* What waited was never written: there is no doubt about it. */
static void
who_waits_learns_of_the_loss(void **state)
{
	enum { COUNT = 20 };
	static const struct fake_manners manners = {.answer = ""};
	struct contract_item *items;
	struct fake_redis fake;
	unsigned unknown = 0;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo.conf.pipeline = 3;
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	contract_send(items, COUNT);
	await_count(&fake.adds, 3 * CONTRACT_LOOPS);
	fake_close(&fake);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		unknown += items[i].delivery.report == HB_REPORT_UNKNOWN;
	assert_int_equal(unknown, 3 * CONTRACT_LOOPS);
	free(items);
	contract_stop(&solo.rig);
}

/* However large: alone it may go. */
static void
one_may_be_larger_than_the_bound(void **state)
{
	enum { SIZE = 20 << 20 };
	char *large = hb_xmalloc(SIZE);
	struct contract_item *item;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	solo_init(&solo);
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	item = contract_items(&solo.rig, 1);
	contract_fill_special(item, large, SIZE, "", 0);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
	contract_check_arrived(&solo.rig, item, 1);
	contract_stop(&solo.rig);
	free(item);
	free(large);
	redis_do(&server, "DEL hb:solo");
}

static void
idle_connections_are_pinged(void **state)
{
	static const struct fake_manners manners = {.silent_after = 0};
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 100;
	contract_open(&solo.rig, &solo.peer);
	((struct hb_redis *)solo.rig.sink)->idle_ms = 20;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	await_count(&fake.pings, 10);
	/* All on the connections of the beginning. */
	assert_int_equal(atomic_load(&fake.accepted), CONTRACT_LOOPS);
	contract_stop(&solo.rig);
	fake_close(&fake);
}

static void
connections_that_fall_silent_are_closed(void **state)
{
	static const struct fake_manners manners = {
	    .silent_after = CONTRACT_LOOPS};
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 100;
	contract_open(&solo.rig, &solo.peer);
	((struct hb_redis *)solo.rig.sink)->idle_ms = 20;
	((struct hb_redis *)solo.rig.sink)->stalled_ms = 50;
	contract_run(&solo.rig);
	await_lost(&solo.rig, "no reply within 50 ms");
	contract_stop(&solo.rig);
	fake_close(&fake);
}

/* A PING that is answered with something else than it said. */
static void
nonces_are_compared(void **state)
{
	static const struct fake_manners manners = {
	    .nonce = "0123456789abcdef", .honest_for = CONTRACT_LOOPS};
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	contract_open(&solo.rig, &solo.peer);
	((struct hb_redis *)solo.rig.sink)->idle_ms = 20;
	contract_run(&solo.rig);
	await_lost(&solo.rig, "a reply that PING never has");
	contract_stop(&solo.rig);
	fake_close(&fake);
}

static void
patience_is_as_documented(void **state)
{
	const struct hb_redis *redis;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	contract_open(&solo.rig, &solo.peer);
	redis = (const struct hb_redis *)solo.rig.sink;
	assert_int_equal(redis->idle_ms, 5000);
	assert_int_equal(redis->stalled_ms, 10000);
	contract_close(&solo.rig);
}

/* --- a server that lies --------------------------------------------------- */

/* What it answers to the only XADD, and what is made of that. */
static const struct {
	struct fake_manners manners;
	enum hb_report report;
	const char *says;
	const char *lost; /* the connection, for this reason; NULL: it stays */
	enum hb_redis_blame suspended; /* _DEST, _SERVER; else nothing */
} answers[] = {
    {{.answer = ENTRY}, HB_REPORT_CONFIRMED, NULL, NULL, 0},
    {{.answer = "HTTP/1.1 400 Bad Request\r\n"}, HB_REPORT_UNKNOWN,
	"Protocol error", "Protocol error", 0},
    {{.answer = ENTRY ENTRY}, HB_REPORT_CONFIRMED, NULL, "a reply to nothing",
	0},
    {{.answer = "$3\r\nabc\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = "+1-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = ":1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = "$-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = "*-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = "*1\r\n" ENTRY}, HB_REPORT_UNKNOWN, "never has", "XADD", 0},
    {{.answer = "*2147483647\r\n"}, HB_REPORT_UNKNOWN, NULL, "memory", 0},
    {{.answer = "$1000000000\r\n", .flood = 2 << 20}, HB_REPORT_UNKNOWN,
	"without end", "without end", 0},
    {{.answer = "-ERR ", .flood = 2 << 20}, HB_REPORT_UNKNOWN, "without end",
	"without end", 0},
    {{.answer = "$13\r\n17000"}, HB_REPORT_UNKNOWN, "no reply within",
	"no reply within 400 ms", 0},
    {{.answer = "$13\r\n17000", .closes = true}, HB_REPORT_UNKNOWN,
	"closed by the server", "closed by the server", 0},
    {{.answer = "", .closes = true}, HB_REPORT_UNKNOWN, "closed by the server",
	"closed by the server", 0},
    /* Errors: not added. */
    {{.answer = "-LOADING wait\r\n"}, HB_REPORT_RETRY, "LOADING", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-BUSY wait\r\n"}, HB_REPORT_RETRY, "BUSY", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-MASTERDOWN no\r\n"}, HB_REPORT_RETRY, "MASTERDOWN", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-CLUSTERDOWN no\r\n"}, HB_REPORT_RETRY, "CLUSTERDOWN", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-OOM no\r\n"}, HB_REPORT_RETRY, "OOM", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-MISCONF no\r\n"}, HB_REPORT_RETRY, "MISCONF", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-NOREPLICAS no\r\n"}, HB_REPORT_RETRY, "NOREPLICAS", NULL,
	HB_REDIS_SERVER},
    {{.answer = "-TRYAGAIN no\r\n"}, HB_REPORT_RETRY, "TRYAGAIN", NULL, 0},
    {{.answer = "-NOSCRIPT no\r\n"}, HB_REPORT_RETRY, "NOSCRIPT", NULL, 0},
    {{.answer = "-MOVED 1 10.0.0.1:1\r\n"}, HB_REPORT_RETRY,
	"needs a cluster client", NULL, HB_REDIS_DEST},
    {{.answer = "-ASK 1 10.0.0.1:1\r\n"}, HB_REPORT_RETRY,
	"needs a cluster client", NULL, HB_REDIS_DEST},
    {{.answer = "-CROSSSLOT no\r\n"}, HB_REPORT_RETRY,
	"needs a cluster client", NULL, HB_REDIS_DEST},
    {{.answer = "-NOPERM no\r\n"}, HB_REPORT_RETRY, "NOPERM", NULL,
	HB_REDIS_DEST},
    {{.answer = "-WRONGTYPE no\r\n"}, HB_REPORT_RETRY, "a key of this name",
	NULL, HB_REDIS_DEST},
    {{.answer = "-ERR wrong number of arguments for 'xadd' command\r\n"},
	HB_REPORT_RETRY, "wrong number", NULL, HB_REDIS_DEST},
    {{.answer = "-SOMETHING new\r\n"}, HB_REPORT_RETRY, "SOMETHING", NULL,
	HB_REDIS_DEST},
    {{.answer = "-ERR \x1b[2J\x07no\r\n"}, HB_REPORT_RETRY, "ERR ", NULL,
	HB_REDIS_DEST},
    {{.answer = "-ERR Elements are too large to be stored\r\n"},
	HB_REPORT_REFUSED, "too large", NULL, 0},
    {{.answer = "-NOAUTH no\r\n"}, HB_REPORT_RETRY, "asks for a password",
	"asks for a password", 0},
    {{.answer = "-WRONGPASS no\r\n"}, HB_REPORT_RETRY, "wrong user",
	"wrong user", 0},
    {{.answer = "-READONLY no\r\n"}, HB_REPORT_RETRY, "READONLY", "READONLY",
	0},
    {{.answer = "-UNBLOCKED no\r\n"}, HB_REPORT_RETRY, "UNBLOCKED",
	"UNBLOCKED", 0},
};

/* Setbacks stay when the suspension itself is over. */
static void
check_suspended(struct hb_sink *sink, enum hb_redis_blame wanted)
{
	struct hb_redis *redis = (struct hb_redis *)sink;

	assert_int_equal(atomic_load(&redis->scopes[0].setbacks),
	    wanted == HB_REDIS_DEST);
	assert_int_equal(
	    atomic_load(&redis->server.setbacks), wanted == HB_REDIS_SERVER);
}

static void
check_answer(size_t i)
{
	struct contract_item *item;
	struct fake_redis fake;
	struct solo solo;

	fake_open(&fake, &answers[i].manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 200;
	contract_open(&solo.rig, &solo.peer);
	((struct hb_redis *)solo.rig.sink)->stalled_ms = 400;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	item = exchange(&solo, 1);
	expect(item, answers[i].report, answers[i].says);
	check_suspended(solo.rig.sink, answers[i].suspended);
	for (const char *c = item->delivery.why.text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	if (answers[i].lost != NULL) {
		await_lost(&solo.rig, answers[i].lost);
		await_count(&fake.accepted, CONTRACT_LOOPS + 1);
	} else {
		assert_int_equal(atomic_load(&fake.accepted), CONTRACT_LOOPS);
	}
	contract_stop(&solo.rig);
	fake_close(&fake);
	free(item);
}

static void
lies_confirm_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(answers); i++)
		check_answer(i);
}

/* What it makes of the script: of its name first, then of its text. */
static void
scripts_are_sent_in_full_once(void **state)
{
	static const struct {
		const char *evalsha, *answer;
		enum hb_report report;
		const char *says;
		unsigned evals;
	} cases[] = {
	    {ENTRY, NULL, HB_REPORT_CONFIRMED, NULL, 0},
	    {"-NOSCRIPT no\r\n", ENTRY, HB_REPORT_CONFIRMED, NULL, 1},
	    {"-NOSCRIPT no\r\n", "-NOSCRIPT no\r\n", HB_REPORT_RETRY,
		"NOSCRIPT", 1},
	    {"-NOSCRIPT no\r\n", "-OOM no\r\n", HB_REPORT_RETRY, "OOM", 1},
	    {"-NOSCRIPT no\r\n", FAKE_CLOSE, HB_REPORT_UNKNOWN, "closed by",
		1},
	    {"-NOSCRIPT no\r\n", "", HB_REPORT_UNKNOWN, "no reply", 1},
	    {"-NOPERM no\r\n", ENTRY, HB_REPORT_RETRY, "NOPERM", 0},
	    {"$-1\r\n", ENTRY, HB_REPORT_UNKNOWN, "never has", 0},
	    {"", ENTRY, HB_REPORT_UNKNOWN, "no reply", 0},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct fake_manners manners = {.evalsha = cases[i].evalsha,
		    .answer = cases[i].answer};
		struct contract_item *item;
		struct fake_redis fake;
		struct solo solo;

		fake_open(&fake, &manners);
		solo_init(&solo);
		solo.conf.url = fake.url;
		solo.conf.timeout_ms = 200;
		solo.target.idempotent_ms = 1000;
		contract_open(&solo.rig, &solo.peer);
		solo.rig.endpoint.dedup = true;
		contract_run(&solo.rig);
		assert_true(contract_await_health(&solo.rig, HB_UP));
		item = exchange(&solo, 1);
		expect(item, cases[i].report, cases[i].says);
		assert_int_equal(atomic_load(&fake.scripts), 1);
		assert_int_equal(atomic_load(&fake.adds), cases[i].evals);
		contract_stop(&solo.rig);
		contract_check_reports(item, 1);
		fake_close(&fake);
		free(item);
	}
}

/* Everything at once, from both workers, again and again. Whatever happens,
 * each delivery is reported once, and lent memory is left alone. */
static void
reports_once_in_a_storm(void **state)
{
	enum { ROUNDS = 6, COUNT = 300 };
	static const char *const storm[] = {ENTRY, ENTRY, "-TRYAGAIN no\r\n",
	    ENTRY, "-OOM no\r\n", ENTRY, ENTRY, "-WRONGTYPE no\r\n", ENTRY,
	    "", ENTRY, "-ERR Elements are too large to be stored\r\n", ENTRY,
	    ENTRY, "$3\r\n2-", ENTRY, "-NOSCRIPT no\r\n", ENTRY, ENTRY,
	    FAKE_CLOSE, ENTRY, "-READONLY no\r\n", ENTRY};
	static const struct fake_manners manners = {.answers = storm,
	    .answer_count = HB_COUNT(storm),
	    .evalsha = "-NOSCRIPT no\r\n",
	    .wait = ":1\r\n"};
	char *large = hb_xmalloc(50000);
	struct fake_redis fake;
	struct hb_redis *redis;
	struct solo solo;

	(void)state;
	memset(large, 'x', 50000);
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.peer.dests[1] = "hb:two";
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 60;
	solo.conf.pipeline = 40;
	solo.conf.wait = (struct hb_redis_wait){1, 10};
	solo.target.idempotent_ms = 1000;
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	redis = (struct hb_redis *)solo.rig.sink;
	redis->stalled_ms = 120;
	redis->idle_ms = 10;
	contract_run(&solo.rig);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct contract_item *items =
		    contract_lend_items(&solo.rig, COUNT, large, 50000);

		await_count(&fake.accepted, CONTRACT_LOOPS + i);
		for (size_t j = 0; j < COUNT; j++)
			items[j].delivery.msg.dead_letter = j % 3 == 0;
		for (size_t j = 0; j < COUNT; j += 30) {
			contract_send(&items[j], 30);
			contract_await_reports(&items[j], 15);
		}
		contract_await_reports(items, COUNT);
		contract_check_reports(items, COUNT);
		free(items);
	}
	/* It was a storm. */
	assert_true(atomic_load(&fake.adds) > HB_COUNT(storm));
	contract_stop(&solo.rig);
	fake_close(&fake);
	free(large);
}

/* Why no login succeeds. */
static void
strange_logins_are_refused(void **state)
{
	static const struct {
		struct fake_manners manners;
		const char *lost;
	} cases[] = {
	    {{.nonce = "0123456789abcdef"}, "PING"},
	    {{.role = "*3\r\n$5\r\nslave\r\n:0\r\n*0\r\n"}, "a replica"},
	    {{.role = "*2\r\n$8\r\nsentinel\r\n*0\r\n"}, "a sentinel"},
	    {{.role = "$6\r\nmaster\r\n"}, "ROLE"},
	    {{.role = "*0\r\n"}, "ROLE"},
	    {{.role = "-NOPERM this user has no permissions\r\n"},
		"ROLE: NOPERM this user"},
	    {{.role = "-ERR max number of clients reached\r\n"},
		"max number of clients"},
	    {{.role = "-DENIED Redis is running in protected mode\r\n"},
		"protected mode"},
	    {{.ping = "-LOADING Redis is loading\r\n"}, "PING: LOADING"},
	    {{.ping = "-MISCONF Errors writing to the AOF\r\n"},
		"PING: MISCONF"},
	    {{.ping = "+PONG\r\n"}, "PING"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct contract_item *item;
		struct fake_redis fake;
		struct solo solo;

		fake_open(&fake, &cases[i].manners);
		solo_init(&solo);
		solo.conf.url = fake.url;
		solo_run(&solo);
		await_lost(&solo.rig, cases[i].lost);
		assert_int_equal(
		    hb_dest_health(solo.rig.sink, solo.rig.dests[0]), HB_DOWN);
		item = exchange(&solo, 1);
		expect(item, HB_REPORT_RETRY, "not connected");
		assert_int_equal(atomic_load(&fake.adds), 0);
		contract_stop(&solo.rig);
		fake_close(&fake);
		free(item);
	}
}

static void
unsolicited_replies_are_not_taken(void **state)
{
	static const struct fake_manners manners = {.greeting = "+OK\r\n"};
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo_run(&solo);
	await_lost(&solo.rig, "a reply to nothing");
	contract_stop(&solo.rig);
	fake_close(&fake);
}

/* A server that repeats the password in its error. */
static void
passwords_are_not_told(void **state)
{
	static const struct fake_manners manners = {
	    .auth = "-s3cret s3cret\r\n"};
	struct hb_secret password = secret("s3cret");
	struct fake_redis fake;
	char expected[160];
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.password = &password;
	solo_run(&solo);
	/* Nothing but our own words stands behind the address. */
	snprintf(
	    expected, sizeof(expected), "%s: AUTH: refused (ERR)", fake.path);
	await_lost(&solo.rig, expected);
	contract_stop(&solo.rig);
	fake_close(&fake);
}

/* Confirmed before it was even sent: nothing of it is believed, and nothing
 * touches the message after its report. */
static void
early_answers_are_not_taken(void **state)
{
	static const struct fake_manners manners = {
	    .answer = ENTRY, .deaf = true};
	enum { SIZE = 8 << 20 };
	char *large = hb_xmalloc(SIZE);
	struct contract_item *item;
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	item = contract_items(&solo.rig, 1);
	contract_fill_special(item, large, SIZE, "", 0);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	expect(item, HB_REPORT_UNKNOWN, "half of a command");
	free(large);
	free(item);
	contract_stop(&solo.rig);
	fake_close(&fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_stream_may_be_down),
	    cmocka_unit_test(rights_are_by_stream),
	    cmocka_unit_test(memory_may_be_full),
	    cmocka_unit_test(memory_may_be_full_for_scripts),
	    cmocka_unit_test(replicas_may_be_too_few),
	    cmocka_unit_test(disk_may_be_broken),
	    cmocka_unit_test(server_may_be_busy),
	    cmocka_unit_test(too_large_for_the_server),
	    cmocka_unit_test(outstanding_commands_are_bounded),
	    cmocka_unit_test(outstanding_bytes_are_bounded),
	    cmocka_unit_test(who_waits_for_room_gets_it),
	    cmocka_unit_test(who_waits_learns_of_the_loss),
	    cmocka_unit_test(one_may_be_larger_than_the_bound),
	    cmocka_unit_test(idle_connections_are_pinged),
	    cmocka_unit_test(connections_that_fall_silent_are_closed),
	    cmocka_unit_test(nonces_are_compared),
	    cmocka_unit_test(patience_is_as_documented),
	    cmocka_unit_test(lies_confirm_nothing),
	    cmocka_unit_test(scripts_are_sent_in_full_once),
	    cmocka_unit_test(reports_once_in_a_storm),
	    cmocka_unit_test(strange_logins_are_refused),
	    cmocka_unit_test(unsolicited_replies_are_not_taken),
	    cmocka_unit_test(passwords_are_not_told),
	    cmocka_unit_test(early_answers_are_not_taken),
	};

	if (!redis_rig_begin())
		return 0;
	return redis_rig_end(cmocka_run_group_tests(tests, NULL, NULL));
}
