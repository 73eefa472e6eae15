/* SPDX-License-Identifier: Apache-2.0 */
/* test_redis_reply.c - what the Redis sink makes of bytes, without a server:
 * replies, errors, urls, and the output that waits */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <stdlib.h>
#include <sys/uio.h>

#include "../../src/sink/redis.h"
#include "hookbridge/mem.h"

/* --- errors --------------------------------------------------------------- */

static void
errors_have_their_rule(void **state)
{
	static const struct {
		const char *error;
		enum hb_redis_blame blame;
		const char *class, *reason;
	} cases[] = {
	    {"LOADING Redis is loading the dataset in memory", HB_REDIS_SERVER,
		"loading", NULL},
	    {"BUSY Redis is busy running a script.", HB_REDIS_SERVER, "busy",
		NULL},
	    {"MASTERDOWN Link with MASTER is down", HB_REDIS_SERVER,
		"masterdown", NULL},
	    {"CLUSTERDOWN Hash slot not served", HB_REDIS_SERVER, "clusterdown",
		NULL},
	    {"OOM command not allowed when used memory > 'maxmemory'.",
		HB_REDIS_SERVER, "oom", NULL},
	    {"MISCONF Redis is configured to save RDB snapshots",
		HB_REDIS_SERVER, "misconf", NULL},
	    {"NOREPLICAS Not enough good replicas to write.", HB_REDIS_SERVER,
		"noreplicas", NULL},
	    {"TRYAGAIN Multiple keys request during rehashing of slot",
		HB_REDIS_NOBODY, "tryagain", NULL},
	    {"READONLY You can't write against a read only replica.",
		HB_REDIS_CONNECTION, "readonly", NULL},
	    {"UNBLOCKED force unblock from blocking operation",
		HB_REDIS_CONNECTION, "readonly", NULL},
	    {"NOAUTH Authentication required.", HB_REDIS_CONNECTION, "noauth",
		NULL},
	    {"WRONGPASS invalid username-password pair", HB_REDIS_CONNECTION,
		"wrongpass", NULL},
	    {"NOPERM this user has no permissions to run the 'xadd' command",
		HB_REDIS_DEST, "noperm", NULL},
	    {"WRONGTYPE Operation against a key holding the wrong kind",
		HB_REDIS_DEST, "wrongtype", NULL},
	    {"MOVED 3999 127.0.0.1:6381", HB_REDIS_DEST, "cluster", NULL},
	    {"ASK 3999 127.0.0.1:6381", HB_REDIS_DEST, "cluster", NULL},
	    {"CROSSSLOT Keys in request don't hash to the same slot",
		HB_REDIS_DEST, "cluster", NULL},
	    {"NOSCRIPT No matching script. Please use EVAL.", HB_REDIS_SCRIPT,
		"noscript", NULL},
	    {"ERR Elements are too large to be stored", HB_REDIS_MESSAGE,
		"too_large", "too-large"},
	    {"ERR Protocol error: invalid bulk length", HB_REDIS_MESSAGE,
		"too_large", "too-large"},
	    {"ERR Protocol error: invalid multibulk length", HB_REDIS_DEST,
		"error", NULL},
	    {"ERR wrong number of arguments for 'xadd' command", HB_REDIS_DEST,
		"error", NULL},
	    /* A word is a whole word, in capitals, at the beginning. */
	    {"OOM", HB_REDIS_SERVER, "oom", NULL},
	    {"OOMPH nothing of ours", HB_REDIS_DEST, "error", NULL},
	    {"ASKING", HB_REDIS_DEST, "error", NULL},
	    {"loading", HB_REDIS_DEST, "error", NULL},
	    {" OOM", HB_REDIS_DEST, "error", NULL},
	    {"", HB_REDIS_DEST, "error", NULL},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		const struct hb_redis_rule *rule =
		    hb_redis_rule_of(hb_span_of(cases[i].error));

		if (rule->blame != cases[i].blame ||
		    strcmp(rule->class, cases[i].class) != 0 ||
		    (rule->reason == NULL) != (cases[i].reason == NULL))
			fail_msg("%s: %d %s", cases[i].error, (int)rule->blame,
			    rule->class);
		if (rule->reason != NULL)
			assert_string_equal(rule->reason, cases[i].reason);
	}
}

