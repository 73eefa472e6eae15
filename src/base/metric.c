/* SPDX-License-Identifier: Apache-2.0 */
/* metric.c - one table of families, a list of series for each
 *
 * A series never moves and never goes away, so pointers to it may be kept and
 * its values need no lock. The lock guards the lists only. Histograms keep one
 * count for each bucket; they are summed up when they are written. */
#include "hookbridge/metric.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "hookbridge/error.h"
#include "hookbridge/mem.h"

#define LABELS_MAX 4

enum type { COUNTER, GAUGE, HISTOGRAM };

struct family {
	const char *name, *help;
	enum type type;
	const char *labels[LABELS_MAX];
};

static const struct family families[HB_M_FAMILY_COUNT] = {
    [HB_M_BUILD_INFO] = {"build_info", "Versions in use; always 1", GAUGE,
	{"version", "libevent", "librdkafka", "openssl"}},
    [HB_M_START_TIME] = {"start_time_seconds",
	"When the daemon started, Unix time", GAUGE, {NULL}},
    [HB_M_HTTP_CONNECTIONS] = {"http_connections", "Open connections", GAUGE,
	{"listener"}},
    [HB_M_HTTP_CONNECTIONS_TOTAL] = {"http_connections_total",
	"Accepted connections", COUNTER, {"listener"}},
    [HB_M_HTTP_CONNECTIONS_REFUSED] = {"http_connections_refused_total",
	"Connections closed at once, by limit", COUNTER,
	{"listener", "reason"}},
    [HB_M_HTTP_REQUESTS] = {"http_requests_total",
	"Requests by answer; 499: the peer left first", COUNTER,
	{"endpoint", "code"}},
    [HB_M_HTTP_REQUEST_DURATION] = {"http_request_duration_seconds",
	"From the last body byte to the answer", HISTOGRAM, {"endpoint"}},
    [HB_M_HTTP_REQUEST_BYTES] = {"http_request_bytes_total",
	"Bytes of requests, heads included", COUNTER, {"endpoint"}},
    [HB_M_HTTP_MALFORMED] = {"http_malformed_total",
	"Requests that are not valid HTTP", COUNTER, {"reason"}},
    [HB_M_VERIFY_FAILURES] = {"verify_failures_total",
	"Requests that failed verification", COUNTER, {"endpoint", "reason"}},
    [HB_M_VERIFY_SUCCESS] = {"verify_success_total",
	"Verified requests, by the key's place in the list", COUNTER,
	{"endpoint", "key"}},
    [HB_M_EVENTS] = {"events_total", "Events answered with 2xx", COUNTER,
	{"endpoint", "status", "outcome"}},
    [HB_M_EVENTS_IN_FLIGHT] = {"events_in_flight",
	"Events with deliveries under way", GAUGE, {NULL}},
    [HB_M_MEMORY_BUDGET] = {"memory_budget_bytes", "The byte budget", GAUGE,
	{NULL}},
    [HB_M_MEMORY_USED] = {"memory_used_bytes", "Bytes held of the budget",
	GAUGE, {NULL}},
    [HB_M_DELIVERIES] = {"deliveries_total", "Deliveries by their end", COUNTER,
	{"sink", "destination", "outcome"}},
    [HB_M_DELIVERY_DURATION] = {"delivery_duration_seconds",
	"From sending to the broker's answer", HISTOGRAM, {"sink"}},
    [HB_M_DELIVERIES_PENDING] = {"deliveries_pending", "Deliveries under way",
	GAUGE, {"sink", "destination"}},
    [HB_M_KEYS_REPLACED] = {"keys_replaced_total",
	"Deliveries with the job_id in place of a key without usable value",
	COUNTER, {"sink", "destination"}},
    [HB_M_HEADERS_LEFT_OUT] = {"headers_left_out_total",
	"Configured headers without usable value", COUNTER,
	{"sink", "destination"}},
    [HB_M_DESTINATION_UP] = {"destination_up",
	"Whether the destination takes events", GAUGE, {"sink", "destination"}},
    [HB_M_SINK_UP] = {"sink_up", "Whether the sink is connected", GAUGE,
	{"sink"}},
    [HB_M_SINK_RECONNECTS] = {"sink_reconnects_total", "Connections made anew",
	COUNTER, {"sink"}},
    [HB_M_SINK_ERRORS] = {"sink_errors_total", "Errors by class", COUNTER,
	{"sink", "class"}},
    [HB_M_DEAD_LETTERS] = {"dead_letters_total",
	"Events or deliveries set aside, by reason", COUNTER, {"reason"}},
    [HB_M_DEAD_LETTERS_KEPT] = {"dead_letters", "Dead letters on disk", GAUGE,
	{"reason"}},
    [HB_M_DEAD_LETTER_BYTES] = {"dead_letter_bytes",
	"Bytes of dead letters on disk", GAUGE, {"reason"}},
    [HB_M_SPOOL_RECORDS] = {"spool_records",
	"Deliveries on disk, not settled", GAUGE, {"sink"}},
    [HB_M_SPOOL_BYTES] = {"spool_bytes", "Their bytes", GAUGE, {"sink"}},
    [HB_M_SPOOL_CAPACITY] = {"spool_capacity_bytes",
	"Most bytes that a sink's deliveries may hold", GAUGE, {"sink"}},
    [HB_M_SPOOL_OLDEST] = {"spool_oldest_seconds",
	"Age of the sink's oldest delivery on disk; 0: none", GAUGE,
	{"sink"}},
    [HB_M_SPOOL_APPENDS] = {"spool_appends_total",
	"Records synced to disk", COUNTER, {NULL}},
    [HB_M_SPOOL_REPLAYED] = {"spool_replayed_total",
	"Deliveries from disk that were confirmed", COUNTER, {"sink"}},
    [HB_M_SPOOL_SYNC_DURATION] = {"spool_sync_duration_seconds",
	"Writing and syncing one group of records", HISTOGRAM, {NULL}},
    [HB_M_SPOOL_ERRORS] = {"spool_errors_total",
	"Writes, syncs and other file operations that failed", COUNTER,
	{NULL}},
    [HB_M_SPOOL_ORPHANED] = {"spool_orphaned_records",
	"Deliveries on disk whose destination is no longer configured", GAUGE,
	{NULL}},
    [HB_M_SPOOL_QUARANTINED] = {"spool_quarantined_segments",
	"Damaged files that were set aside", GAUGE, {NULL}},
    [HB_M_CLAIMS] = {"claims", "Bodies kept for claim checks", GAUGE, {NULL}},
    [HB_M_CLAIMS_BYTES] = {"claims_bytes", "Their bytes", GAUGE, {NULL}},
    [HB_M_DEDUP_ENTRIES] = {"dedup_entries",
	"Identities remembered or under way", GAUGE, {NULL}},
    [HB_M_DEDUP_HITS] = {"dedup_hits_total", "Repeated webhooks", COUNTER,
	{"endpoint"}},
    [HB_M_DEDUP_EVICTIONS] = {"dedup_evictions_total",
	"Identities forgotten before the window's end", COUNTER, {NULL}},
    [HB_M_LOG_SUPPRESSED] = {"log_suppressed_total",
	"Log records left out by the rate limit", COUNTER, {"event"}},
};

