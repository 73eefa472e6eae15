/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - what the files of admin share */
#ifndef HB_ADMIN_PARTS_H
#define HB_ADMIN_PARTS_H

#include <jansson.h>
#include <sys/types.h>

#include "hookbridge/admin.h"
#include "hookbridge/arena.h"
#include "hookbridge/budget.h"
#include "hookbridge/http.h"
#include "hookbridge/metric.h"
#include "hookbridge/sink.h"
#include "hookbridge/store.h"

/* --- calls: one request under way ----------------------------------------- */

#define HB_ADMIN_PARAMS 8

struct hb_call;

/* A row of the table of resources. */
struct hb_resource {
	const char *method; /* GET, which includes HEAD, or POST */
	const char *path;   /* a segment "*" is any: call->part */
	/* Changes something or shows a payload: for operators, and logged. */
	bool guarded;
	/* Of the query, and of a POST's body; NULL-terminated. */
	const char *params[HB_ADMIN_PARAMS], *members[HB_ADMIN_PARAMS];
	/* Answers, now or later. */
	void (*run)(struct hb_call *call);
};

/* What a call does that is not over when run() returns. */
struct hb_call_work {
	void (*on_drained)(struct hb_call *call);
	void (*on_left)(struct hb_call *call);
	void (*free)(void *work); /* the call has been answered */
};

struct hb_call {
	struct hb_admin *admin;
	struct hb_http_request *req;
	const struct hb_resource *resource; /* NULL: there is none */
	struct hb_arena *arena;
	struct hb_span part;
	struct hb_span params[HB_ADMIN_PARAMS]; /* by the resource's order */
	json_t *body; /* an object; NULL for none */
	bool has_uid;
	uid_t uid;
	uint64_t charged; /* of the admin's own budget */
	const struct hb_call_work *doing; /* NULL: nothing */
	void *work;
};

/* --- the whole: admin.c --------------------------------------------------- */

#define HB_RATES_WINDOW 10 /* seconds */

#define HB_EVENT_OUTCOMES 4  /* as events_total has them */

/* Counters that are summed up. */
struct hb_series {
	struct hb_metric **items;
	size_t count;
};

struct hb_totals {
	int64_t events[HB_EVENT_OUTCOMES], replayed;
};

struct hb_rates {
	struct hb_series events[HB_EVENT_OUTCOMES], replayed;
	struct hb_timer timer;
	struct {
		uint64_t at_ms;
		struct hb_totals totals;
	} samples[HB_RATES_WINDOW];
	uint64_t count; /* ever taken */
};

struct hb_admin {
	struct hb_admin_env env;
	struct hb_budget budget;
	struct hb_http_gate *gate;
	struct hb_http_server *server; /* NULL once closed */
	uid_t *operators;
	size_t operator_count;
	struct hb_rates rates;
	int64_t started_ms;
	uint64_t started_mono_ms;
	uint64_t keep_alive_ms; /* how often a tail is told something */
	_Atomic unsigned in_flight;
};

/* A job begins, or has ended. */
void hb_admin_enter(struct hb_admin *admin);
void hb_admin_exit(struct hb_admin *admin);

/* --- resources.c, query.c: what is asked for ------------------------------ */

/* Finds the call's resource and reads its query. False: the call has been
 * refused, and is gone; so it is wherever one of these returns bool. */
bool hb_admin_find(struct hb_call *call) HB_MUST_CHECK;
/* The head is wanted only; http leaves the body out by itself. */
bool hb_admin_is_head(const struct hb_call *call);
/* Decodes percent escapes into the arena; false for a bad one, and for NUL. */
bool hb_admin_decode(struct hb_arena *arena, struct hb_span text,
    struct hb_span *out) HB_MUST_CHECK;
bool hb_admin_read_query(struct hb_call *call) HB_MUST_CHECK;
/* Takes a POST's body apart. */
bool hb_admin_read_body(struct hb_call *call) HB_MUST_CHECK;

/* The number of a record, from the path. */
bool hb_admin_part_number(struct hb_call *call, uint64_t *n) HB_MUST_CHECK;
/* A parameter that is a number of least .. most; absent: *n stays. */
bool hb_admin_param_number(struct hb_call *call, size_t param, uint64_t least,
    uint64_t most, uint64_t *n) HB_MUST_CHECK;
/* The same of the body's members. A text has to be there. */
bool hb_admin_member_number(struct hb_call *call, const char *name,
    uint64_t least, uint64_t most, uint64_t *n) HB_MUST_CHECK;
bool hb_admin_member_text(struct hb_call *call, const char *name,
    const char **text) HB_MUST_CHECK;

/* --- access.c: who may ---------------------------------------------------- */

