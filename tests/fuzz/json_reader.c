/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader.c - each function reads what its rule is called after, or says
 * no */
#include "json_reader.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"

static bool read_value(struct json_reader *r, struct hb_span name);

/* The next character, or -1. */
static int
peek(const struct json_reader *r)
{
	return r->pos < r->text.len ? (unsigned char)r->text.ptr[r->pos] : -1;
}

static bool
take(struct json_reader *r, char c)
{
	if (peek(r) != c)
		return false;
	r->pos++;
	return true;
}

static void
skip_space(struct json_reader *r)
{
	while (take(r, ' ') || take(r, '\t') || take(r, '\n') || take(r, '\r'))
		;
}

static struct hb_span
since(const struct json_reader *r, size_t start)
{
	return hb_span_make(r->text.ptr + start, r->pos - start);
}

/* --- strings -------------------------------------------------------------- */

static unsigned
hex4(const char *p)
{
	char digits[5] = {p[0], p[1], p[2], p[3], '\0'};

	return (unsigned)strtoul(digits, NULL, 16);
}

/* Whether two escapes, the first of them at p, are one character. */
static bool
is_pair(const char *p, const char *end)
{
	return end - p >= 12 && p[6] == '\\' && p[7] == 'u' &&
	       hex4(p + 2) >= 0xd800 && hex4(p + 2) < 0xdc00 &&
	       hex4(p + 8) >= 0xdc00 && hex4(p + 8) < 0xe000;
}

static bool
read_escape(struct json_reader *r)
{
	int c = peek(r);

	if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == '\0')
		return false;
	r->pos++;
	for (int i = 0; c == 'u' && i < 4; i++) {
		if (peek(r) < 0 || !isxdigit(peek(r)))
			return false;
		r->pos++;
	}
	return true;
}

/* Between its quotes, *inside. */
static bool
read_string(struct json_reader *r, struct hb_span *inside)
{
	size_t start = r->pos + 1;
	uint32_t c;

	if (!take(r, '"'))
		return false;
	for (;;) {
		if (peek(r) < ' ')
			return false;
		if (peek(r) == '"')
			break;
		if (take(r, '\\')) {
			if (!read_escape(r))
				return false;
		} else {
			size_t len =
			    hb_utf8_next(hb_span_skip(r->text, r->pos), &c);

			if (len == 0)
				return false;
			r->pos += len;
		}
	}
	*inside = since(r, start);
	r->pos++;
	return true;
}

/* What an escape that is no \u stands for. */
static char
meaning(char c)
{
	static const char words[] = "bfnrt", bytes[] = "\b\f\n\r\t";
	const char *at = memchr(words, c, 5);

	return at != NULL ? bytes[at - words] : c;
}

static size_t
put(unsigned c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

long
json_reader_decode(struct hb_span inside, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < inside.len;) {
		const char *p = inside.ptr + i;
		unsigned c;

		if (p[0] != '\\') {
			out[len++] = p[0];
			i++;
			continue;
		}
		if (p[1] != 'u') {
			out[len++] = meaning(p[1]);
			i += 2;
			continue;
		}
		c = hex4(p + 2);
		i += 6;
		if (is_pair(p, inside.ptr + inside.len)) {
			c = 0x10000 + (c - 0xd800) * 0x400 +
			    (hex4(p + 8) - 0xdc00);
			i += 6;
		} else if (c == 0 || (c >= 0xd800 && c < 0xe000)) {
			return -1;
		}
		len += put(c, out + len);
	}
	return (long)len;
}

/* --- what jansson need not accept ----------------------------------------- */

static void
note_string(struct json_reader *r, struct hb_span inside, bool is_name)
{
	const char *p = inside.ptr, *end = p + inside.len;

	while (p < end) {
		if (p[0] != '\\') {
			p++;
		} else if (p[1] != 'u') {
			p += 2;
		} else if (is_pair(p, end)) {
			p += 12;
		} else {
			unsigned c = hex4(p + 2);

			r->has_nul_name |= is_name && c == 0;
			r->has_surrogate |= c >= 0xd800 && c < 0xe000;
			p += 6;
		}
	}
}

