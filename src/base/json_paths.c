/* SPDX-License-Identifier: Apache-2.0 */
/* json_paths.c - a set of member paths, all found in one pass
 *
 * The paths are a trie of names. Its edges stand in one hash table, keyed by
 * (parent node, name), open addressing, at most half full. Only configured
 * names are in the table: a hostile text can ask it often, not make it slow.
 *
 * The search walks the object once and goes down only where the trie does: a
 * stack frame is an object that is also an inner node. A node is entered at
 * its first occurrence; a second one only marks it, and in the end a mark
 * spreads to everything below, for which parents stand before their children
 * in the array. So the cost is the walk, one look-up for each member met and
 * the size of the trie. */
#include "json_lex.h"

#include <stdint.h>
#include <stdlib.h>

#include "hookbridge/mem.h"

#define NAME_SIZE_MAX 256
#define DEPTH_MAX 32
#define NODES_MAX 4096 /* the search keeps a byte for each on its stack */
#define SHOWN_MAX 100  /* of a path in a sentence: the reason needs room, too */

struct node {
	struct hb_span name;
	uint32_t hash;
	unsigned parent;
	int path;   /* the path that ends here, or -1 */
	bool inner; /* paths go on below */
};

struct hb_json_paths {
	struct node *nodes; /* 0 is the root, not a member */
	unsigned node_count, node_size;
	unsigned *slots;       /* 2 * node_size node numbers; 0: free */
	struct hb_span *texts; /* of each path, as first written */
	size_t count;
	struct hb_arena *arena; /* names and texts */
};

/* --- the trie ------------------------------------------------------------- */

/* FNV-1a over the name, starting from the parent. */
static uint32_t
hash_edge(unsigned parent, struct hb_span name)
{
	uint32_t hash = 2166136261u ^ (parent * 2654435761u);

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ (unsigned char)name.ptr[i]) * 16777619u;
	return hash;
}

/* The slot that holds the edge, or the free one where it would go. */
static unsigned *
find_slot(const struct hb_json_paths *paths, uint32_t hash, unsigned parent,
    struct hb_span name)
{
	unsigned mask = paths->node_size * 2 - 1;

	for (unsigned i = hash & mask;; i = (i + 1) & mask) {
		unsigned *slot = &paths->slots[i];
		const struct node *node = &paths->nodes[*slot];

		if (*slot == 0 ||
		    (node->hash == hash && node->parent == parent &&
			hb_span_eq(node->name, name)))
			return slot;
	}
}

static void
grow(struct hb_json_paths *paths)
{
	paths->node_size *= 2;
	paths->nodes = hb_xreallocarray(
	    paths->nodes, paths->node_size, sizeof(*paths->nodes));
	free(paths->slots);
	paths->slots =
	    hb_xcalloc(paths->node_size * (size_t)2, sizeof(*paths->slots));
	for (unsigned i = 1; i < paths->node_count; i++) {
		const struct node *node = &paths->nodes[i];

		*find_slot(paths, node->hash, node->parent, node->name) = i;
	}
}

/* The child of that name, made when there is none; 0 when the set is full. */
static unsigned
child_of(struct hb_json_paths *paths, unsigned parent, struct hb_span name)
{
	uint32_t hash = hash_edge(parent, name);
	unsigned *slot = find_slot(paths, hash, parent, name);

	if (*slot != 0)
		return *slot;
	if (paths->node_count == NODES_MAX)
		return 0;
	if (paths->node_count == paths->node_size) {
		grow(paths);
		slot = find_slot(paths, hash, parent, name);
	}
	*slot = paths->node_count;
	paths->nodes[*slot] = (struct node){
	    .name = hb_arena_dup(paths->arena, name),
	    .hash = hash,
	    .parent = parent,
	    .path = -1,
	};
	paths->nodes[parent].inner = true;
	return paths->node_count++;
}

/* The empty set. */
struct hb_json_paths *
hb_json_paths_new(void)
{
	struct hb_json_paths *paths = hb_xcalloc(1, sizeof(*paths));

	paths->arena = hb_arena_new(0);
	paths->node_size = 4;
	grow(paths);
	paths->nodes[0] = (struct node){.path = -1};
	paths->node_count = 1;
	return paths;
}

void
hb_json_paths_free(struct hb_json_paths *paths)
{
	if (paths == NULL)
		return;
	hb_arena_free(paths->arena);
	free(paths->texts);
	free(paths->nodes);
	free(paths->slots);
	free(paths);
}

size_t
hb_json_paths_count(const struct hb_json_paths *paths)
{
	return paths != NULL ? paths->count : 0;
}

struct hb_span
hb_json_paths_text(const struct hb_json_paths *paths, size_t index)
{
	return paths->texts[index];
}

/* --- spelling ------------------------------------------------------------- */

static long
wrong(const char **why, const char *sentence)
{
	*why = sentence;
	return -1;
}

/* Reads the name at the front of *rest into out, without its escapes, and
 * steps to its end. Returns its length, or -1 with *why. */
