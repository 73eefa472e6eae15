/* SPDX-License-Identifier: Apache-2.0 */
/* test_tmpl.c - the grammar, its refusals with their places, expansions */
#include "hookbridge/tmpl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hookbridge/mem.h"

/* The variables of these tests and what they stand for. */
static const struct {
	const char *name, *value;
} vars[] = {
    {"job_id", "job-1"},
    {"channel", "production"},
    {"empty", ""},
    {"absent", NULL},
    {"a.b", "x{y}|z"},
};

/* What the callbacks have to be given. */
static char resolver_arg[1], values_arg[1];

static int
resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	assert_ptr_equal(arg, resolver_arg);
	for (size_t i = 0; i < HB_COUNT(vars); i++)
		if (hb_span_eq(hb_span_of(vars[i].name), name))
			return (int)i;
	hb_fail(err, HB_E_CONFIG, "unknown name \"%.*s\"", HB_SPAN_ARG(name));
	return -1;
}

static struct hb_span
value_of(void *arg, int var)
{
	assert_ptr_equal(arg, values_arg);
	return hb_span_of(vars[var].value);
}

static const struct {
	const char *text, *expansion; /* NULL: a value is missing, */
	const char *missing;	      /* this one */
	bool is_static;
} expansions[] = {
    {"", "", NULL, true},
    {"reducto.failures", "reducto.failures", NULL, true},
    {"{{}}", "{}", NULL, true},
    {"a{{b}}c", "a{b}c", NULL, true},
    {"{{{{", "{{", NULL, true},
    {"{{job_id}}", "{job_id}", NULL, true},
    {"a|b", "a|b", NULL, true},
    {"{job_id}", "job-1", NULL, false},
    {"jobs.{channel}", "jobs.production", NULL, false},
    {"{channel}:{job_id}", "production:job-1", NULL, false},
    {"{job_id}{job_id}", "job-1job-1", NULL, false},
    {"{{{job_id}}}", "{job-1}", NULL, false},
    {"{channel|none}", "production", NULL, false},
    {"{absent|none}", "none", NULL, false},
    {"{empty|none}", "none", NULL, false},
    {"{absent|}", "", NULL, false},
    {"<{absent|}>", "<>", NULL, false},
    {"{absent|a|b}", "a|b", NULL, false},
    {"{a.b}", "x{y}|z", NULL, false},
    {"{absent}", NULL, "absent", false},
    {"{empty}", NULL, "empty", false},
    {"{channel}.{absent}.{empty}", NULL, "absent", false},
    {"\xc3\xa4{job_id}\xc3\xb6", "\xc3\xa4job-1\xc3\xb6", NULL, false},
};

static void
test_expansions(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(expansions); i++) {
		struct hb_arena *arena = hb_arena_new(256);
		struct hb_span text = hb_span_of(expansions[i].text), got;
		struct hb_span missing = HB_SPAN_NONE;
		const struct hb_tmpl *tmpl =
		    hb_tmpl_compile(arena, text, resolve, resolver_arg, NULL);

		assert_non_null(tmpl);
		assert_true(hb_span_eq(hb_tmpl_text(tmpl), text));
		assert_int_equal(
		    hb_tmpl_is_static(tmpl), expansions[i].is_static);
		got = hb_tmpl_expand(tmpl, arena,
		    expansions[i].is_static ? NULL : value_of, values_arg,
		    &missing);
		assert_int_equal(
		    hb_span_is_set(got), expansions[i].expansion != NULL);
		assert_true(
		    hb_span_eq(got, hb_span_of(expansions[i].expansion)));
		assert_true(
		    hb_span_eq(missing, hb_span_of(expansions[i].missing)));
		hb_arena_free(arena);
	}
}

static const struct {
	const char *text, *error;
} refusals[] = {
    {"{", "at character 1: the brace is not closed"},
    {"jobs.{channel", "at character 6: the brace is not closed"},
    {"{{{", "at character 3: the brace is not closed"},
    {"}", "at character 1: a closing brace with no opening one (a brace as "
	  "text is written twice)"},
    {"{job_id}}", "at character 9: a closing brace with no opening one (a "
		  "brace as text is written twice)"},
    {"{}", "at character 1: no name between the braces"},
    {"ab{|x}", "at character 3: no name between the braces"},
    {"{job{id}", "at character 1: a brace inside of braces"},
    {"{job_id|{x}", "at character 1: a brace inside of braces"},
    {"x{nonsense}", "at character 2: unknown name \"nonsense\""},
    {"{ job_id}", "at character 1: unknown name \" job_id\""},
    {"\xc3\xa4\xe2\x82\xac{", "at character 3: the brace is not closed"},
    {"\xf0\x9f\x93\x84{x}", "at character 2: unknown name \"x\""},
};

static void
test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(refusals); i++) {
		struct hb_arena *arena = hb_arena_new(256);
		struct hb_error err = {.code = HB_OK};

		assert_null(hb_tmpl_compile(arena, hb_span_of(refusals[i].text),
		    resolve, resolver_arg, &err));
		assert_int_equal(err.code, HB_E_CONFIG);
		assert_string_equal(err.text, refusals[i].error);
		hb_arena_free(arena);
	}
}

static void
test_uses(void **state)
{
	struct hb_arena *arena = hb_arena_new(256);
	const struct hb_tmpl *tmpl = hb_tmpl_compile(
	    arena, HB_SPAN("{job_id}.{absent|x}"), resolve, resolver_arg, NULL);

	(void)state;
	assert_true(hb_tmpl_uses(tmpl, 0));
	assert_false(hb_tmpl_uses(tmpl, 1));
	assert_true(hb_tmpl_uses(tmpl, 3));
	hb_arena_free(arena);
}

/* The caller's text may go once the template is compiled. */
static void
test_owns_its_text(void **state)
{
	struct hb_arena *arena = hb_arena_new(256);
	char text[] = "jobs.{absent|default}";
	const struct hb_tmpl *tmpl = hb_tmpl_compile(
	    arena, hb_span_of(text), resolve, resolver_arg, NULL);

	(void)state;
	memset(text, '#', sizeof(text) - 1);
	assert_true(
	    hb_span_eq(hb_tmpl_expand(tmpl, arena, value_of, values_arg, NULL),
		HB_SPAN("jobs.default")));
	hb_arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expansions),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_uses),
	    cmocka_unit_test(test_owns_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
