/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h - the byte budget: bodies, events in flight, what sinks queue
 *
 * One budget for the process (`memory`). Who takes gives back the same number.
 * Bytes received but not yet verified may hold at most a quarter of it; one
 * share (an endpoint) at most half of it while other shares hold anything.
 * Thread: any, lock-free. Fails by returning false; nothing is taken then. */
#ifndef HOOKBRIDGE_BUDGET_H
#define HOOKBRIDGE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/error.h"

struct hb_metric;

struct hb_budget {
	uint64_t limit;
	_Atomic uint64_t used;
	_Atomic uint64_t unverified; /* part of used */
	struct hb_metric *metric_used;
};

struct hb_budget_share {
	_Atomic uint64_t used;
};

void hb_budget_init(struct hb_budget *budget, uint64_t limit);
/* The same for a small one apart from the process's: no gauge shows it. */
void hb_budget_init_apart(struct hb_budget *budget, uint64_t limit);

/* Before verification: counts against the quarter too. */
bool hb_budget_take_unverified(struct hb_budget *budget, uint64_t bytes)
    HB_MUST_CHECK;
void hb_budget_give_unverified(struct hb_budget *budget, uint64_t bytes);
/* Verified: the bytes leave the quarter and join a share; false when the share
 * is over its half (they then stay unverified). */
bool hb_budget_verify(struct hb_budget *budget, struct hb_budget_share *share,
    uint64_t bytes) HB_MUST_CHECK;
bool hb_budget_take(struct hb_budget *budget, struct hb_budget_share *share,
    uint64_t bytes) HB_MUST_CHECK;
void hb_budget_give(struct hb_budget *budget, struct hb_budget_share *share,
    uint64_t bytes);

#endif
