/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_secrets.c - where secrets come from, in whose hands they and the
 * configuration must be, what is wrong with some, and that none is shown */
#include "cfg_rig.h"

#include <jansson.h>

#include "hookbridge/svix_key.h"
#include "skip.h"

#define NOBODY 65534

#define SVIX(secrets)                                                    \
	LISTEN "endpoints: {e: {path: /e, mode: svix, secrets: " secrets \
	       "}}\n" SINKS ROUTES
#define DIRECT(token)                                                    \
	LISTEN "endpoints: {d: {path: /d, mode: direct, token: {in: bearer," \
	       " secret: " token "}}}\n" SINKS ROUTES

/* --- what stands in the configuration ------------------------------------- */

static const struct cfg_case literal_cases[] = {
    {SVIX("\"" SECRET "\""),
	"2:48: endpoints.e.secrets: expected file:NAME or env:NAME, got a "
	"literal value\n"
	"    put the secret into a file of mode 0600 beside the configuration "
	"and write file:NAME\n"
	"1 error\n"},
    {SVIX("[\"\", \"file:\", \"env:\"]"),
	"2:49: endpoints.e.secrets[0]: expected file:NAME or env:NAME, got an "
	"empty text\n"
	"    put the secret into a file of mode 0600 beside the configuration "
	"and write file:NAME\n"
	"2:53: endpoints.e.secrets[1]: expected file:NAME or env:NAME, got "
	"\"file:\"\n"
	"2:62: endpoints.e.secrets[2]: expected file:NAME or env:NAME, got "
	"\"env:\"\n"
	"3 errors\n"},
    {SVIX("[]"),
	"2:48: endpoints.e.secrets: expected at least 1, got 0\n"
	"1 error\n"},
    {SVIX("\"env:HB_TEST_UNSET\""),
	"2:48: endpoints.e.secrets: expected a secret, the environment "
	"variable is not set\n"
	"1 error\n"},
    {SVIX("\"env:HB_TEST_EMPTY\""),
	"2:48: endpoints.e.secrets: expected a secret, the environment "
	"variable is empty\n"
	"1 error\n"},
    {SVIX("\"env:HB_TEST_BLANK\""),
	"2:48: endpoints.e.secrets: expected a secret, the environment "
	"variable is empty\n"
	"1 error\n"},
    {SVIX("\"env:HB_TEST_HUGE\""),
	"2:48: endpoints.e.secrets: expected a secret of at most 4KiB, the "
	"environment variable is larger\n"
	"1 error\n"},
    {DIRECT("hunter2hunter2hunter2"),
	"2:69: endpoints.d.token.secret: expected file:NAME or env:NAME, got a "
	"literal value\n"
	"    put the secret into a file of mode 0600 beside the configuration "
	"and write file:NAME\n"
	"1 error\n"},
};

static void
secrets_are_not_literal(void **state)
{
	static char huge[5000];

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	unsetenv("HB_TEST_UNSET");
	setenv("HB_TEST_EMPTY", "", 1);
	setenv("HB_TEST_BLANK", " \r\n", 1);
	setenv("HB_TEST_HUGE", huge, 1);
	cfg_check_all(literal_cases);
}

static void
white_space_at_the_end_is_not_secret(void **state)
{
	static const char yaml[] = LISTEN
	    "endpoints: {d: {path: /d, mode: direct, token: {in: bearer,"
	    " secret: [\"file:spaced\", \"env:HB_TEST_SPACED\"]}}}\n" SINKS
		ROUTES;
	const struct hb_secrets *secrets;
	struct hb_config *cfg;

	(void)state;
	cfg_write("spaced", " one " TOKEN " \t\r\n\n");
	setenv("HB_TEST_SPACED", " two " TOKEN "\n", 1);
	cfg = cfg_load_good(yaml);
	secrets = &cfg->endpoints[0].token.secrets;
	assert_int_equal(secrets->count, 2);
	assert_int_equal(secrets->items[0]->len, strlen(" one " TOKEN));
	assert_memory_equal(
	    secrets->items[0]->data, " one " TOKEN, strlen(" one " TOKEN) + 1);
	assert_string_equal(secrets->items[0]->source, "file:spaced");
	assert_memory_equal(
	    secrets->items[1]->data, " two " TOKEN, strlen(" two " TOKEN) + 1);
	assert_string_equal(secrets->items[1]->source, "env:HB_TEST_SPACED");
	hb_config_unref(cfg);
}

