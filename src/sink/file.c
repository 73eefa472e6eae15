/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - events become lines of a file, or of stdout
 *
 * Workers put deliveries into one queue. The helper takes groups out of it:
 *
 *   send ─► queue ─► group: rendered ─► written and synced ─► reports
 *
 * A group is what has gathered while the one before was synced, so that the
 * cost of a sync is shared by the more events the more there are. Rendering
 * copies: from then on a group's messages are not looked at, and a drain whose
 * time is up may report it, while the helper still hangs in a system call.
 *
 * When a group cannot be written the destination goes down; after a while,
 * longer each time, it is let up again and what is sent next decides. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "hookbridge/backoff.h"
#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"

#define GROUP_BYTES ((size_t)4 * 1024 * 1024)
#define GROUP_COUNT 4096
/* A larger buffer is not kept. */
#define TEXT_KEPT (2 * GROUP_BYTES)
#define TRIAL_MIN_MS 500
#define TRIAL_MAX_MS 30000

/* --- settings ------------------------------------------------------------- */

static const struct hb_key keys[] = {
    {.name = "path",
	.type = HB_KEY_STRING,
	.offset = offsetof(struct hb_file_conf, path),
	.max = 4095,
	.flags = HB_KEY_REQUIRED,
	.help = "absolute, or - for stdout"},
    {.name = NULL},
};

static bool
is_stdout(const struct hb_file_conf *conf)
{
	return strcmp(conf->path, "-") == 0;
}

static void
file_check(const struct hb_sink_conf *sink,
    void (*complain)(void *arg, const char *key, const char *fmt, ...),
    void *arg)
{
	const struct hb_file_conf *conf = sink->conf;
	size_t len = strlen(conf->path);

	if (is_stdout(conf) && hb_file_is_journal(STDOUT_FILENO))
		complain(arg, "path",
		    "stdout is the journal, which is no place for events");
	else if (!is_stdout(conf) &&
		 (conf->path[0] != '/' || conf->path[len - 1] == '/'))
		complain(arg, "path",
		    "expected the absolute path of a file, or - for stdout");
}

/* --- lists ---------------------------------------------------------------- */

