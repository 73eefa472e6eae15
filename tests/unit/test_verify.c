/* SPDX-License-Identifier: Apache-2.0 */
/* test_verify.c - the signature vectors, rotation, limits, clocks, addresses
 *
 * Every request of the vectors is taken through all steps, its body fed whole,
 * byte by byte and in odd pieces; the reason must be the vector's. */
#include "verify_rig.h"

#define CASES 47

#define K1 "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define K2 "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
#define P1 "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
/* Two other public keys: of RFC 8032, section 7.1. */
#define P2 "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define P3 "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
#define ID "msg_37dGapcZYuqcWpx0LNu2FzMy27h"
#define T 1767225600
#define STAMP "1767225600"
#define BODY                                                       \
	"{\"status\":\"Completed\",\"job_id\":\"7f9c24e8-3b12-4c1f-" \
	"9a56-2d1e0b7c8a90\",\"metadata\":{\"user_id\":\"12345\","   \
	"\"document_type\":\"invoice\"}}"
#define S1 "v1,K9QplT+08aktAzeyjc846ELkV/NXeZDxI4Hh1XPBYu4="
#define S2 "v1,9mBPYsCrMXXO3hgvrVdVeoaqm3TvfcI7Uy1ZAz53qH0="
#define A1                                                     \
	"v1a,km+2riOkp6WUWcH+77mjYLZrrMyM+yoU3ku+c0JmFu5y35a12Z2XQ5bA0IFC" \
	"Voj+MOR06n87g3KYACo0bIM1Dw=="
/* Of the right shape, and of nobody. */
#define SX "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define AX                                                     \
	"v1a,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAA=="

/* A request of mode svix, two seconds old. */
static void
svix_init(struct rig *rig, const char *keys)
{
	rig_init(rig, HB_MODE_SVIX);
	rig_keys(rig, keys);
	rig_ready(rig);
	rig->now_ms = (T + 2) * INT64_C(1000);
}

static void
svix_headers(struct rig *rig, const char *id, const char *stamp,
    const char *signature)
{
	rig->head.header_count = 0;
	rig_header(rig, "Host", "hooks.example.com");
	rig_header(rig, "svix-id", id);
	rig_header(rig, "svix-timestamp", stamp);
	rig_header(rig, "svix-signature", signature);
}

static const char *
svix_verify(struct rig *rig, const char *signature)
{
	svix_headers(rig, ID, STAMP, signature);
	return rig_verify(rig, BODY, strlen(BODY), RIG_WHOLE);
}

/* "v1,…" of K1 over anything. */
static void
sign(const char *id, const char *stamp, char out[48])
{
	uint8_t key[64], digest[HB_SHA256_SIZE];
	long len = hb_base64_decode(
	    hb_span_skip(HB_SPAN(K1), strlen("whsec_")), key, sizeof(key));
	struct hb_hmac_key *prepared = hb_hmac_key_new(key, (size_t)len);
	struct hb_hmac *mac = hb_hmac_new();

	hb_hmac_begin(mac, prepared);
	hb_hmac_update(mac, id, strlen(id));
	hb_hmac_update(mac, ".", 1);
	hb_hmac_update(mac, stamp, strlen(stamp));
	hb_hmac_update(mac, "." BODY, strlen("." BODY));
	hb_hmac_final(mac, digest);
	memcpy(out, "v1,", 3);
	hb_base64_encode(digest, sizeof(digest), out + 3);
	out[47] = '\0';
	hb_hmac_free(mac);
	hb_hmac_key_free(prepared);
}

/* --- the vectors ---------------------------------------------------------- */

