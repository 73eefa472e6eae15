/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - bytes that grow by doubling, so that each is copied once or twice */
#include <stdlib.h>

#include "hookbridge/mem.h"
#include "parts.h"

uint8_t *
hb_spool_buf_add(struct hb_spool_buf *buf, size_t len)
{
	uint8_t *added;

	if (len > buf->size - buf->len) {
		size_t size = buf->size > 0 ? buf->size : HB_SPOOL_BLOCK;

		while (size - buf->len < len)
			size *= 2;
		buf->ptr = hb_xrealloc(buf->ptr, size);
		buf->size = size;
	}
	added = buf->ptr + buf->len;
	buf->len += len;
	return added;
}

void
hb_spool_buf_fini(struct hb_spool_buf *buf)
{
	free(buf->ptr);
	*buf = (struct hb_spool_buf){0};
}
