/* SPDX-License-Identifier: Apache-2.0 */
/* ctl.h - hookbridgectl: its commands, and what they share
 *
 * A command is a row of the table in hookbridgectl.c and a function that gets
 * its words (argv[0] is the program's name) and returns what the process exits
 * with: a code of sysexits(3), or 1 where the answer is "no".
 *
 * What a command found out goes to stdout, as a text for people or, with
 * --json, as JSON with raw numbers in base units; everything else goes to
 * stderr. A sentence on stderr names the thing, the fact and what to do next.
 * Whatever came from outside is escaped before it is printed.
 * Thread: one. Blocks: yes, within the time limits of each command. */
#ifndef HB_CTL_CTL_H
#define HB_CTL_CTL_H

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "hookbridge/cfg.h"
#include "hookbridge/error.h"
#include "hookbridge/span.h"

struct hb_ctl_command;

struct hb_ctl {
	const struct hb_ctl_command *command; /* the one that runs */
	const char *config; /* -c, else $HOOKBRIDGE_CONFIG, else the default */
	bool config_is_given; /* by one of the first two */
	const char *admin;    /* --admin: "unix:PATH", or NULL */
	bool json;
};

struct hb_ctl_command {
	const char *name; /* "explain", "secret new"; NULL ends the table */
	const char *args; /* as the usage line shows them */
	const char *summary; /* one line for the list of commands */
	const char *help; /* the rest of its --help; ends with a newline */
	int (*run)(struct hb_ctl *ctl, int argc, char **argv);
	bool asks_daemon; /* by --admin, or where the configuration says */
};

/* --- the commands --------------------------------------------------------- */

int hb_ctl_explain(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_send(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_secret_new(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_secret_check(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_portal(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_status(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_tail(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_spool_list(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_spool_show(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_spool_verify(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_spool_reroute(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_spool_drop(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_dead_list(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_dead_show(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_dead_retry(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_dead_drop(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_dedup_forget(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_claim_list(struct hb_ctl *ctl, int argc, char **argv);
int hb_ctl_claim_get(struct hb_ctl *ctl, int argc, char **argv);
extern const char hb_ctl_explain_help[], hb_ctl_send_help[],
    hb_ctl_secret_new_help[], hb_ctl_secret_check_help[], hb_ctl_portal_help[],
    hb_ctl_status_help[], hb_ctl_tail_help[], hb_ctl_spool_list_help[],
    hb_ctl_spool_show_help[], hb_ctl_spool_verify_help[],
    hb_ctl_spool_reroute_help[], hb_ctl_spool_drop_help[],
    hb_ctl_dead_list_help[], hb_ctl_dead_show_help[], hb_ctl_dead_retry_help[],
    hb_ctl_dead_drop_help[], hb_ctl_dedup_forget_help[],
    hb_ctl_claim_list_help[], hb_ctl_claim_get_help[];

/* --- words of a command --------------------------------------------------- */

/* Rows that every command's table of options begins with. */
#define HB_CTL_OPTIONS                                      \
	{ "config", required_argument, NULL, 'c' },         \
	{ "json", no_argument, NULL, HB_CTL_OPT_JSON },     \
	{ "help", no_argument, NULL, 'h' }
/* The same for those that ask the daemon. */
#define HB_CTL_ADMIN_OPTIONS \
	HB_CTL_OPTIONS,      \
	{ "admin", required_argument, NULL, HB_CTL_OPT_ADMIN }
enum {
	HB_CTL_OPT_JSON = 256,
	HB_CTL_OPT_ADMIN,
	HB_CTL_OPT_OWN /* a command's own options count from here */
};

/* The next option of the command's own, -1 after the last one (the other words
 * then begin at optind), or '?' after a usage error that has been told. Those
 * of every command are dealt with inside; --help does not return. */
int hb_ctl_getopt(struct hb_ctl *ctl, int argc, char **argv,
    const struct option *longs);
/* Tells a usage error and how the command is used; returns EX_USAGE. */
int hb_ctl_usage(const struct hb_ctl *ctl, const char *fmt, ...)
    HB_PRINTF(2, 3);
/* Of a command that has no options of its own and takes so many words, which
 * then begin at optind: EX_OK, or EX_USAGE after it has been told. */
int hb_ctl_words(struct hb_ctl *ctl, int argc, char **argv, int least,
    int most);

/* --- what commands say ---------------------------------------------------- */

/* "hookbridgectl: " and the sentence, on stderr; returns status. What comes
 * from outside must be escaped already (hb_log_escape()). */
int hb_ctl_fail(int status, const char *fmt, ...) HB_PRINTF(2, 3);
/* Text from outside, so that no terminal obeys it; quotes and backslashes stay
 * as they are. */
void hb_ctl_put(FILE *out, struct hb_span text);
/* Words on stdout, in lines of 80 columns, the further ones behind indent
 * columns; where the first begins. */
void hb_ctl_put_words(const char *text, size_t indent);
/* The same as hb_ctl_put() makes, as a string of its own; free() it. */
char *hb_ctl_escape(struct hb_span text);
/* Whether out may be coloured: a terminal, and no NO_COLOR. */
bool hb_ctl_has_colour(FILE *out);
/* The status once everything on stdout is written, else EX_IOERR after having
 * told why. */
int hb_ctl_finish(int status);

/* Before something that cannot be undone: EX_OK to go on, because yes was said
 * on the command line or at the terminal's question; else what to exit with.
 * The sentence is told as a question, "drop 3 dead letters"; it is escaped. */
int hb_ctl_confirm(bool yes, const char *fmt, ...) HB_PRINTF(2, 3);

/* --- what commands read --------------------------------------------------- */

/* The configuration; errors go to stderr. NULL and *status (EX_NOINPUT,
 * EX_NOPERM, EX_CONFIG) when there is none. */
struct hb_config *hb_ctl_load(const struct hb_ctl *ctl, int *status);
/* Only where things are on this machine; nothing else of it has to be right,
 * and no secret is read. */
struct hb_config *hb_ctl_load_places(const struct hb_ctl *ctl, int *status);
/* By its name; NULL and EX_USAGE in *status after having told what is near. */
const struct hb_endpoint_conf *hb_ctl_endpoint(const struct hb_config *cfg,
    const char *name, int *status);
/* The whole of a file, "-" is stdin; free() the pointer. At most limit bytes.
 * The absent span and *status (EX_NOINPUT, EX_NOPERM, EX_IOERR, EX_USAGE
 * when stdin is the configuration already) after having told why. */
struct hb_span hb_ctl_read(const struct hb_ctl *ctl, const char *file,
    size_t limit, int *status);

#endif
