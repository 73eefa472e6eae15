/* SPDX-License-Identifier: Apache-2.0 */
/* near.h - the known name that a wrong one was probably meant to be
 *
 * hb_near_init() with the wrong one, hb_near_offer() with each known one; best
 * is then the nearest, or NULL when none is near. Names stay the caller's.
 * Thread: plain data. */
#ifndef HOOKBRIDGE_NEAR_H
#define HOOKBRIDGE_NEAR_H

#include <stddef.h>

struct hb_near {
	const char *word;
	const char *best; /* NULL: nothing is near */
	size_t distance;
};

void hb_near_init(struct hb_near *near, const char *word);
void hb_near_offer(struct hb_near *near, const char *candidate);

#endif
