/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c - "claim list" and "claim get"
 *
 * A body is named by its digest as in the event's dataref, with or without the
 * URN around it, or by the beginning of it, if that is only one's. What came
 * is compared with the digest before anything of it is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "hookbridge/claim.h"
#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "table.h"
#include "units.h"

#define PREFIX_MIN 8
#define PREFIX_SHOWN 16

const char hb_ctl_claim_list_help[] =
    "Lists the bodies of events that were published with a reference, the\n"
    "oldest first. Digests are shown by their beginning, which is enough for\n"
    "claim get; --json has them whole.\n";

const char hb_ctl_claim_get_help[] =
    "Fetches the body that an event's dataref names. DIGEST may be the whole\n"
    "reference, the digest, or its beginning.\n"
    "\n"
    "      --out FILE       write it to a new file of mode 0600, instead of\n"
    "                       stdout; a file that exists is left alone\n";

/* --- the list ------------------------------------------------------------- */

static const struct hb_table_column columns[] = {
	{ "DIGEST", false, false },
	{ "ENDPOINT", false, true },
	{ "SIZE", true, false },
	{ "KEPT", true, false },
	{ NULL, false, false },
};

static void
put_row(struct hb_table *table, const json_t *claim)
{
	struct hb_span digest = hb_json_doc_string(claim, "digest");
	int64_t kept_ms = (int64_t)hb_json_doc_count(claim, "kept_ms");
	char text[HB_UNITS_SIZE];

	if (digest.len > PREFIX_SHOWN)
		digest.len = PREFIX_SHOWN;
	hb_table_put(table, digest);
	hb_table_put(table, hb_json_doc_string(claim, "endpoint"));
	hb_table_printf(table, "%s",
	    hb_units_bytes(hb_json_doc_count(claim, "size"), text));
	hb_table_printf(table, "%s",
	    hb_units_ago(kept_ms, hb_clock_wall_ms(), text));
}

static void
print_list(const struct hb_ctl *ctl, const json_t *claims)
{
	struct hb_table *table = hb_table_new(columns);
	json_t *claim;
	size_t i;

	json_array_foreach(claims, i, claim) {
		if (ctl->json)
			hb_json_doc_put(claim);
		else
			put_row(table, claim);
	}
	if (!ctl->json && json_array_size(claims) > 0)
		hb_table_print(table, stdout);
	else if (!ctl->json)
		puts("There are no claimed bodies.");
	hb_table_free(table);
}

int
hb_ctl_claim_list(struct hb_ctl *ctl, int argc, char **argv)
{
	int status = hb_ctl_words(ctl, argc, argv, 0, 0);
	json_t *doc = NULL;

	if (status == EX_OK)
		doc = hb_client_post_once(ctl, "/api/v1/claims", NULL, &status);
	if (doc == NULL)
		return status;
	print_list(ctl, json_object_get(doc, "claims"));
	json_decref(doc);
	return hb_ctl_finish(EX_OK);
}

/* --- which one ------------------------------------------------------------ */

struct get {
	const struct hb_ctl *ctl;
	struct hb_client *client;
	const char *name; /* as it was given, without the URN */
	char digest[HB_CLAIM_DIGEST + 1];
	const char *out; /* a file, or NULL: stdout */
};

static bool
is_digest(const char *text)
{
	size_t len = strlen(text);

	return len >= PREFIX_MIN && len <= HB_CLAIM_DIGEST &&
	    strspn(text, "0123456789abcdef") == len;
}

/* The one that begins like this; EX_OK, or told. */
static int
choose(struct get *get, const json_t *claims)
{
	struct hb_span name = hb_span_of(get->name);
	unsigned found = 0;
	json_t *claim;
	size_t i;

	json_array_foreach(claims, i, claim) {
		struct hb_span digest = hb_json_doc_string(claim, "digest");

		/* Of two endpoints it is the same body. */
		if (digest.len != HB_CLAIM_DIGEST ||
		    !hb_span_starts(digest, name) ||
		    hb_span_eq(digest, hb_span_of(get->digest)))
			continue;
		memcpy(get->digest, digest.ptr, digest.len);
		found++;
	}
	if (found == 0)
		return hb_ctl_fail(EXIT_FAILURE, "there is no body whose "
		    "digest begins with %s", get->name);
	if (found > 1)
		return hb_ctl_fail(EX_USAGE, "several digests begin with %s; "
		    "write more of it", get->name);
	return EX_OK;
}

