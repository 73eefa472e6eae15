/* SPDX-License-Identifier: Apache-2.0 */
/* crypto.c - OpenSSL's EVP interface, the only file that knows it
 *
 * HMAC (RFC 2104) is two SHA-256 runs over a padded key. Their states after
 * the pads are computed once for each key; a message starts from copies, which
 * costs half of setting the key anew. Digests are fetched once: a fetch by
 * name takes as long as hashing a small webhook.
 *
 * None of the calls here can fail but for lack of memory or a broken library:
 * neither is an error that a caller could handle. */
#include "hookbridge/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"

#define SHA256_BLOCK 64

static EVP_MD *sha256;
static pthread_key_t thread_context; /* frees each thread's at its end */

static void
must(int ok, const char *what)
{
	if (ok != 1)
		hb_bug("libcrypto: %s failed", what);
}

static void
free_context(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void
fetch_digests(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha256 != NULL, "EVP_MD_fetch");
	must(pthread_key_create(&thread_context, free_context) == 0,
	    "pthread_key_create");
}

static const EVP_MD *
digest_sha256(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_digests);
	return sha256;
}

static EVP_MD_CTX *
context_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	must(ctx != NULL, "EVP_MD_CTX_new");
	return ctx;
}

/* --- digests -------------------------------------------------------------- */

void
hb_sha256(struct hb_span data, uint8_t out[HB_SHA256_SIZE])
{
	hb_sha256_pieces(&data, 1, out);
}

void
hb_sha256_pieces(const struct hb_span *pieces, size_t count,
    uint8_t out[HB_SHA256_SIZE])
{
	/* One context for each thread: making one costs as much as a hash. */
	static _Thread_local EVP_MD_CTX *ctx;
	const EVP_MD *digest = digest_sha256();

	if (ctx == NULL) {
		ctx = context_new();
		pthread_setspecific(thread_context, ctx);
	}
	must(EVP_DigestInit_ex2(ctx, digest, NULL),
	    "EVP_DigestInit_ex2");
	for (size_t i = 0; i < count; i++)
		must(EVP_DigestUpdate(ctx, pieces[i].ptr, pieces[i].len),
		    "EVP_DigestUpdate");
	must(EVP_DigestFinal_ex(ctx, out, NULL), "EVP_DigestFinal_ex");
}

void
hb_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
}

/* --- HMAC-SHA256 ---------------------------------------------------------- */

struct hb_hmac_key {
	EVP_MD_CTX *inner, *outer; /* after the pads */
};

struct hb_hmac {
	EVP_MD_CTX *ctx;
	const struct hb_hmac_key *key;
};

static EVP_MD_CTX *
start_with_pad(const uint8_t key[SHA256_BLOCK], uint8_t pad)
{
	EVP_MD_CTX *ctx = context_new();
	uint8_t block[SHA256_BLOCK];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	must(EVP_DigestInit_ex2(ctx, digest_sha256(), NULL),
	    "EVP_DigestInit_ex2");
	must(EVP_DigestUpdate(ctx, block, sizeof(block)), "EVP_DigestUpdate");
	hb_wipe(block, sizeof(block));
	return ctx;
}

/* Keys longer than a block are hashed first (RFC 2104, section 2). */
struct hb_hmac_key *
hb_hmac_key_new(const uint8_t *key, size_t len)
{
	struct hb_hmac_key *prepared = hb_xmalloc(sizeof(*prepared));
	uint8_t block[SHA256_BLOCK] = { 0 };

	if (len > sizeof(block))
		hb_sha256(hb_span_make((const char *)key, len), block);
	else
		memcpy(block, key, len);
	prepared->inner = start_with_pad(block, 0x36);
	prepared->outer = start_with_pad(block, 0x5c);
	hb_wipe(block, sizeof(block));
	return prepared;
}

void
hb_hmac_key_free(struct hb_hmac_key *key)
{
	if (key == NULL)
		return;
	EVP_MD_CTX_free(key->inner); /* wipes its state */
	EVP_MD_CTX_free(key->outer);
	free(key);
}

struct hb_hmac *
hb_hmac_new(void)
{
	struct hb_hmac *mac = hb_xcalloc(1, sizeof(*mac));

	mac->ctx = context_new();
	return mac;
}

void
hb_hmac_free(struct hb_hmac *mac)
{
	if (mac == NULL)
		return;
	EVP_MD_CTX_free(mac->ctx);
	free(mac);
}

