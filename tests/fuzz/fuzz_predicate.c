/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_predicate.c - rows of `when`: decimals, globs, and both a second time
 *
 * The input is a byte for the comparison, a byte of options, then lines: up to
 * three values of the configuration, and behind them the event's value. Globs
 * are matched again by a table of all prefixes, decimals are compared again as
 * rows of digits where their exponents are small enough to write them out. */
#include "../../src/route/predicate.h"
#include "fuzz.h"
#include "hookbridge/json_span.h"

#include <stdio.h>

#define VALUES 3
#define EXPONENT_MAX 400

/* Options. */
enum { NEGATED = 1, ABSENT = 2, PRESENT = 4, COUNT_SHIFT = 3 };

/* --- globs ---------------------------------------------------------------- */

/* reach[j]: whether the pattern so far matches the first j bytes. */
static bool
glob_matches(const char *pattern, struct hb_span text)
{
	bool *reach = hb_xcalloc(text.len + 1, sizeof(*reach)), all;

	reach[0] = true;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*') {
			for (size_t j = 1; j <= text.len; j++)
				reach[j] |= reach[j - 1];
			continue;
		}
		for (size_t j = text.len; j > 0; j--)
			reach[j] =
			    reach[j - 1] &&
			    (*pattern == '?' || *pattern == text.ptr[j - 1]);
		reach[0] = false;
	}
	all = reach[text.len];
	free(reach);
	return all;
}

/* --- decimals ------------------------------------------------------------- */

static bool
is_decimal(struct hb_span s)
{
	struct hb_json_value value;

	return hb_json_validate(s, &value, NULL) &&
	       value.kind == HB_JSON_NUMBER && value.text.len == s.len;
}

/* A decimal's digits, written out: whole digits before the middle, broken ones
 * behind it. */
struct digits {
	bool negative;
	char *whole; /* a row of `width` on each side */
	size_t width;
};

/* False when the exponent is too large for that. */
static bool
write_out(struct hb_span s, size_t width, struct digits *d)
{
	size_t at = s.ptr[0] == '-' ? 1 : 0, point = s.len, e = s.len, n = 0;
	char exponent[8] = "";
	long shift;

	for (size_t i = at; i < s.len; i++) {
		if (s.ptr[i] == '.')
			point = i;
		if (s.ptr[i] == 'e' || s.ptr[i] == 'E')
			e = i;
	}
	if (point > e)
		point = e;
	if (e < s.len) {
		if (s.len - e - 1 >= sizeof(exponent))
			return false;
		memcpy(exponent, s.ptr + e + 1, s.len - e - 1);
	}
	shift = strtol(exponent, NULL, 10);
	if (shift > EXPONENT_MAX || shift < -EXPONENT_MAX)
		return false;
	*d = (struct digits){s.ptr[0] == '-', hb_xmalloc(2 * width), width};
	memset(d->whole, '0', 2 * width);
	/* The digit before the point stands just before the middle. */
	for (size_t i = at; i < e; i++)
		if (s.ptr[i] != '.')
			d->whole[(long)width - (long)(point - at) - shift +
				 (long)n++] = s.ptr[i];
	return true;
}

static bool
is_zero(const struct digits *d)
{
	for (size_t i = 0; i < 2 * d->width; i++)
		if (d->whole[i] != '0')
			return false;
	return true;
}

static int
order_of(const struct digits *a, const struct digits *b)
{
	size_t size = 2 * a->width;
	bool a_is_zero = is_zero(a), b_is_zero = is_zero(b);
	int order = memcmp(a->whole, b->whole, size);

	order = (order > 0) - (order < 0);
	if (a_is_zero || b_is_zero) {
		if (a_is_zero && b_is_zero)
			return 0;
		return a_is_zero ? (b->negative ? 1 : -1)
				 : (a->negative ? -1 : 1);
	}
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	return a->negative ? -order : order;
}

