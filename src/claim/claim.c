/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c - bodies come, stay for their time, and go
 *
 *   put ─► helper: known and intact ─► renewed ──────────────┐
 *             │ else                                         ▼
 *             ├─► no room, even without what is too old     done
 *             └─► written (body.c) ──────────────────────────┘
 *
 * What was put is promised for claims.max_age from then on, so that putting it
 * again renews it. The clock of ages is the monotonic one: a wall clock that
 * jumps expires nothing while we run. Between runs the files' times tell.
 *
 * A delivery that is kept on disk may wait for longer, and refer to a body that
 * was put somewhat before: then the body stays, too. Whether it was is told by
 * the wall clock, which both have noted at the time.
 *
 * Invariants: (1) what was promised is in the index, whose list is in order of
 * age; (2) a file that could not be removed stays there, and counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hookbridge/clock.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define SWEEP_MS 60000
#define SWEEP_FILES 64 /* removed at once, then others have their turn */
#define LEAD_MS 60000  /* that delivering takes in excess of its deadlines */

/* --- going ---------------------------------------------------------------- */

/* What was put from then on may be needed by a delivery that waits. */
static int64_t
needed_since(const struct hb_claims *claims)
{
	int64_t oldest_ms = 0;

	if (claims->oldest_ms != NULL)
		oldest_ms = claims->oldest_ms(claims->oldest_arg);
	return oldest_ms != 0 ? oldest_ms - (int64_t)claims->lead_ms
			      : INT64_MAX;
}

static bool
is_expired(const struct hb_claims *claims, const struct hb_claims_entry *entry,
    int64_t needed_ms)
{
	int64_t age = (int64_t)hb_clock_mono_ms() - entry->kept.mono_ms;

	return age > 0 && (uint64_t)age > claims->max_age_ms &&
	       entry->kept.wall_ms < needed_ms;
}

static void
complain(const char *endpoint, const char *name, const struct hb_error *err)
{
	hb_log_limited(HB_LOG_WARNING, "claim.error",
	    HB_F_STR("endpoint", endpoint), HB_F_STR("digest", name),
	    HB_F_STR("reason", err->reason), HB_F_STR("error", err->text));
}

static bool
remove_file(struct hb_claims *claims, struct hb_claims_entry *entry)
{
	const char *endpoint = entry->folder->name;
	char name[HB_CLAIM_DIGEST + 1] = "";
	struct hb_error err;
	int folder = hb_claims_folder_open(&claims->tree, endpoint, &err);
	bool ok;

	hb_hex(entry->digest, sizeof(entry->digest), name);
	if (folder < 0)
		ok = err.code == HB_E_REJECT;
	else
		ok = unlinkat(folder, name, 0) == 0 || errno == ENOENT ||
		     hb_claims_fail(&err, name, "removing it");
	if (folder >= 0)
		close(folder);
	if (ok)
		hb_claims_index_remove(&claims->index, entry);
	else
		complain(endpoint, name, &err);
	return ok;
}

/* Removes some of what is too old; how many that were. */
static unsigned
sweep_some(struct hb_claims *claims)
{
	struct hb_claims_entry *entry = claims->index.oldest;
	int64_t needed_ms = needed_since(claims);
	unsigned removed = 0;

	for (int i = 0; i < SWEEP_FILES; i++) {
		struct hb_claims_entry *newer;

		if (entry == NULL || !is_expired(claims, entry, needed_ms))
			break;
		newer = entry->newer;
		removed += remove_file(claims, entry);
		entry = newer;
	}
	claims->expired += removed;
	return removed;
}

static void
on_sweep(struct hb_timer *timer)
{
	struct hb_claims *claims =
	    hb_container_of(timer, struct hb_claims, sweep);
	uint64_t pause =
	    claims->max_age_ms < SWEEP_MS ? claims->max_age_ms + 1 : SWEEP_MS;

	if (sweep_some(claims) == SWEEP_FILES) {
		hb_timer_set(timer, 0);
		return;
	}
	if (claims->expired > 0)
		hb_log(HB_LOG_INFO, "claim.expired",
		    HB_F_U64("files", claims->expired));
	claims->expired = 0;
	hb_timer_set(timer, pause);
}

/* --- room ----------------------------------------------------------------- */

/* The most that one endpoint may hold. */
static uint64_t
share_of(const struct hb_config *cfg)
{
	size_t enabled = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		enabled += cfg->endpoints[i].mode != HB_MODE_DISABLED;
	return enabled > 1 ? cfg->claims.max_size / 2 : cfg->claims.max_size;
}

