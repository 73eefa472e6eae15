/* SPDX-License-Identifier: Apache-2.0 */
/* svix_key.h - the text of a Svix secret and what it stands for
 *
 * "whsec_" + base64 is an HMAC key (the prefix may be missing), "whpk_" +
 * base64 of 32 bytes an Ed25519 public key. Private keys ("whsk_"), unpadded
 * or foreign base64, an empty key and unknown prefixes are refused. Source:
 * Svix manual verification; Standard Webhooks 1.0.
 * Thread: any; a key is read-only. */
#ifndef HOOKBRIDGE_SVIX_KEY_H
#define HOOKBRIDGE_SVIX_KEY_H

#include "hookbridge/crypto.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

/* Below this an HMAC key deserves a warning; Svix makes 24. */
#define HB_SVIX_KEY_WEAK 24

enum hb_svix_key_kind { HB_SVIX_HMAC, HB_SVIX_ED25519 };

struct hb_svix_key {
	enum hb_svix_key_kind kind;
	size_t len; /* of the HMAC key, for the warning */
	struct hb_hmac_key *hmac;
	struct hb_ed25519_key *ed25519;
};

/* err: HB_E_CONFIG; reason is the code of the signature vectors
 * ("unsupported_prefix", …). The text of the secret never enters err. */
struct hb_svix_key *hb_svix_key_parse(struct hb_span text,
    struct hb_error *err);
void hb_svix_key_free(struct hb_svix_key *key);

#endif
