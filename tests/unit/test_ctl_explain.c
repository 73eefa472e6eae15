/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_explain.c - what explain says: conditions, reasons, whole reports */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/ctl/explain.h"
#include "hookbridge/utf8.h"
#include "hookbridge/verify.h"
#include "preview_rig.h"

#define BODY "{\"job_id\":\"j\",\"status\":\"Completed\"}"

/* --- an explanation ------------------------------------------------------- */

static struct hb_explain
explain_with(const struct hb_config *cfg, const char *path,
    const char *fields, struct hb_span body, bool lenient)
{
	struct hb_explain x = { .arena = hb_arena_new(4096) };

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (strcmp(cfg->endpoints[i].path, path) == 0)
			x.endpoint = &cfg->endpoints[i];
	assert_non_null(x.endpoint);
	x.req = (struct hb_preview_request){ .cfg = cfg, .body = body,
		.head = rig_head("POST", path, fields, body.len),
		.at_ms = RIG_MS, .lenient = lenient };
	x.has_proof = fields[0] != '\0';
	hb_preview_make(&x.req, &x.preview);
	return x;
}

static struct hb_explain
explain(const struct hb_config *cfg, const char *body)
{
	return explain_with(cfg, "/e", "", hb_span_of(body), true);
}

static void
explain_fini(struct hb_explain *x)
{
	hb_preview_fini(&x->preview);
	hb_arena_free(x->arena);
}

/* For free(). */
static char *
text_of(const struct hb_explain *x, bool colour)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	hb_explain_text(x, out, colour);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void
assert_says(const char *text, const char *wanted)
{
	if (strstr(text, wanted) == NULL)
		fail_msg("not said: %s\n%s", wanted, text);
}

/* --- predicates ----------------------------------------------------------- */

/* A condition that does not hold: as it is shown, and what was found. */
static const struct {
	const char *when, *value, *condition, *found;
} predicate_cases[] = {
	{ "metadata.x: a", "\"b\"", "a", "it is \"b\"" },
	{ "metadata.x: [a, \"b c\"]", "true", "[a, \"b c\"]",
	    "it is \"true\"" },
	{ "metadata.x: \"\"", "1.50", "\"\"", "it is \"1.50\"" },
	{ "metadata.x: {not: a}", "\"a\"", "{not: a}", "it is \"a\"" },
	{ "metadata.x: {not: [a, b]}", "null", "{not: [a, b]}",
	    "it is not there" },
	{ "metadata.x: {prefix: inv}", "\"xinv\"", "{prefix: inv}",
	    "it is \"xinv\"" },
	{ "metadata.x: {not: {prefix: inv}}", "\"inv1\"",
	    "{not: {prefix: inv}}", "it is \"inv1\"" },
	{ "metadata.x: {glob: \"a*c\"}", "\"ab\"", "{glob: \"a*c\"}",
	    "it is \"ab\"" },
	{ "metadata.x: {exists: true}", "null", "{exists: true}",
	    "it is not there" },
	{ "metadata.x: {exists: false}", "[]", "{exists: false}",
	    "it is there, but no text, number, true or false" },
	{ "metadata.x: {gt: 5}", "5", "{gt: 5}", "it is \"5\"" },
	{ "metadata.x: {ge: 5}", "\"x\"", "{ge: 5}", "it is \"x\"" },
	{ "metadata.x: {lt: -1.5}", "0", "{lt: -1.5}", "it is \"0\"" },
	{ "metadata.x: {le: 5}", "{}", "{le: 5}",
	    "it is there, but no text, number, true or false" },
	{ "status: failed", "1", "failed", "it is \"completed\"" },
	{ "channel: z", "1", "z", "its channels are a, b" },
	{ "job_type: extract", "1", "extract", "it is not there" },
};