/* --- what stands in the file ---------------------------------------------- */

/* What "file:secret" holds, and what is said of it behind the place. */
static const struct {
	struct hb_span content;
	const char *report;
} svix_cases[] = {
    {HB_SPAN(""), "expected a secret, \"secret\" is empty\n1 error\n"},
    {HB_SPAN(" \n\n"), "expected a secret, \"secret\" is empty\n1 error\n"},
    {HB_SPAN("whsec_a\0b"),
	"expected a text, \"secret\" holds the character NUL\n1 error\n"},
    {HB_SPAN("whsec_"),
	"expected a Svix secret in \"file:secret\": the key is empty\n"
	"1 error\n"},
    {HB_SPAN("whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
	"expected a Svix secret in \"file:secret\": this is a private signing "
	"key (whsk_); a receiver has the public one (whpk_)\n1 error\n"},
    {HB_SPAN("whsk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
	"expected a Svix secret in \"file:secret\": this is a private signing "
	"key (whsk_); a receiver has the public one (whpk_)\n1 error\n"},
    {HB_SPAN("whxyz_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"),
	"expected a Svix secret in \"file:secret\": unknown kind of secret; "
	"expected whsec_ or whpk_\n1 error\n"},
    /* Cut short by copying: the padding, a character. */
    {HB_SPAN("whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hj"),
	"expected a Svix secret in \"file:secret\": not padded base64 (31 "
	"characters); copy the whole secret again\n1 error\n"},
    {HB_SPAN("whsec_%%%%"),
	"expected a Svix secret in \"file:secret\": not padded base64 (4 "
	"characters); copy the whole secret again\n1 error\n"},
    {HB_SPAN("whsec_vQ7hTn3kXy9Lr2Wm\n5Zp8Bs1Dc4Fg6Hjk"),
	"expected a Svix secret in \"file:secret\": not padded base64 (33 "
	"characters); copy the whole secret again\n1 error\n"},
    {HB_SPAN("whpk_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hjk"),
	"expected a Svix secret in \"file:secret\": a public key (whpk_) is 32 "
	"bytes of base64, this one is 24\n1 error\n"},
    {HB_SPAN("whsec_vQ7hTn3kXy9Lr2Wm"),
	"warning: the key in \"file:secret\" has 12 bytes; keys of Svix have "
	"at least 24\n1 warning\n"},
    {HB_SPAN("whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hjk\r\n"), NULL},
    {HB_SPAN("vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hjk"), NULL},
};

/* "2:48: warning: endpoints.e.secrets: rest" to "warning: rest". */
static void
cut_place(char *report, const char *place, const char *path)
{
	cfg_cut(report, place);
	cfg_cut(report, path);
}

static void
svix_secrets_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(svix_cases); i++) {
		const char *wanted = svix_cases[i].report;
		struct hb_config *cfg;
		char *report;

		cfg_write_mode("secret", svix_cases[i].content.ptr,
		    svix_cases[i].content.len, 0600);
		cfg = cfg_load(SVIX("\"file:secret\""), &report);
		cut_place(report, "2:48: ", "endpoints.e.secrets: ");
		assert_string_equal(report, wanted != NULL ? wanted : "");
		free(report);
		hb_config_unref(cfg);
	}
}

static void
keys_stand_beside_their_secrets(void **state)
{
	struct hb_config *cfg;

	(void)state;
	cfg_write("secret", "whpk_"
			    "S0vt0Yl0xeCFJQ7pBk4RZxK0k3Hn6B1m0y8d3m3Qm1Y=");
	cfg = cfg_load_good(SVIX("[\"file:e.secret\", \"file:secret\"]"));
	assert_int_equal(cfg->endpoints[0].secrets.count, 2);
	assert_int_equal(cfg->endpoints[0].svix_keys[0]->kind, HB_SVIX_HMAC);
	assert_int_equal(cfg->endpoints[0].svix_keys[1]->kind, HB_SVIX_ED25519);
	hb_config_unref(cfg);
}

static const struct {
	const char *content, *report;
} token_cases[] = {
    {"fifteen-bytes-x",
	"expected a token of at least 16 bytes, \"file:secret\" has 15\n"
	"    make one: head -c 24 /dev/urandom | base64\n"
	"1 error\n"},
    {"sixteen-bytes-xx", ""},
    {"two-tokens-of-16\nbytes-on-2-lines\n",
	"expected a token on one line, \"file:secret\" has several or holds "
	"control characters\n"
	"    several tokens are a list of several files\n"
	"1 error\n"},
};

