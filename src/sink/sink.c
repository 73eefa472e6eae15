/* SPDX-License-Identifier: Apache-2.0 */
/* sink.c - what all sinks share: reports, health, the list of types
 *
 * A report is written into its delivery and the delivery's task is handed to
 * the home loop; what is reported in one go is run there in one go.
 *
 * Health is an atomic for each destination and one for the sink, read without
 * a lock for every event. Changes are rare: one lock for all of them keeps
 * metrics and log lines in the order of the changes. A change of the reason
 * alone is logged too ("connecting", then "connection refused").
 *
 * Destinations that share a label (those of one template) share one series of
 * destination_up: it is 0 while any of them is down. The first of them, their
 * leader, keeps the count. */
#include "hookbridge/sink.h"

#include <pthread.h>
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

#define WHY_SIZE 160

struct hb_dest_state {
	_Atomic int health; /* enum hb_health */
	char why[WHY_SIZE];
	struct hb_metric *metric_up;
	struct hb_dest_state *leader; /* the first with this series */
	size_t down_count; /* a leader's, while metrics are renewed */
};

static pthread_mutex_t health_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- reports -------------------------------------------------------------- */

static void
on_report_task(struct hb_task *task)
{
	struct hb_delivery *delivery =
	    hb_container_of(task, struct hb_delivery, task);

	delivery->on_report(delivery);
}

/* Any thread, once for each send; on_report() follows on the home loop. */
void
hb_delivery_report(struct hb_delivery *delivery, enum hb_report report,
    const struct hb_error *why)
{
	if ((report == HB_REPORT_CONFIRMED) != (why == NULL))
		hb_bug("report %d %s a reason", (int)report,
		    why == NULL ? "without" : "with");
	delivery->report = report;
	if (why != NULL)
		delivery->why = *why;
	else
		hb_metric_observe_us(delivery->sink->metric_duration,
		    hb_clock_mono_us() - delivery->sent_us);
	delivery->task.run = on_report_task;
	if (hb_loop_current() == delivery->home)
		hb_loop_defer(delivery->home, &delivery->task);
	else
		hb_loop_post(delivery->home, &delivery->task);
}

/* --- health --------------------------------------------------------------- */

/* Whether the destination is one of the sink's: others' states lie idle. */
static bool
is_ours(const struct hb_dest_state *state)
{
	return state->metric_up != NULL;
}

/* Brings sink_up and destination_up in line with the health of all. */
static void
renew_metrics(struct hb_sink *sink)
{
	struct hb_dest_state *end = sink->dests + sink->cfg->dest_count;
	bool sink_down = atomic_load(&sink->health) == HB_DOWN;

	hb_metric_set(sink->metric_up, sink_down ? 0 : 1);
	for (struct hb_dest_state *state = sink->dests; state < end; state++)
		state->down_count = 0;
	for (struct hb_dest_state *state = sink->dests; state < end; state++)
		if (is_ours(state) &&
		    (sink_down || atomic_load(&state->health) == HB_DOWN))
			state->leader->down_count++;
	for (struct hb_dest_state *state = sink->dests; state < end; state++)
		if (is_ours(state) && state->leader == state)
			hb_metric_set(
			    state->metric_up, state->down_count == 0 ? 1 : 0);
}

/* Stores health and reason; whether either of them is new. */
static bool
change(_Atomic int *health, char known[WHY_SIZE], enum hb_health now,
    const char *why)
{
	char text[WHY_SIZE];
	bool same;

	snprintf(text, sizeof(text), "%s", now == HB_UP ? "" : why);
	same = atomic_load(health) == (int)now && strcmp(known, text) == 0;
	memcpy(known, text, WHY_SIZE);
	atomic_store(health, (int)now);
	return !same;
}

/* Sinks have two states for the log: a slow one is up. */
static void
log_sink(const struct hb_sink *sink, enum hb_health health, const char *why)
{
	if (health == HB_DOWN)
		hb_log_limited(HB_LOG_WARNING, "sink.down",
		    HB_F_STR("sink", sink->conf->name),
		    HB_F_STR("reason", why));
	else
		hb_log_limited(
		    HB_LOG_INFO, "sink.up", HB_F_STR("sink", sink->conf->name));
}

