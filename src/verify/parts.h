/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - what the files of verify share
 *
 * verify.c keeps verifiers, attempts and the address check; a mode says what
 * happens at each step. Another way to authenticate is another mode: its file,
 * its line in mode_of() and its words in hb_verify_reasons. */
#ifndef HB_VERIFY_PARTS_H
#define HB_VERIFY_PARTS_H

#include "hookbridge/crypto.h"
#include "hookbridge/verify.h"

/* What an unauthenticated request may make us try. Eleven entries are the most
 * that a sender in rotation writes; Ed25519 costs eighty times an HMAC. */
#define HB_SVIX_ENTRIES 16
#define HB_SVIX_ED25519_ENTRIES 2
#define HB_SVIX_ED25519_KEYS 2

/* What mode svix knows of a request from its head. */
struct hb_svix_attempt {
	struct hb_span id, stamp; /* as in the headers */
	int64_t timestamp;
	struct hb_span v1[HB_SVIX_ENTRIES]; /* base64 of an HMAC's length */
	size_t v1_count;
	uint8_t v1a[HB_SVIX_ED25519_ENTRIES][HB_ED25519_SIG_SIZE];
	size_t v1a_count;
};

struct hb_verify {
	const struct hb_verifier *verifier;
	struct hb_verify_bench *bench;
	struct hb_verify *next_spare;
	/* Hash contexts, made on first use, kept while it is a spare. */
	struct hb_hmac **macs;
	size_t mac_count;
	struct hb_svix_attempt svix;
	unsigned key; /* mode direct: the token's place, once it matched */
};

/* The steps of verify.h, behind the address check. */
struct hb_verify_mode {
	void (*compile)(struct hb_verifier *verifier); /* or NULL */
	bool (*begin)(struct hb_verify *attempt,
	    const struct hb_http_head *head, struct hb_span path_token,
	    int64_t now_ms, struct hb_error *err);
	void (*update)(struct hb_verify *attempt, const char *data, size_t len);
	bool (*finish)(struct hb_verify *attempt, char *body, size_t body_len,
	    int64_t now_ms, struct hb_verified *out, struct hb_error *err);
};

extern const struct hb_verify_mode hb_verify_svix, hb_verify_token;

struct hb_tokens;
void hb_tokens_free(struct hb_tokens *tokens);

struct hb_verifier {
	const struct hb_endpoint_conf *endpoint;
	const struct hb_verify_mode *mode;
	struct hb_tokens *tokens; /* mode direct */
};

/* The attempt's context of that number. */
struct hb_hmac *hb_verify_mac(struct hb_verify *attempt, size_t index);

#endif
