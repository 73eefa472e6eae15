/* SPDX-License-Identifier: Apache-2.0 */
/* test_tracker_store.c - events whose deliveries may be kept on disk: who
 * answers first, sink or store, and in every order what follows from it */
#include "path.h"
#include "tracker_rig.h"
#include "../../src/deliver/parts.h"
/* After what it builds on. */
#include "fake_store.h"

/* --- a site with a store -------------------------------------------------- */

static void
open_with_store(struct site *site)
{
	site_open_at(site, 2, MEMORY);
	hb_deliver_free(site->deliver);
	hb_courier_free(site->courier);
	site->deliver = hb_deliver_new(&(struct hb_deliver_env){
	    .cfg = &site->rig.cfg,
	    .sinks = fakes_as_sinks(&site->fakes),
	    .dedup = site->dedup,
	    .budget = &site->budget,
	    .store = fake_store_open(),
	    .claims = (struct hb_claims *)&fake_store });
	site->courier = hb_courier_new(site->deliver, site->loop);
}

static void
set_down(struct site *site, size_t which)
{
	hb_dest_set_health(&site->main_sink->sink,
	    site->targets[which]->dests[0], HB_DOWN, "as the test says");
}

/* --- every order ---------------------------------------------------------- */

/* How one delivery begins. */
enum beginning {
	SENT,   /* its sink is up */
	DOWN,   /* it is kept at once */
	LETTER, /* it is for the dead letters, which have a copy at a sink */
	BEGINNINGS
};

/* What the world knows. */
struct facts {
	bool confirmed;   /* by the sink */
	bool kept;        /* the delivery is on disk */
	bool set_aside;   /* a dead letter is on disk, or its copy confirmed */
	bool refused;     /* by the sink, before it was kept */
	bool is_overdue;
};

struct play {
	struct site site;
	struct shipment s;
	struct facts facts;
	struct hb_delivery *delivery; /* the ordinary one, while at its sink */
	struct books before;	      /* of where it shall go */
};

static bool
is_safe(const struct facts *facts)
{
	return facts->confirmed || facts->kept || facts->set_aside;
}

/* An answer of success was true when it was given. */
static void
check(struct play *p)
{
	assert_true(p->s.receipts <= 1);
	if (p->s.receipts == 1 && p->s.receipt.outcome != HB_UNSETTLED)
		assert_true(is_safe(&p->facts));
	if (p->s.receipts == 1 && p->s.receipt.outcome == HB_CONFIRMED)
		assert_true(p->facts.confirmed);
}

static void
report(struct play *p, struct fake *fake, enum hb_report what)
{
	bool confirmed = what == HB_REPORT_CONFIRMED;

	if (fake == p->site.main_sink) {
		p->facts.confirmed |= confirmed;
		p->delivery = NULL;
	} else {
		p->facts.set_aside |= confirmed;
	}
	site_report(&p->site, fake, 0, what);
}

static void
keep_done(struct play *p, enum hb_code code)
{
	size_t which = fake_store_open_keep();
	bool is_letter = fake_store.records[which].msg == NULL;

	if (code == HB_OK && is_letter)
		p->facts.set_aside = true;
	else if (code == HB_OK)
		p->facts.kept = true;
	fake_store_done(which, code);
	site_turn(&p->site);
}

static void
overdue(struct play *p)
{
	p->facts.is_overdue = true;
	p->delivery->on_overdue(p->delivery);
}

static void
be_late(struct play *p)
{
	pass_ms(2);
	await_late(&p->s);
}

enum move {
	CONFIRM,
	RETRY,
	UNKNOWN,
	REFUSE,
	COPY_CONFIRM,
	COPY_RETRY,
	KEPT,
	NOT_KEPT,
	KEEP_IS_DEAD,
	OVERDUE,
	LATE,
	MOVES
};

static bool
is_possible(struct play *p, enum move move)
{
	size_t keep = fake_store_open_keep();

	if (move <= REFUSE)
		return fake_held(p->site.main_sink) > 0;
	if (move <= COPY_RETRY)
		return fake_held(p->site.dead_sink) > 0;
	if (move == KEEP_IS_DEAD)
		return keep < FAKE_KEEPS &&
		    fake_store.records[keep].msg != NULL;
	if (move <= KEEP_IS_DEAD)
		return keep < FAKE_KEEPS;
	if (move == OVERDUE)
		return p->delivery != NULL && !p->facts.is_overdue;
	return hb_deliver_in_flight(p->site.deliver) > 0 &&
	    p->s.receipts == 0 && !hb_tracker_is_late(p->s.tracker);
}

