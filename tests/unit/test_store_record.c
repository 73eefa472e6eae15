/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_record.c - records as bytes: what was put together is taken apart
 * again, and what somebody else put together is refused without harm */
#include "store_rig.h"

static const struct hb_record_hold a_hold = {0x1122334455667788, 42};

/* --- records -------------------------------------------------------------- */

static struct hb_header two_headers[] = {
    {{"ce_id", 5}, {"msg_1", 5}}, {{"empty", 5}, {"", 0}}};

/* With all fields that any kind has. */
static struct hb_record
full_record(void)
{
	return (struct hb_record){
	    .endpoint = HB_SPAN("production"),
	    .id = HB_SPAN("msg_1"),
	    .job_id = HB_SPAN("job-1"),
	    .received_ms = -5,
	    .reason = HB_SPAN("too-large"),
	    .place = HB_SPAN("main:a"),
	    .webhook_id = HB_SPAN("msg_1"),
	    .traceparent = HB_SPAN("00-"),
	    .tracestate = HB_SPAN(""),
	    .body = HB_SPAN("{}"),
	    .webhook_timestamp = 1767225600,
	    .sink_type = HB_SPAN("kafka"),
	    .sink = HB_SPAN("main"),
	    .name = HB_SPAN(""),
	    .key = HB_SPAN("key\0key"),
	    .value = HB_SPAN("{\"job_id\":\"job-1\"}"),
	    .headers = two_headers,
	    .header_count = 2,
	    .dedup = true,
	    .dead_letter = true,
	};
}

/* The bytes, malloc'ed. */
static char *
encode(enum hb_record_kind kind, const struct hb_record *rec,
    struct hb_record_hold hold, size_t *len)
{
	size_t head_len = hb_record_head_size(kind, rec);
	struct hb_span rest = hb_record_rest(kind, rec);
	char *bytes = hb_xmalloc(head_len + rest.len + 1);

	hb_record_head_put(kind, rec, hold, bytes);
	if (rest.len > 0)
		memcpy(bytes + head_len, rest.ptr, rest.len);
	*len = head_len + rest.len;
	return bytes;
}

/* A copy that ends where its memory ends. */
static bool
decode(const char *bytes, size_t len, struct hb_record *rec,
    struct hb_record_hold *hold, struct hb_error *err)
{
	*rec = (struct hb_record){.bytes = hb_xmalloc(len)};
	memcpy(rec->bytes, bytes, len);
	return hb_record_get(rec, len, hold, err);
}

static void
expect_span(struct hb_span got, struct hb_span wanted)
{
	assert_int_equal(hb_span_is_set(got), hb_span_is_set(wanted));
	assert_true(hb_span_eq(got, wanted));
}

/* Everything that the kind has. */
static void
expect_same(enum hb_record_kind kind, const struct hb_record *got,
    const struct hb_record *wanted)
{
	bool is_dead = kind != HB_RECORD_DELIVERY;
	bool is_body = kind == HB_RECORD_BODY;
	const struct hb_span none = HB_SPAN_NONE;

	assert_int_equal(hb_record_kind_of(got), kind);
	assert_int_equal(got->is_message, kind == HB_RECORD_MESSAGE);
	assert_int_equal(got->received_ms, wanted->received_ms);
	assert_int_equal(got->webhook_timestamp, wanted->webhook_timestamp);
	assert_int_equal(got->dedup, wanted->dedup);
	assert_int_equal(got->dead_letter, wanted->dead_letter);
	expect_span(got->endpoint, wanted->endpoint);
	expect_span(got->id, wanted->id);
	expect_span(got->job_id, wanted->job_id);
	expect_span(got->reason, is_dead ? wanted->reason : none);
	expect_span(got->place, is_dead ? wanted->place : none);
	expect_span(got->webhook_id, is_body ? wanted->webhook_id : none);
	expect_span(got->traceparent, is_body ? wanted->traceparent : none);
	expect_span(got->tracestate, is_body ? wanted->tracestate : none);
	expect_span(got->body, is_body ? wanted->body : none);
	expect_span(got->sink_type, is_body ? none : wanted->sink_type);
	expect_span(got->sink, is_body ? none : wanted->sink);
	expect_span(got->name, is_body ? none : wanted->name);
	expect_span(got->key, is_body ? none : wanted->key);
	expect_span(got->value, is_body ? none : wanted->value);
	assert_int_equal(
	    got->header_count, is_body ? 0 : wanted->header_count);
	for (size_t i = 0; i < got->header_count; i++) {
		expect_span(got->headers[i].name, wanted->headers[i].name);
		expect_span(got->headers[i].value, wanted->headers[i].value);
	}
}

