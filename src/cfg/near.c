/* SPDX-License-Identifier: Apache-2.0 */
/* near.c - edit distance: insertions, deletions, changes and swaps of
 * neighbours, upper and lower case alike
 *
 * A name is near when no more than a third of it is different. Of equally
 * near names the first offered wins. */
#include "hookbridge/near.h"

#include <string.h>

#define MAX_LEN 64

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* One cell of the table: rows[0] is the current one, rows[2] the oldest. */
static size_t
cell(size_t *const rows[3], const char *a, const char *b, size_t i, size_t j)
{
	size_t change = lower(a[i - 1]) != lower(b[j - 1]);
	size_t best = least(rows[1][j] + 1, rows[0][j - 1] + 1);

	best = least(best, rows[1][j - 1] + change);
	if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
	    lower(a[i - 2]) == lower(b[j - 1]))
		best = least(best, rows[2][j - 2] + 1);
	return best;
}

/* The optimal string alignment distance of two texts up to MAX_LEN. */
static size_t
distance(const char *a, const char *b)
{
	size_t table[3][MAX_LEN + 1];
	size_t *rows[3] = { table[0], table[1], table[2] };
	size_t a_len = strlen(a), b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *oldest = rows[2];

		rows[2] = rows[1];
		rows[1] = rows[0];
		rows[0] = oldest;
		rows[0][0] = i;
		for (size_t j = 1; j <= b_len; j++)
			rows[0][j] = cell(rows, a, b, i, j);
	}
	return rows[0][b_len];
}

void
hb_near_init(struct hb_near *near, const char *word)
{
	size_t limit = strlen(word) / 3;

	/* Nearer than this, or not near at all. */
	*near = (struct hb_near){ word, NULL, (limit > 0 ? limit : 1) + 1 };
}

void
hb_near_offer(struct hb_near *near, const char *candidate)
{
	size_t a = strlen(near->word), b = strlen(candidate), d;

	/* No fewer changes than the lengths differ. */
	if (a > MAX_LEN || b > MAX_LEN ||
	    (a > b ? a - b : b - a) >= near->distance)
		return;
	d = distance(near->word, candidate);
	if (d >= near->distance || d >= b)
		return;
	near->best = candidate;
	near->distance = d;
}
