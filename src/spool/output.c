/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - a segment that is being written
 *
 * Whole blocks are written: the last one is filled up with zeros, which the
 * next write replaces. In a file that is used again a block written in part
 * would first have to be read, were it not in memory.
 *
 * Nothing is ever written again to a file where a write or a sync failed: the
 * kernel reports a lost page once, and a second sync would succeed without it.
 * Whoever gets false closes the output. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/io.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* The file becomes a segment: header, then name, each safe before the next. */
static bool
begin_file(struct hb_spool *spool, int fd, uint64_t pool_number,
    const struct hb_spool_header *header, struct hb_error *err)
{
	uint8_t block[HB_SPOOL_BLOCK];

	hb_spool_header_put(header, block);
	if (!hb_pwrite_all(fd, block, sizeof(block), 0) ||
	    fdatasync(fd) != 0) {
		hb_spool_store_fail(&spool->store, err, "beginning a segment",
		    spool->store.path);
		hb_spool_store_drop(&spool->store, HB_SPOOL_POOL_FILE,
		    pool_number, header->file_size);
		return false;
	}
	return hb_spool_store_publish(
	    &spool->store, pool_number, header->number, err);
}

bool
hb_spool_output_open(struct hb_spool *spool, struct hb_spool_output *out,
    struct hb_spool_header *header, struct hb_error *err)
{
	uint64_t pool_number;
	int fd = hb_spool_store_take(&spool->store, &pool_number, err);

	if (fd < 0)
		return false;
	header->number = spool->next_number++;
	header->file_size = spool->segment_size;
	header->created_ms = hb_clock_wall_ms();
	hb_random(header->salt, sizeof(header->salt));
	if (!begin_file(spool, fd, pool_number, header, err)) {
		close(fd);
		return false;
	}
	*out = (struct hb_spool_output){.store = &spool->store,
	    .fd = fd,
	    .seg = hb_spool_segment_new(header),
	    .end = HB_SPOOL_BLOCK,
	    .synced = HB_SPOOL_BLOCK};
	return true;
}

bool
hb_spool_output_fits(const struct hb_spool_output *out, uint64_t size,
    size_t entries, size_t pages, size_t names_size)
{
	const struct hb_spool_segment *seg = out->seg;

	return out->end + size +
		       hb_spool_segment_footer_size(
			   seg, entries, pages, names_size) <=
		   seg->header.file_size - HB_SPOOL_BLOCK &&
	       seg->entry_count + entries <= HB_SPOOL_ENTRIES_MAX &&
	       seg->page_count + pages <= HB_SPOOL_PAGES_MAX;
}

static bool
fail(const struct hb_spool_output *out, struct hb_error *err, const char *what)
{
	char name[HB_SPOOL_FILE_NAME];

	hb_spool_store_name(
	    HB_SPOOL_SEGMENT_FILE, out->seg->header.number, name);
	return hb_spool_store_fail(out->store, err, what, name);
}

bool
hb_spool_output_write(struct hb_spool_output *out, struct hb_spool_buf *buf,
    struct hb_error *err)
{
	size_t len = buf->len;
	size_t tail = (size_t)((out->end + len) % HB_SPOOL_BLOCK);
	size_t pad = tail > 0 ? HB_SPOOL_BLOCK - tail : 0;
	bool ok;

	memset(hb_spool_buf_add(buf, pad), 0, pad);
	ok = hb_pwrite_all(out->fd, buf->ptr, buf->len, out->end);
	buf->len = len;
	if (!ok)
		return fail(out, err, "writing");
	out->end += len;
	return true;
}

bool
hb_spool_output_sync(struct hb_spool_output *out, struct hb_error *err)
{
	if (fdatasync(out->fd) != 0)
		return fail(out, err, "syncing");
	out->synced = out->end;
	return true;
}

/* What was promised has been synced, so that a close() that fails takes nothing
 * of it away: it is said, as whatever the disk refuses. */
void
hb_spool_output_close(struct hb_spool_output *out)
{
	struct hb_error err;

	if (out->seg == NULL)
		return;
	if (close(out->fd) != 0 && errno != EINTR &&
	    !fail(out, &err, "closing"))
		hb_log_limited(HB_LOG_WARNING, "spool.error",
		    HB_F_STR("directory", out->store->path),
		    HB_F_STR("error", err.text));
	out->seg->end = out->synced;
	out->seg = NULL;
	out->fd = -1;
}
