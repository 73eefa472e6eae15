/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - how it stands, on one page
 *
 * Everything here is a count that somebody keeps anyway; nothing is read from
 * the disk for it. */
#include <unistd.h>

#include "hookbridge/claim.h"
#include "hookbridge/clock.h"
#include "hookbridge/dedup.h"
#include "hookbridge/tracker.h"
#include "parts.h"

/* What some shelves hold together. */
struct load {
	uint64_t records, bytes;
	int64_t oldest_ms; /* 0: nothing */
};

static void
add_shelf(struct load *load, const struct hb_shelf *shelf)
{
	struct hb_spool_lane_stats lane;

	hb_spool_lane_stats(shelf->lane, &lane);
	load->records += lane.records;
	load->bytes += lane.bytes;
	if (lane.oldest_ms != 0 &&
	    (load->oldest_ms == 0 || lane.oldest_ms < load->oldest_ms))
		load->oldest_ms = lane.oldest_ms;
}

/* --- events --------------------------------------------------------------- */

static json_t *
events(const struct hb_admin *admin)
{
	json_t *doc = json_pack("{s:I}", "in_flight",
	    (json_int_t)hb_deliver_in_flight(admin->env.deliver));

	json_object_update_new(doc, hb_admin_totals(admin));
	return doc;
}

static json_t *
memory(const struct hb_budget *budget)
{
	return json_pack("{s:I,s:I}", "used",
	    (json_int_t)atomic_load(&budget->used), "limit",
	    (json_int_t)budget->limit);
}

/* --- sinks ---------------------------------------------------------------- */

static void
set_health(json_t *to, enum hb_health health, const char *why)
{
	json_object_set_new(
	    to, "health", json_string(hb_admin_health_word(health)));
	hb_admin_set(to, "why", hb_span_of(health != HB_UP ? why : NULL));
}

static struct load
kept_for(const struct hb_admin *admin, const struct hb_dest_conf *dest)
{
	struct load load = { .records = 0 };
	const struct hb_shelf *shelf = admin->env.store != NULL
	    ? hb_store_shelves(admin->env.store, HB_SHELF_DELIVERIES) : NULL;

	for (; shelf != NULL; shelf = shelf->next)
		if (shelf->dest == dest)
			add_shelf(&load, shelf);
	return load;
}

static json_t *
destination(const struct hb_admin *admin, const struct hb_sink *sink,
    const struct hb_dest_conf *dest)
{
	struct load load = kept_for(admin, dest);
	json_t *doc = json_object();
	char why[160];
	enum hb_health health = hb_sink_dest_health(sink, dest, why);

	hb_admin_set(doc, "name", hb_span_of(dest->name));
	set_health(doc, health, why);
	json_object_update_new(doc,
	    json_pack("{s:I,s:I,s:I,s:o}", "pending",
		(json_int_t)hb_metric_value(
		    hb_metric_get(HB_M_DELIVERIES_PENDING, sink->conf->name,
			dest->label, NULL, NULL)),
		"spooled", (json_int_t)load.records, "bytes",
		(json_int_t)load.bytes, "oldest_ms",
		hb_admin_time(load.oldest_ms)));
	return doc;
}

static json_t *
one_sink(const struct hb_admin *admin, const struct hb_sink_conf *conf)
{
	const struct hb_config *cfg = admin->env.cfg;
	const struct hb_dest_conf any = { .sink = conf };
	const struct hb_sink *sink = hb_sinks_of(admin->env.sinks, &any);
	json_t *doc = json_object(), *dests = json_array();
	char why[160];
	enum hb_health health = hb_sink_health(sink, why);

	hb_admin_set(doc, "name", hb_span_of(conf->name));
	hb_admin_set(doc, "type", hb_span_of(conf->type->name));
	set_health(doc, health, why);
	for (size_t i = 0; i < cfg->dest_count; i++)
		if (cfg->dests[i]->sink == conf)
			json_array_append_new(
			    dests, destination(admin, sink, cfg->dests[i]));
	json_object_set_new(doc, "destinations", dests);
	return doc;
}

static json_t *
sinks(const struct hb_admin *admin)
{
	json_t *list = json_array();

	for (size_t i = 0; i < admin->env.cfg->sink_count; i++)
		json_array_append_new(
		    list, one_sink(admin, &admin->env.cfg->sinks[i]));
	return list;
}

/* --- the store ------------------------------------------------------------ */

/* What both kinds have to say; *stats for the rest. */
static json_t *
disk(struct hb_store *store, enum hb_shelf_kind kind,
    struct hb_spool_stats *stats)
{
	const struct hb_shelf *shelf = hb_store_shelves(store, kind);
	struct load all = { .records = 0 };
	json_t *doc = json_object();

