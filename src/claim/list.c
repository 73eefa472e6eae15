/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - what readers see of the claims: the disk, as it is now
 *
 * A file is complete while it has its name, and who has opened it may read it
 * to its end, whatever becomes of the name. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "parts.h"

bool
hb_claims_list(struct hb_claims *claims,
    void (*each)(void *arg, const struct hb_claim_file *file), void *arg,
    struct hb_error *err)
{
	struct hb_claims_survey survey;
	bool ok = hb_claims_survey(&claims->tree, NULL, &survey, err);

	for (size_t i = 0; ok && i < survey.count; i++)
		each(arg, &survey.files[i]);
	hb_claims_survey_fini(&survey);
	return ok;
}

/* --- reading -------------------------------------------------------------- */

static int
fail_none(struct hb_error *err, const char *name)
{
	hb_fail(err, HB_E_REJECT, "there is no claim %s", name);
	return -1;
}

/* One of the folder's files; -1 and err, HB_E_REJECT if it has none. */
static int
open_body(
    int folder, const char *name, uint64_t *size, struct hb_error *err)
{
	int fd = openat(folder, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
		return fail_none(err, name);
	if (fd < 0 || fstat(fd, &st) != 0) {
		hb_claims_fail(err, name, "opening it");
	} else if (!S_ISREG(st.st_mode)) {
		fail_none(err, name);
	} else {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
open_in_folder(const struct hb_claims_tree *tree, const char *endpoint,
    const char *name, uint64_t *size, struct hb_error *err)
{
	int folder = hb_claims_folder_open(tree, endpoint, err);
	int fd;

	if (folder < 0)
		return -1;
	fd = open_body(folder, name, size, err);
	close(folder);
	return fd;
}

/* Looks into the folders one by one. */
static int
find_body(const struct hb_claims_tree *tree, DIR *stream, const char *name,
    uint64_t *size, struct hb_error *err)
{
	struct dirent *entry;

	while (errno = 0, (entry = readdir(stream)) != NULL) {
		int fd;

		if (!hb_claims_is_endpoint(entry->d_name))
			continue;
		fd = open_in_folder(tree, entry->d_name, name, size, err);
		if (fd >= 0 || err->code != HB_E_REJECT)
			return fd;
	}
	if (errno == 0)
		return fail_none(err, name);
	hb_claims_fail(err, tree->path, "reading it");
	return -1;
}

int
hb_claims_read(struct hb_claims *claims, struct hb_span digest, uint64_t *size,
    struct hb_error *err)
{
	char name[HB_CLAIM_DIGEST + 1] = "";
	struct hb_error unread;
	DIR *stream;
	int fd;

	err = err != NULL ? err : &unread;
	if (!hb_claims_is_digest(digest)) {
		hb_fail(err, HB_E_REJECT,
		    "expected a digest: %d lower-case hex digits",
		    HB_CLAIM_DIGEST);
		return -1;
	}
	memcpy(name, digest.ptr, HB_CLAIM_DIGEST);
	stream = hb_dir_stream(claims->tree.root);
	if (stream == NULL) {
		hb_claims_fail(err, claims->tree.path, "reading it");
		return -1;
	}
	fd = find_body(&claims->tree, stream, name, size, err);
	closedir(stream);
	return fd;
}
