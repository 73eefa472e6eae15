/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_file.c - the file sink: the contract of all sinks, lines, and what
 * disks, pipes and rotation do to files */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../../src/sink/file.h"
#include "hookbridge/log.h"
#include "sink_contract.h"

static char dir[] = "/tmp/hb-file-XXXXXX";
static char path[64];
static struct hb_file_conf settings = {.path = path};

/* --- syncs, in our hands -------------------------------------------------- */

/* Of files: how many began, how many of the next fail, and a gate that a test
 * holds to keep one from ending. */
static _Atomic unsigned syncs, syncs_to_fail;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
/* A file that somebody truncates while it is synced. */
static const char *truncated_meanwhile;

int
fdatasync(int fd)
{
	atomic_fetch_add(&syncs, 1);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	if (truncated_meanwhile != NULL)
		assert_int_equal(truncate(truncated_meanwhile, 0), 0);
	if (atomic_load(&syncs_to_fail) > 0) {
		atomic_fetch_sub(&syncs_to_fail, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* Also after a test that failed. */
static int
open_gate(void **state)
{
	(void)state;
	pthread_mutex_trylock(&gate);
	pthread_mutex_unlock(&gate);
	return 0;
}

/* Of directories. */
static _Atomic unsigned dir_syncs;
static _Atomic int dir_sync_error;

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if (!S_ISDIR(st.st_mode))
		return (int)syscall(SYS_fsync, fd);
	atomic_fetch_add(&dir_syncs, 1);
	errno = atomic_load(&dir_sync_error);
	return errno != 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

/* Waits until so many have begun. */
static void
await_syncs(unsigned wanted)
{
	uint64_t since_ms = hb_clock_mono_ms();

	while (atomic_load(&syncs) < wanted)
		assert_true(contract_wait(since_ms));
}

/* --- the oracle ----------------------------------------------------------- */

/* All of a file, NUL-terminated; "" when there is none. */
static char *
slurp(const char *name, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	char *text;
	struct stat st = {.st_size = 0};

	if (fd >= 0)
		assert_int_equal(fstat(fd, &st), 0);
	text = hb_xcalloc(1, (size_t)st.st_size + 1);
	*len = (size_t)st.st_size;
	if (fd < 0)
		return text;
	assert_int_equal(read(fd, text, *len), *len);
	close(fd);
	return text;
}

/* How often the line stands in the file of that name. */
static size_t
count_lines(const char *name, struct hb_span line)
{
	size_t len, count = 0;
	char *text = slurp(name, &len), *pos = text;

	while (pos < text + len) {
		char *end = memchr(pos, '\n', (size_t)(text + len - pos));

		if (end == NULL)
			break;
		count +=
		    hb_span_eq(hb_span_make(pos, (size_t)(end - pos)), line);
		pos = end + 1;
	}
	free(text);
	return count;
}

static size_t
arrived(void *arg, const struct hb_message *msg)
{
	return count_lines(arg, msg->value);
}

/* --- the disk ------------------------------------------------------------- */

/* A limit on the size of files stands for the disk: it too gives a short write
 * first. */
static void
limit_size(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
disk_down(void *arg)
{
	(void)arg;
	limit_size(0);
}

static void
disk_up(void *arg)
{
	(void)arg;
	limit_size(RLIM_INFINITY);
}

static struct contract_peer peer = {
    .ops = &hb_sink_file,
    .settings = &settings,
    .dests = {""},
    .arrived = arrived,
    .down = disk_down,
    .up = disk_up,
    .arg = path,
    .json_only = true,
};

static void
start(struct contract_rig *rig)
{
	contract_open(rig, &peer);
	contract_run(rig);
}

static struct contract_item *
exchange(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = contract_items(rig, count);

	contract_send(items, count);
	contract_await_reports(items, count);
	contract_check_reports(items, count);
	return items;
}

static void
expect_confirmed(struct contract_rig *rig, size_t count)
{
	struct contract_item *items = exchange(rig, count);

	contract_check_confirmed(items, count);
	contract_check_arrived(rig, items, count);
	free(items);
}

static void
put_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The whole file. */
static void
expect_file(const char *name, const char *text)
{
	size_t len;
	char *found = slurp(name, &len);

	assert_string_equal(found, text);
	assert_int_equal(len, strlen(text));
	free(found);
}

static void
remove_file(void)
{
	unlink(path);
}

/* --- lines ---------------------------------------------------------------- */

static void
values_become_lines(void **state)
{
	static const struct {
		struct hb_span value;
		const char *line;
	} cases[] = {
	    {{"{\"a\":1.50}", 10}, "{\"a\":1.50}\n"},
	    {{"{\r\n \"a\":\n1\r}\n", 13}, "{   \"a\": 1 } \n"},
	    {{"\"\\n\\r\"", 6}, "\"\\n\\r\"\n"},
	    {{"\n", 1}, " \n"},
	    {{"", 0}, "\n"},
	};
	struct hb_file_text text = {0};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_message msg = {.value = cases[i].value};

		text.len = 0;
		hb_file_text_add(&text, &msg);
		assert_int_equal(text.len, strlen(cases[i].line));
		assert_memory_equal(text.ptr, cases[i].line, text.len);
	}
	hb_file_text_fini(&text);
}

static void
dead_letters_keep_their_bytes(void **state)
{
	static const struct hb_header headers[] = {
	    {{"hb_reason", 9}, {"not-json", 8}},
	    {{"hb_\"x\"", 6}, {"caf\xc3\xa9 \\ \"\n", 10}},
	};
	struct hb_message msg = {.value = {"\0\xff\r\n}", 5},
	    .headers = headers,
	    .header_count = 2,
	    .dead_letter = true};
	static const char expected[] =
	    "{\"headers\":{\"hb_reason\":\"not-json\","
	    "\"hb_\\\"x\\\"\":\"caf\xc3\xa9 \\\\ \\\"\\n\"},"
	    "\"body_base64\":\"AP8NCn0=\"}\n"
	    "{\"headers\":{},\"body_base64\":\"\"}\n";
	struct hb_file_text text = {0};

	(void)state;
	hb_file_text_add(&text, &msg);
	msg.header_count = 0;
	msg.value.len = 0;
	hb_file_text_add(&text, &msg);
	assert_int_equal(text.len, sizeof(expected) - 1);
	assert_memory_equal(text.ptr, expected, text.len);
	hb_file_text_fini(&text);
}

/* --- opening -------------------------------------------------------------- */

static void
expect_refused(const char *name, const char *says)
{
	struct hb_file_out out = {.path = name, .fd = -1};
	struct hb_error err;

	if (hb_file_out_open(&out, &err))
		fail_msg("%s is taken", name);
	assert_int_equal(err.code, HB_E_CONFIG);
	if (strstr(err.text, says) == NULL)
		fail_msg("expected \"%s\": %s", says, err.text);
	assert_int_equal(out.fd, -1);
}

static void
strange_files_are_refused(void **state)
{
	char other[80];

	(void)state;
	remove_file();
	snprintf(other, sizeof(other), "%s/other", dir);
	put_file(other, "");
	assert_int_equal(symlink(other, path), 0);
	expect_refused(path, "symbolic link");
	remove_file();
	assert_int_equal(link(other, path), 0);
	expect_refused(path, "other names");
	remove_file();
	unlink(other);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused(path, "not a regular file");
	remove_file();
	expect_refused(dir, "directory");
	expect_refused("/dev/null", "not a regular file");
	snprintf(other, sizeof(other), "%s/none/file", dir);
	expect_refused(other, "No such file");
}

static void
new_files_are_private(void **state)
{
	mode_t before = umask(0);
	struct contract_rig rig;
	struct stat st;

	(void)state;
	remove_file();
	start(&rig);
	contract_stop(&rig);
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

/* Also of a file that was there: nobody knows whether its maker did. */
static void
names_are_synced(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;

	(void)state;
	remove_file();
	for (int i = 0; i < 2; i++) {
		atomic_store(&dir_syncs, 0);
		assert_true(hb_file_out_open(&out, &err));
		assert_int_equal(atomic_load(&dir_syncs), 1);
		hb_file_out_close(&out);
	}
	remove_file();
	atomic_store(&dir_sync_error, EIO);
	for (int i = 0; i < 2; i++) {
		assert_false(hb_file_out_open(&out, &err));
		assert_int_equal(err.code, HB_E_RETRY);
		assert_int_equal(out.fd, -1);
	}
	/* A file system that cannot. */
	atomic_store(&dir_sync_error, EINVAL);
	assert_true(hb_file_out_open(&out, &err));
	atomic_store(&dir_sync_error, 0);
	hb_file_out_close(&out);
}

/* A directory that we may write but not read. */
static void
names_are_synced_blindly(void **state)
{
	const uid_t nobody = 65534;
	char blind[80], file[88];
	struct hb_file_out out = {.path = file, .fd = -1};
	struct hb_error err;
	uid_t uid = geteuid();

	(void)state;
	snprintf(blind, sizeof(blind), "%s/blind", dir);
	snprintf(file, sizeof(file), "%s/file", blind);
	assert_int_equal(mkdir(blind, 0300), 0);
	if (uid == 0) {
		assert_int_equal(chmod(dir, 0711), 0);
		assert_int_equal(chown(blind, nobody, (gid_t)-1), 0);
		assert_int_equal(seteuid(nobody), 0);
	}
	atomic_store(&dir_syncs, 0);
	if (!hb_file_out_open(&out, &err))
		fail_msg("%s", err.text);
	assert_int_equal(atomic_load(&dir_syncs), 0);
	hb_file_out_close(&out);
	unlink(file);
	if (uid == 0) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(chmod(dir, 0700), 0);
	}
	rmdir(blind);
}

static void
other_writers_are_refused(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct contract_rig rig;
	struct hb_error err;

	(void)state;
	remove_file();
	start(&rig);
	expect_refused(path, "another sink or process");
	/* We do not stand in our own way. */
	rig.sink->ops->reopen(rig.sink);
	expect_confirmed(&rig, 2);
	expect_refused(path, "another sink or process");
	contract_stop(&rig);
	assert_true(hb_file_out_open(&out, &err));
	assert_true(hb_file_out_reopen(&out, &err));
	hb_file_out_close(&out);
}

/* Too many open files: that passes, and is no reason not to start. */
static void
starts_while_nothing_can_be_opened(void **state)
{
	struct rlimit before, none = {.rlim_cur = 0};
	struct hb_sink_env env;
	struct contract_rig rig;
	struct hb_error err;

	(void)state;
	remove_file();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	/* Opened twice: between the two there is no other chance. */
	contract_open(&rig, &peer);
	rig.sink->ops->close(rig.sink);
	env = (struct hb_sink_env){
	    &rig.cfg, rig.loops, CONTRACT_LOOPS, rig.helper};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig.sink = hb_sink_file.open(&rig.sink_conf, &env, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(rig.sink);
	assert_int_equal(((struct hb_file *)rig.sink)->out.fd, -1);
	contract_run(&rig);
	expect_confirmed(&rig, 2);
	contract_stop(&rig);
}

static void
torn_lines_get_an_end(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {{"", ""}, {"{\"a\":1}\n", "{\"a\":1}\n"},
	    {"{\"a\":1}\n{\"b", "{\"a\":1}\n{\"b\n"}, {"x", "x\n"}};
	struct contract_rig rig;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		put_file(path, cases[i].before);
		start(&rig);
		expect_file(path, cases[i].after);
		expect_confirmed(&rig, 1);
		contract_stop(&rig);
	}
}

/* There is no room for the end yet: then later, before the next line. */
static void
torn_lines_get_their_end_later(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;

	(void)state;
	put_file(path, "torn");
	limit_size(4);
	assert_true(hb_file_out_open(&out, &err));
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_NOT_WRITTEN);
	limit_size(RLIM_INFINITY);
	assert_int_equal(
	    hb_file_out_append(&out, "2\n", 2, &err), HB_FILE_WRITTEN);
	expect_file(path, "torn\n2\n");
	hb_file_out_close(&out);
}

/* --- rotation ------------------------------------------------------------- */

static void
rotated_files_are_left(void **state)
{
	char rotated[80];
	struct contract_item *before, *after;
	struct contract_rig rig;

	(void)state;
	remove_file();
	snprintf(rotated, sizeof(rotated), "%s/rotated", dir);
	start(&rig);
	before = exchange(&rig, 10);
	contract_check_confirmed(before, 10);
	assert_int_equal(rename(path, rotated), 0);
	rig.sink->ops->reopen(rig.sink);
	after = exchange(&rig, 10);
	contract_check_confirmed(after, 10);
	for (size_t i = 0; i < 10; i++) {
		struct hb_span old = before[i].delivery.msg.value;
		struct hb_span new = after[i].delivery.msg.value;

		assert_int_equal(count_lines(rotated, old), 1);
		assert_int_equal(count_lines(rotated, new), 0);
		assert_int_equal(count_lines(path, old), 0);
		assert_int_equal(count_lines(path, new), 1);
	}
	contract_stop(&rig);
	unlink(rotated);
	free(before);
	free(after);
}

/* Without the signal the file is still written, whatever its name. */
static void
renamed_files_are_written_on(void **state)
{
	char rotated[80];
	struct contract_item *items;
	struct contract_rig rig;

	(void)state;
	remove_file();
	snprintf(rotated, sizeof(rotated), "%s/rotated", dir);
	start(&rig);
	assert_int_equal(rename(path, rotated), 0);
	items = exchange(&rig, 3);
	contract_check_confirmed(items, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
		    count_lines(rotated, items[i].delivery.msg.value), 1);
	contract_stop(&rig);
	unlink(rotated);
	free(items);
}

static void
removed_files_are_made_again(void **state)
{
	struct contract_rig rig;

	(void)state;
	remove_file();
	start(&rig);
	expect_confirmed(&rig, 3);
	remove_file();
	expect_confirmed(&rig, 3);
	contract_stop(&rig);
}

/* logrotate's copytruncate. */
static void
truncated_files_are_written_on(void **state)
{
	struct contract_item *item;
	struct contract_rig rig;
	char expected[200];

	(void)state;
	remove_file();
	start(&rig);
	expect_confirmed(&rig, 3);
	assert_int_equal(truncate(path, 0), 0);
	item = exchange(&rig, 1);
	contract_check_confirmed(item, 1);
	snprintf(expected, sizeof(expected), "%s\n", item->value);
	expect_file(path, expected);
	contract_stop(&rig);
	free(item);
}

/* What cannot be opened does not replace what is. */
static void
failed_reopens_change_nothing(void **state)
{
	char rotated[80];
	struct contract_item *items;
	struct contract_rig rig;

	(void)state;
	remove_file();
	snprintf(rotated, sizeof(rotated), "%s/rotated", dir);
	start(&rig);
	assert_int_equal(rename(path, rotated), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	rig.sink->ops->reopen(rig.sink);
	items = exchange(&rig, 3);
	contract_check_confirmed(items, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
		    count_lines(rotated, items[i].delivery.msg.value), 1);
	contract_stop(&rig);
	unlink(rotated);
	remove_file();
	free(items);
}

/* The signal comes while a group is synced and others wait. */
static void
reopens_between_groups(void **state)
{
	enum { COUNT = 10 };
	char rotated[80];
	struct contract_item *before, *after;
	struct contract_rig rig;
	unsigned begun;

	(void)state;
	remove_file();
	snprintf(rotated, sizeof(rotated), "%s/rotated", dir);
	start(&rig);
	before = contract_items(&rig, 1);
	after = contract_items(&rig, COUNT);
	pthread_mutex_lock(&gate);
	begun = atomic_load(&syncs);
	contract_send(before, 1);
	await_syncs(begun + 1);
	contract_send(after, COUNT / 2);
	assert_int_equal(rename(path, rotated), 0);
	rig.sink->ops->reopen(rig.sink);
	contract_send(after + COUNT / 2, COUNT / 2);
	contract_settle(&rig);
	assert_int_equal(atomic_load(&before->reports), 0);
	pthread_mutex_unlock(&gate);
	contract_await_reports(before, 1);
	contract_await_reports(after, COUNT);
	contract_check_confirmed(before, 1);
	contract_check_confirmed(after, COUNT);
	assert_int_equal(count_lines(rotated, before->delivery.msg.value), 1);
	for (size_t i = 0; i < COUNT; i++) {
		struct hb_span line = after[i].delivery.msg.value;

		assert_int_equal(count_lines(rotated, line), 0);
		assert_int_equal(count_lines(path, line), 1);
	}
	contract_stop(&rig);
	unlink(rotated);
	free(before);
	free(after);
}

/* Again and again under way: every line stands in one of the files, once. */
static void
rotation_loses_nothing(void **state)
{
	enum { COUNT = 200, ROUNDS = 8 };
	struct contract_item *items[ROUNDS];
	char rotated[ROUNDS][96];
	struct contract_rig rig;

	(void)state;
	remove_file();
	start(&rig);
	for (int i = 0; i < ROUNDS; i++) {
		items[i] = contract_items(&rig, COUNT);
		contract_send(items[i], COUNT);
		snprintf(rotated[i], sizeof(rotated[i]), "%s/%d", dir, i);
		/* The reopening before this may still be under way. */
		while (rename(path, rotated[i]) != 0)
			assert_int_equal(errno, ENOENT);
		rig.sink->ops->reopen(rig.sink);
	}
	for (int i = 0; i < ROUNDS; i++) {
		contract_await_reports(items[i], COUNT);
		contract_check_confirmed(items[i], COUNT);
	}
	contract_stop(&rig);
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t j = 0; j < COUNT; j++) {
			struct hb_span line = items[i][j].delivery.msg.value;
			size_t found = count_lines(path, line);

			for (int k = 0; k < ROUNDS; k++)
				found += count_lines(rotated[k], line);
			assert_int_equal(found, 1);
		}
		free(items[i]);
	}
	for (int i = 0; i < ROUNDS; i++)
		unlink(rotated[i]);
}

/* --- groups --------------------------------------------------------------- */

/* What gathers while one group is synced shares the next sync. */
static void
groups_share_a_sync(void **state)
{
	enum { COUNT = 20000, GROUPS = 5 }; /* of at most 4096 each */
	struct contract_item *items;
	struct contract_rig rig;
	unsigned begun;

	(void)state;
	remove_file();
	start(&rig);
	items = contract_items(&rig, COUNT + 1);
	pthread_mutex_lock(&gate);
	begun = atomic_load(&syncs);
	contract_send(&items[COUNT], 1);
	await_syncs(begun + 1);
	contract_send(items, COUNT);
	contract_settle(&rig);
	pthread_mutex_unlock(&gate);
	contract_await_reports(items, COUNT + 1);
	contract_check_confirmed(items, COUNT + 1);
	assert_int_equal(atomic_load(&syncs), begun + 1 + GROUPS);
	contract_stop(&rig);
	free(items);
}

/* Nothing is confirmed before it is synced, also not at the end. */
static void
drains_while_a_sync_hangs(void **state)
{
	enum { WAITING = 4 };
	struct contract_item *begun, *waiting;
	struct contract_rig rig;
	unsigned before;

	(void)state;
	remove_file();
	start(&rig);
	begun = contract_items(&rig, 1);
	waiting = contract_items(&rig, WAITING);
	pthread_mutex_lock(&gate);
	before = atomic_load(&syncs);
	contract_lend(begun);
	contract_send(begun, 1);
	await_syncs(before + 1);
	for (int i = 0; i < WAITING; i++)
		contract_lend(&waiting[i]);
	contract_send(waiting, WAITING);
	contract_settle(&rig);
	rig.sink->ops->drain(rig.sink, 50);
	contract_settle(&rig);
	contract_check_reports(begun, 1);
	contract_check_reports(waiting, WAITING);
	assert_int_equal(begun->delivery.report, HB_REPORT_UNKNOWN);
	for (int i = 0; i < WAITING; i++)
		assert_int_equal(
		    waiting[i].delivery.report, HB_REPORT_RETRY);
	pthread_mutex_unlock(&gate);
	contract_close(&rig);
	contract_check_reports(begun, 1);
	contract_check_reports(waiting, WAITING);
	free(begun);
	free(waiting);
}

/* In the middle of whatever the helper does, rendering too. */
static void
drains_at_any_moment(void **state)
{
	enum { ROUNDS = 40, COUNT = 40, SIZE = 50000 };
	char *large = hb_xmalloc(SIZE);

	(void)state;
	memset(large, 'x', SIZE);
	large[0] = large[SIZE - 1] = '"';
	remove_file();
	for (int i = 0; i < ROUNDS; i++) {
		struct contract_item *items;
		struct contract_rig rig;

		start(&rig);
		items = contract_lend_items(&rig, COUNT, large, SIZE);
		/* Nothing is reported because it is done. */
		pthread_mutex_lock(&gate);
		contract_send(items, COUNT);
		/* A little later each time. */
		for (uint64_t until = hb_clock_mono_us() + 50 * (uint64_t)i;
		     hb_clock_mono_us() < until;)
			;
		rig.sink->ops->drain(rig.sink, 0);
		contract_settle(&rig);
		contract_check_reports(items, COUNT);
		pthread_mutex_unlock(&gate);
		contract_close(&rig);
		free(items);
	}
	free(large);
}

/* --- a full disk ---------------------------------------------------------- */

/* Also after a test that failed. */
static int
lift_limit(void **state)
{
	(void)state;
	limit_size(RLIM_INFINITY);
	return 0;
}

static void
full_disks_keep_whole_lines(void **state)
{
	enum { COUNT = 40 };
	struct contract_item *items;
	struct contract_rig rig;
	size_t len, confirmed = 0;
	char *text;

	(void)state;
	remove_file();
	start(&rig);
	expect_confirmed(&rig, 2);
	limit_size(200);
	items = exchange(&rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct hb_delivery *delivery = &items[i].delivery;
		bool is_confirmed = delivery->report == HB_REPORT_CONFIRMED;

		confirmed += is_confirmed;
		if (!is_confirmed) {
			assert_int_equal(delivery->report, HB_REPORT_RETRY);
			assert_non_null(
			    strstr(delivery->why.text, strerror(EFBIG)));
		}
		assert_int_equal(
		    count_lines(path, delivery->msg.value), is_confirmed);
	}
	assert_true(confirmed < COUNT);
	text = slurp(path, &len);
	assert_in_range(len, 1, 200);
	assert_int_equal(text[len - 1], '\n');
	free(text);
	free(items);
	/* Down, and up again by itself. */
	limit_size(RLIM_INFINITY);
	contract_send_until_confirmed(&rig);
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 2);
	contract_stop(&rig);
}

