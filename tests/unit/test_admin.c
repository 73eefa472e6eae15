/* SPDX-License-Identifier: Apache-2.0 */
/* test_admin.c - what may be asked, how, and by whom */
#include "admin_rig.h"
#include "cfg_rig.h"

#include "skip.h"

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

/* --- requests ------------------------------------------------------------- */

struct row {
	const char *method, *target, *more, *body;
	int code;
	const char *says; /* somewhere in the answer */
};

static void
check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct answer a = hear(begin_asking(row->method, row->target,
		    row->more != NULL ? row->more : "", row->body));

		if (a.code != row->code || strstr(a.text, row->says) == NULL)
			fail_msg("%s %s: expected %d \"%s\", got:\n%s",
			    row->method, row->target, row->code, row->says,
			    a.text);
		if (a.code >= 400 && a.len > 0 && a.code != 413)
			assert_non_null(strstr(a.text, "\r\nContent-Type: "
			    "application/problem+json\r\n"));
		forget(&a);
	}
}

#define ROWS(...)                                               \
	do {                                                    \
		static const struct row rows[] = { __VA_ARGS__ }; \
		check_rows(rows, HB_COUNT(rows));               \
	} while (0)

static void
test_resources(void **state)
{
	(void)state;
	ROWS(
	    { "GET", "/healthz", .code = 200, .says = "{\"status\":\"ok\"}\n" },
	    { "HEAD", "/healthz", .code = 200,
		.says = "Content-Length: 16\r\nConnection: close\r\n\r\n" },
	    { "GET", "/readyz", .code = 200, .says = "\"ready\":true" },
	    { "GET", "/api/v1/status", .code = 200, .says = "\"sinks\":[" },
	    { "GET", "/api/v1/%73%74atus", .code = 200, .says = "\"sinks\"" },
	    { "GET", "/api/v1/spool", .code = 200, .says = "{\"shelves\":[]}" },
	    { "GET", "/api/v1/dead", .code = 200,
		.says = "{\"dead\":[],\"next\":null}" },
	    { "GET", "/api/v1/dead?", .code = 200, .says = "\"dead\"" },
	    { "GET", "/api/v1/dead?limit=1000&reason=&endpoint=%6fne",
		.code = 200, .says = "\"dead\"" },
	    { "GET", "/api/v1/claims", .code = 200, .says = "{\"claims\":[]}" },
	    { "GET", "/metrics", .code = 200,
		.says = "Content-Type: text/plain; version=0.0.4\r\n" },
	    { "HEAD", "/api/v1/tail", .code = 200,
		.says = "Content-Type: text/event-stream\r\n" },
	    { "HEAD", "http://any/healthz", .code = 200, .says = "OK" });
}

static void
test_refused_paths(void **state)
{
	(void)state;
	ROWS(
	    { "GET", "/", .code = 404, .says = "\"title\":\"Not Found\"" },
	    { "GET", "/nothing", .code = 404,
		.says = "{\"type\":\"about:blank\",\"title\":\"Not Found\","
			"\"status\":404,\"detail\":\"there is no such "
			"resource\"}\n" },
	    { "GET", "/healthz/", .code = 404, .says = "resource" },
	    { "GET", "/HEALTHZ", .code = 404, .says = "resource" },
	    { "GET", "/api/v1/dead/", .code = 404, .says = "resource" },
	    { "GET", "/api/v1//dead", .code = 404, .says = "resource" },
	    { "GET", "/api/v1/dead/1/drop/x", .code = 404,
		.says = "resource" },
	    { "GET", "/a/b/c/d/e/f/g/h/i/j/k", .code = 404,
		.says = "resource" },
	    { "GET", "/api%2fv1%2fstatus", .code = 404, .says = "resource" },
	    { "GET", "/api/v1/../v1/status", .code = 404, .says = "resource" },
	    { "OPTIONS", "*", .code = 404, .says = "resource" },
	    { "CONNECT", "a:80", .code = 404, .says = "resource" },
	    { "GET", "/api/v1/dead/17", .code = 404,
		.says = "\"detail\":\"there is no dead letter 17\","
			"\"reason\":\"not-found\"" },
	    { "GET", "/api/v1/spool/17", .code = 404,
		.says = "there is no delivery 17" },
	    { "GET", "/api/v1/dead/x%22%0a", .code = 404,
		.says = "not the number of a record" },
	    { "GET", "/api/v1/dead/-1", .code = 404, .says = "not the number" },
	    { "GET", "/api/v1/dead/99999999999999999999", .code = 404,
		.says = "not the number" },
	    { "GET", "/api/v1/claims/abc", .code = 404, .says = "digest" },
	    { "GET", "/health%zz", .code = 400, .says = "percent escape" },
	    { "GET", "/health%", .code = 400, .says = "percent escape" },
	    { "GET", "/health%4", .code = 400, .says = "percent escape" },
	    { "GET", "/healthz%00", .code = 400, .says = "percent escape" });
}

