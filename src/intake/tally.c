/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - what is counted of requests, and the access line
 *
 * The books must balance: each request ends with one code, and each 2xx is one
 * event outcome. All series are made at start, so that counting is an atomic
 * addition. */
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* Every code that hookbridge answers, and 499 for peers that left. */
static const int codes[] = { 200, 202, 400, 401, 404, 405, 408, 411, 413, 414,
	415, 417, 431, 499, 500, 501, 503, 505 };

static const char *const kinds[HB_ANSWER_KINDS] = {
	[HB_ANSWER_CONFIRMED] = "confirmed",
	[HB_ANSWER_SPOOLED] = "spooled",
	[HB_ANSWER_DEAD_LETTERED] = "dead_lettered",
	[HB_ANSWER_DUPLICATE] = "duplicate",
};

/* The longest list of keys an endpoint may have. */
#define KEYS_MAX 8

struct hb_tally {
	const char *endpoint;
	struct hb_metric *requests[HB_COUNT(codes)];
	struct hb_metric *bytes, *duration, *dedup_hits;
	struct hb_metric *verified[KEYS_MAX];
	struct hb_metric *events[HB_STATUS_CLASSES][HB_ANSWER_KINDS];
};

static void
make_event_series(struct hb_tally *tally, const char *name)
{
	for (int status = 0; status < HB_STATUS_CLASSES; status++)
		for (int kind = 0; kind < HB_ANSWER_KINDS; kind++)
			tally->events[status][kind] = hb_metric_get(HB_M_EVENTS,
			    name,
			    hb_status_class_name((enum hb_status_class)status),
			    kinds[kind], NULL);
	tally->dedup_hits =
	    hb_metric_get(HB_M_DEDUP_HITS, name, NULL, NULL, NULL);
}

static void
make_verify_series(struct hb_tally *tally, const char *name)
{
	for (unsigned key = 0; key < KEYS_MAX; key++) {
		char place[12];

		snprintf(place, sizeof(place), "%u", key);
		tally->verified[key] = hb_metric_get(HB_M_VERIFY_SUCCESS, name,
		    place, NULL, NULL);
	}
}

/* endpoint NULL: for requests that belong to none. */
struct hb_tally *
hb_tally_new(const struct hb_endpoint_conf *endpoint)
{
	struct hb_tally *tally = hb_xcalloc(1, sizeof(*tally));
	const char *name = endpoint != NULL ? endpoint->name : "-";

	tally->endpoint = name;
	for (size_t i = 0; i < HB_COUNT(codes); i++) {
		char code[12];

		snprintf(code, sizeof(code), "%d", codes[i]);
		tally->requests[i] = hb_metric_get(HB_M_HTTP_REQUESTS, name,
		    code, NULL, NULL);
	}
	tally->bytes =
	    hb_metric_get(HB_M_HTTP_REQUEST_BYTES, name, NULL, NULL, NULL);
	tally->duration =
	    hb_metric_get(HB_M_HTTP_REQUEST_DURATION, name, NULL, NULL, NULL);
	if (endpoint != NULL) {
		make_event_series(tally, name);
		make_verify_series(tally, name);
	}
	return tally;
}

void
hb_tally_free(struct hb_tally *tally)
{
	free(tally);
}

static struct hb_metric *
series_of(struct hb_tally *tally, int code)
{
	for (size_t i = 0; i < HB_COUNT(codes); i++)
		if (codes[i] == code)
			return tally->requests[i];
	hb_bug("no series for the answer %d", code);
}

void
hb_tally_request(struct hb_tally *tally, const struct hb_http_done *done)
{
	hb_metric_inc(series_of(tally, done->code));
	hb_metric_add(tally->bytes, (int64_t)done->bytes);
	if (done->req != NULL && done->req->body_us != 0)
		hb_metric_observe_us(tally->duration,
		    hb_clock_mono_us() - done->req->body_us);
}

void
hb_tally_verified(struct hb_tally *tally, unsigned key)
{
	if (key >= KEYS_MAX)
		hb_bug("endpoint %s: key %u", tally->endpoint, key);
	hb_metric_inc(tally->verified[key]);
}

/* reason: a word of hb_verify_reasons. Rare, so the series is looked up. */
void
hb_tally_refused(struct hb_tally *tally, const char *reason)
{
	hb_metric_inc(hb_metric_get(HB_M_VERIFY_FAILURES, tally->endpoint,
	    reason, NULL, NULL));
}

void
hb_tally_event(struct hb_tally *tally, enum hb_status_class status,
    enum hb_answer_kind kind)
{
	hb_metric_inc(tally->events[status][kind]);
	if (kind == HB_ANSWER_DUPLICATE)
		hb_metric_inc(tally->dedup_hits);
}

/* One line for each request; what was refused may come from anyone, so those
 * lines are limited. */
void
hb_tally_access(const struct hb_config *cfg, const char *endpoint,
    const char *outcome, const struct hb_http_done *done)
{
	enum hb_log_level level = (enum hb_log_level)cfg->log.access;
	const char *word = "request.done";
	const struct hb_http_request *req = done->req;
	uint64_t us;

	if (!hb_log_enabled(level))
		return;
	if (done->code >= 400 && !hb_log_admit(word))
		return;
	us = req != NULL ? hb_clock_mono_us() - req->head_us : 0;
	hb_log(level, word, HB_F_STR("peer", done->peer_text),
	    HB_F_STR("endpoint", endpoint), HB_F_I64("code", done->code),
	    HB_F_STR("outcome", outcome), HB_F_U64("bytes", done->bytes),
	    HB_F_U64("ms", us / 1000),
	    HB_F_STR("lost", done->lost ? "yes" : NULL));
}
