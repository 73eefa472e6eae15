/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - everything built from one configuration, started and stopped in
 * order
 *
 * Called by: main.c. Thread: the main one, which serves signals and waits.
 * All signals are blocked, SIGPIPE and SIGXFSZ are ignored before this is
 * called. */
#ifndef HOOKBRIDGE_DAEMON_H
#define HOOKBRIDGE_DAEMON_H

#include <stdio.h>

#include "hookbridge/cfg.h"
#include "hookbridge/error.h"

/* Runs until SIGTERM or SIGINT, then stops accepting, settles, keeps or refuses
 * what is in flight, and returns. False and err when it could not start. A
 * second signal ends the process at once, and not with success; what was
 * acknowledged is safe even then. */
bool hb_daemon_run(const struct hb_config *cfg, struct hb_error *err)
    HB_MUST_CHECK;

/* Writes what people should know of a valid configuration before they run it:
 * that nothing will be kept on disk, or what waits there and would be orphaned.
 * Reads the spool and changes nothing; a daemon may be at work there. */
void hb_daemon_advise(const struct hb_config *cfg, FILE *out);

#endif
