/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - host names to addresses, by evdns
 *
 * Thread: the loop's. Blocks: never, but for reading resolv.conf and hosts. */
#ifndef HB_NET_RESOLVER_H
#define HB_NET_RESOLVER_H

struct addrinfo;
struct hb_loop;
struct hb_lookup;

/* Called once, with addresses that now are the callee's, or with the cause. */
typedef void hb_lookup_fn(
    void *arg, struct addrinfo *addresses, const char *why);

/* The list for an address written in digits; NULL for anything else. */
struct addrinfo *hb_lookup_numeric(const char *host, unsigned port);
/* NULL when done() was called already, which hosts and errors do. */
struct hb_lookup *hb_lookup_start(struct hb_loop *loop, const char *host,
    unsigned port, hb_lookup_fn *done, void *arg);
/* done() will not be called any more. */
void hb_lookup_cancel(struct hb_lookup *lookup);
void hb_lookup_free_addresses(struct addrinfo *addresses);

#endif
