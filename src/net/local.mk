# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/resolver.c \
	%D%/resolver.h \
	%D%/stream.c \
	include/hookbridge/stream.h
