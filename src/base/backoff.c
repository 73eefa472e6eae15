/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.c - how long to wait before the next attempt */
#include "hookbridge/backoff.h"

#include "hookbridge/crypto.h"

uint64_t
hb_backoff_ms(uint64_t min_ms, uint64_t max_ms, unsigned failures)
{
	uint64_t ms = min_ms;
	uint32_t random;

	for (; failures > 0 && ms > 0 && ms < max_ms; failures--)
		ms *= 2;
	if (ms > max_ms)
		ms = max_ms;
	hb_random(&random, sizeof(random));
	return ms / 2 + random % (ms / 2 + 1);
}
