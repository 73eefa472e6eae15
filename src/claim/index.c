/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - what is kept, in memory: found by digest, listed by age
 *
 * An entry takes about a hundred bytes; bodies that are too large to publish
 * are long, so that claims.max_size bounds their number well. */
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "parts.h"

#define BUCKETS_MIN 64

/* --- life ----------------------------------------------------------------- */

void
hb_claims_index_init(struct hb_claims_index *index)
{
	index->bucket_count = BUCKETS_MIN;
	index->buckets =
	    hb_xcalloc(BUCKETS_MIN, sizeof(struct hb_claims_entry *));
	index->metric_count =
	    hb_metric_get(HB_M_CLAIMS, NULL, NULL, NULL, NULL);
	index->metric_bytes =
	    hb_metric_get(HB_M_CLAIMS_BYTES, NULL, NULL, NULL, NULL);
}

void
hb_claims_index_fini(struct hb_claims_index *index)
{
	while (index->oldest != NULL)
		hb_claims_index_remove(index, index->oldest);
	while (index->folders != NULL) {
		struct hb_claims_folder *folder = index->folders;

		index->folders = folder->next;
		free(folder->name);
		free(folder);
	}
	free(index->buckets);
}

struct hb_claims_folder *
hb_claims_index_folder(struct hb_claims_index *index, const char *name)
{
	struct hb_claims_folder *folder = index->folders;

	while (folder != NULL && strcmp(folder->name, name) != 0)
		folder = folder->next;
	if (folder != NULL)
		return folder;
	folder = hb_xcalloc(1, sizeof(*folder));
	folder->name = hb_xstrdup(name);
	folder->next = index->folders;
	index->folders = folder;
	return folder;
}

/* --- counts --------------------------------------------------------------- */

/* The helper alone changes them. */
static void
count(struct hb_claims_index *index, struct hb_claims_folder *folder,
    int64_t files, int64_t bytes)
{
	folder->bytes += (uint64_t)bytes;
	index->count += (uint64_t)files;
	index->bytes += (uint64_t)bytes;
	hb_metric_set(index->metric_count, (int64_t)index->count);
	hb_metric_set(index->metric_bytes, (int64_t)index->bytes);
}

/* --- the list ------------------------------------------------------------- */

static void
list_add(struct hb_claims_index *index, struct hb_claims_entry *entry)
{
	entry->older = index->newest;
	entry->newer = NULL;
	if (index->newest != NULL)
		index->newest->newer = entry;
	else
		index->oldest = entry;
	index->newest = entry;
}

static void
list_remove(struct hb_claims_index *index, struct hb_claims_entry *entry)
{
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		index->oldest = entry->newer;
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		index->newest = entry->older;
}

/* --- the table ------------------------------------------------------------ */

/* Where the entry of a digest stands, or would. */
static struct hb_claims_entry **
bucket_of(const struct hb_claims_index *index, const uint8_t *digest)
{
	uint32_t front;

	memcpy(&front, digest, sizeof(front));
	return &index->buckets[front & (index->bucket_count - 1)];
}

static void
table_add(struct hb_claims_index *index, struct hb_claims_entry *entry)
{
	struct hb_claims_entry **bucket = bucket_of(index, entry->digest);

	entry->next = *bucket;
	*bucket = entry;
}

static void
table_grow(struct hb_claims_index *index)
{
	if (index->count < index->bucket_count)
		return;
	free(index->buckets);
	index->bucket_count *= 2;
	index->buckets = hb_xcalloc(
	    index->bucket_count, sizeof(struct hb_claims_entry *));
	for (struct hb_claims_entry *entry = index->oldest; entry != NULL;
	     entry = entry->newer)
		table_add(index, entry);
}

struct hb_claims_entry *
hb_claims_index_find(const struct hb_claims_index *index,
    const struct hb_claims_folder *folder, const uint8_t *digest)
{
	struct hb_claims_entry *entry = *bucket_of(index, digest);

	while (entry != NULL &&
	       (entry->folder != folder ||
		   memcmp(entry->digest, digest, HB_SHA256_SIZE) != 0))
		entry = entry->next;
	return entry;
}

/* --- entries -------------------------------------------------------------- */

static struct hb_claims_entry *
entry_new(struct hb_claims_index *index, struct hb_claims_folder *folder,
    const uint8_t *digest)
{
	struct hb_claims_entry *entry = hb_xcalloc(1, sizeof(*entry));

	table_grow(index);
	entry->folder = folder;
	memcpy(entry->digest, digest, HB_SHA256_SIZE);
	table_add(index, entry);
	count(index, folder, 1, 0);
	return entry;
}

void
hb_claims_index_put(struct hb_claims_index *index,
    struct hb_claims_folder *folder, const uint8_t *digest, uint64_t size,
    struct hb_claims_time kept)
{
	struct hb_claims_entry *entry =
	    hb_claims_index_find(index, folder, digest);

	if (entry != NULL)
		list_remove(index, entry);
	else
		entry = entry_new(index, folder, digest);
	count(index, folder, 0, (int64_t)(size - entry->size));
	entry->size = size;
	entry->kept = kept;
	list_add(index, entry);
}

void
hb_claims_index_remove(
    struct hb_claims_index *index, struct hb_claims_entry *entry)
{
	struct hb_claims_entry **link = bucket_of(index, entry->digest);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	list_remove(index, entry);
	count(index, entry->folder, -1, -(int64_t)entry->size);
	free(entry);
}
