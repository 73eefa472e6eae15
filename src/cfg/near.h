/* SPDX-License-Identifier: Apache-2.0 */
/* near.h - the known name that a wrong one was probably meant to be */
#ifndef CFG_NEAR_H
#define CFG_NEAR_H

#include <stddef.h>

struct hb_report;

struct hb_near {
	const char *word;
	const char *best; /* NULL: nothing is near */
	size_t distance;
};

void hb_near_init(struct hb_near *near, const char *word);
void hb_near_offer(struct hb_near *near, const char *candidate);
/* The remedy of the fault reported last, when there is a near name. */
void hb_near_remedy(const struct hb_near *near, struct hb_report *report);

#endif
