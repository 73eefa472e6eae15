/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_redis.c - the Redis sink: the contract of all sinks, its settings
 * against a real server, and what it makes of servers that fail or lie */
#include "redis_peer.h"

#include "../../src/sink/redis.h"
#include "hookbridge/log.h"

static struct redis_peer server;

/* What cfg would have made of a file that sets only the url. */
static struct hb_redis_conf defaults = {
    .timeout_ms = 2000, .pipeline = 1024, .wait = {0, 1000}};

static struct contract_peer peer = {
    .ops = &hb_sink_redis,
    .settings = &defaults,
    .dests = {"hb:contract:one", "hb:contract:two"},
    .arrived = redis_peer_arrived,
    .down = redis_peer_down,
    .up = redis_peer_up,
    .arg = &server,
};

/* One stream, with settings of the test's own. */
struct solo {
	struct hb_redis_conf conf;
	struct hb_redis_target target;
	struct contract_peer peer;
	struct contract_rig rig;
};

static void
solo_init(struct solo *solo)
{
	solo->conf = defaults;
	solo->target = (struct hb_redis_target){0, 0};
	solo->peer = (struct contract_peer){
	    .ops = &hb_sink_redis,
	    .settings = &solo->conf,
	    .target_settings = &solo->target,
	    .dests = {"hb:solo"},
	    .arrived = redis_peer_arrived,
	    .arg = &server,
	};
}

static void
solo_run(struct solo *solo)
{
	contract_open(&solo->rig, &solo->peer);
	contract_run(&solo->rig);
}

static void
solo_start(struct solo *solo)
{
	solo_run(solo);
	assert_true(contract_await_health(&solo->rig, HB_UP));
}

/* Sends so many, to be freed, and waits for their reports. */
static struct contract_item *
exchange(struct solo *solo, size_t count)
{
	struct contract_item *items = contract_items(&solo->rig, count);

	contract_send(items, count);
	contract_await_reports(items, count);
	contract_check_reports(items, count);
	return items;
}

static void
expect(
    const struct contract_item *item, enum hb_report report, const char *says)
{
	const struct hb_delivery *delivery = &item->delivery;

	if (delivery->report != report ||
	    (says != NULL && strstr(delivery->why.text, says) == NULL))
		fail_msg("report %d: %s", (int)delivery->report,
		    delivery->report == HB_REPORT_CONFIRMED
			? "confirmed"
			: delivery->why.text);
}

static void
expect_confirmed(struct solo *solo, size_t count)
{
	struct contract_item *items = exchange(solo, count);

	contract_check_confirmed(items, count);
	contract_check_arrived(&solo->rig, items, count);
	free(items);
}

/* Waits until a connection was lost for that reason: some of its text. */
static void
await_lost(struct contract_rig *rig, const char *says)
{
	struct hb_redis *redis = (struct hb_redis *)rig->sink;
	uint64_t since_ms = hb_clock_mono_ms();
	char why[sizeof(redis->lost_why)];

	do {
		pthread_mutex_lock(&redis->lock);
		memcpy(why, redis->lost_why, sizeof(why));
		pthread_mutex_unlock(&redis->lock);
		if (strstr(why, says) != NULL)
			return;
	} while (contract_wait(since_ms));
	fail_msg("expected \"%s\", got \"%s\"", says, why);
}

static void
await_count(_Atomic unsigned *count, unsigned wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (atomic_load(count) < wanted)
		if (!contract_wait(since_ms))
			fail_msg("%u of %u", atomic_load(count), wanted);
}

/* --- logging in ----------------------------------------------------------- */

