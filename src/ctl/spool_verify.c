/* SPDX-License-Identifier: Apache-2.0 */
/* spool_verify.c - "spool verify": reads the files on disk, with no daemon */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/mem.h"
#include "hookbridge/spool.h"
#include "json_doc.h"

const char hb_ctl_spool_verify_help[] =
    "Reads every record on disk and changes nothing. The daemon may run\n"
    "meanwhile. DIR is a directory of segments; default: those of the\n"
    "configuration, for deliveries and for dead letters.\n";

/* One directory and what is found there. */
struct check {
	const struct hb_ctl *ctl;
	const char *directory;
	char *shown;
	struct hb_spool_check found;
	json_t *sentences;
};

/* --- what is found -------------------------------------------------------- */

static bool
is_sound(const struct hb_spool_check *found)
{
	return found->damaged == 0 && found->unreadable == 0 &&
	    found->quarantined == 0;
}

static void
on_sentence(void *arg, const char *sentence)
{
	struct check *check = arg;

	if (check->ctl->json) {
		json_array_append_new(check->sentences,
		    hb_json_doc_text(hb_span_of(sentence)));
		return;
	}
	fputs("    ", stdout);
	hb_ctl_put(stdout, hb_span_of(sentence));
	putchar('\n');
}

static void
put_json(const struct check *check)
{
	const struct hb_spool_check *found = &check->found;
	json_t *doc = json_pack(
	    "{s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O}",
	    "directory", hb_json_doc_text(hb_span_of(check->directory)),
	    "sound", is_sound(found), "segments", (json_int_t)found->segments,
	    "sealed", (json_int_t)found->sealed, "records",
	    (json_int_t)found->records, "unsettled",
	    (json_int_t)found->unsettled, "damaged",
	    (json_int_t)found->damaged, "unreadable",
	    (json_int_t)found->unreadable, "quarantined",
	    (json_int_t)found->quarantined, "in_use", found->in_use,
	    "sentences", check->sentences);

	hb_json_doc_put(doc);
	json_decref(doc);
}

static void
put_text(const struct check *check)
{
	const struct hb_spool_check *found = &check->found;

	printf("    %" PRIu64 " file%s, %" PRIu64 " records, %" PRIu64
	    " of them not settled%s\n", found->segments,
	    found->segments == 1 ? "" : "s", found->records, found->unsettled,
	    found->in_use ? "; a daemon writes there meanwhile" : "");
	if (is_sound(found)) {
		puts("    sound");
		return;
	}
	printf("    damaged: %" PRIu64 " places, %" PRIu64
	    " files unreadable, %" PRIu64 " set aside earlier\n",
	    found->damaged, found->unreadable, found->quarantined);
}

/* --- one directory -------------------------------------------------------- */

static int
refuse(const struct check *check, const struct hb_error *err)
{
	int error = access(check->directory, R_OK | X_OK) == 0 ? 0 : errno;

	return hb_ctl_fail(error == ENOENT || error == ENOTDIR ? EX_NOINPUT
		: error == EACCES                              ? EX_NOPERM
							       : EX_IOERR,
	    "%s: %s", check->shown, err->text);
}

static int
verify(struct check *check)
{
	struct hb_error err;
	bool ok;

	/* It may take long; where the heading is not seen, this is. */
	if (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO))
		fprintf(stderr, "reading %s ...\n", check->shown);
	if (!check->ctl->json)
		printf("%s\n", check->shown);
	fflush(stdout);
	ok = hb_spool_verify(check->directory, &check->found, on_sentence,
	    check, &err);
	if (!ok)
		return refuse(check, &err);
	(check->ctl->json ? put_json : put_text)(check);
	return is_sound(&check->found) ? EX_OK : EXIT_FAILURE;
}

static int
verify_directory(const struct hb_ctl *ctl, const char *directory)
{
	struct check check = { .ctl = ctl, .directory = directory };
	int status;

	check.shown = hb_ctl_escape(hb_span_of(directory));
	check.sentences = json_array();
	status = verify(&check);
	json_decref(check.sentences);
	free(check.shown);
	return status;
}

/* --- the command ---------------------------------------------------------- */

/* The worse of both. */
static int
verify_configured(const struct hb_ctl *ctl)
{
	static const char *const parts[] = { "deliveries", "dead" };
	int status = EX_OK;
	struct hb_config *cfg = hb_ctl_load_places(ctl, &status);

	if (cfg == NULL)
		return status;
	if (cfg->spool.directory == NULL)
		status = hb_ctl_fail(EX_CONFIG, "nothing is kept on disk: the "
		    "configuration has no spool.directory");
	for (size_t i = 0; cfg->spool.directory != NULL && i < HB_COUNT(parts);
	     i++) {
		char *directory;
		int one;

		if (asprintf(&directory, "%s/%s", cfg->spool.directory,
			parts[i]) < 0)
			hb_bug("no memory for a path");
		one = verify_directory(ctl, directory);
		status = one > status ? one : status;
		free(directory);
	}
	hb_config_unref(cfg);
	return status;
}

int
hb_ctl_spool_verify(struct hb_ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	int status;

	if (hb_ctl_getopt(ctl, argc, argv, longs) == '?')
		return EX_USAGE;
	if (argc - optind > 1)
		return hb_ctl_usage(ctl, "one directory at a time");
	status = optind < argc ? verify_directory(ctl, argv[optind])
			       : verify_configured(ctl);
	return hb_ctl_finish(status);
}
