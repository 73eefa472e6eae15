/* SPDX-License-Identifier: Apache-2.0 */
/* sink_contract.h - what every sink promises, as tests that any sink can run
 *
 * A sink's test describes its peer (a broker, a server, a directory) in a
 * struct contract_peer and adds HB_SINK_CONTRACT(&peer) to its cmocka table.
 * Each test opens a sink of its own on two loops and a helper, sends from
 * those, waits for the reports there and asks the oracle what has arrived. The
 * first loop stands for the workers, the last for the replay: what a test calls
 * mixed is patient there. Waiting ends when what is awaited happens;
 * CONTRACT_PATIENCE_MS is only there so that a broken sink fails instead of
 * hanging. */
#ifndef HOOKBRIDGE_TESTS_SINK_CONTRACT_H
#define HOOKBRIDGE_TESTS_SINK_CONTRACT_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "hookbridge/sink.h"
#include "skip.h"

#define CONTRACT_PATIENCE_MS 30000
#define CONTRACT_LOOPS 2
#define CONTRACT_DESTS_MAX 4

struct contract_peer {
	const struct hb_sink_ops *ops;
	/* The sink's settings, as cfg would fill them by ops->type.keys, and
	 * those of its targets by ops->type.target_keys (NULL: all zero). */
	void *settings, *target_settings;
	/* Destinations that exist, NULL-terminated; {"", NULL} for a sink that
	 * is one destination. */
	const char *dests[CONTRACT_DESTS_MAX + 1];
	/* How often the message has arrived, judged by value, key and headers,
	 * as far as the peer keeps them. Called again until satisfied. */
	size_t (*arrived)(void *arg, const struct hb_message *msg);
	/* Take the peer away and bring it back; NULL where nothing can be. */
	void (*down)(void *arg);
	void (*up)(void *arg);
	void *arg;
	/* Values must be JSON (otherwise: any bytes). */
	bool json_only;
	/* The byte budget, of which sinks derive limits; 0: plenty. */
	uint64_t memory;
};

/* --- a running sink ------------------------------------------------------- */

struct contract_rig {
	const struct contract_peer *peer;
	struct hb_sink_conf sink_conf;
	struct hb_dest_conf dest_confs[CONTRACT_DESTS_MAX];
	const struct hb_dest_conf *dests[CONTRACT_DESTS_MAX];
	struct hb_target_conf targets[CONTRACT_DESTS_MAX];
	struct hb_target_conf *to[CONTRACT_DESTS_MAX];
	struct hb_route_conf route;
	struct hb_endpoint_conf endpoint;
	struct hb_budget_share share;
	void *target_settings;
	struct hb_config cfg;
	struct hb_loop *loops[CONTRACT_LOOPS], *helper;
	bool running;
	struct hb_sink *sink;
};

/* One delivery under test. */
struct contract_item {
	struct hb_delivery delivery;
	struct hb_task send;
	struct hb_header headers[3];
	char value[128], key[32], id[32];
	_Atomic unsigned reports, overdue, misplaced;
	/* What the sink is given is a copy, gone with the report. */
	char *loan;
	size_t loan_len;
	struct hb_message own;
};

static inline void
contract_configure(struct contract_rig *rig, const struct contract_peer *peer)
{
	const struct hb_sink_type *type = &peer->ops->type;
	size_t count = 0;

	*rig = (struct contract_rig){.peer = peer};
	rig->sink_conf = (struct hb_sink_conf){
	    .name = "contract", .type = type, .conf = peer->settings};
	rig->endpoint =
	    (struct hb_endpoint_conf){.name = "test", .share = &rig->share};
	rig->target_settings = hb_xcalloc(1, type->target_size + 1);
	for (; peer->dests[count] != NULL; count++) {
		const char *name = peer->dests[count];

		rig->dest_confs[count] = (struct hb_dest_conf){
		    (unsigned)count, &rig->sink_conf, name, name};
		rig->dests[count] = &rig->dest_confs[count];
		rig->targets[count] = (struct hb_target_conf){
		    .index = (unsigned)count,
		    .sink = &rig->sink_conf,
		    .dests = &rig->dests[count],
		    .dest_count = 1,
		    .settings = peer->target_settings != NULL
				    ? peer->target_settings
				    : rig->target_settings,
		};
		rig->to[count] = &rig->targets[count];
	}
	rig->route = (struct hb_route_conf){.to = rig->to, .to_count = count};
	rig->cfg = (struct hb_config){
	    .routes = &rig->route,
	    .route_count = 1,
	    .endpoints = &rig->endpoint,
	    .endpoint_count = 1,
	    .sinks = &rig->sink_conf,
	    .sink_count = 1,
	    .dests = rig->dests,
	    .dest_count = count,
	    .target_count = count,
	    .workers = CONTRACT_LOOPS,
	    .memory = peer->memory != 0 ? peer->memory : 256 << 20,
	    .delivery = {.ack_timeout_ms = 3000,
		.hard_timeout_ms = 10000,
		.drain_timeout_ms = 30000},
	};
}

