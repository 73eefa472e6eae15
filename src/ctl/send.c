/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - "send": signs webhooks as Svix does and posts them to the daemon */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ctl.h"
#include "hookbridge/secret.h"
#include "send.h"

#define BODY_MAX ((size_t)64 << 20)
#define COUNT_MAX 10000000
#define RATE_MAX 1e6
#define CONCURRENCY_MAX 1000
/* With a rate: many enough that a slow answer keeps no letter waiting. */
#define OPEN_LOOP_CONCURRENCY 100

const char hb_ctl_send_help[] =
    "Posts a webhook to the daemon, signed with the newest secret that the\n"
    "configuration gives ENDPOINT, or with its token in mode direct. BODY is\n"
    "a file, - for stdin; default: a finished job, each with its own job_id.\n"
    "\n"
    "      --count N        how many, each with an id of its own; default 1\n"
    "      --rate R         so many a second, whether answered or not;\n"
    "                       default: the next one when one is answered\n"
    "      --concurrency N  so many on their way at a time; default 1, with a\n"
    "                       rate 100\n"
    "      --secret S       another secret: file:NAME, env:NAME, or - for\n"
    "                       stdin\n"
    "      --url U          to this URL instead of the daemon's listener\n";

struct order {
	const char *endpoint;
	const char *body; /* NULL: the sample */
	const char *url;
	const char *secret; /* where it is; NULL: the endpoint's own */
	uint64_t count, concurrency;
	double rate;
};

/* --- the order ------------------------------------------------------------ */

static bool
read_uint(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
	    errno == 0 && *out >= 1 && *out <= max;
}

static bool
read_rate(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
	    isfinite(*out) && *out > 0 && *out <= RATE_MAX;
}

static bool
is_stdin(const char *word)
{
	return word != NULL && strcmp(word, "-") == 0;
}

/* Of configuration, body and secret one may come from there. */
static bool
check_stdin(const struct order *order, const struct hb_ctl *ctl)
{
	if (!is_stdin(order->secret) ||
	    (!is_stdin(order->body) && !is_stdin(ctl->config)))
		return true;
	hb_ctl_usage(ctl, "stdin cannot be the secret and something else; "
	    "name a file");
	return false;
}

static bool
read_words(struct order *order, const struct hb_ctl *ctl, int argc,
    char **argv)
{
	if (optind == argc) {
		hb_ctl_usage(ctl, "name an endpoint of the configuration");
		return false;
	}
	if (optind + 2 < argc) {
		hb_ctl_usage(ctl, "unexpected word behind ENDPOINT and BODY");
		return false;
	}
	order->endpoint = argv[optind];
	order->body = argv[optind + 1];
	if (order->concurrency == 0)
		order->concurrency =
		    order->rate > 0 ? OPEN_LOOP_CONCURRENCY : 1;
	if (order->concurrency > order->count)
		order->concurrency = order->count;
	return check_stdin(order, ctl);
}

/* False after a usage error that has been told. */
static bool
read_order(struct order *order, struct hb_ctl *ctl, int argc, char **argv)
{
	enum { OPT_COUNT = HB_CTL_OPT_OWN, OPT_RATE, OPT_CONCURRENCY,
		OPT_SECRET, OPT_URL };
	static const struct option longs[] = {
		HB_CTL_OPTIONS,
		{ "count", required_argument, NULL, OPT_COUNT },
		{ "rate", required_argument, NULL, OPT_RATE },
		{ "concurrency", required_argument, NULL, OPT_CONCURRENCY },
		{ "secret", required_argument, NULL, OPT_SECRET },
		{ "url", required_argument, NULL, OPT_URL },
		{ NULL, 0, NULL, 0 },
	};
	const char *wrong = NULL;
	int c;

	while ((c = hb_ctl_getopt(ctl, argc, argv, longs)) != -1) {
		if (c == OPT_COUNT && !read_uint(optarg, COUNT_MAX,
		    &order->count))
			wrong = "--count: expected a number from 1 to 10000000";
		else if (c == OPT_RATE && !read_rate(optarg, &order->rate))
			wrong = "--rate: expected webhooks a second, such as "
				"50 or 0.5";
		else if (c == OPT_CONCURRENCY && !read_uint(optarg,
		    CONCURRENCY_MAX, &order->concurrency))
			wrong = "--concurrency: expected a number from 1 to "
				"1000";
		else if (c == OPT_SECRET && !is_stdin(optarg) &&
		    !hb_secret_is_source(optarg))
			/* Not even repeated: it may be the secret. */
			wrong = "--secret: expected file:NAME, env:NAME or -; "
				"others see what a command line says";
		else if (c == OPT_SECRET)
			order->secret = optarg;
		else if (c == OPT_URL)
			order->url = optarg;
		else if (c == '?')
			return false;
	}
	if (wrong != NULL) {
		hb_ctl_usage(ctl, "%s", wrong);
		return false;
	}
	return read_words(order, ctl, argc, argv);
}

/* --- carrying it out ------------------------------------------------------ */

static const char *
directory_of(struct hb_arena *arena, const char *config)
{
	const char *slash = strrchr(config, '/');

	if (slash == NULL)
		return ".";
	return hb_arena_dup(arena, hb_span_make(config,
	    slash > config ? (size_t)(slash - config) : 1)).ptr;
}

