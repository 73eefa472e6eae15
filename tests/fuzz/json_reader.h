/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader.h - a second reader of JSON, for fuzz_json.c
 *
 * RFC 8259 by recursive descent, one function for each rule, one character at a
 * time. It has no limits, and it knows every value's place. */
#ifndef HB_TESTS_FUZZ_JSON_READER_H
#define HB_TESTS_FUZZ_JSON_READER_H

#include "hookbridge/json_span.h"

/* A value; those inside it follow it in the array. */
struct json_node {
	enum hb_json_kind kind;
	struct hb_span text; /* verbatim */
	struct hb_span name; /* of a member, between the quotes; or absent */
	size_t next;	     /* the node behind all that is inside this one */
};

struct json_reader {
	struct hb_span text;
	size_t pos, depth;
	struct json_node *nodes; /* nodes[0] is the whole; for free() */
	size_t count;
	size_t deepest; /* the most containers around a place */
	/* What jansson need not accept. */
	bool has_big_number, has_surrogate, has_nul_name;
};

/* Whether the text is valid. */
bool json_reader_read(struct json_reader *reader, struct hb_span text);

/* Decodes what stands between a string's quotes into out, which has room for
 * as much; the length, or -1 when it cannot be UTF-8 text. */
long json_reader_decode(struct hb_span inside, char *out);

#endif
