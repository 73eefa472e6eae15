/* SPDX-License-Identifier: Apache-2.0 */
/* redis_conf.c - settings, and the url taken apart
 *
 *   redis://[user@]host[:port][/db]     host: a name, an address, [v6]
 *   unix:PATH                           absolute
 *
 * A password has a key of its own, so that it is never read from the YAML. */
#include <arpa/inet.h>
#include <sys/un.h>

#include "redis.h"

#define DEFAULT_PORT 6379
#define DB_MAX 1000000

static const struct hb_key wait_keys[] = {
    {.name = "replicas",
	.type = HB_KEY_UINT,
	.offset = offsetof(struct hb_redis_wait, replicas),
	.def = "0",
	.max = 100,
	.help = "so many replicas must have an event before it is confirmed"},
    {.name = "timeout",
	.type = HB_KEY_DURATION,
	.offset = offsetof(struct hb_redis_wait, timeout_ms),
	.def = "1s",
	.min = 1,
	.max = 10000,
	.help = "how long they may take; less than the sink's timeout"},
    {.name = NULL},
};

const struct hb_key hb_redis_keys[] = {
    {.name = "url",
	.type = HB_KEY_STRING,
	.offset = offsetof(struct hb_redis_conf, url),
	.flags = HB_KEY_REQUIRED,
	.help = "redis://[user@]host[:port][/db] or unix:PATH"},
    {.name = "password",
	.type = HB_KEY_SECRET,
	.offset = offsetof(struct hb_redis_conf, password),
	.help = "of the url's user, or of the default one"},
    {.name = "timeout",
	.type = HB_KEY_DURATION,
	.offset = offsetof(struct hb_redis_conf, timeout_ms),
	.def = "2s",
	.min = 10,
	.max = 10000,
	.help = "for a connection, a login, and each command's reply"},
    {.name = "pipeline",
	.type = HB_KEY_UINT,
	.offset = offsetof(struct hb_redis_conf, pipeline),
	.def = "1024",
	.min = 1,
	.max = 65536,
	.help = "commands of one connection under way at once"},
    {.name = "wait",
	.type = HB_KEY_SECTION,
	.offset = offsetof(struct hb_redis_conf, wait),
	.sub = wait_keys,
	.help = "wait for replicas too"},
    {.name = "tls",
	.type = HB_KEY_CUSTOM,
	.later = "TLS to Redis",
	.help = "for rediss: urls"},
    {.name = NULL},
};

const struct hb_key hb_redis_target_keys[] = {
    {.name = "maxlen",
	.type = HB_KEY_UINT,
	.offset = offsetof(struct hb_redis_target, maxlen),
	.min = 1,
	.caution = "the server deletes older entries, read or unread",
	.help = "trim the stream to about so many entries, read or unread"},
    {.name = "idempotent",
	.type = HB_KEY_DURATION,
	.offset = offsetof(struct hb_redis_target, idempotent_ms),
	.max = (uint64_t)366 * 24 * 3600 * 1000,
	.help = "the server remembers for so long what it has, and adds "
		"nothing twice"},
    {.name = NULL},
};

/* --- the url -------------------------------------------------------------- */

/* A decimal number of at most max, all of text. */
static bool
parse_number(struct hb_span text, unsigned max, unsigned *number)
{
	unsigned long n = 0;

	if (text.len == 0 || text.len > 7)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (unsigned)(text.ptr[i] - '0');
	}
	*number = (unsigned)n;
	return n <= max;
}

static bool
copy(struct hb_span text, char *out, size_t size)
{
	if (text.len >= size)
		return false;
	memcpy(out, text.ptr, text.len);
	out[text.len] = '\0';
	return true;
}

/* Takes what stands before the character off the text; absent when there is
 * none. */
static struct hb_span
take_until(struct hb_span *text, char c)
{
	const char *found = memchr(text->ptr, c, text->len);
	struct hb_span taken;

	if (found == NULL)
		return HB_SPAN_NONE;
	taken = hb_span_make(text->ptr, (size_t)(found - text->ptr));
	*text = hb_span_skip(*text, taken.len + 1);
	return taken;
}

static bool
parse_user(struct hb_span user, struct hb_redis_url *url, struct hb_error *err)
{
	if (memchr(user.ptr, ':', user.len) != NULL)
		return hb_fail(err, HB_E_CONFIG,
		    "expected no password in the url: it has a key of its own");
	for (size_t i = 0; i < user.len; i++)
		if (user.ptr[i] <= ' ' || user.ptr[i] >= 0x7f ||
		    strchr("/?#[]%\"'\\", user.ptr[i]) != NULL)
			user.len = 0;
	if (user.len == 0 || !copy(user, url->user, sizeof(url->user)))
		return hb_fail(err, HB_E_CONFIG,
		    "expected a user's name before the @ of the url");
	return true;
}

static bool
is_host_name(struct hb_span host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return host.len > 0;
}

/* Takes the host off the text, which then is empty or ":port". */
static bool
parse_host(struct hb_span *text, struct hb_redis_url *url)
{
	const char *colon = memchr(text->ptr, ':', text->len);
	struct in6_addr v6;
	struct hb_span host = *text;

	if (text->len > 0 && text->ptr[0] == '[') {
		*text = hb_span_skip(*text, 1);
		host = take_until(text, ']');
		return hb_span_is_set(host) &&
		       copy(host, url->host, sizeof(url->host)) &&
		       inet_pton(AF_INET6, url->host, &v6) == 1;
	}
	if (colon != NULL)
		host.len = (size_t)(colon - text->ptr);
	*text = hb_span_skip(*text, host.len);
	return is_host_name(host) && copy(host, url->host, sizeof(url->host));
}

