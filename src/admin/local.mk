# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/access.c \
	%D%/admin.c \
	%D%/claims.c \
	%D%/dead.c \
	%D%/forget.c \
	%D%/job.c \
	%D%/json.c \
	%D%/metrics.c \
	%D%/parts.h \
	%D%/query.c \
	%D%/rates.c \
	%D%/ready.c \
	%D%/records.c \
	%D%/reply.c \
	%D%/reroute.c \
	%D%/resources.c \
	%D%/spool.c \
	%D%/status.c \
	%D%/tail.c \
	include/hookbridge/admin.h
