/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - what the files of explain share
 *
 *   explain.c       options, the request as it would come, the exit code
 *   explain_words.c sentences: conditions, reasons, what to do next
 *   explain_text.c  the report for people
 *   explain_json.c  the same as one JSON document */
#ifndef HB_CTL_EXPLAIN_H
#define HB_CTL_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "hookbridge/arena.h"
#include "hookbridge/preview.h"

struct hb_explain {
	struct hb_arena *arena; /* of all that is said */
	const struct hb_endpoint_conf *endpoint; /* that was asked for */
	struct hb_preview_request req;
	bool has_proof; /* headers or a target were given */
	/* The signature is right for the body without its last newline. */
	bool newline_breaks;
	struct hb_preview preview;
};

/* --- explain_words.c: texts in the arena, not escaped --------------------- */

/* A row of `when` as it would be written: "{not: [a, b]}". */
struct hb_span hb_explain_condition(struct hb_arena *arena,
    const struct hb_predicate_conf *row);
/* What the event has there: "it is "low"", "it is not there". */
struct hb_span hb_explain_found(struct hb_arena *arena,
    const struct hb_predicate_conf *row, const struct hb_event *ev);
/* Whether the request was proven: a sentence. */
struct hb_span hb_explain_verdict(const struct hb_explain *x);
/* What the operator can do about it, or the absent span. */
struct hb_span hb_explain_advice(const struct hb_explain *x);
/* Why a message goes to the dead letters, and what to do: a sentence. */
struct hb_span hb_explain_dead(const struct hb_explain *x,
    const struct hb_preview_parcel *parcel);
/* Why it goes as a claim check, and what becomes of the body: a sentence. */
struct hb_span hb_explain_claim(const struct hb_explain *x,
    const struct hb_preview_parcel *parcel);
/* What stands behind the answer: a sentence. */
struct hb_span hb_explain_answer(const struct hb_explain *x);
/* How many of the messages are this route's. */
size_t hb_explain_messages_of(const struct hb_explain *x,
    const struct hb_route_conf *route);
/* "312 B", "1.9 KiB". */
struct hb_span hb_explain_size(struct hb_arena *arena, size_t bytes);

/* "verified", "no-match", "svix", "json", … */
const char *hb_explain_verdict_word(enum hb_verdict verdict);
const char *hb_explain_turn_word(enum hb_turn turn);
const char *hb_explain_mode_word(const struct hb_endpoint_conf *endpoint);
const char *hb_explain_format_word(const struct hb_message *msg);
/* The kind of a JSON value: "object", "string"; "none" for the absent span. */
const char *hb_explain_json_kind(struct hb_span value);
/* "metadata.a.b" for one of the configuration's metadata paths. */
struct hb_span hb_explain_path_name(struct hb_arena *arena,
    const struct hb_config *cfg, size_t path);

/* --- explain_text.c, explain_json.c --------------------------------------- */

void hb_explain_text(const struct hb_explain *x, FILE *out, bool colour);
json_t *hb_explain_json(const struct hb_explain *x);

#endif
