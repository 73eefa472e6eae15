/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - one pass over a complete request head
 *
 * A head is first waited for (hb_http_head_end), looking at no more than its
 * line ends, so that nothing is parsed twice; garbage that can never become a
 * head is refused without waiting. Then it is read in one pass, and what the
 * fields mean together is checked last. */
#include "parse.h"

#include <string.h>

#include "hookbridge/mem.h"
#include "lex.h"

/* "METHOD " before and " HTTP/1.1" behind the target. */
#define REQUEST_LINE_REST 24

static bool
fault_set(struct hb_http_fault *fault, int code, const char *reason)
{
	*fault = (struct hb_http_fault){code, reason};
	return false;
}

static enum hb_parse
bad(struct hb_http_fault *fault, int code, const char *reason)
{
	fault_set(fault, code, reason);
	return HB_PARSE_BAD;
}

/* --- the end of a head ---------------------------------------------------- */

/* Bytes that no request line begins with are not worth waiting for: a TLS
 * ClientHello, a binary protocol, a second empty line. */
static bool
may_begin(struct hb_span data)
{
	const char *p = data.ptr;

	if (p[0] != '\r')
		return hb_http_is(p[0], HB_LEX_TOKEN);
	return (data.len < 2 || p[1] == '\n') &&
	       (data.len < 3 || hb_http_is(p[2], HB_LEX_TOKEN));
}

/* Whether the request line, which starts here, is longer than any that is
 * allowed: looked at once, when that many bytes are there. A smaller head_size
 * is the limit that counts. */
static bool
line_too_long(struct hb_span data, size_t start, size_t searched,
    const struct hb_http_limits *limits)
{
	size_t max = limits->target_size + REQUEST_LINE_REST;

	return start + max < limits->head_size && data.len >= start + max &&
	       searched < start + max &&
	       memchr(data.ptr + start, '\n', max) == NULL;
}

enum hb_parse
hb_http_head_end(struct hb_span data, const struct hb_http_limits *limits,
    size_t *searched, size_t *head_len, struct hb_http_fault *fault)
{
	size_t most =
	    data.len < limits->head_size ? data.len : limits->head_size;
	size_t start;

	if (data.len == 0)
		return HB_PARSE_MORE;
	if (!may_begin(data))
		return bad(fault, 400, "bad-request-line");
	start = data.ptr[0] == '\r' ? 2 : 0; /* one empty line may precede */
	if (line_too_long(data, start, *searched, limits))
		return bad(fault, 414, "target-too-long");
	while (*searched < most) {
		const char *lf =
		    memchr(data.ptr + *searched, '\n', most - *searched);
		size_t at;

		if (lf == NULL) {
			*searched = most;
			break;
		}
		at = (size_t)(lf - data.ptr);
		*searched = at + 1;
		if (lf[-1] != '\r') /* may_begin(): at > 0 */
			return bad(fault, 400, "bare-lf");
		if (at >= start + 3 && lf[-2] == '\n') {
			*head_len = at + 1;
			return HB_PARSE_DONE;
		}
	}
	if (data.len >= limits->head_size)
		return bad(fault, 431, "head-too-large");
	return HB_PARSE_MORE;
}

/* Its lines, but no more than may be: an estimate from above. */
size_t
hb_http_head_room(struct hb_span text, const struct hb_http_limits *limits)
{
	size_t lines = 0;
	const char *lf;

	while (lines < limits->headers &&
	       (lf = memchr(text.ptr, '\n', text.len)) != NULL) {
		text = hb_span_skip(text, (size_t)(lf - text.ptr) + 1);
		lines++;
	}
	return lines;
}

/* --- the request line ----------------------------------------------------- */

/* Takes the next line, without its CRLF; false for a CR or LF inside it. */
static bool
next_line(struct hb_span *rest, struct hb_span *line)
{
	const char *lf = memchr(rest->ptr, '\n', rest->len);
	size_t len = (size_t)(lf - rest->ptr);

	*line = hb_span_make(rest->ptr, len - 1);
	*rest = hb_span_skip(*rest, len + 1);
	return memchr(line->ptr, '\r', line->len) == NULL;
}