static void
make(struct play *p, enum move move)
{
	static const enum hb_report reports[] = { HB_REPORT_CONFIRMED,
		HB_REPORT_RETRY, HB_REPORT_UNKNOWN, HB_REPORT_REFUSED };

	if (move <= REFUSE)
		report(p, p->site.main_sink, reports[move]);
	else if (move <= COPY_RETRY)
		report(p, p->site.dead_sink, reports[move - COPY_CONFIRM]);
	else if (move == KEPT)
		keep_done(p, HB_OK);
	else if (move == NOT_KEPT)
		keep_done(p, HB_E_RESOURCE);
	else if (move == KEEP_IS_DEAD)
		keep_done(p, HB_E_DEAD);
	else if (move == OVERDUE)
		overdue(p);
	else
		be_late(p);
}

/* One of the moves that are possible now; false: none is. */
static bool
choose_move(struct play *p, struct path *path)
{
	enum move possible[MOVES];
	unsigned count = 0;

	for (int move = 0; move < MOVES; move++)
		if (is_possible(p, (enum move)move))
			possible[count++] = (enum move)move;
	if (count == 0)
		return false;
	make(p, possible[choose(path, count)]);
	return true;
}

/* Every record is settled if its delivery was confirmed, once, and left to the
 * replay otherwise. */
static void
check_records(const struct play *p)
{
	for (size_t i = 0; i < fake_store.count; i++) {
		const struct fake_record *r = &fake_store.records[i];

		assert_true(r->done);
		assert_int_equal(r->released, r->ok && r->held ? 1 : 0);
		if (r->msg != NULL)
			assert_int_equal(r->settled,
			    r->ok && p->facts.confirmed ? 1 : 0);
	}
}

static void
begin(struct play *p, enum beginning beginning)
{
	open_with_store(&p->site);
	if (beginning == DOWN)
		set_down(&p->site, 0);
	p->before = read_books(p->site.targets[0]);
	ship(&p->s, &p->site, 1);
	if (beginning == LETTER)
		refuse_leg(&p->s, 0, "name-invalid");
	start(&p->s);
	if (beginning == SENT) {
		assert_int_equal(fake_held(p->site.main_sink), 1);
		p->delivery = p->site.main_sink->held[0];
	}
}

static void
play(struct path *path, enum beginning beginning)
{
	struct play p = { .delivery = NULL };
	bool settled;

	freeze();
	begin(&p, beginning);
	check(&p);
	while (choose_move(&p, path))
		check(&p);
	settled = is_safe(&p.facts);
	assert_int_equal(p.s.receipts, 1);
	expect_end(&p.s, p.s.waiter.outcome);
	assert_int_equal(p.s.waiter.outcome != HB_UNSETTLED, settled);
	check_records(&p);
	expect_books(p.site.targets[0], &p.before, p.facts.confirmed,
	    p.facts.set_aside, !settled, 0);
	assert_int_equal(read_books(p.site.dead).pending, 0);
	site_close(&p.site);
	hb_clock_thaw();
}

static void
test_every_order(void **state)
{
	(void)state;
	for (int beginning = 0; beginning < BEGINNINGS; beginning++) {
		struct path path = { .len = 0 };
		unsigned plays = 0;

		do {
			play(&path, (enum beginning)beginning);
			plays++;
		} while (next_path(&path));
		print_message("%u orders\n", plays);
		assert_true(plays >= 5);
	}
}

/* --- which way it begins -------------------------------------------------- */

struct way {
	const char *what;
	bool spooled_first, is_down, is_unready, is_ordered, has_backlog;
	enum hb_code refuses;
	/* What is to be expected. */
	unsigned sent, kept;
	const char *reason; /* of an answer at once */
};

static bool is_ordered_now;

static bool
fake_is_ordered(const struct hb_sink_conf *conf)
{
	(void)conf;
	return is_ordered_now;
}

