/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h - where events go: the contract of every sink, and what they share
 *
 * A sink is one file with one struct hb_sink_ops and one line in sink.c.
 * Thread: open, close, reopen on the main thread; send on any worker loop;
 * reports may come from any thread and arrive on the delivery's home loop.
 * Owns: nothing of a delivery; its message stays valid until the report.
 * Blocks: never (open may not either: what is not reachable yet is "down").
 * Contract: each hb_sink_ops.send() is followed by exactly one
 * hb_delivery_report(), whatever happens, close included. */
#ifndef HOOKBRIDGE_SINK_H
#define HOOKBRIDGE_SINK_H

#include <stdatomic.h>

#include "hookbridge/cfg.h"
#include "hookbridge/loop.h"
#include "hookbridge/message.h"
#include "hookbridge/metric.h"

/* --- deliveries ----------------------------------------------------------- */

/* What became of one send. */
enum hb_report {
	HB_REPORT_CONFIRMED, /* the broker has it */
	HB_REPORT_RETRY,     /* not written; a later attempt may succeed */
	HB_REPORT_UNKNOWN,   /* maybe written; a later attempt may duplicate */
	HB_REPORT_REFUSED    /* this event never will be: too large, policy */
};

struct hb_sink;

struct hb_delivery {
	struct hb_message msg;
	struct hb_sink *sink;
	struct hb_loop *home;
	/* It is kept on disk and may take its time: batches before speed. */
	bool patient;
	/* Its owner's; runs on home after the report. */
	void (*on_report)(struct hb_delivery *delivery);
	/* Its owner's, or NULL; on home, at most once, before the report: the
	 * sink's own time for it is over, but its report may still take long.
	 * The owner's answer may let the next request in, whose delivery is
	 * sent from inside this. */
	void (*on_overdue)(struct hb_delivery *delivery);
	enum hb_report report;
	struct hb_error why; /* unless confirmed */
	uint64_t sent_us;

	/* The sink's own while it has the delivery. */
	struct hb_delivery *next;
	uint64_t word[2];
	struct hb_task task; /* of the report */
};

/* Any thread, exactly once for each send, also from inside send(). why is NULL
 * for a confirmation. on_report() comes later, on the home loop. */
void hb_delivery_report(struct hb_delivery *delivery, enum hb_report report,
    const struct hb_error *why);

/* --- health --------------------------------------------------------------- */

enum hb_health { HB_UP, HB_SLOW, HB_DOWN };

/* Each destination of cfg->dests has one; a sink as a whole is down only for
 * connection or login. Sinks find out by themselves when it is over. */
void hb_sink_set_health(struct hb_sink *sink, enum hb_health health,
    const char *why);
void hb_dest_set_health(struct hb_sink *sink, const struct hb_dest_conf *dest,
    enum hb_health health, const char *why);
/* The worse of the sink's and the destination's. Any thread. */
enum hb_health hb_dest_health(const struct hb_sink *sink,
    const struct hb_dest_conf *dest);
/* The same of the sink as a whole, and why, for people. Any thread. */
enum hb_health hb_sink_health(const struct hb_sink *sink, char why[160]);
/* Of a destination alone. */
enum hb_health hb_sink_dest_health(const struct hb_sink *sink,
    const struct hb_dest_conf *dest, char why[160]);
/* Counts into sink_errors_total; class from a fixed list of the sink. */
void hb_sink_count_error(struct hb_sink *sink, const char *class);

/* --- the interface -------------------------------------------------------- */

struct hb_sink_env {
	const struct hb_config *cfg;
	/* Where deliveries come from, not yet running: the workers, and last
	 * the replay's, whose deliveries are patient ones. */
	struct hb_loop *const *loops;
	size_t loop_count;
	struct hb_loop *helper; /* for what blocks: file syncs, destroying */
};

