/* SPDX-License-Identifier: Apache-2.0 */
/* query.c - parameters and bodies, taken apart strictly
 *
 * What is not known is refused by its name: a filter that is misspelled would
 * otherwise filter nothing. A plus sign is a plus sign. */
#include <inttypes.h>
#include <string.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define NAME_SHOWN 64

/* A name from outside as a sentence shows it. */
static const char *
shown(struct hb_call *call, struct hb_span name)
{
	char *out = hb_arena_alloc(call->arena, NAME_SHOWN);

	hb_log_escape(name, out, NAME_SHOWN);
	return out;
}

/* --- percent escapes ------------------------------------------------------ */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hb_admin_decode(struct hb_arena *arena, struct hb_span text,
    struct hb_span *out)
{
	char *to = hb_arena_alloc(arena, text.len + 1);

	*out = hb_span_make(to, 0);
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] != '%') {
			to[out->len++] = text.ptr[i];
			continue;
		}
		if (text.len - i < 3)
			return false;
		high = hex(text.ptr[i + 1]);
		low = hex(text.ptr[i + 2]);
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return false;
		to[out->len++] = (char)(high << 4 | low);
		i += 2;
	}
	return true;
}

/* --- the query ------------------------------------------------------------ */

/* What stands before the separator, which is taken too. */
static struct hb_span
cut(struct hb_span *rest, char separator)
{
	const char *at = memchr(rest->ptr, separator, rest->len);
	struct hb_span before = *rest;

	if (at == NULL) {
		*rest = HB_SPAN_NONE;
		return before;
	}
	before.len = (size_t)(at - before.ptr);
	*rest = hb_span_skip(*rest, before.len + 1);
	return before;
}

/* The name's place in a list that NULL ends. */
static bool
find(const char *const *names, struct hb_span name, size_t *place)
{
	for (*place = 0; names[*place] != NULL; (*place)++)
		if (hb_span_eq(hb_span_of(names[*place]), name))
			return true;
	return false;
}

/* One "name=value". */
static bool
read_param(struct hb_call *call, struct hb_span value)
{
	struct hb_span name = cut(&value, '=');
	size_t place;

	if (!hb_span_is_set(value))
		value = HB_SPAN("");
	if (!hb_admin_decode(call->arena, name, &name) ||
	    !hb_admin_decode(call->arena, value, &value))
		return hb_admin_refuse(call, 400,
		    "the query has a bad percent escape");
	if (!find(call->resource->params, name, &place))
		return hb_admin_refuse(call, 400,
		    "there is no parameter \"%s\" here", shown(call, name));
	if (hb_span_is_set(call->params[place]))
		return hb_admin_refuse(call, 400,
		    "the parameter \"%s\" is given twice", shown(call, name));
	call->params[place] = value;
	return true;
}

bool
hb_admin_read_query(struct hb_call *call)
{
	struct hb_span rest = call->req->head.query;

	if (rest.len == 0)
		return true;
	while (hb_span_is_set(rest))
		if (!read_param(call, cut(&rest, '&')))
			return false;
	return true;
}

/* --- numbers -------------------------------------------------------------- */

/* Digits only, and no more of them than a record's number may have. */
static bool
parse(struct hb_span text, uint64_t *n)
{
	*n = 0;
	if (text.len == 0 || text.len > 18)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*n = *n * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	return true;
}

bool
hb_admin_part_number(struct hb_call *call, uint64_t *n)
{
	return parse(call->part, n) ||
	    hb_admin_refuse(call, 404, "\"%s\" is not the number of a record",
		shown(call, call->part));
}

bool
hb_admin_param_number(struct hb_call *call, size_t param, uint64_t least,
    uint64_t most, uint64_t *n)
{
	struct hb_span text = call->params[param];
	uint64_t value;

	if (!hb_span_is_set(text))
		return true;
	if (!parse(text, &value) || value < least || value > most)
		return hb_admin_refuse(call, 400,
		    "%s: expected a number from %" PRIu64 " to %" PRIu64,
		    call->resource->params[param], least, most);
	*n = value;
	return true;
}

/* --- bodies --------------------------------------------------------------- */

static bool
check_members(struct hb_call *call)
{
	const char *name;
	json_t *value;
	size_t place;

	json_object_foreach (call->body, name, value)
		if (!find(call->resource->members, hb_span_of(name), &place))
			return hb_admin_refuse(call, 400,
			    "there is no member \"%s\" here",
			    shown(call, hb_span_of(name)));
	return true;
}

bool
hb_admin_read_body(struct hb_call *call)
{
	const struct hb_http_request *req = call->req;
	json_error_t error;

	if (req->body_len == 0)
		return true;
	call->body = json_loadb(req->body, req->body_len,
	    JSON_REJECT_DUPLICATES, &error);
	if (call->body == NULL)
		return hb_admin_refuse(call, 400,
		    "the body is not valid JSON: %s",
		    shown(call, hb_span_of(error.text)));
	if (!json_is_object(call->body))
		return hb_admin_refuse(call, 400,
		    "the body has to be an object");
	return check_members(call);
}

bool
hb_admin_member_number(struct hb_call *call, const char *name, uint64_t least,
    uint64_t most, uint64_t *n)
{
	const json_t *value = json_object_get(call->body, name);

	if (value == NULL)
		return true;
	if (!json_is_integer(value) ||
	    json_integer_value(value) < (json_int_t)least ||
	    json_integer_value(value) > (json_int_t)most)
		return hb_admin_refuse(call, 400,
		    "%s: expected a number from %" PRIu64 " to %" PRIu64, name,
		    least, most);
	*n = (uint64_t)json_integer_value(value);
	return true;
}

bool
hb_admin_member_text(struct hb_call *call, const char *name, const char **text)
{
	*text = json_string_value(json_object_get(call->body, name));
	return *text != NULL ||
	    hb_admin_refuse(call, 400, "%s: expected a text", name);
}
