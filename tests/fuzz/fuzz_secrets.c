/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_secrets.c - the text of a secret: what is a key, and what is told
 *
 * The input is what a file of a secret holds. A second reader, slow and by the
 * letter of RFC 4648, says which bytes it stands for. What is refused is told
 * in one of a few sentences, in which nothing is the sender's but a number. */
#include "fuzz.h"
#include "hookbridge/crypto.h"
#include "hookbridge/svix_key.h"

#include <stdio.h>

#define KEY_MAX 512 /* svix_key.c's */

/* --- the second reader ---------------------------------------------------- */

struct expected {
	const char *reason; /* NULL: it is a key */
	enum hb_svix_key_kind kind;
	uint8_t bytes[KEY_MAX];
	size_t len;
};

static bool
take(struct hb_span *text, const char *prefix)
{
	if (!hb_span_starts(*text, hb_span_of(prefix)))
		return false;
	*text = hb_span_skip(*text, strlen(prefix));
	return true;
}

/* Bit by bit. What is left over of the last byte is zero, and as many
 * characters fill it up as it takes to have a multiple of four. */
static bool
decode(struct hb_span text, struct expected *e)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t fill = 0, bit = 0;

	while (fill < 2 && text.len > 0 && text.ptr[text.len - 1] == '=') {
		text.len--;
		fill++;
	}
	if ((text.len + fill) % 4 != 0 || text.len * 6 / 8 > KEY_MAX)
		return false;
	memset(e->bytes, 0, sizeof(e->bytes));
	for (size_t i = 0; i < text.len; i++) {
		const char *at = memchr(alphabet, text.ptr[i], 64);

		if (at == NULL)
			return false;
		for (size_t value = (size_t)(at - alphabet), b = 32; b > 0;
		     b /= 2, bit++) {
			if ((value & b) == 0)
				continue;
			if (bit / 8 >= text.len * 6 / 8)
				return false;
			e->bytes[bit / 8] |= (uint8_t)(128 >> bit % 8);
		}
	}
	e->len = text.len * 6 / 8;
	return e->len % 3 == (3 - fill) % 3;
}

static bool
has(struct hb_span text, char c)
{
	return memchr(text.ptr, c, text.len) != NULL;
}

/* The reason it is refused for, or NULL. */
static const char *
read_whole(struct hb_span text, struct expected *e)
{
	while (text.len > 0 && memchr(" \t\r\n", text.ptr[text.len - 1], 4))
		text.len--;
	e->kind = take(&text, "whpk_") ? HB_SVIX_ED25519 : HB_SVIX_HMAC;
	if (e->kind == HB_SVIX_HMAC && !take(&text, "whsec_")) {
		if (take(&text, "whsk_") || take(&text, "whsk1_"))
			return "private_key";
		if (hb_span_starts(text, HB_SPAN("wh")) && has(text, '_'))
			return "unsupported_prefix";
	}
	if (text.len == 0)
		return "empty";
	if (!decode(text, e))
		return "not_base64";
	if (e->kind == HB_SVIX_ED25519 && e->len != HB_ED25519_KEY_SIZE)
		return "bad_length";
	return NULL;
}

/* --- what must hold ------------------------------------------------------- */

/* One of the sentences, whatever numbers stand in it. */
static void
require_sentence(const char *text)
{
	static const char *const sentences[] = {
	    ("this is a private signing key (whsk_); a receiver has the "
	     "public one (whpk_)"),
	    "unknown kind of secret; expected whsec_ or whpk_",
	    "the key is empty",
	    "not padded base# (# characters); copy the whole secret again",
	    "a public key (whpk_) is # bytes of base#, this one is #",
	};
	char shape[sizeof(((struct hb_error *)NULL)->text)], *out = shape;

	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789");

		*out++ = digits > 0 ? '#' : *text;
		text += digits > 0 ? digits : 1;
	}
	*out = '\0';
	for (size_t i = 0; i < HB_COUNT(sentences); i++)
		if (strcmp(shape, sentences[i]) == 0)
			return;
	hb_bug("sentence \"%s\"", shape);
}

static void
digest(const struct hb_hmac_key *key, uint8_t out[HB_SHA256_SIZE])
{
	struct hb_hmac *mac = hb_hmac_new();

	hb_hmac_begin(mac, key);
	hb_hmac_update(mac, "message", 7);
	hb_hmac_final(mac, out);
	hb_hmac_free(mac);
}

/* The key is made of these bytes, and not only of some. */
static void
require_key(const struct hb_svix_key *key, const struct expected *e)
{
	uint8_t got[HB_SHA256_SIZE], want[HB_SHA256_SIZE];
	struct hb_hmac_key *other;

	fuzz_require(key->kind == e->kind && key->len == e->len);
	fuzz_require((key->hmac != NULL) == (e->kind == HB_SVIX_HMAC));
	fuzz_require((key->ed25519 != NULL) == (e->kind == HB_SVIX_ED25519));
	if (key->hmac == NULL)
		return;
	other = hb_hmac_key_new(e->bytes, e->len);
	digest(key->hmac, got);
	digest(other, want);
	fuzz_require(memcmp(got, want, sizeof(got)) == 0);
	hb_hmac_key_free(other);
}

/* A key has one text. */
static void
require_round_trip(const struct expected *e)
{
	char text[(KEY_MAX + 2) / 3 * 4];
	uint8_t bytes[KEY_MAX];
	size_t len = hb_base64_encode(e->bytes, e->len, text);

	fuzz_require(hb_base64_decode(hb_span_make(text, len), bytes,
			 sizeof(bytes)) == (long)e->len);
	fuzz_require(memcmp(bytes, e->bytes, e->len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_span text = fuzz_input(data, size);
	struct hb_error err = {.code = HB_OK};
	struct hb_svix_key *key = hb_svix_key_parse(text, &err);
	struct expected e;

	e.reason = read_whole(text, &e);
	if (key == NULL) {
		fuzz_require(err.code == HB_E_CONFIG);
		fuzz_require(e.reason != NULL);
		fuzz_require(strcmp(err.reason, e.reason) == 0);
		require_sentence(err.text);
		return 0;
	}
	fuzz_require(e.reason == NULL);
	require_key(key, &e);
	require_round_trip(&e);
	hb_svix_key_free(key);
	return 0;
}
