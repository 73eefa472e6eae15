/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before the next attempt
 *
 * Thread: any. */
#ifndef HOOKBRIDGE_BACKOFF_H
#define HOOKBRIDGE_BACKOFF_H

#include <stdint.h>

/* min_ms, doubled with each failure before, at most max_ms; of that between
 * half and all, at random, so that those who failed together do not all come
 * back together. */
uint64_t hb_backoff_ms(uint64_t min_ms, uint64_t max_ms, unsigned failures);

#endif
