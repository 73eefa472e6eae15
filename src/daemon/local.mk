# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/daemon.c \
	%D%/listen.c \
	%D%/listen.h \
	%D%/versions.c \
	%D%/versions.h \
	include/hookbridge/daemon.h
