/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - where a webhook goes
 *
 * To the first listener of the configuration: on loopback where it listens on
 * all addresses, through its socket file where it has one. A token that stands
 * in the path or in the query is written there percent-encoded, all but the
 * unreserved characters of RFC 3986. */
#include <arpa/inet.h>
#include <string.h>

#include "send.h"

#define UNIX_PREFIX "unix:"
#define TOKEN_MARK "{token}"

static struct hb_span
percent_encode(struct hb_arena *arena, struct hb_span text)
{
	static const char unreserved[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-._~";
	static const char digits[] = "0123456789ABCDEF";
	char *out = hb_arena_alloc(arena, 3 * text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c != '\0' && strchr(unreserved, c) != NULL) {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '%';
		out[len++] = digits[c >> 4];
		out[len++] = digits[c & 15];
	}
	out[len] = '\0';
	return hb_span_make(out, len);
}

/* --- from the configuration ----------------------------------------------- */

/* All addresses of this machine: then loopback is one of them. */
static const char *
reachable_host(struct hb_arena *arena, struct hb_span host)
{
	struct in6_addr v6;
	char text[INET6_ADDRSTRLEN];

	if (hb_span_eq(host, HB_SPAN("0.0.0.0")))
		return "127.0.0.1";
	if (host.len > 2 && host.ptr[0] == '[' &&
	    host.len - 2 < sizeof(text)) {
		memcpy(text, host.ptr + 1, host.len - 2);
		text[host.len - 2] = '\0';
		if (inet_pton(AF_INET6, text, &v6) == 1 &&
		    IN6_IS_ADDR_UNSPECIFIED(&v6))
			return "[::1]";
	}
	return hb_arena_dup(arena, host).ptr;
}

/* "http://host:port" of the first listener, or NULL. */
static const char *
find_listener(struct hb_address *address, struct hb_arena *arena,
    const struct hb_config *cfg, struct hb_error *err)
{
	const char *listen = cfg->listen[0].address;
	const char *port = strrchr(listen, ':');

	if (strncmp(listen, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
		address->unix_socket = listen + strlen(UNIX_PREFIX);
		return "http://localhost";
	}
	if (strcmp(port, ":0") == 0)
		return hb_fail_null(err, HB_E_CONFIG,
		    "the listener %s has another port at each start; say which "
		    "by --url", listen);
	return hb_arena_printf(arena, "http://%s%s",
	    reachable_host(arena,
		hb_span_make(listen, (size_t)(port - listen))), port).ptr;
}

/* --- from --url ----------------------------------------------------------- */

/* Without user, password and query, which may be secrets. */
static const char *
show_url(struct hb_arena *arena, CURLU *parts)
{
	char *text = NULL;
	const char *shown;

	curl_url_set(parts, CURLUPART_USER, NULL, 0);
	curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
	curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(parts, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return "the given URL";
	shown = hb_arena_strdup(arena, text);
	curl_free(text);
	return shown;
}

static bool
check_url(struct hb_address *address, struct hb_arena *arena, const char *url,
    struct hb_error *err)
{
	CURLU *parts = curl_url();
	char *scheme = NULL;
	bool ok = curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	if (ok)
		address->shown = show_url(arena, parts);
	curl_free(scheme);
	curl_url_cleanup(parts);
	return ok ||
	    hb_fail(err, HB_E_CONFIG, "--url: expected a whole URL, such as "
		"https://hooks.example.com/webhooks/reducto");
}

/* --- both ----------------------------------------------------------------- */

/* The token in its place; elsewhere the URL stays as it is. */
static const char *
put_token(struct hb_arena *arena, const struct hb_endpoint_conf *endpoint,
    const char *url, struct hb_span token)
{
	enum hb_token_in in = endpoint->token.in;
	const char *mark = strstr(url, TOKEN_MARK);
	struct hb_span encoded;

	if (in != HB_TOKEN_QUERY && (in != HB_TOKEN_PATH || mark == NULL))
		return url;
	encoded = percent_encode(arena, token);
	if (in == HB_TOKEN_PATH)
		return hb_arena_printf(arena, "%.*s%s%s", (int)(mark - url),
		    url, encoded.ptr, mark + strlen(TOKEN_MARK)).ptr;
	return hb_arena_printf(arena, "%s%c%s=%s", url,
	    strchr(url, '?') != NULL ? '&' : '?', endpoint->token.name,
	    encoded.ptr).ptr;
}

bool
hb_address_make(struct hb_address *address, struct hb_arena *arena,
    const struct hb_config *cfg, const struct hb_endpoint_conf *endpoint,
    const char *url, struct hb_span token, struct hb_error *err)
{
	const char *base;

	*address = (struct hb_address){ .is_local = url == NULL };
	if (url != NULL) {
		if (!check_url(address, arena, url, err))
			return false;
	} else {
		base = find_listener(address, arena, cfg, err);
		if (base == NULL)
			return false;
		url = hb_arena_printf(arena, "%s%s", base, endpoint->path).ptr;
		address->shown = url;
	}
	address->url = put_token(arena, endpoint, url, token);
	return true;
}
