/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - what would become of a webhook: read, previewed, told
 *
 * The request is put together as it would come over the wire and goes through
 * the daemon's own stages (preview.h). Nothing is sent, nothing is written.
 *
 * Without anything that could prove it, a request is not refused for that: the
 * main use is a body alone. What stands in --header and --target is judged as
 * the daemon would judge it, at the time of --at. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"
#include "explain.h"
#include "hookbridge/clock.h"
#include "json_doc.h"
#include "units.h"

/* The largest http.body_size there is: what is larger is no webhook. */
#define BODY_MAX ((size_t)1 << 30)
#define HEAD_MAX ((size_t)1 << 20)
#define FIELDS_MAX 200

const char hb_ctl_explain_help[] =
    "Shows what would become of a webhook with this body: verification, the\n"
    "event, each route and why it does not match, the messages, the answer.\n"
    "Nothing is sent. BODY is a file; default: stdin.\n"
    "\n"
    "      --header 'N: V'  a header of the request, again for each; the\n"
    "                       signature is checked if there is any\n"
    "      --header @FILE   those of a file, one on each line\n"
    "      --target PATH    path and query; default: the endpoint's path\n"
    "      --peer ADDRESS   where it comes from; default: somewhere allowed\n"
    "      --at TIME        when it came: 2026-01-01T00:00:00.000Z or Unix\n"
    "                       seconds; default: now\n"
    "      --no-verify      go on although verification fails\n"
    "  -c, --config FILE    the daemon's configuration\n"
    "      --json           print one JSON document\n"
    "\n"
    "Exit codes: 0 it would be accepted (2xx), 1 it would not, 64 usage,\n"
    "66 no such file, 78 the configuration is not valid.\n"
    "\n"
    "  hookbridgectl explain production body.json\n";

enum {
	OPT_HEADER = HB_CTL_OPT_OWN,
	OPT_TARGET,
	OPT_PEER,
	OPT_AT,
	OPT_NO_VERIFY
};

struct options {
	struct hb_arena *arena; /* of what is read from files */
	const char *fields[FIELDS_MAX];
	size_t field_count;
	const char *target;
	const char *peer;
	const char *at;
	bool no_verify;
	const char *endpoint, *body;
};

/* --- options -------------------------------------------------------------- */

/* Whether "name: value" has this name. */
static bool
is_field(const char *field, struct hb_span name)
{
	return strncasecmp(field, name.ptr, name.len) == 0 &&
	    field[name.len] == ':';
}

static bool
has_field(const struct options *opts, struct hb_span name)
{
	for (size_t i = 0; i < opts->field_count; i++)
		if (is_field(opts->fields[i], name))
			return true;
	return false;
}

/* EX_OK, or what to exit with. */
static int
add_field(const struct hb_ctl *ctl, struct options *opts, const char *field)
{
	if (strpbrk(field, "\r\n") != NULL || strchr(field, ':') == NULL)
		return hb_ctl_usage(ctl, "--header: expected one line, "
		    "\"Name: value\"");
	if (opts->field_count == FIELDS_MAX)
		return hb_ctl_usage(ctl, "--header: more than %d headers",
		    FIELDS_MAX);
	opts->fields[opts->field_count++] = field;
	return EX_OK;
}

/* The same for each line of a file. */
static int
add_fields_of(const struct hb_ctl *ctl, struct options *opts, const char *file)
{
	int status = EX_OK;
	struct hb_span text;
	char *rest, *line;

	if (strcmp(file, "-") == 0)
		return hb_ctl_usage(ctl, "--header: stdin is for the body; "
		    "name a file");
	text = hb_ctl_read(ctl, file, HEAD_MAX, &status);
	if (!hb_span_is_set(text))
		return status;
	rest = (char *)hb_arena_dup(opts->arena, text).ptr;
	free((char *)text.ptr);
	while (status == EX_OK && (line = strsep(&rest, "\n")) != NULL) {
		line[strcspn(line, "\r")] = '\0';
		if (line[0] != '\0')
			status = add_field(ctl, opts, line);
	}
	return status;
}

