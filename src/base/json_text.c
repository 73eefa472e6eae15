/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.c - between JSON strings and UTF-8 text
 *
 * Decoding expects strings that a scan has accepted. What JSON can say and
 * UTF-8 text cannot, a lone surrogate or (in our texts) NUL, is refused as a
 * whole, never replaced: two different names must not become equal. */
#include "json_lex.h"

#include <stdint.h>

static uint32_t
hex4(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		/* '0'..'9' end in 0..9, 'A' and 'a' in 1: 9 + 1 is 10. */
		uint32_t digit = (uint32_t)(c & 0xf) + (c >= 'A' ? 9u : 0u);

		value = value << 4 | digit;
	}
	return value;
}

static size_t
put_utf8(uint32_t c, char out[4])
{
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = len; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(leads[len] | c);
	return len;
}

/* Reads the \u escape at *p, and its second half, and steps behind it. The
 * character's UTF-8 and its length, or 0 when there is no such character. */
static size_t
decode_unicode(const char **p, const char *end, char out[4])
{
	uint32_t c = hex4(*p + 2), low;

	*p += 6;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
			return 0;
		low = hex4(*p + 2);
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		*p += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c == 0 || (c >= 0xdc00 && c <= 0xdfff)) {
		return 0;
	}
	return put_utf8(c, out);
}

/* The same for any escape. */
static size_t
decode_escape(const char **p, const char *end, char out[4])
{
	char c = (*p)[1];

	if (c == 'u')
		return decode_unicode(p, end, out);
	*p += 2;
	switch (c) {
	case 'b':
		c = '\b';
		break;
	case 'f':
		c = '\f';
		break;
	case 'n':
		c = '\n';
		break;
	case 'r':
		c = '\r';
		break;
	case 't':
		c = '\t';
		break;
	default: /* quote, backslash, slash stand for themselves */
		break;
	}
	out[0] = c;
	return 1;
}

/* See json_lex.h. */
long
hb_json_unescape(struct hb_span text, char *out, size_t size)
{
	const char *p = text.ptr, *end = p + text.len;
	size_t done = 0;

	while (p < end) {
		const char *stop = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((stop != NULL ? stop : end) - p);
		char c[4];
		size_t len = 0;

		if (plain > size - done)
			return -1;
		memcpy(out + done, p, plain);
		done += plain;
		p += plain;
		if (stop == NULL)
			break;
		len = decode_escape(&p, end, c);
		if (len == 0 || len > size - done)
			return -1;
		memcpy(out + done, c, len);
		done += len;
	}
	return (long)done;
}

/* Whether the member is called so, however it is written. */
bool
hb_json_name_is(const struct hb_json_member *member, struct hb_span name)
{
	const char *p = member->name.ptr, *end = p + member->name.len;
	const char *want = name.ptr;
	size_t left = name.len;

	if (!member->escaped)
		return hb_span_eq(member->name, name);
	while (p < end) {
		char c[4];
		size_t len = 1;

		if (*p == '\\')
			len = decode_escape(&p, end, c);
		else
			c[0] = *p++;
		if (len == 0 || len > left || memcmp(c, want, len) != 0)
			return false;
		want += len;
		left -= len;
	}
	return left == 0;
}

/* The string's text; absent when UTF-8 cannot say it. */
struct hb_span
hb_json_decode(struct hb_span string, struct hb_arena *arena)
{
	struct hb_span text = hb_span_make(string.ptr + 1, string.len - 2);
	char *out;
	long len;

	if (memchr(text.ptr, '\\', text.len) == NULL)
		return text;
	/* No escape is shorter than what it stands for. */
	out = hb_arena_alloc(arena, text.len);
	len = hb_json_unescape(text, out, text.len);
	return len < 0 ? HB_SPAN_NONE : hb_span_make(out, (size_t)len);
}

/* Quotes what has to be quoted: quote, backslash, control characters. */
static size_t
quote_char(char c, char *out)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[' '] = {['\b'] = 'b',
	    ['\f'] = 'f',
	    ['\n'] = 'n',
	    ['\r'] = 'r',
	    ['\t'] = 't'};
	char word = c == '"' || c == '\\' ? c : shorts[(unsigned char)c];

	out[0] = '\\';
	if (word != '\0') {
		out[1] = word;
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = hex[c >> 4];
	out[5] = hex[c & 0xf];
	return 6;
}

/* Writes s as a string, quotes included. */
size_t
hb_json_quote(struct hb_span s, char *out)
{
	const char *p = s.len > 0 ? s.ptr : "", *end = p + s.len;
	char *start = out;

	*out++ = '"';
	while (p < end) {
		const char *plain = p;
		size_t len = 0;

		p = json_skip_plain(p, end);
		memcpy(out, plain, (size_t)(p - plain));
		out += p - plain;
		if (p == end)
			break;
		if ((unsigned char)*p < 0x80) {
			out += quote_char(*p++, out);
		} else if ((len = json_utf8_len(p, end)) > 0) {
			memcpy(out, p, len);
			out += len;
			p += len;
		} else {
			memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD */
			out += 3;
			p++;
		}
	}
	*out++ = '"';
	return (size_t)(out - start);
}
