/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - W3C Trace Context, passed on only when single and well-formed
 *
 * traceparent: version 2 hex, trace-id 32 hex, parent-id 16 hex, flags 2 hex,
 * joined by dashes, lower case; version ff and all-zero ids are invalid
 * (W3C Trace Context, section 3.2). tracestate goes only with its traceparent,
 * up to the 512 bytes that section 3.3.1.5 asks everyone to carry. */
#include "parts.h"

#define TRACESTATE_MAX 512

static bool
is_hex(struct hb_span s, size_t from, size_t len, bool may_be_zero)
{
	bool zero = true;

	for (size_t i = from; i < from + len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		zero &= c == '0';
	}
	return may_be_zero || !zero;
}

static bool
is_traceparent(struct hb_span s)
{
	return s.len == 55 && s.ptr[2] == '-' && s.ptr[35] == '-' &&
	    s.ptr[52] == '-' && is_hex(s, 0, 2, true) &&
	    memcmp(s.ptr, "ff", 2) != 0 && is_hex(s, 3, 32, false) &&
	    is_hex(s, 36, 16, false) && is_hex(s, 53, 2, true);
}

static bool
is_tracestate(struct hb_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e)
			return false;
	return s.len > 0 && s.len <= TRACESTATE_MAX;
}

void
hb_trace_copy(const struct hb_http_head *head, struct hb_event *ev)
{
	struct hb_span parent, state;
	size_t count;

	parent = hb_http_header(head, HB_SPAN("traceparent"), &count);
	if (count != 1 || !is_traceparent(parent))
		return;
	ev->traceparent = hb_arena_dup(ev->arena, parent);
	state = hb_http_header(head, HB_SPAN("tracestate"), &count);
	if (count == 1 && is_tracestate(state))
		ev->tracestate = hb_arena_dup(ev->arena, state);
}
