/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h - the Castagnoli checksum (RFC 3720 B.4): finds damage, not malice
 *
 * Thread: any. Uses the processor's instruction where it has one. */
#ifndef HOOKBRIDGE_CRC32C_H
#define HOOKBRIDGE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc stands for followed by data; a checksum begins with
 * 0, or with a seed of the caller's that must match too. */
uint32_t hb_crc32c(uint32_t crc, const void *data, size_t len);

/* The same without the instruction: what other processors get. */
uint32_t hb_crc32c_portable(uint32_t crc, const void *data, size_t len);

#endif
