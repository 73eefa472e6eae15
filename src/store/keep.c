/* SPDX-License-Identifier: Apache-2.0 */
/* keep.c - keeps and settles
 *
 *   charged ──► held ──► appended ──► done: kept      ──► settled: given back
 *   accounts.c  hold.c   the spool │  done: not kept: given back, not held
 *      └── refused ────────────────┴───────────────────────────────▲
 *
 * What is refused at once is told like what the spool refuses, by done on the
 * home loop. A record is held before it is appended: who reads the shelf may
 * have it before done runs.
 *
 * Who settles a record may be anybody who has it: the first to do so gives back
 * what it was charged. */
#include <stdlib.h>

#include "parts.h"

#define PLACE_SIZE (2 * HB_RECORD_NAME_MAX + 1)

/* What of a record is ours to fill in, and its last part: the caller's. */
struct draft {
	enum hb_record_kind kind;
	const struct hb_record *rec;
	struct hb_store_shelf *shelf; /* NULL: its name is too long */
	struct hb_arena *arena;	      /* NULL: its head is malloc'ed */
	bool held;
};

/* --- the end -------------------------------------------------------------- */

static void
end(struct hb_keep *keep)
{
	free(keep->head);
	keep->head = NULL;
	keep->done(keep);
}

static void
on_refused(struct hb_task *task)
{
	end(hb_container_of(task, struct hb_keep, append.task));
}

/* keep->err says why. */
static void
refuse(struct hb_keep *keep)
{
	keep->kept.shelf = NULL;
	keep->append.task = (struct hb_task){.run = on_refused};
	hb_loop_post(keep->home, &keep->append.task);
}

static void
on_appended(struct hb_spool_append *append)
{
	struct hb_keep *keep = hb_container_of(append, struct hb_keep, append);
	struct hb_store_shelf *shelf = hb_store_shelf_of(keep->kept.shelf);

	hb_store_state_note(shelf->part, append);
	keep->ok = append->ok;
	if (keep->ok) {
		keep->kept.ref = append->ref;
	} else {
		keep->err = append->err;
		hb_store_explain(shelf->part, &keep->err);
		hb_store_give_back(&shelf->accounts, 1,
		    keep->parts[0].iov_len + keep->parts[1].iov_len);
		hb_store_unhold(&keep->store->holds, keep->ticket);
		keep->ticket = 0;
		keep->kept.shelf = NULL;
	}
	end(keep);
}

/* --- the beginning -------------------------------------------------------- */

static struct iovec
part_of(struct hb_span span)
{
	return (struct iovec){(void *)(uintptr_t)span.ptr, span.len};
}

static void
make_head(struct hb_keep *keep, const struct draft *draft, size_t len)
{
	struct hb_record_hold hold = {
	    keep->store->holds.boot, keep->ticket};
	char *head;

	if (draft->arena != NULL)
		head = hb_arena_alloc(draft->arena, len);
	else
		head = keep->head = hb_xmalloc(len);
	hb_record_head_put(draft->kind, draft->rec, hold, head);
	keep->parts[0] = (struct iovec){head, len};
	keep->parts[1] =
	    part_of(hb_record_rest(draft->kind, draft->rec));
}

static void
append(struct hb_keep *keep)
{
	keep->append = (struct hb_spool_append){
	    .lane = keep->kept.shelf->lane,
	    .parts = keep->parts,
	    .part_count = HB_COUNT(keep->parts),
	    .home = keep->home,
	    .done = on_appended,
	};
	hb_spool_append(&keep->append);
}

static void
keep_draft(
    struct hb_store *store, struct hb_keep *keep, const struct draft *draft)
{
	size_t head_len = hb_record_head_size(draft->kind, draft->rec);
	size_t rest_len = hb_record_rest(draft->kind, draft->rec).len;

	keep->ok = false;
	keep->store = store;
	keep->head = NULL;
	keep->ticket = 0;
	if (draft->shelf == NULL) {
		hb_fail_reason(&keep->err, HB_E_DEAD, "too-large",
		    "a name is longer than a lane's may be");
		refuse(keep);
		return;
	}
	keep->kept.shelf = &draft->shelf->shelf;
	if (!hb_store_charge(&draft->shelf->accounts, head_len + rest_len,
		&keep->err)) {
		refuse(keep);
		return;
	}
	if (draft->held)
		keep->ticket = hb_store_hold(&store->holds);
	make_head(keep, draft, head_len);
	append(keep);
}

