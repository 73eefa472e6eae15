/* SPDX-License-Identifier: Apache-2.0 */
/* body.c - one body becomes a file
 *
 *   .new ─► written ─► synced ─► renamed ─► folder synced: kept
 *
 * A file that has a digest's name was complete on disk before it had the name.
 * After a sync that failed nothing is tried again on the same file: the kernel
 * tells once that it lost something, and then calls the pages clean. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/io.h"
#include "parts.h"

/* Nobody else writes here: one that is there was left behind. */
static int
create(int folder)
{
	for (int i = 0;; i++) {
		int fd = openat(folder, HB_CLAIMS_TEMPORARY,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd >= 0 || errno != EEXIST || i > 0)
			return fd;
		if (unlinkat(folder, HB_CLAIMS_TEMPORARY, 0) != 0)
			return -1;
	}
}

/* Makes the temporary file; what there is of it when that fails, stays. */
static bool
make_temporary(int folder, struct hb_span body, struct hb_error *err)
{
	int fd = create(folder);
	bool ok;

	if (fd < 0)
		return hb_claims_fail(err, HB_CLAIMS_TEMPORARY, "creating it");
	ok = hb_write_all(fd, body.ptr, body.len) ||
	     hb_claims_fail(err, HB_CLAIMS_TEMPORARY, "writing it");
	ok = ok && (fsync(fd) == 0 ||
		       hb_claims_fail(err, HB_CLAIMS_TEMPORARY, "syncing it"));
	if (close(fd) != 0 && ok)
		ok = hb_claims_fail(err, HB_CLAIMS_TEMPORARY, "closing it");
	return ok;
}

bool
hb_claims_body_write(int folder, const char *name, struct hb_span body,
    bool is_new, struct hb_error *err)
{
	if (!make_temporary(folder, body, err) ||
	    (renameat(folder, HB_CLAIMS_TEMPORARY, folder, name) != 0 &&
		!hb_claims_fail(err, name, "renaming it"))) {
		(void)unlinkat(folder, HB_CLAIMS_TEMPORARY, 0);
		return false;
	}
	if (hb_claims_sync(folder, name, err))
		return true;
	if (is_new)
		(void)unlinkat(folder, name, 0);
	return false;
}

bool
hb_claims_body_renew(int folder, const char *name, uint64_t size)
{
	int fd = openat(folder, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	/* Its contents are safe already; its time shall outlive a crash. */
	ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	     (uint64_t)st.st_size == size && futimens(fd, NULL) == 0 &&
	     fsync(fd) == 0;
	close(fd);
	return ok;
}
