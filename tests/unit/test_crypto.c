/* SPDX-License-Identifier: Apache-2.0 */
/* test_crypto.c - published answers (FIPS 180-2, RFC 4231, RFC 4648, RFC 8032)
 * and their edges */
#include "hookbridge/crypto.h"

#include "verify_rig.h"

#define REP4(x) x x x x
#define REP20(x) REP4(x) REP4(x) REP4(x) REP4(x) REP4(x)

static void
assert_hex(const uint8_t *data, size_t len, const char *wanted)
{
	char hex[2 * 64];

	assert_true(2 * len <= sizeof(hex));
	hb_hex(data, len, hex);
	assert_memory_equal(hex, wanted, 2 * len);
}

/* --- SHA-256 -------------------------------------------------------------- */

static const struct {
	const char *text, *digest;
} digests[] = {
	{ "",
	    "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855" },
	{ "abc",
	    "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	  "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	    "cf5b16a778af8380036ce59e7b049237"
	    "0b249b11e8f07a51afac45037afee9d1" },
};

/* Whole, and as three pieces cut at every place. */
static void
test_sha256(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(digests); i++) {
		struct hb_span text = hb_span_of(digests[i].text);
		uint8_t digest[HB_SHA256_SIZE];

		hb_sha256(text, digest);
		assert_hex(digest, sizeof(digest), digests[i].digest);
		for (size_t at = 0; at <= text.len; at++) {
			struct hb_span pieces[] = {
				hb_span_make(text.ptr, at / 2),
				hb_span_make(text.ptr + at / 2, at - at / 2),
				hb_span_skip(text, at),
			};

			hb_sha256_pieces(pieces, HB_COUNT(pieces), digest);
			assert_hex(digest, sizeof(digest), digests[i].digest);
		}
	}
}

/* A million times "a". */
static void
test_sha256_long(void **state)
{
	static char block[1000];
	struct hb_span pieces[1000];
	uint8_t digest[HB_SHA256_SIZE];

	(void)state;
	memset(block, 'a', sizeof(block));
	for (size_t i = 0; i < HB_COUNT(pieces); i++)
		pieces[i] = hb_span_make(block, sizeof(block));
	hb_sha256_pieces(pieces, HB_COUNT(pieces), digest);
	assert_hex(digest, sizeof(digest),
	    "cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0");
}

static void
test_hex(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0x0f, 0x10, 0x7f, 0x80,
		0xab, 0xff };
	char hex[2 * sizeof(bytes) + 1];

	(void)state;
	hex[2 * sizeof(bytes)] = '#';
	hb_hex(bytes, sizeof(bytes), hex);
	assert_memory_equal(hex, "00010f107f80abff#", sizeof(hex));
	hb_hex(bytes, 0, hex);
	assert_int_equal(hex[0], '0');
}

/* --- HMAC ----------------------------------------------------------------- */

