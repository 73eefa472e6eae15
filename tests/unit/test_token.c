/* SPDX-License-Identifier: Apache-2.0 */
/* test_token.c - tokens of direct webhooks, in all their places
 *
 * What is left of a body whose token was cut out is compared byte by byte with
 * what is wanted; a second test makes bodies of every shape and lets jansson
 * say what the object without the member is. */
#include "verify_rig.h"

#define SECRET "0123456789abcdef"
#define OTHER "fedcba9876543210-"
#define BOTH SECRET "|" OTHER
/* echo -n reducto:0123456789abcdef | base64, and the same for OTHER */
#define BASIC "cmVkdWN0bzowMTIzNDU2Nzg5YWJjZGVm"
#define BASIC_OTHER "cmVkdWN0bzpmZWRjYmE5ODc2NTQzMjEwLQ=="

static void
token_init(struct rig *rig, enum hb_token_in in, const char *name,
    const char *secrets)
{
	struct hb_token_conf *token = &rig->endpoint.token;

	rig_init(rig, HB_MODE_DIRECT);
	token->in = in;
	token->name = name;
	token->user = in == HB_TOKEN_BASIC ? "reducto" : NULL;
	rig_secrets(rig, &token->secrets, secrets);
	if (in == HB_TOKEN_METADATA) {
		rig->paths = hb_json_paths_new();
		assert_int_equal(
		    hb_json_paths_add(rig->paths, hb_span_of(name), NULL), 0);
		token->path = rig->paths;
	}
	rig_ready(rig);
}

/* --- in the head ---------------------------------------------------------- */

