/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time, replaceable in tests
 *
 * Wall clock for tolerance and time stamps only; every timer and every age is
 * monotonic.
 * Thread: any; hb_clock_freeze() only before threads start. */
#ifndef HOOKBRIDGE_CLOCK_H
#define HOOKBRIDGE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since an arbitrary point; never goes back. */
uint64_t hb_clock_mono_ms(void);
uint64_t hb_clock_mono_us(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t hb_clock_wall_ms(void);

/* "2026-01-01T00:00:00.500Z"; the buffer takes HB_TIME_ISO_SIZE bytes. */
#define HB_TIME_ISO_SIZE 32
size_t hb_clock_iso(int64_t wall_ms, char out[HB_TIME_ISO_SIZE]);

/* Tests only: from now on both clocks stand still at these values. */
void hb_clock_freeze(uint64_t mono_ms, int64_t wall_ms);
void hb_clock_thaw(void);

#endif
