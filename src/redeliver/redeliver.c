/* SPDX-License-Identifier: Apache-2.0 */
/* redeliver.c - jobs: one record each, read, worked on, settled
 *
 *   begin ─► (the replay's loop) ─► read ─► retry ──► its event has settled ─┐
 *                                     ├───► move ───► kept on another shelf ─┤
 *                                     └───► drop                             │
 *   done ◄─ (the job's home) ◄──────────────── the record is settled ◄───────┘
 *
 * The record is settled last: whatever comes between leaves it where it is, and
 * at worst what it stands for arrives twice. Of two jobs on one record, the
 * second is refused; where the replay was faster, what was kept anew goes. */
#include "hookbridge/redeliver.h"

#include <stdlib.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "parts.h"

/* --- the end of a job ----------------------------------------------------- */

static void
on_done(struct hb_task *task)
{
	struct hb_redeliver_job *job =
	    hb_container_of(task, struct hb_redeliver_job, task);

	job->done(job);
}

static void
tell(struct hb_redeliver_job *job)
{
	job->task.run = on_done;
	hb_loop_post(job->home, &job->task);
}

static void
work_free(struct hb_redeliver_work *work)
{
	struct hb_redeliver_work **link = &work->redeliver->works;

	while (*link != work)
		link = &(*link)->next;
	*link = work->next;
	hb_record_fini(&work->rec);
	free(work);
}

void
hb_redeliver_end(struct hb_redeliver_work *work, enum hb_outcome outcome)
{
	struct hb_redeliver_job *job = work->job;

	job->ok = true;
	job->outcome = outcome;
	work_free(work);
	tell(job);
}

void
hb_redeliver_fail(struct hb_redeliver_work *work, const struct hb_error *err)
{
	struct hb_redeliver_job *job = work->job;

	job->err = *err;
	work_free(work);
	tell(job);
}

static void
fail(struct hb_redeliver_work *work, enum hb_code code, const char *reason,
    const char *text)
{
	struct hb_error err;

	hb_fail_reason(&err, code, reason, "record %llu: %s",
	    (unsigned long long)work->job->seq, text);
	hb_redeliver_fail(work, &err);
}

static void
fail_settled(struct hb_redeliver_work *work)
{
	fail(work, HB_E_REJECT, "not-found", "it was settled meanwhile");
}

/* --- dropping ------------------------------------------------------------- */

/* Where it is on no destination's books any more, on those of none. */
static void
count_dropped(const struct hb_dest_conf *dest)
{
	hb_metric_inc(hb_metric_get(HB_M_DELIVERIES,
	    dest != NULL ? dest->sink->name : "orphaned",
	    dest != NULL ? dest->label : "orphaned", "dropped", NULL));
}

static void
drop(struct hb_redeliver_work *work)
{
	const struct hb_record *rec = &work->rec;

	if (!hb_store_settle(&rec->kept)) {
		fail_settled(work);
		return;
	}
	if (work->job->kind == HB_SHELF_DEAD) {
		hb_log(HB_LOG_INFO, "dead.dropped",
		    HB_F_SPAN("endpoint", rec->endpoint),
		    HB_F_SPAN("id", rec->id), HB_F_SPAN("reason", rec->reason),
		    HB_F_SPAN("dst", rec->place));
	} else {
		count_dropped(rec->kept.shelf->dest);
		hb_log(HB_LOG_INFO, "spool.dropped",
		    HB_F_SPAN("endpoint", rec->endpoint),
		    HB_F_SPAN("id", rec->id), HB_F_SPAN("sink", rec->sink),
		    HB_F_SPAN("destination", rec->name));
	}
	hb_redeliver_end(work, HB_CONFIRMED);
}

/* --- moving --------------------------------------------------------------- */

static void
tell_moved(const struct hb_redeliver_work *work)
{
	const struct hb_record *rec = &work->rec;

	if (work->job->kind == HB_SHELF_DEAD)
		hb_log(HB_LOG_INFO, "dead.retried",
		    HB_F_SPAN("endpoint", rec->endpoint),
		    HB_F_SPAN("id", rec->id), HB_F_SPAN("reason", rec->reason),
		    HB_F_STR("outcome", hb_outcome_word(HB_SPOOLED)));
	else
		hb_log(HB_LOG_INFO, "spool.moved",
		    HB_F_SPAN("endpoint", rec->endpoint),
		    HB_F_SPAN("id", rec->id), HB_F_SPAN("sink", rec->sink),
		    HB_F_SPAN("destination", rec->name),
		    HB_F_STR("to", work->dest->sink->name));
}

static void
on_moved(struct hb_keep *keep)
{
	struct hb_redeliver_work *work =
	    hb_container_of(keep, struct hb_redeliver_work, keep);

	if (!keep->ok) {
		/* An operator's record is not set aside: it stays. */
		if (keep->err.code == HB_E_DEAD)
			keep->err.code = HB_E_RESOURCE;
		hb_redeliver_fail(work, &keep->err);
	} else if (!hb_store_settle(&work->rec.kept)) {
		(void)hb_store_settle(&keep->kept);
		fail_settled(work);
	} else {
		tell_moved(work);
		hb_redeliver_end(work, HB_SPOOLED);
	}
}

