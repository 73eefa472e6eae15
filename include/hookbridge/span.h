/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - a piece of text somebody else owns: pointer and length
 *
 * A span never owns, is never NUL-terminated by promise, and is passed by
 * value. ptr == NULL means "absent", which differs from "present and empty".
 * Thread: plain data. */
#ifndef HOOKBRIDGE_SPAN_H
#define HOOKBRIDGE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct hb_span {
	const char *ptr;
	size_t len;
};

/* A span over a string literal, also usable as a static initializer. */
#define HB_SPAN(lit) ((struct hb_span){ "" lit, sizeof(lit) - 1 })
#define HB_SPAN_NONE ((struct hb_span){ NULL, 0 })

/* For printf's "%.*s". */
#define HB_SPAN_ARG(s) (int)(s).len, (s).ptr

static inline struct hb_span
hb_span_make(const char *ptr, size_t len)
{
	return (struct hb_span){ ptr, len };
}

/* NULL gives the absent span. */
static inline struct hb_span
hb_span_of(const char *str)
{
	return (struct hb_span){ str, str != NULL ? strlen(str) : 0 };
}

static inline bool
hb_span_is_set(struct hb_span s)
{
	return s.ptr != NULL;
}

static inline bool
hb_span_eq(struct hb_span a, struct hb_span b)
{
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII only, whatever the locale: daemons never call setlocale(). */
static inline bool
hb_span_eq_nocase(struct hb_span a, struct hb_span b)
{
	return a.len == b.len &&
	    (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
hb_span_starts(struct hb_span s, struct hb_span prefix)
{
	return s.len >= prefix.len &&
	    (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline struct hb_span
hb_span_skip(struct hb_span s, size_t n)
{
	return (struct hb_span){ s.ptr + n, s.len - n };
}

#endif
