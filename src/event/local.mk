# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/event.c \
	include/hookbridge/event.h