static char *
generated_body(const json_t *gen, size_t *len)
{
	const char *prefix = rig_text(gen, "prefix");
	const char *suffix = rig_text(gen, "suffix");
	size_t count =
	    (size_t)json_integer_value(json_object_get(gen, "count"));
	uint8_t digest[HB_SHA256_SIZE];
	char hex[2 * HB_SHA256_SIZE], *body;

	*len = strlen(prefix) + count + strlen(suffix);
	assert_int_equal(*len,
	    json_integer_value(json_object_get(gen, "length")));
	body = hb_xmalloc(*len);
	memcpy(body, prefix, strlen(prefix));
	memset(body + strlen(prefix), rig_text(gen, "repeat")[0], count);
	memcpy(body + *len - strlen(suffix), suffix, strlen(suffix));
	hb_sha256(hb_span_make(body, *len), digest);
	hb_hex(digest, sizeof(digest), hex);
	assert_memory_equal(hex, rig_text(gen, "sha256"), sizeof(hex));
	return body;
}

static char *
case_body(const json_t *vector, size_t *len)
{
	const json_t *gen = json_object_get(vector, "body_gen");
	struct hb_span text;
	uint8_t *body;
	long decoded;

	if (gen != NULL)
		return generated_body(gen, len);
	text = hb_span_of(rig_text(vector, "body_base64"));
	assert_non_null(text.ptr);
	body = hb_xmalloc(text.len + 1);
	decoded = hb_base64_decode(text, body, text.len);
	assert_int_equal(decoded,
	    json_integer_value(json_object_get(vector, "body_length")));
	*len = (size_t)decoded;
	return (char *)body;
}

/* The endpoint, the headers in their order, the time. */
static void
case_init(struct rig *rig, const json_t *vector, int64_t tolerance)
{
	const json_t *list;
	size_t i;
	json_t *item;

	rig_init(rig, HB_MODE_SVIX);
	list = json_object_get(vector, "keys");
	assert_true(json_array_size(list) > 0);
	json_array_foreach(list, i, item)
		rig_secrets(rig, &rig->endpoint.secrets,
		    json_string_value(item));
	rig_keys(rig, NULL);
	rig->endpoint.tolerance_ms = (uint64_t)tolerance * 1000;
	rig_ready(rig);
	rig->now_ms =
	    json_integer_value(json_object_get(vector, "now")) * 1000;
	json_array_foreach(json_object_get(vector, "headers"), i, item)
		rig_header(rig, json_string_value(json_array_get(item, 0)),
		    json_string_value(json_array_get(item, 1)));
}

static void
run_case(const json_t *vector, int64_t tolerance)
{
	const json_t *expect = json_object_get(vector, "expect");
	const char *reason = rig_text(expect, "reason");
	struct rig rig;
	size_t len;
	char *body = case_body(vector, &len);

	case_init(&rig, vector, tolerance);
	for (int feed = RIG_WHOLE; feed < RIG_FEEDS; feed++) {
		const char *got;

		if (feed == RIG_BYTES && len > 4096)
			continue;
		got = rig_verify(&rig, body, len, (enum rig_feed)feed);
		if (strcmp(got, reason) != 0)
			fail_msg("%s, fed %d: %s instead of %s",
			    rig_text(vector, "name"), feed, got, reason);
		if (strcmp(got, "ok") != 0)
			continue;
		assert_int_equal(rig.verified.body_len, len);
		assert_true(len == 0 || memcmp(rig.body, body, len) == 0);
	}
	assert_int_equal(strcmp(reason, "ok") == 0,
	    strcmp(rig_text(expect, "verify"), "ok") == 0);
	rig_fini(&rig);
	free(body);
}

static void
test_vectors(void **state)
{
	json_t *root = rig_vectors(), *vector;
	const json_t *cases = json_object_get(root, "cases");
	int64_t tolerance =
	    json_integer_value(json_object_get(root, "tolerance_seconds"));
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(cases), CASES);
	json_array_foreach(cases, i, vector)
		run_case(vector, tolerance);
	json_decref(root);
}

/* Every word of the vectors is a label value, and none occurs twice. */
static void
test_reasons(void **state)
{
	json_t *root = rig_vectors(), *word;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(root, "reasons"), i, word)
		assert_int_equal(rig_is_reason(json_string_value(word)),
		    strcmp(json_string_value(word), "ok") != 0);
	for (i = 0; hb_verify_reasons[i] != NULL; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(hb_verify_reasons[i],
			    hb_verify_reasons[j]);
	json_decref(root);
}

