/* SPDX-License-Identifier: Apache-2.0 */
/* sse.c - lines gathered, then events */
#include "sse.h"

#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/mem.h"

/* Adds to a buffer that grows; false: it would become too long. */
static bool
append(char **buf, size_t *len, size_t *size, struct hb_span text)
{
	if (text.len > HB_SSE_MAX - *len)
		return false;
	if (*len + text.len > *size) {
		*size = 2 * (*len + text.len);
		*buf = hb_xrealloc(*buf, *size);
	}
	if (text.len > 0)
		memcpy(*buf + *len, text.ptr, text.len);
	*len += text.len;
	return true;
}

/* The value behind "name:" and one blank; absent when it is another field. */
static struct hb_span
value_of(struct hb_span line, struct hb_span name)
{
	if (!hb_span_starts(line, name))
		return HB_SPAN_NONE;
	line = hb_span_skip(line, name.len);
	return line.len > 0 && *line.ptr == ' ' ? hb_span_skip(line, 1) : line;
}

static bool
end_event(struct hb_sse *sse)
{
	bool goes_on = true;

	if (sse->has_data)
		goes_on = sse->on_event(sse->arg, hb_span_of(sse->name),
		    hb_span_make(sse->data, sse->data_len));
	sse->data_len = 0;
	sse->has_data = false;
	sse->name[0] = '\0';
	return goes_on;
}

static bool
end_line(struct hb_sse *sse)
{
	struct hb_span line = hb_span_make(sse->line, sse->line_len), value;

	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	sse->line_len = 0;
	if (line.len == 0)
		return end_event(sse);
	value = value_of(line, HB_SPAN("event:"));
	if (hb_span_is_set(value))
		snprintf(sse->name, sizeof(sse->name), "%.*s",
		    HB_SPAN_ARG(value));
	value = value_of(line, HB_SPAN("data:"));
	if (!hb_span_is_set(value))
		return true;
	if (sse->has_data &&
	    !append(&sse->data, &sse->data_len, &sse->data_size,
		HB_SPAN("\n")))
		return false;
	sse->has_data = true;
	return append(&sse->data, &sse->data_len, &sse->data_size, value);
}

bool
hb_sse_take(struct hb_sse *sse, struct hb_span piece)
{
	while (piece.len > 0) {
		const char *end = memchr(piece.ptr, '\n', piece.len);
		size_t len = end != NULL ? (size_t)(end - piece.ptr)
					 : piece.len;

		if (!append(&sse->line, &sse->line_len, &sse->line_size,
			hb_span_make(piece.ptr, len)))
			return false;
		if (end == NULL)
			return true;
		if (!end_line(sse))
			return false;
		piece = hb_span_skip(piece, len + 1);
	}
	return true;
}

void
hb_sse_fini(struct hb_sse *sse)
{
	free(sse->line);
	free(sse->data);
}
