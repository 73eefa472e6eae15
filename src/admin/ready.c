/* SPDX-License-Identifier: Apache-2.0 */
/* ready.c - alive, and able to take events
 *
 * Ready is who can make events durable: with a spool that is the disk, whatever
 * the brokers do; without one it is every sink. */
#include "parts.h"

void
hb_admin_healthz(struct hb_call *call)
{
	hb_admin_say(call, 200, json_pack("{s:s}", "status", "ok"));
}

const char *
hb_admin_health_word(enum hb_health health)
{
	switch (health) {
	case HB_UP:
		return "up";
	case HB_SLOW:
		return "slow";
	case HB_DOWN:
		break;
	}
	return "down";
}

const char *
hb_admin_state_word(enum hb_spool_state state)
{
	switch (state) {
	case HB_SPOOL_OK:
		return "ok";
	case HB_SPOOL_FULL:
		return "full";
	case HB_SPOOL_BROKEN:
		break;
	}
	return "broken";
}

/* Notes a check; whether it lets us be ready. */
static bool
note(json_t *checks, const char *name, bool ok, bool required,
    const char *detail)
{
	if (checks != NULL) {
		json_t *check = json_pack("{s:o,s:b,s:b}", "name",
		    json_string(name), "ok", ok, "required", required);

		hb_admin_set(check, "detail", hb_span_of(detail));
		json_array_append_new(checks, check);
	}
	return ok || !required;
}

static bool
check_running(const struct hb_admin *admin, json_t *checks)
{
	bool draining = admin->env.draining != NULL &&
	    atomic_load(admin->env.draining);

	return note(checks, "running", !draining, true,
	    draining ? "the daemon stops" : "ok");
}

static bool
check_store(const struct hb_admin *admin, json_t *checks,
    enum hb_shelf_kind kind)
{
	struct hb_spool_stats stats;
	bool ok;

	hb_store_stats(admin->env.store, kind, &stats);
	ok = stats.state == HB_SPOOL_OK;
	return note(checks,
	    kind == HB_SHELF_DELIVERIES ? "spool" : "dead letters", ok,
	    kind == HB_SHELF_DELIVERIES, ok ? "ok" : stats.why);
}

static bool
check_sink(const struct hb_admin *admin, json_t *checks,
    const struct hb_sink_conf *conf)
{
	const struct hb_dest_conf any = { .sink = conf };
	char name[320], why[160];
	bool ok = hb_sink_health(hb_sinks_of(admin->env.sinks, &any), why) !=
	    HB_DOWN;

	snprintf(name, sizeof(name), "sink %s", conf->name);
	return note(checks, name, ok, admin->env.store == NULL,
	    ok ? "ok" : why);
}

bool
hb_admin_is_ready(const struct hb_admin *admin, json_t *checks)
{
	const struct hb_config *cfg = admin->env.cfg;
	bool ready = check_running(admin, checks);

	if (admin->env.store != NULL) {
		ready &= check_store(admin, checks, HB_SHELF_DELIVERIES);
		ready &= check_store(admin, checks, HB_SHELF_DEAD);
	}
	for (size_t i = 0; i < cfg->sink_count; i++)
		ready &= check_sink(admin, checks, &cfg->sinks[i]);
	return ready;
}

void
hb_admin_readyz(struct hb_call *call)
{
	json_t *checks = json_array();
	bool ready = hb_admin_is_ready(call->admin, checks);

	hb_admin_say(call, ready ? 200 : 503,
	    json_pack("{s:b,s:o}", "ready", ready, "checks", checks));
}