static const struct {
	enum hb_token_in in;
	const char *secrets;
	const char *text; /* Authorization, query or path token */
	const char *reason;
	unsigned key;
} head_cases[] = {
	{ HB_TOKEN_NONE, NULL, NULL, "ok", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer " SECRET, "ok", 0 },
	{ HB_TOKEN_BEARER, SECRET, "bearer " SECRET, "ok", 0 },
	{ HB_TOKEN_BEARER, SECRET, "BEARER   " SECRET, "ok", 0 },
	{ HB_TOKEN_BEARER, BOTH, "Bearer " SECRET, "ok", 0 },
	{ HB_TOKEN_BEARER, BOTH, "Bearer " OTHER, "ok", 1 },
	{ HB_TOKEN_BEARER, OTHER "|" OTHER, "Bearer " OTHER, "ok", 0 },
	{ HB_TOKEN_BEARER, SECRET, NULL, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "", "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer", "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, SECRET, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Basic " SECRET, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer:" SECRET, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer\t" SECRET, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearerx " SECRET, "token_missing", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer " OTHER, "token_mismatch", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer " SECRET "0", "token_mismatch", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer 0123456789abcde", "token_mismatch",
	    0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer 0123456789abcdeF",
	    "token_mismatch", 0 },
	{ HB_TOKEN_BEARER, SECRET, "Bearer " SECRET " x", "token_mismatch",
	    0 },
	{ HB_TOKEN_BASIC, BOTH, "Basic " BASIC, "ok", 0 },
	{ HB_TOKEN_BASIC, BOTH, "bASIC  " BASIC, "ok", 0 },
	{ HB_TOKEN_BASIC, BOTH, "Basic " BASIC_OTHER, "ok", 1 },
	{ HB_TOKEN_BASIC, SECRET, "Basic " BASIC_OTHER, "token_mismatch", 0 },
	{ HB_TOKEN_BASIC, SECRET, NULL, "token_missing", 0 },
	{ HB_TOKEN_BASIC, SECRET, "Bearer " SECRET, "token_missing", 0 },
	{ HB_TOKEN_BASIC, SECRET, "Basic " SECRET, "token_mismatch", 0 },
	/* unpadded, left-over bits, padded twice */
	{ HB_TOKEN_BASIC, OTHER,
	    "Basic cmVkdWN0bzpmZWRjYmE5ODc2NTQzMjEwLQ", "token_mismatch", 0 },
	{ HB_TOKEN_BASIC, OTHER,
	    "Basic cmVkdWN0bzpmZWRjYmE5ODc2NTQzMjEwLR==", "token_mismatch",
	    0 },
	{ HB_TOKEN_BASIC, SECRET, "Basic " BASIC "====", "token_mismatch", 0 },
	/* another user; no user */
	{ HB_TOKEN_BASIC, SECRET, "Basic UmVkdWN0bzowMTIzNDU2Nzg5YWJjZGVm",
	    "token_mismatch", 0 },
	{ HB_TOKEN_BASIC, SECRET, "Basic OjAxMjM0NTY3ODlhYmNkZWY=",
	    "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, BOTH, "token=" SECRET, "ok", 0 },
	{ HB_TOKEN_QUERY, BOTH, "token=" OTHER, "ok", 1 },
	{ HB_TOKEN_QUERY, BOTH, "a=b&token=" SECRET "&c", "ok", 0 },
	{ HB_TOKEN_QUERY, BOTH, "&&a&token=" SECRET "&", "ok", 0 },
	{ HB_TOKEN_QUERY, BOTH, "Token=x&token2=y&token=" SECRET, "ok", 0 },
	{ HB_TOKEN_QUERY, BOTH, "%74oke%6E=%30123456789abcde%66", "ok", 0 },
	{ HB_TOKEN_QUERY, "a+b/c=d%e f&ghijk",
	    "token=a+b/c=d%25e%20f%26ghijk", "ok", 0 },
	{ HB_TOKEN_QUERY, "a+b/c=d%e f&ghijk",
	    "token=a%2bb%2Fc%3dd%25e%20f%26ghijk", "ok", 0 },
	{ HB_TOKEN_QUERY, "a+b/c=d%e f&ghijk",
	    "token=a+b/c=d%25e+f%26ghijk", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, NULL, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "", "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token", "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "tok=" SECRET, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "TOKEN=" SECRET, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "xtoken=" SECRET, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "tokenx=" SECRET, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "a;token=" SECRET, "token_missing", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" OTHER, "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET ";a", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=0123456789abcde%6", "token_mismatch",
	    0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "%", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "%zz", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "%00", "token_mismatch", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "&token=" SECRET,
	    "token_repeated", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=x&a=b&token=" SECRET,
	    "token_repeated", 0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "&token", "token_repeated",
	    0 },
	{ HB_TOKEN_QUERY, SECRET, "token=" SECRET "&t%6fken=x",
	    "token_repeated", 0 },
	{ HB_TOKEN_PATH, BOTH, SECRET, "ok", 0 },
	{ HB_TOKEN_PATH, BOTH, OTHER, "ok", 1 },
	{ HB_TOKEN_PATH, BOTH, "%30123456789abcdef", "ok", 0 },
	{ HB_TOKEN_PATH, "a+b/c=d%e f&ghijk", "a+b%2Fc=d%25e%20f&ghijk",
	    "ok", 0 },
	{ HB_TOKEN_PATH, SECRET, NULL, "token_missing", 0 },
	{ HB_TOKEN_PATH, SECRET, "", "token_mismatch", 0 },
	{ HB_TOKEN_PATH, SECRET, "{token}", "token_mismatch", 0 },
	{ HB_TOKEN_PATH, SECRET, SECRET "%", "token_mismatch", 0 },
	{ HB_TOKEN_PATH, SECRET, OTHER, "token_mismatch", 0 },
};

static void
show_token(struct rig *rig, enum hb_token_in in, const char *text)
{
	if (in == HB_TOKEN_QUERY)
		rig->head.query = hb_span_of(text);
	else if (in == HB_TOKEN_PATH)
		rig->path_token = hb_span_of(text);
	else if (text != NULL)
		rig_header(rig, "Authorization", text);
}

/* What stands in the head is judged before the body, which is not touched and
 * need not be JSON. */
static void
test_heads(void **state)
{
	static const char body[] = "{\"metadata\":{\"token\":\"" SECRET "\"},";

	(void)state;
	for (size_t i = 0; i < HB_COUNT(head_cases); i++) {
		const char *reason = head_cases[i].reason, *got;
		struct rig rig;
		struct hb_verify *attempt;

		token_init(&rig, head_cases[i].in, "token",
		    head_cases[i].secrets);
		show_token(&rig, head_cases[i].in, head_cases[i].text);
		got = rig_verify(&rig, body, strlen(body), RIG_PIECES);
		if (strcmp(got, reason) != 0)
			fail_msg("case %zu: %s instead of %s", i, got, reason);
		attempt = rig_begin(&rig);
		assert_int_equal(attempt != NULL, strcmp(got, "ok") == 0);
		if (attempt != NULL) {
			hb_verify_abandon(attempt);
			assert_int_equal(rig.verified.key, head_cases[i].key);
			assert_int_equal(rig.verified.body_len, strlen(body));
			assert_memory_equal(rig.body, body, strlen(body));
			assert_false(hb_span_is_set(rig.verified.webhook_id));
		}
		rig_fini(&rig);
	}
}

/* The parser refuses it before; here it is refused all the same. */
static void
test_two_authorizations(void **state)
{
	struct rig rig;

	(void)state;
	token_init(&rig, HB_TOKEN_BEARER, NULL, SECRET);
	rig_header(&rig, "Authorization", "Bearer " SECRET);
	rig_header(&rig, "authorization", "Bearer " SECRET);
	assert_string_equal(rig_verify(&rig, "", 0, RIG_WHOLE),
	    "token_repeated");
	rig_fini(&rig);
}

/* A place after the match of one request is not the next one's. */
static void
test_key_is_forgotten(void **state)
{
	struct rig rig;

	(void)state;
	token_init(&rig, HB_TOKEN_BEARER, NULL, BOTH);
	rig_header(&rig, "Authorization", "Bearer " OTHER);
	assert_string_equal(rig_verify(&rig, "", 0, RIG_WHOLE), "ok");
	assert_int_equal(rig.verified.key, 1);
	rig.endpoint.token.in = HB_TOKEN_NONE;
	assert_string_equal(rig_verify(&rig, "", 0, RIG_WHOLE), "ok");
	assert_int_equal(rig.verified.key, 0);
	rig_fini(&rig);
}

/* --- in metadata ---------------------------------------------------------- */

#define TOK "\"hook_token\":\"" SECRET "\""

static const struct {
	const char *path;
	const char *body;
	const char *left; /* NULL: refused, for that reason */
	const char *reason;
} metadata_cases[] = {
	/* the places a member can have */
	{ "hook_token", "{\"metadata\":{" TOK "}}", "{\"metadata\":{}}",
	    NULL },
	{ "hook_token", "{\"metadata\":{" TOK ",\"a\":1,\"b\":2}}",
	    "{\"metadata\":{\"a\":1,\"b\":2}}", NULL },
	{ "hook_token", "{\"metadata\":{\"a\":1," TOK ",\"b\":2}}",
	    "{\"metadata\":{\"a\":1,\"b\":2}}", NULL },
	{ "hook_token", "{\"metadata\":{\"a\":1,\"b\":2," TOK "}}",
	    "{\"metadata\":{\"a\":1,\"b\":2}}", NULL },
	{ "hook_token",
	    "{\"job_id\":\"j\",\"metadata\":{" TOK "},\"status\":\"x\"}",
	    "{\"job_id\":\"j\",\"metadata\":{},\"status\":\"x\"}", NULL },
	{ "hook_token", "{\"metadata\":{" TOK "}}\r\n",
	    "{\"metadata\":{}}\r\n", NULL },
	/* white space */
	{ "hook_token", "{\"metadata\": { " TOK " , \"a\":1 } }",
	    "{\"metadata\": { \"a\":1 } }", NULL },
	{ "hook_token", "{\"metadata\": { \"a\":1 , " TOK " } }",
	    "{\"metadata\": { \"a\":1  } }", NULL },
	{ "hook_token", "{\"metadata\": { " TOK " } }",
	    "{\"metadata\": { } }", NULL },
	{ "hook_token",
	    "{\n  \"metadata\": {\n    \"a\": 1,\n    " TOK
	    ",\n    \"b\": 2\n  }\n}\n",
	    "{\n  \"metadata\": {\n    \"a\": 1,\n    \"b\": 2\n  }\n}\n",
	    NULL },
	{ "hook_token",
	    "{\n\t\"metadata\": {\n\t\t\"a\": 1,\n\t\t\"hook_token\"\t:\r\n\""
	    SECRET "\"\n\t}\n}\n",
	    "{\n\t\"metadata\": {\n\t\t\"a\": 1\n\t}\n}\n", NULL },
	/* nothing else changes */
	{ "hook_token",
	    "{\"metadata\":{\"n\":1.50,\"e\":1E400,\"u\":\"\\u0000\\ud800\","
	    TOK ",\"\":{},\"s\":\",}\\\"{\"},\"z\":[1,{\"metadata\":{}}]}",
	    "{\"metadata\":{\"n\":1.50,\"e\":1E400,\"u\":\"\\u0000\\ud800\","
	    "\"\":{},\"s\":\",}\\\"{\"},\"z\":[1,{\"metadata\":{}}]}", NULL },
	/* names and values with escapes */
	{ "hook_token",
	    "{\"metadata\":{\"\\u0068ook_token\":\"" SECRET "\",\"a\":1}}",
	    "{\"metadata\":{\"a\":1}}", NULL },
	{ "hook_token",
	    "{\"\\u006detadata\":{\"a\":1,\"hook_token\":"
	    "\"\\u0030\\u0031\\u0032\\u0033\\u0034\\u0035\\u0036\\u0037"
	    "\\u0038\\u0039\\u0061\\u0062\\u0063\\u0064\\u0065\\u0066\"}}",
	    "{\"\\u006detadata\":{\"a\":1}}", NULL },
	/* deeper, and with a dot in a name */
	{ "auth.hook.token",
	    "{\"metadata\":{\"auth\":{\"x\":0,\"hook\":{\"token\":\"" SECRET
	    "\"},\"y\":0}}}",
	    "{\"metadata\":{\"auth\":{\"x\":0,\"hook\":{},\"y\":0}}}", NULL },
	{ "a\\.b.c",
	    "{\"metadata\":{\"a\":{\"b\":{\"c\":\"x\"}},\"a.b\":{\"c\":\""
	    SECRET "\"}}}",
	    "{\"metadata\":{\"a\":{\"b\":{\"c\":\"x\"}},\"a.b\":{}}}", NULL },
	/* the same name elsewhere is another member */
	{ "hook_token",
	    "{\"hook_token\":\"x\",\"metadata\":{\"a\":{\"hook_token\":\"y\"},"
	    TOK "},\"result\":{\"metadata\":{\"hook_token\":\"z\"}}}",
	    "{\"hook_token\":\"x\",\"metadata\":{\"a\":{\"hook_token\":\"y\"}"
	    "},\"result\":{\"metadata\":{\"hook_token\":\"z\"}}}", NULL },
	/* envelopes, as normalize opens them */
	{ "hook_token",
	    "{\"data\":{\"job_id\":\"j\",\"metadata\":{" TOK
	    ",\"a\":1}},\"v\":1}",
	    "{\"data\":{\"job_id\":\"j\",\"metadata\":{\"a\":1}},\"v\":1}",
	    NULL },
	{ "hook_token",
	    "{\"metadata\":{},\"data\":{\"metadata\":{" TOK
	    "},\"job_id\":null}}",
	    "{\"metadata\":{},\"data\":{\"metadata\":{},\"job_id\":null}}",
	    NULL },
	{ "hook_token",
	    "{\"job_id\":\"j\",\"data\":{\"job_id\":\"i\"},\"data\":1,"
	    "\"metadata\":{" TOK "}}",
	    "{\"job_id\":\"j\",\"data\":{\"job_id\":\"i\"},\"data\":1,"
	    "\"metadata\":{}}", NULL },
	{ "hook_token",
	    "{\"data\":{\"metadata\":{}},\"metadata\":{" TOK "}}",
	    "{\"data\":{\"metadata\":{}},\"metadata\":{}}", NULL },
	{ "hook_token",
	    "{\"data\":{\"job_id\":\"j\"},\"metadata\":{" TOK "}}", NULL,
	    "token_missing" },
	{ "hook_token",
	    "{\"job_id\":\"j\",\"data\":{\"job_id\":\"j\",\"metadata\":{" TOK
	    "}}}", NULL, "token_missing" },
	/* no token */
	{ "hook_token", "{}", NULL, "token_missing" },
	{ "hook_token", "{\"metadata\":null}", NULL, "token_missing" },
	{ "hook_token", "{\"metadata\":\"" SECRET "\"}", NULL,
	    "token_missing" },
	{ "hook_token", "{\"metadata\":[{" TOK "}]}", NULL, "token_missing" },
	{ "hook_token", "{\"metadata\":{}}", NULL, "token_missing" },
	{ "hook_token", "{\"metadata\":{\"Hook_token\":\"" SECRET "\"}}",
	    NULL, "token_missing" },
	{ "hook_token", "{" TOK "}", NULL, "token_missing" },
	{ "a.b", "{\"metadata\":{\"a.b\":\"" SECRET "\"}}", NULL,
	    "token_missing" },
	{ "a.b", "{\"metadata\":{\"a\":\"" SECRET "\"}}", NULL,
	    "token_missing" },
	{ "hook_token", "[{\"metadata\":{" TOK "}}]", NULL, "token_missing" },
	{ "hook_token", "\"" SECRET "\"", NULL, "token_missing" },
	/* a wrong one */
	{ "hook_token", "{\"metadata\":{\"hook_token\":\"\"}}", NULL,
	    "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":\"" SECRET "0\"}}",
	    NULL, "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":\"0123456789abcdeF\"}}",
	    NULL, "token_mismatch" },
	{ "hook_token",
	    "{\"metadata\":{\"hook_token\":\"" SECRET "\\u0000\"}}", NULL,
	    "token_mismatch" },
	{ "hook_token",
	    "{\"metadata\":{\"hook_token\":\"" SECRET "\\ud800\"}}", NULL,
	    "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":123456789}}", NULL,
	    "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":null}}", NULL,
	    "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":[\"" SECRET "\"]}}",
	    NULL, "token_mismatch" },
	{ "hook_token", "{\"metadata\":{\"hook_token\":{\"a\":1}}}", NULL,
	    "token_mismatch" },
	/* two of them, here or on the way here */
	{ "hook_token", "{\"metadata\":{" TOK "," TOK "}}", NULL,
	    "token_repeated" },
	{ "hook_token",
	    "{\"metadata\":{" TOK ",\"\\u0068ook_token\":null}}", NULL,
	    "token_repeated" },
	{ "hook_token", "{\"metadata\":{" TOK "},\"metadata\":{}}", NULL,
	    "token_repeated" },
	{ "hook_token", "{\"metadata\":1,\"\\u006detadata\":{" TOK "}}", NULL,
	    "token_repeated" },
	{ "a.b",
	    "{\"metadata\":{\"a\":{\"b\":\"" SECRET "\"},\"a\":null}}", NULL,
	    "token_repeated" },
	{ "a.b",
	    "{\"metadata\":{\"a\":null,\"\\u0061\":{\"b\":\"" SECRET "\"}}}",
	    NULL, "token_repeated" },
	{ "hook_token",
	    "{\"data\":{\"job_id\":\"j\",\"metadata\":{" TOK
	    "},\"metadata\":{}}}", NULL, "token_repeated" },
	{ "hook_token",
	    "{\"data\":{\"job_id\":\"j\",\"metadata\":{" TOK
	    "}},\"data\":{}}", NULL, "token_repeated" },
	{ "hook_token",
	    "{\"data\":1,\"data\":{\"job_id\":\"j\"},\"metadata\":{" TOK
	    "}}", NULL, "token_repeated" },
	/* no JSON */
	{ "hook_token", "", NULL, "unparsable" },
	{ "hook_token", "token=" SECRET, NULL, "unparsable" },
	{ "hook_token", "{\"metadata\":{" TOK "}", NULL, "unparsable" },
	{ "hook_token", "{\"metadata\":{" TOK "}} x", NULL, "unparsable" },
	{ "hook_token", "{\"metadata\":{" TOK ",}}", NULL, "unparsable" },
	{ "hook_token", "{\"metadata\":{" TOK "},\"x\":\"\xff\"}", NULL,
	    "unparsable" },
	{ "hook_token", "\xef\xbb\xbf{\"metadata\":{" TOK "}}", NULL,
	    "unparsable" },
};

