# SPDX-License-Identifier: Apache-2.0
libhookbridge_a_SOURCES += \
	%D%/file.c \
	%D%/file.h \
	%D%/file_line.c \
	%D%/file_out.c \
	%D%/kafka.c \
	%D%/kafka.h \
	%D%/kafka_conf.c \
	%D%/kafka_handle.c \
	%D%/kafka_inspect.c \
	%D%/kafka_lazy.c \
	%D%/kafka_partition.c \
	%D%/kafka_queue.c \
	%D%/kafka_report.c \
	%D%/kafka_tsan.h \
	%D%/kafka_turn.c \
	%D%/kafka_watch.c \
	%D%/redis.c \
	%D%/redis.h \
	%D%/redis_command.c \
	%D%/redis_conf.c \
	%D%/redis_conn.c \
	%D%/redis_flow.c \
	%D%/redis_forget.c \
	%D%/redis_health.c \
	%D%/redis_out.c \
	%D%/redis_queue.c \
	%D%/redis_reply.c \
	%D%/redis_ring.c \
	%D%/redis_settle.c \
	%D%/sink.c \
	include/hookbridge/sink.h
