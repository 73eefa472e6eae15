/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the spool's parts, one file each
 *
 *   spool.c    open, close, state, counts
 *   store.c    the directory: names, the lock, the budget, files to use again
 *   format.c   a segment file's bytes (format.h)
 *   buf.c      bytes that grow
 *   bits.c     sets of sequence numbers
 *   lane.c     lanes, and which segments hold what of them
 *   segment.c  a segment in memory; the list of them
 *   output.c   a segment that is being written
 *   footer.c   what is written when a segment is sealed, and read at opening
 *   scan.c     reads a segment record by record, where there is no footer
 *   file.c     a segment's file, open for all who read it
 *   read.c     one record, by its entry in the index
 *   recover.c  what is on disk becomes what is in memory
 *   roll.c     ends one segment, begins the next
 *   group.c    many records, one write, one sync
 *   writer.c   the thread
 *   retire.c   settled segments become files to use again
 *   compact.c  segments with few records left become one
 *   cursor.c   reads a lane
 *   verify.c   checks a directory
 *
 * Threads: after opening, the files are the writer's: it alone creates, writes,
 * renames and removes. What others see (the list of segments, lanes, bits, the
 * queue, the state) is under the spool's lock, which nobody holds during I/O.
 * The writer, being the only one who changes the list, reads it without.
 * Who reads a segment pins it first, so that its file keeps its name. */
#ifndef HB_SPOOL_PARTS_H
#define HB_SPOOL_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "format.h"
#include "hookbridge/metric.h"
#include "hookbridge/spool.h"

/* --- buf.c: bytes that grow ----------------------------------------------- */

struct hb_spool_buf {
	uint8_t *ptr;
	size_t len, size;
};

/* Room for len more bytes, which become part of it. */
uint8_t *hb_spool_buf_add(struct hb_spool_buf *buf, size_t len);
void hb_spool_buf_fini(struct hb_spool_buf *buf);

/* --- bits.c --------------------------------------------------------------- */

struct hb_spool_page {
	uint64_t number;
	struct hb_spool_page *next;	  /* in its bucket */
	struct hb_spool_page *next_dirty; /* if is_dirty */
	uint64_t words[HB_SPOOL_PAGE_WORDS];
	unsigned count; /* of bits that are 1 */
	bool is_dirty;
};

/* A set of sequence numbers, with a list of pages that somebody marked. */
struct hb_spool_bits {
	struct hb_spool_page **buckets;
	size_t bucket_count, page_count;
	struct hb_spool_page *dirty;
	struct hb_spool_page *recent; /* found last */
};

void hb_spool_bits_fini(struct hb_spool_bits *bits);
bool hb_spool_bits_has(struct hb_spool_bits *bits, uint64_t seq);
/* True if that changed anything. */
bool hb_spool_bits_add(struct hb_spool_bits *bits, uint64_t seq);
/* The same; its page is marked. */
bool hb_spool_bits_remove(struct hb_spool_bits *bits, uint64_t seq);
/* Adds all that the page says is settled. */
void hb_spool_bits_add_settled(
    struct hb_spool_bits *bits, const struct hb_spool_settled *settled);
void hb_spool_bits_mark(struct hb_spool_bits *bits, uint64_t page_number);
/* What is not in the set: the settled ones, of those before limit. */
void hb_spool_bits_get_settled(struct hb_spool_bits *bits,
    uint64_t page_number, uint64_t limit, struct hb_spool_settled *settled);
/* How many it has that the others have not. */
uint64_t hb_spool_bits_count_beyond(
    struct hb_spool_bits *bits, struct hb_spool_bits *others);
/* The number of a marked page, which is no longer; false if there is none. */
bool hb_spool_bits_unmark(struct hb_spool_bits *bits, uint64_t *page_number);

/* --- store.c -------------------------------------------------------------- */

#define HB_SPOOL_POOL_MAX 4
#define HB_SPOOL_FILE_NAME 32

struct hb_spool_store {
	char *path;
	int dir, lock;
	uint64_t max_size, segment_size;
	uint64_t pool[HB_SPOOL_POOL_MAX]; /* numbers of files to use again */
	uint64_t pool_next;
	bool is_renamed; /* names have changed that are not synced */
	/* NULL when it is open for reading only. */
	struct hb_metric *errors, *in_quarantine;
	_Atomic uint64_t used; /* bytes of all files */
	_Atomic uint64_t pool_count, quarantined;
};

