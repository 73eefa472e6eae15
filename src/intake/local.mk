# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/answer.c \
	%D%/exchange.c \
	%D%/intake.c \
	%D%/media.c \
	%D%/parts.h \
	%D%/paths.c \
	%D%/preview.c \
	%D%/tally.c \
	%D%/trace.c \
	include/hookbridge/intake.h \
	include/hookbridge/preview.h
