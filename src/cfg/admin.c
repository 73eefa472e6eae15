/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - where operators ask, and who of them may change things */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/mem.h"
#include "load.h"

#define MAX_OPERATORS 64
#define MAX_PASSWD (1u << 20)

#define AT(member) .offset = offsetof(struct hb_admin_conf, member)

const struct hb_key hb_keys_admin[] = {
	{ "address", HB_KEY_STRING, AT(address),
	    "unix:/run/hookbridge/admin.sock", 1, 128,
	    .help = "unix:PATH" },
	{ "operators", HB_KEY_STRINGS, AT(operators), NULL, 0, MAX_OPERATORS,
	    .help = "users who may change things, besides root and our own" },
	{ "token", HB_KEY_CUSTOM, .later = "the admin interface over TCP" },
	{ "tls", HB_KEY_CUSTOM, .later = "the admin interface over TCP" },
	{ "metrics", HB_KEY_CUSTOM, .later = "a second admin address" },
	{ .name = NULL },
};

/* --- the address ---------------------------------------------------------- */

static void
check_own(struct hb_load *ld, const struct hb_node *node, const char *address)
{
	const struct hb_config *cfg = ld->cfg;

	for (size_t i = 0; i < cfg->listen_count; i++)
		if (cfg->listen[i].address != NULL &&
		    strcmp(cfg->listen[i].address, address) == 0)
			hb_report_expected(ld->report, node,
			    "an address of its own (listen[%zu] has it)", i);
}

static void
check_address(struct hb_load *ld, const struct hb_node *node,
    const char *address)
{
	const char *path = hb_unix_path(address);

	if (path == NULL) {
		hb_report_error(ld->report, node,
		    "an address of TCP needs TLS and a token: not supported "
		    "yet");
		hb_report_remedy(ld->report,
		    "unix: and an absolute path: "
		    "\"unix:/run/hookbridge/admin.sock\"");
	} else if (!hb_is_socket_path(path)) {
		hb_report_expected(ld->report, node, HB_SOCKET_EXPECTED);
	} else {
		check_own(ld, node, address);
	}
}

/* --- operators ------------------------------------------------------------ */

/* Whether the machine knows a user of that name; it does, too, when it cannot
 * tell. */
static bool
is_user(const char *name)
{
	size_t size = 4096;
	char *buf = hb_xmalloc(size);
	struct passwd entry, *found = NULL;
	int rc;

	while ((rc = getpwnam_r(name, &entry, buf, size, &found)) == ERANGE &&
	    size < MAX_PASSWD) {
		free(buf);
		size *= 2;
		buf = hb_xmalloc(size);
	}
	free(buf);
	return found != NULL ||
	    (rc != 0 && rc != ENOENT && rc != ESRCH && rc != EPERM);
}

static void
check_operators(struct hb_load *ld, const struct hb_node *list,
    const struct hb_strings *operators)
{
	for (size_t i = 0; i < operators->count; i++) {
		if (is_user(operators->items[i]))
			continue;
		hb_report_expected(ld->report, hb_node_item(list, i),
		    "the name of a user of this machine");
	}
}

void
hb_check_admin(struct hb_load *ld)
{
	struct hb_admin_conf *admin = &ld->cfg->admin;
	const struct hb_node *map = hb_node_get(ld->root, "admin");
	const struct hb_node *address = hb_node_get(map, "address");

	admin->is_default = address == NULL;
	if (address != NULL && address->kind != HB_NODE_BROKEN)
		check_address(ld, address, admin->address);
	else
		check_own(ld, map != NULL ? map : ld->root, admin->address);
	if (admin->operators.count > 0)
		check_operators(ld, hb_node_get(map, "operators"),
		    &admin->operators);
}
