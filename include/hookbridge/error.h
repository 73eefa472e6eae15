/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - what went wrong, in a sentence, and what the caller does next
 *
 * A fallible function returns bool or a pointer and takes a struct hb_error on
 * its caller's stack as its last parameter. The function that finds the fault
 * writes the sentence (the thing, the fact, the remedy); callers may put
 * context before it; only the end of the chain logs or answers, once.
 * Thread: plain data. Allocates nothing. A NULL err is allowed everywhere. */
#ifndef HOOKBRIDGE_ERROR_H
#define HOOKBRIDGE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define HB_PRINTF(fmt, first) \
	__attribute__((format(printf, fmt, first), nonnull(fmt)))
#define HB_MUST_CHECK __attribute__((warn_unused_result))
#define HB_NORETURN __attribute__((noreturn))
#else
#define HB_PRINTF(fmt, first)
#define HB_MUST_CHECK
#define HB_NORETURN
#endif

/* What the caller does next. */
enum hb_code {
	HB_OK = 0,
	HB_E_REJECT,   /* the sender's fault: 4xx */
	HB_E_AUTH,     /* 401, one body for all */
	HB_E_CONFIG,   /* cannot work as configured: do not start */
	HB_E_RETRY,    /* not now: spool, or 503 */
	HB_E_DEAD,     /* never: dead-letter */
	HB_E_RESOURCE, /* a limit of ours is reached: 503 */
	HB_E_IO        /* the system refused */
};

struct hb_error {
	enum hb_code code;
	/* A constant word for metrics and logs ("timestamp_too_old",
	 * "no-job-id"), or NULL. Static storage. */
	const char *reason;
	char text[256];
};

/* Both set *err and return the failure value, so that a finder writes
 * return hb_fail(err, HB_E_RETRY, "redis %s: %s", addr, why); */
bool hb_fail(struct hb_error *err, enum hb_code code, const char *fmt, ...)
    HB_PRINTF(3, 4);
void *hb_fail_null(struct hb_error *err, enum hb_code code, const char *fmt,
    ...) HB_PRINTF(3, 4);
/* The same, with the reason word. */
bool hb_fail_reason(struct hb_error *err, enum hb_code code, const char *reason,
    const char *fmt, ...) HB_PRINTF(4, 5);
/* Puts context before the sentence that is there: "sinks.main: …". */
void hb_error_prefix(struct hb_error *err, const char *fmt, ...)
    HB_PRINTF(2, 3);

/* A fault of our own: writes place and text to stderr, then aborts. */
#define hb_bug(...) hb_bug_at(__FILE__, __LINE__, __func__, __VA_ARGS__)
void hb_bug_at(const char *file, int line, const char *func, const char *fmt,
    ...) HB_PRINTF(4, 5) HB_NORETURN;

#endif