static void
secrets_are_counted(void **state)
{
	static char nine[] =
	    "[\"env:S1\", \"env:S2\", \"env:S3\", \"env:S4\", \"env:S5\","
	    " \"env:S6\", \"env:S7\", \"env:S8\", \"env:S9\"]";
	char yaml[512], *report;

	(void)state;
	for (int i = 1; i <= 9; i++) {
		char secret[] = "whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hj0";
		char name[8];

		snprintf(name, sizeof(name), "S%d", i);
		secret[sizeof(secret) - 2] = (char)('0' + i);
		setenv(name, secret, 1);
	}
	snprintf(yaml, sizeof(yaml),
	    LISTEN "endpoints: {e: {path: /e, mode: svix, secrets: %s}}\n" SINKS
		ROUTES, nine);
	assert_null(cfg_load(yaml, &report));
	assert_string_equal(report,
	    "2:48: endpoints.e.secrets: expected at most 8, got 9\n"
	    "2:48: warning: endpoints.e.secrets: 9 secrets: each costs time "
	    "for every webhook; remove those that are no longer used\n"
	    "1 error, 1 warning\n");
	free(report);
}

static void
tokens_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(token_cases); i++) {
		struct hb_config *cfg;
		char *report;

		cfg_write("secret", token_cases[i].content);
		cfg = cfg_load(DIRECT("\"file:secret\""), &report);
		cut_place(report, "2:69: ", "endpoints.d.token.secret: ");
		assert_string_equal(report, token_cases[i].report);
		free(report);
		hb_config_unref(cfg);
	}
}

/* --- in whose hands ------------------------------------------------------- */

static const struct cfg_case hands = {
    SVIX("[\"file:readable\", \"file:group\", \"file:link\","
	 " \"file:missing\", \"file:directory\", \"file:fifo\"]"),
    "2:48: warning: endpoints.e.secrets: 6 secrets: each costs time for every "
    "webhook; remove those that are no longer used\n"
    "2:49: endpoints.e.secrets[0]: expected a file that only its owner can "
    "read, \"readable\" has mode 0604\n"
    "    chmod 600 readable\n"
    "2:66: endpoints.e.secrets[1]: expected a file that only its owner can "
    "read, \"group\" has mode 0640\n"
    "    chmod 600 group\n"
    "2:80: endpoints.e.secrets[2]: cannot open \"link\": it is a symbolic "
    "link\n"
    "    name the file itself\n"
    "2:93: endpoints.e.secrets[3]: cannot open \"missing\": No such file or "
    "directory\n"
    "    make it, mode 0600, with nothing but the secret in it\n"
    "2:109: endpoints.e.secrets[4]: expected a regular file, \"directory\" is "
    "none\n"
    "2:127: endpoints.e.secrets[5]: expected a regular file, \"fifo\" is "
    "none\n"
    "6 errors, 1 warning\n"};

static void
secrets_are_in_good_hands(void **state)
{
	(void)state;
	cfg_write_mode("readable", SECRET, strlen(SECRET), 0604);
	cfg_write_mode("group", SECRET, strlen(SECRET), 0640);
	assert_int_equal(symlink("e.secret", cfg_path("link")), 0);
	assert_int_equal(mkdir(cfg_path("directory"), 0700), 0);
	assert_int_equal(mkfifo(cfg_path("fifo"), 0600), 0);
	cfg_check(&hands);
}

static void
secrets_of_others_are_refused(void **state)
{
	char *report;

	(void)state;
	if (geteuid() != 0)
		SKIP("only root may give files away");
	cfg_write("foreign", SECRET);
	assert_int_equal(chown(cfg_path("foreign"), NOBODY, NOBODY), 0);
	assert_null(cfg_load(SVIX("\"file:foreign\""), &report));
	assert_string_equal(report,
	    "2:48: endpoints.e.secrets: expected a file owned by root or by "
	    "us, \"foreign\" belongs to user 65534\n"
	    "1 error\n");
	free(report);
}

