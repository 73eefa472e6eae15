/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin_tail.c - events told over HTTP, to those who read and those who
 * do not */
#include "admin_rig.h"

/* After the rig, which has what it needs. */
#include "../../src/admin/parts.h"

static int
setup(void **state)
{
	(void)state;
	office_open();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	office_close();
	return 0;
}

static void
tell(const char *endpoint, const char *id, const char *outcome)
{
	hb_tail_tell(office.tail,
	    &(struct hb_tail_event){ .word = "event.settled",
		.endpoint = hb_span_of(endpoint),
		.id = hb_span_of(id),
		.job_id = HB_SPAN("81"),
		.status = HB_SPAN("completed"),
		.outcome = outcome,
		.destinations = HB_SPAN("main:a,spare:a"),
		.wall_ms = 1767225601234,
		.took_ms = 12 });
}

/* Reads until the text has come; fails at the end of the connection. */
static void
await_text(int fd, char *got, size_t size, const char *text)
{
	size_t len = strlen(got);

	while (strstr(got, text) == NULL) {
		ssize_t n = recv(fd, got + len, size - len - 1, 0);

		if (n <= 0)
			fail_msg("no \"%s\" in: %s", text, got);
		len += (size_t)n;
		got[len] = '\0';
	}
}

static int
listen_to(const char *query, char *got, size_t size)
{
	char target[128];
	int fd;

	snprintf(target, sizeof(target), "/api/v1/tail%s", query);
	fd = begin_asking("GET", target, "", NULL);
	got[0] = '\0';
	await_text(fd, got, size, ": hookbridge\n\n\r\n");
	return fd;
}

static void
await_listeners(bool any)
{
	while (hb_tail_is_watched(office.tail) != any)
		usleep(500);
}

/* --- what is said --------------------------------------------------------- */

