/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - fills struct hb_error; the sentence is cut, never lost */
#include "hookbridge/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void HB_PRINTF(4, 0)
fill(struct hb_error *err, enum hb_code code, const char *reason,
    const char *fmt, va_list args)
{
	if (err == NULL)
		return;
	err->code = code;
	err->reason = reason;
	vsnprintf(err->text, sizeof(err->text), fmt, args);
}

/* Sets err, returns false. */
bool
hb_fail(struct hb_error *err, enum hb_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fill(err, code, NULL, fmt, args);
	va_end(args);
	return false;
}

/* Sets err, returns NULL. */
void *
hb_fail_null(struct hb_error *err, enum hb_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fill(err, code, NULL, fmt, args);
	va_end(args);
	return NULL;
}

/* Sets err with a reason word, returns false. */
bool
hb_fail_reason(struct hb_error *err, enum hb_code code, const char *reason,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fill(err, code, reason, fmt, args);
	va_end(args);
	return false;
}

/* Puts the context and nothing else before the sentence. */
void
hb_error_prefix(struct hb_error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list args;
	size_t len;

	if (err == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, "%s", err->text);
	memcpy(err->text, text, sizeof(text));
}

/* Says where we were wrong, then leaves a core for the rest. */
void
hb_bug_at(const char *file, int line, const char *func, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "hookbridge: bug in %s (%s:%d): ", func, file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}
