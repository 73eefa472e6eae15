/* SPDX-License-Identifier: Apache-2.0 */
/* claims.c - bodies kept as files: the list, and one of them
 *
 * A body goes out piece by piece, the next when the socket has taken the last,
 * so that it is never in memory as a whole. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "hookbridge/claim.h"
#include "hookbridge/mem.h"
#include "parts.h"

#define PIECE ((size_t)64 * 1024)

static bool
has_claims(struct hb_call *call)
{
	return call->admin->env.claims != NULL ||
	    hb_admin_refuse(call, 404,
		"there are no claims: claims.directory is not configured");
}

/* --- the list ------------------------------------------------------------- */

static void
add(void *arg, const struct hb_claim_file *file)
{
	json_t *doc = json_pack("{s:s}", "digest", file->digest);

	hb_admin_set(doc, "endpoint", hb_span_of(file->endpoint));
	json_object_update_new(doc,
	    json_pack("{s:I,s:I}", "size", (json_int_t)file->size, "kept_ms",
		(json_int_t)file->kept_ms));
	json_array_append_new(arg, doc);
}

void
hb_admin_claim_list(struct hb_call *call)
{
	struct hb_error err;
	json_t *list;

	if (!has_claims(call))
		return;
	list = json_array();
	if (hb_claims_list(call->admin->env.claims, add, list, &err)) {
		hb_admin_say(call, 200, json_pack("{s:o}", "claims", list));
		return;
	}
	json_decref(list);
	hb_admin_refuse_error(call, &err);
}

/* --- one of them ---------------------------------------------------------- */

struct download {
	int fd;
	uint64_t left;
	char piece[PIECE];
};

static void
download_free(void *work)
{
	struct download *d = work;

	close(d->fd);
	free(d);
}

/* The next piece; 0: the file cannot be read to its end. */
static size_t
read_piece(struct download *d)
{
	size_t want = d->left < PIECE ? (size_t)d->left : PIECE;
	ssize_t n;

	do
		n = read(d->fd, d->piece, want);
	while (n < 0 && errno == EINTR);
	return n > 0 ? (size_t)n : 0;
}

/* Sends what the socket takes; the last piece ends the call. */
static void
pump(struct hb_call *call)
{
	struct download *d = call->work;

	while (d->left > 0 && hb_http_backlog(call->req) == 0) {
		size_t n = read_piece(d);

		d->left -= n;
		if (n == 0) {
			hb_http_cut(call->req);
			return;
		}
		if (!hb_http_piece(call->req, hb_span_make(d->piece, n))) {
			hb_http_end(call->req);
			return;
		}
	}
	if (d->left == 0)
		hb_http_end(call->req);
}

static void
on_left(struct hb_call *call)
{
	hb_http_end(call->req);
}

void
hb_admin_claim_get(struct hb_call *call)
{
	static const struct hb_call_work work = {
		.on_drained = pump, .on_left = on_left, .free = download_free
	};
	const struct hb_http_reply reply = { .code = 200,
		.media_type = "application/octet-stream" };
	struct download *d;
	struct hb_error err;
	uint64_t size;
	int fd;

	if (!has_claims(call))
		return;
	fd = hb_claims_read(call->admin->env.claims, call->part, &size, &err);
	if (fd < 0) {
		if (err.code == HB_E_REJECT)
			hb_admin_refuse(call, 404, "%s", err.text);
		else
			hb_admin_refuse_error(call, &err);
		return;
	}
	d = hb_xmalloc(sizeof(*d));
	d->fd = fd;
	d->left = hb_admin_is_head(call) ? 0 : size;
	call->doing = &work;
	call->work = d;
	if (hb_http_begin(call->req, &reply))
		pump(call);
	else
		hb_http_end(call->req);
}
