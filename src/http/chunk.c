/* SPDX-License-Identifier: Apache-2.0 */
/* chunk.c - the chunked transfer coding (RFC 9112, section 7.1), byte by byte
 *
 *   SIZE ─;─► EXTENSION ─CR─► SIZE_LF ─► DATA ─► DATA_CR ─► DATA_LF ─► SIZE
 *     └──────────CR─────────────┘ │ size 0
 *                                 ▼
 *              ┌─────────► TRAILER_START ─CR─► END_LF ─► END
 *              │                  │
 *              └─ TRAILER_LF ◄─CR─ TRAILER_VALUE ◄─:─ TRAILER_NAME
 *
 * Sizes are hexadecimal digits only; extensions and trailers are read past,
 * within limits, and never looked at. A chunk that cannot fit is refused when
 * its size is known, before any of its data. */
#include <string.h>

#include "lex.h"
#include "parse.h"

#define DIGITS_MAX 15
#define SIZE_LINE_MAX 272
#define TRAILER_MAX 4096
#define CHUNKS_MAX 65536

enum state {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	END
};

static const struct hb_http_fault malformed = {400, "bad-chunk"};
static const struct hb_http_fault too_large = {413, "body-too-large"};

void
hb_http_chunks_init(struct hb_http_chunks *chunks, uint64_t limit)
{
	*chunks = (struct hb_http_chunks){.state = SIZE, .body_left = limit};
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const struct hb_http_fault *
check(bool good)
{
	return good ? NULL : &malformed;
}

static const struct hb_http_fault *
take_digit(struct hb_http_chunks *chunks, int digit)
{
	chunks->chunk_left = chunks->chunk_left << 4 | (uint64_t)digit;
	return ++chunks->digits <= DIGITS_MAX ? NULL : &too_large;
}

/* One byte of a size line: digits, then perhaps an extension. */
static const struct hb_http_fault *
take_size(struct hb_http_chunks *chunks, char c)
{
	int digit = chunks->state == SIZE ? hex_digit(c) : -1;

	if (++chunks->line_len > SIZE_LINE_MAX)
		return &malformed;
	if (digit >= 0)
		return take_digit(chunks, digit);
	if (chunks->digits == 0)
		return &malformed;
	if (c == '\r') {
		chunks->state = SIZE_LF;
		return NULL;
	}
	if (chunks->state == SIZE && c != ';')
		return &malformed;
	chunks->state = EXTENSION;
	return check(hb_http_is(c, HB_LEX_VALUE));
}

/* The size line is complete. */
static const struct hb_http_fault *
begin_chunk(struct hb_http_chunks *chunks)
{
	if (chunks->chunk_left == 0) {
		chunks->state = TRAILER_START;
		return NULL;
	}
	chunks->state = DATA;
	if (chunks->chunk_left > chunks->body_left)
		return &too_large;
	chunks->body_left -= chunks->chunk_left;
	return check(++chunks->chunk_count <= CHUNKS_MAX);
}

static void
begin_size(struct hb_http_chunks *chunks)
{
	chunks->state = SIZE;
	chunks->digits = 0;
	chunks->line_len = 0;
	chunks->chunk_left = 0;
}

/* One byte behind the last chunk. */
static bool
take_trailer(struct hb_http_chunks *chunks, char c)
{
	if (++chunks->trailer_len > TRAILER_MAX)
		return false;
	switch (chunks->state) {
	case TRAILER_START:
		chunks->state = c == '\r' ? END_LF : TRAILER_NAME;
		return c == '\r' || hb_http_is(c, HB_LEX_TOKEN);
	case TRAILER_NAME:
		if (c == ':')
			chunks->state = TRAILER_VALUE;
		return c == ':' || hb_http_is(c, HB_LEX_TOKEN);
	case TRAILER_LF:
		chunks->state = TRAILER_START;
		return c == '\n';
	default: /* TRAILER_VALUE */
		if (c == '\r')
			chunks->state = TRAILER_LF;
		return c == '\r' || hb_http_is(c, HB_LEX_VALUE);
	}
}

/* One byte that is not data; what is wrong with it, or NULL. */
static const struct hb_http_fault *
take(struct hb_http_chunks *chunks, char c)
{
	switch (chunks->state) {
	case SIZE:
	case EXTENSION:
		return take_size(chunks, c);
	case SIZE_LF:
		return c == '\n' ? begin_chunk(chunks) : &malformed;
	case DATA_CR:
		chunks->state = DATA_LF;
		return check(c == '\r');
	case DATA_LF:
		begin_size(chunks);
		return check(c == '\n');
	case END_LF:
		chunks->state = END;
		return check(c == '\n');
	default:
		return check(take_trailer(chunks, c));
	}
}

/* As much of the chunk's data as there is. */
static struct hb_span
take_data(struct hb_http_chunks *chunks, struct hb_span data)
{
	if (data.len > chunks->chunk_left)
		data.len = (size_t)chunks->chunk_left;
	chunks->chunk_left -= data.len;
	if (chunks->chunk_left == 0)
		chunks->state = DATA_CR;
	return data;
}

enum hb_parse
hb_http_chunks_feed(struct hb_http_chunks *chunks, struct hb_span data,
    size_t *used, struct hb_span *piece, struct hb_http_fault *fault)
{
	*piece = HB_SPAN_NONE;
	for (*used = 0; *used < data.len;) {
		const struct hb_http_fault *wrong;

		if (chunks->state == DATA) {
			*piece = take_data(chunks, hb_span_skip(data, *used));
			*used += piece->len;
			return HB_PARSE_MORE;
		}
		wrong = take(chunks, data.ptr[(*used)++]);
		if (wrong != NULL) {
			*fault = *wrong;
			return HB_PARSE_BAD;
		}
		if (chunks->state == END)
			return HB_PARSE_DONE;
	}
	return HB_PARSE_MORE;
}
