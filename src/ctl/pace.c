/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c - many letters over libcurl, in parallel and in time
 *
 * Without a rate the next letter goes out as soon as one is answered (closed
 * loop). With a rate each has its time, whatever became of those before it
 * (open loop), unless as many as concurrency allows are on their way: then it
 * waits. Its latency counts from its time and not from its start, so that a
 * slow daemon cannot hide behind the letters that it kept waiting.
 *
 * Connections are kept and used again, without pipelining, over HTTP/1.1 as
 * Svix has it; no redirect is followed. A first SIGINT or SIGTERM ends the
 * sending, a second one the waiting, too. When the very first letters find
 * nobody, the rest is not tried. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "send.h"

#define CONNECT_TIMEOUT_MS 5000L
/* Svix waits as long. */
#define TIMEOUT_MS 15000L
#define ANSWER_MAX 2048
#define PROGRESS_US 200000
#define WAIT_MAX_MS 200

/* A letter on its way. */
struct slot {
	struct slot *next; /* among the free ones */
	struct hb_letter letter;
	CURL *easy;
	uint64_t due_us;
	size_t answer_len;
	char answer[ANSWER_MAX];
};

struct run {
	struct hb_pace *pace;
	CURLM *multi;
	struct slot *slots, *free;
	unsigned busy;
	uint64_t begun_us, shown_us;
	int signal_fd;
	sigset_t old_mask;
	bool stopping;  /* no more letters */
	bool abandoned; /* nor answers */
};

/* --- slots ---------------------------------------------------------------- */

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
	size_t len = size * count;
	struct slot *slot = arg;
	size_t room = ANSWER_MAX - slot->answer_len;

	memcpy(slot->answer + slot->answer_len, data, len < room ? len : room);
	slot->answer_len += len < room ? len : room;
	return len;
}

static void
init_slot(const struct run *run, struct slot *slot)
{
	const struct hb_address *address = run->pace->address;
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		hb_bug("libcurl gives no handle");
	slot->easy = easy;
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_URL, address->url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	if (address->unix_socket != NULL)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH,
		    address->unix_socket);
	if (address->is_local)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT,
	    "hookbridgectl/" PACKAGE_VERSION);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
}

static void
free_slot(struct run *run, struct slot *slot)
{
	hb_letter_fini(&slot->letter);
	slot->next = run->free;
	run->free = slot;
	run->busy--;
}

/* --- one letter ----------------------------------------------------------- */

/* When the next letter is to go out. */
static uint64_t
next_due_us(const struct run *run, uint64_t now_us)
{
	const struct hb_pace *pace = run->pace;

	if (pace->rate <= 0)
		return now_us;
	return run->begun_us + (uint64_t)((double)pace->sent * 1e6 /
	    pace->rate);
}

static bool
may_send(const struct run *run)
{
	return !run->stopping && run->pace->sent < run->pace->count;
}

static void
send_letter(struct run *run, uint64_t due_us)
{
	struct hb_pace *pace = run->pace;
	struct slot *slot = run->free;

	run->free = slot->next;
	run->busy++;
	pace->sent++;
	slot->due_us = due_us;
	slot->answer_len = 0;
	hb_letter_write(pace->stationery, &slot->letter);
	memcpy(pace->last_id, slot->letter.id, sizeof(pace->last_id));
	curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->letter.headers);
	curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)slot->letter.body.len);
	curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS,
	    slot->letter.body.ptr);
	if (curl_multi_add_handle(run->multi, slot->easy) != CURLM_OK)
		hb_bug("libcurl takes no handle");
}

/* The system's word for it where there is one. */
static const char *
reason_of(CURL *easy, CURLcode code)
{
	long error = 0;

	if (code == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
	return error != 0 ? strerror((int)error) : curl_easy_strerror(code);
}

static void
finish_letter(struct run *run, CURL *easy, CURLcode code)
{
	struct hb_score *score = run->pace->score;
	struct slot *slot;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK)
		hb_score_answer(score, status,
		    hb_span_make(slot->answer, slot->answer_len),
		    hb_clock_mono_us() - slot->due_us);
	else
		hb_score_failure(score, reason_of(easy, code));
	if (score->accepted + score->refused == 0)
		run->stopping = true;
	curl_multi_remove_handle(run->multi, easy);
	free_slot(run, slot);
}

