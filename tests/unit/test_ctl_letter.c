/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_letter.c - what "send" sends is what the daemon's verifier accepts
 *
 * Letters are written for each kind of endpoint and read by its verifier. */
#include "cfg_rig.h"

#include "../../src/ctl/send.h"
#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/svix_key.h"
#include "hookbridge/verify.h"

#define SVIX(secrets) "{path: /e, mode: svix, secrets: " secrets "}"
#define DIRECT(in) \
	"{path: /e, mode: direct, token: {in: " in \
	", secret: \"file:token\"}}"
#define PUBLIC_KEY "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
#define HEADERS_MAX 16

static struct hb_config *
load(const char *endpoint)
{
	char yaml[512], *report;
	struct hb_config *cfg;

	snprintf(yaml, sizeof(yaml), LISTEN "endpoints: {e: %s}\n" SINKS ROUTES,
	    endpoint);
	cfg = cfg_load(yaml, &report);
	assert_non_null(cfg);
	free(report);
	return cfg;
}

/* A letter and what it is made with. */
struct desk {
	struct hb_config *cfg;
	struct hb_arena *arena;
	struct hb_proof proof;
	struct hb_stationery stationery;
	struct hb_letter letter;
};

static void
open_desk(struct desk *desk, const char *endpoint, const char *given,
    const char *body)
{
	struct hb_error err = { 0 };

	desk->cfg = load(endpoint);
	desk->arena = hb_arena_new(256);
	if (!hb_proof_init(&desk->proof, &desk->cfg->endpoints[0],
		hb_span_of(given), &err) ||
	    !hb_stationery_init(&desk->stationery, desk->arena,
		&desk->cfg->endpoints[0], &desk->proof, hb_span_of(body),
		&err))
		fail_msg("%s", err.text);
	hb_letter_write(&desk->stationery, &desk->letter);
}

static void
close_desk(struct desk *desk)
{
	hb_letter_fini(&desk->letter);
	hb_stationery_fini(&desk->stationery);
	hb_proof_fini(&desk->proof);
	hb_arena_free(desk->arena);
	hb_config_unref(desk->cfg);
}

/* The letter's headers as a server would have them; "name:" is none. */
static void
read_headers(const struct hb_letter *letter, struct hb_http_head *head)
{
	for (struct curl_slist *h = letter->headers; h != NULL; h = h->next) {
		const char *colon = strchr(h->data, ':');

		assert_non_null(colon);
		if (colon[1] == '\0')
			continue;
		assert_true(head->header_count < HEADERS_MAX);
		assert_int_equal(colon[1], ' ');
		head->headers[head->header_count++] = (struct hb_http_header){
			hb_span_make(h->data, (size_t)(colon - h->data)),
			hb_span_of(colon + 2) };
	}
}

/* Whether its endpoint takes the letter. */
static bool
is_accepted(const struct desk *desk, struct hb_verified *verified)
{
	struct hb_http_header headers[HEADERS_MAX];
	struct hb_http_head head = { .headers = headers };
	struct hb_span body = desk->letter.body;
	char *copy = hb_xstrndup(body);
	struct hb_verifier *verifier =
	    hb_verifier_new(&desk->cfg->endpoints[0]);
	struct hb_verify_bench *bench = hb_verify_bench_new();
	struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;
	struct hb_verify *attempt;
	struct hb_error err;
	bool ok = false;

	read_headers(&desk->letter, &head);
	attempt = hb_verify_begin(verifier, bench, &head, &peer, HB_SPAN_NONE,
	    hb_clock_wall_ms(), &err);
	if (attempt != NULL) {
		hb_verify_update(attempt, copy, body.len);
		ok = hb_verify_finish(attempt, copy, body.len,
		    hb_clock_wall_ms(), verified, &err);
	}
	hb_verify_bench_free(bench);
	hb_verifier_free(verifier);
	free(copy);
	return ok;
}

/* --- proofs --------------------------------------------------------------- */

