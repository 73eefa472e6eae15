/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_signature.c - signed webhooks: headers of any shape, and a second judge
 *
 * The input is a byte of options, the cuts of the body, then lines: the id, the
 * timestamp, the signatures, and behind them the body. No fuzzer finds a
 * signature by chance, so "@0" and "@1" in the list of signatures stand for
 * those of the endpoint's two HMAC keys, "@2" for the Ed25519 key's of one
 * certain message.
 *
 * The judge has the rules of svix.c, each in its own words, and the whole
 * message in one piece: verdict, reason and key must be the same. */
#include "fuzz.h"
#include "hookbridge/arena.h"
#include "hookbridge/crypto.h"
#include "hookbridge/svix_key.h"
#include "hookbridge/verify.h"

#define NOW 1767225600
#define TOLERANCE 300
#define MAC_TEXT 44
#define ENTRIES 16

/* Options. */
enum {
	UNBRANDED = 1, /* webhook-id and so on */
	TWO_FAMILIES = 2,
	REPEATED = 4, /* one of the headers, by the next two bits */
	LATE = 32,    /* the body takes a minute */
};

static const char *const secrets[] = {
    "whsec_Pz/oZ9k7mVvOq2mV3bYQ0sJxY0gq8k1c",
    "whsec_b2GHpB1yq0o0Vn8mGZcQz3w5Yt7uKx4e",
    "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
};
enum { HMAC_KEYS = 2, KEYS };

/* Made elsewhere, once. Nobody can make another one. */
static const char ed25519_message[] =
    "msg_37dGapcZYuqcWpx0LNu2FzMy27h.1767225600.{\"status\":\"Completed\","
    "\"job_id\":\"7f9c24e8-3b12-4c1f-9a56-2d1e0b7c8a90\",\"metadata\":{"
    "\"user_id\":\"12345\",\"document_type\":\"invoice\"}}";
static const char ed25519_signature[] =
    "km+2riOkp6WUWcH+77mjYLZrrMyM+yoU3ku+c0JmFu5y35a12Z2XQ5bA0IFCVoj+"
    "MOR06n87g3KYACo0bIM1Dw==";

static struct hb_svix_key *keys[KEYS];
static struct hb_secret secret,
    *secret_list[KEYS] = {&secret, &secret, &secret};
static const struct hb_endpoint_conf endpoint = {
    .name = "production",
    .mode = HB_MODE_SVIX,
    .path = "/hook",
    .tolerance_ms = TOLERANCE * 1000,
    .secrets = {secret_list, KEYS},
    .svix_keys = keys,
};
static struct hb_verifier *verifier;
static struct hb_verify_bench *bench;
static struct hb_hmac *mac;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < KEYS; i++) {
		keys[i] = hb_svix_key_parse(hb_span_of(secrets[i]), NULL);
		fuzz_require(keys[i] != NULL);
	}
	verifier = hb_verifier_new(&endpoint);
	bench = hb_verify_bench_new();
	mac = hb_hmac_new();
	return 0;
}

/* --- the request ---------------------------------------------------------- */

struct message {
	unsigned options;
	struct fuzz_cuts cuts;
	struct hb_span id, stamp, list, body;
	struct hb_span whole; /* what is signed */
	char macs[HMAC_KEYS][MAC_TEXT];
	bool has_macs;
};

static char *
put(char *out, struct hb_span s)
{
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	return out + s.len;
}

static struct hb_span
assemble(struct hb_arena *arena, const struct message *m)
{
	char *start =
	    hb_arena_alloc(arena, m->id.len + m->stamp.len + m->body.len + 2);
	char *out = put(start, m->id);

	out = put(out, HB_SPAN("."));
	out = put(out, m->stamp);
	out = put(out, HB_SPAN("."));
	out = put(out, m->body);
	return hb_span_make(start, (size_t)(out - start));
}

/* The signature of an HMAC key. All are made when one is asked for: most
 * messages need none. */
static struct hb_span
mac_of(struct message *m, size_t key)
{
	uint8_t digest[HB_SHA256_SIZE];

	for (size_t i = 0; !m->has_macs && i < HMAC_KEYS; i++) {
		hb_hmac_begin(mac, keys[i]->hmac);
		hb_hmac_update(mac, m->whole.ptr, m->whole.len);
		hb_hmac_final(mac, digest);
		hb_base64_encode(digest, sizeof(digest), m->macs[i]);
	}
	m->has_macs = true;
	return hb_span_make(m->macs[key], MAC_TEXT);
}

