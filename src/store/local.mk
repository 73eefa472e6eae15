# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/accounts.c \
	%D%/hold.c \
	%D%/keep.c \
	%D%/parts.h \
	%D%/record.c \
	%D%/record.h \
	%D%/room.c \
	%D%/shelf.c \
	%D%/store.c \
	%D%/walk.c \
	include/hookbridge/store.h