static void
test_refused_methods(void **state)
{
	(void)state;
	ROWS(
	    { "POST", "/healthz", .body = "{}", .code = 405,
		.says = "\r\nAllow: GET, HEAD\r\n" },
	    { "DELETE", "/api/v1/dead/1", .code = 405,
		.says = "\r\nAllow: GET, HEAD\r\n" },
	    { "GET", "/api/v1/dead/1/drop", .code = 405,
		.says = "\r\nAllow: POST\r\n" },
	    { "HEAD", "/api/v1/dead/1/drop", .code = 405,
		.says = "\r\nAllow: POST\r\n" },
	    { "PUT", "/api/v1/dedup/forget", .body = "{}", .code = 405,
		.says = "\r\nAllow: POST\r\n" });
}

static void
test_refused_queries(void **state)
{
	(void)state;
	ROWS(
	    { "GET", "/healthz?x=1", .code = 400,
		.says = "there is no parameter \\\"x\\\" here" },
	    { "GET", "/healthz?&", .code = 400, .says = "no parameter" },
	    { "GET", "/api/v1/dead?Limit=1", .code = 400,
		.says = "no parameter \\\"Limit\\\"" },
	    { "GET", "/api/v1/dead?%0a%1b[2J=1", .code = 400,
		.says = "no parameter" },
	    { "GET", "/api/v1/dead?limit=1&limit=1", .code = 400,
		.says = "given twice" },
	    { "GET", "/api/v1/dead?limit=0", .code = 400,
		.says = "limit: expected a number from 1 to 1000" },
	    { "GET", "/api/v1/dead?limit=1001", .code = 400, .says = "limit" },
	    { "GET", "/api/v1/dead?limit=", .code = 400, .says = "limit" },
	    { "GET", "/api/v1/dead?limit", .code = 400, .says = "limit" },
	    { "GET", "/api/v1/dead?limit=1x", .code = 400, .says = "limit" },
	    { "GET", "/api/v1/dead?limit=+1", .code = 400, .says = "limit" },
	    { "GET", "/api/v1/dead?after=-1", .code = 400, .says = "after" },
	    { "GET", "/api/v1/dead?before_ms=1e3", .code = 400,
		.says = "before_ms" },
	    { "GET", "/api/v1/dead?limit=%", .code = 400, .says = "escape" },
	    { "GET", "/api/v1/dead?%00=1", .code = 400, .says = "escape" },
	    { "GET", "/api/v1/tail?outcome=fine", .code = 400,
		.says = "outcome: expected" },
	    { "GET", "/api/v1/tail?endpoint=three", .code = 400,
		.says = "no such endpoint" });
}

