/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - keeps out of headers what would forge lines or confuse terminals
 *
 * CloudEvents 1.0.2, "Type System": a string has no control characters
 * (U+0000..U+001F, U+007F..U+009F), no noncharacters and no surrogates. */
#include "text.h"

#include "hookbridge/utf8.h"

/* U+FDD0..U+FDEF and the last two of each plane. */
static bool
is_noncharacter(uint32_t c)
{
	return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

/* The length of what is at the front of s, a character or a stray byte, and
 * whether an attribute may hold it. */
static size_t
look_at(struct hb_span s, bool *allowed)
{
	uint32_t c;
	size_t len = hb_utf8_next(s, &c);

	*allowed = len > 0 && !hb_utf8_is_control(c) && !is_noncharacter(c);
	return len > 0 ? len : 1;
}

/* Skips what is printable ASCII, as most of it is. */
static struct hb_span
skip_ascii(struct hb_span s)
{
	size_t len = 0;

	while (len < s.len && s.ptr[len] >= ' ' && s.ptr[len] < 0x7f)
		len++;
	return len > 0 ? hb_span_skip(s, len) : s; /* absent ones, too */
}

/* How many bytes have to be encoded. */
static size_t
count_odd(struct hb_span s)
{
	size_t odd = 0;

	while ((s = skip_ascii(s)).len > 0) {
		bool allowed;
		size_t len = look_at(s, &allowed);

		if (!allowed)
			odd += len;
		s = hb_span_skip(s, len);
	}
	return odd;
}

static char *
put_encoded(char *out, struct hb_span bytes)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.len; i++) {
		*out++ = '%';
		*out++ = hex[(unsigned char)bytes.ptr[i] >> 4];
		*out++ = hex[(unsigned char)bytes.ptr[i] & 0xf];
	}
	return out;
}

struct hb_span
hb_text_encode(struct hb_span s, struct hb_arena *arena)
{
	size_t odd = count_odd(s), len = s.len + 2 * odd;
	char *out, *text;

	if (odd == 0)
		return s;
	out = text = hb_arena_alloc(arena, len);
	while (s.len > 0) {
		bool allowed;
		struct hb_span c = hb_span_make(s.ptr, look_at(s, &allowed));

		if (allowed)
			out = (char *)memcpy(out, c.ptr, c.len) + c.len;
		else
			out = put_encoded(out, c);
		s = hb_span_skip(s, c.len);
	}
	return hb_span_make(text, len);
}

struct hb_span
hb_text_cut(struct hb_span s, size_t max)
{
	if (s.len <= max)
		return s;
	s.len = max;
	while (s.len > 0 && (s.ptr[s.len] & 0xc0) == 0x80)
		s.len--;
	return s;
}