/* --- keys and signatures -------------------------------------------------- */

#define TIMES4(x) x " " x " " x " " x
#define TIMES15(x) TIMES4(x) " " TIMES4(x) " " TIMES4(x) " " x " " x " " x

static const struct {
	const char *keys, *signature, *reason;
	unsigned key;
} signature_cases[] = {
	/* rotation: the newest key that matches is named */
	{ K1, S1, "ok", 0 },
	{ K1 "|" K2, S1, "ok", 0 },
	{ K1 "|" K2, S2, "ok", 1 },
	{ K1 "|" K2, S1 " " S2, "ok", 0 },
	{ K1 "|" K2, S2 " " S1, "ok", 0 },
	{ K2 "|" K1, S1 " " S2, "ok", 0 },
	{ K2 "|" K1, S1, "ok", 1 },
	{ K1 "|" K1, S1, "ok", 0 },
	{ K2 "|" K2 "|" K2 "|" K2 "|" K2 "|" K2 "|" K2 "|" K1, S1, "ok", 7 },
	{ K1 "|" K2, SX, "no_matching_signature", 0 },
	/* the list */
	{ K1, SX " " S1, "ok", 0 },
	{ K1, S1 " " SX, "ok", 0 },
	{ K1, "v2,x , x, ,x x v1 " S1, "ok", 0 },
	{ K1, S1 ",x", "no_matching_signature", 0 },
	{ K1, "x," S1, "no_matching_signature", 0 },
	{ K1, "V" "1,K9QplT+08aktAzeyjc846ELkV/NXeZDxI4Hh1XPBYu4=",
	    "no_matching_signature", 0 },
	{ K1, "v1a,K9QplT+08aktAzeyjc846ELkV/NXeZDxI4Hh1XPBYu4=",
	    "no_matching_signature", 0 },
	{ K1, "v1,K9QplT+08aktAzeyjc846ELkV/NXeZDxI4Hh1XPBYu5=",
	    "no_matching_signature", 0 },
	{ K1, "v1,K9QplT-08aktAzeyjc846ELkV_NXeZDxI4Hh1XPBYu4=",
	    "no_matching_signature", 0 },
	{ K1, S1 "\t" SX, "no_matching_signature", 0 },
	{ K1, "   ", "no_matching_signature", 0 },
	{ K1, "garbage", "no_matching_signature", 0 },
	/* sixteen entries, and what is none does not count */
	{ K1, TIMES15(SX) " " S1, "ok", 0 },
	{ K1, TIMES15("v3,x") " " S1, "ok", 0 },
	{ K1, TIMES15("x") " " TIMES15("x") " " S1, "ok", 0 },
	{ K1, TIMES15(SX) " " SX " " S1, "no_matching_signature", 0 },
	{ K1, S1 " " TIMES15("v3,x") " v3,x", "no_matching_signature", 0 },
	/* Ed25519: two entries, two keys */
	{ P1, A1, "ok", 0 },
	{ P1, AX " " A1, "ok", 0 },
	{ P1, A1 " " AX, "ok", 0 },
	{ P1, AX " " AX " " A1, "no_matching_signature", 0 },
	{ P1, "v1a,AAAA v1a,AAAA v1a,AAAA " A1, "ok", 0 },
	{ P2 "|" P1, A1, "ok", 1 },
	{ P1 "|" P1, A1, "ok", 0 },
	{ P2 "|" P3 "|" P1, A1, "no_matching_signature", 0 },
	{ P2 "|" K1 "|" P1, A1, "ok", 2 },
	/* strict base64 of 64 bytes */
	{ P1,
	    "v1a,km+2riOkp6WUWcH+77mjYLZrrMyM+yoU3ku+c0JmFu5y35a12Z2XQ5bA0IFC"
	    "Voj+MOR06n87g3KYACo0bIM1Dw", "no_matching_signature", 0 },
	{ P1,
	    "v1a,km+2riOkp6WUWcH+77mjYLZrrMyM+yoU3ku+c0JmFu5y35a12Z2XQ5bA0IFC"
	    "Voj+MOR06n87g3KYACo0bIM1Dx==", "no_matching_signature", 0 },
	{ P1,
	    "v1a,km+2riOkp6WUWcH+77mjYLZrrMyM+yoU3ku+c0JmFu5y35a12Z2XQ5bA0IFC"
	    "Voj+MOR06n87g3KYACo0bIM1DwAA", "no_matching_signature", 0 },
	/* kinds do not mix; HMAC comes first */
	{ K1, A1, "no_matching_signature", 0 },
	{ P1, S1, "no_matching_signature", 0 },
	{ P1 "|" K1, A1 " " S1, "ok", 1 },
	{ P1 "|" K1, A1 " " SX, "ok", 0 },
	{ P1 "|" K1, A1, "ok", 0 },
	{ P1 "|" K1, AX " " S1, "ok", 1 },
};

