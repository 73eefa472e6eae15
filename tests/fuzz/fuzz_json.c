/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_json.c - JSON texts: three readers, one opinion
 *
 * The input is the text. Ours must agree on validity with a second reader
 * (json_reader.c), but for what is nested too deep, and with jansson, but for
 * what jansson is known to see otherwise:
 *
 *   it refuses numbers beyond its range, lone surrogates, and NUL in a name;
 *   it passes over a NUL byte right behind a number or a word.
 *
 * Where a text is valid, scan, iterator and paths must find the second reader's
 * members at their places, decoding and quoting must take each other back, and
 * jansson's values must be the ones that the spans hold. */
#include <ctype.h>
#include <jansson.h>

#include "fuzz.h"
#include "json_reader.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

static struct hb_json_paths *paths;
/* Each with the names it is made of. */
static const struct {
	const char *text, *names[5];
} wanted[] = {
    {"a", {"a"}},
    {"a.b", {"a", "b"}},
    {"a.b.c", {"a", "b", "c"}},
    {"b", {"b"}},
    {"a.a", {"a", "a"}},
    {"metadata.kind", {"metadata", "kind"}},
    {"metadata.a\\.b", {"metadata", "a.b"}},
    {"\\\\", {"\\"}},
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_object_seed(1);
	paths = hb_json_paths_new();
	for (size_t i = 0; i < HB_COUNT(wanted); i++)
		fuzz_require(hb_json_paths_add(paths,
				 hb_span_of(wanted[i].text), NULL) == (int)i);
	return 0;
}

/* --- strings -------------------------------------------------------------- */

/* Decoded as the second reader does; quoted, and decoded again. */
static void
require_string(struct hb_arena *arena, struct hb_span string)
{
	struct hb_span inside = hb_span_make(string.ptr + 1, string.len - 2);
	char *want = hb_arena_alloc(arena, inside.len + 1);
	long len = json_reader_decode(inside, want);
	struct hb_span got = hb_json_decode(string, arena), again;
	char *quoted;

	fuzz_require(hb_span_is_set(got) == (len >= 0));
	if (len < 0)
		return;
	fuzz_require(hb_span_eq(got, hb_span_make(want, (size_t)len)));
	quoted = hb_arena_alloc(arena, 6 * got.len + 2);
	again = hb_json_decode(
	    hb_span_make(quoted, hb_json_quote(got, quoted)), arena);
	fuzz_require(hb_span_eq(again, got));
}

/* Whether the member is called so, by the second reader's decoding. */
static bool
is_called(struct hb_arena *arena, struct hb_span inside, struct hb_span name)
{
	char *text = hb_arena_alloc(arena, inside.len + 1);
	long len = json_reader_decode(inside, text);

	return len >= 0 && hb_span_eq(hb_span_make(text, (size_t)len), name);
}

/* --- members -------------------------------------------------------------- */

static void
require_same_text(struct hb_span a, struct hb_span b)
{
	fuzz_require(a.ptr == b.ptr && a.len == b.len);
}

static void
require_member(struct hb_arena *arena, const struct hb_json_member *member,
    const struct json_node *node)
{
	require_same_text(member->name, node->name);
	fuzz_require(member->escaped ==
		     (memchr(node->name.ptr, '\\', node->name.len) != NULL));
	fuzz_require(member->value.kind == node->kind);
	require_same_text(member->value.text, node->text);
	fuzz_require(member->whole.ptr == node->name.ptr - 1);
	fuzz_require(member->whole.ptr + member->whole.len ==
		     node->text.ptr + node->text.len);
	for (size_t i = 0; i < HB_COUNT(wanted); i++) {
		struct hb_span name = hb_span_of(wanted[i].names[0]);

		fuzz_require(hb_json_name_is(member, name) ==
			     is_called(arena, node->name, name));
	}
}

/* The members of an object, by the iterator. */
static void
require_members(
    struct hb_arena *arena, const struct json_reader *r, size_t object)
{
	struct hb_json_member member;
	struct hb_json_iter it;
	size_t n = object + 1;

	hb_json_iter_init(&it, r->nodes[object].text);
	for (; hb_json_iter_next(&it, &member); n = r->nodes[n].next) {
		fuzz_require(n < r->nodes[object].next);
		require_member(arena, &member, &r->nodes[n]);
	}
	fuzz_require(n == r->nodes[object].next);
	fuzz_require(
	    it.pos == r->nodes[object].text.ptr + r->nodes[object].text.len);
}

struct visits {
	struct hb_arena *arena;
	const struct json_reader *r;
	size_t next;
};

static bool
on_member(void *arg, const struct hb_json_member *member, struct hb_error *err)
{
	struct visits *visits = arg;

	(void)err;
	fuzz_require(visits->next < visits->r->count);
	require_member(visits->arena, member, &visits->r->nodes[visits->next]);
	visits->next = visits->r->nodes[visits->next].next;
	return true;
}

