/* SPDX-License-Identifier: Apache-2.0 */
/* secret_check.c - "secret check": whether the daemon would take a secret
 *
 * It is read by the daemon's own rules. A text that begins as secrets of Svix
 * do is judged as one; any other may also be the token of a direct webhook, and
 * is judged as both. What it says is never shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/arena.h"
#include "hookbridge/mem.h"
#include "hookbridge/secret.h"
#include "hookbridge/svix_key.h"
#include "json_doc.h"

const char hb_ctl_secret_check_help[] =
    "Says whether the daemon would take the secret in FILE (- for stdin), as\n"
    "what, and of which strength. The exit code is 1 when it would not.\n";

struct verdict {
	const char *file;
	const struct hb_secret *secret; /* NULL: not even read */
	struct hb_svix_key *key; /* NULL: none of Svix, and why */
	struct hb_error why;
	bool may_be_token;
	enum hb_token_fault token;
	bool published;
	struct stat st; /* st_mode 0: not a file */
};

static bool
is_stdin(const char *file)
{
	return strcmp(file, "-") == 0;
}

static const char *
name_of(const struct verdict *v)
{
	return is_stdin(v->file) ? "stdin" : v->file;
}

/* --- judging -------------------------------------------------------------- */

/* "whsec_", "whpk_" or what somebody took for such a prefix. */
static bool
has_prefix(const struct hb_secret *secret)
{
	struct hb_span text =
	    hb_span_make((const char *)secret->data, secret->len);

	return hb_span_starts(text, HB_SPAN("wh")) &&
	    memchr(text.ptr, '_', text.len) != NULL;
}

static void
judge(struct verdict *v)
{
	const struct hb_secret *secret = v->secret;

	v->key = hb_svix_key_parse(
	    hb_span_make((const char *)secret->data, secret->len), &v->why);
	v->may_be_token = !has_prefix(secret);
	v->token = hb_token_judge(secret);
	v->published = hb_secret_is_published(secret);
}

static bool
is_good(const struct verdict *v)
{
	return v->secret != NULL && !v->published &&
	    (v->key != NULL || (v->may_be_token && v->token == HB_TOKEN_GOOD));
}

static bool
is_weak(const struct verdict *v)
{
	return v->key != NULL && v->key->kind == HB_SVIX_HMAC &&
	    v->key->len < HB_SVIX_KEY_WEAK;
}

/* --- for people ----------------------------------------------------------- */

static void
print_key(const struct verdict *v)
{
	fputs("  Svix secret   ", stdout);
	if (v->key == NULL)
		printf("no: %s\n", v->why.text);
	else if (v->key->kind == HB_SVIX_ED25519)
		puts("yes: Ed25519 public key of 32 bytes (256 bits)");
	else
		printf("yes: HMAC-SHA256 key of %zu bytes (%zu bits)%s\n",
		    v->key->len, 8 * v->key->len,
		    v->may_be_token ? ", without whsec_" : "");
}

static void
print_token(const struct verdict *v)
{
	fputs("  direct token  ", stdout);
	switch (v->token) {
	case HB_TOKEN_GOOD:
		printf("yes: %zu bytes\n", v->secret->len);
		break;
	case HB_TOKEN_SHORT:
		printf("no: %zu bytes, at least %d are needed\n",
		    v->secret->len, HB_TOKEN_MIN);
		break;
	case HB_TOKEN_CONTROL:
		puts("no: it has several lines or control characters");
		break;
	}
}

static void
print_verdict(const struct verdict *v)
{
	hb_ctl_put(stdout, hb_span_of(name_of(v)));
	puts(is_good(v) ? ": accepted" : ": refused");
	if (v->secret == NULL)
		return;
	print_key(v);
	if (v->may_be_token)
		print_token(v);
	if (v->st.st_mode != 0)
		printf("  file          mode %04o, owned by user %u\n",
		    (unsigned)v->st.st_mode & 07777, (unsigned)v->st.st_uid);
	if (is_weak(v))
		printf("  warning: keys of Svix have at least %d bytes\n",
		    HB_SVIX_KEY_WEAK);
	if (v->published)
		puts("  It is published as an example, and good on loopback "
		     "listeners only: make\n  one with \"hookbridgectl secret "
		     "new\".");
}

/* --- for programs --------------------------------------------------------- */

static json_t *
key_json(const struct verdict *v)
{
	if (v->key == NULL)
		return json_pack("{s:b, s:s}", "accepted", false, "reason",
		    v->why.reason);
	return json_pack("{s:b, s:s, s:I}", "accepted", true, "kind",
	    v->key->kind == HB_SVIX_HMAC ? "hmac" : "ed25519", "bytes",
	    (json_int_t)(v->key->kind == HB_SVIX_HMAC ? v->key->len
						      : HB_ED25519_KEY_SIZE));
}