static void
log_dest(const struct hb_sink *sink, const struct hb_dest_conf *dest,
    enum hb_health health, const char *why)
{
	if (health == HB_UP)
		hb_log_limited(HB_LOG_INFO, "destination.up",
		    HB_F_STR("sink", sink->conf->name),
		    HB_F_STR("dst", dest->name));
	else
		hb_log_limited(HB_LOG_WARNING,
		    health == HB_DOWN ? "destination.down" : "destination.slow",
		    HB_F_STR("sink", sink->conf->name),
		    HB_F_STR("dst", dest->name), HB_F_STR("reason", why));
}

/* Any thread. why is not looked at for HB_UP. */
void
hb_sink_set_health(struct hb_sink *sink, enum hb_health health, const char *why)
{
	pthread_mutex_lock(&health_lock);
	if (change(&sink->health, sink->why, health, why)) {
		renew_metrics(sink);
		log_sink(sink, health, why);
	}
	pthread_mutex_unlock(&health_lock);
}

/* Any thread. why is not looked at for HB_UP. */
void
hb_dest_set_health(struct hb_sink *sink, const struct hb_dest_conf *dest,
    enum hb_health health, const char *why)
{
	struct hb_dest_state *state = &sink->dests[dest->index];

	pthread_mutex_lock(&health_lock);
	if (change(&state->health, state->why, health, why)) {
		renew_metrics(sink);
		log_dest(sink, dest, health, why);
	}
	pthread_mutex_unlock(&health_lock);
}

enum hb_health
hb_dest_health(const struct hb_sink *sink, const struct hb_dest_conf *dest)
{
	int of_sink = atomic_load(&sink->health);
	int of_dest = atomic_load(&sink->dests[dest->index].health);

	return (enum hb_health)(of_sink > of_dest ? of_sink : of_dest);
}

/* The text is copied: it changes with the health. */
enum hb_health
hb_sink_health(const struct hb_sink *sink, char why[WHY_SIZE])
{
	enum hb_health health;

	pthread_mutex_lock(&health_lock);
	health = (enum hb_health)atomic_load(&sink->health);
	memcpy(why, sink->why, WHY_SIZE);
	pthread_mutex_unlock(&health_lock);
	return health;
}

enum hb_health
hb_sink_dest_health(const struct hb_sink *sink,
    const struct hb_dest_conf *dest, char why[WHY_SIZE])
{
	const struct hb_dest_state *state = &sink->dests[dest->index];
	enum hb_health health;

	pthread_mutex_lock(&health_lock);
	health = (enum hb_health)atomic_load(&state->health);
	memcpy(why, state->why, WHY_SIZE);
	pthread_mutex_unlock(&health_lock);
	return health;
}

void
hb_sink_count_error(struct hb_sink *sink, const char *class)
{
	hb_metric_inc(hb_metric_get(
	    HB_M_SINK_ERRORS, sink->conf->name, class, NULL, NULL));
}

/* --- the shared part of a sink -------------------------------------------- */

/* Gives the destination its series, and its leader, the first that has it. */
static void
dest_state_init(struct hb_sink *sink, const struct hb_dest_conf *dest)
{
	struct hb_dest_state *state = &sink->dests[dest->index];
	struct hb_dest_state *leader = sink->dests;

	state->metric_up = hb_metric_get(
	    HB_M_DESTINATION_UP, sink->conf->name, dest->label, NULL, NULL);
	while (leader->metric_up != state->metric_up)
		leader++;
	state->leader = leader;
}

void
hb_sink_init(struct hb_sink *sink, const struct hb_sink_ops *ops,
    const struct hb_sink_conf *conf, const struct hb_sink_env *env,
    enum hb_health health)
{
	const struct hb_config *cfg = env->cfg;

	*sink = (struct hb_sink){.ops = ops, .conf = conf, .cfg = cfg};
	sink->metric_up =
	    hb_metric_get(HB_M_SINK_UP, conf->name, NULL, NULL, NULL);
	sink->metric_reconnects =
	    hb_metric_get(HB_M_SINK_RECONNECTS, conf->name, NULL, NULL, NULL);
	sink->metric_duration =
	    hb_metric_get(HB_M_DELIVERY_DURATION, conf->name, NULL, NULL, NULL);
	atomic_store(&sink->health, (int)health);
	sink->dests = hb_xcalloc(cfg->dest_count, sizeof(*sink->dests));
	for (size_t i = 0; i < cfg->dest_count; i++) {
		atomic_store(&sink->dests[i].health, (int)health);
		if (cfg->dests[i]->sink == conf)
			dest_state_init(sink, cfg->dests[i]);
	}
	renew_metrics(sink);
}

