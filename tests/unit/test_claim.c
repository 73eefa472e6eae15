/* SPDX-License-Identifier: Apache-2.0 */
/* test_claim.c - what is kept of bodies, for how long, and what is refused */
#include <pthread.h>

#include "claim_rig.h"

/* SHA-256 of "abc". */
#define ABC                                \
	"ba7816bf8f01cfea414140de5dae2223" \
	"b00361a396177a9cb410ff61f20015ad"
#define UNKNOWN                                                            \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define LARGE                                                              \
	"0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"

static char room[1 << 20];

/* --- putting -------------------------------------------------------------- */

static void
a_body_becomes_a_file(void **state)
{
	struct stat file, folder;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_string_equal(rig_keep(&rig, RIG_ONE, HB_SPAN("abc")), ABC);
	rig_assert_stats(&rig, 1, 3);
	assert_int_equal(stat(rig_file(&rig, "one", ABC), &file), 0);
	assert_int_equal(stat(rig_file(&rig, "one", ""), &folder), 0);
	assert_int_equal(file.st_mode, S_IFREG | 0600);
	assert_int_equal(folder.st_mode, S_IFDIR | 0700);
	assert_int_equal(rig_count(&rig, "one"), 1);
	rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
	rig_close(&rig);
}

/* The file stays, and is as good as new. */
static void
the_same_again(void **state)
{
	struct stat before, after;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_age(&rig, "one", ABC, 5000 * 1000);
	assert_int_equal(stat(rig_file(&rig, "one", ABC), &before), 0);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(stat(rig_file(&rig, "one", ABC), &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_in_range(after.st_mtime - before.st_mtime, 4999, 5100);
	rig_assert_stats(&rig, 1, 3);
	rig_close(&rig);
}

static void
each_endpoint_has_its_own(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_keep(&rig, RIG_TWO, HB_SPAN("abc"));
	rig_assert_stats(&rig, 2, 6);
	assert_int_equal(unlink(rig_file(&rig, "one", ABC)), 0);
	rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
	/* What somebody took away comes back, and counts once. */
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_true(rig_exists(&rig, "one", ABC));
	rig_assert_stats(&rig, 2, 6);
	rig_close(&rig);
}

/* More of them than the table begins with; each is known again. */
static void
many(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (int turn = 0; turn < 2; turn++)
		for (unsigned i = 0; i < 300; i++)
			rig_keep(&rig, RIG_ONE, rig_body(room, 100 + i, i));
	rig_assert_stats(&rig, 300, 300 * 100 + 299 * 300 / 2);
	assert_int_equal(rig_count(&rig, "one"), 300);
	rig_close(&rig);
}

static void
an_empty_body(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN(""));
	rig_assert_stats(&rig, 1, 0);
	rig_close(&rig);
}

/* --- limits --------------------------------------------------------------- */

static void
full(void **state)
{
	struct rig rig;
	const char *kept;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_size = 1000;
	rig.endpoints[RIG_TWO].mode = HB_MODE_DISABLED;
	rig_open(&rig);
	kept = rig_keep(&rig, RIG_ONE, rig_body(room, 600, 1));
	rig_refuse(&rig, RIG_ONE, rig_body(room, 401, 2), HB_E_RESOURCE,
	    "claims-full");
	rig_refuse(&rig, RIG_ONE, rig_body(room, 1001, 3), HB_E_RESOURCE,
	    "claims-full");
	rig_assert_stats(&rig, 1, 600);
	assert_int_equal(rig_count(&rig, "one"), 1);
	rig_keep(&rig, RIG_ONE, rig_body(room, 400, 2)); /* to the last byte */
	/* What is there takes no room. */
	rig_keep(&rig, RIG_ONE, rig_body(room, 600, 1));
	rig_assert_reads(&rig, kept, rig_body(room, 600, 1));
	rig_assert_stats(&rig, 2, 1000);
	rig_close(&rig);
}

static void
share(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_size = 1000;
	rig_open(&rig);
	rig_keep(&rig, RIG_ONE, rig_body(room, 500, 1));
	rig_refuse(&rig, RIG_ONE, HB_SPAN("x"), HB_E_RESOURCE,
	    "endpoint-share");
	rig_refuse(&rig, RIG_TWO, rig_body(room, 501, 2), HB_E_RESOURCE,
	    "endpoint-share");
	rig_keep(&rig, RIG_TWO, rig_body(room, 500, 2));
	rig_assert_stats(&rig, 2, 1000);
	rig_close(&rig);
}

/* What an endpoint left that is no more takes room all the same. */
static void
left_by_others(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_size = 1000;
	rig_open(&rig);
	rig_keep(&rig, RIG_ONE, rig_body(room, 500, 1));
	rig_keep(&rig, RIG_TWO, rig_body(room, 100, 2));
	rig_close(&rig);
	rig.endpoints[RIG_ONE].name = "renamed";
	rig_open(&rig);
	rig_assert_stats(&rig, 2, 600);
	rig_refuse(&rig, RIG_TWO, rig_body(room, 401, 3), HB_E_RESOURCE,
	    "endpoint-share");
	rig_keep(&rig, RIG_TWO, rig_body(room, 399, 3));
	rig_refuse(&rig, RIG_ONE, rig_body(room, 2, 4), HB_E_RESOURCE,
	    "claims-full");
	rig_close(&rig);
}

/* --- ages ----------------------------------------------------------------- */

/* At the start, and of all who ever were endpoints. */
static void
expired_at_opening(void **state)
{
	const char *old, *other, *young, *odd;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	old = rig_keep(&rig, RIG_ONE, rig_body(room, 10, 1));
	young = rig_keep(&rig, RIG_ONE, rig_body(room, 20, 2));
	odd = rig_keep(&rig, RIG_ONE, rig_body(room, 30, 3));
	other = rig_keep(&rig, RIG_TWO, rig_body(room, 40, 4));
	rig_close(&rig);
	rig_age(&rig, "one", old, RIG_DAY_MS + 2000);
	rig_age(&rig, "one", young, RIG_DAY_MS - 60000);
	rig_age(&rig, "one", odd, -(int64_t)RIG_DAY_MS); /* of tomorrow */
	rig_age(&rig, "two", other, 100 * (int64_t)RIG_DAY_MS);
	rig.endpoints[RIG_TWO].name = "renamed";
	rig_open(&rig);
	rig_wait_count(&rig, 2);
	rig_assert_stats(&rig, 2, 50);
	assert_false(rig_exists(&rig, "one", old));
	assert_true(rig_exists(&rig, "one", young));
	assert_true(rig_exists(&rig, "one", odd));
	assert_false(rig_exists(&rig, "two", other));
	rig_close(&rig);
}

static void
expired_while_running(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_age_ms = 300;
	rig_open(&rig);
	for (unsigned i = 0; i < 150; i++)
		rig_keep(&rig, RIG_ONE, rig_body(room, 10, i));
	rig_wait_count(&rig, 0);
	rig_assert_stats(&rig, 0, 0);
	assert_int_equal(rig_count(&rig, "one"), 0);
	rig_close(&rig);
}

/* A time that is yet to come counts as that of the opening. */
static void
from_the_future(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_close(&rig);
	rig_age(&rig, "one", ABC, -(int64_t)RIG_DAY_MS);
	rig.cfg.claims.max_age_ms = 300;
	rig_open(&rig);
	rig_wait_count(&rig, 0);
	rig_close(&rig);
}

/* Keeps that many in folder one, which are too old at the next opening. */
static void
keep_old(struct rig *rig, unsigned count)
{
	char names[200][HB_CLAIM_DIGEST + 1];

	assert_in_range(count, 1, HB_COUNT(names));
	rig_open(rig);
	for (unsigned i = 0; i < count; i++)
		memcpy(names[i], rig_keep(rig, RIG_ONE, rig_body(room, 10, i)),
		    sizeof(names[i]));
	rig_close(rig);
	for (unsigned i = 0; i < count; i++)
		rig_age(rig, "one", names[i], RIG_DAY_MS + 2000);
}

/* They go one step after the other, without a pause. */
static void
many_expired(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	keep_old(&rig, 200);
	rig_open(&rig);
	rig_wait_count(&rig, 0);
	assert_int_equal(rig_count(&rig, "one"), 0);
	rig_close(&rig);
}

/* The last put counts, not the first. */
static void
renewed_is_young(void **state)
{
	const char *other;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	other = rig_keep(&rig, RIG_ONE, rig_body(room, 10, 1));
	rig_close(&rig);
	rig_age(&rig, "one", ABC, RIG_DAY_MS - 100000);
	rig_age(&rig, "one", other, RIG_DAY_MS - 100000);
	rig_open(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_close(&rig);
	rig.cfg.claims.max_age_ms = RIG_DAY_MS - 200000;
	rig_open(&rig);
	rig_wait_count(&rig, 1);
	assert_true(rig_exists(&rig, "one", ABC));
	assert_false(rig_exists(&rig, "one", other));
	rig_close(&rig);
}

/* Nobody is refused for the sake of what is too old. */
static void
expired_makes_room(void **state)
{
	struct rig_put waiter;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_size = 4000;
	keep_old(&rig, 200);
	rig_prepare(&rig);
	rig_begin(&rig, &waiter, RIG_ONE, rig_body(room, 1999, 1000));
	rig_run(&rig);
	rig_wait(&waiter);
	assert_true(waiter.put.ok);
	rig_wait_count(&rig, 1);
	rig_assert_stats(&rig, 1, 1999);
	rig_close(&rig);
}

/* --- what is found -------------------------------------------------------- */

static void
reopened(void **state)
{
	const char *first, *second;
	struct rig rig;

	(void)state;
	rig_start(&rig);
	first = rig_keep(&rig, RIG_ONE, rig_body(room, 1000, 1));
	second = rig_keep(&rig, RIG_TWO, rig_body(room, 5000, 2));
	rig_close(&rig);
	rig_open(&rig);
	rig_assert_stats(&rig, 2, 6000);
	rig_assert_reads(&rig, first, rig_body(room, 1000, 1));
	rig_assert_reads(&rig, second, rig_body(room, 5000, 2));
	rig_keep(&rig, RIG_TWO, rig_body(room, 5000, 2));
	rig_assert_stats(&rig, 2, 6000);
	rig_close(&rig);
}

/* A file that is shorter or longer than its body is no body. */
static void
damaged(void **state)
{
	static const char *const texts[] = {"", "ab", "abcd"};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(texts); i++) {
		struct rig rig;

		rig_start(&rig);
		rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
		rig_write(&rig, "one", ABC, texts[i]); /* while it runs */
		rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
		rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
		rig_close(&rig);
		rig_write(&rig, "one", ABC, texts[i]);
		rig_open(&rig);
		rig_assert_stats(&rig, 1, strlen(texts[i]));
		rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
		rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
		rig_assert_stats(&rig, 1, 3);
		rig_close(&rig);
	}
}

/* What is replaced makes room for what replaces it. */
static void
damaged_and_full(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.cfg.claims.max_size = 6;
	rig_open(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_keep(&rig, RIG_TWO, HB_SPAN("abc"));
	rig_write(&rig, "one", ABC, "ab");
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_assert_stats(&rig, 2, 6);
	rig_close(&rig);
}

/* A crash left a file half written; others put there what they liked. */
static void
strange_contents(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_close(&rig);
	rig_write(&rig, "one", ".new", "half of");
	rig_write(&rig, "one", "readme", "text");
	rig_write(&rig, "one", UNKNOWN "0", "too long");
	rig_write(&rig, "one", &UNKNOWN[1], "too short");
	rig_write(&rig, "one", LARGE, "large letters");
	rig_write(&rig, ".", UNKNOWN, "in no folder");
	assert_int_equal(mkdir(rig_file(&rig, ".hidden", ""), 0700), 0);
	rig_write(&rig, ".hidden", UNKNOWN, "in none that is ours");
	assert_int_equal(mkdir(rig_file(&rig, "one", UNKNOWN), 0700), 0);
	assert_int_equal(mkdir(rig_file(&rig, "two", ""), 0700), 0);
	assert_int_equal(
	    symlink("/etc/passwd", rig_file(&rig, "two", UNKNOWN)), 0);
	assert_int_equal(symlink("one", rig_file(&rig, "three", "")), 0);
	rig_open(&rig);
	rig_assert_stats(&rig, 1, 3);
	assert_false(rig_exists(&rig, "one", ".new"));
	assert_int_equal(rig_count(&rig, "one"), 6);
	assert_int_equal(
	    hb_claims_read(rig.claims, HB_SPAN(UNKNOWN), NULL, NULL), -1);
	rig_close(&rig);
}

/* Where a body should go, there is something else. */
static void
obstacles(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("x"));
	rig_keep(&rig, RIG_TWO, HB_SPAN("x"));
	/* A folder is in the way. */
	assert_int_equal(mkdir(rig_file(&rig, "one", ABC), 0700), 0);
	rig_refuse(
	    &rig, RIG_ONE, HB_SPAN("abc"), HB_E_IO, "claims-broken");
	assert_int_equal(rig_count(&rig, "one"), 2);
	/* A link is replaced, not followed. */
	rig_write(&rig, ".", "target", "precious");
	assert_int_equal(symlink("../target", rig_file(&rig, "two", ABC)), 0);
	assert_int_equal(symlink("../target", rig_file(&rig, "two", ".new")),
	    0);
	rig_keep(&rig, RIG_TWO, HB_SPAN("abc"));
	rig_assert_reads(&rig, ABC, HB_SPAN("abc"));
	/* So it is with the endpoint's folder. */
	rig.endpoints[RIG_ONE].name = "three";
	assert_int_equal(symlink("one", rig_file(&rig, "three", "")), 0);
	rig_refuse(
	    &rig, RIG_ONE, HB_SPAN("abc"), HB_E_IO, "claims-broken");
	rig_assert_stats(&rig, 3, 5);
	assert_int_equal(rig_count(&rig, "one"), 2);
	rig_close(&rig);
}

/* A folder that somebody removed is made again. */
static void
folder_removed(void **state)
{
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(unlink(rig_file(&rig, "one", ABC)), 0);
	assert_int_equal(rmdir(rig_file(&rig, "one", "")), 0);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	rig_assert_stats(&rig, 1, 3);
	rig_close(&rig);
}

/* --- who may -------------------------------------------------------------- */

static void
refused(struct rig *rig, const char *why)
{
	const char *text = rig_refusal(rig);

	if (strstr(text, why) == NULL)
		fail_msg("expected %s, got %s", why, text);
}

static void
directories(void **state)
{
	struct rig rig, link;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	refused(&rig, "uses this directory");
	rig_close(&rig);
	assert_int_equal(chmod(rig.path, 0770), 0);
	refused(&rig, "others may write");
	assert_int_equal(chmod(rig.path, 0755), 0);
	assert_int_equal(chmod(rig_file(&rig, "one", ""), 0702), 0);
	refused(&rig, "one: others may write");
	assert_int_equal(chmod(rig_file(&rig, "one", ""), 0700), 0);
	rig_init(&link);
	assert_int_equal(symlink(rig.path, link.path), 0);
	refused(&link, "symbolic links are not followed");
	link.cfg.claims.directory = rig_file(&rig, "not", "there");
	refused(&link, "No such file");
	link.cfg.claims.directory = rig_file(&rig, "one", ABC);
	refused(&link, "not a directory");
	rig_open(&rig);
	rig_assert_stats(&rig, 1, 3);
	/* It became open to others meanwhile: what they put is not handed
	 * out, and nothing is put there. */
	assert_int_equal(chmod(rig_file(&rig, "one", ""), 0770), 0);
	rig_refuse(
	    &rig, RIG_ONE, HB_SPAN("abc"), HB_E_IO, "claims-broken");
	assert_int_equal(
	    hb_claims_read(rig.claims, HB_SPAN(ABC), NULL, NULL), -1);
	rig_close(&rig);
}

/* --- reading -------------------------------------------------------------- */

static void
bad_digests(void **state)
{
	static const char *const digests[] = {"", "abc", "..", UNKNOWN,
	    UNKNOWN "0", &UNKNOWN[1],
	    "BA7816BF8F01CFEA414140DE5DAE2223"
	    "B00361A396177A9CB410FF61F20015AD",
	    "../one/" ABC, "../../../../../../../../../../../../../../../../"
			   "../../etc/passwd"};
	struct rig rig;

	(void)state;
	rig_start(&rig);
	rig_keep(&rig, RIG_ONE, HB_SPAN("abc"));
	assert_int_equal(mkfifo(rig_file(&rig, "one", UNKNOWN), 0600), 0);
	for (size_t i = 0; i < HB_COUNT(digests); i++) {
		struct hb_error err = {0};
		uint64_t size;

		assert_int_equal(hb_claims_read(rig.claims,
				     hb_span_of(digests[i]), &size, &err),
		    -1);
		assert_int_equal(err.code, HB_E_REJECT);
	}
	rig_close(&rig);
}

struct listed {
	char text[1024];
	int64_t last_ms;
};

static void
on_file(void *arg, const struct hb_claim_file *file)
{
	struct listed *listed = arg;
	size_t len = strlen(listed->text);

	snprintf(listed->text + len, sizeof(listed->text) - len, "%s %s %u\n",
	    file->endpoint, file->digest, (unsigned)file->size);
	assert_true(file->kept_ms >= listed->last_ms);
	listed->last_ms = file->kept_ms;
}

static void
listing(void **state)
{
	struct listed listed = {.last_ms = 1};
	const char *a, *b, *c;
	char wanted[1024];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	assert_true(hb_claims_list(rig.claims, on_file, &listed, NULL));
	assert_string_equal(listed.text, "");
	a = rig_keep(&rig, RIG_ONE, rig_body(room, 10, 1));
	b = rig_keep(&rig, RIG_TWO, rig_body(room, 20, 2));
	c = rig_keep(&rig, RIG_ONE, rig_body(room, 30, 3));
	rig_age(&rig, "one", a, 1000 * 1000);
	rig_age(&rig, "two", b, 3000 * 1000);
	rig_age(&rig, "one", c, 2000 * 1000);
	assert_true(hb_claims_list(rig.claims, on_file, &listed, NULL));
	snprintf(wanted, sizeof(wanted), "two %s 20\none %s 30\none %s 10\n",
	    b, c, a);
	assert_string_equal(listed.text, wanted);
	assert_in_range(
	    hb_clock_wall_ms() - listed.last_ms, 999 * 1000, 1030 * 1000);
	rig_close(&rig);
}

/* --- threads and the end -------------------------------------------------- */

/* The helper has ended; what it was asked then is done when it is freed,
 * whichever goes first. */
static void
late_puts(void **state)
{
	(void)state;
	for (int closed_first = 0; closed_first < 2; closed_first++) {
		struct rig_put waiter;
		struct rig rig;

		rig_start(&rig);
		rig_halt(&rig);
		rig_begin(&rig, &waiter, RIG_ONE, HB_SPAN("abc"));
		if (closed_first)
			hb_claims_close(rig.claims);
		hb_loop_free(rig.helper);
		if (!closed_first)
			hb_claims_close(rig.claims);
		hb_loop_free(rig.home);
		rig_wait(&waiter);
		assert_true(waiter.put.ok);
		assert_true(rig_exists(&rig, "one", ABC));
	}
	hb_claims_close(NULL);
}

#define PUTS 60

static void *
put_many(void *arg)
{
	struct rig *rig = arg;
	struct rig_put waiters[PUTS];
	char bodies[PUTS][64];

	for (unsigned i = 0; i < PUTS; i++)
		rig_begin(rig, &waiters[i], (int)(i % 2),
		    rig_body(bodies[i], sizeof(bodies[i]), i / 2));
	for (unsigned i = 0; i < PUTS; i++) {
		rig_wait(&waiters[i]);
		assert_true(waiters[i].put.ok);
	}
	return NULL;
}

static void
on_any_file(void *arg, const struct hb_claim_file *file)
{
	(void)arg;
	assert_int_equal(file->size, 64);
}

/* Two threads put the same, a third looks on; a file that is seen is whole. */
static void
all_at_once(void **state)
{
	struct hb_claims_stats stats;
	pthread_t threads[2];
	struct rig rig;

	(void)state;
	rig_start(&rig);
	for (size_t i = 0; i < HB_COUNT(threads); i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, put_many, &rig), 0);
	do {
		assert_true(
		    hb_claims_list(rig.claims, on_any_file, NULL, NULL));
		hb_claims_stats(rig.claims, &stats);
	} while (stats.count < PUTS);
	for (size_t i = 0; i < HB_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	rig_assert_stats(&rig, PUTS, PUTS * 64);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_body_becomes_a_file),
	    cmocka_unit_test(the_same_again),
	    cmocka_unit_test(each_endpoint_has_its_own),
	    cmocka_unit_test(many),
	    cmocka_unit_test(an_empty_body),
	    cmocka_unit_test(full),
	    cmocka_unit_test(share),
	    cmocka_unit_test(left_by_others),
	    cmocka_unit_test(expired_at_opening),
	    cmocka_unit_test(expired_while_running),
	    cmocka_unit_test(from_the_future),
	    cmocka_unit_test(many_expired),
	    cmocka_unit_test(renewed_is_young),
	    cmocka_unit_test(expired_makes_room),
	    cmocka_unit_test(reopened),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(damaged_and_full),
	    cmocka_unit_test(strange_contents),
	    cmocka_unit_test(obstacles),
	    cmocka_unit_test(folder_removed),
	    cmocka_unit_test(directories),
	    cmocka_unit_test(bad_digests),
	    cmocka_unit_test(listing),
	    cmocka_unit_test(late_puts),
	    cmocka_unit_test(all_at_once),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
