/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - faults in a list, sorted when printed
 *
 *   FILE:LINE:COLUMN: path.to.key: sentence
 *       remedy
 *
 * Faults at one place keep the order in which they were found. */
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "hookbridge/utf8.h"

#define PATH_SIZE 512
/* What hb_log_escape() makes of one character, at most. */
#define ESCAPE_SIZE 16

struct fault {
	struct fault *next;
	struct hb_place place;
	bool is_warning;
	size_t order; /* in which it was found */
	const char *path, *text, *remedy;
};

struct hb_faults {
	struct hb_arena *arena;
	const char *file;
	struct fault *latest; /* the list's head */
	unsigned errors, warnings;
	bool muted; /* the latest call was about a broken node */
};

/* A copy that no terminal obeys; quotes and backslashes stay as they are. */
static const char *
make_safe(struct hb_arena *arena, const char *text)
{
	struct hb_span rest = hb_span_of(text);
	char *safe = hb_xmalloc(rest.len * ESCAPE_SIZE + 1), *end = safe;
	const char *copy;
	uint32_t c;

	while (rest.len > 0) {
		size_t len = hb_utf8_next(rest, &c);
		struct hb_span one = hb_span_make(rest.ptr, len > 0 ? len : 1);

		if (*one.ptr == '"' || *one.ptr == '\\')
			*end++ = *one.ptr;
		else
			end += hb_log_escape(one, end, ESCAPE_SIZE);
		rest = hb_span_skip(rest, one.len);
	}
	copy = hb_arena_dup(arena,
	    hb_span_make(safe, (size_t)(end - safe))).ptr;
	free(safe);
	return copy;
}

struct hb_faults *
hb_report_new(const char *file)
{
	struct hb_arena *arena = hb_arena_new(4096);
	struct hb_faults *report = hb_arena_calloc(arena, 1, sizeof(*report));

	report->arena = arena;
	report->file = make_safe(arena, file);
	return report;
}

void
hb_report_free(struct hb_faults *report)
{
	if (report != NULL)
		hb_arena_free(report->arena);
}

static const char *HB_PRINTF(2, 0)
format(struct hb_faults *report, const char *fmt, va_list args)
{
	char *text = NULL;
	const char *copy;

	if (vasprintf(&text, fmt, args) < 0)
		hb_bug("format \"%s\"", fmt);
	/* Modules beside us may quote the file without care. */
	copy = make_safe(report->arena, text);
	free(text);
	return copy;
}

static struct fault *
add(struct hb_faults *report, struct hb_place place, const char *path,
    const char *text)
{
	struct fault *fault = hb_arena_calloc(report->arena, 1, sizeof(*fault));

	fault->next = report->latest;
	fault->place = place;
	fault->order = report->errors + report->warnings;
	fault->path = make_safe(report->arena, path);
	fault->text = text;
	report->latest = fault;
	report->muted = false;
	return fault;
}

static struct fault *HB_PRINTF(4, 0)
add_at_node(struct hb_faults *report, const struct hb_node *node,
    struct hb_place place, const char *fmt, va_list args)
{
	char path[PATH_SIZE];

	if (node->kind == HB_NODE_BROKEN) {
		report->muted = true;
		return NULL;
	}
	hb_node_path(node, path, sizeof(path));
	return add(report, place, path, format(report, fmt, args));
}

void
hb_report_error(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (add_at_node(report, node, node->place, fmt, args) != NULL)
		report->errors++;
	va_end(args);
}

void
hb_report_name_error(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (add_at_node(report, node, node->name_place, fmt, args) != NULL)
		report->errors++;
	va_end(args);
}

void
hb_report_warn(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...)
{
	struct fault *fault;
	va_list args;

	va_start(args, fmt);
	fault = add_at_node(report, node, node->place, fmt, args);
	va_end(args);
	if (fault == NULL)
		return;
	fault->is_warning = true;
	report->warnings++;
}

