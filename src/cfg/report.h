/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what is wrong with a configuration, shown in the file's order
 *
 * Who finds a fault says where, in one sentence, and perhaps a remedy; nothing
 * is printed before all is known. Text from the file comes into a sentence only
 * by way of hb_node_show() or hb_report_quote().
 *
 * The struct is hb_faults because the tag hb_report is a sink's. */
#ifndef HB_CFG_REPORT_H
#define HB_CFG_REPORT_H

#include <stdio.h>

#include "hookbridge/error.h"
#include "yaml.h"

struct hb_near;
struct hb_faults;

struct hb_faults *hb_report_new(const char *file);
void hb_report_free(struct hb_faults *report);

/* At a node's value, with its path. A broken node is never reported again. */
void hb_report_error(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...) HB_PRINTF(3, 4);
void hb_report_warn(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...) HB_PRINTF(3, 4);
/* At the name before the value. */
void hb_report_name_error(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...) HB_PRINTF(3, 4);
/* "expected FMT, got VALUE", at the value. */
void hb_report_expected(struct hb_faults *report, const struct hb_node *node,
    const char *fmt, ...) HB_PRINTF(3, 4);
/* A member that a map should have. */
void hb_report_missing(struct hb_faults *report, const struct hb_node *map,
    const char *name);
/* Without a node. */
void hb_report_error_at(struct hb_faults *report, struct hb_place place,
    const char *fmt, ...) HB_PRINTF(3, 4);
/* What helps against the fault reported last. */
void hb_report_remedy(struct hb_faults *report, const char *fmt, ...)
    HB_PRINTF(2, 3);
/* The same: the near name, when there is one. */
void hb_report_near(struct hb_faults *report, const struct hb_near *near);

/* Text from the file made fit for a sentence; lives as long as report. */
const char *hb_report_quote(struct hb_faults *report, const char *text);

unsigned hb_report_errors(const struct hb_faults *report);
/* All faults in the file's order and the line of totals; nothing when there
 * are none. */
void hb_report_print(const struct hb_faults *report, FILE *out);

#endif