/* A file system of our own that really is full; nobody else sees it. */
static bool
mount_small(const char *where)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", where, "tmpfs", 0, "size=1m") == 0;
}

static void
fills_a_file_system(void **state)
{
	enum { COUNT = 40, SIZE = 40000 };
	struct contract_item *items;
	size_t len, confirmed = 0;
	char small[64], file[80], *text, *value = hb_xmalloc(SIZE);
	struct hb_file_conf conf = {.path = file};
	struct contract_peer on_it = peer;
	struct contract_rig rig;

	(void)state;
	snprintf(small, sizeof(small), "%s/small", dir);
	snprintf(file, sizeof(file), "%s/events", small);
	assert_int_equal(mkdir(small, 0700), 0);
	if (!mount_small(small)) {
		rmdir(small);
		free(value);
		skip(); /* needs to be root */
	}
	on_it.settings = &conf;
	on_it.arg = file;
	memset(value, 'x', SIZE);
	value[0] = value[SIZE - 1] = '"';
	contract_open(&rig, &on_it);
	contract_run(&rig);
	items = contract_items(&rig, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		contract_fill_special(&items[i], value, SIZE, "", 0);
		contract_send(&items[i], 1);
		contract_await_reports(&items[i], 1);
		contract_check_reports(&items[i], 1);
		if (items[i].delivery.report == HB_REPORT_CONFIRMED)
			confirmed++;
		else
			assert_non_null(strstr(
			    items[i].delivery.why.text, strerror(ENOSPC)));
	}
	/* Neither a byte too few nor half a line. */
	assert_in_range(confirmed, 20, 27);
	text = slurp(file, &len);
	assert_int_equal(len, confirmed * (SIZE + 1));
	for (size_t i = 0; i < confirmed; i++)
		assert_memory_equal(text + i * (SIZE + 1), value, SIZE);
	free(text);
	free(items);
	/* There is room again. */
	assert_int_equal(truncate(file, 0), 0);
	contract_send_until_confirmed(&rig);
	contract_stop(&rig);
	assert_int_equal(umount2(small, MNT_DETACH), 0);
	rmdir(small);
	free(value);
}