static int
take_option(const struct hb_ctl *ctl, struct options *opts, int c)
{
	switch (c) {
	case OPT_HEADER:
		return optarg[0] == '@' ? add_fields_of(ctl, opts, optarg + 1)
		    : add_field(ctl, opts, optarg);
	case OPT_TARGET:
		opts->target = optarg;
		return strpbrk(optarg, " \t\r\n") == NULL && optarg[0] == '/'
		    ? EX_OK : hb_ctl_usage(ctl, "--target: expected a path "
			  "that begins with \"/\"");
	case OPT_PEER:
		opts->peer = optarg;
		return EX_OK;
	case OPT_AT:
		opts->at = optarg;
		return EX_OK;
	case OPT_NO_VERIFY:
		opts->no_verify = true;
		return EX_OK;
	default: /* has been told */
		return EX_USAGE;
	}
}

static int
read_options(struct hb_ctl *ctl, int argc, char **argv, struct options *opts)
{
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ "header", required_argument, NULL, OPT_HEADER },
		{ "target", required_argument, NULL, OPT_TARGET },
		{ "peer", required_argument, NULL, OPT_PEER },
		{ "at", required_argument, NULL, OPT_AT },
		{ "no-verify", no_argument, NULL, OPT_NO_VERIFY },
		{ NULL, 0, NULL, 0 },
	};
	int c, status;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		status = take_option(ctl, opts, c);
		if (status != EX_OK)
			return status;
	}
	if (optind == argc)
		return hb_ctl_usage(ctl, "name the endpoint");
	if (argc - optind > 2)
		return hb_ctl_usage(ctl, "one body at a time");
	opts->endpoint = argv[optind];
	opts->body = optind + 1 < argc ? argv[optind + 1] : "-";
	return EX_OK;
}

/* --- what the options say ------------------------------------------------- */

static bool
read_address(const char *text, struct in6_addr *out)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) != 1)
		return inet_pton(AF_INET6, text, out) == 1;
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(out->s6_addr + 12, &v4, sizeof(v4));
	return true;
}

/* Time and address; EX_OK, or what to exit with. */
static int
read_circumstances(const struct hb_ctl *ctl, const struct options *opts,
    struct hb_explain *x)
{
	struct in6_addr *peer;

	x->req.at_ms = hb_clock_wall_ms();
	if (opts->at != NULL && !hb_units_read_time(opts->at, &x->req.at_ms))
		return hb_ctl_usage(ctl, "--at: expected a time such as "
		    "2026-01-01T00:00:00.000Z, or Unix seconds");
	if (opts->peer == NULL)
		return EX_OK;
	peer = hb_arena_alloc(x->arena, sizeof(*peer));
	if (!read_address(opts->peer, peer))
		return hb_ctl_usage(ctl, "--peer: expected an IP address");
	x->req.peer = peer;
	return EX_OK;
}

/* --- the request ---------------------------------------------------------- */

/* How a body came is over when it stands in a file. */
static bool
is_framing(const char *field)
{
	return is_field(field, HB_SPAN("content-length")) ||
	    is_field(field, HB_SPAN("transfer-encoding"));
}

/* Another length than the body has explains most signatures that fail. */
static void
compare_length(const char *field, size_t body_len)
{
	unsigned long long length;

	if (!is_field(field, HB_SPAN("content-length")) ||
	    sscanf(strchr(field, ':') + 1, "%llu", &length) != 1 ||
	    length == body_len)
		return;
	hb_ctl_fail(EX_OK, "warning: Content-Length is %llu, but the body has "
	    "%zu bytes; give it byte for byte as it was sent", length,
	    body_len);
}