enum hb_spool_kind {
	HB_SPOOL_SEGMENT_FILE,
	HB_SPOOL_POOL_FILE,
	HB_SPOOL_QUARANTINED_FILE,
	HB_SPOOL_OTHER_FILE
};

/* Opens the directory: for reading, or making it and locking it. */
bool hb_spool_store_open(struct hb_spool_store *store, const char *path,
    bool for_writing, struct hb_error *err) HB_MUST_CHECK;
void hb_spool_store_close(struct hb_spool_store *store);
/* Whether somebody has the lock. */
bool hb_spool_store_in_use(const struct hb_spool_store *store);
/* Each file: its kind, its number and its size. */
bool hb_spool_store_list(const struct hb_spool_store *store,
    void (*each)(void *arg, enum hb_spool_kind kind, uint64_t number,
	uint64_t size),
    void *arg, struct hb_error *err) HB_MUST_CHECK;
void hb_spool_store_name(
    enum hb_spool_kind kind, uint64_t number, char out[HB_SPOOL_FILE_NAME]);
/* The segment's file, for reading; -1 and err. */
int hb_spool_store_read(const struct hb_spool_store *store, uint64_t number,
    uint64_t *size, struct hb_error *err);
/* Whether the budget has that many segments left when one more is taken. Of
 * the last two, one is for settlements and one for compaction: a spool that is
 * full can always drain. */
enum hb_spool_reserve {
	HB_SPOOL_FOR_COMPACTION,
	HB_SPOOL_FOR_SETTLEMENTS,
	HB_SPOOL_FOR_RECORDS
};
bool hb_spool_store_has_room(
    const struct hb_spool_store *store, enum hb_spool_reserve reserve);
/* Whether space is so short that compaction is worth its while. */
bool hb_spool_store_is_pressed(const struct hb_spool_store *store);
/* A file of segment_size that is in the pool and no longer known to be; -1 and
 * err. Then it is given its name, or dropped. */
int hb_spool_store_take(struct hb_spool_store *store, uint64_t *pool_number,
    struct hb_error *err);
bool hb_spool_store_publish(struct hb_spool_store *store, uint64_t pool_number,
    uint64_t number, struct hb_error *err) HB_MUST_CHECK;
void hb_spool_store_drop(struct hb_spool_store *store, enum hb_spool_kind kind,
    uint64_t number, uint64_t size);
/* What becomes of a segment's file. */
void hb_spool_store_recycle(
    struct hb_spool_store *store, uint64_t number, uint64_t size);
void hb_spool_store_quarantine(struct hb_spool_store *store, uint64_t number);
/* There is one more file that was set aside. */
void hb_spool_store_note_quarantined(struct hb_spool_store *store);
/* Counts what errno says, and makes an HB_E_RESOURCE or HB_E_IO of it; false.
 * errno stays. */
bool hb_spool_store_fail(const struct hb_spool_store *store,
    struct hb_error *err, const char *what, const char *name);
/* The same where nobody is to be told but the log. */
void hb_spool_store_warn(const struct hb_spool_store *store,
    const char *what, const char *name);

/* --- segment.c ------------------------------------------------------------ */

struct hb_spool_segment {
	struct hb_spool_header header;
	struct hb_spool_key key;
	uint64_t file_size; /* as it is on disk */
	uint64_t end;	    /* of its records */

	/* Under the lock, as far as they change. */
	uint64_t next_seq; /* one past the last */
	size_t entry_count;
	struct hb_spool_entry *entries; /* NULL: they are in the footer */
	size_t entries_size;
	struct hb_spool_lane **lanes; /* by their numbers */
	size_t lane_count, lanes_size;
	uint64_t live, live_bytes; /* records not settled, with their heads */
	unsigned pins;
	struct hb_spool_file *file; /* open, while somebody reads it */
	bool is_active;	 /* it is being written */
	bool is_sealed;	 /* its footer has its index */
	bool is_damaged; /* it will be kept for a closer look */

	/* The writer's: pages it has settlements about, ascending. */
	uint64_t *pages;
	size_t page_count, pages_size;
	size_t names_size; /* of its lanes in a footer */
};

struct hb_spool_segment *hb_spool_segment_new(
    const struct hb_spool_header *header);