/* The secret that was given; the absent span when none was, and false after a
 * fault that has been told. */
static bool
given_secret(const struct hb_ctl *ctl, const struct order *order,
    struct hb_arena *arena, struct hb_span *out)
{
	const struct hb_secret *secret;

	*out = HB_SPAN_NONE;
	if (order->secret == NULL)
		return true;
	secret = hb_secret_read(arena, order->secret,
	    directory_of(arena, ctl->config), "--secret", stderr);
	if (secret == NULL)
		return false;
	if (hb_token_judge(secret) == HB_TOKEN_CONTROL) {
		hb_ctl_fail(EX_CONFIG, "--secret: it has several lines or "
		    "control characters; give the secret alone");
		return false;
	}
	*out = hb_span_make((const char *)secret->data, secret->len);
	return true;
}

/* A descriptor for each connection, where the system lets us. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* What was given up may have been accepted or not. */
static int
status_of(const struct hb_pace *pace)
{
	const struct hb_score *score = pace->score;

	if (hb_score_status(score) == EX_OK && score->accepted < pace->sent)
		return EX_TEMPFAIL;
	return hb_score_status(score);
}

static int
report(const struct hb_ctl *ctl, const struct hb_pace *pace)
{
	struct hb_score *score = pace->score;
	bool is_signed = pace->stationery->proof->key != NULL;
	struct hb_summary summary = { .score = score,
		.to = pace->address->shown,
		.id = pace->count == 1 && is_signed ? pace->last_id : NULL,
		.wanted = pace->count,
		.sent = pace->sent,
		.took_us = pace->took_us };
	const char *remedy;
	int status = EX_OK;

	hb_score_close(score);
	remedy = hb_summary_remedy(score);
	if (ctl->json)
		status = hb_summary_print_json(&summary);
	else
		hb_summary_print(&summary);
	status = hb_ctl_finish(status);
	if (remedy != NULL)
		hb_ctl_fail(EX_OK, "%s", remedy);
	return status != EX_OK ? status : status_of(pace);
}

static int
send_all(const struct hb_ctl *ctl, const struct order *order,
    const struct hb_stationery *stationery, const struct hb_address *address)
{
	struct hb_score score;
	struct hb_pace pace = { .stationery = stationery,
		.address = address,
		.score = &score,
		.count = order->count,
		.rate = order->rate,
		.concurrency = (unsigned)order->concurrency,
		.show_progress = isatty(STDERR_FILENO) };
	int status;

	raise_file_limit();
	hb_score_init(&score);
	hb_pace_run(&pace);
	status = report(ctl, &pace);
	hb_score_fini(&score);
	return status;
}

/* What is sent and where is known: the rest can only fail on the way. */
static int
prepare(const struct hb_ctl *ctl, const struct order *order,
    struct hb_arena *arena, const struct hb_config *cfg,
    const struct hb_endpoint_conf *endpoint, struct hb_span body)
{
	struct hb_stationery stationery;
	struct hb_address address;
	struct hb_proof proof;
	struct hb_span secret;
	struct hb_error err;
	int status;

	if (!given_secret(ctl, order, arena, &secret))
		return EX_CONFIG;
	if (!hb_proof_init(&proof, endpoint, secret, &err))
		return hb_ctl_fail(EX_CONFIG, "%s", err.text);
	if (!hb_address_make(&address, arena, cfg, endpoint, order->url,
		proof.token, &err) ||
	    !hb_stationery_init(&stationery, arena, endpoint, &proof, body,
		&err)) {
		status = hb_ctl_fail(
		    err.code == HB_E_REJECT ? EXIT_FAILURE : EX_CONFIG, "%s",
		    err.text);
	} else {
		status = send_all(ctl, order, &stationery, &address);
		hb_stationery_fini(&stationery);
	}
	hb_proof_fini(&proof);
	return status;
}

static int
carry_out(const struct hb_ctl *ctl, const struct order *order,
    const struct hb_config *cfg)
{
	const struct hb_endpoint_conf *endpoint;
	struct hb_span body = HB_SPAN_NONE;
	struct hb_arena *arena;
	int status = EX_USAGE;

	endpoint = hb_ctl_endpoint(cfg, order->endpoint, &status);
	if (endpoint == NULL)
		return status;
	if (order->body != NULL) {
		body = hb_ctl_read(ctl, order->body, BODY_MAX, &status);
		if (!hb_span_is_set(body))
			return status;
	}
	arena = hb_arena_new(4096);
	status = prepare(ctl, order, arena, cfg, endpoint, body);
	hb_arena_free(arena);
	free((char *)body.ptr);
	return status;
}

int
hb_ctl_send(struct hb_ctl *ctl, int argc, char **argv)
{
	struct order order = { .count = 1 };
	struct hb_config *cfg = NULL;
	int status = EX_USAGE;

	if (read_order(&order, ctl, argc, argv))
		cfg = hb_ctl_load(ctl, &status);
	if (cfg != NULL)
		status = carry_out(ctl, &order, cfg);
	hb_config_unref(cfg);
	return status;
}
