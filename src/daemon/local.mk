# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/advice.c \
	%D%/build.c \
	%D%/daemon.c \
	%D%/drain.c \
	%D%/listen.c \
	%D%/listen.h \
	%D%/parts.h \
	%D%/versions.c \
	%D%/versions.h \
	include/hookbridge/daemon.h
