/* SPDX-License-Identifier: Apache-2.0 */
/* dead_act.c - "dead retry" and "dead drop"
 *
 * Which letters is said by their numbers, or by what they have in common. In
 * the latter case they are counted first; what is set aside while the work
 * goes on (a letter that was retried in vain, too) has a higher number than
 * all that were counted, and is left alone. */
#include "act.h"
#include "dead.h"
#include "json_doc.h"
#include "show.h"

#define CHOICE                                                              \
	"      --reason WORD    all that have this reason\n"                \
	"      --endpoint NAME  all of this endpoint\n"                     \
	"      --before TIME    all that were set aside before:\n"          \
	"                       2026-01-01T00:00:00.000Z or Unix seconds\n" \
	"      --all            all there are\n"                            \
	"      --yes            do not ask first\n"

const char hb_ctl_dead_retry_help[] =
    "Sends dead letters again, by today's routes, or only to the destination\n"
    "that has refused them. Those that arrive, or wait in the spool, are dead\n"
    "letters no more. Instead of numbers:\n"
    "\n" CHOICE;

const char hb_ctl_dead_drop_help[] =
    "Gives dead letters up. They are gone for good. Instead of numbers:\n"
    "\n" CHOICE;

static const struct hb_act_kind retry = { .base = "/api/v1/dead/",
	.path = "retry",
	.verb = "send",
	.done = "retried",
	.one = "dead letter",
	.many = "dead letters",
	.warning = " again",
	.is_harmless = true };

static const struct hb_act_kind drop = { .base = "/api/v1/dead/",
	.path = "drop",
	.verb = "drop",
	.done = "dropped",
	.one = "dead letter",
	.many = "dead letters",
	.warning = " for good" };

struct work {
	struct hb_act act;
	struct hb_dead_filter filter;
	bool all;
	uint64_t count, last; /* how many are meant, the highest number */
};

/* --- by what they have in common ------------------------------------------ */

static bool
count_page(void *arg, const json_t *list)
{
	struct work *work = arg;
	json_t *letter;
	size_t i;

	json_array_foreach(list, i, letter) {
		uint64_t id = hb_json_doc_count(letter, "id");

		work->count++;
		if (id > work->last)
			work->last = id;
	}
	return true;
}

static bool
act_on_page(void *arg, const json_t *list)
{
	struct work *work = arg;
	json_t *letter;
	size_t i;

	json_array_foreach(list, i, letter) {
		uint64_t id = hb_json_doc_count(letter, "id");

		if (id > work->last || !hb_act_on(&work->act, id))
			return false;
	}
	return true;
}

static int
run_filter(struct work *work)
{
	struct hb_client *client = work->act.client;
	int status = hb_dead_walk(client, &work->filter, count_page, work);

	if (status != EX_OK)
		return status;
	if (work->count == 0)
		return hb_ctl_fail(EXIT_FAILURE, "there are no dead letters "
		    "of that kind");
	status = hb_act_confirm(&work->act, work->count);
	if (status != EX_OK)
		return status;
	work->act.only_count = true;
	hb_act_begin(&work->act, work->count);
	status = hb_dead_walk(client, &work->filter, act_on_page, work);
	if (work->act.status == EX_OK)
		work->act.status = status;
	return hb_act_finish(&work->act);
}

/* --- the commands --------------------------------------------------------- */

static bool
has_filter(const struct work *work)
{
	return work->all || work->filter.reason != NULL ||
	    work->filter.endpoint != NULL || work->filter.has_before;
}

/* EX_OK, or EX_USAGE after it has been told. */
static int
check_choice(const struct work *work, int count, char **ids)
{
	const struct hb_ctl *ctl = work->act.ctl;

	if (has_filter(work) && count > 0)
		return hb_ctl_usage(ctl, "numbers, or what they have in "
		    "common: take one of them");
	if (!has_filter(work) && count == 0)
		return hb_ctl_usage(ctl, "say which: by numbers, by --reason, "
		    "--endpoint or --before, or --all");
	for (int i = 0; i < count; i++)
		if (!hb_show_is_id(ids[i]))
			return hb_ctl_usage(ctl, "expected numbers of the "
			    "list");
	return EX_OK;
}

static int
run(struct work *work, int count, char **ids)
{
	int status = check_choice(work, count, ids);

	if (status != EX_OK)
		return status;
	work->act.client = hb_client_open(work->act.ctl, &status);
	if (work->act.client == NULL)
		return status;
	status = has_filter(work) ? run_filter(work)
				  : hb_act_run(&work->act, count, ids);
	hb_client_close(work->act.client);
	return status;
}

static int
act(struct hb_ctl *ctl, int argc, char **argv, const struct hb_act_kind *kind)
{
	enum { OPT_ALL = HB_DEAD_OPT_OWN, OPT_YES };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		HB_DEAD_OPTIONS,
		{ "all", no_argument, NULL, OPT_ALL },
		{ "yes", no_argument, NULL, OPT_YES },
		{ NULL, 0, NULL, 0 },
	};
	struct work work = { .act = { .ctl = ctl, .kind = kind } };
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == OPT_ALL)
			work.all = true;
		else if (c == OPT_YES)
			work.act.yes = true;
		else if (c == '?' ||
		    hb_dead_take_option(ctl, &work.filter, c) != EX_OK)
			return EX_USAGE;
	}
	return run(&work, argc - optind, argv + optind);
}

int
hb_ctl_dead_retry(struct hb_ctl *ctl, int argc, char **argv)
{
	return act(ctl, argc, argv, &retry);
}

int
hb_ctl_dead_drop(struct hb_ctl *ctl, int argc, char **argv)
{
	return act(ctl, argc, argv, &drop);
}
