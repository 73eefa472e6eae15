/* SPDX-License-Identifier: Apache-2.0 */
/* le.h - numbers as they stand in our files: little-endian, at any address
 *
 * Thread: pure functions. */
#ifndef HOOKBRIDGE_LE_H
#define HOOKBRIDGE_LE_H

#include <stdint.h>

static inline void
hb_le_put16(void *out, uint16_t v)
{
	uint8_t *p = out;

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
hb_le_put32(void *out, uint32_t v)
{
	uint8_t *p = out;

	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static inline void
hb_le_put64(void *out, uint64_t v)
{
	hb_le_put32(out, (uint32_t)v);
	hb_le_put32((uint8_t *)out + 4, (uint32_t)(v >> 32));
}

static inline uint16_t
hb_le_get16(const void *in)
{
	const uint8_t *p = in;

	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
hb_le_get32(const void *in)
{
	const uint8_t *p = in;

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint64_t
hb_le_get64(const void *in)
{
	return hb_le_get32(in) |
	       (uint64_t)hb_le_get32((const uint8_t *)in + 4) << 32;
}

#endif