static void
list_init(struct hb_file_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void
list_add(struct hb_file_list *list, struct hb_delivery *delivery)
{
	delivery->next = NULL;
	*list->end = delivery;
	list->end = &delivery->next;
}

static struct hb_delivery *
list_take(struct hb_file_list *list)
{
	struct hb_delivery *first = list->first;

	list_init(list);
	return first;
}

static void
report_all(struct hb_delivery *delivery, enum hb_report report,
    const struct hb_error *why)
{
	while (delivery != NULL) {
		struct hb_delivery *next = delivery->next;

		hb_delivery_report(delivery, report, why);
		delivery = next;
	}
}

/* --- health --------------------------------------------------------------- */

static void
put_down(struct hb_file *file, const char *why)
{
	if (!file->is_down)
		hb_timer_set(&file->trial,
		    hb_backoff_ms(
			TRIAL_MIN_MS, TRIAL_MAX_MS, file->setbacks++));
	file->is_down = true;
	hb_dest_set_health(&file->sink, file->dest, HB_DOWN, why);
}

static void
let_up(struct hb_file *file)
{
	if (!file->is_down)
		return;
	file->is_down = false;
	hb_timer_cancel(&file->trial);
	hb_dest_set_health(&file->sink, file->dest, HB_UP, NULL);
}

static void
on_trial(struct hb_timer *timer)
{
	let_up(hb_container_of(timer, struct hb_file, trial));
}

/* --- groups --------------------------------------------------------------- */

/* The lock is held. */
static void
ring(struct hb_file *file)
{
	if (file->is_rung)
		return;
	file->is_rung = true;
	hb_loop_post(file->helper, &file->work->task);
}

/* Takes the next group out of the queue; NULL when there is none. */
static struct hb_delivery *
take_group(struct hb_file *file)
{
	struct hb_file_list group;
	size_t bytes = 0;

	list_init(&group);
	pthread_mutex_lock(&file->lock);
	for (int i = 0; i < GROUP_COUNT && bytes < GROUP_BYTES; i++) {
		struct hb_delivery *delivery = file->queue.first;

		if (delivery == NULL)
			break;
		file->queue.first = delivery->next;
		if (file->queue.first == NULL)
			list_init(&file->queue);
		bytes += delivery->msg.value.len;
		list_add(&group, delivery);
	}
	file->is_busy = group.first != NULL;
	if (file->queue.first != NULL)
		ring(file);
	pthread_mutex_unlock(&file->lock);
	return group.first;
}

static void
render(struct hb_file *file, const struct hb_delivery *delivery)
{
	if (file->text.size > TEXT_KEPT)
		hb_file_text_fini(&file->text);
	file->text.len = 0;
	for (; delivery != NULL; delivery = delivery->next)
		hb_file_text_add(&file->text, &delivery->msg);
}

/* From here on a drain may take the group away. */
static void
show_group(struct hb_file *file, struct hb_delivery *first)
{
	pthread_mutex_lock(&file->lock);
	file->group = first;
	pthread_cond_signal(&file->changed);
	pthread_mutex_unlock(&file->lock);
}

/* Gives the group back, unless it was taken away. */
static struct hb_delivery *
hide_group(struct hb_file *file)
{
	struct hb_delivery *first;

	pthread_mutex_lock(&file->lock);
	first = file->group;
	file->group = NULL;
	pthread_mutex_unlock(&file->lock);
	return first;
}

static void
rest(struct hb_file *file)
{
	pthread_mutex_lock(&file->lock);
	file->is_busy = false;
	pthread_cond_signal(&file->changed);
	pthread_mutex_unlock(&file->lock);
}

static void
write_group(struct hb_file *file)
{
	struct hb_delivery *group = take_group(file);
	enum hb_file_result result;
	struct hb_error err;

	if (group == NULL)
		return;
	render(file, group);
	show_group(file, group);
	result = hb_file_out_append(
	    &file->out, file->text.ptr, file->text.len, &err);
	if (result == HB_FILE_WRITTEN) {
		file->setbacks = 0;
		let_up(file);
		report_all(hide_group(file), HB_REPORT_CONFIRMED, NULL);
	} else {
		err.code = HB_E_RETRY;
		hb_sink_count_error(&file->sink, "write");
		put_down(file, err.text);
		report_all(hide_group(file),
		    result == HB_FILE_UNKNOWN ? HB_REPORT_UNKNOWN
					      : HB_REPORT_RETRY,
		    &err);
	}
	rest(file);
}

static void
note_open_error(
    struct hb_file *file, const char *event, const struct hb_error *err)
{
	hb_sink_count_error(&file->sink, "open");
	hb_log(HB_LOG_ERROR, event, HB_F_STR("sink", file->sink.conf->name),
	    HB_F_STR("error", err->text));
}

/* What was written is synced: the old file needs nothing more. */
static void
reopen(struct hb_file *file)
{
	struct hb_error err;

	if (hb_file_out_reopen(&file->out, &err))
		hb_log(HB_LOG_INFO, "sink.reopen",
		    HB_F_STR("sink", file->sink.conf->name));
	else
		note_open_error(file, "sink.reopen", &err);
}

static void
on_work(struct hb_task *task)
{
	struct hb_file_work *work =
	    hb_container_of(task, struct hb_file_work, task);
	struct hb_file *file = work->file;
	bool wants_reopen;

	if (file == NULL) {
		free(work);
		return;
	}
	pthread_mutex_lock(&file->lock);
	file->is_rung = false;
	wants_reopen = file->wants_reopen;
	file->wants_reopen = false;
	pthread_mutex_unlock(&file->lock);
	if (wants_reopen)
		reopen(file);
	write_group(file);
}

/* --- the interface -------------------------------------------------------- */

static void
file_send(struct hb_sink *sink, struct hb_delivery *delivery)
{
	struct hb_file *file = (struct hb_file *)sink;
	bool taken;

	pthread_mutex_lock(&file->lock);
	taken = !file->draining;
	if (taken) {
		list_add(&file->queue, delivery);
		ring(file);
	}
	pthread_mutex_unlock(&file->lock);
	if (!taken) {
		struct hb_error why;

		hb_fail(&why, HB_E_RETRY, "file: shutting down");
		hb_delivery_report(delivery, HB_REPORT_RETRY, &why);
	}
}

static void
file_reopen(struct hb_sink *sink)
{
	struct hb_file *file = (struct hb_file *)sink;

	pthread_mutex_lock(&file->lock);
	file->wants_reopen = true;
	ring(file);
	pthread_mutex_unlock(&file->lock);
}

static void
init_lock(struct hb_file *file)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&file->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&file->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static const struct hb_dest_conf *
find_dest(const struct hb_config *cfg, const struct hb_sink_conf *conf)
{
	for (size_t i = 0; i < cfg->dest_count; i++)
		if (cfg->dests[i]->sink == conf)
			return cfg->dests[i];
	return NULL;
}

static struct hb_sink *
file_open(const struct hb_sink_conf *conf, const struct hb_sink_env *env,
    struct hb_error *err)
{
	const struct hb_file_conf *settings = conf->conf;
	struct hb_file_out out = {
	    .path = is_stdout(settings) ? NULL : settings->path, .fd = -1};
	struct hb_file *file;
	bool is_open = hb_file_out_open(&out, err);

	if (!is_open && err->code == HB_E_CONFIG)
		return NULL;
	file = hb_xcalloc(1, sizeof(*file));
	hb_sink_init(&file->sink, &hb_sink_file, conf, env, HB_UP);
	file->out = out;
	file->dest = find_dest(env->cfg, conf);
	file->helper = env->helper;
	file->work = hb_xcalloc(1, sizeof(*file->work));
	file->work->task.run = on_work;
	file->work->file = file;
	hb_timer_init(&file->trial, env->helper, on_trial);
	init_lock(file);
	list_init(&file->queue);
	/* The first event tries again. */
	if (!is_open)
		note_open_error(file, "sink.open", err);
	return &file->sink;
}

static void
file_drain(struct hb_sink *sink, unsigned timeout_ms)
{
	struct hb_file *file = (struct hb_file *)sink;
	uint64_t due_ms = hb_clock_mono_ms() + timeout_ms;
	struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
	    .tv_nsec = (long)(due_ms % 1000) * 1000000};
	struct hb_delivery *waiting, *begun;
	struct hb_error why;
	int rc = 0;

	hb_fail(&why, HB_E_RETRY, "file: not written before the shutdown");
	pthread_mutex_lock(&file->lock);
	file->draining = true;
	while ((file->queue.first != NULL || file->is_busy) && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&file->changed, &file->lock, &due);
	waiting = list_take(&file->queue);
	/* Rendering takes no time worth speaking of. */
	while (file->is_busy && file->group == NULL)
		pthread_cond_wait(&file->changed, &file->lock);
	begun = file->group;
	file->group = NULL;
	pthread_mutex_unlock(&file->lock);
	report_all(waiting, HB_REPORT_RETRY, &why);
	report_all(begun, HB_REPORT_UNKNOWN, &why);
}

static void
file_close(struct hb_sink *sink)
{
	struct hb_file *file = (struct hb_file *)sink;

	if (file->work->task.posted)
		file->work->file = NULL;
	else
		free(file->work);
	hb_timer_fini(&file->trial);
	hb_file_out_close(&file->out);
	hb_file_text_fini(&file->text);
	pthread_cond_destroy(&file->changed);
	pthread_mutex_destroy(&file->lock);
	hb_sink_fini(&file->sink);
	free(file);
}

const struct hb_sink_ops hb_sink_file = {
    .type = {.name = "file",
	.keys = keys,
	.conf_size = sizeof(struct hb_file_conf),
	.check = file_check},
    .open = file_open,
    .send = file_send,
    .reopen = file_reopen,
    .drain = file_drain,
    .close = file_close,
};
