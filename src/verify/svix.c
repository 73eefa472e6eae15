/* SPDX-License-Identifier: Apache-2.0 */
/* svix.c - signed webhooks: v1 (HMAC-SHA256) and v1a (Ed25519)
 *
 * Signed is  id "." timestamp "." body,  each as it came. The libraries of
 * Svix and of Standard Webhooks disagree at the edges; here it is decided:
 *
 *   1. Header names have no case. The svix-* family counts if its three
 *      headers are there and not empty, else the webhook-* family if complete.
 *      Families never mix, and after a bad signature there is no second try.
 *   2. Each of the six names occurs at most once, whichever family counts.
 *   3. The id is 1 to 128 visible ASCII characters without a dot: with one,
 *      the same signed bytes could be cut into other parts.
 *   4. The timestamp is ^[1-9][0-9]{0,14}$, and at most the tolerance away
 *      from now, edges included, in whole seconds. So it is when the head is
 *      there, and again when the last byte of the body is.
 *   5. The signature header is a list with spaces between its entries, each
 *      version "," signature, cut at the first comma. What is empty or has no
 *      comma is no entry. More than 16 entries are refused, versions that we
 *      do not know are passed over.
 *   6. v1 is compared as text with the MAC of every HMAC key, in constant
 *      time. As base64 has one text for each value, anything but the 44
 *      characters we would write is no signature.
 *   7. v1a is strict base64 of 64 bytes, tried with Ed25519 keys only. The
 *      first two such entries and the first two such keys count, the rest is
 *      ignored: each try costs 0.1 ms, and anyone may ask for it.
 *   8. All keys and entries of a kind are evaluated, whatever has matched; then
 *      the newest key that matched is named.
 *
 * The hashes run while the body comes in, one for each HMAC key. Ed25519 takes
 * the message in one piece only, so it waits for the end, and for HMAC to
 * fail. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/svix_key.h"
#include "parts.h"

#define ID_MAX 128
#define STAMP_MAX 15
#define MAC_TEXT 44 /* base64 of 32 bytes */

static bool
refuse_no_match(struct hb_error *err, const char *sentence)
{
	return hb_fail_reason(err, HB_E_AUTH, "no_matching_signature", "%s",
	    sentence);
}

/* --- headers -------------------------------------------------------------- */

enum name { ID, STAMP, SIGNATURE, NAMES };
enum { FAMILIES = 2 };

static const struct hb_span families[FAMILIES][NAMES] = {
	{ HB_SPAN("svix-id"), HB_SPAN("svix-timestamp"),
	    HB_SPAN("svix-signature") },
	{ HB_SPAN("webhook-id"), HB_SPAN("webhook-timestamp"),
	    HB_SPAN("webhook-signature") },
};

static bool
is_complete(const struct hb_span values[NAMES])
{
	return values[ID].len > 0 && values[STAMP].len > 0 &&
	    values[SIGNATURE].len > 0;
}

/* Finds all six; the values of the family that counts, or NULL. */
static const struct hb_span *
read_headers(const struct hb_http_head *head,
    struct hb_span found[FAMILIES][NAMES], struct hb_error *err)
{
	for (size_t f = 0; f < FAMILIES; f++)
		for (size_t n = 0; n < NAMES; n++) {
			size_t count;

			found[f][n] =
			    hb_http_header(head, families[f][n], &count);
			if (count <= 1)
				continue;
			hb_fail_reason(err, HB_E_AUTH, "duplicate_header",
			    "header %.*s occurs %zu times",
			    HB_SPAN_ARG(families[f][n]), count);
			return NULL;
		}
	for (size_t f = 0; f < FAMILIES; f++)
		if (is_complete(found[f]))
			return found[f];
	hb_fail_reason(err, HB_E_AUTH, "missing_header",
	    "missing required headers");
	return NULL;
}

static bool
is_id(struct hb_span id)
{
	if (id.len > ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~' || id.ptr[i] == '.')
			return false;
	return true;
}

static bool
read_timestamp(struct hb_span text, int64_t *timestamp)
{
	int64_t value = 0;

	if (text.len > STAMP_MAX || text.ptr[0] == '0')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (text.ptr[i] - '0');
	}
	*timestamp = value;
	return true;
}

/* Whether the attempt's timestamp is within the tolerance. */
static bool
check_age(const struct hb_verify *attempt, int64_t now_ms, struct hb_error *err)
{
	int64_t tolerance =
	    (int64_t)(attempt->verifier->endpoint->tolerance_ms / 1000);
	int64_t age = now_ms / 1000 - attempt->svix.timestamp;

	if (age > tolerance)
		return hb_fail_reason(err, HB_E_AUTH, "timestamp_too_old",
		    "message timestamp too old (by %lld s)",
		    (long long)(age - tolerance));
	if (-age > tolerance)
		return hb_fail_reason(err, HB_E_AUTH, "timestamp_too_new",
		    "message timestamp too new (by %lld s)",
		    (long long)(-age - tolerance));
	return true;
}