/* A long long for integers, a double for all others. */
static void
note_number(struct json_reader *r, struct hb_span number)
{
	char *text;

	if (number.len < 4)
		return;
	text = hb_xstrndup(number);
	errno = 0;
	if (strpbrk(text, ".eE") != NULL)
		r->has_big_number |= isinf(strtod(text, NULL)) != 0;
	else
		r->has_big_number |= (strtoll(text, NULL, 10), errno) == ERANGE;
	free(text);
}

/* --- values --------------------------------------------------------------- */

static bool
read_digits(struct json_reader *r)
{
	size_t start = r->pos;

	while (peek(r) >= '0' && peek(r) <= '9')
		r->pos++;
	return r->pos > start;
}

static bool
read_number(struct json_reader *r)
{
	size_t start = r->pos;

	take(r, '-');
	if (!take(r, '0') && !read_digits(r))
		return false;
	if (take(r, '.') && !read_digits(r))
		return false;
	if (take(r, 'e') || take(r, 'E')) {
		if (!take(r, '+'))
			take(r, '-');
		if (!read_digits(r))
			return false;
	}
	note_number(r, since(r, start));
	return true;
}

static bool
read_word(struct json_reader *r, const char *word)
{
	for (; *word != '\0'; word++)
		if (!take(r, *word))
			return false;
	return true;
}

static bool
read_member(struct json_reader *r)
{
	struct hb_span name;

	if (!read_string(r, &name))
		return false;
	note_string(r, name, true);
	skip_space(r);
	if (!take(r, ':'))
		return false;
	skip_space(r);
	return read_value(r, name);
}

/* Elements or members, up to the closing bracket. */
static bool
read_container(struct json_reader *r, char close)
{
	r->pos++;
	if (++r->depth > r->deepest)
		r->deepest = r->depth;
	skip_space(r);
	if (!take(r, close)) {
		do {
			skip_space(r);
			if (close == '}' ? !read_member(r)
					 : !read_value(r, HB_SPAN_NONE))
				return false;
			skip_space(r);
		} while (take(r, ','));
		if (!take(r, close))
			return false;
	}
	r->depth--;
	return true;
}

static bool
read_text(struct json_reader *r, enum hb_json_kind *kind)
{
	struct hb_span inside;

	switch (peek(r)) {
	case '{':
		*kind = HB_JSON_OBJECT;
		return read_container(r, '}');
	case '[':
		*kind = HB_JSON_ARRAY;
		return read_container(r, ']');
	case '"':
		*kind = HB_JSON_STRING;
		if (!read_string(r, &inside))
			return false;
		note_string(r, inside, false);
		return true;
	case 't':
		*kind = HB_JSON_BOOL;
		return read_word(r, "true");
	case 'f':
		*kind = HB_JSON_BOOL;
		return read_word(r, "false");
	case 'n':
		*kind = HB_JSON_NULL;
		return read_word(r, "null");
	default:
		*kind = HB_JSON_NUMBER;
		return read_number(r);
	}
}

static bool
read_value(struct json_reader *r, struct hb_span name)
{
	size_t start = r->pos, node = r->count++;
	enum hb_json_kind kind = HB_JSON_NONE;

	if (!read_text(r, &kind))
		return false;
	r->nodes[node] =
	    (struct json_node){kind, since(r, start), name, r->count};
	return true;
}

bool
json_reader_read(struct json_reader *reader, struct hb_span text)
{
	*reader = (struct json_reader){.text = text};
	/* No value is shorter than a byte; one may be begun at the end. */
	reader->nodes = hb_xcalloc(text.len + 1, sizeof(*reader->nodes));
	skip_space(reader);
	if (!read_value(reader, HB_SPAN_NONE))
		return false;
	skip_space(reader);
	return reader->pos == text.len;
}
