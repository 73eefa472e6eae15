/* SPDX-License-Identifier: Apache-2.0 */
/* io.h - all of it, where the kernel may take or give a part
 *
 * For files on disk: signals do not end a call, nor does a short one.
 * Thread: any. Blocks: for the disk. Fails: with errno; how much was done is
 * not told. */
#ifndef HOOKBRIDGE_IO_H
#define HOOKBRIDGE_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "hookbridge/error.h"

bool hb_write_all(int fd, const void *data, size_t len) HB_MUST_CHECK;
bool hb_pwrite_all(
    int fd, const void *data, size_t len, uint64_t offset) HB_MUST_CHECK;
/* As much as there is, less than len only at the end of the file; -1. */
ssize_t hb_pread_all(
    int fd, void *data, size_t len, uint64_t offset) HB_MUST_CHECK;

#endif
