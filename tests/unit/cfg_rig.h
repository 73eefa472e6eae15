/* SPDX-License-Identifier: Apache-2.0 */
/* cfg_rig.h - configurations loaded from a directory of the test's own
 *
 * A test program uses cfg_setup() and cfg_teardown() for its group. Reports are
 * compared without the directory and without the file's name, so that a line
 * reads "3:7: endpoints.e.mode: expected ...".
 *
 * The parts below make a whole configuration of four lines; what a case adds
 * begins in line 5. */
#ifndef HOOKBRIDGE_TESTS_CFG_RIG_H
#define HOOKBRIDGE_TESTS_CFG_RIG_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookbridge/cfg.h"
#include "hookbridge/mem.h"
#include "hookbridge/sink.h"

#define FILE_NAME "hookbridge.yaml"

#define LISTEN "listen: {address: \"127.0.0.1:8080\"}\n"
#define ENDPOINT(settings)                                              \
	"endpoints: {e: {path: /e, mode: svix, secrets: \"file:e.secret\"" \
	settings "}}\n"
#define SINKS "sinks: {f: {type: file, path: /f}}\n"
#define ROUTES "routes: [{to: {sink: f}}]\n"
#define BASE LISTEN ENDPOINT("") SINKS ROUTES

#define SECRET "whsec_Pz/oZ9k7mVvOq2mV3bYQ0sJxY0gq8k1c"
#define OTHER_SECRET "whsec_b2GHpB1yq0o0Vn8mGZcQz3w5Yt7uKx4e"
#define TOKEN "d1rect-t0ken-of-the-tests"

static char cfg_directory[32];

static inline const char *
cfg_path(const char *name)
{
	static char path[320];

	snprintf(path, sizeof(path), "%s/%.255s", cfg_directory, name);
	return path;
}

static inline void
cfg_write_mode(const char *name, const char *data, size_t len, mode_t mode)
{
	const char *path = cfg_path(name);
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static inline void
cfg_write(const char *name, const char *text)
{
	cfg_write_mode(name, text, strlen(text), 0600);
}

static inline int
cfg_setup(void **state)
{
	(void)state;
	snprintf(cfg_directory, sizeof(cfg_directory), "/tmp/test_cfg.XXXXXX");
	if (mkdtemp(cfg_directory) == NULL)
		return -1;
	unsetenv("CREDENTIALS_DIRECTORY");
	cfg_write("e.secret", SECRET "\n");
	cfg_write("other.secret", OTHER_SECRET "\n");
	cfg_write("token", TOKEN "\n");
	return 0;
}

static inline int
cfg_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", cfg_directory);
	return system(command);
}

/* Cuts every occurrence of a piece out of the text. */
static inline void
cfg_cut(char *text, const char *piece)
{
	char *found;

	while ((found = strstr(text, piece)) != NULL)
		memmove(found, found + strlen(piece),
		    strlen(found + strlen(piece)) + 1);
}

/* Whether the line of totals counts errors. */
static inline bool
cfg_has_errors(const char *report)
{
	const char *last = report;

	for (const char *c = report; *c != '\0'; c++)
		if (*c == '\n' && c[1] != '\0')
			last = c + 1;
	return strstr(last, " error") != NULL;
}

/* Loads the file; *report is for free(). */
static inline struct hb_config *
cfg_load_file(const char *name, char **report)
{
	size_t len;
	FILE *out = open_memstream(report, &len);
	char directory[80];
	struct hb_config *cfg;

	assert_non_null(out);
	cfg = hb_config_load(
	    name[0] == '/' ? name : cfg_path(name), hb_sink_types(), out);
	assert_int_equal(fclose(out), 0);
	snprintf(directory, sizeof(directory), "%s/", cfg_directory);
	cfg_cut(*report, directory);
	cfg_cut(*report, FILE_NAME ":");
	if ((cfg == NULL) != cfg_has_errors(*report))
		fail_msg("%s configuration, but:\n%s", cfg == NULL ? "no" : "a",
		    *report);
	return cfg;
}

static inline struct hb_config *
cfg_load(const char *yaml, char **report)
{
	cfg_write(FILE_NAME, yaml);
	return cfg_load_file(FILE_NAME, report);
}

/* A configuration without a fault. */
static inline struct hb_config *
cfg_load_good(const char *yaml)
{
	char *report;
	struct hb_config *cfg = cfg_load(yaml, &report);

	if (report[0] != '\0')
		fail_msg("%s\n%s", yaml, report);
	free(report);
	return cfg;
}

/* What a configuration makes the loader say, all of it. */
struct cfg_case {
	const char *yaml, *report;
};

static inline void
cfg_check(const struct cfg_case *c)
{
	char *report;
	struct hb_config *cfg = cfg_load(c->yaml, &report);

	if (strcmp(report, c->report) != 0)
		fail_msg("%s--- expected ---\n%s--- got ---\n%s", c->yaml,
		    c->report, report);
	free(report);
	hb_config_unref(cfg);
}

#define cfg_check_all(cases)                                   \
	do {                                                   \
		for (size_t c = 0; c < HB_COUNT(cases); c++)   \
			cfg_check(&(cases)[c]);                \
	} while (0)

/* The configuration in force; for free(). */
static inline char *
cfg_dump(const struct hb_config *cfg)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	hb_config_dump(cfg, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* A test of one table. */
#define CFG_TEST_OF(table)            \
	static void                   \
	test_##table(void **state)    \
	{                             \
		(void)state;          \
		cfg_check_all(table); \
	}

#endif
