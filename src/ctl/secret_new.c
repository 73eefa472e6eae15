/* SPDX-License-Identifier: Apache-2.0 */
/* secret_new.c - "secret new": a signing secret that nobody has seen
 *
 * With --out it goes into a file of its own and nowhere else: made new with
 * mode 0600 (never over one that exists), synced together with its directory,
 * and removed again if any of that fails. Without, it goes to stdout, but not
 * to a terminal unless --show asks for that: who stands behind would see it,
 * and a terminal's history keeps it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/crypto.h"
#include "hookbridge/io.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "json_doc.h"

#define PREFIX "whsec_"
/* What Svix itself makes. */
#define KEY_SIZE 24
#define TEXT_SIZE (sizeof(PREFIX) - 1 + KEY_SIZE / 3 * 4 + 1)

const char hb_ctl_secret_new_help[] =
    "Makes a signing secret of Svix's kind: whsec_ and 24 random bytes.\n"
    "\n"
    "      --out FILE       write it to a new file of mode 0600, instead of\n"
    "                       printing it; a file that exists is left alone\n"
    "      --show           print it even to a terminal\n";

/* Ends with a newline; no NUL. */
static void
make_secret(char text[TEXT_SIZE])
{
	uint8_t key[KEY_SIZE];

	hb_random(key, sizeof(key));
	memcpy(text, PREFIX, sizeof(PREFIX) - 1);
	hb_base64_encode(key, sizeof(key), text + sizeof(PREFIX) - 1);
	text[TEXT_SIZE - 1] = '\n';
	hb_wipe(key, sizeof(key));
}

/* The name is on disk, too. */
static bool
sync_directory(const char *file)
{
	char *copy = hb_xstrdup(file);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	return ok;
}

/* errno tells why not; then there is no file, or still the old one. */
static bool
write_new(const char *file, const char text[TEXT_SIZE])
{
	int fd = open(file,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error;
	bool ok;

	if (fd < 0)
		return false;
	ok = hb_write_all(fd, text, TEXT_SIZE) && fsync(fd) == 0;
	error = errno;
	if (close(fd) != 0 && ok) {
		ok = false;
		error = errno;
	}
	if (ok && sync_directory(file))
		return true;
	error = ok ? errno : error;
	(void)unlink(file);
	errno = error;
	return false;
}

static int
refuse_file(const char *shown, int error)
{
	if (error == EEXIST)
		return hb_ctl_fail(EX_IOERR, "\"%s\" exists and is left as it "
		    "is; name a new file", shown);
	if (error == EACCES || error == EPERM)
		return hb_ctl_fail(EX_NOPERM, "cannot make \"%s\": %s", shown,
		    strerror(error));
	return hb_ctl_fail(EX_IOERR, "cannot make \"%s\": %s", shown,
	    strerror(error));
}

static int
say_where(const struct hb_ctl *ctl, const char *file, const char *shown)
{
	if (ctl->json) {
		json_t *doc = json_pack("{s:o, s:s, s:i}", "file",
		    hb_json_doc_text(hb_span_of(file)), "kind", "hmac",
		    "bytes", KEY_SIZE);

		return hb_json_doc_print(doc);
	}
	printf("\"%s\" holds a new secret. Name it in an endpoint's secrets\n"
	       "as \"file:%s\", and give the sender the same one.\n", shown,
	    shown);
	return hb_ctl_finish(EX_OK);
}

static int
make(const struct hb_ctl *ctl, const char *file)
{
	char text[TEXT_SIZE], shown[512];
	int status;

	make_secret(text);
	if (file == NULL) {
		fwrite(text, 1, sizeof(text), stdout);
		status = hb_ctl_finish(EX_OK);
	} else {
		hb_log_escape(hb_span_of(file), shown, sizeof(shown));
		status = write_new(file, text)
		    ? say_where(ctl, file, shown)
		    : refuse_file(shown, errno);
	}
	hb_wipe(text, sizeof(text));
	return status;
}

/* Whether the secret may go there; false after it has been told. */
static bool
check_outlet(const struct hb_ctl *ctl, const char *file, bool show)
{
	if (file != NULL && !show)
		return true;
	if (file != NULL)
		hb_ctl_usage(ctl, "--out and --show: take one of them");
	else if (ctl->json)
		hb_ctl_usage(ctl, "--json never shows a secret; name a file "
		    "with --out");
	else if (!show && isatty(STDOUT_FILENO))
		hb_ctl_usage(ctl, "a terminal shows a secret to whoever looks; "
		    "name a file with --out, or add --show");
	else
		return true;
	return false;
}

int
hb_ctl_secret_new(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_OUT = HB_CTL_OPT_OWN, OPT_SHOW };
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ "out", required_argument, NULL, OPT_OUT },
		{ "show", no_argument, NULL, OPT_SHOW },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = NULL;
	bool show = false;
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		if (c == OPT_OUT)
			file = optarg;
		else
			show = true;
	}
	if (optind < argc)
		return hb_ctl_usage(ctl, "unexpected word; a file is named "
		    "by --out");
	return check_outlet(ctl, file, show) ? make(ctl, file) : EX_USAGE;
}
