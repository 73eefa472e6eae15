/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one record, one line: a constant event word, then fields
 *
 *   2026-11-24T08:00:00.000Z info event.settled endpoint=everything job=81
 *
 * Levels: error = someone must act, warning = we cope, info = one line per
 * outcome or lifecycle step, debug = the rest. Values are escaped; payloads
 * and secrets never come here. Event words are listed in hookbridged(8).
 * Thread: any; each record is one write(2). hb_log_init() before threads. */
#ifndef HOOKBRIDGE_LOG_H
#define HOOKBRIDGE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/span.h"

enum hb_log_level {
	HB_LOG_ERROR,
	HB_LOG_WARNING,
	HB_LOG_INFO,
	HB_LOG_DEBUG
};
enum hb_log_format { HB_LOG_KV, HB_LOG_JSON };

/* Records go to stderr, less important ones than level are dropped. Under
 * journald (JOURNAL_STREAM names our stderr) lines carry a <N> priority and
 * no time. */
void hb_log_init(enum hb_log_level level, enum hb_log_format format);
bool hb_log_enabled(enum hb_log_level level);

enum hb_log_kind { HB_LOG_F_END, HB_LOG_F_TEXT, HB_LOG_F_U64, HB_LOG_F_I64 };
struct hb_log_field {
	enum hb_log_kind kind;
	const char *name;
	struct hb_span text; /* absent: the field is left out */
	uint64_t num;
};

#define HB_F_STR(name, str) \
	{ HB_LOG_F_TEXT, (name), hb_span_of(str), 0 }
#define HB_F_SPAN(name, span) \
	{ HB_LOG_F_TEXT, (name), (span), 0 }
#define HB_F_U64(name, value) \
	{ HB_LOG_F_U64, (name), { 0, 0 }, (uint64_t)(value) }
#define HB_F_I64(name, value) \
	{ HB_LOG_F_I64, (name), { 0, 0 }, (uint64_t)(int64_t)(value) }

/* hb_log(HB_LOG_INFO, "sink.up", HB_F_STR("sink", name)); at least one field.
 * Fields are evaluated only when the level is on. */
#define hb_log(level, word, ...)                                       \
	do {                                                           \
		if (hb_log_enabled(level))                             \
			hb_log_write((level), (word),                  \
			    (const struct hb_log_field[]){ __VA_ARGS__, \
				{ HB_LOG_F_END, NULL, { 0, 0 }, 0 } }); \
	} while (0)
/* For trouble that repeats: at most 10 records a second for each word; the
 * rest is counted in log_suppressed_total and told by the next record. */
#define hb_log_limited(level, word, ...)                               \
	do {                                                           \
		if (hb_log_enabled(level) && hb_log_admit(word))       \
			hb_log_write((level), (word),                  \
			    (const struct hb_log_field[]){ __VA_ARGS__, \
				{ HB_LOG_F_END, NULL, { 0, 0 }, 0 } }); \
	} while (0)

void hb_log_write(enum hb_log_level level, const char *word,
    const struct hb_log_field *fields);
bool hb_log_admit(const char *word);

/* Text from outside made safe for a terminal or a log: control and format
 * characters, invalid UTF-8, quotes and backslashes become escapes. Writes at
 * most size - 1 bytes and a NUL, "…" at the end when cut; returns the
 * length. */
size_t hb_log_escape(struct hb_span s, char *out, size_t size);

#endif
