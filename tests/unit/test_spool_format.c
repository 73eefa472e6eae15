/* SPDX-License-Identifier: Apache-2.0 */
/* test_spool_format.c - checksums, and a segment file's bytes put and got */
#include "hookbridge/crc32c.h"
#include "spool_rig.h"

static const struct hb_spool_key key = {0x12345678, 0x9abcdef0};

/* --- checksums ------------------------------------------------------------ */

/* RFC 3720, B.4, and the usual check value. */
static void
test_crc_vectors(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = (uint8_t)(31 - i);
	}
	assert_int_equal(hb_crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(hb_crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(hb_crc32c(0, up, 32), 0x46dd794e);
	assert_int_equal(hb_crc32c(0, down, 32), 0x113fdb5c);
	assert_int_equal(hb_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(hb_crc32c(0, "", 0), 0);
}

/* Both ways, at every length and alignment, in pieces and at once. */
static void
test_crc_ways(void **state)
{
	uint8_t bytes[96];

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; len + from <= sizeof(bytes); len++) {
			uint32_t crc = hb_crc32c(7, bytes + from, len);

			assert_int_equal(
			    crc, hb_crc32c_portable(7, bytes + from, len));
			assert_int_equal(crc,
			    hb_crc32c(hb_crc32c(7, bytes + from, len / 3),
				bytes + from + len / 3, len - len / 3));
		}
}

/* --- header --------------------------------------------------------------- */

static struct hb_spool_header
sample_header(void)
{
	struct hb_spool_header header = {.number = 7,
	    .first_seq = 1000,
	    .file_size = RIG_SEGMENT,
	    .created_ms = 1790000000000,
	    .end_count = 2,
	    .ends = {{6, 8192}, {5, 4096}}};

	memcpy(header.salt, "0123456789abcdef", sizeof(header.salt));
	return header;
}

/* As bytes: structures have gaps. */
static void
compare_headers(
    const struct hb_spool_header *a, const struct hb_spool_header *b)
{
	uint8_t x[HB_SPOOL_BLOCK], y[HB_SPOOL_BLOCK];

	hb_spool_header_put(a, x);
	hb_spool_header_put(b, y);
	assert_memory_equal(x, y, sizeof(x));
}

static void
test_header(void **state)
{
	struct hb_spool_header header = sample_header(), got;
	uint8_t block[HB_SPOOL_BLOCK];

	(void)state;
	hb_spool_header_put(&header, block);
	assert_int_equal(
	    hb_spool_header_get(block, &got), HB_SPOOL_HEADER_GOOD);
	compare_headers(&got, &header);
	header.flags = HB_SPOOL_COMPACTED;
	header.next_seq = 2000;
	hb_spool_header_put(&header, block);
	assert_int_equal(
	    hb_spool_header_get(block, &got), HB_SPOOL_HEADER_GOOD);
	compare_headers(&got, &header);
}

/* Either copy is enough; where both are hurt, nothing is believed. */
static void
test_header_flips(void **state)
{
	struct hb_spool_header header = sample_header(), got;
	uint8_t block[HB_SPOOL_BLOCK];

	(void)state;
	hb_spool_header_put(&header, block);
	for (size_t i = 0; i < HB_SPOOL_HEADER_SIZE; i++) {
		block[i] ^= 0x10;
		assert_int_equal(hb_spool_header_get(block, &got),
		    HB_SPOOL_HEADER_GOOD);
		assert_int_equal(got.number, 7);
		block[HB_SPOOL_HEADER_COPY + i] ^= 0x10;
		assert_int_equal(hb_spool_header_get(block, &got),
		    i >= 8 && i < 12 ? HB_SPOOL_HEADER_FOREIGN
				     : HB_SPOOL_HEADER_BAD);
		block[i] ^= 0x10;
		assert_int_equal(hb_spool_header_get(block, &got),
		    HB_SPOOL_HEADER_GOOD);
		block[HB_SPOOL_HEADER_COPY + i] ^= 0x10;
	}
}

static void
test_header_bounds(void **state)
{
	const struct hb_spool_header good = sample_header();
	struct hb_spool_header cases[10], got;
	uint8_t block[HB_SPOOL_BLOCK];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		cases[i] = good;
	cases[0].flags = 2;
	cases[1].flags = HB_SPOOL_COMPACTED; /* without a range */
	cases[2].next_seq = 2000;	     /* a range without the flag */
	cases[3].first_seq = HB_SPOOL_SEQ_MAX;
	cases[4].file_size = 0;
	cases[5].file_size = RIG_SEGMENT + 1;
	cases[6].file_size = UINT64_MAX - HB_SPOOL_BLOCK + 1;
	cases[7].file_size = HB_SPOOL_BLOCK;
	cases[8].flags = HB_SPOOL_COMPACTED;
	cases[8].next_seq = cases[8].first_seq;
	cases[9].flags = HB_SPOOL_COMPACTED;
	cases[9].next_seq = cases[9].first_seq + UINT32_MAX + 1;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		hb_spool_header_put(&cases[i], block);
		assert_int_equal(
		    hb_spool_header_get(block, &got), HB_SPOOL_HEADER_BAD);
	}
}

