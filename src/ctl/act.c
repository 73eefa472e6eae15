/* SPDX-License-Identifier: Apache-2.0 */
/* act.c - request, count, tell */
#include "act.h"

#include <inttypes.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "json_doc.h"

/* So many failures are told one by one. */
#define TOLD_MAX 20

/* --- one record ----------------------------------------------------------- */

static void
tell_success(struct hb_act *act, uint64_t id, const json_t *doc)
{
	struct hb_span outcome = hb_json_doc_string(doc, "outcome");

	if (!hb_span_is_set(outcome))
		outcome = hb_span_of(act->kind->done);
	act->batch.done++;
	if (act->ctl->json) {
		hb_json_doc_print(json_pack("{s:I, s:o}", "id",
		    (json_int_t)id, "outcome", hb_json_doc_text(outcome)));
	} else if (!act->only_count) {
		printf("%" PRIu64 "  ", id);
		hb_ctl_put(stdout, outcome);
		putchar('\n');
	}
}

static void
tell_failure(struct hb_act *act, uint64_t id, long code, const char *reason)
{
	act->batch.failed++;
	if (act->ctl->json) {
		hb_json_doc_print(json_pack("{s:I, s:s, s:i}", "id",
		    (json_int_t)id, "error", reason, "code", (int)code));
	} else if (act->batch.failed <= TOLD_MAX) {
		hb_batch_clear(&act->batch);
		hb_ctl_fail(EX_OK, "%" PRIu64 ": %s", id, reason);
	} else if (act->batch.failed == TOLD_MAX + 1) {
		hb_batch_clear(&act->batch);
		hb_ctl_fail(EX_OK, "further failures are only counted");
	}
}

static void
take_answer(struct hb_act *act, uint64_t id,
    const struct hb_client_answer *answer)
{
	char *reason;

	if (!hb_client_is_yes(answer)) {
		reason = hb_client_reason(answer);
		tell_failure(act, id, answer->code, reason);
		free(reason);
	} else if (hb_span_eq(hb_json_doc_string(answer->doc, "outcome"),
		       HB_SPAN("dead-lettered"))) {
		/* It was not helped: a new one is there in its place. */
		tell_failure(act, id, answer->code,
		    "it is a dead letter again");
	} else {
		tell_success(act, id, answer->doc);
	}
}

bool
hb_act_on(struct hb_act *act, uint64_t id)
{
	const struct hb_act_kind *kind = act->kind;
	struct hb_client_answer answer;
	char *path;

	if (!hb_batch_goes_on(&act->batch))
		return false;
	if (asprintf(&path, "%s%" PRIu64 "/%s", kind->base, id, kind->path) < 0)
		hb_bug("no memory for a path");
	act->status = hb_client_ask(act->client, path, json_object(), &answer);
	free(path);
	if (act->status != EX_OK)
		return false;
	if (answer.code == 403) {
		hb_batch_clear(&act->batch);
		act->status = hb_client_refuse(&answer);
	} else {
		take_answer(act, id, &answer);
	}
	hb_client_answer_fini(&answer);
	return act->status == EX_OK && !ferror(stdout);
}

/* --- around it ------------------------------------------------------------ */

int
hb_act_confirm(const struct hb_act *act, uint64_t count)
{
	const struct hb_act_kind *kind = act->kind;

	if (count == 1 && kind->is_harmless)
		return EX_OK;
	return hb_ctl_confirm(act->yes, "%s %" PRIu64 " %s%s", kind->verb,
	    count, count == 1 ? kind->one : kind->many, kind->warning);
}

void
hb_act_begin(struct hb_act *act, uint64_t wanted)
{
	act->status = EX_OK;
	hb_batch_begin(&act->batch, act->kind->done, wanted);
}

int
hb_act_finish(struct hb_act *act)
{
	const struct hb_batch *batch = &act->batch;
	uint64_t ended = batch->done + batch->failed;
	uint64_t left = batch->wanted > ended ? batch->wanted - ended : 0;

	hb_batch_end(&act->batch);
	if (!act->ctl->json && (act->only_count || batch->failed + left > 0)) {
		printf("%" PRIu64 " %s", batch->done, act->kind->done);
		if (batch->failed > 0)
			printf(", %" PRIu64 " failed", batch->failed);
		if (left > 0)
			printf(", %" PRIu64 " left as they were", left);
		putchar('\n');
	}
	if (act->status != EX_OK)
		return hb_ctl_finish(act->status);
	return hb_ctl_finish(batch->failed + left > 0 ? EXIT_FAILURE : EX_OK);
}

int
hb_act_run(struct hb_act *act, int count, char **ids)
{
	int status = hb_act_confirm(act, (uint64_t)count);

	if (status != EX_OK)
		return status;
	hb_act_begin(act, (uint64_t)count);
	for (int i = 0; i < count; i++)
		if (!hb_act_on(act, strtoull(ids[i], NULL, 10)))
			break;
	return hb_act_finish(act);
}
