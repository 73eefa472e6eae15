/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - whether a request comes from who it says; pure, no I/O
 *
 * One verifier for each endpoint, compiled from its settings. A request passes
 * in three steps, so that what can be refused is refused before the body is
 * read and SHA-256 runs as the body comes in: begin (address, token outside
 * the body, shape and age of the signature), update (each piece), finish.
 * Thread: a verifier is read-only and shared; a bench (scratch contexts) and
 * its attempts belong to one loop.
 * Fails: HB_E_AUTH with the reason code for metrics and log ("missing_header",
 * "no_matching_signature", "token_mismatch", "address"); never says which key.
 * Sources: Svix verification rules and Standard Webhooks 1.0, decisions for
 * their ambiguities in svix.c. */
#ifndef HOOKBRIDGE_VERIFY_H
#define HOOKBRIDGE_VERIFY_H

#include <netinet/in.h>

#include "hookbridge/cfg.h"
#include "hookbridge/error.h"
#include "hookbridge/http.h"

struct hb_verifier;
struct hb_verifier *hb_verifier_new(const struct hb_endpoint_conf *endpoint);
void hb_verifier_free(struct hb_verifier *verifier);
/* All reason codes that this build can give, NULL-terminated: the label values
 * of verify_failures_total. */
extern const char *const hb_verify_reasons[];

struct hb_verify_bench;
struct hb_verify_bench *hb_verify_bench_new(void);
void hb_verify_bench_free(struct hb_verify_bench *bench);

/* What a verified request turned out to be. */
struct hb_verified {
	struct hb_span webhook_id; /* in the head's memory; direct: absent */
	int64_t webhook_timestamp;
	unsigned key;    /* place in the endpoint's list; 0 is the newest */
	size_t body_len; /* shorter than received when a token was cut out */
};

struct hb_verify; /* one request's attempt */

/* NULL and err when the request is refused before its body. head and peer stay
 * valid until finish or abandon. path_token: what stood in place of "{token}",
 * or absent. now_ms: wall clock. */
struct hb_verify *hb_verify_begin(const struct hb_verifier *verifier,
    struct hb_verify_bench *bench, const struct hb_http_head *head,
    const struct in6_addr *peer, struct hb_span path_token, int64_t now_ms,
    struct hb_error *err);
void hb_verify_update(struct hb_verify *attempt, const char *data, size_t len);
/* Ends the attempt. body is the whole of what update saw; a metadata token is
 * cut out of it in place, wherever it stood. now_ms is taken again: the age
 * counts at the last byte. */
bool hb_verify_finish(struct hb_verify *attempt, char *body, size_t body_len,
    int64_t now_ms, struct hb_verified *out, struct hb_error *err)
    HB_MUST_CHECK;
/* Ends it without an answer. */
void hb_verify_abandon(struct hb_verify *attempt);

#endif
