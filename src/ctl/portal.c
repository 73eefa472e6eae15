/* SPDX-License-Identifier: Apache-2.0 */
/* portal.c - "portal": asks Reducto for the link to the account's webhooks
 *
 * The request is the one of the official client's webhook.run(): POST
 * /configure_webhook without a body, the API key as bearer. The answer is a
 * JSON string, of which that client hands on the text, quotes included; a link
 * without them is taken, too.
 *
 * The key comes from the environment and leaves only in that header: no
 * redirect is followed, and it is never sent unencrypted to another machine.
 * The link is as good as a password to the account's webhooks. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>

#include "ctl.h"
#include "hookbridge/arena.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "json_doc.h"

#define KEY_VARIABLE "REDUCTO_API_KEY"
#define BASE_VARIABLE "REDUCTO_BASE_URL"
#define DEFAULT_BASE "https://platform.reducto.ai"
#define PATH "configure_webhook"
#define CONNECT_TIMEOUT_MS 10000L
#define TIMEOUT_MS 60000L
#define ANSWER_MAX 65536

extern char **environ;

const char hb_ctl_portal_help[] =
    "Asks Reducto's API for the link to your account's webhook portal, where\n"
    "endpoints are made and their secrets are shown, and prints it. Treat the\n"
    "link as a password.\n"
    "\n"
    "      --open           open it by xdg-open, too\n"
    "\n"
    "REDUCTO_API_KEY holds the API key; REDUCTO_BASE_URL another address of\n"
    "the API, such as https://eu.platform.reducto.ai.\n";

struct answer {
	long code;
	size_t len;
	bool cut;
	char body[ANSWER_MAX];
};

/* --- the request ---------------------------------------------------------- */

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	struct answer *answer = arg;
	size_t len = size * count, room = ANSWER_MAX - answer->len;

	if (len > room)
		answer->cut = true;
	memcpy(answer->body + answer->len, data, len < room ? len : room);
	answer->len += len < room ? len : room;
	return len;
}

/* Encrypted, or to this machine. */
static bool
is_safe_url(const char *text)
{
	char *scheme = NULL, *host = NULL;
	CURLU *url = curl_url();
	bool safe = false;

	if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		safe = strcmp(scheme, "https") == 0 ||
		    (strcmp(scheme, "http") == 0 &&
			(strcmp(host, "localhost") == 0 ||
			    strcmp(host, "127.0.0.1") == 0 ||
			    strcmp(host, "[::1]") == 0));
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return safe;
}

static struct hb_span
request_url(struct hb_arena *arena)
{
	const char *base = getenv(BASE_VARIABLE);
	size_t len;

	if (base == NULL || base[0] == '\0')
		base = DEFAULT_BASE;
	len = strlen(base);
	return hb_arena_printf(arena, "%s%s" PATH, base,
	    base[len - 1] == '/' ? "" : "/");
}

/* A header with the key; wipe and free() it. */
static char *
authorization(const char *key)
{
	static const char prefix[] = "Authorization: Bearer ";
	size_t size = sizeof(prefix) + strlen(key);
	char *header = hb_xmalloc(size);

	snprintf(header, size, "%s%s", prefix, key);
	return header;
}

static CURLcode
perform(CURL *curl, const char *url, const char *key, struct answer *answer)
{
	char *header = authorization(key);
	struct curl_slist *headers = curl_slist_append(NULL, header);
	CURLcode code;

	headers = curl_slist_append(headers, "Accept: application/json");
	headers = curl_slist_append(headers, "Content-Type: application/json");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Unencrypted it stays on this machine. */
	if (strncmp(url, "https:", strlen("https:")) != 0)
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
	    "hookbridgectl/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->code);
	hb_wipe(headers->data, strlen(headers->data));
	curl_slist_free_all(headers);
	hb_wipe(header, strlen(header));
	free(header);
	return code;
}

/* --- the answer ----------------------------------------------------------- */

static int
status_of(long code)
{
	if (code == 401 || code == 403)
		return EX_NOPERM;
	if (code == 429 || code >= 500)
		return EX_TEMPFAIL;
	return EXIT_FAILURE;
}

static const char *
remedy_of(long code)
{
	if (code == 401 || code == 403)
		return "compare " KEY_VARIABLE " with the key in Reducto "
		       "Studio";
	if (code == 429 || code >= 500)
		return "try again later";
	return "is " BASE_VARIABLE " right?";
}

static int
refuse(const struct answer *answer)
{
	fprintf(stderr, "hookbridgectl: Reducto answered %ld: ", answer->code);
	hb_ctl_put(stderr, hb_span_make(answer->body, answer->len));
	fprintf(stderr, "\n    %s\n", remedy_of(answer->code));
	return status_of(answer->code);
}

