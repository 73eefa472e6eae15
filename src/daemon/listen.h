/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - bound, listening, non-blocking sockets by address
 *
 * Addresses: host:port, [v6]:port, unix:PATH. Port 0 takes a free one. */
#ifndef HB_DAEMON_LISTEN_H
#define HB_DAEMON_LISTEN_H

#include "hookbridge/error.h"

struct hb_listener {
	const char *address; /* as configured */
	int fd;
};

/* Logs listen.open with the address that was really bound. */
bool hb_listener_open(struct hb_listener *listener, const char *address,
    struct hb_error *err) HB_MUST_CHECK;
/* Removes a Unix socket's file. Closing twice is allowed. */
void hb_listener_close(struct hb_listener *listener);

#endif