static struct hb_secret
secret(const char *text)
{
	return (struct hb_secret){
	    .data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

/* Exactly the rights that the sink needs, on TCP, in another database. */
static void
logs_in_with_least_rights(void **state)
{
	struct hb_secret password = secret("s3cret pass");
	char url[64];
	struct solo solo;

	(void)state;
	solo_init(&solo);
	snprintf(url, sizeof(url), "redis://hook@%s/3", server.tcp_address);
	solo.conf.url = url;
	solo.conf.password = &password;
	redis_do(&server,
	    "ACL SETUSER hook reset on %s ~hb:solo +select +role +ping "
	    "+client|setname +xadd",
	    ">s3cret pass");
	redis_do(&server, "SELECT 3");
	solo_start(&solo);
	expect_confirmed(&solo, 4);
	contract_stop(&solo.rig);
	redis_do(&server, "SELECT 0");
	redis_do(&server, "ACL DELUSER hook");
}

/* The default user's password, at first a wrong one. */
static void
recovers_when_the_password_is_right(void **state)
{
	struct hb_secret password = secret("s3cret");
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.password = &password;
	solo_run(&solo);
	await_lost(
	    &solo.rig, "the server has no password for the default user");
	redis_do(&server, "CONFIG SET requirepass %s", "other");
	await_lost(&solo.rig, "AUTH: wrong user or password");
	assert_true(contract_await_health(&solo.rig, HB_DOWN));
	redis_do(&server, "CONFIG SET requirepass %s", "s3cret");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
	redis_do(&server, "CONFIG SET requirepass %s", "");
}

static void
says_that_a_password_is_missing(void **state)
{
	struct solo solo;

	(void)state;
	solo_init(&solo);
	redis_do(&server, "CONFIG SET requirepass %s", "s3cret");
	solo_run(&solo);
	await_lost(&solo.rig, "the server asks for a password");
	contract_stop(&solo.rig);
	redis_do(&server, "CONFIG SET requirepass %s", "");
}

static void
refuses_replicas(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	redis_do(&server, "REPLICAOF 127.0.0.1 1");
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "READONLY");
	free(item);
	await_lost(&solo.rig, "this is a replica");
	redis_do(&server, "REPLICAOF NO ONE");
	assert_true(contract_await_health(&solo.rig, HB_UP));
	expect_confirmed(&solo, 2);
	contract_stop(&solo.rig);
}

static void
names_its_connections(void **state)
{
	redisReply *reply;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	reply = redis_ask(&server, "CLIENT LIST");
	assert_non_null(strstr(reply->str, " name=hookbridge "));
	freeReplyObject(reply);
	contract_stop(&solo.rig);
}

/* --- adding --------------------------------------------------------------- */

static void
trims_only_when_told(void **state)
{
	struct solo solo;

	(void)state;
	solo_init(&solo);
	redis_do(&server, "DEL hb:solo");
	solo_start(&solo);
	expect_confirmed(&solo, 600);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 600);
	contract_stop(&solo.rig);
	solo.target.maxlen = 10;
	solo_start(&solo);
	free(exchange(&solo, 4));
	/* Whole nodes go only: about as many as a node holds are left. */
	assert_in_range(redis_do(&server, "XLEN hb:solo"), 10, 300);
	contract_stop(&solo.rig);
}

/* Sends the first item of all again. */
static void
repeat(struct contract_item *item)
{
	atomic_store(&item->reports, 0);
	contract_send(item, 1);
	contract_await_reports(item, 1);
	contract_check_confirmed(item, 1);
}

static void
adds_once_when_idempotent(void **state)
{
	struct contract_item *items;
	char key[HB_REDIS_DEDUP_KEY_MAX + 1] = {0};
	long long ttl_ms;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.target.idempotent_ms = 3600 * 1000;
	redis_do(&server, "DEL hb:solo");
	redis_do(&server, "SCRIPT FLUSH");
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	items = exchange(&solo, 20);
	contract_check_confirmed(items, 20);
	contract_check_arrived(&solo.rig, items, 20);
	/* It was sent in full once, and the server knows it by our name. */
	assert_int_equal(redis_do(&server, "EXISTS hb:solo"), 1);
	hb_redis_dedup_key(&items[0].delivery.msg, key);
	ttl_ms = redis_do(&server, "PTTL %s", key);
	assert_in_range(ttl_ms, 3000 * 1000, 3600 * 1000);
	repeat(&items[0]);
	redis_do(&server, "SCRIPT FLUSH");
	repeat(&items[0]);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 20);
	/* Forgotten: added again. */
	redis_do(&server, "DEL %s", key);
	repeat(&items[0]);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 21);
	/* Dead letters are always added. */
	items[0].delivery.msg.dead_letter = true;
	repeat(&items[0]);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 22);
	contract_stop(&solo.rig);
	free(items);
}

static void
script_has_its_name(void **state)
{
	redisReply *reply;

	(void)state;
	reply = redis_ask(&server, "SCRIPT LOAD %s", hb_redis_script);
	assert_string_equal(reply->str, hb_redis_script_sha1);
	freeReplyObject(reply);
}

static void
endpoints_may_do_without_dedup(void **state)
{
	struct contract_item *item;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.target.idempotent_ms = 3600 * 1000;
	redis_do(&server, "DEL hb:solo");
	solo_start(&solo);
	item = exchange(&solo, 1);
	repeat(item);
	assert_int_equal(redis_do(&server, "XLEN hb:solo"), 2);
	contract_stop(&solo.rig);
	free(item);
}

