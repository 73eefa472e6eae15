# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/arena.c \
	%D%/backoff.c \
	%D%/budget.c \
	%D%/clock.c \
	%D%/crc32c.c \
	%D%/crypto.c \
	%D%/deadline.c \
	%D%/error.c \
	%D%/json_iter.c \
	%D%/json_lex.h \
	%D%/json_paths.c \
	%D%/json_span.c \
	%D%/json_text.c \
	%D%/log.c \
	%D%/loop.c \
	%D%/mem.c \
	%D%/metric.c \
	%D%/tail.c \
	%D%/tmpl.c \
	include/hookbridge/arena.h \
	include/hookbridge/backoff.h \
	include/hookbridge/budget.h \
	include/hookbridge/clock.h \
	include/hookbridge/crc32c.h \
	include/hookbridge/crypto.h \
	include/hookbridge/deadline.h \
	include/hookbridge/error.h \
	include/hookbridge/json_span.h \
	include/hookbridge/log.h \
	include/hookbridge/loop.h \
	include/hookbridge/mem.h \
	include/hookbridge/metric.h \
	include/hookbridge/span.h \
	include/hookbridge/tail.h \
	include/hookbridge/tmpl.h \
	include/hookbridge/utf8.h
