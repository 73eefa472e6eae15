/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay.c - what is kept is delivered: all of it, in order, within
 * bounds, and not what its first delivery may still bring there */
#include <sys/resource.h>

#include "replay_rig.h"

static const char *const no_reason = "none";

/* --- order and content ---------------------------------------------------- */

static void
test_order(void **state)
{
	struct books before;
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	before = read_books(dest_named(&site, "a"), no_reason);
	fill(&site, dest_named(&site, "a"), 0, 5);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 5);
	expect_sent(fake, 0, "0 1 2 3 4");
	assert_int_equal(hb_replay_in_flight(site.replay), 5);
	/* Settled as they are reported, in whatever order. */
	fake_report(fake, 4, HB_REPORT_CONFIRMED, NULL);
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	site_turn(&site);
	assert_int_equal(kept(&site, HB_SHELF_DELIVERIES), 3);
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	site_turn(&site);
	assert_int_equal(hb_replay_in_flight(site.replay), 0);
	expect_books(dest_named(&site, "a"), no_reason, &before, 5, 0);
	/* It waits for more. */
	fill(&site, dest_named(&site, "a"), 5, 2);
	AWAIT(&site, fake_held(fake) == 2);
	expect_sent(fake, 5, "5 6");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	assert_int_equal(rests.count + looks.count, 0);
	site_close(&site);
}

static void
test_what_is_sent(void **state)
{
	const struct hb_message *msg;
	const struct hb_dest_conf *b;
	struct fake *fake;
	struct site site;
	char *value;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	b = dest_named(&site, "b");
	fill_sized(&site, b, 7, 1, 5000);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 1);
	assert_int_equal(fake->held[0]->sent_us > 0, 1);
	assert_ptr_equal(fake->held[0]->home, site.loop);
	msg = &fake->held[0]->msg;
	value = make_value(7, 5000);
	assert_true(hb_span_eq(msg->value, hb_span_make(value, 5000)));
	free(value);
	assert_ptr_equal(msg->dest, b);
	assert_ptr_equal(msg->target, site.target);
	assert_true(hb_span_eq(msg->id, HB_SPAN("m7")));
	assert_true(hb_span_eq(msg->key, HB_SPAN("job-1")));
	assert_true(hb_span_eq(msg->endpoint, HB_SPAN("production")));
	assert_true(msg->dedup);
	assert_false(msg->dead_letter);
	assert_int_equal(msg->header_count, HB_COUNT(some_headers));
	for (size_t i = 0; i < msg->header_count; i++) {
		assert_true(hb_span_eq(msg->headers[i].name,
		    some_headers[i].name));
		assert_true(hb_span_eq(msg->headers[i].value,
		    some_headers[i].value));
	}
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* Where several targets have one destination, the first is the replay's; and
 * the one for dead letters is a destination like the others. */
