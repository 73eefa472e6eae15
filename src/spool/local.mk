# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/bits.c \
	%D%/buf.c \
	%D%/compact.c \
	%D%/cursor.c \
	%D%/file.c \
	%D%/footer.c \
	%D%/format.c \
	%D%/format.h \
	%D%/group.c \
	%D%/lane.c \
	%D%/output.c \
	%D%/parts.h \
	%D%/read.c \
	%D%/recover.c \
	%D%/retire.c \
	%D%/roll.c \
	%D%/scan.c \
	%D%/segment.c \
	%D%/spool.c \
	%D%/store.c \
	%D%/verify.c \
	%D%/writer.c \
	include/hookbridge/spool.h