static void
check_round_trip(enum hb_record_kind kind, const struct hb_record *rec)
{
	struct hb_record_hold hold;
	struct hb_record got;
	struct hb_error err;
	size_t len;
	char *bytes = encode(kind, rec, a_hold, &len);

	if (!decode(bytes, len, &got, &hold, &err))
		fail_msg("%s", err.text);
	expect_same(kind, &got, rec);
	assert_int_equal(hold.boot, a_hold.boot);
	assert_int_equal(hold.ticket, a_hold.ticket);
	hb_record_fini(&got);
	free(bytes);
}

/* --- round trips ---------------------------------------------------------- */

static void
test_full(void **state)
{
	struct hb_record rec = full_record();

	(void)state;
	for (int kind = HB_RECORD_DELIVERY; kind <= HB_RECORD_MESSAGE; kind++)
		check_round_trip((enum hb_record_kind)kind, &rec);
}

/* Absent is not empty. */
static void
test_absent(void **state)
{
	struct hb_record rec = full_record();

	(void)state;
	rec.job_id = rec.place = rec.webhook_id = rec.traceparent =
	    rec.tracestate = rec.key = HB_SPAN_NONE;
	rec.body = rec.value = HB_SPAN("");
	rec.header_count = 0;
	rec.headers = NULL;
	rec.dedup = rec.dead_letter = false;
	for (int kind = HB_RECORD_DELIVERY; kind <= HB_RECORD_MESSAGE; kind++)
		check_round_trip((enum hb_record_kind)kind, &rec);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* Any bytes, absent now and then. */
static struct hb_span
random_span(uint64_t *seed, bool must_be, size_t max)
{
	static char bytes[16][4096];
	static unsigned next;
	char *place = bytes[next++ % HB_COUNT(bytes)];
	size_t len = next_random(seed) % max;

	if (!must_be && next_random(seed) % 3 == 0)
		return HB_SPAN_NONE;
	for (size_t i = 0; i < len; i++)
		place[i] = (char)next_random(seed);
	return hb_span_make(place, len);
}

static void
test_random(void **state)
{
	struct hb_header headers[8];
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct hb_record rec = full_record();
		int kind = 1 + (int)(next_random(&seed) % 3);

		rec.endpoint = random_span(&seed, true, 100);
		rec.id = random_span(&seed, true, 100);
		rec.job_id = random_span(&seed, false, 4000);
		rec.place = random_span(&seed, false, 600);
		rec.name = random_span(&seed, true, 512);
		rec.key = random_span(&seed, false, 1000);
		rec.value = random_span(&seed, true, 4000);
		rec.body = random_span(&seed, true, 4000);
		rec.headers = headers;
		rec.header_count = next_random(&seed) % HB_COUNT(headers);
		for (size_t j = 0; j < rec.header_count; j++) {
			headers[j].name = random_span(&seed, true, 10);
			headers[j].value = HB_SPAN("value");
		}
		check_round_trip((enum hb_record_kind)kind, &rec);
	}
}

/* The layout is what the head of record.c says. */
static void
test_layout(void **state)
{
	static const char wanted[] =
	    "\x01\x01\x01\x00\x56\x00\x00\x00"
	    "\x02\x01\x00\x00\x00\x00\x00\x00"
	    "\x03\x00\x00\x00\x00\x00\x00\x00"
	    "\x88\x77\x66\x55\x44\x33\x22\x11"
	    "\x2a\x00\x00\x00\x00\x00\x00\x00"
	    "\x01\x01\x00\x00\x00" "e"
	    "\x02\x01\x00\x00\x00" "i"
	    "\x09\x01\x00\x00\x00" "t"
	    "\x0a\x01\x00\x00\x00" "s"
	    "\x0b\x00\x00\x00\x00"
	    "\x0d\x0c\x00\x00\x00\x01\x00\x00\x00" "n" "1234567"
	    "value";
	const struct hb_record rec = {.endpoint = HB_SPAN("e"),
	    .id = HB_SPAN("i"),
	    .received_ms = 0x102,
	    .webhook_timestamp = 3,
	    .sink_type = HB_SPAN("t"),
	    .sink = HB_SPAN("s"),
	    .name = HB_SPAN(""),
	    .value = HB_SPAN("value"),
	    .headers = &(struct hb_header){{"n", 1}, {"1234567", 7}},
	    .header_count = 1,
	    .dedup = true};
	size_t len;
	char *bytes = encode(HB_RECORD_DELIVERY, &rec, a_hold, &len);

	(void)state;
	assert_int_equal(len, sizeof(wanted) - 1);
	assert_memory_equal(bytes, wanted, len);
	free(bytes);
}

