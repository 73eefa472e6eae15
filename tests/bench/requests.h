/* SPDX-License-Identifier: Apache-2.0 */
/* requests.h - signed webhooks, made before the clock runs
 *
 * Each has an id and a signature of its own and one of a few bodies, whose
 * job_ids spread over Kafka's partitions. */
#ifndef HB_BENCH_REQUESTS_H
#define HB_BENCH_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

struct request {
	const char *head;
	size_t head_len;
	const char *body;
	size_t body_len;
};

struct requests {
	struct request *items;
	size_t count;
};

struct request_spec {
	const char *path;
	const char *secret; /* "whsec_…" */
	size_t body_size;   /* bytes, at least 256 */
	size_t bodies;      /* how many different ones */
	size_t count;
	uint32_t seed; /* of the ids; 0: one that no other run has */
};

/* Exits with a word on stderr when the secret is none. */
struct requests requests_make(const struct request_spec *wanted);

#endif