static const struct {
	const char *endpoint, *given, *body;
	bool ok;
	unsigned key; /* that verified */
} cases[] = {
	{ SVIX("\"file:e.secret\""), NULL, NULL, true, 0 },
	{ SVIX("\"file:e.secret\""), NULL, "no JSON", true, 0 },
	{ SVIX("\"file:e.secret\""), NULL, "", true, 0 },
	/* The newest; what only verifies is passed over. */
	{ SVIX("[\"file:e.secret\", \"file:other.secret\"]"), NULL, NULL, true,
	    0 },
	{ SVIX("[\"file:public\", \"file:e.secret\"]"), NULL, NULL, true, 1 },
	/* Given. */
	{ SVIX("[\"file:e.secret\", \"file:other.secret\"]"), OTHER_SECRET,
	    NULL, true, 1 },
	{ SVIX("\"file:e.secret\""), OTHER_SECRET, NULL, false, 0 },
	{ DIRECT("bearer"), NULL, NULL, true, 0 },
	{ DIRECT("bearer"), "another-token-of-16", NULL, false, 0 },
	{ DIRECT("basic, user: joe"), NULL, NULL, true, 0 },
	{ DIRECT("metadata.token"), NULL, NULL, true, 0 },
	{ DIRECT("metadata.token"), NULL, "{\"job_id\":\"1\"}", true, 0 },
	{ DIRECT("metadata.token"), "another-token-of-16", NULL, false, 0 },
	{ "{path: /e, mode: direct, allow: \"::1/128\"}", NULL, NULL, true, 0 },
};

static void
letters_are_accepted(void **state)
{
	(void)state;
	cfg_write("public", PUBLIC_KEY "\n");
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_verified verified = { 0 };
		struct desk desk;
		bool ok;

		open_desk(&desk, cases[i].endpoint, cases[i].given,
		    cases[i].body);
		ok = is_accepted(&desk, &verified);
		if (ok != cases[i].ok || verified.key != cases[i].key)
			fail_msg("case %zu: %d, key %u", i, ok, verified.key);
		close_desk(&desk);
	}
}

static const struct {
	const char *endpoint, *given, *want;
} refused[] = {
	{ "{path: /e, mode: disabled}", NULL,
	    "endpoint e is disabled and answers nobody; give it a mode" },
	{ SVIX("\"file:public\""), NULL,
	    "endpoint e has public keys (whpk_) only, which cannot sign; give "
	    "a secret by --secret" },
	{ SVIX("\"file:e.secret\""), PUBLIC_KEY,
	    "--secret: a public key (whpk_) cannot sign; give a whsec_ "
	    "secret" },
	{ SVIX("\"file:e.secret\""), "whsec_short",
	    "--secret: not padded base64 (5 characters); copy the whole secret "
	    "again" },
};

static void
nothing_signs(void **state)
{
	(void)state;
	cfg_write("public", PUBLIC_KEY "\n");
	for (size_t i = 0; i < HB_COUNT(refused); i++) {
		struct hb_config *cfg = load(refused[i].endpoint);
		struct hb_proof proof;
		struct hb_error err;

		assert_false(hb_proof_init(&proof, &cfg->endpoints[0],
		    hb_span_of(refused[i].given), &err));
		assert_int_equal(err.code, HB_E_CONFIG);
		assert_string_equal(err.text, refused[i].want);
		hb_proof_fini(&proof);
		hb_config_unref(cfg);
	}
}

/* --- ids ------------------------------------------------------------------ */

/* The sample's job id, 36 characters. */
static void
job_id_of(const struct hb_letter *letter, char out[HB_LETTER_JOB_ID_SIZE])
{
	static const char name[] = "\"job_id\":\"";
	const char *found = memmem(letter->body.ptr, letter->body.len, name,
	    sizeof(name) - 1);

	assert_non_null(found);
	memcpy(out, found + sizeof(name) - 1, HB_LETTER_JOB_ID_SIZE - 1);
	out[HB_LETTER_JOB_ID_SIZE - 1] = '\0';
	assert_int_equal(found[sizeof(name) - 1 + HB_LETTER_JOB_ID_SIZE - 1],
	    '"');
}

