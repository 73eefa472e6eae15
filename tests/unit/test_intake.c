/* SPDX-License-Identifier: Apache-2.0 */
/* test_intake.c - paths, media types, trace context: what is pure in intake */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/intake/parts.h"
#include "hookbridge/mem.h"

static struct hb_endpoint_conf endpoints[] = {
	{ .index = 0, .name = "production", .mode = HB_MODE_SVIX,
	    .path = "/webhooks/reducto/production" },
	{ .index = 1, .name = "off", .mode = HB_MODE_DISABLED,
	    .path = "/webhooks/off" },
	{ .index = 2, .name = "inner", .mode = HB_MODE_DIRECT,
	    .path = "/d/{token}/hook",
	    .token = { .in = HB_TOKEN_PATH } },
	{ .index = 3, .name = "last", .mode = HB_MODE_DIRECT,
	    .path = "/e/{token}", .token = { .in = HB_TOKEN_PATH } },
	{ .index = 4, .name = "plain wins", .mode = HB_MODE_SVIX,
	    .path = "/e/plain" },
	{ .index = 5, .name = "root", .mode = HB_MODE_SVIX, .path = "/" },
};

static const struct {
	const char *path, *endpoint, *token;
} path_cases[] = {
	{ "/webhooks/reducto/production", "production", NULL },
	{ "/webhooks/reducto/production/", NULL, NULL },
	{ "/webhooks/reducto/productio", NULL, NULL },
	{ "/webhooks/reducto/Production", NULL, NULL },
	{ "/webhooks/reducto/%70roduction", NULL, NULL },
	{ "/webhooks/off", NULL, NULL },
	{ "/d/abc/hook", "inner", "abc" },
	{ "/d//hook", NULL, NULL },
	{ "/d/a/b/hook", NULL, NULL },
	{ "/d/hook", NULL, NULL },
	{ "/d/{token}/hook", "inner", "{token}" },
	{ "/e/x", "last", "x" },
	{ "/e/", NULL, NULL },
	{ "/e/x/", NULL, NULL },
	{ "/e/plain", "plain wins", NULL },
	{ "/", "root", NULL },
	{ "", NULL, NULL },
};

static void
test_paths(void **state)
{
	struct hb_config cfg = { .endpoints = endpoints,
		.endpoint_count = HB_COUNT(endpoints) };
	struct hb_paths *paths = hb_paths_new(&cfg);

	(void)state;
	for (size_t i = 0; i < HB_COUNT(path_cases); i++) {
		const struct hb_endpoint_conf *found;
		struct hb_span token;

		found = hb_paths_find(paths, hb_span_of(path_cases[i].path),
		    &token);
		if (path_cases[i].endpoint == NULL) {
			assert_null(found);
			continue;
		}
		assert_non_null(found);
		assert_string_equal(found->name, path_cases[i].endpoint);
		assert_true(hb_span_eq(token, hb_span_of(path_cases[i].token)));
	}
	hb_paths_free(paths);
}

static const struct {
	const char *type, *type_again, *encoding, *encoding_again;
	bool accepted;
} media_cases[] = {
	{ .accepted = true },
	{ "application/json", .accepted = true },
	{ "Application/JSON", .accepted = true },
	{ "application/json; charset=utf-8", .accepted = true },
	{ "application/json \t;x", .accepted = true },
	{ "application/json;", .accepted = true },
	{ "application/cloudevents+json", .accepted = true },
	{ "application/vnd.reducto+JSON;v=1", .accepted = true },
	{ "+json", .accepted = false },
	{ "json", .accepted = false },
	{ "application/jsonx", .accepted = false },
	{ "application/x+jsonx", .accepted = false },
	{ "text/plain", .accepted = false },
	{ "text/plain;application/json", .accepted = false },
	{ "application/json,text/plain", .accepted = false },
	{ "", .accepted = false },
	{ ";", .accepted = false },
	/* Said twice, even if it is the same. */
	{ "application/json", "text/plain", .accepted = false },
	{ "application/json", "application/json", .accepted = false },
	{ .encoding = "identity", .accepted = true },
	{ .encoding = "Identity", .accepted = true },
	{ .encoding = "gzip", .accepted = false },
	{ .encoding = "identity, gzip", .accepted = false },
	{ .encoding = "", .accepted = false },
	{ .encoding = "identity", .encoding_again = "gzip",
	    .accepted = false },
	{ "application/json", .encoding = "br", .accepted = false },
};

static void
test_media(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(media_cases); i++) {
		const char *values[] = { media_cases[i].type,
			media_cases[i].type_again, media_cases[i].encoding,
			media_cases[i].encoding_again };
		static const char *const names[] = { "Content-Type",
			"content-type", "Content-Encoding",
			"content-encoding" };
		struct hb_http_header headers[4];
		struct hb_http_head head = { .headers = headers };

		for (size_t j = 0; j < HB_COUNT(values); j++)
			if (values[j] != NULL)
				headers[head.header_count++] =
				    (struct hb_http_header){
					    hb_span_of(names[j]),
					    hb_span_of(values[j]) };
		if (hb_media_is_json(&head) != media_cases[i].accepted)
			fail_msg("media case %zu", i);
	}
}

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
	const char *parent, *parent_again, *state;
	bool passed, state_passed;
} trace_cases[] = {
	{ PARENT, NULL, NULL, true, false },
	{ PARENT, NULL, "vendor=1,other=2", true, true },
	{ PARENT, NULL, "tab\there", true, false },
	{ PARENT, PARENT, "vendor=1", false, false },
	{ NULL, NULL, "vendor=1", false, false },
	{ "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL,
	    NULL, false, false },
	{ "00-00000000000000000000000000000000-b7ad6b7169203331-01", NULL,
	    NULL, false, false },
	{ "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", NULL,
	    NULL, false, false },
	{ "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", NULL,
	    NULL, false, false },
	{ "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", NULL, NULL,
	    false, false },
	{ PARENT "-extra", NULL, NULL, false, false },
	{ "", NULL, NULL, false, false },
};

static void
test_trace(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(trace_cases); i++) {
		struct hb_http_header headers[3];
		struct hb_http_head head = { .headers = headers };
		struct hb_event ev = { .arena = hb_arena_new(256) };
		const char *values[] = { trace_cases[i].parent,
			trace_cases[i].parent_again, trace_cases[i].state };
		static const char *const names[] = { "traceparent",
			"Traceparent", "tracestate" };

		for (size_t j = 0; j < HB_COUNT(values); j++)
			if (values[j] != NULL)
				headers[head.header_count++] =
				    (struct hb_http_header){
					    hb_span_of(names[j]),
					    hb_span_of(values[j]) };
		hb_trace_copy(&head, &ev);
		assert_int_equal(hb_span_is_set(ev.traceparent),
		    trace_cases[i].passed);
		assert_int_equal(hb_span_is_set(ev.tracestate),
		    trace_cases[i].state_passed);
		hb_arena_free(ev.arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_media),
		cmocka_unit_test(test_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