static void
test_signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(signature_cases); i++) {
		struct rig rig;
		const char *got;

		svix_init(&rig, signature_cases[i].keys);
		got = svix_verify(&rig, signature_cases[i].signature);
		if (strcmp(got, signature_cases[i].reason) != 0)
			fail_msg("case %zu: %s instead of %s", i, got,
			    signature_cases[i].reason);
		if (strcmp(got, "ok") == 0) {
			assert_int_equal(rig.verified.key,
			    signature_cases[i].key);
			assert_true(hb_span_eq(rig.verified.webhook_id,
			    HB_SPAN(ID)));
			assert_int_equal(rig.verified.webhook_timestamp, T);
		}
		rig_fini(&rig);
	}
}

/* What can never match is refused before the body, all else after it. */
static void
test_refused_early(void **state)
{
	static const struct {
		const char *stamp, *signature;
		bool early;
	} cases[] = {
		{ STAMP, SX, false },
		{ STAMP, AX, false },
		{ STAMP, "v1,", true },
		{ STAMP, "v3,x", true },
		{ STAMP, "v1a,AAAA", true },
		{ STAMP, S1 " " TIMES15(SX) " " SX, true },
		{ "1767225000", S1, true },
		{ "x", S1, true },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_verify *attempt;
		struct rig rig;

		svix_init(&rig, K1);
		svix_headers(&rig, ID, cases[i].stamp, cases[i].signature);
		attempt = rig_begin(&rig);
		assert_int_equal(attempt == NULL, cases[i].early);
		if (attempt != NULL)
			hb_verify_abandon(attempt);
		rig_fini(&rig);
	}
}

/* --- headers -------------------------------------------------------------- */

#define TEN "abcdefghij"
#define ID_126 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "abcdef"

static const struct {
	const char *id, *stamp, *reason;
	int64_t now;
} head_cases[] = {
	{ "x", STAMP, "ok", T },
	{ ID_126 "yz", STAMP, "ok", T },
	{ ID_126 "xyz", STAMP, "bad_id", T },
	{ "!#$%&'()*+,-/:;<=>?@[]^_`{|}~", STAMP, "ok", T },
	{ "a b", STAMP, "bad_id", T },
	{ "a\tb", STAMP, "bad_id", T },
	{ "a.b", STAMP, "bad_id", T },
	{ ".", STAMP, "bad_id", T },
	{ "a\x7f", STAMP, "bad_id", T },
	{ "\xc3\xa4", STAMP, "bad_id", T },
	{ "", STAMP, "missing_header", T },
	{ ID, "", "missing_header", T },
	{ ID, "1", "ok", 1 },
	{ ID, "9", "ok", 300 },
	{ ID, "0", "bad_timestamp", 0 },
	{ ID, "00", "bad_timestamp", 0 },
	{ ID, "999999999999999", "ok", INT64_C(999999999999999) },
	{ ID, "1000000000000000", "bad_timestamp", INT64_C(999999999999999) },
	{ ID, "1767225600.0", "bad_timestamp", T },
	{ ID, "0x6955b900", "bad_timestamp", T },
	{ ID, "1767225600 ", "bad_timestamp", T },
	{ ID, "176722560\xd9\xa0", "bad_timestamp", T },
	/* the edges, whole seconds */
	{ ID, STAMP, "ok", T + 300 },
	{ ID, STAMP, "ok", T - 300 },
	{ ID, STAMP, "timestamp_too_old", T + 301 },
	{ ID, STAMP, "timestamp_too_new", T - 301 },
	{ ID, "999999999999999", "timestamp_too_new", T },
	{ ID, "1", "timestamp_too_old", T },
};

