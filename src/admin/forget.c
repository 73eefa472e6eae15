/* SPDX-License-Identifier: Apache-2.0 */
/* forget.c - lets a webhook come again as a new one */
#include "hookbridge/dedup.h"
#include "parts.h"

void
hb_admin_dedup_forget(struct hb_call *call)
{
	const struct hb_admin_env *env = &call->admin->env;
	const struct hb_endpoint_conf *endpoint;
	const char *name, *id;
	bool forgotten;

	if (!hb_admin_member_text(call, "endpoint", &name) ||
	    !hb_admin_member_text(call, "id", &id))
		return;
	endpoint = hb_config_endpoint(call->admin->env.cfg, hb_span_of(name));
	if (endpoint == NULL) {
		hb_admin_refuse(call, 404, "there is no such endpoint");
		return;
	}
	forgotten = hb_dedup_forget(env->dedup, endpoint, hb_span_of(id));
	hb_sinks_forget(env->sinks, hb_span_of(name), hb_span_of(id));
	hb_admin_say(call, 200, json_pack("{s:b}", "forgotten", forgotten));
}
