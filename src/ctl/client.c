/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - libcurl on a Unix socket, and what its failures mean */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>

#include "hookbridge/arena.h"
#include "hookbridge/mem.h"
#include "json_doc.h"

#define UNIX_PREFIX "unix:"
#define DEFAULT_ADDRESS "unix:/run/hookbridge/admin.sock"
#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS 60000L
/* A claimed body may have what http.body_size may be. */
#define ANSWER_MAX (((size_t)1 << 30) + 65536)

struct hb_client {
	struct hb_arena *arena;
	CURL *curl;
	const char *address; /* as it was given */
	char *shown;
};

/* --- whom to ask ---------------------------------------------------------- */

/* NULL and *status: told. */
static const char *
configured_address(const struct hb_ctl *ctl, struct hb_arena *arena,
    int *status)
{
	struct hb_config *cfg;
	const char *address;

	if (!ctl->config_is_given && access(ctl->config, R_OK) != 0)
		return DEFAULT_ADDRESS;
	cfg = hb_ctl_load_places(ctl, status);
	if (cfg == NULL)
		return NULL;
	address = hb_arena_strdup(arena, cfg->admin.address);
	hb_config_unref(cfg);
	return address;
}

static const char *
given_address(const struct hb_ctl *ctl, int *status)
{
	const char *path = ctl->admin + strlen(UNIX_PREFIX);

	if (strncmp(ctl->admin, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 &&
	    path[0] != '\0' &&
	    strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return ctl->admin;
	*status = hb_ctl_usage(ctl, "--admin: expected unix: and a path of at "
	    "most 107 characters, such as " DEFAULT_ADDRESS);
	return NULL;
}

static void
set_options(struct hb_client *client)
{
	CURL *curl = client->curl;

	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH,
	    client->address + strlen(UNIX_PREFIX));
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
	    "hookbridgectl/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

struct hb_client *
hb_client_open(const struct hb_ctl *ctl, int *status)
{
	struct hb_arena *arena = hb_arena_new(1024);
	struct hb_client *client = hb_arena_calloc(arena, 1, sizeof(*client));

	client->arena = arena;
	client->address = ctl->admin != NULL
	    ? given_address(ctl, status)
	    : configured_address(ctl, arena, status);
	if (client->address == NULL) {
		hb_arena_free(arena);
		return NULL;
	}
	client->shown = hb_ctl_escape(hb_span_of(client->address));
	client->curl = curl_easy_init();
	if (client->curl == NULL)
		hb_bug("libcurl gives no handle");
	set_options(client);
	return client;
}

void
hb_client_close(struct hb_client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	free(client->shown);
	hb_arena_free(client->arena);
}

const char *
hb_client_quote(struct hb_client *client, const char *text)
{
	char *quoted =
	    curl_easy_escape(client->curl, text, (int)strlen(text));
	const char *copy;

	if (quoted == NULL)
		hb_bug("no memory for a URL");
	copy = hb_arena_strdup(client->arena, quoted);
	curl_free(quoted);
	return copy;
}

/* --- failures ------------------------------------------------------------- */

static int
fail_connect(const struct hb_client *client)
{
	long error = 0;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
	if (error == EACCES || error == EPERM)
		return hb_ctl_fail(EX_NOPERM, "%s: %s; run this as root or as "
		    "the daemon's user, or join the socket's group",
		    client->shown, strerror((int)error));
	return hb_ctl_fail(EX_UNAVAILABLE, "nobody answers at %s: %s; is "
	    "hookbridged running there? Name its socket by --admin, or its "
	    "configuration by -c", client->shown,
	    error != 0 ? strerror((int)error) : "no connection");
}

/* No answer, or not all of it. */
static int
fail_transfer(const struct hb_client *client, CURLcode code)
{
	if (code == CURLE_COULDNT_CONNECT)
		return fail_connect(client);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return hb_ctl_fail(EX_TEMPFAIL, "%s gives no answer in time; "
		    "try again later", client->shown);
	return hb_ctl_fail(EX_UNAVAILABLE, "%s gives no whole answer: %s",
	    client->shown, curl_easy_strerror(code));
}

char *
hb_client_reason(const struct hb_client_answer *answer)
{
	struct hb_span detail = hb_json_doc_string(answer->doc, "detail");
	char *text;

	if (!hb_span_is_set(detail))
		detail = hb_json_doc_string(answer->doc, "title");
	if (hb_span_is_set(detail))
		return hb_ctl_escape(detail);
	if (asprintf(&text, "the daemon answers %ld", answer->code) < 0)
		hb_bug("no memory for a sentence");
	return text;
}

int
hb_client_status(const struct hb_client_answer *answer)
{
	switch (answer->code) {
	case 400:
		return EX_USAGE;
	case 403:
		return EX_NOPERM;
	case 404:
	case 409:
		return EXIT_FAILURE;
	case 429:
	case 503:
		return EX_TEMPFAIL;
	default:
		return EX_UNAVAILABLE;
	}
}

int
hb_client_refuse(const struct hb_client_answer *answer)
{
	char *reason = hb_client_reason(answer);

	hb_ctl_fail(EX_OK, "%s", reason);
	free(reason);
	if (answer->code == 403)
		fputs("    run this as root or as the daemon's user, or have "
		      "yours among admin.operators\n", stderr);
	return hb_client_status(answer);
}

/* --- one question --------------------------------------------------------- */

bool
hb_client_is_yes(const struct hb_client_answer *answer)
{
	return answer->code >= 200 && answer->code <= 299;
}

void
hb_client_answer_fini(struct hb_client_answer *answer)
{
	free(answer->text);
	json_decref(answer->doc);
	*answer = (struct hb_client_answer){ 0 };
}

/* An answer while it comes. */
struct gather {
	struct hb_client_answer *answer;
	size_t size; /* of its text */
};

static size_t
on_piece(char *data, size_t size, size_t count, void *arg)
{
	struct gather *gather = arg;
	struct hb_client_answer *answer = gather->answer;
	size_t len = size * count;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	if (answer->len + len >= gather->size) {
		gather->size = 2 * (answer->len + len) + 1;
		answer->text = hb_xrealloc(answer->text, gather->size);
	}
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	return len;
}

static CURLcode
perform(struct hb_client *client, const char *path)
{
	char *url;
	CURLcode code;

	if (asprintf(&url, "http://localhost%s", path) < 0)
		hb_bug("no memory for a URL");
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	code = curl_easy_perform(client->curl);
	free(url);
	return code;
}

static CURLcode
perform_post(struct hb_client *client, const char *path, const json_t *body)
{
	struct curl_slist *headers = curl_slist_append(NULL,
	    "Content-Type: application/json");
	char *text = json_dumps(body, JSON_COMPACT);
	CURLcode code;

	if (text == NULL)
		hb_bug("a document without a text");
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
	code = perform(client, path);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
	curl_slist_free_all(headers);
	free(text);
	return code;
}

/* A body that was claimed is JSON, too, but not for us. */
static void
parse(const struct hb_client *client, struct hb_client_answer *answer)
{
	const char *type = NULL;

	curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &type);
	if (type != NULL && strstr(type, "json") != NULL)
		answer->doc = json_loadb(answer->text, answer->len,
		    JSON_REJECT_DUPLICATES, NULL);
}

int
hb_client_ask(struct hb_client *client, const char *path, json_t *body,
    struct hb_client_answer *answer)
{
	struct gather gather = { answer, 1 };
	CURLcode code;

	*answer = (struct hb_client_answer){ .text = hb_xmalloc(1) };
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_piece);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &gather);
	code = body != NULL ? perform_post(client, path, body)
			    : perform(client, path);
	json_decref(body);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->code);
	if (code != CURLE_OK) {
		hb_client_answer_fini(answer);
		return fail_transfer(client, code);
	}
	answer->text[answer->len] = '\0';
	parse(client, answer);
	return EX_OK;
}

