/* SPDX-License-Identifier: Apache-2.0 */
/* journal_parts.h - the journal's files among themselves
 *
 * Thread: the helper's loop, or whoever opens and closes; what the lock guards
 * says so. */
#ifndef HB_DELIVER_JOURNAL_PARTS_H
#define HB_DELIVER_JOURNAL_PARTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "journal.h"

/* --- bytes (journal_format.c) --------------------------------------------- */

#define HB_JOURNAL_BLOCK 1024
#define HB_JOURNAL_HEADER_SIZE 128
#define HB_JOURNAL_HEADER_COPY 512
#define HB_JOURNAL_RECORD_SIZE 48
#define HB_JOURNAL_VERSION 1
/* The oldest that is read: the one before, once there is one. */
#define HB_JOURNAL_VERSION_MIN 1
#define HB_JOURNAL_REWRITTEN 1u /* flag */

struct hb_journal_header {
	uint32_t flags;
	uint64_t number;
	int64_t created_s; /* since 1970 */
	uint8_t salt[16];
	uint8_t seed[HB_JOURNAL_SEED_SIZE];
};

enum hb_journal_type { HB_JOURNAL_SEEN = 1, HB_JOURNAL_FORGET = 2 };

struct hb_journal_record {
	enum hb_journal_type type;
	uint64_t key[2];
	uint64_t digest;
	uint64_t endpoint; /* hash of its name */
	int64_t settled_s; /* since 1970 */
};

enum hb_journal_got {
	HB_JOURNAL_GOOD,
	HB_JOURNAL_FOREIGN, /* of a version that we do not know */
	HB_JOURNAL_BAD
};

void hb_journal_header_put(const struct hb_journal_header *header,
    uint8_t block[HB_JOURNAL_BLOCK]);
enum hb_journal_got hb_journal_header_get(
    const uint8_t block[HB_JOURNAL_BLOCK], struct hb_journal_header *header);
/* What the checksums of its file begin with. */
uint32_t hb_journal_crc_seed(const struct hb_journal_header *header);
void hb_journal_record_put(const struct hb_journal_record *record,
    uint32_t crc_seed, uint8_t out[HB_JOURNAL_RECORD_SIZE]);
bool hb_journal_record_get(const uint8_t in[HB_JOURNAL_RECORD_SIZE],
    uint32_t crc_seed, struct hb_journal_record *record);

/* --- the directory (journal_dir.c) ---------------------------------------- */

#define HB_JOURNAL_NAME 24 /* "0123456789abcdef.seen" */
#define HB_JOURNAL_DRAFT "draft"

struct hb_journal_dir {
	char *path;
	int fd, lock;
};

/* A generation: a file that is there. */
struct hb_journal_file {
	uint64_t number, records;
	uint32_t newest_s; /* by hb_seen_now_s() */
};

bool hb_journal_dir_open(struct hb_journal_dir *dir, const char *spool,
    struct hb_error *err);
void hb_journal_dir_close(struct hb_journal_dir *dir);
void hb_journal_dir_name(uint64_t number, char out[HB_JOURNAL_NAME]);
/* Numbers of the generations, ascending; malloc'ed. */
bool hb_journal_dir_list(const struct hb_journal_dir *dir, uint64_t **numbers,
    size_t *count, struct hb_error *err);

/* --- a file that is written (journal_out.c) ------------------------------- */

struct hb_journal_out {
	int fd; /* -1: there is none */
	struct hb_journal_file file;
	uint32_t begun_s; /* by hb_seen_now_s() */
	uint32_t crc_seed;
	bool is_dirty; /* not all of it is synced */
	bool is_named; /* its name is synced */
};

/* Begins a file, by its number or as draft. False with errno, as of all: then
 * it is for closing only. */
bool hb_journal_out_begin(struct hb_journal_out *out,
    const struct hb_journal_dir *dir, const char *name,
    const struct hb_journal_header *header);
bool hb_journal_out_write(struct hb_journal_out *out,
    const struct hb_journal_record *records, size_t count);
bool hb_journal_out_sync(
    struct hb_journal_out *out, const struct hb_journal_dir *dir);
void hb_journal_out_close(struct hb_journal_out *out);

/* --- reading (journal_scan.c) --------------------------------------------- */

struct hb_journal_visitor {
	/* Some records in the order of the file. */
	void (*on_records)(void *arg, const struct hb_journal_record *records,
	    size_t count);
	void *arg;
};

struct hb_journal_scan {
	uint64_t good, bad; /* bad: before the last good one */
	uint64_t end;       /* where that ends */
	int error;          /* errno of reading, or 0 */
};

/* Reads the records of a file whose header was good. */
void hb_journal_scan(int fd, uint32_t crc_seed,
    const struct hb_journal_visitor *visitor, struct hb_journal_scan *scan);
enum hb_journal_got hb_journal_read_header(
    int fd, struct hb_journal_header *header);

/* --- the whole (journal.c) ------------------------------------------------ */

/* How many changes wait at most while others are being written. */
#define HB_JOURNAL_BUFFER 65536u
/* Records that are encoded and written at once. */
#define HB_JOURNAL_BATCH 1024u

struct hb_journal {
	struct hb_journal_dir dir;
	struct hb_loop *helper; /* NULL once it is gone */
	pthread_mutex_t *lock;
	struct hb_seen *seen;
	uint64_t *endpoints; /* hashes of their names, by index */
	size_t endpoint_count;
	uint8_t seed[HB_JOURNAL_SEED_SIZE];
	uint64_t window_s, generation_records;
	unsigned refs; /* its owner's and the loop's */
	bool is_closed;

	/* Under the lock. */
	struct hb_seen_item *filling;
	size_t filled;
	bool is_woken;
	uint64_t dropped;

	struct hb_seen_item *writing;
	size_t written, to_write;
	struct hb_journal_out out;
	struct hb_journal_file *files; /* the older ones, oldest first */
	size_t file_count;
	uint64_t next_number;
	_Atomic uint64_t bytes;
	_Atomic bool is_broken;

	struct hb_task wake, at_free;
	struct hb_timer flush, sync;
	bool flush_set, sync_set;

	/* Rewriting (journal_rewrite.c). */
	struct hb_journal_out draft;
	struct hb_task step;
	uint64_t rewrite_above; /* records */
	bool is_rewriting;
};

/* Logs and remembers that the disk refused. */
void hb_journal_trouble(struct hb_journal *journal, const char *doing);
void hb_journal_make_header(
    struct hb_journal *journal, uint64_t number, struct hb_journal_header *out);
/* Notes of items as they are written. */
void hb_journal_records_of(const struct hb_journal *journal,
    const struct hb_seen_item *items, size_t count,
    struct hb_journal_record *records);
/* The file that is written is finished: the next begins another one. */
bool hb_journal_finish_out(struct hb_journal *journal);
void hb_journal_add_file(
    struct hb_journal *journal, const struct hb_journal_file *file);
/* Removes the oldest files. */
void hb_journal_drop_files(struct hb_journal *journal, size_t count);
uint64_t hb_journal_records(const struct hb_journal *journal);
/* After any of that has changed: for who asks from another thread. */
void hb_journal_show_bytes(struct hb_journal *journal);

/* Fills the table; may replace the seed (journal_load.c). */
bool hb_journal_load(struct hb_journal *journal, const struct hb_config *cfg,
    struct hb_error *err);

/* journal_rewrite.c */
void hb_journal_rewrite_init(struct hb_journal *journal);
void hb_journal_rewrite_if_due(struct hb_journal *journal);
void hb_journal_rewrite_stop(struct hb_journal *journal);

#endif
