/* SPDX-License-Identifier: Apache-2.0 */
/* reroute.c - moves what waits for one sink to another, some at a time
 *
 * One request tries a limited number, AT_ONCE of them under way together, and
 * is answered when the last has ended; its sender repeats it behind the last
 * one that was tried, so that those which cannot be moved hide no others. The
 * walk goes on while moves are under way: what is moved is on another sink's
 * shelf. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/redeliver.h"
#include "parts.h"

#define LIMIT_USUAL 500
#define LIMIT_MAX 1000
#define AT_ONCE 64
#define NUMBER_MAX ((uint64_t)INT64_MAX - 1)

struct reroute;

struct move {
	struct reroute *reroute;
	struct hb_redeliver_job job;
	bool busy;
};

struct reroute {
	struct hb_call *call;
	struct hb_span from;
	const char *to;
	struct hb_walk *walk;
	uint64_t limit, begun, moved, refused;
	uint64_t last; /* the number of the last one begun */
	unsigned under_way;
	bool ended;   /* the walk: no more for now */
	bool is_last; /* there are no more */
	char why[256]; /* of the first that was refused */
	struct move moves[AT_ONCE];
};

static void
reroute_free(void *work)
{
	struct reroute *r = work;

	hb_walk_free(r->walk);
	free(r);
}

static const struct hb_call_work work = { .free = reroute_free };

/* How many still wait for the sink. */
static uint64_t
count_left(const struct reroute *r)
{
	const struct hb_shelf *shelf = hb_store_shelves(
	    r->call->admin->env.store, HB_SHELF_DELIVERIES);
	uint64_t left = 0;

	for (; shelf != NULL; shelf = shelf->next) {
		struct hb_spool_lane_stats lane;

		if (!hb_span_eq(shelf->sink, r->from))
			continue;
		hb_spool_lane_stats(shelf->lane, &lane);
		left += lane.records;
	}
	return left;
}

static void
answer(struct reroute *r)
{
	json_t *doc = json_pack("{s:I,s:I,s:I}", "moved", (json_int_t)r->moved,
	    "refused", (json_int_t)r->refused, "left",
	    (json_int_t)count_left(r));

	json_object_set_new(doc, "next", r->is_last || r->last == 0
		? json_null() : json_integer((json_int_t)r->last));
	hb_admin_set(doc, "why",
	    hb_span_of(r->why[0] != '\0' ? r->why : NULL));
	hb_admin_say(r->call, 200, doc);
}

static void
note_refusal(struct reroute *r, const struct hb_error *err)
{
	if (r->why[0] == '\0')
		snprintf(r->why, sizeof(r->why), "%s", err->text);
}

static void go_on(struct reroute *r);

static void
on_move_done(struct hb_redeliver_job *job)
{
	struct move *move = hb_container_of(job, struct move, job);
	struct reroute *r = move->reroute;

	move->busy = false;
	r->under_way--;
	hb_admin_exit(r->call->admin);
	if (job->ok) {
		r->moved++;
	} else {
		r->refused++;
		note_refusal(r, &job->err);
	}
	go_on(r);
}

static void
begin_move(struct reroute *r, uint64_t seq)
{
	struct move *move = r->moves;

	while (move->busy)
		move++;
	*move = (struct move){ .reroute = r,
		.busy = true,
		.job = { .what = HB_REDELIVER_MOVE,
		    .kind = HB_SHELF_DELIVERIES,
		    .seq = seq,
		    .to_sink = r->to,
		    .home = r->call->admin->env.loop,
		    .done = on_move_done } };
	r->last = seq;
	r->begun++;
	r->under_way++;
	hb_admin_enter(r->call->admin);
	hb_redeliver_begin(r->call->admin->env.redeliver, &move->job);
}

static void
begin_next(struct reroute *r)
{
	struct hb_record rec;
	struct hb_error err;

	switch (hb_walk_next(r->walk, &rec, &err)) {
	case HB_SPOOL_RECORD:
		begin_move(r, rec.kept.ref.seq);
		hb_record_fini(&rec);
		return;
	case HB_SPOOL_LATER:
		note_refusal(r, &err);
		break;
	case HB_SPOOL_END:
		r->is_last = true;
		break;
	}
	r->ended = true;
}

/* Begins as many moves as may be under way, but none once the admin is closed;
 * answers when the last has ended. */
static void
go_on(struct reroute *r)
{
	if (r->call->admin->server == NULL)
		r->ended = true;
	while (!r->ended && r->begun < r->limit && r->under_way < AT_ONCE)
		begin_next(r);
	if (r->under_way == 0)
		answer(r);
}

static bool
is_sink(const struct hb_config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->sink_count; i++)
		if (strcmp(cfg->sinks[i].name, name) == 0)
			return true;
	return false;
}

static bool
read_body(struct hb_call *call, const char **from, const char **to,
    uint64_t *limit, uint64_t *after)
{
	*limit = LIMIT_USUAL;
	*after = 0;
	if (!hb_admin_member_text(call, "sink", from) ||
	    !hb_admin_member_text(call, "to", to) ||
	    !hb_admin_member_number(call, "limit", 1, LIMIT_MAX, limit) ||
	    !hb_admin_member_number(call, "after", 0, NUMBER_MAX, after))
		return false;
	if (!is_sink(call->admin->env.cfg, *to))
		return hb_admin_refuse(call, 400,
		    "to: the configuration has no such sink");
	return strcmp(*from, *to) != 0 ||
	    hb_admin_refuse(call, 400, "to: expected another sink");
}

void
hb_admin_reroute(struct hb_call *call)
{
	struct hb_walk_filter filter = { .kind = HB_SHELF_DELIVERIES };
	const char *from, *to;
	struct reroute *r;
	uint64_t limit, after;

	if (!hb_admin_has_store(call) ||
	    !read_body(call, &from, &to, &limit, &after))
		return;
	r = hb_xcalloc(1, sizeof(*r));
	r->call = call;
	r->from = filter.sink = hb_span_of(from);
	r->to = to;
	r->limit = limit;
	r->walk = hb_walk_new(
	    call->admin->env.store, &filter, NULL, NULL, NULL);
	hb_walk_seek(r->walk, after + 1);
	call->doing = &work;
	call->work = r;
	go_on(r);
}
