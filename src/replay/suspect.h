/* SPDX-License-Identifier: Apache-2.0 */
/* suspect.h - whether one record is to blame for the failures of many; pure
 *
 * A round is what is sent between two rests. Records are known by their
 * numbers, which are never 0. */
#ifndef HB_REPLAY_SUSPECT_H
#define HB_REPLAY_SUSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct hb_suspect {
	uint64_t seq;      /* 0: nobody is suspected */
	unsigned failures; /* rounds in which it failed and others did not */
	unsigned alone;    /* failures since it is sent alone */
	/* Of the round under way. */
	uint64_t confirmed;
	uint64_t lowest; /* the first that failed; 0: none has */
};

/* Whether records are sent one by one, until it is known of the suspect. */
bool hb_suspect_is_alone(const struct hb_suspect *suspect);
/* The record is about to be sent. If records are sent one by one, none before
 * it is left. */
void hb_suspect_note_read(struct hb_suspect *suspect, uint64_t seq);
/* Any record. */
void hb_suspect_note_confirmed(struct hb_suspect *suspect);
/* It failed, and its destination is not down; true: it is poison. */
bool hb_suspect_note_failed(struct hb_suspect *suspect, uint64_t seq);
/* Whether anything was confirmed in the round that ends. */
bool hb_suspect_end_round(struct hb_suspect *suspect);

#endif