/* Opens the sink; the loops do not run yet. */
static inline void
contract_open(struct contract_rig *rig, const struct contract_peer *peer)
{
	struct hb_error err;
	struct hb_sink_env env;

	contract_configure(rig, peer);
	rig->helper = hb_loop_new("helper", &err);
	assert_non_null(rig->helper);
	for (size_t i = 0; i < CONTRACT_LOOPS; i++) {
		rig->loops[i] = hb_loop_new("worker", &err);
		assert_non_null(rig->loops[i]);
	}
	env = (struct hb_sink_env){
	    &rig->cfg, rig->loops, CONTRACT_LOOPS, rig->helper};
	rig->sink = peer->ops->open(&rig->sink_conf, &env, &err);
	if (rig->sink == NULL)
		fail_msg("open: %s", err.text);
}

static inline void
contract_run(struct contract_rig *rig)
{
	struct hb_error err;

	assert_true(hb_loop_start(rig->helper, &err));
	for (size_t i = 0; i < CONTRACT_LOOPS; i++)
		assert_true(hb_loop_start(rig->loops[i], &err));
	rig->running = true;
}

/* Stops the loops, closes the sink, frees the loops: the daemon's order. */
static inline void
contract_close(struct contract_rig *rig)
{
	for (size_t i = 0; rig->running && i < CONTRACT_LOOPS; i++) {
		hb_loop_stop(rig->loops[i]);
		hb_loop_join(rig->loops[i]);
	}
	if (rig->running) {
		hb_loop_stop(rig->helper);
		hb_loop_join(rig->helper);
	}
	rig->peer->ops->close(rig->sink);
	for (size_t i = 0; i < CONTRACT_LOOPS; i++)
		hb_loop_free(rig->loops[i]);
	hb_loop_free(rig->helper);
	free(rig->target_settings);
}

static inline void
contract_stop(struct contract_rig *rig)
{
	rig->peer->ops->drain(rig->sink, 1000);
	contract_close(rig);
}

/* --- waiting -------------------------------------------------------------- */

/* Sleeps a little; false when patience is used up. */
static inline bool
contract_wait(uint64_t since_ms)
{
	if (hb_clock_mono_ms() - since_ms > CONTRACT_PATIENCE_MS)
		return false;
	usleep(2000);
	return true;
}

static inline bool
contract_await_health(struct contract_rig *rig, enum hb_health wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	for (size_t i = 0; i < rig->cfg.dest_count; i++)
		while (hb_dest_health(rig->sink, rig->dests[i]) != wanted)
			if (!contract_wait(since_ms))
				return false;
	return true;
}

/* Waits until each item has been reported. */
static inline void
contract_await_reports(struct contract_item *items, size_t count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	for (size_t i = 0; i < count; i++)
		while (atomic_load(&items[i].reports) == 0)
			if (!contract_wait(since_ms))
				fail_msg("delivery %zu was not reported", i);
}

/* Waits until each item is overdue. */
static inline void
contract_await_overdue(struct contract_item *items, size_t count)
{
	uint64_t since_ms = hb_clock_mono_ms();

	for (size_t i = 0; i < count; i++)
		while (atomic_load(&items[i].overdue) == 0)
			if (!contract_wait(since_ms))
				fail_msg("delivery %zu is not overdue", i);
}

/* Nothing was reported twice, nor overdue twice or afterwards, nor on a loop
 * that is not its home. */
static inline void
contract_check_reports(struct contract_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct hb_delivery *delivery = &items[i].delivery;

		assert_int_equal(atomic_load(&items[i].reports), 1);
		assert_true(atomic_load(&items[i].overdue) <= 1);
		assert_int_equal(atomic_load(&items[i].misplaced), 0);
		if (delivery->report != HB_REPORT_CONFIRMED)
			assert_true(delivery->why.text[0] != '\0');
	}
}