/* RFC 4231, section 4; of the fifth only 16 bytes are published. */
static const struct {
	const char *key, *data; /* hexadecimal; in quotes when it begins so */
	size_t len;
	const char *mac;
} macs[] = {
	{ REP20("0b"), "\"Hi There", 32,
	    "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7" },
	{ "\"Jefe", "\"what do ya want for nothing?", 32,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843" },
	{ REP20("aa"), REP20("dd") REP20("dd") REP4("dddd") "dddd", 32,
	    "773ea91e36800e46854db8ebd09181a7"
	    "2959098b3ef8c122d9635514ced565fe" },
	{ "0102030405060708090a0b0c0d0e0f10111213141516171819",
	    REP20("cd") REP20("cd") REP4("cdcd") "cdcd", 32,
	    "82558a389a443c0ea4cc819899f2083a"
	    "85f0faa3e578f8077a2e3ff46729665b" },
	{ REP20("0c"), "\"Test With Truncation", 16,
	    "a3b6167473100ee06e0c796c2955552b" },
	{ REP20("aaaaaa") REP20("aaaaaa") "aaaaaaaaaaaaaaaaaaaaaa",
	    "\"Test Using Larger Than Block-Size Key - Hash Key First", 32,
	    "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54" },
	{ REP20("aaaaaa") REP20("aaaaaa") "aaaaaaaaaaaaaaaaaaaaaa",
	    "\"This is a test using a larger than block-size key and a "
	    "larger than block-size data. The key needs to be hashed before "
	    "being used by the HMAC algorithm.", 32,
	    "9b09ffa71b942fcb27635fbcd5b0e944"
	    "bfdc63644f0713938a7f51535c3a35e2" },
};

static size_t
bytes_of(const char *text, uint8_t *out, size_t size)
{
	if (text[0] != '"')
		return rig_unhex(text, out, size);
	assert_true(strlen(text) - 1 <= size);
	memcpy(out, text + 1, strlen(text) - 1);
	return strlen(text) - 1;
}

/* One context serves all keys; each message comes in two pieces, cut at every
 * place. */
static void
test_hmac(void **state)
{
	struct hb_hmac *mac = hb_hmac_new();

	(void)state;
	for (size_t i = 0; i < HB_COUNT(macs); i++) {
		uint8_t key[256], data[256], out[HB_SHA256_SIZE];
		size_t key_len = bytes_of(macs[i].key, key, sizeof(key));
		size_t len = bytes_of(macs[i].data, data, sizeof(data));
		struct hb_hmac_key *prepared = hb_hmac_key_new(key, key_len);

		memset(key, 0, sizeof(key)); /* it was copied */
		for (size_t at = 0; at <= len; at++) {
			hb_hmac_begin(mac, prepared);
			hb_hmac_update(mac, data, at);
			hb_hmac_update(mac, data + at, len - at);
			hb_hmac_final(mac, out);
			assert_hex(out, macs[i].len, macs[i].mac);
		}
		hb_hmac_key_free(prepared);
	}
	hb_hmac_free(mac);
	hb_hmac_key_free(NULL);
	hb_hmac_free(NULL);
}

/* Keys of a block's length and about: prepared as RFC 2104 says. */
static void
test_hmac_key_lengths(void **state)
{
	struct hb_hmac *mac = hb_hmac_new();

	(void)state;
	for (size_t len = 0; len <= 130; len++) {
		uint8_t key[130], block[64] = { 0 }, inner[HB_SHA256_SIZE];
		uint8_t pad[2][64], want[HB_SHA256_SIZE], got[HB_SHA256_SIZE];
		struct hb_hmac_key *prepared;

		for (size_t i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)(i * 7 + len);
		if (len > sizeof(block))
			hb_sha256(hb_span_make((char *)key, len), block);
		else
			memcpy(block, key, len);
		for (size_t i = 0; i < sizeof(block); i++) {
			pad[0][i] = block[i] ^ 0x36;
			pad[1][i] = block[i] ^ 0x5c;
		}
		hb_sha256_pieces((struct hb_span[]){
		    hb_span_make((char *)pad[0], 64), HB_SPAN("text") }, 2,
		    inner);
		hb_sha256_pieces((struct hb_span[]){
		    hb_span_make((char *)pad[1], 64),
		    hb_span_make((char *)inner, sizeof(inner)) }, 2, want);
		prepared = hb_hmac_key_new(key, len);
		hb_hmac_begin(mac, prepared);
		hb_hmac_update(mac, "garbage", 7); /* begun again: forgotten */
		hb_hmac_begin(mac, prepared);
		hb_hmac_update(mac, "text", 4);
		hb_hmac_final(mac, got);
		assert_memory_equal(got, want, sizeof(got));
		hb_hmac_key_free(prepared);
	}
	hb_hmac_free(mac);
}

/* --- Ed25519 -------------------------------------------------------------- */

/* RFC 8032, section 7.1, tests 1 to 3. */
static const struct {
	const char *public_key, *message, *signature;
} signatures[] = {
	{ "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	    "",
	    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
	},
	{ "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
	    "72",
	    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
	},
	{ "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	    "af82",
	    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
	},
};

/* Accepts it, and nothing that differs in a bit of signature or message. */
static void
check_signature(const struct hb_ed25519_key *key, uint8_t *sig,
    const uint8_t *message, size_t len)
{
	uint8_t other[8] = { 0 };

	assert_true(hb_ed25519_verify(key, sig, message, len));
	for (size_t bit = 0; bit < 8 * HB_ED25519_SIG_SIZE; bit += 37) {
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(hb_ed25519_verify(key, sig, message, len));
		sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memcpy(other, message, len);
	assert_false(hb_ed25519_verify(key, sig, other, len + 1));
	if (len == 0)
		return;
	other[len - 1] ^= 1;
	assert_false(hb_ed25519_verify(key, sig, other, len));
}

static void
test_ed25519(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(signatures); i++) {
		size_t next = (i + 1) % HB_COUNT(signatures);
		uint8_t public_key[HB_ED25519_KEY_SIZE], message[8];
		uint8_t sig[HB_ED25519_SIG_SIZE];
		size_t len = rig_unhex(signatures[i].message, message,
		    sizeof(message));
		struct hb_ed25519_key *key;

		rig_unhex(signatures[i].signature, sig, sizeof(sig));
		rig_unhex(signatures[i].public_key, public_key,
		    sizeof(public_key));
		key = hb_ed25519_key_new(public_key, NULL);
		assert_non_null(key);
		check_signature(key, sig, message, len);
		hb_ed25519_key_free(key);
		rig_unhex(signatures[next].public_key, public_key,
		    sizeof(public_key));
		key = hb_ed25519_key_new(public_key, NULL);
		assert_false(hb_ed25519_verify(key, sig, message, len));
		hb_ed25519_key_free(key);
	}
	hb_ed25519_key_free(NULL);
}

/* S plus the group's order is the same number and another signature: refused
 * (RFC 8032, section 5.1.7). */
static void
test_ed25519_canonical(void **state)
{
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63,
		0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		[31] = 0x10 };
	uint8_t public_key[HB_ED25519_KEY_SIZE], sig[HB_ED25519_SIG_SIZE];
	struct hb_ed25519_key *key;
	unsigned carry = 0;

	(void)state;
	rig_unhex(signatures[0].public_key, public_key, sizeof(public_key));
	rig_unhex(signatures[0].signature, sig, sizeof(sig));
	key = hb_ed25519_key_new(public_key, NULL);
	assert_true(hb_ed25519_verify(key, sig, "", 0));
	for (size_t i = 0; i < 32; i++) {
		carry += sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_false(hb_ed25519_verify(key, sig, "", 0));
	hb_ed25519_key_free(key);
}

/* --- base64 --------------------------------------------------------------- */

/* RFC 4648, section 10, and both of the last characters. */
static const struct {
	const char *plain, *text;
} texts[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xfb\xef\xbe\xff\xff\xff", "++++////" },
};

static void
test_base64(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(texts); i++) {
		struct hb_span plain = hb_span_of(texts[i].plain);
		struct hb_span text = hb_span_of(texts[i].text);
		uint8_t decoded[8];
		char encoded[16];

		assert_int_equal(hb_base64_encode((const uint8_t *)plain.ptr,
		    plain.len, encoded), text.len);
		assert_memory_equal(encoded, text.ptr, text.len);
		assert_int_equal(
		    hb_base64_decode(text, decoded, sizeof(decoded)),
		    plain.len);
		assert_memory_equal(decoded, plain.ptr, plain.len);
		/* as much room as it takes, and one byte less */
		assert_int_equal(hb_base64_decode(text, decoded, plain.len),
		    plain.len);
		if (plain.len > 0)
			assert_int_equal(hb_base64_decode(text, decoded,
			    plain.len - 1), -1);
	}
}

