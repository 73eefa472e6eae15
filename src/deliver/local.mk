# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/dedup.c \
	%D%/tracker.c \
	include/hookbridge/dedup.h \
	include/hookbridge/outcome.h \
	include/hookbridge/tracker.h
