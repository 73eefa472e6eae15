/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - "status": two questions to the daemon, one page */
#include "status.h"

#include "client.h"
#include "hookbridge/clock.h"
#include "json_doc.h"

const char hb_ctl_status_help[] =
    "Shows whether the daemon can take events and what keeps it from it, how\n"
    "many there were and are, how each sink is, and what is on disk. Exits\n"
    "with 1 if it is not ready.\n";

/* NULL and *status: told. What is not ready answers 503 and says why. */
static json_t *
get_checks(struct hb_client *client, int *status)
{
	struct hb_client_answer answer;
	json_t *checks;

	*status = hb_client_ask(client, "/readyz", NULL, &answer);
	if (*status != EX_OK)
		return NULL;
	checks = json_object_get(answer.doc, "checks");
	if (json_is_array(checks))
		json_incref(checks);
	else
		*status = hb_client_refuse(&answer);
	hb_client_answer_fini(&answer);
	return *status == EX_OK ? checks : NULL;
}

static int
print(const struct hb_ctl *ctl, const json_t *doc)
{
	if (ctl->json)
		hb_json_doc_put(doc);
	else
		hb_status_print(doc, hb_clock_wall_ms());
	return hb_ctl_finish(json_is_true(json_object_get(doc, "ready"))
		? EX_OK
		: EXIT_FAILURE);
}

static int
run(const struct hb_ctl *ctl, struct hb_client *client)
{
	int status = EX_OK;
	json_t *doc = hb_client_get(client, "/api/v1/status", &status);
	json_t *checks;

	if (doc == NULL)
		return status;
	checks = get_checks(client, &status);
	if (checks != NULL) {
		json_object_set_new(doc, "checks", checks);
		status = print(ctl, doc);
	}
	json_decref(doc);
	return status;
}

int
hb_ctl_status(struct hb_ctl *ctl, int argc, char **argv)
{
	int status = hb_ctl_words(ctl, argc, argv, 0, 0);
	struct hb_client *client = NULL;

	if (status == EX_OK)
		client = hb_client_open(ctl, &status);
	if (client == NULL)
		return status;
	status = run(ctl, client);
	hb_client_close(client);
	return status;
}