static void
full_disks_put_the_destination_down(void **state)
{
	struct contract_item *item;
	struct contract_rig rig;

	(void)state;
	remove_file();
	start(&rig);
	limit_size(10);
	item = exchange(&rig, 1);
	assert_int_equal(item->delivery.report, HB_REPORT_RETRY);
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_DOWN);
	limit_size(RLIM_INFINITY);
	/* Nothing is sent: it is let up on trial. */
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 1);
	contract_stop(&rig);
	free(item);
}

/* --- a descriptor that fails ---------------------------------------------- */

/* /dev/full takes no byte, and cannot be truncated: nobody knows what a file
 * like that holds, and it is opened again by its name. */
static void
broken_descriptors_are_left(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	put_file(path, "");
	assert_true(full >= 0);
	assert_true(hb_file_out_open(&out, &err));
	assert_true(dup2(full, out.fd) >= 0);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	assert_non_null(strstr(err.text, strerror(ENOSPC)));
	assert_int_equal(out.fd, -1);
	assert_int_equal(
	    hb_file_out_append(&out, "2\n", 2, &err), HB_FILE_WRITTEN);
	expect_file(path, "2\n");
	hb_file_out_close(&out);
	close(full);
}

/* A descriptor that takes bytes but no fdatasync. */
static void
failed_syncs_are_not_repeated(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	put_file(path, "");
	assert_true(null >= 0);
	assert_true(hb_file_out_open(&out, &err));
	assert_true(dup2(null, out.fd) >= 0);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	assert_non_null(strstr(err.text, "cannot sync"));
	assert_int_equal(out.fd, -1);
	assert_int_equal(
	    hb_file_out_append(&out, "2\n", 2, &err), HB_FILE_WRITTEN);
	expect_file(path, "2\n");
	/* A file whose disk fails. */
	atomic_store(&syncs_to_fail, 1);
	assert_int_equal(
	    hb_file_out_append(&out, "3\n", 2, &err), HB_FILE_UNKNOWN);
	assert_int_equal(out.fd, -1);
	expect_file(path, "2\n");
	close(null);
}

