/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - "tail": events as they settle, until it is interrupted
 *
 *   17:49:03.123  confirmed      production    msg_2bXcAQ2LOyPo3nWxJ1hGdZFRq1N
 *       12 ms, completed, job 81f0..., main:reducto.invoices
 *
 * With --json each is one object on a line, as the daemon says it and with its
 * kind in "event". */
#include <inttypes.h>
#include <stdlib.h>

#include "client.h"
#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "sse.h"
#include "table.h"
#include "units.h"

#define TIME_COLUMNS 12
#define OUTCOME_COLUMNS 13
#define ENDPOINT_COLUMNS 12
#define HEAD_COLUMNS (TIME_COLUMNS + OUTCOME_COLUMNS + ENDPOINT_COLUMNS + 3 * 2)
#define INDENT 4

const char hb_ctl_tail_help[] =
    "Shows events as they settle, until it is interrupted.\n"
    "\n"
    "      --endpoint NAME  only those of this endpoint\n"
    "      --outcome WORD   only those that end so: confirmed, spooled,\n"
    "                       dead-lettered or duplicate\n";

struct tail {
	const struct hb_ctl *ctl;
	bool coloured;
	struct hb_sse sse;
};

/* --- one event ------------------------------------------------------------ */

static const char *
colour_of(struct hb_span outcome)
{
	if (hb_span_eq(outcome, HB_SPAN("confirmed")))
		return "32";
	if (hb_span_eq(outcome, HB_SPAN("dead-lettered")))
		return "31";
	return "33";
}

/* As much as fits into the columns; how many it takes. */
static size_t
put_cut(struct hb_span text, size_t width)
{
	char *shown = hb_ctl_escape(hb_span_is_set(text) ? text
							 : HB_SPAN("-"));
	size_t taken = hb_table_write_cut(stdout, hb_span_of(shown), width);

	free(shown);
	return taken;
}

/* Text that takes so many columns. */
static void
put_column(struct hb_span text, size_t width)
{
	fputs("  ", stdout);
	printf("%*s", (int)(width - put_cut(text, width)), "");
}

/* All but the id, which is wanted whole: it gets what is left of the line. */
static void
put_head(const struct tail *tail, const json_t *doc)
{
	struct hb_span outcome = hb_json_doc_string(doc, "outcome");
	char iso[HB_TIME_ISO_SIZE];

	hb_clock_iso((int64_t)hb_json_doc_count(doc, "at_ms"), iso);
	printf("%.*s", TIME_COLUMNS, iso + strlen("2026-01-01T"));
	if (tail->coloured)
		printf("\033[%sm", colour_of(outcome));
	put_column(outcome, OUTCOME_COLUMNS);
	if (tail->coloured)
		fputs("\033[0m", stdout);
	put_column(hb_json_doc_string(doc, "endpoint"), ENDPOINT_COLUMNS);
	fputs("  ", stdout);
}

/* ", " and the text, where there is one. */
static void
put_piece(FILE *out, const char *before, struct hb_span text)
{
	if (text.len == 0)
		return;
	fprintf(out, ", %s", before);
	fwrite(text.ptr, 1, text.len, out);
}

/* The second line, not escaped yet; for free(). */
static char *
describe(struct hb_span word, const json_t *doc)
{
	char *text = NULL, took[HB_UNITS_SIZE];
	json_t *dest;
	size_t i, len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		hb_bug("no memory for a line");
	fputs(hb_units_span((int64_t)hb_json_doc_count(doc, "took_ms"), took),
	    out);
	if (!hb_span_eq(word, HB_SPAN("event.settled")))
		put_piece(out, "", word);
	put_piece(out, "", hb_json_doc_string(doc, "status"));
	put_piece(out, "", hb_json_doc_string(doc, "reason"));
	put_piece(out, "job ", hb_json_doc_string(doc, "job_id"));
	json_array_foreach(json_object_get(doc, "destinations"), i, dest)
		put_piece(out, "", hb_span_of(json_string_value(dest)));
	fclose(out);
	return text;
}

static void
put_text(const struct tail *tail, struct hb_span word, const json_t *doc)
{
	char *details = describe(word, doc);

	put_head(tail, doc);
	put_cut(hb_json_doc_string(doc, "id"),
	    HB_TABLE_COLUMNS - HEAD_COLUMNS);
	printf("\n%*s", INDENT, "");
	put_cut(hb_span_of(details), HB_TABLE_COLUMNS - INDENT);
	putchar('\n');
	free(details);
}

static void
put_missed(uint64_t count)
{
	printf("... %" PRIu64 " events were too fast to be told\n", count);
}

/* --- the stream ----------------------------------------------------------- */

static bool
on_event(void *arg, struct hb_span name, struct hb_span data)
{
	const struct tail *tail = arg;
	json_t *doc = json_loadb(data.ptr, data.len, 0, NULL);

	if (!json_is_object(doc)) {
		json_decref(doc);
		return true;
	}
	if (tail->ctl->json) {
		json_object_set_new(doc, "event", hb_json_doc_text(name));
		hb_json_doc_put(doc);
	} else if (hb_span_eq(name, HB_SPAN("missed"))) {
		put_missed(hb_json_doc_count(doc, "count"));
	} else {
		put_text(tail, name, doc);
	}
	json_decref(doc);
	/* Nobody may be reading any more. */
	return fflush(stdout) == 0;
}

static bool
on_piece(void *arg, struct hb_span piece)
{
	struct tail *tail = arg;

	return hb_sse_take(&tail->sse, piece);
}

/* --- the command ---------------------------------------------------------- */

static int
run(const struct hb_ctl *ctl, const char *endpoint, const char *outcome)
{
	struct tail tail = { .ctl = ctl,
		.coloured = hb_ctl_has_colour(stdout),
		.sse = { .on_event = on_event, .arg = &tail } };
	struct hb_client *client;
	int status = EX_OK;
	char *path;

	client = hb_client_open(ctl, &status);
	if (client == NULL)
		return status;
	if (asprintf(&path, "/api/v1/tail%s%s%s%s",
		endpoint != NULL ? "?endpoint=" : "",
		endpoint != NULL ? hb_client_quote(client, endpoint) : "",
		outcome == NULL        ? ""
		    : endpoint != NULL ? "&outcome="
				       : "?outcome=",
		outcome != NULL ? hb_client_quote(client, outcome) : "") < 0)
		hb_bug("no memory for a path");
	status = hb_client_stream(client, path, on_piece, &tail);
	if (status == EX_OK && !ferror(stdout))
		status = hb_ctl_fail(EX_UNAVAILABLE, "the daemon has ended "
		    "the tail: it stops, or this was read too slowly");
	free(path);
	hb_sse_fini(&tail.sse);
	hb_client_close(client);
	return hb_ctl_finish(status);
}

int
hb_ctl_tail(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_ENDPOINT = HB_CTL_OPT_OWN, OPT_OUTCOME };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
		{ "outcome", required_argument, NULL, OPT_OUTCOME },
		{ NULL, 0, NULL, 0 },
	};
	const char *endpoint = NULL, *outcome = NULL;
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		if (c == OPT_ENDPOINT)
			endpoint = optarg;
		else
			outcome = optarg;
	}
	if (optind < argc)
		return hb_ctl_usage(ctl, "unexpected word");
	return run(ctl, endpoint, outcome);
}