static const char *const not_base64[] = {
	"Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zm9vYg", "Zm9vYg=",
	/* bits that padding leaves over */
	"Zh==", "Zk==", "Z/==", "Zm9=", "Zm+=", "Zm9vYmF=",
	/* padding where none is */
	"=", "==", "===", "====", "Z===", "=m9v", "Z=9v", "Zm=v", "Zm==Zm9v",
	"Zg==Zg==", "Zm8=Zm8=", "Zm9v====", "Zm9v=", "Zg=v",
	/* foreign characters */
	"Zm9-", "Zm9_", "-_-_", " Zm9", "Zm9 ", "Zm9v ", "Zm9v\n", "Zm\n9",
	"Zm9v\r\n\r\n", "Zm9,", "Zm9.", "Zm9@", "Zm9[", "Zm9`", "Zm9{",
	"Zm9:", "Zm9\x80", "Zm9\xff", "\xc3\xa4\xc3\xa4",
};

static void
test_base64_strict(void **state)
{
	static const char nul[] = "Zm9", whole[] = "Zm9vYmFy";
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < HB_COUNT(not_base64); i++)
		if (hb_base64_decode(hb_span_of(not_base64[i]), out,
			sizeof(out)) != -1)
			fail_msg("accepted: %s", not_base64[i]);
	assert_int_equal(
	    hb_base64_decode(hb_span_make(nul, sizeof(nul)), out,
		sizeof(out)), -1);
	/* a piece of a good text */
	for (size_t len = 0; len < sizeof(whole); len++)
		assert_int_equal(hb_base64_decode(hb_span_make(whole, len),
		    out, sizeof(out)), len % 4 == 0 ? (long)len / 4 * 3 : -1);
}

