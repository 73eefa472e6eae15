/* SPDX-License-Identifier: Apache-2.0 */
/* offline.c - what a server would say to a request, told without a connection
 *
 * For tools that have a request as a whole and want to know before they send
 * it. All answers are made where the server makes them. */
#include "conn.h"
#include "hookbridge/arena.h"

static bool
refuse(struct hb_http_refusal *refusal, const struct hb_http_fault *fault)
{
	*refusal = (struct hb_http_refusal){
	    hb_http_answer_fault(fault->code), fault->reason};
	return false;
}

bool
hb_http_head_read(const struct hb_http_conf *conf, struct hb_span text,
    struct hb_arena *arena, struct hb_http_head *head,
    struct hb_http_refusal *refusal)
{
	struct hb_http_limits limits = hb_http_limits_of(conf);
	struct hb_http_fault fault = {400, "incomplete"};
	struct hb_http_header *table;
	size_t searched = 0, len;

	if (hb_http_head_end(text, &limits, &searched, &len, &fault) !=
	    HB_PARSE_DONE)
		return refuse(refusal, &fault);
	text.len = len;
	table = hb_arena_alloc(
	    arena, hb_http_head_room(text, &limits) * sizeof(*table));
	return hb_http_head_parse(text, &limits, table, head, &fault) ||
	       refuse(refusal, &fault);
}

bool
hb_http_body_may_come(const struct hb_http_conf *conf,
    const struct hb_http_head *head, uint64_t limit,
    struct hb_http_refusal *refusal)
{
	struct hb_http_fault fault = hb_http_body_obstacle(
	    head, limit < conf->body_size ? limit : conf->body_size);

	return fault.code == 0 || refuse(refusal, &fault);
}
