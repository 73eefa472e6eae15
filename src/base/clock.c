/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - CLOCK_MONOTONIC and CLOCK_REALTIME, or what a test froze */
#include "hookbridge/clock.h"

#include <stdbool.h>
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

static char *
put_digits(char *out, unsigned number, unsigned count)
{
	for (unsigned i = count; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	return out + count;
}

/* "-01-01" and the like: a separator and two digits. */
static char *
put_part(char *out, char separator, int number)
{
	*out = separator;
	return put_digits(out + 1, (unsigned)number, 2);
}

/* Writes the time in UTC with milliseconds; returns the length. Every event
 * has two of them, for which strftime() and snprintf() are slow. */
size_t
hb_clock_iso(int64_t wall_ms, char out[HB_TIME_ISO_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	long ms = (long)(wall_ms % 1000);
	struct tm tm;
	char *end;

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	if (tm.tm_year >= 1000 - 1900 && tm.tm_year <= 9999 - 1900)
		end = put_digits(out, (unsigned)tm.tm_year + 1900, 4);
	else /* int64_t milliseconds reach nine digits: they fit */
		end = out + strftime(out, HB_TIME_ISO_SIZE, "%Y", &tm);
	end = put_part(end, '-', tm.tm_mon + 1);
	end = put_part(end, '-', tm.tm_mday);
	end = put_part(end, 'T', tm.tm_hour);
	end = put_part(end, ':', tm.tm_min);
	end = put_part(end, ':', tm.tm_sec);
	*end++ = '.';
	end = put_digits(end, (unsigned)ms, 3);
	*end++ = 'Z';
	*end = '\0';
	return (size_t)(end - out);
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
