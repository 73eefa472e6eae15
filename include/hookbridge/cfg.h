/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.h - the configuration, read and checked: immutable, shared by reference
 *
 * cfg is the only module that sees YAML. It reports every error of a file at
 * once with file:line:column, what was expected, what was found and the
 * nearest known name. What it returns is complete: defaults filled, names
 * resolved to pointers, templates compiled, secrets loaded.
 * Thread: loading one; the result any, until the last unref.
 * Blocks: reads files. */
#ifndef HOOKBRIDGE_CFG_H
#define HOOKBRIDGE_CFG_H

#include <stdint.h>
#include <stdio.h>

#include "hookbridge/budget.h"
#include "hookbridge/json_span.h"
#include "hookbridge/keys.h"
#include "hookbridge/log.h"
#include "hookbridge/span.h"
#include "hookbridge/tmpl.h"

struct hb_arena;
struct hb_svix_key;

/* --- what templates and predicates may name ------------------------------ */

enum hb_var {
	HB_VAR_JOB_ID,
	HB_VAR_STATUS,
	HB_VAR_CHANNEL, /* the one that satisfied the route, else the first */
	HB_VAR_ENDPOINT,
	HB_VAR_JOB_TYPE,
	/* From here on metadata: + the index into metadata_paths. */
	HB_VAR_METADATA
};

/* --- endpoints ------------------------------------------------------------ */

enum hb_mode { HB_MODE_DISABLED, HB_MODE_SVIX, HB_MODE_DIRECT };

enum hb_token_in {
	HB_TOKEN_NONE,
	HB_TOKEN_BEARER,
	HB_TOKEN_BASIC,
	HB_TOKEN_QUERY,
	HB_TOKEN_PATH,
	HB_TOKEN_METADATA
};

struct hb_token_conf {
	enum hb_token_in in;
	const char *name; /* query parameter; metadata path as written */
	const char *user; /* basic */
	struct hb_secrets secrets;
	/* HB_TOKEN_METADATA: the path below "metadata", alone in its set */
	const struct hb_json_paths *path;
};

struct hb_channel_conf {
	const struct hb_tmpl *label;
	struct hb_strings values; /* what a template may expand to */
};

/* When a webhook is answered. */
enum hb_ack {
	HB_ACK_CONFIRMED, /* the brokers first; what is late is spooled */
	HB_ACK_SPOOLED    /* the spool first; delivered from there */
};

struct hb_endpoint_conf {
	unsigned index; /* into hb_config.endpoints */
	const char *name;
	const char *path; /* may hold one "{token}" segment in direct mode */
	int mode;         /* enum hb_mode */
	struct hb_secrets secrets;      /* svix: as configured, newest first */
	struct hb_svix_key **svix_keys; /* parsed, one for each secret */
	uint64_t tolerance_ms;
	struct hb_token_conf token;
	struct hb_cidrs allow; /* none: everyone */
	struct hb_channel_conf *channels;
	size_t channel_count;
	const char *source;
	const struct hb_tmpl *job_type; /* NULL: inferred */
	uint64_t body_size;
	uint64_t metadata_size;
	bool dedup;
	int ack; /* enum hb_ack */
	/* What this endpoint holds of the memory budget; it changes. */
	struct hb_budget_share *share;
};

/* --- sinks ---------------------------------------------------------------- */

struct hb_sink_conf;

/* What a sink type tells cfg of its settings: part of its hb_sink_ops. */
struct hb_sink_type {
	const char *name;          /* "kafka" */
	const struct hb_key *keys; /* rows for conf */
	size_t conf_size;
	/* What its destinations are called in routes: "topic", "stream", or
	 * NULL where the sink is one destination (file). */
	const char *dest_key;
	const char *dest_list_key; /* "topics", "streams" */
	const struct hb_key *target_keys; /* own rows of routes[].to[]; NULL */
	size_t target_size;
	/* Checks what a table cannot say. Reports each fault by complain(); a
	 * sentence that begins with "warning: " is no error, what stands behind
	 * a newline is the remedy. */
	void (*check)(const struct hb_sink_conf *sink,
	    void (*complain)(void *arg, const char *key, const char *fmt, ...)
		HB_PRINTF(3, 4),
	    void *arg);
	/* Whether data may be this destination's name; NULL: any. */
	bool (*valid_name)(struct hb_span name);
	/* Names of properties shown in a dump (the rest as length), or NULL. */
	const char *const *public_properties;
	const char *unsupported; /* "built without …", or NULL */
};

struct hb_sink_conf {
	unsigned index; /* into hb_config.sinks */
	const char *name;
	const struct hb_sink_type *type;
	void *conf; /* type->conf_size bytes, filled by type->keys */
};

/* One concrete destination: a sink and a topic, stream or file. Its identity
 * is the pair, its index stays the same for the life of the configuration. */
struct hb_dest_conf {
	unsigned index; /* into hb_config.dests */
	const struct hb_sink_conf *sink;
	const char *name;  /* "" for a sink that is one destination */
	const char *label; /* as configured (its template): for metrics */
};

/* --- routes --------------------------------------------------------------- */

enum hb_format { HB_FORMAT_JSON, HB_FORMAT_CLOUDEVENTS, HB_FORMAT_RAW };

/* What becomes of an event that is too large for its destination. */
enum hb_oversize { HB_OVERSIZE_DEAD_LETTER, HB_OVERSIZE_CLAIM_CHECK };

