# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/decimal.c \
	%D%/index.c \
	%D%/index.h \
	%D%/predicate.c \
	%D%/predicate.h \
	%D%/route.c \
	include/hookbridge/route.h
