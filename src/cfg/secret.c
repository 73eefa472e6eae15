/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - secrets come from files or the environment, never from the YAML
 *
 * "file:NAME" is looked for in $CREDENTIALS_DIRECTORY (systemd's LoadCredential
 * puts it there), then in the configuration's own directory; an absolute NAME
 * is taken as it is. A file is opened without following a link at its end and
 * judged by what was opened: regular, owned by root or by us, no rights for
 * group and others. Credentials of systemd may be readable by their group
 * (mode 0440), since the directory itself is closed to others.
 *
 * White space at the end is not part of the secret. What was read lives in one
 * place (vault.c), which is wiped when the configuration is freed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/crypto.h"
#include "hookbridge/secret.h"
#include "load.h"

#define MAX_SECRET 4096
#define FILE_PREFIX "file:"
#define ENV_PREFIX "env:"

bool
hb_secret_is_source(const char *text)
{
	struct hb_span s = hb_span_of(text);

	return hb_span_starts(s, HB_SPAN(FILE_PREFIX)) ||
	    hb_span_starts(s, HB_SPAN(ENV_PREFIX));
}

static struct hb_secret *
new_secret(struct hb_load *ld, const struct hb_node *node, const char *data,
    size_t len)
{
	struct hb_secret *secret =
	    hb_arena_calloc(ld->arena, 1, sizeof(*secret));

	secret->source = hb_arena_strdup(ld->arena, node->text);
	secret->data = hb_vault_alloc(ld, len + 1);
	secret->len = len;
	memcpy(secret->data, data, len);
	secret->data[len] = '\0'; /* for those who need a C string */
	return secret;
}

/* --- files ---------------------------------------------------------------- */

/* Where one file: secret was found. */
struct source {
	const char *path;
	const char *shown; /* path, for sentences */
	int fd;
	mode_t forbidden; /* permission bits */
};

static bool
open_in(struct hb_load *ld, struct source *src, const char *directory,
    const char *name, mode_t forbidden)
{
	src->path = directory != NULL
	    ? hb_arena_printf(ld->scratch, "%s/%s", directory, name).ptr
	    : name;
	src->shown = hb_report_quote(ld->report, src->path);
	src->forbidden = forbidden;
	src->fd = open(src->path,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return src->fd >= 0;
}

/* The first place that has the name counts, even if it cannot be opened. */
static bool
open_source(struct hb_load *ld, struct source *src, const char *name)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	if (name[0] == '/')
		return open_in(ld, src, NULL, name, 0077);
	if (credentials != NULL && credentials[0] == '/' &&
	    (open_in(ld, src, credentials, name, 0037) || errno != ENOENT))
		return src->fd >= 0;
	return open_in(ld, src, ld->directory, name, 0077);
}

