/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - checks a directory
 *
 * Every segment is scanned to its end, sealed or not, so that each record's
 * bytes are checked, and compared with what its footer says. Nothing is
 * changed and nothing is locked: while a daemon writes there, the last segment
 * is seen as it is at some moment. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/mem.h"
#include "parts.h"

struct file {
	uint64_t number, size;
	bool has_header;
	struct hb_spool_header header;
	uint64_t limit; /* where a later one says that it ends */
};

struct verification {
	struct hb_spool_store store;
	struct hb_spool_check *check;
	void (*tell)(void *arg, const char *sentence);
	void *arg;
	struct file *files;
	size_t count, size;
	struct hb_spool_bits all, settled;
	uint64_t records; /* in the file that is being read */
};

HB_PRINTF(2, 3)
static void
say(const struct verification *v, const char *fmt, ...)
{
	char sentence[256];
	va_list ap;

	if (v->tell == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	v->tell(v->arg, sentence);
}

/* --- the files ------------------------------------------------------------ */

static void
on_file(void *arg, enum hb_spool_kind kind, uint64_t number, uint64_t size)
{
	struct verification *v = arg;

	if (kind == HB_SPOOL_QUARANTINED_FILE) {
		v->check->quarantined++;
		say(v, "%016llx.quarantined was set aside",
		    (unsigned long long)number);
	}
	if (kind != HB_SPOOL_SEGMENT_FILE)
		return;
	if (v->count == v->size) {
		v->size = v->size > 0 ? v->size * 2 : 64;
		v->files =
		    hb_xreallocarray(v->files, v->size, sizeof(*v->files));
	}
	v->files[v->count++] = (struct file){.number = number, .size = size};
}

static bool
read_header(struct verification *v, struct file *file, struct hb_error *err)
{
	int fd = hb_spool_store_read(&v->store, file->number, NULL, err);
	enum hb_spool_got_header got;

	if (fd < 0) /* the daemon has just recycled it */
		return errno == ENOENT;
	got = hb_spool_read_header(fd, &file->header);
	close(fd);
	if (got == HB_SPOOL_HEADER_FOREIGN)
		return hb_fail(err, HB_E_CONFIG,
		    "%s: segment %016llx is of another version of hookbridge",
		    v->store.path, (unsigned long long)file->number);
	file->has_header = got == HB_SPOOL_HEADER_GOOD &&
			   file->header.number == file->number;
	if (!file->has_header) {
		v->check->unreadable++;
		say(v, "%016llx.seg has no good header",
		    (unsigned long long)file->number);
	}
	return true;
}

static int
by_number(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static void
set_limit(struct verification *v, size_t place, const struct hb_spool_end *end)
{
	struct file key = {.number = end->number}, *older;

	older = bsearch(&key, v->files, place, sizeof(key), by_number);
	if (older != NULL)
		older->limit = end->offset;
}

static void
set_limits(struct verification *v)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct hb_spool_header *header = &v->files[i].header;

		for (size_t k = 0;
		     v->files[i].has_header && k < header->end_count; k++)
			set_limit(v, i, &header->ends[k]);
	}
}

/* --- one file ------------------------------------------------------------- */

static void
on_lane(void *arg, uint32_t number, struct hb_span name)
{
	(void)arg;
	(void)number;
	(void)name;
}

static void
on_settled(void *arg, const struct hb_spool_settled *settled)
{
	struct verification *v = arg;

	hb_spool_bits_add_settled(&v->settled, settled);
}

static void
on_data(void *arg, const struct hb_spool_entry *entry)
{
	struct verification *v = arg;

	v->records++;
	hb_spool_bits_add(&v->all, entry->seq);
}

static void
compare_footer(struct verification *v, const struct file *file,
    const struct hb_spool_footer *footer)
{
	uint64_t known = footer->trailer.entry_count;

	v->check->sealed++;
	if (known > v->records)
		say(v, "%016llx.seg: %llu of its %llu records cannot be read",
		    (unsigned long long)file->number,
		    (unsigned long long)(known - v->records),
		    (unsigned long long)known);
}

static void
check_file(struct verification *v, const struct file *file, int fd)
{
	const struct hb_spool_visitor visitor = {
	    on_lane, on_settled, on_data, v};
	struct hb_spool_footer footer;
	struct hb_spool_scan scan;
	bool is_sealed =
	    hb_spool_footer_read(fd, &file->header, file->size, &footer);

	v->records = 0;
	hb_spool_scan(fd, &file->header, file->size,
	    is_sealed ? footer.trailer.end : file->limit, &visitor, &scan);
	v->check->segments++;
	v->check->records += v->records;
	v->check->damaged += scan.damaged;
	if (scan.damaged > 0)
		say(v, "%016llx.seg is damaged in %llu places",
		    (unsigned long long)file->number,
		    (unsigned long long)scan.damaged);
	if (is_sealed) {
		compare_footer(v, file, &footer);
		hb_spool_footer_fini(&footer);
	}
}

static void
check_files(struct verification *v)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct file *file = &v->files[i];
		struct hb_error err;
		int fd;

		if (!file->has_header)
			continue;
		fd = hb_spool_store_read(&v->store, file->number, NULL, &err);
		if (fd < 0)
			continue;
		check_file(v, file, fd);
		close(fd);
	}
}

/* --- all of it ------------------------------------------------------------ */

static bool
verify(struct verification *v, struct hb_error *err)
{
	v->check->in_use = hb_spool_store_in_use(&v->store);
	if (!hb_spool_store_list(&v->store, on_file, v, err))
		return false;
	if (v->count == 0)
		return true;
	qsort(v->files, v->count, sizeof(*v->files), by_number);
	for (size_t i = 0; i < v->count; i++)
		if (!read_header(v, &v->files[i], err))
			return false;
	set_limits(v);
	check_files(v);
	v->check->unsettled = hb_spool_bits_count_beyond(&v->all, &v->settled);
	return true;
}

bool
hb_spool_verify(const char *directory, struct hb_spool_check *check,
    void (*tell)(void *arg, const char *sentence), void *arg,
    struct hb_error *err)
{
	struct verification v = {.check = check, .tell = tell, .arg = arg};
	bool ok;

	*check = (struct hb_spool_check){0};
	v.store.dir = v.store.lock = -1;
	ok = hb_spool_store_open(&v.store, directory, false, err) &&
	     verify(&v, err);
	hb_spool_store_close(&v.store);
	hb_spool_bits_fini(&v.all);
	hb_spool_bits_fini(&v.settled);
	free(v.files);
	return ok;
}