/* The bytes left, and nothing behind them: the body's memory outlives this. */
static void
check_left(const struct rig *rig, const char *body, const char *left)
{
	size_t len = strlen(left);

	assert_int_equal(rig->verified.body_len, len);
	assert_memory_equal(rig->body, left, len);
	for (size_t i = len; i < strlen(body); i++)
		assert_int_equal(rig->body[i], 0);
}

static void
test_metadata(void **state)
{
	(void)state;
	for (size_t i = 0; i < HB_COUNT(metadata_cases); i++) {
		const char *body = metadata_cases[i].body, *got;
		const char *left = metadata_cases[i].left;
		const char *reason =
		    left != NULL ? "ok" : metadata_cases[i].reason;
		struct rig rig;

		token_init(&rig, HB_TOKEN_METADATA, metadata_cases[i].path,
		    BOTH);
		got = rig_verify(&rig, body, strlen(body), RIG_PIECES);
		if (strcmp(got, reason) != 0)
			fail_msg("case %zu: %s instead of %s", i, got, reason);
		if (left != NULL)
			check_left(&rig, body, left);
		else if (body[0] != '\0')
			assert_memory_equal(rig.body, body, strlen(body));
		rig_fini(&rig);
	}
}

/* The second secret, escapes where UTF-8 has several bytes, quotes. */
static void
test_metadata_secrets(void **state)
{
	static const struct {
		const char *value;
		unsigned key;
	} cases[] = {
		{ "0123456789 \\\"\\\\\\/", 0 },
		{ "0123456789 \\u0022\\u005C/", 0 },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 0123456789", 1 },
		{ "\\u00e4\\u20ac\\ud83d\\ude00 0123456789", 1 },
		{ "\\u00e4\xe2\x82\xac\\uD83D\\uDE00\\u0020012345678\\u0039",
		    1 },
	};

	(void)state;
	for (size_t i = 0; i < HB_COUNT(cases); i++) {
		char body[256];
		struct rig rig;

		token_init(&rig, HB_TOKEN_METADATA, "t",
		    "0123456789 \"\\/|"
		    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 0123456789");
		snprintf(body, sizeof(body),
		    "{\"metadata\":{\"t\":\"%s\",\"a\":1}}", cases[i].value);
		assert_string_equal(
		    rig_verify(&rig, body, strlen(body), RIG_WHOLE), "ok");
		assert_int_equal(rig.verified.key, cases[i].key);
		check_left(&rig, body, "{\"metadata\":{\"a\":1}}");
		rig_fini(&rig);
	}
}

/* A number is no string, not even one that reads like the secret, with or
 * without a character at each end. */
static void
test_metadata_number(void **state)
{
	static const char *const bodies[] = {
		"{\"metadata\":{\"t\":1234567890123456}}",
		"{\"metadata\":{\"t\":912345678901234569}}",
	};
	struct rig rig;

	(void)state;
	token_init(&rig, HB_TOKEN_METADATA, "t", "1234567890123456");
	for (size_t i = 0; i < HB_COUNT(bodies); i++)
		assert_string_equal(rig_verify(&rig, bodies[i],
		    strlen(bodies[i]), RIG_WHOLE), "token_mismatch");
	rig_fini(&rig);
}

/* The longest spelling of the longest secret still matches; a megabyte of
 * value does not. */
static void
test_metadata_long(void **state)
{
	static const char spelled[] =
	    "{\"metadata\":{\"t\":\"\\u0030\\u0031\\u0032\\u0033\\u0034\\u0035"
	    "\\u0036\\u0037\\u0038\\u0039\\u0061\\u0062\\u0063\\u0064\\u0065"
	    "\\u0066\"}}";
	static const char head[] = "{\"metadata\":{\"t\":\"\\n";
	static const char tail[] = "\"}}";
	const size_t fill = 1 << 20, len = strlen(head) + fill + strlen(tail);
	char *body = hb_xmalloc(len);
	struct rig rig;

	(void)state;
	token_init(&rig, HB_TOKEN_METADATA, "t", SECRET);
	assert_string_equal(
	    rig_verify(&rig, spelled, strlen(spelled), RIG_WHOLE), "ok");
	check_left(&rig, spelled, "{\"metadata\":{}}");
	memcpy(body, head, strlen(head));
	memset(body + strlen(head), 'x', fill);
	memcpy(body + strlen(head) + fill, tail, strlen(tail));
	assert_string_equal(rig_verify(&rig, body, len, RIG_WHOLE),
	    "token_mismatch");
	rig_fini(&rig);
	free(body);
}

/* --- bodies of every shape ------------------------------------------------ */

#define MEMBERS 4

static const char *const spaces[] = { "", " ", "\n", "\r\n\t\t  " };

/* An object of count members, the token at place; all structure is followed
 * by white space. */
static void
make_body(char *out, size_t size, size_t count, size_t place,
    const char *space)
{
	static const char *const values[MEMBERS] = { "1.50", "\", }\"", "{}",
		"[1, 2]" };
	FILE *file = fmemopen(out, size, "w");

	assert_non_null(file);
	fprintf(file, "%s{%s\"metadata\"%s:%s{%s", space, space, space, space,
	    space);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			fprintf(file, ",%s", space);
		if (i == place)
			fprintf(file, "\"hook_token\"%s:%s\"" SECRET "\"%s",
			    space, space, space);
		else
			fprintf(file, "\"%c\"%s:%s%s%s", (char)('a' + i),
			    space, space, values[i], space);
	}
	fprintf(file, "}%s,%s\"status\":\"x\"}%s", space, space, space);
	assert_int_equal(fclose(file), 0);
}

