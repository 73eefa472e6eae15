/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_head.c - request heads: found, read, and what an accepted one must be
 *
 * The input is what comes over the connection. Its head is looked for at once
 * and again as if it came byte by byte: the result must be the same. An
 * accepted head is then audited by writing it anew, byte for byte, from what
 * was read: whatever the parser overlooked makes a difference. */
#include "../../src/http/parse.h"
#include "fuzz.h"

#include <ctype.h>

/* The least that a configuration can ask for: limits are then in reach. */
#define HEADERS 8
static const struct hb_http_limits limits = {
    .head_size = 1024, .headers = HEADERS, .target_size = 64};

/* --- finding the end ------------------------------------------------------ */

struct found {
	enum hb_parse verdict;
	size_t len;
	struct hb_http_fault fault;
};

static void
require_fault(const struct hb_http_fault *fault)
{
	static const struct hb_http_fault faults[] = {
	    {400, "bad-request-line"},
	    {400, "bare-lf"},
	    {400, "bare-cr"},
	    {400, "bad-version"},
	    {400, "bad-target"},
	    {400, "bad-header-name"},
	    {400, "bad-header-value"},
	    {400, "repeated-header"},
	    {400, "no-host"},
	    {400, "bad-host"},
	    {400, "bad-content-length"},
	    {400, "ambiguous-length"},
	    {413, "body-too-large"},
	    {414, "target-too-long"},
	    {417, "unknown-expectation"},
	    {431, "head-too-large"},
	    {431, "too-many-headers"},
	    {501, "unknown-method"},
	    {501, "unknown-transfer-coding"},
	    {505, "version-not-supported"},
	};

	for (size_t i = 0; i < HB_COUNT(faults); i++)
		if (fault->code == faults[i].code &&
		    strcmp(fault->reason, faults[i].reason) == 0)
			return;
	hb_bug("fault %d %s", fault->code, fault->reason);
}

static struct found
find_at_once(struct hb_span text)
{
	struct found found = {.len = 0};
	size_t searched = 0;

	found.verdict = hb_http_head_end(
	    text, &limits, &searched, &found.len, &found.fault);
	fuzz_require(searched <= text.len);
	return found;
}

static struct found
find_by_bytes(struct hb_span text)
{
	struct found found = {.verdict = HB_PARSE_MORE};
	size_t searched = 0;

	for (size_t len = 1; len <= text.len && found.verdict == HB_PARSE_MORE;
	     len++)
		found.verdict = hb_http_head_end(hb_span_make(text.ptr, len),
		    &limits, &searched, &found.len, &found.fault);
	return found;
}

static void
require_same(const struct found *a, const struct found *b)
{
	fuzz_require(a->verdict == b->verdict);
	if (a->verdict == HB_PARSE_DONE)
		fuzz_require(a->len == b->len);
	if (a->verdict != HB_PARSE_BAD)
		return;
	fuzz_require(a->fault.code == b->fault.code);
	fuzz_require(strcmp(a->fault.reason, b->fault.reason) == 0);
	require_fault(&a->fault);
}

/* --- what an accepted head is --------------------------------------------- */

/* Takes what must stand at the front of the text. */
static void
expect(struct hb_span *text, struct hb_span want)
{
	fuzz_require(hb_span_starts(*text, want));
	*text = hb_span_skip(*text, want.len);
}

static void
skip_white(struct hb_span *text)
{
	while (text->len > 0 && (text->ptr[0] == ' ' || text->ptr[0] == '\t'))
		*text = hb_span_skip(*text, 1);
}

static bool
is_token(struct hb_span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) &&
		    memchr(others, s.ptr[i], sizeof(others) - 1) == NULL)
			return false;
	return s.len > 0;
}

/* No control characters, and nothing around it. */
static bool
is_value(struct hb_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') ||
		    s.ptr[i] == 0x7f)
			return false;
	return s.len == 0 || (strchr(" \t", s.ptr[0]) == NULL &&
				 strchr(" \t", s.ptr[s.len - 1]) == NULL);
}

