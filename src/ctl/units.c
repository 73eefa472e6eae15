/* SPDX-License-Identifier: Apache-2.0 */
/* units.c - the two units that count, and no more digits than that */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hookbridge/clock.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* --- writing -------------------------------------------------------------- */

const char *
hb_units_bytes(uint64_t bytes, char out[HB_UNITS_SIZE])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(out, HB_UNITS_SIZE, "%" PRIu64 " B", bytes);
		return out;
	}
	/* What would be rounded to 1024.0 is one of the next. */
	while (value >= 1023.95 && unit < 3) {
		value /= 1024;
		unit++;
	}
	snprintf(out, HB_UNITS_SIZE, "%.1f %s", value, units[unit]);
	return out;
}

const char *
hb_units_span(int64_t ms, char out[HB_UNITS_SIZE])
{
	if (ms < SECOND)
		snprintf(out, HB_UNITS_SIZE, "%" PRId64 " ms",
		    ms > 0 ? ms : 0);
	else if (ms < MINUTE)
		snprintf(out, HB_UNITS_SIZE, "%" PRId64 " s", ms / SECOND);
	else if (ms < HOUR)
		snprintf(out, HB_UNITS_SIZE, "%" PRId64 " m", ms / MINUTE);
	else if (ms < DAY)
		snprintf(out, HB_UNITS_SIZE, "%" PRId64 " h %" PRId64 " m",
		    ms / HOUR, ms % HOUR / MINUTE);
	else
		snprintf(out, HB_UNITS_SIZE, "%" PRId64 " d %" PRId64 " h",
		    ms / DAY, ms % DAY / HOUR);
	return out;
}

const char *
hb_units_ago(int64_t then_ms, int64_t now_ms, char out[HB_UNITS_SIZE])
{
	char span[HB_UNITS_SIZE];

	if (then_ms <= 0)
		snprintf(out, HB_UNITS_SIZE, "-");
	else if (now_ms - then_ms < SECOND)
		snprintf(out, HB_UNITS_SIZE, "now");
	else
		snprintf(out, HB_UNITS_SIZE, "%.30s ago",
		    hb_units_span(now_ms - then_ms, span));
	return out;
}

/* --- reading -------------------------------------------------------------- */

/* "2026-01-01T00:00:00.500Z". */
static bool
read_iso(const char *text, int64_t *ms)
{
	const char *date = text;
	char iso[HB_TIME_ISO_SIZE];
	struct tm tm = { 0 };
	unsigned fraction = 0;
	int len = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
		&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &len) != 6)
		return false;
	text += len;
	if (text[0] == '.') {
		if (sscanf(text, ".%3u%n", &fraction, &len) != 1 || len != 4)
			return false;
		text += len;
	}
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ms = (int64_t)timegm(&tm) * 1000 + fraction;
	hb_clock_iso(*ms, iso);
	/* Of a February 30th it has made a day in March. */
	return strcmp(text, "Z") == 0 &&
	    strncmp(iso, date, (size_t)(text - date)) == 0;
}

bool
hb_units_read_time(const char *text, int64_t *ms)
{
	size_t digits = strspn(text, "0123456789");

	if (text[digits] != '\0' || digits == 0 || digits > 12)
		return read_iso(text, ms);
	*ms = (int64_t)strtoll(text, NULL, 10) * 1000;
	return true;
}
