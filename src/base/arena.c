/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - chunks in a list, cut from the front
 *
 * The arena struct sits at the head of its first chunk. A request that does
 * not fit the current chunk gets a new one: twice the last, or its own size
 * if it is larger, in which case the current chunk stays in use. */
#include "hookbridge/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"

#define CHUNK_MIN 256u
#define CHUNK_MAX (256u * 1024)

struct chunk {
	struct chunk *next;
	alignas(max_align_t) char data[];
};

struct cleanup {
	struct cleanup *next;
	void (*fn)(void *);
	void *arg;
};

struct hb_arena {
	char *pos, *end;      /* what is left of the current chunk */
	struct chunk *chunks; /* all but the one the arena sits in */
	struct cleanup *cleanups;
	size_t chunk_size, total;
	alignas(max_align_t) char data[];
};

/* Sums with headers cannot overflow. */
static void
check_size(size_t size)
{
	if (size > PTRDIFF_MAX / 2)
		hb_bug("allocation of %zu bytes", size);
}

struct hb_arena *
hb_arena_new(size_t first_size)
{
	size_t size = first_size > CHUNK_MIN ? first_size : CHUNK_MIN;
	struct hb_arena *arena;

	check_size(size);
	arena = hb_xmalloc(sizeof(*arena) + size);
	*arena = (struct hb_arena){.pos = arena->data,
	    .end = arena->data + size,
	    .chunk_size = size,
	    .total = sizeof(*arena) + size};
	return arena;
}

void
hb_arena_free(struct hb_arena *arena)
{
	if (arena == NULL)
		return;
	for (struct cleanup *c = arena->cleanups; c != NULL; c = c->next)
		c->fn(c->arg);
	for (struct chunk *chunk = arena->chunks, *next; chunk != NULL;
	     chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

static char *
chunk_add(struct hb_arena *arena, size_t size)
{
	struct chunk *chunk = hb_xmalloc(sizeof(*chunk) + size);

	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->total += sizeof(*chunk) + size;
	return chunk->data;
}

static void *
alloc_slow(struct hb_arena *arena, size_t size)
{
	size_t chunk_size = arena->chunk_size * 2;

	if (chunk_size > CHUNK_MAX)
		chunk_size = CHUNK_MAX;
	if (size > chunk_size / 2)
		return chunk_add(arena, size);
	arena->chunk_size = chunk_size;
	arena->pos = chunk_add(arena, chunk_size);
	arena->end = arena->pos + chunk_size;
	return hb_arena_alloc(arena, size);
}

/* Aligned for any type, not cleared. */
void *
hb_arena_alloc(struct hb_arena *arena, size_t size)
{
	const size_t align = alignof(max_align_t);
	void *ptr;

	check_size(size);
	size = (size + align - 1) & ~(align - 1);
	if (size > (size_t)(arena->end - arena->pos))
		return alloc_slow(arena, size);
	ptr = arena->pos;
	arena->pos += size;
	return ptr;
}

void *
hb_arena_calloc(struct hb_arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		hb_bug("allocation of %zu times %zu bytes", count, size);
	return memset(hb_arena_alloc(arena, total), 0, total);
}

/* The absent span stays absent. */
struct hb_span
hb_arena_dup(struct hb_arena *arena, struct hb_span s)
{
	char *copy;

	if (!hb_span_is_set(s))
		return HB_SPAN_NONE;
	copy = hb_arena_alloc(arena, s.len + 1);
	memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return hb_span_make(copy, s.len);
}

char *
hb_arena_strdup(struct hb_arena *arena, const char *str)
{
	size_t size = strlen(str) + 1;

	return memcpy(hb_arena_alloc(arena, size), str, size);
}

struct hb_span
hb_arena_printf(struct hb_arena *arena, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		hb_bug("vsnprintf refuses the format");
	text = hb_arena_alloc(arena, (size_t)len + 1);
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return hb_span_make(text, (size_t)len);
}

void
hb_arena_on_free(struct hb_arena *arena, void (*fn)(void *), void *arg)
{
	struct cleanup *cleanup = hb_arena_alloc(arena, sizeof(*cleanup));

	*cleanup = (struct cleanup){arena->cleanups, fn, arg};
	arena->cleanups = cleanup;
}

size_t
hb_arena_size(const struct hb_arena *arena)
{
	return arena->total;
}