static void
error_texts_are_safe(void **state)
{
	static const struct {
		const char *error, *text;
	} cases[] = {
	    {"ERR no such thing", "ERR no such thing"},
	    {"ERR unknown command 'XADD', with args beginning with: 's3cret'",
		"ERR unknown command 'XADD'"},
	    {"MOVED 3999 127.0.0.1:6381",
		"this is a node of a cluster, which needs a cluster client"},
	    {"WRONGPASS s3cret", "wrong user or password"},
	};
	char text[64];
	struct hb_span hostile = HB_SPAN("ERR \x1b[31m\r\n\x07 \xff");

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_span error = hb_span_of(cases[i].error);

		hb_redis_error_text(
		    hb_redis_rule_of(error), error, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
	hb_redis_error_text(
	    hb_redis_rule_of(hostile), hostile, text, sizeof(text));
	for (const char *c = text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~');
	hb_redis_error_text(hb_redis_rule_of(hostile), hostile, text, 8);
	assert_true(strlen(text) < 8);
}

/* --- replies -------------------------------------------------------------- */

static const struct reply_case {
	const char *bytes;
	int type; /* -1: the reader gives up */
	const char *text;
	long long num;
	bool is_entry;
} replies[] = {
    {"$15\r\n1700000000000-0\r\n", REDIS_REPLY_STRING, "1700000000000-0", 0,
	true},
    {"$3\r\n0-1\r\n", REDIS_REPLY_STRING, "0-1", 0, true},
    {"$41\r\n18446744073709551615-18446744073709551615\r\n", REDIS_REPLY_STRING,
	"18446744073709551615-18446744073709551615", 0, true},
    {"$5\r\n1-1-1\r\n", REDIS_REPLY_STRING, "1-1-1", 0, false},
    {"$2\r\n1-\r\n", REDIS_REPLY_STRING, "1-", 0, false},
    {"$2\r\n-1\r\n", REDIS_REPLY_STRING, "-1", 0, false},
    {"$4\r\n1-1 \r\n", REDIS_REPLY_STRING, "1-1 ", 0, false},
    {"$4\r\n1-1\0\r\n", REDIS_REPLY_STRING, NULL, 0, false},
    {"$4\r\n-1-1\r\n", REDIS_REPLY_STRING, "-1-1", 0, false},
    {"$23\r\n111111111111111111111-1\r\n", REDIS_REPLY_STRING,
	"111111111111111111111-1", 0, false},
    {"$0\r\n\r\n", REDIS_REPLY_STRING, "", 0, false},
    {"+1-1\r\n", REDIS_REPLY_STATUS, "1-1", 0, false},
    {"-ERR no\r\n", REDIS_REPLY_ERROR, "ERR no", 0, false},
    {":2\r\n", REDIS_REPLY_INTEGER, "", 2, false},
    {":-9\r\n", REDIS_REPLY_INTEGER, "", -9, false},
    {"$-1\r\n", REDIS_REPLY_NIL, "", 0, false},
    {"*3\r\n$6\r\nmaster\r\n:7\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n"
     "$1\r\n0\r\n",
	REDIS_REPLY_ARRAY, "master", 3, false},
    {"*1\r\n*1\r\n$6\r\nmaster\r\n", REDIS_REPLY_ARRAY, "", 1, false},
    {"*2\r\n:1\r\n$6\r\nmaster\r\n", REDIS_REPLY_ARRAY, "", 2, false},
    {"*0\r\n", REDIS_REPLY_ARRAY, "", 0, false},
    {"*2147483647\r\n", -1, NULL, 0, false},
    {"*5000\r\n", -1, NULL, 0, false},
    {"*99999999999999999999\r\n", -1, NULL, 0, false},
    {"$-2\r\n", -1, NULL, 0, false},
    {"HTTP/1.1 400 Bad Request\r\n", -1, NULL, 0, false},
};

static size_t
bytes_len(const struct reply_case *c)
{
	/* One of them holds a NUL. */
	return strncmp(c->bytes, "$4\r\n1-1", 7) == 0 && c->text == NULL
		   ? 10
		   : strlen(c->bytes);
}

static void
check_reply(const struct reply_case *c, const struct hb_redis_reply *reply)
{
	if (reply->type != c->type || reply->num != c->num ||
	    hb_redis_reply_is_entry(reply) != c->is_entry ||
	    (c->text != NULL && !hb_redis_reply_is(reply, c->text)))
		fail_msg("%s: type %d, %lld, \"%s\"", c->bytes, reply->type,
		    reply->num, reply->text);
}

/* Each twice in a row, fed in pieces of every size. */
static void
replies_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(replies); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			const struct reply_case *c = &replies[i];
			struct hb_redis_reply reply;
			redisReader *reader = hb_redis_reader_new(&reply);
			size_t len = bytes_len(c), found = 0;
			void *object;

			for (size_t at = 0; at < 2 * len; at += piece) {
				char part[8];
				size_t n = 0;

				for (; n < piece && at + n < 2 * len; n++)
					part[n] = c->bytes[(at + n) % len];
				if (redisReaderFeed(reader, part, n) != 0)
					break;
				while (redisReaderGetReply(reader, &object) ==
					   REDIS_OK &&
				       object != NULL) {
					check_reply(c, &reply);
					hb_redis_reply_reset(&reply);
					found++;
				}
			}
			assert_int_equal(found, c->type < 0 ? 0 : 2);
			assert_true((reader->err != 0) == (c->type < 0));
			redisReaderFree(reader);
		}
}

