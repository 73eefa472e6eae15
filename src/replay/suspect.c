/* SPDX-License-Identifier: Apache-2.0 */
/* suspect.c - whether one record is to blame for the failures of many
 *
 *   NOBODY ──lowest failure of a round──► SUSPECT ──3 such rounds──► ALONE
 *      ▲      in which others passed        │ ▲                       │ │
 *      │                                    └─┘ another is lowest     │ │
 *      └────── a later one is read: it is settled, whoever did it ────┘ │
 *                             poison ◄── 3 failures while it is alone ──┘
 *
 * A record that makes a broker close the connection takes down with it what is
 * sent along, all of which then fails. It is the lowest of them: what was sent
 * before it has been answered. So only the lowest is suspected, one at a time,
 * and nothing is held against it while its destination does not work for
 * others either. */
#include "suspect.h"

#define FAILURES_MAX 3

bool
hb_suspect_is_alone(const struct hb_suspect *suspect)
{
	return suspect->seq != 0 && suspect->failures >= FAILURES_MAX;
}

void
hb_suspect_note_read(struct hb_suspect *suspect, uint64_t seq)
{
	if (!hb_suspect_is_alone(suspect) || seq <= suspect->seq)
		return;
	suspect->seq = 0;
	suspect->failures = suspect->alone = 0;
}

void
hb_suspect_note_confirmed(struct hb_suspect *suspect)
{
	suspect->confirmed++;
}

bool
hb_suspect_note_failed(struct hb_suspect *suspect, uint64_t seq)
{
	if (suspect->lowest == 0 || seq < suspect->lowest)
		suspect->lowest = seq;
	return hb_suspect_is_alone(suspect) && seq == suspect->seq &&
	       ++suspect->alone >= FAILURES_MAX;
}

static void
accuse(struct hb_suspect *suspect, uint64_t seq)
{
	if (seq != suspect->seq) {
		suspect->seq = seq;
		suspect->failures = suspect->alone = 0;
	}
	if (suspect->failures < FAILURES_MAX)
		suspect->failures++;
}

bool
hb_suspect_end_round(struct hb_suspect *suspect)
{
	bool any = suspect->confirmed > 0;

	if (any && suspect->lowest != 0)
		accuse(suspect, suspect->lowest);
	suspect->confirmed = 0;
	suspect->lowest = 0;
	return any;
}