static void
test_form(void **state)
{
	char got[8192];
	int fd = listen_to("", got, sizeof(got));

	(void)state;
	assert_non_null(strstr(got, "\r\nContent-Type: text/event-stream\r\n"
	    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
	tell("one", "msg_1", "confirmed");
	await_text(fd, got, sizeof(got),
	    "event: event.settled\n"
	    "data: {\"endpoint\":\"one\",\"id\":\"msg_1\",\"job_id\":\"81\","
	    "\"status\":\"completed\",\"outcome\":\"confirmed\","
	    "\"destinations\":[\"main:a\",\"spare:a\"],\"reason\":null,"
	    "\"at_ms\":1767225601234,\"took_ms\":12}\n\n\r\n");
	/* No line of an event ends where the event's text has an end. */
	hb_tail_tell(office.tail,
	    &(struct hb_tail_event){ .word = "dead.added",
		.endpoint = HB_SPAN("one"),
		.id = HB_SPAN("a\n\ndata: x\r\n"),
		.job_id = HB_SPAN("\xff"),
		.outcome = "dead-lettered",
		.reason = "unrouted" });
	await_text(fd, got, sizeof(got),
	    "event: dead.added\n"
	    "data: {\"endpoint\":\"one\",\"id\":\"a\\n\\ndata: x\\r\\n\","
	    "\"job_id_base64\":\"/w==\",\"status\":null,"
	    "\"outcome\":\"dead-lettered\",\"destinations\":[],"
	    "\"reason\":\"unrouted\",\"at_ms\":0,\"took_ms\":0}\n\n\r\n");
	close(fd);
	await_listeners(false);
}

static void
test_filters(void **state)
{
	char got[8192];
	int fd;

	(void)state;
	fd = listen_to("?endpoint=two&outcome=dead-lettered", got, sizeof(got));
	tell("one", "msg_1", "dead-lettered");
	tell("two", "msg_2", "confirmed");
	tell("two", "msg_3", "dead-lettered");
	await_text(fd, got, sizeof(got), "msg_3");
	assert_null(strstr(got, "msg_1"));
	assert_null(strstr(got, "msg_2"));
	close(fd);
	fd = listen_to("?outcome=duplicate", got, sizeof(got));
	tell("one", "msg_4", "confirmed");
	tell("one", "msg_5", "duplicate");
	await_text(fd, got, sizeof(got), "msg_5");
	assert_null(strstr(got, "msg_4"));
	close(fd);
	await_listeners(false);
}

/* More than can be kept for a loop that is busy: how many is told. */
static void
tell_vast(void)
{
	static char vast[200 * 1024];

	memset(vast, 'v', sizeof(vast));
	for (int i = 0; i < 8; i++)
		hb_tail_tell(office.tail,
		    &(struct hb_tail_event){ .word = "event.settled",
			.endpoint = hb_span_make(vast, sizeof(vast)) });
}

static void
test_missed(void **state)
{
	char got[8192];
	int fd = listen_to("?endpoint=one", got, sizeof(got));

	(void)state;
	on_loop(tell_vast); /* none of them passes the filter */
	tell("one", "msg_1", "confirmed");
	await_text(fd, got, sizeof(got), "msg_1");
	assert_non_null(strstr(
	    got, "event: missed\ndata: {\"count\":3}\n\n\r\n"));
	close(fd);
	await_listeners(false);
}

/* --- silence -------------------------------------------------------------- */

static void
make_hasty(void)
{
	office.admin->keep_alive_ms = 20;
}

/* Again and again; a quarter of a minute would be long for a test. */
static void
test_keep_alive(void **state)
{
	char got[1024];
	int fd;

	(void)state;
	on_loop(make_hasty);
	fd = listen_to("", got, sizeof(got));
	for (int i = 0; i < 3; i++) {
		await_text(
		    fd, got, sizeof(got), "\r\n: keep-alive\n\n\r\n");
		got[0] = '\0';
	}
	close(fd);
	await_listeners(false);
}

/* --- who does not read ---------------------------------------------------- */

static char long_id[64 * 1024];

static void
make_long_id(void)
{
	memset(long_id, 'i', sizeof(long_id) - 1);
}

/* Tells until nobody listens any more; how much that was. What a busy loop
 * misses is part of it. */
static size_t
tell_until_cut(void)
{
	size_t told = 0;

	make_long_id();
	while (hb_tail_is_watched(office.tail)) {
		tell("one", long_id, "confirmed");
		told += sizeof(long_id);
		usleep(200);
	}
	return told;
}

static void
test_slow_reader(void **state)
{
	char got[1024];
	int fd = listen_to("", got, sizeof(got));
	size_t came = 0;
	ssize_t n;

	(void)state;
	assert_true(tell_until_cut() > 1024 * 1024);
	/* What the socket had taken can be read; of the rest nothing comes. */
	while ((n = recv(fd, got, sizeof(got), 0)) > 0)
		came += (size_t)n;
	assert_true(came < 1024 * 1024);
	close(fd);
}

/* Others go on meanwhile. */
static void
test_slow_reader_beside_a_fast_one(void **state)
{
	char got[1024], other[1024];
	int slow = listen_to("", got, sizeof(got));
	int fast = listen_to("?outcome=duplicate", other, sizeof(other));
	uint64_t since_ms = hb_clock_mono_ms();

	(void)state;
	make_long_id();
	while (hb_clock_mono_ms() - since_ms < 200) {
		tell("one", long_id, "confirmed");
		usleep(1000);
	}
	tell("one", "msg_1", "duplicate");
	await_text(fast, other, sizeof(other), "msg_1");
	close(fast);
	close(slow);
	await_listeners(false);
}

/* The admin ends while some listen. */
static void
test_closing(void **state)
{
	char got[1024];
	int fd = listen_to("", got, sizeof(got));
	ssize_t n;

	(void)state;
	tell("one", "msg_1", "confirmed");
	await_text(fd, got, sizeof(got), "msg_1");
	tell("one", "msg_2", "confirmed");
	on_loop(office_close_admin);
	assert_false(hb_tail_is_watched(office.tail));
	do
		n = recv(fd, got, sizeof(got), 0);
	while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_form),
		TEST(test_filters),
		TEST(test_missed),
		TEST(test_keep_alive),
		TEST(test_slow_reader),
		TEST(test_slow_reader_beside_a_fast_one),
		TEST(test_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
