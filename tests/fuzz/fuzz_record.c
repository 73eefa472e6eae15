/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_record.c - a record of the store whose bytes are hostile
 *
 * The input is a record; where it begins with '*', a byte after that is the
 * kind, and what follows are the fields of a head without a mistake in its
 * fixed part. It is taken apart, or refused with a sentence, exactly as the
 * second judge below says, who reads the layout in the simplest way there is.
 *
 * What is taken apart is all within the record's bytes, has what readers rely
 * on, and is put together again: that gives the same spans when it is taken
 * apart, and then the same bytes. */
#include "../../src/store/record.h"
#include "fuzz.h"

/* --- the second judge ----------------------------------------------------- */

static size_t
number(const uint8_t *p)
{
	return p[0] + 256u * p[1] + 65536u * p[2] + 16777216u * p[3];
}

/* Which kinds have a field, by its tag. */
static bool
belongs(unsigned tag, unsigned kind)
{
	if (tag == 4 || tag == 5)
		return kind != 1;
	if (tag >= 6 && tag <= 8)
		return kind == 2;
	if (tag >= 9 && tag <= 13)
		return kind != 2;
	return tag >= 1 && tag <= 3;
}

static bool
is_name(unsigned tag)
{
	return tag == 1 || tag == 4 || (tag >= 9 && tag <= 11);
}

static bool
judge_fields(const uint8_t *p, size_t size, unsigned kind)
{
	unsigned seen[14] = {0};

	while (size > 0) {
		unsigned tag = p[0];
		size_t len = size >= 5 ? number(p + 1) : 0;

		if (size < 5 || len > size - 5)
			return false;
		if (belongs(tag, kind)) {
			if (is_name(tag) && len > 512)
				return false;
			if (tag == 13 &&
			    (len < 4 || number(p + 5) > len - 4))
				return false;
			if (++seen[tag] > (tag == 13 ? 256u : 1u))
				return false;
		}
		p += 5 + len;
		size -= 5 + len;
	}
	return seen[1] > 0 && seen[2] > 0 && (kind == 1 || seen[4] > 0) &&
	       (kind == 2 || (seen[9] > 0 && seen[10] > 0 && seen[11] > 0));
}

static bool
judge(const uint8_t *p, size_t size)
{
	return size >= 40 && p[0] == 1 && p[1] >= 1 && p[1] <= 3 &&
	       number(p + 4) >= 40 && number(p + 4) <= size &&
	       judge_fields(p + 40, number(p + 4) - 40, p[1]);
}

/* --- the record ----------------------------------------------------------- */

static bool
get(const void *data, size_t size, struct hb_record *rec,
    struct hb_record_hold *hold)
{
	struct hb_error err = {HB_OK, NULL, ""};
	bool ok;

	*rec = (struct hb_record){.bytes = hb_xmalloc(size)};
	if (size > 0)
		memcpy(rec->bytes, data, size);
	ok = hb_record_get(rec, size, hold, &err);
	fuzz_require(ok == (err.text[0] == '\0'));
	return ok;
}

static char *
put(const struct hb_record *rec, struct hb_record_hold hold, size_t *size)
{
	enum hb_record_kind kind = hb_record_kind_of(rec);
	size_t head_len = hb_record_head_size(kind, rec);
	struct hb_span rest = hb_record_rest(kind, rec);
	char *bytes = hb_xmalloc(head_len + rest.len);

	hb_record_head_put(kind, rec, hold, bytes);
	if (rest.len > 0)
		memcpy(bytes + head_len, rest.ptr, rest.len);
	*size = head_len + rest.len;
	return bytes;
}

static bool
same(struct hb_span a, struct hb_span b)
{
	return hb_span_is_set(a) == hb_span_is_set(b) && hb_span_eq(a, b);
}

static void
require_same(const struct hb_record *a, const struct hb_record *b)
{
	fuzz_require(same(a->endpoint, b->endpoint));
	fuzz_require(same(a->id, b->id) && same(a->job_id, b->job_id));
	fuzz_require(same(a->reason, b->reason) && same(a->place, b->place));
	fuzz_require(same(a->webhook_id, b->webhook_id));
	fuzz_require(same(a->traceparent, b->traceparent));
	fuzz_require(same(a->tracestate, b->tracestate));
	fuzz_require(same(a->body, b->body) && same(a->value, b->value));
	fuzz_require(same(a->sink_type, b->sink_type));
	fuzz_require(same(a->sink, b->sink) && same(a->name, b->name));
	fuzz_require(same(a->key, b->key));
	fuzz_require(a->received_ms == b->received_ms);
	fuzz_require(a->webhook_timestamp == b->webhook_timestamp);
	fuzz_require(a->is_message == b->is_message);
	fuzz_require(a->dedup == b->dedup && a->dead_letter == b->dead_letter);
	fuzz_require(a->header_count == b->header_count);
	for (size_t i = 0; i < a->header_count; i++)
		fuzz_require(same(a->headers[i].name, b->headers[i].name) &&
			     same(a->headers[i].value, b->headers[i].value));
}

static void
check_again(const struct hb_record *rec, struct hb_record_hold hold)
{
	struct hb_record_hold hold_again;
	struct hb_record again;
	size_t size, size_again;
	char *bytes = put(rec, hold, &size), *bytes_again;

	fuzz_require(judge((const uint8_t *)bytes, size));
	fuzz_require(get(bytes, size, &again, &hold_again));
	require_same(rec, &again);
	fuzz_require(hold.boot == hold_again.boot &&
		     hold.ticket == hold_again.ticket);
	bytes_again = put(&again, hold, &size_again);
	fuzz_require(size == size_again &&
		     memcmp(bytes, bytes_again, size) == 0);
	hb_record_fini(&again);
	free(bytes);
	free(bytes_again);
}

static void
check(const uint8_t *data, size_t size)
{
	struct hb_record_hold hold;
	struct hb_record rec;
	bool ok = get(data, size, &rec, &hold);

	fuzz_require(ok == judge(data, size));
	if (ok)
		check_again(&rec, hold);
	hb_record_fini(&rec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *record;

	if (size < 2 || data[0] != '*') {
		check(data, size);
		return 0;
	}
	record = hb_xcalloc(1, 40 + size - 2);
	record[0] = HB_RECORD_VERSION;
	record[1] = 1 + data[1] % 3;
	for (int i = 0; i < 4; i++)
		record[4 + i] = (uint8_t)((40 + size - 2) >> 8 * i);
	memcpy(record + 40, data + 2, size - 2);
	check(record, 40 + size - 2);
	free(record);
	return 0;
}
