/* SPDX-License-Identifier: Apache-2.0 */
/* vault.c - memory for secrets
 *
 * Pages of their own, which are kept out of the swap and out of core dumps and
 * are wiped before the system gets them back. A limit on locked memory is no
 * reason not to start: what cannot be locked is only less well hidden. */
#include <sys/mman.h>

#include "hookbridge/crypto.h"
#include "load.h"

#define VAULT_SIZE 16384

struct hb_vault {
	size_t used;
	char room[];
};

static void
on_free(void *arg)
{
	hb_wipe(arg, VAULT_SIZE);
	(void)munmap(arg, VAULT_SIZE);
}

static struct hb_vault *
new_vault(struct hb_arena *arena)
{
	struct hb_vault *vault = mmap(NULL, VAULT_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (vault == MAP_FAILED)
		hb_bug("no memory for secrets");
	(void)mlock(vault, VAULT_SIZE);
	(void)madvise(vault, VAULT_SIZE, MADV_DONTDUMP);
	hb_arena_on_free(arena, on_free, vault);
	return vault;
}

/* As long-lived as the configuration; for bytes only: not aligned. */
void *
hb_vault_alloc(struct hb_load *ld, size_t size)
{
	const size_t room = VAULT_SIZE - sizeof(struct hb_vault);
	char *ptr;

	if (size > room)
		hb_bug("a secret of %zu bytes", size);
	if (ld->vault == NULL || size > room - ld->vault->used)
		ld->vault = new_vault(ld->arena);
	ptr = ld->vault->room + ld->vault->used;
	ld->vault->used += size;
	return ptr;
}