/* The group of a sync that fails is not known, and gone from the file; the
 * next is written on a new descriptor. */
static void
failed_syncs_fail_their_group(void **state)
{
	struct contract_item *good, *bad;
	struct contract_rig rig;
	char expected[200];

	(void)state;
	remove_file();
	start(&rig);
	good = exchange(&rig, 1);
	contract_check_confirmed(good, 1);
	atomic_store(&syncs_to_fail, 1);
	bad = exchange(&rig, 1);
	assert_int_equal(bad->delivery.report, HB_REPORT_UNKNOWN);
	assert_non_null(strstr(bad->delivery.why.text, "cannot sync"));
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_DOWN);
	snprintf(expected, sizeof(expected), "%s\n", good->value);
	expect_file(path, expected);
	assert_true(contract_await_health(&rig, HB_UP));
	expect_confirmed(&rig, 2);
	contract_stop(&rig);
	free(good);
	free(bad);
}

/* Who was truncated meanwhile is not made longer again. */
static void
foreign_changes_are_not_undone(void **state)
{
	struct hb_file_out out = {.path = path, .fd = -1};
	struct hb_error err;

	(void)state;
	put_file(path, "before\n");
	assert_true(hb_file_out_open(&out, &err));
	truncated_meanwhile = path;
	atomic_store(&syncs_to_fail, 1);
	assert_int_equal(
	    hb_file_out_append(&out, "1\n", 2, &err), HB_FILE_UNKNOWN);
	truncated_meanwhile = NULL;
	expect_file(path, "");
	hb_file_out_close(&out);
}