static json_t *
token_json(const struct verdict *v)
{
	static const char *const reasons[] = { [HB_TOKEN_SHORT] = "too_short",
		[HB_TOKEN_CONTROL] = "control_characters" };

	if (v->token != HB_TOKEN_GOOD)
		return json_pack("{s:b, s:s}", "accepted", false, "reason",
		    reasons[v->token]);
	return json_pack("{s:b, s:I}", "accepted", true, "bytes",
	    (json_int_t)v->secret->len);
}

static int
print_json(const struct verdict *v)
{
	json_t *doc = json_pack("{s:o, s:b}", "file",
	    hb_json_doc_text(hb_span_of(name_of(v))), "accepted",
	    is_good(v));

	if (v->secret != NULL) {
		json_object_set_new(doc, "svix_secret", key_json(v));
		if (v->may_be_token)
			json_object_set_new(doc, "token", token_json(v));
		json_object_set_new(doc, "weak", json_boolean(is_weak(v)));
		json_object_set_new(doc, "published",
		    json_boolean(v->published));
	}
	if (v->st.st_mode != 0) {
		json_object_set_new(doc, "mode",
		    json_integer(v->st.st_mode & 07777));
		json_object_set_new(doc, "uid", json_integer(v->st.st_uid));
	}
	return hb_json_doc_print(doc);
}

/* --- the command ---------------------------------------------------------- */

/* As an absolute name: relative ones are looked for beside a configuration. */
static struct hb_span
source_of(struct hb_arena *arena, const char *file)
{
	char cwd[4096];

	if (file[0] == '/')
		return hb_arena_printf(arena, "file:%s", file);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return HB_SPAN_NONE;
	return hb_arena_printf(arena, "file:%s/%s", cwd, file);
}

static void
read_secret(struct verdict *v, struct hb_arena *arena)
{
	struct hb_span source = is_stdin(v->file)
	    ? HB_SPAN("-")
	    : source_of(arena, v->file);

	if (!hb_span_is_set(source)) {
		hb_ctl_fail(EX_NOINPUT, "the current directory is gone; name "
		    "the file from /");
		return;
	}
	v->secret =
	    hb_secret_read(arena, source.ptr, "/", name_of(v), stderr);
	if (is_stdin(v->file) || lstat(v->file, &v->st) != 0)
		v->st.st_mode = 0;
}

/* Somebody may give the secret instead of a file: it must not be shown. */
static bool
is_secret_itself(const char *word)
{
	static const char *const prefixes[] = { "whsec_", "whsk_", "whpk_" };

	for (size_t i = 0; i < HB_COUNT(prefixes); i++)
		if (hb_span_starts(hb_span_of(word), hb_span_of(prefixes[i])))
			return access(word, F_OK) != 0;
	return false;
}

/* What is wrong with the secret has been told. */
static int
status_without(const char *file)
{
	if (is_stdin(file) || access(file, R_OK) == 0)
		return EXIT_FAILURE;
	return errno == EACCES ? EX_NOPERM : EX_NOINPUT;
}

static int
check(const struct hb_ctl *ctl, const char *file)
{
	struct hb_arena *arena = hb_arena_new(1024);
	struct verdict v = { .file = file };
	int status, printed = EX_OK;

	read_secret(&v, arena);
	if (v.secret != NULL)
		judge(&v);
	status = v.secret == NULL ? status_without(file)
	    : is_good(&v) ? EX_OK : EXIT_FAILURE;
	if (ctl->json)
		printed = print_json(&v);
	else
		print_verdict(&v);
	if (printed == EX_OK)
		printed = hb_ctl_finish(EX_OK);
	hb_svix_key_free(v.key);
	hb_arena_free(arena);
	return printed != EX_OK ? printed : status;
}

int
hb_ctl_secret_check(struct hb_ctl *ctl, int argc, char **argv)
{
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};

	if (hb_ctl_getopt(ctl, argc, argv, longs) != -1)
		return EX_USAGE;
	if (optind == argc)
		return hb_ctl_usage(ctl, "name the file that holds the secret");
	if (optind + 1 < argc)
		return hb_ctl_usage(ctl, "one file at a time");
	if (is_secret_itself(argv[optind]))
		return hb_ctl_usage(ctl, "this is no file but a secret; put it "
		    "into a file of mode 0600, or give it on stdin (-)");
	return check(ctl, argv[optind]);
}
