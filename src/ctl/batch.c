/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - a flag that signals set, and a line that is written over */
#include "batch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "hookbridge/clock.h"

#define SHOW_US 200000

static volatile sig_atomic_t is_interrupted;
static struct sigaction old_int, old_term;

static void
on_signal(int signum)
{
	(void)signum;
	is_interrupted = 1;
}

void
hb_batch_begin(struct hb_batch *batch, const char *verb, uint64_t wanted)
{
	/* A second one of the kind ends the process as usual. */
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = (int)SA_RESETHAND };

	*batch = (struct hb_batch){ .verb = verb,
		.wanted = wanted,
		.shows = isatty(STDERR_FILENO),
		.shown_us = hb_clock_mono_us() };
	is_interrupted = 0;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
}

bool
hb_batch_goes_on(struct hb_batch *batch)
{
	uint64_t now_us = hb_clock_mono_us();

	if (is_interrupted)
		return false;
	if (!batch->shows || now_us - batch->shown_us < SHOW_US)
		return true;
	batch->shown_us = now_us;
	fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " %s", batch->done,
	    batch->wanted, batch->verb);
	if (batch->failed > 0)
		fprintf(stderr, ", %" PRIu64 " failed", batch->failed);
	fflush(stderr);
	return true;
}

void
hb_batch_clear(struct hb_batch *batch)
{
	if (batch->shows)
		fputs("\r\033[K", stderr);
}

void
hb_batch_end(struct hb_batch *batch)
{
	hb_batch_clear(batch);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
}
