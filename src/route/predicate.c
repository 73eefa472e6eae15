/* SPDX-License-Identifier: Apache-2.0 */
/* predicate.c - the comparisons of `when`
 *
 * Everything but "exists" needs a present scalar: a condition on a value that
 * is not there does not hold, negated or not, so that leaving a member out
 * never opens a route. */
#include "predicate.h"

static bool
equals_any(const struct hb_strings *values, struct hb_span value)
{
	for (size_t i = 0; i < values->count; i++)
		if (hb_span_eq(hb_span_of(values->items[i]), value))
			return true;
	return false;
}

/* After a mismatch behind a star, the star takes one byte more: only the last
 * star ever needs to, since what an earlier one took may stay as it is. */
bool
hb_glob_match(const char *pattern, struct hb_span text)
{
	const char *p = text.ptr, *end = text.ptr + text.len;
	const char *star = NULL, *retry = NULL;

	while (p < end) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = p;
		} else if (*pattern != '\0' &&
			   (*pattern == '?' || *pattern == *p)) {
			pattern++;
			p++;
		} else if (star != NULL) {
			pattern = star;
			p = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Whether value <op> limit, as decimals; false when value is no number. */
static bool
compares(enum hb_predicate_op op, struct hb_span value, const char *limit)
{
	int order;

	if (!hb_decimal_compare(value, hb_span_of(limit), &order))
		return false;
	switch (op) {
	case HB_P_GT:
		return order > 0;
	case HB_P_GE:
		return order >= 0;
	case HB_P_LT:
		return order < 0;
	case HB_P_LE:
		return order <= 0;
	default:
		return false;
	}
}

/* A value that can be compared at all: negating a comparison of numbers does
 * not make it hold for what is no number. */
static bool
comparable(enum hb_predicate_op op, struct hb_span value)
{
	int order;

	return op < HB_P_GT || hb_decimal_compare(value, value, &order);
}

static bool
matches(const struct hb_predicate_conf *row, struct hb_span value)
{
	const struct hb_strings *values = &row->values;

	switch (row->op) {
	case HB_P_ANY_OF:
		return equals_any(values, value);
	case HB_P_PREFIX:
		for (size_t i = 0; i < values->count; i++)
			if (hb_span_starts(value, hb_span_of(values->items[i])))
				return true;
		return false;
	case HB_P_GLOB:
		for (size_t i = 0; i < values->count; i++)
			if (hb_glob_match(values->items[i], value))
				return true;
		return false;
	default:
		return compares(row->op, value, values->items[0]);
	}
}

bool
hb_predicate_holds(
    const struct hb_predicate_conf *row, struct hb_span value, bool present)
{
	if (row->op == HB_P_EXISTS)
		return present != row->negate;
	if (row->op == HB_P_ABSENT)
		return present == row->negate;
	return hb_span_is_set(value) && comparable(row->op, value) &&
	       matches(row, value) != row->negate;
}
