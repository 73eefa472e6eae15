/* SPDX-License-Identifier: Apache-2.0 */
/* requests.c - what a Svix sender would post
 *
 * A body is a completed parse job whose result is an array of small objects:
 * dense JSON, the harder kind for a scanner. Bodies stay for the whole run and
 * heads are small, so that half a million requests fit into memory. */
#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/svix_key.h"

#define HEAD_MAX 640

static const char chunk[] =
    "{\"type\":\"Text\",\"bbox\":{\"left\":0.1,\"top\":0.25,\"page\":1},"
    "\"content\":\"line of an invoice\",\"confidence\":\"high\"}";

static struct hb_span
make_body(size_t index, size_t size)
{
	char *body = hb_xmalloc(size + sizeof(chunk) + 256);
	size_t len = (size_t)sprintf(body,
	    "{\"job_id\":\"job-%06zu\",\"status\":\"Completed\",\"metadata\":"
	    "{\"document_type\":\"invoice\",\"organization_id\":\"org-%zu\","
	    "\"priority\":\"high\"},\"result\":{\"type\":\"full\",\"chunks\":[",
	    index, index % 7);
	const size_t tail = strlen("]},\"pad\":\"\"}");
	size_t first = len;

	while (len + sizeof(chunk) + tail <= size) {
		if (len > first)
			body[len++] = ',';
		memcpy(body + len, chunk, sizeof(chunk) - 1);
		len += sizeof(chunk) - 1;
	}
	len += (size_t)sprintf(body + len, "]},\"pad\":\"");
	while (len + 2 < size)
		body[len++] = 'x';
	len += (size_t)sprintf(body + len, "\"}");
	return hb_span_make(body, len);
}

static struct hb_svix_key *
parse_secret(const char *secret)
{
	struct hb_error err;
	struct hb_svix_key *key =
	    hb_svix_key_parse(hb_span_of(secret), &err);

	if (key == NULL || key->kind != HB_SVIX_HMAC) {
		fprintf(stderr, "load: --secret: %s\n",
		    key == NULL ? err.text : "expected whsec_");
		exit(EX_USAGE);
	}
	return key;
}

static size_t
sign(struct hb_hmac *mac, const struct hb_svix_key *key, const char *id,
    const char *now, struct hb_span body, char *out)
{
	uint8_t digest[HB_SHA256_SIZE];

	hb_hmac_begin(mac, key->hmac);
	hb_hmac_update(mac, id, strlen(id));
	hb_hmac_update(mac, ".", 1);
	hb_hmac_update(mac, now, strlen(now));
	hb_hmac_update(mac, ".", 1);
	hb_hmac_update(mac, body.ptr, body.len);
	hb_hmac_final(mac, digest);
	return hb_base64_encode(digest, sizeof(digest), out);
}

static struct request
make_request(const struct request_spec *spec, size_t index,
    struct hb_span body, struct hb_hmac *mac, const struct hb_svix_key *key)
{
	char id[64], now[24], signature[64], head[HEAD_MAX];
	size_t signature_len;
	int len;

	snprintf(id, sizeof(id), "msg_%08x%08zx", spec->seed, index);
	snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
	signature_len = sign(mac, key, id, now, body, signature);
	len = snprintf(head, sizeof(head),
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
	    "content-type: application/json\r\n"
	    "user-agent: Svix-Webhooks/1.100.0\r\nsvix-id: %s\r\n"
	    "svix-timestamp: %s\r\nsvix-signature: v1,%.*s\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    spec->path, id, now, (int)signature_len, signature, body.len);
	return (struct request){ hb_xstrndup(hb_span_make(head, (size_t)len)),
		(size_t)len, body.ptr, body.len };
}

struct requests
requests_make(const struct request_spec *wanted)
{
	struct request_spec spec = *wanted;
	struct requests requests = {
		hb_xcalloc(spec.count, sizeof(struct request)), spec.count };
	struct hb_span *bodies = hb_xcalloc(spec.bodies, sizeof(*bodies));
	struct hb_svix_key *key = parse_secret(spec.secret);
	struct hb_hmac *mac = hb_hmac_new();

	/* Unlike that of another run in the same minute. */
	if (spec.seed == 0)
		spec.seed = (uint32_t)getpid() * 2654435761u ^
		    (uint32_t)time(NULL);

	for (size_t i = 0; i < spec.bodies; i++)
		bodies[i] = make_body(i, spec.body_size);
	for (size_t i = 0; i < spec.count; i++)
		requests.items[i] = make_request(&spec, i,
		    bodies[i % spec.bodies], mac, key);
	hb_hmac_free(mac);
	hb_svix_key_free(key);
	free(bodies);
	return requests;
}