static void
check_way(const struct way *way)
{
	struct hb_sink_ops ops = fake_ops;
	struct shipment s;
	struct site site;

	print_message("%s\n", way->what);
	open_with_store(&site);
	ops.is_ordered = fake_is_ordered;
	is_ordered_now = way->is_ordered;
	site.main_sink->sink.ops = &ops;
	site.main_sink->is_unready = way->is_unready;
	fake_store.refuses = way->refuses;
	fake_store.has_backlog = way->has_backlog;
	if (way->spooled_first)
		site.rig.endpoint.ack = HB_ACK_SPOOLED;
	if (way->is_down)
		set_down(&site, 0);
	ship(&s, &site, 1);
	start(&s);
	assert_int_equal(fake_held(site.main_sink), way->sent);
	assert_int_equal(fake_store.count, way->kept);
	if (way->sent > 0)
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	for (size_t i = 0; i < way->kept; i++)
		fake_store_done(i, HB_OK);
	site_turn(&site);
	assert_int_equal(s.receipts, 1);
	if (way->reason != NULL)
		expect_receipt(&s, HB_UNSETTLED, way->reason);
	else
		assert_int_equal(s.receipt.outcome, way->sent > 0
		    ? HB_CONFIRMED
		    : fake_store.records[0].msg != NULL ? HB_SPOOLED
							: HB_DEAD_LETTERED);
	if (fake_held(site.dead_sink) > 0)
		site_report(&site, site.dead_sink, 0, HB_REPORT_RETRY);
	site_close(&site);
}

static void
test_ways(void **state)
{
	static const struct way ways[] = {
		{ "up", .sent = 1 },
		{ "up, and the store is full", .refuses = HB_E_RESOURCE,
		    .sent = 1 },
		{ "down", .is_down = true, .kept = 1 },
		{ "unready", .is_unready = true, .kept = 1 },
		{ "down, and the store is full", .is_down = true,
		    .refuses = HB_E_RESOURCE, .reason = "spool-full" },
		{ "down, and the destination has its share", .is_down = true,
		    .refuses = HB_E_DEAD, .kept = 1 },
		{ "spool first", .spooled_first = true, .kept = 1 },
		{ "spool first, but it is full", .spooled_first = true,
		    .refuses = HB_E_RESOURCE, .sent = 1 },
		{ "spool first, full, down", .spooled_first = true,
		    .is_down = true, .refuses = HB_E_RESOURCE,
		    .reason = "spool-full" },
		{ "ordered, nobody before it", .is_ordered = true, .sent = 1 },
		{ "ordered, others before it", .is_ordered = true,
		    .has_backlog = true, .kept = 1 },
		{ "ordered, others before it, full", .is_ordered = true,
		    .has_backlog = true, .refuses = HB_E_RESOURCE,
		    .reason = "spool-full" },
		{ "not ordered, others before it", .has_backlog = true,
		    .sent = 1 },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(ways); i++)
		check_way(&ways[i]);
}

/* One destination that is down does not keep the others from being sent; the
 * answer says the worst of them. */
static void
test_one_of_several_is_down(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	open_with_store(&site);
	set_down(&site, 1);
	ship(&s, &site, DESTS);
	start(&s);
	assert_int_equal(fake_held(site.main_sink), DESTS - 1);
	assert_int_equal(fake_store.count, 1);
	assert_false(fake_store.records[0].held);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	assert_int_equal(s.receipts, 0);
	fake_store_done(0, HB_OK);
	expect_receipt(&s, HB_SPOOLED, NULL);
	expect_end(&s, HB_SPOOLED);
	site_close(&site);
}

/* An event that cannot settle costs its other destinations nothing. */
static void
test_no_room_for_one_of_several(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	open_with_store(&site);
	set_down(&site, 2);
	fake_store.refuses = HB_E_RESOURCE;
	ship(&s, &site, DESTS);
	start(&s);
	assert_int_equal(fake_held(site.main_sink), 0);
	expect_receipt(&s, HB_UNSETTLED, "spool-full");
	assert_int_equal(hb_deliver_in_flight(site.deliver), 0);
	site_close(&site);
}

/* Nor one that would have to be set aside, where that is not possible; the copy
 * of a dead letter is enough, and then it is one. */
static void
test_no_room_to_set_one_aside(void **state)
{
	(void)state;
	for (int has_copy = 0; has_copy < 2; has_copy++) {
		struct shipment s;
		struct site site;

		open_with_store(&site);
		if (!has_copy)
			site.rig.cfg.dead_letter = NULL;
		set_down(&site, 1);
		fake_store.refuses = HB_E_DEAD;
		fake_store.dead_is_full = true;
		ship(&s, &site, 2);
		start(&s);
		assert_int_equal(fake_store.count, 0);
		assert_int_equal(fake_held(site.main_sink), has_copy);
		if (!has_copy) {
			expect_receipt(&s, HB_UNSETTLED, "dead-full");
			site_close(&site);
			continue;
		}
		assert_text(header_of(&site.dead_sink->held[0]->msg,
		    "hb_reason"), "destination-share");
		site_report(&site, site.dead_sink, 0, HB_REPORT_CONFIRMED);
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
		expect_end(&s, HB_DEAD_LETTERED);
		site_close(&site);
	}
}

