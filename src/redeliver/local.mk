# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/parts.h \
	%D%/redeliver.c \
	%D%/retry.c \
	include/hookbridge/redeliver.h