static void
check_predicate(size_t i)
{
	char yaml[1024], body[256], *report;
	const struct hb_predicate_conf *row;
	struct hb_config *cfg;
	struct hb_explain x;

	snprintf(yaml, sizeof(yaml), LISTEN ENDPOINT(", channels: [a, b]")
	    SINKS "routes: [{when: {%s}, to: {sink: f}}]\n",
	    predicate_cases[i].when);
	snprintf(body, sizeof(body), "{\"job_id\":\"j\",\"status\":"
	    "\"completed\",\"metadata\":{\"x\":%s}}", predicate_cases[i].value);
	cfg = cfg_load(yaml, &report);
	assert_non_null(cfg);
	free(report);
	x = explain(cfg, body);
	row = x.preview.routes[0].row;
	if (row == NULL)
		fail_msg("%s matches", predicate_cases[i].when);
	assert_string_equal(hb_explain_condition(x.arena, row).ptr,
	    predicate_cases[i].condition);
	assert_string_equal(hb_explain_found(x.arena, row, x.preview.ev).ptr,
	    predicate_cases[i].found);
	explain_fini(&x);
	hb_config_unref(cfg);
}

static void
predicates(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(predicate_cases); i++)
		check_predicate(i);
}

/* --- sentences ------------------------------------------------------------ */

/* Every way to be refused has its advice. */
static void
advice(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);

	(void)state;
	for (size_t i = 0; hb_verify_reasons[i] != NULL; i++) {
		struct hb_explain x = explain_with(cfg, "/e", "x-a: b\r\n",
		    hb_span_of(BODY), false);

		x.preview.refusal.reason = hb_verify_reasons[i];
		if (!hb_span_is_set(hb_explain_advice(&x)))
			fail_msg("no advice for %s", hb_verify_reasons[i]);
		explain_fini(&x);
	}
	hb_config_unref(cfg);
}

static const char secret_site[] = LISTEN
    "endpoints:\n"
    "  m: {path: /m, mode: direct, token: {in: metadata.t, secret: "
    "\"file:token\"}}\n" SINKS ROUTES "dead_letter: {sink: f}\n";

/* Neither the token that is right nor one that is not. */
static void
no_token_is_printed(void **state)
{
	static const char *const bodies[] = {
		"{\"job_id\":\"j\",\"metadata\":{\"t\":\"" TOKEN "\"}}",
		"{\"metadata\":{\"t\":\"" TOKEN "\"}}",
		"{\"job_id\":\"j\",\"metadata\":{\"t\":\"" TOKEN "x\"}}",
		"{\"job_id\":\"j\",\"metadata\":{\"t\":\"" TOKEN "\"}",
	};
	struct hb_config *cfg = cfg_load_good(secret_site);

	(void)state;
	for (size_t i = 0; i < HB_COUNT(bodies); i++) {
		struct hb_explain x = explain_with(cfg, "/m", "",
		    hb_span_of(bodies[i]), true);
		char *text = text_of(&x, false);
		json_t *json = hb_explain_json(&x);
		char *dump = json_dumps(json, 0);

		assert_null(strstr(text, TOKEN));
		assert_null(strstr(dump, TOKEN));
		free(text);
		free(dump);
		json_decref(json);
		explain_fini(&x);
	}
	hb_config_unref(cfg);
}

/* --- the report for people ------------------------------------------------ */

/* Wide characters count twice. */
static void
assert_fits(const char *text)
{
	int columns = 0;

	for (struct hb_span s = hb_span_of(text); s.len > 0;) {
		uint32_t c = 0;
		size_t len = hb_utf8_next(s, &c);

		if (len == 0 || (c != '\n' && hb_utf8_is_control(c)))
			fail_msg("not for a terminal:\n%s", text);
		columns = c == '\n' ? 0 : columns + (c >= 0x1100 ? 2 : 1);
		if (columns > 80)
			fail_msg("%d columns:\n%s", columns, text);
		s = hb_span_skip(s, len);
	}
}

/* What comes from outside neither breaks lines nor reaches a terminal as it
 * is, wherever it stands. */
