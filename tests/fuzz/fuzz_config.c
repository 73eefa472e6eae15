/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - whole configurations, and what is told of them
 *
 * The input is the file, which comes from stdin. Beside it lie a few secrets;
 * nothing else can be opened, and the environment holds one secret and nothing
 * more.
 *
 * Whatever the file holds, the report must be lines that a terminal shows as
 * they are, in the file's order, with places inside the file and the right
 * sum. A configuration is accepted exactly when there is no error. What is
 * accepted can be dumped; unless something is hidden, the dump loads as the
 * same again; verifiers and a router can be made of it, and the router finds
 * the routes that are found without its index. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "hookbridge/cfg.h"
#include "hookbridge/normalize.h"
#include "hookbridge/route.h"
#include "hookbridge/sink.h"
#include "hookbridge/utf8.h"
#include "hookbridge/verify.h"

/* --- the surroundings ----------------------------------------------------- */

static struct {
	const char *path, *text;
	int fd;
} secrets[] = {
    {"./svix", "whsec_Pz/oZ9k7mVvOq2mV3bYQ0sJxY0gq8k1c\n", -1},
    {"./public", "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n", -1},
    {"./weak", "whsec_AAECAwQ=\n", -1},
    {"./bad", "whsk_AAEC\n", -1},
    {"./token", "a-t0ken-of-16-bytes-or-more\n", -1},
    {"./empty", "\n", -1},
};

/* A file without a name, which is a copy of the text. */
static int
make_file(const char *text, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	fuzz_require(fd >= 0 && fchmod(fd, 0600) == 0);
	fuzz_require(pwrite(fd, text, len, 0) == (ssize_t)len);
	return fd;
}

/* Linked in place of open() and, as it is called with large files, open64(). */
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int
__wrap_open(const char *path, int flags, ...)
{
	char file[32];

	for (size_t i = 0; i < HB_COUNT(secrets); i++) {
		if (strcmp(secrets[i].path, path) != 0)
			continue;
		/* Opened anew: read from the beginning. */
		snprintf(file, sizeof(file), "/proc/self/fd/%d", secrets[i].fd);
		return openat(AT_FDCWD, file, flags & ~O_NOFOLLOW);
	}
	errno = ENOENT;
	return -1;
}

int
__wrap_open64(const char *path, int flags, ...)
{
	return __wrap_open(path, flags);
}

/* *report is for free(). */
static struct hb_config *
load(struct hb_span text, char **report)
{
	size_t len;
	FILE *out = open_memstream(report, &len);
	struct hb_config *cfg;

	fuzz_require(out != NULL);
	fuzz_require(ftruncate(STDIN_FILENO, 0) == 0);
	fuzz_require(
	    pwrite(STDIN_FILENO, text.ptr, text.len, 0) == (ssize_t)text.len);
	fuzz_require(lseek(STDIN_FILENO, 0, SEEK_SET) == 0);
	cfg = hb_config_load("-", hb_sink_types(), out);
	fuzz_require(fclose(out) == 0);
	fuzz_require(strlen(*report) == len);
	return cfg;
}

