/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - one loading of a configuration, and its stages
 *
 * Each stage fills its part of cfg from its part of the file. A fault is
 * reported and leaves the part incomplete (NULL, zero): later stages cope with
 * that, so that one run finds every fault. Entries of lists and maps stand in
 * one-to-one correspondence with the file's nodes, so that a later stage finds
 * the node of an entry by its index. */
#ifndef HB_CFG_LOAD_H
#define HB_CFG_LOAD_H

#include "hookbridge/cfg.h"
#include "report.h"
#include "yaml.h"

struct hb_load {
	struct hb_config *cfg;
	struct hb_arena *arena;   /* the configuration's */
	struct hb_arena *scratch; /* gone after loading: nodes, tables */
	struct hb_faults *report;
	const struct hb_node *root;
	const struct hb_sink_type *const *types;
	const char *directory; /* the file's, for secrets */
	struct hb_json_paths *paths; /* cfg->metadata_paths, still growing */
	size_t dest_capacity;
	struct hb_label *labels; /* labels.c */
	size_t label_count;
	bool labels_are_incomplete; /* a faulty channel was left out */
	struct hb_vault *vault; /* vault.c: the one being filled */
	bool *sink_is_faulty;   /* by hb_sink_conf.index */
};

/* --- keys.c --------------------------------------------------------------- */

/* Names of a map that one table of keys describes, and the struct they fill. */
struct hb_key_set {
	const struct hb_key *keys;
	void *conf; /* NULL: the names are only known, the caller reads them */
};

/* Fills the structs from map's members (map NULL or empty: from defaults) and
 * reports unknown, missing, wrong ones. conf is zeroed memory. */
void hb_keys_apply(struct hb_load *ld, const struct hb_node *map,
    const struct hb_key_set *sets, size_t set_count);
/* The same for one table. */
void hb_keys_fill(struct hb_load *ld, const struct hb_node *map,
    const struct hb_key *keys, void *conf);
/* Whether two filled structs say the same. */
bool hb_keys_equal(const struct hb_key *keys, const void *a, const void *b);

/* Reading single values, for what tables cannot say; faults are reported.
 * Each returns whether *out was set. */
bool hb_read_text(struct hb_load *ld, const struct hb_node *node,
    const char **out);
bool hb_read_bool(struct hb_load *ld, const struct hb_node *node, bool *out);
/* A list, or an error; an empty one is an error too. */
bool hb_is_list(struct hb_load *ld, const struct hb_node *node,
    const char *of_what);
/* The same; a map stands for a list of itself. */
bool hb_is_list_of_maps(struct hb_load *ld, const struct hb_node *node,
    const char *of_what);
bool hb_is_map(struct hb_load *ld, const struct hb_node *node,
    const char *of_what);
/* What names of endpoints, sinks and routes look like. */
bool hb_is_name(const char *name);
void hb_check_name(struct hb_load *ld, const struct hb_node *node);

/* --- secret.c ------------------------------------------------------------- */

/* From "file:NAME" or "env:NAME"; NULL after a fault. It is wiped together
 * with the configuration. */
struct hb_secret *hb_secret_load(struct hb_load *ld,
    const struct hb_node *node);

/* --- vault.c -------------------------------------------------------------- */

/* Bytes for a secret; wiped together with the configuration. */
void *hb_vault_alloc(struct hb_load *ld, size_t size);

/* --- source.c ------------------------------------------------------------- */

/* The whole configuration file, if it and its directory are in good hands;
 * the absent span after a fault. */
struct hb_span hb_source_read(struct hb_load *ld, const char *file);

/* --- names.c -------------------------------------------------------------- */

/* Sets of variables: 1 << HB_VAR_X. Metadata is in every set. */
#define HB_VARS_ALL                                                  \
	(1u << HB_VAR_JOB_ID | 1u << HB_VAR_STATUS | 1u << HB_VAR_CHANNEL | \
	    1u << HB_VAR_ENDPOINT | 1u << HB_VAR_JOB_TYPE)
