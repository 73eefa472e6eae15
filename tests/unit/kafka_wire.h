/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_wire.h - what librdkafka writes to brokers: produce requests are
 * counted, and can be held up
 *
 * Included by one .c file of a program: sendmsg() and socket() are ours, and
 * librdkafka's.
 * Which lane a request is of is told by the time it gives the broker, which is
 * request.timeout.ms. Connections are not encrypted here. */
#ifndef HOOKBRIDGE_TESTS_KAFKA_WIRE_H
#define HOOKBRIDGE_TESTS_KAFKA_WIRE_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kafka_rig.h"

#define WIRE_FDS 1024
#define WIRE_PRODUCE 0 /* its ApiKey */
#define WIRE_HEAD 256

static struct {
	/* Of a request that was written in part. */
	_Atomic size_t left[WIRE_FDS];
	_Atomic unsigned prompt, patient; /* produce requests, begun */
	_Atomic bool holds_patient;
	_Atomic unsigned held; /* patient ones, ever */
} wire;

static inline uint32_t
wire_number(const uint8_t *at, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | at[i];
	return number;
}

/* The first bytes of what is to be written. */
static inline size_t
wire_head(const struct msghdr *msg, uint8_t head[WIRE_HEAD])
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen && len < WIRE_HEAD; i++) {
		size_t n = msg->msg_iov[i].iov_len;

		n = n < WIRE_HEAD - len ? n : WIRE_HEAD - len;
		memcpy(head + len, msg->msg_iov[i].iov_base, n);
		len += n;
	}
	return len;
}

/* The time that a produce request (version 3 or later) gives the broker; 0: it
 * is something else. Head: size, ApiKey, version, correlation, client id,
 * transactional id; then acks, time. */
static inline uint32_t
wire_produce_ms(const uint8_t *head, size_t len)
{
	size_t at = 12, id;

	if (len < 40 || wire_number(head + 4, 2) != WIRE_PRODUCE)
		return 0;
	id = wire_number(head + at, 2);
	at += 2 + (id == 0xffff ? 0 : id);
	id = wire_number(head + at, 2);
	at += 2 + (id == 0xffff ? 0 : id);
	return at + 6 <= len ? wire_number(head + at + 2, 4) : 0;
}

static inline void
wire_note(uint32_t produce_ms)
{
	if (produce_ms == 0)
		return;
	if (produce_ms != 10000) {
		atomic_fetch_add(&wire.prompt, 1);
		return;
	}
	atomic_fetch_add(&wire.patient, 1);
	if (!atomic_load(&wire.holds_patient))
		return;
	atomic_fetch_add(&wire.held, 1);
	while (atomic_load(&wire.holds_patient))
		usleep(1000);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	uint8_t head[WIRE_HEAD];
	size_t len, left;
	ssize_t n;

	if (fd >= WIRE_FDS)
		return syscall(SYS_sendmsg, fd, msg, flags);
	left = atomic_load(&wire.left[fd]);
	if (left == 0) {
		len = wire_head(msg, head);
		left = len >= 4 ? wire_number(head, 4) + 4 : 0;
		wire_note(wire_produce_ms(head, len));
	}
	n = syscall(SYS_sendmsg, fd, msg, flags);
	if (n > 0)
		left -= (size_t)n < left ? (size_t)n : left;
	atomic_store(&wire.left[fd], left);
	return n;
}

/* A connection begins with a request. */
int
socket(int domain, int type, int protocol)
{
	int fd = (int)syscall(SYS_socket, domain, type, protocol);

	if (fd >= 0 && fd < WIRE_FDS)
		atomic_store(&wire.left[fd], 0);
	return fd;
}

static inline void
wire_reset(void)
{
	atomic_store(&wire.prompt, 0);
	atomic_store(&wire.patient, 0);
	atomic_store(&wire.held, 0);
}

#endif
