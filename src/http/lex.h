/* SPDX-License-Identifier: Apache-2.0 */
/* lex.h - which bytes may stand where, as one table
 *
 * Sources: RFC 9110, 5.6.2 (token), 5.5 (field values); RFC 3986, 3.2.2 (host),
 * 3.3 and 3.4 (path and query). */
#ifndef HB_HTTP_LEX_H
#define HB_HTTP_LEX_H

#include "hookbridge/span.h"

enum {
	HB_LEX_TOKEN = 1,
	HB_LEX_VALUE = 2,  /* of a field: no control character but HTAB */
	HB_LEX_TARGET = 4, /* visible ASCII but '#' */
	HB_LEX_HOST = 8
};

extern const unsigned char hb_http_lex[256];

static inline bool
hb_http_is(char c, unsigned class)
{
	return (hb_http_lex[(unsigned char)c] & class) != 0;
}

static inline bool
hb_http_all(struct hb_span s, unsigned class)
{
	for (size_t i = 0; i < s.len; i++)
		if (!hb_http_is(s.ptr[i], class))
			return false;
	return true;
}

#endif