/* --- the list of signatures ----------------------------------------------- */

/* Takes the next piece between spaces. */
static bool
next_piece(struct hb_span *rest, struct hb_span *piece)
{
	const char *space;

	while (rest->len > 0 && rest->ptr[0] == ' ')
		*rest = hb_span_skip(*rest, 1);
	space = memchr(rest->ptr, ' ', rest->len);
	piece->ptr = rest->ptr;
	piece->len = space != NULL ? (size_t)(space - rest->ptr) : rest->len;
	*rest = hb_span_skip(*rest, piece->len);
	return piece->len > 0;
}

/* Keeps a signature if it is of a kind and shape that could match. */
static void
keep_entry(struct hb_svix_attempt *svix, struct hb_span version,
    struct hb_span value)
{
	if (hb_span_eq(version, HB_SPAN("v1"))) {
		if (value.len == MAC_TEXT)
			svix->v1[svix->v1_count++] = value;
	} else if (hb_span_eq(version, HB_SPAN("v1a"))) {
		if (svix->v1a_count < HB_SVIX_ED25519_ENTRIES &&
		    hb_base64_decode(value, svix->v1a[svix->v1a_count],
			HB_ED25519_SIG_SIZE) == HB_ED25519_SIG_SIZE)
			svix->v1a_count++;
	}
}

static bool
read_signatures(struct hb_svix_attempt *svix, struct hb_span list,
    struct hb_error *err)
{
	struct hb_span piece;
	size_t count = 0;

	svix->v1_count = svix->v1a_count = 0;
	while (next_piece(&list, &piece)) {
		const char *comma = memchr(piece.ptr, ',', piece.len);
		size_t version_len;

		if (comma == NULL)
			continue;
		if (++count > HB_SVIX_ENTRIES)
			return refuse_no_match(err, "too many signatures");
		version_len = (size_t)(comma - piece.ptr);
		keep_entry(svix, hb_span_make(piece.ptr, version_len),
		    hb_span_skip(piece, version_len + 1));
	}
	return svix->v1_count + svix->v1a_count > 0 ||
	    refuse_no_match(err, "no signature that could match");
}

/* --- keys ----------------------------------------------------------------- */

/* The key of that number as an HMAC key: NULL when it is a public one. */
static const struct hb_hmac_key *
hmac_key(const struct hb_verify *attempt, size_t i)
{
	const struct hb_svix_key *key =
	    attempt->verifier->endpoint->svix_keys[i];

	return key->kind == HB_SVIX_HMAC ? key->hmac : NULL;
}

static const struct hb_ed25519_key *
ed25519_key(const struct hb_verify *attempt, size_t i)
{
	const struct hb_svix_key *key =
	    attempt->verifier->endpoint->svix_keys[i];

	return key->kind == HB_SVIX_ED25519 ? key->ed25519 : NULL;
}

static size_t
key_count(const struct hb_verify *attempt)
{
	return attempt->verifier->endpoint->secrets.count;
}

/* --- HMAC ----------------------------------------------------------------- */

/* Feeds data to the hash of each HMAC key. */
static void
update(struct hb_verify *attempt, const char *data, size_t len)
{
	if (attempt->svix.v1_count == 0)
		return;
	for (size_t i = 0; i < key_count(attempt); i++)
		if (hmac_key(attempt, i) != NULL)
			hb_hmac_update(attempt->macs[i], data, len);
}

static void
start_macs(struct hb_verify *attempt)
{
	const struct hb_svix_attempt *svix = &attempt->svix;

	if (svix->v1_count == 0)
		return;
	for (size_t i = 0; i < key_count(attempt); i++) {
		const struct hb_hmac_key *key = hmac_key(attempt, i);
		struct hb_hmac *mac;

		if (key == NULL)
			continue;
		mac = hb_verify_mac(attempt, i);
		hb_hmac_begin(mac, key);
		hb_hmac_update(mac, svix->id.ptr, svix->id.len);
		hb_hmac_update(mac, ".", 1);
		hb_hmac_update(mac, svix->stamp.ptr, svix->stamp.len);
		hb_hmac_update(mac, ".", 1);
	}
}

