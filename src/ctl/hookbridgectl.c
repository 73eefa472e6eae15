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
	{ NULL, NULL, NULL, NULL, NULL },
};

static const char usage_text[] =
    "usage: hookbridgectl [-c FILE] [--json] COMMAND ...\n";

static const char help_text[] =
    "\n"
    "  -c, --config FILE    configuration, - for stdin; default\n"
    "                       $HOOKBRIDGE_CONFIG, else\n"
    "                       " DEFAULT_CONFIG "\n"
    "      --json           print JSON\n"
    "      --version        print the version\n"
    "  -h, --help           print this; behind a command, what it does\n";

static const char *
default_config(void)
{
	const char *file = getenv("HOOKBRIDGE_CONFIG");

	return file != NULL && *file != '\0' ? file : DEFAULT_CONFIG;
}

static void
list_commands(FILE *out)
{
	for (size_t i = 0; commands[i].name != NULL; i++)
		fprintf(out, "  %-19s  %s\n", commands[i].name,
		    commands[i].summary);
}

static void HB_NORETURN
print_help(void)
{
	printf("%s\n", usage_text);
	list_commands(stdout);
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
		HB_CTL_OPTIONS,
		{ "version", no_argument, NULL, OPT_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			ctl->config = optarg;
			break;
		case HB_CTL_OPT_JSON:
			ctl->json = true;
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

/* Names the nearest command, or all of them. */
static int
refuse(const char *word)
{
	struct hb_near near;

	hb_near_init(&near, word);
	for (size_t i = 0; commands[i].name != NULL; i++)
		hb_near_offer(&near, commands[i].name);
	if (near.best != NULL)
		return hb_ctl_fail(EX_USAGE,
		    "there is no such command; did you mean \"%s\"?",
		    near.best);
	hb_ctl_fail(EX_USAGE, "there is no such command; these are there:");
	list_commands(stderr);
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
	struct hb_ctl ctl = { NULL, default_config(), false };

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
