/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store.h - a store, and claims, that do what the test says
 *
 * It holds what is to be kept until the test says how that went. The program
 * is linked with --wrap for the functions below. */
#ifndef HOOKBRIDGE_TESTS_FAKE_STORE_H
#define HOOKBRIDGE_TESTS_FAKE_STORE_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "hookbridge/claim.h"
#include "hookbridge/store.h"

#define FAKE_KEEPS 16

/* One record, and what became of it. */
struct fake_record {
	struct hb_keep *keep;
	const struct hb_message *msg; /* NULL: a dead letter */
	const char *reason;           /* of a dead letter */
	char place[64];
	bool held, done, ok;
	unsigned settled, released;
};

static struct fake_store {
	enum hb_code refuses; /* HB_OK: it has room */
	bool dead_is_full;
	bool has_backlog;
	struct fake_record records[FAKE_KEEPS];
	size_t count;
	struct hb_claim_put *claim;
} fake_store;

static inline struct hb_store *
fake_store_open(void)
{
	fake_store = (struct fake_store){ .count = 0 };
	return (struct hb_store *)&fake_store;
}

/* --- the interface -------------------------------------------------------- */

bool __wrap_hb_store_has_room(struct hb_store *store,
    const struct hb_endpoint_conf *endpoint, const struct hb_dest_conf *dest,
    uint64_t bytes, struct hb_error *err);
bool __wrap_hb_store_has_backlog(const struct hb_store *store,
    const struct hb_dest_conf *dest);
void __wrap_hb_store_keep_delivery(struct hb_store *store,
    struct hb_keep *keep, const struct hb_event *ev,
    const struct hb_message *msg, bool held);
void __wrap_hb_store_keep_dead(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const char *reason, struct hb_span place);
void __wrap_hb_store_release(struct hb_keep *keep);
bool __wrap_hb_store_settle(const struct hb_kept *kept);
void __wrap_hb_claims_put(struct hb_claims *claims, struct hb_claim_put *put);

bool
__wrap_hb_store_has_room(struct hb_store *store,
    const struct hb_endpoint_conf *endpoint, const struct hb_dest_conf *dest,
    uint64_t bytes, struct hb_error *err)
{
	(void)store;
	assert_non_null(endpoint);
	assert_true(bytes > 0);
	if (dest == NULL && fake_store.dead_is_full)
		return hb_fail_reason(err, HB_E_RESOURCE, "dead-full",
		    "as the test says");
	/* A destination's share is none of the dead letters'. */
	return fake_store.refuses == HB_OK ||
	    (dest == NULL && fake_store.refuses == HB_E_DEAD) ||
	    hb_fail_reason(err, fake_store.refuses,
		fake_store.refuses == HB_E_DEAD ? "destination-share"
						: "spool-full",
		"as the test says");
}

bool
__wrap_hb_store_has_backlog(const struct hb_store *store,
    const struct hb_dest_conf *dest)
{
	(void)store;
	assert_non_null(dest);
	return fake_store.has_backlog;
}

static inline struct fake_record *
fake_store_add(struct hb_keep *keep)
{
	struct fake_record *record = &fake_store.records[fake_store.count++];

	assert_true(fake_store.count <= FAKE_KEEPS);
	assert_non_null(keep->home);
	record->keep = keep;
	return record;
}

void
__wrap_hb_store_keep_delivery(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const struct hb_message *msg, bool held)
{
	struct fake_record *record = fake_store_add(keep);

	(void)store;
	assert_non_null(ev);
	record->msg = msg;
	record->held = held;
}

void
__wrap_hb_store_keep_dead(struct hb_store *store, struct hb_keep *keep,
    const struct hb_event *ev, const char *reason, struct hb_span place)
{
	struct fake_record *record = fake_store_add(keep);

	(void)store;
	assert_non_null(ev);
	record->reason = reason;
	snprintf(record->place, sizeof(record->place), "%.*s",
	    HB_SPAN_ARG(place));
}

static inline struct fake_record *
fake_store_find(const struct hb_keep *keep)
{
	for (size_t i = 0; i < fake_store.count; i++)
		if (fake_store.records[i].keep == keep)
			return &fake_store.records[i];
	fail_msg("a record that is not kept");
	return NULL;
}

void
__wrap_hb_store_release(struct hb_keep *keep)
{
	struct fake_record *record = fake_store_find(keep);

	assert_true(record->held && record->ok);
	assert_int_equal(record->released++, 0);
}

bool
__wrap_hb_store_settle(const struct hb_kept *kept)
{
	struct fake_record *record = fake_store_find(
	    hb_container_of(kept, const struct hb_keep, kept));

	assert_true(record->ok);
	assert_int_equal(record->released, 0);
	return record->settled++ == 0;
}

void
__wrap_hb_claims_put(struct hb_claims *claims, struct hb_claim_put *put)
{
	(void)claims;
	assert_null(fake_store.claim);
	fake_store.claim = put;
}

/* --- what the test says --------------------------------------------------- */

/* The first that is not done, or FAKE_KEEPS. */
static inline size_t
fake_store_open_keep(void)
{
	for (size_t i = 0; i < fake_store.count; i++)
		if (!fake_store.records[i].done)
			return i;
	return FAKE_KEEPS;
}

/* HB_OK: it is synced. */
static inline void
fake_store_done(size_t which, enum hb_code code)
{
	static const struct hb_shelf shelf = { .kind = HB_SHELF_DELIVERIES };
	struct fake_record *record = &fake_store.records[which];
	struct hb_keep *keep = record->keep;

	assert_false(record->done);
	record->done = true;
	record->ok = keep->ok = code == HB_OK;
	if (keep->ok)
		keep->kept = (struct hb_kept){ .shelf = &shelf };
	else
		hb_fail_reason(&keep->err, code, code == HB_E_DEAD
		    ? "destination-share" : "spool-full", "as the test says");
	keep->done(keep);
}

#endif