static void
test_targets(void **state)
{
	struct hb_target_conf *again, *dead;
	struct site site;

	(void)state;
	site_open(&site);
	hb_store_close(site.store);
	again = rig_to(&site.rig, rig_route(&site.rig, "again"),
	    &site.rig.cfg.sinks[MAIN], "b", NULL, NULL);
	dead = rig_target(&site.rig, &site.rig.cfg.sinks[LINED], "letters",
	    NULL, NULL);
	site.rig.cfg.dead_letter = dead;
	site.store = hb_store_open(&site.rig.cfg, NULL);
	assert_non_null(site.store);
	assert_ptr_equal(again->dests[0], site.target->dests[1]);
	for (size_t i = 0; i < SINKS; i++)
		hb_sink_fini(&site.fakes[i].sink);
	for (size_t i = 0; i < SINKS; i++)
		hb_sink_init(&site.fakes[i].sink, &fake_ops,
		    &site.rig.cfg.sinks[i],
		    &(struct hb_sink_env){ .cfg = &site.rig.cfg }, HB_UP);
	fill(&site, again->dests[0], 0, 1);
	fill(&site, dead->dests[0], 1, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1 &&
		  fake_held(&site.fakes[LINED]) == 1);
	assert_ptr_equal(site.fakes[MAIN].held[0]->msg.target, site.target);
	assert_ptr_equal(site.fakes[LINED].held[0]->msg.target, dead);
	for (size_t i = 0; i < SINKS; i++)
		fake_report_all(&site.fakes[i], HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- who listens ---------------------------------------------------------- */

struct told {
	struct hb_tail_listener listener;
	unsigned count;
	char text[512]; /* all of it */
};

static void
on_event(struct hb_tail_listener *listener, const struct hb_tail_event *event,
    uint64_t missed)
{
	struct told *told = hb_container_of(listener, struct told, listener);
	size_t len = strlen(told->text);

	assert_int_equal(missed, 0);
	told->count++;
	snprintf(told->text + len, sizeof(told->text) - len,
	    "%s %.*s %.*s %.*s %s %.*s %s\n", event->word,
	    HB_SPAN_ARG(event->endpoint), HB_SPAN_ARG(event->id),
	    HB_SPAN_ARG(event->job_id), event->outcome,
	    HB_SPAN_ARG(event->destinations),
	    event->reason != NULL ? event->reason : "-");
	assert_int_equal(event->took_ms, event->wall_ms - 1767225601234);
}

static void
test_told(void **state)
{
	struct told told = { .count = 0 };
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	site.tail = hb_tail_new();
	fill(&site, dest_named(&site, "a"), 0, 3);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 3);
	fake_report(fake, 2, HB_REPORT_CONFIRMED, NULL); /* nobody listens */
	site_turn(&site);
	told.listener.loop = site.loop;
	told.listener.on_event = on_event;
	hb_tail_join(site.tail, &told.listener);
	fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
	fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
	AWAIT(&site, told.count == 2);
	assert_string_equal(told.text,
	    "delivery.replayed production m0 job-1 confirmed main:a -\n"
	    "dead.added production m1 job-1 dead-lettered main:a policy\n");
	hb_tail_leave(site.tail, &told.listener);
	site_end_replay(&site);
	hb_tail_free(site.tail);
	site_close(&site);
}

/* --- windows -------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned count;
	size_t size;
	size_t held; /* at once */
} windows[] = {
	{ "small ones", 600, 64, 512 },
	{ "large ones", 20, 500 * 1024, 8 }, /* 4 MiB, and what they cost */
	{ "one by one", 3, 2200 * 1024, 1 },
};

static void
test_window(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(windows); i++) {
		struct fake *fake;
		struct site site;

		site_open_with(&site,
		    &(struct site_options){ .max_size = 128 * MIB });
		fake = &site.fakes[MAIN];
		site.rig.cfg.spool.segment_size = 4 * MIB;
		hb_store_close(site.store);
		site.store = hb_store_open(&site.rig.cfg, NULL);
		fill_sized(&site, dest_named(&site, "a"), 0, windows[i].count,
		    windows[i].size);
		site_replay(&site);
		AWAIT(&site, fake_held(fake) == windows[i].held);
		site_turn(&site);
		assert_int_equal(fake_held(fake), windows[i].held);
		/* For each that is reported another one comes. */
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
		assert_int_equal(fake_held(fake), windows[i].held);
		while (kept(&site, HB_SHELF_DELIVERIES) > 0) {
			fake_report_all(fake, HB_REPORT_CONFIRMED);
			site_turn(&site);
			assert_true(fake_held(fake) <= windows[i].held);
		}
		assert_int_equal(fake_sent(fake), windows[i].count);
		for (unsigned k = 0; k < windows[i].count; k++)
			assert_int_equal(fake->sent[k], k);
		site_close(&site);
	}
}

