/* SPDX-License-Identifier: Apache-2.0 */
/* test_message.c - events as sinks get them: byte for byte, and as a JSON
 * library of others reads them */
#include "hookbridge/message.h"

#include <jansson.h>

#include "../../src/render/text.h"
#include "route_rig.h"

#define JSON_HEAD "{\"job_id\":\"job-1\",\"status\":\"completed\""
#define JSON_TAIL                                             \
	",\"endpoint\":\"production\",\"mode\":\"svix\","     \
	"\"webhook_id\":\"msg_1\","                           \
	"\"webhook_timestamp\":\"2026-01-01T00:00:00.000Z\"," \
	"\"received_at\":\"2026-01-01T00:00:01.234Z\""

/* --- helpers -------------------------------------------------------------- */

static void
assert_text(struct hb_span got, const char *want)
{
	if (!hb_span_eq(got, hb_span_of(want)))
		fail_msg("got  %.*s\nwant %s", HB_SPAN_ARG(got), want);
}

static struct hb_span
header_of(const struct hb_message *msg, const char *name)
{
	for (size_t i = 0; i < msg->header_count; i++)
		if (hb_span_eq(msg->headers[i].name, hb_span_of(name)))
			return msg->headers[i].value;
	return HB_SPAN_NONE;
}

/* All headers, "name: value" in lines. */
static struct hb_span
headers_text(struct rig *rig, const struct hb_message *msg)
{
	struct hb_span text = HB_SPAN("");

	for (size_t i = 0; i < msg->header_count; i++)
		text = hb_arena_printf(rig->arena, "%.*s%.*s: %.*s\n",
		    HB_SPAN_ARG(text), HB_SPAN_ARG(msg->headers[i].name),
		    HB_SPAN_ARG(msg->headers[i].value));
	return text;
}

/* An accepted leg to topic "jobs" of a sink, in this format. */
static struct hb_leg
make_leg(struct rig *rig, const char *channel, int format)
{
	struct hb_target_conf *target =
	    rig_target(rig, rig_sink(rig, "main"), "jobs", NULL, NULL);

	target->format = format;
	return (struct hb_leg){.target = target,
	    .dest = target->dests[0],
	    .channel = hb_span_of(channel),
	    .key = HB_SPAN("key-1")};
}

static json_t *
parse(struct hb_span text)
{
	json_error_t err;
	json_t *json =
	    json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &err);

	if (json == NULL)
		fail_msg("%s at %d: %.*s", err.text, err.position,
		    HB_SPAN_ARG(text));
	return json;
}

/* --- json ----------------------------------------------------------------- */

static void
fill_thin(struct hb_event *ev)
{
	(void)ev;
}

static void
fill_full(struct hb_event *ev)
{
	static struct hb_span extra[] = {
	    HB_SPAN("\"a\": 1, \"b\" :[ ]"), HB_SPAN("\"c\":1.50")};

	ev->status_text = HB_SPAN("\"Completed\"");
	ev->job_type = HB_SPAN("parse");
	ev->metadata = HB_SPAN("{ \"n\": 1.50, \"u\":\"\\u00e9\\/\" }");
	ev->result = HB_SPAN("[1E400, 12345678901234567890123]");
	ev->extra = extra;
	ev->extra_count = HB_COUNT(extra);
}

static void
fill_enveloped(struct hb_event *ev)
{
	static struct hb_span extra[] = {HB_SPAN("\"x\":null")};
	static struct hb_span around[] = {
	    HB_SPAN("\"type\":\"async.update\""), HB_SPAN("\"v\":2")};

	ev->metadata = HB_SPAN("null");
	ev->extra = extra;
	ev->extra_count = HB_COUNT(extra);
	ev->envelope = around;
	ev->envelope_count = HB_COUNT(around);
}

static void
fill_odd(struct hb_event *ev)
{
	ev->job_id = HB_SPAN("j\xc3\xb6\"b");
	ev->job_id_text = HB_SPAN("\"j\\u00f6\\\"b\"");
	ev->status = HB_SPAN("unknown");
	ev->status_text = HB_SPAN("{\"deep\":[true]}");
	ev->webhook_id = HB_SPAN("msg \"\\\x01\xff");
	ev->channel_count = 0;
	ev->result = HB_SPAN("\"\"");
}

