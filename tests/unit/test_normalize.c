/* SPDX-License-Identifier: Apache-2.0 */
/* test_normalize.c - bodies in, members out: every shape in circulation, byte
 * for byte */
#include "hookbridge/normalize.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>

#include "hookbridge/mem.h"

#define JOB "\"job_id\":\"j1\",\"status\":\"Completed\""

/* --- a configuration with all kinds of names ------------------------------ */

enum {
	KIND = HB_VAR_METADATA, /* document_type */
	CITY,                   /* customer.address.city */
	DOTTED,                 /* a name with dots */
	CUSTOMER,               /* an object */
	ENVIRONMENT,
	VARS
};

static const char *const paths[] = { "document_type",
	"customer.address.city", "key\\.with\\.dots", "customer",
	"environment" };

static const char *values[] = { "staging", "test" };

static struct fixture {
	struct hb_arena *arena;
	struct hb_json_paths *paths;
	struct hb_budget_share share;
	struct hb_channel_conf channels[3];
	struct hb_endpoint_conf endpoint;
	struct hb_config cfg;
} fx;

static int
resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	(void)arg;
	if (hb_span_eq(name, HB_SPAN("status")))
		return HB_VAR_STATUS;
	if (hb_span_eq(name, HB_SPAN("metadata.environment")))
		return ENVIRONMENT;
	if (hb_span_eq(name, HB_SPAN("metadata.document_type")))
		return KIND;
	(void)hb_fail(err, HB_E_CONFIG, "unknown");
	return -1;
}

static const struct hb_tmpl *
tmpl(const char *text)
{
	const struct hb_tmpl *made = hb_tmpl_compile(fx.arena,
	    hb_span_of(text), resolve, NULL, NULL);

	assert_non_null(made);
	return made;
}

static int
setup(void **state)
{
	(void)state;
	fx.arena = hb_arena_new(4096);
	fx.paths = hb_json_paths_new();
	for (size_t i = 0; i < HB_COUNT(paths); i++)
		assert_int_equal(hb_json_paths_add(fx.paths,
				     hb_span_of(paths[i]), NULL), (int)i);
	fx.endpoint = (struct hb_endpoint_conf){ .name = "production",
		.mode = HB_MODE_SVIX,
		.metadata_size = 65536,
		.channels = fx.channels,
		.share = &fx.share };
	fx.cfg = (struct hb_config){ .endpoints = &fx.endpoint,
		.endpoint_count = 1,
		.metadata_paths = fx.paths,
		.var_count = VARS,
		.refs = 1 };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	assert_int_equal(fx.cfg.refs, 1);
	hb_json_paths_free(fx.paths);
	hb_arena_free(fx.arena);
	return 0;
}

/* --- running -------------------------------------------------------------- */

/* An event whose body is an exact copy, so that a read past its end shows. */
static struct hb_event *
event_of(struct hb_span body)
{
	char *copy = hb_xmalloc(body.len + (body.len == 0));
	struct hb_event *ev;

	if (body.len > 0)
		memcpy(copy, body.ptr, body.len);
	ev = hb_event_new(&fx.cfg, &fx.endpoint, copy, body.len);
	if (fx.endpoint.mode == HB_MODE_SVIX)
		ev->webhook_id = HB_SPAN("msg_1");
	return ev;
}

static struct hb_event *
normalized(const char *body)
{
	struct hb_event *ev = event_of(hb_span_of(body));
	struct hb_error err;

	if (!hb_normalize(ev, &err))
		fail_msg("%s: %s", body, err.text);
	assert_true(ev->usable);
	return ev;
}

static void
assert_text(struct hb_span got, const char *want)
{
	if (want == NULL ? hb_span_is_set(got)
	    : !hb_span_is_set(got) || !hb_span_eq(got, hb_span_of(want)))
		fail_msg("got \"%.*s\", want \"%s\"", HB_SPAN_ARG(got),
		    want == NULL ? "(absent)" : want);
}

