/* SPDX-License-Identifier: Apache-2.0 */
/* spool_reroute.c - "spool reroute": what waits for one sink goes to another
 *
 * The daemon tries some of them for each request; this repeats it behind the
 * last one of those, until all have been tried. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "client.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "units.h"

#define AT_ONCE 500

const char hb_ctl_spool_reroute_help[] =
    "Moves all deliveries that wait for a sink to another one, to the topic\n"
    "or stream of the same name there. SINK may be one that the configuration\n"
    "no longer has.\n"
    "\n"
    "      --to SINK        where to\n"
    "      --yes            do not ask first\n";

struct move {
	const struct hb_ctl *ctl;
	struct hb_client *client;
	const char *from, *to;
	bool yes;
	uint64_t records, bytes; /* that wait at the beginning */
	uint64_t left, after;
	char *why; /* of the first that was refused, escaped; or NULL */
	struct hb_batch batch;
};

/* --- what waits ----------------------------------------------------------- */

static void
count(struct move *move, const json_t *shelves)
{
	json_t *shelf;
	size_t i;

	json_array_foreach(shelves, i, shelf) {
		if (!hb_span_eq(hb_json_doc_string(shelf, "sink"),
			hb_span_of(move->from)))
			continue;
		move->records += hb_json_doc_count(shelf, "records");
		move->bytes += hb_json_doc_count(shelf, "bytes");
	}
}

/* EX_OK to go on. */
static int
confirm(struct move *move)
{
	char size[HB_UNITS_SIZE];
	char *from = hb_ctl_escape(hb_span_of(move->from));
	char *to = hb_ctl_escape(hb_span_of(move->to));
	int status;

	if (move->records == 0)
		status = hb_ctl_fail(EXIT_FAILURE, "nothing waits for a sink "
		    "\"%s\"; spool list shows what does", from);
	else
		status = hb_ctl_confirm(move->yes, "move %" PRIu64 " deliver%s "
		    "(%s) of sink \"%s\" to sink \"%s\"", move->records,
		    move->records == 1 ? "y" : "ies",
		    hb_units_bytes(move->bytes, size), from, to);
	free(from);
	free(to);
	return status;
}

/* --- moving --------------------------------------------------------------- */

/* One request; false: it was the last one. */
static bool
move_some(struct move *move, int *status)
{
	struct hb_span why;
	uint64_t next;
	json_t *doc = hb_client_post(move->client, "/api/v1/spool/reroute",
	    json_pack("{s:o, s:o, s:i, s:I}", "sink",
		hb_json_doc_text(hb_span_of(move->from)), "to",
		hb_json_doc_text(hb_span_of(move->to)), "limit", AT_ONCE,
		"after", (json_int_t)move->after), status);
	bool goes_on;

	if (doc == NULL)
		return false;
	next = hb_json_doc_count(doc, "next");
	goes_on = next > move->after;
	move->after = next;
	move->left = hb_json_doc_count(doc, "left");
	move->batch.done += hb_json_doc_count(doc, "moved");
	move->batch.failed += hb_json_doc_count(doc, "refused");
	why = hb_json_doc_string(doc, "why");
	if (hb_span_is_set(why) && move->why == NULL)
		move->why = hb_ctl_escape(why);
	json_decref(doc);
	return goes_on && move->left > 0;
}

static int
tell(struct move *move, int status)
{
	if (move->ctl->json) {
		json_t *doc = json_pack("{s:I, s:I, s:s?}", "moved",
		    (json_int_t)move->batch.done, "left",
		    (json_int_t)move->left, "why", move->why);

		hb_json_doc_put(doc);
		json_decref(doc);
	} else {
		printf("%" PRIu64 " moved, %" PRIu64 " left\n",
		    move->batch.done, move->left);
	}
	if (status == EX_OK && move->left > 0)
		status = hb_ctl_fail(EXIT_FAILURE, "not all could be moved: %s",
		    move->why != NULL ? move->why : "it was interrupted");
	return hb_ctl_finish(status);
}

static int
move_all(struct move *move)
{
	int status = confirm(move);

	if (status != EX_OK)
		return status;
	move->left = move->records;
	hb_batch_begin(&move->batch, "moved", move->records);
	while (hb_batch_goes_on(&move->batch) && move_some(move, &status))
		;
	hb_batch_end(&move->batch);
	status = tell(move, status);
	free(move->why);
	return status;
}

/* --- the command ---------------------------------------------------------- */

static int
run(struct move *move)
{
	int status = EX_OK;
	json_t *doc;

	move->client = hb_client_open(move->ctl, &status);
	if (move->client == NULL)
		return status;
	doc = hb_client_get(move->client, "/api/v1/spool", &status);
	if (doc != NULL) {
		count(move, json_object_get(doc, "shelves"));
		json_decref(doc);
		status = move_all(move);
	}
	hb_client_close(move->client);
	return status;
}

int
hb_ctl_spool_reroute(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_TO = HB_CTL_OPT_OWN, OPT_YES };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "to", required_argument, NULL, OPT_TO },
		{ "yes", no_argument, NULL, OPT_YES },
		{ NULL, 0, NULL, 0 },
	};
	struct move move = { .ctl = ctl };
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		if (c == OPT_TO)
			move.to = optarg;
		else
			move.yes = true;
	}
	if (argc - optind != 1 || move.to == NULL)
		return hb_ctl_usage(ctl, "name a sink, and with --to another");
	move.from = argv[optind];
	if (strcmp(move.from, move.to) == 0)
		return hb_ctl_usage(ctl, "--to: expected another sink");
	return run(&move);
}
