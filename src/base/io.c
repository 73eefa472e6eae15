/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - writes and reads until it is done */
#include "hookbridge/io.h"

#include <errno.h>
#include <unistd.h>

/* Where nothing can be written there is no errno. */
static bool
is_over(ssize_t n)
{
	if (n == 0)
		errno = ENOSPC;
	return n == 0 || (n < 0 && errno != EINTR);
}

bool
hb_write_all(int fd, const void *data, size_t len)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t n = write(fd, rest, len);

		if (is_over(n))
			return false;
		if (n > 0) {
			rest += n;
			len -= (size_t)n;
		}
	}
	return true;
}

bool
hb_pwrite_all(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *rest = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, rest, len, (off_t)offset);

		if (is_over(n))
			return false;
		if (n > 0) {
			rest += n;
			len -= (size_t)n;
			offset += (uint64_t)n;
		}
	}
	return true;
}

ssize_t
hb_pread_all(int fd, void *data, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)data + done, len - done,
		    (off_t)(offset + done));

		if (n == 0)
			break;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}
