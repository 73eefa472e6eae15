/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - what is kept of an event, as bytes
 *
 * All numbers are little-endian; (n) is a size in bytes. A record is a head of
 * head_len bytes, the rest is the value of a message or a body as received,
 * which may be large and is not copied to be appended.
 *
 *     0 (1) version, 1       4 (4) head_len            24 (8) boot
 *     1 (1) kind             8 (8) received, ms        32 (8) ticket
 *     2 (2) flags           16 (8) webhook_timestamp   40     fields
 *   kinds: 1 a delivery, 2 a dead letter with a body, 3 a dead letter with the
 *     message of a delivery that was refused when it was replayed
 *   flags: 1 repetitions are unwanted (dedup), 2 the message is a dead letter
 *     to its destination; others mean nothing
 *   received: milliseconds since 1970; webhook_timestamp: seconds since then,
 *     0 if there is none
 *   boot, ticket: the process that wrote it (drawn at random), and by what it
 *     may be held there; ticket 0: by nothing
 *
 * Field: (1) tag, (4) length, (length) bytes; they end where the head ends. A
 * field that is absent is left out, which differs from an empty one. Each comes
 * once, but for headers, which come in order. Unknown tags are skipped.
 *     1 endpoint, its name     8 tracestate
 *     2 id of the event        9 type of the sink
 *     3 job_id                10 sink, its name
 *     4 reason                11 name of the destination, may be empty
 *     5 place, "sink:name"    12 key
 *     6 webhook_id            13 header: (4) length, (length) name, value
 *     7 traceparent
 *   1, 2 always; 4 in kinds 2 and 3; 9, 10, 11 in 1 and 3. 5 belongs to kinds
 *   2 and 3, 6 to 8 to 2, 12 and 13 to 1 and 3; elsewhere they are skipped. */
#include "record.h"

#include <stddef.h>
#include <stdlib.h>

#include "hookbridge/le.h"
#include "hookbridge/mem.h"

#define FLAG_DEDUP 1u
#define FLAG_DEAD_LETTER 2u

#define FIELD_SIZE 5 /* of a tag and a length */
#define TAG_HEADER 13

#define KIND_BIT(kind) (1u << (kind))
#define ANY                                                       \
	(KIND_BIT(HB_RECORD_DELIVERY) | KIND_BIT(HB_RECORD_BODY) | \
	    KIND_BIT(HB_RECORD_MESSAGE))
#define DEAD (KIND_BIT(HB_RECORD_BODY) | KIND_BIT(HB_RECORD_MESSAGE))
#define BODY KIND_BIT(HB_RECORD_BODY)
#define SENT (KIND_BIT(HB_RECORD_DELIVERY) | KIND_BIT(HB_RECORD_MESSAGE))

/* Fields that are one span each. */
static const struct field {
	uint8_t tag;
	size_t offset;	      /* in struct hb_record */
	unsigned kinds;	      /* that have it */
	bool must_be;	      /* there, in those */
	size_t max;	      /* bytes; 0: what the record has */
	const char *name;
} fields[] = {
    {1, offsetof(struct hb_record, endpoint), ANY, true, HB_RECORD_NAME_MAX,
	"endpoint"},
    {2, offsetof(struct hb_record, id), ANY, true, 0, "id"},
    {3, offsetof(struct hb_record, job_id), ANY, false, 0, "job_id"},
    {4, offsetof(struct hb_record, reason), DEAD, true, HB_RECORD_NAME_MAX,
	"reason"},
    {5, offsetof(struct hb_record, place), DEAD, false, 0, "place"},
    {6, offsetof(struct hb_record, webhook_id), BODY, false, 0, "webhook_id"},
    {7, offsetof(struct hb_record, traceparent), BODY, false, 0,
	"traceparent"},
    {8, offsetof(struct hb_record, tracestate), BODY, false, 0, "tracestate"},
    {9, offsetof(struct hb_record, sink_type), SENT, true, HB_RECORD_NAME_MAX,
	"sink type"},
    {10, offsetof(struct hb_record, sink), SENT, true, HB_RECORD_NAME_MAX,
	"sink"},
    {11, offsetof(struct hb_record, name), SENT, true, HB_RECORD_NAME_MAX,
	"name"},
    {12, offsetof(struct hb_record, key), SENT, false, 0, "key"},
};

