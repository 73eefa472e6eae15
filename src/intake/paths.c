/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - paths are compared byte for byte, as received
 *
 * Plain paths are sorted and searched by halves. The few with a "{token}"
 * segment are tried in turn: what stands before and after it must match, the
 * segment itself is not empty and holds no slash. Disabled endpoints are not
 * here at all, so that they cannot be told from paths that do not exist. */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define TOKEN_SEGMENT "{token}"

struct plain {
	struct hb_span path;
	const struct hb_endpoint_conf *endpoint;
};

struct pattern {
	struct hb_span before, after;
	const struct hb_endpoint_conf *endpoint;
};

struct hb_paths {
	struct plain *plains;
	struct pattern *patterns;
	size_t plain_count, pattern_count;
};

static int
compare(struct hb_span a, struct hb_span b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int
compare_plain(const void *a, const void *b)
{
	return compare(((const struct plain *)a)->path,
	    ((const struct plain *)b)->path);
}

static void
add(struct hb_paths *paths, const struct hb_endpoint_conf *endpoint)
{
	const char *segment = endpoint->token.in == HB_TOKEN_PATH
	    ? strstr(endpoint->path, TOKEN_SEGMENT) : NULL;
	struct hb_span before, after;

	if (segment == NULL) {
		paths->plains[paths->plain_count++] = (struct plain){
			hb_span_of(endpoint->path), endpoint };
		return;
	}
	before = hb_span_make(
	    endpoint->path, (size_t)(segment - endpoint->path));
	after = hb_span_of(segment + strlen(TOKEN_SEGMENT));
	paths->patterns[paths->pattern_count++] =
	    (struct pattern){ before, after, endpoint };
}

struct hb_paths *
hb_paths_new(const struct hb_config *cfg)
{
	struct hb_paths *paths = hb_xcalloc(1, sizeof(*paths));

	paths->plains = hb_xcalloc(cfg->endpoint_count, sizeof(struct plain));
	paths->patterns =
	    hb_xcalloc(cfg->endpoint_count, sizeof(struct pattern));
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode != HB_MODE_DISABLED)
			add(paths, &cfg->endpoints[i]);
	qsort(paths->plains, paths->plain_count, sizeof(struct plain),
	    compare_plain);
	return paths;
}

void
hb_paths_free(struct hb_paths *paths)
{
	if (paths == NULL)
		return;
	free(paths->plains);
	free(paths->patterns);
	free(paths);
}

/* The segment between before and after, absent when the path has another
 * shape. */
static struct hb_span
match(const struct pattern *pattern, struct hb_span path)
{
	size_t around = pattern->before.len + pattern->after.len;
	struct hb_span token;

	if (path.len <= around || !hb_span_starts(path, pattern->before))
		return HB_SPAN_NONE;
	token = hb_span_make(path.ptr + pattern->before.len, path.len - around);
	if (!hb_span_eq(hb_span_skip(path, path.len - pattern->after.len),
		pattern->after) || memchr(token.ptr, '/', token.len) != NULL)
		return HB_SPAN_NONE;
	return token;
}

/* The endpoint of a path, plain ones first. */
const struct hb_endpoint_conf *
hb_paths_find(const struct hb_paths *paths, struct hb_span path,
    struct hb_span *token)
{
	struct plain wanted = { path, NULL };
	const struct plain *plain;

	*token = HB_SPAN_NONE;
	plain = bsearch(&wanted, paths->plains, paths->plain_count,
	    sizeof(struct plain), compare_plain);
	if (plain != NULL)
		return plain->endpoint;
	for (size_t i = 0; i < paths->pattern_count; i++) {
		*token = match(&paths->patterns[i], path);
		if (hb_span_is_set(*token))
			return paths->patterns[i].endpoint;
	}
	return NULL;
}