/* Whether all of this is found: or else nothing would ever be accepted. */
static void
require_surroundings(void)
{
	static const char text[] =
	    "listen: {address: \"127.0.0.1:8080\"}\n"
	    "endpoints:\n"
	    "  s: {path: /s, mode: svix, secrets: [\"file:svix\"]}\n"
	    "  d: {path: /d, mode: direct, token: {in: bearer, secret:"
	    " [\"file:token\", \"env:TOKEN\"]}}\n"
	    "sinks: {f: {type: file, path: /f}}\n"
	    "routes: [{to: {sink: f}}]\n";
	char *report;
	struct hb_config *cfg = load(hb_span_of(text), &report);

	if (cfg == NULL)
		hb_bug("%s", report);
	hb_config_unref(cfg);
	free(report);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = make_file("", 0);

	(void)argc;
	(void)argv;
	fuzz_require(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	close(fd);
	for (size_t i = 0; i < HB_COUNT(secrets); i++)
		secrets[i].fd =
		    make_file(secrets[i].text, strlen(secrets[i].text));
	clearenv();
	setenv("TOKEN", "another-t0ken-of-16-bytes", 1);
	require_surroundings();
	return 0;
}

/* --- the report ----------------------------------------------------------- */

/* What its lines have shown so far. */
struct summary {
	unsigned line, column; /* of the last fault */
	/* Lines; a key may be called "warning", so some of these are errors. */
	unsigned faults, warnings;
	unsigned errors; /* by the sum */
	bool complete;	 /* the sum was the last line */
};

/* No line is what a terminal obeys. */
static void
require_shown(struct hb_span line)
{
	uint32_t c;

	fuzz_require(line.len > 0);
	while (line.len > 0) {
		size_t len = hb_utf8_next(line, &c);

		fuzz_require(len > 0 && !hb_utf8_is_control(c));
		line = hb_span_skip(line, len);
	}
}

static void
read_fault(struct summary *sum, const char *rest, size_t file_len)
{
	unsigned line = 0, column = 0;
	int used = 0;

	if (sscanf(rest, "%u:%u:%n", &line, &column, &used) == 2)
		rest += used;
	fuzz_require(line <= file_len + 1 && column <= file_len + 1);
	fuzz_require(
	    line > sum->line || (line == sum->line && column >= sum->column));
	sum->line = line;
	sum->column = column;
	sum->faults++;
	if (hb_span_starts(hb_span_of(rest), HB_SPAN(" warning: ")))
		sum->warnings++;
}

/* "3 errors, 1 warning" */
static void
read_sum(struct summary *sum, const char *text)
{
	unsigned first = 0, second = 0;
	char word[16] = "", want[64] = "";
	int len = 0;

	sscanf(text, "%u %15[a-z], %u", &first, word, &second);
	if (word[0] == 'e')
		len = sprintf(want, "%u error%s", sum->errors = first,
		    first > 1 ? "s" : "");
	else
		second = first;
	if (second > 0)
		sprintf(want + len, "%s%u warning%s", len > 0 ? ", " : "",
		    second, second > 1 ? "s" : "");
	fuzz_require(strcmp(text, want) == 0);
	fuzz_require(sum->errors + second == sum->faults);
	fuzz_require(second <= sum->warnings);
	sum->complete = true;
}

static struct summary
read_report(char *report, size_t file_len)
{
	struct summary sum = {.complete = report[0] == '\0'};
	char *line, *end;

	for (line = report; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		fuzz_require(end != NULL);
		*end = '\0';
		require_shown(hb_span_of(line));
		if (hb_span_starts(hb_span_of(line), HB_SPAN("stdin:")))
			read_fault(&sum, line + strlen("stdin:"), file_len);
		else if (hb_span_starts(hb_span_of(line), HB_SPAN("    ")))
			fuzz_require(sum.faults > 0);
		else
			read_sum(&sum, line);
		*end = '\n';
		fuzz_require(!sum.complete || end[1] == '\0');
	}
	fuzz_require(sum.complete);
	return sum;
}

/* --- what is accepted ----------------------------------------------------- */

/* For free(). */
static char *
dump(const struct hb_config *cfg)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fuzz_require(out != NULL);
	hb_config_dump(cfg, out);
	fuzz_require(fclose(out) == 0 && strlen(text) == len);
	for (struct hb_span rest = hb_span_of(text); rest.len > 0;)
		require_shown(fuzz_line(&rest));
	return text;
}

static void
require_round_trip(const struct hb_config *cfg)
{
	char *text = dump(cfg), *again, *report;
	struct hb_config *same = load(hb_span_of(text), &report);
	bool hides = strstr(text, " bytes, not shown\n") != NULL;

	if (same == NULL && !hides)
		hb_bug("%s\n%s", text, report);
	if (same != NULL) {
		again = dump(same);
		fuzz_require(hides || strcmp(again, text) == 0);
		free(again);
	}
	hb_config_unref(same);
	free(report);
	free(text);
}

static void
require_verifiers(const struct hb_config *cfg)
{
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		const struct hb_endpoint_conf *endpoint = &cfg->endpoints[i];

		fuzz_require(endpoint->index == i);
		hb_verifier_free(hb_verifier_new(endpoint));
	}
}

/* Whether any route of this kind matches, one after the other. */
static bool
matches(const struct hb_event *ev, bool is_default)
{
	struct hb_span channel;

	for (size_t i = 0; i < ev->cfg->route_count; i++) {
		const struct hb_route_conf *route = &ev->cfg->routes[i];

		if (route->is_default == is_default &&
		    hb_route_mismatch(ev, route, &channel) == NULL)
			return true;
	}
	return false;
}

static void
require_routing(const struct hb_router *router, struct hb_event *ev)
{
	bool any = matches(ev, false) || matches(ev, true);
	struct hb_plan plan;

	hb_route(router, ev, &plan);
	fuzz_require(plan.leg_count <= HB_MAX_DESTINATIONS);
	if (plan.reason == NULL)
		fuzz_require(any && plan.leg_count > 0);
	else if (strcmp(plan.reason, "unrouted") == 0)
		fuzz_require(!any);
	for (size_t i = 0; i < plan.leg_count; i++)
		fuzz_require((plan.legs[i].dest == NULL) ==
			     (plan.legs[i].reason != NULL));
}

/* An event of each endpoint. */
static void
require_router(const struct hb_config *cfg)
{
	static const char body[] =
	    "{\"job_id\":\"job-1\",\"status\":\"Completed\",\"metadata\":"
	    "{\"kind\":\"invoice\",\"n\":10,\"user\":{\"id\":\"u1\"}}}";
	struct hb_router *router = hb_router_new(cfg);

	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		struct hb_event *ev = hb_event_new(
		    cfg, &cfg->endpoints[i], hb_xstrdup(body), strlen(body));
		struct hb_error err;

		ev->webhook_id = HB_SPAN("msg_1");
		if (hb_normalize(ev, &err))
			require_routing(router, ev);
		hb_event_unref(ev);
	}
	hb_router_free(router);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_span text = fuzz_input(data, size);
	char *report;
	struct hb_config *cfg = load(text, &report);
	struct summary sum = read_report(report, size);

	free(report);
	fuzz_require((cfg == NULL) == (sum.errors > 0));
	if (cfg != NULL) {
		require_round_trip(cfg);
		require_verifiers(cfg);
		require_router(cfg);
	}
	hb_config_unref(cfg);
	return 0;
}
