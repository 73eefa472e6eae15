/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h - a YAML text as nodes that know where they stand
 *
 * The subset is what people write in a configuration: one document of maps,
 * lists and scalars. Scalars stay text; what they mean is decided by the key
 * that reads them. Nodes live in the arena they were read into. */
#ifndef HB_CFG_YAML_H
#define HB_CFG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "hookbridge/arena.h"
#include "hookbridge/span.h"

struct hb_faults;

enum hb_node_kind {
	HB_NODE_NULL, /* nothing, "~" or "null", without quotes */
	HB_NODE_SCALAR,
	HB_NODE_LIST,
	HB_NODE_MAP,
	HB_NODE_BROKEN /* already complained about: say no more */
};

struct hb_place {
	unsigned line, column; /* from 1; line 0: the file as a whole */
};

struct hb_node {
	enum hb_node_kind kind;
	struct hb_place place;      /* of the value */
	struct hb_place name_place; /* of the name before it; else as place */
	const char *name;           /* inside a map, else NULL */
	const char *text;           /* of a scalar, without NUL inside */
	bool quoted;
	bool flow; /* a list or map written with brackets */
	size_t index; /* among its siblings */
	size_t count; /* of children */
	struct hb_node *parent, *next, *first;
	struct hb_node **children; /* the same by place, once it is complete */
};

/* The document's top node; NULL when there is none or its structure is lost.
 * Faults go to report. */
const struct hb_node *hb_yaml_read(struct hb_arena *arena, struct hb_span text,
    struct hb_faults *report);

/* A map's member, or NULL; map may be NULL or no map. */
const struct hb_node *hb_node_get(const struct hb_node *map, const char *name);
/* A list's or map's child by its place, which must exist. */
const struct hb_node *hb_node_child(const struct hb_node *node, size_t index);
/* The same where a list may be written as its only item: what is no list
 * stands for a list of itself, a map too. */
const struct hb_node *hb_node_item(const struct hb_node *node, size_t index);
size_t hb_node_item_count(const struct hb_node *node);
/* "sinks.main.brokers[1]", cut at size. */
void hb_node_path(const struct hb_node *node, char *out, size_t size);
/* What the file has here: "\"k2\"", "a list", "nothing". */
void hb_node_show(const struct hb_node *node, char *out, size_t size);

#endif