/* What the webhook itself says, before it is routed. */
#define HB_VARS_SIGNED \
	(1u << HB_VAR_JOB_ID | 1u << HB_VAR_STATUS | 1u << HB_VAR_ENDPOINT)
/* What predicates may test. */
#define HB_VARS_TESTED                                               \
	(1u << HB_VAR_STATUS | 1u << HB_VAR_CHANNEL | 1u << HB_VAR_ENDPOINT | \
	    1u << HB_VAR_JOB_TYPE)

/* A name's enum hb_var (or HB_VAR_METADATA + index), -1 after a fault at the
 * node's name. */
int hb_var_of_name(struct hb_load *ld, const struct hb_node *node,
    unsigned vars);
/* What a template without variables says; gone after loading. */
const char *hb_tmpl_constant(struct hb_load *ld, const struct hb_tmpl *tmpl);
/* NULL after a fault. */
const struct hb_tmpl *hb_read_tmpl(struct hb_load *ld,
    const struct hb_node *node, unsigned vars);

/* --- labels.c ------------------------------------------------------------- */

/* Once the endpoints are loaded. */
void hb_collect_labels(struct hb_load *ld);
/* Warns when no endpoint gives this label. */
void hb_check_label(struct hb_load *ld, const struct hb_node *node,
    const char *text);
/* Refuses labels that two endpoints give, where routes trust them. */
void hb_check_labels(struct hb_load *ld);

/* --- the sections --------------------------------------------------------- */

void hb_load_listen(struct hb_load *ld, const struct hb_node *list);
void hb_load_endpoints(struct hb_load *ld, const struct hb_node *map);
void hb_load_channels(struct hb_load *ld, const struct hb_node *endpoint_node,
    struct hb_endpoint_conf *endpoint);
void hb_load_sinks(struct hb_load *ld, const struct hb_node *map);
void hb_load_routes(struct hb_load *ld, const struct hb_node *list);
void hb_load_when(struct hb_load *ld, const struct hb_node *map,
    struct hb_route_conf *route);
/* Never NULL; incomplete after a fault. */
struct hb_target_conf *hb_load_target(struct hb_load *ld,
    const struct hb_node *map);
struct hb_target_conf *hb_load_dead_letter(struct hb_load *ld,
    const struct hb_node *map);

/* What only all parts together can show. */
void hb_check_endpoints(struct hb_load *ld);
void hb_check_secrets(struct hb_load *ld);
void hb_check_routes(struct hb_load *ld);
void hb_check_limits(struct hb_load *ld);
void hb_check_disk(struct hb_load *ld);
void hb_check_admin(struct hb_load *ld);
/* A setting's node; where it is not written the section's, or the file's. */
const struct hb_node *hb_setting(const struct hb_load *ld, const char *section,
    const char *key);

/* disk.c: defaults that depend on other settings. */
void hb_complete_disk(struct hb_load *ld);

/* The first route that decides by this channel and by no endpoint, or NULL. */
const struct hb_route_conf *hb_route_trusting_label(
    const struct hb_config *cfg, const char *label);

/* The path in the address of a Unix socket, or NULL: it is of another kind; and
 * whether a socket can have that path. */
const char *hb_unix_path(const char *address);
#define HB_SOCKET_EXPECTED \
	"unix: and an absolute path of at most 107 characters"
bool hb_is_socket_path(const char *path);

/* Whether all listeners are reachable from this machine only. */
bool hb_config_is_loopback(const struct hb_config *cfg);

/* Tables that dump.c, or a test, walks as well. */
extern const struct hb_key hb_keys_top[], hb_keys_listen[], hb_keys_endpoint[],
    hb_keys_token[], hb_keys_channel[], hb_keys_route[], hb_keys_target[],
    hb_keys_dead_letter[], hb_keys_spool[], hb_keys_claims[],
    hb_keys_admin[];
/* Those of every key "ack". */
extern const struct hb_key_word hb_ack_words[];

#endif
