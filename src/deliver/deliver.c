/* SPDX-License-Identifier: Apache-2.0 */
/* deliver.c - what all trackers share: counters, and where to find the rest
 *
 * The series of destinations are made at start, so that counting is an atomic
 * addition. */
#include <stdatomic.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

static void
dest_metrics_init(struct hb_dest_metrics *m, const struct hb_dest_conf *dest)
{
	const char *sink = dest->sink->name;

	m->confirmed = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "confirmed", NULL);
	m->spooled = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "spooled", NULL);
	m->dead_lettered = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "dead_lettered", NULL);
	m->failed = hb_metric_get(HB_M_DELIVERIES, sink, dest->label,
	    "failed", NULL);
	m->pending = hb_metric_get(HB_M_DELIVERIES_PENDING, sink, dest->label,
	    NULL, NULL);
	m->keys_replaced = hb_metric_get(HB_M_KEYS_REPLACED, sink, dest->label,
	    NULL, NULL);
	m->headers_left_out = hb_metric_get(HB_M_HEADERS_LEFT_OUT, sink,
	    dest->label, NULL, NULL);
}

struct hb_deliver *
hb_deliver_new(const struct hb_deliver_env *env)
{
	struct hb_deliver *deliver = hb_xcalloc(1, sizeof(*deliver));
	const struct hb_config *cfg = env->cfg;

	deliver->env = *env;
	deliver->metric_in_flight = hb_metric_get(HB_M_EVENTS_IN_FLIGHT,
	    NULL, NULL, NULL, NULL);
	deliver->dests = hb_xcalloc(cfg->dest_count, sizeof(*deliver->dests));
	for (size_t i = 0; i < cfg->dest_count; i++)
		dest_metrics_init(&deliver->dests[i], cfg->dests[i]);
	return deliver;
}

void
hb_deliver_free(struct hb_deliver *deliver)
{
	if (deliver == NULL)
		return;
	free(deliver->dests);
	free(deliver);
}

unsigned
hb_deliver_in_flight(const struct hb_deliver *deliver)
{
	return atomic_load(&deliver->in_flight);
}
