# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/dedup.c \
	%D%/deliver.c \
	%D%/outcome.c \
	%D%/parcel.c \
	%D%/parts.h \
	%D%/tracker.c \
	include/hookbridge/dedup.h \
	include/hookbridge/outcome.h \
	include/hookbridge/tracker.h
