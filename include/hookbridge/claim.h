/* SPDX-License-Identifier: Apache-2.0 */
/* claim.h - bodies that were too large to publish, kept as files
 *
 * The event goes out with a reference, urn:hookbridge:claim:DIGEST, and the
 * body as received is fetched by its SHA-256. Files are named by it, in a
 * folder for each endpoint; they go when they are older than claims.max_age and
 * than what still waits to be published, and never earlier: a store that is
 * full takes no more.
 * Called by: the tracker puts; admin lists and reads.
 * Thread: putting and counting any; the file work is done on the helper's loop.
 * Listing and reading any; they block. */
#ifndef HOOKBRIDGE_CLAIM_H
#define HOOKBRIDGE_CLAIM_H

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "hookbridge/message.h"

struct hb_claims;
/* Removes what a crash left, then what is too old, and goes on with the latter.
 * The configuration has a claims.directory; the helper's loop does not run
 * yet. */
struct hb_claims *hb_claims_open(const struct hb_config *cfg,
    struct hb_loop *helper, struct hb_error *err);
/* The helper's loop runs no more; freeing it may come before or after, and what
 * it still puts then is put. NULL is allowed. */
void hb_claims_close(struct hb_claims *claims);
/* Nothing goes that a delivery may refer to which waits: oldest_ms(arg) tells
 * when the oldest of them was kept, by the wall clock, or 0 if none is. It runs
 * on the helper's loop, which does not run yet, and may until that is freed. */
void hb_claims_guard(struct hb_claims *claims, int64_t (*oldest_ms)(void *arg),
    void *arg);

/* Embedded by who has a body kept. */
struct hb_claim_put {
	struct hb_loop *home;
	/* Runs on home when file and folder are synced, or cannot be. */
	void (*done)(struct hb_claim_put *put);
	const struct hb_endpoint_conf *endpoint;
	struct hb_span body; /* stays as it is until done */

	bool ok;
	char digest[HB_CLAIM_DIGEST + 1];
	/* HB_E_RESOURCE "claims-full", "endpoint-share"; HB_E_IO
	 * "claims-broken". */
	struct hb_error err;

	/* The claims' own. */
	struct hb_claims *claims;
	struct hb_task task;
};
void hb_claims_put(struct hb_claims *claims, struct hb_claim_put *put);
/* Whether a body of that size can be kept at all: the same errors. */
bool hb_claims_could_keep(const struct hb_config *cfg, uint64_t size,
    struct hb_error *err) HB_MUST_CHECK;

struct hb_claim_file {
	char digest[HB_CLAIM_DIGEST + 1];
	const char *endpoint;
	uint64_t size;
	int64_t kept_ms; /* wall clock, of the last time it was put */
};
struct hb_claims_stats {
	uint64_t count, bytes, max_size;
};
void hb_claims_stats(struct hb_claims *claims, struct hb_claims_stats *stats);
/* Oldest first, all of them; false: the directory cannot be read. */
bool hb_claims_list(struct hb_claims *claims,
    void (*each)(void *arg, const struct hb_claim_file *file), void *arg,
    struct hb_error *err) HB_MUST_CHECK;
/* The body's file, for reading; -1: there is no such claim (HB_E_REJECT), or
 * err. */
int hb_claims_read(struct hb_claims *claims, struct hb_span digest,
    uint64_t *size, struct hb_error *err);

#endif