static void
lines_fit(void **state)
{
	static const char *const hostile[] = { "\\u001b[31m", "a\\nb",
		"\\\\\\\"", "\\u202e", "\xe6\x9d\xb1\xe4\xba\xac \xe6\x9d\xb1",
		"a b c d e ", "0123456789", "\\u0085", "%s%n" };
	struct hb_config *cfg = cfg_load_good(LISTEN
	    ENDPOINT(", channels: [production]")
	    "sinks: {f: {type: file, path: /f}, g: {type: file, path: /g}}\n"
	    "routes: [{name: a-name-that-is-longer-than-its-column, when: "
	    "{metadata.x: y}, to: {sink: g}}, {default: true, to: {sink: f, "
	    "key: \"{metadata.x}\", headers: {h: \"{metadata.x}\"}}}]\n");

	(void)state;
	for (size_t i = 0; i < HB_COUNT(hostile); i++) {
		char body[4096] = "{\"job_id\":\"j\",\"status\":\"Odd\\u001b\","
				  "\"metadata\":{\"x\":\"";
		struct hb_explain x;
		char *text;

		for (int j = 0; j < 90; j++)
			strcat(body, hostile[i]);
		strcat(body, "\"}}");
		x = explain(cfg, body);
		text = text_of(&x, false);
		assert_true(x.preview.ev->usable);
		assert_fits(text);
		free(text);
		explain_fini(&x);
	}
	hb_config_unref(cfg);
}

static const char wanted_text[] =
    "Webhook\n"
    "  endpoint      e, mode svix\n"
    "  path          /e\n"
    "  body          35 B\n"
    "  received at   2026-01-01T00:00:00.500Z\n"
    "  verification  not checked: no signature was given\n"
    "                to check it, give what the request had: --header 'svix-id:"
    " ...'\n"
    "                --header 'svix-timestamp: ...' --header 'svix-signature: "
    "...'\n"
    "\n"
    "Event\n"
    "  id            msg_unknown, made up: no webhook id was given\n"
    "  type          ai.reducto.job.completed\n"
    "  source        https://platform.reducto.ai/#e\n"
    "  job           j\n"
    "  status        completed, from \"Completed\"\n"
    "  job type      unknown\n"
    "  channels      a, b\n"
    "  metadata      none\n"
    "  result        none\n"
    "  looked at     metadata.x is not there\n"
    "\n"
    "Routes\n"
    "  one           no match: metadata.x: {not: 1}, but it is not there\n"
    "  two           match, channel b\n"
    "  two-again     match, channel a; 1 of its 2 destinations were named by "
    "routes\n"
    "                before\n"
    "  rest          not needed: a default, and another route matched\n"
    "\n"
    "Message 1 of 2\n"
    "  to            redis sink r, stream s\n"
    "  route         two\n"
    "  key           j, the job's id: its own is not usable\n"
    "  value         225 B, json\n"
    "  headers       ce_specversion: 1.0\n"
    "                ce_id: msg_unknown\n"
    "                ce_source: https://platform.reducto.ai/#e\n"
    "                ce_type: ai.reducto.job.completed\n"
    "                ce_subject: j\n"
    "                ce_time: 2026-01-01T00:00:00.500Z\n"
    "                ce_channel: b\n"
    "                ce_jobstatus: completed\n"
    "                ce_partitionkey: j\n"
    "                content-type: application/json\n"
    "\n"
    "Message 2 of 2\n"
    "  dead letter   name-not-allowed: the name is not in the destination's "
    "list;\n"
    "                add it there if it should be\n"
    "  instead of    redis sink r, stream completed\n"
    "  to            redis sink r, stream dead\n"
    "  route         two-again\n"
    "  key           j\n"
    "  value         35 B, raw\n"
    "  headers       ce_specversion: 1.0\n"
    "                ce_id: msg_unknown\n"
    "                ce_source: https://platform.reducto.ai/#e\n"
    "                ce_type: ai.reducto.job.completed\n"
    "                ce_subject: j\n"
    "                ce_time: 2026-01-01T00:00:00.500Z\n"
    "                ce_channel: a\n"
    "                ce_jobstatus: completed\n"
    "                ce_partitionkey: j\n"
    "                content-type: application/json\n"
    "                hb_reason: name-not-allowed\n"
    "                hb_endpoint: e\n"
    "                hb_received_at: 2026-01-01T00:00:00.500Z\n"
    "                hb_destination: r:completed\n"
    "                hb_webhook_id: msg_unknown\n"
    "\n"
    "Answer\n"
    "  202           {\"id\":\"msg_unknown\",\"outcome\":\"dead-lettered\"}\n"
    "                once all messages are confirmed within 3.0 s; else 503, "
    "and the\n"
    "                sender repeats it\n";

