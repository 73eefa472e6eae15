/* SPDX-License-Identifier: Apache-2.0 */
/* proof.c - with what a webhook shows that it is genuine
 *
 * In svix mode that is the endpoint's first secret that can sign (whpk_ only
 * verifies), in direct mode its first token.
 *
 * A token in metadata is written into the text of the body, which is not parsed
 * into a tree and printed again: every other byte stays. The path is followed
 * as far as the body has it; what is missing is made, and what stands at its
 * end is replaced:
 *
 *   a.b in {"c":1}           ►  {"a":{"b":"TOKEN"},"c":1}
 *   a.b in {"a":{"b":null}}  ►  {"a":{"b":"TOKEN"}} */
#include <string.h>

#include "hookbridge/svix_key.h"
#include "send.h"

/* --- which ---------------------------------------------------------------- */

static bool
init_given(struct hb_proof *proof, struct hb_span given, struct hb_error *err)
{
	proof->own_key = hb_svix_key_parse(given, err);
	if (proof->own_key == NULL) {
		hb_error_prefix(err, "--secret: ");
		return false;
	}
	proof->key = proof->own_key;
	if (proof->key->kind == HB_SVIX_HMAC)
		return true;
	hb_proof_fini(proof);
	return hb_fail(err, HB_E_CONFIG, "--secret: a public key (whpk_) "
	    "cannot sign; give a whsec_ secret");
}

static bool
init_svix(struct hb_proof *proof, const struct hb_endpoint_conf *endpoint,
    struct hb_error *err)
{
	for (size_t i = 0; i < endpoint->secrets.count; i++) {
		proof->key = endpoint->svix_keys[i];
		if (proof->key->kind == HB_SVIX_HMAC)
			return true;
	}
	return hb_fail(err, HB_E_CONFIG, "endpoint %s has public keys (whpk_) "
	    "only, which cannot sign; give a secret by --secret",
	    endpoint->name);
}

bool
hb_proof_init(struct hb_proof *proof, const struct hb_endpoint_conf *endpoint,
    struct hb_span given, struct hb_error *err)
{
	const struct hb_secrets *tokens = &endpoint->token.secrets;

	*proof = (struct hb_proof){ .token = given };
	if (endpoint->mode == HB_MODE_DISABLED)
		return hb_fail(err, HB_E_CONFIG, "endpoint %s is disabled and "
		    "answers nobody; give it a mode", endpoint->name);
	if (endpoint->mode == HB_MODE_SVIX)
		return hb_span_is_set(given) ? init_given(proof, given, err)
					     : init_svix(proof, endpoint, err);
	if (!hb_span_is_set(given) && tokens->count > 0)
		proof->token = hb_span_make(
		    (const char *)tokens->items[0]->data,
		    tokens->items[0]->len);
	return true;
}

void
hb_proof_fini(struct hb_proof *proof)
{
	hb_svix_key_free(proof->own_key);
	proof->own_key = NULL;
}

/* --- a token in metadata -------------------------------------------------- */

/* The body with other text in place of the len bytes at from. */
static struct hb_span
splice(struct hb_arena *arena, struct hb_span body, const char *from,
    size_t len, struct hb_span put)
{
	size_t before = (size_t)(from - body.ptr);
	struct hb_span after = hb_span_skip(body, before + len);
	char *text = hb_arena_alloc(arena, before + put.len + after.len);

	memcpy(text, body.ptr, before);
	memcpy(text + before, put.ptr, put.len);
	if (after.len > 0)
		memcpy(text + before + put.len, after.ptr, after.len);
	return hb_span_make(text, before + put.len + after.len);
}

/* The next name of a dotted path, its escapes decoded, and the rest. */
static struct hb_span
take_name(struct hb_arena *arena, const char **path)
{
	char *name = hb_arena_alloc(arena, strlen(*path) + 1);
	size_t len = 0;

	while (**path != '\0' && **path != '.') {
		if (**path == '\\' && (*path)[1] != '\0')
			++*path;
		name[len++] = *(*path)++;
	}
	if (**path == '.')
		++*path;
	return hb_span_make(name, len);
}

