/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what is kept on disk of events: deliveries that wait for their
 * destination, and dead letters
 *
 * Two spools below spool.directory, "deliveries" and "dead", and who may hold
 * how much of them. A shelf is one lane of either: deliveries of one endpoint
 * to one destination, or dead letters of one endpoint for one reason. Records
 * say all that is needed to deliver them or to begin anew, whatever became of
 * the configuration since.
 * Called by: the tracker keeps; the replay reads and settles; admin lists.
 * Thread:    any, but that a walk belongs to one thread at a time.
 * Blocks:    opening, closing, walking and the survey read the disk; nothing
 *            else does.
 * Owns:      nothing of events. What is to be kept stays its caller's until
 *            done. */
#ifndef HOOKBRIDGE_STORE_H
#define HOOKBRIDGE_STORE_H

#include "hookbridge/cfg.h"
#include "hookbridge/event.h"
#include "hookbridge/loop.h"
#include "hookbridge/message.h"
#include "hookbridge/spool.h"

struct hb_store;
/* Recovers what is there. The configuration has a spool.directory. */
struct hb_store *hb_store_open(const struct hb_config *cfg,
    struct hb_error *err);
/* All walks are gone; NULL is allowed. */
void hb_store_close(struct hb_store *store);

/* --- shelves -------------------------------------------------------------- */

enum hb_shelf_kind { HB_SHELF_DELIVERIES, HB_SHELF_DEAD };

/* Made when it is needed first, or found at opening; lives as long as the
 * store. All but the lane's own counts is fixed. */
struct hb_shelf {
	enum hb_shelf_kind kind;
	struct hb_spool_lane *lane;
	/* Of the same kind; see hb_store_shelves(). */
	struct hb_shelf *_Atomic next;
	/* The lane's name, taken apart. */
	struct hb_span endpoint;
	struct hb_span reason;                /* dead letters */
	struct hb_span sink_type, sink, name; /* deliveries */
	/* Today's destination; NULL: there is none of that sink, type and name
	 * (the deliveries are orphaned), or it is a shelf of dead letters. */
	const struct hb_dest_conf *dest;
	struct hb_store_accounts *accounts; /* the store's own */
};

/* The first shelf of a kind; the rest by next. New ones join at the end, which
 * is NULL for now; what was seen stays valid. */
const struct hb_shelf *hb_store_shelves(struct hb_store *store,
    enum hb_shelf_kind kind);
/* The same as hb_spool_stats(): of the spool of that kind. Records that cannot
 * be taken apart count as lost, too. */
void hb_store_stats(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats);

/* Without a store, whether a daemon has one open there or not: each shelf of
 * deliveries that would be orphaned by this configuration, which has a
 * spool.directory; see hb_spool_survey(). The shelf has no lane, and is there
 * for the call only. */
bool hb_store_survey_orphans(const struct hb_config *cfg,
    void (*each)(void *arg, const struct hb_shelf *shelf, uint64_t records),
    void *arg, struct hb_error *err) HB_MUST_CHECK;

/* When the oldest delivery was kept, orphans included, or somewhat before; by
 * the wall clock. 0: none is. */
int64_t hb_store_oldest_ms(struct hb_store *store);
/* Brings the gauges up to date that change by themselves: ages. */
void hb_store_show(struct hb_store *store);

/* --- keeping -------------------------------------------------------------- */

/* A record, and how it is settled. */
struct hb_kept {
	const struct hb_shelf *shelf; /* NULL: nothing is kept */
	struct hb_spool_ref ref;
};

/* Embedded by who has something kept. */
struct hb_keep {
	struct hb_loop *home;
	/* Runs on home when the record is synced, or cannot be. */
	void (*done)(struct hb_keep *keep);

	bool ok;
	struct hb_kept kept; /* if ok */
	/* If not: HB_E_RESOURCE "spool-full", of a dead letter "dead-full",
	 * "sink-share", "endpoint-share"; HB_E_IO "spool-broken"; HB_E_DEAD
	 * "destination-share", "too-large": it is for the dead letters. */
	struct hb_error err;

	/* The store's. */
	struct hb_store *store;
	struct hb_spool_append append;
	struct iovec parts[2];
	char *head;      /* malloc'ed, or NULL */
	uint64_t ticket; /* 0: not held */
};

/* Whether a delivery of that size, about, could be kept now; dest NULL: a dead
 * letter. Asked before anything of its event is sent. After the disk has
 * refused, who asks is told yes for a moment of each second: somebody has to
 * try. */
