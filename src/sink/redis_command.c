/* SPDX-License-Identifier: Apache-2.0 */
/* redis_command.c - a message as XADD or as the idempotent script
 *
 * An entry has a field for each header of the message, then `data`, its value:
 *
 *   XADD stream [MAXLEN ~ n] * ce_id msg_1 … content-type application/json
 *       data {…}
 *
 * A target with `idempotent` adds by a script instead, which remembers under a
 * key of its own which entry an event has become, and adds nothing while it
 * remembers. That key is
 *
 *   hb:dedup:{TAG}:HEX     TAG: the stream's own hash tag, else its name,
 *                          so that a cluster keeps both in one slot
 *                          HEX: SHA-256 of stream, endpoint and event id,
 *                          each after its length as four bytes, big-endian
 *
 * Dead letters are always added: two copies of one event may say different
 * things. */
#include "hookbridge/crypto.h"
#include "hookbridge/mem.h"
#include "redis.h"

/* KEYS: memory, stream. ARGV: how long it lasts in ms, then what XADD takes
 * after the stream. Errors come back as they are (pcall); that the memory
 * could not be written is none, the entry is there. */
const char hb_redis_script[] =
    "local known = redis.pcall('GET', KEYS[1])\n"
    "if known then return known end\n"
    "local entry = redis.pcall('XADD', KEYS[2], unpack(ARGV, 2))\n"
    "if type(entry) == 'string' then\n"
    "  redis.pcall('SET', KEYS[1], entry, 'PX', ARGV[1])\n"
    "end\n"
    "return entry\n";
/* `redis-cli script load` tells it; test_sink_redis.c compares. */
const char hb_redis_script_sha1[] = "8d403e41b9d218984aeb258beab143f69a7ee7f2";

static const struct hb_redis_target *
target_of(const struct hb_message *msg)
{
	return msg->target->settings;
}

enum hb_redis_kind
hb_redis_kind_for(const struct hb_message *msg)
{
	if (target_of(msg)->idempotent_ms == 0 || msg->dead_letter ||
	    !msg->dedup)
		return HB_REDIS_XADD;
	return HB_REDIS_EVALSHA;
}

size_t
hb_redis_message_size(const struct hb_message *msg)
{
	size_t size = 128 + strlen(msg->dest->name) + msg->value.len;

	for (size_t i = 0; i < msg->header_count; i++)
		size +=
		    16 + msg->headers[i].name.len + msg->headers[i].value.len;
	return size;
}

/* --- the script's key ----------------------------------------------------- */

/* What a cluster takes the slot of: the text in the first braces, unless there
 * is none. */
static struct hb_span
tag_of(struct hb_span stream)
{
	const char *open = memchr(stream.ptr, '{', stream.len);
	const char *close;
	struct hb_span rest;

	if (open == NULL)
		return stream;
	rest = hb_span_skip(stream, (size_t)(open - stream.ptr) + 1);
	close = memchr(rest.ptr, '}', rest.len);
	if (close == NULL || close == rest.ptr)
		return stream;
	return hb_span_make(rest.ptr, (size_t)(close - rest.ptr));
}

static void
put_length(char out[4], size_t len)
{
	for (int i = 3; i >= 0; i--, len >>= 8)
		out[i] = (char)(len & 0xff);
}

size_t
hb_redis_dedup_key(const struct hb_dest_conf *dest, struct hb_span endpoint,
    struct hb_span id, char out[HB_REDIS_DEDUP_KEY_MAX])
{
	const struct hb_span parts[] = {
	    hb_span_of(dest->name), endpoint, id};
	struct hb_span pieces[2 * HB_COUNT(parts)];
	char lengths[HB_COUNT(parts)][4];
	uint8_t digest[HB_SHA256_SIZE];
	int len;

	for (size_t i = 0; i < HB_COUNT(parts); i++) {
		put_length(lengths[i], parts[i].len);
		pieces[2 * i] = hb_span_make(lengths[i], 4);
		pieces[2 * i + 1] = parts[i];
	}
	hb_sha256_pieces(pieces, HB_COUNT(pieces), digest);
	len = snprintf(out, HB_REDIS_DEDUP_KEY_MAX,
	    "hb:dedup:{%.*s}:", HB_SPAN_ARG(tag_of(parts[0])));
	hb_hex(digest, sizeof(digest), out + len);
	return (size_t)len + 2 * sizeof(digest);
}

/* --- commands ------------------------------------------------------------- */

/* Arguments of XADD behind the stream. */
static size_t
count_entry(const struct hb_message *msg)
{
	return (target_of(msg)->maxlen > 0 ? 3u : 0u) + 1u +
	       2 * (msg->header_count + 1);
}

static void
put_entry(struct hb_redis_out *out, const struct hb_message *msg)
{
	if (target_of(msg)->maxlen > 0) {
		hb_redis_out_bulk(out, HB_SPAN("MAXLEN"));
		hb_redis_out_bulk(out, HB_SPAN("~"));
		hb_redis_out_number(out, target_of(msg)->maxlen);
	}
	hb_redis_out_bulk(out, HB_SPAN("*"));
	for (size_t i = 0; i < msg->header_count; i++) {
		hb_redis_out_bulk(out, msg->headers[i].name);
		hb_redis_out_large(out, msg->headers[i].value);
	}
	hb_redis_out_bulk(out, HB_SPAN("data"));
	hb_redis_out_large(out, msg->value);
}

static void
put_script(struct hb_redis_out *out, enum hb_redis_kind kind,
    const struct hb_message *msg)
{
	char key[HB_REDIS_DEDUP_KEY_MAX];
	size_t key_len =
	    hb_redis_dedup_key(msg->dest, msg->endpoint, msg->id, key);

	hb_redis_out_array(out, 6 + count_entry(msg));
	if (kind == HB_REDIS_EVALSHA) {
		hb_redis_out_bulk(out, HB_SPAN("EVALSHA"));
		hb_redis_out_bulk(out, hb_span_of(hb_redis_script_sha1));
	} else {
		hb_redis_out_bulk(out, HB_SPAN("EVAL"));
		hb_redis_out_bulk(out, hb_span_of(hb_redis_script));
	}
	hb_redis_out_number(out, 2);
	hb_redis_out_bulk(out, hb_span_make(key, key_len));
	hb_redis_out_bulk(out, hb_span_of(msg->dest->name));
	hb_redis_out_number(out, target_of(msg)->idempotent_ms);
}

void
hb_redis_put_message(struct hb_redis_out *out, enum hb_redis_kind kind,
    const struct hb_message *msg)
{
	if (kind == HB_REDIS_XADD) {
		hb_redis_out_array(out, 2 + count_entry(msg));
		hb_redis_out_bulk(out, HB_SPAN("XADD"));
		hb_redis_out_bulk(out, hb_span_of(msg->dest->name));
	} else {
		put_script(out, kind, msg);
	}
	put_entry(out, msg);
}
