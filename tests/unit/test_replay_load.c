/* SPDX-License-Identifier: Apache-2.0 */
/* test_replay_load.c - a replay on a thread of its own: a backlog that memory
 * does not notice, and all that can happen at the same time */
#include "replay_rig.h"

#define BACKLOG 100000
#define GROWTH_MAX (16 * 1024 * 1024L)

/* Sanitizers keep what was freed for a while. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static void
start(struct site *site)
{
	site_replay(site);
	assert_true(hb_loop_start(site->loop, NULL));
}

static void
stop(struct site *site)
{
	hb_loop_stop(site->loop);
	hb_loop_join(site->loop);
}

/* The loop runs by itself. */
#define AWAIT_OTHERS(condition)                                             \
	do {                                                                \
		uint64_t since_ms = hb_clock_mono_ms();                     \
		while (!(condition)) {                                      \
			if (hb_clock_mono_ms() - since_ms > 4 * SAFETY_MS)  \
				fail_msg("%s:%d: never: %s", __FILE__,      \
				    __LINE__, #condition);                  \
			usleep(200);                                        \
		}                                                           \
	} while (0)

/* --- the backlog ---------------------------------------------------------- */

static long most_resident;

static long
resident(void)
{
	long size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

static int
confirm_and_measure(struct fake *fake, const struct hb_delivery *delivery)
{
	(void)delivery;
	if (fake->sent_count % 1000 == 0) {
		long now = resident();

		if (now > most_resident)
			most_resident = now;
	}
	return HB_REPORT_CONFIRMED;
}

static void
test_backlog(void **state)
{
	unsigned count = IS_SANITIZED ? BACKLOG / 10 : BACKLOG;
	struct fake *fake;
	struct site site;
	long before;

	(void)state;
	site_open_with(&site,
	    &(struct site_options){ .max_size = (uint64_t)512 * MIB });
	fake = &site.fakes[MAIN];
	fake->script = confirm_and_measure;
	fill_sized(&site, dest_named(&site, "a"), 0, count, 300);
	assert_int_equal(kept(&site, HB_SHELF_DELIVERIES), count);
	before = most_resident = resident();
	start(&site);
	AWAIT_OTHERS(kept(&site, HB_SHELF_DELIVERIES) == 0);
	AWAIT_OTHERS(hb_replay_in_flight(site.replay) == 0);
	stop(&site);
	assert_int_equal(fake_sent(fake), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(fake->sent[i], i);
	if (!IS_SANITIZED)
		assert_true(most_resident - before < GROWTH_MAX);
	site_close(&site);
}

/* --- everything at once --------------------------------------------------- */

#define EVENTS 2000

/* Reports what the sinks hold, from a thread that is neither theirs nor the
 * replay's: mostly good news. */
struct reporter {
	struct site *site;
	pthread_t thread;
	_Atomic bool stop;
	unsigned seed;
};

static enum hb_report
draw_report(unsigned *seed)
{
	static const enum hb_report bad[] = { HB_REPORT_RETRY,
		HB_REPORT_UNKNOWN, HB_REPORT_REFUSED };
	unsigned n = (unsigned)rand_r(seed);

	return n % 50 < 47 ? HB_REPORT_CONFIRMED : bad[n / 50 % 3];
}

static void
report_some(struct reporter *reporter, struct fake *fake)
{
	for (size_t n = fake_held(fake); n > 0; n--)
		fake_report(fake, (unsigned)rand_r(&reporter->seed) % n,
		    draw_report(&reporter->seed), NULL);
}

static void *
reporter_main(void *arg)
{
	struct reporter *reporter = arg;

	while (!atomic_load(&reporter->stop)) {
		struct fake *fakes = reporter->site->fakes;

		hb_sink_set_health(&fakes[MAIN].sink,
		    rand_r(&reporter->seed) % 8 == 0 ? HB_DOWN : HB_UP,
		    "test");
		for (size_t i = 0; i < SINKS; i++)
			report_some(reporter, &fakes[i]);
		usleep(100);
	}
	return NULL;
}

/* Nobody has it any more: the sinks are drained. */
static void
drain(struct site *site)
{
	AWAIT_OTHERS(({
		for (size_t i = 0; i < SINKS; i++)
			fake_report_all(&site->fakes[i], HB_REPORT_RETRY);
		hb_replay_in_flight(site->replay) == 0;
	}));
}

static uint64_t
booked(const struct site *site)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < site->rig.cfg.dest_count; i++) {
		const struct hb_dest_conf *dest = site->rig.cfg.dests[i];
		struct books books = read_books(dest, "refused");

		sum += (uint64_t)(books.confirmed + books.dead_lettered);
	}
	return sum;
}

/* Keeps from a loop of the test's, some of them held. */
static void
keep_many(struct site *site, struct hb_loop *home, unsigned first)
{
	struct hb_loop *loop = site->loop;
	struct item *held[EVENTS / 10] = { NULL };
	size_t held_count = 0;

	site->loop = home; /* keeps end there */
	for (unsigned i = 0; i < EVENTS; i++) {
		const struct hb_dest_conf *dest =
		    site->rig.cfg.dests[i % site->rig.cfg.dest_count];
		struct item *item =
		    keep(site, dest, first + i, 200, i % 10 == 3);

		if (item != NULL)
			held[held_count++] = item;
	}
	AWAIT(site, site->keeping == 0);
	while (held_count > 0)
		release(held[--held_count]);
	site->loop = loop;
}

/* Kept, held, released, reported by several threads, with a destination that
 * comes and goes and a replay that is stopped in the midst of it and begins
 * again: what was kept is confirmed or a dead letter, and booked once. */
static void
test_all_at_once(void **state)
{
	struct reporter reporter = { .seed = 4711 };
	struct hb_loop *home;
	uint64_t before;
	struct site site;

	(void)state;
	site_open(&site);
	before = booked(&site);
	home = hb_loop_new("home", NULL);
	for (unsigned round = 0; round < 4; round++) {
		reporter.site = &site;
		atomic_store(&reporter.stop, false);
		pthread_create(&reporter.thread, NULL, reporter_main,
		    &reporter);
		start(&site);
		keep_many(&site, home, round * EVENTS);
		if (round == 3)
			AWAIT_OTHERS(kept(&site, HB_SHELF_DELIVERIES) == 0);
		atomic_store(&reporter.stop, true);
		pthread_join(reporter.thread, NULL);
		hb_replay_stop(site.replay);
		drain(&site);
		stop(&site);
		site_end_replay(&site);
		assert_int_equal(booked(&site) - before +
			kept(&site, HB_SHELF_DELIVERIES),
		    (round + 1) * EVENTS);
		hb_sink_set_health(&site.fakes[MAIN].sink, HB_UP, NULL);
	}
	hb_loop_free(home);
	site_close(&site);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
