/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - what jansson is not given as it is
 *
 * Its strings are UTF-8, its integers signed; nothing else may reach it, for
 * it would put nothing in the place. */
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "parts.h"

static void
set_base64(json_t *object, const char *name, struct hb_span bytes)
{
	size_t size = strlen(name) + sizeof("_base64");
	char *key = hb_xmalloc(size);
	char *text = hb_xmalloc((bytes.len + 2) / 3 * 4 + 1);
	size_t len =
	    hb_base64_encode((const uint8_t *)bytes.ptr, bytes.len, text);

	snprintf(key, size, "%s_base64", name);
	json_object_set_new_nocheck(
	    object, key, json_stringn_nocheck(text, len));
	free(text);
	free(key);
}

/* A NUL is a character of UTF-8 and JSON, but readers refuse it. */
static bool
is_for_all(struct hb_span text)
{
	return hb_utf8_is_valid(text) &&
	    (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);
}

void
hb_admin_set(json_t *object, const char *name, struct hb_span text)
{
	if (!hb_span_is_set(text))
		json_object_set_new_nocheck(object, name, json_null());
	else if (is_for_all(text))
		json_object_set_new_nocheck(object, name,
		    json_stringn_nocheck(text.ptr, text.len));
	else
		set_base64(object, name, text);
}

json_t *
hb_admin_time(int64_t ms)
{
	return ms != 0 ? json_integer(ms) : json_null();
}

char *
hb_admin_print(json_t *doc_take, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (out == NULL)
		hb_bug("open_memstream failed");
	json_dumpf(doc_take, out, JSON_COMPACT | JSON_REAL_PRECISION(9));
	fputc('\n', out);
	if (fclose(out) != 0)
		hb_bug("out of memory");
	json_decref(doc_take);
	return text;
}
