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

#define PATH_SIZE 512

struct fault {
	struct fault *next;
	struct hb_place place;
	bool is_warning;
	size_t order; /* in which it was found */
	const char *path, *text, *remedy;
};

struct hb_report {
	struct hb_arena *arena;
	const char *file;
	struct fault *latest; /* the list's head */
	unsigned errors, warnings;
	bool muted; /* the latest call was about a broken node */
};

struct hb_report *
hb_report_new(const char *file)
{
	struct hb_arena *arena = hb_arena_new(4096);
	struct hb_report *report = hb_arena_calloc(arena, 1, sizeof(*report));

	report->arena = arena;
	report->file = hb_arena_strdup(arena, file);
	return report;
}

void
hb_report_free(struct hb_report *report)
{
	if (report != NULL)
		hb_arena_free(report->arena);
}

static const char *
format(struct hb_report *report, const char *fmt, va_list args)
{
	char *text = NULL;
	const char *copy;

	if (vasprintf(&text, fmt, args) < 0)
		hb_bug("format \"%s\"", fmt);
	/* Modules beside us may quote the file without care. */
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	copy = hb_arena_strdup(report->arena, text);
	free(text);
	return copy;
}

static struct fault *
add(struct hb_report *report, struct hb_place place, const char *path,
    const char *text)
{
	struct fault *fault = hb_arena_calloc(report->arena, 1, sizeof(*fault));

	fault->next = report->latest;
	fault->place = place;
	fault->order = report->errors + report->warnings;
	fault->path = hb_arena_strdup(report->arena, path);
	fault->text = text;
	report->latest = fault;
	report->muted = false;
	return fault;
}

static struct fault *
add_at_node(struct hb_report *report, const struct hb_node *node,
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
hb_report_error(struct hb_report *report, const struct hb_node *node,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (add_at_node(report, node, node->place, fmt, args) != NULL)
		report->errors++;
	va_end(args);
}

void
hb_report_name_error(struct hb_report *report, const struct hb_node *node,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (add_at_node(report, node, node->name_place, fmt, args) != NULL)
		report->errors++;
	va_end(args);
}

void
hb_report_warn(struct hb_report *report, const struct hb_node *node,
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
hb_report_expected(struct hb_report *report, const struct hb_node *node,
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
hb_report_missing(struct hb_report *report, const struct hb_node *map,
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
hb_report_error_at(struct hb_report *report, struct hb_place place,
    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(report, place, "", format(report, fmt, args));
	va_end(args);
	report->errors++;
}

void
hb_report_remedy(struct hb_report *report, const char *fmt, ...)
{
	va_list args;

	if (report->muted || report->latest == NULL)
		return;
	va_start(args, fmt);
	report->latest->remedy = format(report, fmt, args);
	va_end(args);
}

const char *
hb_report_quote(struct hb_report *report, const char *text)
{
	char safe[PATH_SIZE];

	hb_log_escape(hb_span_of(text), safe, sizeof(safe));
	return hb_arena_strdup(report->arena, safe);
}

unsigned
hb_report_errors(const struct hb_report *report)
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
print_fault(const struct hb_report *report, const struct fault *fault,
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
print_totals(const struct hb_report *report, FILE *out)
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
hb_report_print(const struct hb_report *report, FILE *out)
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
