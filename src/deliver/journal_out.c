/* SPDX-License-Identifier: Apache-2.0 */
/* journal_out.c - a file of the journal that is being written
 *
 * Nothing is ever written again to a file where a write or a sync failed: the
 * kernel reports a lost page once, and a second sync would succeed without it.
 * Of a write that failed, what stands in the file is cut off, if it can be:
 * where it cannot, it is a bad record at the end. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/io.h"
#include "journal_parts.h"

static uint64_t
end_of(const struct hb_journal_out *out)
{
	return HB_JOURNAL_BLOCK + out->file.records * HB_JOURNAL_RECORD_SIZE;
}

bool
hb_journal_out_begin(struct hb_journal_out *out,
    const struct hb_journal_dir *dir, const char *name,
    const struct hb_journal_header *header)
{
	uint8_t block[HB_JOURNAL_BLOCK];

	*out = (struct hb_journal_out){.file = {.number = header->number},
	    .crc_seed = hb_journal_crc_seed(header),
	    .is_dirty = true};
	out->fd = openat(dir->fd, name,
	    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	hb_journal_header_put(header, block);
	return out->fd >= 0 && hb_pwrite_all(out->fd, block, sizeof(block), 0);
}

bool
hb_journal_out_write(struct hb_journal_out *out,
    const struct hb_journal_record *records, size_t count)
{
	uint8_t bytes[HB_JOURNAL_BATCH * HB_JOURNAL_RECORD_SIZE];
	int error;

	for (size_t i = 0; i < count; i++)
		hb_journal_record_put(&records[i], out->crc_seed,
		    bytes + i * HB_JOURNAL_RECORD_SIZE);
	out->is_dirty = true;
	if (hb_pwrite_all(out->fd, bytes, count * HB_JOURNAL_RECORD_SIZE,
		end_of(out))) {
		out->file.records += count;
		return true;
	}
	error = errno;
	(void)!ftruncate(out->fd, (off_t)end_of(out));
	errno = error;
	return false;
}

bool
hb_journal_out_sync(
    struct hb_journal_out *out, const struct hb_journal_dir *dir)
{
	if (out->is_dirty && fdatasync(out->fd) != 0)
		return false;
	out->is_dirty = false;
	if (!out->is_named && !hb_dir_sync(dir->fd))
		return false;
	out->is_named = true;
	return true;
}

void
hb_journal_out_close(struct hb_journal_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	*out = (struct hb_journal_out){.fd = -1};
}
