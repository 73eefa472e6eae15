# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/dedup.c \
	%D%/deliver.c \
	%D%/journal.c \
	%D%/journal.h \
	%D%/journal_dir.c \
	%D%/journal_format.c \
	%D%/journal_load.c \
	%D%/journal_out.c \
	%D%/journal_parts.h \
	%D%/journal_rewrite.c \
	%D%/journal_scan.c \
	%D%/note.c \
	%D%/outcome.c \
	%D%/parcel.c \
	%D%/parts.h \
	%D%/seen.c \
	%D%/seen.h \
	%D%/settle.c \
	%D%/tracker.c \
	%D%/way.c \
	include/hookbridge/dedup.h \
	include/hookbridge/outcome.h \
	include/hookbridge/tracker.h
