/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the command line, then the daemon
 *
 * Exit codes are those of sysexits(3): 0 done, 1 the configuration is not
 * valid (-t, --dump-config), 64 usage, 66 no configuration file, 69 could not
 * start, 74 the output could not be written, 77 the configuration file may not
 * be read, 78 not started because of the configuration. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "hookbridge/cfg.h"
#include "hookbridge/daemon.h"
#include "hookbridge/log.h"
#include "hookbridge/mem.h"
#include "hookbridge/metric.h"
#include "hookbridge/sink.h"

#define DEFAULT_CONFIG HB_SYSCONFDIR "/hookbridge/hookbridge.yaml"

enum action { RUN, CHECK, DUMP };

struct options {
	const char *config;
	enum action action;
	int log_level; /* enum hb_log_level, or -1: as configured */
};

static const char usage_text[] =
    "usage: hookbridged [-c FILE] [-t] [--dump-config] [--log-level LEVEL]\n";

static const char help_text[] =
    "\n"
    "Receives the webhooks of Reducto jobs, verifies them, and publishes each\n"
    "as one event to Kafka topics, Redis streams or files.\n"
    "\n"
    "  -c, --config FILE    configuration, - for stdin; default\n"
    "                       $HOOKBRIDGE_CONFIG, else\n"
    "                       " DEFAULT_CONFIG "\n"
    "  -t, --test           check the configuration, print every error, exit\n"
    "      --dump-config    print the configuration in force, secrets\n"
    "                       redacted\n"
    "      --log-level L    error, warning, info or debug, whatever the\n"
    "                       configuration says\n"
    "      --version        print the version\n"
    "  -h, --help           print this\n"
    "\n"
    "SIGTERM and SIGINT stop it after what is in flight; SIGHUP reopens\n"
    "files.\n";

static void HB_NORETURN
usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "hookbridged: %s%s\n%s", what, arg, usage_text);
	exit(EX_USAGE);
}

static int
parse_level(const char *word)
{
	static const char *const words[] = { [HB_LOG_ERROR] = "error",
		[HB_LOG_WARNING] = "warning", [HB_LOG_INFO] = "info",
		[HB_LOG_DEBUG] = "debug" };

	for (size_t i = 0; i < HB_COUNT(words); i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	usage_error("--log-level: expected error, warning, info or debug, got ",
	    word);
}

static const char *
default_config(void)
{
	const char *file = getenv("HOOKBRIDGE_CONFIG");

	return file != NULL && *file != '\0' ? file : DEFAULT_CONFIG;
}

/* What was asked for has been printed, but perhaps not written. */
static int
finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	fprintf(stderr, "hookbridged: stdout: %s\n", strerror(errno));
	return EX_IOERR;
}

enum { OPT_DUMP = 256, OPT_LEVEL, OPT_VERSION }; /* without a letter */

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "dump-config", no_argument, NULL, OPT_DUMP },
	{ "log-level", required_argument, NULL, OPT_LEVEL },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static struct options
parse_options(int argc, char **argv)
{
	struct options opts = { default_config(), RUN, -1 };
	int c;

	while ((c = getopt_long(argc, argv, "c:th", long_options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			opts.config = optarg;
			break;
		case 't':
			opts.action = CHECK;
			break;
		case OPT_DUMP:
			opts.action = DUMP;
			break;
		case OPT_LEVEL:
			opts.log_level = parse_level(optarg);
			break;
		case OPT_VERSION:
			puts(PACKAGE_NAME " " PACKAGE_VERSION);
			exit(finish_output());
		case 'h':
			printf("%s%s", usage_text, help_text);
			exit(finish_output());
		default: /* getopt has said what is wrong */
			fputs(usage_text, stderr);
			exit(EX_USAGE);
		}
	}
	if (optind < argc)
		usage_error("unexpected argument ", argv[optind]);
	return opts;
}

/* Before any thread and any library: signals wait until the main loop takes
 * them, and no secret leaves by a core dump or a debugger of our own user. */
static void
prepare_process(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: EFBIG */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	hb_mem_init();
}

/* Why there is no configuration; what is wrong with it has been printed. */
static int
status_without(const struct options *opts)
{
	if (strcmp(opts->config, "-") != 0 && access(opts->config, R_OK) != 0)
		return errno == EACCES ? EX_NOPERM : EX_NOINPUT;
	return opts->action == RUN ? EX_CONFIG : EXIT_FAILURE;
}

static int
check(const struct hb_config *cfg)
{
	printf("%s: the configuration is valid\n", cfg->file);
	hb_daemon_advise(cfg, stdout);
	return finish_output();
}

static int
run(const struct hb_config *cfg)
{
	struct hb_error err;

	if (hb_daemon_run(cfg, &err)) {
		hb_metric_write(stderr);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "hookbridged: %s\n", err.text);
	return err.code == HB_E_CONFIG ? EX_CONFIG : EX_UNAVAILABLE;
}

int
main(int argc, char **argv)
{
	struct options opts = parse_options(argc, argv);
	struct hb_config *cfg;
	int status = EXIT_SUCCESS;

	prepare_process();
	cfg = hb_config_load(opts.config, hb_sink_types(), stderr);
	if (cfg == NULL)
		return status_without(&opts);
	if (opts.log_level >= 0)
		cfg->log.level = opts.log_level;
	hb_log_init((enum hb_log_level)cfg->log.level,
	    (enum hb_log_format)cfg->log.format);
	switch (opts.action) {
	case CHECK:
		status = check(cfg);
		break;
	case DUMP:
		hb_config_dump(cfg, stdout);
		status = finish_output();
		break;
	case RUN:
		status = run(cfg);
		break;
	}
	hb_config_unref(cfg);
	return status;
}