/* The script fails like XADD itself. */
static void
script_errors_are_told(void **state)
{
	struct contract_item *item;
	char key[HB_REDIS_DEDUP_KEY_MAX + 1] = {0};
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.target.idempotent_ms = 1000;
	redis_do(&server, "DEL hb:solo");
	redis_do(&server, "SET hb:solo text");
	contract_open(&solo.rig, &solo.peer);
	solo.rig.endpoint.dedup = true;
	contract_run(&solo.rig);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	item = exchange(&solo, 1);
	expect(item, HB_REPORT_RETRY, "a key of this name");
	/* What was not added is not remembered. */
	hb_redis_dedup_key(&item->delivery.msg, key);
	assert_int_equal(redis_do(&server, "EXISTS %s", key), 0);
	redis_do(&server, "DEL hb:solo");
	contract_stop(&solo.rig);
	free(item);
}

/* --- waiting for replicas ------------------------------------------------- */

static void
tells_that_replicas_are_missing(void **state)
{
	enum { COUNT = 6 };
	struct contract_item *items;
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.wait = (struct hb_redis_wait){1, 50};
	solo_start(&solo);
	items = exchange(&solo, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		expect(&items[i], HB_REPORT_UNKNOWN, "0 of 1 replicas");
	/* All the same they are there. */
	contract_check_arrived(&solo.rig, items, COUNT);
	contract_stop(&solo.rig);
	free(items);
}

static void
waits_for_replicas(void **state)
{
	struct redis_peer replica;
	struct solo solo;

	(void)state;
	assert_true(redis_peer_open(&replica));
	redis_do(&server, "CONFIG SET repl-diskless-sync-delay 0");
	redis_do(&replica, "REPLICAOF 127.0.0.1 %d", (int)server.port);
	for (uint64_t since_ms = hb_clock_mono_ms();
	     redis_do(&server, "WAIT 1 100") < 1;)
		assert_true(contract_wait(since_ms));
	solo_init(&solo);
	solo.conf.wait = (struct hb_redis_wait){1, 1000};
	solo_start(&solo);
	expect_confirmed(&solo, 200);
	expect_confirmed(&solo, 1);
	contract_stop(&solo.rig);
	redis_peer_close(&replica);
}

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

/* A server that does not run: each delivery is unknown when its own time is
 * up, and the connection goes on when the server does. What was not written by
 * then is, from memory of ours. */
static void
deliveries_expire(void **state)
{
	enum { COUNT = 12, SIZE = 1 << 20 };
	struct contract_item *items;
	char *values[COUNT];
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.timeout_ms = 200;
	redis_do(&server, "DEL hb:solo");
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	for (int i = 0; i < COUNT; i++) {
		values[i] = hb_xmalloc(SIZE);
		memset(values[i], 'a' + i, SIZE);
		contract_fill_special(
		    &items[i], values[i], i % 3 == 0 ? 9 : SIZE, "", 0);
	}
	redis_peer_pause(&server);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (int i = 0; i < COUNT; i++) {
		expect(&items[i], HB_REPORT_UNKNOWN, "no reply within 200 ms");
		free(values[i]);
	}
	redis_peer_resume(&server);
	for (uint64_t since_ms = hb_clock_mono_ms();
	     redis_do(&server, "XLEN hb:solo") < COUNT;)
		assert_true(contract_wait(since_ms));
	for (int i = 0; i < COUNT; i++) { /* as it was sent */
		values[i] = hb_xmalloc(SIZE);
		memset(values[i], 'a' + i, SIZE);
		contract_fill_special(
		    &items[i], values[i], i % 3 == 0 ? 9 : SIZE, "", 0);
	}
	contract_check_arrived(&solo.rig, items, COUNT);
	for (int i = 0; i < COUNT; i++)
		free(values[i]);
	free(items);
	/* Late replies have settled nothing, and are in step. */
	expect_confirmed(&solo, 10);
	contract_stop(&solo.rig);
	redis_do(&server, "DEL hb:solo");
}

/* Without any reply for long the connection is given up. */
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
	expect(&items[0], HB_REPORT_UNKNOWN, "no reply");
	await_lost(&solo.rig, "no reply within 300 ms");
	/* Its kernel still accepts, but nobody answers. */
	await_lost(&solo.rig, "no login within 100 ms");
	assert_true(contract_await_health(&solo.rig, HB_DOWN));
	redis_peer_resume(&server);
	free(items);
	assert_true(contract_await_health(&solo.rig, HB_UP));
	contract_stop(&solo.rig);
}

