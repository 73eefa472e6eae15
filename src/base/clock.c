/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - CLOCK_MONOTONIC and CLOCK_REALTIME, or what a test froze */
#include "hookbridge/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static bool frozen;
static uint64_t frozen_mono_ms;
static int64_t frozen_wall_ms;

static struct timespec
now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts;
}

uint64_t
hb_clock_mono_us(void)
{
	struct timespec ts;

	if (frozen)
		return frozen_mono_ms * 1000;
	ts = now(CLOCK_MONOTONIC);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
hb_clock_mono_ms(void)
{
	return hb_clock_mono_us() / 1000;
}

int64_t
hb_clock_wall_ms(void)
{
	struct timespec ts;

	if (frozen)
		return frozen_wall_ms;
	ts = now(CLOCK_REALTIME);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Writes the time in UTC with milliseconds; returns the length. */
size_t
hb_clock_iso(int64_t wall_ms, char out[HB_TIME_ISO_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	long ms = (long)(wall_ms % 1000);
	struct tm tm;
	size_t len;

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	/* int64_t milliseconds reach years of nine digits: they fit. */
	len = strftime(out, HB_TIME_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	return len + (size_t)snprintf(
			 out + len, HB_TIME_ISO_SIZE - len, ".%03ldZ", ms);
}

void
hb_clock_freeze(uint64_t mono_ms, int64_t wall_ms)
{
	frozen = true;
	frozen_mono_ms = mono_ms;
	frozen_wall_ms = wall_ms;
}

void
hb_clock_thaw(void)
{
	frozen = false;
}
