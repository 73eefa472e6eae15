/* SPDX-License-Identifier: Apache-2.0 */
/* spool.c - what the spool does by itself, without any webhook
 *
 *   spool DIRECTORY steady [seconds [in_flight [bytes]]]
 *       a closed loop: each record that is done is settled and appended again.
 *       The first line is over new files, the second over files used again.
 *   spool DIRECTORY backlog [records [bytes]]
 *       fills, closes, drops the cached pages, opens, and drains by a cursor
 *       while 64 records stay in flight on another lane.
 *   spool DIRECTORY lanes [count [seconds [in_flight [bytes]]]]
 *       the closed loop over so many lanes in turn, each with a cursor on one
 *       other thread, which settles what it reads as soon as it is told.
 *
 * DIRECTORY should be empty, and on the disk that is in question. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/spool.h"

#define MIB (UINT64_C(1) << 20)
#define MAX_SIZE (8192 * MIB)

struct record {
	struct hb_spool_append append;
	struct iovec part;
	struct load *load;
	uint64_t begun_us;
};

/* What is kept in flight. */
struct load {
	struct hb_spool *spool;
	struct hb_loop *loop;
	struct record *records;
	unsigned in_flight;
	struct hb_spool_lane **lanes; /* in turn; NULL: stay with the first */
	unsigned lane_count;
	_Atomic unsigned turn;
	char *bytes;
	size_t len;
	bool settles;
	_Atomic bool is_ending;
	_Atomic uint64_t left;	/* to append, 0 when is_ending */
	_Atomic uint64_t count; /* that are done */
	_Atomic unsigned running;
	uint64_t times[64]; /* by the power of sqrt 2 of microseconds */
};

static void
die(const struct hb_error *err)
{
	fprintf(stderr, "spool: %s\n", err->text);
	exit(1);
}

static void
note_time(struct load *load, uint64_t us)
{
	unsigned bucket = 0;

	for (double limit = 1; limit < (double)us && bucket < 63; bucket++)
		limit *= 1.4142136;
	load->times[bucket]++;
}

static double
quantile_ms(const struct load *load, double q)
{
	uint64_t sum = 0, before = 0;
	double limit = 1;

	for (int i = 0; i < 64; i++)
		sum += load->times[i];
	for (int i = 0; i < 64; i++, limit *= 1.4142136) {
		before += load->times[i];
		if ((double)before >= q * (double)sum)
			break;
	}
	return limit / 1000;
}

static void
send(struct record *record)
{
	struct load *load = record->load;

	if (load->lanes != NULL)
		record->append.lane =
		    load->lanes[load->turn++ % load->lane_count];
	record->begun_us = hb_clock_mono_us();
	hb_spool_append(&record->append);
}

static void
on_done(struct hb_spool_append *append)
{
	struct record *record = hb_container_of(append, struct record, append);
	struct load *load = record->load;

	if (!append->ok)
		die(&append->err);
	note_time(load, hb_clock_mono_us() - record->begun_us);
	load->count++;
	if (load->settles)
		hb_spool_settle(&append->ref);
	if (load->is_ending || load->left == 0) {
		load->running--;
		return;
	}
	load->left--;
	send(record);
}

static void
load_start(struct load *load, const char *lane, uint64_t count)
{
	struct hb_error err;

	load->loop = hb_loop_new("load", &err);
	if (load->loop == NULL || !hb_loop_start(load->loop, &err))
		die(&err);
	load->bytes = hb_xcalloc(1, load->len);
	load->records = hb_xcalloc(load->in_flight, sizeof(*load->records));
	load->left = count - load->in_flight;
	load->running = load->in_flight;
	for (unsigned i = 0; i < load->in_flight; i++) {
		struct record *record = &load->records[i];

		record->load = load;
		record->part = (struct iovec){load->bytes, load->len};
		record->append.lane =
		    hb_spool_lane(load->spool, hb_span_of(lane));
		record->append.parts = &record->part;
		record->append.part_count = 1;
		record->append.home = load->loop;
		record->append.done = on_done;
		send(record);
	}
}