void
hb_sink_fini(struct hb_sink *sink)
{
	free(sink->dests);
}

/* --- the list of types ---------------------------------------------------- */

static const struct hb_sink_ops *const kinds[] = {
    &hb_sink_kafka, &hb_sink_redis, &hb_sink_file};

const struct hb_sink_type *const *
hb_sink_types(void)
{
	static const struct hb_sink_type *const types[] = {
	    &hb_sink_kafka.type, &hb_sink_redis.type, &hb_sink_file.type, NULL};

	return types;
}

static const struct hb_sink_ops *
ops_of(const struct hb_sink_type *type)
{
	for (size_t i = 0; i < HB_COUNT(kinds); i++)
		if (&kinds[i]->type == type)
			return kinds[i];
	hb_bug("sink type %s is not in the list", type->name);
}

bool
hb_sink_would_fit(const struct hb_config *cfg, const struct hb_message *msg,
    struct hb_error *err)
{
	const struct hb_sink_conf *conf = msg->dest->sink;
	const struct hb_sink_ops *ops = ops_of(conf->type);

	return ops->would_fit == NULL || ops->would_fit(conf, cfg, msg, err);
}

/* --- all sinks of a configuration ----------------------------------------- */

struct hb_sinks {
	struct hb_sink **items; /* by hb_sink_conf.index */
	size_t count;
};

/* Opens the sinks of a configuration; NULL when one can never work. */
struct hb_sinks *
hb_sinks_open(const struct hb_sink_env *env, struct hb_error *err)
{
	const struct hb_config *cfg = env->cfg;
	struct hb_sinks *sinks = hb_xcalloc(1, sizeof(*sinks));

	sinks->items = hb_xcalloc(cfg->sink_count, sizeof(*sinks->items));
	for (size_t i = 0; i < cfg->sink_count; i++) {
		const struct hb_sink_conf *conf = &cfg->sinks[i];
		struct hb_sink *sink = ops_of(conf->type)->open(conf, env, err);

		if (sink == NULL) {
			hb_error_prefix(err, "sinks.%s: ", conf->name);
			hb_sinks_close(sinks);
			return NULL;
		}
		sinks->items[sinks->count++] = sink;
	}
	return sinks;
}

struct hb_sink *
hb_sinks_of(const struct hb_sinks *sinks, const struct hb_dest_conf *dest)
{
	return sinks->items[dest->sink->index];
}

bool
hb_sink_is_ordered(const struct hb_sink *sink)
{
	return sink->ops->is_ordered != NULL &&
	       sink->ops->is_ordered(sink->conf);
}

void
hb_sinks_forget(
    const struct hb_sinks *sinks, struct hb_span endpoint, struct hb_span id)
{
	for (size_t i = 0; i < sinks->count; i++)
		if (sinks->items[i]->ops->forget != NULL)
			sinks->items[i]->ops->forget(
			    sinks->items[i], endpoint, id);
}

void
hb_sinks_reopen(struct hb_sinks *sinks)
{
	for (size_t i = 0; i < sinks->count; i++)
		if (sinks->items[i]->ops->reopen != NULL)
			sinks->items[i]->ops->reopen(sinks->items[i]);
}

/* The sinks share timeout_ms: each gets what its predecessors left of it. */
void
hb_sinks_drain(struct hb_sinks *sinks, unsigned timeout_ms)
{
	uint64_t due_ms = hb_clock_mono_ms() + timeout_ms;

	for (size_t i = 0; i < sinks->count; i++) {
		struct hb_sink *sink = sinks->items[i];
		uint64_t now_ms = hb_clock_mono_ms();

		sink->ops->drain(
		    sink, now_ms < due_ms ? (unsigned)(due_ms - now_ms) : 0);
	}
}

/* Also the way back from half of an open. NULL is allowed. */
void
hb_sinks_close(struct hb_sinks *sinks)
{
	if (sinks == NULL)
		return;
	for (size_t i = 0; i < sinks->count; i++)
		sinks->items[i]->ops->close(sinks->items[i]);
	free(sinks->items);
	free(sinks);
}
