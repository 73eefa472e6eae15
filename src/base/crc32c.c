/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.c - by instruction, else eight bytes a step by tables
 *
 * x86-64 has had the instruction since 2008 (SSE 4.2), though the compiler may
 * not take it for granted: it is asked for once, at the first call. Eight
 * bytes each three cycles: 2 KB cost a quarter of a microsecond.
 *
 * Tables: table[0] is that of one byte; table[k][b] is the checksum of byte b
 * with k zero bytes after it, so that eight look-ups make one step. */
#include "hookbridge/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "hookbridge/le.h"

#define POLYNOMIAL 0x82f63b78u /* reflected */

static uint32_t table[8][256];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t
one_byte(uint32_t crc)
{
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
	return crc;
}

static void
prepare(void)
{
	for (uint32_t b = 0; b < 256; b++)
		table[0][b] = one_byte(b);
	for (int k = 1; k < 8; k++)
		for (int b = 0; b < 256; b++) {
			uint32_t crc = table[k - 1][b];

			table[k][b] = crc >> 8 ^ table[0][crc & 0xff];
		}
#ifdef __x86_64__
	has_instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t
step8(uint32_t crc, const uint8_t *p)
{
	uint32_t low = crc ^ hb_le_get32(p);

	return table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
	       table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
	       table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
	       table[0][p[7]];
}

static uint32_t
by_table(uint32_t crc, const uint8_t *p, size_t len)
{
	for (; len >= 8; len -= 8, p += 8)
		crc = step8(crc, p);
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t wide = crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; len > 0; len--, p++)
		crc = __builtin_ia32_crc32qi(crc, *p);
	return crc;
}
#endif

uint32_t
hb_crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, prepare);
	return ~by_table(~crc, data, len);
}

uint32_t
hb_crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, prepare);
#ifdef __x86_64__
	if (has_instruction)
		return ~by_instruction(~crc, data, len);
#endif
	return ~by_table(~crc, data, len);
}