/* One text for each value: of all that two last characters can be, exactly
 * what the encoder writes is taken. */
static void
test_base64_unique(void **state)
{
	unsigned taken = 0;

	(void)state;
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			char text[4] = { 'Z', (char)a, (char)b, '=' };
			char again[4];
			uint8_t out[3];
			long len = hb_base64_decode(hb_span_make(text, 4), out,
			    sizeof(out));

			if (len < 0)
				continue;
			assert_int_equal(hb_base64_encode(out, (size_t)len,
			    again), 4);
			assert_memory_equal(again, text, 4);
			taken++;
		}
	/* "Zx==": 4 of 64; "Zxx=": 64 times 16 of 64 */
	assert_int_equal(taken, 4 + 64 * 16);
}

static void
test_base64_lengths(void **state)
{
	uint8_t plain[100], decoded[100];
	char text[136];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 37 + 200);
	for (size_t len = 0; len <= sizeof(plain); len++) {
		size_t text_len = hb_base64_encode(plain, len, text);

		assert_int_equal(text_len, (len + 2) / 3 * 4);
		assert_int_equal(hb_base64_decode(
		    hb_span_make(text, text_len), decoded, len), len);
		assert_memory_equal(decoded, plain, len);
	}
}

/* --- small things --------------------------------------------------------- */

static void
test_equal(void **state)
{
	char a[40], b[40];

	(void)state;
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	for (size_t len = 0; len <= sizeof(a); len++)
		assert_true(hb_equal_ct(hb_span_make(a, len),
		    hb_span_make(b, len)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= 0x40;
		assert_false(hb_equal_ct(hb_span_make(a, sizeof(a)),
		    hb_span_make(b, sizeof(b))));
		assert_true(hb_equal_ct(hb_span_make(a, i),
		    hb_span_make(b, i)));
		b[i] ^= 0x40;
	}
	assert_false(hb_equal_ct(hb_span_make(a, 8), hb_span_make(b, 9)));
	assert_false(hb_equal_ct(hb_span_make(a, 1), HB_SPAN("")));
}

static void
test_wipe(void **state)
{
	char text[] = "abcdef";

	(void)state;
	hb_wipe(text + 1, 3);
	assert_memory_equal(text, "a\0\0\0ef", sizeof(text));
	hb_wipe(NULL, 0);
}

static void
test_random(void **state)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	hb_random(a, sizeof(a));
	hb_random(b, sizeof(b) - 1);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(b[31], 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_sha256_long),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_hmac_key_lengths),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_ed25519_canonical),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_strict),
		cmocka_unit_test(test_base64_unique),
		cmocka_unit_test(test_base64_lengths),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
