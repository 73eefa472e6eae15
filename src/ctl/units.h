/* SPDX-License-Identifier: Apache-2.0 */
/* units.h - sizes, ages and times as people read and write them; pure */
#ifndef HB_CTL_UNITS_H
#define HB_CTL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define HB_UNITS_SIZE 40

/* "0 B", "999 B", "1.2 KiB", "64.0 MiB". */
const char *hb_units_bytes(uint64_t bytes, char out[HB_UNITS_SIZE]);
/* How long: "12 s", "5 m", "3 h 20 m", "12 d". */
const char *hb_units_span(int64_t ms, char out[HB_UNITS_SIZE]);
/* How long before now_ms: "12 s ago", or "-" where there is no time. */
const char *hb_units_ago(int64_t then_ms, int64_t now_ms,
    char out[HB_UNITS_SIZE]);

/* "2026-01-01T00:00:00.500Z", the fraction may be missing, or Unix seconds. */
bool hb_units_read_time(const char *text, int64_t *ms);

#endif
