/* SPDX-License-Identifier: Apache-2.0 */
/* oracles.h - evhttp and http-parser, asked about a request
 *
 * Both are in a program of its own (oracles.c), because evhttp exits or spins
 * on some input: it is started when it is first asked, and again when it has
 * not answered in time. It is found beside the program that asks. */
#ifndef HB_TESTS_FUZZ_ORACLES_H
#define HB_TESTS_FUZZ_ORACLES_H

#include <stddef.h>
#include <stdint.h>

#include "hookbridge/span.h"

/* The longest request, and the longest body. */
#define ORACLES_MAX 16384

/* An answer, http-parser's and then evhttp's: a packet of this and the body. */
struct oracle_answer {
	/* The text was one POST request and nothing more. */
	uint32_t accepts;
	uint32_t body_len;
};

enum { HTTP_PARSER = 1, EVHTTP = 2 };

/* Who takes the text for one POST request with this body. */
unsigned oracles_ask(struct hb_span request, struct hb_span body);

#endif
