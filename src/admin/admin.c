/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the admin listener: a server, and a call for each request
 *
 *   on_head   resource ► query ► who asks ► what may come
 *   on_body   the body, if there is one ► the resource's run()
 *   run()     answers at once, or leaves work with the call: a job on another
 *             loop, an answer in pieces
 *   on_done   the log ► the call and its work are gone
 *
 * Server, gate and budget are the admin's own, so that operators are served
 * while the public side is full. Whoever cannot connect to the socket cannot
 * ask; whoever can, may read; access.c says who may do the rest.
 *
 * Requests of web pages are refused, for somebody may have put the socket
 * behind a port (ssh -L): a browser says Origin, or that it believes to ask a
 * host of the page's domain. */
#include "hookbridge/admin.h"

#include <stdlib.h>

#include "hookbridge/clock.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define MEMORY ((uint64_t)32 * 1024 * 1024)
#define BODY_MAX ((uint64_t)64 * 1024)
#define ARENA_FIRST 2048
#define KEEP_ALIVE_MS 15000

/* An operator's tools and a monitor's: few, quick, and local. */
static const struct hb_http_conf conf = {
	.head_size = 16 * 1024,
	.headers = 64,
	.target_size = 4 * 1024,
	.body_size = BODY_MAX,
	.head_timeout_ms = 10 * 1000,
	.body_timeout_ms = 10 * 1000,
	.body_rate = 1024,
	.idle_timeout_ms = 75 * 1000,
	.linger_timeout_ms = 2 * 1000,
	.connections = 64,
	.connections_per_address = 0, /* a Unix socket has no addresses */
	.requests_per_connection = 1000,
};

/* --- calls ---------------------------------------------------------------- */

static struct hb_call *
call_new(struct hb_admin *admin, struct hb_http_request *req)
{
	struct hb_arena *arena = hb_arena_new(ARENA_FIRST);
	struct hb_call *call = hb_arena_calloc(arena, 1, sizeof(*call));

	call->admin = admin;
	call->req = req;
	call->arena = arena;
	call->has_uid = hb_http_peer_uid(req, &call->uid);
	req->user = call;
	return call;
}

static void
call_free(struct hb_call *call)
{
	if (call->doing != NULL && call->doing->free != NULL)
		call->doing->free(call->work);
	if (call->charged > 0)
		hb_budget_give_unverified(
		    &call->admin->budget, call->charged);
	json_decref(call->body);
	hb_arena_free(call->arena);
}

/* Whether it is a name that its owner may let mean this machine (DNS
 * rebinding): not one without a dot, nor an address. */
static bool
is_of_a_domain(struct hb_span host)
{
	const char *colon = memchr(host.ptr, ':', host.len);
	bool has_dot = false, has_letter = false;

	if (host.len > 0 && host.ptr[0] == '[')
		return false;
	if (colon != NULL)
		host.len = (size_t)(colon - host.ptr);
	for (size_t i = 0; i < host.len; i++) {
		has_dot |= host.ptr[i] == '.';
		has_letter |= host.ptr[i] != '.' &&
		    (host.ptr[i] < '0' || host.ptr[i] > '9');
	}
	return has_dot && has_letter;
}

/* False: refused. */
static bool
is_of_a_tool(struct hb_call *call)
{
	const struct hb_http_head *head = &call->req->head;
	struct hb_span host = hb_http_header(head, HB_SPAN("host"), NULL);

	if (hb_span_is_set(hb_http_header(head, HB_SPAN("origin"), NULL)))
		return hb_admin_refuse(call, 403, "requests with an Origin, "
		    "which come from web pages, are not served");
	return !hb_span_is_set(host) || !is_of_a_domain(host) ||
	    hb_admin_refuse(call, 403, "requests for the host of a domain, "
		"which a web page may have made, are not served: say "
		"localhost");
}