static inline void
contract_check_confirmed(struct contract_item *items, size_t count)
{
	contract_check_reports(items, count);
	for (size_t i = 0; i < count; i++)
		if (items[i].delivery.report != HB_REPORT_CONFIRMED)
			fail_msg("delivery %zu: report %d: %s", i,
			    (int)items[i].delivery.report,
			    items[i].delivery.why.text);
}

static inline void
contract_check_arrived(
    struct contract_rig *rig, struct contract_item *items, size_t count)
{
	const struct contract_peer *peer = rig->peer;
	uint64_t since_ms = hb_clock_mono_ms();

	for (size_t i = 0; i < count; i++)
		while (peer->arrived(peer->arg, &items[i].delivery.msg) == 0)
			if (!contract_wait(since_ms))
				fail_msg("%s did not arrive at %s", items[i].id,
				    items[i].delivery.msg.dest->name);
}

/* --- sending -------------------------------------------------------------- */

static inline void
contract_on_report(struct hb_delivery *delivery)
{
	struct contract_item *item =
	    hb_container_of(delivery, struct contract_item, delivery);

	if (hb_loop_current() != delivery->home)
		atomic_fetch_add(&item->misplaced, 1);
	if (item->loan != NULL) {
		memset(item->loan, '!', item->loan_len);
		free(item->loan);
		item->loan = NULL;
		delivery->msg = item->own;
	}
	atomic_fetch_add(&item->reports, 1);
}

static inline void
contract_on_overdue(struct hb_delivery *delivery)
{
	struct contract_item *item =
	    hb_container_of(delivery, struct contract_item, delivery);

	if (hb_loop_current() != delivery->home ||
	    atomic_load(&item->reports) > 0)
		atomic_fetch_add(&item->misplaced, 1);
	atomic_fetch_add(&item->overdue, 1);
}

/* A message that no other test sends, for the destination number dest. */
static inline void
contract_fill(struct contract_rig *rig, struct contract_item *item, size_t dest)
{
	static unsigned serial;
	unsigned n = ++serial;
	struct hb_message *msg = &item->delivery.msg;

	snprintf(item->value, sizeof(item->value),
	    "{\"n\":%u,\"process\":%d,\"amount\":1.50}", n, (int)getpid());
	snprintf(item->key, sizeof(item->key), "job-%u", n % 7);
	snprintf(item->id, sizeof(item->id), "msg_%d_%u", (int)getpid(), n);
	item->headers[0] = (struct hb_header){
	    HB_SPAN("content-type"), HB_SPAN("application/json")};
	item->headers[1] =
	    (struct hb_header){HB_SPAN("ce_id"), hb_span_of(item->id)};
	item->headers[2] = (struct hb_header){
	    HB_SPAN("ce_subject"), HB_SPAN("caf\xc3\xa9 =,\";")};
	*msg = (struct hb_message){
	    .target = &rig->targets[dest],
	    .dest = rig->dests[dest],
	    .key = hb_span_of(item->key),
	    .value = hb_span_of(item->value),
	    .headers = item->headers,
	    .header_count = HB_COUNT(item->headers),
	    .id = hb_span_of(item->id),
	    .endpoint = hb_span_of(rig->endpoint.name),
	    .dedup = rig->endpoint.dedup,
	};
}

/* Items for all destinations and all loops in turn, free() by the caller. */
static inline struct contract_item *
contract_items(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = hb_xcalloc(count, sizeof(*items));

	for (size_t i = 0; i < count; i++) {
		struct hb_delivery *delivery = &items[i].delivery;

		contract_fill(rig, &items[i], i % rig->cfg.dest_count);
		delivery->sink = rig->sink;
		delivery->home = rig->loops[i % CONTRACT_LOOPS];
		delivery->on_report = contract_on_report;
		delivery->on_overdue = contract_on_overdue;
	}
	return items;
}

/* Those of the replay's loop are patient, every second one. */
static inline struct contract_item *
contract_mixed_items(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = contract_items(rig, count);

	for (size_t i = 0; i < count; i++)
		items[i].delivery.patient = items[i].delivery.home ==
		    rig->loops[CONTRACT_LOOPS - 1];
	return items;
}

/* All of them are the replay's, for all destinations in turn. */
static inline struct contract_item *
contract_patient_items(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = contract_items(rig, count);

	for (size_t i = 0; i < count; i++) {
		items[i].delivery.home = rig->loops[CONTRACT_LOOPS - 1];
		items[i].delivery.patient = true;
	}
	return items;
}

