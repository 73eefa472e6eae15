/* SPDX-License-Identifier: Apache-2.0 */
/* redis_out.c - RESP that waits to be written
 *
 * The output is one sequence of bytes, counted from the connection's first:
 * `sent` of `end` are written. What is small is copied into one text buffer;
 * what is large stays where it is and is a reference, which knows at which
 * byte of the sequence it begins:
 *
 *   text  *5 … $4 data $20000  │ \r\n *5 … $4 data $30000  │ \r\n
 *   refs                       └─ at 312, 20000 bytes      └─ at 20640, 30000
 *
 * What is referred to has to stay until it is written, or the output wiped. */
#include <stdlib.h>
#include <sys/uio.h>

#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "redis.h"

#define REF_MIN ((size_t)16 * 1024)
#define TEXT_MIN ((size_t)16 * 1024)
/* A larger buffer is not kept once it is empty. */
#define TEXT_KEPT ((size_t)1024 * 1024)
#define NUMBER_MAX 20 /* digits of 2^64 */
#define PREFIX_MAX (1 + NUMBER_MAX + 2)

/* --- making and clearing -------------------------------------------------- */

void
hb_redis_out_fini(struct hb_redis_out *out)
{
	free(out->refs);
	if (out->text != NULL)
		hb_wipe(out->text, out->size);
	free(out->text);
	*out = (struct hb_redis_out){0};
}

void
hb_redis_out_wipe(struct hb_redis_out *out)
{
	out->ref_head = out->ref_tail = 0;
	if (out->text != NULL)
		hb_wipe(out->text, out->size);
	out->head = out->tail = 0;
	out->end = out->sent = 0;
}

/* --- text ----------------------------------------------------------------- */

/* Bytes are moved to the front only where that frees as many. */
static void
make_room(struct hb_redis_out *out, size_t len)
{
	size_t used = out->tail - out->head;

	if (out->head > 0 && out->head >= used) {
		memmove(out->text, out->text + out->head, used);
		out->head = 0;
		out->tail = used;
		if (out->size - used >= len)
			return;
	}
	if (out->size == 0)
		out->size = TEXT_MIN;
	while (out->size - out->tail < len)
		out->size *= 2;
	out->text = hb_xrealloc(out->text, out->size);
}

void
hb_redis_out_reserve(struct hb_redis_out *out, size_t len)
{
	if (out->size - out->tail < len)
		make_room(out, len);
}

/* The room is reserved. */
static void
append(struct hb_redis_out *out, const char *ptr, size_t len)
{
	if (len == 0)
		return;
	memcpy(out->text + out->tail, ptr, len);
	out->tail += len;
	out->end += len;
}

/* In decimal; returns where the digits end. */
static char *
put_number(char *pos, uint64_t number)
{
	if (number >= 10)
		pos = put_number(pos, number / 10);
	*pos = (char)('0' + number % 10);
	return pos + 1;
}

/* "*12\r\n" or "$12\r\n", in room that is reserved. */
static void
append_prefix(struct hb_redis_out *out, char sign, uint64_t number)
{
	char *start = out->text + out->tail, *pos;

	start[0] = sign;
	pos = put_number(start + 1, number);
	pos[0] = '\r';
	pos[1] = '\n';
	out->tail += (size_t)(pos + 2 - start);
	out->end += (size_t)(pos + 2 - start);
}

void
hb_redis_out_array(struct hb_redis_out *out, size_t count)
{
	hb_redis_out_reserve(out, PREFIX_MAX);
	append_prefix(out, '*', count);
}

void
hb_redis_out_bulk(struct hb_redis_out *out, struct hb_span arg)
{
	hb_redis_out_reserve(out, PREFIX_MAX + arg.len + 2);
	append_prefix(out, '$', arg.len);
	append(out, arg.ptr, arg.len);
	append(out, "\r\n", 2);
}

void
hb_redis_out_number(struct hb_redis_out *out, uint64_t number)
{
	char digits[NUMBER_MAX];
	char *end = put_number(digits, number);

	hb_redis_out_bulk(out, hb_span_make(digits, (size_t)(end - digits)));
}

/* --- references ----------------------------------------------------------- */

static struct hb_redis_ref *
add_ref(struct hb_redis_out *out)
{
	size_t used = out->ref_tail - out->ref_head;

	if (out->ref_tail == out->ref_size && out->ref_head > 0) {
		memmove(out->refs, out->refs + out->ref_head,
		    used * sizeof(*out->refs));
		out->ref_head = 0;
		out->ref_tail = used;
	} else if (out->ref_tail == out->ref_size) {
		out->ref_size = out->ref_size * 2 + 8;
		out->refs = hb_xreallocarray(
		    out->refs, out->ref_size, sizeof(*out->refs));
	}
	return &out->refs[out->ref_tail++];
}

void
hb_redis_out_large(struct hb_redis_out *out, struct hb_span arg)
{
	if (arg.len < REF_MIN) {
		hb_redis_out_bulk(out, arg);
		return;
	}
	hb_redis_out_reserve(out, PREFIX_MAX + 2);
	append_prefix(out, '$', arg.len);
	*add_ref(out) = (struct hb_redis_ref){
	    .at = out->end, .ptr = arg.ptr, .len = arg.len};
	out->end += arg.len;
	append(out, "\r\n", 2);
}

/* --- writing -------------------------------------------------------------- */

int
hb_redis_out_iov(const struct hb_redis_out *out, struct iovec *iov, int max)
{
	char *text = out->text + out->head;
	uint64_t pos = out->sent;
	size_t i = out->ref_head;
	int n = 0;

	for (; i < out->ref_tail && n + 2 <= max; i++) {
		const struct hb_redis_ref *ref = &out->refs[i];
		size_t gap = pos < ref->at ? (size_t)(ref->at - pos) : 0;
		size_t begun = pos > ref->at ? (size_t)(pos - ref->at) : 0;

		if (gap > 0)
			iov[n++] = (struct iovec){text, gap};
		iov[n++] = (struct iovec){
		    (char *)(uintptr_t)ref->ptr + begun, ref->len - begun};
		text += gap;
		pos = ref->at + ref->len;
	}
	if (i == out->ref_tail && n < max && pos < out->end)
		iov[n++] = (struct iovec){text, (size_t)(out->end - pos)};
	return n;
}

/* The buffer is empty: gives back what a burst has made of it. */
static void
restart_text(struct hb_redis_out *out)
{
	out->head = out->tail = 0;
	if (out->size <= TEXT_KEPT)
		return;
	free(out->text);
	out->text = NULL;
	out->size = 0;
}

void
hb_redis_out_advance(struct hb_redis_out *out, size_t len)
{
	uint64_t from = out->sent, to = from + len;
	size_t of_text = len;

	while (out->ref_head < out->ref_tail) {
		const struct hb_redis_ref *ref = &out->refs[out->ref_head];
		uint64_t ref_end = ref->at + ref->len;

		if (ref->at >= to)
			break;
		of_text -= (size_t)((ref_end < to ? ref_end : to) -
				    (ref->at > from ? ref->at : from));
		if (ref_end > to)
			break;
		out->ref_head++;
	}
	if (out->ref_head == out->ref_tail)
		out->ref_head = out->ref_tail = 0;
	out->sent = to;
	out->head += of_text;
	if (out->head == out->tail)
		restart_text(out);
}