/* --- the loop ------------------------------------------------------------- */

static void
send_due(struct run *run)
{
	while (run->free != NULL && may_send(run)) {
		uint64_t now_us = hb_clock_mono_us();
		uint64_t due_us = next_due_us(run, now_us);

		if (due_us > now_us)
			return;
		send_letter(run, due_us);
	}
}

static void
collect(struct run *run)
{
	struct CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(run->multi, &left)) != NULL)
		if (msg->msg == CURLMSG_DONE)
			finish_letter(run, msg->easy_handle,
			    msg->data.result);
}

/* Until something happens, a letter is due, or progress is to be shown. */
static void
wait_for_news(struct run *run)
{
	struct curl_waitfd fd = { run->signal_fd, CURL_WAIT_POLLIN, 0 };
	uint64_t now_us = hb_clock_mono_us(), due_us, wait_ms = WAIT_MAX_MS;
	struct signalfd_siginfo info;

	if (run->free != NULL && may_send(run)) {
		due_us = next_due_us(run, now_us);
		if (due_us <= now_us)
			return;
		if ((due_us - now_us + 999) / 1000 < wait_ms)
			wait_ms = (due_us - now_us + 999) / 1000;
	}
	curl_multi_poll(run->multi, &fd, 1, (int)wait_ms, NULL);
	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		run->abandoned = run->stopping;
		run->stopping = true;
	}
}

static void
show_progress(struct run *run)
{
	const struct hb_pace *pace = run->pace;
	uint64_t now_us = hb_clock_mono_us();

	if (!pace->show_progress || now_us - run->shown_us < PROGRESS_US)
		return;
	run->shown_us = now_us;
	fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " sent, %" PRIu64
	    " accepted, %" PRIu64 " refused, %.0f a second", pace->sent,
	    pace->count, pace->score->accepted, pace->score->refused,
	    (double)pace->sent * 1e6 / (double)(now_us - run->begun_us));
	fflush(stderr);
}

static void
loop(struct run *run)
{
	int running;

	for (;;) {
		send_due(run);
		curl_multi_perform(run->multi, &running);
		collect(run);
		if (run->abandoned || (run->busy == 0 && !may_send(run)))
			return;
		show_progress(run);
		wait_for_news(run);
	}
}

/* --- around it ------------------------------------------------------------ */

static void
take_signals(struct run *run)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &run->old_mask);
	run->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		hb_bug("signalfd: %s", strerror(errno));
}

static void
init_run(struct run *run, struct hb_pace *pace)
{
	*run = (struct run){ .pace = pace, .multi = curl_multi_init() };
	if (run->multi == NULL)
		hb_bug("libcurl gives no handle");
	curl_multi_setopt(run->multi, CURLMOPT_MAXCONNECTS,
	    (long)pace->concurrency);
	run->slots = hb_xcalloc(pace->concurrency, sizeof(*run->slots));
	for (unsigned i = 0; i < pace->concurrency; i++) {
		init_slot(run, &run->slots[i]);
		run->slots[i].next = run->free;
		run->free = &run->slots[i];
	}
	take_signals(run);
	run->begun_us = run->shown_us = hb_clock_mono_us();
}

static void
fini_run(struct run *run)
{
	for (unsigned i = 0; i < run->pace->concurrency; i++) {
		struct slot *slot = &run->slots[i];

		curl_multi_remove_handle(run->multi, slot->easy);
		curl_easy_cleanup(slot->easy);
		hb_letter_fini(&slot->letter); /* it was given up */
	}
	curl_multi_cleanup(run->multi);
	free(run->slots);
	close(run->signal_fd);
	sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
}

void
hb_pace_run(struct hb_pace *pace)
{
	struct run run;

	pace->sent = 0;
	init_run(&run, pace);
	loop(&run);
	pace->took_us = hb_clock_mono_us() - run.begun_us;
	if (pace->show_progress)
		fputs("\r\033[K", stderr);
	fini_run(&run);
}
