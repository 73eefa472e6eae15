/* SPDX-License-Identifier: Apache-2.0 */
/* json_span.c - one strict pass over a JSON text
 *
 * Accepted is exactly the grammar of RFC 8259 in UTF-8: no byte order mark,
 * nothing around the value but white space, at most HB_JSON_MAX_DEPTH open
 * containers. \u0000 and lone surrogates as escapes are valid grammar and
 * pass; numbers have no range; a repeated name is not a matter of grammar.
 *
 * There is no recursion. scan_value() alternates between two states:
 *
 *   a value is due, in an object after ── scalar, {}, [] ──► a value has ended
 *   its name and ':'                                           │      │
 *     │   ▲                                                    │      │ depth 0
 *     │   └── '[' or '{' ── one level down                     │      │ done
 *     └◄── ',' ────────────────────────────────────────────────┘      ▼
 *
 * and '}' or ']' after a value ends the container around it. All that is kept
 * of an open container is one bit: whether it is an object.
 *
 * A function that reads returns the place behind what it read, or NULL once
 * the fault has been told. */
#include "json_lex.h"

#include <stdint.h>

struct scan {
	const char *start, *end;
	unsigned depth;
	bool in_object; /* what the innermost container is */
	uint64_t objects[HB_JSON_MAX_DEPTH / 64]; /* bit depth - 1: an object */
	hb_json_visit_fn *visit;		  /* NULL: validate only */
	void *arg;
	/* What is being read of the outermost object. */
	struct hb_json_member member;
	struct hb_error *err;
};

static const char *
fault(struct scan *s, const char *p, const char *expected)
{
	return hb_fail_null(s->err, HB_E_REJECT, "byte %zu: expected %s",
	    (size_t)(p - s->start), expected);
}

/* --- scalars -------------------------------------------------------------- */

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* The length of the escape at p, which stands at the backslash, or 0. */
static size_t
escape_len(const char *p, const char *end)
{
	switch (end - p >= 2 ? p[1] : '\0') {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return 2;
	case 'u':
		return end - p >= 6 && is_hex(p[2]) && is_hex(p[3]) &&
			       is_hex(p[4]) && is_hex(p[5])
			   ? 6
			   : 0;
	default:
		return 0;
	}
}

/* From the first byte on that is not plain. */
static const char *
read_odd_string(struct scan *s, const char *p)
{
	size_t len;

	for (;; p = json_skip_plain(p, s->end)) {
		if (p == s->end)
			return fault(s, p, "the string's closing quote");
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			if ((len = escape_len(p, s->end)) == 0)
				return fault(s, p, "a valid escape");
			p += len;
		} else if ((unsigned char)*p < ' ') {
			return fault(s, p, "control characters to be escaped");
		} else {
			do { /* such characters seldom come alone */
				if ((len = json_utf8_len(p, s->end)) == 0)
					return fault(s, p, "valid UTF-8");
				p += len;
			} while (p < s->end && (unsigned char)*p >= 0x80);
		}
	}
}

/* p stands behind the opening quote. */
static inline const char *
read_string(struct scan *s, const char *p)
{
	p = json_skip_plain(p, s->end);
	return p < s->end && *p == '"' ? p + 1 : read_odd_string(s, p);
}

/* One digit or more. */
static const char *
read_digits(struct scan *s, const char *p)
{
	const char *first = p;

	while (p < s->end && *p >= '0' && *p <= '9')
		p++;
	return p > first ? p : fault(s, p, "a digit");
}

static const char *
read_number(struct scan *s, const char *p)
{
	if (*p == '-')
		p++;
	if (p < s->end && *p == '0')
		p++; /* a leading zero stands alone */
	else if ((p = read_digits(s, p)) == NULL)
		return NULL;
	if (p < s->end && *p == '.' && (p = read_digits(s, p + 1)) == NULL)
		return NULL;
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		return read_digits(s, p);
	}
	return p;
}

static const char *
read_word(struct scan *s, const char *p, struct hb_span word)
{
	if ((size_t)(s->end - p) < word.len ||
	    memcmp(p, word.ptr, word.len) != 0)
		return fault(s, p, "a value");
	return p + word.len;
}

/* --- containers ----------------------------------------------------------- */

static bool
push(struct scan *s, const char *p, bool object)
{
	uint64_t bit = UINT64_C(1) << (s->depth % 64);

	if (s->depth == HB_JSON_MAX_DEPTH)
		return hb_fail(s->err, HB_E_REJECT,
		    "byte %zu: nested deeper than %d levels",
		    (size_t)(p - s->start), HB_JSON_MAX_DEPTH);
	if (object)
		s->objects[s->depth / 64] |= bit;
	else
		s->objects[s->depth / 64] &= ~bit;
	s->depth++;
	s->in_object = object;
	return true;
}

