/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - libyaml's events put together to nodes
 *
 * The tree is built without recursion: `open` is the container being filled,
 * `name` the map member whose value comes next. What needs expansion or gives
 * types by itself (aliases, anchors, tags) is refused, so that a small file
 * stays small and every value is what it looks like.
 *
 * A structural fault ends the reading, because everything after it would be
 * guesswork. A fault of one value (an alias, a repeated name) leaves a broken
 * node in its place, and reading goes on. */
#include "yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "report.h"

#define MAX_DEPTH 16

struct reader {
	yaml_parser_t parser;
	struct hb_arena *arena;
	struct hb_faults *report;
	struct hb_span text;
	struct hb_node *root;
	struct hb_node *open; /* the innermost container not yet complete */
	struct hb_node **tail; /* where its next child is linked */
	const char *name;      /* read, its value not yet */
	struct hb_place name_place;
	unsigned depth;
	bool has_document;
};

static struct hb_place
place_of(yaml_mark_t mark)
{
	return (struct hb_place){ (unsigned)mark.line + 1,
		(unsigned)mark.column + 1 };
}

/* --- faults --------------------------------------------------------------- */

static struct hb_span
line_of(struct hb_span text, size_t line)
{
	const char *end;

	while (line-- > 0) {
		end = memchr(text.ptr, '\n', text.len);
		if (end == NULL)
			return HB_SPAN("");
		text = hb_span_skip(text, (size_t)(end - text.ptr) + 1);
	}
	end = memchr(text.ptr, '\n', text.len);
	if (end != NULL)
		text.len = (size_t)(end - text.ptr);
	return text;
}

static bool
is_indented_by_tab(struct hb_span line)
{
	while (line.len > 0 && *line.ptr == ' ')
		line = hb_span_skip(line, 1);
	return line.len > 0 && *line.ptr == '\t';
}

/* The reader of libyaml knows only a byte's offset. */
static struct hb_place
place_of_offset(struct hb_span text, size_t offset)
{
	struct hb_place place = { 1, 1 };

	for (size_t i = 0; i < text.len && i < offset; i++) {
		if (text.ptr[i] == '\n')
			place = (struct hb_place){ place.line + 1, 1 };
		else
			place.column++;
	}
	return place;
}

static bool
fail_syntax(struct reader *rd)
{
	const yaml_parser_t *parser = &rd->parser;
	struct hb_span line = line_of(rd->text, parser->problem_mark.line);

	if (parser->error == YAML_MEMORY_ERROR)
		hb_bug("libyaml has no memory");
	if (parser->error == YAML_READER_ERROR)
		hb_report_error_at(rd->report,
		    place_of_offset(rd->text, parser->problem_offset),
		    "not valid YAML: %s", parser->problem);
	else if (parser->context != NULL)
		hb_report_error_at(rd->report, place_of(parser->problem_mark),
		    "not valid YAML: %s (%s from line %zu)", parser->problem,
		    parser->context, parser->context_mark.line + 1);
	else
		hb_report_error_at(rd->report, place_of(parser->problem_mark),
		    "not valid YAML: %s", parser->problem);
	if (parser->error == YAML_SCANNER_ERROR && is_indented_by_tab(line))
		hb_report_remedy(rd->report,
		    "YAML is indented with spaces, not tabs");
	return false;
}

static bool
fail_at(struct reader *rd, yaml_mark_t mark, const char *what)
{
	hb_report_error_at(rd->report, place_of(mark), "%s", what);
	return false;
}

/* --- building ------------------------------------------------------------- */

static struct hb_node *
add_node(struct reader *rd, enum hb_node_kind kind, yaml_mark_t mark)
{
	struct hb_node *node = hb_arena_calloc(rd->arena, 1, sizeof(*node));

	node->kind = kind;
	node->place = node->name_place = place_of(mark);
	node->parent = rd->open;
	if (rd->name != NULL) {
		node->name = rd->name;
		node->name_place = rd->name_place;
		rd->name = NULL;
	}
	if (rd->open == NULL) {
		rd->root = node;
		return node;
	}
	node->index = rd->open->count++;
	*rd->tail = node;
	rd->tail = &node->next;
	return node;
}

