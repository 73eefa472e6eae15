/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the parts of the claims, one file each
 *
 *   claim.c    open, close, put, remove what is too old
 *   tree.c     the directory and its folders: names, rights, the lock
 *   body.c     one body becomes a file, safely
 *   index.c    what is kept, oldest first, and how much that is
 *   survey.c   what the directory entries say
 *   list.c     lists and opens files for readers
 *
 * Threads: opening is its caller's; from then on the index is the helper's, and
 * only the helper writes, renames and removes. Readers look at the disk. */
#ifndef HB_CLAIM_PARTS_H
#define HB_CLAIM_PARTS_H

#include <stdatomic.h>

#include "hookbridge/arena.h"
#include "hookbridge/claim.h"
#include "hookbridge/crypto.h"
#include "hookbridge/metric.h"

/* --- tree.c --------------------------------------------------------------- */

struct hb_claims_tree {
	char *path;
	int root, lock; /* descriptors, or -1 */
};

/* What is being written; no endpoint and no digest is called that. */
#define HB_CLAIMS_TEMPORARY ".new"

/* Makes the directory if only it is missing, and takes it for this process. */
bool hb_claims_tree_open(
    struct hb_claims_tree *tree, const char *path, struct hb_error *err);
void hb_claims_tree_close(struct hb_claims_tree *tree);

/* Whether an endpoint, or a body, could have this name. */
bool hb_claims_is_endpoint(const char *name);
bool hb_claims_is_digest(struct hb_span name);

/* An endpoint's folder; -1 and err, which is HB_E_REJECT if there is none. */
int hb_claims_folder_open(
    const struct hb_claims_tree *tree, const char *name, struct hb_error *err);
/* Makes it, unless it is there; its name is safe on disk. */
bool hb_claims_folder_make(
    const struct hb_claims_tree *tree, const char *name, struct hb_error *err);
bool hb_claims_sync(int dir, const char *name, struct hb_error *err);

/* errno as a sentence: HB_E_RESOURCE "claims-full" if that is what it says,
 * else HB_E_IO "claims-broken". */
bool hb_claims_fail(struct hb_error *err, const char *name, const char *what);

/* --- body.c --------------------------------------------------------------- */

/* Whether the file is there, as long as the body; if so, its time begins anew,
 * on disk. */
bool hb_claims_body_renew(int folder, const char *name, uint64_t size);
/* Writes a file, in place of one that is there. True: it is safe on disk. If
 * not, an older one by that name may have been replaced all the same; but after
 * is_new, which says that nobody was promised one, there is none. */
bool hb_claims_body_write(int folder, const char *name, struct hb_span body,
    bool is_new, struct hb_error *err);

/* --- index.c -------------------------------------------------------------- */

/* What one endpoint has. */
struct hb_claims_folder {
	struct hb_claims_folder *next;
	char *name;
	uint64_t bytes;
	bool is_made; /* it is there, and its name is safe on disk */
};

/* When something was put: by the monotonic clock, as all ages are, maybe
 * before 0; and by the wall clock of that moment. */
struct hb_claims_time {
	int64_t mono_ms, wall_ms;
};

struct hb_claims_entry {
	struct hb_claims_entry *older, *newer;
	struct hb_claims_entry *next; /* in its bucket */
	struct hb_claims_folder *folder;
	uint8_t digest[HB_SHA256_SIZE];
	uint64_t size;
	struct hb_claims_time kept;
};

struct hb_claims_index {
	struct hb_claims_folder *folders;
	struct hb_claims_entry **buckets;
	size_t bucket_count;
	struct hb_claims_entry *oldest, *newest;
	_Atomic uint64_t count, bytes; /* any thread reads them */
	struct hb_metric *metric_count, *metric_bytes;
};

void hb_claims_index_init(struct hb_claims_index *index);
void hb_claims_index_fini(struct hb_claims_index *index);
/* Made if need be. */
struct hb_claims_folder *hb_claims_index_folder(
    struct hb_claims_index *index, const char *name);
/* NULL if it is not kept. */
struct hb_claims_entry *hb_claims_index_find(
    const struct hb_claims_index *index, const struct hb_claims_folder *folder,
    const uint8_t *digest);
/* Adds one, or makes the one that is there this long and this old; it becomes
 * the newest. */
void hb_claims_index_put(struct hb_claims_index *index,
    struct hb_claims_folder *folder, const uint8_t *digest, uint64_t size,
    struct hb_claims_time kept);
void hb_claims_index_remove(
    struct hb_claims_index *index, struct hb_claims_entry *entry);

/* --- survey.c ------------------------------------------------------------- */

struct hb_claims_survey {
	struct hb_arena *arena; /* of names */
	struct hb_claim_file *files; /* oldest first */
	size_t count, room;
};

/* Looks at all folders. enter, if any, is called for each. */
bool hb_claims_survey(const struct hb_claims_tree *tree,
    bool (*enter)(int folder, const char *name, struct hb_error *err),
    struct hb_claims_survey *survey, struct hb_error *err);
void hb_claims_survey_fini(struct hb_claims_survey *survey);
/* Whether it is a regular file, by its entry. */
bool hb_claims_look(int folder, const char *name, uint64_t *size,
    int64_t *kept_ms);

/* --- claim.c -------------------------------------------------------------- */

struct hb_claims {
	struct hb_claims_tree tree;
	struct hb_claims_index index;
	uint64_t max_size, max_share, max_age_ms;
	/* From a body's put to when its delivery is kept, at the most. */
	uint64_t lead_ms;
	int64_t (*oldest_ms)(void *arg); /* NULL: nothing waits, ever */
	void *oldest_arg;
	struct hb_loop *helper;
	struct hb_timer sweep;
	uint64_t expired; /* removed, and not told yet */
	bool is_over;     /* it is closed, or the helper's loop is gone */
	struct hb_task at_free;
};

#endif
