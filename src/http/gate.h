/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - how many connections there may be, in all and from one address
 *
 * Thread: any. An address is an IPv4 address or a /64 of IPv6; Unix sockets
 * have none and are not limited. */
#ifndef HB_HTTP_GATE_H
#define HB_HTTP_GATE_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "hookbridge/http.h"

enum hb_gate {
	HB_GATE_OPEN,
	HB_GATE_FULL,	 /* as many connections as there may be */
	HB_GATE_ADDRESS, /* as many as one address may have */
	HB_GATE_WORDS
};

/* Whoever finds it open leaves later. */
enum hb_gate hb_http_gate_enter(
    struct hb_http_gate *gate, const struct in6_addr *peer) HB_MUST_CHECK;
void hb_http_gate_leave(struct hb_http_gate *gate, const struct in6_addr *peer);
/* Nine tenths of all connections are there: time to let idle ones go. */
bool hb_http_gate_crowded(const struct hb_http_gate *gate);
struct hb_budget *hb_http_gate_budget(struct hb_http_gate *gate);

/* What the servers share that accept from one socket. */
struct hb_door {
	struct hb_door *next;
	int fd;
	_Atomic size_t servers; /* that accept from it now */
	_Atomic size_t open;	/* connections that came through it */
};
/* Found or made; as long-lived as the gate. */
struct hb_door *hb_http_gate_door(struct hb_http_gate *gate, int fd);

#endif
