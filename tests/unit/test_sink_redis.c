/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_redis.c - the Redis sink: the contract of all sinks, its settings
 * against a real server, and what it makes of servers that fail or lie */
#include "redis_peer.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include "../../src/sink/redis.h"
#include "hookbridge/log.h"

static struct redis_peer server;

/* Only streams write by this: the oracle and the hostile server do not. */
static _Atomic unsigned writes;

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	atomic_fetch_add(&writes, 1);
	return syscall(SYS_sendmsg, fd, msg, flags);
}

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

#define ENTRY "$3\r\n1-1\r\n"

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

/* Looks for the password in what a connection has written, on its loop. */
struct search {
	struct hb_task task;
	struct hb_redis_conn *conn;
	_Atomic int found; /* -1: not looked yet */
};

static void
on_search(struct hb_task *task)
{
	struct search *search = hb_container_of(task, struct search, task);
	const struct hb_redis_out *out = &search->conn->out;

	atomic_store(&search->found,
	    memmem(out->text, out->size, "s3cret", 6) != NULL);
}

static void
passwords_do_not_linger(void **state)
{
	struct hb_secret password = secret("s3cret");
	uint64_t since_ms = hb_clock_mono_ms();
	struct search search = {.task = {.run = on_search}, .found = -1};
	struct solo solo;

	(void)state;
	solo_init(&solo);
	solo.conf.password = &password;
	redis_do(&server, "CONFIG SET requirepass %s", "s3cret");
	solo_start(&solo);
	search.conn = ((struct hb_redis *)solo.rig.sink)->conns[0];
	hb_loop_post(search.conn->loop, &search.task);
	while (atomic_load(&search.found) < 0)
		assert_true(contract_wait(since_ms));
	assert_int_equal(search.found, 0);
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

/* Sends many in one turn of a loop. */
struct burst {
	struct hb_task task;
	struct contract_item *items;
	size_t count;
};

static void
on_burst(struct hb_task *task)
{
	struct burst *burst = hb_container_of(task, struct burst, task);

	for (size_t i = 0; i < burst->count; i++)
		contract_on_send(&burst->items[i].send);
}

static void
a_turn_is_written_once(void **state)
{
	enum { COUNT = 100 };
	struct burst burst = {.task = {.run = on_burst}, .count = COUNT};
	struct solo solo;
	unsigned before;

	(void)state;
	solo_init(&solo);
	solo_start(&solo);
	burst.items = contract_items(&solo.rig, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		burst.items[i].delivery.home = solo.rig.loops[0];
	before = atomic_load(&writes);
	hb_loop_post(solo.rig.loops[0], &burst.task);
	contract_await_reports(burst.items, COUNT);
	assert_int_equal(atomic_load(&writes), before + 1);
	contract_check_confirmed(burst.items, COUNT);
	contract_stop(&solo.rig);
	free(burst.items);
}

/* What never left us was not written; of what had begun to nobody knows. */
static void
unsent_commands_are_told_apart(void **state)
{
	enum { COUNT = 3, SIZE = 8 << 20 };
	static const struct fake_manners manners = {
	    .answer = "", .closes = true, .deaf = true};
	struct burst burst = {.task = {.run = on_burst}, .count = COUNT};
	char *large = hb_xmalloc(SIZE);
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	memset(large, 'x', SIZE);
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	burst.items = contract_items(&solo.rig, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		burst.items[i].delivery.home = solo.rig.loops[0];
	contract_fill_special(&burst.items[0], large, SIZE, "", 0);
	hb_loop_post(solo.rig.loops[0], &burst.task);
	contract_await_reports(burst.items, COUNT);
	contract_check_reports(burst.items, COUNT);
	expect(&burst.items[0], HB_REPORT_UNKNOWN, NULL);
	expect(&burst.items[1], HB_REPORT_RETRY, NULL);
	expect(&burst.items[2], HB_REPORT_RETRY, NULL);
	contract_stop(&solo.rig);
	fake_close(&fake);
	free(burst.items);
	free(large);
}

static void *
drain_thread(void *arg)
{
	struct contract_rig *rig = arg;

	rig->sink->ops->drain(rig->sink, CONTRACT_PATIENCE_MS);
	return NULL;
}

/* Waits until drain() has told the connections. */
static void
await_draining(struct contract_rig *rig)
{
	struct hb_redis *redis = (struct hb_redis *)rig->sink;
	uint64_t since_ms = hb_clock_mono_ms();
	size_t undrained;

	do {
		pthread_mutex_lock(&redis->lock);
		undrained = redis->undrained;
		pthread_mutex_unlock(&redis->lock);
		assert_true(contract_wait(since_ms));
	} while (undrained == 0);
	contract_settle(rig);
}

/* A drain has time for the replies that are still due, but takes nothing
 * new. */
static void
drains_with_patience(void **state)
{
	static const struct fake_manners manners = {.answer = ""};
	struct contract_item *item, *late;
	struct fake_redis fake;
	pthread_t thread;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo_start(&solo);
	item = contract_items(&solo.rig, 1);
	contract_send(item, 1);
	await_count(&fake.adds, 1);
	assert_int_equal(
	    pthread_create(&thread, NULL, drain_thread, &solo.rig), 0);
	await_draining(&solo.rig);
	late = exchange(&solo, 1);
	expect(late, HB_REPORT_RETRY, "shutting down");
	assert_int_equal(atomic_load(&item->reports), 0);
	fake_tell(&fake, ENTRY);
	contract_await_reports(item, 1);
	expect(item, HB_REPORT_CONFIRMED, NULL);
	pthread_join(thread, NULL);
	contract_close(&solo.rig);
	fake_close(&fake);
	free(late);
	free(item);
}

/* Asks on the home loop, as a tracker does. */
struct question {
	struct hb_task task;
	struct contract_item *item;
	_Atomic int answer; /* -1: none yet */
};

static void
on_question(struct hb_task *task)
{
	struct question *question =
	    hb_container_of(task, struct question, task);
	struct hb_delivery *delivery = &question->item->delivery;

	atomic_store(&question->answer,
	    delivery->sink->ops->ready(delivery->sink, delivery));
}

static bool
is_ready(struct contract_item *item)
{
	struct question question = {
	    .task = {.run = on_question}, .item = item, .answer = -1};
	uint64_t since_ms = hb_clock_mono_ms();

	hb_loop_post(item->delivery.home, &question.task);
	while (atomic_load(&question.answer) < 0)
		assert_true(contract_wait(since_ms));
	return atomic_load(&question.answer) == 1;
}

static void
says_whether_it_is_ready(void **state)
{
	static const struct fake_manners manners = {.answer = ""};
	struct contract_item *items;
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo.conf.pipeline = 1;
	solo_start(&solo);
	items = contract_items(&solo.rig, 3);
	items[2].delivery.home = items[0].delivery.home;
	assert_true(is_ready(&items[2]));
	contract_send(&items[0], 1);
	await_count(&fake.adds, 1);
	assert_false(is_ready(&items[2]));
	assert_true(is_ready(&items[1])); /* of the other worker */
	fake_tell(&fake, ENTRY);
	contract_await_reports(&items[0], 1);
	assert_true(is_ready(&items[2]));
	solo.peer.ops->drain(solo.rig.sink, 1000);
	assert_false(is_ready(&items[2]));
	contract_close(&solo.rig);
	fake_close(&fake);
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

/* What a server says to one XADD and to the WAIT behind it. */
static void
waits_are_judged(void **state)
{
	static const struct {
		const char *answer, *wait;
		enum hb_report report;
		const char *says, *lost;
	} cases[] = {
	    {ENTRY, ":1\r\n", HB_REPORT_CONFIRMED, NULL, NULL},
	    {ENTRY, ":7\r\n", HB_REPORT_CONFIRMED, NULL, NULL},
	    {ENTRY, ":0\r\n", HB_REPORT_UNKNOWN, "0 of 1 replicas", NULL},
	    {ENTRY, ":-1\r\n", HB_REPORT_UNKNOWN, "never has", "WAIT"},
	    {ENTRY, "+OK\r\n", HB_REPORT_UNKNOWN, "never has", "WAIT"},
	    {ENTRY, ENTRY, HB_REPORT_UNKNOWN, "never has", "WAIT"},
	    {ENTRY, "-ERR unknown command 'WAIT'\r\n", HB_REPORT_UNKNOWN,
		"unknown command", NULL},
	    {ENTRY, "-UNBLOCKED no\r\n", HB_REPORT_UNKNOWN, "UNBLOCKED",
		"UNBLOCKED"},
	    {ENTRY, NULL, HB_REPORT_UNKNOWN, "no reply within 200 ms",
		"no reply within 400 ms"},
	    {ENTRY, FAKE_CLOSE, HB_REPORT_UNKNOWN, "closed by", "closed by"},
	    /* What was not added is not waited for. */
	    {"-OOM no\r\n", NULL, HB_REPORT_RETRY, "OOM", NULL},
	    {"-OOM no\r\n", ":1\r\n", HB_REPORT_RETRY, "OOM", NULL},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct fake_manners manners = {
		    .answer = cases[i].answer, .wait = cases[i].wait};
		struct contract_item *item;
		struct fake_redis fake;
		struct solo solo;

		fake_open(&fake, &manners);
		solo_init(&solo);
		solo.conf.url = fake.url;
		solo.conf.timeout_ms = 200;
		solo.conf.wait = (struct hb_redis_wait){1, 100};
		contract_open(&solo.rig, &solo.peer);
		((struct hb_redis *)solo.rig.sink)->stalled_ms = 400;
		contract_run(&solo.rig);
		assert_true(contract_await_health(&solo.rig, HB_UP));
		item = exchange(&solo, 1);
		expect(item, cases[i].report, cases[i].says);
		if (cases[i].lost != NULL)
			await_lost(&solo.rig, cases[i].lost);
		contract_stop(&solo.rig);
		assert_int_equal(atomic_load(&fake.waits), 1);
		fake_close(&fake);
		free(item);
	}
}

/* A pipeline of several WAITs: each settles what was added before it, and
 * nothing after it. */
static void
waits_settle_what_is_before(void **state)
{
	enum { COUNT = 3 };
	static const struct fake_manners manners = {.answer = ""};
	struct contract_item *items;
	struct hb_redis_conn *conn;
	struct fake_redis fake;
	struct solo solo;

	(void)state;
	fake_open(&fake, &manners);
	solo_init(&solo);
	solo.conf.url = fake.url;
	solo.conf.timeout_ms = 10000;
	solo.conf.wait = (struct hb_redis_wait){1, 1000};
	solo_start(&solo);
	conn = ((struct hb_redis *)solo.rig.sink)->conns[0];
	items = contract_items(&solo.rig, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		items[i].delivery.home = conn->loop;
		contract_send(&items[i], 1);
		await_count(&fake.waits, i + 1);
	}
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(atomic_load(&items[i].reports), 0);
	/* The second is not enough. */
	fake_tell(&fake, ENTRY ":1\r\n");
	contract_await_reports(&items[0], 1);
	expect(&items[0], HB_REPORT_CONFIRMED, NULL);
	assert_int_equal(atomic_load(&items[1].reports), 0);
	fake_tell(&fake, ENTRY ":0\r\n" ENTRY);
	contract_await_reports(&items[1], 1);
	expect(&items[1], HB_REPORT_UNKNOWN, "0 of 1");
	assert_int_equal(atomic_load(&items[2].reports), 0);
	fake_tell(&fake, ":1\r\n");
	contract_await_reports(&items[2], 1);
	expect(&items[2], HB_REPORT_CONFIRMED, NULL);
	contract_stop(&solo.rig);
	contract_check_reports(items, COUNT);
	fake_close(&fake);
	free(items);
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
	    {"redis://redis", false, {1, 2000}, "wait.timeout", "below"},
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

static const char file_head[] =
    "listen: [{address: 127.0.0.1:1}]\n"
    "endpoints:\n"
    "  e: {path: /e, mode: svix, secrets: 'env:HB_TEST_SECRET'}\n";

/* Reads a configuration with these lines behind the head; what it says about
 * them goes to said, to be freed. */
static struct hb_config *
load(const char *lines, char **said)
{
	char name[] = "/tmp/hb-redis-conf-XXXXXX";
	int fd = mkstemp(name);
	struct hb_config *cfg;
	size_t len;
	FILE *out = open_memstream(said, &len);

	assert_true(fd >= 0);
	setenv("HB_TEST_SECRET",
	    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 1);
	assert_true(dprintf(fd, "%s%s", file_head, lines) > 0);
	cfg = hb_config_load(name, hb_sink_types(), out);
	fclose(out);
	close(fd);
	unlink(name);
	return cfg;
}

static void
settings_are_read(void **state)
{
	static const char lines[] =
	    "sinks:\n"
	    "  plain: {type: redis, url: redis://r}\n"
	    "  full:\n"
	    "    {type: redis, url: 'redis://u@127.0.0.1:1/2',\n"
	    "     timeout: 500ms, password: 'env:HB_TEST_PASSWORD',\n"
	    "     pipeline: 7,\n"
	    "     wait: {replicas: 2, timeout: 400ms}}\n"
	    "routes:\n"
	    "  - to:\n"
	    "    - {sink: plain, stream: 'jobs:{{prod}}'}\n"
	    "    - {sink: full, stream: jobs, maxlen: 1000, idempotent: 48h}\n";
	const struct hb_redis_conf *plain, *full;
	const struct hb_redis_target *target;
	struct hb_config *cfg;
	char *said;

	(void)state;
	setenv("HB_TEST_PASSWORD", "s3cret", 1);
	cfg = load(lines, &said);
	if (cfg == NULL)
		fail_msg("%s", said);
	/* One cannot have these entries back. */
	assert_non_null(strstr(said, "read or unread"));
	plain = cfg->sinks[0].conf;
	full = cfg->sinks[1].conf;
	assert_int_equal(plain->timeout_ms, 2000);
	assert_int_equal(plain->pipeline, 1024);
	assert_int_equal(plain->wait.replicas, 0);
	assert_null(plain->password);
	target = cfg->routes[0].to[0]->settings;
	assert_int_equal(target->maxlen, 0);
	assert_int_equal(target->idempotent_ms, 0);
	assert_string_equal(cfg->dests[0]->name, "jobs:{prod}");
	assert_int_equal(full->timeout_ms, 500);
	assert_int_equal(full->pipeline, 7);
	assert_int_equal(full->wait.replicas, 2);
	assert_int_equal(full->wait.timeout_ms, 400);
	assert_int_equal(full->password->len, 6);
	target = cfg->routes[0].to[1]->settings;
	assert_int_equal(target->maxlen, 1000);
	assert_int_equal(target->idempotent_ms, 48 * 3600 * 1000);
	hb_config_unref(cfg);
	free(said);
}

static void
bad_settings_are_refused(void **state)
{
	static const struct {
		const char *sink, *target, *says;
	} cases[] = {
	    {"url: redis://r, timeout: 11s", "", "timeout"},
	    {"url: redis://r, pipeline: 0", "", "pipeline"},
	    {"url: redis://r, wait: {replicas: 1, timeout: 2s}", "",
		"wait.timeout"},
	    {"url: redis://r, tls: {}", "", "not supported yet"},
	    {"url: rediss://r", "", "not supported yet"},
	    {"pipeline: 1", "", "url"},
	    {"url: redis://r", ", maxlen: 0", "maxlen"},
	    {"url: redis://r", ", topic: t", "topic"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char lines[400], *said;

		snprintf(lines, sizeof(lines),
		    "sinks: {r: {type: redis, %s}}\n"
		    "routes: [{to: [{sink: r, stream: jobs%s}]}]\n",
		    cases[i].sink, cases[i].target);
		if (load(lines, &said) != NULL ||
		    strstr(said, cases[i].says) == NULL)
			fail_msg("%s%s: %s", cases[i].sink, cases[i].target,
			    said);
		free(said);
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
	    cmocka_unit_test(passwords_do_not_linger),
	    cmocka_unit_test(refuses_replicas),
	    cmocka_unit_test(names_its_connections),
	    cmocka_unit_test(trims_only_when_told),
	    cmocka_unit_test(adds_once_when_idempotent),
	    cmocka_unit_test(a_turn_is_written_once),
	    cmocka_unit_test(unsent_commands_are_told_apart),
	    cmocka_unit_test(drains_with_patience),
	    cmocka_unit_test(says_whether_it_is_ready),
	    cmocka_unit_test(script_has_its_name),
	    cmocka_unit_test(endpoints_may_do_without_dedup),
	    cmocka_unit_test(script_errors_are_told),
	    cmocka_unit_test(tells_that_replicas_are_missing),
	    cmocka_unit_test(waits_for_replicas),
	    cmocka_unit_test(waits_are_judged),
	    cmocka_unit_test(waits_settle_what_is_before),
	    cmocka_unit_test(one_stream_may_be_down),
	    cmocka_unit_test(rights_are_by_stream),
	    cmocka_unit_test(memory_may_be_full),
	    cmocka_unit_test(memory_may_be_full_for_scripts),
	    cmocka_unit_test(replicas_may_be_too_few),
	    cmocka_unit_test(disk_may_be_broken),
	    cmocka_unit_test(server_may_be_busy),
	    cmocka_unit_test(too_large_for_the_server),
	    cmocka_unit_test(deliveries_expire),
	    cmocka_unit_test(stalled_connections_are_closed),
	    cmocka_unit_test(outstanding_commands_are_bounded),
	    cmocka_unit_test(outstanding_bytes_are_bounded),
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
	    cmocka_unit_test(settings_are_checked),
	    cmocka_unit_test(settings_are_read),
	    cmocka_unit_test(bad_settings_are_refused),
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
