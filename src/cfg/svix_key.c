/* SPDX-License-Identifier: Apache-2.0 */
/* svix_key.c - refuses at start what would fail, or pass, at every webhook
 *
 * Some libraries accept an empty key and then anyone's signature; some accept
 * base64 whose padding is missing, which hides a secret cut short by copying.
 * Only trailing white space is forgiven: files end with a newline. */
#include "hookbridge/svix_key.h"

#include <stdlib.h>

#include "hookbridge/mem.h"

/* Longer keys than Svix takes (75 bytes) are still keys; this bounds them. */
#define KEY_MAX 512

enum prefix { NO_PREFIX, HMAC_KEY, PUBLIC_KEY, PRIVATE_KEY, UNKNOWN_PREFIX };

static bool
skip_prefix(struct hb_span *text, struct hb_span prefix)
{
	if (!hb_span_starts(*text, prefix))
		return false;
	*text = hb_span_skip(*text, prefix.len);
	return true;
}

/* Takes the prefix off. A text like "whpk1_…" has one we do not know; any
 * other foreign character is left for the base64 to find. */
static enum prefix
take_prefix(struct hb_span *text)
{
	if (skip_prefix(text, HB_SPAN("whsec_")))
		return HMAC_KEY;
	if (skip_prefix(text, HB_SPAN("whpk_")))
		return PUBLIC_KEY;
	if (skip_prefix(text, HB_SPAN("whsk_")) ||
	    skip_prefix(text, HB_SPAN("whsk1_")))
		return PRIVATE_KEY;
	if (hb_span_starts(*text, HB_SPAN("wh")) &&
	    memchr(text->ptr, '_', text->len) != NULL)
		return UNKNOWN_PREFIX;
	return NO_PREFIX;
}

static struct hb_span
trim_end(struct hb_span text)
{
	while (text.len > 0 &&
	    memchr(" \t\r\n", text.ptr[text.len - 1], 4) != NULL)
		text.len--;
	return text;
}

static struct hb_svix_key *
make_key(enum prefix prefix, const uint8_t *bytes, size_t len,
    struct hb_error *err)
{
	struct hb_svix_key *key = hb_xcalloc(1, sizeof(*key));

	key->len = len;
	if (prefix != PUBLIC_KEY) {
		key->kind = HB_SVIX_HMAC;
		key->hmac = hb_hmac_key_new(bytes, len);
		return key;
	}
	key->kind = HB_SVIX_ED25519;
	key->ed25519 = len == HB_ED25519_KEY_SIZE
	    ? hb_ed25519_key_new(bytes, err) : NULL;
	if (key->ed25519 != NULL)
		return key;
	free(key);
	hb_fail_reason(err, HB_E_CONFIG, "bad_length",
	    "a public key (whpk_) is 32 bytes of base64, this one is %zu", len);
	return NULL;
}

/* Whether a receiver can have such a key; rest: what stands behind it. */
static bool
check_prefix(enum prefix prefix, struct hb_span rest, struct hb_error *err)
{
	if (prefix == PRIVATE_KEY)
		return hb_fail_reason(err, HB_E_CONFIG, "private_key",
		    "this is a private signing key (whsk_); a receiver has the "
		    "public one (whpk_)");
	if (prefix == UNKNOWN_PREFIX)
		return hb_fail_reason(err, HB_E_CONFIG, "unsupported_prefix",
		    "unknown kind of secret; expected whsec_ or whpk_");
	if (rest.len == 0)
		return hb_fail_reason(err, HB_E_CONFIG, "empty",
		    "the key is empty");
	return true;
}

/* Reads the text of a secret; it never appears in err. */
struct hb_svix_key *
hb_svix_key_parse(struct hb_span text, struct hb_error *err)
{
	struct hb_svix_key *key;
	uint8_t bytes[KEY_MAX];
	enum prefix prefix;
	long len;

	text = trim_end(text);
	prefix = take_prefix(&text);
	if (!check_prefix(prefix, text, err))
		return NULL;
	len = hb_base64_decode(text, bytes, sizeof(bytes));
	if (len < 0) {
		hb_fail_reason(err, HB_E_CONFIG, "not_base64",
		    "not padded base64 (%zu characters); copy the whole secret "
		    "again", text.len);
		return NULL;
	}
	key = make_key(prefix, bytes, (size_t)len, err);
	hb_wipe(bytes, sizeof(bytes));
	return key;
}

void
hb_svix_key_free(struct hb_svix_key *key)
{
	if (key == NULL)
		return;
	hb_hmac_key_free(key->hmac);
	hb_ed25519_key_free(key->ed25519);
	free(key);
}