static void
test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(head_cases); i++) {
		char signature[48];
		struct rig rig;
		const char *got;

		svix_init(&rig, K1);
		rig.now_ms = head_cases[i].now * 1000;
		sign(head_cases[i].id, head_cases[i].stamp, signature);
		svix_headers(&rig, head_cases[i].id, head_cases[i].stamp,
		    signature);
		got = rig_verify(&rig, BODY, strlen(BODY), RIG_WHOLE);
		if (strcmp(got, head_cases[i].reason) != 0)
			fail_msg("case %zu: %s instead of %s", i, got,
			    head_cases[i].reason);
		rig_fini(&rig);
	}
}

/* A second one of any of the six names is refused, in the other family too,
 * even an empty one. */
static void
test_repeated_headers(void **state)
{
	static const char *const names[] = { "svix-id", "svix-timestamp",
		"svix-signature", "webhook-id", "webhook-timestamp",
		"webhook-signature" };
	static const char *const again[] = { "SVIX-ID", "Svix-Timestamp",
		"svix-signature", "Webhook-Id", "webhook-TIMESTAMP",
		"WEBHOOK-SIGNATURE" };

	(void)state;
	for (size_t i = 0; i < HB_COUNT(names); i++) {
		struct rig rig;

		svix_init(&rig, K1);
		svix_headers(&rig, ID, STAMP, S1);
		if (i >= 3)
			rig_header(&rig, names[i], "");
		assert_string_equal(
		    rig_verify(&rig, BODY, strlen(BODY), RIG_WHOLE), "ok");
		rig_header(&rig, again[i], "");
		assert_string_equal(
		    rig_verify(&rig, BODY, strlen(BODY), RIG_WHOLE),
		    "duplicate_header");
		rig_fini(&rig);
	}
}

/* A complete svix-* family that does not match is the last word. */
static void
test_no_second_family(void **state)
{
	struct rig rig;

	(void)state;
	svix_init(&rig, K1);
	svix_headers(&rig, ID, STAMP, SX);
	rig_header(&rig, "webhook-id", ID);
	rig_header(&rig, "webhook-timestamp", STAMP);
	rig_header(&rig, "webhook-signature", S1);
	assert_string_equal(rig_verify(&rig, BODY, strlen(BODY), RIG_WHOLE),
	    "no_matching_signature");
	rig.headers[3].value = HB_SPAN("");
	assert_string_equal(rig_verify(&rig, BODY, strlen(BODY), RIG_WHOLE),
	    "ok");
	rig_fini(&rig);
}

/* --- clocks --------------------------------------------------------------- */

/* In milliseconds, around T: head and last byte. */
static const struct {
	uint64_t tolerance_ms;
	int64_t begin, end;
	const char *reason;
} age_cases[] = {
	{ 300000, 2000, 300999, "ok" },
	{ 300000, 300999, 300999, "ok" },
	{ 300000, 300999, 301000, "timestamp_too_old" },
	{ 300000, 2000, 900000, "timestamp_too_old" },
	{ 300000, -300000, -300000, "ok" },
	{ 300000, -300001, -300000, "timestamp_too_new" },
	{ 300000, -300000, -300001, "timestamp_too_new" },
	{ 10000, 10999, 10999, "ok" },
	{ 10000, 11000, 11000, "timestamp_too_old" },
	{ 10000, 10999, 11000, "timestamp_too_old" },
	{ 1999, 1999, 1999, "ok" },
	{ 1999, 2000, 2000, "timestamp_too_old" },
};

