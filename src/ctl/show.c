/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - "dead show" and "spool show": what there is of a record, then its
 * payload
 *
 * For people the payload is escaped and cut. --body writes it as it is, byte
 * for byte, but never to a terminal, which would obey it. */
#include "show.h"

#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "hookbridge/clock.h"
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "units.h"

#define SHOWN_MAX ((size_t)4096)
#define ID_MAX 18

enum form { TEXT, TIME_MS, TIME_S, SIZE, FLAG };

static const struct field {
	const char *member, *title;
	enum form form;
} fields[] = {
	{ "id", "number", TEXT },
	{ "reason", "reason", TEXT },
	{ "sink", "sink", TEXT },
	{ "type", "type", TEXT },
	{ "destination", "destination", TEXT },
	{ "endpoint", "endpoint", TEXT },
	{ "event_id", "event", TEXT },
	{ "job_id", "job", TEXT },
	{ "webhook_id", "webhook", TEXT },
	{ "webhook_timestamp", "signed", TIME_S },
	{ "received_ms", "received", TIME_MS },
	{ "kept_ms", "kept", TIME_MS },
	{ "held", "at its sink", FLAG },
	{ "key", "key", TEXT },
	{ "size", "size", SIZE },
};

bool
hb_show_is_id(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= ID_MAX && strspn(text, "0123456789") == len;
}

/* --- the payload ---------------------------------------------------------- */

/* A member in base64; for free(). */
static struct hb_span
decode(struct hb_span text)
{
	size_t size = text.len / 4 * 3 + 3;
	uint8_t *data = hb_xmalloc(size);
	long len = hb_base64_decode(text, data, size);

	if (len >= 0)
		return hb_span_make((char *)data, (size_t)len);
	free(data);
	return HB_SPAN_NONE;
}

/* A copy, for free(); absent when there is none. */
static struct hb_span
payload_of(const json_t *doc)
{
	static const char *const names[] = { "body", "value" };

	for (size_t i = 0; i < HB_COUNT(names); i++) {
		char base64[32];
		struct hb_span text = hb_json_doc_string(doc, names[i]);

		if (hb_span_is_set(text))
			return hb_span_make(hb_xstrndup(text), text.len);
		snprintf(base64, sizeof(base64), "%s_base64", names[i]);
		text = hb_json_doc_string(doc, base64);
		if (hb_span_is_set(text))
			return decode(text);
	}
	return HB_SPAN_NONE;
}

static int
write_payload(struct hb_span payload)
{
	if (!hb_span_is_set(payload))
		return hb_ctl_fail(EX_UNAVAILABLE, "the daemon has sent no "
		    "payload");
	fwrite(payload.ptr, 1, payload.len, stdout);
	return hb_ctl_finish(EX_OK);
}

/* Line by line, each escaped. */
static void
print_payload(struct hb_span payload)
{
	struct hb_span rest = payload;

	if (rest.len > SHOWN_MAX)
		rest.len = SHOWN_MAX;
	puts("\npayload");
	while (rest.len > 0) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

		fputs("    ", stdout);
		hb_ctl_put(stdout, hb_span_make(rest.ptr, len));
		putchar('\n');
		rest = hb_span_skip(rest, end != NULL ? len + 1 : len);
	}
	if (payload.len > SHOWN_MAX)
		printf("    ... and %zu bytes more; --body writes all of it\n",
		    payload.len - SHOWN_MAX);
}

/* --- what else there is --------------------------------------------------- */

static void
print_time(int64_t ms)
{
	char iso[HB_TIME_ISO_SIZE], ago[HB_UNITS_SIZE];

	hb_clock_iso(ms, iso);
	printf("%s  (%s)", iso, hb_units_ago(ms, hb_clock_wall_ms(), ago));
}

static void
print_value(const json_t *value, enum form form)
{
	json_int_t number = json_integer_value(value);
	char size[HB_UNITS_SIZE];

	switch (form) {
	case TIME_MS:
		print_time(number);
		break;
	case TIME_S:
		print_time(number * 1000);
		break;
	case SIZE:
		printf("%s", hb_units_bytes((uint64_t)number, size));
		break;
	case FLAG:
		fputs(json_is_true(value) ? "yes" : "no", stdout);
		break;
	case TEXT:
		if (json_is_integer(value))
			printf("%" JSON_INTEGER_FORMAT, number);
		else
			hb_ctl_put(stdout,
			    hb_span_make(json_string_value(value),
				json_string_length(value)));
		break;
	}
}

static void
print_headers(json_t *headers)
{
	const char *name;
	json_t *value;

	if (json_object_size(headers) == 0)
		return;
	puts("\nheaders");
	json_object_foreach(headers, name, value) {
		fputs("    ", stdout);
		hb_ctl_put(stdout, hb_span_of(name));
		fputs(": ", stdout);
		hb_ctl_put(stdout, hb_span_make(json_string_value(value),
		    json_string_length(value)));
		putchar('\n');
	}
}

static int
print_record(const json_t *doc, struct hb_span payload)
{
	for (size_t i = 0; i < HB_COUNT(fields); i++) {
		const json_t *value = json_object_get(doc, fields[i].member);

		if (value == NULL || json_is_null(value))
			continue;
		printf("%-12s  ", fields[i].title);
		print_value(value, fields[i].form);
		putchar('\n');
	}
	print_headers(json_object_get(doc, "headers"));
	if (hb_span_is_set(payload))
		print_payload(payload);
	return hb_ctl_finish(EX_OK);
}

/* --- the command ---------------------------------------------------------- */

static int
show(const struct hb_ctl *ctl, const json_t *doc, bool body)
{
	struct hb_span payload;
	int status;

	if (ctl->json) {
		hb_json_doc_put(doc);
		return hb_ctl_finish(EX_OK);
	}
	payload = payload_of(doc);
	status = body ? write_payload(payload) : print_record(doc, payload);
	free((char *)payload.ptr);
	return status;
}

static int
run(const struct hb_ctl *ctl, const char *path, const char *id, bool body)
{
	struct hb_client *client;
	int status = EX_OK;
	json_t *doc;
	char *whole;

	client = hb_client_open(ctl, &status);
	if (client == NULL)
		return status;
	if (asprintf(&whole, "%s%s", path, id) < 0)
		hb_bug("no memory for a path");
	doc = hb_client_get(client, whole, &status);
	if (doc != NULL)
		status = show(ctl, doc, body);
	json_decref(doc);
	free(whole);
	hb_client_close(client);
	return status;
}

int
hb_show_run(struct hb_ctl *ctl, int argc, char **argv, const char *path)
{
	enum { OPT_BODY = HB_CTL_OPT_OWN };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "body", no_argument, NULL, OPT_BODY },
		{ NULL, 0, NULL, 0 },
	};
	bool body = false;
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == '?')
			return EX_USAGE;
		body = true;
	}
	if (argc - optind != 1 || !hb_show_is_id(argv[optind]))
		return hb_ctl_usage(ctl, "expected one number of the list");
	if (body && ctl->json)
		return hb_ctl_usage(ctl, "--body and --json: take one of them");
	if (body && isatty(STDOUT_FILENO))
		return hb_ctl_usage(ctl, "a terminal would obey what is in a "
		    "payload; redirect it to a file or a pipe");
	return run(ctl, path, argv[optind], body);
}
