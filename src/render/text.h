/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - what may stand in a header */
#ifndef HB_RENDER_TEXT_H
#define HB_RENDER_TEXT_H

#include "hookbridge/arena.h"
#include "hookbridge/span.h"

/* As CloudEvents wants its attributes: control characters and noncharacters,
 * and with them bytes that are not UTF-8, become %XX. A text without any comes
 * back as it is. */
struct hb_span hb_text_encode(struct hb_span s, struct hb_arena *arena);

/* The front of a text, cut between characters to at most max bytes. */
struct hb_span hb_text_cut(struct hb_span s, size_t max);

#endif