bool hb_store_has_room(struct hb_store *store,
    const struct hb_endpoint_conf *endpoint, const struct hb_dest_conf *dest,
    uint64_t bytes, struct hb_error *err) HB_MUST_CHECK;
/* Whether deliveries to it are kept or about to be: what has to stay in order
 * goes behind them. Any thread, no lock. */
bool hb_store_has_backlog(const struct hb_store *store,
    const struct hb_dest_conf *dest);
/* Keeps a delivery; the record's head is made in the event's arena, and event
 * and message stay as they are until done. held: the delivery is at its sink
 * still; nobody replays it before hb_store_release(), which has to come once
 * from the home loop, after done, if it is ok. */
void hb_store_keep_delivery(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const struct hb_message *msg, bool held);
/* The delivery is at its sink no more; settled or not by now. */
void hb_store_release(struct hb_keep *keep);

/* What is set aside of an event: its body as received and where it could not
 * go ("sink:name"; absent: anywhere). */
void hb_store_keep_dead(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const char *reason, struct hb_span place);
/* The same of a delivery that was read back: the message as it was to go. */
struct hb_record;
void hb_store_keep_dead_record(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const char *reason);
/* A delivery that was read back goes to another shelf: to a destination of
 * today's configuration, as it is. */
void hb_store_keep_moved(struct hb_store *store, struct hb_keep *keep,
    const struct hb_record *rec, const struct hb_dest_conf *dest);

/* The record shall not come back. False: it was settled already, so that
 * whoever is told true, counts it. */
bool hb_store_settle(const struct hb_kept *kept);
/* What was read a while ago may be settled by now. */
bool hb_store_is_settled(const struct hb_kept *kept);

/* --- reading -------------------------------------------------------------- */

/* A record taken apart: a delivery, or a dead letter with the body as received
 * (is_message false) or with the message of a delivery that was refused when
 * it was replayed (true). Spans are of bytes. */
struct hb_record {
	struct hb_kept kept;
	int64_t appended_ms;
	char *bytes; /* malloc'ed; hb_record_fini() */

	struct hb_span endpoint; /* its name */
	struct hb_span id, job_id;
	int64_t received_ms;
	/* dead letters */
	struct hb_span reason, place; /* "sink:name", or absent */
	bool is_message;
	struct hb_span webhook_id, traceparent, tracestate, body;
	int64_t webhook_timestamp;
	/* deliveries, and messages among dead letters */
	struct hb_span sink_type, sink, name, key, value;
	struct hb_header *headers; /* in the same memory as bytes, or NULL */
	size_t header_count;
	bool dedup, dead_letter;
	uint64_t ticket; /* may be held by this process; else 0 */
};

void hb_record_fini(struct hb_record *rec);
/* A message that says what the record says; target and dest are today's. */
void hb_record_message(const struct hb_record *rec,
    const struct hb_target_conf *target, const struct hb_dest_conf *dest,
    struct hb_message *msg);

/* Whether the record's delivery is at its sink still. If it is, the task is
 * posted to the loop once it is not; one task at a time. Without a task this
 * only asks. Once it is not, the record may be settled. */
bool hb_store_is_held(struct hb_store *store, const struct hb_record *rec,
    struct hb_loop *loop, struct hb_task *task);

/* --- walks ---------------------------------------------------------------- */

/* Reads the unsettled records of some shelves in the order in which they were
 * kept. Each is read once, until a rewind. */
struct hb_walk;

struct hb_walk_filter {
	enum hb_shelf_kind kind;
	/* NULL or absent: any. */
	const struct hb_dest_conf *dest;
	struct hb_span endpoint, reason, sink;
	bool orphaned; /* only those */
};

/* on_more(arg) runs on the loop once, when a walk whose end was reached has a
 * new record, on whatever shelf. Without a loop it never does. */
struct hb_walk *hb_walk_new(struct hb_store *store,
    const struct hb_walk_filter *filter, struct hb_loop *loop,
    void (*on_more)(void *arg), void *arg);
void hb_walk_free(struct hb_walk *walk);
/* A record that cannot be taken apart is counted, logged and passed over. The
 * record is the caller's to hb_record_fini(). */
enum hb_spool_next hb_walk_next(struct hb_walk *walk, struct hb_record *rec,
    struct hb_error *err);
/* The next one again is the first that is not settled, from seq on. */
void hb_walk_seek(struct hb_walk *walk, uint64_t seq);
/* One record by its number; false: there is none, or it is settled. */
bool hb_store_get(struct hb_store *store, enum hb_shelf_kind kind,
    uint64_t seq, struct hb_record *rec, struct hb_error *err) HB_MUST_CHECK;

#endif
