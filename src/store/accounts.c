/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.c - who holds how much of a spool, and who may
 *
 * A record is charged before it is appended and given back by who settles it,
 * to up to three owners at once:
 *
 *   its sink         may hold sink_share percent, where there are several
 *   its destination  a quarter of its sink's share, where its name comes from
 *                    data: who controls that names no queue to fill the spool
 *   its endpoint     half of the spool, where there are several
 *
 * so that who is over its share is refused alone. Deliveries that are orphaned
 * count for their endpoint only. What was on disk before is charged at opening,
 * whatever the limits are by now. */
#include <stdlib.h>

#include "hookbridge/tmpl.h"
#include "parts.h"

#define NO_LIMIT UINT64_MAX

/* --- limits --------------------------------------------------------------- */

static unsigned
count_enabled(const struct hb_config *cfg)
{
	unsigned count = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		count += cfg->endpoints[i].mode != HB_MODE_DISABLED;
	return count;
}

static void
init_sinks(struct hb_store_part *part, const struct hb_config *cfg)
{
	struct hb_store_account *sinks =
	    hb_xcalloc(cfg->sink_count + 1, sizeof(*sinks));
	uint64_t share =
	    hb_store_percent(part->capacity, cfg->spool.sink_share);

	for (size_t i = 0; i < cfg->sink_count; i++) {
		sinks[i].name = cfg->sinks[i].name;
		sinks[i].limit = cfg->sink_count > 1 ? share : NO_LIMIT;
	}
	part->books.sinks = sinks;
}

static void
init_endpoints(struct hb_store_part *part, const struct hb_config *cfg)
{
	struct hb_store_account *endpoints =
	    hb_xcalloc(cfg->endpoint_count + 1, sizeof(*endpoints));
	bool is_shared = count_enabled(cfg) > 1;

	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		endpoints[i].name = cfg->endpoints[i].name;
		endpoints[i].limit = is_shared ? part->capacity / 2 : NO_LIMIT;
	}
	part->books.endpoints = endpoints;
}

/* A quarter of what the destination's sink may hold. */
static void
limit_dests(struct hb_store_part *part, const struct hb_target_conf *target)
{
	uint64_t limit = part->books.sinks[target->sink->index].limit;

	if (target->name == NULL || hb_tmpl_is_static(target->name))
		return;
	if (limit > part->capacity)
		limit = part->capacity;
	for (size_t i = 0; i < target->dest_count; i++)
		part->books.dests[target->dests[i]->index].limit = limit / 4;
}

static void
init_dests(struct hb_store_part *part, const struct hb_config *cfg)
{
	struct hb_store_account *dests =
	    hb_xcalloc(cfg->dest_count + 1, sizeof(*dests));

	part->books.dests = dests;
	for (size_t i = 0; i < cfg->dest_count; i++) {
		dests[i].name = cfg->dests[i]->name;
		dests[i].limit = NO_LIMIT;
	}
	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t j = 0; j < cfg->routes[i].to_count; j++)
			limit_dests(part, cfg->routes[i].to[j]);
}

void
hb_store_books_init(struct hb_store_part *part, const struct hb_config *cfg)
{
	init_sinks(part, cfg);
	init_endpoints(part, cfg);
	init_dests(part, cfg);
}

void
hb_store_books_fini(struct hb_store_books *books)
{
	free(books->sinks);
	free(books->endpoints);
	free(books->dests);
}

void
hb_store_accounts_find(const struct hb_store_part *part,
    const struct hb_dest_conf *dest, const struct hb_endpoint_conf *endpoint,
    struct hb_store_accounts *accounts)
{
	const struct hb_store_books *books = &part->books;

	*accounts = (struct hb_store_accounts){
	    .each = {
		[HB_STORE_DEST] =
		    dest != NULL ? &books->dests[dest->index] : NULL,
		[HB_STORE_SINK] =
		    dest != NULL ? &books->sinks[dest->sink->index] : NULL,
		[HB_STORE_ENDPOINT] =
		    endpoint != NULL ? &books->endpoints[endpoint->index]
				     : NULL,
	    }};
}