/* --- numbers -------------------------------------------------------------- */

static char *
put32(char *out, uint64_t v)
{
	hb_le_put32(out, (uint32_t)v);
	return out + 4;
}

static char *
put64(char *out, uint64_t v)
{
	hb_le_put64(out, v);
	return out + 8;
}

/* --- putting together ----------------------------------------------------- */

static const struct hb_span *
span_of(const struct hb_record *rec, const struct field *field)
{
	return (const struct hb_span *)(const void *)((const char *)rec +
						      field->offset);
}

static bool
has(enum hb_record_kind kind, const struct field *field)
{
	return (field->kinds & KIND_BIT(kind)) != 0;
}

static bool
is_sent(enum hb_record_kind kind)
{
	return (SENT & KIND_BIT(kind)) != 0;
}

enum hb_record_kind
hb_record_kind_of(const struct hb_record *rec)
{
	if (!hb_span_is_set(rec->reason))
		return HB_RECORD_DELIVERY;
	return rec->is_message ? HB_RECORD_MESSAGE : HB_RECORD_BODY;
}

struct hb_span
hb_record_rest(enum hb_record_kind kind, const struct hb_record *rec)
{
	return is_sent(kind) ? rec->value : rec->body;
}

size_t
hb_record_head_size(enum hb_record_kind kind, const struct hb_record *rec)
{
	size_t size = HB_RECORD_FIXED_SIZE;

	for (size_t i = 0; i < HB_COUNT(fields); i++) {
		struct hb_span span = *span_of(rec, &fields[i]);

		if (has(kind, &fields[i]) && hb_span_is_set(span))
			size += FIELD_SIZE + span.len;
	}
	for (size_t i = 0; is_sent(kind) && i < rec->header_count; i++)
		size += FIELD_SIZE + 4 + rec->headers[i].name.len +
			rec->headers[i].value.len;
	return size;
}

static char *
put_fixed(enum hb_record_kind kind, const struct hb_record *rec,
    struct hb_record_hold hold, size_t head_len, char *out)
{
	out[0] = HB_RECORD_VERSION;
	out[1] = (char)kind;
	out[2] = (char)((rec->dedup ? FLAG_DEDUP : 0) |
			(rec->dead_letter ? FLAG_DEAD_LETTER : 0));
	out[3] = 0;
	out = put32(out + 4, head_len);
	out = put64(out, (uint64_t)rec->received_ms);
	out = put64(out, (uint64_t)rec->webhook_timestamp);
	out = put64(out, hold.boot);
	return put64(out, hold.ticket);
}

static char *
put_span(char *out, struct hb_span span)
{
	if (span.len > 0)
		memcpy(out, span.ptr, span.len);
	return out + span.len;
}

static char *
put_tag(char *out, uint8_t tag, size_t len)
{
	*out = (char)tag;
	return put32(out + 1, len);
}

static char *
put_header(char *out, const struct hb_header *header)
{
	out = put_tag(
	    out, TAG_HEADER, 4 + header->name.len + header->value.len);
	out = put32(out, header->name.len);
	out = put_span(out, header->name);
	return put_span(out, header->value);
}

void
hb_record_head_put(enum hb_record_kind kind, const struct hb_record *rec,
    struct hb_record_hold hold, char *out)
{
	out = put_fixed(
	    kind, rec, hold, hb_record_head_size(kind, rec), out);
	for (size_t i = 0; i < HB_COUNT(fields); i++) {
		struct hb_span span = *span_of(rec, &fields[i]);

		if (!has(kind, &fields[i]) || !hb_span_is_set(span))
			continue;
		out = put_tag(out, fields[i].tag, span.len);
		out = put_span(out, span);
	}
	for (size_t i = 0; is_sent(kind) && i < rec->header_count; i++)
		out = put_header(out, &rec->headers[i]);
}

