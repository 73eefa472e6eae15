/* SPDX-License-Identifier: Apache-2.0 */
/* common.c - what all commands of hookbridgectl read and say alike */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "hookbridge/sink.h"
#include "hookbridge/utf8.h"

#define COLUMNS 80

/* --- saying --------------------------------------------------------------- */

static void HB_PRINTF(1, 0)
complain(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("hookbridgectl: ", stderr);
	vfprintf(stderr, fmt, ap);
	putc('\n', stderr);
}

int
hb_ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	return status;
}

static void
print_usage(FILE *out, const struct hb_ctl_command *command)
{
	fprintf(out, "usage: hookbridgectl [%s] [--json] %s%s%s\n",
	    command->asks_daemon ? "--admin ADDRESS" : "-c FILE", command->name,
	    command->args[0] != '\0' ? " " : "", command->args);
}

int
hb_ctl_usage(const struct hb_ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	print_usage(stderr, ctl->command);
	return EX_USAGE;
}

void
hb_ctl_put(FILE *out, struct hb_span text)
{
	char escaped[16];
	uint32_t c;

	while (text.len > 0) {
		size_t len = hb_utf8_next(text, &c);
		struct hb_span one = hb_span_make(text.ptr, len > 0 ? len : 1);

		if (*one.ptr == '"' || *one.ptr == '\\')
			putc(*one.ptr, out);
		else
			fwrite(escaped, 1,
			    hb_log_escape(one, escaped, sizeof(escaped)), out);
		text = hb_span_skip(text, one.len);
	}
}

void
hb_ctl_put_words(const char *text, size_t indent)
{
	size_t column = indent;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column > indent && column + 1 + len > COLUMNS) {
			printf("\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		hb_ctl_put(stdout, hb_span_make(text, len));
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

char *
hb_ctl_escape(struct hb_span text)
{
	char *escaped = NULL;
	size_t len;
	FILE *out = open_memstream(&escaped, &len);

	if (out == NULL)
		hb_bug("no memory for a text");
	hb_ctl_put(out, text);
	fclose(out);
	return escaped;
}

bool
hb_ctl_has_colour(FILE *out)
{
	const char *refused = getenv("NO_COLOR");

	return (refused == NULL || refused[0] == '\0') && isatty(fileno(out));
}

int
hb_ctl_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return hb_ctl_fail(EX_IOERR, "stdout: %s", strerror(errno));
}

/* --- the words of a command ----------------------------------------------- */

static void HB_NORETURN
print_help(const struct hb_ctl_command *command)
{
	print_usage(stdout, command);
	printf("\n%s", command->help);
	exit(hb_ctl_finish(EX_OK));
}

int
hb_ctl_getopt(struct hb_ctl *ctl, int argc, char **argv,
    const struct option *longs)
{
	for (;;) {
		int c = getopt_long(argc, argv, "c:h", longs, NULL);

		switch (c) {
		case 'c':
			ctl->config = optarg;
			ctl->config_is_given = true;
			break;
		case HB_CTL_OPT_JSON:
			ctl->json = true;
			break;
		case HB_CTL_OPT_ADMIN:
			ctl->admin = optarg;
			break;
		case 'h':
			print_help(ctl->command);
		case '?': /* getopt has said what is wrong */
			print_usage(stderr, ctl->command);
			return '?';
		default:
			return c;
		}
	}
}

int
hb_ctl_words(struct hb_ctl *ctl, int argc, char **argv, int least, int most)
{
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};

	if (hb_ctl_getopt(ctl, argc, argv, longs) == '?')
		return EX_USAGE;
	if (argc - optind < least)
		return hb_ctl_usage(ctl, "%s: a word is missing",
		    ctl->command->name);
	if (argc - optind > most)
		return hb_ctl_usage(ctl, "unexpected word");
	return EX_OK;
}

/* --- asking --------------------------------------------------------------- */

static bool
is_yes(const char *answer)
{
	return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0 ||
	    strcmp(answer, "Y\n") == 0;
}

int
hb_ctl_confirm(bool yes, const char *fmt, ...)
{
	char *what = NULL, answer[16] = "";
	va_list ap;
	int status;

	if (yes)
		return EX_OK;
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		hb_bug("no memory for a question");
	va_end(ap);
	if (!isatty(STDIN_FILENO)) {
		status = hb_ctl_fail(EX_USAGE, "this would %s; say --yes, as "
		    "there is no terminal to ask at", what);
	} else {
		fflush(stdout);
		fprintf(stderr, "hookbridgectl: %s? [y/N] ", what);
		status = fgets(answer, sizeof(answer), stdin) != NULL &&
			is_yes(answer)
		    ? EX_OK
		    : hb_ctl_fail(EXIT_FAILURE, "nothing was done");
	}
	free(what);
	return status;
}

/* --- the configuration ---------------------------------------------------- */