void hb_spool_segment_free(struct hb_spool_segment *seg);
void hb_spool_segment_add_entry(
    struct hb_spool_segment *seg, const struct hb_spool_entry *entry);
/* The index is in the footer now. */
void hb_spool_segment_drop_entries(struct hb_spool_segment *seg);
void hb_spool_segment_add_page(struct hb_spool_segment *seg, uint64_t number);
/* The lane's number in the segment is lane_count before. */
void hb_spool_segment_add_lane(
    struct hb_spool_segment *seg, struct hb_spool_lane *lane);
/* Bytes of its footer if it had that many more of each. */
uint64_t hb_spool_segment_footer_size(const struct hb_spool_segment *seg,
    size_t entries, size_t pages, size_t names_size);

/* The list, in the order of sequence numbers. */
void hb_spool_segment_insert(
    struct hb_spool *spool, struct hb_spool_segment *seg);
void hb_spool_segment_remove(
    struct hb_spool *spool, struct hb_spool_segment *seg);
/* Whether any record of the page might come back after a crash. */
bool hb_spool_page_matters(struct hb_spool *spool, uint64_t page_number);

/* --- lane.c --------------------------------------------------------------- */

/* What a segment holds of a lane and is not settled. */
struct hb_spool_share {
	struct hb_spool_segment *seg;
	uint64_t live, bytes;
	int64_t first_ms;
};

struct hb_spool_lane {
	struct hb_spool *spool;
	char *name;
	size_t name_len;
	struct hb_spool_lane *next;	   /* in its bucket */
	struct hb_spool_lane *next_in_all; /* in the order they were made */

	/* Under the lock. */
	struct hb_spool_share *shares; /* in the order of the segments */
	size_t share_count, shares_size;
	uint64_t records, bytes;
	uint64_t lost, lost_bytes;
	struct hb_spool_cursor *cursors;

	/* The writer's: its number in the segment of that number. */
	uint64_t segment_number;
	uint32_t number;
};

/* Under the lock. */
struct hb_spool_lane *hb_spool_lane_get(
    struct hb_spool *spool, struct hb_span name);
/* A record that is live; its segment is in the list or will be. */
void hb_spool_lane_add(struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, int64_t appended_ms);
/* The first share that ends after seq, or NULL. */
struct hb_spool_share *hb_spool_lane_share(
    struct hb_spool_lane *lane, uint64_t seq);
/* A record that is live no longer. */
void hb_spool_lane_remove(struct hb_spool_lane *lane,
    struct hb_spool_share *share, uint32_t len);
/* Forgets what the segment holds of all lanes. */
void hb_spool_lanes_forget(struct hb_spool_segment *seg);
void hb_spool_lanes_free(struct hb_spool *spool);

/* --- output.c ------------------------------------------------------------- */

struct hb_spool_output {
	struct hb_spool_store *store;
	struct hb_spool_segment *seg; /* NULL: there is none */
	int fd;
	uint64_t end, synced;
};

/* Makes a segment of a file from the pool; header's number, salt, size and
 * time are filled in. */
bool hb_spool_output_open(struct hb_spool *spool, struct hb_spool_output *out,
    struct hb_spool_header *header, struct hb_error *err) HB_MUST_CHECK;
/* Whether a write of size bytes that adds so much to the footer fits. */
bool hb_spool_output_fits(const struct hb_spool_output *out, uint64_t size,
    size_t entries, size_t pages, size_t names_size);
/* After a failure the output may only be closed. */
bool hb_spool_output_write(struct hb_spool_output *out,
    struct hb_spool_buf *buf, struct hb_error *err) HB_MUST_CHECK;
bool hb_spool_output_sync(
    struct hb_spool_output *out, struct hb_error *err) HB_MUST_CHECK;
void hb_spool_output_close(struct hb_spool_output *out);

/* --- footer.c ------------------------------------------------------------- */

/* Writes footer and trailer and syncs them; the index in memory stays. */
bool hb_spool_footer_write(struct hb_spool *spool,
    struct hb_spool_output *out, struct hb_error *err) HB_MUST_CHECK;

/* What a footer or a scan tells, one by one; an entry's lane and a page's bits
 * are not yet checked against anything. */
