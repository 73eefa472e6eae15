/* SPDX-License-Identifier: Apache-2.0 */
/* test_preview.c - each answer, each turn of a route, each way to be dead */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "preview_rig.h"

#define BODY "{\"job_id\":\"j\",\"status\":\"Completed\"}"
#define OTHER "{\"job_id\":\"other\"}"

/* --- answers -------------------------------------------------------------- */

static const char endpoints_yaml[] = LISTEN
    "endpoints:\n"
    "  e: {path: /e, mode: svix, secrets: \"file:e.secret\", body_size: 1KiB}\n"
    "  b: {path: /b, mode: direct, token: {in: bearer, secret: "
    "\"file:token\"}}\n"
    "  q: {path: /q, mode: direct, token: {in: query.t, secret: "
    "\"file:token\"}}\n"
    "  p: {path: \"/p/{token}\", mode: direct, token: {in: path, secret: "
    "\"file:token\"}}\n"
    "  m: {path: /m, mode: direct, token: {in: metadata.t, secret: "
    "\"file:token\"}}\n"
    "  a: {path: /a, mode: direct, allow: [203.0.113.0/24, \"::/0\"]}\n"
    "  n: {path: /n, mode: svix, secrets: \"file:other.secret\", "
    "allow: [\"::/0\"]}\n"
    "  off: {path: /off, mode: disabled}\n"
    SINKS ROUTES "dead_letter: {sink: f}\n";

enum { NOT_REACHED = HB_VERDICT_NOT_REACHED, GOOD = HB_VERDICT_GOOD,
	BAD = HB_VERDICT_BAD, OVER = HB_VERDICT_PASSED_OVER };

