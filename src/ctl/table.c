/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - cells gathered, measured, cut and written */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "ctl.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"

#define GAP 2
#define COLUMNS_MAX 12
/* What is elastic does not become shorter than that. */
#define ELASTIC_MIN 8
#define DOTS "..."

struct cell {
	char *text; /* escaped */
	const char *colour;
};

struct hb_table {
	const struct hb_table_column *columns;
	size_t column_count;
	size_t widths[COLUMNS_MAX];
	struct cell *cells; /* row after row */
	size_t count, size;
	bool has_begun; /* widths are fixed */
};

struct hb_table *
hb_table_new(const struct hb_table_column *columns)
{
	struct hb_table *table = hb_xcalloc(1, sizeof(*table));

	table->columns = columns;
	while (columns[table->column_count].title != NULL)
		table->column_count++;
	if (table->column_count > COLUMNS_MAX)
		hb_bug("a table of %zu columns", table->column_count);
	return table;
}

static void
forget_rows(struct hb_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	table->count = 0;
}

void
hb_table_free(struct hb_table *table)
{
	forget_rows(table);
	free(table->cells);
	free(table);
}

/* --- cells ---------------------------------------------------------------- */

void
hb_table_put(struct hb_table *table, struct hb_span text)
{
	if (table->count == table->size) {
		table->size = 2 * table->size + 64;
		table->cells = hb_xreallocarray(table->cells, table->size,
		    sizeof(*table->cells));
	}
	table->cells[table->count++] = (struct cell){
		hb_ctl_escape(hb_span_is_set(text) ? text : HB_SPAN("-")), NULL
	};
}

void
hb_table_printf(struct hb_table *table, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		hb_bug("no memory for a cell");
	va_end(ap);
	hb_table_put(table, hb_span_of(text));
	free(text);
}

void
hb_table_paint(struct hb_table *table, const char *colour)
{
	table->cells[table->count - 1].colour = colour;
}

/* --- widths --------------------------------------------------------------- */

/* In characters: what is wider than one column is not known here. */
static size_t
width_of(struct hb_span text)
{
	size_t width = 0;
	uint32_t c;

	while (text.len > 0) {
		size_t len = hb_utf8_next(text, &c);

		text = hb_span_skip(text, len > 0 ? len : 1);
		width++;
	}
	return width;
}

static size_t
total_width(const struct hb_table *table)
{
	size_t total = GAP * (table->column_count - 1);

	for (size_t i = 0; i < table->column_count; i++)
		total += table->widths[i];
	return total;
}

/* The widest one that may become narrower; NULL: none may. */
static size_t *
find_elastic(struct hb_table *table)
{
	size_t *widest = NULL;

	for (size_t i = 0; i < table->column_count; i++)
		if (table->columns[i].elastic &&
		    table->widths[i] > ELASTIC_MIN &&
		    (widest == NULL || table->widths[i] > *widest))
			widest = &table->widths[i];
	return widest;
}

static void
measure(struct hb_table *table)
{
	size_t last = table->column_count - 1;
	size_t *elastic;

	for (size_t i = 0; i < table->column_count; i++)
		table->widths[i] = strlen(table->columns[i].title);
	for (size_t i = 0; i < table->count; i++) {
		size_t *width = &table->widths[i % table->column_count];
		size_t own = width_of(hb_span_of(table->cells[i].text));

		if (own > *width)
			*width = own;
	}
	while (total_width(table) > HB_TABLE_COLUMNS &&
	    (elastic = find_elastic(table)) != NULL)
		--*elastic;
	/* For later pages. */
	if (table->columns[last].elastic &&
	    total_width(table) < HB_TABLE_COLUMNS)
		table->widths[last] += HB_TABLE_COLUMNS - total_width(table);
}

/* --- writing -------------------------------------------------------------- */

/* The text's front that fits; *dotted: dots belong behind it. */
static struct hb_span
cut(struct hb_span text, size_t width, bool *dotted)
{
	struct hb_span rest = text;
	uint32_t c;

	*dotted = width_of(text) > width;
	if (!*dotted)
		return text;
	for (size_t i = strlen(DOTS); i < width; i++) {
		size_t len = hb_utf8_next(rest, &c);

		rest = hb_span_skip(rest, len > 0 ? len : 1);
	}
	return hb_span_make(text.ptr, (size_t)(rest.ptr - text.ptr));
}

size_t
hb_table_write_cut(FILE *out, struct hb_span text, size_t width)
{
	bool dotted;
	struct hb_span shown = cut(text, width, &dotted);

	fprintf(out, "%.*s%s", HB_SPAN_ARG(shown), dotted ? DOTS : "");
	return dotted ? width : width_of(shown);
}

/* A row on its way: blanks wait until something stands behind them. */
struct row {
	FILE *out;
	int blanks;
};

static void
write_text(struct row *row, struct hb_span text, bool dotted,
    const char *colour)
{
	if (text.len == 0)
		return;
	fprintf(row->out, "%*s", row->blanks, "");
	row->blanks = 0;
	if (colour != NULL)
		fprintf(row->out, "\033[%sm", colour);
	fprintf(row->out, "%.*s%s", HB_SPAN_ARG(text), dotted ? DOTS : "");
	if (colour != NULL)
		fputs("\033[0m", row->out);
}

static void
write_cell(const struct hb_table *table, struct row *row, size_t column,
    const struct cell *cell)
{
	const struct hb_table_column *kind = &table->columns[column];
	size_t width = table->widths[column], pad;
	struct hb_span shown = hb_span_of(cell->text);
	bool dotted = false;

	if (kind->elastic)
		shown = cut(shown, width, &dotted);
	pad = width_of(shown) + (dotted ? strlen(DOTS) : 0);
	pad = pad < width ? width - pad : 0;
	if (kind->is_number)
		row->blanks += (int)pad;
	write_text(row, shown, dotted, cell->colour);
	if (!kind->is_number)
		row->blanks += (int)pad;
	row->blanks += GAP;
}

static void
write_row(const struct hb_table *table, const struct cell *cells,
    bool coloured, FILE *out)
{
	struct row row = { out, 0 };

	for (size_t i = 0; i < table->column_count; i++) {
		struct cell cell = cells[i];

		if (!coloured)
			cell.colour = NULL;
		write_cell(table, &row, i, &cell);
	}
	putc('\n', out);
}

static void
write_titles(const struct hb_table *table, FILE *out)
{
	struct cell titles[COLUMNS_MAX];

	for (size_t i = 0; i < table->column_count; i++)
		titles[i] = (struct cell){ (char *)table->columns[i].title,
			NULL };
	write_row(table, titles, false, out);
}

void
hb_table_print(struct hb_table *table, FILE *out)
{
	bool coloured = hb_ctl_has_colour(out);

	if (!table->has_begun) {
		measure(table);
		write_titles(table, out);
	}
	table->has_begun = true;
	for (size_t i = 0; i < table->count; i += table->column_count)
		write_row(table, &table->cells[i], coloured, out);
	forget_rows(table);
}