/* LoadCredential's directory comes first; its files may have mode 0440. */
static void
credentials_come_first(void **state)
{
	struct hb_config *cfg;
	char *report;

	(void)state;
	assert_int_equal(mkdir(cfg_path("credentials"), 0700), 0);
	cfg_write("secret", SECRET);
	cfg_write_mode("credentials/secret", OTHER_SECRET,
	    strlen(OTHER_SECRET), 0440);
	setenv("CREDENTIALS_DIRECTORY", cfg_path("credentials"), 1);
	cfg = cfg_load_good(SVIX("[\"file:secret\", \"file:e.secret\"]"));
	assert_memory_equal(cfg->endpoints[0].secrets.items[0]->data,
	    OTHER_SECRET, strlen(OTHER_SECRET) + 1);
	/* What is not there is looked for beside the configuration. */
	assert_memory_equal(cfg->endpoints[0].secrets.items[1]->data, SECRET,
	    strlen(SECRET) + 1);
	hb_config_unref(cfg);

	/* What is there and wrong is not passed over. */
	assert_int_equal(chmod(cfg_path("credentials/secret"), 0444), 0);
	assert_null(cfg_load(SVIX("\"file:secret\""), &report));
	assert_string_equal(report,
	    "2:48: endpoints.e.secrets: expected a file that only its owner "
	    "can read, \"credentials/secret\" has mode 0444\n"
	    "    chmod 600 credentials/secret\n"
	    "1 error\n");
	free(report);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
absolute_names_are_taken_as_they_are(void **state)
{
	char yaml[1024];

	(void)state;
	snprintf(yaml, sizeof(yaml), SVIX("\"file:%s\""),
	    cfg_path("other.secret"));
	hb_config_unref(cfg_load_good(yaml));
}

/* --- the configuration itself --------------------------------------------- */

static void
assert_accepted(void)
{
	char *report;

	hb_config_unref(cfg_load_file(FILE_NAME, &report));
	assert_string_equal(report, "");
	free(report);
}

static void
assert_refused(const char *wanted)
{
	char *report;

	assert_null(cfg_load_file(FILE_NAME, &report));
	cfg_cut(report, cfg_directory);
	assert_string_equal(report, wanted);
	free(report);
}

static void
the_file_is_in_good_hands(void **state)
{
	(void)state;
	/* Reading is no harm: there are no secrets in it. */
	cfg_write_mode(FILE_NAME, BASE, strlen(BASE), 0644);
	assert_accepted();
	cfg_write_mode(FILE_NAME, BASE, strlen(BASE), 0602);
	assert_refused(" expected a file that only its owner can write, "
		       "\"hookbridge.yaml\" can be written by everybody\n"
		       "    chmod go-w hookbridge.yaml\n"
		       "1 error\n");
	cfg_write_mode(FILE_NAME, BASE, strlen(BASE), 0620);
	assert_refused(" expected a file that only its owner can write, "
		       "\"hookbridge.yaml\" can be written by its group\n"
		       "    chmod go-w hookbridge.yaml\n"
		       "1 error\n");
	(void)unlink(cfg_path(FILE_NAME));
	assert_refused(" cannot open it: No such file or directory\n1 error\n");
	assert_int_equal(mkfifo(cfg_path(FILE_NAME), 0600), 0);
	assert_refused(" expected a regular file\n1 error\n");
}

static void
its_directory_is_in_good_hands(void **state)
{
	static const struct {
		mode_t mode;
		const char *who;
	} cases[] = {{0702, "everybody"}, {0720, "its group"},
	    {01702, "everybody"}, {0777, "everybody"}};
	char wanted[256];

	(void)state;
	cfg_write(FILE_NAME, BASE);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		/* A sticky directory is root's, or it protects nobody. */
		if ((cases[i].mode & S_ISVTX) && geteuid() == 0)
			continue;
		assert_int_equal(chmod(cfg_directory, cases[i].mode), 0);
		snprintf(wanted, sizeof(wanted),
		    " expected a directory that only its owner can write, \"\" "
		    "can be written by %s\n"
		    "    chmod go-w \n"
		    "1 error\n",
		    cases[i].who);
		assert_refused(wanted);
	}
	assert_int_equal(chmod(cfg_directory, 0700), 0);
}

/* A link leads where its target's directory counts, too. */
static void
links_are_followed_with_care(void **state)
{
	(void)state;
	assert_int_equal(mkdir(cfg_path("open"), 0700), 0);
	cfg_write("open/real.yaml", BASE);
	(void)unlink(cfg_path(FILE_NAME));
	assert_int_equal(symlink("open/real.yaml", cfg_path(FILE_NAME)), 0);
	assert_accepted();
	assert_int_equal(chmod(cfg_path("open"), 0707), 0);
	assert_refused(" expected a directory that only its owner can write, "
		       "\"open\" can be written by everybody\n"
		       "    chmod go-w open\n"
		       "1 error\n");
	assert_int_equal(chmod(cfg_path("open"), 0700), 0);
	(void)unlink(cfg_path(FILE_NAME));
}

