/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the replay and its readers, which several files make up
 *
 *   replay.c    the whole: made, stopped, freed
 *   room.c      the memory that all readers share
 *   reader.c    one destination: what is read, and when
 *   flight.c    one record: sent, reported, settled or set aside
 *   copy.c      what is set aside, for the destination dead_letter
 *   suspect.c   whether one record is to blame; pure
 *
 * All of it is touched on the replay's loop only, but for what is atomic. */
#ifndef HB_REPLAY_PARTS_H
#define HB_REPLAY_PARTS_H

#include <stdatomic.h>

#include "hookbridge/replay.h"
#include "suspect.h"

/* --- room.c --------------------------------------------------------------- */

/* Bytes of records that all readers may hold together. Who finds none waits
 * in line, and is called when it is its turn. */
struct hb_room {
	uint64_t limit, used;
	struct hb_reader *first, **end; /* in line */
	struct hb_reader *called;       /* may take before all others */
};

void hb_room_init(struct hb_room *room, uint64_t limit);
/* Whether the reader may take so many bytes now; if not, it waits in line. The
 * first to take may take any number. */
bool hb_room_admits(struct hb_room *room, struct hb_reader *reader,
    uint64_t bytes);
void hb_room_take(struct hb_room *room, uint64_t bytes);
void hb_room_give(struct hb_room *room, uint64_t bytes);
/* The reader has had its turn, as it has whenever it gave something: now it is
 * the next one's, if there is room for it. */
void hb_room_pass(struct hb_room *room, const struct hb_reader *reader);

/* --- replay.c ------------------------------------------------------------- */

struct hb_replay {
	struct hb_replay_env env;
	_Atomic bool stopped;
	_Atomic unsigned in_flight;
	struct hb_room room;
	struct hb_reader *readers; /* by hb_dest_conf.index */
	struct hb_task gone;
};

/* --- reader.c ------------------------------------------------------------- */

enum hb_reader_state {
	HB_READER_RUNNING, /* it reads and sends, as far as the window allows */
	HB_READER_WAITING, /* for a record: all were read */
	HB_READER_HELD,    /* the next record is at its sink still */
	HB_READER_RESTING, /* a delivery failed */
	HB_READER_DOWN     /* the destination is; or the disk is busy */
};

struct hb_reader {
	struct hb_replay *replay;
	const struct hb_dest_conf *dest;
	const struct hb_target_conf *target;
	struct hb_sink *sink;
	bool is_ordered;
	struct hb_delivery probe; /* what the sink is asked about */

	enum hb_reader_state state;
	struct hb_task turn;
	struct hb_timer timer;
	bool is_due;   /* the timer has run: of RESTING and DOWN */
	bool has_more; /* of WAITING */

	struct hb_walk *walk; /* NULL: it is opened when it is needed */
	uint64_t from;        /* no record before this one is to be read */
	/* What the next record takes, if it was read once and had no room. */
	uint64_t expected;
	struct hb_task released; /* posted by the store */
	bool is_asked;           /* it will be posted */

	unsigned in_flight;
	uint64_t bytes; /* that those take */
	struct hb_suspect suspect;
	unsigned fruitless; /* rounds without a confirmation */
	unsigned looks;     /* how often it was found down */

	struct hb_reader *next; /* in the line for room */
	bool in_line;
	struct hb_metric *confirmed, *dead_lettered, *replayed;
};

/* Begins once the loop runs. */
void hb_reader_init(struct hb_reader *reader, struct hb_replay *replay,
    const struct hb_dest_conf *dest);
void hb_reader_fini(struct hb_reader *reader);
/* Its turn comes soon. */
void hb_reader_wake(struct hb_reader *reader);
/* A record could not be delivered, or not be set aside: nothing more is sent
 * for a while. */
void hb_reader_rest(struct hb_reader *reader, const struct hb_error *why);

/* --- flight.c ------------------------------------------------------------- */

/* One record under way. */
struct hb_flight {
	struct hb_reader *reader;
	struct hb_record rec;
	uint64_t bytes; /* taken of the room */
	struct hb_delivery delivery;
	struct hb_keep keep; /* of its dead letter, or of the copy instead */
	const char *reason;  /* likewise */
	bool is_copied;      /* it is that copy */
};

/* Counts as in flight from here on; NULL when the replay has stopped. */
struct hb_flight *hb_flight_new(struct hb_reader *reader);
/* Instead of sending. */
void hb_flight_free(struct hb_flight *flight);
/* What it takes of the room, once it has its record. */
uint64_t hb_flight_cost(const struct hb_flight *flight);
/* Sends it, or sets it aside. Frees itself later, and wakes the reader. */
void hb_flight_begin(struct hb_flight *flight);

/* --- copy.c --------------------------------------------------------------- */

/* Begins to keep the record, which has a reason to be set aside, for the
 * destination dead_letter; false: there is none that could take it. */
bool hb_copy_keep(struct hb_flight *flight);

#endif
