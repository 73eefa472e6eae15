/* SPDX-License-Identifier: Apache-2.0 */
/* dead.c - "dead list" and "dead show" */
#include "dead.h"

#include <inttypes.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "show.h"
#include "table.h"
#include "units.h"

#define PAGE 1000

#define FILTERS                                                            \
	"      --reason WORD    only those with this reason\n"             \
	"      --endpoint NAME  only those of this endpoint\n"             \
	"      --before TIME    only those that were set aside before:\n"  \
	"                       2026-01-01T00:00:00.000Z or Unix seconds\n"

const char hb_ctl_dead_list_help[] =
    "Lists the dead letters: webhooks that are authentic and could not be\n"
    "published, with the reason.\n"
    "\n" FILTERS;

const char hb_ctl_dead_show_help[] =
    "Shows a dead letter: where it came from, why it is one, what it says.\n"
    "\n"
    "      --body           write only what was received, byte for byte; not\n"
    "                       to a terminal\n";

/* --- what is chosen ------------------------------------------------------- */

int
hb_dead_take_option(const struct hb_ctl *ctl, struct hb_dead_filter *filter,
    int c)
{
	switch (c) {
	case HB_DEAD_OPT_REASON:
		filter->reason = optarg;
		break;
	case HB_DEAD_OPT_ENDPOINT:
		filter->endpoint = optarg;
		break;
	default:
		filter->has_before = true;
		if (!hb_units_read_time(optarg, &filter->before_ms))
			return hb_ctl_usage(ctl, "--before: expected a time "
			    "such as 2026-01-01T00:00:00.000Z, or Unix "
			    "seconds");
	}
	return EX_OK;
}

/* The path of a page; for free(). */
static char *
page_path(struct hb_client *client, const struct hb_dead_filter *filter,
    uint64_t after)
{
	char *path = NULL;
	size_t len;
	FILE *out = open_memstream(&path, &len);

	if (out == NULL)
		hb_bug("no memory for a path");
	fprintf(out, "/api/v1/dead?limit=%d&after=%" PRIu64, PAGE, after);
	if (filter->reason != NULL)
		fprintf(out, "&reason=%s",
		    hb_client_quote(client, filter->reason));
	if (filter->endpoint != NULL)
		fprintf(out, "&endpoint=%s",
		    hb_client_quote(client, filter->endpoint));
	if (filter->has_before)
		fprintf(out, "&before_ms=%" PRId64, filter->before_ms);
	fclose(out);
	return path;
}

int
hb_dead_walk(struct hb_client *client, const struct hb_dead_filter *filter,
    bool (*each_page)(void *arg, const json_t *list), void *arg)
{
	uint64_t after = 0, next = 0;
	int status = EX_OK;
	bool goes_on;

	do {
		char *path = page_path(client, filter, after);
		json_t *page = hb_client_get(client, path, &status);

		free(path);
		if (page == NULL)
			return status;
		goes_on = each_page(arg, json_object_get(page, "dead"));
		next = hb_json_doc_count(page, "next");
		goes_on = goes_on && next > after;
		after = next;
		json_decref(page);
	} while (goes_on);
	return EX_OK;
}

/* --- the list ------------------------------------------------------------- */

static const struct hb_table_column columns[] = {
	{ "NUMBER", true, false },
	{ "KEPT", true, false },
	{ "REASON", false, true },
	{ "ENDPOINT", false, true },
	{ "SIZE", true, false },
	{ "EVENT", false, true },
	{ NULL, false, false },
};

struct list {
	const struct hb_ctl *ctl;
	struct hb_table *table;
	int64_t now_ms;
	uint64_t count;
};

static void
put_row(const struct list *list, const json_t *letter)
{
	int64_t kept_ms = (int64_t)hb_json_doc_count(letter, "kept_ms");
	struct hb_table *table = list->table;
	char text[HB_UNITS_SIZE];

	hb_table_printf(table, "%" PRIu64, hb_json_doc_count(letter, "id"));
	hb_table_printf(table, "%s",
	    hb_units_ago(kept_ms, list->now_ms, text));
	hb_table_put(table, hb_json_doc_string(letter, "reason"));
	hb_table_put(table, hb_json_doc_string(letter, "endpoint"));
	hb_table_printf(table, "%s",
	    hb_units_bytes(hb_json_doc_count(letter, "size"), text));
	hb_table_put(table, hb_json_doc_string(letter, "event_id"));
}

static bool
print_page(void *arg, const json_t *letters)
{
	struct list *list = arg;
	json_t *letter;
	size_t i;

	json_array_foreach(letters, i, letter) {
		list->count++;
		if (list->ctl->json)
			hb_json_doc_put(letter);
		else
			put_row(list, letter);
	}
	if (!list->ctl->json && json_array_size(letters) > 0)
		hb_table_print(list->table, stdout);
	return !ferror(stdout);
}

static int
print_list(const struct hb_ctl *ctl, const struct hb_dead_filter *filter)
{
	struct list list = { .ctl = ctl, .now_ms = hb_clock_wall_ms() };
	struct hb_client *client;
	int status = EX_OK;

	client = hb_client_open(ctl, &status);
	if (client == NULL)
		return status;
	list.table = hb_table_new(columns);
	status = hb_dead_walk(client, filter, print_page, &list);
	if (status == EX_OK && list.count == 0 && !ctl->json)
		puts(filter->reason != NULL || filter->endpoint != NULL ||
			    filter->has_before
			? "There are no dead letters of that kind."
			: "There are no dead letters.");
	hb_table_free(list.table);
	hb_client_close(client);
	return hb_ctl_finish(status);
}

/* --- the commands --------------------------------------------------------- */

int
hb_ctl_dead_list(struct hb_ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		HB_DEAD_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	struct hb_dead_filter filter = { NULL, NULL, 0, false };
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1)
		if (c == '?' ||
		    hb_dead_take_option(ctl, &filter, c) != EX_OK)
			return EX_USAGE;
	if (optind < argc)
		return hb_ctl_usage(ctl, "unexpected word; one letter is "
		    "shown by dead show");
	return print_list(ctl, &filter);
}

int
hb_ctl_dead_show(struct hb_ctl *ctl, int argc, char **argv)
{
	return hb_show_run(ctl, argc, argv, "/api/v1/dead/");
}
