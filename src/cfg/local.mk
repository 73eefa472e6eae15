# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/admin.c \
	%D%/cfg.c \
	%D%/channels.c \
	%D%/check.c \
	%D%/check_routes.c \
	%D%/check_secrets.c \
	%D%/disk.c \
	%D%/dump.c \
	%D%/endpoints.c \
	%D%/keys.c \
	%D%/labels.c \
	%D%/listen.c \
	%D%/load.h \
	%D%/names.c \
	%D%/near.c \
	%D%/read.c \
	%D%/read.h \
	%D%/report.c \
	%D%/report.h \
	%D%/routes.c \
	%D%/secret.c \
	%D%/sinks.c \
	%D%/source.c \
	%D%/svix_key.c \
	%D%/targets.c \
	%D%/values.c \
	%D%/values.h \
	%D%/vault.c \
	%D%/when.c \
	%D%/yaml.c \
	%D%/yaml.h \
	include/hookbridge/cfg.h \
	include/hookbridge/keys.h \
	include/hookbridge/near.h \
	include/hookbridge/secret.h \
	include/hookbridge/svix_key.h
