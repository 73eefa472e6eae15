/* SPDX-License-Identifier: Apache-2.0 */
/* advice.c - what is said of a configuration that is only tested
 *
 * Deliveries that wait on disk for a sink, topic or stream that this
 * configuration does not name are not lost by it, but nobody would deliver
 * them: better known before the start than after. Names come from the disk and
 * are escaped. */
#include <inttypes.h>

#include "hookbridge/daemon.h"
#include "hookbridge/log.h"
#include "hookbridge/store.h"

struct advice {
	const struct hb_config *cfg;
	FILE *out;
};

static void
put(FILE *out, struct hb_span text)
{
	char safe[1024];

	fwrite(safe, 1, hb_log_escape(text, safe, sizeof(safe)), out);
}

static void
put_orphans(void *arg, const struct hb_shelf *shelf, uint64_t records)
{
	const struct advice *advice = arg;
	FILE *out = advice->out;
	bool is_one = records == 1;

	fprintf(out, "warning: %" PRIu64 " deliver%s of ", records,
	    is_one ? "y" : "ies");
	put(out, shelf->endpoint);
	fputs(" to ", out);
	put(out, shelf->sink);
	fputc(':', out);
	put(out, shelf->name);
	fputs(" (", out);
	put(out, shelf->sink_type);
	fprintf(out, ") wait%s in ", is_one ? "s" : "");
	put(out, hb_span_of(advice->cfg->spool.directory));
	fputs("/deliveries, and this configuration has no such destination\n"
	      "    add it again, or: hookbridgectl spool reroute ", out);
	put(out, shelf->sink);
	fputs(" --to SINK\n", out);
}

void
hb_daemon_advise(const struct hb_config *cfg, FILE *out)
{
	struct advice advice = { cfg, out };
	struct hb_error err;

	if (cfg->spool.directory == NULL) {
		fputs("    without spool.directory nothing is kept on disk: "
		      "while a sink is down,\n"
		      "    webhooks are answered 503\n", out);
		return;
	}
	if (hb_store_survey_orphans(cfg, put_orphans, &advice, &err))
		return;
	fputs("    what waits on disk is not known: ", out);
	put(out, hb_span_of(err.text));
	fputc('\n', out);
}