struct hb_spool_visitor {
	void (*on_lane)(void *arg, uint32_t number, struct hb_span name);
	void (*on_settled)(void *arg, const struct hb_spool_settled *settled);
	void (*on_data)(void *arg, const struct hb_spool_entry *entry);
	void *arg;
};

/* A footer that was read and found whole. */
struct hb_spool_footer {
	struct hb_spool_trailer trailer;
	uint8_t *bytes;
};
/* False: there is none, or it is not whole. */
bool hb_spool_footer_read(int fd, const struct hb_spool_header *header,
    uint64_t file_size, struct hb_spool_footer *footer) HB_MUST_CHECK;
void hb_spool_footer_fini(struct hb_spool_footer *footer);
/* Lanes, settlements, then data. False: it does not make sense. */
bool hb_spool_footer_visit(const struct hb_spool_footer *footer,
    uint64_t first_seq, const struct hb_spool_visitor *visitor) HB_MUST_CHECK;

/* --- scan.c --------------------------------------------------------------- */

struct hb_spool_scan {
	uint64_t end;	  /* of what counts */
	uint64_t damaged; /* places */
	uint64_t torn;	  /* records after end, of a write nobody relied on */
};
/* Reads the records of a file that begin before limit: where a later segment
 * says that they end. 0: none does, so that it must be found out. */
void hb_spool_scan(int fd, const struct hb_spool_header *header,
    uint64_t file_size, uint64_t limit,
    const struct hb_spool_visitor *visitor, struct hb_spool_scan *scan);

/* --- file.c --------------------------------------------------------------- */

struct hb_spool_file {
	int fd;
	/* Under the lock. */
	unsigned refs;
	struct hb_spool_segment *seg; /* that shares it, or NULL */
};

/* The segment, which is pinned, open for reading: one descriptor for all who
 * read it. NULL and err. */
struct hb_spool_file *hb_spool_file_get(struct hb_spool *spool,
    struct hb_spool_segment *seg, struct hb_error *err);
/* NULL is allowed. */
void hb_spool_file_put(struct hb_spool *spool, struct hb_spool_file *file);
/* Under the lock: the segment goes; who has its file keeps the descriptor. */
void hb_spool_file_forget(struct hb_spool_segment *seg);

/* --- read.c --------------------------------------------------------------- */

/* The header of a segment's file. */
enum hb_spool_got_header hb_spool_read_header(
    int fd, struct hb_spool_header *header);
/* Fills the buffer, or fails with errno: EBADMSG if the file has less. */
bool hb_spool_read_all(
    int fd, void *data, size_t len, uint64_t offset) HB_MUST_CHECK;
/* The record of an entry, head and payload; *bytes is the payload, at the
 * start of malloc'd memory. False with errno: EBADMSG if it is not what the
 * entry says, others when the disk refuses, perhaps for now. */
bool hb_spool_read_record(int fd, const struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry, struct hb_spool_head *head,
    char **bytes) HB_MUST_CHECK;
/* Up to count entries from at; those of a sealed segment from its file. 0: no
 * more; -1: they cannot be read. The segment is pinned; takes the lock. */
ssize_t hb_spool_read_entries(struct hb_spool *spool, int fd,
    struct hb_spool_segment *seg, size_t at, struct hb_spool_entry *entries,
    size_t count);
/* A live record that cannot be read: it is counted and given up. */
void hb_spool_lose(struct hb_spool *spool, struct hb_spool_segment *seg,
    const struct hb_spool_entry *entry);

/* --- recover.c ------------------------------------------------------------ */

bool hb_spool_recover(
    struct hb_spool *spool, struct hb_error *err) HB_MUST_CHECK;
/* The same of a store that is open for reading: no file is changed. all: none
 * went meanwhile. */
bool hb_spool_look(
    struct hb_spool *spool, bool *all, struct hb_error *err) HB_MUST_CHECK;

/* --- group.c -------------------------------------------------------------- */

struct hb_spool_queue {
	struct hb_spool_append *first, **end;
};

/* Records on their way into a segment. */
struct hb_spool_group {
	struct hb_spool_buf buf;
	struct hb_spool_append *first, **end; /* whose records these are */
	struct hb_spool_entry *entries;
	size_t entry_count, entries_size;
	uint64_t *pages; /* whose settlements ride along */
	size_t page_count, pages_size;
	int64_t now_ms;
};

/* Writes what waits, as much as one group takes: done is run for each. True:
 * it went well, and there is more. */
