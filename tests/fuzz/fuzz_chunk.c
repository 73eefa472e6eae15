/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_chunk.c - chunked bodies: cut anywhere, and read a second time
 *
 * The input is a byte for the body's limit, the cuts, and what comes over the
 * connection. It is decoded at once, byte by byte and in the pieces of the
 * cuts, and by a reader that knows the whole text and no states: all must come
 * to the same verdict, at the same byte, with the same body. What is decoded
 * is then encoded again. */
#include "../../src/http/parse.h"
#include "fuzz.h"

#include <ctype.h>
#include <stdio.h>

/* chunk.c's. Its limit on the number of chunks needs longer inputs than are
 * worth trying. */
#define DIGITS_MAX 15
#define SIZE_LINE_MAX 272
#define TRAILER_MAX 4096

struct result {
	enum hb_parse verdict;
	int code; /* when it is bad */
	size_t used;
	char *body; /* room for as much as there is input */
	size_t body_len;
};

/* --- the decoder ---------------------------------------------------------- */

static void
append(struct result *result, struct hb_span piece)
{
	if (piece.len > 0)
		memcpy(result->body + result->body_len, piece.ptr, piece.len);
	result->body_len += piece.len;
}

/* Feeds one piece of the input. */
static void
feed(struct hb_http_chunks *chunks, struct hb_span piece, struct result *result)
{
	while (piece.len > 0 && result->verdict == HB_PARSE_MORE) {
		struct hb_http_fault fault = {0, NULL};
		struct hb_span data;
		size_t used = 0;

		result->verdict =
		    hb_http_chunks_feed(chunks, piece, &used, &data, &fault);
		fuzz_require(used > 0 && used <= piece.len);
		fuzz_require(data.len == 0 ||
			     (data.ptr >= piece.ptr &&
				 data.ptr + data.len <= piece.ptr + used));
		fuzz_require(result->verdict == HB_PARSE_MORE || data.len == 0);
		append(result, data);
		result->used += used;
		result->code = fault.code;
		piece = hb_span_skip(piece, used);
	}
}

static struct result
decode(struct hb_span text, uint64_t limit, struct fuzz_cuts cuts, char *body)
{
	struct result result = {.verdict = HB_PARSE_MORE, .body = body};
	struct hb_http_chunks chunks;

	hb_http_chunks_init(&chunks, limit);
	while (text.len > 0 && result.verdict == HB_PARSE_MORE)
		feed(&chunks, fuzz_piece(&cuts, &text), &result);
	fuzz_require(result.body_len <= limit);
	return result;
}

static struct result
decode_by_bytes(struct hb_span text, uint64_t limit, char *body)
{
	struct result result = {.verdict = HB_PARSE_MORE, .body = body};
	struct hb_http_chunks chunks;

	hb_http_chunks_init(&chunks, limit);
	for (size_t i = 0; i < text.len && result.verdict == HB_PARSE_MORE; i++)
		feed(&chunks, hb_span_make(text.ptr + i, 1), &result);
	return result;
}

/* --- the second reader ---------------------------------------------------- */

/* Reads the text from the front. Every function says whether to go on; where
 * it says no, the verdict is in the result. */
struct reader {
	struct hb_span text;
	size_t pos;
	struct result result;
};

static bool
stop(struct reader *r, enum hb_parse verdict, int code)
{
	r->result.verdict = verdict;
	r->result.code = code;
	r->result.used = r->pos;
	return false;
}

/* The fault is in the byte at pos. */
static bool
refuse(struct reader *r, int code)
{
	r->pos++;
	return stop(r, HB_PARSE_BAD, code);
}

/* Whether there is another byte. */
static bool
has_byte(struct reader *r)
{
	return r->pos < r->text.len || stop(r, HB_PARSE_MORE, 0);
}

static bool
expect(struct reader *r, char c)
{
	if (!has_byte(r))
		return false;
	if (r->text.ptr[r->pos] != c)
		return refuse(r, 400);
	r->pos++;
	return true;
}