/* --- taking apart --------------------------------------------------------- */

/* The next field of the head; false: rest does not begin with one. */
static bool
next_field(struct hb_span *rest, uint8_t *tag, struct hb_span *content)
{
	uint32_t len;

	if (rest->len < FIELD_SIZE)
		return false;
	len = hb_le_get32(rest->ptr + 1);
	if (len > rest->len - FIELD_SIZE)
		return false;
	*tag = (uint8_t)rest->ptr[0];
	*content = hb_span_make(rest->ptr + FIELD_SIZE, len);
	*rest = hb_span_skip(*rest, FIELD_SIZE + len);
	return true;
}

static const struct field *
find_field(enum hb_record_kind kind, uint8_t tag)
{
	for (size_t i = 0; i < HB_COUNT(fields); i++)
		if (fields[i].tag == tag && has(kind, &fields[i]))
			return &fields[i];
	return NULL;
}

static bool
set_field(struct hb_record *rec, const struct field *field,
    struct hb_span content, struct hb_error *err)
{
	struct hb_span *span =
	    (struct hb_span *)(void *)((char *)rec + field->offset);

	if (hb_span_is_set(*span))
		return hb_fail(
		    err, HB_E_IO, "a record has its %s twice", field->name);
	if (field->max > 0 && content.len > field->max)
		return hb_fail(err, HB_E_IO,
		    "a record's %s has %zu bytes: expected %zu at most",
		    field->name, content.len, field->max);
	*span = content;
	return true;
}

static bool
split_header(struct hb_span content, struct hb_header *header)
{
	uint32_t len;

	if (content.len < 4)
		return false;
	len = hb_le_get32(content.ptr);
	content = hb_span_skip(content, 4);
	if (len > content.len)
		return false;
	header->name = hb_span_make(content.ptr, len);
	header->value = hb_span_skip(content, len);
	return true;
}

/* Counts the headers; where there is an array for them, fills it. */
static bool
take_header(
    struct hb_record *rec, struct hb_span content, struct hb_error *err)
{
	struct hb_header header;

	if (!split_header(content, &header))
		return hb_fail(err, HB_E_IO,
		    "a header of a record is longer than its field");
	if (rec->header_count == HB_RECORD_HEADERS_MAX)
		return hb_fail(err, HB_E_IO,
		    "a record has more than %d headers",
		    HB_RECORD_HEADERS_MAX);
	if (rec->headers != NULL)
		rec->headers[rec->header_count] = header;
	rec->header_count++;
	return true;
}

static void
forget_fields(struct hb_record *rec)
{
	for (size_t i = 0; i < HB_COUNT(fields); i++)
		*(struct hb_span *)(void *)((char *)rec + fields[i].offset) =
		    HB_SPAN_NONE;
	rec->header_count = 0;
}

static bool
take_fields(struct hb_record *rec, enum hb_record_kind kind, size_t head_len,
    struct hb_error *err)
{
	struct hb_span rest =
	    hb_span_make(rec->bytes + HB_RECORD_FIXED_SIZE,
		head_len - HB_RECORD_FIXED_SIZE);
	struct hb_span content;
	const struct field *field;
	uint8_t tag;

	forget_fields(rec);
	while (rest.len > 0) {
		if (!next_field(&rest, &tag, &content))
			return hb_fail(err, HB_E_IO,
			    "a field of a record is longer than its head");
		/* Most fields are headers. */
		if (tag == TAG_HEADER && is_sent(kind)) {
			if (!take_header(rec, content, err))
				return false;
			continue;
		}
		field = find_field(kind, tag);
		if (field != NULL && !set_field(rec, field, content, err))
			return false;
	}
	return true;
}

static bool
check_fields(const struct hb_record *rec, enum hb_record_kind kind,
    struct hb_error *err)
{
	for (size_t i = 0; i < HB_COUNT(fields); i++)
		if (fields[i].must_be && has(kind, &fields[i]) &&
		    !hb_span_is_set(*span_of(rec, &fields[i])))
			return hb_fail(err, HB_E_IO, "a record has no %s",
			    fields[i].name);
	return true;
}

