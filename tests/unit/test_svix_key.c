/* SPDX-License-Identifier: Apache-2.0 */
/* test_svix_key.c - texts of secrets: the vectors' and some more */
#include "hookbridge/svix_key.h"

#include "verify_rig.h"

#define CASES 15

#define KEY_HEX "000102030405060708090a0b0c0d0e0f1011121314151617"

/* That the parsed key is the wanted one shows in what it makes of a message. */
static void
mac_of(const struct hb_hmac_key *key, uint8_t out[HB_SHA256_SIZE])
{
	struct hb_hmac *mac = hb_hmac_new();

	hb_hmac_begin(mac, key);
	hb_hmac_update(mac, "message", 7);
	hb_hmac_final(mac, out);
	hb_hmac_free(mac);
}

static void
check_hmac(const struct hb_svix_key *key, const char *hex)
{
	uint8_t bytes[512], got[HB_SHA256_SIZE], want[HB_SHA256_SIZE];
	size_t len = rig_unhex(hex, bytes, sizeof(bytes));
	struct hb_hmac_key *raw = hb_hmac_key_new(bytes, len);

	assert_int_equal(key->kind, HB_SVIX_HMAC);
	assert_int_equal(key->len, len);
	assert_null(key->ed25519);
	mac_of(key->hmac, got);
	mac_of(raw, want);
	assert_memory_equal(got, want, sizeof(got));
	hb_hmac_key_free(raw);
}

/* By the example signature, which is this public key's. */
static void
check_ed25519(const struct hb_svix_key *key, const char *hex,
    const json_t *example)
{
	const char *content = rig_text(example, "signed_content_utf8");
	const char *signature = rig_text(example, "example_signature");
	uint8_t sig[HB_ED25519_SIG_SIZE];

	assert_int_equal(key->kind, HB_SVIX_ED25519);
	assert_null(key->hmac);
	assert_string_equal(hex, rig_text(example, "public_hex"));
	assert_int_equal(hb_base64_decode(
	    hb_span_of(signature + strlen("v1a,")), sig, sizeof(sig)),
	    sizeof(sig));
	assert_true(hb_ed25519_verify(key->ed25519, sig, content,
	    strlen(content)));
	sig[0] ^= 1;
	assert_false(hb_ed25519_verify(key->ed25519, sig, content,
	    strlen(content)));
}

static void
check_refused(const char *secret, const char *reason)
{
	struct hb_error err = { .code = HB_OK };

	if (hb_svix_key_parse(hb_span_of(secret), &err) != NULL)
		fail_msg("accepted: %s", secret);
	assert_int_equal(err.code, HB_E_CONFIG);
	if (strcmp(err.reason, reason) != 0)
		fail_msg("%s: %s instead of %s", secret, err.reason, reason);
	assert_true(strlen(secret) < 8 || strstr(err.text, secret) == NULL);
}

static void
test_vectors(void **state)
{
	json_t *root = rig_vectors(), *vector;
	const json_t *cases = json_object_get(root, "secret_cases");
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(cases), CASES);
	json_array_foreach(cases, i, vector) {
		const char *secret = rig_text(vector, "secret");
		struct hb_svix_key *key;
		struct hb_error err;

		if (!json_is_true(json_object_get(vector, "ok"))) {
			check_refused(secret, rig_text(vector, "reason"));
			continue;
		}
		key = hb_svix_key_parse(hb_span_of(secret), &err);
		if (key == NULL)
			fail_msg("case %zu: %s", i, err.text);
		if (strcmp(rig_text(vector, "kind"), "hmac") == 0)
			check_hmac(key, rig_text(vector, "key_hex"));
		else
			check_ed25519(key, rig_text(vector, "public_hex"),
			    json_object_get(root, "ed25519_test_key"));
		hb_svix_key_free(key);
	}
	json_decref(root);
}

static const struct {
	const char *secret, *reason;
} refusals[] = {
	{ " \r\n\t", "empty" },
	{ "whsec_\n", "empty" },
	{ "whpk_", "empty" },
	{ " whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "not_base64" },
	{ "whsec_ AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "not_base64" },
	{ "whsec_AAECAwQFBgcI\nCQoLDA0ODxAREhMUFRYX", "not_base64" },
	{ "whsec_whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "not_base64" },
	{ "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY-", "not_base64" },
	{ "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY_", "not_base64" },
	{ "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFR==", "not_base64" },
	{ "whsec_====", "not_base64" },
	{ "\"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\"", "not_base64" },
	{ "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX,whsec_AAECAwQFBgcICQoL",
	    "not_base64" },
	{ "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "bad_length" },
	{ "whpk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", "bad_length" },
	{ "whsk_", "private_key" },
	{ "whsk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "private_key" },
	{ "whsec2_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "unsupported_prefix" },
	{ "whook_AAEC", "unsupported_prefix" },
};

static void
test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(refusals); i++)
		check_refused(refusals[i].secret, refusals[i].reason);
}

/* Only white space at the end is forgiven, with and without a prefix. A key
 * may begin with the letters of a prefix. */
static void
test_forgiven(void **state)
{
	static const struct {
		const char *secret, *hex;
	} cases[] = {
		{ "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX \t\r\n\n", KEY_HEX },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\r\n", KEY_HEX },
		{ "whsecAAA", "c21b1e700000" },
		{ "AA==", "00" },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_svix_key *key =
		    hb_svix_key_parse(hb_span_of(cases[i].secret), NULL);

		assert_non_null(key);
		check_hmac(key, cases[i].hex);
		hb_svix_key_free(key);
	}
	hb_svix_key_free(NULL);
}

/* NUL ends the list of white space, and is none. */
static void
test_nul_is_not_forgiven(void **state)
{
	static const char secret[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
	struct hb_error err = { .code = HB_OK };

	(void)state;
	assert_null(hb_svix_key_parse(
	    hb_span_make(secret, sizeof(secret)), &err));
	assert_string_equal(err.reason, "not_base64");
}

/* A span need not end where its text does. */
static void
test_span_is_the_limit(void **state)
{
	static const char text[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAAA";
	struct hb_svix_key *key = hb_svix_key_parse(
	    hb_span_make(text, strlen(text) - 4), NULL);

	(void)state;
	assert_non_null(key);
	check_hmac(key, KEY_HEX);
	hb_svix_key_free(key);
}

/* 512 bytes are still a key. */
static void
test_longest(void **state)
{
	uint8_t bytes[513] = { 1 };
	char text[700] = "whsec_";

	(void)state;
	for (size_t len = 512; len <= 513; len++) {
		size_t text_len =
		    6 + hb_base64_encode(bytes, len, text + 6);
		struct hb_error err;
		struct hb_svix_key *key =
		    hb_svix_key_parse(hb_span_make(text, text_len), &err);

		assert_int_equal(key != NULL, len == 512);
		if (key == NULL)
			assert_string_equal(err.reason, "not_base64");
		hb_svix_key_free(key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_forgiven),
		cmocka_unit_test(test_nul_is_not_forgiven),
		cmocka_unit_test(test_span_is_the_limit),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
