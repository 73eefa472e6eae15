/* SPDX-License-Identifier: Apache-2.0 */
/* read.h - one value of the file read as a row's type
 *
 * What is wrong is reported; the field is then left as it is. */
#ifndef HB_CFG_READ_H
#define HB_CFG_READ_H

#include "load.h"

void hb_key_read_bool(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
/* HB_KEY_UINT, _SIZE, _DURATION and _PERCENT. */
void hb_key_read_number(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_enum(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_string(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_strings(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_secret(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_secrets(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_cidrs(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);
void hb_key_read_pairs(struct hb_load *ld, const struct hb_key *key,
    const struct hb_node *node, void *field);

#endif
