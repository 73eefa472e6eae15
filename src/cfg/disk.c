/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - what is kept on disk, where, and how much
 *
 * The spool's max_size has two parts, one for deliveries and one for dead
 * letters. Each has segments of segment_size, or, where that would be fewer
 * than 8 of them, of an eighth of the part: but no smaller than 64 KiB, at
 * least 4, and large enough for the largest body twice. */
#include <inttypes.h>
#include <string.h>

#include "load.h"
#include "values.h"

#define DAY_MS (UINT64_C(24) * 60 * 60 * 1000)
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#define SEGMENT_MIN (64 * KIB)
#define SEGMENT_BLOCK (4 * KIB)
#define SEGMENTS_MIN 4
#define SEGMENTS_WANTED 8

/* --- tables --------------------------------------------------------------- */

#define SPOOL(member) .offset = offsetof(struct hb_spool_conf, member)

const struct hb_key hb_keys_spool[] = {
	{ "directory", HB_KEY_STRING, SPOOL(directory), NULL, 1, 4000,
	    .flags = HB_KEY_RESTART,
	    .help = "an absolute path; default: nothing is kept on disk" },
	{ "max_size", HB_KEY_SIZE, SPOOL(max_size), "10GiB", MIB, 65536 * GIB,
	    .flags = HB_KEY_RESTART,
	    .help = "of deliveries and dead letters together" },
	{ "segment_size", HB_KEY_SIZE, SPOOL(segment_size), "64MiB",
	    SEGMENT_MIN, GIB, .flags = HB_KEY_RESTART,
	    .help = "of one file; a multiple of 4KiB" },
	{ "group_size", HB_KEY_SIZE, SPOOL(group_size), "4MiB", SEGMENT_MIN,
	    64 * MIB, .flags = HB_KEY_RESTART,
	    .help = "written and synced at once" },
	{ "sink_share", HB_KEY_PERCENT, SPOOL(sink_share), "50%", 1, 100,
	    .help = "of deliveries, what one of several sinks may hold" },
	{ "dead_share", HB_KEY_PERCENT, SPOOL(dead_share), "20%", 1, 90,
	    .help = "of max_size, what is for dead letters" },
	{ .name = NULL },
};

#define CLAIMS(member) .offset = offsetof(struct hb_claims_conf, member)

const struct hb_key hb_keys_claims[] = {
	{ "directory", HB_KEY_STRING, CLAIMS(directory), NULL, 1, 4000,
	    .help = "an absolute path; default: claims in spool.directory" },
	{ "max_size", HB_KEY_SIZE, CLAIMS(max_size), "10GiB", MIB, 65536 * GIB,
	    .help = "of all bodies that are kept" },
	{ "max_age", HB_KEY_DURATION, CLAIMS(max_age_ms), "30d",
	    60 * UINT64_C(1000), 3660 * DAY_MS,
	    .help = "how long a body is kept" },
	{ .name = NULL },
};

void
hb_complete_disk(struct hb_load *ld)
{
	struct hb_config *cfg = ld->cfg;

	if (cfg->claims.directory == NULL && cfg->spool.directory != NULL)
		cfg->claims.directory = hb_arena_printf(ld->arena, "%s/claims",
		    cfg->spool.directory).ptr;
}

/* --- directories ---------------------------------------------------------- */

static void
check_absolute(struct hb_load *ld, const char *section, const char *directory)
{
	const struct hb_node *node =
	    hb_node_get(hb_node_get(ld->root, section), "directory");

	if (node != NULL && directory != NULL && directory[0] != '/')
		hb_report_expected(ld->report, node, "an absolute path");
}

/* Whether there is a directory, or was to be one. */
static bool
has_spool(const struct hb_load *ld)
{
	return hb_node_get(hb_node_get(ld->root, "spool"), "directory") != NULL;
}

/* What of path lies below directory, without slashes before it; NULL: it is
 * elsewhere. */
