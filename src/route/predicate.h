/* SPDX-License-Identifier: Apache-2.0 */
/* predicate.h - whether one value satisfies one row of `when`; pure */
#ifndef HB_ROUTE_PREDICATE_H
#define HB_ROUTE_PREDICATE_H

#include "hookbridge/cfg.h"

/* value: canonical text, absent when there is no scalar. present: whether the
 * member is there with any value but null. Cannot fail. */
bool hb_predicate_holds(
    const struct hb_predicate_conf *row, struct hb_span value, bool present);

/* Glob with '*' and '?', on bytes; linear in practice, never worse than
 * pattern times text. */
bool hb_glob_match(const char *pattern, struct hb_span text);

/* Orders two JSON number texts by their decimal value, exactly, whatever their
 * length. False when one of them is not a number. */
bool hb_decimal_compare(struct hb_span a, struct hb_span b, int *order);

#endif
