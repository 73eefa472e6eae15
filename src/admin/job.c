/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - one record sent again or dropped
 *
 * The request waits for the job; whoever asked may be gone when it ends. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "hookbridge/redeliver.h"
#include "parts.h"

struct one {
	struct hb_call *call;
	struct hb_redeliver_job job;
};

static const struct hb_call_work work = { .free = free };

static void
refuse(struct hb_call *call, const struct hb_redeliver_job *job)
{
	const char *reason = job->err.reason;

	if (reason != NULL && strcmp(reason, "not-found") == 0)
		hb_admin_refuse_record(call, job->kind, job->seq);
	else
		hb_admin_refuse_error(call, &job->err);
}

static void
on_job_done(struct hb_redeliver_job *job)
{
	struct hb_call *call = hb_container_of(job, struct one, job)->call;

	hb_admin_exit(call->admin);
	if (!job->ok)
		refuse(call, job);
	else if (job->what == HB_REDELIVER_DROP)
		hb_admin_say(call, 200, json_pack("{s:b}", "dropped", 1));
	else
		hb_admin_say(call, 200,
		    json_pack("{s:s}", "outcome",
			hb_outcome_word(job->outcome)));
}

static void
begin(struct hb_call *call, enum hb_redeliver_what what,
    enum hb_shelf_kind kind)
{
	struct one *one;
	uint64_t seq;

	if (!hb_admin_has_store(call) || !hb_admin_part_number(call, &seq))
		return;
	one = hb_xcalloc(1, sizeof(*one));
	one->call = call;
	one->job = (struct hb_redeliver_job){ .what = what,
		.kind = kind,
		.seq = seq,
		.home = call->admin->env.loop,
		.done = on_job_done };
	call->doing = &work;
	call->work = one;
	hb_admin_enter(call->admin);
	hb_redeliver_begin(call->admin->env.redeliver, &one->job);
}

void
hb_admin_dead_retry(struct hb_call *call)
{
	begin(call, HB_REDELIVER_RETRY, HB_SHELF_DEAD);
}

void
hb_admin_dead_drop(struct hb_call *call)
{
	begin(call, HB_REDELIVER_DROP, HB_SHELF_DEAD);
}

void
hb_admin_spool_drop(struct hb_call *call)
{
	begin(call, HB_REDELIVER_DROP, HB_SHELF_DELIVERIES);
}