/* The head's spans, put together, are the text. */
static void
audit_text(struct hb_span text, const struct hb_http_head *head)
{
	if (hb_span_starts(text, HB_SPAN("\r\n")))
		text = hb_span_skip(text, 2);
	fuzz_require(text.ptr == head->method.ptr);
	expect(&text, head->method);
	expect(&text, HB_SPAN(" "));
	fuzz_require(text.ptr == head->target.ptr);
	expect(&text, head->target);
	expect(&text, HB_SPAN(" HTTP/1."));
	fuzz_require(isdigit((unsigned char)text.ptr[0]));
	fuzz_require(head->http10 == (text.ptr[0] == '0'));
	text = hb_span_skip(text, 1);
	expect(&text, HB_SPAN("\r\n"));
	for (size_t i = 0; i < head->header_count; i++) {
		const struct hb_http_header *h = &head->headers[i];

		fuzz_require(is_token(h->name) && is_value(h->value));
		fuzz_require(text.ptr == h->name.ptr);
		expect(&text, h->name);
		expect(&text, HB_SPAN(":"));
		skip_white(&text);
		fuzz_require(h->value.len == 0 || text.ptr == h->value.ptr);
		expect(&text, h->value);
		skip_white(&text);
		expect(&text, HB_SPAN("\r\n"));
	}
	expect(&text, HB_SPAN("\r\n"));
	fuzz_require(text.len == 0);
}

static void
audit_target(const struct hb_http_head *head)
{
	struct hb_span target = head->target, path = head->path;
	const char *end = target.ptr + target.len;
	bool is_form = hb_span_eq(head->method, HB_SPAN("CONNECT")) ||
		       (hb_span_eq(head->method, HB_SPAN("OPTIONS")) &&
			   hb_span_eq(target, HB_SPAN("*")));

	fuzz_require(target.len > 0 && target.len <= limits.target_size);
	for (size_t i = 0; i < target.len; i++)
		fuzz_require(target.ptr[i] > ' ' && target.ptr[i] < 0x7f &&
			     target.ptr[i] != '#');
	fuzz_require(path.ptr >= target.ptr && path.ptr + path.len <= end);
	if (is_form)
		return;
	fuzz_require(hb_span_starts(path, HB_SPAN("/")));
	fuzz_require(!hb_span_starts(path, HB_SPAN("//")));
	fuzz_require(memchr(path.ptr, '?', path.len) == NULL);
	if (hb_span_is_set(head->query)) {
		fuzz_require(head->query.ptr == path.ptr + path.len + 1);
		fuzz_require(head->query.ptr[-1] == '?');
		fuzz_require(head->query.ptr + head->query.len == end);
	} else {
		fuzz_require(path.ptr + path.len == end);
	}
	if (path.ptr > target.ptr)
		fuzz_require(strncasecmp(target.ptr, "http", 4) == 0);
}

static size_t
count_of(const struct hb_http_head *head, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < head->header_count; i++)
		count += head->headers[i].name.len == strlen(name) &&
			 strncasecmp(head->headers[i].name.ptr, name,
			     strlen(name)) == 0;
	return count;
}

static void
audit_length(const struct hb_http_head *head)
{
	struct hb_span value =
	    hb_http_header(head, HB_SPAN("Content-Length"), NULL);
	char digits[32];

	fuzz_require(value.len > 0 && value.len <= 19);
	memcpy(digits, value.ptr, value.len);
	digits[value.len] = '\0';
	fuzz_require(strspn(digits, "0123456789") == value.len);
	fuzz_require(head->content_length == strtoull(digits, NULL, 10));
}

static void
audit_framing(const struct hb_http_head *head)
{
	static const char *const single[] = {"host", "content-length",
	    "transfer-encoding", "content-type", "content-encoding",
	    "authorization", "expect"};
	struct hb_span coding =
	    hb_http_header(head, HB_SPAN("Transfer-Encoding"), NULL);

	for (size_t i = 0; i < HB_COUNT(single); i++)
		fuzz_require(count_of(head, single[i]) <= 1);
	fuzz_require(head->http10 || count_of(head, "host") == 1);
	fuzz_require(head->has_length == count_of(head, "content-length"));
	fuzz_require(head->chunked == count_of(head, "transfer-encoding"));
	fuzz_require(!head->chunked || (!head->has_length && !head->http10));
	if (head->has_length)
		audit_length(head);
	else
		fuzz_require(head->content_length == 0);
	if (head->chunked)
		fuzz_require(hb_span_eq_nocase(coding, HB_SPAN("chunked")));
	fuzz_require(!head->expect_continue ||
		     (!head->http10 && count_of(head, "expect") == 1));
}

