/* SPDX-License-Identifier: Apache-2.0 */
/* hookbridgectl.c - the command line, then the command */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/near.h"

#define DEFAULT_CONFIG HB_SYSCONFDIR "/hookbridge/hookbridge.yaml"

static const struct hb_ctl_command commands[] = {
	{ "explain", "ENDPOINT [BODY] [OPTION ...]",
	    "what would become of a webhook", hb_ctl_explain_help,
	    hb_ctl_explain },
	{ "send", "ENDPOINT [BODY] [OPTION ...]",
	    "sign a webhook and post it to the daemon", hb_ctl_send_help,
	    hb_ctl_send },
	{ "secret new", "[--out FILE | --show]", "make a signing secret",
	    hb_ctl_secret_new_help, hb_ctl_secret_new },
	{ "secret check", "FILE", "whether the daemon would take a secret",
	    hb_ctl_secret_check_help, hb_ctl_secret_check },
	{ "portal", "[--open]", "the link to your webhooks at Reducto",
	    hb_ctl_portal_help, hb_ctl_portal },
	{ "status", "", "how the daemon is doing", hb_ctl_status_help,
	    hb_ctl_status, true },
	{ "tail", "[OPTION ...]",
	    "events as they settle", hb_ctl_tail_help, hb_ctl_tail, true },
	{ "spool list", "", "deliveries that wait on disk",
	    hb_ctl_spool_list_help, hb_ctl_spool_list, true },
	{ "spool show", "[--body] ID", "one of them",
	    hb_ctl_spool_show_help, hb_ctl_spool_show, true },
	{ "spool verify", "[DIR]", "whether the files on disk are sound",
	    hb_ctl_spool_verify_help, hb_ctl_spool_verify },
	{ "spool reroute", "SINK --to SINK",
	    "move deliveries to another sink", hb_ctl_spool_reroute_help,
	    hb_ctl_spool_reroute, true },
	{ "spool drop", "[--yes] ID ...", "give deliveries up",
	    hb_ctl_spool_drop_help, hb_ctl_spool_drop, true },
	{ "dead list", "[OPTION ...]", "dead letters",
	    hb_ctl_dead_list_help, hb_ctl_dead_list, true },
	{ "dead show", "[--body] ID", "one of them", hb_ctl_dead_show_help,
	    hb_ctl_dead_show, true },
	{ "dead retry", "ID ... | OPTION ...", "send dead letters again",
	    hb_ctl_dead_retry_help, hb_ctl_dead_retry, true },
	{ "dead drop", "ID ... | OPTION ...", "give dead letters up",
	    hb_ctl_dead_drop_help, hb_ctl_dead_drop, true },
	{ "dedup forget", "ENDPOINT ID", "take a webhook again",
	    hb_ctl_dedup_forget_help, hb_ctl_dedup_forget, true },
	{ "claim list", "", "bodies that were too large to publish",
	    hb_ctl_claim_list_help, hb_ctl_claim_list, true },
	{ "claim get", "DIGEST [--out FILE]", "one of them",
	    hb_ctl_claim_get_help, hb_ctl_claim_get, true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};

static const char usage_text[] =
    "usage: hookbridgectl [-c FILE | --admin ADDRESS] [--json] COMMAND "
    "...\n";

static const char help_text[] =
    "\n"
    "  -c, --config FILE    configuration, - for stdin; default\n"
    "                       $HOOKBRIDGE_CONFIG, else\n"
    "                       " DEFAULT_CONFIG "\n"
    "      --admin ADDRESS  where the daemon is asked, unix:PATH; default: as\n"
    "                       the configuration says\n"
    "      --json           print JSON\n"
    "      --version        print the version\n"
    "  -h, --help           print this; behind a command, what it does\n";

static struct hb_ctl
default_ctl(void)
{
	const char *file = getenv("HOOKBRIDGE_CONFIG");
	bool given = file != NULL && *file != '\0';

	return (struct hb_ctl){ .config = given ? file : DEFAULT_CONFIG,
		.config_is_given = given };
}

/* Whether it is one of those that begin with this word. */
static bool
is_of(const struct hb_ctl_command *command, const char *word)
{
	size_t len = strlen(word);

	return strncmp(command->name, word, len) == 0 &&
	    command->name[len] == ' ';
}

/* All, or those that begin with a word. */
static void
list_commands(FILE *out, const char *word)
{
	for (size_t i = 0; commands[i].name != NULL; i++)
		if (word == NULL || is_of(&commands[i], word))
			fprintf(out, "  %-19s  %s\n", commands[i].name,
			    commands[i].summary);
}

static void HB_NORETURN
print_help(void)
{
	printf("%s\n", usage_text);
	list_commands(stdout, NULL);
	fputs(help_text, stdout);
	exit(hb_ctl_finish(EX_OK));
}

static void HB_NORETURN
print_version(void)
{
	puts("hookbridgectl " PACKAGE_VERSION);
	exit(hb_ctl_finish(EX_OK));
}

/* What stands before the command; its place is then optind. */
static void
parse_options(struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_VERSION = HB_CTL_OPT_OWN };
	static const struct option longs[] = {
		HB_CTL_ADMIN_OPTIONS,
		{ "version", no_argument, NULL, OPT_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			ctl->config = optarg;
			ctl->config_is_given = true;
			break;
		case HB_CTL_OPT_JSON:
			ctl->json = true;
			break;
		case HB_CTL_OPT_ADMIN:
			ctl->admin = optarg;
			break;
		case 'h':
			print_help();
		case OPT_VERSION:
			print_version();
		default: /* getopt has said what is wrong */
			fputs(usage_text, stderr);
			exit(EX_USAGE);
		}
	}
}

