/* SPDX-License-Identifier: Apache-2.0 */
/* test_tracker_orders.c - every order in which destinations may report, and
 * every moment at which something may come in between */
#include "path.h"
#include "tracker_rig.h"

/* --- every interleaving --------------------------------------------------- */

/* What must be true, kept by the book. */
struct model {
	unsigned pending;
	bool failed, dead_lettered;
	bool answered, detached;
	struct hb_receipt receipt;
};

static void
model_answer(struct model *m, enum hb_outcome outcome, const char *reason)
{
	if (m->answered || m->detached)
		return;
	m->answered = true;
	m->receipt = (struct hb_receipt){ outcome, reason };
}

static enum hb_outcome
model_outcome(const struct model *m)
{
	return m->failed ? HB_UNSETTLED
	    : m->dead_lettered ? HB_DEAD_LETTERED : HB_CONFIRMED;
}

static void
model_report(struct model *m, bool of_copy, enum hb_report report)
{
	m->pending--;
	if (report == HB_REPORT_REFUSED && !of_copy)
		m->pending++; /* the copy */
	else if (report != HB_REPORT_CONFIRMED)
		m->failed = true;
	else if (of_copy)
		m->dead_lettered = true;
	if (m->failed)
		model_answer(m, HB_UNSETTLED, "delivery-failed");
	else if (m->pending == 0)
		model_answer(m, model_outcome(m), NULL);
}

static void
check_against(const struct model *m, struct shipment *s)
{
	struct site *site = s->site;

	assert_int_equal(s->receipts, m->answered ? 1 : 0);
	if (m->answered)
		expect_receipt(s, m->receipt.outcome, m->receipt.reason);
	assert_int_equal(fake_held(site->main_sink) +
	    fake_held(site->dead_sink), m->pending);
	if (m->pending > 0) {
		assert_int_equal(s->told, 0);
		assert_int_equal(hb_deliver_in_flight(site->deliver), 1);
	}
}

/* Reports one of those under way, as the path says. */
static void
report_chosen(struct path *path, struct model *m, struct shipment *s)
{
	struct site *site = s->site;
	size_t of_main = fake_held(site->main_sink);
	unsigned which = choose(path, m->pending);
	enum hb_report report = (enum hb_report)choose(path, 4);
	bool of_copy = which >= of_main;

	if (of_copy)
		site_report(site, site->dead_sink, which - of_main, report);
	else
		site_report(site, site->main_sink, which, report);
	model_report(m, of_copy, report);
}

enum interruption { REPORT, DEADLINE, DETACH, INTERRUPTIONS };

/* Before a report, time may be up or the answer no longer wanted. */
static void
interrupt_chosen(struct path *path, struct model *m, struct shipment *s)
{
	if (m->answered || m->detached)
		return;
	switch ((enum interruption)choose(path, INTERRUPTIONS)) {
	case DEADLINE:
		pass_ms(1);
		await_late(s);
		model_answer(m, HB_UNSETTLED, "deadline");
		break;
	case DETACH:
		hb_tracker_detach(s->tracker);
		m->detached = true;
		break;
	default:
		break;
	}
	check_against(m, s);
}

/* Plays every path with so many destinations; how many there were. */
static unsigned
play_all(struct site *site, size_t legs, bool interrupted)
{
	struct path path = { .len = 0 };
	unsigned played = 0;

	do {
		struct model m = { .pending = (unsigned)legs };
		struct shipment s;

		ship(&s, site, legs);
		start(&s);
		while (m.pending > 0) {
			if (interrupted)
				interrupt_chosen(&path, &m, &s);
			report_chosen(&path, &m, &s);
			check_against(&m, &s);
		}
		expect_end(&s, model_outcome(&m));
		check_against(&m, &s);
		played++;
	} while (next_path(&path));
	return played;
}

/* All orders of reports, of copies too, and all outcomes of each. */
static void
test_all_orders(void **state)
{
	struct books before[DESTS], all = { 0, 0, 0, 0 };
	unsigned played, sent = 0;
	struct site site;

	(void)state;
	site_open(&site);
	for (size_t i = 0; i < DESTS; i++)
		before[i] = read_books(site.targets[i]);
	played = play_all(&site, DESTS, false);
	/* n originals and c copies under way can go on in f(n, c) ways:
	 * f(n, c) = n (3 f(n-1, c) + f(n-1, c+1)) + 4 c f(n, c-1), f(0, 0) = 1.
	 */
	assert_int_equal(played, 11538);
	for (size_t i = 0; i < DESTS; i++) {
		struct books now = read_books(site.targets[i]);

		all.confirmed += now.confirmed - before[i].confirmed;
		all.dead_lettered +=
		    now.dead_lettered - before[i].dead_lettered;
		all.failed += now.failed - before[i].failed;
		assert_int_equal(now.pending, 0);
		sent += site.main_sink->sent[site.targets[i]->dests[0]->index];
	}
	assert_int_equal(sent, DESTS * played);
	assert_int_equal(all.confirmed + all.dead_lettered + all.failed, sent);
	assert_true(all.confirmed > 0 && all.dead_lettered > 0 &&
	    all.failed > 0);
	site_close(&site);
}

static void
test_all_interruptions(void **state)
{
	struct site site;

	(void)state;
	freeze();
	site_open_at(&site, 1, MEMORY);
	assert_true(play_all(&site, 2, true) > 3 * 186);
	site_close(&site);
	hb_clock_thaw();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_orders),
		cmocka_unit_test(test_all_interruptions),
	};

	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
