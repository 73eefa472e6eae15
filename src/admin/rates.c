/* SPDX-License-Identifier: Apache-2.0 */
/* rates.c - how much per second, lately
 *
 * A sample of the sums each second, the last ten of them; a rate is what has
 * come since the oldest. The series that are summed up are found once. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/event.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define SAMPLE_MS 1000

/* --- series --------------------------------------------------------------- */

static const char *const outcomes[HB_EVENT_OUTCOMES] = {"confirmed", "spooled",
    "dead_lettered", "duplicate"};

static void
find_events(struct hb_series *series, const struct hb_config *cfg,
    const char *outcome)
{
	size_t n = 0;

	series->count = cfg->endpoint_count * HB_STATUS_CLASSES;
	series->items = hb_xcalloc(series->count, sizeof(*series->items));
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		for (int s = 0; s < HB_STATUS_CLASSES; s++)
			series->items[n++] = hb_metric_get(HB_M_EVENTS,
			    cfg->endpoints[i].name,
			    hb_status_class_name((enum hb_status_class)s),
			    outcome, NULL);
}

static void
find_replayed(struct hb_series *series, const struct hb_config *cfg)
{
	series->count = cfg->sink_count;
	series->items = hb_xcalloc(series->count, sizeof(*series->items));
	for (size_t i = 0; i < series->count; i++)
		series->items[i] = hb_metric_get(HB_M_SPOOL_REPLAYED,
		    cfg->sinks[i].name, NULL, NULL, NULL);
}

void
hb_rates_init(struct hb_admin *admin)
{
	for (size_t i = 0; i < HB_EVENT_OUTCOMES; i++)
		find_events(&admin->rates.events[i], admin->env.cfg,
		    outcomes[i]);
	if (admin->env.store != NULL)
		find_replayed(&admin->rates.replayed, admin->env.cfg);
}

void
hb_rates_fini(struct hb_admin *admin)
{
	for (size_t i = 0; i < HB_EVENT_OUTCOMES; i++)
		free(admin->rates.events[i].items);
	free(admin->rates.replayed.items);
}

static int64_t
sum(const struct hb_series *series)
{
	int64_t n = 0;

	for (size_t i = 0; i < series->count; i++)
		n += hb_metric_value(series->items[i]);
	return n;
}

void
hb_admin_sum(const struct hb_admin *admin, struct hb_totals *totals)
{
	for (size_t i = 0; i < HB_EVENT_OUTCOMES; i++)
		totals->events[i] = sum(&admin->rates.events[i]);
	totals->replayed = sum(&admin->rates.replayed);
}

json_t *
hb_admin_totals(const struct hb_admin *admin)
{
	struct hb_totals totals;
	json_t *doc = json_object();

	hb_admin_sum(admin, &totals);
	for (size_t i = 0; i < HB_EVENT_OUTCOMES; i++)
		json_object_set_new(
		    doc, outcomes[i], json_integer(totals.events[i]));
	return doc;
}

/* --- samples -------------------------------------------------------------- */

static void
take_sample(struct hb_admin *admin)
{
	struct hb_rates *rates = &admin->rates;
	size_t place = rates->count++ % HB_RATES_WINDOW;

	rates->samples[place].at_ms = hb_clock_mono_ms();
	hb_admin_sum(admin, &rates->samples[place].totals);
}

static void
on_timer(struct hb_timer *timer)
{
	struct hb_admin *admin =
	    hb_container_of(timer, struct hb_admin, rates.timer);

	take_sample(admin);
	hb_timer_set(timer, SAMPLE_MS);
}

void
hb_rates_start(struct hb_admin *admin)
{
	if (admin->rates.count > 0)
		return;
	hb_timer_init(&admin->rates.timer, admin->env.loop, on_timer);
	on_timer(&admin->rates.timer);
}

void
hb_rates_stop(struct hb_admin *admin)
{
	hb_timer_fini(&admin->rates.timer);
}

/* In tenths. */
static json_t *
per_second(int64_t came, uint64_t ms)
{
	int64_t tenths = ms > 0 ? (came * 10000 + (int64_t)ms / 2) /
	    (int64_t)ms : 0;

	return json_real((double)tenths / 10);
}

json_t *
hb_rates_now(const struct hb_admin *admin)
{
	const struct hb_rates *rates = &admin->rates;
	size_t oldest = rates->count < HB_RATES_WINDOW
	    ? 0 : rates->count % HB_RATES_WINDOW;
	const struct hb_totals *was = &rates->samples[oldest].totals;
	uint64_t ms = hb_clock_mono_ms() - rates->samples[oldest].at_ms;
	json_t *doc = json_pack(
	    "{s:I}", "seconds", (json_int_t)((ms + 500) / 1000));
	struct hb_totals now;

	hb_admin_sum(admin, &now);
	for (size_t i = 0; i < HB_EVENT_OUTCOMES; i++)
		json_object_set_new(doc, outcomes[i],
		    per_second(now.events[i] - was->events[i], ms));
	json_object_set_new(
	    doc, "replayed", per_second(now.replayed - was->replayed, ms));
	return doc;
}