/* --- dead letters --------------------------------------------------------- */

static void
test_dead_letter_needs_no_sink(void **state)
{
	int64_t letters = dead_letters("policy");
	struct books before;
	struct shipment s;
	struct site site;

	(void)state;
	open_with_store(&site);
	site.rig.cfg.dead_letter = NULL;
	before = read_books(site.targets[0]);
	ship(&s, &site, 1);
	start(&s);
	fake_report(site.main_sink, 0, HB_REPORT_REFUSED, "policy");
	site_turn(&site);
	assert_int_equal(s.receipts, 0);
	assert_int_equal(fake_store.count, 1);
	assert_string_equal(fake_store.records[0].reason, "policy");
	assert_string_equal(fake_store.records[0].place, "main:a");
	expect_books(site.targets[0], &before, 0, 0, 0, 1);
	fake_store_done(0, HB_OK);
	expect_receipt(&s, HB_DEAD_LETTERED, NULL);
	expect_books(site.targets[0], &before, 0, 1, 0, 0);
	assert_int_equal(dead_letters("policy"), letters + 1);
	expect_end(&s, HB_DEAD_LETTERED);
	site_close(&site);
}

/* The copy that was confirmed releases what is on disk, whichever was first;
 * one that was not leaves it there. */
static void
test_copy_releases_the_letter(void **state)
{
	(void)state;
	for (int copy_first = 0; copy_first < 2; copy_first++)
		for (int confirmed = 0; confirmed < 2; confirmed++) {
			struct shipment s;
			struct site site;

			open_with_store(&site);
			ship(&s, &site, 0);
			s.plan.reason = "unrouted";
			start(&s);
			if (!copy_first)
				fake_store_done(0, HB_OK);
			site_report(&site, site.dead_sink, 0, confirmed
			    ? HB_REPORT_CONFIRMED : HB_REPORT_RETRY);
			if (copy_first)
				fake_store_done(0, HB_OK);
			expect_receipt(&s, HB_DEAD_LETTERED, NULL);
			expect_end(&s, HB_DEAD_LETTERED);
			assert_int_equal(fake_store.records[0].settled,
			    confirmed);
			site_close(&site);
		}
}

/* --- one of the two is late ----------------------------------------------- */

/* A sink that says it is late tells nothing new of what is being kept: the
 * answer waits for the store. */
static void
test_overdue_after_the_deadline(void **state)
{
	struct hb_delivery *first;
	struct shipment s;
	struct site site;

	(void)state;
	freeze();
	open_with_store(&site);
	ship(&s, &site, 2);
	start(&s);
	first = site.main_sink->held[0];
	pass_ms(2);
	await_late(&s);
	assert_int_equal(fake_store.count, 2);
	first->on_overdue(first);
	assert_int_equal(s.receipts, 0);
	fake_store_done(0, HB_OK);
	assert_int_equal(s.receipts, 0);
	fake_store_done(1, HB_OK);
	expect_receipt(&s, HB_SPOOLED, NULL);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_end(&s, HB_SPOOLED);
	site_close(&site);
	hb_clock_thaw();
}

/* One of them says "never", the other "not now": whichever was first, it is
 * set aside. */
static void
test_never_and_not_now(void **state)
{
	(void)state;
	for (int never_says = 0; never_says < 2; never_says++)
		for (int sink_first = 0; sink_first < 2; sink_first++) {
			struct hb_delivery *delivery;
			struct shipment s;
			struct site site;
			enum hb_report report = never_says == 0
			    ? HB_REPORT_REFUSED : HB_REPORT_RETRY;
			enum hb_code code = never_says == 0
			    ? HB_E_RESOURCE : HB_E_DEAD;

			open_with_store(&site);
			site.rig.cfg.dead_letter = NULL;
			ship(&s, &site, 1);
			start(&s);
			delivery = site.main_sink->held[0];
			delivery->on_overdue(delivery);
			if (!sink_first)
				fake_store_done(0, code);
			fake_report(site.main_sink, 0, report,
			    never_says == 0 ? "policy" : NULL);
			site_turn(&site);
			if (sink_first)
				fake_store_done(0, code);
			assert_int_equal(s.receipts, 0);
			assert_int_equal(fake_store.count, 2);
			assert_string_equal(fake_store.records[1].reason,
			    never_says == 0 ? "policy" : "destination-share");
			fake_store_done(1, HB_OK);
			expect_receipt(&s, HB_DEAD_LETTERED, NULL);
			expect_end(&s, HB_DEAD_LETTERED);
			site_close(&site);
		}
}