static void
test_refused_bodies(void **state)
{
	(void)state;
	ROWS(
	    { "GET", "/healthz", .body = "{}", .code = 400,
		.says = "has no body" },
	    { "GET", "/healthz", "Transfer-Encoding: chunked\r\n",
		.code = 400, .says = "has no body" },
	    { "POST", "/api/v1/dedup/forget", "Content-Type: text/plain\r\n",
		"{}", 415, "application/json" },
	    { "POST", "/api/v1/dedup/forget",
		"Content-Type: application/x-www-form-urlencoded\r\n", "a=b",
		415, "application/json" },
	    { "POST", "/api/v1/dedup/forget",
		"Content-Type: application/json; charset=utf-8\r\n", "{}", 400,
		"endpoint: expected a text" },
	    { "POST", "/api/v1/dedup/forget", .body = "", .code = 400,
		.says = "endpoint: expected a text" },
	    { "POST", "/api/v1/dedup/forget", .body = "{", .code = 400,
		.says = "not valid JSON" },
	    { "POST", "/api/v1/dedup/forget", .body = "[]", .code = 400,
		.says = "has to be an object" },
	    { "POST", "/api/v1/dedup/forget", .body = "{}x", .code = 400,
		.says = "not valid JSON" },
	    { "POST", "/api/v1/dedup/forget", .body = "{\"a\":\"\xff\"}",
		.code = 400, .says = "not valid JSON" },
	    { "POST", "/api/v1/dedup/forget",
		.body = "{\"id\":\"\\u0000\"}", .code = 400,
		.says = "not valid JSON" },
	    { "POST", "/api/v1/dedup/forget",
		.body = "{\"id\":\"a\",\"id\":\"b\"}", .code = 400,
		.says = "not valid JSON" },
	    { "POST", "/api/v1/dedup/forget", .body = "{\"ID\":\"a\"}",
		.code = 400, .says = "there is no member \\\"ID\\\" here" },
	    { "POST", "/api/v1/dedup/forget",
		.body = "{\"endpoint\":\"one\",\"id\":7}", .code = 400,
		.says = "id: expected a text" },
	    { "POST", "/api/v1/dedup/forget",
		.body = "{\"endpoint\":\"three\",\"id\":\"a\"}", .code = 404,
		.says = "no such endpoint" },
	    { "POST", "/api/v1/dead/1/drop", .body = "{\"yes\":true}",
		.code = 400, .says = "no member" },
	    { "POST", "/api/v1/spool/reroute", .body = "{\"sink\":\"main\"}",
		.code = 400, .says = "to: expected a text" },
	    { "POST", "/api/v1/spool/reroute",
		.body = "{\"sink\":\"main\",\"to\":\"moon\"}", .code = 400,
		.says = "no such sink" },
	    { "POST", "/api/v1/spool/reroute",
		.body = "{\"sink\":\"main\",\"to\":\"main\"}", .code = 400,
		.says = "another sink" },
	    { "POST", "/api/v1/spool/reroute",
		.body = "{\"sink\":\"main\",\"to\":\"spare\",\"limit\":1.5}",
		.code = 400, .says = "limit: expected a number" },
	    { "POST", "/api/v1/spool/reroute",
		.body = "{\"sink\":\"main\",\"to\":\"spare\",\"limit\":1001}",
		.code = 400, .says = "limit: expected a number" });
}

/* More than any command has is refused before it is read, and a body of that
 * size that is one is taken. */
static void
test_large_bodies(void **state)
{
	size_t size = 64 * 1024;
	char *body = hb_xmalloc(size + 2);
	struct answer a;

	(void)state;
	memset(body, ' ', size + 1);
	body[0] = '{';
	body[size - 1] = '}';
	body[size] = '\0';
	a = post("/api/v1/dedup/forget", body);
	assert_int_equal(a.code, 400); /* for what is not in it */
	forget(&a);
	body[size] = ' ';
	body[size + 1] = '\0';
	a = post("/api/v1/dedup/forget", body);
	assert_int_equal(a.code, 413);
	forget(&a);
	free(body);
}

