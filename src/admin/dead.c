/* SPDX-License-Identifier: Apache-2.0 */
/* dead.c - dead letters: the list, page by page, and one of them
 *
 * A page reads no more than READ_MAX records of READ_BYTES together, whatever
 * of them the filter lets through: it may be short, even empty, and still not
 * be the last. */
#include <inttypes.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define LIMIT_USUAL 100
#define LIMIT_MAX 1000
#define READ_MAX 1000
#define READ_BYTES ((uint64_t)64 * 1024 * 1024)

struct page {
	uint64_t after, limit;
	int64_t before_ms;
	uint64_t read, bytes;
	uint64_t last; /* the number of the last record read */
	json_t *list;
};

static bool
read_page(struct hb_call *call, struct page *page)
{
	uint64_t before = INT64_MAX;

	*page = (struct page){ .limit = LIMIT_USUAL };
	if (!hb_admin_param_number(
		call, HB_DEAD_BEFORE, 0, INT64_MAX, &before) ||
	    !hb_admin_param_number(
		call, HB_DEAD_AFTER, 0, INT64_MAX, &page->after) ||
	    !hb_admin_param_number(
		call, HB_DEAD_LIMIT, 1, LIMIT_MAX, &page->limit))
		return false;
	page->before_ms = (int64_t)before;
	return true;
}

/* A parameter as a filter: an empty one is none. */
static struct hb_span
filter_of(const struct hb_call *call, size_t param)
{
	struct hb_span value = call->params[param];

	return value.len > 0 ? value : HB_SPAN_NONE;
}

static bool
is_full(const struct page *page)
{
	return json_array_size(page->list) >= page->limit ||
	    page->read >= READ_MAX || page->bytes >= READ_BYTES;
}

static void
add(struct page *page, const struct hb_record *rec)
{
	page->read++;
	page->bytes += rec->kept.ref.len;
	page->last = rec->kept.ref.seq;
	if (rec->appended_ms < page->before_ms)
		json_array_append_new(
		    page->list, hb_admin_dead_letter(rec, false));
}

/* Reads until the page is full, or to the end. */
static enum hb_spool_next
fill(struct page *page, struct hb_walk *walk, struct hb_error *err)
{
	enum hb_spool_next next = HB_SPOOL_RECORD;

	while (!is_full(page) && next == HB_SPOOL_RECORD) {
		struct hb_record rec;

		next = hb_walk_next(walk, &rec, err);
		if (next != HB_SPOOL_RECORD)
			continue;
		add(page, &rec);
		hb_record_fini(&rec);
	}
	return next;
}

void
hb_admin_dead_list(struct hb_call *call)
{
	struct hb_walk_filter filter = { .kind = HB_SHELF_DEAD,
		.endpoint = filter_of(call, HB_DEAD_ENDPOINT),
		.reason = filter_of(call, HB_DEAD_REASON) };
	enum hb_spool_next next;
	struct hb_walk *walk;
	struct hb_error err;
	struct page page;

	if (!hb_admin_has_store(call) || !read_page(call, &page))
		return;
	page.list = json_array();
	walk = hb_walk_new(call->admin->env.store, &filter, NULL, NULL, NULL);
	hb_walk_seek(walk, page.after + 1);
	next = fill(&page, walk, &err);
	hb_walk_free(walk);
	if (next == HB_SPOOL_LATER) {
		json_decref(page.list);
		hb_admin_refuse_error(call, &err);
		return;
	}
	hb_admin_say(call, 200,
	    json_pack("{s:o,s:o}", "dead", page.list, "next",
		next == HB_SPOOL_END ? json_null()
				     : json_integer((json_int_t)page.last)));
}

void
hb_admin_dead_show(struct hb_call *call)
{
	struct hb_record rec;

	if (!hb_admin_get_record(call, HB_SHELF_DEAD, &rec))
		return;
	hb_admin_say(call, 200, hb_admin_dead_letter(&rec, true));
	hb_record_fini(&rec);
}
