/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_file.c - the file sink: the contract of all sinks, lines, and what
 * disks, pipes and rotation do to files */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../../src/sink/file.h"
#include "hookbridge/log.h"
#include "sink_contract.h"

static char dir[] = "/tmp/hb-file-XXXXXX";
static char path[64];
static struct hb_file_conf settings = {.path = path};

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
	(void)arg;
	return count_lines(path, msg->value);
}

static struct contract_peer peer = {
    .ops = &hb_sink_file,
    .settings = &settings,
    .dests = {""},
    .arrived = arrived,
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

/* --- a full disk ---------------------------------------------------------- */

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
	hb_file_out_close(&out);
	close(null);
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
	struct contract_rig rig;
	int fds[2], saved;

	(void)state;
	memset(large, 'x', SIZE);
	large[0] = large[SIZE - 1] = '"';
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	saved = replace_stdout(fds[1]);
	contract_open(&rig, &stdout_peer);
	restore_stdout(saved);
	contract_run(&rig);
	items = contract_items(&rig, COUNT);
	for (int i = 0; i < COUNT; i++)
		contract_fill_special(&items[i], large, SIZE, "", 0);
	contract_send(items, COUNT);
	contract_settle(&rig);
	rig.sink->ops->drain(rig.sink, 50);
	contract_settle(&rig);
	contract_check_reports(items, COUNT);
	for (int i = 0; i < COUNT; i++)
		assert_int_not_equal(
		    items[i].delivery.report, HB_REPORT_CONFIRMED);
	assert_int_equal(items[0].delivery.report, HB_REPORT_UNKNOWN);
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
	    cmocka_unit_test(torn_lines_get_an_end),
	    cmocka_unit_test(rotated_files_are_left),
	    cmocka_unit_test(renamed_files_are_written_on),
	    cmocka_unit_test(removed_files_are_made_again),
	    cmocka_unit_test(truncated_files_are_written_on),
	    cmocka_unit_test(failed_reopens_change_nothing),
	    cmocka_unit_test_teardown(full_disks_keep_whole_lines, lift_limit),
	    cmocka_unit_test_teardown(
		full_disks_put_the_destination_down, lift_limit),
	    cmocka_unit_test(broken_descriptors_are_left),
	    cmocka_unit_test(failed_syncs_are_not_repeated),
	    cmocka_unit_test(stdout_may_be_a_pipe),
	    cmocka_unit_test(drains_while_the_helper_hangs),
	    cmocka_unit_test(stdout_may_be_a_file),
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
