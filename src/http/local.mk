# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/answer.c \
	%D%/body.c \
	%D%/chunk.c \
	%D%/conn.c \
	%D%/conn.h \
	%D%/gate.c \
	%D%/gate.h \
	%D%/lex.c \
	%D%/lex.h \
	%D%/offline.c \
	%D%/parse.c \
	%D%/parse.h \
	%D%/pieces.c \
	%D%/reply.c \
	%D%/request.c \
	%D%/server.c \
	%D%/server.h \
	include/hookbridge/http.h