/* --- stdout --------------------------------------------------------------- */

static struct hb_file_conf to_stdout = {.path = "-"};
static struct contract_peer stdout_peer = {
    .ops = &hb_sink_file,
    .settings = &to_stdout,
    .dests = {""},
    .json_only = true,
};

/* Puts fd in the place of stdout; returns what to give back. */
static int
replace_stdout(int fd)
{
	int saved;

	fflush(stdout);
	saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(saved >= 0);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	return saved;
}

static void
restore_stdout(int saved)
{
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
}

static void
stdout_may_be_a_pipe(void **state)
{
	enum { COUNT = 20 };
	struct contract_item *items;
	struct contract_rig rig;
	char text[8192] = "";
	int fds[2], saved;
	ssize_t len;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	saved = replace_stdout(fds[1]);
	contract_open(&rig, &stdout_peer);
	restore_stdout(saved);
	contract_run(&rig);
	items = exchange(&rig, COUNT);
	contract_check_confirmed(items, COUNT);
	len = read(fds[0], text, sizeof(text) - 1);
	assert_true(len > 0);
	for (size_t i = 0; i < COUNT; i++) {
		const char *found = strstr(text, items[i].value);

		assert_non_null(found);
		assert_int_equal(found[strlen(items[i].value)], '\n');
	}
	free(items);
	/* Nobody reads any more. */
	close(fds[0]);
	items = exchange(&rig, 1);
	assert_int_equal(items->delivery.report, HB_REPORT_RETRY);
	assert_int_equal(hb_dest_health(rig.sink, rig.dests[0]), HB_DOWN);
	contract_stop(&rig);
	close(fds[1]);
	free(items);
}

