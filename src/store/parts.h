/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - the store's parts, one file each
 *
 *   store.c     open, close, what is shown
 *   room.c      whether anything more can be kept
 *   accounts.c  who holds how much of a spool, and who may
 *   shelf.c     shelves: found at opening, made when they are needed
 *   record.c    records as bytes (record.h)
 *   keep.c      keeps and settles
 *   hold.c      deliveries that are at their sinks still
 *   walk.c      reads shelves in the order of keeping
 *
 * Threads: shelves are never removed, and what is fixed of them is read
 * without a lock; the store's lock is for making one and for the list of
 * walks. Accounts are atomic, holds have a lock of their own. */
#ifndef HB_STORE_PARTS_H
#define HB_STORE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "hookbridge/store.h"
#include "record.h"

struct hb_store_part;
struct hb_store_shelf;

static inline uint64_t
hb_store_percent(uint64_t whole, uint64_t percent)
{
	return whole / 100 * percent + whole % 100 * percent / 100;
}

/* --- accounts.c ----------------------------------------------------------- */

/* What a record takes on disk besides its own bytes. */
#define HB_STORE_RECORD_COST 64

/* What records of one owner take. */
struct hb_store_account {
	const char *name;
	_Atomic uint64_t used;
	uint64_t limit; /* UINT64_MAX: what there is */
};

/* In the order in which they are asked. */
enum hb_store_owner {
	HB_STORE_DEST,
	HB_STORE_SINK,
	HB_STORE_ENDPOINT,
	HB_STORE_OWNERS
};

/* Where the records of a shelf are counted. */
struct hb_store_accounts {
	struct hb_store_account *each[HB_STORE_OWNERS]; /* NULL: nobody's */
	struct hb_metric *records, *bytes;		/* bytes: or NULL */
};

/* Those of one spool, by the index of whose they are. */
struct hb_store_books {
	struct hb_store_account *dests, *sinks, *endpoints;
};

/* The limits of a spool that can hold so much. */
void hb_store_books_init(
    struct hb_store_part *part, const struct hb_config *cfg);
void hb_store_books_fini(struct hb_store_books *books);
/* Fills in the accounts of a destination and an endpoint, or NULL. */
void hb_store_accounts_find(const struct hb_store_part *part,
    const struct hb_dest_conf *dest, const struct hb_endpoint_conf *endpoint,
    struct hb_store_accounts *accounts);
/* Takes the cost of a record of so many bytes; false: somebody has too much. */
bool hb_store_charge(const struct hb_store_accounts *accounts, uint64_t bytes,
    struct hb_error *err) HB_MUST_CHECK;
/* Whether that would be granted. */
bool hb_store_may_charge(const struct hb_store_accounts *accounts,
    uint64_t bytes, struct hb_error *err) HB_MUST_CHECK;
/* Counts what was there before. */
void hb_store_recharge(const struct hb_store_accounts *accounts,
    uint64_t records, uint64_t bytes);
void hb_store_give_back(const struct hb_store_accounts *accounts,
    uint64_t records, uint64_t bytes);

/* --- shelf.c -------------------------------------------------------------- */

struct hb_store_shelf {
	struct hb_shelf shelf;
	struct hb_store_part *part;
	struct hb_store_accounts accounts;
	struct hb_store_shelf *next_in_bucket;
	/* The last record that could not be taken apart: told once. */
	_Atomic uint64_t damaged_seq;
	/* Under the lock: what of the lane's losses was given back. */
	uint64_t lost, lost_bytes;
};

static inline struct hb_store_shelf *
hb_store_shelf_of(const struct hb_shelf *shelf)
{
	return hb_container_of(
	    (uintptr_t)shelf, struct hb_store_shelf, shelf);
}

/* Makes shelves of the lanes that have records. */
void hb_store_shelves_find(struct hb_store_part *part);
void hb_store_shelves_free(struct hb_store_part *part);
/* The shelf of a destination and an endpoint of the configuration. */
struct hb_store_shelf *hb_store_shelf_get(struct hb_store *store,
    const struct hb_dest_conf *dest, const struct hb_endpoint_conf *endpoint);
/* The same by name; NULL: a name is too long. */
struct hb_store_shelf *hb_store_shelf_named(struct hb_store *store,
    const struct hb_dest_conf *dest, struct hb_span endpoint);
/* Of dead letters. */
struct hb_store_shelf *hb_store_shelf_dead(struct hb_store *store,
    const char *reason, struct hb_span endpoint);

/* A record that the spool could not read was settled by nobody who would give
 * back what it was charged. */
void hb_store_shelf_balance(struct hb_store_shelf *shelf);

/* --- room.c --------------------------------------------------------------- */

/* What appending has met; a hint. */
struct hb_store_state {
	_Atomic enum hb_spool_state now;
	_Atomic bool tries;	   /* only an append can tell that it is over */
	_Atomic uint64_t look_ms;  /* not before: asks the spool */
	_Atomic uint64_t try_ms;   /* not before: lets some try */
};

/* An append ended so. */
void hb_store_state_note(
    struct hb_store_part *part, const struct hb_spool_append *append);
/* Puts the word to what a spool refused with. */
void hb_store_explain(const struct hb_store_part *part, struct hb_error *err);

/* --- hold.c --------------------------------------------------------------- */

struct hb_store_hold {
	uint64_t ticket; /* 0: the place is free */
	struct hb_loop *loop;
	struct hb_task *task; /* NULL: nobody waits */
};

struct hb_store_holds {
	pthread_mutex_t lock;
	uint64_t boot;
	uint64_t last; /* ticket given out */
	struct hb_store_hold *places;
	size_t mask, count;
};

void hb_store_holds_init(struct hb_store_holds *holds);
void hb_store_holds_fini(struct hb_store_holds *holds);
/* A ticket that is held from now on. */
uint64_t hb_store_hold(struct hb_store_holds *holds);
void hb_store_unhold(struct hb_store_holds *holds, uint64_t ticket);

/* --- walk.c --------------------------------------------------------------- */

/* Under the store's lock: there is a new shelf. */
void hb_store_walks_tell(
    struct hb_store *store, const struct hb_store_shelf *shelf);

/* --- store.c -------------------------------------------------------------- */

/* Where a spool of the configuration is; malloc'ed. */
char *hb_store_directory(
    const struct hb_config *cfg, enum hb_shelf_kind kind);

#define HB_STORE_BUCKETS 256

/* One of the two spools. */
struct hb_store_part {
	struct hb_store *store;
	enum hb_shelf_kind kind;
	char *directory;
	struct hb_spool *spool;
	uint64_t max_size, segment_size;
	uint64_t capacity; /* bytes of records, about */
	struct hb_store_books books;
	struct hb_store_state state;
	_Atomic uint64_t damaged; /* records that cannot be taken apart */

	struct hb_shelf *_Atomic first;
	struct hb_shelf *_Atomic *end; /* under the lock, as the buckets */
	struct hb_store_shelf *buckets[HB_STORE_BUCKETS]; /* by lane */
};

struct hb_store {
	const struct hb_config *cfg;
	struct hb_store_part parts[2]; /* by enum hb_shelf_kind */
	struct hb_store_holds holds;
	/* [destination][endpoint], by their indices. */
	struct hb_store_shelf *_Atomic *table;
	struct hb_metric **oldest; /* by sink */
	pthread_mutex_t lock;
	struct hb_walk *walks;
};

#endif
