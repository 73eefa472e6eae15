/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - what others write, as it is: metrics and the configuration */
#include <stdio.h>

#include "parts.h"

static void
write_config(const struct hb_admin *admin, FILE *out)
{
	hb_config_dump(admin->env.cfg, out);
}

static void
write_metrics(const struct hb_admin *admin, FILE *out)
{
	if (admin->env.store != NULL)
		hb_store_show(admin->env.store);
	hb_metric_write(out);
}

static void
say_written(struct hb_call *call, const char *media_type,
    void (*write)(const struct hb_admin *admin, FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		hb_bug("open_memstream failed");
	write(call->admin, out);
	if (fclose(out) != 0)
		hb_bug("out of memory");
	hb_admin_say_text(call, media_type, text, len);
}

void
hb_admin_metrics(struct hb_call *call)
{
	say_written(call, "text/plain; version=0.0.4", write_metrics);
}

void
hb_admin_config(struct hb_call *call)
{
	say_written(call, "application/yaml", write_config);
}