static void
load_stop(struct load *load, bool at_once)
{
	load->is_ending = at_once;
	while (load->running > 0)
		usleep(1000);
	hb_loop_stop(load->loop);
	hb_loop_join(load->loop);
	hb_loop_free(load->loop);
	free(load->records);
	free(load->bytes);
}

static struct hb_spool *
open_spool(const char *directory)
{
	struct hb_spool_options options = {
	    .directory = directory, .max_size = MAX_SIZE};
	struct hb_error err;
	struct hb_spool *spool = hb_spool_open(&options, &err);

	if (spool == NULL)
		die(&err);
	return spool;
}

/* --- steady --------------------------------------------------------------- */

/* Of all threads, this load's own included. */
static double
cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
steady_phase(struct load *load, const char *name, double seconds)
{
	struct hb_spool_stats before, after;
	uint64_t count, begun = hb_clock_mono_us(), us;
	double cpu = cpu_us();

	hb_spool_stats(load->spool, &before);
	memset(load->times, 0, sizeof(load->times));
	count = load->count;
	usleep((useconds_t)(seconds * 1e6));
	us = hb_clock_mono_us() - begun;
	count = load->count - count;
	cpu = cpu_us() - cpu;
	hb_spool_stats(load->spool, &after);
	printf("%-6s %8.0f records/s %6.0f MB/s %5.1f a group, ms p50 %.2f "
	       "p99 %.2f, cpu us %.2f\n",
	    name, (double)count * 1e6 / (double)us,
	    (double)count * (double)load->len / (double)us,
	    (double)count / (double)(after.groups - before.groups),
	    quantile_ms(load, 0.5), quantile_ms(load, 0.99),
	    cpu / (double)count);
}

static void
steady(const char *directory, double seconds, unsigned in_flight, size_t len)
{
	struct load load = {.spool = open_spool(directory),
	    .in_flight = in_flight,
	    .len = len,
	    .settles = false};

	load_start(&load, "load", UINT64_MAX);
	steady_phase(&load, "fresh", seconds);
	load.settles = true;
	/* What was not settled stays; from here on files come back. */
	usleep(1500000);
	steady_phase(&load, "again", seconds);
	load_stop(&load, true);
	hb_spool_close(load.spool);
}

/* --- backlog -------------------------------------------------------------- */

static void
drop_cache(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		int fd = openat(dirfd(stream), entry->d_name, O_RDONLY);

		if (fd < 0)
			continue;
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	closedir(stream);
}

