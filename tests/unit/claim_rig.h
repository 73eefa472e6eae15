/* SPDX-License-Identifier: Apache-2.0 */
/* claim_rig.h - claims in a directory of their own
 *
 * rig_put() waits until its body is kept or not. The rig's endpoints are "one",
 * "two" and "off", which is disabled. */
#ifndef HB_TEST_CLAIM_RIG_H
#define HB_TEST_CLAIM_RIG_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hookbridge/claim.h"
#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"

#define RIG_PATH 128
#define RIG_DAY_MS (24 * 3600 * (uint64_t)1000)

enum { RIG_ONE, RIG_TWO, RIG_OFF, RIG_ENDPOINTS };

struct rig {
	char path[RIG_PATH];
	struct hb_endpoint_conf endpoints[RIG_ENDPOINTS];
	struct hb_config cfg;
	struct hb_loop *helper, *home;
	struct hb_claims *claims;
};

/* --- directories ---------------------------------------------------------- */

static char rig_root[] = "/tmp/hb-claim-XXXXXX";

static inline int
rig_setup(void **state)
{
	(void)state;
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	return mkdtemp(rig_root) != NULL ? 0 : -1;
}

static inline int
rig_teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", rig_root);
	return system(command);
}

/* A path below the rig's directory; valid until the eighth from now. */
static inline const char *
rig_file(const struct rig *rig, const char *endpoint, const char *name)
{
	static char paths[8][RIG_PATH + 256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%.64s%s%.80s", rig->path, endpoint,
	    name[0] != '\0' ? "/" : "", name);
	return path;
}

static inline bool
rig_exists(const struct rig *rig, const char *endpoint, const char *name)
{
	struct stat st;

	return lstat(rig_file(rig, endpoint, name), &st) == 0;
}

/* How many entries a folder has. */
static inline unsigned
rig_count(const struct rig *rig, const char *endpoint)
{
	DIR *stream = opendir(rig_file(rig, endpoint, ""));
	struct dirent *entry;
	unsigned count = 0;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		count += strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0;
	if (stream != NULL)
		closedir(stream);
	return count;
}

