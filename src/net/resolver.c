/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - one evdns base for each loop that ever looks up a name
 *
 * It is made for the loop's first look-up and freed with the loop. Where there
 * is no resolv.conf, evdns does as the C library does: it asks 127.0.0.1 after
 * it has looked into /etc/hosts. Both files are read again for a look-up that
 * finds no other one going on, so that a changed resolv.conf needs no restart.
 *
 * evdns answers a cancelled request too, later: the look-up waits for that
 * answer with done == NULL, and is freed then. */
#include "resolver.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "hookbridge/log.h"
#include "hookbridge/loop.h"
#include "hookbridge/mem.h"

struct resolver {
	struct hb_loop *loop;
	struct evdns_base *dns;
	unsigned lookups; /* going on */
	struct hb_task release;
	struct resolver *next;
};

struct hb_lookup {
	struct resolver *resolver;
	struct evdns_getaddrinfo_request *request;
	hb_lookup_fn *done; /* NULL: cancelled */
	void *arg;
};

/* All loops' resolvers, searched when a name is dialled. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct resolver *resolvers;

/* --- resolvers ------------------------------------------------------------ */

/* The loop is being freed, and its streams are closed: look-ups that still go
 * on are cancelled ones, whose answers wait to be called. */
static void
on_release(struct hb_task *task)
{
	struct resolver *resolver =
	    hb_container_of(task, struct resolver, release);
	struct resolver **link;

	pthread_mutex_lock(&lock);
	for (link = &resolvers; *link != resolver; link = &(*link)->next)
		;
	*link = resolver->next;
	pthread_mutex_unlock(&lock);
	if (resolver->lookups > 0)
		event_base_loop(hb_loop_base(resolver->loop), EVLOOP_NONBLOCK);
	evdns_base_free(resolver->dns, 0);
	free(resolver);
}

/* What evdns would write to stderr by itself. */
static void
on_note(int is_warning, const char *text)
{
	hb_log_limited(is_warning ? HB_LOG_WARNING : HB_LOG_DEBUG, "dns.note",
	    HB_F_STR("text", text));
}

static struct resolver *
resolver_new(struct hb_loop *loop)
{
	struct resolver *resolver = hb_xcalloc(1, sizeof(*resolver));

	evdns_set_log_fn(on_note);
	resolver->loop = loop;
	resolver->dns = evdns_base_new(
	    hb_loop_base(loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (resolver->dns == NULL)
		hb_bug("loop %s: cannot make a resolver", hb_loop_name(loop));
	resolver->release.run = on_release;
	hb_loop_at_free(loop, &resolver->release);
	return resolver;
}

static struct resolver *
resolver_of(struct hb_loop *loop)
{
	struct resolver *resolver;

	pthread_mutex_lock(&lock);
	for (resolver = resolvers; resolver != NULL; resolver = resolver->next)
		if (resolver->loop == loop)
			break;
	if (resolver == NULL) {
		resolver = resolver_new(loop);
		resolver->next = resolvers;
		resolvers = resolver;
	}
	pthread_mutex_unlock(&lock);
	return resolver;
}

static void
read_files(struct evdns_base *dns)
{
	evdns_base_clear_nameservers_and_suspend(dns);
	evdns_base_clear_host_addresses(dns);
	evdns_base_search_clear(dns);
	/* A failure leaves the default name server and what hosts says. */
	(void)evdns_base_resolv_conf_parse(
	    dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	evdns_base_resume(dns);
}

/* --- look-ups ------------------------------------------------------------- */

struct addrinfo *
hb_lookup_numeric(const char *host, unsigned port)
{
	const struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *addresses;
	char service[12];

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &addresses) != 0)
		return NULL;
	return addresses;
}

static const char *
cause_of(int result)
{
	switch (result) {
	case EVUTIL_EAI_NONAME:
	case EVUTIL_EAI_NODATA:
		return "this host name is unknown";
	case EVUTIL_EAI_AGAIN:
	case EVUTIL_EAI_FAIL:
		return "the name server failed";
	default:
		return evutil_gai_strerror(result);
	}
}

static void
on_resolved(int result, struct evutil_addrinfo *addresses, void *arg)
{
	struct hb_lookup *lookup = arg;

	lookup->resolver->lookups--;
	if (lookup->done == NULL) {
		if (addresses != NULL)
			evutil_freeaddrinfo(addresses);
	} else if (result != 0)
		lookup->done(lookup->arg, NULL, cause_of(result));
	else
		lookup->done(lookup->arg, addresses, NULL);
	free(lookup);
}

struct hb_lookup *
hb_lookup_start(struct hb_loop *loop, const char *host, unsigned port,
    hb_lookup_fn *done, void *arg)
{
	const struct evutil_addrinfo hints = {
	    .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct hb_lookup *lookup = hb_xcalloc(1, sizeof(*lookup));
	struct resolver *resolver = resolver_of(loop);
	struct evdns_getaddrinfo_request *request;
	char service[12];

	lookup->resolver = resolver;
	lookup->done = done;
	lookup->arg = arg;
	if (resolver->lookups++ == 0)
		read_files(resolver->dns);
	snprintf(service, sizeof(service), "%u", port);
	request = evdns_getaddrinfo(
	    resolver->dns, host, service, &hints, on_resolved, lookup);
	if (request == NULL) /* answered already: the look-up is gone */
		return NULL;
	lookup->request = request;
	return lookup;
}

void
hb_lookup_cancel(struct hb_lookup *lookup)
{
	if (lookup == NULL)
		return;
	lookup->done = NULL;
	evdns_getaddrinfo_cancel(lookup->request);
}

void
hb_lookup_free_addresses(struct addrinfo *addresses)
{
	evutil_freeaddrinfo(addresses);
}