static bool
expects_name(const struct reader *rd)
{
	return rd->open != NULL && rd->open->kind == HB_NODE_MAP &&
	    rd->name == NULL;
}

/* Anchors are harmless until they are used, and useless unless they are. */
static void
refuse_decoration(struct reader *rd, yaml_mark_t mark, const char *anchor,
    const char *tag)
{
	if (anchor != NULL)
		fail_at(rd, mark, "anchors (&name) are not supported");
	if (tag != NULL)
		fail_at(rd, mark, "tags (!name) are not supported");
}

static bool
is_null(const yaml_event_t *event)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < HB_COUNT(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool
on_scalar(struct reader *rd, const yaml_event_t *event)
{
	struct hb_span text = { (const char *)event->data.scalar.value,
		event->data.scalar.length };
	struct hb_node *node;

	if (memchr(text.ptr, '\0', text.len) != NULL)
		return fail_at(rd, event->start_mark,
		    "a text may not hold the character NUL");
	refuse_decoration(rd, event->start_mark,
	    (const char *)event->data.scalar.anchor,
	    (const char *)event->data.scalar.tag);
	text = hb_arena_dup(rd->arena, text);
	if (expects_name(rd)) {
		rd->name = text.ptr;
		rd->name_place = place_of(event->start_mark);
		return true;
	}
	node = add_node(rd, is_null(event) ? HB_NODE_NULL : HB_NODE_SCALAR,
	    event->start_mark);
	node->text = text.ptr;
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return true;
}

static bool
on_alias(struct reader *rd, const yaml_event_t *event)
{
	fail_at(rd, event->start_mark, "aliases (*name) are not supported");
	hb_report_remedy(rd->report, "write the value out");
	if (expects_name(rd))
		return false;
	add_node(rd, HB_NODE_BROKEN, event->start_mark);
	return true;
}

static bool
on_start(struct reader *rd, enum hb_node_kind kind, const yaml_event_t *event,
    bool flow)
{
	if (expects_name(rd)) {
		fail_at(rd, event->start_mark,
		    "expected a name, got a list or a map");
		hb_report_remedy(rd->report,
		    "a text that begins with { or [ needs quotes");
		return false;
	}
	if (++rd->depth > MAX_DEPTH)
		return fail_at(rd, event->start_mark,
		    "nested more than 16 levels deep");
	rd->open = add_node(rd, kind, event->start_mark);
	rd->open->flow = flow;
	rd->tail = &rd->open->first;
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	const struct hb_node *x = *(struct hb_node *const *)a;
	const struct hb_node *y = *(struct hb_node *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->index > y->index) -
		(x->index < y->index);
}

/* The first of equal names stays, the others become broken. */
static void
refuse_repeated_names(struct reader *rd, const struct hb_node *map)
{
	struct hb_node **sorted;
	size_t first = 0;

	sorted =
	    hb_arena_calloc(rd->arena, map->count, sizeof(struct hb_node *));
	for (size_t i = 0; i < map->count; i++)
		sorted[i] = map->children[i];
	qsort(sorted, map->count, sizeof(struct hb_node *), compare_names);
	for (size_t i = 1; i < map->count; i++) {
		if (strcmp(sorted[i]->name, sorted[first]->name) != 0) {
			first = i;
			continue;
		}
		hb_report_name_error(rd->report, sorted[i],
		    "expected each name once, got it again (first in line %u)",
		    sorted[first]->name_place.line);
		sorted[i]->kind = HB_NODE_BROKEN;
	}
}

static void
set_children(struct reader *rd, struct hb_node *node)
{
	node->children =
	    hb_arena_calloc(rd->arena, node->count, sizeof(struct hb_node *));
	for (struct hb_node *child = node->first; child != NULL;
	     child = child->next)
		node->children[child->index] = child;
}

static void
on_end(struct reader *rd)
{
	struct hb_node *node = rd->open;

	set_children(rd, node);
	if (node->kind == HB_NODE_MAP)
		refuse_repeated_names(rd, node);
	rd->depth--;
	rd->open = node->parent;
	rd->tail = &node->next;
}

static bool
on_document(struct reader *rd, const yaml_event_t *event)
{
	if (rd->has_document)
		return fail_at(rd, event->start_mark,
		    "expected one document, got a second one");
	rd->has_document = true;
	return true;
}

static bool
on_event(struct reader *rd, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(rd, event);
	case YAML_SCALAR_EVENT:
		return on_scalar(rd, event);
	case YAML_ALIAS_EVENT:
		return on_alias(rd, event);
	case YAML_SEQUENCE_START_EVENT:
		refuse_decoration(rd, event->start_mark,
		    (const char *)event->data.sequence_start.anchor,
		    (const char *)event->data.sequence_start.tag);
		return on_start(rd, HB_NODE_LIST, event,
		    event->data.sequence_start.style ==
			YAML_FLOW_SEQUENCE_STYLE);
	case YAML_MAPPING_START_EVENT:
		refuse_decoration(rd, event->start_mark,
		    (const char *)event->data.mapping_start.anchor,
		    (const char *)event->data.mapping_start.tag);
		return on_start(rd, HB_NODE_MAP, event,
		    event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_end(rd);
		return true;
	default: /* begin and end of the stream and of the document */
		return true;
	}
}

static bool
read_all(struct reader *rd)
{
	yaml_event_t event;
	bool more;

	do {
		if (!yaml_parser_parse(&rd->parser, &event))
			return fail_syntax(rd);
		more = event.type != YAML_STREAM_END_EVENT;
		if (!on_event(rd, &event)) {
			yaml_event_delete(&event);
			return false;
		}
		yaml_event_delete(&event);
	} while (more);
	return true;
}

const struct hb_node *
hb_yaml_read(struct hb_arena *arena, struct hb_span text,
    struct hb_faults *report)
{
	struct reader rd = { .arena = arena, .report = report, .text = text };
	bool complete;

	if (!yaml_parser_initialize(&rd.parser))
		hb_bug("libyaml gives no parser");
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&rd.parser, (const yaml_char_t *)text.ptr,
	    text.len);
	complete = read_all(&rd);
	yaml_parser_delete(&rd.parser);
	if (complete && rd.root == NULL)
		hb_report_error_at(report, (struct hb_place){ 1, 1 },
		    "expected a configuration, got an empty file");
	return complete ? rd.root : NULL;
}

