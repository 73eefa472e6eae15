# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/message.c \
	%D%/text.c \
	%D%/text.h \
	%D%/value.c \
	%D%/value.h \
	include/hookbridge/message.h
