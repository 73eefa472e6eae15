/* SPDX-License-Identifier: Apache-2.0 */
/* dump.c - the configuration in force, as YAML that loads again
 *
 * Made from the structs, not from the file: what it shows is what runs. A
 * secret is shown by its source, its length in a comment; what a type does not
 * declare public is a comment as a whole, and then missing when it is loaded.
 * Texts are always quoted, in an escaping that YAML and JSON share and that no
 * terminal obeys. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "load.h"
#include "values.h"

/* Where output goes and how deep it is. */
struct dump {
	FILE *out;
	int depth;
	/* Keys explain themselves by their rows' help. */
	bool explains;
	/* Of the sink being written: what may be shown of its properties. */
	const char *const *public_properties;
};

/* --- pieces --------------------------------------------------------------- */

static void
put_text(const struct dump *d, const char *text)
{
	size_t size = 12 * strlen(text) + 16;
	char *safe = hb_xmalloc(size);

	hb_log_escape(hb_span_of(text), safe, size);
	fprintf(d->out, "\"%s\"", safe);
	free(safe);
}

static void
put_name(const struct dump *d, const char *name)
{
	fprintf(d->out, "%*s", d->depth * 2, "");
	if (hb_is_name(name))
		fputs(name, d->out);
	else
		put_text(d, name);
	fputc(':', d->out);
}

static void
open_section(struct dump *d, const char *name)
{
	put_name(d, name);
	fputc('\n', d->out);
	d->depth++;
}

static void
put_member(const struct dump *d, const char *name, const char *text)
{
	put_name(d, name);
	fputc(' ', d->out);
	put_text(d, text);
	fputc('\n', d->out);
}

static void
put_template(const struct dump *d, const char *name,
    const struct hb_tmpl *tmpl)
{
	char *text;

	if (tmpl == NULL)
		return;
	text = hb_xstrndup(hb_tmpl_text(tmpl));
	put_member(d, name, text);
	free(text);
}

static void
put_list(const struct dump *d, const struct hb_strings *list)
{
	fputc('[', d->out);
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			fputs(", ", d->out);
		put_text(d, list->items[i]);
	}
	fputc(']', d->out);
}

/* Ends a line whose key has a row. */
static void
end_row(const struct dump *d, const struct hb_key *key)
{
	if (d->explains && key->help != NULL)
		fprintf(d->out, "  # %s", key->help);
	fputc('\n', d->out);
}

/* --- rows of a table ------------------------------------------------------ */

static const char *
word_of(const struct hb_key_word *words, int value)
{
	while (words->word != NULL && words->value != value)
		words++;
	return words->word != NULL ? words->word : "";
}

static void
put_bool(struct dump *d, const struct hb_key *key, const void *field)
{
	put_name(d, key->name);
	fputs(*(const bool *)field ? " true" : " false", d->out);
	end_row(d, key);
}

static void
put_number(struct dump *d, const struct hb_key *key, const void *field)
{
	uint64_t value = *(const uint64_t *)field;
	char text[HB_VALUE_SIZE];

	if (value == 0 && key->min > 0)
		return; /* absent */
	if (key->type == HB_KEY_SIZE)
		hb_value_print_size(value, text);
	else if (key->type == HB_KEY_DURATION)
		hb_value_print_duration(value, text);
	else if (key->type == HB_KEY_PERCENT)
		hb_value_print_percent(value, text);
	else
		snprintf(text, sizeof(text), "%" PRIu64, value);
	put_name(d, key->name);
	fprintf(d->out, " %s", text);
	end_row(d, key);
}

static void
put_enum(struct dump *d, const struct hb_key *key, const void *field)
{
	put_name(d, key->name);
	fprintf(d->out, " %s", word_of(key->values, *(const int *)field));
	end_row(d, key);
}

static void
put_string(struct dump *d, const struct hb_key *key, const void *field)
{
	const char *text = *(const char *const *)field;

	if (text == NULL)
		return;
	if (key->flags & HB_KEY_HIDDEN) {
		fprintf(d->out, "%*s# %s: %zu bytes, not shown\n",
		    d->depth * 2, "", key->name, strlen(text));
		return;
	}
	put_name(d, key->name);
	fputc(' ', d->out);
	put_text(d, text);
	end_row(d, key);
}

