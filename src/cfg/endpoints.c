/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c - what receives webhooks, and how each is authenticated */
#include <string.h>

#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "hookbridge/secret.h"
#include "hookbridge/svix_key.h"
#include "load.h"
#include "values.h"

#define TOKEN_SEGMENT "{token}"
#define SOURCE "https://platform.reducto.ai/#"
#define DAY_MS (UINT64_C(24) * 60 * 60 * 1000)
#define GIB (UINT64_C(1) << 30)
#define SVIX_BODY_SIZE (UINT64_C(2) << 20)
#define DIRECT_BODY_SIZE (UINT64_C(8) << 20)
#define MAX_SECRETS 8
#define MANY_SECRETS 3

#define ALPHA "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ALNUM ALPHA "0123456789"
#define PATH_CHARS ALNUM "/-._~!$&'()*+,;=:@%"
#define SCHEME_CHARS ALNUM "+-."
#define URI_CHARS ALNUM "+-.:/?#[]@!$&'()*,;=_~%"

/* --- tables --------------------------------------------------------------- */

static const struct hb_key_word mode_words[] = {
	{ "svix", HB_MODE_SVIX },
	{ "direct", HB_MODE_DIRECT },
	{ "disabled", HB_MODE_DISABLED },
	{ NULL, 0 },
};

#define TOKEN(member) .offset = offsetof(struct hb_token_conf, member)

const struct hb_key hb_keys_token[] = {
	{ "in", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "bearer, basic, query.NAME, path or metadata.PATH" },
	{ "secret", HB_KEY_SECRETS, TOKEN(secrets), NULL, 1, MAX_SECRETS,
	    .flags = HB_KEY_REQUIRED,
	    .help = "file:NAME or env:NAME; several while they are changed" },
	{ "user", HB_KEY_STRING, TOKEN(user), NULL, 1, 256,
	    .help = "the user name of basic" },
	{ .name = NULL },
};

#define AT(member) .offset = offsetof(struct hb_endpoint_conf, member)

const struct hb_key hb_keys_endpoint[] = {
	{ "path", HB_KEY_STRING, AT(path), NULL, 1, 1024,
	    .flags = HB_KEY_REQUIRED,
	    .help = "compared byte for byte; begins with /" },
	{ "mode", HB_KEY_ENUM, AT(mode), "disabled", .values = mode_words,
	    .help = "how webhooks are authenticated" },
	{ "secrets", HB_KEY_SECRETS, AT(secrets), NULL, 1, MAX_SECRETS,
	    .help = "of Svix, newest first" },
	{ "tolerance", HB_KEY_DURATION, AT(tolerance_ms), "5m", 1000, DAY_MS,
	    .help = "how far a signed time may be off" },
	{ "token", HB_KEY_SECTION, AT(token), .sub = hb_keys_token },
	{ "allow", HB_KEY_CIDRS, AT(allow), .min = 1, .max = 1024,
	    .help = "addresses that may post here" },
	{ "channels", HB_KEY_CUSTOM,
	    .help = "labels of its events, or templates" },
	{ "channel_values", HB_KEY_CUSTOM,
	    .help = "what a templated channel may become" },
	{ "source", HB_KEY_STRING, AT(source), NULL, 1, 1024,
	    .help = "the CloudEvents source" },
	{ "job_type", HB_KEY_CUSTOM,
	    .help = "a template; default: inferred from the result" },
	{ "body_size", HB_KEY_SIZE, AT(body_size), NULL, 1, GIB,
	    .help = "largest body" },
	{ "metadata_size", HB_KEY_SIZE, AT(metadata_size), "64KiB", 1, GIB,
	    .help = "larger metadata is kept, but not routed by" },
	{ "dedup", HB_KEY_BOOL, AT(dedup), "true",
	    .help = "whether a repeated webhook is suppressed" },
	{ "ack", HB_KEY_ENUM, AT(ack), .values = hb_ack_words,
	    .help = "when a webhook is answered; default: delivery.ack" },
	{ "in_flight", HB_KEY_CUSTOM, .later = "rate limits" },
	{ "rate", HB_KEY_CUSTOM, .later = "rate limits" },
	{ "insecure", HB_KEY_CUSTOM, .later = "TLS on listeners" },
	{ .name = NULL },
};

/* --- paths ---------------------------------------------------------------- */

/* How many whole segments are "{token}"; -1: a character that no path has. */
static int
count_token_segments(const char *path)
{
	const size_t len = strlen(TOKEN_SEGMENT);
	int count = 0;

	while (*path != '\0') {
		if (path[0] == '/' &&
		    strncmp(path + 1, TOKEN_SEGMENT, len) == 0 &&
		    (path[len + 1] == '/' || path[len + 1] == '\0')) {
			path += len + 1;
			count++;
		} else if (strchr(PATH_CHARS, *path++) == NULL) {
			return -1;
		}
	}
	return count;
}