/* sign: what body is signed; late: by how many seconds it comes too late. */
static const struct answer_case {
	const char *target, *fields, *body, *sign;
	long long late;
	const char *peer;
	bool lenient;
	int code;
	const char *outcome;
	int proof;
	const char *reason;
} answer_cases[] = {
	/* svix */
	{ "/e", "", BODY, BODY, 0, NULL, false, 200, "confirmed", GOOD, NULL },
	{ "/e", "", BODY, BODY, 300, NULL, false, 200, "confirmed", GOOD,
	    NULL },
	{ "/e", "", BODY, BODY, 301, NULL, false, 401, "unauthorized", BAD,
	    "timestamp_too_old" },
	{ "/e", "", BODY, BODY, -302, NULL, false, 401, "unauthorized", BAD,
	    "timestamp_too_new" },
	{ "/e", "", BODY, BODY, 301, NULL, true, 200, "confirmed", OVER,
	    "timestamp_too_old" },
	{ "/e", "", OTHER, BODY, 0, NULL, false, 401, "unauthorized", BAD,
	    "no_matching_signature" },
	{ "/e", "", OTHER, BODY, 0, NULL, true, 200, "confirmed", OVER,
	    "no_matching_signature" },
	{ "/e", "svix-id: 2\r\n", BODY, BODY, 0, NULL, false, 401,
	    "unauthorized", BAD, "duplicate_header" },
	{ "/e", "", BODY, NULL, 0, NULL, false, 401, "unauthorized", BAD,
	    "missing_header" },
	{ "/e", "", BODY, NULL, 0, NULL, true, 200, "confirmed", OVER,
	    "missing_header" },
	{ "/e", "svix-id: a.b\r\nsvix-timestamp: 1\r\nsvix-signature: v1,x\r\n",
	    BODY, NULL, 0, NULL, false, 401, "unauthorized", BAD, "bad_id" },
	{ "/e", "svix-id: a\r\nsvix-timestamp: x\r\nsvix-signature: v1,x\r\n",
	    BODY, NULL, 0, NULL, false, 401, "unauthorized", BAD,
	    "bad_timestamp" },
	/* tokens */
	{ "/b", "Authorization: Bearer " TOKEN "\r\n", BODY, NULL, 0, NULL,
	    false, 200, "confirmed", GOOD, NULL },
	{ "/b", "Authorization: Bearer x\r\n", BODY, NULL, 0, NULL, false, 401,
	    "unauthorized", BAD, "token_mismatch" },
	{ "/b", "", BODY, NULL, 0, NULL, true, 200, "confirmed", OVER,
	    "token_missing" },
	{ "/q?t=" TOKEN, "", BODY, NULL, 0, NULL, false, 200, "confirmed",
	    GOOD, NULL },
	{ "/q?t=1&t=2", "", BODY, NULL, 0, NULL, false, 401, "unauthorized",
	    BAD, "token_repeated" },
	{ "/p/" TOKEN, "", BODY, NULL, 0, NULL, false, 200, "confirmed", GOOD,
	    NULL },
	{ "/p/{token}", "", BODY, NULL, 0, NULL, true, 200, "confirmed", OVER,
	    "token_mismatch" },
	/* A token in the body is cut out, or nothing goes on. */
	{ "/m", "", "{\"job_id\":\"j\",\"metadata\":{\"t\":\"" TOKEN "\"}}",
	    NULL, 0, NULL, true, 200, "confirmed", GOOD, NULL },
	{ "/m", "", BODY, NULL, 0, NULL, true, 200, "confirmed", OVER,
	    "token_missing" },
	{ "/m", "", BODY, NULL, 0, NULL, false, 401, "unauthorized", BAD,
	    "token_missing" },
	{ "/m", "", "{\"job_id\":\"j\",\"metadata\":{\"t\":\"wrong\"}}", NULL,
	    0, NULL, true, 401, "unauthorized", BAD, "token_mismatch" },
	{ "/m", "", "{\"metadata\":{\"t\":\"x\"}", NULL, 0, NULL, true, 401,
	    "unauthorized", BAD, "unparsable" },
	/* addresses */
	{ "/a", "", BODY, NULL, 0, "::ffff:203.0.113.9", false, 200,
	    "confirmed", GOOD, NULL },
	{ "/a", "", BODY, NULL, 0, "::", true, 401, "unauthorized", BAD,
	    "address" },
	{ "/a", "", BODY, NULL, 0, NULL, false, 200, "confirmed", GOOD, NULL },
	{ "/n", "", BODY, NULL, 0, NULL, true, 200, "confirmed", OVER,
	    "missing_header" },
	/* before verification, and in between */
	{ "/nowhere", "", BODY, BODY, 0, NULL, false, 404, "rejected",
	    NOT_REACHED, NULL },
	{ "/off", "", BODY, BODY, 0, NULL, true, 404, "rejected", NOT_REACHED,
	    NULL },
	{ "/e", "Content-Type: text/plain\r\n", BODY, BODY, 0, NULL, false,
	    415, "rejected", NOT_REACHED, NULL },
	{ "/e", "bad name: x\r\n", BODY, BODY, 0, NULL, false, 400,
	    "bad-header-name", NOT_REACHED, NULL },
	{ "e", "", BODY, BODY, 0, NULL, false, 400, "bad-target", NOT_REACHED,
	    NULL },
};

static void
check_answer(const struct hb_config *cfg, const struct answer_case *c)
{
	struct hb_preview_request req = rig_request(cfg, "/", c->body);
	struct in6_addr peer;
	struct hb_preview p;
	char fields[1024];

	snprintf(fields, sizeof(fields), "%s%s", c->fields, c->sign == NULL
	    ? "" : rig_sign("msg_1", RIG_SECONDS - c->late, c->sign));
	req.head = rig_head("POST", c->target, fields, strlen(c->body));
	req.lenient = c->lenient;
	if (c->peer != NULL) {
		assert_int_equal(inet_pton(AF_INET6, c->peer, &peer), 1);
		req.peer = &peer;
	}
	hb_preview_make(&req, &p);
	if (p.answer.code != c->code || strcmp(p.outcome, c->outcome) != 0 ||
	    (int)p.verdict != c->proof ||
	    (c->reason != NULL && strcmp(p.refusal.reason, c->reason) != 0))
		fail_msg("%s %s: %d %s, proof %d, %s", c->target, fields,
		    p.answer.code, p.outcome, (int)p.verdict,
		    c->reason != NULL ? p.refusal.reason : "");
	assert_true((p.ev != NULL) == (c->code < 300));
	if (p.ev != NULL && memmem(p.parcels[0].msg.value.ptr,
		p.parcels[0].msg.value.len, TOKEN, strlen(TOKEN)) != NULL)
		fail_msg("%s: the token is in the message", c->target);
	hb_preview_fini(&p);
}