/* Puts the signatures where the list asks for them. */
static struct hb_span
fill_in(struct hb_arena *arena, struct message *m)
{
	struct hb_span list = m->list;
	/* Two characters become 88 at most. */
	char *start = hb_arena_alloc(arena, 44 * list.len + 1), *out = start;

	while (list.len > 0) {
		char which =
		    list.len >= 2 && list.ptr[0] == '@' ? list.ptr[1] : '\0';

		if (which == '0' || which == '1') {
			out = put(out, mac_of(m, (size_t)(which - '0')));
			list = hb_span_skip(list, 2);
		} else if (which == '2') {
			out = put(out, hb_span_of(ed25519_signature));
			list = hb_span_skip(list, 2);
		} else {
			*out++ = list.ptr[0];
			list = hb_span_skip(list, 1);
		}
	}
	return hb_span_make(start, (size_t)(out - start));
}

static struct message
read_message(struct hb_arena *arena, struct hb_span in)
{
	struct message m;

	m.has_macs = false;
	m.options = fuzz_byte(&in);
	m.cuts = fuzz_cuts(&in);
	m.id = fuzz_line(&in);
	m.stamp = fuzz_line(&in);
	m.list = fuzz_line(&in);
	m.body = in;
	m.whole = assemble(arena, &m);
	m.list = fill_in(arena, &m);
	return m;
}

/* The other family, where there is one, has another id and no signature that
 * fits. */
static void
fill_head(const struct message *m, struct hb_http_head *head)
{
	static const struct hb_span names[2][3] = {
	    {{"Svix-Id", 7}, {"svix-timestamp", 14}, {"SVIX-SIGNATURE", 14}},
	    {{"webhook-id", 10}, {"Webhook-Timestamp", 17},
		{"webhook-signature", 17}},
	};
	const struct hb_span values[3] = {m->id, m->stamp, m->list};
	size_t family = m->options & UNBRANDED ? 1 : 0, n = 0;

	for (size_t i = 0; i < 3; i++)
		head->headers[n++] =
		    (struct hb_http_header){names[family][i], values[i]};
	if (m->options & TWO_FAMILIES)
		for (size_t i = 0; i < 3; i++)
			head->headers[n++] = (struct hb_http_header){
			    names[1 - family][i], HB_SPAN("1767225600")};
	if (m->options & REPEATED) {
		head->headers[n] = head->headers[(m->options >> 3 & 3) % 3];
		n++;
	}
	head->header_count = n;
}

/* --- the judge ------------------------------------------------------------ */

static bool
is_good_id(struct hb_span id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] < 0x21 || id.ptr[i] > 0x7e || id.ptr[i] == '.')
			return false;
	return id.len >= 1 && id.len <= 128;
}

/* The timestamp, or 0 when it is none. */
static int64_t
stamp_of(struct hb_span text)
{
	char digits[16] = "";

	if (text.len > 15)
		return 0;
	put(digits, text);
	if (strspn(digits, "0123456789") != text.len || digits[0] == '0')
		return 0;
	return strtoll(digits, NULL, 10);
}

/* The first piece of a list, and what is behind it. */
static struct hb_span
next_entry(struct hb_span *list)
{
	struct hb_span entry = *list;
	size_t len = 0;

	while (len < entry.len && entry.ptr[len] != ' ')
		len++;
	entry.len = len;
	*list = hb_span_skip(*list, len < list->len ? len + 1 : len);
	return entry;
}

static struct hb_span
after(struct hb_span entry, struct hb_span version)
{
	return hb_span_starts(entry, version) ? hb_span_skip(entry, version.len)
					      : HB_SPAN_NONE;
}

/* The keys that one of the list's entries fits, as bits; -1 when none could
 * fit any. */