/* {metadata.x} without quotes is a map with one empty member. */
static bool
is_unquoted_template(const struct hb_node *node)
{
	return node->kind == HB_NODE_MAP && node->flow && node->count == 1 &&
	    node->first->kind == HB_NODE_NULL;
}

void
hb_report_expected(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...)
{
	char got[128];
	const char *what;
	va_list args;

	hb_node_show(node, got, sizeof(got));
	va_start(args, fmt);
	what = format(report, fmt, args);
	va_end(args);
	hb_report_error(report, node, "expected %s, got %s", what, got);
	if (is_unquoted_template(node))
		hb_report_remedy(report, "quote it: \"{%s}\"",
		    hb_report_quote(report, node->first->name));
}

void
hb_report_missing(struct hb_faults *report, const struct hb_node *map,
    const char *name)
{
	char path[PATH_SIZE];

	if (map->kind == HB_NODE_BROKEN) {
		report->muted = true;
		return;
	}
	hb_node_path(map, path, sizeof(path));
	add(report, map->name_place,
	    hb_arena_printf(report->arena, "%s%s%s", path,
		path[0] != '\0' ? "." : "", name).ptr,
	    "expected a value, got nothing");
	report->errors++;
}

void
hb_report_error_at(struct hb_faults *report, struct hb_place place,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(report, place, "", format(report, fmt, args));
	va_end(args);
	report->errors++;
}

void
hb_report_remedy(struct hb_faults *report, const char *fmt, ...)
{
	va_list args;

	if (report->muted || report->latest == NULL)
		return;
	va_start(args, fmt);
	report->latest->remedy = format(report, fmt, args);
	va_end(args);
}

void
hb_report_near(struct hb_faults *report, const struct hb_near *near)
{
	if (near->best != NULL)
		hb_report_remedy(report, "did you mean \"%s\"?", near->best);
}

const char *
hb_report_quote(struct hb_faults *report, const char *text)
{
	char safe[PATH_SIZE];

	hb_log_escape(hb_span_of(text), safe, sizeof(safe));
	return hb_arena_strdup(report->arena, safe);
}

unsigned
hb_report_errors(const struct hb_faults *report)
{
	return report->errors;
}

/* --- printing ------------------------------------------------------------- */

static int
compare_faults(const void *a, const void *b)
{
	const struct fault *x = *(const struct fault *const *)a;
	const struct fault *y = *(const struct fault *const *)b;

	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	if (x->place.column != y->place.column)
		return x->place.column < y->place.column ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static void
print_fault(const struct hb_faults *report, const struct fault *fault,
    FILE *out)
{
	fprintf(out, "%s:", report->file);
	if (fault->place.line > 0)
		fprintf(out, "%u:%u:", fault->place.line, fault->place.column);
	fprintf(out, " %s%s%s%s\n", fault->is_warning ? "warning: " : "",
	    fault->path, fault->path[0] != '\0' ? ": " : "", fault->text);
	if (fault->remedy != NULL)
		fprintf(out, "    %s\n", fault->remedy);
}

static void
print_totals(const struct hb_faults *report, FILE *out)
{
	if (report->errors > 0)
		fprintf(out, "%u error%s", report->errors,
		    report->errors > 1 ? "s" : "");
	if (report->warnings > 0)
		fprintf(out, "%s%u warning%s", report->errors > 0 ? ", " : "",
		    report->warnings, report->warnings > 1 ? "s" : "");
	fputc('\n', out);
}

void
hb_report_print(const struct hb_faults *report, FILE *out)
{
	size_t count = report->errors + report->warnings, n = 0;
	const struct fault **sorted;

	if (count == 0)
		return;
	sorted = hb_xcalloc(count, sizeof(struct fault *));
	for (const struct fault *f = report->latest; f != NULL; f = f->next)
		sorted[n++] = f;
	qsort(sorted, n, sizeof(struct fault *), compare_faults);
	for (size_t i = 0; i < n; i++)
		print_fault(report, sorted[i], out);
	print_totals(report, out);
	free(sorted);
}
