/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - routes by a value that they ask for
 *
 * A route with a row "this variable is one of these values" cannot match an
 * event without one of them. Each route is filed under the values of one such
 * row: the one whose values the fewest routes ask for, so that of a thousand
 * routes for completed invoices of one customer each, an event meets those of
 * its customer, not all for "completed". Routes without such a row are tried
 * for every event.
 *
 * The values stand in one hash table, keyed by (variable, value), open
 * addressing, at most half full. Only what the configuration names is in the
 * table: a hostile event can ask it a few times, not make it slow. What an
 * event finds is joined in a bit set, which keeps the routes' order and takes
 * a route that is found twice (by two channels) once. */
#include "index.h"

#include <stdlib.h>

#include "hookbridge/mem.h"

/* One value and who asks for it. */
struct entry {
	int var;
	struct hb_span value; /* the configuration's; absent: a free slot */
	size_t askers;	      /* rows of all routes; while the index is made */
	unsigned *routes;     /* filed here */
	size_t count;
};

struct hb_route_index {
	size_t words;
	uint64_t *always; /* the set of routes tried for every event */
	struct entry *entries;
	size_t slots; /* a power of two */
	/* What lookups need not be made for. */
	bool *is_asked; /* by variable: whether any route is filed under it */
	size_t var_count, value_max;
};

/* --- the table ------------------------------------------------------------ */

/* FNV-1a, beginning with the variable. */
static size_t
hash_value(int var, struct hb_span value)
{
	uint32_t hash = (2166136261u ^ (uint32_t)var) * 16777619u;

	for (size_t i = 0; i < value.len; i++)
		hash = (hash ^ (unsigned char)value.ptr[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* The value's entry, or the free one where it would go. */
static struct entry *
find_entry(const struct hb_route_index *index, int var, struct hb_span value)
{
	size_t mask = index->slots - 1;
	size_t i = hash_value(var, value) & mask;

	while (hb_span_is_set(index->entries[i].value) &&
	       (index->entries[i].var != var ||
		   !hb_span_eq(index->entries[i].value, value)))
		i = (i + 1) & mask;
	return &index->entries[i];
}

/* --- making --------------------------------------------------------------- */

static bool
is_equality(const struct hb_predicate_conf *row)
{
	return row->op == HB_P_ANY_OF && !row->negate;
}

static struct entry *
entry_of(const struct hb_route_index *index,
    const struct hb_predicate_conf *row, size_t i)
{
	return find_entry(index, row->var, hb_span_of(row->values.items[i]));
}

/* Makes the table, with room for the values of all rows. */
static void
make_table(struct hb_route_index *index, const struct hb_config *cfg)
{
	size_t values = 0;

	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t j = 0; j < cfg->routes[i].when_count; j++)
			values += cfg->routes[i].when[j].values.count;
	for (index->slots = 2; index->slots < 2 * values;)
		index->slots *= 2;
	index->entries = hb_xcalloc(index->slots, sizeof(*index->entries));
}

/* Counts who asks for what. */
static void
count_askers(struct hb_route_index *index, const struct hb_predicate_conf *row)
{
	if (!is_equality(row))
		return;
	for (size_t i = 0; i < row->values.count; i++) {
		struct entry *entry = entry_of(index, row, i);

		entry->var = row->var;
		entry->value = hb_span_of(row->values.items[i]);
		entry->askers++;
	}
}

/* The row that a route is filed under, or NULL. */
static const struct hb_predicate_conf *
best_row(const struct hb_route_index *index, const struct hb_route_conf *route)
{
	const struct hb_predicate_conf *best = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < route->when_count; i++) {
		const struct hb_predicate_conf *row = &route->when[i];
		size_t askers = 0;

		if (!is_equality(row))
			continue;
		for (size_t j = 0; j < row->values.count; j++)
			askers += entry_of(index, row, j)->askers;
		if (askers < least) {
			least = askers;
			best = row;
		}
	}
	return best;
}

/* Routes come in order: one that is filed twice (a value stands twice in its
 * row) is the last. */
static void
add_route(struct entry *entry, unsigned route)
{
	if (entry->count > 0 && entry->routes[entry->count - 1] == route)
		return;
	/* Doubled whenever the count has come to a power of two. */
	if ((entry->count & (entry->count - 1)) == 0)
		entry->routes = hb_xreallocarray(entry->routes,
		    entry->count == 0 ? 1 : 2 * entry->count,
		    sizeof(*entry->routes));
	entry->routes[entry->count++] = route;
}

static void
set_add(uint64_t *set, unsigned route)
{
	set[route / HB_ROUTES_PER_WORD] |= UINT64_C(1)
					   << route % HB_ROUTES_PER_WORD;
}

static void
file_route(struct hb_route_index *index, unsigned number,
    const struct hb_predicate_conf *row)
{
	if (row == NULL) {
		set_add(index->always, number);
		return;
	}
	index->is_asked[row->var] = true;
	for (size_t i = 0; i < row->values.count; i++) {
		struct entry *entry = entry_of(index, row, i);

		add_route(entry, number);
		if (entry->value.len > index->value_max)
			index->value_max = entry->value.len;
	}
}

struct hb_route_index *
hb_route_index_new(const struct hb_config *cfg)
{
	struct hb_route_index *index = hb_xcalloc(1, sizeof(*index));

	index->words =
	    (cfg->route_count + HB_ROUTES_PER_WORD - 1) / HB_ROUTES_PER_WORD;
	index->always = hb_xcalloc(index->words, sizeof(*index->always));
	index->var_count = cfg->var_count;
	index->is_asked = hb_xcalloc(cfg->var_count, sizeof(*index->is_asked));
	make_table(index, cfg);
	for (size_t i = 0; i < cfg->route_count; i++)
		for (size_t j = 0; j < cfg->routes[i].when_count; j++)
			count_askers(index, &cfg->routes[i].when[j]);
	for (size_t i = 0; i < cfg->route_count; i++)
		file_route(
		    index, (unsigned)i, best_row(index, &cfg->routes[i]));
	return index;
}

void
hb_route_index_free(struct hb_route_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->slots; i++)
		free(index->entries[i].routes);
	free(index->entries);
	free(index->is_asked);
	free(index->always);
	free(index);
}

/* --- finding -------------------------------------------------------------- */

size_t
hb_route_index_words(const struct hb_route_index *index)
{
	return index->words;
}

static void
find_value(const struct hb_route_index *index, int var, struct hb_span value,
    uint64_t *set)
{
	const struct entry *entry;

	if (!hb_span_is_set(value) || value.len > index->value_max)
		return;
	entry = find_entry(index, var, value);
	for (size_t i = 0; i < entry->count; i++)
		set_add(set, entry->routes[i]);
}

void
hb_route_index_find(const struct hb_route_index *index,
    const struct hb_event *ev, uint64_t *set)
{
	memcpy(set, index->always, index->words * sizeof(*set));
	for (size_t var = 0; var < index->var_count; var++) {
		if (!index->is_asked[var])
			continue;
		if (var != HB_VAR_CHANNEL) {
			find_value(index, (int)var, ev->vars[var], set);
			continue;
		}
		for (size_t i = 0; i < ev->channel_count; i++)
			find_value(index, HB_VAR_CHANNEL, ev->channels[i], set);
	}
}