/* Looks up the configured operators. */
void hb_admin_init_operators(struct hb_admin *admin);
bool hb_admin_may(struct hb_call *call) HB_MUST_CHECK;
/* A guarded call has been answered. */
void hb_admin_log_call(const struct hb_call *call, int code);

/* --- reply.c: answers ----------------------------------------------------- */

/* Each ends the call. */
void hb_admin_say(struct hb_call *call, int code, json_t *doc_take);
void hb_admin_say_text(struct hb_call *call, const char *media_type,
    char *text_take, size_t len);
/* A problem document of RFC 9457. False, so that a finder writes
 * return hb_admin_refuse(call, 404, "…"). */
bool hb_admin_refuse(struct hb_call *call, int code, const char *fmt, ...)
    HB_PRINTF(3, 4);
bool hb_admin_refuse_method(struct hb_call *call, const char *allow);
/* As the error says what to do next. */
void hb_admin_refuse_error(struct hb_call *call, const struct hb_error *err);

/* --- json.c --------------------------------------------------------------- */

/* Text from outside: null where it is absent; what is not UTF-8, or has a NUL,
 * becomes a member NAME_base64. */
void hb_admin_set(json_t *object, const char *name, struct hb_span text);
/* A time, null for 0. */
json_t *hb_admin_time(int64_t ms);
/* On one line; for free(). */
char *hb_admin_print(json_t *doc_take, size_t *len);

/* --- rates.c -------------------------------------------------------------- */

void hb_rates_init(struct hb_admin *admin);
void hb_rates_fini(struct hb_admin *admin);
void hb_admin_sum(const struct hb_admin *admin, struct hb_totals *totals);
/* Events since the start, by outcome. */
json_t *hb_admin_totals(const struct hb_admin *admin);
/* Takes a sample each second from now on. */
void hb_rates_start(struct hb_admin *admin);
void hb_rates_stop(struct hb_admin *admin);
/* Over the last seconds, at most the window. */
json_t *hb_rates_now(const struct hb_admin *admin);

/* --- records.c: what a record says ---------------------------------------- */

/* payload: also what is not for everyone. */
json_t *hb_admin_dead_letter(const struct hb_record *rec, bool payload);
json_t *hb_admin_delivery(const struct hb_record *rec, bool is_held);
/* The path's record, for hb_record_fini(). */
bool hb_admin_get_record(struct hb_call *call, enum hb_shelf_kind kind,
    struct hb_record *rec) HB_MUST_CHECK;
/* There is none with this number, or it is settled. */
void hb_admin_refuse_record(struct hb_call *call, enum hb_shelf_kind kind,
    uint64_t seq);
/* Without a store there is nothing to ask for. */
bool hb_admin_has_store(struct hb_call *call) HB_MUST_CHECK;

/* --- the resources -------------------------------------------------------- */

void hb_admin_healthz(struct hb_call *call);	   /* ready.c */
void hb_admin_readyz(struct hb_call *call);	   /* ready.c */
void hb_admin_metrics(struct hb_call *call);	   /* metrics.c */
void hb_admin_config(struct hb_call *call);	   /* metrics.c */
void hb_admin_status(struct hb_call *call);	   /* status.c */
void hb_admin_spool_list(struct hb_call *call);	   /* spool.c */
void hb_admin_spool_show(struct hb_call *call);	   /* spool.c */
void hb_admin_reroute(struct hb_call *call);	   /* reroute.c */
void hb_admin_dead_list(struct hb_call *call);	   /* dead.c */
void hb_admin_dead_show(struct hb_call *call);	   /* dead.c */
void hb_admin_dead_retry(struct hb_call *call);	   /* job.c */
void hb_admin_dead_drop(struct hb_call *call);	   /* job.c */
void hb_admin_spool_drop(struct hb_call *call);	   /* job.c */
void hb_admin_claim_list(struct hb_call *call);	   /* claims.c */
void hb_admin_claim_get(struct hb_call *call);	   /* claims.c */
void hb_admin_dedup_forget(struct hb_call *call);  /* forget.c */
void hb_admin_tail(struct hb_call *call);	   /* tail.c */

/* Their parameters, by place. */
enum { HB_DEAD_ENDPOINT, HB_DEAD_REASON, HB_DEAD_BEFORE, HB_DEAD_AFTER,
	HB_DEAD_LIMIT };
enum { HB_TAIL_ENDPOINT, HB_TAIL_OUTCOME };

/* Whether events can be made durable; checks may be NULL, or gets an object
 * for each that was made. */
bool hb_admin_is_ready(const struct hb_admin *admin, json_t *checks);
const char *hb_admin_health_word(enum hb_health health);
const char *hb_admin_state_word(enum hb_spool_state state);

#endif
