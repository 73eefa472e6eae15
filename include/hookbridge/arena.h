/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - many allocations, one free
 *
 * Everything that belongs to one event, one request or one configuration sits
 * in its arena and goes with it. Memory comes aligned for any type.
 * Thread: one at a time. Aborts when memory is out. */
#ifndef HOOKBRIDGE_ARENA_H
#define HOOKBRIDGE_ARENA_H

#include <stdarg.h>

#include "hookbridge/error.h"
#include "hookbridge/span.h"

struct hb_arena;

/* The first first_size bytes come with the arena itself: one malloc for
 * those who guess well. */
struct hb_arena *hb_arena_new(size_t first_size);
void hb_arena_free(struct hb_arena *arena); /* NULL is allowed */

void *hb_arena_alloc(struct hb_arena *arena, size_t size);
void *hb_arena_calloc(struct hb_arena *arena, size_t count, size_t size);
/* Copies are NUL-terminated one byte past their length. */
struct hb_span hb_arena_dup(struct hb_arena *arena, struct hb_span s);
char *hb_arena_strdup(struct hb_arena *arena, const char *str);
struct hb_span hb_arena_printf(struct hb_arena *arena, const char *fmt, ...)
    HB_PRINTF(2, 3);

/* Runs fn(arg) when the arena is freed; last registered runs first. */
void hb_arena_on_free(struct hb_arena *arena, void (*fn)(void *), void *arg);
/* Bytes held; for tests. */
size_t hb_arena_size(const struct hb_arena *arena);

#endif
