/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - request heads and chunked bodies: pure, strict, bounded
 *
 * Sources: RFC 9110 (fields, methods), RFC 9112 (message syntax). Where the
 * RFCs let a recipient be lenient (bare LF, folded lines, repeated lengths)
 * this one is not: leniency is what request smuggling is made of.
 * The result never depends on how the bytes are cut into pieces. */
#ifndef HB_HTTP_PARSE_H
#define HB_HTTP_PARSE_H

#include "hookbridge/http.h"

enum hb_parse { HB_PARSE_MORE, HB_PARSE_DONE, HB_PARSE_BAD };

/* What is wrong, as an answer's code and as a word for metrics. */
struct hb_http_fault {
	int code;
	const char *reason;
};

/* --- heads ---------------------------------------------------------------- */

struct hb_http_limits {
	size_t head_size, headers, target_size;
};

static inline struct hb_http_limits
hb_http_limits_of(const struct hb_http_conf *conf)
{
	return (struct hb_http_limits){
	    .head_size = (size_t)conf->head_size,
	    .headers = (size_t)conf->headers,
	    .target_size = (size_t)conf->target_size,
	};
}

/* Looks for the end of a head. *searched (0 at first) is how far earlier calls
 * over the same bytes came. DONE: *head_len bytes, an empty line that may
 * precede the request line and the one that ends the head included. */
enum hb_parse hb_http_head_end(struct hb_span data,
    const struct hb_http_limits *limits, size_t *searched, size_t *head_len,
    struct hb_http_fault *fault);
/* Room for how many headers hb_http_head_parse() wants. */
size_t hb_http_head_room(
    struct hb_span text, const struct hb_http_limits *limits);
/* Reads a complete head, as hb_http_head_end() found it, into spans of it. */
bool hb_http_head_parse(struct hb_span text,
    const struct hb_http_limits *limits, struct hb_http_header *headers,
    struct hb_http_head *head, struct hb_http_fault *fault) HB_MUST_CHECK;

/* --- chunked bodies: chunk.c ---------------------------------------------- */

struct hb_http_chunks {
	int state;
	unsigned digits;
	size_t line_len, trailer_len, chunk_count;
	uint64_t chunk_left; /* of the chunk being read */
	uint64_t body_left;  /* of what the body may still hold */
};

/* Data of more than limit bytes will be answered 413. */
void hb_http_chunks_init(struct hb_http_chunks *chunks, uint64_t limit);
/* Takes bytes until a piece of data is found (MORE with piece->len > 0), the
 * input is used up (MORE with piece->len 0), the body has ended (DONE; bytes
 * behind it are not taken) or it is malformed. *used: the bytes taken. */
enum hb_parse hb_http_chunks_feed(struct hb_http_chunks *chunks,
    struct hb_span data, size_t *used, struct hb_span *piece,
    struct hb_http_fault *fault);

#endif