/* Whether one of the v1 entries is this key's MAC; looks at all. */
static bool
mac_matches(struct hb_verify *attempt, size_t key)
{
	const struct hb_svix_attempt *svix = &attempt->svix;
	uint8_t mac[HB_SHA256_SIZE];
	char text[MAC_TEXT];
	bool match = false;

	hb_hmac_final(attempt->macs[key], mac);
	hb_base64_encode(mac, sizeof(mac), text);
	for (size_t i = 0; i < svix->v1_count; i++)
		match |= hb_equal_ct(svix->v1[i],
		    hb_span_make(text, sizeof(text)));
	return match;
}

/* The newest HMAC key that matches, or -1. */
static int
match_hmac(struct hb_verify *attempt)
{
	int matched = -1;

	if (attempt->svix.v1_count == 0)
		return -1;
	for (size_t i = key_count(attempt); i-- > 0;)
		if (hmac_key(attempt, i) != NULL && mac_matches(attempt, i))
			matched = (int)i;
	return matched;
}

/* --- Ed25519 -------------------------------------------------------------- */

static char *
put(char *out, struct hb_span s)
{
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

/* What was signed, in one piece. As large as the body, which the budget has
 * admitted; there is one at a time on a loop, and only until we return. */
static struct hb_span
assemble(const struct hb_svix_attempt *svix, struct hb_span body)
{
	size_t len = svix->id.len + 1 + svix->stamp.len + 1 + body.len;
	char *message = hb_xmalloc(len), *out = message;

	out = put(out, svix->id);
	out = put(out, HB_SPAN("."));
	out = put(out, svix->stamp);
	out = put(out, HB_SPAN("."));
	put(out, body);
	return hb_span_make(message, len);
}

static bool
ed25519_matches(const struct hb_svix_attempt *svix,
    const struct hb_ed25519_key *key, struct hb_span message)
{
	bool match = false;

	for (size_t i = 0; i < svix->v1a_count; i++)
		match |= hb_ed25519_verify(key, svix->v1a[i], message.ptr,
		    message.len);
	return match;
}

static bool
has_ed25519_key(const struct hb_verify *attempt)
{
	for (size_t i = 0; i < key_count(attempt); i++)
		if (ed25519_key(attempt, i) != NULL)
			return true;
	return false;
}

/* The newest Ed25519 key that matches, or -1. */
static int
match_ed25519(const struct hb_verify *attempt, struct hb_span body)
{
	struct hb_span message;
	int matched = -1, tried = 0;

	if (attempt->svix.v1a_count == 0 || !has_ed25519_key(attempt))
		return -1;
	message = assemble(&attempt->svix, body);
	for (size_t i = 0; i < key_count(attempt); i++) {
		const struct hb_ed25519_key *key = ed25519_key(attempt, i);

		if (key == NULL || tried++ >= HB_SVIX_ED25519_KEYS)
			continue;
		if (ed25519_matches(&attempt->svix, key, message) &&
		    matched < 0)
			matched = (int)i;
	}
	free((char *)message.ptr);
	return matched;
}

/* --- the steps ------------------------------------------------------------ */

/* Shape and age, before any body byte. */
static bool
begin(struct hb_verify *attempt, const struct hb_http_head *head,
    struct hb_span path_token, int64_t now_ms, struct hb_error *err)
{
	struct hb_svix_attempt *svix = &attempt->svix;
	struct hb_span found[FAMILIES][NAMES];
	const struct hb_span *values;

	(void)path_token;
	values = read_headers(head, found, err);
	if (values == NULL)
		return false;
	svix->id = values[ID];
	svix->stamp = values[STAMP];
	if (!is_id(svix->id))
		return hb_fail_reason(err, HB_E_AUTH, "bad_id",
		    "invalid message id");
	if (!read_timestamp(svix->stamp, &svix->timestamp))
		return hb_fail_reason(err, HB_E_AUTH, "bad_timestamp",
		    "invalid message timestamp");
	if (!check_age(attempt, now_ms, err) ||
	    !read_signatures(svix, values[SIGNATURE], err))
		return false;
	start_macs(attempt);
	return true;
}

static bool
finish(struct hb_verify *attempt, char *body, size_t body_len, int64_t now_ms,
    struct hb_verified *out, struct hb_error *err)
{
	int key;

	if (!check_age(attempt, now_ms, err))
		return false;
	key = match_hmac(attempt);
	if (key < 0)
		key = match_ed25519(attempt, hb_span_make(body, body_len));
	if (key < 0)
		return refuse_no_match(err, "no matching signature found");
	out->webhook_id = attempt->svix.id;
	out->webhook_timestamp = attempt->svix.timestamp;
	out->key = (unsigned)key;
	return true;
}

const struct hb_verify_mode hb_verify_svix = {
	.begin = begin,
	.update = update,
	.finish = finish,
};
