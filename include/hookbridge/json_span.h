/* SPDX-License-Identifier: Apache-2.0 */
/* json_span.h - strict JSON, read as spans, changing no byte
 *
 * A tree would re-print 1.50 as 1.5 and refuse 20-digit integers, 1E400 and
 * \u0000, all valid in a job's data. Here a text is validated once (RFC 8259,
 * UTF-8 per RFC 3629, no depth recursion) and its members are found as
 * spans of the original bytes.
 * Thread: any, pure. Allocates only where an arena is passed.
 * Fails: HB_E_REJECT with byte offset and what was expected. */
#ifndef HOOKBRIDGE_JSON_SPAN_H
#define HOOKBRIDGE_JSON_SPAN_H

#include "hookbridge/arena.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

/* Containers inside containers, the outermost counts 1. */
#define HB_JSON_MAX_DEPTH 512

enum hb_json_kind {
	HB_JSON_NONE, /* absent */
	HB_JSON_NULL,
	HB_JSON_BOOL,
	HB_JSON_NUMBER,
	HB_JSON_STRING,
	HB_JSON_ARRAY,
	HB_JSON_OBJECT
};

struct hb_json_value {
	enum hb_json_kind kind;
	struct hb_span text; /* verbatim; strings with their quotes */
};

struct hb_json_member {
	struct hb_span name;    /* between the quotes, escapes as written */
	bool escaped;           /* name holds a backslash */
	struct hb_json_value value;
	struct hb_span whole;   /* from the name's quote to the value's end */
};

/* Validates all of text and tells its kind; around the value only white
 * space. */
bool hb_json_validate(struct hb_span text, struct hb_json_value *value,
    struct hb_error *err) HB_MUST_CHECK;

/* The same, and calls visit for each member of a top-level object, in order,
 * as it is met (later members may still turn out invalid). visit returns
 * false to stop: the scan then fails with what visit put into err. */
typedef bool hb_json_visit_fn(void *arg, const struct hb_json_member *member,
    struct hb_error *err);
bool hb_json_scan(struct hb_span text, hb_json_visit_fn *visit, void *arg,
    struct hb_json_value *value, struct hb_error *err) HB_MUST_CHECK;

/* Walks an object that is known to be valid (a value that a scan returned);
 * anything else, the absent span too, has no members. */
struct hb_json_iter {
	const char *pos, *end;
};
void hb_json_iter_init(struct hb_json_iter *it, struct hb_span object);
bool hb_json_iter_next(struct hb_json_iter *it, struct hb_json_member *member);
/* The same in two steps, for those who need not pass over every value: the
 * next member's name and its value's kind, then the value. In between, it->pos
 * stands at the value, so that an object can be entered behind its brace; at
 * the end of an object it->pos stands behind its closing brace. */
bool hb_json_iter_name(struct hb_json_iter *it, struct hb_json_member *member);
void hb_json_iter_value(struct hb_json_iter *it, struct hb_json_member *member);

/* Compares a member's name, decoding its escapes, with a UTF-8 name. */
bool hb_json_name_is(const struct hb_json_member *member, struct hb_span name);
/* A string value (quotes included) decoded to UTF-8; a text without escapes
 * comes back as a span of the input, otherwise it is made in the arena. Lone
 * surrogates and \u0000 cannot be UTF-8 text: returns the absent span. */
struct hb_span hb_json_decode(struct hb_span string, struct hb_arena *arena);
/* Appends s as a JSON string with quotes; returns the bytes written. out must
 * take 6 * s.len + 2. Invalid UTF-8 becomes U+FFFD. */
size_t hb_json_quote(struct hb_span s, char *out);

/* A set of dotted member paths, compiled to a trie, all found in one pass.
 * "a.b" is member b of member a; "\." is a dot inside a name, "\\" a
 * backslash. Built by one thread, then only read. */
struct hb_json_paths;
struct hb_json_paths *hb_json_paths_new(void);
void hb_json_paths_free(struct hb_json_paths *paths);
/* The path's index, from 0 in order of first addition; -1 and err
 * (HB_E_CONFIG) when its spelling is wrong. */
int hb_json_paths_add(struct hb_json_paths *paths, struct hb_span path,
    struct hb_error *err);
/* NULL is the empty set. */
size_t hb_json_paths_count(const struct hb_json_paths *paths);
/* A path as it was first written. */
struct hb_span hb_json_paths_text(const struct hb_json_paths *paths,
    size_t index);

struct hb_json_found {
	struct hb_json_value value; /* of the first occurrence */
	/* where the member stands, for cutting it out; first occurrence */
	struct hb_span whole;
	/* the decoded name occurred twice, here or on the way here */
	bool repeated;
};
/* Fills found[0 .. count-1]; absent paths have kind HB_JSON_NONE. object is
 * known to be valid. Linear in the object's length. */
void hb_json_paths_find(const struct hb_json_paths *paths,
    struct hb_span object, struct hb_json_found *found);

#endif