/* --- hostile bytes -------------------------------------------------------- */

static void
put32(char *bytes, size_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		bytes[at + (size_t)i] = (char)(v >> 8 * i);
}

/* No beginning of a record is one, until all of its head is there. */
static void
test_truncated(void **state)
{
	struct hb_record rec = full_record();

	(void)state;
	for (int kind = HB_RECORD_DELIVERY; kind <= HB_RECORD_MESSAGE;
	     kind++) {
		size_t len;
		size_t head_len =
		    hb_record_head_size((enum hb_record_kind)kind, &rec);
		char *bytes =
		    encode((enum hb_record_kind)kind, &rec, a_hold, &len);

		for (size_t i = 0; i < len; i++) {
			struct hb_record_hold hold;
			struct hb_record got;
			struct hb_error err;
			bool ok = decode(bytes, i, &got, &hold, &err);

			assert_int_equal(ok, i >= head_len);
			hb_record_fini(&got);
			if (i < HB_RECORD_FIXED_SIZE || i >= head_len)
				continue;
			/* Even if the head says it were all. */
			put32(bytes, 4, (uint32_t)i);
			ok = decode(bytes, i, &got, &hold, &err);
			if (ok)
				expect_span(got.endpoint, rec.endpoint);
			hb_record_fini(&got);
			put32(bytes, 4, (uint32_t)head_len);
		}
		free(bytes);
	}
}

/* Each byte, each bit: refused, or a record with all that readers rely on. */
static void
test_flipped(void **state)
{
	struct hb_record rec = full_record();
	size_t len;
	char *bytes = encode(HB_RECORD_MESSAGE, &rec, a_hold, &len);

	(void)state;
	for (size_t i = 0; i < 8 * len; i++) {
		struct hb_record_hold hold;
		struct hb_record got;
		struct hb_error err;

		bytes[i / 8] ^= (char)(1u << i % 8);
		if (decode(bytes, len, &got, &hold, &err)) {
			assert_true(hb_span_is_set(got.endpoint));
			assert_true(hb_span_is_set(got.id));
			assert_true(hb_record_kind_of(&got) ==
					HB_RECORD_BODY ||
				    hb_span_is_set(got.sink));
		} else {
			assert_true(err.text[0] != '\0');
		}
		hb_record_fini(&got);
		bytes[i / 8] ^= (char)(1u << i % 8);
	}
	free(bytes);
}

/* A head with these fields behind its fixed part. */
struct crafted {
	int version, kind;
	const char *fields;
	size_t len;
	const char *error; /* NULL: it is a record */
};

#define FIELDS(text) text, sizeof(text) - 1
#define F_ENDPOINT "\x01\x01\0\0\0e"
#define F_ID "\x02\x01\0\0\0i"
#define F_REASON "\x04\x01\0\0\0r"
#define F_TYPE "\x09\x01\0\0\0t"
#define F_SINK "\x0a\x01\0\0\0s"
#define F_NAME "\x0b\0\0\0\0"
#define F_ALL F_ENDPOINT F_ID F_TYPE F_SINK F_NAME