/* Runs, joined by " ; ". */
static void
assert_runs(const struct hb_span *runs, size_t count, const char *want)
{
	char text[512] = "";
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%s%.*s", i > 0 ? " ; " : "", HB_SPAN_ARG(runs[i]));
	assert_string_equal(text, want);
}

/* --- shapes --------------------------------------------------------------- */

static const struct {
	const char *body, *metadata, *result, *extra, *envelope;
} shapes[] = {
	{ "{" JOB "}", NULL, NULL, "", "" },
	{ "{" JOB ",\"metadata\":{}}", "{}", NULL, "", "" },
	{ "{" JOB ",\"metadata\":null}", "null", NULL, "", "" },
	{ "{" JOB ",\"metadata\":\"text\"}", "\"text\"", NULL, "", "" },
	{ "{" JOB ",\"metadata\":[1, 2]}", "[1, 2]", NULL, "", "" },
	{ "{" JOB ",\"metadata\":12345678901234567890123}",
	    "12345678901234567890123", NULL, "", "" },
	{ "{" JOB ",\"result\":{ \"a\" : 1E400, \"a\" : \"\\u0000\" }}", NULL,
	    "{ \"a\" : 1E400, \"a\" : \"\\u0000\" }", "", "" },
	{ "{" JOB ",\"result\":null}", NULL, "null", "", "" },
	{ "{\"x\" : 1," JOB ", \"y\":[ ],\"z\": {} ,\"result\":1,\"x\":2}",
	    NULL, "1", "\"x\" : 1 ; \"y\":[ ],\"z\": {} ; \"x\":2", "" },
	{ "{\n  \"job_id\" : \"j1\" ,\n  \"status\":\"Completed\",\n"
	  "  \"reason\" :\t\"\\u00e9\\/\"\n}\n", NULL, NULL,
	    "\"reason\" :\t\"\\u00e9\\/\"", "" },
	/* names are compared decoded */
	{ "{\"job\\u005fid\":\"j1\",\"metadat\\u0061\":{\"b\":1}}",
	    "{\"b\":1}", NULL, "", "" },
	/* enveloped */
	{ "{\"data\":{" JOB ",\"metadata\":{\"a\":1},\"q\":0},\"v\":1}",
	    "{\"a\":1}", NULL, "\"q\":0", "\"v\":1" },
	{ "{\"type\":\"t\",\"data\":{\"job_id\":\"j1\"},\"metadata\":7}",
	    NULL, NULL, "", "\"type\":\"t\" ; \"metadata\":7" },
	/* a member "data" beside a job_id, or without one, is one of many */
	{ "{" JOB ",\"data\":{\"job_id\":\"other\"}}", NULL, NULL,
	    "\"data\":{\"job_id\":\"other\"}", "" },
};

static void
test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(shapes); i++) {
		struct hb_event *ev = normalized(shapes[i].body);

		assert_text(ev->job_id, "j1");
		assert_text(ev->id, "msg_1");
		assert_text(ev->metadata, shapes[i].metadata);
		assert_text(ev->result, shapes[i].result);
		assert_runs(ev->extra, ev->extra_count, shapes[i].extra);
		assert_runs(ev->envelope, ev->envelope_count,
		    shapes[i].envelope);
		hb_event_unref(ev);
	}
}

/* However many unknown members there are, they are a handful of runs. */
static void
test_many_members(void **state)
{
	size_t size = 1 << 20, len = 1;
	char *body = hb_xmalloc(size);
	struct hb_event *ev;
	struct hb_error err;

	(void)state;
	body[0] = '{';
	for (unsigned i = 0; len < size - 200; i++)
		len += (size_t)snprintf(body + len, size - len,
		    i % 1000 == 7 ? "\"x%u\":1,\"type\":2," : "\"x%u\":1,", i);
	len += (size_t)snprintf(body + len, size - len, JOB "}");
	ev = event_of(hb_span_make(body, len));
	assert_true(hb_normalize(ev, &err));
	assert_int_equal(ev->extra_count, 1);
	assert_int_equal(ev->extra[0].len, len - strlen("{," JOB "}"));
	hb_event_unref(ev);
	free(body);
}