/* How many words of argv name this command; 0: another one. */
static int
match(const struct hb_ctl_command *command, int argc, char **argv)
{
	const char *name = command->name;
	int words = 0;

	for (;;) {
		size_t len = strcspn(name, " ");

		if (words == argc || strlen(argv[words]) != len ||
		    memcmp(argv[words], name, len) != 0)
			return 0;
		words++;
		if (name[len] == '\0')
			return words;
		name += len + 1;
	}
}

/* Names the commands that begin like this, the nearest, or all of them. */
static int
refuse(const char *word)
{
	const char *family = NULL;
	struct hb_near near;

	hb_near_init(&near, word);
	for (size_t i = 0; commands[i].name != NULL; i++) {
		hb_near_offer(&near, commands[i].name);
		if (is_of(&commands[i], word))
			family = word;
	}
	if (family == NULL && near.best != NULL)
		return hb_ctl_fail(EX_USAGE,
		    "there is no such command; did you mean \"%s\"?",
		    near.best);
	hb_ctl_fail(EX_USAGE, "there is no such command; these are there:");
	list_commands(stderr, family);
	return EX_USAGE;
}

static int
dispatch(struct hb_ctl *ctl, char *program, int argc, char **argv)
{
	for (size_t i = 0; commands[i].name != NULL; i++) {
		int words = match(&commands[i], argc, argv);

		if (words == 0)
			continue;
		ctl->command = &commands[i];
		if (ctl->admin != NULL && !commands[i].asks_daemon)
			return hb_ctl_usage(ctl, "--admin: %s asks no daemon",
			    commands[i].name);
		argv += words - 1;
		argv[0] = program; /* getopt puts it before its complaints */
		optind = 0; /* scan again, permuting now */
		return ctl->command->run(ctl, argc - words + 1, argv);
	}
	return refuse(argv[0]);
}

/* A bug, or no memory: has been told. */
static void
on_abort(int signum)
{
	(void)signum;
	_exit(EX_SOFTWARE);
}

int
main(int argc, char **argv)
{
	struct hb_ctl ctl = default_ctl();

	/* No secret leaves by a core dump or a debugger of our own user. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, on_abort);
	parse_options(&ctl, argc, argv);
	if (optind == argc) {
		fputs(usage_text, stderr);
		return EX_USAGE;
	}
	return dispatch(&ctl, argv[0], argc - optind, argv + optind);
}
