/* SPDX-License-Identifier: Apache-2.0 */
/* act.h - something done to records one after the other
 *
 * Each is a request of its own; one that fails does not stop the rest. With
 * --json each is a line, for people there is a summary where one is needed. */
#ifndef HB_CTL_ACT_H
#define HB_CTL_ACT_H

#include "batch.h"
#include "client.h"

/* What is done, in words. */
struct hb_act_kind {
	const char *base, *path; /* before and behind the number */
	const char *verb, *done; /* "drop", "dropped" */
	const char *one, *many;	 /* "dead letter", "dead letters" */
	const char *warning;	 /* at the question's end: " for good" */
	bool is_harmless;	 /* one alone is not asked about */
};

struct hb_act {
	const struct hb_ctl *ctl;
	const struct hb_act_kind *kind;
	struct hb_client *client;
	bool yes;	 /* do not ask */
	bool only_count; /* successes are not told one by one */

	/* The work's own. */
	struct hb_batch batch;
	int status; /* of what ended it early; EX_OK */
};

/* Asks first; EX_OK to go on. */
int hb_act_confirm(const struct hb_act *act, uint64_t count);
void hb_act_begin(struct hb_act *act, uint64_t wanted);
/* False: the rest has no chance either. */
bool hb_act_on(struct hb_act *act, uint64_t id);
/* Tells what is still to be told; the exit code. */
int hb_act_finish(struct hb_act *act);

/* All of it for the numbers on a command line, which are some. */
int hb_act_run(struct hb_act *act, int count, char **ids);

#endif