static struct hb_config *
whole_site(void)
{
	char *report;
	struct hb_config *cfg = cfg_load(
	    LISTEN ENDPOINT(", channels: [a, b]")
	    "sinks: {r: {type: redis, url: \"redis://127.0.0.1/0\"}}\n"
	    "routes:\n"
	    "  - {name: one, when: {metadata.x: {not: \"1\"}}, to: {sink: r, "
	    "stream: s}}\n"
	    "  - {name: two, when: {channel: b}, to: {sink: r, stream: s, key: "
	    "\"{metadata.x}\"}}\n"
	    "  - {name: two-again, to: [{sink: r, stream: s}, {sink: r, "
	    "stream: \"{status}\", streams: [t]}]}\n"
	    "  - {name: rest, default: true, to: {sink: r, stream: s}}\n"
	    "dead_letter: {sink: r, stream: dead}\n", &report);

	free(report); /* the same destination twice: warned of */
	assert_non_null(cfg);
	return cfg;
}

static void
whole_text(void **state)
{
	struct hb_config *cfg = whole_site();
	struct hb_explain x = explain(cfg, BODY);
	char *text = text_of(&x, false), *coloured = text_of(&x, true);

	(void)state;
	if (strcmp(text, wanted_text) != 0)
		fail_msg("--- expected ---\n%s--- got ---\n%s", wanted_text,
		    text);
	/* Colour adds nothing but colour. */
	assert_null(strchr(text, '\033'));
	assert_says(coloured, "\033[1mWebhook\033[0m");
	assert_says(coloured, "\033[32mtwo\033[0m");
	cfg_cut(coloured, "\033[0m");
	cfg_cut(coloured, "\033[1m");
	cfg_cut(coloured, "\033[31m");
	cfg_cut(coloured, "\033[32m");
	assert_string_equal(coloured, text);
	free(text);
	free(coloured);
	explain_fini(&x);
	hb_config_unref(cfg);
}

static void
refusals(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);
	struct hb_explain x = explain_with(cfg, "/e", rig_sign("msg_1",
	    RIG_SECONDS - 1000, BODY), hb_span_of(BODY), false);
	char *text = text_of(&x, false);

	(void)state;
	assert_says(text, "refused: message timestamp too old (by 700 s)\n"
	    "                (timestamp_too_old)\n"
	    "                add --at TIME to judge it as of the time when it "
	    "was received;\n");
	assert_says(text, "add --no-verify\n\nAnswer\n  401  ");
	free(text);
	explain_fini(&x);
	hb_config_unref(cfg);
}

/* --- JSON ----------------------------------------------------------------- */

static const char *
text_at(json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "(none)";
}