static struct hb_span
make_head(const struct options *opts, struct hb_explain *x)
{
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);
	struct hb_span head;

	if (out == NULL)
		hb_bug("no memory for a request");
	fprintf(out, "POST %s HTTP/1.1\r\n",
	    opts->target != NULL ? opts->target : x->endpoint->path);
	if (!has_field(opts, HB_SPAN("host")))
		fputs("Host: localhost\r\n", out);
	for (size_t i = 0; i < opts->field_count; i++) {
		compare_length(opts->fields[i], x->req.body.len);
		if (!is_framing(opts->fields[i]))
			fprintf(out, "%s\r\n", opts->fields[i]);
	}
	fprintf(out, "Content-Length: %zu\r\n\r\n", x->req.body.len);
	if (fclose(out) != 0)
		hb_bug("no memory for a request");
	head = hb_arena_dup(x->arena, hb_span_make(text, len));
	free(text);
	return head;
}

/* --- the verdict ---------------------------------------------------------- */

/* Editors and shells put a newline behind a body that was sent without it. */
static void
try_without_newline(struct hb_explain *x)
{
	struct hb_preview_request req = x->req;
	const struct hb_preview *p = &x->preview;
	struct hb_preview other;

	if (p->verdict < HB_VERDICT_BAD || req.body.len == 0 ||
	    req.body.ptr[req.body.len - 1] != '\n' ||
	    strcmp(p->refusal.reason, "no_matching_signature") != 0)
		return;
	req.body.len--;
	hb_preview_make(&req, &other);
	x->newline_breaks = other.verdict == HB_VERDICT_GOOD;
	hb_preview_fini(&other);
}

/* Whether the target is this endpoint's, or nobody's. */
static int
check_target(const struct hb_ctl *ctl, const struct hb_explain *x)
{
	const struct hb_endpoint_conf *owner = x->preview.endpoint;

	if (owner == NULL || owner == x->endpoint)
		return EX_OK;
	return hb_ctl_usage(ctl, "--target: the path belongs to the endpoint "
	    "\"%s\"; explain that one, or correct it", owner->name);
}

static int
tell(const struct hb_ctl *ctl, struct hb_explain *x)
{
	int status = check_target(ctl, x);

	if (status != EX_OK)
		return status;
	try_without_newline(x);
	if (ctl->json) {
		status = hb_json_doc_print(hb_explain_json(x));
	} else {
		hb_explain_text(x, stdout, hb_ctl_has_colour(stdout));
		status = hb_ctl_finish(EX_OK);
	}
	return status == EX_OK && x->preview.answer.code >= 300 ? 1 : status;
}

static int
explain(const struct hb_ctl *ctl, const struct options *opts,
    struct hb_explain *x)
{
	int status = read_circumstances(ctl, opts, x);

	if (status != EX_OK)
		return status;
	x->endpoint = hb_ctl_endpoint(x->req.cfg, opts->endpoint, &status);
	if (x->endpoint == NULL)
		return status;
	if (strcmp(opts->body, "-") == 0 && isatty(STDIN_FILENO))
		fputs("The body, please; Ctrl-D ends it.\n", stderr);
	x->req.body = hb_ctl_read(ctl, opts->body, BODY_MAX, &status);
	if (!hb_span_is_set(x->req.body))
		return status;
	x->req.head = make_head(opts, x);
	x->has_proof = opts->field_count > 0 || opts->target != NULL;
	x->req.lenient = opts->no_verify || !x->has_proof;
	hb_preview_make(&x->req, &x->preview);
	status = tell(ctl, x);
	hb_preview_fini(&x->preview);
	free((char *)x->req.body.ptr);
	return status;
}

int
hb_ctl_explain(struct hb_ctl *ctl, int argc, char **argv)
{
	struct hb_explain x = { .arena = hb_arena_new(8192) };
	struct options opts = { .arena = x.arena };
	struct hb_config *cfg = NULL;
	int status = read_options(ctl, argc, argv, &opts);

	if (status == EX_OK)
		cfg = hb_ctl_load(ctl, &status);
	if (cfg != NULL) {
		x.req.cfg = cfg;
		status = explain(ctl, &opts, &x);
	}
	hb_arena_free(x.arena);
	hb_config_unref(cfg);
	return status;
}