static void
check_path(struct hb_load *ld, const struct hb_node *node,
    const struct hb_endpoint_conf *endpoint)
{
	int tokens = count_token_segments(endpoint->path);
	bool token_in_path = endpoint->token.in == HB_TOKEN_PATH;

	if (endpoint->path[0] != '/')
		hb_report_expected(ld->report, node,
		    "a path that begins with /");
	else if (tokens < 0)
		hb_report_expected(ld->report, node,
		    "a path as it stands in a URL, other characters as %%XX");
	else if (strlen(endpoint->path) > ld->cfg->http.target_size)
		hb_report_error(ld->report, node,
		    "expected a path no longer than http.target_size");
	else if (tokens > 0 && !token_in_path)
		hb_report_expected(ld->report, node,
		    "a path without {token}, which belongs to mode direct "
		    "with token.in: path");
	else if (tokens != 1 && token_in_path)
		hb_report_expected(ld->report, node,
		    "a path with one segment {token}, as token.in is path");
}

/* --- tokens --------------------------------------------------------------- */

static void
on_free_paths(void *arg)
{
	hb_json_paths_free(arg);
}

static void
read_metadata_token(struct hb_load *ld, const struct hb_node *node,
    struct hb_token_conf *token, const char *path)
{
	struct hb_json_paths *paths = hb_json_paths_new();
	struct hb_error err;

	hb_arena_on_free(ld->arena, on_free_paths, paths);
	if (hb_json_paths_add(paths, hb_span_of(path), &err) < 0) {
		hb_report_error(ld->report, node, "%s", err.text);
		return;
	}
	token->in = HB_TOKEN_METADATA;
	token->name = path;
	token->path = paths;
}

static void
read_query_token(struct hb_load *ld, const struct hb_node *node,
    struct hb_token_conf *token, const char *name)
{
	if (name[0] == '\0' || !hb_is_name(name)) {
		hb_report_expected(ld->report, node,
		    "query. and the name of a parameter");
		return;
	}
	token->in = HB_TOKEN_QUERY;
	token->name = name;
}

static void
read_plain_token(struct hb_load *ld, const struct hb_node *node,
    struct hb_token_conf *token, const char *word)
{
	static const struct {
		const char *word;
		enum hb_token_in in;
	} words[] = {
		{ "bearer", HB_TOKEN_BEARER },
		{ "basic", HB_TOKEN_BASIC },
		{ "path", HB_TOKEN_PATH },
	};
	struct hb_near near;

	hb_near_init(&near, word);
	for (size_t i = 0; i < HB_COUNT(words); i++) {
		if (strcmp(word, words[i].word) == 0) {
			token->in = words[i].in;
			return;
		}
		hb_near_offer(&near, words[i].word);
	}
	hb_report_expected(ld->report, node,
	    "bearer, basic, path, query.NAME or metadata.PATH");
	hb_report_near(ld->report, &near);
}

static void
load_token(struct hb_load *ld, const struct hb_node *map,
    struct hb_token_conf *token)
{
	const struct hb_node *in = hb_node_get(map, "in");
	const struct hb_node *user = hb_node_get(map, "user");
	const char *text;

	if (in == NULL || !hb_read_text(ld, in, &text))
		return;
	if (strncmp(text, "metadata.", strlen("metadata.")) == 0)
		read_metadata_token(ld, in, token, text + strlen("metadata."));
	else if (strncmp(text, "query.", strlen("query.")) == 0)
		read_query_token(ld, in, token, text + strlen("query."));
	else
		read_plain_token(ld, in, token, text);
	if (token->in == HB_TOKEN_BASIC && user == NULL) {
		hb_report_missing(ld->report, map, "user");
		hb_report_remedy(ld->report,
		    "user: the name that the sender gives with the token");
	} else if (token->in == HB_TOKEN_BASIC && token->user != NULL &&
	    strchr(token->user, ':') != NULL) {
		/* Not shown: behind the colon may stand the password. */
		hb_report_error(ld->report, user,
		    "expected a user name without a colon");
	} else if (token->in != HB_TOKEN_BASIC && user != NULL) {
		hb_report_name_error(ld->report, user,
		    "only a token in basic has a user");
	}
}

enum hb_token_fault
hb_token_judge(const struct hb_secret *token)
{
	if (token->len < HB_TOKEN_MIN)
		return HB_TOKEN_SHORT;
	for (size_t i = 0; i < token->len; i++)
		if (token->data[i] < ' ' || token->data[i] == 0x7f)
			return HB_TOKEN_CONTROL;
	return HB_TOKEN_GOOD;
}

