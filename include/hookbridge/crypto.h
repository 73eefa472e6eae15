/* SPDX-License-Identifier: Apache-2.0 */
/* crypto.h - the few primitives hookbridge needs; crypto.c alone includes the
 * library
 *
 * HMAC-SHA256 keys are prepared once (the SHA-256 states after ipad and opad)
 * and copied for each message. Everything compared in constant time.
 * Thread: a prepared key is read-only and shared; an hb_hmac belongs to one
 * thread at a time. */
#ifndef HOOKBRIDGE_CRYPTO_H
#define HOOKBRIDGE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "hookbridge/error.h"
#include "hookbridge/span.h"

#define HB_SHA256_SIZE 32
#define HB_ED25519_KEY_SIZE 32
#define HB_ED25519_SIG_SIZE 64

void hb_sha256(struct hb_span data, uint8_t out[HB_SHA256_SIZE]);
/* Several pieces, one digest. */
void hb_sha256_pieces(const struct hb_span *pieces, size_t count,
    uint8_t out[HB_SHA256_SIZE]);
void hb_hex(const uint8_t *data, size_t len, char *out); /* 2 * len, no NUL */

struct hb_hmac_key; /* prepared */
struct hb_hmac_key *hb_hmac_key_new(const uint8_t *key, size_t len);
void hb_hmac_key_free(struct hb_hmac_key *key);

struct hb_hmac; /* a message on its way; reusable */
struct hb_hmac *hb_hmac_new(void);
void hb_hmac_free(struct hb_hmac *mac);
void hb_hmac_begin(struct hb_hmac *mac, const struct hb_hmac_key *key);
void hb_hmac_update(struct hb_hmac *mac, const void *data, size_t len);
void hb_hmac_final(struct hb_hmac *mac, uint8_t out[HB_SHA256_SIZE]);

struct hb_ed25519_key;
struct hb_ed25519_key *hb_ed25519_key_new(
    const uint8_t public_key[HB_ED25519_KEY_SIZE], struct hb_error *err);
void hb_ed25519_key_free(struct hb_ed25519_key *key);
bool hb_ed25519_verify(const struct hb_ed25519_key *key,
    const uint8_t sig[HB_ED25519_SIG_SIZE], const void *data, size_t len);

/* Equal in length and content; time depends on the lengths only. */
bool hb_equal_ct(struct hb_span a, struct hb_span b);
/* Wipes memory so that no compiler removes it. */
void hb_wipe(void *ptr, size_t len);
void hb_random(void *out, size_t len);

/* RFC 4648 base64 with padding, canonical, no white space. Decodes to at most
 * size bytes; returns the length or -1. */
long hb_base64_decode(struct hb_span text, uint8_t *out, size_t size);
/* Writes 4 * ceil(len / 3) characters, no NUL; returns their number. */
size_t hb_base64_encode(const uint8_t *data, size_t len, char *out);

#endif
