/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - builds and releases what exchanges use */
#include "hookbridge/intake.h"

#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

/* Compiles routes and verifiers; cannot fail on a checked configuration. */
struct hb_intake *
hb_intake_new(const struct hb_intake_env *env)
{
	struct hb_intake *intake = hb_xcalloc(1, sizeof(*intake));
	size_t count = env->cfg->endpoint_count;

	intake->env = *env;
	intake->router = hb_router_new(env->cfg);
	intake->paths = hb_paths_new(env->cfg);
	intake->verifiers = hb_xcalloc(count, sizeof(*intake->verifiers));
	intake->tallies = hb_xcalloc(count + 1, sizeof(*intake->tallies));
	for (size_t i = 0; i < count; i++) {
		const struct hb_endpoint_conf *endpoint =
		    &env->cfg->endpoints[i];

		intake->verifiers[i] = hb_verifier_new(endpoint);
		intake->tallies[i] = hb_tally_new(endpoint);
	}
	intake->tallies[count] = hb_tally_new(NULL);
	return intake;
}

void
hb_intake_free(struct hb_intake *intake)
{
	if (intake == NULL)
		return;
	for (size_t i = 0; i < intake->env.cfg->endpoint_count; i++) {
		hb_verifier_free(intake->verifiers[i]);
		hb_tally_free(intake->tallies[i]);
	}
	hb_tally_free(intake->tallies[intake->env.cfg->endpoint_count]);
	free(intake->verifiers);
	free(intake->tallies);
	hb_paths_free(intake->paths);
	hb_router_free(intake->router);
	free(intake);
}

struct hb_intake_worker *
hb_intake_worker_new(struct hb_intake *intake, struct hb_loop *loop)
{
	struct hb_intake_worker *worker = hb_xcalloc(1, sizeof(*worker));
	const struct hb_config *cfg = intake->env.cfg;

	worker->intake = intake;
	worker->loop = loop;
	worker->bench = hb_verify_bench_new();
	worker->courier = hb_courier_new(intake->env.deliver, loop);
	hb_deadlines_init(&worker->hard, loop, cfg->delivery.hard_timeout_ms,
	    hb_exchange_on_hard_due);
	worker->server = hb_http_server_new(loop, &cfg->http, intake->env.gate,
	    &hb_exchange_handler, worker);
	return worker;
}

void
hb_intake_worker_listen(struct hb_intake_worker *worker, int fd,
    const char *name)
{
	hb_http_server_listen(worker->server, fd, name);
}

void
hb_intake_worker_drain(struct hb_intake_worker *worker)
{
	hb_http_server_drain(worker->server);
}

size_t
hb_intake_worker_connections(const struct hb_intake_worker *worker)
{
	return hb_http_server_connections(worker->server);
}

void
hb_intake_worker_close(struct hb_intake_worker *worker)
{
	hb_http_server_free(worker->server);
	worker->server = NULL;
}

void
hb_intake_worker_free(struct hb_intake_worker *worker)
{
	if (worker == NULL)
		return;
	hb_intake_worker_close(worker);
	hb_deadlines_fini(&worker->hard);
	hb_courier_free(worker->courier);
	hb_verify_bench_free(worker->bench);
	free(worker);
}