/* Only the beginning of a long text is kept. */
static void
long_texts_are_cut(void **state)
{
	struct hb_redis_reply reply;
	redisReader *reader = hb_redis_reader_new(&reply);
	char bytes[1100];
	void *object;
	int len = snprintf(bytes, sizeof(bytes), "$1000\r\n%01000d\r\n", 1);

	(void)state;
	assert_int_equal(redisReaderFeed(reader, bytes, (size_t)len), 0);
	assert_int_equal(redisReaderGetReply(reader, &object), 0);
	assert_non_null(object);
	assert_int_equal(reply.len, 1000);
	assert_int_equal(strlen(reply.text), HB_REDIS_TEXT_MAX);
	assert_false(hb_redis_reply_is(&reply, reply.text));
	assert_false(hb_redis_reply_is_entry(&reply));
	redisReaderFree(reader);
}

/* --- urls ----------------------------------------------------------------- */

static void
urls_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *user, *host, *shown;
		unsigned port, db;
	} cases[] = {
	    {"redis://redis", "", "redis", "redis:6379", 6379, 0},
	    {"redis://redis/", "", "redis", "redis:6379", 6379, 0},
	    {"redis://redis:7000", "", "redis", "redis:7000", 7000, 0},
	    {"redis://hook@redis:7000/3", "hook", "redis", "redis:7000", 7000,
		3},
	    {"redis://10.0.0.1/15", "", "10.0.0.1", "10.0.0.1:6379", 6379, 15},
	    {"redis://u@[::1]:65535/1000000", "u", "::1", "[::1]:65535", 65535,
		1000000},
	    {"redis://[::1]", "", "::1", "[::1]:6379", 6379, 0},
	    {"unix:/run/redis.sock", "", "/run/redis.sock", "/run/redis.sock",
		0, 0},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_redis_url url;
		struct hb_error err;

		if (!hb_redis_url_parse(cases[i].text, &url, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(url.user, cases[i].user);
		assert_string_equal(url.host, cases[i].host);
		assert_string_equal(url.text, cases[i].shown);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(url.db, cases[i].db);
	}
}

static void
bad_urls_are_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "redis://"},
	    {"redis:", "redis://"},
	    {"redis:6379", "redis://"},
	    {"http://redis", "redis://"},
	    {"redis://", "redis://"},
	    {"redis:///0", "redis://"},
	    {"redis://re dis", "redis://"},
	    {"redis://::1", "redis://"},
	    {"redis://[::1", "redis://"},
	    {"redis://[redis]:1", "redis://"},
	    {"redis://redis:0", "port"},
	    {"redis://redis:65536", "port"},
	    {"redis://redis:", "port"},
	    {"redis://redis:1x", "port"},
	    {"redis://[::1]6379", "port"},
	    {"redis://redis/a", "database"},
	    {"redis://redis/-1", "database"},
	    {"redis://redis/1000001", "database"},
	    {"redis://redis/1/2", "database"},
	    {"redis://redis/0?timeout=1", "database"},
	    {"redis://user:s3cret@redis", "key of its own"},
	    {"redis://:s3cret@redis", "key of its own"},
	    {"redis://@redis", "user"},
	    {"redis://a%40b@redis", "user"},
	    {"rediss://redis", "not supported yet"},
	    {"unix:redis.sock", "absolute"},
	    {"unix:", "absolute"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_redis_url url;
		struct hb_error err;

		if (hb_redis_url_parse(cases[i].text, &url, &err))
			fail_msg("\"%s\" is taken", cases[i].text);
		assert_int_equal(err.code, HB_E_CONFIG);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_null(strstr(err.text, "s3cret"));
	}
}