/* --- what cannot be used -------------------------------------------------- */

static const struct {
	const char *body, *reason, *job_id;
} unusable[] = {
	{ "", "not-json", NULL },
	{ "{" JOB, "not-json", NULL },
	{ "{" JOB "} x", "not-json", NULL },
	{ "{" JOB ",}", "not-json", NULL },
	{ "{" JOB ",\"x\":\"\xff\"}", "not-json", NULL },
	{ "\xef\xbb\xbf{" JOB "}", "not-json", NULL },
	{ "\"text\"", "not-object", NULL },
	{ "17", "not-object", NULL },
	{ "null", "not-object", NULL },
	{ "[]", "array", NULL },
	{ "[{" JOB "}]", "array", NULL },
	{ "{}", "no-job-id", NULL },
	{ "{\"status\":\"Completed\"}", "no-job-id", NULL },
	{ "{\"job_id\":null}", "no-job-id", NULL },
	{ "{\"data\":{\"status\":\"Completed\"}}", "no-job-id", NULL },
	{ "{\"data\":[{\"job_id\":\"j\"}]}", "no-job-id", NULL },
	{ "{\"event_type\":\"ping\",\"data\":{\"success\":true}}",
	    "no-job-id", NULL },
	{ "{\"job_id\":17}", "bad-job-id", NULL },
	{ "{\"job_id\":[\"j\"]}", "bad-job-id", NULL },
	{ "{\"job_id\":\"\"}", "bad-job-id", NULL },
	{ "{\"job_id\":\"a\\u0000b\"}", "bad-job-id", NULL },
	{ "{\"job_id\":\"a\\nb\"}", "bad-job-id", NULL },
	{ "{\"job_id\":\"a\\u0085b\"}", "bad-job-id", NULL },
	{ "{\"job_id\":\"\\ud800\"}", "bad-job-id", NULL },
	{ "{" JOB ",\"job_id\":\"j1\"}", "repeated-member", NULL },
	{ "{" JOB ",\"job\\u005fid\":\"j2\"}", "repeated-member", NULL },
	{ "{" JOB ",\"status\":\"Completed\"}", "repeated-member", NULL },
	{ "{" JOB ",\"metadata\":{},\"metadata\":{}}", "repeated-member",
	    NULL },
	{ "{" JOB ",\"result\":1,\"result\":1}", "repeated-member", NULL },
	{ "{\"data\":{" JOB "},\"data\":{" JOB "}}", "repeated-member", NULL },
	{ "{\"data\":{" JOB ",\"status\":1}}", "repeated-member", NULL },
	{ "{" JOB ",\"metadata\":{\"document_type\":1,\"document_type\":1}}",
	    "ambiguous", "j1" },
	{ "{" JOB ",\"metadata\":{\"document\\u005ftype\":1,"
	  "\"document_type\":1}}", "ambiguous", "j1" },
	{ "{" JOB ",\"metadata\":{\"customer\":{},\"customer\":{}}}",
	    "ambiguous", "j1" },
	{ "{" JOB ",\"metadata\":{\"customer\":{\"address\":"
	  "{\"city\":\"a\",\"city\":\"b\"}}}}", "ambiguous", "j1" },
};

static void
test_unusable(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(unusable); i++) {
		struct hb_event *ev = event_of(hb_span_of(unusable[i].body));
		struct hb_error err;

		if (hb_normalize(ev, &err))
			fail_msg("accepted: %s", unusable[i].body);
		assert_string_equal(err.reason, unusable[i].reason);
		assert_int_equal(err.code, HB_E_DEAD);
		assert_false(ev->usable);
		assert_text(ev->job_id, unusable[i].job_id);
		assert_text(ev->id, "msg_1");
		assert_text(ev->vars[HB_VAR_ENDPOINT], "production");
		assert_non_null(ev->ce_type);
		hb_event_unref(ev);
	}
}

