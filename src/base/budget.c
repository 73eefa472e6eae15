/* SPDX-License-Identifier: Apache-2.0 */
/* budget.c - admission by compare and exchange: never over the limit
 *
 * "used" counts everything, "unverified" and a share's "used" count parts of
 * it. A share may pass half of the budget only while it is alone: then nobody
 * else holds anything that the rest would protect.
 *
 * The counters move one after the other: the parts go up before the whole and
 * come down after it. What another thread sees in between makes a share look
 * more alone than it is, so a race may let a share a little past its half, and
 * a part that is given back because the whole is full may meanwhile refuse
 * somebody else. The limit is never passed. */
#include "hookbridge/budget.h"

#include "hookbridge/metric.h"

/* Adds bytes if the sum stays within the limit. */
static bool
take(_Atomic uint64_t *counter, uint64_t bytes, uint64_t limit)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	do {
		if (bytes > limit || now > limit - bytes)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(counter, &now,
	    now + bytes, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void
give(_Atomic uint64_t *counter, uint64_t bytes)
{
	if (atomic_fetch_sub_explicit(counter, bytes, memory_order_relaxed) <
	    bytes)
		hb_bug("%llu bytes given back that were not taken",
		    (unsigned long long)bytes);
}

/* The whole, with its gauge. */
static bool
take_used(struct hb_budget *budget, uint64_t bytes)
{
	if (!take(&budget->used, bytes, budget->limit))
		return false;
	hb_metric_add(budget->metric_used, (int64_t)bytes);
	return true;
}

static void
give_used(struct hb_budget *budget, uint64_t bytes)
{
	give(&budget->used, bytes);
	hb_metric_add(budget->metric_used, -(int64_t)bytes);
}

void
hb_budget_init(struct hb_budget *budget, uint64_t limit)
{
	budget->limit = limit;
	atomic_init(&budget->used, 0);
	atomic_init(&budget->unverified, 0);
	budget->metric_used =
	    hb_metric_get(HB_M_MEMORY_USED, NULL, NULL, NULL, NULL);
	hb_metric_set(budget->metric_used, 0);
	hb_metric_set(hb_metric_get(HB_M_MEMORY_BUDGET, NULL, NULL, NULL, NULL),
	    (int64_t)limit);
}

void
hb_budget_init_apart(struct hb_budget *budget, uint64_t limit)
{
	budget->limit = limit;
	atomic_init(&budget->used, 0);
	atomic_init(&budget->unverified, 0);
	budget->metric_used = hb_metric_unlisted();
}

bool
hb_budget_take_unverified(struct hb_budget *budget, uint64_t bytes)
{
	if (!take(&budget->unverified, bytes, budget->limit / 4))
		return false;
	if (!take_used(budget, bytes)) {
		give(&budget->unverified, bytes);
		return false;
	}
	return true;
}

void
hb_budget_give_unverified(struct hb_budget *budget, uint64_t bytes)
{
	give_used(budget, bytes);
	give(&budget->unverified, bytes);
}

/* Whether nothing but this share and unverified bytes is held. */
static bool
is_alone(struct hb_budget *budget, struct hb_budget_share *share)
{
	uint64_t parts =
	    atomic_load_explicit(&share->used, memory_order_relaxed) +
	    atomic_load_explicit(&budget->unverified, memory_order_relaxed);

	return parts >=
	       atomic_load_explicit(&budget->used, memory_order_relaxed);
}

/* A share may hold half of the budget, and all of it while it is alone. */
static bool
take_share(
    struct hb_budget *budget, struct hb_budget_share *share, uint64_t bytes)
{
	if (take(&share->used, bytes, budget->limit / 2))
		return true;
	return is_alone(budget, share) &&
	       take(&share->used, bytes, budget->limit);
}

bool
hb_budget_verify(
    struct hb_budget *budget, struct hb_budget_share *share, uint64_t bytes)
{
	if (!take_share(budget, share, bytes))
		return false;
	give(&budget->unverified, bytes);
	return true;
}

bool
hb_budget_take(
    struct hb_budget *budget, struct hb_budget_share *share, uint64_t bytes)
{
	if (!take_share(budget, share, bytes))
		return false;
	if (!take_used(budget, bytes)) {
		give(&share->used, bytes);
		return false;
	}
	return true;
}

void
hb_budget_give(
    struct hb_budget *budget, struct hb_budget_share *share, uint64_t bytes)
{
	give_used(budget, bytes);
	give(&share->used, bytes);
}
