/* SPDX-License-Identifier: Apache-2.0 */
/* cfg.c - the whole configuration: sections, order of loading, life
 *
 *   file --source.c--> text --yaml.c--> nodes --keys.c--> structs
 *        --endpoints.c, sinks.c, routes.c--> names resolved, templates compiled
 *        --check.c--> what only all parts together can show
 *
 * Every stage reports its faults and goes on. At the end the report is
 * printed, and the configuration is kept only if there was no error. All of it
 * lives in one arena, whose cleanups wipe secrets and free keys and paths. */
#include "hookbridge/cfg.h"

#include <sched.h>
#include <string.h>

#include "load.h"

#define DAY_MS (UINT64_C(24) * 60 * 60 * 1000)
#define HOUR_MS (UINT64_C(60) * 60 * 1000)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MAX_WORKERS 256

#define AT(member) .offset = offsetof(struct hb_config, member)

/* --- tables --------------------------------------------------------------- */

#define HTTP(member) .offset = offsetof(struct hb_http_conf, member)

static const struct hb_key http_keys[] = {
	{ "head_size", HB_KEY_SIZE, HTTP(head_size), "16KiB", 1024, MIB,
	    .help = "request line and headers together" },
	{ "headers", HB_KEY_UINT, HTTP(headers), "100", 8, 10000,
	    .help = "header lines of a request" },
	{ "target_size", HB_KEY_SIZE, HTTP(target_size), "2KiB", 64, MIB,
	    .help = "path and query together" },
	{ "body_size", HB_KEY_SIZE, HTTP(body_size), "8MiB", 1024, GIB,
	    .help = "largest body of any endpoint" },
	{ "head_timeout", HB_KEY_DURATION, HTTP(head_timeout_ms), "10s", 100,
	    HOUR_MS,
	    .help = "for a whole head; for the first one since accept" },
	{ "body_timeout", HB_KEY_DURATION, HTTP(body_timeout_ms), "30s", 100,
	    HOUR_MS,
	    .help = "for a whole body, or as long as body_rate gives it" },
	{ "body_rate", HB_KEY_SIZE, HTTP(body_rate), "8KiB", 1, GIB,
	    .help = "least bytes per second of a body" },
	{ "idle_timeout", HB_KEY_DURATION, HTTP(idle_timeout_ms), "75s", 100,
	    DAY_MS, .help = "between two requests" },
	{ "linger_timeout", HB_KEY_DURATION, HTTP(linger_timeout_ms), "2s", 0,
	    HOUR_MS, .help = "reading on after a refusal, so that it is seen" },
	{ "connections", HB_KEY_UINT, HTTP(connections), "10000", 1, 1000000,
	    .help = "open at once" },
	{ "connections_per_address", HB_KEY_UINT,
	    HTTP(connections_per_address), "256", 0, 1000000,
	    .help = "open at once from one address; 0: no limit" },
	{ "requests_per_connection", HB_KEY_UINT,
	    HTTP(requests_per_connection), "100000", 1, 1000000000,
	    .help = "then the connection is closed" },
	{ "requests_per_second_per_address", HB_KEY_CUSTOM,
	    .later = "rate limits" },
	{ .name = NULL },
};

static const struct hb_key_word level_words[] = {
	{ "error", HB_LOG_ERROR },
	{ "warning", HB_LOG_WARNING },
	{ "info", HB_LOG_INFO },
	{ "debug", HB_LOG_DEBUG },
	{ NULL, 0 },
};

static const struct hb_key_word format_words[] = {
	{ "kv", HB_LOG_KV },
	{ "json", HB_LOG_JSON },
	{ NULL, 0 },
};

#define LOG(member)                                     \
	.offset = offsetof(struct hb_config, log.member) - \
	    offsetof(struct hb_config, log)

static const struct hb_key log_keys[] = {
	{ "level", HB_KEY_ENUM, LOG(level), "info", .values = level_words,
	    .help = "what is logged" },
	{ "format", HB_KEY_ENUM, LOG(format), "kv", .values = format_words,
	    .help = "key=value or JSON" },
	{ "access", HB_KEY_ENUM, LOG(access), "info",
	    .values = level_words, .help = "the level of request.done" },
	{ .name = NULL },
};

const struct hb_key_word hb_ack_words[] = {
	{ "confirmed", HB_ACK_CONFIRMED },
	{ "spooled", HB_ACK_SPOOLED },
	{ NULL, 0 },
};

#define DELIVERY(member) .offset = offsetof(struct hb_delivery_conf, member)

