/* SPDX-License-Identifier: Apache-2.0 */
/* media.c - whether a body says it is JSON as it stands
 *
 * Senders that say nothing are believed. What is said twice is not: of two
 * readers each could take another. */
#include "parts.h"

/* application/json or anything+json. */
static bool
is_json(struct hb_span type)
{
	struct hb_span suffix = HB_SPAN("+json");

	type = hb_http_bare_type(type);
	return hb_span_eq_nocase(type, HB_SPAN("application/json")) ||
	    (type.len > suffix.len && hb_span_eq_nocase(
		hb_span_skip(type, type.len - suffix.len), suffix));
}

bool
hb_media_is_json(const struct hb_http_head *head)
{
	struct hb_span type, encoding;
	size_t types, encodings;

	type = hb_http_header(head, HB_SPAN("content-type"), &types);
	encoding = hb_http_header(head, HB_SPAN("content-encoding"),
	    &encodings);
	return types <= 1 && encodings <= 1 &&
	    (types == 0 || is_json(type)) &&
	    (encodings == 0 ||
		hb_span_eq_nocase(encoding, HB_SPAN("identity")));
}