static void
test_ages(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(age_cases); i++) {
		struct rig rig;
		const char *got;

		svix_init(&rig, K1);
		rig.endpoint.tolerance_ms = age_cases[i].tolerance_ms;
		rig.now_ms = T * INT64_C(1000) + age_cases[i].begin;
		rig.end_ms = T * INT64_C(1000) + age_cases[i].end;
		got = svix_verify(&rig, S1);
		if (strcmp(got, age_cases[i].reason) != 0)
			fail_msg("case %zu: %s instead of %s", i, got,
			    age_cases[i].reason);
		rig_fini(&rig);
	}
}

static void
test_age_is_told(void **state)
{
	struct rig rig;

	(void)state;
	svix_init(&rig, K1);
	rig.now_ms = (T + 312) * INT64_C(1000);
	svix_verify(&rig, S1);
	assert_string_equal(rig.err.text,
	    "message timestamp too old (by 12 s)");
	rig.now_ms = (T - 307) * INT64_C(1000);
	svix_verify(&rig, S1);
	assert_string_equal(rig.err.text,
	    "message timestamp too new (by 7 s)");
	rig_fini(&rig);
}

/* --- many at a time ------------------------------------------------------- */

#define OPEN 400 /* more than a bench keeps spares */

/* Bodies of many requests arrive in turns, some are abandoned midway; all
 * contexts come from one bench, in an order that changes between rounds. */
static void
test_interleaved(void **state)
{
	static const char *const signatures[] = { S1, S2, SX, A1 };
	struct hb_verify *open[OPEN];
	struct rig rig[HB_COUNT(signatures)];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(rig); i++) {
		svix_init(&rig[i], i < 2 ? K1 "|" K2 : K2 "|" P1 "|" K1);
		svix_headers(&rig[i], ID, STAMP, signatures[i]);
	}
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < OPEN; i++) {
			struct rig *r = &rig[i % HB_COUNT(rig)];

			open[i] = hb_verify_begin(r->verifier, rig[0].bench,
			    &r->head, &r->peer, HB_SPAN_NONE, r->now_ms, NULL);
			assert_non_null(open[i]);
		}
		for (size_t at = 0; at < strlen(BODY); at += 16)
			for (size_t i = 0; i < OPEN; i++)
				hb_verify_update(open[i], &BODY[at],
				    strlen(BODY) - at < 16 ? strlen(BODY) - at
							   : 16);
		for (size_t i = 0; i < OPEN; i++) {
			static const unsigned keys[] = { 0, 1, 0, 1 };
			char body[] = BODY;
			struct rig *r = &rig[i % HB_COUNT(rig)];
			bool ok;

			if ((i + round) % 7 == 0) {
				hb_verify_abandon(open[i]);
				continue;
			}
			ok = hb_verify_finish(open[i], body, strlen(body),
			    r->now_ms, &r->verified, &r->err);
			assert_int_equal(ok, i % HB_COUNT(rig) != 2);
			if (ok)
				assert_int_equal(r->verified.key,
				    keys[i % HB_COUNT(rig)]);
		}
	}
	for (size_t i = 0; i < HB_COUNT(rig); i++)
		rig_fini(&rig[i]);
}

/* What an abandoned attempt has hashed is not in the next one's hash. */
static void
test_abandoned(void **state)
{
	struct hb_verify *attempt, *again;
	struct rig rig;

	(void)state;
	svix_init(&rig, K1);
	svix_headers(&rig, ID, STAMP, S1);
	attempt = rig_begin(&rig);
	hb_verify_update(attempt, "garbage", 7);
	hb_verify_abandon(attempt);
	again = rig_begin(&rig);
	assert_ptr_equal(again, attempt);
	hb_verify_abandon(again);
	assert_string_equal(svix_verify(&rig, S1), "ok");
	rig_fini(&rig);
}

