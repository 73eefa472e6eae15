/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - a non-blocking byte stream on a loop; plain now, TLS behind the
 * same calls later
 *
 * Reads go straight into the reader's memory; there is no buffer in between.
 * Readiness is level-triggered: a callback comes again while there is more.
 * Thread: the loop's. Owns: the descriptor.
 * Blocks: never; names are resolved by evdns. */
#ifndef HOOKBRIDGE_STREAM_H
#define HOOKBRIDGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hookbridge/error.h"

struct hb_loop;
struct hb_stream;
struct iovec;

enum {
	HB_STREAM_EOF = 0,
	HB_STREAM_AGAIN = -1, /* nothing now: wait for the callback */
	HB_STREAM_ERROR = -2  /* the stream is dead; errno says why */
};

struct hb_stream_ops {
	void (*on_readable)(void *arg);
	void (*on_writable)(void *arg);
	/* hb_stream_dial() only: connected (err NULL) or not. After a failure
	 * only hb_stream_close() may follow. */
	void (*on_connect)(void *arg, const struct hb_error *err);
};

/* Takes a connected, non-blocking descriptor. No callback until
 * hb_stream_want(). */
struct hb_stream *hb_stream_open(struct hb_loop *loop, int fd,
    const struct hb_stream_ops *ops, void *arg);
/* Connects to host:port (a name, an address, or with port 0 a Unix path);
 * on_connect always comes later, at the latest after timeout_ms. */
struct hb_stream *hb_stream_dial(struct hb_loop *loop, const char *host,
    unsigned port, unsigned timeout_ms, const struct hb_stream_ops *ops,
    void *arg);
/* May be called from inside any of the stream's callbacks. */
void hb_stream_close(struct hb_stream *stream);

/* Which callbacks are wanted from now on. */
void hb_stream_want(struct hb_stream *stream, bool read, bool write);

/* Bytes moved (> 0), or one of the words above. */
ssize_t hb_stream_read(struct hb_stream *stream, void *buf, size_t size);
ssize_t hb_stream_writev(struct hb_stream *stream, const struct iovec *iov,
    int count);
/* Sends FIN; reading goes on. */
void hb_stream_shutdown(struct hb_stream *stream);
/* Throws away what the peer has not taken yet, and lets hb_stream_close() send
 * a reset. */
void hb_stream_abort(struct hb_stream *stream);
int hb_stream_fd(const struct hb_stream *stream);

#endif
