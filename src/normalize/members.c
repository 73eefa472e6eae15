/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - the body's top-level members, as spans of the body
 *
 * One strict scan collects the members: the known ones by name, everything
 * else as runs of text. A run is what stands between two known members, so
 * there are at most five however many members a hostile body has.
 *
 * Without a job_id, a member "data" that is an object with one is the event,
 * and what stands around it the envelope. */
#include "members.h"

#define KNOWN_MASK ((1u << HB_MEMBERS_KNOWN) - 1)
#define ENVELOPE_MASK (KNOWN_MASK | 1u << HB_MEMBER_DATA)

/* Members in a row, verbatim. */
struct runs {
	struct hb_span spans[HB_MEMBERS_KNOWN + 1];
	size_t count;
	bool open; /* the next member goes on with the last run */
};

/* The members of one object, read as an event. */
struct members {
	struct hb_json_value values[HB_MEMBERS]; /* first occurrences */
	unsigned repeated;                       /* a bit for each name */
	struct runs extra;                       /* all but the known ones */
	struct runs around;                      /* all but data */
};

/* --- collecting members --------------------------------------------------- */

static int
name_of(const struct hb_json_member *member)
{
	static const struct hb_span names[HB_MEMBERS] = {
		[HB_MEMBER_JOB_ID] = HB_SPAN("job_id"),
		[HB_MEMBER_STATUS] = HB_SPAN("status"),
		[HB_MEMBER_METADATA] = HB_SPAN("metadata"),
		[HB_MEMBER_RESULT] = HB_SPAN("result"),
		[HB_MEMBER_TYPE] = HB_SPAN("type"),
		[HB_MEMBER_DATA] = HB_SPAN("data"),
	};

	for (int i = 0; i < HB_MEMBERS; i++)
		if (hb_json_name_is(member, names[i]))
			return i;
	return -1;
}

static void
run_add(struct runs *runs, struct hb_span member)
{
	struct hb_span *last;

	if (!runs->open)
		runs->spans[runs->count++] = hb_span_make(member.ptr, 0);
	runs->open = true;
	last = &runs->spans[runs->count - 1];
	last->len = (size_t)(member.ptr + member.len - last->ptr);
}

/* Only first occurrences interrupt a run: that bounds their number. */
static void
collect(struct members *members, const struct hb_json_member *member)
{
	int name = name_of(member);
	bool first = false;

	if (name >= 0) {
		first = members->values[name].kind == HB_JSON_NONE;
		if (first)
			members->values[name] = member->value;
		else
			members->repeated |= 1u << name;
	}
	if (first && name < HB_MEMBERS_KNOWN)
		members->extra.open = false;
	else
		run_add(&members->extra, member->whole);
	if (first && name == HB_MEMBER_DATA)
		members->around.open = false;
	else
		run_add(&members->around, member->whole);
}

static bool
on_member(void *arg, const struct hb_json_member *member, struct hb_error *err)
{
	(void)err;
	collect(arg, member);
	return true;
}

static struct hb_span *
keep_runs(struct hb_arena *arena, const struct runs *runs, size_t *count)
{
	size_t size = runs->count * sizeof(runs->spans[0]);

	*count = runs->count;
	return memcpy(hb_arena_alloc(arena, size), runs->spans, size);
}

/* Whether the body is an envelope; then inner is the event in it. */
static bool
open_envelope(const struct members *outer, struct members *inner)
{
	struct hb_json_member member;
	struct hb_json_iter it;

	if (outer->values[HB_MEMBER_JOB_ID].kind != HB_JSON_NONE ||
	    outer->values[HB_MEMBER_DATA].kind != HB_JSON_OBJECT)
		return false;
	hb_json_iter_init(&it, outer->values[HB_MEMBER_DATA].text);
	while (hb_json_iter_next(&it, &member))
		collect(inner, &member);
	return inner->values[HB_MEMBER_JOB_ID].kind != HB_JSON_NONE;
}

static bool
scan_body(struct hb_span body, struct members *members, struct hb_error *err)
{
	struct hb_json_value value;
	struct hb_error fault;

	if (!hb_json_scan(body, on_member, members, &value, &fault))
		return hb_fail_reason(err, HB_E_DEAD, "not-json",
		    "the body is not JSON: %s", fault.text);
	if (value.kind == HB_JSON_ARRAY)
		return hb_fail_reason(err, HB_E_DEAD, "array",
		    "the body is an array; a batch of events is not "
		    "supported");
	if (value.kind != HB_JSON_OBJECT)
		return hb_fail_reason(err, HB_E_DEAD, "not-object",
		    "the body is JSON, but not an object");
	return true;
}

/* Sets the event's spans; *values are its members. */
bool
hb_members_read(struct hb_event *ev, struct hb_json_value values[HB_MEMBERS],
    struct hb_error *err)
{
	struct members outer = {0}, inner = {0}, *members = &outer;
	unsigned repeated;

	memset(values, 0, sizeof(outer.values));
	if (!scan_body(ev->body, &outer, err))
		return false;
	repeated = outer.repeated & KNOWN_MASK;
	if (open_envelope(&outer, &inner)) {
		members = &inner;
		repeated = (outer.repeated & ENVELOPE_MASK) |
		    (inner.repeated & KNOWN_MASK);
		ev->envelope = keep_runs(
		    ev->arena, &outer.around, &ev->envelope_count);
	}
	ev->extra =
	    keep_runs(ev->arena, &members->extra, &ev->extra_count);
	ev->metadata = members->values[HB_MEMBER_METADATA].text;
	ev->result = members->values[HB_MEMBER_RESULT].text;
	if (members->repeated & 1u << HB_MEMBER_TYPE)
		members->values[HB_MEMBER_TYPE].kind = HB_JSON_NONE;
	memcpy(values, members->values, sizeof(members->values));
	if (repeated != 0)
		return hb_fail_reason(err, HB_E_DEAD, "repeated-member",
		    "job_id, status, metadata, result or the envelope's data "
		    "occurs twice");
	return true;
}