/* The reader stands still: the drain's time is up before the helper's, and
 * what it took is not known. */
static void
drains_while_the_helper_hangs(void **state)
{
	enum { COUNT = 4, SIZE = 1 << 20 };
	struct contract_item *items;
	char *large = hb_xmalloc(SIZE);
	struct pollfd written;
	unsigned unknown = 0;
	struct contract_rig rig;
	int fds[2], saved;

	(void)state;
	memset(large, 'x', SIZE);
	large[0] = large[SIZE - 1] = '"';
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	written = (struct pollfd){.fd = fds[0], .events = POLLIN};
	saved = replace_stdout(fds[1]);
	contract_open(&rig, &stdout_peer);
	restore_stdout(saved);
	contract_run(&rig);
	items = contract_items(&rig, COUNT);
	for (int i = 0; i < COUNT; i++)
		contract_fill_special(&items[i], large, SIZE, "", 0);
	contract_send(items, COUNT);
	contract_settle(&rig);
	assert_int_equal(poll(&written, 1, CONTRACT_PATIENCE_MS), 1);
	rig.sink->ops->drain(rig.sink, 50);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
		unknown += items[i].delivery.report == HB_REPORT_UNKNOWN;
	}
	assert_in_range(unknown, 1, COUNT);
	free(items);
	free(large);
	close(fds[0]);
	contract_close(&rig);
	close(fds[1]);
}