/* Such as /tmp, which is root's: only the owner of a file replaces it there. */
static void
a_sticky_directory_will_do(void **state)
{
	static const char yaml[] = SVIX("\"env:HB_TEST_SECRET\"");
	char path[] = "/tmp/test_cfg.XXXXXX", *report;
	struct stat st;
	int fd;

	(void)state;
	if (stat("/tmp", &st) != 0 || !(st.st_mode & S_ISVTX) || st.st_uid != 0)
		SKIP("/tmp is not root's, or not sticky");
	setenv("HB_TEST_SECRET", SECRET, 1);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	assert_int_equal(close(fd), 0);
	hb_config_unref(cfg_load_file(path, &report));
	assert_string_equal(report, "");
	free(report);
	if (geteuid() == 0) {
		/* Root's daemon, but everybody's neighbour. */
		assert_int_equal(chown(path, NOBODY, NOBODY), 0);
		assert_null(cfg_load_file(path, &report));
		free(report);
	}
	assert_int_equal(unlink(path), 0);
}

static void
files_of_others_are_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		SKIP("only root may give files away");
	cfg_write(FILE_NAME, BASE);
	assert_int_equal(chown(cfg_path(FILE_NAME), NOBODY, NOBODY), 0);
	assert_refused(" expected a file that belongs to root or to us, "
		       "\"hookbridge.yaml\" belongs to user 65534\n"
		       "1 error\n");
}

/* --- secrets of all endpoints --------------------------------------------- */

#define TWO(first, second)                                               \
	"endpoints: {a: {path: /a, mode: svix, secrets: [" first "]},"   \
	" b: {path: /b, mode: svix, secrets: [" second "]}}\n" SINKS ROUTES

static const struct cfg_case together_cases[] = {
    {LISTEN TWO("\"file:e.secret\"", "\"file:e.secret\""),
	"2:104: warning: endpoints.b.secrets[0]: the same secret as "
	"endpoints.a.secrets[0]: whoever has one has both\n"
	"1 warning\n"},
    /* With and without its prefix. */
    {LISTEN TWO("\"file:e.secret\"", "\"file:bare\""),
	"2:104: warning: endpoints.b.secrets[0]: the same secret as "
	"endpoints.a.secrets[0]: whoever has one has both\n"
	"1 warning\n"},
    {LISTEN TWO("\"file:e.secret\"", "\"file:other.secret\""), ""},
    {LISTEN TWO("\"file:published\"", "\"file:e.secret\""), ""},
    {"listen: {address: \"0.0.0.0:80\"}\n" TWO(
	 "\"file:published\"", "\"file:e.secret\""),
	"2:49: endpoints.a.secrets[0]: expected a secret, got one that is "
	"published as an example\n"
	"    examples are good on loopback listeners only\n"
	"1 error\n"},
    {LISTEN TWO("\"file:e.secret\", \"file:s2\", \"file:s3\"",
	 "\"file:other.secret\""),
	""},
    {LISTEN TWO("\"file:e.secret\", \"file:s2\", \"file:s3\", \"file:s4\"",
	 "\"file:other.secret\""),
	"2:48: warning: endpoints.a.secrets: 4 secrets: each costs time for "
	"every webhook; remove those that are no longer used\n"
	"1 warning\n"},
};

