/* SPDX-License-Identifier: Apache-2.0 */
/* test_route.c - which routes match, where their copies go, and that the index
 * leaves none out, nor takes many in
 *
 * The linker puts us between routes and predicates (--wrap): the cost of
 * routing is counted in rows that are evaluated, not in time. */
#include "../../src/route/index.h"
#include "hookbridge/route.h"
#include "route_rig.h"

static unsigned evaluated;

bool __real_hb_predicate_holds(const struct hb_predicate_conf *predicate,
    struct hb_span value, bool present);
bool __wrap_hb_predicate_holds(const struct hb_predicate_conf *predicate,
    struct hb_span value, bool present);

bool
__wrap_hb_predicate_holds(const struct hb_predicate_conf *predicate,
    struct hb_span value, bool present)
{
	evaluated++;
	return __real_hb_predicate_holds(predicate, value, present);
}

/* --- channels ------------------------------------------------------------- */

/* One or two rows on channels, an event's channels, the leg's channel. */
struct channel_row {
	enum hb_predicate_op op;
	const char *values; /* beginning with "!": negated; NULL: no row */
};

static const struct {
	struct channel_row rows[2];
	const char *channels;
	int mismatch; /* the row that does not hold; -1: all do */
	const char *channel;
} channel_cases[] = {
    {{{HB_P_ANY_OF, NULL}}, NULL, -1, NULL},
    {{{HB_P_ANY_OF, NULL}}, "a|b", -1, "a"},
    {{{HB_P_ANY_OF, "a"}}, "a", -1, "a"},
    {{{HB_P_ANY_OF, "a"}}, "b", 0, NULL},
    {{{HB_P_ANY_OF, "a"}}, NULL, 0, NULL},
    {{{HB_P_ANY_OF, "b"}}, "a|b", -1, "b"},
    {{{HB_P_ANY_OF, "b|a"}}, "a|b", -1, "a"}, /* in the event's order */
    {{{HB_P_PREFIX, "pro"}}, "test|production", -1, "production"},
    {{{HB_P_GLOB, "*-eu"}}, "a-us|b-eu|c-eu", -1, "b-eu"},
    {{{HB_P_EXISTS, ""}}, "a|b", -1, "a"},
    {{{HB_P_EXISTS, ""}}, NULL, 0, NULL},
    {{{HB_P_ABSENT, ""}}, NULL, -1, NULL},
    {{{HB_P_ABSENT, ""}}, "a", 0, NULL},
    /* A negated row keeps away whoever has the value anywhere. */
    {{{HB_P_ANY_OF, "!a"}}, "b", -1, "b"},
    {{{HB_P_ANY_OF, "!a"}}, "a", 0, NULL},
    {{{HB_P_ANY_OF, "!a"}}, "a|b", 0, NULL},
    {{{HB_P_ANY_OF, "!a"}}, "b|a", 0, NULL},
    {{{HB_P_ANY_OF, "!a"}}, NULL, 0, NULL},
    {{{HB_P_PREFIX, "!pro"}}, "test|production", 0, NULL},
    /* Two rows speak of the same channel. */
    {{{HB_P_PREFIX, "a"}, {HB_P_GLOB, "*z"}}, "ax|bz", 1, NULL},
    {{{HB_P_PREFIX, "a"}, {HB_P_GLOB, "*z"}}, "ax|bz|az", -1, "az"},
    {{{HB_P_GLOB, "*z"}, {HB_P_PREFIX, "a"}}, "az|ax", -1, "az"},
    {{{HB_P_PREFIX, "a"}, {HB_P_ANY_OF, "!b"}}, "x|ab", -1, "ab"},
    {{{HB_P_PREFIX, "a"}, {HB_P_ANY_OF, "!b"}}, "ab|b", 1, NULL},
};