static bool
fail_share(uint64_t share, uint64_t max_size, struct hb_error *err)
{
	return hb_fail_reason(err, HB_E_RESOURCE,
	    share < max_size ? "endpoint-share" : "claims-full",
	    "claims: more than the %llu bytes that an endpoint may hold",
	    (unsigned long long)share);
}

bool
hb_claims_could_keep(
    const struct hb_config *cfg, uint64_t size, struct hb_error *err)
{
	uint64_t share = share_of(cfg);

	return size <= share || fail_share(share, cfg->claims.max_size, err);
}

/* Whether the body has room, in the place of what it replaces. */
static bool
has_room(const struct hb_claims *claims, const struct hb_claims_folder *folder,
    const uint8_t *digest, uint64_t size, struct hb_error *err)
{
	const struct hb_claims_entry *old =
	    hb_claims_index_find(&claims->index, folder, digest);
	uint64_t replaced = old != NULL ? old->size : 0;
	uint64_t own = folder->bytes - replaced;
	uint64_t all = claims->index.bytes - replaced;

	if (size > claims->max_share || own > claims->max_share - size)
		return fail_share(claims->max_share, claims->max_size, err);
	if (size > claims->max_size || all > claims->max_size - size)
		return hb_fail_reason(err, HB_E_RESOURCE, "claims-full",
		    "claims: %llu bytes of claims.max_size are used",
		    (unsigned long long)all);
	return true;
}

/* The same, after removing what is too old if that helps. */
static bool
make_room(struct hb_claims *claims, const struct hb_claims_folder *folder,
    const uint8_t *digest, uint64_t size, struct hb_error *err)
{
	while (!has_room(claims, folder, digest, size, err))
		if (sweep_some(claims) == 0)
			return false;
	return true;
}

/* --- coming --------------------------------------------------------------- */

/* Makes a file of it, in place of a damaged one if there is. */
static bool
write_body(struct hb_claims *claims, const struct hb_claims_folder *folder,
    int fd, const uint8_t *digest, struct hb_claim_put *put)
{
	bool is_new;

	if (!make_room(claims, folder, digest, put->body.len, &put->err))
		return false;
	is_new = hb_claims_index_find(&claims->index, folder, digest) == NULL;
	return hb_claims_body_write(
	    fd, put->digest, put->body, is_new, &put->err);
}

/* Whether it is kept already, and as it should be; then it is renewed. */
static bool
renew_body(struct hb_claims *claims, const struct hb_claims_folder *folder,
    int fd, const uint8_t *digest, struct hb_claim_put *put)
{
	struct hb_error err;

	if (hb_claims_index_find(&claims->index, folder, digest) == NULL)
		return false;
	if (hb_claims_body_renew(fd, put->digest, put->body.len))
		return true;
	hb_fail_reason(&err, HB_E_IO, "claims-broken",
	    "claims: missing, damaged or not to be renewed: written anew");
	complain(folder->name, put->digest, &err);
	return false;
}

/* Makes the body one that is kept. */
static bool
keep(struct hb_claims *claims, struct hb_claims_folder *folder, int fd,
    const uint8_t *digest, struct hb_claim_put *put)
{
	if (!renew_body(claims, folder, fd, digest, put) &&
	    !write_body(claims, folder, fd, digest, put))
		return false;
	hb_claims_index_put(&claims->index, folder, digest, put->body.len,
	    (struct hb_claims_time){
		(int64_t)hb_clock_mono_ms(), hb_clock_wall_ms()});
	return true;
}

/* The folder of the put's endpoint, made if need be; or -1. */
static int
open_folder(struct hb_claims *claims, struct hb_claims_folder *folder,
    struct hb_error *err)
{
	const struct hb_claims_tree *tree = &claims->tree;
	int fd = -1;

	if (folder->is_made)
		fd = hb_claims_folder_open(tree, folder->name, err);
	if (fd >= 0)
		return fd;
	folder->is_made = hb_claims_folder_make(tree, folder->name, err);
	if (folder->is_made)
		fd = hb_claims_folder_open(tree, folder->name, err);
	if (fd < 0 && err->code == HB_E_REJECT)
		err->code = HB_E_IO;
	return fd;
}

static void
on_done(struct hb_task *task)
{
	struct hb_claim_put *put =
	    hb_container_of(task, struct hb_claim_put, task);

	put->done(put);
}

