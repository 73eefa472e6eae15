/* SPDX-License-Identifier: Apache-2.0 */
/* index.h - which routes are worth trying for an event */
#ifndef HB_ROUTE_INDEX_H
#define HB_ROUTE_INDEX_H

#include <stdint.h>

#include "hookbridge/cfg.h"
#include "hookbridge/event.h"

/* A set of routes: bit i % 64 of word i / 64 stands for route i. */
#define HB_ROUTES_PER_WORD 64

struct hb_route_index;
struct hb_route_index *hb_route_index_new(const struct hb_config *cfg);
void hb_route_index_free(struct hb_route_index *index);
/* The words of a set. */
size_t hb_route_index_words(const struct hb_route_index *index);
/* Fills a set with every route that can match, and few that do not. */
void hb_route_index_find(const struct hb_route_index *index,
    const struct hb_event *ev, uint64_t *set);

#endif
