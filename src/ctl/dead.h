/* SPDX-License-Identifier: Apache-2.0 */
/* dead.h - which dead letters a command is about */
#ifndef HB_CTL_DEAD_H
#define HB_CTL_DEAD_H

#include <stdint.h>

#include "client.h"

struct hb_dead_filter {
	const char *reason, *endpoint; /* NULL: any */
	int64_t before_ms;
	bool has_before;
};

/* Rows of a command's table of options; hb_dead_take_option() takes them. */
#define HB_DEAD_OPTIONS                                               \
	{ "reason", required_argument, NULL, HB_DEAD_OPT_REASON },    \
	{ "endpoint", required_argument, NULL, HB_DEAD_OPT_ENDPOINT }, \
	{ "before", required_argument, NULL, HB_DEAD_OPT_BEFORE }
enum {
	HB_DEAD_OPT_REASON = HB_CTL_OPT_OWN,
	HB_DEAD_OPT_ENDPOINT,
	HB_DEAD_OPT_BEFORE,
	HB_DEAD_OPT_OWN
};
/* EX_OK, or EX_USAGE after it has been told. */
int hb_dead_take_option(const struct hb_ctl *ctl,
    struct hb_dead_filter *filter, int c);

/* Hands them over page by page, in order, until each_page says false; EX_OK,
 * or what went wrong and has been told. */
int hb_dead_walk(struct hb_client *client, const struct hb_dead_filter *filter,
    bool (*each_page)(void *arg, const json_t *list), void *arg);

#endif
