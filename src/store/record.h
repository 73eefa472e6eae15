/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - what is kept of an event, as bytes; the layout is in record.c
 *
 * Thread: pure functions. What is taken apart is hostile: each length is
 * checked before it is used. */
#ifndef HB_STORE_RECORD_H
#define HB_STORE_RECORD_H

#include "hookbridge/store.h"

#define HB_RECORD_VERSION 1
#define HB_RECORD_FIXED_SIZE 40
/* Bytes of the names that make a lane's name, and of reasons. */
#define HB_RECORD_NAME_MAX 512
#define HB_RECORD_HEADERS_MAX 256

enum hb_record_kind {
	HB_RECORD_DELIVERY = 1,
	HB_RECORD_BODY,	  /* a dead letter: a body as received */
	HB_RECORD_MESSAGE /* a dead letter: a delivery that was refused */
};

/* What holds a delivery: the process that wrote it, and its number there. */
struct hb_record_hold {
	uint64_t boot;
	uint64_t ticket; /* 0: it is not held */
};

/* All of a record but its last part, which hb_record_rest() gives: so many
 * bytes, and these. */
size_t hb_record_head_size(
    enum hb_record_kind kind, const struct hb_record *rec);
void hb_record_head_put(enum hb_record_kind kind, const struct hb_record *rec,
    struct hb_record_hold hold, char *out);
struct hb_span hb_record_rest(
    enum hb_record_kind kind, const struct hb_record *rec);

/* Takes apart rec->bytes, which are len and malloc'ed and may move; what says
 * where it was kept is not touched. After a failure it is to be freed all the
 * same. What a reader relies on is there: the endpoint and the id always, a
 * dead letter's reason, where a message was to go. */
bool hb_record_get(struct hb_record *rec, size_t len,
    struct hb_record_hold *hold, struct hb_error *err) HB_MUST_CHECK;
/* Of a record that was taken apart. */
enum hb_record_kind hb_record_kind_of(const struct hb_record *rec);

#endif