static void
put_strings(struct dump *d, const struct hb_key *key, const void *field)
{
	const struct hb_strings *list = field;

	if (list->count == 0)
		return;
	put_name(d, key->name);
	fputc(' ', d->out);
	put_list(d, list);
	end_row(d, key);
}

static void
put_source(const struct dump *d, const char *source, size_t len)
{
	put_text(d, source);
	fprintf(d->out, "  # %zu bytes\n", len);
}

static void
put_secret(struct dump *d, const struct hb_key *key, const void *field)
{
	const struct hb_secret *secret = *(struct hb_secret *const *)field;

	if (secret == NULL)
		return;
	put_name(d, key->name);
	fputc(' ', d->out);
	put_source(d, secret->source, secret->len);
}

static void
put_secrets(struct dump *d, const struct hb_key *key, const void *field)
{
	const struct hb_secrets *secrets = field;

	if (secrets->count == 0)
		return;
	put_name(d, key->name);
	fputc('\n', d->out);
	for (size_t i = 0; i < secrets->count; i++) {
		fprintf(d->out, "%*s- ", (d->depth + 1) * 2, "");
		put_source(
		    d, secrets->items[i]->source, secrets->items[i]->len);
	}
}

static void
put_cidrs(struct dump *d, const struct hb_key *key, const void *field)
{
	const struct hb_cidrs *list = field;
	char text[HB_VALUE_SIZE];

	if (list->count == 0)
		return;
	put_name(d, key->name);
	fputs(" [", d->out);
	for (size_t i = 0; i < list->count; i++) {
		hb_value_print_cidr(&list->items[i], text);
		fprintf(d->out, "%s\"%s\"", i > 0 ? ", " : "", text);
	}
	fputs("]\n", d->out);
}

static bool
is_public(const struct dump *d, const struct hb_pair *pair)
{
	const char *const *name = d->public_properties;

	if (name == NULL)
		return false;
	while (*name != NULL && strcmp(*name, pair->name) != 0)
		name++;
	return *name != NULL;
}

static void
put_pairs(struct dump *d, const struct hb_key *key, const void *field)
{
	const struct hb_pairs *pairs = field;

	if (pairs->count == 0)
		return;
	open_section(d, key->name);
	for (size_t i = 0; i < pairs->count; i++) {
		const struct hb_pair *pair = &pairs->items[i];

		if (pair->secret) {
			put_name(d, pair->name);
			fputc(' ', d->out);
			put_source(d, pair->source, strlen(pair->value));
			continue;
		}
		if (is_public(d, pair)) {
			put_member(d, pair->name, pair->value);
			continue;
		}
		fprintf(d->out, "%*s# ", d->depth * 2, "");
		put_text(d, pair->name);
		fprintf(d->out, ": %zu bytes, not shown\n",
		    strlen(pair->value));
	}
	d->depth--;
}

static void put_keys(struct dump *d, const struct hb_key *keys,
    const void *conf);
static void put_token(struct dump *d, const struct hb_token_conf *token);

static void
put_section(struct dump *d, const struct hb_key *key, const void *field)
{
	if (key->sub == hb_keys_token) {
		put_token(d, field);
		return;
	}
	open_section(d, key->name);
	put_keys(d, key->sub, field);
	d->depth--;
}

static void
put_row(struct dump *d, const struct hb_key *key, const void *field)
{
	static void (*const put[])(struct dump *d, const struct hb_key *key,
	    const void *field) = {
		[HB_KEY_BOOL] = put_bool,
		[HB_KEY_UINT] = put_number,
		[HB_KEY_SIZE] = put_number,
		[HB_KEY_DURATION] = put_number,
		[HB_KEY_PERCENT] = put_number,
		[HB_KEY_ENUM] = put_enum,
		[HB_KEY_STRING] = put_string,
		[HB_KEY_STRINGS] = put_strings,
		[HB_KEY_SECRET] = put_secret,
		[HB_KEY_SECRETS] = put_secrets,
		[HB_KEY_CIDRS] = put_cidrs,
		[HB_KEY_PAIRS] = put_pairs,
		[HB_KEY_SECTION] = put_section,
		[HB_KEY_CUSTOM] = NULL, /* written by who knows it */
	};

	if (put[key->type] != NULL)
		put[key->type](d, key, field);
}