struct hb_header_conf {
	const char *name;
	const struct hb_tmpl *value;
};

/* One entry of routes[].to, or dead_letter. */
struct hb_target_conf {
	unsigned index; /* counted over the whole configuration */
	const struct hb_sink_conf *sink;
	const struct hb_tmpl *name; /* NULL where the sink is one destination */
	/* What name may expand to: one, or its allow list. */
	const struct hb_dest_conf **dests;
	size_t dest_count;
	const struct hb_tmpl *key; /* NULL: job_id */
	int format;                /* enum hb_format */
	int oversize;              /* enum hb_oversize */
	struct hb_header_conf *headers;
	size_t header_count;
	void *settings; /* type->target_size bytes: maxlen, idempotent, … */
};

enum hb_predicate_op {
	HB_P_ANY_OF, /* values */
	HB_P_PREFIX,
	HB_P_GLOB, /* * and ?, on bytes */
	HB_P_EXISTS,
	HB_P_ABSENT,
	HB_P_GT,
	HB_P_GE,
	HB_P_LT,
	HB_P_LE
};

/* One row of `when`; all rows of a route must hold. */
struct hb_predicate_conf {
	const char *name; /* as written, for explain */
	int var;          /* enum hb_var */
	enum hb_predicate_op op;
	bool negate; /* {not: …}; needs a present scalar all the same */
	struct hb_strings values;
};

struct hb_route_conf {
	unsigned index;
	const char *name;
	struct hb_predicate_conf *when;
	size_t when_count;
	struct hb_target_conf **to;
	size_t to_count;
	bool final;
	bool is_default;
};

/* --- the whole ------------------------------------------------------------ */

struct hb_listen_conf {
	const char *address; /* host:port, [v6]:port, unix:PATH */
};

struct hb_http_conf {
	uint64_t head_size, headers, target_size, body_size;
	uint64_t head_timeout_ms, body_timeout_ms, body_rate;
	uint64_t idle_timeout_ms, linger_timeout_ms;
	uint64_t connections, connections_per_address, requests_per_connection;
};

struct hb_delivery_conf {
	int ack; /* enum hb_ack: of endpoints that do not say */
	uint64_t ack_timeout_ms, hard_timeout_ms, drain_timeout_ms;
};

struct hb_dedup_conf {
	uint64_t window_ms, max_entries;
};

struct hb_spool_conf {
	const char *directory; /* NULL: nothing is kept on disk */
	uint64_t max_size;     /* of deliveries and dead letters together */
	uint64_t segment_size, group_size;
	/* Percent: of the deliveries' part, the most that one of several sinks
	 * may hold; of max_size, the dead letters' part. */
	uint64_t sink_share, dead_share;
};

struct hb_claims_conf {
	const char *directory; /* NULL: no claim checks */
	uint64_t max_size, max_age_ms;
};

struct hb_admin_conf {
	const char *address; /* unix:PATH */
	bool is_default;     /* nobody asked for it: it may fail to open */
	/* User names that may change things, besides root and ourselves. */
	struct hb_strings operators;
};

struct hb_config {
	struct hb_arena *arena;
	const char *file;
	struct hb_listen_conf *listen;
	size_t listen_count;
	uint64_t workers; /* never 0: the CPU count by default */
	struct hb_http_conf http;
	uint64_t memory;
	struct {
		int level, format; /* enum hb_log_level, hb_log_format */
		int access;
	} log;
	struct hb_endpoint_conf *endpoints;
	size_t endpoint_count;
	struct hb_sink_conf *sinks;
	size_t sink_count;
	struct hb_route_conf *routes;
	size_t route_count;
	const struct hb_target_conf *dead_letter; /* NULL: none */
	const struct hb_dest_conf **dests;
	size_t dest_count;
	size_t target_count;
	struct hb_delivery_conf delivery;
	struct hb_dedup_conf dedup;
	struct hb_spool_conf spool;
	struct hb_claims_conf claims;
	struct hb_admin_conf admin;
	/* All metadata paths that routes, templates, channels use. */
	const struct hb_json_paths *metadata_paths;
	/* HB_VAR_METADATA + the number of paths. */
	size_t var_count;
	_Atomic unsigned refs;
};

/* Reads, checks, completes; file "-" is stdin. Faults and warnings go to
 * report, in file order, one line each with an indented remedy where there is
 * one, then the line
 * "3 errors, 1 warning". NULL when there was an error. types: NULL-terminated,
 * what sinks exist (hb_sink_types()). */
struct hb_config *hb_config_load(const char *file,
    const struct hb_sink_type *const *types, FILE *report);
/* Only where things are on this machine (spool, claims, admin), for who needs
 * no more: nothing else of the file is looked at, and no secret. */
struct hb_config *hb_config_load_places(const char *file, FILE *report);
/* By name, as records on disk and operators have it; NULL: there is none. */
const struct hb_endpoint_conf *hb_config_endpoint(const struct hb_config *cfg,
    struct hb_span name);
const struct hb_dest_conf *hb_config_dest(const struct hb_config *cfg,
    struct hb_span sink_type, struct hb_span sink, struct hb_span name);
const struct hb_config *hb_config_ref(const struct hb_config *cfg);
void hb_config_unref(const struct hb_config *cfg);
/* YAML with every key and its value in force; of secrets the source and the
 * length only. */
void hb_config_dump(const struct hb_config *cfg, FILE *out);

#endif