/* A destination that does not report keeps nobody else waiting. */
static void
test_destinations_are_apart(void **state)
{
	struct fake *main_sink, *lined;
	struct site site;

	(void)state;
	site_open(&site);
	main_sink = &site.fakes[MAIN];
	lined = &site.fakes[LINED];
	fill(&site, dest_named(&site, "a"), 0, 600);
	fill(&site, dest_named(&site, "o"), 1000, 2);
	fill(&site, dest_named(&site, "b"), 2000, 3);
	site_replay(&site);
	AWAIT(&site, fake_held(main_sink) == 512 + 3);
	AWAIT(&site, fake_held(lined) == 1);
	while (kept(&site, HB_SHELF_DELIVERIES) > 0) {
		fake_report_all(main_sink, HB_REPORT_CONFIRMED);
		fake_report_all(lined, HB_REPORT_CONFIRMED);
		site_turn(&site);
	}
	assert_int_equal(fake_sent(main_sink), 603);
	expect_sent(lined, 0, "1000 1001");
	site_close(&site);
}

/* --- the room that all share ---------------------------------------------- */

/* Twenty destinations, each with one record that is as large as all of the
 * room, and some that are not. All get their turn, within bounds. */
static void
test_room(void **state)
{
	const uint64_t limit = 8 * MIB / 8;
	const struct hb_config *cfg;
	unsigned last[64] = { 0 }, begun = 0;
	struct fake *fake;
	struct site site;

	(void)state;
	site_open_with(&site, &(struct site_options){ .memory = 8 * MIB,
	    .max_size = 256 * MIB,
	    .names = "a|b|c|d|e|f|g|h|i|j|k|l|m|n|p|q|r|s|t|u" });
	fake = &site.fakes[MAIN];
	cfg = &site.rig.cfg;
	for (unsigned i = 0; i < cfg->dest_count; i++) {
		if (cfg->dests[i]->sink->index != MAIN)
			continue;
		fill_sized(&site, cfg->dests[i], i * 1000, 10, 64 * 1024);
		fill_sized(&site, cfg->dests[i], i * 1000 + 10, 1,
		    limit - 40960);
		fill_sized(&site, cfg->dests[i], i * 1000 + 11, 10, 64 * 1024);
	}
	site_replay(&site);
	AWAIT(&site, fake_held(fake) > 0);
	while (kept(&site, HB_SHELF_DELIVERIES) > 0) {
		assert_true(fake_held(fake) > 0);
		fake_report(fake, fake_held(fake) / 2, HB_REPORT_CONFIRMED,
		    NULL);
		site_turn(&site);
		assert_true(fake->most_bytes <= limit);
	}
	/* Small ones do fill it. */
	assert_true(fake->most_bytes > limit - 3 * 64 * 1024);
	/* Each destination's in order, and all of them have begun before one
	 * of them is through. */
	assert_int_equal(fake_sent(fake), 20 * 21);
	for (size_t i = 0; i < fake_sent(fake); i++) {
		unsigned dest = fake->sent[i] / 1000;

		assert_int_equal(fake->sent[i] % 1000, last[dest]++);
		begun += last[dest] == 1;
		assert_true(last[dest] < 21 || begun == 20);
	}
	site_close(&site);
}

/* What is larger than all of the room goes alone, and those behind it do not
 * need as much. */
static void
test_larger_than_the_room(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open_with(&site, &(struct site_options){ .memory = MIB });
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 1);
	fill_sized(&site, dest_named(&site, "b"), 1, 1, 300 * 1024);
	fill(&site, dest_named(&site, "a"), 2, 1);
	fill(&site, dest_named(&site, "b"), 3, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 2);
	site_turn(&site);
	expect_sent(fake, 0, "0 2");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, fake_held(fake) == 1);
	fill(&site, dest_named(&site, "a"), 4, 1);
	site_turn(&site);
	expect_sent(fake, 2, "1");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, fake_held(fake) == 2);
	fill(&site, dest_named(&site, "b"), 5, 1);
	AWAIT(&site, fake_held(fake) == 3);
	expect_sent(fake, 3, "3 4 5");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- held ----------------------------------------------------------------- */

/* The first delivery of 2 is at its sink still: what is before it goes on,
 * what is behind it waits. */