/* Another use of the same file has another key. */
static void
test_keys(void **state)
{
	struct hb_spool_header header = sample_header();
	struct hb_spool_key first = hb_spool_header_key(&header), other;

	(void)state;
	header.number++;
	other = hb_spool_header_key(&header);
	assert_int_not_equal(first.seed, other.seed);
	header.number--;
	header.salt[0] ^= 1;
	other = hb_spool_header_key(&header);
	assert_int_not_equal(first.seed, other.seed);
	assert_int_not_equal(first.tag, other.tag);
}

/* --- records -------------------------------------------------------------- */

static void
test_heads(void **state)
{
	const struct hb_spool_head good = {.type = HB_SPOOL_DATA,
	    .lane = 3,
	    .len = 100,
	    .payload_crc = 0xabcdef01,
	    .synced = 4096,
	    .seq = 12345,
	    .appended_ms = 1790000000000};
	struct hb_spool_key other = {key.seed ^ 1, key.tag};
	uint8_t bytes[HB_SPOOL_HEAD_SIZE];
	struct hb_spool_head got;

	(void)state;
	hb_spool_head_put(&good, key, bytes);
	assert_true(hb_spool_head_get(bytes, key, 8192, 60000, &got));
	assert_memory_equal(&got, &good, sizeof(got));
	assert_true(hb_spool_head_get(bytes, key, 8192, 8192 + 144, &got));
	assert_false(hb_spool_head_get(bytes, key, 8192, 8192 + 143, &got));
	assert_false(hb_spool_head_get(bytes, key, 8192, 8000, &got));
	assert_false(hb_spool_head_get(bytes, other, 8192, 60000, &got));
	for (size_t i = 0; i < sizeof(bytes) * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(hb_spool_head_get(bytes, key, 8192, 60000, &got));
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

/* Heads whose checksum is right and whose contents are not. */
static void
test_hostile_heads(void **state)
{
	const struct {
		const char *what;
		struct hb_spool_head head;
		bool good;
	} cases[] = {
	    {"data", {.type = HB_SPOOL_DATA, .len = 1000}, true},
	    {"empty data", {.type = HB_SPOOL_DATA}, true},
	    {"length", {.type = HB_SPOOL_DATA, .len = UINT32_MAX}, false},
	    {"past the end", {.type = HB_SPOOL_DATA, .len = 60000}, false},
	    {"no type", {.len = 8}, false},
	    {"unknown type", {.type = HB_SPOOL_TYPE_END, .len = 8}, false},
	    {"far type", {.type = (enum hb_spool_type)200, .len = 8}, false},
	    {"lane", {.type = HB_SPOOL_DATA, .lane = HB_SPOOL_LANES_MAX},
		false},
	    {"synced later", {.type = HB_SPOOL_DATA, .synced = 8200}, false},
	    {"number", {.type = HB_SPOOL_DATA, .seq = HB_SPOOL_SEQ_MAX}, false},
	    {"one page", {.type = HB_SPOOL_SETTLED, .len = HB_SPOOL_PAGE_SIZE},
		true},
	    {"no page", {.type = HB_SPOOL_SETTLED}, false},
	    {"half a page", {.type = HB_SPOOL_SETTLED, .len = 260}, false},
	    {"too many pages",
		{.type = HB_SPOOL_SETTLED,
		    .len = HB_SPOOL_SMALL_MAX + HB_SPOOL_PAGE_SIZE},
		false},
	    {"name", {.type = HB_SPOOL_LANE, .len = HB_SPOOL_NAME_MAX}, true},
	    {"no name", {.type = HB_SPOOL_LANE}, false},
	    {"long name", {.type = HB_SPOOL_LANE, .len = HB_SPOOL_NAME_MAX + 1},
		false},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		uint8_t bytes[HB_SPOOL_HEAD_SIZE];
		struct hb_spool_head got;

		hb_spool_head_put(&cases[i].head, key, bytes);
		if (hb_spool_head_get(bytes, key, 8192, 60000, &got) !=
		    cases[i].good)
			fail_msg("%s", cases[i].what);
	}
}

/* --- footers -------------------------------------------------------------- */

static void
test_entries(void **state)
{
	const struct {
		struct hb_spool_entry entry;
		bool good;
	} cases[] = {
	    {{.offset = 4096, .seq = 1000, .len = 0, .lane = 0}, true},
	    {{.offset = 8192, .seq = 1007, .len = 100, .lane = 4095}, true},
	    {{.offset = 59856, .seq = 1000, .len = 104, .lane = 0}, true},
	    {{.offset = 59856, .seq = 1000, .len = 105, .lane = 0}, false},
	    {{.offset = 4088, .seq = 1000, .len = 0, .lane = 0}, false},
	    {{.offset = 60008, .seq = 1000, .len = 0, .lane = 0}, false},
	    {{.offset = 8192, .seq = 1000, .len = UINT32_MAX}, false},
	    {{.offset = 8192, .seq = 1000, .lane = 4096}, false},
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		uint8_t bytes[HB_SPOOL_ENTRY_SIZE];
		struct hb_spool_entry got;
		bool good;

		hb_spool_entry_put(&cases[i].entry, 1000, bytes);
		good = hb_spool_entry_get(bytes, 1000, 60000, &got);
		assert_int_equal(good, cases[i].good);
		if (good)
			assert_memory_equal(
			    &got, &cases[i].entry, sizeof(got));
	}
}

static void
test_names(void **state)
{
	uint8_t bytes[16];
	struct hb_span rest, name;

	(void)state;
	hb_spool_name_put(HB_SPAN("lane"), bytes);
	for (size_t len = 0; len < 6; len++) {
		rest = hb_span_make((char *)bytes, len);
		assert_false(hb_spool_name_get(&rest, &name));
	}
	rest = hb_span_make((char *)bytes, 7);
	assert_true(hb_spool_name_get(&rest, &name));
	assert_true(hb_span_eq(name, HB_SPAN("lane")));
	assert_int_equal(rest.len, 1);
	memset(bytes, 0, sizeof(bytes));
	rest = hb_span_make((char *)bytes, sizeof(bytes));
	assert_false(hb_spool_name_get(&rest, &name)); /* empty */
	memset(bytes, 0xff, 2);
	assert_false(hb_spool_name_get(&rest, &name)); /* endless */
}

static void
test_settled_pages(void **state)
{
	struct hb_spool_settled settled = {.number = 5}, got;
	uint8_t bytes[HB_SPOOL_PAGE_SIZE];

	(void)state;
	settled.words[0] = 0x8000000000000001;
	settled.words[63] = 0x0123456789abcdef;
	hb_spool_settled_put(&settled, bytes);
	assert_int_equal(bytes[8], 1);
	assert_int_equal(bytes[15], 0x80);
	assert_true(hb_spool_settled_get(bytes, &got));
	assert_memory_equal(&got, &settled, sizeof(got));
	settled.number = HB_SPOOL_SEQ_MAX / HB_SPOOL_PAGE_SEQS;
	hb_spool_settled_put(&settled, bytes);
	assert_false(hb_spool_settled_get(bytes, &got));
}

static void
test_trailers(void **state)
{
	const struct hb_spool_header header = sample_header();
	const struct hb_spool_key ours = hb_spool_header_key(&header);
	const struct hb_spool_trailer good = {.number = 7,
	    .end = 8192,
	    .next_seq = 1010,
	    .entry_count = 10,
	    .page_count = 1,
	    .lane_count = 1,
	    .footer_len = 690,
	    .footer_crc = 1};
	struct hb_spool_trailer cases[9], got;
	uint8_t bytes[HB_SPOOL_TRAILER_SIZE], again[HB_SPOOL_TRAILER_SIZE];

	(void)state;
	hb_spool_trailer_put(&good, ours, bytes);
	assert_true(hb_spool_trailer_get(bytes, &header, &got));
	hb_spool_trailer_put(&got, ours, again);
	assert_memory_equal(bytes, again, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 0x40;
		assert_false(hb_spool_trailer_get(bytes, &header, &got));
		bytes[i] ^= 0x40;
	}
	for (size_t i = 0; i < HB_COUNT(cases); i++)
		cases[i] = good;
	cases[0].number = 8;
	cases[1].end = 4095;
	cases[2].end = UINT64_MAX;
	cases[3].footer_len = UINT32_MAX;
	cases[4].entry_count = 11; /* longer than the footer */
	cases[5].page_count = UINT32_MAX;
	cases[6].lane_count = UINT32_MAX;
	cases[7].next_seq = 999;
	cases[8].next_seq = HB_SPOOL_SEQ_MAX;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		hb_spool_trailer_put(&cases[i], ours, bytes);
		assert_false(hb_spool_trailer_get(bytes, &header, &got));
	}
}

/* --- sets of numbers ------------------------------------------------------ */

#define RANGE (5 * HB_SPOOL_PAGE_SEQS)

static void
compare_sets(struct hb_spool_bits *bits, const bool *has)
{
	for (uint64_t seq = 0; seq < RANGE; seq++)
		assert_int_equal(hb_spool_bits_has(bits, seq), has[seq]);
	for (uint64_t page = 0; page < 6; page++) {
		struct hb_spool_settled settled;
		const uint64_t limit = RANGE - 1000;

		hb_spool_bits_get_settled(bits, page, limit, &settled);
		for (uint64_t i = 0; i < HB_SPOOL_PAGE_SEQS; i++) {
			uint64_t seq = page * HB_SPOOL_PAGE_SEQS + i;

			assert_int_equal(settled.words[i / 64] >> i % 64 & 1,
			    seq < limit && !has[seq]);
		}
	}
}

/* Against a plain array. */
static void
test_bits(void **state)
{
	bool *has = hb_xcalloc(RANGE, sizeof(*has));
	struct hb_spool_bits bits = {0}, copy = {0};
	uint64_t number, random = 1;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint64_t seq;

		random = random * 6364136223846793005u + 1442695040888963407u;
		seq = (random >> 33) % RANGE;
		if ((random >> 20 & 3) != 0 && i < 25000)
			assert_int_equal(
			    hb_spool_bits_add(&bits, seq), !has[seq]);
		else
			assert_int_equal(
			    hb_spool_bits_remove(&bits, seq), has[seq]);
		has[seq] = (random >> 20 & 3) != 0 && i < 25000;
		if (i % 10 == 0)
			hb_spool_bits_unmark(&bits, &number);
	}
	compare_sets(&bits, has);
	assert_true(hb_spool_bits_count_beyond(&bits, &copy) > 0);
	for (uint64_t page = 0; page < 5; page++) {
		struct hb_spool_settled settled;

		hb_spool_bits_get_settled(&bits, page, RANGE, &settled);
		hb_spool_bits_add_settled(&copy, &settled);
	}
	for (uint64_t seq = 0; seq < RANGE; seq++)
		assert_int_equal(hb_spool_bits_has(&copy, seq), !has[seq]);
	/* Pages without members go, once nobody marked them. */
	for (uint64_t seq = 0; seq < RANGE; seq++)
		hb_spool_bits_remove(&bits, seq);
	while (hb_spool_bits_unmark(&bits, &number))
		assert_true(number < 5);
	assert_int_equal(bits.page_count, 0);
	hb_spool_bits_fini(&bits);
	hb_spool_bits_fini(&copy);
	free(has);
}

/* Far apart, many: the table grows. */
static void
test_sparse_bits(void **state)
{
	struct hb_spool_bits bits = {0};

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(hb_spool_bits_add(&bits, i * 1000003));
	for (uint64_t i = 0; i < 1000; i++) {
		assert_true(hb_spool_bits_has(&bits, i * 1000003));
		assert_false(hb_spool_bits_has(&bits, i * 1000003 + 1));
		assert_false(hb_spool_bits_add(&bits, i * 1000003));
	}
	assert_int_equal(bits.page_count, 1000);
	hb_spool_bits_fini(&bits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_crc_vectors),
	    cmocka_unit_test(test_crc_ways),
	    cmocka_unit_test(test_header),
	    cmocka_unit_test(test_header_flips),
	    cmocka_unit_test(test_header_bounds),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_heads),
	    cmocka_unit_test(test_hostile_heads),
	    cmocka_unit_test(test_entries),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_settled_pages),
	    cmocka_unit_test(test_trailers),
	    cmocka_unit_test(test_bits),
	    cmocka_unit_test(test_sparse_bits),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
