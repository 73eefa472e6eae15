/* SPDX-License-Identifier: Apache-2.0 */
/* lex.c - the table of character classes, in the order of ASCII */
#include "lex.h"

/* clang-format off */
enum {
	V = HB_LEX_VALUE,
	P = V | HB_LEX_TARGET,               /* punctuation */
	T = P | HB_LEX_TOKEN,                /* tokens that hosts lack */
	H = P | HB_LEX_HOST,
	A = P | HB_LEX_TOKEN | HB_LEX_HOST,  /* letters, digits, a few more */
	N = V | HB_LEX_TOKEN                 /* '#': in no target */
};

const unsigned char hb_http_lex[256] = {
	['\t'] = V, [' '] = V,
	['!'] = A, ['"'] = P, ['#'] = N, ['$'] = A, ['%'] = A, ['&'] = A,
	['\''] = A, ['('] = H, [')'] = H, ['*'] = A, ['+'] = A, [','] = H,
	['-'] = A, ['.'] = A, ['/'] = P,
	['0' ... '9'] = A,
	[':'] = H, [';'] = H, ['<'] = P, ['='] = H, ['>'] = P, ['?'] = P,
	['@'] = P,
	['A' ... 'Z'] = A,
	['['] = H, ['\\'] = P, [']'] = H, ['^'] = T, ['_'] = A, ['`'] = T,
	['a' ... 'z'] = A,
	['{'] = P, ['|'] = T, ['}'] = P, ['~'] = A,
	[0x80 ... 0xff] = V,
};
/* clang-format on */
