/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - how the daemon is doing, for people */
#ifndef HB_CTL_STATUS_H
#define HB_CTL_STATUS_H

#include <jansson.h>

/* doc is the daemon's own status, with "checks", the list of readyz. Printed
 * to stdout as of now_ms. */
void hb_status_print(const json_t *doc, int64_t now_ms);

#endif
