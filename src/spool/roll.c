/* SPDX-License-Identifier: Apache-2.0 */
/* roll.c - ends one segment, begins the next
 *
 *              hb_spool_roll()                     hb_spool_seal()
 *   (none) ─────────────────────► being written ───────────────────► sealed
 *                                       │ hb_spool_give_up()
 *                                       └──────────────────────────► unsealed
 *
 * An unsealed segment keeps its index in memory; the headers of all later ones
 * say where it ends. When no segment can be begun, the next attempt waits:
 * 100 ms, then twice as long each time up to 5 s. */
#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "parts.h"

#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 5000

/* The output is no longer written to. */
static void
end(struct hb_spool *spool, bool is_sealed)
{
	struct hb_spool_segment *seg = spool->out.seg;

	hb_spool_output_close(&spool->out);
	pthread_mutex_lock(&spool->lock);
	seg->is_active = false;
	seg->is_sealed = is_sealed;
	if (is_sealed) {
		hb_spool_segment_drop_entries(seg);
	} else {
		for (size_t i = 0; i < seg->page_count; i++)
			hb_spool_bits_mark(&spool->live, seg->pages[i]);
		hb_spool_writer_expect(spool);
	}
	spool->wants_retiring = true;
	pthread_mutex_unlock(&spool->lock);
}

/* What the disk refused is coped with: by another file, or by refusing records,
 * which is told by hb_spool_set_state(). */
static void
log_error(const struct hb_spool *spool, const struct hb_error *err)
{
	hb_log_limited(HB_LOG_WARNING, "spool.error",
	    HB_F_STR("directory", spool->store.path),
	    HB_F_STR("error", err->text));
}

void
hb_spool_give_up(struct hb_spool *spool, const struct hb_error *err)
{
	log_error(spool, err);
	end(spool, false);
}

void
hb_spool_seal(struct hb_spool *spool)
{
	struct hb_error err;
	bool ok;

	if (spool->out.seg == NULL)
		return;
	ok = hb_spool_footer_write(spool, &spool->out, &err);
	if (!ok)
		log_error(spool, &err);
	end(spool, ok);
}

/* Tells where unsealed segments end; the newest, should there be too many. */
static void
put_ends(const struct hb_spool *spool, struct hb_spool_header *header)
{
	for (size_t i = spool->segment_count; i-- > 0;) {
		const struct hb_spool_segment *seg = spool->segments[i];

		if (!seg->is_sealed && header->end_count < HB_SPOOL_ENDS_MAX)
			header->ends[header->end_count++] =
			    (struct hb_spool_end){
				seg->header.number, seg->end};
	}
}

static bool
begin(struct hb_spool *spool, struct hb_error *err)
{
	struct hb_spool_header header = {.first_seq = spool->next_seq};
	struct hb_spool_segment *seg;

	put_ends(spool, &header);
	/* Another file may do. */
	if (!hb_spool_output_open(spool, &spool->out, &header, err) &&
	    (err->code == HB_E_RESOURCE ||
		!hb_spool_output_open(spool, &spool->out, &header, err)))
		return false;
	seg = spool->out.seg;
	seg->is_active = true;
	pthread_mutex_lock(&spool->lock);
	hb_spool_segment_insert(spool, seg);
	pthread_mutex_unlock(&spool->lock);
	return true;
}

static void
back_off(struct hb_spool *spool)
{
	spool->backoff_ms =
	    spool->backoff_ms > 0 ? spool->backoff_ms * 2 : BACKOFF_MS;
	if (spool->backoff_ms > BACKOFF_MAX_MS)
		spool->backoff_ms = BACKOFF_MAX_MS;
	spool->retry_ms = hb_clock_mono_ms() + spool->backoff_ms;
}

bool
hb_spool_roll(struct hb_spool *spool, enum hb_spool_reserve reserve,
    struct hb_error *err)
{
	if (!hb_spool_store_has_room(&spool->store, reserve))
		return hb_fail(err, HB_E_RESOURCE,
		    "%s: full: max_size is used up", spool->store.path);
	if (spool->retry_ms > hb_clock_mono_ms()) {
		*err = spool->refusal;
		return false;
	}
	hb_spool_seal(spool);
	if (begin(spool, err)) {
		spool->backoff_ms = 0;
		return true;
	}
	log_error(spool, err);
	spool->refusal = *err;
	back_off(spool);
	return false;
}
