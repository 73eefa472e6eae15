/* SPDX-License-Identifier: Apache-2.0 */
/* json_lex.h - the letters of JSON, shared by json_*.c
 * Private to src/base. Thread: any, pure. */
#ifndef HB_BASE_JSON_LEX_H
#define HB_BASE_JSON_LEX_H

#include <stddef.h>
#include <string.h>

#include "hookbridge/json_span.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline const char *
json_skip_space(const char *p, const char *end)
{
	if (p < end && *p > ' ') /* as senders without white space have it */
		return p;
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* What a value is, by its first byte. */
static inline enum hb_json_kind
json_kind_of(char first)
{
	switch (first) {
	case '{':
		return HB_JSON_OBJECT;
	case '[':
		return HB_JSON_ARRAY;
	case '"':
		return HB_JSON_STRING;
	case 't':
	case 'f':
		return HB_JSON_BOOL;
	case 'n':
		return HB_JSON_NULL;
	default:
		return HB_JSON_NUMBER;
	}
}

/* On to the first byte that needs a look: quote, backslash, control character,
 * not ASCII; or the end. */
static inline const char *
json_skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* Signed: what is below the space is control or not ASCII. */
		__m128i odd = _mm_or_si128(_mm_cmplt_epi8(v, space),
		    _mm_or_si128(_mm_cmpeq_epi8(v, quote),
			_mm_cmpeq_epi8(v, backslash)));
		unsigned mask = (unsigned)_mm_movemask_epi8(odd);

		if (mask != 0)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && *p != '"' && *p != '\\' && *p >= ' ' &&
	       (unsigned char)*p < 0x80)
		p++;
	return p;
}

/* The length of the well-formed UTF-8 sequence at p (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF), or 0. */
static inline size_t
json_utf8_len(const char *p, const char *end)
{
	unsigned char lead = (unsigned char)p[0], low = 0x80, high = 0xbf;
	size_t len;

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if ((size_t)(end - p) < len)
		return 0;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf4)
		high = 0x8f;
	if ((unsigned char)p[1] < low || (unsigned char)p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* Decodes the escapes of a name or string (no quotes). Returns the length, or
 * -1 when the text cannot be UTF-8 or does not fit. */
long hb_json_unescape(struct hb_span text, char *out, size_t size);

#endif
