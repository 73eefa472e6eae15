/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - deliveries that wait: the shelves that hold some, and one of them
 */
#include "hookbridge/mem.h"
#include "parts.h"

static json_t *
describe(const struct hb_shelf *shelf, const struct hb_spool_lane_stats *lane)
{
	json_t *doc = json_object();

	hb_admin_set(doc, "sink", shelf->sink);
	hb_admin_set(doc, "type", shelf->sink_type);
	hb_admin_set(doc, "destination", shelf->name);
	hb_admin_set(doc, "endpoint", shelf->endpoint);
	json_object_update_new(doc,
	    json_pack("{s:I,s:I,s:o,s:b}", "records",
		(json_int_t)lane->records, "bytes", (json_int_t)lane->bytes,
		"oldest_ms", hb_admin_time(lane->oldest_ms), "orphaned",
		shelf->dest == NULL));
	return doc;
}

void
hb_admin_spool_list(struct hb_call *call)
{
	const struct hb_shelf *shelf;
	json_t *list;

	if (!hb_admin_has_store(call))
		return;
	list = json_array();
	shelf = hb_store_shelves(call->admin->env.store, HB_SHELF_DELIVERIES);
	for (; shelf != NULL; shelf = shelf->next) {
		struct hb_spool_lane_stats lane;

		hb_spool_lane_stats(shelf->lane, &lane);
		if (lane.records > 0)
			json_array_append_new(list, describe(shelf, &lane));
	}
	hb_admin_say(call, 200, json_pack("{s:o}", "shelves", list));
}

void
hb_admin_spool_show(struct hb_call *call)
{
	struct hb_record rec;
	bool is_held;

	if (!hb_admin_get_record(call, HB_SHELF_DELIVERIES, &rec))
		return;
	/* Only asked: nobody waits for it. */
	is_held = hb_store_is_held(call->admin->env.store, &rec, NULL, NULL);
	hb_admin_say(call, 200, hb_admin_delivery(&rec, is_held));
	hb_record_fini(&rec);
}
