/* SPDX-License-Identifier: Apache-2.0 */
/* spool.h - keep records on disk until they are settled
 *
 * A spool is a directory of segment files. Records are bytes; each belongs to
 * a lane (whose records these are, by name) and has a sequence number that is
 * its own for ever. A record that was appended is on disk, synced, when its
 * callback says so; it comes back after any crash until it is settled.
 * Settlements are written lazily: a crash may forget those of the last moments,
 * which brings a record twice, never none.
 *
 * Called by: whatever owns events; the spool knows none of them.
 * Thread:    appending, settling and counting any; a cursor belongs to one
 *            thread at a time. One thread of the spool's own writes and syncs.
 * Blocks:    hb_spool_open(), _close(), _verify(), _survey() and a cursor read
 *            the disk; nothing else does.
 * Fails:     HB_E_RESOURCE when the budget or the disk is full (also a quota,
 *            or a limit on the size of files: the process has to ignore or
 *            block SIGXFSZ), HB_E_IO when the disk refuses, HB_E_DEAD when a
 *            record is longer than a segment can hold, HB_E_CONFIG when the
 *            directory cannot be used. What the disk refused is tried again:
 *            by the next append, or after some seconds by itself. */
#ifndef HOOKBRIDGE_SPOOL_H
#define HOOKBRIDGE_SPOOL_H

#include <stdint.h>
#include <sys/uio.h>

#include "hookbridge/error.h"
#include "hookbridge/loop.h"
#include "hookbridge/span.h"

struct hb_spool;
struct hb_spool_lane;

struct hb_spool_options {
	const char *directory; /* made (0700) if only it is missing */
	uint64_t max_size;     /* of all files; at least 4 segments */
	uint64_t segment_size; /* 0: 64 MiB; a multiple of 4 KiB */
	size_t group_size;     /* written and synced at once; 0: 4 MiB */
};

/* Recovers what is there and starts the writer. Refuses a directory that
 * others may write to, that another process has open, or that holds segments
 * of another version. */
struct hb_spool *hb_spool_open(
    const struct hb_spool_options *options, struct hb_error *err);
/* Writes what was appended and settled before. All cursors are gone by then,
 * and nobody calls anything else. NULL is allowed. */
void hb_spool_close(struct hb_spool *spool);

/* --- lanes ---------------------------------------------------------------- */

/* The lane of that name, made if need be; NULL if the name is empty or longer
 * than 512 bytes. Lanes live as long as the spool. */
struct hb_spool_lane *hb_spool_lane(
    struct hb_spool *spool, struct hb_span name);
/* All lanes, those found on disk included: begin with NULL; NULL ends. */
struct hb_spool_lane *hb_spool_lane_next(
    struct hb_spool *spool, struct hb_spool_lane *lane);
struct hb_span hb_spool_lane_name(const struct hb_spool_lane *lane);

struct hb_spool_lane_stats {
	uint64_t records, bytes; /* not settled; payloads only */
	/* When the oldest was appended, or somewhat before: among records of
	 * one segment only the first one's time is known. 0: no records. */
	int64_t oldest_ms;
	/* Of those that could not be read, and are settled therefore. */
	uint64_t lost, lost_bytes;
};
void hb_spool_lane_stats(
    struct hb_spool_lane *lane, struct hb_spool_lane_stats *stats);

/* --- appending and settling ----------------------------------------------- */

/* What a record is settled by. */
struct hb_spool_ref {
	struct hb_spool_lane *lane;
	uint64_t seq;
	uint32_t len;
};

/* Embedded by who appends. Everything stays as it is until done. */
struct hb_spool_append {
	struct hb_spool_lane *lane;
	const struct iovec *parts; /* one after the other: the record */
	size_t part_count;
	/* Runs on home; it may free what embeds this. */
	struct hb_loop *home;
	void (*done)(struct hb_spool_append *append);

	bool ok; /* synced; else err says why not */
	struct hb_spool_ref ref;
	struct hb_error err;

	/* The spool's. */
	struct hb_spool_append *next;
	struct hb_task task;
};
void hb_spool_append(struct hb_spool_append *append);

/* The record shall not come back. False: it was settled already. */
bool hb_spool_settle(const struct hb_spool_ref *ref);
bool hb_spool_is_settled(const struct hb_spool_ref *ref);

/* --- reading -------------------------------------------------------------- */

/* Reads a lane's unsettled records in the order they were appended, each once,
 * until a seek. */
struct hb_spool_cursor;

struct hb_spool_record {
	struct hb_spool_ref ref;
	int64_t appended_ms;
	char *bytes; /* ref.len of them; the caller's to free() */
};

enum hb_spool_next {
	HB_SPOOL_RECORD,
	HB_SPOOL_END,  /* of what is there now */
	HB_SPOOL_LATER /* err: it may be read later (no descriptor is free, or
			* the disk refuses, which ends after some attempts) */
};

/* on_more(arg) is run on the loop once, when a lane whose end was reached has
 * a new record. Without a loop it never is. */
struct hb_spool_cursor *hb_spool_cursor_new(struct hb_spool_lane *lane,
    struct hb_loop *loop, void (*on_more)(void *arg), void *arg);
/* On the loop's thread; on_more will not run afterwards. NULL is allowed. */
void hb_spool_cursor_free(struct hb_spool_cursor *cursor);
enum hb_spool_next hb_spool_cursor_next(struct hb_spool_cursor *cursor,
    struct hb_spool_record *record, struct hb_error *err);
/* To the oldest one that is not settled, of those from seq on; 0: of all. */
void hb_spool_cursor_seek(struct hb_spool_cursor *cursor, uint64_t seq);

/* --- state ---------------------------------------------------------------- */

enum hb_spool_state {
	HB_SPOOL_OK,
	HB_SPOOL_FULL,	/* the budget or the disk; settling will help */
	HB_SPOOL_BROKEN /* the last write failed */
};

struct hb_spool_stats {
	enum hb_spool_state state;
	char why[256]; /* unless it is HB_SPOOL_OK */
	uint64_t records, bytes; /* of all lanes */
	uint64_t disk_bytes, max_size;
	uint64_t segments, pool, quarantined; /* files */
	uint64_t lost;	 /* records that could not be read since it is open */
	uint64_t groups; /* synced since it is open */
};
void hb_spool_stats(struct hb_spool *spool, struct hb_spool_stats *stats);

/* --- from outside --------------------------------------------------------- */

struct hb_spool_check {
	uint64_t segments, sealed;
	uint64_t records; /* that can be read, the settled ones included */
	uint64_t unsettled;
	uint64_t damaged;     /* places where records cannot be read */
	uint64_t unreadable;  /* files without a good header */
	uint64_t quarantined; /* files that were set aside earlier */
	bool in_use;	      /* a daemon writes there: it is a snapshot */
};
/* Reads all there is and changes nothing; tell, unless it is NULL, gets a
 * sentence for each thing found. False: it cannot be read. */
bool hb_spool_verify(const char *directory, struct hb_spool_check *check,
    void (*tell)(void *arg, const char *sentence), void *arg,
    struct hb_error *err) HB_MUST_CHECK;

/* What hb_spool_open() would find: each lane that has records, its name for the
 * call only. Changes nothing, asks for no lock, and reads no record of a
 * segment that was ended whole, so that a damaged one counts until somebody
 * reads it. While a daemon writes there it is a snapshot, and a moment behind.
 * No such directory: no records, and true. */
bool hb_spool_survey(const char *directory,
    void (*each)(void *arg, struct hb_span lane,
	const struct hb_spool_lane_stats *stats),
    void *arg, struct hb_error *err) HB_MUST_CHECK;

#endif
