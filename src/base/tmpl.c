/* SPDX-License-Identifier: Apache-2.0 */
/* tmpl.c - a template is a row of parts: literal text or a variable
 *
 *   text   ::= { char | "{{" | "}}" | "{" name [ "|" default ] "}" }
 *   name   ::= one or more characters but "{", "}", "|"
 *
 * "{{" becomes the literal part "{": a literal run ends there, so that parts
 * stay spans of the template's own text. */
#include "hookbridge/tmpl.h"

#include <string.h>

struct part {
	int var;	     /* -1: literal */
	struct hb_span text; /* the literal; or the name */
	struct hb_span def;  /* absent: no default */
};

struct hb_tmpl {
	struct hb_span text;
	size_t part_count;
	struct part parts[];
};

struct compiler {
	struct hb_tmpl *tmpl;
	hb_tmpl_resolve_fn *resolve;
	void *arg;
	struct hb_span text;
	size_t pos;
	struct hb_error *err;
};

/* --- compiling ------------------------------------------------------------ */

/* Which character stands at pos, counting from 1: UTF-8's second and later
 * bytes do not count. */
static size_t
character_at(const struct compiler *c, size_t pos)
{
	size_t n = 1;

	for (size_t i = 0; i < pos; i++)
		n += (c->text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static bool
fail(struct compiler *c, size_t pos, const char *what)
{
	return hb_fail(c->err, HB_E_CONFIG, "at character %zu: %s",
	    character_at(c, pos), what);
}

static void
add(struct compiler *c, struct part part)
{
	c->tmpl->parts[c->tmpl->part_count++] = part;
}

static void
add_literal(struct compiler *c, size_t from, size_t to)
{
	if (to > from)
		add(c, (struct part){-1,
			   hb_span_make(c->text.ptr + from, to - from),
			   HB_SPAN_NONE});
}

/* "{name}" or "{name|default}" at pos, which is behind the brace. */
static bool
compile_variable(struct compiler *c)
{
	const char *start = c->text.ptr + c->pos;
	size_t open = c->pos - 1, rest = c->text.len - c->pos;
	const char *close = memchr(start, '}', rest);
	struct part part = {.def = HB_SPAN_NONE};
	const char *bar;

	if (close == NULL)
		return fail(c, open, "the brace is not closed");
	part.text = hb_span_make(start, (size_t)(close - start));
	if (memchr(start, '{', part.text.len) != NULL)
		return fail(c, open, "a brace inside of braces");
	bar = memchr(start, '|', part.text.len);
	if (bar != NULL) {
		part.def = hb_span_make(bar + 1, (size_t)(close - bar - 1));
		part.text.len = (size_t)(bar - start);
	}
	if (part.text.len == 0)
		return fail(c, open, "no name between the braces");
	part.var = c->resolve(c->arg, part.text, c->err);
	if (part.var < 0) {
		hb_error_prefix(
		    c->err, "at character %zu: ", character_at(c, open));
		return false;
	}
	add(c, part);
	c->pos += (size_t)(close - start) + 1;
	return true;
}

/* A brace at pos: doubled, or the beginning of a variable. */
static bool
compile_brace(struct compiler *c)
{
	char brace = c->text.ptr[c->pos];

	if (c->pos + 1 < c->text.len && c->text.ptr[c->pos + 1] == brace) {
		add_literal(c, c->pos, c->pos + 1);
		c->pos += 2;
		return true;
	}
	if (brace == '}')
		return fail(c, c->pos,
		    "a closing brace with no opening one "
		    "(a brace as text is written twice)");
	c->pos++;
	return compile_variable(c);
}

static bool
compile(struct compiler *c)
{
	while (c->pos < c->text.len) {
		size_t from = c->pos;

		while (c->pos < c->text.len && c->text.ptr[c->pos] != '{' &&
		       c->text.ptr[c->pos] != '}')
			c->pos++;
		add_literal(c, from, c->pos);
		if (c->pos < c->text.len && !compile_brace(c))
			return false;
	}
	return true;
}

/* Each brace ends a part and begins one, so there are at most twice as many
 * parts as braces, and one more. */
static size_t
most_parts(struct hb_span text)
{
	size_t braces = 0;

	for (size_t i = 0; i < text.len; i++)
		braces += text.ptr[i] == '{' || text.ptr[i] == '}';
	return 2 * braces + 1;
}

const struct hb_tmpl *
hb_tmpl_compile(struct hb_arena *arena, struct hb_span text,
    hb_tmpl_resolve_fn *resolve, void *arg, struct hb_error *err)
{
	struct compiler c = {.resolve = resolve, .arg = arg, .err = err};

	c.tmpl = hb_arena_alloc(
	    arena, sizeof(*c.tmpl) + most_parts(text) * sizeof(struct part));
	c.tmpl->text = c.text = hb_arena_dup(arena, text);
	c.tmpl->part_count = 0;
	return compile(&c) ? c.tmpl : NULL;
}

/* --- asking --------------------------------------------------------------- */

bool
hb_tmpl_is_static(const struct hb_tmpl *tmpl)
{
	for (size_t i = 0; i < tmpl->part_count; i++)
		if (tmpl->parts[i].var >= 0)
			return false;
	return true;
}

struct hb_span
hb_tmpl_text(const struct hb_tmpl *tmpl)
{
	return tmpl->text;
}

bool
hb_tmpl_uses(const struct hb_tmpl *tmpl, int var)
{
	for (size_t i = 0; i < tmpl->part_count; i++)
		if (tmpl->parts[i].var == var)
			return true;
	return false;
}

/* --- expanding ------------------------------------------------------------ */

/* What a part stands for, absent when it has nothing to stand for. */
static struct hb_span
part_value(const struct part *part, hb_tmpl_value_fn *value, void *arg)
{
	struct hb_span v;

	if (part->var < 0)
		return part->text;
	v = value(arg, part->var);
	return v.len > 0 ? v : part->def;
}

struct hb_span
hb_tmpl_expand(const struct hb_tmpl *tmpl, struct hb_arena *arena,
    hb_tmpl_value_fn *value, void *arg, struct hb_span *missing)
{
	size_t len = 0;
	char *out, *pos;

	if (tmpl->part_count == 0)
		return hb_span_make("", 0);
	if (tmpl->part_count == 1 && tmpl->parts[0].var < 0)
		return tmpl->parts[0].text;
	for (size_t i = 0; i < tmpl->part_count; i++) {
		struct hb_span v = part_value(&tmpl->parts[i], value, arg);

		if (!hb_span_is_set(v)) {
			if (missing != NULL)
				*missing = tmpl->parts[i].text;
			return HB_SPAN_NONE;
		}
		len += v.len;
	}
	pos = out = hb_arena_alloc(arena, len + 1);
	for (size_t i = 0; i < tmpl->part_count; i++) {
		struct hb_span v = part_value(&tmpl->parts[i], value, arg);

		memcpy(pos, v.ptr, v.len);
		pos += v.len;
	}
	*pos = '\0';
	return hb_span_make(out, len);
}