static bool
check_fixed(const char *bytes, size_t len, struct hb_error *err)
{
	if (len > 0 && bytes[0] != HB_RECORD_VERSION)
		return hb_fail(err, HB_E_IO,
		    "a record of version %u; this program reads version %d",
		    (uint8_t)bytes[0], HB_RECORD_VERSION);
	if (len < HB_RECORD_FIXED_SIZE ||
	    hb_le_get32(bytes + 4) < HB_RECORD_FIXED_SIZE ||
	    hb_le_get32(bytes + 4) > len)
		return hb_fail(err, HB_E_IO,
		    "a record of %zu bytes is shorter than its head", len);
	if (bytes[1] < HB_RECORD_DELIVERY || bytes[1] > HB_RECORD_MESSAGE)
		return hb_fail(err, HB_E_IO, "a record of unknown kind %u",
		    (uint8_t)bytes[1]);
	return true;
}

static void
take_fixed(struct hb_record *rec, enum hb_record_kind kind,
    struct hb_record_hold *hold)
{
	unsigned flags = (uint8_t)rec->bytes[2];

	rec->is_message = kind == HB_RECORD_MESSAGE;
	rec->dedup = (flags & FLAG_DEDUP) != 0;
	rec->dead_letter = (flags & FLAG_DEAD_LETTER) != 0;
	rec->received_ms = (int64_t)hb_le_get64(rec->bytes + 8);
	rec->webhook_timestamp = (int64_t)hb_le_get64(rec->bytes + 16);
	rec->body = rec->value = HB_SPAN_NONE;
	rec->headers = NULL;
	hold->boot = hb_le_get64(rec->bytes + 24);
	hold->ticket = hb_le_get64(rec->bytes + 32);
}

/* Room for the headers that were counted, behind the bytes. */
static void
add_headers(struct hb_record *rec, size_t len)
{
	size_t align = _Alignof(struct hb_header);
	size_t at = (len + align - 1) / align * align;

	rec->bytes = hb_xrealloc(
	    rec->bytes, at + rec->header_count * sizeof(*rec->headers));
	rec->headers = (struct hb_header *)(void *)(rec->bytes + at);
}

/* Twice over the fields: spans are made where the bytes are to stay. */
bool
hb_record_get(struct hb_record *rec, size_t len, struct hb_record_hold *hold,
    struct hb_error *err)
{
	enum hb_record_kind kind;
	struct hb_span rest;
	size_t head_len;

	if (!check_fixed(rec->bytes, len, err))
		return false;
	kind = (enum hb_record_kind)rec->bytes[1];
	head_len = hb_le_get32(rec->bytes + 4);
	take_fixed(rec, kind, hold);
	if (!take_fields(rec, kind, head_len, err) ||
	    !check_fields(rec, kind, err))
		return false;
	if (rec->header_count > 0) {
		add_headers(rec, len);
		if (!take_fields(rec, kind, head_len, err))
			hb_bug("a record that has changed");
	}
	rest = hb_span_make(rec->bytes + head_len, len - head_len);
	if (is_sent(kind))
		rec->value = rest;
	else
		rec->body = rest;
	return true;
}

/* --- for readers ---------------------------------------------------------- */

void
hb_record_fini(struct hb_record *rec)
{
	free(rec->bytes);
	rec->bytes = NULL;
	rec->headers = NULL;
}

void
hb_record_message(const struct hb_record *rec,
    const struct hb_target_conf *target, const struct hb_dest_conf *dest,
    struct hb_message *msg)
{
	*msg = (struct hb_message){
	    .target = target,
	    .dest = dest,
	    .key = rec->key,
	    .value = rec->value,
	    .headers = rec->headers,
	    .header_count = rec->header_count,
	    .id = rec->id,
	    .endpoint = rec->endpoint,
	    .dedup = rec->dedup,
	    .dead_letter = rec->dead_letter,
	};
}
