/* SPDX-License-Identifier: Apache-2.0 */
/* status_text.c - the daemon's status as people read it
 *
 *   hookbridge 0.1.0 is ready
 *   process 4711, up 3 d 4 h, /etc/hookbridge/hookbridge.yaml
 *
 *   EVENTS         A SECOND  SINCE START
 *   confirmed         120.5        12345
 *
 *   SINK  DESTINATION       STATE  UNDER WAY  WAIT  SIZE  OLDEST
 *   main  reducto.invoices  up             2     0   0 B  -
 *
 *   ON DISK       STATE  RECORDS     SIZE     FILES    LIMIT  OLDEST
 *   deliveries    ok           0      0 B  64.0 MiB  8.0 GiB  -
 *
 * and at the end, in sentences, whatever is not as it should be. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ctl.h"
#include "hookbridge/mem.h"
#include "json_doc.h"
#include "status.h"
#include "table.h"
#include "units.h"

#define GREEN "32"
#define YELLOW "33"
#define RED "31"
#define MARK_COLUMNS 2

struct page {
	const json_t *doc;
	int64_t now_ms;
};

static const char *
colour_of(struct hb_span word)
{
	if (hb_span_eq(word, HB_SPAN("up")) || hb_span_eq(word, HB_SPAN("ok")))
		return GREEN;
	if (hb_span_eq(word, HB_SPAN("slow")))
		return YELLOW;
	return RED;
}

static void
put_word(struct hb_table *table, struct hb_span word)
{
	hb_table_put(table, word);
	hb_table_paint(table, colour_of(word));
}

static void
put_count(struct hb_table *table, const json_t *doc, const char *name)
{
	hb_table_printf(table, "%" PRIu64, hb_json_doc_count(doc, name));
}

static void
put_bytes(struct hb_table *table, const json_t *doc, const char *name)
{
	char text[HB_UNITS_SIZE];

	hb_table_printf(table, "%s",
	    hb_units_bytes(hb_json_doc_count(doc, name), text));
}

static void
put_age(struct hb_table *table, const struct page *page, const json_t *doc)
{
	char text[HB_UNITS_SIZE];

	hb_table_printf(table, "%s",
	    hb_units_ago((int64_t)hb_json_doc_count(doc, "oldest_ms"),
		page->now_ms, text));
}

/* --- the daemon ----------------------------------------------------------- */

static void
print_daemon(const struct page *page)
{
	bool ready = json_is_true(json_object_get(page->doc, "ready"));
	bool coloured = hb_ctl_has_colour(stdout);
	char up[HB_UNITS_SIZE];

	fputs("hookbridge ", stdout);
	hb_ctl_put(stdout, hb_json_doc_string(page->doc, "version"));
	printf(" is %s%s%s\n", !coloured ? "" : ready ? "\033[" GREEN "m"
						      : "\033[" RED "m",
	    ready ? "ready" : "not ready", coloured ? "\033[0m" : "");
	printf("process %" PRIu64 ", up %s, ",
	    hb_json_doc_count(page->doc, "pid"),
	    hb_units_span((int64_t)hb_json_doc_count(page->doc, "uptime_s") *
		    1000, up));
	hb_ctl_put(stdout, hb_json_doc_string(page->doc, "config"));
	putchar('\n');
}

/* --- events --------------------------------------------------------------- */

static void
put_event(struct hb_table *table, const struct page *page, const char *member,
    const char *title)
{
	const json_t *rates = json_object_get(page->doc, "rates");
	const json_t *events = json_object_get(page->doc, "events");

	hb_table_put(table, hb_span_of(title));
	hb_table_printf(table, "%.1f",
	    json_number_value(json_object_get(rates, member)));
	if (json_object_get(events, member) != NULL)
		put_count(table, events, member);
	else
		hb_table_put(table, HB_SPAN_NONE);
}

static void
print_events(const struct page *page)
{
	static const struct hb_table_column columns[] = {
		{ "EVENTS", false, false },
		{ "A SECOND", true, false },
		{ "SINCE START", true, false },
		{ NULL, false, false },
	};
	static const char *const rows[][2] = { { "confirmed", "confirmed" },
		{ "spooled", "spooled" }, { "dead_lettered", "dead-lettered" },
		{ "duplicate", "duplicate" }, { "replayed", "replayed" } };
	const json_t *memory = json_object_get(page->doc, "memory");
	struct hb_table *table = hb_table_new(columns);
	char used[HB_UNITS_SIZE], limit[HB_UNITS_SIZE];

	putchar('\n');
	for (size_t i = 0; i < HB_COUNT(rows); i++)
		put_event(table, page, rows[i][0], rows[i][1]);
	hb_table_print(table, stdout);
	hb_table_free(table);
	printf("%" PRIu64 " under way; memory %s of %s\n",
	    hb_json_doc_count(json_object_get(page->doc, "events"),
		"in_flight"),
	    hb_units_bytes(hb_json_doc_count(memory, "used"), used),
	    hb_units_bytes(hb_json_doc_count(memory, "limit"), limit));
}