static void
on_put(struct hb_task *task)
{
	struct hb_claim_put *put =
	    hb_container_of(task, struct hb_claim_put, task);
	struct hb_claims *claims = put->claims;
	struct hb_claims_folder *folder =
	    hb_claims_index_folder(&claims->index, put->endpoint->name);
	uint8_t digest[HB_SHA256_SIZE];
	int fd = open_folder(claims, folder, &put->err);

	hb_sha256(put->body, digest);
	hb_hex(digest, sizeof(digest), put->digest);
	put->ok = fd >= 0 && keep(claims, folder, fd, digest, put);
	if (fd >= 0)
		close(fd);
	if (put->ok)
		hb_log(HB_LOG_DEBUG, "claim.kept",
		    HB_F_STR("endpoint", folder->name),
		    HB_F_STR("digest", put->digest),
		    HB_F_U64("bytes", put->body.len));
	else
		complain(folder->name, put->digest, &put->err);
	task->run = on_done;
	hb_loop_post(put->home, task);
}

void
hb_claims_put(struct hb_claims *claims, struct hb_claim_put *put)
{
	put->claims = claims;
	put->ok = false;
	put->err = (struct hb_error){HB_OK};
	put->digest[HB_CLAIM_DIGEST] = '\0';
	put->task.run = on_put;
	hb_loop_post(claims->helper, &put->task);
}

void
hb_claims_stats(struct hb_claims *claims, struct hb_claims_stats *stats)
{
	stats->count = claims->index.count;
	stats->bytes = claims->index.bytes;
	stats->max_size = claims->max_size;
}

/* --- opening -------------------------------------------------------------- */

/* Removes what a crash left. Bodies that got their names just before it are
 * safe from now on. */
static bool
tidy(int folder, const char *name, struct hb_error *err)
{
	(void)unlinkat(folder, HB_CLAIMS_TEMPORARY, 0);
	return hb_claims_sync(folder, name, err);
}

static uint8_t
digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void
add_found(struct hb_claims_index *index, const struct hb_claim_file *file)
{
	int64_t now_ms = hb_clock_wall_ms();
	int64_t age = now_ms - file->kept_ms;
	uint8_t digest[HB_SHA256_SIZE];

	for (size_t i = 0; i < sizeof(digest); i++)
		digest[i] = (uint8_t)(digit(file->digest[2 * i]) << 4 |
				      digit(file->digest[2 * i + 1]));
	/* A time that is yet to come says nothing. */
	if (age < 0)
		age = 0;
	hb_claims_index_put(index,
	    hb_claims_index_folder(index, file->endpoint), digest, file->size,
	    (struct hb_claims_time){
		(int64_t)hb_clock_mono_ms() - age, now_ms - age});
}

static bool
recover(struct hb_claims *claims, struct hb_error *err)
{
	struct hb_claims_survey survey;
	bool ok = hb_claims_survey(&claims->tree, tidy, &survey, err);

	for (size_t i = 0; ok && i < survey.count; i++)
		add_found(&claims->index, &survey.files[i]);
	hb_claims_survey_fini(&survey);
	return ok;
}

/* Nobody has, or will have, anything to do with them any more. */
static void
free_claims(struct hb_claims *claims)
{
	hb_claims_index_fini(&claims->index);
	hb_claims_tree_close(&claims->tree);
	free(claims);
}

/* The first of two calls; the second frees. */
static void
give_up(struct hb_claims *claims)
{
	if (claims->is_over)
		free_claims(claims);
	else
		claims->is_over = true;
}

static void
on_loop_free(struct hb_task *task)
{
	struct hb_claims *claims =
	    hb_container_of(task, struct hb_claims, at_free);

	hb_timer_fini(&claims->sweep);
	give_up(claims);
}

struct hb_claims *
hb_claims_open(const struct hb_config *cfg, struct hb_loop *helper,
    struct hb_error *err)
{
	struct hb_claims *claims = hb_xcalloc(1, sizeof(*claims));
	struct hb_error why;

	hb_claims_index_init(&claims->index);
	claims->helper = helper;
	claims->max_size = cfg->claims.max_size;
	claims->max_share = share_of(cfg);
	claims->max_age_ms = cfg->claims.max_age_ms;
	claims->lead_ms = cfg->delivery.ack_timeout_ms +
			  cfg->delivery.hard_timeout_ms + LEAD_MS;
	if (!hb_claims_tree_open(
		&claims->tree, cfg->claims.directory, &why) ||
	    !recover(claims, &why)) {
		free_claims(claims);
		return hb_fail_null(err, HB_E_CONFIG, "%s", why.text);
	}
	claims->at_free.run = on_loop_free;
	hb_loop_at_free(helper, &claims->at_free);
	hb_timer_init(&claims->sweep, helper, on_sweep);
	hb_timer_set(&claims->sweep, 0);
	return claims;
}

void
hb_claims_guard(
    struct hb_claims *claims, int64_t (*oldest_ms)(void *arg), void *arg)
{
	claims->oldest_ms = oldest_ms;
	claims->oldest_arg = arg;
}

void
hb_claims_close(struct hb_claims *claims)
{
	if (claims != NULL)
		give_up(claims);
}
