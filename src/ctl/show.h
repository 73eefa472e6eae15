/* SPDX-License-Identifier: Apache-2.0 */
/* show.h - one record that the daemon keeps, as a text for people or raw */
#ifndef HB_CTL_SHOW_H
#define HB_CTL_SHOW_H

#include <jansson.h>

#include "ctl.h"

/* The command that shows the record at this path, "/api/v1/dead/": its words
 * are [--body] ID. */
int hb_show_run(struct hb_ctl *ctl, int argc, char **argv, const char *path);

/* A record's number: decimal digits. */
bool hb_show_is_id(const char *text);

#endif