static void
check_body(const char *body)
{
	json_t *wanted = json_loads(body, JSON_REJECT_DUPLICATES, NULL), *left;
	struct rig rig;

	assert_non_null(wanted);
	assert_int_equal(json_object_del(json_object_get(wanted, "metadata"),
	    "hook_token"), 0);
	token_init(&rig, HB_TOKEN_METADATA, "hook_token", BOTH);
	assert_string_equal(rig_verify(&rig, body, strlen(body), RIG_WHOLE),
	    "ok");
	left = json_loadb(rig.body, rig.verified.body_len,
	    JSON_REJECT_DUPLICATES, NULL);
	if (left == NULL || !json_equal(left, wanted))
		fail_msg("%s became %.*s", body, (int)rig.verified.body_len,
		    rig.body);
	json_decref(left);
	json_decref(wanted);
	rig_fini(&rig);
}

static void
test_every_shape(void **state)
{
	size_t bodies = 0;

	(void)state;
	for (size_t count = 1; count <= MEMBERS; count++)
		for (size_t place = 0; place < count; place++)
			for (size_t i = 0; i < HB_COUNT(spaces); i++) {
				char body[512];

				make_body(body, sizeof(body), count, place,
				    spaces[i]);
				check_body(body);
				bodies++;
			}
	assert_int_equal(bodies, 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_two_authorizations),
		cmocka_unit_test(test_key_is_forgotten),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_metadata_secrets),
		cmocka_unit_test(test_metadata_number),
		cmocka_unit_test(test_metadata_long),
		cmocka_unit_test(test_every_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
