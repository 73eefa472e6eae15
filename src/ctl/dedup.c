/* SPDX-License-Identifier: Apache-2.0 */
/* dedup.c - "dedup forget": a webhook that comes again is taken again */
#include <stdlib.h>

#include "client.h"
#include "json_doc.h"

const char hb_ctl_dedup_forget_help[] =
    "Forgets that a webhook was published, so that it is published again\n"
    "when its sender repeats it. ID is that of its svix-id or webhook-id\n"
    "header; of a direct webhook the id of its event.\n";

static int
tell(const struct hb_ctl *ctl, const char *id, bool forgotten)
{
	if (ctl->json)
		return hb_json_doc_print(json_pack("{s:o, s:b}", "id",
		    hb_json_doc_text(hb_span_of(id)), "forgotten", forgotten));
	fputs(forgotten ? "Forgotten: when it comes again it is published "
			  "again: "
			: "Nothing was known of ",
	    stdout);
	hb_ctl_put(stdout, hb_span_of(id));
	putchar('\n');
	return hb_ctl_finish(EX_OK);
}

int
hb_ctl_dedup_forget(struct hb_ctl *ctl, int argc, char **argv)
{
	int status = hb_ctl_words(ctl, argc, argv, 2, 2);
	const char *endpoint, *id;
	bool forgotten;
	json_t *doc;

	if (status != EX_OK)
		return status;
	endpoint = argv[optind];
	id = argv[optind + 1];
	doc = hb_client_post_once(ctl, "/api/v1/dedup/forget",
	    json_pack("{s:o, s:o}", "endpoint",
		hb_json_doc_text(hb_span_of(endpoint)), "id",
		hb_json_doc_text(hb_span_of(id))), &status);
	if (doc == NULL)
		return status;
	forgotten = json_is_true(json_object_get(doc, "forgotten"));
	json_decref(doc);
	status = tell(ctl, id, forgotten);
	return status == EX_OK && !forgotten ? EXIT_FAILURE : status;
}
