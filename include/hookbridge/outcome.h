/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h - how an event ended; the worst of its destinations counts */
#ifndef HOOKBRIDGE_OUTCOME_H
#define HOOKBRIDGE_OUTCOME_H

enum hb_outcome {
	HB_CONFIRMED,     /* every destination has it */
	HB_SPOOLED,       /* settled, some of it on disk until delivered */
	HB_DEAD_LETTERED, /* settled, some of it as a dead letter */
	HB_UNSETTLED      /* not everywhere or not in time: sent again */
};

/* As answers and logs say it: "confirmed", "spooled", "dead-lettered",
 * "unsettled". */
const char *hb_outcome_word(enum hb_outcome outcome);

#endif