static inline struct hb_span
contract_lend_span(char **pos, struct hb_span s)
{
	char *copy = *pos;

	memcpy(copy, s.ptr, s.len);
	*pos += s.len;
	return hb_span_make(copy, s.len);
}

/* Gives the sink a message that is overwritten and freed at the report. */
static inline void
contract_lend(struct contract_item *item)
{
	struct hb_message *msg = &item->delivery.msg;
	size_t headers_len = msg->header_count * sizeof(struct hb_header);
	struct hb_header *headers;
	char *pos;

	item->own = *msg;
	item->loan_len =
	    headers_len + msg->key.len + msg->value.len + msg->id.len;
	for (size_t i = 0; i < msg->header_count; i++)
		item->loan_len +=
		    msg->headers[i].name.len + msg->headers[i].value.len;
	item->loan = hb_xmalloc(item->loan_len);
	headers = (struct hb_header *)(void *)item->loan;
	pos = item->loan + headers_len;
	for (size_t i = 0; i < msg->header_count; i++)
		headers[i] = (struct hb_header){
		    contract_lend_span(&pos, msg->headers[i].name),
		    contract_lend_span(&pos, msg->headers[i].value)};
	msg->headers = headers;
	msg->key = contract_lend_span(&pos, msg->key);
	msg->value = contract_lend_span(&pos, msg->value);
	msg->id = contract_lend_span(&pos, msg->id);
}

static inline void
contract_on_send(struct hb_task *task)
{
	struct contract_item *item =
	    hb_container_of(task, struct contract_item, send);
	struct hb_delivery *delivery = &item->delivery;

	delivery->sent_us = hb_clock_mono_us();
	delivery->sink->ops->send(delivery->sink, delivery);
}

/* Sends each item on its home loop. */
static inline void
contract_send(struct contract_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		items[i].send.run = contract_on_send;
		hb_loop_post(items[i].delivery.home, &items[i].send);
	}
}

/* Sends one message at a time until one is confirmed. */
static inline void
contract_send_until_confirmed(struct contract_rig *rig)
{
	uint64_t since_ms = hb_clock_mono_ms();
	bool confirmed = false;

	while (!confirmed) {
		struct contract_item *item = contract_items(rig, 1);

		contract_send(item, 1);
		contract_await_reports(item, 1);
		contract_check_reports(item, 1);
		confirmed = item->delivery.report == HB_REPORT_CONFIRMED;
		if (confirmed)
			contract_check_arrived(rig, item, 1);
		else if (!contract_wait(since_ms))
			fail_msg(
			    "does not recover: %s", item->delivery.why.text);
		free(item);
	}
}

static inline bool
contract_is_down(const struct contract_rig *rig)
{
	for (size_t i = 0; i < rig->cfg.dest_count; i++)
		if (hb_dest_health(rig->sink, rig->dests[i]) != HB_DOWN)
			return false;
	return true;
}

/* With the peer away: some sinks find out by themselves, others when they are
 * sent something, and may be on trial again before anybody looks. */
static inline void
contract_send_until_down(struct contract_rig *rig)
{
	size_t count = rig->cfg.dest_count;
	uint64_t since_ms = hb_clock_mono_ms();

	while (!contract_is_down(rig)) {
		struct contract_item *items = contract_items(rig, count);

		contract_send(items, count);
		contract_await_reports(items, count);
		contract_check_reports(items, count);
		free(items);
		if (!contract_wait(since_ms))
			fail_msg("does not notice that its peer is away");
	}
}

/* Runs on a loop behind everything that was posted to it before. */
struct contract_marker {
	struct hb_task task;
	_Atomic bool passed;
};

static inline void
contract_on_marker(struct hb_task *task)
{
	struct contract_marker *marker =
	    hb_container_of(task, struct contract_marker, task);

	atomic_store(&marker->passed, true);
}

/* Waits until the loops have run all that is in their mailboxes now. */
static inline void
contract_settle(struct contract_rig *rig)
{
	for (size_t i = 0; i < CONTRACT_LOOPS; i++) {
		/* A report from the loop itself is deferred behind the first
		 * marker: the second comes after it. */
		for (int round = 0; round < 2; round++) {
			struct contract_marker marker = {
			    .task = {.run = contract_on_marker}};
			uint64_t since_ms = hb_clock_mono_ms();

			hb_loop_post(rig->loops[i], &marker.task);
			while (!atomic_load(&marker.passed))
				assert_true(contract_wait(since_ms));
		}
	}
}

