/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_wrap.h - what the linker is told to put between the sink and
 * rd_kafka_producev(): a test sees each call, before and after it
 *
 * For programs linked with --wrap=rd_kafka_producev; the arguments are as the
 * sink gives them. */
#ifndef HOOKBRIDGE_TESTS_KAFKA_WRAP_H
#define HOOKBRIDGE_TESTS_KAFKA_WRAP_H

#include <stdarg.h>

#include "kafka_rig.h"

struct wrapped_produce {
	rd_kafka_t *rk;
	struct hb_delivery *delivery; /* after the call only its address */
	int32_t partition;
};

/* The test's; they run on any thread. */
static void before_produce(const struct wrapped_produce *call);
static void after_produce(const struct wrapped_produce *call);

rd_kafka_resp_err_t __real_rd_kafka_producev(rd_kafka_t *rk, ...);
rd_kafka_resp_err_t __wrap_rd_kafka_producev(rd_kafka_t *rk, ...);

rd_kafka_resp_err_t
__wrap_rd_kafka_producev(rd_kafka_t *rk, ...)
{
	struct wrapped_produce call = {.rk = rk};
	rd_kafka_topic_t *topic;
	rd_kafka_headers_t *headers;
	void *value;
	const void *key;
	size_t value_len, key_len;
	rd_kafka_resp_err_t code;
	int flags;
	va_list args;

	va_start(args, rk);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_RKT);
	topic = va_arg(args, rd_kafka_topic_t *);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_PARTITION);
	call.partition = va_arg(args, int32_t);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_MSGFLAGS);
	flags = va_arg(args, int);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_VALUE);
	value = va_arg(args, void *);
	value_len = va_arg(args, size_t);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_KEY);
	key = va_arg(args, const void *);
	key_len = va_arg(args, size_t);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_HEADERS);
	headers = va_arg(args, rd_kafka_headers_t *);
	assert_int_equal(va_arg(args, int), RD_KAFKA_VTYPE_OPAQUE);
	call.delivery = va_arg(args, void *);
	va_end(args);
	before_produce(&call);
	code = __real_rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic),
	    RD_KAFKA_V_PARTITION(call.partition), RD_KAFKA_V_MSGFLAGS(flags),
	    RD_KAFKA_V_VALUE(value, value_len), RD_KAFKA_V_KEY(key, key_len),
	    RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(call.delivery),
	    RD_KAFKA_V_END);
	after_produce(&call);
	return code;
}

#endif