static const char *
below(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	while (len > 0 && directory[len - 1] == '/')
		len--;
	if (strncmp(path, directory, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return NULL;
	return path + len + strspn(path + len, "/");
}

/* The bodies' directory has a folder for each endpoint, whose name may be that
 * of one of the spool's. */
static void
check_apart(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	const char *rest;

	if (cfg->spool.directory == NULL || cfg->claims.directory == NULL)
		return;
	rest = below(cfg->claims.directory, cfg->spool.directory);
	if (rest != NULL && (*rest == '\0' || below(rest, "deliveries") ||
		below(rest, "dead")))
		hb_report_expected(ld->report,
		    hb_setting(ld, "claims", "directory"),
		    "a directory apart from the spool's own");
}

/* --- sizes ---------------------------------------------------------------- */

static uint64_t
round_up(uint64_t value, uint64_t step)
{
	return (value + step - 1) / step * step;
}

/* Of a part that large. */
static uint64_t
segment_size(const struct hb_spool_conf *spool, uint64_t part)
{
	uint64_t size =
	    part / SEGMENTS_WANTED / SEGMENT_BLOCK * SEGMENT_BLOCK;

	if (size < SEGMENT_MIN)
		return SEGMENT_MIN;
	return size < spool->segment_size ? size : spool->segment_size;
}

/* NULL: nobody receives anything. */
static const struct hb_endpoint_conf *
largest_endpoint(const struct hb_config *cfg)
{
	const struct hb_endpoint_conf *largest = NULL;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		if (cfg->endpoints[i].mode != HB_MODE_DISABLED &&
		    (largest == NULL ||
			cfg->endpoints[i].body_size > largest->body_size))
			largest = &cfg->endpoints[i];
	return largest;
}

/* percent: the part's, of max_size. body: the largest one. */
static void
check_part(struct hb_load *ld, const char *name, uint64_t percent,
    uint64_t body)
{
	const struct hb_spool_conf *spool = &ld->cfg->spool;
	uint64_t part = spool->max_size * percent / 100;
	uint64_t least = round_up(2 * body, SEGMENT_BLOCK) * SEGMENTS_WANTED;
	char want[HB_VALUE_SIZE], got[HB_VALUE_SIZE], shown[HB_VALUE_SIZE];

	if (part >= SEGMENTS_MIN * SEGMENT_MIN &&
	    segment_size(spool, part) >= 2 * body)
		return;
	if (2 * body <= SEGMENT_MIN)
		least = SEGMENTS_MIN * SEGMENT_MIN;
	hb_value_print_size(round_up((least * 100 + percent - 1) / percent,
	    least >= MIB ? MIB : KIB), want);
	hb_value_print_size(spool->max_size, got);
	hb_value_print_size(body, shown);
	hb_report_error(ld->report, hb_setting(ld, "spool", "max_size"),
	    "expected a max_size of at least %s (%" PRIu64 "%% of it are for "
	    "%s, bodies have up to %s), got %s", want, percent, name, shown,
	    got);
	hb_report_remedy(ld->report,
	    "or lower the body_size of endpoints");
}

static void
check_sizes(struct hb_load *ld)
{
	const struct hb_spool_conf *spool = &ld->cfg->spool;
	const struct hb_node *node = hb_setting(ld, "spool", "segment_size");
	const struct hb_endpoint_conf *largest = largest_endpoint(ld->cfg);
	uint64_t body = largest != NULL ? largest->body_size : 0;
	char shown[HB_VALUE_SIZE];

	if (spool->segment_size % SEGMENT_BLOCK != 0)
		hb_report_expected(ld->report, node, "a multiple of 4KiB");
	if (spool->segment_size >= 2 * body) {
		check_part(ld, "deliveries", 100 - spool->dead_share, body);
		check_part(ld, "dead letters", spool->dead_share, body);
		return;
	}
	hb_value_print_size(round_up(2 * body, SEGMENT_BLOCK), shown);
	hb_report_error(ld->report, node,
	    "expected a segment_size of at least %s, twice the largest body "
	    "(body_size of endpoint \"%s\")", shown,
	    hb_report_quote(ld->report, largest->name));
}

/* --- what needs a directory ----------------------------------------------- */

#define SPOOL_REMEDY "spool: {directory: /var/lib/hookbridge/spool}"

static void
refuse_spooled(struct hb_load *ld, const struct hb_node *node)
{
	hb_report_error(ld->report, node,
	    "expected a spool.directory with it: what is answered when it is "
	    "on disk needs a place there");
	hb_report_remedy(ld->report, SPOOL_REMEDY);
}

static void
check_acks(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;
	const struct hb_node *map = hb_node_get(ld->root, "endpoints");

	if (has_spool(ld))
		return;
	if (cfg->delivery.ack == HB_ACK_SPOOLED)
		refuse_spooled(ld, hb_setting(ld, "delivery", "ack"));
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		const struct hb_node *node =
		    hb_node_get(hb_node_child(map, i), "ack");

		if (node != NULL && cfg->endpoints[i].ack == HB_ACK_SPOOLED)
			refuse_spooled(ld, node);
	}
}

static void
check_oversize(struct hb_load *ld, const struct hb_node *map,
    const struct hb_target_conf *target)
{
	const struct hb_node *node = hb_node_get(map, "oversize");

	if (node == NULL || target->oversize != HB_OVERSIZE_CLAIM_CHECK)
		return;
	if (target->format == HB_FORMAT_RAW) {
		hb_report_error(ld->report, node,
		    "a body in format raw has no place for a reference to "
		    "itself");
		hb_report_remedy(ld->report, "format: json or cloudevents");
	}
	if (ld->cfg->claims.directory == NULL && !has_spool(ld)) {
		hb_report_error(ld->report, node,
		    "expected a claims.directory with it, where the bodies "
		    "are kept");
		hb_report_remedy(ld->report, SPOOL_REMEDY
		    ", or claims: {directory: ...}");
	}
}

static void
check_targets(struct hb_load *ld)
{
	const struct hb_node *routes = hb_node_get(ld->root, "routes");
	const struct hb_config *cfg = ld->cfg;

	for (size_t i = 0; i < cfg->route_count; i++) {
		const struct hb_node *to =
		    hb_node_get(hb_node_child(routes, i), "to");

		for (size_t j = 0; j < cfg->routes[i].to_count; j++)
			check_oversize(ld, hb_node_item(to, j),
			    cfg->routes[i].to[j]);
	}
}

void
hb_check_disk(struct hb_load *ld)
{
	const struct hb_config *cfg = ld->cfg;

	check_absolute(ld, "spool", cfg->spool.directory);
	check_absolute(ld, "claims", cfg->claims.directory);
	check_apart(ld);
	if (cfg->spool.directory != NULL)
		check_sizes(ld);
	check_acks(ld);
	check_targets(ld);
}