static void
stdout_may_be_a_file(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct contract_item *item;
	struct contract_rig rig;
	char expected[200];
	int saved = replace_stdout(fd);

	(void)state;
	contract_open(&rig, &stdout_peer);
	restore_stdout(saved);
	contract_run(&rig);
	item = exchange(&rig, 1);
	contract_check_confirmed(item, 1);
	snprintf(expected, sizeof(expected), "%s\n", item->value);
	expect_file(path, expected);
	contract_stop(&rig);
	free(item);
	close(fd);
}

/* Half a line that cannot be taken back gets its end before the next. */
static void
torn_lines_of_stdout_get_an_end(void **state)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct hb_file_out out = {.path = NULL, .fd = fd, .is_regular = true};
	struct hb_error err;

	(void)state;
	assert_true(fd >= 0);
	limit_size(7);
	assert_int_equal(
	    hb_file_out_append(&out, "1234\n6789\n", 10, &err),
	    HB_FILE_UNKNOWN);
	limit_size(RLIM_INFINITY);
	assert_int_equal(
	    hb_file_out_append(&out, "next\n", 5, &err), HB_FILE_WRITTEN);
	expect_file(path, "1234\n67\nnext\n");
	hb_file_out_close(&out);
}

/* --- settings ------------------------------------------------------------- */