static void
test_job_id_length(void **state)
{
	char body[300] = "{\"job_id\":\"";
	size_t head = strlen(body);
	struct hb_event *ev;
	struct hb_error err;

	(void)state;
	memset(body + head, 'x', 257);
	memcpy(body + head + 256, "\"}", 3);
	hb_event_unref(normalized(body));
	memcpy(body + head + 256, "x\"}", 4);
	ev = event_of(hb_span_of(body));
	assert_false(hb_normalize(ev, &err));
	assert_string_equal(err.reason, "bad-job-id");
	hb_event_unref(ev);
}

/* --- status --------------------------------------------------------------- */

#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *text, *folded, *ce_type;
	enum hb_status_class class;
} statuses[] = {
	{ "\"Completed\"", "completed", "ai.reducto.job.completed",
	    HB_STATUS_COMPLETED },
	{ "\"completed\"", "completed", "ai.reducto.job.completed",
	    HB_STATUS_COMPLETED },
	{ "\"Succeeded\"", "completed", "ai.reducto.job.completed",
	    HB_STATUS_COMPLETED },
	{ "\"complete\"", "completed", "ai.reducto.job.completed",
	    HB_STATUS_COMPLETED },
	{ "\"c\\u006fmpleted\"", "completed", "ai.reducto.job.completed",
	    HB_STATUS_COMPLETED },
	{ "\"FAILED\"", "failed", "ai.reducto.job.failed", HB_STATUS_FAILED },
	{ "\"Error\"", "failed", "ai.reducto.job.failed", HB_STATUS_FAILED },
	{ "\"Canceled\"", "cancelled", "ai.reducto.job.cancelled",
	    HB_STATUS_CANCELLED },
	{ "\"Cancelled\"", "cancelled", "ai.reducto.job.cancelled",
	    HB_STATUS_CANCELLED },
	{ "\"InProgress\"", "inprogress", "ai.reducto.job.updated",
	    HB_STATUS_OTHER },
	{ "\"a_b-9\"", "a_b-9", "ai.reducto.job.updated", HB_STATUS_OTHER },
	{ "\"" X63 "X\"", X63 "x", "ai.reducto.job.updated", HB_STATUS_OTHER },
	{ "\"" X63 "xx\"", "unknown", "ai.reducto.job.updated",
	    HB_STATUS_OTHER },
	{ "\"not a word\"", "unknown", "ai.reducto.job.updated",
	    HB_STATUS_OTHER },
	{ "\"\\u00c9tat\"", "unknown", "ai.reducto.job.updated",
	    HB_STATUS_OTHER },
	{ "\"\"", "unknown", "ai.reducto.job.updated", HB_STATUS_OTHER },
	{ "\"\\u0000\"", "unknown", "ai.reducto.job.updated",
	    HB_STATUS_OTHER },
	{ "null", "unknown", "ai.reducto.job.updated", HB_STATUS_OTHER },
	{ "true", "unknown", "ai.reducto.job.updated", HB_STATUS_OTHER },
	{ "{\"a\": 1}", "unknown", "ai.reducto.job.updated", HB_STATUS_OTHER },
};

static void
test_statuses(void **state)
{
	struct hb_event *ev;

	(void)state;
	for (size_t i = 0; i < HB_COUNT(statuses); i++) {
		char body[256];

		snprintf(body, sizeof(body), "{\"job_id\":\"j\",\"status\":%s}",
		    statuses[i].text);
		ev = normalized(body);
		assert_text(ev->status, statuses[i].folded);
		assert_text(ev->status_text, statuses[i].text);
		assert_text(ev->vars[HB_VAR_STATUS], statuses[i].folded);
		assert_string_equal(ev->ce_type, statuses[i].ce_type);
		assert_int_equal(ev->status_class, statuses[i].class);
		hb_event_unref(ev);
	}
	ev = normalized("{\"job_id\":\"j\"}");
	assert_text(ev->status, "unknown");
	assert_text(ev->status_text, NULL);
	hb_event_unref(ev);
}

/* --- identity ------------------------------------------------------------- */

/* sha256sum of the endpoint's name, NUL, job_id, NUL, status; or of the name,
 * NUL, body. */