static long
read_name(struct hb_span *rest, char out[NAME_SIZE_MAX], const char **why)
{
	const char *p = rest->ptr, *end = p + rest->len;
	size_t len = 0;

	for (; p < end && *p != '.'; p++) {
		if (*p == '\\' && (++p == end || (*p != '.' && *p != '\\')))
			return wrong(why,
			    "a backslash must stand before a dot or a "
			    "backslash");
		if (len == NAME_SIZE_MAX)
			return wrong(why, "a name is longer than 256 bytes");
		out[len++] = *p;
	}
	if (len == 0)
		return wrong(why, "a name is empty");
	*rest = hb_span_make(p, (size_t)(end - p));
	return (long)len;
}

/* The node of a path, or -1 with *why. */
static long
add_names(struct hb_json_paths *paths, struct hb_span rest, const char **why)
{
	unsigned node = 0;

	for (int depth = 1; depth <= DEPTH_MAX; depth++) {
		char name[NAME_SIZE_MAX];
		long len = read_name(&rest, name, why);

		if (len < 0)
			return -1;
		node = child_of(paths, node, hb_span_make(name, (size_t)len));
		if (node == 0)
			return wrong(why, "there are too many paths");
		if (rest.len == 0)
			return node;
		rest = hb_span_skip(rest, 1); /* the dot: a name follows */
	}
	return wrong(why, "it has more than 32 names");
}

/* A path that is there already keeps its index, however it is spelled. */
int
hb_json_paths_add(
    struct hb_json_paths *paths, struct hb_span path, struct hb_error *err)
{
	const char *why = NULL;
	long node = add_names(paths, path, &why);

	if (node < 0) {
		bool is_long = path.len > SHOWN_MAX;

		hb_fail(err, HB_E_CONFIG, "path \"%.*s%s\": %s",
		    is_long ? SHOWN_MAX : (int)path.len, path.ptr,
		    is_long ? "..." : "", why);
		return -1;
	}
	if (paths->nodes[node].path < 0) {
		paths->texts = hb_xreallocarray(
		    paths->texts, paths->count + 1, sizeof(*paths->texts));
		paths->texts[paths->count] = hb_arena_dup(paths->arena, path);
		paths->nodes[node].path = (int)paths->count++;
	}
	return paths->nodes[node].path;
}

/* --- the search ----------------------------------------------------------- */

enum { UNSEEN, SEEN, SEEN_TWICE };

/* An object on the way down, and the node it is. */
struct frame {
	struct hb_json_member member;
	unsigned node;
};

/* The node of a member below a node, or 0. */
static unsigned
look_up(const struct hb_json_paths *paths, unsigned parent,
    const struct hb_json_member *member)
{
	struct hb_span name = member->name;
	char decoded[NAME_SIZE_MAX];

	if (member->escaped) {
		long len = hb_json_unescape(name, decoded, sizeof(decoded));

		if (len < 0)
			return 0;
		name = hb_span_make(decoded, (size_t)len);
	}
	if (name.len > NAME_SIZE_MAX)
		return 0;
	return *find_slot(paths, hash_edge(parent, name), parent, name);
}

static void
record(const struct node *node, const struct hb_json_member *member,
    struct hb_json_found *found)
{
	if (node->path < 0)
		return;
	found[node->path].value = member->value;
	found[node->path].whole = member->whole;
}

/* The frame's object has ended at end. */
static void
leave(const struct hb_json_paths *paths, struct frame *frame, const char *end,
    struct hb_json_found *found)
{
	struct hb_json_member *member = &frame->member;

	member->value.text.len = (size_t)(end - member->value.text.ptr);
	member->whole.len = (size_t)(end - member->whole.ptr);
	record(&paths->nodes[frame->node], member, found);
}

static void
walk(const struct hb_json_paths *paths, struct hb_json_iter *it,
    unsigned char *seen, struct hb_json_found *found)
{
	struct frame stack[DEPTH_MAX], *top = stack;
	struct hb_json_member member;

	top->node = 0;
	for (;;) {
		const struct node *node;
		unsigned n;

		if (!hb_json_iter_name(it, &member)) {
			if (top == stack)
				return;
			leave(paths, top--, it->pos, found);
			continue;
		}
		n = look_up(paths, top->node, &member);
		node = &paths->nodes[n];
		if (n != 0 && seen[n] == UNSEEN && node->inner &&
		    member.value.kind == HB_JSON_OBJECT) {
			seen[n] = SEEN;
			*++top = (struct frame){member, n};
			it->pos++; /* behind the brace */
			continue;
		}
		hb_json_iter_value(it, &member);
		if (n == 0)
			continue;
		if (seen[n] == UNSEEN)
			record(node, &member, found);
		seen[n] = seen[n] == UNSEEN ? SEEN : SEEN_TWICE;
	}
}

/* Finds all paths; what is no object has none of them. */
void
hb_json_paths_find(const struct hb_json_paths *paths, struct hb_span object,
    struct hb_json_found *found)
{
	unsigned char seen[NODES_MAX];
	struct hb_json_iter it;

	if (paths->count == 0)
		return;
	memset(found, 0, paths->count * sizeof(*found));
	memset(seen, UNSEEN, paths->node_count);
	hb_json_iter_init(&it, object);
	walk(paths, &it, seen, found);
	for (unsigned i = 1; i < paths->node_count; i++) {
		const struct node *node = &paths->nodes[i];

		if (seen[node->parent] == SEEN_TWICE)
			seen[i] = SEEN_TWICE;
		if (node->path >= 0)
			found[node->path].repeated = seen[i] == SEEN_TWICE;
	}
}