static bool
parse_tcp(struct hb_span rest, struct hb_redis_url *url, struct hb_error *err)
{
	struct hb_span user = take_until(&rest, '@');
	struct hb_span place = take_until(&rest, '/');

	if (hb_span_is_set(user) && !parse_user(user, url, err))
		return false;
	if (!hb_span_is_set(place)) {
		place = rest;
		rest = HB_SPAN("");
	}
	if (rest.len > 0 && !parse_number(rest, DB_MAX, &url->db))
		return hb_fail(err, HB_E_CONFIG,
		    "expected a database's number after the host");
	if (!parse_host(&place, url))
		return hb_fail(err, HB_E_CONFIG,
		    "expected redis://[user@]host[:port][/db] or unix:PATH");
	url->port = DEFAULT_PORT;
	if (place.len > 0 &&
	    (place.ptr[0] != ':' ||
		!parse_number(hb_span_skip(place, 1), 65535, &url->port) ||
		url->port == 0))
		return hb_fail(
		    err, HB_E_CONFIG, "expected a port from 1 to 65535");
	snprintf(url->text, sizeof(url->text),
	    strchr(url->host, ':') != NULL ? "[%s]:%u" : "%s:%u", url->host,
	    url->port);
	return true;
}

static bool
parse_unix(struct hb_span path, struct hb_redis_url *url, struct hb_error *err)
{
	struct sockaddr_un addr;

	if (path.len == 0 || path.ptr[0] != '/' ||
	    path.len >= sizeof(addr.sun_path))
		return hb_fail(err, HB_E_CONFIG,
		    "expected unix: and an absolute path of at most %zu "
		    "characters",
		    sizeof(addr.sun_path) - 1);
	(void)copy(path, url->host, sizeof(url->host));
	(void)copy(path, url->text, sizeof(url->text));
	return true;
}

bool
hb_redis_url_parse(
    const char *text, struct hb_redis_url *url, struct hb_error *err)
{
	static const struct hb_span tcp = {"redis://", 8},
				    tls = {"rediss://", 9},
				    local = {"unix:", 5};
	struct hb_span rest = hb_span_of(text);

	*url = (struct hb_redis_url){0};
	if (hb_span_starts(rest, tls))
		return hb_fail(err, HB_E_CONFIG,
		    "not supported yet (TLS to Redis): rediss:");
	if (hb_span_starts(rest, local))
		return parse_unix(hb_span_skip(rest, local.len), url, err);
	if (hb_span_starts(rest, tcp))
		return parse_tcp(hb_span_skip(rest, tcp.len), url, err);
	return hb_fail(err, HB_E_CONFIG,
	    "expected redis://[user@]host[:port][/db] or unix:PATH");
}

/* --- checks --------------------------------------------------------------- */

static bool
is_local(const struct hb_redis_url *url)
{
	return url->port == 0 || strcmp(url->host, "localhost") == 0 ||
	       strncmp(url->host, "127.", 4) == 0 ||
	       strcmp(url->host, "::1") == 0;
}

void
hb_redis_conf_check(const struct hb_sink_conf *sink,
    void (*complain)(void *arg, const char *key, const char *fmt, ...),
    void *arg)
{
	const struct hb_redis_conf *conf = sink->conf;
	struct hb_redis_url url;
	struct hb_error err;

	if (!hb_redis_url_parse(conf->url, &url, &err)) {
		/* Before an @ may stand a password. */
		if (strchr(conf->url, '@') != NULL ||
		    strncmp(conf->url, "rediss:", 7) == 0)
			complain(arg, "url", "%s", err.text);
		else
			complain(arg, "url", "%s, got \"%s\"", err.text,
			    conf->url);
		return;
	}
	if (url.user[0] != '\0' && conf->password == NULL)
		complain(
		    arg, "url", "expected a password for user %s", url.user);
	if (conf->password != NULL && !is_local(&url))
		complain(arg, "url",
		    "warning: password and events cross the network in clear");
	if (conf->wait.replicas > 0 &&
	    conf->wait.timeout_ms >= conf->timeout_ms)
		complain(arg, "wait.timeout",
		    "expected a wait.timeout below the sink's timeout "
		    "(%llums), got %llums",
		    (unsigned long long)conf->timeout_ms,
		    (unsigned long long)conf->wait.timeout_ms);
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == ':' ||
	       c == '-';
}

/* One hash tag may stand in a name. What data makes of a template is compared
 * with names from the configuration only: nobody else can choose a slot. */
bool
hb_redis_valid_name(struct hb_span name)
{
	const char *open, *close;

	if (name.len < 1 || name.len > 256)
		return false;
	open = memchr(name.ptr, '{', name.len);
	close = memchr(name.ptr, '}', name.len);
	if ((open == NULL) != (close == NULL) ||
	    (open != NULL && close < open + 2))
		return false;
	for (const char *c = name.ptr; c < name.ptr + name.len; c++)
		if (c != open && c != close && !is_name_char(*c))
			return false;
	return true;
}