static const struct {
	const char *body, *id;
} identities[] = {
	{ "{\"job_id\":\"j1\",\"status\":\"Completed\"}",
	    "direct-fbbafab29f1a203e91fcdcb507aadf0b"
	    "5283983e822264011a60abc83fe25461" },
	{ "{\"status\":\"complete\", \"job_id\":\"\\u006a1\",\"x\":0}",
	    "direct-fbbafab29f1a203e91fcdcb507aadf0b"
	    "5283983e822264011a60abc83fe25461" },
	{ "{}", "direct-9e86f19c937b27d84369d0831a30a2e5"
		"28b606b98c52d57291c14f7640bcdc00" },
};

static void
test_direct_identity(void **state)
{
	static const uint8_t digest_of_braces[] = { 0x44, 0x13, 0x6f, 0xa3,
		0x55, 0xb3, 0x67, 0x8a };
	struct hb_error err;

	(void)state;
	fx.endpoint.mode = HB_MODE_DIRECT;
	fx.endpoint.name = "direct";
	for (size_t i = 0; i < HB_COUNT(identities); i++) {
		struct hb_event *ev = event_of(hb_span_of(identities[i].body));
		bool ok = hb_normalize(ev, &err);

		assert_int_equal(ok, i < 2);
		assert_text(ev->id, identities[i].id);
		if (i == 2)
			assert_memory_equal(ev->digest, digest_of_braces,
			    sizeof(digest_of_braces));
		hb_event_unref(ev);
	}
}

/* --- metadata ------------------------------------------------------------- */

static const struct {
	const char *value, *text;
	bool present;
} scalars[] = {
	{ "\"invoice\"", "invoice", true },
	{ "\"\"", "", true },
	{ "\"\\u00e9\\/\\n\"", "\xc3\xa9/\n", true },
	{ "\"\\u0000\"", NULL, true },
	{ "\"\\udc00\"", NULL, true },
	{ "true", "true", true },
	{ "false", "false", true },
	{ "1.50", "1.50", true },
	{ "-0", "-0", true },
	{ "1E400", "1E400", true },
	{ "12345678901234567890123", "12345678901234567890123", true },
	{ "null", NULL, false },
	{ "[\"invoice\"]", NULL, true },
	{ "{}", NULL, true },
};

static void
test_metadata_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(scalars); i++) {
		struct hb_event *ev;
		char body[256];

		snprintf(body, sizeof(body),
		    "{" JOB ",\"metadata\":{\"x\":0, \"document_type\" : %s}}",
		    scalars[i].value);
		ev = normalized(body);
		assert_text(ev->vars[KIND], scalars[i].text);
		assert_int_equal(ev->present[KIND], scalars[i].present);
		assert_false(ev->present[CITY]);
		hb_event_unref(ev);
	}
}

static void
test_metadata_length(void **state)
{
	static const char head[] = "{" JOB ",\"metadata\":{\"%s\":\"";
	struct hb_event *ev;
	struct hb_error err;
	char body[5000];
	int n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		/* 4094 characters and quotes are 4096 bytes */
		int len = i == 0 ? 4094 : 4095;

		n = snprintf(body, sizeof(body), head,
		    i == 2 ? "other" : "document_type");
		memset(body + n, 'x', (size_t)len);
		memcpy(body + n + len, "\"}}", 4);
		ev = event_of(hb_span_of(body));
		assert_int_equal(hb_normalize(ev, &err), i != 1);
		if (i == 1)
			assert_string_equal(err.reason, "ambiguous");
		hb_event_unref(ev);
	}
}

/* Too large to search: an obstacle only where something is searched for. */
static void
test_metadata_size(void **state)
{
	static const char body[] =
	    "{" JOB ",\"metadata\":{\"pad\":\"0123456789\"}}";
	struct hb_event *ev;
	struct hb_error err;

	(void)state;
	fx.endpoint.metadata_size = 20; /* the object has 20 bytes */
	hb_event_unref(normalized(body));
	fx.endpoint.metadata_size = 19;
	ev = event_of(hb_span_of(body));
	assert_false(hb_normalize(ev, &err));
	assert_string_equal(err.reason, "ambiguous");
	assert_text(ev->metadata, "{\"pad\":\"0123456789\"}");
	hb_event_unref(ev);
	fx.cfg.metadata_paths = NULL;
	hb_event_unref(normalized(body));
}