static bool
is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool
is_token(char c)
{
	return c != '\0' && (isalnum((unsigned char)c) ||
				strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A chunk's size and what may stand behind it, up to the line's end. */
static bool
read_size(struct reader *r, uint64_t *size)
{
	size_t start = r->pos, digits = 0;
	bool extension = false;

	for (*size = 0;; r->pos++) {
		char c;

		if (!has_byte(r))
			return false;
		c = r->text.ptr[r->pos];
		if (r->pos - start == SIZE_LINE_MAX)
			return refuse(r, 400);
		if (!extension && isxdigit((unsigned char)c)) {
			const char hex[2] = {c, '\0'};

			if (++digits > DIGITS_MAX)
				return refuse(r, 413);
			*size = *size * 16 + strtoul(hex, NULL, 16);
			continue;
		}
		if (digits == 0)
			return refuse(r, 400);
		if (c == '\r')
			break;
		if (extension ? !is_text(c) : c != ';')
			return refuse(r, 400);
		extension = true;
	}
	r->pos++;
	return expect(r, '\n');
}

/* One byte of the trailers if it is of the kind. */
static bool
trailer_byte(struct reader *r, size_t start, bool good)
{
	if (r->pos - start >= TRAILER_MAX || !good)
		return refuse(r, 400);
	r->pos++;
	return true;
}

/* Trailer fields, up to the empty line, whose line feed does not count. */
static bool
read_trailers(struct reader *r)
{
	size_t start = r->pos;

	while (has_byte(r)) {
		bool named = false, valued = false;
		char c = r->text.ptr[r->pos];

		if (c == '\r')
			return trailer_byte(r, start, true) &&
			       expect(r, '\n') && stop(r, HB_PARSE_DONE, 0);
		for (; !valued || c != '\r'; named = true) {
			if (!has_byte(r))
				return false;
			c = r->text.ptr[r->pos];
			if (!trailer_byte(r, start,
				valued ? is_text(c) || c == '\r'
				       : is_token(c) || (named && c == ':')))
				return false;
			valued |= c == ':';
		}
		if (!has_byte(r) ||
		    !trailer_byte(r, start, r->text.ptr[r->pos] == '\n'))
			return false;
	}
	return false;
}

static bool
read_data(struct reader *r, uint64_t size)
{
	size_t left = r->text.len - r->pos;
	size_t len = size < left ? (size_t)size : left;

	append(&r->result, hb_span_make(r->text.ptr + r->pos, len));
	r->pos += len;
	return expect(r, '\r') && expect(r, '\n');
}

static struct result
read_whole(struct hb_span text, uint64_t limit, char *body)
{
	struct reader r = {.text = text, .result = {.body = body}};
	uint64_t size;

	while (read_size(&r, &size)) {
		if (size == 0) {
			read_trailers(&r);
			break;
		}
		if (size > limit) {
			stop(&r, HB_PARSE_BAD, 413);
			break;
		}
		limit -= size;
		if (!read_data(&r, size))
			break;
	}
	return r.result;
}

/* --- what must hold ------------------------------------------------------- */

static void
require_same(const struct result *a, const struct result *b)
{
	fuzz_require(a->verdict == b->verdict);
	fuzz_require(a->used == b->used);
	fuzz_require(a->body_len == b->body_len);
	fuzz_require(memcmp(a->body, b->body, a->body_len) == 0);
	if (a->verdict == HB_PARSE_BAD)
		fuzz_require(a->code == b->code);
}

/* A body in two chunks is that body, and fits into a limit of its length. */
static void
require_round_trip(const struct result *result, char *body)
{
	static const struct fuzz_cuts whole = {.count = 0};
	size_t half = result->body_len / 2, rest = result->body_len - half;
	char *text = hb_xmalloc(result->body_len + 64);
	int len = 0;
	struct result again;

	if (half > 0) {
		len = sprintf(text, "%zx\r\n", half);
		memcpy(text + len, result->body, half);
		len += (int)half + sprintf(text + len + half, "\r\n");
	}
	if (rest > 0) {
		len += sprintf(text + len, "%zX;x=y\r\n", rest);
		memcpy(text + len, result->body + half, rest);
		len += (int)rest + sprintf(text + len + rest, "\r\n");
	}
	len += sprintf(text + len, "0\r\n\r\n");
	again = decode(
	    hb_span_make(text, (size_t)len), result->body_len, whole, body);
	fuzz_require(again.verdict == HB_PARSE_DONE);
	fuzz_require(again.used == (size_t)len);
	fuzz_require(again.body_len == result->body_len);
	fuzz_require(memcmp(body, result->body, again.body_len) == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_cuts whole = {.count = 0};
	struct hb_span in = fuzz_input(data, size);
	uint64_t limit = (uint64_t)fuzz_byte(&in) * 4;
	struct fuzz_cuts cuts = fuzz_cuts(&in);
	char *bodies = hb_xmalloc(2 * in.len);
	char *other = bodies + in.len;
	struct result want = read_whole(in, limit, bodies), got;

	got = decode(in, limit, whole, other);
	require_same(&got, &want);
	got = decode(in, limit, cuts, other);
	require_same(&got, &want);
	got = decode_by_bytes(in, limit, other);
	require_same(&got, &want);
	if (want.verdict == HB_PARSE_DONE)
		require_round_trip(&want, other);
	free(bodies);
	return 0;
}
