/* SPDX-License-Identifier: Apache-2.0 */
/* survey.c - what there is on disk, by the directory entries alone
 *
 * Links, folders in folders and names that are not ours are passed over. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/dir.h"
#include "hookbridge/mem.h"
#include "parts.h"

/* --- one file ------------------------------------------------------------- */

bool
hb_claims_look(int folder, const char *name, uint64_t *size, int64_t *kept_ms)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	*size = (uint64_t)st.st_size;
	*kept_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
		   st.st_mtim.tv_nsec / 1000000;
	return true;
}

static struct hb_claim_file *
add(struct hb_claims_survey *survey)
{
	if (survey->count == survey->room) {
		survey->room = survey->room > 0 ? 2 * survey->room : 64;
		survey->files = hb_xreallocarray(
		    survey->files, survey->room, sizeof(*survey->files));
	}
	return &survey->files[survey->count++];
}

/* Takes down what it is, unless it is none of ours. */
static void
note(struct hb_claims_survey *survey, int folder, const char *endpoint,
    const char *name)
{
	struct hb_claim_file found = {.endpoint = endpoint};

	if (!hb_claims_is_digest(hb_span_of(name)) ||
	    !hb_claims_look(folder, name, &found.size, &found.kept_ms))
		return;
	memcpy(found.digest, name, HB_CLAIM_DIGEST);
	*add(survey) = found;
}

/* --- folders -------------------------------------------------------------- */

static bool
read_folder(int folder, const char *endpoint, struct hb_claims_survey *survey,
    struct hb_error *err)
{
	DIR *stream = hb_dir_stream(folder);
	struct dirent *entry;
	bool ok;

	if (stream == NULL)
		return hb_claims_fail(err, endpoint, "reading this folder");
	while (errno = 0, (entry = readdir(stream)) != NULL)
		note(survey, folder, endpoint, entry->d_name);
	ok = errno == 0 || hb_claims_fail(err, endpoint, "reading this folder");
	closedir(stream);
	return ok;
}

/* What is no folder is no fault. */
static bool
visit(const struct hb_claims_tree *tree, const char *name,
    bool (*enter)(int folder, const char *name, struct hb_error *err),
    struct hb_claims_survey *survey, struct hb_error *err)
{
	struct hb_error why;
	int folder = hb_claims_folder_open(tree, name, &why);
	bool ok;

	if (folder < 0)
		return why.code == HB_E_REJECT ||
		       hb_fail_reason(
			   err, why.code, why.reason, "%s", why.text);
	ok = (enter == NULL || enter(folder, name, err)) &&
	     read_folder(folder, hb_arena_strdup(survey->arena, name), survey,
		 err);
	close(folder);
	return ok;
}

static int
compare_ages(const void *left, const void *right)
{
	const struct hb_claim_file *a = left, *b = right;

	if (a->kept_ms != b->kept_ms)
		return a->kept_ms < b->kept_ms ? -1 : 1;
	return strcmp(a->digest, b->digest);
}

bool
hb_claims_survey(const struct hb_claims_tree *tree,
    bool (*enter)(int folder, const char *name, struct hb_error *err),
    struct hb_claims_survey *survey, struct hb_error *err)
{
	DIR *stream = hb_dir_stream(tree->root);
	struct dirent *entry = NULL;
	bool ok = stream != NULL;

	*survey = (struct hb_claims_survey){.arena = hb_arena_new(1024)};
	while (ok && (errno = 0, (entry = readdir(stream)) != NULL))
		if (hb_claims_is_endpoint(entry->d_name))
			ok = visit(tree, entry->d_name, enter, survey, err);
	if (entry == NULL && (!ok || errno != 0))
		ok = hb_claims_fail(err, tree->path, "reading it");
	if (stream != NULL)
		closedir(stream);
	if (survey->count > 0)
		qsort(survey->files, survey->count, sizeof(*survey->files),
		    compare_ages);
	return ok;
}

void
hb_claims_survey_fini(struct hb_claims_survey *survey)
{
	hb_arena_free(survey->arena);
	free(survey->files);
}
