/* SPDX-License-Identifier: Apache-2.0 */
/* sse.h - server-sent events, taken apart as they come
 *
 * Of the format there is what a daemon of ours writes: "event:" and "data:"
 * lines, comments, an empty line at the end of each event; lines end with LF
 * or CRLF. Other fields are passed over. */
#ifndef HB_CTL_SSE_H
#define HB_CTL_SSE_H

#include "hookbridge/span.h"

/* A longer line, or longer data, is nothing of ours. */
#define HB_SSE_MAX ((size_t)4 * 1024 * 1024)

struct hb_sse {
	/* An event that is complete; data: its lines, with LF in between.
	 * False: no more. */
	bool (*on_event)(void *arg, struct hb_span name, struct hb_span data);
	void *arg;

	/* The reader's own. */
	char *line, *data;
	size_t line_len, line_size, data_len, data_size;
	char name[64];
	bool has_data;
};

/* False: no more, because on_event said so or something is too long. */
bool hb_sse_take(struct hb_sse *sse, struct hb_span piece);
void hb_sse_fini(struct hb_sse *sse);

#endif