/* Whether one of the Connection fields lists this option. */
static bool
says(const struct hb_http_head *head, const char *option)
{
	char list[1024], *rest, *item;

	for (size_t i = 0; i < head->header_count; i++) {
		const struct hb_http_header *h = &head->headers[i];

		if (!hb_span_eq_nocase(h->name, HB_SPAN("connection")))
			continue;
		memcpy(list, h->value.ptr, h->value.len);
		list[h->value.len] = '\0';
		for (rest = list; (item = strsep(&rest, ",")) != NULL;) {
			size_t len;

			item += strspn(item, " \t");
			len = strcspn(item, " \t");
			if (len == strlen(option) &&
			    strncasecmp(item, option, len) == 0 &&
			    item[len + strspn(item + len, " \t")] == '\0')
				return true;
		}
	}
	return false;
}

static void
audit_persistence(const struct hb_http_head *head)
{
	bool may_stay = !head->http10 || says(head, "keep-alive");

	fuzz_require(head->keep_alive == (may_stay && !says(head, "close")));
}

/* --- once more ------------------------------------------------------------ */

static char *
put(char *out, struct hb_span s)
{
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

/* The head as we would write it: no longer than it was, but for the space
 * behind a colon. */
static struct hb_span
write_anew(const struct hb_http_head *head, char *out)
{
	char *start = out;

	out = put(out, head->method);
	out = put(out, HB_SPAN(" "));
	out = put(out, head->target);
	out = put(out,
	    head->http10 ? HB_SPAN(" HTTP/1.0\r\n") : HB_SPAN(" HTTP/1.1\r\n"));
	for (size_t i = 0; i < head->header_count; i++) {
		out = put(out, head->headers[i].name);
		out = put(out, HB_SPAN(": "));
		out = put(out, head->headers[i].value);
		out = put(out, HB_SPAN("\r\n"));
	}
	out = put(out, HB_SPAN("\r\n"));
	return hb_span_make(start, (size_t)(out - start));
}

/* What was accepted is accepted again, and says the same. */
static void
require_stable(const struct hb_http_head *head)
{
	char text[1024 + HEADERS];
	struct hb_span anew = write_anew(head, text);
	struct hb_http_header headers[HEADERS];
	struct hb_http_head again;
	struct hb_http_fault fault;

	fuzz_require(
	    hb_http_head_parse(anew, &limits, headers, &again, &fault));
	fuzz_require(hb_span_eq(again.method, head->method));
	fuzz_require(hb_span_eq(again.path, head->path));
	fuzz_require(hb_span_eq(again.query, head->query));
	fuzz_require(again.header_count == head->header_count);
	for (size_t i = 0; i < head->header_count; i++)
		fuzz_require(
		    hb_span_eq(headers[i].value, head->headers[i].value));
	fuzz_require(again.keep_alive == head->keep_alive);
	fuzz_require(again.chunked == head->chunked);
	fuzz_require(again.content_length == head->content_length);
	fuzz_require(again.expect_continue == head->expect_continue);
}

/* A head that was found ends with an empty line, and there is none before. */
static void
require_one_head(struct hb_span text)
{
	fuzz_require(text.len <= limits.head_size);
	fuzz_require(memcmp(text.ptr + text.len - 4, "\r\n\r\n", 4) == 0);
	for (size_t i = 1; i + 4 < text.len; i++)
		fuzz_require(memcmp(text.ptr + i, "\r\n\r\n", 4) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_span text = fuzz_input(data, size);
	struct found found = find_at_once(text), slow = find_by_bytes(text);
	struct hb_http_header headers[HEADERS];
	struct hb_http_fault fault;
	struct hb_http_head head;

	require_same(&found, &slow);
	if (found.verdict != HB_PARSE_DONE)
		return 0;
	text.len = found.len;
	require_one_head(text);
	fuzz_require(hb_http_head_room(text, &limits) <= HEADERS);
	if (!hb_http_head_parse(text, &limits, headers, &head, &fault)) {
		require_fault(&fault);
		return 0;
	}
	fuzz_require(head.header_count <= hb_http_head_room(text, &limits));
	audit_text(text, &head);
	audit_target(&head);
	audit_framing(&head);
	audit_persistence(&head);
	require_stable(&head);
	return 0;
}
