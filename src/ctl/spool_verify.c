/* SPDX-License-Identifier: Apache-2.0 */
/* spool_verify.c - "spool verify": reads the files on disk, with no daemon */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/mem.h"
#include "hookbridge/spool.h"
#include "json_doc.h"

const char hb_ctl_spool_verify_help[] =
    "Reads every record on disk and changes nothing. The daemon may run\n"
    "meanwhile. DIR is a spool.directory, or one of the directories in it;\n"
    "default: as the configuration says.\n";

/* The directories in a spool.directory. */
static const char *const parts[] = { "deliveries", "dead" };

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

static bool
is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The error names the directory, or a file in it. */
static int
refuse(const struct check *check, const struct hb_error *err)
{
	int error = access(check->directory, R_OK | X_OK) == 0 ? 0 : errno;
	char *said = hb_ctl_escape(hb_span_of(err->text));
	int status = EX_IOERR;

	if (error == EACCES && is_directory(check->directory))
		status = EX_NOPERM;
	else if (error != 0)
		status = EX_NOINPUT;
	hb_ctl_fail(status, "%s", said);
	free(said);
	return status;
}

static int
verify(struct check *check)
{
	struct hb_error err;
	bool ok;

	/* It may take long; where the heading is not seen, this is. */
	if (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO))
		fprintf(stderr, "reading %s ...\n", check->shown);
	if (!check->ctl->json && is_directory(check->directory))
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

/* --- a spool -------------------------------------------------------------- */

static char *
path_of(const char *spool, const char *part)
{
	char *path;

	if (asprintf(&path, "%s/%s", spool, part) < 0)
		hb_bug("no memory for a path");
	return path;
}

/* The worse of both. */
static int
verify_spool(const struct hb_ctl *ctl, const char *spool)
{
	int status = EX_OK;

	for (size_t i = 0; i < HB_COUNT(parts); i++) {
		char *directory = path_of(spool, parts[i]);
		int one = verify_directory(ctl, directory);

		status = one > status ? one : status;
		free(directory);
	}
	return status;
}

static bool
is_spool(const char *directory)
{
	bool is = false;

	for (size_t i = 0; i < HB_COUNT(parts); i++) {
		char *path = path_of(directory, parts[i]);

		is |= is_directory(path);
		free(path);
	}
	return is;
}

/* --- the command ---------------------------------------------------------- */

static int
verify_configured(const struct hb_ctl *ctl)
{
	int status = EX_OK;
	struct hb_config *cfg = hb_ctl_load_places(ctl, &status);

	if (cfg == NULL)
		return status;
	if (cfg->spool.directory == NULL)
		status = hb_ctl_fail(EX_CONFIG, "nothing is kept on disk: the "
		    "configuration has no spool.directory");
	else
		status = verify_spool(ctl, cfg->spool.directory);
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
	if (optind == argc)
		status = verify_configured(ctl);
	else if (is_spool(argv[optind]))
		status = verify_spool(ctl, argv[optind]);
	else
		status = verify_directory(ctl, argv[optind]);
	return hb_ctl_finish(status);
}