/* --- sinks ---------------------------------------------------------------- */

/* A destination is not better off than its sink. */
static struct hb_span
state_of(const json_t *sink, const json_t *dest)
{
	struct hb_span of_sink = hb_json_doc_string(sink, "health");

	return hb_span_eq(of_sink, HB_SPAN("down"))
	    ? of_sink : hb_json_doc_string(dest, "health");
}

static void
put_dest(struct hb_table *table, const struct page *page, const json_t *sink,
    const json_t *dest)
{
	struct hb_span name = hb_json_doc_string(dest, "name");

	hb_table_put(table, hb_json_doc_string(sink, "name"));
	hb_table_put(table, name.len > 0 ? name : HB_SPAN_NONE);
	put_word(table, state_of(sink, dest));
	put_count(table, dest, "pending");
	put_count(table, dest, "spooled");
	put_bytes(table, dest, "bytes");
	put_age(table, page, dest);
}

static void
print_sinks(const struct page *page)
{
	static const struct hb_table_column columns[] = {
		{ "SINK", false, true },
		{ "DESTINATION", false, true },
		{ "STATE", false, false },
		{ "UNDER WAY", true, false },
		{ "WAITING", true, false },
		{ "SIZE", true, false },
		{ "OLDEST", true, false },
		{ NULL, false, false },
	};
	struct hb_table *table = hb_table_new(columns);
	json_t *sink, *dest;
	size_t i, j;

	putchar('\n');
	json_array_foreach(json_object_get(page->doc, "sinks"), i, sink)
		json_array_foreach(json_object_get(sink, "destinations"), j,
		    dest)
			put_dest(table, page, sink, dest);
	hb_table_print(table, stdout);
	hb_table_free(table);
}

/* --- on disk -------------------------------------------------------------- */

static void
put_spool(struct hb_table *table, const struct page *page, const char *member,
    const char *title)
{
	const json_t *spool = json_object_get(page->doc, member);

	if (!json_is_object(spool))
		return;
	hb_table_put(table, hb_span_of(title));
	put_word(table, hb_json_doc_string(spool, "state"));
	put_count(table, spool, "records");
	put_bytes(table, spool, "bytes");
	put_bytes(table, spool, "disk_bytes");
	put_bytes(table, spool, "max_size");
	put_age(table, page, spool);
}

static void
put_claims(struct hb_table *table, const struct page *page)
{
	const json_t *claims = json_object_get(page->doc, "claims");

	if (!json_is_object(claims))
		return;
	hb_table_put(table, HB_SPAN("claims"));
	hb_table_put(table, HB_SPAN_NONE);
	put_count(table, claims, "count");
	put_bytes(table, claims, "bytes");
	hb_table_put(table, HB_SPAN_NONE);
	put_bytes(table, claims, "max_size");
	hb_table_put(table, HB_SPAN_NONE);
}

static void
print_disk(const struct page *page)
{
	static const struct hb_table_column columns[] = {
		{ "ON DISK", false, false },
		{ "STATE", false, false },
		{ "RECORDS", true, false },
		{ "SIZE", true, false },
		{ "FILES", true, false },
		{ "LIMIT", true, false },
		{ "OLDEST", true, false },
		{ NULL, false, false },
	};
	struct hb_table *table = hb_table_new(columns);

	put_spool(table, page, "spool", "deliveries");
	put_spool(table, page, "dead", "dead letters");
	put_claims(table, page);
	putchar('\n');
	if (json_is_object(json_object_get(page->doc, "spool")) ||
	    json_is_object(json_object_get(page->doc, "claims")))
		hb_table_print(table, stdout);
	if (!json_is_object(json_object_get(page->doc, "spool")))
		puts("No event is kept on disk: there is no spool.directory.");
	hb_table_free(table);
}

