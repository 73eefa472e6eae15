/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_redis.c - the Redis sink: the contract of all sinks, and its
 * settings against a real server */
#include "redis_rig.h"

static struct contract_peer peer = {
    .ops = &hb_sink_redis,
    .settings = &defaults,
    .dests = {"hb:contract:one", "hb:contract:two"},
    .arrived = redis_peer_arrived,
    .down = redis_peer_down,
    .up = redis_peer_up,
    .arg = &server,
};

/* --- logging in ----------------------------------------------------------- */

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
	redis_rig_dedup_key(&items[0], key);
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
	assert_true(is_ready(&items[2])); /* it would wait */
	fake_tell(&fake, ENTRY);
	contract_await_reports(&items[0], 1);
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
	redis_rig_dedup_key(item, key);
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
	    {ENTRY, NULL, HB_REPORT_UNKNOWN, "no reply within 400 ms",
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
	assert_true(hb_sink_redis.would_fit(NULL, NULL, &msg, &err));
	msg.value.len++;
	assert_false(hb_sink_redis.fits(NULL, &msg, &err));
	assert_string_equal(err.reason, "too-large");
	assert_false(hb_sink_redis.would_fit(NULL, NULL, &msg, &err));
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
	    cmocka_unit_test(settings_are_checked),
	    cmocka_unit_test(settings_are_read),
	    cmocka_unit_test(bad_settings_are_refused),
	    cmocka_unit_test(values_have_a_limit),
	};

	if (!redis_rig_begin())
		return 0;
	return redis_rig_end(cmocka_run_group_tests(tests, NULL, NULL));
}