/* Whether what the head announces is what the resource takes. */
static bool
may_come(struct hb_call *call)
{
	const struct hb_http_head *head = &call->req->head;
	struct hb_span type = hb_http_header(
	    head, HB_SPAN("content-type"), NULL);
	bool has_body = head->chunked || head->content_length > 0;

	if (!has_body)
		return true;
	if (strcmp(call->resource->method, "POST") != 0)
		return hb_admin_refuse(call, 400,
		    "a request that reads has no body");
	return (hb_span_is_set(type) &&
		   hb_span_eq_nocase(hb_http_bare_type(type),
		       HB_SPAN("application/json"))) ||
	    hb_admin_refuse(call, 415,
		"the body has to be application/json");
}

static void
on_head(void *arg, struct hb_http_request *req)
{
	struct hb_call *call = call_new(arg, req);

	if (is_of_a_tool(call) && hb_admin_find(call) && hb_admin_may(call) &&
	    may_come(call))
		hb_http_accept_optional_body(req, BODY_MAX);
}

static void
on_body(void *arg, struct hb_http_request *req)
{
	struct hb_call *call = req->user;

	(void)arg;
	call->charged = req->charged;
	if (hb_admin_read_body(call))
		call->resource->run(call);
}

static void
on_done(void *arg, const struct hb_http_done *done)
{
	struct hb_call *call;

	(void)arg;
	if (done->req == NULL)
		return;
	call = done->req->user;
	if (call->resource != NULL && call->resource->guarded)
		hb_admin_log_call(call, done->code);
	call_free(call);
}

static void
on_drained(void *arg, struct hb_http_request *req)
{
	struct hb_call *call = req->user;

	(void)arg;
	if (call->doing != NULL && call->doing->on_drained != NULL)
		call->doing->on_drained(call);
}

static void
on_left(void *arg, struct hb_http_request *req)
{
	struct hb_call *call = req->user;

	(void)arg;
	call->doing->on_left(call);
}

static const struct hb_http_handler handler = {
	.on_head = on_head,
	.on_body = on_body,
	.on_done = on_done,
	.on_drained = on_drained,
	.on_left = on_left,
};

/* --- the whole ------------------------------------------------------------ */

struct hb_admin *
hb_admin_new(const struct hb_admin_env *env, struct hb_error *err)
{
	struct hb_admin *admin = hb_xcalloc(1, sizeof(*admin));

	(void)err; /* nothing of it can fail yet */
	/* Both are the process's, and nobody else in it uses jansson. */
	json_set_alloc_funcs(hb_xmalloc, free);
	json_object_seed(0);
	admin->env = *env;
	admin->started_ms = hb_clock_wall_ms();
	admin->started_mono_ms = hb_clock_mono_ms();
	admin->keep_alive_ms = KEEP_ALIVE_MS;
	hb_budget_init_apart(&admin->budget, MEMORY);
	hb_admin_init_operators(admin);
	hb_rates_init(admin);
	admin->gate = hb_http_gate_new(&conf, &admin->budget);
	admin->server = hb_http_server_new(
	    env->loop, &conf, admin->gate, &handler, admin);
	return admin;
}

void
hb_admin_listen(struct hb_admin *admin, int fd, const char *name)
{
	hb_http_server_listen(admin->server, fd, name);
	hb_rates_start(admin);
}

void
hb_admin_close(struct hb_admin *admin)
{
	hb_rates_stop(admin);
	hb_http_server_free(admin->server);
	admin->server = NULL;
}

void
hb_admin_enter(struct hb_admin *admin)
{
	atomic_fetch_add(&admin->in_flight, 1);
}

void
hb_admin_exit(struct hb_admin *admin)
{
	atomic_fetch_sub(&admin->in_flight, 1);
}

unsigned
hb_admin_in_flight(const struct hb_admin *admin)
{
	return atomic_load(&admin->in_flight);
}

/* NULL is allowed. */
void
hb_admin_free(struct hb_admin *admin)
{
	if (admin == NULL)
		return;
	hb_admin_close(admin);
	hb_http_gate_free(admin->gate);
	hb_rates_fini(admin);
	free(admin->operators);
	free(admin);
}
