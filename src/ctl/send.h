/* SPDX-License-Identifier: Apache-2.0 */
/* send.h - the parts of "send": where to, what, how fast, how it went
 *
 *   address   the URL, from the configuration or from --url
 *   proof     a signature or a token, as the endpoint wants it
 *   letter    one webhook: headers and body, with its proof
 *   pace      many of them over libcurl, in parallel and in time
 *   score     what was answered, and how fast
 *   summary   the same for people and for programs
 * Thread: one. */
#ifndef HB_CTL_SEND_H
#define HB_CTL_SEND_H

#include <stdint.h>
#include <stdio.h>

#include <curl/curl.h>

#include "hookbridge/arena.h"
#include "hookbridge/cfg.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

/* --- address.c ------------------------------------------------------------ */

struct hb_address {
	const char *url;
	const char *shown;       /* the same without a token */
	const char *unix_socket; /* NULL: TCP */
	bool is_local; /* the daemon's own listener: without a proxy */
};

/* Where the daemon of this configuration listens, or url if that is not NULL;
 * with the token in its path or query where the endpoint wants it there.
 * Everything is made in the arena. HB_E_CONFIG: it cannot be known. */
bool hb_address_make(struct hb_address *address, struct hb_arena *arena,
    const struct hb_config *cfg, const struct hb_endpoint_conf *endpoint,
    const char *url, struct hb_span token, struct hb_error *err) HB_MUST_CHECK;

/* --- proof.c -------------------------------------------------------------- */

struct hb_svix_key;

struct hb_proof {
	const struct hb_svix_key *key; /* svix; NULL: direct */
	struct hb_span token;          /* direct; absent: none is needed */
	struct hb_svix_key *own_key;   /* made for a secret that was given */
};

/* With the endpoint's own newest secret, or with the given one (not the absent
 * span). The endpoint's secrets and given must outlive it. */
bool hb_proof_init(struct hb_proof *proof,
    const struct hb_endpoint_conf *endpoint, struct hb_span given,
    struct hb_error *err) HB_MUST_CHECK;
void hb_proof_fini(struct hb_proof *proof);
/* Writes a token into the body's metadata, at the dotted path; changes nothing
 * else. HB_E_REJECT: the body has no place for it. */
bool hb_proof_put_token(struct hb_arena *arena, struct hb_span *body,
    const char *path, struct hb_span token, struct hb_error *err)
    HB_MUST_CHECK;

/* --- letter.c ------------------------------------------------------------- */

#define HB_LETTER_ID_SIZE 32     /* "msg_", 27 characters, NUL */
#define HB_LETTER_JOB_ID_SIZE 37 /* a UUID and NUL */

/* What all letters of a run have in common. */
struct hb_stationery {
	const struct hb_endpoint_conf *endpoint;
	const struct hb_proof *proof;
	struct hb_span body;
	size_t job_id_at; /* where each has a job id of its own; 0: nowhere */
	struct hb_hmac *mac;
};

struct hb_letter {
	char id[HB_LETTER_ID_SIZE];
	struct curl_slist *headers;
	struct hb_span body;
	char *own_body; /* where each has a job id of its own */
};

/* body: the absent span for the built-in sample. */
bool hb_stationery_init(struct hb_stationery *stationery,
    struct hb_arena *arena, const struct hb_endpoint_conf *endpoint,
    const struct hb_proof *proof, struct hb_span body, struct hb_error *err)
    HB_MUST_CHECK;
void hb_stationery_fini(struct hb_stationery *stationery);
/* A webhook that was never sent before, signed now. */
void hb_letter_write(const struct hb_stationery *stationery,
    struct hb_letter *letter);
/* Again does no harm. */
void hb_letter_fini(struct hb_letter *letter);

/* --- score.c -------------------------------------------------------------- */

/* Instead of a code. */
enum { HB_SCORE_NO_ANSWER = 0, HB_SCORE_OTHER = -1 };

/* One kind of answer. */
struct hb_score_row {
	long code;
	const char *says; /* what the answer, or the network, said */
	uint64_t count;
};

/* What comes after so many kinds counts as "other answers". */
#define HB_SCORE_ROWS 32

struct hb_score {
	struct hb_arena *arena;
	struct hb_score_row rows[HB_SCORE_ROWS];
	size_t row_count;
	uint64_t accepted, refused, unreachable;
	uint32_t *latencies_us; /* of all that were answered */
	size_t latency_count, latency_capacity;
};

void hb_score_init(struct hb_score *score);
void hb_score_fini(struct hb_score *score);
void hb_score_answer(struct hb_score *score, long code, struct hb_span body,
    uint64_t latency_us);
void hb_score_failure(struct hb_score *score, const char *why);
/* Nothing comes after it; only now there are percentiles. */
void hb_score_close(struct hb_score *score);
/* In us. share: 0.5 for the median, 0 the least, 1 the greatest. 0 when nothing
 * was answered. */
uint32_t hb_score_percentile(const struct hb_score *score, double share);
/* EX_OK, 1 when something was refused, EX_UNAVAILABLE when the daemon could
 * not be reached. */
int hb_score_status(const struct hb_score *score);

/* --- summary.c ------------------------------------------------------------ */

struct hb_summary {
	const struct hb_score *score;
	const char *to; /* the address without a token */
	const char *id; /* of the only webhook, or NULL */
	uint64_t wanted, sent;
	uint64_t took_us;
};

void hb_summary_print(const struct hb_summary *summary);
int hb_summary_print_json(const struct hb_summary *summary);
/* What to do about what went wrong; NULL: nothing did. */
const char *hb_summary_remedy(const struct hb_score *score);

/* --- pace.c --------------------------------------------------------------- */

struct hb_pace {
	const struct hb_stationery *stationery;
	const struct hb_address *address;
	struct hb_score *score;
	uint64_t count;
	double rate;          /* a second; 0: as fast as answers come */
	unsigned concurrency; /* letters on their way at a time */
	bool show_progress;
	/* The outcome. */
	uint64_t sent, took_us;
	char last_id[HB_LETTER_ID_SIZE];
};

/* Sends until all are answered, a signal says stop, or nobody is there. */
void hb_pace_run(struct hb_pace *pace);

#endif