/* --- channels and job types ----------------------------------------------- */

static void
assert_channels(const char *body, bool usable, const char *want)
{
	struct hb_event *ev = event_of(hb_span_of(body));
	struct hb_error err;

	assert_int_equal(hb_normalize(ev, &err), usable);
	if (!usable)
		assert_string_equal(err.reason, "channel-not-allowed");
	assert_runs(ev->channels, ev->channel_count, want);
	hb_event_unref(ev);
}

static void
test_channels(void **state)
{
	struct hb_strings list = { values, HB_COUNT(values) };

	(void)state;
	assert_channels("{" JOB "}", true, "");
	fx.endpoint.channel_count = 3;
	fx.channels[0].label = tmpl("production");
	fx.channels[1].label = tmpl("{metadata.environment}");
	fx.channels[1].values = list;
	fx.channels[2].label = tmpl("staging");
	assert_channels("{" JOB "}", true, "production ; staging");
	assert_channels("{" JOB ",\"metadata\":{\"environment\":\"test\"}}",
	    true, "production ; test ; staging");
	assert_channels("{" JOB ",\"metadata\":{\"environment\":\"staging\"}}",
	    true, "production ; staging");
	assert_channels("{" JOB ",\"metadata\":{\"environment\":\"\"}}", true,
	    "production ; staging");
	assert_channels("{" JOB ",\"metadata\":{\"environment\":\"Test\"}}",
	    false, "production ; staging");
}

static const struct {
	const char *members, *type;
} job_types[] = {
	{ "", NULL },
	{ ",\"type\":\"Parse\"", "parse" },
	{ ",\"type\":\"Classify\"", "classify" },
	{ ",\"type\":\"async.update\"", NULL },
	{ ",\"type\":7", NULL },
	{ ",\"type\":\"Parse\",\"type\":\"Edit\"", NULL },
	{ ",\"result\":{\"document_url\":\"u\",\"usage\":{}}", "edit" },
	{ ",\"result\":{\"result\":{\"parse\":{}},\"usage\":{}}", "pipeline" },
	{ ",\"result\":{\"result\":{\"splits\":[]}}", "split" },
	{ ",\"result\":{\"result\":{\"section_mapping\":{},\"splits\":[]}}",
	    "split" },
	{ ",\"result\":{\"usage\":{\"num_fields\":1},\"result\":[{}]}",
	    "extract" },
	{ ",\"result\":{\"result\":{\"split\":1},\"usage\":"
	  "{\"num_fields\":1}}", "extract" },
	{ ",\"result\":{\"result\":{\"type\":\"full\",\"chunks\":[]}}",
	    "parse" },
	{ ",\"result\":{\"result\":{\"type\":\"url\",\"url\":\"u\"}}",
	    "parse" },
	{ ",\"result\":{\"type\":\"full\",\"chunks\":[]}", "parse" },
	{ ",\"result\":{\"type\":\"url\",\"url\":\"u\",\"result_id\":\"r\"}",
	    "parse" },
	{ ",\"result\":{\"type\":\"full\"}", NULL },
	{ ",\"result\":[]", NULL },
	{ ",\"result\":null", NULL },
	/* what the body says comes before what its result looks like */
	{ ",\"type\":\"Extract\",\"result\":{\"document_url\":\"u\"}",
	    "extract" },
};

static void
test_job_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(job_types); i++) {
		struct hb_event *ev;
		char body[256];

		snprintf(body, sizeof(body), "{" JOB "%s}",
		    job_types[i].members);
		ev = normalized(body);
		assert_text(ev->job_type, job_types[i].type);
		assert_text(ev->vars[HB_VAR_JOB_TYPE], job_types[i].type);
		hb_event_unref(ev);
	}
}