/* The text itself, if it is one address. */
static json_t *
read_bare_link(struct hb_span text)
{
	json_t *link;

	while (text.len > 0 && strchr(" \r\n", text.ptr[text.len - 1]) != NULL)
		text.len--;
	link = json_stringn(text.ptr, text.len);
	if (link == NULL || is_safe_url(json_string_value(link)))
		return link;
	json_decref(link);
	return NULL;
}

/* The string that the answer is, quoted as JSON or not; json_decref() it. */
static json_t *
read_link(const struct answer *answer)
{
	json_t *link;

	if (answer->cut)
		return NULL;
	link = json_loadb(answer->body, answer->len, JSON_DECODE_ANY, NULL);
	if (link == NULL)
		return read_bare_link(
		    hb_span_make(answer->body, answer->len));
	if (json_is_string(link) && json_string_length(link) > 0)
		return link;
	json_decref(link);
	return NULL;
}

/* What it prints goes to stderr, and the key is not for it. */
static int
start_opener(const char *link, pid_t *pid)
{
	char *argv[] = { (char *)"xdg-open", (char *)link, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t signals;
	int error;

	sigemptyset(&signals);
	sigaddset(&signals, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO,
	    STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &signals);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	unsetenv(KEY_VARIABLE);
	error = posix_spawnp(pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static int
open_link(const char *link)
{
	int error, status = -1;
	pid_t pid;

	if (!is_safe_url(link) ||
	    !hb_span_starts(hb_span_of(link), HB_SPAN("https://")))
		return hb_ctl_fail(EXIT_FAILURE, "only a link of https:// is "
		    "opened; look at this one first");
	error = start_opener(link, &pid);
	if (error != 0)
		return hb_ctl_fail(EX_UNAVAILABLE, "cannot start xdg-open: %s; "
		    "open the link by hand", strerror(error));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return EX_OK;
	return hb_ctl_fail(EX_UNAVAILABLE, "xdg-open did not open it; open "
	    "the link by hand");
}

static int
show(const struct hb_ctl *ctl, struct hb_span link)
{
	if (ctl->json)
		return hb_json_doc_print(json_pack("{s:o}", "url",
		    hb_json_doc_text(link)));
	hb_ctl_put(stdout, link);
	putchar('\n');
	return hb_ctl_finish(EX_OK);
}

static int
take(const struct hb_ctl *ctl, const struct answer *answer, bool open)
{
	json_t *link;
	int status;

	if (answer->code != 200)
		return refuse(answer);
	link = read_link(answer);
	if (link == NULL)
		return hb_ctl_fail(EX_UNAVAILABLE, "expected a link as a JSON "
		    "string, got something else; is " BASE_VARIABLE " right?");
	status = show(ctl, hb_span_make(json_string_value(link),
	    json_string_length(link)));
	if (status == EX_OK && open)
		status = open_link(json_string_value(link));
	json_decref(link);
	return status;
}

/* --- the command ---------------------------------------------------------- */

static int
ask(const struct hb_ctl *ctl, const char *url, const char *key, bool open)
{
	struct answer *answer = hb_xcalloc(1, sizeof(*answer));
	CURL *curl = curl_easy_init();
	CURLcode code;
	int status;

	if (curl == NULL)
		hb_bug("libcurl gives no handle");
	code = perform(curl, url, key, answer);
	if (code == CURLE_OK)
		status = take(ctl, answer, open);
	else
		status = hb_ctl_fail(EX_UNAVAILABLE, "Reducto is not "
		    "reachable: %s; look at the network and at " BASE_VARIABLE,
		    curl_easy_strerror(code));
	curl_easy_cleanup(curl);
	free(answer);
	return status;
}

static int
run(const struct hb_ctl *ctl, bool open)
{
	const char *key = getenv(KEY_VARIABLE);
	struct hb_arena *arena;
	struct hb_span url;
	int status;

	if (key == NULL || key[0] == '\0')
		return hb_ctl_fail(EX_NOINPUT, KEY_VARIABLE " is not set; make "
		    "a key in Reducto Studio and export it");
	if (strpbrk(key, "\r\n") != NULL)
		return hb_ctl_fail(EX_CONFIG, KEY_VARIABLE " has more than one "
		    "line; export the key alone");
	arena = hb_arena_new(1024);
	url = request_url(arena);
	if (is_safe_url(url.ptr))
		status = ask(ctl, url.ptr, key, open);
	else
		status = hb_ctl_fail(EX_CONFIG, BASE_VARIABLE " is no address "
		    "that a key may be sent to; it begins with https://");
	hb_arena_free(arena);
	return status;
}

int
hb_ctl_portal(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_OPEN = HB_CTL_OPT_OWN };
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ "open", no_argument, NULL, OPT_OPEN },
		{ NULL, 0, NULL, 0 },
	};
	bool open = false;
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		open = true;
	}
	if (optind < argc)
		return hb_ctl_usage(ctl, "unexpected word; portal takes none");
	return run(ctl, open);
}