static void
pop(struct scan *s)
{
	unsigned bit = --s->depth - 1;

	s->in_object = s->depth > 0 &&
		       (s->objects[bit / 64] >> (bit % 64) & 1) != 0;
}

/* A member's name and colon; p stands at the name. */
static const char *
read_name(struct scan *s, const char *p)
{
	const char *start = p;

	if (p == s->end || *p != '"')
		return fault(s, p, "a member's name in quotes");
	if ((p = read_string(s, p + 1)) == NULL)
		return NULL;
	if (s->depth == 1) {
		size_t len = (size_t)(p - start) - 2;

		s->member.name = hb_span_make(start + 1, len);
		s->member.escaped = memchr(start + 1, '\\', len) != NULL;
		s->member.whole.ptr = start;
	}
	p = json_skip_space(p, s->end);
	if (p == s->end || *p != ':')
		return fault(s, p, "':'");
	return json_skip_space(p + 1, s->end);
}

/* The '{' or '[' at p. An empty container is a value that has ended; otherwise
 * *due tells that its first member or value is due. */
static const char *
read_open(struct scan *s, const char *p, bool *due)
{
	bool object = *p == '{';

	if (!push(s, p, object))
		return NULL;
	p = json_skip_space(p + 1, s->end);
	if (p < s->end && *p == (object ? '}' : ']')) {
		pop(s);
		return p + 1;
	}
	*due = true;
	return p;
}

/* Reads a scalar, or a container's opening bracket, see read_open(). */
static const char *
read_value(struct scan *s, const char *p, bool *due)
{
	switch (p < s->end ? *p : '\0') {
	case '{':
	case '[':
		return read_open(s, p, due);
	case '"':
		return read_string(s, p + 1);
	case 't':
		return read_word(s, p, HB_SPAN("true"));
	case 'f':
		return read_word(s, p, HB_SPAN("false"));
	case 'n':
		return read_word(s, p, HB_SPAN("null"));
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return read_number(s, p);
	default:
		return fault(s, p, "a value");
	}
}

/* A member of the outermost object has ended at p. */
static bool
report(struct scan *s, const char *p)
{
	struct hb_json_member *m = &s->member;

	m->value.text.len = (size_t)(p - m->value.text.ptr);
	m->value.kind = json_kind_of(*m->value.text.ptr);
	m->whole.len = (size_t)(p - m->whole.ptr);
	return s->visit(s->arg, m, s->err);
}

/* A value has ended at p: closes what closes there, and goes on to the next
 * member or value, or to the end of the outermost one (depth 0). */
static const char *
read_next(struct scan *s, const char *p)
{
	while (s->depth > 0) {
		bool object = s->in_object;

		if (s->depth == 1 && object && s->visit != NULL &&
		    !report(s, p))
			return NULL;
		p = json_skip_space(p, s->end);
		if (p < s->end && *p == ',')
			return json_skip_space(p + 1, s->end);
		if (p == s->end || *p != (object ? '}' : ']'))
			return fault(
			    s, p, object ? "',' or '}'" : "',' or ']'");
		pop(s);
		p++;
	}
	return p;
}

static const char *
scan_value(struct scan *s, const char *p)
{
	do {
		bool due = false;

		if (s->in_object && (p = read_name(s, p)) == NULL)
			return NULL;
		if (s->depth == 1)
			s->member.value.text.ptr = p;
		p = read_value(s, p, &due);
		if (p != NULL && !due)
			p = read_next(s, p);
	} while (p != NULL && s->depth > 0);
	return p;
}

/* Validates the whole text, visiting the members of a top-level object. */
bool
hb_json_scan(struct hb_span text, hb_json_visit_fn *visit, void *arg,
    struct hb_json_value *value, struct hb_error *err)
{
	const char *start = text.len > 0 ? text.ptr : "";
	struct scan s = {.start = start,
	    .end = start + text.len,
	    .visit = visit,
	    .arg = arg,
	    .err = err};
	const char *p = json_skip_space(start, s.end);
	const char *behind = scan_value(&s, p);

	if (behind == NULL)
		return false;
	value->kind = json_kind_of(*p);
	value->text = hb_span_make(p, (size_t)(behind - p));
	behind = json_skip_space(behind, s.end);
	if (behind < s.end) {
		fault(&s, behind, "the end");
		return false;
	}
	return true;
}

/* Validates the whole text and tells what it is. */
bool
hb_json_validate(
    struct hb_span text, struct hb_json_value *value, struct hb_error *err)
{
	return hb_json_scan(text, NULL, NULL, value, err);
}
