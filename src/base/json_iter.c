/* SPDX-License-Identifier: Apache-2.0 */
/* json_iter.c - from member to member of an object that is known to be valid
 *
 * Validity makes it cheap: a string ends at the first quote without a
 * backslash, a container where the brackets outside strings balance, whatever
 * their kinds. */
#include "json_lex.h"

/* p stands behind the opening quote; the place behind the closing one. */
static const char *
skip_string(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');

	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(
		    _mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));

		if (mask == 0) {
			p += 16;
			continue;
		}
		p += __builtin_ctz(mask);
		if (*p == '"')
			return p + 1;
		p += 2;
	}
#endif
	while (p < end && *p != '"')
		p += *p == '\\' ? 2 : 1;
	return p < end ? p + 1 : end;
}

/* On to the next quote or bracket. */
static inline const char *
skip_to_structure(const char *p, const char *end)
{
#ifdef __SSE2__
	/* With bit 5 set, '[' is '{' and ']' is '}'; nothing else that stands
	 * outside strings becomes one of the three. */
	const __m128i bit5 = _mm_set1_epi8(0x20);
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i open = _mm_set1_epi8('{');
	const __m128i close = _mm_set1_epi8('}');

	while (end - p >= 16) {
		__m128i v = _mm_or_si128(
		    _mm_loadu_si128((const __m128i *)(const void *)p), bit5);
		unsigned mask = (unsigned)_mm_movemask_epi8(
		    _mm_or_si128(_mm_cmpeq_epi8(v, quote),
			_mm_or_si128(_mm_cmpeq_epi8(v, open),
			    _mm_cmpeq_epi8(v, close))));

		if (mask != 0)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
		p++;
	return p;
}

/* p stands behind the opening bracket. */
static const char *
skip_container(const char *p, const char *end)
{
	size_t depth = 1;

	while (depth > 0) {
		p = skip_to_structure(p, end);
		if (p == end)
			break;
		if (*p == '"') {
			p = skip_string(p + 1, end);
			continue;
		}
		if ((*p | 0x20) == '{')
			depth++;
		else
			depth--;
		p++;
	}
	return p;
}

static const char *
skip_value(const char *p, const char *end)
{
	switch (json_kind_of(*p)) {
	case HB_JSON_STRING:
		return skip_string(p + 1, end);
	case HB_JSON_OBJECT:
	case HB_JSON_ARRAY:
		return skip_container(p + 1, end);
	default:
		while (p < end && *p != ',' && *p != '}' && *p > ' ')
			p++;
		return p;
	}
}

/* What is not an object has no members. */
void
hb_json_iter_init(struct hb_json_iter *it, struct hb_span object)
{
	bool is_object = object.len > 0 && object.ptr[0] == '{';

	it->end = is_object ? object.ptr + object.len : NULL;
	it->pos = is_object ? object.ptr + 1 : NULL;
}

/* The next member but for its value's extent; at the object's end steps
 * behind its brace. */
bool
hb_json_iter_name(struct hb_json_iter *it, struct hb_json_member *member)
{
	const char *p = json_skip_space(it->pos, it->end);
	size_t len;

	if (p < it->end && *p == ',')
		p = json_skip_space(p + 1, it->end);
	if (p == it->end || *p != '"') {
		it->pos = p < it->end ? p + 1 : p;
		return false;
	}
	member->whole = hb_span_make(p, 0);
	p = skip_string(p + 1, it->end);
	len = (size_t)(p - member->whole.ptr) - 2;
	member->name = hb_span_make(member->whole.ptr + 1, len);
	member->escaped = memchr(member->name.ptr, '\\', len) != NULL;
	p = json_skip_space(p, it->end);
	p = json_skip_space(p + 1, it->end); /* the colon */
	member->value.kind = json_kind_of(*p);
	member->value.text = hb_span_make(p, 0);
	it->pos = p;
	return true;
}

/* The extent of the value that hb_json_iter_name() has come to. */
void
hb_json_iter_value(struct hb_json_iter *it, struct hb_json_member *member)
{
	struct hb_span *text = &member->value.text;

	it->pos = skip_value(text->ptr, it->end);
	text->len = (size_t)(it->pos - text->ptr);
	member->whole.len = (size_t)(it->pos - member->whole.ptr);
}

/* The next member, or false at the object's end. */
bool
hb_json_iter_next(struct hb_json_iter *it, struct hb_json_member *member)
{
	if (!hb_json_iter_name(it, member))
		return false;
	hb_json_iter_value(it, member);
	return true;
}
