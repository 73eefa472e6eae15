# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/parts.h \
	%D%/svix.c \
	%D%/token.c \
	%D%/verify.c \
	include/hookbridge/verify.h
