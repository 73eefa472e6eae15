# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/copy.c \
	%D%/flight.c \
	%D%/parts.h \
	%D%/reader.c \
	%D%/replay.c \
	%D%/room.c \
	%D%/suspect.c \
	%D%/suspect.h \
	include/hookbridge/replay.h
