/* SPDX-License-Identifier: Apache-2.0 */
/* json_doc.c - the document that --json prints */
#include "json_doc.h"

#include <stdlib.h>

#include "ctl.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"

json_t *
hb_json_doc_text(struct hb_span text)
{
	size_t size = 6 * text.len + 1;
	json_t *string;
	char *escaped;

	if (hb_utf8_is_valid(text))
		return json_stringn(text.ptr, text.len);
	escaped = hb_xmalloc(size);
	string = json_stringn(escaped, hb_log_escape(text, escaped, size));
	free(escaped);
	return string;
}

struct hb_span
hb_json_doc_string(const json_t *doc, const char *name)
{
	const json_t *value = json_object_get(doc, name);

	if (!json_is_string(value))
		return HB_SPAN_NONE;
	return hb_span_make(json_string_value(value),
	    json_string_length(value));
}

uint64_t
hb_json_doc_count(const json_t *doc, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(doc, name));

	return value > 0 ? (uint64_t)value : 0;
}

void
hb_json_doc_put(const json_t *doc)
{
	if (doc == NULL)
		hb_bug("a document without a value");
	/* In ASCII, for a terminal obeys other control characters, too. Times
	 * are known to the microsecond. */
	json_dumpf(doc, stdout,
	    JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	putchar('\n');
}

int
hb_json_doc_print(json_t *doc)
{
	hb_json_doc_put(doc);
	json_decref(doc);
	return hb_ctl_finish(EX_OK);
}