static const struct {
	const char *channels;
	void (*fill)(struct hb_event *ev);
	const char *json;
} json_cases[] = {
    {NULL, fill_thin, JSON_HEAD JSON_TAIL "}"},
    {"a", fill_thin, JSON_HEAD ",\"channels\":[\"a\"]" JSON_TAIL "}"},
    {"a|b.c", fill_full,
	JSON_HEAD ",\"status_raw\":\"Completed\",\"job_type\":\"parse\","
		  "\"channels\":[\"a\",\"b.c\"],"
		  "\"metadata\":{ \"n\": 1.50, \"u\":\"\\u00e9\\/\" },"
		  "\"result\":[1E400, 12345678901234567890123]" JSON_TAIL
		  ",\"extra\":{\"a\": 1, \"b\" :[ ],\"c\":1.50}}"},
    {NULL, fill_enveloped,
	JSON_HEAD ",\"metadata\":null" JSON_TAIL ",\"extra\":{\"x\":null},"
		  "\"envelope\":{\"type\":\"async.update\",\"v\":2}}"},
    {NULL, fill_odd,
	"{\"job_id\":\"j\\u00f6\\\"b\",\"status\":\"unknown\","
	"\"status_raw\":{\"deep\":[true]},\"result\":\"\","
	"\"endpoint\":\"production\",\"mode\":\"svix\","
	"\"webhook_id\":\"msg \\\"\\\\\\u0001\xef\xbf\xbd\","
	"\"webhook_timestamp\":\"2026-01-01T00:00:00.000Z\","
	"\"received_at\":\"2026-01-01T00:00:01.234Z\"}"},
};

