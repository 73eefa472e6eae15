/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.c - compares numbers as they are written
 *
 * A double would make 2^53 and 2^53 + 1 equal and 1e400 infinite. A number's
 * text is taken apart instead:
 *
 *   -0012.3400e-7   sign, significant digits 12.34 without zeros on either
 *                   side, the first one's place before the point (1: tens),
 *                   and the exponent, left as text
 *
 * Two numbers of one sign are ordered by place + exponent, then digit by
 * digit. An exponent may have any length: only the difference of two of them
 * is computed, and that only as far as it can matter. */
#include "predicate.h"

/* Places are bounded by the length of a text. A difference of exponents that
 * is larger than any two of them decides alone. */
#define DECISIVE 10000000000000000LL

struct decimal {
	bool negative;
	const char *first, *end; /* significant digits, a point among them;
				  * equal: the number is zero */
	long long place;
	bool small;		 /* the exponent is negative */
	struct hb_span exponent; /* digits without leading zeros */
};

/* --- taking apart --------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* What is behind the e; false when it is malformed. */
static bool
read_exponent(const char *p, const char *end, struct decimal *d)
{
	d->small = p < end && *p == '-';
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (p == end || skip_digits(p, end) != end)
		return false;
	while (p < end && *p == '0')
		p++;
	d->exponent = hb_span_make(p, (size_t)(end - p));
	return true;
}

/* Where the significant digits begin and end, and the first one's place. */
static void
find_digits(
    struct decimal *d, const char *digits, const char *point, const char *end)
{
	while (digits < end && (*digits == '0' || *digits == '.'))
		digits++;
	while (end > digits && (end[-1] == '0' || end[-1] == '.'))
		end--;
	d->first = digits;
	d->end = end;
	d->place = digits < point ? point - digits - 1 : point - digits;
}

/* Takes a JSON number (RFC 8259, section 6) apart; false for anything else. */
static bool
decimal_parse(struct hb_span s, struct decimal *d)
{
	const char *p = s.ptr, *end = p + s.len;
	const char *digits, *point, *mantissa_end;

	*d = (struct decimal){.negative = s.len > 0 && *p == '-'};
	if (d->negative)
		p++;
	digits = p;
	point = p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p > digits + 1))
		return false;
	if (p < end && *p == '.') {
		p = skip_digits(p + 1, end);
		if (p == point + 1)
			return false;
	}
	mantissa_end = p;
	if (p < end && (*p == 'e' || *p == 'E')) {
		if (!read_exponent(p + 1, end, d))
			return false;
		p = end;
	}
	if (p != end)
		return false;
	find_digits(d, digits, point, mantissa_end);
	return true;
}

/* --- comparing ------------------------------------------------------------ */

/* The digit of an exponent that stands for 10^power, with its sign. */
static int
exponent_digit(const struct decimal *d, size_t power)
{
	int digit;

	if (power >= d->exponent.len)
		return 0;
	digit = d->exponent.ptr[d->exponent.len - 1 - power] - '0';
	return d->small ? -digit : digit;
}

/* a's exponent minus b's, from the highest digit on. A digit adds at most 18:
 * once the sum is past 2, no digits to come turn its sign. */
static long long
exponent_difference(const struct decimal *a, const struct decimal *b)
{
	size_t power = a->exponent.len > b->exponent.len ? a->exponent.len
							 : b->exponent.len;
	long long sum = 0;

	while (power-- > 0 && sum < DECISIVE && sum > -DECISIVE)
		sum = sum * 10 + exponent_digit(a, power) -
		      exponent_digit(b, power);
	return sum;
}

static const char *
next_digit(const char *p, const char *end)
{
	return p < end && *p == '.' ? p + 1 : p;
}

/* Of two that are not zero, signs aside. */
static int
compare_magnitude(const struct decimal *a, const struct decimal *b)
{
	const char *p = a->first, *q = b->first;
	long long places = exponent_difference(a, b) + a->place - b->place;

	if (places != 0)
		return places < 0 ? -1 : 1;
	for (;; p++, q++) {
		p = next_digit(p, a->end);
		q = next_digit(q, b->end);
		if (p == a->end || q == b->end)
			return (p != a->end) - (q != b->end);
		if (*p != *q)
			return *p < *q ? -1 : 1;
	}
}

/* -1, 0 or 1. */
static int
sign_of(const struct decimal *d)
{
	return d->first == d->end ? 0 : d->negative ? -1 : 1;
}

bool
hb_decimal_compare(struct hb_span a, struct hb_span b, int *order)
{
	struct decimal x, y;
	int sign;

	if (!decimal_parse(a, &x) || !decimal_parse(b, &y))
		return false;
	sign = sign_of(&x);
	if (sign != sign_of(&y))
		*order = sign < sign_of(&y) ? -1 : 1;
	else
		*order = sign == 0 ? 0 : sign * compare_magnitude(&x, &y);
	return true;
}