static void
put_keys(struct dump *d, const struct hb_key *keys, const void *conf)
{
	for (const struct hb_key *key = keys; key->name != NULL; key++)
		if (key->later == NULL)
			put_row(d, key, (const char *)conf + key->offset);
}

/* --- endpoints ------------------------------------------------------------ */

static void
put_token(struct dump *d, const struct hb_token_conf *token)
{
	static const char *const words[] = { [HB_TOKEN_BEARER] = "bearer",
		[HB_TOKEN_BASIC] = "basic",
		[HB_TOKEN_QUERY] = "query.",
		[HB_TOKEN_PATH] = "path",
		[HB_TOKEN_METADATA] = "metadata." };
	char *in;

	if (token->in == HB_TOKEN_NONE)
		return;
	if (asprintf(&in, "%s%s", words[token->in],
		token->name != NULL ? token->name : "") < 0)
		hb_bug("no text for token.in");
	open_section(d, "token");
	put_member(d, "in", in);
	free(in);
	put_keys(d, hb_keys_token, token);
	d->depth--;
}

static void
put_channels(struct dump *d, const struct hb_endpoint_conf *endpoint)
{
	if (endpoint->channel_count == 0)
		return;
	open_section(d, "channels");
	for (size_t i = 0; i < endpoint->channel_count; i++) {
		const struct hb_channel_conf *channel = &endpoint->channels[i];
		char *label = hb_xstrndup(hb_tmpl_text(channel->label));

		fprintf(d->out, "%*s- ", d->depth * 2, "");
		if (!hb_tmpl_is_static(channel->label))
			fputs("template: ", d->out);
		put_text(d, label);
		free(label);
		fputc('\n', d->out);
		if (hb_tmpl_is_static(channel->label))
			continue;
		fprintf(d->out, "%*svalues: ", d->depth * 2 + 2, "");
		put_list(d, &channel->values);
		fputc('\n', d->out);
	}
	d->depth--;
}

static void
put_endpoints(struct dump *d, const struct hb_config *cfg)
{
	open_section(d, "endpoints");
	for (size_t i = 0; i < cfg->endpoint_count; i++) {
		const struct hb_endpoint_conf *endpoint = &cfg->endpoints[i];

		open_section(d, endpoint->name);
		put_keys(d, hb_keys_endpoint, endpoint);
		put_channels(d, endpoint);
		put_template(d, "job_type", endpoint->job_type);
		d->depth--;
	}
	d->depth--;
}

/* --- sinks ---------------------------------------------------------------- */

static void
put_sinks(struct dump *d, const struct hb_config *cfg)
{
	open_section(d, "sinks");
	for (size_t i = 0; i < cfg->sink_count; i++) {
		const struct hb_sink_conf *sink = &cfg->sinks[i];

		open_section(d, sink->name);
		put_name(d, "type");
		fprintf(d->out, " %s\n", sink->type->name);
		d->public_properties = sink->type->public_properties;
		put_keys(d, sink->type->keys, sink->conf);
		d->depth--;
	}
	d->depth--;
}

/* --- routes --------------------------------------------------------------- */

static void
put_condition(const struct dump *d, const struct hb_predicate_conf *row)
{
	static const char *const words[] = { [HB_P_PREFIX] = "prefix",
		[HB_P_GLOB] = "glob", [HB_P_EXISTS] = "exists",
		[HB_P_ABSENT] = "exists", [HB_P_GT] = "gt", [HB_P_GE] = "ge",
		[HB_P_LT] = "lt", [HB_P_LE] = "le" };

	if (row->op == HB_P_ANY_OF) {
		put_list(d, &row->values);
		return;
	}
	fprintf(d->out, "%s%s: ", row->negate ? "{" : "", words[row->op]);
	if (row->op == HB_P_EXISTS || row->op == HB_P_ABSENT)
		fputs(row->op == HB_P_EXISTS ? "true" : "false", d->out);
	else
		put_text(d, row->values.items[0]);
	if (row->negate)
		fputc('}', d->out);
}

