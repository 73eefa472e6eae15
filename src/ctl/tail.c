/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - "tail": events as they settle, until it is interrupted
 *
 *   17:49:03.123  confirmed      production     12 ms  msg_2bXc...
 *       completed, job 81f0..., main:reducto.invoices
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

/* Text that may take so many columns, and takes at least that many. */
static void
put_column(struct hb_span text, int width)
{
	char *shown = hb_ctl_escape(hb_span_is_set(text) ? text
							 : HB_SPAN("-"));

	printf("  %-*.*s", width, width, shown);
	free(shown);
}

static void
put_head(const struct tail *tail, const json_t *doc)
{
	struct hb_span outcome = hb_json_doc_string(doc, "outcome");
	char iso[HB_TIME_ISO_SIZE], took[HB_UNITS_SIZE];

	hb_clock_iso((int64_t)hb_json_doc_count(doc, "at_ms"), iso);
	printf("%.12s", iso + strlen("2026-01-01T"));
	if (tail->coloured)
		printf("\033[%sm", colour_of(outcome));
	put_column(outcome, 13);
	if (tail->coloured)
		fputs("\033[0m", stdout);
	put_column(hb_json_doc_string(doc, "endpoint"), 12);
	printf("  %7s", hb_units_span((int64_t)hb_json_doc_count(doc,
			    "took_ms"), took));
	fputs("  ", stdout);
}

/* ", " and the text, where there is one. */
static void
put_piece(FILE *out, const char **comma, const char *before,
    struct hb_span text)
{
	if (text.len == 0)
		return;
	fprintf(out, "%s%s", *comma, before);
	fwrite(text.ptr, 1, text.len, out);
	*comma = ", ";
}

/* The second line, not escaped yet; for free(). */
static char *
describe(struct hb_span word, const json_t *doc)
{
	const char *comma = "";
	char *text = NULL;
	json_t *dest;
	size_t i, len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		hb_bug("no memory for a line");
	if (!hb_span_eq(word, HB_SPAN("event.settled")))
		put_piece(out, &comma, "", word);
	put_piece(out, &comma, "", hb_json_doc_string(doc, "status"));
	put_piece(out, &comma, "", hb_json_doc_string(doc, "reason"));
	put_piece(out, &comma, "job ", hb_json_doc_string(doc, "job_id"));
	json_array_foreach(json_object_get(doc, "destinations"), i, dest)
		put_piece(out, &comma, "", hb_span_of(json_string_value(dest)));
	fclose(out);
	return text;
}

/* As much as fits behind indent columns. */
static void
put_rest(struct hb_span text, int indent)
{
	char *shown = hb_ctl_escape(text);
	int room = HB_TABLE_COLUMNS - indent;

	if (strlen(shown) > (size_t)room)
		printf("%.*s...\n", room - 3, shown);
	else
		printf("%s\n", shown);
	free(shown);
}

static void
put_text(const struct tail *tail, struct hb_span word, const json_t *doc)
{
	struct hb_span id = hb_json_doc_string(doc, "id");
	char *details = describe(word, doc);

	put_head(tail, doc);
	put_rest(hb_span_is_set(id) ? id : HB_SPAN("-"), 52);
	if (details[0] != '\0') {
		fputs("    ", stdout);
		put_rest(hb_span_of(details), 4);
	}
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
		    "it; it is going down, or this was too slow");
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