static void
check_token(struct hb_load *ld, const struct hb_node *node,
    const struct hb_secret *secret)
{
	const char *source = hb_report_quote(ld->report, secret->source);

	switch (hb_token_judge(secret)) {
	case HB_TOKEN_GOOD:
		break;
	case HB_TOKEN_SHORT:
		hb_report_error(ld->report, node,
		    "expected a token of at least %d bytes, \"%s\" has %zu",
		    HB_TOKEN_MIN, source, secret->len);
		hb_report_remedy(ld->report,
		    "make one: head -c 24 /dev/urandom | base64");
		break;
	case HB_TOKEN_CONTROL:
		hb_report_error(ld->report, node,
		    "expected a token on one line, \"%s\" has several or "
		    "holds control characters", source);
		hb_report_remedy(ld->report,
		    "several tokens are a list of several files");
		break;
	}
}

static void
check_tokens(struct hb_load *ld, const struct hb_node *node,
    const struct hb_secrets *secrets)
{
	for (size_t i = 0; i < secrets->count; i++)
		if (secrets->items[i] != NULL)
			check_token(ld, hb_node_item(node, i),
			    secrets->items[i]);
}

/* --- signing keys --------------------------------------------------------- */

static void
on_free_key(void *arg)
{
	hb_svix_key_free(arg);
}

static struct hb_svix_key *
load_key(struct hb_load *ld, const struct hb_node *node,
    const struct hb_secret *secret)
{
	struct hb_error err;
	struct hb_svix_key *key = hb_svix_key_parse(
	    hb_span_make((const char *)secret->data, secret->len), &err);
	const char *source = hb_report_quote(ld->report, secret->source);

	if (key == NULL) {
		hb_report_error(ld->report, node,
		    "expected a Svix secret in \"%s\": %s", source, err.text);
		return NULL;
	}
	hb_arena_on_free(ld->arena, on_free_key, key);
	if (key->kind == HB_SVIX_HMAC && key->len < HB_SVIX_KEY_WEAK)
		hb_report_warn(ld->report, node,
		    "the key in \"%s\" has %zu bytes; keys of Svix have at "
		    "least %d", source, key->len, HB_SVIX_KEY_WEAK);
	return key;
}

static void
load_keys(struct hb_load *ld, const struct hb_node *node,
    struct hb_endpoint_conf *endpoint)
{
	const struct hb_secrets *secrets = &endpoint->secrets;

	endpoint->svix_keys = hb_arena_calloc(ld->arena, secrets->count,
	    sizeof(struct hb_svix_key *));
	for (size_t i = 0; i < secrets->count; i++)
		if (secrets->items[i] != NULL)
			endpoint->svix_keys[i] = load_key(ld,
			    hb_node_item(node, i), secrets->items[i]);
}

/* --- modes ---------------------------------------------------------------- */

static void
check_svix(struct hb_load *ld, const struct hb_node *map)
{
	const struct hb_node *token = hb_node_get(map, "token");

	if (hb_node_get(map, "secrets") == NULL) {
		hb_report_missing(ld->report, map, "secrets");
		hb_report_remedy(ld->report,
		    "mode svix needs the endpoint's signing secret (whsec_...) "
		    "from Svix, in a file: secrets: \"file:NAME\"");
	}
	if (token != NULL)
		hb_report_name_error(ld->report, token,
		    "mode svix has no token: signatures are its only proof");
}

static void
check_direct(struct hb_load *ld, const struct hb_node *map,
    struct hb_endpoint_conf *endpoint)
{
	const struct hb_node *secrets = hb_node_get(map, "secrets");
	const struct hb_node *tolerance = hb_node_get(map, "tolerance");
	const struct hb_node *allow = hb_node_get(map, "allow");

	if (secrets != NULL) {
		hb_report_name_error(ld->report, secrets,
		    "mode direct has no signatures");
		hb_report_remedy(ld->report,
		    "its secret is a token: token: {in: bearer, secret: ...}");
	}
	if (tolerance != NULL)
		hb_report_warn(ld->report, tolerance,
		    "not used: mode direct has no signed time");
	endpoint->tolerance_ms = 0;
	if (hb_node_get(map, "token") != NULL)
		return;
	if (allow != NULL)
		hb_report_warn(ld->report, allow,
		    "without a token, whoever has one of these addresses can "
		    "post here");
	else
		hb_report_name_error(ld->report, map,
		    "expected a token or an allow list, got neither: anybody "
		    "could post here");
}

/* disabled is the default, so that it is easily left on by mistake. */
static void
check_disabled(struct hb_load *ld, const struct hb_node *map)
{
	if (map->kind != HB_NODE_MAP || hb_node_get(map, "mode") != NULL)
		return;
	hb_report_warn(ld->report, map,
	    "it has no mode, which means disabled: webhooks are answered 404");
	hb_report_remedy(ld->report,
	    "mode: svix, direct, or disabled if meant");
}