/* Why there is no configuration; what is wrong with it has been printed. */
static int
status_without(const char *file)
{
	if (strcmp(file, "-") == 0 || access(file, R_OK) == 0)
		return EX_CONFIG;
	if (errno == EACCES)
		return hb_ctl_fail(EX_NOPERM, "the configuration may not be "
		    "read; run this as root or as the daemon's user");
	return hb_ctl_fail(EX_NOINPUT, "name the daemon's configuration by "
	    "-c FILE or in HOOKBRIDGE_CONFIG");
}

static struct hb_config *
load_all(const char *file, FILE *report)
{
	return hb_config_load(file, hb_sink_types(), report);
}

/* Warnings are for who checks the configuration, with hookbridged -t. */
static struct hb_config *
load_by(const struct hb_ctl *ctl,
    struct hb_config *(*load)(const char *file, FILE *report), int *status)
{
	struct hb_config *cfg;
	char *faults = NULL;
	size_t len;
	FILE *report = open_memstream(&faults, &len);

	if (report == NULL)
		hb_bug("no memory for a report");
	cfg = load(ctl->config, report);
	fclose(report);
	if (cfg == NULL)
		fputs(faults, stderr);
	free(faults);
	if (cfg == NULL)
		*status = status_without(ctl->config);
	return cfg;
}

struct hb_config *
hb_ctl_load(const struct hb_ctl *ctl, int *status)
{
	return load_by(ctl, load_all, status);
}

struct hb_config *
hb_ctl_load_places(const struct hb_ctl *ctl, int *status)
{
	return load_by(ctl, hb_config_load_places, status);
}

/* Tells the nearest name, or all of them. */
static int
refuse_endpoint(const struct hb_config *cfg, const char *name,
    const char *best)
{
	char file[256], shown[256];

	hb_log_escape(hb_span_of(cfg->file), file, sizeof(file));
	hb_log_escape(hb_span_of(name), shown, sizeof(shown));
	if (best != NULL)
		return hb_ctl_fail(EX_USAGE,
		    "%s has no endpoint \"%s\"; did you mean \"%s\"?", file,
		    shown, best);
	hb_ctl_fail(EX_USAGE, "%s has no endpoint \"%s\"; these are there:",
	    file, shown);
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		fprintf(stderr, "    %s\n", cfg->endpoints[i].name);
	return EX_USAGE;
}

const struct hb_endpoint_conf *
hb_ctl_endpoint(const struct hb_config *cfg, const char *name, int *status)
{
	struct hb_near near;

	hb_near_init(&near, name);
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		if (strcmp(cfg->endpoints[i].name, name) == 0)
			return &cfg->endpoints[i];
		hb_near_offer(&near, cfg->endpoints[i].name);
	}
	*status = refuse_endpoint(cfg, name, near.best);
	return NULL;
}

/* --- files ---------------------------------------------------------------- */

/* Grows as it reads, to one byte over the limit. */
static bool
read_all(int fd, size_t limit, char **out, size_t *len)
{
	size_t size = 0;

	*out = NULL;
	*len = 0;
	for (;;) {
		ssize_t n;

		if (*len == size) {
			size = size == 0 ? 16384 : 2 * size;
			*out = hb_xrealloc(*out, size);
		}
		n = read(fd, *out + *len, size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		*len += (size_t)n;
		if (n == 0 || *len > limit)
			return true;
	}
}

/* The file's descriptor, or -1 and *status after having told why. */
static int
open_file(const struct hb_ctl *ctl, const char *file, const char *shown,
    int *status)
{
	int fd;

	if (strcmp(file, "-") == 0 && strcmp(ctl->config, "-") == 0) {
		*status = hb_ctl_usage(ctl, "stdin is the configuration "
		    "already; name a file");
		return -1;
	}
	if (strcmp(file, "-") == 0)
		return STDIN_FILENO;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		*status = hb_ctl_fail(
		    errno == EACCES ? EX_NOPERM : EX_NOINPUT,
		    "cannot open \"%s\": %s", shown, strerror(errno));
	return fd;
}

struct hb_span
hb_ctl_read(const struct hb_ctl *ctl, const char *file, size_t limit,
    int *status)
{
	char shown[256], *text;
	size_t len;
	bool ok;
	int fd;

	hb_log_escape(hb_span_of(file), shown, sizeof(shown));
	fd = open_file(ctl, file, shown, status);
	if (fd < 0)
		return HB_SPAN_NONE;
	ok = read_all(fd, limit, &text, &len);
	if (!ok)
		*status = hb_ctl_fail(EX_IOERR, "cannot read \"%s\": %s",
		    shown, strerror(errno));
	else if (len > limit)
		*status = hb_ctl_fail(EX_NOINPUT,
		    "\"%s\" is larger than %zu bytes; take a smaller one",
		    shown, limit);
	if (fd != STDIN_FILENO)
		close(fd);
	if (ok && len <= limit)
		return hb_span_make(text, len);
	free(text);
	return HB_SPAN_NONE;
}