static const struct crafted table[] = {
    {1, 1, FIELDS(F_ALL), NULL},
    {1, 2, FIELDS(F_ENDPOINT F_ID F_REASON), NULL},
    {1, 3, FIELDS(F_ALL F_REASON), NULL},
    /* Versions and kinds. */
    {2, 1, FIELDS(F_ALL),
	"a record of version 2; this program reads version 1"},
    {0, 1, FIELDS(F_ALL),
	"a record of version 0; this program reads version 1"},
    {255, 1, FIELDS(F_ALL),
	"a record of version 255; this program reads version 1"},
    {1, 0, FIELDS(F_ALL), "a record of unknown kind 0"},
    {1, 4, FIELDS(F_ALL), "a record of unknown kind 4"},
    {1, 200, FIELDS(F_ALL), "a record of unknown kind 200"},
    /* What must be there. */
    {1, 1, FIELDS(F_ID F_TYPE F_SINK F_NAME), "a record has no endpoint"},
    {1, 1, FIELDS(F_ENDPOINT F_TYPE F_SINK F_NAME), "a record has no id"},
    {1, 1, FIELDS(F_ENDPOINT F_ID F_SINK F_NAME),
	"a record has no sink type"},
    {1, 1, FIELDS(F_ENDPOINT F_ID F_TYPE F_NAME), "a record has no sink"},
    {1, 1, FIELDS(F_ENDPOINT F_ID F_TYPE F_SINK), "a record has no name"},
    {1, 2, FIELDS(F_ENDPOINT F_ID), "a record has no reason"},
    {1, 3, FIELDS(F_ALL), "a record has no reason"},
    /* Once, but for headers. */
    {1, 1, FIELDS(F_ALL F_ID), "a record has its id twice"},
    {1, 1, FIELDS(F_ALL "\x0d\x04\0\0\0\0\0\0\0\x0d\x04\0\0\0\0\0\0\0"),
	NULL},
    /* Unknown ones are skipped, and those of other kinds. */
    {1, 1, FIELDS(F_ALL "\x63\x02\0\0\0xx\x63\0\0\0\0"), NULL},
    {1, 1, FIELDS("\0\0\0\0\0" F_ALL F_REASON F_REASON), NULL},
    {1, 2, FIELDS(F_ENDPOINT F_ID F_REASON "\x0d\x01\0\0\0x"), NULL},
    /* Lengths. */
    {1, 1, FIELDS(F_ALL "\x63"),
	"a field of a record is longer than its head"},
    {1, 1, FIELDS(F_ALL "\x63\0\0\0"),
	"a field of a record is longer than its head"},
    {1, 1, FIELDS(F_ALL "\x63\x01\0\0\0"),
	"a field of a record is longer than its head"},
    {1, 1, FIELDS(F_ALL "\x63\xff\xff\xff\xff"),
	"a field of a record is longer than its head"},
    {1, 1, FIELDS(F_ALL "\x63\xfb\xff\xff\xff"),
	"a field of a record is longer than its head"},
    {1, 1, FIELDS(F_ALL "\x0d\x03\0\0\0abc"),
	"a header of a record is longer than its field"},
    {1, 1, FIELDS(F_ALL "\x0d\x05\0\0\0\x02\0\0\0x"),
	"a header of a record is longer than its field"},
    {1, 1, FIELDS(F_ALL "\x0d\x05\0\0\0\xff\xff\xff\xffx"),
	"a header of a record is longer than its field"},
};

static char *
craft(const struct crafted *c, size_t *len)
{
	char *bytes = hb_xcalloc(1, HB_RECORD_FIXED_SIZE + c->len);

	*len = HB_RECORD_FIXED_SIZE + c->len;
	bytes[0] = (char)c->version;
	bytes[1] = (char)c->kind;
	put32(bytes, 4, (uint32_t)*len);
	memcpy(bytes + HB_RECORD_FIXED_SIZE, c->fields, c->len);
	return bytes;
}

static void
test_crafted(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(table); i++) {
		struct hb_record_hold hold;
		struct hb_record got;
		struct hb_error err = {0};
		size_t len;
		char *bytes = craft(&table[i], &len);
		bool ok = decode(bytes, len, &got, &hold, &err);

		if (ok != (table[i].error == NULL) ||
		    (!ok && strcmp(err.text, table[i].error) != 0))
			fail_msg("case %zu: %s", i, ok ? "taken" : err.text);
		hb_record_fini(&got);
		free(bytes);
	}
}

/* The head's own length: what it may be of so many bytes. */
static void
test_head_len(void **state)
{
	static const uint32_t lens[] = {
	    0, 1, HB_RECORD_FIXED_SIZE - 1, 0x7fffffff, 0xffffffff};
	size_t len;
	char *bytes = craft(&table[0], &len);
	struct hb_record_hold hold;
	struct hb_record got;
	struct hb_error err;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(lens); i++) {
		put32(bytes, 4, lens[i]);
		assert_false(decode(bytes, len, &got, &hold, &err));
		hb_record_fini(&got);
	}
	put32(bytes, 4, (uint32_t)len + 1);
	assert_false(decode(bytes, len, &got, &hold, &err));
	hb_record_fini(&got);
	free(bytes);
}

/* Names and headers are bounded: one more is refused. */
static void
test_bounds(void **state)
{
	static char name[HB_RECORD_NAME_MAX + 1];
	static struct hb_header headers[HB_RECORD_HEADERS_MAX + 1];
	struct hb_record rec = full_record();

	(void)state;
	for (unsigned over = 0; over < 3; over++) {
		struct hb_record_hold hold;
		struct hb_record got;
		struct hb_error err;
		size_t len;
		char *bytes;

		rec.name = hb_span_make(
		    name, HB_RECORD_NAME_MAX + (over == 1));
		rec.headers = headers;
		rec.header_count = HB_RECORD_HEADERS_MAX + (over == 2);
		bytes = encode(HB_RECORD_DELIVERY, &rec, a_hold, &len);
		assert_int_equal(
		    decode(bytes, len, &got, &hold, &err), over == 0);
		hb_record_fini(&got);
		free(bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_layout),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_flipped),
	    cmocka_unit_test(test_crafted),
	    cmocka_unit_test(test_head_len),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
