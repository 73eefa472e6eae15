/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - direct webhooks: a shared token, wherever the sender can put one
 *
 *   bearer          Authorization: Bearer TOKEN
 *   basic           Authorization: Basic base64(USER:TOKEN)
 *   query.NAME      ?NAME=TOKEN, percent-decoded; a plus is a plus
 *   path            what stands for {token}, percent-decoded
 *   metadata.PATH   a string in the body; cut out once it has matched
 *
 * Where a token could stand twice, two readers could take two tokens: that is
 * refused, whatever they say.
 *
 * Tokens are compared as HMACs under a random key that only this verifier has:
 * their length and their first wrong byte leave no trace in time. Every secret
 * of the list is looked at. For basic the compared text is the base64, since it
 * has one text for each value.
 *
 * A token in metadata is looked for before anything is known about the sender,
 * by spans, in linear time, without a tree. metadata is where normalize would
 * find it: in `data` when that is an object with a job_id and there is none
 * beside it. Cutting keeps the text valid JSON and all other bytes as they
 * were; the white space that goes with the member is the one before the next
 * member, or before the member itself when it was the last:
 *
 *   {"a":1, "token":"x", "b":2}  ►  {"a":1, "b":2}
 *   {"a":1, "token":"x" }        ►  {"a":1 } */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* No character of a token takes more bytes in JSON than \u00XX. */
#define JSON_WORST 6

struct hb_tokens {
	struct hb_hmac_key *key;
	uint8_t (*digests)[HB_SHA256_SIZE];
	size_t count;
	size_t longest; /* token, in bytes */
};

static bool
refuse_missing(struct hb_error *err, const char *where)
{
	return hb_fail_reason(err, HB_E_AUTH, "token_missing",
	    "no token in %s", where);
}

static bool
refuse_mismatch(struct hb_error *err)
{
	return hb_fail_reason(err, HB_E_AUTH, "token_mismatch",
	    "the token is not one of this endpoint's");
}

static bool
refuse_repeated(struct hb_error *err, const char *where)
{
	return hb_fail_reason(err, HB_E_AUTH, "token_repeated",
	    "more than one place for the token in %s", where);
}

/* --- secrets -------------------------------------------------------------- */

static void
feed(struct hb_hmac *mac, struct hb_span s)
{
	hb_hmac_update(mac, s.ptr, s.len);
}

/* What basic carries for this secret. */
static void
feed_basic(struct hb_hmac *mac, const char *user, struct hb_span secret)
{
	size_t user_len = strlen(user), len = user_len + 1 + secret.len;
	char *plain = hb_xmalloc(len), *text = hb_xmalloc((len + 2) / 3 * 4);
	size_t text_len;

	memcpy(plain, user, user_len);
	plain[user_len] = ':';
	memcpy(plain + user_len + 1, secret.ptr, secret.len);
	text_len = hb_base64_encode((const uint8_t *)plain, len, text);
	feed(mac, hb_span_make(text, text_len));
	hb_wipe(plain, len);
	hb_wipe(text, text_len);
	free(plain);
	free(text);
}

static void
add_secret(struct hb_tokens *tokens, struct hb_hmac *mac,
    const struct hb_token_conf *conf, const struct hb_secret *secret)
{
	struct hb_span text =
	    hb_span_make((const char *)secret->data, secret->len);

	hb_hmac_begin(mac, tokens->key);
	if (conf->in == HB_TOKEN_BASIC)
		feed_basic(mac, conf->user, text);
	else
		feed(mac, text);
	hb_hmac_final(mac, tokens->digests[tokens->count++]);
	if (text.len > tokens->longest)
		tokens->longest = text.len;
}