static void
print_reasons(const struct page *page)
{
	const json_t *dead = json_object_get(page->doc, "dead");
	const char *before = "dead letters by reason: ";
	json_t *reason;
	size_t i;

	json_array_foreach(json_object_get(dead, "reasons"), i, reason) {
		fputs(before, stdout);
		hb_ctl_put(stdout, hb_json_doc_string(reason, "reason"));
		printf(" %" PRIu64, hb_json_doc_count(reason, "records"));
		before = ", ";
	}
	if (json_array_size(json_object_get(dead, "reasons")) > 0)
		putchar('\n');
}

static void
print_dedup(const struct page *page)
{
	const json_t *dedup = json_object_get(page->doc, "dedup");
	char bytes[HB_UNITS_SIZE];

	printf("%" PRIu64 " of %" PRIu64 " ids remembered, %s, %s\n",
	    hb_json_doc_count(dedup, "entries"),
	    hb_json_doc_count(dedup, "max_entries"),
	    hb_units_bytes(hb_json_doc_count(dedup, "bytes"), bytes),
	    json_is_true(json_object_get(dedup, "lasts"))
		? "also over a restart"
		: "until the daemon stops");
}

/* --- what is wrong -------------------------------------------------------- */

/* What was found so far: then there was an empty line. */
struct faults {
	bool any;
};

static void tell(struct faults *faults, const char *fmt, ...) HB_PRINTF(2, 3);

/* A sentence behind a mark; not escaped yet. */
static void
tell(struct faults *faults, const char *fmt, ...)
{
	bool coloured = hb_ctl_has_colour(stdout);
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		hb_bug("no memory for a sentence");
	va_end(ap);
	if (!faults->any)
		putchar('\n');
	faults->any = true;
	printf("%s!%s ", coloured ? "\033[" RED "m" : "",
	    coloured ? "\033[0m" : "");
	hb_ctl_put_words(text, MARK_COLUMNS);
	free(text);
}

static void
tell_checks(const struct page *page, struct faults *faults)
{
	json_t *check;
	size_t i;

	json_array_foreach(json_object_get(page->doc, "checks"), i, check)
		if (!json_is_true(json_object_get(check, "ok")))
			tell(faults, "%.*s: %.*s",
			    HB_SPAN_ARG(hb_json_doc_string(check, "name")),
			    HB_SPAN_ARG(hb_json_doc_string(check, "detail")));
}

/* What a destination has that its sink does not explain. */
static void
tell_dest(const json_t *sink, const json_t *dest, struct faults *faults)
{
	struct hb_span why = hb_json_doc_string(dest, "why");

	if (hb_span_is_set(why) &&
	    !hb_span_eq(why, hb_json_doc_string(sink, "why")))
		tell(faults, "%.*s:%.*s: %.*s",
		    HB_SPAN_ARG(hb_json_doc_string(sink, "name")),
		    HB_SPAN_ARG(hb_json_doc_string(dest, "name")),
		    HB_SPAN_ARG(why));
}

static void
tell_sinks(const struct page *page, struct faults *faults)
{
	json_t *sink, *dest;
	size_t i, j;

	json_array_foreach(json_object_get(page->doc, "sinks"), i, sink)
		json_array_foreach(json_object_get(sink, "destinations"), j,
		    dest)
			tell_dest(sink, dest, faults);
}

static void
tell_spool(const struct page *page, struct faults *faults)
{
	static const struct {
		const char *member, *says;
	} cases[] = {
		{ "orphaned", "waiting deliveries belong to a destination that "
			      "is not configured: see spool list, spool "
			      "reroute" },
		{ "quarantined", "files were set aside, for they could not be "
				 "read: see spool verify" },
		{ "lost", "deliveries could not be read from the disk: see "
			  "spool verify" },
	};
	const json_t *spool = json_object_get(page->doc, "spool");
	const json_t *dedup = json_object_get(page->doc, "dedup");

	for (size_t i = 0; i < HB_COUNT(cases); i++)
		if (hb_json_doc_count(spool, cases[i].member) > 0)
			tell(faults, "%" PRIu64 " %s",
			    hb_json_doc_count(spool, cases[i].member),
			    cases[i].says);
	if (json_is_true(json_object_get(dedup, "broken")))
		tell(faults, "the ids that are remembered cannot be written to "
		    "the disk");
}

void
hb_status_print(const json_t *doc, int64_t now_ms)
{
	const struct page page = { doc, now_ms };
	struct faults faults = { false };

	print_daemon(&page);
	print_events(&page);
	print_sinks(&page);
	print_disk(&page);
	print_reasons(&page);
	print_dedup(&page);
	tell_checks(&page, &faults);
	tell_sinks(&page, &faults);
	tell_spool(&page, &faults);
}