static const struct hb_key delivery_keys[] = {
	{ "ack", HB_KEY_ENUM, DELIVERY(ack), "confirmed",
	    .values = hb_ack_words,
	    .help = "when a webhook is answered, unless its endpoint says" },
	{ "ack_timeout", HB_KEY_DURATION, DELIVERY(ack_timeout_ms), "3s", 10,
	    HOUR_MS, .help = "the brokers' time to confirm an event" },
	{ "hard_timeout", HB_KEY_DURATION, DELIVERY(hard_timeout_ms), "10s",
	    20, HOUR_MS, .help = "no answer to a webhook is later" },
	{ "drain_timeout", HB_KEY_DURATION, DELIVERY(drain_timeout_ms), "30s",
	    0, HOUR_MS, .help = "for what is in flight at a stop" },
	{ .name = NULL },
};

static const struct hb_key dedup_keys[] = {
	{ "window", HB_KEY_DURATION, offsetof(struct hb_dedup_conf, window_ms),
	    "48h", 1000, 90 * DAY_MS, .help = "how long an id is remembered" },
	{ "max_entries", HB_KEY_UINT,
	    offsetof(struct hb_dedup_conf, max_entries), "4000000", 1,
	    1000000000, .help = "how many ids are remembered" },
	{ .name = NULL },
};

const struct hb_key hb_keys_top[] = {
	{ "listen", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED | HB_KEY_RESTART,
	    .help = "a list of addresses: [{address: \"127.0.0.1:8080\"}]" },
	{ "workers", HB_KEY_UINT, AT(workers), NULL, 1, MAX_WORKERS,
	    .flags = HB_KEY_RESTART,
	    .help = "threads that serve requests; default: one for each CPU" },
	{ "http", HB_KEY_SECTION, AT(http), .sub = http_keys },
	{ "memory", HB_KEY_SIZE, AT(memory), "256MiB", MIB, 1024 * GIB,
	    .help = "bodies and events in flight together" },
	{ "log", HB_KEY_SECTION, AT(log), .sub = log_keys },
	{ "user", HB_KEY_CUSTOM, .later = "dropping privileges" },
	{ "group", HB_KEY_CUSTOM, .later = "dropping privileges" },
	{ "endpoints", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "a map of names to what receives webhooks" },
	{ "sinks", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "a map of names to where events go" },
	{ "routes", HB_KEY_CUSTOM, .flags = HB_KEY_REQUIRED,
	    .help = "a list of rules: which events go to which sinks" },
	{ "dead_letter", HB_KEY_CUSTOM,
	    .help = "a sink and topic or stream for what cannot be published" },
	{ "delivery", HB_KEY_SECTION, AT(delivery), .sub = delivery_keys },
	{ "spool", HB_KEY_SECTION, AT(spool), .sub = hb_keys_spool },
	{ "dedup", HB_KEY_SECTION, AT(dedup), .sub = dedup_keys },
	{ "claims", HB_KEY_SECTION, AT(claims), .sub = hb_keys_claims },
	{ "admin", HB_KEY_SECTION, AT(admin), .sub = hb_keys_admin },
	{ .name = NULL },
};

/* --- loading -------------------------------------------------------------- */

static void
on_free_paths(void *arg)
{
	hb_json_paths_free(arg);
}

static uint64_t
cpu_count(void)
{
	cpu_set_t set;
	uint64_t count;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	count = (uint64_t)CPU_COUNT(&set);
	return count < MAX_WORKERS ? count : MAX_WORKERS;
}

static void
load_with(struct hb_load *ld, const char *name,
    void (*load)(struct hb_load *ld, const struct hb_node *node))
{
	const struct hb_node *node = hb_node_get(ld->root, name);

	if (node != NULL && node->kind != HB_NODE_BROKEN)
		load(ld, node);
}

static void
load_dead_letter(struct hb_load *ld, const struct hb_node *node)
{
	ld->cfg->dead_letter = hb_load_dead_letter(ld, node);
}

static void
load_all(struct hb_load *ld)
{
	struct hb_config *cfg = ld->cfg;

	hb_keys_fill(ld, ld->root, hb_keys_top, cfg);
	if (ld->root->kind != HB_NODE_MAP)
		return;
	if (cfg->workers == 0)
		cfg->workers = cpu_count();
	hb_complete_disk(ld);
	load_with(ld, "listen", hb_load_listen);
	load_with(ld, "endpoints", hb_load_endpoints);
	hb_collect_labels(ld);
	load_with(ld, "sinks", hb_load_sinks);
	load_with(ld, "routes", hb_load_routes);
	load_with(ld, "dead_letter", load_dead_letter);
	cfg->var_count = HB_VAR_METADATA + hb_json_paths_count(ld->paths);
	hb_check_limits(ld);
	hb_check_endpoints(ld);
	hb_check_secrets(ld);
	hb_check_routes(ld);
	hb_check_disk(ld);
	hb_check_admin(ld);
}