static void
whole_json(void **state)
{
	struct hb_config *cfg = whole_site();
	struct hb_explain x = explain(cfg, BODY);
	json_t *json = hb_explain_json(&x), *route, *message;

	(void)state;
	assert_string_equal(text_at(json, "endpoint"), "e");
	assert_string_equal(text_at(json, "received_at"),
	    "2026-01-01T00:00:00.500Z");
	assert_true(json_is_true(json_object_get(json, "accepted")));
	assert_string_equal(
	    text_at(json_object_get(json, "verification"), "result"),
	    "passed-over");
	route = json_array_get(json_object_get(json, "routes"), 0);
	assert_string_equal(text_at(route, "result"), "no-match");
	assert_string_equal(
	    text_at(json_object_get(route, "failed"), "condition"),
	    "{not: 1}");
	message = json_array_get(json_object_get(json, "messages"), 1);
	assert_string_equal(text_at(message, "reason"), "name-not-allowed");
	assert_string_equal(
	    text_at(json_object_get(message, "instead_of"), "name"),
	    "completed");
	assert_string_equal(text_at(message, "value"), BODY);
	assert_string_equal(
	    text_at(json_object_get(message, "headers"), "hb_destination"),
	    "r:completed");
	json_decref(json);
	explain_fini(&x);
	hb_config_unref(cfg);
}

/* A body that is no text is there all the same. */
static void
binary_body(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE "dead_letter: {sink: f}\n");
	struct hb_explain x = explain_with(cfg, "/e", "",
	    hb_span_make("\xff\x00\x01", 3), true);
	json_t *json = hb_explain_json(&x);
	json_t *message = json_array_get(json_object_get(json, "messages"), 0);

	(void)state;
	assert_string_equal(text_at(message, "value_base64"), "/wAB");
	assert_null(json_object_get(message, "value"));
	assert_string_equal(text_at(message, "reason"), "not-json");
	json_decref(json);
	explain_fini(&x);
	hb_config_unref(cfg);
}

/* --- claim checks and the disk -------------------------------------------- */

/* A body whose result is too large for the topic "t" of this site. */
static struct hb_explain
explain_large(const struct hb_config *cfg)
{
	static char body[1001 * 1000];

	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "{\"job_id\":\"j\",\"result\":\"", 24);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	return explain(cfg, body);
}

#define KAFKA_SITE(target, rest) LISTEN ENDPOINT("") \
	"sinks: {k: {type: kafka, brokers: [\"127.0.0.1:1\"]}}\n" \
	"routes: [{name: one, to: {sink: k, topic: t" target "}}]\n" rest

static void
claim_check(void **state)
{
	struct hb_config *cfg = cfg_load_good(
	    KAFKA_SITE(", oversize: claim-check", "claims: {directory: /c}\n"));
	struct hb_explain x = explain_large(cfg);
	char *text = text_of(&x, false);
	json_t *json = hb_explain_json(&x), *message, *claim;
	char wanted[256];

	(void)state;
	assert_fits(text);
	assert_says(text, "Message 1 of 1\n  claim check   ");
	assert_says(text, "goes without its result, and the body (977.5 KiB) "
	    "is kept:\n");
	snprintf(wanted, sizeof(wanted), "hookbridgectl claim get\n"
	    "                %s\n", x.preview.parcels[0].claim);
	assert_says(text, wanted);
	assert_says(text, "  to            kafka sink k, topic t\n");
	assert_says(text, "\nAnswer\n  200 ");
	message = json_array_get(json_object_get(json, "messages"), 0);
	claim = json_object_get(message, "claim");
	assert_string_equal(
	    text_at(claim, "digest"), x.preview.parcels[0].claim);
	assert_int_equal(
	    json_integer_value(json_object_get(claim, "bytes")),
	    x.req.body.len);
	assert_true(json_is_false(json_object_get(message, "dead_letter")));
	assert_true(json_is_false(json_object_get(message, "kept")));
	json_decref(json);
	free(text);
	explain_fini(&x);
	hb_config_unref(cfg);
}