static void
secrets_are_seen_together(void **state)
{
	(void)state;
	cfg_write("bare", strchr(SECRET, '_') + 1);
	cfg_write("published", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	cfg_write("s2", "whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hj2");
	cfg_write("s3", "whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hj3");
	cfg_write("s4", "whsec_vQ7hTn3kXy9Lr2Wm5Zp8Bs1Dc4Fg6Hj4");
	cfg_check_all(together_cases);
}

static void
assert_published(const char *secret, const char *yaml)
{
	char *report;

	cfg_write("secret", secret);
	assert_null(cfg_load(yaml, &report));
	if (strstr(report, "published as an example") == NULL)
		fail_msg("%s: %s", secret, report);
	free(report);
}

/* Whoever reads our tests has these. */
static void
our_own_examples_are_published(void **state)
{
	static const char svix[] =
	    "listen: {address: \"0.0.0.0:80\"}\n"
	    "endpoints: {e: {path: /e, mode: svix,"
	    " secrets: \"file:secret\"}}\n" SINKS ROUTES;
	static const char direct[] =
	    "listen: {address: \"0.0.0.0:80\"}\n"
	    "endpoints: {e: {path: /e, mode: direct,"
	    " token: {in: bearer, secret: \"file:secret\"}}}\n" SINKS ROUTES;
	char path[512];
	json_t *vectors, *one, *keys, *key;
	size_t i, k, count = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/unit/vectors/svix-signatures.json",
	    getenv("HB_TESTS"));
	vectors = json_load_file(path, 0, NULL);
	assert_non_null(vectors);
	json_array_foreach(json_object_get(vectors, "cases"), i, one)
	{
		keys = json_object_get(one, "keys");
		json_array_foreach(keys, k, key)
		{
			assert_published(json_string_value(key), svix);
			count++;
		}
	}
	json_array_foreach(json_object_get(vectors, "secret_cases"), i, one)
	{
		if (!json_is_true(json_object_get(one, "ok")))
			continue;
		assert_published(
		    json_string_value(json_object_get(one, "secret")), svix);
		count++;
	}
	assert_true(count > 20);
	json_decref(vectors);
	assert_published("s3cr3t-token-in-metadata", direct);
}

/* --- where they lie ------------------------------------------------------- */

/* The flags of the mapping that holds the address, as in smaps. */
static void
flags_of(const void *ptr, char flags[256])
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long from, to, at = (unsigned long)(uintptr_t)ptr;
	bool is_inside = false;
	char line[512];

	assert_non_null(maps);
	flags[0] = '\0';
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_inside = from <= at && at < to;
		else if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, 256, "%.255s", line);
	}
	assert_int_equal(fclose(maps), 0);
}

static void
secrets_stay_out_of_dumps(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);
	char flags[256];

	(void)state;
	flags_of(cfg->endpoints[0].secrets.items[0]->data, flags);
	if (flags[0] == '\0') {
		hb_config_unref(cfg);
		SKIP("the kernel does not tell");
	}
	assert_non_null(strstr(flags, " dd"));
	hb_config_unref(cfg);
}

/* More than one page of the vault's. */
static void
many_secrets_fit(void **state)
{
	static char yaml[65536], secret[4000];
	struct hb_config *cfg;
	size_t len;

	(void)state;
	memset(secret, 'a', sizeof(secret) - 1);
	len = (size_t)snprintf(yaml, sizeof(yaml), LISTEN "endpoints:\n");
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "token%d", i);
		secret[0] = (char)('a' + i);
		cfg_write(name, secret);
		len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
		    "  e%d: {path: /%d, mode: direct, token: {in: bearer,"
		    " secret: \"file:%s\"}}\n",
		    i, i, name);
	}
	snprintf(yaml + len, sizeof(yaml) - len, SINKS ROUTES);
	cfg = cfg_load_good(yaml);
	for (int i = 0; i < 20; i++) {
		const struct hb_secret *one =
		    cfg->endpoints[i].token.secrets.items[0];

		secret[0] = (char)('a' + i);
		assert_int_equal(one->len, sizeof(secret) - 1);
		assert_memory_equal(one->data, secret, sizeof(secret));
	}
	hb_config_unref(cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(secrets_are_not_literal),
	    cmocka_unit_test(white_space_at_the_end_is_not_secret),
	    cmocka_unit_test(svix_secrets_are_checked),
	    cmocka_unit_test(keys_stand_beside_their_secrets),
	    cmocka_unit_test(secrets_are_counted),
	    cmocka_unit_test(tokens_are_checked),
	    cmocka_unit_test(secrets_are_in_good_hands),
	    cmocka_unit_test(secrets_of_others_are_refused),
	    cmocka_unit_test(credentials_come_first),
	    cmocka_unit_test(absolute_names_are_taken_as_they_are),
	    cmocka_unit_test(the_file_is_in_good_hands),
	    cmocka_unit_test(its_directory_is_in_good_hands),
	    cmocka_unit_test(links_are_followed_with_care),
	    cmocka_unit_test(a_sticky_directory_will_do),
	    cmocka_unit_test(files_of_others_are_refused),
	    cmocka_unit_test(secrets_are_seen_together),
	    cmocka_unit_test(our_own_examples_are_published),
	    cmocka_unit_test(secrets_stay_out_of_dumps),
	    cmocka_unit_test(many_secrets_fit),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