/* Upper bounds of the buckets; the last bucket has none. */
static const struct {
	uint64_t micros;
	const char *label;
} buckets[] = {{500, "0.0005"}, {1000, "0.001"}, {2500, "0.0025"},
    {5000, "0.005"}, {10000, "0.01"}, {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"}, {250000, "0.25"}, {500000, "0.5"}, {1000000, "1"},
    {2500000, "2.5"}, {5000000, "5"}, {10000000, "10"}, {UINT64_MAX, "+Inf"}};

struct hb_metric {
	struct hb_metric *next;
	char *labels[LABELS_MAX];
	_Atomic int64_t value;	  /* sum of microseconds in a histogram */
	_Atomic uint64_t *bucket; /* histograms only */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct hb_metric *first, **end;
} series[HB_M_FAMILY_COUNT];

static bool
has_labels(const struct hb_metric *m, const char *const labels[LABELS_MAX])
{
	for (int i = 0; i < LABELS_MAX; i++) {
		if ((m->labels[i] == NULL) != (labels[i] == NULL))
			return false;
		if (labels[i] != NULL && strcmp(m->labels[i], labels[i]) != 0)
			return false;
	}
	return true;
}

static struct hb_metric *
series_new(enum type type, const char *const labels[LABELS_MAX])
{
	struct hb_metric *m = hb_xcalloc(1, sizeof(*m));

	for (int i = 0; i < LABELS_MAX; i++)
		m->labels[i] = labels[i] != NULL ? hb_xstrdup(labels[i]) : NULL;
	if (type == HISTOGRAM)
		m->bucket = hb_xcalloc(HB_COUNT(buckets), sizeof(*m->bucket));
	return m;
}

static void
check_labels(const struct family *family, const char *const labels[LABELS_MAX])
{
	for (int i = 0; i < LABELS_MAX; i++)
		if ((family->labels[i] == NULL) != (labels[i] == NULL))
			hb_bug("%s: label %d", family->name, i + 1);
}

/* The series with these label values, made if it is new. */
struct hb_metric *
hb_metric_get(enum hb_metric_family family, const char *l1, const char *l2,
    const char *l3, const char *l4)
{
	const char *const labels[LABELS_MAX] = {l1, l2, l3, l4};
	struct hb_metric *m;

	check_labels(&families[family], labels);
	pthread_mutex_lock(&lock);
	for (m = series[family].first; m != NULL; m = m->next)
		if (has_labels(m, labels))
			break;
	if (m == NULL) {
		m = series_new(families[family].type, labels);
		if (series[family].end == NULL)
			series[family].end = &series[family].first;
		*series[family].end = m;
		series[family].end = &m->next;
	}
	pthread_mutex_unlock(&lock);
	return m;
}

struct hb_metric *
hb_metric_unlisted(void)
{
	static struct hb_metric unlisted;

	return &unlisted;
}

void
hb_metric_add(struct hb_metric *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void
hb_metric_set(struct hb_metric *m, int64_t value)
{
	atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

void
hb_metric_observe_us(struct hb_metric *m, uint64_t micros)
{
	size_t i = 0;

	while (micros > buckets[i].micros)
		i++;
	atomic_fetch_add_explicit(&m->bucket[i], 1, memory_order_relaxed);
	hb_metric_add(m, (int64_t)micros);
}

int64_t
hb_metric_value(const struct hb_metric *m)
{
	return atomic_load_explicit(&m->value, memory_order_relaxed);
}

/* --- the text format ------------------------------------------------------ */

static void
write_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

/* {a="x",le="0.1"}, or nothing. */
static void
write_labels(FILE *out, const struct family *family, const struct hb_metric *m,
    const char *le)
{
	char before = '{';

	for (int i = 0; i < LABELS_MAX && m->labels[i] != NULL; i++) {
		fprintf(out, "%c%s=\"", before, family->labels[i]);
		write_escaped(out, m->labels[i]);
		fputc('"', out);
		before = ',';
	}
	if (le != NULL) {
		fprintf(out, "%cle=\"%s\"", before, le);
		before = ',';
	}
	if (before == ',')
		fputc('}', out);
}

static void
write_histogram(
    FILE *out, const struct family *family, const struct hb_metric *m)
{
	uint64_t count = 0;
	uint64_t sum = (uint64_t)hb_metric_value(m);

	for (size_t i = 0; i < HB_COUNT(buckets); i++) {
		count +=
		    atomic_load_explicit(&m->bucket[i], memory_order_relaxed);
		fprintf(out, "hookbridge_%s_bucket", family->name);
		write_labels(out, family, m, buckets[i].label);
		fprintf(out, " %" PRIu64 "\n", count);
	}
	fprintf(out, "hookbridge_%s_sum", family->name);
	write_labels(out, family, m, NULL);
	fprintf(
	    out, " %" PRIu64 ".%06" PRIu64 "\n", sum / 1000000, sum % 1000000);
	fprintf(out, "hookbridge_%s_count", family->name);
	write_labels(out, family, m, NULL);
	fprintf(out, " %" PRIu64 "\n", count);
}

static void
write_series(FILE *out, const struct family *family, const struct hb_metric *m)
{
	if (family->type == HISTOGRAM) {
		write_histogram(out, family, m);
		return;
	}
	fprintf(out, "hookbridge_%s", family->name);
	write_labels(out, family, m, NULL);
	fprintf(out, " %" PRId64 "\n", hb_metric_value(m));
}

/* Families without series are left out. */
void
hb_metric_write(FILE *out)
{
	static const char *const types[] = {[COUNTER] = "counter",
	    [GAUGE] = "gauge",
	    [HISTOGRAM] = "histogram"};

	pthread_mutex_lock(&lock);
	for (int i = 0; i < HB_M_FAMILY_COUNT; i++) {
		const struct family *family = &families[i];

		if (series[i].first == NULL)
			continue;
		fprintf(out, "# HELP hookbridge_%s %s\n", family->name,
		    family->help);
		fprintf(out, "# TYPE hookbridge_%s %s\n", family->name,
		    types[family->type]);
		for (struct hb_metric *m = series[i].first; m != NULL;
		     m = m->next)
			write_series(out, family, m);
	}
	pthread_mutex_unlock(&lock);
}