static void
compile(struct hb_verifier *verifier)
{
	const struct hb_token_conf *conf = &verifier->endpoint->token;
	struct hb_tokens *tokens = hb_xcalloc(1, sizeof(*tokens));
	struct hb_hmac *mac = hb_hmac_new();
	uint8_t key[HB_SHA256_SIZE];

	hb_random(key, sizeof(key));
	tokens->key = hb_hmac_key_new(key, sizeof(key));
	hb_wipe(key, sizeof(key));
	tokens->digests =
	    hb_xcalloc(conf->secrets.count, sizeof(*tokens->digests));
	for (size_t i = 0; i < conf->secrets.count; i++)
		add_secret(tokens, mac, conf, conf->secrets.items[i]);
	hb_hmac_free(mac);
	verifier->tokens = tokens;
}

void
hb_tokens_free(struct hb_tokens *tokens)
{
	if (tokens == NULL)
		return;
	hb_hmac_key_free(tokens->key);
	free(tokens->digests);
	free(tokens);
}

/* --- comparing ------------------------------------------------------------ */

/* A hash for the token that the request shows. */
static struct hb_hmac *
start_mac(struct hb_verify *attempt)
{
	struct hb_hmac *mac = hb_verify_mac(attempt, 0);

	hb_hmac_begin(mac, attempt->verifier->tokens->key);
	return mac;
}

/* Whether what was fed is a secret; the newest one's place is kept. */
static bool
matches(struct hb_verify *attempt, struct hb_hmac *mac)
{
	const struct hb_tokens *tokens = attempt->verifier->tokens;
	uint8_t digest[HB_SHA256_SIZE];
	bool match = false;

	hb_hmac_final(mac, digest);
	for (size_t i = tokens->count; i-- > 0;) {
		bool equal = hb_equal_ct(
		    hb_span_make((const char *)digest, sizeof(digest)),
		    hb_span_make((const char *)tokens->digests[i],
			sizeof(digest)));

		if (equal)
			attempt->key = (unsigned)i;
		match |= equal;
	}
	return match;
}

static bool
check(struct hb_verify *attempt, struct hb_span token, struct hb_error *err)
{
	struct hb_hmac *mac = start_mac(attempt);

	feed(mac, token);
	return matches(attempt, mac) || refuse_mismatch(err);
}

/* --- percent escapes ------------------------------------------------------ */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes the next character, decoded; -1 for a percent sign without digits. */
static int
next_char(struct hb_span *rest)
{
	char c = rest->ptr[0];
	int high, low;

	if (c != '%') {
		*rest = hb_span_skip(*rest, 1);
		return (unsigned char)c;
	}
	high = rest->len >= 3 ? hex_digit(rest->ptr[1]) : -1;
	low = rest->len >= 3 ? hex_digit(rest->ptr[2]) : -1;
	if (high < 0 || low < 0)
		return -1;
	*rest = hb_span_skip(*rest, 3);
	return high << 4 | low;
}

static bool
decodes_to(struct hb_span text, struct hb_span wanted)
{
	while (text.len > 0 && wanted.len > 0) {
		if (next_char(&text) != (unsigned char)wanted.ptr[0])
			return false;
		wanted = hb_span_skip(wanted, 1);
	}
	return text.len == 0 && wanted.len == 0;
}

static bool
check_decoded(struct hb_verify *attempt, struct hb_span text,
    struct hb_error *err)
{
	struct hb_hmac *mac = start_mac(attempt);

	while (text.len > 0) {
		int c = next_char(&text);
		uint8_t byte = (uint8_t)c;

		if (c < 0)
			return refuse_mismatch(err);
		hb_hmac_update(mac, &byte, 1);
	}
	return matches(attempt, mac) || refuse_mismatch(err);
}

/* --- in the head ---------------------------------------------------------- */

static bool
check_authorization(struct hb_verify *attempt, const struct hb_http_head *head,
    struct hb_span scheme, struct hb_error *err)
{
	static const char where[] = "the Authorization header";
	struct hb_span rest;
	size_t count;

