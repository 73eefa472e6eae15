/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - a count for all, and a table of counts by address
 *
 * No more addresses can be connected than connections are allowed, so a table
 * of that many entries always has one free. Entries of a bucket are chained by
 * index; the hash is seeded, so that nobody can choose one long chain. */
#include "gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"

struct key {
	uint64_t high, low;
};

struct entry {
	struct key key;
	uint32_t count;
	uint32_t next; /* in the bucket or the free list; 0 ends */
};

struct hb_http_gate {
	struct hb_budget *budget;
	uint64_t limit, per_address;
	_Atomic uint64_t count;

	pthread_mutex_t lock; /* of what follows */
	struct hb_door *doors;
	struct entry *entries; /* [1 .. limit] */
	uint32_t *buckets;
	uint32_t mask;
	uint32_t used; /* entries ever taken */
	uint32_t free; /* those given back */
	uint64_t seed;
};

struct hb_http_gate *
hb_http_gate_new(const struct hb_http_conf *conf, struct hb_budget *budget)
{
	struct hb_http_gate *gate = hb_xcalloc(1, sizeof(*gate));
	uint32_t buckets = 64;

	gate->budget = budget;
	gate->limit = conf->connections;
	gate->per_address = conf->connections_per_address;
	while (buckets < conf->connections && buckets < 1u << 30)
		buckets *= 2;
	gate->mask = buckets - 1;
	gate->buckets = hb_xcalloc(buckets, sizeof(*gate->buckets));
	gate->entries =
	    hb_xcalloc(conf->connections + 1, sizeof(*gate->entries));
	hb_random(&gate->seed, sizeof(gate->seed));
	pthread_mutex_init(&gate->lock, NULL);
	return gate;
}

void
hb_http_gate_free(struct hb_http_gate *gate)
{
	if (gate == NULL)
		return;
	for (struct hb_door *door = gate->doors, *next; door != NULL;
	     door = next) {
		next = door->next;
		free(door);
	}
	pthread_mutex_destroy(&gate->lock);
	free(gate->entries);
	free(gate->buckets);
	free(gate);
}

/* --- the table ------------------------------------------------------------ */

/* Who shares a limit: an IPv4 address, the network half of an IPv6 one. False
 * for a Unix socket. */
static bool
key_of(const struct in6_addr *peer, struct key *key)
{
	if (IN6_IS_ADDR_UNSPECIFIED(peer))
		return false;
	memcpy(&key->high, &peer->s6_addr[0], 8);
	memcpy(&key->low, &peer->s6_addr[8], 8);
	if (!IN6_IS_ADDR_V4MAPPED(peer))
		key->low = 0;
	return true;
}

static uint32_t *
bucket_of(struct hb_http_gate *gate, struct key key)
{
	uint64_t hash = (key.high ^ gate->seed) * 0x9e3779b97f4a7c15u;

	hash = (hash ^ key.low ^ hash >> 32) * 0xff51afd7ed558ccdu;
	return &gate->buckets[(uint32_t)(hash >> 32) & gate->mask];
}

/* The link that points to the key's entry, or the one that ends its chain. */
static uint32_t *
find(struct hb_http_gate *gate, struct key key)
{
	uint32_t *link = bucket_of(gate, key);

	while (*link != 0) {
		struct entry *entry = &gate->entries[*link];

		if (entry->key.high == key.high && entry->key.low == key.low)
			break;
		link = &entry->next;
	}
	return link;
}

static struct entry *
find_or_add(struct hb_http_gate *gate, struct key key)
{
	uint32_t *link = find(gate, key);

	if (*link == 0) {
		uint32_t i = gate->free;

		if (i != 0)
			gate->free = gate->entries[i].next;
		else
			i = ++gate->used;
		gate->entries[i] = (struct entry){.key = key};
		*link = i;
	}
	return &gate->entries[*link];
}

static bool
enter_address(struct hb_http_gate *gate, struct key key)
{
	struct entry *entry;
	bool admitted;

	pthread_mutex_lock(&gate->lock);
	entry = find_or_add(gate, key);
	/* A new entry is admitted always: none stays without a count. */
	admitted = gate->per_address == 0 || entry->count < gate->per_address;
	if (admitted)
		entry->count++;
	pthread_mutex_unlock(&gate->lock);
	return admitted;
}

static void
leave_address(struct hb_http_gate *gate, struct key key)
{
	uint32_t *link, i;

	pthread_mutex_lock(&gate->lock);
	link = find(gate, key);
	i = *link;
	if (i == 0)
		hb_bug("a connection leaves that never entered");
	if (--gate->entries[i].count == 0) {
		*link = gate->entries[i].next;
		gate->entries[i].next = gate->free;
		gate->free = i;
	}
	pthread_mutex_unlock(&gate->lock);
}

/* --- connections ---------------------------------------------------------- */

enum hb_gate
hb_http_gate_enter(struct hb_http_gate *gate, const struct in6_addr *peer)
{
	struct key key;

	if (atomic_fetch_add(&gate->count, 1) >= gate->limit) {
		atomic_fetch_sub(&gate->count, 1);
		return HB_GATE_FULL;
	}
	if (key_of(peer, &key) && !enter_address(gate, key)) {
		atomic_fetch_sub(&gate->count, 1);
		return HB_GATE_ADDRESS;
	}
	return HB_GATE_OPEN;
}

void
hb_http_gate_leave(struct hb_http_gate *gate, const struct in6_addr *peer)
{
	struct key key;

	if (key_of(peer, &key))
		leave_address(gate, key);
	atomic_fetch_sub(&gate->count, 1);
}

bool
hb_http_gate_crowded(const struct hb_http_gate *gate)
{
	return atomic_load(&gate->count) >= gate->limit - gate->limit / 10;
}

struct hb_budget *
hb_http_gate_budget(struct hb_http_gate *gate)
{
	return gate->budget;
}

struct hb_door *
hb_http_gate_door(struct hb_http_gate *gate, int fd)
{
	struct hb_door *door;

	pthread_mutex_lock(&gate->lock);
	for (door = gate->doors; door != NULL; door = door->next)
		if (door->fd == fd)
			break;
	if (door == NULL) {
		door = hb_xcalloc(1, sizeof(*door));
		door->fd = fd;
		door->next = gate->doors;
		gate->doors = door;
	}
	pthread_mutex_unlock(&gate->lock);
	return door;
}