bool hb_spool_group_run(struct hb_spool *spool, bool with_settlements);
/* Tries whether a spool that took no records would take some now. */
void hb_spool_probe(struct hb_spool *spool);
void hb_spool_group_fini(struct hb_spool_group *group);

/* --- roll.c --------------------------------------------------------------- */

/* Ends the segment that is being written, if there is one, and begins another.
 * False: there is no room, or the disk refused a moment ago. */
bool hb_spool_roll(struct hb_spool *spool, enum hb_spool_reserve reserve,
    struct hb_error *err) HB_MUST_CHECK;
/* Ends it whole. */
void hb_spool_seal(struct hb_spool *spool);
/* Ends it after a failure: what was synced stays. */
void hb_spool_give_up(struct hb_spool *spool, const struct hb_error *err);

/* --- writer.c ------------------------------------------------------------- */

bool hb_spool_writer_start(
    struct hb_spool *spool, struct hb_error *err) HB_MUST_CHECK;
void hb_spool_writer_stop(struct hb_spool *spool);
/* Under the lock: the writer has something to do. */
void hb_spool_writer_wake(struct hb_spool *spool);
/* Under the lock: settlements wait; they will be written soon. */
void hb_spool_writer_expect(struct hb_spool *spool);

/* --- retire.c ------------------------------------------------------------- */

/* Takes segments without live records off the list; the settlements they hold
 * about others are marked to be written again. True: there are any. */
bool hb_spool_retire_begin(struct hb_spool *spool);
/* Their files may be used again. */
void hb_spool_retire_end(struct hb_spool *spool);
/* Takes the segment off the list; its file goes with retire_end. */
void hb_spool_retire(struct hb_spool *spool, struct hb_spool_segment *seg);

/* --- compact.c ------------------------------------------------------------ */

struct hb_spool_compaction;

/* A bounded step; true: there is more to do at once. */
bool hb_spool_compact(struct hb_spool *spool);
void hb_spool_compact_abort(struct hb_spool *spool);

/* --- cursor.c ------------------------------------------------------------- */

/* Under the lock: the lane has new records. */
void hb_spool_cursors_tell(struct hb_spool_lane *lane);

/* --- spool.c -------------------------------------------------------------- */

#define HB_SPOOL_LANE_BUCKETS 256

struct hb_spool {
	struct hb_spool_store store;
	uint64_t segment_size;
	size_t group_size;
	uint32_t record_max;

	pthread_mutex_t lock;
	struct hb_spool_segment **segments;
	size_t segment_count, segments_size;
	struct hb_spool_bits live;
	struct hb_spool_lane *buckets[HB_SPOOL_LANE_BUCKETS];
	struct hb_spool_lane *lanes, **lanes_end;
	uint64_t next_seq;
	uint64_t lost, groups;
	enum hb_spool_state state;
	char why[sizeof(((struct hb_error *)0)->text)];
	struct hb_spool_queue queue;
	pthread_cond_t wake;
	bool is_asleep, is_closing;
	bool wants_retiring; /* some segment has no live record any more */
	uint64_t flush_ms;   /* when settlements are due, 0: none wait */
	uint64_t probe_ms;   /* when to try again, 0: it is well */

	/* The writer's. */
	pthread_t thread;
	bool is_running;
	struct hb_spool_queue pending; /* taken off the queue */
	struct hb_spool_group group;
	uint64_t sync_us; /* how long writing and syncing the last took */
	struct hb_spool_output out;
	uint64_t next_number;
	uint64_t retry_ms; /* not before: open a segment */
	uint64_t backoff_ms;
	struct hb_error refusal; /* what the last attempt met */
	bool is_behind; /* not all settlements that were due are written */
	struct hb_spool_segment **retired;
	size_t retired_count, retired_size;
	struct hb_spool_compaction *compaction;
	uint64_t compact_ms; /* not before */
	struct hb_metric *sync_duration, *appends;
};

/* Tells the state to whoever asks, and the log when it changes. */
void hb_spool_set_state(struct hb_spool *spool, enum hb_spool_state state,
    const struct hb_error *err);
/* There may be room again. */
void hb_spool_state_eased(struct hb_spool *spool);
/* Whether that record is there and not settled. Takes the lock. */
bool hb_spool_is_live(struct hb_spool *spool, uint64_t seq);

#endif