void
hb_redeliver_move(struct hb_redeliver_work *work,
    const struct hb_dest_conf *dest)
{
	work->dest = dest;
	work->keep = (struct hb_keep){ .home = work->redeliver->env.loop,
		.done = on_moved };
	hb_store_keep_moved(work->redeliver->env.store, &work->keep,
	    &work->rec, dest);
}

/* The destination of the same name that the sink has today. */
static const struct hb_dest_conf *
find_in_sink(const struct hb_config *cfg, const char *sink,
    struct hb_span name)
{
	for (size_t i = 0; i < cfg->dest_count; i++)
		if (strcmp(cfg->dests[i]->sink->name, sink) == 0 &&
		    hb_span_eq(hb_span_of(cfg->dests[i]->name), name))
			return cfg->dests[i];
	return NULL;
}

static void
reroute(struct hb_redeliver_work *work)
{
	const struct hb_record *rec = &work->rec;
	const struct hb_dest_conf *dest = find_in_sink(
	    work->redeliver->env.cfg, work->job->to_sink, rec->name);

	if (dest == NULL || dest == rec->kept.shelf->dest)
		fail(work, HB_E_REJECT, "no-destination",
		    "that sink has no destination of this name, other than "
		    "where it is");
	else
		hb_redeliver_move(work, dest);
}

/* --- the beginning -------------------------------------------------------- */

static void
do_job(struct hb_redeliver_work *work)
{
	struct hb_redeliver_env *env = &work->redeliver->env;
	const struct hb_redeliver_job *job = work->job;

	if (hb_store_is_held(env->store, &work->rec, NULL, NULL)) {
		fail(work, HB_E_RETRY, "held", "it is at its sink just now");
		return;
	}
	switch (job->what) {
	case HB_REDELIVER_RETRY:
		hb_redeliver_retry(work);
		return;
	case HB_REDELIVER_DROP:
		drop(work);
		return;
	case HB_REDELIVER_MOVE:
		reroute(work);
		return;
	}
}

static bool
is_under_way(const struct hb_redeliver_job *job)
{
	const struct hb_redeliver_work *work = job->redeliver->works;

	while (work != NULL && (work->job->kind != job->kind ||
	    work->job->seq != job->seq))
		work = work->next;
	return work != NULL;
}

/* Reads the job's record; false with the job's error. */
static bool
read_record(struct hb_redeliver_job *job, struct hb_record *rec)
{
	if (is_under_way(job))
		return hb_fail_reason(&job->err, HB_E_RETRY, "held",
		    "record %llu: somebody else works on it just now",
		    (unsigned long long)job->seq);
	return hb_store_get(job->redeliver->env.store, job->kind, job->seq,
	    rec, &job->err);
}

static void
on_begin(struct hb_task *task)
{
	struct hb_redeliver_job *job =
	    hb_container_of(task, struct hb_redeliver_job, task);
	struct hb_redeliver *redeliver = job->redeliver;
	struct hb_redeliver_work *work;
	struct hb_record rec;

	if (!read_record(job, &rec)) {
		tell(job);
		return;
	}
	work = hb_xcalloc(1, sizeof(*work));
	*work = (struct hb_redeliver_work){ .redeliver = redeliver,
		.job = job,
		.rec = rec,
		.next = redeliver->works };
	redeliver->works = work;
	do_job(work);
}

void
hb_redeliver_begin(struct hb_redeliver *redeliver,
    struct hb_redeliver_job *job)
{
	bool is_delivery = job->kind == HB_SHELF_DELIVERIES;

	if ((job->what == HB_REDELIVER_RETRY && is_delivery) ||
	    (job->what == HB_REDELIVER_MOVE && !is_delivery))
		hb_bug("deliveries are moved, dead letters are retried");
	job->redeliver = redeliver;
	job->ok = false;
	job->err = (struct hb_error){ .code = HB_OK };
	job->task = (struct hb_task){ .run = on_begin };
	hb_loop_post(redeliver->env.loop, &job->task);
}

/* --- the whole ------------------------------------------------------------ */

struct hb_redeliver *
hb_redeliver_new(const struct hb_redeliver_env *env)
{
	struct hb_redeliver *redeliver = hb_xcalloc(1, sizeof(*redeliver));

	redeliver->env = *env;
	redeliver->router = hb_router_new(env->cfg);
	redeliver->courier = hb_courier_new(env->deliver, env->loop);
	return redeliver;
}

void
hb_redeliver_free(struct hb_redeliver *redeliver)
{
	if (redeliver == NULL)
		return;
	if (redeliver->works != NULL)
		hb_bug("record %llu is being worked on",
		    (unsigned long long)redeliver->works->job->seq);
	hb_courier_free(redeliver->courier);
	hb_router_free(redeliver->router);
	free(redeliver);
}
