/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - where webhooks come in */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "load.h"
#include "values.h"

#define UNIX_PREFIX "unix:"
#define SYSTEMD_PREFIX "systemd:"
#define MAX_HOST 255

const struct hb_key hb_keys_listen[] = {
	{ .name = "address", .type = HB_KEY_STRING,
	    .offset = offsetof(struct hb_listen_conf, address),
	    .max = MAX_HOST + 8,
	    .flags = HB_KEY_REQUIRED | HB_KEY_RESTART,
	    .help = "host:port, [v6]:port or unix:PATH" },
	{ .name = "tls", .type = HB_KEY_CUSTOM, .later = "TLS on listeners" },
	{ .name = "proxy_protocol", .type = HB_KEY_CUSTOM,
	    .later = "the PROXY protocol" },
	{ .name = "trusted_proxies", .type = HB_KEY_CUSTOM,
	    .later = "trusted proxies" },
	{ .name = NULL },
};

/* --- addresses ------------------------------------------------------------ */

struct host {
	char text[MAX_HOST + 1];
	bool bracketed;
};

/* "host:port" to its host; false when it is not of that form. */
static bool
split(const char *address, struct host *host)
{
	const char *colon = strrchr(address, ':');
	uint64_t port;
	size_t len;

	if (colon == NULL || hb_value_uint(colon + 1, &port) != HB_VALUE_OK ||
	    port > 65535)
		return false;
	len = (size_t)(colon - address);
	host->bracketed = len > 2 && address[0] == '[' && colon[-1] == ']';
	if (host->bracketed) {
		address++;
		len -= 2;
	}
	if (len == 0 || len > MAX_HOST)
		return false;
	memcpy(host->text, address, len);
	host->text[len] = '\0';
	return true;
}

static bool
is_host_name(const char *host)
{
	return strspn(host,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789.-") == strlen(host);
}

static bool
is_valid_tcp(const char *address)
{
	struct in6_addr v6;
	struct host host;

	if (!split(address, &host))
		return false;
	if (host.bracketed)
		return inet_pton(AF_INET6, host.text, &v6) == 1;
	return is_host_name(host.text);
}

const char *
hb_unix_path(const char *address)
{
	size_t len = strlen(UNIX_PREFIX);

	return strncmp(address, UNIX_PREFIX, len) == 0 ? address + len : NULL;
}

bool
hb_is_socket_path(const char *path)
{
	return path[0] == '/' &&
	    strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

/* What was probably meant. */
static void
suggest(struct hb_load *ld, const char *address)
{
	const char *port = strrchr(address, ':');

	if (strstr(address, "//") != NULL)
		hb_report_remedy(ld->report,
		    "an address has no scheme and no path: \"127.0.0.1:8080\"");
	else if (port == NULL || address[strlen(address) - 1] == ']')
		hb_report_remedy(ld->report,
		    "a port is missing: \"127.0.0.1:8080\"");
	else if (port == address || strncmp(address, "*:", 2) == 0)
		hb_report_remedy(ld->report,
		    "for all addresses: \"0.0.0.0%s\" or \"[::]%s\"",
		    hb_report_quote(ld->report, port),
		    hb_report_quote(ld->report, port));
	else if (address[0] != '[' && strchr(address, ':') != port)
		hb_report_remedy(ld->report,
		    "IPv6 addresses stand in brackets: \"[::1]:8080\"");
}

static void
check_address(struct hb_load *ld, const struct hb_node *node,
    const char *address)
{
	const char *path = hb_unix_path(address);

	if (strncmp(address, SYSTEMD_PREFIX, strlen(SYSTEMD_PREFIX)) == 0) {
		hb_report_error(ld->report, node,
		    "not supported yet (socket activation)");
	} else if (path != NULL) {
		if (!hb_is_socket_path(path))
			hb_report_expected(ld->report, node,
			    HB_SOCKET_EXPECTED);
	} else if (!is_valid_tcp(address)) {
		hb_report_expected(ld->report, node,
		    "host:port, [v6]:port or unix:PATH");
		suggest(ld, address);
	}
}

/* Reachable from this machine only. */
static bool
is_loopback(const char *address)
{
	struct in6_addr v6;
	struct host host;
	struct in_addr v4;

	if (hb_unix_path(address) != NULL)
		return true;
	if (!split(address, &host))
		return false;
	if (inet_pton(AF_INET, host.text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host.text, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcmp(host.text, "localhost") == 0;
}

bool
hb_config_is_loopback(const struct hb_config *cfg)
{
	for (size_t i = 0; i < cfg->listen_count; i++)
		if (cfg->listen[i].address != NULL &&
		    !is_loopback(cfg->listen[i].address))
			return false;
	return true;
}

/* --- the list ------------------------------------------------------------- */

/* Port 0 is a new one each time: no two of those are the same. */
static void
refuse_repeated(struct hb_load *ld, const struct hb_node *node, size_t index)
{
	const struct hb_listen_conf *listen = ld->cfg->listen;
	size_t len = strlen(listen[index].address);

	if (len > 2 && strcmp(listen[index].address + len - 2, ":0") == 0)
		return;
	for (size_t i = 0; i < index; i++)
		if (listen[i].address != NULL &&
		    strcmp(listen[i].address, listen[index].address) == 0)
			hb_report_expected(ld->report, node,
			    "an address of its own");
}

void
hb_load_listen(struct hb_load *ld, const struct hb_node *list)
{
	struct hb_config *cfg = ld->cfg;

	if (list->kind == HB_NODE_BROKEN)
		return;
	if (!hb_is_list_of_maps(ld, list, "listeners")) {
		hb_report_remedy(ld->report,
		    "such as [{address: \"127.0.0.1:8080\"}]");
		return;
	}
	cfg->listen_count = hb_node_item_count(list);
	cfg->listen = hb_arena_calloc(ld->arena, cfg->listen_count,
	    sizeof(*cfg->listen));
	for (size_t i = 0; i < cfg->listen_count; i++) {
		const struct hb_node *item = hb_node_item(list, i);
		const struct hb_node *address = hb_node_get(item, "address");
		struct hb_listen_conf *listen = &cfg->listen[i];

		hb_keys_fill(ld, item, hb_keys_listen, listen);
		if (listen->address == NULL || address == NULL)
			continue;
		check_address(ld, address, listen->address);
		refuse_repeated(ld, address, i);
	}
}
