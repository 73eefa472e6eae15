/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - latencies in buckets that are 1/64 wide of what they hold
 *
 * Values are microseconds. Below 64 each has a bucket of its own; from there
 * every power of two is cut into 64 buckets, so that a percentile is off by
 * less than 1.6 % whatever its size. */
#ifndef HB_BENCH_HISTOGRAM_H
#define HB_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB 64
#define HISTOGRAM_BUCKETS (HISTOGRAM_SUB * 40)

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, max;
};

static inline size_t
histogram_bucket(uint64_t value)
{
	unsigned shift;
	size_t bucket;

	if (value < HISTOGRAM_SUB)
		return (size_t)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - 6u;
	bucket = (size_t)(shift + 1) * HISTOGRAM_SUB +
	    (size_t)((value >> shift) - HISTOGRAM_SUB);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into a bucket. */
static inline uint64_t
histogram_top(size_t bucket)
{
	size_t shift;

	if (bucket < HISTOGRAM_SUB)
		return bucket;
	shift = bucket / HISTOGRAM_SUB - 1;
	return ((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB + 1)
		   << shift) - 1;
}

static inline void
histogram_add(struct histogram *h, uint64_t value)
{
	h->buckets[histogram_bucket(value)]++;
	h->count++;
	if (value > h->max)
		h->max = value;
}

/* share: 0.5 for the median. */
static inline uint64_t
histogram_percentile(const struct histogram *h, double share)
{
	double wanted = share * (double)h->count;
	uint64_t seen = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > 0 && (double)seen >= wanted)
			return histogram_top(i) < h->max ? histogram_top(i)
							 : h->max;
	}
	return h->max;
}

#endif