/* --- charging ------------------------------------------------------------- */

/* A destination that is over its share comes of data, and would be the next
 * time, too. */
static bool
refuse(const struct hb_store_account *account, enum hb_store_owner owner,
    struct hb_error *err)
{
	static const struct {
		enum hb_code code;
		const char *reason, *what;
	} words[HB_STORE_OWNERS] = {
	    [HB_STORE_DEST] = {HB_E_DEAD, "destination-share", "destination"},
	    [HB_STORE_SINK] = {HB_E_RESOURCE, "sink-share", "sink"},
	    [HB_STORE_ENDPOINT] = {HB_E_RESOURCE, "endpoint-share",
		"endpoint"},
	};

	return hb_fail_reason(err, words[owner].code, words[owner].reason,
	    "%s \"%s\" holds as much of the spool as it may (%llu bytes)",
	    words[owner].what, account->name,
	    (unsigned long long)account->limit);
}

static bool
fits(const struct hb_store_account *account, uint64_t used, uint64_t cost)
{
	return used <= account->limit && cost <= account->limit - used;
}

static bool
take(struct hb_store_account *account, uint64_t cost)
{
	uint64_t used = atomic_load(&account->used);

	do
		if (!fits(account, used, cost))
			return false;
	while (!atomic_compare_exchange_weak(
	    &account->used, &used, used + cost));
	return true;
}

static void
count(const struct hb_store_accounts *accounts, int64_t records, int64_t cost)
{
	hb_metric_add(accounts->records, records);
	if (accounts->bytes != NULL)
		hb_metric_add(accounts->bytes, cost);
}

/* What the first owners were charged. */
static void
undo(const struct hb_store_accounts *accounts, int owners, uint64_t cost)
{
	for (int i = 0; i < owners; i++)
		if (accounts->each[i] != NULL)
			accounts->each[i]->used -= cost;
}

bool
hb_store_charge(const struct hb_store_accounts *accounts, uint64_t bytes,
    struct hb_error *err)
{
	uint64_t cost = bytes + HB_STORE_RECORD_COST;

	for (int i = 0; i < HB_STORE_OWNERS; i++) {
		struct hb_store_account *account = accounts->each[i];

		if (account == NULL || take(account, cost))
			continue;
		undo(accounts, i, cost);
		return refuse(account, (enum hb_store_owner)i, err);
	}
	count(accounts, 1, (int64_t)cost);
	return true;
}

bool
hb_store_may_charge(const struct hb_store_accounts *accounts, uint64_t bytes,
    struct hb_error *err)
{
	uint64_t cost = bytes + HB_STORE_RECORD_COST;

	for (int i = 0; i < HB_STORE_OWNERS; i++) {
		const struct hb_store_account *account = accounts->each[i];

		if (account != NULL &&
		    !fits(account, atomic_load(&account->used), cost))
			return refuse(account, (enum hb_store_owner)i, err);
	}
	return true;
}

static uint64_t
cost_of(uint64_t records, uint64_t bytes)
{
	return bytes + records * HB_STORE_RECORD_COST;
}

void
hb_store_recharge(const struct hb_store_accounts *accounts, uint64_t records,
    uint64_t bytes)
{
	uint64_t cost = cost_of(records, bytes);

	for (int i = 0; i < HB_STORE_OWNERS; i++)
		if (accounts->each[i] != NULL)
			accounts->each[i]->used += cost;
	count(accounts, (int64_t)records, (int64_t)cost);
}

void
hb_store_give_back(const struct hb_store_accounts *accounts, uint64_t records,
    uint64_t bytes)
{
	uint64_t cost = cost_of(records, bytes);

	undo(accounts, HB_STORE_OWNERS, cost);
	count(accounts, -(int64_t)records, -(int64_t)cost);
}