static void
outstanding_commands_are_bounded(void **state)
{
	enum { COUNT = 20, TAKEN = 4 * CONTRACT_LOOPS };
	struct contract_item *items;
	unsigned confirmed = 0;
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
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		if (items[i].delivery.report == HB_REPORT_CONFIRMED)
			confirmed++;
		else
			expect(&items[i], HB_REPORT_RETRY, "too many commands");
	}
	assert_int_equal(confirmed, TAKEN);
	free(items);
	expect_confirmed(&solo, TAKEN);
	contract_stop(&solo.rig);
}

static void
outstanding_bytes_are_bounded(void **state)
{
	enum { COUNT = 8 * CONTRACT_LOOPS, SIZE = 5 << 20 };
	char *large = hb_xmalloc(SIZE);
	struct contract_item *items;
	unsigned confirmed = 0;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	solo_init(&solo);
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	items = contract_items(&solo.rig, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		contract_fill_special(&items[i], large, SIZE, "", 0);
	redis_peer_pause(&server);
	contract_send(items, COUNT);
	contract_settle(&solo.rig);
	redis_peer_resume(&server);
	contract_await_reports(items, COUNT);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		if (items[i].delivery.report == HB_REPORT_CONFIRMED)
			confirmed++;
		else
			expect(&items[i], HB_REPORT_RETRY, "too many bytes");
	}
	assert_int_equal(confirmed, 3 * CONTRACT_LOOPS); /* 15 of 16 MiB */
	free(items);
	contract_stop(&solo.rig);
	free(large);
	redis_do(&server, "DEL hb:solo");
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

/* --- a server that lies --------------------------------------------------- */

#define ENTRY "$3\r\n1-1\r\n"

/* What it answers to the only XADD, and what is made of that. */
static const struct {
	struct fake_manners manners;
	enum hb_report report;
	const char *says;
	const char *lost; /* the connection, for this reason; NULL: it stays */
} answers[] = {
    {{.answer = ENTRY}, HB_REPORT_CONFIRMED, NULL, NULL},
    {{.answer = "HTTP/1.1 400 Bad Request\r\n"}, HB_REPORT_UNKNOWN,
	"Protocol error", "Protocol error"},
    {{.answer = ENTRY ENTRY}, HB_REPORT_CONFIRMED, NULL, "a reply to nothing"},
    {{.answer = "$3\r\nabc\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = "+1-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = ":1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = "$-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = "*-1\r\n"}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = "*1\r\n" ENTRY}, HB_REPORT_UNKNOWN, "never has", "XADD"},
    {{.answer = "*2147483647\r\n"}, HB_REPORT_UNKNOWN, NULL, "memory"},
    {{.answer = "$1000000000\r\n", .flood = 2 << 20}, HB_REPORT_UNKNOWN,
	"without end", "without end"},
    {{.answer = "-ERR ", .flood = 2 << 20}, HB_REPORT_UNKNOWN, "without end",
	"without end"},
    {{.answer = "$13\r\n17000"}, HB_REPORT_UNKNOWN, "no reply within",
	"no reply within 400 ms"},
    {{.answer = "$13\r\n17000", .closes = true}, HB_REPORT_UNKNOWN,
	"closed by the server", "closed by the server"},
    {{.answer = "", .closes = true}, HB_REPORT_UNKNOWN, "closed by the server",
	"closed by the server"},
    {{.answer = "-LOADING wait\r\n"}, HB_REPORT_RETRY, "LOADING", NULL},
    {{.answer = "-MOVED 1 10.0.0.1:1\r\n"}, HB_REPORT_RETRY,
	"needs a cluster client", NULL},
    {{.answer = "-NOAUTH no\r\n"}, HB_REPORT_RETRY, "asks for a password",
	"asks for a password"},
    {{.answer = "-READONLY no\r\n"}, HB_REPORT_RETRY, "READONLY", "READONLY"},
    {{.answer = "-NOSCRIPT no\r\n"}, HB_REPORT_RETRY, "NOSCRIPT", NULL},
    {{.answer = "-ERR \x1b[2J\x07no\r\n"}, HB_REPORT_RETRY, "ERR ", NULL},
};

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

/* --- settings ------------------------------------------------------------- */

struct complaints {
	unsigned count;
	char key[64], text[256];
};

static void complain(void *arg, const char *key, const char *fmt, ...)
    HB_PRINTF(3, 4);