/* What can be compared is what JSON calls a number; and the order is one. */
static void
require_order(struct hb_span a, struct hb_span b)
{
	bool both = is_decimal(a) && is_decimal(b);
	size_t width = a.len + b.len + EXPONENT_MAX + 1;
	struct digits x, y;
	int order = 9, back = 9, same = 9;

	fuzz_require(hb_decimal_compare(a, b, &order) == both);
	fuzz_require(hb_decimal_compare(a, a, &same) == is_decimal(a));
	fuzz_require(!is_decimal(a) || same == 0);
	if (!both)
		return;
	fuzz_require(hb_decimal_compare(b, a, &back) && back == -order);
	if (!write_out(a, width, &x))
		return;
	if (write_out(b, width, &y)) {
		fuzz_require(order == order_of(&x, &y));
		free(y.whole);
	}
	free(x.whole);
}

/* --- rows ----------------------------------------------------------------- */

struct row {
	struct hb_predicate_conf conf;
	const char *items[VALUES];
	struct hb_span value;
	bool present;
};

/* Values of the configuration are C strings: they end at a NUL. */
static struct row
read_row(struct hb_span in)
{
	struct row row = {.present = false};
	unsigned op = fuzz_byte(&in) % (HB_P_LE + 1), options = fuzz_byte(&in);
	size_t count =
	    op >= HB_P_GT ? 1 : 1 + (options >> COUNT_SHIFT) % VALUES;

	row.conf.op = (enum hb_predicate_op)op;
	row.conf.negate = (options & NEGATED) != 0;
	for (size_t i = 0; i < count; i++)
		row.items[i] = hb_xstrndup(fuzz_line(&in));
	row.conf.values.count = count;
	row.value = (options & ABSENT) != 0 ? HB_SPAN_NONE : in;
	row.present = hb_span_is_set(row.value) || (options & PRESENT) != 0;
	return row;
}

static bool
compares(const struct row *row)
{
	struct hb_span limit = hb_span_of(row->items[0]);
	int order = 0;

	hb_decimal_compare(row->value, limit, &order);
	switch (row->conf.op) {
	case HB_P_GT:
		return order > 0;
	case HB_P_GE:
		return order >= 0;
	case HB_P_LT:
		return order < 0;
	default:
		return order <= 0;
	}
}

static bool
fits(const struct row *row, const char *item)
{
	size_t len = strlen(item);

	switch (row->conf.op) {
	case HB_P_ANY_OF:
		return row->value.len == len &&
		       memcmp(row->value.ptr, item, len) == 0;
	case HB_P_PREFIX:
		return row->value.len >= len &&
		       memcmp(row->value.ptr, item, len) == 0;
	default:
		return glob_matches(item, row->value);
	}
}

/* Whether the row holds, as the manual has it. */
static bool
judge(const struct row *row)
{
	bool any = false;

	if (row->conf.op == HB_P_EXISTS || row->conf.op == HB_P_ABSENT)
		return (row->conf.op == HB_P_EXISTS) ==
		       (row->present != row->conf.negate);
	if (!hb_span_is_set(row->value))
		return false;
	if (row->conf.op >= HB_P_GT) {
		/* A limit that is no number is refused when it is loaded. */
		if (!is_decimal(row->value))
			return false;
		return (is_decimal(hb_span_of(row->items[0])) &&
			   compares(row)) != row->conf.negate;
	}
	for (size_t i = 0; i < row->conf.values.count; i++)
		any |= fits(row, row->items[i]);
	return any != row->conf.negate;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct row row = read_row(fuzz_input(data, size));
	struct hb_span copy = row.value;
	bool holds;

	row.conf.values.items = row.items;
	holds = hb_predicate_holds(&row.conf, row.value, row.present);
	fuzz_require(holds == judge(&row));
	/* Nothing but the bytes counts, and where they end. */
	if (hb_span_is_set(row.value) && row.value.len > 0) {
		char *mem = hb_xmalloc(row.value.len);

		memcpy(mem, row.value.ptr, row.value.len);
		copy.ptr = mem;
		fuzz_require(
		    holds == hb_predicate_holds(&row.conf, copy, row.present));
		free(mem);
	}
	if (hb_span_is_set(row.value)) {
		require_order(row.value, hb_span_of(row.items[0]));
		require_order(hb_span_of(row.items[0]), row.value);
	}
	for (size_t i = 0; i < row.conf.values.count; i++)
		free((char *)(uintptr_t)row.items[i]);
	return 0;
}
