/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - "spool list", "spool show", "spool drop" */
#include <inttypes.h>
#include <stdlib.h>

#include "act.h"
#include "hookbridge/clock.h"
#include "json_doc.h"
#include "show.h"
#include "table.h"
#include "units.h"

const char hb_ctl_spool_list_help[] =
    "Lists what waits on disk for its destination. Orphaned is what belongs\n"
    "to a destination that the configuration no longer has: move it with\n"
    "spool reroute.\n";

const char hb_ctl_spool_show_help[] =
    "Shows a delivery that waits: where it is to go, and its message.\n"
    "\n"
    "      --body           write only the message's value, byte for byte;\n"
    "                       not to a terminal\n";

const char hb_ctl_spool_drop_help[] =
    "Gives deliveries up, by their numbers. They are gone for good.\n"
    "\n"
    "      --yes            do not ask first\n";

/* --- the list ------------------------------------------------------------- */

static const struct hb_table_column columns[] = {
	{ "SINK", false, true },
	{ "DESTINATION", false, true },
	{ "ENDPOINT", false, true },
	{ "WAIT", true, false },
	{ "SIZE", true, false },
	{ "OLDEST", true, false },
	{ "", false, false },
	{ NULL, false, false },
};

static void
put_row(struct hb_table *table, const json_t *shelf)
{
	int64_t oldest_ms = (int64_t)hb_json_doc_count(shelf, "oldest_ms");
	bool orphaned = json_is_true(json_object_get(shelf, "orphaned"));
	char text[HB_UNITS_SIZE];

	hb_table_put(table, hb_json_doc_string(shelf, "sink"));
	hb_table_put(table, hb_json_doc_string(shelf, "destination"));
	hb_table_put(table, hb_json_doc_string(shelf, "endpoint"));
	hb_table_printf(table, "%" PRIu64,
	    hb_json_doc_count(shelf, "records"));
	hb_table_printf(table, "%s",
	    hb_units_bytes(hb_json_doc_count(shelf, "bytes"), text));
	hb_table_printf(table, "%s",
	    hb_units_ago(oldest_ms, hb_clock_wall_ms(), text));
	hb_table_put(table, orphaned ? HB_SPAN("orphaned") : HB_SPAN(""));
	hb_table_paint(table, "31");
}

static void
print_table(const json_t *shelves)
{
	struct hb_table *table = hb_table_new(columns);
	json_t *shelf;
	size_t i;

	json_array_foreach(shelves, i, shelf)
		put_row(table, shelf);
	if (json_array_size(shelves) > 0)
		hb_table_print(table, stdout);
	else
		puts("Nothing waits.");
	hb_table_free(table);
}

static void
print_lines(const json_t *shelves)
{
	json_t *shelf;
	size_t i;

	json_array_foreach(shelves, i, shelf)
		hb_json_doc_put(shelf);
}

int
hb_ctl_spool_list(struct hb_ctl *ctl, int argc, char **argv)
{
	int status = hb_ctl_words(ctl, argc, argv, 0, 0);
	json_t *doc = NULL;

	if (status == EX_OK)
		doc = hb_client_post_once(ctl, "/api/v1/spool", NULL, &status);
	if (doc == NULL)
		return status;
	(ctl->json ? print_lines
		   : print_table)(json_object_get(doc, "shelves"));
	json_decref(doc);
	return hb_ctl_finish(EX_OK);
}

/* --- one, or some --------------------------------------------------------- */

int
hb_ctl_spool_show(struct hb_ctl *ctl, int argc, char **argv)
{
	return hb_show_run(ctl, argc, argv, "/api/v1/spool/");
}

static int
drop(struct hb_act *act, int count, char **ids)
{
	int status = EX_OK;

	if (count == 0)
		return hb_ctl_usage(act->ctl, "say which, by their numbers");
	for (int i = 0; i < count; i++)
		if (!hb_show_is_id(ids[i]))
			return hb_ctl_usage(act->ctl, "expected numbers of "
			    "deliveries");
	act->client = hb_client_open(act->ctl, &status);
	if (act->client == NULL)
		return status;
	status = hb_act_run(act, count, ids);
	hb_client_close(act->client);
	return status;
}

int
hb_ctl_spool_drop(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_YES = HB_CTL_OPT_OWN };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "yes", no_argument, NULL, OPT_YES },
		{ NULL, 0, NULL, 0 },
	};
	static const struct hb_act_kind kind = { .base = "/api/v1/spool/",
		.path = "drop",
		.verb = "drop",
		.done = "dropped",
		.one = "delivery",
		.many = "deliveries",
		.warning = " for good" };
	struct hb_act act = { .ctl = ctl, .kind = &kind };
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		act.yes = true;
	}
	return drop(&act, argc - optind, argv + optind);
}