static void
test_job_type_template(void **state)
{
	struct hb_event *ev;

	(void)state;
	fx.endpoint.job_type = tmpl("{metadata.document_type}");
	ev = normalized("{" JOB ",\"metadata\":{\"document_type\":\"w2\"}}");
	assert_text(ev->job_type, "w2");
	hb_event_unref(ev);
	ev = normalized("{" JOB ",\"type\":\"Split\"}");
	assert_text(ev->job_type, "split");
	hb_event_unref(ev);
}

/* --- samples -------------------------------------------------------------- */

static const struct {
	const char *file, *status, *job_type, *kind, *city, *dotted;
} samples[] = {
	{ "01-parse-completed-inline", "completed", "parse", "invoice" },
	{ "02-parse-completed-thin", "completed", NULL, "invoice" },
	{ "03-parse-completed-url-result", "completed", "parse", NULL },
	{ "04-parse-completed-bare-result", "completed", "parse", NULL },
	{ "05-extract-completed", "completed", "extract", NULL },
	{ "06-extract-completed-legacy", "completed", "extract", NULL },
	{ "07-split-completed", "completed", "split", NULL },
	{ "08-edit-completed", "completed", "edit", NULL },
	{ "09-pipeline-completed", "completed", "pipeline", NULL },
	{ "10-failed-thin", "failed", NULL, NULL },
	{ "11-failed-with-reason", "failed", NULL, NULL },
	{ "12-metadata-mixed-types", "completed", NULL, "invoice", "Lyon",
	    "v1" },
	{ "13-metadata-unicode", "completed", NULL, NULL },
	{ "14-metadata-absent", "completed", NULL, NULL },
	{ "15-metadata-null", "completed", NULL, NULL },
	{ "16-metadata-not-object", "completed", NULL, NULL },
	{ "17-enveloped", "completed", NULL, "invoice" },
	{ "18-job-id-short-form", "completed", NULL, NULL },
	{ "19-unknown-status-extra-fields", "cancelled", "parse", NULL },
};

static struct hb_event *
sample_event(const char *name)
{
	char path[512], *text = hb_xmalloc(65536);
	struct hb_event *ev;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/samples/%s.json", getenv("HB_TESTS"),
	    name);
	file = fopen(path, "rb");
	assert_non_null(file);
	len = fread(text, 1, 65536, file);
	fclose(file);
	ev = event_of(hb_span_make(text, len));
	free(text);
	return ev;
}

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(samples); i++) {
		struct hb_event *ev = sample_event(samples[i].file);
		struct hb_error err;

		if (!hb_normalize(ev, &err))
			fail_msg("%s: %s", samples[i].file, err.text);
		assert_true(hb_span_is_set(ev->job_id));
		assert_text(ev->status, samples[i].status);
		assert_text(ev->job_type, samples[i].job_type);
		if (samples[i].kind != NULL || i == 13)
			assert_text(ev->vars[KIND], samples[i].kind);
		assert_text(ev->vars[CITY], samples[i].city);
		assert_text(ev->vars[DOTTED], samples[i].dotted);
		hb_event_unref(ev);
	}
}

/* Cut anywhere, a body is not JSON, and nothing past its end is read. */
static void
test_truncated(void **state)
{
	struct hb_event *whole = sample_event("12-metadata-mixed-types");
	size_t len = whole->body.len;

	(void)state;
	while (len > 0 && whole->body.ptr[len - 1] != '}')
		len--;
	for (size_t i = 0; i < len; i++) {
		struct hb_event *ev =
		    event_of(hb_span_make(whole->body.ptr, i));
		struct hb_error err;

		assert_false(hb_normalize(ev, &err));
		assert_string_equal(err.reason, "not-json");
		hb_event_unref(ev);
	}
	hb_event_unref(whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_shapes),
		TEST(test_many_members),
		TEST(test_unusable),
		TEST(test_job_id_length),
		TEST(test_statuses),
		TEST(test_direct_identity),
		TEST(test_metadata_values),
		TEST(test_metadata_length),
		TEST(test_metadata_size),
		TEST(test_channels),
		TEST(test_job_types),
		TEST(test_job_type_template),
		TEST(test_samples),
		TEST(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