/* --- addresses ------------------------------------------------------------ */

static const struct {
	const char *list; /* ADDRESS/BITS, IPv4 as mapped */
	const char *peer;
	bool allowed;
} address_cases[] = {
	{ NULL, "::ffff:192.0.2.1", true },
	{ NULL, "::", true },
	{ "::ffff:203.0.113.0/120", "::ffff:203.0.113.9", true },
	{ "::ffff:203.0.113.0/120", "::ffff:203.0.112.255", false },
	{ "::ffff:203.0.113.0/120", "::ffff:203.0.114.0", false },
	{ "::ffff:203.0.113.0/120", "::cb00:7109", false },
	{ "::ffff:203.0.113.128/121", "::ffff:203.0.113.128", true },
	{ "::ffff:203.0.113.128/121", "::ffff:203.0.113.255", true },
	{ "::ffff:203.0.113.128/121", "::ffff:203.0.113.127", false },
	{ "::ffff:203.0.113.7/128", "::ffff:203.0.113.7", true },
	{ "::ffff:203.0.113.7/128", "::ffff:203.0.113.6", false },
	{ "::ffff:0.0.0.0/96", "::ffff:198.51.100.1", true },
	{ "::ffff:0.0.0.0/96", "2001:db8::1", false },
	{ "2001:db8::/32", "2001:db8:ffff::1", true },
	{ "2001:db8::/32", "2001:db9::", false },
	{ "2001:db8:8000::/33", "2001:db8:8000::1", true },
	{ "2001:db8:8000::/33", "2001:db8:ffff::1", true },
	{ "2001:db8:8000::/33", "2001:db8:7fff::1", false },
	{ "2001:db8::/32 ::ffff:203.0.113.0/120", "::ffff:203.0.113.1", true },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "::", false },
	{ "::/128", "::", false },
};

static void
set_list(struct rig *rig, const char *list)
{
	struct hb_cidrs *allow = &rig->endpoint.allow;

	allow->items = rig->cidrs;
	while (list != NULL && *list != '\0') {
		struct hb_cidr *cidr = &allow->items[allow->count++];
		char address[64];
		int used;

		assert_int_equal(sscanf(list, "%63[^/]/%u%n", address,
		    &cidr->bits, &used), 2);
		assert_int_equal(inet_pton(AF_INET6, address, cidr->addr), 1);
		list += used + (list[used] == ' ');
	}
}

static void
check_address(size_t i, struct rig *rig, const char *body)
{
	const char *want = address_cases[i].allowed ? "ok" : "address", *got;

	set_list(rig, address_cases[i].list);
	rig_peer(rig, address_cases[i].peer);
	got = rig_verify(rig, body, strlen(body), RIG_WHOLE);
	if (strcmp(got, want) != 0)
		fail_msg("case %zu: %s instead of %s", i, got, want);
}

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(address_cases); i++) {
		struct rig rig;

		svix_init(&rig, K1);
		svix_headers(&rig, ID, STAMP, S1);
		check_address(i, &rig, BODY);
		rig_fini(&rig);
		/* and where the list is the only proof */
		rig_init(&rig, HB_MODE_DIRECT);
		rig_ready(&rig);
		check_address(i, &rig, "not JSON");
		rig_fini(&rig);
	}
}

/* Whatever else is wrong. */
static void
test_address_is_first(void **state)
{
	struct rig rig;

	(void)state;
	svix_init(&rig, K1);
	set_list(&rig, "2001:db8::/32");
	rig_peer(&rig, "2001:db9::");
	svix_headers(&rig, "a.b", "x", "");
	assert_string_equal(rig_verify(&rig, "", 0, RIG_WHOLE), "address");
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_refused_early),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_repeated_headers),
		cmocka_unit_test(test_no_second_family),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_age_is_told),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_is_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
