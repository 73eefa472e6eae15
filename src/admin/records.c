/* SPDX-License-Identifier: Apache-2.0 */
/* records.c - records as JSON
 *
 * What everyone may read of one is what metrics and logs say anyway: where it
 * came from and where it was to go; payloads are for operators. */
#include <inttypes.h>
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "hookbridge/utf8.h"
#include "parts.h"

bool
hb_admin_has_store(struct hb_call *call)
{
	return call->admin->env.store != NULL ||
	    hb_admin_refuse(call, 404,
		"nothing is kept on disk: spool.directory is not configured");
}

void
hb_admin_refuse_record(struct hb_call *call, enum hb_shelf_kind kind,
    uint64_t seq)
{
	struct hb_error err;

	hb_fail_reason(&err, HB_E_REJECT, "not-found",
	    "there is no %s %" PRIu64, kind == HB_SHELF_DEAD
	    ? "dead letter" : "delivery", seq);
	hb_admin_refuse_error(call, &err);
}

bool
hb_admin_get_record(struct hb_call *call, enum hb_shelf_kind kind,
    struct hb_record *rec)
{
	struct hb_error err = { .code = HB_OK };
	uint64_t seq;

	if (!hb_admin_has_store(call) || !hb_admin_part_number(call, &seq))
		return false;
	if (hb_store_get(call->admin->env.store, kind, seq, rec, &err))
		return true;
	if (err.code == HB_E_REJECT)
		hb_admin_refuse_record(call, kind, seq);
	else
		hb_admin_refuse_error(call, &err);
	return false;
}

static json_t *
integer(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
headers_of(const struct hb_record *rec)
{
	json_t *doc = json_object();

	for (size_t i = 0; i < rec->header_count; i++) {
		char *name = hb_xstrndup(rec->headers[i].name);

		if (hb_utf8_is_valid(rec->headers[i].name))
			hb_admin_set(doc, name, rec->headers[i].value);
		free(name);
	}
	return doc;
}

/* What a sender or a broker is given, or was given by one. */
static void
set_message(json_t *doc, const struct hb_record *rec)
{
	hb_admin_set(doc, "key", rec->key);
	json_object_set_new(doc, "headers", headers_of(rec));
}

static struct hb_span
payload_of(const struct hb_record *rec)
{
	return hb_span_is_set(rec->value) ? rec->value : rec->body;
}

json_t *
hb_admin_dead_letter(const struct hb_record *rec, bool payload)
{
	json_t *doc = json_pack(
	    "{s:o}", "id", integer(rec->kept.ref.seq));

	hb_admin_set(doc, "reason", rec->reason);
	hb_admin_set(doc, "endpoint", rec->endpoint);
	hb_admin_set(doc, "event_id", rec->id);
	hb_admin_set(doc, "job_id", rec->job_id);
	hb_admin_set(doc, "destination", rec->place);
	json_object_set_new(
	    doc, "received_ms", json_integer(rec->received_ms));
	json_object_set_new(doc, "kept_ms", json_integer(rec->appended_ms));
	json_object_set_new(doc, "size", integer(payload_of(rec).len));
	if (!payload)
		return doc;
	hb_admin_set(doc, "webhook_id", rec->webhook_id);
	json_object_set_new(doc, "webhook_timestamp",
	    hb_admin_time(rec->webhook_timestamp));
	json_object_set_new(doc, "message", json_boolean(rec->is_message));
	if (rec->is_message)
		set_message(doc, rec);
	hb_admin_set(doc, "body", payload_of(rec));
	return doc;
}

json_t *
hb_admin_delivery(const struct hb_record *rec, bool is_held)
{
	json_t *doc = json_pack(
	    "{s:o}", "id", integer(rec->kept.ref.seq));

	hb_admin_set(doc, "sink", rec->sink);
	hb_admin_set(doc, "type", rec->sink_type);
	hb_admin_set(doc, "destination", rec->name);
	hb_admin_set(doc, "endpoint", rec->endpoint);
	hb_admin_set(doc, "event_id", rec->id);
	hb_admin_set(doc, "job_id", rec->job_id);
	json_object_set_new(
	    doc, "received_ms", json_integer(rec->received_ms));
	json_object_set_new(doc, "kept_ms", json_integer(rec->appended_ms));
	set_message(doc, rec);
	json_object_set_new(doc, "size", integer(rec->value.len));
	hb_admin_set(doc, "value", rec->value);
	json_object_set_new(doc, "held", json_boolean(is_held));
	return doc;
}
