/* SPDX-License-Identifier: Apache-2.0 */
/* verify_rig.h - an endpoint and a request made by hand, for what verifies
 *
 * Set up an endpoint, its secrets ("a|b", newest first), the request's headers
 * and the time; rig_verify() takes a body through all steps and returns the
 * reason it was refused for, "ok" otherwise. */
#ifndef HOOKBRIDGE_TESTS_VERIFY_RIG_H
#define HOOKBRIDGE_TESTS_VERIFY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/svix_key.h"
#include "hookbridge/verify.h"

#define RIG_SECRETS 8
#define RIG_HEADERS 24

struct rig {
	struct hb_endpoint_conf endpoint;
	struct hb_secret secrets[RIG_SECRETS];
	struct hb_secret *secret_list[RIG_SECRETS];
	struct hb_svix_key *keys[RIG_SECRETS];
	struct hb_cidr cidrs[RIG_SECRETS];
	struct hb_json_paths *paths;
	struct hb_verifier *verifier;
	struct hb_verify_bench *bench;
	struct hb_http_header headers[RIG_HEADERS];
	struct hb_http_head head;
	struct in6_addr peer;
	struct hb_span path_token;
	int64_t now_ms, end_ms; /* when the head, when the body is there */
	/* what rig_verify() leaves behind */
	char *body;
	struct hb_verified verified;
	struct hb_error err;
};

/* How a body is fed. */
enum rig_feed { RIG_WHOLE, RIG_BYTES, RIG_PIECES, RIG_FEEDS };

/* --- setting up ----------------------------------------------------------- */

static inline void
rig_secret(struct rig *rig, struct hb_secrets *list, const char *text,
    size_t len)
{
	struct hb_secret *secret = &rig->secrets[list->count];

	assert_true(list->count < RIG_SECRETS);
	list->items = rig->secret_list;
	secret->data = (uint8_t *)hb_xstrndup(hb_span_make(text, len));
	secret->len = len;
	secret->source = "file:test";
	list->items[list->count++] = secret;
}

static inline void
rig_secrets(struct rig *rig, struct hb_secrets *list, const char *texts)
{
	while (texts != NULL) {
		size_t len = strcspn(texts, "|");

		rig_secret(rig, list, texts, len);
		texts = texts[len] == '|' ? texts + len + 1 : NULL;
	}
}

static inline void
rig_init(struct rig *rig, int mode)
{
	*rig = (struct rig){
		.endpoint = { .name = "production", .mode = mode,
		    .path = "/hook", .tolerance_ms = 300000 },
		.bench = hb_verify_bench_new(),
	};
	rig->head.headers = rig->headers;
}

/* Mode svix: the secrets are set. */
static inline void
rig_keys(struct rig *rig, const char *texts)
{
	struct hb_error err;

	rig_secrets(rig, &rig->endpoint.secrets, texts);
	rig->endpoint.svix_keys = rig->keys;
	for (size_t i = 0; i < rig->endpoint.secrets.count; i++) {
		rig->keys[i] = hb_svix_key_parse(
		    hb_span_make((char *)rig->secrets[i].data,
			rig->secrets[i].len), &err);
		assert_non_null(rig->keys[i]);
	}
}

/* All is set: compiles the verifier. */
static inline void
rig_ready(struct rig *rig)
{
	rig->verifier = hb_verifier_new(&rig->endpoint);
}

static inline void
rig_fini(struct rig *rig)
{
	hb_verifier_free(rig->verifier);
	hb_verify_bench_free(rig->bench);
	hb_json_paths_free(rig->paths);
	for (size_t i = 0; i < RIG_SECRETS; i++) {
		hb_svix_key_free(rig->keys[i]);
		free(rig->secrets[i].data);
	}
	free(rig->body);
}

static inline void
rig_header(struct rig *rig, const char *name, const char *value)
{
	assert_true(rig->head.header_count < RIG_HEADERS);
	rig->headers[rig->head.header_count++] = (struct hb_http_header){
		hb_span_of(name), hb_span_of(value) };
}

static inline void
rig_peer(struct rig *rig, const char *address)
{
	assert_int_equal(inet_pton(AF_INET6, address, &rig->peer), 1);
}

/* --- the steps ------------------------------------------------------------ */

static inline void
rig_feed(struct hb_verify *attempt, const char *body, size_t len,
    enum rig_feed feed)
{
	static uint32_t seed = 1;

	for (size_t at = 0, n; at < len; at += n) {
		seed = seed * 1664525u + 1013904223u;
		n = feed == RIG_WHOLE ? len
		    : feed == RIG_BYTES ? 1 : 1 + (seed >> 16) % (len / 3 + 2);
		if (n > len - at)
			n = len - at;
		hb_verify_update(attempt, body + at, n);
	}
}

static inline bool
rig_is_reason(const char *word)
{
	for (size_t i = 0; hb_verify_reasons[i] != NULL; i++)
		if (strcmp(hb_verify_reasons[i], word) == 0)
			return true;
	return false;
}

/* What a refusal has to look like, whatever it is for. */
static inline const char *
rig_refused(const struct rig *rig)
{
	assert_int_equal(rig->err.code, HB_E_AUTH);
	assert_non_null(rig->err.reason);
	assert_true(rig_is_reason(rig->err.reason));
	assert_true(strlen(rig->err.text) > 0);
	for (size_t i = 0; i < RIG_SECRETS; i++)
		if (rig->secrets[i].data != NULL)
			assert_null(strstr(rig->err.text,
			    (char *)rig->secrets[i].data));
	return rig->err.reason;
}

static inline struct hb_verify *
rig_begin(struct rig *rig)
{
	rig->err = (struct hb_error){ .code = HB_OK };
	return hb_verify_begin(rig->verifier, rig->bench, &rig->head,
	    &rig->peer, rig->path_token, rig->now_ms, &rig->err);
}

/* From the head to the answer. The body's copy has its exact size. */
static inline const char *
rig_verify(struct rig *rig, const char *body, size_t len, enum rig_feed feed)
{
	struct hb_verify *attempt = rig_begin(rig);

	if (attempt == NULL)
		return rig_refused(rig);
	free(rig->body);
	rig->body = NULL;
	if (len > 0)
		rig->body = memcpy(hb_xmalloc(len), body, len);
	rig_feed(attempt, rig->body, len, feed);
	if (!hb_verify_finish(attempt, rig->body, len,
		rig->end_ms != 0 ? rig->end_ms : rig->now_ms, &rig->verified,
		&rig->err))
		return rig_refused(rig);
	return "ok";
}

/* --- vectors -------------------------------------------------------------- */

static inline json_t *
rig_vectors(void)
{
	char path[4096];
	json_error_t error;
	json_t *root;

	snprintf(path, sizeof(path), "%s/unit/vectors/svix-signatures.json",
	    getenv("HB_TESTS"));
	root = json_load_file(path, 0, &error);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, error.line, error.text);
	return root;
}

static inline const char *
rig_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* Hexadecimal to bytes; their number. */
static inline size_t
rig_unhex(const char *hex, uint8_t *out, size_t size)
{
	size_t len = strlen(hex) / 2;

	assert_true(len <= size);
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

#endif