/* --- looking at nodes ----------------------------------------------------- */

const struct hb_node *
hb_node_get(const struct hb_node *map, const char *name)
{
	if (map == NULL || map->kind != HB_NODE_MAP)
		return NULL;
	for (const struct hb_node *child = map->first; child != NULL;
	     child = child->next)
		if (strcmp(child->name, name) == 0)
			return child;
	return NULL;
}

const struct hb_node *
hb_node_child(const struct hb_node *node, size_t index)
{
	return node->children[index];
}

const struct hb_node *
hb_node_item(const struct hb_node *node, size_t index)
{
	return node->kind == HB_NODE_LIST ? hb_node_child(node, index) : node;
}

size_t
hb_node_item_count(const struct hb_node *node)
{
	return node->kind == HB_NODE_LIST ? node->count : 1;
}

void
hb_node_path(const struct hb_node *node, char *out, size_t size)
{
	char name[128];
	size_t len;

	out[0] = '\0';
	if (node == NULL || node->parent == NULL)
		return;
	hb_node_path(node->parent, out, size);
	len = strlen(out);
	if (node->name == NULL) {
		snprintf(out + len, size - len, "[%zu]", node->index);
		return;
	}
	hb_log_escape(hb_span_of(node->name), name, sizeof(name));
	snprintf(out + len, size - len, "%s%s", len > 0 ? "." : "", name);
}

void
hb_node_show(const struct hb_node *node, char *out, size_t size)
{
	char text[96];

	switch (node->kind) {
	case HB_NODE_SCALAR:
		hb_log_escape(hb_span_of(node->text), text, sizeof(text));
		snprintf(out, size, "\"%s\"", text);
		break;
	case HB_NODE_LIST:
		snprintf(out, size, "%s",
		    node->count > 0 ? "a list" : "an empty list");
		break;
	case HB_NODE_MAP:
		snprintf(out, size, "a map");
		break;
	case HB_NODE_NULL:
	case HB_NODE_BROKEN:
		snprintf(out, size, "nothing");
		break;
	}
}
