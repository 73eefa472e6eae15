/* SPDX-License-Identifier: Apache-2.0 */
/* file_line.c - a message as one line
 *
 * An event's value is JSON and stays as it is, but for the line ends that
 * JSON allows between its tokens: those become spaces. (Inside a string they
 * cannot stand, only their escapes can.) A dead letter is a body as received,
 * maybe no JSON nor text at all:
 *
 *   {"headers":{"hb_reason":"…",…},"body_base64":"…"} */
#include <stdint.h>
#include <stdlib.h>

#include "file.h"
#include "hookbridge/crypto.h"
#include "hookbridge/json_span.h"
#include "hookbridge/mem.h"

#define QUOTED_MAX(len) (6 * (len) + 2)

void
hb_file_text_fini(struct hb_file_text *text)
{
	free(text->ptr);
	*text = (struct hb_file_text){0};
}

/* Room for so many bytes; the caller moves len. */
static char *
reserve(struct hb_file_text *text, size_t len)
{
	if (text->size - text->len < len) {
		if (text->size == 0)
			text->size = 4096;
		while (text->size - text->len < len)
			text->size *= 2;
		text->ptr = hb_xrealloc(text->ptr, text->size);
	}
	return text->ptr + text->len;
}

static void
add(struct hb_file_text *text, struct hb_span s)
{
	if (s.len == 0)
		return;
	memcpy(reserve(text, s.len), s.ptr, s.len);
	text->len += s.len;
}

static void
replace_by_space(char *ptr, size_t len, char c)
{
	char *end = ptr + len;

	while (ptr < end && (ptr = memchr(ptr, c, (size_t)(end - ptr))) != NULL)
		*ptr++ = ' ';
}

static void
add_json(struct hb_file_text *text, struct hb_span value)
{
	size_t begin = text->len;

	add(text, value);
	replace_by_space(text->ptr + begin, value.len, '\n');
	replace_by_space(text->ptr + begin, value.len, '\r');
}

static void
add_quoted(struct hb_file_text *text, struct hb_span s)
{
	text->len += hb_json_quote(s, reserve(text, QUOTED_MAX(s.len)));
}

static void
add_base64(struct hb_file_text *text, struct hb_span s)
{
	char *out = reserve(text, (s.len + 2) / 3 * 4);

	text->len += hb_base64_encode((const uint8_t *)s.ptr, s.len, out);
}

static void
add_dead_letter(struct hb_file_text *text, const struct hb_message *msg)
{
	add(text, HB_SPAN("{\"headers\":{"));
	for (size_t i = 0; i < msg->header_count; i++) {
		if (i > 0)
			add(text, HB_SPAN(","));
		add_quoted(text, msg->headers[i].name);
		add(text, HB_SPAN(":"));
		add_quoted(text, msg->headers[i].value);
	}
	add(text, HB_SPAN("},\"body_base64\":\""));
	add_base64(text, msg->value);
	add(text, HB_SPAN("\"}"));
}

void
hb_file_text_add(struct hb_file_text *text, const struct hb_message *msg)
{
	if (msg->dead_letter)
		add_dead_letter(text, msg);
	else
		add_json(text, msg->value);
	add(text, HB_SPAN("\n"));
}
