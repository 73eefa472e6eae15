/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_parse.c - hostile heads and chunked bodies
 *
 * Every input is given as a whole, byte by byte, and in every split in two:
 * the outcome must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/http/parse.h"
#include "hookbridge/mem.h"

static const struct hb_http_limits limits = {
    .head_size = 1024, .headers = 10, .target_size = 64};

/* --- heads ---------------------------------------------------------------- */

struct outcome {
	enum hb_parse found;
	struct hb_http_fault fault;
	size_t head_len;
	struct hb_http_head head;
	struct hb_http_header headers[10];
};

/* Feeds the head in pieces that end at the given lengths. */
static void
read_head(struct hb_span data, const size_t *ends, struct outcome *out)
{
	size_t searched = 0;

	*out = (struct outcome){.found = HB_PARSE_MORE};
	for (; out->found == HB_PARSE_MORE; ends++) {
		/* A copy, so that reading past the end is seen. */
		char *copy = hb_xmalloc(*ends > 0 ? *ends : 1);

		memcpy(copy, data.ptr, *ends);
		out->found = hb_http_head_end(hb_span_make(copy, *ends),
		    &limits, &searched, &out->head_len, &out->fault);
		free(copy);
		assert_true(searched <= *ends);
		if (*ends == data.len)
			break;
	}
	if (out->found == HB_PARSE_DONE &&
	    !hb_http_head_parse(hb_span_make(data.ptr, out->head_len), &limits,
		out->headers, &out->head, &out->fault))
		out->found = HB_PARSE_BAD;
}

static void
assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->found, b->found);
	if (a->found == HB_PARSE_BAD) {
		assert_int_equal(a->fault.code, b->fault.code);
		assert_string_equal(a->fault.reason, b->fault.reason);
	}
	if (a->found == HB_PARSE_DONE)
		assert_int_equal(a->head_len, b->head_len);
}

/* All ways to cut it; leaves the outcome of the whole. */
static void
read_head_all_ways(struct hb_span data, struct outcome *whole)
{
	struct outcome other;
	size_t *ends = hb_xreallocarray(NULL, data.len + 1, sizeof(*ends));

	read_head(data, (const size_t[]){data.len}, whole);
	for (size_t cut = 0; cut < data.len; cut++) {
		read_head(data, (const size_t[]){cut, data.len}, &other);
		assert_same(whole, &other);
	}
	for (size_t i = 0; i < data.len; i++)
		ends[i] = i + 1;
	read_head(data, ends, &other);
	assert_same(whole, &other);
	free(ends);
}

/* A row's text with its length: some hold NUL. */
#define BYTES(lit) lit, sizeof(lit) - 1
#define POST "POST /hook HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define LEN5 "Content-Length: 5\r\n"
#define TE "Transfer-Encoding: chunked\r\n"
#define END "\r\n"