static void
long_urls_are_refused(void **state)
{
	static const char *const heads[] = {
	    "redis://", "unix:/", "redis://h/", "redis://h:"};
	struct hb_redis_url url;
	char text[600];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(heads); i++) {
		size_t len = strlen(heads[i]);

		memset(text, '1', sizeof(text));
		memcpy(text, heads[i], len);
		text[sizeof(text) - 1] = '\0';
		assert_false(hb_redis_url_parse(text, &url, NULL));
	}
	memset(text, 'u', sizeof(text));
	memcpy(text, "redis://", 8);
	strcpy(text + 300, "@h");
	assert_false(hb_redis_url_parse(text, &url, NULL));
}

/* --- the output ----------------------------------------------------------- */

/* Writes at most max bytes of what is to be written to the end of all. */
static size_t
write_some(struct hb_redis_out *out, char *all, size_t len, size_t max)
{
	struct iovec iov[5];
	int count = hb_redis_out_iov(out, iov, HB_COUNT(iov));
	size_t written = 0;

	for (int i = 0; i < count && written < max; i++) {
		size_t n = iov[i].iov_len;

		n = n < max - written ? n : max - written;
		memcpy(all + len + written, iov[i].iov_base, n);
		written += n;
	}
	hb_redis_out_advance(out, written);
	return written;
}

/* However writing is cut into pieces, the bytes are the same. */
static void
output_keeps_order(void **state)
{
	enum { LARGE = 40000, COUNT = 12 };
	static const size_t steps[] = {1000000, 39999, 20000, 7, 1};
	static char expected[COUNT * (LARGE + 64)], all[sizeof(expected)];
	char *larges[COUNT];

	(void)state;
	for (size_t s = 0; s < HB_COUNT(steps); s++) {
		struct hb_redis_out out = {0};
		size_t want = 0, len = 0, n;

		for (int i = 0; i < COUNT; i++) {
			larges[i] = hb_xmalloc(LARGE);
			memset(larges[i], 'a' + i, LARGE);
			hb_redis_out_array(&out, 2);
			hb_redis_out_number(&out, (uint64_t)i * 1000);
			hb_redis_out_large(&out,
			    hb_span_make(larges[i], i % 3 == 2 ? 5 : LARGE));
			n = (size_t)(i % 3 == 2 ? 5 : LARGE);
			want += (size_t)sprintf(expected + want,
			    "*2\r\n$%d\r\n%d\r\n$%zu\r\n",
			    snprintf(NULL, 0, "%d", i * 1000), i * 1000, n);
			memcpy(expected + want, larges[i], n);
			memcpy(expected + want + n, "\r\n", 2);
			want += n + 2;
			len += write_some(&out, all, len, steps[s]);
		}
		assert_int_equal(out.end, want);
		while ((n = write_some(&out, all, len, steps[s])) > 0)
			len += n;
		assert_int_equal(out.sent, want);
		assert_int_equal(len, want);
		assert_memory_equal(all, expected, want);
		hb_redis_out_fini(&out);
		for (int i = 0; i < COUNT; i++)
			free(larges[i]);
	}
}