/* --- by reference --------------------------------------------------------- */

/* An event whose result does not fit where it may go by reference. */
static void
ship_too_large(struct shipment *s, struct site *site)
{
	struct hb_span result;

	site->main_sink->fits = 4096;
	site->targets[0]->oversize = HB_OVERSIZE_CLAIM_CHECK;
	ship(s, site, 1);
	result.len = 50000;
	result.ptr = memset(hb_arena_alloc(s->tracker->ev->arena, result.len),
	    '7', result.len);
	s->tracker->ev->result = result;
}

static void
test_goes_by_reference(void **state)
{
	static const char digest[] = "0123456789abcdef0123456789abcdef"
				     "0123456789abcdef0123456789abcdef";
	const struct hb_message *msg;
	struct shipment s;
	struct site site;

	(void)state;
	open_with_store(&site);
	ship_too_large(&s, &site);
	start(&s);
	assert_non_null(fake_store.claim);
	assert_int_equal(fake_held(site.main_sink), 0);
	fake_store.claim->ok = true;
	memcpy(fake_store.claim->digest, digest, sizeof(digest));
	fake_store.claim->done(fake_store.claim);
	assert_int_equal(fake_held(site.main_sink), 1);
	msg = &site.main_sink->held[0]->msg;
	assert_true(msg->value.len < 4096);
	assert_non_null(memmem(msg->value.ptr, msg->value.len, digest,
	    sizeof(digest) - 1));
	site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
	expect_receipt(&s, HB_CONFIRMED, NULL);
	expect_end(&s, HB_CONFIRMED);
	site_close(&site);
}

/* No room for the body: what would refer to it is a dead letter. */
static void
test_body_cannot_be_kept(void **state)
{
	struct shipment s;
	struct site site;

	(void)state;
	open_with_store(&site);
	site.rig.cfg.dead_letter = NULL;
	ship_too_large(&s, &site);
	start(&s);
	hb_fail_reason(&fake_store.claim->err, HB_E_RESOURCE, "claims-full",
	    "as the test says");
	fake_store.claim->done(fake_store.claim);
	assert_int_equal(fake_store.count, 1);
	assert_string_equal(fake_store.records[0].reason, "claims-full");
	fake_store_done(0, HB_OK);
	expect_receipt(&s, HB_DEAD_LETTERED, NULL);
	expect_end(&s, HB_DEAD_LETTERED);
	site_close(&site);
}

/* The ack deadline comes while the body is being written: nothing was sent, and
 * nothing is settled; it goes on all the same. It is kept at once, too, so that
 * who asks again need not wait for a sink that hangs. */
static void
test_late_while_the_body_is_kept(void **state)
{
	(void)state;
	for (int sink_first = 0; sink_first < 2; sink_first++) {
		struct shipment s;
		struct site site;

		freeze();
		open_with_store(&site);
		ship_too_large(&s, &site);
		start(&s);
		pass_ms(2);
		await_late(&s);
		expect_receipt(&s, HB_UNSETTLED, "deadline");
		fake_store.claim->ok = true;
		fake_store.claim->done(fake_store.claim);
		assert_int_equal(fake_held(site.main_sink), 1);
		assert_int_equal(fake_store.count, 1);
		assert_true(fake_store.records[0].held);
		if (!sink_first)
			fake_store_done(0, HB_OK);
		site_report(&site, site.main_sink, 0, HB_REPORT_CONFIRMED);
		assert_int_equal(s.waiter.outcome,
		    sink_first ? HB_CONFIRMED : HB_SPOOLED);
		if (sink_first)
			fake_store_done(0, HB_OK);
		assert_int_equal(fake_store.records[0].settled, 1);
		expect_end(&s, sink_first ? HB_CONFIRMED : HB_SPOOLED);
		site_close(&site);
		hb_clock_thaw();
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_order),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_one_of_several_is_down),
		cmocka_unit_test(test_no_room_for_one_of_several),
		cmocka_unit_test(test_no_room_to_set_one_aside),
		cmocka_unit_test(test_dead_letter_needs_no_sink),
		cmocka_unit_test(test_copy_releases_the_letter),
		cmocka_unit_test(test_overdue_after_the_deadline),
		cmocka_unit_test(test_never_and_not_now),
		cmocka_unit_test(test_goes_by_reference),
		cmocka_unit_test(test_body_cannot_be_kept),
		cmocka_unit_test(test_late_while_the_body_is_kept),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
