/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - a segment's file, open for all who read it
 *
 * There may be hundreds of cursors, most of them in the same few segments, and
 * descriptors are what connections need: those in one segment share one. It is
 * closed with the last of them. A file outlives its segment while somebody has
 * it; its bytes may then be another segment's, and it is of no use but to be
 * put back. */
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* The one that is open already, or NULL. */
static struct hb_spool_file *
share(struct hb_spool *spool, struct hb_spool_segment *seg)
{
	struct hb_spool_file *file;

	pthread_mutex_lock(&spool->lock);
	file = seg->file;
	if (file != NULL)
		file->refs++;
	pthread_mutex_unlock(&spool->lock);
	return file;
}

/* Two may open it at once: the second one keeps its own to itself. */
struct hb_spool_file *
hb_spool_file_get(struct hb_spool *spool, struct hb_spool_segment *seg,
    struct hb_error *err)
{
	struct hb_spool_file *file = share(spool, seg);
	int fd;

	if (file != NULL)
		return file;
	fd = hb_spool_store_read(
	    &spool->store, seg->header.number, NULL, err);
	if (fd < 0)
		return NULL;
	file = hb_xcalloc(1, sizeof(*file));
	file->fd = fd;
	file->refs = 1;
	pthread_mutex_lock(&spool->lock);
	if (seg->file == NULL) {
		seg->file = file;
		file->seg = seg;
	}
	pthread_mutex_unlock(&spool->lock);
	return file;
}

void
hb_spool_file_put(struct hb_spool *spool, struct hb_spool_file *file)
{
	bool is_last;

	if (file == NULL)
		return;
	pthread_mutex_lock(&spool->lock);
	is_last = --file->refs == 0;
	if (is_last && file->seg != NULL)
		file->seg->file = NULL;
	pthread_mutex_unlock(&spool->lock);
	if (!is_last)
		return;
	close(file->fd);
	free(file);
}

void
hb_spool_file_forget(struct hb_spool_segment *seg)
{
	if (seg->file == NULL)
		return;
	seg->file->seg = NULL;
	seg->file = NULL;
}