static void
warn_of_many(struct hb_load *ld, const struct hb_node *node, size_t count)
{
	if (node != NULL && count > MANY_SECRETS)
		hb_report_warn(ld->report, node,
		    "%zu secrets: each costs time for every webhook; remove "
		    "those that are no longer used", count);
}

static void
check_mode(struct hb_load *ld, const struct hb_node *map,
    struct hb_endpoint_conf *endpoint)
{
	const struct hb_node *secrets = hb_node_get(map, "secrets");
	const struct hb_node *tokens =
	    hb_node_get(hb_node_get(map, "token"), "secret");

	if (endpoint->mode == HB_MODE_SVIX)
		check_svix(ld, map);
	if (endpoint->mode == HB_MODE_DIRECT)
		check_direct(ld, map, endpoint);
	if (endpoint->mode == HB_MODE_DISABLED)
		check_disabled(ld, map);
	if (secrets != NULL && endpoint->mode != HB_MODE_DIRECT)
		load_keys(ld, secrets, endpoint);
	if (tokens != NULL)
		check_tokens(ld, tokens, &endpoint->token.secrets);
	warn_of_many(ld, secrets, endpoint->secrets.count);
	warn_of_many(ld, tokens, endpoint->token.secrets.count);
}

/* --- the rest ------------------------------------------------------------- */

static void
check_source(struct hb_load *ld, const struct hb_node *node,
    struct hb_endpoint_conf *endpoint)
{
	const char *source = endpoint->source;
	size_t scheme;

	if (source == NULL) {
		endpoint->source = hb_arena_printf(ld->arena, SOURCE "%s",
		    endpoint->name).ptr;
		return;
	}
	scheme = strspn(source, SCHEME_CHARS);
	if (strspn(source, ALPHA) == 0 || source[scheme] != ':' ||
	    source[scheme + 1] == '\0' ||
	    strspn(source, URI_CHARS) != strlen(source))
		hb_report_expected(ld->report, node,
		    "an absolute URI such as https://example.com/reducto");
}

static void
set_body_size(struct hb_load *ld, const struct hb_node *node,
    struct hb_endpoint_conf *endpoint)
{
	uint64_t limit = ld->cfg->http.body_size;
	char shown[HB_VALUE_SIZE];

	if (endpoint->body_size == 0) {
		endpoint->body_size = endpoint->mode == HB_MODE_DIRECT
		    ? DIRECT_BODY_SIZE
		    : SVIX_BODY_SIZE;
		if (endpoint->body_size > limit)
			endpoint->body_size = limit;
	} else if (endpoint->body_size > limit) {
		hb_value_print_size(limit, shown);
		hb_report_expected(ld->report, node,
		    "at most http.body_size, %s", shown);
	}
}

static void
load_endpoint(struct hb_load *ld, const struct hb_node *map,
    struct hb_endpoint_conf *endpoint)
{
	const struct hb_node *job_type = hb_node_get(map, "job_type");

	endpoint->index = (unsigned)map->index;
	endpoint->name = hb_arena_strdup(ld->arena, map->name);
	endpoint->share =
	    hb_arena_calloc(ld->arena, 1, sizeof(*endpoint->share));
	hb_check_name(ld, map);
	hb_keys_fill(ld, map, hb_keys_endpoint, endpoint);
	if (hb_node_get(map, "ack") == NULL)
		endpoint->ack = ld->cfg->delivery.ack;
	load_token(ld, hb_node_get(map, "token"), &endpoint->token);
	if (endpoint->path != NULL)
		check_path(ld, hb_node_get(map, "path"), endpoint);
	check_mode(ld, map, endpoint);
	check_source(ld, hb_node_get(map, "source"), endpoint);
	set_body_size(ld, hb_node_get(map, "body_size"), endpoint);
	hb_load_channels(ld, map, endpoint);
	if (job_type != NULL)
		endpoint->job_type = hb_read_tmpl(ld, job_type, HB_VARS_SIGNED);
}

void
hb_load_endpoints(struct hb_load *ld, const struct hb_node *map)
{
	struct hb_config *cfg = ld->cfg;

	if (map->kind == HB_NODE_BROKEN ||
	    !hb_is_map(ld, map, "names to endpoints"))
		return;
	if (map->count == 0)
		hb_report_error(ld->report, map,
		    "expected at least one endpoint, got none");
	cfg->endpoints =
	    hb_arena_calloc(ld->arena, map->count, sizeof(*cfg->endpoints));
	cfg->endpoint_count = map->count;
	for (const struct hb_node *node = map->first; node != NULL;
	     node = node->next)
		load_endpoint(ld, node, &cfg->endpoints[node->index]);
}
