/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - rows and columns on 80 columns of a terminal
 *
 * Cells are text from outside and escaped here. A column is as wide as its
 * widest cell; where that is more than there is room for, what is elastic is
 * cut, with dots at its end. */
#ifndef HB_CTL_TABLE_H
#define HB_CTL_TABLE_H

#include <stdint.h>
#include <stdio.h>

#include "hookbridge/error.h"
#include "hookbridge/span.h"

#define HB_TABLE_COLUMNS 80

struct hb_table_column {
	const char *title; /* NULL ends the columns */
	bool is_number; /* to the right */
	bool elastic;
};

struct hb_table;

struct hb_table *hb_table_new(const struct hb_table_column *columns);
void hb_table_free(struct hb_table *table);

/* The next cell, from the left; an absent text is "-". */
void hb_table_put(struct hb_table *table, struct hb_span text);
void hb_table_printf(struct hb_table *table, const char *fmt, ...)
    HB_PRINTF(2, 3);
/* The last cell's colour, "31": used where out may be coloured. */
void hb_table_paint(struct hb_table *table, const char *colour);

/* A text that is escaped already, in so many columns at the most, with dots at
 * its end where it is cut; the number of columns it takes. */
size_t hb_table_write_cut(FILE *out, struct hb_span text, size_t width);

/* Writes the rows and forgets them; what the first time is the width of a
 * column stays it, and the titles are not written again. */
void hb_table_print(struct hb_table *table, FILE *out);

#endif