/* A page in a browser that got here by way of a port. */
static void
test_pages(void **state)
{
	(void)state;
	ROWS(
	    { "GET", "/healthz", "Origin: http://evil.example\r\n", NULL, 403,
		"Origin" },
	    { "GET", "/api/v1/status", "Origin: null\r\n", NULL, 403,
		"Origin" },
	    { "POST", "/api/v1/dead/1/drop", "Origin: https://localhost\r\n",
		"{}", 403, "Origin" });
}

/* The page's own domain may mean this machine by now: then the browser says no
 * Origin when it reads. */
static void
test_hosts(void **state)
{
	static const struct {
		const char *host;
		int code;
	} cases[] = {
		{ "localhost", 200 }, { "localhost:8080", 200 },
		{ "hookbridge", 200 }, { "127.0.0.1", 200 },
		{ "10.0.0.1:80", 200 }, { "[::1]", 200 },
		{ "[::ffff:1.2.3.4]:80", 200 }, { "", 200 },
		{ "evil.example", 403 }, { "evil.example:8080", 403 },
		{ "1.2.3.4.evil.example", 403 }, { "127.0.0.1.nip.io:1", 403 },
		{ "localhost.", 403 },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int fd = dial();
		char text[128];
		struct answer a;

		snprintf(text, sizeof(text), "GET /healthz HTTP/1.1\r\n"
		    "Connection: close\r\nHost: %s\r\n\r\n", cases[i].host);
		say(fd, text);
		a = hear(fd);
		if (a.code != cases[i].code)
			fail_msg("\"%s\": %s", cases[i].host, a.text);
		forget(&a);
	}
}

/* A connection serves many requests, one behind the other. */
static void
test_keep_alive(void **state)
{
	int fd = dial();
	struct answer a;
	const char *next;
	unsigned ok = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
			"POST /api/v1/dedup/forget HTTP/1.1\r\nHost: x\r\n"
			"Content-Type: application/json\r\n"
			"Content-Length: 31\r\n\r\n"
			"{\"endpoint\":\"one\",\"id\":\"msg_1\"}");
	say(fd, "GET /healthz HTTP/1.0\r\n\r\n");
	a = hear(fd);
	for (next = a.text; (next = strstr(next, "HTTP/1.1 200 OK")) != NULL;
	     next++)
		ok++;
	assert_int_equal(ok, 7);
	forget(&a);
}

/* The configuration in force, and no secret of it. */
static void
test_config(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);
	struct answer a;

	(void)state;
	depot_init(&office.depot);
	office.shown = cfg;
	office_start(true);
	a = get("/api/v1/config");
	assert_int_equal(a.code, 200);
	assert_non_null(strstr(
	    a.text, "\r\nContent-Type: application/yaml\r\n"));
	assert_non_null(strstr(a.body, "endpoints:\n"));
	assert_non_null(strstr(a.body, "e.secret"));
	assert_null(strstr(a.text, SECRET));
	forget(&a);
	office_close();
	hb_config_unref(cfg);
}

/* --- who may -------------------------------------------------------------- */

#define NOBODY 65534