struct hb_sink_ops {
	struct hb_sink_type type; /* name, settings, checks: for cfg */
	/* Makes a struct that begins with a struct hb_sink. HB_E_CONFIG when it
	 * never can work. Connects only once the loops run (post to them). */
	struct hb_sink *(*open)(const struct hb_sink_conf *conf,
	    const struct hb_sink_env *env, struct hb_error *err);
	/* Starts a delivery on its home loop, the calling one. */
	void (*send)(struct hb_sink *sink, struct hb_delivery *delivery);
	/* Whether a message of this size can be taken at all: checked for all
	 * destinations of an event before anything is sent. NULL: any. */
	bool (*fits)(const struct hb_sink *sink, const struct hb_message *msg,
	    struct hb_error *err);
	/* The same by its settings alone, for a sink that is not open. */
	bool (*would_fit)(const struct hb_sink_conf *conf,
	    const struct hb_config *cfg, const struct hb_message *msg,
	    struct hb_error *err);
	/* Whether send() could take this delivery now: asked on its home loop,
	 * of all deliveries of an event, before the first of them is sent.
	 * NULL: it can while the destination is not down. */
	bool (*ready)(struct hb_sink *sink, const struct hb_delivery *delivery);
	/* Whether the sink was asked to keep the order of each destination's
	 * events: one by one then, and none before its predecessor is
	 * confirmed. NULL: it cannot be asked that. */
	bool (*is_ordered)(const struct hb_sink_conf *conf);
	/* Forgets that it has added this event, where it remembers such
	 * things, so that it is added again. Any thread; best effort. NULL: it
	 * remembers nothing. */
	void (*forget)(struct hb_sink *sink, struct hb_span endpoint,
	    struct hb_span id);
	/* SIGHUP: reopen what is held by name; NULL where there is nothing. */
	void (*reopen)(struct hb_sink *sink);
	/* Reports everything outstanding within timeout_ms, sent or not. Called
	 * while the loops run; waits. From then on send() reports a retry. */
	void (*drain)(struct hb_sink *sink, unsigned timeout_ms);
	/* Frees; the loops have stopped or never ran, nothing is outstanding.
	 * What the sink posted may still sit in a mailbox: it is run later,
	 * when the loop is freed, and must not touch the sink. */
	void (*close)(struct hb_sink *sink);
};

struct hb_sink {
	const struct hb_sink_ops *ops;
	const struct hb_sink_conf *conf;
	const struct hb_config *cfg;
	_Atomic int health; /* enum hb_health, of the sink as a whole */
	char why[160];      /* sink.c's: the reason last given */
	struct hb_dest_state *dests; /* by hb_dest_conf.index */
	struct hb_metric *metric_up, *metric_reconnects, *metric_duration;
};

/* Fills and releases the part that all sinks share. Both begin HB_UP or HB_DOWN
 * as said. */
void hb_sink_init(struct hb_sink *sink, const struct hb_sink_ops *ops,
    const struct hb_sink_conf *conf, const struct hb_sink_env *env,
    enum hb_health health);
void hb_sink_fini(struct hb_sink *sink);

extern const struct hb_sink_ops hb_sink_kafka, hb_sink_redis, hb_sink_file;
/* NULL-terminated: what the configuration may name. */
const struct hb_sink_type *const *hb_sink_types(void);
/* Whether the sink of a message's destination, were it open, would take a
 * message of this size: fits() without a network. */
bool hb_sink_would_fit(const struct hb_config *cfg,
    const struct hb_message *msg, struct hb_error *err) HB_MUST_CHECK;

/* --- all sinks of a configuration ----------------------------------------- */

struct hb_sinks;
struct hb_sinks *hb_sinks_open(const struct hb_sink_env *env,
    struct hb_error *err);
struct hb_sink *hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest);
bool hb_sink_is_ordered(const struct hb_sink *sink);
/* All of them forget the event. */
void hb_sinks_forget(const struct hb_sinks *sinks, struct hb_span endpoint,
    struct hb_span id);
void hb_sinks_reopen(struct hb_sinks *sinks);
void hb_sinks_drain(struct hb_sinks *sinks, unsigned timeout_ms);
void hb_sinks_close(struct hb_sinks *sinks);

#endif