	rest = hb_http_header(head, HB_SPAN("authorization"), &count);
	if (count > 1)
		return refuse_repeated(err, where);
	if (rest.len <= scheme.len || rest.ptr[scheme.len] != ' ' ||
	    !hb_span_eq_nocase(hb_span_make(rest.ptr, scheme.len), scheme))
		return refuse_missing(err, where);
	rest = hb_span_skip(rest, scheme.len);
	while (rest.len > 0 && rest.ptr[0] == ' ')
		rest = hb_span_skip(rest, 1);
	return check(attempt, rest, err);
}

/* Takes the next parameter; its value is absent without an equals sign. */
static bool
next_parameter(struct hb_span *query, struct hb_span *name,
    struct hb_span *value)
{
	const char *end, *equals;

	if (query->len == 0)
		return false;
	end = memchr(query->ptr, '&', query->len);
	*name = hb_span_make(query->ptr,
	    end != NULL ? (size_t)(end - query->ptr) : query->len);
	*query = hb_span_skip(*query, name->len + (end != NULL ? 1 : 0));
	*value = HB_SPAN_NONE;
	equals = memchr(name->ptr, '=', name->len);
	if (equals != NULL) {
		size_t len = (size_t)(equals - name->ptr);

		*value = hb_span_skip(*name, len + 1);
		name->len = len;
	}
	return true;
}

static bool
check_query(struct hb_verify *attempt, struct hb_span query,
    struct hb_error *err)
{
	static const char where[] = "the query";
	struct hb_span wanted =
	    hb_span_of(attempt->verifier->endpoint->token.name);
	struct hb_span name, value, token = HB_SPAN_NONE;
	size_t count = 0;

	while (next_parameter(&query, &name, &value)) {
		if (!decodes_to(name, wanted))
			continue;
		count++;
		token = value;
	}
	if (count > 1)
		return refuse_repeated(err, where);
	if (!hb_span_is_set(token))
		return refuse_missing(err, where);
	return check_decoded(attempt, token, err);
}

static bool
begin(struct hb_verify *attempt, const struct hb_http_head *head,
    struct hb_span path_token, int64_t now_ms, struct hb_error *err)
{
	(void)now_ms;
	attempt->key = 0;
	switch (attempt->verifier->endpoint->token.in) {
	case HB_TOKEN_NONE: /* the allow list is the proof */
	case HB_TOKEN_METADATA:
		return true;
	case HB_TOKEN_BEARER:
		return check_authorization(attempt, head, HB_SPAN("Bearer"),
		    err);
	case HB_TOKEN_BASIC:
		return check_authorization(attempt, head, HB_SPAN("Basic"),
		    err);
	case HB_TOKEN_QUERY:
		return check_query(attempt, head->query, err);
	case HB_TOKEN_PATH:
		if (!hb_span_is_set(path_token))
			return refuse_missing(err, "the path");
		return check_decoded(attempt, path_token, err);
	}
	hb_bug("token in %d", (int)attempt->verifier->endpoint->token.in);
}

/* --- in metadata ---------------------------------------------------------- */

/* The members of one object that say where metadata is. */
struct signposts {
	struct hb_json_value metadata, data; /* first occurrences */
	bool job_id, metadata_again, data_again;
};

static void
note(struct hb_json_value *value, bool *again,
    const struct hb_json_member *member)
{
	if (value->kind == HB_JSON_NONE)
		*value = member->value;
	else
		*again = true;
}

static bool
on_member(void *arg, const struct hb_json_member *member, struct hb_error *err)
{
	struct signposts *posts = arg;

	(void)err;
	if (hb_json_name_is(member, HB_SPAN("metadata")))
		note(&posts->metadata, &posts->metadata_again, member);
	else if (hb_json_name_is(member, HB_SPAN("data")))
		note(&posts->data, &posts->data_again, member);
	else if (hb_json_name_is(member, HB_SPAN("job_id")))
		posts->job_id = true;
	return true;
}

/* Whether `data` is the event and the rest its envelope; then inner is read. */
static bool
open_envelope(const struct signposts *outer, struct signposts *inner)
{
	struct hb_json_member member;
	struct hb_json_iter it;

	if (outer->job_id || outer->data.kind != HB_JSON_OBJECT)
		return false;
	hb_json_iter_init(&it, outer->data.text);
	while (hb_json_iter_next(&it, &member))
		on_member(inner, &member, NULL);
	return inner->job_id;
}