static const struct {
	const char *text;
	size_t len;
	int code; /* 0: accepted */
	const char *reason;
} heads[] = {
    /* good ones */
    {BYTES(POST HOST LEN5 END), 0, NULL},
    {BYTES(POST HOST TE END), 0, NULL},
    {BYTES("\r\n" POST HOST LEN5 END), 0, NULL},
    {BYTES(POST "host:a\r\nX:\r\nY: \t v w \t\r\n" END), 0, NULL},
    {BYTES(POST HOST "X: \x80\xff\r\n" END), 0, NULL},
    {BYTES(POST HOST "Content-Length: 00005\r\n" END), 0, NULL},
    {BYTES(POST HOST "Upgrade: h2c\r\nConnection: upgrade\r\n" LEN5 END), 0,
	NULL},
    {BYTES("GET / HTTP/1.0\r\n" END), 0, NULL},
    {BYTES("GET / HTTP/1.2\r\n" HOST END), 0, NULL},
    {BYTES("POST http://a:80/hook HTTP/1.1\r\n" HOST END), 0, NULL},
    {BYTES("OPTIONS * HTTP/1.1\r\n" HOST END), 0, NULL},
    {BYTES("CONNECT a:80 HTTP/1.1\r\n" HOST END), 0, NULL},
    {BYTES("PATCH /x HTTP/1.1\r\n" HOST END), 0, NULL},
    {BYTES("TRACE /x HTTP/1.1\r\n" HOST END), 0, NULL},
    {BYTES("HEAD /x HTTP/1.1\r\n" HOST LEN5 END), 0, NULL},
    {BYTES(POST "Host: [::1]:80\r\n" END), 0, NULL},
    {BYTES(POST HOST "Expect: 100-Continue\r\n" LEN5 END), 0, NULL},
    /* Content-Length */
    {BYTES(POST HOST LEN5 "Content-Length: 6\r\n" END), 400, "repeated-header"},
    {BYTES(POST HOST LEN5 LEN5 END), 400, "repeated-header"},
    {BYTES(POST HOST "Content-Length: 5, 5\r\n" END), 400,
	"bad-content-length"},
    {BYTES(POST HOST "Content-Length: +5\r\n" END), 400, "bad-content-length"},
    {BYTES(POST HOST "Content-Length: -5\r\n" END), 400, "bad-content-length"},
    {BYTES(POST HOST "Content-Length: 0x5\r\n" END), 400, "bad-content-length"},
    {BYTES(POST HOST "Content-Length: 5 6\r\n" END), 400, "bad-content-length"},
    {BYTES(POST HOST "Content-Length:\r\n" END), 400, "bad-content-length"},
    {BYTES(POST HOST "Content-Length: \v5\r\n" END), 400, "bad-header-value"},
    {BYTES(POST HOST "Content-Length: 5\0 6\r\n" END), 400, "bad-header-value"},
    {BYTES(POST HOST "Content-Length: 99999999999999999999\r\n" END), 413,
	"body-too-large"},
    {BYTES(POST HOST "Content-Length: 9999999999999999999\r\n" END), 0, NULL},
    {BYTES(POST HOST LEN5 TE END), 400, "ambiguous-length"},
    {BYTES(POST HOST TE LEN5 END), 400, "ambiguous-length"},
    /* Transfer-Encoding */
    {BYTES(POST HOST "Transfer-Encoding: gzip, chunked\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: ,chunked\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: chunked;x=y\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: chunked, chunked\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding:\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: identity\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: xchunked\r\n" END), 501,
	"unknown-transfer-coding"},
    {BYTES(POST HOST "Transfer-Encoding: \vchunked\r\n" END), 400,
	"bad-header-value"},
    {BYTES(POST HOST TE "Transfer-Encoding: identity\r\n" END), 400,
	"repeated-header"},
    {BYTES("POST / HTTP/1.0\r\nConnection: keep-alive\r\n" TE END), 400,
	"ambiguous-length"},
    /* names and values */
    {BYTES(POST HOST "Transfer-Encoding : chunked\r\n" END), 400,
	"bad-header-name"},
    {BYTES(POST HOST "Content-Length : 5\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "X A: b\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "X\x01: b\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "X\xc3\xa4: b\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST ": x\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "nocolon\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "X: a\r\n b\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST LEN5 "\t6\r\n" END), 400, "bad-header-name"},
    {BYTES(POST " X: a\r\n" HOST END), 400, "bad-header-name"},
    {BYTES(POST HOST "\0X: a\r\n" END), 400, "bad-header-name"},
    {BYTES(POST HOST "X: a\0b\r\n" END), 400, "bad-header-value"},
    {BYTES(POST HOST "X: a\x7f\r\n" END), 400, "bad-header-value"},
    {BYTES(POST HOST "X: a\x1b[2J\r\n" END), 400, "bad-header-value"},
    {BYTES(POST HOST "Authorization: a\r\nAuthorization: b\r\n" END), 400,
	"repeated-header"},
    {BYTES(POST HOST "Content-Type: a\r\ncontent-type: a\r\n" END), 400,
	"repeated-header"},
    {BYTES(POST HOST "Content-Encoding: a\r\nContent-Encoding: a\r\n" END),
	400, "repeated-header"},
    {BYTES(POST HOST TE TE END), 400, "repeated-header"},
    /* line ends */
    {BYTES("POST / HTTP/1.1\nHost: a\n\n"), 400, "bare-lf"},
    {BYTES(POST "Host: a\n" END), 400, "bare-lf"},
    {BYTES(POST HOST "\n"), 400, "bare-lf"},
    {BYTES(POST HOST "X: a\rb\r\n" END), 400, "bare-cr"},
    {BYTES("POST /a\rb HTTP/1.1\r\n" HOST END), 400, "bare-cr"},
    {BYTES("\r\n\r\n" POST HOST END), 400, "bad-request-line"},
    {BYTES("\n" POST HOST END), 400, "bad-request-line"},
    {BYTES("\rPOST / HTTP/1.1\r\n" HOST END), 400, "bad-request-line"},
    {BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400,
	"bad-request-line"},
    /* Host */
    {BYTES(POST END), 400, "no-host"},
    {BYTES(POST HOST HOST END), 400, "repeated-header"},
    {BYTES(POST "Host: a b/@\r\n" END), 400, "bad-host"},
    {BYTES(POST "Host: u@a\r\n" END), 400, "bad-host"},
    /* targets */
    {BYTES("POST abcdef HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST a:80 HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("OPTIONS *x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST ftp://h/x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST a b c HTTP/1.1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST /\xff HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST /a#frag HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST //x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST http:///x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST http://u@h/x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST http://h HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST http://h//x HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST  HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST * HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    {BYTES("POST /\0 HTTP/1.1\r\n" HOST END), 400, "bad-target"},
    /* methods and versions */
    {BYTES("post / HTTP/1.1\r\n" HOST END), 501, "unknown-method"},
    {BYTES("BREW / HTTP/1.1\r\n" HOST END), 501, "unknown-method"},
    {BYTES("PO\"ST / HTTP/1.1\r\n" HOST END), 400, "bad-request-line"},
    {BYTES("POST\t/ HTTP/1.1\r\n" HOST END), 400, "bad-request-line"},
    {BYTES("GET /\r\n" END), 400, "bad-request-line"},
    {BYTES("POST / HTTP/1.10\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/01.1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/+1.1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/1.-1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/4294967297.1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / http/1.1\r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/1.1 \r\n" HOST END), 400, "bad-version"},
    {BYTES("POST / HTTP/2.0\r\n" HOST END), 505, "version-not-supported"},
    {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505, "version-not-supported"},
    /* Expect */
    {BYTES(POST HOST "Expect: x\r\n" END), 417, "unknown-expectation"},
    {BYTES("POST / HTTP/1.0\r\nExpect: x\r\n" END), 0, NULL},
    {BYTES(POST HOST "Expect: 100-continue\r\nExpect: x\r\n" END), 400,
	"repeated-header"},
};

static void
test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(heads); i++) {
		struct outcome whole;

		read_head_all_ways(
		    hb_span_make(heads[i].text, heads[i].len), &whole);
		if (whole.found == HB_PARSE_DONE && heads[i].code == 0)
			continue;
		if (whole.found != HB_PARSE_BAD ||
		    whole.fault.code != heads[i].code ||
		    strcmp(whole.fault.reason, heads[i].reason) != 0)
			fail_msg("head %zu: %d, %d %s", i, whole.found,
			    whole.fault.code, whole.fault.reason);
	}
}

/* Every byte at some places of a head: none may crash, few may pass. */
static void
test_every_byte(void **state)
{
	static const struct {
		const char *before, *after;
		const char *allowed; /* besides letters and digits */
		bool high;
	} places[] = {
	    {POST HOST "X", ": b\r\n" END, ":!#$%&'*+-.^_`|~", false},
	    {POST HOST "X: a", "b\r\n" END,
		"\t !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true},
	    {"POST /a", "b HTTP/1.1\r\n" HOST END,
		"!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~", false},
	    {POST "Host: a", "b\r\n" END, "!$%&'()*+,-.:;=[]_~", false},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(places); i++) {
		for (unsigned c = 0; c < 256; c++) {
			char text[256];
			int n = snprintf(text, sizeof(text), "%s%c%s",
			    places[i].before, (int)c, places[i].after);
			bool alnum = (c >= '0' && c <= '9') ||
				     (c >= 'A' && c <= 'Z') ||
				     (c >= 'a' && c <= 'z');
			bool good = alnum || (c >= 128 && places[i].high) ||
				    (c != 0 && c < 128 &&
					strchr(places[i].allowed, (int)c));
			struct outcome whole;

			read_head_all_ways(
			    hb_span_make(text, (size_t)n), &whole);
			if (whole.found !=
			    (good ? HB_PARSE_DONE : HB_PARSE_BAD))
				fail_msg("place %zu, byte %u: %s", i, c,
				    good ? "refused" : "accepted");
		}
	}
}

static struct hb_span
build(char *buf, size_t size, const char *before, char fill, size_t count,
    const char *after)
{
	size_t n = strlen(before);

	assert_true(n + count + strlen(after) < size);
	memcpy(buf, before, n);
	memset(buf + n, fill, count);
	memcpy(buf + n + count, after, strlen(after));
	return hb_span_make(buf, n + count + strlen(after));
}

/* The limits, one byte on either side. */
static void
test_head_limits(void **state)
{
	static const char line[] = POST HOST "X: ";
	size_t fixed = sizeof(line) - 1 + 4;
	char buf[4096];
	const struct {
		const char *before, *after;
		size_t count;
		int code;
	} cases[] = {
	    {"POST /", " HTTP/1.1\r\n" HOST END, 63, 0},
	    {"POST /", " HTTP/1.1\r\n" HOST END, 64, 414},
	    {"POST /", " HTTP/1.1\r\n" HOST END, 300, 414},
	    {"POST /", "", 2000, 414},
	    {"POST /", "\nx", 2000, 414},
	    {"BREW /", " HTTP/1.1\r\n" HOST END, 300, 414},
	    {"", "", 2000, 414},
	    {line, "\r\n\r\n", 1024 - fixed, 0},
	    {line, "\r\n\r\n", 1025 - fixed, 431},
	    {line, "\r\n\r\n", 2000, 431},
	    {line, "\n", 2000, 431},
	    {line, "", 2000, 431},
	    {line, "\r\n\r\nbody", 1024 - fixed, 0},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct outcome whole;

		read_head_all_ways(build(buf, sizeof(buf), cases[i].before, 'a',
				       cases[i].count, cases[i].after),
		    &whole);
		if (whole.found !=
			(cases[i].code == 0 ? HB_PARSE_DONE : HB_PARSE_BAD) ||
		    whole.fault.code != cases[i].code)
			fail_msg("case %zu: %d, %d", i, whole.found,
			    whole.fault.code);
	}
}

static void
test_header_count(void **state)
{
	(void)state;
	for (size_t count = 9; count <= 12; count++) {
		char buf[1024] = POST HOST;
		struct outcome whole;

		for (size_t i = 1; i < count; i++)
			strcat(buf, "A:\r\n");
		strcat(buf, "\r\n");
		read_head_all_ways(hb_span_of(buf), &whole);
		assert_int_equal(whole.found,
		    count <= limits.headers ? HB_PARSE_DONE : HB_PARSE_BAD);
		if (count > limits.headers)
			assert_int_equal(whole.fault.code, 431);
	}
}

static void
assert_span(struct hb_span span, const char *text)
{
	if (text == NULL) {
		assert_false(hb_span_is_set(span));
		return;
	}
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.ptr, text, span.len);
}

static void
test_head_fields(void **state)
{
	static const char text[] =
	    "\r\nPOST /a/b?c=d?e HTTP/1.1\r\nHost: h\r\nX-One: \t1 2 \r\n"
	    "x-one: second\r\nEmpty:\r\nContent-Length: 18446744\r\n"
	    "Expect: 100-continue\r\n\r\nrest";
	struct outcome out;
	size_t count;

	(void)state;
	read_head_all_ways(hb_span_of(text), &out);
	assert_int_equal(out.found, HB_PARSE_DONE);
	assert_int_equal(out.head_len, sizeof(text) - 1 - 4);
	assert_span(out.head.method, "POST");
	assert_span(out.head.target, "/a/b?c=d?e");
	assert_span(out.head.path, "/a/b");
	assert_span(out.head.query, "c=d?e");
	assert_int_equal(out.head.header_count, 6);
	assert_span(hb_http_header(&out.head, HB_SPAN("X-ONE"), &count), "1 2");
	assert_int_equal(count, 2);
	assert_span(hb_http_header(&out.head, HB_SPAN("empty"), &count), "");
	assert_int_equal(count, 1);
	assert_span(hb_http_header(&out.head, HB_SPAN("none"), &count), NULL);
	assert_int_equal(count, 0);
	assert_true(out.head.has_length && out.head.expect_continue);
	assert_false(out.head.chunked || out.head.http10);
	assert_int_equal(out.head.content_length, 18446744);
}

static void
test_targets(void **state)
{
	static const struct {
		const char *target, *path, *query;
	} cases[] = {
	    {"/", "/", NULL},
	    {"/?", "/", ""},
	    {"/a?b", "/a", "b"},
	    {"/%2e%2e/x", "/%2e%2e/x", NULL},
	    {"/a//b/../c", "/a//b/../c", NULL},
	    {"http://h/", "/", NULL},
	    {"HTTPS://h:443/a?b", "/a", "b"},
	    {"http://[::1]/a", "/a", NULL},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct outcome out;
		char text[128];

		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST END,
		    cases[i].target);
		read_head_all_ways(hb_span_of(text), &out);
		assert_int_equal(out.found, HB_PARSE_DONE);
		assert_span(out.head.path, cases[i].path);
		assert_span(out.head.query, cases[i].query);
	}
}

static void
test_persistence(void **state)
{
	static const struct {
		const char *version, *fields;
		bool keep;
	} cases[] = {
	    {"1.1", "", true},
	    {"1.1", "Connection: close\r\n", false},
	    {"1.1", "Connection: keep-alive, close\r\n", false},
	    {"1.1", "Connection: keep-alive\r\nConnection: Close\r\n", false},
	    {"1.1", "Connection: x,\tCLOSE ,y\r\n", false},
	    {"1.1", "Connection: closed\r\n", true},
	    {"1.0", "", false},
	    {"1.0", "Connection: keep-alive\r\n", true},
	    {"1.0", "Connection: Keep-Alive, close\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct outcome out;
		char text[128];

		snprintf(text, sizeof(text), "GET / HTTP/%s\r\n" HOST "%s\r\n",
		    cases[i].version, cases[i].fields);
		read_head_all_ways(hb_span_of(text), &out);
		assert_int_equal(out.found, HB_PARSE_DONE);
		assert_int_equal(out.head.keep_alive, cases[i].keep);
		assert_int_equal(
		    out.head.http10, strcmp(cases[i].version, "1.0") == 0);
	}
}

/* --- chunked bodies ------------------------------------------------------- */

#define LIMIT 100

struct decoded {
	enum hb_parse found;
	struct hb_http_fault fault;
	char body[LIMIT + 1];
	size_t len, used;
};

static void
decode(struct hb_span data, const size_t *ends, struct decoded *out)
{
	struct hb_http_chunks chunks;

	*out = (struct decoded){.found = HB_PARSE_MORE};
	hb_http_chunks_init(&chunks, LIMIT);
	for (; out->found == HB_PARSE_MORE; ends++) {
		while (out->found == HB_PARSE_MORE && out->used < *ends) {
			struct hb_span piece;
			size_t used;

			out->found = hb_http_chunks_feed(&chunks,
			    hb_span_make(
				data.ptr + out->used, *ends - out->used),
			    &used, &piece, &out->fault);
			out->used += used;
			assert_true(out->used <= *ends);
			assert_true(out->len + piece.len <= LIMIT);
			if (piece.len > 0)
				memcpy(
				    out->body + out->len, piece.ptr, piece.len);
			out->len += piece.len;
		}
		if (*ends == data.len)
			break;
	}
}

static void
assert_same_decoded(const struct decoded *a, const struct decoded *b)
{
	assert_int_equal(a->found, b->found);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->body, b->body, a->len);
	assert_int_equal(a->used, b->used);
	if (a->found == HB_PARSE_BAD) {
		assert_int_equal(a->fault.code, b->fault.code);
		assert_string_equal(a->fault.reason, b->fault.reason);
	}
}

static void
decode_all_ways(struct hb_span data, struct decoded *whole)
{
	struct decoded other;
	size_t *ends = hb_xreallocarray(NULL, data.len + 1, sizeof(*ends));

	decode(data, (const size_t[]){data.len}, whole);
	for (size_t cut = 0; cut < data.len; cut++) {
		decode(data, (const size_t[]){cut, data.len}, &other);
		assert_same_decoded(whole, &other);
	}
	for (size_t i = 0; i < data.len; i++)
		ends[i] = i + 1;
	decode(data, ends, &other);
	assert_same_decoded(whole, &other);
	free(ends);
}

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X250 X50 X50 X50 X50 X50

static const struct {
	const char *text;
	size_t len;
	int code; /* 0: complete, 1: more is needed */
	const char *body;
	size_t rest; /* bytes behind the body */
} chunked[] = {
    {BYTES("5\r\nhello\r\n0\r\n\r\n"), 0, "hello", 0},
    {BYTES("5\r\nhello\r\n0\r\n\r\nGET /"), 0, "hello", 5},
    {BYTES("0\r\n\r\n"), 0, "", 0},
    {BYTES("000\r\n\r\n"), 0, "", 0},
    {BYTES("0005\r\nhello\r\n0\r\n\r\n"), 0, "hello", 0},
    {BYTES("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), 0,
	"01234567890123456789", 0},
    {BYTES("2\r\n\r\n\r\n0\r\n\r\n"), 0, "\r\n", 0},
    {BYTES("5;a=b\r\nhello\r\n0;c\r\n\r\n"), 0, "hello", 0},
    {BYTES("5;" X250 "\r\nhello\r\n0\r\n\r\n"), 0, "hello", 0},
    {BYTES("0\r\nX: y\r\nZ:\r\n\r\n"), 0, "", 0},
    {BYTES("32\r\n" X50 "\r\n32\r\n" X50 "\r\n0\r\n\r\n"), 0, X50 X50, 0},
    {BYTES("5\r\nhel"), 1, "hel", 0},
    {BYTES("5\r\nhello\r\n0\r\n"), 1, "hello", 0},
    /* sizes */
    {BYTES("\r\n"), 400, "", 0},
    {BYTES("0x5\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("+5\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("-5\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES(" 5\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("5 \r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("5 junk\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES(";a=b\r\n"), 400, "", 0},
    {BYTES("g\r\n"), 400, "", 0},
    {BYTES("65\r\n" X50 X50 "x\r\n0\r\n\r\n"), 413, "", 0},
    {BYTES("32\r\n" X50 "\r\n33\r\n" X50 "x\r\n0\r\n\r\n"), 413, X50, 0},
    {BYTES("7fffffffffffffff\r\n"), 413, "", 0},
    {BYTES("10000000000000000\r\n"), 413, "", 0},
    {BYTES("fffffffffffffff\r\n"), 413, "", 0},
    {BYTES("5;" X250 X50 "\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("5;a\0b\r\nhello\r\n0\r\n\r\n"), 400, "", 0},
    /* line ends */
    {BYTES("5\nhello\r\n0\r\n\r\n"), 400, "", 0},
    {BYTES("5\r\nhello\n0\r\n\r\n"), 400, "hello", 0},
    {BYTES("5\r\nhelloXX0\r\n\r\n"), 400, "hello", 0},
    {BYTES("5\r\nhello5\r\nhello"), 400, "hello", 0},
    {BYTES("5\r\nhello\r\n\r\n0\r\n\r\n"), 400, "hello", 0},
    {BYTES("5\rhello"), 400, "", 0},
    {BYTES("0\n\n"), 400, "", 0},
    {BYTES("0\r\n\n"), 400, "", 0},
    /* trailers */
    {BYTES("0\r\n X: y\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\nX : y\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\n: y\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\nX: y\n\r\n"), 400, "", 0},
    {BYTES("0\r\nX: y\r\n z\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\nX: \x01\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\nX: y\rz\r\n\r\n"), 400, "", 0},
    {BYTES("0\r\n\rX"), 400, "", 0},
    {BYTES("0\r\nhello\r\n\r\n"), 400, "", 0},
};

static void
test_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(chunked); i++) {
		struct hb_span data =
		    hb_span_make(chunked[i].text, chunked[i].len);
		struct decoded whole;

		decode_all_ways(data, &whole);
		assert_int_equal(
		    whole.found, chunked[i].code == 0	? HB_PARSE_DONE
				 : chunked[i].code == 1 ? HB_PARSE_MORE
							: HB_PARSE_BAD);
		if (whole.found == HB_PARSE_BAD)
			assert_int_equal(whole.fault.code, chunked[i].code);
		else
			assert_int_equal(
			    whole.used, data.len - chunked[i].rest);
		assert_int_equal(whole.len, strlen(chunked[i].body));
		assert_memory_equal(whole.body, chunked[i].body, whole.len);
	}
}

/* Feeds one piece again and again; how often until it is refused. */
static size_t
feed_until_bad(struct hb_span first, struct hb_span again, size_t most)
{
	struct hb_http_chunks chunks;
	struct hb_http_fault fault;
	struct hb_span piece;
	size_t used;

	hb_http_chunks_init(&chunks, UINT64_MAX);
	assert_int_equal(
	    hb_http_chunks_feed(&chunks, first, &used, &piece, &fault),
	    HB_PARSE_MORE);
	for (size_t n = 0; n < most; n++)
		for (size_t at = 0; at < again.len; at += used)
			if (hb_http_chunks_feed(&chunks,
				hb_span_skip(again, at), &used, &piece,
				&fault) == HB_PARSE_BAD) {
				assert_int_equal(fault.code, 400);
				return n;
			}
	return most;
}

static void
test_chunk_limits(void **state)
{
	(void)state;
	/* 64 Ki chunks, and not one more */
	assert_int_equal(
	    feed_until_bad(HB_SPAN(""), HB_SPAN("1\r\nx\r\n"), 100000), 65536);
	/* 4 KiB of trailers: 4096 / 6 lines */
	assert_int_equal(
	    feed_until_bad(HB_SPAN("0\r\n"), HB_SPAN("A: b\r\n"), 5000), 682);
	/* a size line that never ends: 272 bytes */
	assert_int_equal(
	    feed_until_bad(HB_SPAN("5;"), HB_SPAN("x"), 1000), 270);
	/* a trailer that never ends: 4096 bytes */
	assert_int_equal(
	    feed_until_bad(HB_SPAN("0\r\nA:"), HB_SPAN("x"), 5000), 4094);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_heads),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_head_limits),
	    cmocka_unit_test(test_header_count),
	    cmocka_unit_test(test_head_fields),
	    cmocka_unit_test(test_targets),
	    cmocka_unit_test(test_persistence),
	    cmocka_unit_test(test_chunks),
	    cmocka_unit_test(test_chunk_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
