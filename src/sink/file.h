/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - the file sink's parts, one file each
 *
 *   file.c       the sink: settings, the queue, groups, health
 *   file_line.c  a message as one line
 *   file_out.c   the file: opened with care, appended to and synced
 *
 * Threads: workers put deliveries into the queue, under its lock; everything
 * else belongs to the helper loop, which may block. */
#ifndef HB_SINK_FILE_H
#define HB_SINK_FILE_H

#include <pthread.h>

#include "hookbridge/sink.h"

/* The settings of one file sink. */
struct hb_file_conf {
	const char *path; /* "-": stdout */
};

/* --- file_line.c ---------------------------------------------------------- */

struct hb_file_text {
	char *ptr;
	size_t len, size;
};

void hb_file_text_fini(struct hb_file_text *text);
/* Appends the message as a line of JSON, with its end. */
void hb_file_text_add(struct hb_file_text *text, const struct hb_message *msg);

/* --- file_out.c ----------------------------------------------------------- */

struct hb_file_out {
	const char *path; /* NULL: stdout */
	int fd;		  /* -1: not open, the next append tries */
	bool is_regular;  /* can be synced */
	bool is_torn;	  /* its last line has no end */
};

enum hb_file_result {
	HB_FILE_WRITTEN,     /* and synced */
	HB_FILE_NOT_WRITTEN, /* nothing of it */
	HB_FILE_UNKNOWN
};

bool hb_file_is_journal(int fd);
/* HB_E_CONFIG when it never can work, HB_E_RETRY when it may later. */
bool hb_file_out_open(
    struct hb_file_out *out, struct hb_error *err) HB_MUST_CHECK;
void hb_file_out_close(struct hb_file_out *out);
/* Opens what has the name now, if that is another file; on failure the old one
 * stays. */
bool hb_file_out_reopen(
    struct hb_file_out *out, struct hb_error *err) HB_MUST_CHECK;
/* Appends whole lines; err is set unless they are written. */
enum hb_file_result hb_file_out_append(struct hb_file_out *out,
    const char *text, size_t len, struct hb_error *err) HB_MUST_CHECK;

/* --- the sink ------------------------------------------------------------- */

struct hb_file_list {
	struct hb_delivery *first, **end;
};

/* What is posted to the helper; by itself because it may be run after the sink
 * is gone. */
struct hb_file_work {
	struct hb_task task;
	struct hb_file *file; /* NULL: it is gone */
};

struct hb_file {
	struct hb_sink sink; /* first: a struct hb_sink * is one of these */
	const struct hb_dest_conf *dest; /* NULL: no route leads here */
	struct hb_loop *helper;
	struct hb_file_work *work;

	/* The helper's. */
	struct hb_file_out out;
	struct hb_file_text text;
	bool is_down;
	unsigned setbacks; /* since something was written */
	struct hb_timer trial;

	pthread_mutex_t lock; /* what follows */
	bool is_rung;	      /* the work is posted */
	bool draining, wants_reopen;
	struct hb_file_list queue;
	bool is_busy;		   /* the helper has a group */
	struct hb_delivery *group; /* that group, once it is rendered */
	pthread_cond_t changed;	   /* is_busy or group has */
};

#endif
