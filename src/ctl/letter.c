/* SPDX-License-Identifier: Apache-2.0 */
/* letter.c - one webhook, as Svix or Reducto would send it
 *
 * The built-in sample is the body that Reducto documents for a finished job,
 * marked as a test in its metadata. Each has a job id of its own, so that
 * neither the daemon nor a consumer takes one for a repetition of another. A
 * body that was given is sent as it is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/svix_key.h"
#include "send.h"

#define ID_PREFIX "msg_"
#define NO_JOB_ID "00000000-0000-4000-8000-000000000000"
#define SAMPLE_HEAD "{\"status\":\"Completed\",\"job_id\":\""
#define SAMPLE_TAIL                                          \
	"\",\"metadata\":{\"document_type\":\"invoice\"," \
	"\"test\":true,\"sent_by\":\"hookbridgectl\"}}"

/* --- stationery ----------------------------------------------------------- */

bool
hb_stationery_init(struct hb_stationery *stationery, struct hb_arena *arena,
    const struct hb_endpoint_conf *endpoint, const struct hb_proof *proof,
    struct hb_span body, struct hb_error *err)
{
	bool is_sample = !hb_span_is_set(body);

	*stationery = (struct hb_stationery){ .endpoint = endpoint,
		.proof = proof,
		.body = is_sample
		    ? HB_SPAN(SAMPLE_HEAD NO_JOB_ID SAMPLE_TAIL)
		    : body };
	if (hb_span_is_set(proof->token) &&
	    endpoint->token.in == HB_TOKEN_METADATA &&
	    !hb_proof_put_token(arena, &stationery->body, endpoint->token.name,
		proof->token, err))
		return false;
	/* Metadata stands behind it: a token there moves nothing. */
	if (is_sample)
		stationery->job_id_at = strlen(SAMPLE_HEAD);
	stationery->mac = hb_hmac_new();
	return true;
}

void
hb_stationery_fini(struct hb_stationery *stationery)
{
	hb_hmac_free(stationery->mac);
	stationery->mac = NULL;
}

/* --- ids ------------------------------------------------------------------ */

/* "msg_" and 27 characters of base 62, as Svix's are. */
static void
make_id(char out[HB_LETTER_ID_SIZE])
{
	static const char digits[] = "0123456789"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const size_t prefix = strlen(ID_PREFIX);
	unsigned char bytes[HB_LETTER_ID_SIZE];

	hb_random(bytes, sizeof(bytes));
	memcpy(out, ID_PREFIX, prefix);
	for (size_t i = prefix; i < HB_LETTER_ID_SIZE - 1; i++)
		out[i] = digits[bytes[i] % (sizeof(digits) - 1)];
	out[HB_LETTER_ID_SIZE - 1] = '\0';
}

/* A random UUID (version 4). */
static void
make_job_id(char out[HB_LETTER_JOB_ID_SIZE])
{
	uint8_t bytes[16];
	char hex[32];

	hb_random(bytes, sizeof(bytes));
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	hb_hex(bytes, sizeof(bytes), hex);
	snprintf(out, HB_LETTER_JOB_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex,
	    hex + 8, hex + 12, hex + 16, hex + 20);
}

/* --- headers -------------------------------------------------------------- */

static void HB_PRINTF(2, 3)
add_header(struct hb_letter *letter, const char *fmt, ...)
{
	struct curl_slist *longer;
	char *line;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		hb_bug("no memory for a header");
	va_end(ap);
	longer = curl_slist_append(letter->headers, line);
	if (longer == NULL)
		hb_bug("no memory for a header");
	letter->headers = longer;
	hb_wipe(line, strlen(line));
	free(line);
}

static void
sign(const struct hb_stationery *stationery, struct hb_letter *letter)
{
	uint8_t digest[HB_SHA256_SIZE];
	char signature[HB_SHA256_SIZE * 2], stamp[24];
	struct hb_hmac *mac = stationery->mac;
	size_t len;

	snprintf(stamp, sizeof(stamp), "%" PRId64, hb_clock_wall_ms() / 1000);
	hb_hmac_begin(mac, stationery->proof->key->hmac);
	hb_hmac_update(mac, letter->id, strlen(letter->id));
	hb_hmac_update(mac, ".", 1);
	hb_hmac_update(mac, stamp, strlen(stamp));
	hb_hmac_update(mac, ".", 1);
	hb_hmac_update(mac, letter->body.ptr, letter->body.len);
	hb_hmac_final(mac, digest);
	len = hb_base64_encode(digest, sizeof(digest), signature);
	add_header(letter, "svix-id: %s", letter->id);
	add_header(letter, "svix-timestamp: %s", stamp);
	add_header(letter, "svix-signature: v1,%.*s", (int)len, signature);
}

static void
add_basic(struct hb_letter *letter, const char *user, struct hb_span token)
{
	size_t len = strlen(user) + 1 + token.len;
	char *plain = hb_xmalloc(len + 1);
	char *text = hb_xmalloc((len + 2) / 3 * 4);

	snprintf(plain, len + 1, "%s:%.*s", user, HB_SPAN_ARG(token));
	add_header(letter, "authorization: Basic %.*s",
	    (int)hb_base64_encode((const uint8_t *)plain, len, text), text);
	hb_wipe(plain, len);
	hb_wipe(text, (len + 2) / 3 * 4);
	free(plain);
	free(text);
}

/* A token in the URL or in the body is there already. */
static void
authorize(const struct hb_stationery *stationery, struct hb_letter *letter)
{
	const struct hb_token_conf *conf = &stationery->endpoint->token;
	struct hb_span token = stationery->proof->token;

	if (conf->in == HB_TOKEN_BEARER)
		add_header(letter, "authorization: Bearer %.*s",
		    HB_SPAN_ARG(token));
	else if (conf->in == HB_TOKEN_BASIC)
		add_basic(letter, conf->user, token);
}

/* --- letters -------------------------------------------------------------- */

void
hb_letter_write(const struct hb_stationery *stationery,
    struct hb_letter *letter)
{
	char job_id[HB_LETTER_JOB_ID_SIZE];

	*letter = (struct hb_letter){ .body = stationery->body };
	make_id(letter->id);
	if (stationery->job_id_at > 0) {
		make_job_id(job_id);
		letter->own_body = hb_xstrndup(stationery->body);
		memcpy(letter->own_body + stationery->job_id_at, job_id,
		    HB_LETTER_JOB_ID_SIZE - 1);
		letter->body.ptr = letter->own_body;
	}
	add_header(letter, "content-type: application/json");
	/* libcurl would ask before it sends a large body; Svix does not. */
	add_header(letter, "expect:");
	if (stationery->proof->key != NULL)
		sign(stationery, letter);
	else
		authorize(stationery, letter);
}

void
hb_letter_fini(struct hb_letter *letter)
{
	for (struct curl_slist *h = letter->headers; h != NULL; h = h->next)
		hb_wipe(h->data, strlen(h->data));
	curl_slist_free_all(letter->headers);
	if (letter->own_body != NULL)
		hb_wipe(letter->own_body, letter->body.len);
	free(letter->own_body);
	*letter = (struct hb_letter){ .headers = NULL };
}