static void
test_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(json_cases); i++) {
		struct hb_render render;
		struct hb_message msg;
		struct hb_event *ev;
		struct hb_leg leg;
		struct rig rig;

		rig_init(&rig);
		ev = rig_event(&rig, json_cases[i].channels, "{}");
		json_cases[i].fill(ev);
		leg = make_leg(&rig, NULL, HB_FORMAT_JSON);
		hb_render_init(&render, ev);
		hb_render_leg(&render, &leg, &msg);
		assert_text(msg.value, json_cases[i].json);
		assert_text(
		    header_of(&msg, "content-type"), "application/json");
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

static void
test_json_direct(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.endpoint.mode = HB_MODE_DIRECT;
	ev = rig_event(&rig, NULL, "{}");
	ev->webhook_id = HB_SPAN_NONE;
	ev->webhook_timestamp = 0;
	ev->id = HB_SPAN("direct-00ff");
	leg = make_leg(&rig, NULL, HB_FORMAT_JSON);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	assert_text(msg.value,
	    JSON_HEAD ",\"endpoint\":\"production\",\"mode\":\"direct\","
		      "\"received_at\":\"2026-01-01T00:00:01.234Z\"}");
	assert_text(header_of(&msg, "ce_id"), "direct-00ff");
	assert_text(msg.id, "direct-00ff");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* Every byte that a string may hold comes back from a parser. */
static void
test_json_parses(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;
	char id[256], want[128];
	json_t *json;

	(void)state;
	for (int i = 0; i < 127; i++)
		want[i] = (char)(i + 1);
	want[127] = '\0';
	snprintf(id, sizeof(id), "%s", want);
	rig_init(&rig);
	ev = rig_event(&rig, "a|b", "{}");
	ev->metadata = HB_SPAN("{\"k\":[1,{\"x\":\"y\"}]}");
	ev->webhook_id = hb_span_of(id);
	leg = make_leg(&rig, NULL, HB_FORMAT_JSON);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	json = parse(msg.value);
	assert_string_equal(
	    json_string_value(json_object_get(json, "webhook_id")), want);
	assert_int_equal(json_array_size(json_object_get(json, "channels")), 2);
	assert_int_equal(json_array_size(json_object_get(
			     json_object_get(json, "metadata"), "k")),
	    2);
	json_decref(json);
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* --- headers -------------------------------------------------------------- */

static void
test_headers_full(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a|b", "{\"raw\" : 1}");
	ev->job_type = HB_SPAN("parse");
	ev->traceparent = HB_SPAN("00-trace");
	ev->tracestate = HB_SPAN("vendor=1");
	leg = make_leg(&rig, "b", HB_FORMAT_RAW);
	rig_header(&rig, (struct hb_target_conf *)leg.target, "x-channel",
	    "<{channel}>");
	rig_header(&rig, (struct hb_target_conf *)leg.target, "x-fixed", "yes");
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	assert_text(headers_text(&rig, &msg),
	    "ce_specversion: 1.0\n"
	    "ce_id: msg_1\n"
	    "ce_source: https://platform.reducto.ai/#production\n"
	    "ce_type: ai.reducto.job.completed\n"
	    "ce_subject: job-1\n"
	    "ce_time: 2026-01-01T00:00:01.234Z\n"
	    "ce_channel: b\n"
	    "ce_jobstatus: completed\n"
	    "ce_jobtype: parse\n"
	    "ce_partitionkey: key-1\n"
	    "content-type: application/json\n"
	    "traceparent: 00-trace\n"
	    "tracestate: vendor=1\n"
	    "x-channel: <b>\n"
	    "x-fixed: yes\n");
	assert_text(msg.value, "{\"raw\" : 1}");
	assert_ptr_equal(msg.value.ptr, ev->body.ptr);
	assert_text(msg.key, "key-1");
	assert_text(msg.id, "msg_1");
	assert_ptr_equal(msg.target, leg.target);
	assert_ptr_equal(msg.dest, leg.dest);
	assert_text(msg.endpoint, "production");
	assert_false(msg.dead_letter);
	assert_int_equal(msg.headers_left_out, 0);
	hb_event_unref(ev);
	rig_fini(&rig);
}

static void
test_headers_thin(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, NULL, "{}");
	leg = make_leg(&rig, NULL, HB_FORMAT_JSON);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	assert_text(headers_text(&rig, &msg),
	    "ce_specversion: 1.0\n"
	    "ce_id: msg_1\n"
	    "ce_source: https://platform.reducto.ai/#production\n"
	    "ce_type: ai.reducto.job.completed\n"
	    "ce_subject: job-1\n"
	    "ce_time: 2026-01-01T00:00:01.234Z\n"
	    "ce_jobstatus: completed\n"
	    "ce_partitionkey: key-1\n"
	    "content-type: application/json\n");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* What configured headers may say. */
static void
test_configured_headers(void **state)
{
	static char longest[1025], too_long[1026];
	static const struct {
		const char *value, *kind;
		const char *want; /* NULL: no such header */
		unsigned left_out;
	} cases[] = {
	    {"{metadata.kind}", "invoice", "invoice", 0},
	    {"{metadata.kind}", NULL, NULL, 1},
	    {"{metadata.kind|none}", NULL, "none", 0},
	    {"{metadata.kind|}", NULL, NULL, 0}, /* empty counts as absent */
	    {"{metadata.kind}", "\xc3\xa4 \xe2\x82\xac",
		"\xc3\xa4 \xe2\x82\xac", 0},
	    {"{metadata.kind}", "a\nb", NULL, 1},
	    {"{metadata.kind}", "a\rb", NULL, 1},
	    {"{metadata.kind}", "a\tb", NULL, 1},
	    {"{metadata.kind}", "\x1b[31m", NULL, 1},
	    {"{metadata.kind}", "\x7f", NULL, 1},
	    {"{metadata.kind}", "\xc2\x80", NULL, 1}, /* C1 */
	    {"{metadata.kind}", "\xc2\x9f", NULL, 1},
	    {"{metadata.kind}", "\xc2\xa0", "\xc2\xa0", 0},
	    {"{metadata.kind}", "\xff", NULL, 1},
	    {"{metadata.kind}", "\xe2\x82", NULL, 1},
	    {"{metadata.kind}", longest, longest, 0},
	    {"{metadata.kind}", too_long, NULL, 1},
	};

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_render render;
		struct hb_message msg;
		struct hb_event *ev;
		struct hb_leg leg;
		struct rig rig;
		struct hb_span got;

		rig_init(&rig);
		ev = rig_event(&rig, NULL, "{}");
		rig_set(ev, RIG_KIND, cases[i].kind);
		leg = make_leg(&rig, NULL, HB_FORMAT_RAW);
		rig_header(&rig, (struct hb_target_conf *)leg.target, "x-kind",
		    cases[i].value);
		rig_header(&rig, (struct hb_target_conf *)leg.target, "x-last",
		    "there");
		hb_render_init(&render, ev);
		hb_render_leg(&render, &leg, &msg);
		got = header_of(&msg, "x-kind");
		if (hb_span_is_set(got) != (cases[i].want != NULL) ||
		    !hb_span_eq(got, hb_span_of(cases[i].want)) ||
		    msg.headers_left_out != cases[i].left_out)
			fail_msg("header case %zu", i);
		assert_text(header_of(&msg, "x-last"), "there");
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

static const struct {
	const char *text, *encoded;
} encodings[] = {
    {"", ""}, {"plain", "plain"}, {"50% off", "50% off"},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"a\tb\nc", "a%09b%0Ac"}, {"\x01", "%01"}, {"\x1f\x20", "%1F "},
    {"~\x7f", "~%7F"}, {"\xc2\x80\xc2\x9f\xc2\xa0", "%C2%80%C2%9F\xc2\xa0"},
    {"\xef\xbf\xbe", "%EF%BF%BE"},	  /* U+FFFE */
    {"\xef\xb7\x90", "%EF%B7%90"},	  /* U+FDD0 */
    {"\xf4\x8f\xbf\xbf", "%F4%8F%BF%BF"}, /* U+10FFFF */
    {"\xef\xbf\xbd", "\xef\xbf\xbd"},	  /* U+FFFD */
    {"a\xff"
     "b",
	"a%FFb"},		   /* not UTF-8 */
    {"\xed\xa0\x80", "%ED%A0%80"}, /* a surrogate */
    {"\xc3", "%C3"},		   /* cut off */
};

static void
test_encoding(void **state)
{
	struct hb_arena *arena = hb_arena_new(1024);

	(void)state;
	for (size_t i = 0; i < HB_COUNT(encodings); i++) {
		struct hb_span text = hb_span_of(encodings[i].text);
		struct hb_span got = hb_text_encode(text, arena);

		assert_text(got, encodings[i].encoded);
		if (strcmp(encodings[i].text, encodings[i].encoded) == 0)
			assert_ptr_equal(got.ptr, text.ptr);
	}
	assert_false(hb_span_is_set(hb_text_encode(HB_SPAN_NONE, arena)));
	hb_arena_free(arena);
}

static void
test_cut(void **state)
{
	(void)state;
	assert_text(hb_text_cut(HB_SPAN("abc"), 3), "abc");
	assert_text(hb_text_cut(HB_SPAN("abc"), 2), "ab");
	assert_text(hb_text_cut(HB_SPAN("a\xe2\x82\xac"), 3), "a");
	assert_text(hb_text_cut(HB_SPAN("a\xe2\x82\xac"), 4), "a\xe2\x82\xac");
	assert_text(hb_text_cut(HB_SPAN("\x80\x80\x80"), 2), "");
	assert_false(hb_span_is_set(hb_text_cut(HB_SPAN_NONE, 10)));
}

/* Attributes are encoded, in headers and in structured values alike; the key
 * itself stays as it is. */
static void
test_hostile_attributes(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;
	json_t *json;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, NULL, "{}");
	ev->id = HB_SPAN("msg\x80");
	ev->job_id = HB_SPAN("job\xc2\x85id");
	leg = make_leg(&rig, NULL, HB_FORMAT_CLOUDEVENTS);
	leg.key = HB_SPAN("a\r\nforged: b");
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	assert_text(header_of(&msg, "ce_id"), "msg%80");
	assert_text(header_of(&msg, "ce_subject"), "job%C2%85id");
	assert_text(header_of(&msg, "ce_partitionkey"), "a%0D%0Aforged: b");
	assert_text(msg.key, "a\r\nforged: b");
	json = parse(msg.value);
	assert_string_equal(
	    json_string_value(json_object_get(json, "subject")), "job%C2%85id");
	assert_string_equal(
	    json_string_value(json_object_get(json, "partitionkey")),
	    "a%0D%0Aforged: b");
	json_decref(json);
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* --- cloudevents ---------------------------------------------------------- */

static void
test_cloudevent(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a", "{}");
	ev->job_type = HB_SPAN("parse");
	leg = make_leg(&rig, "a", HB_FORMAT_CLOUDEVENTS);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &msg);
	assert_text(msg.value,
	    "{\"specversion\":\"1.0\",\"id\":\"msg_1\","
	    "\"source\":\"https://platform.reducto.ai/#production\","
	    "\"type\":\"ai.reducto.job.completed\",\"subject\":\"job-1\","
	    "\"time\":\"2026-01-01T00:00:01.234Z\",\"channel\":\"a\","
	    "\"jobstatus\":\"completed\",\"jobtype\":\"parse\","
	    "\"partitionkey\":\"key-1\","
	    "\"datacontenttype\":\"application/json\","
	    "\"data\":" JSON_HEAD ",\"job_type\":\"parse\","
	    "\"channels\":[\"a\"]" JSON_TAIL "}}");
	assert_text(header_of(&msg, "content-type"),
	    "application/cloudevents+json; charset=UTF-8");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* Both modes say the same: attributes as headers are those in the value, and
 * the data is the value of the other. */
static void
test_modes_agree(void **state)
{
	struct hb_leg binary_leg, structured_leg;
	struct hb_message binary, structured;
	json_t *data, *envelope;
	struct hb_render render;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a|b", "{}");
	ev->metadata = HB_SPAN("{\"deep\":{\"list\":[1,2,{\"x\":null}]}}");
	ev->result = HB_SPAN("{\"type\":\"full\",\"chunks\":[]}");
	binary_leg = make_leg(&rig, "b", HB_FORMAT_JSON);
	structured_leg = make_leg(&rig, "b", HB_FORMAT_CLOUDEVENTS);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &binary_leg, &binary);
	hb_render_leg(&render, &structured_leg, &structured);
	data = parse(binary.value);
	envelope = parse(structured.value);
	assert_true(json_equal(json_object_get(envelope, "data"), data));
	for (size_t i = 0; i < binary.header_count; i++) {
		const struct hb_header *header = &binary.headers[i];
		json_t *attribute;

		if (!hb_span_starts(header->name, HB_SPAN("ce_")))
			continue;
		assert_true(
		    hb_span_eq(header->value, structured.headers[i].value));
		attribute = json_object_getn(
		    envelope, header->name.ptr + 3, header->name.len - 3);
		assert_text(header->value, json_string_value(attribute));
	}
	/* Nine attributes, datacontenttype, data. */
	assert_int_equal(json_object_size(envelope), 11);
	json_decref(data);
	json_decref(envelope);
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* The value is made once, whoever asks for it. */
static void
test_json_is_shared(void **state)
{
	struct hb_message one, other;
	struct hb_leg leg, second;
	struct hb_render render;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a", "{}");
	leg = make_leg(&rig, "a", HB_FORMAT_JSON);
	second = make_leg(&rig, "a", HB_FORMAT_JSON);
	hb_render_init(&render, ev);
	hb_render_leg(&render, &leg, &one);
	hb_render_leg(&render, &second, &other);
	assert_ptr_equal(one.value.ptr, other.value.ptr);
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* --- claim checks --------------------------------------------------------- */

/* SHA-256 of "abc". */
#define DIGEST                             \
	"ba7816bf8f01cfea414140de5dae2223" \
	"b00361a396177a9cb410ff61f20015ad"
#define OTHER_DIGEST                       \
	"0000000000000000000000000000000000000000000000000000000000000000"
#define REFERENCE                                               \
	",\"dataref\":\"urn:hookbridge:claim:" DIGEST "\","     \
	"\"dataref_size\":18446744073709551615,\"dataref_sha256\":" \
	"\"" DIGEST "\""

/* The result goes, a reference takes its place, and nothing else changes. */
static void
test_claimed_json(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a|b.c", "{}");
	fill_full(ev);
	leg = make_leg(&rig, "a", HB_FORMAT_JSON);
	rig_header(&rig, (struct hb_target_conf *)leg.target, "x-last", "yes");
	hb_render_init(&render, ev);
	hb_render_claimed_leg(&render, &leg, DIGEST, UINT64_MAX, &msg);
	assert_text(msg.value,
	    JSON_HEAD ",\"status_raw\":\"Completed\",\"job_type\":\"parse\","
		      "\"channels\":[\"a\",\"b.c\"],"
		      "\"metadata\":{ \"n\": 1.50, \"u\":\"\\u00e9\\/\" }"
	    REFERENCE JSON_TAIL
	    ",\"extra\":{\"a\": 1, \"b\" :[ ],\"c\":1.50}}");
	assert_text(headers_text(&rig, &msg),
	    "ce_specversion: 1.0\n"
	    "ce_id: msg_1\n"
	    "ce_source: https://platform.reducto.ai/#production\n"
	    "ce_type: ai.reducto.job.completed\n"
	    "ce_subject: job-1\n"
	    "ce_time: 2026-01-01T00:00:01.234Z\n"
	    "ce_channel: a\n"
	    "ce_jobstatus: completed\n"
	    "ce_jobtype: parse\n"
	    "ce_partitionkey: key-1\n"
	    "ce_dataref: urn:hookbridge:claim:" DIGEST "\n"
	    "content-type: application/json\n"
	    "x-last: yes\n");
	assert_text(msg.key, "key-1");
	assert_text(msg.id, "msg_1");
	assert_false(msg.dead_letter);
	hb_event_unref(ev);
	rig_fini(&rig);
}

static void
test_claimed_cloudevent(void **state)
{
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_leg leg;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, NULL, "{}");
	ev->result = HB_SPAN("[1]");
	leg = make_leg(&rig, NULL, HB_FORMAT_CLOUDEVENTS);
	hb_render_init(&render, ev);
	hb_render_claimed_leg(&render, &leg, DIGEST, UINT64_MAX, &msg);
	assert_text(msg.value,
	    "{\"specversion\":\"1.0\",\"id\":\"msg_1\","
	    "\"source\":\"https://platform.reducto.ai/#production\","
	    "\"type\":\"ai.reducto.job.completed\",\"subject\":\"job-1\","
	    "\"time\":\"2026-01-01T00:00:01.234Z\","
	    "\"jobstatus\":\"completed\",\"partitionkey\":\"key-1\","
	    "\"dataref\":\"urn:hookbridge:claim:" DIGEST "\","
	    "\"datacontenttype\":\"application/json\","
	    "\"data\":" JSON_HEAD REFERENCE JSON_TAIL "}}");
	assert_text(header_of(&msg, "ce_dataref"),
	    "urn:hookbridge:claim:" DIGEST);
	assert_text(header_of(&msg, "content-type"),
	    "application/cloudevents+json; charset=UTF-8");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* A stand-in for the digest tells how long the message will be; it neither
 * stays nor touches the whole event's value. */
static void
test_claimed_lengths(void **state)
{
	static const int formats[] = {HB_FORMAT_JSON, HB_FORMAT_CLOUDEVENTS};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(formats); i++) {
		struct hb_message whole, stand_in, claimed, again, whole_again;
		struct hb_render render;
		struct hb_event *ev;
		struct hb_leg leg;
		struct rig rig;

		rig_init(&rig);
		ev = rig_event(&rig, "a", "{}");
		fill_full(ev);
		leg = make_leg(&rig, "a", formats[i]);
		hb_render_init(&render, ev);
		hb_render_leg(&render, &leg, &whole);
		hb_render_claimed_leg(
		    &render, &leg, OTHER_DIGEST, 1234, &stand_in);
		hb_render_claimed_leg(&render, &leg, DIGEST, 1234, &claimed);
		hb_render_claimed_leg(&render, &leg, DIGEST, 1234, &again);
		hb_render_leg(&render, &leg, &whole_again);
		assert_int_equal(
		    hb_message_cost(&stand_in), hb_message_cost(&claimed));
		assert_int_equal(stand_in.value.len, claimed.value.len);
		assert_non_null(memmem(claimed.value.ptr, claimed.value.len,
		    ",\"dataref_size\":1234,", 21));
		assert_null(memmem(claimed.value.ptr, claimed.value.len,
		    OTHER_DIGEST, strlen(OTHER_DIGEST)));
		assert_true(hb_span_eq(claimed.value, again.value));
		assert_true(hb_span_eq(whole.value, whole_again.value));
		if (formats[i] == HB_FORMAT_JSON)
			assert_ptr_equal(claimed.value.ptr, again.value.ptr);
		hb_event_unref(ev);
		rig_fini(&rig);
	}
}

/* --- dead letters --------------------------------------------------------- */

static void
test_dead_letter_unusable(void **state)
{
	struct hb_leg leg;
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = rig_event(&rig, "a", "not json\xff");
	ev->usable = false;
	ev->ce_type = NULL;
	ev->job_id = ev->job_id_text = HB_SPAN_NONE;
	ev->status = HB_SPAN("unknown");
	leg = make_leg(&rig, NULL, HB_FORMAT_RAW);
	hb_render_init(&render, ev);
	hb_render_dead_letter(
	    &render, leg.target, "not-json", HB_SPAN_NONE, &msg);
	assert_text(headers_text(&rig, &msg),
	    "ce_specversion: 1.0\n"
	    "ce_id: msg_1\n"
	    "ce_source: https://platform.reducto.ai/#production\n"
	    "ce_type: ai.reducto.webhook.unrecognized\n"
	    "ce_time: 2026-01-01T00:00:01.234Z\n"
	    "ce_channel: a\n"
	    "ce_jobstatus: unknown\n"
	    "ce_partitionkey: msg_1\n"
	    "content-type: application/octet-stream\n"
	    "hb_reason: not-json\n"
	    "hb_endpoint: production\n"
	    "hb_received_at: 2026-01-01T00:00:01.234Z\n"
	    "hb_webhook_id: msg_1\n");
	assert_text(msg.value, "not json\xff");
	assert_text(msg.key, "msg_1");
	assert_true(msg.dead_letter);
	assert_ptr_equal(msg.dest, leg.target->dests[0]);
	hb_event_unref(ev);
	rig_fini(&rig);
}

static void
test_dead_letter_refused(void **state)
{
	struct hb_leg leg;
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.endpoint.mode = HB_MODE_DIRECT;
	ev = rig_event(&rig, NULL, "{\"job_id\":\"job-1\"}");
	ev->webhook_id = HB_SPAN_NONE;
	ev->id = HB_SPAN("direct-1");
	ev->traceparent = HB_SPAN("00-trace");
	ev->tracestate = HB_SPAN("vendor=1");
	ev->job_type = HB_SPAN("edit");
	leg = make_leg(&rig, NULL, HB_FORMAT_RAW);
	hb_render_init(&render, ev);
	hb_render_dead_letter(&render, leg.target, "name-not-allowed",
	    HB_SPAN("jobs.\x1bx"), &msg);
	assert_text(headers_text(&rig, &msg),
	    "ce_specversion: 1.0\n"
	    "ce_id: direct-1\n"
	    "ce_source: https://platform.reducto.ai/#production\n"
	    "ce_type: ai.reducto.job.completed\n"
	    "ce_subject: job-1\n"
	    "ce_time: 2026-01-01T00:00:01.234Z\n"
	    "ce_jobstatus: completed\n"
	    "ce_jobtype: edit\n"
	    "ce_partitionkey: job-1\n"
	    "content-type: application/json\n"
	    "traceparent: 00-trace\n"
	    "tracestate: vendor=1\n"
	    "hb_reason: name-not-allowed\n"
	    "hb_endpoint: production\n"
	    "hb_received_at: 2026-01-01T00:00:01.234Z\n"
	    "hb_destination: jobs.%1Bx\n");
	assert_text(msg.key, "job-1");
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* Every header there can be fits, and nothing from data is without bound. */
static void
test_dead_letter_hostile(void **state)
{
	char huge[8192];
	struct hb_leg leg;
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	memset(huge, 'x', sizeof(huge));
	rig_init(&rig);
	ev = rig_event(&rig, "a", "{}");
	ev->usable = false;
	ev->job_type = HB_SPAN("parse");
	ev->traceparent = ev->tracestate = HB_SPAN("t");
	leg = make_leg(&rig, NULL, HB_FORMAT_RAW);
	hb_render_init(&render, ev);
	hb_render_dead_letter(&render, leg.target, "ambiguous",
	    hb_span_make(huge, sizeof(huge)), &msg);
	assert_int_equal(msg.header_count, 18);
	assert_int_equal(header_of(&msg, "hb_destination").len, 1024);
	/* A job_id that made the body unusable is no key and no subject. */
	ev->job_id = hb_span_make(huge, sizeof(huge));
	hb_render_dead_letter(
	    &render, leg.target, "bad-job-id", HB_SPAN_NONE, &msg);
	assert_text(msg.key, "msg_1");
	assert_false(hb_span_is_set(header_of(&msg, "ce_subject")));
	ev->job_id = HB_SPAN("");
	hb_render_dead_letter(
	    &render, leg.target, "bad-job-id", HB_SPAN_NONE, &msg);
	assert_text(msg.key, "msg_1");
	assert_false(hb_span_is_set(header_of(&msg, "ce_subject")));
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* --- cost and life -------------------------------------------------------- */

static void
test_cost(void **state)
{
	static const struct hb_header headers[] = {
	    {HB_SPAN("abc"), HB_SPAN("12345")}, {HB_SPAN("d"), HB_SPAN("")}};
	struct hb_message msg = {.key = HB_SPAN("key"),
	    .value = HB_SPAN("value"),
	    .headers = headers,
	    .header_count = 2};

	(void)state;
	assert_int_equal(
	    hb_message_cost(&msg), 3 + 5 + 512 + (128 + 8) + (128 + 1));
	msg.header_count = 0;
	assert_int_equal(hb_message_cost(&msg), 520);
}

static void
test_event_life(void **state)
{
	struct hb_budget budget;
	const struct hb_event *held;
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	hb_budget_init(&budget, 1000);
	ev = rig_event(&rig, NULL, "{}");
	assert_int_equal(rig.cfg.refs, 2);
	assert_true(hb_budget_take(&budget, &rig.share, 400));
	ev->budget = &budget;
	ev->charged = 400;
	held = hb_event_ref(ev);
	assert_ptr_equal(held, ev);
	hb_event_unref(ev);
	assert_int_equal(budget.used, 400);
	assert_int_equal(rig.share.used, 400);
	hb_event_unref(held);
	assert_int_equal(budget.used, 0);
	assert_int_equal(rig.share.used, 0);
	rig_fini(&rig);
}

static void
test_event_begins_empty(void **state)
{
	struct hb_event *ev;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	ev = hb_event_new(&rig.cfg, &rig.endpoint, hb_xstrdup("{}"), 2);
	assert_text(ev->body, "{}");
	assert_ptr_equal(ev->cfg, &rig.cfg);
	assert_ptr_equal(ev->endpoint, &rig.endpoint);
	assert_false(ev->usable);
	assert_int_equal(ev->status_class, HB_STATUS_OTHER);
	assert_false(hb_span_is_set(ev->webhook_id));
	for (int i = 0; i < RIG_VARS; i++) {
		assert_false(hb_span_is_set(ev->vars[i]));
		assert_false(ev->present[i]);
	}
	hb_event_unref(ev);
	rig_fini(&rig);
}

/* An event of ordinary size and two deliveries: its arena does not grow. */
static void
test_event_is_one_allocation(void **state)
{
	struct hb_target_conf *target;
	struct hb_route_conf *route;
	struct hb_router *router;
	struct hb_render render;
	struct hb_message msg;
	struct hb_event *ev;
	struct hb_plan plan;
	struct rig rig;
	char body[2048];
	size_t before;

	(void)state;
	memset(body, ' ', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	rig_init(&rig);
	route = rig_route(&rig, "one");
	target = rig_to(&rig, route, rig_sink(&rig, "s"), "jobs.{channel}",
	    "jobs.a", "{metadata.kind}");
	rig_header(&rig, target, "x-kind", "{metadata.kind}");
	rig_to(&rig, route, rig_sink(&rig, "s"), "jobs", NULL, NULL);
	router = hb_router_new(&rig.cfg);
	ev = rig_event(&rig, "a", body);
	before = hb_arena_size(ev->arena);
	ev->result = ev->body;
	rig_set(ev, RIG_KIND, "invoice");
	hb_route(router, ev, &plan);
	assert_int_equal(plan.leg_count, 2);
	hb_render_init(&render, ev);
	for (size_t i = 0; i < plan.leg_count; i++)
		hb_render_leg(&render, &plan.legs[i], &msg);
	assert_int_equal(hb_arena_size(ev->arena), before);
	hb_event_unref(ev);
	hb_router_free(router);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_json_direct),
	    cmocka_unit_test(test_json_parses),
	    cmocka_unit_test(test_headers_full),
	    cmocka_unit_test(test_headers_thin),
	    cmocka_unit_test(test_configured_headers),
	    cmocka_unit_test(test_encoding),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_hostile_attributes),
	    cmocka_unit_test(test_cloudevent),
	    cmocka_unit_test(test_modes_agree),
	    cmocka_unit_test(test_json_is_shared),
	    cmocka_unit_test(test_claimed_json),
	    cmocka_unit_test(test_claimed_cloudevent),
	    cmocka_unit_test(test_claimed_lengths),
	    cmocka_unit_test(test_dead_letter_unusable),
	    cmocka_unit_test(test_dead_letter_refused),
	    cmocka_unit_test(test_dead_letter_hostile),
	    cmocka_unit_test(test_cost),
	    cmocka_unit_test(test_event_life),
	    cmocka_unit_test(test_event_begins_empty),
	    cmocka_unit_test(test_event_is_one_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
