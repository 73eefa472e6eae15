/* SPDX-License-Identifier: Apache-2.0 */
/* jobkind.c - what kind of job a result came from, told by its members
 *
 * A webhook does not say it; the results differ (Reducto's published types):
 *
 *   edit      document_url
 *   extract   usage.num_fields
 *   pipeline  result holds parse, extract, split or edit
 *   split     result.splits
 *   parse     result.type is "full" or "url"; or the result is that inner
 *             object itself: type, and chunks or result_id
 *
 * The first sign decides, but for one rule: what `result` holds counts only
 * once there is no usage.num_fields, since an extraction's result has whatever
 * names its schema has. usage comes before result in practice, so the walk is
 * over at the inner object's first telling member and does not pass over the
 * megabytes behind it. */
#include "hookbridge/mem.h"
#include "hookbridge/normalize.h"

#define KIND_PARSE HB_SPAN("parse")
#define KIND_EXTRACT HB_SPAN("extract")
#define KIND_SPLIT HB_SPAN("split")
#define KIND_EDIT HB_SPAN("edit")
#define KIND_PIPELINE HB_SPAN("pipeline")

static bool
has_member(struct hb_span object, struct hb_span name)
{
	struct hb_json_member member;
	struct hb_json_iter it;

	hb_json_iter_init(&it, object);
	while (hb_json_iter_next(&it, &member))
		if (hb_json_name_is(&member, name))
			return true;
	return false;
}

/* "type": "full" or "url". */
static bool
is_parse_type(const struct hb_json_member *member)
{
	return hb_json_name_is(member, HB_SPAN("type")) &&
	    (hb_span_eq(member->value.text, HB_SPAN("\"full\"")) ||
		hb_span_eq(member->value.text, HB_SPAN("\"url\"")));
}

/* What the object at it->pos says, by its first telling member; it stays. */
static struct hb_span
inner_kind(const struct hb_json_iter *it)
{
	static const struct {
		struct hb_span name, kind;
	} signs[] = {
		{HB_SPAN("parse"), KIND_PIPELINE},
		{HB_SPAN("extract"), KIND_PIPELINE},
		{HB_SPAN("split"), KIND_PIPELINE},
		{HB_SPAN("edit"), KIND_PIPELINE},
		{HB_SPAN("splits"), KIND_SPLIT},
	};
	struct hb_json_iter inner = {it->pos + 1, it->end};
	struct hb_json_member member;

	while (hb_json_iter_name(&inner, &member)) {
		for (size_t i = 0; i < HB_COUNT(signs); i++)
			if (hb_json_name_is(&member, signs[i].name))
				return signs[i].kind;
		hb_json_iter_value(&inner, &member);
		if (is_parse_type(&member))
			return KIND_PARSE;
	}
	return HB_SPAN_NONE;
}

/* The kind of job, or the absent span when nothing tells. */
struct hb_span
hb_job_kind(struct hb_span result)
{
	struct hb_span kind = HB_SPAN_NONE; /* as the inner object has it */
	bool usage = false, typed = false, bare = false;
	struct hb_json_member member;
	struct hb_json_iter it;

	hb_json_iter_init(&it, result);
	while (hb_json_iter_name(&it, &member)) {
		if (hb_json_name_is(&member, HB_SPAN("document_url")))
			return KIND_EDIT;
		bare = bare || hb_json_name_is(&member, HB_SPAN("chunks")) ||
		    hb_json_name_is(&member, HB_SPAN("result_id"));
		if (hb_json_name_is(&member, HB_SPAN("result")) &&
		    member.value.kind == HB_JSON_OBJECT)
			kind = inner_kind(&it);
		if (usage && hb_span_is_set(kind))
			return kind;
		if (typed && bare)
			return KIND_PARSE;
		hb_json_iter_value(&it, &member);
		typed = typed || is_parse_type(&member);
		if (hb_json_name_is(&member, HB_SPAN("usage"))) {
			if (has_member(
				member.value.text, HB_SPAN("num_fields")))
				return KIND_EXTRACT;
			usage = true;
		}
	}
	if (hb_span_is_set(kind))
		return kind;
	return typed && bare ? KIND_PARSE : HB_SPAN_NONE;
}
