/* SPDX-License-Identifier: Apache-2.0 */
/* values.h - texts that stand for numbers, sizes, times and addresses; pure */
#ifndef HB_CFG_VALUES_H
#define HB_CFG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "hookbridge/keys.h"

enum hb_value {
	HB_VALUE_OK,
	HB_VALUE_MALFORMED,
	HB_VALUE_TOO_LARGE, /* for 64 bits */
	HB_VALUE_NO_UNIT    /* a duration that is only a number */
};

/* Decimal digits without sign and leading zeros. */
enum hb_value hb_value_uint(const char *text, uint64_t *out);
/* Bytes: a number, perhaps with B, KiB, MiB or GiB, a blank between or not. */
enum hb_value hb_value_size(const char *text, uint64_t *out);
/* Milliseconds: a number with ms, s, m, h or d; 0 needs no unit. */
enum hb_value hb_value_duration(const char *text, uint64_t *out);
/* A number, perhaps with "%", a blank between or not. */
enum hb_value hb_value_percent(const char *text, uint64_t *out);
/* "10.0.0.0/8", "2001:db8::/32", or a single address. *base_is_exact: no bit
 * is set beyond the prefix. */
bool hb_value_cidr(const char *text, struct hb_cidr *out, bool *base_is_exact);
/* Clears the bits beyond the prefix. */
void hb_value_cut_cidr(struct hb_cidr *cidr);
/* A number as JSON spells it. */
bool hb_value_is_decimal(const char *text);

/* In the largest unit that divides the value. */
#define HB_VALUE_SIZE 64
void hb_value_print_size(uint64_t bytes, char out[HB_VALUE_SIZE]);
void hb_value_print_duration(uint64_t ms, char out[HB_VALUE_SIZE]);
void hb_value_print_percent(uint64_t percent, char out[HB_VALUE_SIZE]);
void hb_value_print_cidr(const struct hb_cidr *cidr, char out[HB_VALUE_SIZE]);

#endif