struct complaints {
	unsigned count;
	char text[256];
};

static void complain(void *arg, const char *key, const char *fmt, ...)
    HB_PRINTF(3, 4);

static void
complain(void *arg, const char *key, const char *fmt, ...)
{
	struct complaints *complaints = arg;
	va_list args;

	assert_string_equal(key, "path");
	complaints->count++;
	va_start(args, fmt);
	vsnprintf(complaints->text, sizeof(complaints->text), fmt, args);
	va_end(args);
}

static struct complaints
check(const char *name)
{
	struct hb_file_conf conf = {.path = name};
	struct hb_sink_conf sink = {.type = &hb_sink_file.type, .conf = &conf};
	struct complaints found = {0};

	hb_sink_file.type.check(&sink, complain, &found);
	return found;
}

static void
paths_are_checked(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} cases[] = {{"/var/log/events.ndjson", true}, {"-", true},
	    {"events.ndjson", false}, {"./-", false}, {"/var/log/", false},
	    {"/", false}, {"", false}};

	(void)state;
	unsetenv("JOURNAL_STREAM");
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		if ((check(cases[i].name).count == 0) != cases[i].valid)
			fail_msg("\"%s\"", cases[i].name);
}

static void
journal_is_refused(void **state)
{
	struct hb_file_out out = {.path = NULL, .fd = -1};
	struct hb_error err;
	struct stat st;
	char stream[64];

	(void)state;
	assert_int_equal(fstat(STDOUT_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_non_null(strstr(check("-").text, "journal"));
	assert_int_equal(check("/var/log/events").count, 0);
	assert_false(hb_file_out_open(&out, &err));
	assert_int_equal(err.code, HB_E_CONFIG);
	/* Of another stream than ours. */
	setenv("JOURNAL_STREAM", "1:1", 1);
	assert_int_equal(check("-").count, 0);
	unsetenv("JOURNAL_STREAM");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HB_SINK_CONTRACT(&peer),
	    cmocka_unit_test(values_become_lines),
	    cmocka_unit_test(dead_letters_keep_their_bytes),
	    cmocka_unit_test(strange_files_are_refused),
	    cmocka_unit_test(new_files_are_private),
	    cmocka_unit_test(names_are_synced),
	    cmocka_unit_test(names_are_synced_blindly),
	    cmocka_unit_test(other_writers_are_refused),
	    cmocka_unit_test(starts_while_nothing_can_be_opened),
	    cmocka_unit_test(torn_lines_get_an_end),
	    cmocka_unit_test_teardown(
		torn_lines_get_their_end_later, lift_limit),
	    cmocka_unit_test(rotated_files_are_left),
	    cmocka_unit_test(renamed_files_are_written_on),
	    cmocka_unit_test(removed_files_are_made_again),
	    cmocka_unit_test(truncated_files_are_written_on),
	    cmocka_unit_test(failed_reopens_change_nothing),
	    cmocka_unit_test_teardown(reopens_between_groups, open_gate),
	    cmocka_unit_test(rotation_loses_nothing),
	    cmocka_unit_test_teardown(groups_share_a_sync, open_gate),
	    cmocka_unit_test_teardown(drains_while_a_sync_hangs, open_gate),
	    cmocka_unit_test_teardown(drains_at_any_moment, open_gate),
	    cmocka_unit_test_teardown(full_disks_keep_whole_lines, lift_limit),
	    cmocka_unit_test_teardown(
		full_disks_put_the_destination_down, lift_limit),
	    cmocka_unit_test(fills_a_file_system),
	    cmocka_unit_test(broken_descriptors_are_left),
	    cmocka_unit_test(failed_syncs_are_not_repeated),
	    cmocka_unit_test(failed_syncs_fail_their_group),
	    cmocka_unit_test(foreign_changes_are_not_undone),
	    cmocka_unit_test(stdout_may_be_a_pipe),
	    cmocka_unit_test(drains_while_the_helper_hangs),
	    cmocka_unit_test(stdout_may_be_a_file),
	    cmocka_unit_test_teardown(
		torn_lines_of_stdout_get_an_end, lift_limit),
	    cmocka_unit_test(paths_are_checked),
	    cmocka_unit_test(journal_is_refused),
	};
	int failures;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	hb_log_init(HB_LOG_ERROR, HB_LOG_KV);
	if (mkdtemp(dir) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/events.ndjson", dir);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	remove_file();
	rmdir(dir);
	return failures;
}