static void
require_scan(struct hb_arena *arena, const struct json_reader *r)
{
	bool is_object = r->nodes[0].kind == HB_JSON_OBJECT;
	struct visits visits = {arena, r, 1};
	struct hb_json_value value;

	fuzz_require(hb_json_scan(r->text, on_member, &visits, &value, NULL));
	fuzz_require(visits.next == (is_object ? r->count : 1));
}

/* --- paths ---------------------------------------------------------------- */

/* The first member of that name, or 0; *count is how many there are. */
static size_t
find_member(struct hb_arena *arena, const struct json_reader *r, size_t object,
    const char *name, size_t *count)
{
	size_t first = 0;

	*count = 0;
	if (r->nodes[object].kind != HB_JSON_OBJECT)
		return 0;
	for (size_t n = object + 1; n < r->nodes[object].next;
	     n = r->nodes[n].next)
		if (is_called(arena, r->nodes[n].name, hb_span_of(name)) &&
		    (*count)++ == 0)
			first = n;
	return first;
}

/* Walked down from the top, always by the first of its name. */
static void
require_path(struct hb_arena *arena, const struct json_reader *r,
    const char *const names[], const struct hb_json_found *found)
{
	bool repeated = false;
	size_t node = 0, count = 1;

	for (; *names != NULL && count > 0; names++) {
		node = find_member(arena, r, node, *names, &count);
		repeated |= count > 1;
	}
	fuzz_require(found->repeated == repeated);
	if (count == 0) {
		fuzz_require(found->value.kind == HB_JSON_NONE);
		return;
	}
	fuzz_require(found->value.kind == r->nodes[node].kind);
	require_same_text(found->value.text, r->nodes[node].text);
	fuzz_require(found->whole.ptr == r->nodes[node].name.ptr - 1);
}

static void
require_paths(struct hb_arena *arena, const struct json_reader *r)
{
	struct hb_json_found found[HB_COUNT(wanted)];

	hb_json_paths_find(paths, r->nodes[0].text, found);
	for (size_t i = 0; i < HB_COUNT(wanted); i++)
		require_path(arena, r, wanted[i].names, &found[i]);
}

/* --- jansson -------------------------------------------------------------- */

/* Whether we object to a NUL that jansson does not see. */
static bool
is_lost_nul(struct hb_span text, const struct hb_error *err)
{
	size_t at;

	return sscanf(err->text, "byte %zu: expected ", &at) == 1 && at > 0 &&
	       at < text.len && text.ptr[at] == '\0' &&
	       isalnum((unsigned char)text.ptr[at - 1]);
}

/* The outermost object as its members' texts say, the last of equal names
 * standing. */
static json_t *
object_of(const struct json_reader *r)
{
	char *name = hb_xmalloc(r->text.len);
	json_t *object = json_object();

	for (size_t n = 1; n < r->count; n = r->nodes[n].next) {
		const struct json_node *node = &r->nodes[n];
		long len = json_reader_decode(node->name, name);
		json_t *value =
		    json_loadb(node->text.ptr, node->text.len, FLAGS, NULL);

		fuzz_require(len >= 0 && value != NULL);
		json_object_setn_new(object, name, (size_t)len, value);
	}
	free(name);
	return object;
}

static void
require_jansson(
    const struct json_reader *r, bool valid, const struct hb_error *err)
{
	json_error_t error;
	json_t *tree = json_loadb(r->text.ptr, r->text.len, FLAGS, &error);

	if (valid && tree == NULL)
		fuzz_require(
		    r->has_big_number || r->has_surrogate || r->has_nul_name);
	if (!valid && tree != NULL)
		fuzz_require(r->deepest > HB_JSON_MAX_DEPTH ||
			     is_lost_nul(r->text, err));
	if (valid && json_is_object(tree)) {
		json_t *same = object_of(r);

		fuzz_require(json_equal(same, tree));
		json_decref(same);
	}
	json_decref(tree);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_span text = fuzz_input(data, size);
	struct hb_error err = {.code = HB_OK};
	struct hb_json_value value;
	struct json_reader r;
	bool valid = hb_json_validate(text, &value, &err);
	bool readable = json_reader_read(&r, text);

	fuzz_require(valid == (readable && r.deepest <= HB_JSON_MAX_DEPTH));
	if (!valid)
		fuzz_require(err.code == HB_E_REJECT && err.text[0] != '\0');
	require_jansson(&r, valid, &err);
	if (valid) {
		struct hb_arena *arena = hb_arena_new(4096);

		fuzz_require(value.kind == r.nodes[0].kind);
		require_same_text(value.text, r.nodes[0].text);
		require_scan(arena, &r);
		for (size_t n = 0; n < r.count; n++) {
			if (r.nodes[n].kind == HB_JSON_OBJECT)
				require_members(arena, &r, n);
			if (r.nodes[n].kind == HB_JSON_STRING)
				require_string(arena, r.nodes[n].text);
		}
		require_paths(arena, &r);
		hb_arena_free(arena);
	}
	free(r.nodes);
	return 0;
}
