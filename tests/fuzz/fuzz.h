/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the fuzz targets share
 *
 * A target is one file, fuzz_X.c, with one function that is called with any
 * bytes whatever. It says by fuzz_require() what must hold for all of them;
 * what does not hold ends the program, and the bytes are kept (tests/fuzz/run).
 * The same input always does the same: clocks stand still, nothing is random.
 *
 * Where an input says more than the text to be read, that stands before it: the
 * text then ends where the memory ends, and a read past it is seen.
 *
 * Built for libFuzzer when configured with --enable-fuzzing; otherwise with
 * replay.c, which calls the target with each file of tests/fuzz/corpus/X. */
#ifndef HB_TESTS_FUZZ_H
#define HB_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/error.h"
#include "hookbridge/mem.h"
#include "hookbridge/span.h"

/* The target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* What is made once, before the first call; not every target has it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define fuzz_require(condition)                           \
	do {                                              \
		if (!(condition))                         \
			hb_bug("not so: %s", #condition); \
	} while (0)

/* --- taking an input apart ------------------------------------------------ */

static inline struct hb_span
fuzz_input(const uint8_t *data, size_t size)
{
	return hb_span_make(size > 0 ? (const char *)data : "", size);
}

/* The next byte; 0 when there is none. */
static inline unsigned
fuzz_byte(struct hb_span *in)
{
	unsigned byte;

	if (in->len == 0)
		return 0;
	byte = (unsigned char)in->ptr[0];
	*in = hb_span_skip(*in, 1);
	return byte;
}

/* The next line, without its end; all that is left when there is no end. */
static inline struct hb_span
fuzz_line(struct hb_span *in)
{
	const char *lf = memchr(in->ptr, '\n', in->len);
	struct hb_span line = *in;

	if (lf == NULL) {
		*in = hb_span_skip(*in, in->len);
		return line;
	}
	line.len = (size_t)(lf - in->ptr);
	*in = hb_span_skip(*in, line.len + 1);
	return line;
}

/* --- pieces --------------------------------------------------------------- */

/* How a text is cut: a byte that says how many pieces, a byte for the length
 * of each, and what is left is the last piece. */
#define FUZZ_CUTS 8

struct fuzz_cuts {
	size_t lens[FUZZ_CUTS];
	size_t count, next;
};

static inline struct fuzz_cuts
fuzz_cuts(struct hb_span *in)
{
	struct fuzz_cuts cuts = {.count = fuzz_byte(in) % FUZZ_CUTS};

	for (size_t i = 0; i < cuts.count; i++)
		cuts.lens[i] = fuzz_byte(in);
	return cuts;
}

/* Takes the next piece off a text that is not empty. */
static inline struct hb_span
fuzz_piece(struct fuzz_cuts *cuts, struct hb_span *rest)
{
	struct hb_span piece = *rest;

	if (cuts->next < cuts->count) {
		size_t len = cuts->lens[cuts->next++] + 1;

		if (len < piece.len)
			piece.len = len;
	}
	*rest = hb_span_skip(*rest, piece.len);
	return piece;
}

#endif