static double
rss_mib(void)
{
	FILE *in = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (in == NULL || fscanf(in, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (in != NULL)
		fclose(in);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (double)MIB;
}

static double
seconds_since(uint64_t begun_us)
{
	return (double)(hb_clock_mono_us() - begun_us) / 1e6;
}

static void
fill(const char *directory, uint64_t count, size_t len)
{
	struct load load = {
	    .spool = open_spool(directory), .in_flight = 1000, .len = len};
	uint64_t begun = hb_clock_mono_us();

	load_start(&load, "backlog", count);
	load_stop(&load, false);
	printf("fill   %8.0f records/s\n",
	    (double)count / seconds_since(begun));
	hb_spool_close(load.spool);
}

static uint64_t
drain(struct hb_spool *spool)
{
	struct hb_spool_cursor *cursor = hb_spool_cursor_new(
	    hb_spool_lane(spool, HB_SPAN("backlog")), NULL, NULL, NULL);
	struct hb_spool_record record;
	struct hb_error err;
	uint64_t count = 0;

	while (hb_spool_cursor_next(cursor, &record, &err) ==
	       HB_SPOOL_RECORD) {
		hb_spool_settle(&record.ref);
		free(record.bytes);
		count++;
	}
	hb_spool_cursor_free(cursor);
	return count;
}

static void
drain_phase(struct hb_spool *spool, const char *name, struct load *load)
{
	uint64_t begun = hb_clock_mono_us(), count;
	double rss = rss_mib(), seconds;

	if (load != NULL)
		load_start(load, "live", UINT64_MAX);
	count = drain(spool);
	seconds = seconds_since(begun);
	printf("%-6s %8.0f records/s, ingest meanwhile %.0f records/s, rss "
	       "%.1f -> %.1f MiB\n",
	    name, (double)count / seconds,
	    load != NULL ? (double)load->count / seconds : 0, rss, rss_mib());
	if (load != NULL)
		load_stop(load, true);
}

static struct hb_spool *
reopen(const char *directory)
{
	double before = rss_mib();
	struct hb_spool *spool;
	uint64_t begun;

	drop_cache(directory);
	begun = hb_clock_mono_us();
	spool = open_spool(directory);
	printf("open   %8.3f s, rss %.1f -> %.1f MiB\n", seconds_since(begun),
	    before, rss_mib());
	return spool;
}

static void
backlog(const char *directory, uint64_t count, size_t len)
{
	struct load load = {.in_flight = 64, .len = len, .settles = true};
	struct hb_spool *spool;

	fill(directory, count, len);
	spool = reopen(directory);
	drain_phase(spool, "drain", NULL);
	hb_spool_close(spool);
	fill(directory, count, len);
	load.spool = spool = reopen(directory);
	drain_phase(spool, "both", &load);
	hb_spool_close(spool);
}

/* --- lanes ---------------------------------------------------------------- */

static void
on_more(void *arg)
{
	struct hb_spool_cursor *cursor = *(struct hb_spool_cursor **)arg;
	struct hb_spool_record record;
	struct hb_error err;

	while (hb_spool_cursor_next(cursor, &record, &err) ==
	       HB_SPOOL_RECORD) {
		hb_spool_settle(&record.ref);
		free(record.bytes);
	}
}

/* Lanes of their names, and a cursor for each that waits at its end. */
static void
open_lanes(struct load *load, struct hb_spool_cursor **cursors,
    struct hb_loop *loop)
{
	for (unsigned i = 0; i < load->lane_count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "sink:destination-%u", i);
		load->lanes[i] = hb_spool_lane(load->spool, hb_span_of(name));
		cursors[i] = hb_spool_cursor_new(
		    load->lanes[i], loop, on_more, &cursors[i]);
		on_more(&cursors[i]);
	}
}

static void
lanes(const char *directory, unsigned count, double seconds,
    unsigned in_flight, size_t len)
{
	struct load load = {.spool = open_spool(directory),
	    .in_flight = in_flight,
	    .lane_count = count,
	    .len = len};
	struct hb_spool_cursor **cursors = hb_xcalloc(count, sizeof(*cursors));
	struct hb_error err;
	struct hb_loop *loop = hb_loop_new("reader", &err);

	if (loop == NULL)
		die(&err);
	load.lanes = hb_xcalloc(count, sizeof(*load.lanes));
	open_lanes(&load, cursors, loop);
	if (!hb_loop_start(loop, &err))
		die(&err);
	load_start(&load, "sink:destination-0", UINT64_MAX);
	usleep(1500000);
	steady_phase(&load, "lanes", seconds);
	load_stop(&load, true);
	hb_loop_stop(loop);
	hb_loop_join(loop);
	for (unsigned i = 0; i < count; i++)
		hb_spool_cursor_free(cursors[i]);
	hb_loop_free(loop);
	hb_spool_close(load.spool);
	free(load.lanes);
	free(cursors);
}

static double
number(int argc, char **argv, int i, double fallback)
{
	return argc > i ? atof(argv[i]) : fallback;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";

	hb_log_init(HB_LOG_WARNING, HB_LOG_KV);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "steady") == 0)
		steady(argv[1], number(argc, argv, 3, 3),
		    (unsigned)number(argc, argv, 4, 64),
		    (size_t)number(argc, argv, 5, 2048));
	else if (strcmp(what, "lanes") == 0)
		lanes(argv[1], (unsigned)number(argc, argv, 3, 500),
		    number(argc, argv, 4, 3),
		    (unsigned)number(argc, argv, 5, 64),
		    (size_t)number(argc, argv, 6, 2048));
	else if (strcmp(what, "backlog") == 0)
		backlog(argv[1], (uint64_t)number(argc, argv, 3, 1e6),
		    (size_t)number(argc, argv, 4, 2048));
	else
		return fprintf(stderr,
			   "usage: spool DIRECTORY steady|backlog|lanes "
			   "[...]\n"),
		       2;
	return 0;
}
