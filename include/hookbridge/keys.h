/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - a table of configuration keys: one row for each setting
 *
 * The rows serve reading, checking, -t, --dump-config and the manual. Runtime
 * code receives filled structs and never asks whether a key was set. A module
 * with settings of its own (a sink) exports its table; cfg applies it.
 * Thread: start-up and reload only. */
#ifndef HOOKBRIDGE_KEYS_H
#define HOOKBRIDGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hookbridge/span.h"

/* What a field of each type is, in the struct the row describes. */
enum hb_key_type {
	HB_KEY_BOOL,      /* bool */
	HB_KEY_UINT,      /* uint64_t, within min..max */
	HB_KEY_SIZE,      /* uint64_t bytes; "64 KiB", "10GiB" */
	HB_KEY_DURATION,  /* uint64_t milliseconds; "3s", "5 m", "48h" */
	HB_KEY_PERCENT,   /* uint64_t; "50%", "50 %", 50 */
	HB_KEY_ENUM,      /* int, one of values */
	HB_KEY_STRING,    /* const char *, NULL when absent */
	HB_KEY_STRINGS,   /* struct hb_strings; a scalar is a list of one */
	HB_KEY_SECRET,    /* struct hb_secret *; NULL when absent */
	HB_KEY_SECRETS,   /* struct hb_secrets */
	HB_KEY_CIDRS,     /* struct hb_cidrs */
	HB_KEY_PAIRS,     /* struct hb_pairs; a map of scalars */
	HB_KEY_SECTION,   /* a nested struct, described by sub */
	HB_KEY_CUSTOM     /* read by cfg itself */
};

enum {
	HB_KEY_REQUIRED = 1,
	HB_KEY_RESTART = 2, /* a reload that changes it is refused */
	HB_KEY_HIDDEN = 4   /* values shown as their length only */
};

struct hb_key_word {
	const char *word; /* NULL ends a list */
	int value;
};

struct hb_key {
	const char *name; /* NULL ends a table */
	enum hb_key_type type;
	size_t offset;
	const char *def;  /* as one would write it; NULL: zero or absent */
	uint64_t min, max; /* max 0: no limit */
	const struct hb_key_word *values;
	const struct hb_key *sub;
	unsigned flags;
	/* Not NULL: known, but this version does not have it; says what will
	 * bring it ("TLS on listeners"). Using it is an error. */
	const char *later;
	const char *help; /* one line, for the manual and --dump-config */
	const char *caution; /* a warning where the key is set, or NULL */
};

struct hb_strings {
	const char **items;
	size_t count;
};
struct hb_secret {
	uint8_t *data; /* wiped when the configuration is freed */
	size_t len;
	const char *source; /* "file:direct.token": may be shown */
};
struct hb_secrets {
	struct hb_secret **items;
	size_t count;
};
struct hb_cidr {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;    /* 0..128 */
};
struct hb_cidrs {
	struct hb_cidr *items;
	size_t count;
};
struct hb_pair {
	const char *name;
	const char *value;
	bool secret;        /* value came from file: or env:; never shown */
	const char *source; /* then "file:kafka.password": may be shown */
};
struct hb_pairs {
	struct hb_pair *items;
	size_t count;
};

#endif