/* The event's metadata, absent when there is none. */
static bool
find_metadata(struct hb_span body, struct hb_span *metadata,
    struct hb_error *err)
{
	struct signposts outer = { 0 }, inner = { 0 }, *posts = &outer;
	struct hb_json_value value;
	struct hb_error fault;

	if (!hb_json_scan(body, on_member, &outer, &value, &fault))
		return hb_fail_reason(err, HB_E_AUTH, "unparsable",
		    "the body is not JSON, so its token cannot be found: %s",
		    fault.text);
	if (open_envelope(&outer, &inner))
		posts = &inner;
	if (posts->metadata_again || (!outer.job_id && outer.data_again))
		return refuse_repeated(err, "the body");
	*metadata = posts->metadata.text;
	return true;
}

/* Compares a JSON string. What is too long to be a secret is not decoded. */
static bool
check_string(struct hb_verify *attempt, struct hb_json_value value,
    struct hb_error *err)
{
	size_t longest = attempt->verifier->tokens->longest * JSON_WORST;
	struct hb_arena *arena;
	struct hb_span token;
	bool match;

	if (value.kind != HB_JSON_STRING || value.text.len - 2 > longest)
		return refuse_mismatch(err);
	arena = hb_arena_new(value.text.len);
	token = hb_json_decode(value.text, arena);
	match = hb_span_is_set(token) ? check(attempt, token, err)
				      : refuse_mismatch(err);
	/* Without escapes it is a piece of the body, which is cut later. */
	if (hb_span_is_set(token) && token.ptr != value.text.ptr + 1)
		hb_wipe((char *)token.ptr, token.len);
	hb_arena_free(arena);
	return match;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Takes a member out of the object that it stands in, with the comma that
 * becomes one too many. Returns the body's new length. */
static size_t
cut_member(char *body, size_t body_len, struct hb_span member)
{
	size_t from = (size_t)(member.ptr - body), to = from + member.len;
	size_t next = to;

	while (is_space(body[next]))
		next++;
	if (body[next] == ',') {
		to = next + 1;
		while (is_space(body[to]))
			to++;
	} else {
		while (is_space(body[from - 1]))
			from--;
		if (body[from - 1] == ',')
			from--;
	}
	memmove(body + from, body + to, body_len - to);
	body_len -= to - from;
	hb_wipe(body + body_len, to - from);
	return body_len;
}

static bool
finish_metadata(struct hb_verify *attempt, char *body, size_t *body_len,
    struct hb_error *err)
{
	static const char where[] = "metadata";
	const struct hb_token_conf *conf = &attempt->verifier->endpoint->token;
	struct hb_json_found found;
	struct hb_span metadata;

	if (!find_metadata(*body_len > 0 ? hb_span_make(body, *body_len)
		: HB_SPAN(""), &metadata, err))
		return false;
	hb_json_paths_find(conf->path, metadata, &found);
	if (found.repeated)
		return refuse_repeated(err, where);
	if (found.value.kind == HB_JSON_NONE)
		return refuse_missing(err, where);
	if (!check_string(attempt, found.value, err))
		return false;
	*body_len = cut_member(body, *body_len, found.whole);
	return true;
}

static bool
finish(struct hb_verify *attempt, char *body, size_t body_len, int64_t now_ms,
    struct hb_verified *out, struct hb_error *err)
{
	(void)now_ms;
	if (attempt->verifier->endpoint->token.in == HB_TOKEN_METADATA &&
	    !finish_metadata(attempt, body, &body_len, err))
		return false;
	out->body_len = body_len;
	out->key = attempt->key;
	return true;
}

const struct hb_verify_mode hb_verify_token = {
	.compile = compile,
	.begin = begin,
	.finish = finish,
};
