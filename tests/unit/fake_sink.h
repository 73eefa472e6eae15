/* SPDX-License-Identifier: Apache-2.0 */
/* fake_sink.h - sinks that do what the test says, behind the real interface
 *
 * A fake keeps what it is sent until the test reports it (fake_report), or, if
 * it answers by itself, reports each delivery from inside send(). It counts
 * what it was sent by destination. The program is linked with
 * --wrap=hb_sinks_of: hb_deliver_new() is given fakes_as_sinks().
 * Thread: send on any loop; the rest on the test's own. */
#ifndef HOOKBRIDGE_TESTS_FAKE_SINK_H
#define HOOKBRIDGE_TESTS_FAKE_SINK_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <pthread.h>

#include "hookbridge/mem.h"
#include "hookbridge/sink.h"

#define FAKES_MAX 4
#define FAKE_DESTS 64
#define FAKE_HELD 256

struct fake {
	struct hb_sink sink; /* first: a struct hb_sink * is one of these */
	size_t fits;         /* longest value; 0: any */
	bool is_unready;
	bool answers;        /* by itself, with: */
	enum hb_report answer;

	pthread_mutex_t lock; /* of what follows */
	struct hb_delivery *held[FAKE_HELD]; /* in the order of sending */
	size_t held_count;
	unsigned sent[FAKE_DESTS]; /* by hb_dest_conf.index */
	unsigned sent_count;
};

struct fakes {
	struct fake items[FAKES_MAX]; /* by hb_sink_conf.index */
	size_t count;
};

/* --- the interface -------------------------------------------------------- */

static inline void
fake_say(struct hb_delivery *delivery, enum hb_report report,
    const char *reason)
{
	struct hb_error why;

	if (report == HB_REPORT_CONFIRMED) {
		hb_delivery_report(delivery, report, NULL);
		return;
	}
	hb_fail_reason(&why, HB_E_RETRY, reason, "as the test says");
	hb_delivery_report(delivery, report, &why);
}

static inline void
fake_send(struct hb_sink *sink, struct hb_delivery *delivery)
{
	struct fake *fake = (struct fake *)sink;

	assert_ptr_equal(delivery->msg.dest->sink, sink->conf);
	pthread_mutex_lock(&fake->lock);
	fake->sent[delivery->msg.dest->index]++;
	fake->sent_count++;
	if (!fake->answers) {
		assert_true(fake->held_count < FAKE_HELD);
		fake->held[fake->held_count++] = delivery;
	}
	pthread_mutex_unlock(&fake->lock);
	if (fake->answers)
		fake_say(delivery, fake->answer, NULL);
}

static inline bool
fake_fits(const struct hb_sink *sink, const struct hb_message *msg,
    struct hb_error *err)
{
	const struct fake *fake = (const struct fake *)sink;

	return fake->fits == 0 || msg->value.len <= fake->fits ||
	    hb_fail_reason(err, HB_E_DEAD, "too-large", "as the test says");
}

static inline bool
fake_ready(struct hb_sink *sink, const struct hb_delivery *delivery)
{
	(void)delivery;
	return !((struct fake *)sink)->is_unready;
}

static const struct hb_sink_ops fake_ops = {
	.send = fake_send,
	.fits = fake_fits,
	.ready = fake_ready,
};

/* --- the fakes of a configuration ----------------------------------------- */

struct hb_sink *__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest);

struct hb_sink *
__wrap_hb_sinks_of(const struct hb_sinks *sinks,
    const struct hb_dest_conf *dest)
{
	struct fakes *fakes = (struct fakes *)(uintptr_t)sinks;

	assert_true(dest->sink->index < fakes->count);
	return &fakes->items[dest->sink->index].sink;
}

static inline struct hb_sinks *
fakes_as_sinks(struct fakes *fakes)
{
	return (struct hb_sinks *)fakes;
}

/* One for each sink, all up, holding what they get. */
static inline void
fakes_open(struct fakes *fakes, const struct hb_config *cfg,
    struct hb_sink_conf *const *confs, size_t count)
{
	struct hb_sink_env env = { .cfg = cfg };

	assert_true(count <= FAKES_MAX && cfg->dest_count <= FAKE_DESTS);
	*fakes = (struct fakes){ .count = count };
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(confs[i]->index, i);
		hb_sink_init(&fakes->items[i].sink, &fake_ops, confs[i], &env,
		    HB_UP);
		pthread_mutex_init(&fakes->items[i].lock, NULL);
	}
}

/* Everything has been reported. */
static inline void
fakes_close(struct fakes *fakes)
{
	for (size_t i = 0; i < fakes->count; i++) {
		assert_int_equal(fakes->items[i].held_count, 0);
		pthread_mutex_destroy(&fakes->items[i].lock);
		hb_sink_fini(&fakes->items[i].sink);
	}
}

static inline size_t
fake_held(struct fake *fake)
{
	size_t count;

	pthread_mutex_lock(&fake->lock);
	count = fake->held_count;
	pthread_mutex_unlock(&fake->lock);
	return count;
}

/* Reports one of those held; on_report comes by the delivery's loop. */
static inline void
fake_report(struct fake *fake, size_t which, enum hb_report report,
    const char *reason)
{
	struct hb_delivery *delivery;

	pthread_mutex_lock(&fake->lock);
	assert_true(which < fake->held_count);
	delivery = fake->held[which];
	fake->held_count--;
	for (size_t i = which; i < fake->held_count; i++)
		fake->held[i] = fake->held[i + 1];
	pthread_mutex_unlock(&fake->lock);
	fake_say(delivery, report, reason);
}

#endif
