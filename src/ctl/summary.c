/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c - how a run of "send" went, for people and for programs
 *
 *   1000 webhooks to http://127.0.0.1:8080/e in 1.02 s, 980 a second
 *
 *        990  200  confirmed
 *         10  401  the request could not be verified; compare the endpoint's
 *                  secret and the clocks
 *
 *   latency  min 0.41 ms, p50 0.60 ms, p90 1.12 ms, p99 3.40 ms, max 5.12 ms */
#include <inttypes.h>
#include <string.h>

#include "ctl.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "send.h"

#define SAYS_COLUMN 17

static const struct {
	const char *name;
	double share;
} percentiles[] = { { "min", 0 }, { "p50", 0.5 }, { "p90", 0.9 },
	{ "p99", 0.99 }, { "max", 1 } };

static double
per_second(uint64_t count, uint64_t took_us)
{
	return took_us > 0 ? (double)count * 1e6 / (double)took_us : 0;
}

/* --- for people ----------------------------------------------------------- */

/* Three digits that count. */
static void
print_duration(uint64_t us)
{
	double ms = (double)us / 1000;

	if (ms < 10)
		printf("%.2f ms", ms);
	else if (ms < 100)
		printf("%.1f ms", ms);
	else if (ms < 1000)
		printf("%.0f ms", ms);
	else
		printf("%.2f s", ms / 1000);
}

static void
print_row(const struct hb_score_row *row)
{
	bool is_good = row->code >= 200 && row->code <= 299;
	const char *colour = is_good ? "\033[32m" : "\033[31m";
	bool coloured = hb_ctl_has_colour(stdout);
	char code[24] = "-";

	if (row->code > 0)
		snprintf(code, sizeof(code), "%ld", row->code);
	printf("  %8" PRIu64 "  %s%3s%s  ", row->count, coloured ? colour : "",
	    code, coloured ? "\033[0m" : "");
	hb_ctl_put_words(row->says, SAYS_COLUMN);
}

static void
print_latencies(const struct hb_score *score)
{
	fputs("\n  latency  ", stdout);
	for (size_t i = 0; i < HB_COUNT(percentiles); i++) {
		printf("%s%s ", i > 0 ? ", " : "", percentiles[i].name);
		print_duration(
		    hb_score_percentile(score, percentiles[i].share));
	}
	putchar('\n');
}

void
hb_summary_print(const struct hb_summary *summary)
{
	const struct hb_score *score = summary->score;
	uint64_t lost = summary->sent - score->accepted - score->refused -
	    score->unreachable;

	printf("%" PRIu64 " webhook%s to ", summary->sent,
	    summary->sent == 1 ? "" : "s");
	hb_ctl_put(stdout, hb_span_of(summary->to));
	fputs(" in ", stdout);
	print_duration(summary->took_us);
	if (summary->sent > 1)
		printf(", %.0f a second",
		    per_second(summary->sent, summary->took_us));
	if (summary->id != NULL)
		printf("\nid %s", summary->id);
	fputs("\n\n", stdout);
	for (size_t i = 0; i < score->row_count; i++)
		print_row(&score->rows[i]);
	if (lost > 0)
		printf("  %8" PRIu64 "    -  given up before the answer\n",
		    lost);
	if (summary->sent < summary->wanted)
		printf("  %8" PRIu64 "    -  not sent\n",
		    summary->wanted - summary->sent);
	if (score->latency_count > 1) /* of one the first line tells */
		print_latencies(score);
}

/* --- for programs --------------------------------------------------------- */

static json_t *
rows_json(const struct hb_score *score)
{
	json_t *list = json_array();

	for (size_t i = 0; i < score->row_count; i++) {
		const struct hb_score_row *row = &score->rows[i];
		json_t *item = json_pack("{s:I, s:o}", "count",
		    (json_int_t)row->count, "says",
		    hb_json_doc_text(hb_span_of(row->says)));

		if (row->code > 0)
			json_object_set_new(item, "code",
			    json_integer(row->code));
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *
latencies_json(const struct hb_score *score)
{
	json_t *latencies = json_object();

	for (size_t i = 0; i < HB_COUNT(percentiles); i++)
		json_object_set_new(latencies, percentiles[i].name,
		    json_real(hb_score_percentile(score,
				  percentiles[i].share) / 1e6));
	return latencies;
}

int
hb_summary_print_json(const struct hb_summary *summary)
{
	const struct hb_score *score = summary->score;
	json_t *doc = json_pack(
	    "{s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "url",
	    hb_json_doc_text(hb_span_of(summary->to)), "wanted",
	    (json_int_t)summary->wanted, "sent", (json_int_t)summary->sent,
	    "accepted", (json_int_t)score->accepted, "refused",
	    (json_int_t)score->refused, "unreachable",
	    (json_int_t)score->unreachable, "seconds",
	    (double)summary->took_us / 1e6, "answers", rows_json(score));

	if (summary->id != NULL)
		json_object_set_new(doc, "id", json_string(summary->id));
	if (score->latency_count > 0)
		json_object_set_new(doc, "latency_seconds",
		    latencies_json(score));
	return hb_json_doc_print(doc);
}

/* --- remedies ------------------------------------------------------------- */

static const char *
remedy_of(long code)
{
	switch (code) {
	case HB_SCORE_NO_ANSWER:
		return "is hookbridged running there, with this "
		       "configuration? See its log";
	case 401:
		return "the secret, the clock or the allow list differ from "
		       "the daemon's;\n    its log says which: verify.failed";
	case 404:
		return "there is no endpoint at this path; restart the daemon "
		       "if the configuration\n    is newer";
	case 413:
		return "the body is larger than the endpoint's body_size";
	case 503:
		return "it could not take the event; its log says why: "
		       "request.done (outcome),\n    sink.down, daemon.drain";
	default:
		return "the daemon's log says more: request.done";
	}
}

const char *
hb_summary_remedy(const struct hb_score *score)
{
	for (size_t i = 0; i < score->row_count; i++) {
		long code = score->rows[i].code;

		if (code < 200 || code > 299)
			return remedy_of(code);
	}
	return NULL;
}