static inline void
rig_write(const struct rig *rig, const char *endpoint, const char *name,
    const char *text)
{
	int fd = open(rig_file(rig, endpoint, name),
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

/* Makes a file as old as that; negative: from the future. */
static inline void
rig_age(const struct rig *rig, const char *endpoint, const char *name,
    int64_t age_ms)
{
	int64_t ms = hb_clock_wall_ms() - age_ms;
	struct timespec times[2] = {
	    {.tv_sec = ms / 1000}, {.tv_sec = ms / 1000}};

	assert_int_equal(utimensat(AT_FDCWD, rig_file(rig, endpoint, name),
			     times, AT_SYMLINK_NOFOLLOW),
	    0);
}

/* --- life ----------------------------------------------------------------- */

static inline void
rig_init(struct rig *rig)
{
	static const char *const names[] = {"one", "two", "off"};
	static unsigned number;

	*rig = (struct rig){.claims = NULL};
	snprintf(rig->path, sizeof(rig->path), "%s/%u", rig_root, number++);
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig->endpoints[i] = (struct hb_endpoint_conf){.index = i,
		    .name = names[i],
		    .mode = i == RIG_OFF ? HB_MODE_DISABLED : HB_MODE_SVIX};
	rig->cfg.endpoints = rig->endpoints;
	rig->cfg.endpoint_count = RIG_ENDPOINTS;
	rig->cfg.claims.directory = rig->path;
	rig->cfg.claims.max_size = 1 << 20;
	rig->cfg.claims.max_age_ms = RIG_DAY_MS;
}

/* The helper does not run yet. */
static inline void
rig_prepare(struct rig *rig)
{
	struct hb_error err = {0};

	rig->helper = hb_loop_new("helper", &err);
	rig->home = hb_loop_new("home", &err);
	assert_non_null(rig->helper);
	assert_non_null(rig->home);
	rig->claims = hb_claims_open(&rig->cfg, rig->helper, &err);
	if (rig->claims == NULL)
		fail_msg("%s", err.text);
}

static inline void
rig_run(struct rig *rig)
{
	assert_true(hb_loop_start(rig->helper, NULL));
	assert_true(hb_loop_start(rig->home, NULL));
}

static inline void
rig_open(struct rig *rig)
{
	rig_prepare(rig);
	rig_run(rig);
}

static inline void
rig_start(struct rig *rig)
{
	rig_init(rig);
	rig_open(rig);
}

static inline void
rig_halt(struct rig *rig)
{
	hb_loop_stop(rig->helper);
	hb_loop_join(rig->helper);
	hb_loop_stop(rig->home);
	hb_loop_join(rig->home);
}

static inline void
rig_close(struct rig *rig)
{
	rig_halt(rig);
	hb_claims_close(rig->claims);
	hb_loop_free(rig->helper);
	hb_loop_free(rig->home);
}

/* Why it cannot be opened; for a single use. */
static inline const char *
rig_refusal(struct rig *rig)
{
	static struct hb_error err;
	struct hb_loop *helper = hb_loop_new("helper", NULL);

	assert_non_null(helper);
	assert_null(hb_claims_open(&rig->cfg, helper, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	hb_loop_free(helper);
	return err.text;
}

/* --- putting -------------------------------------------------------------- */

struct rig_put {
	struct hb_claim_put put;
	sem_t done;
};

static inline void
rig_on_done(struct hb_claim_put *put)
{
	struct rig_put *waiter = hb_container_of(put, struct rig_put, put);

	assert_true(hb_loop_current() == put->home);
	sem_post(&waiter->done);
}

static inline void
rig_begin(struct rig *rig, struct rig_put *waiter, int endpoint,
    struct hb_span body)
{
	*waiter = (struct rig_put){.put = {.home = rig->home,
				       .done = rig_on_done,
				       .endpoint = &rig->endpoints[endpoint],
				       .body = body}};
	assert_int_equal(sem_init(&waiter->done, 0, 0), 0);
	hb_claims_put(rig->claims, &waiter->put);
}

static inline void
rig_wait(struct rig_put *waiter)
{
	while (sem_wait(&waiter->done) != 0)
		assert_int_equal(errno, EINTR);
	sem_destroy(&waiter->done);
}

static inline struct hb_claim_put
rig_put(struct rig *rig, int endpoint, struct hb_span body)
{
	struct rig_put waiter;

	rig_begin(rig, &waiter, endpoint, body);
	rig_wait(&waiter);
	assert_int_equal(strlen(waiter.put.digest), HB_CLAIM_DIGEST);
	return waiter.put;
}

/* It has to be kept; its digest, valid until the eighth from now. */
static inline const char *
rig_keep(struct rig *rig, int endpoint, struct hb_span body)
{
	static char digests[8][HB_CLAIM_DIGEST + 1];
	static unsigned next;
	struct hb_claim_put put = rig_put(rig, endpoint, body);
	char *digest = digests[next++ % 8];

	if (!put.ok)
		fail_msg("%s", put.err.text);
	memcpy(digest, put.digest, HB_CLAIM_DIGEST + 1);
	return digest;
}

/* It has to be refused, for that reason. */
static inline void
rig_refuse(struct rig *rig, int endpoint, struct hb_span body,
    enum hb_code code, const char *reason)
{
	struct hb_claim_put put = rig_put(rig, endpoint, body);

	assert_false(put.ok);
	if (put.err.code != code || strcmp(put.err.reason, reason) != 0)
		fail_msg("%d %s: %s", put.err.code, put.err.reason,
		    put.err.text);
}

/* A body of that many bytes, each time the same for the same seed. */
static inline struct hb_span
rig_body(char *room, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		room[i] = (char)(i * 31 + (i >> 8) * 7 + seed * 131);
	if (len >= sizeof(seed))
		memcpy(room, &seed, sizeof(seed));
	return hb_span_make(room, len);
}

/* --- looking -------------------------------------------------------------- */

static inline void
rig_assert_stats(struct rig *rig, uint64_t count, uint64_t bytes)
{
	struct hb_claims_stats stats;

	hb_claims_stats(rig->claims, &stats);
	assert_int_equal(stats.count, count);
	assert_int_equal(stats.bytes, bytes);
	assert_int_equal(stats.max_size, rig->cfg.claims.max_size);
	assert_int_equal(hb_metric_value(hb_metric_get(
			     HB_M_CLAIMS, NULL, NULL, NULL, NULL)),
	    count);
	assert_int_equal(hb_metric_value(hb_metric_get(
			     HB_M_CLAIMS_BYTES, NULL, NULL, NULL, NULL)),
	    bytes);
}

/* Waits until so many are left: half a minute at most, which is less than from
 * one sweep to the next. */
static inline void
rig_wait_count(struct rig *rig, uint64_t count)
{
	struct hb_claims_stats stats;

	for (int i = 0; i < 30000; i++) {
		hb_claims_stats(rig->claims, &stats);
		if (stats.count == count)
			return;
		usleep(1000);
	}
	fail_msg("%llu are left", (unsigned long long)stats.count);
}

/* What a reader gets has to be the body. */
static inline void
rig_assert_reads(struct rig *rig, const char *digest, struct hb_span body)
{
	struct hb_error err = {0};
	uint64_t size = 0;
	char *bytes = hb_xmalloc(body.len + 1);
	int fd = hb_claims_read(
	    rig->claims, hb_span_of(digest), &size, &err);

	if (fd < 0)
		fail_msg("%s", err.text);
	assert_int_equal(size, body.len);
	assert_int_equal(read(fd, bytes, body.len + 1), body.len);
	assert_memory_equal(bytes, body.ptr, body.len);
	assert_int_equal(close(fd), 0);
	free(bytes);
}

#endif