/* For this thread only, as the kernel sees it. */
static void
become(uid_t uid)
{
	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

static int
code_as(uid_t uid, const char *method, const char *target, const char *body)
{
	struct answer a;
	int fd, code;

	become(uid);
	fd = begin_asking(method, target, "", body);
	become(0);
	a = hear(fd);
	code = a.code;
	forget(&a);
	return code;
}

/* Code by code: readers, then what changes things or shows payloads. */
static void
check_access(uid_t uid, bool may)
{
	static const char *const open[] = { "/healthz", "/readyz", "/metrics",
		"/api/v1/status", "/api/v1/spool", "/api/v1/dead",
		"/api/v1/claims" };
	static const char *const views[] = { "/api/v1/spool/1",
		"/api/v1/dead/1", "/api/v1/claims/1" };
	static const char *const changes[] = { "/api/v1/spool/reroute",
		"/api/v1/dedup/forget", "/api/v1/dead/x/retry",
		"/api/v1/dead/x/drop", "/api/v1/spool/x/drop" };

	for (size_t i = 0; i < HB_COUNT(open); i++)
		assert_int_equal(code_as(uid, "GET", open[i], NULL), 200);
	for (size_t i = 0; i < HB_COUNT(views); i++) {
		assert_int_equal(code_as(uid, "GET", views[i], NULL),
		    may ? 404 : 403);
		assert_int_equal(code_as(uid, "HEAD", views[i], NULL),
		    may ? 404 : 403);
	}
	for (size_t i = 0; i < HB_COUNT(changes); i++) {
		int code = code_as(uid, "POST", changes[i], "{}");

		if (may)
			assert_true(code == 400 || code == 404);
		else
			assert_int_equal(code, 403);
	}
}

static void
test_access(void **state)
{
	(void)state;
	if (geteuid() != 0)
		SKIP("only root can be somebody else");
	check_access(0, true);
	check_access(NOBODY, false);
	check_access(1, false);
}

static void
test_operators(void **state)
{
	const char *names[] = { "nobody", "no-such-user-here" };

	(void)state;
	if (geteuid() != 0)
		SKIP("only root can be somebody else");
	depot_init(&office.depot);
	office.depot.cfg.admin.operators = (struct hb_strings){
		names, HB_COUNT(names) };
	office_start(true);
	check_access(0, true);
	check_access(NOBODY, true);
	check_access(1, false);
	office_close();
}

/* --- hostile -------------------------------------------------------------- */

/* What two readers could take for different requests; of the first kind the
 * parser's own tests have them all. */
static void
test_hostile(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "GET /healthz HTTP/1.1\r\n\r\n", 400 },
		{ "GET /healthz HTTP/1.1\nHost: x\n\n", 400 },
		{ "GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400 },
		{ "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n", 505 },
		{ "BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 501 },
		{ "\x16\x03\x01\x02\x00", 400 },
		{ "POST /api/v1/dead/1/drop HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		    400 },
		{ "POST /api/v1/dead/1/drop HTTP/1.1\r\nHost: x\r\n"
		  "Content-Type: application/json\r\n"
		  "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
		    400 },
		{ "POST /api/v1/dead/1/drop HTTP/1.1\r\nHost: x\r\n"
		  "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "POST /api/v1/dead/1/drop HTTP/1.1\r\nHost: x\r\n"
		  "Content-Type: application/json\r\n"
		  "Content-Length: 99999999999999999999\r\n\r\n", 413 },
		{ "POST /api/v1/dead/1/drop HTTP/1.1\r\nHost: x\r\n"
		  "Content-Type: application/json\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX", 400 },
		/* What is not wanted of a body is not a request. */
		{ "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 40"
		  "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		int fd = dial();
		struct answer a;

		say(fd, cases[i].text);
		say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
		a = hear(fd);
		if (a.code != cases[i].code)
			fail_msg("case %zu: %s", i, a.text);
		assert_null(strstr(a.text + 1, "HTTP/1.1 "));
		assert_non_null(strstr(a.text, "Connection: close\r\n"));
		forget(&a);
	}
}

/* More connections than there may be: the oldest go, and the next is served. */
static void
test_crowd(void **state)
{
	int fds[80];
	struct answer a;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(fds); i++) {
		fds[i] = dial();
		say(fds[i], "GET /api/v1/tail HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	a = get("/healthz");
	assert_int_equal(a.code, 200);
	forget(&a);
	for (size_t i = 0; i < HB_COUNT(fds); i++)
		close(fds[i]);
	/* The process's own budget has nothing to do with it. */
	assert_int_equal(office.budget.used, 0);
	assert_int_equal(
	    depot_gauge(HB_M_MEMORY_USED, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_resources, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_refused_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_refused_methods, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_refused_queries, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_refused_bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_large_bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_keep_alive, setup, teardown),
		cmocka_unit_test(test_config),
		cmocka_unit_test_setup_teardown(test_access, setup, teardown),
		cmocka_unit_test(test_operators),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crowd, setup, teardown),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