static bool
is_in_good_hands(struct hb_load *ld, const struct hb_node *node,
    const struct source *src)
{
	struct stat st;

	if (fstat(src->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		hb_report_error(ld->report, node,
		    "expected a regular file, \"%s\" is none", src->shown);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		hb_report_error(ld->report, node,
		    "expected a file owned by root or by us, \"%s\" belongs "
		    "to user %u", src->shown, (unsigned)st.st_uid);
		return false;
	}
	if ((st.st_mode & src->forbidden) != 0) {
		hb_report_error(ld->report, node,
		    "expected a file that only its owner can read, \"%s\" has "
		    "mode %04o", src->shown, (unsigned)st.st_mode & 07777);
		hb_report_remedy(ld->report, "chmod 600 %s", src->shown);
		return false;
	}
	return true;
}

/* Returns the length, or -1; up to size bytes. */
static ssize_t
read_up_to(int fd, char *out, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, out + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static size_t
trimmed_len(const char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	return len;
}

static struct hb_secret *
judge_content(struct hb_load *ld, const struct hb_node *node, const char *path,
    const char *text, ssize_t read_len)
{
	size_t len = read_len > 0 ? (size_t)read_len : 0;

	if (read_len < 0)
		hb_report_error(ld->report, node, "cannot read \"%s\": %s",
		    path, strerror(errno));
	else if (len > MAX_SECRET)
		hb_report_error(ld->report, node,
		    "expected a secret of at most 4KiB, \"%s\" is larger",
		    path);
	else if (memchr(text, '\0', len) != NULL)
		hb_report_error(ld->report, node,
		    "expected a text, \"%s\" holds the character NUL", path);
	else if (trimmed_len(text, len) == 0)
		hb_report_error(ld->report, node,
		    "expected a secret, \"%s\" is empty", path);
	else
		return new_secret(ld, node, text, trimmed_len(text, len));
	return NULL;
}

static void
refuse_open(struct hb_load *ld, const struct hb_node *node,
    const struct source *src, int error)
{
	hb_report_error(ld->report, node, "cannot open \"%s\": %s", src->shown,
	    error == ELOOP ? "it is a symbolic link" : strerror(error));
	if (error == ENOENT)
		hb_report_remedy(ld->report,
		    "make it, mode 0600, with nothing but the secret in it");
	else if (error == ELOOP)
		hb_report_remedy(ld->report, "name the file itself");
}

static struct hb_secret *
load_file(struct hb_load *ld, const struct hb_node *node, const char *name)
{
	char text[MAX_SECRET + 1];
	struct hb_secret *secret = NULL;
	struct source src;

	if (!open_source(ld, &src, name)) {
		refuse_open(ld, node, &src, errno);
		return NULL;
	}
	if (is_in_good_hands(ld, node, &src)) {
		ssize_t len = read_up_to(src.fd, text, sizeof(text));

		secret = judge_content(ld, node, src.shown, text, len);
		hb_wipe(text, sizeof(text));
	}
	close(src.fd);
	return secret;
}

/* --- the environment ------------------------------------------------------ */

static struct hb_secret *
load_env(struct hb_load *ld, const struct hb_node *node, const char *name)
{
	const char *value = getenv(name);
	size_t len = value != NULL ? trimmed_len(value, strlen(value)) : 0;

	if (len == 0) {
		hb_report_error(ld->report, node,
		    "expected a secret, the environment variable is %s",
		    value == NULL ? "not set" : "empty");
		return NULL;
	}
	if (len > MAX_SECRET) {
		hb_report_error(ld->report, node,
		    "expected a secret of at most 4KiB, the environment "
		    "variable is larger");
		return NULL;
	}
	return new_secret(ld, node, value, len);
}

struct hb_secret *
hb_secret_load(struct hb_load *ld, const struct hb_node *node)
{
	static const char expected[] = "expected file:NAME or env:NAME";
	bool is_file;
	const char *name;

	if (node->kind != HB_NODE_SCALAR) {
		hb_report_expected(ld->report, node, "file:NAME or env:NAME");
		return NULL;
	}
	if (!hb_secret_is_source(node->text)) {
		/* The value is not shown: it may be the secret. */
		hb_report_error(ld->report, node, "%s, got %s", expected,
		    node->text[0] != '\0' ? "a literal value"
					  : "an empty text");
		hb_report_remedy(ld->report,
		    "put the secret into a file of mode 0600 beside the "
		    "configuration and write file:NAME");
		return NULL;
	}
	is_file = node->text[0] == 'f';
	name = node->text + strlen(is_file ? FILE_PREFIX : ENV_PREFIX);
	if (name[0] == '\0') {
		hb_report_expected(ld->report, node, "file:NAME or env:NAME");
		return NULL;
	}
	return is_file ? load_file(ld, node, name) : load_env(ld, node, name);
}

/* --- by itself ------------------------------------------------------------ */

static struct hb_secret *
load_stdin(struct hb_load *ld, const struct hb_node *node)
{
	char text[MAX_SECRET + 1];
	ssize_t len = read_up_to(STDIN_FILENO, text, sizeof(text));
	struct hb_secret *secret = judge_content(ld, node, "stdin", text, len);

	hb_wipe(text, sizeof(text));
	return secret;
}

struct hb_secret *
hb_secret_read(struct hb_arena *arena, const char *source,
    const char *directory, const char *name, FILE *out)
{
	struct hb_node node = { .kind = HB_NODE_SCALAR, .text = source };
	struct hb_load ld = { .arena = arena,
		.scratch = hb_arena_new(1024),
		.report = hb_report_new(name),
		.directory = directory };
	struct hb_secret *secret = strcmp(source, "-") == 0
	    ? load_stdin(&ld, &node)
	    : hb_secret_load(&ld, &node);

	hb_report_print(ld.report, out);
	hb_report_free(ld.report);
	hb_arena_free(ld.scratch);
	return secret;
}