void
hb_hmac_begin(struct hb_hmac *mac, const struct hb_hmac_key *key)
{
	mac->key = key;
	must(EVP_MD_CTX_copy_ex(mac->ctx, key->inner), "EVP_MD_CTX_copy_ex");
}

void
hb_hmac_update(struct hb_hmac *mac, const void *data, size_t len)
{
	must(EVP_DigestUpdate(mac->ctx, data, len), "EVP_DigestUpdate");
}

void
hb_hmac_final(struct hb_hmac *mac, uint8_t out[HB_SHA256_SIZE])
{
	uint8_t inner[HB_SHA256_SIZE];

	must(EVP_DigestFinal_ex(mac->ctx, inner, NULL), "EVP_DigestFinal_ex");
	must(EVP_MD_CTX_copy_ex(mac->ctx, mac->key->outer),
	    "EVP_MD_CTX_copy_ex");
	must(EVP_DigestUpdate(mac->ctx, inner, sizeof(inner)),
	    "EVP_DigestUpdate");
	must(EVP_DigestFinal_ex(mac->ctx, out, NULL), "EVP_DigestFinal_ex");
}

/* --- Ed25519 -------------------------------------------------------------- */

struct hb_ed25519_key {
	EVP_PKEY *pkey;
};

struct hb_ed25519_key *
hb_ed25519_key_new(const uint8_t public_key[HB_ED25519_KEY_SIZE],
    struct hb_error *err)
{
	struct hb_ed25519_key *key;
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
	    public_key, HB_ED25519_KEY_SIZE);

	if (pkey == NULL)
		return hb_fail_null(err, HB_E_CONFIG,
		    "not an Ed25519 public key");
	key = hb_xmalloc(sizeof(*key));
	key->pkey = pkey;
	return key;
}

void
hb_ed25519_key_free(struct hb_ed25519_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* EVP_DigestVerify() says 1 for a match; 0 and negative are both no. */
bool
hb_ed25519_verify(const struct hb_ed25519_key *key,
    const uint8_t sig[HB_ED25519_SIG_SIZE], const void *data, size_t len)
{
	EVP_MD_CTX *ctx = context_new();
	bool match;

	must(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey),
	    "EVP_DigestVerifyInit");
	match = EVP_DigestVerify(ctx, sig, HB_ED25519_SIG_SIZE, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	return match;
}

/* --- small things --------------------------------------------------------- */

bool
hb_equal_ct(struct hb_span a, struct hb_span b)
{
	return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void
hb_wipe(void *ptr, size_t len)
{
	if (len > 0)
		OPENSSL_cleanse(ptr, len);
}

void
hb_random(void *out, size_t len)
{
	must(RAND_bytes(out, (int)len), "RAND_bytes");
}

/* --- base64 --------------------------------------------------------------- */

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of a character, or -1. Not by table: secrets pass here, and a
 * table's cache lines would tell of them. */
static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes one group of four into up to three bytes; returns their number, or
 * -1. Bits that padding leaves over must be zero: one text for one value. */
static int
decode_group(const char *text, bool last, uint8_t out[3])
{
	int pad = !last || text[3] != '=' ? 0 : text[2] == '=' ? 2 : 1;
	uint32_t bits = 0;

	for (int i = 0; i < 4; i++) {
		int value = i >= 4 - pad ? 0 : sextet(text[i]);

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	if ((pad == 1 && (bits & 0xff) != 0) ||
	    (pad == 2 && (bits & 0xffff) != 0))
		return -1;
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return 3 - pad;
}

long
hb_base64_decode(struct hb_span text, uint8_t *out, size_t size)
{
	size_t len = 0;

	if (text.len % 4 != 0)
		return -1;
	for (size_t i = 0; i < text.len; i += 4) {
		uint8_t group[3];
		int n = decode_group(text.ptr + i, i + 4 == text.len, group);

		if (n < 0 || len + (size_t)n > size)
			return -1;
		memcpy(out + len, group, (size_t)n);
		len += (size_t)n;
	}
	return (long)len;
}

size_t
hb_base64_encode(const uint8_t *data, size_t len, char *out)
{
	char *start = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t bits = (uint32_t)data[i] << 16;

		if (n > 1)
			bits |= (uint32_t)data[i + 1] << 8;
		if (n > 2)
			bits |= data[i + 2];
		*out++ = alphabet[bits >> 18];
		*out++ = alphabet[bits >> 12 & 63];
		*out++ = n > 1 ? alphabet[bits >> 6 & 63] : '=';
		*out++ = n > 2 ? alphabet[bits & 63] : '=';
	}
	return (size_t)(out - start);
}