static void
answers(void **state)
{
	struct hb_config *cfg;
	char *report;

	(void)state;
	cfg = cfg_load(endpoints_yaml, &report); /* one token for all: warned */
	free(report);
	assert_non_null(cfg);
	for (size_t i = 0; i < HB_COUNT(answer_cases); i++)
		check_answer(cfg, &answer_cases[i]);
	/* Nothing is held of the memory that the endpoints share. */
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		assert_int_equal(cfg->endpoints[i].share->used, 0);
	assert_int_equal(cfg->refs, 1);
	hb_config_unref(cfg);
}

static void
methods_and_limits(void **state)
{
	static char spaces[1025];
	struct hb_config *cfg;
	struct hb_preview_request req;
	struct hb_preview p;
	char *report;

	(void)state;
	cfg = cfg_load(endpoints_yaml, &report);
	free(report);
	memset(spaces, ' ', sizeof(spaces) - 1);
	req = rig_request(cfg, "/e", spaces); /* 1 KiB: as large as may be */
	hb_preview_make(&req, &p);
	assert_int_equal(p.answer.code, 202);
	hb_preview_fini(&p);
	req.body.len = 1025;
	req.head = rig_head("POST", "/e", "", 1025);
	hb_preview_make(&req, &p);
	assert_int_equal(p.answer.code, 413);
	assert_string_equal(p.outcome, "body-too-large");
	assert_null(p.ev);
	hb_preview_fini(&p);
	req = rig_request(cfg, "/e", BODY);
	req.head = rig_head("PUT", "/e", "", strlen(BODY));
	hb_preview_make(&req, &p);
	assert_int_equal(p.answer.code, 405);
	assert_string_equal(p.answer.allow, "POST");
	hb_preview_fini(&p);
	req.head = rig_head("OPTIONS", "*", "", strlen(BODY)); /* no path */
	hb_preview_make(&req, &p);
	assert_int_equal(p.answer.code, 405);
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

/* More than a quarter of memory cannot be received unverified. */
static void
memory(void **state)
{
	static char spaces[300 * 1024];
	struct hb_preview_request req;
	struct hb_config *cfg;
	struct hb_preview p;
	char *report;

	(void)state;
	cfg = cfg_load("memory: 1MiB\n" BASE, &report);
	free(report);
	memset(spaces, ' ', sizeof(spaces) - 1);
	req = rig_request(cfg, "/e", spaces);
	hb_preview_make(&req, &p);
	assert_int_equal(p.answer.code, 503);
	assert_string_equal(p.outcome, "memory");
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

/* --- the event ------------------------------------------------------------ */

static void
identity(void **state)
{
	struct hb_config *cfg = cfg_load_good(BASE);
	struct hb_preview_request req = rig_request(cfg, "/e", BODY);
	struct hb_preview p;

	(void)state;
	hb_preview_make(&req, &p);
	assert_true(p.id_is_made_up);
	assert_true(hb_span_eq(p.ev->id, HB_SPAN("msg_unknown")));
	assert_int_equal(p.ev->webhook_timestamp, RIG_SECONDS);
	assert_int_equal(p.ev->received_ms, RIG_MS);
	hb_preview_fini(&p);
	/* What the head has, even where it proves nothing. */
	req.head = rig_head("POST", "/e", "webhook-id: msg_7\r\n"
	    "webhook-timestamp: 123\r\n", strlen(BODY));
	hb_preview_make(&req, &p);
	assert_false(p.id_is_made_up);
	assert_true(hb_span_eq(p.ev->id, HB_SPAN("msg_7")));
	assert_int_equal(p.ev->webhook_timestamp, 123);
	assert_true(hb_span_eq(p.answer.body,
	    HB_SPAN("{\"id\":\"msg_7\",\"outcome\":\"confirmed\"}\n")));
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

/* --- routes and messages -------------------------------------------------- */

#define REDIS "sinks: {r: {type: redis, url: \"redis://127.0.0.1/0\"}}\n"
#define SITE LISTEN ENDPOINT(", channels: [a, b]") REDIS
#define DEAD "dead_letter: {sink: r, stream: dead}\n"
#define SPOOL "spool: {directory: /spool}\n"
#define ROUTES_R "routes: [{to: {sink: r, stream: x}}]\n"

static const struct plan_case {
	const char *yaml, *body, *routes, *messages, *outcome;
} plan_cases[] = {
	{ SITE "routes:\n"
	  "  - {name: one, when: {channel: [b, c]}, to: {sink: r, "
	  "stream: \"s-{channel}\", streams: [s-a, s-b]}}\n"
	  "  - {name: two, when: {status: failed}, to: {sink: r, stream: x}}\n"
	  "  - {name: rest, default: true, to: {sink: r, stream: y}}\n",
	    BODY, "one=match(b) two=no-match(status) rest=not-needed",
	    "r:s-b<one", "confirmed" },
	{ SITE "routes:\n"
	  "  - {name: one, final: true, to: {sink: r, stream: x}}\n"
	  "  - {name: two, to: {sink: r, stream: y}}\n"
	  "  - {name: rest, default: true, to: {sink: r, stream: z}}\n",
	    BODY, "one=match(a) two=not-reached rest=not-needed", "r:x<one",
	    "confirmed" },
	{ SITE "routes:\n"
	  "  - {name: one, when: {metadata.x: \"1\"}, to: {sink: r, "
	  "stream: x}}\n"
	  "  - {name: rest, default: true, final: true, to: {sink: r, "
	  "stream: y}}\n"
	  "  - {name: last, default: true, to: {sink: r, stream: z}}\n",
	    BODY, "one=no-match(metadata.x) rest=match(a) last=not-reached",
	    "r:y<rest", "confirmed" },
	/* No destination twice. */
	{ SITE "routes:\n"
	  "  - {name: one, to: {sink: r, stream: x}}\n"
	  "  - {name: two, to: [{sink: r, stream: x}, {sink: r, stream: y}]}\n",
	    BODY, "one=match(a) two=match(a)", "r:x<one r:y<two",
	    "confirmed" },
	/* dead letters */
	{ SITE DEAD "routes: [{name: one, when: {status: failed}, to: "
	  "{sink: r, stream: x}}]\n",
	    BODY, "one=no-match(status)", "unrouted>r:dead<-",
	    "dead-lettered" },
	{ SITE "routes: [{name: one, when: {status: failed}, to: "
	  "{sink: r, stream: x}}]\n",
	    BODY, "one=no-match(status)", "unrouted>nowhere<-",
	    "no-dead-letter" },
	{ SITE DEAD "routes: [{name: one, to: [{sink: r, stream: x}, {sink: r, "
	  "stream: \"{metadata.x}\", streams: [y]}]}]\n",
	    BODY, "one=match(a)", "r:x<one name-missing>r:dead<one",
	    "dead-lettered" },
	{ SITE DEAD "routes: [{name: one, to: {sink: r, "
	  "stream: \"{status}\", streams: [y]}}]\n",
	    BODY, "one=match(a)", "name-not-allowed>r:dead<one",
	    "dead-lettered" },
	{ SITE DEAD "routes: [{name: one, to: {sink: r, "
	  "stream: \"{job_id}\", streams: [y]}}]\n",
	    "{\"job_id\":\"a b\"}", "one=match(a)",
	    "name-invalid>r:dead<one", "dead-lettered" },
	/* Unusable bodies are not routed. */
	{ SITE DEAD ROUTES_R, "[]", "", "array>r:dead<-", "dead-lettered" },
	{ SITE DEAD ROUTES_R, "{", "", "not-json>r:dead<-", "dead-lettered" },
	{ SITE DEAD ROUTES_R, "{\"job_id\":\"\xff\"}", "",
	    "not-json>r:dead<-", "dead-lettered" },
	{ SITE DEAD ROUTES_R, "1", "", "not-object>r:dead<-",
	    "dead-lettered" },
	{ SITE DEAD ROUTES_R, "{}", "", "no-job-id>r:dead<-",
	    "dead-lettered" },
	{ SITE DEAD ROUTES_R, "{\"job_id\":1}", "", "bad-job-id>r:dead<-",
	    "dead-lettered" },
	{ SITE DEAD ROUTES_R, "{\"job_id\":\"1\",\"job_id\":\"1\"}", "",
	    "repeated-member>r:dead<-", "dead-lettered" },
	{ SITE ROUTES_R, "[]", "", "array>nowhere<-", "no-dead-letter" },
	/* On disk there is a place for them. */
	{ SITE SPOOL ROUTES_R, "[]", "", "array>disk<-", "dead-lettered" },
	{ SITE SPOOL DEAD ROUTES_R, "[]", "", "array>disk+r:dead<-",
	    "dead-lettered" },
	{ SITE SPOOL "routes: [{name: one, to: [{sink: r, stream: x}, {sink: "
	  "r, stream: \"{metadata.x}\", streams: [y]}]}]\n",
	    BODY, "one=match(a)", "r:x<one name-missing>disk<one",
	    "dead-lettered" },
	/* The answer waits for the brokers, or for the disk alone. */
	{ SITE SPOOL ROUTES_R, BODY, "route-1=match(a)", "r:x<route-1",
	    "confirmed" },
	{ SITE SPOOL "delivery: {ack: spooled}\n" ROUTES_R, BODY,
	    "route-1=match(a)", "r:x<route-1", "spooled" },
	{ SITE SPOOL "delivery: {ack: spooled}\n" ROUTES_R, "[]", "",
	    "array>disk<-", "dead-lettered" },
};

/* "one=match(a) two=no-match(status)" */
static void
routes_text(const struct hb_preview *p, char *out, size_t size)
{
	static const char *const turns[] = { "match", "no-match",
		"not-reached", "not-needed" };

	out[0] = '\0';
	for (size_t i = 0; i < p->route_count; i++) {
		const struct hb_preview_route *route = &p->routes[i];
		size_t len = strlen(out);

		snprintf(out + len, size - len, "%s%s=%s%s%.*s%s%s",
		    i > 0 ? " " : "", route->conf->name, turns[route->turn],
		    route->turn <= HB_TURN_NO_MATCH ? "(" : "",
		    HB_SPAN_ARG(route->channel.len > 0 ? route->channel
		    : HB_SPAN("")), route->row != NULL ? route->row->name : "",
		    route->turn <= HB_TURN_NO_MATCH ? ")" : "");
	}
}

/* Where it goes: "r:x", "disk", "disk+r:x", "nowhere". */
static const char *
place_text(const struct hb_preview_parcel *parcel)
{
	const struct hb_dest_conf *dest = parcel->msg.dest;
	static char text[256];

	if (parcel->nowhere)
		return "nowhere";
	snprintf(text, sizeof(text), "%s%s%.99s%s%.99s",
	    parcel->kept ? "disk" : "", parcel->kept && dest != NULL ? "+" : "",
	    dest != NULL ? dest->sink->name : "", dest != NULL ? ":" : "",
	    dest != NULL ? dest->name : "");
	return text;
}

/* "r:x<one unrouted>r:dead<- claim>r:y<one": what it is instead, where it goes,
 * for which route. */
static void
messages_text(const struct hb_preview *p, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < p->parcel_count; i++) {
		const struct hb_preview_parcel *parcel = &p->parcels[i];
		const struct hb_dest_conf *dest = parcel->msg.dest;
		size_t len = strlen(out);
		bool dead = parcel->dead_reason != NULL;

		assert_true(dead == parcel->msg.dead_letter || dest == NULL);
		assert_true(!parcel->nowhere || (dest == NULL && dead));
		assert_true(!parcel->kept || dead);
		snprintf(out + len, size - len, "%s%s%s%s<%s",
		    i > 0 ? " " : "", dead ? parcel->dead_reason
		    : parcel->claim[0] != '\0' ? "claim" : "",
		    dead || parcel->claim[0] != '\0' ? ">" : "",
		    place_text(parcel),
		    parcel->route != NULL ? parcel->route->name : "-");
	}
}

static void
check_plan(const struct plan_case *c)
{
	char *report, routes[512], messages[512];
	struct hb_config *cfg = cfg_load(c->yaml, &report);
	struct hb_preview_request req;
	struct hb_preview p;

	if (cfg == NULL)
		fail_msg("%s\n%s", c->yaml, report);
	free(report);
	req = rig_request(cfg, "/e", c->body);
	hb_preview_make(&req, &p);
	routes_text(&p, routes, sizeof(routes));
	messages_text(&p, messages, sizeof(messages));
	if (strcmp(routes, c->routes) != 0 ||
	    strcmp(messages, c->messages) != 0 ||
	    strcmp(p.outcome, c->outcome) != 0)
		fail_msg("%s%s:\n%s\n%s\n%s", c->yaml, c->body, routes,
		    messages, p.outcome);
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

static void
plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(plan_cases); i++)
		check_plan(&plan_cases[i]);
}

/* --- sizes ---------------------------------------------------------------- */

static char large[2 << 20];

/* Of an event with so many bytes in this member. */
static struct hb_preview
preview_of(struct hb_config *cfg, const char *member, size_t len)
{
	int front = snprintf(large, sizeof(large), "{\"job_id\":\"j\","
	    "\"%s\":\"", member);
	struct hb_preview_request req;
	struct hb_preview p;

	memset(large + front, 'x', len);
	memcpy(large + front + len, "\"}", 3);
	req = rig_request(cfg, "/e", large);
	hb_preview_make(&req, &p);
	return p;
}

static void
assert_messages(const struct hb_preview *p, const char *wanted)
{
	char text[256];

	messages_text(p, text, sizeof(text));
	assert_string_equal(text, wanted);
}

/* Kafka's limit is known without a broker. */
static void
too_large(void **state)
{
	struct hb_config *cfg = cfg_load_good(LISTEN ENDPOINT("")
	    "sinks: {k: {type: kafka, brokers: [\"127.0.0.1:1\"]}, "
	    "r: {type: redis, url: \"redis://127.0.0.1/0\"}}\n"
	    "routes: [{name: one, to: [{sink: k, topic: t}, {sink: r, "
	    "stream: s}]}]\ndead_letter: {sink: r, stream: dead}\n");
	struct hb_preview p = preview_of(cfg, "result", 990 * 1000);

	(void)state;
	assert_messages(&p, "k:t<one r:s<one");
	hb_preview_fini(&p);
	p = preview_of(cfg, "result", 1000 * 1000);
	assert_messages(&p, "too-large>r:dead<one r:s<one");
	assert_non_null(strstr(p.parcels[0].why.text, "message.max.bytes"));
	assert_string_equal(p.outcome, "dead-lettered");
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

/* A dead letter that is too large for its topic is nowhere, or on disk. */
static void
too_large_for_dead_letters(void **state)
{
	static const struct {
		const char *spool, *messages, *outcome;
	} cases[] = {
		{ "", "too-large>nowhere<one", "no-dead-letter" },
		{ SPOOL, "too-large>disk<one", "dead-lettered" },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char yaml[1024];
		struct hb_config *cfg;
		struct hb_preview p;

		snprintf(yaml, sizeof(yaml), LISTEN ENDPOINT("")
		    "sinks: {k: {type: kafka, brokers: [\"127.0.0.1:1\"]}}\n"
		    "routes: [{name: one, to: {sink: k, topic: t}}]\n"
		    "dead_letter: {sink: k, topic: dead}\n%s",
		    cases[i].spool);
		cfg = cfg_load_good(yaml);
		p = preview_of(cfg, "result", 1000 * 1000);
		assert_messages(&p, cases[i].messages);
		assert_string_equal(p.outcome, cases[i].outcome);
		assert_non_null(
		    strstr(p.parcels[0].copy_why.text, "message.max.bytes"));
		hb_preview_fini(&p);
		hb_config_unref(cfg);
	}
}

#define CLAIMING(settings) LISTEN                                         \
	"endpoints: {e: {path: /e, mode: svix, secrets: "                 \
	"\"file:e.secret\"}, b: {path: /b, mode: direct, token: {in: "    \
	"bearer, secret: \"file:token\"}}}\n"                             \
	"sinks: {k: {type: kafka, brokers: [\"127.0.0.1:1\"]}, "          \
	"r: {type: redis, url: \"redis://127.0.0.1/0\"}}\n"               \
	"routes: [{name: one, to: [{sink: k, topic: t, oversize: "        \
	"claim-check}, {sink: k, topic: u, oversize: claim-check, "       \
	"format: cloudevents}]}]\n"                                       \
	"dead_letter: {sink: r, stream: dead}\n"                          \
	"claims: {directory: /claims" settings "}\n"

/* Where the target wants it, the event goes by reference. */
static void
claim_checks(void **state)
{
	static const struct {
		const char *yaml, *member;
		size_t len;
		const char *messages, *outcome, *why;
	} cases[] = {
		{ CLAIMING(""), "result", 900 * 1000, "k:t<one k:u<one",
		    "confirmed", "" },
		{ CLAIMING(""), "result", 1000 * 1000,
		    "claim>k:t<one claim>k:u<one", "confirmed",
		    "message.max.bytes" },
		{ CLAIMING(""), "metadata", 1000 * 1000,
		    "too-large>r:dead<one too-large>r:dead<one",
		    "dead-lettered", "without its result, too: " },
		/* More than one of two endpoints may hold. */
		{ CLAIMING(", max_size: 1MiB"), "result", 1000 * 1000,
		    "endpoint-share>r:dead<one endpoint-share>r:dead<one",
		    "dead-lettered", "524288 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		struct hb_config *cfg = cfg_load_good(cases[i].yaml);
		struct hb_preview p =
		    preview_of(cfg, cases[i].member, cases[i].len);

		assert_messages(&p, cases[i].messages);
		assert_string_equal(p.outcome, cases[i].outcome);
		assert_non_null(
		    strstr(p.parcels[0].why.text, cases[i].why));
		hb_preview_fini(&p);
		hb_config_unref(cfg);
	}
}

/* It says what the body is and has no part of it. */
static void
claim_check_content(void **state)
{
	struct hb_config *cfg = cfg_load_good(CLAIMING(""));
	struct hb_preview p = preview_of(cfg, "result", 1000 * 1000);
	uint8_t digest[HB_SHA256_SIZE];
	char hex[HB_CLAIM_DIGEST + 1] = "";

	(void)state;
	hb_sha256(hb_span_of(large), digest);
	hb_hex(digest, sizeof(digest), hex);
	for (size_t i = 0; i < p.parcel_count; i++) {
		const struct hb_message *msg = &p.parcels[i].msg;

		assert_string_equal(p.parcels[i].claim, hex);
		assert_in_range(msg->value.len, 200, 2000);
		assert_non_null(
		    memmem(msg->value.ptr, msg->value.len, hex, strlen(hex)));
	}
	hb_preview_fini(&p);
	hb_config_unref(cfg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(methods_and_limits),
		cmocka_unit_test(memory),
		cmocka_unit_test(identity),
		cmocka_unit_test(plans),
		cmocka_unit_test(too_large),
		cmocka_unit_test(too_large_for_dead_letters),
		cmocka_unit_test(claim_checks),
		cmocka_unit_test(claim_check_content),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
