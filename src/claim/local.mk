# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/body.c \
	%D%/claim.c \
	%D%/index.c \
	%D%/list.c \
	%D%/parts.h \
	%D%/survey.c \
	%D%/tree.c \
	include/hookbridge/claim.h
