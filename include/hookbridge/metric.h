/* SPDX-License-Identifier: Apache-2.0 */
/* metric.h - counters, gauges and histograms, by name and labels
 *
 * The families are one table in metric.c, in the words of hookbridged(8). A
 * series (a family with its label values) is found or made once, when the
 * configuration is read, and kept by pointer; label values come from the
 * configuration or from fixed lists, never from a request.
 * Thread: hb_metric_get() any (takes a lock: not on the path of a request);
 * the rest any, lock-free. Series live as long as the process. */
#ifndef HOOKBRIDGE_METRIC_H
#define HOOKBRIDGE_METRIC_H

#include <stdint.h>
#include <stdio.h>

enum hb_metric_family {
	HB_M_BUILD_INFO, /* gauge: version, libevent, librdkafka, openssl */
	HB_M_START_TIME,                /* gauge */
	HB_M_HTTP_CONNECTIONS,          /* gauge: listener */
	HB_M_HTTP_CONNECTIONS_TOTAL,    /* listener */
	HB_M_HTTP_CONNECTIONS_REFUSED,  /* listener, reason */
	HB_M_HTTP_REQUESTS,             /* endpoint, code */
	HB_M_HTTP_REQUEST_DURATION,     /* histogram: endpoint */
	HB_M_HTTP_REQUEST_BYTES,        /* endpoint */
	HB_M_HTTP_MALFORMED,            /* reason */
	HB_M_VERIFY_FAILURES,           /* endpoint, reason */
	HB_M_VERIFY_SUCCESS,            /* endpoint, key */
	HB_M_EVENTS,                    /* endpoint, status, outcome */
	HB_M_EVENTS_IN_FLIGHT,          /* gauge */
	HB_M_MEMORY_BUDGET,             /* gauge, bytes */
	HB_M_MEMORY_USED,               /* gauge, bytes */
	HB_M_DELIVERIES,                /* sink, destination, outcome */
	HB_M_DELIVERY_DURATION,         /* histogram: sink */
	HB_M_DELIVERIES_PENDING,        /* gauge: sink, destination */
	HB_M_KEYS_REPLACED,             /* sink, destination */
	HB_M_HEADERS_LEFT_OUT,          /* sink, destination */
	HB_M_DESTINATION_UP,            /* gauge: sink, destination */
	HB_M_SINK_UP,                   /* gauge: sink */
	HB_M_SINK_RECONNECTS,           /* sink */
	HB_M_SINK_ERRORS,               /* sink, class */
	HB_M_DEAD_LETTERS,              /* reason */
	HB_M_DEAD_LETTERS_KEPT,         /* gauge: reason */
	HB_M_DEAD_LETTER_BYTES,         /* gauge: reason */
	HB_M_SPOOL_RECORDS,             /* gauge: sink */
	HB_M_SPOOL_BYTES,               /* gauge: sink */
	HB_M_SPOOL_CAPACITY,            /* gauge: sink */
	HB_M_SPOOL_OLDEST,              /* gauge: sink */
	HB_M_SPOOL_APPENDS,             /* no label */
	HB_M_SPOOL_REPLAYED,            /* sink */
	HB_M_SPOOL_SYNC_DURATION,       /* histogram */
	HB_M_SPOOL_ERRORS,              /* no label */
	HB_M_SPOOL_ORPHANED,            /* gauge */
	HB_M_SPOOL_QUARANTINED,         /* gauge */
	HB_M_CLAIMS,                    /* gauge */
	HB_M_CLAIMS_BYTES,              /* gauge */
	HB_M_DEDUP_ENTRIES,             /* gauge */
	HB_M_DEDUP_HITS,                /* endpoint */
	HB_M_DEDUP_EVICTIONS,           /* no label */
	HB_M_LOG_SUPPRESSED,            /* event */
	HB_M_FAMILY_COUNT
};

struct hb_metric; /* one series */

/* Label values in the family's order; those the family does not have are NULL
 * (up to 4). The strings are copied. */
struct hb_metric *hb_metric_get(enum hb_metric_family family, const char *l1,
    const char *l2, const char *l3, const char *l4);

/* A gauge that is never written, for what need not be seen. */
struct hb_metric *hb_metric_unlisted(void);

void hb_metric_add(struct hb_metric *m, int64_t n); /* counters: n >= 0 */
static inline void
hb_metric_inc(struct hb_metric *m)
{
	hb_metric_add(m, 1);
}
static inline void
hb_metric_dec(struct hb_metric *m)
{
	hb_metric_add(m, -1);
}
void hb_metric_set(struct hb_metric *m, int64_t value);
void hb_metric_observe_us(struct hb_metric *m, uint64_t micros);
int64_t hb_metric_value(const struct hb_metric *m);

/* All series, Prometheus text format 0.0.4, "hookbridge_" before each name. */
void hb_metric_write(FILE *out);

#endif
