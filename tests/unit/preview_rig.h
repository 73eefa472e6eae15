/* SPDX-License-Identifier: Apache-2.0 */
/* preview_rig.h - requests as a text, with signatures by the tests' secret
 *
 * A test program uses cfg_setup() and cfg_teardown() for its group. */
#ifndef HOOKBRIDGE_TESTS_PREVIEW_RIG_H
#define HOOKBRIDGE_TESTS_PREVIEW_RIG_H

#include "cfg_rig.h"
#include "hookbridge/preview.h"
#include "hookbridge/svix_key.h"

/* 2026-01-01T00:00:00.500Z */
#define RIG_SECONDS 1767225600
#define RIG_MS ((int64_t)RIG_SECONDS * 1000 + 500)

/* The three headers for a body, signed at a time with SECRET. */
static inline const char *
rig_sign(const char *id, long long seconds, const char *body)
{
	static char fields[512];
	struct hb_svix_key *key = hb_svix_key_parse(HB_SPAN(SECRET), NULL);
	struct hb_hmac *mac = hb_hmac_new();
	uint8_t digest[HB_SHA256_SIZE];
	char front[256], text[64] = "";

	assert_non_null(key);
	snprintf(front, sizeof(front), "%s.%lld.", id, seconds);
	hb_hmac_begin(mac, key->hmac);
	hb_hmac_update(mac, front, strlen(front));
	hb_hmac_update(mac, body, strlen(body));
	hb_hmac_final(mac, digest);
	hb_base64_encode(digest, sizeof(digest), text);
	hb_hmac_free(mac);
	hb_svix_key_free(key);
	snprintf(fields, sizeof(fields), "svix-id: %s\r\n"
	    "svix-timestamp: %lld\r\nsvix-signature: v1,%s\r\n", id, seconds,
	    text);
	return fields;
}

/* The head of a request with these fields; valid until the next. */
static inline struct hb_span
rig_head(const char *method, const char *target, const char *fields,
    size_t body_len)
{
	static char head[8192];
	int len = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: h\r\n"
	    "%sContent-Length: %zu\r\n\r\n", method, target, fields, body_len);

	assert_in_range(len, 1, sizeof(head) - 1);
	return hb_span_make(head, (size_t)len);
}

/* A body alone for an endpoint's path, as an operator explains it. */
static inline struct hb_preview_request
rig_request(const struct hb_config *cfg, const char *path, const char *body)
{
	return (struct hb_preview_request){ .cfg = cfg,
		.head = rig_head("POST", path, "", strlen(body)),
		.body = hb_span_of(body),
		.at_ms = RIG_MS,
		.lenient = true };
}

#endif