/* What is said of dead letters, by what there is for them. */
static const struct {
	const char *rest, *place, *answer;
	bool kept, is_sent;
} letter_cases[] = {
	{ "", "  to            nowhere: dead_letter is not configured\n",
	    "set spool.directory,", false, false },
	{ "spool: {directory: /s}\n", "  to            the dead letters on "
	    "disk\n  route         one\n\nAnswer\n", "once the message is on "
	    "disk; else 503", true, false },
	{ "spool: {directory: /s}\ndead_letter: {sink: k, topic: dead}\n",
	    "  to            the dead letters on disk\n"
	    "  copy to       nowhere: ",
	    "once the message is on disk; else 503", true, false },
};

static void
check_letter(size_t i)
{
	char yaml[1024];
	struct hb_config *cfg;
	struct hb_explain x;
	json_t *json, *message;
	char *text;

	snprintf(yaml, sizeof(yaml), KAFKA_SITE("", "%s"),
	    letter_cases[i].rest);
	cfg = cfg_load_good(yaml);
	x = explain_large(cfg);
	text = text_of(&x, false);
	json = hb_explain_json(&x);
	assert_fits(text);
	assert_says(text, "  dead letter   too-large: ");
	assert_says(text, letter_cases[i].place);
	assert_says(text, letter_cases[i].answer);
	message = json_array_get(json_object_get(json, "messages"), 0);
	assert_int_equal(json_is_true(json_object_get(message, "kept")),
	    letter_cases[i].kept);
	assert_int_equal(json_is_object(json_object_get(message, "to")),
	    letter_cases[i].is_sent);
	assert_true(json_is_string(json_object_get(message, "nowhere")));
	assert_true(json_is_null(json_object_get(message, "claim")));
	json_decref(json);
	free(text);
	explain_fini(&x);
	hb_config_unref(cfg);
}

static void
dead_letters_on_disk(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(letter_cases); i++)
		check_letter(i);
}

/* With a copy: that is a message like others. */
static void
dead_letter_copied(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE "dead_letter: {sink: f}\n"
	    "spool: {directory: /s}\n");
	struct hb_explain x = explain(cfg, "[]");
	char *text = text_of(&x, false);
	json_t *json = hb_explain_json(&x), *message;

	(void)state;
	assert_says(text, "  to            the dead letters on disk\n"
	    "  copy to       file sink f\n  key           ");
	assert_says(text, "once the message is on disk; else 503");
	message = json_array_get(json_object_get(json, "messages"), 0);
	assert_true(json_is_true(json_object_get(message, "kept")));
	assert_string_equal(text_at(json_object_get(message, "to"), "sink"),
	    "f");
	assert_string_equal(text_at(message, "value"), "[]");
	json_decref(json);
	free(text);
	explain_fini(&x);
	hb_config_unref(cfg);
}

/* When the answer comes, where there is a disk. */
static void
answers_with_a_disk(void **state)
{
	static const struct {
		const char *settings, *answer;
	} cases[] = {
		{ "", "once the message is confirmed; what is not after 3.0 s "
		    "is\n                spooled, and the answer is at least "
		    "202\n" },
		{ "delivery: {ack: spooled}\n", "\"outcome\":\"spooled\"}\n"
		    "                once the message is on disk; else 503," },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char yaml[1024];
		struct hb_config *cfg;
		struct hb_explain x;
		char *text;

		snprintf(yaml, sizeof(yaml), BASE "spool: {directory: /s}\n%s",
		    cases[i].settings);
		cfg = cfg_load_good(yaml);
		x = explain(cfg, BODY);
		text = text_of(&x, false);
		assert_says(text, cases[i].answer);
		free(text);
		explain_fini(&x);
		hb_config_unref(cfg);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predicates),
		cmocka_unit_test(advice),
		cmocka_unit_test(no_token_is_printed),
		cmocka_unit_test(lines_fit),
		cmocka_unit_test(whole_text),
		cmocka_unit_test(refusals),
		cmocka_unit_test(whole_json),
		cmocka_unit_test(binary_body),
		cmocka_unit_test(claim_check),
		cmocka_unit_test(dead_letters_on_disk),
		cmocka_unit_test(dead_letter_copied),
		cmocka_unit_test(answers_with_a_disk),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
