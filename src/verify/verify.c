/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - the steps that all modes have in common
 *
 * The peer's address is checked first: it costs nothing and needs no word of
 * the request. What follows is the mode's (svix.c, token.c).
 *
 * Attempts live as long as bodies arrive, many at a time on one loop, and each
 * needs a hash context for each key. So an attempt that has ended goes to its
 * bench's spares, contexts and all, and the last one is taken first: in the
 * steady state nothing is allocated, and what is used is warm. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* So that a burst of connections does not leave its memory behind for good. */
#define SPARES_MAX 256

const char *const hb_verify_reasons[] = {
	"address",
	/* svix */
	"missing_header",
	"duplicate_header",
	"bad_id",
	"bad_timestamp",
	"timestamp_too_old",
	"timestamp_too_new",
	"no_matching_signature",
	/* direct */
	"token_missing",
	"token_mismatch",
	"token_repeated",
	"unparsable",
	NULL,
};

struct hb_verify_bench {
	struct hb_verify *spares;
	size_t spare_count;
};

/* --- verifiers ------------------------------------------------------------ */

static const struct hb_verify_mode *
mode_of(const struct hb_endpoint_conf *endpoint)
{
	switch (endpoint->mode) {
	case HB_MODE_SVIX:
		return &hb_verify_svix;
	case HB_MODE_DIRECT:
		return &hb_verify_token;
	default: /* disabled: has no path, so nothing gets here */
		return NULL;
	}
}

/* Prepares what can be prepared; endpoint stays valid. */
struct hb_verifier *
hb_verifier_new(const struct hb_endpoint_conf *endpoint)
{
	struct hb_verifier *verifier = hb_xcalloc(1, sizeof(*verifier));

	verifier->endpoint = endpoint;
	verifier->mode = mode_of(endpoint);
	if (verifier->mode != NULL && verifier->mode->compile != NULL)
		verifier->mode->compile(verifier);
	return verifier;
}

void
hb_verifier_free(struct hb_verifier *verifier)
{
	if (verifier == NULL)
		return;
	hb_tokens_free(verifier->tokens);
	free(verifier);
}

/* --- the bench ------------------------------------------------------------ */

struct hb_verify_bench *
hb_verify_bench_new(void)
{
	return hb_xcalloc(1, sizeof(struct hb_verify_bench));
}

static void
attempt_free(struct hb_verify *attempt)
{
	for (size_t i = 0; i < attempt->mac_count; i++)
		hb_hmac_free(attempt->macs[i]);
	free(attempt->macs);
	free(attempt);
}

/* All attempts have ended. */
void
hb_verify_bench_free(struct hb_verify_bench *bench)
{
	if (bench == NULL)
		return;
	while (bench->spares != NULL) {
		struct hb_verify *attempt = bench->spares;

		bench->spares = attempt->next_spare;
		attempt_free(attempt);
	}
	free(bench);
}

static struct hb_verify *
attempt_take(struct hb_verify_bench *bench)
{
	struct hb_verify *attempt = bench->spares;

	if (attempt != NULL) {
		bench->spares = attempt->next_spare;
		bench->spare_count--;
		return attempt;
	}
	attempt = hb_xcalloc(1, sizeof(*attempt));
	attempt->bench = bench;
	return attempt;
}

static void
attempt_put_back(struct hb_verify *attempt)
{
	struct hb_verify_bench *bench = attempt->bench;

	if (bench->spare_count == SPARES_MAX) {
		attempt_free(attempt);
		return;
	}
	attempt->next_spare = bench->spares;
	bench->spares = attempt;
	bench->spare_count++;
}

/* Made when it is first asked for. */
struct hb_hmac *
hb_verify_mac(struct hb_verify *attempt, size_t index)
{
	while (attempt->mac_count <= index) {
		attempt->macs = hb_xreallocarray(attempt->macs,
		    attempt->mac_count + 1, sizeof(*attempt->macs));
		attempt->macs[attempt->mac_count++] = hb_hmac_new();
	}
	return attempt->macs[index];
}

/* --- the address ---------------------------------------------------------- */

static bool
is_inside(const struct in6_addr *peer, const struct hb_cidr *cidr)
{
	unsigned bytes = cidr->bits / 8, rest = cidr->bits % 8;

	return memcmp(peer->s6_addr, cidr->addr, bytes) == 0 &&
	    (rest == 0 ||
		(peer->s6_addr[bytes] ^ cidr->addr[bytes]) >> (8 - rest) == 0);
}

/* A Unix socket's peer has no address: no list holds it, not even ::/0. */
static bool
is_allowed(const struct hb_cidrs *allow, const struct in6_addr *peer)
{
	if (allow->count == 0)
		return true;
	if (IN6_IS_ADDR_UNSPECIFIED(peer))
		return false;
	for (size_t i = 0; i < allow->count; i++)
		if (is_inside(peer, &allow->items[i]))
			return true;
	return false;
}

/* --- the steps ------------------------------------------------------------ */

/* Refuses what can be refused without the body. */
struct hb_verify *
hb_verify_begin(const struct hb_verifier *verifier,
    struct hb_verify_bench *bench, const struct hb_http_head *head,
    const struct in6_addr *peer, struct hb_span path_token, int64_t now_ms,
    struct hb_error *err)
{
	struct hb_verify *attempt;

	if (verifier->mode == NULL)
		hb_bug("endpoint %s is disabled", verifier->endpoint->name);
	if (!is_allowed(&verifier->endpoint->allow, peer)) {
		hb_fail_reason(err, HB_E_AUTH, "address",
		    "the address is not in the allow list");
		return NULL;
	}
	attempt = attempt_take(bench);
	attempt->verifier = verifier;
	if (verifier->mode->begin(attempt, head, path_token, now_ms, err))
		return attempt;
	attempt_put_back(attempt);
	return NULL;
}

void
hb_verify_update(struct hb_verify *attempt, const char *data, size_t len)
{
	const struct hb_verify_mode *mode = attempt->verifier->mode;

	if (mode->update != NULL)
		mode->update(attempt, data, len);
}

/* The answer; either way the attempt is over. */
bool
hb_verify_finish(struct hb_verify *attempt, char *body, size_t body_len,
    int64_t now_ms, struct hb_verified *out, struct hb_error *err)
{
	bool verified;

	*out = (struct hb_verified){ .body_len = body_len };
	verified = attempt->verifier->mode->finish(attempt, body, body_len,
	    now_ms, out, err);
	attempt_put_back(attempt);
	return verified;
}

void
hb_verify_abandon(struct hb_verify *attempt)
{
	attempt_put_back(attempt);
}
