/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - many small changes, one after the other: progress and an end
 *
 * On a terminal a line on stderr shows how far it is. SIGINT or SIGTERM ends
 * the work after the change that is under way; what was done is then told.
 * One batch at a time. */
#ifndef HB_CTL_BATCH_H
#define HB_CTL_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct hb_batch {
	const char *verb; /* "retried" */
	uint64_t wanted, done, failed;

	bool shows;
	uint64_t shown_us;
};

void hb_batch_begin(struct hb_batch *batch, const char *verb, uint64_t wanted);
/* Shows how far it is, now and then; false: it is to end. */
bool hb_batch_goes_on(struct hb_batch *batch);
/* The line is taken away, so that something else can be told. */
void hb_batch_clear(struct hb_batch *batch);
void hb_batch_end(struct hb_batch *batch);

#endif
