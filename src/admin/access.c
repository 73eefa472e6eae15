/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - who may change things and look into payloads: root, the daemon's
 * own user, and the configured operators
 *
 * The kernel says who connected. Names are looked up once, at start: asking
 * for them may take a network, which the loop cannot wait for. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define PASSWD_MAX ((size_t)1024 * 1024)

/* 0, or why there is no such user. */
static int
look_up(const char *name, uid_t *uid)
{
	struct passwd entry, *found = NULL;
	size_t size = 4096;
	char *buf = NULL;
	int rc;

	do {
		buf = hb_xrealloc(buf, size);
		rc = getpwnam_r(name, &entry, buf, size, &found);
		size *= 2;
	} while (rc == ERANGE && size <= PASSWD_MAX);
	if (found != NULL)
		*uid = found->pw_uid;
	else if (rc == 0)
		rc = ENOENT;
	free(buf);
	return rc;
}

/* One that cannot be found now may do nothing, and keeps nobody else from
 * their webhooks. */
void
hb_admin_init_operators(struct hb_admin *admin)
{
	const struct hb_strings *names = &admin->env.cfg->admin.operators;

	admin->operators = hb_xcalloc(names->count + 1, sizeof(uid_t));
	for (size_t i = 0; i < names->count; i++) {
		int rc = look_up(names->items[i],
		    &admin->operators[admin->operator_count]);

		if (rc == 0)
			admin->operator_count++;
		else
			hb_log(HB_LOG_WARNING, "admin.operator",
			    HB_F_STR("user", names->items[i]),
			    HB_F_STR("why", rc == ENOENT ? "no such user"
							 : strerror(rc)));
	}
}

static bool
is_operator(const struct hb_admin *admin, uid_t uid)
{
	for (size_t i = 0; i < admin->operator_count; i++)
		if (admin->operators[i] == uid)
			return true;
	return uid == 0 || uid == geteuid();
}

bool
hb_admin_may(struct hb_call *call)
{
	if (!call->resource->guarded ||
	    (call->has_uid && is_operator(call->admin, call->uid)))
		return true;
	return hb_admin_refuse(call, 403,
	    "this is for root, the daemon's own user and those of "
	    "admin.operators");
}

void
hb_admin_log_call(const struct hb_call *call, int code)
{
	const struct hb_http_head *head = &call->req->head;

	hb_log(HB_LOG_INFO, "admin.request",
	    HB_F_I64("uid", call->has_uid ? (int64_t)call->uid : -1),
	    HB_F_SPAN("method", head->method), HB_F_SPAN("path", head->path),
	    HB_F_I64("code", code));
}
