/* SPDX-License-Identifier: Apache-2.0 */
/* score.c - what was answered, how often, and how fast
 *
 * Answers are of one kind when code and sentence are equal. The sentence is
 * what a person would read: "detail" of the daemon's errors, "outcome" of what
 * it accepted, and of anything else the first line. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "hookbridge/mem.h"
#include "send.h"

/* Of a sentence that is not the daemon's. */
#define SAYS_MAX 200

void
hb_score_init(struct hb_score *score)
{
	*score = (struct hb_score){ .arena = hb_arena_new(4096) };
}

void
hb_score_fini(struct hb_score *score)
{
	hb_arena_free(score->arena);
	free(score->latencies_us);
}

/* --- sentences ------------------------------------------------------------ */

static bool
find_text(struct hb_span object, struct hb_span name, struct hb_span *text)
{
	struct hb_json_member member;
	struct hb_json_iter it;

	hb_json_iter_init(&it, object);
	while (hb_json_iter_next(&it, &member)) {
		if (!hb_json_name_is(&member, name) ||
		    member.value.kind != HB_JSON_STRING)
			continue;
		*text = member.value.text;
		return true;
	}
	return false;
}

static struct hb_span
first_line(struct hb_span body)
{
	size_t len = 0;

	while (len < body.len && len < SAYS_MAX && body.ptr[len] != '\n' &&
	    body.ptr[len] != '\r')
		len++;
	return hb_span_make(body.len > 0 ? body.ptr : "", len);
}

/* scratch keeps what had to be decoded. */
static struct hb_span
sentence_of(struct hb_arena *scratch, struct hb_span body)
{
	static const struct hb_span names[] = { HB_SPAN("detail"),
		HB_SPAN("outcome"), HB_SPAN("error") };
	struct hb_json_value value;
	struct hb_span text;

	if (!hb_json_validate(body, &value, NULL))
		return first_line(body);
	for (size_t i = 0; i < HB_COUNT(names); i++) {
		if (!find_text(value.text, names[i], &text))
			continue;
		text = hb_json_decode(text, scratch);
		if (hb_span_is_set(text))
			return text;
	}
	return first_line(body);
}

/* --- rows ----------------------------------------------------------------- */

static void
count(struct hb_score *score, long code, struct hb_span says)
{
	struct hb_score_row *row = score->rows;
	const struct hb_score_row *end = row + score->row_count;

	while (row < end && (row->code != code ||
	    !hb_span_eq(hb_span_of(row->says), says)))
		row++;
	if (row == end && score->row_count == HB_SCORE_ROWS) {
		row--;
		row->code = HB_SCORE_OTHER;
		row->says = "other answers";
	} else if (row == end) {
		score->row_count++;
		row->code = code;
		row->says = hb_arena_dup(score->arena, says).ptr;
	}
	row->count++;
}

static void
add_latency(struct hb_score *score, uint64_t latency_us)
{
	if (score->latency_count == score->latency_capacity) {
		score->latency_capacity = score->latency_capacity == 0
		    ? 1024 : 2 * score->latency_capacity;
		score->latencies_us = hb_xreallocarray(score->latencies_us,
		    score->latency_capacity, sizeof(*score->latencies_us));
	}
	score->latencies_us[score->latency_count++] =
	    latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX;
}

void
hb_score_answer(struct hb_score *score, long code, struct hb_span body,
    uint64_t latency_us)
{
	struct hb_arena *scratch = hb_arena_new(256);

	count(score, code, sentence_of(scratch, body));
	hb_arena_free(scratch);
	add_latency(score, latency_us);
	if (code >= 200 && code <= 299)
		score->accepted++;
	else
		score->refused++;
}

void
hb_score_failure(struct hb_score *score, const char *why)
{
	count(score, HB_SCORE_NO_ANSWER, hb_span_of(why));
	score->unreachable++;
}

/* --- results -------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void
hb_score_close(struct hb_score *score)
{
	if (score->latency_count > 0)
		qsort(score->latencies_us, score->latency_count,
		    sizeof(*score->latencies_us), compare);
}

uint32_t
hb_score_percentile(const struct hb_score *score, double share)
{
	double place = share * (double)score->latency_count;
	size_t rank = (size_t)place;

	if (score->latency_count == 0)
		return 0;
	/* The least value that this share of all values does not exceed. */
	if ((double)rank < place)
		rank++;
	return score->latencies_us[rank > 0 ? rank - 1 : 0];
}

int
hb_score_status(const struct hb_score *score)
{
	if (score->unreachable > 0)
		return EX_UNAVAILABLE;
	return score->refused > 0 ? EXIT_FAILURE : EX_OK;
}
