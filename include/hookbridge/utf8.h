/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - strict UTF-8 (RFC 3629), one character at a time
 *
 * No overlong forms, no surrogates, nothing above U+10FFFF.
 * Thread: any, pure. */
#ifndef HOOKBRIDGE_UTF8_H
#define HOOKBRIDGE_UTF8_H

#include <stdint.h>

#include "hookbridge/span.h"

/* The length of the character at the front of a text that is not empty, or 0
 * when there is none; *c is then undefined. */
static inline size_t
hb_utf8_next(struct hb_span s, uint32_t *c)
{
	static const unsigned char lens[32] = {
	    [0 ... 15] = 1, [24 ... 27] = 2, [28 ... 29] = 3, [30] = 4};
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = (unsigned char)s.ptr[0];
	size_t len = lens[lead >> 3];

	if (len == 0 || len > s.len)
		return 0;
	*c = len == 1 ? lead : lead & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		unsigned char next = (unsigned char)s.ptr[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (next & 0x3f);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return len;
}

/* Cc: C0, DEL, C1. */
static inline bool
hb_utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

/* The absent and the empty text are valid. */
static inline bool
hb_utf8_is_valid(struct hb_span s)
{
	uint32_t c;

	while (s.len > 0) {
		size_t len = hb_utf8_next(s, &c);

		if (len == 0)
			return false;
		s = hb_span_skip(s, len);
	}
	return true;
}

/* Valid, and without control characters. */
static inline bool
hb_utf8_is_plain(struct hb_span s)
{
	uint32_t c;

	while (s.len > 0) {
		size_t len = hb_utf8_next(s, &c);

		if (len == 0 || hb_utf8_is_control(c))
			return false;
		s = hb_span_skip(s, len);
	}
	return true;
}

#endif