	for (; shelf != NULL; shelf = shelf->next)
		add_shelf(&all, shelf);
	hb_store_stats(store, kind, stats);
	json_object_set_new(
	    doc, "state", json_string(hb_admin_state_word(stats->state)));
	hb_admin_set(doc, "why",
	    hb_span_of(stats->state != HB_SPOOL_OK ? stats->why : NULL));
	json_object_update_new(doc,
	    json_pack("{s:I,s:I,s:I,s:I,s:o}", "records",
		(json_int_t)stats->records, "bytes", (json_int_t)stats->bytes,
		"disk_bytes", (json_int_t)stats->disk_bytes, "max_size",
		(json_int_t)stats->max_size, "oldest_ms",
		hb_admin_time(all.oldest_ms)));
	return doc;
}

static json_t *
spool(struct hb_store *store)
{
	const struct hb_shelf *shelf;
	struct hb_spool_stats stats;
	struct load orphaned = { .records = 0 };
	json_t *doc;

	if (store == NULL)
		return json_null();
	shelf = hb_store_shelves(store, HB_SHELF_DELIVERIES);
	for (; shelf != NULL; shelf = shelf->next)
		if (shelf->dest == NULL)
			add_shelf(&orphaned, shelf);
	doc = disk(store, HB_SHELF_DELIVERIES, &stats);
	json_object_update_new(doc,
	    json_pack("{s:I,s:I,s:I}", "orphaned",
		(json_int_t)orphaned.records, "quarantined",
		(json_int_t)stats.quarantined, "lost",
		(json_int_t)stats.lost));
	return doc;
}

/* Adds a shelf's count to that of its reason. */
static void
add_reason(json_t *list, const struct hb_shelf *shelf)
{
	struct load load = { .records = 0 };
	json_t *item, *sum;
	size_t i;

	add_shelf(&load, shelf);
	if (load.records == 0)
		return;
	json_array_foreach (list, i, item) {
		struct hb_span reason = hb_span_of(
		    json_string_value(json_object_get(item, "reason")));

		if (!hb_span_eq(reason, shelf->reason))
			continue;
		sum = json_object_get(item, "records");
		json_integer_set(sum,
		    json_integer_value(sum) + (json_int_t)load.records);
		return;
	}
	item = json_object();
	hb_admin_set(item, "reason", shelf->reason);
	json_object_set_new(
	    item, "records", json_integer((json_int_t)load.records));
	json_array_append_new(list, item);
}

static json_t *
dead(struct hb_store *store)
{
	const struct hb_shelf *shelf;
	struct hb_spool_stats stats;
	json_t *doc, *reasons;

	if (store == NULL)
		return json_null();
	doc = disk(store, HB_SHELF_DEAD, &stats);
	reasons = json_array();
	shelf = hb_store_shelves(store, HB_SHELF_DEAD);
	for (; shelf != NULL; shelf = shelf->next)
		add_reason(reasons, shelf);
	json_object_set_new(doc, "reasons", reasons);
	return doc;
}

/* --- the rest ------------------------------------------------------------- */

static json_t *
dedup(struct hb_dedup *table)
{
	struct hb_dedup_stats stats;

	hb_dedup_stats(table, &stats);
	return json_pack("{s:I,s:I,s:I,s:I,s:b,s:b}", "entries",
	    (json_int_t)stats.entries, "under_way", (json_int_t)stats.under_way,
	    "max_entries", (json_int_t)stats.max_entries, "bytes",
	    (json_int_t)stats.bytes, "lasts", stats.lasts, "broken",
	    stats.broken);
}

static json_t *
claims(struct hb_claims *store)
{
	struct hb_claims_stats stats;

	if (store == NULL)
		return json_null();
	hb_claims_stats(store, &stats);
	return json_pack("{s:I,s:I,s:I}", "count", (json_int_t)stats.count,
	    "bytes", (json_int_t)stats.bytes, "max_size",
	    (json_int_t)stats.max_size);
}

static json_t *
process(const struct hb_admin *admin)
{
	uint64_t up_ms = hb_clock_mono_ms() - admin->started_mono_ms;
	json_t *doc = json_pack("{s:s,s:I,s:I,s:I}", "version",
	    PACKAGE_VERSION, "pid", (json_int_t)getpid(), "started_ms",
	    (json_int_t)admin->started_ms, "uptime_s",
	    (json_int_t)(up_ms / 1000));

	hb_admin_set(doc, "config", hb_span_of(admin->env.cfg->file));
	json_object_set_new(
	    doc, "ready", json_boolean(hb_admin_is_ready(admin, NULL)));
	return doc;
}

void
hb_admin_status(struct hb_call *call)
{
	const struct hb_admin *admin = call->admin;
	json_t *doc = process(admin);

	json_object_set_new(doc, "events", events(admin));
	json_object_set_new(doc, "rates", hb_rates_now(admin));
	json_object_set_new(doc, "memory", memory(admin->env.budget));
	json_object_set_new(doc, "sinks", sinks(admin));
	json_object_set_new(doc, "spool", spool(admin->env.store));
	json_object_set_new(doc, "dead", dead(admin->env.store));
	json_object_set_new(doc, "dedup", dedup(admin->env.dedup));
	json_object_set_new(doc, "claims", claims(admin->env.claims));
	hb_admin_say(call, 200, doc);
}