static void
test_held(void **state)
{
	for (int settled = 0; settled < 2; settled++) {
		struct item *item;
		struct fake *fake;
		struct site site;

		(void)state;
		site_open(&site);
		fake = &site.fakes[MAIN];
		fill(&site, dest_named(&site, "a"), 0, 2);
		item = keep_held(&site, dest_named(&site, "a"), 2);
		fill(&site, dest_named(&site, "a"), 3, 2);
		site_replay(&site);
		AWAIT(&site, fake_held(fake) == 2);
		site_turn(&site);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
		expect_sent(fake, 0, "0 1");
		assert_int_equal(kept(&site, HB_SHELF_DELIVERIES), 4);
		assert_int_equal(times_asked, 1);
		/* One of those before it is under way when it is over. */
		(settled ? settle_and_release : release)(item);
		AWAIT(&site, fake_held(fake) == (settled ? 3 : 4));
		expect_sent(fake, 2, settled ? "3 4" : "2 3 4");
		fake_report_all(fake, HB_REPORT_CONFIRMED);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		site_close(&site);
	}
}

/* Its end comes between the reading and the asking. */
static void
test_held_until_it_is_asked_for(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	before_is_held_arg = keep_held(&site, dest_named(&site, "a"), 0);
	before_is_held = settle_and_release;
	fill(&site, dest_named(&site, "a"), 1, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 1);
	assert_null(before_is_held);
	expect_sent(fake, 0, "1");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* A failure while one is held: what failed goes first, and what is held is
 * asked for once at a time. */
static void
test_held_and_failed(void **state)
{
	struct item *first, *second;
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 1);
	first = keep_held(&site, dest_named(&site, "a"), 1);
	second = keep_held(&site, dest_named(&site, "a"), 2);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 1);
	site_turn(&site);
	fake_report(fake, 0, HB_REPORT_UNKNOWN, NULL);
	AWAIT(&site, fake_held(fake) == 1);
	site_turn(&site);
	expect_sent(fake, 1, "0");
	assert_int_equal(times_asked, 1);
	release(first);
	AWAIT(&site, fake_held(fake) == 2);
	site_turn(&site);
	expect_sent(fake, 1, "0 1");
	release(second);
	AWAIT(&site, fake_held(fake) == 3);
	expect_sent(fake, 1, "0 1 2");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- down ----------------------------------------------------------------- */

static void
set_down(struct site *site, int how, bool down)
{
	struct hb_sink *sink = &site->fakes[MAIN].sink;
	enum hb_health health = down ? HB_DOWN : HB_UP;

	if (how == 0)
		hb_sink_set_health(sink, health, "test");
	else if (how == 1)
		hb_dest_set_health(sink, dest_named(site, "a"), health,
		    "test");
	else
		site->fakes[MAIN].is_unready = down;
}

/* Nothing is sent, what is under way goes on, and it looks again: seldom, and
 * from the beginning once it was up. */
static void
test_down(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct fake *fake;
		struct site site;
		size_t before;

		(void)state;
		site_open(&site);
		fake = &site.fakes[MAIN];
		set_down(&site, how, true);
		fill(&site, dest_named(&site, "a"), 0, 2);
		site_replay(&site);
		AWAIT(&site, looks.count > 3);
		assert_int_equal(fake_sent(fake), 0);
		for (unsigned i = 0; how == 1 && i < 4; i++)
			assert_int_equal(looks.failures[i], i);
		set_down(&site, how, false);
		AWAIT(&site, fake_held(fake) == 2);
		set_down(&site, how, true);
		before = looks.count;
		fill(&site, dest_named(&site, "a"), 2, 1);
		AWAIT(&site, looks.count > before + 3);
		assert_int_equal(looks.failures[before], 0);
		fake_report(fake, 0, HB_REPORT_CONFIRMED, NULL);
		site_turn(&site);
		assert_int_equal(kept(&site, HB_SHELF_DELIVERIES), 2);
		set_down(&site, how, false);
		AWAIT(&site, fake_held(fake) == 2); /* 1 is not sent twice */
		expect_sent(fake, 0, "0 1 2");
		fake_report_all(fake, HB_REPORT_CONFIRMED);
		AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
		assert_int_equal(rests.count, 0);
		site_close(&site);
	}
}