static bool
split(struct hb_span s, char at, struct hb_span *before, struct hb_span *after)
{
	const char *found = memchr(s.ptr, at, s.len);

	if (found == NULL)
		return false;
	*before = hb_span_make(s.ptr, (size_t)(found - s.ptr));
	*after = hb_span_skip(s, before->len + 1);
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP-version is case-sensitive and has one digit on each side. A higher
 * minor version speaks to us as 1.1 (RFC 9110, 2.5). */
static bool
parse_version(struct hb_span version, struct hb_http_head *head,
    struct hb_http_fault *fault)
{
	if (version.len != 8 || !hb_span_starts(version, HB_SPAN("HTTP/")) ||
	    !is_digit(version.ptr[5]) || version.ptr[6] != '.' ||
	    !is_digit(version.ptr[7]))
		return fault_set(fault, 400, "bad-version");
	if (version.ptr[5] != '1')
		return fault_set(fault, 505, "version-not-supported");
	head->http10 = version.ptr[7] == '0';
	return true;
}

static bool
is_known_method(struct hb_span method)
{
	static const struct hb_span known[] = {
	    {"POST", 4},
	    {"GET", 3},
	    {"HEAD", 4},
	    {"PUT", 3},
	    {"DELETE", 6},
	    {"OPTIONS", 7},
	    {"PATCH", 5},
	    {"TRACE", 5},
	    {"CONNECT", 7},
	};

	for (size_t i = 0; i < HB_COUNT(known); i++)
		if (hb_span_eq(method, known[i]))
			return true;
	return false;
}

/* What stands behind "http://" or "https://"; absent when neither does. */
static struct hb_span
behind_scheme(struct hb_span target)
{
	static const struct hb_span schemes[] = {
	    {"http://", 7}, {"https://", 8}};

	for (size_t i = 0; i < HB_COUNT(schemes); i++) {
		size_t len = schemes[i].len;

		if (target.len >= len &&
		    strncasecmp(target.ptr, schemes[i].ptr, len) == 0)
			return hb_span_skip(target, len);
	}
	return HB_SPAN_NONE;
}

/* absolute-form: the path is what follows the authority, which is checked as
 * a Host would be and not used. */
static bool
skip_origin(struct hb_span *target)
{
	struct hb_span rest = behind_scheme(*target), authority;
	const char *slash;

	if (!hb_span_is_set(rest))
		return false;
	slash = memchr(rest.ptr, '/', rest.len);
	if (slash == NULL)
		return false;
	authority = hb_span_make(rest.ptr, (size_t)(slash - rest.ptr));
	*target = hb_span_skip(rest, authority.len);
	return authority.len > 0 && hb_http_all(authority, HB_LEX_HOST);
}

static bool
parse_target(struct hb_http_head *head, const struct hb_http_limits *limits,
    struct hb_http_fault *fault)
{
	struct hb_span target = head->target;

	if (target.len > limits->target_size)
		return fault_set(fault, 414, "target-too-long");
	if (target.len == 0 || !hb_http_all(target, HB_LEX_TARGET))
		return fault_set(fault, 400, "bad-target");
	head->path = target;
	head->query = HB_SPAN_NONE;
	/* authority-form and asterisk-form are answered by the handler, whose
	 * paths all begin with a slash. */
	if (hb_span_eq(head->method, HB_SPAN("CONNECT")) ||
	    (hb_span_eq(head->method, HB_SPAN("OPTIONS")) &&
		hb_span_eq(target, HB_SPAN("*"))))
		return true;
	if (target.ptr[0] != '/' && !skip_origin(&target))
		return fault_set(fault, 400, "bad-target");
	if (hb_span_starts(target, HB_SPAN("//")))
		return fault_set(fault, 400, "bad-target");
	if (!split(target, '?', &head->path, &head->query))
		head->path = target;
	return true;
}

static bool
parse_request_line(struct hb_span line, struct hb_http_head *head,
    const struct hb_http_limits *limits, struct hb_http_fault *fault)
{
	struct hb_span rest, version;

	if (!split(line, ' ', &head->method, &rest) ||
	    !split(rest, ' ', &head->target, &version) ||
	    head->method.len == 0 || !hb_http_all(head->method, HB_LEX_TOKEN))
		return fault_set(fault, 400, "bad-request-line");
	if (head->target.len > limits->target_size)
		return fault_set(fault, 414, "target-too-long");
	if (!parse_version(version, head, fault))
		return false;
	if (!is_known_method(head->method))
		return fault_set(fault, 501, "unknown-method");
	return parse_target(head, limits, fault);
}

/* --- header fields -------------------------------------------------------- */

static struct hb_span
trim(struct hb_span s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = hb_span_skip(s, 1);
	while (
	    s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

struct hb_span
hb_http_bare_type(struct hb_span type)
{
	const char *semicolon = memchr(type.ptr, ';', type.len);

	if (semicolon != NULL)
		type.len = (size_t)(semicolon - type.ptr);
	return trim(type);
}

/* A line that begins with white space continues the one before it: obsolete,
 * and refused, since its name is no token. */
static bool
parse_field(struct hb_span line, struct hb_http_header *header,
    struct hb_http_fault *fault)
{
	if (!split(line, ':', &header->name, &header->value) ||
	    header->name.len == 0 || !hb_http_all(header->name, HB_LEX_TOKEN))
		return fault_set(fault, 400, "bad-header-name");
	if (!hb_http_all(header->value, HB_LEX_VALUE))
		return fault_set(fault, 400, "bad-header-value");
	header->value = trim(header->value);
	return true;
}

struct hb_span
hb_http_header(
    const struct hb_http_head *head, struct hb_span name, size_t *count)
{
	struct hb_span value = HB_SPAN_NONE;
	size_t n = 0;

	for (size_t i = 0; i < head->header_count; i++) {
		if (!hb_span_eq_nocase(head->headers[i].name, name))
			continue;
		if (n++ == 0)
			value = head->headers[i].value;
	}
	if (count != NULL)
		*count = n;
	return value;
}

/* --- what the fields mean together ---------------------------------------- */

/* Fields whose second occurrence would let two readers see two requests. */
static bool
check_single(const struct hb_http_head *head, struct hb_http_fault *fault)
{
	static const struct hb_span names[] = {
	    {"host", 4},
	    {"content-length", 14},
	    {"transfer-encoding", 17},
	    {"content-type", 12},
	    {"content-encoding", 16},
	    {"authorization", 13},
	    {"expect", 6},
	};

	for (size_t i = 0; i < HB_COUNT(names); i++) {
		size_t count;

		hb_http_header(head, names[i], &count);
		if (count > 1)
			return fault_set(fault, 400, "repeated-header");
	}
	return true;
}

static bool
check_host(const struct hb_http_head *head, struct hb_http_fault *fault)
{
	struct hb_span host = hb_http_header(head, HB_SPAN("host"), NULL);

	if (!hb_span_is_set(host))
		return head->http10 || fault_set(fault, 400, "no-host");
	return hb_http_all(host, HB_LEX_HOST) ||
	       fault_set(fault, 400, "bad-host");
}

/* 1*DIGIT. Numbers beyond 19 digits are larger than any limit. */
static bool
parse_length(struct hb_span value, uint64_t *out, struct hb_http_fault *fault)
{
	uint64_t n = 0;

	if (value.len == 0)
		return fault_set(fault, 400, "bad-content-length");
	for (size_t i = 0; i < value.len; i++)
		if (!is_digit(value.ptr[i]))
			return fault_set(fault, 400, "bad-content-length");
	if (value.len > 19)
		return fault_set(fault, 413, "body-too-large");
	for (size_t i = 0; i < value.len; i++)
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	*out = n;
	return true;
}

static bool
check_framing(struct hb_http_head *head, struct hb_http_fault *fault)
{
	struct hb_span length =
	    hb_http_header(head, HB_SPAN("content-length"), NULL);
	struct hb_span coding =
	    hb_http_header(head, HB_SPAN("transfer-encoding"), NULL);

	head->has_length = hb_span_is_set(length);
	head->chunked = hb_span_is_set(coding);
	if (head->chunked && (head->has_length || head->http10))
		return fault_set(fault, 400, "ambiguous-length");
	if (head->chunked && !hb_span_eq_nocase(coding, HB_SPAN("chunked")))
		return fault_set(fault, 501, "unknown-transfer-coding");
	return !head->has_length ||
	       parse_length(length, &head->content_length, fault);
}

/* Whether a comma-separated list has this member. */
static bool
list_has(struct hb_span list, struct hb_span member)
{
	struct hb_span item;

	while (split(list, ',', &item, &list))
		if (hb_span_eq_nocase(trim(item), member))
			return true;
	return hb_span_eq_nocase(trim(list), member);
}

static void
read_persistence(struct hb_http_head *head)
{
	bool close = false, keep = false;

	for (size_t i = 0; i < head->header_count; i++) {
		const struct hb_http_header *h = &head->headers[i];

		if (!hb_span_eq_nocase(h->name, HB_SPAN("connection")))
			continue;
		close |= list_has(h->value, HB_SPAN("close"));
		keep |= list_has(h->value, HB_SPAN("keep-alive"));
	}
	head->keep_alive = !close && (!head->http10 || keep);
}

static bool
check_expect(struct hb_http_head *head, struct hb_http_fault *fault)
{
	struct hb_span expect = hb_http_header(head, HB_SPAN("expect"), NULL);

	if (!hb_span_is_set(expect) || head->http10)
		return true;
	head->expect_continue =
	    hb_span_eq_nocase(expect, HB_SPAN("100-continue"));
	return head->expect_continue ||
	       fault_set(fault, 417, "unknown-expectation");
}

/* The lines behind the request line, up to the empty one. */
static bool
parse_fields(struct hb_span rest, struct hb_http_head *head,
    const struct hb_http_limits *limits, struct hb_http_fault *fault)
{
	struct hb_span line;

	for (;;) {
		if (!next_line(&rest, &line))
			return fault_set(fault, 400, "bare-cr");
		if (line.len == 0)
			return true;
		if (head->header_count >= limits->headers)
			return fault_set(fault, 431, "too-many-headers");
		if (!parse_field(
			line, &head->headers[head->header_count], fault))
			return false;
		head->header_count++;
	}
}

bool
hb_http_head_parse(struct hb_span text, const struct hb_http_limits *limits,
    struct hb_http_header *headers, struct hb_http_head *head,
    struct hb_http_fault *fault)
{
	struct hb_span line;

	*head = (struct hb_http_head){.headers = headers};
	if (hb_span_starts(text, HB_SPAN("\r\n")))
		text = hb_span_skip(text, 2);
	if (!next_line(&text, &line))
		return fault_set(fault, 400, "bare-cr");
	if (!parse_request_line(line, head, limits, fault) ||
	    !parse_fields(text, head, limits, fault))
		return false;
	read_persistence(head);
	return check_single(head, fault) && check_host(head, fault) &&
	       check_framing(head, fault) && check_expect(head, fault);
}