static void
test_channels(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(channel_cases); i++) {
		struct hb_route_conf *route;
		const struct hb_predicate_conf *row;
		struct hb_span channel = HB_SPAN("untouched");
		struct hb_event *ev;
		struct rig rig;

		rig_init(&rig);
		route = rig_route(&rig, "one");
		for (size_t j = 0; j < 2; j++) {
			const char *values = channel_cases[i].rows[j].values;
			bool negate = values != NULL && values[0] == '!';

			if (values != NULL)
				rig_when(&rig, route, HB_VAR_CHANNEL,
				    channel_cases[i].rows[j].op,
				    values + negate)
				    ->negate = negate;
		}
		ev = rig_event(&rig, channel_cases[i].channels, "{}");
		row = hb_route_mismatch(ev, route, &channel);
		if (row != (channel_cases[i].mismatch < 0
				   ? NULL
				   : &route->when[channel_cases[i].mismatch]) ||
		    hb_span_is_set(channel) !=
			(channel_cases[i].channel != NULL) ||
		    !hb_span_eq(channel, hb_span_of(channel_cases[i].channel)))
			fail_msg("channel case %zu", i);
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

/* Explain names the first row that fails, whatever its variable. */
static void
test_mismatch(void **state)
{
	struct hb_route_conf *route;
	struct hb_span channel;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	route = rig_route(&rig, "one");
	rig_when(&rig, route, HB_VAR_STATUS, HB_P_ANY_OF, "completed");
	rig_when(&rig, route, RIG_KIND, HB_P_ANY_OF, "invoice");
	rig_when(&rig, route, RIG_N, HB_P_GE, "10");
	ev = rig_event(&rig, "a", "{}");
	assert_ptr_equal(hb_route_mismatch(ev, route, &channel),
	    &route->when[1]);
	rig_set(ev, RIG_KIND, "invoice");
	assert_ptr_equal(hb_route_mismatch(ev, route, &channel),
	    &route->when[2]);
	rig_set(ev, RIG_N, "9.99");
	assert_ptr_equal(hb_route_mismatch(ev, route, &channel),
	    &route->when[2]);
	rig_set(ev, RIG_N, "1e1");
	assert_null(hb_route_mismatch(ev, route, &channel));
	assert_true(hb_span_eq(channel, HB_SPAN("a")));
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* --- plans ---------------------------------------------------------------- */

/* The plan as text: "sink:name@channel=key" or "sink!reason:name", joined by
 * blanks; a reason alone where the whole event is refused. */
static const char *
plan_text(struct rig *rig, const struct hb_plan *plan)
{
	const char *text = "";

	if (plan->reason != NULL) {
		assert_int_equal(plan->leg_count, 0);
		return plan->reason;
	}
	for (size_t i = 0; i < plan->leg_count; i++) {
		const struct hb_leg *leg = &plan->legs[i];
		const char *blank = i > 0 ? " " : "";

		assert_true((leg->dest == NULL) == (leg->reason != NULL));
		if (leg->dest == NULL)
			text = hb_arena_printf(rig->arena, "%s%s%s!%s:%.*s",
			    text, blank, leg->target->sink->name, leg->reason,
			    HB_SPAN_ARG(leg->name))
				   .ptr;
		else
			text =
			    hb_arena_printf(rig->arena, "%s%s%s:%s@%.*s=%.*s",
				text, blank, leg->dest->sink->name,
				leg->dest->name, (int)leg->channel.len,
				hb_span_is_set(leg->channel) ? leg->channel.ptr
							     : "",
				HB_SPAN_ARG(leg->key))
				.ptr;
	}
	return text;
}

static void
expect_plan(struct rig *rig, struct hb_event *ev, const char *want)
{
	struct hb_router *router = hb_router_new(&rig->cfg);
	struct hb_plan plan;

	hb_route(router, ev, &plan);
	assert_string_equal(plan_text(rig, &plan), want);
	hb_router_free(router);
}

static void
test_union(void **state)
{
	struct hb_sink_conf *main_sink, *file;
	struct hb_route_conf *route;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	main_sink = rig_sink(&rig, "main");
	file = rig_sink(&rig, "file");
	route = rig_route(&rig, "first");
	rig_to(&rig, route, main_sink, "jobs", NULL, "{metadata.kind}");
	route = rig_route(&rig, "not this one");
	rig_when(&rig, route, HB_VAR_STATUS, HB_P_ANY_OF, "failed");
	rig_to(&rig, route, main_sink, "failures", NULL, NULL);
	route = rig_route(&rig, "second");
	rig_when(&rig, route, HB_VAR_CHANNEL, HB_P_ANY_OF, "b");
	rig_to(&rig, route, main_sink, "jobs", NULL, "{metadata.tag}");
	rig_to(&rig, route, main_sink, "b", NULL, NULL);
	rig_to(&rig, route, file, NULL, NULL, NULL);
	rig_to(&rig, route, file, "jobs", NULL, NULL); /* another sink's */
	ev = rig_event(&rig, "a|b", "{}");
	rig_set(ev, RIG_KIND, "invoice");
	rig_set(ev, RIG_TAG, "never seen");
	expect_plan(&rig, ev,
	    "main:jobs@a=invoice main:b@b=job-1 "
	    "file:@b=job-1 file:jobs@b=job-1");
	hb_event_unref(ev);
	rig_fini(&rig);
}

static void
test_final_and_default(void **state)
{
	static const struct {
		const char *kind, *plan;
	} cases[] = {
	    {"plain", "s:plain@=job-1 s:both@=job-1"},
	    {"last", "s:last@=job-1"},
	    {"both", "s:both@=job-1"},
	    {"nothing", "s:rest@=job-1 s:rest-2@=job-1"},
	    {"stop", "s:rest@=job-1 s:stop@=job-1"},
	};
	struct hb_sink_conf *sink;
	struct hb_route_conf *route;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	sink = rig_sink(&rig, "s");
	route = rig_route(&rig, "default, first of all");
	route->is_default = true;
	rig_to(&rig, route, sink, "rest", NULL, NULL);
	route = rig_route(&rig, "plain");
	rig_when(&rig, route, RIG_KIND, HB_P_ANY_OF, "plain");
	rig_to(&rig, route, sink, "plain", NULL, NULL);
	route = rig_route(&rig, "final");
	rig_when(&rig, route, RIG_KIND, HB_P_PREFIX, "last");
	rig_to(&rig, route, sink, "last", NULL, NULL);
	route->final = true;
	route = rig_route(&rig, "both");
	rig_when(&rig, route, RIG_KIND, HB_P_ANY_OF, "both|plain|last");
	rig_to(&rig, route, sink, "both", NULL, NULL);
	route = rig_route(&rig, "default with a condition, final");
	rig_when(&rig, route, RIG_KIND, HB_P_ANY_OF, "stop");
	route->is_default = route->final = true;
	rig_to(&rig, route, sink, "stop", NULL, NULL);
	route = rig_route(&rig, "last default");
	route->is_default = true;
	rig_to(&rig, route, sink, "rest-2", NULL, NULL);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_event *ev = rig_event(&rig, NULL, "{}");

		rig_set(ev, RIG_KIND, cases[i].kind);
		expect_plan(&rig, ev, cases[i].plan);
		hb_event_unref(ev);
	}
	rig_fini(&rig);
}

static void
test_unrouted(void **state)
{
	struct hb_route_conf *route;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a", "{}");
	expect_plan(&rig, ev, "unrouted"); /* without any route */
	route = rig_route(&rig, "other");
	rig_when(&rig, route, HB_VAR_STATUS, HB_P_ANY_OF, "failed");
	rig_to(&rig, route, rig_sink(&rig, "s"), "failures", NULL, NULL);
	expect_plan(&rig, ev, "unrouted");
	route = rig_route(&rig, "default with a condition");
	route->is_default = true;
	rig_when(&rig, route, HB_VAR_CHANNEL, HB_P_ANY_OF, "b");
	rig_to(&rig, route, rig_sink(&rig, "s"), "rest", NULL, NULL);
	expect_plan(&rig, ev, "unrouted");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* 32 destinations are allowed, naming one of them again is no 33rd. */
static void
test_too_many(void **state)
{
	struct hb_sink_conf *sink;
	struct hb_route_conf *route;
	struct hb_router *router;
	struct hb_event *ev;
	struct hb_plan plan;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	sink = rig_sink(&rig, "s");
	route = rig_route(&rig, "one");
	for (int i = 0; i < HB_MAX_DESTINATIONS; i++)
		rig_to(&rig, route, sink,
		    hb_arena_printf(rig.arena, "t%d", i).ptr, NULL, NULL);
	route = rig_route(&rig, "again");
	rig_to(&rig, route, sink, "t5", NULL, NULL);
	router = hb_router_new(&rig.cfg);
	ev = rig_event(&rig, NULL, "{}");
	hb_route(router, ev, &plan);
	assert_null(plan.reason);
	assert_int_equal(plan.leg_count, HB_MAX_DESTINATIONS);
	rig_to(&rig, route, sink, "one-too-many", NULL, NULL);
	hb_route(router, ev, &plan);
	assert_string_equal(plan.reason, "too-many-destinations");
	assert_int_equal(plan.leg_count, 0);
	hb_event_unref(ev);
	hb_router_free(router);
	rig_fini(&rig);
}

/* --- names and keys from data --------------------------------------------- */

#define LIST "jobs.a|jobs.b|jobs."

static const struct {
	const char *name, *kind; /* the template, and what kind is */
	const char *plan;
} names[] = {
    {"jobs.{metadata.kind}", "a", "s:jobs.a@c=job-1"},
    {"jobs.{metadata.kind}", "b", "s:jobs.b@c=job-1"},
    {"jobs.{metadata.kind}", "x", "s!name-not-allowed:jobs.x"},
    {"jobs.{metadata.kind}", "A", "s!name-invalid:jobs.A"},
    {"jobs.{metadata.kind}", "a/../b", "s!name-invalid:jobs.a/../b"},
    {"jobs.{metadata.kind}", "a\n", "s!name-invalid:jobs.a\n"},
    {"jobs.{metadata.kind}", NULL, "s!name-missing:jobs.{metadata.kind}"},
    {"jobs.{metadata.kind}", "", "s!name-missing:jobs.{metadata.kind}"},
    {"jobs.{metadata.kind|b}", NULL, "s:jobs.b@c=job-1"},
    {"jobs.{metadata.kind|}", NULL, "s:jobs.@c=job-1"},
    {"jobs.{metadata.kind|z}", NULL, "s!name-not-allowed:jobs.z"},
    {"{metadata.kind|}", NULL, "s!name-invalid:"},
    {"jobs.{channel}", "ignored", "s!name-not-allowed:jobs.c"},
    {"{metadata.kind}", "jobs.a", "s:jobs.a@c=job-1"},
    {"{metadata.kind}", "jobs.a|jobs.b", "s!name-invalid:jobs.a|jobs.b"},
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(names); i++) {
		struct hb_event *ev;
		struct rig rig;

		rig_init(&rig);
		rig_to(&rig, rig_route(&rig, "one"), rig_sink(&rig, "s"),
		    names[i].name, LIST, NULL);
		ev = rig_event(&rig, "c", "{}");
		rig_set(ev, RIG_KIND, names[i].kind);
		expect_plan(&rig, ev, names[i].plan);
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

/* One refused copy does not hold back the others, and is refused once. */
static void
test_refused_among_others(void **state)
{
	struct hb_sink_conf *sink;
	struct hb_route_conf *route;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	sink = rig_sink(&rig, "s");
	route = rig_route(&rig, "one");
	rig_to(&rig, route, sink, "{metadata.kind}", "a", NULL);
	rig_to(&rig, route, sink, "good", NULL, NULL);
	route = rig_route(&rig, "two");
	rig_to(&rig, route, sink, "{metadata.kind}", "b", NULL);
	rig_to(&rig, route, sink, "{metadata.tag}", "b", NULL);
	/* What one route may not name, another may. */
	rig_to(&rig, route, sink, "bad", NULL, NULL);
	ev = rig_event(&rig, NULL, "{}");
	rig_set(ev, RIG_KIND, "bad");
	expect_plan(&rig, ev,
	    "s!name-not-allowed:bad s:good@=job-1 "
	    "s!name-missing:{metadata.tag} s:bad@=job-1");
	hb_event_unref(ev);
	rig_fini(&rig);
}

static void
test_keys(void **state)
{
	static char longest[1025], too_long[1026];
	static const struct {
		const char *key, *kind, *want;
		bool replaced;
	} cases[] = {
	    {NULL, "k", "job-1", 0}, {"{metadata.kind}", "k", "k", 0},
	    {"{metadata.kind}:{status}", "k", "k:completed", 0},
	    {"{metadata.kind}", NULL, "job-1", 1},
	    {"{metadata.kind}", "", "job-1", 1},
	    {"{metadata.kind|none}", NULL, "none", 0},
	    {"{metadata.kind|}", NULL, "job-1", 1}, {"{channel}", "k", "b", 0},
	    {"{metadata.kind}", longest, longest, 0},
	    {"{metadata.kind}", too_long, "job-1", 1},
	    {"{metadata.kind}", "\xc3\xa4 \xf0\x9f\x98\x80",
		"\xc3\xa4 \xf0\x9f\x98\x80", 0},
	    {"{metadata.kind}", "\xc3", "job-1", 1},
	    {"{metadata.kind}", "\xc0\x80", "job-1", 1},
	    {"{metadata.kind}", "\xed\xa0\x80", "job-1", 1},
	    {"{metadata.kind}", "\xf4\x90\x80\x80", "job-1", 1},
	    {"{metadata.kind}", "\xf9\x80\x80\x80", "job-1", 1},
	    {"{metadata.kind}", "\x80", "job-1", 1},
	    {"{metadata.kind}", "a\tb", "a\tb", 0}, /* any text is a key */
	};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_route_conf *route;
		struct hb_router *router;
		struct hb_event *ev;
		struct hb_plan plan;
		struct rig rig;

		rig_init(&rig);
		route = rig_route(&rig, "one");
		rig_when(&rig, route, HB_VAR_CHANNEL, HB_P_ANY_OF, "b");
		rig_to(
		    &rig, route, rig_sink(&rig, "s"), "t", NULL, cases[i].key);
		router = hb_router_new(&rig.cfg);
		ev = rig_event(&rig, "a|b", "{}");
		rig_set(ev, RIG_KIND, cases[i].kind);
		hb_route(router, ev, &plan);
		assert_int_equal(plan.leg_count, 1);
		if (!hb_span_eq(plan.legs[0].key, hb_span_of(cases[i].want)) ||
		    plan.legs[0].key_replaced != cases[i].replaced)
			fail_msg("key case %zu", i);
		hb_event_unref(ev);
		hb_router_free(router);
		rig_fini(&rig);
	}
}

/* --- the index ------------------------------------------------------------ */

static unsigned
count_candidates(const struct rig *rig, const struct hb_event *ev)
{
	struct hb_route_index *index = hb_route_index_new(&rig->cfg);
	uint64_t set[RIG_ROUTES / HB_ROUTES_PER_WORD];
	unsigned count = 0;

	hb_route_index_find(index, ev, set);
	for (size_t i = 0; i < hb_route_index_words(index); i++)
		count += (unsigned)__builtin_popcountll(set[i]);
	hb_route_index_free(index);
	return count;
}

/* Of a thousand routes whose conditions differ somewhere, an event meets only
 * those that it can match, whichever variable tells them apart. */
static void
test_index_selects(void **state)
{
	static const int vars[] = {
	    HB_VAR_CHANNEL, HB_VAR_JOB_TYPE, RIG_KIND, RIG_TAG};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(vars); i++) {
		struct hb_event *ev;
		struct rig rig;

		rig_init(&rig);
		for (unsigned n = 0; n < 1000; n++) {
			struct hb_route_conf *route = rig_route(&rig, "r");

			rig_when(&rig, route, HB_VAR_STATUS, HB_P_ANY_OF,
			    "completed|failed");
			rig_when(&rig, route, vars[i], HB_P_ANY_OF,
			    hb_arena_printf(rig.arena, "v%u|w%u", n, n).ptr);
		}
		ev = rig_event(&rig, "v77|w77|v999|x", "{}");
		if (vars[i] != HB_VAR_CHANNEL)
			rig_set(ev, vars[i], "w500");
		assert_int_equal(count_candidates(&rig, ev),
		    vars[i] == HB_VAR_CHANNEL ? 2 : 1);
		hb_event_unref(ev);
		/* A route that asks for nothing of the kind is always tried. */
		rig_when(&rig, rig_route(&rig, "prefix"), RIG_KIND, HB_P_PREFIX,
		    "v");
		rig_when(
		    &rig, rig_route(&rig, "not"), RIG_KIND, HB_P_ANY_OF, "v")
		    ->negate = true;
		rig_route(&rig, "all");
		ev = rig_event(&rig, NULL, "{}");
		assert_int_equal(count_candidates(&rig, ev), 3);
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

/* The rows that one event costs, among so many routes: of customers, each with
 * its documents, under a common status. */
static unsigned
cost_among(unsigned routes)
{
	struct hb_sink_conf *sink;
	struct hb_router *router;
	struct hb_event *ev;
	struct hb_plan plan;
	struct rig rig;

	rig_init(&rig);
	sink = rig_sink(&rig, "s");
	for (unsigned n = 0; n < routes; n++) {
		struct hb_route_conf *route = rig_route(&rig, "r");

		rig_when(&rig, route, HB_VAR_STATUS, HB_P_ANY_OF, "completed");
		rig_when(&rig, route, RIG_TAG, HB_P_ANY_OF,
		    hb_arena_printf(rig.arena, "customer-%u", n).ptr);
		rig_when(&rig, route, RIG_KIND, HB_P_GLOB, "inv*");
		rig_to(&rig, route, sink, "t", NULL, NULL);
	}
	router = hb_router_new(&rig.cfg);
	ev = rig_event(&rig, NULL, "{}");
	rig_set(ev, RIG_TAG, "customer-7");
	rig_set(ev, RIG_KIND, "invoice");
	evaluated = 0;
	hb_route(router, ev, &plan);
	assert_int_equal(plan.leg_count, 1);
	hb_event_unref(ev);
	hb_router_free(router);
	rig_fini(&rig);
	return evaluated;
}

static void
test_cost_is_flat(void **state)
{
	(void)state;
	assert_int_equal(cost_among(10), 3);
	assert_int_equal(cost_among(1000), 3);
}

/* xorshift32: the same on every machine. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static unsigned
below(uint32_t *seed, unsigned limit)
{
	return next_random(seed) % limit;
}

static const char *
random_values(uint32_t *seed)
{
	static const char *const lists[] = {"a", "b", "c", "a|b", "b|c",
	    "a|b|a", "", "completed", "failed|completed", "production", "1",
	    "ab|abc", "x|y|z"};

	return lists[below(seed, HB_COUNT(lists))];
}

static const char *
random_value(uint32_t *seed)
{
	static const char *const values[] = {NULL, "a", "b", "c", "", "ab",
	    "abc", "1", "2.5", "completed", "failed", "production", "x",
	    "much longer than anything that a route could ask for"};

	return values[below(seed, HB_COUNT(values))];
}

static void
random_row(struct rig *rig, struct hb_route_conf *route, uint32_t *seed)
{
	enum hb_predicate_op op =
	    below(seed, 3) > 0 ? HB_P_ANY_OF
			       : (enum hb_predicate_op)below(seed, HB_P_LE + 1);
	const char *values = random_values(seed);

	if (op >= HB_P_GT)
		values = "2";
	rig_when(rig, route, (int)below(seed, RIG_VARS), op, values)->negate =
	    op != HB_P_EXISTS && op != HB_P_ABSENT && below(seed, 4) == 0;
}

static void
random_routes(struct rig *rig, uint32_t *seed)
{
	struct hb_sink_conf *sink = rig_sink(rig, "s");
	static const char *const fixed[] = {"t1", "t2", "t3", "t4", "t5"};
	unsigned count = 1 + below(seed, 150);

	for (unsigned i = 0; i < count; i++) {
		struct hb_route_conf *route = rig_route(rig, "r");

		for (unsigned rows = below(seed, 4); rows > 0; rows--)
			random_row(rig, route, seed);
		for (unsigned n = 1 + below(seed, 2); n > 0; n--) {
			if (below(seed, 4) == 0)
				rig_to(
				    rig, route, sink, "{channel}", "a|b", NULL);
			else
				rig_to(rig, route, sink,
				    fixed[below(seed, HB_COUNT(fixed))], NULL,
				    "{metadata.kind}");
		}
		route->final = below(seed, 40) == 0;
		route->is_default = below(seed, 10) == 0;
	}
}

static struct hb_event *
random_event(struct rig *rig, uint32_t *seed)
{
	static const char *const channels[] = {
	    NULL, "a", "b", "a|b", "c|b|a", "production", "x|a"};
	struct hb_event *ev =
	    rig_event(rig, channels[below(seed, HB_COUNT(channels))], "{}");

	for (int var = 0; var < RIG_VARS; var++)
		if (var != HB_VAR_CHANNEL && var != HB_VAR_JOB_ID)
			rig_set(ev, var, random_value(seed));
	/* An array or object: there, but no scalar. */
	if (!hb_span_is_set(ev->vars[RIG_TAG]))
		ev->present[RIG_TAG] = below(seed, 2) == 0;
	return ev;
}

/* Routing by the book: every route tried, in order, defaults after the others.
 * Only the places of the legs: the first time each is named. */
static const char *
plan_by_trying_all(struct rig *rig, struct hb_event *ev)
{
	const char *seen = "|";
	unsigned matched = 0;

	for (int rank = 0; rank < 2 && matched == 0; rank++) {
		for (size_t i = 0; i < rig->cfg.route_count; i++) {
			const struct hb_route_conf *route = &rig->cfg.routes[i];
			struct hb_span channel;

			if (route->is_default != (rank == 1) ||
			    hb_route_mismatch(ev, route, &channel) != NULL)
				continue;
			matched++;
			for (size_t j = 0; j < route->to_count; j++) {
				struct hb_span place = hb_route_expand(
				    route->to[j]->name, ev, channel);
				const char *mark;

				if (!hb_span_is_set(place))
					place =
					    hb_tmpl_text(route->to[j]->name);
				mark = hb_arena_printf(
				    rig->arena, "|%.*s|", HB_SPAN_ARG(place))
					   .ptr;
				if (strstr(seen, mark) == NULL)
					seen = hb_arena_printf(
					    rig->arena, "%s%s", seen, mark + 1)
						   .ptr;
			}
			if (route->final)
				break;
		}
	}
	return matched > 0 ? seen : "unrouted";
}

static const char *
places_of(struct rig *rig, const struct hb_plan *plan)
{
	const char *seen = "|";

	if (plan->reason != NULL)
		return plan->reason;
	for (size_t i = 0; i < plan->leg_count; i++) {
		const struct hb_leg *leg = &plan->legs[i];
		struct hb_span place =
		    leg->dest != NULL ? hb_span_of(leg->dest->name) : leg->name;

		seen = hb_arena_printf(
		    rig->arena, "%s%.*s|", seen, HB_SPAN_ARG(place))
			   .ptr;
	}
	return seen;
}

#define CONFIGS 150
#define EVENTS 40

static void
test_index_is_equivalent(void **state)
{
	uint32_t seed = 20260101;
	unsigned routed = 0, unrouted = 0;

	(void)state;
	for (int i = 0; i < CONFIGS; i++) {
		struct hb_router *router;
		struct rig rig;

		rig_init(&rig);
		random_routes(&rig, &seed);
		router = hb_router_new(&rig.cfg);
		for (int j = 0; j < EVENTS; j++) {
			struct hb_event *ev = random_event(&rig, &seed);
			struct hb_plan plan;

			hb_route(router, ev, &plan);
			assert_string_equal(places_of(&rig, &plan),
			    plan_by_trying_all(&rig, ev));
			routed += plan.reason == NULL;
			unrouted += plan.reason != NULL;
			hb_event_unref(ev);
		}
		hb_router_free(router);
		rig_fini(&rig);
	}
	/* The comparison has had something to compare. */
	assert_true(routed > CONFIGS * EVENTS / 2);
	assert_true(unrouted > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_channels),
	    cmocka_unit_test(test_mismatch),
	    cmocka_unit_test(test_union),
	    cmocka_unit_test(test_final_and_default),
	    cmocka_unit_test(test_unrouted),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_refused_among_others),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_index_selects),
	    cmocka_unit_test(test_cost_is_flat),
	    cmocka_unit_test(test_index_is_equivalent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