static void
complain(void *arg, const char *key, const char *fmt, ...)
{
	struct complaints *complaints = arg;
	va_list args;

	complaints->count++;
	snprintf(complaints->key, sizeof(complaints->key), "%s", key);
	va_start(args, fmt);
	vsnprintf(complaints->text, sizeof(complaints->text), fmt, args);
	va_end(args);
}

static void
settings_are_checked(void **state)
{
	static const struct {
		const char *url;
		bool password;
		struct hb_redis_wait wait;
		const char *key, *says; /* NULL: nothing */
	} cases[] = {
	    {"redis://redis", false, {0, 1000}, NULL, NULL},
	    {"unix:/run/redis.sock", true, {2, 1999}, NULL, NULL},
	    {"redis://u@127.0.0.1", true, {0, 9999}, NULL, NULL},
	    {"redis://u@redis", false, {0, 1000}, "url", "a password"},
	    {"redis://redis", true, {0, 1000}, "url", "warning: "},
	    {"redis://redis", false, {1, 2000}, "wait.timeout", "less than"},
	    {"redis://u:p@redis", false, {0, 1000}, "url", "key of its own"},
	    {"rediss://redis", false, {0, 1000}, "url", "not supported yet"},
	};
	struct hb_secret password = secret("s3cret");

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_redis_conf conf = {.url = cases[i].url,
		    .password = cases[i].password ? &password : NULL,
		    .timeout_ms = 2000,
		    .wait = cases[i].wait};
		struct hb_sink_conf sink = {
		    .type = &hb_sink_redis.type, .conf = &conf};
		struct complaints found = {0};

		hb_sink_redis.type.check(&sink, complain, &found);
		assert_int_equal(found.count, cases[i].key != NULL);
		if (cases[i].key == NULL)
			continue;
		assert_string_equal(found.key, cases[i].key);
		if (strstr(found.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].url, found.text);
	}
}

static void
values_have_a_limit(void **state)
{
	struct hb_dest_conf dest = {.name = "jobs"};
	struct hb_message msg = {.dest = &dest, .value = {"", 0}};
	struct hb_error err;

	(void)state;
	assert_true(hb_sink_redis.fits(NULL, &msg, &err));
	msg.value.len = ((size_t)512 << 20) - 1;
	assert_true(hb_sink_redis.fits(NULL, &msg, &err));
	msg.value.len++;
	assert_false(hb_sink_redis.fits(NULL, &msg, &err));
	assert_string_equal(err.reason, "too-large");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HB_SINK_CONTRACT(&peer),
	    cmocka_unit_test(logs_in_with_least_rights),
	    cmocka_unit_test(recovers_when_the_password_is_right),
	    cmocka_unit_test(says_that_a_password_is_missing),
	    cmocka_unit_test(refuses_replicas),
	    cmocka_unit_test(names_its_connections),
	    cmocka_unit_test(trims_only_when_told),
	    cmocka_unit_test(adds_once_when_idempotent),
	    cmocka_unit_test(script_has_its_name),
	    cmocka_unit_test(endpoints_may_do_without_dedup),
	    cmocka_unit_test(script_errors_are_told),
	    cmocka_unit_test(tells_that_replicas_are_missing),
	    cmocka_unit_test(waits_for_replicas),
	    cmocka_unit_test(one_stream_may_be_down),
	    cmocka_unit_test(rights_are_by_stream),
	    cmocka_unit_test(memory_may_be_full),
	    cmocka_unit_test(too_large_for_the_server),
	    cmocka_unit_test(deliveries_expire),
	    cmocka_unit_test(stalled_connections_are_closed),
	    cmocka_unit_test(outstanding_commands_are_bounded),
	    cmocka_unit_test(outstanding_bytes_are_bounded),
	    cmocka_unit_test(one_may_be_larger_than_the_bound),
	    cmocka_unit_test(idle_connections_are_pinged),
	    cmocka_unit_test(connections_that_fall_silent_are_closed),
	    cmocka_unit_test(lies_confirm_nothing),
	    cmocka_unit_test(strange_logins_are_refused),
	    cmocka_unit_test(unsolicited_replies_are_not_taken),
	    cmocka_unit_test(passwords_are_not_told),
	    cmocka_unit_test(early_answers_are_not_taken),
	    cmocka_unit_test(settings_are_checked),
	    cmocka_unit_test(values_have_a_limit),
	};
	int failures;

	signal(SIGPIPE, SIG_IGN);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	if (!redis_peer_open(&server)) {
		puts("1..0 # SKIP no redis-server: apt-get install "
		     "redis-tools");
		return 0;
	}
	defaults.url = server.unix_url;
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	redis_peer_close(&server);
	return failures;
}
