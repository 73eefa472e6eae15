/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - what templates and predicates may name
 *
 * Every metadata path that is used anywhere joins one set, so that an event's
 * metadata is searched once; its place in the set is its variable. */
#include <string.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/near.h"
#include "load.h"

#define METADATA "metadata."

static const struct {
	const char *name;
	int var;
} variables[] = {
	{ "job_id", HB_VAR_JOB_ID },
	{ "status", HB_VAR_STATUS },
	{ "channel", HB_VAR_CHANNEL },
	{ "endpoint", HB_VAR_ENDPOINT },
	{ "job_type", HB_VAR_JOB_TYPE },
};

/* Looking up one name; near then knows the best guess. */
struct lookup {
	struct hb_load *ld;
	unsigned vars;
	struct hb_near near;
	bool is_unknown;
};

static int
add_path(struct hb_load *ld, struct hb_span path, struct hb_error *err)
{
	int index = hb_json_paths_add(ld->paths, path, err);

	return index < 0 ? -1 : HB_VAR_METADATA + index;
}

static int
resolve(void *arg, struct hb_span name, struct hb_error *err)
{
	struct lookup *lookup = arg;
	char shown[96];

	if (hb_span_starts(name, HB_SPAN(METADATA)))
		return add_path(lookup->ld,
		    hb_span_skip(name, strlen(METADATA)), err);
	hb_near_init(&lookup->near,
	    hb_arena_dup(lookup->ld->scratch, name).ptr);
	for (size_t i = 0; i < HB_COUNT(variables); i++) {
		if ((lookup->vars & (1u << variables[i].var)) == 0)
			continue;
		if (hb_span_eq(name, hb_span_of(variables[i].name)))
			return variables[i].var;
		hb_near_offer(&lookup->near, variables[i].name);
	}
	lookup->is_unknown = true;
	hb_log_escape(name, shown, sizeof(shown));
	(void)hb_fail(err, HB_E_CONFIG, "unknown name \"%s\"", shown);
	return -1;
}

/* "did you mean" or the list of what is known. */
static void
suggest(const struct lookup *lookup)
{
	const char *known = "";

	if (!lookup->is_unknown)
		return;
	for (size_t i = 0; i < HB_COUNT(variables); i++)
		if (lookup->vars & (1u << variables[i].var))
			known = hb_arena_printf(lookup->ld->scratch, "%s%s, ",
			    known, variables[i].name).ptr;
	if (lookup->near.best != NULL)
		hb_report_near(lookup->ld->report, &lookup->near);
	else
		hb_report_remedy(lookup->ld->report,
		    "known here: %smetadata.NAME", known);
}

int
hb_var_of_name(struct hb_load *ld, const struct hb_node *node, unsigned vars)
{
	struct lookup lookup = { .ld = ld, .vars = vars };
	struct hb_error err;
	int var = resolve(&lookup, hb_span_of(node->name), &err);

	if (var >= 0)
		return var;
	if (lookup.is_unknown)
		hb_report_name_error(ld->report, node, "unknown name");
	else
		hb_report_name_error(ld->report, node, "%s", err.text);
	suggest(&lookup);
	return -1;
}

const struct hb_tmpl *
hb_read_tmpl(struct hb_load *ld, const struct hb_node *node, unsigned vars)
{
	struct lookup lookup = { .ld = ld, .vars = vars };
	const struct hb_tmpl *tmpl;
	struct hb_error err;
	const char *text;
	char got[128];

	if (!hb_read_text(ld, node, &text))
		return NULL;
	tmpl = hb_tmpl_compile(ld->arena, hb_span_of(text), resolve, &lookup,
	    &err);
	if (tmpl != NULL)
		return tmpl;
	hb_node_show(node, got, sizeof(got));
	hb_report_error(ld->report, node, "expected a template, got %s: %s",
	    got, err.text);
	suggest(&lookup);
	return NULL;
}

const char *
hb_tmpl_constant(struct hb_load *ld, const struct hb_tmpl *tmpl)
{
	struct hb_span text =
	    hb_tmpl_expand(tmpl, ld->scratch, NULL, NULL, NULL);

	return hb_arena_dup(ld->scratch, text).ptr;
}

bool
hb_is_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= 64 && strchr("._-", name[0]) == NULL &&
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-") == len;
}

void
hb_check_name(struct hb_load *ld, const struct hb_node *node)
{
	if (!hb_is_name(node->name))
		hb_report_name_error(ld->report, node,
		    "expected a name of 1 to 64 letters, digits, \".\", "
		    "\"_\" and \"-\", got \"%s\"",
		    hb_report_quote(ld->report, node->name));
}