/* What of the file has to do with places on this machine. */
static void
load_places(struct hb_load *ld)
{
	struct hb_config *cfg = ld->cfg;

	hb_keys_fill(ld, hb_node_get(ld->root, "spool"), hb_keys_spool,
	    &cfg->spool);
	hb_keys_fill(ld, hb_node_get(ld->root, "claims"), hb_keys_claims,
	    &cfg->claims);
	hb_keys_fill(ld, hb_node_get(ld->root, "admin"), hb_keys_admin,
	    &cfg->admin);
	hb_complete_disk(ld);
	hb_check_disk(ld);
	hb_check_admin(ld);
}

static struct hb_config *
new_config(const char *file)
{
	struct hb_arena *arena = hb_arena_new(16384);
	struct hb_config *cfg = hb_arena_calloc(arena, 1, sizeof(*cfg));
	struct hb_json_paths *paths = hb_json_paths_new();

	cfg->arena = arena;
	cfg->file = hb_arena_strdup(arena,
	    strcmp(file, "-") == 0 ? "stdin" : file);
	cfg->metadata_paths = paths;
	hb_arena_on_free(arena, on_free_paths, paths);
	atomic_init(&cfg->refs, 1);
	return cfg;
}

/* One stage after the other, each over what those before it made. */
static struct hb_config *
load_by(const char *file, const struct hb_sink_type *const *types,
    void (*stages)(struct hb_load *ld), FILE *report)
{
	struct hb_config *cfg = new_config(file);
	struct hb_load ld = { .cfg = cfg,
		.arena = cfg->arena,
		.scratch = hb_arena_new(65536),
		.report = hb_report_new(cfg->file),
		.types = types,
		.paths = (struct hb_json_paths *)cfg->metadata_paths };
	struct hb_span text = hb_source_read(&ld, file);

	if (hb_span_is_set(text))
		ld.root = hb_yaml_read(ld.scratch, text, ld.report);
	if (ld.root != NULL)
		stages(&ld);
	hb_report_print(ld.report, report);
	if (hb_report_errors(ld.report) > 0) {
		hb_config_unref(cfg);
		cfg = NULL;
	}
	hb_report_free(ld.report);
	hb_arena_free(ld.scratch);
	return cfg;
}

struct hb_config *
hb_config_load(const char *file, const struct hb_sink_type *const *types,
    FILE *report)
{
	return load_by(file, types, load_all, report);
}

struct hb_config *
hb_config_load_places(const char *file, FILE *report)
{
	static const struct hb_sink_type *const none[] = { NULL };

	return load_by(file, none, load_places, report);
}

/* --- looking up ----------------------------------------------------------- */

const struct hb_endpoint_conf *
hb_config_endpoint(const struct hb_config *cfg, struct hb_span name)
{
	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (hb_span_eq(name, hb_span_of(cfg->endpoints[i].name)))
			return &cfg->endpoints[i];
	return NULL;
}

const struct hb_dest_conf *
hb_config_dest(const struct hb_config *cfg, struct hb_span sink_type,
    struct hb_span sink, struct hb_span name)
{
	for (size_t i = 0; i < cfg->dest_count; i++) {
		const struct hb_dest_conf *dest = cfg->dests[i];
		const struct hb_sink_conf *conf = dest->sink;

		if (hb_span_eq(name, hb_span_of(dest->name)) &&
		    hb_span_eq(sink, hb_span_of(conf->name)) &&
		    hb_span_eq(sink_type, hb_span_of(conf->type->name)))
			return dest;
	}
	return NULL;
}

/* --- life ----------------------------------------------------------------- */

const struct hb_config *
hb_config_ref(const struct hb_config *cfg)
{
	atomic_fetch_add_explicit(&((struct hb_config *)cfg)->refs, 1,
	    memory_order_relaxed);
	return cfg;
}

void
hb_config_unref(const struct hb_config *cfg)
{
	struct hb_config *mine = (struct hb_config *)cfg;

	if (cfg != NULL &&
	    atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) ==
		1)
		hb_arena_free(mine->arena);
}
