/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - a fuzz target without libFuzzer: its seeds and past findings
 *
 * Calls the target with each file of $HB_TESTS/fuzz/corpus/X, where the program
 * is called fuzz_X, or with the files that are named; one line of TAP for
 * each. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "fuzz.h"

/* Targets that have nothing to prepare do without. */
int __attribute__((weak)) LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* In memory of exactly its size. */
static uint8_t *
read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long end;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 ||
	    (end = ftell(file)) < 0)
		hb_bug("%s: %s", path, strerror(errno));
	rewind(file);
	*size = (size_t)end;
	data = hb_xmalloc(*size);
	if (fread(data, 1, *size, file) != *size)
		hb_bug("%s: it has changed", path);
	fclose(file);
	return data;
}

static void
replay(const char *path, int number)
{
	size_t size;
	uint8_t *data = read_file(path, &size);

	/* Said before, so that the one that ends us is known. */
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	printf("ok %d\n", number);
	free(data);
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int
replay_all(const char *directory)
{
	struct dirent **entries;
	char path[4096];
	int count = scandir(directory, &entries, is_visible, alphasort);

	if (count <= 0)
		hb_bug("%s: no seeds", directory);
	for (int i = 0; i < count; i++) {
		snprintf(
		    path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		replay(path, i + 1);
		free(entries[i]);
	}
	free(entries);
	return count;
}

/* What the program is called behind "fuzz_"; directories may be called so,
 * too. */
static const char *
target_of(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = strstr(slash != NULL ? slash : program, "fuzz_");

	return name != NULL ? name + strlen("fuzz_") : "";
}

int
main(int argc, char **argv)
{
	const char *tests = getenv("HB_TESTS");
	int count = argc - 1;
	char directory[2048];

	/* A target may do away with the environment. */
	snprintf(directory, sizeof(directory), "%s/fuzz/corpus/%s",
	    tests != NULL ? tests : "tests", target_of(argv[0]));
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		replay(argv[i], i);
	if (argc == 1)
		count = replay_all(directory);
	printf("1..%d\n", count);
	return 0;
}
