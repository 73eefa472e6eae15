/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - small allocations abort when memory is out: there is nothing better
 * to do, and every caller is simpler for it */
#include "hookbridge/mem.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_FREED (16 * 1024 * 1024) /* at a heap's end */
#define MAP_FROM (32 * 1024 * 1024)   /* more at once is of no heap */

/* By default glibc gives the memory of a large body back to the kernel when it
 * is freed: the next one costs a page fault for every 4 KiB again, which was up
 * to a third of all that its event cost. */
void
hb_mem_init(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_TRIM_THRESHOLD, KEEP_FREED);
	(void)mallopt(M_MMAP_THRESHOLD, MAP_FROM);
#endif
}

static void *
checked(void *ptr, size_t size)
{
	if (ptr == NULL && size > 0) {
		fprintf(
		    stderr, "hookbridge: out of memory (%zu bytes)\n", size);
		abort();
	}
	return ptr;
}

void *
hb_xmalloc(size_t size)
{
	return checked(malloc(size), size);
}

void *
hb_xcalloc(size_t count, size_t size)
{
	/* calloc(0) may be NULL: callers need not care. */
	return checked(calloc(count > 0 ? count : 1, size), size);
}

void *
hb_xrealloc(void *ptr, size_t size)
{
	return checked(realloc(ptr, size), size);
}

void *
hb_xreallocarray(void *ptr, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return checked(NULL, SIZE_MAX);
	return hb_xrealloc(ptr, total);
}

char *
hb_xstrdup(const char *str)
{
	return hb_xstrndup((struct hb_span){str, strlen(str)});
}

char *
hb_xstrndup(struct hb_span s)
{
	char *copy = hb_xmalloc(s.len + 1);

	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}
