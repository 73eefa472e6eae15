/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_file.c - the file sink: the contract of all sinks, lines, opening
 * and rotation, stdout */
#include "file_rig.h"

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
	    cmocka_unit_test(stdout_may_be_a_pipe),
	    cmocka_unit_test(drains_while_the_helper_hangs),
	    cmocka_unit_test(stdout_may_be_a_file),
	    cmocka_unit_test_teardown(
		torn_lines_of_stdout_get_an_end, lift_limit),
	    cmocka_unit_test(paths_are_checked),
	    cmocka_unit_test(journal_is_refused),
	};

	if (!file_rig_begin())
		return 99;
	return file_rig_end(cmocka_run_group_tests(tests, NULL, NULL));
}