static int
resolve(struct get *get)
{
	int status = EX_OK;
	json_t *doc;

	if (strlen(get->name) == HB_CLAIM_DIGEST) {
		memcpy(get->digest, get->name, HB_CLAIM_DIGEST);
		return EX_OK;
	}
	doc = hb_client_get(get->client, "/api/v1/claims", &status);
	if (doc == NULL)
		return status;
	status = choose(get, json_object_get(doc, "claims"));
	json_decref(doc);
	return status;
}

/* --- the body ------------------------------------------------------------- */

static bool
is_whole(const struct get *get, struct hb_span body)
{
	uint8_t sum[HB_SHA256_SIZE];
	char hex[2 * HB_SHA256_SIZE];

	hb_sha256(body, sum);
	hb_hex(sum, sizeof(sum), hex);
	return memcmp(hex, get->digest, sizeof(hex)) == 0;
}

/* errno tells why not. */
static bool
write_file(const char *file, struct hb_span body)
{
	int fd = open(file,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool ok;
	int error;

	if (out == NULL)
		return false;
	ok = fwrite(body.ptr, 1, body.len, out) == body.len;
	error = errno;
	if (fclose(out) != 0 && ok) {
		ok = false;
		error = errno;
	}
	if (!ok)
		(void)unlink(file);
	errno = error;
	return ok;
}

static int
save(const struct get *get, struct hb_span body)
{
	char *shown = hb_ctl_escape(hb_span_of(get->out));
	char size[HB_UNITS_SIZE];
	int status = EX_OK;

	if (!write_file(get->out, body))
		status = hb_ctl_fail(
		    errno == EACCES || errno == EPERM ? EX_NOPERM : EX_IOERR,
		    "cannot make \"%s\": %s", shown, strerror(errno));
	else if (get->ctl->json)
		status = hb_json_doc_print(json_pack("{s:o, s:s, s:I}", "file",
		    hb_json_doc_text(hb_span_of(get->out)), "digest",
		    get->digest, "size", (json_int_t)body.len));
	else
		printf("%s: %s\n", shown, hb_units_bytes(body.len, size));
	free(shown);
	return hb_ctl_finish(status);
}

static int
fetch(const struct get *get)
{
	struct hb_client_answer answer;
	struct hb_span body;
	char path[128];
	int status;

	snprintf(path, sizeof(path), "/api/v1/claims/%s", get->digest);
	status = hb_client_ask(get->client, path, NULL, &answer);
	if (status != EX_OK)
		return status;
	body = hb_span_make(answer.text, answer.len);
	if (!hb_client_is_yes(&answer)) {
		status = hb_client_refuse(&answer);
	} else if (!is_whole(get, body)) {
		status = hb_ctl_fail(EX_IOERR, "what came does not have the "
		    "digest %s; nothing was written", get->digest);
	} else if (get->out != NULL) {
		status = save(get, body);
	} else {
		fwrite(body.ptr, 1, body.len, stdout);
		status = hb_ctl_finish(EX_OK);
	}
	hb_client_answer_fini(&answer);
	return status;
}

/* --- the command ---------------------------------------------------------- */

static int
run(struct get *get)
{
	int status = EX_OK;

	get->client = hb_client_open(get->ctl, &status);
	if (get->client == NULL)
		return status;
	status = resolve(get);
	if (status == EX_OK)
		status = fetch(get);
	hb_client_close(get->client);
	return status;
}

/* EX_OK, or EX_USAGE after it has been told. */
static int
check_words(struct get *get, int count, char **words)
{
	const size_t urn = strlen(HB_CLAIM_URN);

	if (count != 1)
		return hb_ctl_usage(get->ctl, "name one body by its digest");
	get->name = words[0];
	if (strncmp(get->name, HB_CLAIM_URN, urn) == 0)
		get->name += urn;
	if (!is_digest(get->name))
		return hb_ctl_usage(get->ctl, "expected a digest, or %d of its "
		    "hexadecimal digits or more", PREFIX_MIN);
	if (get->out == NULL && get->ctl->json)
		return hb_ctl_usage(get->ctl, "--json never shows a body; name "
		    "a file with --out");
	if (get->out == NULL && isatty(STDOUT_FILENO))
		return hb_ctl_usage(get->ctl, "a terminal would obey what is "
		    "in a body; name a file with --out");
	return EX_OK;
}

int
hb_ctl_claim_get(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_OUT = HB_CTL_OPT_OWN };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "out", required_argument, NULL, OPT_OUT },
		{ NULL, 0, NULL, 0 },
	};
	struct get get = { .ctl = ctl };
	int c, status;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		get.out = optarg;
	}
	status = check_words(&get, argc - optind, argv + optind);
	return status == EX_OK ? run(&get) : status;
}