static void
test_slow_is_up(void **state)
{
	struct site site;

	(void)state;
	site_open(&site);
	hb_sink_set_health(&site.fakes[MAIN].sink, HB_SLOW, "test");
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	fake_report_all(&site.fakes[MAIN], HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* Without a descriptor nothing can be read: that passes, too. */
static void
test_no_descriptors(void **state)
{
	struct rlimit limit, none;
	struct site site;

	(void)state;
	site_open(&site);
	fill(&site, dest_named(&site, "a"), 0, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	site_replay(&site);
	AWAIT(&site, looks.count > 3);
	assert_int_equal(fake_sent(&site.fakes[MAIN]), 0);
	assert_int_equal(hb_replay_in_flight(site.replay), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	fake_report_all(&site.fakes[MAIN], HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

/* --- stopping ------------------------------------------------------------- */

/* What was confirmed is settled; the rest is there for the next one. */
static void
test_stop_in_flight(void **state)
{
	struct fake *fake;
	struct site site;

	(void)state;
	site_open(&site);
	fake = &site.fakes[MAIN];
	fill(&site, dest_named(&site, "a"), 0, 4);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 4);
	hb_replay_stop(site.replay);
	fill(&site, dest_named(&site, "a"), 4, 1);
	fake_report(fake, 1, HB_REPORT_CONFIRMED, NULL);
	fake_report(fake, 0, HB_REPORT_RETRY, NULL);
	fake_report(fake, 0, HB_REPORT_REFUSED, "policy");
	site_turn(&site);
	assert_int_equal(hb_replay_in_flight(site.replay), 1);
	fake_report(fake, 0, HB_REPORT_UNKNOWN, NULL);
	site_turn(&site);
	expect_sent(fake, 0, "0 1 2 3");
	site_end_replay(&site);
	assert_int_equal(kept(&site, HB_SHELF_DELIVERIES), 4);
	assert_int_equal(kept(&site, HB_SHELF_DEAD), 0);
	assert_int_equal(rests.count, 0);
	site_replay(&site);
	AWAIT(&site, fake_held(fake) == 4);
	expect_sent(fake, 4, "0 2 3 4");
	fake_report_all(fake, HB_REPORT_CONFIRMED);
	AWAIT(&site, kept(&site, HB_SHELF_DELIVERIES) == 0);
	site_close(&site);
}

static void
test_stop_in_each_state(void **state)
{
	struct item *item;
	struct site site;

	(void)state;
	/* Before it has begun: its tasks run when the loop is freed. */
	site_open(&site);
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	hb_replay_stop(site.replay);
	site_close(&site);
	/* While it waits, with a record that comes just now. */
	site_open(&site);
	site_replay(&site);
	site_turn(&site);
	keep(&site, dest_named(&site, "a"), 0, 64, false);
	while (kept(&site, HB_SHELF_DELIVERIES) == 0)
		usleep(100);
	site_end_replay(&site);
	AWAIT(&site, site.keeping == 0);
	site_close(&site);
	/* While one is held, and the store posts its task afterwards. */
	site_open(&site);
	item = keep_held(&site, dest_named(&site, "a"), 0);
	site_replay(&site);
	site_turn(&site);
	site_end_replay(&site);
	release(item);
	site_close(&site);
	/* While it rests, while it looks. */
	site_open(&site);
	fill(&site, dest_named(&site, "a"), 0, 1);
	site_replay(&site);
	AWAIT(&site, fake_held(&site.fakes[MAIN]) == 1);
	hb_sink_set_health(&site.fakes[LINED].sink, HB_DOWN, "test");
	fill(&site, dest_named(&site, "o"), 1, 1);
	AWAIT(&site, looks.count > 0);
	fake_report_all(&site.fakes[MAIN], HB_REPORT_RETRY);
	AWAIT(&site, rests.count > 0);
	hb_replay_stop(site.replay);
	fake_report_all(&site.fakes[MAIN], HB_REPORT_RETRY);
	site_turn(&site);
	site_close(&site);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_what_is_sent),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_destinations_are_apart),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_larger_than_the_room),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_held_until_it_is_asked_for),
		cmocka_unit_test(test_held_and_failed),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_slow_is_up),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_stop_in_flight),
		cmocka_unit_test(test_stop_in_each_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
