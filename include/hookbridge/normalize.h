/* SPDX-License-Identifier: Apache-2.0 */
/* normalize.h - from a verified body to the members of an event; pure
 *
 * Accepts the body variants in circulation (thin, with inline result,
 * enveloped, without metadata), keeps result, metadata and unknown members as
 * spans of the received bytes, folds status words, infers the job's kind, and
 * reads all configured metadata paths in one pass.
 * Thread: any, on an event that is being built.
 * Fails: HB_E_DEAD, reason "not-json", "not-object", "array", "no-job-id",
 * "bad-job-id", "repeated-member", "ambiguous", "channel-not-allowed"; id and
 * vars are set all the same. */
#ifndef HOOKBRIDGE_NORMALIZE_H
#define HOOKBRIDGE_NORMALIZE_H

#include "hookbridge/error.h"
#include "hookbridge/event.h"

bool hb_normalize(struct hb_event *ev, struct hb_error *err) HB_MUST_CHECK;

/* The kind of job a result came from, by its members: "parse", "extract",
 * "split", "edit", "pipeline", or the absent span. jobkind.c */
struct hb_span hb_job_kind(struct hb_span result);

#endif