static int
matching_keys(struct message *m)
{
	struct hb_span list = m->list;
	size_t entries = 0, tried = 0;
	bool possible = false;
	int matching = 0;

	while (list.len > 0) {
		struct hb_span entry = next_entry(&list);
		struct hb_span v1 = after(entry, HB_SPAN("v1,"));
		struct hb_span v1a = after(entry, HB_SPAN("v1a,"));
		uint8_t sig[HB_ED25519_SIG_SIZE];

		if (memchr(entry.ptr, ',', entry.len) != NULL &&
		    ++entries > ENTRIES)
			return -1;
		possible |= v1.len == MAC_TEXT;
		for (size_t i = 0; v1.len == MAC_TEXT && i < HMAC_KEYS; i++)
			if (hb_span_eq(v1, mac_of(m, i)))
				matching |= 1 << i;
		if (!hb_span_is_set(v1a) || tried == 2 ||
		    hb_base64_decode(v1a, sig, sizeof(sig)) != sizeof(sig))
			continue;
		tried++;
		possible = true;
		if (hb_span_eq(v1a, hb_span_of(ed25519_signature)) &&
		    hb_span_eq(m->whole, hb_span_of(ed25519_message)))
			matching |= 1 << 2;
	}
	return possible ? matching : -1;
}

/* The reason it is refused for, "ok" otherwise; *key is then the newest that
 * matches, an HMAC key before any other. */
static const char *
judge(struct message *m, unsigned *key)
{
	int64_t stamp = stamp_of(m->stamp), age = NOW - stamp;
	bool complete = m->id.len > 0 && m->stamp.len > 0 && m->list.len > 0;
	bool other_counts = (m->options & TWO_FAMILIES) != 0 &&
			    ((m->options & UNBRANDED) != 0 || !complete);
	int matching;

	if (m->options & REPEATED)
		return "duplicate_header";
	if (other_counts)
		return "no_matching_signature";
	if (!complete)
		return "missing_header";
	if (!is_good_id(m->id))
		return "bad_id";
	if (stamp == 0)
		return "bad_timestamp";
	if (age > TOLERANCE)
		return "timestamp_too_old";
	if (-age > TOLERANCE)
		return "timestamp_too_new";
	matching = matching_keys(m);
	if (matching < 0)
		return "no_matching_signature";
	if ((m->options & LATE) != 0 && age + 60 > TOLERANCE)
		return "timestamp_too_old";
	if (matching == 0)
		return "no_matching_signature";
	*key = (unsigned)__builtin_ctz((unsigned)matching);
	return "ok";
}

/* --- what must hold ------------------------------------------------------- */

static const char *
refused(const struct hb_error *err)
{
	fuzz_require(err->code == HB_E_AUTH && err->text[0] != '\0');
	for (size_t i = 0; hb_verify_reasons[i] != NULL; i++)
		if (strcmp(hb_verify_reasons[i], err->reason) == 0)
			return err->reason;
	hb_bug("reason %s", err->reason);
}

static const char *
verify(struct message *m, struct hb_verified *verified)
{
	static const struct in6_addr peer = IN6ADDR_LOOPBACK_INIT;
	int64_t now = NOW * INT64_C(1000);
	struct hb_http_header headers[8];
	struct hb_http_head head = {.headers = headers};
	struct hb_error err = {.code = HB_OK};
	struct hb_span rest = m->body;
	struct hb_verify *attempt;

	fill_head(m, &head);
	attempt = hb_verify_begin(
	    verifier, bench, &head, &peer, HB_SPAN_NONE, now, &err);
	if (attempt == NULL)
		return refused(&err);
	while (rest.len > 0) {
		struct hb_span piece = fuzz_piece(&m->cuts, &rest);

		hb_verify_update(attempt, piece.ptr, piece.len);
	}
	if (m->options & LATE)
		now += 60000;
	return hb_verify_finish(attempt, (char *)(uintptr_t)m->body.ptr,
		   m->body.len, now, verified, &err)
		   ? "ok"
		   : refused(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_arena *arena = hb_arena_new(4096);
	struct message m = read_message(arena, fuzz_input(data, size));
	struct hb_verified verified;
	const char *got = verify(&m, &verified), *want;
	unsigned key = 0;

	want = judge(&m, &key);
	if (strcmp(got, want) != 0)
		hb_bug("%s instead of %s", got, want);
	if (strcmp(got, "ok") == 0) {
		fuzz_require(verified.key == key);
		fuzz_require(hb_span_eq(verified.webhook_id, m.id));
		fuzz_require(verified.webhook_timestamp == stamp_of(m.stamp));
		fuzz_require(verified.body_len == m.body.len);
	}
	hb_arena_free(arena);
	return 0;
}
