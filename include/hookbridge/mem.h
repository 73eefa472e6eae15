/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - allocation that succeeds or aborts
 *
 * For small, bounded sizes. A size that a client controls is admitted against
 * the byte budget (budget.h) before it is asked for here.
 * Thread: any. */
#ifndef HOOKBRIDGE_MEM_H
#define HOOKBRIDGE_MEM_H

#include <stddef.h>

#include "hookbridge/span.h"

/* Sets how much freed memory the process keeps. Before there is a thread. */
void hb_mem_init(void);

void *hb_xmalloc(size_t size);
void *hb_xcalloc(size_t count, size_t size);
void *hb_xrealloc(void *ptr, size_t size);
/* count * size, aborting when the product overflows. */
void *hb_xreallocarray(void *ptr, size_t count, size_t size);
char *hb_xstrdup(const char *str);
/* A NUL-terminated copy. */
char *hb_xstrndup(struct hb_span s);

#define HB_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define hb_container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