/* Rows of one name stand together and become one map again. */
static size_t
put_conditions(const struct dump *d, const struct hb_predicate_conf *rows,
    size_t count)
{
	bool is_map = rows[0].op != HB_P_ANY_OF || rows[0].negate;
	size_t n = 0;

	put_name(d, rows[0].name);
	fputs(is_map ? " {" : " ", d->out);
	do {
		if (n > 0)
			fputs(", ", d->out);
		if (rows[n].negate)
			fputs("not: ", d->out);
		put_condition(d, &rows[n++]);
	} while (n < count && strcmp(rows[n].name, rows[0].name) == 0);
	fputs(is_map ? "}\n" : "\n", d->out);
	return n;
}

static void
put_when(struct dump *d, const struct hb_route_conf *route)
{
	if (route->when_count == 0)
		return;
	open_section(d, "when");
	for (size_t i = 0; i < route->when_count;)
		i += put_conditions(d, &route->when[i],
		    route->when_count - i);
	d->depth--;
}

/* Name and list of names. */
static void
put_destination(struct dump *d, const struct hb_target_conf *target)
{
	const struct hb_sink_type *type = target->sink->type;

	if (target->name != NULL)
		put_template(d, type->dest_key, target->name);
	if (target->name != NULL && !hb_tmpl_is_static(target->name)) {
		put_name(d, type->dest_list_key);
		for (size_t i = 0; i < target->dest_count; i++) {
			fputs(i == 0 ? " [" : ", ", d->out);
			put_text(d, target->dests[i]->name);
		}
		fputs("]\n", d->out);
	}
}

static void
put_target(struct dump *d, const struct hb_target_conf *target)
{
	const struct hb_key *settings = target->sink->type->target_keys;

	fprintf(d->out, "%*s- sink: ", d->depth * 2, "");
	put_text(d, target->sink->name);
	fputc('\n', d->out);
	d->depth++;
	put_destination(d, target);
	if (settings != NULL)
		put_keys(d, settings, target->settings);
	put_template(d, "key", target->key);
	put_keys(d, hb_keys_target, target);
	if (target->header_count > 0) {
		open_section(d, "headers");
		for (size_t i = 0; i < target->header_count; i++)
			put_template(d, target->headers[i].name,
			    target->headers[i].value);
		d->depth--;
	}
	d->depth--;
}

static void
put_routes(struct dump *d, const struct hb_config *cfg)
{
	open_section(d, "routes");
	for (size_t i = 0; i < cfg->route_count; i++) {
		const struct hb_route_conf *route = &cfg->routes[i];

		fprintf(d->out, "%*s-\n", d->depth * 2, "");
		d->depth++;
		put_keys(d, hb_keys_route, route);
		put_when(d, route);
		open_section(d, "to");
		for (size_t j = 0; j < route->to_count; j++)
			put_target(d, route->to[j]);
		d->depth -= 2;
	}
	d->depth--;
}

/* --- the whole ------------------------------------------------------------ */

void
hb_config_dump(const struct hb_config *cfg, FILE *out)
{
	struct dump d = { .out = out, .explains = true };

	open_section(&d, "listen");
	for (size_t i = 0; i < cfg->listen_count; i++) {
		fprintf(out, "  - address: ");
		put_text(&d, cfg->listen[i].address);
		fputc('\n', out);
	}
	d.depth--;
	put_keys(&d, hb_keys_top, cfg);
	d.explains = false;
	put_endpoints(&d, cfg);
	put_sinks(&d, cfg);
	put_routes(&d, cfg);
	if (cfg->dead_letter == NULL)
		return;
	open_section(&d, "dead_letter");
	put_member(&d, "sink", cfg->dead_letter->sink->name);
	put_destination(&d, cfg->dead_letter);
}