static void
numbers_are_decimal(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} cases[] = {
	    {0, "*0\r\n$1\r\n0\r\n"},
	    {9, "*9\r\n$1\r\n9\r\n"},
	    {10, "*10\r\n$2\r\n10\r\n"},
	    {99, "*99\r\n$2\r\n99\r\n"},
	    {100, "*100\r\n$3\r\n100\r\n"},
	    {UINT64_MAX, "*18446744073709551615\r\n"
			 "$20\r\n18446744073709551615\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_redis_out out = {0};

		hb_redis_out_array(&out, cases[i].number);
		hb_redis_out_number(&out, cases[i].number);
		assert_int_equal(out.end, strlen(cases[i].text));
		assert_memory_equal(out.text, cases[i].text, out.end);
		hb_redis_out_fini(&out);
	}
}

static void
output_is_wiped(void **state)
{
	struct hb_redis_out out = {0};
	char zeros[8] = {0};

	(void)state;
	hb_redis_out_bulk(&out, HB_SPAN("s3cret"));
	assert_memory_equal(out.text + 4, "s3cret", 6);
	hb_redis_out_wipe(&out);
	assert_memory_equal(out.text + 4, zeros, 6);
	assert_int_equal(out.end, 0);
	hb_redis_out_number(&out, UINT64_MAX);
	assert_memory_equal(out.text, "$20\r\n18446744073709551615\r\n", 27);
	hb_redis_out_fini(&out);
}

/* --- names ---------------------------------------------------------------- */

static void
names_are_checked(void **state)
{
	static char longest[256 + 1], too_long[257 + 1];
	const struct {
		const char *name;
		bool valid;
	} cases[] = {{"reducto:invoices", true}, {"a", true}, {"A_b-9.:", true},
	    {longest, true}, {too_long, false}, {"", false}, {"a b", false},
	    {"a/b", false}, {"caf\xc3\xa9", false}, {"a\n", false},
	    /* One hash tag, with something in it. */
	    {"{a}", true}, {"jobs:{a}:b", true}, {"a{}", false},
	    {"a{b", false}, {"a}b", false}, {"}a{", false}, {"{a}{b}", false},
	    {"{{a}}", false}, {"{a b}", false}};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		if (hb_redis_valid_name(hb_span_of(cases[i].name)) !=
		    cases[i].valid)
			fail_msg("\"%s\"", cases[i].name);
	assert_false(hb_redis_valid_name(hb_span_make("a\0b", 3)));
}

/* The digests were made by another implementation. */
static void
dedup_keys_are_specified(void **state)
{
	static const struct {
		const char *stream, *endpoint, *id, *key;
	} cases[] = {
	    {"jobs", "production", "msg_1", "hb:dedup:{jobs}:"
	"24021868b6dcff4593db2e822408f319d66380f7fe608c2bf8eec723e23e52b7"},
	    {"a:{jobs}:b", "production", "msg_1", "hb:dedup:{jobs}:"
	"c07f75e14e8c7c9b962e4aa9af9ba2760f90c4c5c7e3dee71765116f2447f052"},
	    {"a:{}:b", "p", "", "hb:dedup:{a:{}:b}:"
	"698992e0d07a2e9a70893235b9b16dd9a0f3d1f08eb01b6a7bf37a392308ec2c"},
	    {"jobs", "productionm", "sg_1", "hb:dedup:{jobs}:"
	"18b539aa460395deab381dedf6b035e1966ba239e4b87ed2d01febb7f4ffd1da"},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_dest_conf dest = {.name = cases[i].stream};
		char key[HB_REDIS_DEDUP_KEY_MAX + 1] = {0};
		size_t len = hb_redis_dedup_key(&dest,
		    hb_span_of(cases[i].endpoint), hb_span_of(cases[i].id),
		    key);

		assert_int_equal(len, strlen(cases[i].key));
		assert_string_equal(key, cases[i].key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_have_their_rule),
	    cmocka_unit_test(error_texts_are_safe),
	    cmocka_unit_test(replies_are_read),
	    cmocka_unit_test(long_texts_are_cut),
	    cmocka_unit_test(urls_are_taken_apart),
	    cmocka_unit_test(bad_urls_are_refused),
	    cmocka_unit_test(long_urls_are_refused),
	    cmocka_unit_test(output_keeps_order),
	    cmocka_unit_test(numbers_are_decimal),
	    cmocka_unit_test(output_is_wiped),
	    cmocka_unit_test(names_are_checked),
	    cmocka_unit_test(dedup_keys_are_specified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
