/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - how an event ended, as a word */
#include "hookbridge/outcome.h"

const char *
hb_outcome_word(enum hb_outcome outcome)
{
	switch (outcome) {
	case HB_CONFIRMED:
		return "confirmed";
	case HB_SPOOLED:
		return "spooled";
	case HB_DEAD_LETTERED:
		return "dead-lettered";
	case HB_UNSETTLED:
		break;
	}
	return "unsettled";
}