/* --- the promises --------------------------------------------------------- */

/* What is confirmed has arrived, reported once, at home, patient or not. */
static inline void
contract_confirms(void **state)
{
	struct contract_rig rig;
	struct contract_item *items;
	size_t count;

	contract_open(&rig, *state);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	count = rig.cfg.dest_count * 2 * CONTRACT_LOOPS;
	items = contract_items(&rig, count);
	for (size_t i = 0; i < count / 2; i++)
		items[i].delivery.patient = true;
	contract_send(items, count);
	contract_await_reports(items, count);
	contract_check_confirmed(items, count);
	contract_check_arrived(&rig, items, count);
	contract_stop(&rig);
	contract_check_reports(items, count);
	free(items);
}

/* Many at once, from two loops. */
static inline void
contract_takes_many(void **state)
{
	enum { COUNT = 1000 };
	struct contract_rig rig;
	struct contract_item *items;

	contract_open(&rig, *state);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_mixed_items(&rig, COUNT);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	contract_stop(&rig);
	contract_check_reports(items, COUNT);
	free(items);
}

/* Replaces value, key and a header by ones that want care. */
static inline void
contract_fill_special(struct contract_item *item, const char *value,
    size_t value_len, const char *key, size_t key_len)
{
	struct hb_message *msg = &item->delivery.msg;

	msg->value = hb_span_make(value, value_len);
	msg->key = hb_span_make(key, key_len);
	item->headers[2] = (struct hb_header){HB_SPAN("empty"), HB_SPAN("")};
}

