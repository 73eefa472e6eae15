/* SPDX-License-Identifier: Apache-2.0 */
/* allocations.c - counts the allocations of a program, thread by thread
 *
 * Preloaded (LD_PRELOAD), it stands before glibc's malloc. The counts are in
 * the file that the environment names in HB_ALLOCATIONS, for others to read
 * while the program runs: SLOTS records of 16 bytes in the machine's order,
 *
 *   thread  8   its id, 0: nobody's
 *   count   8   calls of malloc, calloc and the like, and of realloc
 *
 * A thread takes the next slot with its first allocation and keeps it. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 64
#define EXPORT __attribute__((visibility("default")))

struct slot {
	_Atomic uint64_t thread;
	_Atomic uint64_t count;
};

/* glibc's own, by the names that it keeps for such as us. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct slot slots_before[SLOTS]; /* until the file is there */
static struct slot *slots = slots_before;
static _Atomic unsigned next;
static _Thread_local struct slot *mine;

/* Before main(): the slots move into the file. */
static void __attribute__((constructor))
open_file(void)
{
	const char *path = getenv("HB_ALLOCATIONS");
	int fd;
	void *map;

	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(slots_before)) != 0)
		_exit(EXIT_FAILURE);
	map = mmap(NULL, sizeof(slots_before), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		_exit(EXIT_FAILURE);
	close(fd);
	slots = map;
	next = 0;
	mine = NULL;
}

static void
count(void)
{
	unsigned slot;

	if (mine == NULL) {
		slot = atomic_fetch_add(&next, 1);
		mine = &slots[slot < SLOTS ? slot : SLOTS - 1];
		atomic_store(&mine->thread, (uint64_t)gettid());
	}
	atomic_fetch_add_explicit(&mine->count, 1, memory_order_relaxed);
}

EXPORT void *
malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

EXPORT void *
calloc(size_t number, size_t size)
{
	count();
	return __libc_calloc(number, size);
}

EXPORT void *
realloc(void *old, size_t size)
{
	count();
	return __libc_realloc(old, size);
}

EXPORT void *
memalign(size_t alignment, size_t size)
{
	count();
	return __libc_memalign(alignment, size);
}

EXPORT void *
aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

EXPORT int
posix_memalign(void **out, size_t alignment, size_t size)
{
	*out = memalign(alignment, size);
	return *out != NULL ? 0 : ENOMEM;
}