static void
every_letter_is_new(void **state)
{
	char first[HB_LETTER_JOB_ID_SIZE], second[HB_LETTER_JOB_ID_SIZE];
	struct hb_letter again;
	struct desk desk;

	(void)state;
	open_desk(&desk, DIRECT("metadata.token"), NULL, NULL);
	hb_letter_write(&desk.stationery, &again);
	assert_int_equal(strlen(desk.letter.id), HB_LETTER_ID_SIZE - 1);
	assert_int_equal(strspn(desk.letter.id + 4, "0123456789"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 27);
	assert_memory_equal(desk.letter.id, "msg_", 4);
	assert_string_not_equal(desk.letter.id, again.id);
	job_id_of(&desk.letter, first);
	job_id_of(&again, second);
	assert_string_not_equal(first, second);
	assert_int_equal(first[14], '4'); /* the version of random ones */
	hb_letter_fini(&again);
	close_desk(&desk);
}

/* --- tokens in metadata --------------------------------------------------- */

static const struct {
	const char *path, *body, *want; /* want begins with "the": an error */
} places[] = {
	{ "t", "{}", "{\"metadata\":{\"t\":\"T\\\"\"}}" },
	{ "t", " {\"a\": 1.50}\n",
	    " {\"metadata\":{\"t\":\"T\\\"\"},\"a\": 1.50}\n" },
	{ "t", "{\"metadata\":{}}", "{\"metadata\":{\"t\":\"T\\\"\"}}" },
	{ "t", "{\"metadata\":null}", "{\"metadata\":{\"t\":\"T\\\"\"}}" },
	{ "t", "{\"metadata\":{ \"u\":2}}",
	    "{\"metadata\":{\"t\":\"T\\\"\", \"u\":2}}" },
	{ "t", "{\"metadata\":{\"t\":[1],\"u\":2}}",
	    "{\"metadata\":{\"t\":\"T\\\"\",\"u\":2}}" },
	{ "a.b.c", "{\"metadata\":{\"x\":1}}",
	    "{\"metadata\":{\"a\":{\"b\":{\"c\":\"T\\\"\"}},\"x\":1}}" },
	{ "a.b.c", "{\"metadata\":{\"a\":{\"b\":null}}}",
	    "{\"metadata\":{\"a\":{\"b\":{\"c\":\"T\\\"\"}}}}" },
	{ "a\\.b.c", "{\"metadata\":{\"\\u0061.b\":{}}}",
	    "{\"metadata\":{\"\\u0061.b\":{\"c\":\"T\\\"\"}}}" },
	/* The envelope's own metadata is not the event's. */
	{ "t", "{\"data\":{\"job_id\":1},\"metadata\":{}}",
	    "{\"data\":{\"metadata\":{\"t\":\"T\\\"\"},\"job_id\":1},"
	    "\"metadata\":{}}" },
	{ "t", "{\"data\":{},\"metadata\":{}}",
	    "{\"data\":{},\"metadata\":{\"t\":\"T\\\"\"}}" },
	{ "t", "{\"metadata\":[]}", "the body has no place for the token: "
	    "\"metadata\" is no object" },
	{ "a.b", "{\"metadata\":{\"a\":\"x\"}}",
	    "the body has no place for the token: \"a\" is no object" },
	{ "t", "[]", "the body has no place for the token: it is no JSON "
	    "object" },
};

static void
tokens_find_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(places); i++) {
		struct hb_arena *arena = hb_arena_new(256);
		struct hb_span body = hb_span_of(places[i].body), want;
		struct hb_error err;

		want = hb_span_of(places[i].want);
		if (hb_proof_put_token(arena, &body, places[i].path,
			HB_SPAN("T\""), &err)) {
			assert_int_equal(body.len, want.len);
			assert_memory_equal(body.ptr, want.ptr, want.len);
		} else {
			assert_int_equal(err.code, HB_E_REJECT);
			assert_string_equal(err.text, want.ptr);
		}
		hb_arena_free(arena);
	}
}

static void
no_token_in_what_is_not_json(void **state)
{
	struct hb_arena *arena = hb_arena_new(256);
	struct hb_span body = HB_SPAN("{");
	struct hb_error err;

	(void)state;
	assert_false(hb_proof_put_token(arena, &body, "t", HB_SPAN("T"), &err));
	assert_int_equal(err.code, HB_E_REJECT);
	assert_non_null(strstr(err.text, "it is not JSON: "));
	hb_arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_are_accepted),
		cmocka_unit_test(nothing_signs),
		cmocka_unit_test(every_letter_is_new),
		cmocka_unit_test(tokens_find_their_place),
		cmocka_unit_test(no_token_in_what_is_not_json),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