/* Bytes arrive as they were: of any value, and a mebibyte of them. */
static inline void
contract_keeps_bytes(void **state)
{
	static char bytes[256], large[1 << 20];
	static const char key[] = "k\xc3\xa9y \"=\n";
	const struct contract_peer *peer = *state;
	struct contract_rig rig;
	struct contract_item *items;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	memset(large, 'x', sizeof(large));
	large[0] = large[sizeof(large) - 1] = '"';
	contract_open(&rig, peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_mixed_items(&rig, 3);
	contract_fill_special(
	    &items[0], large, sizeof(large), key, sizeof(key) - 1);
	contract_fill_special(&items[1], "\"\\u0000\"", 8, "", 0);
	if (!peer->json_only)
		contract_fill_special(
		    &items[2], bytes, sizeof(bytes), bytes, sizeof(bytes));
	contract_send(items, 3);
	contract_await_reports(items, 3);
	contract_check_confirmed(items, 3);
	contract_check_arrived(&rig, items, 3);
	contract_stop(&rig);
	free(items);
}

/* Lends COUNT items to the sink, some of them large. */
static inline struct contract_item *
contract_lend_items(
    struct contract_rig *rig, size_t count, const char *large, size_t large_len)
{
	struct contract_item *items = contract_mixed_items(rig, count);

	for (size_t i = 0; i < count; i++) {
		if (i % 8 == 4 || i % 8 == 5)
			contract_fill_special(
			    &items[i], large, large_len, items[i].key, 0);
		contract_lend(&items[i]);
	}
	return items;
}

/* Of what was reported nothing is looked at any more, however it ended. */
static inline void
contract_lets_go(void **state)
{
	enum { COUNT = 64, LARGE = 200000 };
	const struct contract_peer *peer = *state;
	struct contract_rig rig;
	struct contract_item *items;
	char *large = hb_xmalloc(LARGE);

	memset(large, 'x', LARGE);
	large[0] = large[LARGE - 1] = '"';
	contract_open(&rig, peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_lend_items(&rig, COUNT, large, LARGE);
	contract_send(items, COUNT);
	contract_await_reports(items, COUNT);
	contract_check_confirmed(items, COUNT);
	contract_check_arrived(&rig, items, COUNT);
	free(items);
	items = contract_lend_items(&rig, COUNT, large, LARGE);
	contract_send(items, COUNT);
	if (peer->down != NULL)
		peer->down(peer->arg);
	peer->ops->drain(rig.sink, 100);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	contract_close(&rig);
	if (peer->up != NULL)
		peer->up(peer->arg);
	free(items);
	free(large);
}

/* With the peer gone every send is still reported, of a patient one when it is
 * back at the latest; then so is the sink. */
static inline void
contract_survives_outage(void **state)
{
	enum { COUNT = 50 };
	const struct contract_peer *peer = *state;
	struct contract_rig rig;
	struct contract_item *before, *during, *kept;

	if (peer->down == NULL)
		SKIP("nothing can be down here");
	contract_open(&rig, peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	before = contract_items(&rig, COUNT);
	during = contract_items(&rig, COUNT);
	kept = contract_patient_items(&rig, COUNT);
	contract_send(before, COUNT);
	peer->down(peer->arg);
	contract_send(during, COUNT);
	contract_send(kept, COUNT);
	contract_await_reports(before, COUNT);
	contract_await_reports(during, COUNT);
	contract_check_reports(before, COUNT);
	contract_check_reports(during, COUNT);
	contract_send_until_down(&rig);
	peer->up(peer->arg);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_await_reports(kept, COUNT);
	contract_stop(&rig);
	contract_check_reports(before, COUNT);
	contract_check_reports(during, COUNT);
	contract_check_reports(kept, COUNT);
	free(before);
	free(during);
	free(kept);
}

/* A peer that is not there at the start is not a reason to fail. */
static inline void
contract_starts_without_peer(void **state)
{
	const struct contract_peer *peer = *state;
	struct contract_rig rig;
	struct contract_item *items, *kept;

	if (peer->down == NULL)
		SKIP("nothing can be down here");
	peer->down(peer->arg);
	contract_open(&rig, peer);
	contract_run(&rig);
	contract_send_until_down(&rig);
	items = contract_items(&rig, 4);
	kept = contract_patient_items(&rig, 4);
	contract_send(kept, 4);
	contract_send(items, 4);
	contract_await_reports(items, 4);
	contract_check_reports(items, 4);
	peer->up(peer->arg);
	assert_true(contract_await_health(&rig, HB_UP));
	contract_send_until_confirmed(&rig);
	contract_await_reports(kept, 4);
	contract_stop(&rig);
	contract_check_reports(kept, 4);
	free(items);
	free(kept);
}

/* When drain returns everything has been reported, confirmed where there was
 * the time for it (what is patient may wait for the next start); what is sent
 * later is reported too. */
static inline void
contract_drains(void **state)
{
	enum { COUNT = 400, LATE = 4 };
	struct contract_rig rig;
	struct contract_item *items, *late;

	contract_open(&rig, *state);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_mixed_items(&rig, COUNT);
	late = contract_mixed_items(&rig, LATE);
	contract_send(items, COUNT);
	contract_settle(&rig);
	rig.peer->ops->drain(rig.sink, CONTRACT_PATIENCE_MS);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		if (!items[i].delivery.patient)
			contract_check_confirmed(&items[i], 1);
	contract_send(late, LATE);
	contract_settle(&rig);
	contract_check_reports(late, LATE);
	for (size_t i = 0; i < LATE; i++)
		assert_int_equal(late[i].delivery.report, HB_REPORT_RETRY);
	contract_close(&rig);
	contract_check_reports(items, COUNT);
	free(items);
	free(late);
}

/* The same with a peer that answers nothing any more. */
static inline void
contract_drains_without_peer(void **state)
{
	enum { COUNT = 100 };
	const struct contract_peer *peer = *state;
	struct contract_rig rig;
	struct contract_item *items;

	if (peer->down == NULL)
		SKIP("nothing can be down here");
	contract_open(&rig, peer);
	contract_run(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	items = contract_mixed_items(&rig, COUNT);
	peer->down(peer->arg);
	contract_send(items, COUNT);
	contract_settle(&rig);
	peer->ops->drain(rig.sink, 100);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	contract_close(&rig);
	contract_check_reports(items, COUNT);
	peer->up(peer->arg);
	free(items);
}

/* A start that fails elsewhere: opened, never run, closed. */
static inline void
contract_closes_unused(void **state)
{
	struct contract_rig rig;

	contract_open(&rig, *state);
	contract_close(&rig);
}

#define HB_SINK_CONTRACT(peer)                                             \
	cmocka_unit_test_prestate(contract_confirms, peer),                \
	    cmocka_unit_test_prestate(contract_takes_many, peer),          \
	    cmocka_unit_test_prestate(contract_keeps_bytes, peer),         \
	    cmocka_unit_test_prestate(contract_lets_go, peer),             \
	    cmocka_unit_test_prestate(contract_survives_outage, peer),     \
	    cmocka_unit_test_prestate(contract_starts_without_peer, peer), \
	    cmocka_unit_test_prestate(contract_drains, peer),              \
	    cmocka_unit_test_prestate(contract_drains_without_peer, peer), \
	    cmocka_unit_test_prestate(contract_closes_unused, peer)

#endif