/* --- a document ----------------------------------------------------------- */

json_t *
hb_client_post(struct hb_client *client, const char *path, json_t *body,
    int *status)
{
	struct hb_client_answer answer;
	json_t *doc = NULL;

	*status = hb_client_ask(client, path, body, &answer);
	if (*status != EX_OK)
		return NULL;
	if (!hb_client_is_yes(&answer))
		*status = hb_client_refuse(&answer);
	else if (!json_is_object(answer.doc))
		*status = hb_ctl_fail(EX_UNAVAILABLE, "%s: expected a document "
		    "of JSON, got something else; is that hookbridged?",
		    client->shown);
	else
		doc = json_incref(answer.doc);
	hb_client_answer_fini(&answer);
	return doc;
}

json_t *
hb_client_get(struct hb_client *client, const char *path, int *status)
{
	return hb_client_post(client, path, NULL, status);
}

json_t *
hb_client_post_once(const struct hb_ctl *ctl, const char *path, json_t *body,
    int *status)
{
	struct hb_client *client = hb_client_open(ctl, status);
	json_t *doc;

	if (client == NULL) {
		json_decref(body);
		return NULL;
	}
	doc = hb_client_post(client, path, body, status);
	hb_client_close(client);
	return doc;
}

/* --- a stream ------------------------------------------------------------- */

struct stream {
	struct hb_client *client;
	bool (*take)(void *arg, struct hb_span piece);
	void *arg;
	bool enough;
	struct hb_client_answer refusal;
	struct gather gather;
};

static size_t
on_stream(char *data, size_t size, size_t count, void *arg)
{
	struct stream *stream = arg;
	size_t len = size * count;
	long code = 0;

	curl_easy_getinfo(stream->client->curl, CURLINFO_RESPONSE_CODE, &code);
	if (code < 200 || code > 299)
		return on_piece(data, size, count, &stream->gather);
	if (stream->take(stream->arg, hb_span_make(data, len)))
		return len;
	stream->enough = true;
	return 0;
}

int
hb_client_stream(struct hb_client *client, const char *path,
    bool (*take)(void *arg, struct hb_span piece), void *arg)
{
	struct stream stream = { .client = client, .take = take, .arg = arg };
	struct hb_client_answer *refusal = &stream.refusal;
	int status = EX_OK;
	CURLcode code;

	refusal->text = hb_xmalloc(1);
	stream.gather = (struct gather){ refusal, 1 };
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, 0L);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &stream);
	code = perform(client, path);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE,
	    &refusal->code);
	/* A daemon that stops does not end its streams. */
	if (code == CURLE_PARTIAL_FILE && hb_client_is_yes(refusal))
		code = CURLE_OK;
	if (code != CURLE_OK && !stream.enough) {
		status = fail_transfer(client, code);
	} else if (!hb_client_is_yes(refusal)) {
		parse(client, refusal);
		status = hb_client_refuse(refusal);
	}
	hb_client_answer_fini(refusal);
	return status;
}
