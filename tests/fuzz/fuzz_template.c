/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_template.c - templates: compiled, expanded, and read a second time
 *
 * The input is the template's text. A second reader, which finds names by
 * looking them up as it goes and keeps nothing, says whether it is one and what
 * it stands for. Any text at all comes back from a template once its braces
 * are doubled. */
#include "fuzz.h"
#include "hookbridge/tmpl.h"

#include <stdio.h>

/* What names stand for; in values, braces mean nothing. */
static const struct {
	struct hb_span name, value;
} vars[] = {
    {{"a", 1}, {"1", 1}},
    {{"job_id", 6}, {"job-1", 5}},
    {{"braces", 6}, {"{a}}|{{", 7}},
    {{"empty", 5}, {"", 0}},
    {{"absent", 6}, {NULL, 0}},
};

static int
find(struct hb_span name)
{
	for (size_t i = 0; i < HB_COUNT(vars); i++)
		if (hb_span_eq(vars[i].name, name))
			return (int)i;
	return -1;
}

static int
resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	int var = find(name);

	(void)arg;
	if (var < 0)
		hb_fail(err, HB_E_CONFIG, "unknown");
	return var;
}

static struct hb_span
value_of(void *arg, int var)
{
	(void)arg;
	fuzz_require(var >= 0 && (size_t)var < HB_COUNT(vars));
	return vars[var].value;
}

/* --- the second reader ---------------------------------------------------- */

struct expected {
	bool is_template, is_static;
	struct hb_span missing; /* the first name that stands for nothing */
	char *text;
	size_t len;
};

static void
put(struct expected *e, struct hb_span s)
{
	if (s.len > 0)
		memcpy(e->text + e->len, s.ptr, s.len);
	e->len += s.len;
}

/* What stands between braces; whether that is a variable. */
static bool
read_variable(struct expected *e, struct hb_span inside)
{
	size_t name_len = 0;
	struct hb_span value;
	int var;

	while (name_len < inside.len && inside.ptr[name_len] != '|')
		name_len++;
	var = find(hb_span_make(inside.ptr, name_len));
	if (var < 0)
		return false;
	e->is_static = false;
	value = vars[var].value;
	if (value.len > 0)
		put(e, value);
	else if (name_len < inside.len)
		put(e, hb_span_skip(inside, name_len + 1));
	else if (!hb_span_is_set(e->missing))
		e->missing = hb_span_make(inside.ptr, name_len);
	return true;
}

static struct expected
read_whole(struct hb_span text, char *out)
{
	struct expected e = {.is_static = true, .text = out};

	while (text.len > 0) {
		size_t n = 1;

		if (text.ptr[0] != '{' && text.ptr[0] != '}') {
			put(&e, hb_span_make(text.ptr, 1));
		} else if (text.len >= 2 && text.ptr[1] == text.ptr[0]) {
			put(&e, hb_span_make(text.ptr, 1));
			n = 2;
		} else {
			while (n < text.len && text.ptr[n] != '{' &&
			       text.ptr[n] != '}')
				n++;
			if (text.ptr[0] == '}' || n == text.len ||
			    text.ptr[n] == '{' ||
			    !read_variable(
				&e, hb_span_make(text.ptr + 1, n - 1)))
				return e;
			n++;
		}
		text = hb_span_skip(text, n);
	}
	e.is_template = true;
	return e;
}

/* --- what must hold ------------------------------------------------------- */

/* "at character N: ...", within the text. */
static void
require_place(const struct hb_error *err, struct hb_span text)
{
	size_t place;

	fuzz_require(err->code == HB_E_CONFIG);
	fuzz_require(sscanf(err->text, "at character %zu: ", &place) == 1);
	fuzz_require(place >= 1 && place <= text.len);
}

static void
require_expansion(const struct hb_tmpl *tmpl, struct hb_arena *arena,
    const struct expected *e)
{
	struct hb_span missing = HB_SPAN_NONE, got;

	got = hb_tmpl_expand(
	    tmpl, arena, e->is_static ? NULL : value_of, NULL, &missing);
	if (hb_span_is_set(e->missing)) {
		fuzz_require(!hb_span_is_set(got));
		fuzz_require(hb_span_eq(missing, e->missing));
		return;
	}
	fuzz_require(hb_span_is_set(got) && !hb_span_is_set(missing));
	fuzz_require(hb_span_eq(got, hb_span_make(e->text, e->len)));
}

/* The text with its braces doubled. */
static struct hb_span
escape(struct hb_arena *arena, struct hb_span text)
{
	char *out = hb_arena_alloc(arena, 2 * text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		out[len++] = text.ptr[i];
		if (text.ptr[i] == '{' || text.ptr[i] == '}')
			out[len++] = text.ptr[i];
	}
	return hb_span_make(out, len);
}

static void
require_round_trip(struct hb_arena *arena, struct hb_span text)
{
	const struct hb_tmpl *tmpl =
	    hb_tmpl_compile(arena, escape(arena, text), resolve, NULL, NULL);

	fuzz_require(tmpl != NULL && hb_tmpl_is_static(tmpl));
	fuzz_require(
	    hb_span_eq(hb_tmpl_expand(tmpl, arena, NULL, NULL, NULL), text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_arena *arena = hb_arena_new(4096);
	struct hb_span text = fuzz_input(data, size);
	struct hb_error err = {.code = HB_OK};
	/* No value is longer than two for each byte that names it. */
	struct expected e =
	    read_whole(text, hb_arena_alloc(arena, 2 * size + 8));
	const struct hb_tmpl *tmpl =
	    hb_tmpl_compile(arena, text, resolve, NULL, &err);

	fuzz_require((tmpl != NULL) == e.is_template);
	if (tmpl == NULL) {
		require_place(&err, text);
	} else {
		fuzz_require(hb_span_eq(hb_tmpl_text(tmpl), text));
		fuzz_require(hb_tmpl_is_static(tmpl) == e.is_static);
		require_expansion(tmpl, arena, &e);
	}
	require_round_trip(arena, text);
	hb_arena_free(arena);
	return 0;
}
