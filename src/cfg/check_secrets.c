/* SPDX-License-Identifier: Apache-2.0 */
/* check_secrets.c - secrets of all endpoints seen together
 *
 * Published ones (documentation, test vectors) are known here by their digest
 * only, so that this file is no list of keys. */
#include <string.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "hookbridge/secret.h"
#include "load.h"

/* One secret and where the file names it. */
struct use {
	const struct hb_node *node;
	struct hb_span text; /* without the prefix that says its kind */
};

struct uses {
	struct use *items;
	size_t count;
};

/* SHA-256, hexadecimal, of what stands behind whsec_ or whpk_ in examples of
 * the Svix and Standard Webhooks documentation, in their libraries' tests, and
 * in tests/unit/vectors; and of the token in tests/samples. */
static const char *const published[] = {
	"0c47dd30c7da14ce8078bc4647421221"
	"87d516456e901ac0c3006dabcec0f743",
	"0dc517be260e937ba9eea2726bb948c7"
	"b3c9bef6077827f0a8b50035a34f8235",
	"21ed4e2c6e0a7e463ab7d3538d89e106"
	"aa224e7375ba6d4caebb4a2c8f268237",
	"25134bdc72c5e5643404500bcd4ef5f7"
	"a345da517448fafc496855124a4b93d7",
	"2c6857b3adc9ee8d7dc39d92331f6875"
	"20a99054e70f2598024f7970b1a3fbe1",
	"6b254748f2a8d53957cc4a32245feb8e"
	"2de4315e709caa6243c18a10f4413a73",
	"b919fd68efaadd92c9f96482c1477a28"
	"083e94a93fa7e10be6237ca824c22a06",
	"bffcb3cc4ae9b1be18646be4a2902233"
	"285f09e73e64b88a821c94fedf788462",
	"d772992fc6f855001ba15284c76b744b"
	"43f6db137e7cb1f91de80ef32ade87f7",
	"ff73a0647bbc29aa418634dba8bb1309"
	"22491e77680e9d152dde5261ab63d8a2",
};

/* text: without the prefix that says its kind. */
static bool
is_published(struct hb_span text)
{
	uint8_t digest[HB_SHA256_SIZE];
	char hex[2 * HB_SHA256_SIZE];

	hb_sha256(text, digest);
	hb_hex(digest, sizeof(digest), hex);
	for (size_t i = 0; i < HB_COUNT(published); i++)
		if (memcmp(published[i], hex, sizeof(hex)) == 0)
			return true;
	return false;
}

static struct hb_span
without_prefix(const struct hb_secret *secret)
{
	static const char *const prefixes[] = { "whsec_", "whpk_" };
	struct hb_span text =
	    hb_span_make((const char *)secret->data, secret->len);

	for (size_t i = 0; i < HB_COUNT(prefixes); i++)
		if (hb_span_starts(text, hb_span_of(prefixes[i])))
			return hb_span_skip(text, strlen(prefixes[i]));
	return text;
}

bool
hb_secret_is_published(const struct hb_secret *secret)
{
	return is_published(without_prefix(secret));
}

/* --- collecting ----------------------------------------------------------- */

static void
collect_list(struct uses *uses, const struct hb_node *node,
    const struct hb_secrets *secrets)
{
	for (size_t i = 0; node != NULL && i < secrets->count; i++)
		if (secrets->items[i] != NULL)
			uses->items[uses->count++] = (struct use){
				hb_node_item(node, i),
				without_prefix(secrets->items[i])
			};
}

static void
collect(struct hb_load *ld, struct uses *uses)
{
	const struct hb_node *map = hb_node_get(ld->root, "endpoints");
	const struct hb_config *cfg = ld->cfg;
	size_t room = 0;

	for (size_t i = 0; i < cfg->endpoint_count; i++)
		room += cfg->endpoints[i].secrets.count +
		    cfg->endpoints[i].token.secrets.count;
	uses->items = hb_arena_calloc(ld->scratch, room, sizeof(*uses->items));
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		const struct hb_endpoint_conf *endpoint = &cfg->endpoints[i];
		const struct hb_node *node = hb_node_child(map, i);

		collect_list(uses, hb_node_get(node, "secrets"),
		    &endpoint->secrets);
		collect_list(uses,
		    hb_node_get(hb_node_get(node, "token"), "secret"),
		    &endpoint->token.secrets);
	}
}

/* --- checking ------------------------------------------------------------- */

static void
check_equal(struct hb_load *ld, const struct uses *uses, size_t index)
{
	const struct use *use = &uses->items[index];
	char path[256];

	for (size_t i = 0; i < index; i++) {
		if (!hb_span_eq(uses->items[i].text, use->text))
			continue;
		hb_node_path(uses->items[i].node, path, sizeof(path));
		hb_report_warn(ld->report, use->node,
		    "the same secret as %s: whoever has one has both", path);
		return;
	}
}

static void
check_published(struct hb_load *ld, const struct use *use)
{
	if (!is_published(use->text))
		return;
	hb_report_error(ld->report, use->node,
	    "expected a secret, got one that is published as an example");
	hb_report_remedy(ld->report,
	    "examples are good on loopback listeners only");
}

void
hb_check_secrets(struct hb_load *ld)
{
	bool is_loopback = hb_config_is_loopback(ld->cfg);
	struct uses uses = { NULL, 0 };

	collect(ld, &uses);
	for (size_t i = 0; i < uses.count; i++) {
		check_equal(ld, &uses, i);
		if (!is_loopback)
			check_published(ld, &uses.items[i]);
	}
}