/* --- events --------------------------------------------------------------- */

void
hb_store_keep_delivery(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const struct hb_message *msg, bool held)
{
	const struct hb_sink_conf *sink = msg->dest->sink;
	const struct hb_record rec = {
	    .endpoint = msg->endpoint,
	    .id = msg->id,
	    .job_id = ev->job_id,
	    .received_ms = ev->received_ms,
	    .sink_type = hb_span_of(sink->type->name),
	    .sink = hb_span_of(sink->name),
	    .name = hb_span_of(msg->dest->name),
	    .key = msg->key,
	    .value = msg->value,
	    .headers = (struct hb_header *)(uintptr_t)msg->headers,
	    .header_count = msg->header_count,
	    .dedup = msg->dedup,
	    .dead_letter = msg->dead_letter,
	};
	const struct draft draft = {.kind = HB_RECORD_DELIVERY,
	    .rec = &rec,
	    .shelf = hb_store_shelf_get(store, msg->dest, ev->endpoint),
	    .arena = ev->arena,
	    .held = held};

	keep_draft(store, keep, &draft);
}

void
hb_store_keep_dead(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const char *reason, struct hb_span place)
{
	const struct hb_span endpoint = hb_span_of(ev->endpoint->name);
	const struct hb_record rec = {
	    .endpoint = endpoint,
	    .id = ev->id,
	    .job_id = ev->job_id,
	    .received_ms = ev->received_ms,
	    .reason = hb_span_of(reason),
	    .place = place,
	    .webhook_id = ev->webhook_id,
	    .webhook_timestamp = ev->webhook_timestamp,
	    .traceparent = ev->traceparent,
	    .tracestate = ev->tracestate,
	    .body = ev->body,
	};
	const struct draft draft = {.kind = HB_RECORD_BODY,
	    .rec = &rec,
	    .shelf = hb_store_shelf_dead(store, reason, endpoint),
	    .arena = ev->arena};

	keep_draft(store, keep, &draft);
}

/* --- records -------------------------------------------------------------- */

/* "sink:name", of a message. */
static struct hb_span
place_of(const struct hb_record *rec, char place[PLACE_SIZE])
{
	size_t len = rec->sink.len;

	memcpy(place, rec->sink.ptr, len);
	place[len++] = ':';
	memcpy(place + len, rec->name.ptr, rec->name.len);
	return hb_span_make(place, len + rec->name.len);
}

void
hb_store_keep_dead_record(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const char *reason)
{
	char place[PLACE_SIZE];
	struct hb_record dead = *rec;
	struct draft draft = {.kind = HB_RECORD_MESSAGE,
	    .rec = &dead,
	    .shelf = hb_store_shelf_dead(store, reason, rec->endpoint)};

	dead.reason = hb_span_of(reason);
	if (hb_record_kind_of(rec) == HB_RECORD_BODY)
		draft.kind = HB_RECORD_BODY;
	else
		dead.place = place_of(rec, place);
	keep_draft(store, keep, &draft);
}

void
hb_store_keep_moved(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const struct hb_dest_conf *dest)
{
	struct hb_record moved = *rec;
	const struct draft draft = {.kind = HB_RECORD_DELIVERY,
	    .rec = &moved,
	    .shelf = hb_store_shelf_named(store, dest, rec->endpoint)};

	if (hb_record_kind_of(rec) == HB_RECORD_BODY)
		hb_bug("record %llu is no delivery",
		    (unsigned long long)rec->kept.ref.seq);
	moved.sink_type = hb_span_of(dest->sink->type->name);
	moved.sink = hb_span_of(dest->sink->name);
	moved.name = hb_span_of(dest->name);
	keep_draft(store, keep, &draft);
}

/* --- settling ------------------------------------------------------------- */

bool
hb_store_settle(const struct hb_kept *kept)
{
	if (!hb_spool_settle(&kept->ref))
		return false;
	hb_store_give_back(
	    &hb_store_shelf_of(kept->shelf)->accounts, 1, kept->ref.len);
	return true;
}

bool
hb_store_is_settled(const struct hb_kept *kept)
{
	return hb_spool_is_settled(&kept->ref);
}