static struct hb_span
quote(struct hb_arena *arena, struct hb_span text)
{
	char *out = hb_arena_alloc(arena, 6 * text.len + 2);

	return hb_span_make(out, hb_json_quote(text, out));
}

/* "name":{"next":..."TOKEN"...} for what is left of a path. */
static struct hb_span
make_member(struct hb_arena *arena, struct hb_span name, const char *path,
    struct hb_span token)
{
	struct hb_span quoted = quote(arena, name), inner;

	if (*path == '\0') {
		inner = quote(arena, token);
		return hb_arena_printf(arena, "%.*s:%.*s",
		    HB_SPAN_ARG(quoted), HB_SPAN_ARG(inner));
	}
	name = take_name(arena, &path);
	inner = make_member(arena, name, path, token);
	return hb_arena_printf(arena, "%.*s:{%.*s}", HB_SPAN_ARG(quoted),
	    HB_SPAN_ARG(inner));
}

static bool
find_member(struct hb_span object, struct hb_span name,
    struct hb_json_member *member)
{
	struct hb_json_iter it;

	hb_json_iter_init(&it, object);
	while (hb_json_iter_next(&it, member))
		if (hb_json_name_is(member, name))
			return true;
	return false;
}

/* A member behind the object's brace, or an object of it for null. */
static struct hb_span
insert(struct hb_arena *arena, struct hb_span body, struct hb_span object,
    struct hb_span name, const char *path, struct hb_span token)
{
	struct hb_span member = make_member(arena, name, path, token);
	struct hb_json_member first;
	struct hb_json_iter it;

	if (object.ptr[0] != '{')
		return splice(arena, body, object.ptr, object.len,
		    hb_arena_printf(arena, "{%.*s}", HB_SPAN_ARG(member)));
	hb_json_iter_init(&it, object);
	if (hb_json_iter_next(&it, &first))
		member = hb_arena_printf(arena, "%.*s,", HB_SPAN_ARG(member));
	return splice(arena, body, object.ptr + 1, 0, member);
}

/* Follows metadata and path as far as object has them; the new body, or the
 * absent span. */
static struct hb_span
place(struct hb_arena *arena, struct hb_span body, struct hb_span object,
    const char *path, struct hb_span token, struct hb_error *err)
{
	struct hb_span name = HB_SPAN("metadata");
	struct hb_json_member member;

	while (find_member(object, name, &member)) {
		struct hb_span value = member.value.text;

		if (*path == '\0')
			return splice(arena, body, value.ptr, value.len,
			    quote(arena, token));
		if (member.value.kind != HB_JSON_OBJECT &&
		    member.value.kind != HB_JSON_NULL) {
			hb_fail(err, HB_E_REJECT, "the body has no place for "
			    "the token: \"%.*s\" is no object",
			    HB_SPAN_ARG(name));
			return HB_SPAN_NONE;
		}
		object = value;
		name = take_name(arena, &path);
	}
	return insert(arena, body, object, name, path, token);
}

/* Where metadata is: in `data` if that is the event and the rest its
 * envelope. */
static struct hb_span
event_of(struct hb_span body)
{
	struct hb_json_member data, job_id;

	if (!find_member(body, HB_SPAN("job_id"), &job_id) &&
	    find_member(body, HB_SPAN("data"), &data) &&
	    find_member(data.value.text, HB_SPAN("job_id"), &job_id))
		return data.value.text;
	return body;
}

bool
hb_proof_put_token(struct hb_arena *arena, struct hb_span *body,
    const char *path, struct hb_span token, struct hb_error *err)
{
	struct hb_json_value value;
	struct hb_error fault;

	if (!hb_json_validate(*body, &value, &fault))
		return hb_fail(err, HB_E_REJECT, "the body has no place for "
		    "the token: it is not JSON: %s", fault.text);
	if (value.kind != HB_JSON_OBJECT)
		return hb_fail(err, HB_E_REJECT, "the body has no place for "
		    "the token: it is no JSON object");
	*body = place(arena, *body, event_of(value.text), path, token, err);
	return hb_span_is_set(*body);
}
