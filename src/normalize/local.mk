# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/jobkind.c \
	%D%/members.c \
	%D%/members.h \
	%D%/normalize.c \
	include/hookbridge/normalize.h
